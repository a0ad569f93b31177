/* links: mm */
/* test_mm_kernel.c: the model against the running kernel.
 *
 * A seeded random sequence of memory calls and touches runs twice: natively in a forked child, in
 * a window of pages far from everything else, and on the model. After every step these must agree:
 *
 *   result or errno · signal and si_code · minor faults of the step · the list of VMAs with rights
 *   and offsets (/proc/self/maps) · which pages are present and of what sort (/proc/self/pagemap)
 *   · bytes of page tables (VmPTE); at the end also every VMA's flags (VmFlags in smaps)
 *
 * The window lies across a 2 MiB boundary, so that page tables come and go, and is small, so that
 * calls meet; every fourth sequence is 64 times as wide. Faults are counted by getrusage around each step, both calls warmed. The file is
 * written page by page (so the page cache holds single pages, no large folios), synced and thus
 * cached; a memfd starts without pages. On a mismatch the sequence is shrunk and printed.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW    96                  /* pages */
#define NEAR      (UINT64_C(1) << 29) /* what counts as in or around the window, bytes */
#define STEPS_MAX 40
#ifdef __SANITIZE_ADDRESS__ /* a fork costs ten times as much there */
#define SEQUENCES 100
#else
#define SEQUENCES 800
#endif
#define FILE_PAGES  61 /* and a half: the last page is partial */
#define FILE_BYTES  (FILE_PAGES * K + K / 2)
#define MEMFD_PAGES 40

/* Narrow: the window is 96 pages. Wide: 96 units of 64 pages, so that ranges of 2 MiB and more meet
 * whole page tables. */
static uint64_t unit, base;

static void choose_window(uint64_t seed)
{
    unit = seed % 4 == 3 ? 64 : 1;
    base = UINT64_C(0x200000200000) - 48 * unit * K;
}

enum kind { MAP, UNMAP, PROTECT, REMAP, ADVISE, SYNC, CORE, READ, WRITE, TRUNCATE, LOCK, KIND_NR };
enum backing { ANON, FILE0, MEMFD };
enum lock { MLOCK, MLOCK2, MUNLOCK, MUNLOCKALL, FUTURE, FUTURE_ONFAULT, LOCK_NR };

struct step {
    enum kind kind;
    uint64_t addr, len; /* bytes; addr from base */
    uint64_t addr2, len2;
    uint32_t prot, flags;
    int arg; /* advice, enum backing, or enum lock */
};

/* What was seen after a step. */
struct seen {
    int64_t result; /* value, -errno, or ELSEWHERE */
    int signal, code;
    uint64_t minflt;
    int64_t pte_kb; /* against before the first step */
    char vmas[2600];
    uint64_t present;       /* pages of the window */
    char pages[WINDOW + 1]; /* first page of each unit: . none, z zero page, a anonymous, f file */
    char core[WINDOW + 1];
    char flags[2600]; /* VmFlags, last step only */
};
#define ELSEWHERE INT64_C(0x7777777777)

/* -- generating ------------------------------------------------------------------------------ */

static uint64_t pick(struct rng *r, uint64_t n)
{
    return rng_below(r, n);
}

static const uint32_t prots[] = {RW, RW, RW, PROT_READ, PROT_NONE, PROT_WRITE, RX, RWX};

