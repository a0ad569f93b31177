/* thp.c: which orders a mapping may have. Expectations: Linux 6.18 include/linux/huge_mm.h and
 * Documentation/admin-guide/mm/transhuge.rst; observed values are marked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/thp.h"

#define PMD (1u << THP_PMD_ORDER)
#define M2  MIB(2)

static const struct thp_knobs madvise = {
    .enabled = THP_MADVISE, .inherit = PMD, .shmem = THP_SHMEM_NEVER};
static const struct thp_knobs always = {
    .enabled = THP_ALWAYS, .inherit = PMD, .shmem = THP_SHMEM_NEVER};
static const struct thp_knobs never = {
    .enabled = THP_NEVER, .inherit = PMD, .shmem = THP_SHMEM_NEVER};

static struct thp_vma anon(void)
{
    return (struct thp_vma){.start = M2, .end = 4 * M2, .anonymous = true, .faulted = true};
}

static unsigned fault_orders(const struct thp_knobs *k, const struct thp_vma *v)
{
    return thp_allowable_orders(k, v, TVA_PAGEFAULT, ~0u);
}

static void advice_decides_where_enabled_is_madvise(void **state)
{
    struct thp_vma v = anon();
    (void)state;
    assert_int_equal(fault_orders(&madvise, &v), 0);
    assert_int_equal(fault_orders(&always, &v), PMD);
    v.hugepage = true;
    assert_int_equal(fault_orders(&madvise, &v), PMD);
    assert_int_equal(fault_orders(&never, &v), 0);
    v.nohugepage = true;
    assert_int_equal(fault_orders(&always, &v), 0);
}

static void a_size_of_its_own_does_not_ask_the_global_setting(void **state)
{
    struct thp_knobs k = {.enabled = THP_NEVER, .always = 1u << 4, .madvise = 1u << 5};
    struct thp_vma v = anon();
    (void)state;
    assert_int_equal(fault_orders(&k, &v), 1u << 4);
    v.hugepage = true;
    assert_int_equal(fault_orders(&k, &v), 1u << 4 | 1u << 5);
}

static void orders_below_two_do_not_exist_for_anonymous_memory(void **state)
{
    struct thp_knobs k = {.enabled = THP_ALWAYS, .always = ~0u};
    struct thp_vma v = anon();
    (void)state;
    assert_int_equal(fault_orders(&k, &v), THP_ORDERS_ANON);
}

static void prctl_disables_and_may_except_advised_memory(void **state)
{
    struct thp_vma v = anon();
    (void)state;
    v.disabled = true;
    assert_int_equal(fault_orders(&always, &v), 0);
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_FORCED_COLLAPSE, PMD), 0);
    v.disabled = false;
    v.except_advised = true;
    assert_int_equal(fault_orders(&always, &v), 0);
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_FORCED_COLLAPSE, PMD), PMD);
    v.hugepage = true;
    assert_int_equal(fault_orders(&always, &v), PMD);
}

static void a_forced_collapse_ignores_never_but_not_nohugepage(void **state)
{
    struct thp_vma v = anon();
    (void)state;
    assert_int_equal(thp_allowable_orders(&never, &v, TVA_FORCED_COLLAPSE, PMD), PMD);
    v.nohugepage = true;
    assert_int_equal(thp_allowable_orders(&never, &v, TVA_FORCED_COLLAPSE, PMD), 0);
}

static void khugepaged_needs_a_fitting_range_and_a_faulted_mapping(void **state)
{
    struct thp_vma v = anon();
    (void)state;
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_KHUGEPAGED, PMD), PMD);
    v.faulted = false;
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_KHUGEPAGED, PMD), 0);
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_SMAPS, PMD), PMD);
    v.start = M2 + PAGE_SIZE; /* THPeligible looks for a range that fits at the end */
    v.end = 2 * M2 + PAGE_SIZE;
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_SMAPS, PMD), 0);
    v.end = 3 * M2;
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_SMAPS, PMD), PMD);
    v.faulted = v.no_khugepaged = true;
    assert_int_equal(thp_allowable_orders(&always, &v, TVA_KHUGEPAGED, PMD), 0);
}

static void a_stack_during_exec_and_file_memory_have_none(void **state)
{
    struct thp_vma v = anon();
    (void)state;
    v.temporary_stack = true;
    assert_int_equal(fault_orders(&always, &v), 0);
    v = anon();
    v.anonymous = false;
    assert_int_equal(fault_orders(&always, &v), 0);
}

