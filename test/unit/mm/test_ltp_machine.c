/* test_ltp_machine.c: assertions of the Linux Test Project and of the kernel's selftests about huge
 * pages, reclaim, swap and out of memory that no other test here makes, the file they are from at each
 * case (LTP: below testcases/kernel; selftests: tools/testing/selftests/mm). docs/VALIDATION.md lists
 * all of them. */
#include "unit/mm/big_box.h"

static int four_huge_pages(void **state)
{
    (void)state;
    return big_box(4, false);
}

/* -- hugetlb ----------------------------------------------------------------------------------- */

static void pool(uint64_t free, uint64_t resv)
{
    struct mm_hugetlb_info i;
    mm_hugetlb_info(b.sys, MM_HUGETLB_2M, &i);
    assert_int_equal(i.nr, 4);
    assert_int_equal(i.free, free);
    assert_int_equal(i.resv, resv);
    assert_int_equal(i.surplus, 0);
}

static struct mm_file *huge_file(uint64_t pages)
{
    struct mm_file *f;
    struct mm_hugetlb_file q = {.bytes = pages * M2, .path = "/mnt/file"};
    assert_int_equal(mm_hugetlb_file(b.sys, &q, &f), 0);
    return f;
}

static int64_t map_huge(uint64_t a, uint64_t len, uint32_t flags, struct mm_file *f,
                        uint64_t offset)
{
    return map_full(&b, a, len, RW, flags, f, offset);
}

/* hugemmap27: a mapping without a promise does not take a page that was promised to another. */
static void promised_huge_pages_are_not_stolen(void **state)
{
    (void)state;
    struct mm_file *all = huge_file(4), *other = huge_file(1);
    assert_int_equal(map_huge(A, 4 * M2, MAP_SHARED | MAP_FIXED, all, 0), A);
    pool(4, 4);
    assert_int_equal(map_huge(A + 8 * M2, M2, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, other, 0),
                     A + 8 * M2);
    assert_int_equal(touch(&b, A + 8 * M2, true).signal, SIGBUS);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(touch(&b, A + i * M2, true).signal, 0);
    pool(0, 0);
    mm_file_put(b.sys, all);
    mm_file_put(b.sys, other);
}

/* hugemmap28: a mapping without a promise uses that of another of the same file. */
static void an_unpromised_mapping_uses_the_files_promise(void **state)
{
    (void)state;
    struct mm_file *f = huge_file(1);
    map_huge(A, M2, MAP_SHARED | MAP_FIXED, f, 0);
    map_huge(A + M2, M2, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, f, 0);
    pool(4, 1);
    assert_int_equal(touch(&b, A + M2, true).signal, 0);
    pool(3, 0);
    mm_munmap(b.mm, va(A), M2);
    mm_munmap(b.mm, va(A + M2), M2);
    mm_file_put(b.sys, f);
    pool(4, 0);
}

/* hugemmap38: promised, used, cut off, SIGBUS, unmapped: the count of promises at each step. */
static void truncation_keeps_the_count_of_promises(void **state)
{
    (void)state;
    struct mm_file *f = huge_file(1);
    map_huge(A, M2, MAP_SHARED | MAP_FIXED, f, 0);
    pool(4, 1);
    assert_int_equal(touch(&b, A, true).signal, 0);
    pool(3, 0);
    mm_file_resize(b.sys, f, 0);
    pool(4, 0);
    assert_int_equal(touch(&b, A, false).signal, SIGBUS);
    pool(4, 0);
    mm_munmap(b.mm, va(A), M2);
    pool(4, 0);
    mm_file_put(b.sys, f);
}

/* hugemmap12, 16, 30: reading ahead leaves the promises as they are. */
static void willneed_leaves_promises_alone(void **state)
{
    (void)state;
    struct mm_file *f = huge_file(1);
    map_huge(A, M2, MAP_SHARED | MAP_FIXED, f, 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_WILLNEED), 0);
    pool(4, 1);
    mm_munmap(b.mm, va(A), M2);
    mm_file_put(b.sys, f);
    pool(4, 0);
}

/* hugemmap18: place, length and offset of a file's mapping must be whole huge pages to be refused or
 * cut; hugemmap37: nor may it reach over the end of user addresses. */