static struct step gen_map(struct rng *r)
{
    static const uint32_t extras[] = {
        0, 0, 0, 0, MAP_NORESERVE, MAP_POPULATE, MAP_LOCKED, MAP_STACK, MAP_GROWSDOWN};
    struct step s = {.kind = MAP, .prot = prots[pick(r, ARRAY_LEN(prots))]};
    s.flags = extras[pick(r, ARRAY_LEN(extras))];
    uint64_t how = pick(r, 10);
    s.arg = how < 5 ? ANON : how < 8 ? FILE0 : MEMFD;
    s.flags |= pick(r, s.arg == ANON ? 5 : 2) == 0 ? MAP_SHARED : MAP_PRIVATE;
    if (s.arg == ANON)
        s.flags |= MAP_ANONYMOUS;
    uint64_t place = pick(r, 12);
    if (place < 10)
        s.flags |= MAP_FIXED;
    else if (place == 10)
        s.flags |= MAP_FIXED_NOREPLACE;
    if (!(s.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
        s.flags &= ~(uint32_t)(MAP_POPULATE | MAP_LOCKED);
    s.addr2 = pick(r, 50) * K; /* offset */
    if (s.arg != ANON && pick(r, 2) == 0)
        s.addr2 = pick(r, 4) * 8 * K;
    return s;
}

static struct step gen_remap(struct rng *r)
{
    static const uint32_t flags[] = {0,
                                     MREMAP_MAYMOVE,
                                     MREMAP_MAYMOVE | MREMAP_FIXED,
                                     MREMAP_MAYMOVE | MREMAP_FIXED,
                                     MREMAP_FIXED,
                                     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
                                     MREMAP_MAYMOVE | MREMAP_DONTUNMAP};
    struct step s = {.kind = REMAP, .flags = flags[pick(r, ARRAY_LEN(flags))]};
    s.addr2 = pick(r, WINDOW) * K;
    s.len2 = (1 + pick(r, 24)) * K;
    return s;
}

static struct step gen_advise(struct rng *r)
{
    static const int advice[] = {MADV_DONTNEED,
                                 MADV_DONTNEED,
                                 MADV_DONTNEED,
                                 MADV_FREE,
                                 MADV_NORMAL,
                                 MADV_RANDOM,
                                 MADV_SEQUENTIAL,
                                 MADV_WILLNEED,
                                 MADV_DONTFORK,
                                 MADV_DOFORK,
                                 MADV_WIPEONFORK,
                                 MADV_KEEPONFORK,
                                 MADV_DONTDUMP,
                                 MADV_DODUMP,
                                 MADV_HUGEPAGE,
                                 MADV_NOHUGEPAGE,
                                 MADV_COLD,
                                 MADV_POPULATE_READ,
                                 MADV_POPULATE_WRITE,
                                 24,
                                 99,
                                 MADV_MERGEABLE,
                                 MADV_UNMERGEABLE};
    return (struct step){.kind = ADVISE, .arg = advice[pick(r, ARRAY_LEN(advice))]};
}

static struct step gen_step(struct rng *r)
{
    uint64_t what = pick(r, 100);
    struct step s = {.kind = UNMAP};
    if (what < 22)
        s = gen_map(r);
    else if (what < 27)
        s.kind = UNMAP;
    else if (what < 39)
        s = (struct step){.kind = PROTECT, .prot = prots[pick(r, ARRAY_LEN(prots))]};
    else if (what < 48)
        s = gen_remap(r);
    else if (what < 58)
        s = gen_advise(r);
    else if (what < 61)
        s = (struct step){.kind = SYNC, .flags = pick(r, 3) ? MS_SYNC : MS_ASYNC};
    else if (what < 63)
        s.kind = CORE;
    else if (what < 64)
        s = (struct step){.kind = TRUNCATE, .len2 = pick(r, MEMFD_PAGES + 1) * K};
    else if (what < 69)
        s = (struct step){.kind = LOCK, .arg = (int)pick(r, LOCK_NR)};
    else
        s.kind = what < 83 ? READ : WRITE;
    s.addr = pick(r, WINDOW - 8) * K;
    s.len = (1 + pick(r, 24)) * K;
    if (s.kind == READ || s.kind == WRITE)
        s.len = pick(r, 3) ? K : (1 + pick(r, 20)) * K;
    if (s.kind == REMAP) {
        s.len2 = pick(r, 3) ? s.len : s.len2;
        s.len = pick(r, 12) == 0 ? 0 : s.len;
    }
    if (pick(r, 40) == 0)
        s.len -= pick(r, K);
    if (pick(r, 60) == 0)
        s.addr += 1 + pick(r, K - 1);
    return s;
}

static void widen(struct rng *r, struct step *s)
{
    s->addr *= unit;
    s->len *= unit;
    if (s->kind == CORE)
        s->len = min_u64(s->len, WINDOW * K);
    if (s->kind != REMAP)
        return;
    s->addr2 *= unit;
    s->len2 *= unit;
    if (pick(r, 3) == 0) /* as far apart as whole page tables: these may move at once */
        s->addr2 = s->addr % MIB(2) + align_down(s->addr2, MIB(2));
}

static unsigned gen(uint64_t seed, struct step *steps)
{
    struct rng r = {seed};
    unsigned n = 12 + (unsigned)pick(&r, STEPS_MAX - 12);
    choose_window(seed);
    for (unsigned i = 0; i < n; i++) {
        steps[i] = gen_step(&r);
        if (unit > 1)
            widen(&r, &steps[i]);
    }
    return n;
}

static void print_step(const struct step *s)
{
    static const char *const names[] = {"mmap",    "munmap",          "mprotect", "mremap",
                                        "madvise", "msync",           "mincore",  "read",
                                        "write",   "ftruncate memfd", "lock"};
    fprintf(stderr, "  %-8s page %3lld%s len %lld%s", names[s->kind], (long long)(s->addr / K),
            s->addr % K ? "+" : "", (long long)(s->len / K), s->len % K ? "+" : "");
    if (s->kind == MAP)
        fprintf(stderr, " prot %u flags %#x backing %d offset %lld", s->prot, s->flags, s->arg,
                (long long)(s->addr2 / K));
    if (s->kind == REMAP)
        fprintf(stderr, " new len %lld flags %u to %lld", (long long)(s->len2 / K), s->flags,
                (long long)(s->addr2 / K));
    if (s->kind == PROTECT)
        fprintf(stderr, " prot %u", s->prot);
    if (s->kind == ADVISE)
        fprintf(stderr, " advice %d", s->arg);
    if (s->kind == LOCK)
        fprintf(stderr, " how %d", s->arg);
    if (s->kind == TRUNCATE)
        fprintf(stderr, " to %lld", (long long)(s->len2 / K));
    fputc('\n', stderr);
}

/* -- the real kernel ------------------------------------------------------------------------- */

static sigjmp_buf jump;
static volatile sig_atomic_t got_signal, got_code;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    got_signal = sig;
    got_code = info->si_code;
    siglongjmp(jump, 1);
}

/* The sanitizer's shadow would fault, too. */
__attribute__((no_sanitize("address", "undefined", "thread"), noinline)) static void
native_touch(uint64_t addr, uint64_t len, bool write)
{
    for (uint64_t a = addr; a < addr + len; a += K)
        if (write)
            *(volatile char *)(uintptr_t)a = 1;
        else
            (void)*(volatile char *)(uintptr_t)a;
}

struct native {
    int file, memfd, pagemap, maps, status, smaps;
};

static long native_lock(uint64_t a, const struct step *s)
{
    switch ((enum lock)s->arg) {
    case MLOCK:
        return syscall(SYS_mlock, a, s->len);
    case MLOCK2:
        return syscall(SYS_mlock2, a, s->len, MLOCK_ONFAULT);
    case MUNLOCK:
        return syscall(SYS_munlock, a, s->len);
    case FUTURE:
        return syscall(SYS_mlockall, MCL_FUTURE);
    case FUTURE_ONFAULT:
        return syscall(SYS_mlockall, MCL_FUTURE | MCL_ONFAULT);
    default:
        return syscall(SYS_munlockall);
    }
}

__attribute__((noinline)) static int64_t native_call(const struct native *k, const struct step *s,
                                                     struct seen *o)
{
    uint64_t a = base + s->addr;
    int fd = s->arg == FILE0 ? k->file : s->arg == MEMFD ? k->memfd : -1;
    long r = 0;
    switch (s->kind) {
    case MAP:
        r = syscall(SYS_mmap, a, s->len, s->prot, s->flags, fd, s->addr2);
        break;
    case UNMAP:
        r = syscall(SYS_munmap, a, s->len);
        break;
    case PROTECT:
        r = syscall(SYS_mprotect, a, s->len, s->prot);
        break;
    case REMAP:
        r = syscall(SYS_mremap, a, s->len, s->len2, s->flags,
                    s->flags & MREMAP_FIXED ? base + s->addr2 : 0);
        break;
    case ADVISE:
        r = syscall(SYS_madvise, a, s->len, s->arg);
        break;
    case SYNC:
        r = syscall(SYS_msync, a, s->len, s->flags);
        break;
    case CORE:
        r = syscall(SYS_mincore, a, s->len, o->core);
        break;
    case TRUNCATE:
        r = ftruncate(k->memfd, (off_t)s->len2);
        break;
    case LOCK:
        r = native_lock(a, s);
        break;
    default:
        native_touch(a, s->len, s->kind == WRITE);
    }
    return r == -1 ? -errno : r;
}

/* A result far away is only "elsewhere", and taken back at once. */
static int64_t native_near(int64_t r, const struct step *s)
{
    if ((s->kind != MAP && s->kind != REMAP) || r < 0)
        return r;
    if ((uint64_t)r > base - NEAR && (uint64_t)r < base + NEAR)
        return r;
    syscall(SYS_munmap, r, s->kind == MAP ? s->len : s->len2);
    return ELSEWHERE;
}

static size_t slurp(int fd, char *buf, size_t size)
{
    size_t n = 0;
    ssize_t got;
    lseek(fd, 0, SEEK_SET);
    while (n < size - 1 && (got = read(fd, buf + n, size - 1 - n)) > 0)
        n += (size_t)got;
    buf[n] = '\0';
    return n;
}

static char slurped[1 << 17];

static bool near_line(const char *line, uint64_t *start, uint64_t *end, char *perms, uint64_t *off)
{
    unsigned long long a, b, o;
    if (sscanf(line, "%llx-%llx %4s %llx", &a, &b, perms, &o) != 4)
        return false;
    *start = a;
    *end = b;
    *off = o;
    return a > base - NEAR && a < base + NEAR;
}

static void put_vma(char *text, size_t size, uint64_t start, uint64_t end, const char *perms,
                    uint64_t off)
{
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%lld-%lld %s %llu\n", (long long)(start - base) / (long long)K,
             (long long)(end - base) / (long long)K, perms, (unsigned long long)(off / K));
}

