/* links: mmu */
/* test_mmu.c: the whole mmu against the naive oracle: after EVERY event the outcome, the fault and
 * all counters are equal, and in the end the bytes of all page tables are.
 *
 * Both sides have tables of their own, built alike. The kernel of this test changes entries at
 * random: in "stale" worlds without flushing, so that old entries are used; in "clean" worlds with
 * the flushes a kernel owes, so that mmu_audit must hold. */
#include "mmu/mmu_hot.h"
#include "pt/pt.h"
#include "ref/ref_mmu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef PW_CHECKS
#define EVENTS 25000u
#else
#define EVENTS 120000u
#endif
#define SPACES 3u
#define CORES  2u
#define PAGES  4096u

struct place { /* a page of the test's address spaces */
    uint64_t addr;
    unsigned level;
};

struct world {
    struct conf conf;
    struct phys *phys[2]; /* model's, oracle's */
    struct pt pt[2][SPACES];
    struct stat_set stats;
    struct stat_set unused; /* of the building of tables */
    struct cache l3;
    struct mmu_core core[CORES];
    struct ref_mmu ref;
    struct place place[PAGES];
    unsigned places;
    struct rng rng;
    bool stale, fast;
    uint64_t fast_hits, quick_hits;
    uint64_t last; /* address of the access before */
};

static uint64_t below(struct world *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}
static bool chance(struct world *w, unsigned percent)
{
    return below(w, 100) < percent;
}

/* leaf_bits makes an entry: mostly good, sometimes forbidden, absent or reserved. */
static uint64_t leaf_bits(struct world *w, unsigned level)
{
    uint64_t frames = w->conf.phys_size >> 12;
    uint64_t e = below(w, frames) >> (9 * level) << (9 * level) << 12;
    e |= chance(w, 95) ? PTE_P : 0;
    e |= chance(w, 80) ? PTE_RW : 0;
    e |= chance(w, 92) ? PTE_US : 0;
    e |= chance(w, 40) ? PTE_NX : 0;
    e |= w->stale && chance(w, 8) ? PTE_G : 0; /* other spaces map the address otherwise */
    e |= chance(w, 50) ? PTE_A : 0;
    e |= chance(w, 30) ? PTE_D : 0;
    e |= level > 0 ? PTE_PS : 0;
    if (chance(w, 1))
        e |= BIT(51);
    if (level > 0 && chance(w, 10))
        e |= BIT(12); /* PAT, not an address bit */
    if (level > 0 && chance(w, 1))
        e |= BIT(13);
    return e;
}

static void set_leaf(struct world *w, unsigned space, struct place p)
{
    uint64_t bits = leaf_bits(w, p.level);
    for (unsigned side = 0; side < 2; side++) {
        pte *e;
        unsigned fresh = 0;
        if (pt_lookup_alloc(&w->pt[side][space], va(p.addr), p.level, &e, &fresh) == 0)
            *e = (pte){bits};
    }
}

/* spoil_table changes the bits of a table's entry: rights, A, sometimes a reserved bit. */
static void spoil_table(struct world *w, unsigned space, struct place p)
{
    unsigned level = p.level + 1 + (unsigned)below(w, w->conf.mmu_levels - p.level - 1);
    static const uint64_t what[] = {PTE_RW, PTE_US, PTE_A, PTE_NX, PTE_A, PTE_PS};
    uint64_t bit = what[below(w, ARRAY_LEN(what))];
    if (bit == PTE_PS && (level < 3 || !chance(w, 20)))
        bit = PTE_A; /* PS is reserved from level 3 up, below it would be another leaf */
    for (unsigned side = 0; side < 2; side++) {
        pte *e = pt_lookup(&w->pt[side][space], va(p.addr), level);
        if (e != NULL && pte_present(*e) && !pte_is_leaf(*e, level))
            e->v ^= bit;
    }
}

static void add_places(struct world *w, uint64_t base, unsigned level, uint64_t stride, unsigned n)
{
    for (unsigned i = 0; i < n && w->places < PAGES; i++)
        w->place[w->places++] = (struct place){base + i * stride, level};
}