static void misaligned_huge_mappings_are_refused(void **state)
{
    (void)state;
    struct mm_file *f = huge_file(4);
    const uint64_t end = UINT64_C(0x7ffffffff000) & ~(M2 - 1);
    assert_int_equal(map_huge(A + K, M2, MAP_PRIVATE | MAP_FIXED, f, 0), -EINVAL);
    assert_int_equal(map_huge(A + M2 / 2, M2, MAP_PRIVATE | MAP_FIXED, f, 0), -EINVAL);
    assert_int_equal(map_huge(A, M2, MAP_PRIVATE | MAP_FIXED, f, K), -EINVAL);
    assert_int_equal(map_huge(A, M2, MAP_PRIVATE | MAP_FIXED, f, M2 / 2), -EINVAL);
    assert_int_equal(map_huge(A, M2, MAP_PRIVATE | MAP_FIXED, f, M2), A);
    assert_true(map_huge(end, 2 * M2, MAP_SHARED | MAP_FIXED, f, 0) < 0);
    assert_true(map_huge(end, 2 * M2, MAP_SHARED, f, 0) > 0);
    mm_file_put(b.sys, f);
}

/* hugemmap20: locking works for every way to map. */
static void huge_pages_are_locked_in_every_way(void **state)
{
    (void)state;
    const uint32_t how[] = {MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE | MAP_LOCKED,
                            MAP_SHARED | MAP_LOCKED};
    mm_set_rlimit(b.mm, MM_RLIM_MEMLOCK, (struct mm_rlimit){MM_RLIM_INFINITY, MM_RLIM_INFINITY});
    for (unsigned i = 0; i < ARRAY_LEN(how); i++) {
        struct mm_file *f = huge_file(1);
        assert_int_equal(map_huge(A, M2, how[i] | MAP_FIXED, f, 0), A);
        assert_int_equal(mm_mlock(b.mm, va(A), M2, 0), 0);
        pool(3, 0);
        assert_int_equal(mm_munlock(b.mm, va(A), M2), 0);
        assert_int_equal(mm_munmap(b.mm, va(A), M2), 0);
        mm_file_put(b.sys, f);
    }
    pool(4, 0);
}

/* hugemmap29, 31, 09: shared mappings of one offset are one page; a private copy is its own. */
static void shared_mappings_are_one_page_and_a_private_copy_is_its_own(void **state)
{
    (void)state;
    struct mm_file *f = huge_file(1);
    map_huge(A, M2, MAP_SHARED | MAP_FIXED, f, 0);
    map_huge(A + M2, M2, MAP_SHARED | MAP_FIXED, f, 0);
    map_huge(A + 2 * M2, M2, MAP_PRIVATE | MAP_FIXED, f, 0);
    unsigned level;
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(touch(&b, A + i * M2, i < 2).signal, 0);
    uint64_t frame[3];
    for (uint64_t i = 0; i < 3; i++)
        frame[i] = pte_leaf_pfn(*pt_leaf(mm_pt(b.mm), va(A + i * M2), &level), 1).v;
    assert_int_equal(frame[0], frame[1]);
    assert_int_equal(frame[0], frame[2]); /* only read */
    assert_int_equal(touch(&b, A + 2 * M2, true).signal, 0);
    assert_true(pte_leaf_pfn(*pt_leaf(mm_pt(b.mm), va(A + 2 * M2), &level), 1).v != frame[0]);
    pool(2, 0);
    mm_file_put(b.sys, f);
}

/* hugefallocate02: a punched hole gives its pages back; hugefallocate01: parts of pages do not. */
static void punching_gives_whole_huge_pages_back(void **state)
{
    (void)state;
    struct mm_file *f = huge_file(3);
    map_huge(A, 3 * M2, MAP_SHARED | MAP_FIXED | MAP_POPULATE, f, 0);
    pool(1, 0);
    assert_int_equal(mm_fallocate_punch(b.sys, f, K, M2), 0);
    pool(1, 0);
    assert_int_equal(mm_fallocate_punch(b.sys, f, K, 2 * M2), 0);
    pool(2, 0);
    assert_int_equal(mm_fallocate_punch(b.sys, f, 0, 3 * M2), 0);
    pool(4, 0);
    mm_munmap(b.mm, va(A), 3 * M2);
    mm_file_put(b.sys, f);
}

/* hugetlb-madvise.c: the place must be a whole huge page, the length is cut to whole ones;
 * hugetlb_fault_after_madv.c: what was discarded faults in again. */
static void dontneed_of_huge_pages_is_cut_to_whole_ones(void **state)
{
    (void)state;
    map_huge(A, 3 * M2, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED | MAP_POPULATE, NULL,
             0);
    pool(1, 0);
    assert_int_equal(mm_madvise(b.mm, va(A + K), 2 * M2, MADV_DONTNEED), -EINVAL);
    pool(1, 0);
    assert_int_equal(mm_madvise(b.mm, va(A), 2 * M2 - K, MADV_DONTNEED), 0);
    pool(2, 1);
    assert_int_equal(mm_madvise(b.mm, va(A), 4 * M2, MADV_DONTNEED),
                     -ENOMEM); /* and did the rest */
    pool(4, 3);
    assert_int_equal(touch(&b, A, true).signal, 0);
    pool(3, 2);
}

