/* test_failures.c: families of processes while every n-th allocation of frames fails: no result but
 * success or a lack of memory, no broken invariant, no frame lost. */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "policy/thp.h"

#define AT     UINT64_C(0x40000000)
#define PAGES  UINT64_C(1100) /* three page tables */
#define FAMILY 5u

struct world {
    struct box b;
    struct mm *mm[FAMILY]; /* NULL: no such process; 0 lives to the end */
    struct mm_file *file;
    struct rng rng;
};

static uint64_t pick(struct world *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

static unsigned pick_process(struct world *w)
{
    unsigned p = (unsigned)pick(w, FAMILY);
    while (!w->mm[p])
        p = (p + 1) % FAMILY;
    return p;
}

static void map(struct world *w, struct mm *m, uint64_t at, uint64_t len)
{
    static const uint32_t flags[] = {MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS,
                                     MAP_PRIVATE, MAP_SHARED};
    unsigned kind = (unsigned)pick(w, 4);
    struct mm_map map = {.addr = va(at),
                         .len = len,
                         .prot = pick(w, 8) ? RW : PROT_READ,
                         .flags = flags[kind] | MAP_FIXED,
                         .file = kind >= 2 ? w->file : NULL,
                         .file_writable = true,
                         .offset = kind >= 2 ? pick(w, 20) * K : 0};
    int64_t r = mm_mmap(m, &map);
    assert_true(r == (int64_t)at || r == -ENOMEM);
}

static void touch_some(struct world *w, struct mm *m, uint64_t at, uint64_t len)
{
    struct box as = w->b;
    as.mm = m;
    for (uint64_t a = at; a < at + len && a < at + 24 * K; a += K)
        touch(&as, a, pick(w, 3));
}

static void fork_or_exit(struct world *w, unsigned p)
{
    unsigned child = 0;
    while (child < FAMILY && w->mm[child])
        child++;
    if (child < FAMILY && pick(w, 3)) {
        int err = mm_fork(&w->mm[child], w->mm[p]);
        assert_true(err == 0 || err == -ENOMEM);
        if (err != 0)
            w->mm[child] = NULL;
    } else if (p != 0) {
        mm_close(w->mm[p]);
        w->mm[p] = NULL;
    }
}

static void move(struct world *w, struct mm *m, uint64_t at, uint64_t len)
{
    uint64_t to = AT + pick(w, PAGES) * K;
    int64_t r = mm_mremap(m, va(at), len, len, MREMAP_MAYMOVE | MREMAP_FIXED, va(to), false);
    assert_true(r == (int64_t)to || r == -ENOMEM || r == -EFAULT || r == -EINVAL);
}

static void step(struct world *w)
{
    unsigned p = pick_process(w);
    uint64_t first = pick(w, 5) ? pick(w, 40) : pick(w, PAGES), at = AT + first * K;
    uint64_t len = (1 + pick(w, pick(w, 5) ? 8 : PAGES - first)) * K;
    struct mm *m = w->mm[p];
    static const int advice[] = {MADV_DONTNEED, MADV_PAGEOUT, MADV_HUGEPAGE, MADV_FREE};
    switch (pick(w, 10)) {
    case 0:
        map(w, m, at, len);
        break;
    case 1:
        mm_munmap(m, va(at), min_u64(len, 8 * K));
        break;
    case 2:
        mm_mprotect(m, va(at), len, pick(w, 3) ? RW : PROT_NONE);
        break;
    case 3:
        move(w, m, at, len);
        break;
    case 4:
        mm_madvise(m, va(at), len, advice[pick(w, 4)]);
        break;
    case 5:
        fork_or_exit(w, p);
        break;
    case 6:
        mm_file_resize(w->b.sys, w->file, pick(w, 40 * K));
        break;
    default:
        touch_some(w, m, at, len);
    }
    w->b.out.n = 0;
}

static void run(uint64_t seed)
{
    static struct world w;
    memset(&w, 0, sizeof(w));
    w.rng.state = seed;
    box_conf(&w.b, MIB(64));
    w.b.conf.thp_enabled = seed % 2 ? THP_ALWAYS : THP_MADVISE;
    w.b.conf.swap_size = MIB(16);
    box_start(&w.b);
    w.mm[0] = w.b.mm;
    w.file = mm_file(w.b.sys, 8, 1, 30 * K, seed % 3 ? "/data" : "/memfd:x");
    for (unsigned i = 0; i < 300; i++) {
        phys_fail_every(w.b.phys, pick(&w, 3) ? 1 + pick(&w, 12) : 0);
        step(&w);
        phys_fail_every(w.b.phys, 0);
        if (i % 10 == 9)
            assert_int_equal(mm_audit(w.b.mm), 0);
    }
    for (unsigned p = 1; p < FAMILY; p++)
        if (w.mm[p])
            mm_close(w.mm[p]);
    mm_file_put(w.b.sys, w.file);
    box_close(&w.b);
}

static void a_lack_of_memory_anywhere_breaks_nothing(void **state)
{
    const char *only = getenv("PW_SEED"), *count = getenv("PW_SEQUENCES");
    uint64_t first = only ? strtoull(only, NULL, 0) : 1;
    uint64_t n = only ? 1 : count ? strtoull(count, NULL, 0) : 40;
    (void)state;
    for (uint64_t seed = first; seed < first + n; seed++) {
        if (only || count)
            print_message("seed %llu\n", (unsigned long long)seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lack_of_memory_anywhere_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
