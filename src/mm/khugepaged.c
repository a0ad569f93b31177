/* khugepaged.c: small pages that become a huge one after the fact.
 *
 *   mm_tick ─► khugepaged, every scan_sleep ─► mm by mm, VMA by VMA, 2 MiB by 2 MiB ─┐
 *   madvise(MADV_COLLAPSE) ──────────────────────────────────────────────────────────┤
 *                                                                                    ▼
 *   scan_pmd: are 512 entries worth it? ─► collapse_huge_page: allocate, copy, swap the table for
 *   a huge entry; the table stays as its deposit
 *
 * khugepaged obeys max_ptes_none, max_ptes_swap, max_ptes_shared and wants one referenced page;
 * MADV_COLLAPSE does not, nor does it ask sysfs.
 *
 * I1  A collapse changes no rss but for entries that were none or the zero page, and no fault count.
 * I2  The cursor points to an address space on the list, or to none: then a pass begins.
 *
 * Source: Linux 6.18 mm/khugepaged.c (hpage_collapse_scan_pmd, hpage_collapse_find_target_node, collapse_huge_page,
 * __collapse_huge_page_isolate, __collapse_huge_page_copy, khugepaged_scan_mm_slot,
 * khugepaged_do_scan, madvise_collapse, madvise_collapse_errno).
 */
#include "mm/mm_int.h"

/* One look at 2 MiB. */
struct scan {
    struct mm *m;
    struct vma *vma;
    uint64_t at;     /* first address, a multiple of 2 MiB */
    bool khugepaged; /* not MADV_COLLAPSE: the limits count */
    unsigned none, swap, shared, referenced;
    unsigned node_load[NUMA_NODES]; /* pages of each node */
};

/* -- looking --------------------------------------------------------------------------------- */

static enum scan_result scan_page(struct scan *c, pte e)
{
    struct mm_sys *s = c->m->sys;
    pfn head = folio_head(s, pte_pfn(e));
    const struct frame *f = phys_frame(s->phys, head);
    uint64_t cached = f->flags & FRAME_F_SWAPCACHE ? folio_nr_pages(s, head) : 0;
    if (folio_maybe_mapped_shared(s, head) && ++c->shared > s->conf.khugepaged_max_ptes_shared &&
        c->khugepaged) {
        STAT(s->stats, thp_scan_exceed_share_pte)++;
        return SCAN_EXCEED_SHARED_PTE;
    }
    c->node_load[f->nid]++;
    if (!(f->flags & FRAME_F_LRU))
        return SCAN_PAGE_LRU;
    if (f->refs != folio_mapcount(s, head) + cached)
        return SCAN_PAGE_COUNT;
    c->referenced += (e.v & PTE_A) || (f->flags & FRAME_F_REFERENCED);
    return SCAN_SUCCEED;
}

static enum scan_result scan_entry(struct scan *c, pte e)
{
    struct mm_sys *s = c->m->sys;
    if (pte_is_swap(e)) {
        if (++c->swap <= s->conf.khugepaged_max_ptes_swap || !c->khugepaged)
            return SCAN_SUCCEED;
        STAT(s->stats, thp_scan_exceed_swap_pte)++;
        return SCAN_EXCEED_SWAP_PTE;
    }
    if (pte_none(e) || (e.v & PTE_SPECIAL)) {
        if (++c->none <= s->conf.khugepaged_max_ptes_none || !c->khugepaged)
            return SCAN_SUCCEED;
        STAT(s->stats, thp_scan_exceed_none_pte)++;
        return SCAN_EXCEED_NONE_PTE;
    }
    return scan_page(c, e);
}

/* scan_table looks at all 512 entries. */
static enum scan_result scan_table(struct scan *c, const pte *table)
{
    enum scan_result r = SCAN_SUCCEED;
    for (unsigned i = 0; i < HPAGE_PMD_NR && r == SCAN_SUCCEED; i++)
        r = scan_entry(c, table[i]);
    if (r == SCAN_SUCCEED && c->khugepaged &&
        (c->referenced == 0 || (c->swap > 0 && c->referenced < HPAGE_PMD_NR / 2)))
        r = SCAN_LACK_REFERENCED_PAGE;
    return r;
}

/* -- collapsing ------------------------------------------------------------------------------ */

/* swap_in brings the pages of swap entries back (__collapse_huge_page_swapin). A marker stands for
 * no page: it stays in the way. */
