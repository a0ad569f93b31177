/* entry.c: the footprints of entries into the kernel.
 *
 *   kind     text                       data: stack ▲, entry stack, CPU's variables, task
 *   SYSCALL  25 lines in  9 pages       4          -            3            3
 *   CALL     26 lines in 11 pages       4          -            1            4
 *   FAULT   226 lines in 50 pages      20          3           12           16
 *   TIMER   155 lines in 28 pages       4 + 8 irq  3           24            6
 *   IPI      45 lines in 10 pages       4 + 4 irq  3            4            1
 *   SWITCH  142 lines in 13 pages       6          -           12           20
 *   NMI      49 lines in 12 pages       8 + 1 NMI  -           11            1
 *   DF       17 lines in  6 pages           8 DF   -            2            -
 *
 * Text: entry_text.def. Stack: measured depths (stack.c) in lines. The other data: assumed, from which
 * structures the functions of the path name; sizes of them by BTF of 6.18 (task_struct 3264, mm_struct
 * 1472, vm_area_struct 192, rq 3584, pt_regs 168 bytes). mm and VMA stand in for their slabs behind the
 * task structure.
 *
 * NMI and double fault begin on stacks of the CPU that the processor finds by itself (IST). From user mode the
 * frame of an NMI is moved to the task's stack (asm_exc_nmi); a double fault stays where it is.
 *
 * Invariants:
 *  I1  Every page is in the kernel's half, and mapped by layout.c or stack.c.
 */
#include "kern/entry.h"

#include "kern/kern_int.h"

#include "base/check.h"

/* Lines of text in one page. */
struct text_page {
    uint8_t kind;
    uint16_t page;
    uint64_t lines;
};
static const struct text_page text_pages[] = {
#define ENTRY_TEXT(kind, page, lines) {ENTRY_##kind, page, UINT64_C(lines)},
#include "kern/entry_text.def"
#undef ENTRY_TEXT
};

#define CALL_STRIDE 37u /* pages of text between the code of one call and the next: assumed */

/* Where data lies. */
enum place {
    IN_STACK,
    IN_IRQ_STACK,
    IN_ENTRY_STACK,
    IN_NMI_STACK,
    IN_DF_STACK,
    IN_PERCPU,
    IN_TASK
};
static const struct data_row {
    uint8_t kind, place;
    uint16_t first; /* line; of stacks from the top down */
    uint8_t lines;
    uint8_t store;
} data_rows[] = {
    {ENTRY_SYSCALL, IN_STACK, 0, 4, 1},  /* pt_regs and two frames: 256 bytes */
    {ENTRY_SYSCALL, IN_PERCPU, 0, 2, 0}, /* current, top of stack; preemption count */
    {ENTRY_SYSCALL, IN_PERCPU, 2, 1, 1}, /* user stack pointer: sp2 of the TSS */
    {ENTRY_SYSCALL, IN_TASK, 0, 1, 0},   /* thread_info: flags, work */
    {ENTRY_SYSCALL, IN_TASK, 20, 2, 0},  /* credentials, signals, parent */
    {ENTRY_CALL, IN_STACK, 4, 4, 1},     /* down to 488 bytes */
    {ENTRY_CALL, IN_PERCPU, 4, 1, 0},
    {ENTRY_CALL, IN_TASK, 24, 4, 0},        /* files, fs, what the call is about */
    {ENTRY_FAULT, IN_ENTRY_STACK, 0, 3, 1}, /* pt_regs, before they are copied */
    {ENTRY_FAULT, IN_STACK, 0, 20, 1},      /* 1256 bytes */
    {ENTRY_FAULT, IN_PERCPU, 0, 2, 0},
    {ENTRY_FAULT, IN_PERCPU, 64, 4, 1}, /* per-CPU lists of frames */
    {ENTRY_FAULT, IN_PERCPU, 72, 6, 1}, /* vmstat, memcg stock, LRU batch */
    {ENTRY_FAULT, IN_TASK, 0, 2, 0},
    {ENTRY_FAULT, IN_TASK, 16, 2, 1}, /* fault counts, mm */
    {ENTRY_FAULT, IN_TASK, 64, 8, 0}, /* mm_struct: maple tree, counters, lock */
    {ENTRY_FAULT, IN_TASK, 96, 4, 0}, /* vm_area_struct and its tree node */
    {ENTRY_TIMER, IN_ENTRY_STACK, 0, 3, 1},
    {ENTRY_TIMER, IN_STACK, 0, 4, 1},
    {ENTRY_TIMER, IN_IRQ_STACK, 0, 8, 1}, /* 472 bytes */
    {ENTRY_TIMER, IN_PERCPU, 0, 2, 0},
    {ENTRY_TIMER, IN_PERCPU, 128, 8, 1},  /* hrtimer bases, tick_sched, timer wheel */
    {ENTRY_TIMER, IN_PERCPU, 192, 14, 1}, /* rq, cfs_rq; RCU */
    {ENTRY_TIMER, IN_TASK, 8, 6, 1},      /* sched_entity, times */
    {ENTRY_IPI, IN_ENTRY_STACK, 0, 3, 1},
    {ENTRY_IPI, IN_STACK, 0, 4, 1},
    {ENTRY_IPI, IN_IRQ_STACK, 0, 4, 1},
    {ENTRY_IPI, IN_PERCPU, 0, 1, 0},
    {ENTRY_IPI, IN_PERCPU, 320, 3, 1}, /* call queue, cpu_tlbstate */
    {ENTRY_IPI, IN_TASK, 0, 1, 0},
    {ENTRY_SWITCH, IN_STACK, 4, 6, 1},     /* frames of __schedule of who comes */
    {ENTRY_SWITCH, IN_PERCPU, 192, 10, 1}, /* rq, cfs_rq */
    {ENTRY_SWITCH, IN_PERCPU, 320, 2, 1},  /* cpu_tlbstate */
    {ENTRY_SWITCH, IN_TASK, 0, 12, 1},     /* state, sched_entity, thread */
    {ENTRY_SWITCH, IN_TASK, 64, 8, 0},     /* mm_struct: context */
    {ENTRY_NMI, IN_NMI_STACK, 0, 1, 1},    /* what the processor pushes: 40 bytes */
    {ENTRY_NMI, IN_STACK, 0, 8, 1},        /* pt_regs and the handlers' frames */
    {ENTRY_NMI, IN_PERCPU, 0, 2, 0},
    {ENTRY_NMI, IN_PERCPU, 328, 1, 1}, /* nmi_state, nmi_cr2 */
    {ENTRY_NMI, IN_PERCPU, 336, 8, 1}, /* cpu_hw_events, the event's counts */
    {ENTRY_NMI, IN_TASK, 0, 1, 0},
    {ENTRY_DF, IN_DF_STACK, 0, 8, 1}, /* pt_regs; exc_double_fault, handle_stack_overflow */
    {ENTRY_DF, IN_PERCPU, 0, 2, 0},
};

