/* shadow.c: the worst TLB there can be: it keeps every translation an access ever used until a flush
 * takes it. What the tables no longer grant must be gone from it once a call's flushes were delivered.
 *
 *   access ─► shadow_fill ─► entry of the address space ◄─ shadow_drain ◄─ flushes of the outbox
 *                                     │
 *                                     └► shadow_audit: does the table still grant as much?
 *
 * Its walk cache keeps every page table, and any flush empties it, as INVLPG does.
 *
 * A flush does not say whose it is: it takes the range from all address spaces, so one that went to
 * the wrong address space is not noticed here.
 */
#include "kernel/model.h"

#include <stdlib.h>

#define GRANTS (PTE_RW | PTE_US | PTE_D)
#define LEVEL_SHIFT                                                                                \
    9 /* of a kept value: the level of the entry it came from, in bits software may use */

static struct shadow *shadow_of(struct model *w, const struct mm *m)
{
    struct shadow *empty = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(w->shadow); i++) {
        if (w->shadow[i].m == m)
            return &w->shadow[i];
        if (!w->shadow[i].m)
            empty = &w->shadow[i];
    }
    ASSERT(empty);
    empty->m = m;
    empty->id = mm_id(m);
    return empty;
}

static unsigned level_of(uint64_t value)
{
    return value >> LEVEL_SHIFT & 3;
}

/* truth says what the tables grant at an address: the bits of a value kept for it, 0: nothing. */
static uint64_t truth(const struct mm *m, uint64_t addr)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(m), va(addr), &level);
    if (!e || !pte_present(*e))
        return 0;
    pfn n = pte_leaf_pfn(*e, level);
    n.v += addr % BIT(pt_level_shift(level)) / K;
    return pfn_paddr(n).v | (e->v & (GRANTS | PTE_NX)) | (uint64_t)level << LEVEL_SHIFT | PTE_P;
}

/* table_of returns the page table that holds the entry of an address; PFN_NONE: there is none. */
static pfn table_of(const struct mm *m, uint64_t addr)
{
    const pte *e = pt_lookup(mm_pt(m), va(addr), 1);
    return e && pte_present(*e) && !pte_is_leaf(*e, 1) ? pte_pfn(*e) : PFN_NONE;
}

void shadow_fill(struct model *w, const struct mm *m, uint64_t addr)
{
    struct shadow *s = shadow_of(w, m);
    pfn table = table_of(m, addr);
    uint64_t value = truth(m, addr);
    ASSERT(map_put(&s->kept, addr / K, value) == 0);
    s->large |= level_of(value) > 0;
    if (!pfn_is_none(table))
        ASSERT(map_put(&s->links, addr / MIB(2), table.v) == 0);
}

/* goes: a flush of pages [first, end) takes a kept page, of a larger one if any of it is among them (SDM
 * vol. 3, 4.10.4.1: INVLPG). */
static bool goes(const struct map_slot *x, uint64_t first, uint64_t end)
{
    uint64_t size = BIT(9 * level_of(x->value)), at = align_down(x->key, size);
    return at < end && at + size > first;
}

static void drop_range(struct shadow *s, uint64_t first, uint64_t end)
{
    struct map left = {0};
    size_t pos = 0;
    if (!s->large && end - first <= s->kept.used) {
        for (; first < end; first++)
            map_del(&s->kept, first);
        return;
    }
    for (const struct map_slot *x; (x = map_next(&s->kept, &pos)) != NULL;)
        if (!goes(x, first, end))
            ASSERT(map_put(&left, x->key, x->value) == 0);
    map_free(&s->kept);
    s->kept = left;
}

/* drop_all forgets every translation. */
static void drop_all(struct shadow *s)
{
    map_free(&s->kept);
    s->large = false;
}

static void deliver(struct model *w, const struct arch_msg *msg)
{
    bool all = msg->kind == ARCH_FLUSH_ALL;
    if (!all && msg->kind != ARCH_FLUSH_RANGE && msg->kind != ARCH_FLUSH_UNMAP)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(w->shadow); i++) {
        if (w->shadow[i].id != msg->mm)
            continue;
        map_free(&w->shadow[i].links);
        if (all)
            drop_all(&w->shadow[i]);
        else if (w->shadow[i].kept.used > 0)
            drop_range(&w->shadow[i], msg->a / K, (msg->b + K - 1) / K);
    }
}

void shadow_drain(struct model *w)
{
    for (uint32_t i = 0; i < w->out.n; i++)
        deliver(w, &w->out.msg[i]);
    w->out.n = 0;
}

static bool lives(const struct model *w, const struct mm *m)
{
    bool found = m == w->zygote;
    for (unsigned i = 0; i < SLOTS; i++)
        found |= m == w->mm[i];
    return found;
}

static void forget(struct shadow *s)
{
    drop_all(s);
    map_free(&s->links);
    s->m = NULL;
    s->id = 0;
}

static bool granted(const struct shadow *s)
{
    size_t pos = 0;
    const struct map_slot *x;
    while ((x = map_next(&s->kept, &pos)) != NULL) {
        uint64_t now = truth(s->m, x->key * K);
        bool moved = (now ^ x->value) & (PTE_ADDR_MASK | PTE_P);
        if (moved || (x->value & ~now & GRANTS) || (now & ~x->value & PTE_NX))
            return false;
    }
    for (pos = 0; (x = map_next(&s->links, &pos)) != NULL;)
        if (table_of(s->m, x->key * MIB(2)).v != x->value)
            return false;
    return true;
}

bool shadow_audit(struct model *w)
{
    for (unsigned i = 0; i < ARRAY_LEN(w->shadow); i++) {
        struct shadow *s = &w->shadow[i];
        if (!s->m || !lives(w, s->m))
            forget(s);
        else if (!granted(s))
            return false;
    }
    return true;
}

void shadow_close(struct model *w)
{
    for (unsigned i = 0; i < ARRAY_LEN(w->shadow); i++)
        forget(&w->shadow[i]);
}
