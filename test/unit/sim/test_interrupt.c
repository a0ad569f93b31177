/* test_interrupt.c: a core that is interrupted for another's invalidation: what it does is counted on it, and its
 * time is lost by the thread that ran there (Linux arch/x86/mm/tlb.c: flush_tlb_func runs, and counts, on the core
 * that was called). What the one that asked waits for is a closed form of the costs. */
#include "crowd_fixture.h"

static const char *const costs[] = {
    "cost.ipi",    "1000", "cost.ipi.more",    "300", "cost.ipi.receive", "600",
    "cost.invlpg", "70",   "kernel.footprint", "on",  "kernel.hz",        "100",
    NULL};

/* One process, a thread on each core, each with the same pages in its TLB. */
static void open_cores(struct crowd *x, unsigned cores, const char *const *options)
{
    open_machine(x, cores, options);
    crowd_map(sim_mm(x->sim));
    for (unsigned i = 0; i < cores; i++)
        joins(x, 0);
    for (unsigned i = 0; i < cores; i++) {
        for (unsigned page = 0; page < 8; page++)
            load(x, i, DATA + page * K4);
        work(x, i, 10000);
    }
    feed_to_the_end(x, 1000);
    for (unsigned i = 0; i < cores; i++)
        assert_ptr_equal(x->sim->cpu[x->t[i]->core_id].runs, x->t[i]);
}

/* flush lets thread 0 ask for so many pages to be forgotten; returns the cycles that it waits. */
static uint64_t flush(struct crowd *x, unsigned pages)
{
    arch_put(&x->sim->outbox, (struct arch_msg){.kind = ARCH_FLUSH_RANGE,
                                                .n = PAGE_SHIFT,
                                                .mm = mm_id(sim_mm(x->sim)),
                                                .a = DATA,
                                                .b = DATA + pages * K4});
    return sim_drain(x->sim, x->t[0]);
}

static void who_asks_waits_for_the_slowest_and_each_further_core_costs_more(void **state)
{
    (void)state;
    for (unsigned cores = 1; cores <= 4; cores++) {
        struct crowd x;
        open_cores(&x, cores, costs);
        uint64_t sent = cores == 1 ? 0 : 1000 + 300 * (cores - 2);
        for (unsigned pages = 1; pages <= 8;
             pages *= 2) /* the others do theirs while it does its own */
            assert_int_equal(flush(&x, pages), sent + 70 * pages);
        close_crowd(&x);
    }
}

/* share is what a thread, and the core it runs on, were counted for. */
#define SHARES(x, i, id, thread, on_core)                                                          \
    do {                                                                                           \
        account((x)->sim, (x)->sim->current);                                                      \
        assert_int_equal(STAT(&(x)->t[i]->sum->stats, id), thread);                                \
        assert_int_equal(STAT(&(x)->sim->core_stats[(x)->t[i]->core_id], id), on_core);            \
    } while (0)

static void what_a_core_is_interrupted_for_is_its_own_and_of_the_thread_there(void **state)
{
    (void)state;
    struct crowd x;
    open_cores(&x, 3, costs);
    proc_switch(x.sim, x.t[0]);
    uint64_t entry = STAT(&x.t[0]->sum->stats, kernel_cycles_entry);
    uint64_t walks = STAT(&x.t[0]->sum->stats, k_itlb_walk);
    flush(&x, 5);
    SHARES(&x, 0, nr_tlb_remote_flush, 1, 1);
    SHARES(&x, 0, nr_tlb_local_flush_one, 5, 5);
    SHARES(&x, 0, nr_tlb_remote_flush_received, 0, 0);
    SHARES(&x, 0, tlb_flush_page, 5, 5);
    SHARES(&x, 0, kernel_cycles_ipi, 0, 0);
    assert_int_equal(STAT(&x.t[0]->sum->stats, kernel_cycles_entry), entry);
    assert_int_equal(STAT(&x.t[0]->sum->stats, k_itlb_walk), walks);
    for (unsigned i = 1; i < 3; i++) {
        SHARES(&x, i, nr_tlb_remote_flush, 0, 0);
        SHARES(&x, i, nr_tlb_remote_flush_received, 1, 1);
        SHARES(&x, i, tlb_flush_page, 5, 5);
        SHARES(&x, i, kernel_cycles_ipi, 600 + 5 * 70, 600 + 5 * 70);
    }
    assert_int_equal(account_audit(x.sim), 0);
    close_crowd(&x);
}

/* The clock that decides who waits for a lock is a thread's own cycles; so is the time it ran. */
static void the_time_is_lost_by_who_was_interrupted_not_by_who_asked(void **state)
{
    (void)state;
    struct crowd x;
    open_cores(&x, 2, costs);
    uint64_t was[2] = {x.t[0]->clock, x.t[1]->clock};
    proc_switch(x.sim, x.t[0]);
    uint64_t ran[2] = {x.t[0]->ran_ps, x.t[1]->ran_ps}, busy = x.sim->cpu[1].busy_ps;
    lock_feed_begin(x.sim, x.t[0]);
    flush(&x, 5);
    lock_feed_end(x.sim, x.t[0]);
    clock_look(x.sim);
    assert_int_equal(x.t[0]->ran_ps, ran[0]);
    assert_true(x.t[1]->ran_ps >= ran[1] + (600 + 5 * 70) * 1000); /* a cycle is 1,000 ps */
    assert_int_equal(x.sim->cpu[1].busy_ps - busy, x.t[1]->ran_ps - ran[1]);
    assert_int_equal(x.t[0]->clock, was[0]); /* what it waits is charged by its caller */
    assert_true(x.t[1]->clock >= was[1] + 600 + 5 * 70);
    close_crowd(&x);
}

