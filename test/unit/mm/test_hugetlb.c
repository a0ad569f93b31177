/* hugetlb: pools, promises, faults. Expectations: observations of Linux 6.18 (nr, free, rsvd, surp in
 * /proc/meminfo after each call), Documentation/admin-guide/mm/hugetlbpage.rst, and LTP's hugetlb
 * cases (hugemmap01, 02, 04, 05, 06, hugefork01, hugefallocate01), marked where used. */
#include "unit/mm/big_box.h"

#include <sys/ipc.h>
#include <sys/shm.h>

static void open_pool(uint64_t pages, uint64_t overcommit)
{
    box_conf(&b, MIB(256));
    b.conf.hugetlb_2m = pages;
    b.conf.hugetlb_2m_overcommit = overcommit;
    box_start(&b);
}

static int four_pages(void **state)
{
    (void)state;
    open_pool(4, 0);
    return 0;
}

/* pool compares the counters of the 2 MiB pool. */
static void pool(uint64_t nr, uint64_t free, uint64_t resv, uint64_t surplus)
{
    struct mm_hugetlb_info i;
    mm_hugetlb_info(b.sys, MM_HUGETLB_2M, &i);
    assert_int_equal(i.nr, nr);
    assert_int_equal(i.free, free);
    assert_int_equal(i.resv, resv);
    assert_int_equal(i.surplus, surplus);
    assert_int_equal(mm_audit(b.mm), 0);
}

static int64_t map_huge(uint64_t a, uint64_t pages, uint32_t flags)
{
    return map_full(&b, a, pages * M2, RW, MAP_ANONYMOUS | MAP_HUGETLB | flags, NULL, 0);
}

static int64_t private(uint64_t a, uint64_t pages)
{
    return map_huge(a, pages, MAP_PRIVATE | MAP_FIXED);
}

static void a_private_mapping_promises_uses_and_gives_back(void **state)
{
    (void)state;
    pool(4, 4, 0, 0);
    assert_int_equal(private(A, 3), A);
    pool(4, 4, 3, 0);
    assert_int_equal(touch_pages(&b, A, 512, true), 1); /* one fault a huge page */
    pool(4, 3, 2, 0);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0);
    assert_int_equal(counters(&b).hugetlb, 512);
    touch(&b, A + M2, true);
    pool(4, 2, 1, 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_DONTNEED), 0);
    pool(4, 3, 2, 0);
    assert_int_equal(mm_munmap(b.mm, va(A), 3 * M2), 0);
    pool(4, 4, 0, 0);
}

static void more_than_the_pool_is_refused_unless_nothing_is_promised(void **state)
{
    (void)state;
    assert_int_equal(private(A, 5), -ENOMEM);
    assert_null(mm_vma_at(b.mm, va(A)));
    pool(4, 4, 0, 0);
    assert_int_equal(map_huge(A, 5, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE), A);
    pool(4, 4, 0, 0);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(touch(&b, A + i * M2, true).signal, 0);
    struct mm_verdict v = touch(&b, A + 4 * M2, false); /* reading, too */
    assert_int_equal(v.signal, SIGBUS);
    assert_int_equal(v.si_code, BUS_ADRERR);
}

static void a_shared_mapping_promises_to_its_file(void **state)
{
    (void)state;
    assert_int_equal(map_huge(A, 2, MAP_SHARED | MAP_FIXED), A);
    pool(4, 4, 2, 0);
    assert_int_equal(touch_pages(&b, A, 1024, true), 2);
    pool(4, 2, 0, 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_DONTNEED), 0);
    pool(4, 2, 0, 0); /* the page stays in the file */
    assert_int_equal(touch_pages(&b, A, 512, true), 1);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_REMOVE), 0);
    pool(4, 3, 0, 0); /* gone, and so is its promise */
    assert_int_equal(mm_munmap(b.mm, va(A), 2 * M2), 0);
    pool(4, 4, 0, 0);
}

