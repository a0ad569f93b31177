/* reclaim.c: taking one page back: shrink_folio_list and what it asks.
 *
 *   an isolated folio of an inactive list
 *     referenced again ─► active          referenced once ─► one more round
 *     anonymous ─► a swap slot ─► unmap ─► write ─► keep until written
 *     of a file ─► unmap ─► dirty: the flusher writes it, clean: gone, a shadow stays
 *     freed by MADV_FREE and clean ─► gone
 *     large, and not given up ─► split, page by page in the next round
 *
 * I1  An isolated folio is on no list, has FRAME_F_ISOLATED and one reference more.
 * I2  A folio with FRAME_F_LOCKED is left as it is: somebody is in the middle of a fault with it.
 *
 * Source: Linux 6.18 mm/vmscan.c (shrink_folio_list, folio_check_references, pageout,
 * __remove_mapping), mm/rmap.c (folio_referenced_one, try_to_unmap_one, folio_unmap_pte_batch).
 */
#include "mm/mm_int.h"
#include "policy/reclaim.h"

/* rmap_batch counts the entries of the walk's VMA, from its own on, that map the folio page by page. */
static uint64_t rmap_batch(const struct rmap_walk *w, pfn head)
{
    uint64_t table = align_down(w->a.v, MIB(2)) + MIB(2);
    struct pt_run r = {.a = w->a, .e = w->e, .table_end = min_u64(table, w->vma->end.v)};
    return folio_pte_batch(w->m->sys, &r, head);
}

/* maps_whole: the walk stands at the first of the entries by which its VMA maps all of the folio. */
static bool maps_whole(const struct rmap_walk *w, pfn head)
{
    return w->level > 0 || rmap_batch(w, head) == folio_nr_pages(w->m->sys, head);
}

/* -- references ------------------------------------------------------------------------------------ */

/* folio_referenced counts the VMAs with young entries and makes these old: a large folio with many of
 * them in one VMA was used once. Advice for sequential or random reading says that being read means
 * nothing. */
struct referenced folio_referenced(struct mm_sys *s, pfn n)
{
    struct referenced r = {0};
    struct rmap_walk w;
    const struct vma *last = NULL;
    rmap_start(&w, s, n);
    while (rmap_next(&w)) {
        if (w.vma->flags & VM_LOCKED) {
            if (!maps_whole(&w, n))
                continue; /* the part is left to a split */
            mlock_vma_folio(s, w.vma, n);
            r.locked = true;
            return r;
        }
        if ((w.vma->flags & (VM_SEQ_READ | VM_RAND_READ)) || !(w.e->v & PTE_A) || pte_is_swap(*w.e))
            continue;
        *w.e = (pte){w.e->v & ~PTE_A};
        kernel_write(s, pt_entry_paddr(&w.m->pt, w.a, w.level), sizeof(pte));
        r.vmas += w.vma != last;
        last = w.vma;
        r.exec |= (w.vma->flags & VM_EXEC) != 0;
    }
    return r;
}

enum references { REF_RECLAIM, REF_RECLAIM_CLEAN, REF_KEEP, REF_ACTIVATE };

bool folio_mapped(const struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    return f->order == 0 ? f->mapcount > 0 : folio_mapcount(s, n) > 0;
}

static enum references folio_check_references(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    struct referenced r = {0};
    if (folio_mapped(s, n))
        r = folio_referenced(s, n);
    if (r.locked)
        return REF_ACTIVATE;
    bool before = f->flags & FRAME_F_REFERENCED;
    f->flags &= ~FRAME_F_REFERENCED;
    if (r.vmas > 0) {
        f->flags |= FRAME_F_REFERENCED;
        return before || r.vmas > 1 || (r.exec && folio_is_file_lru(f)) ? REF_ACTIVATE : REF_KEEP;
    }
    return before && folio_is_file_lru(f) ? REF_RECLAIM_CLEAN : REF_RECLAIM;
}

/* -- unmapping ------------------------------------------------------------------------------------- */

static bool is_lazyfree(const struct frame *f)
{
    return f->owner == FRAME_USER_ANON && !(f->flags & FRAME_F_SWAPBACKED);
}

