/* test_fork.c: what a child inherits, and who pays for copying. Expectations: Linux 6.18
 * kernel/fork.c, mm/mmap.c (dup_mmap), mm/memory.c (copy_page_range), and fault counts observed on
 * a running 6.18 kernel (they are named "observed"). */
#include "unit/mm/mm_fixture.h"

#include "mm/mm_int.h"

#define AT UINT64_C(0x10000000)

/* fork_box forks and returns words for the child. */
static struct box fork_box(const struct box *b)
{
    struct box c = *b;
    assert_int_equal(mm_fork(&c.mm, b->mm), 0);
    assert_int_equal(mm_audit(c.mm), 0);
    return c;
}

static void exit_box(struct box *c)
{
    assert_int_equal(mm_audit(c->mm), 0);
    mm_close(c->mm);
}

static pte entry(const struct box *b, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    return e ? *e : (pte){0};
}

static unsigned chain_length(const struct vma *v)
{
    unsigned n = 0;
    for (const struct anon_vma_chain *c = v->chain; c; c = c->next)
        n++;
    return n;
}

static struct mm_file *shm(struct box *b, uint64_t pages)
{
    return mm_file(b->sys, 1, 7, pages * K, "/memfd:shm");
}

/* mm/rmap.c __folio_set_anon: a page made for one process belongs to the anon_vma of its own VMA, so
 * that a walk from it need not look at relatives. */
static void a_childs_new_page_belongs_to_the_child(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 2, RW);
    touch_pages(&b, AT, 1, true);
    struct box c = fork_box(&b);
    touch_pages(&c, AT, 2, true);
    const struct vma *own = mm_vma_at(c.mm, va(AT));
    for (unsigned i = 0; i < 2; i++)
        assert_ptr_equal(phys_frame(b.phys, pte_pfn(entry(&c, AT + i * K)))->mapping,
                         own->anon_vma);
    assert_ptr_not_equal(own->anon_vma, mm_vma_at(b.mm, va(AT))->anon_vma);
    exit_box(&c);
    box_close(&b);
}

static void shared_pages_are_read_for_nothing_and_copied_once(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 8);
    struct box c = fork_box(&b);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 8);
    assert_int_equal(counters(&c).rss[MM_ANONPAGES], 8);
    assert_int_equal(touch_pages(&c, AT, 8, false), 0);
    assert_int_equal(touch_pages(&c, AT, 8, true), 8);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 16);
    assert_int_equal(b.stats.v[STAT_pgreuse], 0);
    assert_int_equal(touch_pages(&b, AT, 8, true), 8); /* alone again: reused */
    assert_int_equal(b.stats.v[STAT_pgreuse], 8);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 16);
    exit_box(&c);
    box_close(&b);
}

/* Observed: 64 for 64. */
static void after_the_child_is_gone_the_parent_reuses(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 64);
    struct box c = fork_box(&b);
    exit_box(&c);
    assert_int_equal(touch_pages(&b, AT, 64, true), 64);
    assert_int_equal(b.stats.v[STAT_pgreuse], 64);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 64);
    box_close(&b);
}

static void the_child_outlives_its_parent(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 8);
    struct box c = fork_box(&b);
    exit_box(&b);
    assert_int_equal(touch_pages(&c, AT, 8, true), 8);
    assert_int_equal(b.stats.v[STAT_pgreuse], 8);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 8);
    b.mm = c.mm;
    box_close(&b);
}

static void both_sides_lose_the_right_to_write(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 1);
    struct box c = fork_box(&b);
    assert_false(entry(&b, AT).v & PTE_RW);
    assert_false(entry(&c, AT).v & (PTE_RW | PTE_A)); /* the child's is old */
    assert_true(entry(&b, AT).v & PTE_A);
    assert_true(entry(&c, AT).v & PTE_D);
    assert_int_equal(pte_pfn(entry(&b, AT)).v, pte_pfn(entry(&c, AT)).v);
    exit_box(&c);
    box_close(&b);
}

