/* rmap.c: from a page of a file to the entries that map it.
 *
 * Linux keeps an interval tree of VMAs per file. Here every VMA of every address space is looked
 * at: truncation, hole punching and writeback are rare, faults never come here.
 *
 * Source: Linux 6.18 mm/memory.c (unmap_mapping_range), mm/rmap.c (folio_mkclean).
 */
#include "mm/mm_int.h"

/* span cuts the pages [first, last) of a file out of a VMA that maps it; false if none are there. */
static bool span(const struct vma *v, const struct mm_file *f, uint64_t first, uint64_t last,
                 uint64_t *ret_start, uint64_t *ret_end)
{
    uint64_t lo = max_u64(first, v->pgoff), hi = min_u64(last, v->pgoff + vma_pages(v));
    if (v->file != f || lo >= hi)
        return false;
    *ret_start = v->start.v + ((lo - v->pgoff) << PAGE_SHIFT);
    *ret_end = v->start.v + ((hi - v->pgoff) << PAGE_SHIFT);
    return true;
}

void unmap_mapping_range(struct mm_sys *s, const struct mm_file *f, uint64_t first, uint64_t last,
                         bool even_cows)
{
    for (struct mm *m = s->mms; m; m = m->next) {
        struct gather g;
        gather_init(&g, m);
        for (uint32_t i = 0; i < m->vma_nr; i++) {
            uint64_t start, end;
            if (span(m->vma[i], f, first, last, &start, &end))
                zap_range(&g, start, end, even_cows);
        }
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
        if ((e.v & PTE_SPECIAL) || !(e.v & (PTE_RW | PTE_D)))
            continue;
        if (!(phys_frame(m->sys->phys, pte_pfn(e))->flags & FRAME_F_DIRTY))
            continue;
        run_set(m, &r, (pte){e.v & ~(PTE_RW | PTE_D)});
        arch_send(m->sys->outbox, ARCH_FLUSH_RANGE, PAGE_SHIFT, r.a.v, r.a.v + PAGE_SIZE);
    }
}

void folio_mkclean(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    for (struct mm *m = s->mms; m; m = m->next)
        for (uint32_t i = 0; i < m->vma_nr; i++) {
            uint64_t start, end;
            if ((m->vma[i]->flags & VM_SHARED) && span(m->vma[i], f, first, last, &start, &end))
                clean_vma(m, start, end);
        }
    filemap_clear_dirty(s, f, first, last);
}
