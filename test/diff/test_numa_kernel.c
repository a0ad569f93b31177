/* links: mm */
/* test_numa_kernel.c: NUMA calls of the model against the running kernel, which has one node.
 *
 * A seeded random sequence of mbind, set_mempolicy, get_mempolicy, set_mempolicy_home_node,
 * migrate_pages and move_pages, among maps, unmaps, rights and touches in a window of 24 pages, runs
 * natively in a forked child and on the model. After every step these must agree:
 *
 *   result or errno · what get_mempolicy and move_pages wrote · where each VMA of the window begins
 *   and its policy as numa_maps prints it · which pages are present · which pages have another frame
 *   than before the step (mbind moves pages within the node, too)
 *
 * On a mismatch the sequence is shrunk and printed.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "diff/host_lock.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW    24 /* pages */
#define STEPS_MAX 30
#define BASE      UINT64_C(0x200000200000)
#define WORDS     512 /* of a mask: one page */
#define MOVES     6
#ifdef __SANITIZE_ADDRESS__
#define SEQUENCES 150
#else
#define SEQUENCES 1500
#endif

enum kind { MAP, UNMAP, PROTECT, READ, WRITE, BIND, SET, GET, HOME, MIGRATE, MOVE, KIND_NR };

struct step {
    enum kind kind;
    uint64_t addr, len;   /* bytes from BASE */
    uint32_t prot, flags; /* of mmap; flags of the call */
    int mode;             /* with its flags; home node */
    uint64_t mask[2];     /* first word of the masks */
    uint64_t high;        /* word 16 of the first */
    uint64_t maxnode;
    unsigned readable; /* words of a mask before unreadable memory; 999: NULL is passed */
    bool want;         /* get_mempolicy: a mask; move_pages: nodes */
    uint64_t pages[MOVES];
    int32_t nodes[MOVES];
};
#define NO_MASK 999u

struct seen {
    int64_t result;
    int policy;
    uint64_t nodes;
    int32_t status[MOVES];
    char vmas[1500];
    char pages[WINDOW + 1]; /* . absent, = there, M moved by this step */
};

/* -- generating ------------------------------------------------------------------------------ */

static uint64_t pick(struct rng *r, uint64_t n)
{
    return rng_below(r, n);
}

/* odd_mask makes a mask that is hardly ever good. */
static void odd_mask(struct rng *r, struct step *s)
{
    static const uint64_t words[] = {0, 2, 3, 0x21, 1, UINT64_MAX};
    static const uint64_t maxnodes[] = {2, 3, 1, 0, 65, 66, 1025, 1026, 1100, 32769, 32770, 70000};
    s->mask[0] = words[pick(r, ARRAY_LEN(words))];
    s->mask[1] = words[pick(r, ARRAY_LEN(words))];
    s->high = pick(r, 4) == 0 ? BIT(pick(r, 64)) : 0;
    s->maxnode = pick(r, 2) ? 64 : maxnodes[pick(r, ARRAY_LEN(maxnodes))];
    uint64_t how = pick(r, 8);
    s->readable = how == 0 ? 1 : how == 1 ? 17 : how == 2 ? 0 : how == 3 ? NO_MASK : WORDS;
}

static void good_mask(struct rng *r, struct step *s)
{
    s->mask[0] = pick(r, 4) ? 1 : 3;
    s->mask[1] = pick(r, 4) ? 1 : 3;
    s->maxnode = 64;
    s->readable = WORDS;
}

static void gen_policy(struct rng *r, struct step *s)
{
    static const int flags[] = {0, 0, 0, 0, 0x8000, 0x4000, 0x2000};
    static const int odd[] = {0xc000, 0xa000, 0x6000, 0x1000};
    s->mode = (int)pick(r, MPOL_MAX) | flags[pick(r, ARRAY_LEN(flags))];
    good_mask(r, s);
    if (s->mode % 8 == MPOL_DEFAULT || s->mode % 8 == MPOL_LOCAL) {
        s->mode &= 7;
        s->mask[0] = 0;
        s->readable = pick(r, 2) ? NO_MASK : WORDS;
    }
    if ((s->mode & MPOL_F_RELATIVE_NODES) && pick(r, 2))
        s->mask[0] = BIT(1 + pick(r, 9)); /* no node the machine has: its pages are misplaced */
    if (pick(r, 5) == 0)
        odd_mask(r, s);
    if (pick(r, 12) == 0)
        s->mode = (int)pick(r, 10) | odd[pick(r, ARRAY_LEN(odd))];
}

