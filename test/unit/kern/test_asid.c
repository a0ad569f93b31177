/* test_asid.c: address-space identifiers and flushes: closed forms of recycling, and random switches
 * and flushes against the naive oracle. */
/* links: kern */
#include "base/bits.h"
#include "base/rng.h"
#include "kern/tlb.h"
#include "ref/ref_asid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef PW_CHECKS
#define STEPS 60000u
#else
#define STEPS 400000u
#endif

#define SPACES 12

struct machine {
    struct conf conf;
    struct stat_set stats;
    struct kern_tlb k;
    struct kern_space space[SPACES];
};

static void machine_open(struct machine *m, unsigned cores, bool pcid)
{
    conf_init(&m->conf);
    m->conf.cpu_cores = cores;
    m->conf.mmu_pcid = pcid;
    memset(&m->stats, 0, sizeof(m->stats));
    kern_tlb_open(&m->k, &m->conf, &m->stats);
    for (unsigned i = 0; i < SPACES; i++)
        init_new_context(&m->k, &m->space[i], i + 1, (pfn){100 + i});
}

static struct machine *fresh(unsigned cores, bool pcid)
{
    static struct machine m;
    machine_open(&m, cores, pcid);
    return &m;
}

/* done takes the operations as carried out and returns how many CR3 loads among them flushed. */
static unsigned done(struct kern_tlb *k)
{
    unsigned flushes = 0;
    for (unsigned i = 0; i < k->n_op; i++) {
        kern_tlb_count(k, &k->op[i]);
        flushes += k->op[i].kind == TLB_OP_CR3 && k->op[i].flush;
    }
    k->n_op = 0;
    assert_int_equal(kern_tlb_audit(k), 0);
    return flushes;
}

static unsigned run(struct machine *m, unsigned cpu, unsigned space)
{
    switch_mm_irqs_off(&m->k, cpu, &m->space[space]);
    return done(&m->k);
}

/* -- switching -------------------------------------------------------------------------------- */

static void round_robin_flushes_once_each_up_to_six_spaces_and_always_beyond(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 10; n++) {
        struct machine *m = fresh(1, true);
        unsigned flushes = 0, rounds = 50;
        for (unsigned i = 0; i < rounds * n; i++)
            flushes += run(m, 0, i % n);
        assert_int_equal(flushes, n <= TLB_NR_DYN_ASIDS ? n : rounds * n);
    }
}

static void without_pcid_every_switch_to_another_space_flushes(void **state)
{
    (void)state;
    struct machine *m = fresh(1, false);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(run(m, 0, i % 2), 1);
    assert_int_equal(run(m, 0, 1), 0); /* another thread of the same process */
}

static void pcid_is_the_asid_plus_one_and_stays_with_its_space(void **state)
{
    (void)state;
    struct machine *m = fresh(1, true);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 5; i++) {
            switch_mm_irqs_off(&m->k, 0, &m->space[i]);
            assert_int_equal(m->k.n_op, 1);
            assert_int_equal(m->k.op[0].pcid, i + 2); /* 1 is the kernel's own, from boot */
            assert_int_equal(m->k.op[0].pgd.v, 100 + i);
            done(&m->k);
        }
}

static void a_space_flushed_elsewhere_is_flushed_when_it_comes_back(void **state)
{
    (void)state;
    struct machine *m = fresh(2, true);
    run(m, 0, 0);
    run(m, 1, 0);
    run(m, 0, 1);
    flush_tlb_mm_range(&m->k, 1, &m->space[0], 0, PAGE_SIZE, PAGE_SHIFT, false);
    assert_int_equal(m->k.n_op, 1); /* core 0 runs another: no interrupt */
    assert_int_equal(m->k.op[0].kind, TLB_OP_INVLPG);
    done(&m->k);
    assert_int_equal(STAT(&m->stats, nr_tlb_remote_flush), 1);
    assert_int_equal(STAT(&m->stats, nr_tlb_remote_flush_received), 0);
    assert_int_equal(run(m, 0, 0), 1);
    run(m, 0, 1);
    assert_int_equal(run(m, 0, 0), 0);
}

