/* seal.c: mseal: mappings that keep their place, size and rights for good.
 *
 *   EPERM   munmap, mmap over it, mremap, mprotect, shrinking; discarding advice for private
 *           anonymous memory that the caller could not write anyway
 *
 * Source: Linux 6.18 mm/mseal.c, mm/vma.h (can_modify_vma).
 */
#include "mm/mm_int.h"

bool range_has_hole(const struct mm *m, uint64_t start, uint64_t end)
{
    for (const struct vma *v = find_vma(m, start); start < end; v = v->next) {
        if (!v || v->start.v > start)
            return true;
        start = v->end.v;
    }
    return false;
}

static int mseal_apply(struct mm *m, uint64_t start, uint64_t end)
{
    while (start < end) {
        struct vma *v = find_vma(m, start);
        uint64_t piece = min_u64(end, v->end.v), flags = v->flags | VM_SEALED;
        if (flags != v->flags) {
            int err = vma_modify(m, v, start, piece, flags, &v);
            if (err != 0)
                return err;
            vma_reset_flags(v, flags);
        }
        start = piece;
    }
    return 0;
}

int mm_mseal(struct mm *m, vaddr start, uint64_t len_in, uint64_t flags)
{
    uint64_t len = align_up(len_in, PAGE_SIZE), end = start.v + len;
    if (flags != 0 || (start.v & ~PAGE_MASK) || (len_in != 0 && len == 0) || end < start.v)
        return -EINVAL;
    if (len == 0)
        return 0;
    if (range_has_hole(m, start.v, end))
        return -ENOMEM;
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    int err = mseal_apply(m, start.v, end);
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return err;
}
