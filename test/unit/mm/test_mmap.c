/* test_mmap.c: what mmap refuses, in which order, and what flags make of a mapping; file kinds,
 * descriptors, seals, mseal. Each table names the LTP or kernel selftest that asserts it; the rest
 * was observed on Linux 6.18.44. */
#define FILE_PAGES 16
#include "unit/mm/one_box.h"

#define BASE      UINT64_C(0x10000000)
#define TASK_SIZE UINT64_C(0x7ffffffff000)
#define PA        (MAP_PRIVATE | MAP_ANONYMOUS)
#define SA        (MAP_SHARED | MAP_ANONYMOUS)
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

static int64_t map(uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags)
{
    return map_full(&box, addr, len, prot, flags, NULL, 0);
}

static uint64_t flags_at(uint64_t a)
{
    const struct vma *v = mm_vma_at(box.mm, va(a));
    assert_non_null(v);
    return v->flags;
}

/* LTP mmap08 (EINVAL of sizes), mmap15 (ENOMEM beyond the end), map_fixed_noreplace of the kernel's
 * own selftests, mmap20 (MAP_SHARED_VALIDATE). */
static void anonymous_arguments_are_checked_in_order(void **state)
{
    (void)state;
    assert_int_equal(map(BASE, 4 * K, RW, PA | MAP_FIXED), BASE);
    const struct {
        uint64_t addr, len;
        uint32_t prot, flags;
        uint64_t offset;
        int result;
    } row[] = {
        {0, K, RW, PA, 1, -EINVAL}, /* the offset counts even without a file */
        {0, 0, RW, PA, 1, -EINVAL},
        {0, 0, RW, PA, 0, -EINVAL},
        {0, 0, RW, 0, 0, -EINVAL},
        {0, UINT64_MAX, RW, PA, 0, -ENOMEM}, /* rounds to 0 */
        {0, TASK_SIZE + 1, RW, PA, 0, -ENOMEM},
        {TASK_SIZE, K, RW, PA | MAP_FIXED, 0, -ENOMEM},
        {BASE + 1, K, RW, PA | MAP_FIXED, 0, -EINVAL},
        {TASK_SIZE + 1, K, RW, PA | MAP_FIXED, 0, -ENOMEM}, /* before the alignment */
        {0x1000, K, RW, PA | MAP_FIXED, 0, -EPERM},
        {BASE, 4 * K, RW, PA | MAP_FIXED_NOREPLACE, 0, -EEXIST},
        {BASE + K, 2 * K, RW, PA | MAP_FIXED_NOREPLACE, 0, -EEXIST},
        {BASE - K, 2 * K, RW, PA | MAP_FIXED_NOREPLACE, 0, -EEXIST},
        {BASE + 3 * K, 9 * K, RW, PA | MAP_FIXED_NOREPLACE, 0, -EEXIST},
        {BASE - K, 9 * K, RW, MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0,
         -EEXIST}, /* before the type */
        {0, K, RW, MAP_ANONYMOUS, 0, -EINVAL},
        {0, K, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, 0, -EINVAL},
        {0, K, RW, SA | MAP_GROWSDOWN, 0, -EINVAL},
        {0, K, RW, MAP_DROPPABLE | MAP_ANONYMOUS | MAP_LOCKED, 0, -EINVAL},
        {0, K, RW, MAP_DROPPABLE | MAP_ANONYMOUS | MAP_GROWSDOWN, 0, -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t r =
            map_full(&box, row[i].addr, row[i].len, row[i].prot, row[i].flags, NULL, row[i].offset);
        if (r != row[i].result)
            fail_msg("row %zu: %ld, not %d", i, (long)r, row[i].result);
    }
    assert_string_equal(draw(&box, BASE, 5), "Wwww.");
}

/* map_fixed_noreplace: adjacent ranges and free ones are taken. */
static void noreplace_takes_what_is_free(void **state)
{
    (void)state;
    assert_int_equal(map(BASE, 4 * K, RW, PA | MAP_FIXED), BASE);
    assert_int_equal(map(BASE + 4 * K, K, RW, PA | MAP_FIXED_NOREPLACE), BASE + 4 * K);
    assert_int_equal(map(BASE - K, K, RW, PA | MAP_FIXED_NOREPLACE), BASE - K);
    assert_string_equal(draw(&box, BASE - K, 6), "Wwwwww");
}

/* LTP mmap06 and mmap13 (EACCES, EINVAL of types), mmap17, mmap20, mmap03 (ENODEV of a directory). */
static void files_are_checked_in_order(void **state)
{
    (void)state;
    struct row {
        uint32_t prot, flags, traits;
        bool write_only, read_only;
        uint64_t offset;
        int64_t result; /* 0: any address */
    } row[] = {
        {.prot = PROT_READ, .flags = MAP_SHARED},
        {.prot = RW, .flags = MAP_PRIVATE, .read_only = true},
        {.prot = PROT_READ, .flags = MAP_SHARED, .read_only = true},
        {.prot = RW, .flags = MAP_SHARED, .read_only = true, .result = -EACCES},
        {.prot = PROT_READ, .flags = MAP_PRIVATE, .write_only = true, .result = -EACCES},
        {.prot = PROT_WRITE, .flags = MAP_SHARED, .write_only = true, .result = -EACCES},
        {.prot = RW, .flags = MAP_SHARED, .traits = MM_FILE_SWAP, .result = -ETXTBSY},
        {.prot = PROT_READ, .flags = MAP_SHARED, .traits = MM_FILE_SWAP},
        {.prot = PROT_READ, .flags = MAP_SHARED, .traits = MM_FILE_APPEND, .result = -EACCES},
        {.prot = PROT_READ, .flags = MAP_SHARED, .traits = MM_FILE_APPEND, .read_only = true},
        {.prot = RW, .flags = MAP_PRIVATE, .traits = MM_FILE_APPEND},
        {.prot = RX, .flags = MAP_PRIVATE, .traits = MM_FILE_NOEXEC, .result = -EPERM},
        {.prot = RW, .flags = MAP_PRIVATE, .traits = MM_FILE_NOEXEC},
        {.prot = RW, .flags = MAP_PRIVATE, .traits = MM_FILE_NOMMAP, .result = -ENODEV},
        {.prot = RW,
         .flags = MAP_SHARED,
         .traits = MM_FILE_NOMMAP,
         .read_only = true,
         .result = -EACCES},
        {.prot = RW, .flags = MAP_PRIVATE | MAP_GROWSDOWN, .result = -EINVAL},
        {.prot = RW, .flags = MAP_SHARED | MAP_GROWSDOWN, .result = -EINVAL},
        {.prot = RW, .flags = 0, .result = -EINVAL},
        {.prot = RW, .flags = MAP_DROPPABLE, .result = -EINVAL},
        {.prot = RW, .flags = MAP_SHARED_VALIDATE},
        {.prot = RW, .flags = MAP_SHARED_VALIDATE | 1u << 31, .result = -EOPNOTSUPP},
        {.prot = RW, .flags = MAP_SHARED | 1u << 31},
        {.prot = RW, .flags = MAP_SHARED_VALIDATE | MAP_SYNC, .result = -EOPNOTSUPP},
        {.prot = RW, .flags = MAP_SHARED | MAP_SYNC, .result = -EOPNOTSUPP}, /* ext4 without DAX */
        {.prot = RW, .flags = MAP_PRIVATE | MAP_SYNC, .result = -EOPNOTSUPP},
        {.prot = PROT_READ,
         .flags = MAP_PRIVATE,
         .offset = UINT64_C(1) << 63,
         .result = -EOVERFLOW},
        {.prot = PROT_READ,
         .flags = MAP_PRIVATE,
         .offset = (UINT64_C(1) << 63) - 2 * K,
         .result = -EOVERFLOW},
        {.prot = PROT_READ, .flags = MAP_PRIVATE, .offset = (UINT64_C(1) << 63) - 5 * K},
        {.prot = PROT_READ, .flags = MAP_PRIVATE, .offset = 100 * K}, /* beyond the end is fine */
        {.prot = PROT_READ, .flags = MAP_PRIVATE | MAP_HUGETLB, .result = -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        mm_file_set_traits(file, row[i].traits);
        struct mm_map m = {.len = 4 * K,
                           .prot = row[i].prot,
                           .flags = row[i].flags,
                           .file = file,
                           .file_writable = !row[i].read_only,
                           .file_unreadable = row[i].write_only,
                           .offset = row[i].offset};
        int64_t r = mm_mmap(box.mm, &m);
        if (row[i].result ? r != row[i].result : r < 0)
            fail_msg("row %zu: %ld, not %ld", i, (long)r, (long)row[i].result);
    }
}

/* smaps of 6.18: which flags a mapping shows (`rd wr mr mw me ac` …). */
static void flags_of_new_mappings(void **state)
{
    (void)state;
    const uint64_t may = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
    const struct {
        uint32_t prot, flags;
        uint64_t expect;
    } row[] = {
        {RW, PA, VM_READ | VM_WRITE | may | VM_ACCOUNT},
        {PROT_NONE, PA, may},
        {RW, PA | MAP_NORESERVE, VM_READ | VM_WRITE | may | VM_NORESERVE},
        {RW, PA | MAP_STACK, VM_READ | VM_WRITE | may | VM_ACCOUNT | VM_NOHUGEPAGE},
        {RW, PA | MAP_GROWSDOWN, VM_READ | VM_WRITE | may | VM_ACCOUNT | VM_GROWSDOWN},
        {RW, PA | MAP_LOCKED, VM_READ | VM_WRITE | may | VM_ACCOUNT | VM_LOCKED},
        {PROT_READ, PA | MAP_SYNC, VM_READ | may | VM_SYNC},
        {RW, SA, VM_READ | VM_WRITE | VM_SHARED | may | VM_MAYSHARE},
        {RW, MAP_DROPPABLE | MAP_ANONYMOUS,
         VM_READ | VM_WRITE | may | VM_NORESERVE | VM_WIPEONFORK | VM_DONTDUMP | VM_DROPPABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t a = map(0, 4 * K, row[i].prot, row[i].flags);
        assert_true(a > 0);
        assert_int_equal(flags_at((uint64_t)a), row[i].expect);
        assert_int_equal(mm_munmap(box.mm, va((uint64_t)a), 4 * K), 0);
    }
}

static void read_only_descriptor_takes_shared_and_maywrite(void **state)
{
    (void)state;
    struct mm_map m = {.len = K, .prot = PROT_READ, .flags = MAP_SHARED, .file = file};
    int64_t a = mm_mmap(box.mm, &m);
    assert_int_equal(flags_at((uint64_t)a), VM_READ | VM_MAYREAD | VM_MAYEXEC | VM_MAYSHARE);
    assert_int_equal(mm_mprotect(box.mm, va((uint64_t)a), K, RW), -EACCES); /* LTP mprotect01 */
}

static void noexec_mount_takes_mayexec(void **state)
{
    (void)state;
    mm_file_set_traits(file, MM_FILE_NOEXEC);
    int64_t a = map_full(&box, 0, K, PROT_READ, MAP_PRIVATE, file, 0);
    assert_int_equal(mm_mprotect(box.mm, va((uint64_t)a), K, RX), -EACCES);
}

/* Observed: populated, but neither locked nor counted. */
static void droppable_memory_is_never_locked(void **state)
{
    (void)state;
    assert_int_equal(mm_mlockall(box.mm, MCL_FUTURE), 0);
    int64_t a = map(0, 4 * K, RW, MAP_DROPPABLE | MAP_ANONYMOUS);
    assert_int_equal(flags_at((uint64_t)a) & VM_LOCKED, 0);
    assert_int_equal(counters(&box).locked_vm, 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 4);
    assert_int_equal(mm_mlock(box.mm, va((uint64_t)a), K, 0), 0);
    assert_int_equal(flags_at((uint64_t)a) & VM_LOCKED, 0);
}

/* Observed: 0x10 is no hint at all, 0x1010 lies below vm.mmap_min_addr and is rounded up. */
static void low_hints_are_rounded_up(void **state)
{
    (void)state;
    assert_true(map(0x10, K, RW, PA) > (int64_t)GIB(1));
    assert_int_equal(map(0x1010, K, RW, PA), 0x10000);
}

/* Observed on 6.18.44 with vm.mmap_min_addr = 4096; security/min_addr.c of Linux. */
static void hints_and_stacks_keep_the_floor_of_the_security_module(void **state)
{
    (void)state;
    assert_int_equal(mm_sysctl(box.sys, "mmap_min_addr", 4096), 0);
    assert_int_equal(map(0x1000, K, RW, PA), 0x10000);
    assert_int_equal(map(0x2000, K, RW, PA | MAP_FIXED | MAP_GROWSDOWN), 0x2000);
    assert_int_equal(touch(&box, 0x1000, false).signal, SIGSEGV);
}

static void legacy_layout_places_bottom_up(void **state)
{
    (void)state;
    assert_int_equal(mm_sysctl(box.sys, "legacy_va_layout", 1), 0);
    struct mm *legacy;
    assert_int_equal(mm_open(&legacy, box.sys), 0);
    struct mm_map m = {.len = 3 * K, .prot = RW, .flags = PA};
    const int64_t base = (int64_t)align_up((BIT(47) - K) / 3, K);
    assert_int_equal(mm_mmap(legacy, &m), base);
    assert_int_equal(mm_mmap(legacy, &m), base + 3 * (int64_t)K);
    mm_close(legacy);
}

/* Linux 6.18 Documentation/arch/x86/x86_64/5level-paging.rst: addresses above 47 bits only to those who
 * ask with a hint. */
static void five_levels_are_used_only_above_such_a_hint(void **state)
{
    (void)state;
    struct box five;
    box_conf(&five, MIB(64));
    five.conf.mmu_levels = 5;
    box_start(&five);
    struct mm *mm = five.mm;
    struct mm_map m = {.len = 3 * K, .prot = RW, .flags = PA};
    assert_int_equal(mm_mmap(mm, &m), 0x7ffff7fff000 - 3 * K);
    m.addr = va(BIT(50));
    assert_int_equal(mm_mmap(mm, &m), BIT(50));
    assert_int_equal(mm_mmap(mm, &m), BIT(56) - K - (BIT(47) - K - 0x7ffff7fff000) - 3 * K);
    m.addr = va(BIT(47) - 2 * K); /* across the window's end: no hint */
    assert_true(mm_mmap(mm, &m) < (int64_t)BIT(47));
    m.len = BIT(47);
    m.addr = va(0);
    assert_int_equal(mm_mmap(mm, &m), -ENOMEM);
    box_close(&five);
}

static unsigned flushes(void)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < box.out.n; i++)
        n += box.out.msg[i].kind == ARCH_FLUSH_RANGE;
    return n;
}

/* mm/mmu_gather.c: freed tables are flushed (tlb->freed_tables), for the walk caches, though no page
 * went; an area beside another that never had a table needs nothing. */
static void unmapping_an_empty_table_is_flushed(void **state)
{
    (void)state;
    assert_int_equal(map_anon(&box, BASE, 4, RW), BASE);
    touch_pages(&box, BASE, 4, true);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 4 * K, MADV_DONTNEED), 0);
    box.out.n = 0;
    assert_int_equal(mm_munmap(box.mm, va(BASE), 4 * K), 0);
    assert_int_equal(flushes(), 1);
    assert_int_equal(map_anon(&box, BASE, 4, RW), BASE);
    assert_int_equal(map_anon(&box, BASE + GIB(1), 1, RW), BASE + GIB(1));
    box.out.n = 0;
    assert_int_equal(mm_munmap(box.mm, va(BASE), 4 * K), 0);
    assert_int_equal(flushes(), 0);
}

