/* native.c: sequences on the running kernel, seen from outside.
 *
 * The observer and its subjects run on one CPU: a call is two context switches, and what the kernel
 * batches per CPU is always the same batch. While a subject waits the observer reads /proc/PID/smaps,
 * status and pagemap, /proc/kpageflags and kpagecount, and /proc/PID/mem of present pages only: none
 * of them faults anything in. (process_vm_readv would: it pins, and so unshares pages after a fork.)
 *
 * Sequences run one at a time, each in a memory cgroup of its own (cgroup.c).
 */
#include "kernel/check.h"
#include "kernel/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OWN_MAX      24u
#define CHUNK        512u /* pages read at a time */
#define PFN_MASK     (BIT(PM_PFRAME_BITS) - 1)
#define NR_CACHESTAT 451

const char *const smaps_names[SMAPS_NR] = {
#define ROW(id, name) name,
    SMAPS_FIELDS(ROW)
#undef ROW
};
const char *const status_names[STATUS_NR] = {
#define ROW(id, name) name,
    STATUS_FIELDS(ROW)
#undef ROW
};

/* A subject as the observer sees it. */
struct watched {
    pid_t pid; /* 0: no such process */
    bool many; /* view.many */
    int smaps, maps, status, pagemap, mem, pidfd;
};
struct native {
    struct control *control;
    int control_fd, file_fd, pristine, kpageflags, kpagecount, pipe[2];
    pid_t zygote;
    uint32_t zygote_done;
    struct watched p[SLOTS];
    struct own own[OWN_MAX];
    unsigned n_own;
    uint64_t brk, start_data, end_data;
    int shm[SHM_MAX];
    unsigned n_shm;
    struct cgroup cgroup;
    struct frames *frames; /* of a look */
    char text[1 << 21];
    uint8_t page[K]; /* for drain */
};

