/* stack.c: allocating kernel stacks, and how deep entries go. Picture and invariants: stack.h.
 *
 * The vmalloc area holds the CPUs' interrupt stacks first, each with a guard page, then areas of 32 KiB
 * for tasks: 16 KiB aligned to 16 KiB, a guard page, and what alignment leaves.
 *
 *   | guard | irq 0 | guard | irq 1 | … |- - -|guard| task stack | - - -|guard| task stack | …
 *
 * A stack that is given up is unmapped lazily, as vfree does: its area waits until so many pages wait
 * that all TLBs are flushed once for them. Its entries are cleared only then (Linux: at once); nobody
 * looks at them in between.
 *
 * Depths are measured: kernel 6.18, gcc, sampled stack pointers (perf record --intr-regs=sp), without
 * the random offset of system calls: docs/MODEL.md. Reclaim and swap are assumed.
 *
 * What hits the guard page cannot even push the frame of a page fault: a double fault, which the CPU takes on
 * a stack of its own (IST). Linux says whose guard page it was, and stops.
 *
 * Source: Linux 6.18 kernel/fork.c (alloc_thread_stack_node, NR_CACHED_STACKS), mm/vmalloc.c
 * (lazy_max_pages), arch/x86/kernel/irq_64.c (map_irq_stack), arch/x86/kernel/traps.c
 * (handle_stack_overflow); 8 KiB: before 3.15; 4 KiB and interrupt stacks of a page: CONFIG_4KSTACKS
 * until 2.6.37.
 */
#include "kern/stack.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define AREA_BYTES  KIB(32)
#define AREA_PAGES  5u /* a stack and its guard page, as vmalloc counts them */
#define IRQ_BYTES   KIB(16)
#define END_BYTES   8u  /* STACK_END_MAGIC */
#define THREAD_INFO 64u /* struct thread_info lay at the lower end of the historical stacks */

static const uint32_t use_bytes[USE_NR] = {
    [USE_SYSCALL] = 488,  /* measured: read of /dev/zero; getppid 256 */
    [USE_FAULT] = 1256,   /* measured: anonymous page, its allocation included */
    [USE_IRQ] = 280,      /* pt_regs and two frames: assumed */
    [USE_IRQ_RUN] = 472,  /* measured: softirqs on the interrupt stack */
    [USE_RECLAIM] = 1500, /* assumed */
    [USE_READ] = 2000,    /* measured: ext4 and virtio-blk, less the call's own */
    [USE_WRITE] = 2600,   /* the same */
    [USE_SWAP] = 1600,    /* assumed: the block layer's part of USE_READ */
};

uint32_t stack_use_bytes(enum stack_use use)
{
    return use_bytes[use];
}

static unsigned frames_of(const struct kern_stacks *s)
{
    static const unsigned frames[] = {
        [STACK_VMAP16] = 4, [STACK_TWO_PAGES] = 2, [STACK_ONE_PAGE] = 1};
    return frames[s->kind];
}

uint64_t stack_bytes(const struct kern_stacks *s)
{
    return frames_of(s) * PAGE_SIZE;
}

/* -- areas of the vmalloc space ----------------------------------------------------------------- */

static vaddr area_base(const struct kern_stacks *s, uint32_t area)
{
    return va(s->first + area * AREA_BYTES);
}

static uint32_t area_get(struct kern_stacks *s)
{
    return s->n_free > 0 ? s->free_area[--s->n_free] : s->areas++;
}

static void push_area(uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t area)
{
    if (*n == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        *list = realloc(*list, *cap * sizeof(**list));
        ASSERT(*list != NULL);
    }
    (*list)[(*n)++] = area;
}

static void unmap_area(struct kern_stacks *s, uint32_t area)
{
    for (unsigned i = 0; i < STACK_FRAMES; i++)
        layout_unmap(s->layout, va(area_base(s, area).v + i * PAGE_SIZE));
}

/* purge is __purge_vmap_area_lazy: the TLBs of all CPUs are flushed once for all that wait. */
static void purge(struct kern_stacks *s)
{
    for (uint32_t i = 0; i < s->n_lazy; i++) {
        unmap_area(s, s->lazy[i]);
        push_area(&s->free_area, &s->n_free, &s->cap_free, s->lazy[i]);
    }
    s->n_lazy = 0;
    arch_send(s->outbox, ARCH_FLUSH_KERNEL, 0, s->first, area_base(s, s->areas).v);
    STAT(s->stats, stack_purges)++;
}