static void native_vmas(const struct native *k, struct seen *o)
{
    uint64_t start, end, off;
    char perms[8];
    o->vmas[0] = '\0';
    slurp(k->maps, slurped, sizeof(slurped));
    for (char *line = strtok(slurped, "\n"); line; line = strtok(NULL, "\n"))
        if (near_line(line, &start, &end, perms, &off))
            put_vma(o->vmas, sizeof(o->vmas), start, end, perms, off);
}

static void native_flags(const struct native *k, struct seen *o)
{
    uint64_t start, end, off;
    char perms[8];
    bool ours = false;
    size_t n = 0;
    slurp(k->smaps, slurped, sizeof(slurped));
    for (char *line = strtok(slurped, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long long a, b;
        if (sscanf(line, "%llx-%llx", &a, &b) == 2)
            ours = near_line(line, &start, &end, perms, &off);
        else if (ours && strncmp(line, "VmFlags: ", 9) == 0)
            n += (size_t)snprintf(o->flags + n, sizeof(o->flags) - n, "%s\n", line + 9);
    }
}

static void native_pages(const struct native *k, struct seen *o)
{
    static uint64_t e[WINDOW * 64];
    ssize_t n = pread(k->pagemap, e, WINDOW * unit * 8, (off_t)(base / K * 8));
    (void)n;
    o->present = 0;
    for (unsigned i = 0; i < WINDOW * unit; i++) {
        bool present = e[i] >> 63, file = e[i] >> 61 & 1, exclusive = e[i] >> 56 & 1;
        o->present += present;
        if (i % unit == 0)
            o->pages[i / unit] = !present ? '.' : file ? 'f' : exclusive ? 'a' : 'z';
    }
}

static int64_t native_pte_kb(const struct native *k)
{
    slurp(k->status, slurped, sizeof(slurped));
    const char *at = strstr(slurped, "VmPTE:");
    return at ? strtol(at + 6, NULL, 10) : -1;
}

static void native_step(const struct native *k, const struct step *s, struct seen *o)
{
    struct rusage before, after;
    got_signal = got_code = 0;
    getrusage(RUSAGE_SELF, &before);
    volatile int64_t r = 0;
    if (sigsetjmp(jump, 1) == 0)
        r = native_call(k, s, o);
    getrusage(RUSAGE_SELF, &after);
    o->minflt = (uint64_t)(after.ru_minflt - before.ru_minflt);
    o->result = native_near(r, s);
    o->signal = got_signal;
    o->code = got_code;
}

static void native_open(struct native *k, int file)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    k->file = file;
    k->memfd = (int)syscall(SYS_memfd_create, "pw", 0);
    if (ftruncate(k->memfd, MEMFD_PAGES * (off_t)K) != 0)
        _exit(2);
    k->pagemap = open("/proc/self/pagemap", O_RDONLY);
    k->maps = open("/proc/self/maps", O_RDONLY);
    k->status = open("/proc/self/status", O_RDONLY);
    k->smaps = open("/proc/self/smaps", O_RDONLY);
}

