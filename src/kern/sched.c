/* sched.c: tasks, queues, and who is switched to; real-time tasks first, then fair.c.
 *
 *            wake_new, wake                    schedule
 *   asleep ───────────────────► queued ◄────────────────────► running = core.curr
 *     ▲  └ (delayed: still queued, fair.c I2)  need_resched      │
 *     └──────────────────────────── block ───────────────────────┘
 *
 *  I1  A task that is on_rq is either curr of core[t->cpu] or in that core's queue once; no other is.
 *  I2  `waiting` is the number of tasks of the queue that are not delayed.
 *  I3  Bit n of `idle` is set when core n has no curr and none waiting.
 *  I4  curr may run on its core, and so may all of its queue.
 *  I5  A core without curr whose queue is not empty needs sched_schedule.
 *
 * Real-time: the highest rt_priority runs; equals in order of coming, with RR 100 ms each. A real-time
 * task that is preempted stays the first of its priority. There is no throttling of them (CAVEATS.md).
 *
 * Source: Linux 6.18 kernel/sched/core.c (__schedule, try_to_wake_up, sched_tick, __set_cpus_allowed_ptr,
 * do_sched_yield), rt.c (RR_TIMESLICE, task_tick_rt), fair.c (get_update_sysctl_factor).
 */
#include "kern/sched_int.h"

#include "base/bits.h"
#include "base/check.h"

#include <stddef.h>
#include <string.h>

#define NORMALIZED_BASE_SLICE UINT64_C(700000) /* ns */
#define RR_TIMESLICE          (100 * MSEC)

uint64_t sched_base_slice(unsigned cores)
{
    return NORMALIZED_BASE_SLICE * (1 + log2_floor(min_u64(cores, 8)));
}

void sched_open(struct sched *s, unsigned cores, unsigned hz)
{
    memset(s, 0, sizeof(*s));
    s->cores = cores;
    s->base_slice = sched_base_slice(cores);
    s->tick = UINT64_C(1000000000) / hz;
    for (unsigned n = 0; n < cores; n++) {
        s->core[n].tail = &s->core[n].queue;
        update_idle(s, n);
    }
}

void sched_task_init(const struct sched *s, struct sched_task *t, uint32_t serial,
                     const struct sched_task *parent)
{
    *t = (struct sched_task){.serial = serial, .allowed = ~UINT64_C(0) >> (64 - s->cores)};
    if (parent) {
        t->cpu = parent->cpu;
        t->allowed = parent->allowed;
        t->nice = parent->nice;
        t->policy = parent->policy;
        t->rt_priority = parent->rt_priority;
    }
    t->weight = fair_weight(t->nice, t->policy);
    t->slice = s->base_slice;
    t->rr_left = RR_TIMESLICE;
}

/* -- queues --------------------------------------------------------------------------------------*/

void update_idle(struct sched *s, unsigned cpu)
{
    const struct sched_core *c = &s->core[cpu];
    bool idle = !c->curr && c->waiting == 0;

    s->idle = (s->idle & ~BIT(cpu)) | (uint64_t)idle << cpu;
}

void rq_link(struct sched_core *c, struct sched_task *t)
{
    t->next = NULL;
    t->link = c->tail;
    *c->tail = t;
    c->tail = &t->next;
    c->waiting += !t->delayed;
}

void rq_unlink(struct sched_core *c, struct sched_task *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    else
        c->tail = t->link;
    t->link = NULL;
    c->waiting -= !t->delayed;
}

/* put_prev: who leaves the core waits, or sleeps. */
static void put_prev(struct sched_core *c)
{
    struct sched_task *t = c->curr;

    c->curr = NULL;
    c->switches++;
    if (!t)
        return;
    c->last = t->serial;
    t->nvcsw += !t->on_rq || t->delayed;
    t->nivcsw += t->on_rq && !t->delayed;
    if (t->on_rq)
        rq_link(c, t);
}

