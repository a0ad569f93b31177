/* account.c: whose the counts are: of a thread, of its process, of the core it ran on.
 *
 *   sim.stats ──── what was added since the last change of payee ────► payee's thread, its core
 *
 * Nothing is counted twice and nothing apart: modules count in the machine's one set, and what it gained
 * while one thread was the payee is that thread's. With one thread there is one payee, and no cost.
 *
 * Invariants:
 *  I1  stats = mark + what the payee gained since; threads' sums, and `others`, add up to mark.
 *  I2  So do the cores' sums and `others`: boot, the kernel's own threads, orders from outside.
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
}

void account(struct sim *s, struct sim_thread *payee)
{
    if (s->payee)
        credit(&s->core_stats[s->payee_core], &s->mark, &s->stats);
    credit(s->payee ? &s->payee->stats : &s->others, &s->mark, &s->stats);
    s->mark = s->stats;
    s->payee = payee ? payee->sum : NULL;
    s->payee_core = payee ? payee->core_id : 0;
    if (s->payee)
        s->payee->core = s->payee_core;
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
        uint64_t threads = s->others.v[k], cores = s->others.v[k];
        for (uint32_t i = 0; i < s->n_sums; i++)
            threads += s->sums[i]->stats.v[k];
        for (unsigned i = 0; i < s->conf.cpu_cores; i++)
            cores += s->core_stats[i].v[k];
        if (threads != s->stats.v[k] || cores != s->stats.v[k])
            return threads != s->stats.v[k] ? 1 : 2;
    }
    return 0;
}
