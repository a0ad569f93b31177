/* test_sched.c: threads share cores in virtual time. */
#include "crowd_fixture.h"

#include "cpu/cpu.h"

static uint64_t busy_ps(const struct crowd *x)
{
    uint64_t sum = 0;

    for (unsigned n = 0; n < x->sim->sched.cores; n++) {
        assert_true(x->sim->cpu[n].busy_ps <= x->sim->cpu[n].clock_ps);
        sum += x->sim->cpu[n].busy_ps;
    }
    return sum;
}

/* -- cores -----------------------------------------------------------------------------------------*/

static void each_thread_has_a_core_of_its_own_while_there_are_enough(void **state)
{
    (void)state;
    struct crowd x;
    crowd_at_work(&x, 4, 4, 10 * MS);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(x.t[i]->core_id, i);
        assert_int_equal(sim_thread_time(x.t[i]), UINT64_C(10) * MS * 1000);
    }
    assert_int_equal(COUNT(&x, context_switches), 4);
    assert_int_equal(COUNT(&x, migrations), 0);
    close_crowd(&x);
}

static void two_threads_on_one_core_take_turns_at_each_tick(void **state)
{
    (void)state;
    struct crowd x;
    crowd_at_work(&x, 1, 2, 20 * MS);
    assert_int_equal(COUNT(&x, timer_interrupts), 40 - 1 /* the last one is due at the end */);
    assert_in_range(COUNT(&x, switches_involuntary), 38, 40); /* a new one comes on at once */
    assert_int_equal(busy_ps(&x), UINT64_C(40) * MS * 1000);
    assert_int_equal(x.sim->cpu[0].clock_ps, UINT64_C(40) * MS * 1000);
    sched_tick(&x.sim->sched, 0, 40 * MS); /* brings sum_exec up to date */
    assert_int_equal(x.t[0]->task.sum_exec + x.t[1]->task.sum_exec, 40 * MS);
    close_crowd(&x);
}

static void a_switch_costs_what_the_option_says_and_the_first_of_a_core_nothing(void **state)
{
    (void)state;
    static const char *const options[] = {"cost.switch", "2400", NULL};
    struct crowd x;
    open_crowd_with(&x, 1, 2, options);
    for (unsigned i = 0; i < 2; i++)
        work(&x, i, 20 * MS);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, kernel_cycles_switch), 2400 * (COUNT(&x, context_switches) - 1));
    assert_int_equal(busy_ps(&x), (UINT64_C(40) * MS + COUNT(&x, kernel_cycles_switch)) * 1000);
    close_crowd(&x);
}

static void the_time_of_all_cores_is_the_instructions_of_all_threads(void **state)
{
    (void)state;
    for (unsigned cores = 1; cores <= 4; cores++) {
        struct crowd x;
        open_crowd(&x, cores, 5);
        for (unsigned i = 0; i < 5; i++) {
            work(&x, i, (i + 1) * MS);
            sleeps_ns(&x, i, 300000);
            work(&x, i, 2 * MS);
        }
        feed_to_the_end(&x, 777);
        assert_int_equal(busy_ps(&x), COUNT(&x, instructions) * 1000);
        assert_int_equal(COUNT(&x, switches_voluntary), 5);
        close_crowd(&x);
    }
}

/* -- sleeping --------------------------------------------------------------------------------------*/

static void who_sleeps_leaves_its_core_to_another_and_wakes_at_its_time(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 2);
    work(&x, 0, 100000);
    sleeps_ns(&x, 0, 10 * MS);
    work(&x, 0, 500);
    work(&x, 1, 3 * MS);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, switches_voluntary), 1);
    /* 0.1 ms and its sleep, and what thread 1 had the core before: at most a tick */
    assert_in_range(sim_thread_time(x.t[0]) / 1000, 10 * MS + 100500, 11 * MS + 100500);
    assert_int_equal(busy_ps(&x), UINT64_C(3100500) * 1000);
    close_crowd(&x);
}

