/* test_sched.c: closed forms of the scheduler: who gets how much of how many cores, and in what turns. */
#include "kern/sched.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS   UINT64_C(1000000)
#define TICK (4 * MS) /* 250 Hz */

struct bench {
    struct sched s;
    struct sched_task task[32];
    unsigned n;
    uint64_t now;
};

static void bench_open(struct bench *b, unsigned cores)
{
    memset(b, 0, sizeof *b);
    sched_open(&b->s, cores, 250);
}

static struct sched_task *add(struct bench *b, const struct sched_task *parent)
{
    struct sched_task *t = &b->task[b->n++];
    sched_task_init(&b->s, t, b->n, parent);
    return t;
}

static void settle(struct bench *b)
{
    for (unsigned n = 0; n < b->s.cores; n++)
        if (sched_needs(&b->s, n))
            sched_schedule(&b->s, n, b->now);
    assert_int_equal(sched_audit(&b->s), 0);
}

static struct sched_task *start(struct bench *b)
{
    struct sched_task *t = add(b, NULL);
    sched_wake_new(&b->s, t, b->now);
    settle(b);
    return t;
}

/* A tick on every core that runs. */
static void tick(struct bench *b)
{
    b->now += TICK;
    for (unsigned n = 0; n < b->s.cores; n++)
        if (b->s.core[n].curr)
            sched_tick(&b->s, n, b->now);
    settle(b);
}

static void run(struct bench *b, unsigned ticks)
{
    while (ticks-- > 0)
        tick(b);
}

/* -- slices ----------------------------------------------------------------------------------------*/

static void the_slice_grows_with_the_logarithm_of_the_cores_up_to_eight(void **state)
{
    (void)state;
    static const uint64_t us[][2] = {{1, 700},  {2, 1400}, {3, 1400}, {4, 2100},
                                     {7, 2100}, {8, 2800}, {64, 2800}};
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(sched_base_slice((unsigned)us[i][0]), us[i][1] * 1000);
}

static void two_equal_tasks_on_one_core_alternate_at_every_tick(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    start(&b);
    start(&b);
    const struct sched_task *last = NULL;
    for (unsigned i = 0; i < 100; i++) { /* a slice of 0.7 ms is over at each tick of 4 ms */
        tick(&b);
        assert_ptr_not_equal(b.s.core[0].curr, last);
        last = b.s.core[0].curr;
    }
    assert_int_equal(b.task[0].sum_exec + b.task[1].sum_exec, 100 * TICK);
    assert_int_equal(b.task[0].sum_exec, 50 * TICK);
}

static void a_slice_longer_than_a_tick_lasts_for_the_ticks_it_needs(void **state)
{
    (void)state;
    struct bench b;
    memset(&b, 0, sizeof b);
    sched_open(&b.s, 2, 1000); /* 1.4 ms, so two ticks of 1 ms */
    for (unsigned i = 0; i < 2; i++) {
        struct sched_task *t = add(&b, NULL);
        assert_true(sched_set_allowed(&b.s, t, 1, 0));
        sched_wake_new(&b.s, t, 0);
        settle(&b);
    }
    uint64_t switches = 0, ticks = 4000;
    for (uint64_t i = 1; i <= ticks; i++) {
        sched_tick(&b.s, 0, i * MS);
        settle(&b);
    }
    switches = b.s.core[0].switches;
    assert_in_range(switches, ticks / 2 - 2, ticks / 2 + 2);
    assert_in_range(b.task[0].sum_exec, ticks * MS / 2 - 2 * MS, ticks * MS / 2 + 2 * MS);
}

/* -- shares ----------------------------------------------------------------------------------------*/

