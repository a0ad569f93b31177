/* control.c: control words: start of the program, threads, system calls, signals.
 *
 *   EV_START … first block          kern_exec, then the copies exec makes
 *   EV_SYSCALL … EV_SYSCALL_RET     details in between are collected in t->pending; the call is
 *                                   applied at its return, because only then its result is known
 *
 * Invariants:
 *  I1  A record is handled only when all its words are there (control_complete).
 *  I2  An address-space call is applied only when the caller of sim_feed said that all other
 *      threads are past it.
 *  I3  What a record says is data from another process: every length is checked against the
 *      record's own size before it is used.
 */
#include "sim/sim_int.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

size_t control_complete(const uint64_t *w, size_t n)
{
    size_t words = 1 + event_words(w[0]);

    return words <= n ? words : 0;
}

/* Copies the text at word i of a payload of n words into buf, cut if too long. */
static void payload_text(const uint64_t *p, size_t n, size_t i, char *buf, size_t size)
{
    buf[0] = '\0';
    if (i >= n)
        return;
    size_t bytes = min_u64(p[i], (n - i - 1) * 8);
    bytes = min_u64(bytes, size - 1);
    memcpy(buf, p + i + 1, bytes);
    buf[bytes] = '\0';
}

/* -- start -------------------------------------------------------------------------------------------*/

/* behind_text returns where what follows the text at p[i] begins; n when that is too long. */
static size_t behind_text(const uint64_t *p, size_t n, size_t i)
{
    return i < n && p[i] <= (n - i - 1) * 8 ? i + 1 + div_up(p[i], 8) : n;
}

/* start_argv keeps the arguments. */
static void start_argv(struct sim_proc *proc, const uint64_t *p, size_t n, size_t i)
{
    char argv[EV_ARGV_BYTES + 1];

    payload_text(p, n, i, argv, sizeof(argv));
    if (i < n)
        proc_set_argv(proc, argv, (uint32_t)min_u64(p[i], sizeof(argv) - 1));
}

void control_comm(char comm[SIM_COMM], const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    memset(comm, 0, SIM_COMM);
    memcpy(comm, name, min_u64(strlen(name), SIM_COMM - 1));
}

static void on_start(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n)
{
    if (n < START_WORDS || p[START_VERSION] != EV_VERSION)
        return;
    memcpy(t->start, p, START_WORDS * sizeof(*p));
    payload_text(p, n, START_WORDS, t->path, sizeof(t->path));
    t->starting = true;
    proc_start(s, t, p);
    memcpy(t->proc->path, t->path, sizeof(t->proc->path));
    size_t args = behind_text(p, n, START_WORDS);
    start_argv(t->proc, p, n, args);
    payload_text(p, n, behind_text(p, n, args), t->comm, sizeof(t->comm));
    if (!t->comm[0])
        control_comm(t->comm, t->path);
}

static void on_fork(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n)
{
    if (n >= FORK_WORDS)
        proc_forked(s, t, p);
}

/* name_task tells mm who calls: exec names a task after the file. */
static void name_task(const struct sim_thread *t)
{
    struct mm_task task = *mm_task(t->proc->mm);
    task.pid = task.tgid = t->proc->pid;
    task.uid = (uint32_t)t->start[START_UID];
    task.gid = (uint32_t)t->start[START_GID];
    memset(task.comm, 0, sizeof(task.comm));
    memcpy(task.comm, t->comm, min_u64(strlen(t->comm), sizeof(task.comm) - 1));
    memcpy(t->proc->comm, t->comm, sizeof(t->proc->comm));
    mm_set_task(t->proc->mm, &task);
}

void control_first_block(struct sim *s, struct sim_thread *t, uint64_t pc)
{
    struct kern_exec e = {
        .path = t->path,
        .argc = t->start[START_ARGC],
        .envc = t->start[START_ENVC],
        .arg_bytes = t->start[START_ARG_BYTES],
        .env_bytes = t->start[START_ENV_BYTES],
        .load_bias = t->start[START_BIAS],
        .interp_base = kern_interp_base(t->path, pc),
        .stack_top = t->start[START_STACK_TOP],
        .stack_limit = t->start[START_STACK_LIMIT],
        .stack_rlimit = t->start[START_STACK_RLIMIT],
    };

    t->starting = false;
    if (!t->joined)
        proc_thread(s, t, 0);
    entry_begin(s, t, ENTRY_SYSCALL, SYS_execve);
    bool first = proc_exec(s, t);
    name_task(t);
    timeline_at(s, t, MOMENT_EXEC, 0, 0);
    bool done = kern_exec(s->kern, t->proc->mm, &e, &s->copies) == 0;
    if (done && first)
        kern_task_new(s->kern, t->tid);
    STAT(&s->stats, kernel_cycles_exec) += sim_drain(s, t);
    space_switch(s, t);
    sim_copies(s, t, 0); /* none if it failed: every access is repaired and counted then */
    entry_end(s, t);
}

