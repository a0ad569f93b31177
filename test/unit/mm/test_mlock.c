/* test_mlock.c: mlock, mlock2, munlock, mlockall, munlockall, msync, mincore, after LTP mlock01-05,
 * mlock201-203, munlock01-02, mlockall01-03, munlockall01-02, msync03-04, mincore01-04 and
 * tools/testing/selftests/mm/mlock2-tests.c. Limits are in test_limits.c. */
#define FILE_PAGES 16
#include "unit/mm/one_box.h"

#define BASE    UINT64_C(0x10000000)
#define ONFAULT 1 /* MLOCK_ONFAULT */

static uint64_t at(uint64_t page)
{
    return BASE + page * K;
}

static void map(uint64_t page, uint64_t pages, uint32_t prot)
{
    map_anon(&box, at(page), pages, prot);
}

static int lock(uint64_t page, uint64_t pages, int flags)
{
    return mm_mlock(box.mm, va(at(page)), pages * K, flags);
}

static uint64_t locked(uint64_t page)
{
    return mm_vma_at(box.mm, va(at(page)))->flags & (VM_LOCKED | VM_LOCKONFAULT);
}

static uint64_t vmlck(void)
{
    return counters(&box).locked_vm;
}

/* mlock03, mlock05: rounded out to pages, pages present at once */
static void locked_memory_is_present_and_counted(void **state)
{
    (void)state;
    map(0, 8, RW);
    assert_int_equal(mm_mlock(box.mm, va(at(1) + 100), K, 0), 0);
    assert_string_equal(draw(&box, BASE, 8), "WWwWwwww");
    assert_int_equal(vmlck(), 2);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 2);
    assert_int_equal(lock(0, 8, 0), 0);
    assert_string_equal(draw(&box, BASE, 8), "Wwwwwwww");
    assert_int_equal(vmlck(), 8);
    assert_int_equal(mm_munlock(box.mm, va(BASE), 8 * K), 0);
    assert_int_equal(vmlck(), 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 8);
}

/* mlock02, mlock202, munlock02 */
static void refusals_leave_what_lies_before_them_locked(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(5, 4, RW);
    map(9, 1, PROT_NONE);
    assert_int_equal(lock(0, 1, 2), -EINVAL); /* unknown flag */
    assert_int_equal(mm_mlock(box.mm, va(BASE), UINT64_MAX - BASE - K, 0), -ENOMEM);
    assert_int_equal(lock(2, 4, 0), -ENOMEM);
    assert_int_equal(locked(3), VM_LOCKED);
    assert_int_equal(locked(5), 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 0); /* nothing populated */
    assert_int_equal(lock(4, 1, 0), -ENOMEM);
    assert_int_equal(lock(8, 2, 0), -ENOMEM); /* no rights: locked, but not to be populated */
    assert_int_equal(locked(9), VM_LOCKED);
    assert_int_equal(mm_munlock(box.mm, va(at(2)), 4 * K), -ENOMEM);
    assert_int_equal(locked(3), 0);
    assert_int_equal(lock(0, 0, 0), 0);
}

/* mlock2-tests: test_mlock_onfault, test_vma_management */
static void onfault_locks_without_touching(void **state)
{
    (void)state;
    map(0, 3, RW);
    assert_int_equal(lock(0, 3, ONFAULT), 0);
    assert_int_equal(locked(0), VM_LOCKED | VM_LOCKONFAULT);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 0);
    assert_int_equal(vmlck(), 3);
    touch(&box, at(1), true);
    assert_int_equal(mm_munlock(box.mm, va(at(1)), K), 0);
    assert_string_equal(draw(&box, BASE, 3), "WWW");
    assert_int_equal(lock(1, 1, ONFAULT), 0);
    assert_string_equal(draw(&box, BASE, 3), "Www");
    assert_int_equal(lock(0, 3, 0), 0); /* and now all of it, present */
    assert_int_equal(locked(0), VM_LOCKED);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 3);
}

/* mlockall01-03, mlock2-tests: test_mlockall, test_munlockall0, test_munlockall1 */
static void mlockall_takes_all_and_what_comes(void **state)
{
    (void)state;
    map(0, 4, RW);
    map(8, 2, PROT_NONE);
    const int bad[] = {0, 8, MCL_CURRENT | 8, MCL_ONFAULT};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(mm_mlockall(box.mm, bad[i]), -EINVAL);
    assert_int_equal(mm_mlockall(box.mm, MCL_CURRENT), 0); /* what cannot be touched is no error */
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 4);
    assert_int_equal(vmlck(), 6);
    map(20, 2, RW);
    assert_int_equal(locked(20), 0);
    assert_int_equal(mm_mlockall(box.mm, MCL_FUTURE), 0);
    assert_int_equal(locked(20), 0); /* what is there already stays as it is */
    map(30, 2, RW);
    assert_int_equal(locked(30), VM_LOCKED);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 6);
    assert_int_equal(mm_mlockall(box.mm, MCL_FUTURE | MCL_ONFAULT), 0);
    map(40, 2, RW);
    assert_int_equal(locked(40), VM_LOCKED | VM_LOCKONFAULT);
    assert_int_equal(mm_mlockall(box.mm, MCL_CURRENT | MCL_ONFAULT), 0); /* FUTURE ends */
    assert_int_equal(locked(0), VM_LOCKED | VM_LOCKONFAULT);
    map(50, 2, RW);
    assert_int_equal(locked(50), 0);
    mm_munlockall(box.mm);
    assert_int_equal(vmlck(), 0);
}

