/* test_wait.c: a parent knows of its child in the model when the child has come so far there. */
#include "crowd_fixture.h"

#define PARENT 1000u
#define CHILD  1001u

static void open_parent(struct crowd *x, unsigned cores)
{
    open_machine(x, cores, NULL);
    sim_follow_tree(x->sim);
    crowd_map(sim_mm(x->sim));
    joins(x, PARENT);
    feed_to_the_end(x, 1000);
}

/* The parent makes the child; the host's parent did not sleep. */
static void makes(struct crowd *x, uint64_t nr)
{
    put_record(x, 0, EV_EPOCH, 1, (uint64_t[1]){1});
    call_begins(x, 0, nr, 0, 0, 0);
    call_ends(x, 0, nr, CHILD, 0, 0);
}

static void begins(struct crowd *x)
{
    x->t[x->threads++] = sim_thread_open(x->sim);
    put_record(x, 1, EV_FORK, FORK_WORDS,
               (uint64_t[FORK_WORDS]){[FORK_PID] = CHILD,
                                      [FORK_TID] = CHILD,
                                      [FORK_PPID] = PARENT,
                                      [FORK_PTID] = 100,
                                      [FORK_CALL] = 1});
}

/* feed_unblocked feeds all but a thread that waits for another. */
static void feed_unblocked(struct crowd *x)
{
    enum sim_stop stop;

    for (int i; (i = next_of(x)) >= 0 && !sim_thread_blocked(x->t[i]);)
        x->s[i].at +=
            sim_feed(x->sim, x->t[i], x->s[i].w + x->s[i].at, x->s[i].n - x->s[i].at, true, &stop);
}

/* child_ends closes the child's stream, as the reader does when the process is dead. */
static void child_ends(struct crowd *x)
{
    sim_thread_close(x->sim, x->t[1]);
    free(x->s[1].w);
    x->s[1] = (struct stream){0};
    x->threads = 1;
}

static void waits(struct crowd *x)
{
    call_begins(x, 0, SYS_wait4, (uint64_t)-1, 0, 0);
    call_ends(x, 0, SYS_wait4, CHILD, 0, 0);
    work(x, 0, 500);
}

static void wait4_returns_a_child_after_its_last_word_whoever_is_read_first(void **state)
{
    (void)state;
    for (unsigned cores = 1; cores <= 2; cores++)
        for (unsigned first = 0; first < 2; first++) {
            struct crowd x;
            open_parent(&x, cores);
            makes(&x, SYS_fork);
            waits(&x);
            if (first)
                feed_unblocked(&x); /* all of the parent before the child's first word */
            begins(&x);
            work(&x, 1, 5 * MS);
            feed_unblocked(&x);
            assert_true(sim_thread_blocked(x.t[0]));
            child_ends(&x);
            feed_to_the_end(&x, 1000);
            assert_in_range(sim_thread_time(x.t[0]) / 1000, 5 * MS,
                            5 * MS + 100000);                   /* ticks, calls, cold caches */
            assert_int_equal(COUNT(&x, switches_voluntary), 2); /* it, and who ended */
            close_crowd(&x);
        }
}

static void a_child_that_has_ended_is_not_waited_for(void **state)
{
    (void)state;
    struct crowd x;
    open_parent(&x, 2);
    makes(&x, SYS_fork);
    work(&x, 0, 5 * MS);
    feed_unblocked(&x);
    begins(&x);
    work(&x, 1, MS);
    feed_unblocked(&x);
    child_ends(&x);
    uint64_t before = COUNT(&x, switches_voluntary);
    waits(&x);
    call_begins(&x, 0, SYS_wait4, (uint64_t)-1, 0, 0); /* nobody is left: ECHILD */
    call_ends(&x, 0, SYS_wait4, (uint64_t)-10, 0, 0);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, switches_voluntary), before);
    close_crowd(&x);
}

static void a_child_of_whom_no_word_comes_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    for (unsigned vfork = 0; vfork < 2; vfork++) {
        struct crowd x;
        open_parent(&x, 1);
        makes(&x, vfork ? SYS_vfork : SYS_fork);
        waits(&x);
        feed_to_the_end(&x, 1000); /* asserts that each feed brings something about */
        assert_int_equal(x.s[0].at, x.s[0].n);
        close_crowd(&x);
    }
}

static void a_parent_stands_in_vfork_until_its_child_has_ended(void **state)
{
    (void)state;
    for (unsigned cores = 1; cores <= 2; cores++) {
        struct crowd x;
        open_parent(&x, cores);
        makes(&x, SYS_vfork);
        work(&x, 0, 500);
        feed_unblocked(&x);
        assert_true(sim_thread_blocked(x.t[0]));
        begins(&x);
        work(&x, 1, 3 * MS);
        feed_unblocked(&x);
        assert_true(sim_thread_blocked(x.t[0]));
        child_ends(&x);
        feed_to_the_end(&x, 1000);
        assert_in_range(sim_thread_time(x.t[0]) / 1000, 3 * MS + 500, 3 * MS + 20500);
        close_crowd(&x);
    }
}

static void a_child_is_expected_until_its_first_word(void **state)
{
    (void)state;
    struct crowd x;
    uint32_t pid;
    open_parent(&x, 2);
    assert_int_equal(sim_expects(x.sim, &pid), 0);
    makes(&x, SYS_fork);
    work(&x, 0, MS);
    feed_unblocked(&x);
    assert_int_equal(sim_expects(x.sim, &pid), 1);
    assert_int_equal(pid, CHILD);
    begins(&x);
    assert_true(sim_thread_new(x.t[1]));
    feed_unblocked(&x);
    assert_false(sim_thread_new(x.t[1]));
    assert_int_equal(sim_expects(x.sim, &pid), 0);
    close_crowd(&x);
}

static void a_thread_is_expected_until_its_first_word_or_was_there_before(void **state)
{
    (void)state;
    for (unsigned early = 0; early < 2; early++) {
        struct crowd x;
        uint32_t pid;
        open_parent(&x, 2);
        call_begins(&x, 0, SYS_clone, 0x3d0f00, 0, 0);
        feed_unblocked(&x);
        if (early) {
            joins(&x, PARENT);
            feed_unblocked(&x);
        }
        call_ends(&x, 0, SYS_clone, 101, 0, 0);
        feed_unblocked(&x);
        assert_int_equal(sim_expects(x.sim, &pid), !early);
        if (!early)
            joins(&x, PARENT);
        feed_unblocked(&x);
        assert_int_equal(sim_expects(x.sim, &pid), 0);
        close_crowd(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wait4_returns_a_child_after_its_last_word_whoever_is_read_first),
        cmocka_unit_test(a_child_that_has_ended_is_not_waited_for),
        cmocka_unit_test(a_child_of_whom_no_word_comes_is_not_waited_for_for_ever),
        cmocka_unit_test(a_parent_stands_in_vfork_until_its_child_has_ended),
        cmocka_unit_test(a_child_is_expected_until_its_first_word),
        cmocka_unit_test(a_thread_is_expected_until_its_first_word_or_was_there_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
