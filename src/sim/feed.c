/* feed.c: the hot loop: words in, counters out.
 *
 *   BLOCK   was the step from the last block seen before?  count, fetch its code lines
 *   ACCESS  a continuation of the last one?  else most-recent way of TLB and L1D, count
 *   others  out of line
 *
 * Invariants:
 *  I1  Every word is looked at once, in order; nothing is looked at beyond the n given.
 *  I2  The counts kept in struct tally are added to the machine's counters before sim_feed returns
 *      and before anything else reads them.
 *  I3  Joining changes which accesses are counted as one, never which lines and pages are touched:
 *      a continuing piece in the line of the piece before it would hit the most recent way of both
 *      arrays, which changes no state; one in a new line is an access of its own.
 *
 * Cost on the usual path, gcc 12 -O2: an access is about 20 host instructions (word fields, join
 * compare, TLB tag, L1D tag, two increments), a block about 25.
 */
#include "sim/sim_int.h"

#include <string.h>

#define NO_LINE UINT64_MAX
#define BATCH   64u /* words between two decisions to look ahead */
#define DEEP    4u  /* accesses of a batch beyond L2 that make looking ahead worth it */
#define AHEAD   24u /* words */

/* What the loop counts. Only what the usual path cannot do without is counted there; the rest is
 * what is left when the unusual paths are taken off. By index: loads [0], stores [1]. */
struct tally {
    uint64_t accesses, stores; /* pieces; loads are the difference */
    uint64_t not_own[2];       /* pieces that are part of an access counted before */
    uint64_t not_fast[2];      /* pieces that did not go through the fast path */
    uint64_t fetch_lines, fetch_slow;
    uint64_t instructions, blocks;
    uint64_t until; /* instructions before the core's clock is looked at: a tick may be due */
};

static void tally_add(struct sim *s, struct sim_thread *t, const struct tally *y)
{
    struct stat_set *st = &s->stats;
    uint64_t loads = y->accesses - y->stores;

    STAT(st, raw_loads) += loads;
    STAT(st, raw_stores) += y->stores;
    STAT(st, loads) += loads - y->not_own[0];
    STAT(st, stores) += y->stores - y->not_own[1];
    STAT(st, load_l1_hit) += loads - y->not_fast[0];
    STAT(st, store_l1_hit) += y->stores - y->not_fast[1];
    STAT(st, fetch_l1_hit) += y->fetch_lines - y->fetch_slow;
    STAT(st, instructions) += y->instructions;
    STAT(st, blocks) += y->blocks;
    t->instructions += y->instructions;
    t->raw[0] += loads;
    t->raw[1] += y->stores;
}

/* tally_clear adds what was counted, and begins anew. */
static void tally_clear(struct sim *s, struct sim_thread *t, struct tally *y)
{
    tally_add(s, t, y);
    *y = (struct tally){0};
    clock_look_next(s, t);
    y->until = sched_until_look(t);
}

/* -- accesses -----------------------------------------------------------------------------------*/

static __attribute__((noinline)) void access_miss(struct sim *s, struct sim_thread *t, uint64_t w,
                                                  uint64_t addr, struct tally *y)
{
    unsigned bytes = 1u << event_log2_size(w);
    bool store = event_is_store(w);

    y->not_fast[store]++;
    if ((addr & (LINE_SIZE - 1)) + bytes > LINE_SIZE) {
        STAT(&s->stats, split_loads) += !store;
        STAT(&s->stats, split_stores) += store;
    }
    sim_access_slow(s, t, addr, bytes, store ? ACCESS_STORE : ACCESS_LOAD, event_insn(w));
}

/* Cost: one compare of the TLB tag and one of the L1D tag on a hit. */
static inline void access_do(struct sim *s, struct sim_thread *t, uint64_t w, uint64_t addr,
                             struct tally *y)
{
    if (unlikely(!mmu_data_hit(t->core, addr, 1u << event_log2_size(w), event_is_store(w))))
        access_miss(s, t, w, addr, y);
}

