/* ring.h: the region that a front end (producer) and the simulator (consumer) share.
 *
 *   struct ring_region | slot 0 words | slot 1 words | …        | block table, append-only
 *   header, slots'     | RING_WORDS   | RING_WORDS   |          | struct ring_block records
 *   heads and tails    |              |              |          |
 *
 * One anonymous memory region, made by the simulator's process before it starts the guest, mapped
 * by the plugin when it loads. A slot is a single-producer single-consumer ring of 64-bit words.
 *
 * Invariants:
 *  I1  tail <= head <= tail + RING_WORDS in every slot; both only grow.
 *  I2  Only the guest thread that owns a slot writes `head` (release) and the words in
 *      [head, tail + RING_WORDS); only the consumer writes `tail` (release).
 *  I3  A slot goes FREE -> LIVE (producer, compare-and-swap) -> DONE (producer, after its last
 *      head) -> FREE (consumer, after the last word is read). A slot whose process died without
 *      DONE is finished by the consumer from what head says.
 *  I4  Block records are written before the first BLOCK word that names them is published.
 *  I5  Either side, before it sleeps, sets its `waiting` word and looks once more; the other side
 *      wakes it by futex only if that word is set. The producer looks at it only now and then and
 *      without a fence, so sleeps have a time limit; they also check that the peer lives.
 *
 * Used by plugin/qemu/ and by src/front/; it depends on nothing but <stdint.h>, <stdatomic.h>.
 */
#ifndef EVENT_RING_H
#define EVENT_RING_H

#include <stdatomic.h>
#include <stdint.h>

#define RING_MAGIC      UINT64_C(0x70616765776c6b31) /* "pagewlk1" */
#define RING_SLOTS      256
#define RING_WORDS_LOG2 17
#define RING_WORDS      (UINT64_C(1) << RING_WORDS_LOG2) /* 1 MiB a slot, touched only when used */
#define RING_MARGIN     4096                /* words a producer keeps free when it enters a block */
#define RING_TABLE_SIZE (UINT64_C(1) << 30) /* bytes of the block table, lazily backed */
#define RING_BLOCK_MAX  (1u << 24)          /* most block ids */

enum ring_state { RING_FREE, RING_LIVE, RING_DONE };

struct ring_slot {
    /* written by the producer */
    _Alignas(64) _Atomic uint64_t head; /* words ever written to the slot */
    _Atomic uint32_t producer_waiting;  /* futex: the producer sleeps until tail moves */
    _Atomic uint32_t state;             /* enum ring_state */
    _Atomic uint32_t tid;               /* guest thread id */
    _Atomic uint32_t in_call;           /* 1 while the thread is inside a system call */
    /* written by the consumer */
    _Alignas(64) _Atomic uint64_t tail; /* words ever read from the slot */
    _Atomic uint32_t verdicts;          /* futex: questions (EV_ASK) answered so far */
    _Atomic int32_t verdict;            /* the last answer: 0 or -errno */
};

struct ring_region {
    uint64_t magic;
    uint64_t region_bytes; /* of the whole mapping */
    uint64_t words_offset; /* of slot 0's words from the start of the region */
    uint64_t table_offset; /* of the block table */
    uint32_t flags;        /* RING_F_…, set by the consumer before the guest starts */
    uint32_t consumer_pid;
    _Atomic uint32_t consumer_waiting; /* futex: the consumer sleeps until any head moves */
    _Atomic uint32_t epoch;            /* address-space calls begun or ended, see EV_EPOCH */
    _Atomic uint32_t children;         /* processes forked by the guest, unobserved */
    _Atomic uint32_t threads;          /* slots taken so far: look for a LIVE one when it moves */
    _Atomic uint32_t blocks;           /* block ids given out */
    _Atomic uint64_t table_used;       /* bytes of the block table in use */
    _Atomic uint32_t error;            /* a producer's reason to stop observing, enum ring_error */
    struct ring_slot slot[RING_SLOTS];
};

#define RING_F_COUNTS 1u /* the producer also keeps plain counters and sends EV_COUNTS */
#define RING_F_POOLS  2u /* huge pages are the modelled machine's: the producer asks (EV_ASK) */

enum ring_error { RING_OK, RING_E_SLOTS, RING_E_TABLE, RING_E_STACK };

/* One translated block. Records are 8-byte aligned and follow each other in order of their ids. */
struct ring_block {
    uint64_t pc;    /* virtual address of the first instruction */
    uint32_t bytes; /* of this whole record, rounded up to 8 */
    uint16_t insns; /* number of instructions */
    uint16_t code_bytes;
    uint8_t data[]; /* insns instruction lengths, then code_bytes of raw code */
};

#endif