/* lazy_max is lazy_max_pages: 32 MiB for each doubling of the CPUs. */
static uint64_t lazy_max(const struct kern_stacks *s)
{
    unsigned log = 0;
    for (unsigned n = s->cpus; n > 0; n >>= 1)
        log++;
    return log * (MIB(32) >> PAGE_SHIFT);
}

static void area_put(struct kern_stacks *s, uint32_t area)
{
    push_area(&s->lazy, &s->n_lazy, &s->cap_lazy, area);
    if (s->n_lazy * (uint64_t)AREA_PAGES > lazy_max(s))
        purge(s);
}

/* -- allocating ----------------------------------------------------------------------------------- */

static void free_frames(struct kern_stacks *s, const pfn *frame, unsigned n)
{
    while (n > 0)
        phys_free(s->phys, frame[--n], 0);
}

/* map_area maps the frames; what it mapped is undone when a table is not to be had. */
static int map_area(struct kern_stacks *s, struct kern_stack *k)
{
    int err = 0;
    unsigned n = 0;
    for (; n < STACK_FRAMES && !err; n++)
        err = layout_map(s->layout, va(k->base.v + n * PAGE_SIZE), k->frame[n]);
    while (err && --n > 0) /* the one that failed is not mapped */
        layout_unmap(s->layout, va(k->base.v + (n - 1) * PAGE_SIZE));
    return err;
}

static int alloc_vmap(struct kern_stacks *s, struct kern_stack *ret)
{
    struct kern_stack k = {.area = 0};
    unsigned n = 0;
    while (n < STACK_FRAMES && !phys_alloc(s->phys, 0, GFP_KERNEL, FRAME_KERNEL_STACK, &k.frame[n]))
        n++;
    if (n == STACK_FRAMES) {
        k.area = area_get(s);
        k.base = area_base(s, k.area);
        if (map_area(s, &k) == 0) {
            *ret = k;
            return 0;
        }
        push_area(&s->free_area, &s->n_free, &s->cap_free, k.area);
    }
    free_frames(s, k.frame, n);
    return -ENOMEM;
}

static int alloc_direct(struct kern_stacks *s, struct kern_stack *ret)
{
    pfn first;
    unsigned order = s->kind == STACK_TWO_PAGES;
    if (phys_alloc(s->phys, order, GFP_KERNEL, FRAME_KERNEL_STACK, &first))
        return -ENOMEM;
    *ret = (struct kern_stack){.base = layout_direct(s->layout, pfn_paddr(first))};
    for (unsigned i = 0; i < BIT(order); i++)
        ret->frame[i] = (pfn){first.v + i};
    return 0;
}

static void set_owner(struct kern_stacks *s, const struct kern_stack *k, enum frame_owner owner)
{
    for (unsigned i = 0; i < STACK_FRAMES; i++)
        phys_set_owner(s->phys, k->frame[i], owner);
}

int stack_alloc(struct kern_stacks *s, unsigned cpu, struct kern_stack *ret)
{
    if (s->kind != STACK_VMAP16)
        return alloc_direct(s, ret);
    for (unsigned i = 0; i < STACK_CACHED; i++) {
        struct kern_stack *kept = &s->kept[cpu * STACK_CACHED + i];
        if (kept->base.v == 0)
            continue;
        set_owner(s, kept, FRAME_KERNEL_STACK);
        *ret = *kept;
        kept->base = va(0);
        return 0;
    }
    return alloc_vmap(s, ret);
}

static void give_up(struct kern_stacks *s, struct kern_stack *k)
{
    if (s->kind == STACK_VMAP16) {
        free_frames(s, k->frame, STACK_FRAMES);
        area_put(s, k->area);
    } else {
        phys_free(s->phys, k->frame[0], s->kind == STACK_TWO_PAGES);
    }
    k->base = va(0);
}

