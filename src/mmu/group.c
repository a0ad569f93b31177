/* group.c: several arrays that are looked up as one.
 *
 *   load:  d (4K)  d2 (2M)  d3 (1G)          probes, in this order, sizes nobody holds left out:
 *   store: the same, or s (all sizes)        4K in each array that takes it, then 2M, then 1G
 *   fetch: i (4K)  i2 (2M 1G)
 *   second level: l2  l2b
 *
 * A page larger than any array takes is broken: the piece of the largest size taken is cached, and
 * remembers the size of its page, for INVLPG (SDM vol. 3A, 4.10.2.3).
 */
#include "mmu/mmu_int.h"

void group_add(struct tlb_group *g, struct tlb *t)
{
    if (t->sizes == 0)
        return;
    g->array[g->n++] = t;
    g->sizes |= t->sizes;
}

struct tlb_place group_find(const struct tlb_group *g, uint64_t addr, unsigned pcid)
{
    for (enum page_size size = SIZE_4K; size < SIZE_NR; size++)
        for (unsigned i = 0; i < g->n; i++) {
            struct tlb *t = g->array[i];
            if ((t->count[size][0] | t->count[size][1]) == 0)
                continue;
            uint32_t slot = tlb_find(t, addr, size, pcid);
            if (slot != TLB_NONE)
                return (struct tlb_place){t, slot};
        }
    return (struct tlb_place){NULL, TLB_NONE};
}

/* choose returns the array that a page of that size goes to. */
static struct tlb *choose(struct tlb_group *g, uint64_t addr, enum page_size size)
{
    struct tlb *taker[3];
    unsigned n = 0;
    for (unsigned i = 0; i < g->n; i++)
        if (g->array[i]->sizes & 1u << size)
            taker[n++] = g->array[i];
    if (n == 1)
        return taker[0];
    for (unsigned i = 0; i < n; i++)
        if (tlb_has_room(taker[i], addr, size))
            return taker[i];
    return taker[g->turn++ % n];
}

void group_fill(struct tlb_group *g, uint64_t addr, enum page_size size, unsigned pcid,
                uint64_t val)
{
    enum page_size piece = size;
    while (!(g->sizes & 1u << piece)) {
        if (piece == SIZE_4K)
            return;
        piece--;
    }
    uint64_t offset = addr & (BIT(page_size_shift(size)) - 1);
    val |= align_down(offset, BIT(page_size_shift(piece)));
    tlb_insert(choose(g, addr, piece), addr, piece, pcid, val);
}

void group_erase(struct tlb_group *g, uint64_t addr, unsigned pcid)
{
    for (;;) {
        struct tlb_place p = group_find(g, addr, pcid);
        if (p.tlb == NULL)
            return;
        tlb_erase(p.tlb, p.slot);
    }
}
