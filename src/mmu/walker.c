/* walker.c: the page walker.
 *
 *   walk caches, lowest level first          loads of entries, each through L1D L2 L3 DRAM
 *   PDE ── PDPTE ── PML4E ── PML5E ── root    ► level ► … ► leaf
 *    └ longest match: go on below it                        │
 *                                   not present, reserved ──┤──► fault: nothing is set or cached
 *                                   rights of all levels ───┤
 *                                   A in every entry loaded, D in the leaf of a store
 *                                   non-leaf entries into the walk caches
 *
 * Invariants:
 *  I1  A walk cache holds only present entries without reserved bits whose A bit is set in memory.
 *  I2  A faulting walk changes no entry, and leaves nothing of its address in the walk caches.
 * Source: Intel SDM vol. 3A, 4.5 (walk), 4.6 (rights), 4.7 (error code), 4.8 (A and D), 4.10.3
 * (walk caches: the combined rights of the levels above are part of the entry), 4.10.4.1 (a page
 * fault invalidates what its address used).
 */
#include "base/check.h"
#include "mmu/mmu_int.h"

const struct tlb_rights tlb_rights[3][2] = {
    [ACCESS_LOAD] = {{0, 0}, {PTE_US, 0}},
    [ACCESS_STORE] = {{PTE_RW | PTE_D, 0}, {PTE_US | PTE_RW | PTE_D, 0}},
    [ACCESS_FETCH] = {{0, PTE_NX | PTE_US}, {PTE_US, PTE_NX}}, /* the kernel's: SMEP */
};

/* A walk under way. */
struct walk {
    vaddr addr;
    enum access_kind kind;
    bool kernel;                   /* the kernel walks its own half: counted in the rows with :k */
    unsigned level;                /* of the entry that is looked at */
    unsigned first;                /* level of the first entry loaded */
    pfn table;                     /* the table that holds the entry */
    uint64_t rights;               /* W and U of all levels so far together, NX of any */
    uint64_t below[PT_LEVELS_MAX]; /* next table and rights after each level, for walk caches */
    pte *entry[PT_LEVELS_MAX];     /* entries loaded, by level */
    uint32_t cycles;
};

static uint64_t covered(vaddr a, unsigned level)
{
    return align_down(a.v, BIT(pt_level_shift(level)));
}

/* start finds the longest match in the walk caches. */
static void start(struct mmu_core *c, struct walk *w)
{
    static const enum stat_id hit[2][PT_LEVELS_MAX] = {
        {STAT_pwc_miss, STAT_pwc_pde_hit, STAT_pwc_pdpte_hit, STAT_pwc_pml4e_hit,
         STAT_pwc_pml5e_hit},
        {STAT_k_pwc_miss, STAT_k_pwc_pde_hit, STAT_k_pwc_pdpte_hit, STAT_k_pwc_pml4e_hit,
         STAT_k_pwc_pml5e_hit}};
    w->cycles = c->walk_cycles;
    for (unsigned level = 1; level < c->levels; level++) {
        struct tlb *t = &c->walk[level];
        uint32_t slot = tlb_find(t, covered(w->addr, level), SIZE_4K, c->pcid);
        if (slot == TLB_NONE)
            continue;
        tlb_touch(t, slot);
        c->stats->v[hit[w->kernel][level]]++;
        w->first = w->level = level - 1;
        w->table = pte_pfn((pte){t->vals[slot]});
        w->rights = t->vals[slot] & (PTE_RW | PTE_US | PTE_NX);
        return;
    }
    c->stats->v[hit[w->kernel][0]]++;
    w->first = w->level = c->levels - 1;
    w->table = c->root;
    w->rights = PTE_RW | PTE_US;
}

