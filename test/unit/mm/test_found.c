/* test_found.c: what `make check-kernel` found: each case is the shortest sequence that differed, with
 * the answer of Linux 6.18.44. */
#include "mm_fixture.h"

#include <linux/capability.h>
#include <sys/shm.h>

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
    box_open_written(&b, BASE, 1);
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
    box_open_written(&b, BASE, 2);
    mm_mprotect(b.mm, va(BASE + K), K, PROT_NONE);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_madvise(b.mm, va(BASE), 2 * K, MADV_FREE), 0);
    assert_false(pt_leaf(mm_pt(b.mm), va(BASE), &level)->v & PTE_D);
    assert_false(pt_leaf(mm_pt(b.mm), va(BASE + K), &level)->v & PTE_D);
    assert_true(pt_leaf(mm_pt(child), va(BASE), &level)->v & PTE_D);
    mm_close(child);
    box_close(&b);
}

static void a_search_goes_on_below_a_guard_gap_not_inside_it(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    uint64_t top = (uint64_t)map_anon(&b, 0, 1, PROT_READ) + K;
    map_full(&b, top - 4 * K, K, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, NULL, 0);
    map_anon(&b, top - 10 * K, 3, PROT_READ); /* inside the guard gap, room below it */
    map_anon(&b, top - 3 * K, 2, PROT_READ);
    assert_int_equal(map_anon(&b, 0, 1, RW), top - (4 + 256 + 1) * K);
    box_close(&b);
}

static void cutting_a_page_of_shared_memory_makes_it_dirty(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 1, 4 * K, "/memfd:x (deleted)");
    map_full(&b, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED | MAP_POPULATE, f, 0);
    mm_file_resize(b.sys, f, 2 * K + 100);
    assert_false(flags_at(&b, BASE + K) & FRAME_F_DIRTY);
    assert_true(flags_at(&b, BASE + 2 * K) & FRAME_F_DIRTY);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void populating_a_clean_writable_page_makes_the_page_dirty(void **state)
{
    (void)state;
    struct box b;
    box_open_written(&b, BASE, 1);
    mm_madvise(b.mm, va(BASE), K, MADV_FREE);
    assert_false(flags_at(&b, BASE) & FRAME_F_DIRTY);
    assert_int_equal(mm_mlock(b.mm, va(BASE), K, 0), 0);
    assert_true(flags_at(&b, BASE) & FRAME_F_DIRTY);
    box_close(&b);
}

static void dontunmap_unlocks_all_of_the_old_mapping(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, BASE, 8 * K, PROT_READ, ANON | LOCKED, NULL, 0);
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    mm_mremap(b.mm, va(BASE + K), K, K, flags, va(BASE + 5 * K), false);
    assert_false(mm_vma_at(b.mm, va(BASE))->flags & VM_LOCKED);
    assert_int_equal(counters(&b).locked_vm, 8);
    box_close(&b);
}

static void locking_nothing_succeeds_even_in_rightless_memory(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, BASE, 2, PROT_NONE);
    assert_int_equal(mm_mlock(b.mm, va(BASE + K), 0, 0), 0);
    box_close(&b);
}

static void a_page_locked_in_two_places_stays_locked_after_one_munlock(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, BASE, K, RWX, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, NULL, 0);
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    mm_mremap(b.mm, va(BASE), K, K, flags, va(BASE - MIB(2)), false);
    mm_lru_drain(b.sys);
    assert_int_equal(mm_mlockall(b.mm, MCL_CURRENT), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(mm_munlock(b.mm, va(BASE), K), 0);
    assert_true(flags_at(&b, BASE - MIB(2)) & FRAME_F_MLOCKED);
    box_close(&b);
}

static void a_refused_mmap_over_mappings_leaves_them_split(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, BASE, 6, RW);
    mm_set_rlimit(b.mm, MM_RLIM_AS, (struct mm_rlimit){5 * K, MM_RLIM_INFINITY});
    assert_int_equal(map_anon(&b, BASE + 2 * K, 2, RW), -ENOMEM);
    assert_string_equal(draw(&b, BASE, 6), "WwWwWw");
    box_close(&b);
}

