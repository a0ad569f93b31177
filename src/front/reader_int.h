/* reader_int.h: the parts of the consumer.
 *
 *   reader.c   the loop: which stream is fed next, waiting
 *   process.c  streams and processes: how they begin and end
 *   order.c    what of a stream may be fed now; what to do when nothing may
 *   blocks.c   the block table
 */
#ifndef READER_INT_H
#define READER_INT_H

#include "base/bits.h"
#include "front/front_int.h"

/* -- a stream's words --------------------------------------------------------------------------- */
static inline uint64_t tail_of(const struct stream *s)
{
    return atomic_load_explicit(&s->slot->tail, memory_order_relaxed);
}
static inline uint64_t head_of(const struct stream *s)
{
    return atomic_load_explicit(&s->slot->head, memory_order_acquire);
}
/* available words; of a damaged ring none. */
static inline uint64_t available(const struct stream *s)
{
    uint64_t n = head_of(s) - tail_of(s);

    return n <= RING_WORDS ? n : 0;
}
static inline const uint64_t *next_word(const struct stream *s)
{
    return s->words + (tail_of(s) & (RING_WORDS - 1));
}
/* drained: no word of it is left that could ever be read. */
static inline bool drained(const struct stream *s)
{
    uint64_t head = head_of(s);

    return head == tail_of(s) || s->stuck_at == head;
}

/* -- reader.c ------------------------------------------------------------------------------------- */
/* reader_feed gives n words to the sim; false when it took none and asks for no order. */
bool reader_feed(struct reader *r, struct stream *s, uint64_t n);

/* -- process.c ------------------------------------------------------------------------------------ */
/* process_look_for opens the streams that came and lets them be born. */
void process_look_for(struct reader *r);
/* process_list puts a stream into a list, out of the one that it is in. */
void process_list(struct reader *r, struct stream *s, struct stream_list *l);
/* process_may_begin: nothing of its past is still to be fed. process_begin: a word of it will be. */
bool process_may_begin(const struct reader *r, const struct process *p);
void process_begin(struct reader *r, struct process *p);
/* process_idle: none of its streams has a word that could be read. */
bool process_idle(const struct process *p);
/* process_lends says whether a process that has p's memory (vfork), made before `call` of p, has words to
 * be read: its parent stands still until it executes or ends, so they all come before that call. */
bool process_lends(const struct reader *r, const struct process *p, uint32_t call);
/* process_dead says that no thread of a process lives. */
bool process_dead(uint32_t pid);
/* process_bury ends the streams of all that are dead; true if there was one. */
bool process_bury(struct reader *r);
/* process_ask looks whether the process is dead, if this was its last thread. */
void process_ask(struct stream *s);
/* process_end_stream closes a stream that is over and read to its end, process_end_streams all such of
 * a process; true if any was. The process may be gone then. */
bool process_end_stream(struct reader *r, struct stream *s);
bool process_end_streams(struct reader *r, struct process *p);
void process_close_all(struct reader *r);

/* -- order.c -------------------------------------------------------------------------------------- */
/* feedable returns how many words of a stream may be fed now. */
uint64_t feedable(const struct reader *r, const struct stream *s);
uint32_t call_of(const struct stream *s);
/* out_of_turn says whether a stream's thread waits for its modelled core, and the one that has it may yet
 * have words. */
bool out_of_turn(const struct reader *r, const struct stream *s);

/* order_forced: something is applied before it is known to be its turn. */
void order_forced(struct reader *r);

/* order_hold looks whether tasks were made that have not begun. */
void order_hold(struct reader *r);
/* order_let_go feeds a stream whose thread waits for what none of the others can do any more: they have no
 * words. */
bool order_let_go(struct reader *r);

/* -- blocks.c ------------------------------------------------------------------------------------- */
/* announce_blocks tells the sim of all blocks that words read before may name. */
void announce_blocks(struct reader *r);

#endif
