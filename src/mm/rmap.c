/* rmap.c: from a page to the entries that map it.
 *
 *   anonymous   frame.mapping ─► anon_vma ─► tree of chains ─► VMA ┐  address = vma.start +
 *   of a file   frame.mapping ─► mm_file  ─► tree of VMAs   ─► VMA ┘  (index − vma.pgoff) pages
 *
 *   page_add_rmap(n) ──► frame.mapcount, folio refs, rss      an entry of level 0
 *   folio_add_rmap(h) ─► head.entire, folio refs, rss         an entry of level 1 or 2
 *
 * Both trees are by page offset: VMAs of other files, or of other parts of this one, are not looked
 * at. The walk yields the entries VMA by VMA, in the tree's order, lowest address first.
 *
 * I1  refs of a folio = its mapcounts + entire + one for the page cache or swap cache + callers'.
 * I2  A frame whose file has it in its cache is FRAME_USER_FILE while mapped, FRAME_PAGE_CACHE else.
 *
 * Source: Linux 6.18 mm/rmap.c (rmap_walk_anon, rmap_walk_file, __folio_add_rmap,
 * folio_move_anon_rmap, folio_mkclean), mm/page_vma_mapped.c, mm/memory.c (unmap_mapping_range).
 */
#include "mm/mm_int.h"

/* -- counting -------------------------------------------------------------------------------- */

void folio_put(struct mm_sys *s, pfn head)
{
    struct frame *f = phys_frame(s->phys, head);
    CHECK(f->refs > 0); /* I1 */
    if (--f->refs == 0)
        folio_free(s, head);
}

static uint64_t linear_page_index(const struct vma *v, vaddr a)
{
    return vma_pgoff_at(v, a);
}

void folio_add_new_anon_rmap(struct mm_sys *s, pfn head, const struct vma *v, vaddr a)
{
    struct frame *f = phys_frame(s->phys, head);
    CHECK(v->anon_vma && f->owner == FRAME_USER_ANON && f->refs == 0);
    f->mapping = v->anon_vma;
    f->index = linear_page_index(v, a); /* stays when mremap moves the page */
    if (!(v->flags & VM_DROPPABLE))
        f->flags |= FRAME_F_SWAPBACKED;
    for (uint64_t i = 0; i < BIT(f->order); i++)
        f[i].flags |= FRAME_F_EXCLUSIVE;
}

void folio_move_anon_rmap(struct mm_sys *s, pfn head, const struct vma *v)
{
    CHECK(v->anon_vma && folio_test_anon(s, head));
    phys_frame(s->phys, head)->mapping = v->anon_vma;
}

void page_add_rmap(struct mm *m, pfn n)
{
    struct mm_sys *s = m->sys;
    struct frame *f = phys_frame(s->phys, n);
    struct frame *head = phys_frame(s->phys, folio_head(s, n));
    head->refs++;
    folio_add_large_mapcount(m, head, 1);
    if (f->mapcount++ == 0) {
        if (f->owner == FRAME_PAGE_CACHE)
            phys_set_owner(s->phys, n, FRAME_USER_FILE); /* I2 */
        if (head->entire == 0)
            folio_account_mapped(s, f, 1);
    }
    rss_add(m, f, 1);
}

void page_remove_rmap_batch(struct mm *m, pfn n)
{
    struct mm_sys *s = m->sys;
    pfn head = folio_head(s, n);
    struct frame *f = phys_frame(s->phys, n);
    CHECK(f->mapcount > 0); /* I5 of mm.h */
    rss_add(m, f, -1);
    folio_sub_large_mapcount(m, phys_frame(s->phys, head), 1);
    if (--f->mapcount == 0 && phys_frame(s->phys, head)->entire == 0) {
        if (f->owner == FRAME_USER_FILE)
            phys_set_owner(s->phys, n, FRAME_PAGE_CACHE);
        folio_account_mapped(s, f, -1);
        if (f->flags & FRAME_F_SWAPCACHE)
            folio_free_swap(s, n); /* free_swap_cache: unless an entry names the slot */
    }
    folio_put(s, head);
}

void page_remove_rmap(struct mm *m, pfn n)
{
    pfn head = folio_head(m->sys, n);
    page_remove_rmap_batch(m, n);
    folio_end_batch(m->sys, head);
}

