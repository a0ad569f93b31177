/* sched_int.h: what sched.c, fair.c and balance.c share. */
#ifndef KERN_SCHED_INT_H
#define KERN_SCHED_INT_H

#include "kern/sched.h"

#define MSEC UINT64_C(1000000) /* ns */

static inline bool is_rt(const struct sched_task *t)
{
    return t->policy == POLICY_FIFO || t->policy == POLICY_RR;
}

/* sched.c: a task enters and leaves the queue of its core; curr is in none. */
void rq_link(struct sched_core *c, struct sched_task *t);
void rq_unlink(struct sched_core *c, struct sched_task *t);
/* activate_task queues a task on a core; deactivate_task takes one out that is on_rq, but comes back. */
void activate_task(struct sched *s, struct sched_task *t, unsigned cpu, bool initial, uint64_t now);
void deactivate_task(struct sched *s, struct sched_task *t);
void update_idle(struct sched *s, unsigned cpu);
/* end_delayed: a delayed task sleeps from now on. */
void end_delayed(struct sched *s, struct sched_task *t);

/* fair.c: EEVDF */
uint64_t fair_weight(int nice, int policy);
/* update_curr accounts for the time of curr up to the core's clock. */
void update_curr(const struct sched *s, struct sched_core *c);
void place_entity(const struct sched *s, struct sched_core *c, struct sched_task *t, bool initial);
void update_entity_lag(const struct sched *s, struct sched_core *c, struct sched_task *t);
/* make_relative: the deadline of a task that leaves its queue, and will be back, counts from vruntime. */
void make_relative(struct sched_task *t);
bool entity_eligible(const struct sched_core *c, const struct sched_task *t);
/* pick_task_fair returns whose turn it is, or NULL; delayed tasks whose turn it was sleep from now on.
 * protect: curr keeps the core while its slice is protected. */
struct sched_task *pick_task_fair(struct sched *s, struct sched_core *c, bool protect);
void set_protect_slice(const struct sched_core *c, struct sched_task *t);
/* check_preempt_wakeup_fair: t came to the queue; does curr, a fair task like it, have to go? `fork`: t was
 * just made (WF_FORK). */
void check_preempt_wakeup_fair(struct sched *s, struct sched_core *c, struct sched_task *t,
                               bool fork);
/* nr_queued: fair tasks of a core, delayed ones among them. */
unsigned nr_queued(const struct sched_core *c);
void requeue_delayed(const struct sched *s, struct sched_core *c, struct sched_task *t);
void yield_fair(const struct sched *s, struct sched_core *c);
/* reweight_task: t, which is in no queue, has another weight: what is owed, and left, is scaled. */
void reweight_task(struct sched_task *t, uint64_t weight);

/* balance.c: which core */
unsigned select_task_rq(const struct sched *s, const struct sched_task *t);
struct sched_task *newidle_balance(struct sched *s, unsigned cpu);
void periodic_balance(struct sched *s, unsigned cpu);

#endif