static void
a_call_that_did_not_sleep_takes_its_cycles_however_long_the_emulator_was_in_it(void **state)
{
    (void)state;
    static const char *const options[] = {"cost.syscall", "300", NULL};
    struct crowd x;
    open_crowd_with(&x, 1, 1, options);
    work(&x, 0, 1000);
    call_begins(&x, 0, SYS_getpid, 0, 0, 0);
    call_ends(&x, 0, SYS_getpid, 100, 50000, 3);
    call_begins(&x, 0, SYS_read, 0, 0, 0); /* may sleep, and did not */
    call_ends(&x, 0, SYS_read, 0, 70000, 0);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, context_switches), 1);
    assert_int_equal(sim_thread_time(x.t[0]), (1000 + 2 * 300) * 1000);
    close_crowd(&x);
}

static void a_call_of_which_no_return_came_yet_lets_others_on_the_core(void **state)
{
    (void)state;
    struct crowd x;
    enum sim_stop stop;
    open_crowd(&x, 1, 2);
    work(&x, 0, 1000);
    call_begins(&x, 0, SYS_read, 0, 0, 0);
    feed_to_the_end(&x, 1000);
    work(&x, 1, 1000);
    struct stream *s = &x.s[1];
    assert_false(sim_thread_waits(x.t[1]));
    while (s->at < s->n)
        s->at += sim_feed(x.sim, x.t[1], s->w + s->at, s->n - s->at, true, &stop);
    assert_int_equal(x.t[1]->core_id, 0);
    assert_int_equal(x.sim->cpu[0].runs == x.t[1], 1);
    call_ends(&x, 0, SYS_read, 0, 40000, 1);
    work(&x, 0, 500);
    feed_to_the_end(&x, 1000);
    assert_int_equal(sim_thread_time(x.t[0]), UINT64_C(41500) * 1000);
    close_crowd(&x);
}

static void who_was_only_late_with_its_return_did_not_sleep(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 2);
    work(&x, 0, 1000);
    call_begins(&x, 0, SYS_read, 0, 0, 0);
    feed_to_the_end(&x, 1000);
    for (unsigned i = 0; i < 2; i++) { /* others go on further: it is taken for asleep */
        work(&x, 1, 5000);
        feed_to_the_end(&x, 1000);
    }
    assert_null(x.sim->cpu[0].runs);
    call_ends(&x, 0, SYS_read, 0, 2000, 0);
    work(&x, 0, 500);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, switches_voluntary), 0);
    assert_int_equal(COUNT(&x, context_switches), 2);
    assert_int_equal(sim_thread_time(x.t[0]), UINT64_C(1500) * 1000);
    close_crowd(&x);
}

/* The payee is the one on the other core when the late return comes. */
static void what_was_counted_for_a_sleep_is_taken_back_from_who_did_not_sleep(void **state)
{
    (void)state;
    struct crowd x;
    uint64_t came[2];
    open_crowd(&x, 2, 2);
    work(&x, 0, 1000);
    feed_to_the_end(&x, 1000);
    assert_int_equal(account_audit(x.sim), 0);
    for (unsigned i = 0; i < 2; i++)
        came[i] = STAT(&x.t[i]->sum->stats, context_switches);
    for (unsigned k = 0; k < 3; k++) {
        call_begins(&x, 0, SYS_read, 0, 0, 0);
        feed_to_the_end(&x, 1000);
        for (unsigned i = 0; i < 2; i++) {
            work(&x, 1, 5000);
            feed_to_the_end(&x, 1000);
        }
        assert_null(x.sim->cpu[0].runs);
        assert_ptr_equal(x.sim->current, x.t[1]);
        call_ends(&x, 0, SYS_read, 0, 2000, 0);
        feed_to_the_end(&x, 1000);
    }
    assert_int_equal(account_audit(x.sim), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(STAT(&x.t[i]->sum->stats, context_switches), came[i]);
        assert_int_equal(STAT(&x.t[i]->sum->stats, switches_voluntary), 0);
    }
    close_crowd(&x);
}

static void who_waits_at_a_futex_wakes_when_the_others_have_come_so_far(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 2);
    work(&x, 0, 1000);
    call_begins(&x, 0, SYS_futex, 0x5000, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0);
    work(&x, 1, 7 * MS);
    feed_to_the_end(&x, 1000);
    call_ends(&x, 0, SYS_futex, 0, UINT64_C(900) * MS, 1); /* the emulator is that slow */
    work(&x, 0, 500);
    feed_to_the_end(&x, 1000);
    assert_int_equal(sim_thread_time(x.t[0]), (UINT64_C(7) * MS + 500) * 1000);
    close_crowd(&x);
}

