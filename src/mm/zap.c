/* zap.c: taking pages out of an address space, and the flush that goes with it.
 *
 *   call ─► gather_init ─► zap_range … free_pgtables ─► gather_finish ─► ARCH_FLUSH_RANGE
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

/* tlb_flush_pte_range and its siblings. */
static void gather_range(struct gather *g, uint64_t start, uint64_t end, unsigned levels)
{
    g->start = min_u64(g->start, start);
    g->end = max_u64(g->end, end);
    g->levels |= levels;
}

void gather_entry(struct gather *g, uint64_t a, unsigned level)
{
    gather_range(g, a, a + BIT(pt_level_shift(level)), 1u << level);
}

void gather_page(struct gather *g, vaddr a)
{
    gather_entry(g, a.v, 0);
}

/* tlb_next_batch: eight slots on the stack, then up to 19 pages of 510; one page only while reverse maps
 * wait. A row of pages takes two slots. */
void gather_slots(struct gather *g, unsigned slots)
{
    unsigned max = g->batches == 0 ? 8 : 510;
    g->slots += slots;
    if (g->slots < max - 1) /* a run of pages always finds its two */
        return;
    g->full = g->batches == 19 || (g->force && g->batches > 0);
    if (g->full)
        return;
    g->batches++;
    g->slots = 0;
}

void gather_flush(struct gather *g)
{
    if (g->levels != 0 || g->freed_tables) { /* in steps of the smallest: tlb_get_unmap_shift */
        unsigned level = g->levels == 0 ? 0 : (unsigned)__builtin_ctz(g->levels);
        arch_put(g->m->sys->outbox, (struct arch_msg){.kind = ARCH_FLUSH_RANGE,
                                                      .n = (uint8_t)pt_level_shift(level),
                                                      .tables = g->freed_tables,
                                                      .mm = g->m->mm_id,
                                                      .a = g->start,
                                                      .b = g->end});
    }
    *g = (struct gather){.m = g->m, .start = UINT64_MAX, .zapped = g->zapped};
}

void gather_finish(struct gather *g)
{
    if (g->zapped > 0)
        arch_step(g->m->sys->outbox, STEP_ZAP, g->zapped);
    gather_flush(g);
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

/* leave_table ends a run of entries in one table: tlb_flush_mmu_tlbonly before its lock is dropped. */
static void leave_table(struct gather *g)
{
    if (g->force || g->full)
        gather_flush(g);
}

/* row_bits returns the bits that any of the n entries from a run's on has. */
static uint64_t row_bits(const struct pt_run *r, uint64_t n)
{
    uint64_t bits = 0;
    for (uint64_t i = 0; i < n; i++)
        bits |= r->e[i].v;
    return bits;
}

/* begin_row does what is done once for the entries in a row that map frames of one folio one after
 * the other (zap_present_folio_ptes). */
static void begin_row(struct gather *g, const struct pt_run *r, pfn head, bool anon)
{
    struct mm *m = g->m;
    g->row = folio_pte_batch(m->sys, r, head);
    uint64_t bits = row_bits(r, g->row);
    if (!anon && (bits & PTE_D)) {
        folio_mark_dirty(m->sys, pte_pfn(*r->e));
        g->force = true;
    }
    if (!anon && (bits & PTE_A))
        zap_accessed(m, r->a, head);
    munlock_vma_folio(m, r->a, head);
    gather_slots(g, g->row > 1 ? 2 : 1);
}

/* zap_present says whether the page of a present entry goes, and if so forgets the mapping. *folio is
 * that of the entries before. */
static bool zap_present(struct gather *g, const struct pt_run *r, unsigned flags, pfn *folio)
{
    struct mm *m = g->m;
    pfn n = pte_pfn(*r->e), head;
    struct frame *f = vm_normal_page(m, *r->e);
    if (!f)
        return true;
    bool anon = f->owner == FRAME_USER_ANON;
    if (anon && !(flags & ZAP_EVEN_COWS))
        return false;
    head = folio_head(m->sys, n);
    if (g->row == 0)
        begin_row(g, r, head, anon);
    g->row--;
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

/* reclaim_tables frees the PTE tables of whole 2 MiB that were zapped (PT_RECLAIM); markers stay. */
static void reclaim_tables(struct gather *g, uint64_t start, uint64_t end)
{
    for (uint64_t a = align_up(start, MIB(2)); a + MIB(2) <= end; a += MIB(2))
        if (pt_next(&g->m->pt, va(a), va(a + MIB(2))).v == a + MIB(2))
            free_pgtables(g, a, a + MIB(2), a, a + MIB(2));
}

/* pass leaves the tables from *table up to address a. */
static void pass(struct gather *g, uint64_t *table, uint64_t a, unsigned flags)
{
    leave_table(g);
    if (flags & ZAP_RECLAIM_PT)
        reclaim_tables(g, *table, a);
    *table = max_u64(*table, a);
}

void zap_range(struct gather *g, uint64_t start, uint64_t end, unsigned flags)
{
    struct mm *m = g->m;
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_WHOLE};
    pfn folio = {0};        /* of the entries before: frame 0 is nobody's */
    uint64_t table = start; /* from here on nothing was left yet */
    flush_tlb_pending(m);
    while (run_next(m, &r)) {
        if (r.a.v / MIB(2) != table / MIB(2) || (g->full && g->row == 0))
            pass(g, &table, align_down(r.a.v, MIB(2)), flags);
        if (r.level > 0) {
            zap_huge_pmd(g, &r);
            continue;
        }
        bool page = !pte_is_swap(*r.e);
        if (page ? !zap_present(g, &r, flags, &folio) : !zap_nonpresent(m, *r.e, flags))
            continue;
        run_set(m, &r, (pte){0});
        if (page)
            gather_page(g, r.a);
        g->zapped++;
    }
    folio_end_batch(m->sys, folio);
    pass(g, &table, end, flags);
}

/* free_folded: with four levels each 512 GiB that the neighbours leave free counts as a table freed, even
 * if nothing was ever touched there. pgd_none is never true then, and free_p4d_range ends in p4d_free_tlb. */
static void free_folded(struct gather *g, uint64_t start, uint64_t end, uint64_t floor,
                        uint64_t ceiling)
{
    uint64_t span = BIT(pt_level_shift(3));
    if (g->m->pt.levels != 4)
        return;
    for (uint64_t a = align_down(start, span); a < end; a += span) {
        if (a < floor || a + span - 1 > ceiling - 1)
            continue;
        g->freed_tables = true;
        gather_range(g, a, a + PAGE_SIZE, 0);
    }
}

void free_pgtables(struct gather *g, uint64_t start, uint64_t end, uint64_t floor, uint64_t ceiling)
{
    struct pt_freed freed;
    free_folded(g, start, end, floor, ceiling);
    if (pt_free_tables(&g->m->pt, va(start), va(end), va(floor), va(ceiling), &freed) == 0)
        return;
    g->freed_tables = true; /* pte_free_tlb: as if entries of the level above had gone */
    gather_range(g, freed.first, freed.last + PAGE_SIZE, freed.levels << 1);
}
