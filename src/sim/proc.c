/* proc.c: processes: how they begin and end, and which one the machine works for.
 *
 *   the first ── NEW ──EV_START──┐                     ┌── last stream inside execve ──► EXECS ──EV_START──┐
 *                                ▼                     │                                                   │
 *   fork returns ── FORKED ──EV_FORK──► RUNS ──────────┴── last stream ends ──► ENDED                      │
 *                                        ▲─────────────────────────────────────────────────────────────────┘
 *
 * Invariants:
 *  I1  Every thread has a process. A stream belongs to the first one until its first record is read.
 *  I2  While words of a thread are fed it is sim.current, its process is the kernel's current one, and
 *      CR3 of its core names its address space (before a program's first instruction: once exec is done).
 *  I3  A child's address space is a copy of its parent's as it is when the parent's call is applied, or
 *      when the child's first word comes before that: then the parent stands inside the call. A child of
 *      vfork (CLONE_VM) runs in its parent's until it executes a program or ends.
 *  I4  What has ended gives up its address space, but for the last process that lives: it stays as it
 *      was, to be looked at.
 *  I5  No core's CR3 names a page table that is gone.
 *
 * Source: Linux 6.18 kernel/fork.c (copy_process, copy_mm), fs/exec.c (begin_new_exec, exec_mmap),
 * kernel/exit.c (do_exit, exit_mm), kernel/sched/core.c (schedule_tail).
 */
#include "sim/sim_int.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* -- finding -------------------------------------------------------------------------------------*/

static struct sim_proc *youngest(const struct sim *s, uint32_t pid)
{
    const uint64_t *p = map_find(&s->pids, pid);

    return p ? (struct sim_proc *)(uintptr_t)*p : NULL;
}

struct sim_proc *proc_find(const struct sim *s, uint32_t pid)
{
    struct sim_proc *p = youngest(s, pid);

    return p && p->state != PROC_ENDED ? p : NULL;
}

static void set_pid(struct sim *s, struct sim_proc *p, uint32_t pid)
{
    const struct sim_proc *before = youngest(s, pid);
    int err = map_put(&s->pids, pid, (uintptr_t)p);

    ASSERT(err == 0);
    p->pid = pid;
    p->generation = before ? before->generation + 1 : 0;
}

static bool another_lives(const struct sim *s, const struct sim_proc *but)
{
    for (const struct sim_proc *p = s->procs; p; p = p->next)
        if (p != but && p->state != PROC_ENDED && p->state != PROC_NEW)
            return true;
    return false;
}

/* -- address spaces ------------------------------------------------------------------------------*/

/* give_up lets go of an address space of the process: t's core, which tears it down, works with the kernel's
 * own tables, or those of the next program; the outbox says the rest (I5). */
static void give_up(struct sim *s, struct sim_thread *t, struct sim_proc *p, struct mm *mm)
{
    struct mm_counters c, *peak = &p->peak;

    mm_counters(mm, &c);
    peak->rss_peak = max_u64(peak->rss_peak, c.rss_peak);
    peak->total_vm_peak = max_u64(peak->total_vm_peak, max_u64(c.total_vm, c.total_vm_peak));
    peak->pte_bytes = max_u64(peak->pte_bytes, c.pte_bytes);
    attrib_forget(s);
    space_leave(s, t->core_id, mm);
    mm_put(mm); /* what it leaves in the outbox makes other cores go elsewhere */
}

/* release takes from a process that ended what it still had; t's core does the work. */
static void release(struct sim *s, struct sim_thread *t, struct sim_proc *p)
{
    kern_proc_exit(s->kern, p->kern);
    p->kern = NULL;
    give_up(s, t, p, p->mm);
    p->mm = NULL;
    STAT(&s->stats, kernel_cycles_exit) += sim_drain(s, t);
    s->current = NULL; /* the next words begin with proc_switch */
}

/* release_last: nobody was left to live on when it ended, and now somebody begins (I4). */
static void release_last(struct sim *s, struct sim_thread *t)
{
    for (struct sim_proc *p = s->procs; p; p = p->next)
        if (p->state == PROC_ENDED && p->mm && !p->fork_open)
            release(s, t, p);
}

