/* khugepaged and MADV_COLLAPSE. The cases are those of the kernel's own test, 6.18
 * tools/testing/selftests/mm/khugepaged.c (collapse_full, collapse_empty, collapse_single_pte_entry,
 * collapse_max_ptes_none, collapse_full_of_compound, collapse_fork, collapse_fork_compound,
 * collapse_max_ptes_shared), each for the thread and for the call where they differ; times are the
 * defaults of /sys/kernel/mm/transparent_hugepage/khugepaged. */
#include "unit/mm/big_box.h"

#define COLLAPSE 25
#define SCAN_MS  10000

static uint64_t now;

static int set_up(void **state)
{
    (void)state;
    big_box(0, false);
    now = 0;
    mm_tick(b.sys, now);
    return 0;
}

static void open_again(void)
{
    mm_close(b.mm);
    mm_sys_close(b.sys);
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    mm_tick(b.sys, now);
}

/* small maps n huge pages' worth of small pages, advised afterwards, and touches `pages`. */
static void small(uint64_t n, uint64_t pages, bool write)
{
    assert_int_equal(map_anon(&b, A, n * HP, RW), A);
    touch_pages(&b, A, pages, write);
    assert_int_equal(mm_madvise(b.mm, va(A), n * M2, MADV_HUGEPAGE), 0);
}

static void scan(void)
{
    now += SCAN_MS;
    mm_tick(b.sys, now);
}

static uint64_t huge_entries(struct mm *m, uint64_t n)
{
    uint64_t huge = 0;
    for (uint64_t i = 0; i < n; i++) {
        unsigned level = 0;
        const pte *e = pt_leaf(mm_pt(m), va(A + i * M2), &level);
        huge += e && level == 1;
    }
    return huge;
}

static void four_full_ranges_are_collapsed_in_one_scan(void **state)
{
    (void)state;
    small(4, 4 * HP, true);
    uint64_t minflt = counters(&b).minflt, tables = counters(&b).pte_bytes;
    scan(); /* 4096 entries: eight ranges at most */
    assert_int_equal(huge_entries(b.mm, 4), 4);
    assert_int_equal(counters(&b).minflt, minflt);
    assert_int_equal(counters(&b).pte_bytes, tables);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 4 * HP);
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc), 4);
    struct mm_thp_stats t;
    mm_thp_stats(b.sys, &t);
    assert_int_equal(t.pages_collapsed, 4);
}

static void nothing_happens_before_the_time_has_come(void **state)
{
    (void)state;
    small(1, HP, true);
    mm_tick(b.sys, SCAN_MS - 1);
    assert_int_equal(huge_entries(b.mm, 1), 0);
    mm_tick(b.sys, SCAN_MS);
    assert_int_equal(huge_entries(b.mm, 1), 1);
}

static void without_advice_or_where_disabled_nothing_is_collapsed(void **state)
{
    (void)state;
    assert_int_equal(map_anon(&b, A, HP, RW), A);
    touch_pages(&b, A, HP, true);
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0);
    mm_thp_disable(b.mm, true, false);
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 0);
}

static void empty_memory_is_not_collapsed(void **state)
{
    (void)state;
    small(1, 0, true);
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), -EINVAL);
}

/* What madvise_collapse answers for shared memory: 0 where no whole huge page lies in the range, EINVAL
 * where one is empty or the VMA is not aligned (the kernel's answers; seed 314453). */
static void shared_memory_is_asked_for_whole_huge_pages_only(void **state)
{
    (void)state;
    const uint32_t flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
    assert_int_equal(map_full(&b, A, M2 + M2 / 2, RW, flags, NULL, 0), A);
    assert_int_equal(mm_madvise(b.mm, va(A), M2 / 2, COLLAPSE), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(A + M2), M2 / 2, COLLAPSE), 0);
    assert_int_equal(mm_madvise(b.mm, va(A - M2), M2 + K, COLLAPSE), -ENOMEM);
    assert_int_equal(map_full(&b, A + 4 * M2 + K, 2 * M2, RW, flags, NULL, 0), A + 4 * M2 + K);
    assert_int_equal(mm_madvise(b.mm, va(A + 4 * M2 + K), K, COLLAPSE), -EINVAL);
}

