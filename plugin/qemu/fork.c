/* fork.c: see fork.h.
 *
 *   parent  fork_begin ─ vfork ─────────── waits ────────────────────┬─ stores what the child stored, returns
 *                          └─► child  fork_child ─ runs, its stores ─┴─ fork_tell ─ exec or exit
 *                                                  are noted
 *
 * Natively parent and child of a vfork share their memory, and the parent goes on when the child has left
 * it. QEMU copies it, so both are repaired: what the child stored is kept by page and byte in memory that
 * the two share. posix_spawn needs it: the child stores there why its exec failed.
 *
 * Invariants:
 *  I1  The child holds a robust lock in the shared memory from its first moment. The kernel gives it up
 *      when the child executes a program or dies (exit_robust_list), whoever kills it.
 *  I2  A writer that is watched has no window (writer.h): every store comes by fork_stored.
 *  I3  Only what the program's instructions stored is told, of at most SHARED_PAGES pages; not what the
 *      kernel stored for it.
 *  I4  A child in a namespace of processes of its own is not observed: its numbers mean others outside. What
 *      vfork means holds for it all the same, and for the children of a process that is not observed.
 *  I5  Bytes that the child did not store keep what the parent's other threads stored meanwhile.
 *  I6  A process may be child and parent at once: what its own child stored counts as stored by it.
 *
 * Source: Linux 6.18 kernel/fork.c (CLONE_VFORK: wait_for_vfork_done, mm_release), kernel/futex/core.c;
 * QEMU 7.2 linux-user/syscall.c do_fork.
 */
#include "fork.h"
#include "guest.h"
#include "pools.h"
#include "writer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHARED_PAGES 256u
#define PAGE         4096u

struct stored {
    uint64_t page;          /* address of a page */
    uint8_t byte[PAGE / 8]; /* bit per byte: the child stored it */
    uint8_t now[PAGE];      /* what lies there, once told */
};

struct shared {
    pthread_mutex_t alive;     /* I1 */
    _Atomic uint32_t child_is; /* 1: it holds the lock */
    _Atomic uint32_t told;     /* pages whose bytes are right */
    uint32_t n;                /* pages noted */
    struct stored at[SHARED_PAGES];
};

/* The call that a thread forks with. */
static __thread struct {
    struct shared *shared; /* of a vfork, else NULL */
    uint64_t flags;        /* of clone, or what means the same */
    uint32_t pid;          /* who forks: it may be dead when the child first asks for its parent */
} call;

static __thread struct shared
    *told_to; /* of the parent that waits for us in vfork; NULL: none (I6) */

/* How this process came to be, until its first word. */
static struct {
    bool fresh;
    uint32_t ppid, ptid, k;
    uint64_t flags;
} birth;

bool fork_makes(uint64_t num, const uint64_t args[6])
{
    return num == SYS_fork || num == SYS_vfork ||
           (num == SYS_clone && (args[0] & (CLONE_VM | CLONE_VFORK)) != CLONE_VM);
}

/* -- the parent ------------------------------------------------------------------------------------ */
static struct shared *share(void)
{
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pthread_mutexattr_t a;

    if (s == MAP_FAILED)
        return NULL;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s->alive, &a);
    return s;
}

void fork_begin(uint64_t num, const uint64_t args[6])
{
    call.flags = num == SYS_clone   ? args[0]
                 : num == SYS_vfork ? CLONE_VM | CLONE_VFORK | SIGCHLD
                                    : SIGCHLD;
    call.pid = (uint32_t)getpid();
    call.shared = region_tree && (call.flags & CLONE_VFORK) ? share() : NULL;
}

