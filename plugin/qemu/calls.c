/* calls.c: system calls as events.
 *
 *   enter:  [EV_COUNTS] [lock, epoch, EV_EPOCH | EV_CHANNEL …]  EV_SYSCALL  [[EV_FILE] EV_ASK: see pools.h] [EV_EXIT]
 *   return: [EV_FILE | EV_IOVEC | EV_SIGACTION | EV_BYTES …]  EV_SYSCALL_RET  [epoch, unlock]
 *
 * Invariants:
 *  I1  Address-space calls of the whole process, and those that copy it, are serialised by one lock,
 *      held from entry to return. No such call can wait for another thread of the program.
 *  I2  The epoch is odd while the lock is held: call k begins with epoch 2k - 1 and ends with 2k.
 *  I3  The caller tells epoch 2k - 1 directly before EV_SYSCALL; it never tells 2k.
 *  I4  in_call is set after everything before the call is published, and cleared before anything
 *      after it is.
 *  I5  Guest memory is read by process_vm_readv: a bad pointer of the program is not our fault.
 *  I6  While descriptors that the next program needs stay open at an exec, no thread forks.
 *
 * Numbers are those of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
 */
#include "calls.h"
#include "answer.h"
#include "channel.h"
#include "exec.h"
#include "fork.h"
#include "guest.h"
#include "pools.h"
#include "sigframe.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462 /* newer than some C libraries' headers */
#endif

#define SLEEP_NS         1000 /* no sleep is shorter: two context switches */
#define PATH_BYTES       4096
#define IOVEC_MAX        1024
#define MSGHDR_BYTES     56
#define RLIMIT_BYTES     16 /* struct rlimit: two words */
#define ARRAY_BYTES      4096
#define AFFINITY_BYTES   128 /* of a mask of cores: glibc's cpu_set_t */
#define SCHED_ATTR_BYTES 48  /* the first form of struct sched_attr */

/* -- the lock of address-space calls: 0 free, 1 held, 2 held and wanted (futex(2), Drepper) ------ */
static _Atomic uint32_t space_lock;

