/* links: kern */
/* test_copy_kernel.c: which user memory a system call touches, asked of the running kernel.
 *
 * Every buffer of a call lies in pages that were never touched, each a private mapping of a file
 * of its own, so that after the call pagemap tells per page what the kernel did:
 *
 *     not present: nothing      present, file: read      present, not file: written
 *
 * and getrusage tells how many minor faults it took. The model must name the same pages in an order
 * that gives the same number of faults. Each call runs twice: with every buffer ending exactly at a
 * page end, and one byte later. So a size that is wrong by one byte is seen.
 *
 * Then it runs with one address spoiled at a time: a page of a buffer without mapping, or mapped
 * without the right to write, or a pointer into the kernel's half or between the halves. The kernel's
 * answer and the pages it touched before it found out must be what the model's copies say.
 */
#include "kern/kern.h"

#include "base/bits.h"
#include "diff/host_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define AREAS_MAX        8
#define PAGES_MAX        6
#define FDS_MAX          8
#define SYS_cachestat_nr 451 /* 6.5; not in the headers of Debian 12 */

enum touch { TOUCH_NONE, TOUCH_READ, TOUCH_WRITTEN };

/* Untouched pages with a buffer in them. */
struct area {
    uint8_t *base; /* pages pages */
    unsigned pages;
    uint64_t at; /* where the buffer begins */
};

/* What makes an address bad. */
enum spoil { SPOIL_NOTHING, SPOIL_UNMAP, SPOIL_READ_ONLY, SPOIL_KERNEL, SPOIL_BETWEEN, SPOIL_NR };
#define KERNEL_ADDRESS  UINT64_C(0xffff888000001000) /* of the direct map */
#define BETWEEN_ADDRESS UINT64_C(0x8000000000001000) /* not canonical */

struct scene {
    unsigned shift; /* bytes the buffers reach into the next page */
    struct area area[AREAS_MAX];
    unsigned areas;
    int fd[FDS_MAX];
    unsigned fds;
    struct kern_call call;
    struct kern_iovec iov[4];
    uint8_t bytes[64];
    int queue, sem;  /* System V identifiers + 1, 0: none */
    sigset_t raised; /* signals that wait for the call to take them */
    enum spoil spoil;
    uint64_t spoilt; /* the page */
};

/* -- making a scene */

static int keep(struct scene *s, int fd)
{
    assert_true(fd >= 0 && s->fds < FDS_MAX);
    s->fd[s->fds++] = fd;
    return fd;
}

/* buf makes a buffer of n bytes with contents (NULL: zeros) in untouched pages. */
static uint64_t buf(struct scene *s, const void *contents, size_t n)
{
    struct area *a = &s->area[s->areas++];
    int fd = memfd_create("area", MFD_CLOEXEC);
    assert_true(s->areas <= AREAS_MAX && fd >= 0);
    a->pages = (unsigned)(n / 4096) + 3;
    assert_true(a->pages <= PAGES_MAX);
    assert_int_equal(ftruncate(fd, 2 * 4096 * a->pages), 0);
    a->base = mmap(NULL, 4096 * (a->pages + 2), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(a->base != MAP_FAILED);
    a->base += 4096;
    size_t at = 4096 * (a->pages - 1) - n + s->shift;
    uint8_t *image = calloc(a->pages, 4096);
    if (contents)
        memcpy(image + at, contents, n);
    for (unsigned i = 0; i < a->pages; i++) { /* every other page of the file: VMAs stay apart */
        assert_int_equal(pwrite(fd, image + 4096 * i, 4096, 2 * 4096 * i), 4096);
        assert_true(mmap(a->base + 4096 * i, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                         fd, 2 * 4096 * i) != MAP_FAILED);
    }
    free(image);
    close(fd);
    a->at = (uintptr_t)(a->base + at);
    return a->at;
}

static uint64_t text(struct scene *s, const char *t)
{
    uint64_t a = buf(s, t, strlen(t) + 1);
    s->call.bytes = (const uint8_t *)t;
    s->call.bytes_addr = a;
    s->call.n_bytes = strlen(t) + 1;
    return a;
}

static void call(struct scene *s, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                 uint64_t a4, uint64_t a5)
{
    s->call.nr = nr;
    uint64_t arg[6] = {a0, a1, a2, a3, a4, a5};
    memcpy(s->call.arg, arg, sizeof arg);
}

static uint64_t iovec(struct scene *s, uint64_t a, size_t n, uint64_t b, size_t m)
{
    s->iov[0] = (struct kern_iovec){a, n};
    s->iov[1] = (struct kern_iovec){b, m};
    s->call.iov = s->iov;
    s->call.n_iov = 2;
    s->call.iov_arg = 1;
    return buf(s, s->iov, 32);
}

static int file_of(struct scene *s, size_t n)
{
    int fd = keep(s, memfd_create("file", MFD_CLOEXEC));
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    return fd;
}

static void pair_of(struct scene *s, int fd[2], int type)
{
    assert_int_equal(socketpair(AF_UNIX, type, 0, fd), 0);
    keep(s, fd[0]);
    keep(s, fd[1]);
}

/* -- what happened */

static enum touch touched(const uint8_t *page)
{
    uint64_t e = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, &e, 8, (off_t)((uintptr_t)page / 4096 * 8)), 8);
    close(fd);
    return !(e >> 63) ? TOUCH_NONE : e >> 61 & 1 ? TOUCH_READ : TOUCH_WRITTEN;
}

static long minor_faults(void)
{
    static struct rusage r;
    getrusage(RUSAGE_THREAD, &r);
    return r.ru_minflt;
}

/* -- faults of the kernel's own, also those that no mapping serves: a tracepoint (root) */

static int fault_counter = -1; /* of this thread; -1: it may not be counted */