static void die(const char *what)
{
    fprintf(stderr, "check-kernel: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* -- talking to a subject --------------------------------------------------------------------- */

static void futex_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* await waits until *word differs from seen; false after ten seconds. */
static bool await(uint32_t *word, uint32_t seen)
{
    struct timespec second = {.tv_sec = 1};
    for (int i = 0; i < 10; i++) {
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen)
            return true;
        syscall(SYS_futex, word, FUTEX_WAIT, seen, &second, NULL, 0);
    }
    return __atomic_load_n(word, __ATOMIC_ACQUIRE) != seen;
}

static bool request(struct slot *s)
{
    uint32_t done = __atomic_load_n(&s->done, __ATOMIC_ACQUIRE);
    __atomic_add_fetch(&s->go, 1, __ATOMIC_RELEASE);
    futex_wake(&s->go);
    return await(&s->done, done);
}

/* -- reading text ------------------------------------------------------------------------------ */

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

static uint64_t hex(const char **at)
{
    uint64_t v = 0;
    for (;; ++*at) {
        unsigned c = (unsigned char)**at;
        if (c - '0' < 10)
            v = v * 16 + (c - '0');
        else if (c - 'a' < 6)
            v = v * 16 + (c - 'a' + 10);
        else
            return v;
    }
}

static uint64_t decimal(const char *at)
{
    uint64_t v = 0;
    while (*at == ' ' || *at == '\t')
        at++;
    for (; *at >= '0' && *at <= '9'; at++)
        v = v * 10 + (uint64_t)(*at - '0');
    return v;
}

static uint64_t vm_flags(const char *at)
{
    static const char names[] = "rdwrexshmrmwmemsgdumpfguuwloiosrrrdcdelfacnrhtsfarwfddsdmmhgnhmg";
    uint64_t flags = 0;
    for (; at[0] != '\n' && at[0]; at += 3) {
        unsigned bit = 0;
        while (bit < 32 && memcmp(&names[2 * bit], at, 2) != 0)
            bit++;
        if (bit == 32)
            bit = memcmp(at, "sl", 2) == 0 ? 42 : memcmp(at, "dp", 2) == 0 ? 40 : 63;
        flags |= BIT(bit);
    }
    return flags;
}

/* -- one view ---------------------------------------------------------------------------------- */

/* is_own: the subject's own VMAs keep their end; only the stack's start may change. */
static bool is_own(const struct native *k, uint64_t end)
{
    for (unsigned i = 0; i < k->n_own; i++)
        if (k->own[i].end == end)
            return true;
    return false;
}

static const char *parse_header(const char *at, struct vma_view *o)
{
    memset(o, 0, sizeof(*o));
    o->start = hex(&at);
    at++;
    o->end = hex(&at);
    memcpy(o->perms, ++at, 4);
    at += 5;
    o->offset = hex(&at);
    return at;
}

static void parse_field(const char *at, struct vma_view *o)
{
    if (memcmp(at, "VmFlags: ", 9) == 0) {
        o->flags = vm_flags(at + 9);
        return;
    }
    for (unsigned i = 0; i < SMAPS_NR; i++) {
        size_t n = at[0] == smaps_names[i][0] ? strlen(smaps_names[i]) : 0;
        if (n > 0 && at[n] == ':' && memcmp(at, smaps_names[i], n) == 0)
            o->kb[i] = (uint32_t)decimal(at + n + 1);
    }
}

/* Sums over the VMAs the subject itself is made of. */
struct own_sum {
    uint64_t rss, anon, shmem; /* kB */
};

static void keep_vma(struct native *k, const struct vma_view *o, struct view *s,
                     struct own_sum *sum)
{
    if (o->start >= UINT64_C(1) << 63) /* [vsyscall] */
        return;
    if (!is_own(k, o->end)) {
        *view_vma(s) = *o;
        return;
    }
    sum->rss += o->kb[SMAPS_RSS];
    sum->anon += o->kb[SMAPS_ANONYMOUS];
    sum->shmem += o->start == CONTROL ? o->kb[SMAPS_RSS] : 0;
}

static void look_smaps(struct native *k, const struct watched *p, struct view *s,
                       struct own_sum *sum)
{
    struct vma_view o;
    bool any = false;
    slurp(p->smaps, k->text, sizeof(k->text));
    s->n_vma = 0;
    for (const char *at = k->text; *at; at = strchr(at, '\n') + 1) {
        if (*at >= 'A' && *at <= 'Z') {
            parse_field(at, &o);
            continue;
        }
        if (any)
            keep_vma(k, &o, s, sum);
        parse_header(at, &o);
        any = true;
    }
    if (any)
        keep_vma(k, &o, s, sum);
}

/* ioctl PROCMAP_QUERY of maps, which is newer than some systems' headers. */
#define NR_PROCMAP_QUERY UINT64_C(0xc0686611)
struct procmap_query {
    uint64_t size, query_flags, query_addr, start, end, flags, page_size, offset, inode;
    uint32_t dev_major, dev_minor, name_size, build_id_size;
    uint64_t name_addr, build_id_addr;
};
#define COVERING_OR_NEXT 0x10

/* look_maps asks for the VMAs one by one, but for those that begin where mmap_many puts its own. (One that
 * it cuts may begin there and end beyond.) */
static void look_maps(struct native *k, const struct watched *p, struct view *s)
{
    struct procmap_query q = {.size = sizeof(q), .query_flags = COVERING_OR_NEXT};
    s->n_vma = 0;
    for (; ioctl(p->maps, NR_PROCMAP_QUERY, &q) == 0; q.query_addr = q.end) {
        if (q.start - MANY_BASE < MANY_BYTES)
            q.end = max_u64(q.end, MANY_BASE + MANY_BYTES);
        else if (q.start < UINT64_C(1) << 63 && !is_own(k, q.end))
            *view_vma(s) =
                (struct vma_view){.start = q.start,
                                  .end = q.end,
                                  .offset = q.offset,
                                  .perms = {q.flags & 1 ? 'r' : '-', q.flags & 2 ? 'w' : '-',
                                            q.flags & 4 ? 'x' : '-', q.flags & 8 ? 's' : 'p'}};
        q.name_size = q.build_id_size = 0;
    }
    if (errno != ENOENT)
        die("PROCMAP_QUERY");
}

static uint64_t status_field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? decimal(at + strlen(name)) : 0;
}