static void brk_and_stack_follow_mcl_future(void **state)
{
    (void)state;
    mm_set_brk(box.mm, va(at(100)));
    assert_int_equal(mm_mlockall(box.mm, MCL_FUTURE), 0);
    assert_int_equal(mm_brk(box.mm, va(at(103))).v, at(103));
    assert_int_equal(locked(100), VM_LOCKED);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 3);
    assert_int_equal(vmlck(), 3);
}

/* Linux 6.18 mm/mlock.c (mlock_fixup): special and droppable memory is passed over. */
static void special_memory_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(mm_map_special(box.mm, va(BASE), 2 * K,
                                    VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC | VM_DONTEXPAND,
                                    VMA_VDSO),
                     0);
    assert_int_equal(lock(0, 2, 0), 0);
    assert_int_equal(locked(0), 0);
    assert_int_equal(vmlck(), 0);
}

/* msync03 */
static void msync_refuses_in_order(void **state)
{
    (void)state;
    map_full(&box, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED, file, 0);
    map(5, 1, RW);
    assert_int_equal(lock(5, 1, 0), 0);
    const struct {
        uint64_t start, len;
        int flags, result;
    } row[] = {
        {BASE, K, 8, -EINVAL},
        {BASE, K, MS_ASYNC | MS_SYNC, -EINVAL},
        {BASE + 1, K, MS_SYNC, -EINVAL},
        {BASE, UINT64_MAX - BASE, MS_SYNC, -ENOMEM}, /* wraps */
        {BASE, 0, MS_SYNC, 0},
        {BASE, 4 * K, MS_SYNC, 0},
        {BASE, 4 * K, MS_ASYNC, 0},
        {BASE, 4 * K, MS_INVALIDATE, 0},
        {BASE, 4 * K, 0, 0},
        {BASE, 5 * K, MS_SYNC, -ENOMEM},
        {BASE + 8 * K, K, MS_ASYNC, -ENOMEM},
        {BASE + 5 * K, K, MS_INVALIDATE, -EBUSY},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        assert_int_equal(mm_msync(box.mm, va(row[i].start), row[i].len, row[i].flags),
                         row[i].result);
}

/* msync04: what was written back is clean: the next write faults again. */
static void msync_cleans_shared_pages_also_behind_a_hole(void **state)
{
    (void)state;
    map_full(&box, BASE, 2 * K, RW, MAP_SHARED | MAP_FIXED, file, 0);
    map_full(&box, at(4), 2 * K, RW, MAP_SHARED | MAP_FIXED, file, 4 * K);
    touch_pages(&box, BASE, 2, true);
    touch_pages(&box, at(4), 2, true);
    assert_int_equal(touch_pages(&box, BASE, 2, true), 0);
    assert_int_equal(mm_msync(box.mm, va(BASE), 6 * K, MS_SYNC), -ENOMEM);
    assert_int_equal(touch_pages(&box, BASE, 2, true), 2);
    assert_int_equal(touch_pages(&box, at(4), 2, true), 2);
    assert_int_equal(mm_msync(box.mm, va(BASE), 2 * K, MS_ASYNC), 0);
    assert_int_equal(touch_pages(&box, BASE, 2, true), 0); /* ASYNC writes nothing now */
}

/* mincore01-03 */
static void mincore_tells_presence_and_refuses(void **state)
{
    (void)state;
    uint8_t vec[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    map(0, 4, RW);
    touch(&box, at(1), true);
    touch(&box, at(2), false);
    assert_int_equal(mm_mincore(box.mm, va(BASE + 1), K, vec), -EINVAL);
    assert_int_equal(mm_mincore(box.mm, va(BASE), 5 * K, vec), -ENOMEM);
    assert_int_equal(mm_mincore(box.mm, va(BASE), UINT64_C(1) << 63, vec), -ENOMEM);
    assert_int_equal(mm_mincore(box.mm, va(BASE), 0, vec), 0);
    assert_int_equal(mm_mincore(box.mm, va(BASE), 3 * K + 1, vec), 0);
    const uint8_t want[] = {0, 1, 1, 0};
    assert_memory_equal(vec, want, 4);
    assert_int_equal(lock(0, 4, 0), 0); /* mincore04 */
    assert_int_equal(mm_mincore(box.mm, va(BASE), 4 * K, vec), 0);
    assert_int_equal(vec[0] & vec[1] & vec[2] & vec[3], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(locked_memory_is_present_and_counted),
        TEST(refusals_leave_what_lies_before_them_locked),
        TEST(onfault_locks_without_touching),
        TEST(mlockall_takes_all_and_what_comes),
        TEST(brk_and_stack_follow_mcl_future),
        TEST(special_memory_is_passed_over),
        TEST(msync_refuses_in_order),
        TEST(msync_cleans_shared_pages_also_behind_a_hole),
        TEST(mincore_tells_presence_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