static void count_kernel_faults(void)
{
    static const char *const at[] = {
        "/sys/kernel/tracing/events/exceptions/page_fault_kernel/id",
        "/sys/kernel/debug/tracing/events/exceptions/page_fault_kernel/id"};
    unsigned long long id = 0;
    for (unsigned i = 0; i < 2 && id == 0; i++) {
        FILE *f = fopen(at[i], "re");
        if (f && fscanf(f, "%llu", &id) != 1)
            id = 0;
        if (f)
            fclose(f);
    }
    struct perf_event_attr a = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof a, .config = id};
    if (id != 0)
        fault_counter = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fault_counter < 0)
        print_message(
            "the kernel's own faults are not counted: no page_fault_kernel for this user\n");
}

static long kernel_faults_now(void)
{
    static uint64_t n; /* its page is there */
    if (fault_counter >= 0)
        assert_int_equal(read(fault_counter, &n, sizeof n), sizeof n);
    return (long)n;
}

/* What a call was seen to do. */
struct seen {
    long minor;  /* faults that a mapping served */
    long kernel; /* all that the kernel took */
};

static int64_t perform(struct kern_call *c, struct seen *ret)
{
    kernel_faults_now();
    minor_faults();
    long before = minor_faults(), kernel = kernel_faults_now();
    long r = syscall((long)c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5]);
    int64_t result = r == -1 ? -errno : r;
    ret->kernel = kernel_faults_now() - kernel;
    ret->minor = minor_faults() - before;
    return result;
}

static enum touch *state_of(enum touch state[AREAS_MAX][PAGES_MAX], const struct scene *s,
                            uint64_t page)
{
    for (unsigned i = 0; i < s->areas; i++)
        for (unsigned j = 0; j < s->area[i].pages; j++)
            if ((uintptr_t)s->area[i].base + 4096 * j == page)
                return &state[i][j];
    return NULL;
}

/* is_bad says whether an access to a page has no right. */
static bool is_bad(const struct scene *s, uint64_t page, bool store)
{
    return page == s->spoilt && (s->spoil == SPOIL_UNMAP || (s->spoil == SPOIL_READ_ONLY && store));
}

/* bad_address lets a copy fault until its exception-table entries have ended it. */
static bool bad_address(struct kern *k, const struct kern_copy *c, struct seen *x)
{
    for (uint64_t insn = kern_insn(c->routine); insn != 0; insn = fixup_exception(k, insn))
        x->kernel++;
    return true;
}

/* replay_copy applies one copy; true if it came to a bad address. */
static bool replay_copy(struct kern *k, const struct kern_copy *c, const struct scene *s,
                        enum touch state[AREAS_MAX][PAGES_MAX], struct seen *x)
{
    vaddr first = c->addr;
    if (!kern_user_address(k, c->routine, c->bytes, &first))
        return true;
    if (!kern_access_ok(k, c->addr,
                        c->bytes)) /* the first address after the user's is never mapped */
        return bad_address(k, c, x);
    for (uint64_t p = c->addr.v & PAGE_MASK; !c->named_only && p < c->addr.v + c->bytes;
         p += 4096) {
        enum touch *t = state_of(state, s, p), want = TOUCH_READ + c->store;
        if (is_bad(s, p, c->store))
            return bad_address(k, c, x);
        if (t && *t < want) {
            *t = want;
            x->minor++;
            x->kernel++;
        }
    }
    return false;
}

/* replay applies the model's copies to untouched pages and returns the faults they take. */
static struct seen replay(struct kern *k, const struct kern_copies *c, const struct scene *s,
                          enum touch state[AREAS_MAX][PAGES_MAX], bool *ret_bad)
{
    struct seen faults = {0};
    struct kern_copy_run run = {0};
    for (uint32_t i = 0; i < c->n; i++) {
        const struct kern_copy *one = &c->copy[i];
        if (kern_copy_made(&run, one) && replay_copy(k, one, s, state, &faults))
            kern_copy_bad(&run, one, s->call.result);
    }
    *ret_bad = run.bad;
    return faults;
}

/* Where a pointer is spoilt, the kernel's own faults are compared, too: whether it asked first (access_ok), or
 * masked the address and took the fault. In the other cases helpers look ahead (fault_in_iov_iter_readable, with
 * faults switched off) that the model does not have. */
static bool same_faults(const struct scene *s, const struct seen *kernel, const struct seen *model)
{
    bool pointer = s->spoil == SPOIL_KERNEL || s->spoil == SPOIL_BETWEEN;
    /* A wake of a shared futex pins its page, which is no fault of the kernel's (get_user_pages); where cgroups
     * have BPF programs, the length of an option's buffer is read once more (do_sock_getsockopt). */
    pointer &= s->call.nr != SYS_getsockopt &&
               (s->call.nr != SYS_futex || kernel->minor == kernel->kernel);
    return kernel->minor == model->minor &&
           (fault_counter < 0 || !pointer || kernel->kernel == model->kernel);
}

static void compare(struct kern *k, struct scene *s)
{
    enum touch state[AREAS_MAX][PAGES_MAX] = {0};
    struct kern_copies copies = {0};
    struct seen kernel;
    s->call.result = perform(&s->call, &kernel);
    kern_syscall(k, NULL, &s->call, &copies);
    bool bad;
    struct seen model = replay(k, &copies, s, state, &bad);
    bool same = same_faults(s, &kernel, &model) && kern_outcome_agrees(&s->call, bad);
    for (unsigned i = 0; i < s->areas; i++)
        for (unsigned j = 0; j < s->area[i].pages; j++)
            same &= touched(s->area[i].base + 4096 * j) == state[i][j];
    for (unsigned i = 0; !same && i < s->areas; i++)
        for (unsigned j = 0; j < s->area[i].pages; j++)
            print_error("buffer %u page %u: kernel %d, model %d\n", i, j,
                        touched(s->area[i].base + 4096 * j), state[i][j]);
    if (!same)
        print_error(
            "%s, shift %u, spoil %d at %lx, result %ld, bad %d: %ld faults (kernel %ld), model %ld "
            "(%ld)\n",
            kern_call_name(s->call.nr), s->shift, s->spoil, s->spoilt, (long)s->call.result, bad,
            kernel.minor, kernel.kernel, model.minor, model.kernel);
    assert_true(same);
    kern_copies_close(&copies);
}

