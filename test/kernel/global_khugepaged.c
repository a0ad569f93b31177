/* global_khugepaged.c: what khugepaged collapses, on the running kernel and on the model.
 *
 *   a child fills six times 2 MiB each in its own way, without huge pages ─► MADV_HUGEPAGE
 *   khugepaged, told to hurry, goes through all memory twice ─► what is there now?
 *
 * Ways: nothing, some or all pages written, pages of zeroes read, guards, pages shared with a child of
 * its own, read-only, locked, not used lately. The limits max_ptes_none, max_ptes_swap (guards count)
 * and max_ptes_shared change from sequence to sequence. Of every page must be equal: present, part of
 * a huge page, the zero page, its first byte; and AnonHugePages.
 *
 * It changes khugepaged's settings for the whole host while it runs, and puts them back on any exit.
 * Run by make check-kernel-global, under its lock. PW_SEED, PW_SEQUENCES: other sequences.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE      UINT64_C(0x200000000000)
#define HP        512u
#define PIECES    6u
#define PAGES     (PIECES * HP)
#define SEQUENCES 40
#define DIR       "/sys/kernel/mm/transparent_hugepage/khugepaged/"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* One of the 2 MiB. */
struct piece {
    unsigned first, written, stride; /* pages: from which, how many, how far apart */
    unsigned zeroes;                 /* read before that, from the last page down */
    unsigned guards;                 /* of the last pages, instead of what they were */
    unsigned shared;                 /* of the first pages, with the child of its own */
    bool read_only, locked;
};
struct sequence {
    struct piece piece[PIECES];
    bool forgotten; /* all accessed bits are cleared at the end */
    uint64_t none, swap, shared, to_scan;
};
struct seen {
    uint64_t huge_kb;
    uint8_t page[PAGES]; /* 1 present, 2 of a huge page, 4 zero page */
    uint8_t byte[PAGES];
};

/* -- sequences ----------------------------------------------------------------------------------- */

static unsigned pick(struct rng *r, unsigned n)
{
    return (unsigned)rng_below(r, n);
}

static unsigned about(struct rng *r, unsigned n)
{
    unsigned v = n + pick(r, 3);
    return v > 0 && v - 1 <= HP ? v - 1 : 0;
}

static struct piece gen_piece(struct rng *r, const struct sequence *q)
{
    struct piece p = {.stride = 1 + pick(r, 2)};
    unsigned how = pick(r, 8);
    p.written = how == 0  ? 0
                : how < 4 ? HP
                : how < 6 ? about(r, HP - (unsigned)q->none)
                          : 1 + pick(r, HP);
    if (p.written > HP / 2)
        p.stride = 1;
    if (p.written * p.stride < HP)
        p.first = pick(r, HP - p.written * p.stride);
    p.zeroes = pick(r, 3) ? 0 : pick(r, HP);
    p.guards = pick(r, 5) ? 0 : about(r, (unsigned)q->swap);
    p.shared = pick(r, 3) ? 0 : pick(r, 2) ? HP : about(r, (unsigned)q->shared);
    p.read_only = pick(r, 6) == 0;
    p.locked = pick(r, 8) == 0;
    return p;
}

static void gen(struct sequence *q, uint64_t seed)
{
    static const uint64_t none[] = {511, 511, 256, 0, 17}, swap[] = {64, 64, 0, 3},
                          shared[] = {256, 256, 0, 511, 9}, to_scan[] = {4096, 512, 100000};
    struct rng r = {seed};
    *q = (struct sequence){.none = none[pick(&r, 5)],
                           .swap = swap[pick(&r, 4)],
                           .shared = shared[pick(&r, 5)],
                           .to_scan = to_scan[pick(&r, 3)],
                           .forgotten = pick(&r, 6) == 0};
    for (unsigned i = 0; i < PIECES; i++)
        q->piece[i] = gen_piece(&r, q);
}

/* -- operations: b NULL: on the kernel ------------------------------------------------------------ */

static void fill(struct box *b, uint64_t page, uint8_t value)
{
    if (b)
        assert_int_equal(mm_copy_to_user(b->mm, va(BASE + page * K), &value, 1), 1);
    else
        *(volatile uint8_t *)(BASE + page * K) = value;
}

static void peek(struct box *b, uint64_t page)
{
    uint8_t value;
    if (b)
        assert_int_equal(mm_copy_from_user(b->mm, &value, va(BASE + page * K), 1), 1);
    else
        (void)*(volatile uint8_t *)(BASE + page * K);
}

static void advise(struct box *b, uint64_t page, uint64_t n, int advice)
{
    int err = n == 0 ? 0
              : b    ? mm_madvise(b->mm, va(BASE + page * K), n * K, advice)
                     : madvise((void *)(BASE + page * K), n * K, advice);
    assert_int_equal(err, 0);
}

static void prepare_piece(struct box *b, const struct piece *p, uint64_t at)
{
    for (unsigned i = 0; i < p->zeroes; i++)
        peek(b, at + HP - 1 - i);
    for (unsigned i = 0; i < p->written; i++)
        fill(b, at + p->first + i * p->stride, (uint8_t)(1 + i % 250));
    advise(b, at + HP - p->guards, p->guards, MADV_GUARD_INSTALL);
}

