/* Huge pages: entries of 2 MiB. Expectations: reference observations of Linux 6.18 (faults, VmPTE,
 * AnonHugePages) and mm/huge_memory.c. Addresses are 2 MiB aligned windows. */
#include "unit/mm/big_box.h"

static int set_up(void **state)
{
    (void)state;
    return big_box(0, false);
}

/* advised maps n huge pages at A with MADV_HUGEPAGE. */
static void advised(uint64_t n)
{
    assert_int_equal(map_anon(&b, A, n * HP, RW), A);
    assert_int_equal(mm_madvise(b.mm, va(A), n * M2, MADV_HUGEPAGE), 0);
}

static uint64_t huge_entries(uint64_t n)
{
    uint64_t huge = 0;
    for (uint64_t i = 0; i < n; i++) {
        unsigned level = 0;
        const pte *e = pt_leaf(mm_pt(b.mm), va(A + i * M2), &level);
        huge += e && level == 1;
    }
    return huge;
}

static uint64_t anon_pages(void)
{
    return counters(&b).rss[MM_ANONPAGES];
}

static uint64_t vmpte_kb(void)
{
    return counters(&b).pte_bytes / 1024;
}

static void a_write_maps_two_mebibytes_with_one_fault(void **state)
{
    (void)state;
    advised(2);
    assert_int_equal(touch_pages(&b, A, HP, true), 1);
    assert_int_equal(huge_entries(2), 1);
    assert_int_equal(anon_pages(), HP);
    assert_int_equal(STAT(&b.stats, thp_fault_alloc), 1);
    assert_int_equal(vmpte_kb(), 4 + 4 + 4); /* PUD and PMD tables, and the deposited PTE table */
    assert_int_equal(touch_pages(&b, A + M2, HP, true), 1);
    assert_int_equal(vmpte_kb(), 4 + 4 + 8);
}

static void without_advice_pages_stay_small(void **state)
{
    (void)state;
    assert_int_equal(map_anon(&b, A, HP, RW), A);
    assert_int_equal(touch_pages(&b, A, HP, true), HP);
    assert_int_equal(huge_entries(1), 0);
}

static void a_read_maps_the_huge_zero_page_and_a_write_replaces_it(void **state)
{
    (void)state;
    advised(1);
    assert_int_equal(touch_pages(&b, A, HP, false), 1);
    assert_int_equal(huge_entries(1), 1);
    assert_int_equal(anon_pages(), 0);
    assert_int_equal(STAT(&b.stats, thp_zero_page_alloc), 1);
    assert_int_equal(touch_pages(&b, A, HP, true), 1);
    assert_int_equal(anon_pages(), HP);
    assert_int_equal(vmpte_kb(), 12);
}

static void a_mapping_that_has_no_aligned_range_gets_small_pages(void **state)
{
    (void)state;
    assert_int_equal(map_anon(&b, A + K, 2 * HP - 2, RW), A + K);
    assert_int_equal(mm_madvise(b.mm, va(A + K), 2 * M2 - 2 * K, MADV_HUGEPAGE), 0);
    assert_int_equal(touch_pages(&b, A + K, 10, true), 10);
    assert_int_equal(touch_pages(&b, A + M2, 10, true), 10);
}

static void a_partial_unmap_splits_the_entry_and_keeps_the_rest(void **state)
{
    (void)state;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_munmap(b.mm, va(A), 16 * K), 0);
    assert_int_equal(STAT(&b.stats, thp_split_pmd), 1);
    assert_int_equal(anon_pages(), HP - 16);
    assert_int_equal(vmpte_kb(), 12); /* the deposited table is in use now */
    assert_int_equal(touch_pages(&b, A + 16 * K, HP - 16, true), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), HP); /* the folio stays whole */
    assert_int_equal(STAT(&b.stats, thp_deferred_split_page), 1);
}