static void scene_close(struct scene *s)
{
    for (unsigned i = 0; i < s->areas; i++)
        munmap(s->area[i].base - 4096, 4096 * (s->area[i].pages + 2));
    for (unsigned i = 0; i < s->fds; i++)
        close(s->fd[i]);
    while (sigtimedwait(&s->raised, NULL, &(struct timespec){0}) > 0)
        ;
    if (s->queue)
        syscall(SYS_msgctl, s->queue - 1, IPC_RMID, NULL);
    if (s->sem)
        syscall(SYS_semctl, s->sem - 1, 0, IPC_RMID, 0);
}

/* spoil makes page j of buffer i bad, or the pointers to that buffer (j == 0); false: it has none. */
static bool spoil(struct scene *s, enum spoil how, unsigned i, unsigned j)
{
    uint64_t wrong = how == SPOIL_KERNEL ? KERNEL_ADDRESS : BETWEEN_ADDRESS;
    bool any = false;
    s->spoil = how;
    s->spoilt = (uintptr_t)s->area[i].base + 4096 * j;
    if (how == SPOIL_UNMAP)
        return munmap(s->area[i].base + 4096 * j, 4096) == 0;
    if (how == SPOIL_READ_ONLY)
        return mprotect(s->area[i].base + 4096 * j, 4096, PROT_READ) == 0;
    for (unsigned a = 0; j == 0 && a < 6; a++)
        if (s->call.arg[a] == s->area[i].at) {
            s->call.arg[a] = wrong;
            any = true;
        }
    return any;
}

typedef void make_fn(struct scene *s);

static void sc_futex_wake_shared(struct scene *s);
/* check_spoilt runs a scene once for every way to spoil one of its addresses. */
static void check_spoilt(struct kern *k, make_fn *make, unsigned shift)
{
    for (unsigned n = 0; n < SPOIL_NR * AREAS_MAX * PAGES_MAX; n++) {
        struct scene s = {.shift = shift};
        enum spoil how = n / (AREAS_MAX * PAGES_MAX);
        unsigned i = n / PAGES_MAX % AREAS_MAX, j = n % PAGES_MAX;
        make(&s);
        /* The key of a shared futex is read where it may not be written (get_futex_key). */
        bool other = make == sc_futex_wake_shared && how == SPOIL_READ_ONLY;
        if (how != SPOIL_NOTHING && !other && i < s.areas && j < s.area[i].pages &&
            spoil(&s, how, i, j))
            compare(k, &s);
        scene_close(&s);
    }
}

static void sc_recvmsg_short(struct scene *s);
static void check(make_fn *make, unsigned shifts)
{
    struct conf conf;
    struct stat_set stats = {0};
    struct arch_outbox outbox;
    struct kern *k;
    conf_init(&conf);
    assert_int_equal(arch_outbox_open(&outbox), 0);
    assert_int_equal(kern_open(&k, &conf, NULL, NULL, &stats, &outbox), 0);
    for (unsigned shift = 0; shift < shifts; shift++) {
        struct scene s = {.shift = shift};
        make(&s);
        compare(k, &s);
        scene_close(&s);
    }
    if (make != sc_recvmsg_short)
        check_spoilt(k, make, shifts - 1);
    kern_close(k);
    arch_outbox_close(&outbox);
}

#define SCENE(name, ...)                                                                           \
    static void name(struct scene *s)                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define ZEROS(n) buf(s, NULL, n)

/* -- bytes in and out */
SCENE(sc_read, call(s, SYS_read, file_of(s, 9000), ZEROS(5000), 5000, 0, 0, 0);)
SCENE(sc_read_short, call(s, SYS_read, file_of(s, 100), ZEROS(5000), 5000, 0, 0, 0);)
SCENE(sc_read_bad_fd, call(s, SYS_read, (uint64_t)-1, ZEROS(100), 100, 0, 0, 0);)
SCENE(sc_pread, call(s, SYS_pread64, file_of(s, 9000), ZEROS(4096), 4096, 17, 0, 0);)
SCENE(sc_write, call(s, SYS_write, file_of(s, 0), ZEROS(5000), 5000, 0, 0, 0);)
SCENE(sc_pwrite, call(s, SYS_pwrite64, file_of(s, 0), ZEROS(3000), 3000, 4, 0, 0);)
SCENE(sc_getrandom, call(s, SYS_getrandom, ZEROS(300), 300, 0, 0, 0, 0);)

static void sc_write_pipe(struct scene *s)
{
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    keep(s, fd[0]);
    keep(s, keep(s, fd[1]));
    s->fds--;
    call(s, SYS_write, (uint64_t)fd[1], ZEROS(6000), 6000, 0, 0, 0);
}

static void sc_read_pipe(struct scene *s)
{
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    keep(s, fd[0]);
    keep(s, fd[1]);
    assert_int_equal(write(fd[1], "0123456789", 10), 10);
    call(s, SYS_read, (uint64_t)fd[0], ZEROS(10), 10, 0, 0, 0);
}

static void vector(struct scene *s, uint64_t nr, int fd)
{
    uint64_t a = ZEROS(2000), b = ZEROS(5000);
    call(s, nr, (uint64_t)fd, iovec(s, a, 2000, b, 5000), 2, 0, 0, 0);
}
SCENE(sc_readv, vector(s, SYS_readv, file_of(s, 9000));)
SCENE(sc_readv_short, vector(s, SYS_readv, file_of(s, 1500));)
SCENE(sc_preadv, vector(s, SYS_preadv, file_of(s, 9000));)
SCENE(sc_writev, vector(s, SYS_writev, file_of(s, 0));)
SCENE(sc_pwritev, vector(s, SYS_pwritev, file_of(s, 0));)

static void sc_sendfile(struct scene *s)
{
    int in = file_of(s, 300), out = file_of(s, 0);
    call(s, SYS_sendfile, (uint64_t)out, (uint64_t)in, ZEROS(8), 100, 0, 0);
}
static void sc_copy_file_range(struct scene *s)
{
    int in = file_of(s, 300), out = file_of(s, 0);
    call(s, SYS_copy_file_range, (uint64_t)in, ZEROS(8), (uint64_t)out, ZEROS(8), 100, 0);
}