static void the_aligned_range_must_lie_in_the_mapping(void **state)
{
    struct thp_vma v = anon();
    (void)state;
    v.start += KIB(16);
    assert_int_equal(thp_suitable_orders(&v, v.start, THP_ORDERS_ANON), 1u << 2);
    assert_int_equal(thp_suitable_orders(&v, M2 + KIB(64), THP_ORDERS_ANON),
                     1u << 2 | 1u << 3 | 1u << 4);
    assert_int_equal(thp_suitable_orders(&v, 2 * M2, THP_ORDERS_ANON), THP_ORDERS_ANON);
}

static void defrag_says_who_reclaims(void **state)
{
    (void)state;
    assert_true(thp_effort(THP_DEFRAG_MADVISE, true).direct);
    assert_false(thp_effort(THP_DEFRAG_MADVISE, false).direct);
    assert_true(thp_effort(THP_DEFRAG_ALWAYS, false).direct);
    assert_true(thp_effort(THP_DEFRAG_ALWAYS, false).noretry);
    assert_false(thp_effort(THP_DEFRAG_ALWAYS, true).noretry);
    assert_false(thp_effort(THP_DEFRAG_DEFER, true).direct);
    assert_true(thp_effort(THP_DEFRAG_DEFER, true).kswapd);
    assert_true(thp_effort(THP_DEFRAG_DEFER_MADVISE, true).direct);
    assert_false(thp_effort(THP_DEFRAG_DEFER_MADVISE, false).direct);
    assert_true(thp_effort(THP_DEFRAG_DEFER_MADVISE, false).kswapd);
    assert_false(thp_effort(THP_DEFRAG_NEVER, true).direct);
}

static void khugepaged_runs_when_some_setting_lets_it(void **state)
{
    struct thp_knobs k = {.enabled = THP_NEVER, .madvise = PMD, .shmem = THP_SHMEM_NEVER};
    struct thp_knobs shmem = never;
    (void)state;
    shmem.shmem = THP_SHMEM_ADVISE; /* shmem_hpage_pmd_enabled */
    assert_true(thp_pmd_enabled(&shmem));
    shmem.shmem = THP_SHMEM_DENY;
    assert_false(thp_pmd_enabled(&shmem));
    assert_true(thp_pmd_enabled(&madvise));
    assert_true(thp_pmd_enabled(&always));
    assert_false(thp_pmd_enabled(&never));
    assert_true(thp_pmd_enabled(&k));
}

/* Observed on 6.18.44 with each word of shmem_enabled: touches of a memfd of 2 MiB and 3 pages, of
 * shared anonymous memory before and after MADV_HUGEPAGE, of a file of /dev/shm. */
static void shared_memory_asks_shmem_enabled(void **state)
{
    static const unsigned in[] = {PMD, PMD, 0, 0, 0, PMD}, tail[] = {PMD, 0, 0, 0, 0, PMD},
                          advised_tail[] = {PMD, PMD, PMD, 0, 0, PMD},
                          mounted[] = {0, 0, 0, 0, 0, PMD},
                          collapse[] = {PMD, PMD, PMD, PMD, 0, PMD};
    (void)state;
    for (unsigned how = THP_SHMEM_ALWAYS; how <= THP_SHMEM_FORCE; how++) {
        struct thp_vma v = {.start = M2, .end = 5 * M2, .shmem = true, .file_pages = 515};
        assert_int_equal(thp_shmem_orders(how, &v, 5, false), in[how]);
        assert_int_equal(thp_shmem_orders(how, &v, 513, false), tail[how]);
        assert_int_equal(thp_shmem_orders(how, &v, 5, true), collapse[how]);
        v.hugepage = true;
        assert_int_equal(thp_shmem_orders(how, &v, 513, false), advised_tail[how]);
        v.shmem_mounted = true;
        assert_int_equal(thp_shmem_orders(how, &v, 5, false), mounted[how]);
        v.nohugepage = true;
        assert_int_equal(thp_shmem_orders(how, &v, 5, false), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advice_decides_where_enabled_is_madvise),
        cmocka_unit_test(a_size_of_its_own_does_not_ask_the_global_setting),
        cmocka_unit_test(orders_below_two_do_not_exist_for_anonymous_memory),
        cmocka_unit_test(prctl_disables_and_may_except_advised_memory),
        cmocka_unit_test(a_forced_collapse_ignores_never_but_not_nohugepage),
        cmocka_unit_test(shared_memory_asks_shmem_enabled),
        cmocka_unit_test(khugepaged_needs_a_fitting_range_and_a_faulted_mapping),
        cmocka_unit_test(a_stack_during_exec_and_file_memory_have_none),
        cmocka_unit_test(the_aligned_range_must_lie_in_the_mapping),
        cmocka_unit_test(defrag_says_who_reclaims),
        cmocka_unit_test(khugepaged_runs_when_some_setting_lets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