static void only_system_v_segments_are_detached_and_mapped_without_fault_around(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *memfd = mm_file(b.sys, 1, 1, 4 * K, "/memfd:x (deleted)");
    struct mm_file *segment = mm_file(b.sys, 1, 2, 4 * K, "/SYSV00000000 (deleted)");
    map_full(&b, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED, memfd, 0);
    assert_int_equal(mm_shmdt(b.mm, va(BASE)), -EINVAL);
    map_full(&b, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED, segment, 0);
    touch_pages(&b, BASE, 4, true);
    map_full(&b, BASE + MIB(1), 4 * K, RW, MAP_SHARED | MAP_FIXED, segment, 0);
    assert_int_equal(touch_pages(&b, BASE + MIB(1), 4, false), 4);
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED; /* shm_file_operations places mappings itself */
    assert_int_equal(mm_mremap(b.mm, va(BASE), 5 * K, 5 * K, flags, va(BASE + MIB(2)), false),
                     -EFAULT);
    assert_int_equal(mm_shmdt(b.mm, va(BASE)), 0);
    mm_file_put(b.sys, memfd);
    mm_file_put(b.sys, segment);
    box_close(&b);
}

static void punching_part_of_a_page_zeroes_and_dirties_it(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 1, 4 * K, "/memfd:x (deleted)");
    map_full(&b, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED | MAP_POPULATE, f, 0);
    mm_fallocate_punch(b.sys, f, 100, 2 * K);
    assert_true(flags_at(&b, BASE) & FRAME_F_DIRTY);
    assert_true(flags_at(&b, BASE + 2 * K) & FRAME_F_DIRTY);
    assert_false(flags_at(&b, BASE + 3 * K) & FRAME_F_DIRTY);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void dontunmap_over_the_limit_has_unmapped_its_target(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, BASE, 1, RW);
    map_anon(&b, BASE + 2 * K, 3, PROT_READ);
    mm_set_rlimit(b.mm, MM_RLIM_AS, (struct mm_rlimit){3 * K, MM_RLIM_INFINITY});
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    assert_int_equal(mm_mremap(b.mm, va(BASE), K, K, flags, va(BASE + 3 * K), false), -ENOMEM);
    assert_string_equal(draw(&b, BASE, 6), "W.R.R.");
    box_close(&b);
}

static void a_process_with_sealed_memory_ends(void **state)
{
    (void)state;
    struct box b;
    struct mm *child;
    box_open(&b, MIB(64), false);
    map_anon(&b, BASE, 3, RW);
    assert_int_equal(mm_mseal(b.mm, va(BASE), K, 0), 0);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    mm_close(child);
    box_close(&b);
}

