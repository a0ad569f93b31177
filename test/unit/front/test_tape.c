/* test_tape.c: a recorded run told again gives every count again; a damaged recording is refused, and nothing
 * outside it is read (under the address sanitizer, at every cut and with every byte changed). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "front/tape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CODE UINT64_C(0x400000)
#define DATA UINT64_C(0x600000)

struct told {
    struct sim *sim;
    struct tape *tape;
    struct sim_thread *thread[2];
    char path[64];
};

static struct tape_run a_run(void)
{
    static char *argv[] = {"prog", "an argument", NULL};
    static struct proc_order order = {.at = 1, .key = "vm.swappiness", .value = "10"};
    struct tape_run run = {.argv = argv, .orders = &order, .n_orders = 1, .note = "nearest"};

    conf_init(&run.conf);
    run.conf.phys_size = MIB(64);
    run.conf.cpu_cores = 2;
    return run;
}

/* offers words as the reader does: what was not taken comes again, with more behind it. */
static void offers(struct told *x, unsigned who, const uint64_t *w, size_t n)
{
    size_t taken = 0, taped = 0;

    for (size_t end = 1; taken < n; end = end + 3 < n ? end + 3 : n) {
        enum sim_stop stop;
        tape_feed(x->tape, who + 1, w + taken, end - taken, end - taped, true);
        taped = end;
        size_t done = sim_feed(x->sim, x->thread[who], w + taken, end - taken, true, &stop);
        tape_fed(x->tape, who + 1, done);
        taken += done;
    }
}

static void begins(struct told *x, unsigned who)
{
    const uint64_t start[] = {event_control(EV_THREAD_START, 3), 5, 6 + who, 0};

    x->thread[who] = sim_thread_open(x->sim);
    tape_stream(x->tape, who + 1);
    offers(x, who, start, 4);
}

static void works(struct told *x, unsigned who, uint64_t seed)
{
    struct rng rng;
    uint64_t w[64];
    size_t n = 0;

    rng = (struct rng){seed};
    for (unsigned i = 0; i < 12; i++) {
        w[n++] = event_block(0);
        w[n++] = event_access(DATA + (rng_next(&rng) & 0x3ffff8), 0, 3, false);
    }
    w[n++] = event_control(EV_SYSCALL, 8);
    memset(w + n, 0, 8 * sizeof *w);
    w[n] = SYS_getppid;
    n += 8;
    w[n++] = event_control(EV_SYSCALL_RET, 3);
    w[n++] = SYS_getppid;
    w[n++] = 1;
    w[n++] = 1234;
    offers(x, who, w, n);
}

/* tell records a run of two threads; returns the counts. */
static struct stat_set tell(struct told *x, const struct tape_run *run)
{
    struct front_result result = {.exit_code = 3, .wall_ns = 99, .path = "/bin/prog"};
    struct ring_block *b = calloc(1, sizeof *b + 8);
    struct stat_set stats;
    int fd;

    strcpy(x->path, "/tmp/test_tape.XXXXXX");
    fd = mkstemp(x->path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(sim_open(&x->sim, &run->conf), 0);
    assert_int_equal(sim_order(x->sim, run->orders), 0);
    sim_follow_tree(x->sim);
    assert_int_equal(tape_open(&x->tape, x->path, run), 0);
    *b = (struct ring_block){.pc = CODE, .bytes = sizeof *b + 8, .insns = 1, .code_bytes = 3};
    memcpy(b->data, "\3\x48\x8b\x07", 4); /* mov (%rdi),%rax */
    assert_int_equal(sim_add_block(x->sim, 0, b), 0);
    tape_block(x->tape, 0, b);
    free(b);
    for (unsigned i = 0; i < 2; i++)
        begins(x, i);
    for (unsigned i = 0; i < 40; i++)
        works(x, i % 2, i);
    tape_forced(x->tape);
    sim_order_forced(x->sim);
    tape_status(x->tape, 5, 3 << 8);
    sim_process_status(x->sim, 5, 3 << 8);
    for (unsigned i = 0; i < 2; i++) {
        tape_end(x->tape, i + 1);
        sim_thread_close(x->sim, x->thread[i]);
    }
    stats = *sim_stats(x->sim);
    sim_close(x->sim);
    assert_int_equal(tape_close(x->tape, &result), 0);
    return stats;
}

/* play tells a sim of its own what a file says. 0, or what was wrong in err. */
static int play(const char *path, struct stat_set *ret, struct front_result *result, char *err)
{
    struct tape_in *t;
    struct tape_run run;
    struct sim *sim;
    int error = tape_read(&t, path, &run, err, 256);

    if (error)
        return error;
    if (conf_check(&run.conf, err, 256) != 0 || run.conf.phys_size > MIB(64) ||
        sim_open(&sim, &run.conf) != 0) {
        tape_done(t, &run);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < run.n_orders; i++)
        error = sim_order(sim, &run.orders[i]) ? -ENOMEM : error;
    if (!error)
        error = tape_play(t, sim, &run, err, 256);
    *ret = *sim_stats(sim);
    *result = run.result;
    sim_close(sim);
    tape_done(t, &run);
    return error;
}

static void a_replay_gives_every_count_again(void **state)
{
    (void)state;
    struct told x;
    struct tape_run run = a_run();
    struct stat_set live = tell(&x, &run), again;
    struct front_result result;
    char err[256];

    assert_true(STAT(&live, minor_faults) + STAT(&live, div_no_vma) > 10);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(play(x.path, &again, &result, err), 0);
        assert_memory_equal(&again, &live, sizeof live);
    }
    assert_int_equal(result.exit_code, 3);
    assert_int_equal(result.wall_ns, 99);
    assert_string_equal(result.path, "/bin/prog");
    unlink(x.path);
}