/* -- lazy cores ------------------------------------------------------------------------------- */

static void lazy_core_is_spared_and_flushes_when_the_space_goes_on(void **state)
{
    (void)state;
    struct machine *m = fresh(2, true);
    run(m, 0, 0);
    run(m, 1, 0);
    enter_lazy_tlb(&m->k, 1);
    assert_int_equal(run(m, 1, 0), 0); /* nothing happened meanwhile */
    enter_lazy_tlb(&m->k, 1);
    flush_tlb_mm_range(&m->k, 0, &m->space[0], 0, PAGE_SIZE, PAGE_SHIFT, false);
    assert_int_equal(m->k.n_op, 1);
    assert_int_equal(m->k.op[0].cpu, 0);
    done(&m->k);
    assert_int_equal(run(m, 1, 0), 1);
}

static void lazy_core_leaves_when_tables_are_freed(void **state)
{
    (void)state;
    struct machine *m = fresh(2, true);
    m->k.init_mm.pgd = (pfn){7};
    run(m, 0, 0);
    run(m, 1, 0);
    enter_lazy_tlb(&m->k, 1);
    flush_tlb_mm_range(&m->k, 0, &m->space[0], 0, PAGE_SIZE, PAGE_SHIFT, true);
    assert_int_equal(m->k.n_op, 3);
    assert_int_equal(m->k.op[0].kind, TLB_OP_IPI);
    assert_int_equal(m->k.op[1].kind, TLB_OP_CR3);
    assert_int_equal(m->k.op[1].pgd.v, 7);
    assert_false(m->k.op[1].flush); /* its ASID is from boot and up to date */
    done(&m->k);
    assert_ptr_equal(m->k.cpu[1].loaded_mm, &m->k.init_mm);
    assert_int_equal(run(m, 1, 0), 1);
}

static void an_ended_space_is_left_by_every_core(void **state)
{
    (void)state;
    struct machine *m = fresh(2, true);
    run(m, 0, 0);
    run(m, 1, 0);
    enter_lazy_tlb(&m->k, 0);
    enter_lazy_tlb(&m->k, 1);
    destroy_context(&m->k, &m->space[0]);
    assert_int_equal(m->k.n_op, 2);
    done(&m->k);
    assert_null(kern_tlb_space(&m->k, 1));
    assert_ptr_equal(kern_tlb_space(&m->k, 2), &m->space[1]);
}

/* -- flushing --------------------------------------------------------------------------------- */

static void more_than_the_ceiling_of_pages_is_one_flush(void **state)
{
    (void)state;
    struct machine *m = fresh(1, true);
    run(m, 0, 0);
    for (unsigned pages = 1; pages <= 40; pages++) {
        uint64_t one = STAT(&m->stats, nr_tlb_local_flush_one);
        uint64_t all = STAT(&m->stats, nr_tlb_local_flush_all);
        flush_tlb_mm_range(&m->k, 0, &m->space[0], PAGE_SIZE, (1 + pages) * PAGE_SIZE, PAGE_SHIFT,
                           false);
        assert_int_equal(m->k.op[0].kind, pages <= 33 ? TLB_OP_INVLPG : TLB_OP_CR3);
        done(&m->k);
        assert_int_equal(STAT(&m->stats, nr_tlb_local_flush_one) - one, pages <= 33 ? pages : 0);
        assert_int_equal(STAT(&m->stats, nr_tlb_local_flush_all) - all, pages > 33);
    }
}