/* What unmapping the only area of 512 GiB, never touched, flushes: observed on 6.18.44, and by
 * mm/memory.c free_p4d_range, for pgd_none is never true with four levels. */
static unsigned flushes_of_the_last_area(struct box *b)
{
    const uint64_t span = BIT(39), at = 64 * span;
    unsigned n = 0;
    assert_int_equal(map_anon(b, at + 5 * K, 4, RW), at + 5 * K);
    b->out.n = 0;
    assert_int_equal(mm_munmap(b->mm, va(at + 5 * K), 4 * K), 0);
    for (uint32_t i = 0; i < b->out.n; i++) {
        const struct arch_msg *m = &b->out.msg[i];
        if (m->kind != ARCH_FLUSH_RANGE)
            continue;
        assert_true(m->a == at && m->b == at + K); /* one page, where the span begins */
        assert_true(m->n == PAGE_SHIFT && m->tables);
        n++;
    }
    return n;
}

static void
the_last_area_of_512_gib_is_flushed_with_four_levels_though_nothing_was_there(void **state)
{
    struct box five;
    (void)state;
    assert_int_equal(flushes_of_the_last_area(&box), 1);
    box_conf(&five, MIB(64));
    five.conf.mmu_levels = 5;
    box_start(&five);
    assert_int_equal(flushes_of_the_last_area(&five), 0);
    box_close(&five);
}

