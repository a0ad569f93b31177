/* zap.c: taking pages out of an address space, and the flush that goes with it.
 *
 *   call ─► gather_init ─► zap_range … free_pgtables ─► gather_finish ─► one ARCH_FLUSH_RANGE
 *                            │ entry = 0, rss − 1
 *                            └► page_remove_rmap ─► anon: frame freed with its last entry
 *                                                   file: back to FRAME_PAGE_CACHE
 *
 * I1  A present entry that is cleared, write-protected or changed is covered by the flush of its
 *     call. Filling none entries is not: nothing was cached of them.
 *
 * Source: Linux 6.18 mm/memory.c (zap_pte_range, free_pgtables), mm/mmu_gather.c, mm/rmap.c.
 */
#include "mm/mm_int.h"

void gather_init(struct gather *g, struct mm *m)
{
    *g = (struct gather){.m = m, .start = UINT64_MAX};
}

void gather_page(struct gather *g, vaddr a)
{
    g->start = min_u64(g->start, a.v);
    g->end = max_u64(g->end, a.v + PAGE_SIZE);
    g->shift = PAGE_SHIFT;
}

void gather_huge_page(struct gather *g, uint64_t at)
{
    g->start = min_u64(g->start, at);
    g->end = max_u64(g->end, at + HPAGE_PMD_SIZE);
    if (g->shift == 0)
        g->shift = HPAGE_PMD_ORDER + PAGE_SHIFT;
}

void gather_finish(struct gather *g)
{
    if (g->zapped > 0)
        arch_step(g->m->sys->outbox, STEP_ZAP, g->zapped);
    if (g->start < g->end)
        arch_send(g->m->sys->outbox, ARCH_FLUSH_RANGE, g->shift ? g->shift : PAGE_SHIFT, g->start,
                  g->end);
}

/* -- runs of entries ------------------------------------------------------------------------- */

/* keeps_huge: the caller takes the huge entry at r->a as it is. */
static bool keeps_huge(const struct pt_run *r)
{
    uint64_t size = BIT(pt_level_shift(r->level));
    return r->huge == RUN_LOOK ||
           (r->huge == RUN_WHOLE && r->a.v % size == 0 && r->end.v - r->a.v >= size);
}

bool run_next(struct mm *m, struct pt_run *r)
{
    if (r->e && r->level > 0) {
        uint64_t size = BIT(pt_level_shift(r->level));
        r->a.v = align_down(r->a.v, size) + size;
    } else if (r->e) {
        do {
            r->a.v += PAGE_SIZE;
            r->e++;
            r->at.v += sizeof(pte);
        } while (r->a.v < r->table_end && pte_none(*r->e));
        if (r->a.v < r->table_end)
            return true;
    }
    for (;;) {
        r->a = pt_next(&m->pt, r->a, r->end);
        if (r->a.v >= r->end.v)
            return false;
        r->e = pt_leaf(&m->pt, r->a, &r->level);
        if (r->level == 0 || keeps_huge(r))
            break;
        split_huge_pmd(m, r->a); /* a file's is gone then */
    }
    r->at = pt_entry_paddr(&m->pt, r->a, r->level);
    r->table_end = min_u64(r->end.v, align_down(r->a.v, MIB(2)) + MIB(2));
    return true;
}

void run_set(struct mm *m, const struct pt_run *r, pte value)
{
    *r->e = value;
    kernel_write(m->sys, r->at, sizeof(pte));
}

/* -- zapping --------------------------------------------------------------------------------- */

void zap_accessed(const struct mm *m, vaddr a, pfn n)
{
    const struct vma *v = vma_lookup(m, a.v);
    if (!v || !(v->flags & (VM_SEQ_READ | VM_RAND_READ))) /* vma_has_recency */
        folio_mark_accessed(m->sys, folio_head(m->sys, n));
}

/* zap_present says whether the page of a present entry goes, and if so forgets the mapping. *folio is
 * that of the entries before. */
static bool zap_present(struct mm *m, const struct pt_run *r, unsigned flags, pfn *folio)
{
    pfn n = pte_pfn(*r->e), head;
    struct frame *f = vm_normal_page(m, *r->e);
    if (!f)
        return true;
    bool anon = f->owner == FRAME_USER_ANON;
    if (anon && !(flags & ZAP_EVEN_COWS))
        return false;
    if (!anon && (r->e->v & PTE_D))
        folio_mark_dirty(m->sys, n);
    if (!anon && (r->e->v & PTE_A))
        zap_accessed(m, r->a, n);
    munlock_vma_folio(m, r->a, n);
    head = folio_head(m->sys, n);
    if (folio->v != head.v)
        folio_end_batch(m->sys, *folio);
    *folio = head;
    page_remove_rmap_batch(m, n);
    return true;
}

/* zap_nonpresent is zap_nonpresent_ptes: true if the entry goes. */
static bool zap_nonpresent(struct mm *m, pte e, unsigned flags)
{
    if (pte_is_swap_slot(e)) {
        if (flags & ZAP_EVEN_COWS) {
            m->cnt.swapents--;
            free_swap_and_cache(m->sys, (pte){e.v & ~PTE_SWP_EXCLUSIVE});
        }
        return flags & ZAP_EVEN_COWS;
    }
    CHECK(swp_type(e) == SWP_MARKER);
    return flags & ZAP_DROP_MARKER;
}

void zap_range(struct gather *g, uint64_t start, uint64_t end, unsigned flags)
{
    struct mm *m = g->m;
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_WHOLE};
    pfn folio = {0}; /* of the entries before: frame 0 is nobody's */
    while (run_next(m, &r)) {
        if (r.level > 0) {
            zap_huge_pmd(g, &r);
            continue;
        }
        bool page = !pte_is_swap(*r.e);
        if (page ? !zap_present(m, &r, flags, &folio) : !zap_nonpresent(m, *r.e, flags))
            continue;
        run_set(m, &r, (pte){0});
        if (page)
            gather_page(g, r.a);
        g->zapped++;
    }
    folio_end_batch(m->sys, folio);
}

void free_pgtables(struct gather *g, uint64_t start, uint64_t end, uint64_t floor, uint64_t ceiling)
{
    if (pt_free_tables(&g->m->pt, va(start), va(end), va(floor), va(ceiling)) > 0)
        gather_page(g, va(start)); /* the walk caches hold what pointed to them */
}
