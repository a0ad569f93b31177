/* reader.c: the consumer of the rings, and the order between streams.
 *
 *   stream 0  =====E5======S.=======            E  EV_EPOCH        the stream that is behind in
 *   stream 1  ======S(5)..R=====                S,R  call and      virtual time is fed next, but
 *   stream 2  =========E6======                      its return    never past E or R too early
 *
 * Address-space calls have numbers: call k begins with epoch 2k - 1 and ends with 2k.
 *
 * Invariants:
 *  I1  Words behind an EV_EPOCH e are fed only when calls 1 … e/2 are applied (`applied`): what a
 *      thread did after a call of another had ended, it does after it in the model.
 *  I2  The return of call k is fed only when every other stream is past epoch 2k - 1, or stands
 *      before an EV_EPOCH at least that, or is empty while its thread is inside a call (then what
 *      follows comes after call k, for in_call is read before head), or is over.
 *  I3  With one stream I1 and I2 hold by themselves, and its words are not scanned.
 *  I4  The tail of a modelled stream stands before a record, never inside one: sim_feed takes whole
 *      records. No record is longer than READER_QUANTUM.
 *  I5  reader_step says true only when a word was taken or a stream's state changed, so a loop over
 *      it ends with the words.
 *  I6  The region is also the program's, whose wild stores may hit it: a head beyond its ring and a block
 *      record that does not hold together end the run (-EPROTO), and nothing outside is read.
 *
 * reader_force breaks I1 or I2 when nothing moves: a producer may wait for its ring while another
 * waits for it inside QEMU. The sim counts it.
 */
#include "front/front_int.h"

#include "base/bits.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define INSN_MAX 15 /* bytes of an x86 instruction */

static const uint64_t EPOCH_WORD =
    (uint64_t)EV_CONTROL << EV_KIND_SHIFT | (uint64_t)EV_EPOCH << EV_TYPE_SHIFT | 1;

void reader_open(struct reader *r, struct sim *sim, const struct region *region)
{
    memset(r, 0, sizeof *r);
    r->sim = sim;
    r->region = region;
    for (unsigned i = 0; i < RING_SLOTS; i++)
        r->stream[i].slot = &region->ring->slot[i];
}

/* -- streams come and go -------------------------------------------------------------------------- */
static bool open_stream(struct reader *r, unsigned i)
{
    struct stream *s = &r->stream[i];

    if (!s->words)
        s->words = region_words(r->region, i);
    s->thread = s->words && r->sim ? sim_thread_open(r->sim) : NULL;
    if (!s->words || (r->sim && !s->thread))
        return false;
    s->open = true;
    s->wants_order = false;
    s->stuck_at = s->skip = 0;
    r->live[r->lives++] = (uint16_t)i;
    return true;
}

static void open_streams(struct reader *r)
{
    uint32_t threads = atomic_load(&r->region->ring->threads);

    if (threads == r->threads)
        return;
    for (unsigned i = 0; i < RING_SLOTS; i++)
        if (!r->stream[i].open && atomic_load(&r->stream[i].slot->state) != RING_FREE &&
            !open_stream(r, i))
            r->error = -ENOMEM;
    r->threads = threads;
}

static void close_stream(struct reader *r, unsigned nth)
{
    struct stream *s = &r->stream[r->live[nth]];

    if (s->thread)
        sim_thread_close(r->sim, s->thread);
    s->thread = NULL;
    s->open = false;
    atomic_store(&s->slot->state, RING_FREE);
    memmove(&r->live[nth], &r->live[nth + 1], (--r->lives - nth) * sizeof r->live[0]);
}

void reader_close(struct reader *r)
{
    while (r->lives)
        close_stream(r, r->lives - 1);
    for (unsigned i = 0; i < RING_SLOTS; i++)
        if (r->stream[i].words)
            region_unmap_words(r->stream[i].words);
}

/* -- what may be fed ------------------------------------------------------------------------------ */
static uint64_t tail_of(const struct stream *s)
{
    return atomic_load_explicit(&s->slot->tail, memory_order_relaxed);
}
static uint64_t available(const struct stream *s)
{
    uint64_t n = atomic_load_explicit(&s->slot->head, memory_order_acquire) - tail_of(s);

    return n <= RING_WORDS ? n : 0; /* I6 */
}
static const uint64_t *next_word(const struct stream *s)
{
    return s->words + (tail_of(s) & (RING_WORDS - 1));
}

/* epoch_of an EV_EPOCH record: 32 bits, as the simulator keeps it. */
static uint32_t epoch_of(const uint64_t *record)
{
    return (uint32_t)record[1];
}

/* before_epoch returns how many of n words come before an EV_EPOCH that must wait (I1). It steps over
 * payloads: an argument of a call may look like anything (I4). */
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

