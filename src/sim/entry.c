/* entry.c: entries into the kernel and exits, as the hardware sees them.
 *
 *   entry_begin ─► with isolation: CR3 of the kernel
 *        │      ─► text, stack, data of the kind of entry ─► TLBs and caches of the core (:k counters)
 *        │          what missed costs cycles: kernel_cycles.entry
 *        ▼
 *   the kernel works (outbox: entries, zeroing, copies: through the direct map)
 *        ▼
 *   entry_end ─► with isolation: CR3 of the user, the root behind the kernel's
 *
 * kernel.kpti=separate: the kernel's CR3 is that of its own tables, which do not map the program; what it
 * copies from or to the program it copies under the process's tables. All is flushed at each change.
 *
 * cost.syscall, cost.fault.entry … are those of an entry that finds everything in L1 and the
 * first-level TLBs; only what it does not find there is added here, so nothing is counted twice.
 *
 * Invariants:
 *  I1  Begins and ends pair, at most NEST deep.
 *  I2  Without kernel.footprint no line and no translation of the kernel's half is touched.
 *  I3  With isolation a core runs words of a thread under its user root, all else under the kernel's:
 *      sim.kernel_mode has its bit then. So CR3 is written once on the way in and once on the way out.
 *      A thread that leaves its core leaves it inside the kernel, and who comes goes on from there: a
 *      sleep in a call, or a tick that takes the core away, writes no more than the call or tick alone.
 */
#include "sim/sim_int.h"

#include "kern/entry.h"

_Static_assert((int)TOUCH_LOAD == ACCESS_LOAD && (int)TOUCH_STORE == ACCESS_STORE &&
                   (int)TOUCH_FETCH == ACCESS_FETCH,
               "kern and mmu name accesses alike");

/* -- cycles ------------------------------------------------------------------------------------- */

/* exposed returns what accesses of one kind cost that do not wait for another. */
static uint64_t exposed(const struct conf *c, enum access_kind kind,
                        const struct mmu_kernel_cost *x)
{
    const uint64_t share[] = {[ACCESS_LOAD] = c->cpu_exposed_load,
                              [ACCESS_STORE] = c->cpu_exposed_store,
                              [ACCESS_FETCH] = c->cpu_exposed_fetch};
    return x->line_cycles * share[kind] / 100 + cpu_translation(c, x->stlb_hits, x->walk_cycles);
}

static uint64_t touch(struct sim *s, struct mmu_core *core, const struct kern_touch *t, uint32_t n)
{
    struct mmu_kernel_cost cost[3] = {{0}};

    for (uint32_t i = 0; i < n; i++)
        mmu_kernel_lines(core, t[i].page, t[i].lines, (enum access_kind)t[i].kind,
                         &cost[t[i].kind]);
    return exposed(&s->conf, ACCESS_LOAD, &cost[ACCESS_LOAD]) +
           exposed(&s->conf, ACCESS_STORE, &cost[ACCESS_STORE]) +
           exposed(&s->conf, ACCESS_FETCH, &cost[ACCESS_FETCH]);
}

/* footprint touches what an entry of that kind always touches, and returns the cycles it waited. */
static uint64_t footprint(struct sim *s, unsigned cpu, uint32_t tid, enum kern_entry e, uint64_t nr)
{
    struct kern_touch t[KERN_TOUCHES_MAX];

    if (!s->conf.kernel_footprint)
        return 0;
    uint64_t cycles = touch(s, &s->cores[cpu], t, kern_entry_text(s->kern, e, nr, t));
    return cycles + touch(s, &s->cores[cpu], t, kern_entry_data(s->kern, e, cpu, tid, t));
}

/* -- boot ---------------------------------------------------------------------------------------------- */

void entry_open(struct sim *s)
{
    uint64_t flushes = STAT(&s->stats, tlb_flush_full);

    s->kpti = kern_kpti(&s->conf);
    s->tlb.pti = s->kpti != KPTI_OFF;
    s->tlb.init_mm.pgd = kern_root(s->kern);
    s->kernel_mode = s->tlb.pti ? ~UINT64_C(0) >> (64 - s->conf.cpu_cores) : 0;
    for (unsigned n = 0; n < s->conf.cpu_cores; n++)
        mmu_load_cr3(&s->cores[n], s->tlb.init_mm.pgd, kern_tlb_pcid(&s->tlb, 0), true);
    STAT(&s->stats, tlb_flush_full) = flushes; /* there was nothing to flush */
}

/* -- isolation ---------------------------------------------------------------------------------------- */

static void load_cr3(struct sim *s, unsigned cpu, pfn root, unsigned pcid, bool flush)
{
    struct mmu_core *core = &s->cores[cpu];

    STAT(&s->stats, kpti_switches)++;
    STAT(&s->stats, kernel_cycles_kpti) += s->conf.cost_cr3;
    if (s->kpti == KPTI_SEPARATE)
        mmu_invpcid(core, 2, 0, va(0));
    mmu_load_cr3(core, root, pcid, !flush);
}

bool entry_kernel_mode(struct sim *s, unsigned cpu)
{
    const struct kern_cpu_tlb *c = &s->tlb.cpu[cpu];
    bool flush;

    if (s->kpti == KPTI_OFF || s->kernel_mode >> cpu & 1)
        return false;
    s->kernel_mode |= BIT(cpu);
    if (c->loaded_mm == &s->tlb.init_mm)
        return true; /* no program there: the kernel's CR3 it has */
    uint16_t pcid = switch_to_kernel_cr3(&s->tlb, cpu, &flush);
    if (s->kpti == KPTI_SEPARATE)
        load_cr3(s, cpu, kern_root(s->kern), 0, true);
    else
        load_cr3(s, cpu, c->loaded_mm->pgd, pcid, flush);
    return true;
}