/* -- descriptors */

static int64_t map_opened(uint64_t id, uint64_t page)
{
    struct mm_map m = {.addr = va(BASE + page * K),
                       .len = K,
                       .prot = PROT_READ,
                       .flags = MAP_PRIVATE | MAP_FIXED,
                       .file = file,
                       .file_id = id,
                       .file_writable = true,
                       .offset = page * K};
    return mm_mmap(box.mm, &m);
}

/* Observed: mappings of two opens of one file stay apart, those of a dup merge. */
static void two_opens_of_a_file_do_not_merge(void **state)
{
    (void)state;
    map_opened(1, 0);
    map_opened(2, 1);
    map_opened(1, 2);
    map_opened(1, 3);
    assert_string_equal(draw(&box, BASE, 4), "RRRr");
    map_opened(1, 1);
    assert_string_equal(draw(&box, BASE, 4), "Rrrr");
}

/* Observed: private /dev/zero is anonymous memory under its name; the offset counts for merging. */
static void private_dev_zero_is_anonymous_with_a_file(void **state)
{
    (void)state;
    struct mm_file *zero = mm_file(box.sys, 6, 4, 0, "/dev/zero");
    int64_t a = map_full(&box, 0, 4 * K, RW, MAP_PRIVATE, zero, 0);
    assert_int_equal(touch_pages(&box, (uint64_t)a, 4, true), 4);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 4);
    assert_ptr_equal(mm_vma_at(box.mm, va((uint64_t)a))->file, zero);
    assert_int_equal(mm_madvise(box.mm, va((uint64_t)a), K, MADV_WIPEONFORK), -EINVAL);
    int64_t big = map_full(&box, 0, MIB(4), RW, MAP_PRIVATE, zero, 0);
    assert_int_equal(big % (int64_t)MIB(2), 0);
    mm_file_put(box.sys, zero);
}

