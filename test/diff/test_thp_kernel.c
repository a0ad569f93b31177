/* links: mm */
/* test_thp_kernel.c: huge pages of the model against the running kernel.
 *
 * A seeded random sequence of memory calls and touches in a window of six huge pages runs twice:
 * natively in a forked child, and on the model. On hosts where huge pages are on by advice (the
 * default of both), MADV_HUGEPAGE regions need no global setting. In a second lot of sequences most
 * mappings are of one memfd, whose pages MADV_COLLAPSE makes huge. After every step must agree:
 *
 *   result or errno · signal and si_code · minor faults (a write-protected huge entry that became
 *   writable may fault again natively, see FAULTS_EXTRA) · VMAs · per page: present, zero page, huge
 *   zero page, part of a huge page, head, exclusively mapped, dirty, anon-exclusive (pagemap,
 *   kpageflags) · AnonHugePages · ShmemPmdMapped · VmPTE
 *
 * khugepaged and failing allocations may interfere natively: what differs must differ three times.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "diff/host_lock.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE      UINT64_C(0x200000000000)
#define COLLAPSE  25 /* MADV_COLLAPSE: newer than some C libraries */
#define HP        UINT64_C(512)
#define HUGE_NR   6u
#define WINDOW    (HUGE_NR * HP) /* pages */
#define NEAR      (UINT64_C(1) << 30)
#define STEPS_MAX 30
#ifdef __SANITIZE_ADDRESS__
#define SEQUENCES 40
#else
#define SEQUENCES 250
#endif
#define FAULTS_EXTRA                                                                               \
    64 /* spurious faults of a hypervisor that backs a huge entry with small ones */

#define SHMEM_SEEDS UINT64_C(1000000) /* sequences from here on have a memfd */

enum kind {
    MAP,
    UNMAP,
    PROTECT,
    REMAP,
    ADVISE,
    READ,
    WRITE,
    LOCK,
    FORK,
    CHILD,
    EXIT,
    TRUNCATE, /* the memfd gets len bytes more than addr */
    PUNCH,    /* a hole into it */
    KIND_NR
};
struct step {
    enum kind kind;
    uint64_t addr, len, addr2; /* bytes; addresses from BASE */
    uint32_t prot, flags;
    int arg; /* advice; LOCK: 1 locks, 0 unlocks; CHILD: 1 the child writes, 0 it reads; MAP: 1 of
                the memfd, from addr2 on */
};

/* What a page is, in the bits of pages[]. */
enum {
    PG_PRESENT = 1,
    PG_ZERO = 2,
    PG_THP = 4,
    PG_HEAD = 8,
    PG_ALONE = 16, /* exclusively mapped */
    PG_DIRTY_F = 32,
    PG_EXCLUSIVE = 64,
};
struct seen {
    int64_t result;
    int signal, code;
    uint64_t minflt;
    int64_t pte_kb; /* against before the first step */
    uint64_t huge_kb, shmem_kb;
    char vmas[1500];
    uint8_t pages[WINDOW];
};

#include "diff/steps.h" /* needs these two */

/* -- generating ------------------------------------------------------------------------------ */

static uint64_t pick(struct rng *r, uint64_t n)
{
    return rng_below(r, n);
}

/* grain: whole huge pages mostly, else 64 pages, else single ones. */
static uint64_t grain(struct rng *r)
{
    uint64_t what = pick(r, 10);
    return what < 6 ? HP * K : what < 8 ? 64 * K : K;
}

static void gen_range(struct rng *r, struct step *s)
{
    uint64_t g = grain(r), slots = WINDOW * K / g;
    s->addr = pick(r, slots) * g;
    s->len = (1 + pick(r, g == HP * K ? 3 : g == K ? 40 : 12)) * g;
    if (s->addr + s->len > WINDOW * K)
        s->len = WINDOW * K - s->addr;
}

static const uint32_t prots[] = {RW, RW, RW, RW, PROT_READ, PROT_NONE, RX};
static const int advices[] = {
    MADV_HUGEPAGE,   MADV_HUGEPAGE, MADV_HUGEPAGE,      MADV_DONTNEED,       MADV_DONTNEED,
    MADV_NOHUGEPAGE, MADV_DONTFORK, MADV_POPULATE_READ, MADV_POPULATE_WRITE, COLLAPSE,
    COLLAPSE,        MADV_FREE,     MADV_COLD};

