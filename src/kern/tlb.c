/* tlb.c: who must forget which translation. Nothing here touches hardware: each function leaves in
 * kern_tlb.op what the cores have to do.
 *
 *   switch to s:  s loaded already?  was lazy and s.tlb_gen moved on ─► flush, else nothing
 *                 an ASID holds s?   its tlb_gen is s's ─► load CR3 with bit 63, else flush
 *                 no                 next_asid (round robin), flush
 *
 *   flush of s:   tlb_gen + 1
 *                 cores of mm_cpumask ─┬─ lazy, no table freed      skipped: they look at tlb_gen later
 *                                      ├─ runs another space        skipped, or its bit is trimmed
 *                                      └─ runs s                    IPI (own core: a call) ─┐
 *                 flush_tlb_func there:  lazy ─► init_mm                                  ◄─┘
 *                     up to date ─► nothing;  one generation behind and a range ─► INVLPG;  else all
 *
 * Invariants:
 *  I1  Every core's bit is set in the mask of the space it has loaded, lazily or not (not init_mm's).
 *  I2  Entries under an ASID belong to the space of its ctx_id, and none of them was to be forgotten
 *      in a generation up to the ASID's tlb_gen.
 *  I3  No two ASIDs of a core have the same ctx_id but 0; the loaded ASID has that of loaded_mm.
 *  I4  No ASID's tlb_gen is beyond its space's.
 *  I5  A core that runs s, and is not lazy, has flushed s up to s.tlb_gen when a flush is done.
 *
 * Not here: LAM, IBPB and L1D flushes at a switch, which change no translation.
 * Source: Linux 6.18 arch/x86/mm/tlb.c, mm/rmap.c (try_to_unmap_flush, set_tlb_ubc_flush_pending).
 */
#include "kern/tlb.h"

#include "base/bits.h"
#include "base/check.h"

#define TRIM_MS 1000u /* HZ jiffies */

/* One flush as it is told to the cores (struct flush_tlb_info). */
struct flush_tlb_info {
    struct kern_space *mm; /* NULL: whichever a core has loaded */
    uint64_t start, end;   /* end TLB_FLUSH_ALL: everything */
    uint64_t new_tlb_gen;  /* the generation it makes; 0: none */
    unsigned cpu;          /* who asks */
    uint8_t shift;
    bool freed_tables, trim_cpumask;
};

/* -- identifiers ------------------------------------------------------------------------------ */

static uint16_t kern_pcid(unsigned asid)
{
    return (uint16_t)(asid + 1);
}

static uint16_t user_pcid(unsigned asid)
{
    return kern_pcid(asid) | TLB_USER_PCID;
}

uint16_t kern_tlb_pcid(const struct kern_tlb *k, unsigned asid)
{
    return k->pcid ? kern_pcid(asid) : 0;
}

static void forget_cpus(struct kern_tlb *k)
{
    for (unsigned n = 0; n < k->cpus; n++) {
        struct kern_cpu_tlb *c = &k->cpu[n];
        *c = (struct kern_cpu_tlb){.loaded_mm = &k->init_mm, .next_asid = 1};
        c->ctxs[0].ctx_id = k->init_mm.ctx_id; /* initialize_tlbstate_and_flush */
    }
}

void kern_tlb_open(struct kern_tlb *k, const struct conf *conf, struct stat_set *stats)
{
    *k = (struct kern_tlb){.stats = stats,
                           .cpus = (unsigned)conf->cpu_cores,
                           .pcid = conf->mmu_pcid != 0,
                           .invpcid = conf->mmu_invpcid != 0,
                           .tlb_single_page_flush_ceiling =
                               conf->kernel_tlb_single_page_flush_ceiling,
                           .last_mm_ctx_id = 1,
                           .init_mm = {.pgd = PFN_NONE, .ctx_id = 1}};
    ASSERT(k->cpus <= TLB_CPUS_MAX);
    forget_cpus(k);
}

void init_new_context(struct kern_tlb *k, struct kern_space *s, uint32_t mm, pfn pgd)
{
    *s = (struct kern_space){.mm = mm,
                             .pgd = pgd,
                             .ctx_id = ++k->last_mm_ctx_id,
                             .next_trim_ms = k->now_ms + TRIM_MS,
                             .next = k->spaces};
    k->spaces = s;
}

void destroy_context(struct kern_tlb *k, struct kern_space *s)
{
    ASSERT(k->n_op == 0);
    for (unsigned n = 0; n < k->cpus; n++)
        if (k->cpu[n].loaded_mm == s)
            switch_mm_irqs_off(k, n, &k->init_mm);
    struct kern_space **p = &k->spaces;
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
}