static void look_status(struct native *k, const struct watched *p, struct view *s,
                        const struct own_sum *sum)
{
    slurp(p->status, k->text, sizeof(k->text));
    const char *t = strstr(k->text, "VmPeak:");
    if (!t)
        return;
    s->status[STATUS_PEAK] = status_field(t, "VmPeak:");
    s->status[STATUS_SIZE] = status_field(t, "VmSize:");
    s->status[STATUS_LCK] = status_field(t, "VmLck:");
    s->status[STATUS_ANON] = status_field(t, "RssAnon:") - sum->anon;
    s->status[STATUS_FILE] = status_field(t, "RssFile:") - (sum->rss - sum->anon - sum->shmem);
    s->status[STATUS_SHMEM] = status_field(t, "RssShmem:") - sum->shmem;
    s->status[STATUS_DATA] = status_field(t, "VmData:");
    s->status[STATUS_STK] = status_field(t, "VmStk:");
    s->status[STATUS_EXE] = status_field(t, "VmExe:") + status_field(t, "VmLib:");
    s->status[STATUS_PTE] = status_field(t, "VmPTE:");
    s->status[STATUS_SWAP] = status_field(t, "VmSwap:");
    s->status[STATUS_HUGETLB] = status_field(t, "HugetlbPages:");
}

static uint64_t word_at(int fd, uint64_t at)
{
    uint64_t v = 0;
    ssize_t n = pread(fd, &v, sizeof(v), (off_t)at);
    return n == (ssize_t)sizeof(v) ? v : 0;
}

/* Pages met for the first time in a look, whose frames are read when a mapping's are all known. */
struct met {
    uint64_t addr, number;
    struct seen_frame *frame;
};

static void read_words(int fd, uint64_t first, uint64_t n, uint64_t *ret)
{
    memset(ret, 0, n * 8);
    if (pread(fd, ret, n * 8, (off_t)(first * 8)) < 0)
        memset(ret, 0, n * 8);
}

/* read_frames reads what kpageflags and kpagecount say of frames that follow each other. */
static void read_frames(const struct native *k, const struct met *met, uint64_t n)
{
    static uint64_t flags[CHUNK], count[CHUNK];
    read_words(k->kpageflags, met[0].number, n, flags);
    read_words(k->kpagecount, met[0].number, n, count);
    for (uint64_t i = 0; i < n; i++) {
        met[i].frame->view.flags = kpf_seen(flags[i]);
        met[i].frame->view.mapcount = (uint32_t)count[i];
    }
}

/* read_bytes reads pages that follow each other. */
static void read_bytes(const struct watched *p, const struct met *met, uint64_t n)
{
    static uint64_t bytes[CHUNK][512];
    ssize_t got = pread(p->mem, bytes, n * K, (off_t)met[0].addr);
    for (uint64_t i = 0; i < n && (ssize_t)((i + 1) * K) <= got; i++) {
        met[i].frame->view.word = bytes[i][0];
        met[i].frame->view.sum = page_sum(bytes[i]);
    }
}

static void read_met(const struct native *k, const struct watched *p, const struct met *met,
                     uint64_t n)
{
    for (uint64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && met[end].number == met[end - 1].number + 1; end++)
            ;
        read_frames(k, &met[i], end - i);
    }
    for (uint64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && met[end].addr == met[end - 1].addr + K; end++)
            ;
        read_bytes(p, &met[i], end - i);
    }
}

/* look_chunk looks at up to CHUNK pages, given their pagemap words. A frame's view may move when another
 * is entered, so pages take theirs when all are known. */
static void look_chunk(const struct native *k, const struct watched *p, uint64_t addr,
                       const uint64_t *words, uint64_t n, struct view *s)
{
    static struct met met[CHUNK];
    uint64_t n_met = 0;
    bool new;
    frames_room(k->frames, CHUNK);
    for (uint64_t i = 0; i < n; i++) {
        struct seen_frame *f =
            words[i] & PM_PRESENT ? frames_find(k->frames, words[i] & PFN_MASK, &new) : NULL;
        if (f && new)
            met[n_met++] = (struct met){addr + i * K, words[i] & PFN_MASK, f};
    }
    read_met(k, p, met, n_met);
    for (uint64_t i = 0; i < n; i++) {
        if (!(words[i] & PM_SEEN))
            continue;
        struct page_view *page = view_page(s, addr + i * K);
        if (words[i] & PM_PRESENT)
            *page = frames_find(k->frames, words[i] & PFN_MASK, &new)->view;
        page->addr = addr + i * K;
        page->map = words[i] & PM_SEEN;
        page->number = words[i] & PFN_MASK;
    }
}