/* A lazy core is spared, but not when tables are freed: the idle task is interrupted, which loses nothing. */
static void an_idle_core_counts_what_it_does_and_nobody_pays(void **state)
{
    (void)state;
    struct crowd x;
    open_cores(&x, 2, costs);
    call_begins(&x, 1, SYS_nanosleep, 0, 0, 0);
    work(&x, 0, 20000); /* goes on: the other is asleep */
    feed_to_the_end(&x, 1000);
    work(&x, 0, 20000);
    feed_to_the_end(&x, 1000);
    unsigned idle = x.t[1]->core_id;
    assert_null(x.sim->cpu[idle].runs);
    arch_put(&x.sim->outbox, (struct arch_msg){.kind = ARCH_FLUSH_RANGE,
                                               .n = PAGE_SHIFT,
                                               .tables = true,
                                               .mm = mm_id(sim_mm(x.sim)),
                                               .a = DATA,
                                               .b = DATA + K4});
    sim_drain(x.sim, x.t[0]);
    SHARES(&x, 1, nr_tlb_remote_flush_received, 0, 1);
    SHARES(&x, 0, nr_tlb_remote_flush_received, 0, 0);
    assert_int_equal(STAT(&x.sim->others, nr_tlb_remote_flush_received), 1);
    assert_int_equal(STAT(&x.sim->coreless, nr_tlb_remote_flush_received), 0);
    assert_int_equal(COUNT(&x, kernel_cycles_ipi), 0);
    assert_int_equal(account_audit(x.sim), 0);
    close_crowd(&x);
}

/* The handler begins on the stack of the task it interrupts: once all is warm, its page is the only one that is
 * walked for if it alone was forgotten. */
static void the_interrupted_task_gives_its_stack(void **state)
{
    (void)state;
    static const char *const layouts[] = {"own", "task"};
    for (unsigned i = 0; i < 2; i++) {
        struct crowd x;
        struct kern_touch t[KERN_TOUCHES_MAX];
        const char *options[ARRAY_LEN(costs) + 2] = {"kernel.irq_stack", layouts[i]};
        memcpy(options + 2, costs, sizeof(costs));
        open_cores(&x, 2, options);
        kern_entry_data(x.sim->kern, ENTRY_SYSCALL, 0, x.t[1]->tid,
                        t); /* begins at the top of its stack */
        for (unsigned round = 0; round < 3; round++) {
            flush(&x, 1);
            account(x.sim, NULL);
            uint64_t before = STAT(&x.t[1]->sum->stats, k_dtlb_store_walk);
            if (round == 2)
                mmu_invlpg(x.t[1]->core, t[0].page);
            flush(&x, 1);
            account(x.sim, NULL);
            if (round > 0)
                assert_int_equal(STAT(&x.t[1]->sum->stats, k_dtlb_store_walk) - before, round - 1);
        }
        close_crowd(&x);
    }
}

/* Once nothing of the kernel is in the TLBs a switch walks for each page of its text, by the table of
 * kern/entry_text.def at most 13, here in pages of 2 MiB; without a footprint for none. */
static void a_switch_touches_the_schedulers_text(void **state)
{
    (void)state;
    static const char *const off[] = {"kernel.footprint", "off", NULL};
    for (unsigned i = 0; i < 2; i++) {
        struct crowd x;
        open_cores(&x, 1, i == 0 ? costs : off);
        mmu_invpcid(x.t[0]->core, 2, 0, va(0));
        uint64_t text = COUNT(&x, k_itlb_walk), data = COUNT(&x, k_dtlb_store_walk);
        uint64_t cycles = COUNT(&x, kernel_cycles_switch);
        entry_switch(x.sim, x.t[0]);
        assert_int_equal(COUNT(&x, k_itlb_walk) > text, i == 0);
        assert_int_equal(COUNT(&x, k_dtlb_store_walk) > data, i == 0);
        cycles = COUNT(&x, kernel_cycles_switch) - cycles;
        assert_true(i == 0 ? cycles > x.sim->conf.cost_switch : cycles == x.sim->conf.cost_switch);
        close_crowd(&x);
    }
}

/* A read from swap within a fault within a system call, of 2000 cycles, on a stack of one page; the timer is due
 * after `due` cycles of it. Depths as measured (kern/stack.c): 488 + 1256 + 2000, an interrupt 280, its handler 472. */
