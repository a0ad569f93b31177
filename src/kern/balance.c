/* balance.c: which core a task runs on.
 *
 *   new task       an idle core, nearest to its parent's first; none idle: where fewest tasks are
 *   woken task     its last core if idle, else as a new one
 *   core runs dry  takes the task that waits longest where most tasks are
 *   tick           a task that waits here goes to an idle core; and every 16 ms × cores this core takes one
 *                  from where at least two more are, at every second try where one more is
 *
 * "Nearest": of the same memory node, counted up from the core, around. Only tasks that wait move, and
 * only to cores they may use.
 *
 * The kernel's form has domains, utilisation averages and cache-hot tests; this is what is left of it on
 * a machine of one or a few nodes with equal cores. (It also weighs the waker's core; who woke a task is
 * not known here.)
 *
 * Source: Linux 6.18 kernel/sched/fair.c (select_idle_sibling, select_idle_cpu,
 * sched_balance_find_dst_group_cpu, sched_balance_newidle, nohz_balancer_kick, sched_balance_rq,
 * detach_tasks), topology.c (sd_init: min_interval, busy_factor).
 */
#include "kern/sched_int.h"

#include "base/bits.h"

#include <stddef.h>

#define BALANCE_INTERVAL (16 * MSEC) /* busy_factor × 1 ms, for each core */

static unsigned nr_running(const struct sched_core *c)
{
    return c->waiting + (c->curr && c->curr->on_rq && !c->curr->delayed);
}

static unsigned nearest(const struct sched *s, uint64_t cores, unsigned from)
{
    unsigned far = from;
    bool found = false;

    for (unsigned i = 0; i < s->cores; i++) {
        unsigned n = (from + i) % s->cores;
        if (!(cores >> n & 1))
            continue;
        if (s->core[n].node == s->core[from].node)
            return n;
        far = found ? far : n;
        found = true;
    }
    return far;
}

static unsigned least_loaded(const struct sched *s, const struct sched_task *t)
{
    unsigned best = t->cpu, least = t->allowed >> t->cpu & 1 ? nr_running(&s->core[t->cpu]) : ~0u;

    for (unsigned n = 0; n < s->cores; n++)
        if ((t->allowed >> n & 1) && nr_running(&s->core[n]) < least) {
            best = n;
            least = nr_running(&s->core[n]);
        }
    return best;
}

/* select_task_rq: nearest begins with the last core itself. */
unsigned select_task_rq(const struct sched *s, const struct sched_task *t)
{
    uint64_t idle = s->idle & t->allowed;

    return idle ? nearest(s, idle, t->cpu) : least_loaded(s, t);
}

/* -- moving those who wait -----------------------------------------------------------------------*/

static struct sched_task *waits_for(const struct sched_core *c, unsigned cpu)
{
    for (struct sched_task *t = c->queue; t; t = t->next)
        if (!t->delayed && (t->allowed >> cpu & 1))
            return t;
    return NULL;
}

static void move_to(struct sched *s, struct sched_task *t, unsigned cpu, uint64_t now)
{
    deactivate_task(s, t);
    activate_task(s, t, cpu, false, now);
}

/* busiest returns the core with most tasks of those where one waits that may run on `cpu`. */
static struct sched_core *busiest(struct sched *s, unsigned cpu)
{
    struct sched_core *best = NULL;

    for (unsigned n = 0; n < s->cores; n++)
        if (n != cpu && waits_for(&s->core[n], cpu) &&
            (!best || nr_running(&s->core[n]) > nr_running(best)))
            best = &s->core[n];
    return best;
}

struct sched_task *newidle_balance(struct sched *s, unsigned cpu)
{
    struct sched_core *from = busiest(s, cpu);
    struct sched_task *t = from ? waits_for(from, cpu) : NULL;

    if (t)
        move_to(s, t, cpu, s->core[cpu].clock);
    return t;
}

/* kick_idle: idle cores take those who wait here. */
static void kick_idle(struct sched *s, struct sched_core *c)
{
    for (unsigned n = 0; n < s->cores && c->waiting > 0; n++) {
        struct sched_task *t = s->idle >> n & 1 ? waits_for(c, n) : NULL;
        if (t)
            move_to(s, t, n, c->clock);
    }
}

void periodic_balance(struct sched *s, unsigned cpu)
{
    struct sched_core *c = &s->core[cpu];

    kick_idle(s, c);
    if (c->clock < c->next_balance)
        return;
    c->next_balance = c->clock + BALANCE_INTERVAL * s->cores;
    struct sched_core *from = busiest(s, cpu);
    if (!from || nr_running(from) <= nr_running(c)) {
        c->balance_failed = 0;
        return;
    }
    if (nr_running(from) == nr_running(c) + 1 && c->balance_failed++ == 0)
        return;
    c->balance_failed = 0;
    move_to(s, waits_for(from, cpu), cpu, c->clock);
}
