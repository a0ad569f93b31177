/* test_isolation.c: how often page-table isolation writes CR3, in closed form: once for each entry from user
 * mode and once for each return, however calls, faults, ticks, sleeps, switches and interrupts of other cores
 * are mixed. A core begins inside the kernel, so its first thread has a return without an entry. */
#include "crowd_fixture.h"

#define PARAM (DATA + 300 * K4) /* of calls: where a priority is */

static const char *const modes[][7] = {
    {"kernel.kpti", "on", "mmu.pcid", "on", "kernel.footprint", "on", NULL},
    {"kernel.kpti", "on", "mmu.pcid", "off", "kernel.footprint", "on", NULL},
    {"kernel.kpti", "on", "mmu.pcid", "on", NULL},
    {"kernel.kpti", "on", "mmu.pcid", "off", NULL},
};

/* Entries from user mode: all but faults that the kernel's own copies made. */
static uint64_t entries(const struct crowd *x)
{
    return COUNT(x, syscalls) + COUNT(x, minor_faults) - COUNT(x, fault_kernel_mode) +
           COUNT(x, timer_interrupts);
}

static void one_thread_writes_twice_for_each_call_fault_and_tick(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < ARRAY_LEN(modes); mode++) {
        struct crowd x;
        open_machine(&x, 1, modes[mode]);
        crowd_map(sim_mm(x.sim));
        joins(&x, 0);
        for (unsigned i = 0; i < 20; i++) {
            load(&x, 0, DATA + i * K4); /* faults */
            calls(&x, 0, SYS_getpid, 0, 0, 0, 100);
            calls(&x, 0, SYS_read, 3, DATA + (100 + i) * K4, 8, 8); /* faults inside the kernel */
            calls(&x, 0, SYS_sched_yield, 0, 0, 0, 0);
            work(&x, 0, 700000);
            sleeps_ns(&x, 0, 50000); /* the core is idle meanwhile */
        }
        work(&x, 0, INSNS);
        feed_to_the_end(&x, 1000);
        assert_int_equal(COUNT(&x, fault_kernel_mode), 20);
        assert_in_range(COUNT(&x, timer_interrupts), 13, 15);
        assert_int_equal(COUNT(&x, syscalls), 80);
        assert_int_equal(COUNT(&x, kpti_switches), 2 * entries(&x) + 1);
        close_crowd(&x);
    }
}

static void without_isolation_nothing_is_written(void **state)
{
    (void)state;
    static const char *const off[] = {"kernel.kpti", "off", NULL};
    struct crowd x;
    open_machine(&x, 1, off);
    crowd_map(sim_mm(x.sim));
    joins(&x, 0);
    sleeps_ns(&x, 0, 50000);
    work(&x, 0, 2 * MS);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, kpti_switches), 0);
    close_crowd(&x);
}

/* The last words of a thread: a call that does not return. So it leaves its core once others go on. */
static void sleeps_for_ever(struct crowd *x, unsigned who)
{
    call_begins(x, who, SYS_pause, 0, 0, 0);
}

/* What is written from user mode on until all but perhaps one sleep for ever: that one, if nobody went on
 * after it, has not been taken for asleep, and its entry not been made. */
static uint64_t writes_until_all_sleep(const struct crowd *x, uint64_t entries)
{
    return x->sim->kernel_mode & 1 ? 2 * entries - 1 : 2 * entries - 2;
}

/* A crowd of processes, one thread each; cores are in user mode. */
static void open_processes(struct crowd *x, unsigned cores, unsigned n, const char *const *options)
{
    open_machine(x, cores, options);
    sim_follow_tree(x->sim);
    for (unsigned i = 0; i < n; i++)
        joins(x, 1000 + i);
    feed_to_the_end(x, 1000);
    for (struct sim_proc *p = x->sim->procs; p; p = p->next)
        crowd_map(p->mm);
    for (unsigned i = 0; i < n; i++) /* a new one takes the core from another: that is over then */
        work(x, i, INSNS);
    feed_to_the_end(x, 1000);
}

/* Both always run: they change at ticks, and each change is one of the space. */
static void a_switch_at_a_tick_writes_no_more_than_the_tick_but_the_space(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < ARRAY_LEN(modes); mode++) {
        struct crowd x;
        open_processes(&x, 1, 2, modes[mode]);
        for (unsigned i = 0; i < 2; i++)
            for (unsigned k = 0; k < 20; k++) {
                work(&x, i, MS);
                load(&x, i, DATA + k * K4);
            }
        sleeps_for_ever(&x, 0);
        sleeps_for_ever(&x, 1);
        uint64_t flushes = COUNT(&x, tlb_flush_full), switches = COUNT(&x, context_switches);
        uint64_t written = COUNT(&x, kpti_switches), entered = entries(&x);
        feed_to_the_end(&x, 1000);
        switches = COUNT(&x, context_switches) - switches;
        written = COUNT(&x, kpti_switches) - written;
        assert_in_range(switches, 30, 45);
        assert_int_equal(written, writes_until_all_sleep(&x, entries(&x) - entered));
        /* without PCIDs every write of CR3 flushes: those of isolation, and one for each other space */
        if (strcmp(modes[mode][3], "off") == 0)
            assert_int_equal(COUNT(&x, tlb_flush_full) - flushes, written + switches);
        close_crowd(&x);
    }
}

/* Slow ticks: none comes. Who sleeps is in the kernel then, and who is preempted by a thread that wakes gets
 * there by one interrupt. */