static void huge_pages_are_counted_by_their_stride(void **state)
{
    (void)state;
    struct machine *m = fresh(1, true);
    run(m, 0, 0);
    flush_tlb_mm_range(&m->k, 0, &m->space[0], 0, MIB(66), 21, false);
    assert_int_equal(m->k.op[0].kind, TLB_OP_INVLPG);
    done(&m->k);
    assert_int_equal(STAT(&m->stats, nr_tlb_local_flush_one), 33);
    flush_tlb_mm_range(&m->k, 0, &m->space[0], 0, MIB(68), 21, false);
    assert_int_equal(m->k.op[0].kind, TLB_OP_CR3);
    done(&m->k);
}

static void flush_reaches_every_core_that_runs_the_space(void **state)
{
    (void)state;
    struct machine *m = fresh(4, true);
    for (unsigned n = 0; n < 4; n++)
        run(m, n, n < 3 ? 0 : 1);
    flush_tlb_mm_range(&m->k, 1, &m->space[0], 0, 2 * PAGE_SIZE, PAGE_SHIFT, false);
    const struct kern_tlb_op *o = m->k.op;
    assert_int_equal(m->k.n_op, 5);
    assert_true(o[0].kind == TLB_OP_IPI && o[0].cpu == 0);
    assert_true(o[1].kind == TLB_OP_INVLPG && o[1].cpu == 0);
    assert_true(o[2].kind == TLB_OP_IPI && o[2].cpu == 2);
    assert_true(o[4].kind == TLB_OP_INVLPG && o[4].cpu == 1);
    for (unsigned i = 0; i < 5; i++) { /* each core counts its own */
        assert_int_equal(o[i].received, i == 0 || i == 2);
        assert_int_equal(o[i].flush_one, i == 4 ? 2 : 0);
    }
    done(&m->k);
    assert_int_equal(STAT(&m->stats, nr_tlb_remote_flush_received), 2);
    assert_int_equal(STAT(&m->stats, nr_tlb_local_flush_one), 2);
}

static void a_core_that_went_elsewhere_is_interrupted_once_a_second_and_taken_off(void **state)
{
    (void)state;
    struct machine *m = fresh(2, true);
    run(m, 0, 0);
    run(m, 1, 0);
    run(m, 1, 1);
    unsigned ipis = 0;
    for (m->k.now_ms = 0; m->k.now_ms < 5000; m->k.now_ms += 100) {
        flush_tlb_mm_range(&m->k, 0, &m->space[0], 0, PAGE_SIZE, PAGE_SHIFT, false);
        ipis += m->k.op[0].kind == TLB_OP_IPI;
        done(&m->k);
    }
    assert_int_equal(ipis, 1);
    assert_int_equal(m->space[0].cpumask, BIT(0));
    assert_int_equal(STAT(&m->stats, nr_tlb_remote_flush), 12); /* up to 1100 ms */
}

static void reclaim_flushes_a_batch_once_and_the_next_call_once_more(void **state)
{
    (void)state;
    struct machine *m = fresh(2, true);
    run(m, 0, 0);
    run(m, 1, 0);
    for (uint64_t a = 0; a < 32 * PAGE_SIZE; a += PAGE_SIZE) {
        unmap_flush(&m->k, 0, &m->space[0], a, a + PAGE_SIZE, false);
        assert_int_equal(m->k.n_op, 0);
    }
    try_to_unmap_flush_dirty(&m->k, 0); /* none was */
    assert_int_equal(m->k.n_op, 0);
    try_to_unmap_flush(&m->k, 0);
    assert_int_equal(m->k.n_op, 3); /* an interrupt and a flush there, a flush here */
    assert_int_equal(done(&m->k), 2);
    try_to_unmap_flush(&m->k, 0);
    assert_int_equal(m->k.n_op, 0);
    flush_tlb_batched_pending(&m->k, 0, &m->space[0]);
    assert_int_equal(done(&m->k), 2);
    flush_tlb_batched_pending(&m->k, 0, &m->space[0]);
    assert_int_equal(m->k.n_op, 0);
}

