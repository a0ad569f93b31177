/* test_tlb.c: one translation array: closed forms of reach, PCID and global bit, invalidation. */
#include "mmu/tlb.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void open_tlb(struct tlb *t, unsigned sets, unsigned ways, enum conf_index index,
                     enum repl_policy policy)
{
    assert_int_equal(tlb_open(t, sets * ways, ways, TLB_SIZES_4K, index, policy, 1), 0);
}

static bool use(struct tlb *t, uint64_t page)
{
    uint32_t slot = tlb_find(t, page << 12, SIZE_4K, 1);
    if (slot != TLB_NONE)
        tlb_touch(t, slot);
    else
        tlb_insert(t, page << 12, SIZE_4K, 1, page << 12);
    return slot != TLB_NONE;
}

static unsigned sweep(struct tlb *t, uint64_t pages, uint64_t stride, unsigned rounds)
{
    unsigned hits = 0;
    for (unsigned round = 0; round < rounds; round++)
        for (uint64_t i = 0; i < pages; i++)
            hits += use(t, i * stride);
    return hits;
}

static void cyclic_sweep_over_one_page_too_many_never_hits_full_lru(void **state)
{
    (void)state;
    static const unsigned sizes[] = {4, 8, 16, 32, 64, 72, 128, 1000, 4096};
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        struct tlb t;
        open_tlb(&t, 1, sizes[i], INDEX_LINEAR, REPL_LRU);
        assert_int_equal(sweep(&t, sizes[i] + 1, 1, 5), 0);
        tlb_flush(&t, TLB_ALL_PCIDS, true);
        assert_int_equal(sweep(&t, sizes[i], 1, 5), 4 * sizes[i]);
        tlb_close(&t);
    }
}

static void stride_of_the_sets_thrashes_a_linear_index_at_ways_plus_one(void **state)
{
    (void)state;
    struct tlb t;
    open_tlb(&t, 128, 12, INDEX_LINEAR, REPL_LRU);
    assert_int_equal(sweep(&t, 12, 128, 10), 9 * 12);
    tlb_flush(&t, TLB_ALL_PCIDS, true);
    assert_int_equal(sweep(&t, 13, 128, 10), 0);
    tlb_close(&t);
}

static void stride_of_the_sets_does_not_thrash_an_xor_index(void **state)
{
    (void)state;
    struct tlb t;
    /* page i × 128: the low 7 bits are i's, so the pages spread over all 128 sets */
    open_tlb(&t, 128, 12, INDEX_XOR7, REPL_LRU);
    assert_int_equal(sweep(&t, 128, 128, 10), 9 * 128);
    tlb_close(&t);
    open_tlb(&t, 256, 4, INDEX_XOR8, REPL_LRU);
    assert_int_equal(sweep(&t, 256, 256, 10), 9 * 256);
    tlb_close(&t);
}

/* Uniform over W pages on an array of E entries: each access hits with probability E / W once the
 * array is full, whatever the policy; with sets, if W pages spread evenly over them. */
static void uniform_accesses_hit_entries_over_pages(void **state)
{
    (void)state;
    static const struct {
        unsigned sets, ways, pages;
        enum repl_policy policy;
    } row[] = {{1, 64, 256, REPL_LRU},   {1, 72, 100, REPL_LRU},    {1, 64, 128, REPL_PLRU},
               {16, 4, 256, REPL_PLRU},  {128, 12, 4096, REPL_LRU}, {128, 12, 8192, REPL_MRU3},
               {16, 6, 192, REPL_RANDOM}};
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct tlb t;
        struct rng r = {i + 1};
        unsigned n = 200000, hits = 0;
        open_tlb(&t, row[i].sets, row[i].ways, INDEX_LINEAR, row[i].policy);
        for (unsigned k = 0; k < 20 * row[i].pages; k++)
            use(&t, rng_below(&r, row[i].pages));
        for (unsigned k = 0; k < n; k++)
            hits += use(&t, rng_below(&r, row[i].pages));
        double p = (double)(row[i].sets * row[i].ways) / row[i].pages;
        double sigma = sqrt(n * p * (1 - p));
        if (fabs(hits - n * p) > 3 * sigma)
            fail_msg("row %u: %u hits, expected %.0f ± %.0f", i, hits, n * p, 3 * sigma);
        tlb_close(&t);
    }
}

