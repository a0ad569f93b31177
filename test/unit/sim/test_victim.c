/* test_victim.c: a process that the modelled OOM killer chose: with kernel.oom_kill_guest it is dead from that
 * moment on, whatever its stream still says, and the others go on. */
#include "crowd_fixture.h"

#define EATER 1001u
#define MUCH  UINT64_C(0x20000000) /* where the eater has more than there is */

static const char *const small_dies[] = {
    "phys.size", "64M", "kernel.oom_kill_guest", "on", "thp.enabled", "never", NULL};
static const char *const small_lives[] = {"phys.size", "64M", "thp.enabled", "never", NULL};

/* Two processes; the second writes to more pages than the machine has. */
static void open_hungry(struct crowd *x, const char *const *options)
{
    open_machine(x, 1, options);
    sim_follow_tree(x->sim);
    joins(x, 1000);
    joins(x, EATER);
    feed_to_the_end(x, 1000);
    for (struct sim_proc *p = x->sim->procs; p; p = p->next) {
        struct mm_map m = {.addr = va(MUCH),
                           .len = MIB(128),
                           .prot = PROT_READ | PROT_WRITE,
                           .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                           .forced = true};
        struct mm_task task = *mm_task(p->mm);
        task.pid = task.tgid = p->pid; /* as exec names it */
        mm_set_task(p->mm, &task);
        crowd_map(p->mm);
        assert_int_equal(mm_mmap(p->mm, &m), MUCH);
    }
    x->sim->outbox.n = 0;
}

static void eats(struct crowd *x, unsigned who, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++) {
        put(x, who, event_block(x->load));
        put(x, who, event_access(MUCH + i * K4, 0, 3, true));
    }
}

static const struct sim_proc *proc_of(const struct crowd *x, uint32_t pid)
{
    const struct sim_proc *p = x->sim->procs;

    while (p->pid != pid)
        p = p->next;
    return p;
}

static void the_victim_is_named_once_and_runs_no_more(void **state)
{
    (void)state;
    struct crowd x;
    uint32_t pid = 0;
    open_hungry(&x, small_dies);
    eats(&x, 1, MIB(128) / K4);
    feed_to_the_end(&x, 1000);
    uint64_t ran = x.t[1]->instructions;
    assert_true(ran < MIB(64) / K4); /* it did not live to see all memory used twice */
    assert_int_equal(COUNT(&x, oom_kill), 1);
    assert_true(sim_next_victim(x.sim, &pid));
    assert_int_equal(pid, EATER);
    assert_false(sim_next_victim(x.sim, &pid));
    assert_int_equal(proc_of(&x, EATER)->exit_signal, 9);
    work(&x, 1, 10000);
    put_record(&x, 1, EV_EPOCH, 1, (uint64_t[1]){5});
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[1]->instructions, ran);
    assert_int_equal(sim_thread_epoch(x.t[1]), 5); /* nobody waits for it */
    assert_ptr_not_equal(x.sim->cpu[0].runs, x.t[1]);
    close_crowd(&x);
}

static void the_others_go_on_with_the_memory_it_had(void **state)
{
    (void)state;
    struct crowd x;
    uint32_t pid;
    open_hungry(&x, small_dies);
    eats(&x, 1, MIB(128) / K4);
    feed_to_the_end(&x, 1000);
    uint64_t before = x.t[0]->instructions;
    eats(&x, 0, 4000);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[0]->instructions, before + 4000);
    assert_int_equal(COUNT(&x, oom_kill), 1);
    assert_int_equal(proc_of(&x, 1000)->killed, KILLED_NOT);
    assert_true(sim_next_victim(x.sim, &pid) && pid == EATER);
    assert_int_equal(sim_audit(x.sim), 0);
    close_crowd(&x);
}

/* A stream belongs to the first process until its first word is read: that one's death is not its own. */
static void a_process_that_begins_after_the_first_one_died_lives(void **state)
{
    (void)state;
    struct crowd x;
    uint32_t pid;
    open_hungry(&x, small_dies);
    eats(&x, 0, MIB(128) / K4); /* the first process */
    feed_to_the_end(&x, 1000);
    assert_true(sim_next_victim(x.sim, &pid) && pid == 1000);
    unsigned third = joins(&x, 1002);
    feed_to_the_end(&x, 1000);
    crowd_map(x.t[third]->proc->mm);
    work(&x, third, 5 * INSNS);
    feed_to_the_end(&x, 1000);
    assert_int_equal(x.t[third]->proc->pid, 1002);
    assert_int_equal(x.t[third]->instructions, 5 * INSNS);
    close_crowd(&x);
}

/* Not the one who wants the last page, but the one who has most. */
static void who_asks_for_memory_goes_on_when_another_is_chosen(void **state)
{
    (void)state;
    struct crowd x;
    uint32_t pid;
    open_hungry(&x, small_dies);
    unsigned there_are = (unsigned)phys_managed(x.sim->phys);
    eats(&x, 1, there_are * 6 / 10);
    feed_to_the_end(&x, 1000);
    eats(&x, 0, there_are / 2);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, oom_kill), 1);
    assert_true(sim_next_victim(x.sim, &pid));
    assert_int_equal(pid, EATER);
    assert_int_equal(x.t[0]->instructions, there_are / 2);
    struct sim_oom oom;
    sim_oom(x.sim, &oom);
    assert_true(oom.at_event > 0); /* where the run left a machine on which all would have lived */
    close_crowd(&x);
}

static void without_the_option_nobody_dies(void **state)
{
    (void)state;
    struct crowd x;
    uint32_t pid;
    open_hungry(&x, small_lives);
    eats(&x, 1, MIB(128) / K4);
    feed_to_the_end(&x, 1000);
    assert_true(COUNT(&x, oom_kill) >= 1);
    assert_false(sim_next_victim(x.sim, &pid));
    assert_int_equal(x.t[1]->instructions, MIB(128) / K4);
    close_crowd(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_victim_is_named_once_and_runs_no_more),
        cmocka_unit_test(the_others_go_on_with_the_memory_it_had),
        cmocka_unit_test(a_process_that_begins_after_the_first_one_died_lives),
        cmocka_unit_test(who_asks_for_memory_goes_on_when_another_is_chosen),
        cmocka_unit_test(without_the_option_nobody_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
