/* test_explain.c: every counter and option has an explanation, and typing errors find the name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "report/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *told(const char *name)
{
    struct conf c;
    struct sink out;
    conf_init(&c);
    c.tlb_l2_entries = 3072;
    sink_memory(&out);
    int r = explain(&out, name, &c);
    if (r != 0)
        assert_int_equal(r, -ENOENT);
    char *text = sink_take(&out);
    assert_non_null(text);
    assert_true((r == 0) == (text[0] != '\0'));
    return text;
}

static void check(const char *name, const char *part)
{
    char *text = told(name);
    assert_non_null(strstr(text, part));
    free(text);
}

static void every_counter_says_unit_and_meaning(void **state)
{
    (void)state;
    for (int i = 0; i < STAT_NR; i++) {
        check(stat_info((enum stat_id)i)->name, stat_info((enum stat_id)i)->meaning);
        check(stat_info((enum stat_id)i)->name, stat_unit_name(stat_info((enum stat_id)i)->unit));
    }
}

static void every_option_says_its_help_and_values(void **state)
{
    size_t n;
    const struct conf_option *o = conf_options(&n);
    (void)state;
    for (size_t i = 0; i < n; i++)
        check(o[i].key, o[i].help);
    check("tlb.l2.entries", "default  1536\n  now      3072 (machine default)");
    check("tlb.l2.entries", "range    0 to 65536 entries");
    check("cache.l3.kind", "victim|inclusive|neither");
    check("mmu.pcid", "on, off");
}

static void parts_of_the_cycles_name_what_feeds_them(void **state)
{
    (void)state;
    check("translation", "dtlb_load_misses.walk_active");
    check("cycles.fault", "fault_cycles.anon");
    check("base", "instructions x cpu.cpi / 1000");
    check("total", "base + memory + translation + fault + kernel");
}

/* The part that grows when a counter grows, asked of the time model itself. */
static const char *grown(enum stat_id id)
{
    struct stat_set s = {{0}};
    struct cpu_cycles y;
    struct conf c;
    conf_init(&c);
    s.v[id] = 1000000;
    cpu_cycles(&c, &s, &y);
    return y.base != 0          ? "base"
           : y.memory != 0      ? "memory"
           : y.translation != 0 ? "translation"
           : y.fault != 0       ? "fault"
           : y.kernel != 0      ? "kernel"
                                : "none";
}

static void counters_feed_the_part_the_time_model_takes_them_for(void **state)
{
    (void)state;
    for (int i = 0; i < STAT_NR; i++) {
        const char *part = explain_feeds((enum stat_id)i);
        assert_string_equal(part != NULL ? part : "none", grown((enum stat_id)i));
    }
}

static void perf_names_are_those_of_the_modelled_cpu(void **state)
{
    struct conf intel, amd;
    (void)state;
    conf_init(&intel);
    conf_init(&amd);
    strcpy(amd.cpu_model, "AMD EPYC 9654 (Zen 4)");
    assert_non_null(strstr(explain_perf(STAT_dtlb_load_walk, &intel), "same name"));
    assert_non_null(
        strstr(explain_perf(STAT_dtlb_load_walk, &amd), "ls_l1_d_tlb_miss.all_l2_miss (AMD"));
    assert_non_null(
        strstr(explain_perf(STAT_itlb_walk_2m, &amd), "bp_l1_tlb_miss_l2_tlb_miss.if2m"));
    assert_string_equal(explain_perf(STAT_minor_faults, &amd), "minor-faults (software event)");
    assert_null(explain_perf(STAT_dtlb_load_walk_active, &amd));
    assert_null(explain_perf(STAT_walk_fault, &intel));
    assert_null(explain_perf(STAT_store_l1_hit, &intel));
}

static void case_does_not_matter(void **state)
{
    (void)state;
    check("DTLB_LOAD_MISSES.WALK_ACTIVE", "dtlb_load_misses.walk_active: a counter");
    check("PHYS.SIZE", "phys.size: an option");
}

static void unknown_names_find_their_neighbours(void **state)
{
    char near[256];
    (void)state;
    char *text = told("dtlb_load_misses.walk_activ");
    free(text);
    assert_string_equal(explain_nearest("phys.sice", near, sizeof(near)),
                        "phys.size, phys.pcp or phys.bits");
    assert_string_equal(explain_nearest("pgfualt", near, sizeof(near)), "pgfault");
    assert_non_null(
        strstr(explain_nearest("walk_active", near, sizeof(near)), "dtlb_load_misses.walk_active"));
    assert_string_equal(explain_nearest("qqqqqqqqqqqq", near, sizeof(near)), "");
    assert_string_equal(explain_nearest("", near, sizeof(near)), "");
    assert_true(strlen(explain_nearest("walk_active", near, 12)) < 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_says_unit_and_meaning),
        cmocka_unit_test(every_option_says_its_help_and_values),
        cmocka_unit_test(parts_of_the_cycles_name_what_feeds_them),
        cmocka_unit_test(counters_feed_the_part_the_time_model_takes_them_for),
        cmocka_unit_test(perf_names_are_those_of_the_modelled_cpu),
        cmocka_unit_test(case_does_not_matter),
        cmocka_unit_test(unknown_names_find_their_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
