/* test_cache.c: one cache, and the three kinds of hierarchy. Expectations are closed forms and rules
 * worked out by hand. */
#include "cache/cache.h"
#include "ref/ref_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void open_lines(struct cache *c, unsigned sets, unsigned ways, enum conf_cache_policy policy)
{
    assert_int_equal(cache_open(c, (uint64_t)sets * ways * 64, ways, policy, 1), 0);
}

static bool use(struct cache *c, uint64_t line)
{
    if (cache_lookup(c, line))
        return true;
    cache_fill(c, line);
    return false;
}

static unsigned sweep_hits(enum conf_cache_policy policy, unsigned lines)
{
    struct cache c;
    unsigned hits = 0;
    open_lines(&c, 1, 8, policy);
    for (unsigned round = 0; round < 100; round++)
        for (unsigned i = 0; i < lines; i++)
            hits += use(&c, i);
    assert_int_equal(cache_audit(&c), 0);
    cache_close(&c);
    return hits;
}

static void cyclic_sweep_over_ways_plus_one_lines_never_hits_lru(void **state)
{
    (void)state;
    assert_int_equal(sweep_hits(CACHE_LRU, 9), 0);
    assert_int_equal(sweep_hits(CACHE_LRU, 8), 99 * 8);
    assert_int_equal(sweep_hits(CACHE_PLRU, 8), 99 * 8);
    assert_int_equal(sweep_hits(CACHE_RANDOM, 8), 99 * 8);
}

static void stride_of_the_number_of_sets_thrashes_at_ways_plus_one(void **state)
{
    (void)state;
    struct cache c;
    for (unsigned lines = 8; lines <= 9; lines++) {
        unsigned hits = 0;
        open_lines(&c, 64, 8, CACHE_LRU);
        for (unsigned i = 0; i < 10 * lines; i++)
            hits += use(&c, (uint64_t)(i % lines) * 64);
        assert_int_equal(hits, lines == 8 ? 9 * 8 : 0);
        cache_close(&c);
    }
}

static void lru_evicts_the_line_not_used_for_longest(void **state)
{
    (void)state;
    struct cache c;
    open_lines(&c, 1, 4, CACHE_LRU);
    for (uint64_t i = 0; i < 4; i++)
        assert_true(cache_fill(&c, i) == UINT64_MAX);
    assert_true(cache_lookup(&c, 0));
    assert_true(cache_lookup(&c, 1));
    assert_true(cache_fill(&c, 4) == 2);
    assert_true(cache_fill(&c, 5) == 3);
    assert_true(cache_fill(&c, 6) == 0);
    cache_close(&c);
}

/* Tree of 4 ways: after touching 0 1 2 3 all nodes point to way 0; touching 0 turns the root to the
 * right pair, whose node points to 2; touching 2 turns back to the left pair, whose node points to 1. */
static void tree_plru_of_four_ways_evicts_as_drawn_by_hand(void **state)
{
    (void)state;
    struct cache c;
    open_lines(&c, 1, 4, CACHE_PLRU);
    for (uint64_t i = 0; i < 4; i++)
        cache_fill(&c, i);
    assert_true(cache_fill(&c, 10) == 0); /* way 0 */
    assert_true(cache_fill(&c, 11) == 2); /* way 2 */
    assert_true(cache_fill(&c, 12) == 1); /* way 1 */
    assert_true(cache_lookup(&c, 3));     /* root to the left pair: 1 was last, so way 0 */
    assert_true(cache_fill(&c, 13) == 10);
    cache_close(&c);
}

/* 12 ways touched in order: the newest group is 2, so the victims are in groups 0, 1, 2, 0 … and
 * inside a group of 4 as in the tree above. */
static void mru3_takes_the_group_after_the_newest(void **state)
{
    (void)state;
    static const uint32_t want[] = {0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11};
    struct repl r;
    assert_int_equal(repl_open(&r, 1, 12, REPL_MRU3, 0, NULL, 0), 0);
    for (uint32_t w = 0; w < 12; w++)
        repl_touch(&r, 0, w);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(repl_victim(&r, 0), want[i]);
        repl_touch(&r, 0, want[i]);
    }
    repl_close(&r);
}

