/* reader.c: the consumer of the rings: which stream is fed next.
 *
 *   ready   A ===   C =====   D =        of those that may be fed now (order.c) the one that is behind in
 *   quiet   B  E  F  …                   virtual time gets a turn; streams that stay empty are looked at
 *                                        only now and then, so that hundreds of waiting threads cost little
 *
 * Invariants:
 *  I1  The tail of a modelled stream stands before a record, never inside one: sim_feed takes whole
 *      records. No record is longer than READER_QUANTUM.
 *  I2  reader_step says true only when a word was taken or a stream's state changed, so a loop over
 *      it ends with the words.
 *  I3  The region is also the program's, whose wild stores may hit it: a head beyond its ring and a block
 *      record that does not hold together end the run (-EPROTO), and nothing outside is read.
 *  I4  A step costs what the ready streams cost; all streams are looked at only where nothing else is to
 *      do, and in one step of QUIET_STEPS.
 */
#include "front/reader_int.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define QUIET_LOOKS 64 /* empty looks in succession that make a stream quiet */
#define QUIET_STEPS 16 /* steps between two looks at the quiet ones */

void reader_open(struct reader *r, struct sim *sim, const struct region *region)
{
    memset(r, 0, sizeof *r);
    r->sim = sim;
    r->region = region;
    for (unsigned i = 0; i < RING_SLOTS; i++)
        r->stream[i].slot = &region->ring->slot[i];
}

void reader_close(struct reader *r)
{
    process_close_all(r);
    for (unsigned i = 0; i < RING_SLOTS; i++)
        if (r->stream[i].words)
            region_unmap_words(r->stream[i].words);
}

