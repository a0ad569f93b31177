/* limits.c: who calls ("current"), and what it may have: capabilities and resource limits.
 *
 *   RLIMIT_AS        total_vm of all mappings              mmap, brk, mremap, stack growth: ENOMEM
 *   RLIMIT_DATA      data_vm: private and writable         and mprotect to writable: ENOMEM
 *   RLIMIT_STACK     one growing stack                     a fault that cannot grow it: SIGSEGV
 *   RLIMIT_MEMLOCK   locked_vm, unless CAP_IPC_LOCK        mlock: ENOMEM; mmap, mremap: EAGAIN
 *
 * An address space starts as an ordinary user's: no capability, no limit on AS and DATA, 8 MiB of
 * stack, 8 MiB of locked memory, as a shell on Linux 6 gives them.
 *
 * Source: Linux 6.18 mm/mmap.c (mlock_future_ok), mm/vma.c (may_expand_vm), mm/mlock.c
 * (can_do_mlock), include/uapi/linux/resource.h.
 */
#include "mm/mm_int.h"

void task_init(struct mm_task *t)
{
    *t = (struct mm_task){.pid = 1000, .tgid = 1000, .uid = 1000, .gid = 1000, .comm = "program"};
    for (unsigned i = 0; i < MM_RLIM_NR; i++)
        t->rlimit[i] = (struct mm_rlimit){MM_RLIM_INFINITY, MM_RLIM_INFINITY};
    t->rlimit[MM_RLIM_STACK].cur = STACK_RLIMIT_DEFAULT;
    t->rlimit[MM_RLIM_MEMLOCK] = (struct mm_rlimit){MEMLOCK_DEFAULT, MEMLOCK_DEFAULT};
}

const struct mm_task *mm_task(const struct mm *m)
{
    return &m->task;
}

void mm_set_task(struct mm *m, const struct mm_task *t)
{
    m->task = *t;
    m->task.comm[sizeof(m->task.comm) - 1] = '\0';
}

void mm_set_rlimit(struct mm *m, enum mm_rlim which, struct mm_rlimit limit)
{
    ASSERT(which < MM_RLIM_NR);
    m->task.rlimit[which] = limit;
}

bool task_capable(const struct mm *m, unsigned cap)
{
    return m->task.caps & BIT(cap);
}

uint64_t task_rlimit(const struct mm *m, enum mm_rlim which)
{
    return m->task.rlimit[which].cur;
}

static bool is_data_mapping(uint64_t flags)
{
    return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

bool may_expand_vm(const struct mm *m, uint64_t flags, uint64_t pages)
{
    const struct mm_rlimit *data = &m->task.rlimit[MM_RLIM_DATA];
    uint64_t data_vm = m->cnt.data_vm + pages;
    if (m->cnt.total_vm + pages > task_rlimit(m, MM_RLIM_AS) >> PAGE_SHIFT)
        return false;
    if (!is_data_mapping(flags) || data_vm <= data->cur >> PAGE_SHIFT)
        return true;
    /* Some programs set a limit of 0 and count on it being ignored; Linux looks at the hard one. */
    return data->cur == 0 && data_vm <= data->max >> PAGE_SHIFT;
}

bool can_do_mlock(const struct mm *m)
{
    return task_rlimit(m, MM_RLIM_MEMLOCK) != 0 || task_capable(m, CAP_IPC_LOCK);
}

bool mlock_future_ok(const struct mm *m, uint64_t flags, uint64_t bytes)
{
    if (!(flags & VM_LOCKED) || task_capable(m, CAP_IPC_LOCK))
        return true;
    uint64_t locked = (bytes >> PAGE_SHIFT) + m->cnt.locked_vm;
    return locked <= task_rlimit(m, MM_RLIM_MEMLOCK) >> PAGE_SHIFT;
}