/* lazyfree_stays: what MADV_FREE gave up is not to be dropped: it was written since (dirty: as the entries
 * say), and then wants swap again, or somebody else holds it. */
static bool lazyfree_stays(struct mm_sys *s, const struct rmap_walk *w, pfn head, bool dirty)
{
    struct frame *f = phys_frame(s->phys, head);
    if (dirty)
        f->flags |= FRAME_F_DIRTY;
    if ((f->flags & FRAME_F_DIRTY) && !(w->vma->flags & VM_DROPPABLE)) {
        f->flags |= FRAME_F_SWAPBACKED;
        return true;
    }
    return f->refs != 1 + folio_mapcount(s, head);
}

/* unmap_batch counts the entries from the walk's on that go at once: of what was given up those in a row
 * with equal rights (folio_unmap_pte_batch). *ret_dirty: one of them is dirty. */
static uint64_t unmap_batch(struct mm_sys *s, const struct rmap_walk *w, pfn head, bool *ret_dirty)
{
    uint64_t n = 0, max = 1;
    if (is_lazyfree(phys_frame(s->phys, head)))
        max = rmap_batch(w, head);
    for (*ret_dirty = false; n < max && !((w->e[n].v ^ w->e->v) & PTE_RW); n++)
        *ret_dirty |= (w->e[n].v & PTE_D) != 0;
    return n;
}

/* unmap_entry replaces an entry of a page by its swap entry, or by nothing. */
static void unmap_entry(struct mm_sys *s, const struct rmap_walk *w, pfn n, uint64_t i)
{
    const struct frame *f = phys_frame(s->phys, n);
    pte value = {0};
    if (f->owner == FRAME_USER_ANON && !is_lazyfree(phys_frame(s->phys, folio_head(s, n)))) {
        pte swap = folio_swap_entry(f);
        swap_dup(s, swap);
        w->m->cnt.swapents++;
        value = (pte){swap.v | (f->flags & FRAME_F_EXCLUSIVE ? PTE_SWP_EXCLUSIVE : 0)};
    }
    set_pte(w->m, va(w->a.v + i * PAGE_SIZE), w->e + i, value);
    page_remove_rmap_batch(w->m, n);
}

/* try_to_unmap_one takes the entries the walk stands at away. False: the folio has to stay. */
static bool try_to_unmap_one(struct mm_sys *s, struct rmap_walk *w, pfn head)
{
    bool dirty;
    if (pte_is_swap(*w->e))
        return false;
    if (w->level > 0) { /* TTU_SPLIT_HUGE_PMD */
        split_huge_pmd(w->m, w->a);
        rmap_again(w);
        return true;
    }
    uint64_t nr = unmap_batch(s, w, head, &dirty);
    pfn first = pte_pfn(*w->e);
    if (is_lazyfree(phys_frame(s->phys, head))) {
        if (lazyfree_stays(s, w, head, dirty))
            return false;
    } else if (dirty) {
        folio_mark_dirty(s, head);
    }
    for (uint64_t i = 0; i < nr; i++)
        unmap_entry(s, w, (pfn){first.v + i}, i);
    folio_end_batch(s, head);
    unmap_flush_later(w->m, w->a.v, w->a.v + nr * PAGE_SIZE, dirty);
    return true;
}

/* try_to_unmap takes every entry away of a small folio, or of one that was given up; the caller looks
 * whether it is mapped still, and flushes. */
static void try_to_unmap(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    struct rmap_walk w;
    rmap_start(&w, s, n);
    while (folio_mapped(s, n) && rmap_next(&w)) {
        if (w.vma->flags & VM_LOCKED) {
            if (maps_whole(&w, n))
                mlock_vma_folio(s, w.vma, n);
            return;
        }
        if (!try_to_unmap_one(s, &w, n))
            return;
    }
    if (!folio_mapped(s, n))
        f->flags &= ~FRAME_F_EXCLUSIVE;
}

/* -- one folio --------------------------------------------------------------------------------------- */

enum fate { FATE_FREED, FATE_KEEP, FATE_ACTIVATE, FATE_SPLIT };