static void guards_give_anonymous_memory_an_anon_vma_but_not_file_mappings(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 4 * K, "/f");
    map_anon(&b, BASE, 2, RW);
    map_full(&b, BASE + MIB(1), 2 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(mm_madvise(b.mm, va(BASE), K, 102), 0);
    assert_int_equal(mm_madvise(b.mm, va(BASE + MIB(1)), K, 102), 0);
    assert_non_null(mm_vma_at(b.mm, va(BASE))->anon_vma);
    assert_null(mm_vma_at(b.mm, va(BASE + MIB(1)))->anon_vma);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void a_removed_segment_replaces_its_own_last_mapping(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    int id = mm_shmget(b.mm, 0 /* IPC_PRIVATE */, 2 * K, 0600 | 01000 /* IPC_CREAT */);
    assert_int_equal(mm_shmat(b.mm, id, va(BASE), 0, false), BASE);
    assert_int_equal(mm_shmctl(b.mm, id, 0 /* IPC_RMID */, NULL), 0);
    assert_int_equal(mm_shmat(b.mm, id, va(BASE), 040000 /* SHM_REMAP */, false), BASE);
    touch_pages(&b, BASE, 2, true);
    box_close(&b);
}

static void droppable_pages_are_not_backed_by_swap(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, BASE, K, RW, 0x08 /* MAP_DROPPABLE */ | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    touch(&b, BASE, true);
    assert_false(flags_at(&b, BASE) & FRAME_F_SWAPBACKED);
    box_close(&b);
}

static void sealing_execution_seals_writing_and_so_is_refused_while_mapped_writable(void **state)
{
    (void)state;
    struct box b;
    struct mm_file *f;
    box_open(&b, MIB(64), false);
    assert_int_equal(mm_memfd(b.sys, "x", 2 /* MFD_ALLOW_SEALING */, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, K), 0);
    map_full(&b, BASE, K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_EXEC), -EBUSY);
    mm_munmap(b.mm, va(BASE), K);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_EXEC), 0);
    assert_true(mm_file_seals(f) & MM_SEAL_WRITE);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void synchronous_mappings_fail_late_where_there_is_no_dax(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 4 * K, "/f");
    uint32_t sync = MAP_SHARED_VALIDATE | MAP_FIXED | 0x80000 /* MAP_SYNC */;
    map_anon(&b, BASE, 1, RW);
    assert_int_equal(map_full(&b, BASE, K, RW, sync | MAP_GROWSDOWN, f, 0), -EINVAL);
    assert_string_equal(draw(&b, BASE, 1), "W");
    assert_int_equal(map_full(&b, BASE, K, RW, sync, f, 0), -EOPNOTSUPP);
    assert_string_equal(draw(&b, BASE, 1), "."); /* the old mapping went before ext4 was asked */
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* do_mmap asks for FOP_MMAP_SYNC before the mode, and for the mmap operation last: a pipe has neither
 * (the kernel's answer to seeds 303376 and 305624). */
static void what_cannot_be_mapped_does_not_know_synchronous_mappings(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 1, 0, "/pipe");
    mm_file_set_traits(f, MM_FILE_NOMMAP | MM_FILE_NOEXEC);
    uint32_t sync = MAP_SHARED_VALIDATE | 0x80000 /* MAP_SYNC */;
    assert_int_equal(map_full(&b, 0, K, PROT_READ, sync, f, 0), -EOPNOTSUPP);
    assert_int_equal(map_full(&b, 0, K, PROT_READ, MAP_SHARED_VALIDATE, f, 0), -ENODEV);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void guards_keep_no_anon_vmas_apart(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, BASE, 2 * K, RW, ANON | MAP_FIXED | MAP_NORESERVE, NULL, 0);
    map_full(&b, BASE + 2 * K, 2 * K, PROT_READ, ANON | MAP_FIXED | MAP_NORESERVE, NULL, 0);
    assert_int_equal(mm_madvise(b.mm, va(BASE + K), 2 * K, 102), 0);
    assert_ptr_equal(mm_vma_at(b.mm, va(BASE))->anon_vma,
                     mm_vma_at(b.mm, va(BASE + 2 * K))->anon_vma);
    assert_int_equal(mm_mprotect(b.mm, va(BASE), 4 * K, RWX), 0);
    assert_string_equal(draw(&b, BASE, 4), "Xxxx");
    box_close(&b);
}

static void a_fork_leaves_apart_what_it_wipes(void **state)
{
    (void)state;
    struct box b;
    struct mm *child;
    box_open(&b, MIB(64), false);
    map_anon(&b, BASE, 1, RW);
    map_anon(&b, BASE + 2 * K, 1, RW);
    touch(&b, BASE, true);
    touch(&b, BASE + 2 * K, true);
    mm_mremap(b.mm, va(BASE + 2 * K), K, K, MREMAP_MAYMOVE | MREMAP_FIXED, va(BASE + K), false);
    mm_madvise(b.mm, va(BASE), 2 * K, MADV_WIPEONFORK);
    assert_string_equal(draw(&b, BASE, 2), "WW"); /* of two anon_vmas; the child's have none */
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_audit(child), 0);
    mm_close(child);
    box_close(&b);
}

static void advice_that_only_looks_splits_no_huge_page(void **state)
{
    static const int looks[] = {MADV_WILLNEED, 103 /* MADV_GUARD_REMOVE */};
    (void)state;
    struct box b;
    unsigned level = 0;
    box_open(&b, MIB(64), false);
    map_full(&b, BASE, MIB(2), RW, ANON | MAP_FIXED, NULL, 0);
    mm_madvise(b.mm, va(BASE), MIB(2), MADV_HUGEPAGE);
    touch(&b, BASE, true);
    for (unsigned i = 0; i < ARRAY_LEN(looks); i++) {
        assert_int_equal(mm_madvise(b.mm, va(BASE), K, looks[i]), 0);
        assert_non_null(pt_leaf(mm_pt(b.mm), va(BASE), &level));
        assert_int_equal(level, 1);
    }
    box_close(&b);
}

/* The last byte that goes is rounded down to -1, which the kernel takes for the end of the file: all
 * pages from the first whole one on are unmapped, though not lost. */
