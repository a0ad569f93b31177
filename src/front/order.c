/* order.c: what of a stream may be fed now.
 *
 *   stream 0  =====E5======S.=======            E  EV_EPOCH        never past E or R too early
 *   stream 1  ======S(5)..R=====                S,R  call and
 *   stream 2  =========E6======                      its return    all three of one process
 *
 * Address-space calls of a process have numbers: call k begins with epoch 2k - 1 and ends with 2k.
 *
 * Invariants:
 *  I1  Words behind an EV_EPOCH e are fed only when calls 1 … e/2 of the process are applied (`applied`):
 *      what a thread did after a call of another had ended, it does after it in the model.
 *  I2  The return of call k is fed only when every other stream of the process is past epoch 2k - 1, or
 *      stands before an EV_EPOCH at least that, or is empty while its thread is inside a call (then
 *      what follows comes after call k, for in_call is read before head), or is over.
 *  I3  In a process with one stream I1 and I2 hold by themselves, and its words are not scanned.
 *  I4  A process begins only after what made it (process.c).
 *  I5  A thread that waits for its modelled core is fed only when an order keeps back the words of the one
 *      that has it. One whose call ends by what another does is fed after that, or when nobody has words.
 *  I6  The return of call k is fed only when no process that shares the memory since an earlier call, by
 *      vfork, has words: it executes or ends before the caller goes on.
 *  I7  A task that was made is fed next: where it runs, and who gives way, is decided then.
 *
 * reader_force breaks I1, I2, I4, I5, I6 or I7 where nothing in a process moves: a producer may wait for its ring
 * while another waits for it inside QEMU, or was killed inside a call. The sim counts it.
 */
#include "front/reader_int.h"

#define HOLD_BEATS 20 /* that a task which was made has to say its first word */

static const uint64_t EPOCH_WORD =
    (uint64_t)EV_CONTROL << EV_KIND_SHIFT | (uint64_t)EV_EPOCH << EV_TYPE_SHIFT | 1;

/* epoch_of an EV_EPOCH record: 32 bits, as the simulator keeps it. */
static uint32_t epoch_of(const uint64_t *record)
{
    return (uint32_t)record[1];
}

/* before_epoch returns how many of n words come before an EV_EPOCH that must wait (I1). It steps over
 * payloads: an argument of a call may look like anything. */
static uint64_t before_epoch(const uint64_t *w, uint64_t n, uint32_t applied)
{
    for (uint64_t i = 0; i < n; i += event_kind(w[i]) == EV_CONTROL ? 1 + event_words(w[i]) : 1)
        if (w[i] == EPOCH_WORD && (i + 1 == n || epoch_of(&w[i]) / 2 > applied))
            return i;
    return n;
}

/* stands_before says whether the next word of a stream is an EV_EPOCH of at least `epoch`. */
static bool stands_before(const struct stream *s, uint64_t n, uint64_t epoch)
{
    return n >= 2 && next_word(s)[0] == EPOCH_WORD && epoch_of(next_word(s)) >= epoch;
}

/* wakes_before says whether the call that a blocked thread is in is all that a stream holds before `epoch`. */
static bool wakes_before(const struct stream *s, uint64_t n, uint64_t epoch)
{
    const uint64_t *w = next_word(s);

    for (uint64_t i = 0; i + 2 < n && event_kind(w[i]) == EV_CONTROL;) {
        bool ends = event_type(w[i]) == EV_SYSCALL_RET;
        i += 1 + event_words(w[i]);
        if (ends)
            return i + 2 <= n && w[i] == EPOCH_WORD && epoch_of(&w[i]) >= epoch;
    }
    return false;
}

/* past says whether a stream holds nothing that happened before `epoch` (I2). */
static bool past(const struct reader *r, const struct stream *s, uint32_t epoch)
{
    bool in_call = atomic_load(&s->slot->in_call);
    uint64_t n = available(s);

    if (sim_thread_epoch(s->thread) >= epoch || stands_before(s, n, epoch) ||
        (sim_thread_blocked(s->thread) && wakes_before(s, n, epoch)))
        return true;
    return n == 0 &&
           (in_call || r->over || s->process->over || atomic_load(&s->slot->state) == RING_DONE);
}