static struct step gen_step(struct rng *r)
{
    uint64_t what = pick(r, 100);
    struct step s = {.kind = READ};
    if (what < 14)
        s = (struct step){.kind = MAP,
                          .prot = prots[pick(r, ARRAY_LEN(prots))],
                          .flags = pick(r, 8) ? 0 : MAP_POPULATE};
    else if (what < 20)
        s.kind = UNMAP;
    else if (what < 32)
        s = (struct step){.kind = PROTECT, .prot = prots[pick(r, ARRAY_LEN(prots))]};
    else if (what < 42)
        s.kind = REMAP;
    else if (what < 62)
        s = (struct step){.kind = ADVISE, .arg = advices[pick(r, ARRAY_LEN(advices))]};
    else if (what < 64)
        s = (struct step){.kind = LOCK, .arg = (int)pick(r, 2)};
    else if (what < 67)
        s.kind = FORK;
    else if (what < 71)
        s = (struct step){.kind = CHILD, .arg = pick(r, 4) != 0};
    else if (what < 73)
        s.kind = EXIT;
    else
        s.kind = what < 80 ? READ : WRITE;
    gen_range(r, &s);
    if (s.kind == REMAP)
        s.addr2 = pick(r, 3) ? align_down(pick(r, WINDOW) * K, HP * K) + s.addr % (HP * K)
                             : pick(r, WINDOW) * K;
    if (s.kind == REMAP && s.addr2 + s.len > WINDOW * K)
        s.addr2 = WINDOW * K - s.len;
    if (s.kind == READ || s.kind == WRITE || s.kind == CHILD)
        s.len = min_u64(s.len, (1 + pick(r, 64)) * K);
    return s;
}

/* map_of_file is a mapping of the memfd: mostly shared, mostly where huge pages fit. */
static void map_of_file(struct rng *r, struct step *s)
{
    s->arg = 1;
    s->flags = (s->flags & MAP_POPULATE) | (pick(r, 4) ? MAP_SHARED : MAP_PRIVATE);
    s->addr2 = align_down(pick(r, WINDOW) * K, HP * K) + s->addr % (HP * K);
    if (pick(r, 6) == 0)
        s->addr2 = pick(r, WINDOW) * K;
}

static const int shmem_advices[] = {COLLAPSE,
                                    COLLAPSE,
                                    COLLAPSE,
                                    COLLAPSE,
                                    COLLAPSE,
                                    MADV_DONTNEED,
                                    MADV_NOHUGEPAGE,
                                    MADV_HUGEPAGE,
                                    MADV_COLD,
                                    MADV_POPULATE_READ,
                                    MADV_POPULATE_WRITE,
                                    MADV_REMOVE};

static struct step gen_shmem_step(struct rng *r)
{
    struct step s = gen_step(r);
    uint64_t what = pick(r, 12);
    if (what < 2) {
        s = (struct step){.kind = what == 0 ? TRUNCATE : PUNCH};
        gen_range(r, &s);
        if (pick(r, 3) == 0)
            s.len = 1 + pick(r, s.len);
        if (what == 0 && pick(r, 3) == 0)
            s.addr = 5 * HP * K;
    } else if (s.kind == MAP && pick(r, 8)) {
        map_of_file(r, &s);
    } else if (s.kind == ADVISE && pick(r, 4)) {
        s.arg = shmem_advices[pick(r, ARRAY_LEN(shmem_advices))];
    }
    return s;
}

static unsigned gen_shmem(struct rng *r, unsigned n, struct step *steps)
{
    steps[0] =
        (struct step){.kind = MAP, .len = WINDOW * K, .prot = RW, .flags = MAP_SHARED, .arg = 1};
    for (unsigned i = 1; i < n; i++)
        steps[i] = gen_shmem_step(r);
    for (unsigned i = 1; i < 4 && pick(r, 4); i++) { /* something is huge before the rest begins */
        steps[i] = (struct step){.kind = ADVISE, .arg = i < 2 ? MADV_POPULATE_WRITE : COLLAPSE};
        gen_range(r, &steps[i]);
        if (i < 2 && pick(r, 4))
            steps[i].addr = 0, steps[i].len = WINDOW * K;
    }
    return n;
}

