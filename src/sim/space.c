/* space.c: what the kernel decides about TLBs (kern/tlb.h), done on the modelled cores.
 *
 *   ARCH_FLUSH_… ─► kern/tlb.c ─► operations ─┬─ own core:   its cycles are the caller's
 *                                             └─ other core: interrupted; the caller waits for the
 *                                                last, what runs there loses the time
 *
 * Invariants:
 *  I1  Once the operations are done no core that runs an address space holds an entry that its tables do
 *      not grant, nor does it under an ASID that is up to date (space_audit; in the hostile build after
 *      every message).
 *  I2  What a core holds under an ASID is used for the space the ASID belongs to, and no other: CR3 is
 *      only loaded here.
 */
#include "sim/sim_int.h"

#include <stdlib.h>

/* invalidate does one operation and returns its cycles. */
static uint64_t invalidate(struct sim *s, const struct kern_tlb_op *o)
{
    struct mmu_core *core = &s->cores[o->cpu];
    uint64_t n = 0;

    switch ((enum kern_tlb_kind)o->kind) {
    case TLB_OP_CR3:
        if (s->kpti == KPTI_SEPARATE) /* in tables of its own it only has to forget */
            mmu_invpcid(core, 2, 0, va(0));
        else
            mmu_load_cr3(core, o->pgd, o->pcid, !o->flush);
        return o->flush ? s->conf.cost_flush : 0;
    case TLB_OP_INVLPG:
        for (uint64_t a = o->start; a < o->end; a += BIT(o->shift), n++)
            mmu_invlpg(core, va(a));
        return n * s->conf.cost_invlpg;
    case TLB_OP_INVPCID:
        for (uint64_t a = o->start; a < o->end; a += BIT(o->shift), n++)
            mmu_invpcid(core, 0, o->pcid, va(a));
        return n * s->conf.cost_invlpg;
    case TLB_OP_GLOBAL:
        mmu_invpcid(core, 2, 0, va(0));
        return s->conf.cost_flush;
    case TLB_OP_IPI:
        break;
    }
    return 0;
}

/* operate does the operations of one core, from the i-th on. Returns the first that is another's. */
static uint32_t operate(struct sim *s, uint32_t i, uint64_t *ret_cycles)
{
    const struct kern_tlb *k = &s->tlb;
    unsigned cpu = k->op[i].cpu;

    for (*ret_cycles = 0; i < k->n_op && k->op[i].cpu == cpu; i++) {
        kern_tlb_count(k, &k->op[i]);
        *ret_cycles += invalidate(s, &k->op[i]);
    }
    return i;
}

/* handler_cycles: all that an interrupt may add to. */
static uint64_t handler_cycles(const struct sim *s)
{
    return STAT(&s->stats, kernel_cycles_ipi) + STAT(&s->stats, kernel_cycles_entry) +
           STAT(&s->stats, kernel_cycles_kpti);
}

/* interrupt does the operations of a core in its handler: counted there, and for the thread it interrupts, whose
 * time it takes. An idle core loses nothing. */
static uint32_t interrupt(struct sim *s, uint32_t i, uint64_t *ret_cycles)
{
    unsigned cpu = s->tlb.op[i].cpu;
    struct sim_thread *t = s->cpu[cpu].runs;
    struct payee was = account_core(s, cpu);
    uint64_t before = handler_cycles(s);
    bool entered = entry_kernel_mode(s, cpu);

    timeline_core(s, cpu, MOMENT_RECEIVED);
    i = operate(s, i, ret_cycles);
    uint64_t waited = entry_ipi(s, cpu, t);
    if (t) {
        STAT(&s->stats, kernel_cycles_ipi) += s->conf.cost_ipi_receive + *ret_cycles;
        STAT(&s->stats, kernel_cycles_entry) += waited;
    }
    if (entered)
        entry_user_mode(s, cpu);
    if (t)
        lock_stolen(s, t, handler_cycles(s) - before);
    account_back(s, was);
    return i;
}

/* perform does all operations, in order, and returns how long they keep the core that asked. */
static uint64_t perform(struct sim *s)
{
    struct kern_tlb *k = &s->tlb;
    uint64_t own = 0, others = 0, sent = 0, cycles;

    for (uint32_t i = 0; i < k->n_op;) {
        if (k->op[i].kind == TLB_OP_IPI) {
            i = interrupt(s, i, &cycles);
            sent += sent == 0 ? s->conf.cost_ipi : s->conf.cost_ipi_more;
            others = max_u64(others, cycles);
        } else {
            bool entered = entry_kernel_mode(s, k->op[i].cpu);
            unsigned cpu = k->op[i].cpu;
            i = operate(s, i, &cycles);
            own += cycles;
            if (entered)
                entry_user_mode(s, cpu);
        }
    }
    k->n_op = 0;
    return max_u64(own, sent + others);
}