static void sleeps_of_several_write_no_more_than_their_calls(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < ARRAY_LEN(modes); mode++) {
        const char *options[9] = {"kernel.hz", "100"};
        struct crowd x;
        memcpy(options + 2, modes[mode], sizeof(modes[mode]));
        open_processes(&x, 1, 3, options);
        for (unsigned i = 0; i < 3; i++) {
            for (unsigned k = 0; k < 6; k++) {
                work(&x, i, 300000 + 100000 * i);
                sleeps_ns(&x, i, 400000 * (i + 1));
                load(&x, i, DATA + k * K4);
            }
            sleeps_for_ever(&x, i);
        }
        uint64_t written = COUNT(&x, kpti_switches), entered = entries(&x);
        uint64_t preempted = COUNT(&x, switches_involuntary);
        feed_to_the_end(&x, 1000);
        entered = entries(&x) - entered + COUNT(&x, switches_involuntary) - preempted;
        assert_int_equal(COUNT(&x, timer_interrupts), 0);
        assert_in_range(COUNT(&x, switches_voluntary), 18 + 2, 18 + 3);
        assert_int_equal(COUNT(&x, kpti_switches) - written, writes_until_all_sleep(&x, entered));
        close_crowd(&x);
    }
}

/* A real-time thread wakes while another runs: an interrupt takes that one into the kernel. */
static void who_is_preempted_by_a_waking_thread_enters_the_kernel_once(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < ARRAY_LEN(modes); mode++) {
        struct crowd x;
        open_processes(&x, 1, 2, modes[mode]);
        call_begins(&x, 0, SYS_sched_setscheduler, 0, POLICY_FIFO, PARAM);
        put_record(&x, 0, EV_BYTES, 3, (uint64_t[3]){PARAM, 4, 10});
        call_ends(&x, 0, SYS_sched_setscheduler, 0, 0, 0);
        for (unsigned k = 0; k < 10; k++) {
            work(&x, 0, 10000);
            sleeps_ns(&x, 0, 330000);
        }
        sleeps_for_ever(&x, 0);
        work(&x, 1, 8 * MS);
        uint64_t written = COUNT(&x, kpti_switches), entered = entries(&x);
        uint64_t preempted = x.t[1]->task.nivcsw;
        feed_to_the_end(&x, 100);
        preempted = x.t[1]->task.nivcsw - preempted;
        assert_int_equal(x.t[0]->task.nvcsw, 10 + 1);
        assert_in_range(preempted, 8, 10);
        assert_int_equal(COUNT(&x, kpti_switches) - written,
                         2 * (entries(&x) - entered + preempted));
        close_crowd(&x);
    }
}

/* Two threads of a process on two cores: munmap of one interrupts the other, which is in user mode; an idle
 * core is in the kernel already. */
static void an_interrupt_from_another_core_writes_twice_unless_that_is_in_the_kernel(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < ARRAY_LEN(modes); mode++) {
        struct crowd x;
        open_machine(&x, 2, modes[mode]);
        crowd_map(sim_mm(x.sim));
        for (unsigned i = 0; i < 2; i++)
            joins(&x, 0);
        for (unsigned k = 0; k < 4; k++)
            load(&x, 0, DATA + k * K4);
        work(&x, 0, 10000);
        work(&x, 1, 10000);
        feed_to_the_end(&x, 1000);
        calls(&x, 0, SYS_munmap, DATA, K4, 0, 0);
        feed_to_the_end(&x, 1000);
        assert_int_equal(COUNT(&x, nr_tlb_remote_flush_received), 1);
        assert_int_equal(COUNT(&x, kpti_switches), 2 * (entries(&x) + 1) + 2);
        call_begins(&x, 1, SYS_nanosleep, 0, 0, 0);
        work(&x, 0, 20000); /* goes on: the other is asleep, its core idle, inside the kernel */
        feed_to_the_end(&x, 1000);
        work(&x, 0, 20000);
        calls(&x, 0, SYS_munmap, DATA + K4, K4, 0, 0);
        feed_to_the_end(&x, 1000);
        assert_null(x.sim->cpu[1].runs);
        assert_int_equal(COUNT(&x, kpti_switches), 2 * (entries(&x) + 1) + 2 - 1);
        close_crowd(&x);
    }
}

/* A thread that ends does so inside the kernel: each core then made as many entries as returns. */
static void when_all_have_ended_entries_and_returns_are_equally_many(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < ARRAY_LEN(modes); mode++) {
        struct crowd x;
        open_processes(&x, 2, 4, modes[mode]);
        for (unsigned i = 0; i < 4; i++)
            work(&x, i, 3 * MS);
        feed_to_the_end(&x, 1000);
        for (unsigned i = 0; i < 4; i++) {
            sim_thread_close(x.sim, x.t[i]);
            free(x.s[i].w);
        }
        assert_int_equal(COUNT(&x, kpti_switches) % 2, 0);
        assert_int_equal(x.sim->kernel_mode, 3);
        sim_close(x.sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_writes_twice_for_each_call_fault_and_tick),
        cmocka_unit_test(without_isolation_nothing_is_written),
        cmocka_unit_test(a_switch_at_a_tick_writes_no_more_than_the_tick_but_the_space),
        cmocka_unit_test(sleeps_of_several_write_no_more_than_their_calls),
        cmocka_unit_test(who_is_preempted_by_a_waking_thread_enters_the_kernel_once),
        cmocka_unit_test(an_interrupt_from_another_core_writes_twice_unless_that_is_in_the_kernel),
        cmocka_unit_test(when_all_have_ended_entries_and_returns_are_equally_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
