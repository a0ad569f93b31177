/* links: proc */
/* What smaps, pagemap, kpageflags and kpagecount say of a page, on the model and on the running
 * kernel: short programs run on both, at the same addresses; then every mapping of theirs and every
 * page is compared. Not compared: frame numbers, and flags that depend on batches and on other
 * processes (LRU, ACTIVE, REFERENCED, IDLE, PRIVATE). */
#include "unit/mm/mm_fixture.h"

#include "diff/host_lock.h"
#include "diff/proc_scan.h"
#include "proc/gather.h"

#include <sys/syscall.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#define REGION UINT64_C(0x200000000000) /* nothing else of this process lies here */
#define SPAN   4096u                    /* pages looked at */
#define FLAGS                                                                                      \
    (BIT(KPF_UPTODATE) | BIT(KPF_DIRTY) | BIT(KPF_MMAP) | BIT(KPF_ANON) | BIT(KPF_SWAPBACKED) |    \
     BIT(KPF_HUGE) | BIT(KPF_THP) | BIT(KPF_COMPOUND_HEAD) | BIT(KPF_COMPOUND_TAIL) |              \
     BIT(KPF_ZERO_PAGE) | BIT(KPF_SWAPCACHE) | BIT(KPF_OWNER_2) | BIT(KPF_RESERVED))

enum op_kind { OP_END, OP_MAP, OP_UNMAP, OP_PROTECT, OP_READ, OP_WRITE, OP_ADVISE, OP_LOCK };
struct op {
    enum op_kind kind;
    uint32_t page, pages;
    int arg, flags; /* rights and MAP_ flags, or advice */
};
#define MAP(page, pages, prot)                                                                     \
    {                                                                                              \
        OP_MAP, page, pages, prot, MAP_PRIVATE                                                     \
    }
#define SHARED(page, pages, prot)                                                                  \
    {                                                                                              \
        OP_MAP, page, pages, prot, MAP_SHARED                                                      \
    }
#define UNMAP(page, pages)                                                                         \
    {                                                                                              \
        OP_UNMAP, page, pages, 0, 0                                                                \
    }
#define PROTECT(page, pages, p)                                                                    \
    {                                                                                              \
        OP_PROTECT, page, pages, p, 0                                                              \
    }
#define READ(page, pages)                                                                          \
    {                                                                                              \
        OP_READ, page, pages, 0, 0                                                                 \
    }
#define WRITE(page, pages)                                                                         \
    {                                                                                              \
        OP_WRITE, page, pages, 0, 0                                                                \
    }
#define ADVISE(page, pages, a)                                                                     \
    {                                                                                              \
        OP_ADVISE, page, pages, a, 0                                                               \
    }
#define LOCK(page, pages)                                                                          \
    {                                                                                              \
        OP_LOCK, page, pages, 0, 0                                                                 \
    }

static void real_op(const struct op *o)
{
    char *at = (char *)(REGION + o->page * K);
    const int flags = o->flags | MAP_ANONYMOUS | MAP_FIXED;
    if (o->kind == OP_MAP)
        assert_ptr_equal(mmap(at, o->pages * K, o->arg, flags, -1, 0), at);
    else if (o->kind == OP_UNMAP)
        assert_int_equal(munmap(at, o->pages * K), 0);
    else if (o->kind == OP_PROTECT)
        assert_int_equal(mprotect(at, o->pages * K, o->arg), 0);
    else if (o->kind == OP_ADVISE)
        assert_int_equal(madvise(at, o->pages * K, o->arg), 0);
    else if (o->kind == OP_LOCK)
        assert_int_equal(syscall(SYS_mlock, at, o->pages * K),
                         0); /* mlock() does nothing under asan */
    for (uint32_t i = 0; i < o->pages && o->kind == OP_READ; i++)
        (void)*(volatile char *)(at + i * K);
    for (uint32_t i = 0; i < o->pages && o->kind == OP_WRITE; i++)
        *(volatile char *)(at + i * K) = 1;
}

static void model_op(struct box *b, const struct op *o)
{
    uint64_t at = REGION + o->page * K, len = o->pages * K;
    const uint32_t flags = (uint32_t)o->flags | MAP_ANONYMOUS | MAP_FIXED;
    if (o->kind == OP_MAP)
        assert_int_equal(map_full(b, at, len, (uint32_t)o->arg, flags, NULL, 0), at);
    else if (o->kind == OP_UNMAP)
        assert_int_equal(mm_munmap(b->mm, va(at), len), 0);
    else if (o->kind == OP_PROTECT)
        assert_int_equal(mm_mprotect(b->mm, va(at), len, (uint32_t)o->arg), 0);
    else if (o->kind == OP_ADVISE)
        assert_int_equal(mm_madvise(b->mm, va(at), len, o->arg), 0);
    else if (o->kind == OP_LOCK)
        assert_int_equal(mm_mlock(b->mm, va(at), len, 0), 0);
    for (uint32_t i = 0; i < o->pages && (o->kind == OP_READ || o->kind == OP_WRITE); i++)
        touch(b, at + i * K, o->kind == OP_WRITE);
}

