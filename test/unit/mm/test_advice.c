/* test_advice.c: madvise row by row, process_madvise, remap_file_pages: LTP madvise01, madvise02,
 * madvise05, process_madvise01, remap_file_pages02 and selftests/mm/madv_populate.c, process_madv.c;
 * what no test asserts was observed on Linux 6.18.44. */
#define FILE_PAGES 16
#include "unit/mm/one_box.h"

#include <linux/capability.h>

#define BASE UINT64_C(0x10000000)

enum { LOCKED_DONTNEED = 24, COLLAPSE = 25, HWPOISON = 100, SOFT_OFFLINE = 101 };

/* One mapping of each kind, 4 pages each, a hole of one page after it. */
enum {
    ANON,        /* private anonymous */
    ANON_NONE,   /* without rights */
    ANON_RO,     /* read-only */
    SHARED,      /* shared anonymous */
    FILE_PRIV,   /* private file */
    FILE_SHARED, /* shared file, writable */
    FILE_RO,     /* shared file, opened read-only */
    LOCKED,      /* locked anonymous */
    DROPPABLE,   /* MAP_DROPPABLE */
    SPECIAL,     /* [vdso]: DONTEXPAND */
    KINDS
};

static uint64_t at(unsigned kind)
{
    return BASE + 5 * K * kind;
}

static void map_kind(unsigned kind, uint32_t prot, uint32_t flags, struct mm_file *f, bool writable)
{
    struct mm_map m = {.addr = va(at(kind)),
                       .len = 4 * K,
                       .prot = prot,
                       .flags = flags | MAP_FIXED | (f ? 0 : MAP_ANONYMOUS),
                       .file = f,
                       .file_writable = writable};
    assert_int_equal(mm_mmap(box.mm, &m), at(kind));
}

static void map_kinds(void)
{
    map_kind(ANON, RW, MAP_PRIVATE, NULL, true);
    map_kind(ANON_NONE, PROT_NONE, MAP_PRIVATE, NULL, true);
    map_kind(ANON_RO, PROT_READ, MAP_PRIVATE, NULL, true);
    map_kind(SHARED, RW, MAP_SHARED, NULL, true);
    map_kind(FILE_PRIV, RW, MAP_PRIVATE, file, true);
    map_kind(FILE_SHARED, RW, MAP_SHARED, file, true);
    map_kind(FILE_RO, PROT_READ, MAP_SHARED, file, false);
    map_kind(LOCKED, RW, MAP_PRIVATE | MAP_LOCKED, NULL, true);
    map_kind(DROPPABLE, RW, 0x08, NULL, true);
    assert_int_equal(
        mm_map_special(box.mm, va(at(SPECIAL)), 4 * K,
                       VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_DONTEXPAND,
                       VMA_VDSO),
        0);
}

#define BIT_OF(kind) (1u << (kind))
#define ALL          (BIT_OF(KINDS) - 1)

