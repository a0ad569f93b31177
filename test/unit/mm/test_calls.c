/* test_calls.c: where mappings go, which error a bad call gets, and what calls leave behind.
 * Errors and places were observed on Linux 6.18. */
#include "unit/mm/mm_fixture.h"

#include <malloc.h>

#define AT       UINT64_C(0x10000000)
#define TOP_BASE UINT64_C(0x7ffff7fff000) /* mmap_base, 8 MiB stack, no randomization */
#define ANON     (MAP_PRIVATE | MAP_ANONYMOUS)

/* -- places ---------------------------------------------------------------------------------- */

static void maps_stack_up_downwards_from_mmap_base(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(map_full(&b, 0, 3 * K, RW, ANON, NULL, 0), TOP_BASE - 3 * K);
    assert_int_equal(map_full(&b, 0, K, PROT_READ, ANON, NULL, 0), TOP_BASE - 4 * K);
    mm_munmap(b.mm, va(TOP_BASE - 3 * K), 2 * K);
    assert_int_equal(map_full(&b, 0, 3 * K, RW, ANON, NULL, 0), TOP_BASE - 7 * K);
    assert_int_equal(map_full(&b, 0, 2 * K, RW, ANON, NULL, 0), TOP_BASE - 3 * K);
    box_close(&b);
}