static void build_tables(struct world *w)
{
    uint64_t high = w->conf.mmu_levels == 5 ? 0xff00000000000000u : 0xffff800000000000u;
    add_places(w, 0x10000000, 0, 4096, 2400);           /* dense */
    add_places(w, 0x100000000, 0, 2097152 + 4096, 200); /* one per table */
    add_places(w, 0x7f0000000000, 0, 1ull << 30, 60);
    add_places(w, high, 0, 4096, 64);
    add_places(w, 0x40000000000, 1, 1 << 21, 300);
    add_places(w, high + (4ull << 30), 1, 1 << 21, 20);
    add_places(w, 0x50000000000, 2, 1 << 30, 12);
    if (w->conf.mmu_levels == 5)
        add_places(w, 0x1000000000000, 0, 0x7000000000000ull / 16, 16);
    for (unsigned space = 0; space < SPACES; space++)
        for (unsigned i = 0; i < w->places; i++)
            set_leaf(w, space, w->place[i]);
}

static struct world *world_open(const struct conf *conf, uint64_t seed, bool stale)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->conf = *conf;
    w->rng.state = seed;
    w->stale = stale;
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(phys_open(&w->phys[side], conf, &w->unused), 0);
        for (unsigned i = 0; i < SPACES; i++)
            assert_int_equal(pt_open(&w->pt[side][i], w->phys[side], conf), 0);
    }
    build_tables(w);
    assert_int_equal(cache_open(&w->l3, conf->l3_size, (unsigned)conf->l3_ways,
                                (enum conf_cache_policy)conf->l3_policy, conf->seed),
                     0);
    ref_mmu_open(&w->ref, &w->conf, w->phys[1], CORES);
    for (unsigned i = 0; i < CORES; i++) {
        assert_int_equal(
            mmu_core_open(&w->core[i], &w->conf, w->phys[0], &w->l3, w->core, CORES, &w->stats), 0);
        mmu_load_cr3(&w->core[i], w->pt[0][0].root, 1, false);
        ref_mmu_load_cr3(&w->ref, i, w->pt[1][0].root.v << 12, 1, false);
    }
    return w;
}

static void world_close(struct world *w)
{
    for (unsigned i = 0; i < CORES; i++)
        mmu_core_close(&w->core[i]);
    cache_close(&w->l3);
    ref_mmu_close(&w->ref);
    for (unsigned side = 0; side < 2; side++)
        phys_close(w->phys[side]);
    free(w);
}

/* same fails with the first counter that differs. */
static void same(struct world *w, unsigned event)
{
    if (memcmp(&w->stats, &w->ref.stats, sizeof(w->stats)) == 0)
        return;
    for (unsigned i = 0; i < STAT_NR; i++)
        if (w->stats.v[i] != w->ref.stats.v[i])
            fail_msg("event %u: %s is %llu, oracle %llu", event, stat_info(i)->name,
                     (unsigned long long)w->stats.v[i], (unsigned long long)w->ref.stats.v[i]);
}

static uint64_t pick_address(struct world *w)
{
    const struct place *p;
    if (chance(w, 40))
        return w->last ^ below(w, 128);
    switch (below(w, 4)) {
    case 0:
        p = &w->place[below(w, 48)]; /* a few hot pages */
        break;
    case 1:
        p = &w->place[below(w, 600)];
        break;
    default:
        p = &w->place[below(w, w->places)];
    }
    uint64_t addr = p->addr + below(w, BIT(pt_level_shift(p->level)));
    if (chance(w, 30))
        addr = p->addr + below(w, 256); /* lines that hit */
    if (chance(w, 2))
        addr = align_up(addr + 1, 4096) - 1 - below(w, 16); /* crosses a page */
    if (below(w, 500) == 0)
        addr ^= BIT(48 + below(w, 9)); /* not canonical with 4 levels */
    return addr;
}