/* -- making --------------------------------------------------------------------------------------*/

static struct sim_proc *proc_new(struct sim *s)
{
    struct sim_proc *p = calloc(1, sizeof(*p));

    ASSERT(p);
    p->number = s->n_procs++;
    *s->procs_end = p;
    s->procs_end = &p->next;
    return p;
}

int procs_open(struct sim *s)
{
    struct mm *mm;
    int err = mm_open(&mm, s->mm_sys);

    if (err)
        return err;
    s->procs_end = &s->procs;
    struct sim_proc *p = proc_new(s);
    p->mm = mm;
    p->kern = kern_current(s->kern);
    return 0;
}

void procs_close(struct sim *s)
{
    for (struct sim_proc *p = s->procs, *next; p; p = next) {
        next = p->next;
        if (p->mm)
            mm_put(p->mm);
        free(p->argv);
        free(p);
    }
    s->procs = NULL;
    map_free(&s->pids);
}

/* join makes t a thread of p: the one that executed a program, if that is what it comes from. */
static void join(struct sim *s, struct sim_thread *t, struct sim_proc *p)
{
    if (t->joined)
        t->proc->threads--;
    t->joined = true;
    t->proc = p;
    p->threads++;
    p->state = PROC_RUNS;
    t->sum = p->in_exec;
    p->in_exec = NULL;
    if (!t->sum)
        account_open(s, t);
    t->sum->over = false;
    t->sum->tid = t->tid;
    proc_switch(s, t);
}

/* latest returns the virtual time of the thread that is furthest. */
static uint64_t latest(const struct sim *s)
{
    return sched_front(s, NULL);
}

/* borrow: the machine has no frame for another root table. */
static struct mm *borrow(struct sim *s)
{
    const struct sim_proc *p = s->procs;

    while (p && !p->mm)
        p = p->next;
    CHECK(p); /* I4 */
    STAT(&s->stats, div_oom)++;
    mm_get(p->mm);
    return p->mm;
}

/* stranger makes a process whose beginning was not seen: the first, or one more. */
static struct sim_proc *stranger(struct sim *s, struct sim_thread *t, uint32_t pid)
{
    struct sim_proc *p = s->procs;
    struct mm *mm;

    if (p->state != PROC_NEW) {
        if (mm_open(&mm, s->mm_sys) != 0)
            mm = borrow(s);
        release_last(s, t);
        p = proc_new(s);
        p->mm = mm;
        p->kern = kern_proc_new(s->kern);
        ASSERT(p->kern);
        p->begin_ps = p->last_ps = latest(s);
    }
    set_pid(s, p, pid);
    return p;
}

/* -- fork ----------------------------------------------------------------------------------------*/

/* shares_space: CLONE_VM of a process: vfork, posix_spawn. */
static bool shares_space(const struct kern_call *c)
{
    return c->nr == SYS_vfork || (c->nr == SYS_clone && (c->arg[0] & CLONE_VM));
}

static struct mm *space_of_child(struct sim *s, struct sim_proc *parent, struct sim_proc *child,
                                 bool share)
{
    struct mm *mm = parent->mm;

    if (share) {
        mm_get(mm);
        return mm;
    }
    if (mm_fork(&mm, parent->mm) != 0)
        return borrow(s);
    struct mm_task task = *mm_task(mm);
    task.pid = task.tgid = child->pid;
    mm_set_task(mm, &task);
    return mm;
}

/* child_of makes a child of a process, which is the kernel's current one. */
static struct sim_proc *child_of(struct sim *s, struct sim_proc *parent, uint32_t pid, bool share)
{
    struct sim_proc *p = proc_new(s);

