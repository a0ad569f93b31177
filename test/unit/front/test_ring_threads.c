/* links: front event base */
/* The ring under stress: the plugin's own producer code in several threads, the front end's own
 * reader, and random delays on both sides. Run it under the thread sanitizer too.
 *
 * Every access carries a number that says where it belongs, so a lost, doubled, torn or reordered
 * word is seen. The order test carries what the producer knew of the address space instead: how many
 * calls had ended before the access, and how many had begun after it. */
#include "fake_qemu.h"
#include "fake_sim.h"
#include "front/front_int.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

#define LOAD_8  (3u << 4 | 1u << 16)
#define STORE_4 (2u << 4 | 2u << 16)

static uint64_t rnd(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

/* stumble sleeps now and then. */
static void stumble(uint64_t *x, uint64_t one_in)
{
    if (rnd(x) % one_in == 0)
        nanosleep(&(struct timespec){0, (long)(rnd(x) % 300000)}, NULL);
}

/* make_block translates a block of four instructions at pc. */
static void make_block(struct qemu_plugin_tb *tb, uint64_t pc)
{
    memset(tb, 0, sizeof *tb);
    tb->n = 4;
    for (unsigned i = 0; i < 4; i++)
        tb->insn[i] = (struct qemu_plugin_insn){.pc = pc + i, .code = {0x90}, .size = 1};
    fake_translate(0, tb);
}

static void run_access(struct qemu_plugin_tb *tb, unsigned insn, uint32_t info, uint64_t addr)
{
    tb->insn[insn].mem_cb[0](0, info, addr, tb->insn[insn].mem_udata[0]);
}

/* -- a region, a plugin, a reader ----------------------------------------------------------------- */
struct rig {
    struct region region;
    struct reader reader;
    struct sim *sim;
    pthread_t producer[64];
    unsigned producers;
    _Atomic unsigned ended;
};

static void rig_open(struct rig *g)
{
    memset(g, 0, sizeof *g);
    assert_int_equal(region_open(&g->region, 0), 0);
    g->region.ring->consumer_pid = (uint32_t)getppid(); /* the peer that the plugin looks for */
    g->sim = calloc(1, sizeof *g->sim);
    assert_non_null(g->sim);
    reader_open(&g->reader, g->sim, &g->region);
    writer_attach(g->region.ring);
    atomic_store(&space_epoch, 0);
    started = true; /* there is no program whose EV_START could be made */
    api = 1;
    access_cb = on_access;
    fake_translate = on_translate;
}

static void rig_close(struct rig *g)
{
    reader_close(&g->reader);
    region = NULL;
    region_close(&g->region);
    fake_free(g->sim);
}

static void start(struct rig *g, void *(*body)(void *))
{
    assert_int_equal(pthread_create(&g->producer[g->producers++], NULL, body, g), 0);
}

/* consume reads until all producers have ended. */
static void consume_all(struct rig *g, uint64_t delays)
{
    uint64_t x = 777;

    for (;;) {
        bool last = atomic_load(&g->ended) == g->producers;

        if (delays)
            stumble(&x, delays);
        if (reader_step(&g->reader))
            continue;
        if (last)
            break;
        reader_sleep(&g->reader, 200000);
    }
    for (unsigned i = 0; i < g->producers; i++)
        pthread_join(g->producer[i], NULL);
    assert_null(g->sim->wrong);
    assert_int_equal(g->sim->order_wrong, 0);
}

/* end_thread ends a producer's stream as the exit system call does. */
static void end_thread(struct rig *g)
{
    const uint64_t args[6] = {0};

    calls_enter(SYS_exit, args);
    atomic_fetch_add(&g->ended, 1);
}

/* -- no word is lost ------------------------------------------------------------------------------ */
#define SEQUENCE_BLOCKS 400000u

static _Atomic uint32_t next_producer;

static void *write_sequence(void *arg)
{
    uint64_t x = 12345 + atomic_fetch_add(&next_producer, 1), number = 0;
    struct qemu_plugin_tb tb[4];

    for (unsigned i = 0; i < 4; i++)
        make_block(&tb[i], 0x1000 * i);
    for (unsigned b = 0; b < SEQUENCE_BLOCKS; b++) {
        struct qemu_plugin_tb *t = &tb[rnd(&x) & 3];
        unsigned n = rnd(&x) % 9;

        t->exec_cb(0, t->exec_udata);
        for (unsigned i = 0; i < n; i++)
            run_access(t, i / 3, number & 1 ? STORE_4 : LOAD_8, number), number++;
        stumble(&x, 40000);
    }
    end_thread(arg);
    return NULL;
}

/* next_number: the accesses of a stream are numbered 0, 1, 2 …; loads have even numbers. */
static void next_number(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    if (event_kind(*w) != EV_ACCESS)
        return;
    if (event_addr(*w) != t->loads + t->stores - 1 ||
        event_is_store(*w) != ((t->loads + t->stores - 1) & 1) ||
        event_log2_size(*w) != (event_is_store(*w) ? 2 : 3))
        s->wrong = "a word out of its place";
}

static void no_word_is_lost_doubled_or_torn(void **state)
{
    struct rig *g = malloc(sizeof *g);
    struct fake_sums f;

    (void)state;
    rig_open(g);
    g->sim->on_word = next_number;
    start(g, write_sequence);
    start(g, write_sequence);
    consume_all(g, 30);
    f = fake_sum(g->sim);
    assert_int_equal(f.blocks, 2 * SEQUENCE_BLOCKS);
    assert_int_equal(f.insns, 4 * f.blocks);
    assert_int_equal(g->sim->threads, 2);
    assert_int_equal(g->sim->blocks, 4); /* both threads translate the same four */
    assert_int_equal(g->sim->forced, 0);
    assert_true(f.words > 4 * RING_WORDS); /* each ring went round more than once */
    rig_close(g);
    free(g);
}

/* -- address-space calls keep their place --------------------------------------------------------- */
#define ORDER_STEPS 10000u

static void space_call(void)
{
    const uint64_t args[6] = {0x1000, 0x1000};

    calls_enter(SYS_munmap, args);
    calls_return(SYS_munmap, 0);
}

/* Each block tells two numbers: calls known to have ended before it, calls begun after it. */
static void *call_and_look(void *arg)
{
    uint64_t x = 999 + atomic_fetch_add(&next_producer, 1);
    struct qemu_plugin_tb tb;

    make_block(&tb, 0x7000);
    for (unsigned i = 0; i < ORDER_STEPS; i++) {
        uint64_t ended = atomic_load(&space_epoch) / 2;

        tb.exec_cb(0, tb.exec_udata);
        run_access(&tb, 0, LOAD_8, ended);
        run_access(&tb, 1, LOAD_8, (atomic_load(&space_epoch) + 1) / 2);
        if (rnd(&x) % 16 == 0)
            space_call();
        stumble(&x, 400);
    }
    end_thread(arg);
    return NULL;
}

static void within_the_calls_it_saw(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    (void)t;
    if (event_kind(*w) != EV_ACCESS)
        return;
    if (event_insn(*w) == 0 && s->ordered < event_addr(*w))
        s->wrong = "an access before a call that had ended";
    if (event_insn(*w) == 1 && s->ordered > event_addr(*w))
        s->wrong = "an access after a call that had not begun";
}

static void calls_are_applied_between_what_was_before_and_after(void **state)
{
    struct rig *g = malloc(sizeof *g);

    (void)state;
    rig_open(g);
    g->sim->on_word = within_the_calls_it_saw;
    for (unsigned i = 0; i < 4; i++)
        start(g, call_and_look);
    consume_all(g, 50);
    assert_int_equal(g->sim->forced, 0);
    assert_int_equal(g->sim->ordered, g->sim->call[SYS_munmap].returns);
    assert_int_equal(g->sim->ordered * 2, atomic_load(&space_epoch));
    assert_true(g->sim->ordered > 500);
    rig_close(g);
    free(g);
}

/* -- slots are used again ------------------------------------------------------------------------- */
static void *live_shortly(void *arg)
{
    struct qemu_plugin_tb tb;

    make_block(&tb, 0x9000);
    tb.exec_cb(0, tb.exec_udata);
    run_access(&tb, 3, STORE_4, 0x1234);
    end_thread(arg);
    return NULL;
}

struct nursery {
    struct rig *rig;
    unsigned threads;
};

static void *bear(void *arg)
{
    struct nursery *n = arg;

    for (unsigned i = 0; i < n->threads; i++) {
        pthread_t t;

        pthread_create(&t, NULL, live_shortly, n->rig);
        pthread_join(t, NULL);
    }
    return NULL;
}

static void slots_are_used_again_by_later_threads(void **state)
{
    struct rig *g = malloc(sizeof *g);
    struct nursery n = {g, 3 * RING_SLOTS};
    pthread_t nurse;

    (void)state;
    rig_open(g);
    pthread_create(&nurse, NULL, bear, &n);
    while (atomic_load(&g->ended) < n.threads || reader_step(&g->reader))
        if (!reader_step(&g->reader))
            reader_sleep(&g->reader, 200000);
    pthread_join(nurse, NULL);
    assert_null(g->sim->wrong);
    assert_int_equal(g->sim->threads, n.threads);
    assert_int_equal(fake_sum(g->sim).stores, n.threads);
    assert_int_equal(atomic_load(&g->region.ring->error), RING_OK);
    rig_close(g);
    free(g);
}

/* -- arguments that look like events -------------------------------------------------------------- */
#define ODD_CALLS 3000u /* more words than one quantum, so that quanta end inside records too */

static _Atomic bool watcher_may_end;

/* watch is a second stream, without which the reader has no order to keep. */
static void *watch(void *arg)
{
    struct qemu_plugin_tb tb;

    make_block(&tb, 0x9000);
    tb.exec_cb(0, tb.exec_udata);
    while (!atomic_load(&watcher_may_end))
        nanosleep(&(struct timespec){0, 100000}, NULL);
    end_thread(arg);
    return NULL;
}

/* steps_until_idle counts how often the reader says that it did something; it gives up at 10,000. */
static unsigned steps_until_idle(struct rig *g)
{
    unsigned n = 0;

    while (n < 10000 && reader_step(&g->reader))
        n++;
    return n;
}

static void call_with(uint64_t word)
{
    const uint64_t args[6] = {word, word, UINT64_MAX, word, word, word};

    calls_enter(SYS_lseek, args);
    calls_return(SYS_lseek, (int64_t)word);
}

static void arguments_that_look_like_events_are_only_numbers(void **state)
{
    struct rig *g = malloc(sizeof *g);
    struct qemu_plugin_tb tb;

    (void)state;
    rig_open(g);
    atomic_store(&watcher_may_end, false);
    start(g, watch);
    while (atomic_load(&g->region.ring->slot[0].head) == 0)
        nanosleep(&(struct timespec){0, 100000}, NULL);
    self = (struct writer){0};
    make_block(&tb, 0x5000);
    tb.exec_cb(0, tb.exec_udata);
    for (unsigned i = 0; i < ODD_CALLS; i++)
        call_with(event_control((enum event_control)(i % 32), 1));
    assert_true(steps_until_idle(g) < 10000);
    assert_int_equal(g->sim->call[SYS_lseek].returns, ODD_CALLS);
    assert_int_equal(g->sim->control[EV_EPOCH], 0);
    end_thread(g);
    self = (struct writer){0};
    atomic_store(&watcher_may_end, true);
    pthread_join(g->producer[0], NULL);
    assert_true(steps_until_idle(g) < 10000);
    g->reader.over = true; /* the process lives, but has ended all its streams */
    reader_step(&g->reader);
    assert_int_equal(g->reader.lives, 0);
    assert_null(g->sim->wrong);
    rig_close(g);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_word_is_lost_doubled_or_torn),
        cmocka_unit_test(calls_are_applied_between_what_was_before_and_after),
        cmocka_unit_test(slots_are_used_again_by_later_threads),
        cmocka_unit_test(arguments_that_look_like_events_are_only_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