static void the_parent_is_flushed_once(void **state)
{
    struct box b;
    unsigned flushes = 0;
    (void)state;
    box_open_written(&b, AT, 8);
    b.out.n = 0;
    struct box c = fork_box(&b);
    for (uint32_t i = 0; i < b.out.n; i++)
        flushes += b.out.msg[i].kind == ARCH_FLUSH_ALL || b.out.msg[i].kind == ARCH_FLUSH_RANGE;
    assert_int_equal(flushes, 1);
    exit_box(&c);
    box_close(&b);
}

/* -- whose entries are copied: faults of a child in a VMA of 64 pages, observed ----------------- */

static void zero_pages_alone_are_faulted_again(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 64, false);
    struct box c = fork_box(&b);
    assert_int_equal(touch_pages(&c, AT, 64, false), 64);
    exit_box(&c);
    touch(&b, AT, true); /* now it has an anon_vma */
    c = fork_box(&b);
    assert_int_equal(touch_pages(&c, AT, 64, false), 0);
    exit_box(&c);
    box_close(&b);
}

static void file_pages_come_along_once_one_was_copied(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 2, 64 * K, "/lib/x");
    uint64_t at = AT + 12 * K; /* unaligned: five windows of 16 */
    map_full(&b, at, 64 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(touch_pages(&b, at, 64, false), 5);
    struct box c = fork_box(&b);
    assert_int_equal(counters(&c).rss[MM_FILEPAGES], 0);
    assert_int_equal(touch_pages(&c, at, 64, false), 5);
    exit_box(&c);
    touch(&b, at, true);
    c = fork_box(&b);
    assert_int_equal(counters(&c).rss[MM_FILEPAGES], 63);
    assert_int_equal(counters(&c).rss[MM_ANONPAGES], 1);
    assert_int_equal(touch_pages(&c, at, 64, false), 0);
    exit_box(&c);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void shared_memory_is_faulted_again(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    uint64_t at = AT + 12 * K;
    map_full(&b, at, 64 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    touch_pages(&b, at, 64, true);
    struct box c = fork_box(&b);
    assert_int_equal(touch_pages(&c, at, 64, false), 5);
    assert_int_equal(touch_pages(&c, at, 64, true), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 64);
    exit_box(&c);
    c = fork_box(&b);
    assert_int_equal(touch_pages(&c, at, 64, true), 64);
    exit_box(&c);
    box_close(&b);
}

/* -- VMAs ------------------------------------------------------------------------------------ */

static void dontfork_leaves_a_hole(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 6);
    assert_int_equal(mm_madvise(b.mm, va(AT + 2 * K), 2 * K, MADV_DONTFORK), 0);
    struct box c = fork_box(&b);
    assert_string_equal(draw(&c, AT, 6), "Ww..Ww");
    assert_int_equal(touch(&c, AT + 2 * K, false).si_code, SEGV_MAPERR);
    assert_int_equal(counters(&c).total_vm, 4);
    assert_int_equal(counters(&c).rss[MM_ANONPAGES], 4);
    exit_box(&c);
    box_close(&b);
}

static void wipeonfork_reads_as_zero(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 4);
    assert_int_equal(mm_madvise(b.mm, va(AT), 4 * K, MADV_WIPEONFORK), 0);
    struct box c = fork_box(&b);
    assert_int_equal(touch(&c, AT, false).kind, FAULT_ZERO_PAGE);
    assert_int_equal(counters(&c).rss[MM_ANONPAGES], 0);
    assert_int_equal(touch(&c, AT, true).kind, FAULT_ANON_COW);
    struct box d = fork_box(&c); /* the flag is inherited, too */
    assert_int_equal(touch(&d, AT, false).kind, FAULT_ZERO_PAGE);
    exit_box(&d);
    exit_box(&c);
    box_close(&b);
}