/* load reads the entry through the caches, as any load. */
static pte load(struct mmu_core *c, struct walk *w)
{
    static const enum stat_id stats[2][2][MEM_LEVEL_NR] = {
        {{STAT_walker_dtlb_l1, STAT_walker_dtlb_l2, STAT_walker_dtlb_l3, STAT_walker_dtlb_memory},
         {STAT_walker_itlb_l1, STAT_walker_itlb_l2, STAT_walker_itlb_l3, STAT_walker_itlb_memory}},
        {{STAT_k_walker_dtlb_l1, STAT_k_walker_dtlb_l2, STAT_k_walker_dtlb_l3,
          STAT_k_walker_dtlb_memory},
         {STAT_k_walker_itlb_l1, STAT_k_walker_itlb_l2, STAT_k_walker_itlb_l3,
          STAT_k_walker_itlb_memory}}};
    unsigned i = pt_index(w->addr, w->level);
    uint64_t where = pfn_paddr(w->table).v + i * sizeof(pte);
    enum mem_level level = cache_data(&c->caches, where >> LINE_SHIFT);
    c->stats->v[stats[w->kernel][w->kind == ACCESS_FETCH][level]]++;
    w->cycles += c->latency[level];
    w->entry[w->level] = &phys_table(c->phys, w->table)[i];
    return *w->entry[w->level];
}

/* descend loads entries down to the leaf. 0, or 1 with the error bits that the entry makes. */
static int descend(struct mmu_core *c, struct walk *w, pte *ret_leaf, uint32_t *ret_code)
{
    for (;; w->level--) {
        pte e = load(c, w);
        if (!pte_present(e))
            return *ret_code = 0, 1;
        if (pte_reserved(e, w->level, c->phys_bits, c->gib_pages) != 0)
            return *ret_code = FAULT_P | FAULT_RSVD, 1;
        w->rights = (w->rights & e.v & (PTE_RW | PTE_US)) | ((w->rights | e.v) & PTE_NX);
        if (pte_is_leaf(e, w->level))
            return *ret_leaf = e, 0;
        w->table = pte_pfn(e);
        w->below[w->level] = (e.v & PTE_ADDR_MASK) | w->rights;
    }
}

/* mark sets A in every entry loaded (the ones above are cached, so theirs is set) and D. */
static void mark(struct mmu_core *c, struct walk *w)
{
    for (unsigned level = w->level; level <= w->first; level++)
        if (!(w->entry[level]->v & PTE_A)) {
            w->entry[level]->v |= PTE_A;
            STAT(c->stats, walk_set_accessed)++;
        }
    if (w->kind == ACCESS_STORE && !(w->entry[w->level]->v & PTE_D)) {
        w->entry[w->level]->v |= PTE_D;
        STAT(c->stats, walk_set_dirty)++;
    }
}

/* keep fills the walk caches with the non-leaf entries loaded, and the host's prefetch hint. */
static void keep(struct mmu_core *c, const struct walk *w)
{
    for (unsigned level = w->level + 1; level <= w->first; level++)
        if (c->walk[level].sizes != 0)
            tlb_insert(&c->walk[level], covered(w->addr, level), SIZE_4K, c->pcid, w->below[level]);
    if (w->level == 0)
        c->hint[(w->addr.v >> 21) % WALK_HINTS] =
            (struct walk_hint){(w->addr.v >> 21) + 1, w->entry[0] - pt_index(w->addr, 0)};
}

int walk_page(struct mmu_core *c, vaddr a, enum access_kind kind, bool user,
              struct walk_result *ret, uint32_t *ret_code)
{
    struct walk w; /* filled in as far as it goes */
    w.addr = a;
    w.kind = kind;
    w.kernel = !user && vaddr_is_kernel(a);
    pte leaf = {0};
    uint32_t code = FAULT_P;
    start(c, &w);
    int failed = descend(c, &w, &leaf, &code);
    ret->cycles = w.cycles;
    if (failed || !tlb_permits(w.rights | PTE_D, kind, user)) {
        mmu_drop_walk(c, a.v, c->pcid); /* I2 */
        *ret_code = code | (kind == ACCESS_STORE ? FAULT_W : 0) | (user ? FAULT_U : 0) |
                    (kind == ACCESS_FETCH ? FAULT_I : 0);
        return 1;
    }
    mark(c, &w);
    keep(c, &w);
    ret->size = (enum page_size)w.level;
    ret->val = pfn_paddr(pte_leaf_pfn(leaf, w.level)).v | w.rights |
               (w.entry[w.level]->v & (PTE_D | PTE_G)) | (uint64_t)w.level << VAL_PAGE_SHIFT;
    return 0;
}