/* -- paths and file attributes */
SCENE(sc_stat, call(s, SYS_stat, text(s, "/usr"), ZEROS(144), 0, 0, 0, 0);)
SCENE(sc_stat_long, call(s, SYS_stat, text(s, "/usr/bin/../bin"), ZEROS(144), 0, 0, 0, 0);)
SCENE(sc_stat_missing, call(s, SYS_stat, text(s, "/no/such"), ZEROS(144), 0, 0, 0, 0);)
SCENE(sc_lstat, call(s, SYS_lstat, text(s, "/usr/bin"), ZEROS(144), 0, 0, 0, 0);)
SCENE(sc_fstat, call(s, SYS_fstat, file_of(s, 1), ZEROS(144), 0, 0, 0, 0);)
SCENE(sc_newfstatat,
      call(s, SYS_newfstatat, (uint64_t)AT_FDCWD, text(s, "/etc/passwd"), ZEROS(144), 0, 0, 0);)
SCENE(sc_statx,
      call(s, SYS_statx, (uint64_t)AT_FDCWD, text(s, "/usr/lib"), 0, STATX_ALL, ZEROS(256), 0);)
SCENE(sc_statfs, call(s, SYS_statfs, text(s, "/"), ZEROS(120), 0, 0, 0, 0);)
SCENE(sc_fstatfs, call(s, SYS_fstatfs, file_of(s, 1), ZEROS(120), 0, 0, 0, 0);)
SCENE(sc_access, call(s, SYS_access, text(s, "/etc/hosts"), 0, 0, 0, 0, 0);)
SCENE(sc_readlink, call(s, SYS_readlink, text(s, "/proc/self/exe"), ZEROS(200), 200, 0, 0, 0);)
SCENE(sc_getcwd, call(s, SYS_getcwd, ZEROS(300), 300, 0, 0, 0, 0);)
SCENE(sc_utimensat, call(s, SYS_utimensat, (uint64_t)file_of(s, 1), 0, ZEROS(32), 0, 0, 0);)
SCENE(sc_getxattr_missing,
      call(s, SYS_fgetxattr, file_of(s, 1), text(s, "user.none"), ZEROS(64), 64, 0, 0);)