/* -- text ---------------------------------------------------------------------------------------- */

uint32_t kern_entry_text(const struct kern *k, enum kern_entry e, uint64_t nr,
                         struct kern_touch *ret)
{
    const struct kern_layout *l = &k->layout;
    uint64_t pages = (l->rodata - l->text) >> PAGE_SHIFT;
    uint64_t shift = e == ENTRY_CALL ? nr % 512 * CALL_STRIDE : 0;
    uint32_t n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(text_pages); i++) {
        const struct text_page *t = &text_pages[i];
        if (t->kind != e)
            continue;
        CHECK(n < KERN_TOUCHES_MAX);
        uint64_t page = l->text + (t->page + shift) % pages * PAGE_SIZE;
        ret[n++] = (struct kern_touch){va(page), t->lines, TOUCH_FETCH};
    }
    return n;
}

/* -- data ---------------------------------------------------------------------------------------- */

/* task_line returns the address of a line of a task structure: three share a slab of 32 KiB. */
static vaddr task_line(const struct kern *k, const struct kern_task *t, unsigned line)
{
    paddr slab = pfn_paddr(k->slab[t->slab].first);
    uint64_t object = PAGE_SIZE * (8 / KERN_TASKS_IN_SLAB) + 2 * KIB(1) + 512; /* 10752 bytes */
    return layout_direct(&k->layout, pa(slab.v + t->slot * object + line * LINE_SIZE));
}

/* below returns the n-th line below an address of a stack, 0 if the stack ends before. */
static vaddr below(vaddr top, unsigned n, const struct kern_task *t)
{
    uint64_t a = align_down(top.v, LINE_SIZE) - (n + 1) * (uint64_t)LINE_SIZE;
    return !t || a >= t->stack.base.v ? va(a) : va(0);
}

/* ist_line returns the n-th line below the top of one of a CPU's IST stacks. */
static vaddr ist_line(const struct kern_layout *l, unsigned cpu, enum cea_part stack, unsigned n)
{
    return below(va(layout_cea(l, cpu, stack).v + layout_cea_bytes(stack)), n, NULL);
}