static void shared_dev_zero_is_memory_of_its_own(void **state)
{
    (void)state;
    struct mm_file *zero = mm_file(box.sys, 6, 4, 0, "/dev/zero");
    int64_t a = map_full(&box, 0, 2 * K, RW, MAP_SHARED, zero, 0);
    int64_t b = map_full(&box, 0, 2 * K, RW, MAP_SHARED, zero, 2 * K);
    assert_int_equal(touch(&box, (uint64_t)a, true).signal, 0);
    assert_int_equal(counters(&box).rss[MM_SHMEMPAGES], 1);
    assert_int_equal(touch(&box, (uint64_t)b, true).signal, SIGBUS); /* beyond its own file */
    mm_file_put(box.sys, zero);
}

/* -- seals: selftests/memfd/memfd_test.c */

static void write_seal_forbids_shared_writable_maps(void **state)
{
    (void)state;
    struct mm_file *f;
    assert_int_equal(mm_memfd(box.sys, "x", 2 /* MFD_ALLOW_SEALING */, &f), 0);
    assert_int_equal(mm_ftruncate(box.sys, f, 4 * K), 0);
    int64_t a = map_full(&box, 0, K, RW, MAP_SHARED, f, 0);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_WRITE), -EBUSY);
    assert_int_equal(mm_munmap(box.mm, va((uint64_t)a), K), 0);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_WRITE), 0);
    assert_int_equal(map_full(&box, 0, K, RW, MAP_SHARED, f, 0), -EPERM);
    assert_true(map_full(&box, 0, K, RW, MAP_PRIVATE, f, 0) > 0);
    a = map_full(&box, 0, K, PROT_READ, MAP_SHARED, f, 0);
    assert_int_equal(flags_at((uint64_t)a),
                     VM_READ | VM_SHARED | VM_MAYREAD | VM_MAYEXEC | VM_MAYSHARE);
    assert_int_equal(mm_mprotect(box.mm, va((uint64_t)a), K, RW), -EACCES);
    assert_int_equal(mm_fallocate_punch(box.sys, f, 0, K), -EPERM);
    mm_file_put(box.sys, f);
}