uint32_t call_of(const struct stream *s)
{
    return (sim_thread_epoch(s->thread) + 1) / 2;
}

/* in_order says whether the address-space call that a stream stopped at may be applied (I2). */
static bool in_order(const struct reader *r, const struct stream *s)
{
    uint32_t k = call_of(s);

    if (k <= s->process->applied)
        return true;
    for (const struct stream *other = s->process->streams; other; other = other->sibling)
        if (other != s && !past(r, other, 2 * k - 1))
            return false;
    return !process_lends(r, s->process, k); /* I6 */
}

uint64_t feedable(const struct reader *r, const struct stream *s)
{
    const struct process *p = s->process;
    uint64_t head = head_of(s), n = min_u64(head - tail_of(s), available(s));

    if (n == 0 || s->stuck_at == head || (s->wants_order && !in_order(r, s)) ||
        !process_may_begin(r, p)) /* I4 */
        return 0;
    if (n > READER_QUANTUM)
        n = READER_QUANTUM;
    if (!r->sim || (p->streams == s && !s->sibling)) /* I3 */
        return n;
    return before_epoch(next_word(s), n, p->applied);
}

/* -- whose turn it is on a modelled core ----------------------------------------------------------- */

/* held says whether a stream has words that an order keeps back. */
static bool held(const struct reader *r, const struct stream *s)
{
    return available(s) > 0 && s->stuck_at != head_of(s) && feedable(r, s) == 0;
}

/* ahead returns the stream of the thread that has the core, or NULL. */
static const struct stream *ahead(const struct reader *r, const struct stream *s)
{
    const struct stream_list *lists[] = {&r->ready, &r->quiet};

    for (unsigned l = 0; l < 2; l++)
        for (unsigned i = 0; i < lists[l]->n; i++)
            if (r->stream[lists[l]->slot[i]].thread == sim_thread_ahead(s->thread))
                return &r->stream[lists[l]->slot[i]];
    return NULL;
}

/* is_late says whether those who are expected have had time enough to come. */
static bool is_late(struct reader *r, uint32_t n, uint32_t pid)
{
    if (n != r->held || !r->holds) {
        r->held = n;
        r->held_at = r->beat;
    }
    return r->over || atomic_load(&r->region->ring->error) || r->beat - r->held_at >= HOLD_BEATS ||
           (r->beat != r->held_at && pid && process_dead(pid));
}

void order_hold(struct reader *r)
{
    uint32_t pid, n = r->sim ? sim_expects(r->sim, &pid) : 0;

    r->given_up = min_u64(r->given_up, n);
    if (n > r->given_up && is_late(r, n, pid))
        r->given_up = n;
    r->holds = n > r->given_up;
}

bool out_of_turn(const struct reader *r, const struct stream *s)
{
    if (r->holds && s->thread && !sim_thread_new(s->thread))
        return true; /* I7 */
    if (!s->thread || !sim_thread_waits(s->thread))
        return false;
    if (sim_thread_blocked(s->thread))
        return true;
    const struct stream *a = ahead(r, s);
    return !a || !held(r, a);
}

/* -- when nothing moves --------------------------------------------------------------------------- */

void order_forced(struct reader *r)
{
    tape_forced(r->tape);
    sim_order_forced(r->sim);
}

/* force_call applies the oldest call that waits for others. */
static bool force_call(struct reader *r, struct process *p)
{
    struct stream *oldest = NULL;

    for (struct stream *s = p->streams; s; s = s->sibling)
        if (s->wants_order && available(s) && (!oldest || call_of(s) < call_of(oldest)))
            oldest = s;
    if (!oldest)
        return false;
    order_forced(r);
    reader_feed(r, oldest, min_u64(available(oldest), READER_QUANTUM));
    return true;
}

/* force_epoch lets the streams go on that wait for a call whose caller is gone. */
static bool force_epoch(struct reader *r, struct process *p)
{
    uint64_t least = UINT64_MAX;

    for (const struct stream *s = p->streams; s; s = s->sibling)
        if (stands_before(s, available(s), 0) && epoch_of(next_word(s)) / 2 > p->applied)
            least = min_u64(least, epoch_of(next_word(s)) / 2);
    if (least == UINT64_MAX)
        return false;
    order_forced(r);
    p->applied = (uint32_t)least;
    return true;
}

