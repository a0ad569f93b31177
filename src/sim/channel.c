/* channel.c: pipes: who waits for whose bytes, and for whose room.
 *
 *   writer ── put ──►[ bytes … room ]── took ──► reader      bytes: put by modelled threads, not yet taken
 *                          │
 *        EV_SYSCALL: none there?  it sleeps ──── put ────► it wakes, at that moment
 *        its return: took more than there is?  it sleeps until that much was put
 *
 * The emulator runs the program's threads all at once, and one may have its answer long before the model has
 * come to the question. So a thread reads in the model when the modelled writer has written, writes when
 * there is room, and sees the end of the file when the writers have come as far as they had, by the host's
 * clock, when it saw it. Whether the host let it sleep says nothing.
 *
 *  I1  A thread takes only what was put before: bytes never falls below zero.
 *  I2  Who `waits` is asleep, THREAD_IN_CALL; `blocked`, its return is known and would be too early.
 *  I3  When nobody else has words left, who is blocked is let go: who put its bytes is not modelled. From then
 *      on the channel is `outside`: it follows the host again.
 *
 * Source: Linux 6.18 fs/pipe.c (pipe_read, pipe_write: exclusive waiters, woken in the order of their coming;
 * a write of PIPE_BUF bytes at most is not divided). Bytes are counted, not the buffers of a page.
 */
#include "sim/sim_int.h"

#include <limits.h>
#include <stdlib.h>

#define WRITERS_MAX 4u

struct channel {
    uint64_t dev, ino;
    uint64_t bytes;               /* put and not taken */
    uint64_t since_ps;            /* virtual time at which the first of them were put */
    uint64_t room;                /* for so many */
    uint32_t writer[WRITERS_MAX]; /* numbers of processes that ever wrote, + 1 … */
    bool more_writers, outside;   /* … and others; I3 */
    struct channel *next;         /* with the same key */
};

/* -- which channel ----------------------------------------------------------------------------------*/

static struct channel *channel_of(struct sim *s, const uint64_t *p)
{
    uint64_t key = mix64(p[CHANNEL_DEV]) ^ p[CHANNEL_INO], *at;

    at = map_at(&s->channels, key == MAP_NONE ? 0 : key, 0);
    ASSERT(at);
    for (struct channel *c = (struct channel *)(uintptr_t)*at; c; c = c->next)
        if (c->dev == p[CHANNEL_DEV] && c->ino == p[CHANNEL_INO])
            return c;
    struct channel *c = calloc(1, sizeof(*c));
    ASSERT(c);
    *c = (struct channel){
        .dev = p[CHANNEL_DEV], .ino = p[CHANNEL_INO], .next = (struct channel *)(uintptr_t)*at};
    *at = (uintptr_t)c;
    return c;
}

void channels_close(struct sim *s)
{
    const struct map_slot *m;
    size_t pos = 0;

    while ((m = map_next(&s->channels, &pos)))
        for (struct channel *c = (struct channel *)(uintptr_t)m->value, *next; c; c = next) {
            next = c->next;
            free(c);
        }
    map_free(&s->channels);
}

static void note_writer(struct channel *c, const struct sim_proc *p)
{
    for (unsigned i = 0; i < WRITERS_MAX; i++)
        if (c->writer[i] == p->number + 1 || c->writer[i] == 0) {
            c->writer[i] = p->number + 1;
            return;
        }
    c->more_writers = true;
}

void channel_told(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n)
{
    struct channel_use *u = &t->uses;

    if (n < CHANNEL_WORDS)
        return;
    struct channel *c = channel_of(s, p);
    c->room = p[CHANNEL_ROOM] > 0 ? p[CHANNEL_ROOM] : UINT64_MAX;
    u->blocking = !(p[CHANNEL_WHAT] & CHANNEL_NONBLOCK);
    if (p[CHANNEL_WHAT] & CHANNEL_WRITES) {
        u->to = c;
        u->to_write = u->blocking ? p[CHANNEL_BYTES] : 0;
        u->whole = p[CHANNEL_BYTES] <= PIPE_BUF;
        note_writer(c, t->proc);
    } else {
        u->from = c;
        u->wanted = p[CHANNEL_BYTES];
    }
}

/* put adds bytes at a moment that may be later than where a reader on another core is. */
static void put(struct channel *c, uint64_t n, uint64_t now)
{
    c->since_ps = c->bytes == 0 && n > 0 ? now : c->since_ps;
    c->bytes += n;
}

/* -- who waits ----------------------------------------------------------------------------------------*/

static bool waits_for_bytes(const struct sim_thread *t, const struct channel *c)
{
    return t->state == THREAD_IN_CALL && t->uses.waits && t->uses.from == c && !t->uses.at_end;
}

/* bytes_came wakes, the longest asleep first, as many as there are bytes for. */
static void bytes_came(struct sim *s, struct channel *c, uint64_t now)
{
    uint64_t left = c->bytes;

    for (;;) {
        struct sim_thread *first = NULL;
        for (struct sim_thread *t = s->threads; t; t = t->next)
            if (waits_for_bytes(t, c) && t->uses.needs <= left &&
                (!first || t->slept_ps < first->slept_ps ||
                 (t->slept_ps == first->slept_ps && t->serial < first->serial)))
                first = t;
        if (!first)
            return;
        left -= first->uses.needs;
        sched_woken(s, first, now);
    }
}

static void room_came(struct sim *s, const struct channel *c, uint64_t now)
{
    for (struct sim_thread *t = s->threads; t; t = t->next)
        if (t->state == THREAD_IN_CALL && t->uses.waits && t->uses.to == c && t->uses.to_write > 0)
            sched_woken(s, t, now);
}