static void locks_are_not_inherited(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    assert_int_equal(mm_mlock(b.mm, va(AT + K), 2 * K, 0), 0);
    assert_int_equal(mm_mlockall(b.mm, MCL_FUTURE), 0);
    struct box c = fork_box(&b);
    assert_int_equal(counters(&c).locked_vm, 0);
    assert_int_equal(counters(&b).locked_vm, 2);
    assert_false(mm_vma_at(c.mm, va(AT + K))->flags & (VM_LOCKED | VM_LOCKONFAULT));
    map_anon(&c, AT + 100 * K, 2, RW);
    assert_false(mm_vma_at(c.mm, va(AT + 100 * K))->flags & VM_LOCKED);
    assert_string_equal(draw(&c, AT, 4), "WWwW"); /* they stay apart, as in Linux */
    exit_box(&c);
    box_close(&b);
}

static void break_and_stack_go_on_where_they_were(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    mm_set_brk(b.mm, va(AT));
    assert_int_equal(mm_brk(b.mm, va(AT + 4 * K)).v, AT + 4 * K);
    mm_map_stack(b.mm, va(AT + 1000 * K), va(AT + 1002 * K), MIB(8));
    touch(&b, AT + 1001 * K, true);
    b.mm->layout.start_code = AT;
    struct box c = fork_box(&b);
    assert_int_equal(c.mm->layout.start_code, AT); /* /proc/PID/stat of the child */
    assert_int_equal(mm_brk(c.mm, va(0)).v, AT + 4 * K);
    assert_int_equal(mm_brk(c.mm, va(AT + 5 * K)).v, AT + 5 * K);
    assert_int_equal(mm_brk(b.mm, va(0)).v, AT + 4 * K);
    assert_true(touch(&c, AT + 990 * K, true).stack_grew);
    assert_null(mm_vma_at(b.mm, va(AT + 990 * K)));
    exit_box(&c);
    box_close(&b);
}

/* Observed: 2, 1, 1. */
static void merging_with_inherited_memory(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 2, RW);
    touch(&b, AT, true);
    map_anon(&b, AT + 10 * K, 2, RW);
    struct box c = fork_box(&b);
    map_anon(&c, AT + 2 * K, 2, RW);
    assert_string_equal(draw(&c, AT, 4), "WwWw"); /* next to a faulted one */
    map_anon(&c, AT + 12 * K, 2, RW);
    assert_string_equal(draw(&c, AT + 10 * K, 4), "Wwww"); /* next to an unfaulted one */
    assert_int_equal(mm_mprotect(c.mm, va(AT), K, PROT_READ), 0);
    assert_string_equal(draw(&c, AT, 2), "RW");
    assert_int_equal(mm_mprotect(c.mm, va(AT), K, RW), 0);
    assert_string_equal(draw(&c, AT, 2), "Ww"); /* split and whole again */
    exit_box(&c);
    box_close(&b);
}

/* -- tables ---------------------------------------------------------------------------------- */

static void the_child_has_the_tables_of_what_is_copied(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    mm_sysctl(b.sys, "overcommit_memory", 1); /* more than there is memory */
    map_anon(&b, GIB(4), GIB(2) / K, RW);
    touch(&b, GIB(4), true);
    touch(&b, GIB(4) + MIB(2), true);
    touch(&b, GIB(5), true);
    assert_int_equal(counters(&b).pte_bytes, 6 * K); /* 3 PTE, 2 PMD, 1 PUD table */
    /* An emptied table: 6.18 frees it with DONTNEED only when all 2 MiB are in the range. */
    mm_madvise(b.mm, va(GIB(5)), K, MADV_DONTNEED);
    struct box c = fork_box(&b);
    assert_int_equal(counters(&c).pte_bytes, 6 * K);
    exit_box(&c);
    box_close(&b);
}

static void an_unfaulted_child_has_no_tables(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 64, false);
    struct box c = fork_box(&b);
    assert_int_equal(counters(&c).pte_bytes, 0);
    exit_box(&c);
    box_close(&b);
}