static void shares_are_as_the_weights_of_the_nice_values(void **state)
{
    (void)state;
    static const struct {
        int nice[2];
        uint64_t weight[2];
    } row[] = {{{-5, 0}, {3121, 1024}},
               {{0, 5}, {1024, 335}},
               {{0, 1}, {1024, 820}},
               {{-20, 0}, {88761, 1024}},
               {{10, 19}, {110, 15}}};
    for (unsigned i = 0; i < 5; i++) {
        struct bench b;
        bench_open(&b, 1);
        for (unsigned k = 0; k < 2; k++) {
            struct sched_task *t = add(&b, NULL);
            sched_set_nice(&b.s, t, row[i].nice[k]);
            assert_int_equal(t->weight, row[i].weight[k]);
            sched_wake_new(&b.s, t, 0);
            settle(&b);
        }
        run(&b, 100000);
        double share =
            (double)b.task[0].sum_exec / (double)(b.task[0].sum_exec + b.task[1].sum_exec);
        double due = (double)row[i].weight[0] / (double)(row[i].weight[0] + row[i].weight[1]);
        assert_true(share - due < 0.001 && due - share < 0.001);
    }
}

static void nice_changed_while_it_runs_holds_from_then_on(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    start(&b);
    start(&b);
    run(&b, 1000);
    uint64_t before[2] = {b.task[0].sum_exec, b.task[1].sum_exec};
    sched_set_nice(&b.s, &b.task[1], 5);
    run(&b, 100000);
    double share = (double)(b.task[0].sum_exec - before[0]) / (100000.0 * TICK);
    assert_true(share > 1024.0 / 1359 - 0.002 && share < 1024.0 / 1359 + 0.002);
}

static void nobody_starves_among_twenty_tasks_of_all_weights(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    uint64_t sum = 0;
    for (int i = 0; i < 20; i++) {
        struct sched_task *t = add(&b, NULL);
        sched_set_nice(&b.s, t, 2 * i - 20);
        sum += t->weight;
        sched_wake_new(&b.s, t, 0);
        settle(&b);
    }
    run(&b, 300000);
    for (unsigned i = 0; i < 20; i++) {
        double due = (double)b.task[i].weight / (double)sum * 300000.0;
        double got = (double)b.task[i].sum_exec / TICK;
        assert_true(got > due - 3 && got < due + 3); /* lag is bounded by a tick and a slice */
    }
}

static void an_idle_policy_task_gets_its_weight_of_three(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    start(&b);
    struct sched_task *t = start(&b);
    sched_set_policy(&b.s, t, POLICY_IDLE, 0);
    settle(&b);
    run(&b, 1027 * 100);
    assert_in_range(t->sum_exec / TICK, 297, 303);
}

/* -- several cores ---------------------------------------------------------------------------------*/

static void tasks_come_on_cores_in_order_until_all_are_taken(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(start(&b)->cpu, i);
    assert_int_equal(start(&b)->cpu, 0);
    assert_int_equal(start(&b)->cpu, 1);
}

static void as_many_tasks_as_cores_never_move_or_switch(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 4);
    for (unsigned i = 0; i < 4; i++)
        start(&b);
    run(&b, 1000);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(b.task[i].sum_exec, 1000 * TICK);
        assert_int_equal(b.task[i].migrations + b.task[i].nivcsw + b.task[i].nvcsw, 0);
        assert_int_equal(b.s.core[i].switches, 1);
    }
}

static void no_core_idles_while_a_task_waits_and_all_time_is_given_out(void **state)
{
    (void)state;
    for (unsigned cores = 1; cores <= 8; cores++)
        for (unsigned tasks = 1; tasks <= 20; tasks++) {
            struct bench b;
            bench_open(&b, cores);
            for (unsigned i = 0; i < tasks; i++)
                start(&b);
            run(&b, 500);
            uint64_t sum = 0;
            for (unsigned i = 0; i < tasks; i++)
                sum += b.task[i].sum_exec;
            assert_int_equal(sum, (cores < tasks ? cores : tasks) * 500 * TICK);
        }
}

static void three_tasks_on_two_cores_share_them_by_moving(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    for (unsigned i = 0; i < 3; i++)
        start(&b);
    run(&b, 30000);
    for (unsigned i = 0; i < 3; i++) /* two thirds of a core each, within a tenth */
        assert_in_range(b.task[i].sum_exec / TICK, 18000, 22000);
    assert_true(b.task[0].migrations + b.task[1].migrations + b.task[2].migrations > 100);
}