static void a_smaller_pool_keeps_what_is_used_or_promised_as_surplus(void **state)
{
    (void)state;
    private(A, 3);
    touch(&b, A, true);
    assert_int_equal(mm_sysctl(b.sys, "vm.nr_hugepages", 0), 0);
    pool(3, 2, 2, 3);
    assert_int_equal(mm_munmap(b.mm, va(A), 3 * M2), 0);
    pool(0, 0, 0, 0);
    assert_int_equal(mm_sysctl(b.sys, "nr_hugepages", 2), 0);
    pool(2, 2, 0, 0);
}

static void overcommit_adds_surplus_pages_that_go_again(void **state)
{
    (void)state;
    assert_int_equal(mm_sysctl(b.sys, "nr_overcommit_hugepages", 2), 0);
    assert_int_equal(private(A, 6), A);
    pool(6, 6, 6, 2);
    assert_int_equal(private(A + 16 * M2, 1), -ENOMEM);
    touch_pages(&b, A, 6 * 512, true);
    pool(6, 0, 0, 2);
    assert_int_equal(mm_munmap(b.mm, va(A), 6 * M2), 0);
    pool(4, 4, 0, 0);
}

/* -- fork ------------------------------------------------------------------------------------- */

static struct mm_verdict in_child(struct mm *child, uint64_t a, bool write)
{
    struct box c = b;
    c.mm = child;
    return touch(&c, a, write);
}

static void a_child_copies_from_the_pool_while_it_lasts(void **state)
{
    (void)state;
    struct mm *child;
    private(A, 2);
    touch_pages(&b, A, 1024, true);
    pool(4, 2, 0, 0);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(in_child(child, A, true).signal, 0);
    pool(4, 1, 0, 0);
    mm_close(child);
    pool(4, 2, 0, 0);
}