static void gen_move(struct rng *r, struct step *s)
{
    static const int32_t nodes[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 5000};
    static const uint32_t flags[] = {0, 2, 2, 4, 6, 1, 8};
    s->want = pick(r, 2);
    s->len = pick(r, MOVES + 1);
    s->flags = flags[pick(r, ARRAY_LEN(flags))];
    for (unsigned i = 0; i < MOVES; i++) {
        s->pages[i] = BASE + pick(r, WINDOW + 2) * K + (pick(r, 4) ? 0 : pick(r, K));
        s->nodes[i] = nodes[pick(r, ARRAY_LEN(nodes))];
    }
}

static void gen_get(struct rng *r, struct step *s)
{
    static const uint32_t flags[] = {0, 1, 2, 2, 2, 3, 3, 4, 5, 7, 8};
    static const uint64_t maxnodes[] = {64, 64, 64, 2, 1, 0, 1000};
    s->flags = flags[pick(r, ARRAY_LEN(flags))];
    s->want = pick(r, 2);
    s->maxnode = maxnodes[pick(r, ARRAY_LEN(maxnodes))];
    if (!(s->flags & 2) && pick(r, 5))
        s->addr = UINT64_MAX; /* NULL */
}

static struct step gen_step(struct rng *r)
{
    static const enum kind kinds[] = {MAP,   MAP,   MAP,  UNMAP, PROTECT, READ,    WRITE,
                                      WRITE, WRITE, BIND, BIND,  BIND,    BIND,    BIND,
                                      SET,   GET,   GET,  HOME,  HOME,    MIGRATE, MOVE};
    static const uint32_t prots[] = {RW, RW, RW, PROT_READ, PROT_NONE, PROT_WRITE};
    static const uint32_t binds[] = {0, 0, 0, 1, 2, 2, 3, 4, 7, 8};
    struct step s = {.kind = kinds[pick(r, ARRAY_LEN(kinds))]};
    s.addr = pick(r, WINDOW) * K;
    s.len = (1 + pick(r, 8)) * K;
    s.prot = prots[pick(r, ARRAY_LEN(prots))];
    if (s.kind == MAP)
        s.flags = (uint32_t)pick(r, 4); /* 0, 1 anonymous; 2 memfd shared; 3 memfd private */
    if (s.kind == BIND || s.kind == SET)
        gen_policy(r, &s);
    if (s.kind == BIND)
        s.flags = binds[pick(r, ARRAY_LEN(binds))];
    if (s.kind == MIGRATE && pick(r, 2))
        odd_mask(r, &s);
    else if (s.kind == MIGRATE)
        good_mask(r, &s);
    if (s.kind == GET)
        gen_get(r, &s);
    if (s.kind == MOVE)
        gen_move(r, &s);
    if (s.kind == HOME) {
        s.mode = pick(r, 8) ? 0 : pick(r, 2) ? 1 : 4000;
        s.flags = pick(r, 12) == 0;
    }
    if (s.kind >= BIND && s.kind <= HOME && s.kind != GET && pick(r, 12) == 0)
        s.addr += 1 + pick(r, K - 1);
    if (pick(r, 15) == 0)
        s.len = pick(r, 3) == 0 ? 0 : pick(r, 2) ? s.len - pick(r, K) : UINT64_MAX - pick(r, 2 * K);
    if (s.kind == MOVE)
        s.len = min_u64(s.len, MOVES);
    else if (s.kind < BIND && (s.len == 0 || s.len > WINDOW * K))
        s.len = K;
    return s;
}

static unsigned gen(uint64_t seed, struct step *steps)
{
    struct rng r = {seed};
    unsigned n = 8 + (unsigned)pick(&r, STEPS_MAX - 8);
    for (unsigned i = 0; i < n; i++)
        steps[i] = gen_step(&r);
    steps[0] = (struct step){.kind = MAP, .len = WINDOW * K, .prot = RW};
    return n;
}

