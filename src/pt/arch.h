/* arch.h: everything the hardware (mmu) and the kernel (mm, kern) say to each other.
 *
 *            fault, verdict needed
 *   mmu  ───────────────────────────►  mm        struct arch_fault
 *        ◄───────────────────────────            struct arch_outbox of messages,
 *            what the kernel did                 drained by sim before the next user event
 *
 * They include this header and the page tables' bytes, never each other.
 */
#ifndef PT_ARCH_H
#define PT_ARCH_H

#include "base/bits.h"
#include "base/types.h"

/* Page-fault error code. Source: Intel SDM vol. 3A, 4.7, figure 4-12. */
#define FAULT_P    1u  /* the entry was present: a protection violation */
#define FAULT_W    2u  /* a write */
#define FAULT_U    4u  /* in user mode */
#define FAULT_RSVD 8u  /* a reserved bit was set */
#define FAULT_I    16u /* an instruction fetch */
#define FAULT_PK   32u /* the protection key's rights forbid it */

struct arch_fault {
    vaddr cr2;         /* the address as accessed, all bits */
    uint32_t code;     /* FAULT_… */
    bool noncanonical; /* #GP instead of #PF; cr2 then holds the address for our messages only */
    uint32_t
        pkru; /* PKRU at that moment: bit 2k no access, 2k+1 no write by key k; 0 without PKU */
};

enum arch_kind {
    ARCH_FLUSH_RANGE, /* a, b: virtual range [a, b); n: log2 of the page size used inside it */
    ARCH_FLUSH_ALL,   /* the whole address space */
    ARCH_FLUSH_UNMAP, /* a, b: as RANGE, but may be put off until BATCH; n: an entry was dirty */
    ARCH_FLUSH_BATCH, /* what was put off; n: only if an entry was dirty */
    ARCH_FLUSH_LATE,  /* what was put off once: entries that may have been among it are looked at */
    ARCH_FLUSH_KERNEL, /* a, b: kernel addresses [a, b), on every core, global entries too */
    ARCH_SPACE_END,    /* the address space and its tables are no more */
    ARCH_KERNEL_READ, /* a: physical address, b: bytes, read by the kernel through its direct map */
    ARCH_KERNEL_WRITE, /* same, written (zeroing, copying, writing an entry) */
    ARCH_STEP,         /* n: enum arch_step, a: how many times it happened */
    ARCH_LOCK,         /* n: enum arch_lock, a, b: see there; only sent when .locks is set */
    ARCH_TASK,         /* n: enum arch_task, a: node: who does what follows */
};

/* Who works: the task that entered the kernel, or a thread of the kernel's own. */
enum arch_task {
    TASK_CALLER,
    TASK_KSWAPD, /* of a node, on its CPUs, as kcompactd */
    TASK_KCOMPACTD,
    TASK_KHUGEPAGED,
    TASK_FLUSHER, /* a kworker that writes files back */
    TASK_NR
};

/* Locks of the kernel: which, and for what. How long they are held the hardware's side knows, which
 * has the time: as long as what the messages between two cost, or a time for each unit of work. */
enum arch_lock {
    LOCK_MMAP_WRITE, /* mmap_lock for writing, from here … */
    LOCK_MMAP_END,   /* … to here, where it is released or downgraded to reading */
    LOCK_VMA_WRITE,  /* while it is held: the VMA of [a, b) changes, its faults wait, too */
    LOCK_VMA_READ,   /* a fault at address a takes the lock of its VMA for reading */
    LOCK_MMAP_READ,  /* a fault takes mmap_lock for reading: its VMA's is not enough */
    LOCK_PTE,        /* the lock of page table a, while b entries are written */
    LOCK_ZONE,       /* of zone a (node × ZONE_NR + zone), while b frames are moved */
    LOCK_LRU,        /* of node a's lists, while b folios are moved */
    LOCK_NR
};

