/* links: mm */
/* test_swap_bytes.c: a machine of 64 MiB with 256 MiB of swap in a real file runs working sets of
 * 200 MiB, byte for byte like an array that never swaps.
 *
 * Reads and writes of random places and lengths go to the model (through the kernel's copy, which
 * faults pages in as a program would) and to a plain array; what is read must be the same. Between
 * them: forks whose children write, MADV_FREE, DONTNEED, PAGEOUT, WILLNEED, COLD, munmap and mmap,
 * swapoff of a second area. At the end every page is read.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define AT               UINT64_C(0x200000000)
#define PAGES            UINT64_C(51200) /* 200 MiB */
#define MADV_COLLAPSE_NR 25              /* newer than some C libraries' headers */

static unsigned thp = 2; /* thp.enabled: never */

struct twin {
    struct box b;
    uint8_t *bytes;  /* what the pages must hold */
    char path[64];   /* swap file */
    uint64_t now_ms; /* virtual time */
};

static void twin_open(struct twin *t, enum conf_swap_device device, uint64_t pages)
{
    int fd;
    memset(t, 0, sizeof(*t));
    strcpy(t->path, "/tmp/pw-swap-XXXXXX");
    fd = mkstemp(t->path);
    assert_true(fd >= 0);
    close(fd);
    conf_init(&t->b.conf);
    t->b.conf.phys_size = MIB(64);
    t->b.conf.phys_kernel_image = MIB(8);
    t->b.conf.phys_contents = 1;
    t->b.conf.thp_enabled = thp;
    t->b.conf.swap_size = MIB(256);
    t->b.conf.swap_device = device;
    strcpy(t->b.conf.swap_file, t->path);
    assert_int_equal(arch_outbox_open(&t->b.out), 0);
    assert_int_equal(phys_open(&t->b.phys, &t->b.conf, &t->b.stats), 0);
    assert_int_equal(mm_sys_open(&t->b.sys, &t->b.conf, t->b.phys, &t->b.stats, &t->b.out), 0);
    assert_int_equal(mm_open(&t->b.mm, t->b.sys), 0);
    t->bytes = calloc(pages, K);
    assert_non_null(t->bytes);
}

static void twin_close(struct twin *t)
{
    assert_int_equal(mm_audit(t->b.mm), 0);
    mm_close(t->b.mm);
    mm_sys_close(t->b.sys);
    assert_int_equal(phys_owner_frames(t->b.phys, FRAME_USER_ANON), 0);
    assert_int_equal(phys_owner_frames(t->b.phys, FRAME_SHMEM), 0);
    assert_int_equal(phys_audit(t->b.phys), 0);
    phys_close(t->b.phys);
    arch_outbox_close(&t->b.out);
    unlink(t->path);
    free(t->bytes);
}

static void put(struct twin *t, struct mm *m, uint64_t at, uint64_t len, uint64_t seed)
{
    uint8_t buf[3 * 4096];
    for (uint64_t i = 0; i < len; i++)
        buf[i] = (uint8_t)(mix64(seed + i / 8) >> (i % 8 * 8));
    assert_int_equal(mm_copy_to_user(m, va(AT + at), buf, len), (int64_t)len);
    if (m == t->b.mm)
        memcpy(t->bytes + at, buf, len);
    t->b.out.n = 0;
}

static void check(struct twin *t, const struct mm *m, uint64_t at, uint64_t len)
{
    uint8_t buf[3 * 4096];
    assert_int_equal(mm_copy_from_user((struct mm *)m, buf, va(AT + at), len), (int64_t)len);
    if (memcmp(buf, t->bytes + at, len) != 0)
        fail_msg("bytes differ at page %llu", (unsigned long long)(at / K));
    t->b.out.n = 0;
}

static void check_all(struct twin *t, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++)
        check(t, t->b.mm, i * K, K);
}

static void random_work(struct twin *t, uint64_t pages, uint64_t steps, struct rng *r)
{
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t len = 1 + rng_below(r, 3 * K - 1), at = rng_below(r, pages * K - len);
        if (rng_below(r, 2))
            put(t, t->b.mm, at, len, rng_next(r));
        else
            check(t, t->b.mm, at, len);
    }
}