static void a_core_that_runs_dry_takes_who_waits_elsewhere(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    for (unsigned i = 0; i < 3; i++) /* 0 and 2 on core 0, 1 on core 1 */
        start(&b);
    const struct sched_task *waits = b.s.core[0].queue;
    sched_block(&b.s, 1, b.now);
    assert_ptr_equal(sched_schedule(&b.s, 1, b.now), waits);
    assert_int_equal(waits->migrations, 1);
    assert_int_equal(sched_audit(&b.s), 0);
}

static void a_woken_task_finds_its_last_core_or_else_the_nearest_idle_one_of_its_node(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 4);
    b.s.core[1].node = 1; /* nodes 0 1 0 1 */
    b.s.core[3].node = 1;
    struct sched_task *t = start(&b);
    assert_int_equal(t->cpu, 0);
    sched_block(&b.s, 0, 0);
    sched_schedule(&b.s, 0, 0);
    sched_wake(&b.s, t, 1);
    settle(&b);
    assert_int_equal(t->cpu, 0);
    assert_int_equal(t->nvcsw, 1);
    sched_block(&b.s, 0, 2);
    sched_schedule(&b.s, 0, 2);
    assert_int_equal(start(&b)->cpu, 0);
    sched_wake(&b.s, t, 3);
    settle(&b);
    assert_int_equal(t->cpu, 2);
    assert_int_equal(t->migrations, 1);
}

/* -- affinity --------------------------------------------------------------------------------------*/

static void a_task_runs_only_where_it_may(void **state)
{
    (void)state;
    struct bench b;
    struct rng rng = {7};
    bench_open(&b, 4);
    for (unsigned i = 0; i < 10; i++)
        start(&b);
    for (unsigned i = 0; i < 5000; i++) {
        struct sched_task *t = &b.task[rng_below(&rng, 10)];
        assert_true(sched_set_allowed(&b.s, t, 1 + rng_below(&rng, 15), b.now));
        settle(&b);
        tick(&b); /* sched_audit: I4 */
    }
}

static void a_running_task_leaves_a_core_that_is_taken_from_it(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    struct sched_task *t = start(&b);
    assert_true(sched_set_allowed(&b.s, t, 2, 5 * MS));
    settle(&b);
    assert_int_equal(t->cpu, 1);
    assert_ptr_equal(b.s.core[1].curr, t);
    assert_null(b.s.core[0].curr);
    assert_int_equal(t->sum_exec, 5 * MS);
    assert_int_equal(t->nivcsw, 1);
    assert_int_equal(t->migrations, 1);
}

static void a_mask_without_a_core_that_exists_is_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    struct sched_task *t = start(&b);
    assert_false(sched_set_allowed(&b.s, t, 0xc, 0));
    assert_int_equal(t->allowed, 3);
    assert_true(sched_set_allowed(&b.s, t, 0xe, 0));
    assert_int_equal(t->allowed, 2);
}

static void two_tasks_bound_to_one_of_two_cores_share_it_and_the_other_idles(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    for (unsigned i = 0; i < 2; i++) {
        struct sched_task *t = add(&b, NULL);
        sched_set_allowed(&b.s, t, 2, 0);
        sched_wake_new(&b.s, t, 0);
        settle(&b);
    }
    run(&b, 100);
    assert_int_equal(b.task[0].sum_exec, 50 * TICK);
    assert_int_equal(b.task[1].sum_exec, 50 * TICK);
    assert_int_equal(b.s.core[0].switches, 0);
}

/* -- sleeping, yielding ----------------------------------------------------------------------------*/