/* writes_on lets a thread write what there is room for. */
static void writes_on(struct sim *s, struct sim_thread *t)
{
    struct channel_use *u = &t->uses;
    struct channel *c = u->to;
    uint64_t room = c->room > c->bytes ? c->room - c->bytes : 0, n = min_u64(u->to_write, room);

    n = u->whole && n < u->to_write ? 0 : n;
    put(c, n, sched_time(t));
    u->put += n;
    u->to_write -= n;
    if (n > 0)
        bytes_came(s, c, sched_time(t));
}

/* -- a call -------------------------------------------------------------------------------------------*/

/* asks: a reader comes when there is nothing, or there is only later. */
static void asks(struct sim *s, struct sim_thread *t)
{
    const struct channel *c = t->uses.from;

    if (t->uses.wanted == 0 || (c->bytes > 0 && c->since_ps <= sched_time(t)))
        return;
    sched_sleeps(s, t);
    if (c->bytes > 0)
        sched_woken(s, t, c->since_ps);
}

void channel_begins(struct sim *s, struct sim_thread *t)
{
    struct channel_use *u = &t->uses;

    u->needs = 1;
    if (u->from)
        u->known = u->blocking && !u->from->outside;
    else if (u->to)
        u->known = u->blocking && !u->to->outside && u->to_write > 0;
    if (!u->known) {
        u->to_write = 0;
        return;
    }
    if (u->from) {
        asks(s, t);
        return;
    }
    writes_on(s, t);
    if (u->to_write > 0)
        sched_sleeps(s, t);
}

bool channel_goes_on(struct sim *s)
{
    for (unsigned n = 0; n < s->sched.cores; n++) {
        struct sim_thread *t = s->cpu[n].runs;
        if (!t || t->uses.to_write == 0 || !t->pending.open)
            continue;
        writes_on(s, t);
        if (t->uses.to_write > 0) {
            sched_sleeps(s, t);
            return true;
        }
    }
    return false;
}

/* come_so_far says whether all who may have held the other end did what they had done by `ns`. */
static bool come_so_far(const struct sim *s, const struct channel *c, const struct sim_thread *t)
{
    bool any = c->more_writers || c->writer[0] == 0;

    for (const struct sim_proc *p = s->procs; p; p = p->next) {
        bool holds = any && p != t->proc;
        for (unsigned i = 0; i < WRITERS_MAX; i++)
            holds |= c->writer[i] == p->number + 1;
        if (holds && p->state == PROC_EXECS)
            return false;
        for (const struct sim_thread *o = s->threads; holds && o; o = o->next)
            if (o != t && o->proc == p && o->joined && o->host_ns < t->uses.until_ns)
                return false;
    }
    return true;
}

void channel_ends(struct sim *s, uint64_t now)
{
    if (s->at_end == 0)
        return;
    for (struct sim_thread *t = s->threads; t; t = t->next)
        if (t->state == THREAD_IN_CALL && t->uses.at_end && come_so_far(s, t->uses.from, t))
            sched_woken(s, t, now);
}

enum channel_answer channel_returns(struct sim *s, struct sim_thread *t, int64_t result,
                                    uint64_t took_ns)
{
    struct channel_use *u = &t->uses;

    if (!u->known || result < 0 || (!u->from && !u->to))
        return CHANNEL_UNKNOWN;
    if (!u->from)
        return u->to_write > 0 ? CHANNEL_WAITS : CHANNEL_DONE;
    if (result > 0 || u->wanted == 0) {
        u->needs = (uint64_t)result;
        return u->from->bytes < u->needs ? CHANNEL_WAITS : CHANNEL_DONE;
    }
    u->until_ns = t->host_ns + took_ns;
    if (come_so_far(s, u->from, t))
        return CHANNEL_DONE;
    s->at_end += !u->at_end;
    u->at_end = true;
    return CHANNEL_WAITS;
}

static void done_writing(struct sim *s, const struct sim_thread *t, uint64_t result)
{
    const struct channel_use *u = &t->uses;
    struct channel *c = u->to;

    if (result >= u->put)
        put(c, result - u->put, sched_time(t));
    else
        c->bytes -= min_u64(c->bytes, u->put - result);
    bytes_came(s, c, sched_time(t));
}

void channel_done(struct sim *s, struct sim_thread *t, int64_t result)
{
    struct channel_use *u = &t->uses;
    uint64_t n = result > 0 ? (uint64_t)result : 0;

    if (u->from && !u->from->outside && n > 0) {
        u->from->bytes -= min_u64(u->from->bytes, n);
        room_came(s, u->from, sched_time(t));
    }
    if (u->to && !u->to->outside)
        done_writing(s, t, n);
    channel_forget(s, t);
}

void channel_forget(struct sim *s, struct sim_thread *t)
{
    s->at_end -= t->uses.at_end;
    t->uses = (struct channel_use){0};
}

void channel_let_go(struct sim *s, struct sim_thread *t)
{
    struct channel_use *u = &t->uses;

    if (!u->at_end &&
        (u->from || u->to)) { /* the end of a file nobody else could bring about: all is told */
        STAT(&s->stats, sched_outside)++;
        (u->from ? u->from : u->to)->outside = true;
    }
    s->at_end -= u->at_end;
    u->at_end = u->known = u->waits = u->blocked = u->child = false;
    u->vfork = NULL;
    t->let_go = true;
    u->to_write = 0;
}