/* swap_out_shmem moves a page of a file in memory from its cache to the swap cache. */
static int swap_out_shmem(struct mm_sys *s, pfn n)
{
    int err = folio_alloc_swap(s, n);
    if (err == 0)
        filemap_to_swap(s, n);
    return err;
}

/* pageout starts writing a dirty folio of the swap cache or of a file in memory. */
static enum fate pageout(struct mm_sys *s, struct scan_control *sc, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (f->owner == FRAME_SHMEM && swap_out_shmem(s, n) != 0)
        return FATE_ACTIVATE;
    f->flags |= FRAME_F_RECLAIM;
    if (!swap_writeout(s, n)) {
        f->flags &= ~FRAME_F_RECLAIM;
        return FATE_ACTIVATE; /* the swap cache keeps it, dirty */
    }
    node_stat_add(s, f, NODE_nr_vmscan_write, 1);
    sc->nr_pageout++;
    if (f->flags & FRAME_F_WRITEBACK)
        return FATE_KEEP;
    f->flags &= ~FRAME_F_RECLAIM;
    return FATE_FREED;
}

/* remove_mapping takes a clean folio that nobody maps out of its cache; a shadow stays there. */
static bool remove_mapping(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (f->refs != 2 || (f->flags & FRAME_F_DIRTY)) /* ours and the cache's */
        return false;
    if (!(f->flags & FRAME_F_SWAPCACHE) && f->owner != FRAME_SHMEM && !filemap_can_evict(s, n))
        return false;
    if (f->flags & FRAME_F_SWAPCACHE)
        swap_cache_del(s, n, workingset_eviction(s, n));
    else if (f->owner == FRAME_SHMEM) /* it was never written: the file has a hole again */
        filemap_evict_clean_shmem(s, n);
    else
        filemap_evict(s, n, workingset_eviction(s, n));
    return true;
}

/* get_swap_slot: an anonymous page needs a place to go to. */
static bool get_swap_slot(struct mm_sys *s, const struct scan_control *sc, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    if (f->owner != FRAME_USER_ANON || !(f->flags & FRAME_F_SWAPBACKED) ||
        (f->flags & FRAME_F_SWAPCACHE))
        return true;
    return sc->may_swap && folio_alloc_swap(s, n) == 0;
}

/* write_dirty: a dirty page of a file waits for the flusher, a dirty one of a droppable mapping, which nobody
 * maps any more, goes when it is put back; another is written now. */
static enum fate write_dirty(struct mm_sys *s, struct scan_control *sc, pfn n, enum references ref)
{
    struct frame *f = phys_frame(s->phys, n);
    if (folio_is_file_lru(f)) {
        node_stat_add(s, f, NODE_nr_vmscan_immediate_reclaim, (int64_t)BIT(f->order));
        f->flags |= FRAME_F_RECLAIM;
        return FATE_ACTIVATE;
    }
    if (ref == REF_RECLAIM_CLEAN || !sc->may_writepage)
        return FATE_KEEP;
    unmap_flush_dirty(s); /* nobody may write to it any more */
    return pageout(s, sc, n);
}

/* reclaim_unmapped is the second half: nobody maps the folio any more. */
static enum fate reclaim_unmapped(struct mm_sys *s, struct scan_control *sc, pfn n,
                                  enum references ref)
{
    struct frame *f = phys_frame(s->phys, n);
    if (f->flags & FRAME_F_DIRTY) {
        enum fate fate = write_dirty(s, sc, n, ref);
        if (fate != FATE_FREED)
            return fate;
    }
    if (is_lazyfree(f)) {
        if (f->refs != 1)
            return FATE_KEEP;
        STAT(s->stats, pglazyfreed) += BIT(f->order);
        return FATE_FREED;
    }
    return remove_mapping(s, n) ? FATE_FREED : FATE_KEEP;
}

/* unqueued_dirty: the flusher should be writing this page of a file (folio_check_dirty_writeback). */
static bool unqueued_dirty(const struct frame *f)
{
    return folio_is_file_lru(f) && !is_lazyfree(f) &&
           (f->flags & (FRAME_F_DIRTY | FRAME_F_WRITEBACK)) == FRAME_F_DIRTY;
}