static unsigned gen(uint64_t seed, struct step *steps)
{
    struct rng r = {seed};
    unsigned n = 8 + (unsigned)pick(&r, STEPS_MAX - 8);
    if (seed > SHMEM_SEEDS)
        return gen_shmem(&r, n, steps);
    steps[0] = (struct step){.kind = MAP, .len = WINDOW * K, .prot = RW};
    steps[1] = (struct step){.kind = ADVISE, .len = WINDOW * K, .arg = MADV_HUGEPAGE};
    if (pick(&r, 2)) /* in pieces: not all of the window is advised */
        gen_range(&r, &steps[1]);
    for (unsigned i = 2; i < n; i++)
        steps[i] = gen_step(&r);
    return n;
}

static void print_step(const struct step *s)
{
    static const char *const names[] = {"mmap", "munmap", "mprotect", "mremap", "madvise",
                                        "read", "write",  "mlock",    "fork",   "child",
                                        "exit", "trunc",  "punch"};
    fprintf(stderr, "  %-8s page %4llu len %4llu", names[s->kind],
            (unsigned long long)(s->addr / K), (unsigned long long)(s->len / K));
    if (s->len % K)
        fprintf(stderr, "+%llu", (unsigned long long)(s->len % K));
    if (s->kind == MAP && s->arg)
        fprintf(stderr, " of file page %llu", (unsigned long long)(s->addr2 / K));
    if (s->kind == MAP || s->kind == PROTECT)
        fprintf(stderr, " prot %u flags %#x", s->prot, s->flags);
    if (s->kind == REMAP)
        fprintf(stderr, " to %llu", (unsigned long long)(s->addr2 / K));
    if (s->kind == ADVISE || s->kind == LOCK || s->kind == CHILD)
        fprintf(stderr, " arg %d", s->arg);
    fputc('\n', stderr);
}

static const uint32_t move = MREMAP_MAYMOVE | MREMAP_FIXED;
static uint32_t map_flags(const struct step *s)
{
    return s->flags | MAP_FIXED | (s->arg ? 0 : MAP_PRIVATE | MAP_ANONYMOUS);
}

/* -- the real kernel ------------------------------------------------------------------------- */

static volatile sig_atomic_t got_code;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    got_signal = sig;
    got_code = info->si_code;
    siglongjmp(jump, 1);
}

__attribute__((no_sanitize("address", "undefined", "thread"), noinline)) static void
native_touch(uint64_t addr, uint64_t len, bool write)
{
    for (uint64_t a = addr; a < addr + len; a += K)
        if (write)
            *(volatile char *)(uintptr_t)a = 1;
        else
            (void)*(volatile char *)(uintptr_t)a;
}

static void child_step(const struct step *s)
{
    native_touch(BASE + s->addr, s->len, s->arg);
}

struct native {
    int pagemap, kpageflags, maps, status, smaps;
};

static int memfd = -1;

__attribute__((noinline)) static int64_t native_call(const struct step *s)
{
    uint64_t a = BASE + s->addr;
    int fd = s->len == 0 ? -1 : memfd; /* warming up changes nothing */
    long r = 0;
    switch (s->kind) {
    case MAP:
        r = syscall(SYS_mmap, a, s->len, s->prot, map_flags(s), s->arg ? fd : -1, s->addr2);
        break;
    case UNMAP:
        r = syscall(SYS_munmap, a, s->len);
        break;
    case PROTECT:
        r = syscall(SYS_mprotect, a, s->len, s->prot);
        break;
    case REMAP:
        r = syscall(SYS_mremap, a, s->len, s->len, move, BASE + s->addr2);
        break;
    case ADVISE:
        r = syscall(SYS_madvise, a, s->len, s->arg);
        break;
    case TRUNCATE:
        r = syscall(SYS_ftruncate, fd, s->addr + s->len);
        break;
    case PUNCH:
        r = syscall(SYS_fallocate, fd, 3 /* PUNCH_HOLE, KEEP_SIZE */, s->addr, s->len);
        break;
    case FORK:
        child_fork();
        break;
    case CHILD:
        child_touch(s);
        break;
    case EXIT:
        child_exit();
        break;
    case LOCK:
        r = s->arg ? syscall(SYS_mlock, a, s->len) : syscall(SYS_munlock, a, s->len);
        break;
    default:
        native_touch(a, s->len, s->kind == WRITE);
    }
    return r == -1 ? -errno : r;
}

