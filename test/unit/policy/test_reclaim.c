/* test_reclaim.c: how much reclaim looks at. Expectations: the formulas of Linux 6.18 mm/vmscan.c,
 * mm/swap.c and mm/workingset.c worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/reclaim.h"

static const struct scan_input even = {
    .size = {4096, 8192, 40960, 81920}, .swappiness = 60, .priority = 12, .may_swap = true};

static void without_swap_only_file_pages_are_looked_at(void **state)
{
    (void)state;
    struct scan_input in = even;
    uint64_t nr[SCAN_NR];
    in.may_swap = false;
    get_scan_count(&in, nr);
    assert_int_equal(nr[SCAN_INACTIVE_ANON], 0);
    assert_int_equal(nr[SCAN_ACTIVE_ANON], 0);
    assert_int_equal(nr[SCAN_INACTIVE_FILE], 10);
    assert_int_equal(nr[SCAN_ACTIVE_FILE], 20);
}

/* No costs yet: ap = 60 * 1 / 1 = 60, fp = 140: anon gets 60 of 200. */
static void swappiness_60_gives_anonymous_pages_three_tenths(void **state)
{
    (void)state;
    struct scan_input in = even;
    uint64_t nr[SCAN_NR];
    in.priority = 1;
    get_scan_count(&in, nr);
    assert_int_equal(nr[SCAN_INACTIVE_ANON], 2048 * 60 / 200);
    assert_int_equal(nr[SCAN_ACTIVE_ANON], 4096 * 60 / 200);
    assert_int_equal(nr[SCAN_INACTIVE_FILE], 20480 * 140 / 200);
    assert_int_equal(nr[SCAN_ACTIVE_FILE], 40960 * 140 / 200);
}

/* anon_cost 300, file_cost 100: c = 400, A = 700, F = 500, T = 1200;
 * ap = 60 * 1201 / 701 = 102, fp = 140 * 1201 / 501 = 335. */
static void the_kind_that_cost_more_is_looked_at_less(void **state)
{
    (void)state;
    struct scan_input in = even;
    uint64_t nr[SCAN_NR];
    in.priority = 1;
    in.anon_cost = 300;
    in.file_cost = 100;
    get_scan_count(&in, nr);
    assert_int_equal(nr[SCAN_INACTIVE_ANON], 2048 * 102 / 437);
    assert_int_equal(nr[SCAN_INACTIVE_FILE], 20480 * 335 / 437);
}

static void the_last_resort_looks_at_everything_unless_swappiness_is_0(void **state)
{
    (void)state;
    struct scan_input in = even;
    uint64_t nr[SCAN_NR];
    in.priority = 0;
    get_scan_count(&in, nr);
    for (int l = 0; l < SCAN_NR; l++)
        assert_int_equal(nr[l], in.size[l]);
    in.swappiness = 0; /* ap = 0 */
    get_scan_count(&in, nr);
    assert_int_equal(nr[SCAN_INACTIVE_ANON], 0);
    assert_int_equal(nr[SCAN_INACTIVE_FILE], in.size[SCAN_INACTIVE_FILE]);
}

static void hardly_any_file_pages_or_plenty_of_idle_ones_decide_alone(void **state)
{
    (void)state;
    struct scan_input in = even;
    uint64_t nr[SCAN_NR];
    in.priority = 2;
    in.file_is_tiny = true;
    get_scan_count(&in, nr);
    assert_int_equal(nr[SCAN_INACTIVE_ANON], 1024);
    assert_int_equal(nr[SCAN_INACTIVE_FILE], 0);
    in.file_is_tiny = false;
    in.cache_trim = true;
    get_scan_count(&in, nr);
    assert_int_equal(nr[SCAN_INACTIVE_ANON], 0);
    assert_int_equal(nr[SCAN_INACTIVE_FILE], 10240);
}

/* Below 1 GiB the lists should be equally long; at 1 GiB sqrt(10) = 3 times, at 10 GiB 10 times. */
static void the_inactive_list_is_low_by_the_square_root_of_ten_times_the_gibibytes(void **state)
{
    (void)state;
    assert_true(inactive_is_low(99, 100));
    assert_false(inactive_is_low(100, 100));
    uint64_t gib = 262144;
    assert_false(inactive_is_low(gib / 4, gib - gib / 4));
    assert_true(inactive_is_low(gib / 4 - 1, gib - gib / 4 + 1));
    assert_false(inactive_is_low(gib, 9 * gib));
    assert_true(inactive_is_low(gib * 9 / 10, 10 * gib - gib * 9 / 10));
    assert_int_equal(int_sqrt(99), 9);
    assert_int_equal(int_sqrt(100), 10);
    assert_int_equal(int_sqrt(0), 0);
}

static void costs_are_halved_when_they_exceed_a_quarter_of_the_lists(void **state)
{
    (void)state;
    uint64_t anon = 0, file = 40;
    scan_cost(&anon, &file, 1, 8, 1000); /* 40 + 40 <= 250 */
    assert_int_equal(anon, 40);
    assert_int_equal(file, 40);
    scan_cost(&anon, &file, 6, 0, 1000); /* 232 + 40 > 250 */
    assert_int_equal(anon, 116);
    assert_int_equal(file, 20);
    scan_cost(&anon, &file, 0, 0, 4); /* lru_note_cost_unlock_irq returns at once */
    assert_int_equal(anon, 116);
    assert_int_equal(file, 20);
}

static void file_pages_are_tiny_when_they_cannot_lift_the_node_above_its_high_marks(void **state)
{
    (void)state;
    assert_true(file_is_tiny(50, 50, 100, 5000, 12, false));
    assert_false(file_is_tiny(51, 50, 100, 5000, 12, false));
    assert_false(file_is_tiny(50, 50, 100, 4095, 12, false)); /* nothing to scan */
    assert_false(file_is_tiny(50, 50, 100, 5000, 12, true));
}

static void a_page_that_comes_back_within_the_working_set_is_recent(void **state)
{
    (void)state;
    struct refault_input in = {.distance = 100,
                               .active_file = 100,
                               .inactive_file = 7,
                               .active_anon = 30,
                               .inactive_anon = 20,
                               .file = true};
    assert_true(refault_is_recent(&in));
    in.distance = 101;
    assert_false(refault_is_recent(&in)); /* only active file pages count without swap */
    in.swap_left = true;                  /* 100 + 30 + 20 */
    in.distance = 150;
    assert_true(refault_is_recent(&in));
    in.distance = 151;
    assert_false(refault_is_recent(&in));
    in.file = false; /* 100 + 7 + 30 */
    in.distance = 137;
    assert_true(refault_is_recent(&in));
    in.distance = 138;
    assert_false(refault_is_recent(&in));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_swap_only_file_pages_are_looked_at),
        cmocka_unit_test(swappiness_60_gives_anonymous_pages_three_tenths),
        cmocka_unit_test(the_kind_that_cost_more_is_looked_at_less),
        cmocka_unit_test(the_last_resort_looks_at_everything_unless_swappiness_is_0),
        cmocka_unit_test(hardly_any_file_pages_or_plenty_of_idle_ones_decide_alone),
        cmocka_unit_test(the_inactive_list_is_low_by_the_square_root_of_ten_times_the_gibibytes),
        cmocka_unit_test(costs_are_halved_when_they_exceed_a_quarter_of_the_lists),
        cmocka_unit_test(file_pages_are_tiny_when_they_cannot_lift_the_node_above_its_high_marks),
        cmocka_unit_test(a_page_that_comes_back_within_the_working_set_is_recent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
