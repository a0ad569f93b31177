/* test_calls.c: the table of system calls, against the system's own header and against nonsense. */
#include "kern/kern.h"

#include "base/bits.h"
#include "base/rng.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cmocka.h>

#define HEADER "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"

struct bench {
    struct conf conf;
    struct stat_set stats;
    struct arch_outbox outbox;
    struct kern *kern;
    struct kern_copies copies;
};

static void bench_open(struct bench *b)
{
    memset(b, 0, sizeof *b);
    conf_init(&b->conf);
    assert_int_equal(arch_outbox_open(&b->outbox), 0);
    assert_int_equal(kern_open(&b->kern, &b->conf, NULL, NULL, &b->stats, &b->outbox), 0);
}

static void bench_close(struct bench *b)
{
    kern_copies_close(&b->copies);
    kern_close(b->kern);
    arch_outbox_close(&b->outbox);
}

/* needs_space: calls that kern_syscall passes on to mm; they are tested in test_memcall and
 * test_shared. */
static bool needs_space(uint64_t nr)
{
    return kern_call_is_memory(nr) || nr == SYS_set_mempolicy || nr == SYS_get_mempolicy ||
           nr == SYS_msync || nr == SYS_mincore || nr == SYS_mlock || nr == SYS_mlock2 ||
           nr == SYS_mlockall || nr == SYS_shmget || nr == SYS_shmctl || nr == SYS_sync;
}

static void names_and_numbers_are_those_of_the_system_header(void **state)
{
    (void)state;
    char row[256], name[64];
    unsigned nr, n = 0;
    FILE *f = fopen(HEADER, "re");
    assert_non_null(f);
    while (fgets(row, sizeof row, f)) {
        if (sscanf(row, "#define __NR_%63s %u", name, &nr) != 2)
            continue;
        assert_non_null(kern_call_name(nr));
        assert_string_equal(kern_call_name(nr), name);
        n++;
    }
    fclose(f);
    assert_true(n > 350);
}

static void numbers_between_and_beyond_have_no_name(void **state)
{
    (void)state;
    for (uint64_t nr = 337; nr < 424; nr++)
        assert_null(kern_call_name(nr));
    assert_null(kern_call_name(470));
    assert_null(kern_call_name(UINT64_MAX));
}

/* The plugin serialises this list (plugin/qemu/calls.c, changes_space); both sides must agree. */
static void the_calls_ordered_by_epochs_are_those_the_plugin_locks(void **state)
{
    (void)state;
    char row[256], name[64];
    unsigned n = 0, ordered = 0;
    bool inside = false;
    FILE *f = fopen("plugin/qemu/calls.c", "re");
    if (!f)
        skip(); /* not run from the source tree */
    while (fgets(row, sizeof row, f)) {
        if (strstr(row, "changes_space(uint64_t num)"))
            inside = true;
        else if (inside && row[0] == '}')
            break;
        if (!inside || sscanf(row, " case SYS_%63[a-z0-9_]:", name) != 1)
            continue;
        for (uint64_t nr = 0; nr < 500; nr++)
            if (kern_call_name(nr) && strcmp(kern_call_name(nr), name) == 0)
                ordered += kern_call_is_memory(nr);
        n++;
    }
    fclose(f);
    assert_true(n > 5);
    assert_int_equal(ordered, n);
    for (uint64_t nr = 0; nr < 500; nr++)
        n -= kern_call_is_memory(nr);
    assert_int_equal(n, 0);
}

static void every_call_is_one_step_of_the_kernel(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    for (uint64_t nr = 0; nr < 500; nr++) {
        struct kern_call c = {.nr = nr, .result = -ENOSYS};
        if (needs_space(nr))
            continue;
        b.outbox.n = 0;
        assert_int_equal(kern_syscall(b.kern, NULL, &c, &b.copies), 0);
        assert_int_equal(b.outbox.n, 1);
        assert_int_equal(b.outbox.msg[0].kind, ARCH_STEP);
        assert_int_equal(b.outbox.msg[0].n, STEP_SYSCALL);
    }
    assert_int_equal(b.copies.n, 0); /* a call that does not exist touches nothing */
    bench_close(&b);
}

static void null_pointers_are_not_touched(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    for (uint64_t nr = 0; nr < 500; nr++) {
        struct kern_call c = {.nr = nr, .result = 100};
        if (!needs_space(nr))
            kern_syscall(b.kern, NULL, &c, &b.copies);
    }
    assert_int_equal(b.copies.n, 0);
    bench_close(&b);
}

/* wild_number: small, page-like, negative or anything. */
static uint64_t wild_number(struct rng *r)
{
    switch (rng_below(r, 4)) {
    case 0:
        return rng_below(r, 64);
    case 1:
        return rng_below(r, 1 << 20) << 12;
    case 2:
        return -rng_below(r, 4096);
    default:
        return rng_next(r);
    }
}