void stack_free(struct kern_stacks *s, unsigned cpu, struct kern_stack *k)
{
    k->used = k->deepest = 0;
    for (unsigned i = 0; i < STACK_CACHED && s->kind == STACK_VMAP16; i++) {
        struct kern_stack *kept = &s->kept[cpu * STACK_CACHED + i];
        if (kept->base.v != 0)
            continue;
        set_owner(s, k, FRAME_VMALLOC);
        *kept = *k;
        k->base = va(0);
        return;
    }
    give_up(s, k);
}

/* -- interrupt stacks --------------------------------------------------------------------------- */

/* irq_open maps a CPU's interrupt stack above a guard page; one of one page lies in the direct map. */
static int irq_open(struct kern_stacks *s, unsigned cpu)
{
    struct irq_stack *i = &s->irq[cpu];
    if (s->irq_kind == IRQ_STACK_TASK)
        return 0;
    if (s->irq_kind == IRQ_STACK_ONE_PAGE) {
        i->base = layout_direct(s->layout, pfn_paddr(s->layout->cpu[cpu].irq[0]));
        return 0;
    }
    i->base = va(s->layout->vmalloc + cpu * (IRQ_BYTES + PAGE_SIZE) + PAGE_SIZE);
    int err = 0;
    for (unsigned n = 0; n < IRQ_BYTES / PAGE_SIZE && !err; n++)
        err = layout_map(s->layout, va(i->base.v + n * PAGE_SIZE), s->layout->cpu[cpu].irq[n]);
    return err;
}

int stacks_open(struct kern_stacks *s, struct kern_layout *l, const struct conf *conf,
                struct stat_set *stats, struct arch_outbox *outbox)
{
    *s = (struct kern_stacks){.layout = l,
                              .phys = l->phys,
                              .stats = stats,
                              .outbox = outbox,
                              .kind = (enum stack_layout)conf->kernel_stack,
                              .irq_kind = (enum irq_layout)conf->kernel_irq_stack,
                              .cpus = l->cpus};
    uint64_t irqs = s->cpus * (IRQ_BYTES + PAGE_SIZE);
    s->first = align_up(l->vmalloc + irqs + PAGE_SIZE, AREA_BYTES);
    s->kept = calloc(s->cpus * STACK_CACHED, sizeof(*s->kept));
    s->irq = calloc(s->cpus, sizeof(*s->irq));
    int err = s->kept && s->irq ? 0 : -ENOMEM;
    for (unsigned cpu = 0; cpu < s->cpus && !err; cpu++)
        err = irq_open(s, cpu);
    return err;
}

void stacks_close(struct kern_stacks *s)
{
    for (unsigned i = 0; s->kept && i < s->cpus * STACK_CACHED; i++)
        if (s->kept[i].base.v != 0)
            free_frames(s, s->kept[i].frame, STACK_FRAMES);
    free(s->kept);
    free(s->irq);
    free(s->free_area);
    free(s->lazy);
}

/* -- depth ---------------------------------------------------------------------------------------- */

const char *stack_use_name(enum stack_use use)
{
    static const char *const name[USE_NR] = {
        [USE_SYSCALL] = "system call",   [USE_FAULT] = "page fault", [USE_IRQ] = "interrupt",
        [USE_IRQ_RUN] = "softirq",       [USE_RECLAIM] = "reclaim",  [USE_READ] = "file read",
        [USE_WRITE] = "file write-back", [USE_SWAP] = "swap-out",
    };
    return name[use];
}

/* overflow notes one: the guard page is hit, or the frame below is overwritten. A small stack of the
 * direct map has its thread_info at the end, which goes first. */
static void overflow(struct kern_stacks *s, const struct kern_stack *k, enum stack_use use)
{
    bool guarded = s->kind == STACK_VMAP16;
    STAT(s->stats, stack_guard_hits) += guarded;
    STAT(s->stats, stack_overwrites) += !guarded;
    s->double_fault |= guarded;
    if (s->overflow.times++ > 0)
        return;
    s->overflow = (struct stack_overflow){.times = 1,
                                          .tid = k->tid,
                                          .outer = (enum stack_use)k->outer,
                                          .last = use,
                                          .used = k->used,
                                          .size = (uint32_t)stack_bytes(s),
                                          .guarded = guarded};
}

