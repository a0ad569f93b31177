/* test_found_thp.c: what `make check-kernel` found about transparent huge pages: each case is the shortest
 * sequence that differed, or what a probe saw, with the answer of Linux 6.18.44. */
#include "mm/migrate_int.h"
#include "unit/mm/big_box.h"

#define FAR      (A + (UINT64_C(1) << 40))
#define COLLAPSE 25
#define MOVE     2u /* MPOL_MF_MOVE */
#define MOVE_ALL 4u
#define STRICT   1u

static int set_up(void **state)
{
    (void)state;
    return big_box(0, true);
}

/* A huge page at A, all written. */
static void huge_page(void)
{
    assert_int_equal(map_anon(&b, A, HP, RW), A);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0);
    assert_int_equal(touch_pages(&b, A, HP, true), 1);
}

static pfn frame_at(const struct mm *m, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(m), va(a), &level);
    assert_non_null(e);
    return (pfn){pte_leaf_pfn(*e, level).v + (level ? a / K % HP : 0)};
}

static bool locked_at(uint64_t a)
{
    pfn n = frame_at(b.mm, align_down(a, M2));
    return phys_frame(b.phys, n)->flags & FRAME_F_MLOCKED;
}

static int64_t move(struct mm *m, uint64_t from, uint64_t to)
{
    return mm_mremap(m, va(from), K, K, MREMAP_MAYMOVE | MREMAP_FIXED, va(to), false);
}

/* move_page_tables makes the tables down to the PMD of the new place before it splits the old entry,
 * which a mapping of a file just loses: VmPTE 68, then 76 kB. */
static void a_part_of_a_huge_file_page_that_moves_leaves_tables_at_the_new_place(void **state)
{
    (void)state;
    struct mm_file *f;
    assert_int_equal(mm_memfd(b.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, 2 * M2), 0);
    assert_int_equal(map_full(&b, A, 2 * M2, RW, MAP_SHARED | MAP_FIXED, f, 0), A);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], HP);
    uint64_t before = counters(&b).pte_bytes;
    assert_int_equal(move(b.mm, A + 2 * K, FAR), FAR);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 0);
    assert_int_equal(counters(&b).pte_bytes - before, 2 * K); /* PUD and PMD table */
    mm_file_put(b.sys, f);
}

/* try_split_folio: 510 pages move, one of zeros becomes the zero page; that it was split is no failure, for
 * nothing stays behind: mbind 0, pgmigrate_success 512 more, with what was unmapped. */
static void a_huge_page_cut_by_munmap_moves_in_single_pages(void **state)
{
    (void)state;
    const uint64_t one = 1;
    struct nodemask_arg none = {NULL, 0, 0};
    huge_page();
    for (uint64_t i = 0; i < HP; i++)
        if (i != 9)
            assert_int_equal(mm_copy_to_user(b.mm, va(A + i * K), &one, 8), 8);
    assert_int_equal(mm_munmap(b.mm, va(A), K), 0);
    pfn was = frame_at(b.mm, A + K);
    assert_int_equal(mm_mbind(b.mm, va(A + K), M2 - K, 0, &none, STRICT | MOVE), 0);
    assert_int_equal(STAT(&b.stats, thp_split_page), 1);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), HP);
    assert_int_equal(STAT(&b.stats, pgmigrate_fail), 0);
    assert_int_not_equal(frame_at(b.mm, A + K).v, was.v);
    for (uint64_t i = 1; i < HP; i++)
        assert_int_equal(phys_frame(b.phys, frame_at(b.mm, A + i * K))->order, 0);
    assert_int_equal(frame_at(b.mm, A + 9 * K).v, phys_zero_page(b.phys).v);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], HP - 2);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), HP - 2);
}

/* __folio_add_anon_rmap locks what is mapped in one piece. */
static void a_moved_huge_page_is_locked_again_only_where_one_entry_maps_it(void **state)
{
    (void)state;
    struct nodemask_arg none = {NULL, 0, 0};
    huge_page();
    assert_int_equal(mm_mlock(b.mm, va(A), M2, 0), 0);
    assert_true(locked_at(A));
    assert_int_equal(mm_mbind(b.mm, va(A), M2, 0, &none, MOVE), 0);
    assert_true(locked_at(A));
    assert_int_equal(mm_munlock(b.mm, va(A), M2), 0);
    assert_int_equal(mm_mlock(b.mm, va(A + M2 / 2), K, 0), 0);
    assert_false(locked_at(A));
    assert_int_equal(mm_mbind(b.mm, va(A), M2, 0, &none, MOVE), 0);
    assert_int_equal(phys_frame(b.phys, frame_at(b.mm, A))->order, 9);
    assert_false(locked_at(A));
}

