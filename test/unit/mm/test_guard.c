/* test_guard.c: guard regions, after tools/testing/selftests/mm/guard-regions.c; the flag `gu` and
 * what it does to merging as observed on Linux 6.18.44. */
#include "unit/mm/one_box.h"

#define BASE    UINT64_C(0x10000000)
#define INSTALL 102
#define REMOVE  103

static void map(uint64_t page, uint64_t pages, uint32_t prot)
{
    assert_int_equal(map_anon(&box, BASE + page * K, pages, prot), BASE + page * K);
}

static int advise(uint64_t page, uint64_t pages, int advice)
{
    return mm_madvise(box.mm, va(BASE + page * K), pages * K, advice);
}

/* guarded asserts that a touch gives SIGSEGV without a fault counted for the process. */
static void guarded(uint64_t page)
{
    bool writable = mm_vma_at(box.mm, va(BASE + page * K))->flags & VM_WRITE;
    for (int write = 0; write < 1 + writable; write++) {
        uint64_t before = counters(&box).minflt;
        struct mm_verdict v = touch(&box, BASE + page * K, write);
        assert_int_equal(v.signal, SIGSEGV);
        assert_int_equal(v.si_code, SEGV_MAPERR);
        assert_int_equal(counters(&box).minflt, before);
    }
}

static void usable(uint64_t page)
{
    assert_int_equal(touch(&box, BASE + page * K, true).signal, 0);
}

static uint64_t flags_at(uint64_t page)
{
    return mm_vma_at(box.mm, va(BASE + page * K))->flags;
}

/* guard_regions.basic */
static void installed_pages_fault_and_removed_ones_work_again(void **state)
{
    (void)state;
    map(0, 10, RW);
    assert_int_equal(advise(2, 3, INSTALL), 0);
    usable(1);
    for (uint64_t i = 2; i < 5; i++)
        guarded(i);
    usable(5);
    assert_int_equal(advise(0, 10, REMOVE), 0);
    for (uint64_t i = 0; i < 10; i++)
        usable(i);
}

/* guard_regions.populate, and that existing pages are dropped */
static void installing_drops_pages_and_removing_keeps_others(void **state)
{
    (void)state;
    map(0, 10, RW);
    touch_pages(&box, BASE, 10, true);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 10);
    assert_int_equal(advise(2, 3, INSTALL), 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 7);
    assert_int_equal(advise(2, 3, INSTALL), 0); /* again is fine */
    assert_int_equal(advise(0, 10, REMOVE), 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 7);
}

/* guard_regions.madvise, .dontneed: DONTNEED keeps guards, munmap drops them */
static void guards_survive_dontneed_but_not_munmap(void **state)
{
    (void)state;
    map(0, 10, RW);
    assert_int_equal(advise(2, 3, INSTALL), 0);
    assert_int_equal(advise(0, 10, MADV_DONTNEED), 0);
    guarded(3);
    assert_int_equal(mm_munmap(box.mm, va(BASE), 10 * K), 0);
    map(0, 10, RW);
    usable(3);
}

static void dontneed_keeps_a_table_with_guards(void **state)
{
    (void)state;
    map(0, 1024, RW);
    touch_pages(&box, BASE, 1024, true);
    uint64_t before = counters(&box).pte_bytes;
    assert_int_equal(advise(3, 1, INSTALL), 0);
    assert_int_equal(advise(0, 1024, MADV_DONTNEED), 0);
    guarded(3);
    assert_int_equal(counters(&box).pte_bytes, before - K); /* one of two is free (PT_RECLAIM) */
}