static void native_look(const struct native *k, struct seen *o)
{
    native_vmas(k, o);
    native_pages(k, o);
    o->pte_kb = native_pte_kb(k);
}

/* The child: every step twice over nothing first, so that its own pages are all touched. */
static void native_child(int file, const struct step *steps, unsigned n, struct seen *out)
{
    static struct seen warm;
    struct native k;
    struct step nothing = {.kind = READ, .len = K};
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    native_open(&k, file);
    memset(out, 0, STEPS_MAX * sizeof(*out)); /* shared memory is not mapped by fork */
    for (int i = 0; i < 3; i++) {
        native_step(&k, &nothing, &warm);
        native_look(&k, &warm);
        native_flags(&k, &warm);
    }
    native_step(&k, &(struct step){.kind = CORE, .len = K}, &warm);
    int64_t pte_before = native_pte_kb(&k);
    for (unsigned i = 0; i < n; i++) {
        native_step(&k, &steps[i], &out[i]);
        native_look(&k, &out[i]);
        out[i].pte_kb -= pte_before;
    }
    if (n > 0)
        native_flags(&k, &out[n - 1]);
    _exit(0);
}

/* Something may have reclaimed a page that was not used for a while. */
static void warm_cache(int file)
{
    for (uint64_t off = 0; off < FILE_BYTES; off += sizeof(slurped)) {
        ssize_t n = pread(file, slurped, sizeof(slurped), (off_t)off);
        (void)n;
    }
}