static void what_the_run_was_is_read_again(void **state)
{
    (void)state;
    struct told x;
    struct tape_run run = a_run(), read;
    struct tape_in *t;
    char err[256];

    tell(&x, &run);
    assert_int_equal(tape_read(&t, x.path, &read, err, sizeof err), 0);
    assert_memory_equal(&read.conf, &run.conf, sizeof run.conf);
    assert_int_equal(read.n_orders, 1);
    assert_string_equal(read.orders[0].key, "vm.swappiness");
    assert_string_equal(read.argv[1], "an argument");
    assert_null(read.argv[2]);
    assert_string_equal(read.note, "nearest");
    tape_done(t, &read);
    unlink(x.path);
}

/* -- damage --------------------------------------------------------------------------------------*/

static size_t load(const char *path, uint8_t *bytes, size_t size)
{
    FILE *f = fopen(path, "rb");
    size_t n = fread(bytes, 1, size, f);

    fclose(f);
    return n;
}

static void store(const char *path, const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_true(n == 0 || fwrite(bytes, n, 1, f) == 1);
    fclose(f);
}

static uint8_t whole[1 << 20], damaged[1 << 20];

static void a_recording_that_is_cut_is_refused(void **state)
{
    (void)state;
    struct told x;
    struct tape_run run = a_run();
    struct stat_set stats;
    struct front_result result;
    char err[256];
    tell(&x, &run);
    size_t n = load(x.path, whole, sizeof whole), step = n / 61;

    assert_true(n > 5000 && n < sizeof whole);
    for (size_t cut = 0; cut < n; cut += step) {
        err[0] = 0;
        store(x.path, whole, cut);
        assert_int_not_equal(play(x.path, &stats, &result, err), 0);
        assert_true(err[0] != 0);
    }
    unlink(x.path);
}

static void a_changed_byte_is_refused_or_means_another_run(void **state)
{
    (void)state;
    struct told x;
    struct tape_run run = a_run();
    struct stat_set stats;
    struct front_result result;
    struct rng rng;
    char err[256];
    tell(&x, &run);
    size_t n = load(x.path, whole, sizeof whole);

    rng = (struct rng){11};
    for (unsigned i = 0; i < 150; i++) {
        memcpy(damaged, whole, n);
        for (unsigned k = 0; k <= i % 3; k++)
            damaged[rng_next(&rng) % n] ^= (uint8_t)(1u << rng_next(&rng) % 8);
        store(x.path, damaged, n);
        play(x.path, &stats, &result, err); /* it ends */
    }
    unlink(x.path);
}

static void another_file_is_no_recording(void **state)
{
    (void)state;
    struct stat_set stats;
    struct front_result result;
    char err[256];

    assert_int_not_equal(play("/proc/version", &stats, &result, err), 0);
    assert_non_null(strstr(err, "no recording"));
    assert_int_not_equal(play("/nonexistent", &stats, &result, err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_gives_every_count_again),
        cmocka_unit_test(what_the_run_was_is_read_again),
        cmocka_unit_test(a_recording_that_is_cut_is_refused),
        cmocka_unit_test(a_changed_byte_is_refused_or_means_another_run),
        cmocka_unit_test(another_file_is_no_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
