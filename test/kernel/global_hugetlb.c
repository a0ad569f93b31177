/* global_hugetlb.c: hugetlb on the running kernel and on the model: random sequences of mappings,
 * touches, forks and changes of the pool in a window of eight huge pages. After every step must agree:
 *
 *   result or errno · signal · minor faults of the step · HugePages_Total, Free, Rsvd, Surp ·
 *   HugetlbPages of the process · which pages of the window are present
 *
 * It changes the pools of the host while it runs: takes the lock of the global tests, refuses where pools
 * are in use, and restores nr_hugepages and nr_overcommit_hugepages on any exit. make
 * check-kernel-global runs it; SEED and SEQUENCES in PW_SEED and PW_SEQUENCES.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE      UINT64_C(0x200000000000)
#define M2        MIB(2)
#define WINDOW    8u /* huge pages */
#define POOL      4u
#define STEPS_MAX 24u
#define SEQUENCES 300u
#define VM        "/proc/sys/vm/"

enum kind {
    MAP,
    UNMAP,
    PROTECT,
    ADVISE,
    READ,
    WRITE,
    MOVE,
    FORK,
    CHILD,
    EXIT,
    SET_NR,
    SET_OVER,
    KIND_NR
};
struct step {
    enum kind kind;
    unsigned at, n, to; /* huge pages of the window */
    uint32_t flags;     /* MAP_… */
    int arg;            /* prot, advice, pages of the pool; CHILD: 1 writes */
};
struct seen {
    int64_t result;
    int signal;
    uint64_t minflt;
    uint64_t pool[4];
    uint64_t huge_kb;
    char pages[WINDOW + 1];
};

#include "diff/steps.h" /* needs these two */

static uint64_t pick(struct rng *r, uint64_t n)
{
    return rng_below(r, n);
}

static struct step gen_step(struct rng *r)
{
    static const uint32_t flags[] = {MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED,
                                     MAP_PRIVATE | MAP_NORESERVE, MAP_SHARED | MAP_NORESERVE};
    static const int advices[] = {MADV_DONTNEED, MADV_DONTNEED, MADV_REMOVE, MADV_FREE};
    static const int prots[] = {RW, RW, PROT_READ, PROT_NONE};
    static const enum kind kinds[] = {MAP,  MAP,   MAP,   UNMAP, PROTECT, ADVISE, ADVISE,  READ,
                                      READ, READ,  WRITE, WRITE, WRITE,   WRITE,  MOVE,    FORK,
                                      FORK, CHILD, CHILD, CHILD, EXIT,    SET_NR, SET_OVER};
    struct step s = {.kind = kinds[pick(r, ARRAY_LEN(kinds))]};
    s.at = (unsigned)pick(r, WINDOW);
    s.n = 1 + (unsigned)pick(r, min_u64(4, WINDOW - s.at));
    s.to = (unsigned)pick(r, WINDOW - s.n + 1);
    s.flags = flags[pick(r, ARRAY_LEN(flags))];
    s.arg = (int)pick(r, 2);
    if (s.kind == ADVISE)
        s.arg = advices[pick(r, ARRAY_LEN(advices))];
    if (s.kind == PROTECT)
        s.arg = prots[pick(r, ARRAY_LEN(prots))];
    if (s.kind == SET_NR)
        s.arg = (int)pick(r, POOL + 3);
    if (s.kind == SET_OVER)
        s.arg = (int)pick(r, 4);
    return s;
}

static unsigned gen(uint64_t seed, struct step *steps)
{
    struct rng r = {seed};
    unsigned n = 6 + (unsigned)pick(&r, STEPS_MAX - 6);
    for (unsigned i = 0; i < n; i++)
        steps[i] = gen_step(&r);
    return n;
}

static void print_step(const struct step *s)
{
    static const char *const names[] = {"mmap",  "munmap", "mprotect", "madvise",
                                        "read",  "write",  "mremap",   "fork",
                                        "child", "exit",   "nr",       "overcommit"};
    fprintf(stderr, "  %-10s at %u n %u to %u flags %#x arg %d\n", names[s->kind], s->at, s->n,
            s->to, s->flags, s->arg);
}

/* A move of a part of a mapping is left out: Linux 6.18 then forgets the promises to the rest, which
 * stay in HugePages_Rsvd until the next boot. The model, which runs first, says where. */
static bool left_out[STEPS_MAX];

static const uint32_t always = MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED;