struct kern_space *kern_tlb_space(const struct kern_tlb *k, uint32_t mm)
{
    struct kern_space *s = k->spaces;
    while (s && s->mm != mm)
        s = s->next;
    return s;
}

/* -- operations ------------------------------------------------------------------------------- */

static struct kern_tlb_op *op(struct kern_tlb *k, enum kern_tlb_kind kind, unsigned cpu)
{
    ASSERT(k->n_op < TLB_OPS_MAX);
    struct kern_tlb_op *o = &k->op[k->n_op++];
    *o = (struct kern_tlb_op){.kind = (uint8_t)kind, .cpu = (uint8_t)cpu};
    return o;
}

void kern_tlb_count(const struct kern_tlb *k, const struct kern_tlb_op *o)
{
    STAT(k->stats, nr_tlb_remote_flush_received) += o->received;
    STAT(k->stats, nr_tlb_local_flush_one) += o->flush_one;
}

/* invalidate_user_asid puts the user half's flush off until the core goes back to it. */
static void invalidate_user_asid(const struct kern_tlb *k, struct kern_cpu_tlb *c, unsigned asid)
{
    if (k->pcid && k->pti)
        c->user_pcid_flush |= (uint16_t)BIT(kern_pcid(asid));
}

static void load_new_mm_cr3(struct kern_tlb *k, unsigned cpu, const struct kern_space *s,
                            unsigned asid, bool flush)
{
    if (flush)
        invalidate_user_asid(k, &k->cpu[cpu], asid);
    struct kern_tlb_op *o = op(k, TLB_OP_CR3, cpu);
    o->pgd = s->pgd;
    o->pcid = kern_tlb_pcid(k, asid);
    o->flush = flush;
}

static void flush_tlb_local(struct kern_tlb *k, unsigned cpu)
{
    const struct kern_cpu_tlb *c = &k->cpu[cpu];
    load_new_mm_cr3(k, cpu, c->loaded_mm, c->loaded_mm_asid, true);
}

static struct kern_tlb_op *flush_addresses(struct kern_tlb *k, enum kern_tlb_kind kind,
                                           unsigned cpu, uint16_t pcid,
                                           const struct flush_tlb_info *f)
{
    struct kern_tlb_op *o = op(k, kind, cpu);
    o->pcid = pcid;
    o->start = f->start;
    o->end = f->end;
    o->shift = f->shift;
    return o;
}

/* flush_tlb_one_user, for each address of the range; `counted` of them are counted by the core. */
static void flush_some_user(struct kern_tlb *k, unsigned cpu, const struct flush_tlb_info *f,
                            uint64_t counted)
{
    struct kern_cpu_tlb *c = &k->cpu[cpu];
    flush_addresses(k, TLB_OP_INVLPG, cpu, 0, f)->flush_one = (uint32_t)counted;
    if (k->pti && k->pcid && k->invpcid)
        flush_addresses(k, TLB_OP_INVPCID, cpu, user_pcid(c->loaded_mm_asid), f);
    else
        invalidate_user_asid(k, c, c->loaded_mm_asid);
}

/* -- switching -------------------------------------------------------------------------------- */

struct new_asid {
    unsigned asid;
    bool need_flush;
};

/* clear_asid_other: what a core held of other spaces has stale entries of the kernel. */
static void clear_asid_other(struct kern_cpu_tlb *c)
{
    for (unsigned asid = 0; asid < TLB_NR_DYN_ASIDS; asid++)
        if (asid != c->loaded_mm_asid)
            c->ctxs[asid].ctx_id = 0;
    c->invalidate_other = false;
}

static struct new_asid choose_new_asid(const struct kern_tlb *k, struct kern_cpu_tlb *c,
                                       const struct kern_space *next)
{
    if (!k->pcid)
        return (struct new_asid){0, true};
    if (c->invalidate_other)
        clear_asid_other(c);
    for (unsigned asid = 0; asid < TLB_NR_DYN_ASIDS; asid++)
        if (c->ctxs[asid].ctx_id == next->ctx_id)
            return (struct new_asid){asid, c->ctxs[asid].tlb_gen < next->tlb_gen};
    if (c->next_asid >= TLB_NR_DYN_ASIDS)
        c->next_asid = 0;
    return (struct new_asid){c->next_asid++, true};
}