static void reclaim_flushes_page_by_page_where_nobody_else_may_hold_it(void **state)
{
    (void)state;
    struct machine *m = fresh(2, true);
    run(m, 0, 0);
    unmap_flush(&m->k, 0, &m->space[0], 0, PAGE_SIZE, true);
    assert_int_equal(m->k.n_op, 1);
    assert_int_equal(m->k.op[0].kind, TLB_OP_INVLPG);
    done(&m->k);
    unmap_flush(&m->k, 0, &m->space[1], 0, PAGE_SIZE, true); /* it never ran */
    assert_int_equal(m->k.n_op, 0);
    assert_false(m->k.batch.flush_required);
}

static void kernel_addresses_are_flushed_on_every_core(void **state)
{
    (void)state;
    struct machine *m = fresh(3, true);
    flush_tlb_kernel_range(&m->k, 1, 0, 5 * PAGE_SIZE);
    assert_int_equal(m->k.n_op, 5);
    done(&m->k);
    assert_int_equal(STAT(&m->stats, nr_tlb_local_flush_one), 15);
    flush_tlb_kernel_range(&m->k, 1, 0, 34 * PAGE_SIZE);
    assert_int_equal(m->k.op[4].kind, TLB_OP_GLOBAL);
    done(&m->k);
    assert_int_equal(STAT(&m->stats, nr_tlb_remote_flush), 0);
    assert_int_equal(STAT(&m->stats, nr_tlb_remote_flush_received),
                     3); /* all of it: the own one, too */
}

/* -- KPTI ------------------------------------------------------------------------------------- */

static void user_half_is_flushed_at_the_next_exit_and_only_then(void **state)
{
    (void)state;
    struct machine *m = fresh(1, true);
    bool flush;
    m->k.pti = true;
    run(m, 0, 0);
    assert_int_equal(switch_to_user_cr3(&m->k, 0, &flush), 2 | TLB_USER_PCID);
    assert_true(flush);
    switch_to_user_cr3(&m->k, 0, &flush);
    assert_false(flush);
    assert_int_equal(switch_to_kernel_cr3(&m->k, 0, &flush), 2);
    assert_false(flush);
    flush_tlb_mm(&m->k, 0, &m->space[0]);
    done(&m->k);
    switch_to_user_cr3(&m->k, 0, &flush);
    assert_true(flush);
    run(m, 0, 1);
    run(m, 0, 0);
    switch_to_user_cr3(&m->k, 0, &flush);
    assert_false(flush);
    m->k.pcid = false;
    assert_int_equal(switch_to_user_cr3(&m->k, 0, &flush), 0);
    assert_true(flush);
}

static void a_user_page_goes_alone_with_invpcid_and_with_its_half_without(void **state)
{
    (void)state;
    struct machine *m = fresh(1, true);
    bool flush;
    m->k.pti = true;
    run(m, 0, 0);
    switch_to_user_cr3(&m->k, 0, &flush);
    flush_tlb_mm_range(&m->k, 0, &m->space[0], 0, PAGE_SIZE, PAGE_SHIFT, false);
    assert_int_equal(m->k.n_op, 2);
    assert_int_equal(m->k.op[1].kind, TLB_OP_INVPCID);
    assert_int_equal(m->k.op[1].pcid, 2 | TLB_USER_PCID);
    done(&m->k);
    switch_to_user_cr3(&m->k, 0, &flush);
    assert_false(flush);
    m->k.invpcid = false;
    flush_tlb_mm_range(&m->k, 0, &m->space[0], 0, PAGE_SIZE, PAGE_SHIFT, false);
    assert_int_equal(m->k.n_op, 1);
    done(&m->k);
    switch_to_user_cr3(&m->k, 0, &flush);
    assert_true(flush);
}