static void copies_are_sane(const struct kern_copies *c, int64_t result)
{
    for (uint32_t i = 0; i < c->n; i++) {
        assert_true(c->copy[i].bytes > 0);
        assert_true(c->copy[i].bytes <= UINT64_C(0x7ffff000) + 4096);
        assert_true(c->copy[i].addr.v + (c->copy[i].bytes - 1) >= c->copy[i].addr.v);
        if (result < 0)
            assert_true(c->copy[i].bytes <= (result == -EFAULT ? MIB(1) : 4 * PAGE_SIZE));
    }
}

/* drivers/char/mem.c, write_null; measured: a write of 64 MiB never touched to /dev/null, 0 faults. */
static void what_the_null_device_is_given_is_not_read(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    const struct kern_iovec iov = {0x5000, 4096};
    struct kern_call plain = {.nr = SYS_write, .arg = {1, 0x1000, 8192}, .result = 8192};
    struct kern_call vec = {.nr = SYS_writev, .arg = {1, 0x3000, 1}, .result = 4096};
    vec.iov = &iov;
    vec.n_iov = vec.iov_arg = 1;
    plain.file = vec.file = (struct kern_file){.present = true, .fd = 1, .mode = S_IFCHR | 0666};
    kern_syscall(b.kern, NULL, &plain, &b.copies);
    assert_int_equal(b.copies.n, 0);
    kern_syscall(b.kern, NULL, &vec, &b.copies);
    assert_int_equal(b.copies.n, 1); /* the array of iovecs */
    assert_int_equal(b.copies.copy[0].addr.v, 0x3000);
    assert_int_equal(b.copies.copy[0].bytes, 16);
    plain.file.present = false; /* any other descriptor */
    kern_syscall(b.kern, NULL, &plain, &b.copies);
    assert_int_equal(b.copies.n, 2);
    assert_int_equal(b.copies.copy[1].bytes, 8192);
    bench_close(&b);
}

static void nonsense_makes_a_short_list_of_sane_copies(void **state)
{
    (void)state;
    struct rng r = {7};
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t bytes[56];
        struct kern_iovec iov[2] = {{wild_number(&r), wild_number(&r)},
                                    {wild_number(&r), wild_number(&r)}};
        struct kern_call c = {.nr = rng_below(&r, 480), .result = (int64_t)wild_number(&r)};
        for (unsigned j = 0; j < 6; j++)
            c.arg[j] = wild_number(&r);
        for (unsigned j = 0; j < sizeof bytes; j++)
            bytes[j] = (uint8_t)rng_next(&r);
        if (rng_below(&r, 2)) {
            c.bytes = bytes;
            c.bytes_addr = c.arg[rng_below(&r, 6)];
            c.n_bytes = rng_below(&r, sizeof bytes + 1);
            c.iov = iov;
            c.n_iov = 2;
            c.iov_arg = 1;
        }
        if (needs_space(c.nr))
            continue;
        b.copies.n = b.outbox.n = 0;
        kern_syscall(b.kern, NULL, &c, &b.copies);
        assert_true(b.copies.n <= 16);
        copies_are_sane(&b.copies, c.result);
    }
    bench_close(&b);
}

static void a_failed_call_writes_nothing_it_would_have_returned(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct kern_call c = {.nr = SYS_newfstatat, .arg = {0, 0x1000, 0x2000}, .result = -ENOENT};
    kern_syscall(b.kern, NULL, &c, &b.copies);
    assert_int_equal(b.copies.n, 1);
    assert_int_equal(b.copies.copy[0].addr.v, 0x1000);
    assert_false(b.copies.copy[0].store);
    bench_close(&b);
}

static void vectors_are_filled_in_order_up_to_the_result(void **state)
{
    (void)state;
    struct bench b;
    struct kern_iovec iov[3] = {{0x10000, 100}, {0x20000, 50}, {0x30000, 100}};
    struct kern_call c = {.nr = SYS_readv,
                          .arg = {3, 0x5000, 3},
                          .result = 120,
                          .iov = iov,
                          .n_iov = 3,
                          .iov_arg = 1};
    bench_open(&b);
    kern_syscall(b.kern, NULL, &c, &b.copies);
    assert_int_equal(b.copies.n, 3);
    assert_int_equal(b.copies.copy[0].bytes, 48);
    assert_int_equal(b.copies.copy[1].addr.v, 0x10000);
    assert_int_equal(b.copies.copy[1].bytes, 100);
    assert_int_equal(b.copies.copy[2].addr.v, 0x20000);
    assert_int_equal(b.copies.copy[2].bytes, 20);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_are_those_of_the_system_header),
        cmocka_unit_test(numbers_between_and_beyond_have_no_name),
        cmocka_unit_test(the_calls_ordered_by_epochs_are_those_the_plugin_locks),
        cmocka_unit_test(every_call_is_one_step_of_the_kernel),
        cmocka_unit_test(null_pointers_are_not_touched),
        cmocka_unit_test(what_the_null_device_is_given_is_not_read),
        cmocka_unit_test(nonsense_makes_a_short_list_of_sane_copies),
        cmocka_unit_test(a_failed_call_writes_nothing_it_would_have_returned),
        cmocka_unit_test(vectors_are_filled_in_order_up_to_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