static void one_page_is_enough_with_the_default_limit(void **state)
{
    (void)state;
    small(1, 1, true);
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 1);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], HP);
}

static void max_ptes_none_binds_the_thread_and_not_the_call(void **state)
{
    (void)state;
    b.conf.khugepaged_max_ptes_none = 256;
    open_again();
    small(1, HP - 256 - 1, true);
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 0);
    assert_int_equal(STAT(&b.stats, thp_scan_exceed_none_pte), 1);
    touch_pages(&b, A + (HP - 257) * K, 1, true);
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 1);
    assert_int_equal(mm_madvise(b.mm, va(A), K, MADV_DONTNEED), 0);
    assert_int_equal(mm_madvise(b.mm, va(A + 100 * K), 300 * K, MADV_DONTNEED), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(huge_entries(b.mm, 1), 1);
}

static void zero_pages_alone_are_not_worth_it(void **state)
{
    (void)state;
    small(1, 1, true);
    assert_int_equal(mm_madvise(b.mm, va(A), K, MADV_DONTNEED), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_NOHUGEPAGE), 0);
    touch_pages(&b, A, HP, false);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0);
    scan(); /* 512 of them are one more than the limit */
    assert_int_equal(huge_entries(b.mm, 1), 0);
}

static void a_page_table_of_a_split_huge_page_is_collapsed_again(void **state)
{
    (void)state;
    assert_int_equal(map_anon(&b, A, HP, RW), A);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_mprotect(b.mm, va(A), K, PROT_READ), 0);
    assert_int_equal(mm_mprotect(b.mm, va(A), K, RW), 0);
    assert_int_equal(huge_entries(b.mm, 1), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(huge_entries(b.mm, 1), 1);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), HP);
}

static void a_huge_page_that_is_there_counts_as_done(void **state)
{
    (void)state;
    small(1, HP, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    uint64_t before = STAT(&b.stats, thp_collapse_alloc);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc), before);
}

static void the_call_asks_no_setting_but_nohugepage(void **state)
{
    (void)state;
    b.conf.thp_enabled = 2; /* never */
    open_again();
    assert_int_equal(map_anon(&b, A, HP, RW), A);
    touch_pages(&b, A, 10, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(huge_entries(b.mm, 1), 1);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_NOHUGEPAGE), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), -EINVAL);
}

static void a_child_collapses_a_copy_and_the_parent_keeps_its_pages(void **state)
{
    (void)state;
    struct mm *child;
    small(1, HP, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_madvise(child, va(A), M2, COLLAPSE), 0);
    assert_int_equal(huge_entries(child, 1), 1);
    assert_int_equal(huge_entries(b.mm, 1), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 2 * HP);
    assert_int_equal(mm_audit(b.mm), 0);
    mm_close(child);
}

static bool mlocked(uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b.mm), va(a), &level);
    const struct frame *f = phys_frame(b.phys, pte_leaf_pfn(*e, level));
    return f->flags & FRAME_F_MLOCKED;
}

/* __folio_add_anon_rmap locks small folios only; those of a split come back as small ones
 * (remove_migration_pte; the kernel's answer to seed 360005). */
