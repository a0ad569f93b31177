/* pageout.c: pages that a program, or the administrator, calls unused.
 *
 *   MADV_COLD      old, unreferenced, off the active list
 *   MADV_PAGEOUT   the same, and reclaimed at once, referenced or not
 *   MADV_FREE      clean, out of swap, on the inactive list of files: dropped if nobody writes it
 *   clear_refs     old and unreferenced, but they stay where they are
 *
 * Source: Linux 6.18 mm/madvise.c (madvise_cold_or_pageout_pte_range, madvise_free_pte_range),
 * mm/vmscan.c (reclaim_pages), fs/proc/task_mmu.c (clear_refs_write).
 */
#include "mm/mm_int.h"
#include "policy/reclaim.h"

/* -- what madvise and sysctls ask for -------------------------------------------------------------------- */

/* entry_page: the small page an entry of level 0 maps, if it does, rights or not. */
static bool entry_page(const struct mm *m, const struct pt_run *r, pfn *ret)
{
    if (pte_is_swap(*r->e) || (r->e->v & PTE_SPECIAL))
        return false;
    *ret = pte_pfn(*r->e);
    return phys_frame(m->sys->phys, *ret)->order == 0;
}

/* take_small is the part of MADV_COLD and MADV_PAGEOUT for an entry: pages of others are left. */
static bool take_small(const struct mm *m, const struct pt_run *r, pfn *ret)
{
    return entry_page(m, r, ret) && phys_frame(m->sys->phys, *ret)->mapcount == 1;
}

static void age_entry(struct gather *g, const struct pt_run *r)
{
    if (r->e->v & PTE_A) {
        run_set(g->m, r, (pte){r->e->v & ~PTE_A});
        gather_page(g, r->a);
    }
}

static void age_frame(struct frame *f)
{
    f->flags &= ~FRAME_F_REFERENCED;
    if (f->flags & FRAME_F_ACTIVE)
        f->flags |= FRAME_F_WORKINGSET;
}

void madvise_cold(struct gather *g, uint64_t start, uint64_t end)
{
    struct mm_sys *s = g->m->sys;
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_LOOK};
    pfn n;
    lru_add_drain(s);
    flush_tlb_pending(g->m);
    while (run_next(g->m, &r)) {
        if (advise_large(g, &r, false) || !take_small(g->m, &r, &n))
            continue;
        age_entry(g, &r);
        age_frame(phys_frame(s->phys, n));
        folio_deactivate(s, n);
    }
}

void reclaim_pages(struct mm_sys *s, const pfn *list, unsigned nr)
{
    struct scan_control sc = {
        .ignore_references = true, .may_swap = true, .may_writepage = true, .zone = ZONE_NR - 1};
    bool before = s->reclaiming;
    s->reclaiming = true;
    shrink_folio_list(s, &sc, list, nr);
    s->reclaiming = before;
}

/* pageout_one isolates what an entry maps and puts it into the list; young entries stay so, for it is the
 * unmapping that flushes. Returns how many pages. */
static unsigned pageout_one(struct gather *g, struct pt_run *r, pfn *list)
{
    struct mm_sys *s = g->m->sys;
    pfn n;
    bool large = pageout_large(g, r, &n);
    if (large ? n.v == PFN_NONE.v : !take_small(g->m, r, &n))
        return 0;
    struct frame *f = phys_frame(s->phys, n);
    age_frame(f);
    if ((f->flags & FRAME_F_UNEVICTABLE) || !folio_isolate_lru(s, n))
        return 0;
    list[0] = n;
    return 1;
}

/* What one table maps is reclaimed together, with one flush. */
void madvise_pageout(struct gather *g, uint64_t start, uint64_t end)
{
    struct mm_sys *s = g->m->sys;
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_LOOK};
    uint64_t table = start / MIB(2);
    pfn list[PT_ENTRIES];
    unsigned nr = 0;
    lru_add_drain(s);
    flush_tlb_pending(g->m);
    while (run_next(g->m, &r)) {
        if (r.a.v / MIB(2) != table) {
            reclaim_pages(s, list, nr);
            nr = 0;
            table = r.a.v / MIB(2);
        }
        nr += pageout_one(g, &r, &list[nr]);
    }
    reclaim_pages(s, list, nr);
    writeback_end(s);
}

/* free_one is the part of MADV_FREE for a page: clean, old, out of swap, last in line of nothing. */
static void free_one(struct gather *g, const struct pt_run *r, pfn n)
{
    struct mm_sys *s = g->m->sys;
    struct frame *f = phys_frame(s->phys, n);
    if (f->owner != FRAME_USER_ANON)
        return;
    if (f->flags & (FRAME_F_SWAPCACHE | FRAME_F_DIRTY)) {
        if (f->mapcount != 1 || ((f->flags & FRAME_F_SWAPCACHE) && !folio_free_swap(s, n)))
            return; /* others may want what is in it */
        f->flags &= ~FRAME_F_DIRTY;
    }
    if (r->e->v & (PTE_A | PTE_D)) {
        run_set(g->m, r, (pte){r->e->v & ~(PTE_A | PTE_D)});
        gather_page(g, r->a);
    }
    folio_mark_lazyfree(s, n);
}

void madvise_free(struct gather *g, uint64_t start, uint64_t end)
{
    struct mm *m = g->m;
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_LOOK};
    pfn n;
    lru_add_drain(m->sys);
    flush_tlb_pending(m);
    while (run_next(m, &r)) {
        if (advise_large(g, &r, true))
            continue;
        if (pte_is_swap_slot(*r.e)) {
            m->cnt.swapents--;
            free_swap_and_cache(m->sys, (pte){r.e->v & ~PTE_SWP_EXCLUSIVE});
            run_set(m, &r, (pte){0});
        } else if (entry_page(m, &r, &n)) {
            free_one(g, &r, n);
        }
    }
}

/* -- clear_refs --------------------------------------------------------------------------------- */

/* clear_young makes the entries of a VMA old and their pages unreferenced (clear_refs_pte_range). */
static void clear_young(struct mm *m, const struct vma *v)
{
    struct pt_run r = {.a = v->start, .end = v->end, .huge = RUN_LOOK};
    while (run_next(m, &r)) {
        if (!pte_present(*r.e) || (r.e->v & PTE_SPECIAL))
            continue;
        if (r.e->v & PTE_A)
            run_set(m, &r, (pte){r.e->v & ~PTE_A});
        pfn head = folio_head(m->sys, pte_leaf_pfn(*r.e, r.level));
        phys_frame(m->sys->phys, head)->flags &= ~FRAME_F_REFERENCED;
    }
}

int mm_clear_refs(struct mm *m, unsigned what)
{
    if (what < 1 || what > 5)
        return -EINVAL;
    if (what == 5)
        m->cnt.rss_peak = m->cnt.rss[0] + m->cnt.rss[1] + m->cnt.rss[2];
    for (struct vma *v = m->vmas.first; what <= 3 && v; v = v->next)
        if (what == 1 || (what == 2) == !v->file)
            clear_young(m, v);
    return 0;
}