/* -- order and repeatability -----------------------------------------------------------------------*/

static void a_thread_whose_core_is_taken_waits_and_who_has_it_is_named(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 2);
    work(&x, 0, 1000);
    feed_to_the_end(&x, 1000); /* both began; one has the core */
    const struct sim_thread *has = x.sim->cpu[0].runs;
    const struct sim_thread *other = has == x.t[0] ? x.t[1] : x.t[0];
    assert_false(sim_thread_waits(has));
    assert_true(sim_thread_waits(other));
    assert_ptr_equal(sim_thread_ahead(other), has);
    close_crowd(&x);
}

static void the_size_of_the_pieces_a_stream_comes_in_changes_no_counter(void **state)
{
    (void)state;
    struct stat_set first = {0};
    for (size_t quantum = 1; quantum < 5000; quantum = 3 * quantum + 1) {
        struct crowd x;
        open_crowd(&x, 1, 1);
        for (unsigned i = 0; i < 8; i++) {
            work(&x, 0, 1200000);
            load(&x, 0, DATA + i * K4);
            call_begins(&x, 0, SYS_getpid, 0, 0, 0);
            call_ends(&x, 0, SYS_getpid, 100, 12345 * i, 0);
        }
        /* a record is never cut: quanta below one record feed whole ones */
        feed_to_the_end(&x, quantum < 16 ? 16 : quantum);
        assert_int_equal(COUNT(&x, timer_interrupts), 9);
        if (quantum == 1)
            first = x.sim->stats;
        assert_memory_equal(&first, &x.sim->stats, sizeof(first));
        close_crowd(&x);
    }
}

/* -- affinity --------------------------------------------------------------------------------------*/

static void a_thread_goes_to_the_core_it_is_bound_to_and_finds_it_cold(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 1);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < 16; k++)
            load(&x, 0, DATA + k * K4);
    }
    feed_to_the_end(&x, 1000);
    uint64_t walks = COUNT(&x, dtlb_load_walk), faults = COUNT(&x, minor_faults);
    sets_affinity(&x, 0, 0, 2);
    for (unsigned k = 0; k < 16; k++)
        load(&x, 0, DATA + k * K4);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[0]->core_id, 1);
    assert_int_equal(COUNT(&x, migrations), 1);
    assert_int_equal(COUNT(&x, dtlb_load_walk),
                     walks + 16); /* each page once more, on a cold TLB */
    assert_int_equal(COUNT(&x, minor_faults), faults);
    close_crowd(&x);
}

static void threads_bound_to_one_core_leave_the_other_idle(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 3);
    for (unsigned i = 0; i < 3; i++) {
        sets_affinity(&x, i, 100 + i, 1);
        work(&x, i, 5 * MS);
    }
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.sim->cpu[0].busy_ps, UINT64_C(15) * MS * 1000);
    assert_int_equal(x.sim->cpu[1].busy_ps, 0);
    close_crowd(&x);
}

/* Four cores on two nodes: core 0 is of core 1's node, core 2, which comes next, is not. */
static void who_wakes_beside_a_taken_core_goes_to_an_idle_one_of_its_memory_node(void **state)
{
    (void)state;
    static const char *const options[] = {"numa.nodes", "2", NULL};
    struct crowd x;
    open_crowd_with(&x, 4, 2, options);
    for (unsigned n = 0; n < 4; n++)
        assert_int_equal(x.sim->sched.core[n].node, n / 2);
    sets_affinity(&x, 1, 101, 8); /* away from core 1 */
    sets_affinity(&x, 0, 100, 2);
    sets_affinity(&x, 0, 100, 0xf);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[0]->core_id, 1);
    sleeps_ns(&x, 0, 2 * MS);
    work(&x, 0, 500);
    sets_affinity(&x, 1, 101, 2);
    work(&x, 1, 5 * MS);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[1]->core_id, 1);
    assert_int_equal(x.t[0]->core_id, 0);
    close_crowd(&x);
}