static void a_child_gets_sigbus_when_the_pool_is_empty_but_may_read(void **state)
{
    (void)state;
    struct mm *child;
    private(A, 4);
    touch_pages(&b, A, 4 * 512, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(in_child(child, A, false).signal, 0);
    assert_int_equal(in_child(child, A, true).signal, SIGBUS);
    mm_close(child);
}

static void the_creator_takes_its_page_from_the_child(void **state)
{
    (void)state;
    struct mm *child;
    private(A, 4);
    touch_pages(&b, A, 4 * 512, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(touch(&b, A, true).signal, 0);
    pool(4, 0, 0, 0);
    assert_int_equal(in_child(child, A + M2, false).signal, 0);
    assert_int_equal(in_child(child, A, false).signal, SIGBUS);
    mm_close(child);
}

static void promises_are_short_while_a_child_keeps_pages_of_a_gone_mapping(void **state)
{
    (void)state;
    struct mm *child;
    private(A, 3);
    touch_pages(&b, A, 3 * 512, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_munmap(b.mm, va(A), 3 * M2), 0);
    pool(4, 1, (uint64_t)-3, 0);              /* what the kernel shows, too */
    assert_int_equal(private(A, 2), -ENOMEM); /* but no more than is free */
    assert_int_equal(private(A, 1), A);
    mm_close(child);
    pool(4, 4, 1, 0);
}

/* include/linux/mm.h folio_maybe_mapped_shared: of a hugetlb folio the map count says it; nobody walks. Pages
 * of a pool do not migrate here (CAVEATS), which without MPOL_MF_STRICT is no failure. */
static void binding_a_private_mapping_elsewhere_leaves_its_page(void **state)
{
    (void)state;
    struct box two;
    unsigned level;
    box_conf(&two, MIB(512));
    two.conf.numa_nodes = 2;
    two.conf.hugetlb_2m = 4;
    box_start(&two);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB;
    assert_int_equal(map_full(&two, A, M2, RW, flags, NULL, 0), A);
    assert_int_equal(touch(&two, A, true).signal, 0);
    const pte *e = pt_leaf(mm_pt(two.mm), va(A), &level);
    pfn page = pte_leaf_pfn(*e, level);
    uint64_t nodes = BIT(1 - phys_frame(two.phys, page)->nid);
    struct nodemask_arg mask = {&nodes, 1, 64};
    assert_int_equal(mm_mbind(two.mm, va(A), M2, MPOL_BIND, &mask, MPOL_MF_MOVE), 0);
    e = pt_leaf(mm_pt(two.mm), va(A), &level);
    assert_int_equal(pte_leaf_pfn(*e, level).v, page.v);
    assert_int_equal(mm_munmap(two.mm, va(A), M2), 0);
    box_close(&two);
}

static void the_last_owner_writes_in_place(void **state)
{
    (void)state;
    struct mm *child;
    private(A, 4);
    touch_pages(&b, A, 4 * 512, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    mm_close(child);
    assert_int_equal(touch_pages(&b, A, 4 * 512, true), 4);
    pool(4, 0, 0, 0);
}

static void a_child_of_a_shared_mapping_shares_it(void **state)
{
    (void)state;
    struct mm *child;
    map_huge(A, 2, MAP_SHARED | MAP_FIXED);
    touch(&b, A, true);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(in_child(child, A, true).signal, 0);
    assert_int_equal(in_child(child, A + M2, true).signal, 0);
    pool(4, 2, 0, 0);
    assert_int_equal(touch_pages(&b, A + M2, 512, true), 1);
    mm_close(child);
    pool(4, 2, 0, 0);
}

/* -- calls ------------------------------------------------------------------------------------ */

static void lengths_and_places_must_be_whole_huge_pages(void **state)
{
    (void)state;
    private(A, 3);
    assert_int_equal(mm_munmap(b.mm, va(A), K), -EINVAL);
    assert_int_equal(mm_munmap(b.mm, va(A + K), M2), -EINVAL);
    assert_int_equal(mm_mprotect(b.mm, va(A), K, PROT_READ), -EINVAL);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, PROT_READ), 0);
    assert_int_equal(mm_munmap(b.mm, va(A + M2), M2), 0);
    pool(4, 4, 2, 0);
    assert_int_equal(
        map_full(&b, A + K, M2, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, NULL, 0),
        -EINVAL);
}

static void a_length_is_rounded_up_and_the_place_is_aligned(void **state)
{
    (void)state;
    int64_t at = map_full(&b, 0, K, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, NULL, 0);
    assert_true(at > 0 && at % (int64_t)M2 == 0);
    const struct vma *v = mm_vma_at(b.mm, va((uint64_t)at));
    assert_int_equal(v->end.v - v->start.v, M2);
    assert_true((v->flags & (VM_HUGETLB | VM_DONTEXPAND)) == (VM_HUGETLB | VM_DONTEXPAND));
    assert_false(v->flags & VM_ACCOUNT);
    assert_int_equal(mm_mremap(b.mm, va((uint64_t)at), M2, 2 * M2, MREMAP_MAYMOVE, va(0), false),
                     -EINVAL);
}

static void sizes_are_encoded_in_the_flags(void **state)
{
    (void)state;
    assert_int_equal(map_huge(A, 1, MAP_PRIVATE | MAP_FIXED | 21u << 26), A);
    assert_int_equal(map_huge(A + M2, 1, MAP_PRIVATE | MAP_FIXED | 22u << 26), -EINVAL);
    assert_int_equal(map_huge(0, 1, MAP_PRIVATE | 30u << 26), -ENOMEM); /* that pool is empty */
}

static void advice_that_needs_small_pages_is_refused(void **state)
{
    (void)state;
    private(A, 2);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_FREE), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_COLD), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0); /* it only sets the flag */
    assert_int_equal(mm_madvise(b.mm, va(A + K), M2, MADV_DONTNEED), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(A), M2 / 2, MADV_DONTNEED), 0); /* rounded down */
    pool(4, 3, 1, 0);
    assert_int_equal(mm_mlock(b.mm, va(A), M2, 0), 0);
    assert_int_equal(counters(&b).locked_vm, 0);
}

/* flushed writes what mprotect flushes: huge pages of a range, or "all". */
static const char *flushed(uint64_t a, uint64_t pages, uint32_t prot)
{
    static char text[64];
    size_t n = 0;
    text[0] = '\0';
    b.out.n = 0;
    assert_int_equal(mm_mprotect(b.mm, va(a), pages * M2, prot), 0);
    for (uint32_t i = 0; i < b.out.n; i++) {
        const struct arch_msg *m = &b.out.msg[i];
        if (m->kind == ARCH_FLUSH_ALL)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "all ");
        if (m->kind == ARCH_FLUSH_RANGE)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%u ",
                                  (unsigned)((m->b - m->a) >> m->n));
    }
    return text;
}

