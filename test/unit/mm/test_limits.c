/* test_limits.c: what a caller may have: resource limits, capabilities, the number of mappings.
 * Expectations: Linux 6.18 mm/vma.c (may_expand_vm), mm/mlock.c, mm/mmap.c (brk), observed values
 * of the running kernel (references in the comments), LTP mmap, mlock, mlock2, mlockall, brk. */
#include "unit/mm/one_box.h"

#include "mm/view.h"

#include <linux/capability.h>

#define BASE UINT64_C(0x10000000)

static void limit(enum mm_rlim which, uint64_t pages)
{
    struct mm_rlimit r = {pages * K, pages * K};
    mm_set_rlimit(box.mm, which, r);
}

static void give(uint64_t caps)
{
    struct mm_task t = *mm_task(box.mm);
    t.caps = caps;
    mm_set_task(box.mm, &t);
}

static int64_t map(uint64_t addr, uint64_t pages, uint32_t prot, uint32_t flags)
{
    return map_full(&box, addr, pages * K, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, NULL, 0);
}

static void address_space_limit_counts_every_mapping(void **state)
{
    (void)state;
    limit(MM_RLIM_AS, 16);
    assert_true(map(BASE, 10, PROT_NONE, MAP_FIXED) > 0);
    assert_int_equal(map(0, 7, PROT_READ, 0), -ENOMEM);
    assert_true(map(0, 6, PROT_READ, 0) > 0);
    assert_int_equal(map(0, 1, PROT_NONE, 0), -ENOMEM);
}

static void fixed_mapping_counts_only_what_it_adds(void **state)
{
    (void)state;
    limit(MM_RLIM_AS, 16);
    assert_int_equal(map(BASE, 16, RW, MAP_FIXED), BASE);
    assert_int_equal(map(BASE + 4 * K, 8, PROT_READ, MAP_FIXED), BASE + 4 * K);
    assert_int_equal(map(BASE + 12 * K, 5, RW, MAP_FIXED), -ENOMEM);
    assert_string_equal(draw(&box, BASE, 17), "WwwwRrrrrrrrWwww."); /* refused before unmapping */
}

static void data_limit_counts_private_writable_memory_only(void **state)
{
    (void)state;
    limit(MM_RLIM_DATA, 8);
    assert_true(map(0, 100, PROT_READ, 0) > 0);
    assert_true(map(0, 100, PROT_NONE, 0) > 0);
    assert_true(map_full(&box, 0, 100 * K, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0) > 0);
    assert_int_equal(map(0, 9, RW, 0), -ENOMEM);
    assert_true(map(0, 8, RW, 0) > 0);
    assert_int_equal(map(0, 1, RW, 0), -ENOMEM);
}

static void data_limit_refuses_mprotect_to_writable(void **state)
{
    (void)state;
    limit(MM_RLIM_DATA, 4);
    assert_int_equal(map(BASE, 8, PROT_READ, MAP_FIXED), BASE);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 5 * K, RW), -ENOMEM);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 4 * K, RW), 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 4 * K), K, RW), -ENOMEM);
}

/* A soft limit of 0 with a higher hard one is ignored (the Valgrind case of may_expand_vm). */
static void soft_data_limit_of_zero_is_bounded_by_the_hard_one(void **state)
{
    (void)state;
    mm_set_rlimit(box.mm, MM_RLIM_DATA, (struct mm_rlimit){0, 4 * K});
    assert_true(map(0, 4, RW, 0) > 0);
    assert_int_equal(map(0, 1, RW, 0), -ENOMEM);
}

static void brk_stays_where_it_is_over_the_data_limit(void **state)
{
    (void)state;
    mm_set_brk(box.mm, va(BASE));
    mm_set_layout(box.mm, &(struct mm_layout){.start_data = BASE - 4 * K, .end_data = BASE - K});
    limit(MM_RLIM_DATA, 8);
    assert_int_equal(mm_brk(box.mm, va(BASE + 6 * K)).v, BASE);
    assert_int_equal(mm_brk(box.mm, va(BASE + 5 * K)).v, BASE + 5 * K);
    struct mm *child;
    assert_int_equal(mm_fork(&child, box.mm), 0); /* the same for its children */
    assert_int_equal(mm_brk(child, va(BASE + 6 * K)).v, BASE + 5 * K);
    mm_close(child);
    limit(MM_RLIM_DATA, MM_RLIM_INFINITY / K);
    limit(MM_RLIM_AS, 5);
    assert_int_equal(mm_brk(box.mm, va(BASE + 6 * K)).v, BASE + 5 * K);
}