static enum scan_result swap_in(const struct scan *c, const pte *table)
{
    for (unsigned i = 0; i < HPAGE_PMD_NR; i++) {
        if (!pte_is_swap(table[i]))
            continue;
        if (swp_type(table[i]) >= SWP_HWPOISON ||
            faultin_page(c->m, c->vma, va(c->at + i * PAGE_SIZE), false) != 0)
            return SCAN_FAIL;
    }
    return SCAN_SUCCEED;
}

/* all_present: the allocation and the swapping in may have made room by swapping other pages of the
 * range out (__collapse_huge_page_isolate: SCAN_PTE_NON_PRESENT). */
static bool all_present(const pte *table)
{
    for (unsigned i = 0; i < HPAGE_PMD_NR; i++)
        if (pte_is_swap(table[i]))
            return false;
    return true;
}

/* munlock_isolated: a large folio is off its list while its entries go, a small one is back on it: both
 * forget how many had locked them (release_pte_folio; lru_add of swap.c). */
static void munlock_isolated(const struct scan *c, vaddr a, pfn head)
{
    struct mm_sys *s = c->m->sys;
    if (!(phys_frame(s->phys, head)->flags & FRAME_F_MLOCKED))
        return;
    bool isolated = folio_isolate_lru(s, head), large = folio_nr_pages(s, head) > 1;
    if (isolated && !large)
        folio_putback_lru(s, head);
    munlock_vma_folio(c->m, a, head);
    if (isolated && large)
        folio_putback_lru(s, head);
}

/* copy_page moves what entry i maps to its frame of the new folio. */
static void copy_page(const struct scan *c, pte *table, pfn to, unsigned i)
{
    struct mm_sys *s = c->m->sys;
    pte e = table[i];
    table[i] = (pte){0};
    if (pte_none(e) || (e.v & PTE_SPECIAL)) {
        clear_frames(s, to, 1);
        return;
    }
    copy_frames(s, pte_pfn(e), to, 1);
    munlock_isolated(c, va(c->at + i * PAGE_SIZE), folio_head(s, pte_pfn(e)));
    page_remove_rmap(c->m, pte_pfn(e));
}

/* find_target_node: the huge page comes from the node that has most of the small ones, whatever the
 * policy says; from several only if they have equally many. */
static struct mpol_pick find_target_node(const struct scan *c)
{
    struct mpol_pick pick = {0};
    for (unsigned nid = 0; nid < phys_nodes(c->m->sys->phys); nid++) {
        unsigned load = c->node_load[nid], most = c->node_load[pick.nid];
        if (load > most)
            pick = (struct mpol_pick){.nid = nid};
        if (load >= most)
            pick.nodes |= BIT(nid);
    }
    return pick;
}

static enum scan_result collapse_huge_page(const struct scan *c, pte *table)
{
    struct mm *m = c->m;
    struct mm_sys *s = m->sys;
    vaddr at = va(c->at);
    pfn head;
    struct mpol_pick pick = find_target_node(c);
    if (folio_alloc_collapse(m, c->vma, at, &pick, &head) != 0) {
        STAT(s->stats, thp_collapse_alloc_failed)++;
        return SCAN_ALLOC_HUGE_PAGE_FAIL;
    }
    STAT(s->stats, thp_collapse_alloc)++;
    if ((c->swap > 0 && swap_in(c, table) != SCAN_SUCCEED) || !all_present(table)) {
        phys_free(s->phys, head, HPAGE_PMD_ORDER);
        return SCAN_FAIL;
    }
    flush_pmd_tlb_range(m, c->at); /* pmdp_collapse_flush */
    for (unsigned i = 0; i < HPAGE_PMD_NR; i++)
        copy_page(c, table, (pfn){head.v + i}, i);
    kernel_write(s, pt_entry_paddr(&m->pt, at, 0), PAGE_SIZE);
    pt_deposit_table(&m->pt, at, pt_unlink(&m->pt, at));
    huge_map_collapsed(m, c->vma, at, head);
    return SCAN_SUCCEED;
}

/* collapse_shmem collapses in the cache of a file, and lets the VMA map what it finds there. Only
 * MADV_COLLAPSE fills in the entry. */
static enum scan_result collapse_shmem(const struct scan *c)
{
    enum scan_result r =
        collapse_scan_file(c->m, c->vma->file, vma_pgoff_at(c->vma, va(c->at)), c->khugepaged);
    if (r != SCAN_PTE_MAPPED_HUGEPAGE)
        return r;
    r = collapse_pte_mapped_thp(c->m, c->vma, va(c->at), !c->khugepaged);
    return r == SCAN_PMD_MAPPED ? SCAN_SUCCEED : r;
}