/* -- reclaim, swap, out of memory --------------------------------------------------------------------- */

static void open_machine(uint64_t phys, uint64_t swap, unsigned nodes)
{
    box_conf(&b, phys);
    b.conf.phys_kernel_image = MIB(1);
    b.conf.swap_size = swap;
    b.conf.numa_nodes = nodes;
    b.conf.thp_enabled = 2; /* never */
    b.conf.overcommit_memory = 1;
    box_start(&b);
    struct mm_task t = *mm_task(b.mm);
    t.pid = t.tgid = 100;
    mm_set_task(b.mm, &t);
}

/* eat writes page after page until memory runs out, or n are written. */
static uint64_t eat(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        bool out = touch(&b, A + i * K, true).oom;
        b.out.n = 0;
        if (out)
            return i;
    }
    return n;
}

static uint64_t free_pages(void)
{
    return phys_owner_frames(b.phys, FRAME_FREE);
}

/* swapping/swapping01: memory 1.3 times what is free, written once, swaps less than what is free. */
static void a_first_use_of_swap_does_not_swap_everything(void **state)
{
    (void)state;
    open_machine(MIB(64), MIB(128), 1);
    uint64_t available = free_pages(), pages = available + available * 3 / 10;
    map_anon(&b, A, pages, RW);
    assert_int_equal(eat(pages), pages);
    assert_true(counters(&b).swapents > available / 4);
    assert_true(counters(&b).swapents < available);
    assert_int_equal(STAT(&b.stats, oom_kill), 0);
    box_close(&b);
}

/* oom/oom01: who eats all memory is killed, also when all of it is locked. */
static void who_eats_all_memory_is_killed(void **state)
{
    (void)state;
    for (unsigned locked = 0; locked < 2; locked++) {
        open_machine(MIB(64), 0, 1);
        mm_set_rlimit(b.mm, MM_RLIM_MEMLOCK,
                      (struct mm_rlimit){MM_RLIM_INFINITY, MM_RLIM_INFINITY});
        map_anon(&b, A, 20000, RW);
        if (locked) /* without faulting it in at once */
            assert_int_equal(mm_mlock(b.mm, va(A), 20000 * K, 1), 0);
        assert_true(eat(20000) > 10000);
        assert_int_equal(STAT(&b.stats, oom_kill), 1);
        assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0);
        box_close(&b);
    }
}

/* oom/oom02: a policy that binds to one node is killed when that is full, whatever others have. */
static void who_fills_the_node_it_is_bound_to_is_killed(void **state)
{
    (void)state;
    open_machine(MIB(128), 0, 2);
    uint64_t nodes = 2;
    struct nodemask_arg mask = {&nodes, 1, 64};
    map_anon(&b, A, 30000, RW);
    assert_int_equal(mm_mbind(b.mm, va(A), 30000 * K, MPOL_BIND, &mask, 0), 0);
    uint64_t pages = eat(30000);
    assert_true(pages > 10000 && pages < MIB(64) / K);
    assert_int_equal(STAT(&b.stats, oom_kill), 1);
    box_close(&b);
}

/* tunable/min_free_kbytes: user memory does not go below it, whatever its value. */
static void user_memory_leaves_min_free_kbytes(void **state)
{
    (void)state;
    const uint64_t kbytes[] = {512, 2048, 8192};
    for (unsigned i = 0; i < ARRAY_LEN(kbytes); i++) {
        open_machine(MIB(64), 0, 1);
        struct phys_tunables t;
        phys_tunables(b.phys, &t);
        t.min_free_kbytes = kbytes[i];
        assert_int_equal(phys_set_tunables(b.phys, &t), 0);
        map_anon(&b, A, 20000, RW);
        uint64_t least = UINT64_MAX;
        for (uint64_t p = 0; STAT(&b.stats, oom_kill) == 0; p++) {
            least = min_u64(least, free_pages());
            touch(&b, A + p * K, true);
            b.out.n = 0;
        }
        /* A page table more than the last page; and no more is kept than the low mark and lists. */
        assert_true(least + 2 >= kbytes[i] / 4);
        assert_true(least < 2 * kbytes[i] / 4 + 512);
        box_close(&b);
    }
}