static bool run_native(int file, const struct step *steps, unsigned n, struct seen *out)
{
    int status;
    memset(out, 0, STEPS_MAX * sizeof(*out));
    fsync(file);
    warm_cache(file);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        native_child(file, steps, n, out);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* -- the model ------------------------------------------------------------------------------- */

struct model {
    struct box b;
    struct mm_file *file, *memfd;
};

/* The model's caller may what this process may. */
static void give_own_rights(struct mm *m)
{
    struct mm_task task = *mm_task(m);
    unsigned long long caps = 0;
    char line[128];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "CapEff: %llx", &caps) == 1)
            break;
    if (f)
        fclose(f);
    task.caps = caps;
    mm_set_task(m, &task);
    const int limits[] = {[MM_RLIM_AS] = RLIMIT_AS,
                          [MM_RLIM_DATA] = RLIMIT_DATA,
                          [MM_RLIM_STACK] = RLIMIT_STACK,
                          [MM_RLIM_MEMLOCK] = RLIMIT_MEMLOCK};
    for (unsigned i = 0; i < MM_RLIM_NR; i++) {
        struct rlimit r;
        assert_int_equal(getrlimit(limits[i], &r), 0);
        mm_set_rlimit(m, i, (struct mm_rlimit){r.rlim_cur, r.rlim_max});
    }
}