/* collapse_pmd is hpage_collapse_scan_pmd. */
static enum scan_result collapse_pmd(struct scan *c)
{
    if (!vma_is_anonymous(c->vma))
        return collapse_shmem(c);
    pte *pmd = pt_lookup(&c->m->pt, va(c->at), 1);
    if (!pmd || pte_none(*pmd))
        return pmd ? SCAN_PMD_NONE : SCAN_PMD_NULL;
    if (pte_is_leaf(*pmd, 1))
        return SCAN_PMD_MAPPED;
    pte *table = pt_lookup(&c->m->pt, va(c->at), 0);
    enum scan_result r = scan_table(c, table);
    return r == SCAN_SUCCEED ? collapse_huge_page(c, table) : r;
}

/* -- MADV_COLLAPSE --------------------------------------------------------------------------- */

static int collapse_errno(enum scan_result r)
{
    switch (r) {
    case SCAN_ALLOC_HUGE_PAGE_FAIL:
        return -ENOMEM;
    case SCAN_EXCEED_NONE_PTE:
        return -EBUSY;
    case SCAN_PAGE_COUNT:
    case SCAN_PAGE_LRU:
    case SCAN_DEL_PAGE_LRU:
        return -EAGAIN;
    default:
        return -EINVAL;
    }
}

/* goes_on: a result that concerns these 2 MiB only. */
static bool goes_on(enum scan_result r)
{
    static const enum scan_result harmless[] = {
        SCAN_PMD_NULL,  SCAN_PTE_NON_PRESENT, SCAN_LACK_REFERENCED_PAGE,
        SCAN_PAGE_NULL, SCAN_PAGE_COUNT,      SCAN_PAGE_COMPOUND,
        SCAN_PAGE_LRU,  SCAN_DEL_PAGE_LRU};
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (harmless[i] == r)
            return true;
    return false;
}

int madvise_collapse(struct mm *m, struct vma *v, uint64_t start, uint64_t end)
{
    uint64_t from = align_up(start, HPAGE_PMD_SIZE), to = align_down(end, HPAGE_PMD_SIZE);
    enum scan_result last = SCAN_FAIL;
    uint64_t done = 0;
    if (!thp_orders(m, v, TVA_FORCED_COLLAPSE, 1u << HPAGE_PMD_ORDER))
        return -EINVAL;
    lru_add_drain_all(m->sys);
    for (uint64_t at = from; at < to; at += HPAGE_PMD_SIZE) {
        struct scan c = {.m = m, .vma = v, .at = at};
        enum scan_result r = collapse_pmd(&c);
        if (r == SCAN_SUCCEED || r == SCAN_PMD_MAPPED) {
            done++;
            continue;
        }
        last = r;
        if (!goes_on(r))
            break;
    }
    return done == (to - from) / HPAGE_PMD_SIZE ? 0 : collapse_errno(last);
}

/* -- khugepaged ------------------------------------------------------------------------------ */

void khugepaged_enter(struct mm *m)
{
    struct sys_thp *t = &m->sys->thp;
    if (m->thp.scanned || !thp_pmd_possible(m->sys))
        return;
    m->thp.scanned = true;
    m->thp.scan_next = NULL;
    if (t->scan_last)
        t->scan_last->thp.scan_next = m;
    else
        t->scan_first = m;
    t->scan_last = m;
}

void khugepaged_exit(struct mm *m)
{
    struct sys_thp *t = &m->sys->thp;
    struct mm *prev = NULL;
    if (!m->thp.scanned)
        return;
    for (struct mm *x = t->scan_first; x != m; x = x->thp.scan_next)
        prev = x;
    *(prev ? &prev->thp.scan_next : &t->scan_first) = m->thp.scan_next;
    if (t->scan_last == m)
        t->scan_last = prev;
    if (t->scan_mm == m) { /* I2 */
        t->scan_mm = m->thp.scan_next;
        t->scan_address = 0;
    }
}

/* scan_vma looks at the 2 MiB ranges of a VMA from the cursor on, until `pages` entries were seen or
 * one was worth an allocation. True when the VMA is done. */
