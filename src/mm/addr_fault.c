/* addr_fault.c: from the fault that the hardware reports to the VMA, or to a signal.
 *
 *   mm_fault ─┬ not canonical (#GP) ──────────────────► SIGSEGV, SI_KERNEL
 *             ├ an address of the kernel ─────────────► SIGSEGV, SEGV_MAPERR
 *             └ do_user_addr_fault ─┬ no VMA, no stack that grows ─► SIGSEGV, SEGV_MAPERR
 *                                   ├ access_error ─► SIGSEGV, SEGV_ACCERR or SEGV_PKUERR
 *                                   └ handle_mm_fault (fault.c), whose errors are signals, too
 *
 * Source: Linux 6.18 arch/x86/mm/fault.c, mm/mmap_lock.c (lock_mm_and_find_vma), mm/vma.c
 * (expand_downwards).
 */
#include "mm/mm_int.h"

/* -- finding the VMA ------------------------------------------------------------------------- */

static bool gap_too_small(const struct mm *m, const struct vma *prev, uint64_t a)
{
    return !(prev->flags & VM_GROWSDOWN) && (prev->flags & VM_ACCESS_FLAGS) &&
           a - prev->end.v < m->sys->conf.kernel_stack_guard_gap * PAGE_SIZE;
}

/* acct_stack_growth: the limits on a growing stack, overcommit last: that charges. Linux charges what
 * has no VM_ACCOUNT, too, and never takes it back. */
static bool acct_stack_growth(struct mm *m, const struct vma *v, uint64_t size, uint64_t grow)
{
    if (!may_expand_vm(m, v->flags, grow) || size > task_rlimit(m, MM_RLIM_STACK) ||
        !mlock_future_ok(m, v->flags, grow << PAGE_SHIFT) || vm_enough_memory(m, grow) != 0)
        return false;
    m->sys->commit_lost += v->flags & VM_ACCOUNT ? 0 : grow;
    return true;
}

int expand_stack(struct mm *m, struct vma *v, uint64_t a)
{
    a = align_down(a, PAGE_SIZE);
    if (a < mmap_min_addr(m->sys))
        return -EPERM;
    if (v->prev && gap_too_small(m, v->prev, a))
        return -ENOMEM;
    anon_vma_prepare(m, v);
    uint64_t pages = (v->start.v - a) >> PAGE_SHIFT;
    if (pages > v->pgoff || !acct_stack_growth(m, v, v->end.v - a, pages))
        return -ENOMEM;
    vma_move_start(m, v, a);
    vm_stat_account(m, v->flags, (int64_t)pages);
    return 0;
}

/* find_vma_grow is lock_mm_and_find_vma: the VMA of an address, or a stack that grows to it. */
static struct vma *find_vma_grow(struct mm *m, uint64_t a, bool *ret_grew)
{
    struct vma *v = vma_lookup(m, a);
    if (likely(v != NULL))
        return v;
    arch_lock(m->sys->outbox, LOCK_MMAP_READ, 0, 0); /* lock_mm_and_find_vma */
    v = find_vma(m, a);
    if (!v || !(v->flags & VM_GROWSDOWN) || expand_stack(m, v, a) != 0)
        return NULL;
    *ret_grew = true;
    return v;
}

/* -- may it be accessed? --------------------------------------------------------------------- */

/* pkey_denies: the rights of the VMA's protection key forbid the access; they never forbid an
 * instruction fetch (arch_vma_access_permitted). */
static bool pkey_denies(const struct arch_fault *f, const struct vma *v)
{
    uint32_t rights = f->pkru >> 2 * ((v->flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT);
    if (f->code & FAULT_PK)
        return true;
    return !(f->code & FAULT_I) && ((rights & 1) || ((f->code & FAULT_W) && (rights & 2)));
}

static bool access_error(const struct arch_fault *f, const struct vma *v)
{
    if (pkey_denies(f, v))
        return true;
    if (f->code & FAULT_W)
        return !(v->flags & VM_WRITE);
    return (f->code & FAULT_P) || !(v->flags & VM_ACCESS_FLAGS);
}

static void bad_area(struct mm_verdict *ret, int signal, int si_code)
{
    ret->kind = FAULT_BAD;
    ret->signal = signal;
    ret->si_code = si_code;
}

static void do_user_addr_fault(struct mm *m, const struct arch_fault *fault, struct mm_verdict *ret)
{
    arch_step(m->sys->outbox, STEP_VMA_LOOKUP, 1);
    arch_lock(m->sys->outbox, LOCK_VMA_READ, fault->cr2.v, 0); /* lock_vma_under_rcu */
    struct vma *v = find_vma_grow(m, fault->cr2.v, &ret->stack_grew);
    if (!v) {
        bad_area(ret, SIGSEGV, SEGV_MAPERR);
        return;
    }
    if (access_error(fault, v)) {
        bad_area(ret, SIGSEGV, pkey_denies(fault, v) ? SEGV_PKUERR : SEGV_ACCERR);
        return;
    }
    int result = handle_mm_fault(m, v, fault->cr2, fault->code & FAULT_W, &ret->kind);
    ret->oom = result & VM_FAULT_OOM;
    ret->major = result & VM_FAULT_MAJOR;
    if (result & VM_FAULT_HWPOISON)
        bad_area(ret, SIGBUS, BUS_MCEERR_AR);
    else if (result & VM_FAULT_SIGBUS)
        bad_area(ret, SIGBUS, BUS_ADRERR);
    else if (result & VM_FAULT_SIGSEGV)
        bad_area(ret, SIGSEGV, SEGV_MAPERR);
}

void mm_fault(struct mm *m, const struct arch_fault *fault, struct mm_verdict *ret)
{
    *ret = (struct mm_verdict){.kind = FAULT_BAD, .code = fault->code};
    arch_step(m->sys->outbox, STEP_FAULT_ENTRY, 1);
    if (fault->noncanonical) {
        ret->code = 0;
        bad_area(ret, SIGSEGV, SI_KERNEL);
    } else if (fault->cr2.v >= m->task_size) {
        if (fault->code & FAULT_U)
            ret->code |= FAULT_P; /* whether something lies there is nobody's business */
        bad_area(ret, SIGSEGV, SEGV_MAPERR);
    } else {
        do_user_addr_fault(m, fault, ret);
    }
    if (unlikely(phys_kswapd_any(m->sys->phys)))
        mm_kswapd(m->sys);
    AUDIT(audit_fault(m->sys));
}