static void dropped_way_is_filled_before_anything_is_evicted(void **state)
{
    (void)state;
    for (int policy = CACHE_LRU; policy <= CACHE_RANDOM; policy++) {
        struct cache c;
        open_lines(&c, 1, 8, (enum conf_cache_policy)policy);
        for (uint64_t i = 0; i < 8; i++)
            cache_fill(&c, i);
        assert_true(cache_drop(&c, 5));
        assert_false(cache_drop(&c, 5));
        assert_false(cache_lookup(&c, 5));
        assert_true(cache_fill(&c, 20) == UINT64_MAX);
        assert_true(cache_fill(&c, 21) != UINT64_MAX);
        assert_int_equal(cache_audit(&c), 0);
        cache_close(&c);
    }
}

static void touching_the_newest_line_again_changes_no_later_eviction(void **state)
{
    (void)state;
    for (int policy = CACHE_LRU; policy <= CACHE_PLRU; policy++) {
        struct cache a, b;
        struct rng r = {3};
        open_lines(&a, 4, 8, (enum conf_cache_policy)policy);
        open_lines(&b, 4, 8, (enum conf_cache_policy)policy);
        for (unsigned i = 0; i < 20000; i++) {
            uint64_t line = rng_below(&r, 60);
            assert_int_equal(use(&a, line), use(&b, line));
            assert_true(cache_hit_mru(&a, line));
            for (unsigned n = 0; n < i % 3; n++)
                assert_true(cache_lookup(&a, line)); /* b is not touched again */
        }
        cache_close(&a);
        cache_close(&b);
    }
}

static void most_recent_check_misses_a_dropped_line(void **state)
{
    (void)state;
    struct cache c;
    open_lines(&c, 2, 2, CACHE_LRU);
    assert_false(cache_hit_mru(&c, 0));
    cache_fill(&c, 0);
    assert_true(cache_hit_mru(&c, 0));
    assert_false(cache_hit_mru(&c, 2)); /* same set, other tag */
    cache_drop(&c, 0);
    assert_false(cache_hit_mru(&c, 0));
    cache_close(&c);
}

static void sets_that_are_no_power_of_two_divide_exactly(void **state)
{
    (void)state;
    static const unsigned sets[] = {3, 5, 28672, 40960, 65535, 211, 1000003};
    struct rng r = {11};
    for (unsigned i = 0; i < ARRAY_LEN(sets); i++) {
        struct cache c;
        open_lines(&c, sets[i], 1, CACHE_LRU);
        for (unsigned n = 0; n < 200000; n++) {
            uint64_t line = n < 100000 ? rng_below(&r, UINT64_C(1) << 38)
                                       : rng_below(&r, 1000) * sets[i] + n % 3 - (n >= 150000);
            line &= (UINT64_C(1) << 38) - 1;
            uint32_t tag;
            if (line / sets[i] >= UINT32_MAX)
                continue;
            assert_int_equal(cache_set(&c, line, &tag), line % sets[i]);
            assert_int_equal(tag, line / sets[i] + 1);
        }
        cache_close(&c);
    }
}

static void same_as_naive(unsigned sets, unsigned ways, enum conf_cache_policy policy)
{
    struct cache c;
    struct ref_cache ref;
    struct rng r = {ways * 8u + (unsigned)policy};
    open_lines(&c, sets, ways, policy);
    ref_cache_open(&ref, (uint64_t)sets * ways * 64, ways, (int)policy, 1);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t line = rng_below(&r, 2 * sets * ways + 1);
        bool held = ref_cache_lookup(&ref, line);
        assert_int_equal(cache_holds(&c, line), held);
        assert_int_equal(cache_lookup(&c, line), held);
        if (!held)
            assert_int_equal(cache_fill(&c, line), ref_cache_fill(&ref, line));
        assert_true(sets == 3 || cache_hit_mru(&c, line));
        if (i % 5 == 0) {
            line = rng_below(&r, 2 * sets * ways + 1);
            assert_int_equal(cache_drop(&c, line), ref_cache_drop(&ref, line));
            assert_false(sets != 3 && cache_hit_mru(&c, line));
        }
    }
    assert_int_equal(cache_audit(&c), 0);
    ref_cache_close(&ref);
    cache_close(&c);
}

static void lookups_fills_and_drops_of_every_shape_equal_the_naive_cache(void **state)
{
    (void)state;
    static const unsigned many[] = {20, 31, 32, 33, 48, 63, 64, 65, 80};
    for (int policy = CACHE_LRU; policy <= CACHE_RANDOM; policy++)
        for (unsigned sets = 2; sets <= 4; sets++) {
            for (unsigned ways = 1; ways <= 17; ways++)
                same_as_naive(sets, ways, (enum conf_cache_policy)policy);
            for (unsigned i = 0; i < ARRAY_LEN(many); i++)
                same_as_naive(sets, many[i], (enum conf_cache_policy)policy);
        }
}

