/* test_walk.c: a core over hand-made page tables: numbers of walker loads in closed form, faults and
 * A/D bits as Intel SDM vol. 3A, 4.6-4.8 has them, invalidations as 4.10.4.1. */
#include "mmu/mmu_int.h"
#include "pt/pt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A4K   UINT64_C(0x10000000)
#define A2M   UINT64_C(0x40000000)
#define A1G   UINT64_C(0x8000000000)
#define PLAIN (PTE_P | PTE_RW | PTE_US)

struct machine {
    struct conf conf;
    struct stat_set stats;
    struct phys *phys;
    struct pt pt;
    struct cache l3;
    struct mmu_core core;
    struct mmu_event event;
    struct arch_fault fault;
};

static struct conf plain_conf(void)
{
    struct conf f;
    conf_init(&f);
    f.phys_size = GIB(2);
    return f;
}

static struct machine *machine_open(const struct conf *conf)
{
    struct machine *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->conf = *conf;
    assert_int_equal(phys_open(&m->phys, conf, &m->stats), 0);
    assert_int_equal(pt_open(&m->pt, m->phys, conf), 0);
    assert_int_equal(cache_open(&m->l3, conf->l3_size, (unsigned)conf->l3_ways, CACHE_LRU, 1), 0);
    assert_int_equal(mmu_core_open(&m->core, &m->conf, m->phys, &m->l3, &m->core, 1, &m->stats), 0);
    mmu_load_cr3(&m->core, m->pt.root, 1, false);
    m->stats = (struct stat_set){0};
    return m;
}

static void machine_close(struct machine *m)
{
    mmu_core_close(&m->core);
    cache_close(&m->l3);
    phys_close(m->phys);
    free(m);
}

static pte *map(struct machine *m, uint64_t addr, unsigned level, uint64_t bits)
{
    pte *e = NULL;
    unsigned fresh = 0;
    assert_int_equal(pt_lookup_alloc(&m->pt, va(addr), level, &e, &fresh), 0);
    *e = (pte){BIT(30) | bits | (level > 0 ? PTE_PS : 0)};
    return e;
}

static int go(struct machine *m, uint64_t addr, unsigned bytes, enum access_kind kind, bool user)
{
    return mmu_access(&m->core, va(addr), bytes, kind, user, &m->event, &m->fault);
}
static int load(struct machine *m, uint64_t addr)
{
    return go(m, addr, 1, ACCESS_LOAD, true);
}
static int store(struct machine *m, uint64_t addr)
{
    return go(m, addr, 1, ACCESS_STORE, true);
}

static uint64_t walker_loads(const struct machine *m)
{
    const struct stat_set *s = &m->stats;
    return STAT(s, walker_dtlb_l1) + STAT(s, walker_dtlb_l2) + STAT(s, walker_dtlb_l3) +
           STAT(s, walker_dtlb_memory);
}

static void sequential(unsigned levels, uint64_t n)
{
    struct conf f = plain_conf();
    f.mmu_levels = levels;
    f.pwc_pde = f.pwc_pdpte = f.pwc_pml4e = f.pwc_pml5e = 1048576; /* ideal */
    struct machine *m = machine_open(&f);
    for (uint64_t i = 0; i < n; i++)
        map(m, A1G + (i << 12), 0, PLAIN);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(load(m, A1G + (i << 12)), 0);
    uint64_t want = 0;
    for (unsigned l = 0; l < levels; l++)
        want += div_up(n, BIT(9 * l));
    assert_int_equal(walker_loads(m), want);
    assert_int_equal(STAT(&m->stats, dtlb_load_walk_4k), n);
    assert_int_equal(STAT(&m->stats, pwc_miss), 1);
    machine_close(m);
}

static void sequential_touch_costs_the_sum_of_tables_it_crosses(void **state)
{
    (void)state;
    static const uint64_t n[] = {1, 511, 512, 513, 5000, 262144, 262145};
    for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
        sequential(4, n[i]);
        sequential(5, n[i]);
    }
}

