/* mlock.c: memory that must stay: VM_LOCKED on VMAs, and on those still to come.
 *
 *   mlock, mlock2            VMAs of a range get VM_LOCKED, its pages are touched
 *   mlockall(MCL_CURRENT)    all VMAs, likewise
 *   mlockall(MCL_FUTURE)     mm->def_flags: mmap and brk give the flag to what they make, and touch it
 *   MLOCK_ONFAULT, MCL_ONFAULT   VM_LOCKONFAULT besides: nothing is touched before its time
 *   munlock, munlockall      take both flags back; pages stay
 *
 * A stack that grows by a fault is locked like the VMA it is, but only the page of the fault comes.
 *
 * Source: Linux 6.18 mm/mlock.c (apply_vma_lock_flags, apply_mlockall_flags, mlock_fixup), mm/gup.c
 * (populate_vma_page_range, __mm_populate).
 */
#include "mm/mm_int.h"

/* mlock_fixup gives [start, end) inside v the flags of VM_LOCKED_MASK in `lock`. */
static int mlock_fixup(struct mm *m, struct vma *v, uint64_t start, uint64_t end, uint64_t lock)
{
    uint64_t old = v->flags, flags = (old & ~VM_LOCKED_MASK) | lock;
    if (flags == v->flags || (v->flags & (VM_SPECIAL | VM_HUGETLB | VM_DROPPABLE)))
        return 0;
    int err = vma_modify(m, v, start, end, flags, &v);
    if (err != 0)
        return err;
    uint32_t pages = (uint32_t)((end - start) >> PAGE_SHIFT); /* Linux's nr_pages is an int */
    if ((old ^ flags) & VM_LOCKED)
        m->cnt.locked_vm += (uint64_t)(int64_t)(int32_t)(flags & VM_LOCKED ? pages : 0 - pages);
    vma_reset_flags(v, flags);
    if ((old ^ flags) & VM_LOCKED)
        mlock_vma_pages_range(m, v, start, end);
    return 0;
}

/* apply_flags goes VMA by VMA; what was changed before a hole stays changed. */
static int apply_flags(struct mm *m, uint64_t start, uint64_t end, uint64_t lock)
{
    while (start < end) {
        struct vma *v = vma_lookup(m, start);
        if (!v)
            return -ENOMEM;
        uint64_t piece = min_u64(end, v->end.v);
        int err = mlock_fixup(m, v, start, piece, lock);
        if (err != 0)
            return err;
        start = piece;
    }
    return 0;
}

/* count_mm_mlocked_page_nr: pages of the range that are locked already. */
static uint64_t locked_pages(const struct mm *m, uint64_t start, uint64_t end)
{
    uint64_t pages = 0;
    for (const struct vma *v = find_vma(m, start); v && v->start.v < end; v = v->next)
        if (v->flags & VM_LOCKED)
            pages += (min_u64(end, v->end.v) - max_u64(start, v->start.v)) >> PAGE_SHIFT;
    return pages;
}

/* within_limit: RLIMIT_MEMLOCK; what is locked already counts once. */
static bool within_limit(const struct mm *m, uint64_t start, uint64_t len)
{
    uint64_t limit = task_rlimit(m, MM_RLIM_MEMLOCK) >> PAGE_SHIFT;
    uint64_t locked = (len >> PAGE_SHIFT) + m->cnt.locked_vm;
    uint64_t end = start + len < start ? UINT64_MAX : start + len;
    return locked <= limit || task_capable(m, CAP_IPC_LOCK) ||
           locked - locked_pages(m, start, end) <= limit;
}

static int lock_range(struct mm *m, vaddr a, uint64_t len_in, uint64_t lock)
{
    uint64_t start = align_down(a.v, PAGE_SIZE);
    uint64_t len = align_up(len_in + (a.v - start), PAGE_SIZE), end = start + len;
    if (lock != 0 && !can_do_mlock(m))
        return -EPERM;
    if (lock != 0 && !within_limit(m, start, len))
        return -ENOMEM;
    if (end < start)
        return -EINVAL;
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    int err = apply_flags(m, start, end, lock);
    mmap_write_unlock(m);
    if (err == 0 && lock != 0)
        err = populate_all(m, start, end);
    AUDIT(audit_call(m));
    return err;
}

int mm_mlock(struct mm *m, vaddr start, uint64_t len, int flags)
{
    if (flags & ~MLOCK_ONFAULT)
        return -EINVAL;
    return lock_range(m, start, len, VM_LOCKED | (flags ? VM_LOCKONFAULT : 0));
}

int mm_munlock(struct mm *m, vaddr start, uint64_t len)
{
    return lock_range(m, start, len, 0);
}

/* lock_every gives all VMAs the same flags; one that cannot be split off stays as it is. */
static void lock_every(struct mm *m, uint64_t lock)
{
    uint64_t a = 0;
    for (struct vma *v; (v = find_vma(m, a)) != NULL;) {
        a = v->end.v; /* before it merges */
        mlock_fixup(m, v, v->start.v, a, lock);
    }
}

int mm_mlockall(struct mm *m, int flags)
{
    uint64_t lock = VM_LOCKED | (flags & MCL_ONFAULT ? VM_LOCKONFAULT : 0);
    if (flags == 0 || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (!can_do_mlock(m))
        return -EPERM;
    if ((flags & MCL_CURRENT) && !task_capable(m, CAP_IPC_LOCK) &&
        m->cnt.total_vm > task_rlimit(m, MM_RLIM_MEMLOCK) >> PAGE_SHIFT)
        return -ENOMEM;
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    m->def_flags = flags & MCL_FUTURE ? lock : 0;
    if (flags & MCL_CURRENT)
        lock_every(m, lock);
    mmap_write_unlock(m);
    if (flags & MCL_CURRENT)
        populate_range(m, 0, m->task_size);
    AUDIT(audit_call(m));
    return 0;
}

void mm_munlockall(struct mm *m)
{
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    m->def_flags = 0;
    lock_every(m, 0);
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
}
