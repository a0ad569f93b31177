/* writer.h: the producer's end of a ring, one per guest thread.
 *
 *   words of the slot   |====== not read yet =====|…… may be written ……|===|
 *                       tail                      next        soft    end
 *
 * Invariants:
 *  I1  words < next + 1 and next <= end; a word is written at next only when next < end.
 *  I2  soft <= end. A block entered at or beyond soft takes the slow way: it publishes, wakes the
 *      reader, and waits until RING_MARGIN words are free.
 *  I3  A thread that does not observe (after fork, no slot left) has next == end == soft == NULL,
 *      so that the two compares of the fast way also end there.
 *  I4  While suspended (inside a call, or QEMU itself accesses guest memory) next == end == soft, and
 *      accesses that arrive are dropped: they are the kernel's, not the program's.
 *  I5  While watched (its stores are noted for a parent in vfork, see fork.h) next == end == soft, too;
 *      writer_more then makes room for one word.
 */
#ifndef PLUGIN_WRITER_H
#define PLUGIN_WRITER_H

#include "event/event.h"
#include "event/ring.h"

#include <stdbool.h>
#include <stddef.h>

#define WRITER_CHECK_WORDS 8192 /* words between two looks at whether the reader sleeps */

struct writer {
    uint64_t *next;         /* where the next word goes */
    uint64_t *end;          /* of the contiguous free words */
    uint64_t *soft;         /* a block entered here or beyond looks around first */
    uint64_t bias;          /* position in the stream = next / 8 + bias */
    struct ring_slot *slot; /* NULL: none taken yet */
    uint64_t *words;        /* of the slot */
    uint32_t epoch;         /* last one this thread has told of */
    uint32_t tid;
    bool suspended; /* I4 */
    bool watched;   /* I5 */
    /* plain counters, RING_F_COUNTS only */
    uint64_t insns, loads, stores;
    /* the system call that the thread is in */
    uint64_t call[7]; /* number and arguments */
    uint64_t call_ns; /* when it began */
    uint64_t sleeps;  /* of the thread until then */
    bool call_locked; /* it holds the lock of address-space calls */
    bool call_native; /* EV_NATIVE is out for it */
};

extern __thread struct writer self;
extern struct ring_region *region; /* NULL: nothing is observed */
extern bool region_tree; /* RING_F_TREE; without it a forked child has no region to look at */
/* Address-space calls of this process begun or ended, see EV_EPOCH. */
extern _Atomic uint32_t space_epoch;

/* writer_attach begins to observe: the region is mapped; forked children have it only if they are
 * observed, too. */
void writer_attach(struct ring_region *r);

/* writer_open takes a slot for the calling thread and begins its stream; false when none is left. */
bool writer_open(void);
/* writer_close ends the stream of the calling thread. */
void writer_close(void);
/* writer_forget makes the calling thread, in a forked child, write nothing any more. */
void writer_forget(void);
/* writer_numbered: this process has the number that the reader knows it by. */
bool writer_numbered(void);
/* writer_child begins a forked child: epochs at 0, and a thread that has no stream yet, or that never
 * has one. */
void writer_child(bool observed);
/* writer_more gives the writer at least one free word, waiting for the reader if it must. */
void writer_more(struct writer *w);
/* writer_block is the slow way into a block: space, wake-up, epoch. */
void writer_block(struct writer *w);
/* writer_watch begins to have every store noted (I5). */
void writer_watch(struct writer *w);
/* writer_exec says that the process is about to become another program, or that it did not. */
void writer_exec(struct writer *w, bool begins);
/* writer_suspend and writer_resume begin and end a time in which accesses are not the program's. */
void writer_suspend(struct writer *w);
void writer_resume(struct writer *w);
/* writer_ask puts EV_ASK, publishes and waits for the answer: 0 or -errno. */
int writer_ask(struct writer *w);
/* writer_stop gives a reason why observation is not complete. */
void writer_stop(enum ring_error why);

uint64_t writer_now(void);

static inline void writer_publish(struct writer *w)
{
    atomic_store_explicit(&w->slot->head, ((uintptr_t)w->next >> 3) + w->bias,
                          memory_order_release);
}
static inline void writer_put(struct writer *w, uint64_t word)
{
    if (w->next == w->end)
        writer_more(w);
    if (w->next != w->end) /* I3 */
        *w->next++ = word;
}
/* writer_text puts a length and the bytes in whole words. */
void writer_text(struct writer *w, const char *text, size_t n);
static inline unsigned writer_text_words(size_t n)
{
    return 1 + (unsigned)((n + 7) / 8);
}

#endif