static void cold_walk_loads_one_entry_less_per_larger_size(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++)
        for (unsigned level = 0; level < 3; level++) {
            struct conf f = plain_conf();
            f.mmu_levels = levels;
            struct machine *m = machine_open(&f);
            map(m, A1G, level, PLAIN);
            assert_int_equal(load(m, A1G + 123), 0);
            assert_int_equal(walker_loads(m), levels - level);
            assert_int_equal(m->event.walks, 1);
            assert_int_equal(m->event.tlb, TLB_WALK);
            /* every load of the walk came from DRAM: the cost is theirs and the fixed one */
            assert_int_equal(m->event.walk_cycles,
                             f.mmu_walk_cycles + (levels - level) * f.dram_latency);
            machine_close(m);
        }
}

/* -- faults: bits of the leaf at A4K (level 0) or of the PDE above it (level 1), the access, and the
 * error code that SDM vol. 3A, 4.7, figure 4-12 gives; 0 in `fault`: it succeeds */
struct golden {
    unsigned level;
    uint64_t bits;
    enum access_kind kind;
    bool user, fault;
    uint32_t code;
};
#define OK_  false, 0
#define BAD_ true
static const struct golden golden[] = {
    {0, PLAIN, ACCESS_LOAD, true, OK_},
    {0, PLAIN, ACCESS_STORE, true, OK_},
    {0, PLAIN, ACCESS_FETCH, true, OK_},
    {0, 0, ACCESS_LOAD, true, BAD_, FAULT_U},
    {0, 0, ACCESS_STORE, true, BAD_, FAULT_U | FAULT_W},
    {0, 0, ACCESS_FETCH, true, BAD_, FAULT_U | FAULT_I},
    {0, 0, ACCESS_LOAD, false, BAD_, 0},
    {0, 0, ACCESS_STORE, false, BAD_, FAULT_W},
    {0, PTE_PROTNONE | PTE_RW | PTE_US, ACCESS_LOAD, true, BAD_, FAULT_U},
    {0, PLAIN & ~PTE_RW, ACCESS_LOAD, true, OK_},
    {0, PLAIN & ~PTE_RW, ACCESS_STORE, true, BAD_, FAULT_P | FAULT_U | FAULT_W},
    {0, PLAIN & ~PTE_RW, ACCESS_STORE, false, BAD_, FAULT_P | FAULT_W}, /* CR0.WP = 1 */
    {0, PLAIN & ~PTE_US, ACCESS_LOAD, true, BAD_, FAULT_P | FAULT_U},
    {0, PLAIN & ~PTE_US, ACCESS_STORE, true, BAD_, FAULT_P | FAULT_U | FAULT_W},
    {0, PLAIN & ~PTE_US, ACCESS_FETCH, true, BAD_, FAULT_P | FAULT_U | FAULT_I},
    {0, PLAIN & ~PTE_US, ACCESS_STORE, false, OK_},
    {0, PLAIN & ~PTE_US, ACCESS_FETCH, false, OK_},
    {0, PLAIN, ACCESS_LOAD, false, OK_}, /* SMAP with EFLAGS.AC = 1 */
    {0, PLAIN, ACCESS_STORE, false, OK_},
    {0, PLAIN, ACCESS_FETCH, false, BAD_, FAULT_P | FAULT_I}, /* SMEP */
    {0, PLAIN | PTE_NX, ACCESS_LOAD, true, OK_},
    {0, PLAIN | PTE_NX, ACCESS_FETCH, true, BAD_, FAULT_P | FAULT_U | FAULT_I},
    {0, PLAIN | BIT(46), ACCESS_LOAD, true, BAD_, FAULT_P | FAULT_U | FAULT_RSVD},
    {0, PLAIN | BIT(51), ACCESS_STORE, false, BAD_, FAULT_P | FAULT_W | FAULT_RSVD},
    {0, PLAIN | BIT(51), ACCESS_FETCH, true, BAD_, FAULT_P | FAULT_U | FAULT_I | FAULT_RSVD},
    {0, BIT(51) | PTE_US, ACCESS_LOAD, true, BAD_, FAULT_U}, /* not present: no reserved bits */
    {0, PLAIN | PTE_PS, ACCESS_LOAD, true, OK_},             /* bit 7 of a PTE is PAT */
    {1, PLAIN & ~PTE_RW, ACCESS_STORE, true, BAD_, FAULT_P | FAULT_U | FAULT_W},
    {1, PLAIN & ~PTE_US, ACCESS_LOAD, true, BAD_, FAULT_P | FAULT_U},
    {1, PLAIN | PTE_NX, ACCESS_FETCH, true, BAD_, FAULT_P | FAULT_U | FAULT_I},
    {1, PLAIN & ~PTE_P, ACCESS_STORE, true, BAD_, FAULT_U | FAULT_W},
    {1, PLAIN & ~PTE_US, ACCESS_FETCH, false, OK_}, /* supervisor if any level is */
    {3, PLAIN | PTE_PS, ACCESS_LOAD, true, BAD_, FAULT_P | FAULT_U | FAULT_RSVD},
    {2, PLAIN & ~PTE_RW, ACCESS_STORE, true, BAD_, FAULT_P | FAULT_U | FAULT_W},
};

