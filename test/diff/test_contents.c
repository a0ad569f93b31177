/* links: mm */
/* test_contents.c: the bytes programs see, with phys.contents, against a naive oracle.
 *
 * Up to FAMILY processes that fork from each other map, unmap, move, protect, discard, truncate and
 * punch anonymous memory, files and shared memory; random bytes are stored and loaded through the
 * page tables. Counts of bytes copied (a copy ends where a fault does) and the bytes themselves must
 * agree; at intervals every page of every process is compared, and what msync wrote to the files.
 *
 * PW_SEQUENCES=n sequences, PW_SEED=s only that one. Odd seeds have transparent huge pages, the last
 * two of each four a swap file and so little memory that pages go there unasked, too. */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "policy/thp.h"
#include "ref/ref_bytes.h"

#include <unistd.h>

#define BASE      UINT64_C(0x10000000)
#define FAMILY    5u
#define FILES     4u  /* 0, 1: on disk; 2, 3: in memory */
#define ANON_MAX  40u /* shared anonymous mappings of one sequence */
#define ROOM      64u /* pages a file may grow to */
#define STEPS     400u
#define SEQUENCES 16u

struct world {
    struct box b;
    uint64_t pages;        /* of the arena */
    struct mm *mm[FAMILY]; /* NULL: no such process */
    struct rb_space space[FAMILY];
    struct mm_file *file[FILES];
    int fd[FILES]; /* of the host; -1 in memory */
    struct rb_file rb[FILES + ANON_MAX];
    unsigned anons;
    struct rng rng;
    uint64_t seed;
    unsigned step;
};