static void stack_grows_up_to_its_limit(void **state)
{
    (void)state;
    const uint64_t top = 0x7ffff0000000;
    assert_int_equal(mm_map_stack(box.mm, va(top - 2 * K), va(top), 16 * K), 0);
    assert_int_equal(touch(&box, top - 17 * K, true).signal, SIGSEGV);
    assert_int_equal(touch(&box, top - 16 * K, true).signal, 0);
    limit(MM_RLIM_STACK, 32);
    assert_int_equal(touch(&box, top - 32 * K, true).signal, 0);
    limit(MM_RLIM_AS, 32);
    limit(MM_RLIM_STACK, 64);
    assert_int_equal(touch(&box, top - 33 * K, true).signal, SIGSEGV);
}

static void mremap_growth_obeys_limits(void **state)
{
    (void)state;
    assert_int_equal(map(BASE, 4, RW, MAP_FIXED), BASE);
    limit(MM_RLIM_AS, 6);
    assert_int_equal(mm_mremap(box.mm, va(BASE), 4 * K, 7 * K, MREMAP_MAYMOVE, va(0), false),
                     -ENOMEM);
    assert_int_equal(mm_mremap(box.mm, va(BASE), 4 * K, 6 * K, MREMAP_MAYMOVE, va(0), false), BASE);
}

/* LTP mlock02, mlock201: over the limit ENOMEM; a limit of 0 without CAP_IPC_LOCK EPERM. */
static void mlock_obeys_its_limit(void **state)
{
    (void)state;
    assert_int_equal(map(BASE, 16, RW, MAP_FIXED), BASE);
    limit(MM_RLIM_MEMLOCK, 8);
    assert_int_equal(mm_mlock(box.mm, va(BASE), 9 * K, 0), -ENOMEM);
    assert_int_equal(mm_mlock(box.mm, va(BASE), 8 * K, 0), 0);
    assert_int_equal(counters(&box).locked_vm, 8);
    assert_int_equal(mm_mlock(box.mm, va(BASE), 8 * K, 0), 0); /* overlap counts once */
    assert_int_equal(mm_mlock(box.mm, va(BASE + 4 * K), 5 * K, 0), -ENOMEM);
    limit(MM_RLIM_MEMLOCK, 0);
    assert_int_equal(mm_mlock(box.mm, va(BASE), 0, 0), -EPERM); /* even of nothing */
    assert_int_equal(mm_mlock(box.mm, va(BASE), K, 0), -EPERM);
    give(BIT(CAP_IPC_LOCK));
    assert_int_equal(mm_mlock(box.mm, va(BASE), 16 * K, 0), 0);
    assert_int_equal(counters(&box).locked_vm, 16);
    assert_int_equal(mm_munlock(box.mm, va(BASE), 12 * K), 0);
    assert_int_equal(counters(&box).locked_vm, 4);
}

/* LTP mmap14, mlockall02. */
static void locked_mappings_obey_the_memlock_limit(void **state)
{
    (void)state;
    limit(MM_RLIM_MEMLOCK, 4);
    assert_int_equal(map(0, 5, RW, MAP_LOCKED), -EAGAIN);
    int64_t a = map(0, 4, RW, MAP_LOCKED);
    assert_true(a > 0);
    assert_int_equal(counters(&box).locked_vm, 4);
    assert_int_equal(mm_mremap(box.mm, va((uint64_t)a), 4 * K, 5 * K, MREMAP_MAYMOVE, va(0), false),
                     -EAGAIN);
    assert_int_equal(mm_munmap(box.mm, va((uint64_t)a), 4 * K), 0);
    assert_int_equal(counters(&box).locked_vm, 0);
    limit(MM_RLIM_MEMLOCK, 0);
    assert_int_equal(map(0, 1, RW, MAP_LOCKED), -EPERM);
    assert_int_equal(mm_mlockall(box.mm, MCL_CURRENT), -EPERM);
}