static void walk_faults_with_the_error_code_of_the_manual(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    for (unsigned i = 0; i < ARRAY_LEN(golden); i++) {
        const struct golden *g = &golden[i];
        struct machine *m = machine_open(&f);
        pte *leaf = map(m, A4K, 0, PLAIN);
        pte *e = pt_lookup(&m->pt, va(A4K), g->level);
        e->v = (e->v & PTE_ADDR_MASK) | g->bits;
        uint64_t before = e->v, leaf_before = leaf->v;
        m->fault = (struct arch_fault){.code = 0x5a};
        int got = go(m, A4K + 0x123, 4, g->kind, g->user);
        if (got != g->fault || (g->fault && m->fault.code != g->code))
            fail_msg("row %u: %d code %x, expected %d code %x", i, got, m->fault.code, g->fault,
                     g->code);
        assert_int_equal(STAT(&m->stats, walk_fault), g->fault);
        if (g->fault) { /* nothing is set, touched or cached */
            assert_true(m->fault.cr2.v == A4K + 0x123 && !m->fault.noncanonical);
            assert_true(e->v == before && leaf->v == leaf_before);
            assert_int_equal(m->event.lines, 0);
            assert_int_equal(go(m, A4K + 0x123, 4, g->kind, g->user), 1);
            assert_int_equal(STAT(&m->stats, pwc_miss), 2); /* both walked from the root */
        }
        machine_close(m);
    }
}

static void reserved_bits_of_large_pages_fault(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    map(m, A2M, 1, PLAIN | BIT(13));
    assert_int_equal(load(m, A2M), 1);
    assert_int_equal(m->fault.code, FAULT_P | FAULT_U | FAULT_RSVD);
    map(m, A2M, 1, PLAIN | BIT(12)); /* PAT */
    assert_int_equal(load(m, A2M), 0);
    map(m, A1G, 2, PLAIN | BIT(29));
    assert_int_equal(load(m, A1G), 1);
    map(m, A1G, 2, PLAIN);
    assert_int_equal(load(m, A1G), 0);
    machine_close(m);
    f.mmu_1g = 0; /* without 1 GiB pages PS is reserved in a PDPTE */
    m = machine_open(&f);
    map(m, A1G, 2, PLAIN);
    assert_int_equal(load(m, A1G), 1);
    assert_int_equal(m->fault.code, FAULT_P | FAULT_U | FAULT_RSVD);
    machine_close(m);
}

static void addresses_that_are_not_canonical_fault_without_a_walk(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct conf f = plain_conf();
        f.mmu_levels = levels;
        struct machine *m = machine_open(&f);
        uint64_t bad = BIT(12 + 9 * levels - 1);
        assert_int_equal(load(m, bad), 1);
        assert_true(m->fault.noncanonical && m->fault.cr2.v == bad);
        assert_int_equal(load(m, 0xf000000000000000), 1);
        assert_true(m->fault.noncanonical);
        map(m, bad - 4096, 0, PLAIN);
        assert_int_equal(go(m, bad - 4, 8, ACCESS_LOAD, true), 1); /* its second half */
        assert_true(m->fault.noncanonical && m->fault.cr2.v == bad);
        assert_int_equal(load(m, -bad), 1); /* canonical, nothing mapped */
        assert_false(m->fault.noncanonical);
        machine_close(m);
    }
}