static void sc_openat(struct scene *s)
{
    call(s, SYS_openat, (uint64_t)AT_FDCWD, text(s, "/dev/null"), O_RDONLY | O_CLOEXEC, 0, 0, 0);
}
static void sc_openat2(struct scene *s)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    call(s, SYS_openat2, (uint64_t)AT_FDCWD, text(s, "/dev/null"), buf(s, &how, sizeof how),
         sizeof how, 0, 0);
}
static void sc_getdents64(struct scene *s)
{
    int fd = keep(s, open("/proc/self/ns", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    call(s, SYS_getdents64, (uint64_t)fd, ZEROS(4096), 4096, 0, 0, 0);
}

/* -- waiting for descriptors */
static void sc_poll(struct scene *s)
{
    struct pollfd p[3] = {{file_of(s, 1), POLLIN, 0}, {-1, 0, 0}, {file_of(s, 1), POLLOUT, 0}};
    call(s, SYS_poll, buf(s, p, sizeof p), 3, 0, 0, 0, 0);
}
static void sc_ppoll(struct scene *s)
{
    struct pollfd p[1] = {{file_of(s, 1), POLLIN, 0}};
    struct timespec t = {5, 0};
    uint64_t fds = buf(s, p, sizeof p), ts = buf(s, &t, sizeof t);
    call(s, SYS_ppoll, fds, 1, ts, ZEROS(8), 8, 0);
}
static void selecting(struct scene *s, uint64_t nr, uint64_t mask)
{
    struct timeval t = {5, 0};
    int fd = file_of(s, 1);
    uint64_t bits = UINT64_C(1) << fd;
    uint64_t r = buf(s, &bits, 8), w = buf(s, &bits, 8), e = ZEROS(8);
    call(s, nr, (uint64_t)fd + 1, r, w, e, buf(s, &t, sizeof t), mask);
}
SCENE(sc_select, selecting(s, SYS_select, 0);)
SCENE(sc_pselect, uint64_t pack[2] = {0, 8}; selecting(s, SYS_pselect6, buf(s, pack, 16));)

static void epolling(struct scene *s, uint64_t nr, uint64_t mask)
{
    int e = keep(s, epoll_create1(EPOLL_CLOEXEC)), fd[2];
    struct epoll_event ev = {.events = EPOLLOUT};
    pair_of(s, fd, SOCK_STREAM);
    assert_int_equal(epoll_ctl(e, EPOLL_CTL_ADD, fd[0], &ev), 0);
    assert_int_equal(epoll_ctl(e, EPOLL_CTL_ADD, fd[1], &ev), 0);
    call(s, nr, (uint64_t)e, ZEROS(24), 2, 0, mask, 8);
}
SCENE(sc_epoll_wait, epolling(s, SYS_epoll_wait, 0);)
SCENE(sc_epoll_pwait, epolling(s, SYS_epoll_pwait, ZEROS(8));)

static void sc_epoll_ctl(struct scene *s)
{
    int e = keep(s, epoll_create1(EPOLL_CLOEXEC)), fd[2];
    struct epoll_event ev = {.events = EPOLLOUT};
    pair_of(s, fd, SOCK_STREAM);
    call(s, SYS_epoll_ctl, (uint64_t)e, EPOLL_CTL_ADD, (uint64_t)fd[0], buf(s, &ev, 12), 0, 0);
}
static void sc_epoll_del(struct scene *s)
{
    int e = keep(s, epoll_create1(EPOLL_CLOEXEC)), fd[2];
    struct epoll_event ev = {.events = EPOLLOUT};
    pair_of(s, fd, SOCK_STREAM);
    assert_int_equal(epoll_ctl(e, EPOLL_CTL_ADD, fd[0], &ev), 0);
    call(s, SYS_epoll_ctl, (uint64_t)e, EPOLL_CTL_DEL, (uint64_t)fd[0], ZEROS(12), 0, 0);
}

/* -- sockets */
static void sc_sendto(struct scene *s)
{
    int fd[2];
    pair_of(s, fd, SOCK_STREAM);
    call(s, SYS_sendto, (uint64_t)fd[0], ZEROS(3000), 3000, 0, 0, 0);
}
static void sc_recvfrom(struct scene *s)
{
    int fd[2];
    uint32_t len = 16, none = 0;
    pair_of(s, fd, SOCK_STREAM);
    assert_int_equal(send(fd[0], "abcde", 5, 0), 5);
    uint64_t data = ZEROS(5), name = ZEROS(16), lenp = buf(s, &len, 4);
    call(s, SYS_recvfrom, (uint64_t)fd[1], data, 5, 0, name, lenp);
    memcpy(s->bytes, &none, 4); /* what the kernel leaves there: an unnamed peer */
    s->call.bytes = s->bytes;
    s->call.bytes_addr = lenp;
    s->call.n_bytes = 4;
}

/* message makes a msghdr whose fields are known to the model as the front end would send them. */
static void message(struct scene *s, uint64_t nr, int fd, size_t n, size_t control)
{
    uint64_t a = ZEROS(n), b = ZEROS(50), iov = iovec(s, a, n, b, 50);
    uint64_t c = control ? ZEROS(control) : 0;
    struct msghdr h = {.msg_iov = (struct iovec *)iov,
                       .msg_iovlen = 2,
                       .msg_control = (void *)c,
                       .msg_controllen = control};
    uint64_t m = buf(s, &h, sizeof h);
    h.msg_controllen = 0; /* after the call: nothing was received */
    memcpy(s->bytes, &h, sizeof h);
    s->call.bytes = s->bytes;
    s->call.bytes_addr = m;
    s->call.n_bytes = sizeof h;
    call(s, nr, (uint64_t)fd, m, 0, 0, 0, 0);
}
static void sc_sendmsg(struct scene *s)
{
    int fd[2];
    pair_of(s, fd, SOCK_STREAM);
    message(s, SYS_sendmsg, fd[0], 700, 0);
}
static void recvmsg_of(struct scene *s, size_t n)
{
    int fd[2];
    char data[750] = {0};
    pair_of(s, fd, SOCK_STREAM);
    assert_int_equal(send(fd[0], data, n, 0), n);
    message(s, SYS_recvmsg, fd[1], 700, 64);
}
SCENE(sc_recvmsg, recvmsg_of(s, 750);)
/* After EFAULT nobody knows how much had come, so this is not run with spoilt addresses. */
SCENE(sc_recvmsg_short, recvmsg_of(s, 720);)
static void sc_recvmsg_empty(struct scene *s)
{
    int fd[2];
    pair_of(s, fd, SOCK_STREAM | SOCK_NONBLOCK);
    message(s, SYS_recvmsg, fd[1], 700, 0);
}
static void naming(struct scene *s, uint64_t nr, int fd, uint32_t len)
{
    uint64_t name = ZEROS(len), lenp = buf(s, &len, 4);
    memcpy(s->bytes, &len, 4);
    s->call.bytes = s->bytes;
    s->call.bytes_addr = lenp;
    s->call.n_bytes = 4;
    call(s, nr, (uint64_t)fd, name, lenp, 0, 0, 0);
}
static void sc_getsockname(struct scene *s)
{
    naming(s, SYS_getsockname, keep(s, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), 16);
}
static void sc_getpeername(struct scene *s)
{
    int fd[2];
    pair_of(s, fd, SOCK_STREAM);
    naming(s, SYS_getpeername, fd[0], 2); /* AF_UNIX without a name: the family only */
}
static void sc_accept(struct scene *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t n = sizeof a;
    int l = keep(s, socket(AF_UNIX, SOCK_STREAM, 0)), c = keep(s, socket(AF_UNIX, SOCK_STREAM, 0));
    assert_int_equal(bind(l, (void *)&a, 2), 0); /* autobind: an abstract name */
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (void *)&a, &n), 0);
    assert_int_equal(connect(c, (void *)&a, n), 0);
    naming(s, SYS_accept4, l, 2);
}
static void sc_getsockopt(struct scene *s)
{
    uint32_t len = 4;
    uint64_t value = ZEROS(4), lenp = buf(s, &len, 4);
    int fd = keep(s, socket(AF_INET, SOCK_STREAM, 0));
    call(s, SYS_getsockopt, (uint64_t)fd, SOL_SOCKET, SO_RCVBUF, value, lenp, 0);
}
static void sc_setsockopt(struct scene *s)
{
    int fd = keep(s, socket(AF_INET, SOCK_STREAM, 0));
    call(s, SYS_setsockopt, (uint64_t)fd, SOL_SOCKET, SO_KEEPALIVE, ZEROS(4), 4, 0);
}
static void sc_bind(struct scene *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = keep(s, socket(AF_UNIX, SOCK_STREAM, 0));
    call(s, SYS_bind, (uint64_t)fd, buf(s, &a, 2), 2, 0, 0, 0);
}
SCENE(sc_socketpair, call(s, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ZEROS(8), 0, 0);)
SCENE(sc_pipe2, call(s, SYS_pipe2, ZEROS(8), O_CLOEXEC, 0, 0, 0, 0);)

/* -- signals */
SCENE(sc_sigaction, call(s, SYS_rt_sigaction, SIGUSR1, ZEROS(32), ZEROS(32), 8, 0, 0);)
SCENE(sc_sigaction_query, call(s, SYS_rt_sigaction, SIGUSR1, 0, ZEROS(32), 8, 0, 0);)
SCENE(sc_sigprocmask, call(s, SYS_rt_sigprocmask, SIG_BLOCK, ZEROS(8), ZEROS(8), 8, 0, 0);)
SCENE(sc_sigpending, call(s, SYS_rt_sigpending, ZEROS(8), 8, 0, 0, 0, 0);)
static void sc_sigaltstack(struct scene *s)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    call(s, SYS_sigaltstack, buf(s, &none, sizeof none), ZEROS(24), 0, 0, 0, 0);
}
static void sc_sigtimedwait(struct scene *s)
{
    struct timespec t = {0, 1};
    uint64_t set = ZEROS(8), info = ZEROS(128);
    call(s, SYS_rt_sigtimedwait, set, info, buf(s, &t, sizeof t), 8, 0, 0);
}
static void sc_sigtimedwait_hit(struct scene *s)
{
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    sigprocmask(SIG_BLOCK, &usr2, NULL);
    raise(SIGUSR2);
    s->raised = usr2;
    uint64_t set = buf(s, &usr2, 8), info = ZEROS(128);
    call(s, SYS_rt_sigtimedwait, set, info, 0, 8, 0, 0);
}

