/* sched.h: which task runs on which core, as Linux decides it: a pure model of numbers.
 *
 * Whoever owns the tasks (sim) tells what happens, and when, in nanoseconds of virtual time; the
 * model answers who runs. It knows no address space, no hardware and no clock.
 *
 *   sched_wake_new, sched_wake ─► queue of a core ─► sched_schedule ─► running ─► sched_tick …
 *                                      ▲  need_resched: put back │        │
 *                                      └─────────────────────────┘        └─► sched_block: asleep
 */
#ifndef KERN_SCHED_H
#define KERN_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_CORES_MAX 64u

/* Linux's numbers of policies. */
enum sched_policy { POLICY_NORMAL = 0, POLICY_FIFO, POLICY_RR, POLICY_BATCH, POLICY_IDLE = 5 };

/* What the scheduler knows of a task: struct sched_entity and its neighbours in task_struct. The
 * owner keeps it where it likes, set up by sched_task_init, and reads but never writes it. */
struct sched_task {
    uint32_t serial;     /* unique; between equals the smaller goes first */
    unsigned cpu;        /* core of its queue; while asleep where it ran last */
    uint64_t allowed;    /* bit n: may run on core n; never 0 */
    int nice;            /* -20 … 19 */
    int policy;          /* enum sched_policy */
    int rt_priority;     /* 1 … 99 with FIFO and RR, else 0 */
    bool on_rq;          /* runs or waits; also while `delayed` */
    bool delayed;        /* asleep, and in the queue until it is eligible (DELAY_DEQUEUE) */
    bool rel_deadline;   /* deadline is relative to vruntime: kept over a move */
    uint64_t weight;     /* sched_prio_to_weight of nice, 1024 for nice 0 */
    int64_t vruntime;    /* virtual ns: time it ran × 1024 / weight */
    int64_t deadline;    /* virtual ns at which its request for `slice` is due */
    int64_t vprot;       /* virtual ns until which it is not preempted by its equals */
    int64_t vlag;        /* virtual ns it is owed (+) or ahead (-), while it is in no queue */
    uint64_t slice;      /* ns of its request */
    bool custom_slice;   /* the program asked for that slice; else it is base_slice */
    bool reset_on_fork;  /* a child starts NORMAL, and not above nice 0 */
    uint64_t exec_start; /* ns: accounted until then */
    uint64_t sum_exec;   /* ns it ran ever */
    uint64_t rr_left;    /* ns left of its turn with RR */
    int64_t order;       /* place among real-time tasks of its priority, the least is first */
    uint64_t nvcsw;      /* times it left its core to sleep */
    uint64_t nivcsw;     /* times it left its core although it could run */
    uint64_t migrations; /* times it changed cores */
    struct sched_task *next, **link; /* queue of its core; link NULL: in none (runs, or sleeps) */
};

struct sched_core {
    uint64_t clock;           /* ns: curr ran up to here. Only forward */
    uint32_t last;            /* serial of who left it last */
    struct sched_task *curr;  /* on the core, in no queue; NULL: idle */
    struct sched_task *queue; /* who waits, longest first, delayed ones among them */
    struct sched_task **tail; /* where the next one is linked */
    unsigned waiting;         /* of the queue, without delayed ones */
    int64_t
        zero_vruntime; /* virtual ns: V when it was last worked out; holds while nobody is here */
    bool need_resched; /* curr has to give way: call sched_schedule */
    unsigned node;     /* memory node: idle cores of it are looked at first */
    uint64_t next_balance;   /* ns */
    unsigned balance_failed; /* attempts that moved nobody since one did */
    uint64_t switches;       /* times another task, or none, came on it */
};

struct sched {
    unsigned cores;
    uint64_t base_slice; /* ns */
    uint64_t tick;       /* ns between two ticks of a core */
    int64_t first_order; /* given out last to a real-time task that went to the head … */
    int64_t last_order;  /* … and to the tail of its priority */
    uint64_t idle;       /* bit n: core n has neither curr nor somebody waiting */
    struct sched_core core[SCHED_CORES_MAX];
};