static void walk_sets_accessed_everywhere_and_dirty_on_stores(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    pte *e = map(m, A4K, 0, PLAIN);
    for (unsigned l = 1; l < 4; l++)
        pt_lookup(&m->pt, va(A4K), l)->v &= ~PTE_A;
    load(m, A4K);
    for (unsigned l = 0; l < 4; l++)
        assert_true(pt_lookup(&m->pt, va(A4K), l)->v & PTE_A);
    assert_int_equal(STAT(&m->stats, walk_set_accessed), 4);
    assert_false(e->v & PTE_D);
    /* a store hits the entry with D clear: an assist walks, and counts no TLB miss */
    uint64_t loads = walker_loads(m);
    assert_int_equal(store(m, A4K), 0);
    assert_true(e->v & PTE_D);
    assert_int_equal(STAT(&m->stats, walk_set_dirty), 1);
    assert_int_equal(STAT(&m->stats, walk_dirty_assist), 1);
    assert_int_equal(STAT(&m->stats, dtlb_store_walk), 0);
    assert_int_equal(walker_loads(m), loads + 1); /* the PDE is cached */
    store(m, A4K);
    assert_int_equal(m->event.walks, 0);
    assert_int_equal(walker_loads(m), loads + 1);
    /* a store that misses sets D in its own walk */
    pte *e2 = map(m, A4K + 4096, 0, PLAIN);
    store(m, A4K + 4096);
    assert_true((e2->v & (PTE_A | PTE_D)) == (PTE_A | PTE_D));
    assert_int_equal(STAT(&m->stats, walk_dirty_assist), 1);
    assert_int_equal(STAT(&m->stats, dtlb_store_walk), 1);
    assert_int_equal(mmu_audit(&m->core), 0);
    machine_close(m);
}

static void kernel_may_add_rights_without_a_flush(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    pte *e = map(m, A4K, 0, PTE_P | PTE_US);
    load(m, A4K);
    assert_int_equal(store(m, A4K), 1);
    load(m, A4K);
    e->v |= PTE_RW;
    assert_int_equal(store(m, A4K), 0);
    assert_int_equal(STAT(&m->stats, walk_fault), 1);
    machine_close(m);
}

static void second_level_refills_the_first(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    for (uint64_t i = 0; i < 5; i++)
        map(m, A4K + i * 16 * 4096, 0, PLAIN);
    for (uint64_t i = 0; i < 5; i++) /* one set of 16 × 4 ways */
        load(m, A4K + i * 16 * 4096);
    load(m, A4K); /* way 0 was the victim */
    assert_int_equal(m->event.tlb, TLB_L2_HIT);
    assert_int_equal(STAT(&m->stats, dtlb_load_stlb_hit), 1);
    load(m, A4K);
    assert_int_equal(m->event.tlb, TLB_L1_HIT);
    assert_int_equal(STAT(&m->stats, dtlb_load_walk), 5);
    /* instructions share the second level */
    go(m, A4K, 16, ACCESS_FETCH, true);
    assert_int_equal(STAT(&m->stats, itlb_stlb_hit), 1);
    assert_int_equal(STAT(&m->stats, itlb_walk), 0);
    machine_close(m);
}

static void split_access_translates_both_pages_before_it_touches_a_line(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    map(m, A4K, 0, PLAIN);
    assert_int_equal(go(m, A4K + 4092, 8, ACCESS_LOAD, true), 1);
    assert_true(m->fault.cr2.v == A4K + 4096);
    assert_int_equal(STAT(&m->stats, load_l3_miss), 0);
    map(m, A4K + 4096, 0, PLAIN);
    assert_int_equal(go(m, A4K + 4092, 8, ACCESS_LOAD, true), 0);
    assert_int_equal(m->event.lines, 2);
    assert_int_equal(STAT(&m->stats, load_l3_miss), 2);
    assert_int_equal(go(m, A4K + 60, 8, ACCESS_STORE, false), 0);
    assert_int_equal(STAT(&m->stats, uaccess_lines), 2);
    assert_int_equal(STAT(&m->stats, store_l3_miss), 0);
    machine_close(m);
}