/* Named steps of kernel paths: their cost in cycles is an option, cost.… */
enum arch_step {
    STEP_FAULT_ENTRY,
    STEP_VMA_LOOKUP,
    STEP_ALLOC,
    STEP_CHARGE,
    STEP_TABLE,
    STEP_PAGECACHE,
    STEP_PTE,
    STEP_AROUND,
    STEP_MKWRITE,
    STEP_VMA_CHANGE,
    STEP_ZAP,
    STEP_IO,
    STEP_SYSCALL,
    STEP_SIGNAL,
    STEP_FORK_VMA,
    STEP_FORK_PTE,
    STEP_CONTENTION,
    STEP_ALLOC_SLOW,     /* an allocation below the low watermark: kswapd is woken */
    STEP_DIRECT_RECLAIM, /* a round of direct reclaim begins */
    STEP_RECLAIM,        /* a page it looked at */
    STEP_SWAP_OUT,       /* a page written to swap */
    STEP_SWAP_IN,        /* a page read from swap */
    STEP_WRITEBACK,      /* a page written to its file */
    STEP_COMPACT,        /* a folio that direct compaction took off its list to move it */
    STEP_FIXUP,          /* a bad address in a copy: the exception table is searched */
    STEP_NR
};

struct arch_msg {
    uint8_t kind; /* enum arch_kind */
    uint8_t n;
    bool
        tables; /* of RANGE, ALL: page tables may be freed, even a core that does not run hears it */
    uint32_t mm; /* of ARCH_FLUSH_… but BATCH, of SPACE_END: number of the address space (mm_id) */
    uint64_t a, b;
};

/* A growing array of messages. The sender appends; sim reads them all and sets n to 0. */
struct arch_outbox {
    struct arch_msg *msg;
    uint32_t n, cap;
    bool locks; /* the receiver wants ARCH_LOCK: more than one thread of a program runs */
    struct arch_worker {
        uint8_t task; /* enum arch_task */
        uint8_t node;
        uint32_t since; /* message that says so */
    } worker;           /* who sends now */
};

int arch_outbox_open(struct arch_outbox *o); /* 0 or -ENOMEM */
void arch_outbox_close(struct arch_outbox *o);
/* arch_send appends; it grows the array by doubling and dies (ASSERT) when the host has no memory. */
void arch_send(struct arch_outbox *o, enum arch_kind kind, unsigned n, uint64_t a, uint64_t b);

/* arch_put is arch_send of a whole message. */
void arch_put(struct arch_outbox *o, struct arch_msg msg);

/* arch_step joins with the same step before it: a round that only repeats itself stays one message. */
static inline void arch_step(struct arch_outbox *o, enum arch_step step, uint64_t times)
{
    struct arch_msg *last = o->n > 0 ? &o->msg[o->n - 1] : NULL;
    if (last && last->kind == ARCH_STEP && last->n == step)
        last->a += times;
    else
        arch_send(o, ARCH_STEP, (unsigned)step, times, 0);
}

/* arch_task_begin: what is sent from now on is the work of a thread of the kernel's own; returns who worked
 * before, to whom arch_task_end gives the word back. Nothing is sent of one that had nothing to do. */
static inline struct arch_worker arch_task_begin(struct arch_outbox *o, enum arch_task task,
                                                 unsigned node)
{
    struct arch_worker before = o->worker;
    o->worker = (struct arch_worker){(uint8_t)task, (uint8_t)node, o->n};
    arch_send(o, ARCH_TASK, (unsigned)task, node, 0);
    return before;
}

static inline void arch_task_end(struct arch_outbox *o, struct arch_worker before)
{
    bool idle = o->n == o->worker.since + 1;
    o->worker = before;
    if (idle)
        o->n--;
    else
        arch_send(o, ARCH_TASK, before.task, before.node, 0);
}

/* arch_lock tells of a lock to who wants to hear it. Cost otherwise: one load and a branch. */
static inline void arch_lock(struct arch_outbox *o, enum arch_lock lock, uint64_t a, uint64_t b)
{
    if (unlikely(o->locks))
        arch_send(o, ARCH_LOCK, (unsigned)lock, a, b);
}

#endif