/* A piece that continues the one before, if the instruction's operand reaches that far. Returns
 * false if it is an access of its own. */
static __attribute__((noinline)) bool access_join(struct sim *s, struct sim_thread *t, uint64_t w,
                                                  struct tally *y)
{
    unsigned bytes = 1u << event_log2_size(w);
    uint64_t addr = event_addr(w), offset = addr & (LINE_SIZE - 1);
    unsigned operand = block_insn(s, t->block, event_insn(w))->operand_bytes;
    bool store = event_is_store(w);

    if (operand != 255 && t->join_bytes + bytes > operand)
        return false;
    t->join_bytes += bytes;
    y->not_own[store]++;
    if (offset == 0) {
        STAT(&s->stats, split_loads) += !store;
        STAT(&s->stats, split_stores) += store;
        access_do(s, t, w, addr, y);
    } else if (offset + bytes > LINE_SIZE) {
        access_miss(s, t, w, addr, y);
    } else {
        y->not_fast[store]++;
    }
    return true;
}

/* Whether a rep instruction goes on in a line it used before: cmps reads two streams, so the last two
 * lines loaded count, and the last one stored. */
static bool rep_same_line(struct sim_thread *t, uint64_t line, bool store)
{
    uint64_t *last = t->rep_line;

    if (store) {
        bool same = last[2] == line;
        last[2] = line;
        return same;
    }
    if (last[0] == line || last[1] == line)
        return true;
    last[0] = last[1];
    last[1] = line;
    return false;
}

/* The rare cases of an access: high address bits, rep iterations, the first of a signal handler. */
static __attribute__((noinline)) void access_rare(struct sim *s, struct sim_thread *t, uint64_t w,
                                                  struct tally *y)
{
    bool store = event_is_store(w);
    uint64_t addr = event_addr(w);

    if (t->rare & RARE_HIGH)
        addr = (addr & EV_ADDR_MASK) | t->high << 48;
    if ((t->rare & RARE_SIGNAL) && block_insn(s, t->block, event_insn(w))->stack) {
        t->rare &= (uint8_t)~RARE_SIGNAL;
        control_signal_frame(s, t, store ? addr + (1u << event_log2_size(w)) : addr);
    }
    t->rare &= (uint8_t)~RARE_HIGH;
    if ((t->rare & RARE_REP) && event_insn(w) + 1u == t->block->insns &&
        rep_same_line(t, addr >> LINE_SHIFT, store)) {
        y->not_own[store]++;
        y->not_fast[store]++;
        return;
    }
    access_do(s, t, w, addr, y);
}

static inline void on_access(struct sim *s, struct sim_thread *t, uint64_t w, struct tally *y)
{
    uint64_t key = w & ~EV_SIZE_MASK;
    unsigned bytes = 1u << event_log2_size(w);

    y->accesses++;
    y->stores += event_is_store(w);
    bool joins = unlikely(key == t->join) && access_join(s, t, w, y);
    t->join = key + bytes;
    if (unlikely(joins))
        return;
    t->join_bytes = bytes;
    if (unlikely(t->rare))
        access_rare(s, t, w, y);
    else
        access_do(s, t, w, event_addr(w), y);
}

/* -- blocks ---------------------------------------------------------------------------------------*/

/* Whether the step from one block to the next needs a look (block.c). */
static inline bool edge_is_known(const struct block *from, const struct block *to, uint32_t id)
{
    if (likely(from->succ[0] == id || from->succ[1] == id))
        return true;
    return from->end == END_ANY && !(to->flags & BLOCK_HANDLER) &&
           to->pc - from->pc >= from->code_bytes;
}

/* Another iteration of a rep string instruction: the same instruction goes on. */
static bool rep_continues(const struct block *from, const struct block *to)
{
    return (to->flags & BLOCK_REP_FIRST) && (from->flags & BLOCK_REP_LAST) &&
           to->pc == from->pc + from->code_bytes - from->data[from->insns - 1];
}