/* allow_mlock_munlock: "folio is not fully mapped, skip mlock". */
static void a_huge_page_with_a_hole_is_not_locked(void **state)
{
    (void)state;
    huge_page();
    assert_int_equal(move(b.mm, A + 9 * K, FAR), FAR);
    map_anon(&b, A + 9 * K, 1, RW);
    assert_int_equal(mm_mlock(b.mm, va(A), M2, 0), 0);
    assert_false(locked_at(A));
    assert_int_equal(mm_munlock(b.mm, va(A), M2), 0);
    tear_down(NULL);
    set_up(NULL);
    huge_page();
    assert_int_equal(mm_mprotect(b.mm, va(A), K, PROT_READ), 0);
    assert_int_equal(mm_mprotect(b.mm, va(A), K, RW), 0); /* in small pieces, and one VMA again */
    assert_int_equal(mm_mlock(b.mm, va(A), M2, 0), 0);
    assert_true(locked_at(A));
}

/* migrate_folio_move: the removal of its first entry, of 512, puts a folio on the queue of those to split, and
 * its copy takes the place there: the next move splits it. */
static void a_huge_page_moved_in_pieces_is_split_by_the_next_move(void **state)
{
    (void)state;
    struct nodemask_arg none = {NULL, 0, 0};
    huge_page();
    assert_int_equal(mm_madvise(b.mm, va(A + M2 / 2), K, MADV_NOHUGEPAGE), 0);
    assert_int_equal(mm_mbind(b.mm, va(A), M2, 0, &none, MOVE), 0);
    assert_int_equal(phys_frame(b.phys, frame_at(b.mm, A))->order, 9);
    assert_int_equal(mm_mbind(b.mm, va(A), M2, 0, &none, MOVE), 0);
    assert_int_equal(STAT(&b.stats, thp_split_page), 1);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0); /* all were zeros */
}

/* Found by fuzz-mm: compaction, whose targets belong to nobody yet, gave the file only the first frame. */
static void a_piece_of_a_huge_file_page_is_the_files_in_all_its_new_frames(void **state)
{
    (void)state;
    struct mm_file *f;
    struct folio_list list = {0};
    struct mm_req req = {.order = 8, .gfp = GFP_USER, .owner = FRAME_USER_ANON};
    pfn dst;
    assert_int_equal(mm_memfd(b.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, M2), 0);
    assert_int_equal(map_full(&b, A, M2, RW, MAP_SHARED | MAP_FIXED, f, 0), A);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(mm_fallocate_punch(b.sys, f, M2 - K, K), 0);
    touch(&b, A, false);
    mm_lru_drain(b.sys);
    assert_int_equal(phys_frame(b.phys, frame_at(b.mm, A))->order, 8);
    assert_true(folio_isolate(b.sys, &list, frame_at(b.mm, A)));
    assert_int_equal(mm_alloc(b.sys, &req, &dst), 0);
    migrate_into(b.sys, &list, 0, dst);
    list_drop_moved(&list);
    putback_movable_pages(b.sys, &list);
    assert_int_equal(frame_at(b.mm, A).v, dst.v);
    for (uint64_t i = 0; i < HP / 2; i++)
        assert_int_equal(phys_frame(b.phys, (pfn){dst.v + i})->owner, FRAME_SHMEM);
    assert_int_equal(mm_audit(b.mm), 0);
    mm_file_put(b.sys, f);
}

/* gup_fast_pmd_leaf leaves special entries to the slow way, which asks for VM_READ. */
static void the_node_of_the_huge_zero_page_is_told_to_who_may_read_it(void **state)
{
    (void)state;
    struct mm_get_mempolicy q = {.addr = va(A), .flags = 3 /* MPOL_F_NODE | MPOL_F_ADDR */};
    int node = -1;
    uint64_t nodes;
    assert_int_equal(map_anon(&b, A, HP, PROT_WRITE), A);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0);
    touch(&b, A, false);
    assert_int_equal(mm_get_mempolicy(b.mm, &q, &node, &nodes), -EFAULT);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, RW), 0);
    assert_int_equal(mm_get_mempolicy(b.mm, &q, &node, &nodes), 0);
    assert_int_equal(node, 0);
}