/* -- special entries ------------------------------------------------------------------------- */

static void prot_none_pages_stay_shared(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 1);
    mm_mprotect(b.mm, va(AT), K, PROT_NONE);
    struct box c = fork_box(&b);
    assert_true(pte_protnone(entry(&c, AT)));
    assert_int_equal(counters(&c).rss[MM_ANONPAGES], 1);
    mm_mprotect(c.mm, va(AT), K, RW);
    assert_int_equal(touch_pages(&c, AT, 1, false), 0);
    assert_int_equal(touch_pages(&c, AT, 1, true), 1);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 2);
    exit_box(&c);
    box_close(&b);
}

static void guards_are_inherited_and_kill_without_a_counted_fault(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 2, RW);
    touch(&b, AT, true);
    *pt_lookup(mm_pt(b.mm), va(AT + K), 0) = swp_make(SWP_MARKER, PTE_MARKER_GUARD, 0);
    struct box c = fork_box(&b);
    assert_true(pte_is_marker(entry(&c, AT + K), PTE_MARKER_GUARD));
    struct mm_verdict v = touch(&c, AT + K, false);
    assert_int_equal(v.signal, SIGSEGV);
    assert_int_equal(v.si_code, SEGV_MAPERR);
    assert_int_equal(counters(&c).minflt + counters(&c).majflt, 0);
    assert_int_equal(b.stats.v[STAT_pgfault], 2);
    mm_madvise(c.mm, va(AT), 2 * K, MADV_DONTNEED); /* keeps a guard, munmap does not */
    assert_true(pte_is_marker(entry(&c, AT + K), PTE_MARKER_GUARD));
    exit_box(&c);
    box_close(&b);
}

static void a_poisoned_page_is_a_bus_error(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 2, RW);
    touch(&b, AT, true);
    *pt_lookup(mm_pt(b.mm), va(AT + K), 0) = swp_make(SWP_MARKER, PTE_MARKER_POISONED, 0);
    struct box c = fork_box(&b);
    struct mm_verdict v = touch(&c, AT + K, true);
    assert_int_equal(v.signal, SIGBUS);
    assert_int_equal(v.si_code, BUS_MCEERR_AR);
    exit_box(&c);
    box_close(&b);
}

/* -- families -------------------------------------------------------------------------------- */

static void every_member_of_a_family_gets_its_own_copy(void **state)
{
    struct box b, c[3];
    (void)state;
    box_open_written(&b, AT, 4);
    c[0] = fork_box(&b);
    c[1] = fork_box(&c[0]);
    c[2] = fork_box(&b);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 4);
    assert_int_equal(touch_pages(&c[1], AT, 4, true), 4);
    assert_int_equal(touch_pages(&c[0], AT, 4, true), 4);
    assert_int_equal(touch_pages(&b, AT, 4, true), 4);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 16);
    assert_int_equal(touch_pages(&c[2], AT, 4, true), 4); /* the last one has them alone */
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 16);
    for (unsigned i = 0; i < 3; i++)
        exit_box(&c[i]);
    box_close(&b);
}

/* A process that forks, goes on in the child, and so forth: the chain of anon_vmas must not grow
 * (Linux commit 7a3ef208e662). By its rule: root, and two that take turns. */
static void chains_stay_short_over_generations(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 2, RW);
    touch(&b, AT, true);
    for (unsigned generation = 0; generation < 50; generation++) {
        struct box c = fork_box(&b);
        touch(&c, AT, true);
        exit_box(&b);
        b.mm = c.mm;
        assert_in_range(chain_length(mm_vma_at(b.mm, va(AT))), 1, 3);
    }
    box_close(&b);
}