/* -- time */
SCENE(sc_clock_gettime, call(s, SYS_clock_gettime, CLOCK_MONOTONIC, ZEROS(16), 0, 0, 0, 0);)
SCENE(sc_clock_getres, call(s, SYS_clock_getres, CLOCK_MONOTONIC, ZEROS(16), 0, 0, 0, 0);)
SCENE(sc_gettimeofday, call(s, SYS_gettimeofday, ZEROS(16), ZEROS(8), 0, 0, 0, 0);)
SCENE(sc_time, call(s, SYS_time, ZEROS(8), 0, 0, 0, 0, 0);)
SCENE(sc_times, call(s, SYS_times, ZEROS(32), 0, 0, 0, 0, 0);)
SCENE(sc_nanosleep, struct timespec t = {0, 1};
      call(s, SYS_nanosleep, buf(s, &t, 16), ZEROS(16), 0, 0, 0, 0);)
SCENE(sc_clock_nanosleep, struct timespec t = {0, 1};
      call(s, SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, buf(s, &t, 16), ZEROS(16), 0, 0);)
SCENE(sc_getitimer, call(s, SYS_getitimer, ITIMER_REAL, ZEROS(32), 0, 0, 0, 0);)
SCENE(sc_setitimer, call(s, SYS_setitimer, ITIMER_REAL, ZEROS(32), ZEROS(32), 0, 0, 0);)
SCENE(sc_adjtimex, call(s, SYS_adjtimex, ZEROS(208), 0, 0, 0, 0, 0);)

static void sc_timerfd(struct scene *s)
{
    int fd = keep(s, (int)syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0));
    call(s, SYS_timerfd_settime, (uint64_t)fd, 0, ZEROS(32), ZEROS(32), 0, 0);
}
static void sc_timerfd_gettime(struct scene *s)
{
    int fd = keep(s, (int)syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0));
    call(s, SYS_timerfd_gettime, (uint64_t)fd, ZEROS(32), 0, 0, 0, 0);
}

/* -- process and system */
SCENE(sc_uname, call(s, SYS_uname, ZEROS(390), 0, 0, 0, 0, 0);)
SCENE(sc_sysinfo, call(s, SYS_sysinfo, ZEROS(112), 0, 0, 0, 0, 0);)
SCENE(sc_getrusage, call(s, SYS_getrusage, RUSAGE_SELF, ZEROS(144), 0, 0, 0, 0);)
SCENE(sc_getrlimit, call(s, SYS_getrlimit, RLIMIT_STACK, ZEROS(16), 0, 0, 0, 0);)
SCENE(sc_prlimit, call(s, SYS_prlimit64, 0, RLIMIT_STACK, 0, ZEROS(16), 0, 0);)
SCENE(sc_getresuid, call(s, SYS_getresuid, ZEROS(4), ZEROS(4), ZEROS(4), 0, 0, 0);)
SCENE(sc_getgroups, call(s, SYS_getgroups, 64, ZEROS(4), 0, 0, 0, 0);)
SCENE(sc_getgroups_count, call(s, SYS_getgroups, 0, ZEROS(4), 0, 0, 0, 0);)
SCENE(sc_getcpu, call(s, SYS_getcpu, ZEROS(4), ZEROS(4), 0, 0, 0, 0);)
SCENE(sc_affinity, call(s, SYS_sched_getaffinity, 0, 1024, ZEROS(1024), 0, 0, 0);)
SCENE(sc_sched_getparam, call(s, SYS_sched_getparam, 0, ZEROS(4), 0, 0, 0, 0);)
SCENE(sc_sched_getattr, call(s, SYS_sched_getattr, 0, ZEROS(48), 48, 0, 0, 0);)
SCENE(sc_rr_interval, call(s, SYS_sched_rr_get_interval, 0, ZEROS(16), 0, 0, 0, 0);)
SCENE(sc_get_robust, call(s, SYS_get_robust_list, 0, ZEROS(8), ZEROS(8), 0, 0, 0);)
SCENE(sc_prctl_name, call(s, SYS_prctl, 16, ZEROS(16), 0, 0, 0, 0);)
SCENE(sc_arch_get_fs, call(s, SYS_arch_prctl, 0x1003, ZEROS(8), 0, 0, 0, 0);)
static void sc_capget(struct scene *s)
{
    uint32_t head[2] = {0x20080522, 0};
    call(s, SYS_capget, buf(s, head, 8), ZEROS(24), 0, 0, 0, 0);
}
/* dead_child shares our memory, so that it leaves no copy-on-write pages behind. */
static pid_t dead_child(void)
{
    pid_t p = vfork();
    if (p == 0)
        _exit(3);
    return p;
}
static void sc_wait4(struct scene *s)
{
    pid_t p = dead_child();
    call(s, SYS_wait4, (uint64_t)p, ZEROS(4), 0, ZEROS(144), 0, 0);
}
static void sc_waitid(struct scene *s)
{
    pid_t p = dead_child();
    call(s, SYS_waitid, P_PID, (uint64_t)p, ZEROS(28), WEXITED, ZEROS(144), 0);
}
SCENE(sc_wait4_none, call(s, SYS_wait4, (uint64_t)-1, ZEROS(4), 0, ZEROS(144), 0, 0);)