/* reclaim_folio decides about one isolated folio: shrink_folio_list's loop body. */
static enum fate reclaim_folio(struct mm_sys *s, struct scan_control *sc, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (f->flags & FRAME_F_LOCKED) /* I2 */
        return FATE_KEEP;
    sc->nr_scanned += BIT(f->order);
    if (!folio_evictable(f)) /* a locked one gives its slot up; put back they become unevictable */
        return FATE_ACTIVATE;
    sc->nr_unqueued_dirty += unqueued_dirty(f) ? BIT(f->order) : 0;
    if (f->flags & FRAME_F_WRITEBACK) {
        f->flags |= FRAME_F_RECLAIM;
        return FATE_ACTIVATE;
    }
    enum references ref = sc->ignore_references ? REF_RECLAIM : folio_check_references(s, n);
    if (ref == REF_ACTIVATE || ref == REF_KEEP)
        return ref == REF_KEEP ? FATE_KEEP : FATE_ACTIVATE;
    if (f->order > 0 && f->owner == FRAME_SHMEM) {
        unmap_file_folio(s, n);
        return mm_swap_total(s) > 0 ? FATE_SPLIT : FATE_ACTIVATE; /* shmem_writeout */
    }
    if (f->order > 0 && !is_lazyfree(f)) /* what MADV_FREE gave up needs no swap */
        return sc->may_swap && mm_swap_free(s) > 0 ? FATE_SPLIT : FATE_ACTIVATE;
    if (!get_swap_slot(s, sc, n))
        return FATE_ACTIVATE;
    if (folio_mapped(s, n))
        try_to_unmap(s, n);
    return folio_mapped(s, n) ? FATE_ACTIVATE : reclaim_unmapped(s, sc, n, ref);
}

static void activate(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if ((f->flags & FRAME_F_SWAPCACHE) && (vm_swap_full(s) || (f->flags & FRAME_F_MLOCKED)))
        folio_free_swap(s, n);
    if (f->flags & FRAME_F_MLOCKED)
        return;
    f->flags |= FRAME_F_ACTIVE;
    STAT(s->stats, pgactivate) += BIT(f->order);
}

int split_for_swap(struct mm_sys *s, pfn head)
{
    const struct frame *f = phys_frame(s->phys, head);
    bool whole = f->owner == FRAME_USER_ANON && (f->flags & FRAME_F_SWAPBACKED) &&
                 !(f->flags & FRAME_F_PARTIAL);
    uint64_t nr = folio_nr_pages(s, head);
    int err = split_folio(s, head);
    STAT(s->stats, thp_swpout_fallback) += err == 0 && whole && nr == HPAGE_PMD_NR;
    return err;
}

/* split_large: a large folio goes page by page: they stand where reclaim looks next. */
static void split_large(struct mm_sys *s, pfn head)
{
    uint64_t nr = folio_nr_pages(s, head);
    if (split_for_swap(s, head) != 0)
        return;
    for (uint64_t i = 0; i < nr; i++) {
        pfn n = {head.v + i};
        if (phys_frame(s->phys, n)->flags & FRAME_F_LRU) {
            lruvec_del(s, n);
            lruvec_add(s, n, true);
        }
    }
}

uint64_t shrink_folio_list(struct mm_sys *s, struct scan_control *sc, const pfn *list, unsigned nr)
{
    uint64_t freed = 0;
    for (unsigned i = 0; i < nr; i++) {
        struct frame *f = phys_frame(s->phys, list[i]);
        enum fate fate = reclaim_folio(s, sc, list[i]);
        if (fate == FATE_FREED) {
            freed += BIT(f->order);
            folio_free_isolated(s, list[i]);
            continue;
        }
        if (fate == FATE_ACTIVATE)
            activate(s, list[i]);
        if (sc->ignore_references)
            folio_putback_lru(s, list[i]);
        else
            folio_putback_scanned(s, list[i]);
        if (fate == FATE_SPLIT)
            split_large(s, list[i]);
    }
    unmap_flush_end(s);
    sc->nr_reclaimed += freed;
    if (!sc->kswapd) /* kswapd has a CPU of its own */
        arch_step(s->outbox, STEP_RECLAIM, nr);
    return freed;
}