/* by_fast_path says whether the inline path served the access, and counts as its caller must. */
static bool by_fast_path(struct world *w, struct mmu_core *c, uint64_t addr, unsigned bytes,
                         enum access_kind kind)
{
    if (kind == ACCESS_FETCH) {
        if ((addr & 63) + bytes > 64 || !mmu_fetch_hit(c, addr))
            return false;
        STAT(&w->stats, fetch_l1_hit)++;
        return true;
    }
    if (!mmu_data_hit(c, addr, bytes, kind == ACCESS_STORE))
        return false;
    if (kind == ACCESS_STORE)
        STAT(&w->stats, store_l1_hit)++;
    else
        STAT(&w->stats, load_l1_hit)++;
    return true;
}

/* by_quick_path says whether mmu_quick served the access, alone or with mmu_access_missed, and what it
 * met. */
static bool by_quick_path(struct world *w, struct mmu_core *c, uint64_t addr, unsigned bytes,
                          enum access_kind kind, struct mmu_event *ret_event,
                          struct arch_fault *ret_fault, int *ret)
{
    int quick = (addr & 63) + bytes > 64 ? -1 : mmu_quick(c, addr, kind);
    if (quick == MMU_QUICK_MISSED) {
        *ret = mmu_access_missed(c, va(addr), kind, ret_event, ret_fault);
        return true;
    }
    if (quick < 0)
        return false;
    w->quick_hits++;
    *ret_event = (struct mmu_event){.tlb = quick & MMU_QUICK_STLB ? TLB_L2_HIT : TLB_L1_HIT,
                                    .level = quick & (MMU_QUICK_STLB - 1),
                                    .lines = 1};
    return true;
}

static void do_access(struct world *w, unsigned core, unsigned event)
{
    static const unsigned sizes[] = {1, 2, 4, 8, 8, 8, 16, 32, 64, 512};
    uint64_t addr = w->last = pick_address(w);
    unsigned bytes = sizes[below(w, ARRAY_LEN(sizes))];
    enum access_kind kind = (enum access_kind)below(w, 3);
    bool user = !chance(w, 5);
    struct mmu_event ev = {0}, ev_ref;
    struct arch_fault fault = {0}, fault_ref = {0};
    int got = 0;
    mmu_prefetch(&w->core[core], addr);
    if (w->fast && user && by_fast_path(w, &w->core[core], addr, bytes, kind)) {
        w->fast_hits++;
        ev.lines = 1;
    } else if (!w->fast || !user ||
               !by_quick_path(w, &w->core[core], addr, bytes, kind, &ev, &fault, &got)) {
        got = mmu_access(&w->core[core], va(addr), bytes, kind, user, &ev, &fault);
    }
    int want = ref_mmu_access(&w->ref, core, addr, bytes, kind, user, &ev_ref, &fault_ref);
    if (got != want || ev.tlb != ev_ref.tlb || ev.level != ev_ref.level ||
        ev.lines != ev_ref.lines || ev.walks != ev_ref.walks ||
        ev.walk_cycles != ev_ref.walk_cycles || fault.cr2.v != fault_ref.cr2.v ||
        fault.code != fault_ref.code || fault.noncanonical != fault_ref.noncanonical)
        fail_msg("event %u: access %llx differs: %d tlb %u level %u lines %u walks %u code %x, "
                 "oracle %d %u %u %u %u %x",
                 event, (unsigned long long)addr, got, ev.tlb, ev.level, ev.lines, ev.walks,
                 fault.code, want, ev_ref.tlb, ev_ref.level, ev_ref.lines, ev_ref.walks,
                 fault_ref.code);
}

static void flush_everything(struct world *w)
{
    for (unsigned i = 0; i < CORES; i++) {
        mmu_invpcid(&w->core[i], 2, 0, va(0));
        ref_mmu_invpcid(&w->ref, i, 2, 0, 0);
    }
}

