/* links: kern */
/* test_flush_kernel.c: the flushes of memory calls and faults, one by one, on the running kernel and in
 * the model: how many pages each has, or that it is of everything.
 *
 * The kernel tells by its tracepoint tlb:tlb_flush, read through perf by a child that runs random calls
 * in a window of four times 2 MiB, on one CPU. Needs the right to do so (root); skipped without.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "diff/host_lock.h"
#include "kern/tlb.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE      UINT64_C(0x200000000000)
#define HP        UINT64_C(512)
#define WINDOW    (4 * HP) /* pages */
#define STEPS_MAX 40
#define FLUSH_MAX 24
#define ALL       UINT64_MAX
#ifdef PW_CHECKS
#define SEQUENCES 60
#else
#define SEQUENCES 200
#endif

enum kind { MAP, UNMAP, PROTECT, REMAP, ADVISE, READ, WRITE, FORK, KIND_NR };
static const char *const names[] = {"mmap",    "munmap", "mprotect", "mremap",
                                    "madvise", "read",   "write",    "fork"};
struct step {
    enum kind kind;
    uint64_t addr, len, to; /* pages of the window */
    int arg;                /* rights, or advice */
    bool shared;            /* MAP: of the memfd */
};
struct flushes {
    unsigned n;
    uint64_t pages[FLUSH_MAX];
};
struct seen {
    int64_t result;
    struct flushes flushes;
};

/* -- random steps ----------------------------------------------------------------------------- */

static bool host_swaps; /* MADV_PAGEOUT would write to its swap; the model has none */

static void gen_range(struct rng *r, struct step *s)
{
    static const uint64_t grains[] = {1, 1, 1, 8, 64, HP, HP};
    uint64_t g = grains[rng_below(r, ARRAY_LEN(grains))];
    s->addr = rng_below(r, WINDOW / g) * g;
    s->len = (1 + rng_below(r, g == 1 ? 50 : g == HP ? 2 : 6)) * g;
    if (s->addr + s->len > WINDOW)
        s->len = WINDOW - s->addr;
}

static struct step gen_step(struct rng *r)
{
    static const int prots[] = {RW, RW, PROT_READ, PROT_READ, PROT_NONE, RX};
    static const int advices[] = {MADV_DONTNEED,
                                  MADV_DONTNEED,
                                  MADV_FREE,
                                  MADV_COLD,
                                  MADV_PAGEOUT,
                                  MADV_HUGEPAGE,
                                  MADV_HUGEPAGE,
                                  MADV_NOHUGEPAGE,
                                  25 /* COLLAPSE */,
                                  102 /* GUARD_INSTALL */,
                                  103};
    static const enum kind kinds[] = {MAP,    UNMAP,  PROTECT, PROTECT, REMAP, REMAP, ADVISE,
                                      ADVISE, ADVISE, READ,    WRITE,   WRITE, WRITE, FORK};
    struct step s = {.kind = kinds[rng_below(r, ARRAY_LEN(kinds))]};
    gen_range(r, &s);
    if (s.kind == MAP || s.kind == PROTECT)
        s.arg = prots[rng_below(r, ARRAY_LEN(prots))];
    if (s.kind == ADVISE)
        s.arg = advices[rng_below(r, ARRAY_LEN(advices))];
    if (s.arg == MADV_PAGEOUT && host_swaps)
        s.arg = MADV_COLD;
    if (s.kind == MAP)
        s.shared = rng_below(r, 3) == 0;
    if (s.kind == REMAP) {
        s.to = rng_below(r, 3) ? align_down(rng_below(r, WINDOW), HP) + s.addr % HP
                               : rng_below(r, WINDOW);
        s.to = s.to + s.len > WINDOW ? WINDOW - s.len : s.to;
    }
    return s;
}

static unsigned gen(uint64_t seed, struct step *steps)
{
    struct rng r = {seed};
    unsigned n = 8 + (unsigned)rng_below(&r, STEPS_MAX - 8);
    steps[0] = (struct step){.kind = MAP, .len = WINDOW, .arg = RW, .shared = seed % 4 == 0};
    steps[1] = (struct step){.kind = ADVISE, .len = WINDOW, .arg = MADV_HUGEPAGE};
    if (seed % 2)
        steps[1].arg = MADV_NOHUGEPAGE;
    for (unsigned i = 2; i < n; i++)
        steps[i] = gen_step(&r);
    return n;
}

/* -- the running kernel ----------------------------------------------------------------------- */