/* lock.c: two threads of one core were not at it at the same time. */
static void who_comes_on_a_core_is_not_before_the_one_that_left_it(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 2);
    unsigned first = x.sim->cpu[0].runs == x.t[0] ? 0 : 1, second = 1 - first;
    work(&x, first, MS / 2);
    sleeps_ns(&x, first, 10 * MS);
    work(&x, second, 1000);
    feed_to_the_end(&x, 1000);
    assert_true(x.t[second]->clock >= MS / 2 + 1000);
    close_crowd(&x);
}

static void a_core_that_does_not_exist_is_a_divergence(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 1);
    sets_affinity(&x, 0, 0, 0xf0);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, div_affinity), 1);
    assert_int_equal(x.t[0]->task.allowed, 3);
    close_crowd(&x);
}

static void a_new_thread_begins_at_the_time_of_its_maker_with_its_cores(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 4, 1);
    sets_affinity(&x, 0, 0, 0x6);
    work(&x, 0, 2 * MS);
    feed_to_the_end(&x, 1000);
    x.t[1] = sim_thread_open(x.sim);
    x.threads = 2;
    put_record(&x, 1, EV_THREAD_START, 3, (uint64_t[3]){0, 101, 0});
    work(&x, 1, 1000);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[1]->task.allowed, 0x6);
    assert_int_equal(sim_thread_time(x.t[1]), (UINT64_C(2) * MS + 1000) * 1000);
    assert_int_not_equal(x.t[1]->core_id, x.t[0]->core_id);
    close_crowd(&x);
}

static void nice_values_of_the_program_decide_the_shares(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 2);
    calls(&x, 1, SYS_setpriority, 0, 0, 5, 0);
    work(&x, 0, 150 * MS);
    work(&x, 1, 150 * MS);
    while (x.s[0].at < x.s[0].n) { /* until the first is done */
        enum sim_stop stop;
        int i = next_of(&x);
        struct stream *s = &x.s[i];
        size_t n = s->n - s->at < 1000 ? s->n - s->at : 1000;
        s->at += sim_feed(x.sim, x.t[i], s->w + s->at, n, true, &stop);
    }
    double share = (double)x.t[1]->task.sum_exec / (double)x.t[0]->task.sum_exec;
    assert_true(share > 0.30 && share < 0.355); /* 335 / 1024 = 0.327 */
    feed_to_the_end(&x, 1000);
    close_crowd(&x);
}

/* -- policies --------------------------------------------------------------------------------------*/

static void sets_scheduler(struct crowd *x, unsigned who, uint64_t nr, uint64_t policy,
                           uint64_t priority)
{
    bool param = nr == SYS_sched_setparam;

    call_begins(x, who, nr, 0, param ? 0x9000 : policy, 0x9000);
    put_record(x, who, EV_BYTES, 3, (uint64_t[3]){0x9000, 4, priority});
    call_ends(x, who, nr, 0, 0, 0);
}

static void sets_attr(struct crowd *x, unsigned who, uint32_t policy, uint64_t flags, uint32_t nice,
                      uint32_t priority, uint64_t runtime)
{
    call_begins(x, who, SYS_sched_setattr, 0, 0x9000, 0);
    put_record(x, who, EV_BYTES, 8,
               (uint64_t[8]){0x9000, 48, 48 | (uint64_t)policy << 32, flags,
                             nice | (uint64_t)priority << 32, runtime, 0, 0});
    call_ends(x, who, SYS_sched_setattr, 0, 0, 0);
}

static void setparam_changes_the_priority_and_neither_policy_nor_flag(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 1);
    sets_scheduler(&x, 0, SYS_sched_setscheduler, POLICY_RR | UINT64_C(0x40000000), 7);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[0]->task.policy, POLICY_RR);
    assert_int_equal(x.t[0]->task.rt_priority, 7);
    assert_true(x.t[0]->task.reset_on_fork);
    sets_scheduler(&x, 0, SYS_sched_setparam, 0, 9);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[0]->task.policy, POLICY_RR);
    assert_int_equal(x.t[0]->task.rt_priority, 9);
    assert_true(x.t[0]->task.reset_on_fork);
    sets_scheduler(&x, 0, SYS_sched_setscheduler, POLICY_BATCH, 0);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[0]->task.policy, POLICY_BATCH);
    assert_int_equal(x.t[0]->task.rt_priority, 0);
    assert_false(x.t[0]->task.reset_on_fork);
    close_crowd(&x);
}