static void a_partial_mprotect_splits_a_whole_one_does_not(void **state)
{
    (void)state;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, PROT_READ), 0);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, RW), 0);
    assert_int_equal(huge_entries(1), 1);
    assert_int_equal(touch_pages(&b, A, HP, true), 0); /* exclusive: writable again at once */
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, PROT_NONE), 0);
    assert_int_equal(touch(&b, A, false).signal, SIGSEGV);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, RW), 0);
    assert_int_equal(touch_pages(&b, A, HP, true), 0);
    assert_int_equal(mm_mprotect(b.mm, va(A + M2 / 2), K, PROT_READ), 0);
    assert_int_equal(huge_entries(1), 0);
    assert_int_equal(touch_pages(&b, A, HP, false), 0);
}

static void dontneed_frees_a_whole_page_and_splits_for_a_part(void **state)
{
    (void)state;
    advised(2);
    touch_pages(&b, A, 2 * HP, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_DONTNEED), 0);
    assert_int_equal(anon_pages(), HP);
    assert_int_equal(vmpte_kb(), 12); /* with the page its table went */
    assert_int_equal(mm_madvise(b.mm, va(A + M2), K, MADV_DONTNEED), 0);
    assert_int_equal(anon_pages(), HP - 1);
    assert_int_equal(huge_entries(2), 0);
    assert_int_equal(touch_pages(&b, A + M2, HP, true), 1); /* a small page fills the hole */
}

static void a_move_by_whole_huge_pages_keeps_them(void **state)
{
    (void)state;
    const uint64_t to = A + 8 * M2;
    advised(2);
    touch_pages(&b, A, 2 * HP, true);
    assert_int_equal(
        mm_mremap(b.mm, va(A), 2 * M2, 2 * M2, MREMAP_MAYMOVE | MREMAP_FIXED, va(to), false), to);
    unsigned level = 0;
    assert_non_null(pt_leaf(mm_pt(b.mm), va(to), &level));
    assert_int_equal(level, 1);
    assert_int_equal(touch_pages(&b, to, 2 * HP, true), 0);
    assert_int_equal(anon_pages(), 2 * HP);
}

static void a_move_to_an_odd_place_splits(void **state)
{
    (void)state;
    const uint64_t to = A + 8 * M2 + K;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_mremap(b.mm, va(A), M2, M2, MREMAP_MAYMOVE | MREMAP_FIXED, va(to), false),
                     to);
    assert_int_equal(touch_pages(&b, to, HP, true), 0);
    assert_int_equal(anon_pages(), HP);
    assert_int_equal(STAT(&b.stats, thp_split_pmd), 1);
}

static void advice_about_a_part_splits_at_the_border(void **state)
{
    (void)state;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2 / 2, MADV_DONTFORK), 0);
    assert_int_equal(huge_entries(1), 0);
    assert_int_equal(anon_pages(), HP);
    assert_int_equal(touch_pages(&b, A, HP, true), 0);
}

static void no_memory_falls_back_to_small_pages(void **state)
{
    (void)state;
    mm_sysctl(b.sys, "overcommit_memory", 1); /* more than there is memory */
    advised(200);
    touch_pages(&b, A, 40 * HP, true);
    uint64_t got = STAT(&b.stats, thp_fault_alloc);
    assert_int_equal(got, 40);
    while (STAT(&b.stats, thp_fault_fallback) == 0 && got < 200) {
        assert_int_equal(touch(&b, A + got * M2, true).oom, false);
        got++;
    }
    assert_int_equal(STAT(&b.stats, thp_fault_fallback), 1);
    assert_int_equal(huge_entries(200), STAT(&b.stats, thp_fault_alloc));
    assert_int_equal(anon_pages(), HP * STAT(&b.stats, thp_fault_alloc) + 1);
}

static void prctl_and_nohugepage_disable(void **state)
{
    (void)state;
    advised(2);
    mm_thp_disable(b.mm, true, false);
    assert_int_equal(touch_pages(&b, A, 4, true), 4);
    mm_thp_disable(b.mm, false, true);
    assert_int_equal(touch_pages(&b, A + M2, 4, true), 1);
}

static void mincore_sees_every_page_of_a_huge_page(void **state)
{
    (void)state;
    uint8_t vec[512];
    advised(1);
    touch(&b, A, true);
    assert_int_equal(mm_mincore(b.mm, va(A), M2, vec), 0);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(vec[i], 1);
}