/* Seen on 6.18.44 (tlb:tlb_flush, with its stack): what is there, whether it changed or not, and then
 * everything, once for each VMA. */
static void mprotect_flushes_what_is_there_and_then_everything(void **state)
{
    (void)state;
    assert_int_equal(private(A, 4), A);
    touch(&b, A, true);
    touch(&b, A + 2 * M2, true);
    assert_string_equal(flushed(A, 4, PROT_READ), "3 all ");
    assert_string_equal(flushed(A, 4, RW), "3 all ");
    assert_string_equal(flushed(A + M2, 1, PROT_READ), "all ");
    assert_string_equal(flushed(A, 4, PROT_READ | PROT_EXEC), "1 all all 1 all ");
}

static void mprotect_takes_the_right_to_write_and_gives_it_back_by_a_fault(void **state)
{
    (void)state;
    private(A, 1);
    touch(&b, A, true);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, PROT_READ), 0);
    assert_int_equal(touch(&b, A, true).signal, SIGSEGV);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, RW), 0);
    assert_int_equal(touch_pages(&b, A, 512, true), 1);
    pool(4, 3, 0, 0);
}

static void mincore_sees_the_pages(void **state)
{
    (void)state;
    uint8_t vec[1024];
    private(A, 2);
    touch(&b, A, true);
    assert_int_equal(mm_mincore(b.mm, va(A), 2 * M2, vec), 0);
    assert_int_equal(vec[0] + vec[511], 2);
    assert_int_equal(vec[512] + vec[1023], 0);
}

static void a_move_takes_pages_and_promises_along(void **state)
{
    (void)state;
    const uint64_t to = A + 64 * M2;
    private(A, 2);
    touch(&b, A, true);
    assert_int_equal(
        mm_mremap(b.mm, va(A), 2 * M2, 2 * M2, MREMAP_MAYMOVE | MREMAP_FIXED, va(to), false), to);
    pool(4, 3, 1, 0);
    assert_int_equal(touch_pages(&b, to, 512, true), 0);
    touch(&b, to + M2, true);
    pool(4, 2, 0, 0);
    assert_int_equal(mm_munmap(b.mm, va(to), 2 * M2), 0);
    pool(4, 4, 0, 0);
}

static void a_moved_part_leaves_the_promises_of_the_rest(void **state)
{
    (void)state;
    const uint64_t to = A + 64 * M2;
    private(A, 3);
    assert_int_equal(
        mm_mremap(b.mm, va(A + M2), M2, M2, MREMAP_MAYMOVE | MREMAP_FIXED, va(to), false), to);
    pool(4, 4, 3, 0);
    assert_int_equal(mm_munmap(b.mm, va(to), M2), 0);
    pool(4, 4, 2, 0);
    assert_int_equal(mm_munmap(b.mm, va(A), 3 * M2), 0);
    pool(4, 4, 0, 0);
}

static void a_file_keeps_its_pages_until_its_last_reference(void **state)
{
    (void)state;
    struct mm_file *f;
    struct mm_hugetlb_file q = {.bytes = 2 * M2, .path = "/memfd:huge (deleted)"};
    assert_int_equal(mm_hugetlb_file(b.sys, &q, &f), 0);
    assert_int_equal(map_full(&b, A, 2 * M2, RW, MAP_SHARED | MAP_FIXED, f, 0), A);
    pool(4, 4, 2, 0);
    touch(&b, A, true);
    assert_int_equal(mm_munmap(b.mm, va(A), 2 * M2), 0);
    pool(4, 3, 1, 0);
    mm_file_resize(b.sys, f, M2); /* truncation gives the second one's promise back */
    pool(4, 3, 0, 0);
    assert_int_equal(map_full(&b, A, M2, RW, MAP_PRIVATE | MAP_FIXED, f, 0), A);
    pool(4, 3, 1, 0);
    assert_int_equal(touch_pages(&b, A, 512, false), 1); /* the file's page */
    pool(4, 3, 1, 0);
    assert_int_equal(touch_pages(&b, A, 512, true), 1); /* a copy */
    pool(4, 2, 0, 0);
    mm_file_put(b.sys, f);
    assert_int_equal(mm_munmap(b.mm, va(A), M2), 0);
    pool(4, 4, 0, 0);
}

