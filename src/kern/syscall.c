/* syscall.c: one finished system call becomes the list of user memory the kernel touched.
 *
 *   syscalls.def ─► table of calls ─┐
 *   arguments, result, iovecs ──────┴─► buffer by buffer: does it apply? how many bytes? ─► copies
 *
 * The result decides: an input is read even when the call fails later, an output is written only
 * when it succeeded. After EFAULT one of the buffers was bad, and nobody says which: all are listed,
 * whole, in the kernel's order; who performs the copies finds it and stops there. What the kernel did not tell (the length of a path) and the front end did not
 * send is taken as the smallest it can be; docs/CAVEATS.md lists these.
 *
 * Invariants:
 *  I1  Copies are appended in the order the kernel makes them.
 *  I2  No copy is longer than MAX_RW_COUNT, and none longer than a page if the call failed (FAULT_MAX
 *      with EFAULT): hostile arguments cannot make work.
 *
 * Source: Linux, the SYSCALL_DEFINE of each call; lib/strncpy_from_user.c; net/socket.c
 * (move_addr_to_user, ___sys_recvmsg); include/uapi/asm-generic/ioctl.h.
 */
#include "kern/kern_int.h"

#include "base/bits.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum buf_kind {
    BUF_NONE,
    BUF_RANGE,
    BUF_IN,
    BUF_IN_FIRST,
    BUF_IN_OK,
    BUF_OUT,
    BUF_OUT_POS,
    BUF_OUT_INTR,
    BUF_OUT_END,
    BUF_OUT_ANY,
    BUF_OUT_EACH,
    BUF_OUT_LAST,
    BUF_PATH,
    BUF_TEXT,
    BUF_VEC_IN,
    BUF_VEC_OUT,
    BUF_PARTS_IN,
    BUF_PARTS_OUT,
    BUF_MSG_IN,
    BUF_MSG_OUT,
    BUF_NAME_OUT
};
enum buf_size {
    SIZE_CONST,
    SIZE_ARG,
    SIZE_RESULT,
    SIZE_RESULT_IF,
    SIZE_PAGES,
    SIZE_BITS,
    SIZE_MIN
};

/* One buffer of a call: size = mul × what `size` names + add. */
struct call_buf {
    uint8_t kind; /* enum buf_kind */
    uint8_t arg;  /* the argument that points to it */
    uint8_t size; /* enum buf_size */
    uint8_t from; /* the argument `size` looks at */
    uint16_t mul;
    int16_t add;
};

#define BUFS_MAX 9
struct call_row {
    const char *name; /* NULL: no such call */
    bool gone;        /* Linux has the number, but answers ENOSYS */
    struct call_buf buf[BUFS_MAX];
};
struct case_row {
    uint16_t nr;
    uint8_t arg;
    uint64_t mask, value;
    struct call_buf buf[BUFS_MAX];
};

#define BYTES(n)       SIZE_CONST, 0, 0, n
#define ARG(i)         SIZE_ARG, i, 1, 0
#define EACH(i, n)     SIZE_ARG, i, n, 0
#define PLUS_ARG(i, n) SIZE_ARG, i, 1, n
#define RESULT         SIZE_RESULT, 0, 1, 0
#define RESULTS(n)     SIZE_RESULT, 0, n, 0
#define PLUS_RESULT(n) SIZE_RESULT, 0, 1, n
#define HEADERS(n, l)  SIZE_RESULT, 0, n, -(l)
#define RESULT_IF(i)   SIZE_RESULT_IF, i, 1, 0
#define GROUPS(i, n)   SIZE_RESULT_IF, i, n, 0
#define PAGES(i)       SIZE_PAGES, i, 1, 0
#define FDSET(i)       SIZE_BITS, i, 1, 0
#define NODES(i)       SIZE_BITS, i, 1, 0
#define SMALLER(i, n)  SIZE_MIN, i, 1, n