    set_pid(s, p, pid);
    p->state = PROC_FORKED;
    p->parent = parent;
    p->ppid = parent->pid;
    p->begin_ps = p->last_ps = parent->last_ps;
    memcpy(p->handlers, parent->handlers, sizeof(p->handlers));
    memcpy(p->path, parent->path, sizeof(p->path));
    memcpy(p->comm, parent->comm, sizeof(p->comm));
    proc_set_argv(p, parent->argv, parent->argv_bytes);
    p->kern = kern_proc_fork(s->kern, pid);
    ASSERT(p->kern);
    p->mm = space_of_child(s, parent, p, share);
    return p;
}

/* copy_process makes the child of the call `k` that `t` stands in, or whose return it reads. */
static struct sim_proc *copy_process(struct sim *s, struct sim_thread *t, uint32_t pid, uint32_t k)
{
    const struct kern_call *c = &t->pending.call;
    struct sim_proc *p = child_of(s, t->proc, pid, shares_space(c));

    s->expected++;
    p->fork_call = k;
    p->child_tid = c->nr == SYS_clone && (c->arg[0] & CLONE_CHILD_SETTID) ? c->arg[3] : 0;
    p->begin_ps = p->last_ps = sched_time(t);
    p->rseq = shares_space(c) ? 0 : t->rseq;
    p->signals = t->signals;
    memcpy(p->signal_sp, t->signal_sp, sizeof(p->signal_sp));
    STAT(&s->stats, kernel_cycles_fork) += sim_drain(s, t);
    timeline_at(s, t, MOMENT_FORK, pid, 0);
    return p;
}

static uint32_t call_number(const struct sim_thread *t)
{
    return t->epoch / 2 + t->epoch % 2;
}

void proc_fork(struct sim *s, struct sim_thread *t, uint32_t pid)
{
    if (!s->tree)
        STAT(&s->stats, sim_children)++;
    else if (t->forked == 0 || t->forked != call_number(t)) {
        copy_process(s, t, pid, call_number(t));
        s->made = true;
    }
}

/* -- whom to wait for ------------------------------------------------------------------------------*/

void proc_thread_made(struct sim *s, const struct sim_thread *t, uint32_t tid)
{
    unsigned room = AWAITED_MAX;

    for (const struct sim_thread *o = s->threads; o; o = o->next)
        if (o->joined && o->proc == t->proc && o->tid == tid)
            return; /* its words came first */
    for (unsigned i = 0; i < AWAITED_MAX; i++)
        room = s->awaited[i] == 0 ? i : room;
    if (room < AWAITED_MAX)
        s->awaited[room] = tid;
    s->made |= room < AWAITED_MAX;
}

static void came(struct sim *s, uint32_t tid)
{
    for (unsigned i = 0; i < AWAITED_MAX; i++)
        s->awaited[i] = s->awaited[i] == tid ? 0 : s->awaited[i];
}

uint32_t sim_expects(const struct sim *s, uint32_t *ret_pid)
{
    uint32_t n = s->expected;

    *ret_pid = 0;
    for (const struct sim_proc *p = s->procs; p && s->expected > 0; p = p->next)
        *ret_pid = p->state == PROC_FORKED ? p->pid : *ret_pid;
    for (unsigned i = 0; i < AWAITED_MAX; i++)
        n += s->awaited[i] != 0;
    return n;
}

/* in_fork: t stands inside a call that makes a process. */
static bool in_fork(const struct sim_thread *t)
{
    return t->pending.open && control_makes_process(&t->pending.call);
}

static struct sim_thread *forking_thread(const struct sim *s, const uint64_t *fork)
{
    for (struct sim_thread *t = s->threads; t; t = t->next)
        if (t->joined && t->proc->pid == fork[FORK_PPID] && t->tid == fork[FORK_PTID] &&
            in_fork(t) && call_number(t) == fork[FORK_CALL])
            return t;
    return NULL;
}

static struct sim_proc *forked(const struct sim *s, const uint64_t *fork)
{
    for (struct sim_proc *p = s->procs; p; p = p->next)
        if (p->state == PROC_FORKED && p->ppid == fork[FORK_PPID] &&
            p->fork_call == fork[FORK_CALL])
            return p;
    return NULL;
}