static void future_write_seal_lets_old_maps_write(void **state)
{
    (void)state;
    struct mm_file *f;
    assert_int_equal(mm_memfd(box.sys, "x", 2, &f), 0);
    assert_int_equal(mm_ftruncate(box.sys, f, 4 * K), 0);
    int64_t a = map_full(&box, 0, K, RW, MAP_SHARED, f, 0);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_FUTURE_WRITE), 0);
    assert_int_equal(touch(&box, (uint64_t)a, true).signal, 0);
    assert_int_equal(map_full(&box, 0, K, RW, MAP_SHARED, f, 0), -EPERM);
    mm_file_put(box.sys, f);
}

static void size_seals_and_the_last_seal(void **state)
{
    (void)state;
    struct mm_file *f, *closed;
    assert_int_equal(mm_memfd(box.sys, "x", 2, &f), 0);
    assert_int_equal(mm_ftruncate(box.sys, f, 4 * K), 0);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_SHRINK), 0);
    assert_int_equal(mm_ftruncate(box.sys, f, 3 * K), -EPERM);
    assert_int_equal(mm_ftruncate(box.sys, f, 5 * K), 0);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_GROW | MM_SEAL_SEAL), 0);
    assert_int_equal(mm_ftruncate(box.sys, f, 6 * K), -EPERM);
    assert_int_equal(mm_file_add_seals(f, MM_SEAL_WRITE), -EPERM);
    assert_int_equal(mm_file_add_seals(f, 0x40), -EINVAL);
    assert_int_equal(mm_memfd(box.sys, "y", 0, &closed), 0); /* not made for sealing */
    assert_int_equal(mm_file_seals(closed), MM_SEAL_SEAL);
    assert_int_equal(mm_file_add_seals(closed, MM_SEAL_WRITE), -EPERM);
    assert_int_equal(mm_memfd(box.sys, "z", 0x18, &closed), -EINVAL);
    mm_file_put(box.sys, f);
    mm_file_put(box.sys, closed);
}