static void look_range(const struct native *k, const struct watched *p, uint64_t start,
                       uint64_t end, struct view *s)
{
    static uint64_t words[CHUNK];
    for (uint64_t a = start, n; a < end; a += n * K) {
        n = min_u64((end - a) / K, CHUNK);
        read_words(p->pagemap, a / K, n, words);
        look_chunk(k, p, a, words, n, s);
    }
}

/* ioctl PAGEMAP_SCAN, which is newer than some systems' headers: stretches of pages that are there. */
#define NR_PAGEMAP_SCAN UINT64_C(0xc0606610)
#define PAGE_IS_THERE   (BIT(3) | BIT(4) | BIT(8)) /* PRESENT, SWAPPED, GUARD */
struct stretch {
    uint64_t start, end, categories;
};
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

/* look_long looks at what is there in a long mapping, which may have terabytes without a page. */
static void look_long(const struct native *k, const struct watched *p, const struct vma_view *v,
                      struct view *s)
{
    struct stretch found[64];
    struct scan q = {.size = sizeof(q),
                     .end = v->end,
                     .vec = (uint64_t)(uintptr_t)found,
                     .vec_len = ARRAY_LEN(found),
                     .category_anyof_mask = PAGE_IS_THERE,
                     .return_mask = PAGE_IS_THERE};
    for (q.start = v->start; q.start < v->end; q.start = q.walk_end) {
        int n = ioctl(p->pagemap, NR_PAGEMAP_SCAN, &q);
        if (n < 0)
            die("PAGEMAP_SCAN");
        for (int i = 0; i < n; i++)
            look_range(k, p, found[i].start, found[i].end, s);
    }
}

static void look_pages(const struct native *k, const struct watched *p, const struct vma_view *v,
                       struct view *s)
{
    if ((v->end - v->start) / K <= CHUNK)
        look_range(k, p, v->start, v->end, s);
    else
        look_long(k, p, v, s);
}

static void look_process(struct native *k, const struct watched *p, struct view *s)
{
    struct own_sum sum = {0};
    s->live = p->pid != 0;
    s->many = s->live && p->many;
    s->n_vma = s->n_page = 0;
    memset(s->status, 0, sizeof(s->status));
    if (!s->live)
        return;
    if (s->many)
        look_maps(k, p, s);
    else
        look_smaps(k, p, s, &sum);
    look_status(k, p, s, &sum);
    for (unsigned i = 0; i < s->n_vma; i++)
        look_pages(k, p, &s->vma[i], s);
}

/* drain empties this CPU's batches of pages on their way to a list (lru_add_drain), as every change
 * of VM_LOCKED does: else it depends on the observer's own calls when that happens, and a page in a
 * batch has one reference more, so that it is copied where it could be taken over. */
static void drain(struct native *k)
{
    syscall(SYS_mlock, k->page, sizeof(k->page)); /* the sanitizers make mlock do nothing */
    syscall(SYS_munlock, k->page, sizeof(k->page));
}

bool native_look(struct native *k, struct view view[SLOTS])
{
    drain(k);
    frames_forget(k->frames);
    for (unsigned i = 0; i < SLOTS; i++)
        look_process(k, &k->p[i], &view[i]);
    drain(k); /* reading a page twice puts it in the batch of those to be activated */
    return true;
}

/* -- processes ---------------------------------------------------------------------------------- */

static int open_proc(pid_t pid, const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        die(path);
    return fd;
}

