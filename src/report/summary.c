/* summary.c: the run at first sight.
 *
 *   program      gzip -k big.tar: exit 0, 1.52 s on this host
 *   machine      skylake-sp: Intel Xeon ...
 *   work         instructions, loads, stores, system calls, threads
 *   time         modelled cycles, seconds, cycles per instruction
 *   cycles       base, memory, translation, fault, kernel: share and bar of each
 *   TLB          loads, stores, fetches: misses, second-level hits, walks, cycles per walk
 *   walker loads where they hit            page faults  by kind, with their cost
 *   memory       resident, tables          costly memory  the three costliest areas
 *   note         what was not observed     try next     advice, commands
 *
 * Invariants:
 *  I1  At most REPORT_LINES_MAX lines; of the parts that vary, advice gives way first.
 *  I2  At most REPORT_COLUMNS_MAX columns; foreign names are made harmless (text_plain).
 */
#include "report/report.h"

#include "base/check.h"
#include "report/advice.h"
#include "report/processes.h"
#include "report/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_COLUMNS 13
#define BODY_COLUMNS  (REPORT_COLUMNS_MAX - LABEL_COLUMNS)
#define AREAS_SHOWN   3
#define BAR_COLUMNS   30

struct page {
    struct sink *out;
    bool colour;
    unsigned lines; /* printed so far */
};