static void truncation_reaches_every_process(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    struct mm_file *f = shm(&b, 4);
    map_full(&b, AT, 4 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    map_full(&b, AT + 8 * K, 4 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    touch_pages(&b, AT, 4, true);
    touch_pages(&b, AT + 8 * K, 4, true);
    struct box c = fork_box(&b);
    touch_pages(&c, AT, 4, true);
    mm_file_resize(b.sys, f, 1 * K);
    assert_int_equal(counters(&c).rss[MM_SHMEMPAGES], 1);
    assert_int_equal(counters(&c).rss[MM_ANONPAGES], 1);
    assert_int_equal(touch(&c, AT + K, false).signal, SIGBUS);
    assert_int_equal(touch(&b, AT + 9 * K, false).si_code, BUS_ADRERR);
    exit_box(&c);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void writeback_cleans_every_process(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 2, 4 * K, "/tmp/data");
    map_full(&b, AT, 4 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    struct box c = fork_box(&b);
    touch_pages(&b, AT, 4, true);
    touch_pages(&c, AT, 4, true);
    assert_int_equal(mm_msync(b.mm, va(AT), 4 * K, MS_SYNC), 0);
    assert_int_equal(touch_pages(&c, AT, 4, true), 4);
    assert_int_equal(touch_pages(&b, AT, 4, true), 4);
    exit_box(&c);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* -- out of memory ---------------------------------------------------------------------------- */

static void a_fork_that_fails_leaves_the_parent_whole(void **state)
{
    struct box b;
    unsigned failed = 0;
    (void)state;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    map_anon(&b, GIB(4), 4, RW);
    touch_pages(&b, AT, 4, true);
    touch_pages(&b, GIB(4), 4, true);
    for (uint64_t n = 1; n < 12; n++) {
        struct mm *child = NULL;
        phys_fail_every(b.phys, n);
        int err = mm_fork(&child, b.mm);
        phys_fail_every(b.phys, 0);
        assert_true(err == 0 || err == -ENOMEM);
        assert_true((err == 0) == (child != NULL));
        failed += err != 0;
        if (child)
            mm_close(child);
        assert_int_equal(mm_audit(b.mm), 0);
        assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 8);
    }
    assert_in_range(failed, 5, 10); /* the root, 3 + 2 tables: some fail, some do not */
    assert_int_equal(touch_pages(&b, AT, 4, true), 4);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_childs_new_page_belongs_to_the_child),
        cmocka_unit_test(shared_pages_are_read_for_nothing_and_copied_once),
        cmocka_unit_test(after_the_child_is_gone_the_parent_reuses),
        cmocka_unit_test(the_child_outlives_its_parent),
        cmocka_unit_test(both_sides_lose_the_right_to_write),
        cmocka_unit_test(the_parent_is_flushed_once),
        cmocka_unit_test(zero_pages_alone_are_faulted_again),
        cmocka_unit_test(file_pages_come_along_once_one_was_copied),
        cmocka_unit_test(shared_memory_is_faulted_again),
        cmocka_unit_test(dontfork_leaves_a_hole),
        cmocka_unit_test(wipeonfork_reads_as_zero),
        cmocka_unit_test(locks_are_not_inherited),
        cmocka_unit_test(break_and_stack_go_on_where_they_were),
        cmocka_unit_test(merging_with_inherited_memory),
        cmocka_unit_test(the_child_has_the_tables_of_what_is_copied),
        cmocka_unit_test(an_unfaulted_child_has_no_tables),
        cmocka_unit_test(prot_none_pages_stay_shared),
        cmocka_unit_test(guards_are_inherited_and_kill_without_a_counted_fault),
        cmocka_unit_test(a_poisoned_page_is_a_bus_error),
        cmocka_unit_test(every_member_of_a_family_gets_its_own_copy),
        cmocka_unit_test(chains_stay_short_over_generations),
        cmocka_unit_test(truncation_reaches_every_process),
        cmocka_unit_test(writeback_cleans_every_process),
        cmocka_unit_test(a_fork_that_fails_leaves_the_parent_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