static void model_open(struct model *w)
{
    box_open(&w->b, MIB(256), false);
    mm_thp_disable(w->b.mm, true, false); /* as the native child says with prctl */
    give_own_rights(w->b.mm);
    w->file = mm_file(w->b.sys, 8, 100, FILE_BYTES, "/data");
    w->memfd = mm_file(w->b.sys, 1, 200, MEMFD_PAGES * K, "/memfd:pw (deleted)");
}

static void model_close(struct model *w)
{
    mm_file_put(w->b.sys, w->file);
    mm_file_put(w->b.sys, w->memfd);
    box_close(&w->b);
}

static int64_t model_near(struct model *w, int64_t r, uint64_t len)
{
    if (r < 0 || ((uint64_t)r > base - NEAR && (uint64_t)r < base + NEAR))
        return r;
    mm_munmap(w->b.mm, va((uint64_t)r), len);
    return ELSEWHERE;
}

static void model_touch(struct model *w, const struct step *s, struct seen *o)
{
    uint64_t a = base + s->addr;
    for (uint64_t end = a + s->len; a < end; a += K) {
        struct mm_verdict v = touch(&w->b, a, s->kind == WRITE);
        if (v.signal) {
            o->signal = v.signal;
            o->code = v.si_code;
            return;
        }
    }
}

static int64_t model_lock(struct mm *m, vaddr a, const struct step *s)
{
    switch ((enum lock)s->arg) {
    case MLOCK:
        return mm_mlock(m, a, s->len, 0);
    case MLOCK2:
        return mm_mlock(m, a, s->len, MLOCK_ONFAULT);
    case MUNLOCK:
        return mm_munlock(m, a, s->len);
    case FUTURE:
        return mm_mlockall(m, MCL_FUTURE);
    case FUTURE_ONFAULT:
        return mm_mlockall(m, MCL_FUTURE | MCL_ONFAULT);
    default:
        mm_munlockall(m);
        return 0;
    }
}

static int64_t model_call(struct model *w, const struct step *s, struct seen *o)
{
    struct mm *m = w->b.mm;
    vaddr a = va(base + s->addr);
    struct mm_file *f = s->arg == FILE0 ? w->file : s->arg == MEMFD ? w->memfd : NULL;
    switch (s->kind) {
    case MAP:
        return map_full(&w->b, a.v, s->len, s->prot, s->flags, f, s->addr2);
    case UNMAP:
        return mm_munmap(m, a, s->len);
    case PROTECT:
        return mm_mprotect(m, a, s->len, s->prot);
    case REMAP:
        return mm_mremap(m, a, s->len, s->len2, s->flags,
                         va(s->flags & MREMAP_FIXED ? base + s->addr2 : 0), false);
    case ADVISE:
        return mm_madvise(m, a, s->len, s->arg);
    case SYNC:
        return mm_msync(m, a, s->len, (int)s->flags);
    case CORE:
        return mm_mincore(m, a, s->len, (uint8_t *)o->core);
    case TRUNCATE:
        mm_file_resize(w->b.sys, w->memfd, s->len2);
        return 0;
    case LOCK:
        return model_lock(m, a, s);
    default:
        model_touch(w, s, o);
        return 0;
    }
}

static void model_vmas(const struct model *w, struct seen *o)
{
    for (const struct vma *v = mm_vma_next(w->b.mm, va(0)); v; v = v->next) {
        uint64_t f = v->flags;
        char perms[8] = {f & VM_READ ? 'r' : '-', f & VM_WRITE ? 'w' : '-', f & VM_EXEC ? 'x' : '-',
                         f & VM_MAYSHARE ? 's' : 'p', 0};
        put_vma(o->vmas, sizeof(o->vmas), v->start.v, v->end.v, perms, v->file ? v->pgoff * K : 0);
    }
}