/* tracepoint_id reads tlb:tlb_flush's number from a tracefs that nobody else sees; -1: not to be had. */
static int tracepoint_id(void)
{
    char dir[] = "/tmp/test_flush_kernel.XXXXXX", path[96], text[16] = "";
    int id = -1, fd;
    if (!mkdtemp(dir) || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir, "tracefs", 0, NULL) != 0) {
        rmdir(dir);
        return -1;
    }
    snprintf(path, sizeof(path), "%s/events/tlb/tlb_flush/id", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
        id = atoi(text);
    close(fd);
    umount2(dir, MNT_DETACH);
    rmdir(dir);
    return id;
}

struct probe {
    struct perf_event_mmap_page *head;
    const uint8_t *data;
    uint64_t at, size;
};

static bool probe_open(struct probe *p, int id)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT,
                                   .size = sizeof(attr),
                                   .config = (uint64_t)id,
                                   .sample_period = 1,
                                   .sample_type = PERF_SAMPLE_RAW};
    long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    if (fd < 0)
        return false;
    p->size = 16 * K;
    p->head = mmap(NULL, K + p->size, RW, MAP_SHARED, (int)fd, 0);
    p->data = (const uint8_t *)p->head + K;
    return p->head != MAP_FAILED;
}

static void ring_copy(const struct probe *p, uint64_t at, void *to, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = p->data[(at + i) % p->size];
}

/* own says whether this CPU flushed for a call or fault of its own: TLB_LOCAL_SHOOTDOWN and
 * TLB_LOCAL_MM_SHOOTDOWN. A switch has another reason, and so has what another CPU asks for. */
static bool own(int32_t reason)
{
    return reason == 2 || reason == 3;
}

/* probe_read takes what came since the last time. */
static void probe_read(struct probe *p, struct flushes *ret)
{
    uint64_t end = __atomic_load_n(&p->head->data_head, __ATOMIC_ACQUIRE);
    ret->n = 0;
    while (p->at < end) {
        struct perf_event_header h;
        struct {
            uint32_t size;
            uint8_t common[8];
            int32_t reason;
            uint32_t pad;
            uint64_t pages;
        } __attribute__((packed)) raw;
        ring_copy(p, p->at, &h, sizeof(h));
        ring_copy(p, p->at + sizeof(h), &raw, sizeof(raw));
        p->at += h.size;
        if (h.type == PERF_RECORD_SAMPLE && own(raw.reason) && ret->n < FLUSH_MAX)
            ret->pages[ret->n++] = raw.pages;
    }
    __atomic_store_n(&p->head->data_tail, end, __ATOMIC_RELEASE);
}

static sigjmp_buf jump;

static void on_signal(int sig)
{
    (void)sig;
    siglongjmp(jump, 1);
}

__attribute__((no_sanitize("address", "undefined", "thread"), noinline)) static void
touch_all(uint64_t addr, uint64_t pages, bool write)
{
    for (uint64_t a = addr; a < addr + pages * K; a += K)
        if (write)
            *(volatile char *)(uintptr_t)a = 1;
        else
            (void)*(volatile char *)(uintptr_t)a;
}

static int64_t native_touch(uint64_t addr, uint64_t pages, bool write)
{
    if (sigsetjmp(jump, 1) != 0)
        return -1;
    touch_all(addr, pages, write);
    return 0;
}

static int memfd = -1;
static pid_t child;