/* force_begin lets a child go on whose parent has nothing more to say now, not even that its call has
 * ended: it may wait for this child. */
static bool force_begin(struct reader *r, struct process *p)
{
    if (p->begun || p->older || !p->parent || !process_idle(p->parent))
        return false;
    process_begin(r, p);
    return true;
}

/* longest returns the stream whose thread waits longest for what another does, with its words here; or NULL. */
static struct stream *longest(struct reader *r)
{
    const struct stream_list *lists[] = {&r->ready, &r->quiet};
    struct stream *first = NULL;

    for (unsigned l = 0; l < 2; l++)
        for (unsigned i = 0; i < lists[l]->n; i++) {
            struct stream *s = &r->stream[lists[l]->slot[i]];
            if (s->thread && sim_thread_blocked(s->thread) && feedable(r, s) &&
                (!first || sim_thread_time(s->thread) < sim_thread_time(first->thread)))
                first = s;
        }
    return first;
}

/* all_said says whether nobody has words but who waits for another, or begins after one. */
static bool all_said(const struct reader *r)
{
    const struct stream_list *lists[] = {&r->ready, &r->quiet};

    for (unsigned l = 0; l < 2; l++)
        for (unsigned i = 0; i < lists[l]->n; i++) {
            const struct stream *s = &r->stream[lists[l]->slot[i]];
            if (!drained(s) && process_may_begin(r, s->process) &&
                !(s->thread && sim_thread_blocked(s->thread)))
                return false;
        }
    return !r->holds && r->unborn.n == 0 && atomic_load(&r->region->ring->threads) == r->threads;
}

bool order_let_go(struct reader *r)
{
    struct stream *s = r->sim ? longest(r) : NULL;

    /* In this order: what ended its call came before its return, so it is there now or never. */
    return s && all_said(r) && (process_bury(r) || reader_feed(r, s, feedable(r, s)));
}

/* patience returns how many beats the thread on a core, `a`, has to say a word while s waits for that core. It
 * may be waiting, inside QEMU, for s's producer, if that waits for room; or asleep; or the host is slow. */
static uint32_t patience(const struct stream *s, const struct stream *a)
{
    if (atomic_load(&s->slot->producer_waiting))
        return 2;
    return atomic_load(&a->slot->in_call) ? 10 : 50;
}

/* force_turn feeds a stream whose thread waits for its core, when the one that has it said nothing for long. */
static bool force_turn(struct reader *r)
{
    for (unsigned i = 0; i < r->ready.n && !r->holds; i++) {
        struct stream *s = &r->stream[r->ready.slot[i]];
        uint64_t n = feedable(r, s);

        if (n == 0 || !out_of_turn(r, s) || sim_thread_blocked(s->thread))
            continue;
        const struct stream *a = ahead(r, s);
        if (r->over || !a || r->beat - a->fed >= patience(s, a))
            return reader_feed(r, s, n);
    }
    struct stream *s = r->beat - r->moved >= 50 ? longest(r) : NULL;
    return s && reader_feed(r, s, feedable(r, s));
}

/* waits says whether a process has words that may not be fed, for long enough. */
static bool waits(const struct reader *r, const struct process *p)
{
    bool any = false;

    if (!p->used || (!r->over && r->beat - p->fed < 2))
        return false;
    for (const struct stream *s = p->streams; s; s = s->sibling) {
        if (feedable(r, s) && !(s->thread && sim_thread_blocked(s->thread)))
            return false;
        any |= !drained(s);
    }
    return any;
}

bool reader_force(struct reader *r)
{
    if (!r->sim || r->error)
        return false;
    for (unsigned i = 0; i < r->top; i++) {
        struct process *p = &r->process[i];

        if (!waits(r, p))
            continue;
        p->fed = r->beat;
        if (p->begun || process_may_begin(r, p) ? force_call(r, p) || force_epoch(r, p)
                                                : force_begin(r, p))
            return true;
    }
    return force_turn(r);
}