static void kernel_pages_flushed_under_kpti_cost_the_other_spaces_their_entries(void **state)
{
    (void)state;
    struct machine *m = fresh(1, true);
    m->k.pti = true;
    run(m, 0, 0);
    run(m, 0, 1);
    flush_tlb_kernel_range(&m->k, 0, 0, PAGE_SIZE);
    done(&m->k);
    assert_int_equal(run(m, 0, 0), 1);
    assert_int_equal(run(m, 0, 1), 0); /* it was the loaded one: its own were flushed */
    assert_int_equal(run(m, 0, 0), 0);
}

/* -- against the oracle ----------------------------------------------------------------------- */

struct pair {
    struct machine m;
    struct ref_asid ref;
    struct rng r;
};

static struct kern_space *space_of(struct pair *p, int s)
{
    return s == 0 ? &p->m.k.init_mm : &p->m.space[s];
}

/* act_of says what the operations of one core come to; a CR3 load that flushes is a flush of `all` or
 * a switch, as expected. */
static enum ref_act act_of(const struct kern_tlb *k, int cpu, bool all, bool *ret_ipi)
{
    enum ref_act act = ACT_NONE;
    *ret_ipi = false;
    for (unsigned i = 0; i < k->n_op; i++) {
        const struct kern_tlb_op *o = &k->op[i];
        if (o->cpu != cpu)
            continue;
        *ret_ipi |= o->kind == TLB_OP_IPI;
        if (o->kind == TLB_OP_INVLPG)
            act = ACT_PAGES;
        if (o->kind == TLB_OP_CR3)
            act = !o->flush ? ACT_LOAD : all ? ACT_ALL : ACT_LOAD_FLUSH;
    }
    return act;
}

/* agree compares what every core was made to do, and where it stands then. */
static void agree(struct pair *p)
{
    struct kern_tlb *k = &p->m.k;
    for (int n = 0; n < REF_CPUS; n++) {
        const struct ref_asid_cpu *c = &p->ref.cpu[n];
        bool ipi, all = p->ref.act[n] == ACT_ALL;
        assert_int_equal(act_of(k, n, all, &ipi), p->ref.act[n]);
        assert_int_equal(ipi, p->ref.ipi[n]);
        assert_ptr_equal(k->cpu[n].loaded_mm, space_of(p, c->loaded));
        assert_int_equal(k->cpu[n].loaded_mm_asid, c->slot);
        assert_int_equal(k->cpu[n].is_lazy, c->lazy);
        for (int s = 1; s < REF_SPACES; s++)
            assert_int_equal(p->m.space[s].cpumask >> n & 1, p->ref.member[s][n]);
    }
    done(k);
}

/* fresh_only: whatever a running core may use is of its own space and as the tables say. */
static void fresh_only(struct pair *p)
{
    for (int n = 0; n < REF_CPUS && !p->ref.batched; n++) {
        const struct ref_asid_cpu *c = &p->ref.cpu[n];
        for (int page = 0; page < REF_PAGES && !c->lazy && c->loaded != 0; page++) {
            int held = c->holds[c->slot][page];
            if (held < 0)
                continue;
            assert_int_equal(c->owner[c->slot][page], c->loaded);
            assert_int_equal(held, p->ref.version[c->loaded][page]);
        }
    }
}

static void random_flush(struct pair *p, int cpu, int s)
{
    int first = (int)rng_below(&p->r, REF_PAGES), n = 1 + (int)rng_below(&p->r, 8);
    bool tables = rng_below(&p->r, 4) == 0, trim;
    if (rng_below(&p->r, 4) == 0)
        n = REF_PAGES;
    if (first + n > REF_PAGES)
        first = REF_PAGES - n;
    p->m.k.now_ms += rng_below(&p->r, 300);
    trim = p->m.k.now_ms > p->m.space[s].next_trim_ms;
    ref_asid_flush(&p->ref, cpu, s, first, n, tables, trim);
    flush_tlb_mm_range(&p->m.k, cpu, &p->m.space[s], (uint64_t)first * PAGE_SIZE,
                       (uint64_t)(first + n) * PAGE_SIZE, PAGE_SHIFT, tables);
}

