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

void group_open(struct tlb_group *g, struct tlb *a, struct tlb *b, struct tlb *c)
{
    struct tlb *const all[] = {a, b, c};
    *g = (struct tlb_group){0};
    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->sizes != 0) {
            g->array[g->n++] = all[i];
            g->sizes |= all[i]->sizes;
        }
    for (enum page_size size = SIZE_4K; size < SIZE_NR; size++)
        for (unsigned i = 0; i < g->n; i++)
            if (g->array[i]->sizes & 1u << size)
                g->probe[g->probes++] = (struct tlb_probe){g->array[i], size};
    for (unsigned i = 0; i < g->n; i++)
        if (g->array[i]->sizes & TLB_SIZES_4K)
            g->small[g->smalls++] = g->array[i];
}

/* choose returns the array that a page of that size goes to. */
static struct tlb *choose(struct tlb_group *g, uint64_t addr, enum page_size size)
{
    if (g->n == 1)
        return g->array[0];
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

void group_fill_plain(struct tlb_group *g, uint64_t addr, uint64_t tag, uint64_t val)
{
    struct tlb *t = g->small[0];
    if (g->smalls > 1) {
        for (unsigned i = 0; i < g->smalls; i++) {
            t = g->small[i];
            if (unlikely(t->room[tlb_set(t, addr >> PAGE_SHIFT)] < t->ways) &&
                tlb_has_room(t, addr, SIZE_4K)) {
                tlb_insert_plain(t, addr, tag, val);
                return;
            }
        }
        t = g->small[g->smalls == 2 ? g->turn & 1 : g->turn % g->smalls];
        g->turn++;
    }
    tlb_insert_plain(t, addr, tag, val);
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
