/* Bits, random numbers, address types and the way pagewalk dies of its own bugs. */
#include "base/bits.h"
#include "base/check.h"
#include "base/rng.h"
#include "base/types.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void powers_of_two_are_told_from_other_numbers(void **state)
{
    (void)state;
    assert_false(is_pow2(0));
    for (unsigned i = 0; i < 64; i++) {
        assert_true(is_pow2(BIT(i)));
        assert_int_equal(log2_floor(BIT(i)), i);
        if (i > 1) {
            assert_false(is_pow2(BIT(i) - 1));
            assert_int_equal(log2_floor(BIT(i) - 1), i - 1);
        }
    }
}

static void rounding_goes_the_right_way(void **state)
{
    (void)state;
    assert_int_equal(align_up(1, 4096), 4096);
    assert_int_equal(align_up(4096, 4096), 4096);
    assert_int_equal(align_down(8191, 4096), 4096);
    assert_int_equal(div_up(0, 7), 0);
    assert_int_equal(div_up(7, 7), 1);
    assert_int_equal(div_up(8, 7), 2);
    assert_int_equal(div_up(UINT64_MAX, 2), BIT(63));
    assert_int_equal(min_u64(1, 2), 1);
    assert_int_equal(max_u64(1, 2), 2);
}

/* The vector of the public-domain reference splitmix64.c by S. Vigna for seed 1234567. */
static void rng_is_splitmix64(void **state)
{
    static const uint64_t want[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                    UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                    UINT64_C(16408922859458223821)};
    struct rng r = {.state = 1234567};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(rng_next(&r) == want[i]);
}

static void rng_below_stays_below_and_meets_every_value(void **state)
{
    struct rng r = {.state = 3};
    unsigned seen = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rng_below(&r, 10);
        assert_true(v < 10);
        seen |= 1u << v;
    }
    assert_int_equal(seen, 0x3ff);
}

static void page_sizes_and_numbers_agree(void **state)
{
    (void)state;
    assert_int_equal(BIT(page_size_shift(SIZE_4K)), 4096);
    assert_int_equal(BIT(page_size_shift(SIZE_2M)), MIB(2));
    assert_int_equal(BIT(page_size_shift(SIZE_1G)), GIB(1));
    assert_int_equal(vaddr_vpn(va(0x7ffff7fff123)).v, 0x7ffff7fff);
    assert_int_equal(vpn_vaddr((vpn){0x7ffff7fff}).v, 0x7ffff7fff000);
    assert_int_equal(paddr_pfn(pa(MIB(1))).v, 256);
    assert_int_equal(pfn_paddr((pfn){256}).v, MIB(1));
    assert_true(pfn_is_none(PFN_NONE));
}

static void false_assert_names_its_place_and_aborts(void **state)
{
    int fd[2], status;
    char text[256] = "";
    (void)state;
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], 2);
        signal(SIGABRT, SIG_DFL);
        ASSERT(1 + 1 == 3);
        _exit(0);
    }
    close(fd[1]);
    size_t n = 0;
    for (ssize_t r; (r = read(fd[0], text + n, sizeof(text) - 1 - n)) > 0;)
        n += (size_t)r;
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "test_bits.c:"));
    assert_non_null(strstr(text, "1 + 1 == 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_of_two_are_told_from_other_numbers),
        cmocka_unit_test(rounding_goes_the_right_way),
        cmocka_unit_test(rng_is_splitmix64),
        cmocka_unit_test(rng_below_stays_below_and_meets_every_value),
        cmocka_unit_test(page_sizes_and_numbers_agree),
        cmocka_unit_test(false_assert_names_its_place_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
