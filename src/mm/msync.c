/* msync.c: msync and mincore.
 *
 * msync(MS_SYNC) writes the dirty pages of shared file mappings back; writing back cleans and
 * write-protects every entry that maps them, so the next write to each page faults again.
 *
 * Source: Linux 6.18 mm/msync.c, mm/mincore.c, mm/page-writeback.c (folio_clear_dirty_for_io).
 */
#include "mm/mm_int.h"

/* fsync_range: of a shared mapping of a regular file. 0 or -errno. */
static int fsync_range(struct mm *m, const struct vma *v, uint64_t start, uint64_t end)
{
    uint64_t first = vma_pgoff_at(v, va(start));
    if (!v->file || !(v->flags & VM_SHARED))
        return 0;
    return mm_fsync_range(m->sys, v->file, first << PAGE_SHIFT,
                          (first << PAGE_SHIFT) + (end - start));
}

static int msync_range(struct mm *m, uint64_t start, uint64_t end, int flags)
{
    int hole = 0;
    while (start < end) {
        const struct vma *v = find_vma(m, start);
        if (!v)
            return -ENOMEM;
        if (start < v->start.v) {
            if (flags == MS_ASYNC || v->start.v >= end)
                return -ENOMEM;
            start = v->start.v;
            hole = -ENOMEM;
        }
        if ((flags & MS_INVALIDATE) && (v->flags & VM_LOCKED))
            return -EBUSY;
        int err = flags & MS_SYNC ? fsync_range(m, v, start, min_u64(end, v->end.v)) : 0;
        if (err != 0)
            return err;
        start = v->end.v;
    }
    return hole;
}

int mm_msync(struct mm *m, vaddr start, uint64_t len, int flags)
{
    uint64_t end = start.v + align_up(len, PAGE_SIZE);
    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (start.v & ~PAGE_MASK) ||
        ((flags & MS_ASYNC) && (flags & MS_SYNC)))
        return -EINVAL;
    if (end < start.v)
        return -ENOMEM;
    int err = msync_range(m, start.v, end, flags);
    AUDIT(audit_call(m));
    return err;
}

/* can_do_mincore: else all of the VMA is said to be in memory. */
static bool can_do_mincore(const struct mm *m, const struct vma *v)
{
    if (vma_is_anonymous(v) || !v->file || !(v->file->traits & MM_FILE_ROOTS))
        return true;
    return m->task.uid == 0 || task_capable(m, CAP_FOWNER) || task_capable(m, CAP_DAC_OVERRIDE);
}

static bool in_core(const struct mm *m, const struct vma *v, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(&m->pt, va(a), &level);
    pfn n;
    if (e && pte_is_swap_slot(*e))
        return swap_cache_get(m->sys, (pte){e->v & ~PTE_SWP_EXCLUSIVE}, &n);
    if (e && !pte_none(*e) && !pte_is_marker(*e, PTE_MARKER_GUARD))
        return true;
    pte entry;
    if (vma_is_anonymous(v) || !v->file || (v->flags & VM_HUGETLB))
        return false;
    if (filemap_swapped(v->file, vma_pgoff_at(v, va(a)), &entry))
        return swap_cache_get(m->sys, entry, &n);
    return filemap_cached(m->sys, v->file, vma_pgoff_at(v, va(a)));
}

int mm_mincore(struct mm *m, vaddr start, uint64_t len, uint8_t *vec)
{
    if (start.v & ~PAGE_MASK)
        return -EINVAL;
    if (start.v > m->task_size || len > m->task_size - start.v)
        return -ENOMEM;
    uint64_t end = start.v + align_up(len, PAGE_SIZE);
    for (uint64_t a = start.v; a < end; a += PAGE_SIZE) {
        const struct vma *v = vma_lookup(m, a);
        if (!v)
            return -ENOMEM;
        *vec++ = !can_do_mincore(m, v) || in_core(m, v, a);
    }
    return 0;
}