static bool fits(const struct kern_stacks *s, uint32_t used)
{
    uint32_t end = s->kind == STACK_VMAP16 ? END_BYTES : THREAD_INFO;
    return used + end <= stack_bytes(s);
}

static void look(struct kern_stacks *s, struct kern_stack *k, uint32_t used)
{
    if (used <= k->deepest)
        return;
    k->deepest = used;
    if (used > STAT(s->stats, stack_deepest))
        STAT(s->stats, stack_deepest) = used;
}

uint32_t stack_push(struct kern_stacks *s, struct kern_stack *k, enum stack_use use)
{
    bool had_room = fits(s, k->used);
    if (k->used == 0)
        k->outer = (uint8_t)use;
    k->used += use_bytes[use];
    look(s, k, k->used);
    if (had_room && !fits(s, k->used))
        overflow(s, k, use);
    return use_bytes[use];
}

void stack_pop(struct kern_stack *k, uint32_t bytes)
{
    CHECK(k->used >= bytes);
    k->used -= bytes;
}

void stack_touch(struct kern_stacks *s, struct kern_stack *k, enum stack_use use)
{
    stack_pop(k, stack_push(s, k, use));
}

void stack_irq(struct kern_stacks *s, unsigned cpu, struct kern_stack *k)
{
    (void)cpu;
    if (k == NULL)
        return;
    uint32_t entry = stack_push(s, k, USE_IRQ);
    if (s->irq_kind == IRQ_STACK_TASK)
        stack_touch(s, k, USE_IRQ_RUN);
    stack_pop(k, entry);
}

vaddr stack_irq_top(const struct kern_stacks *s, unsigned cpu, const struct kern_stack *k)
{
    if (s->irq_kind == IRQ_STACK_OWN)
        return va(s->irq[cpu].base.v + IRQ_BYTES);
    if (s->irq_kind == IRQ_STACK_ONE_PAGE)
        return va(s->irq[cpu].base.v + PAGE_SIZE);
    if (k != NULL)
        return va(stack_top(s, k).v - use_bytes[USE_IRQ] / LINE_SIZE * LINE_SIZE);
    /* of the idle task, which uses next to nothing of its own */
    return layout_percpu(s->layout, cpu, (PERCPU_DATA_PAGE - 1) * PAGE_SIZE + KIB(2));
}

/* -- audit ------------------------------------------------------------------------------------------ */

static bool mapped_right(const struct kern_stacks *s, const struct kern_stack *k)
{
    unsigned level;
    for (unsigned i = 0; i < STACK_FRAMES; i++) {
        const pte *e = pt_lookup(&s->layout->pt, va(k->base.v + i * PAGE_SIZE), 0);
        if (!e || !pte_present(*e) || pte_pfn(*e).v != k->frame[i].v)
            return false;
    }
    return pt_leaf(&s->layout->pt, va(k->base.v - PAGE_SIZE), &level) == NULL;
}

int stack_audit(const struct kern_stacks *s, const struct kern_stack *k)
{
    for (unsigned i = 0; i < frames_of(s); i++)
        if (phys_owner(s->phys, k->frame[i]) != FRAME_KERNEL_STACK)
            return 1;
    return s->kind != STACK_VMAP16 || mapped_right(s, k) ? 0 : 2;
}

/* areas_right is I3 for what is free and what waits: no number is there twice. */
static bool areas_right(const struct kern_stacks *s)
{
    bool right = s->n_free + s->n_lazy <= s->areas;
    for (uint32_t i = 0; i < s->n_free && right; i++)
        for (uint32_t j = 0; j < s->n_lazy && right; j++)
            right = s->free_area[i] != s->lazy[j] && s->free_area[i] < s->areas;
    return right;
}

int stacks_audit(const struct kern_stacks *s)
{
    for (unsigned i = 0; i < s->cpus * STACK_CACHED; i++) {
        const struct kern_stack *k = &s->kept[i];
        for (unsigned n = 0; k->base.v != 0 && n < STACK_FRAMES; n++)
            if (phys_owner(s->phys, k->frame[n]) != FRAME_VMALLOC)
                return 1;
        if (k->base.v != 0 && !mapped_right(s, k))
            return 2;
    }
    return areas_right(s) ? 0 : 3;
}