/* space_get returns what the TLBs know of an address space; one that was never loaded is new to them. */
static struct kern_space *space_get(struct sim *s, const struct mm *m)
{
    struct kern_space *x = kern_tlb_space(&s->tlb, mm_id(m));

    if (!x) {
        x = malloc(sizeof(*x));
        ASSERT(x);
        init_new_context(&s->tlb, x, mm_id(m), mm_pt(m)->root);
    }
    return x;
}

void space_switch(struct sim *s, struct sim_thread *t)
{
    const struct kern_cpu_tlb *c = &s->tlb.cpu[t->core_id];

    if (c->loaded_mm->mm == mm_id(t->proc->mm) && !c->is_lazy)
        return;
    switch_mm_irqs_off(&s->tlb, t->core_id, space_get(s, t->proc->mm));
    perform(s);
}

void space_leave(struct sim *s, unsigned cpu, const struct mm *m)
{
    if (s->tlb.cpu[cpu].loaded_mm->mm != mm_id(m))
        return;
    leave_mm(&s->tlb, cpu);
    perform(s);
}

struct kern_space *space_borrow(struct sim *s, unsigned cpu)
{
    struct kern_cpu_tlb *c = &s->tlb.cpu[cpu];
    bool idle = c->is_lazy || c->loaded_mm == &s->tlb.init_mm;

    if (idle)
        return NULL;
    enter_lazy_tlb(&s->tlb, cpu);
    return c->loaded_mm;
}

void space_return(struct sim *s, unsigned cpu, struct kern_space *x)
{
    if (!x)
        return;
    switch_mm_irqs_off(&s->tlb, cpu, x);
    perform(s);
}

/* end_space: its tables are no more. */
static void end_space(struct sim *s, struct kern_space *x)
{
    destroy_context(&s->tlb, x);
    free(x);
}

void spaces_close(struct sim *s)
{
    while (s->tlb.spaces) {
        struct kern_space *x = s->tlb.spaces;
        s->tlb.spaces = x->next;
        free(x);
    }
}

static void tell_timeline(struct sim *s, const struct sim_thread *t)
{
    uint64_t interrupted = 0;

    for (uint32_t i = 0; i < s->tlb.n_op; i++)
        interrupted |= s->tlb.op[i].kind == TLB_OP_IPI ? BIT(s->tlb.op[i].cpu) : 0;
    if (interrupted != 0)
        timeline_at(s, t, MOMENT_SHOOTDOWN, interrupted, 0);
}

uint64_t space_flush(struct sim *s, struct sim_thread *t, unsigned cpu, const struct arch_msg *m)
{
    struct kern_space *ended = m->kind == ARCH_SPACE_END ? kern_tlb_space(&s->tlb, m->mm) : NULL;

    s->tlb.now_ms = s->now_ms;
    if (ended)
        end_space(s, ended);
    else
        kern_tlb_message(&s->tlb, cpu, m);
    if (unlikely(s->timeline))
        tell_timeline(s, t);
    return perform(s);
}

/* asid_audit looks at both halves of an ASID: with isolation the user's, too, but for entries that go at the
 * next exit. Without PCIDs there is what the core's present root granted. */
static int asid_audit(const struct sim *s, unsigned n, unsigned asid, const struct kern_space *x)
{
    const struct mmu_core *core = &s->cores[n];
    unsigned pcid = kern_tlb_pcid(&s->tlb, asid);
    pfn user = {x->pgd.v + 1};

    if (s->kpti == KPTI_OFF)
        return mmu_audit_space(core, pcid, x->pgd);
    if (pcid == 0)
        return mmu_audit_space(core, 0, s->kernel_mode >> n & 1 ? x->pgd : user);
    int broken = mmu_audit_space(core, pcid, x->pgd);
    if (broken == 0 && !(s->tlb.cpu[n].user_pcid_flush >> pcid & 1))
        broken = mmu_audit_space(core, pcid | TLB_USER_PCID, user);
    return broken;
}

int space_audit(const struct sim *s)
{
    int broken = kern_tlb_audit(&s->tlb) != 0 ? 7 : 0;

    for (unsigned n = 0; n < s->conf.cpu_cores && broken == 0; n++)
        for (unsigned asid = 0; asid < TLB_NR_DYN_ASIDS && broken == 0; asid++)
            for (const struct kern_space *x = s->tlb.spaces; x && broken == 0; x = x->next)
                if (kern_tlb_current(&s->tlb, n, asid, x))
                    broken = asid_audit(s, n, asid, x);
    return broken;
}
