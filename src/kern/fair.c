/* fair.c: EEVDF, the fair class: earliest eligible virtual deadline first.
 *
 *   V, the weighted mean of the queue's vruntimes
 *         │
 *   ──●───┼──●────────●──► vruntime       a task is eligible when its vruntime is not beyond V;
 *     └───┼──┼────┐   └──────┐            of those the one with the earliest deadline runs
 *         │  └────┼───┐      │            deadline = vruntime + slice × 1024 / weight
 *   ──────┴───────●───●──────●─► deadline
 *
 * The kernel keeps an augmented tree; here the queue is a list that is walked: the answers are the same
 * ones. Its weights have an inverse table, rounded to 32 bits; here the division is exact.
 *
 *  I1  The lags of the tasks of a queue (weight × (V − vruntime)) add up to 0, but for rounding.
 *  I2  A sleeping task that was ahead (not eligible) stays in the queue, `delayed`, until it is eligible.
 *  I3  Equal deadlines: who was queued first; curr is behind its equals.
 *
 * Source: Linux 6.18.44 kernel/sched/fair.c (avg_vruntime, entity_eligible, update_deadline, place_entity,
 * update_entity_lag, pick_eevdf, set_protect_slice, check_preempt_wakeup_fair, requeue_delayed_entity,
 * yield_task_fair, reweight_entity), features.h as they are set there: PLACE_LAG, PLACE_DEADLINE_INITIAL,
 * PLACE_REL_DEADLINE, RUN_TO_PARITY, PREEMPT_SHORT, DELAY_DEQUEUE, DELAY_ZERO, WAKEUP_PREEMPTION.
 * (6.18.0 differs: a forked child may preempt, and lags are limited otherwise.)
 */
#include "base/bits.h"
#include "base/check.h"
#include "kern/sched_int.h"

#include <stddef.h>

#define NICE_0_LOAD 1024

uint64_t fair_weight(int nice, int policy)
{
    static const uint32_t sched_prio_to_weight[40] = {
        88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
        9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
        1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
        110,   87,    70,    56,    45,    36,    29,    23,    18,    15,
    };

    return policy == POLICY_IDLE ? 3 : sched_prio_to_weight[nice + 20]; /* WEIGHT_IDLEPRIO */
}

#define RAN_MAX BIT(50) /* ns that count of one turn: 13 days; times come from another process */

/* calc_delta_fair: real time to virtual time. */
static int64_t calc_delta_fair(uint64_t delta, const struct sched_task *t)
{
    return (int64_t)(delta * NICE_0_LOAD / t->weight);
}

/* -- the mean ------------------------------------------------------------------------------------*/

/* Sums over the fair tasks of a core: of (vruntime − zero_vruntime) × weight, and of weight. */
struct mean {
    __int128 sum; /* a core may have stood for months */
    int64_t base, load;
    unsigned n;
};

static void mean_add(struct mean *m, const struct sched_task *t)
{
    if (is_rt(t))
        return;
    m->n++;
    m->sum += (__int128)(t->vruntime - m->base) * (int64_t)t->weight;
    m->load += (int64_t)t->weight;
}

static struct mean mean_of(const struct sched_core *c)
{
    struct mean m = {.base = c->zero_vruntime};

    if (c->curr && c->curr->on_rq)
        mean_add(&m, c->curr);
    for (const struct sched_task *t = c->queue; t; t = t->next)
        mean_add(&m, t);
    return m;
}

unsigned nr_queued(const struct sched_core *c)
{
    return mean_of(c).n;
}

/* avg_vruntime rounds down, so that somebody is eligible. */
static int64_t avg_vruntime(struct sched_core *c)
{
    struct mean m = mean_of(c);

    if (m.load > 0)
        c->zero_vruntime += (int64_t)((m.sum < 0 ? m.sum - (m.load - 1) : m.sum) / m.load);
    return c->zero_vruntime;
}

static bool eligible(const struct mean *m, const struct sched_task *t)
{
    return m->sum >= (__int128)(t->vruntime - m->base) * m->load;
}

bool entity_eligible(const struct sched_core *c, const struct sched_task *t)
{
    struct mean m = mean_of(c);

    return eligible(&m, t);
}

/* The shortest and the longest request of a core's fair tasks. */
static uint64_t cfs_rq_min_slice(const struct sched_core *c)
{
    uint64_t least = c->curr && c->curr->on_rq && !is_rt(c->curr) ? c->curr->slice : UINT64_MAX;

    for (const struct sched_task *t = c->queue; t; t = t->next)
        least = is_rt(t) ? least : min_u64(least, t->slice);
    return least;
}

static uint64_t cfs_rq_max_slice(const struct sched_core *c)
{
    uint64_t most = c->curr && c->curr->on_rq && !is_rt(c->curr) ? c->curr->slice : 0;

    for (const struct sched_task *t = c->queue; t; t = t->next)
        most = is_rt(t) ? most : max_u64(most, t->slice);
    return most;
}

void update_entity_lag(const struct sched *s, struct sched_core *c, struct sched_task *t)
{
    int64_t lag = avg_vruntime(c) - t->vruntime;
    int64_t limit = calc_delta_fair(cfs_rq_max_slice(c) + s->tick, t);

    t->vlag = lag > limit ? limit : lag < -limit ? -limit : lag;
}

void make_relative(struct sched_task *t)
{
    t->deadline -= t->vruntime;
    t->rel_deadline = true;
}

/* -- time passes ---------------------------------------------------------------------------------*/

static bool protect_slice(const struct sched_task *t)
{
    return t->vprot > t->vruntime;
}