/* Pages promised for good to nobody, as such moves left them: somebody has them in the model. */
static uint64_t lost;

static volatile pid_t subject; /* performs a sequence on the kernel */

/* -- the kernel ------------------------------------------------------------------------------- */

static int64_t get_number(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    return n > 0 ? strtoll(text, NULL, 10) : -1;
}

static void set_number(const char *path, int64_t value)
{
    char text[32];
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int n = snprintf(text, sizeof(text), "%lld", (long long)value);
    if (fd >= 0 && write(fd, text, (size_t)n) == n)
        close(fd);
}

static void on_fault(int sig)
{
    got_signal = sig;
    siglongjmp(jump, 1);
}

__attribute__((noinline)) static void native_touch(const struct step *s, bool write)
{
    for (unsigned i = 0; i < s->n; i++) {
        volatile char *p = (char *)(uintptr_t)(BASE + (s->at + i) * M2);
        if (write)
            *p = 1;
        else
            (void)*p;
    }
}

static void child_step(const struct step *s)
{
    native_touch(s, s->arg);
}

static int64_t native_call(const struct step *s)
{
    uint64_t a = BASE + s->at * M2, len = s->n * M2;
    switch (s->kind) {
    case MAP:
        return syscall(SYS_mmap, a, len, RW, s->flags | always, -1, 0);
    case UNMAP:
        return syscall(SYS_munmap, a, len);
    case PROTECT:
        return syscall(SYS_mprotect, a, len, s->arg);
    case ADVISE:
        return syscall(SYS_madvise, a, len, s->arg);
    case MOVE:
        return syscall(SYS_mremap, a, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, BASE + s->to * M2);
    case FORK:
        child_fork();
        return 0;
    case CHILD:
        return child_touch(s);
    case EXIT:
        child_exit();
        return 0;
    case SET_NR:
        set_number(VM "nr_hugepages", s->arg + (int64_t)lost);
        return 0;
    case SET_OVER:
        set_number(VM "nr_overcommit_hugepages", s->arg);
        return 0;
    default:
        native_touch(s, s->kind == WRITE);
        return 0;
    }
}

static uint64_t line_of(const char *path, const char *word)
{
    char line[256];
    uint64_t value = 0;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, word, strlen(word)) == 0)
            value = strtoull(line + strlen(word), NULL, 10);
    if (f)
        fclose(f);
    return value;
}

static void native_look(struct seen *o)
{
    static const char *const rows[] = {
        "HugePages_Total:", "HugePages_Free:", "HugePages_Rsvd:", "HugePages_Surp:"};
    uint64_t e;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < 4; i++)
        o->pool[i] = line_of("/proc/meminfo", rows[i]);
    o->huge_kb = line_of("/proc/self/status", "HugetlbPages:");
    for (unsigned i = 0; i < WINDOW; i++) {
        bool got = pread(fd, &e, 8, (off_t)((BASE + i * M2) / K * 8)) == 8;
        o->pages[i] = got && e >> 63 ? 'p' : '.';
    }
    close(fd);
}

static void native_step(const struct step *s, struct seen *o)
{
    struct rusage before, after;
    volatile int64_t r = 0;
    got_signal = 0;
    getrusage(RUSAGE_SELF, &before);
    if (sigsetjmp(jump, 1) == 0)
        r = native_call(s);
    getrusage(RUSAGE_SELF, &after);
    o->result = r == -1 ? -errno : r;
    o->signal = got_signal;
    o->minflt = (uint64_t)(after.ru_minflt - before.ru_minflt);
    native_look(o);
}

static void native_child(const struct step *steps, unsigned n, struct seen *out)
{
    static struct seen warm;
    const struct step calm = {.kind = READ, .at = 0, .n = 1};
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    memset(out, 0, STEPS_MAX * sizeof(*out));
    for (int i = 0; i < 3; i++)
        for (enum kind k = MAP; k <= MOVE; k++) /* of nothing: code and stack are touched then */
            native_step(&(struct step){.kind = k, .n = 0}, &warm);
    native_step(&calm, &warm);
    for (unsigned i = 0; i < n; i++) {
        native_step(left_out[i] ? &(struct step){.kind = READ} : &steps[i], &out[i]);
        for (int w = 0; w < 2 && steps[i].kind == FORK; w++)
            native_step(&(struct step){.kind = WRITE, .at = 1u << 20, .n = 1}, &warm);
    }
    child_exit();
    _exit(0);
}