/* -- feeding -------------------------------------------------------------------------------------- */
static void wake_producer(struct stream *s)
{
    if (atomic_load(&s->slot->producer_waiting) && available(s) <= RING_WORDS / 2 &&
        atomic_exchange(&s->slot->producer_waiting, 0))
        syscall(SYS_futex, &s->slot->producer_waiting, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* advance gives words back to the producer. */
static void advance(struct reader *r, struct stream *s, uint64_t words)
{
    r->words += words;
    s->process->fed = s->fed = r->moved = r->beat;
    atomic_store(&s->slot->tail, tail_of(s) + words);
    wake_producer(s);
}

static void discard(struct reader *r, struct stream *s, uint64_t n)
{
    announce_blocks(r);
    if (r->error)
        return;
    r->accesses += discard_words(next_word(s), n, &s->skip);
    advance(r, s, n);
}

/* tell_verdict hands an answer over to the producer that waits for it. */
static void tell_verdict(struct stream *s)
{
    int verdict;

    if (!sim_take_verdict(s->thread, &verdict))
        return;
    atomic_store(&s->slot->verdict, verdict);
    atomic_fetch_add(&s->slot->verdicts, 1);
    syscall(SYS_futex, &s->slot->verdicts, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* record_feed: words that were offered before are on the tape already. */
static void record_feed(struct reader *r, struct stream *s, uint64_t n)
{
    uint64_t end = tail_of(s) + n, fresh = end > s->taped ? end - s->taped : 0;

    tape_feed(r->tape, s->serial, next_word(s), n, fresh, s->wants_order);
    s->taped += fresh;
}

bool reader_feed(struct reader *r, struct stream *s, uint64_t n)
{
    uint64_t head = head_of(s);
    uint32_t call = s->wants_order ? call_of(s) : 0;
    struct process *p = s->process;
    enum sim_stop stop;
    size_t done;

    announce_blocks(r);
    if (r->error)
        return false;
    if (!p->begun)
        process_begin(r, p);
    record_feed(r, s, n);
    done = sim_feed(r->sim, s->thread, next_word(s), n, s->wants_order, &stop);
    tape_fed(r->tape, s->serial, done);
    if (stop == SIM_LATER && done == 0)
        return true;
    if (call > p->applied)
        p->applied = call;
    tell_verdict(s);
    s->wants_order = stop == SIM_ORDER;
    s->stuck_at = done == 0 && stop == SIM_ALL && tail_of(s) + n == head ? head : 0;
    if (done == 0 && stop == SIM_ALL && n >= READER_QUANTUM)
        r->error = -EPROTO; /* I1: no record is so long */
    advance(r, s, done);
    return done > 0 || s->wants_order;
}

/* -- whose turn it is ----------------------------------------------------------------------------- */

/* hear looks whether a ready stream has words; one that had none for long becomes quiet. */
static bool hear(struct reader *r, struct stream *s)
{
    uint64_t n = head_of(s) - tail_of(s);

    if (n > RING_WORDS)
        r->error = -EPROTO; /* I3 */
    if (n != 0) {
        s->empty = 0;
        return true;
    }
    if (++s->empty >= QUIET_LOOKS)
        process_list(r, s, &r->quiet);
    return false;
}

/* behind returns the stream least in virtual time that may be fed, the elder of two; or NULL. */
static struct stream *behind(struct reader *r, uint64_t *ret_n)
{
    uint64_t least = UINT64_MAX, time, n;
    struct stream *best = NULL;

    for (unsigned i = r->ready.n; i-- > 0;) {
        struct stream *s = &r->stream[r->ready.slot[i]];

        if (!hear(r, s))
            continue;
        time = s->thread ? sim_thread_time(s->thread) : tail_of(s);
        if (best && (time > least || (time == least && s->serial > best->serial)))
            continue;
        n = feedable(r, s);
        if (n == 0 || out_of_turn(r, s))
            continue;
        best = s;
        least = time;
        *ret_n = n;
    }
    return r->error ? NULL : best;
}

/* rouse makes quiet streams with words ready again; true when there was one. */
static bool rouse(struct reader *r)
{
    bool any = false;

    for (unsigned i = r->quiet.n; i-- > 0;) {
        struct stream *s = &r->stream[r->quiet.slot[i]];

        if (head_of(s) == tail_of(s))
            continue;
        process_list(r, s, &r->ready);
        any = true;
    }
    return any;
}

/* close_ended closes the streams of a list that are over and read to their end: others wait for that. */
static bool close_ended(struct reader *r, struct stream_list *l)
{
    bool any = false;

    for (unsigned i = l->n; i-- > 0;)
        if (i < l->n) {
            process_ask(&r->stream[l->slot[i]]);
            any |= process_end_stream(r, &r->stream[l->slot[i]]);
        }
    return any;
}

/* next_stream looks at the ready ones, and at the others when none of these may be fed or it is time. */
static struct stream *next_stream(struct reader *r, uint64_t *ret_n)
{
    struct stream *s;

    if (++r->steps % QUIET_STEPS == 0)
        rouse(r);
    order_hold(r);
    s = behind(r, ret_n);
    return s || r->error || !rouse(r) ? s : behind(r, ret_n);
}

bool reader_step(struct reader *r)
{
    struct stream *s;
    bool moved = true, ended;
    uint64_t n = 0;

    process_look_for(r);
    s = r->error ? NULL : next_stream(r, &n);
    if (r->error)
        return false;
    if (!s) {
        ended = close_ended(r, &r->ready);
        return close_ended(r, &r->quiet) || ended || order_let_go(r);
    }
    if (r->sim)
        moved = reader_feed(r, s, n);
    else
        discard(r, s, n);
    if (available(s) == 0) {
        process_ask(s);
        process_end_stream(r, s);
    }
    return moved;
}

/* -- nothing to do -------------------------------------------------------------------------------- */
static bool all_in_call(const struct reader *r, const struct stream_list *l)
{
    for (unsigned i = 0; i < l->n; i++)
        if (!atomic_load(&r->stream[l->slot[i]].slot->in_call))
            return false;
    return true;
}

bool reader_idle(const struct reader *r)
{
    return all_in_call(r, &r->ready) && all_in_call(r, &r->quiet);
}

/* any_word says whether there is something to do. */
static bool any_word(const struct reader *r)
{
    for (unsigned i = 0; i < r->ready.n; i++)
        if (feedable(r, &r->stream[r->ready.slot[i]]) &&
            !out_of_turn(r, &r->stream[r->ready.slot[i]]))
            return true;
    for (unsigned i = 0; i < r->quiet.n; i++)
        if (available(&r->stream[r->quiet.slot[i]]))
            return true;
    return atomic_load(&r->region->ring->threads) != r->threads;
}

void reader_sleep(struct reader *r, uint64_t ns)
{
    struct ring_region *ring = r->region->ring;
    const struct timespec limit = {0, (long)ns};

    atomic_exchange(&ring->consumer_waiting, 1);
    if (!any_word(r))
        syscall(SYS_futex, &ring->consumer_waiting, FUTEX_WAIT, 1, &limit, NULL, 0);
    atomic_store(&ring->consumer_waiting, 0);
}
