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

#define NO_INSN 0xffffu
#define NO_LINE UINT64_MAX
#define BATCH   64u /* words between two decisions to look ahead */
#define MISSY   12u /* slow accesses in a batch that make looking ahead worth it */
#define AHEAD   24u /* words */

/* What the loop counts in registers. */
struct tally {
    uint64_t loads, stores, raw_loads, raw_stores, load_hits, store_hits, fetch_hits;
    uint64_t instructions, blocks;
    unsigned slow; /* accesses that left the fast path, for the look-ahead */
};

static void tally_add(struct sim *s, struct sim_thread *t, const struct tally *y)
{
    struct stat_set *st = &s->stats;

    STAT(st, loads) += y->loads;
    STAT(st, stores) += y->stores;
    STAT(st, raw_loads) += y->raw_loads;
    STAT(st, raw_stores) += y->raw_stores;
    STAT(st, load_l1_hit) += y->load_hits;
    STAT(st, store_l1_hit) += y->store_hits;
    STAT(st, fetch_l1_hit) += y->fetch_hits;
    STAT(st, instructions) += y->instructions;
    STAT(st, blocks) += y->blocks;
    t->instructions += y->instructions;
    t->raw[0] += y->raw_loads;
    t->raw[1] += y->raw_stores;
}

/* -- accesses -----------------------------------------------------------------------------------*/

static __attribute__((noinline)) void access_miss(struct sim *s, struct sim_thread *t,
                                                  uint64_t addr, unsigned bytes, bool store,
                                                  unsigned insn, struct tally *y)
{
    y->slow++;
    if ((addr & (LINE_SIZE - 1)) + bytes > LINE_SIZE)
        STAT(&s->stats, split_loads) += !store, STAT(&s->stats, split_stores) += store;
    sim_access_slow(s, t, addr, bytes, store ? ACCESS_STORE : ACCESS_LOAD, insn);
}

/* Cost: one compare of the TLB tag and one of the L1D tag on a hit. */
static inline void access_do(struct sim *s, struct sim_thread *t, uint64_t addr, unsigned bytes,
                             bool store, unsigned insn, struct tally *y)
{
    if (likely(mmu_data_hit(t->core, addr, bytes, store))) {
        y->load_hits += !store;
        y->store_hits += store;
    } else {
        access_miss(s, t, addr, bytes, store, insn, y);
    }
}

/* A piece that continues the one before, if the instruction's operand reaches that far. Returns
 * false if it is an access of its own. */
static __attribute__((noinline)) bool access_join(struct sim *s, struct sim_thread *t, uint64_t w,
                                                  struct tally *y)
{
    unsigned bytes = 1u << event_log2_size(w), insn = event_insn(w);
    uint64_t addr = event_addr(w);
    unsigned operand = block_insn(s, t->block, insn)->operand_bytes;

    if (operand != 255 && t->join_bytes + bytes > operand)
        return false;
    t->join_bytes += bytes;
    if ((addr & (LINE_SIZE - 1)) == 0) {
        STAT(&s->stats, split_loads) += !event_is_store(w);
        STAT(&s->stats, split_stores) += event_is_store(w);
        access_do(s, t, addr, bytes, event_is_store(w), insn, y);
    } else if ((addr & (LINE_SIZE - 1)) + bytes > LINE_SIZE) {
        access_miss(s, t, addr, bytes, event_is_store(w), insn, y);
    }
    return true;
}

/* The rare cases of an access: high address bits, rep iterations, the first of a signal handler. */
static __attribute__((noinline)) void access_rare(struct sim *s, struct sim_thread *t, uint64_t w,
                                                  struct tally *y)
{
    bool store = event_is_store(w);
    uint64_t addr = event_addr(w), line;
    unsigned bytes = 1u << event_log2_size(w), insn = event_insn(w);

    if (t->has_high)
        addr = (addr & EV_ADDR_MASK) | t->high << 48;
    t->has_high = false;
    if (t->signal_entry && store)
        control_signal_frame(s, t, addr + bytes);
    line = addr >> LINE_SHIFT;
    if (t->block->flags & BLOCK_REP_LAST && insn + 1u == t->block->insns) {
        if (t->rep_line[store] == line)
            return;
        t->rep_line[store] = line;
    }
    y->loads += !store;
    y->stores += store;
    access_do(s, t, addr, bytes, store, insn, y);
}

static inline bool is_rare(const struct sim_thread *t)
{
    return t->has_high | t->signal_entry | (t->block->flags & BLOCK_REP_LAST);
}

