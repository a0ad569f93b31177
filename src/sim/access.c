/* access.c: accesses that left the fast path, page faults, kernel copies, and the outbox.
 *
 *   mmu_access ── 0 ──► attribute what it met
 *       │ 1 (fault)
 *       ▼
 *   mm_fault ─► outbox ─► sim_drain (flushes, kernel lines, steps = the fault's cycles) ─► again
 *
 * Invariants:
 *  I1  The outbox is empty whenever the program goes on.
 *  I2  An access is tried again only after a fault was handled or repaired; at most TRIES times.
 *  I3  Every cycle of a fault is a named step, a kernel line, or an invalidation.
 *  I4  Once the outbox is empty no TLB entry and no walk cache of a core grants what the page tables do
 *      not (space.c; audited each time in the hostile build).
 */
#include "sim/sim_int.h"

#include <signal.h>

#define TRIES 8u

/* -- the outbox -----------------------------------------------------------------------------------*/

/* The kernel's work for one entry, as far as it has come. */
struct work {
    struct sim_thread *t; /* NULL: it is nobody's, and nothing interrupts it */
    uint64_t due;         /* cycles of it at which the timer interrupts */
    uint32_t deep;        /* bytes of stack that its last step uses */
};

static void work_begin(struct sim *s, struct sim_thread *t, struct work *w)
{
    bool nobodys = s->payer == PAYER_NOBODY;

    *w = (struct work){nobodys ? NULL : t, nobodys ? UINT64_MAX : sched_due_in(s, t), 0};
}

/* worked: so many cycles are over; ticks that came due came on top of the last step's stack. */
static void worked(struct sim *s, struct work *w, uint64_t cycles)
{
    while (unlikely(cycles >= w->due))
        w->due += sched_tick_inside(s, w->t);
}

/* work_step: a step goes further down the stack, perhaps beyond its end. What follows, up to the next step, is
 * its work. */
static void work_step(struct sim *s, struct work *w, enum arch_step step)
{
    kern_leave(s->kern, w->t->tid, w->deep);
    w->deep = kern_deepen(s->kern, w->t->tid, step);
    if (unlikely(kern_double_fault(s->kern)))
        entry_double_fault(s, w->t->core_id);
}

static void work_end(struct sim *s, struct work *w, uint64_t cycles)
{
    worked(s, w, cycles);
    if (w->t)
        kern_leave(s->kern, w->t->tid, w->deep);
}

uint64_t sim_drain(struct sim *s, struct sim_thread *t)
{
    uint64_t cycles = 0, lines = 0, others = 0, other_lines = 0;
    struct work w;

    work_begin(s, t, &w);
    for (uint32_t i = 0; i < s->outbox.n; i++) {
        const struct arch_msg *m = &s->outbox.msg[i];
        bool other = s->kthread.runs;
        unsigned cpu = other ? s->kthread.cpu : t->core_id;
        uint64_t *waited = other ? &others : &cycles; /* nobody's, or the caller's */
        switch ((enum arch_kind)m->kind) {
        case ARCH_FLUSH_RANGE:
        case ARCH_FLUSH_ALL:
        case ARCH_FLUSH_UNMAP:
        case ARCH_FLUSH_BATCH:
        case ARCH_FLUSH_LATE:
        case ARCH_FLUSH_KERNEL:
        case ARCH_SPACE_END:
            *waited += space_flush(s, t, cpu, m);
            break;
        case ARCH_KERNEL_READ:
        case ARCH_KERNEL_WRITE:
            *waited += entry_direct(s, &s->cores[cpu], pa(m->a), m->b, m->kind == ARCH_KERNEL_WRITE,
                                    other ? &other_lines : &lines);
            break;
        case ARCH_STEP:
            worked(s, &w, cycles + lines * s->conf.cpu_exposed_kernel / 100);
            if (w.t && !other)
                work_step(s, &w, (enum arch_step)m->n);
            *waited += s->step_cost[m->n] * m->a;
            break;
        case ARCH_LOCK:
            cycles += lock_message(s, t, m, cycles + lines * s->conf.cpu_exposed_kernel / 100);
            break;
        case ARCH_TASK:
            kthread_task(s, t, m);
            break;
        }
    }
    s->outbox.n = 0;
    CHECK(!s->kthread.runs);
    AUDIT(ASSERT(space_audit(s) == 0));
    cycles += lines * s->conf.cpu_exposed_kernel / 100;
    work_end(s, &w, cycles);
    return cycles;
}

/* -- faults -----------------------------------------------------------------------------------------*/