static void mlockall_obeys_the_memlock_limit(void **state)
{
    (void)state;
    assert_int_equal(map(BASE, 5, RW, MAP_FIXED), BASE);
    limit(MM_RLIM_MEMLOCK, 4);
    assert_int_equal(mm_mlockall(box.mm, MCL_CURRENT), -ENOMEM);
    assert_int_equal(mm_mlockall(box.mm, MCL_FUTURE), 0); /* nothing is locked yet */
    assert_int_equal(map(0, 5, RW, 0), -EAGAIN);
    mm_set_brk(box.mm, va(BASE + MIB(1)));
    assert_int_equal(mm_brk(box.mm, va(BASE + MIB(1) + 5 * K)).v, BASE + MIB(1));
    assert_int_equal(mm_brk(box.mm, va(BASE + MIB(1) + 4 * K)).v, BASE + MIB(1) + 4 * K);
}

/* Observed: root may map page 0, others get EPERM below vm.mmap_min_addr. */
static void low_addresses_need_cap_sys_rawio(void **state)
{
    (void)state;
    assert_int_equal(map(0, 1, RW, MAP_FIXED), -EPERM);
    give(BIT(CAP_SYS_RAWIO));
    assert_int_equal(map(0, 1, RW, MAP_FIXED), 0);
}

/* Digest section 20: with a limit of n the number of mappings reaches n by splitting; one mmap more
 * gives n + 1, the next fails. */
static void one_mapping_more_than_max_map_count_can_be_made(void **state)
{
    (void)state;
    box_close(&box);
    box_open(&box, MIB(512), false);
    assert_int_equal(box.conf.kernel_max_map_count, 65530);
#ifdef PW_HOSTILE /* every call looks at every mapping */
    assert_int_equal(mm_sysctl(box.sys, "max_map_count", 500), 0);
#endif
    uint64_t max;
    assert_int_equal(mm_sysctl_get(box.sys, "vm.max_map_count", &max), 0);
    assert_int_equal(map(BASE, max + 2, RW, MAP_FIXED), BASE);
    uint64_t i = 1;
    while (counters(&box).map_count < max - 1) {
        assert_int_equal(mm_mprotect(box.mm, va(BASE + i * K), K, PROT_READ), 0);
        box.out.n = 0;
        i += 2;
    }
    assert_int_equal(map(BASE + GIB(1), 1, PROT_NONE, MAP_FIXED), BASE + GIB(1));
    assert_int_equal(counters(&box).map_count, max);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + i * K), K, PROT_READ), -ENOMEM);
    assert_int_equal(map(BASE + GIB(2), 1, RW, MAP_FIXED), BASE + GIB(2));
    assert_int_equal(counters(&box).map_count, max + 1);
    assert_int_equal(map(BASE + GIB(3), 1, RW, MAP_FIXED), -ENOMEM);
    assert_int_equal(mm_mlock(box.mm, va(BASE + i * K), K, 0), -ENOMEM);
    assert_int_equal(mm_madvise(box.mm, va(BASE + i * K), K, MADV_DONTFORK), -EAGAIN);
    assert_int_equal(mm_munmap(box.mm, va(BASE + i * K), K), -ENOMEM);
    assert_int_equal(mm_munmap(box.mm, va(BASE + GIB(2)), K), 0);
    assert_int_equal(counters(&box).map_count, max);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(address_space_limit_counts_every_mapping),
        TEST(fixed_mapping_counts_only_what_it_adds),
        TEST(data_limit_counts_private_writable_memory_only),
        TEST(data_limit_refuses_mprotect_to_writable),
        TEST(soft_data_limit_of_zero_is_bounded_by_the_hard_one),
        TEST(brk_stays_where_it_is_over_the_data_limit),
        TEST(stack_grows_up_to_its_limit),
        TEST(mremap_growth_obeys_limits),
        TEST(mlock_obeys_its_limit),
        TEST(locked_mappings_obey_the_memlock_limit),
        TEST(mlockall_obeys_the_memlock_limit),
        TEST(low_addresses_need_cap_sys_rawio),
        TEST(one_mapping_more_than_max_map_count_can_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