/* -- mseal: selftests/mm/mseal_test.c */

static void mseal_checks_its_arguments(void **state)
{
    (void)state;
    map(BASE, 4 * K, RW, PA | MAP_FIXED);
    map(BASE + 5 * K, K, RW, PA | MAP_FIXED);
    assert_int_equal(mm_mseal(box.mm, va(BASE), K, 1), -EINVAL);
    assert_int_equal(mm_mseal(box.mm, va(BASE + 1), K, 0), -EINVAL);
    assert_int_equal(mm_mseal(box.mm, va(BASE), UINT64_MAX, 0), -EINVAL);
    assert_int_equal(mm_mseal(box.mm, va(BASE), UINT64_MAX - BASE, 0), -EINVAL);
    assert_int_equal(mm_mseal(box.mm, va(BASE), 0, 0), 0);
    assert_int_equal(mm_mseal(box.mm, va(BASE), 6 * K, 0), -ENOMEM);
    assert_int_equal(mm_mseal(box.mm, va(BASE - K), 2 * K, 0), -ENOMEM);
    assert_int_equal(flags_at(BASE) & VM_SEALED, 0); /* nothing was sealed */
    assert_int_equal(mm_mseal(box.mm, va(BASE + K), 2 * K, 0), 0);
    assert_string_equal(draw(&box, BASE, 6), "WWwW.W");
    assert_int_equal(mm_mseal(box.mm, va(BASE + K), 2 * K, 0), 0); /* again is fine */
    mm_close(box.mm);
    assert_int_equal(mm_open(&box.mm, box.sys), 0);
}

