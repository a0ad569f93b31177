/* test_advice.c: each suggestion appears when its cause is there, with the gain computed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/advice.h"
#include "report/text.h"
#include "unit/report/made.h"

static struct made made;

static int fresh(void **state)
{
    (void)state;
    made_open(&made);
    return 0;
}

/* The first suggestion that begins with these words, or NULL. */
static const struct advice *told(const char *begin)
{
    static struct advice a[ADVICE_MAX];
    unsigned n = advise(&made.report, a);
    for (unsigned i = 0; i < n; i++)
        if (strncmp(a[i].what, begin, strlen(begin)) == 0)
            return &a[i];
    return NULL;
}

static void nothing_costs_nothing_is_advised(void **state)
{
    struct advice a[ADVICE_MAX];
    (void)state;
    for (unsigned i = 0; i < MADE_AREAS; i++)
        made.area[i].walks = made.area[i].walk_cycles = made.area[i].faults = 0;
    made.stats = (struct stat_set){{0}};
    STAT(&made.stats, instructions) = 1000000000;
    cpu_cycles(&made.conf, &made.stats, &made.report.cycles);
    assert_int_equal(advise(&made.report, a), 0);
}

/* 512 MiB are 256 huge pages, which fit 1536 entries: one walk each is left. */
static void an_area_that_fits_as_huge_pages_keeps_one_walk_per_huge_page(void **state)
{
    (void)state;
    assert_int_equal(advice_huge_walks(&made.conf, MIB(512), 1000000), 256);
    assert_int_equal(advice_huge_walks(&made.conf, MIB(3), 1000000), 2);
    assert_int_equal(advice_huge_walks(&made.conf, MIB(512), 100), 100);
}

/* 12 GiB: 3145728 small pages and 6144 huge ones on 1536 entries: misses 1 - 1536/3145728 of the
 * accesses before, 1 - 1536/6144 = 3/4 after. */
static void an_area_beyond_huge_reach_keeps_the_uniform_share(void **state)
{
    double expected = 1e6 * 0.75 / (1.0 - 1536.0 / 3145728.0);
    (void)state;
    assert_in_range(advice_huge_walks(&made.conf, GIB(12), 1000000), (uint64_t)expected - 1,
                    (uint64_t)expected + 1);
}

static void without_entries_for_huge_pages_nothing_is_promised(void **state)
{
    (void)state;
    made.conf.tlb_d2_entries = 0;
    made.conf.tlb_l2_sizes = TLB_SIZES_4K;
    made.conf.tlb_l2b_entries = 0;
    assert_int_equal(advice_huge_walks(&made.conf, MIB(512), 1000000), 1000000);
}

static void a_heap_that_is_walked_for_gets_huge_pages(void **state)
{
    (void)state;
    const struct advice *a = told("glibc.malloc.hugetlb=1 for [heap]");
    assert_non_null(a);
    /* 60 M cycles × (1000000 - 256) / 1000000 */
    assert_in_range(a->gain_cycles, 59984639, 59984641);
    assert_non_null(strstr(a->what, "999,744 walks"));
}

static void a_mapping_that_is_walked_for_gets_madvise(void **state)
{
    (void)state;
    made_area(&made, 0, "[anon]", MIB(512), 1000000, 60000000, 0);
    assert_non_null(told("MADV_HUGEPAGE on [anon] (512 MiB)"));
    made_area(&made, 0, "/data/file", MIB(512), 1000000, 60000000, 0);
    assert_null(told("MADV_HUGEPAGE"));
}

/* 131077 faults × (700 entry + 120 look-up) */
static void many_first_writes_suggest_populating(void **state)
{
    (void)state;
    const struct advice *a = told("MAP_POPULATE");
    assert_non_null(a);
    assert_int_equal(a->gain_cycles, UINT64_C(131077) * 820);
}

/* 512 MiB have 131072 pages; 400000 faults are 268928 too many of 2000 cycles each. */
static void memory_faulted_in_again_suggests_keeping_it(void **state)
{
    (void)state;
    assert_null(told("keep freed memory"));
    made_area(&made, 0, "[heap]", MIB(512), 0, 0, 400000);
    const struct advice *a = told("keep freed memory");
    assert_non_null(a);
    assert_in_range(a->gain_cycles, UINT64_C(268928) * 2000 - 1, UINT64_C(268928) * 2000 + 1);
}

static void instruction_walks_suggest_huge_text(void **state)
{
    (void)state;
    assert_null(told("code on 2 MiB pages"));
    STAT(&made.stats, itlb_walk) = 5000000;
    STAT(&made.stats, itlb_walk_active) = 150000000;
    STAT(&made.stats, itlb_stlb_hit) = 1000000;
    cpu_cycles(&made.conf, &made.stats, &made.report.cycles);
    const struct advice *a = told("code on 2 MiB pages");
    assert_non_null(a);
    assert_int_equal(a->gain_cycles, 150000000 + 1000000 * made.conf.mmu_stlb_cycles);
}