static void anonymous_multiples_of_2_mib_are_aligned_and_others_are_not(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    int64_t a = map_full(&b, 0, MIB(4), RW, ANON, NULL, 0);
    assert_int_equal(a % (int64_t)MIB(2), 0);
    assert_int_equal(a, align_down(TOP_BASE - MIB(4), MIB(2)));
    int64_t c = map_full(&b, 0, MIB(3), RW, ANON, NULL, 0);
    assert_int_equal(c, a - (int64_t)MIB(3));
    /* shmem_enabled is "never": Linux 6.18.44 gave 0x7ffff79d0000 for 4 MiB of shared memory */
    int64_t s = map_full(&b, 0, MIB(4), RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
    assert_int_equal(s, c - (int64_t)MIB(4));
    struct mm_file *f = mm_file(b.sys, 8, 1, MIB(16), "/f");
    int64_t d = map_full(&b, 0, MIB(3), PROT_READ, MAP_PRIVATE, f, MIB(1));
    assert_int_equal((d - (int64_t)MIB(1)) % (int64_t)MIB(2), 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void hints_are_honoured_where_free_and_outside_a_guard_gap(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(map_full(&b, AT + 5, K, RW, ANON, NULL, 0), AT);
    assert_int_equal(map_full(&b, AT, K, RW, ANON, NULL, 0), TOP_BASE - K);
    assert_int_equal(map_full(&b, 0x1000, K, RW, ANON, NULL, 0), 0x10000);
    map_full(&b, AT + 1000 * K, 4 * K, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, NULL, 0);
    assert_int_equal(map_full(&b, AT + 743 * K, K, RW, ANON, NULL, 0), AT + 743 * K);
    assert_int_equal(map_full(&b, AT + 744 * K, K, RW, ANON, NULL, 0), TOP_BASE - 2 * K);
    assert_int_equal(map_full(&b, AT + 900 * K, K, RW, ANON | MAP_FIXED, NULL, 0), AT + 900 * K);
    int64_t low = map_full(&b, 0, K, RW, ANON | MAP_32BIT, NULL, 0);
    assert_in_range(low, 0x40000000, 0x7fffffff);
    box_close(&b);
}

static void a_larger_stack_limit_moves_mmap_base_down(void **state)
{
    (void)state;
    const uint64_t top = UINT64_C(0x7ffffffff000);
    struct box b;
    box_open(&b, MIB(64), false);
    assert_int_equal(mm_map_stack(b.mm, va(top - 33 * K), va(top), GIB(1)), 0);
    /* gap = limit + guard gap of 1 MiB */
    assert_int_equal(map_full(&b, 0, K, RW, ANON, NULL, 0), top - GIB(1) - MIB(1) - K);
    box_close(&b);
}

/* -- errors ---------------------------------------------------------------------------------- */

static void mmap_refuses_in_the_order_of_linux(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 16 * K, "/f");
    map_anon(&b, AT, 4, RW);
    const struct {
        uint64_t addr, len;
        uint32_t prot, flags;
        struct mm_file *file;
        uint64_t offset;
        int err;
    } row[] = {
        {0, 0, RW, ANON, NULL, 1, -EINVAL},
        {0, 0, RW, ANON, NULL, 0, -EINVAL},
        {0, UINT64_MAX, RW, ANON, NULL, 0, -ENOMEM},
        {0, UINT64_C(1) << 47, RW, ANON, NULL, 0, -ENOMEM},
        {AT + 1, K, RW, ANON | MAP_FIXED, NULL, 0, -EINVAL},
        {(UINT64_C(1) << 47) - K, K, RW, ANON | MAP_FIXED, NULL, 0, -ENOMEM},
        {AT + 3 * K, 4 * K, RW, ANON | MAP_FIXED_NOREPLACE, NULL, 0, -EEXIST},
        {0, K, RW, ANON | MAP_HUGETLB, NULL, 0, -ENOMEM},
        {0, K, RW, MAP_PRIVATE | MAP_HUGETLB, f, 0, -EINVAL},
        {0, K, RW, MAP_ANONYMOUS, NULL, 0, -EINVAL},
        {0, K, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, NULL, 0, -EINVAL},
        {0, K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, NULL, 0, -EINVAL},
        {0, K, RW, MAP_PRIVATE | MAP_GROWSDOWN, f, 0, -EINVAL},
        {0, K, RW, 0, f, 0, -EINVAL},
        {0, K, RW, MAP_SHARED_VALIDATE | MAP_SYNC, f, 0, -EOPNOTSUPP},
        {0, K, RW, MAP_PRIVATE, f, (uint64_t)INT64_MAX + 1 - K, -EOVERFLOW},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        assert_int_equal(map_full(&b, row[i].addr, row[i].len, row[i].prot, row[i].flags,
                                  row[i].file, row[i].offset),
                         row[i].err);
    struct mm_map ro = {.len = K, .prot = RW, .flags = MAP_SHARED, .file = f};
    assert_int_equal(mm_mmap(b.mm, &ro), -EACCES);
    ro.prot = PROT_READ;
    int64_t a = mm_mmap(b.mm, &ro);
    assert_int_equal(mm_vma_at(b.mm, va((uint64_t)a))->flags &
                         (VM_SHARED | VM_MAYWRITE | VM_MAYSHARE),
                     VM_MAYSHARE); /* shown as r--s */
    assert_int_equal(mm_mprotect(b.mm, va((uint64_t)a), K, RW), -EACCES);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* As observed on Linux 6.18, ext4. Left out: MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_HUGETLB, which say more
 * than "unknown". */
static void shared_validate_knows_the_flags_of_linux(void **state)
{
    const uint32_t known = 0x7c03f8d0u, elsewhere = MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_HUGETLB;
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 16 * K, "/f");
    for (uint32_t bit = 1u << 4; bit != 0; bit <<= 1) {
        if (bit & elsewhere)
            continue;
        int64_t r = map_full(&b, AT, K, PROT_READ, MAP_SHARED_VALIDATE | bit, f, 0);
        if (bit & known)
            assert_int_equal(mm_munmap(b.mm, va((uint64_t)r), K), 0);
        else
            assert_int_equal(r, -EOPNOTSUPP);
    }
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void other_calls_refuse_bad_arguments(void **state)
{
    (void)state;
    uint8_t vec[8];
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    assert_int_equal(mm_munmap(b.mm, va(AT + 1), K), -EINVAL);
    assert_int_equal(mm_munmap(b.mm, va(AT), 0), -EINVAL);
    assert_int_equal(mm_munmap(b.mm, va(AT), UINT64_MAX), -EINVAL);
    assert_int_equal(mm_munmap(b.mm, va(AT + 100 * K), K), 0);
    assert_int_equal(mm_mprotect(b.mm, va(AT + 1), K, RW), -EINVAL);
    assert_int_equal(mm_mprotect(b.mm, va(AT), 0, 0x40), 0);
    assert_int_equal(mm_mprotect(b.mm, va(AT), K, 0x40), -EINVAL);
    assert_int_equal(mm_mprotect(b.mm, va(AT), K, PROT_READ | PROT_GROWSDOWN), -EINVAL);
    assert_int_equal(mm_mprotect(b.mm, va(AT), K, PROT_GROWSDOWN | PROT_GROWSUP), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(AT + 1), K, MADV_DONTNEED), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(AT), 0, 12345), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(AT), UINT64_MAX, MADV_DONTNEED), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(AT + 2 * K), 8 * K, MADV_DONTNEED), -ENOMEM);
    assert_int_equal(mm_madvise(b.mm, va(AT), K, MADV_REMOVE), -EINVAL);
    assert_int_equal(mm_msync(b.mm, va(AT), K, MS_SYNC | MS_ASYNC), -EINVAL);
    assert_int_equal(mm_msync(b.mm, va(AT), 8 * K, MS_SYNC), -ENOMEM);
    assert_int_equal(mm_mincore(b.mm, va(AT + 1), K, vec), -EINVAL);
    assert_int_equal(mm_mincore(b.mm, va(AT), 8 * K, vec), -ENOMEM);
    assert_int_equal(mm_mincore(b.mm, va(AT), 0, vec), 0);
    box_close(&b);
}

