/* event.h: the words in which a front end tells what a program does.
 *
 * A stream is a sequence of 64-bit words, one stream per guest thread:
 *
 *    63  61 60 59 57 56    48 47                                              0
 *   +------+--+-----+--------+-------------------------------------------------+
 *   | kind |st|log2 | insn   | virtual address, bits 0..47 (bit 47 is the sign) |  ACCESS
 *   +------+--+-----+--------+-------------------------------------------------+
 *   | kind | 0                     | block id, 32 bits                          |  BLOCK
 *   +------+-----------------------+--------------------------------------------+
 *   | kind | 0                             | bits 48..63 of the next address     |  HIGH
 *   +------+-------------------------------+------------------------------------+
 *   | kind | type 5 bits | 0 | payload words, 16 bits                            |  CONTROL
 *   +------+--------------------------------------------------------------------+
 *
 * Invariants of a stream (event_valid checks one word, the reader the order):
 *  I1  An ACCESS belongs to the last BLOCK before it in its stream; `insn` is below the number of
 *      instructions of that block, and does not fall from one access to the next in a block
 *      execution.
 *  I2  A HIGH word stands directly before an ACCESS whose address does not sign-extend from bit 47.
 *  I3  A CONTROL word is followed by its payload words, which are read as plain numbers.
 *  I4  The first word of a stream is CONTROL EV_START (a program begins), EV_FORK (the only thread
 *      of a forked process) or EV_THREAD_START (any other thread), and no other word is one of these.
 *  I5  Words are written in program order; a fault inside a block ends its accesses early.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind { EV_ACCESS = 0, EV_BLOCK = 1, EV_HIGH = 2, EV_CONTROL = 3, EV_KIND_NR };

#define EV_KIND_SHIFT  61
#define EV_STORE_SHIFT 60
#define EV_SIZE_SHIFT  57
#define EV_INSN_SHIFT  48
#define EV_INSN_MASK   UINT64_C(0x1ff)
#define EV_ADDR_MASK   UINT64_C(0xffffffffffff)
#define EV_SIZE_MASK   (UINT64_C(7) << EV_SIZE_SHIFT)
#define EV_TYPE_SHIFT  56
#define EV_TYPE_MASK   UINT64_C(0x1f)
#define EV_WORDS_MASK  UINT64_C(0xffff)

/* Payloads. "text" is a length in bytes in one word, then the bytes in whole words, zero-filled. */
enum event_control {
    EV_START = 1,    /* enum event_start, text: path of the program, text: its arguments, each with
                         its zero, cut after EV_ARGV_BYTES, text: the name of its task (comm);
                         without that it is the end of the path */
    EV_THREAD_START, /* pid, tid, monotonic ns */
    EV_THREAD_EXIT,  /* tid */
    EV_SYSCALL,      /* number, 6 arguments, monotonic ns */
    EV_SYSCALL_RET, /* number, result, nanoseconds between entry and return, and, if known, how often
                         the thread slept in it (voluntary context switches) */
    EV_FILE,        /* before EV_SYSCALL_RET of a mapping call or of one that changes a file's
                         size or writes it back, of a write to /dev/null or /dev/zero, and before
                         EV_ASK: fd, device, inode, size, mode with log2 of the page size of a
                         file of huge pages from bit 32 on, open flags, text: path */
    EV_IOVEC,       /* before EV_SYSCALL_RET: argument index, n, then n pairs of base, length */
    EV_SIGACTION,   /* before EV_SYSCALL_RET of rt_sigaction: signal, handler, flags */
    EV_EPOCH,       /* epoch. Address-space calls are serialised: call k begins with epoch 2k - 1,
                         which its caller tells directly before EV_SYSCALL, and ends with 2k. Any
                         other thread tells the epoch it sees when it enters a block after it moved:
                         calls up to epoch / 2 had ended before the words that follow */
    EV_COUNTS,      /* before each EV_SYSCALL, if asked for: plain counters kept beside the
                         stream, for checking: instructions, raw loads, raw stores of this thread
                         from its start up to here; faulting instructions count when they start */
    EV_BYTES,       /* before EV_SYSCALL_RET: address, text: what the kernel model needs of a
                         pointed-to argument (path with its zero, msghdr, sockaddr length,
                         node mask, array) */
    EV_ASK,         /* behind EV_SYSCALL and its EV_FILE: the call wants pages of a pool of the
                         modelled machine. The producer waits for slot->verdict: 0 or -errno */
    EV_FORK,        /* enum event_fork */
    EV_NATIVE,      /* behind EV_SYSCALL of execve, execveat: if they execute it, it will not be
                         observed: enum event_native, text: path as executed */
    EV_EXIT,        /* behind EV_SYSCALL of exit and exit_group: status of the process, if this
                         is what ends it */
    EV_CHANNEL,     /* before EV_SYSCALL, one for each end of a pipe that the call reads or writes:
                         enum event_channel */
    EV_CONTROL_NR
};

#define EV_VERSION    2
#define EV_ARGV_BYTES 2048