/* put prints one line: a heading in the left column, the rest in the right one (I1, I2). */
static void put(struct page *p, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put(struct page *p, const char *label, const char *format, ...)
{
    char body[1024], cut[4 * BODY_COLUMNS + 8];
    va_list ap;
    va_start(ap, format);
    vsnprintf(body, sizeof(body), format, ap);
    va_end(ap);
    ASSERT(p->lines < REPORT_LINES_MAX);
    p->lines++;
    text_plain(cut, sizeof(cut), body, BODY_COLUMNS);
    bool bold = p->colour && label[0] != '\0';
    sink_fmt(p->out, "%s%-*s%s%s\n", bold ? "\033[1m" : "", LABEL_COLUMNS, label,
             bold ? "\033[0m" : "", cut);
}

/* join writes the arguments with blanks between them, as far as they fit. */
static void join(char *buf, size_t size, char *const *argv)
{
    size_t used = 0;
    buf[0] = '\0';
    for (; *argv != NULL && used + 1 < size; argv++) {
        int n = snprintf(buf + used, size - used, "%s%s", used == 0 ? "" : " ", *argv);
        used += n < 0 ? 0 : (size_t)n;
    }
}

static void put_program(struct page *p, const struct report *r)
{
    char raw[1024], shown[256], end[64];
    join(raw, sizeof(raw), r->run->argv);
    text_plain(shown, sizeof(shown), raw, 52);
    if (r->run->signal != 0)
        snprintf(end, sizeof(end), "killed by SIG%s",
                 sigabbrev_np(r->run->signal) ? sigabbrev_np(r->run->signal) : "?");
    else
        snprintf(end, sizeof(end), "exit %d", r->run->exit_code);
    put(p, "program", "%s: %s, %s on this host", shown, end,
        text_time((double)r->run->wall_ns / 1e9).s);
    const char *slash = strrchr(r->process.path, '/');
    if (STAT(r->stats, sim_exec_lost) != 0 && r->n_processes < 2)
        put(p, "", "all below is %.30s before its exec: what ran then was not observed",
            slash != NULL ? slash + 1 : r->process.path);
}

static void put_machine(struct page *p, const struct report *r)
{
    bool host = r->run->machine_note[0] != '\0';
    put(p, "machine", "%s%s: %.50s", r->conf->machine_name, host ? " (nearest to this CPU)" : "",
        r->conf->cpu_model);
}

static void put_work(struct page *p, const struct report *r)
{
    const struct stat_set *s = r->stats;
    uint64_t n = STAT(s, instructions), mhz = r->conf->cpu_mhz;
    put(p, "work", "%s instructions, %s loads, %s stores, %s system calls, %s thread%s",
        text_count(n).s, text_count(STAT(s, loads)).s, text_count(STAT(s, stores)).s,
        text_count(STAT(s, syscalls)).s, text_count(STAT(s, sim_threads)).s,
        STAT(s, sim_threads) == 1 ? "" : "s");
    put(p, "time", "%s modelled cycles = %s at %u.%02u GHz, %.2f cycles per instruction",
        text_count(r->cycles.total).s, text_time((double)r->cycles.total / ((double)mhz * 1e6)).s,
        (unsigned)(mhz / 1000), (unsigned)(mhz % 1000 / 10),
        n == 0 ? 0.0 : (double)r->cycles.total / (double)n);
}

static void put_part(struct page *p, const char *label, const char *name, uint64_t part,
                     uint64_t total, const char *what)
{
    struct text bar = text_bar(part, total, BAR_COLUMNS);
    put(p, label, "%-12s%7s  %-*s %s", name, text_share(part, total).s, BAR_COLUMNS, bar.s, what);
}

static void put_cycles(struct page *p, const struct cpu_cycles *c)
{
    put_part(p, "cycles", "base", c->base, c->total, "all hits");
    put_part(p, "", "memory", c->memory, c->total, "beyond L1");
    put_part(p, "", "translation", c->translation, c->total, "TLB misses, page walks");
    put_part(p, "", "fault", c->fault, c->total, "page faults");
    put_part(p, "", "kernel", c->kernel, c->total, "system calls, copies");
}

/* put_tlb prints one row: first-level misses per 1000 instructions, and what became of them. */
static void put_tlb(struct page *p, const char *name, uint64_t hits, uint64_t walks,
                    uint64_t active, uint64_t instructions)
{
    put(p, "", "%-12s %15s %15s %15s %18s", name, text_rate(hits + walks, instructions).s,
        text_rate(hits, instructions).s, text_rate(walks, instructions).s,
        text_mean(active, walks).s);
}

static void put_tlbs(struct page *p, const struct stat_set *s)
{
    uint64_t n = STAT(s, instructions);
    put(p, "TLB", "%-15s %12s %15s %15s %18s", "per 1000 instr.", "L1 misses", "of them L2 hits",
        "page walks", "cycles per walk");
    put_tlb(p, "loads", STAT(s, dtlb_load_stlb_hit), STAT(s, dtlb_load_walk),
            STAT(s, dtlb_load_walk_active), n);
    put_tlb(p, "stores", STAT(s, dtlb_store_stlb_hit), STAT(s, dtlb_store_walk),
            STAT(s, dtlb_store_walk_active), n);
    put_tlb(p, "fetches", STAT(s, itlb_stlb_hit), STAT(s, itlb_walk), STAT(s, itlb_walk_active), n);
}

static void put_walker(struct page *p, const struct stat_set *s)
{
    uint64_t l1 = STAT(s, walker_dtlb_l1) + STAT(s, walker_itlb_l1);
    uint64_t l2 = STAT(s, walker_dtlb_l2) + STAT(s, walker_itlb_l2);
    uint64_t l3 = STAT(s, walker_dtlb_l3) + STAT(s, walker_itlb_l3);
    uint64_t dram = STAT(s, walker_dtlb_memory) + STAT(s, walker_itlb_memory);
    uint64_t all = l1 + l2 + l3 + dram;
    uint64_t walks = STAT(s, dtlb_load_walk) + STAT(s, dtlb_store_walk) + STAT(s, itlb_walk) +
                     STAT(s, walk_fault);
    put(p, "walker loads", "%s (%s per walk): L1 %s, L2 %s, L3 %s, DRAM %s", text_count(all).s,
        text_mean(all, walks).s, text_share(l1, all).s, text_share(l2, all).s,
        text_share(l3, all).s, text_share(dram, all).s);
}

struct kind {
    const char *name;
    uint64_t count, cycles;
};

static int by_cycles(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;
    return x->cycles == y->cycles ? 0 : x->cycles > y->cycles ? -1 : 1;
}

/* fault_kinds lists the kinds that happened, costliest first: rows fault.X with fault_cycles.X. */
static unsigned fault_kinds(const struct stat_set *s, struct kind kinds[STAT_NR])
{
    unsigned n = 0;
    for (int i = 0; i < STAT_NR; i++) {
        const char *name = stat_info((enum stat_id)i)->name;
        if (strncmp(name, "fault_cycles.", 13) != 0)
            continue;
        char twin[64];
        snprintf(twin, sizeof(twin), "fault.%s", name + 13);
        int count = stat_find(twin);
        if (count >= 0 && s->v[count] != 0)
            kinds[n++] = (struct kind){name + 13, s->v[count], s->v[i]};
    }
    qsort(kinds, n, sizeof(kinds[0]), by_cycles);
    return n;
}

/* put_faults gives as many kinds as fit one line. */
static void put_faults(struct page *p, const struct report *r)
{
    struct kind kinds[STAT_NR];
    unsigned n = fault_kinds(r->stats, kinds);
    char line[BODY_COLUMNS + 1] = "";
    size_t used = 0;
    put(p, "page faults", "%s minor, %s major%s", text_count(STAT(r->stats, minor_faults)).s,
        text_count(STAT(r->stats, major_faults)).s,
        n > 0 ? "; by kind, with cycles each and share of all cycles:" : "");
    for (unsigned i = 0; i < n; i++) {
        char one[160];
        int len =
            snprintf(one, sizeof(one), "%s%s %s (%s c, %s)", i == 0 ? "" : "; ", kinds[i].name,
                     text_count(kinds[i].count).s, text_count(kinds[i].cycles / kinds[i].count).s,
                     text_share(kinds[i].cycles, r->cycles.total).s);
        if (used + (size_t)len > BODY_COLUMNS)
            break;
        memcpy(line + used, one, (size_t)len + 1);
        used += (size_t)len;
    }
    if (n > 0)
        put(p, "", "%s", line);
}

/* lock_cycles: what faults waited for locks that other threads held. */
static uint64_t lock_cycles(const struct stat_set *s)
{
    uint64_t n = 0;
    for (int i = STAT_lock_cycles_vma; i <= STAT_lock_cycles_lru; i++)
        n += s->v[i];
    return n;
}

/* put_locks gives each lock with the number of waits and their share of all cycles of faults. */
static void put_locks(struct page *p, const struct report *r)
{
    const struct stat_set *s = r->stats;
    char line[BODY_COLUMNS + 1] = "";
    size_t used = 0;
    for (int i = 0; i <= STAT_lock_waits_lru - STAT_lock_waits_vma; i++) {
        uint64_t waits = s->v[STAT_lock_waits_vma + i], cycles = s->v[STAT_lock_cycles_vma + i];
        const char *name = strchr(stat_info((enum stat_id)(STAT_lock_waits_vma + i))->name, '.');
        char one[80];
        int len = snprintf(one, sizeof(one), "; %s %s (%s)", name + 1, text_count(waits).s,
                           text_share(cycles, r->cycles.fault).s);
        if (waits == 0 || used + (size_t)len > BODY_COLUMNS - 24)
            continue;
        memcpy(line + used, one, (size_t)len + 1);
        used += (size_t)len;
    }
    if (lock_cycles(s) > 0)
        put(p, "", "of fault, locks %s: %s", text_share(lock_cycles(s), r->cycles.fault).s,
            line + 2);
}

static void put_memory(struct page *p, const struct report *r)
{
    const struct sim_process *most = processes_largest(r);
    const struct mm_counters *c = &most->mm;
    char end[48];
    if (r->n_processes > 1)
        snprintf(end, sizeof(end), " (%.15s, %u)", most->comm, most->pid);
    else
        snprintf(end, sizeof(end), ", %u VMAs at the end", c->map_count);
    put(p, "memory", "at most %s resident and %s mapped; page tables %s%s",
        text_bytes(c->rss_peak * PAGE_SIZE).s, text_bytes(c->total_vm_peak * PAGE_SIZE).s,
        text_bytes(c->pte_bytes).s, end);
}

/* put_processes names the costliest, where there is more than one. */
static void put_processes(struct page *p, const struct report *r)
{
    char line[BODY_COLUMNS + 1];
    if (r->n_processes < 2)
        return;
    processes_line(r, line, sizeof(line));
    put(p, "processes", "%s", line);
}

static void area_name(const struct mm_label *l, bool whose, char buf[192])
{
    char rights[5] = {l->flags & VM_READ ? 'r' : '-', l->flags & VM_WRITE ? 'w' : '-',
                      l->flags & VM_EXEC ? 'x' : '-', l->flags & VM_SHARED ? 's' : 'p', '\0'};
    char name[120], place[sizeof(l->name) + 48], plain[64] = "";
    if (whose)
        text_plain(plain, sizeof(plain), l->program, 15);
    /* Nameless areas are many: their address tells them apart. */
    if (strcmp(l->name, "[anon]") == 0)
        snprintf(place, sizeof(place), "%s 0x%" PRIx64, l->name, l->first_start);
    else
        snprintf(place, sizeof(place), "%s", l->name);
    unsigned whose_columns = whose ? (unsigned)text_columns(plain) + 2 : 0;
    text_path(name, sizeof(name), place, 29 - whose_columns);
    snprintf(buf, 192, "%s %s%s%s", rights, plain, whose ? ": " : "", name);
}

static bool ran_out(const struct report *r)
{
    return r->oom.kills + r->oom.panics > 0;
}

static bool asked_pools(const struct report *r)
{
    return r->pool[MM_HUGETLB_2M].asked + r->pool[MM_HUGETLB_1G].asked > 0;
}

static void put_areas(struct page *p, const struct report *r)
{
    uint64_t whole = r->cycles.translation + r->cycles.fault;
    put(p, "costly memory", "%-34s %10s %13s %10s %14s", "", "size", "page walks", "faults",
        "transl.+fault");
    /* I1: these lines come, too. */
    uint32_t others = (uint32_t)ran_out(r) + (r->overflow.times > 0) + asked_pools(r) +
                      (lock_cycles(r->stats) > 0) + (r->n_processes > 1);
    uint32_t shown = AREAS_SHOWN - (uint32_t)min_u64(others, AREAS_SHOWN);
    bool whose = processes_programs(r) > 1;
    for (uint32_t i = 0; i < r->n_areas && i < shown; i++) {
        const struct sim_area *a = &r->areas[i];
        uint64_t cycles = report_area_translation(r, a) + a->fault_cycles;
        if (cycles == 0)
            break;
        char name[192];
        area_name(a->label, whose, name);
        put(p, "", "%s%*s %10s %13s %10s %14s", name, 34 - (int)text_columns(name), "",
            text_bytes(a->label->max_bytes).s, text_count(a->walks).s, text_count(a->faults).s,
            text_share(cycles, whole).s);
    }
}

/* put_incomplete says that observing stopped, if it did: a line of its own, never cut away. */
static void put_incomplete(struct page *p, const struct report *r)
{
    const char *means = report_incomplete_means(r->run->incomplete);
    if (means != NULL)
        put(p, "note", "incomplete: %s", means);
}

/* put_oom says that the modelled machine ran out of memory, where, and whom it killed. */
static void put_oom(struct page *p, const struct report *r)
{
    const struct sim_oom *o = &r->oom;
    if (!ran_out(r))
        return;
    if (o->kills == 0)
        put(p, "no memory", "diverged at event %" PRIu64 ": nobody could be killed", o->at_event);
    else
        put(p, "no memory", "diverged at event %" PRIu64 " (%s kill%s): %s", o->at_event,
            text_count(o->kills).s, o->kills == 1 ? "" : "s",
            o->event[(o->kills - 1) % OOM_EVENTS_MAX].line + strlen("Out of memory: "));
}

/* put_overflow tells of the first kernel stack that was too small: whose, in what, how deep. */
static void put_overflow(struct page *p, const struct report *r)
{
    const struct sim_overflow *o = &r->overflow;
    char what[64], times[48] = "";
    if (o->times == 0)
        return;
    snprintf(what, sizeof(what), o->last == o->outer ? "%s" : "%s in %s", o->last, o->outer);
    if (o->times > 1)
        snprintf(times, sizeof(times), " %s times", text_count(o->times).s);
    put(p, "kernel stack", "%s%s: %.15s (%u), %s, %s of %s B",
        o->guarded ? "guard page hit" : "overrun", times, o->comm, o->tid, what,
        text_count(o->used).s, text_count(o->size).s);
}

/* pool_text: "hugetlb.2m 90 of 100 at boot (node 0: 50, node 1: 40)"; "" for a pool not asked for. */
static void pool_text(const struct sim_pool *pool, const char *key, char *buf, size_t size)
{
    int len = pool->asked == 0 ? 0
                               : snprintf(buf, size, "%s %" PRIu64 " of %" PRIu64 " at boot", key,
                                          pool->now.boot, pool->asked);
    buf[len] = '\0';
    for (unsigned i = 0; len > 0 && pool->nodes > 1 && i < pool->nodes; i++)
        if (len < (int)size) /* what does not fit a line is in the JSON */
            len += snprintf(buf + len, size - (size_t)len, "%s %u: %" PRIu64 "%s",
                            i == 0 ? " (node" : ",", i, pool->boot_node[i],
                            i + 1 == pool->nodes ? ")" : "");
}

static void put_huge(struct page *p, const struct report *r)
{
    char small[BODY_COLUMNS + 1], large[BODY_COLUMNS + 1];
    if (!asked_pools(r))
        return;
    pool_text(&r->pool[MM_HUGETLB_2M], "hugetlb.2m", small, sizeof(small));
    pool_text(&r->pool[MM_HUGETLB_1G], "hugetlb.1g", large, sizeof(large));
    put(p, "huge pages", "%s%s%s", small, small[0] != '\0' && large[0] != '\0' ? "; " : "", large);
}

/* unseen: children of which no word ever came. */
static uint64_t unseen(const struct report *r)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->n_processes; i++)
        n += r->processes[i].end == SIM_END_UNSEEN;
    return n;
}

