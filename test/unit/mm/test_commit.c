/* test_commit.c: what is promised (Committed_AS), and when overcommit refuses.
 * Expectations: digest of Linux 6.18 mm/util.c, mm/vma.c, mm/shmem.c, observed on 6.18.44; LTP
 * overcommit_memory, mmap16, fork (ENOMEM in mode 2). */
#include "unit/mm/one_box.h"

#include <linux/capability.h>

#define BASE UINT64_C(0x10000000)

static int64_t promised(void)
{
    return (int64_t)mm_committed(box.sys);
}

static int64_t map(uint64_t addr, uint64_t pages, uint32_t prot, uint32_t flags)
{
    flags |= flags & MAP_SHARED ? MAP_ANONYMOUS : MAP_PRIVATE | MAP_ANONYMOUS;
    return map_full(&box, addr, pages * K, prot, flags | (addr ? MAP_FIXED : 0), NULL, 0);
}

static void strict(uint64_t limit_pages)
{
    assert_int_equal(mm_sysctl(box.sys, "vm.overcommit_memory", 2), 0);
    assert_int_equal(mm_sysctl(box.sys, "overcommit_kbytes", limit_pages * 4), 0);
    assert_int_equal(mm_sysctl(box.sys, "admin_reserve_kbytes", 0), 0);
    assert_int_equal(mm_sysctl(box.sys, "user_reserve_kbytes", 0), 0);
    assert_int_equal(mm_commit_limit(box.sys), limit_pages);
}

static void private_writable_memory_is_promised_when_mapped(void **state)
{
    (void)state;
    const struct {
        uint32_t prot, flags;
        int64_t pages;
    } row[] = {
        {RW, 0, 10},
        {PROT_WRITE, 0, 10},
        {RWX, 0, 10},
        {PROT_READ, 0, 0},
        {PROT_NONE, 0, 0},
        {RW, MAP_NORESERVE, 0},
        {RW, MAP_SHARED, 10},
        {PROT_READ, MAP_SHARED, 10}, /* shared: in full, by its size */
        {RW, MAP_SHARED | MAP_NORESERVE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t a = map(0, 10, row[i].prot, row[i].flags);
        assert_true(a > 0);
        assert_int_equal(promised(), row[i].pages);
        assert_int_equal(mm_munmap(box.mm, va((uint64_t)a), 10 * K), 0);
        assert_int_equal(promised(), 0);
    }
}

static void files_are_promised_only_where_a_private_copy_may_come(void **state)
{
    (void)state;
    struct mm_file *f = mm_file(box.sys, 1, 1, 16 * K, "/data");
    map_full(&box, BASE, 16 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    assert_int_equal(promised(), 0);
    map_full(&box, BASE, 16 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(promised(), 16);
    map_full(&box, BASE, 16 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(promised(), 0);
    mm_file_put(box.sys, f);
}

static void memory_without_a_reserve_is_promised_page_by_page(void **state)
{
    (void)state;
    struct mm_file *f;
    assert_int_equal(mm_memfd(box.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(box.sys, f, 16 * K), 0);
    map_full(&box, BASE, 16 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    assert_int_equal(promised(), 0);
    touch_pages(&box, BASE, 5, true);
    assert_int_equal(promised(), 5);
    assert_int_equal(mm_munmap(box.mm, va(BASE), 16 * K), 0);
    assert_int_equal(promised(), 5);
    assert_int_equal(mm_fallocate_punch(box.sys, f, 0, 2 * K), 0);
    assert_int_equal(promised(), 3);
    mm_file_put(box.sys, f);
    assert_int_equal(promised(), 0);
}

static void mprotect_promises_and_takes_back(void **state)
{
    (void)state;
    map(BASE, 10, PROT_READ, 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 4 * K, RW), 0);
    assert_int_equal(promised(), 4);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 4 * K, PROT_READ), 0);
    assert_int_equal(promised(), 0); /* never written: nothing to keep */
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 4 * K, RW), 0);
    touch(&box, BASE, true);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 4 * K, PROT_READ), 0);
    assert_int_equal(promised(), 4); /* it has an anon_vma */
}

static void mremap_brk_and_stack_promise_what_they_add(void **state)
{
    (void)state;
    map(BASE, 10, RW, 0);
    assert_int_equal(mm_mremap(box.mm, va(BASE), 10 * K, 15 * K, 0, va(0), false), BASE);
    assert_int_equal(promised(), 15);
    int64_t to = mm_mremap(box.mm, va(BASE), 15 * K, 20 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
                           va(BASE + MIB(1)), false);
    assert_int_equal(to, BASE + MIB(1));
    assert_int_equal(promised(), 20);
    to = mm_mremap(box.mm, va((uint64_t)to), 20 * K, 20 * K, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
                   va(0), false);
    assert_true(to > 0);
    assert_int_equal(promised(), 40);
    mm_set_brk(box.mm, va(BASE + MIB(2)));
    mm_brk(box.mm, va(BASE + MIB(2) + 3 * K));
    assert_int_equal(promised(), 43);
    mm_brk(box.mm, va(BASE + MIB(2) + K));
    assert_int_equal(promised(), 41);
    assert_int_equal(mm_map_stack(box.mm, va(0x7ffff0000000 - 2 * K), va(0x7ffff0000000), MIB(8)),
                     0);
    assert_int_equal(promised(), 43);
    assert_int_equal(touch(&box, 0x7ffff0000000 - 6 * K, true).signal, 0);
    assert_int_equal(promised(), 47);
}