static void shared_memory_promises_when_it_is_made(void **state)
{
    (void)state;
    struct mm_file *f;
    struct mm_hugetlb_file q = {
        .bytes = 3 * M2, .path = "/SYSV00000000 (deleted)", .reserve = true};
    assert_int_equal(mm_hugetlb_file(b.sys, &q, &f), 0);
    pool(4, 4, 3, 0);
    q.bytes = 2 * M2;
    struct mm_file *g;
    assert_int_equal(mm_hugetlb_file(b.sys, &q, &g), -ENOMEM);
    mm_file_put(b.sys, f);
    pool(4, 4, 0, 0);
}

static void a_memfd_and_a_segment_may_be_of_huge_pages(void **state)
{
    (void)state;
    struct mm_file *f;
    assert_int_equal(mm_memfd(b.sys, "x", 4u | 22u << 26, &f), -ENODEV); /* no such size */
    assert_int_equal(mm_memfd(b.sys, "x", 4u, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, K), -EINVAL);
    assert_int_equal(mm_ftruncate(b.sys, f, M2), 0);
    assert_int_equal(map_full(&b, A, M2, RW, MAP_SHARED | MAP_FIXED, f, 0), A);
    pool(4, 4, 1, 0);
    assert_int_equal(mm_munmap(b.mm, va(A), M2), 0);
    mm_file_put(b.sys, f);
    pool(4, 4, 0, 0);
    struct mm_task root = *mm_task(b.mm);
    mm_set_rlimit(b.mm, MM_RLIM_MEMLOCK, (struct mm_rlimit){MM_RLIM_INFINITY, MM_RLIM_INFINITY});
    assert_int_equal(mm_shmget(b.mm, 0, M2, SHM_HUGETLB | 0600), -EPERM); /* no limit allows it */
    root.gid = 0;                                                         /* vm.hugetlb_shm_group */
    mm_set_task(b.mm, &root);
    assert_int_equal(mm_shmget(b.mm, 0, 5 * M2, SHM_HUGETLB | 0600), -ENOMEM);
    int id = mm_shmget(b.mm, 0, 2 * M2, SHM_HUGETLB | 0600);
    assert_true(id >= 0);
    pool(4, 4, 2, 0);
    assert_int_equal(mm_shmat(b.mm, id, va(A), 0, false), A);
    assert_int_equal(touch(&b, A, true).signal, 0);
    pool(4, 3, 1, 0);
    assert_int_equal(mm_shmdt(b.mm, va(A)), 0);
    pool(4, 3, 1, 0);
    assert_int_equal(mm_shmctl(b.mm, id, IPC_RMID, NULL), 0);
    pool(4, 4, 0, 0);
}

static void beyond_the_end_of_the_file_is_sigbus(void **state)
{
    (void)state;
    struct mm_file *f;
    struct mm_hugetlb_file q = {.bytes = M2, .path = "/memfd:huge (deleted)"};
    assert_int_equal(mm_hugetlb_file(b.sys, &q, &f), 0);
    struct mm_map map = {.addr = va(A),
                         .len = 2 * M2,
                         .prot = PROT_READ,
                         .flags = MAP_SHARED | MAP_FIXED,
                         .file = f,
                         .file_writable = true};
    assert_int_equal(mm_mmap(b.mm, &map), A);
    assert_int_equal(touch(&b, A, false).signal, 0);
    assert_int_equal(touch(&b, A + M2, false).signal, SIGBUS);
    mm_file_put(b.sys, f);
}