/* own_all keeps I2 when the first, or last, entry that maps a whole folio comes or goes, and counts
 * the pages as NR_ANON_THPS or NR_SHMEM_PMDMAPPED (__folio_mod_stat). */
static void own_all(struct mm_sys *s, pfn head, uint64_t nr, bool mapped)
{
    int64_t changed = 0;
    for (pfn n = head; n.v < head.v + nr; n.v++) {
        const struct frame *f = phys_frame(s->phys, n);
        changed += f->mapcount == 0;
        if (mapped && f->owner == FRAME_PAGE_CACHE)
            phys_set_owner(s->phys, n, FRAME_USER_FILE);
        if (!mapped && f->mapcount == 0 && f->owner == FRAME_USER_FILE)
            phys_set_owner(s->phys, n, FRAME_PAGE_CACHE);
    }
    const struct frame *f = phys_frame(s->phys, head);
    folio_account_mapped(s, f, mapped ? changed : -changed);
    if (f->flags & FRAME_F_HUGETLB)
        return;
    node_stat_add(s, f,
                  folio_test_anon(s, head) ? NODE_nr_anon_transparent_hugepages
                                           : NODE_nr_shmem_pmdmapped,
                  mapped ? (int64_t)nr : -(int64_t)nr);
}

void folio_add_rmap(struct mm *m, pfn head, unsigned level)
{
    struct frame *f = phys_frame(m->sys->phys, head);
    f->refs++;
    folio_add_large_mapcount(m, f, 1);
    if (f->entire++ == 0)
        own_all(m->sys, head, BIT(9 * level), true);
    rss_add(m, f, (int64_t)BIT(9 * level));
}

void folio_remove_rmap(struct mm *m, pfn head, unsigned level)
{
    struct frame *f = phys_frame(m->sys->phys, head);
    CHECK(f->entire > 0); /* I5 of mm.h */
    rss_add(m, f, -(int64_t)BIT(9 * level));
    folio_sub_large_mapcount(m, f, 1);
    if (--f->entire == 0)
        own_all(m->sys, head, BIT(9 * level), false);
    folio_put(m->sys, head);
}

/* -- VMAs of a file -------------------------------------------------------------------------- */

void vma_link_file(struct vma *v)
{
    if (v->file)
        itree_insert(&v->file->mapped, &v->in_file, v->pgoff, v->pgoff + vma_pages(v) - 1);
}

void vma_unlink_file(struct vma *v)
{
    if (v->file)
        itree_remove(&v->file->mapped, &v->in_file);
}

void vma_pre_update(struct vma *v)
{
    vma_unlink_file(v);
    anon_vma_pre_update(v);
}

void vma_post_update(struct vma *v)
{
    vma_link_file(v);
    anon_vma_post_update(v);
}

static struct vma *vma_of_file_node(struct itree_node *n)
{
    return CONTAINER(n, struct vma, in_file);
}

/* A stretch of a file in the VMAs that map it, one after the other; start with node = NULL. */
struct file_span {
    const struct mm_file *f; /* the file */
    uint64_t first, last;    /* its pages [first, last) */
    struct itree_node *node; /* of vma */
    struct vma *vma;         /* that maps some of them */
    uint64_t start, end;     /* where */
};

static bool span_next(struct file_span *p)
{
    if (p->first >= p->last)
        return false;
    p->node = p->node ? itree_next(p->node, p->first, p->last - 1)
                      : itree_first(&p->f->mapped, p->first, p->last - 1);
    if (!p->node)
        return false;
    const struct vma *v = p->vma = vma_of_file_node(p->node);
    uint64_t lo = max_u64(p->first, v->pgoff), hi = min_u64(p->last, v->pgoff + vma_pages(v));
    p->start = v->start.v + ((lo - v->pgoff) << PAGE_SHIFT);
    p->end = v->start.v + ((hi - v->pgoff) << PAGE_SHIFT);
    return true;
}

/* -- the walk -------------------------------------------------------------------------------- */

void rmap_start(struct rmap_walk *w, struct mm_sys *s, pfn head)
{
    const struct frame *f = phys_frame(s->phys, head);
    *w = (struct rmap_walk){.s = s,
                            .head = head,
                            .nr = BIT(f->order),
                            .first = f->index,
                            .anon = f->owner == FRAME_USER_ANON};
    CHECK(!(f->flags & FRAME_F_TAIL));
    if (!f->mapping)
        return;
    const struct itree *t = w->anon ? &((const struct anon_vma *)f->mapping)->vmas
                                    : &((const struct mm_file *)f->mapping)->mapped;
    w->node = itree_first(t, w->first, w->first + w->nr - 1);
}