/* madvise/madvise06: WILLNEED of shared memory in swap reads it: no major faults afterwards. */
static void willneed_reads_shared_memory_from_swap(void **state)
{
    (void)state;
    open_machine(MIB(64), MIB(64), 1);
    map_full(&b, A, 64 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    touch_pages(&b, A, 64, true);
    mm_lru_drain(b.sys);
    assert_int_equal(mm_madvise(b.mm, va(A), 64 * K, MADV_PAGEOUT), 0);
    uint64_t in = STAT(&b.stats, pswpin);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 0);
    assert_int_equal(mm_madvise(b.mm, va(A), 64 * K, MADV_WILLNEED), 0);
    uint64_t major = counters(&b).majflt;
    touch_pages(&b, A, 64, false);
    assert_int_equal(counters(&b).majflt, major);
    assert_true(STAT(&b.stats, pswpin) <= in + 64);
    assert_int_equal(mm_munmap(b.mm, va(A), 64 * K), 0);
    box_close(&b);
}

/* -- transparent huge pages ---------------------------------------------------------------------------- */

static int always(void **state)
{
    (void)state;
    box_conf(&b, MIB(128));
    b.conf.thp_enabled = 0;
    box_start(&b);
    return 0;
}

/* thp/thp02: a mapping of huge pages moved by 3 MiB and one page, and of odd lengths, keeps every page. */
static void huge_pages_survive_odd_moves(void **state)
{
    (void)state;
    const struct {
        uint64_t old, len, to;
    } row[] = {{A, 4 * M2 - K, A + 16 * M2},
               {A, 4 * M2, A + 16 * M2 - K},
               {A + K, 4 * M2 - K, A + 16 * M2},
               {A + M2 / 2, 3 * M2, A + 16 * M2 + M2 / 2}};
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        map_anon(&b, A, 4 * HP, RW);
        touch_pages(&b, A, 4 * HP, true);
        uint64_t rss = counters(&b).rss[MM_ANONPAGES];
        assert_int_equal(mm_mremap(b.mm, va(row[i].old), row[i].len, row[i].len,
                                   MREMAP_MAYMOVE | MREMAP_FIXED, va(row[i].to), false),
                         row[i].to);
        assert_int_equal(counters(&b).rss[MM_ANONPAGES], rss);
        assert_int_equal(touch_pages(&b, row[i].to, row[i].len / K, false), 0);
        assert_int_equal(mm_audit(b.mm), 0);
        mm_munmap(b.mm, va(A), 32 * M2);
    }
}

/* thp/thp03: mprotect and madvise of the upper half of huge pages, also in a child: both halves stay. */
static void halves_of_huge_pages_change_alone(void **state)
{
    (void)state;
    struct mm *child;
    map_anon(&b, A, 2 * HP, RW);
    touch_pages(&b, A, 2 * HP, true);
    assert_int_equal(mm_mprotect(b.mm, va(A + M2 / 2), M2, PROT_NONE), 0);
    assert_string_equal(draw(&b, A + M2 / 2 - K, 2), "wN");
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_madvise(child, va(A + 3 * M2 / 4), M2 / 2, MADV_DONTNEED), 0);
    mm_close(child);
    assert_int_equal(mm_mprotect(b.mm, va(A + M2 / 2), M2, RW), 0);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 2 * HP);
    assert_int_equal(touch_pages(&b, A, 2 * HP, false), 0);
}

int main(void)
{
#define T(name)    cmocka_unit_test_setup_teardown(name, four_huge_pages, tear_down)
#define HUGE(name) cmocka_unit_test_setup_teardown(name, always, tear_down)
    const struct CMUnitTest tests[] = {
        T(promised_huge_pages_are_not_stolen),
        T(an_unpromised_mapping_uses_the_files_promise),
        T(truncation_keeps_the_count_of_promises),
        T(willneed_leaves_promises_alone),
        T(misaligned_huge_mappings_are_refused),
        T(huge_pages_are_locked_in_every_way),
        T(shared_mappings_are_one_page_and_a_private_copy_is_its_own),
        T(punching_gives_whole_huge_pages_back),
        T(dontneed_of_huge_pages_is_cut_to_whole_ones),
        cmocka_unit_test(a_first_use_of_swap_does_not_swap_everything),
        cmocka_unit_test(who_eats_all_memory_is_killed),
        cmocka_unit_test(who_fills_the_node_it_is_bound_to_is_killed),
        cmocka_unit_test(user_memory_leaves_min_free_kbytes),
        cmocka_unit_test(willneed_reads_shared_memory_from_swap),
        HUGE(huge_pages_survive_odd_moves),
        HUGE(halves_of_huge_pages_change_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