static bool scan_vma(struct mm *m, struct vma *v, uint64_t pages, uint64_t *progress,
                     enum scan_result *ret)
{
    struct sys_thp *t = &m->sys->thp;
    uint64_t from = align_up(v->start.v, HPAGE_PMD_SIZE), to = align_down(v->end.v, HPAGE_PMD_SIZE);
    if (!thp_orders(m, v, TVA_KHUGEPAGED, 1u << HPAGE_PMD_ORDER) || t->scan_address > to) {
        ++*progress;
        return true;
    }
    t->scan_address = max_u64(t->scan_address, from);
    while (t->scan_address < to) {
        struct scan c = {.m = m, .vma = v, .at = t->scan_address, .khugepaged = true};
        *ret = collapse_pmd(&c);
        t->pages_collapsed += *ret == SCAN_SUCCEED;
        t->scan_address += HPAGE_PMD_SIZE;
        *progress += HPAGE_PMD_NR;
        if (*ret == SCAN_SUCCEED || *ret == SCAN_ALLOC_HUGE_PAGE_FAIL || *ret == SCAN_FAIL ||
            *progress >= pages)
            return false;
    }
    return true;
}

/* scan_mm_slot goes on where the cursor stands; returns how many entries it saw. */
static uint64_t scan_mm_slot(struct mm_sys *s, uint64_t pages, enum scan_result *ret)
{
    struct sys_thp *t = &s->thp;
    if (!t->scan_mm) {
        t->scan_mm = t->scan_first;
        t->scan_address = 0;
    }
    struct mm *m = t->scan_mm;
    uint64_t progress = 1;
    struct vma *v = m->thp.disabled ? NULL : find_vma(m, t->scan_address);
    while (v && scan_vma(m, v, pages, &progress, ret))
        v = v->next;
    if (v)
        return progress;
    t->scan_mm = m->thp.scan_next;
    t->scan_address = 0;
    t->full_scans += !t->scan_mm;
    return progress;
}

/* do_scan is khugepaged_do_scan; returns how long to sleep then, in ms. */
static uint64_t do_scan(struct mm_sys *s)
{
    struct sys_thp *t = &s->thp;
    uint64_t pages = s->conf.khugepaged_pages_to_scan;
    enum scan_result r = SCAN_SUCCEED;
    lru_add_drain_all(s);
    while (t->scan_progress < pages) {
        t->scan_passes += !t->scan_mm;
        if (!t->scan_first || t->scan_passes >= 2)
            break;
        t->scan_progress += scan_mm_slot(s, pages - t->scan_progress, &r);
        if (r != SCAN_ALLOC_HUGE_PAGE_FAIL)
            continue;
        if (t->scan_waited)
            break;
        t->scan_waited = true; /* once a scan: sleep, then go on with it */
        return s->conf.khugepaged_alloc_sleep;
    }
    t->scan_progress = 0;
    t->scan_passes = 0;
    t->scan_waited = false;
    return s->conf.khugepaged_scan_sleep;
}

/* khugepaged_tick lets it scan when its sleep is over. */
static void khugepaged_tick(struct mm_sys *s, uint64_t now_ms)
{
    struct sys_thp *t = &s->thp;
    if (now_ms < t->scan_due || !thp_pmd_possible(s))
        return;
    for (struct mm *m = s->mms; m; m = m->next)
        for (const struct vma *v = m->vmas.first; v && !m->thp.scanned; v = v->next)
            if (thp_orders(m, v, TVA_KHUGEPAGED, 1u << HPAGE_PMD_ORDER))
                khugepaged_enter(m);
    struct arch_worker before = arch_task_begin(s->outbox, TASK_KHUGEPAGED, 0);
    t->scan_due = now_ms + max_u64(1, do_scan(s));
    arch_task_end(s->outbox, before);
}

void mm_tick(struct mm_sys *s, uint64_t now_ms)
{
    phys_tick(s->phys, now_ms);
    flusher_tick(s, now_ms);
    kcompactd_tick(s, now_ms);
    khugepaged_tick(s, now_ms);
    AUDIT(audit_fault(s));
}

void mm_thp_stats(const struct mm_sys *s, struct mm_thp_stats *ret)
{
    *ret = (struct mm_thp_stats){.pages_collapsed = s->thp.pages_collapsed,
                                 .full_scans = s->thp.full_scans};
    memcpy(ret->fault_alloc, s->thp.fault_alloc, sizeof(ret->fault_alloc));
    memcpy(ret->fault_fallback, s->thp.fault_fallback, sizeof(ret->fault_fallback));
}
