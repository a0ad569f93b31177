/* entry.h: what an entry into the kernel touches: its footprint.
 *
 *   program ─► syscall, exception, interrupt ─► text lines, stack lines, lines of the CPU's and the
 *                                               task's data: through the TLBs and caches (sim does it)
 *
 * The list is the same for every entry of a kind: what is touched always. What an entry does beyond it
 * (user copies, zeroing, page tables) comes from mm and is touched where it happens.
 */
#ifndef KERN_ENTRY_H
#define KERN_ENTRY_H

#include "kern/kern.h"
#include "kern/layout.h"
#include "kern/stack.h"

enum kern_entry {
    ENTRY_SYSCALL, /* entry code, dispatch, exit */
    ENTRY_CALL,    /* what the call itself touches, on top of it */
    ENTRY_FAULT,
    ENTRY_TIMER,
    ENTRY_IPI,    /* a TLB shootdown's receiver */
    ENTRY_SWITCH, /* a context switch: the scheduler, and the stack of who comes */
    ENTRY_NMI,    /* of a performance counter: the hard-lockup watchdog, a profiler */
    ENTRY_DF,     /* a double fault: the guard page of a stack was hit */
    ENTRY_NR
};

enum kern_touch_kind { TOUCH_LOAD, TOUCH_STORE, TOUCH_FETCH };
struct kern_touch {
    vaddr page;
    uint64_t lines; /* of it: bit n is the n-th */
    uint32_t kind;  /* enum kern_touch_kind */
};

/* kern_entry_text stores the text an entry fetches and returns how many touches it is. `nr` is the system call's
 * number, which moves ENTRY_CALL: other calls have other code. */
uint32_t kern_entry_text(const struct kern *k, enum kern_entry e, uint64_t nr,
                         struct kern_touch *ret);
/* kern_entry_data returns the data it touches on a CPU for a thread (a thread unknown to the kernel has
 * none of its own): stack, entry stack, variables, task structure. */
uint32_t kern_entry_data(struct kern *k, enum kern_entry e, unsigned cpu, uint32_t tid,
                         struct kern_touch *ret);
#define KERN_TOUCHES_MAX 64u /* of one call of these */

/* kern_enter notes that a thread entered: the depth of its stack. kern_leave undoes the last one. Steps
 * in between go deeper: kern_deepen returns by how much, for kern_leave. An interrupt comes and goes:
 * kern_interrupt. */
uint32_t kern_enter(struct kern *k, enum kern_entry e, uint32_t tid);
void kern_leave(struct kern *k, uint32_t tid, uint32_t bytes);
uint32_t kern_deepen(struct kern *k, uint32_t tid, enum arch_step step);
void kern_interrupt(struct kern *k, unsigned cpu, uint32_t tid);

/* kern_double_fault says, once each, that a guard page was hit. kern_overflow tells of the first stack that was
 * too small; false: none was. */
bool kern_double_fault(struct kern *k);
bool kern_overflow(const struct kern *k, struct stack_overflow *ret);

/* kern_root returns the root of the kernel's own tables (swapper_pg_dir). */
pfn kern_root(const struct kern *k);
/* kern_direct returns where the kernel reads and writes physical memory, kern_page where the struct page
 * of a frame is. */
vaddr kern_direct(const struct kern *k, paddr a);
vaddr kern_page(const struct kern *k, pfn n);

/* kern_memory_audit checks the kernel's address space and stacks: 0, or 1…4 as layout_audit, 11…13 as
 * stacks_audit. Every leaf is looked at. */
int kern_memory_audit(const struct kern *k);

#endif