static void a_working_set_three_times_as_large_as_memory(enum conf_swap_device device, bool shared)
{
    struct twin t;
    struct rng r = {7 + device};
    twin_open(&t, device, PAGES);
    map_full(&t.b, AT, PAGES * K, RW,
             (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    for (uint64_t i = 0; i < PAGES; i++) {
        uint8_t zero = 0;
        if (i % 5 != 0)
            put(&t, t.b.mm, i * K + i % 4000, 64, i);
        else /* stays zero, but is written */
            assert_int_equal(mm_copy_to_user(t.b.mm, va(AT + i * K), &zero, 1), 1);
    }
    random_work(&t, PAGES, 20000, &r);
    check_all(&t, PAGES);
    assert_int_equal(STAT(&t.b.stats, oom_kill), 0);
    assert_true(STAT(&t.b.stats, pswpout) > PAGES / 2);
    assert_true(STAT(&t.b.stats, swpout_zero) > 0);
    assert_true(counters(&t.b).rss[MM_ANONPAGES] < MIB(64) / K);
    twin_close(&t);
}

static void two_hundred_mib_on_an_ssd(void **state)
{
    (void)state;
    a_working_set_three_times_as_large_as_memory(SWAP_SSD, false);
}

static void two_hundred_mib_on_a_disk_of_shared_memory(void **state)
{
    (void)state;
    a_working_set_three_times_as_large_as_memory(SWAP_DISK, true);
}

static void two_hundred_mib_of_huge_pages(void **state)
{
    (void)state;
    thp = 0; /* always */
    a_working_set_three_times_as_large_as_memory(SWAP_SSD, false);
    thp = 2;
}

static void two_hundred_mib_in_compressed_memory(void **state)
{
    (void)state;
    a_working_set_three_times_as_large_as_memory(SWAP_RAM, false);
}

/* -- calls in between -------------------------------------------------------------------------- */

#define FEW 6000u /* pages of the mixed test: the machine below has 16 MiB */

/* forget: what MADV_DONTNEED leaves of private memory. */
static void forget(struct twin *t, uint64_t page, uint64_t n)
{
    assert_int_equal(mm_madvise(t->b.mm, va(AT + page * K), n * K, MADV_DONTNEED), 0);
    memset(t->bytes + page * K, 0, n * K);
}

static void remap(struct twin *t, uint64_t page, uint64_t n)
{
    assert_int_equal(mm_munmap(t->b.mm, va(AT + page * K), n * K), 0);
    assert_true(map_anon(&t->b, AT + page * K, n, RW) > 0);
    memset(t->bytes + page * K, 0, n * K);
}

/* with_child: a child sees what was, whatever the parent writes, and its writes are its own. */
static void with_child(struct twin *t, struct rng *r)
{
    struct mm *child;
    uint64_t page = rng_below(r, FEW - 40);
    uint8_t before[40 * 4096];
    memcpy(before, t->bytes + page * K, sizeof(before));
    assert_int_equal(mm_fork(&child, t->b.mm), 0);
    random_work(t, FEW, 200, r);
    for (uint64_t i = 0; i < 20; i++)
        put(t, child, (page + 40 + i) % FEW * K, 100, rng_next(r));
    for (uint64_t i = 0; i < 40; i++) {
        uint8_t buf[4096];
        bool childs = false;
        for (uint64_t k = 0; k < 20; k++)
            childs |= (page + 40 + k) % FEW == page + i;
        assert_int_equal(mm_copy_from_user(child, buf, va(AT + (page + i) * K), K), K);
        if (!childs)
            assert_memory_equal(buf, before + i * K, K);
    }
    mm_close(child);
}

/* there_and_back moves a range away and back: entries travel, pages stay. */
static void there_and_back(struct twin *t, uint64_t page, uint64_t n)
{
    vaddr home = va(AT + page * K), away = va(AT + GIB(4));
    const uint32_t flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    assert_int_equal(mm_mremap(t->b.mm, home, n * K, n * K, flags, away, false), away.v);
    assert_int_equal(mm_mremap(t->b.mm, away, n * K, n * K, flags, home, false), home.v);
}

static void random_reads(struct twin *t, uint64_t page, uint64_t n, struct rng *r)
{
    for (unsigned i = 0; i < 20; i++)
        check(t, t->b.mm, (page + rng_below(r, n)) * K, K);
}

static void random_call(struct twin *t, struct rng *r)
{
    static const int advice[] = {MADV_PAGEOUT,  MADV_COLD,       MADV_WILLNEED,   MADV_NORMAL,
                                 MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE_NR};
    uint64_t page = rng_below(r, FEW - 300), n = 1 + rng_below(r, 300);
    switch (rng_below(r, 12)) {
    case 0:
        forget(t, page, n);
        break;
    case 1:
        remap(t, page, n);
        break;
    case 2:
        with_child(t, r);
        break;
    case 3:
        there_and_back(t, page, n);
        break;
    case 4:
        mm_mprotect(t->b.mm, va(AT + page * K), n * K, PROT_READ);
        random_reads(t, page, n, r);
        mm_mprotect(t->b.mm, va(AT + page * K), n * K, RW);
        break;
    case 5:
        mm_mlock(t->b.mm, va(AT + page * K), n * K, 0);
        random_work(t, FEW, 50, r);
        mm_munlock(t->b.mm, va(AT + page * K), n * K);
        break;
    case 6:
        t->now_ms += 20000; /* khugepaged, kcompactd, the flusher */
        mm_tick(t->b.sys, t->now_ms);
        break;
    default:
        mm_madvise(t->b.mm, va(AT + page * K), n * K, advice[rng_below(r, ARRAY_LEN(advice))]);
    }
    t->b.out.n = 0;
}

/* PW_SWAP_SEEDS=n: so many seeds more. */
static void mixed(uint64_t first_seed, uint64_t last_seed)
{
    const char *more = getenv("PW_SWAP_SEEDS");
    last_seed += more ? strtoull(more, NULL, 0) : 0;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
        struct twin t;
        struct rng r = {seed};
        twin_open(&t, (enum conf_swap_device)(seed % 3), FEW);
        struct mm_swap_def second = {.path = "", .bytes = MIB(8), .prio = 3, .device = SWAP_SSD};
        assert_int_equal(mm_swapon(t.b.sys, &second), 1);
        map_anon(&t.b, AT, FEW, RW);
        map_anon(&t.b, AT + GIB(2), 9000, RW); /* a neighbour that keeps memory short */
        touch_pages(&t.b, AT + GIB(2), 9000, true);
        for (unsigned i = 0; i < 60; i++) {
            random_work(&t, FEW, 150, &r);
            random_call(&t, &r);
            if (i % 20 == 19)
                assert_int_equal(mm_audit(t.b.mm), 0);
            if (i == 40)
                assert_in_set(-mm_swapoff(t.b.sys, 1), ((uintmax_t[]){0, ENOMEM}), 2);
        }
        check_all(&t, FEW);
        assert_int_equal(STAT(&t.b.stats, oom_kill), 0);
        twin_close(&t);
    }
}

static void forks_and_calls_between_lose_no_byte(void **state)
{
    (void)state;
    mixed(1, 3);
}

static void nor_do_they_with_huge_pages(void **state)
{
    (void)state;
    thp = 0; /* always */
    mixed(4, 6);
    thp = 2;
}

/* A host that takes no byte more: every write beyond the first 64 KiB of a file is EFBIG. */
static void full_host(bool full)
{
    static struct rlimit before;
    if (full) {
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){16 * K, before.rlim_max});
    } else {
        setrlimit(RLIMIT_FSIZE, &before);
        signal(SIGXFSZ, SIG_DFL);
    }
}

