/* links: mmu */
/* test_tlb.c: one translation array against the linear-search one: look-ups, fills, single-page and
 * whole invalidations of any shape, from direct-mapped to 1024 ways. */
#include "mmu/tlb.h"
#include "ref/ref_tlb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef PW_CHECKS
#define EVENTS 20000u
#else
#define EVENTS 150000u
#endif

struct pair {
    struct tlb t;
    struct ref_tlb ref;
    struct rng r;
    uint64_t reach; /* 4 KiB pages the addresses span */
};

/* find compares the look-ups of one size and touches on a hit, as a user of the array does. */
static bool find(struct pair *p, uint64_t addr, enum page_size size, unsigned pcid)
{
    uint32_t slot = tlb_find(&p->t, addr, size, pcid);
    struct ref_entry *e = ref_tlb_find(&p->ref, addr, BIT(page_size_shift(size)), pcid);
    assert_int_equal(slot != TLB_NONE, e != NULL);
    if (e == NULL)
        return false;
    assert_true((p->t.vals[slot] & PTE_ADDR_MASK) == e->frame);
    assert_int_equal((p->t.vals[slot] & PTE_G) != 0, e->global);
    tlb_touch(&p->t, slot);
    ref_tlb_touch(&p->ref, e);
    return true;
}

static void add(struct pair *p, uint64_t addr, enum page_size size, unsigned pcid)
{
    enum page_size page = (enum page_size)(size + rng_below(&p->r, SIZE_NR - size));
    bool global = rng_below(&p->r, 10) == 0;
    uint64_t frame = rng_below(&p->r, 1 << 20) << 12, bytes = BIT(page_size_shift(size));
    assert_int_equal(tlb_has_room(&p->t, addr, size), ref_tlb_room(&p->ref, addr, bytes));
    tlb_insert(&p->t, addr, size, pcid,
               frame | (global ? PTE_G : 0) | (uint64_t)page << VAL_PAGE_SHIFT);
    ref_tlb_add(&p->ref, (struct ref_entry){.used = true,
                                            .global = global,
                                            .pcid = pcid,
                                            .start = addr & -bytes,
                                            .bytes = bytes,
                                            .page_bytes = BIT(page_size_shift(page)),
                                            .frame = frame});
}

static void invalidate(struct pair *p, uint64_t addr, unsigned pcid)
{
    bool globals = rng_below(&p->r, 2), all = rng_below(&p->r, 2);
    if (rng_below(&p->r, 40) != 0) {
        tlb_drop_page(&p->t, addr, pcid, globals);
        ref_tlb_drop_page(&p->ref, addr, pcid, globals);
        return;
    }
    tlb_flush(&p->t, all ? TLB_ALL_PCIDS : pcid, globals);
    ref_tlb_flush(&p->ref, all, pcid, globals);
}

static void storm(unsigned sets, unsigned ways, int index, int policy, uint64_t seed)
{
    struct pair p = {.r = {seed}, .reach = (uint64_t)sets * ways * 3 / 2 + 3};
    unsigned hits = 0;
    assert_int_equal(
        tlb_open(&p.t, sets * ways, ways, 7, (enum conf_index)index, (enum repl_policy)policy, 5),
        0);
    ref_tlb_open(&p.ref, sets * ways, ways, 7, index, policy, 5);
    for (unsigned i = 0; i < EVENTS; i++) {
        enum page_size size = (enum page_size)(rng_below(&p.r, 8) < 6 ? 0 : rng_below(&p.r, 3));
        uint64_t half = rng_below(&p.r, 8) == 0 ? 0xffff800000000000 : 0x7000000000;
        uint64_t addr =
            half + (rng_below(&p.r, p.reach) << page_size_shift(size)) + rng_below(&p.r, 4096);
        unsigned pcid = (unsigned)rng_below(&p.r, 3) * 4095 / 2;
        if (rng_below(&p.r, 100) == 0)
            invalidate(&p, addr, pcid);
        else if (find(&p, addr, size, pcid))
            hits++;
        else
            add(&p, addr, size, pcid);
        if (i % (EVENTS / 3) == 0)
            assert_int_equal(tlb_audit(&p.t), 0);
    }
    assert_int_equal(tlb_audit(&p.t), 0);
    assert_true(hits > EVENTS / 100);
    tlb_close(&p.t);
    ref_tlb_close(&p.ref);
}

static void set_associative_arrays_equal_oracle(void **state)
{
    (void)state;
    storm(16, 4, INDEX_LINEAR, TLB_PLRU, 1);
    storm(16, 6, INDEX_LINEAR, TLB_LRU, 2);
    storm(128, 12, INDEX_XOR7, TLB_MRU3, 3);
    storm(128, 8, INDEX_XOR8, TLB_PLRU, 4);
    storm(128, 24, INDEX_XOR7, TLB_LRU, 5);
    storm(64, 1, INDEX_LINEAR, TLB_LRU, 6);
    storm(4, 2, INDEX_LINEAR, TLB_RANDOM, 7);
}

static void fully_associative_arrays_equal_oracle(void **state)
{
    (void)state;
    storm(1, 8, INDEX_LINEAR, TLB_LRU, 11);
    storm(1, 64, INDEX_LINEAR, TLB_PLRU, 12);
    storm(1, 72, INDEX_LINEAR, TLB_LRU, 13);
    storm(1, 128, INDEX_LINEAR, TLB_RANDOM, 14);
    storm(1, 129, INDEX_LINEAR, TLB_LRU, 15);
    storm(1, 300, INDEX_LINEAR, TLB_PLRU, 16);
    storm(2, 256, INDEX_LINEAR, TLB_RANDOM, 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_associative_arrays_equal_oracle),
        cmocka_unit_test(fully_associative_arrays_equal_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