/* past says whether a stream holds nothing that happened before `epoch` (I2). */
static bool past(const struct reader *r, const struct stream *s, uint32_t epoch)
{
    bool in_call = atomic_load(&s->slot->in_call);
    uint64_t n = available(s);

    if (sim_thread_epoch(s->thread) >= epoch || stands_before(s, n, epoch))
        return true;
    return n == 0 && (in_call || r->over || atomic_load(&s->slot->state) == RING_DONE);
}

static uint32_t call_of(const struct stream *s)
{
    return (sim_thread_epoch(s->thread) + 1) / 2;
}

/* in_order says whether the address-space call that a stream stopped at may be applied (I2). */
static bool in_order(const struct reader *r, const struct stream *s)
{
    uint32_t k = call_of(s);

    if (k <= r->applied)
        return true;
    for (unsigned i = 0; i < r->lives; i++) {
        const struct stream *other = &r->stream[r->live[i]];

        if (other != s && !past(r, other, 2 * k - 1))
            return false;
    }
    return true;
}

/* feedable returns how many words of a stream may be fed now. */
static uint64_t feedable(const struct reader *r, const struct stream *s)
{
    uint64_t head = atomic_load_explicit(&s->slot->head, memory_order_acquire);
    uint64_t n = min_u64(head - tail_of(s), available(s));

    if (n == 0 || s->stuck_at == head || (s->wants_order && !in_order(r, s)))
        return 0;
    if (n > READER_QUANTUM)
        n = READER_QUANTUM;
    return r->lives == 1 || !r->sim ? n : before_epoch(next_word(s), n, r->applied); /* I3 */
}

/* -- feeding -------------------------------------------------------------------------------------- */
/* block_valid says whether a record holds together and ends within `room` bytes (I6). */
static bool block_valid(const struct ring_block *b, uint64_t room)
{
    unsigned code = 0;

    if (room < sizeof *b || b->bytes % 8 != 0 || b->bytes > room || b->insns > EV_INSN_MASK + 1 ||
        b->bytes < sizeof *b + b->insns + b->code_bytes)
        return false;
    for (unsigned i = 0; i < b->insns; i++) {
        if (b->data[i] == 0 || b->data[i] > INSN_MAX)
            return false;
        code += b->data[i];
    }
    return code == b->code_bytes;
}

/* record_of returns the record of a block id; NULL: there is none yet, or it is damaged. */
static const struct ring_block *record_of(struct reader *r, uint32_t id)
{
    const char *base = (const char *)r->region->ring;
    const _Atomic uint32_t *index = (const void *)(base + r->region->ring->index_offset);
    uint32_t at = atomic_load_explicit(&index[id], memory_order_acquire);
    uint64_t offset = ((uint64_t)at - 1) * 8;
    const struct ring_block *b;

    if (at == 0)
        return NULL;
    b = (const void *)(base + r->region->ring->table_offset + offset);
    if (offset < RING_TABLE_SIZE && block_valid(b, RING_TABLE_SIZE - offset))
        return b;
    r->error = -EPROTO;
    return NULL;
}

/* announce tells the sim of a block; false when there is no record of it. */
static bool announce(struct reader *r, uint32_t id)
{
    const struct ring_block *b = record_of(r, id);

    if (b && r->sim && sim_add_block(r->sim, id, b) != 0)
        r->error = -ENOMEM;
    return b != NULL;
}

/* keep_hole: one for each process that translates or died at it; more is damage (I6). */
static void keep_hole(struct reader *r, uint32_t id)
{
    if (r->n_holes == RING_SLOTS)
        r->error = -EPROTO;
    else
        r->holes[r->n_holes++] = id;
}

/* announce_blocks tells the sim of all blocks that words read before may name. An id whose record is
 * not written yet is looked at again; that of a producer that died stays such a hole. */
static void announce_blocks(struct reader *r)
{
    uint32_t blocks = atomic_load_explicit(&r->region->ring->blocks, memory_order_acquire);

    for (uint32_t i = r->n_holes; i-- > 0 && !r->error;)
        if (announce(r, r->holes[i]))
            r->holes[i] = r->holes[--r->n_holes];
    while (r->blocks < blocks && r->blocks < RING_BLOCK_MAX) {
        if (!announce(r, r->blocks) && !r->error)
            keep_hole(r, r->blocks);
        if (r->error)
            return;
        r->blocks++;
    }
}

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