static void check_preempt(struct sched *s, struct sched_core *c, struct sched_task *t)
{
    if (!c->curr || !c->curr->on_rq)
        c->need_resched = true;
    else if (is_rt(t))
        c->need_resched |= !is_rt(c->curr) || t->rt_priority > c->curr->rt_priority;
    else if (!is_rt(c->curr))
        check_preempt_fair(s, c, t);
}

static void update_clock(struct sched_core *c, uint64_t now)
{
    c->clock = max_u64(c->clock, now);
}

void activate_task(struct sched *s, struct sched_task *t, unsigned cpu, bool initial, uint64_t now)
{
    struct sched_core *c = &s->core[cpu];

    t->migrations += cpu != t->cpu && !initial;
    t->cpu = cpu;
    if (!c->curr)
        update_clock(c, now);
    update_curr(s, c);
    if (is_rt(t))
        t->order = ++s->last_order;
    else
        place_entity(s, c, t, initial);
    t->on_rq = true;
    rq_link(c, t);
    update_idle(s, cpu);
    check_preempt(s, c, t);
}

void deactivate_task(struct sched *s, struct sched_task *t)
{
    struct sched_core *c = &s->core[t->cpu];

    update_curr(s, c);
    if (!is_rt(t)) {
        update_entity_lag(s, c, t);
        t->deadline -= t->vruntime;
        t->rel_deadline = true;
    }
    if (t->link)
        rq_unlink(c, t);
    t->on_rq = false;
    update_idle(s, t->cpu);
}

/* -- waking and sleeping -------------------------------------------------------------------------*/

void sched_wake_new(struct sched *s, struct sched_task *t, uint64_t now)
{
    activate_task(s, t, select_task_rq(s, t), true, now);
}

/* end_delayed: a delayed task sleeps from now on. */
static void end_delayed(struct sched *s, struct sched_task *t)
{
    struct sched_core *c = &s->core[t->cpu];

    update_entity_lag(s, c, t);
    t->vlag = t->vlag > 0 ? 0 : t->vlag; /* DELAY_ZERO */
    if (t->link)
        rq_unlink(c, t);
    t->delayed = t->on_rq = false;
}

void sched_wake(struct sched *s, struct sched_task *t, uint64_t now)
{
    struct sched_core *c = &s->core[t->cpu];

    if (!t->delayed) {
        activate_task(s, t, select_task_rq(s, t), false, now);
        return;
    }
    c->waiting++;
    update_curr(s, c);
    requeue_delayed(s, c, t);
    update_idle(s, t->cpu);
    check_preempt(s, c, t);
}

void sched_block(struct sched *s, unsigned cpu, uint64_t now)
{
    struct sched_core *c = &s->core[cpu];
    struct sched_task *t = c->curr;

    update_clock(c, now);
    update_curr(s, c);
    c->need_resched = true;
    if (!is_rt(t) && !entity_eligible(c, t)) {
        t->delayed = true;
        return;
    }
    if (!is_rt(t))
        update_entity_lag(s, c, t);
    t->on_rq = false;
}

void sched_remove(struct sched *s, struct sched_task *t)
{
    struct sched_core *c = &s->core[t->cpu];

    update_curr(s, c);
    if (t->link)
        rq_unlink(c, t);
    t->on_rq = t->delayed = false;
    if (c->curr == t)
        put_prev(c);
    c->need_resched = true;
    update_idle(s, t->cpu);
}

bool sched_unblock(struct sched *s, struct sched_task *t, uint64_t now)
{
    struct sched_core *c = &s->core[t->cpu];

    if (c->curr || c->queue || t->on_rq || c->last != t->serial || !(t->allowed >> t->cpu & 1))
        return false;
    update_clock(c, now);
    c->switches--;
    t->nvcsw--;
    t->on_rq = true;
    t->exec_start = c->clock;
    c->curr = t;
    update_idle(s, t->cpu);
    return true;
}

