/* witness.c: a process that tells a signal to us alone from one to our whole group.
 *
 *   kill PID    ──► pagewalk ──note──► witness: nothing pending here ──► kill the guest
 *   kill -PGID  ──► pagewalk ──note──► witness: the same is pending  ──► drop it
 *               ──► guest              (the guest has its own)
 *
 * A process cannot see whom else a signal was sent to. The witness is in our group, as the guest is,
 * and blocks everything, so what was sent to the group stays pending there until it looks.
 *
 * Invariants:
 *  I1  It holds no descriptor but its end of the pipe: nobody waits for it to close a file.
 *  I2  It dies with us, and with the guest (witness_close).
 *  I3  A signal that reached us and not it within WAIT_NS was not sent to the group. The kernel walks
 *      a group from its newest member on, so it usually has it before we do (kill_pgrp).
 *
 * Source: signal(7), "Queueing and delivery semantics"; kernel/signal.c: __kill_pgrp_info.
 */
#include "front/front_int.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_NS 5000000L /* kill -1 walks all processes from the oldest on */

/* What a handler tells the witness. */
struct note {
    int sig, code;      /* of the siginfo */
    union sigval value; /* when it was queued with one */
};

static bool sent_to_group(int sig)
{
    const struct timespec limit = {0, WAIT_NS};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    return sigtimedwait(&set, NULL, &limit) == sig;
}

/* at_guest: QEMU takes the host's first real-time signal of glibc for the kernel's first of the guest
 * (linux-user/signal.c: signal_table_init), so the guest sees signal N + 2 as N. */
static int at_guest(int sig)
{
    return sig < SIGRTMIN ? sig : sig + SIGRTMIN - WITNESS_KERNEL_RTMIN;
}

static _Noreturn void watch(int fd, pid_t guest)
{
    struct note n;

    while (read(fd, &n, sizeof n) == sizeof n) {
        if (sent_to_group(n.sig))
            continue;
        if (n.code == SI_QUEUE)
            sigqueue(guest, at_guest(n.sig), n.value);
        else
            kill(guest, at_guest(n.sig));
    }
    _exit(0);
}

int witness_open(struct witness *w, pid_t guest)
{
    pid_t parent = getpid();
    int pipes[2];

    *w = (struct witness){-1, -1};
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return -1;
    w->pid = fork();
    if (w->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* I2 */
        dup2(pipes[0], 0);
        if (getppid() != parent || close_range(1, ~0u, 0) != 0) /* I1 */
            _exit(0);
        watch(0, guest);
    }
    close(pipes[0]);
    w->fd = pipes[1];
    return w->pid < 0 ? -1 : 0;
}

void witness_tell(const struct witness *w, int sig, const siginfo_t *info)
{
    const struct note n = {sig, info->si_code, info->si_value};

    if (write(w->fd, &n, sizeof n) != sizeof n)
        return; /* the witness is gone, so is the guest */
}

void witness_close(struct witness *w)
{
    if (w->pid > 0) {
        kill(w->pid, SIGKILL);
        waitpid(w->pid, NULL, 0);
    }
    if (w->fd >= 0)
        close(w->fd);
    *w = (struct witness){-1, -1};
}