/* clang-format off */
#define IN(a, ...)       {BUF_IN, a, __VA_ARGS__}
#define RANGE(a, ...) {BUF_RANGE, a, __VA_ARGS__}
#define IN_FIRST(a, ...) {BUF_IN_FIRST, a, __VA_ARGS__}
#define IN_OK(a, ...)    {BUF_IN_OK, a, __VA_ARGS__}
#define OUT(a, ...)      {BUF_OUT, a, __VA_ARGS__}
#define OUT_POS(a, ...)  {BUF_OUT_POS, a, __VA_ARGS__}
#define OUT_INTR(a, ...) {BUF_OUT_INTR, a, __VA_ARGS__}
#define OUT_END(a, ...)  {BUF_OUT_END, a, __VA_ARGS__}
#define OUT_ANY(a, ...)  {BUF_OUT_ANY, a, __VA_ARGS__}
#define OUT_EACH(a, ...) {BUF_OUT_EACH, a, __VA_ARGS__}
#define OUT_LAST(a, ...) {BUF_OUT_LAST, a, __VA_ARGS__}
#define PATH(a)          {BUF_PATH, a, BYTES(0)}
#define TEXT(a)          {BUF_TEXT, a, BYTES(0)}
#define VEC_IN(a, n)     {BUF_VEC_IN, a, EACH(n, 16)}
#define VEC_OUT(a, n)    {BUF_VEC_OUT, a, EACH(n, 16)}
#define PARTS_IN(a)      {BUF_PARTS_IN, a, BYTES(0)}
#define PARTS_OUT(a)     {BUF_PARTS_OUT, a, BYTES(0)}
#define MSG_IN(a)        {BUF_MSG_IN, a, BYTES(56)}
#define MSG_OUT(a)       {BUF_MSG_OUT, a, BYTES(56)}
#define NAME_OUT(a, l)   {BUF_NAME_OUT, a, SIZE_CONST, l, 0, 0}
/* clang-format on */
#define ANY UINT32_MAX /* commands are 32 bits wide */

static const struct call_row call_rows[] = {
#define CALL(nr, id, ...) [nr] = {#id, false, {__VA_ARGS__}},
#define GONE(nr, id)      [nr] = {.name = #id, .gone = true},
#define CASE(...)
#include "kern/syscalls.def"
#undef CALL
#undef GONE
#undef CASE
};
static const struct case_row case_rows[] = {
#define CALL(...)
#define GONE(...)
#define CASE(nr, arg, mask, value, ...) {nr, arg, mask, value, {__VA_ARGS__}},
#include "kern/syscalls.def"
#undef CALL
#undef GONE
#undef CASE
};

#define FAULT_MAX MIB(1) /* most of a buffer looked at for a bad address */

/* -- sizes */

/* asked returns what a call that tells in its result how much it copied was asked for, in the
 * units of its result: the argument behind the pointer, but for some. */
static uint64_t asked(const struct call_buf *b, const struct kern_call *c)
{
    switch (c->nr) {
    case SYS_sched_getaffinity:
    case SYS_io_submit:
        return c->arg[1];
    case SYS_io_getevents:
    case SYS_io_pgetevents:
        return c->arg[2];
    default:
        return b->arg < 5 ? c->arg[b->arg + 1] : 0;
    }
}

static uint64_t result_bytes(const struct kern_call *c)
{
    return c->result > 0 ? min_u64((uint64_t)c->result, KERN_COPY_MAX) : 0; /* I2 */
}

static uint64_t size_base(const struct call_buf *b, const struct kern_call *c)
{
    uint64_t arg = c->arg[b->from];
    switch (b->size) {
    case SIZE_ARG:
        return arg;
    case SIZE_RESULT:
        return c->result == -EFAULT ? asked(b, c) : result_bytes(c);
    case SIZE_RESULT_IF:
        return c->result == -EFAULT ? arg : arg ? result_bytes(c) : 0;
    case SIZE_PAGES:
        return div_up(arg, PAGE_SIZE);
    case SIZE_BITS:
        return 8 * div_up((uint32_t)arg, 64);
    default:
        return 0;
    }
}