static void sealed_memory_keeps_place_size_and_rights(void **state)
{
    (void)state;
    map(BASE, 4 * K, RW, PA | MAP_FIXED);
    map(BASE + 64 * K, 4 * K, RW, PA | MAP_FIXED);
    assert_int_equal(mm_mseal(box.mm, va(BASE), 4 * K, 0), 0);
    assert_int_equal(mm_munmap(box.mm, va(BASE), K), -EPERM);
    assert_int_equal(mm_munmap(box.mm, va(BASE - 4 * K), 64 * K), -EPERM);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), K, PROT_READ), -EPERM);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), K, RW), -EPERM); /* even without a change */
    assert_int_equal(map(BASE + K, K, RW, PA | MAP_FIXED), -EPERM);
    assert_int_equal(mm_mremap(box.mm, va(BASE), 4 * K, 2 * K, 0, va(0), false), -EPERM);
    assert_int_equal(mm_mremap(box.mm, va(BASE), 4 * K, 8 * K, MREMAP_MAYMOVE, va(0), false),
                     -EPERM);
    assert_int_equal(mm_mremap(box.mm, va(BASE + 64 * K), 4 * K, 4 * K,
                               MREMAP_MAYMOVE | MREMAP_FIXED, va(BASE), false),
                     -EPERM);
    assert_int_equal(touch(&box, BASE, true).signal, 0);
    assert_int_equal(mm_madvise(box.mm, va(BASE), K, MADV_DONTNEED), 0); /* it may write, too */
    assert_string_equal(draw(&box, BASE, 5), "Wwww.");
    mm_close(box.mm);
    assert_int_equal(mm_open(&box.mm, box.sys), 0);
}

/* seal_discard_ro_anon and its relatives. */
static void discarding_sealed_memory_needs_the_right_to_write(void **state)
{
    (void)state;
    map(BASE, K, PROT_READ, PA | MAP_FIXED);
    map(BASE + K, K, RW, PA | MAP_FIXED);
    map(BASE + 2 * K, K, PROT_READ, SA | MAP_FIXED);
    map_full(&box, BASE + 3 * K, K, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0);
    assert_int_equal(mm_mseal(box.mm, va(BASE), 4 * K, 0), 0);
    const int discards[] = {MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_WIPEONFORK};
    for (size_t i = 0; i < ARRAY_LEN(discards); i++)
        assert_int_equal(mm_madvise(box.mm, va(BASE), K, discards[i]), -EPERM);
    assert_int_equal(mm_madvise(box.mm, va(BASE), K, MADV_RANDOM), 0);
    assert_int_equal(mm_madvise(box.mm, va(BASE + K), 3 * K, MADV_DONTNEED), 0);
    mm_close(box.mm);
    assert_int_equal(mm_open(&box.mm, box.sys), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(anonymous_arguments_are_checked_in_order),
        TEST(noreplace_takes_what_is_free),
        TEST(files_are_checked_in_order),
        TEST(flags_of_new_mappings),
        TEST(read_only_descriptor_takes_shared_and_maywrite),
        TEST(noexec_mount_takes_mayexec),
        TEST(droppable_memory_is_never_locked),
        TEST(low_hints_are_rounded_up),
        TEST(hints_and_stacks_keep_the_floor_of_the_security_module),
        TEST(legacy_layout_places_bottom_up),
        TEST(five_levels_are_used_only_above_such_a_hint),
        TEST(unmapping_an_empty_table_is_flushed),
        TEST(the_last_area_of_512_gib_is_flushed_with_four_levels_though_nothing_was_there),
        TEST(two_opens_of_a_file_do_not_merge),
        TEST(private_dev_zero_is_anonymous_with_a_file),
        TEST(shared_dev_zero_is_memory_of_its_own),
        TEST(write_seal_forbids_shared_writable_maps),
        TEST(future_write_seal_lets_old_maps_write),
        TEST(size_seals_and_the_last_seal),
        TEST(mseal_checks_its_arguments),
        TEST(sealed_memory_keeps_place_size_and_rights),
        TEST(discarding_sealed_memory_needs_the_right_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