static void load(struct kern_tlb *k, unsigned cpu, struct kern_space *next, struct new_asid ns)
{
    struct kern_cpu_tlb *c = &k->cpu[cpu];
    if (ns.need_flush)
        c->ctxs[ns.asid] = (struct kern_tlb_context){next->ctx_id, next->tlb_gen};
    load_new_mm_cr3(k, cpu, next, ns.asid, ns.need_flush);
    c->loaded_mm = next;
    c->loaded_mm_asid = (uint16_t)ns.asid;
}

void switch_mm_irqs_off(struct kern_tlb *k, unsigned cpu, struct kern_space *next)
{
    struct kern_cpu_tlb *c = &k->cpu[cpu];
    bool was_lazy = c->is_lazy;
    c->is_lazy = false;
    if (c->loaded_mm != next) {
        if (next != &k->init_mm)
            next->cpumask |= BIT(cpu);
        load(k, cpu, next, choose_new_asid(k, c, next));
    } else if (was_lazy && c->ctxs[c->loaded_mm_asid].tlb_gen != next->tlb_gen) {
        load(k, cpu, next, (struct new_asid){c->loaded_mm_asid, true});
    }
}

void enter_lazy_tlb(struct kern_tlb *k, unsigned cpu)
{
    if (k->cpu[cpu].loaded_mm != &k->init_mm)
        k->cpu[cpu].is_lazy = true;
}

void leave_mm(struct kern_tlb *k, unsigned cpu)
{
    if (k->cpu[cpu].loaded_mm != &k->init_mm)
        switch_mm_irqs_off(k, cpu, &k->init_mm);
}

/* -- flushing --------------------------------------------------------------------------------- */

/* catch_up brings a core that runs the space up to its last generation. */
static void catch_up(struct kern_tlb *k, unsigned cpu, const struct flush_tlb_info *f)
{
    struct kern_cpu_tlb *c = &k->cpu[cpu];
    uint64_t *local = &c->ctxs[c->loaded_mm_asid].tlb_gen, gen = c->loaded_mm->tlb_gen;
    bool own = cpu == f->cpu;

    if (f->new_tlb_gen != 0 && f->new_tlb_gen <= *local)
        return;
    if (*local == gen)
        return;
    if (f->end != TLB_FLUSH_ALL && f->new_tlb_gen == *local + 1 && f->new_tlb_gen == gen) {
        flush_some_user(k, cpu, f, own ? (f->end - f->start) >> f->shift : 0);
    } else {
        flush_tlb_local(k, cpu);
        STAT(k->stats, nr_tlb_local_flush_all) += own;
    }
    *local = gen;
}

static void flush_tlb_func(struct kern_tlb *k, unsigned cpu, const struct flush_tlb_info *f)
{
    const struct kern_cpu_tlb *c = &k->cpu[cpu];

    if (f->mm && f->mm != c->loaded_mm)
        f->mm->cpumask &= ~BIT(cpu);
    else if (c->loaded_mm == &k->init_mm)
        return;
    else if (c->is_lazy)
        switch_mm_irqs_off(k, cpu, &k->init_mm);
    else
        catch_up(k, cpu, f);
}

static bool should_flush_tlb(const struct kern_tlb *k, unsigned cpu, const struct flush_tlb_info *f)
{
    const struct kern_cpu_tlb *c = &k->cpu[cpu];

    if (c->is_lazy)
        return false;
    return !f->mm || c->loaded_mm == f->mm || f->trim_cpumask;
}

/* flush_tlb_multi: the others are interrupted first, then the own core does its part and waits. */
static void flush_tlb_multi(struct kern_tlb *k, uint64_t cpumask, const struct flush_tlb_info *f)
{
    uint64_t todo = 0;

    STAT(k->stats, nr_tlb_remote_flush)++;
    for (unsigned n = 0; n < k->cpus; n++)
        if (cpumask >> n & 1 && (f->freed_tables || should_flush_tlb(k, n, f)))
            todo |= BIT(n);
    for (unsigned n = 0; n < k->cpus; n++)
        if (todo >> n & 1 && n != f->cpu) {
            op(k, TLB_OP_IPI, n)->received = true;
            flush_tlb_func(k, n, f);
        }
    if (todo >> f->cpu & 1)
        flush_tlb_func(k, f->cpu, f);
}

/* whole turns a range of more pages than are worth it into everything. */
static void whole(const struct kern_tlb *k, struct flush_tlb_info *f)
{
    if ((f->end - f->start) >> f->shift <= k->tlb_single_page_flush_ceiling)
        return;
    f->start = 0;
    f->end = TLB_FLUSH_ALL;
}

