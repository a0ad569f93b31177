/* test_lru.c: LRU lists and the per-CPU batches in front of them. Expectations: Linux 6.18
 * mm/swap.c and mm/mlock.c (batches hold 31 folios), and counts seen on 6.18.44 with small C
 * programs where a test says so. */
#include "unit/mm/mm_fixture.h"

#include "mm/mm_int.h"

#define AT UINT64_C(0x200000000)

static uint64_t node_stat(const struct box *b, enum node_stat_item item)
{
    struct mm_node_stat st;
    mm_node_stats(b->sys, 0, &st);
    return st.v[item];
}

static uint64_t stat_sum(const struct box *b, enum lru_list l)
{
    uint64_t sum = 0;
    for (int z = 0; z < ZONE_NR; z++)
        sum += mm_node(b->sys, 0)->lru.zone[z][l];
    return sum;
}

static void new_anonymous_pages_reach_the_inactive_list_31_at_a_time(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 30, true);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 0);
    touch(&b, AT + 30 * K, true);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 31);
    touch_pages(&b, AT + 31 * K, 33, true);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 62);
    assert_int_equal(node_stat(&b, NODE_nr_anon_pages), 64);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 64);
    assert_int_equal(stat_sum(&b, LRU_INACTIVE_ANON), 64);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

static void unmapping_drains_the_batches_and_takes_pages_off_their_list(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 40, true);
    assert_int_equal(mm_munmap(b.mm, va(AT), 10 * K), 0);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 30);
    assert_int_equal(node_stat(&b, NODE_nr_anon_pages), 30);
    box_close(&b);
}

static void each_cpu_has_batches_of_its_own(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 20, true);
    mm_set_cpu(b.sys, 1);
    touch_pages(&b, AT + 20 * K, 20, true);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 40);
    box_close(&b);
}

/* Seen on 6.18.44: smaps says LazyFree 248 kB at once and 256 kB after a drain. */
static void madv_free_moves_two_full_batches_of_64_pages_at_once(void **state)
{
    (void)state;
    struct box b;
    box_open_written(&b, AT, 64);
    assert_int_equal(mm_madvise(b.mm, va(AT), 64 * K, MADV_FREE), 0);
    assert_int_equal(STAT(&b.stats, pglazyfree), 62);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_file), 62);
    mm_lru_drain(b.sys);
    assert_int_equal(STAT(&b.stats, pglazyfree), 64);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 0);
    assert_int_equal(node_stat(&b, NODE_nr_anon_pages), 64);
    box_close(&b);
}

static void file_pages_are_counted_in_the_cache_and_when_mapped(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 7, 64 * K, "/lib/x");
    map_full(&b, AT, 64 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    touch_pages(&b, AT, 64, false);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_file_pages), 64);
    assert_int_equal(node_stat(&b, NODE_nr_mapped), 64);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_file), 64);
    mm_munmap(b.mm, va(AT), 64 * K);
    assert_int_equal(node_stat(&b, NODE_nr_file_pages), 64);
    assert_int_equal(node_stat(&b, NODE_nr_mapped), 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void shared_anonymous_memory_lies_on_the_anon_lists(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, AT, 8 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    touch_pages(&b, AT, 8, true);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 8);
    assert_int_equal(node_stat(&b, NODE_nr_shmem), 8);
    assert_int_equal(node_stat(&b, NODE_nr_file_pages), 8);
    assert_int_equal(node_stat(&b, NODE_nr_anon_pages), 0);
    box_close(&b);
}

static void locked_pages_are_unevictable_until_they_are_unlocked(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 40, RW);
    touch_pages(&b, AT, 10, true);
    assert_int_equal(mm_mlock(b.mm, va(AT), 40 * K, 0), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_unevictable), 40);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 0);
    assert_int_equal(STAT(&b.stats, unevictable_pgs_mlocked), 40);
    assert_int_equal(STAT(&b.stats, unevictable_pgs_culled), 40);
    assert_int_equal(mm_munlock(b.mm, va(AT), 20 * K), 0);
    assert_int_equal(node_stat(&b, NODE_nr_unevictable), 20);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 20);
    assert_int_equal(STAT(&b.stats, unevictable_pgs_munlocked), 20);
    assert_int_equal(STAT(&b.stats, unevictable_pgs_rescued), 20);
    mm_munmap(b.mm, va(AT), 40 * K);
    assert_int_equal(node_stat(&b, NODE_nr_unevictable), 0);
    box_close(&b);
}

static uint64_t mlocked(const struct box *b)
{
    uint64_t sum = 0;
    for (int z = 0; z < ZONE_NR; z++)
        sum += mm_node(b->sys, 0)->mlocked[z];
    return sum;
}

/* free_pages_prepare: "in rare cases, when truncation or holepunching raced with munlock after VM_LOCKED
 * was cleared, Mlocked may still be found set here". Here no two calls race, so the lock is set by hand. */
static void a_page_that_is_freed_while_it_is_mlocked_is_counted_as_cleared(void **state)
{
    (void)state;
    struct box b;
    unsigned level;
    box_open_written(&b, AT, 3);
    for (int i = 0; i < 2; i++)
        mlock_folio(b.sys, pte_pfn(*pt_leaf(mm_pt(b.mm), va(AT + (uint64_t)i * K), &level)));
    assert_int_equal(mlocked(&b), 2);
    assert_int_equal(mm_munmap(b.mm, va(AT + K), 2 * K), 0);
    assert_int_equal(mlocked(&b), 1);
    assert_int_equal(STAT(&b.stats, unevictable_pgs_cleared), 1);
    mm_munmap(b.mm, va(AT), K);
    assert_int_equal(mlocked(&b), 0);
    assert_int_equal(STAT(&b.stats, unevictable_pgs_cleared), 2);
    assert_int_equal(STAT(&b.stats, unevictable_pgs_munlocked), 0);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

static void page_tables_are_counted_for_the_node(void **state)
{
    (void)state;
    struct box b;
    box_open_written(&b, AT, 1);
    assert_int_equal(node_stat(&b, NODE_nr_page_table_pages),
                     phys_owner_frames(b.phys, FRAME_PAGE_TABLE));
    assert_string_equal(mm_node_stat_name(NODE_nr_inactive_anon), "nr_inactive_anon");
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_anonymous_pages_reach_the_inactive_list_31_at_a_time),
        cmocka_unit_test(unmapping_drains_the_batches_and_takes_pages_off_their_list),
        cmocka_unit_test(each_cpu_has_batches_of_its_own),
        cmocka_unit_test(madv_free_moves_two_full_batches_of_64_pages_at_once),
        cmocka_unit_test(file_pages_are_counted_in_the_cache_and_when_mapped),
        cmocka_unit_test(shared_anonymous_memory_lies_on_the_anon_lists),
        cmocka_unit_test(locked_pages_are_unevictable_until_they_are_unlocked),
        cmocka_unit_test(a_page_that_is_freed_while_it_is_mlocked_is_counted_as_cleared),
        cmocka_unit_test(page_tables_are_counted_for_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