static void setattr_keeps_what_its_flags_say(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 1);
    const struct sched_task *t = &x.t[0]->task;
    sets_attr(&x, 0, POLICY_BATCH, 0x01, 3, 0, 2 * MS);
    feed_to_the_end(&x, 1000);
    assert_int_equal(t->policy, POLICY_BATCH);
    assert_int_equal(t->nice, 3);
    assert_int_equal(t->slice, 2 * MS);
    assert_true(t->reset_on_fork);
    sets_attr(&x, 0, POLICY_NORMAL, 0x08, 4, 0, 0); /* KEEP_POLICY */
    feed_to_the_end(&x, 1000);
    assert_int_equal(t->policy, POLICY_BATCH);
    assert_int_equal(t->nice, 4);
    assert_int_equal(t->slice, 700000);
    assert_true(t->reset_on_fork);
    sets_attr(&x, 0, POLICY_FIFO, 0x10, 9, 5, 0); /* KEEP_PARAMS */
    feed_to_the_end(&x, 1000);
    assert_int_equal(t->policy, POLICY_BATCH);
    assert_int_equal(t->nice, 4);
    assert_false(t->reset_on_fork);
    sets_attr(&x, 0, 0, 0x18, 9, 0, 0); /* both: nothing */
    sets_attr(&x, 0, 6, 0, 9, 0, 0);    /* SCHED_DEADLINE is not modelled */
    feed_to_the_end(&x, 1000);
    assert_int_equal(t->policy, POLICY_BATCH);
    assert_int_equal(t->nice, 4);
    close_crowd(&x);
}

/* -- ends --------------------------------------------------------------------------------------------*/

/* mm_release: put_user(0) at set_tid_address's place, a write of the kernel to a page nobody has touched. */
static void a_thread_that_ends_clears_its_id_unless_it_is_the_last(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 2);
    for (unsigned i = 0; i < 2; i++) {
        calls(&x, i, SYS_set_tid_address, DATA + (8 + i) * K4, 0, 0, 100 + i);
        work(&x, i, 1000);
    }
    feed_to_the_end(&x, 1000);
    uint64_t faults = COUNT(&x, minor_faults);
    for (unsigned i = 0; i < 2; i++) {
        call_begins(&x, i, SYS_exit, 0, 0, 0);
        feed_to_the_end(&x, 1000);
        assert_int_equal(COUNT(&x, minor_faults), faults + 1); /* of the first one */
        assert_int_equal(COUNT(&x, fault_kernel_mode), 1);
        sim_thread_close(x.sim, x.t[i]);
        free(x.s[i].w);
        x.s[i] = (struct stream){0};
    }
    sim_close(x.sim);
}

/* -- time ------------------------------------------------------------------------------------------*/

enum program { WORKS, MISSES, FAULTS };

/* run_program: nothing but instructions; loads that miss the TLB and caches; first loads of pages. */
static void run_program(struct crowd *x, enum program p)
{
    enum { PAGES = 4096, FAR = 0x10000000 };
    struct mm_map m = {.addr = va(FAR),
                       .len = PAGES * K4,
                       .prot = PROT_READ | PROT_WRITE,
                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                       .forced = true};

    assert_int_equal(mm_mmap(sim_mm(x->sim), &m), FAR);
    for (unsigned i = 0; i < PAGES; i++) {
        if (p == WORKS)
            work(x, 0, 5000);
        for (unsigned k = 0; k < 64 && p == MISSES; k++)
            load(x, 0, FAR + (i * 64 + k) * 2039 % PAGES * K4 + i % 64 * 64);
        if (p == FAULTS)
            load(x, 0, FAR + i * K4);
    }
    feed_to_the_end(x, 1000);
}

