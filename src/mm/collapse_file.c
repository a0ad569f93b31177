/* collapse_file.c: small pages of a file in memory that become a huge one.
 *
 *   collapse_scan_file ─ 512 pages of the cache worth it? ─► collapse_file
 *        allocate ─► bring pages back from swap ─► unmap, copy, replace in the cache ─► retract_page_tables:
 *        every VMA that has the range at 2 MiB, and nothing of its own in it, loses its table
 *   collapse_pte_mapped_thp ─ the caller's table, whose entries map this folio, goes too ─► do_set_pmd
 *
 * I1  Nobody's rss grows but the caller's; who mapped a page before finds it again by a fault.
 * I2  Between looking and replacing the pages carry FRAME_F_LOCKED: room is made elsewhere.
 *
 * Source: Linux 6.18 mm/khugepaged.c (hpage_collapse_scan_file, collapse_file, retract_page_tables,
 * collapse_pte_mapped_thp, set_huge_pmd, hpage_collapse_find_target_node).
 */
#include "mm/mm_int.h"

/* One look at the pages of 2 MiB. */
struct look {
    struct mm *m;
    struct mm_file *f;
    uint64_t start;            /* first page, a multiple of 512 */
    bool khugepaged;           /* the limits count */
    unsigned present, swap;    /* pages in the cache, and in swap */
    uint64_t load[NUMA_NODES]; /* pages in the cache, by node */
};

/* -- looking --------------------------------------------------------------------------------- */

/* look_at_folio asks the folio of a page of the cache. */
static enum scan_result look_at_folio(struct look *c, pfn n)
{
    struct mm_sys *s = c->m->sys;
    pfn head = folio_head(s, n);
    const struct frame *f = phys_frame(s->phys, head);
    if (f->order == HPAGE_PMD_ORDER)
        return SCAN_PTE_MAPPED_HUGEPAGE;
    if (!(f->flags & FRAME_F_LRU))
        return SCAN_PAGE_LRU;
    if (f->refs != folio_mapcount(s, head) + 1)
        return SCAN_PAGE_COUNT;
    c->load[f->nid]++;
    c->present++;
    return SCAN_SUCCEED;
}

static enum scan_result look_at_page(struct look *c, uint64_t pgoff)
{
    struct mm_sys *s = c->m->sys;
    pte entry;
    pfn n;
    if (filemap_cached_at(c->f, pgoff, &n))
        return look_at_folio(c, n);
    if (!filemap_swapped(c->f, pgoff, &entry) || ++c->swap <= s->conf.khugepaged_max_ptes_swap ||
        !c->khugepaged)
        return SCAN_SUCCEED;
    STAT(s->stats, thp_scan_exceed_swap_pte)++;
    return SCAN_EXCEED_SWAP_PTE;
}

/* -- replacing ------------------------------------------------------------------------------- */

/* target_node is the one most of the pages are on (hpage_collapse_find_target_node). */
static unsigned target_node(const struct look *c)
{
    unsigned best = 0;
    for (unsigned nid = 1; nid < NUMA_NODES; nid++)
        if (c->load[nid] > c->load[best])
            best = nid;
    return best;
}

static int alloc_folio(const struct look *c, pfn *ret)
{
    struct mm_sys *s = c->m->sys;
    const struct mpol_pick pick = {.nid = target_node(c)};
    struct mm_req req = {.order = HPAGE_PMD_ORDER,
                         .gfp = GFP_USER,
                         .owner = FRAME_SHMEM,
                         .m = c->m,
                         .pick = &pick,
                         .flags = REQ_MAY_FAIL};
    if (mm_alloc(s, &req, ret) != 0) {
        STAT(s->stats, thp_collapse_alloc_failed)++;
        return -ENOMEM;
    }
    STAT(s->stats, thp_collapse_alloc)++;
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_CHARGE, 1);
    return 0;
}