static void a_sleeper_is_before_a_task_that_always_runs_but_gets_no_more_than_its_half(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *busy = start(&b), *sleeper = start(&b);
    for (unsigned i = 0; i < 1000; i++) {
        if (b.s.core[0].curr == sleeper) { /* runs 0.1 ms, sleeps */
            b.now += MS / 10;
            sched_block(&b.s, 0, b.now);
            sched_schedule(&b.s, 0, b.now);
        }
        tick(&b);
        if (!sleeper->on_rq || sleeper->delayed)
            sched_wake(&b.s, sleeper, b.now);
        settle(&b);
    }
    assert_true(sleeper->sum_exec < busy->sum_exec);
    assert_true(sleeper->nvcsw > 400); /* it gets on the core within two ticks of each waking */
    assert_int_equal(sleeper->sum_exec + busy->sum_exec, b.now);
}

static void two_who_yield_at_once_take_turns(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    start(&b);
    start(&b);
    for (unsigned i = 0; i < 1000; i++) {
        b.now += 1000;
        sched_yield_task(&b.s, 0, b.now);
        settle(&b);
    }
    assert_in_range(b.task[0].nivcsw, 300, 700);
    assert_in_range(b.task[1].nivcsw, 300, 700);
    assert_int_equal(b.task[0].nvcsw + b.task[1].nvcsw, 0);
}

static void one_alone_who_yields_goes_on(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *t = start(&b);
    sched_yield_task(&b.s, 0, 1000);
    settle(&b);
    assert_ptr_equal(b.s.core[0].curr, t);
    assert_int_equal(t->nivcsw, 0);
}

static void who_did_not_sleep_after_all_goes_on_as_if_nothing_was(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *t = start(&b);
    uint64_t switches = b.s.core[0].switches;
    sched_block(&b.s, 0, MS);
    sched_schedule(&b.s, 0, MS);
    assert_null(b.s.core[0].curr);
    assert_true(sched_unblock(&b.s, t, MS));
    assert_ptr_equal(b.s.core[0].curr, t);
    assert_int_equal(t->nvcsw, 0);
    assert_int_equal(b.s.core[0].switches, switches);
    assert_int_equal(sched_audit(&b.s), 0);
    start(&b);
    struct sched_task *runs = b.s.core[0].curr;
    sched_block(&b.s, 0, 2 * MS);
    assert_ptr_not_equal(sched_schedule(&b.s, 0, 2 * MS), runs);
    assert_false(sched_unblock(&b.s, runs, 2 * MS));
}

/* -- real time -------------------------------------------------------------------------------------*/

static void a_fifo_task_runs_before_all_others_until_it_sleeps(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *fair = start(&b), *rt = start(&b);
    sched_set_policy(&b.s, rt, POLICY_FIFO, 10);
    settle(&b);
    uint64_t before = fair->sum_exec;
    run(&b, 100);
    assert_int_equal(fair->sum_exec, before);
    assert_int_equal(rt->sum_exec, 100 * TICK);
    sched_block(&b.s, 0, b.now);
    assert_ptr_equal(sched_schedule(&b.s, 0, b.now), fair);
    sched_wake(&b.s, rt, b.now + 1);
    settle(&b);
    assert_ptr_equal(b.s.core[0].curr, rt);
}

static void the_higher_real_time_priority_runs_and_equals_of_rr_change_each_100_ms(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    for (unsigned i = 0; i < 3; i++) {
        struct sched_task *t = start(&b);
        sched_set_policy(&b.s, t, POLICY_RR, i == 2 ? 5 : 50);
        settle(&b);
    }
    run(&b, 25 * 40);
    assert_int_equal(b.task[0].sum_exec, 20 * 100 * MS);
    assert_int_equal(b.task[1].sum_exec, 20 * 100 * MS);
    assert_int_equal(b.task[2].sum_exec, 0);
}

static void a_child_inherits_nice_policy_and_cores(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 4);
    struct sched_task *t = start(&b);
    sched_set_nice(&b.s, t, 7);
    sched_set_policy(&b.s, t, POLICY_BATCH, 0);
    sched_set_allowed(&b.s, t, 0x6, 0);
    settle(&b);
    struct sched_task *child = add(&b, t);
    assert_int_equal(child->nice, 7);
    assert_int_equal(child->weight, 215);
    assert_int_equal(child->policy, POLICY_BATCH);
    assert_int_equal(child->allowed, 0x6);
}