/* Returns true if the block is no new execution of its instruction. */
static __attribute__((noinline)) bool block_rep(struct sim_thread *t, const struct block *from,
                                                const struct block *to, struct tally *y)
{
    if (!from || !rep_continues(from, to)) {
        t->rep_line[0] = t->rep_line[1] = t->rep_line[2] = NO_LINE;
        return false;
    }
    t->rep_extra++;
    y->instructions--; /* counted with the block; the rep was counted when it began */
    return true;
}

static __attribute__((noinline)) void fetch_lines(struct sim *s, struct sim_thread *t,
                                                  struct block *b, struct tally *y)
{
    uint64_t line = align_down(b->pc, LINE_SIZE), before = t->core->fetch_state;

    for (unsigned i = b->lines; i > 0; i--, line += LINE_SIZE) {
        if (likely(mmu_fetch_hit(t->core, line)))
            continue;
        y->fetch_slow++;
        sim_access_slow(s, t, line, 1, ACCESS_FETCH, 0);
    }
    b->fetched = before == t->core->fetch_state ? before : 0;
}

/* Cost: one compare, as long as no instruction line or page changed places since. */
static inline void fetch(struct sim *s, struct sim_thread *t, struct block *b, struct tally *y)
{
    y->fetch_lines += b->lines;
    if (unlikely(b->fetched != t->core->fetch_state || b->fetched == 0))
        fetch_lines(s, t, b, y);
}

static inline void on_block(struct sim *s, struct sim_thread *t, uint64_t w, struct tally *y)
{
    uint32_t id = (uint32_t)w;
    struct block *from = t->block, *to = sim_block(s, id);

    if (unlikely(t->starting))
        control_first_block(s, t, to->pc);
    if (unlikely(from && !edge_is_known(from, to, id)))
        block_edge(s, t, from, id);
    t->block = to;
    t->join = NO_JOIN;
    to->count++;
    y->blocks++;
    y->instructions += to->insns;
    t->rare = (uint8_t)((t->rare & RARE_SIGNAL) | (to->flags & BLOCK_REP_LAST));
    if (unlikely(to->flags & BLOCK_REP) && block_rep(t, from, to, y))
        return;
    fetch(s, t, to, y);
}

/* -- the loop -----------------------------------------------------------------------------------------*/

/* Asks the host for what the accesses of the next words will need; no effect on the model. */
static __attribute__((noinline)) void look_ahead(struct mmu_core *core, const uint64_t *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (event_kind(w[i]) == EV_ACCESS)
            mmu_prefetch(core, event_addr(w[i]));
}

/* A word that is neither a block nor an access. Returns the words it took, 0 to stop. */
static __attribute__((noinline)) size_t other_word(struct sim *s, struct sim_thread *t,
                                                   const uint64_t *w, size_t n, bool *ordered,
                                                   struct tally *y, enum sim_stop *ret_stop)
{
    if (event_kind(w[0]) == EV_HIGH) {
        t->high = w[0] & 0xffff;
        t->rare |= RARE_HIGH;
        return 1;
    }
    if (event_kind(w[0]) != EV_CONTROL)
        return 1; /* of no protocol version: event_valid's business */
    size_t words = control_complete(w, n);
    if (words == 0)
        return 0;
    tally_clear(s, t, y);
    if (event_type(w[0]) == EV_SYSCALL_RET && !sched_returns(s, t, w + 1, words - 1)) {
        *ret_stop = SIM_LATER;
        return 0;
    }
    if (!control_word(s, t, w, *ordered)) {
        *ret_stop = SIM_ORDER;
        return 0;
    }
    if (event_type(w[0]) == EV_SYSCALL_RET && control_is_ordered(t, w[1]))
        *ordered = false;
    return words;
}

/* Feeds blocks and accesses until another word, or the end. Returns the words it took. */
static size_t feed_run(struct sim *s, struct sim_thread *t, const uint64_t *words, size_t n,
                       struct tally *y)
{
    size_t i = 0;

