/* test_frag.c: when proactive compaction starts and stops. Expectations: fragmentation_score_wmark of
 * Linux 6.18.44, mm/compaction.c: stop at 100 - proactiveness, start min(10, half of that) above. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/frag.h"

static void proactive_compaction_starts_ten_or_half_of_it_above_where_it_stops(void **state)
{
    (void)state;
    static const unsigned rows[][3] = {/* proactiveness, stop, start */
                                       {0, 100, 100}, {5, 95, 100}, {20, 80, 90}, {80, 20, 30},
                                       {90, 10, 15},  {98, 2, 3},   {99, 1, 1},   {100, 0, 0}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fragmentation_score_wmark(rows[i][0], true), rows[i][1]);
        assert_int_equal(fragmentation_score_wmark(rows[i][0], false), rows[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proactive_compaction_starts_ten_or_half_of_it_above_where_it_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
