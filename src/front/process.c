/* process.c: streams and processes: how they begin and end.
 *
 *   slot LIVE ─► unborn ─ first record ─► ready ◄─► quiet ─ over and read to its end ─► slot FREE
 *
 *   pid 7   EV_START sh ──────fork k=3──────────────── …        child: fed once call 3 of its parent is
 *   pid 8              EV_FORK ── exec │ EV_START ls ── …       applied; program: fed once the one before
 *                                                               it in its process is read to its end
 *
 * Invariants:
 *  I1  What made a stream possible is known before it: slots are looked at until none came meanwhile, and
 *      those found together are born in order of their time. So the parent of a child, and the process of
 *      a thread, is the newest of its pid.
 *  I2  A process of the same pid ends all older ones: their streams end where their heads are.
 *  I3  A child whose parent is over before its call was applied goes on all the same, and the parent's
 *      last stream stays open until it does: the sim copies what the parent was last.
 *  I4  The last stream of a process ends when the process is known to be dead, or replaced: as long as it
 *      lives a thread that has written nothing yet may go on where the others ended.
 *  I5  Numbers in the region are anybody's (a wild store): they choose among processes, nothing more.
 *  I6  A slot that does not say whose it is belongs to a process that lives: it was taken just now.
 *
 * Source: docs/PROTOCOL.md, "Processes"; pidfd_open(2), whose poll tells the end of the last thread.
 */
#include "front/reader_int.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEP_SLOTS 64 /* slots whose memory is not given back between two streams */
#define SCANS_MAX  8  /* looks at all slots in a row */
#define LOOKS      32 /* processes whose life one reader_look looks at */

/* -- lists ---------------------------------------------------------------------------------------- */
static struct stream *at(struct reader *r, const struct stream_list *l, unsigned i)
{
    return &r->stream[l->slot[i]];
}

static void leave_list(struct reader *r, struct stream *s)
{
    struct stream_list *l = s->list;
    struct stream *last = at(r, l, --l->n);

    l->slot[s->place] = l->slot[l->n];
    last->place = s->place;
    s->list = NULL;
}

void process_list(struct reader *r, struct stream *s, struct stream_list *l)
{
    if (s->list)
        leave_list(r, s);
    s->list = l;
    s->place = l->n;
    l->slot[l->n++] = (uint16_t)(s - r->stream);
}

/* -- processes ------------------------------------------------------------------------------------ */

/* forget_process: it has no stream, and its pid means nothing any more. */
static void forget_process(struct reader *r, struct process *p)
{
    for (unsigned i = 0; i < r->top; i++) {
        struct process *q = &r->process[i];

        if (q->older == p)
            q->older = p->older;
        if (q->parent == p)
            q->parent = NULL;
        if (q->lender == p)
            q->lender = NULL;
    }
    *p = (struct process){0};
}

/* free_entry: there is one, for each process has a stream. */
static struct process *free_entry(struct reader *r)
{
    unsigned i = 0;

    while (i < r->top && r->process[i].used)
        i++;
    r->top += i == r->top;
    return &r->process[i];
}

/* newest returns the process that has this pid now, or NULL. */
static struct process *newest(struct reader *r, uint32_t pid)
{
    for (unsigned i = 0; i < r->top; i++)
        if (r->process[i].used && r->process[i].pid == pid && !r->process[i].replaced)
            return &r->process[i];
    return NULL;
}

static struct process *new_process(struct reader *r, uint32_t pid)
{
    struct process *older = newest(r, pid), *p;

    if (older) { /* I2 */
        older->replaced = older->over = true;
        process_end_streams(r, older);
        older = older->used ? older : NULL;
    }
    p = free_entry(r);
    *p = (struct process){.pid = pid, .used = true, .older = older, .fed = r->beat};
    return p;
}

/* waits_for says whether q has not begun, for want of a call of p that is not applied. */
static bool waits_for(const struct process *q, const struct process *p)
{
    return q->used && q->parent == p && q->older != p && q->fork_call > p->applied;
}

static bool has_heirs(const struct reader *r, const struct process *p)
{
    for (unsigned i = 0; i < r->top; i++)
        if (waits_for(&r->process[i], p))
            return true;
    return false;
}

static bool read_to_end(const struct reader *r, const struct process *p)
{
    if (!p->over && !r->over)
        return false;
    for (const struct stream *s = p->streams; s; s = s->sibling)
        if (!drained(s))
            return false;
    return true;
}

bool process_idle(const struct process *p)
{
    for (const struct stream *s = p->streams; s; s = s->sibling)
        if (!drained(s))
            return false;
    return true;
}

bool process_lends(const struct reader *r, const struct process *p, uint32_t call)
{
    for (unsigned i = 0; i < r->top; i++) {
        const struct process *q = &r->process[i];

        if (q->used && q->lender == p && q->fork_call < call && !process_idle(q))
            return true;
    }
    return false;
}