static void do_kernel(struct world *w, unsigned core)
{
    struct place p = w->place[below(w, w->places)];
    unsigned space = (unsigned)below(w, SPACES);
    if (chance(w, 40)) {
        uint64_t addr = below(w, w->conf.phys_size - 8192), bytes = 1 + below(w, 4096);
        uint64_t got = mmu_kernel(&w->core[core], pa(addr), bytes, chance(w, 50));
        assert_int_equal(got, ref_mmu_kernel(&w->ref, core, addr, bytes));
        return;
    }
    if (chance(w, 80))
        set_leaf(w, space, p);
    else
        spoil_table(w, space, p);
    if (!w->stale)
        flush_everything(w);
}

static void do_flush(struct world *w, unsigned core)
{
    struct mmu_core *c = &w->core[core];
    uint64_t addr = pick_address(w);
    unsigned pcid = 1 + (unsigned)below(w, SPACES), type = (unsigned)below(w, 4);
    switch (below(w, 20)) {
    case 0:
        mmu_toggle_pge(c);
        ref_mmu_toggle_pge(&w->ref, core);
        break;
    case 1:
        mmu_invpcid(c, type, pcid, va(addr));
        ref_mmu_invpcid(&w->ref, core, type, pcid, addr);
        break;
    case 2:
    case 3:
        mmu_invpcid(c, 0, pcid, va(addr));
        ref_mmu_invpcid(&w->ref, core, 0, pcid, addr);
        break;
    case 4:
    case 5:
    case 6:
    case 7: {
        bool keep = chance(w, 70);
        mmu_load_cr3(c, w->pt[0][pcid - 1].root, pcid, keep);
        ref_mmu_load_cr3(&w->ref, core, w->pt[1][pcid - 1].root.v << 12, pcid, keep);
        break;
    }
    default:
        mmu_invlpg(c, va(addr));
        ref_mmu_invlpg(&w->ref, core, addr);
    }
}

static void same_tables(struct world *w)
{
    for (uint64_t n = 0; n < phys_frames(w->phys[0]); n++)
        if (phys_frame(w->phys[0], (pfn){n})->owner == FRAME_PAGE_TABLE)
            assert_memory_equal(phys_table(w->phys[0], (pfn){n}), phys_table(w->phys[1], (pfn){n}),
                                4096);
}

static void sound(struct world *w)
{
    for (unsigned i = 0; i < CORES; i++) {
        struct mmu_core *c = &w->core[i];
        for (unsigned t = 0; t < ARRAY_LEN(c->all); t++)
            assert_int_equal(tlb_audit(c->all[t]), 0);
        for (unsigned l = 1; l < c->levels; l++)
            assert_int_equal(tlb_audit(&c->walk[l]), 0);
        assert_int_equal(cache_core_audit(&c->caches), 0);
        assert_int_equal(w->stale ? 0 : mmu_audit(c), 0);
    }
}

static void storm(const struct conf *conf, uint64_t seed, bool stale, bool fast)
{
    char err[200] = "";
    if (conf_check(conf, err, sizeof(err)) != 0)
        fail_msg("%s", err);
    struct world *w = world_open(conf, seed, stale);
    w->fast = fast;
    unsigned core = 0;
    for (unsigned event = 0; event < EVENTS; event++) {
        core = chance(w, 2) ? (unsigned)below(w, CORES) : core;
        uint64_t what = below(w, 1000);
        if (what < 10)
            do_flush(w, core);
        else if (what < 14)
            do_kernel(w, core);
        else
            do_access(w, core, event);
        same(w, event);
        if (event % (EVENTS / 4) == 0)
            sound(w);
    }
    sound(w);
    same_tables(w);
    assert_true(STAT(&w->stats, walk_fault) > 0);
    assert_true(STAT(&w->stats, dtlb_load_walk) > 0);
    assert_true(STAT(&w->stats, walk_set_dirty) > 0);
    bool none = w->core[0].view[ACCESS_LOAD].mru == w->core[0].walk[0].mru; /* no 4 KiB array */
    assert_true(!fast || none || w->fast_hits > EVENTS / 500);
    world_close(w);
}