static char slurped[1 << 17];

static void slurp(int fd)
{
    size_t n = 0;
    ssize_t got;
    lseek(fd, 0, SEEK_SET);
    while (n < sizeof(slurped) - 1 && (got = read(fd, slurped + n, sizeof(slurped) - 1 - n)) > 0)
        n += (size_t)got;
    slurped[n] = '\0';
}

static void put_vma(struct seen *o, uint64_t start, uint64_t end, const char *perms)
{
    size_t n = strlen(o->vmas);
    snprintf(o->vmas + n, sizeof(o->vmas) - n, "%lld-%lld %s\n", (long long)(start - BASE) / 4096,
             (long long)(end - BASE) / 4096, perms);
}

/* smaps tells VMAs and AnonHugePages at once. */
static void native_vmas(const struct native *k, struct seen *o)
{
    bool ours = false;
    o->vmas[0] = '\0';
    o->huge_kb = o->shmem_kb = 0;
    slurp(k->smaps);
    for (char *line = strtok(slurped, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long long start, end, kb;
        char perms[8];
        if (sscanf(line, "%llx-%llx %4s", &start, &end, perms) == 3) {
            ours = start > BASE - NEAR && start < BASE + NEAR;
            if (ours)
                put_vma(o, start, end, perms);
        } else if (ours && sscanf(line, "AnonHugePages: %llu", &kb) == 1) {
            o->huge_kb += kb;
        } else if (ours && sscanf(line, "ShmemPmdMapped: %llu", &kb) == 1) {
            o->shmem_kb += kb;
        }
    }
}

static uint8_t native_page(uint64_t map, uint64_t flags)
{
    uint8_t p = PG_PRESENT;
    p |= flags >> 24 & 1 ? PG_ZERO : 0;
    p |= flags >> 22 & 1 ? PG_THP : 0;
    p |= flags >> 15 & 1 ? PG_HEAD : 0;
    if (p & PG_ZERO)
        return p;
    p |= map >> 56 & 1 ? PG_ALONE : 0;
    p |= flags >> 4 & 1 ? PG_DIRTY_F : 0;
    return p | (flags >> 34 & 1 ? PG_EXCLUSIVE : 0);
}

static void native_pages(const struct native *k, struct seen *o)
{
    static uint64_t e[WINDOW], flags[WINDOW];
    const uint64_t mask = BIT(55) - 1;
    if (pread(k->pagemap, e, sizeof(e), (off_t)(BASE / K * 8)) != sizeof(e))
        return;
    for (unsigned i = 0, n; i < WINDOW; i += n) {
        n = 1;
        while (i + n < WINDOW && (e[i] >> 63) && (e[i + n] & mask) == (e[i] & mask) + n)
            n++;
        flags[i] = 0;
        if (e[i] >> 63 && pread(k->kpageflags, &flags[i], n * 8, (off_t)((e[i] & mask) * 8)) < 0)
            return;
    }
    for (unsigned i = 0; i < WINDOW; i++)
        o->pages[i] = e[i] >> 63 ? native_page(e[i], flags[i]) : 0;
}

static int64_t native_pte_kb(const struct native *k)
{
    slurp(k->status);
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
        r = native_call(s);
    getrusage(RUSAGE_SELF, &after);
    o->minflt = (uint64_t)(after.ru_minflt - before.ru_minflt);
    o->result = r;
    o->signal = got_signal;
    o->code = got_code;
    native_vmas(k, o);
    native_pages(k, o);
    o->pte_kb = native_pte_kb(k);
}

static void native_open(struct native *k)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    k->pagemap = open("/proc/self/pagemap", O_RDONLY);
    k->kpageflags = open("/proc/kpageflags", O_RDONLY);
    k->status = open("/proc/self/status", O_RDONLY);
    k->smaps = open("/proc/self/smaps", O_RDONLY);
}