/* lock_page keeps a page of the range in the cache (I2), which it may have to be brought back to. */
static enum scan_result lock_page(const struct look *c, uint64_t pgoff, unsigned *none)
{
    struct mm_sys *s = c->m->sys;
    pfn n;
    if (filemap_swapin(s, c->f, NULL, va(0), pgoff) < 0)
        return SCAN_FAIL;
    if (!filemap_cached_at(c->f, pgoff, &n)) {
        ++*none;
        return SCAN_SUCCEED;
    }
    lru_add_drain(s);
    struct frame *f = phys_frame(s->phys, folio_head(s, n));
    if (!(f->flags & FRAME_F_LRU))
        return SCAN_DEL_PAGE_LRU;
    f->flags |= FRAME_F_LOCKED;
    return SCAN_SUCCEED;
}

static void unlock_pages(const struct look *c)
{
    struct mm_sys *s = c->m->sys;
    for (uint64_t i = c->start; i < c->start + HPAGE_PMD_NR; i++) {
        pfn n;
        if (filemap_cached_at(c->f, i, &n))
            phys_frame(s->phys, folio_head(s, n))->flags &= ~FRAME_F_LOCKED;
    }
}

/* lock_pages does so for all, and charges what will be there and was not (shmem_charge). */
static enum scan_result lock_pages(const struct look *c)
{
    enum scan_result r = SCAN_SUCCEED;
    unsigned none = 0;
    for (uint64_t i = c->start; i < c->start + HPAGE_PMD_NR && r == SCAN_SUCCEED; i++)
        r = lock_page(c, i, &none);
    if (r == SCAN_SUCCEED && none == HPAGE_PMD_NR)
        return SCAN_TRUNCATED;
    if (r == SCAN_SUCCEED && shmem_charge(c->m, c->f, none) != 0)
        r = SCAN_FAIL;
    return r;
}

/* copy_folio moves a folio of the cache into the new one and frees it. */
static void copy_folio(const struct look *c, pfn old, pfn to)
{
    struct mm_sys *s = c->m->sys;
    uint64_t nr = folio_nr_pages(s, old);
    unmap_file_folio(s, old);
    phys_frame(s->phys, old)->flags &= ~FRAME_F_LOCKED;
    copy_frames(s, old, to, nr);
    shmem_acct_page(s, c->f, (int64_t)nr); /* the new folio takes the charge over */
    filemap_remove_folio(s, old);
}

static void fill_folio(const struct look *c, pfn head)
{
    struct mm_sys *s = c->m->sys;
    for (uint64_t i = 0, nr; i < HPAGE_PMD_NR; i += nr) {
        pfn n, to = {head.v + i};
        nr = 1;
        if (filemap_cached_at(c->f, c->start + i, &n)) {
            nr = folio_nr_pages(s, n);
            copy_folio(c, n, to);
        } else {
            clear_frames(s, to, 1);
        }
    }
}

/* collapse_flush frees an empty table: pmdp_collapse_flush. */
static void collapse_flush(struct mm *m, uint64_t at)
{
    pt_free_tables(&m->pt, va(at), va(at + HPAGE_PMD_SIZE), va(at), va(at + HPAGE_PMD_SIZE), NULL);
    flush_pmd_tlb_range(m, at);
}

/* retract takes the table of a VMA that has the range at `at`. */
static void retract(struct vma *v, uint64_t at)
{
    const pte *pmd = pt_lookup(&v->m->pt, va(at), 1);
    if (v->anon_vma || (v->flags & VM_MAYBE_GUARD) || (at & (HPAGE_PMD_SIZE - 1)) ||
        v->end.v < at + HPAGE_PMD_SIZE || !pmd || pte_none(*pmd) || pte_is_leaf(*pmd, 1))
        return;
    collapse_flush(v->m, at);
}

static void retract_page_tables(struct mm_file *f, uint64_t start)
{
    struct itree_node *n = itree_first(&f->mapped, start, start);
    for (; n; n = itree_next(n, start, start)) {
        struct vma *v = CONTAINER(n, struct vma, in_file);
        retract(v, v->start.v + ((start - v->pgoff) << PAGE_SHIFT));
    }
}