/* loads_after counts the walker loads of one more load. */
static uint64_t loads_after(struct machine *m, uint64_t addr)
{
    uint64_t before = walker_loads(m);
    assert_int_equal(load(m, addr), 0);
    return walker_loads(m) - before;
}

static void invalidations_drop_what_the_manual_says(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    map(m, A4K, 0, PLAIN);
    map(m, A4K + 4096, 0, PLAIN);
    map(m, A4K + 8192, 0, PLAIN | PTE_G);
    for (uint64_t i = 0; i < 3; i++)
        load(m, A4K + i * 4096);
    assert_int_equal(loads_after(m, A4K), 0);
    mmu_invlpg(&m->core, va(A4K)); /* that page, and all walk caches */
    assert_int_equal(loads_after(m, A4K + 4096), 0);
    assert_int_equal(loads_after(m, A4K), 4);
    mmu_invpcid(&m->core, 0, 1, va(A4K)); /* that page and what its walk uses, no global page */
    mmu_invpcid(&m->core, 0, 1, va(A4K + 8192));
    assert_int_equal(loads_after(m, A4K + 8192), 0);
    assert_int_equal(loads_after(m, A4K), 4);
    mmu_invpcid(&m->core, 1, 2, va(0)); /* another PCID */
    assert_int_equal(loads_after(m, A4K), 0);
    mmu_invpcid(&m->core, 1, 1, va(0));
    assert_int_equal(loads_after(m, A4K + 8192), 0);
    assert_int_equal(loads_after(m, A4K), 4);
    mmu_invpcid(&m->core, 3, 0, va(0));
    assert_int_equal(loads_after(m, A4K + 8192), 0);
    assert_int_equal(loads_after(m, A4K), 4);
    mmu_invpcid(&m->core, 2, 0, va(0));
    assert_int_equal(loads_after(m, A4K + 8192), 4);
    mmu_toggle_pge(&m->core);
    assert_int_equal(loads_after(m, A4K + 8192), 4);
    mmu_invlpg(&m->core, va(A4K + 8192)); /* INVLPG drops global ones too */
    assert_int_equal(loads_after(m, A4K + 8192), 4);
    assert_int_equal(STAT(&m->stats, tlb_flush_page), 4);
    assert_int_equal(STAT(&m->stats, tlb_flush_full), 5);
    machine_close(m);
}

static void cr3_load_keeps_entries_only_with_the_no_flush_bit_and_pcids(void **state)
{
    (void)state;
    for (unsigned pcid_on = 0; pcid_on < 2; pcid_on++) {
        struct conf f = plain_conf();
        f.mmu_pcid = pcid_on;
        struct machine *m = machine_open(&f);
        map(m, A4K, 0, PLAIN);
        load(m, A4K);
        mmu_load_cr3(&m->core, m->pt.root, 2, true);
        assert_int_equal(loads_after(m, A4K), 4); /* another context */
        mmu_load_cr3(&m->core, m->pt.root, 1, true);
        assert_int_equal(loads_after(m, A4K), pcid_on ? 0 : 4);
        mmu_load_cr3(&m->core, m->pt.root, 1, false);
        assert_int_equal(loads_after(m, A4K), 4);
        machine_close(m);
    }
}

static void large_pages_are_broken_into_what_the_arrays_take(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    f.tlb_d2_entries = 0; /* loads: 4 KiB only; second level: 4 KiB and 2 MiB */
    f.tlb_l2b_entries = 0;
    f.tlb_d3_entries = 0;
    struct machine *m = machine_open(&f);
    map(m, A1G, 2, PLAIN);
    assert_int_equal(loads_after(m, A1G), 2);
    load(m, A1G + 4096); /* the same 2 MiB piece in the second level */
    assert_int_equal(m->event.tlb, TLB_L2_HIT);
    assert_int_equal(loads_after(m, A1G + MIB(2)), 1);
    assert_int_equal(STAT(&m->stats, dtlb_load_walk_1g), 2);
    assert_int_equal(mmu_audit(&m->core), 0);
    mmu_invlpg(&m->core, va(A1G + MIB(900))); /* all pieces of the page */
    assert_int_equal(loads_after(m, A1G), 2);
    assert_int_equal(loads_after(m, A1G + 4096), 0);
    machine_close(m);
}