/* A bad address in kernel mode is no signal: the exception table has the answer. */
static void count_verdict(struct sim *s, const struct mm_verdict *v, uint64_t cycles, bool user)
{
    struct stat_set *st = &s->stats;
    int signal = user ? v->signal : 0;

    st->v[STAT_fault_anon + v->kind]++;
    st->v[STAT_fault_cycles_anon + v->kind] += cycles;
    STAT(st, fault_stack_growth) += v->stack_grew;
    STAT(st, div_oom) += v->oom;
    STAT(st, sigsegv_maperr) += signal == SIGSEGV && v->si_code == SEGV_MAPERR;
    STAT(st, sigsegv_accerr) += signal == SIGSEGV && v->si_code == SEGV_ACCERR;
    STAT(st, sigsegv_kernel) += signal == SIGSEGV && v->si_code == SI_KERNEL;
    STAT(st, sigbus_adrerr) += signal == SIGBUS;
}

/* Where the run left the modelled machine: there the program would have been killed. */
static void note_oom(struct sim *s)
{
    if (!s->oom)
        s->oom_at_event = STAT(&s->stats, sim_events);
    s->oom = true;
}

/* Handles one fault; true if it ended well. *ret_cycles is what it cost. */
static bool handle(struct sim *s, struct sim_thread *t, const struct arch_fault *f,
                   uint64_t *ret_cycles, enum fault_kind *ret_kind)
{
    struct mm_verdict v;

    sim_clock(s, t);
    entry_begin(s, t, ENTRY_FAULT, 0);
    mm_fault(t->proc->mm, f, &v);
    s->payer = PAYER_FAULT;
    s->now_late.at = 0;
    *ret_cycles = sim_drain(s, t);
    s->payer = PAYER_NOBODY;
    entry_end(s, t);
    *ret_kind = v.kind;
    if (unlikely(v.oom))
        note_oom(s);
    timeline_at(s, t, MOMENT_FAULT, f->cr2.v, v.kind);
    count_verdict(s, &v, *ret_cycles, f->noncanonical || f->code & FAULT_U);
    STAT(&s->stats, fault_kernel_mode) += !(f->code & FAULT_U);
    attrib_forget(s);     /* the stack may have grown */
    return v.signal == 0; /* out of memory: it is tried again, as the program went on */
}

/* The program went on where the model says it could not: give it what it needs, and count. */
static void repair(struct sim *s, struct sim_thread *t, const struct arch_fault *f)
{
    STAT(&s->stats, div_no_vma)++;
    mm_repair(t->proc->mm, f);
    sim_drain(s, t);
    attrib_forget(s);
}

/* The emulator reports a read-modify-write instruction as a load, then a store; the processor faults
 * once, for the write. */
static void fault_as_write(struct sim *s, struct sim_thread *t, struct arch_fault *f, unsigned insn)
{
    if (!(f->code & (FAULT_W | FAULT_I)) && block_insn(s, t->block, insn)->modifies)
        f->code |= FAULT_W;
}

static void user_fault(struct sim *s, struct sim_thread *t, struct arch_fault *f, unsigned insn,
                       const struct mmu_event *ev)
{
    struct site_cost *site = attrib_site(s, t->block, insn);
    uint64_t cycles;
    enum fault_kind kind;

    fault_as_write(s, t, f, insn);
    if (!handle(s, t, f, &cycles, &kind))
        repair(s, t, f);
    struct area_cost *area = attrib_area(s, f->cr2);
    lock_fault_done(s, t, kind, site, area);
    site->faults++;
    area->faults++;
    site->fault_cycles += cycles;
    area->fault_cycles += cycles;
    site->walk_cycles += ev->walk_cycles; /* of the walk that faulted: not completed, but paid */
    area->walk_cycles += ev->walk_cycles;
}

/* -- user accesses ------------------------------------------------------------------------------------*/

static void attribute_area(struct sim *s, vaddr a, const struct mmu_event *ev)
{
    struct area_cost *area = attrib_area(s, a);

    area->accesses_slow++;
    area->stlb_hits += ev->tlb == TLB_L2_HIT;
    area->walks += ev->walks;
    area->walk_cycles += ev->walk_cycles;
    area->l3_misses += ev->level == MEM_DRAM;
}

static void attribute(struct sim *s, struct sim_thread *t, vaddr a, unsigned insn,
                      const struct mmu_event *ev)
{
    struct site_cost *site = attrib_site(s, t->block, insn);

    attribute_area(s, a, ev);
    site->stlb_hits += ev->tlb == TLB_L2_HIT;
    site->walks += ev->walks;
    site->walk_cycles += ev->walk_cycles;
    site->l3_misses += ev->level == MEM_DRAM;
}