static bool should_trim_cpumask(const struct kern_tlb *k, struct kern_space *s)
{
    if (k->now_ms <= s->next_trim_ms)
        return false;
    s->next_trim_ms = k->now_ms + TRIM_MS;
    return true;
}

void flush_tlb_mm_range(struct kern_tlb *k, unsigned cpu, struct kern_space *s, uint64_t start,
                        uint64_t end, unsigned shift, bool freed_tables)
{
    ASSERT(k->n_op == 0);
    struct flush_tlb_info f = {.mm = s,
                               .start = start,
                               .end = end,
                               .shift = (uint8_t)shift,
                               .freed_tables = freed_tables,
                               .new_tlb_gen = ++s->tlb_gen,
                               .cpu = cpu};
    whole(k, &f);
    if (s->cpumask & ~BIT(cpu)) {
        f.trim_cpumask = should_trim_cpumask(k, s);
        flush_tlb_multi(k, s->cpumask, &f);
    } else if (s == k->cpu[cpu].loaded_mm) {
        flush_tlb_func(k, cpu, &f);
    }
}

void flush_tlb_mm(struct kern_tlb *k, unsigned cpu, struct kern_space *s)
{
    flush_tlb_mm_range(k, cpu, s, 0, TLB_FLUSH_ALL, 0, true);
}

/* -- flushes that reclaim puts off ------------------------------------------------------------ */

void unmap_flush(struct kern_tlb *k, unsigned cpu, struct kern_space *s, uint64_t start,
                 uint64_t end, bool dirty)
{
    struct kern_tlb_batch *b = &k->batch;

    if ((s->cpumask & ~BIT(cpu)) == 0) { /* should_defer_flush */
        flush_tlb_mm_range(k, cpu, s, start, end, PAGE_SHIFT, false);
        return;
    }
    s->tlb_gen++; /* arch_tlbbatch_add_pending */
    s->unmapped++;
    b->cpumask |= s->cpumask;
    b->flush_required = true;
    b->writable |= dirty;
}

/* arch_tlbbatch_flush */
static void batch_flush(struct kern_tlb *k, unsigned cpu, uint64_t cpumask)
{
    const struct flush_tlb_info f = {.end = TLB_FLUSH_ALL, .cpu = cpu};

    if (cpumask & ~BIT(cpu))
        flush_tlb_multi(k, cpumask, &f);
    else if (cpumask & BIT(cpu))
        flush_tlb_func(k, cpu, &f);
}

void try_to_unmap_flush(struct kern_tlb *k, unsigned cpu)
{
    ASSERT(k->n_op == 0);
    if (k->batch.flush_required)
        batch_flush(k, cpu, k->batch.cpumask);
    k->batch = (struct kern_tlb_batch){0};
}

void try_to_unmap_flush_dirty(struct kern_tlb *k, unsigned cpu)
{
    if (k->batch.writable)
        try_to_unmap_flush(k, cpu);
}

void flush_tlb_batched_pending(struct kern_tlb *k, unsigned cpu, struct kern_space *s)
{
    if (s->unmapped == s->caught_up)
        return;
    flush_tlb_mm(k, cpu, s);
    s->caught_up = s->unmapped;
}

/* -- the kernel's own addresses --------------------------------------------------------------- */

/* everything is do_flush_tlb_all on every core (on_each_cpu: the asking one is the last). */
static void everything(struct kern_tlb *k, unsigned cpu)
{
    for (unsigned n = 0; n < k->cpus; n++)
        if (n != cpu) {
            op(k, TLB_OP_IPI, n);
            op(k, TLB_OP_GLOBAL, n)->received = true;
        }
    op(k, TLB_OP_GLOBAL, cpu)->received = true; /* the own core counts itself */
}

/* kernel_pages is do_kernel_range_flush on one core. INVLPG takes global entries with it; with KPTI
 * there are none, and what other ASIDs hold goes when they are loaded next. */
static void kernel_pages(struct kern_tlb *k, unsigned cpu, const struct flush_tlb_info *f)
{
    flush_some_user(k, cpu, f, div_up(f->end - f->start, PAGE_SIZE));
    k->cpu[cpu].invalidate_other |= k->pti;
}

