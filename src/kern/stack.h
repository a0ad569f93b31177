/* stack.h: kernel stacks: where they lie, what entries use of them, and what happens when one is full.
 *
 *   kernel.stack=vmap16      …| guard | 4 pages ▲|…   vmalloc area, frames from anywhere, 2 kept a CPU
 *   kernel.stack=two_pages   …| whose it is | 2 pages ▲|…   direct map, one block of two frames
 *   kernel.stack=one_page    …| whose it is | 1 page ▲|…
 *
 * Entries nest: a fault inside a system call, a tick that comes due inside a fault (access.c). Each adds what it needs to
 * the stack it runs on; what exceeds it hits the guard page (double fault, on a stack of its own), or
 * silently overwrites the neighbour.
 *
 * Invariants (stacks_audit):
 *  I1  A stack in use has its frames, owner FRAME_KERNEL_STACK; a kept one too, owner FRAME_VMALLOC.
 *  I2  A stack of the vmalloc area is mapped page by page to its frames, and the page below is not.
 *  I3  No area of the vmalloc space is used twice, or again before the TLBs forgot it.
 */
#ifndef KERN_STACK_H
#define KERN_STACK_H

#include "kern/layout.h"
#include "pt/arch.h"

#define STACK_FRAMES 4u /* of the largest stack */
#define STACK_CACHED 2u /* NR_CACHED_STACKS: kept by each CPU */

enum stack_layout { STACK_VMAP16, STACK_TWO_PAGES, STACK_ONE_PAGE };
enum irq_layout { IRQ_STACK_OWN, IRQ_STACK_ONE_PAGE, IRQ_STACK_TASK };

/* What uses stack: entries, and what may happen inside one. Bytes: stack.c. */
enum stack_use {
    USE_SYSCALL,
    USE_FAULT,
    USE_IRQ,     /* an interrupt up to where it changes to the interrupt stack */
    USE_IRQ_RUN, /* its handler and the softirqs behind it */
    USE_RECLAIM, /* direct reclaim */
    USE_READ,    /* a file is read: filesystem and block layer */
    USE_WRITE,   /* a file is written back */
    USE_SWAP,    /* a page goes to swap */
    USE_NR
};

struct kern_stack {
    vaddr base;              /* lowest address; 0: none */
    uint32_t tid;            /* whose; set by the owner */
    uint8_t outer;           /* enum stack_use of the first entry under way */
    uint32_t area;           /* number of its place in the vmalloc area */
    uint32_t used;           /* bytes of entries under way */
    uint32_t deepest;        /* most bytes ever */
    pfn frame[STACK_FRAMES]; /* as many as the layout has */
};

/* The first stack that was too small, and how many were. */
struct stack_overflow {
    uint64_t times;             /* 0: none was, and the rest is empty */
    uint32_t tid;               /* whose */
    enum stack_use outer, last; /* what it entered the kernel for; what was too much */
    uint32_t used, size;        /* bytes, `last` included */
    bool guarded;               /* the guard page was hit: #DF */
};

/* An interrupt stack of a CPU. */
struct irq_stack {
    vaddr base; /* lowest address */
};

struct kern_stacks {
    struct kern_layout *layout; /* of the machine */
    struct phys *phys;
    struct stat_set *stats;
    struct arch_outbox *outbox;
    enum stack_layout kind;
    enum irq_layout irq_kind;
    unsigned cpus;
    struct kern_stack *kept; /* STACK_CACHED a CPU; base 0: empty */
    struct irq_stack *irq;   /* a CPU each; base 0 with irq_kind task */
    uint64_t first;          /* address of area 0 */
    uint32_t areas;          /* ever used: numbers below are used, free or lazy */
    uint32_t *free_area;     /* may be used again; n_free of cap_free */
    uint32_t n_free, cap_free;
    struct stack_overflow overflow;
    bool double_fault; /* a guard page was hit, and nobody has asked since */
    uint32_t *lazy;    /* unmapped, but TLBs may know it; n_lazy of cap_lazy */
    uint32_t n_lazy, cap_lazy;
};

/* stacks_open makes the CPUs' interrupt stacks; while the layout is still being built, so that their
 * frames and tables are the image's. 0 or -ENOMEM. */
int stacks_open(struct kern_stacks *s, struct kern_layout *l, const struct conf *conf,
                struct stat_set *stats, struct arch_outbox *outbox);
/* stacks_close frees what is kept. pre: every stack was freed. */
void stacks_close(struct kern_stacks *s);

/* stack_alloc gives a task its stack: alloc_thread_stack_node. -ENOMEM, the stack untouched. */
int stack_alloc(struct kern_stacks *s, unsigned cpu, struct kern_stack *ret);
/* stack_free takes it back: kept by the CPU if it has room, else given up. */
void stack_free(struct kern_stacks *s, unsigned cpu, struct kern_stack *k);

/* stack_bytes returns the size of a task's stack. */
uint64_t stack_bytes(const struct kern_stacks *s);
/* stack_use_name returns what a use is called. */
const char *stack_use_name(enum stack_use use);
/* stack_use_bytes returns what one use needs. */
uint32_t stack_use_bytes(enum stack_use use);
/* stack_push adds a use to a task's stack and returns its bytes, stack_pop takes them off. Overflow is
 * counted: kernel_stack.… */
uint32_t stack_push(struct kern_stacks *s, struct kern_stack *k, enum stack_use use);
void stack_pop(struct kern_stack *k, uint32_t bytes);
/* stack_touch is a use that comes and goes within an entry. */
void stack_touch(struct kern_stacks *s, struct kern_stack *k, enum stack_use use);
/* stack_irq is an interrupt on a CPU that comes and goes: over what runs there, task's stack or NULL
 * (nothing of a task's, the CPU was idle). stack_irq_top returns the address its handler's frames lie
 * below. */
void stack_irq(struct kern_stacks *s, unsigned cpu, struct kern_stack *k);
vaddr stack_irq_top(const struct kern_stacks *s, unsigned cpu, const struct kern_stack *k);
/* stack_top returns the address that a task's frames lie below now. */
static inline vaddr stack_top(const struct kern_stacks *s, const struct kern_stack *k)
{
    uint64_t size = stack_bytes(s);
    return va(k->base.v + size - (k->used < size ? k->used : size - 64));
}

/* stacks_audit checks I1-I3 for the stacks kept and one in use; 0 or the broken one. */
int stacks_audit(const struct kern_stacks *s);
int stack_audit(const struct kern_stacks *s, const struct kern_stack *k);

#endif