/* An access in full: walks, faults, splits, everything. */
static __attribute__((noinline)) void access_full(struct sim *s, struct sim_thread *t,
                                                  uint64_t addr, unsigned bytes,
                                                  enum access_kind kind, unsigned insn, bool missed)
{
    struct mmu_event ev;
    struct arch_fault f;

    for (unsigned i = 0; i < TRIES; i++) {
        int faulted = missed && i == 0 ? mmu_access_missed(t->core, va(addr), kind, &ev, &f)
                                       : mmu_access(t->core, va(addr), bytes, kind, true, &ev, &f);
        if (!faulted) {
            s->deep += ev.level >= MEM_L3 || ev.walks;
            if (unlikely(ev.tlb != TLB_L1_HIT || ev.level == MEM_DRAM))
                attribute(s, t, va(addr), insn, &ev);
            return;
        }
        user_fault(s, t, &f, insn, &ev);
    }
}

void sim_access_slow(struct sim *s, struct sim_thread *t, uint64_t addr, unsigned bytes,
                     enum access_kind kind, unsigned insn)
{
    int quick = -1;

    if (likely((addr & (LINE_SIZE - 1)) + bytes <= LINE_SIZE))
        quick = mmu_quick(t->core, addr, kind);
    if (unlikely(quick < 0)) {
        access_full(s, t, addr, bytes, kind, insn, quick == MMU_QUICK_MISSED);
    } else if (unlikely(quick >= MEM_L3)) {
        struct mmu_event ev = {.tlb = quick & MMU_QUICK_STLB ? TLB_L2_HIT : TLB_L1_HIT,
                               .level = quick & (MMU_QUICK_STLB - 1),
                               .lines = 1};
        s->deep += ev.level >= MEM_L3;
        if (ev.tlb != TLB_L1_HIT || ev.level == MEM_DRAM)
            attribute(s, t, va(addr), insn, &ev);
    }
}

/* -- kernel copies --------------------------------------------------------------------------------------*/

/* One line of a copy. Returns false when the copy ends here, with its exception-table fixup. */
static bool copy_line(struct sim *s, struct sim_thread *t, uint64_t addr, unsigned bytes,
                      const struct kern_copy *c)
{
    struct mmu_event ev;
    struct arch_fault f;
    uint64_t cycles, insn = kern_insn(c->routine);
    enum fault_kind kind;

    for (unsigned i = 0; i < TRIES && insn != 0; i++) {
        if (mmu_access(t->core, va(addr), bytes, c->store ? ACCESS_STORE : ACCESS_LOAD, false, &ev,
                       &f) == 0) {
            STAT(&s->stats, kernel_cycles_copy) +=
                s->level_cost[ev.level] * s->conf.cpu_exposed_kernel / 100;
            if (ev.tlb != TLB_L1_HIT)
                attribute_area(s, va(addr), &ev);
            return true;
        }
        bool well = handle(s, t, &f, &cycles, &kind);
        struct area_cost *area = attrib_area(s, f.cr2);
        lock_fault_done(s, t, kind, NULL, area);
        area->faults++;
        area->fault_cycles += cycles;
        area->walk_cycles +=
            vaddr_is_kernel(f.cr2) ? 0 : ev.walk_cycles; /* the kernel's are in :k */
        if (!well) {
            insn = fixup_exception(s->kern, insn);
            STAT(&s->stats, kernel_cycles_copy) += sim_drain(s, t);
        }
    }
    return false;
}

/* copy_range returns false if it met a bad address. */
static bool copy_range(struct sim *s, struct sim_thread *t, const struct kern_copy *c)
{
    vaddr at = c->addr;
    uint64_t left = c->named_only ? 0 : c->bytes;

    if (!kern_user_address(s->kern, c->routine, c->bytes, &at))
        return false;
    while (left > 0) {
        unsigned bytes = (unsigned)min_u64(left, LINE_SIZE - (at.v & (LINE_SIZE - 1)));
        if (!copy_line(s, t, at.v, bytes, c))
            return false;
        at.v += bytes;
        left -= bytes;
    }
    return true;
}

bool sim_copies(struct sim *s, struct sim_thread *t, int64_t result)
{
    struct kern_copy_run run = {0};
    bool entered = entry_kernel_mode(s, t->core_id);

    entry_window(s, t->core_id, true);
    for (uint32_t i = 0; i < s->copies.n; i++) {
        const struct kern_copy *c = &s->copies.copy[i];
        if (kern_copy_made(&run, c) && !copy_range(s, t, c))
            kern_copy_bad(&run, c, result);
    }
    s->copies.n = 0;
    entry_window(s, t->core_id, false);
    if (entered)
        entry_user_mode(s, t->core_id);
    return !run.bad;
}