static void model_flags(const struct model *w, struct seen *o)
{
    static const char names[32][3] = {
        [0] = "rd",  [1] = "wr",  [2] = "ex",  [3] = "sh",  [4] = "mr",  [5] = "mw",
        [6] = "me",  [7] = "ms",  [8] = "gd",  [10] = "pf", [13] = "lo", [14] = "io",
        [15] = "sr", [16] = "rr", [17] = "dc", [18] = "de", [19] = "lf", [20] = "ac",
        [21] = "nr", [25] = "wf", [26] = "dd", [29] = "hg", [30] = "nh", [31] = "mg"};
    size_t at = 0;
    for (const struct vma *v = mm_vma_next(w->b.mm, va(0)); v; v = v->next) {
        for (unsigned bit = 0; bit < 32; bit++)
            if (v->flags >> bit & 1)
                at += (size_t)snprintf(o->flags + at, sizeof(o->flags) - at, "%s ", names[bit]);
        at += (size_t)snprintf(o->flags + at, sizeof(o->flags) - at, "\n");
    }
}

static char model_page(const struct model *w, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(w->b.mm), va(a), &level);
    if (!e)
        return '.';
    if (e->v & PTE_SPECIAL)
        return 'z';
    return phys_owner(w->b.phys, pte_pfn(*e)) == FRAME_USER_ANON ? 'a' : 'f';
}

static void model_pages(const struct model *w, struct seen *o)
{
    for (unsigned i = 0; i < WINDOW * unit; i++) {
        char c = model_page(w, base + i * K);
        o->present += c != '.';
        if (i % unit == 0)
            o->pages[i / unit] = c;
    }
}

static int run_model(const struct step *steps, unsigned n, struct seen *out)
{
    struct model w;
    int broken = 0;
    memset(out, 0, STEPS_MAX * sizeof(*out));
    model_open(&w);
    for (unsigned i = 0; i < n && !broken; i++) {
        struct mm_counters before = counters(&w.b);
        out[i].result = model_call(&w, &steps[i], &out[i]);
        struct mm_counters after = counters(&w.b);
        if (steps[i].kind == MAP || steps[i].kind == REMAP)
            out[i].result =
                model_near(&w, out[i].result, steps[i].kind == MAP ? steps[i].len : steps[i].len2);
        out[i].minflt = after.minflt - before.minflt;
        out[i].pte_kb = (int64_t)counters(&w.b).pte_bytes / 1024;
        model_vmas(&w, &out[i]);
        model_pages(&w, &out[i]);
        broken = mm_audit(w.b.mm);
        w.b.out.n = 0;
    }
    if (n > 0 && !broken)
        model_flags(&w, &out[n - 1]);
    if (!broken)
        model_close(&w);
    return broken;
}

/* -- comparing ------------------------------------------------------------------------------- */

static struct seen *real;
static struct seen model[STEPS_MAX];

/* A GROWSDOWN VMA may reach below the window: page tables and VMAs are compared there, too. */
static const char *differs(const struct seen *k, const struct seen *m)
{
    if (k->result != m->result)
        return "result";
    if (k->signal != m->signal || k->code != m->code)
        return "signal";
    /* A place chosen elsewhere is aligned otherwise, and so are its fault-around windows. */
    if (k->minflt != m->minflt && k->result != ELSEWHERE)
        return "minor faults";
    if (strcmp(k->vmas, m->vmas) != 0)
        return "VMAs";
    if (strcmp(k->pages, m->pages) != 0 || k->present != m->present)
        return "present pages";
    if (memcmp(k->core, m->core, sizeof(k->core)) != 0)
        return "mincore";
    if (k->pte_kb != m->pte_kb)
        return "VmPTE";
    return strcmp(k->flags, m->flags) != 0 ? "VmFlags" : NULL;
}

/* compare runs both; returns what differs first and at which step, or NULL. */
static const char *compare(int file, const struct step *steps, unsigned n, unsigned *ret_step)
{
    int broken = run_model(steps, n, model);
    if (!run_native(file, steps, n, real))
        return "the native child died";
    for (unsigned i = 0; i < n; i++) {
        const char *what = differs(&real[i], &model[i]);
        *ret_step = i;
        if (what)
            return what;
    }
    return broken ? "mm_audit" : NULL;
}

