/* test_oom.c: badness and oom_score. Expectations: scores read on Linux 6.18.44 (machine of 6171023
 * pages without swap), and mm/oom_kill.c by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/oom.h"

static struct oom_input shell(int adj)
{
    return (struct oom_input){.rss = 1547, .pte_bytes = 17 * 4096, .adj = adj};
}

static void the_kernel_says_666_1000_and_1333_for_a_small_process(void **state)
{
    (void)state;
    struct oom_input plain = shell(0), half = shell(500), full = shell(1000), never = shell(-1000);
    assert_int_equal(oom_score(&plain, 6171023), 666);
    assert_int_equal(oom_score(&half, 6171023), 1000);
    assert_int_equal(oom_score(&full, 6171023), 1333);
    assert_int_equal(oom_score(&never, 6171023), 0);
}

static void badness_counts_pages_in_memory_in_swap_and_of_tables(void **state)
{
    (void)state;
    struct oom_input in = {.rss = 1000, .swapents = 200, .pte_bytes = 3 * 4096};
    assert_int_equal(oom_badness(&in, 100000), 1203);
    in.adj = 10; /* 10 * 100 */
    assert_int_equal(oom_badness(&in, 100000), 2203);
    in.adj = -20;
    assert_int_equal(oom_badness(&in, 100000), -797);
}

static void who_must_not_be_killed_never_is(void **state)
{
    (void)state;
    struct oom_input in = {.rss = 1000, .unkillable = true};
    assert_true(oom_badness(&in, 100000) == INT64_MIN);
    in = (struct oom_input){.rss = 1000, .adj = -1000};
    assert_true(oom_badness(&in, 100000) == INT64_MIN);
}

/* Seen in a memory cgroup of 48 MiB: a task of 10 MB with adj 600 dies before one that has the rest.
 * 48 MiB are 12288 pages; 600 * 12 + 2560 = 9760 points against 9728 of 38 MiB. */
static void an_adjusted_small_task_goes_before_a_large_one(void **state)
{
    (void)state;
    uint64_t total = 48 * 256;
    struct oom_input small = {.rss = 10 * 256, .adj = 600}, large = {.rss = 38 * 256};
    assert_int_equal(oom_badness(&small, total), 9760);
    assert_int_equal(oom_badness(&large, total), 9728);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_says_666_1000_and_1333_for_a_small_process),
        cmocka_unit_test(badness_counts_pages_in_memory_in_swap_and_of_tables),
        cmocka_unit_test(who_must_not_be_killed_never_is),
        cmocka_unit_test(an_adjusted_small_task_goes_before_a_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