/* line_of returns the address of a line of some data, 0 where there is none. */
static vaddr line_of(struct kern *k, enum place place, unsigned cpu, const struct kern_task *t,
                     unsigned line)
{
    const struct kern_stacks *s = &k->stacks;
    bool on_task = t && s->irq_kind == IRQ_STACK_TASK;
    switch (place) {
    case IN_STACK:
        return t ? below(stack_top(s, &t->stack), line, t) : va(0);
    case IN_IRQ_STACK:
        return below(stack_irq_top(s, cpu, t ? &t->stack : NULL), line, on_task ? t : NULL);
    case IN_ENTRY_STACK:
        return below(va(layout_cea(&k->layout, cpu, CEA_ENTRY_STACK).v + PAGE_SIZE), line, NULL);
    case IN_NMI_STACK:
        return ist_line(&k->layout, cpu, CEA_NMI, line);
    case IN_DF_STACK:
        return ist_line(&k->layout, cpu, CEA_DF, line);
    case IN_PERCPU:
        return layout_percpu(&k->layout, cpu, line * (uint64_t)LINE_SIZE);
    case IN_TASK:
        return t ? task_line(k, t, line) : va(0);
    }
    return va(0);
}

/* add puts a line into the list: with others of its page and kind if they came just before. */
static uint32_t add(struct kern_touch *list, uint32_t n, vaddr a, uint32_t kind)
{
    vaddr page = va(align_down(a.v, PAGE_SIZE));
    uint64_t line = BIT(a.v >> LINE_SHIFT & 63);
    if (n > 0 && list[n - 1].page.v == page.v && list[n - 1].kind == kind) {
        list[n - 1].lines |= line;
        return n;
    }
    CHECK(n < KERN_TOUCHES_MAX);
    list[n] = (struct kern_touch){page, line, kind};
    return n + 1;
}

uint32_t kern_entry_data(struct kern *k, enum kern_entry e, unsigned cpu, uint32_t tid,
                         struct kern_touch *ret)
{
    const struct kern_task *t = task_of(k, tid);
    uint32_t n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(data_rows); i++) {
        const struct data_row *d = &data_rows[i];
        for (unsigned line = d->first; d->kind == e && line < d->first + d->lines; line++) {
            vaddr a = line_of(k, (enum place)d->place, cpu, t, line);
            if (a.v != 0)
                n = add(ret, n, a, d->store ? TOUCH_STORE : TOUCH_LOAD);
        }
    }
    return n;
}

/* -- depth ----------------------------------------------------------------------------------------- */

uint32_t kern_enter(struct kern *k, enum kern_entry e, uint32_t tid)
{
    struct kern_task *t = task_of(k, tid);
    return t ? stack_push(&k->stacks, &t->stack, e == ENTRY_FAULT ? USE_FAULT : USE_SYSCALL) : 0;
}

void kern_leave(struct kern *k, uint32_t tid, uint32_t bytes)
{
    struct kern_task *t = task_of(k, tid);
    if (t && t->stack.used >= bytes) /* else it began another life inside: exec by another thread */
        stack_pop(&t->stack, bytes);
}

uint32_t kern_deepen(struct kern *k, uint32_t tid, enum arch_step step)
{
    struct kern_task *t = task_of(k, tid);
    if (!t)
        return 0;
    if (step == STEP_IO || step == STEP_SWAP_IN)
        return stack_push(&k->stacks, &t->stack, USE_READ);
    if (step == STEP_WRITEBACK)
        return stack_push(&k->stacks, &t->stack, USE_WRITE);
    if (step == STEP_DIRECT_RECLAIM)
        return stack_push(&k->stacks, &t->stack, USE_RECLAIM);
    if (step != STEP_SWAP_OUT)
        return 0;
    uint32_t bytes = stack_push(&k->stacks, &t->stack, USE_RECLAIM); /* swap-out is below reclaim */
    return bytes + stack_push(&k->stacks, &t->stack, USE_SWAP);
}

void kern_interrupt(struct kern *k, unsigned cpu, uint32_t tid)
{
    struct kern_task *t = task_of(k, tid);
    stack_irq(&k->stacks, cpu, t ? &t->stack : NULL);
}

bool kern_double_fault(struct kern *k)
{
    bool hit = k->stacks.double_fault;
    k->stacks.double_fault = false;
    return hit;
}

bool kern_overflow(const struct kern *k, struct stack_overflow *ret)
{
    *ret = k->stacks.overflow;
    return ret->times > 0;
}

/* -- the rest ---------------------------------------------------------------------------------------- */

pfn kern_root(const struct kern *k)
{
    return k->layout.pt.root;
}

vaddr kern_direct(const struct kern *k, paddr a)
{
    return layout_direct(&k->layout, a);
}

vaddr kern_page(const struct kern *k, pfn n)
{
    return layout_page(&k->layout, n);
}

int kern_memory_audit(const struct kern *k)
{
    int broken = layout_audit(&k->layout, (unsigned)k->conf->phys_bits);
    if (broken == 0 && stacks_audit(&k->stacks) != 0)
        broken = 10 + stacks_audit(&k->stacks);
    for (uint32_t i = 0; i < k->n_task && broken == 0; i++)
        if (stack_audit(&k->stacks, &k->task[i].stack) != 0)
            broken = 10 + stack_audit(&k->stacks, &k->task[i].stack);
    return broken;
}
