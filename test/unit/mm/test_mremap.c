/* test_mremap.c: mremap by the cases of tools/testing/selftests/mm/mremap_test.c,
 * mremap_dontunmap.c, merge.c, LTP mremap01-06, and rows observed on Linux 6.18.44 (6.17 and later
 * move several mappings at once). */
#define FILE_PAGES 64
#include "unit/mm/one_box.h"

#define BASE  UINT64_C(0x10000000)
#define TO    UINT64_C(0x20000000)
#define MOVE  MREMAP_MAYMOVE
#define FIX   (MREMAP_MAYMOVE | MREMAP_FIXED)
#define UNMAP (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

static void map(uint64_t page, uint64_t pages, uint32_t prot)
{
    map_anon(&box, BASE + page * K, pages, prot);
}

static void map_shared(uint64_t page, uint64_t pages)
{
    map_full(&box, BASE + page * K, pages * K, RW, MAP_SHARED | MAP_FIXED, file, 0);
}

/* All in pages from BASE; the answer, too, unless it is an error. */
static int64_t move(uint64_t page, uint64_t old, uint64_t new, uint32_t flags, uint64_t to)
{
    uint64_t target = flags & MREMAP_FIXED ? BASE + to * K : 0;
    int64_t r = mm_mremap(box.mm, va(BASE + page * K), old * K, new *K, flags, va(target), false);
    return r < 0 ? r : (r - (int64_t)BASE) / (int64_t)K;
}