static void mremap_refuses_as_linux_does(void **state)
{
    (void)state;
    const uint32_t may = MREMAP_MAYMOVE, fix = MREMAP_MAYMOVE | MREMAP_FIXED;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    map_anon(&b, AT + 4 * K, 4, PROT_READ);
    const struct {
        uint64_t addr, old, new;
        uint32_t flags;
        uint64_t to;
        int err;
    } row[] = {
        {AT, K, K, 8, 0, -EINVAL},
        {AT + 1, K, K, 0, 0, -EINVAL},
        {AT, K, 0, 0, 0, -EINVAL},
        {AT, K, UINT64_C(1) << 47, may, 0, -EINVAL},
        {AT, K, K, fix, AT + 100 * K + 1, -EINVAL},
        {AT, K, K, MREMAP_FIXED, AT + 100 * K, -EINVAL},
        {AT, 4 * K, 4 * K, fix, AT + 2 * K, -EINVAL},
        {AT, K, 2 * K, may | MREMAP_DONTUNMAP, 0, -EINVAL},
        {AT, 0, K, may, 0, -EINVAL},
        {AT + 50 * K, K, 2 * K, may, 0, -EFAULT},
        {AT, 6 * K, 7 * K, may, 0, -EFAULT},
        {AT, 4 * K, 5 * K, 0, 0, -ENOMEM},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        assert_int_equal(mm_mremap(b.mm, va(row[i].addr), row[i].old, row[i].new, row[i].flags,
                                   va(row[i].to), false),
                         row[i].err);
    box_close(&b);
}

/* -- effects --------------------------------------------------------------------------------- */

static void moving_several_vmas_keeps_their_gaps_and_pages(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    map_anon(&b, AT + 4 * K, 4, PROT_READ);
    map_anon(&b, AT + 10 * K, 2, RW);
    touch_pages(&b, AT, 4, true);
    touch_pages(&b, AT + 4 * K, 4, false);
    int64_t r = mm_mremap(b.mm, va(AT), 12 * K, 12 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
                          va(AT + 100 * K), false);
    assert_int_equal(r, AT + 100 * K);
    assert_string_equal(draw(&b, AT + 100 * K, 12), "WwwwRrrr..Ww");
    assert_string_equal(draw(&b, AT, 12), "............");
    assert_int_equal(touch_pages(&b, AT + 100 * K, 4, true), 0);
    assert_int_equal(touch_pages(&b, AT + 104 * K, 4, false), 0);
    box_close(&b);
}

static void a_moved_large_range_takes_its_page_tables_along(void **state)
{
    (void)state;
    struct box b;
    const uint64_t from = GIB(4), to = GIB(8);
    box_open(&b, MIB(64), false);
    map_anon(&b, from, MIB(8) / K, RW);
    touch_pages(&b, from, MIB(8) / K, true);
    uint64_t tables = phys_owner_frames(b.phys, FRAME_PAGE_TABLE);
    b.out.n = 0;
    assert_int_equal(
        mm_mremap(b.mm, va(from), MIB(8), MIB(8), MREMAP_MAYMOVE | MREMAP_FIXED, va(to), false),
        to);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_TABLE), tables);
    assert_true(b.out.n < 40); /* four entries moved, not 2048 */
    assert_int_equal(touch_pages(&b, to, MIB(8) / K, true), 0);
    assert_int_equal(pt_audit(mm_pt(b.mm), (unsigned)b.conf.phys_bits), 0);
    box_close(&b);
}