/* An array of 2 MiB and more lies in huge host pages; it starts empty like any other. */
static void large_caches_start_empty_and_hold_what_they_are_given(void **state)
{
    (void)state;
    struct cache c;
    open_lines(&c, 90112, 15, CACHE_LRU);
    for (uint64_t line = 0; line < 90112 * 15; line++)
        assert_false(use(&c, line));
    for (uint64_t line = 0; line < 90112 * 15; line++)
        assert_true(use(&c, line));
    assert_false(use(&c, 90112 * 15));
    assert_false(use(&c, 0)); /* was the oldest of its set */
    assert_true(use(&c, 1));
    assert_int_equal(cache_audit(&c), 0);
    cache_close(&c);
}

/* -- the hierarchy: L1 of 2 lines, L2 of 4, L3 of 8, all fully associative LRU */
static struct conf tiny(unsigned kind)
{
    struct conf f;
    conf_init(&f);
    f.phys_size = GIB(1);
    f.l1i_size = f.l1d_size = 2 * 64;
    f.l1i_ways = f.l1d_ways = 2;
    f.l2_size = 4 * 64;
    f.l2_ways = 4;
    f.l3_size = 8 * 64;
    f.l3_ways = 8;
    f.l3_kind = kind;
    return f;
}
struct two {
    struct cache l3;
    struct cache_core core[2];
};
static void two_open(struct two *t, unsigned kind)
{
    struct conf f = tiny(kind);
    assert_int_equal(cache_open(&t->l3, f.l3_size, 8, CACHE_LRU, 1), 0);
    assert_int_equal(cache_core_open(&t->core[0], &f, &t->l3, NULL), 0);
    assert_int_equal(cache_core_open(&t->core[1], &f, &t->l3, &t->core[0]), 0);
}
static void two_close(struct two *t)
{
    cache_core_close(&t->core[0]);
    cache_core_close(&t->core[1]);
    cache_close(&t->l3);
}

static void victim_l3_gets_only_what_l2_evicts(void **state)
{
    (void)state;
    struct two t;
    two_open(&t, L3_VICTIM);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(cache_data(&t.core[0], i), MEM_DRAM);
    assert_int_equal(cache_data(&t.core[0], 3), MEM_L1);
    assert_int_equal(cache_data(&t.core[0], 0), MEM_L2);
    for (uint64_t i = 0; i < 5; i++)
        assert_false(cache_holds(&t.l3, i));
    cache_data(&t.core[0], 4); /* of 0 1 2 3, line 1 was used least recently in L2 */
    assert_true(cache_holds(&t.l3, 1));
    assert_false(cache_holds(&t.l3, 0));
    assert_int_equal(cache_data(&t.core[0], 1), MEM_L3);
    assert_true(cache_holds(&t.l3, 1)); /* it stays there */
    two_close(&t);
}

static void inclusive_l3_takes_evicted_lines_from_every_core(void **state)
{
    (void)state;
    struct two t;
    two_open(&t, L3_INCLUSIVE);
    cache_data(&t.core[0], 100);
    cache_fetch(&t.core[1], 101);
    assert_true(cache_holds(&t.l3, 100) && cache_holds(&t.l3, 101));
    for (uint64_t i = 0; i < 7; i++)
        cache_data(&t.core[1], i); /* 9 lines: 100 leaves L3 and core 0 */
    assert_false(cache_holds(&t.core[0].l1d, 100));
    assert_false(cache_holds(&t.core[0].l2, 100));
    cache_data(&t.core[0], 7);
    assert_false(cache_holds(&t.core[1].l1i, 101));
    assert_int_equal(cache_core_audit(&t.core[0]), 0);
    assert_int_equal(cache_core_audit(&t.core[1]), 0);
    two_close(&t);
}

static void neither_kind_keeps_private_lines_that_l3_evicts(void **state)
{
    (void)state;
    struct two t;
    two_open(&t, L3_NEITHER);
    cache_data(&t.core[0], 100);
    for (uint64_t i = 0; i < 8; i++)
        cache_data(&t.core[1], i);
    assert_false(cache_holds(&t.l3, 100));
    assert_int_equal(cache_data(&t.core[0], 100), MEM_L1);
    two_close(&t);
}