static void file_faults_relocations_and_calls_have_their_own_lines(void **state)
{
    (void)state;
    STAT(&made.stats, fault_anon) = STAT(&made.stats, fault_cycles_anon) = 0;
    made_area(&made, 0, "[heap]", MIB(512), 0, 0, 0);
    STAT(&made.stats, fault_file_read) = 100000;
    STAT(&made.stats, fault_cycles_file_read) = 300000000;
    STAT(&made.stats, fault_file_cow) = 50000;
    STAT(&made.stats, fault_cycles_file_cow) = 200000000;
    STAT(&made.stats, kernel_cycles_memory) = 100000000;
    cpu_cycles(&made.conf, &made.stats, &made.report.cycles);
    assert_int_equal(told("try --set kernel.fault_around=64")->gain_cycles, 82000000);
    assert_int_equal(told("fewer relocations")->gain_cycles, 200000000);
    assert_int_equal(told("fewer mmap, munmap and brk calls")->gain_cycles, 100000000);
}

static void the_best_three_come_first_and_small_gains_are_not_told(void **state)
{
    struct advice a[ADVICE_MAX];
    (void)state;
    STAT(&made.stats, itlb_walk_active) = 150000000;
    STAT(&made.stats, kernel_cycles_memory) = 100000000;
    STAT(&made.stats, fault_cycles_file_cow) = 200000000;
    cpu_cycles(&made.conf, &made.stats, &made.report.cycles);
    unsigned n = advise(&made.report, a);
    assert_int_equal(n, 3);
    assert_int_equal(a[0].gain_cycles, 200000000);
    assert_true(a[0].gain_cycles >= a[1].gain_cycles && a[1].gain_cycles >= a[2].gain_cycles);
    made.report.cycles.total = UINT64_C(100) * 200000001;
    assert_int_equal(advise(&made.report, a), 0);
}

/* The widest figures there are must leave every line whole in the summary's right column. */
static void every_suggestion_fits_its_line(void **state)
{
    struct advice a[ADVICE_MAX];
    (void)state;
    for (unsigned rule = 0; rule < 7; rule++) {
        fresh(NULL);
        made_area(&made, 0, rule & 1 ? "[anon]" : "[heap]", MIB(999), rule < 2 ? 9999999 : 0,
                  rule < 2 ? UINT64_C(1) << 40 : 0, rule == 2 ? 9999999 : 0);
        made.stats = (struct stat_set){{0}};
        STAT(&made.stats, itlb_walk) = 9999999;
        STAT(&made.stats, itlb_walk_active) = rule == 3 ? UINT64_C(1) << 40 : 0;
        STAT(&made.stats, fault_anon) = STAT(&made.stats, fault_file_read) = 9999999;
        STAT(&made.stats, fault_file_cow) = 9999999;
        STAT(&made.stats, fault_cycles_anon) = rule == 4 ? UINT64_C(1) << 40 : 0;
        STAT(&made.stats, fault_cycles_file_read) = rule == 5 ? UINT64_C(1) << 40 : 0;
        STAT(&made.stats, fault_cycles_file_cow) = rule == 6 ? UINT64_C(1) << 40 : 0;
        made.report.cycles.total =
            rule == 4 || rule == 5 ? UINT64_C(9999999) * 820 : UINT64_C(1) << 40;
        unsigned n = advise(&made.report, a);
        assert_int_not_equal(n, 0);
        for (unsigned i = 0; i < n; i++)
            assert_in_range(text_columns(a[i].what), 10, REPORT_COLUMNS_MAX - 13);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_costs_nothing_is_advised, fresh),
        cmocka_unit_test_setup(an_area_that_fits_as_huge_pages_keeps_one_walk_per_huge_page, fresh),
        cmocka_unit_test_setup(an_area_beyond_huge_reach_keeps_the_uniform_share, fresh),
        cmocka_unit_test_setup(without_entries_for_huge_pages_nothing_is_promised, fresh),
        cmocka_unit_test_setup(a_heap_that_is_walked_for_gets_huge_pages, fresh),
        cmocka_unit_test_setup(a_mapping_that_is_walked_for_gets_madvise, fresh),
        cmocka_unit_test_setup(many_first_writes_suggest_populating, fresh),
        cmocka_unit_test_setup(memory_faulted_in_again_suggests_keeping_it, fresh),
        cmocka_unit_test_setup(instruction_walks_suggest_huge_text, fresh),
        cmocka_unit_test_setup(file_faults_relocations_and_calls_have_their_own_lines, fresh),
        cmocka_unit_test_setup(the_best_three_come_first_and_small_gains_are_not_told, fresh),
        cmocka_unit_test_setup(every_suggestion_fits_its_line, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
