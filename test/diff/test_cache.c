/* links: cache */
/* test_cache.c: replacement and cache hierarchies against the naive ones, event for event. */
#include "cache/cache.h"
#include "ref/ref_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef PW_CHECKS
#define EVENTS 30000u
#else
#define EVENTS 300000u
#endif

/* A full set: random touches, victims compared after each. */
static void same_victims(unsigned ways, int policy)
{
    struct repl r;
    struct ref_repl ref;
    struct rng rng = {ways * 4u + (unsigned)policy};
    assert_int_equal(repl_open(&r, 3, ways, (enum repl_policy)policy, 9, NULL, 0), 0);
    ref_repl_open(&ref, 3, ways, policy, 9);
    for (unsigned set = 0; set < 3; set++)
        for (unsigned w = 0; w < ways; w++) {
            repl_touch(&r, set, w);
            ref_repl_touch(&ref, set, w);
        }
    for (unsigned i = 0; i < 3000; i++) {
        unsigned set = (unsigned)rng_below(&rng, 3), way = (unsigned)rng_below(&rng, ways);
        if (i % 2) {
            way = repl_victim(&r, set);
            assert_int_equal(way, ref_repl_victim(&ref, set));
        }
        repl_touch(&r, set, way);
        ref_repl_touch(&ref, set, way);
    }
    assert_int_equal(repl_audit(&r), 0);
    repl_close(&r);
    ref_repl_close(&ref);
}

static void victims_equal_oracle_for_every_policy_and_number_of_ways(void **state)
{
    (void)state;
    static const unsigned many[] = {63, 64, 65, 72, 96, 100, 128, 200};
    for (int policy = TLB_LRU; policy <= TLB_RANDOM; policy++) {
        for (unsigned ways = 1; ways <= 36; ways++)
            same_victims(ways, policy);
        for (unsigned i = 0; i < ARRAY_LEN(many); i++)
            same_victims(many[i], policy);
    }
}

static void storm(const struct conf *f, uint64_t seed)
{
    struct cache l3;
    struct cache_core core[2];
    struct ref_caches ref;
    struct rng r = {seed};
    assert_int_equal(cache_open(&l3, f->l3_size, (unsigned)f->l3_ways,
                                (enum conf_cache_policy)f->l3_policy, f->seed),
                     0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(cache_core_open(&core[i], f, &l3, i == 0 ? NULL : &core[0]), 0);
    ref_caches_open(&ref, f, 2);
    uint64_t reach = 3 * f->l3_size / 64, last = 0;
    for (unsigned i = 0; i < EVENTS; i++) {
        uint64_t kind = rng_below(&r, 4);
        uint64_t line = kind == 0   ? last + 1
                        : kind == 1 ? rng_below(&r, f->l1d_size / 32)
                        : kind == 2 ? rng_below(&r, f->l2_size / 48)
                                    : rng_below(&r, reach);
        unsigned who = (unsigned)rng_below(&r, 2);
        bool fetch = rng_below(&r, 4) == 0;
        last = line % reach;
        int got = fetch ? (int)cache_fetch(&core[who], last) : (int)cache_data(&core[who], last);
        int want = ref_caches_access(&ref, who, last, fetch);
        if (got != want)
            fail_msg("event %u: line %llu served by %d, oracle %d", i, (unsigned long long)last,
                     got, want);
    }
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(cache_core_audit(&core[i]), 0);
    ref_caches_close(&ref);
    cache_core_close(&core[0]);
    cache_core_close(&core[1]);
    cache_close(&l3);
}

static void hierarchies_of_every_kind_and_policy_equal_oracle(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 9; n++) {
        struct conf f;
        conf_init(&f);
        f.phys_size = GIB(1);
        f.l3_kind = n % 3;
        f.l1d_policy = f.l1i_policy = n / 3;
        f.l2_policy = (n + 1) % 3;
        f.l3_policy = (n / 3 + 2) % 3;
        f.l1d_size = KIB(2) << n % 3;
        f.l1d_ways = n == 4 ? 4 : 8;
        f.l1i_size = KIB(2);
        f.l2_size = KIB(15);
        f.l2_ways = f.l2_policy == CACHE_PLRU ? 16 : 20;
        f.l3_size = n % 2 ? KIB(33) : KIB(48);
        f.l3_ways = n % 2 ? 11 : 64;
        if (f.l3_policy == CACHE_PLRU)
            f.l3_ways = 16;
        if (f.l3_ways == 16)
            f.l3_size = KIB(48);
        if (f.l2_ways == 20)
            f.l2_size = KIB(20);
        storm(&f, 100 + n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(victims_equal_oracle_for_every_policy_and_number_of_ways),
        cmocka_unit_test(hierarchies_of_every_kind_and_policy_equal_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
