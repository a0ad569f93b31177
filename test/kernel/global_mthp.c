/* global_mthp.c: folios below 2 MiB on the running kernel and on the model.
 *
 * For every size from 16 KiB to 1 MiB its /sys/…/hugepages-NkB/enabled is set to always in turn; a child
 * maps, reads and writes pages at aligned and odd places, and forks. Minor faults of each step and, of
 * every page, present, head and tail (kpageflags) must be equal. The setting is restored on any exit.
 * Run by make check-kernel-global, under its lock.
 */
#include "unit/mm/mm_fixture.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE  UINT64_C(0x200000000000)
#define PAGES 1024u
#define STEPS 4u

/* One sequence: a mapping of `pages` from page `first`, reads of every `read`-th page (0: none), a
 * write to page `at`, then to all, then DONTNEED of the first 24 pages and a write to them. */
static const struct shape {
    unsigned first, pages, read, at;
} shapes[] = {{0, 1024, 0, 0},  {0, 1000, 0, 700}, {8, 900, 0, 8},    {3, 77, 0, 50},
              {0, 1024, 64, 5}, {16, 512, 7, 17},  {255, 600, 0, 300}};

struct seen {
    uint64_t faults[STEPS];
    uint8_t page[PAGES]; /* 1 present, 2 head, 4 tail */
};

static char setting[128], was[64];
static pid_t owner;
static int lock;

static void put(const char *text)
{
    int fd = open(setting, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, strlen(text)) >= 0)
        close(fd);
}

static void restore(void)
{
    if (getpid() == owner && was[0])
        put(was);
    was[0] = '\0';
}

static void on_signal(int sig)
{
    restore();
    _exit(128 + sig);
}

/* take remembers the word in brackets and sets always. */
static bool take(unsigned order)
{
    char text[128] = "";
    snprintf(setting, sizeof(setting), "/sys/kernel/mm/transparent_hugepage/hugepages-%ukB/enabled",
             4u << order);
    int fd = open(setting, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    const char *open_at = strchr(text, '['), *end = strchr(text, ']');
    if (n <= 0 || !open_at || !end)
        return false;
    snprintf(was, sizeof(was), "%.*s", (int)(end - open_at - 1), open_at + 1);
    put("always");
    return true;
}

/* -- a step in either world -------------------------------------------------------------------- */

static void touch_native(unsigned page, bool write)
{
    volatile char *p = (char *)(uintptr_t)(BASE + page * K);
    if (write)
        *p = 1;
    else
        (void)*p;
}

/* step touches what the step says; b NULL: natively. */
static void step(struct box *b, const struct shape *s, unsigned which)
{
    unsigned end = s->first + s->pages, stride = 1, from = s->first;
    bool write = which > 0;
    if (which == 0 && s->read == 0)
        return;
    if (which == 0)
        stride = s->read;
    if (which == 1)
        from = s->at, end = s->at + 1;
    if (which == 3) {
        end = s->first + 24;
        if (b)
            assert_int_equal(mm_madvise(b->mm, va(BASE + from * K), 24 * K, MADV_DONTNEED), 0);
        else
            madvise((void *)(uintptr_t)(BASE + from * K), 24 * K, MADV_DONTNEED);
    }
    for (unsigned i = from; i < end; i += stride)
        if (b)
            touch(b, BASE + i * K, write);
        else
            touch_native(i, write);
}

static uint64_t faults_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)u.ru_minflt;
}

static void native_child(const struct shape *s, struct seen *out)
{
    const struct shape warm = {0, 64, 1, 1};
    int map = open("/proc/self/pagemap", O_RDONLY), flags = open("/proc/kpageflags", O_RDONLY);
    memset(out, 0, sizeof(*out));
    void *at = (void *)(uintptr_t)BASE;
    for (int round = 0; round < 2; round++) { /* the first only touches code and stack */
        const struct shape *now = round ? s : &warm;
        mmap(at, PAGES * K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        mmap((char *)at + now->first * K, now->pages * K, RW,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        for (unsigned i = 0; i < STEPS; i++) {
            uint64_t before = faults_now();
            step(NULL, now, i);
            out->faults[i] = faults_now() - before;
        }
    }
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t e = 0, f = 0;
        if (pread(map, &e, 8, (off_t)((BASE / K + i) * 8)) == 8 && e >> 63 &&
            pread(flags, &f, 8, (off_t)((e & (BIT(55) - 1)) * 8)) == 8)
            out->page[i] = (uint8_t)(1 | (f >> 15 & 1) << 1 | (f >> 16 & 1) << 2);
    }
    _exit(0);
}

static bool run_native(const struct shape *s, struct seen *out)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        native_child(s, out);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void run_model(const struct shape *s, unsigned order, struct seen *out)
{
    struct box b;
    memset(out, 0, sizeof(*out));
    box_conf(&b, MIB(256));
    uint64_t *const size[] = {&b.conf.thp_size_16k,  &b.conf.thp_size_32k,  &b.conf.thp_size_64k,
                              &b.conf.thp_size_128k, &b.conf.thp_size_256k, &b.conf.thp_size_512k,
                              &b.conf.thp_size_1m};
    *size[order - 2] = 1; /* always */
    box_start(&b);
    map_full(&b, BASE, PAGES * K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    map_full(&b, BASE + s->first * K, s->pages * K, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
             NULL, 0);
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t before = counters(&b).minflt;
        step(&b, s, i);
        out->faults[i] = counters(&b).minflt - before;
    }
    for (unsigned i = 0; i < PAGES; i++) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(b.mm), va(BASE + i * K), &level);
        if (!e)
            continue;
        const struct frame *f = phys_frame(b.phys, pte_pfn(*e));
        bool tail = f->flags & FRAME_F_TAIL, head = !tail && f->order > 0 && !(e->v & PTE_SPECIAL);
        out->page[i] = (uint8_t)(1 | head << 1 | tail << 2);
    }
    box_close(&b);
}

/* -- comparing -------------------------------------------------------------------------------- */

static bool same(const struct shape *s, unsigned order, struct seen *real)
{
    struct seen model;
    run_model(s, order, &model);
    for (int tries = 0; tries < 3; tries++) /* memory may be in pieces for a while */
        if (run_native(s, real) && memcmp(real, &model, sizeof(model)) == 0)
            return true;
    fprintf(stderr, "%u kB, shape %td differs: faults", 4u << order, s - shapes);
    for (unsigned i = 0; i < STEPS; i++)
        fprintf(stderr, " %llu/%llu", (unsigned long long)real->faults[i],
                (unsigned long long)model.faults[i]);
    for (unsigned i = 0; i < PAGES; i++)
        if (real->page[i] != model.page[i]) {
            fprintf(stderr, ", page %u %u/%u", i, real->page[i], model.page[i]);
            break;
        }
    fputc('\n', stderr);
    return false;
}

int main(void)
{
    struct seen *real =
        mmap(NULL, sizeof(*real), RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    unsigned bad = 0, done = 0;
    lock = open("/var/tmp/pagewalk-global.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return 1;
    owner = getpid();
    atexit(restore);
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGABRT, SIGSEGV, SIGBUS};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        signal(ends[i], on_signal);
    for (unsigned order = 2; order <= 8; order++) {
        if (geteuid() != 0 || !take(order)) {
            printf("skipped: %s cannot be set\n", setting);
            return 0;
        }
        for (size_t i = 0; i < ARRAY_LEN(shapes); i++, done++)
            bad += !same(&shapes[i], order, real);
        restore();
    }
    printf("%u sequences of folios below 2 MiB, %u mismatches\n", done, bad);
    return bad != 0;
}
