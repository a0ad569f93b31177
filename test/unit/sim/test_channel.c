/* test_channel.c: who reads a pipe waits for who writes it, in whatever order their words come. */
#include "crowd_fixture.h"

#include "base/rng.h"

#define ROOM 65536u

/* Both threads' streams are whole from the beginning; the host's kernel never let anybody sleep. */
static void begins_at(struct crowd *x, unsigned who, uint64_t nr, uint64_t bytes, uint64_t pipe,
                      uint64_t what, uint64_t ns)
{
    put_record(x, who, EV_CHANNEL, CHANNEL_WORDS, (uint64_t[5]){what, 7, pipe, ROOM, bytes});
    put_record(x, who, EV_SYSCALL, 8, (uint64_t[8]){nr, 3, 0, bytes, 0, 0, 0, ns});
}

static void reads(struct crowd *x, unsigned who, uint64_t pipe, uint64_t bytes)
{
    begins_at(x, who, SYS_read, 1 << 20, pipe, 0, 0);
    call_ends(x, who, SYS_read, bytes, 0, 0);
}

static void writes(struct crowd *x, unsigned who, uint64_t pipe, uint64_t bytes)
{
    begins_at(x, who, SYS_write, bytes, pipe, CHANNEL_WRITES, 0);
    call_ends(x, who, SYS_write, bytes, 0, 0);
}

/* feed feeds words of whom the caller names first, among those whose turn it may be, until nobody has any. */
static void feed(struct crowd *x, struct rng *rng)
{
    enum sim_stop stop;

    for (unsigned idle = 0; next_of(x) >= 0;) {
        unsigned i = (unsigned)rng_below(rng, x->threads);
        struct stream *s = &x->s[i];
        bool last = i == (unsigned)next_of(x);
        if (s->at == s->n || (!last && sim_thread_waits(x->t[i])))
            continue;
        size_t done = sim_feed(x->sim, x->t[i], s->w + s->at, s->n - s->at, true, &stop);
        s->at += done;
        idle = done > 0 ? 0 : idle + 1;
        assert_true(idle < 1000);
        assert_int_equal(sched_audit(&x->sim->sched), 0);
    }
}

#define ROUNDS 50u

static void ping_pong(struct crowd *x, unsigned cores)
{
    open_crowd(x, cores, 2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        work(x, 0, 1000);
        writes(x, 0, 1, 1);
        reads(x, 0, 2, 1);
        reads(x, 1, 1, 1);
        work(x, 1, 1000);
        writes(x, 1, 2, 1);
    }
}

/* Each waits for the other once a round; the first question may be there before it is waited for. */
static void every_round_of_a_ping_pong_is_two_sleeps_whoever_is_read_first(void **state)
{
    (void)state;
    for (unsigned cores = 1; cores <= 2; cores++) {
        struct stat_set first = {0};
        for (unsigned seed = 1; seed <= 20; seed++) {
            struct crowd x;
            struct rng rng = {seed};
            ping_pong(&x, cores);
            feed(&x, &rng);
            assert_in_range(COUNT(&x, switches_voluntary), 2 * ROUNDS - 1, 2 * ROUNDS);
            assert_int_equal(COUNT(&x, sched_outside), 0);
            if (seed == 1)
                first = x.sim->stats;
            assert_memory_equal(&first, &x.sim->stats, sizeof(first));
            close_crowd(&x);
        }
    }
}

static void an_answer_is_read_after_the_work_that_made_it(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 2);
    reads(&x, 0, 1, 8);
    work(&x, 0, 1000);
    work(&x, 1, 5 * MS);
    writes(&x, 1, 1, 8);
    feed_to_the_end(&x, 1000);
    assert_int_equal(sim_thread_time(x.t[0]) / 1000, 5 * MS + 1000);
    assert_int_equal(COUNT(&x, switches_voluntary), 1);
    close_crowd(&x);
}

static void who_reads_more_than_was_written_so_far_waits_for_the_rest(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 2);
    writes(&x, 1, 1, 8);
    work(&x, 1, 3 * MS);
    writes(&x, 1, 1, 8);
    work(&x, 0, MS);
    reads(&x, 0, 1, 16); /* on the host both were there already */
    work(&x, 0, 500);
    feed_to_the_end(&x, 1000);
    assert_int_equal(sim_thread_time(x.t[0]) / 1000, 3 * MS + 500);
    close_crowd(&x);
}

