/* test_fault.c: the outcome table of page faults on Linux 6.18, row by row. */
#include "unit/mm/mm_fixture.h"

#define AT UINT64_C(0x10000000)

static void reading_anonymous_memory_maps_the_zero_page_without_rss(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 16, RW);
    assert_int_equal(touch_pages(&b, AT, 16, false), 16);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0);
    assert_int_equal(touch_pages(&b, AT, 16, true), 16);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 16);
    assert_int_equal(touch_pages(&b, AT, 16, true), 0);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_anonymous_memory_maps_the_zero_page_without_rss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
