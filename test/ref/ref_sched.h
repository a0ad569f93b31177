/* ref_sched.h: a naive scheduler, to compare src/kern/sched.c with: all tasks in one array, everything
 * worked out anew each time, in 128 bits, from the definitions of EEVDF. Fair tasks only. Written from
 * kernel/sched/fair.c, core.c and syscalls.c of Linux 6.18.44. */
#ifndef REF_SCHED_H
#define REF_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define REF_TASKS 64
#define REF_CORES 8

enum ref_state { REF_NONE, REF_ASLEEP, REF_WAITS, REF_RUNS, REF_DELAYED };

struct ref_task {
    enum ref_state state;
    int cpu, weight, policy, nice; /* Linux's numbers of policies: 0, 3 (batch), 5 (idle) */
    uint64_t allowed, waits_since; /* mask; a count of comings, the smaller the longer */
    __int128 v, deadline, prot, lag, slice;
    bool relative, custom, reset; /* deadline counts from v; slice was asked for; reset on fork */
    uint64_t from, ran, slept, preempted, moved;
};
struct ref_sched {
    int cores;
    __int128 slice, tick;
    uint64_t comings;
    struct ref_task task[REF_TASKS];
    struct ref_core {
        uint64_t clock, balance_at;
        __int128 zero; /* the mean when it was last worked out */
        bool resched, balance_failed;
    } core[REF_CORES];
};

void ref_open(struct ref_sched *r, int cores, int hz);
void ref_new(struct ref_sched *r, int t, int parent, uint64_t now);
void ref_wake(struct ref_sched *r, int t, uint64_t now);
void ref_block(struct ref_sched *r, int cpu, uint64_t now);
void ref_remove(struct ref_sched *r, int t);
/* ref_schedule returns the task that runs now, -1 for none. */
int ref_schedule(struct ref_sched *r, int cpu, uint64_t now);
int ref_runs(const struct ref_sched *r, int cpu);
void ref_tick(struct ref_sched *r, int cpu, uint64_t now);
void ref_yield(struct ref_sched *r, int cpu, uint64_t now);
/* ref_nice, ref_params: setpriority; sched_setattr with policy, nice, ns (0: none), reset on fork. `weight`
 * is that of the nice value. */
void ref_nice(struct ref_sched *r, int t, int nice, int weight);
void ref_params(struct ref_sched *r, int t, int policy, int nice, int weight, uint64_t ns,
                bool reset);
void ref_allowed(struct ref_sched *r, int t, uint64_t mask, uint64_t now);
bool ref_needs(const struct ref_sched *r, int cpu);

#endif