static void swap_in_call(struct crowd *x, uint64_t due)
{
    struct sim *s = x->sim;
    struct sim_thread *t = x->t[0];

    entry_begin(s, t, ENTRY_SYSCALL, SYS_read);
    entry_begin(s, t, ENTRY_FAULT, 0);
    clock_look(s);
    s->cpu[t->core_id].tick_ps = s->cpu[t->core_id].busy_ps + due * 1000; /* 1 GHz */
    arch_step(&s->outbox, STEP_SWAP_IN, 1);
    s->payer = PAYER_CALL;
    assert_int_equal(sim_drain(s, t), 2000);
    s->payer = PAYER_NOBODY;
    entry_end(s, t);
    entry_end(s, t);
}

static void a_tick_that_is_due_inside_the_kernel_comes_on_top_of_its_stack(void **state)
{
    (void)state;
    static const struct {
        const char *irq;
        uint64_t due;
        uint32_t deepest, overwrites;
    } row[] = {
        {"task", 5000, 488 + 1256 + 2000, 0}, /* after it: between two blocks, as ever */
        {"task", 1000, 488 + 1256 + 2000 + 280 + 472, 1}, /* what CONFIG_4KSTACKS could not do */
        {"own", 1000, 488 + 1256 + 2000 + 280, 0},        /* and had interrupt stacks for */
        {"one_page", 1000, 488 + 1256 + 2000 + 280, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct crowd x;
        const char *options[] = {"kernel.irq_stack",
                                 row[i].irq,
                                 "kernel.stack",
                                 "one_page",
                                 "cost.swap_in",
                                 "2000",
                                 "kernel.hz",
                                 "100",
                                 "kernel.footprint",
                                 "on",
                                 NULL};
        open_cores(&x, 1, options);
        uint64_t ticks = COUNT(&x, timer_interrupts), period = UINT64_C(10000000000);
        swap_in_call(&x, row[i].due);
        assert_int_equal(COUNT(&x, stack_deepest), row[i].deepest);
        assert_int_equal(COUNT(&x, stack_overwrites), row[i].overwrites);
        assert_int_equal(COUNT(&x, timer_interrupts) - ticks, i > 0);
        const struct sim_cpu *c = &x.sim->cpu[0];
        assert_true(c->tick_ps > c->busy_ps && c->tick_ps <= c->busy_ps + period + 5000000);
        struct kern_touch t[KERN_TOUCHES_MAX], u[KERN_TOUCHES_MAX]; /* the stack is empty again */
        kern_entry_data(x.sim->kern, ENTRY_SYSCALL, 0, x.t[0]->tid, t);
        uint32_t bytes = kern_enter(x.sim->kern, ENTRY_SYSCALL, x.t[0]->tid);
        kern_leave(x.sim->kern, x.t[0]->tid, bytes);
        kern_entry_data(x.sim->kern, ENTRY_SYSCALL, 0, x.t[0]->tid, u);
        assert_int_equal(t[0].page.v + t[0].lines, u[0].page.v + u[0].lines);
        close_crowd(&x);
    }
}

static void a_slice_of_a_picosecond_is_kept(void **state)
{
    (void)state;
    struct crowd x;
    uint64_t n, lost;
    open_cores(&x, 1, costs);
    sim_timeline(x.sim);
    timeline_ran(x.sim, x.t[0], 0, 5000, 5000);
    timeline_ran(x.sim, x.t[0], 0, 5000, 5001);
    const struct sim_moment *m = sim_moments(x.sim, &n, &lost);
    assert_int_equal(n, 1);
    assert_int_equal(m[0].for_ps, 1);
    assert_int_equal(m[0].at_ps, 5000);
    close_crowd(&x);
}

static void the_timeline_shows_it_on_the_track_of_the_core(void **state)
{
    (void)state;
    struct crowd x;
    uint64_t n, lost, received = 0;
    open_cores(&x, 3, costs);
    sim_timeline(x.sim);
    flush(&x, 1);
    const struct sim_moment *m = sim_moments(x.sim, &n, &lost);
    for (uint64_t i = 0; i < n; i++)
        if (m[i].kind == MOMENT_RECEIVED) {
            assert_ptr_not_equal(x.sim->cpu[m[i].core].runs, x.t[0]);
            assert_int_equal(m[i].tid, x.sim->cpu[m[i].core].runs->tid);
            received |= BIT(m[i].core);
        }
    assert_int_equal(__builtin_popcountll(received), 2);
    close_crowd(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_waits_for_the_slowest_and_each_further_core_costs_more),
        cmocka_unit_test(what_a_core_is_interrupted_for_is_its_own_and_of_the_thread_there),
        cmocka_unit_test(the_time_is_lost_by_who_was_interrupted_not_by_who_asked),
        cmocka_unit_test(an_idle_core_counts_what_it_does_and_nobody_pays),
        cmocka_unit_test(the_interrupted_task_gives_its_stack),
        cmocka_unit_test(a_switch_touches_the_schedulers_text),
        cmocka_unit_test(a_tick_that_is_due_inside_the_kernel_comes_on_top_of_its_stack),
        cmocka_unit_test(a_slice_of_a_picosecond_is_kept),
        cmocka_unit_test(the_timeline_shows_it_on_the_track_of_the_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