static void populate_takes_one_fault_a_huge_page(void **state)
{
    (void)state;
    advised(4);
    uint64_t before = counters(&b).minflt;
    assert_int_equal(mm_madvise(b.mm, va(A), 4 * M2, MADV_POPULATE_WRITE), 0);
    assert_int_equal(counters(&b).minflt - before, 4);
    assert_int_equal(huge_entries(4), 4);
}

/* in_child touches pages of a forked child and returns its minor faults. */
static uint64_t in_child(struct mm *child, uint64_t a, uint64_t pages, bool write)
{
    struct box c = b;
    c.mm = child;
    return touch_pages(&c, a, pages, write);
}

static void fork_shares_the_huge_entry_and_each_side_copies_small_pages(void **state)
{
    (void)state;
    struct mm *child;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(huge_entries(1), 1);
    assert_int_equal(in_child(child, A, HP, false), 0);
    assert_int_equal(in_child(child, A, HP, true), HP); /* observed: 512 faults, 4 KiB pages */
    assert_int_equal(huge_entries(1), 1);
    assert_int_equal(mm_audit(b.mm), 0);
    mm_close(child);
}

static void a_parent_with_a_live_child_copies_too(void **state)
{
    (void)state;
    struct mm *child;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(touch_pages(&b, A, HP, true), HP);
    assert_int_equal(huge_entries(1), 0);
    mm_close(child);
}

static void the_last_owner_reuses_the_whole_page(void **state)
{
    (void)state;
    struct mm *child;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    mm_close(child);
    assert_int_equal(touch_pages(&b, A, HP, true), 1);
    assert_int_equal(huge_entries(1), 1);
}

static void a_child_inherits_the_huge_zero_page(void **state)
{
    (void)state;
    struct mm *child;
    advised(1);
    touch_pages(&b, A, 1, false);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(in_child(child, A, HP, false), 0);
    assert_int_equal(in_child(child, A, HP, true), 1);
    mm_close(child);
    assert_int_equal(STAT(&b.stats, thp_zero_page_alloc), 1);
}

/* -- sizes below 2 MiB: the reference saw 240 pages take 15 faults, 128 reads 128 ------------- */

static void sizes_64k(void)
{
    b.conf.thp_size_64k = 1; /* always */
    mm_close(b.mm);
    mm_sys_close(b.sys);
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
}

static void folios_of_64k_take_one_fault_each(void **state)
{
    (void)state;
    sizes_64k();
    assert_int_equal(map_anon(&b, A, 240, RW), A);
    assert_int_equal(touch_pages(&b, A, 240, true), 15);
    assert_int_equal(anon_pages(), 240);
    assert_int_equal(huge_entries(1), 0);
}

/* mm/mprotect.c can_change_private_pte_writable: a page of this process alone (PageAnonExclusive, which
 * __folio_set_anon's callers set for every page of a new folio) becomes writable again at once. */
static void every_page_of_a_new_folio_is_its_processs_alone(void **state)
{
    (void)state;
    sizes_64k();
    assert_int_equal(map_anon(&b, A, 16, RW), A);
    assert_int_equal(touch_pages(&b, A, 16, true), 1);
    assert_int_equal(mm_mprotect(b.mm, va(A), 16 * K, PROT_READ), 0);
    assert_int_equal(mm_mprotect(b.mm, va(A), 16 * K, RW), 0);
    assert_int_equal(touch_pages(&b, A, 16, true), 0);
}

static void reads_map_single_zero_pages_and_keep_the_folio_away(void **state)
{
    (void)state;
    sizes_64k();
    assert_int_equal(map_anon(&b, A, 128, RW), A);
    assert_int_equal(touch_pages(&b, A, 128, false), 128);
    assert_int_equal(touch_pages(&b, A, 128, true), 128);
}

static void a_folio_needs_its_whole_range_empty_and_mapped(void **state)
{
    (void)state;
    sizes_64k();
    assert_int_equal(map_anon(&b, A + 8 * K, 24, RW), A + 8 * K);
    assert_int_equal(touch_pages(&b, A + 8 * K, 24, true), 8 + 1);
}