/* -- ioctl, fcntl, futex */
static int terminal(struct scene *s)
{
    return keep(s, posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
}
SCENE(sc_tcgets, call(s, SYS_ioctl, terminal(s), 0x5401, ZEROS(36), 0, 0, 0);)
SCENE(sc_winsize, call(s, SYS_ioctl, terminal(s), 0x5413, ZEROS(8), 0, 0, 0);)
SCENE(sc_tcgets_file, call(s, SYS_ioctl, file_of(s, 1), 0x5401, ZEROS(36), 0, 0, 0);)
SCENE(sc_ptn, call(s, SYS_ioctl, terminal(s), 0x80045430, ZEROS(4), 0, 0, 0);)
static void sc_fionread(struct scene *s)
{
    int fd[2];
    pair_of(s, fd, SOCK_STREAM);
    call(s, SYS_ioctl, (uint64_t)fd[0], 0x541b, ZEROS(4), 0, 0, 0);
}
static void sc_getlk(struct scene *s)
{
    struct flock f = {.l_type = F_WRLCK};
    call(s, SYS_fcntl, (uint64_t)file_of(s, 1), F_GETLK, buf(s, &f, sizeof f), 0, 0, 0);
}
static void futex_op(struct scene *s, int op, uint32_t value)
{
    struct timespec t = {0, 1};
    call(s, SYS_futex, ZEROS(4), (uint64_t)op, value, buf(s, &t, 16), 0, 0);
}
SCENE(sc_futex_wait, futex_op(s, FUTEX_WAIT_PRIVATE, 0);)
SCENE(sc_futex_changed, futex_op(s, FUTEX_WAIT_PRIVATE, 7);)
SCENE(sc_futex_wake, futex_op(s, FUTEX_WAKE_PRIVATE, 1);)
SCENE(sc_futex_wait_shared, futex_op(s, FUTEX_WAIT, 0);)
SCENE(sc_futex_wake_shared, futex_op(s, FUTEX_WAKE, 1);)

/* -- less common calls */
static uint64_t timer_of(struct scene *s)
{
    int id;
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    (void)s;
    assert_int_equal(syscall(SYS_timer_create, CLOCK_MONOTONIC, &none, &id), 0);
    return (uint64_t)id;
}
static void sc_timer_create(struct scene *s)
{
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    uint64_t e = buf(s, &none, 64);
    call(s, SYS_timer_create, CLOCK_MONOTONIC, e, ZEROS(4), 0, 0, 0);
}
SCENE(sc_timer_settime, uint64_t id = timer_of(s);
      call(s, SYS_timer_settime, id, 0, ZEROS(32), ZEROS(32), 0, 0);)
SCENE(sc_timer_gettime, uint64_t id = timer_of(s);
      call(s, SYS_timer_gettime, id, ZEROS(32), 0, 0, 0, 0);)
SCENE(sc_setaffinity, uint64_t all = UINT64_MAX;
      call(s, SYS_sched_setaffinity, 0, 8, buf(s, &all, 8), 0, 0, 0);)
SCENE(sc_signalfd, call(s, SYS_signalfd4, (uint64_t)-1, ZEROS(8), 8, 0, 0, 0);)
SCENE(sc_set_name, call(s, SYS_prctl, 15, text(s, "another-name"), 0, 0, 0, 0);)
SCENE(sc_memfd, call(s, SYS_memfd_create, text(s, "a name"), MFD_CLOEXEC, 0, 0, 0, 0);)
SCENE(sc_utimes_missing, uint64_t t = ZEROS(32);
      call(s, SYS_utimes, text(s, "/no/such/file"), t, 0, 0, 0, 0);)
SCENE(sc_faccessat2,
      call(s, SYS_faccessat2, (uint64_t)AT_FDCWD, text(s, "/etc"), 0, AT_EACCESS, 0, 0);)
SCENE(sc_getpriority_of_mq, call(s, SYS_mq_getsetattr, (uint64_t)-1, 0, ZEROS(64), 0, 0, 0);)
SCENE(sc_listxattr, call(s, SYS_flistxattr, file_of(s, 1), ZEROS(64), 64, 0, 0, 0);)
SCENE(sc_sched_setattr, uint32_t a[14] = {56};
      call(s, SYS_sched_setattr, 0, buf(s, a, 56), 0, 0, 0, 0);)
SCENE(sc_setrlimit, struct rlimit r; getrlimit(RLIMIT_CORE, &r);
      call(s, SYS_setrlimit, RLIMIT_CORE, buf(s, &r, 16), 0, 0, 0, 0);)
SCENE(sc_prlimit_both, struct rlimit r; getrlimit(RLIMIT_CORE, &r); uint64_t in = buf(s, &r, 16);
      call(s, SYS_prlimit64, 0, RLIMIT_CORE, in, ZEROS(16), 0, 0);)
SCENE(sc_cachestat, call(s, SYS_cachestat_nr, file_of(s, 1), ZEROS(16), ZEROS(40), 0, 0, 0);)
SCENE(sc_name_to_handle, call(s, SYS_name_to_handle_at, (uint64_t)AT_FDCWD, text(s, "/no/such"),
                              ZEROS(8), ZEROS(4), 0, 0);)
SCENE(sc_setgroups_bad, call(s, SYS_setgroups, 70000, ZEROS(8), 0, 0, 0, 0);)
SCENE(sc_shmctl_info, call(s, SYS_shmctl, 0, 3, ZEROS(72), 0, 0, 0);)

static void sc_message_queue(struct scene *s)
{
    struct {
        long type;
        char text[50];
    } m = {1, ""};
    int q = (int)syscall(SYS_msgget, IPC_PRIVATE, 0600 | IPC_CREAT);
    s->queue = q + 1;
    uint64_t b = buf(s, &m, 8 + 50);
    call(s, SYS_msgsnd, (uint64_t)q, b, 50, 0, 0, 0);
}
static void sc_semop(struct scene *s)
{
    uint16_t op[3] = {0, 1, 0};
    int id = (int)syscall(SYS_semget, IPC_PRIVATE, 1, 0600 | IPC_CREAT);
    s->sem = id + 1;
    call(s, SYS_semop, (uint64_t)id, buf(s, op, 6), 1, 0, 0, 0);
}
static void sc_splice(struct scene *s)
{
    int fd[2], in = file_of(s, 300);
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    keep(s, fd[0]);
    keep(s, fd[1]);
    call(s, SYS_splice, (uint64_t)in, ZEROS(8), (uint64_t)fd[1], 0, 100, 0);
}
static void sc_process_vm_readv(struct scene *s)
{
    static uint8_t source[64];
    struct iovec there = {source, 64};
    uint64_t a = ZEROS(40), b = ZEROS(24), local = iovec(s, a, 40, b, 24);
    source[0] = 1;
    call(s, SYS_process_vm_readv, (uint64_t)getpid(), local, 2, buf(s, &there, 16), 1, 0);
}
static void sc_sendmmsg(struct scene *s)
{
    static char data[10];
    static struct iovec v = {data, 10};
    struct mmsghdr h = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};
    int fd[2];
    pair_of(s, fd, SOCK_STREAM);
    data[0] = 1;
    call(s, SYS_sendmmsg, (uint64_t)fd[0], buf(s, &h, sizeof h), 1, 0, 0, 0);
}
static void sc_epoll_pwait2(struct scene *s)
{
    struct timespec t = {0, 1};
    int e = keep(s, epoll_create1(EPOLL_CLOEXEC));
    uint64_t ev = ZEROS(12), ts = buf(s, &t, 16);
    call(s, SYS_epoll_pwait2, (uint64_t)e, ev, 1, ts, ZEROS(8), 8);
}

