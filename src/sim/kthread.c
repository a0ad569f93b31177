/* kthread.c: threads of the kernel's own on the cores: kswapd, kcompactd, khugepaged, the flusher's kworker.
 *
 *                         ┌─ an idle core: lazy already ──────────────┐
 *   ARCH_TASK: who, node ─┤                                           ├─► its work there ─► ARCH_TASK: caller
 *                         └─ none: a thread's, which it preempts ─────┘       │
 *                            enter_lazy_tlb … switch_mm back ◄─────────────────┘
 *
 * Their work takes no virtual time, as all work of the kernel here; it comes at the moment at which virtual time
 * passes theirs. What it does happens on the core it has: lines go through that core's caches, entries of the
 * kernel's half into its TLBs; invalidations interrupt the cores that run the address space, and the lazy core
 * itself is skipped, or gives the tables back when page tables are freed.
 *
 * Invariants:
 *  I1  One works at a time, within one drain of the outbox.
 *  I2  A thread that was preempted has its own tables again, with all that was flushed meanwhile, before it goes on.
 *
 * Source: Linux 6.18 mm/vmscan.c (kswapd: cpumask_of_node), mm/compaction.c, mm/khugepaged.c, kernel/sched/core.c
 * (context_switch: enter_lazy_tlb), arch/x86/mm/tlb.c.
 */
#include "sim/sim_int.h"

/* allowed returns the cores that a thread may have: a node's, if it has some, else all. */
static uint64_t allowed(const struct sim *s, const struct arch_msg *m)
{
    uint64_t all = ~UINT64_C(0) >> (64 - s->sched.cores), cpus = 0;

    if (m->n != TASK_KSWAPD && m->n != TASK_KCOMPACTD)
        return all;
    for (unsigned n = 0; n < s->sched.cores; n++)
        cpus |= s->sched.core[n].node == m->a ? BIT(n) : 0;
    return cpus != 0 ? cpus : all;
}

/* core_for: an idle core, counted up from the one where it is asked for; none idle: the first it may have. */
static unsigned core_for(const struct sim *s, unsigned from, uint64_t cpus)
{
    unsigned first = from;
    bool found = false;

    for (unsigned i = 0; i < s->sched.cores; i++) {
        unsigned n = (from + i) % s->sched.cores;
        if (!(cpus >> n & 1))
            continue;
        if (!s->cpu[n].runs)
            return n;
        first = found ? first : n;
        found = true;
    }
    return first;
}

/* comes: it takes a core. Who ran there pays for two switches, and for what is cold then. */
static void comes(struct sim *s, struct sim_thread *t, const struct arch_msg *m)
{
    struct kthread *k = &s->kthread;

    *k = (struct kthread){
        .runs = true, .cpu = core_for(s, t->core_id, allowed(s, m)), .was = s->payee};
    const struct sim_thread *preempted = s->cpu[k->cpu].runs;
    account_core(s, k->cpu);
    STAT(&s->stats, kthread_runs)++;
    STAT(&s->stats, kthread_preempts) += preempted != NULL;
    k->entered = entry_kernel_mode(s, k->cpu);
    STAT(&s->stats, kernel_cycles_switch) += preempted ? 2 * s->conf.cost_switch : 0;
    k->mm = space_borrow(s, k->cpu);
    entry_kthread(s, k->cpu, preempted != NULL);
    account_back(s, (struct payee){NULL, k->cpu}); /* its work is nobody's */
}

/* goes: who was preempted goes on. */
static void goes(struct sim *s)
{
    struct kthread *k = &s->kthread;

    account_core(s, k->cpu);
    space_return(s, k->cpu, k->mm);
    if (k->entered)
        entry_user_mode(s, k->cpu);
    account_back(s, k->was);
    k->runs = false;
}

void kthread_task(struct sim *s, struct sim_thread *t, const struct arch_msg *m)
{
    if (s->kthread.runs)
        goes(s);
    if (m->n != TASK_CALLER)
        comes(s, t, m);
}