static void random_step(struct pair *p)
{
    int cpu = (int)rng_below(&p->r, REF_CPUS), s = 1 + (int)rng_below(&p->r, REF_SPACES - 1);
    struct kern_tlb *k = &p->m.k;
    uint64_t what = rng_below(&p->r, 40);
    if (what < 12) {
        s = what == 0 ? 0 : s;
        ref_asid_switch(&p->ref, cpu, s);
        switch_mm_irqs_off(k, cpu, space_of(p, s));
    } else if (what < 16) {
        ref_asid_lazy(&p->ref, cpu);
        enter_lazy_tlb(k, cpu);
    } else if (what < 30) {
        random_flush(p, cpu, s);
    } else if (what < 37) {
        int page = (int)rng_below(&p->r, REF_PAGES);
        ref_asid_put_off(&p->ref, cpu, s, page);
        unmap_flush(k, cpu, &p->m.space[s], (uint64_t)page * PAGE_SIZE,
                    (uint64_t)(page + 1) * PAGE_SIZE, true);
    } else if (what < 39 || p->ref.batched) {
        ref_asid_put_off_end(&p->ref, cpu);
        try_to_unmap_flush_dirty(k, cpu);
    } else {
        ref_asid_reborn(&p->ref, s);
        destroy_context(k, &p->m.space[s]);
        init_new_context(k, &p->m.space[s], (uint32_t)s + 1, (pfn){100 + (uint64_t)s});
    }
}

static void random_history(uint64_t seed, bool pcid)
{
    static struct pair p;
    machine_open(&p.m, REF_CPUS, pcid);
    p.m.k.tlb_single_page_flush_ceiling = 5;
    ref_asid_open(&p.ref, pcid, 5);
    p.r = (struct rng){seed};
    for (unsigned i = 0; i < STEPS / 20; i++) {
        random_step(&p);
        agree(&p);
        fresh_only(&p);
        for (int n = 0; n < REF_CPUS; n++)
            if (!p.ref.cpu[n].lazy)
                ref_asid_use(&p.ref, n, (int)rng_below(&p.r, REF_PAGES));
    }
}

static void
random_switches_and_flushes_do_what_the_oracle_does_and_leave_nothing_stale(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        random_history(seed, true);
        random_history(seed, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_flushes_once_each_up_to_six_spaces_and_always_beyond),
        cmocka_unit_test(without_pcid_every_switch_to_another_space_flushes),
        cmocka_unit_test(pcid_is_the_asid_plus_one_and_stays_with_its_space),
        cmocka_unit_test(a_space_flushed_elsewhere_is_flushed_when_it_comes_back),
        cmocka_unit_test(lazy_core_is_spared_and_flushes_when_the_space_goes_on),
        cmocka_unit_test(lazy_core_leaves_when_tables_are_freed),
        cmocka_unit_test(an_ended_space_is_left_by_every_core),
        cmocka_unit_test(more_than_the_ceiling_of_pages_is_one_flush),
        cmocka_unit_test(huge_pages_are_counted_by_their_stride),
        cmocka_unit_test(flush_reaches_every_core_that_runs_the_space),
        cmocka_unit_test(a_core_that_went_elsewhere_is_interrupted_once_a_second_and_taken_off),
        cmocka_unit_test(reclaim_flushes_a_batch_once_and_the_next_call_once_more),
        cmocka_unit_test(reclaim_flushes_page_by_page_where_nobody_else_may_hold_it),
        cmocka_unit_test(kernel_addresses_are_flushed_on_every_core),
        cmocka_unit_test(user_half_is_flushed_at_the_next_exit_and_only_then),
        cmocka_unit_test(a_user_page_goes_alone_with_invpcid_and_with_its_half_without),
        cmocka_unit_test(kernel_pages_flushed_under_kpti_cost_the_other_spaces_their_entries),
        cmocka_unit_test(
            random_switches_and_flushes_do_what_the_oracle_does_and_leave_nothing_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
