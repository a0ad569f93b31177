/* ring.h: the region that a front end (producers) and the simulator (consumer) share.
 *
 *   struct ring_region | index | known  | slot 0 words | slot 1 words | …  | block table, append-only
 *   header, slots'     | of the blocks  | RING_WORDS   | RING_WORDS   |    | struct ring_block records
 *   heads and tails    |                |              |              |    |
 *
 * One anonymous memory region, made by the simulator's process before it starts the guest, mapped
 * by every process of the guest that is observed. A slot is a single-producer single-consumer ring of
 * 64-bit words. The block table has many producers and no lock, so that one may be killed anywhere.
 *
 * Invariants:
 *  I1  tail <= head <= tail + RING_WORDS in every slot; both only grow.
 *  I2  Only the guest thread that owns a slot writes `head` (release) and the words in
 *      [head, tail + RING_WORDS); only the consumer writes `tail` (release).
 *  I3  A slot goes FREE -> LIVE (producer, compare-and-swap) -> DONE (producer, after its last
 *      head) -> FREE (consumer, after the last word is read); LIVE <-> EXEC (producer) while its
 *      thread replaces the program of the process. A slot whose process died without DONE, or in EXEC
 *      gave way to another program, is finished by the consumer from what head says.
 *  I4  Block `id` exists when index[id] is set (release, once): offset of its record / 8, plus 1. The
 *      record is written before, the first BLOCK word that names it is published after. An id given
 *      out whose index is never set belongs to a producer that died; no word names it.
 *  I5  `known` finds the id of a block: a bucket of 8 entries in each level, the levels in order; an
 *      entry is set once (compare-and-swap) and never changed, so the search ends at the first empty
 *      one. A block that found no empty entry has an id all the same.
 *  I6  Either side, before it sleeps, sets its `waiting` word and looks once more; the other side
 *      wakes it by futex only if that word is set. The producer looks at it only now and then and
 *      without a fence, so sleeps have a time limit; they also check that the peer lives.
 *
 * Used by plugin/qemu/ and by src/front/; it depends on nothing but <stdint.h>, <stdatomic.h>.
 */
#ifndef EVENT_RING_H
#define EVENT_RING_H

#include <stdatomic.h>
#include <stdint.h>

#define RING_MAGIC      UINT64_C(0x70616765776c6b33) /* "pagewlk3" */
#define RING_SLOTS      1024
#define RING_WORDS_LOG2 17
#define RING_WORDS      (UINT64_C(1) << RING_WORDS_LOG2) /* 1 MiB a slot, touched only when used */
#define RING_MARGIN     4096                /* words a producer keeps free when it enters a block */
#define RING_TABLE_SIZE (UINT64_C(1) << 30) /* bytes of the block table, lazily backed */
#define RING_BLOCK_MAX  (1u << 24)          /* most block ids */
#define RING_KEY        16
#define RING_DOOR       32

/* The levels of `known` have 2^9, 2^11 … 2^21 buckets: small programs touch little of it. */
#define RING_KNOWN_LEVELS 7
#define RING_KNOWN_BUCKET 8 /* entries: one line of memory */
#define RING_KNOWN_FIRST  UINT64_C(512)
#define RING_KNOWN_ENTRIES                                                                         \
    (RING_KNOWN_FIRST * 5461 * RING_KNOWN_BUCKET) /* 1 + 4 + … + 4^6 = 5461 */

/* What every QEMU of the tree is told with -cpu. ERMS and FSRM would make the program choose `rep movsb`,
 * one block per byte. */
#define RING_QEMU_CPU "max,erms=off,fsrm=off"

enum ring_state { RING_FREE, RING_LIVE, RING_DONE, RING_EXEC };

struct ring_slot {
    /* written by the producer */
    _Alignas(64) _Atomic uint64_t head; /* words ever written to the slot */
    _Atomic uint32_t producer_waiting;  /* futex: the producer sleeps until tail moves */
    _Atomic uint32_t state;             /* enum ring_state */
    _Atomic uint32_t pid;               /* of the guest's process; 0: not told yet */
    _Atomic uint32_t tid;               /* guest thread id */
    _Atomic uint32_t in_call;           /* 1 while the thread is inside a system call */
    /* written by the consumer */
    _Alignas(64) _Atomic uint64_t tail; /* words ever read from the slot */
    _Atomic uint32_t verdicts;          /* futex: questions (EV_ASK) answered so far */
    _Atomic int32_t verdict;            /* the last answer: 0 or -errno */
};

struct ring_region {
    /* written by the consumer before the guest starts */
    uint64_t magic;
    uint64_t region_bytes; /* of the whole mapping */
    uint64_t index_offset; /* of index, RING_BLOCK_MAX words of 32 bits, from the region's start */
    uint64_t known_offset; /* of known, RING_KNOWN_ENTRIES words: bits 63..32 of the hash, id + 1 */
    uint64_t words_offset; /* of slot 0's words */
    uint64_t table_offset; /* of the block table */
    uint32_t flags;        /* RING_F_… */
    uint32_t consumer_pid;
    uint32_t consumer_fd; /* the memfd's number there */
    uint64_t memfd[2], root[2],
        pid_ns[2]; /* device and inode of the memfd, of the consumer's root directory and of its
                              namespace of processes (0: not known) */
    uint8_t key[RING_KEY]; /* what one who knocks at the door says; random */
    char door[RING_DOOR];  /* abstract address of the socket that gives the memfd away, "": none */
    /* written by the consumer */
    _Atomic uint32_t consumer_waiting; /* futex: the consumer sleeps until any head moves */
    _Atomic uint32_t detached; /* 1: the consumer is gone for good; producers wait for nothing */
    /* written by any producer */
    _Alignas(
        64) _Atomic uint32_t threads; /* slots taken so far: look for a LIVE one when it moves */
    _Atomic uint32_t unfollowed; /* processes and programs of the guest that are not observed */
    _Atomic uint32_t blocks;     /* block ids given out; above RING_BLOCK_MAX: there were no more */
    _Atomic uint64_t table_used; /* bytes of the block table given out, or more */
    _Atomic uint32_t error;      /* a producer's reason to stop observing, enum ring_error */
    struct ring_slot slot[RING_SLOTS];
};

#define RING_F_COUNTS 1u /* the producer also keeps plain counters and sends EV_COUNTS */
#define RING_F_POOLS  2u /* huge pages are the modelled machine's: the producer asks (EV_ASK) */
#define RING_F_TREE   4u /* forked children and executed programs are observed, too */

enum ring_error { RING_OK, RING_E_SLOTS, RING_E_TABLE, RING_E_STACK };

/* One translated block, 8-byte aligned. */
struct ring_block {
    uint64_t pc;    /* virtual address of the first instruction */
    uint32_t bytes; /* of this whole record, rounded up to 8 */
    uint16_t insns; /* number of instructions */
    uint16_t code_bytes;
    uint8_t data[]; /* insns instruction lengths, then code_bytes of raw code */
};

#endif
