/* links: kern */
/* The scheduler against a naive one: the same random wakings, sleeps, ticks, yields, nice values, policies,
 * slices and masks;
 * after each the same task runs on each core, and each has run, slept and moved as much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "base/rng.h"
#include "kern/sched.h"
#include "ref/ref_sched.h"

struct world {
    struct sched s;
    struct ref_sched r;
    struct sched_task task[REF_TASKS];
    struct rng rng;
    unsigned tasks;
    uint64_t now[REF_CORES];
};

static void same(const struct world *w, unsigned step)
{
    for (unsigned n = 0; n < w->s.cores; n++) {
        const struct sched_task *c = w->s.core[n].curr;
        int runs = ref_runs(&w->r, (int)n);
        if ((c ? (int)c->serial : -1) != runs)
            fail_msg("step %u core %u: %d runs, should %d", step, n, c ? (int)c->serial : -1, runs);
    }
    for (unsigned i = 0; i < w->tasks; i++) {
        const struct sched_task *t = &w->task[i];
        const struct ref_task *k = &w->r.task[i];
        if (k->state == REF_NONE)
            continue;
        if (t->sum_exec != k->ran || t->nvcsw != k->slept || t->nivcsw != k->preempted ||
            t->migrations != k->moved || (int)t->cpu != k->cpu)
            fail_msg("step %u task %u: ran %lu %lu slept %lu %lu preempted %lu %lu moved %lu %lu",
                     step, i, t->sum_exec, k->ran, t->nvcsw, k->slept, t->nivcsw, k->preempted,
                     t->migrations, k->moved);
    }
}

static void settle(struct world *w)
{
    for (unsigned n = 0; n < w->s.cores; n++) {
        assert_int_equal(sched_needs(&w->s, n), ref_needs(&w->r, (int)n));
        if (sched_needs(&w->s, n)) {
            sched_schedule(&w->s, n, w->now[n]);
            ref_schedule(&w->r, (int)n, w->now[n]);
        }
    }
}

static void wake_or_start(struct world *w, uint64_t now)
{
    unsigned i = (unsigned)rng_below(&w->rng, REF_TASKS / 2);
    if (i >= w->tasks) {
        i = w->tasks++;
        int parent = i ? (int)rng_below(&w->rng, i) : -1;
        if (parent >= 0 && w->r.task[parent].state == REF_NONE)
            parent = -1;
        sched_task_init(&w->s, &w->task[i], i, parent < 0 ? NULL : &w->task[parent]);
        sched_wake_new(&w->s, &w->task[i], now);
        ref_new(&w->r, (int)i, parent, now);
    } else if (w->r.task[i].state == REF_ASLEEP || w->r.task[i].state == REF_DELAYED) {
        assert_int_equal(w->task[i].delayed, w->r.task[i].state == REF_DELAYED);
        sched_wake(&w->s, &w->task[i], now);
        ref_wake(&w->r, (int)i, now);
    }
}

static void change_params(struct world *w, unsigned i, int nice, int weight)
{
    static const int policy[4] = {POLICY_NORMAL, POLICY_NORMAL, POLICY_BATCH, POLICY_IDLE};
    static const uint64_t slice[4] = {0, 1000, 300000, 20000000};
    struct sched_params p = {.policy = policy[rng_below(&w->rng, 4)],
                             .nice = nice,
                             .slice = slice[rng_below(&w->rng, 4)],
                             .reset_on_fork = rng_below(&w->rng, 2)};

    sched_set_params(&w->s, &w->task[i], &p);
    ref_params(&w->r, (int)i, p.policy, nice, weight, p.slice, p.reset_on_fork);
}

static void change(struct world *w, uint64_t now)
{
    static const int weight[4] = {3121, 1024, 335, 15}, nice[4] = {-5, 0, 5, 19};
    unsigned i = (unsigned)rng_below(&w->rng, w->tasks), k = (unsigned)rng_below(&w->rng, 4);
    uint64_t mask = 1 + rng_below(&w->rng, (1u << w->s.cores) - 1);

    if (w->r.task[i].state == REF_NONE)
        return;
    switch (rng_below(&w->rng, 3)) {
    case 0:
        sched_set_nice(&w->s, &w->task[i], nice[k]);
        ref_nice(&w->r, (int)i, nice[k], weight[k]);
        break;
    case 1:
        change_params(w, i, nice[k], weight[k]);
        break;
    default:
        assert_true(sched_set_allowed(&w->s, &w->task[i], mask, now));
        ref_allowed(&w->r, (int)i, mask, now);
    }
}

static void on_core(struct world *w, unsigned cpu)
{
    uint64_t now = w->now[cpu];
    int t = ref_runs(&w->r, (int)cpu);

    if (t < 0)
        return;
    switch (rng_below(&w->rng, 8)) {
    case 0:
    case 1:
        sched_block(&w->s, cpu, now);
        ref_block(&w->r, (int)cpu, now);
        sched_schedule(&w->s, cpu, now);
        ref_schedule(&w->r, (int)cpu, now);
        break;
    case 2:
        sched_yield_task(&w->s, cpu, now);
        ref_yield(&w->r, (int)cpu, now);
        break;
    default:
        sched_tick(&w->s, cpu, now);
        ref_tick(&w->r, (int)cpu, now);
    }
}

static void compare(uint64_t seed, unsigned steps)
{
    struct world *w = calloc(1, sizeof *w);
    w->rng.state = seed;
    unsigned cores = 1 + (unsigned)rng_below(&w->rng, REF_CORES);
    sched_open(&w->s, cores, 250);
    ref_open(&w->r, (int)cores, 250);
    for (unsigned i = 0; i < steps; i++) {
        unsigned cpu = (unsigned)rng_below(&w->rng, cores);
        w->now[cpu] += rng_below(&w->rng, 4000000); /* cores' clocks drift apart, as in sim */
        unsigned what = (unsigned)rng_below(&w->rng, 10);
        if (what < 3 || w->tasks == 0)
            wake_or_start(w, w->now[cpu]);
        else if (what == 3)
            change(w, w->now[cpu]);
        else
            on_core(w, cpu);
        settle(w);
        assert_int_equal(sched_audit(&w->s), 0);
        same(w, i);
    }
    free(w);
}

static void a_naive_scheduler_decides_the_same_in_two_hundred_random_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        compare(seed, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_naive_scheduler_decides_the_same_in_two_hundred_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