/* The words of EV_START before its texts. */
enum event_start {
    START_VERSION, /* EV_VERSION */
    START_PID,
    START_TID,
    START_PPID,
    START_BIAS,         /* load bias: address minus the one the file was linked for */
    START_ENTRY,        /* first instruction of the program itself */
    START_CODE,         /* its code: first address … */
    START_CODE_END,     /* … and the one behind */
    START_STACK_TOP,    /* of the initial stack */
    START_STACK_LIMIT,  /* lowest address it has */
    START_NS,           /* monotonic ns */
    START_ARGC,         /* arguments */
    START_ARG_BYTES,    /* of their strings, with zeros */
    START_ENVC,         /* variables of the environment */
    START_ENV_BYTES,    /* of their strings, with zeros */
    START_STACK_RLIMIT, /* RLIMIT_STACK, soft, bytes */
    START_UID,          /* real ids */
    START_GID,
    START_WORDS
};

/* The words of EV_FORK. The parent's call has no EV_SYSCALL_RET here: the child goes on with the
 * instruction behind it. */
enum event_fork {
    FORK_PID, /* of the new process */
    FORK_TID,
    FORK_PPID,  /* of the process that forked */
    FORK_PTID,  /* of the thread that forked */
    FORK_CALL,  /* k: number of its address-space call in the parent, see EV_EPOCH */
    FORK_FLAGS, /* of clone; of fork and vfork those that mean the same */
    FORK_NS,    /* monotonic ns */
    FORK_WORDS
};

/* The words of EV_CHANNEL. */
enum event_channel {
    CHANNEL_WHAT,  /* CHANNEL_WRITES, CHANNEL_NONBLOCK */
    CHANNEL_DEV,   /* both ends of a pipe have the same numbers */
    CHANNEL_INO,   /* … */
    CHANNEL_ROOM,  /* bytes it holds; 0: not known */
    CHANNEL_BYTES, /* that the call asks for; 0: not known */
    CHANNEL_WORDS
};
#define CHANNEL_WRITES   1u
#define CHANNEL_NONBLOCK 2u

/* Why a program runs unobserved. */
enum event_native {
    NATIVE_ELF = 1,  /* it is of another architecture, or of a form that QEMU does not run */
    NATIVE_SETID,    /* it changes its user or its capabilities */
    NATIVE_CONFINED, /* the process has confined itself (seccomp, chroot, another namespace) */
    NATIVE_FAILED,   /* QEMU could not be started there */
    NATIVE_REFUSED,  /* all that the front end knows says that Linux refuses the call; if it does
                         not return, Linux knew better */
};

static inline uint64_t event_access(uint64_t addr, unsigned insn, unsigned log2_size, bool store)
{
    return ((uint64_t)store << EV_STORE_SHIFT) | ((uint64_t)log2_size << EV_SIZE_SHIFT) |
           ((uint64_t)insn << EV_INSN_SHIFT) | (addr & EV_ADDR_MASK);
}
static inline uint64_t event_block(uint32_t id)
{
    return ((uint64_t)EV_BLOCK << EV_KIND_SHIFT) | id;
}
static inline uint64_t event_high(uint64_t addr)
{
    return ((uint64_t)EV_HIGH << EV_KIND_SHIFT) | (addr >> 48);
}
static inline uint64_t event_control(enum event_control type, unsigned words)
{
    return ((uint64_t)EV_CONTROL << EV_KIND_SHIFT) | ((uint64_t)type << EV_TYPE_SHIFT) | words;
}
/* event_needs_high says whether the address needs a HIGH word before its ACCESS. */
static inline bool event_needs_high(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) != addr;
}

static inline unsigned event_kind(uint64_t w)
{
    return (unsigned)(w >> EV_KIND_SHIFT);
}
static inline bool event_is_store(uint64_t w)
{
    return (w >> EV_STORE_SHIFT) & 1;
}
static inline unsigned event_log2_size(uint64_t w)
{
    return (unsigned)(w >> EV_SIZE_SHIFT) & 7;
}
static inline unsigned event_insn(uint64_t w)
{
    return (unsigned)((w >> EV_INSN_SHIFT) & EV_INSN_MASK);
}
/* event_addr sign-extends from bit 47. */
static inline uint64_t event_addr(uint64_t w)
{
    return (uint64_t)((int64_t)(w << 16) >> 16);
}
static inline unsigned event_type(uint64_t w)
{
    return (unsigned)((w >> EV_TYPE_SHIFT) & EV_TYPE_MASK);
}
static inline unsigned event_words(uint64_t w)
{
    return (unsigned)(w & EV_WORDS_MASK);
}

/* event_valid checks one word that is not a payload. */
bool event_valid(uint64_t w);

/* The state of checking one stream; all zero at its beginning. */
struct event_check {
    uint64_t words, blocks, accesses; /* so far; words includes payloads */
    uint64_t insns;                   /* instructions of all blocks entered */
    uint64_t high_bits;               /* of the HIGH word before, while high is set */
    unsigned block_insns, insn;       /* of the current block; last instruction that accessed */
    bool in_block, in_call, high, ended;
};

/* event_check_feed checks I1 to I4 on the next words of a stream. insns[id] is the number of
 * instructions of block id. NULL and the number of words used (an incomplete control record at the
 * end is not), or what is wrong. */
const char *event_check_feed(struct event_check *c, const uint64_t *words, size_t n,
                             const uint16_t *insns, uint32_t blocks, size_t *ret_used);

#endif
