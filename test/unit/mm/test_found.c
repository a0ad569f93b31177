/* test_found.c: what `make check-kernel` found: each case is the shortest sequence that differed, with
 * the answer of Linux 6.18.44. */
#include "mm_fixture.h"

#define BASE   UINT64_C(0x200000000000)
#define ANON   (MAP_PRIVATE | MAP_ANONYMOUS)
#define LOCKED (MAP_LOCKED | MAP_FIXED)

static uint32_t flags_at(const struct box *b, uint64_t a)
{
    unsigned level;
    mm_lru_drain(b->sys);
    return phys_frame(b->phys, pte_pfn(*pt_leaf(mm_pt(b->mm), va(a), &level)))->flags;
}

static void a_page_made_under_mlock_is_unlocked_by_one_munlock(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, BASE, 2 * K, RW, MAP_SHARED | MAP_ANONYMOUS | LOCKED, NULL, 0);
    assert_true(flags_at(&b, BASE) & FRAME_F_MLOCKED);
    assert_int_equal(mm_munlock(b.mm, va(BASE + K), K), 0);
    assert_true(flags_at(&b, BASE) & FRAME_F_MLOCKED);
    assert_false(flags_at(&b, BASE + K) & FRAME_F_MLOCKED);
    mm_munlockall(b.mm);
    assert_false(flags_at(&b, BASE) & FRAME_F_MLOCKED);
    box_close(&b);
}

static void pages_without_rights_are_locked_too(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, BASE, 1, RW);
    touch(&b, BASE, true);
    mm_mprotect(b.mm, va(BASE), K, PROT_NONE);
    assert_int_equal(mm_mlock(b.mm, va(BASE), K, 0), -ENOMEM);
    assert_true(flags_at(&b, BASE) & FRAME_F_MLOCKED);
    box_close(&b);
}

static void special_mappings_are_not_split(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(mm_map_special(b.mm, va(BASE), 4 * K, VM_READ | VM_MAYREAD, VMA_VVAR), 0);
    map_anon(&b, BASE - 2 * K, 2, RW);
    assert_int_equal(mm_munmap(b.mm, va(BASE + K), K), -EINVAL);
    assert_int_equal(mm_munmap(b.mm, va(BASE - K), 2 * K), -EINVAL);
    assert_string_equal(draw(&b, BASE - 2 * K, 6), "WWRrrr"); /* the split at the start stays */
    assert_int_equal(mm_mprotect(b.mm, va(BASE), K, PROT_NONE), -EINVAL);
    mm_munmap(b.mm, va(BASE - 2 * K), 6 * K);
    box_close(&b);
}

static void free_advice_makes_shared_and_rightless_pages_clean(void **state)
{
    (void)state;
    struct box b;
    struct mm *child;
    unsigned level;
    box_open(&b, MIB(64), false);
    map_anon(&b, BASE, 2, RW);
    touch_pages(&b, BASE, 2, true);
    mm_mprotect(b.mm, va(BASE + K), K, PROT_NONE);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_madvise(b.mm, va(BASE), 2 * K, MADV_FREE), 0);
    assert_false(pt_leaf(mm_pt(b.mm), va(BASE), &level)->v & PTE_D);
    assert_false(pt_leaf(mm_pt(b.mm), va(BASE + K), &level)->v & PTE_D);
    assert_true(pt_leaf(mm_pt(child), va(BASE), &level)->v & PTE_D);
    mm_close(child);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_made_under_mlock_is_unlocked_by_one_munlock),
        cmocka_unit_test(pages_without_rights_are_locked_too),
        cmocka_unit_test(special_mappings_are_not_split),
        cmocka_unit_test(free_advice_makes_shared_and_rightless_pages_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