static void native_child(const struct step *steps, unsigned n, struct seen *out)
{
    static struct seen warm, warm2;
    const uint64_t nowhere = 0 - GIB(64);
    struct native k;
    native_open(&k);
    memfd = (int)syscall(SYS_memfd_create, "thp", 0);
    if (ftruncate(memfd, (off_t)(WINDOW * K)) != 0)
        _exit(1);
    memset(out, 0, STEPS_MAX * sizeof(*out));
    for (int i = 0; i < 3 * KIND_NR; i++) /* calls that fail: code and stack are touched then */
        native_step(&k, &(struct step){.kind = (enum kind)(i % KIND_NR), .addr = 1}, &warm);
    native_step(&k, &(struct step){.kind = READ, .len = K}, &warm);
    for (unsigned i = 0; i < n; i++) {
        native_step(&k, &steps[i], &out[i]);
        out[i].pte_kb -= warm.pte_kb;
        for (int w = 0; w < 2 && steps[i].kind == FORK; w++) /* own pages are shared now */
            native_step(&k, &(struct step){.kind = WRITE, .addr = nowhere, .len = K}, &warm2);
    }
    child_exit();
    _exit(0);
}

static bool run_native(const struct step *steps, unsigned n, struct seen *out)
{
    int status;
    memset(out, 0, STEPS_MAX * sizeof(*out));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        native_child(steps, n, out);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* -- the model ------------------------------------------------------------------------------- */

static struct mm *model_child;
static struct mm_file *model_file;

/* What the page contains counts: a split gives up pages of zeroes. */
static void store(struct box *b, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    pfn n = {pte_leaf_pfn(*e, level).v + (level == 0 ? 0 : a / K % HP)};
    *(char *)phys_bytes(b->phys, n) = 1;
}

static void model_touch(struct box *b, const struct step *s, bool write, struct seen *o)
{
    uint64_t a = BASE + s->addr;
    for (uint64_t end = a + s->len; a < end && o->signal == 0; a += K) {
        struct mm_verdict v = touch(b, a, write);
        if (write && v.signal == 0)
            store(b, a);
        o->signal = v.signal;
        o->code = v.signal ? v.si_code : 0;
    }
}

static void model_family(struct box *b, const struct step *s)
{
    struct seen ignored = {0};
    struct box in_child = *b;
    in_child.mm = model_child;
    if (s->kind == FORK && !model_child)
        assert_int_equal(mm_fork(&model_child, b->mm), 0);
    else if (s->kind == CHILD && model_child)
        model_touch(&in_child, s, s->arg, &ignored);
    else if (s->kind == EXIT && model_child) {
        mm_close(model_child);
        model_child = NULL;
    }
}

static int64_t model_call(struct box *b, const struct step *s, struct seen *o)
{
    uint64_t a = BASE + s->addr;
    switch (s->kind) {
    case MAP:
        return map_full(b, a, s->len, s->prot, map_flags(s), s->arg ? model_file : NULL, s->addr2);
    case UNMAP:
        return mm_munmap(b->mm, va(a), s->len);
    case PROTECT:
        return mm_mprotect(b->mm, va(a), s->len, s->prot);
    case REMAP:
        return mm_mremap(b->mm, va(a), s->len, s->len, move, va(BASE + s->addr2), false);
    case ADVISE:
        return mm_madvise(b->mm, va(a), s->len, s->arg);
    case LOCK:
        return s->arg ? mm_mlock(b->mm, va(a), s->len, 0) : mm_munlock(b->mm, va(a), s->len);
    case TRUNCATE:
        return mm_ftruncate(b->sys, model_file, s->addr + s->len);
    case PUNCH:
        return mm_fallocate_punch(b->sys, model_file, s->addr, s->len);
    case FORK:
    case CHILD:
    case EXIT:
        model_family(b, s);
        return 0;
    default:
        model_touch(b, s, s->kind == WRITE, o);
        return 0;
    }
}

static void model_vmas(const struct box *b, struct seen *o)
{
    for (const struct vma *v = mm_vma_next(b->mm, va(0)); v; v = v->next) {
        char perms[8] = {v->flags & VM_READ ? 'r' : '-', v->flags & VM_WRITE ? 'w' : '-',
                         v->flags & VM_EXEC ? 'x' : '-', v->flags & VM_MAYSHARE ? 's' : 'p', 0};
        put_vma(o, v->start.v, v->end.v, perms);
    }
}

static uint8_t model_page(struct box *b, uint64_t a, pte e, unsigned level)
{
    uint64_t i = level == 0 ? 0 : a / K % HP;
    pfn n = {pte_leaf_pfn(e, level).v + i};
    const struct frame *f = phys_frame(b->phys, n);
    const struct frame *head = f->flags & FRAME_F_TAIL ? f - n.v % BIT(f->order) : f;
    bool zero = head->flags & FRAME_F_ZERO_PAGE;
    bool thp = head->order == 9 || (head->owner == FRAME_SHMEM && head->order > 0);
    uint8_t p = PG_PRESENT | (zero ? PG_ZERO : 0) | (thp ? PG_THP : 0);
    p |= head->order > 0 && f == head ? PG_HEAD : 0;
    if (zero)
        return p;
    /* Of a huge entry the kernel asks its first page only (pagemap_pmd_range). */
    p |= (level == 1 ? head : f)->mapcount + head->entire == 1 ? PG_ALONE : 0;
    p |= head->flags & FRAME_F_DIRTY ? PG_DIRTY_F : 0;
    return p |
           (head->flags & FRAME_F_EXCLUSIVE ? PG_EXCLUSIVE : 0); /* tails show the head's flags */
}

static void model_pages(struct box *b, struct seen *o)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(b->mm), va(BASE + i * K), &level);
        o->pages[i] = e ? model_page(b, BASE + i * K, *e, level) : 0;
        if (e && level == 1 && i % HP == 0 && !(e->v & PTE_SPECIAL))
            *(phys_frame(b->phys, pte_leaf_pfn(*e, 1))->owner == FRAME_SHMEM ? &o->shmem_kb
                                                                             : &o->huge_kb) += 2048;
    }
}