static uint64_t buf_bytes(const struct call_buf *b, const struct kern_call *c)
{
    if (b->size == SIZE_MIN)
        return min_u64(c->arg[b->from], (uint64_t)b->add);
    uint64_t n = mul_sat(size_base(b, c), b->mul);
    if (n == 0 && b->add < 0)
        return 0;
    n = n > KERN_COPY_MAX ? KERN_COPY_MAX : n + (uint64_t)b->add;
    if (c->result == -EFAULT)
        return min_u64(n, FAULT_MAX); /* I2 */
    return c->result < 0 ? min_u64(n, PAGE_SIZE) : n;
}

/* known returns the sent contents of user memory at `addr`, at least n bytes of it, or NULL. */
static const uint8_t *known(const struct kern_call *c, uint64_t addr, uint64_t n)
{
    if (!c->bytes || addr < c->bytes_addr || addr - c->bytes_addr > c->n_bytes ||
        c->n_bytes - (addr - c->bytes_addr) < n)
        return NULL;
    return c->bytes + (addr - c->bytes_addr);
}

static uint64_t known_word(const struct kern_call *c, uint64_t addr, unsigned n, uint64_t unknown)
{
    uint64_t v = 0;
    const uint8_t *p = known(c, addr, n);
    if (!p)
        return unknown;
    memcpy(&v, p, n);
    return v;
}

/* -- buffers of a shape of their own */

/* add_string: strncpy_from_user copies paths in words of 8 bytes from their start; strndup_user and
 * the like copy bytes. */
static void add_string(const struct kern_call *c, uint64_t addr, unsigned word,
                       struct kern_copies *copies)
{
    const uint8_t *p = known(c, addr, 1);
    uint64_t n = p ? strnlen((const char *)p, c->n_bytes - (addr - c->bytes_addr)) : 0;
    if (!p && c->result == -EFAULT)
        n = PATH_MAX - 1; /* without an end, or the front end could not read it either */
    copies_add_by(copies, KERN_STRNCPY, addr, align_up(n + 1, word), false);
}

static void add_vec_bytes(const struct kern_call *c, bool store, struct kern_copies *copies)
{
    uint64_t left = c->result == -EFAULT ? FAULT_MAX : result_bytes(c);
    for (uint32_t i = 0; i < c->n_iov && left; i++) {
        uint64_t n = min_u64(c->iov[i].len, left);
        copies_add_by(copies, store ? KERN_TO_ITER : KERN_FROM_ITER, c->iov[i].base, n, store);
        left -= n;
    }
}

/* dropped: the front end tells of a descriptor of write() only when its driver drops the bytes unread
 * (write_null, write_iter_null). An array of iovecs is read all the same. */
static bool dropped(const struct kern_call *c)
{
    return c->file.present && S_ISCHR(c->file.mode) &&
           (c->nr == SYS_write || c->nr == SYS_pwrite64 || c->nr == SYS_writev ||
            c->nr == SYS_pwritev || c->nr == SYS_pwritev2);
}

static void add_vec(const struct call_buf *b, const struct kern_call *c, struct kern_copies *copies)
{
    if (b->kind == BUF_VEC_IN || b->kind == BUF_VEC_OUT)
        copies_add_by(copies, KERN_IOVEC, c->arg[b->arg], buf_bytes(b, c), false);
    if (c->iov && c->iov_arg == b->arg && !dropped(c) && !splices_in(c))
        add_vec_bytes(
            c, b->kind == BUF_VEC_OUT || b->kind == BUF_PARTS_OUT || c->nr == SYS_vmsplice, copies);
}

/* struct msghdr: name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48. The
 * front end sends it as it is after the call, so the lengths are those the kernel wrote. */