/* LTP mremap02, mremap03, mremap04, mremap05 */
static void refusals_come_in_order(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(4, 4, PROT_READ);
    map(20, 4, RW);
    map_shared(40, 4);
    const uint64_t end = UINT64_C(0x7ffffffff000);
    const struct {
        uint64_t addr, old, new;
        uint32_t flags;
        uint64_t to;
        int result;
    } row[] = {
        {BASE, 4 * K, 4 * K, 8, 0, -EINVAL},              /* unknown flag */
        {BASE + 1, 4 * K, 4 * K, 0, 0, -EINVAL},          /* unaligned */
        {BASE, 4 * K, 0, 0, 0, -EINVAL},                  /* nothing left */
        {BASE, 4 * K, UINT64_MAX, 0, 0, -EINVAL},         /* rounds to nothing */
        {BASE, 4 * K, end + K, MOVE, 0, -EINVAL},         /* longer than the address space */
        {BASE, 4 * K, 4 * K, MREMAP_FIXED, TO, -EINVAL},  /* FIXED needs MAYMOVE */
        {BASE, 4 * K, 4 * K, FIX, TO + 1, -EINVAL},       /* unaligned target */
        {BASE, 4 * K, 4 * K, FIX, BASE + 2 * K, -EINVAL}, /* overlapping */
        {BASE, 4 * K, 8 * K, FIX, BASE - 6 * K, -EINVAL},
        {BASE, 4 * K, 4 * K, FIX, end, -EINVAL}, /* beyond the end */
        {BASE, 4 * K, 4 * K, MREMAP_DONTUNMAP, 0, -EINVAL},
        {BASE, 4 * K, 8 * K, UNMAP, 0, -EINVAL}, /* DONTUNMAP does not resize */
        {BASE, 0, 4 * K, MOVE, 0, -EINVAL},      /* only shared mappings double */
        {BASE + 12 * K, 4 * K, 8 * K, MOVE, 0, -EFAULT},
        {BASE + 12 * K, 4 * K, 4 * K, 0, 0, -EFAULT},
        {BASE, 8 * K, 12 * K, MOVE, 0, -EFAULT}, /* grows across a border */
        {BASE, 8 * K, 4 * K, 0, 0, 0},           /* shrinks across one: that is munmap */
        {BASE + 20 * K, 4 * K, 4 * K, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t r = mm_mremap(box.mm, va(row[i].addr), row[i].old, row[i].new, row[i].flags,
                              va(row[i].to), false);
        int64_t want = row[i].result == 0 ? (int64_t)row[i].addr : row[i].result;
        if (r != want)
            fail_msg("row %zu: %ld", i, (long)r);
    }
    assert_string_equal(draw(&box, BASE, 8), "Wwww....");
}

static void growth_without_room_needs_maymove(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(6, 1, RW);
    assert_int_equal(move(0, 4, 6, 0, 0), 0);
    assert_string_equal(draw(&box, BASE, 7), "Wwwwwww"); /* and merges with what follows */
    map(0, 4, PROT_READ);
    map(4, 1, RW);
    assert_int_equal(move(0, 4, 6, 0, 0), -ENOMEM);
    int64_t r = mm_mremap(box.mm, va(BASE), 4 * K, 6 * K, MOVE, va(0), false);
    assert_true(r > 0);
    assert_int_equal(mm_vma_at(box.mm, va((uint64_t)r))->end.v, (uint64_t)r + 6 * K);
    assert_string_equal(draw(&box, BASE, 5), "....W");
}

static void only_the_end_of_a_mapping_grows_in_place(void **state)
{
    (void)state;
    map(0, 8, RW);
    touch_pages(&box, BASE, 8, true);
    assert_int_equal(move(2, 2, 4, 0, 0), -ENOMEM);
    int64_t r = mm_mremap(box.mm, va(BASE + 2 * K), 2 * K, 4 * K, MOVE, va(0), false);
    assert_true(r > 0);
    assert_string_equal(draw(&box, BASE, 8), "Ww..Wwww");
    assert_int_equal(touch_pages(&box, (uint64_t)r, 4, true), 2); /* two pages came along */
}

/* "mremap 3 adjacent VMAs FIXED" and "with a hole" of the digest's golden vectors */
static void several_mappings_move_with_their_holes(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(4, 4, PROT_READ);
    map(8, 4, RW);
    assert_int_equal(move(0, 12, 12, FIX, 100), 100);
    assert_string_equal(draw(&box, BASE + 100 * K, 13), "WwwwRrrrWwww.");
    mm_munmap(box.mm, va(BASE + 104 * K), 4 * K);
    assert_int_equal(move(100, 12, 12, FIX, 0), 0);
    assert_string_equal(draw(&box, BASE, 13), "Wwww....Wwww.");
    assert_int_equal(move(2, 8, 8, FIX, 50), 50); /* parts at both ends */
    assert_string_equal(draw(&box, BASE + 50 * K, 9), "Ww....Ww.");
    assert_string_equal(draw(&box, BASE, 13), "Ww........Ww.");
    assert_int_equal(move(4, 8, 8, FIX, 70), -EFAULT);   /* begins in a hole */
    assert_int_equal(move(0, 12, 13, FIX, 70), -EFAULT); /* several mappings do not resize */
}

static void fixed_target_is_unmapped_first(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(10, 8, PROT_READ);
    assert_int_equal(move(0, 4, 4, FIX, 12), 12);
    assert_string_equal(draw(&box, BASE + 10 * K, 8), "RrWwwwRr");
    assert_int_equal(move(12, 4, 2, FIX, 0), 0); /* shrinks on the way */
    assert_string_equal(draw(&box, BASE, 18), "Ww........Rr....Rr");
}

/* mremap_dontunmap.c: simple, simple_shmem, fixed, partial_mapping, partial_mapping_overwrite */
static void dontunmap_leaves_zero_pages_behind(void **state)
{
    (void)state;
    map(0, 5, RW);
    touch_pages(&box, BASE, 5, true);
    int64_t r = mm_mremap(box.mm, va(BASE), 5 * K, 5 * K, UNMAP, va(0), false);
    assert_true(r > 0);
    assert_int_equal(touch_pages(&box, (uint64_t)r, 5, true), 0); /* the pages are there */
    assert_int_equal(touch_pages(&box, BASE, 5, false), 5);       /* and no longer here */
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 5);
    assert_int_equal(move(1, 2, 2, UNMAP | MREMAP_FIXED, 20), 20);
    assert_string_equal(draw(&box, BASE + 20 * K, 3), "Ww.");
    assert_non_null(mm_vma_at(box.mm, va(BASE + K)));
}

static void dontunmap_of_shared_memory_keeps_its_pages(void **state)
{
    (void)state;
    map_shared(0, 4);
    touch_pages(&box, BASE, 4, true);
    int64_t r = mm_mremap(box.mm, va(BASE), 4 * K, 4 * K, UNMAP, va(0), false);
    assert_true(r > 0);
    assert_int_equal(touch(&box, BASE, false).signal, 0); /* the same file again */
}