/* I1 of mmu.h: what the tables took back without a flush is found, in the TLBs and in the walk caches. */
static void the_audit_finds_what_was_not_flushed(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    pte *e = map(m, A4K, 0, PLAIN);
    store(m, A4K);
    assert_int_equal(mmu_audit_granted(&m->core), 0);
    e->v &= ~PTE_RW;
    assert_int_equal(mmu_audit_granted(&m->core), 1);
    mmu_invlpg(&m->core, va(A4K));
    assert_int_equal(mmu_audit_granted(&m->core), 0);
    load(m, A4K);
    e->v = 0;
    assert_int_equal(mmu_audit_granted(&m->core), 1);
    mmu_drop_page(&m->core, A4K, m->core.pcid, true);
    assert_int_equal(mmu_audit_granted(&m->core),
                     0); /* the walk caches lead to a table still there */
    pte *link = pt_lookup(&m->pt, va(A4K), 1);
    *link = (pte){0};
    assert_int_equal(mmu_audit_granted(&m->core), 1);
    assert_int_equal(mmu_audit(&m->core), 1);
    mmu_invlpg(&m->core, va(A4K));
    assert_int_equal(mmu_audit(&m->core), 0);
    machine_close(m);
}

static void fast_path_takes_only_most_recent_permitted_hits_in_one_line(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    map(m, A4K, 0, PLAIN | PTE_NX);
    assert_false(mmu_data_hit(&m->core, A4K, 8, false));
    load(m, A4K);
    assert_true(mmu_data_hit(&m->core, A4K + 56, 8, false));
    assert_false(mmu_data_hit(&m->core, A4K + 57, 8, false)); /* two lines */
    assert_false(mmu_data_hit(&m->core, A4K + 64, 8, false)); /* line not there */
    assert_false(mmu_data_hit(&m->core, A4K, 8, true));       /* D is clear */
    assert_false(mmu_data_hit(&m->core, A4K ^ BIT(48), 8, false));
    store(m, A4K);
    assert_true(mmu_data_hit(&m->core, A4K, 8, true));
    mmu_load_cr3(&m->core, m->pt.root, 2, true);
    assert_false(mmu_data_hit(&m->core, A4K, 8, false)); /* another PCID */
    mmu_load_cr3(&m->core, m->pt.root, 1, true);
    assert_true(mmu_data_hit(&m->core, A4K, 8, false));
    mmu_invlpg(&m->core, va(A4K));
    assert_false(mmu_data_hit(&m->core, A4K, 8, false));
    map(m, A4K + 4096, 0, PLAIN & ~PTE_US); /* the kernel's page */
    assert_int_equal(go(m, A4K + 4096, 8, ACCESS_LOAD, false), 0);
    assert_false(mmu_data_hit(&m->core, A4K + 4096, 8, false));
    map(m, A4K + 8192, 0, PLAIN);
    assert_int_equal(go(m, A4K + 8192, 64, ACCESS_FETCH, true), 0);
    assert_true(mmu_fetch_hit(&m->core, A4K + 8192));
    assert_false(mmu_fetch_hit(&m->core, A4K + 8192 + 64));
    assert_false(mmu_fetch_hit(&m->core, A4K)); /* NX */
    machine_close(m);
}

static void looking_ahead_to_any_address_is_harmless(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    static const uint64_t odd[] = {0, 8, A4K, BIT(47), BIT(63), UINT64_MAX};
    map(m, A4K, 0, PLAIN);
    for (unsigned round = 0; round < 2; round++) {
        struct stat_set before = m->stats;
        for (unsigned i = 0; i < ARRAY_LEN(odd); i++)
            mmu_prefetch(&m->core, odd[i]);
        assert_memory_equal(&before, &m->stats, sizeof(before));
        load(m, A4K); /* the second round knows a table */
    }
    machine_close(m);
}

