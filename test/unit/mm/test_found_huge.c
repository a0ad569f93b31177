/* test_found_huge.c: what `make check-kernel` found about huge pages of an empty pool and about paging
 * out: each case is the shortest sequence that differed, with the answer of Linux 6.18.44. */
#include "mm/mm_int.h"
#include "mm_fixture.h"

#define BASE UINT64_C(0x200000000000)
#define HUGE (MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED)

static void a_hugetlb_mapping_is_not_split_for_advice(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(map_full(&b, BASE, MIB(2), RW, MAP_PRIVATE | HUGE, NULL, 0), BASE);
    assert_int_equal(mm_madvise(b.mm, va(BASE), K, MADV_DONTFORK), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(BASE), MIB(2), MADV_DONTFORK), 0);
    assert_int_equal(mm_madvise(b.mm, va(BASE), MIB(2), MADV_HUGEPAGE), 0);
    assert_true(mm_vma_at(b.mm, va(BASE))->flags & VM_HUGEPAGE);
    assert_int_equal(mm_madvise(b.mm, va(BASE), MIB(2), MADV_DOFORK), 0);
    assert_int_equal(mm_madvise(b.mm, va(BASE + K), K, MADV_DOFORK), 0); /* no change: no split */
    box_close(&b);
}

/* align_hugetlb asks for it before anybody asks whether the new address counts. */
static void mremap_of_huge_pages_wants_a_new_address_that_fits_even_if_it_is_not_used(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, BASE, MIB(2), RW, MAP_SHARED | HUGE, NULL, 0);
    assert_int_equal(mm_mremap(b.mm, va(BASE), K, MIB(2), 0, va(BASE - K), false), -EINVAL);
    assert_int_equal(mm_mremap(b.mm, va(BASE), K, MIB(2), 0, va(BASE - MIB(2)), false), BASE);
    box_close(&b);
}

/* remap_move looks at the range as it was asked for; align_hugetlb rounds the piece of each VMA. */
static void mremap_of_a_part_of_a_segment_of_huge_pages_is_no_move_beyond_its_end(void **state)
{
    (void)state;
    struct box b;
    const int move = MREMAP_MAYMOVE | MREMAP_FIXED;
    box_open(&b, MIB(64), false);
    struct mm_task root = *mm_task(b.mm);
    root.caps = UINT64_MAX;
    mm_set_task(b.mm, &root);
    int id = mm_shmget(b.mm, 0, K, 0600 | 01000 | 04000 | 010000); /* CREAT, HUGETLB, NORESERVE */
    assert_int_equal(mm_shmat(b.mm, id, va(BASE), 0, false), BASE);
    uint64_t to = BASE + MIB(8);
    assert_int_equal(mm_mremap(b.mm, va(BASE + 2 * K), K, K, move, va(to + K), false), -EINVAL);
    assert_int_equal(mm_mremap(b.mm, va(BASE), K, K, move, va(to), false), to);
    assert_int_equal(mm_vma_at(b.mm, va(to))->end.v, to + MIB(2));
    assert_int_equal(mm_shmctl(b.mm, id, 0 /* IPC_RMID */, NULL), 0);
    box_close(&b);
}

/* copy_hugetlb_page_range makes the child's tables before it looks whether the entry is none. */
static void a_child_gets_the_tables_of_hugetlb_memory_that_could_not_be_had(void **state)
{
    (void)state;
    struct box b;
    struct mm *child;
    struct mm_counters c;
    box_open(&b, MIB(64), false);
    assert_int_equal(map_full(&b, BASE, MIB(2), RW, MAP_PRIVATE | HUGE, NULL, 0), BASE);
    uint64_t before = counters(&b).pte_bytes;
    assert_int_equal(touch(&b, BASE, false).signal, SIGBUS);
    assert_int_equal(counters(&b).pte_bytes - before, 2 * K); /* PUD and PMD table */
    assert_int_equal(mm_fork(&child, b.mm), 0);
    mm_counters(child, &c);
    assert_int_equal(c.pte_bytes, counters(&b).pte_bytes);
    mm_close(child);
    box_close(&b);
}

