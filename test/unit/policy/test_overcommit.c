/* test_overcommit.c: CommitLimit and who gets memory. Numbers: observed on Linux 6.18.44 (24 GiB, no
 * swap), and mm/util.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/overcommit.h"

/* The reference machine. */
static struct overcommit machine(enum overcommit_mode mode)
{
    return (struct overcommit){.mode = mode,
                               .ratio = 50,
                               .totalram_pages = 6171023,
                               .admin_reserve_kb = 8192,
                               .user_reserve_kb = 100405};
}

static void commit_limit_is_half_of_memory_without_huge_pages(void **state)
{
    (void)state;
    struct overcommit o = machine(OVERCOMMIT_GUESS);
    assert_int_equal(overcommit_limit(&o), 3085511);
    assert_int_equal(overcommit_limit(&o) * 4, 12342044);
    o.hugetlb_pages = 2 * 262144; /* two pages of 1 GiB */
    assert_int_equal(overcommit_limit(&o), 2823367);
    assert_int_equal(overcommit_limit(&o) * 4, 11293468);
}

static void swap_adds_to_the_limit_and_kbytes_replace_the_ratio(void **state)
{
    (void)state;
    struct overcommit o = machine(OVERCOMMIT_GUESS);
    o.total_swap_pages = 1000;
    assert_int_equal(overcommit_limit(&o), 3086511);
    o.kbytes = 4001;
    assert_int_equal(overcommit_limit(&o), 2000);
}

static bool grants(const struct overcommit *o, uint64_t before, uint64_t pages, bool admin)
{
    struct overcommit_ask ask = {.pages = pages,
                                 .committed = before + pages,
                                 .admin = admin,
                                 .has_mm = true,
                                 .total_vm = 6171644};
    return overcommit_enough(o, &ask);
}

/* Observed: root's largest new map leaves CommitLimit - committed - map = 25102; another user's 2048
 * pages more. */
static void mode_2_keeps_reserves_for_root_and_for_the_user(void **state)
{
    (void)state;
    struct overcommit o = machine(OVERCOMMIT_NEVER);
    o.hugetlb_pages = 2 * 262144;
    const uint64_t committed = 166509, root = 2823367 - committed - 25102;
    assert_true(grants(&o, committed, root, true));
    assert_false(grants(&o, committed, root + 1, true));
    assert_true(grants(&o, committed, root - 2048, false));
    assert_false(grants(&o, committed, root - 2047, false));
}

static void mode_2_with_reserves_above_the_limit_grants_nothing(void **state)
{
    (void)state;
    struct overcommit o = machine(OVERCOMMIT_NEVER);
    o.kbytes = 4;
    assert_false(grants(&o, 0, 1, false));
    assert_false(grants(&o, 0, 0, false));
}

/* Observed: a request of exactly memory and swap passes, one page more fails; what others were
 * promised does not matter. */
static void mode_0_refuses_only_what_exceeds_memory_and_swap_at_once(void **state)
{
    (void)state;
    struct overcommit o = machine(OVERCOMMIT_GUESS);
    o.total_swap_pages = 77;
    assert_true(grants(&o, 4 * UINT64_C(6171023), 6171023 + 77, false));
    assert_false(grants(&o, 0, 6171023 + 78, false));
}

static void mode_1_grants_anything(void **state)
{
    (void)state;
    struct overcommit o = machine(OVERCOMMIT_ALWAYS);
    assert_true(grants(&o, UINT64_C(1) << 40, UINT64_C(1) << 40, false));
}

static void reserves_start_at_a_32nd_of_free_memory(void **state)
{
    (void)state;
    assert_int_equal(overcommit_admin_reserve(64 * 1024), 2048);
    assert_int_equal(overcommit_admin_reserve(24 << 20), 8192);
    assert_int_equal(overcommit_user_reserve(3212960), 100405);
    assert_int_equal(overcommit_user_reserve(24 << 20), 131072);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commit_limit_is_half_of_memory_without_huge_pages),
        cmocka_unit_test(swap_adds_to_the_limit_and_kbytes_replace_the_ratio),
        cmocka_unit_test(mode_2_keeps_reserves_for_root_and_for_the_user),
        cmocka_unit_test(mode_2_with_reserves_above_the_limit_grants_nothing),
        cmocka_unit_test(mode_0_refuses_only_what_exceeds_memory_and_swap_at_once),
        cmocka_unit_test(mode_1_grants_anything),
        cmocka_unit_test(reserves_start_at_a_32nd_of_free_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
