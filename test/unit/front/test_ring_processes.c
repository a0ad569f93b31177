/* links: front event base */
/* The region under stress: real processes with the plugin's own producer code, which fork, add blocks of
 * the same code, make address-space calls and exit, at random and with random delays; some are killed
 * anywhere. The front end's own reader reads meanwhile. Nothing that was published may be lost or torn, no
 * slot may stay behind, and a producer outlives its reader by a moment only. */
#include "fake_qemu.h"
#include "fake_sim.h"
#include "front/front_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cmocka.h>

#define LOAD_8    (3u << 4 | 1u << 16)
#define PROCESSES 120u /* in a play */
#define STEPS     3000u
#define CODE      400u /* places that blocks begin at */

/* What all processes share beside the region. */
struct tally {
    _Atomic uint32_t forked;   /* processes, the first too */
    _Atomic uint64_t accesses; /* of those that came to their end */
    _Atomic uint32_t ended;    /* how many did */
};

static struct region shared;
static struct tally *tally;

static uint64_t rnd(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

static void stumble(uint64_t *x, uint64_t one_in)
{
    if (rnd(x) % one_in == 0)
        nanosleep(&(struct timespec){0, (long)(rnd(x) % 300000)}, NULL);
}

/* -- a producer ------------------------------------------------------------------------------------ */

/* run_block translates a block somewhere, as QEMU does again and again, and runs it. */
static void run_block(uint64_t *x, uint64_t *number)
{
    struct qemu_plugin_tb tb = {.n = 4};
    uint64_t pc = 0x1000 + 16 * (rnd(x) % CODE);

    for (unsigned i = 0; i < 4; i++)
        tb.insn[i] = (struct qemu_plugin_insn){.pc = pc + i, .code = {0x90}, .size = 1};
    on_translate(0, &tb);
    tb.exec_cb(0, tb.exec_udata);
    for (unsigned i = 0; i < 4; i++)
        tb.insn[i].mem_cb[0](0, LOAD_8, (*number)++, tb.insn[i].mem_udata[0]);
}

static void call_space(void)
{
    const uint64_t args[6] = {0x1000, 0x1000};

    calls_enter(SYS_munmap, args);
    calls_return(SYS_munmap, 0);
}

/* fork_one forks as QEMU does it for the program; true in the child. */
static bool fork_one(void)
{
    const uint64_t args[6] = {0};
    pid_t pid;

    if (atomic_fetch_add(&tally->forked, 1) >= PROCESSES)
        return atomic_fetch_sub(&tally->forked, 1) == 0; /* false */
    calls_enter(SYS_fork, args);
    pid = fork();
    if (pid == 0)
        in_child();
    else
        calls_return(SYS_fork, pid);
    return pid == 0;
}

/* die_some_time has one process in three killed at any moment of its life. */
static void die_some_time(uint64_t *x)
{
    struct sigevent kill_us = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    const struct itimerspec when = {.it_value.tv_nsec = (long)(1 + rnd(x) % 3000000)};
    timer_t timer;

    if (rnd(x) % 3 == 0 && timer_create(CLOCK_MONOTONIC, &kill_us, &timer) == 0)
        timer_settime(timer, 0, &when, NULL);
}

/* play never returns. Its children stay zombies until the test ends, so that no number comes again;
 * the first process is not killed. */
static _Noreturn void play(uint64_t x, bool kills)
{
    const uint64_t args[6] = {0};
    uint64_t number = 0;

    for (unsigned i = 0; i < STEPS; i++) {
        run_block(&x, &number);
        if (rnd(&x) % 64 == 0)
            call_space();
        if (rnd(&x) % 300 == 0 && fork_one()) {
            x ^= (uint64_t)getpid() << 32;
            number = i = 0;
            if (kills)
                die_some_time(&x);
        }
        stumble(&x, 400);
    }
    calls_enter(SYS_exit_group, args);
    atomic_fetch_add(&tally->accesses, number);
    atomic_fetch_add(&tally->ended, 1);
    _exit(0);
}

/* -- the reader ------------------------------------------------------------------------------------ */

/* next_number: the accesses of a stream are numbered 0, 1, 2 … */
static void next_number(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    if (event_kind(*w) == EV_ACCESS && event_addr(*w) != t->loads - 1)
        s->wrong = "a word out of its place";
}

/* reap waits for whatever is dead below us at the end; false while something lives. */
static bool reap(void)
{
    pid_t pid;

    do
        pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0);
    return pid < 0 && errno == ECHILD;
}