static void moving_untouched_hugetlb_memory_makes_no_tables(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(map_full(&b, BASE, MIB(2), RW, MAP_PRIVATE | HUGE, NULL, 0), BASE);
    touch(&b, BASE, false); /* SIGBUS; now it has tables */
    map_anon(&b, BASE + GIB(2), 1, RW);
    uint64_t before = counters(&b).pte_bytes;
    assert_int_equal(mm_mremap(b.mm, va(BASE), MIB(2), MIB(2), MREMAP_MAYMOVE | MREMAP_FIXED,
                               va(BASE + GIB(4)), false),
                     BASE + GIB(4));
    assert_true(counters(&b).pte_bytes <= before);
    box_close(&b);
}

static void remapping_part_of_a_huge_page_changes_nothing(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(map_full(&b, BASE, MIB(2), RW, MAP_SHARED | HUGE, NULL, 0), BASE);
    assert_int_equal(mm_remap_file_pages(b.mm, va(BASE), K, 0, 18, 0), -EINVAL);
    assert_non_null(mm_vma_at(b.mm, va(BASE)));
    box_close(&b);
}

/* shm_segsz stays what was asked for; who asks for more of a segment that is there gets EINVAL. */
static void a_segment_of_huge_pages_is_as_large_as_was_asked_for(void **state)
{
    (void)state;
    struct box b;
    struct mm_shmid q;
    box_open(&b, MIB(64), false);
    struct mm_task root = *mm_task(b.mm);
    root.caps = UINT64_MAX;
    mm_set_task(b.mm, &root);
    int id = mm_shmget(b.mm, 1, K, 0600 | 01000 | 04000 | 010000); /* CREAT, HUGETLB, NORESERVE */
    assert_true(id >= 0);
    assert_int_equal(mm_shmctl(b.mm, id, 2 /* IPC_STAT */, &q), 0);
    assert_int_equal(q.size, K);
    assert_int_equal(mm_shmget(b.mm, 1, K + 1, 0600), -EINVAL);
    assert_int_equal(mm_shmget(b.mm, 0, UINT64_MAX - MIB(16), 0600 | 04000), -ENOMEM); /* at once */
    root.caps = 0; /* vm.hugetlb_shm_group is 0: who is of root's group needs no capability */
    root.gid = 0;
    mm_set_task(b.mm, &root);
    assert_int_equal(mm_shmget(b.mm, 0, MIB(64), 0600 | 04000), -ENOMEM);
    int own = mm_shmget(b.mm, 0, MIB(64), 0600 | 04000 | 010000); /* above RLIMIT_MEMLOCK */
    assert_int_equal(mm_shmctl(b.mm, own, 11 /* SHM_LOCK */, NULL), 0);
    assert_int_equal(mm_shmctl(b.mm, own, 2, &q), 0);
    assert_int_equal(q.mode, 0600); /* not SHM_LOCKED */
    assert_int_equal(mm_shmctl(b.mm, own, 0, NULL), 0);
    root.gid = 1000;
    mm_set_task(b.mm, &root);
    assert_int_equal(mm_shmget(b.mm, 0, MIB(64), 0600 | 04000), -EPERM);
    assert_int_equal(mm_shmget(b.mm, 0, K, 0600 | 04000 | 010000),
                     -EPERM); /* RLIMIT_MEMLOCK or not */
    assert_int_equal(mm_shmget(b.mm, 0, K, 0600 | 04000 | 16 << 26), -EINVAL); /* no such size */
    assert_int_equal(mm_shmctl(b.mm, id, 0 /* IPC_RMID */, NULL), 0);
    box_close(&b);
}