static enum scan_result collapse_file(const struct look *c)
{
    struct mm_sys *s = c->m->sys;
    pfn head;
    if (alloc_folio(c, &head) != 0)
        return SCAN_ALLOC_HUGE_PAGE_FAIL;
    enum scan_result r = lock_pages(c);
    if (r != SCAN_SUCCEED) {
        unlock_pages(c);
        phys_free(s->phys, head, HPAGE_PMD_ORDER);
        return r;
    }
    fill_folio(c, head);
    unmap_flush_end(s);
    phys_frame(s->phys, head)->flags |= FRAME_F_DIRTY;
    filemap_add_folio(s, c->f, c->start, head);
    retract_page_tables(c->f, c->start);
    return c->khugepaged ? SCAN_SUCCEED : SCAN_PTE_MAPPED_HUGEPAGE;
}

enum scan_result collapse_scan_file(struct mm *m, struct mm_file *f, uint64_t start,
                                    bool khugepaged)
{
    struct mm_sys *s = m->sys;
    struct look c = {.m = m, .f = f, .start = start, .khugepaged = khugepaged};
    enum scan_result r = SCAN_SUCCEED;
    for (uint64_t i = start; i < start + HPAGE_PMD_NR && r == SCAN_SUCCEED; i++)
        r = look_at_page(&c, i);
    if (r != SCAN_SUCCEED)
        return r;
    if (khugepaged && c.present + s->conf.khugepaged_max_ptes_none < HPAGE_PMD_NR) {
        STAT(s->stats, thp_scan_exceed_none_pte)++;
        return SCAN_EXCEED_NONE_PTE;
    }
    return collapse_file(&c);
}

/* -- mapping what is huge already --------------------------------------------------------------- */

/* maps_only: all entries of a table map their page of the folio, or nothing. */
static enum scan_result maps_only(const pte *table, pfn head)
{
    for (unsigned i = 0; i < HPAGE_PMD_NR; i++) {
        if (pte_none(table[i]))
            continue;
        if (pte_is_swap(table[i]))
            return SCAN_PTE_NON_PRESENT;
        if ((table[i].v & PTE_SPECIAL) || pte_pfn(table[i]).v != head.v + i)
            return SCAN_FAIL;
    }
    return SCAN_SUCCEED;
}

/* drop_table takes the entries of a table away, which all map pages of one folio, and the table. */
static void drop_table(struct mm *m, vaddr at)
{
    struct pt_run r = {.a = at, .end = va(at.v + HPAGE_PMD_SIZE)};
    for (uint64_t row = 0; run_next(m, &r); row--) {
        pfn n = pte_pfn(*r.e);
        if (row == 0) { /* of entries that are cleared, and unlock the folio, at once */
            row = folio_pte_batch(m->sys, &r, folio_head(m->sys, n));
            munlock_vma_folio(m, r.a, n);
        }
        run_set(m, &r, (pte){0});
        page_remove_rmap(m, n);
    }
    collapse_flush(m, at.v);
}

enum scan_result collapse_pte_mapped_thp(struct mm *m, const struct vma *v, vaddr at, bool install)
{
    const pte *pmd = pt_lookup(&m->pt, at, 1);
    enum scan_result r = SCAN_SUCCEED;
    pfn head;
    if (pmd && !pte_none(*pmd) && pte_is_leaf(*pmd, 1))
        return SCAN_PMD_MAPPED;
    if (!filemap_cached_at(v->file, vma_pgoff_at(v, at), &head))
        return SCAN_PAGE_NULL;
    if (phys_frame(m->sys->phys, head)->order != HPAGE_PMD_ORDER)
        return SCAN_PAGE_COMPOUND;
    if (pmd && !pte_none(*pmd)) {
        r = maps_only(pt_lookup(&m->pt, at, 0), head);
        if (r != SCAN_SUCCEED)
            return r;
        drop_table(m, at);
    }
    return !install || do_set_pmd(m, v, at, head, false) ? SCAN_SUCCEED : SCAN_FAIL;
}