void entry_user_mode(struct sim *s, unsigned cpu)
{
    const struct kern_cpu_tlb *c = &s->tlb.cpu[cpu];
    bool flush;

    if (s->kpti == KPTI_OFF || !(s->kernel_mode >> cpu & 1))
        return;
    s->kernel_mode &= ~BIT(cpu);
    if (c->loaded_mm == &s->tlb.init_mm)
        return;
    uint16_t pcid = switch_to_user_cr3(&s->tlb, cpu, &flush);
    load_cr3(s, cpu, (pfn){c->loaded_mm->pgd.v + 1}, pcid, flush);
}

void entry_window(struct sim *s, unsigned cpu, bool open)
{
    pfn root = open ? s->tlb.cpu[cpu].loaded_mm->pgd : kern_root(s->kern);

    if (s->kpti == KPTI_SEPARATE)
        load_cr3(s, cpu, root, 0, true);
}

/* -- the tick and the switch --------------------------------------------------------------------------------------- */

/* interrupted: an interrupt comes, on top of what the thread's stack holds. */
static void interrupted(struct sim *s, unsigned cpu, uint32_t tid)
{
    kern_interrupt(s->kern, cpu, tid);
    if (unlikely(kern_double_fault(s->kern)))
        entry_double_fault(s, cpu);
}

void entry_tick(struct sim *s, struct sim_thread *t)
{
    STAT(&s->stats, timer_interrupts)++;
    entry_kernel_mode(s, t->core_id);
    interrupted(s, t->core_id, t->tid);
    if (!s->conf.kernel_footprint)
        return;
    STAT(&s->stats, kernel_cycles_timer) +=
        s->conf.cost_timer + footprint(s, t->core_id, t->tid, ENTRY_TIMER, 0);
}

void entry_nmi(struct sim *s, struct sim_thread *t)
{
    bool entered = entry_kernel_mode(s, t->core_id);

    STAT(&s->stats, nmi_interrupts)++;
    STAT(&s->stats, kernel_cycles_nmi) +=
        s->conf.cost_nmi + footprint(s, t->core_id, t->tid, ENTRY_NMI, 0);
    if (entered)
        entry_user_mode(s, t->core_id);
}

void entry_double_fault(struct sim *s, unsigned cpu)
{
    STAT(&s->stats, kernel_cycles_entry) += footprint(s, cpu, 0, ENTRY_DF, 0);
}

void entry_kthread(struct sim *s, unsigned cpu, bool preempts)
{
    uint64_t cycles = footprint(s, cpu, 0, ENTRY_SWITCH, 0);

    STAT(&s->stats, kernel_cycles_switch) += preempts ? cycles : 0;
}

void entry_switch(struct sim *s, struct sim_thread *t)
{
    STAT(&s->stats, kernel_cycles_switch) += s->conf.cost_switch;
    if (pfn_is_none(t->core->root)) /* a program that starts has no page tables yet */
        return;
    entry_kernel_mode(s, t->core_id); /* it is: who left went through the kernel */
    STAT(&s->stats, kernel_cycles_switch) += footprint(s, t->core_id, t->tid, ENTRY_SWITCH, 0);
}

/* -- entries ------------------------------------------------------------------------------------------ */

void entry_begin(struct sim *s, struct sim_thread *t, enum kern_entry e, uint64_t nr)
{
    entry_kernel_mode(s, t->core_id);
    uint64_t cycles = footprint(s, t->core_id, t->tid, e, nr);

    if (e == ENTRY_SYSCALL)
        cycles += footprint(s, t->core_id, t->tid, ENTRY_CALL, nr);
    STAT(&s->stats, kernel_cycles_entry) += cycles;
    CHECK(t->entries < ARRAY_LEN(t->entry_bytes)); /* I1 */
    t->entry_bytes[t->entries++] = kern_enter(s->kern, e, t->tid);
    if (unlikely(kern_double_fault(s->kern)))
        entry_double_fault(s, t->core_id);
}

void entry_end(struct sim *s, struct sim_thread *t)
{
    CHECK(t->entries > 0);
    kern_leave(s->kern, t->tid, t->entry_bytes[--t->entries]);
    if (t->entries == 0 && sched_stays(s, t))
        entry_user_mode(s, t->core_id);
}

uint64_t entry_ipi(struct sim *s, unsigned cpu, const struct sim_thread *t)
{
    uint32_t tid = t ? t->tid : 0;

    interrupted(s, cpu, tid);
    return footprint(s, cpu, tid, ENTRY_IPI, 0);
}

uint64_t entry_direct(struct sim *s, struct mmu_core *core, paddr a, uint64_t bytes, bool store,
                      uint64_t *ret_lines)
{
    struct mmu_kernel_cost cost = {0};
    enum access_kind kind = store ? ACCESS_STORE : ACCESS_LOAD;

    /* beside the program: what it leaves in the caches */
    bool elsewhere = s->kpti != KPTI_OFF && !(s->kernel_mode >> (core - s->cores) & 1);

    if (!s->conf.kernel_footprint || elsewhere) {
        *ret_lines += mmu_kernel(core, a, bytes, store);
        return 0;
    }
    mmu_kernel_virt(core, kern_direct(s->kern, a), bytes, kind, &cost);
    if (bytes >= PAGE_SIZE) /* a whole page: its struct page is looked at, too */
        mmu_kernel_virt(core, kern_page(s->kern, (pfn){a.v >> PAGE_SHIFT}), 64, ACCESS_STORE,
                        &cost);
    *ret_lines += cost.line_cycles;
    return cpu_translation(&s->conf, cost.stlb_hits, cost.walk_cycles);
}
