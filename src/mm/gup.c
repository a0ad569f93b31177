/* gup.c: pages that the kernel touches for its own reasons: MAP_POPULATE, mlock, MADV_POPULATE, mbind,
 * vmsplice.
 *
 * No TLB and no hardware take part: an entry that allows the access is used as it is, any other is a
 * fault without entry and signal.
 *
 * Source: Linux 6.18 mm/gup.c (get_user_pages_fast, faultin_page, follow_page_pte, populate_vma_page_range, __mm_populate).
 */
#include "mm/mm_int.h"

/* follow_page_pte with FOLL_TOUCH: what is there counts as used; a writer makes a page dirty whose
 * entry is not. Of a huge entry the bits themselves are set (touch_pmd). */
static void follow_touched(struct mm *m, pte *e, unsigned level, bool write)
{
    if (!write || (e->v & (PTE_D | PTE_SPECIAL)))
        return;
    if (level > 0) {
        e->v |= PTE_A | PTE_D;
        return;
    }
    folio_mark_dirty(m->sys, folio_head(m->sys, pte_leaf_pfn(*e, level)));
}

int faultin_page(struct mm *m, struct vma *v, vaddr a, bool write)
{
    unsigned level;
    pte *e = pt_leaf(&m->pt, a, &level);
    enum fault_kind kind;
    if (e && pte_present(*e) && (!write || (e->v & PTE_RW))) {
        follow_touched(m, e, level, write);
        return 0;
    }
    int result = handle_mm_fault(m, v, a, write, &kind);
    if (result & VM_FAULT_OOM)
        return -ENOMEM;
    if (result & VM_FAULT_HWPOISON)
        return -EHWPOISON;
    return result & VM_FAULT_ERROR ? -EFAULT : 0;
}

/* mm_get_user_pages: pages it takes are referenced until the caller is done with them, which here it is at once. */
uint64_t mm_get_user_pages(struct mm *m, vaddr start, uint64_t bytes, bool write)
{
    uint64_t a = align_down(start.v, PAGE_SIZE), end = start.v + bytes, n = 0;
    for (; a < end; a += PAGE_SIZE, n++) {
        struct vma *v = vma_lookup(m, a);
        if (!v || (v->flags & (VM_IO | VM_PFNMAP)) || !(v->flags & (write ? VM_WRITE : VM_READ)) ||
            faultin_page(m, v, va(a), write) != 0)
            break;
    }
    AUDIT(audit_fault(m->sys));
    return n;
}

/* populate_vma touches one VMA's part: private writable memory is written (breaking COW now),
 * shared memory is only read. 0, -EFAULT where nothing may be touched, or -ENOMEM. */
static int populate_vma(struct mm *m, struct vma *v, uint64_t start, uint64_t end)
{
    bool write = (v->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE;
    if (v->flags & (VM_IO | VM_PFNMAP | VM_LOCKONFAULT))
        return 0;
    if (!(v->flags & VM_ACCESS_FLAGS))
        return -EFAULT;
    for (uint64_t a = start; a < end; a += PAGE_SIZE) {
        int err = faultin_page(m, v, va(a), write);
        if (err != 0)
            return err;
    }
    return 0;
}

/* mm_populate is __mm_populate: VMA by VMA. */
static int mm_populate(struct mm *m, uint64_t start, uint64_t end, bool ignore_errors)
{
    for (struct vma *v = find_vma(m, start); start < end && v && v->start.v < end; v = v->next) {
        int err = populate_vma(m, v, max_u64(start, v->start.v), min_u64(end, v->end.v));
        if (err != 0 && !ignore_errors)
            return err;
    }
    return 0;
}

void populate_range(struct mm *m, uint64_t start, uint64_t end)
{
    mm_populate(m, start, end, true);
}

int populate_all(struct mm *m, uint64_t start, uint64_t end)
{
    int err = mm_populate(m, start, end, false);
    return err == -EFAULT   ? -ENOMEM
           : err == -ENOMEM ? -EAGAIN
                            : err; /* __mlock_posix_error_return */
}