/* -- who preempts whom -----------------------------------------------------------------------------*/

/* Two on one core. */
struct pair {
    struct sched_task *sleeper, *runs;
};

/* asleep_and_running: the sleeper has slept since 0; the other is new, and has had the core for `ran`. The
 * first slice of a new task is half a slice: 0.35 ms. */
static struct pair asleep_and_running(struct bench *b, uint64_t ran)
{
    struct pair p;

    bench_open(b, 1);
    p.sleeper = start(b);
    sched_block(&b->s, 0, b->now);
    sched_schedule(&b->s, 0, b->now);
    p.runs = start(b);
    b->now += ran;
    sched_set_clock(&b->s, 0, b->now);
    assert_ptr_equal(b->s.core[0].curr, p.runs);
    assert_false(p.sleeper->on_rq);
    return p;
}

static bool wakes_and_preempts(struct bench *b, struct sched_task *t)
{
    sched_wake(&b->s, t, b->now);
    return sched_needs(&b->s, 0);
}

/* The parent has used up its first slice, alone; a child would be picked before it, and yet does not preempt. The
 * next one is queued beside another, and there whose slice is over has to go (update_curr). */
static void a_forked_child_does_not_preempt_but_a_slice_ends_when_another_is_queued(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *parent = start(&b), *child = add(&b, parent);
    b.now = MS;
    sched_set_clock(&b.s, 0, b.now);
    sched_wake_new(&b.s, child, b.now);
    assert_int_equal(child->deadline - child->vruntime, 350000); /* half a slice */
    assert_true(child->deadline < parent->deadline);
    assert_false(sched_needs(&b.s, 0));
    b.now += 60000;
    sched_set_clock(&b.s, 0, b.now);
    sched_wake_new(&b.s, add(&b, parent), b.now);
    settle(&b);
    assert_ptr_equal(b.s.core[0].curr, child);
}

static void who_slept_preempts_only_when_the_running_slice_is_not_protected(void **state)
{
    (void)state;
    struct bench b;
    struct pair p = asleep_and_running(&b, MS / 5);
    assert_false(wakes_and_preempts(&b, p.sleeper));
    p = asleep_and_running(&b, MS);
    assert_true(wakes_and_preempts(&b, p.sleeper));
    sched_schedule(&b.s, 0, b.now);
    assert_ptr_equal(b.s.core[0].curr, p.sleeper);
}

static void an_idle_policy_task_is_preempted_at_once_and_preempts_nobody(void **state)
{
    (void)state;
    struct bench b;
    struct pair p = asleep_and_running(&b, MS / 10); /* in its slice */
    sched_set_policy(&b.s, p.runs, POLICY_IDLE, 0);
    assert_true(wakes_and_preempts(&b, p.sleeper));
    p = asleep_and_running(&b, MS / 10);
    sched_set_policy(&b.s, p.sleeper, POLICY_IDLE, 0);
    assert_false(wakes_and_preempts(&b, p.sleeper));
}

/* Awake within the first slice of a new task. */
static void
a_task_with_a_shorter_request_preempts_within_the_slice_and_a_batch_task_never(void **state)
{
    (void)state;
    for (int policy = POLICY_NORMAL; policy <= POLICY_BATCH; policy += POLICY_BATCH) {
        struct bench b;
        struct pair p = asleep_and_running(&b, MS / 10);
        struct sched_params q;
        sched_get_params(p.sleeper, &q);
        q.slice = MS / 10;
        q.policy = policy;
        sched_set_params(&b.s, p.sleeper, &q);
        assert_int_equal(p.sleeper->slice, MS / 10);
        assert_int_equal(wakes_and_preempts(&b, p.sleeper), policy == POLICY_NORMAL);
    }
}