/* differs_for_sure compares again: writeback may clean a page of the file at any moment, so what
 * differs once may be chance; the kernel's answer to a sequence is what it says three times. */
static bool differs_for_sure(int file, const struct step *steps, unsigned n)
{
    unsigned at;
    for (int i = 0; i < 3; i++)
        if (!compare(file, steps, n, &at))
            return false;
    return true;
}

/* shrink drops steps as long as something still differs. */
static unsigned shrink(int file, struct step *steps, unsigned n)
{
    for (unsigned i = n; i-- > 0;) {
        struct step less[STEPS_MAX];
        memcpy(less, steps, n * sizeof(*steps));
        memmove(&less[i], &less[i + 1], (n - i - 1) * sizeof(*steps));
        if (differs_for_sure(file, less, n - 1))
            memcpy(steps, less, --n * sizeof(*steps));
    }
    return n;
}

static void print_seen(const char *who, const struct seen *o)
{
    fprintf(stderr,
            "%s: result %lld signal %d code %d minflt %llu VmPTE %lld kB present %llu\n%s%s\n%s",
            who, (long long)o->result, o->signal, o->code, (unsigned long long)o->minflt,
            (long long)o->pte_kb, (unsigned long long)o->present, o->vmas, o->pages, o->flags);
}

static void report(int file, uint64_t seed, struct step *steps, unsigned n)
{
    unsigned at = 0;
    n = shrink(file, steps, n);
    const char *what = compare(file, steps, n, &at);
    fprintf(stderr, "seed %llu: %s differ at step %u\n", (unsigned long long)seed,
            what ? what : "(not again)", at);
    for (unsigned i = 0; i < n; i++)
        print_step(&steps[i]);
    print_seen("kernel", &real[at]);
    print_seen("model ", &model[at]);
}

/* -- the test -------------------------------------------------------------------------------- */

static int make_file(void)
{
    char path[] = "/tmp/pw-mm-XXXXXX";
    char page[4096];
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    unlink(path);
    memset(page, 7, sizeof(page));
    for (uint64_t off = 0; off < FILE_BYTES; off += K)
        if (pwrite(fd, page, min_u64(K, FILE_BYTES - off), (off_t)off) < 0)
            return -1;
    return fsync(fd) == 0 ? fd : -1;
}

/* The model follows 6.17 and later (mremap of several VMAs), with PT_RECLAIM (6.14). */
static const char *why_not(void)
{
    struct utsname u;
    unsigned major = 0, minor = 0;
    if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
        return "the kernel does not tell its version";
    if (major * 100 + minor < 617)
        return "the running kernel is older than 6.17, whose rules the model follows";
    if (geteuid() != 0)
        return "only root may lock as much memory as the sequences do";
    return access("/proc/self/pagemap", R_OK) != 0 ? "/proc/self/pagemap cannot be read" : NULL;
}

static void the_model_agrees_with_the_running_kernel_step_by_step(void **state)
{
    (void)state;
    const char *only = getenv("PW_SEED"), *count = getenv("PW_SEQUENCES");
    uint64_t first = only ? strtoull(only, NULL, 0) : 1;
    uint64_t n_seq = only ? 1 : count ? strtoull(count, NULL, 0) : SEQUENCES;
    unsigned bad = 0;
    const char *why = why_not();
    if (why) {
        fprintf(stderr, "skipped: %s\n", why);
        skip();
    }
    int file = make_file();
    real =
        mmap(NULL, STEPS_MAX * sizeof(*real), RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (file < 0 || real == MAP_FAILED) {
        fprintf(stderr, "skipped: no file can be written on /tmp\n");
        skip();
    }
    for (uint64_t seed = first; seed < first + n_seq && bad < 5; seed++) {
        struct step steps[STEPS_MAX];
        unsigned n = gen(seed, steps);
        if (differs_for_sure(file, steps, n)) {
            report(file, seed, steps, n);
            bad++;
        }
    }
    close(file);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_agrees_with_the_running_kernel_step_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