/* -- system calls --------------------------------------------------------------------------------------*/

/* do_exit: the thread enters the kernel and does not come back. */
static void do_exit(struct sim *s, struct sim_thread *t)
{
    entry_begin(s, t, ENTRY_SYSCALL, t->pending.call.nr);
    kern_mm_release(s->kern, t->tid, t->proc->threads > 1, &s->copies);
    sim_copies(s, t, 0);
    STAT(&s->stats, kernel_cycles_exit) += sim_drain(s, t);
}

static void on_syscall(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n)
{
    struct pending_call *c = &t->pending;

    if (n < 7)
        return;
    memset(&c->call, 0, sizeof(c->call));
    c->call.nr = p[0];
    memcpy(c->call.arg, p + 1, 6 * sizeof(*p));
    c->call.tid = t->tid;
    c->sig = 0;
    c->open = true;
    t->returned = t->slept = t->let_go = false;
    t->host_ns = n > 7 ? p[7] : 0;
    channel_ends(s, sched_time(t));
    STAT(&s->stats, syscalls)++;
    if ((p[0] == SYS_exit || p[0] == SYS_exit_group) && t->joined && !t->starting)
        do_exit(s, t);
    channel_begins(s, t);
    wait_begins(s, t);
}

static void on_file(struct sim_thread *t, const uint64_t *p, size_t n)
{
    struct kern_file *f = &t->pending.call.file;

    if (n < 7)
        return;
    f->present = true;
    f->fd = (int)p[0];
    f->dev = p[1];
    f->ino = p[2];
    f->size = p[3];
    f->mode = (uint32_t)p[4];
    f->huge_log = (uint32_t)(p[4] >> 32) & 63;
    f->open_flags = (uint32_t)p[5];
    payload_text(p, n, 6, f->path, sizeof(f->path));
}

static void on_iovec(struct sim_thread *t, const uint64_t *p, size_t n)
{
    struct pending_call *c = &t->pending;

    if (n < 2)
        return;
    uint32_t pairs = (uint32_t)min_u64(p[1], (n - 2) / 2);
    if (pairs > c->iov_cap) {
        struct kern_iovec *v = realloc(c->iov, pairs * sizeof(*v));
        if (!v)
            return;
        c->iov = v;
        c->iov_cap = pairs;
    }
    for (uint32_t i = 0; i < pairs; i++)
        c->iov[i] = (struct kern_iovec){p[2 + 2 * i], p[3 + 2 * i]};
    c->call.iov = c->iov;
    c->call.n_iov = pairs;
    c->call.iov_arg = (uint32_t)p[0];
}

/* keep_earlier sets the last piece aside: a call may have two. */
static void keep_earlier(struct pending_call *c)
{
    uint8_t *b = c->earlier;
    uint32_t cap = c->earlier_cap;

    c->call.earlier = c->call.bytes;
    c->call.earlier_addr = c->call.bytes_addr;
    c->call.n_earlier = c->call.n_bytes;
    c->earlier = c->bytes;
    c->earlier_cap = c->bytes_cap;
    c->call.bytes = NULL;
    c->bytes = b;
    c->bytes_cap = cap;
}

static void on_bytes(struct sim_thread *t, const uint64_t *p, size_t n)
{
    struct pending_call *c = &t->pending;

    if (n < 2)
        return;
    uint32_t bytes = (uint32_t)min_u64(p[1], (n - 2) * 8);
    keep_earlier(c);
    if (bytes > c->bytes_cap) {
        uint8_t *b = realloc(c->bytes, bytes);
        if (!b)
            return;
        c->bytes = b;
        c->bytes_cap = bytes;
    }
    if (bytes > 0)
        memcpy(c->bytes, p + 2, bytes);
    c->call.bytes = c->bytes;
    c->call.bytes_addr = p[0];
    c->call.n_bytes = bytes;
}

static void on_sigaction(struct sim_thread *t, const uint64_t *p, size_t n)
{
    if (n < 2 || p[0] == 0 || p[0] > 64)
        return;
    t->pending.sig = p[0];
    t->pending.handler = p[1];
}

/* SIG_DFL and SIG_IGN are 0 and 1, no addresses. */
static void install_handler(struct sim *s, struct sim_thread *t)
{
    const struct pending_call *c = &t->pending;

    if (c->sig == 0 || c->call.result != 0)
        return;
    t->proc->handlers[c->sig] = c->handler > 1 ? c->handler : 0;
    if (c->handler > 1)
        blocks_mark_handler(s, c->handler);
}