static void a_child_copies_single_pages_and_the_parent_reuses_the_folio(void **state)
{
    (void)state;
    struct mm *child;
    sizes_64k();
    assert_int_equal(map_anon(&b, A, 240, RW), A);
    touch_pages(&b, A, 240, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(in_child(child, A, 240, true), 240);
    uint64_t reused = STAT(&b.stats, pgreuse);
    assert_int_equal(touch_pages(&b, A, 240, true), 240);
    assert_int_equal(STAT(&b.stats, pgreuse) - reused, 240);
    mm_close(child);
}

/* -- splitting folios ------------------------------------------------------------------------ */

static void a_folio_split_under_pressure_gives_back_what_nobody_maps(void **state)
{
    (void)state;
    advised(1);
    touch_pages(&b, A, HP, true);
    assert_int_equal(mm_madvise(b.mm, va(A), 100 * K, MADV_DONTNEED), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), HP);
    assert_int_equal(mm_shrink_thp(b.sys, 50), 100);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), HP - 100);
    assert_int_equal(STAT(&b.stats, thp_split_page), 1);
    assert_int_equal(mm_audit(b.mm), 0);
    assert_int_equal(touch_pages(&b, A + 100 * K, HP - 100, true), 0);
}

/* is_huge_zero_folio in add_folio_for_migration and do_pages_stat (the kernel's answer to seed 436405). */
static void the_huge_zero_page_is_nowhere(void **state)
{
    struct box z;
    (void)state;
    box_open(&z, MIB(64), false);
    map_anon(&z, MIB(64), MIB(2) / K, RW);
    assert_int_equal(mm_madvise(z.mm, va(MIB(64)), MIB(2), MADV_HUGEPAGE), 0);
    touch(&z, MIB(64), false);
    const uint64_t pages[] = {MIB(64) + 5 * K};
    const int32_t nodes[] = {0};
    int32_t status[] = {99};
    struct mm_move_pages q = move_pages_of(pages, nodes, status, 1);
    assert_int_equal(mm_move_pages(z.mm, z.mm, &q), 0);
    assert_int_equal(status[0], -EFAULT);
    status[0] = 99;
    q.nodes = NULL;
    assert_int_equal(mm_move_pages(z.mm, z.mm, &q), 0);
    assert_int_equal(status[0], -EFAULT);
    box_close(&z);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_write_maps_two_mebibytes_with_one_fault),
        cmocka_unit_test(the_huge_zero_page_is_nowhere),
        T(without_advice_pages_stay_small),
        T(a_read_maps_the_huge_zero_page_and_a_write_replaces_it),
        T(a_mapping_that_has_no_aligned_range_gets_small_pages),
        T(a_partial_unmap_splits_the_entry_and_keeps_the_rest),
        T(a_partial_mprotect_splits_a_whole_one_does_not),
        T(dontneed_frees_a_whole_page_and_splits_for_a_part),
        T(a_move_by_whole_huge_pages_keeps_them),
        T(a_move_to_an_odd_place_splits),
        T(advice_about_a_part_splits_at_the_border),
        T(no_memory_falls_back_to_small_pages),
        T(prctl_and_nohugepage_disable),
        T(mincore_sees_every_page_of_a_huge_page),
        T(populate_takes_one_fault_a_huge_page),
        T(fork_shares_the_huge_entry_and_each_side_copies_small_pages),
        T(a_parent_with_a_live_child_copies_too),
        T(the_last_owner_reuses_the_whole_page),
        T(a_child_inherits_the_huge_zero_page),
        T(folios_of_64k_take_one_fault_each),
        T(every_page_of_a_new_folio_is_its_processs_alone),
        T(reads_map_single_zero_pages_and_keep_the_folio_away),
        T(a_folio_needs_its_whole_range_empty_and_mapped),
        T(a_child_copies_single_pages_and_the_parent_reuses_the_folio),
        T(a_folio_split_under_pressure_gives_back_what_nobody_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