/* -- shapes */
static void tlb(uint64_t *entries, uint64_t n, uint64_t ways, unsigned sizes, int index, int policy)
{
    /* the five options of an array stand next to each other in struct conf */
    entries[0] = n;
    entries[1] = ways;
    entries[2] = sizes;
    entries[3] = (uint64_t)index;
    entries[4] = (uint64_t)policy;
}
static void cache(uint64_t *size, uint64_t bytes, uint64_t ways, int policy)
{
    size[0] = bytes;
    size[1] = ways;
    size[3] = (uint64_t)policy;
}
static struct conf skylake(void)
{
    struct conf c;
    conf_init(&c);
    c.phys_size = GIB(2);
    cache(&c.l3_size, MIB(2) + KIB(768), 11, CACHE_LRU);
    return c;
}
static struct conf golden_cove(void)
{
    struct conf c = skylake();
    c.mmu_levels = 5;
    tlb(&c.tlb_i_entries, 256, 8, 1, INDEX_LINEAR, TLB_PLRU);
    tlb(&c.tlb_i2_entries, 32, 8, 2, INDEX_LINEAR, TLB_PLRU);
    tlb(&c.tlb_d_entries, 96, 6, 1, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_d2_entries, 32, 4, 2, INDEX_LINEAR, TLB_PLRU);
    tlb(&c.tlb_d3_entries, 8, 8, 4, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_s_entries, 16, 16, 7, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_l2_entries, 1024, 8, 3, INDEX_XOR7, TLB_PLRU);
    tlb(&c.tlb_l2b_entries, 1024, 8, 5, INDEX_XOR7, TLB_PLRU);
    cache(&c.l1d_size, KIB(48), 12, CACHE_LRU);
    cache(&c.l3_size, KIB(1920) * 3, 15, CACHE_LRU); /* sets are no power of two */
    return c;
}
static struct conf zen4(void)
{
    struct conf c = skylake();
    c.mmu_levels = 5;
    c.phys_bits = 51;
    tlb(&c.tlb_i_entries, 64, 64, 7, INDEX_LINEAR, TLB_PLRU);
    tlb(&c.tlb_i2_entries, 0, 1, 0, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_d_entries, 72, 72, 7, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_d2_entries, 0, 1, 0, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_d3_entries, 0, 1, 0, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_l2_entries, 3072, 24, 3, INDEX_XOR8, TLB_LRU);
    tlb(&c.tlb_l2b_entries, 64, 64, 4, INDEX_LINEAR, TLB_LRU);
    cache(&c.l2_size, MIB(1), 8, CACHE_PLRU);
    cache(&c.l3_size, MIB(4), 16, CACHE_PLRU);
    return c;
}
static struct conf hostile(void)
{
    struct conf c = skylake();
    tlb(&c.tlb_i_entries, 8, 2, 1, INDEX_LINEAR, TLB_PLRU);
    tlb(&c.tlb_i2_entries, 2, 2, 2, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_d_entries, 8, 2, 1, INDEX_XOR7, TLB_RANDOM);
    tlb(&c.tlb_d2_entries, 8, 8, 2, INDEX_LINEAR, TLB_PLRU);
    tlb(&c.tlb_d3_entries, 0, 1, 0, INDEX_LINEAR, TLB_LRU);
    tlb(&c.tlb_l2_entries, 24, 3, 3, INDEX_XOR8, TLB_MRU3);
    tlb(&c.tlb_l2b_entries, 8, 4, 3, INDEX_LINEAR, TLB_LRU);
    c.pwc_pde = 2;
    c.pwc_pdpte = 1;
    c.pwc_pml4e = 0;
    cache(&c.l1i_size, KIB(1), 4, CACHE_LRU);
    cache(&c.l1d_size, KIB(1), 4, CACHE_PLRU);
    cache(&c.l2_size, KIB(3), 3, CACHE_RANDOM);
    cache(&c.l3_size, KIB(12), 3, CACHE_LRU);
    c.l3_kind = L3_INCLUSIVE;
    return c;
}
/* Every array takes 4 KiB only, so all huge pages are broken up; no PCIDs; no 1 GiB pages. */
static struct conf small_only(void)
{
    struct conf c = skylake();
    c.mmu_pcid = 0;
    c.mmu_1g = 0;
    c.tlb_i2_entries = c.tlb_d2_entries = c.tlb_d3_entries = c.tlb_l2b_entries = 0;
    c.tlb_l2_sizes = 1;
    c.l3_kind = L3_NEITHER;
    return c;
}