void flush_tlb_kernel_range(struct kern_tlb *k, unsigned cpu, uint64_t start, uint64_t end)
{
    struct flush_tlb_info f = {.start = start, .end = end, .shift = PAGE_SHIFT, .cpu = cpu};

    ASSERT(k->n_op == 0);
    whole(k, &f);
    if (f.end == TLB_FLUSH_ALL) {
        everything(k, cpu);
        return;
    }
    for (unsigned n = 0; n < k->cpus; n++)
        if (n != cpu) {
            op(k, TLB_OP_IPI, n);
            kernel_pages(k, n, &f);
        }
    kernel_pages(k, cpu, &f);
}

/* -- messages --------------------------------------------------------------------------------- */

void kern_tlb_message(struct kern_tlb *k, unsigned cpu, const struct arch_msg *m)
{
    struct kern_space *s = m->mm != 0 ? kern_tlb_space(k, m->mm) : NULL;

    if (m->kind == ARCH_FLUSH_KERNEL)
        flush_tlb_kernel_range(k, cpu, m->a, m->b);
    else if (m->kind == ARCH_FLUSH_BATCH && m->n)
        try_to_unmap_flush_dirty(k, cpu);
    else if (m->kind == ARCH_FLUSH_BATCH)
        try_to_unmap_flush(k, cpu);
    else if (!s) /* never loaded: nobody has an entry of it */
        return;
    else if (m->kind == ARCH_FLUSH_RANGE)
        flush_tlb_mm_range(k, cpu, s, m->a, m->b, m->n, m->tables);
    else if (m->kind == ARCH_FLUSH_ALL)
        flush_tlb_mm(k, cpu, s);
    else if (m->kind == ARCH_FLUSH_UNMAP)
        unmap_flush(k, cpu, s, m->a, m->b, m->n);
    else if (m->kind == ARCH_FLUSH_LATE)
        flush_tlb_batched_pending(k, cpu, s);
}

/* -- KPTI ------------------------------------------------------------------------------------- */

uint16_t switch_to_user_cr3(struct kern_tlb *k, unsigned cpu, bool *ret_flush)
{
    struct kern_cpu_tlb *c = &k->cpu[cpu];
    uint16_t put_off = c->user_pcid_flush & (uint16_t)BIT(kern_pcid(c->loaded_mm_asid));

    ASSERT(k->pti);
    *ret_flush = !k->pcid || put_off != 0;
    c->user_pcid_flush &= (uint16_t)~put_off;
    return k->pcid ? user_pcid(c->loaded_mm_asid) : 0;
}

uint16_t switch_to_kernel_cr3(const struct kern_tlb *k, unsigned cpu, bool *ret_flush)
{
    ASSERT(k->pti);
    *ret_flush = !k->pcid;
    return kern_tlb_pcid(k, k->cpu[cpu].loaded_mm_asid);
}

/* -- audit ------------------------------------------------------------------------------------ */

bool kern_tlb_current(const struct kern_tlb *k, unsigned cpu, unsigned asid,
                      const struct kern_space *s)
{
    const struct kern_tlb_context *x = &k->cpu[cpu].ctxs[asid];

    return x->ctx_id == s->ctx_id && x->tlb_gen == s->tlb_gen;
}

static const struct kern_space *by_ctx_id(const struct kern_tlb *k, uint64_t ctx_id)
{
    const struct kern_space *s = k->spaces;
    while (s && s->ctx_id != ctx_id)
        s = s->next;
    return s;
}

static int asids_audit(const struct kern_tlb *k, const struct kern_cpu_tlb *c)
{
    for (unsigned a = 0; a < TLB_NR_DYN_ASIDS; a++) {
        const struct kern_tlb_context *x = &c->ctxs[a];
        const struct kern_space *s = by_ctx_id(k, x->ctx_id);
        for (unsigned b = 0; b < a; b++)
            if (x->ctx_id != 0 && c->ctxs[b].ctx_id == x->ctx_id)
                return 3;
        if (s && x->tlb_gen > s->tlb_gen)
            return 4;
    }
    return c->ctxs[c->loaded_mm_asid].ctx_id != c->loaded_mm->ctx_id ? 3 : 0;
}

int kern_tlb_audit(const struct kern_tlb *k)
{
    for (unsigned n = 0; n < k->cpus; n++) {
        const struct kern_cpu_tlb *c = &k->cpu[n];
        const struct kern_space *s = c->loaded_mm;
        int broken = asids_audit(k, c);
        if (broken != 0)
            return broken;
        if (s == &k->init_mm)
            continue;
        if (!(s->cpumask >> n & 1))
            return 1;
        if (!c->is_lazy && !k->batch.flush_required &&
            !kern_tlb_current(k, n, c->loaded_mm_asid, s))
            return 5;
    }
    return 0;
}