/* enter_vma sets out the addresses where a VMA would map the folio. */
static void enter_vma(struct rmap_walk *w)
{
    struct vma *v =
        w->anon ? CONTAINER(w->node, struct anon_vma_chain, node)->vma : vma_of_file_node(w->node);
    uint64_t lo = max_u64(w->first, v->pgoff);
    uint64_t hi = min_u64(w->first + w->nr, v->pgoff + vma_pages(v));
    w->vma = v;
    w->m = v->m;
    w->next = v->start.v + ((lo - v->pgoff) << PAGE_SHIFT);
    w->end = v->start.v + ((hi - v->pgoff) << PAGE_SHIFT);
}

/* maps_folio is check_pte: the entry maps, or is to map again after migration, a frame of it. */
static bool maps_folio(const struct rmap_walk *w, pte e, unsigned level)
{
    uint64_t n;
    if (pte_present(e) || pte_protnone(e))
        n = level == 0 ? pte_pfn(e).v : pte_leaf_pfn(e, level).v;
    else if (pte_is_swap(e) && swp_type(e) >= SWP_MIGRATION_READ &&
             swp_type(e) <= SWP_MIGRATION_WRITE)
        n = swp_offset(e);
    else
        return false;
    if (level == 0 && (e.v & PTE_SPECIAL) && pte_present(e))
        return false; /* the zero page, [vvar] */
    return n + BIT(9 * level) > w->head.v && n < w->head.v + w->nr;
}

/* step_in_vma finds the next entry of this VMA (page_vma_mapped_walk). */
static bool step_in_vma(struct rmap_walk *w)
{
    while (w->next < w->end) {
        w->a = pt_next(&w->m->pt, va(w->next), va(w->end));
        if (w->a.v >= w->end)
            break;
        w->e = pt_leaf(&w->m->pt, w->a, &w->level);
        uint64_t size = BIT(pt_level_shift(w->level));
        w->a = va(align_down(w->a.v, size));
        w->next = w->a.v + size;
        if (w->e && maps_folio(w, *w->e, w->level))
            return true;
    }
    return false;
}

bool rmap_next(struct rmap_walk *w)
{
    while (w->node) {
        if (!w->vma)
            enter_vma(w);
        if (step_in_vma(w))
            return true;
        w->node = itree_next(w->node, w->first, w->first + w->nr - 1);
        w->vma = NULL;
    }
    return false;
}

void rmap_again(struct rmap_walk *w)
{
    w->next = w->a.v;
}

/* -- what is done to pages of a file ---------------------------------------------------------- */

void unmap_mapping_range(struct mm_sys *s, const struct mm_file *f, uint64_t first, uint64_t last,
                         bool even_cows)
{
    struct file_span p = {.f = f, .first = first, .last = last};
    (void)s;
    while (span_next(&p)) {
        struct gather g;
        gather_init(&g, p.vma->m);
        zap_range(&g, p.start, p.end, even_cows ? ZAP_EVEN_COWS : 0);
        gather_finish(&g);
    }
}

/* clean_vma write-protects what is writable or dirty; each entry is flushed on its own, as
 * page_vma_mkclean_one does. */
static void clean_vma(struct mm *m, uint64_t start, uint64_t end)
{
    struct pt_run r = {.a = va(start), .end = va(end)};
    while (run_next(m, &r)) {
        pte e = *r.e;
        if ((e.v & PTE_SPECIAL) || pte_is_swap(e) || !(e.v & (PTE_RW | PTE_D)))
            continue;
        if (!(phys_frame(m->sys->phys, pte_pfn(e))->flags & FRAME_F_DIRTY))
            continue;
        run_set(m, &r, (pte){e.v & ~(PTE_RW | PTE_D)});
        flush_tlb_page(m, r.a);
    }
}

void folio_mkclean(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    struct file_span p = {.f = f, .first = first, .last = last};
    while (span_next(&p))
        if (p.vma->flags & VM_SHARED)
            clean_vma(p.vma->m, p.start, p.end);
    filemap_clear_dirty(s, f, first, last);
}