/* orphan: the parent died inside the call. Its address space is as the call found it. */
static struct sim_proc *orphan(struct sim *s, struct sim_thread *t, const uint64_t *fork)
{
    struct sim_proc *parent = youngest(s, (uint32_t)fork[FORK_PPID]), *p;

    if (!parent || !parent->fork_open)
        return stranger(s, t, (uint32_t)fork[FORK_PID]);
    kern_switch(s->kern, parent->kern);
    p = child_of(s, parent, (uint32_t)fork[FORK_PID], false);
    parent->fork_open = false;
    release_last(s, t);
    return p;
}

/* early makes the child while its parent stands inside the call. */
static struct sim_proc *early(struct sim *s, struct sim_thread *parent, const uint64_t *fork)
{
    if (s->cpu[parent->core_id].runs == parent)
        entry_kernel_mode(s, parent->core_id); /* until its call returns */
    proc_switch(s, parent);
    parent->forked = (uint32_t)fork[FORK_CALL];
    return copy_process(s, parent, (uint32_t)fork[FORK_PID], (uint32_t)fork[FORK_CALL]);
}

/* schedule_tail: a new task tells its id where clone was asked to, and where it runs. */
static void schedule_tail(struct sim *s, struct sim_thread *t)
{
    kern_schedule_tail(va(t->proc->child_tid), va(t->rseq), &s->copies);
    sim_copies(s, t, 0);
}

void proc_forked(struct sim *s, struct sim_thread *t, const uint64_t *fork)
{
    struct sim_proc *p = forked(s, fork);
    struct sim_thread *parent = p ? NULL : forking_thread(s, fork);

    if (!p)
        p = parent ? early(s, parent, fork) : orphan(s, t, fork);
    s->expected -= p->state == PROC_FORKED && p->fork_call != 0;
    if (p->pid != fork[FORK_PID]) /* the parent knows it by another: a namespace of its own */
        set_pid(s, p, (uint32_t)fork[FORK_PID]);
    t->tid = (uint32_t)fork[FORK_TID];
    t->starting = false;
    t->rseq = p->rseq;
    t->signals = p->signals;
    memcpy(t->signal_sp, p->signal_sp, sizeof(t->signal_sp));
    join(s, t, p);
    schedule_tail(s, t);
}

/* -- where a stream begins in time ---------------------------------------------------------------*/

uint64_t proc_begins(const struct sim *s, const uint64_t *w, size_t n)
{
    const uint64_t *p = w + 1;
    const struct sim_proc *of = NULL;

    if (event_kind(w[0]) != EV_CONTROL || n <= event_words(w[0]))
        return latest(s);
    if (event_type(w[0]) == EV_START && event_words(w[0]) > START_PID) {
        of = proc_find(s, (uint32_t)p[START_PID]);
        return of ? of->last_ps : s->procs->state == PROC_NEW ? 0 : latest(s);
    }
    if (event_type(w[0]) == EV_FORK && event_words(w[0]) >= FORK_WORDS) {
        of = forked(s, p);
        const struct sim_thread *parent = of ? NULL : forking_thread(s, p);
        return of ? of->begin_ps : parent ? sched_time(parent) : latest(s);
    }
    return latest(s);
}

const struct sched_task *proc_left_task(const struct sim *s, const uint64_t *w, size_t n)
{
    uint64_t pid = 0;

    if (event_kind(w[0]) != EV_CONTROL || n < START_WORDS)
        return NULL;
    if (event_type(w[0]) == EV_START)
        pid = w[1 + START_PID];
    else if (event_type(w[0]) == EV_FORK)
        pid = w[1 + FORK_PPID];
    const struct sim_proc *p = youngest(s, (uint32_t)pid);
    return p && p->task.allowed ? &p->task : NULL;
}

/* -- exec ----------------------------------------------------------------------------------------*/

void proc_set_argv(struct sim_proc *p, const char *text, uint32_t bytes)
{
    char *argv = malloc(bytes + 1u);

    if (!argv)
        return;
    if (bytes > 0)
        memcpy(argv, text, bytes);
    free(p->argv);
    p->argv = argv;
    p->argv_bytes = bytes;
}