static bool run_native(const struct step *steps, unsigned n, struct seen *out)
{
    int status;
    set_number(VM "nr_overcommit_hugepages", 0);
    set_number(VM "nr_hugepages", POOL + (int64_t)lost);
    fflush(NULL);
    subject = fork();
    if (subject == 0)
        native_child(steps, n, out);
    bool ended = subject > 0 && waitpid(subject, &status, 0) == subject;
    subject = 0;
    return ended && status == 0;
}

/* -- the model -------------------------------------------------------------------------------- */

static int model_touch(struct box *b, struct mm *m, const struct step *s, bool write)
{
    struct box at = *b;
    at.mm = m;
    for (unsigned i = 0; i < s->n; i++) {
        struct mm_verdict v = touch(&at, BASE + (s->at + i) * M2, write);
        if (v.signal)
            return v.signal;
    }
    return 0;
}

static struct mm *model_child;

static int64_t model_call(struct box *b, const struct step *s, struct seen *o)
{
    uint64_t a = BASE + s->at * M2, len = s->n * M2;
    switch (s->kind) {
    case MAP:
        return map_full(b, a, len, RW, s->flags | always, NULL, 0);
    case UNMAP:
        return mm_munmap(b->mm, va(a), len);
    case PROTECT:
        return mm_mprotect(b->mm, va(a), len, (uint32_t)s->arg);
    case ADVISE:
        return mm_madvise(b->mm, va(a), len, s->arg);
    case MOVE:
        return mm_mremap(b->mm, va(a), len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
                         va(BASE + s->to * M2), false);
    case FORK:
        return model_child ? 0 : mm_fork(&model_child, b->mm);
    case CHILD:
        return model_child ? model_touch(b, model_child, s, s->arg) : 0;
    case EXIT:
        if (model_child)
            mm_close(model_child);
        model_child = NULL;
        return 0;
    case SET_NR:
        return mm_sysctl(b->sys, "nr_hugepages", (uint64_t)s->arg + lost);
    case SET_OVER:
        return mm_sysctl(b->sys, "nr_overcommit_hugepages", (uint64_t)s->arg);
    default:
        o->signal = model_touch(b, b->mm, s, s->kind == WRITE);
        return 0;
    }
}

static void model_look(struct box *b, struct seen *o)
{
    struct mm_hugetlb_info i;
    mm_hugetlb_info(b->sys, MM_HUGETLB_2M, &i);
    o->pool[0] = i.nr;
    o->pool[1] = i.free;
    o->pool[2] = i.resv;
    o->pool[3] = i.surplus;
    o->huge_kb = counters(b).hugetlb * 4;
    for (unsigned k = 0; k < WINDOW; k++) {
        unsigned level;
        o->pages[k] = pt_leaf(mm_pt(b->mm), va(BASE + k * M2), &level) ? 'p' : '.';
    }
}

static bool moves_a_part(const struct box *b, const struct step *s)
{
    uint64_t a = BASE + s->at * M2;
    for (const struct vma *v = mm_vma_next(b->mm, va(a)); v && v->start.v < a + s->n * M2;
         v = v->next)
        if (v->start.v < a || v->end.v > a + s->n * M2)
            return true;
    return false;
}

static int run_model(const struct step *steps, unsigned n, struct seen *out)
{
    struct box b;
    int broken = 0;
    memset(out, 0, STEPS_MAX * sizeof(*out));
    box_conf(&b, MIB(256));
    b.conf.hugetlb_2m = POOL + lost;
    box_start(&b);
    struct box holder = b;
    assert_int_equal(mm_open(&holder.mm, b.sys), 0);
    if (lost > 0)
        map_full(&holder, BASE, lost * M2, RW, MAP_PRIVATE | always, NULL, 0);
    for (unsigned i = 0; i < n && !broken; i++) {
        uint64_t before = counters(&b).minflt;
        left_out[i] = steps[i].kind == MOVE && moves_a_part(&b, &steps[i]);
        if (!left_out[i])
            out[i].result = model_call(&b, &steps[i], &out[i]);
        out[i].minflt = counters(&b).minflt - before;
        model_look(&b, &out[i]);
        broken = mm_audit(b.mm);
        b.out.n = 0;
    }
    model_call(&b, &(struct step){.kind = EXIT}, &out[0]);
    mm_close(holder.mm);
    if (!broken)
        box_close(&b);
    return broken;
}

