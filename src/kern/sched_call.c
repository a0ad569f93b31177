/* sched_call.c: the system calls in which a task may go to sleep.
 *
 * Those left out return without (or change an address space, whose calls have an order of their own; a
 * lock they wait for is lock.c's). exit and execve are here because the one who makes them does not go on.
 *
 * Source: the calls' implementations in Linux 6.18: those that reach schedule() with the task not running
 * by what they are for, not by a page that has to be read or a lock.
 */
#include "kern/kern_int.h"

#include <linux/futex.h>
#include <sched.h>

static bool futex_sleeps(uint64_t op)
{
    switch (op & (uint64_t)FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_WAIT_REQUEUE_PI:
        return true;
    default:
        return false;
    }
}

static const uint16_t SLEEPS[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_open,
    SYS_openat,
    SYS_poll,
    SYS_ppoll,
    SYS_select,
    SYS_pselect6,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    441 /* epoll_pwait2 */,
    SYS_pause,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_wait4,
    SYS_waitid,
    SYS_accept,
    SYS_accept4,
    SYS_connect,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_sendfile,
    SYS_splice,
    SYS_tee,
    SYS_vmsplice,
    SYS_copy_file_range,
    SYS_flock,
    SYS_fcntl,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync,
    SYS_syncfs,
    SYS_sync_file_range,
    SYS_msgrcv,
    SYS_msgsnd,
    SYS_semop,
    SYS_semtimedop,
    SYS_mq_timedreceive,
    SYS_mq_timedsend,
    SYS_io_getevents,
    SYS_io_pgetevents,
    SYS_io_uring_enter,
    SYS_vfork,
    SYS_exit,
    SYS_exit_group,
    SYS_execve,
    SYS_execveat,
};

bool kern_call_may_sleep(const struct kern_call *c)
{
    if (c->nr == SYS_futex)
        return futex_sleeps(c->arg[1]);
    if (c->nr == SYS_clone)
        return c->arg[0] & CLONE_VFORK;
    for (unsigned i = 0; i < ARRAY_LEN(SLEEPS); i++)
        if (SLEEPS[i] == c->nr)
            return true;
    return false;
}