static int run_model(const struct step *steps, unsigned n, struct seen *out)
{
    struct box b;
    int broken = 0;
    memset(out, 0, STEPS_MAX * sizeof(*out));
    box_conf(&b, MIB(256));
    b.conf.phys_contents = true;
    const char *shmem = getenv("PW_SHMEM_ENABLED"); /* as global_shmem has set it on the host */
    if (shmem)
        assert_int_equal(conf_set(&b.conf, "thp.shmem_enabled", shmem, NULL, 0), 0);
    box_start(&b);
    struct mm_task task = *mm_task(b.mm);
    task.rlimit[MM_RLIM_MEMLOCK].cur = MM_RLIM_INFINITY; /* root may lock all of it */
    mm_set_task(b.mm, &task);
    assert_int_equal(mm_memfd(b.sys, "thp", 0, &model_file), 0);
    assert_int_equal(mm_ftruncate(b.sys, model_file, WINDOW * K), 0);
    for (unsigned i = 0; i < n && !broken; i++) {
        struct mm_counters before = counters(&b);
        out[i].result = model_call(&b, &steps[i], &out[i]);
        out[i].minflt = counters(&b).minflt - before.minflt;
        out[i].pte_kb = (int64_t)counters(&b).pte_bytes / 1024;
        model_vmas(&b, &out[i]);
        model_pages(&b, &out[i]);
        broken = mm_audit(b.mm);
        if (pt_audit(mm_pt(b.mm), 46) != 0)
            broken = 100;
        b.out.n = 0;
    }
    model_family(&b, &(struct step){.kind = EXIT});
    mm_file_put(b.sys, model_file);
    if (!broken)
        box_close(&b);
    return broken;
}

/* -- comparing ------------------------------------------------------------------------------- */

