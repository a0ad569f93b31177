/* account.c: whose the counts are: of a thread, of its process, of the core it ran on.
 *
 *   sim.stats ──── what was added since the last change of payee ────► payee's thread, its core
 *
 * Nothing is counted twice and nothing apart: modules count in the machine's one set, and what it gained
 * while one thread was the payee is that thread's. With one thread there is one payee, and no cost.
 *
 * What another core is interrupted for is that core's, and of the thread that runs there, as Linux counts it:
 * each CPU its own events, the time the task's that it interrupted. An idle core's is nobody's.
 *
 * Maxima are no sums, and have no shares: stat_is_maximum.
 *
 * Invariants:
 *  I1  stats = mark + what the payee gained since; threads' sums, and `others`, add up to mark: boot, the
 *      kernel's own threads, idle cores, orders from outside.
 *  I2  So do the cores' sums and `coreless`: boot, orders from outside.
 *  I3  What is taken back is taken from whom it was given to: no sum is below zero (2^63 and above).
 */
#include "sim/sim_int.h"

#include "base/vec.h"

#include <stdlib.h>

void account_open(struct sim *s, struct sim_thread *t)
{
    struct thread_sum *x = calloc(1, sizeof(*x));
    struct thread_sum **room =
        vec_room(s->sums, s->n_sums, &s->sums_cap, sizeof(struct thread_sum *));

    ASSERT(x && room);
    s->sums = room;
    s->sums[s->n_sums++] = t->sum = x;
    *x = (struct thread_sum){.proc = t->proc, .tid = t->tid, .begin_ps = sched_time(t)};
    account(s, t);
    STAT(&s->stats, sim_threads)++;
}

void accounts_close(struct sim *s)
{
    for (uint32_t i = 0; i < s->n_sums; i++)
        free(s->sums[i]);
    free(s->sums);
    free(s->core_stats);
}

/* credit adds what `now` has more than `mark`. */
static void credit(struct stat_set *to, const struct stat_set *mark, const struct stat_set *now)
{
    for (int i = 0; i < STAT_NR; i++)
        to->v[i] += now->v[i] - mark->v[i];
    STAT(to, stack_deepest) = 0; /* a maximum */
}

void account_back(struct sim *s, struct payee payee)
{
    const struct payee *p = &s->payee;

    clock_look(s);
    credit(p->core != NO_CORE ? &s->core_stats[p->core] : &s->coreless, &s->mark, &s->stats);
    credit(p->sum ? &p->sum->stats : &s->others, &s->mark, &s->stats);
    s->mark = s->stats;
    s->payee = payee;
    if (payee.sum)
        payee.sum->core = payee.core;
}

void account(struct sim *s, struct sim_thread *payee)
{
    bool known = payee && payee->sum;

    account_back(s, known ? (struct payee){payee->sum, payee->core_id}
                          : (struct payee){NULL, NO_CORE});
}

struct payee account_core(struct sim *s, unsigned core)
{
    const struct sim_thread *runs = s->cpu[core].runs;
    struct payee was = s->payee;

    account_back(s, (struct payee){runs ? runs->sum : NULL, core});
    return was;
}

/* -- reading -------------------------------------------------------------------------------------*/

void account_proc(const struct sim *s, const struct sim_proc *p, struct stat_set *ret)
{
    *ret = (struct stat_set){0};
    for (uint32_t i = 0; i < s->n_sums; i++)
        for (int k = 0; s->sums[i]->proc == p && k < STAT_NR; k++)
            ret->v[k] += s->sums[i]->stats.v[k];
}

static bool below_zero(const struct stat_set *x)
{
    for (int k = 0; k < STAT_NR; k++)
        if (x->v[k] >> 63)
            return true;
    return false;
}

static bool any_below_zero(const struct sim *s)
{
    bool any = below_zero(&s->stats) || below_zero(&s->others);

    for (uint32_t i = 0; i < s->n_sums; i++)
        any |= below_zero(&s->sums[i]->stats);
    for (unsigned i = 0; i < s->conf.cpu_cores; i++)
        any |= below_zero(&s->core_stats[i]);
    return any;
}

/* account_audit adds everything up; 0, or the number of the broken invariant. */
int account_audit(struct sim *s)
{
    account(s, s->current);
    if (any_below_zero(s))
        return 3;
    for (int k = 0; k < STAT_NR; k++) {
        uint64_t threads = s->others.v[k], cores = s->coreless.v[k];
        if (stat_is_maximum((enum stat_id)k))
            continue;
        for (uint32_t i = 0; i < s->n_sums; i++)
            threads += s->sums[i]->stats.v[k];
        for (unsigned i = 0; i < s->conf.cpu_cores; i++)
            cores += s->core_stats[i].v[k];
        if (threads != s->stats.v[k] || cores != s->stats.v[k])
            return threads != s->stats.v[k] ? 1 : 2;
    }
    return 0;
}