static void mode_0_refuses_one_request_beyond_memory(void **state)
{
    (void)state;
    const uint64_t all = phys_managed(box.phys);
    assert_int_equal(map(0, all + 1, RW, 0), -ENOMEM);
    assert_int_equal(map(0, all + 1, RW, MAP_SHARED), -ENOMEM);
    for (int i = 0; i < 4; i++)
        assert_true(map(0, all, RW, 0) > 0);
    assert_true(map(0, all + 1, RW, MAP_NORESERVE) > 0);
    int64_t a = map(0, all + 1, PROT_READ, 0);
    assert_true(a > 0);
    assert_int_equal(mm_mprotect(box.mm, va((uint64_t)a), (all + 1) * K, RW), -ENOMEM);
}

static void mode_1_refuses_nothing(void **state)
{
    (void)state;
    assert_int_equal(mm_sysctl(box.sys, "overcommit_memory", 1), 0);
    assert_true(map(0, GIB(64) / K, RW, 0) > 0);
}

static void mode_2_keeps_promises_below_the_limit(void **state)
{
    (void)state;
    strict(100);
    assert_int_equal(map(0, 100, RW, 0), -ENOMEM); /* strictly below */
    assert_int_equal(map(BASE, 60, RW, 0), BASE);
    assert_int_equal(map(0, 40, RW, MAP_NORESERVE), -ENOMEM); /* NORESERVE is ignored */
    assert_int_equal(map(0, 40, RW, MAP_SHARED), -ENOMEM);
    assert_int_equal(mm_mremap(box.mm, va(BASE), 60 * K, 100 * K, MREMAP_MAYMOVE, va(0), false),
                     -ENOMEM);
    assert_int_equal(promised(), 60);
    assert_int_equal(map(BASE, 99, RW, 0), BASE); /* over itself: 39 more */
    assert_int_equal(promised(), 99);
    assert_true(map(0, 500, PROT_READ, 0) > 0);
    mm_set_brk(box.mm, va(BASE + MIB(2)));
    assert_int_equal(mm_brk(box.mm, va(BASE + MIB(2) + K)).v, BASE + MIB(2));
}

static void a_refused_fixed_mapping_leaves_the_old_one(void **state)
{
    (void)state;
    strict(100);
    assert_int_equal(map(BASE, 4, PROT_READ, 0), BASE);
    assert_int_equal(map(BASE, 100, RW, 0), -ENOMEM);
    assert_string_equal(draw(&box, BASE, 5), "Rrrr.");
}

static void admin_and_user_reserves_are_kept_in_mode_2(void **state)
{
    (void)state;
    strict(1000);
    assert_int_equal(mm_sysctl(box.sys, "admin_reserve_kbytes", 400), 0);
    assert_int_equal(map(0, 900, RW, 0), -ENOMEM);
    struct mm_task t = *mm_task(box.mm);
    t.caps = BIT(CAP_SYS_ADMIN);
    mm_set_task(box.mm, &t);
    assert_int_equal(map(BASE, 960, PROT_READ, 0), BASE); /* total_vm 960: a 32nd is 30 */
    assert_int_equal(mm_sysctl(box.sys, "user_reserve_kbytes", 4000), 0);
    assert_int_equal(map(0, 970, RW, 0), -ENOMEM);
    assert_true(map(0, 969, RW, 0) > 0);
}

static void fork_promises_again_and_may_be_refused(void **state)
{
    (void)state;
    struct mm *child;
    strict(100);
    assert_int_equal(map(BASE, 60, RW, 0), BASE);
    assert_int_equal(mm_fork(&child, box.mm), -ENOMEM);
    assert_int_equal(promised(), 60);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 30 * K, MADV_DONTFORK), 0);
    assert_int_equal(mm_fork(&child, box.mm), 0);
    assert_int_equal(promised(), 90);
    mm_close(child);
    assert_int_equal(promised(), 60);
}

static void sysctl_refuses_what_is_out_of_range(void **state)
{
    (void)state;
    uint64_t v;
    assert_int_equal(mm_sysctl(box.sys, "overcommit_memory", 3), -EINVAL);
    assert_int_equal(mm_sysctl(box.sys, "no_such_thing", 0), -ENOENT);
    assert_int_equal(mm_sysctl_get(box.sys, "no_such_thing", &v), -ENOENT);
    assert_int_equal(mm_sysctl(box.sys, "overcommit_kbytes", 4096), 0);
    assert_int_equal(mm_sysctl_get(box.sys, "vm.overcommit_ratio", &v), 0);
    assert_int_equal(v, 0); /* the one ends the other */
    assert_int_equal(mm_sysctl(box.sys, "overcommit_ratio", 50), 0);
    assert_int_equal(mm_sysctl_get(box.sys, "overcommit_kbytes", &v), 0);
    assert_int_equal(v, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(private_writable_memory_is_promised_when_mapped),
        TEST(files_are_promised_only_where_a_private_copy_may_come),
        TEST(memory_without_a_reserve_is_promised_page_by_page),
        TEST(mprotect_promises_and_takes_back),
        TEST(mremap_brk_and_stack_promise_what_they_add),
        TEST(mode_0_refuses_one_request_beyond_memory),
        TEST(mode_1_refuses_nothing),
        TEST(mode_2_keeps_promises_below_the_limit),
        TEST(a_refused_fixed_mapping_leaves_the_old_one),
        TEST(admin_and_user_reserves_are_kept_in_mode_2),
        TEST(fork_promises_again_and_may_be_refused),
        TEST(sysctl_refuses_what_is_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