/* feed gives n words to the sim; false when it took none and asks for no order (I5). */
static bool feed(struct reader *r, struct stream *s, uint64_t n)
{
    uint64_t head = atomic_load_explicit(&s->slot->head, memory_order_acquire);
    uint32_t call = s->wants_order ? call_of(s) : 0;
    enum sim_stop stop;
    size_t done;

    announce_blocks(r);
    if (r->error)
        return false;
    done = sim_feed(r->sim, s->thread, next_word(s), n, s->wants_order, &stop);
    if (call > r->applied)
        r->applied = call;
    tell_verdict(s);
    s->wants_order = stop == SIM_ORDER;
    s->stuck_at = done == 0 && !s->wants_order && tail_of(s) + n == head ? head : 0;
    advance(r, s, done);
    return done > 0 || s->wants_order;
}

/* behind returns the index in live of the stream least in virtual time that may be fed, or -1. */
static int behind(const struct reader *r, uint64_t *ret_n)
{
    uint64_t least = UINT64_MAX;
    int best = -1;

    for (unsigned i = 0; i < r->lives; i++) {
        const struct stream *s = &r->stream[r->live[i]];
        uint64_t time = s->thread ? sim_thread_time(s->thread) : tail_of(s), n;

        if (best >= 0 && time >= least)
            continue;
        n = feedable(r, s);
        if (n == 0)
            continue;
        best = (int)i;
        least = time;
        *ret_n = n;
    }
    return best;
}

/* close_ended closes the streams whose threads are over and read to their end. */
static bool close_ended(struct reader *r)
{
    bool any = false;

    for (unsigned i = r->lives; i-- > 0;) {
        const struct stream *s = &r->stream[r->live[i]];

        if (atomic_load(&s->slot->state) == RING_DONE && available(s) == 0) {
            close_stream(r, i);
            any = true;
        }
    }
    return any;
}

/* look_for_damage ends it all when a ring holds more than it can (I6). */
static void look_for_damage(struct reader *r)
{
    for (unsigned i = 0; i < r->lives; i++) {
        const struct stream *s = &r->stream[r->live[i]];

        if (atomic_load_explicit(&s->slot->head, memory_order_acquire) - tail_of(s) > RING_WORDS)
            r->error = -EPROTO;
    }
}

bool reader_step(struct reader *r)
{
    struct stream *s;
    bool moved = true;
    uint64_t n = 0;
    int i;

    open_streams(r);
    look_for_damage(r);
    if (r->error)
        return false;
    i = behind(r, &n);
    if (i < 0)
        return close_ended(r);
    s = &r->stream[r->live[i]];
    if (r->sim)
        moved = feed(r, s, n);
    else
        discard(r, s, n);
    if (available(s) == 0)
        close_ended(r);
    return moved;
}

/* -- when nothing moves --------------------------------------------------------------------------- */

/* force_call applies the oldest call that waits for others. */
static bool force_call(struct reader *r)
{
    struct stream *oldest = NULL;

    for (unsigned i = 0; i < r->lives; i++) {
        struct stream *s = &r->stream[r->live[i]];

        if (s->wants_order && (!oldest || call_of(s) < call_of(oldest)))
            oldest = s;
    }
    if (!oldest || available(oldest) == 0)
        return false;
    sim_order_forced(r->sim);
    feed(r, oldest, available(oldest) < READER_QUANTUM ? available(oldest) : READER_QUANTUM);
    return true;
}

/* force_epoch lets the streams go on that wait for a call whose caller is gone. */
static bool force_epoch(struct reader *r)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < r->lives; i++) {
        const struct stream *s = &r->stream[r->live[i]];

        if (stands_before(s, available(s), 0) && epoch_of(next_word(s)) / 2 > r->applied &&
            epoch_of(next_word(s)) / 2 < least)
            least = epoch_of(next_word(s)) / 2;
    }
    if (least == UINT64_MAX)
        return false;
    sim_order_forced(r->sim);
    r->applied = (uint32_t)least;
    return true;
}

bool reader_force(struct reader *r)
{
    return r->sim && !r->error && (force_call(r) || force_epoch(r));
}

bool reader_idle(const struct reader *r)
{
    for (unsigned i = 0; i < r->lives; i++)
        if (!atomic_load(&r->stream[r->live[i]].slot->in_call))
            return false;
    return true;
}

void reader_sleep(struct reader *r, uint64_t ns)
{
    struct ring_region *ring = r->region->ring;
    const struct timespec limit = {0, (long)ns};

    atomic_exchange(&ring->consumer_waiting, 1);
    for (unsigned i = 0; i < r->lives; i++)
        if (feedable(r, &r->stream[r->live[i]]))
            ns = 0;
    if (ns && atomic_load(&ring->threads) == r->threads)
        syscall(SYS_futex, &ring->consumer_waiting, FUTEX_WAIT, 1, &limit, NULL, 0);
    atomic_store(&ring->consumer_waiting, 0);
}
