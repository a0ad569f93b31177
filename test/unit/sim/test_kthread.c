/* test_kthread.c: threads of the kernel's own have a core while they work: an idle one if there is, else they
 * preempt and borrow the tables that are loaded (Linux kernel/sched/core.c context_switch, arch/x86/mm/tlb.c).
 * Their work is put into the outbox by hand. */
#include "crowd_fixture.h"

#define PAGES 8u

/* loads_all: the thread looks at all its pages; returns how many walks that took. */
static uint64_t loads_all(struct crowd *x, unsigned who)
{
    uint64_t before = COUNT(x, dtlb_load_walk);

    for (unsigned i = 0; i < PAGES; i++)
        load(x, who, DATA + i * K4);
    feed_to_the_end(x, 1000);
    return COUNT(x, dtlb_load_walk) - before;
}

/* works: a kernel thread does so, in the time of thread `who`, on its memory; flushes so many pages. */
static void works(struct crowd *x, unsigned who, enum arch_task task, unsigned node, unsigned flush)
{
    struct arch_outbox *o = &x->sim->outbox;
    struct arch_worker before = arch_task_begin(o, task, node);

    arch_send(o, ARCH_KERNEL_WRITE, 0, MIB(64), 64);
    if (flush > 0)
        arch_put(o, (struct arch_msg){.kind = ARCH_FLUSH_RANGE,
                                      .n = PAGE_SHIFT,
                                      .mm = mm_id(x->t[who]->proc->mm),
                                      .a = DATA,
                                      .b = DATA + flush * K4});
    arch_task_end(o, before);
    sim_drain(x->sim, x->t[who]);
}

static void open_threads(struct crowd *x, unsigned cores, unsigned threads,
                         const char *const *options)
{
    open_machine(x, cores, options);
    crowd_map(sim_mm(x->sim));
    while (x->threads < threads)
        joins(x, 0);
    feed_to_the_end(x, 1000);
    for (unsigned i = 0; i < threads; i++)
        loads_all(x, i);
}

static void one_that_has_nothing_to_do_does_not_come(void **state)
{
    (void)state;
    struct crowd x;
    open_threads(&x, 1, 1, NULL);
    struct arch_worker before = arch_task_begin(&x.sim->outbox, TASK_KSWAPD, 0);
    arch_task_end(&x.sim->outbox, before);
    assert_int_equal(x.sim->outbox.n, 0);
    assert_int_equal(COUNT(&x, kthread_runs), 0);
    close_crowd(&x);
}

static void an_idle_core_takes_it_and_the_program_is_only_interrupted(void **state)
{
    (void)state;
    struct crowd x;
    open_threads(&x, 2, 1, NULL);
    assert_int_equal(loads_all(&x, 0), 0);
    works(&x, 0, TASK_KHUGEPAGED, 0, 1);
    assert_int_equal(COUNT(&x, kthread_runs), 1);
    assert_int_equal(COUNT(&x, kthread_preempts), 0);
    assert_int_equal(COUNT(&x, nr_tlb_remote_flush_received), 1);
    assert_int_equal(loads_all(&x, 0), 1); /* the page that went */
    assert_int_equal(COUNT(&x, kernel_cycles_ipi),
                     x.sim->conf.cost_ipi_receive + x.sim->conf.cost_invlpg);
    close_crowd(&x);
}

static void
without_an_idle_core_it_borrows_the_tables_and_gives_them_back_as_they_were(void **state)
{
    (void)state;
    struct crowd x;
    open_threads(&x, 1, 1, NULL);
    assert_int_equal(loads_all(&x, 0), 0);
    uint64_t flushes = COUNT(&x, tlb_flush_full);
    works(&x, 0, TASK_KHUGEPAGED, 0, 0);
    assert_int_equal(COUNT(&x, kthread_preempts), 1);
    assert_int_equal(COUNT(&x, tlb_flush_full), flushes); /* lazy: CR3 stays */
    assert_false(x.sim->tlb.cpu[0].is_lazy);
    assert_int_equal(loads_all(&x, 0), 0);
    close_crowd(&x);
}

/* flush_tlb_func finds the core lazy, and goes to init_mm; back in the program its ASID is behind: all goes. */
static void what_it_flushes_on_a_borrowed_core_costs_the_program_all_its_entries(void **state)
{
    (void)state;
    static const char *const pcid[][3] = {{"mmu.pcid", "on", NULL}, {"mmu.pcid", "off", NULL}};
    for (unsigned i = 0; i < 2; i++) {
        struct crowd x;
        open_threads(&x, 1, 1, pcid[i]);
        assert_int_equal(loads_all(&x, 0), 0);
        works(&x, 0, TASK_KHUGEPAGED, 0, 1);
        assert_int_equal(COUNT(&x, nr_tlb_remote_flush_received), 0);
        assert_int_equal(loads_all(&x, 0), PAGES);
        assert_int_equal(space_audit(x.sim), 0);
        close_crowd(&x);
    }
}

/* kswapd and kcompactd have the cores of their node; others any. */
static void kswapd_keeps_to_the_cores_of_its_node(void **state)
{
    (void)state;
    static const char *const nodes[] = {"numa.nodes", "2", NULL};
    struct crowd x;
    open_threads(&x, 4, 2, nodes); /* cores 0 and 1 are node 0, and busy */
    uint64_t busy = BIT(x.t[0]->core_id) | BIT(x.t[1]->core_id);
    assert_int_equal(busy, 3);
    works(&x, 0, TASK_KHUGEPAGED, 0, 1);
    works(&x, 0, TASK_KSWAPD, 1, 1);
    assert_int_equal(COUNT(&x, kthread_preempts), 0);
    works(&x, 0, TASK_KSWAPD, 0, 1);
    works(&x, 0, TASK_KCOMPACTD, 0, 1);
    assert_int_equal(COUNT(&x, kthread_preempts), 2);
    assert_int_equal(COUNT(&x, kthread_runs), 4);
    assert_int_equal(space_audit(x.sim), 0);
    close_crowd(&x);
}

/* With isolation a core whose thread is in user mode is entered and left once, one inside the kernel not. */
static void a_preempted_core_is_entered_once(void **state)
{
    (void)state;
    static const char *const on[] = {"kernel.kpti", "on", "kernel.footprint", "on", NULL};
    struct crowd x;
    open_threads(&x, 1, 1, on);
    uint64_t written = COUNT(&x, kpti_switches);
    works(&x, 0, TASK_FLUSHER, 0, 0);
    assert_int_equal(COUNT(&x, kpti_switches) - written, 2);
    entry_kernel_mode(x.sim, 0);
    works(&x, 0, TASK_FLUSHER, 0, 0);
    assert_int_equal(COUNT(&x, kpti_switches) - written, 3);
    entry_user_mode(x.sim, 0);
    assert_int_equal(account_audit(x.sim), 0);
    close_crowd(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_has_nothing_to_do_does_not_come),
        cmocka_unit_test(an_idle_core_takes_it_and_the_program_is_only_interrupted),
        cmocka_unit_test(
            without_an_idle_core_it_borrows_the_tables_and_gives_them_back_as_they_were),
        cmocka_unit_test(what_it_flushes_on_a_borrowed_core_costs_the_program_all_its_entries),
        cmocka_unit_test(kswapd_keeps_to_the_cores_of_its_node),
        cmocka_unit_test(a_preempted_core_is_entered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