/* A page that was only read is not dirty: reclaim drops it even where there is no swap. */
static void paging_out_drops_shared_memory_that_was_never_written(void **state)
{
    (void)state;
    struct box b;
    struct mm_file *f;
    uint8_t vec[3];
    box_open(&b, MIB(64), false);
    assert_int_equal(mm_memfd(b.sys, "x", 0, &f), 0);
    mm_ftruncate(b.sys, f, 16 * K);
    map_full(&b, BASE, 3 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    touch(&b, BASE, false);
    touch(&b, BASE + K, false);
    touch(&b, BASE + 2 * K, true);
    assert_int_equal(mm_madvise(b.mm, va(BASE), 3 * K, MADV_PAGEOUT), 0);
    assert_int_equal(mm_mincore(b.mm, va(BASE), 3 * K, vec), 0);
    assert_int_equal(vec[0] << 2 | vec[1] << 1 | vec[2], 1);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 0); /* the written page is unmapped, too */
    mm_file_put(b.sys, f);
    box_close(&b);
}

static struct frame *frame_at(const struct box *b, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    assert_non_null(e);
    assert_true(pte_present(*e));
    return phys_frame(b->phys, pte_pfn(*e));
}

/* A probe held the page by vmsplice: present, SWAPBACKED 0, ACTIVE 1; when the pipe was closed the next
 * MADV_PAGEOUT dropped it. */
static void what_was_given_up_and_is_held_by_another_stays_given_up(void **state)
{
    (void)state;
    struct box b;
    box_open_written(&b, BASE, 1);
    assert_int_equal(mm_madvise(b.mm, va(BASE), K, MADV_FREE), 0);
    mm_madvise(b.mm, va(BASE), K, MADV_COLD); /* drains the batch that waits to be given up */
    struct frame *f = frame_at(&b, BASE);
    pfn n = pte_pfn(*pt_lookup(mm_pt(b.mm), va(BASE), 0));
    f->refs++;
    assert_true(folio_isolate_lru(b.sys, n));
    reclaim_pages(b.sys, &n, 1); /* as MADV_PAGEOUT does, without its audit */
    assert_ptr_equal(frame_at(&b, BASE), f);
    assert_int_equal(f->flags & (FRAME_F_SWAPBACKED | FRAME_F_ACTIVE), FRAME_F_ACTIVE);
    f->refs--;
    assert_int_equal(mm_madvise(b.mm, va(BASE), K, MADV_PAGEOUT), 0);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0);
    box_close(&b);
}

/* MADV_PAGEOUT leaves the accessed bit to the unmapping: Referenced of a page without swap stays 4 kB. */
static void paging_out_does_not_make_a_page_old_that_stays(void **state)
{
    (void)state;
    struct box b;
    unsigned level;
    box_open_written(&b, BASE, 1);
    b.out.n = 0;
    assert_int_equal(mm_madvise(b.mm, va(BASE), K, MADV_PAGEOUT), 0);
    assert_true(pt_leaf(mm_pt(b.mm), va(BASE), &level)->v & PTE_A);
    for (uint32_t i = 0; i < b.out.n; i++)
        assert_int_not_equal(b.out.msg[i].kind, ARCH_FLUSH_RANGE);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hugetlb_mapping_is_not_split_for_advice),
        cmocka_unit_test(mremap_of_huge_pages_wants_a_new_address_that_fits_even_if_it_is_not_used),
        cmocka_unit_test(mremap_of_a_part_of_a_segment_of_huge_pages_is_no_move_beyond_its_end),
        cmocka_unit_test(a_child_gets_the_tables_of_hugetlb_memory_that_could_not_be_had),
        cmocka_unit_test(moving_untouched_hugetlb_memory_makes_no_tables),
        cmocka_unit_test(remapping_part_of_a_huge_page_changes_nothing),
        cmocka_unit_test(a_segment_of_huge_pages_is_as_large_as_was_asked_for),
        cmocka_unit_test(paging_out_drops_shared_memory_that_was_never_written),
        cmocka_unit_test(what_was_given_up_and_is_held_by_another_stays_given_up),
        cmocka_unit_test(paging_out_does_not_make_a_page_old_that_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