/* nobody_runs: all that were forked are dead; they are not taken, for their numbers. */
static bool nobody_runs(const struct reader *r)
{
    return atomic_load(&shared.ring->threads) > 0 && reader_alive(r) == 0 && tree_count() == 0;
}

static void consume(struct reader *r, uint64_t x)
{
    for (unsigned idle = 0; idle < 200;) {
        stumble(&x, 200);
        if (reader_step(r)) {
            idle = 0;
            continue;
        }
        assert_int_equal(r->error, 0);
        r->beat++;
        reader_look(r);
        if (!reader_force(r))
            reader_sleep(r, 200000);
        idle = nobody_runs(r) ? idle + 1 : 0;
    }
    r->over = true;
    while (reader_step(r) || reader_force(r))
        ;
}

static uint64_t accesses_of_the_ended(const struct sim *s, uint32_t *ret_n)
{
    uint64_t sum = 0;

    *ret_n = 0;
    for (unsigned i = 0; i < s->threads; i++)
        if (s->thread[i].check.ended) {
            sum += s->thread[i].loads;
            ++*ret_n;
        }
    return sum;
}

static void stress(bool kills)
{
    struct reader *r = malloc(sizeof *r);
    struct sim *s = calloc(1, sizeof *s);
    uint32_t ended;
    pid_t first;

    assert_int_equal(region_open(&shared, RING_F_TREE), 0);
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    s->on_word = next_number;
    reader_open(r, s, &shared);
    writer_attach(shared.ring);
    started = true; /* there is no program whose EV_START could be made */
    api = 1;
    access_cb = on_access;
    atomic_store(&tally->forked, 1);
    first = fork();
    if (first == 0)
        play(20261122, kills);
    consume(r, 4711);
    assert_null(s->wrong);
    assert_int_equal(s->order_wrong, 0);
    assert_int_equal(accesses_of_the_ended(s, &ended), atomic_load(&tally->accesses));
    assert_int_equal(ended, atomic_load(&tally->ended));
    assert_true(kills ? ended < atomic_load(&tally->forked) : ended == atomic_load(&tally->forked));
    assert_true(atomic_load(&tally->forked) > 3);
    assert_in_range(s->records, CODE / 2, CODE * 3);
    assert_int_equal(atomic_load(&shared.ring->error), RING_OK);
    assert_int_equal(atomic_load(&shared.ring->unfollowed), 0);
    reader_close(r);
    for (unsigned i = 0; i < RING_SLOTS; i++)
        assert_int_equal(atomic_load(&shared.ring->slot[i].state), RING_FREE);
    assert_true(reap());
    region = NULL;
    munmap(tally, sizeof *tally);
    region_close(&shared);
    fake_free(s);
    free(r);
}

static void no_word_of_a_tree_is_lost_doubled_or_torn(void **state)
{
    (void)state;
    stress(false);
}

static void killed_producers_leave_the_others_unharmed(void **state)
{
    (void)state;
    stress(true);
}

/* -- the reader's death ---------------------------------------------------------------------------- */
static void a_producer_whose_reader_is_gone_dies_when_it_must_wait(void **state)
{
    int status;
    pid_t reader, producer;

    (void)state;
    assert_int_equal(region_open(&shared, RING_F_TREE), 0);
    reader = fork();
    if (reader == 0) {
        pause();
        _exit(0);
    }
    shared.ring->consumer_pid = (uint32_t)reader;
    producer = fork();
    if (producer == 0) {
        uint64_t x = 5, number = 0;

        writer_attach(shared.ring);
        started = true;
        api = 1;
        access_cb = on_access;
        for (;;) /* until the ring is full: nobody reads */
            run_block(&x, &number);
    }
    while (atomic_load(&shared.ring->slot[0].head) + 3 * RING_MARGIN < RING_WORDS)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    assert_int_equal(waitpid(producer, &status, WNOHANG), 0); /* it waits while its reader lives */
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    assert_int_equal(waitpid(producer, &status, 0), producer);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    region_close(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_word_of_a_tree_is_lost_doubled_or_torn),
        cmocka_unit_test(killed_producers_leave_the_others_unharmed),
        cmocka_unit_test(a_producer_whose_reader_is_gone_dies_when_it_must_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