static void add_msg(const struct call_buf *b, const struct kern_call *c, struct kern_copies *copies)
{
    uint64_t msg = c->arg[b->arg], page = PAGE_SIZE;
    uint64_t name = known_word(c, msg, 8, 0), namelen = known_word(c, msg + 8, 4, 0);
    uint64_t iov = known_word(c, msg + 16, 8, 0), iovlen = known_word(c, msg + 24, 8, 0);
    uint64_t control = known_word(c, msg + 32, 8, 0), controllen = known_word(c, msg + 40, 8, 0);
    bool out = b->kind == BUF_MSG_OUT;
    copies_add(copies, msg, 56, false);
    if (name && !out)
        copies_add(copies, name, min_u64(namelen, sizeof(struct sockaddr_storage)), false);
    if (iov)
        copies_add_by(copies, KERN_IOVEC, iov, min_u64(mul_sat(iovlen, 16), 4 * page), false);
    if (control && !out)
        copies_add(copies, control, min_u64(controllen, page), false);
    if (c->result < 0 && c->result != -EFAULT)
        return;
    if (c->iov)
        add_vec_bytes(c, out, copies);
    if (control && out)
        copies_add(copies, control, min_u64(controllen, page), true);
    if (name && out)
        copies_add(copies, name, min_u64(namelen, sizeof(struct sockaddr_storage)), true);
    if (name && out)
        copies_add(copies, msg + 8, 4, true);
    if (out)
        copies_add(copies, msg + 40, 12, true);
}

/* add_name is move_addr_to_user: the length is read and written, then the address; an option's value is
 * written before its length. */
static void add_name(const struct call_buf *b, const struct kern_call *c,
                     struct kern_copies *copies)
{
    uint64_t addr = c->arg[b->arg], len = c->arg[b->from];
    bool option = c->nr == SYS_getsockopt;
    uint64_t n = known_word(c, len, 4, option ? 4 : sizeof(struct sockaddr));
    if ((c->result < 0 && c->result != -EFAULT) || !len)
        return;
    copies_add(copies, len, 4, false);
    if (!option)
        copies_add(copies, len, 4, true);
    copies_add(copies, addr, min_u64(n, sizeof(struct sockaddr_storage)), true);
    if (option)
        copies_add(copies, len, 4, true);
}

/* -- which buffers apply */

static bool buf_applies(const struct call_buf *b, int64_t result)
{
    if (result == -EFAULT)
        return b->kind != BUF_OUT_INTR;
    switch (b->kind) {
    case BUF_IN_FIRST:
    case BUF_IN: /* a bad descriptor is noticed before any argument is read */
        return result != -EBADF && result != -ENOSYS;
    case BUF_IN_OK:
    case BUF_OUT:
        return result >= 0;
    case BUF_OUT_EACH:
        return result >= 0;
    case BUF_OUT_POS:
        return result > 0;
    case BUF_OUT_INTR:
        return result == -EINTR;
    case BUF_OUT_END:
        return result >= 0 || result == -EINTR;
    case BUF_OUT_ANY:
        return result != -ENOSYS && result != -EINVAL;
    case BUF_OUT_LAST:
        return result != -ENOSYS && result != -EINVAL;
    default:
        return result != -ENOSYS;
    }
}