/* gone says whether the child is dead, though it may not have been waited for. */
static bool gone(pid_t child)
{
    siginfo_t i = {.si_pid = 0};

    return waitid(P_PID, (id_t)child, &i, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 ||
           i.si_pid == child;
}

/* inherit_lock waits a second for the lock and gives it back at once: a robust lock that is held stays in
 * the thread's list, which must not lead into memory that is unmapped. False: nobody gave it up. */
static bool inherit_lock(struct shared *s)
{
    struct timespec until;
    int error;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    error = pthread_mutex_timedlock(&s->alive, &until);
    if (error == EOWNERDEAD)
        pthread_mutex_consistent(&s->alive);
    if (error == 0 || error == EOWNERDEAD)
        pthread_mutex_unlock(&s->alive);
    return error != ETIMEDOUT;
}

/* await_child sleeps until the child has left our memory: with CLONE_VM natively, here its copy (I1). */
static void await_child(struct shared *s, pid_t child)
{
    while (!atomic_load(&s->child_is)) {
        if (gone(child))
            return;
        nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    while (!inherit_lock(s) && !gone(child))
        ;
}

/* store_run stores the bytes of a page from `at` on that the child stored; it returns the first behind. */
static unsigned store_run(const struct stored *p, unsigned at)
{
    unsigned end = at;

    while (end < PAGE && (p->byte[end / 8] >> end % 8 & 1))
        end++;
    if (end > at) {
        guest_write(p->page + at, p->now + at, end - at);
        fork_stored(p->page + at, end - at); /* I6 */
    }
    return end > at ? end : at + 1;
}

static void take_over(const struct shared *s)
{
    uint32_t n = atomic_load(&s->told);

    for (uint32_t i = 0; i < n && i < SHARED_PAGES; i++)
        for (unsigned at = 0; at < PAGE;)
            at = store_run(&s->at[i], at);
}

/* waits says that the thread is in a call, or not any more; nobody asks about one that is not observed. */
static void waits(struct writer *w, bool begins)
{
    if (!w->slot)
        return;
    writer_publish(w);
    atomic_store(&w->slot->in_call, begins);
}

void fork_end(struct writer *w, int64_t result)
{
    struct shared *s = call.shared;

    call.shared = NULL;
    if (!s)
        return;
    if (result > 0) {
        waits(w, true);
        await_child(s, (pid_t)result);
        take_over(s);
        waits(w, false);
    }
    munmap(s, sizeof *s);
}

/* -- the child ------------------------------------------------------------------------------------- */
void fork_child(void)
{
    struct writer parent = self;
    bool observed = region && region_tree && parent.slot && writer_numbered();

    told_to = call.shared;
    call.shared = NULL;
    if (told_to) {
        pthread_mutex_lock(&told_to->alive);
        atomic_store(&told_to->child_is, 1);
    }
    if (region && region_tree && !observed)
        atomic_fetch_add(&region->unfollowed, 1);
    writer_child(observed);
    pools_child();
    self.watched = told_to && !observed; /* I4; else fork_put does it */
    if (!observed)
        return;
    birth.fresh = true;
    birth.ppid = call.pid;
    birth.ptid = parent.tid;
    birth.k = (parent.epoch + 1) / 2;
    birth.flags = call.flags;
}

bool fork_put(struct writer *w)
{
    if (!birth.fresh)
        return false;
    const uint64_t words[FORK_WORDS] = {
        [FORK_PID] = (uint64_t)getpid(), [FORK_TID] = w->tid,   [FORK_PPID] = birth.ppid,
        [FORK_PTID] = birth.ptid,        [FORK_CALL] = birth.k, [FORK_FLAGS] = birth.flags,
        [FORK_NS] = writer_now(),
    };

    birth.fresh = false;
    writer_put(w, event_control(EV_FORK, FORK_WORDS));
    for (unsigned i = 0; i < FORK_WORDS; i++)
        writer_put(w, words[i]);
    if (told_to)
        writer_watch(w);
    return true;
}

/* stored_at returns what is noted of a page; NULL when there are too many (I3). */
static struct stored *stored_at(struct shared *s, uint64_t page)
{
    for (uint32_t i = s->n; i-- > 0;)
        if (s->at[i].page == page)
            return &s->at[i];
    if (s->n == SHARED_PAGES)
        return NULL;
    s->at[s->n].page = page;
    return &s->at[s->n++];
}

void fork_stored(uint64_t addr, unsigned bytes)
{
    for (uint64_t at = addr; told_to && at < addr + bytes; at++) {
        struct stored *p = stored_at(told_to, at & ~(uint64_t)(PAGE - 1));

        if (p)
            p->byte[at % PAGE / 8] |= (uint8_t)(1u << at % 8);
    }
}

void fork_tell(void)
{
    struct shared *s = told_to;

    if (!s || !self.watched)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        if (guest_read(s->at[i].now, s->at[i].page, PAGE) != PAGE)
            memset(s->at[i].byte, 0, sizeof s->at[i].byte); /* it is gone */
    atomic_store(&s->told, s->n);
}
