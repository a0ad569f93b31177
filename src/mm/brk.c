/* brk.c: the heap, the stack, and the kernel's own pages in an address space.
 *
 *    program | heap ► brk           ◄ stack |                    brk keeps a page and the next
 *                    ├─ guard gap of next ─┤                     VMA's guard gap free
 *
 * Source: Linux 6.18 mm/mmap.c (brk), mm/vma.c (do_brk_flags), arch/x86/mm/mmap.c (mmap_base),
 * fs/exec.c (the stack VMA), mm/mmap.c (_install_special_mapping).
 */
#include "mm/mm_int.h"

void mm_set_brk(struct mm *m, vaddr a)
{
    m->start_brk = m->brk = a.v;
}

/* check_data_rlimit: the heap and the data segment together. */
static bool data_rlimit_ok(const struct mm *m, uint64_t brk)
{
    uint64_t limit = task_rlimit(m, MM_RLIM_DATA);
    uint64_t data = m->layout.end_data - m->layout.start_data;
    return limit == MM_RLIM_INFINITY || brk - m->start_brk + data <= limit;
}

/* check_brk_limits and the limits of do_brk_flags. */
static bool brk_allowed(const struct mm *m, uint64_t bytes)
{
    uint64_t flags = VM_DATA_FLAGS | VM_ACCOUNT | m->def_flags;
    return mlock_future_ok(m, flags, bytes) && may_expand_vm(m, flags, bytes >> PAGE_SHIFT);
}

/* do_brk_flags extends the VMA that ends at start, or makes the heap's first. */
static void do_brk_flags(struct mm *m, uint64_t start, uint64_t end)
{
    struct vma_merge g = {.start = start,
                          .end = end,
                          .pgoff = start >> PAGE_SHIFT,
                          .flags = VM_DATA_FLAGS | VM_ACCOUNT | m->def_flags,
                          .just_expand = true};
    const struct vma *next = find_vma(m, start), *prev = next ? next->prev : m->vmas.last;
    bool extends = prev && prev->end.v > m->start_brk; /* not the bss just below start_brk */
    if (!extends || !vma_merge_new_range(m, &g))
        vma_insert_new(m, &g, VMA_HEAP, label_for(m, VMA_HEAP, NULL, g.flags, va(m->start_brk)));
    vm_stat_account(m, g.flags, (int64_t)((end - start) >> PAGE_SHIFT));
}

static bool brk_shrink(struct mm *m, uint64_t newbrk, uint64_t oldbrk)
{
    if (!find_vma_intersection(m, newbrk, oldbrk))
        return false;
    return do_munmap(m, newbrk, oldbrk - newbrk, true) == 0;
}

static bool brk_grow(struct mm *m, uint64_t oldbrk, uint64_t newbrk)
{
    uint64_t gap = m->sys->conf.kernel_stack_guard_gap * PAGE_SIZE;
    if (newbrk > m->task_size || m->vmas.nr > m->sys->conf.kernel_max_map_count)
        return false;
    const struct vma *next = find_vma_intersection(m, oldbrk, newbrk + PAGE_SIZE + gap);
    if (next && newbrk + PAGE_SIZE > vma_start_gap(m, next))
        return false;
    if (!brk_allowed(m, newbrk - oldbrk) ||
        vm_enough_memory(m, (newbrk - oldbrk) >> PAGE_SHIFT) != 0)
        return false;
    do_brk_flags(m, oldbrk, newbrk);
    mmap_write_unlock(m);
    if (m->def_flags & VM_LOCKED)
        populate_range(m, oldbrk, newbrk);
    return true;
}

vaddr mm_brk(struct mm *m, vaddr brk)
{
    uint64_t newbrk = align_up(brk.v, PAGE_SIZE), oldbrk = align_up(m->brk, PAGE_SIZE);
    if (brk.v < m->start_brk || newbrk < brk.v || !data_rlimit_ok(m, brk.v))
        return va(m->brk);
    if (newbrk == oldbrk) {
        m->brk = brk.v;
        return brk;
    }
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    if (brk.v <= m->brk ? brk_shrink(m, newbrk, oldbrk) : brk_grow(m, oldbrk, newbrk))
        m->brk = brk.v;
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return va(m->brk);
}

/* -- what exec needs ------------------------------------------------------------------------- */

void mm_set_stack_limit(struct mm *m, uint64_t limit)
{
    uint64_t window = BIT(47) - PAGE_SIZE;
    uint64_t pad = m->sys->conf.kernel_stack_guard_gap * PAGE_SIZE;
    uint64_t gap = limit + pad >= limit ? limit + pad : limit;
    gap = min_u64(max_u64(gap, MIB(128)), window / 6 * 5);
    m->task.rlimit[MM_RLIM_STACK].cur = limit;
    m->mmap_base = align_up(window - gap, PAGE_SIZE);
}

static int place(struct mm *m, const struct vma_merge *g, enum vma_kind kind)
{
    int err = munmap_range(m, g->start, g->end);
    if (err != 0)
        return err;
    vma_insert_new(m, g, kind, label_for(m, kind, NULL, g->flags, va(g->start)));
    if (g->flags & VM_ACCOUNT)
        vm_acct_memory(m->sys, (int64_t)((g->end - g->start) >> PAGE_SHIFT));
    vm_stat_account(m, g->flags, (int64_t)((g->end - g->start) >> PAGE_SHIFT));
    AUDIT(audit_call(m));
    return 0;
}

static bool bad_range(const struct mm *m, uint64_t start, uint64_t end)
{
    return ((start | end) & ~PAGE_MASK) || start >= end || end > m->task_size;
}

int mm_map_stack(struct mm *m, vaddr start, vaddr end, uint64_t limit)
{
    struct vma_merge g = {.start = start.v,
                          .end = end.v,
                          .pgoff = start.v >> PAGE_SHIFT,
                          .flags = VM_DATA_FLAGS | VM_ACCOUNT | VM_GROWSDOWN};
    if (bad_range(m, start.v, end.v))
        return -EINVAL;
    mm_set_stack_limit(m, limit);
    return place(m, &g, VMA_STACK);
}

int mm_map_special(struct mm *m, vaddr start, uint64_t len, uint64_t flags, enum vma_kind kind)
{
    struct vma_merge g = {.start = start.v, .end = start.v + len, .flags = flags, .special = true};
    if (bad_range(m, g.start, g.end) || (kind != VMA_VDSO && kind != VMA_VVAR))
        return -EINVAL;
    struct mm_file *f = kind == VMA_VDSO ? m->sys->vdso : m->sys->vvar;
    f->size = max_u64(f->size, len);
    return place(m, &g, kind);
}