static void a_locked_part_of_a_huge_page_is_mlocked_when_it_is_split(void **state)
{
    (void)state;
    small(1, HP, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(mm_mlock(b.mm, va(A + 8 * K), K, 1 /* MLOCK_ONFAULT */), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(huge_entries(b.mm, 1), 0);
    assert_false(mlocked(A));
    assert_int_equal(mm_madvise(b.mm, va(A), 4 * K, MADV_FREE), 0); /* splits the folio */
    mm_lru_drain(b.sys);
    assert_false(mlocked(A + 7 * K));
    assert_true(mlocked(A + 8 * K));
    assert_false(mlocked(A + 9 * K));
    assert_int_equal(mm_audit(b.mm), 0);
}

/* Taken away for the split, the pages are unlocked; back in the locked VMA they are locked. */
static void a_split_keeps_all_of_a_locked_huge_page_locked(void **state)
{
    (void)state;
    small(1, HP, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(mm_mlock(b.mm, va(A), M2, 0), 0);
    mm_lru_drain(b.sys);
    assert_true(mlocked(A));
    assert_int_equal(mm_munlock(b.mm, va(A), 4 * K), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), 4 * K, MADV_FREE), 0);
    mm_lru_drain(b.sys);
    assert_false(mlocked(A));
    assert_true(mlocked(A + 4 * K));
    assert_true(mlocked(A + M2 - K));
    assert_int_equal(mm_audit(b.mm), 0);
}

/* swapin_walk_ops has no pte_entry, so a huge entry stays whole (the kernel's answer to seed 403861). */
static void advice_to_swap_in_splits_no_huge_page(void **state)
{
    (void)state;
    small(1, HP, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), 16 * K, MADV_WILLNEED), 0);
    assert_int_equal(huge_entries(b.mm, 1), 1);
}

static void max_ptes_shared_binds_the_thread(void **state)
{
    (void)state;
    struct mm *child;
    small(1, HP, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    touch_pages(&b, A, HP - 257, true); /* 257 stay shared, one more than the limit */
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 0);
    assert_true(STAT(&b.stats, thp_scan_exceed_share_pte) > 0);
    touch_pages(&b, A, HP - 256, true);
    scan();
    assert_int_equal(huge_entries(b.mm, 1), 1);
    mm_close(child);
}

static void no_memory_puts_the_thread_to_sleep_for_alloc_sleep(void **state)
{
    (void)state;
    small(2, 2 * HP, true);
    phys_fail_every(b.phys, 1);
    scan();
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc_failed), 1);
    phys_fail_every(b.phys, 0);
    scan();
    assert_int_equal(huge_entries(b.mm, 2), 0);
    now += 50000;
    mm_tick(b.sys, now);                        /* 60 s after the failure */
    assert_int_equal(huge_entries(b.mm, 2), 1); /* it goes on behind the range that failed */
}

static void an_ending_process_leaves_the_list(void **state)
{
    (void)state;
    struct mm *other;
    small(1, HP, true);
    assert_int_equal(mm_fork(&other, b.mm), 0);
    scan();
    mm_close(other);
    scan();
    assert_int_equal(mm_fork(&other, b.mm), 0);
    scan();
    mm_close(other);
    scan();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(four_full_ranges_are_collapsed_in_one_scan),
        T(nothing_happens_before_the_time_has_come),
        T(without_advice_or_where_disabled_nothing_is_collapsed),
        T(empty_memory_is_not_collapsed),
        T(shared_memory_is_asked_for_whole_huge_pages_only),
        T(one_page_is_enough_with_the_default_limit),
        T(max_ptes_none_binds_the_thread_and_not_the_call),
        T(zero_pages_alone_are_not_worth_it),
        T(a_page_table_of_a_split_huge_page_is_collapsed_again),
        T(a_huge_page_that_is_there_counts_as_done),
        T(the_call_asks_no_setting_but_nohugepage),
        T(a_child_collapses_a_copy_and_the_parent_keeps_its_pages),
        T(a_locked_part_of_a_huge_page_is_mlocked_when_it_is_split),
        T(a_split_keeps_all_of_a_locked_huge_page_locked),
        T(advice_to_swap_in_splits_no_huge_page),
        T(max_ptes_shared_binds_the_thread),
        T(no_memory_puts_the_thread_to_sleep_for_alloc_sleep),
        T(an_ending_process_leaves_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
