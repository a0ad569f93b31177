/* Fragmentation indexes: the values of a real kernel and of the formulas by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "phys/phys.h"

static struct stat_set stats;

static struct phys *open_sized(uint64_t size)
{
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = size;
    conf.phys_kernel_image = MIB(8);
    conf.phys_pcp = 0;
    struct phys *p = NULL;
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    return p;
}

/* Read on the reference guest, 6.18.44: /proc/buddyinfo of zone DMA is 0 0 0 0 0 0 0 0 1 1 3, and
 * debugfs extfrag/unusable_index 0.000 up to order 8, 0.066, 0.200; extfrag_index -1.000. */
static void test_dma_zone_of_a_booted_pc_has_the_kernels_indexes(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(8));
    for (unsigned o = 0; o <= 8; o++)
        assert_int_equal(phys_unusable_index(p, 0, ZONE_DMA, o), 0);
    assert_int_equal(phys_unusable_index(p, 0, ZONE_DMA, 9), 66);
    assert_int_equal(phys_unusable_index(p, 0, ZONE_DMA, 10), 200);
    for (unsigned o = 0; o < PHYS_ORDERS; o++)
        assert_int_equal(phys_extfrag_index(p, 0, ZONE_DMA, o), -1000);
    phys_close(p);
}

/* All of zone DMA taken, then ten single frames freed that do not touch. */
static struct phys *ten_single_frames(void)
{
    struct phys *p = open_sized(MIB(64));
    struct phys_req r = phys_request(0, GFP_DMA, FRAME_SLAB);
    r.mark = PHYS_NO_WATERMARKS;
    pfn n[4096];
    unsigned held = 0;
    while (phys_alloc_req(p, &r, &n[held]) == 0)
        held++;
    assert_int_equal(held, 3840);
    for (unsigned i = 0; i < 10; i++)
        phys_free(p, n[100 + 2 * i], 0);
    return p;
}

/* F = B = 10: order 1 has S = 0, so 1000 - (1000 + 10 * 1000 / 2) / 10 = 400. */
static void test_ten_single_frames_have_the_index_worked_out_by_hand(void **state)
{
    (void)state;
    struct phys *p = ten_single_frames();
    assert_int_equal(phys_unusable_index(p, 0, ZONE_DMA, 0), 0);
    assert_int_equal(phys_unusable_index(p, 0, ZONE_DMA, 1), 1000);
    assert_int_equal(phys_extfrag_index(p, 0, ZONE_DMA, 0), -1000);
    assert_int_equal(phys_extfrag_index(p, 0, ZONE_DMA, 1), 400);
    assert_int_equal(phys_extfrag_index(p, 0, ZONE_DMA, 10), 1000 - (1000 + 9) / 10);
    assert_int_equal(phys_extfrag_percent(p, 0, ZONE_DMA, 1), 100);
    phys_close(p);
}

static void test_zone_without_memory_is_wholly_unusable_and_not_fragmented(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64));
    assert_int_equal(phys_unusable_index(p, 0, ZONE_NORMAL, 3), 1000);
    assert_int_equal(phys_extfrag_index(p, 0, ZONE_NORMAL, 3), 0);
    assert_int_equal(phys_extfrag_percent(p, 0, ZONE_NORMAL, 3), 0);
    phys_close(p);
}

/* Order 9 needs mark + 1024 + (low - min) free frames, and an index above the threshold. */
static void test_compaction_suits_a_zone_with_room_that_is_fragmented(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64));
    struct phys_zone_info z;
    phys_zone_info(p, 0, ZONE_DMA32, &z);
    uint64_t gap = 1024 + z.low - z.min;
    assert_true(phys_compaction_suitable(p, 0, ZONE_DMA32, 9, z.free - gap - 1, ZONE_NORMAL));
    assert_false(phys_compaction_suitable(p, 0, ZONE_DMA32, 9, z.free - gap, ZONE_NORMAL));
    assert_true(phys_compaction_suitable(p, 0, ZONE_DMA32, 3, z.free - 17, ZONE_NORMAL));
    assert_false(phys_compaction_suitable(p, 0, ZONE_DMA32, 3, z.free - 16, ZONE_NORMAL));
    phys_close(p);
}

static void test_compaction_does_not_suit_a_zone_that_lacks_memory(void **state)
{
    (void)state;
    struct phys *p = ten_single_frames();
    struct phys_tunables vm;
    phys_tunables(p, &vm);
    vm.lowmem_reserve_ratio[0] = 0; /* the zone would keep all ten from others */
    assert_int_equal(phys_set_tunables(p, &vm), 0);
    assert_false(phys_compaction_suitable(p, 0, ZONE_DMA, 4, 0, ZONE_DMA)); /* 10 < 2 * 16 */
    assert_true(phys_compaction_suitable(p, 0, ZONE_DMA, 1, 0, ZONE_DMA));
    phys_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dma_zone_of_a_booted_pc_has_the_kernels_indexes),
        cmocka_unit_test(test_ten_single_frames_have_the_index_worked_out_by_hand),
        cmocka_unit_test(test_zone_without_memory_is_wholly_unusable_and_not_fragmented),
        cmocka_unit_test(test_compaction_suits_a_zone_with_room_that_is_fragmented),
        cmocka_unit_test(test_compaction_does_not_suit_a_zone_that_lacks_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