/* mm/page_io.c, end_swap_bio_write: a page that could not be written stays in memory, dirty. */
static void pages_that_cannot_be_written_stay_in_memory(void **state)
{
    (void)state;
    struct twin t;
    twin_open(&t, SWAP_SSD, FEW);
    map_anon(&t.b, AT, FEW, RW);
    for (uint64_t i = 0; i < FEW; i++)
        put(&t, t.b.mm, i * K, 64, i + 1);
    full_host(true);
    assert_int_equal(mm_madvise(t.b.mm, va(AT), FEW * K, MADV_PAGEOUT), 0);
    uint64_t written = STAT(&t.b.stats, pswpout);
    assert_in_range(written, 0, 16);
    assert_int_equal(mm_audit(t.b.mm), 0);
    check_all(&t, FEW);
    full_host(false);
    assert_int_equal(mm_madvise(t.b.mm, va(AT), FEW * K, MADV_PAGEOUT), 0);
    assert_true(STAT(&t.b.stats, pswpout) > written); /* the next try succeeds */
    check_all(&t, FEW);
    twin_close(&t);
}

/* msync(2): EIO and the like are told once; the pages stay readable. */
static void msync_tells_of_file_pages_that_cannot_be_written(void **state)
{
    (void)state;
    struct twin t;
    char path[] = "/tmp/pw-file-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    twin_open(&t, SWAP_SSD, FEW);
    struct mm_file *f = mm_file(t.b.sys, 1, 2, 64 * K, "/some/file");
    mm_file_backing(f, fd);
    map_full(&t.b, AT, 64 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    put(&t, t.b.mm, 40 * K, 64, 1);
    full_host(true);
    assert_int_equal(mm_msync(t.b.mm, va(AT), 64 * K, MS_SYNC), -EFBIG);
    assert_int_equal(mm_msync(t.b.mm, va(AT), 64 * K, MS_SYNC), 0);
    check(&t, t.b.mm, 40 * K, 64);
    full_host(false);
    mm_munmap(t.b.mm, va(AT), 64 * K);
    mm_file_put(t.b.sys, f);
    twin_close(&t);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_mib_on_an_ssd),
        cmocka_unit_test(two_hundred_mib_on_a_disk_of_shared_memory),
        cmocka_unit_test(two_hundred_mib_in_compressed_memory),
        cmocka_unit_test(two_hundred_mib_of_huge_pages),
        cmocka_unit_test(forks_and_calls_between_lose_no_byte),
        cmocka_unit_test(nor_do_they_with_huge_pages),
        cmocka_unit_test(pages_that_cannot_be_written_stay_in_memory),
        cmocka_unit_test(msync_tells_of_file_pages_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