static void kernel_lines_cost_their_latency_beyond_l1(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    uint64_t each = f.dram_latency - f.l1d_latency;
    assert_int_equal(mmu_kernel(&m->core, pa(0x100000), 4096, true), 64 * each);
    assert_int_equal(mmu_kernel(&m->core, pa(0x100000), 4096, false), 0);
    assert_int_equal(mmu_kernel(&m->core, pa(0x20003f), 2, false), 2 * each);
    assert_int_equal(STAT(&m->stats, kernel_l3_miss), 66);
    assert_int_equal(STAT(&m->stats, kernel_l1_hit), 64);
    machine_close(m);
}

/* -- the kernel's half ------------------------------------------------------------------------- */

#define KERNEL_PAGE UINT64_C(0xffff888000400000)

static uint64_t plain_walks(const struct machine *m)
{
    return STAT(&m->stats, dtlb_load_walk) + STAT(&m->stats, dtlb_store_walk) +
           STAT(&m->stats, itlb_walk);
}

/* Each kind of access walks once, its rows with :k count it and no other row does; a page of 2 MiB that is
 * global stays when CR3 is loaded, one that is not goes. */
static void test_kernels_own_accesses_are_counted_apart(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    struct mmu_kernel_cost cost = {0};
    map(m, KERNEL_PAGE, 1, PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G);
    map(m, KERNEL_PAGE + MIB(2), 1, PTE_P | PTE_RW | PTE_A | PTE_D);
    for (unsigned kind = ACCESS_LOAD; kind <= ACCESS_FETCH; kind++) {
        mmu_kernel_lines(&m->core, va(KERNEL_PAGE), 0xf0f, kind, &cost);
        mmu_kernel_lines(&m->core, va(KERNEL_PAGE + PAGE_SIZE), 1, kind, &cost);
    }
    assert_int_equal(plain_walks(m), 0);
    assert_int_equal(STAT(&m->stats, pwc_miss) + STAT(&m->stats, pwc_pde_hit), 0);
    uint64_t walks = STAT(&m->stats, k_dtlb_load_walk) + STAT(&m->stats, k_dtlb_store_walk) +
                     STAT(&m->stats, k_itlb_walk);
    assert_int_equal(walks, STAT(&m->stats, k_dtlb_load_walk_2m) +
                                STAT(&m->stats, k_dtlb_store_walk_2m) +
                                STAT(&m->stats, k_itlb_walk_2m));
    assert_int_equal(walks, STAT(&m->stats, k_pwc_miss) + STAT(&m->stats, k_pwc_pml4e_hit) +
                                STAT(&m->stats, k_pwc_pdpte_hit));
    assert_int_equal(walks, 1); /* the second level serves the others */
    assert_int_equal(STAT(&m->stats, k_itlb_stlb_hit), 1);
    assert_int_equal(STAT(&m->stats, k_fetch_l1_hit) + STAT(&m->stats, k_fetch_l2_hit) +
                         STAT(&m->stats, k_fetch_l3_hit) + STAT(&m->stats, k_fetch_l3_miss),
                     9);
    assert_int_equal(STAT(&m->stats, kernel_l1_hit) + STAT(&m->stats, kernel_l2_hit) +
                         STAT(&m->stats, kernel_l3_hit) + STAT(&m->stats, kernel_l3_miss),
                     18);
    mmu_kernel_virt(&m->core, va(KERNEL_PAGE + MIB(2) - 64), 128, ACCESS_LOAD, &cost);
    assert_int_equal(STAT(&m->stats, k_dtlb_load_walk), 2);
    mmu_load_cr3(&m->core, m->pt.root, 1, false);
    mmu_kernel_virt(&m->core, va(KERNEL_PAGE + MIB(2) - 64), 128, ACCESS_LOAD, &cost);
    assert_int_equal(STAT(&m->stats, k_dtlb_load_walk), 3);
    assert_int_equal(mmu_audit(&m->core), 0);
    machine_close(m);
}

