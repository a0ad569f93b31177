/* advice.c: rules that turn counts into a suggestion with an estimated gain.
 *
 * Each rule looks at one way to lose time, states what to do about it, and says how many of the
 * modelled cycles it could save; the best three are told. A gain is an estimate from the counts of
 * this run and from the machine's own costs, never a measurement: the text says so ("about",
 * "at most"). Adding a rule: one function and one row in `rules`.
 */
#include "report/advice.h"

#include "report/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_BYTES MIB(2)

/* tell writes the sentence and the gain; false if the gain is below 1 % of the run. */
static bool tell(const struct report *r, struct advice *a, uint64_t gain, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool tell(const struct report *r, struct advice *a, uint64_t gain, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(a->what, sizeof(a->what), format, ap);
    va_end(ap);
    a->gain_cycles = gain;
    return gain > 0 && gain >= r->cycles.total / 100;
}

/* Entries that can hold a 2 MiB page, both levels of the larger count. */
static uint64_t huge_entries(const struct conf *c)
{
    uint64_t first = c->tlb_d2_sizes & TLB_SIZES_2M ? c->tlb_d2_entries : 0;
    uint64_t second = c->tlb_l2_sizes & TLB_SIZES_2M ? c->tlb_l2_entries : 0;
    uint64_t other = c->tlb_l2b_sizes & TLB_SIZES_2M ? c->tlb_l2b_entries : 0;
    return max_u64(first, second + other);
}

/* Chance that a uniform access misses `entries` entries spread over `pages` pages. */
static double miss_chance(uint64_t entries, uint64_t pages)
{
    return pages <= entries ? 0 : 1.0 - (double)entries / (double)pages;
}

uint64_t advice_huge_walks(const struct conf *conf, uint64_t bytes, uint64_t walks)
{
    uint64_t huge = div_up(bytes, HUGE_BYTES);
    double now = miss_chance(conf->tlb_l2_entries, div_up(bytes, PAGE_SIZE));
    double then = miss_chance(huge_entries(conf), huge);
    if (then == 0)
        return min_u64(walks, huge);
    double scale = now > 0 ? then / now : 1;
    return max_u64(min_u64(walks, huge), (uint64_t)((double)walks * (scale < 1 ? scale : 1)));
}

static bool is_anonymous(const struct mm_label *l)
{
    return strncmp(l->name, "[anon", 5) == 0 || strcmp(l->name, "[heap]") == 0;
}

/* One large anonymous area that is walked for again and again. */
static bool huge_pages(const struct report *r, struct advice *a)
{
    const struct sim_area *best = NULL;
    for (uint32_t i = 0; i < r->n_areas; i++) {
        const struct sim_area *x = &r->areas[i];
        if (is_anonymous(x->label) && x->label->max_bytes >= HUGE_BYTES &&
            (best == NULL || x->walk_cycles > best->walk_cycles))
            best = x;
    }
    if (best == NULL || best->walks == 0)
        return false;
    uint64_t left = advice_huge_walks(r->conf, best->label->max_bytes, best->walks);
    double saved = (double)(best->walks - left) / (double)best->walks;
    uint64_t gain = (uint64_t)((double)cpu_translation(r->conf, 0, best->walk_cycles) * saved);
    const char *how = strcmp(best->label->name, "[heap]") == 0 ? "glibc.malloc.hugetlb=1 for [heap]"
                                                               : "MADV_HUGEPAGE on [anon]";
    return tell(r, a, gain, "%s (%s): est. -%s walks, -%s cycles", how,
                text_bytes(best->label->max_bytes).s, text_count(best->walks - left).s,
                text_share(gain, r->cycles.total).s);
}

/* Code that does not fit the instruction TLB's reach. */
static bool huge_text(const struct report *r, struct advice *a)
{
    const struct stat_set *s = r->stats;
    uint64_t gain = cpu_translation(r->conf, STAT(s, itlb_stlb_hit), STAT(s, itlb_walk_active));
    return tell(r, a, gain,
                "code on 2 MiB pages or packed together: at most -%s cycles (%s fetch walks)",
                text_share(gain, r->cycles.total).s, text_count(STAT(s, itlb_walk)).s);
}

/* Pages an area was given more often than it ever had: freed and faulted in again. */
static uint64_t faulted_again(const struct sim_area *a)
{
    uint64_t pages = div_up(a->label->max_bytes, PAGE_SIZE);
    return a->faults > pages ? a->faults - pages : 0;
}

static bool reuse_memory(const struct report *r, struct advice *a)
{
    uint64_t again = 0, cycles = 0;
    if (STAT(r->stats, pswpin) + STAT(r->stats, oom_kill) > 0)
        return false; /* the kernel took the pages, the program did not free them */
    for (uint32_t i = 0; i < r->n_areas; i++) {
        const struct sim_area *x = &r->areas[i];
        if (!is_anonymous(x->label) || faulted_again(x) == 0)
            continue;
        again += faulted_again(x);
        cycles +=
            (uint64_t)((double)x->fault_cycles * (double)faulted_again(x) / (double)x->faults);
    }
    return tell(r, a, cycles,
                "keep freed memory (glibc.malloc.trim_threshold): %s faults again, about -%s",
                text_count(again).s, text_share(cycles, r->cycles.total).s);
}

/* Cycles that a populated mapping saves on each fault it makes unnecessary. */
static uint64_t entry_cycles(const struct report *r, uint64_t faults)
{
    return faults * (r->conf->cost_fault_entry + r->conf->cost_vma_lookup);
}

static bool populate(const struct report *r, struct advice *a)
{
    uint64_t faults = STAT(r->stats, fault_anon);
    uint64_t gain = min_u64(entry_cycles(r, faults), STAT(r->stats, fault_cycles_anon));
    return tell(r, a, gain,
                "MAP_POPULATE for memory it will use: at most -%s cycles (%s anon faults)",
                text_share(gain, r->cycles.total).s, text_count(faults).s);
}

static bool fault_around(const struct report *r, struct advice *a)
{
    uint64_t faults = STAT(r->stats, fault_file_read);
    uint64_t gain = min_u64(entry_cycles(r, faults), STAT(r->stats, fault_cycles_file_read));
    return tell(r, a, gain, "try --set kernel.fault_around=%u: at most -%s cycles (%s file faults)",
                (unsigned)min_u64(4 * r->conf->kernel_fault_around, 512),
                text_share(gain, r->cycles.total).s, text_count(faults).s);
}

static bool relocations(const struct report *r, struct advice *a)
{
    uint64_t gain = STAT(r->stats, fault_cycles_file_cow);
    return tell(r, a, gain,
                "fewer relocations (static, -no-pie): at most -%s cycles (%s pages copied)",
                text_share(gain, r->cycles.total).s, text_count(STAT(r->stats, fault_file_cow)).s);
}

static bool memory_calls(const struct report *r, struct advice *a)
{
    uint64_t gain = STAT(r->stats, kernel_cycles_memory);
    return tell(
        r, a, gain,
        "fewer mmap, munmap and brk calls (allocator thresholds, arenas): at most -%s cycles",
        text_share(gain, r->cycles.total).s);
}

static bool (*const rules[])(const struct report *, struct advice *) = {
    huge_pages, huge_text, reuse_memory, populate, fault_around, relocations, memory_calls,
};

static int by_gain(const void *a, const void *b)
{
    const struct advice *x = a, *y = b;
    return x->gain_cycles == y->gain_cycles ? 0 : x->gain_cycles > y->gain_cycles ? -1 : 1;
}

unsigned advise(const struct report *r, struct advice ret[ADVICE_MAX])
{
    struct advice all[ARRAY_LEN(rules)];
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        n += rules[i](r, &all[n]);
    qsort(all, n, sizeof(all[0]), by_gain);
    if (n > ADVICE_MAX)
        n = ADVICE_MAX;
    memcpy(ret, all, n * sizeof(all[0]));
    return n;
}