/* -- comparing -------------------------------------------------------------------------------- */

static const char *differs(const struct step *s, const struct seen *k, const struct seen *m)
{
    bool quiet = s->kind < FORK;
    if (k->result != m->result)
        return "result";
    if (k->signal != m->signal)
        return "signal";
    if (memcmp(k->pool, m->pool, sizeof(k->pool)) != 0)
        return "pool";
    if (k->huge_kb != m->huge_kb)
        return "HugetlbPages";
    if (strcmp(k->pages, m->pages) != 0)
        return "pages";
    return quiet && k->minflt != m->minflt ? "minor faults" : NULL;
}

static void print_seen(const char *who, const struct seen *o)
{
    fprintf(stderr,
            "%s: result %lld signal %d minflt %llu total %llu free %llu rsvd %llu surp %llu "
            "mapped %llu kB %s\n",
            who, (long long)o->result, o->signal, (unsigned long long)o->minflt,
            (unsigned long long)o->pool[0], (unsigned long long)o->pool[1],
            (unsigned long long)o->pool[2], (unsigned long long)o->pool[3],
            (unsigned long long)o->huge_kb, o->pages);
}

static void report(uint64_t seed, struct step *steps, unsigned n)
{
    unsigned at = 0;
    n = shrink(steps, n);
    const char *what = compare(steps, n, &at);
    fprintf(stderr, "seed %llu: %s differs at step %u\n", (unsigned long long)seed,
            what ? what : "(not again)", at);
    for (unsigned i = 0; i < n; i++)
        print_step(&steps[i]);
    print_seen("kernel", &real[at]);
    print_seen("model ", &model[at]);
}

/* -- the host's knobs ------------------------------------------------------------------------- */

static int64_t old_nr, old_over;
static pid_t owner;

static void restore(void)
{
    if (getpid() != owner)
        return;
    if (subject > 0) { /* it would go on changing them */
        kill(subject, SIGKILL);
        waitpid(subject, NULL, 0);
    }
    set_number(VM "nr_overcommit_hugepages", old_over);
    set_number(VM "nr_hugepages", old_nr);
}

static void on_signal(int sig)
{
    restore();
    _exit(128 + sig);
}

static const char *why_not(void)
{
    if (geteuid() != 0)
        return "only root changes the pools";
    old_nr = get_number(VM "nr_hugepages");
    old_over = get_number(VM "nr_overcommit_hugepages");
    if (old_nr < 0 || old_over < 0)
        return "the kernel has no hugetlb pools";
    uint64_t total = line_of("/proc/meminfo", "HugePages_Total:");
    lost = line_of("/proc/meminfo", "HugePages_Rsvd:");
    bool quiet = total == lost && total == line_of("/proc/meminfo", "HugePages_Free:");
    return quiet ? NULL : "the pools of this host are in use";
}

static const char *take_pool(void)
{
    owner = getpid();
    atexit(restore);
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGABRT, SIGSEGV, SIGBUS};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        signal(ends[i], on_signal);
    set_number(VM "nr_hugepages", POOL + 4 + (int64_t)lost);
    bool got = get_number(VM "nr_hugepages") == POOL + 4 + (int64_t)lost;
    return got ? NULL : "the host has no memory in one piece for a pool";
}

int main(void)
{
    const char *only = getenv("PW_SEED"), *asked = getenv("PW_SEQUENCES");
    uint64_t first = only ? strtoull(only, NULL, 0) : 1;
    uint64_t n_seq = only ? 1 : asked ? strtoull(asked, NULL, 0) : SEQUENCES;
    unsigned bad = 0;
    uint64_t calls = 0;
    int lock = open("/var/tmp/pagewalk-global.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return 1;
    const char *why = why_not();
    why = why ? why : take_pool();
    if (why) {
        printf("skipped: %s\n", why);
        return 0;
    }
    real =
        mmap(NULL, STEPS_MAX * sizeof(*real), RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    for (uint64_t seed = first; seed < first + n_seq && bad < 5; seed++) {
        struct step steps[STEPS_MAX];
        unsigned n = gen(seed, steps);
        calls += n;
        if (differs_for_sure(steps, n)) {
            report(seed, steps, n);
            bad++;
        }
    }
    printf("%llu sequences of hugetlb, %llu calls, %u mismatches\n", (unsigned long long)n_seq,
           (unsigned long long)calls, bad);
    return bad != 0;
}