/* The child of a fork holds its pages until it is killed. */
static void native_fork(void)
{
    pid_t pid = (pid_t)syscall(SYS_fork);
    while (pid == 0)
        syscall(SYS_pause);
    if (child != 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    child = pid;
}

static int map_flags(const struct step *s)
{
    return MAP_FIXED | (s->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
}

__attribute__((noinline)) static int64_t native_step(const struct step *s)
{
    uint64_t a = BASE + s->addr * K, len = s->len * K;
    long r = 0;
    switch (s->kind) {
    case MAP:
        r = syscall(SYS_mmap, a, len, s->arg, map_flags(s), s->shared ? memfd : -1, s->addr * K);
        break;
    case UNMAP:
        r = syscall(SYS_munmap, a, len);
        break;
    case PROTECT:
        r = syscall(SYS_mprotect, a, len, s->arg);
        break;
    case REMAP:
        r = syscall(SYS_mremap, a, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, BASE + s->to * K);
        break;
    case ADVISE:
        r = syscall(SYS_madvise, a, len, s->arg);
        break;
    case FORK:
        native_fork();
        break;
    default:
        return native_touch(a, s->len, s->kind == WRITE);
    }
    return r == -1 ? -errno : r;
}

/* own_pages copies what a fork left shared of this program's own memory, so that it is not copied, and
 * flushed, while something is counted. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static void own_pages(void)
{
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    for (ssize_t got; (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long long start, end;
        char perms[8];
        if (sscanf(line, "%llx-%llx %4s", &start, &end, perms) != 3 || perms[1] != 'w' ||
            perms[3] != 'p' || end - start > MIB(64) ||
            (start < BASE + GIB(1) && end > BASE - GIB(1)))
            continue;
        for (uint64_t a = start; a < end; a += K) {
            volatile char *c = (volatile char *)(uintptr_t)a;
            *c = *c;
        }
    }
}

/* settle lets all happen once that happens but once, before anything is counted. */
static void settle(struct probe *p, struct seen *scratch)
{
    const struct step nothing = {.kind = UNMAP, .len = 0};
    own_pages();
    for (unsigned i = 0; i < 3; i++) {
        native_touch(BASE - K, 1, true); /* nothing is there */
        scratch->result = native_step(&nothing);
        probe_read(p, &scratch->flushes);
    }
}

static void native_run(int id, const struct step *steps, unsigned n, struct seen *seen)
{
    struct probe p = {0};
    struct seen scratch;
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    memfd = memfd_create("flush", MFD_CLOEXEC);
    if (memfd < 0 || ftruncate(memfd, (off_t)(WINDOW * K)) != 0 || !probe_open(&p, id))
        _exit(2);
    for (unsigned i = 0; i < n; i++) {
        settle(&p, &scratch);
        seen[i].result = native_step(&steps[i]);
        probe_read(&p, &seen[i].flushes);
    }
    if (child != 0)
        kill(child, SIGKILL);
    _exit(0);
}

/* -- the model -------------------------------------------------------------------------------- */

struct model {
    struct box box;
    struct kern_tlb tlb;
    struct kern_space space;
    struct mm *child;
    struct mm_file *file;
};

static void model_open(struct model *m)
{
    box_conf(&m->box, MIB(256));
    m->box.conf.phys_contents = true; /* pages of zeros are told from others */
    box_start(&m->box);
    kern_tlb_open(&m->tlb, &m->box.conf, &m->box.stats);
    init_new_context(&m->tlb, &m->space, mm_id(m->box.mm), mm_pt(m->box.mm)->root);
    switch_mm_irqs_off(&m->tlb, 0, &m->space);
    m->tlb.n_op = 0;
    m->child = NULL;
    assert_int_equal(mm_memfd(m->box.sys, "flush", 0, &m->file), 0);
    assert_int_equal(mm_ftruncate(m->box.sys, m->file, WINDOW * K), 0);
    m->box.out.n = 0;
}

static void model_close(struct model *m)
{
    if (m->child)
        mm_close(m->child);
    mm_munmap(m->box.mm, va(BASE), WINDOW * K);
    mm_file_put(m->box.sys, m->file);
    box_close(&m->box);
}

static int64_t model_touch(struct model *m, uint64_t addr, uint64_t pages, bool write)
{
    const char one = 1;
    for (uint64_t i = 0; i < pages; i++) {
        if (touch(&m->box, addr + i * K, write).signal != 0)
            return -1;
        if (write)
            assert_int_equal(mm_copy_to_user(m->box.mm, va(addr + i * K), &one, 1), 1);
    }
    return 0;
}

static void model_fork(struct model *m)
{
    struct mm *new;
    assert_int_equal(mm_fork(&new, m->box.mm), 0);
    if (m->child)
        mm_close(m->child);
    m->child = new;
}

static int64_t model_step(struct model *m, const struct step *s)
{
    struct mm *mm = m->box.mm;
    uint64_t a = BASE + s->addr * K, len = s->len * K;
    switch (s->kind) {
    case MAP:
        return map_full(&m->box, a, len, (uint32_t)s->arg, (uint32_t)map_flags(s),
                        s->shared ? m->file : NULL, s->shared ? s->addr * K : 0);
    case UNMAP:
        return mm_munmap(mm, va(a), len);
    case PROTECT:
        return mm_mprotect(mm, va(a), len, (uint32_t)s->arg);
    case REMAP:
        return mm_mremap(mm, va(a), len, len, MREMAP_MAYMOVE | MREMAP_FIXED, va(BASE + s->to * K),
                         false);
    case ADVISE:
        return mm_madvise(mm, va(a), len, s->arg);
    case FORK:
        model_fork(m);
        return 0;
    default:
        return model_touch(m, a, s->len, s->kind == WRITE);
    }
}

/* flushes_of carries the outbox to the kernel's half and lists what the core must do. */
static void flushes_of(struct model *m, struct flushes *ret)
{
    ret->n = 0;
    for (uint32_t i = 0; i < m->box.out.n; i++) {
        kern_tlb_message(&m->tlb, 0, &m->box.out.msg[i]);
        for (uint32_t k = 0; k < m->tlb.n_op && ret->n < FLUSH_MAX; k++) {
            const struct kern_tlb_op *o = &m->tlb.op[k];
            ret->pages[ret->n++] = o->kind == TLB_OP_INVLPG ? (o->end - o->start) >> o->shift : ALL;
        }
        m->tlb.n_op = 0;
    }
    m->box.out.n = 0;
}

/* -- comparing -------------------------------------------------------------------------------- */

static void print_flushes(const char *who, const struct seen *s)
{
    fprintf(stderr, "    %s %lld:", who, (long long)s->result);
    for (unsigned i = 0; i < s->flushes.n; i++)
        if (s->flushes.pages[i] == ALL)
            fprintf(stderr, " all");
        else
            fprintf(stderr, " %llu", (unsigned long long)s->flushes.pages[i]);
    fputc('\n', stderr);
}

/* After fork the parent copies its own pages at once: only the first flush is of the fork. */
static bool equal(const struct step *s, struct seen *native, const struct seen *model)
{
    if (s->kind == FORK && native->flushes.n > 1)
        native->flushes.n = 1;
    return native->result == model->result && native->flushes.n == model->flushes.n &&
           memcmp(native->flushes.pages, model->flushes.pages,
                  native->flushes.n * sizeof(uint64_t)) == 0;
}

static bool run(int id, uint64_t seed, bool tell)
{
    static struct step steps[STEPS_MAX];
    static struct model m;
    unsigned n = gen(seed, steps);
    struct seen *native =
        mmap(NULL, sizeof(*native) * STEPS_MAX, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bool same = true;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        native_run(id, steps, n, native);
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    model_open(&m);
    for (unsigned i = 0; i < n && same; i++) {
        struct seen model = {.result = model_step(&m, &steps[i])};
        flushes_of(&m, &model.flushes);
        same = equal(&steps[i], &native[i], &model);
        if (tell)
            fprintf(stderr, "  %s page %llu len %llu to %llu arg %d shared %d\n",
                    names[steps[i].kind], (unsigned long long)steps[i].addr,
                    (unsigned long long)steps[i].len, (unsigned long long)steps[i].to, steps[i].arg,
                    steps[i].shared);
        if (tell && !same) {
            print_flushes("native", &native[i]);
            print_flushes("model ", &model);
        }
    }
    model_close(&m);
    munmap(native, sizeof(*native) * STEPS_MAX);
    return same;
}

static bool swap_is_on(void)
{
    char line[256];
    int lines = 0;
    FILE *f = fopen("/proc/swaps", "r"); /* a line of names, then one for each */
    while (f && fgets(line, sizeof(line), f))
        lines++;
    if (f)
        fclose(f);
    return lines > 1;
}

static void stay_on_one_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void every_call_and_fault_flushes_what_the_running_kernel_flushes(void **state)
{
    const char *first = getenv("PW_SEED"), *many = getenv("PW_SEQUENCES");
    uint64_t seed = first ? strtoull(first, NULL, 10) : 1,
             n = many ? strtoull(many, NULL, 10) : SEQUENCES;
    unsigned bad = 0;
    (void)state;
    host_settings_stay();
    int id = tracepoint_id();
    if (id < 0) {
        print_message("skipped: the tracepoint tlb:tlb_flush cannot be read (root, tracefs)\n");
        skip();
    }
    host_swaps = swap_is_on();
    stay_on_one_cpu();
    for (uint64_t i = seed; i < seed + n && bad < 3; i++) {
        bool same = run(id, i, false);
        for (unsigned again = 0; again < 2 && !same; again++)
            same = run(id, i, again == 1); /* khugepaged may have come in between */
        if (!same)
            fprintf(stderr, "seed %llu\n", (unsigned long long)i);
        bad += !same;
    }
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_and_fault_flushes_what_the_running_kernel_flushes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
