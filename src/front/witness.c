/* witness.c: whether a signal was sent to pagewalk alone or to its whole group.
 *
 *   kill PID    ──► pagewalk ──note──► keeper: nothing pending here ──► kill the first process
 *   kill -PGID  ──► pagewalk ──note──► keeper: the same is pending  ──► drop it
 *               ──► first process      (it has its own)
 *
 * A process cannot see whom else a signal was sent to. The keeper is in our group, as the first process
 * is, and blocks everything, so what was sent to the group stays pending there until it looks.
 *
 * I1  A signal that reached us and not the keeper within WAIT_NS was not sent to the group. The kernel
 *     walks a group from its newest member on, so the keeper usually has it before we do (kill_pgrp).
 *
 * Source: signal(7), "Queueing and delivery semantics"; kernel/signal.c: __kill_pgrp_info.
 */
#include "front/front_int.h"

#include <signal.h>
#include <time.h>

#define WAIT_NS 5000000L /* kill -1 walks all processes from the oldest on */

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

void witness_judge(int sig, int code, union sigval value, pid_t first)
{
    if (sent_to_group(sig))
        return;
    if (code == SI_QUEUE)
        sigqueue(first, at_guest(sig), value);
    else
        kill(first, at_guest(sig));
}