static inline void on_access(struct sim *s, struct sim_thread *t, uint64_t w, struct tally *y)
{
    bool store = event_is_store(w);
    uint64_t key = w & ~EV_SIZE_MASK;
    unsigned bytes = 1u << event_log2_size(w);

    y->raw_loads += !store;
    y->raw_stores += store;
    t->last_insn = (uint16_t)event_insn(w);
    if (unlikely(is_rare(t))) {
        access_rare(s, t, w, y);
        return;
    }
    if (unlikely(key == t->join) && access_join(s, t, w, y)) {
        t->join = key + bytes;
        return;
    }
    t->join = key + bytes;
    t->join_bytes = bytes;
    y->loads += !store;
    y->stores += store;
    access_do(s, t, event_addr(w), bytes, store, event_insn(w), y);
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

static __attribute__((noinline)) void block_rep(struct sim_thread *t, const struct block *from,
                                                const struct block *to, struct tally *y)
{
    t->rep_goes_on = from && rep_continues(from, to);
    if (!t->rep_goes_on) {
        t->rep_line[0] = t->rep_line[1] = NO_LINE;
        return;
    }
    t->rep_extra++;
    y->instructions--; /* counted with the block; the rep was counted when it began */
}

static inline void fetch(struct sim *s, struct sim_thread *t, const struct block *b,
                         struct tally *y)
{
    uint64_t line = b->first_line;

    for (unsigned i = 0; i < b->lines; i++, line += LINE_SIZE) {
        if (likely(mmu_fetch_hit(t->core, line)))
            y->fetch_hits++;
        else
            sim_access_slow(s, t, line, 1, ACCESS_FETCH, 0);
    }
}

static inline void on_block(struct sim *s, struct sim_thread *t, uint64_t w, struct tally *y)
{
    uint32_t id = (uint32_t)w;
    struct block *from = t->block, *to = sim_block(s, id);

    if (unlikely(t->starting))
        control_first_block(s, t, to->pc);
    if (from && unlikely(!edge_is_known(from, to, id)))
        block_edge(s, t, from, id);
    t->block = to;
    t->join = ~UINT64_C(0);
    t->last_insn = NO_INSN;
    to->count++;
    y->blocks++;
    y->instructions += to->insns;
    t->rep_goes_on = false;
    if (unlikely(to->flags & BLOCK_REP))
        block_rep(t, from, to, y);
    if (likely(!t->rep_goes_on))
        fetch(s, t, to, y);
}

/* -- the loop -----------------------------------------------------------------------------------------*/

/* Asks the host for what the accesses of the next words will need; no effect on the model. */
static void look_ahead(struct mmu_core *core, const uint64_t *w, size_t n)
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
        t->has_high = true;
        return 1;
    }
    if (event_kind(w[0]) != EV_CONTROL)
        return 1; /* not of this protocol version: the reader's check reports it */
    size_t words = control_complete(w, n);
    if (words == 0)
        return 0;
    unsigned slow = y->slow;
    tally_add(s, t, y);
    *y = (struct tally){.slow = slow};
    if (!control_word(s, t, w, *ordered)) {
        *ret_stop = SIM_ORDER;
        return 0;
    }
    if (event_type(w[0]) == EV_SYSCALL_RET && kern_call_is_memory(w[1]))
        *ordered = false;
    return words;
}

size_t sim_feed(struct sim *s, struct sim_thread *t, const uint64_t *words, size_t n, bool ordered,
                enum sim_stop *ret_stop)
{
    struct tally y = {0};
    size_t i = 0, batch_end = BATCH;

    *ret_stop = SIM_ALL;
    while (i < n) {
        uint64_t w = words[i];
        if (unlikely(i >= batch_end)) {
            if (y.slow >= MISSY && n - i > AHEAD + BATCH)
                look_ahead(t->core, words + i + AHEAD, BATCH);
            y.slow = 0;
            batch_end = i + BATCH;
        }
        if (likely(event_kind(w) == EV_ACCESS)) {
            if (likely(t->block != NULL))
                on_access(s, t, w, &y);
            i++;
        } else if (likely(event_kind(w) == EV_BLOCK)) {
            if (likely((uint32_t)w < s->n_blocks))
                on_block(s, t, w, &y);
            i++;
        } else {
            size_t took = other_word(s, t, words + i, n - i, &ordered, &y, ret_stop);
            if (took == 0)
                break;
            i += took;
        }
    }
    tally_add(s, t, &y);
    STAT(&s->stats, sim_events) += i;
    return i;
}