/* -- switching -----------------------------------------------------------------------------------*/

static bool rt_before(const struct sched_task *a, const struct sched_task *b)
{
    return a->rt_priority != b->rt_priority ? a->rt_priority > b->rt_priority : a->order < b->order;
}

static struct sched_task *pick_rt(const struct sched_core *c)
{
    struct sched_task *best = c->curr && c->curr->on_rq && is_rt(c->curr) ? c->curr : NULL;

    for (struct sched_task *t = c->queue; t; t = t->next)
        if (is_rt(t) && (!best || rt_before(t, best)))
            best = t;
    return best;
}

/* pick_next ends delayed tasks whose turn it is: they sleep. */
static struct sched_task *pick_next(struct sched *s, struct sched_core *c)
{
    struct sched_task *t = pick_rt(c);

    while (!t) {
        t = pick_eevdf(c, true);
        if (!t)
            return NULL;
        if (t->delayed) {
            end_delayed(s, t);
            t = NULL;
        }
    }
    return t;
}

static void set_next(struct sched_core *c, struct sched_task *t)
{
    if (!t)
        return;
    rq_unlink(c, t);
    c->curr = t;
    t->exec_start = c->clock;
    if (!is_rt(t))
        set_protect_slice(c, t);
}

struct sched_task *sched_schedule(struct sched *s, unsigned cpu, uint64_t now)
{
    struct sched_core *c = &s->core[cpu];

    update_clock(c, now);
    update_curr(s, c);
    struct sched_task *next = pick_next(s, c);
    if (!next)
        next = newidle_balance(s, cpu);
    c->need_resched = false;
    if (next != c->curr) {
        put_prev(c);
        set_next(c, next);
    }
    update_idle(s, cpu);
    return next;
}

const struct sched_task *sched_peek(const struct sched *s, unsigned cpu)
{
    const struct sched_task *best = NULL;

    for (const struct sched_task *t = s->core[cpu].queue; t; t = t->next) {
        if (t->delayed)
            continue;
        if (!best || (is_rt(t) != is_rt(best) ? is_rt(t)
                      : is_rt(t)              ? rt_before(t, best)
                                              : t->deadline < best->deadline))
            best = t;
    }
    return best;
}

void sched_force(struct sched *s, struct sched_task *t, uint64_t now)
{
    struct sched_core *c = &s->core[t->cpu];

    update_clock(c, now);
    update_curr(s, c);
    put_prev(c);
    set_next(c, t);
    c->need_resched = false;
    update_idle(s, t->cpu);
}

void sched_set_clock(struct sched *s, unsigned cpu, uint64_t now)
{
    update_clock(&s->core[cpu], now);
}

bool sched_needs(const struct sched *s, unsigned cpu)
{
    const struct sched_core *c = &s->core[cpu];

    return c->need_resched && (c->curr || c->queue);
}

/* -- ticks and calls -----------------------------------------------------------------------------*/

/* task_tick_rt: only a turn of RR ends, and only where an equal waits. */
static void tick_rr(struct sched *s, struct sched_core *c)
{
    struct sched_task *t = c->curr;

    t->rr_left -= min_u64(t->rr_left, s->tick);
    if (t->rr_left > 0)
        return;
    t->rr_left = RR_TIMESLICE;
    for (const struct sched_task *o = c->queue; o; o = o->next)
        if (is_rt(o) && o->rt_priority == t->rt_priority) {
            t->order = ++s->last_order;
            c->need_resched = true;
            return;
        }
}

void sched_tick(struct sched *s, unsigned cpu, uint64_t now)
{
    struct sched_core *c = &s->core[cpu];

    update_clock(c, now);
    update_curr(s, c);
    if (c->curr && c->curr->policy == POLICY_RR)
        tick_rr(s, c);
    periodic_balance(s, cpu);
}