bool control_is_ordered(const struct sim_thread *t, uint64_t nr)
{
    uint64_t flags = t->pending.call.arg[0];

    return kern_call_is_memory(nr) || nr == SYS_fork || nr == SYS_vfork ||
           (nr == SYS_clone && (flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM);
}

bool control_makes_process(const struct kern_call *c)
{
    if (c->nr == SYS_fork || c->nr == SYS_vfork)
        return true;
    return c->nr == SYS_clone && !(c->arg[0] & CLONE_THREAD);
}

/* waits: the call may tell how a child ended; the words that tell it lie at *ret_status. */
static bool waits(const struct kern_call *c, uint64_t *ret_status)
{
    *ret_status = c->arg[1];
    return c->nr == SYS_wait4 && c->result > 0;
}

/* register_rseq as Linux would: an emulator that lacks the call answers ENOSYS. */
static void register_rseq(struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;

    if (c->nr == SYS_rseq && (c->result == 0 || c->result == -ENOSYS))
        t->rseq = c->arg[2] == 0 ? c->arg[0] : 0;
}

/* sleeps: a call that usually waits for somebody. */
static bool sleeps(const struct kern_call *c)
{
    switch (c->nr) {
    case SYS_wait4:
    case SYS_waitid:
    case SYS_read:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_rt_sigsuspend:
    case SYS_pause:
    case SYS_nanosleep:
        return true;
    default:
        return false;
    }
}

/* wake_rseq: who slept tells its restartable sequence where it goes on. That page was touched before, so
 * it matters only once after a fork, which shares it. */
static void wake_rseq(struct sim *s, struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;

    if (control_makes_process(c) && c->result > 0)
        t->rseq_shared = true;
    if (!t->rseq_shared || !sleeps(c))
        return;
    t->rseq_shared = false;
    kern_schedule_tail(va(0), va(t->rseq), &s->copies);
    sim_copies(s, t, 0);
}

/* tell_of_processes: what a call says of others than the caller's. */
static void tell_of_processes(struct sim *s, struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;
    uint64_t at;
    int status;

    if (control_makes_process(c) && c->result > 0)
        proc_fork(s, t, (uint32_t)c->result);
    else if (s->tree && (c->nr == SYS_clone || c->nr == SYS_clone3) && c->result > 0)
        proc_thread_made(s, t, (uint32_t)c->result);
    if (c->nr == SYS_execve || c->nr == SYS_execveat)
        t->proc->native = 0; /* it failed */
    if (c->nr == SYS_wait4 && c->result > 0)
        proc_reaped(s, t->proc, (uint32_t)c->result);
    if (waits(c, &at) && at != 0 && c->bytes && c->bytes_addr == at &&
        c->n_bytes >= sizeof(status)) {
        memcpy(&status, c->bytes, sizeof(status));
        sim_process_status(s, (uint32_t)c->result, status);
    }
}

static void finish_sigreturn(struct sim *s, struct sim_thread *t)
{
    if (t->signals == 0)
        return;
    t->signals--;
    kern_sigreturn(s->kern, t->signal_sp[t->signals % ARRAY_LEN(t->signal_sp)], &s->copies);
    sim_copies(s, t, 0);
    STAT(&s->stats, kernel_cycles_signal) += sim_drain(s, t);
}

static void apply_call(struct sim *s, struct sim_thread *t)
{
    struct pending_call *c = &t->pending;
    bool memory = kern_call_is_memory(c->call.nr);

    install_handler(s, t);
    entry_begin(s, t, ENTRY_SYSCALL, c->call.nr);
    if (c->call.nr == SYS_rt_sigreturn)
        finish_sigreturn(s, t);
    sim_clock(s, t);
    tell_of_processes(s, t);
    register_rseq(t);
    if (kern_syscall(s->kern, t->proc->mm, &c->call, &s->copies) != 0)
        attrib_forget(s);
    s->payer = PAYER_CALL;
    uint64_t cycles = sim_drain(s, t);
    s->payer = PAYER_NOBODY;
    if (memory)
        STAT(&s->stats, kernel_cycles_memory) += cycles;
    else
        STAT(&s->stats, kernel_cycles_syscall) += cycles;
    bool good = sim_copies(s, t, c->call.result);
    STAT(&s->stats, div_user_copy) += !kern_outcome_agrees(&c->call, !good);
    wake_rseq(s, t);
    sched_call(s, t); /* it may lose its core: before it is back in user mode */
    entry_end(s, t);
}

/* Returns false if the call has to wait for the other threads. */
static bool on_syscall_ret(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n,
                           bool ordered)
{
    struct pending_call *c = &t->pending;

    if (n < 3 || !c->open || c->call.nr != p[0] || t->starting)
        return true;
    if (!ordered && control_is_ordered(t, p[0]))
        return false;
    c->call.result = (int64_t)p[1];
    lock_returned(s, t);
    apply_call(s, t);
    channel_done(s, t, c->call.result);
    wait_vfork(s, t);
    c->open = false;
    return true;
}

/* on_ask answers for the call that the thread is in; without one, that it may. */
static void on_ask(struct sim *s, struct sim_thread *t)
{
    struct pending_call *c = &t->pending;

    t->answered = true;
    t->verdict = 0;
    if (!c->open || !t->joined)
        return;
    c->call.asked = true;
    t->verdict = kern_ask(s->kern, t->proc->mm, &c->call);
    c->call.file.present = false; /* told again at the return, as it is then */
    sim_drain(s, t);
}

bool sim_take_verdict(struct sim_thread *t, int *ret)
{
    if (!t->answered)
        return false;
    t->answered = false;
    *ret = t->verdict;
    return true;
}

/* -- signals ---------------------------------------------------------------------------------------------*/

/* A frame lies below the red zone of 128 bytes; a plain call leaves the stack pointer where the return
 * address was pushed. */
void control_signal_frame(struct sim *s, struct sim_thread *t, uint64_t sp)
{
    if (t->call_sp != 0 && sp <= t->call_sp && t->call_sp - sp < 128)
        return;
    STAT(&s->stats, signals)++;
    t->signal_sp[t->signals % ARRAY_LEN(t->signal_sp)] = va(sp);
    t->signals++;
    kern_signal(s->kern, va(sp), &s->copies);
    sim_copies(s, t, 0);
    STAT(&s->stats, kernel_cycles_signal) += sim_drain(s, t);
}

/* -- all records -----------------------------------------------------------------------------------------*/

static void on_thread_start(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n)
{
    if (n < 2)
        return;
    t->tid = (uint32_t)p[1];
    t->starting = false;
    proc_thread(s, t, (uint32_t)p[0]);
    kern_task_new(s->kern, t->tid);
    sim_drain(s, t);
}

/* The front end's own plain counters, sent where no block is half done: they must be ours. */
/* on_native: what the thread executes now is lost, unless the call returns. */
static void on_native(struct sim_thread *t, const uint64_t *p, size_t n)
{
    if (n == 0 || !t->joined)
        return;
    t->proc->native = (uint8_t)p[0];
    payload_text(p, n, 1, t->proc->native_path, sizeof(t->proc->native_path));
}

static void on_counts(struct sim_thread *t, const uint64_t *p, size_t n)
{
    uint64_t executed = t->instructions + t->rep_extra + t->partials;

    if (n >= 3)
        t->counts_wrong |= p[0] != executed || p[1] != t->raw[0] || p[2] != t->raw[1];
}

bool control_word(struct sim *s, struct sim_thread *t, const uint64_t *w, bool ordered)
{
    const uint64_t *p = w + 1;
    size_t n = event_words(w[0]);

    switch ((enum event_control)event_type(w[0])) {
    case EV_START:
        on_start(s, t, p, n);
        break;
    case EV_THREAD_START:
        on_thread_start(s, t, p, n);
        break;
    case EV_THREAD_EXIT:
        kern_task_exit(s->kern, t->tid);
        break;
    case EV_SYSCALL:
        on_syscall(s, t, p, n);
        break;
    case EV_SYSCALL_RET:
        return on_syscall_ret(s, t, p, n, ordered);
    case EV_FILE:
        on_file(t, p, n);
        break;
    case EV_IOVEC:
        on_iovec(t, p, n);
        break;
    case EV_SIGACTION:
        on_sigaction(t, p, n);
        break;
    case EV_EPOCH:
        t->epoch = n > 0 ? (uint32_t)p[0] : t->epoch;
        lock_epoch(s, t, t->epoch);
        break;
    case EV_COUNTS:
        on_counts(t, p, n);
        break;
    case EV_BYTES:
        on_bytes(t, p, n);
        break;
    case EV_CHANNEL:
        channel_told(s, t, p, n);
        break;
    case EV_ASK:
        on_ask(s, t);
        break;
    case EV_FORK:
        on_fork(s, t, p, n);
        break;
    case EV_NATIVE:
        on_native(t, p, n);
        break;
    case EV_EXIT:
        if (n > 0 && t->joined)
            proc_status(t->proc, (int)(p[0] & 0xff) << 8);
        break;
    case EV_CONTROL_NR:
        break;
    }
    return true;
}