static void lock_space(void)
{
    uint32_t was = 0;

    if (atomic_compare_exchange_strong(&space_lock, &was, 1))
        return;
    while (atomic_exchange(&space_lock, 2))
        syscall(SYS_futex, &space_lock, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void unlock_space(void)
{
    if (atomic_exchange(&space_lock, 0) == 2)
        syscall(SYS_futex, &space_lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool changes_space(uint64_t num)
{
    switch (num) {
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_munmap:
    case SYS_brk:
    case SYS_mremap:
    case SYS_madvise:
    case SYS_shmat:
    case SYS_shmdt:
    case SYS_mlock:
    case SYS_munlock:
    case SYS_mlockall:
    case SYS_munlockall:
    case SYS_mlock2:
    case SYS_pkey_mprotect:
    case SYS_remap_file_pages:
    case SYS_process_madvise:
    case SYS_mseal:
    case SYS_mbind:
    case SYS_set_mempolicy_home_node:
    case SYS_migrate_pages:
    case SYS_move_pages:
        return true;
    default:
        return false;
    }
}

/* -- payloads ------------------------------------------------------------------------------------- */
static void put_bytes(struct writer *w, uint64_t addr, const void *bytes, size_t n)
{
    writer_put(w, event_control(EV_BYTES, 1 + writer_text_words(n)));
    writer_put(w, addr);
    writer_text(w, bytes, n);
}

static void put_path(struct writer *w, uint64_t addr)
{
    char text[PATH_BYTES];
    size_t n = addr ? guest_text(text, sizeof text, addr) : 0;

    if (n)
        put_bytes(w, addr, text, n);
}

static void put_object(struct writer *w, uint64_t addr, size_t n)
{
    char bytes[MSGHDR_BYTES];

    if (addr && guest_read(bytes, addr, n) == n)
        put_bytes(w, addr, bytes, n);
}

/* put_array puts what there is of the first n bytes of an array, but not more than a page. */
static void put_array(struct writer *w, uint64_t addr, uint64_t n)
{
    char bytes[ARRAY_BYTES];
    size_t got = addr ? guest_read(bytes, addr, n < ARRAY_BYTES ? n : ARRAY_BYTES) : 0;

    if (got)
        put_bytes(w, addr, bytes, got);
}

/* put_nodemask puts a mask of maxnode - 1 nodes, in words. */
static void put_nodemask(struct writer *w, uint64_t addr, uint64_t maxnode)
{
    if (maxnode > 1)
        put_array(w, addr, (maxnode - 1 + 63) / 64 * 8);
}

static void put_iovec(struct writer *w, unsigned argument, uint64_t addr, uint64_t n)
{
    struct iovec v[IOVEC_MAX];

    if (n == 0 || n > IOVEC_MAX || guest_read(v, addr, n * sizeof *v) != n * sizeof *v)
        return;
    writer_put(w, event_control(EV_IOVEC, 2 + 2 * (unsigned)n));
    writer_put(w, argument);
    writer_put(w, n);
    for (uint64_t i = 0; i < n; i++) {
        writer_put(w, (uintptr_t)v[i].iov_base);
        writer_put(w, v[i].iov_len);
    }
}

static void put_message(struct writer *w, uint64_t addr)
{
    uint64_t header[MSGHDR_BYTES / 8]; /* name, length, iov, count, control, length, flags */

    put_object(w, addr, MSGHDR_BYTES);
    if (addr && guest_read(header, addr, sizeof header) == sizeof header)
        put_iovec(w, 1, header[2], header[3]);
}

static void put_file(struct writer *w, uint64_t fd)
{
    char name[32], path[PATH_BYTES];
    struct stat st;
    ssize_t n;

    if (fstat((int)fd, &st) != 0)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", (int)fd);
    n = readlink(name, path, sizeof path);
    n = n < 0 ? 0 : n;
    writer_put(w, event_control(EV_FILE, 6 + writer_text_words((size_t)n)));
    writer_put(w, fd);
    writer_put(w, st.st_dev);
    writer_put(w, st.st_ino);
    writer_put(w, (uint64_t)st.st_size);
    writer_put(w, st.st_mode | (uint64_t)pools_file_log((int)fd) << 32);
    writer_put(w, (uint64_t)fcntl((int)fd, F_GETFL));
    writer_text(w, path, (size_t)n);
}

/* put_sink tells of a descriptor whose driver drops what is written without looking at it: /dev/null
 * and /dev/zero (drivers/char/mem.c, write_null), by whatever name. */
static void put_sink(struct writer *w, uint64_t fd, int64_t result)
{
    struct stat st;

    if (result > 0 && fstat((int)fd, &st) == 0 && S_ISCHR(st.st_mode) &&
        (st.st_rdev == makedev(1, 3) || st.st_rdev == makedev(1, 5)))
        put_file(w, fd);
}

/* writes says whether a call writes to the descriptor that is its first argument. */
static bool writes(uint64_t num)
{
    return num == SYS_write || num == SYS_pwrite64 || num == SYS_writev || num == SYS_pwritev ||
           num == SYS_pwritev2;
}

static void put_sigaction(struct writer *w, const uint64_t a[6], int64_t result)
{
    uint64_t act[2]; /* handler, flags: struct kernel_sigaction */

    if (result != 0 || !a[1] || guest_read(act, a[1], sizeof act) != sizeof act)
        return;
    writer_put(w, event_control(EV_SIGACTION, 3));
    writer_put(w, a[0]);
    writer_put(w, act[0]);
    writer_put(w, act[1]);
}

/* path_arguments returns a bit mask: which arguments of the call are paths (0: none). */
static unsigned path_arguments(uint64_t num)
{
    switch (num) {
    case SYS_open:
    case SYS_stat:
    case SYS_lstat:
    case SYS_access:
    case SYS_truncate:
    case SYS_mkdir:
    case SYS_rmdir:
    case SYS_creat:
    case SYS_unlink:
    case SYS_readlink:
    case SYS_chmod:
    case SYS_chown:
    case SYS_lchown:
    case SYS_chdir:
    case SYS_statfs:
    case SYS_utime:
    case SYS_utimes:
    case SYS_mknod:
    case SYS_chroot:
    case SYS_execve:
    case SYS_memfd_create:
    case SYS_listxattr:
    case SYS_llistxattr:
        return 1u << 0;
    case SYS_openat:
    case SYS_mkdirat:
    case SYS_newfstatat:
    case SYS_unlinkat:
    case SYS_readlinkat:
    case SYS_fchmodat:
    case SYS_fchownat:
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_utimensat:
    case SYS_statx:
    case SYS_mknodat:
    case SYS_openat2:
    case SYS_inotify_add_watch:
    case SYS_futimesat:
    case SYS_execveat:
    case SYS_fgetxattr:
        return 1u << 1;
    case SYS_rename:
    case SYS_link:
    case SYS_symlink:
    case SYS_getxattr:
    case SYS_lgetxattr:
        return 1u << 0 | 1u << 1;
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_linkat:
        return 1u << 1 | 1u << 3;
    case SYS_symlinkat:
        return 1u << 0 | 1u << 2;
    default:
        return 0;
    }
}

/* put_pointed puts what the arguments of a call point to, as far as the kernel model needs it. */
static void put_pointed(struct writer *w, uint64_t num, const uint64_t a[6], int64_t result)
{
    unsigned paths = path_arguments(num);

    for (unsigned i = 0; paths >> i; i++)
        if (paths >> i & 1)
            put_path(w, a[i]);
    if (writes(num))
        put_sink(w, a[0], result);
    switch (num) {
    case SYS_mmap:
        if (!(a[3] & MAP_ANONYMOUS))
            put_file(w, a[4]);
        break;
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_syncfs:
    case SYS_sync_file_range:
        put_file(w, a[0]);
        break;
    case SYS_readv:
    case SYS_writev:
    case SYS_preadv:
    case SYS_pwritev:
    case SYS_preadv2:
    case SYS_pwritev2:
    case SYS_process_vm_readv:
    case SYS_process_vm_writev:
    case SYS_process_madvise:
        put_iovec(w, 1, a[1], a[2]);
        break;
    case SYS_vmsplice:
        put_file(w, a[0]); /* which end of the pipe it is */
        put_iovec(w, 1, a[1], a[2]);
        break;
    case SYS_sendmsg:
    case SYS_recvmsg:
        put_message(w, a[1]);
        break;
    case SYS_accept:
    case SYS_accept4:
    case SYS_getsockname:
    case SYS_getpeername:
        put_object(w, a[2], 4);
        break;
    case SYS_getsockopt:
        put_object(w, a[4], 4);
        break;
    case SYS_recvfrom:
        put_object(w, a[5], 4);
        break;
    case SYS_fcntl:
        if (a[1] == F_ADD_SEALS)
            put_file(w, a[0]);
        break;
    case SYS_setrlimit:
        put_object(w, a[1], RLIMIT_BYTES);
        break;
    case SYS_prlimit64:
        put_object(w, a[2], RLIMIT_BYTES);
        break;
    case SYS_sched_setaffinity:
        put_array(w, a[2], a[1] < AFFINITY_BYTES ? a[1] : AFFINITY_BYTES);
        break;
    case SYS_sched_setscheduler:
        put_object(w, a[2], 4);
        break;
    case SYS_sched_setparam:
        put_object(w, a[1], 4);
        break;
    case SYS_wait4:
        if (result > 0)
            put_object(w, a[1], 4);
        break;
    case SYS_sched_setattr:
        put_array(w, a[1], SCHED_ATTR_BYTES);
        break;
    case SYS_mbind:
        put_nodemask(w, a[3], a[4]);
        break;
    case SYS_set_mempolicy:
        put_nodemask(w, a[1], a[2]);
        break;
    case SYS_migrate_pages:
        put_nodemask(w, a[2], a[1]);
        put_nodemask(w, a[3], a[1]);
        break;
    case SYS_move_pages:
        put_array(w, a[2], a[1] < ARRAY_BYTES / 8 ? 8 * a[1] : ARRAY_BYTES);
        put_array(w, a[3], a[1] < ARRAY_BYTES / 8 ? 4 * a[1] : ARRAY_BYTES / 2);
        break;
    case SYS_rt_sigaction:
        put_sigaction(w, a, result);
        break;
    }
}

/* -- entry and return ----------------------------------------------------------------------------- */
static void put_counts(struct writer *w)
{
    writer_put(w, event_control(EV_COUNTS, 3));
    writer_put(w, w->insns);
    writer_put(w, w->loads);
    writer_put(w, w->stores);
}

/* sleeps returns how often the calling thread slept so far. */
static uint64_t sleeps(void)
{
    struct rusage r;

    return getrusage(RUSAGE_THREAD, &r) ? 0 : (uint64_t)r.ru_nvcsw;
}

/* begin_space takes the lock, the thread being "in a call" while it waits (I4, I1). */
static void begin_space(struct writer *w)
{
    writer_publish(w);
    atomic_store(&w->slot->in_call, 1);
    lock_space();
    w->call_locked = true;
    w->epoch = atomic_fetch_add(&space_epoch, 1) + 1; /* I2 */
    writer_put(w, event_control(EV_EPOCH, 1));        /* I3 */
    writer_put(w, w->epoch);
}

static void end_space(struct writer *w)
{
    w->call_locked = false;
    w->epoch = atomic_fetch_add(&space_epoch, 1) + 1;
    unlock_space();
}

/* ask_pools gets the answer of the modelled machine's pool before QEMU makes the call. */
static void ask_pools(struct writer *w, const uint64_t args[6])
{
    if (w->call[0] == SYS_mmap && !(args[3] & MAP_ANONYMOUS))
        put_file(w, args[4]);
    pools_answer(writer_ask(w));
}

static bool executes(int64_t num)
{
    return num == SYS_execve || num == SYS_execveat;
}
static bool exits(int64_t num)
{
    return num == SYS_exit || num == SYS_exit_group;
}

/* put_native: it counts as lost until the call returns after all. */
static void put_native(struct writer *w, int reason, const char *path)
{
    size_t n = strlen(path);

    atomic_fetch_add(&region->unfollowed, 1);
    w->call_native = true;
    writer_resume(w);
    writer_put(w, event_control(EV_NATIVE, 1 + writer_text_words(n)));
    writer_put(w, (uint64_t)reason);
    writer_text(w, path, n);
    writer_publish(w);
    writer_suspend(w);
}

/* follow_exec goes on as the program that is executed, if that can be observed. It returns if not, or if there
 * is none: then QEMU makes the call, or we do where it cannot. */
static void follow_exec(struct writer *w, uint64_t num, const uint64_t args[6])
{
    char path[PATH_BYTES];
    struct exec_plan *plan;
    int verdict = exec_plan(num, args, &plan, path, sizeof path);

    if (verdict == EXEC_READY) {
        lock_space(); /* I6 */
        writer_exec(w, true);
        exec_go(plan);
        writer_exec(w, false);
        exec_drop(plan);
        unlock_space();
        verdict = NATIVE_FAILED;
    }
    put_native(w, verdict, path);
    if (num == SYS_execveat) {
        long r = syscall(SYS_execveat, args[0], args[1], args[2], args[3], args[4]);

        answer_is(r < 0 ? -errno : r);
    }
}

void calls_child(void)
{
    atomic_store(&space_lock, 0);
}

void calls_enter(int64_t num, const uint64_t args[6])
{
    struct writer *w = &self;

    w->call[0] = (uint64_t)num;
    memcpy(w->call + 1, args, 6 * sizeof *args);
    if (region->flags & RING_F_COUNTS)
        put_counts(w);
    if (changes_space((uint64_t)num) || fork_makes((uint64_t)num, args))
        begin_space(w);
    if (fork_makes((uint64_t)num, args))
        fork_begin((uint64_t)num, args);
    if (executes(num) || exits(num))
        fork_tell();
    if (num == SYS_rt_sigaction)
        sigframe_noted(args);
    channel_tell(w, (uint64_t)num, args);
    w->sleeps = sleeps();
    w->call_ns = writer_now();
    writer_put(w, event_control(EV_SYSCALL, 8));
    for (unsigned i = 0; i < 7; i++)
        writer_put(w, w->call[i]);
    writer_put(w, w->call_ns);
    if (pools_wanted((uint64_t)num, args))
        ask_pools(w, args);
    if (exits(num)) {
        writer_put(w, event_control(EV_EXIT, 1));
        writer_put(w, args[0] & 0xff);
        writer_close();
        return;
    }
    writer_publish(w);
    writer_suspend(w);
    atomic_store(&w->slot->in_call, 1); /* I4 */
    if (executes(num) && region_tree)
        follow_exec(w, (uint64_t)num, args);
}

/* stayed: what was thought lost to an exec is still here. */
static void stayed(struct writer *w)
{
    if (w->call_native)
        atomic_fetch_sub(&region->unfollowed, 1);
    w->call_native = false;
}

/* forked: the parent's side. The call is over in the stream before it waits as vfork does, for the
 * child's stream is read behind it. */
static void forked(struct writer *w, int64_t result)
{
    if (result > 0 && !region_tree)
        atomic_fetch_add(&region->unfollowed, 1);
    fork_end(w, result);
}

void calls_return(int64_t num, int64_t result)
{
    struct writer *w = &self;

    atomic_store(&w->slot->in_call, 0); /* I4 */
    pools_forget();
    stayed(w);
    uint64_t took = writer_now() - w->call_ns;
    uint64_t slept = took < SLEEP_NS ? 0 : sleeps() - w->sleeps;
    writer_resume(w);
    put_pointed(w, (uint64_t)num, w->call + 1, result);
    writer_put(w, event_control(EV_SYSCALL_RET, 4));
    writer_put(w, (uint64_t)num);
    writer_put(w, (uint64_t)result);
    writer_put(w, took);
    writer_put(w, slept);
    writer_publish(w);
    if (w->call_locked)
        end_space(w);
    exec_noted((uint64_t)num, w->call + 1, result);
    if (fork_makes((uint64_t)num, w->call + 1))
        forked(w, result);
}

void calls_unobserved(int64_t num, const uint64_t args[6])
{
    memcpy(self.call + 1, args, 6 * sizeof *args);
    if (fork_makes((uint64_t)num, args))
        fork_begin((uint64_t)num, args);
    if (executes(num) || exits(num))
        fork_tell();
}

void calls_unobserved_return(int64_t num, int64_t result)
{
    if (fork_makes((uint64_t)num, self.call + 1))
        fork_end(&self, result);
}