static void print_step(const struct step *s)
{
    static const char *const names[KIND_NR] = {
        "mmap",          "munmap",        "mprotect", "read",          "write",     "mbind",
        "set_mempolicy", "get_mempolicy", "home",     "migrate_pages", "move_pages"};
    fprintf(stderr, "  %-13s page %lld+%lld len %lld prot %u flags %u", names[s->kind],
            (long long)(s->addr / K), (long long)(s->addr % K), (long long)s->len, s->prot,
            s->flags);
    if (s->kind >= BIND)
        fprintf(stderr, " mode %#x mask %#llx,%#llx high %#llx maxnode %llu readable %u want %d",
                (unsigned)s->mode, (unsigned long long)s->mask[0], (unsigned long long)s->mask[1],
                (unsigned long long)s->high, (unsigned long long)s->maxnode, s->readable, s->want);
    for (unsigned i = 0; s->kind == MOVE && i < s->len; i++)
        fprintf(stderr, " %llx:%d", (unsigned long long)s->pages[i], s->nodes[i]);
    fputc('\n', stderr);
}

/* -- the real kernel ------------------------------------------------------------------------- */

static int memfd, pagemap;
static char *masks; /* two pages each: the second cannot be read */

static void *native_mask(const struct step *s, unsigned which)
{
    char *end = masks + (2 * which + 1) * K;
    uint64_t words[WORDS] = {s->mask[which]};
    words[16] = which == 0 ? s->high : 0;
    if (s->readable == NO_MASK)
        return NULL;
    memcpy(end - 8 * s->readable, words, 8 * s->readable);
    return end - 8 * s->readable;
}

__attribute__((no_sanitize("address", "undefined", "thread"), noinline)) static void
native_touch(uint64_t addr, uint64_t len, bool write)
{
    char c = 0;
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC); /* a bad address is an error, no signal */
    for (uint64_t a = addr; a < addr + len; a += K)
        if ((write ? read(fd, (void *)a, 1) : pwrite(memfd, (void *)a, 1, 1 << 20)) < 0)
            c++;
    close(fd);
}

static int64_t native_get(const struct step *s, struct seen *o)
{
    uint64_t nodes[WORDS] = {0};
    int policy = 77;
    uint64_t a = s->addr == UINT64_MAX ? 0 : BASE + s->addr;
    long r = syscall(SYS_get_mempolicy, &policy, s->want ? nodes : NULL, s->maxnode, a, s->flags);
    o->policy = r == 0 ? policy : 77;
    o->nodes = s->want && s->maxnode > 1 && r == 0 ? nodes[0] : 0;
    return r == -1 ? -errno : r;
}

static int64_t native_move(const struct step *s, struct seen *o)
{
    int32_t nodes[MOVES];
    uint64_t pages[MOVES];
    memcpy(nodes, s->nodes, sizeof(nodes));
    memcpy(pages, s->pages, sizeof(pages));
    for (unsigned i = 0; i < MOVES; i++)
        o->status[i] = 77;
    long r = syscall(SYS_move_pages, 0, s->len, pages, s->want ? nodes : NULL, o->status, s->flags);
    return r == -1 ? -errno : r;
}

static int64_t native_call(const struct step *s, struct seen *o)
{
    uint64_t a = BASE + s->addr;
    int flags = s->flags == 2 ? MAP_SHARED : MAP_PRIVATE, fd = s->flags < 2 ? -1 : memfd;
    long r = 0;
    switch (s->kind) {
    case MAP:
        flags |= MAP_FIXED | (s->flags < 2 ? MAP_ANONYMOUS : 0);
        r = syscall(SYS_mmap, a, s->len, s->prot, flags, fd, s->flags < 2 ? 0 : s->addr);
        return r == -1 ? -errno : 0;
    case UNMAP:
        r = syscall(SYS_munmap, a, s->len);
        break;
    case PROTECT:
        r = syscall(SYS_mprotect, a, s->len, s->prot);
        break;
    case BIND:
        r = syscall(SYS_mbind, a, s->len, s->mode, native_mask(s, 0), s->maxnode, s->flags);
        break;
    case SET:
        r = syscall(SYS_set_mempolicy, s->mode, native_mask(s, 0), s->maxnode);
        break;
    case GET:
        return native_get(s, o);
    case HOME:
        r = syscall(SYS_set_mempolicy_home_node, a, s->len, s->mode, s->flags);
        break;
    case MIGRATE:
        r = syscall(SYS_migrate_pages, 0, s->maxnode, native_mask(s, 0), native_mask(s, 1));
        break;
    case MOVE:
        return native_move(s, o);
    default:
        native_touch(a, s->len, s->kind == WRITE);
    }
    return r == -1 ? -errno : r;
}