/* Whoever is in the queue with a shorter request bounds the slice of who runs: RUN_TO_PARITY. */
static void a_shorter_request_in_the_queue_shortens_the_protection_of_who_runs(void **state)
{
    (void)state;
    struct bench b;
    struct pair p = asleep_and_running(&b, MS / 10);
    struct sched_params q;
    sched_get_params(p.runs, &q);
    q.slice = 20 * MS;
    sched_set_params(&b.s, p.runs, &q);
    sched_block(&b.s, 0, b.now);
    sched_schedule(&b.s, 0, b.now);
    sched_wake(&b.s, p.runs, b.now);
    settle(&b);
    assert_int_equal(p.runs->vprot - p.runs->vruntime, 20 * MS);
    sched_get_params(p.sleeper, &q);
    q.slice = 0; /* 0.7 ms */
    sched_set_params(&b.s, p.sleeper, &q);
    p.sleeper->vlag = -5 * (int64_t)MS; /* far ahead: it does not win */
    assert_false(wakes_and_preempts(&b, p.sleeper));
    assert_int_equal(p.runs->vprot - p.runs->vruntime, 700000);
}

static void what_a_sleeper_is_owed_is_at_most_the_longest_request_and_a_tick(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2); /* slices of 1.4 ms */
    for (unsigned i = 0; i < 2; i++) {
        struct sched_task *t = add(&b, NULL);
        assert_true(sched_set_allowed(&b.s, t, 1, 0));
        sched_wake_new(&b.s, t, 0);
        settle(&b);
    }
    struct sched_task *runs = b.s.core[0].curr;
    struct sched_task *waits = runs == &b.task[0] ? &b.task[1] : &b.task[0];
    sched_tick(&b.s, 0, 100 * MS); /* 50 ms too many */
    assert_true(sched_set_allowed(&b.s, waits, 2, 100 * MS));
    assert_int_equal(waits->vlag, 14 * MS / 10 + TICK);
}

static void who_raises_its_own_nice_value_gives_way_and_one_alone_does_not(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *t = start(&b);
    sched_set_nice(&b.s, t, 5);
    assert_false(sched_needs(&b.s, 0));
    start(&b);
    assert_ptr_equal(b.s.core[0].curr, t);
    sched_set_nice(&b.s, t, 3);
    assert_false(sched_needs(&b.s, 0));
    sched_set_nice(&b.s, t, 6);
    assert_true(sched_needs(&b.s, 0));
}

/* -- what a program asks for -----------------------------------------------------------------------*/

static void reset_on_fork_gives_children_the_normal_policy_and_no_negative_nice(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *t = start(&b);
    sched_set_params(
        &b.s, t,
        &(struct sched_params){.policy = POLICY_FIFO, .rt_priority = 10, .reset_on_fork = true});
    struct sched_task *child = add(&b, t);
    assert_int_equal(child->policy, POLICY_NORMAL);
    assert_int_equal(child->rt_priority, 0);
    assert_int_equal(child->weight, 1024);
    assert_false(child->reset_on_fork);
    assert_int_equal(t->policy, POLICY_FIFO);
    sched_set_params(&b.s, t,
                     &(struct sched_params){.nice = -5, .slice = 3 * MS, .reset_on_fork = true});
    child = add(&b, t);
    assert_int_equal(child->nice, 0);
    assert_int_equal(child->slice, 700000);
    sched_set_params(&b.s, t, &(struct sched_params){.nice = 5, .reset_on_fork = true});
    assert_int_equal(add(&b, t)->nice, 5);
    sched_set_params(&b.s, t, &(struct sched_params){.nice = -5, .slice = 3 * MS});
    child = add(&b, t);
    assert_int_equal(child->nice, -5);
    assert_int_equal(child->slice, 3 * MS);
}

static void a_request_is_held_between_a_tenth_of_a_millisecond_and_a_hundred(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *t = start(&b);
    static const uint64_t ns[][2] = {
        {1, MS / 10}, {5 * MS, 5 * MS}, {1000 * MS, 100 * MS}, {0, 700000}};
    for (unsigned i = 0; i < 4; i++) {
        sched_set_params(&b.s, t, &(struct sched_params){.slice = ns[i][0]});
        assert_int_equal(t->slice, ns[i][1]);
    }
}