static void restrict_piece(struct box *b, const struct piece *p, uint64_t at)
{
    uint64_t a = BASE + at * K;
    if (p->read_only)
        assert_int_equal(b ? mm_mprotect(b->mm, va(a), HP * K, PROT_READ)
                           : mprotect((void *)a, HP * K, PROT_READ),
                         0);
    if (p->locked && b)
        mm_mlock(b->mm, va(a), HP * K, MLOCK_ONFAULT);
    else if (p->locked)
        mlock2((void *)a, HP * K, MLOCK_ONFAULT);
}

/* leave: what the child of its own gives up, so that only the first pages stay shared. */
static void leave(struct box *b, const struct sequence *q)
{
    for (unsigned i = 0; i < PIECES; i++)
        advise(b, i * HP + q->piece[i].shared, HP - q->piece[i].shared, MADV_DONTNEED);
}

static void prepare(struct box *b, const struct sequence *q)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (b)
        map_full(b, BASE, PAGES * K, RW, (uint32_t)flags, NULL, 0);
    else
        assert_true(mmap((void *)BASE, PAGES * K, RW, flags, -1, 0) != MAP_FAILED);
    advise(b, 0, PAGES, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < PIECES; i++)
        prepare_piece(b, &q->piece[i], i * HP);
}

static void offer(struct box *b, const struct sequence *q)
{
    for (unsigned i = 0; i < PIECES; i++)
        restrict_piece(b, &q->piece[i], i * HP);
    advise(b, 0, PAGES, MADV_HUGEPAGE);
}

/* -- the kernel ---------------------------------------------------------------------------------- */

static const char *const names[] = {"max_ptes_none", "max_ptes_swap", "max_ptes_shared",
                                    "pages_to_scan", "scan_sleep_millisecs"};
static uint64_t was[ARRAY_LEN(names)];
static pid_t owner;

static uint64_t get(const char *name)
{
    char path[128], text[32] = "";
    snprintf(path, sizeof(path), DIR "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    return strtoull(text, NULL, 10);
}

static bool put(const char *name, uint64_t value)
{
    char path[128], text[32];
    snprintf(path, sizeof(path), DIR "%s", name);
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;
    close(fd);
    return ok;
}

static void restore(void)
{
    for (unsigned i = 0; getpid() == owner && i < ARRAY_LEN(names); i++)
        put(names[i], was[i]);
}

static void on_signal(int sig)
{
    restore();
    _exit(128 + sig);
}

static bool settings(const struct sequence *q)
{
    return put("max_ptes_none", q->none) && put("max_ptes_swap", q->swap) &&
           put("max_ptes_shared", q->shared) && put("pages_to_scan", q->to_scan) &&
           put("scan_sleep_millisecs", 10);
}

/* sibling forks the one that shares pages; it lives until its parent ends. */
static void sibling(const struct sequence *q)
{
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        leave(NULL, q);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
}

static void forget_native(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "1", 1), 1);
    close(fd);
}

/* two_scans waits until khugepaged has seen everything, from its beginning to its end. */
static void two_scans(void)
{
    uint64_t before = get("full_scans");
    for (int i = 0; i < 2000 && get("full_scans") < before + 2; i++)
        usleep(5000);
    assert_true(get("full_scans") >= before + 2);
}

static uint64_t native_huge_kb(void)
{
    char line[256];
    unsigned long long start, end, kb, sum = 0;
    bool ours = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
            ours = start >= BASE && start < BASE + PAGES * K;
        else if (ours && sscanf(line, "AnonHugePages: %llu", &kb) == 1)
            sum += kb;
    }
    if (f)
        fclose(f);
    return sum;
}

static void native_look(struct seen *out)
{
    int map = open("/proc/self/pagemap", O_RDONLY), flags = open("/proc/kpageflags", O_RDONLY);
    out->huge_kb = native_huge_kb();
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t e = 0, f = 0;
        if (pread(map, &e, 8, (off_t)((BASE / K + i) * 8)) != 8 || !(e >> 63) ||
            pread(flags, &f, 8, (off_t)((e & (BIT(55) - 1)) * 8)) != 8)
            continue;
        out->page[i] = (uint8_t)(1 | (f >> 22 & 1) << 1 | (f >> 24 & 1) << 2);
        out->byte[i] = *(volatile uint8_t *)(BASE + i * K);
    }
}