static void watch(struct native *k, unsigned slot, pid_t pid)
{
    struct watched *p = &k->p[slot];
    p->pid = pid;
    p->smaps = open_proc(pid, "smaps", O_RDONLY);
    p->maps = open_proc(pid, "maps", O_RDONLY);
    p->status = open_proc(pid, "status", O_RDONLY);
    p->pagemap = open_proc(pid, "pagemap", O_RDONLY);
    p->mem = open_proc(pid, "mem", O_RDONLY);
    p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

static void unwatch(struct watched *p)
{
    close(p->smaps);
    close(p->maps);
    close(p->status);
    close(p->pagemap);
    close(p->mem);
    close(p->pidfd);
    p->many = false;
    p->pid = 0;
}

/* end_process: the process is told to exit; what it had is gone when its descriptor is readable. */
static bool end_process(struct native *k, unsigned slot)
{
    struct watched *p = &k->p[slot];
    struct slot *s = &k->control->slot[slot];
    struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};
    s->op = OP_EXIT;
    __atomic_add_fetch(&s->go, 1, __ATOMIC_RELEASE);
    futex_wake(&s->go);
    bool ended = poll(&fd, 1, 5000) == 1;
    if (!ended)
        kill(p->pid, SIGKILL);
    unwatch(p);
    return ended;
}

/* What the subject is made of, from the smaps of its first moment. */
static void read_own(struct native *k)
{
    struct vma_view v;
    k->n_own = 0;
    slurp(k->p[0].smaps, k->text, sizeof(k->text));
    for (const char *at = k->text; *at; at = strchr(at, '\n') + 1) {
        if (k->n_own > 0 && memcmp(at, "VmFlags: ", 9) == 0 &&
            v.start == k->own[k->n_own - 1].start)
            k->own[k->n_own - 1].flags = vm_flags(at + 9);
        if (*at >= 'A' && *at <= 'Z')
            continue;
        const char *rest = parse_header(at, &v), *end = strchr(at, '\n');
        const char *name = memchr(rest, '[', (size_t)(end - rest));
        if (v.start >= UINT64_C(1) << 63)
            continue;
        ASSERT(k->n_own < OWN_MAX);
        struct own *o = &k->own[k->n_own++];
        *o = (struct own){.start = v.start, .end = v.end, .offset = v.offset};
        memcpy(o->perms, v.perms, sizeof(o->perms));
        if (name)
            memcpy(o->name, name, min_u64((uint64_t)(end - name), sizeof(o->name) - 1));
    }
}

static void read_brk(struct native *k)
{
    struct slot *s = &k->control->slot[0];
    s->op = OP_CALL;
    s->nr = SYS_brk;
    s->arg[0] = 0;
    request(s);
    k->brk = (uint64_t)s->result;
}

/* The data segment's limits are the fields 45 and 46 of stat; the name (field 2) has no blank. */
static void read_data(struct native *k)
{
    int fd = open_proc(k->p[0].pid, "stat", O_RDONLY);
    slurp(fd, k->text, sizeof(k->text));
    close(fd);
    const char *at = k->text;
    for (int field = 1; field < 45; field++)
        at = strchr(at, ' ') + 1;
    char *end;
    k->start_data = strtoull(at, &end, 10);
    k->end_data = strtoull(end, NULL, 10);
}

void native_data(const struct native *k, uint64_t *ret_start, uint64_t *ret_end)
{
    *ret_start = k->start_data;
    *ret_end = k->end_data;
}

const struct own *native_own(const struct native *k, unsigned *ret_n, uint64_t *ret_brk)
{
    *ret_n = k->n_own;
    *ret_brk = k->brk;
    return k->own;
}

uint64_t native_stack(const struct native *k)
{
    for (unsigned i = 0; i < k->n_own; i++)
        if (strcmp(k->own[i].name, "[stack]") == 0)
            return k->own[i].start;
    return 0;
}