static void cores_share_lines_through_l3(void **state)
{
    (void)state;
    struct two t;
    two_open(&t, L3_NEITHER);
    assert_int_equal(cache_data(&t.core[0], 5), MEM_DRAM);
    assert_int_equal(cache_data(&t.core[1], 5), MEM_L3);
    assert_int_equal(cache_fetch(&t.core[1], 5), MEM_L2);
    two_close(&t);
}

/* Two cores over one L3, all LRU, as every preset has it; `wide` says whether AVX-512 may serve. */
static void same_as_naive_hierarchy(const struct conf *f, bool wide)
{
    struct cache l3;
    struct cache_core core[2];
    struct ref_caches ref;
    struct rng r = {f->l2_ways * 32 + f->l3_ways};
    assert_int_equal(cache_open(&l3, f->l3_size, (unsigned)f->l3_ways, CACHE_LRU, 1), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cache_core_open(&core[i], f, &l3, i == 0 ? NULL : &core[0]), 0);
        core[i].wide &= wide;
    }
    ref_caches_open(&ref, f, 2);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t line = rng_below(&r, i % 3 == 0 ? 40 : i % 3 == 1 ? 300 : 2000);
        unsigned who = (unsigned)rng_below(&r, 2);
        bool fetch = rng_below(&r, 4) == 0;
        assert_int_equal(fetch ? cache_fetch(&core[who], line) : cache_data(&core[who], line),
                         ref_caches_access(&ref, who, line, fetch));
    }
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(cache_core_audit(&core[i]), 0);
    ref_caches_close(&ref);
    cache_core_close(&core[0]);
    cache_core_close(&core[1]);
    cache_close(&l3);
}

static void lru_hierarchies_equal_the_naive_one_with_and_without_avx512(void **state)
{
    (void)state;
    for (unsigned ways = 4; ways <= 17; ways++)
        for (unsigned kind = 0; kind < 6; kind++) {
            struct conf f = tiny(kind % 3);
            f.l1i_ways = f.l1d_ways = ways;
            f.l1i_size = f.l1d_size = 4 * 64 * ways;
            f.l2_ways = 21 - ways;
            f.l2_size = 8 * 64 * f.l2_ways;
            f.l3_ways = ways;
            f.l3_size = (ways % 2 ? 24 : 32) * 64 * ways;
            same_as_naive_hierarchy(&f, kind < 3);
        }
}

static void shapes_the_fast_path_cannot_index_are_refused(void **state)
{
    (void)state;
    struct conf f = tiny(L3_VICTIM);
    struct cache l3;
    struct cache_core core;
    assert_int_equal(cache_open(&l3, f.l3_size, 8, CACHE_LRU, 1), 0);
    f.l1d_size = 6 * 64; /* 3 sets */
    assert_int_equal(cache_core_open(&core, &f, &l3, NULL), -22);
    f = tiny(L3_VICTIM);
    f.phys_size = GIB(512); /* 2^33 lines in one set: no 32-bit tag */
    assert_int_equal(cache_core_open(&core, &f, &l3, NULL), -22);
    cache_close(&l3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cyclic_sweep_over_ways_plus_one_lines_never_hits_lru),
        cmocka_unit_test(stride_of_the_number_of_sets_thrashes_at_ways_plus_one),
        cmocka_unit_test(lru_evicts_the_line_not_used_for_longest),
        cmocka_unit_test(tree_plru_of_four_ways_evicts_as_drawn_by_hand),
        cmocka_unit_test(mru3_takes_the_group_after_the_newest),
        cmocka_unit_test(dropped_way_is_filled_before_anything_is_evicted),
        cmocka_unit_test(touching_the_newest_line_again_changes_no_later_eviction),
        cmocka_unit_test(most_recent_check_misses_a_dropped_line),
        cmocka_unit_test(sets_that_are_no_power_of_two_divide_exactly),
        cmocka_unit_test(lookups_fills_and_drops_of_every_shape_equal_the_naive_cache),
        cmocka_unit_test(large_caches_start_empty_and_hold_what_they_are_given),
        cmocka_unit_test(victim_l3_gets_only_what_l2_evicts),
        cmocka_unit_test(inclusive_l3_takes_evicted_lines_from_every_core),
        cmocka_unit_test(neither_kind_keeps_private_lines_that_l3_evicts),
        cmocka_unit_test(cores_share_lines_through_l3),
        cmocka_unit_test(lru_hierarchies_equal_the_naive_one_with_and_without_avx512),
        cmocka_unit_test(shapes_the_fast_path_cannot_index_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