static void timer_interrupts_are_hz_in_each_second_of_modelled_cycles(void **state)
{
    (void)state;
    static const char *const hz[] = {"100", "250", "1000", "10000"};
    for (unsigned i = 0; i < 4 * 3; i++) {
        const char *options[] = {"kernel.hz", hz[i / 3], "thp.enabled", "never", NULL};
        struct crowd x;
        struct cpu_cycles c;
        open_machine(&x, 1, options);
        crowd_map(sim_mm(x.sim));
        joins(&x, 0);
        feed_to_the_end(&x, 1000);
        run_program(&x, i % 3);
        cpu_cycles(&x.sim->conf, sim_stats(x.sim), &c);
        uint64_t due = c.total / (1000000000 / x.sim->conf.kernel_hz); /* a cycle is a nanosecond */
        assert_in_range(COUNT(&x, timer_interrupts) + 1, due, due + 1);
        assert_true(i < 9 || due > 20);
        assert_true(i % 3 == WORKS || c.total > 4 * COUNT(&x, instructions));
        close_crowd(&x);
    }
}

static void cores_were_busy_for_all_cycles_of_the_machine(void **state)
{
    (void)state;
    struct crowd x;
    struct cpu_cycles c;
    open_machine(&x, 2, NULL);
    crowd_map(sim_mm(x.sim));
    for (unsigned i = 0; i < 3; i++)
        joins(&x, 0);
    feed_to_the_end(&x, 1000);
    for (unsigned i = 0; i < 3; i++) {
        work(&x, i, (i + 1) * MS);
        for (unsigned k = 0; k < 64; k++)
            load(&x, i, DATA + (64 * i + k) * K4);
        sleeps_ns(&x, i, 300000);
        work(&x, i, 2 * MS);
    }
    feed_to_the_end(&x, 777);
    cpu_cycles(&x.sim->conf, sim_stats(x.sim), &c);
    /* but for what threads paid that were not on a core yet, or no more */
    assert_in_range(busy_ps(&x), (c.total - c.total / 1000) * 1000, c.total * 1000);
    close_crowd(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_has_a_core_of_its_own_while_there_are_enough),
        cmocka_unit_test(two_threads_on_one_core_take_turns_at_each_tick),
        cmocka_unit_test(a_switch_costs_what_the_option_says_and_the_first_of_a_core_nothing),
        cmocka_unit_test(the_time_of_all_cores_is_the_instructions_of_all_threads),
        cmocka_unit_test(who_sleeps_leaves_its_core_to_another_and_wakes_at_its_time),
        cmocka_unit_test(
            a_call_that_did_not_sleep_takes_its_cycles_however_long_the_emulator_was_in_it),
        cmocka_unit_test(a_call_of_which_no_return_came_yet_lets_others_on_the_core),
        cmocka_unit_test(who_was_only_late_with_its_return_did_not_sleep),
        cmocka_unit_test(what_was_counted_for_a_sleep_is_taken_back_from_who_did_not_sleep),
        cmocka_unit_test(who_waits_at_a_futex_wakes_when_the_others_have_come_so_far),
        cmocka_unit_test(a_thread_whose_core_is_taken_waits_and_who_has_it_is_named),
        cmocka_unit_test(the_size_of_the_pieces_a_stream_comes_in_changes_no_counter),
        cmocka_unit_test(a_thread_goes_to_the_core_it_is_bound_to_and_finds_it_cold),
        cmocka_unit_test(threads_bound_to_one_core_leave_the_other_idle),
        cmocka_unit_test(who_wakes_beside_a_taken_core_goes_to_an_idle_one_of_its_memory_node),
        cmocka_unit_test(who_comes_on_a_core_is_not_before_the_one_that_left_it),
        cmocka_unit_test(a_core_that_does_not_exist_is_a_divergence),
        cmocka_unit_test(a_new_thread_begins_at_the_time_of_its_maker_with_its_cores),
        cmocka_unit_test(nice_values_of_the_program_decide_the_shares),
        cmocka_unit_test(setparam_changes_the_priority_and_neither_policy_nor_flag),
        cmocka_unit_test(setattr_keeps_what_its_flags_say),
        cmocka_unit_test(a_thread_that_ends_clears_its_id_unless_it_is_the_last),
        cmocka_unit_test(timer_interrupts_are_hz_in_each_second_of_modelled_cycles),
        cmocka_unit_test(cores_were_busy_for_all_cycles_of_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