/* -- tests */

static void calls_that_move_bytes_touch_as_many_pages_as_the_kernel(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_read,      sc_read_short, sc_read_bad_fd, sc_pread,           sc_write,       sc_pwrite,
        sc_getrandom, sc_write_pipe, sc_read_pipe,   sc_readv,           sc_readv_short, sc_preadv,
        sc_writev,    sc_pwritev,    sc_sendfile,    sc_copy_file_range,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void calls_with_paths_read_them_and_write_the_answer(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_stat,
        sc_stat_long,
        sc_stat_missing,
        sc_lstat,
        sc_fstat,
        sc_newfstatat,
        sc_statx,
        sc_statfs,
        sc_fstatfs,
        sc_access,
        sc_readlink,
        sc_getcwd,
        sc_utimensat,
        sc_openat,
        sc_openat2,
        sc_getdents64,
        sc_getxattr_missing,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void calls_that_wait_for_descriptors_touch_their_tables(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_poll,       sc_ppoll,       sc_select,    sc_pselect,
        sc_epoll_wait, sc_epoll_pwait, sc_epoll_ctl, sc_epoll_del,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void socket_calls_touch_messages_names_and_lengths(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_sendto,        sc_recvfrom,    sc_sendmsg,     sc_recvmsg, sc_recvmsg_empty,
        sc_recvmsg_short, sc_getsockname, sc_getpeername, sc_accept,  sc_getsockopt,
        sc_setsockopt,    sc_bind,        sc_socketpair,  sc_pipe2,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void signal_calls_touch_sets_actions_and_infos(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_sigaction,   sc_sigaction_query, sc_sigprocmask,      sc_sigpending,
        sc_sigaltstack, sc_sigtimedwait,    sc_sigtimedwait_hit,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void time_calls_touch_times_and_timers(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_clock_gettime, sc_clock_getres, sc_gettimeofday,    sc_time,
        sc_times,         sc_nanosleep,    sc_clock_nanosleep, sc_getitimer,
        sc_setitimer,     sc_adjtimex,     sc_timerfd,         sc_timerfd_gettime,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void process_calls_touch_what_they_report(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_uname,          sc_sysinfo,       sc_getrusage,       sc_getrlimit,  sc_prlimit,
        sc_getresuid,      sc_getgroups,     sc_getgroups_count, sc_getcpu,     sc_affinity,
        sc_sched_getparam, sc_sched_getattr, sc_rr_interval,     sc_get_robust, sc_prctl_name,
        sc_arch_get_fs,    sc_capget,        sc_wait4,           sc_waitid,     sc_wait4_none,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void control_calls_touch_by_their_command(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_tcgets, sc_winsize, sc_tcgets_file, sc_ptn, sc_fionread, sc_getlk,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

static void less_common_calls_touch_what_their_rows_say(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_timer_create,  sc_timer_settime,     sc_timer_gettime, sc_setaffinity,
        sc_signalfd,      sc_set_name,          sc_memfd,         sc_utimes_missing,
        sc_faccessat2,    sc_getpriority_of_mq, sc_listxattr,     sc_sched_setattr,
        sc_setrlimit,     sc_prlimit_both,      sc_cachestat,     sc_name_to_handle,
        sc_setgroups_bad, sc_shmctl_info,       sc_message_queue, sc_semop,
        sc_splice,        sc_process_vm_readv,  sc_sendmmsg,      sc_epoll_pwait2,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 2);
}

/* Futex words must be aligned, so they cannot reach one byte into the next page. */
static void futex_calls_touch_the_word_only_when_they_look_at_it(void **state)
{
    (void)state;
    make_fn *const all[] = {
        sc_futex_wait, sc_futex_changed, sc_futex_wake, sc_futex_wait_shared, sc_futex_wake_shared,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        check(all[i], 1);
}

/* warm_up touches the pages of this test's own code and of errno. */
static int warm_up(void **state)
{
    (void)state;
    struct kern_call bad = {.nr = SYS_close, .arg = {UINT64_MAX}};
    struct seen faults;
    return perform(&bad, &faults) == -EBADF ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_move_bytes_touch_as_many_pages_as_the_kernel),
        cmocka_unit_test(calls_with_paths_read_them_and_write_the_answer),
        cmocka_unit_test(calls_that_wait_for_descriptors_touch_their_tables),
        cmocka_unit_test(socket_calls_touch_messages_names_and_lengths),
        cmocka_unit_test(signal_calls_touch_sets_actions_and_infos),
        cmocka_unit_test(time_calls_touch_times_and_timers),
        cmocka_unit_test(process_calls_touch_what_they_report),
        cmocka_unit_test(control_calls_touch_by_their_command),
        cmocka_unit_test(less_common_calls_touch_what_their_rows_say),
        cmocka_unit_test(futex_calls_touch_the_word_only_when_they_look_at_it),
    };
    host_settings_stay();
    count_kernel_faults();
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
