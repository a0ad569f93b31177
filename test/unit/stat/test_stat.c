/* The counter table: names are unique, found again, and each has a sentence. */
#include "stat/stat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void every_counter_is_found_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; i < STAT_NR; i++)
        assert_int_equal(stat_find(stat_info((enum stat_id)i)->name), i);
}

static void case_does_not_matter_and_unknown_names_give_minus_one(void **state)
{
    (void)state;
    assert_int_equal(stat_find("PGFAULT"), STAT_pgfault);
    assert_int_equal(stat_find("pgfaul"), -1);
    assert_int_equal(stat_find(""), -1);
}

static void every_counter_has_a_sentence(void **state)
{
    (void)state;
    for (int i = 0; i < STAT_NR; i++) {
        const char *m = stat_info((enum stat_id)i)->meaning;
        assert_true(strlen(m) > 10);
        assert_int_equal(m[strlen(m) - 1], '.');
    }
}

static void names_can_stand_in_json_and_in_a_shell_word(void **state)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-:";
    (void)state;
    for (int i = 0; i < STAT_NR; i++) {
        const char *name = stat_info((enum stat_id)i)->name;
        assert_int_equal(strspn(name, allowed), strlen(name));
    }
}

static void counting_reaches_one_counter_only(void **state)
{
    struct stat_set s = {{0}};
    (void)state;
    STAT(&s, pgfault)++;
    for (int i = 0; i < STAT_NR; i++)
        assert_int_equal(s.v[i], i == STAT_pgfault);
}

static void units_have_names(void **state)
{
    (void)state;
    assert_string_equal(stat_unit_name(UNIT_COUNT), "count");
    assert_string_equal(stat_unit_name(UNIT_CYCLES), "cycles");
    assert_string_equal(stat_unit_name(UNIT_PAGES), "pages");
    assert_string_equal(stat_unit_name(UNIT_KIB), "KiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_is_found_by_its_name),
        cmocka_unit_test(case_does_not_matter_and_unknown_names_give_minus_one),
        cmocka_unit_test(every_counter_has_a_sentence),
        cmocka_unit_test(names_can_stand_in_json_and_in_a_shell_word),
        cmocka_unit_test(counting_reaches_one_counter_only),
        cmocka_unit_test(units_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