/* Arguments that are not reached by copy_from_user or copy_to_user. An ioctl gives ints with put_user. */
static const struct {
    uint16_t nr;
    uint8_t args; /* bit n: the n-th */
    uint8_t in, out;
} other_routine[] = {
    {SYS_read, 1u << 1, KERN_FROM_ITER, KERN_TO_ITER},
    {SYS_pread64, 1u << 1, KERN_FROM_ITER, KERN_TO_ITER},
    {SYS_write, 1u << 1, KERN_FROM_ITER, KERN_TO_ITER},
    {SYS_pwrite64, 1u << 1, KERN_FROM_ITER, KERN_TO_ITER},
    {SYS_sendto, 1u << 1, KERN_FROM_ITER, KERN_TO_ITER},
    {SYS_recvfrom, 1u << 1, KERN_FROM_ITER, KERN_TO_ITER},
    {SYS_process_vm_readv, 10, KERN_IOVEC, KERN_IOVEC},
    {SYS_process_vm_writev, 10, KERN_IOVEC, KERN_IOVEC},
    {SYS_futex, 0x37, KERN_FUTEX, KERN_FUTEX}, /* its timeout is copied */
    {SYS_time, 0xff, KERN_GET_USER, KERN_PUT_USER},
    {SYS_gettimeofday, 1, KERN_GET_USER, KERN_PUT_USER},
    {SYS_getcpu, 0xff, KERN_GET_USER, KERN_PUT_USER},
    {SYS_getresuid, 0xff, KERN_GET_USER, KERN_PUT_USER},
    {SYS_getresgid, 0xff, KERN_GET_USER, KERN_PUT_USER},
    {SYS_get_robust_list, 0xff, KERN_GET_USER, KERN_PUT_USER},
    {SYS_arch_prctl, 0xff, KERN_GET_USER, KERN_PUT_USER},
    {SYS_socketpair, 0xff, KERN_GET_USER, KERN_PUT_USER},
    {SYS_wait4, 1u << 1, KERN_GET_USER, KERN_PUT_USER},
};

static enum kern_routine routine_of(const struct call_buf *b, const struct kern_call *c)
{
    bool store = b->kind >= BUF_OUT;

    for (size_t i = 0; i < ARRAY_LEN(other_routine); i++)
        if (c->nr == other_routine[i].nr && other_routine[i].args >> b->arg & 1)
            return store ? other_routine[i].out : other_routine[i].in;
    if (store && c->nr == SYS_ioctl && buf_bytes(b, c) == sizeof(int))
        return KERN_PUT_USER;
    return store ? KERN_COPY_TO : KERN_COPY_FROM;
}

static enum kern_copy_rule rule_of(const struct call_buf *b)
{
    switch (b->kind) {
    case BUF_IN_FIRST:
        return COPY_FIRST;
    case BUF_OUT_EACH:
        return COPY_GOES_ON;
    case BUF_OUT_LAST:
        return COPY_LAST;
    default:
        return COPY_ENDS;
    }
}

static void add_plain(const struct call_buf *b, const struct kern_call *c,
                      struct kern_copies *copies)
{
    uint32_t n = copies->n;
    copies_add_by(copies, routine_of(b, c), c->arg[b->arg], buf_bytes(b, c), b->kind >= BUF_OUT);
    if (copies->n == n)
        return;
    copies->copy[n].rule = rule_of(b);
    copies->copy[n].named_only = b->kind == BUF_RANGE;
}

static void add_buf(const struct call_buf *b, const struct kern_call *c, struct kern_copies *copies)
{
    uint64_t addr = c->arg[b->arg];
    if (b->kind == BUF_NONE || addr == 0 || !buf_applies(b, c->result))
        return;
    switch (b->kind) {
    case BUF_PATH:
        add_string(c, addr, 8, copies);
        break;
    case BUF_TEXT:
        add_string(c, addr, 1, copies);
        break;
    case BUF_VEC_IN:
    case BUF_VEC_OUT:
    case BUF_PARTS_IN:
    case BUF_PARTS_OUT:
        add_vec(b, c, copies);
        break;
    case BUF_MSG_IN:
    case BUF_MSG_OUT:
        add_msg(b, c, copies);
        break;
    case BUF_NAME_OUT:
        add_name(b, c, copies);
        break;
    default:
        if (!dropped(c))
            add_plain(b, c, copies);
    }
}

static void add_bufs(const struct call_buf *b, const struct kern_call *c,
                     struct kern_copies *copies)
{
    for (unsigned i = 0; i < BUFS_MAX; i++)
        add_buf(&b[i], c, copies);
}