/* policy_length: names have spaces, so what follows them is known by its form. */
static size_t policy_length(const char *line)
{
    static const char *const names[] = {"prefer (many)", "weighted interleave"};
    size_t n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strncmp(line, names[i], strlen(names[i])) == 0)
            n = strlen(names[i]);
    return n + strcspn(line + n, " \n");
}

static void native_vmas(char *text, size_t size)
{
    char line[600];
    size_t at = 0;
    FILE *f = fopen("/proc/self/numa_maps", "re");
    text[0] = '\0';
    while (f && fgets(line, sizeof(line), f)) {
        uint64_t start = strtoull(line, NULL, 16);
        const char *policy = strchr(line, ' ') + 1;
        if (start >= BASE && start < BASE + (WINDOW + 16) * K)
            at += (size_t)snprintf(text + at, size - at, "%llu %.*s\n",
                                   (unsigned long long)((start - BASE) / K),
                                   (int)policy_length(policy), policy);
    }
    if (f)
        fclose(f);
}

static void native_frames(uint64_t *frames)
{
    if (pread(pagemap, frames, WINDOW * 8, (off_t)(BASE / K * 8)) != WINDOW * 8)
        memset(frames, 0, WINDOW * 8);
    for (unsigned i = 0; i < WINDOW; i++)
        frames[i] = frames[i] >> 63 ? frames[i] & (BIT(55) - 1) : UINT64_MAX;
}

static void draw_pages(const uint64_t *before, const uint64_t *after, bool moves, char *text)
{
    for (unsigned i = 0; i < WINDOW; i++)
        text[i] = after[i] == UINT64_MAX                                      ? '.'
                  : moves && before[i] != UINT64_MAX && before[i] != after[i] ? 'M'
                                                                              : '=';
    text[WINDOW] = '\0';
}

static bool moving(const struct step *s)
{
    return s->kind == BIND || s->kind == MIGRATE || s->kind == MOVE;
}

static void native_run(const struct step *steps, unsigned n, struct seen *o)
{
    uint64_t before[WINDOW], after[WINDOW];
    memfd = memfd_create("numa", MFD_CLOEXEC);
    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    masks = mmap(NULL, 4 * K, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memfd < 0 || pagemap < 0 || masks == MAP_FAILED || ftruncate(memfd, (1 << 20) + K) != 0)
        _exit(1);
    mprotect(masks + K, K, PROT_NONE);
    mprotect(masks + 3 * K, K, PROT_NONE);
    for (unsigned i = 0; i < n; i++) {
        native_frames(before);
        o[i].result = native_call(&steps[i], &o[i]);
        native_vmas(o[i].vmas, sizeof(o[i].vmas));
        native_frames(after);
        draw_pages(before, after, moving(&steps[i]), o[i].pages);
    }
}