/* update_deadline: a request that was served is followed by the next one. */
static bool update_deadline(const struct sched *s, struct sched_core *c, struct sched_task *t)
{
    if (t->vruntime < t->deadline)
        return false;
    t->slice = t->custom_slice ? t->slice : s->base_slice;
    t->deadline = t->vruntime + calc_delta_fair(t->slice, t);
    avg_vruntime(c);
    return true;
}

void update_curr(const struct sched *s, struct sched_core *c)
{
    struct sched_task *t = c->curr;

    if (!t || !t->on_rq || c->clock <= t->exec_start)
        return;
    uint64_t delta = min_u64(c->clock - t->exec_start, RAN_MAX);
    t->exec_start = c->clock;
    t->sum_exec += delta;
    if (is_rt(t))
        return;
    t->vruntime += calc_delta_fair(delta, t);
    bool served = update_deadline(s, c, t);
    if (nr_queued(c) > 1 && (served || !protect_slice(t)))
        c->need_resched = true;
}

/* place_entity: the lag a task had when it left is the lag it has when it is back, although its coming
 * moves the mean. */
void place_entity(const struct sched *s, struct sched_core *c, struct sched_task *t, bool initial)
{
    int64_t mean = avg_vruntime(c), lag = 0;
    struct mean m = mean_of(c);

    t->slice = t->custom_slice ? t->slice : s->base_slice;
    if (m.n > 0)
        lag = t->vlag * (m.load + (int64_t)t->weight) / m.load;
    t->vruntime = mean - lag;
    if (t->rel_deadline) {
        t->deadline += t->vruntime;
        t->rel_deadline = false;
        return;
    }
    t->deadline = t->vruntime + calc_delta_fair(t->slice, t) / (initial ? 2 : 1);
}

/* protect_until: not beyond the shortest request of the queue. */
static void protect_until(const struct sched_core *c, struct sched_task *t, int64_t vprot)
{
    uint64_t least = min_u64(cfs_rq_min_slice(c), t->slice);
    int64_t end = t->vruntime + calc_delta_fair(least, t);

    t->vprot = end < vprot ? end : vprot;
}

/* set_protect_slice: who comes on the core keeps it until its deadline, or for the shortest request of the
 * queue when that is shorter than its own. */
void set_protect_slice(const struct sched_core *c, struct sched_task *t)
{
    t->vprot = t->deadline;
    if (cfs_rq_min_slice(c) < t->slice)
        protect_until(c, t, t->vprot);
}

/* -- who runs ------------------------------------------------------------------------------------*/

static bool entity_before(const struct sched_task *a, const struct sched_task *b)
{
    return a->deadline < b->deadline;
}

/* pick_eevdf returns whose turn it is, delayed ones included, or NULL without a fair task. */
static struct sched_task *pick_eevdf(const struct sched_core *c, bool protect)
{
    struct mean m = mean_of(c);
    struct sched_task *curr = c->curr, *best = NULL;

    if (curr && (!curr->on_rq || is_rt(curr) || !eligible(&m, curr)))
        curr = NULL;
    if (curr && protect && protect_slice(curr))
        return curr;
    for (struct sched_task *t = c->queue; t; t = t->next)
        if (!is_rt(t) && eligible(&m, t) && (!best || entity_before(t, best)))
            best = t;
    if (!best || (curr && entity_before(curr, best)))
        best = curr;
    CHECK(best || m.n == 0); /* the mean is rounded down: one is eligible */
    return best;
}

struct sched_task *pick_task_fair(struct sched *s, struct sched_core *c, bool protect)
{
    struct sched_task *t = pick_eevdf(c, protect);

    for (; t && t->delayed; t = pick_eevdf(c, protect))
        end_delayed(s, t);
    return t;
}

/* preempt: curr goes; one whose slice does not count loses its protection. */
static void preempt(struct sched_core *c, bool unprotected)
{
    c->need_resched = true;
    if (unprotected && protect_slice(c->curr))
        c->curr->vprot = c->curr->vruntime;
}

void check_preempt_wakeup_fair(struct sched *s, struct sched_core *c, struct sched_task *t,
                               bool fork)
{
    bool curr_idle = c->curr->policy == POLICY_IDLE, idle = t->policy == POLICY_IDLE;

    if (c->need_resched || (idle && !curr_idle))
        return;
    if (curr_idle && !idle) {
        preempt(c, true);
        return;
    }
    if (t->policy != POLICY_NORMAL)
        return;
    update_curr(s, c);
    bool shorter = t->slice < c->curr->slice;
    if (!shorter && (fork || t->delayed))
        return;
    if (pick_task_fair(s, c, !shorter) == t)
        preempt(c, shorter);
    else
        protect_until(c, c->curr, c->curr->vprot);
}

/* requeue_delayed: a task is woken that never left the queue; what it is owed by now is forgotten. */
void requeue_delayed(const struct sched *s, struct sched_core *c, struct sched_task *t)
{
    t->delayed = false;
    update_entity_lag(s, c, t);
    if (t->vlag <= 0)
        return;
    t->vlag = 0;
    rq_unlink(c, t);
    place_entity(s, c, t, false);
    rq_link(c, t);
}

/* yield_fair: the rest of the request is given up; one who is ahead has nothing to give. */
void yield_fair(const struct sched *s, struct sched_core *c)
{
    struct sched_task *t = c->curr;

    update_curr(s, c);
    if (nr_queued(c) <= 1 || !entity_eligible(c, t))
        return;
    t->vruntime = t->deadline;
    update_deadline(s, c, t);
}

void reweight_task(struct sched_task *t, uint64_t weight)
{
    t->vlag = t->vlag * (int64_t)t->weight / (int64_t)weight;
    if (t->rel_deadline)
        t->deadline = t->deadline * (int64_t)t->weight / (int64_t)weight;
    t->weight = weight;
}