/* put_notes says what the figures do not cover, in one line, when there is something to say. */
static void put_notes(struct page *p, const struct report *r)
{
    const struct stat_set *s = r->stats;
    char line[512] = "";
    size_t used = 0;
    const struct {
        uint64_t n;
        const char *what;
    } notes[] = {
        {STAT(s, sim_children) + unseen(r), "child processes that ran unobserved"},
        {STAT(s, div_syscall_answer), "calls answered unlike Linux"},
        {STAT(s, div_no_vma), "accesses the model had no mapping for"},
        {STAT(s, div_order_forced), "memory calls applied out of order"},
        {STAT(s, div_oom), "allocations the modelled memory had no room for"},
        {r->counts_wrong, "threads counted wrongly (please report this)"},
    };
    if (processes_native(r, line, sizeof(line)))
        used = strlen(line);
    for (size_t i = 0; i < ARRAY_LEN(notes) && used < sizeof(line); i++) {
        if (notes[i].n == 0)
            continue;
        int len = snprintf(line + used, sizeof(line) - used, "%s%s: %s", used == 0 ? "" : "; ",
                           notes[i].what, text_count(notes[i].n).s);
        used += len < 0 ? 0 : (size_t)len;
    }
    if (used > 0)
        put(p, "note", "%s", line);
}

