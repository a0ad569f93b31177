/* subject.h: the memory through which the observer and its subjects talk.
 *
 *   observer (native.c)                       subject (subject.c), a process of the real kernel
 *     fills slot->req, go++, wakes  ────────►   performs the call, between two getrusage
 *     reads slot->result …          ◄────────   done++, wakes; then waits for the next go
 *
 * The control memory is a shared file at a fixed address and holds the subjects' stacks, too: a fork
 * makes no copy of it, and a subject that waits touches nothing of its own. Each process of a
 * sequence has a slot; the last slot is the zygote's, which starts and reaps the others.
 */
#ifndef TEST_KERNEL_SUBJECT_H
#define TEST_KERNEL_SUBJECT_H

#include <stdint.h>
#include <sys/resource.h>

#define SUBJECT_TEXT  UINT64_C(0x400000)       /* where its program lies */
#define CONTROL       UINT64_C(0x100000000000) /* where every subject has the control memory */
#define SLOTS         3u                       /* processes of a sequence */
#define ZYGOTE        SLOTS                    /* slot of the process that starts them */
#define CONTROL_FD    9  /* descriptors every subject has: the control memory */
#define FILE_FD       10 /* the test file, read and write */
#define FILE_RO_FD    11 /* the same, read only */
#define MEMFD_FD      12 /* a memfd of its own, MEMFD_PAGES long */
#define PIPE_FD       13 /* a pipe: what cannot be mapped */
#define FILE_WO_FD    14 /* the test file, write only */
#define ZERO_FD       15 /* /dev/zero */
#define MEMFD_PAGES   40u
#define NEW_FD        16 /* from here on: files in memory the subject makes itself */
#define NEW_FDS       3u
#define IN_WORDS      32u   /* what a pointer argument may point to */
#define OUT_BYTES     8192u /* room for what a call answers */
#define SUBJECT_STACK 16384u

/* Faults the observer makes of its own accord. */
#define TOUCH_MISSED 1 /* the access was refused by a signal */

enum subject_op {
    OP_CALL,  /* system call nr with arg[0..5] */
    OP_MEMFD, /* memfd_create of the name at in and the flags arg1; descriptor arg2 is it then */
    OP_EACH,  /* the same in[1] times, each in[0] bytes further, until one fails */
    OP_MANY,  /* the same; so often that what it makes is not looked at */
    OP_READ,  /* load one byte of each page of [arg0, arg0 + arg1) */
    OP_WRITE, /* store the 8 bytes arg2 + page there */
    OP_SWEEP, /* load one byte of each page there, of arg2 bytes, also after one that is refused */
    OP_EXEC,  /* execute one instruction at arg0 */
    OP_FORK,  /* a child that serves slot arg0 */
    OP_EXIT,
    OP_WARM,  /* touch what the subject itself needs */
    OP_START, /* zygote: a subject for slot 0 */
};

struct slot {
    uint32_t go, done; /* futexes: counted up by the observer, by the subject */
    uint32_t op;       /* enum subject_op */
    int32_t pid;       /* of the process that serves the slot */
    int64_t nr;
    uint64_t arg[6];
    int64_t result;          /* of the call: value or -errno; pages done of a touch */
    int32_t signal, code;    /* of the signal a touch ended with, or 0 */
    uint64_t where;          /* its si_addr */
    uint64_t minflt, majflt; /* of the call */
    struct rusage before, after;
    uint64_t in[IN_WORDS];
    uint8_t out[OUT_BYTES];
    uint8_t stack[SUBJECT_STACK] __attribute__((aligned(4096)));
};
/* Pages a process changes the rights of to forget its translations, see forget_translations. */
#define FLUSH_PAGES 64u
struct control {
    struct slot slot[SLOTS + 1];
    uint8_t flush[FLUSH_PAGES][4096] __attribute__((aligned(4096)));
};

#endif
