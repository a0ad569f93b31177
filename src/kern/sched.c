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
 * Source: Linux 6.18.44 kernel/sched/core.c (__schedule, try_to_wake_up, wake_up_new_task, sched_fork,
 * sched_tick, sched_change_begin, __set_cpus_allowed_ptr), syscalls.c (set_user_nice, __sched_setscheduler,
 * do_sched_yield), rt.c (RR_TIMESLICE, task_tick_rt), fair.c (prio_changed_fair, get_update_sysctl_factor).
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

/* sched_fork: what a child does not have of its parent when that asked for it. */
static void reset_on_fork(struct sched_task *t)
{
    if (is_rt(t)) {
        t->policy = POLICY_NORMAL;
        t->nice = 0;
        t->rt_priority = 0;
    }
    t->nice = t->nice < 0 ? 0 : t->nice;
    t->custom_slice = t->reset_on_fork = false;
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
        t->custom_slice = parent->custom_slice;
        t->reset_on_fork = parent->reset_on_fork;
    }
    if (t->reset_on_fork)
        reset_on_fork(t);
    t->weight = fair_weight(t->nice, t->policy);
    t->slice = t->custom_slice ? parent->slice : s->base_slice;
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

static void wakeup_preempt(struct sched *s, struct sched_core *c, struct sched_task *t, bool fork)
{
    if (!c->curr || !c->curr->on_rq)
        c->need_resched = true;
    else if (is_rt(t))
        c->need_resched |= !is_rt(c->curr) || t->rt_priority > c->curr->rt_priority;
    else if (!is_rt(c->curr))
        check_preempt_wakeup_fair(s, c, t, fork);
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
    wakeup_preempt(s, c, t, initial);
}

void deactivate_task(struct sched *s, struct sched_task *t)
{
    struct sched_core *c = &s->core[t->cpu];

    update_curr(s, c);
    if (!is_rt(t)) {
        update_entity_lag(s, c, t);
        make_relative(t);
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

void end_delayed(struct sched *s, struct sched_task *t)
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
    wakeup_preempt(s, c, t, false);
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

static struct sched_task *pick_next(struct sched *s, struct sched_core *c)
{
    struct sched_task *t = pick_rt(c);

    return t ? t : pick_task_fair(s, c, true);
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

/* -- what a program asks for ---------------------------------------------------------------------*/

/* Linux's internal priorities: the smaller comes first. */
static int prio(const struct sched_task *t)
{
    return is_rt(t) ? 99 - t->rt_priority : 120 + t->nice;
}

/* change_begin takes a queued task out of its queue for a moment; true when there was one. */
static bool change_begin(struct sched *s, struct sched_task *t)
{
    bool queued = t->on_rq;

    if (queued)
        deactivate_task(s, t);
    return queued;
}

/* change_end: `head`: before the others of its real-time priority. Who runs keeps running, protected as
 * before. */
static void change_end(struct sched *s, struct sched_task *t, bool head)
{
    struct sched_core *c = &s->core[t->cpu];

    if (is_rt(t))
        t->order = head ? --s->first_order : ++s->last_order;
    else
        place_entity(s, c, t, false);
    t->on_rq = true;
    if (c->curr != t)
        rq_link(c, t);
    update_idle(s, t->cpu);
}

/* prio_changed: t, which is queued, has another priority or class. */
static void prio_changed(struct sched *s, struct sched_task *t, bool lower)
{
    struct sched_core *c = &s->core[t->cpu];

    if (c->curr != t)
        wakeup_preempt(s, c, t, false);
    else if (lower && (is_rt(t) || nr_queued(c) > 1))
        c->need_resched = true;
}

void sched_set_nice(struct sched *s, struct sched_task *t, int nice)
{
    int before = t->nice;

    nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
    if (is_rt(t) || nice == before) {
        t->nice = nice;
        return;
    }
    bool queued = change_begin(s, t);
    t->nice = nice;
    reweight_task(t, fair_weight(nice, t->policy));
    if (!queued)
        return;
    change_end(s, t, false);
    prio_changed(s, t, nice > before);
}

void sched_get_params(const struct sched_task *t, struct sched_params *ret)
{
    *ret = (struct sched_params){
        .policy = t->policy,
        .nice = t->nice,
        .rt_priority = t->rt_priority,
        .slice = t->custom_slice ? t->slice : 0,
        .reset_on_fork = t->reset_on_fork,
    };
}

/* setparam_fair: NORMAL and BATCH; the nice value of others stays what it was. */
static void setparam_fair(const struct sched *s, struct sched_task *t, const struct sched_params *p)
{
    if (p->policy != POLICY_NORMAL && p->policy != POLICY_BATCH)
        return;
    t->nice = p->nice < -20 ? -20 : p->nice > 19 ? 19 : p->nice;
    t->custom_slice = p->slice > 0;
    t->slice = t->custom_slice ? max_u64(min_u64(p->slice, 100 * MSEC), MSEC / 10) : s->base_slice;
}

/* setscheduler_params: of a task that is in no queue. Only the fair class scales what is owed. */
static void setscheduler_params(const struct sched *s, struct sched_task *t,
                                const struct sched_params *p)
{
    bool was_rt = is_rt(t);

    setparam_fair(s, t, p);
    t->policy = p->policy;
    t->rt_priority = is_rt(t) ? p->rt_priority : 0;
    if (was_rt)
        t->weight = fair_weight(t->nice, t->policy);
    else
        reweight_task(t, fair_weight(t->nice, t->policy));
}

/* changes_nothing: told what it is, a task keeps its place. A slice that nobody asked for is none. */
static bool changes_nothing(const struct sched_task *t, const struct sched_params *p)
{
    if (t->policy != p->policy)
        return false;
    if (is_rt(t))
        return t->rt_priority == p->rt_priority;
    return t->policy == POLICY_IDLE || (t->nice == p->nice && t->slice == p->slice);
}

void sched_set_params(struct sched *s, struct sched_task *t, const struct sched_params *p)
{
    int before = prio(t);
    bool was_rt = is_rt(t), rt = p->policy == POLICY_FIFO || p->policy == POLICY_RR;

    t->reset_on_fork = p->reset_on_fork;
    if (changes_nothing(t, p))
        return;
    if (t->delayed && rt)
        end_delayed(s, t);
    bool queued = change_begin(s, t);
    setscheduler_params(s, t, p);
    if (!queued)
        return;
    change_end(s, t, before < prio(t));
    if (was_rt != rt || before != prio(t))
        prio_changed(s, t, before < prio(t));
}

void sched_set_policy(struct sched *s, struct sched_task *t, int policy, int rt_priority)
{
    struct sched_params p;

    sched_get_params(t, &p);
    p.policy = policy;
    p.rt_priority = rt_priority;
    sched_set_params(s, t, &p);
}

/* -- which cores ---------------------------------------------------------------------------------*/

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