static bool run_native(const struct step *steps, unsigned n, struct seen *o)
{
    struct seen *shared = mmap(NULL, STEPS_MAX * sizeof(*o), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        native_run(steps, n, shared);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    memcpy(o, shared, n * sizeof(*o));
    munmap(shared, STEPS_MAX * sizeof(*o));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* -- the model ------------------------------------------------------------------------------- */

/* model_touch is read or write by the kernel: a page without the right is left out. */
static void model_touch(struct box *b, uint64_t addr, uint64_t len, bool write)
{
    for (uint64_t a = addr; a < addr + len; a += K) {
        struct arch_fault f;
        struct mm_verdict v;
        while (touch_faults(b, a, write ? FAULT_W : 0, &f)) {
            f.code &= ~FAULT_U;
            mm_fault(b->mm, &f, &v);
            if (v.signal || v.oom)
                break;
        }
    }
}

static struct nodemask_arg model_mask(const struct step *s, unsigned which, uint64_t *words)
{
    memset(words, 0, WORDS * 8);
    words[0] = s->mask[which];
    words[16] = which == 0 ? s->high : 0;
    bool null = s->readable == NO_MASK;
    return (struct nodemask_arg){null ? NULL : words, null ? 0 : s->readable, s->maxnode};
}

static int64_t model_get(struct box *b, const struct step *s, struct seen *o)
{
    struct mm_get_mempolicy q = {.addr = va(s->addr == UINT64_MAX ? 0 : BASE + s->addr),
                                 .flags = s->flags,
                                 .want_nodes = s->want,
                                 .maxnode = s->maxnode};
    uint64_t nodes = 0;
    o->policy = 77;
    int r = mm_get_mempolicy(b->mm, &q, &o->policy, &nodes);
    o->nodes = s->want && s->maxnode > 1 && r == 0 ? nodes : 0;
    return r;
}

static int64_t model_move(struct box *b, const struct step *s, struct seen *o)
{
    struct mm_move_pages q = {.nr = s->len,
                              .pages = s->pages,
                              .pages_nr = MOVES,
                              .nodes = s->want ? s->nodes : NULL,
                              .nodes_nr = MOVES,
                              .status = o->status,
                              .status_nr = MOVES,
                              .flags = s->flags};
    for (unsigned i = 0; i < MOVES; i++)
        o->status[i] = 77;
    return mm_move_pages(b->mm, b->mm, &q);
}

static int64_t model_map(struct box *b, const struct step *s, struct mm_file *f)
{
    uint32_t flags = (s->flags == 2 ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED;
    bool anon = s->flags < 2;
    int64_t r = map_full(b, BASE + s->addr, s->len, s->prot, flags | (anon ? MAP_ANONYMOUS : 0),
                         anon ? NULL : f, anon ? 0 : s->addr);
    return r < 0 ? r : 0;
}

static int64_t model_call(struct box *b, const struct step *s, struct mm_file *f, struct seen *o)
{
    static uint64_t words[2][WORDS];
    struct nodemask_arg mask = model_mask(s, 0, words[0]), to = model_mask(s, 1, words[1]);
    vaddr a = va(BASE + s->addr);
    switch (s->kind) {
    case MAP:
        return model_map(b, s, f);
    case UNMAP:
        return mm_munmap(b->mm, a, s->len);
    case PROTECT:
        return mm_mprotect(b->mm, a, s->len, s->prot);
    case BIND:
        return mm_mbind(b->mm, a, s->len, s->mode, &mask, s->flags);
    case SET:
        return mm_set_mempolicy(b->mm, s->mode, &mask);
    case GET:
        return model_get(b, s, o);
    case HOME:
        return mm_set_mempolicy_home_node(b->mm, a, s->len, (uint64_t)s->mode, s->flags);
    case MIGRATE:
        return mm_migrate_pages(b->mm, b->mm, &mask, &to);
    case MOVE:
        return model_move(b, s, o);
    default:
        model_touch(b, a.v, s->len, s->kind == WRITE);
        return 0;
    }
}

static void model_vmas(const struct box *b, char *text, size_t size)
{
    size_t at = 0;
    char policy[MPOL_STR_LEN];
    text[0] = '\0';
    for (const struct vma *v = mm_vma_next(b->mm, va(BASE)); v; v = mm_vma_next(b->mm, v->end)) {
        mm_numa_policy(b->mm, v, policy, sizeof(policy));
        at += (size_t)snprintf(text + at, size - at, "%llu %s\n",
                               (unsigned long long)((v->start.v - BASE) / K), policy);
    }
}

static void model_frames(const struct box *b, uint64_t *frames)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(b->mm), va(BASE + i * K), &level);
        bool there = e && (pte_present(*e) || pte_protnone(*e));
        frames[i] = there ? pte_pfn(*e).v : UINT64_MAX;
    }
}