bool process_may_begin(const struct reader *r, const struct process *p)
{
    if (p->begun || !r->sim)
        return true;
    return !p->older &&
           (!p->parent || p->parent->applied >= p->fork_call || read_to_end(r, p->parent));
}

void process_begin(struct reader *r, struct process *p)
{
    if (p->parent && p->parent->applied < p->fork_call && r->sim)
        order_forced(r); /* I3 */
    p->begun = true;
    p->parent = NULL;
}

/* -- streams begin -------------------------------------------------------------------------------- */

/* What the first record of a stream says. */
struct birth {
    unsigned type; /* enum event_control; EV_THREAD_START also when it is none of the three */
    uint32_t pid, ppid, call;
    uint64_t flags; /* of clone */
    uint64_t ns;
};

/* read_birth reads the first record; false when it is not complete yet. A stream that begins with
 * anything else is damaged: its slot says whose it is, and the sim will find out. */
static bool read_birth(const struct stream *s, struct birth *ret)
{
    static const uint64_t least[EV_CONTROL_NR] = {
        [EV_START] = START_WORDS, [EV_THREAD_START] = 3, [EV_FORK] = FORK_WORDS};
    const uint64_t *w = next_word(s) + 1, n = available(s);
    unsigned type;

    if (n == 0)
        return false;
    type = event_kind(w[-1]) == EV_CONTROL ? event_type(w[-1]) : 0;
    *ret = (struct birth){.type = EV_THREAD_START, .pid = atomic_load(&s->slot->pid)};
    if (type >= EV_CONTROL_NR || !least[type] || event_words(w[-1]) < least[type])
        return true;
    if (n < 1 + event_words(w[-1]))
        return false;
    ret->type = type;
    ret->pid = (uint32_t)w[type == EV_START ? START_PID : type == EV_FORK ? FORK_PID : 0];
    ret->ns = w[type == EV_START ? START_NS : type == EV_FORK ? FORK_NS : 2];
    if (type == EV_FORK) {
        ret->ppid = (uint32_t)w[FORK_PPID];
        ret->call = (uint32_t)w[FORK_CALL];
        ret->flags = w[FORK_FLAGS];
    }
    return true;
}

static struct process *process_of(struct reader *r, const struct birth *b)
{
    struct process *parent = b->type == EV_FORK ? newest(r, b->ppid) : NULL, *p = newest(r, b->pid);

    if (b->type == EV_THREAD_START && p)
        return p;
    r->processes += b->type == EV_FORK || !p;
    p = new_process(r, b->pid);
    if (parent && parent->used && parent != p) {
        p->parent = parent;
        p->fork_call = b->call;
        p->lender = b->flags & CLONE_VM ? parent : NULL;
    }
    return p;
}

static void bear(struct reader *r, struct stream *s, const struct birth *b)
{
    struct process *p = process_of(r, b);

    s->thread = r->sim ? sim_thread_open(r->sim) : NULL;
    tape_stream(r->tape, s->serial);
    s->taped = tail_of(s);
    if (r->sim && !s->thread) {
        r->error = -ENOMEM;
        return;
    }
    s->process = p;
    s->sibling = p->streams;
    p->streams = s;
    r->lives++;
    process_list(r, s, &r->ready);
}

/* bear_eldest lets the unborn stream of least time be born (I1); false when no first record is there. */
static bool bear_eldest(struct reader *r)
{
    struct stream *eldest = NULL;
    struct birth b, least = {0};

    for (unsigned i = 0; i < r->unborn.n; i++) {
        struct stream *s = at(r, &r->unborn, i);

        if (head_of(s) - tail_of(s) > RING_WORDS)
            r->error = -EPROTO;
        if (r->error || !read_birth(s, &b) || (eldest && b.ns >= least.ns))
            continue;
        eldest = s;
        least = b;
    }
    if (eldest && !r->error)
        bear(r, eldest, &least);
    return eldest && !r->error;
}

static void open_stream(struct reader *r, struct stream *s)
{
    if (!s->words)
        s->words = region_words(r->region, (unsigned)(s - r->stream));
    if (!s->words) {
        r->error = -ENOMEM;
        return;
    }
    s->process = NULL;
    s->sibling = NULL;
    s->thread = NULL;
    s->wants_order = false;
    s->stuck_at = s->skip = s->empty = 0;
    s->serial = ++r->serial;
    process_list(r, s, &r->unborn);
}

/* open_streams looks at all slots; false when more came meanwhile, so that some may be missing (I1). */
static bool open_streams(struct reader *r)
{
    uint32_t threads = atomic_load(&r->region->ring->threads);

    for (unsigned i = 0; i < RING_SLOTS && !r->error; i++)
        if (!r->stream[i].list && atomic_load(&r->stream[i].slot->state) != RING_FREE)
            open_stream(r, &r->stream[i]);
    if (atomic_load(&r->region->ring->threads) != threads)
        return false;
    r->threads = threads;
    return true;
}