static void a_real_time_task_that_is_lowered_stays_before_its_new_equals(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sched_task *low = start(&b), *high = start(&b);
    sched_set_policy(&b.s, high, POLICY_FIFO, 20);
    settle(&b);
    sched_set_policy(&b.s, low, POLICY_FIFO, 10);
    settle(&b);
    sched_set_policy(&b.s, high, POLICY_FIFO, 10);
    settle(&b);
    assert_ptr_equal(b.s.core[0].curr, high);
    sched_set_policy(&b.s, high, POLICY_FIFO, 5);
    settle(&b);
    assert_ptr_equal(b.s.core[0].curr, low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slice_grows_with_the_logarithm_of_the_cores_up_to_eight),
        cmocka_unit_test(two_equal_tasks_on_one_core_alternate_at_every_tick),
        cmocka_unit_test(a_slice_longer_than_a_tick_lasts_for_the_ticks_it_needs),
        cmocka_unit_test(shares_are_as_the_weights_of_the_nice_values),
        cmocka_unit_test(nice_changed_while_it_runs_holds_from_then_on),
        cmocka_unit_test(nobody_starves_among_twenty_tasks_of_all_weights),
        cmocka_unit_test(an_idle_policy_task_gets_its_weight_of_three),
        cmocka_unit_test(tasks_come_on_cores_in_order_until_all_are_taken),
        cmocka_unit_test(as_many_tasks_as_cores_never_move_or_switch),
        cmocka_unit_test(no_core_idles_while_a_task_waits_and_all_time_is_given_out),
        cmocka_unit_test(three_tasks_on_two_cores_share_them_by_moving),
        cmocka_unit_test(a_core_that_runs_dry_takes_who_waits_elsewhere),
        cmocka_unit_test(a_woken_task_finds_its_last_core_or_else_the_nearest_idle_one_of_its_node),
        cmocka_unit_test(a_task_runs_only_where_it_may),
        cmocka_unit_test(a_running_task_leaves_a_core_that_is_taken_from_it),
        cmocka_unit_test(a_mask_without_a_core_that_exists_is_refused),
        cmocka_unit_test(two_tasks_bound_to_one_of_two_cores_share_it_and_the_other_idles),
        cmocka_unit_test(
            a_sleeper_is_before_a_task_that_always_runs_but_gets_no_more_than_its_half),
        cmocka_unit_test(two_who_yield_at_once_take_turns),
        cmocka_unit_test(one_alone_who_yields_goes_on),
        cmocka_unit_test(who_did_not_sleep_after_all_goes_on_as_if_nothing_was),
        cmocka_unit_test(a_fifo_task_runs_before_all_others_until_it_sleeps),
        cmocka_unit_test(the_higher_real_time_priority_runs_and_equals_of_rr_change_each_100_ms),
        cmocka_unit_test(a_child_inherits_nice_policy_and_cores),
        cmocka_unit_test(a_forked_child_does_not_preempt_but_a_slice_ends_when_another_is_queued),
        cmocka_unit_test(who_slept_preempts_only_when_the_running_slice_is_not_protected),
        cmocka_unit_test(an_idle_policy_task_is_preempted_at_once_and_preempts_nobody),
        cmocka_unit_test(
            a_task_with_a_shorter_request_preempts_within_the_slice_and_a_batch_task_never),
        cmocka_unit_test(a_shorter_request_in_the_queue_shortens_the_protection_of_who_runs),
        cmocka_unit_test(what_a_sleeper_is_owed_is_at_most_the_longest_request_and_a_tick),
        cmocka_unit_test(who_raises_its_own_nice_value_gives_way_and_one_alone_does_not),
        cmocka_unit_test(reset_on_fork_gives_children_the_normal_policy_and_no_negative_nice),
        cmocka_unit_test(a_request_is_held_between_a_tenth_of_a_millisecond_and_a_hundred),
        cmocka_unit_test(a_real_time_task_that_is_lowered_stays_before_its_new_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