/* Observed: VmLck keeps the old place's pages although it is unlocked now. */
static void dontunmap_of_locked_memory_unlocks_the_old_place(void **state)
{
    (void)state;
    map(0, 4, RW);
    assert_int_equal(mm_mlock(box.mm, va(BASE), 4 * K, 0), 0);
    int64_t r = mm_mremap(box.mm, va(BASE), 4 * K, 4 * K, UNMAP, va(0), false);
    assert_int_equal(mm_vma_at(box.mm, va(BASE))->flags & VM_LOCKED, 0);
    assert_int_equal(mm_vma_at(box.mm, va((uint64_t)r))->flags & VM_LOCKED, VM_LOCKED);
    assert_int_equal(counters(&box).locked_vm, 8);
    mm_munmap(box.mm, va(BASE), 4 * K);
    mm_munmap(box.mm, va((uint64_t)r), 4 * K);
    assert_int_equal(counters(&box).locked_vm, 4);
}

static void old_length_zero_doubles_shared_memory(void **state)
{
    (void)state;
    map_shared(0, 4);
    touch_pages(&box, BASE, 4, true);
    assert_int_equal(move(2, 0, 2, FIX, 20), 20);
    assert_int_equal(mm_vma_at(box.mm, va(BASE + 20 * K))->pgoff, 2);
    assert_string_equal(draw(&box, BASE, 5), "Wwww.");
    assert_int_equal(counters(&box).total_vm, 6);
}

/* merge.c: what moves next to its kind merges if it was never touched, or comes home. */
static void moved_memory_merges_where_its_pages_allow(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(20, 4, RW);
    assert_int_equal(move(20, 4, 4, FIX, 4), 4);
    assert_string_equal(draw(&box, BASE, 8), "Wwwwwwww"); /* never touched */
    touch(&box, BASE, true);
    map(20, 4, RW);
    touch(&box, BASE + 20 * K, true);
    assert_int_equal(move(20, 4, 4, FIX, 8), 8);
    assert_string_equal(draw(&box, BASE, 12), "WwwwwwwwWwww"); /* another linear place */
    assert_int_equal(move(2, 2, 2, FIX, 40), 40);
    assert_string_equal(draw(&box, BASE, 12), "Ww..WwwwWwww");
    assert_int_equal(move(40, 2, 2, FIX, 2), 2);
    assert_string_equal(draw(&box, BASE, 12), "WwwwwwwwWwww"); /* home again */
}

static void locked_memory_is_populated_where_it_grew(void **state)
{
    (void)state;
    map(0, 2, RW);
    assert_int_equal(mm_mlock(box.mm, va(BASE), 2 * K, 0), 0);
    assert_int_equal(move(0, 2, 6, 0, 0), 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 6);
    assert_int_equal(counters(&box).locked_vm, 6);
    map(6, 1, PROT_READ);
    int64_t r = mm_mremap(box.mm, va(BASE), 6 * K, 8 * K, MOVE, va(0), false);
    assert_true(r > 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 8);
}

/* mremap_test.c: aligned moves of 1, 2 and 4 MiB and one that begins and ends inside tables */
static void large_moves_keep_every_page(void **state)
{
    (void)state;
    const struct {
        uint64_t from, to, pages;
    } row[] = {
        {0, 0, 512}, {0, 3, 512}, {100, 100, 1024}, {100, 101, 700}, {512, 0, 1024}, {7, 7, 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t from = GIB(1) + row[i].from * K, to = GIB(2) + row[i].to * K, n = row[i].pages;
        map_anon(&box, from, n, RW);
        assert_int_equal(touch_pages(&box, from, n, true), n);
        assert_int_equal(mm_mremap(box.mm, va(from), n * K, n * K, FIX, va(to), false), to);
        assert_int_equal(touch_pages(&box, to, n, true), 0);
        assert_int_equal(counters(&box).rss[MM_ANONPAGES], n);
        assert_int_equal(mm_audit(box.mm), 0);
        assert_int_equal(mm_munmap(box.mm, va(to), n * K), 0);
        assert_int_equal(counters(&box).pte_bytes, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refusals_come_in_order),
        TEST(growth_without_room_needs_maymove),
        TEST(only_the_end_of_a_mapping_grows_in_place),
        TEST(several_mappings_move_with_their_holes),
        TEST(fixed_target_is_unmapped_first),
        TEST(dontunmap_leaves_zero_pages_behind),
        TEST(dontunmap_of_shared_memory_keeps_its_pages),
        TEST(dontunmap_of_locked_memory_unlocks_the_old_place),
        TEST(old_length_zero_doubles_shared_memory),
        TEST(moved_memory_merges_where_its_pages_allow),
        TEST(locked_memory_is_populated_where_it_grew),
        TEST(large_moves_keep_every_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
