/* mmu_int.h: what the files of mmu/ say to each other. */
#ifndef MMU_MMU_INT_H
#define MMU_MMU_INT_H

#include "mmu/mmu_hot.h"

/* Where in a group a translation was found. */
struct tlb_place {
    struct tlb *tlb; /* NULL: nowhere */
    uint32_t slot;
};

/* group_open makes a group of those of three arrays that exist. */
void group_open(struct tlb_group *g, struct tlb *a, struct tlb *b, struct tlb *c);
/* group_find looks an address up: sizes from small to large, arrays in order. Nothing changes. */
static inline struct tlb_place group_find(const struct tlb_group *g, uint64_t addr, unsigned pcid)
{
    for (const struct tlb_probe *p = g->probe; p < g->probe + g->probes; p++) {
        if ((p->tlb->count[p->size][0] | p->tlb->count[p->size][1]) == 0)
            continue;
        uint32_t slot = tlb_find(p->tlb, addr, p->size, pcid);
        if (slot != TLB_NONE)
            return (struct tlb_place){p->tlb, slot};
    }
    return (struct tlb_place){NULL, TLB_NONE};
}
/* group_fill caches a translation of that size, broken into the largest size the group takes; into
 * the first array with an empty way, else into the arrays in turn. */
void group_fill(struct tlb_group *g, uint64_t addr, enum page_size size, unsigned pcid,
                uint64_t val);
/* group_fill_plain is group_fill of a plain 4 KiB translation into a group that holds nothing else and
 * takes that size. */
void group_fill_plain(struct tlb_group *g, uint64_t addr, uint64_t tag, uint64_t val);
/* group_erase removes what group_find would find, until it finds nothing. */
void group_erase(struct tlb_group *g, uint64_t addr, unsigned pcid);

/* tlb_permits says whether a value has the rights for an access; for a store, D among them. */
static inline bool tlb_permits(uint64_t val, enum access_kind kind, bool user)
{
    const struct tlb_rights *r = &tlb_rights[kind][user];
    return (val & (r->need | r->forbid)) == r->need;
}

/* The result of a walk. */
struct walk_result {
    uint64_t val;        /* the translation, as a TLB of that size keeps it */
    enum page_size size; /* of the page */
    uint32_t cycles;     /* the walker was busy */
};

/* walk_page walks the page tables, sets A and D, fills the walk caches. 0, or 1 if it faulted: then
 * *ret_code is the error code, no bit was set, and the walk caches lost what the address used. */
int walk_page(struct mmu_core *c, vaddr a, enum access_kind kind, bool user,
              struct walk_result *ret, uint32_t *ret_code);

/* mmu_drop_page erases a page from every TLB array. */
void mmu_drop_page(struct mmu_core *c, uint64_t addr, unsigned pcid, bool globals);
/* mmu_drop_walk erases from the walk caches what the walk of one address would use. */
void mmu_drop_walk(struct mmu_core *c, uint64_t addr, unsigned pcid);

#endif