/* A program's access to the kernel's half faults, and counts as the program's. */
static void test_users_access_to_the_kernels_half_is_the_users(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    struct machine *m = machine_open(&f);
    map(m, KERNEL_PAGE, 1, PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G);
    assert_int_equal(load(m, KERNEL_PAGE), 1);
    assert_int_equal(m->fault.code, FAULT_U | FAULT_P);
    assert_int_equal(STAT(&m->stats, walk_fault), 1);
    assert_int_equal(STAT(&m->stats, pwc_miss), 1);
    assert_int_equal(STAT(&m->stats, k_pwc_miss), 0);
    machine_close(m);
}

/* A global page of 2 MiB of the kernel's in the TLBs changes nothing for the quick path of the user's small
 * pages: it counts what the full path counts. */
static void test_quick_path_beside_kernel_pages_counts_the_same(void **state)
{
    (void)state;
    struct conf f = plain_conf();
    f.tlb_d_entries = 8;
    f.tlb_d_ways = 4;
    struct machine *m[2] = {machine_open(&f), machine_open(&f)};
    struct mmu_kernel_cost cost = {0};
    for (unsigned i = 0; i < 2; i++) {
        map(m[i], KERNEL_PAGE, 1, PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G);
        for (unsigned p = 0; p < 40; p++)
            map(m[i], A4K + p * PAGE_SIZE, 0, PLAIN);
    }
    uint64_t quick = 0;
    for (unsigned n = 0; n < 4000; n++) {
        uint64_t a = A4K + mix64(n) % 40 * PAGE_SIZE + mix64(n ^ 77) % 64 * LINE_SIZE;
        for (unsigned i = 0; i < 2 && n % 50 == 0; i++)
            mmu_kernel_lines(&m[i]->core, va(KERNEL_PAGE + n % 7 * PAGE_SIZE), 3, ACCESS_LOAD,
                             &cost);
        assert_int_equal(load(m[0], a), 0);
        bool missed = mmu_quick(&m[1]->core, a, ACCESS_LOAD) < 0;
        quick += !missed;
        if (missed)
            assert_int_equal(load(m[1], a), 0);
    }
    assert_true(quick > 3500);
    assert_memory_equal(&m[0]->stats, &m[1]->stats, sizeof(m[0]->stats));
    assert_int_equal(mmu_audit(&m[1]->core), 0);
    machine_close(m[0]);
    machine_close(m[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequential_touch_costs_the_sum_of_tables_it_crosses),
        cmocka_unit_test(cold_walk_loads_one_entry_less_per_larger_size),
        cmocka_unit_test(walk_faults_with_the_error_code_of_the_manual),
        cmocka_unit_test(reserved_bits_of_large_pages_fault),
        cmocka_unit_test(addresses_that_are_not_canonical_fault_without_a_walk),
        cmocka_unit_test(walk_sets_accessed_everywhere_and_dirty_on_stores),
        cmocka_unit_test(kernel_may_add_rights_without_a_flush),
        cmocka_unit_test(second_level_refills_the_first),
        cmocka_unit_test(split_access_translates_both_pages_before_it_touches_a_line),
        cmocka_unit_test(invalidations_drop_what_the_manual_says),
        cmocka_unit_test(cr3_load_keeps_entries_only_with_the_no_flush_bit_and_pcids),
        cmocka_unit_test(large_pages_are_broken_into_what_the_arrays_take),
        cmocka_unit_test(the_audit_finds_what_was_not_flushed),
        cmocka_unit_test(fast_path_takes_only_most_recent_permitted_hits_in_one_line),
        cmocka_unit_test(looking_ahead_to_any_address_is_harmless),
        cmocka_unit_test(kernel_lines_cost_their_latency_beyond_l1),
        cmocka_unit_test(test_kernels_own_accesses_are_counted_apart),
        cmocka_unit_test(test_users_access_to_the_kernels_half_is_the_users),
        cmocka_unit_test(test_quick_path_beside_kernel_pages_counts_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