static void put_advice(struct page *p, const struct report *r)
{
    struct advice advice[ADVICE_MAX];
    unsigned n = advise(r, advice);
    if (n == 0 && p->lines + 1 < REPORT_LINES_MAX)
        put(p, "try next", "nothing about paging: translation and faults take %s; look elsewhere",
            text_share(r->cycles.translation + r->cycles.fault, r->cycles.total).s);
    for (unsigned i = 0; i < n && p->lines + 1 < REPORT_LINES_MAX; i++)
        put(p, i == 0 ? "try next" : "", "%s", advice[i].what);
    bool walks = r->cycles.translation >= r->cycles.fault;
    if (p->lines == REPORT_LINES_MAX) /* I1: with every other line there is no room */
        return;
    if (walks)
        put(p, "", "pagewalk explain translation; run --set tlb.l2.entries=%u; run --json FILE",
            (unsigned)(2 * r->conf->tlb_l2_entries));
    else
        put(p, "", "pagewalk explain fault; run --json FILE (functions, instructions, areas)");
}

void report_summary(struct sink *out, const struct report *r, bool colour)
{
    struct page p = {.out = out, .colour = colour};
    put_program(&p, r);
    put_machine(&p, r);
    put_work(&p, r);
    put_cycles(&p, &r->cycles);
    put_tlbs(&p, r->stats);
    put_walker(&p, r->stats);
    put_faults(&p, r);
    put_locks(&p, r);
    put_memory(&p, r);
    put_processes(&p, r);
    put_areas(&p, r);
    put_incomplete(&p, r);
    put_oom(&p, r);
    put_overflow(&p, r);
    put_huge(&p, r);
    put_notes(&p, r);
    put_advice(&p, r);
}