/* madvise_free_huge_pmd: pmdp_invalidate. A store through a translation that says "dirty" would leave no
 * mark in the entry. */
static void giving_up_a_huge_page_flushes_all_of_it(void **state)
{
    (void)state;
    bool flushed = false;
    huge_page();
    b.out.n = 0;
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_FREE), 0);
    for (uint32_t i = 0; i < b.out.n; i++) {
        const struct arch_msg *msg = &b.out.msg[i];
        flushed |= msg->kind == ARCH_FLUSH_RANGE && msg->a <= A && msg->b >= A + M2;
    }
    assert_true(flushed);
}

/* The same folio is written by the last process that maps it, in part. */
static bool copied_by_the_last_of(unsigned processes)
{
    struct mm *mm[3] = {b.mm};
    huge_page();
    for (unsigned i = 1; i < processes; i++)
        assert_int_equal(mm_fork(&mm[i], mm[i - 1]), 0);
    struct mm *last = mm[processes - 1];
    assert_int_equal(mm_munmap(b.mm, va(A), M2), 0);
    assert_int_equal(move(last, A + 9 * K, FAR), FAR);
    if (processes == 3)
        assert_int_equal(mm_madvise(mm[1], va(A), M2, MADV_DONTNEED), 0);
    pfn was = frame_at(last, A);
    struct box in_last = b;
    in_last.mm = last;
    touch(&in_last, A, true);
    bool copied = frame_at(last, A).v != was.v;
    assert_int_equal(mm_audit(last), 0);
    for (unsigned i = 1; i < processes; i++)
        mm_close(mm[i]);
    return copied;
}

static void the_second_of_two_processes_writes_in_place_when_the_first_has_left(void **state)
{
    (void)state;
    assert_false(copied_by_the_last_of(2));
}

/* A folio remembers two address spaces (_mm_id): of the third's entries it knows only that there are some,
 * so it stays "perhaps shared" when the two have left. */
static void the_third_of_three_processes_copies_though_it_is_alone(void **state)
{
    (void)state;
    assert_true(copied_by_the_last_of(3));
}

/* try_to_unmap_one: a dirty entry makes the folio dirty, and that makes it swap-backed again: kpageflags showed
 * DIRTY. */
static void a_page_given_up_and_written_again_is_dirty_when_it_was_paged_out(void **state)
{
    (void)state;
    const unsigned both = FRAME_F_DIRTY | FRAME_F_SWAPBACKED;
    assert_int_equal(map_anon(&b, A, 1, RW), A);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), K, MADV_FREE), 0);
    mm_lru_drain(b.sys);
    pfn n = frame_at(b.mm, A);
    assert_int_equal(phys_frame(b.phys, n)->flags & both, 0);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), K, MADV_PAGEOUT), 0);
    assert_int_equal(frame_at(b.mm, A).v, n.v);
    assert_int_equal(phys_frame(b.phys, n)->flags & both, both);
}

/* A mapping of 2 MiB of a file of 40 pages that all lie in one huge page, and no entry for it. */
static struct mm_file *short_file_in_a_huge_page(void)
{
    struct mm_file *f;
    assert_int_equal(mm_memfd(b.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, 40 * K), 0);
    assert_int_equal(map_full(&b, A, M2, RW, MAP_SHARED | MAP_FIXED, f, 0), A);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_DONTNEED), 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 0);
    return f;
}

/* next_uptodate_folio ends at the end of the file: the window of a fault at page 320 begins behind it and
 * finds nothing, that of a fault at page 45 begins at 32 and finds the huge page. Once that is mapped, its
 * pages behind the end are there. */
static void a_fault_behind_the_end_of_a_file_does_not_map_its_huge_page(void **state)
{
    (void)state;
    struct mm_file *f = short_file_in_a_huge_page();
    assert_int_equal(touch(&b, A + 320 * K, false).signal, SIGBUS);
    assert_int_equal(touch(&b, A + 320 * K, true).signal, SIGBUS);
    assert_int_equal(touch(&b, A + 48 * K, false).signal, SIGBUS);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 0);
    assert_int_equal(touch(&b, A + 45 * K, true).signal, SIGBUS);
    assert_int_equal(touch(&b, A + 45 * K, false).signal, 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], HP);
    assert_int_equal(touch(&b, A + 320 * K, false).signal, 0);
    mm_file_put(b.sys, f);
}