/* For every advice: the kinds that refuse it with EINVAL, and those that refuse otherwise. */
static void every_advice_accepts_the_kinds_linux_accepts(void **state)
{
    (void)state;
    const unsigned files = BIT_OF(FILE_PRIV) | BIT_OF(FILE_SHARED) | BIT_OF(FILE_RO);
    const unsigned shared = BIT_OF(SHARED) | BIT_OF(FILE_SHARED) | BIT_OF(FILE_RO);
    const unsigned special = BIT_OF(SPECIAL), locked = BIT_OF(LOCKED);
    const unsigned not_anon = files | BIT_OF(SHARED) | special;
    const unsigned unwritable = BIT_OF(ANON_NONE) | BIT_OF(ANON_RO) | BIT_OF(FILE_RO) | special;
    const struct {
        int advice;
        unsigned einval, other;
        int error; /* of the kinds in `other` */
    } row[] = {
        {MADV_NORMAL, 0, 0, 0},
        {MADV_RANDOM, 0, 0, 0},
        {MADV_SEQUENTIAL, 0, 0, 0},
        {MADV_WILLNEED, 0, 0, 0},
        {MADV_DONTNEED, locked, 0, 0},
        {LOCKED_DONTNEED, 0, 0, 0},
        {MADV_FREE, locked | not_anon, 0, 0},
        {MADV_REMOVE, ALL & ~(shared | files), BIT_OF(FILE_RO) | BIT_OF(FILE_PRIV), -EACCES},
        {MADV_DONTFORK, 0, 0, 0},
        {MADV_DOFORK, 0, 0,
         0}, /* [vvar] is refused, for VM_IO; [vdso] is not: observed on 6.18.44 */
        {MADV_WIPEONFORK, not_anon & ~special, 0, 0},
        {MADV_KEEPONFORK, BIT_OF(DROPPABLE), 0, 0},
        {MADV_DONTDUMP, 0, 0, 0},
        {MADV_DODUMP, special | BIT_OF(DROPPABLE), 0, 0},
        {MADV_HUGEPAGE, 0, 0, 0}, /* of [vdso], too: observed on 6.18.44 */
        {MADV_NOHUGEPAGE, 0, 0, 0},
        {MADV_MERGEABLE, 0, 0, 0},
        {MADV_UNMERGEABLE, 0, 0, 0},
        {MADV_COLD, locked, 0, 0},
        {MADV_PAGEOUT, locked, 0, 0},
        {MADV_POPULATE_READ, BIT_OF(ANON_NONE), 0, 0},
        {MADV_POPULATE_WRITE, unwritable, 0, 0},
        {102, locked | special, 0, 0},
        {103, special, 0, 0},
        {HWPOISON, ALL, 0, 0},
        {SOFT_OFFLINE, ALL, 0, 0},
        {77, ALL, 0, 0},
        {-1, ALL, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        for (unsigned kind = 0; kind < KINDS; kind++) {
            if (kind == SPECIAL && row[i].advice == MADV_WIPEONFORK)
                continue; /* the model's [vdso] has no file; nobody wipes it */
            map_kinds();
            int want = row[i].other & BIT_OF(kind)    ? row[i].error
                       : row[i].einval & BIT_OF(kind) ? -EINVAL
                                                      : 0;
            int got = mm_madvise(box.mm, va(at(kind)), 4 * K, row[i].advice);
            if (got != want)
                fail_msg("advice %d of kind %u: %d, not %d", row[i].advice, kind, got, want);
        }
}

/* madvise02: EINVAL, ENOMEM */
static void arguments_are_checked_in_order(void **state)
{
    (void)state;
    map_anon(&box, BASE, 2, RW);
    const struct {
        uint64_t start, len;
        int advice, result;
    } row[] = {
        {BASE, 0, 77, -EINVAL}, /* the advice comes before the length */
        {BASE, 0, MADV_NORMAL, 0},
        {BASE + 1, 0, MADV_NORMAL, -EINVAL},
        {BASE + 1, K, MADV_NORMAL, -EINVAL},
        {BASE, UINT64_MAX, MADV_NORMAL, -EINVAL}, /* rounds to 0 */
        {BASE, UINT64_MAX - BASE, MADV_NORMAL, -EINVAL},
        {BASE - K, K, MADV_NORMAL, -ENOMEM},
        {BASE, 3 * K, MADV_DONTNEED, -ENOMEM},
        {BASE, 3 * K, MADV_POPULATE_READ, -ENOMEM},
        {BASE, K + 1, MADV_DONTNEED, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        assert_int_equal(mm_madvise(box.mm, va(row[i].start), row[i].len, row[i].advice),
                         row[i].result);
}

static void holes_do_not_stop_the_work(void **state)
{
    (void)state;
    map_anon(&box, BASE, 2, RW);
    map_anon(&box, BASE + 3 * K, 2, RW);
    touch_pages(&box, BASE, 2, true);
    touch_pages(&box, BASE + 3 * K, 2, true);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 5 * K, MADV_DONTNEED), -ENOMEM);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 0);
}

/* madv_populate: holes, prot_read, prot_write, populate_read, populate_write */
static void populate_touches_as_a_read_or_a_write(void **state)
{
    (void)state;
    map_anon(&box, BASE, 4, RW);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 4 * K, MADV_POPULATE_READ), 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 0); /* zero pages */
    assert_int_equal(counters(&box).minflt, 4);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 4 * K, MADV_POPULATE_WRITE), 0);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 4);
    assert_int_equal(touch_pages(&box, BASE, 4, true), 0);
    map_full(&box, BASE + 8 * K, 20 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0);
    assert_int_equal(mm_madvise(box.mm, va(BASE + 8 * K), 20 * K, MADV_POPULATE_READ), -EFAULT);
}