static uint64_t pick(struct world *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

static void same(const struct world *w, int64_t have, int64_t want)
{
    if (have != want)
        print_error("PW_SEED=%llu, step %u:\n", (unsigned long long)w->seed, w->step);
    assert_int_equal(have, want);
}

/* -- opening ---------------------------------------------------------------------------------- */

static int host_file(uint64_t size)
{
    char path[] = "/tmp/pw-contents-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && unlink(path) == 0 && ftruncate(fd, (off_t)size) == 0);
    return fd;
}

static void open_file(struct world *w, unsigned i)
{
    uint64_t size = 1 + pick(w, 12 * K);
    struct rb_file *rb = &w->rb[i];
    *rb = (struct rb_file){.memory = i >= 2, .size = size, .room = ROOM, .live = true};
    rb->bytes = calloc(ROOM, K);
    w->fd[i] = -1;
    w->file[i] = mm_file(w->b.sys, 8, i, size, i >= 2 ? "/memfd:x (deleted)" : "/data");
    if (i >= 2)
        return;
    w->fd[i] = host_file(size);
    for (uint64_t k = 0; k < size; k++)
        rb->bytes[k] = (uint8_t)pick(w, 256);
    assert_int_equal(pwrite(w->fd[i], rb->bytes, size, 0), (ssize_t)size);
    mm_file_backing(w->file[i], w->fd[i]);
}

static void world_open(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    w->seed = seed;
    w->rng.state = seed;
    bool huge = seed % 2, swap = seed % 4 >= 2;
    w->pages = swap ? 5000 : huge ? 2000 : 48;
    box_conf(&w->b, swap ? MIB(32) : MIB(128));
    w->b.conf.phys_kernel_image = MIB(1);
    w->b.conf.phys_contents = true;
    if (swap) {
        snprintf(w->b.conf.swap_file, sizeof(w->b.conf.swap_file), "/tmp/pw-contents-swap-%d",
                 (int)getpid());
        w->b.conf.swap_size = MIB(128);
    }
    w->b.conf.thp_enabled = huge ? THP_ALWAYS : THP_NEVER;
    box_start(&w->b);
    w->mm[0] = w->b.mm;
    rb_open(&w->space[0], w->pages);
    for (unsigned i = 0; i < FILES; i++)
        open_file(w, i);
}

static void world_close(struct world *w)
{
    for (unsigned p = 1; p < FAMILY; p++)
        if (w->mm[p])
            mm_close(w->mm[p]);
    for (unsigned p = 0; p < FAMILY; p++)
        if (w->space[p].page)
            rb_close(&w->space[p]);
    for (unsigned i = 0; i < FILES; i++) {
        mm_file_put(w->b.sys, w->file[i]);
        if (w->fd[i] >= 0)
            close(w->fd[i]);
    }
    for (unsigned i = 0; i < FILES + w->anons; i++)
        free(w->rb[i].bytes);
    box_close(&w->b);
    if (w->b.conf.swap_size > 0)
        unlink(w->b.conf.swap_file);
}

/* -- steps ------------------------------------------------------------------------------------- */

struct range {
    unsigned p;        /* process */
    uint64_t first, n; /* pages */
    vaddr at;
    uint64_t bytes;
};

static unsigned pick_process(struct world *w)
{
    unsigned p = (unsigned)pick(w, FAMILY);
    while (!w->mm[p])
        p = (p + 1) % FAMILY;
    return p;
}

/* pick_range: mostly small ones in a small place, so that steps meet; some as large as the arena. */
static struct range pick_range(struct world *w)
{
    struct range r = {.p = pick_process(w)};
    bool wide = pick(w, 5) == 0;
    r.first = pick(w, wide ? w->pages : 40);
    r.n = 1 + pick(w, wide ? w->pages - r.first : 8);
    r.at = va(BASE + r.first * K);
    r.bytes = r.n * K;
    return r;
}

/* What it takes away must come back by and by: only small parts of the arena go. */
static struct range pick_small(struct world *w)
{
    struct range r = pick_range(w);
    r.n = min_u64(r.n, 12);
    r.bytes = r.n * K;
    return r;
}

/* all says whether every page of a range is one of the kinds (a bit each). */
static bool all(const struct world *w, const struct range *r, unsigned kinds)
{
    for (uint64_t i = 0; i < r->n; i++)
        if (!(kinds >> w->space[r->p].page[r->first + i].kind & 1))
            return false;
    return true;
}

#define MAPPED (1u << RB_ANON | 1u << RB_PRIVATE | 1u << RB_SHARED)

static void do_map(struct world *w)
{
    static const uint32_t prots[] = {PROT_NONE, PROT_READ, RW};
    struct range r = pick_range(w);
    struct rb_page p = {.prot = pick(w, 8) ? RB_WRITE : (enum rb_prot)pick(w, 2)};
    struct mm_map map = {.addr = r.at,
                         .len = r.bytes,
                         .prot = prots[p.prot],
                         .flags = MAP_FIXED,
                         .file_writable = true};
    unsigned what = (unsigned)pick(w, 6);
    if (what < 3 || (what == 3 && w->anons == ANON_MAX)) {
        p.kind = RB_ANON;
        map.flags |= MAP_PRIVATE | MAP_ANONYMOUS;
    } else if (what == 3) {
        p.kind = RB_SHARED;
        p.file = &w->rb[FILES + w->anons++];
        *p.file = (struct rb_file){.memory = true, .size = r.bytes, .room = r.n};
        p.file->bytes = calloc(r.n, K);
        map.flags |= MAP_SHARED | MAP_ANONYMOUS;
    } else {
        unsigned f = (unsigned)pick(w, FILES);
        p.kind = what == 4 ? RB_PRIVATE : RB_SHARED;
        p.file = &w->rb[f];
        p.pgoff = pick(w, 6);
        map.file = w->file[f];
        map.offset = p.pgoff * K;
        map.flags |= what == 4 ? MAP_PRIVATE : MAP_SHARED;
    }
    same(w, mm_mmap(w->mm[r.p], &map), (int64_t)r.at.v);
    rb_map(&w->space[r.p], r.first, r.n, &p);
}

/* map_all: the first process begins with anonymous memory everywhere. */
static void map_all(struct world *w)
{
    struct rb_page p = {.kind = RB_ANON, .prot = RB_WRITE};
    map_anon(&w->b, BASE, w->pages, RW);
    rb_map(&w->space[0], 0, w->pages, &p);
}

static void do_unmap(struct world *w)
{
    struct range r = pick_small(w);
    struct rb_page hole = {0};
    same(w, mm_munmap(w->mm[r.p], r.at, r.bytes), 0);
    rb_map(&w->space[r.p], r.first, r.n, &hole);
}

static void do_protect(struct world *w)
{
    static const uint32_t prots[] = {PROT_NONE, PROT_READ, RW};
    struct range r = pick_range(w);
    enum rb_prot prot = pick(w, 3) ? RB_WRITE : (enum rb_prot)pick(w, 3);
    if (!all(w, &r, MAPPED))
        return;
    same(w, mm_mprotect(w->mm[r.p], r.at, r.bytes, prots[prot]), 0);
    for (uint64_t i = 0; i < r.n; i++)
        w->space[r.p].page[r.first + i].prot = prot;
}

static void do_move(struct world *w)
{
    struct range r = pick_small(w);
    uint64_t to = pick(w, w->pages - r.n + 1);
    if (!all(w, &r, MAPPED) || (to < r.first + r.n && r.first < to + r.n))
        return;
    same(w,
         mm_mremap(w->mm[r.p], r.at, r.bytes, r.bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
                   va(BASE + to * K), false),
         (int64_t)(BASE + to * K));
    rb_move(&w->space[r.p], r.first, to, r.n);
}

static void do_discard(struct world *w)
{
    struct range r = pick_small(w);
    if (!all(w, &r, MAPPED))
        return;
    same(w, mm_madvise(w->mm[r.p], r.at, r.bytes, MADV_DONTNEED), 0);
    rb_dontneed(&w->space[r.p], r.first, r.n);
}

/* Advice that must not change a byte. */
static void do_pageout(struct world *w)
{
    struct range r = pick_range(w);
    if (!all(w, &r, MAPPED))
        return;
    same(w, mm_madvise(w->mm[r.p], r.at, r.bytes, pick(w, 4) ? MADV_PAGEOUT : MADV_COLD), 0);
}

/* Not of private file pages: locking copies them at once, and the oracle does not know. */
static void do_lock(struct world *w)
{
    struct range r = pick_range(w);
    if (r.n > 12 || !all(w, &r, 1u << RB_ANON | 1u << RB_SHARED))
        return;
    mm_mlock(w->mm[r.p], r.at, r.bytes, 0); /* may find rightless memory */
    same(w, mm_munlock(w->mm[r.p], r.at, r.bytes), 0);
}

static void do_remove(struct world *w)
{
    struct range r = pick_range(w);
    if (!all(w, &r, 1u << RB_SHARED))
        return;
    for (uint64_t i = 0; i < r.n; i++)
        if (!w->space[r.p].page[r.first + i].file->memory)
            return;
    same(w, mm_madvise(w->mm[r.p], r.at, r.bytes, MADV_REMOVE), 0);
    rb_remove(&w->space[r.p], r.first, r.n);
}

static void do_inherit(struct world *w)
{
    struct range r = pick_range(w);
    bool wipe = pick(w, 2), on = pick(w, 3) == 0;
    if (!all(w, &r, wipe ? 1u << RB_ANON : MAPPED))
        return;
    int advice = wipe ? (on ? MADV_WIPEONFORK : MADV_KEEPONFORK) : on ? MADV_DONTFORK : MADV_DOFORK;
    same(w, mm_madvise(w->mm[r.p], r.at, r.bytes, advice), 0);
    for (uint64_t i = 0; i < r.n; i++) {
        struct rb_page *p = &w->space[r.p].page[r.first + i];
        *(wipe ? &p->wipe : &p->dontfork) = on;
    }
}

static void do_resize(struct world *w)
{
    unsigned f = (unsigned)pick(w, FILES);
    uint64_t size = pick(w, 2) ? pick(w, 16) * K : pick(w, 16 * K);
    if (w->fd[f] >= 0)
        assert_int_equal(ftruncate(w->fd[f], (off_t)size), 0);
    mm_file_resize(w->b.sys, w->file[f], size);
    rb_resize(w->space, FAMILY, &w->rb[f], size);
}

static void do_fork(struct world *w)
{
    unsigned p = pick_process(w), child = 0;
    while (child < FAMILY && w->mm[child])
        child++;
    if (child == FAMILY)
        return;
    same(w, mm_fork(&w->mm[child], w->mm[p]), 0);
    rb_fork(&w->space[child], &w->space[p]);
}

static void do_exit(struct world *w)
{
    unsigned p = pick_process(w);
    if (p == 0) /* the fixture's own */
        return;
    mm_close(w->mm[p]);
    w->mm[p] = NULL;
    rb_close(&w->space[p]);
}

/* What msync wrote is what the file holds, and behind its end the page is clean. */
static void do_sync(struct world *w)
{
    static uint8_t disk[ROOM * K];
    struct range r = pick_range(w);
    if (!all(w, &r, 1u << RB_SHARED))
        return;
    same(w, mm_msync(w->mm[r.p], r.at, r.bytes, MS_SYNC), 0);
    rb_sync(&w->space[r.p], r.first, r.n);
    for (uint64_t i = 0; i < r.n; i++) {
        const struct rb_page *p = &w->space[r.p].page[r.first + i];
        uint64_t at = p->pgoff * K;
        if (p->file->memory || at >= p->file->size)
            continue;
        uint64_t len = min_u64(K, p->file->size - at);
        assert_int_equal(pread(w->fd[p->file - w->rb], disk, len, (off_t)at), (ssize_t)len);
        same(w, memcmp(disk, p->file->bytes + at, len), 0);
    }
}

static void store(struct world *w, unsigned p, uint64_t at, uint64_t len)
{
    static uint8_t bytes[MIB(20)];
    uint64_t seed = rng_next(&w->rng);
    len = min_u64(len, w->pages * K - at);
    for (uint64_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(seed >> i % 57);
    uint64_t want = rb_store(&w->space[p], at, bytes, len);
    same(w, mm_copy_to_user(w->mm[p], va(BASE + at), bytes, len), (int64_t)want);
}

static void do_store(struct world *w)
{
    struct range r = pick_range(w);
    store(w, r.p, r.first * K + pick(w, K), pick(w, 3) ? pick(w, 300) : pick(w, 12 * K));
}

/* do_fill stores to a whole range: with a wide one memory gets short. */
static void do_fill(struct world *w)
{
    struct range r = pick_range(w);
    store(w, r.p, r.first * K, r.bytes);
}

static void compare(struct world *w, unsigned p, uint64_t at, uint64_t len)
{
    static uint8_t have[16 * K], want[16 * K];
    uint64_t n = rb_load(&w->space[p], at, want, len);
    len = min_u64(len, w->pages * K - at);
    same(w, mm_copy_from_user(w->mm[p], have, va(BASE + at), len), (int64_t)n);
    same(w, memcmp(have, want, n), 0);
}

static void do_load(struct world *w)
{
    struct range r = pick_range(w);
    compare(w, r.p, r.first * K + pick(w, K), pick(w, 16 * K));
}

static void compare_all(struct world *w)
{
    for (unsigned p = 0; p < FAMILY; p++)
        for (uint64_t i = 0; w->mm[p] && i < w->pages; i++)
            compare(w, p, i * K, K);
    same(w, mm_audit(w->b.mm), 0);
}

static void do_step(struct world *w)
{
    static void (*const steps[])(struct world *) = {
        do_map,   do_map,   do_unmap, do_protect, do_move,  do_discard, do_remove,  do_inherit,
        do_fork,  do_fork,  do_exit,  do_resize,  do_sync,  do_store,   do_store,   do_store,
        do_store, do_store, do_store, do_store,   do_store, do_fill,    do_fill,    do_fill,
        do_fill,  do_lock,  do_load,  do_load,    do_load,  do_pageout, do_pageout, do_pageout,
    };
    steps[pick(w, ARRAY_LEN(steps))](w);
    w->b.out.n = 0;
}

static void random_families_see_the_oracles_bytes(void **state)
{
    const char *only = getenv("PW_SEED"), *count = getenv("PW_SEQUENCES");
    uint64_t first = only ? strtoull(only, NULL, 0) : 1;
    uint64_t n = only ? 1 : count ? strtoull(count, NULL, 0) : SEQUENCES;
    uint64_t swapped = 0, huge = 0, reused = 0;
    (void)state;
    for (uint64_t seed = first; seed < first + n; seed++) {
        static struct world w;
        world_open(&w, seed);
        map_all(&w);
        for (w.step = 0; w.step < STEPS; w.step++) {
            do_step(&w);
            if (w.step % 50 == 49)
                compare_all(&w);
        }
        swapped += STAT(&w.b.stats, pswpin);
        huge += STAT(&w.b.stats, thp_fault_alloc);
        reused += STAT(&w.b.stats, pgreuse);
        world_close(&w);
    }
    if (n >= SEQUENCES) /* or the sequences do not go where they should */
        assert_true(swapped > 10000 && huge > 20 && reused > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_families_see_the_oracles_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