/* mincore_page asks the page cache and not the size of the file. */
static void mincore_finds_a_huge_page_behind_the_end_of_its_file(void **state)
{
    (void)state;
    uint8_t vec[64];
    struct mm_file *f = short_file_in_a_huge_page();
    assert_int_equal(map_full(&b, FAR, 64 * K, PROT_NONE, MAP_SHARED | MAP_FIXED, f, 0), FAR);
    assert_int_equal(mm_mincore(b.mm, va(FAR), 64 * K, vec), 0);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(vec[i], 1);
    assert_int_equal(mm_ftruncate(b.sys, f, 39 * K), 0); /* splits it: nothing is left behind */
    assert_int_equal(mm_mincore(b.mm, va(FAR), 64 * K, vec), 0);
    assert_int_equal(vec[38], 1);
    for (unsigned i = 39; i < 64; i++)
        assert_int_equal(vec[i], 0);
    mm_file_put(b.sys, f);
}

/* A huge page that the process and a child have locked, without touching it. */
static struct mm *huge_page_locked_twice(void)
{
    struct mm *child;
    huge_page();
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_mlock(child, va(A), M2, 1 /* MLOCK_ONFAULT */), 0);
    assert_int_equal(mm_mlock(b.mm, va(A), M2, 1 /* MLOCK_ONFAULT */), 0);
    assert_true(locked_at(A));
    return child;
}

/* folio_remove_rmap_ptes unlocks once for the entries that go in a row, and a split locks and unlocks:
 * KPF_MLOCKED of the first page is 1 after the first munmap, 0 after the second. */
static void each_part_that_is_unmapped_takes_one_lock_of_a_huge_page(void **state)
{
    (void)state;
    struct mm *child = huge_page_locked_twice();
    assert_int_equal(mm_munmap(b.mm, va(A + M2 / 4), 2 * K), 0);
    assert_true(locked_at(A));
    assert_int_equal(mm_munmap(b.mm, va(A + M2 / 2), 2 * K), 0);
    assert_false(locked_at(A));
    mm_close(child);
}

/* split_by_mprotect leaves the huge page mapped by 512 entries of one VMA. */
static void split_by_mprotect(void)
{
    uint64_t page = A + K;
    assert_int_equal(mm_mprotect(b.mm, va(page), K, PROT_READ), 0);
    assert_int_equal(mm_mprotect(b.mm, va(page), K, RW), 0);
}

static void a_huge_page_mapped_page_by_page_is_unlocked_once_by_who_unmaps_it(void **state)
{
    (void)state;
    struct mm *child = huge_page_locked_twice();
    pfn n = frame_at(b.mm, A);
    split_by_mprotect();
    assert_true(locked_at(A));
    assert_int_equal(mm_munmap(b.mm, va(A), M2), 0);
    assert_true(phys_frame(b.phys, n)->flags & FRAME_F_MLOCKED);
    mm_close(child);
}

/* The collapse takes it off its list meanwhile, where nobody counts: the child sees 0. */
static void a_collapse_unlocks_the_pages_it_replaces_for_all(void **state)
{
    (void)state;
    struct mm *child = huge_page_locked_twice();
    pfn n = frame_at(b.mm, A);
    split_by_mprotect();
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_true(locked_at(A));
    assert_int_equal(frame_at(child, A).v, n.v);
    assert_false(phys_frame(b.phys, n)->flags & FRAME_F_MLOCKED);
    mm_close(child);
}

/* try_to_map_unused_to_zeropage keeps a page that an entry before in the walk has locked again: pages
 * that hold nothing become the zero page in both, but for the parent's locked one. */
static void
an_empty_page_of_a_split_huge_page_stays_for_the_child_if_the_parent_locks_it(void **state)
{
    struct mm *child;
    struct mm_task root = *mm_task(b.mm);
    const struct nodemask_arg none = {0};
    (void)state;
    root.caps = UINT64_MAX;
    mm_set_task(b.mm, &root);
    assert_int_equal(map_anon(&b, A, HP, RW), A);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0);
    touch(&b, A, true);
    assert_int_equal(mm_copy_to_user(b.mm, va(A + 0x1ef * K), "x", 1), 1);
    assert_int_equal(mm_mlock(b.mm, va(A), K, 0), 0);
    assert_int_equal(mm_mbind(b.mm, va(A), M2, MPOL_DEFAULT, &none, MOVE), 0);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_mbind(child, va(A), M2, MPOL_DEFAULT, &none, MOVE_ALL), 0);
    assert_int_equal(frame_at(child, A).v, frame_at(b.mm, A).v);
    assert_int_equal(phys_frame(b.phys, frame_at(b.mm, A))->mapcount, 2);
    assert_int_equal(frame_at(child, A + K).v, phys_zero_page(b.phys).v);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 2);
    mm_close(child);
}