void proc_start(struct sim *s, struct sim_thread *t, const uint64_t *start)
{
    struct sim_proc *p = proc_find(s, (uint32_t)start[START_PID]);

    if (!p)
        p = stranger(s, t, (uint32_t)start[START_PID]);
    if (!p->parent)
        p->ppid = (uint32_t)start[START_PPID];
    p->native = 0;
    t->tid = (uint32_t)start[START_TID];
    join(s, t, p);
}

bool proc_exec(struct sim *s, struct sim_thread *t)
{
    struct sim_proc *p = t->proc;
    struct mm *old = p->mm;
    wait_executed(s, p, sched_time(t));
    bool first = p->images++ == 0 && !p->parent;

    if (first)
        return true;
    if (mm_exec(&p->mm, old) == 0) {
        space_switch(s, t);
        give_up(s, t, p, old);
    } else {
        STAT(&s->stats, div_oom)++; /* the old one is emptied and used again */
    }
    kern_proc_exec(s->kern, t->tid);
    memset(p->handlers, 0, sizeof(p->handlers));
    p->hold = (struct mmap_hold){0};
    return false;
}

/* -- threads, ends -------------------------------------------------------------------------------*/

void proc_thread(struct sim *s, struct sim_thread *t, uint32_t pid)
{
    struct sim_proc *p = proc_find(s, pid);

    if (!p)
        p = stranger(s, t, pid);
    came(s, t->tid);
    join(s, t, p);
}

static bool in_exec(const struct sim_thread *t)
{
    const struct pending_call *c = &t->pending;

    return c->open && (c->call.nr == SYS_execve || c->call.nr == SYS_execveat);
}

void proc_left(struct sim *s, struct sim_thread *t)
{
    struct sim_proc *p = t->proc;

    if (!t->joined)
        return;
    t->sum->end_ps = sched_time(t);
    t->sum->over = true;
    p->last_ps = max_u64(p->last_ps, sched_time(t));
    p->task = t->task;
    if (in_exec(t))
        p->in_exec = t->sum;
    p->fork_open |= s->tree && in_fork(t) && t->forked != call_number(t);
    if (--p->threads > 0)
        return;
    bool unseen = !s->tree || p->native != 0;
    STAT(&s->stats, sim_exec_lost) += p->in_exec != NULL && unseen;
    p->state = p->in_exec && !unseen ? PROC_EXECS : PROC_ENDED;
    if (p->state == PROC_ENDED)
        timeline_at(s, t, MOMENT_EXIT, 0, 0);
    if (p->state == PROC_ENDED)
        wait_ended(s, p, sched_time(t));
    if (p->state == PROC_ENDED && !p->fork_open && another_lives(s, p))
        release(s, t, p);
}

void proc_reaped(struct sim *s, const struct sim_proc *by, uint32_t pid)
{
    struct sim_proc *p = youngest(s, pid);

    if (p && p->parent == by && p->state == PROC_ENDED)
        p->reaped = true;
}

void proc_status(struct sim_proc *p, int status)
{
    if (!WIFEXITED(status) && !WIFSIGNALED(status))
        return; /* stopped, or going on */
    p->exit_known = true;
    p->exit_signal = WIFSIGNALED(status) ? (uint8_t)WTERMSIG(status) : 0;
    p->exit_code = WIFEXITED(status) ? (uint8_t)WEXITSTATUS(status) : 0;
}

void sim_process_status(struct sim *s, uint32_t pid, int status)
{
    struct sim_proc *p = youngest(s, pid);

    if (p)
        proc_status(p, status);
}

void sim_left(struct sim *s)
{
    for (struct sim_proc *p = s->procs; p; p = p->next)
        p->left |= p->state != PROC_ENDED;
}

/* -- current -------------------------------------------------------------------------------------*/

void proc_switch(struct sim *s, struct sim_thread *t)
{
    account(s, t);
    attrib_forget(s);
    s->current = t;
    kern_switch(s->kern, t->proc->kern);
    if (!t->starting)
        space_switch(s, t);
}