static void run_model(const struct step *steps, unsigned n, struct seen *o)
{
    uint64_t before[WINDOW], after[WINDOW];
    struct box b;
    memset(o, 0, n * sizeof(*o));
    box_open(&b, MIB(64), false);
    struct mm_task t = *mm_task(b.mm);
    t.caps |= BIT(CAP_SYS_NICE);
    mm_set_task(b.mm, &t);
    struct mm_file *f = mm_file(b.sys, 1, 9, (1 << 20) + K, "/memfd:numa (deleted)");
    for (unsigned i = 0; i < n; i++) {
        model_frames(&b, before);
        o[i].result = model_call(&b, &steps[i], f, &o[i]);
        model_vmas(&b, o[i].vmas, sizeof(o[i].vmas));
        model_frames(&b, after);
        draw_pages(before, after, moving(&steps[i]), o[i].pages);
        b.out.n = 0;
    }
    mm_file_put(b.sys, f);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

/* -- comparing ------------------------------------------------------------------------------- */

static const char *differs(const struct step *s, const struct seen *real, const struct seen *model)
{
    if (real->result != model->result)
        return "results";
    if (s->kind == GET && (real->policy != model->policy || real->nodes != model->nodes))
        return "answers";
    if (s->kind == MOVE && memcmp(real->status, model->status, sizeof(real->status)) != 0)
        return "status words";
    if (strcmp(real->vmas, model->vmas) != 0)
        return "VMAs";
    return strcmp(real->pages, model->pages) != 0 ? "pages" : NULL;
}

static struct seen real[STEPS_MAX], model[STEPS_MAX];

/* first_difference returns the step where both differ, or n. */
static unsigned first_difference(const struct step *steps, unsigned n, const char **ret_what)
{
    assert_true(run_native(steps, n, real));
    run_model(steps, n, model);
    for (unsigned i = 0; i < n; i++)
        if ((*ret_what = differs(&steps[i], &real[i], &model[i])) != NULL)
            return i;
    return n;
}

static unsigned shrink(struct step *steps, unsigned n)
{
    const char *what;
    for (unsigned i = n; i-- > 0;) {
        struct step kept = steps[i];
        memmove(&steps[i], &steps[i + 1], (n - i - 1) * sizeof(*steps));
        unsigned at = first_difference(steps, n - 1, &what);
        if (at < n - 1) {
            n = at + 1;
            i = i < n ? i : n;
            continue;
        }
        memmove(&steps[i + 1], &steps[i], (n - i - 1) * sizeof(*steps));
        steps[i] = kept;
    }
    return n;
}

static void print_seen(const char *who, const struct seen *o)
{
    fprintf(stderr, "%s: result %lld policy %d nodes %#llx status %d %d %d %d %d %d\n%s\n%s", who,
            (long long)o->result, o->policy, (unsigned long long)o->nodes, o->status[0],
            o->status[1], o->status[2], o->status[3], o->status[4], o->status[5], o->pages,
            o->vmas);
}

static void report(uint64_t seed, struct step *steps, unsigned n)
{
    const char *what = "";
    n = shrink(steps, n);
    unsigned at = first_difference(steps, n, &what);
    if (at == n) {
        fprintf(stderr, "seed %llu: differs only now and then\n", (unsigned long long)seed);
        return;
    }
    fprintf(stderr, "seed %llu: %s differ after\n", (unsigned long long)seed, what);
    for (unsigned i = 0; i <= at; i++)
        print_step(&steps[i]);
    print_seen("kernel", &real[at]);
    print_seen("model", &model[at]);
}

static bool kernel_fits(void)
{
    struct utsname u;
    unsigned major = 0, minor = 0;
    uint64_t frame = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uname(&u);
    sscanf(u.release, "%u.%u", &major, &minor);
    bool read = fd >= 0 && pread(fd, &frame, 8, (off_t)((uintptr_t)&u / K * 8)) == 8;
    if (fd >= 0)
        close(fd);
    bool one_node = access("/sys/devices/system/node/node1", F_OK) != 0 &&
                    access("/proc/self/numa_maps", R_OK) == 0;
    return major == 6 && minor >= 18 && one_node && read && (frame & (BIT(55) - 1)) != 0;
}

static void numa_calls_agree_with_the_running_kernel_step_by_step(void **state)
{
    (void)state;
    static struct step steps[STEPS_MAX];
    const char *env = getenv("PW_SEQUENCES"), *start = getenv("PW_SEED"), *what;
    uint64_t n_seq = env ? strtoull(env, NULL, 10) : SEQUENCES, calls = 0, bad = 0;
    uint64_t first = start ? strtoull(start, NULL, 10) : 1;
    if (!kernel_fits()) {
        print_message("skipped: this needs Linux 6.18 with one node, as root\n");
        skip();
    }
    for (uint64_t seed = first; seed < first + n_seq && bad < 3; seed++) {
        unsigned n = gen(seed, steps);
        calls += n;
        if (first_difference(steps, n, &what) < n) {
            bad++;
            report(seed, steps, n);
        }
    }
    print_message("%llu sequences, %llu calls, %llu mismatches\n", (unsigned long long)n_seq,
                  (unsigned long long)calls, (unsigned long long)bad);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numa_calls_agree_with_the_running_kernel_step_by_step),
    };
    host_settings_stay();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