/* What MADV_FREE gave up goes as a whole after its entry was split: RssAnon 0, VmPTE as before,
 * thp_split_pmd 1, thp_split_page 0, pglazyfreed 512. */
static void a_huge_page_given_up_is_paged_out_in_one_piece(void **state)
{
    (void)state;
    huge_page();
    uint64_t tables = counters(&b).pte_bytes;
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_FREE), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_PAGEOUT), 0);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0);
    assert_int_equal(counters(&b).pte_bytes, tables);
    assert_int_equal(STAT(&b.stats, thp_split_pmd), 1);
    assert_int_equal(STAT(&b.stats, thp_split_page), 0);
    assert_int_equal(STAT(&b.stats, pglazyfreed), HP);
}

/* One page of it was written again: all 512 stay, one folio, mapped page by page, that wants swap and is
 * active (kpageflags 40040d878, AnonHugePages 0, pgactivate 512). */
static void a_huge_page_given_up_and_written_again_stays_whole(void **state)
{
    (void)state;
    huge_page();
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_FREE), 0);
    touch(&b, A + 7 * K, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_PAGEOUT), 0);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], HP);
    const uint32_t bits = FRAME_F_SWAPBACKED | FRAME_F_ACTIVE | FRAME_F_DIRTY;
    const struct frame *f = phys_frame(b.phys, frame_at(b.mm, A));
    assert_int_equal(f->order, 9);
    assert_int_equal(f->entire, 0);
    assert_int_equal(f->flags & bits, bits);
    assert_int_equal(STAT(&b.stats, thp_split_page), 0);
    assert_int_equal(STAT(&b.stats, pgactivate), HP);
}

/* A file cut to two pages of a huge one, which the process maps twice: it is passed over as a whole, for
 * its mapcount is 4. */
static void what_is_left_of_a_huge_file_page_is_not_paged_out_when_it_is_mapped_twice(void **state)
{
    (void)state;
    struct mm_file *f;
    assert_int_equal(mm_memfd(b.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, M2), 0);
    assert_int_equal(map_full(&b, A, M2, RW, MAP_SHARED | MAP_FIXED, f, 0), A);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, 2 * K), 0);
    assert_int_equal(map_full(&b, FAR, M2, RW, MAP_SHARED | MAP_FIXED, f, 0), FAR);
    touch_pages(&b, A, 2, true);
    touch_pages(&b, FAR, 2, true);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 4);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_PAGEOUT), 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 4);
    mm_file_put(b.sys, f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_part_of_a_huge_file_page_that_moves_leaves_tables_at_the_new_place),
        T(a_huge_page_cut_by_munmap_moves_in_single_pages),
        T(a_moved_huge_page_is_locked_again_only_where_one_entry_maps_it),
        T(a_huge_page_with_a_hole_is_not_locked),
        T(a_huge_page_moved_in_pieces_is_split_by_the_next_move),
        T(a_piece_of_a_huge_file_page_is_the_files_in_all_its_new_frames),
        T(the_node_of_the_huge_zero_page_is_told_to_who_may_read_it),
        T(giving_up_a_huge_page_flushes_all_of_it),
        T(the_second_of_two_processes_writes_in_place_when_the_first_has_left),
        T(the_third_of_three_processes_copies_though_it_is_alone),
        T(a_page_given_up_and_written_again_is_dirty_when_it_was_paged_out),
        T(a_fault_behind_the_end_of_a_file_does_not_map_its_huge_page),
        T(mincore_finds_a_huge_page_behind_the_end_of_its_file),
        T(each_part_that_is_unmapped_takes_one_lock_of_a_huge_page),
        T(a_huge_page_mapped_page_by_page_is_unlocked_once_by_who_unmaps_it),
        T(a_collapse_unlocks_the_pages_it_replaces_for_all),
        T(an_empty_page_of_a_split_huge_page_stays_for_the_child_if_the_parent_locks_it),
        T(a_huge_page_given_up_is_paged_out_in_one_piece),
        T(a_huge_page_given_up_and_written_again_stays_whole),
        T(what_is_left_of_a_huge_file_page_is_not_paged_out_when_it_is_mapped_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