void process_look_for(struct reader *r)
{
    bool all = true;

    if (atomic_load(&r->region->ring->threads) != r->threads) {
        all = false;
        for (unsigned i = 0; i < SCANS_MAX && !all && !r->error; i++)
            all = open_streams(r);
    }
    while (all && !r->error && r->unborn.n && bear_eldest(r))
        ;
}

/* -- streams end ---------------------------------------------------------------------------------- */

/* free_slot gives a slot to the next thread, with nothing in it. */
static void free_slot(struct reader *r, struct stream *s)
{
    unsigned slot = (unsigned)(s - r->stream);

    if (slot >= KEEP_SLOTS)
        region_give_back(r->region, slot);
    atomic_store(&s->slot->tail, head_of(s));
    atomic_store(&s->slot->pid, 0); /* who takes it says who it is a moment later (I6) */
    atomic_store(&s->slot->state, RING_FREE);
}

static void leave_process(struct reader *r, struct stream *s)
{
    struct process *p = s->process;
    struct stream **link = &p->streams;

    while (*link != s)
        link = &(*link)->sibling;
    *link = s->sibling;
    r->lives--;
    if (s->thread) {
        tape_end(r->tape, s->serial);
        sim_thread_close(r->sim, s->thread);
    }
    s->thread = NULL;
    s->process = NULL;
    if (!p->streams)
        forget_process(r, p);
}

static void close_stream(struct reader *r, struct stream *s)
{
    leave_list(r, s);
    if (s->process)
        leave_process(r, s);
    free_slot(r, s);
}

/* ended says whether a stream may be closed: its thread is over, and nothing came before that was. */
static bool ended(const struct reader *r, const struct stream *s)
{
    const struct process *p = s->process;
    bool last = p->streams == s && !s->sibling, over = p->over || r->over;

    if (!over && (last || atomic_load(&s->slot->state) != RING_DONE)) /* I4 */
        return false;
    return drained(s) && !(last && has_heirs(r, p)); /* I3 */
}

/* One that cannot be asked about lives. */
bool process_dead(uint32_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    struct pollfd p = {fd, POLLIN, 0};
    bool over;

    if (fd < 0)
        return errno == ESRCH;
    over = poll(&p, 1, 0) == 1;
    close(fd);
    return over;
}

void process_ask(struct stream *s)
{
    struct process *p = s->process;

    if (p->streams == s && !s->sibling && !p->over && atomic_load(&s->slot->state) == RING_DONE)
        p->over = process_dead(p->pid);
}

bool process_end_stream(struct reader *r, struct stream *s)
{
    bool end = ended(r, s);

    if (end)
        close_stream(r, s);
    return end;
}

bool process_end_streams(struct reader *r, struct process *p)
{
    bool any = false;

    for (struct stream *s = p->streams, *next; s; s = next) {
        next = s->sibling;
        any |= process_end_stream(r, s);
    }
    return any;
}

void process_close_all(struct reader *r)
{
    struct stream_list *lists[] = {&r->unborn, &r->ready, &r->quiet};

    for (unsigned i = 0; i < 3; i++)
        while (lists[i]->n)
            close_stream(r, at(r, lists[i], lists[i]->n - 1));
}

/* -- deaths --------------------------------------------------------------------------------------- */

/* look_at_unborn: a thread killed before it could write its first record has no stream. */
static void look_at_unborn(struct reader *r)
{
    struct birth b;

    for (unsigned i = r->unborn.n; i-- > 0;) {
        struct stream *s = at(r, &r->unborn, i);
        uint32_t pid = atomic_load(&s->slot->pid);
        bool gone = r->over || (pid != 0 && process_dead(pid)); /* I6 */

        if (gone && !read_birth(s, &b))
            close_stream(r, s);
    }
}

void reader_look(struct reader *r)
{
    look_at_unborn(r);
    for (unsigned i = 0; i < LOOKS && i < r->top; i++) {
        struct process *p = &r->process[r->looked++ % r->top];

        if (!p->used)
            continue;
        p->over = p->over || process_dead(p->pid);
        if (p->over)
            process_end_streams(r, p);
    }
}

bool process_bury(struct reader *r)
{
    bool any = false;

    for (unsigned i = 0; i < r->top; i++) {
        struct process *p = &r->process[i];

        p->over = p->over || (p->used && process_dead(p->pid));
        any |= p->used && p->over && process_end_streams(r, p);
    }
    return any;
}

bool reader_reads(const struct reader *r, uint32_t pid)
{
    for (unsigned i = 0; i < r->top; i++)
        if (r->process[i].used && r->process[i].pid == pid)
            return true;
    return false;
}

unsigned reader_alive(const struct reader *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < r->top; i++)
        n += r->process[i].used && !r->process[i].over;
    return n;
}