/* sched_open: `cores` cores, all idle; ticks come hz times a second of running. */
void sched_open(struct sched *s, unsigned cores, unsigned hz);
/* sched_base_slice returns Linux's slice on so many cores, in ns (700 µs × (1 + log2 cores)). */
uint64_t sched_base_slice(unsigned cores);

/* What a program asks for a task: struct sched_attr, without deadlines and clamps. */
struct sched_params {
    int policy;         /* enum sched_policy */
    int nice;           /* -20 … 19 */
    int rt_priority;    /* 1 … 99 with FIFO and RR */
    uint64_t slice;     /* sched_runtime: ns of a fair task's request; 0: base_slice */
    bool reset_on_fork; /* SCHED_FLAG_RESET_ON_FORK */
};

/* sched_task_init makes a sleeping task. It inherits nice, policy, slice, cores and place of `parent`, or
 * what reset_on_fork leaves of them; NULL: it may run anywhere. */
void sched_task_init(const struct sched *s, struct sched_task *t, uint32_t serial,
                     const struct sched_task *parent);
/* sched_wake_new queues a task that was just made: on an idle core, else where fewest are. */
void sched_wake_new(struct sched *s, struct sched_task *t, uint64_t now);
/* sched_wake queues a task that slept: on its core if that is idle, else an idle one, nearest first, else
 * the one with the fewest. A core that runs somebody keeps its own clock, which may be before or after
 * `now`. */
void sched_wake(struct sched *s, struct sched_task *t, uint64_t now);
/* sched_block: the task on a core goes to sleep. Then comes sched_schedule, before anything else. */
void sched_block(struct sched *s, unsigned cpu, uint64_t now);
/* sched_remove takes a task that ends out of wherever it is. */
void sched_remove(struct sched *s, struct sched_task *t);
/* sched_unblock: the last task of an idle core did not sleep after all: it goes on, and no switch was
 * made. False, and nothing changed, when that cannot be: somebody ran, or it left the core. */
bool sched_unblock(struct sched *s, struct sched_task *t, uint64_t now);

/* sched_schedule picks who runs on a core from now on: the one who did, another, or NULL for nobody (then
 * it looks for work at other cores first). */
struct sched_task *sched_schedule(struct sched *s, unsigned cpu, uint64_t now);
/* sched_peek returns who would come next if curr slept, or NULL. */
const struct sched_task *sched_peek(const struct sched *s, unsigned cpu);
/* sched_force lets a waiting task have its core now, against the order. */
void sched_force(struct sched *s, struct sched_task *t, uint64_t now);
/* sched_tick accounts for the time until now; looks whether curr's slice is over, and whether the load is
 * spread evenly. Any core may then need sched_schedule. */
void sched_tick(struct sched *s, unsigned cpu, uint64_t now);
/* sched_needs says whether a core has to call sched_schedule. */
bool sched_needs(const struct sched *s, unsigned cpu);

/* sched_set_clock: curr ran up to now. */
void sched_set_clock(struct sched *s, unsigned cpu, uint64_t now);
/* sched_yield_task: curr gives up the rest of its slice. */
void sched_yield_task(struct sched *s, unsigned cpu, uint64_t now);
void sched_set_nice(struct sched *s, struct sched_task *t, int nice);
/* sched_get_params says what sched_set_params would have to be told to change nothing. */
void sched_get_params(const struct sched_task *t, struct sched_params *ret);
/* sched_set_params: sched_setattr, once it is known to be allowed. */
void sched_set_params(struct sched *s, struct sched_task *t, const struct sched_params *p);
void sched_set_policy(struct sched *s, struct sched_task *t, int policy, int rt_priority);
/* sched_set_allowed: sched_setaffinity. A task on a core it may not use leaves it at once. False, and
 * nothing changed, when none of the cores exists. */
bool sched_set_allowed(struct sched *s, struct sched_task *t, uint64_t mask, uint64_t now);

/* sched_audit returns the number of a broken invariant of sched.c, 0 when all hold. */
int sched_audit(const struct sched *s);

#endif