static void dontunmap_leaves_an_empty_mapping_behind(void **state)
{
    (void)state;
    struct box b;
    box_open_written(&b, AT, 4);
    assert_int_equal(mm_mremap(b.mm, va(AT), 4 * K, 4 * K,
                               MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, va(AT + 8 * K),
                               false),
                     AT + 8 * K);
    assert_string_equal(draw(&b, AT, 12), "Wwww....Wwww");
    assert_int_equal(touch_pages(&b, AT + 8 * K, 4, true), 0);
    assert_int_equal(touch_pages(&b, AT, 4, false), 4);
    box_close(&b);
}

static void old_length_zero_duplicates_a_shared_mapping(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, AT, 4 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    touch_pages(&b, AT, 4, true);
    assert_int_equal(
        mm_mremap(b.mm, va(AT), 0, 4 * K, MREMAP_MAYMOVE | MREMAP_FIXED, va(AT + 16 * K), false),
        AT + 16 * K);
    assert_int_equal(touch_pages(&b, AT + 16 * K, 4, false), 1); /* the same pages: around */
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 4);
    box_close(&b);
}

static void freed_memory_keeps_its_data_until_reclaim_and_dontneed_drops_it(void **state)
{
    (void)state;
    struct box b;
    box_open_written(&b, AT, 8);
    assert_int_equal(mm_madvise(b.mm, va(AT), 4 * K, MADV_FREE), 0);
    assert_int_equal(mm_madvise(b.mm, va(AT + 4 * K), 4 * K, MADV_DONTNEED), 0);
    assert_int_equal(touch_pages(&b, AT, 4, true), 0);
    assert_int_equal(touch_pages(&b, AT + 4 * K, 4, false), 4);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 4);
    box_close(&b);
}

static void populate_writes_private_memory_and_reads_shared(void **state)
{
    (void)state;
    static const struct {
        uint32_t prot, flags;
        uint64_t faults;
    } row[] = {{RW, MAP_PRIVATE | MAP_POPULATE, 256},
               {RW, MAP_SHARED | MAP_POPULATE, 16},
               {PROT_READ, MAP_PRIVATE | MAP_POPULATE, 16},
               {PROT_NONE, MAP_PRIVATE | MAP_POPULATE, 0},
               {RW, MAP_PRIVATE | MAP_LOCKED, 256},
               {RW, MAP_PRIVATE | MAP_POPULATE | MAP_NONBLOCK, 0}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct box b;
        box_open(&b, MIB(64), false);
        struct mm_file *f = mm_file(b.sys, 8, 1, 256 * K, "/f");
        map_full(&b, AT, 256 * K, row[i].prot, row[i].flags | MAP_FIXED, f, 0);
        assert_int_equal(counters(&b).minflt, row[i].faults);
        mm_file_put(b.sys, f);
        box_close(&b);
    }
}