static const char *differs(const struct step *s, const struct seen *k, const struct seen *m)
{
    bool spurious = s->kind == WRITE && m->minflt > 0;
    if (k->result != m->result)
        return "result";
    if (k->signal != m->signal || k->code != m->code)
        return "signal";
    if (s->kind != FORK && s->kind != CHILD && s->kind != EXIT &&
        (k->minflt < m->minflt || k->minflt > m->minflt + (spurious ? FAULTS_EXTRA : 0)))
        return "minor faults";
    if (strcmp(k->vmas, m->vmas) != 0)
        return "VMAs";
    if (k->huge_kb != m->huge_kb)
        return "AnonHugePages";
    if (k->shmem_kb != m->shmem_kb)
        return "ShmemPmdMapped";
    if (memcmp(k->pages, m->pages, sizeof(k->pages)) != 0)
        return "pages";
    return k->pte_kb != m->pte_kb ? "VmPTE" : NULL;
}

static void print_seen(const char *who, const struct seen *o)
{
    fprintf(stderr,
            "%s: result %lld signal %d code %d minflt %llu VmPTE %lld kB huge %llu kB shmem %llu "
            "kB\n%s",
            who, (long long)o->result, o->signal, o->code, (unsigned long long)o->minflt,
            (long long)o->pte_kb, (unsigned long long)o->huge_kb, (unsigned long long)o->shmem_kb,
            o->vmas);
    for (unsigned i = 0, n; i < WINDOW; i += n) {
        for (n = 1; i + n < WINDOW && o->pages[i + n] == o->pages[i];)
            n++;
        if (o->pages[i])
            fprintf(stderr, " %u+%u:%02x", i, n, o->pages[i]);
    }
    fputc('\n', stderr);
}

static void report(uint64_t seed, struct step *steps, unsigned n)
{
    unsigned at = 0;
    const char *first = compare(steps, n, &at);
    fprintf(stderr, "seed %llu: %s differ at step %u of %u; shrunk:\n", (unsigned long long)seed,
            first ? first : "(not again)", at, n);
    n = shrink(steps, n);
    const char *what = compare(steps, n, &at);
    fprintf(stderr, "%s differ at step %u\n", what ? what : "(not again)", at);
    for (unsigned i = 0; i < n; i++)
        print_step(&steps[i]);
    print_seen("kernel", &real[at]);
    print_seen("model ", &model[at]);
}

/* -- the test -------------------------------------------------------------------------------- */

static bool reads(const char *path, const char *want)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    slurp(fd);
    close(fd);
    return strstr(slurped, want) != NULL;
}

static const char *why_not(void)
{
    struct utsname u;
    unsigned major = 0, minor = 0;
    if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
        return "the kernel does not tell its version";
    if (major * 100 + minor < 617)
        return "the running kernel is older than 6.17, whose rules the model follows";
    if (!reads("/sys/kernel/mm/transparent_hugepage/enabled", "[madvise]"))
        return "huge pages are not on by advice";
    if (geteuid() != 0 || access("/proc/kpageflags", R_OK) != 0)
        return "/proc/kpageflags cannot be read";
    return NULL;
}

static void agree(uint64_t seeds)
{
    const char *only = getenv("PW_SEED"), *count = getenv("PW_SEQUENCES"), *why = why_not();
    uint64_t first = only ? strtoull(only, NULL, 0) : seeds + 1;
    uint64_t n_seq = only ? 1 : count ? strtoull(count, NULL, 0) : SEQUENCES;
    unsigned bad = 0;
    if (why) {
        fprintf(stderr, "skipped: %s\n", why);
        skip();
    }
    real =
        mmap(NULL, STEPS_MAX * sizeof(*real), RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    assert_true(real != MAP_FAILED);
    for (uint64_t seed = first; seed < first + n_seq && bad < 5; seed++) {
        struct step steps[STEPS_MAX];
        unsigned n = gen(seed, steps);
        if (differs_for_sure(steps, n)) {
            report(seed, steps, n);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

static void huge_pages_agree_with_the_running_kernel_step_by_step(void **state)
{
    (void)state;
    agree(0);
}

static void huge_pages_of_shared_memory_agree_with_the_running_kernel(void **state)
{
    (void)state;
    agree(SHMEM_SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge_pages_agree_with_the_running_kernel_step_by_step),
        cmocka_unit_test(huge_pages_of_shared_memory_agree_with_the_running_kernel),
    };
    if (!getenv("PW_SHMEM_ENABLED")) /* global_shmem holds the lock while it runs this */
        host_settings_stay();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