/* add_ioctl: codes made by _IOC carry direction (bit 30: the kernel reads) and size. */
static void add_ioctl(const struct kern_call *c, struct kern_copies *copies)
{
    uint32_t cmd = (uint32_t)c->arg[1], size = (cmd >> 16) & 0x3fff;
    if ((cmd >> 30) & 1 && c->result != -EBADF && c->result != -ENOTTY)
        copies_add(copies, c->arg[2], size, false);
    if ((cmd >> 30) & 2 && (c->result >= 0 || c->result == -EFAULT))
        copies_add_by(copies, size == sizeof(int) ? KERN_PUT_USER : KERN_COPY_TO, c->arg[2], size,
                      true);
}

static void add_cases(const struct kern_call *c, struct kern_copies *copies)
{
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(case_rows); i++) {
        const struct case_row *r = &case_rows[i];
        if (r->nr != c->nr || (c->arg[r->arg] & r->mask) != r->value)
            continue;
        if (c->nr == SYS_ioctl && any)
            continue; /* the first row of an ioctl is the exact one */
        add_bufs(r->buf, c, copies);
        any = true;
    }
    if (c->nr == SYS_ioctl && !any)
        add_ioctl(c, copies);
}

/* has_cases keeps the scan of the cases to the calls that have some. */
static bool has_cases(uint64_t nr)
{
    switch (nr) {
    case SYS_ioctl:
    case SYS_shmctl:
    case SYS_semctl:
    case SYS_msgctl:
    case SYS_clone:
    case SYS_fcntl:
    case SYS_syslog:
    case SYS_modify_ldt:
    case SYS_prctl:
    case SYS_arch_prctl:
    case SYS_futex:
    case SYS_epoll_ctl:
    case SYS_seccomp:
        return true;
    default:
        return false;
    }
}

/* lacks: a call Linux has, so that ENOSYS can only be the emulator's answer. */
static bool lacks(uint64_t nr)
{
    return kern_call_name(nr) && !call_rows[nr].gone;
}

/* harmless: every thread of the C library registers the two lists when it starts, in memory it has
 * touched already, and tries clone3 before clone; a count that is never 0 would warn of nothing. */
static bool harmless(uint64_t nr)
{
    return nr == SYS_set_robust_list || nr == SYS_rseq || nr == SYS_clone3;
}

int kern_syscall(struct kern *k, struct mm *m, const struct kern_call *call,
                 struct kern_copies *copies)
{
    arch_step(k->outbox, STEP_SYSCALL, 1);
    tid_apply(k, call);
    int changed = numacall_is(call->nr) ? numacall_apply(k, m, call) : extcall_apply(k, m, call);
    if (call->result == -ENOSYS && lacks(call->nr)) {
        STAT(k->stats, div_syscall_answer) += !harmless(call->nr);
        return changed; /* nothing was read or written */
    }
    opened_apply(k, call);
    changed |= memcall_apply(k, m, call) | shared_apply(k, m, call);
    if (kern_call_name(call->nr))
        add_bufs(call_rows[call->nr].buf, call, copies);
    if (has_cases(call->nr))
        add_cases(call, copies);
    return changed;
}

const char *kern_call_name(uint64_t nr)
{
    return nr < ARRAY_LEN(call_rows) ? call_rows[nr].name : NULL;
}

int kern_ask(struct kern *k, struct mm *m, const struct kern_call *c)
{
    if (c->nr == SYS_mmap)
        return memcall_ask(k, m, c);
    return c->nr == SYS_shmget ? shared_ask(k, m, c) : 0;
}

bool kern_call_is_memory(uint64_t nr)
{
    switch (nr) {
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_munmap:
    case SYS_brk:
    case SYS_mremap:
    case SYS_madvise:
    case SYS_mlock:
    case SYS_mlock2:
    case SYS_munlock:
    case SYS_mlockall:
    case SYS_munlockall:
    case SYS_shmat:
    case SYS_shmdt:
    case SYS_remap_file_pages:
    case SYS_pkey_mprotect:
    case SYS_mseal:
    case SYS_process_madvise:
    case SYS_mbind:
    case SYS_set_mempolicy_home_node:
    case SYS_migrate_pages:
    case SYS_move_pages:
        return true;
    default:
        return false;
    }
}