/* -- the running kernel's answers ---------------------------------------------------------------- */

struct page_words {
    uint64_t pagemap, flags, count;
};

static bool words_at(const char *path, uint64_t index, uint64_t *v, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : pread(fd, v, n * 8, (off_t)(index * 8));
    if (fd >= 0)
        close(fd);
    return got == (ssize_t)(n * 8);
}

/* read_pages fills in what the kernel says of every page of the region; false without the right to
 * see frame numbers. */
static bool read_pages(struct page_words *pages)
{
    static uint64_t map[SPAN];
    if (!words_at("/proc/self/pagemap", REGION / K, map, SPAN))
        return false;
    for (uint32_t i = 0; i < SPAN; i++) {
        pages[i] = (struct page_words){.pagemap = map[i]};
        uint64_t n = map[i] & (BIT(PM_PFRAME_BITS) - 1);
        if ((map[i] & PM_PRESENT) &&
            (n == 0 || !words_at("/proc/kpageflags", n, &pages[i].flags, 1) ||
             !words_at("/proc/kpagecount", n, &pages[i].count, 1)))
            return false;
    }
    return true;
}

/* -- comparing ----------------------------------------------------------------------------------- */

static void model_page(struct box *b, uint32_t i, struct page_words *ret)
{
    *ret = (struct page_words){.pagemap = proc_pagemap_word(b->mm, va(REGION + i * K))};
    if (!(ret->pagemap & PM_PRESENT))
        return;
    pfn n = {ret->pagemap & (BIT(PM_PFRAME_BITS) - 1)};
    ret->flags = proc_pageflags_word(b->phys, n);
    ret->count = proc_pagecount_word(b->phys, n);
}

static void compare_pages(struct box *b, const struct page_words *real)
{
    for (uint32_t i = 0; i < SPAN; i++) {
        struct page_words m, r = real[i];
        model_page(b, i, &m);
        uint64_t mask = r.pagemap & PM_PRESENT ? ~(BIT(PM_PFRAME_BITS) - 1) : UINT64_MAX;
        if (((r.pagemap ^ m.pagemap) & mask) || ((r.flags ^ m.flags) & FLAGS) || r.count != m.count)
            fail_msg("page %u: kernel pagemap %#" PRIx64 " flags %#" PRIx64 " count %" PRIu64
                     ", model %#" PRIx64 " %#" PRIx64 " %" PRIu64,
                     i, r.pagemap & mask, r.flags & FLAGS, r.count, m.pagemap & mask,
                     m.flags & FLAGS, m.count);
    }
}

/* compare_maps prints the model's smaps of the region and compares the text. */
static void compare_maps(struct box *b, const char *real)
{
    struct sink out;
    sink_memory(&out);
    for (const struct vma *v = mm_vma_next(b->mm, va(0)); v; v = v->next) {
        struct proc_map m;
        struct proc_smaps s;
        proc_map_of(b->mm, v, &m);
        proc_smaps_of(b->mm, v, &s);
        m.inode = 0; /* of a shared mapping: any number */
        proc_put_smaps(&out, &m, &s);
    }
    char *model = sink_take(&out);
    assert_string_equal(model, real);
    free(model);
}

/* smaps_of_region keeps the mappings of the region and hides inodes. */
static char *smaps_of_region(const char *text)
{
    struct sink out;
    struct proc_map m;
    struct proc_smaps s;
    sink_memory(&out);
    while (*text != '\0') {
        assert_true(scan_map(text, &m));
        text = scan_smaps(next_line(text), &s, &m.flags);
        assert_non_null(text);
        m.inode = 0;
        if (m.start >= REGION && m.start < REGION + SPAN * K)
            proc_put_smaps(&out, &m, &s);
        map_close(&m);
    }
    sink_bytes(&out, "", 0);
    return sink_take(&out);
}

/* numa_of_region keeps the lines of the region without active=: that depends on batches. */
static char *numa_of_region(const char *text)
{
    struct sink out;
    struct proc_numa_map m;
    sink_memory(&out);
    for (; *text != '\0'; text = next_line(text)) {
        assert_true(scan_numa_map(text, &m));
        m.active = m.pages;
        if (m.start >= REGION && m.start < REGION + SPAN * K)
            proc_put_numa_map(&out, &m);
        free((char *)m.policy);
        free((char *)m.path);
    }
    return sink_take(&out);
}

static void compare_numa_maps(struct box *b, const char *real)
{
    struct sink out;
    char policy[MPOL_STR_LEN];
    sink_memory(&out);
    for (const struct vma *v = mm_vma_next(b->mm, va(0)); v; v = v->next) {
        struct proc_numa_map m;
        mm_numa_policy(b->mm, v, policy, sizeof policy);
        proc_numa_map_of(b->mm, v, policy, &m);
        m.active = m.pages;
        proc_put_numa_map(&out, &m);
    }
    char *model = sink_take(&out);
    assert_string_equal(model, real);
    free(model);
}