/* guard_regions.mprotect, .split_merge, .mremap_move */
static void guards_stay_through_mprotect_splits_and_moves(void **state)
{
    (void)state;
    map(0, 10, RW);
    assert_int_equal(advise(2, 3, INSTALL), 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 10 * K, PROT_READ), 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 3 * K), 4 * K, RW), 0);
    guarded(2);
    guarded(4);
    usable(5);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 10 * K, RW), 0);
    assert_int_equal(mm_mremap(box.mm, va(BASE), 10 * K, 10 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
                               va(BASE + 20 * K), false),
                     BASE + 20 * K);
    guarded(22);
    usable(25);
}

/* guard_regions.mlock: locked memory cannot get guards but may lose them */
static void locked_memory_may_only_lose_guards(void **state)
{
    (void)state;
    map(0, 10, RW);
    assert_int_equal(advise(0, 2, INSTALL), 0);
    assert_int_equal(mm_mlock(box.mm, va(BASE), 10 * K, 0), -ENOMEM); /* populating fails */
    assert_int_equal(flags_at(0) & VM_LOCKED, VM_LOCKED);
    assert_int_equal(advise(4, 1, INSTALL), -EINVAL);
    assert_int_equal(advise(0, 10, REMOVE), 0);
    usable(0);
}

static void populate_over_a_guard_is_efault(void **state)
{
    (void)state;
    map(0, 10, RW);
    assert_int_equal(advise(4, 1, INSTALL), 0);
    assert_int_equal(advise(0, 10, MADV_POPULATE_WRITE), -EFAULT);
    assert_int_equal(advise(0, 10, MADV_POPULATE_READ), -EFAULT);
    assert_int_equal(advise(0, 4, MADV_POPULATE_WRITE), 0);
}

/* guard_regions.fork, .fork_cow */
static void a_child_inherits_guards(void **state)
{
    (void)state;
    struct mm *parent = box.mm, *child;
    map(0, 10, RW);
    assert_int_equal(advise(2, 3, INSTALL), 0);
    assert_int_equal(mm_fork(&child, parent), 0);
    box.mm = child;
    guarded(2);
    usable(5);
    assert_int_equal(advise(0, 10, REMOVE), 0);
    usable(2);
    box.mm = parent;
    guarded(2);
    mm_close(child);
}

static void wiped_on_fork_guards_are_gone(void **state)
{
    (void)state;
    struct mm *parent = box.mm, *child;
    map(0, 10, RW);
    assert_int_equal(advise(2, 3, INSTALL), 0);
    assert_int_equal(advise(0, 10, MADV_WIPEONFORK), 0);
    assert_int_equal(mm_fork(&child, parent), 0);
    box.mm = child;
    usable(2);
    box.mm = parent;
    mm_close(child);
}

/* guard_regions.file_backed, .hole_punch (6.15) */
static void files_and_shared_memory_may_be_guarded(void **state)
{
    (void)state;
    struct mm_file *f = mm_file(box.sys, 1, 1, 16 * K, "/data");
    map_full(&box, BASE, 16 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(advise(2, 2, INSTALL), 0);
    assert_int_equal(touch(&box, BASE, false).signal, 0); /* fault-around steps over guards */
    guarded(2);
    assert_int_equal(touch(&box, BASE + 4 * K, false).signal, 0);
    map_full(&box, BASE + 16 * K, 4 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    assert_int_equal(advise(16, 2, INSTALL), 0);
    guarded(17);
    assert_int_equal(advise(16, 4, MADV_REMOVE), 0);
    guarded(17);
    mm_file_put(box.sys, f);
}

static void holes_are_enomem_after_the_rest_was_done(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(6, 4, RW);
    assert_int_equal(advise(2, 6, INSTALL), -ENOMEM);
    guarded(3);
    guarded(7);
    usable(8);
    assert_int_equal(mm_madvise(box.mm, va(BASE + 1), K, INSTALL), -EINVAL);
    assert_int_equal(advise(0, 0, INSTALL), 0);
}

/* Observed: the flag stays for good, joins a merged VMA, and keeps none apart. */
static void the_guard_flag_sticks_and_keeps_no_mappings_apart(void **state)
{
    (void)state;
    map(0, 8, RW);
    assert_int_equal(advise(0, 1, INSTALL), 0);
    assert_string_equal(draw(&box, BASE, 9), "Wwwwwwww.");
    map(8, 4, RW);
    assert_string_equal(draw(&box, BASE, 12), "Wwwwwwwwwwww");
    assert_int_equal(flags_at(11) & VM_MAYBE_GUARD, VM_MAYBE_GUARD);
    assert_int_equal(advise(0, 8, REMOVE), 0);
    assert_int_equal(flags_at(0) & VM_MAYBE_GUARD, VM_MAYBE_GUARD);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 4 * K), K, PROT_READ), 0);
    assert_int_equal(flags_at(4) & VM_MAYBE_GUARD, VM_MAYBE_GUARD);
    map(20, 4, RW);
    map(24, 4, PROT_READ);
    assert_int_equal(advise(24, 1, INSTALL), 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 24 * K), 4 * K, RW), 0);
    assert_string_equal(draw(&box, BASE + 20 * K, 8), "Wwwwwwww");
    assert_int_equal(flags_at(20) & VM_MAYBE_GUARD, VM_MAYBE_GUARD);
}