static void punching_inside_the_first_page_unmaps_the_rest_of_the_file(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 1, 4 * K, "/memfd:x (deleted)");
    map_full(&b, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    touch_pages(&b, BASE, 4, true);
    assert_int_equal(mm_fallocate_punch(b.sys, f, 100, 0x796), 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 1);
    touch_pages(&b, BASE, 4, true);
    assert_int_equal(mm_fallocate_punch(b.sys, f, 0, 0x796), 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* mlock_fixup counts pages in an int: 2^31 of them become -2^31 both ways, in VmLck as /proc shows it. */
static void locking_8_tib_at_once_counts_backwards(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_task t = *mm_task(b.mm);
    t.caps = BIT(CAP_IPC_LOCK);
    mm_set_task(b.mm, &t);
    map_full(&b, 0, UINT64_C(1) << 43, PROT_NONE, ANON | MAP_NORESERVE, NULL, 0);
    assert_int_equal(mm_mlockall(b.mm, MCL_CURRENT), 0);
    assert_int_equal(counters(&b).locked_vm, -(INT64_C(1) << 31));
    mm_munlockall(b.mm);
    assert_int_equal(counters(&b).locked_vm, -(INT64_C(1) << 32));
    box_close(&b);
}

/* An address is an error only within 4095 of the end. */
static void a_fixed_address_beyond_all_programs_is_no_memory(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(map_full(&b, UINT64_C(0xfffffffffff83000), K, RW, ANON | MAP_FIXED, NULL, 0),
                     -ENOMEM);
    box_close(&b);
}

/* can_do_mincore: of a file another user owns and one may not write, all pages are said to be there. */
static void mincore_tells_other_users_nothing_about_a_file_of_root(void **state)
{
    (void)state;
    struct box b;
    uint8_t in = 0;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 4 * K, "/data");
    struct mm_task t = *mm_task(b.mm);
    map_full(&b, BASE, 8 * K, PROT_READ, MAP_SHARED | MAP_FIXED, f, 0); /* 4 behind its end */
    mm_file_set_traits(f, MM_FILE_ROOTS);
    t.uid = 0;
    mm_set_task(b.mm, &t);
    assert_int_equal(mm_mincore(b.mm, va(BASE + 5 * K), K, &in), 0);
    assert_int_equal(in, 0);
    t.uid = 1000;
    t.caps = 0;
    mm_set_task(b.mm, &t);
    assert_int_equal(mm_mincore(b.mm, va(BASE + 5 * K), K, &in), 0);
    assert_int_equal(in, 1);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* pte_modify takes the rights alone from vm_page_prot: khugepaged still sees that nobody used it. */
static void a_change_of_rights_leaves_an_old_page_old(void **state)
{
    (void)state;
    struct box b;
    unsigned level;
    box_open_written(&b, BASE, 1);
    assert_int_equal(mm_madvise(b.mm, va(BASE), K, MADV_COLD), 0);
    assert_int_equal(mm_mprotect(b.mm, va(BASE), K, PROT_READ), 0);
    assert_int_equal(pt_leaf(mm_pt(b.mm), va(BASE), &level)->v & PTE_A, 0);
    box_close(&b);
}

static void a_segment_larger_than_any_file_is_refused(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(mm_shmget(b.mm, 0, (uint64_t)INT64_MAX + 1, 01600), -EINVAL);
    box_close(&b);
}

/* align_hugetlb looks at the fifth argument even when no flag says that it is one. */
static void mremap_of_huge_pages_wants_an_aligned_new_address_it_ignores(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    int64_t a = map_full(&b, 0, MIB(2), RW, ANON | MAP_HUGETLB | MAP_NORESERVE, NULL, 0);
    assert_true(a > 0);
    assert_int_equal(mm_mremap(b.mm, va((uint64_t)a), K, 2 * K, MREMAP_MAYMOVE, va(BASE), false),
                     a);
    assert_int_equal(
        mm_mremap(b.mm, va((uint64_t)a), K, 2 * K, MREMAP_MAYMOVE, va(BASE + K), false), -EINVAL);
    box_close(&b);
}

static void a_written_page_of_a_file_that_moves_is_dirty_once(void **state)
{
    (void)state;
    struct box b;
    const struct nodemask_arg none = {0};
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 4 * K, "/data");
    map_full(&b, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    touch(&b, BASE, true);
    assert_int_equal(mm_mbind(b.mm, va(BASE), K, MPOL_DEFAULT, &none, MPOL_MF_MOVE), 0);
    assert_int_equal(mm_audit(b.mm), 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void a_segment_without_promise_needs_no_pool_to_be_attached(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_task root = *mm_task(b.mm);
    root.gid = 0; /* vm.hugetlb_shm_group */
    mm_set_task(b.mm, &root);
    int id = mm_shmget(b.mm, 0, K, 01600 | SHM_HUGETLB | SHM_NORESERVE);
    assert_true(id >= 0);
    assert_int_equal(mm_shmat(b.mm, id, va(BASE), 0, false), BASE);
    assert_int_equal(mm_shmget(b.mm, 0, K, 01600 | SHM_HUGETLB), -ENOMEM);
    mm_shmdt(b.mm, va(BASE));
    box_close(&b);
}

static void a_page_of_the_swap_cache_that_moves_keeps_its_slot(void **state)
{
    (void)state;
    struct box b;
    const struct nodemask_arg none = {0};
    box_conf(&b, MIB(64));
    b.conf.swap_size = MIB(16);
    box_start(&b);
    map_anon(&b, BASE, 4, RW);
    touch_pages(&b, BASE, 4, true);
    assert_int_equal(mm_madvise(b.mm, va(BASE), 4 * K, MADV_PAGEOUT), 0);
    touch_pages(&b, BASE, 4, false);
    assert_int_equal(mm_swap_total(b.sys) - mm_swap_free(b.sys), 4);
    assert_int_equal(mm_mbind(b.mm, va(BASE), 4 * K, MPOL_DEFAULT, &none, MPOL_MF_MOVE), 0);
    assert_int_equal(mm_swap_total(b.sys) - mm_swap_free(b.sys), 4);
    assert_false(flags_at(&b, BASE) & FRAME_F_DIRTY);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_made_under_mlock_is_unlocked_by_one_munlock),
        cmocka_unit_test(pages_without_rights_are_locked_too),
        cmocka_unit_test(special_mappings_are_not_split),
        cmocka_unit_test(free_advice_makes_shared_and_rightless_pages_clean),
        cmocka_unit_test(a_search_goes_on_below_a_guard_gap_not_inside_it),
        cmocka_unit_test(cutting_a_page_of_shared_memory_makes_it_dirty),
        cmocka_unit_test(populating_a_clean_writable_page_makes_the_page_dirty),
        cmocka_unit_test(dontunmap_unlocks_all_of_the_old_mapping),
        cmocka_unit_test(a_refused_mmap_over_mappings_leaves_them_split),
        cmocka_unit_test(only_system_v_segments_are_detached_and_mapped_without_fault_around),
        cmocka_unit_test(punching_part_of_a_page_zeroes_and_dirties_it),
        cmocka_unit_test(dontunmap_over_the_limit_has_unmapped_its_target),
        cmocka_unit_test(a_process_with_sealed_memory_ends),
        cmocka_unit_test(guards_give_anonymous_memory_an_anon_vma_but_not_file_mappings),
        cmocka_unit_test(a_removed_segment_replaces_its_own_last_mapping),
        cmocka_unit_test(droppable_pages_are_not_backed_by_swap),
        cmocka_unit_test(sealing_execution_seals_writing_and_so_is_refused_while_mapped_writable),
        cmocka_unit_test(synchronous_mappings_fail_late_where_there_is_no_dax),
        cmocka_unit_test(what_cannot_be_mapped_does_not_know_synchronous_mappings),
        cmocka_unit_test(guards_keep_no_anon_vmas_apart),
        cmocka_unit_test(a_fork_leaves_apart_what_it_wipes),
        cmocka_unit_test(locking_nothing_succeeds_even_in_rightless_memory),
        cmocka_unit_test(advice_that_only_looks_splits_no_huge_page),
        cmocka_unit_test(punching_inside_the_first_page_unmaps_the_rest_of_the_file),
        cmocka_unit_test(locking_8_tib_at_once_counts_backwards),
        cmocka_unit_test(a_fixed_address_beyond_all_programs_is_no_memory),
        cmocka_unit_test(a_change_of_rights_leaves_an_old_page_old),
        cmocka_unit_test(a_segment_larger_than_any_file_is_refused),
        cmocka_unit_test(mremap_of_huge_pages_wants_an_aligned_new_address_it_ignores),
        cmocka_unit_test(a_written_page_of_a_file_that_moves_is_dirty_once),
        cmocka_unit_test(a_segment_without_promise_needs_no_pool_to_be_attached),
        cmocka_unit_test(a_page_of_the_swap_cache_that_moves_keeps_its_slot),
        cmocka_unit_test(mincore_tells_other_users_nothing_about_a_file_of_root),
        cmocka_unit_test(a_page_locked_in_two_places_stays_locked_after_one_munlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