static bool run_native(const struct sequence *q, struct seen *out)
{
    int status;
    memset(out, 0, sizeof(*out));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prepare(NULL, q);
        sibling(q);
        if (q->forgotten)
            forget_native();
        offer(NULL, q);
        two_scans();
        native_look(out);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* -- the model ----------------------------------------------------------------------------------- */

static void forget_model(struct box *b)
{
    for (unsigned i = 0; i < PAGES; i++) {
        unsigned level;
        pte *e = pt_leaf(mm_pt(b->mm), va(BASE + i * K), &level);
        if (e && pte_present(*e)) {
            e->v &= ~PTE_A;
            phys_frame(b->phys, pte_leaf_pfn(*e, level))->flags &= ~FRAME_F_REFERENCED;
        }
    }
}

static void model_look(struct box *b, struct seen *out)
{
    for (unsigned i = 0; i < PAGES; i++) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(b->mm), va(BASE + i * K), &level);
        if (!e || !pte_present(*e))
            continue;
        pfn n = {pte_leaf_pfn(*e, level).v + (level ? i % HP : 0)};
        out->page[i] = (uint8_t)(1 | (level == 1) << 1 | (e->v & PTE_SPECIAL ? 4 : 0));
        out->byte[i] = e->v & PTE_SPECIAL ? 0 : *(uint8_t *)phys_bytes(b->phys, n);
        out->huge_kb += level == 1 ? 4 : 0;
    }
}

static void run_model(const struct sequence *q, struct seen *out)
{
    struct box b, other;
    struct mm_thp_stats t;
    uint64_t now = 0;
    memset(out, 0, sizeof(*out));
    box_conf(&b, MIB(256));
    b.conf.phys_contents = true;
    b.conf.khugepaged_max_ptes_none = q->none;
    b.conf.khugepaged_max_ptes_swap = q->swap;
    b.conf.khugepaged_max_ptes_shared = q->shared;
    b.conf.khugepaged_pages_to_scan = q->to_scan;
    box_start(&b);
    prepare(&b, q);
    other = b;
    assert_int_equal(mm_fork(&other.mm, b.mm), 0);
    leave(&other, q);
    if (q->forgotten)
        forget_model(&b);
    offer(&b, q);
    do {
        mm_tick(b.sys, now += 10000);
        b.out.n = 0;
        mm_thp_stats(b.sys, &t);
    } while (t.full_scans < 2);
    assert_int_equal(mm_audit(b.mm), 0);
    model_look(&b, out);
    mm_close(other.mm);
    box_close(&b);
}

/* -- comparing ----------------------------------------------------------------------------------- */

static void report(uint64_t seed, const struct sequence *q, const struct seen *k,
                   const struct seen *m)
{
    fprintf(stderr, "seed %llu differs: none %llu swap %llu shared %llu, huge %llu and %llu kB\n",
            (unsigned long long)seed, (unsigned long long)q->none, (unsigned long long)q->swap,
            (unsigned long long)q->shared, (unsigned long long)k->huge_kb,
            (unsigned long long)m->huge_kb);
    for (unsigned i = 0; i < PIECES; i++) {
        const struct piece *p = &q->piece[i];
        unsigned at = i * HP;
        while (at < (i + 1) * HP && k->page[at] == m->page[at] && k->byte[at] == m->byte[at])
            at++;
        if (at < (i + 1) * HP)
            fprintf(
                stderr,
                "  piece %u: first %u written %u stride %u zeroes %u guards %u shared %u%s%s%s: "
                "page %u: kernel %u (%u), model %u (%u)\n",
                i, p->first, p->written, p->stride, p->zeroes, p->guards, p->shared,
                p->read_only ? " read-only" : "", p->locked ? " locked" : "",
                q->forgotten ? " forgotten" : "", at % HP, k->page[at], k->byte[at], m->page[at],
                m->byte[at]);
    }
}

static bool same(uint64_t seed, struct seen *real)
{
    static struct seen model;
    struct sequence q;
    gen(&q, seed);
    run_model(&q, &model);
    for (int tries = 0; tries < 3; tries++) /* memory may be in pieces for a while */
        if (settings(&q) && run_native(&q, real) && memcmp(real, &model, sizeof(model)) == 0)
            return true;
    report(seed, &q, real, &model);
    return false;
}

static const char *why_not(void)
{
    char text[64] = "";
    int fd = open(DIR "../enabled", O_RDONLY | O_CLOEXEC);
    if (geteuid() != 0)
        return "not root";
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 || strstr(text, "[never]"))
        return "the host has no huge pages";
    close(fd);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        was[i] = get(names[i]);
    owner = getpid();
    return put(names[0], was[0]) ? NULL : "khugepaged's settings cannot be changed";
}

int main(void)
{
    struct seen *real =
        mmap(NULL, sizeof(*real), RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    const char *first = getenv("PW_SEED"), *count = getenv("PW_SEQUENCES");
    uint64_t seed = first ? strtoull(first, NULL, 0) : 1;
    uint64_t n = count ? strtoull(count, NULL, 0) : SEQUENCES, bad = 0;
    int lock = open("/var/tmp/pagewalk-global.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return 1;
    const char *why = why_not();
    if (why) {
        printf("skipped: %s\n", why);
        return 0;
    }
    atexit(restore);
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGABRT, SIGSEGV, SIGBUS};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        signal(ends[i], on_signal);
    for (uint64_t i = 0; i < n; i++)
        bad += !same(seed + i, real);
    printf("%llu sequences of khugepaged, %llu mismatches\n", (unsigned long long)n,
           (unsigned long long)bad);
    return bad != 0;
}