uint64_t native_min_addr(void)
{
    static char text[32];
    int fd = open("/proc/sys/vm/mmap_min_addr", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    slurp(fd, text, sizeof(text));
    close(fd);
    return decimal(text);
}

void native_present(const struct native *k, unsigned proc, void (*see)(void *, uint64_t), void *arg)
{
    for (unsigned i = 0; i < k->n_own; i++)
        for (uint64_t a = k->own[i].start; a < k->own[i].end; a += K)
            if (word_at(k->p[proc].pagemap, a / K * 8) >> 63)
                see(arg, a);
}

/* -- calls --------------------------------------------------------------------------------------- */

static uint64_t argument(const struct native *k, const struct call *c, unsigned i)
{
    uint64_t slot = CONTROL + offsetof(struct control, slot[c->proc]);
    char kind = i < strlen(call_kinds[c->kind].args) ? call_kinds[c->kind].args[i] : 'x';
    if (c->arg[i] >= PTR_IN && c->arg[i] < PTR_IN + 4096)
        return slot + offsetof(struct slot, in) + (c->arg[i] - PTR_IN);
    if (c->arg[i] >= PTR_OUT && c->arg[i] < PTR_OUT + OUT_BYTES)
        return slot + offsetof(struct slot, out) + (c->arg[i] - PTR_OUT);
    if (kind == 'k') /* a key no other program of the host has */
        return c->arg[i] ? UINT64_C(0x50000000) | (uint64_t)getpid() << 4 | c->arg[i] : 0;
    if (kind == 's')
        return c->arg[i] < k->n_shm ? (uint64_t)k->shm[c->arg[i]] : (uint64_t)-1;
    return c->arg[i];
}

/* A segment is spoken of by its place among those of the sequence, for the kernel numbers them. One
 * too many goes at once. */
static int64_t rename_segment(struct native *k, int64_t id)
{
    if (id < 0)
        return id;
    for (unsigned i = 0; i < k->n_shm; i++)
        if (k->shm[i] == (int)id)
            return i;
    if (k->n_shm == SHM_MAX) {
        shmctl((int)id, IPC_RMID, NULL);
        return -ENOSPC;
    }
    k->shm[k->n_shm] = (int)id;
    return k->n_shm++;
}

static void fill_request(const struct native *k, const struct call *c, struct slot *s)
{
    s->op = call_kinds[c->kind].op;
    s->nr = call_kinds[c->kind].nr;
    for (unsigned i = 0; i < 6; i++)
        s->arg[i] = argument(k, c, i);
    memcpy(s->in, c->in, sizeof(c->in));
    memset(s->out, 0, sizeof(s->out));
}

static bool forked(struct native *k, const struct call *c, const struct slot *s, uint32_t before)
{
    struct slot *child = &k->control->slot[c->arg[0]];
    if (s->result < 0)
        return true;
    if (!await(&child->done, before))
        return false;
    watch(k, (unsigned)c->arg[0], (pid_t)s->result);
    k->p[c->arg[0]].many = k->p[c->proc].many;
    return true;
}

/* keep_shmid clears what differs from run to run: times, numbers of processes, the key. */
static void keep_shmid(uint8_t *out)
{
    memset(out, 0, SHMID_MODE);
    memset(out + SHMID_MODE + 4, 0, SHMID_SIZE - SHMID_MODE - 4);
    memset(out + SHMID_SIZE + 8, 0, SHMID_NATTCH - SHMID_SIZE - 8);
}

bool native_call(struct native *k, const struct call *c, struct answer *ret)
{
    struct slot *s = &k->control->slot[c->proc];
    const struct call_kind *kind = &call_kinds[c->kind];
    memset(ret, 0, sizeof(*ret));
    if (kind->op == OP_EXIT)
        return end_process(k, c->proc);
    fill_request(k, c, s);
    uint32_t child = kind->op == OP_FORK ? k->control->slot[c->arg[0]].done : 0;
    if (!request(s) || (kind->op == OP_FORK && !forked(k, c, s, child)))
        return false;
    ret->result = kind->nr == SYS_shmget ? rename_segment(k, s->result) : s->result;
    if (kind->op == OP_FORK && s->result > 0)
        ret->result = 0; /* and not its number */
    k->p[c->proc].many |= call_kinds[c->kind].op == OP_MANY;
    ret->signal = s->signal;
    ret->code = s->code;
    ret->where = s->where;
    ret->minflt = s->minflt;
    ret->majflt = s->majflt;
    memcpy(ret->out, s->out, kind->out);
    if (kind->nr == SYS_shmctl)
        keep_shmid(ret->out);
    return true;
}

/* -- the test file ------------------------------------------------------------------------------- */

static void fill_page(uint64_t n, uint8_t *page)
{
    memset(page, 0x90, K); /* harmless instructions */
    memcpy(page + 1, &n, 2);
    page[0] = 0x90;
}

static void write_page(int fd, uint64_t n, const uint8_t *page)
{
    uint64_t at = n * K;
    if (pwrite(fd, page, min_u64(K, FILE_BYTES - at), (off_t)at) < 0)
        die("writing the test file");
}

/* rebuild_file: written page by page, so that the page cache holds single pages. */
static void rebuild_file(int fd)
{
    uint8_t page[K];
    if (ftruncate(fd, 0) != 0)
        die("the test file");
    for (uint64_t i = 0; i <= FILE_PAGES; i++) {
        fill_page(i, page);
        write_page(fd, i, page);
    }
    fsync(fd);
}

struct cachestat {
    uint64_t cache, dirty, writeback, evicted, recently_evicted;
};

/* restore writes the pages again that are not as they were at first; says whether there were any. */
static bool restore(int fd)
{
    static uint8_t all[FILE_BYTES + K];
    uint8_t page[K];
    bool changed = false;
    if (pread(fd, all, FILE_BYTES, 0) != (ssize_t)FILE_BYTES)
        die("reading the test file");
    for (uint64_t i = 0; i <= FILE_PAGES; i++) {
        fill_page(i, page);
        if (memcmp(page, all + i * K, min_u64(K, FILE_BYTES - i * K)) != 0) {
            write_page(fd, i, page);
            changed = true;
        }
    }
    return changed;
}

/* settle_file: every page cached, clean and as it was first written. */
static void settle_file(int fd)
{
    uint64_t range[2] = {0, FILE_BYTES};
    struct cachestat cs = {.cache = FILE_PAGES + 1};
    struct stat st;
    syscall(NR_CACHESTAT, fd, range, &cs, 0);
    if (cs.cache != FILE_PAGES + 1 || fstat(fd, &st) != 0 || (uint64_t)st.st_size != FILE_BYTES)
        rebuild_file(fd);
    else if (restore(fd) || cs.dirty || cs.writeback)
        fsync(fd);
}

static int make_file(void)
{
    char path[] = "/tmp/pw-kernel-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        die(path);
    unlink(path);
    rebuild_file(fd);
    return fd;
}

/* -- what else is asked ---------------------------------------------------------------------------- */

void native_shape(const struct native *k, const struct sequence *q, struct conf *c)
{
    (void)k;
    (void)q;
    (void)c;
}

int native_pristine(const struct native *k)
{
    return k->pristine;
}

const struct cgroup *native_cgroup(const struct native *k)
{
    return &k->cgroup;
}

/* -- opening -------------------------------------------------------------------------------------- */

const char *native_why_not(void)
{
    struct utsname u;
    unsigned major = 0, minor = 0;
    if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
        return "the kernel does not tell its version";
    if (strcmp(u.machine, "x86_64") != 0)
        return "the host is not x86-64";
    if (major * 100 + minor < 617)
        return "the running kernel is older than 6.17, whose rules the model follows";
    if (geteuid() != 0)
        return "only root may look at frames and lock as much memory as the sequences do";
    if (access("/proc/kpageflags", R_OK) != 0)
        return "/proc/kpageflags cannot be read";
    return NULL;
}

static void zygote_exec(const struct native *k, const char *subject)
{
    struct rlimit stack = {MIB(8), RLIM_INFINITY};
    getrlimit(RLIMIT_STACK, &stack);
    stack.rlim_cur = MIB(8);
    setrlimit(RLIMIT_STACK, &stack);
    setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){MIB(8), MIB(8)});
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    personality(ADDR_NO_RANDOMIZE);
    int fds[] = {k->control_fd, k->file_fd, -1, -1, k->pipe[0], -1, open("/dev/zero", O_RDWR)};
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", k->file_fd);
    fds[2] = open(path, O_RDONLY);
    fds[FILE_WO_FD - CONTROL_FD] = open(path, O_WRONLY);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) /* out of the way of the places they go to */
        fds[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, 100);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            dup2(fds[i], CONTROL_FD + (int)i);
    close(MEMFD_FD);
    syscall(SYS_close_range, 0, CONTROL_FD - 1, 0); /* who reads our output waits for its end */
    syscall(SYS_close_range, ZERO_FD + 1, UINT_MAX, 0);
    execl(subject, "subject", (char *)NULL);
    _exit(127);
}