static void advice_on_locked_or_wrong_memory_is_refused(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, AT, 4 * K, RW, ANON | MAP_FIXED | MAP_LOCKED, NULL, 0);
    map_full(&b, AT + 8 * K, 4 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    map_anon(&b, AT + 16 * K, 4, PROT_NONE);
    static const struct {
        uint64_t page;
        int advice, err;
    } row[] = {{0, MADV_DONTNEED, -EINVAL},   {0, 24, 0},
               {0, MADV_FREE, -EINVAL},       {0, MADV_COLD, -EINVAL},
               {0, MADV_PAGEOUT, -EINVAL},    {8, MADV_FREE, -EINVAL},
               {8, MADV_WIPEONFORK, -EINVAL}, {8, MADV_REMOVE, 0},
               {8, MADV_PAGEOUT, 0},          {16, MADV_POPULATE_READ, -EINVAL},
               {8, MADV_POPULATE_WRITE, 0},   {20, MADV_POPULATE_READ, -ENOMEM}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        assert_int_equal(mm_madvise(b.mm, va(AT + row[i].page * K), 4 * K, row[i].advice),
                         row[i].err);
    box_close(&b);
}

static void removing_shared_pages_frees_them_for_everybody(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 1, 8 * K, "/memfd:x (deleted)");
    map_full(&b, AT, 8 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    map_full(&b, AT + 16 * K, 8 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    touch_pages(&b, AT, 8, true);
    touch_pages(&b, AT + 16 * K, 1, true); /* a private copy: it stays */
    assert_int_equal(mm_madvise(b.mm, va(AT), 8 * K, MADV_REMOVE), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 0);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 1);
    assert_int_equal(touch_pages(&b, AT, 8, false), 8);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void mincore_tells_the_page_cache_from_what_was_never_touched(void **state)
{
    (void)state;
    uint8_t vec[6];
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 2 * K, "/f");
    map_anon(&b, AT, 3, RW);
    map_full(&b, AT + 3 * K, 3 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    touch(&b, AT + K, false);
    assert_int_equal(mm_mincore(b.mm, va(AT), 6 * K, vec), 0);
    assert_memory_equal(vec, ((uint8_t[]){0, 1, 0, 1, 1, 0}), 6);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void forced_maps_go_where_the_program_really_got_them(void **state)
{
    (void)state;
    struct box b;
    box_open_written(&b, AT, 8);
    struct mm_map map = {.addr = va(AT + 2 * K),
                         .len = 2 * K,
                         .prot = PROT_READ,
                         .flags = ANON | MAP_HUGETLB,
                         .forced = true};
    assert_int_equal(mm_mmap(b.mm, &map), -EINVAL); /* no huge page begins there */
    map.flags = ANON;
    assert_int_equal(mm_mmap(b.mm, &map), AT + 2 * K);
    assert_string_equal(draw(&b, AT, 8), "WwRrWwww");
    assert_int_equal(
        mm_mremap(b.mm, va(AT + 4 * K), 4 * K, 8 * K, MREMAP_MAYMOVE, va(AT + 20 * K), true),
        AT + 20 * K);
    assert_string_equal(draw(&b, AT, 28), "WwRr................Wwwwwwww");
    assert_int_equal(touch_pages(&b, AT + 20 * K, 4, true), 0);
    map_anon(&b, AT + 4 * K, 2, PROT_NONE); /* in the way of growing in place, in the model only */
    assert_int_equal(mm_mremap(b.mm, va(AT + 2 * K), 2 * K, 4 * K, 0, va(AT + 2 * K), true),
                     AT + 2 * K);
    assert_string_equal(draw(&b, AT, 7), "WwRrrr.");
    box_close(&b);
}

static void special_mappings_fault_page_by_page_and_never_merge_or_move_apart(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    const uint32_t vvar = VM_READ | VM_MAYREAD | VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP;
    const uint32_t vdso = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_DONTEXPAND;
    assert_int_equal(mm_map_special(b.mm, va(AT), 4 * K, vvar, VMA_VVAR), 0);
    assert_int_equal(mm_map_special(b.mm, va(AT + 4 * K), 2 * K, vdso, VMA_VDSO), 0);
    assert_int_equal(touch_pages(&b, AT, 6, false), 6);
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 2); /* vvar is not counted */
    assert_int_equal(mm_mremap(b.mm, va(AT + 4 * K), 2 * K, 3 * K, MREMAP_MAYMOVE, va(0), false),
                     -EFAULT);
    assert_int_equal(mm_madvise(b.mm, va(AT), K, MADV_DONTNEED), -EINVAL);
    box_close(&b);
}

/* A program that maps many small files (a linker, a mail server) must not cost the host a page for
 * each: 16 slots of 8 bytes, the record and its path are less than 512 bytes. */
static void a_small_file_costs_the_host_little(void **state)
{
    (void)state;
    enum { FILES = 1000 };
    struct box b;
    box_open(&b, MIB(64), false);
    size_t before = mallinfo2().uordblks;
    for (uint64_t i = 0; i < FILES; i++) {
        struct mm_file *f = mm_file(b.sys, 8, 100 + i, 16 * K, "/tmp/dir/small-file");
        map_full(&b, AT, 16 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
        touch(&b, AT, true);
        mm_file_put(b.sys, f);
        b.out.n = 0;
    }
    assert_in_range(mallinfo2().uordblks - before, 0, 512 * FILES);
    assert_int_equal(mm_munmap(b.mm, va(AT), 16 * K), 0);
    box_close(&b);
}

/* The slots of a file that grows keep what they hold, also over the first 512 pages. */
static void a_file_that_grows_keeps_its_pages(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 2 * K, "/f");
    map_full(&b, AT, 1200 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    touch(&b, AT, true);
    for (uint64_t size = 4; size <= 1200; size *= 3) {
        mm_file_resize(b.sys, f, size * K);
        touch(&b, AT + (size - 1) * K, true);
    }
    mm_file_resize(b.sys, f, 1200 * K);
    touch(&b, AT + 1199 * K, true);
    uint64_t was = phys_owner_frames(b.phys, FRAME_USER_FILE);
    mm_madvise(b.mm, va(AT), 1200 * K, MADV_DONTNEED);
    for (uint64_t size = 4; size <= 1200; size *= 3)
        touch(&b, AT + (size - 1) * K, true);
    touch(&b, AT, true);
    touch(&b, AT + 1199 * K, true);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_FILE), was);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_CACHE), 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_costs_the_host_little),
        cmocka_unit_test(a_file_that_grows_keeps_its_pages),
        cmocka_unit_test(maps_stack_up_downwards_from_mmap_base),
        cmocka_unit_test(anonymous_multiples_of_2_mib_are_aligned_and_others_are_not),
        cmocka_unit_test(hints_are_honoured_where_free_and_outside_a_guard_gap),
        cmocka_unit_test(a_larger_stack_limit_moves_mmap_base_down),
        cmocka_unit_test(mmap_refuses_in_the_order_of_linux),
        cmocka_unit_test(shared_validate_knows_the_flags_of_linux),
        cmocka_unit_test(other_calls_refuse_bad_arguments),
        cmocka_unit_test(mremap_refuses_as_linux_does),
        cmocka_unit_test(moving_several_vmas_keeps_their_gaps_and_pages),
        cmocka_unit_test(a_moved_large_range_takes_its_page_tables_along),
        cmocka_unit_test(dontunmap_leaves_an_empty_mapping_behind),
        cmocka_unit_test(old_length_zero_duplicates_a_shared_mapping),
        cmocka_unit_test(freed_memory_keeps_its_data_until_reclaim_and_dontneed_drops_it),
        cmocka_unit_test(populate_writes_private_memory_and_reads_shared),
        cmocka_unit_test(advice_on_locked_or_wrong_memory_is_refused),
        cmocka_unit_test(removing_shared_pages_frees_them_for_everybody),
        cmocka_unit_test(mincore_tells_the_page_cache_from_what_was_never_touched),
        cmocka_unit_test(forced_maps_go_where_the_program_really_got_them),
        cmocka_unit_test(special_mappings_fault_page_by_page_and_never_merge_or_move_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