    for (; i < n; i++) {
        uint64_t w = words[i];
        if (likely(event_kind(w) == EV_ACCESS)) {
            if (likely(t->block != NULL))
                on_access(s, t, w, y);
        } else if (likely(event_kind(w) == EV_BLOCK)) {
            if (unlikely(y->instructions >= y->until))
                break;
            if (likely((uint32_t)w < s->n_blocks))
                on_block(s, t, w, y);
        } else {
            break;
        }
    }
    return i;
}

/* tick: the core's timer interrupts between two blocks. False: t has to leave it. */
static __attribute__((noinline)) bool tick(struct sim *s, struct sim_thread *t, struct tally *y)
{
    tally_clear(s, t, y);
    bool stays = sched_ticks(s, t);
    y->until = sched_until_look(t);
    return stays;
}

/* resumes: t goes on with instructions of its own (to make a call is one), on a core that may have come to it
 * inside the kernel. */
static bool resumes(const struct sim_thread *t, uint64_t w)
{
    return !t->starting && (event_kind(w) != EV_CONTROL || event_type(w) == EV_SYSCALL);
}

static void feed_begin(struct sim *s, struct sim_thread *t, struct tally *y)
{
    t->uncounted = &y->instructions;
    t->until = &y->until;
    if (unlikely(s->current != t || s->payee.core != t->core_id))
        proc_switch(s, t);
    mm_set_cpu(s->mm_sys, t->core_id);
    kern_set_cpu(s->kern, t->core_id);
    lock_feed_begin(s, t);
    sched_feed_begin(s, t);
    y->until = sched_until_look(t);
}

static void feed_end(struct sim *s, struct sim_thread *t, const struct tally *y, size_t words)
{
    t->uncounted = NULL;
    t->until = NULL;
    tally_add(s, t, y);
    lock_feed_end(s, t);
    sched_feed_end(s, t);
    STAT(&s->stats, sim_events) += words;
}

size_t sim_feed(struct sim *s, struct sim_thread *t, const uint64_t *words, size_t n, bool ordered,
                enum sim_stop *ret_stop)
{
    struct tally y = {0};
    size_t i = 0;

    *ret_stop = SIM_ALL;
    if (n == 0)
        return 0;
    if (unlikely(is_victim(t)))
        return victim_skip(s, t, words, n);
    size_t told = sched_asleep(s, t, words, n);
    if (told > 0) {
        STAT(&s->stats, sim_events) += told;
        return told;
    }
    if (!sched_may_feed(s, t, words, n)) {
        *ret_stop = t->state == THREAD_IN_CALL && !sim_thread_blocked(t) ? SIM_ALL : SIM_LATER;
        return 0;
    }
    feed_begin(s, t, &y);
    while (i < n) {
        size_t batch = min_u64(n - i, BATCH);
        if (s->deep >= DEEP && n - i > AHEAD + BATCH)
            look_ahead(t->core, words + i + AHEAD, BATCH);
        s->deep = 0;
        if (unlikely(s->kernel_mode >> t->core_id & 1) && resumes(t, words[i]))
            entry_user_mode(s, t->core_id);
        size_t took = feed_run(s, t, words + i, batch, &y);
        i += took;
        if (unlikely(STAT(&s->stats, oom_kill) > s->oom_kills))
            victims_die(s);
        if (unlikely(is_victim(t)))
            break;
        if (took == batch)
            continue;
        if (y.instructions >= y.until) {
            if (tick(s, t, &y))
                continue;
            *ret_stop = SIM_LATER;
            break;
        }
        took = other_word(s, t, words + i, n - i, &ordered, &y, ret_stop);
        if (took == 0)
            break;
        i += took;
        if (unlikely(!sched_goes_on(s, t))) {
            *ret_stop = SIM_LATER;
            break;
        }
    }
    feed_end(s, t, &y, i);
    return i;
}