static uint64_t any(struct rng *r, uint64_t n)
{
    return rng_below(r, n);
}
static void any_tlb(struct rng *r, uint64_t *t)
{
    static const uint64_t ways[] = {1, 2, 3, 4, 6, 8, 12, 16, 32, 80, 128};
    uint64_t w = ways[any(r, ARRAY_LEN(ways))], sets = BIT(any(r, 5));
    int policy = (int)any(r, 4);
    if ((policy == TLB_PLRU && !is_pow2(w)) || (policy == TLB_MRU3 && w % 3 != 0))
        policy = TLB_LRU;
    tlb(t, any(r, 5) == 0 ? 0 : w * sets, w, 1 + (unsigned)any(r, 7), (int)any(r, 3), policy);
}
static struct conf any_shape(uint64_t seed)
{
    struct rng r = {seed};
    struct conf c = skylake();
    c.seed = seed;
    c.mmu_levels = 4 + any(&r, 2);
    c.mmu_pcid = any(&r, 4) != 0;
    c.mmu_pcids_i = any(&r, 4);
    c.mmu_pcids_d = any(&r, 4);
    c.mmu_pcids_l2 = any(&r, 6);
    c.mmu_1g = any(&r, 4) != 0;
    uint64_t *arrays[] = {&c.tlb_i_entries,  &c.tlb_i2_entries, &c.tlb_d_entries,
                          &c.tlb_d2_entries, &c.tlb_d3_entries, &c.tlb_s_entries,
                          &c.tlb_l2_entries, &c.tlb_l2b_entries};
    for (unsigned i = 0; i < ARRAY_LEN(arrays); i++)
        any_tlb(&r, arrays[i]);
    c.pwc_pde = any(&r, 40);
    c.pwc_pdpte = any(&r, 6);
    c.pwc_pml4e = any(&r, 4);
    c.pwc_pml5e = any(&r, 3);
    c.l3_kind = any(&r, 3);
    cache(&c.l1d_size, KIB(1) << any(&r, 6), 4, (int)any(&r, 3));
    cache(&c.l2_size, KIB(64) << any(&r, 4), 16, (int)any(&r, 3));
    return c;
}

static void skylake_equals_oracle_event_for_event(void **state)
{
    (void)state;
    struct conf c = skylake();
    storm(&c, 1, true, false);
    storm(&c, 1, true, true); /* the same events with the fast path */
}
static void golden_cove_equals_oracle_event_for_event(void **state)
{
    (void)state;
    struct conf c = golden_cove();
    storm(&c, 2, true, true);
    storm(&c, 3, false, true);
}
static void zen4_equals_oracle_event_for_event(void **state)
{
    (void)state;
    struct conf c = zen4();
    storm(&c, 4, true, true);
    storm(&c, 5, false, false);
}
static void tiny_arrays_and_an_inclusive_l3_equal_oracle(void **state)
{
    (void)state;
    struct conf c = hostile();
    storm(&c, 6, true, true);
    storm(&c, 7, false, false);
}
static void broken_up_pages_without_pcid_equal_oracle(void **state)
{
    (void)state;
    struct conf c = small_only();
    storm(&c, 8, true, true);
}
static void random_shapes_equal_oracle(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 108; seed++) {
        struct conf c = any_shape(seed);
        storm(&c, seed, seed % 2, seed % 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skylake_equals_oracle_event_for_event),
        cmocka_unit_test(golden_cove_equals_oracle_event_for_event),
        cmocka_unit_test(zen4_equals_oracle_event_for_event),
        cmocka_unit_test(tiny_arrays_and_an_inclusive_l3_equal_oracle),
        cmocka_unit_test(broken_up_pages_without_pcid_equal_oracle),
        cmocka_unit_test(random_shapes_equal_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
