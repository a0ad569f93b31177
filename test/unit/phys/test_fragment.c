/* test_fragment.c: phys.fragmentation: which pageblocks are spoilt, how much is lost, and that the seed
 * decides. Expectations by arithmetic: one frame a chosen pageblock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "phys/phys.h"

static struct stat_set stats;

static struct phys *open_with(uint64_t percent, uint64_t seed)
{
    struct conf conf;
    struct phys *p = NULL;
    conf_init(&conf);
    conf.phys_size = MIB(512);
    conf.phys_fragmentation = percent;
    conf.seed = seed;
    memset(&stats, 0, sizeof(stats));
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    assert_int_equal(phys_audit(p), 0);
    return p;
}

static uint64_t large(const struct phys *p)
{
    uint64_t n = 0;
    for (int z = 0; z < ZONE_NR; z++)
        n += phys_free_blocks(p, (enum zone_id)z, 9) + 2 * phys_free_blocks(p, (enum zone_id)z, 10);
    return n;
}

static void each_spoilt_pageblock_loses_one_frame(void **state)
{
    (void)state;
    struct phys *clean = open_with(0, 1), *p = open_with(40, 1);
    uint64_t spoilt = phys_owner_frames(p, FRAME_SLAB);
    assert_int_equal(phys_owner_frames(clean, FRAME_SLAB), 0);
    assert_in_range(spoilt, 256 * 30 / 100, 256 * 50 / 100); /* 40 % of 256, some of them taken */
    assert_int_equal(phys_owner_frames(p, FRAME_FREE) + spoilt,
                     phys_owner_frames(clean, FRAME_FREE));
    assert_true(large(p) >= large(clean) - spoilt);
    assert_true(large(p) < large(clean) * 3 / 4);
    assert_int_equal(STAT(&stats, pgfree), 0);
    phys_close(clean);
    phys_close(p);
}

static void in_a_wholly_fragmented_machine_no_huge_page_is_to_be_had(void **state)
{
    (void)state;
    struct phys *p = open_with(100, 1);
    pfn n;
    struct phys_req r = phys_request(9, GFP_USER, FRAME_USER_ANON);
    assert_int_equal(large(p), 0);
    assert_int_not_equal(phys_alloc_req(p, &r, &n), 0);
    r.order = 0;
    assert_int_equal(phys_alloc_req(p, &r, &n), 0);
    phys_free(p, n, 0);
    phys_close(p);
}

static void the_seed_decides_where(void **state)
{
    (void)state;
    struct phys *a = open_with(30, 7), *b = open_with(30, 7), *c = open_with(30, 8);
    unsigned other = 0;
    for (uint64_t n = 0; n < phys_frames(a); n++) {
        assert_int_equal(phys_owner(a, (pfn){n}), phys_owner(b, (pfn){n}));
        other += phys_owner(a, (pfn){n}) != phys_owner(c, (pfn){n});
    }
    assert_true(other > 50);
    phys_close(a);
    phys_close(b);
    phys_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_spoilt_pageblock_loses_one_frame),
        cmocka_unit_test(in_a_wholly_fragmented_machine_no_huge_page_is_to_be_had),
        cmocka_unit_test(the_seed_decides_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