/* process_madv: flags, a partial success, another process */
static void process_madvise_returns_the_bytes_done(void **state)
{
    (void)state;
    struct mm *other;
    map_anon(&box, BASE, 8, RW);
    touch_pages(&box, BASE, 8, true);
    struct mm_iovec v[3] = {{va(BASE), 2 * K}, {va(BASE + 4 * K), K}, {va(BASE + 100 * K), K}};
    assert_int_equal(mm_process_madvise(box.mm, box.mm, v, 2, MADV_DONTNEED, 0), 3 * K);
    assert_int_equal(counters(&box).rss[MM_ANONPAGES], 5);
    assert_int_equal(mm_process_madvise(box.mm, box.mm, v, 3, MADV_DONTNEED, 0), 3 * K);
    assert_int_equal(mm_process_madvise(box.mm, box.mm, v + 2, 1, MADV_DONTNEED, 0), -ENOMEM);
    assert_int_equal(mm_process_madvise(box.mm, box.mm, v, 0, MADV_DONTNEED, 0), 0);
    assert_int_equal(mm_process_madvise(box.mm, box.mm, v, 1, MADV_DONTNEED, 1), -EINVAL);
    assert_int_equal(mm_process_madvise(box.mm, NULL, v, 1, MADV_COLD, 0), -ESRCH);
    assert_int_equal(mm_fork(&other, box.mm), 0);
    assert_int_equal(mm_process_madvise(other, box.mm, v, 1, MADV_DONTNEED, 0), -EINVAL);
    assert_int_equal(mm_process_madvise(other, box.mm, v, 1, MADV_COLD, 0), -EPERM);
    struct mm_task t = *mm_task(other);
    t.caps = BIT(CAP_SYS_NICE);
    mm_set_task(other, &t);
    assert_int_equal(mm_process_madvise(other, box.mm, v, 1, MADV_COLD, 0), 2 * K);
    mm_close(other);
}

/* remap_file_pages02 */
static void remap_file_pages_maps_other_pages_of_the_same_file(void **state)
{
    (void)state;
    map_full(&box, BASE, 8 * K, RW, MAP_SHARED | MAP_FIXED, file, 0);
    map_anon(&box, BASE + 20 * K, 4, RW);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE), 2 * K, PROT_READ, 4, 0), -EINVAL);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE), K - 1, 0, 4, 0), -EINVAL);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE), 9 * K, 0, 4, 0), -EINVAL);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE + 20 * K), K, 0, 0, 0), -EINVAL);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE + 10 * K), K, 0, 0, 0), -EINVAL);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE), K, 0, UINT64_MAX, 0), -EINVAL);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE + 100), 2 * K, 0, 4, 0), 0);
    const struct vma *v = mm_vma_at(box.mm, va(BASE));
    assert_int_equal(v->pgoff, 4);
    assert_int_equal(v->end.v, BASE + 2 * K);
    assert_int_equal(counters(&box).rss[MM_FILEPAGES] > 0, true); /* populated */
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE), 2 * K, 0, 0, 0), 0);
    assert_string_equal(draw(&box, BASE, 8), "Wwwwwwww"); /* linear again: merged */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_advice_accepts_the_kinds_linux_accepts),
        TEST(arguments_are_checked_in_order),
        TEST(holes_do_not_stop_the_work),
        TEST(populate_touches_as_a_read_or_a_write),
        TEST(process_madvise_returns_the_bytes_done),
        TEST(remap_file_pages_maps_other_pages_of_the_same_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