static void pages_of_one_gib_are_made_at_boot(void **state)
{
    (void)state;
    struct mm_hugetlb_info i;
    memset(&b, 0, sizeof(b));
    conf_init(&b.conf);
    b.conf.phys_size = GIB(8);
    b.conf.hugetlb_1g = 2;
    assert_int_equal(arch_outbox_open(&b.out), 0);
    assert_int_equal(phys_open(&b.phys, &b.conf, &b.stats), 0);
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    mm_hugetlb_info(b.sys, MM_HUGETLB_1G, &i);
    assert_int_equal(i.nr, 2);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_HUGETLB), 2 * GIB(1) / K);
    int64_t at =
        map_full(&b, 0, GIB(1), RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 30u << 26, NULL, 0);
    assert_true(at > 0 && at % (int64_t)GIB(1) == 0);
    assert_int_equal(touch(&b, (uint64_t)at + GIB(1) - K, true).signal, 0);
    assert_int_equal(touch(&b, (uint64_t)at, true).kind, FAULT_KIND_NR); /* no second fault */
    unsigned level;
    assert_non_null(pt_leaf(mm_pt(b.mm), va((uint64_t)at), &level));
    assert_int_equal(level, 2);
    assert_int_equal(counters(&b).pte_bytes, 4096); /* a PUD table is all it takes */
    assert_int_equal(mm_munmap(b.mm, va((uint64_t)at), GIB(1)), 0);
    mm_hugetlb_info(b.sys, MM_HUGETLB_1G, &i);
    assert_int_equal(i.free, 2);
}

static void a_pool_larger_than_memory_is_refused_with_key_and_reason(void **state)
{
    (void)state;
    struct conf c;
    char err[256];
    open_pool(0, 0);
    conf_init(&c);
    assert_int_equal(conf_set(&c, "phys.size", "1G", err, sizeof(err)), 0);
    assert_int_equal(conf_set(&c, "hugetlb.2m", "500", err, sizeof(err)), 0);
    assert_int_equal(conf_check(&c, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "hugetlb.2m: 500 huge pages"));
    /* 4096 - 40 of the image - 64 of the memmap - 1 of the firmware: 3991 MiB */
    assert_int_equal(conf_set(&c, "phys.size", "4G", err, sizeof(err)), 0);
    assert_int_equal(conf_set(&c, "hugetlb.2m", "1996", err, sizeof(err)), 0);
    assert_int_equal(conf_check(&c, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "hugetlb.2m: 1996 huge pages"));
    assert_non_null(strstr(err, "leave 3991 MiB"));
    assert_int_equal(conf_set(&c, "hugetlb.2m", "1995", err, sizeof(err)), 0);
    assert_int_equal(conf_check(&c, err, sizeof(err)), 0);
}

static int may(struct mm_file *f, uint64_t offset, uint64_t pages, bool shared, bool reserve)
{
    return mm_hugetlb_may(b.sys, &(struct mm_hugetlb_want){.file = f,
                                                           .offset = offset,
                                                           .bytes = pages * M2,
                                                           .shared = shared,
                                                           .reserve = reserve});
}

/* A question is what mmap would answer (hugetlb_reserve_pages), and leaves the pool as it was. */
static void a_question_promises_nothing(void **state)
{
    (void)state;
    open_pool(2, 2);
    struct mm_file *f;
    struct mm_hugetlb_file q = {.bytes = 2 * M2, .path = "/h"};
    assert_int_equal(mm_hugetlb_named(b.sys, 7, 9, &q, &f), 0);
    assert_int_equal(may(NULL, 0, 4, false, true), 0);
    pool(2, 2, 0, 0);
    assert_int_equal(may(NULL, 0, 5, false, true), -ENOMEM);
    pool(2, 2, 0, 0);
    assert_int_equal(may(NULL, 0, 5, false, false), 0);
    assert_int_equal(may(f, PAGE_SIZE, 1, true, true), -EINVAL);
    assert_int_equal(map_full(&b, A, 2 * M2, RW, MAP_SHARED | MAP_FIXED, f, 0), A);
    pool(2, 2, 2, 0);
    assert_int_equal(may(f, 0, 2, true, true), 0);
    assert_int_equal(may(f, 0, 4, true, true), 0); /* two of them are promised already */
    assert_int_equal(may(f, 0, 5, true, true), -ENOMEM);
    assert_int_equal(may(f, 0, 3, false, true), -ENOMEM); /* a private mapping shares none */
    assert_int_equal(may(f, UINT64_MAX - M2 + 1, 1, true, true), -ENOMEM);
    pool(2, 2, 2, 0);
    struct mm_hugetlb_want odd = {.bytes = M2, .size_log = 16, .reserve = true};
    assert_int_equal(mm_hugetlb_may(b.sys, &odd), -EINVAL);
    mm_file_put(b.sys, f);
}

