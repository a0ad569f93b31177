/* entry.c: entries into the kernel and exits, as the hardware sees them.
 *
 *   entry_begin ─► text, stack, data of the kind of entry ─► TLBs and caches of the core (:k counters)
 *        │          what missed costs cycles: kernel_cycles.entry
 *        ▼
 *   the kernel works (outbox: entries, zeroing, copies: through the direct map)
 *        ▼
 *   entry_end
 *
 * cost.syscall, cost.fault.entry … are those of an entry that finds everything in L1 and the
 * first-level TLBs; only what it does not find there is added here, so nothing is counted twice.
 *
 * Invariants:
 *  I1  Begins and ends pair, at most NEST deep.
 *  I2  Without kernel.footprint no line and no translation of the kernel's half is touched.
 */
#include "sim/sim_int.h"

#include "kern/entry.h"

_Static_assert((int)TOUCH_LOAD == ACCESS_LOAD && (int)TOUCH_STORE == ACCESS_STORE &&
                   (int)TOUCH_FETCH == ACCESS_FETCH,
               "kern and mmu name accesses alike");

#define NO_TICK UINT64_MAX

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

/* -- the tick --------------------------------------------------------------------------------------- */

static uint64_t period(const struct sim *s, const struct sim_thread *t)
{
    return max_u64(UINT64_C(1000000000000) / s->conf.kernel_hz / max_u64(t->insn_ps, 1), 1);
}

void entry_thread_open(struct sim *s, struct sim_thread *t)
{
    t->tick_at = s->conf.kernel_footprint ? period(s, t) : NO_TICK;
}

void entry_tick(struct sim *s, struct sim_thread *t)
{
    t->tick_at += period(s, t);
    STAT(&s->stats, timer_interrupts)++;
    kern_interrupt(s->kern, t->core_id, t->tid);
    STAT(&s->stats, kernel_cycles_timer) +=
        s->conf.cost_timer + footprint(s, t->core_id, t->tid, ENTRY_TIMER, 0);
}

/* -- entries ------------------------------------------------------------------------------------------ */

void entry_begin(struct sim *s, struct sim_thread *t, enum kern_entry e, uint64_t nr)
{
    uint64_t cycles = footprint(s, t->core_id, t->tid, e, nr);

    if (e == ENTRY_SYSCALL)
        cycles += footprint(s, t->core_id, t->tid, ENTRY_CALL, nr);
    STAT(&s->stats, kernel_cycles_entry) += cycles;
    CHECK(t->entries < ARRAY_LEN(t->entry_bytes)); /* I1 */
    t->entry_bytes[t->entries++] = kern_enter(s->kern, e, t->tid);
    if (unlikely(sim_thread_instructions(t) >= t->tick_at)) /* it fell into this entry */
        entry_tick(s, t);
}

void entry_end(struct sim *s, struct sim_thread *t)
{
    CHECK(t->entries > 0);
    kern_leave(s->kern, t->tid, t->entry_bytes[--t->entries]);
}

uint64_t entry_direct(struct sim *s, struct mmu_core *core, paddr a, uint64_t bytes, bool store,
                      uint64_t *ret_lines)
{
    struct mmu_kernel_cost cost = {0};
    enum access_kind kind = store ? ACCESS_STORE : ACCESS_LOAD;

    if (!s->conf.kernel_footprint) {
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
