/* guard.c: guard regions: entries that turn any touch into SIGSEGV, without a VMA of their own.
 *
 *   MADV_GUARD_INSTALL   pages of the range go, each entry becomes a marker; tables come first
 *   MADV_GUARD_REMOVE    markers go, pages stay; the next touch finds an empty entry
 *
 * Markers survive MADV_DONTNEED, mprotect, fork and mremap; munmap drops them. VM_MAYBE_GUARD says that
 * a VMA may have some: it stays for good, does not keep VMAs apart and goes with any part.
 *
 * Source: Linux 6.18 mm/madvise.c (madvise_guard_install, madvise_guard_remove).
 */
#include "mm/mm_int.h"

static bool is_guard(pte e)
{
    return pte_is_marker(e, PTE_MARKER_GUARD);
}

/* has_pages: something other than markers has to be zapped before. */
static bool has_pages(const struct mm *m, uint64_t start, uint64_t end)
{
    unsigned level;
    for (vaddr a = pt_next(&m->pt, va(start), va(end)); a.v < end;
         a = pt_next(&m->pt, va(a.v + PAGE_SIZE), va(end)))
        if (!is_guard(*pt_leaf(&m->pt, a, &level)))
            return true;
    return false;
}

/* install_table fills the entries of [start, end), all of one table. */
static int install_table(struct mm *m, uint64_t start, uint64_t end)
{
    pte *e;
    if (mm_tables(m, va(start), 0, &e) != 0)
        return -ENOMEM;
    for (uint64_t a = start; a < end; a += PAGE_SIZE, e++)
        if (pte_none(*e))
            set_pte(m, va(a), e, swp_make(SWP_MARKER, PTE_MARKER_GUARD, 0));
    arch_step(m->sys->outbox, STEP_PTE, (end - start) >> PAGE_SHIFT);
    return 0;
}

int guard_install(struct gather *g, struct vma *v, uint64_t start, uint64_t end)
{
    int err = 0;
    if (v->flags & (VM_SPECIAL | VM_HUGETLB | VM_LOCKED))
        return -EINVAL;
    if (vma_is_anonymous(v)) /* 6.18.44: a file mapping is copied by fork for its flag alone */
        anon_vma_prepare(g->m, v);
    v->flags |= VM_MAYBE_GUARD;
    if (has_pages(g->m, start, end))
        zap_range(g, start, end, ZAP_EVEN_COWS);
    for (uint64_t next; start < end && err == 0; start = next) {
        next = min_u64(end, align_down(start, MIB(2)) + MIB(2));
        err = install_table(g->m, start, next);
    }
    return err;
}

int guard_remove(struct mm *m, const struct vma *v, uint64_t start, uint64_t end)
{
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_LOOK};
    if (v->flags & (VM_SPECIAL | VM_HUGETLB))
        return -EINVAL;
    while (run_next(m, &r))
        if (r.level == 0 && is_guard(*r.e))
            run_set(m, &r, (pte){0});
    return 0;
}