static void who_writes_into_a_full_pipe_waits_for_room(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 2, 2);
    for (unsigned i = 0; i < 20; i++)
        writes(&x, 0, 1, 4096); /* 16 fit */
    work(&x, 1, 2 * MS);
    for (unsigned i = 0; i < 20; i++)
        reads(&x, 1, 1, 4096);
    feed_to_the_end(&x, 1000);
    assert_int_equal(sim_thread_time(x.t[0]) / 1000, 2 * MS);
    assert_in_range(COUNT(&x, switches_voluntary), 1, 4);
    close_crowd(&x);
}

static void a_long_write_goes_on_as_often_as_there_is_room(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 2);
    writes(&x, 0, 1, 4 * ROOM);
    for (unsigned i = 0; i < 4; i++) {
        reads(&x, 1, 1, ROOM);
        work(&x, 1, 10000);
    }
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, sched_outside), 0);
    assert_in_range(COUNT(&x, switches_voluntary), 4, 8);
    close_crowd(&x);
}

static void bytes_from_outside_are_waited_for_once(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 2);
    for (unsigned i = 0; i < 5; i++)
        reads(&x, 0, 1, 100);
    work(&x, 1, MS);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, sched_outside), 1);
    assert_in_range(COUNT(&x, switches_voluntary), 0, 1);
    close_crowd(&x);
}

static void a_pipe_that_is_not_waited_at_changes_nothing(void **state)
{
    (void)state;
    struct crowd x;
    open_crowd(&x, 1, 1);
    begins_at(&x, 0, SYS_read, 8, 1, CHANNEL_NONBLOCK, 0);
    call_ends(&x, 0, SYS_read, (uint64_t)-11, 0, 0);
    begins_at(&x, 0, SYS_read, 8, 1, 0, 0);
    feed_to_the_end(&x, 1000); /* asleep, and then a signal comes */
    assert_null(x.sim->cpu[0].runs);
    call_ends(&x, 0, SYS_read, (uint64_t)-4, 0, 1);
    work(&x, 0, 500);
    feed_to_the_end(&x, 1000);
    assert_int_equal(COUNT(&x, sched_outside), 0);
    assert_int_equal(COUNT(&x, switches_voluntary), 1);
    close_crowd(&x);
}

/* The writer says by its calls how far it has come on the host: it closes at 900, the reader sees it at 1000. */
static void the_end_of_a_file_is_seen_after_the_writer_has_closed(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        struct crowd x;
        open_crowd(&x, 2, 2);
        begins_at(&x, 1, SYS_write, 8, 1, CHANNEL_WRITES, 10);
        call_ends(&x, 1, SYS_write, 8, 5, 0);
        if (first == 1)
            feed_to_the_end(&x, 1000);
        reads(&x, 0, 1, 8);
        begins_at(&x, 0, SYS_read, 4096, 1, 0, 100);
        call_ends(&x, 0, SYS_read, 0, 900, 1);
        work(&x, 0, 500);
        work(&x, 1, 4 * MS);
        put_record(&x, 1, EV_SYSCALL, 8, (uint64_t[8]){SYS_close, 3, 0, 0, 0, 0, 0, 900});
        call_ends(&x, 1, SYS_close, 0, 0, 0);
        work(&x, 1, 1000);
        put_record(&x, 1, EV_SYSCALL, 8, (uint64_t[8]){SYS_getpid, 0, 0, 0, 0, 0, 0, 1100});
        feed_to_the_end(&x, 1000);
        assert_in_range(sim_thread_time(x.t[0]) / 1000, 4 * MS + 1500, 4 * MS + 1600);
        assert_int_equal(COUNT(&x, sched_outside), 0);
        close_crowd(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_round_of_a_ping_pong_is_two_sleeps_whoever_is_read_first),
        cmocka_unit_test(an_answer_is_read_after_the_work_that_made_it),
        cmocka_unit_test(who_reads_more_than_was_written_so_far_waits_for_the_rest),
        cmocka_unit_test(who_writes_into_a_full_pipe_waits_for_room),
        cmocka_unit_test(a_long_write_goes_on_as_often_as_there_is_room),
        cmocka_unit_test(bytes_from_outside_are_waited_for_once),
        cmocka_unit_test(a_pipe_that_is_not_waited_at_changes_nothing),
        cmocka_unit_test(the_end_of_a_file_is_seen_after_the_writer_has_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