/* Observed: a guarded mapping has an anon_vma: moved, it keeps its linear place and does not merge. */
static void a_guarded_mapping_moves_as_a_touched_one(void **state)
{
    (void)state;
    map(0, 8, RW);
    assert_int_equal(advise(0, 1, INSTALL), 0);
    map(40, 4, RW);
    mm_mremap(box.mm, va(BASE), 8 * K, 8 * K, MREMAP_MAYMOVE | MREMAP_FIXED, va(BASE + 44 * K),
              false);
    assert_string_equal(draw(&box, BASE + 40 * K, 12), "WwwwWwwwwwww");
}

static void mincore_takes_a_guard_for_nothing(void **state)
{
    (void)state;
    uint8_t vec[4];
    map(0, 4, RW);
    touch_pages(&box, BASE, 4, true);
    assert_int_equal(advise(1, 2, INSTALL), 0);
    assert_int_equal(mm_mincore(box.mm, va(BASE), 4 * K, vec), 0);
    assert_int_equal(vec[0] | vec[1] << 1 | vec[2] << 2 | vec[3] << 3, 9);
}

static void a_huge_page_gives_way_to_guards(void **state)
{
    (void)state;
    const uint64_t at = UINT64_C(0x40000000);
    map_anon(&box, at, 1024, RW);
    assert_int_equal(mm_madvise(box.mm, va(at), MIB(4), MADV_HUGEPAGE), 0);
    assert_int_equal(touch(&box, at, true).signal, 0);
    assert_int_equal(mm_madvise(box.mm, va(at + 10 * K), 5 * K, INSTALL), 0);
    assert_int_equal(touch(&box, at + 10 * K, false).signal, SIGSEGV);
    assert_int_equal(touch(&box, at + 15 * K, true).signal, 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 507);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(installed_pages_fault_and_removed_ones_work_again),
        TEST(installing_drops_pages_and_removing_keeps_others),
        TEST(guards_survive_dontneed_but_not_munmap),
        TEST(dontneed_keeps_a_table_with_guards),
        TEST(guards_stay_through_mprotect_splits_and_moves),
        TEST(locked_memory_may_only_lose_guards),
        TEST(populate_over_a_guard_is_efault),
        TEST(a_child_inherits_guards),
        TEST(wiped_on_fork_guards_are_gone),
        TEST(files_and_shared_memory_may_be_guarded),
        TEST(holes_are_enomem_after_the_rest_was_done),
        TEST(the_guard_flag_sticks_and_keeps_no_mappings_apart),
        TEST(a_guarded_mapping_moves_as_a_touched_one),
        TEST(mincore_takes_a_guard_for_nothing),
        TEST(a_huge_page_gives_way_to_guards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