/* drop_special takes [vdso] and [vvar] away from the zygote, so that mappings the kernel places meet
 * only each other. */
static void drop_special(struct native *k)
{
    struct slot *z = &k->control->slot[ZYGOTE];
    struct vma_view v;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/maps", k->zygote);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    slurp(fd, k->text, sizeof(k->text));
    close(fd);
    for (const char *at = k->text; *at; at = strchr(at, '\n') + 1) {
        const char *end = strchr(at, '\n'), *name = memchr(at, '[', (size_t)(end - at));
        parse_header(at, &v);
        if (!name || memcmp(name, "[v", 2) != 0 || v.start >= UINT64_C(1) << 63)
            continue;
        z->op = OP_CALL;
        z->nr = SYS_munmap;
        z->arg[0] = v.start;
        z->arg[1] = v.end - v.start;
        if (!request(z) || z->result != 0)
            die("munmap of [vdso]");
    }
    z->op = OP_START;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

/* stay_with_khugepaged: where nobody has asked for huge pages khugepaged sleeps, and wakes the moment
 * somebody does: it would collapse what a subject has just written. With us on its list it looks around
 * every ten seconds (khugepaged_wait_work, __khugepaged_enter). */
static void stay_with_khugepaged(void)
{
    void *p = mmap(NULL, MIB(4), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || (madvise(p, MIB(4), MADV_HUGEPAGE) != 0 && errno != EINVAL))
        die("khugepaged");
}

void native_open(struct native **ret, const char *subject, int cpu)
{
    struct native *k = calloc(1, sizeof(*k));
    ASSERT(k);
    pin(cpu);
    stay_with_khugepaged();
    k->control_fd = memfd_create("control", MFD_CLOEXEC);
    if (k->control_fd < 0 || ftruncate(k->control_fd, sizeof(struct control)) != 0)
        die("memfd");
    k->control =
        mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, k->control_fd, 0);
    k->file_fd = make_file();
    k->pristine = memfd_create("pristine", MFD_CLOEXEC);
    rebuild_file(k->pristine);
    k->kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    k->kpagecount = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    if (pipe2(k->pipe, O_CLOEXEC) != 0)
        die("pipe");
    k->zygote = fork();
    if (k->zygote == 0)
        zygote_exec(k, subject);
    if (!await(&k->control->slot[ZYGOTE].done, 0))
        die(subject);
    drop_special(k);
    frames_open(&k->frames);
    cgroup_open(&k->cgroup, k->zygote);
    *ret = k;
}