static void run(const struct op *ops)
{
    static struct page_words pages[SPAN];
    struct box b;
    box_open(&b, MIB(256), false);
    for (const struct op *o = ops; o->kind != OP_END; o++) {
        real_op(o);
        model_op(&b, o);
    }
    mm_lru_drain(b.sys);
    char *text = read_text("/proc/self/smaps"), *real = smaps_of_region(text);
    char *numa_text = read_text("/proc/self/numa_maps"), *numa = numa_of_region(numa_text);
    bool seen = read_pages(pages);
    munmap((void *)REGION, SPAN * K);
    compare_maps(&b, real);
    compare_numa_maps(&b, numa);
    if (seen)
        compare_pages(&b, pages);
    else
        print_message("frame numbers are hidden: only smaps was compared\n");
    free(text);
    free(real);
    free(numa_text);
    free(numa);
    box_close(&b);
}

#define RUN(...)                                                                                   \
    (void)state;                                                                                   \
    const struct op ops[] = {__VA_ARGS__, {OP_END, 0, 0, 0, 0}};                                   \
    run(ops)

static void written_and_read_pages(void **state)
{
    RUN(MAP(0, 64, RW), WRITE(0, 8), READ(16, 8), READ(32, 4), WRITE(32, 2));
}

static void pages_without_rights_stay_present(void **state)
{
    RUN(MAP(0, 64, RW), WRITE(0, 16), READ(16, 4), PROTECT(4, 14, PROT_NONE),
        PROTECT(8, 2, PROT_READ));
}

static void discarded_and_unmapped_pages(void **state)
{
    RUN(MAP(0, 64, RW), WRITE(0, 32), ADVISE(8, 4, MADV_DONTNEED), UNMAP(16, 8), WRITE(9, 1));
}

static void guard_regions(void **state)
{
    RUN(MAP(0, 64, RW), WRITE(0, 8), ADVISE(4, 8, MADV_GUARD_INSTALL),
        ADVISE(6, 1, MADV_GUARD_REMOVE));
}

static void shared_memory(void **state)
{
    RUN(SHARED(0, 64, RW), WRITE(0, 8), READ(16, 8), UNMAP(2, 2), ADVISE(5, 1, MADV_DONTNEED));
}

static void read_only_shared_memory(void **state)
{
    RUN(SHARED(0, 16, PROT_READ), READ(0, 4), SHARED(32, 4, PROT_NONE));
}

static void locked_memory(void **state)
{
    RUN(MAP(0, 64, RW), WRITE(0, 4), LOCK(2, 8), MAP(100, 8, PROT_READ), LOCK(100, 4));
}

static void advice_shows_in_flags(void **state)
{
    RUN(MAP(0, 64, RW), ADVISE(0, 8, MADV_SEQUENTIAL), ADVISE(8, 8, MADV_RANDOM),
        ADVISE(16, 8, MADV_DONTFORK), ADVISE(24, 8, MADV_WIPEONFORK), ADVISE(32, 8, MADV_DONTDUMP),
        ADVISE(40, 8, MADV_NOHUGEPAGE), ADVISE(48, 8, MADV_HUGEPAGE));
}

static void a_huge_page(void **state)
{
    RUN(MAP(0, 2048, RW), ADVISE(0, 2048, MADV_HUGEPAGE), WRITE(512, 1), WRITE(1500, 1));
}

static void a_huge_page_cut_by_mprotect(void **state)
{
    RUN(MAP(0, 1024, RW), ADVISE(0, 1024, MADV_HUGEPAGE), WRITE(0, 1),
        PROTECT(100, 100, PROT_READ));
}

static void a_huge_page_partly_unmapped(void **state)
{
    RUN(MAP(0, 1024, RW), ADVISE(0, 1024, MADV_HUGEPAGE), WRITE(0, 1), UNMAP(300, 10));
}

static void the_huge_zero_page(void **state)
{
    RUN(MAP(0, 1024, RW), ADVISE(0, 1024, MADV_HUGEPAGE), READ(0, 1), READ(512, 1), WRITE(600, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read_pages),
        cmocka_unit_test(pages_without_rights_stay_present),
        cmocka_unit_test(discarded_and_unmapped_pages),
        cmocka_unit_test(guard_regions),
        cmocka_unit_test(shared_memory),
        cmocka_unit_test(read_only_shared_memory),
        cmocka_unit_test(locked_memory),
        cmocka_unit_test(advice_shows_in_flags),
        cmocka_unit_test(a_huge_page),
        cmocka_unit_test(a_huge_page_cut_by_mprotect),
        cmocka_unit_test(a_huge_page_partly_unmapped),
        cmocka_unit_test(the_huge_zero_page),
    };
    host_settings_stay();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
