/* ref_tlb.c: see ref_tlb.h. */
#include "ref/ref_tlb.h"

#include <stdlib.h>

void ref_tlb_open(struct ref_tlb *t, unsigned entries, unsigned ways, unsigned sizes, int index,
                  int policy, uint64_t seed)
{
    static const unsigned shifts[] = {0, 7, 8};
    *t = (struct ref_tlb){.entries = entries, .ways = ways, .shift = shifts[index]};
    if (entries == 0)
        return;
    t->sizes = sizes;
    t->sets = entries / ways;
    t->e = calloc(entries, sizeof(*t->e));
    ref_repl_open(&t->repl, t->sets, ways, policy, seed);
}

void ref_tlb_close(struct ref_tlb *t)
{
    free(t->e);
    if (t->entries != 0)
        ref_repl_close(&t->repl);
}

static unsigned set_of(const struct ref_tlb *t, uint64_t addr, uint64_t bytes)
{
    uint64_t page = addr / bytes;
    if (t->shift != 0)
        page ^= page / (1u << t->shift);
    return (unsigned)(page % t->sets);
}

struct ref_entry *ref_tlb_find(struct ref_tlb *t, uint64_t addr, uint64_t bytes, unsigned pcid)
{
    struct ref_entry *global = NULL;
    if (t->entries == 0)
        return NULL;
    struct ref_entry *set = &t->e[set_of(t, addr, bytes) * t->ways];
    for (struct ref_entry *e = set; e < set + t->ways; e++) {
        if (!e->used || e->bytes != bytes || addr - e->start >= bytes)
            continue;
        if (!e->global && e->pcid == pcid)
            return e;
        if (e->global)
            global = e;
    }
    return global;
}

void ref_tlb_touch(struct ref_tlb *t, const struct ref_entry *e)
{
    unsigned i = (unsigned)(e - t->e);
    ref_repl_touch(&t->repl, i / t->ways, i % t->ways);
}

static int empty_way(const struct ref_tlb *t, unsigned set)
{
    for (unsigned w = 0; w < t->ways; w++)
        if (!t->e[set * t->ways + w].used)
            return (int)w;
    return -1;
}

bool ref_tlb_room(const struct ref_tlb *t, uint64_t addr, uint64_t bytes)
{
    return empty_way(t, set_of(t, addr, bytes)) >= 0;
}

void ref_tlb_add(struct ref_tlb *t, struct ref_entry e)
{
    unsigned set = set_of(t, e.start, e.bytes);
    int way = empty_way(t, set);
    if (way < 0)
        way = (int)ref_repl_victim(&t->repl, set);
    t->e[set * t->ways + (unsigned)way] = e;
    ref_repl_touch(&t->repl, set, (unsigned)way);
}

void ref_tlb_drop_page(struct ref_tlb *t, uint64_t addr, unsigned pcid, bool globals)
{
    for (unsigned i = 0; i < t->entries; i++) {
        struct ref_entry *e = &t->e[i];
        uint64_t whole = e->used ? e->start / e->page_bytes * e->page_bytes : 0;
        if (e->used && addr >= whole && addr - whole < e->page_bytes &&
            (e->global ? globals : e->pcid == pcid))
            e->used = false;
    }
}

void ref_tlb_flush(struct ref_tlb *t, bool all_pcids, unsigned pcid, bool globals)
{
    for (unsigned i = 0; i < t->entries; i++)
        if (t->e[i].used && (t->e[i].global ? globals : all_pcids || t->e[i].pcid == pcid))
            t->e[i].used = false;
}