void sched_yield_task(struct sched *s, unsigned cpu, uint64_t now)
{
    struct sched_core *c = &s->core[cpu];

    update_clock(c, now);
    if (is_rt(c->curr))
        c->curr->order = ++s->last_order;
    else
        yield_fair(s, c);
    c->need_resched = true;
}

void sched_set_nice(struct sched *s, struct sched_task *t, int nice)
{
    t->nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
    if (is_rt(t))
        t->weight = fair_weight(t->nice, t->policy);
    else
        reweight(s, &s->core[t->cpu], t, fair_weight(t->nice, t->policy));
}

/* change_class: of a task that is in no queue. */
static void change_class(struct sched_task *t, int policy, int rt_priority)
{
    t->policy = policy;
    t->rt_priority = is_rt(t) ? rt_priority : 0;
    t->weight = fair_weight(t->nice, policy);
    t->rr_left = RR_TIMESLICE;
    t->vlag = 0;
    t->rel_deadline = false;
}

void sched_set_policy(struct sched *s, struct sched_task *t, int policy, int rt_priority)
{
    struct sched_core *c = &s->core[t->cpu];
    bool queued = t->on_rq && !t->delayed, running = c->curr == t;

    update_curr(s, c);
    if (t->delayed)
        end_delayed(s, t);
    if (queued && !running)
        rq_unlink(c, t);
    t->on_rq = false;
    change_class(t, policy, rt_priority);
    if (!queued)
        return;
    if (!running) {
        activate_task(s, t, t->cpu, false, c->clock);
        return;
    }
    t->order = ++s->last_order;
    if (!is_rt(t))
        place_entity(s, c, t, false);
    t->on_rq = true;
    c->need_resched = true;
}

/* leave: a task goes to a core it may use, from one it may not. A running one is taken off by the core's
 * migration thread. */
static void leave(struct sched *s, struct sched_task *t)
{
    struct sched_core *c = &s->core[t->cpu];

    deactivate_task(s, t);
    if (c->curr == t) {
        put_prev(c);
        t->nvcsw--;
        t->nivcsw++;
        c->need_resched = true;
        update_idle(s, t->cpu);
    }
    activate_task(s, t, select_task_rq(s, t), false, c->clock);
}

bool sched_set_allowed(struct sched *s, struct sched_task *t, uint64_t mask, uint64_t now)
{
    mask &= ~UINT64_C(0) >> (64 - s->cores);
    if (mask == 0)
        return false;
    t->allowed = mask;
    if (mask >> t->cpu & 1)
        return true;
    if (s->core[t->cpu].curr == t)
        update_clock(&s->core[t->cpu], now);
    if (t->delayed)
        end_delayed(s, t);
    else if (t->on_rq)
        leave(s, t);
    return true;
}

/* -- audit ---------------------------------------------------------------------------------------*/

static int audit_core(const struct sched *s, unsigned cpu)
{
    const struct sched_core *c = &s->core[cpu];
    struct sched_task *const *link = &c->queue;
    unsigned waiting = 0;

    for (const struct sched_task *t = c->queue; t; link = &t->next, t = t->next) {
        if (t->link != link || t->cpu != cpu || !t->on_rq || t == c->curr)
            return 1;
        if (!(t->allowed >> cpu & 1))
            return 4;
        waiting += !t->delayed;
    }
    if (c->tail != link || waiting != c->waiting)
        return 2;
    if ((s->idle >> cpu & 1) != (!c->curr && waiting == 0))
        return 3;
    if (c->curr && (c->curr->cpu != cpu || !(c->curr->allowed >> cpu & 1) || c->curr->link))
        return c->curr->link ? 1 : 4;
    return !c->curr && c->queue && !c->need_resched ? 5 : 0;
}

int sched_audit(const struct sched *s)
{
    for (unsigned n = 0; n < s->cores; n++) {
        int broken = audit_core(s, n);
        if (broken)
            return broken;
    }
    return 0;
}