static void a_name_leads_to_one_file_of_huge_pages(void **state)
{
    (void)state;
    struct mm_hugetlb_file q = {.bytes = M2, .path = "/h"}, odd = {.bytes = M2, .size_log = 5};
    struct mm_file *f, *same, *other = mm_file(b.sys, 7, 8, PAGE_SIZE, "/f");
    uint64_t size;
    assert_int_equal(mm_hugetlb_named(b.sys, 7, 9, &q, &f), 0);
    q.bytes = 3 * M2;
    assert_int_equal(mm_hugetlb_named(b.sys, 7, 9, &q, &same), 0);
    assert_ptr_equal(f, same);
    assert_ptr_equal(mm_file_find(b.sys, 7, 9, &size), f);
    assert_int_equal(size, 3 * M2);
    assert_int_equal(mm_hugetlb_named(b.sys, 7, 8, &q, &same), -EINVAL);
    assert_int_equal(mm_hugetlb_named(b.sys, 7, 10, &odd, &same), -EINVAL);
    for (unsigned i = 0; i < 3; i++)
        mm_file_put(b.sys, f);
    mm_file_put(b.sys, other);
}

/* What the program got although the model has no page for it is ordinary memory from then on. */
static void a_page_that_no_pool_has_is_repaired(void **state)
{
    (void)state;
    open_pool(0, 0);
    assert_int_equal(map_huge(A, 2, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE), A);
    assert_int_equal(touch(&b, A + PAGE_SIZE, true).signal, SIGBUS);
    struct arch_fault at = {.cr2 = va(A + PAGE_SIZE), .code = FAULT_U | FAULT_W};
    mm_repair(b.mm, &at);
    assert_int_equal(touch(&b, A + PAGE_SIZE, true).signal, 0);
    assert_int_equal(touch(&b, A + M2 - PAGE_SIZE, true).signal, 0);
    assert_int_equal(touch(&b, A + M2, true).signal, SIGBUS);
    pool(0, 0, 0, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, four_pages, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_private_mapping_promises_uses_and_gives_back),
        T(more_than_the_pool_is_refused_unless_nothing_is_promised),
        T(a_shared_mapping_promises_to_its_file),
        T(a_smaller_pool_keeps_what_is_used_or_promised_as_surplus),
        T(overcommit_adds_surplus_pages_that_go_again),
        T(a_child_copies_from_the_pool_while_it_lasts),
        T(a_child_gets_sigbus_when_the_pool_is_empty_but_may_read),
        T(the_creator_takes_its_page_from_the_child),
        T(promises_are_short_while_a_child_keeps_pages_of_a_gone_mapping),
        T(binding_a_private_mapping_elsewhere_leaves_its_page),
        T(the_last_owner_writes_in_place),
        T(a_child_of_a_shared_mapping_shares_it),
        T(lengths_and_places_must_be_whole_huge_pages),
        T(a_length_is_rounded_up_and_the_place_is_aligned),
        T(sizes_are_encoded_in_the_flags),
        T(advice_that_needs_small_pages_is_refused),
        T(mprotect_flushes_what_is_there_and_then_everything),
        T(mprotect_takes_the_right_to_write_and_gives_it_back_by_a_fault),
        T(mincore_sees_the_pages),
        T(a_move_takes_pages_and_promises_along),
        T(a_moved_part_leaves_the_promises_of_the_rest),
        T(a_file_keeps_its_pages_until_its_last_reference),
        T(shared_memory_promises_when_it_is_made),
        T(a_memfd_and_a_segment_may_be_of_huge_pages),
        T(beyond_the_end_of_the_file_is_sigbus),
        cmocka_unit_test_teardown(a_question_promises_nothing, tear_down),
        T(a_name_leads_to_one_file_of_huge_pages),
        cmocka_unit_test_teardown(a_page_that_no_pool_has_is_repaired, tear_down),
        cmocka_unit_test_teardown(pages_of_one_gib_are_made_at_boot, tear_down),
        cmocka_unit_test_teardown(a_pool_larger_than_memory_is_refused_with_key_and_reason,
                                  tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