void native_close(struct native *k)
{
    kill(k->zygote, SIGKILL);
    waitpid(k->zygote, NULL, 0);
    cgroup_close(&k->cgroup);
    frames_close(k->frames);
    munmap(k->control, sizeof(struct control));
    close(k->control_fd);
    close(k->file_fd);
    free(k);
}

bool native_begin(struct native *k, const struct sequence *q)
{
    struct slot *s = &k->control->slot[0], *z = &k->control->slot[ZYGOTE];
    uint32_t done = s->done;
    cgroup_next(&k->cgroup);
    settle_file(k->file_fd);
    restore(k->pristine); /* the model writes back into it */
    k->zygote_done = z->done;
    if (!request(z) || z->result < 0 || !await(&s->done, done))
        return false;
    watch(k, 0, (pid_t)z->result);
    if (q->thp) {
        s->op = OP_CALL;
        s->nr = SYS_prctl;
        s->arg[0] = PR_SET_THP_DISABLE;
        s->arg[1] = s->arg[2] = s->arg[3] = s->arg[4] = 0;
        request(s);
    }
    read_own(k);
    read_brk(k);
    read_data(k);
    return true;
}

void native_end(struct native *k)
{
    struct slot *z = &k->control->slot[ZYGOTE];
    for (unsigned i = 0; i < SLOTS; i++)
        if (k->p[i].pid)
            end_process(k, i);
    if (z->done == k->zygote_done + 1)
        await(&z->done, k->zygote_done + 1); /* all are reaped */
    for (unsigned i = 0; i < k->n_shm; i++)
        shmctl(k->shm[i], IPC_RMID, NULL);
    k->n_shm = 0;
}