static void entries_are_found_under_their_pcid_only_unless_global(void **state)
{
    (void)state;
    struct tlb t;
    open_tlb(&t, 4, 4, INDEX_LINEAR, REPL_LRU);
    tlb_insert(&t, 0x5000, SIZE_4K, 7, 0x111000);
    tlb_insert(&t, 0x6000, SIZE_4K, 7, 0x222000 | PTE_G);
    assert_int_not_equal(tlb_find(&t, 0x5abc, SIZE_4K, 7), TLB_NONE);
    assert_int_equal(tlb_find(&t, 0x5abc, SIZE_4K, 8), TLB_NONE);
    assert_int_not_equal(tlb_find(&t, 0x6abc, SIZE_4K, 8), TLB_NONE);
    assert_int_equal(tlb_find(&t, 0x6abc, SIZE_2M, 8), TLB_NONE);
    tlb_flush(&t, 7, false);
    assert_int_equal(tlb_find(&t, 0x5abc, SIZE_4K, 7), TLB_NONE);
    assert_int_not_equal(tlb_find(&t, 0x6abc, SIZE_4K, 7), TLB_NONE);
    tlb_drop_page(&t, 0x6fff, 9, false);
    assert_int_not_equal(tlb_find(&t, 0x6abc, SIZE_4K, 7), TLB_NONE);
    tlb_drop_page(&t, 0x6fff, 9, true);
    assert_int_equal(tlb_find(&t, 0x6abc, SIZE_4K, 7), TLB_NONE);
    tlb_close(&t);
}

/* SDM vol. 3A, 4.10.2.3 and 4.10.4.1: INVLPG of one address of a large page drops every piece. */
static void dropping_one_address_drops_all_pieces_of_a_broken_up_page(void **state)
{
    (void)state;
    struct tlb t;
    uint64_t piece = (uint64_t)SIZE_2M << VAL_PAGE_SHIFT;
    open_tlb(&t, 16, 4, INDEX_LINEAR, REPL_LRU);
    for (uint64_t i = 0; i < 5; i++)
        tlb_insert(&t, 0x40000000 + i * 0x1000, SIZE_4K, 1, i << 12 | piece);
    tlb_insert(&t, 0x40200000, SIZE_4K, 1, 0x9000 | piece);
    tlb_drop_page(&t, 0x401ff000, 1, true);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(tlb_find(&t, 0x40000000 + i * 0x1000, SIZE_4K, 1), TLB_NONE);
    assert_int_not_equal(tlb_find(&t, 0x40200000, SIZE_4K, 1), TLB_NONE);
    assert_int_equal(tlb_audit(&t), 0);
    tlb_close(&t);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct tlb t;
    assert_int_equal(tlb_open(&t, 64, 5, 1, INDEX_LINEAR, REPL_LRU, 0), -22);
    assert_int_equal(tlb_open(&t, 96, 4, 1, INDEX_LINEAR, REPL_LRU, 0), -22); /* 24 sets */
    assert_int_equal(tlb_open(&t, 64, 0, 1, INDEX_LINEAR, REPL_LRU, 0), -22);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cyclic_sweep_over_one_page_too_many_never_hits_full_lru),
        cmocka_unit_test(stride_of_the_sets_thrashes_a_linear_index_at_ways_plus_one),
        cmocka_unit_test(stride_of_the_sets_does_not_thrash_an_xor_index),
        cmocka_unit_test(uniform_accesses_hit_entries_over_pages),
        cmocka_unit_test(entries_are_found_under_their_pcid_only_unless_global),
        cmocka_unit_test(dropping_one_address_drops_all_pieces_of_a_broken_up_page),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
