/* The buddy allocator by rule: which block is split, where halves go, how blocks merge, when memory
 * is refused. (test/diff/test_buddy.c compares long random runs.)
 *
 * Pictures: a digit is a free block of that order, a letter is held, one cell is one frame.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "phys/phys.h"

static struct stat_set stats;

static struct phys *open_sized(uint64_t size, uint64_t image)
{
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = size;
    conf.phys_kernel_image = image;
    conf.phys_pcp = 0; /* per-CPU lists have their own tests */
    memset(&stats, 0, sizeof(stats));
    struct phys *p = NULL;
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    return p;
}

/* Movable memory, whatever the watermarks say. */
static uint64_t get(struct phys *p, unsigned order, enum phys_gfp gfp)
{
    pfn n = PFN_NONE;
    struct phys_req r = phys_request(order, gfp, FRAME_USER_ANON);
    r.type = MIGRATE_MOVABLE;
    r.mark = PHYS_NO_WATERMARKS;
    int err = phys_alloc_req(p, &r, &n);
    assert_int_equal(err, n.v == UINT64_MAX ? -ENOMEM : 0);
    return n.v;
}

static void give(struct phys *p, uint64_t n, unsigned order)
{
    phys_free(p, (pfn){n}, order);
}

static void want_blocks(struct phys *p, enum zone_id z, const uint64_t want[PHYS_ORDERS])
{
    for (unsigned o = 0; o < PHYS_ORDERS; o++)
        assert_int_equal(phys_free_blocks(p, z, o), want[o]);
}

/* -- splitting */

static void test_split_keeps_the_lower_half_and_frees_the_upper_ones(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    uint64_t big = phys_free_blocks(p, ZONE_NORMAL, 10);
    uint64_t first = GIB(4) / 4096;
    assert_int_equal(get(p, 0, GFP_USER), first); /* A012.. : one block of each order is left */
    for (unsigned o = 0; o < 10; o++)
        assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, o), 1);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 10), big - 1);
    assert_int_equal(get(p, 0, GFP_USER), first + 1);
    assert_int_equal(get(p, 0, GFP_USER), first + 2);
    assert_int_equal(get(p, 3, GFP_USER), first + 8);
    phys_close(p);
}

static void test_smallest_block_that_fits_is_split_first(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    /* Zone DMA: [1 MiB] order 8, unmovable; [2 MiB] order 9, [4, 8, 12 MiB] order 10, movable. */
    assert_int_equal(get(p, 9, GFP_DMA), MIB(2) / 4096);
    assert_int_equal(get(p, 9, GFP_DMA), MIB(4) / 4096);
    assert_int_equal(get(p, 8, GFP_DMA), MIB(6) / 4096);
    assert_int_equal(get(p, 10, GFP_DMA), MIB(8) / 4096);
    assert_int_equal(get(p, 0, GFP_DMA), MIB(7) / 4096);
    assert_int_equal(get(p, 9, GFP_DMA), MIB(12) / 4096);
    phys_close(p);
}

static void test_block_is_aligned_to_its_size_at_every_order(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(128), MIB(8) + 4096);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned o = 0; o < PHYS_ORDERS; o++)
            assert_int_equal(get(p, o, GFP_USER) % BIT(o), 0);
    assert_int_equal(phys_audit(p), 0);
    phys_close(p);
}

/* -- freeing */

static void test_freed_buddies_merge_back_to_the_largest_block(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    uint64_t big = phys_free_blocks(p, ZONE_NORMAL, 10), n[1024];
    for (unsigned i = 0; i < 1024; i++)
        n[i] = get(p, 0, GFP_USER);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 10), big - 1);
    for (unsigned i = 0; i < 1024; i += 2)
        give(p, n[i], 0);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 0), 512); /* 0A0A0A… nothing merges */
    for (unsigned i = 1; i < 1024; i += 2)
        give(p, n[i], 0);
    for (unsigned o = 0; o < 10; o++)
        assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, o), 0);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 10), big);
    phys_close(p);
}

static void test_neighbours_that_are_not_buddies_do_not_merge(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    uint64_t first = get(p, 0, GFP_USER);
    for (unsigned i = 1; i < 8; i++)
        assert_int_equal(get(p, 0, GFP_USER), first + i);
    give(p, first + 1, 0); /* A0 0B: frames 1 and 2 touch, but their buddies are 0 and 3 */
    give(p, first + 2, 0);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 0), 2);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 1), 0);
    phys_close(p);
}

static void test_last_freed_block_is_taken_first(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    uint64_t n[32];
    for (unsigned i = 0; i < 32; i++)
        n[i] = get(p, 0, GFP_USER);
    give(p, n[4], 0);
    give(p, n[20], 0);
    give(p, n[12], 0);
    assert_int_equal(get(p, 0, GFP_USER), n[12]);
    assert_int_equal(get(p, 0, GFP_USER), n[20]);
    assert_int_equal(get(p, 0, GFP_USER), n[4]);
    phys_close(p);
}

static void test_block_whose_parent_may_merge_soon_waits_at_the_tail(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    uint64_t n[32];
    for (unsigned i = 0; i < 32; i++)
        n[i] = get(p, 0, GFP_USER);
    give(p, n[2], 0);
    give(p, n[3], 0);  /* A B 1 : order-1 block at 2 */
    give(p, n[20], 0); /* plain free: head of order 0 */
    give(p, n[0], 0);  /* 0 B 1 : when B goes all four merge, so 0 goes to the tail */
    assert_int_equal(get(p, 0, GFP_USER), n[20]);
    assert_int_equal(get(p, 0, GFP_USER), n[0]);
    phys_close(p);
}

static void test_freed_memory_is_used_before_virgin_memory(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    uint64_t a = get(p, 10, GFP_USER), b = get(p, 10, GFP_USER);
    assert_int_equal(b, a + 1024);
    give(p, a, 10);
    assert_int_equal(get(p, 10, GFP_USER), a);
    assert_int_equal(get(p, 10, GFP_USER), b + 1024);
    phys_close(p);
}

/* -- zones */

static void test_zones_are_used_from_the_highest_allowed_down(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(4) + MIB(128), MIB(40)); /* memmap 66 MiB: Normal has 62 MiB */
    uint64_t normal = phys_zone_free(p, ZONE_NORMAL);
    assert_int_equal(normal, MIB(62) / 4096);
    assert_int_equal(get(p, 0, GFP_DMA), MIB(2) / 4096);
    assert_int_equal(get(p, 0, GFP_DMA32), MIB(56) / 4096);
    for (uint64_t i = 0; i < normal; i++)
        assert_true(get(p, 0, i % 2 ? GFP_USER : GFP_KERNEL) >= GIB(4) / 4096);
    assert_int_equal(get(p, 0, GFP_KERNEL), MIB(56) / 4096 + 1);
    assert_int_equal(STAT(&stats, pgalloc_dma), 1);
    assert_int_equal(STAT(&stats, pgalloc_dma32), 2);
    assert_int_equal(STAT(&stats, pgalloc_normal), normal);
    phys_close(p);
}

static void test_dma_request_never_leaves_zone_dma(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64), MIB(8));
    for (unsigned i = 0; i < 3840; i++)
        assert_true(get(p, 0, GFP_DMA) < 4096);
    assert_int_equal(get(p, 0, GFP_DMA), UINT64_MAX);
    assert_true(get(p, 0, GFP_DMA32) >= 4096);
    phys_close(p);
}

static void test_frames_and_calls_are_counted_apart(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    uint64_t n = get(p, 9, GFP_USER);
    get(p, 0, GFP_USER);
    assert_int_equal(STAT(&stats, pgalloc_normal), 513);
    assert_int_equal(STAT(&stats, numa_hit), 2);
    assert_int_equal(STAT(&stats, numa_local), 2);
    give(p, n, 9);
    assert_int_equal(STAT(&stats, pgfree), 512);
    phys_close(p);
}

/* -- refusal */

static void exhaust_and_return(uint64_t size, uint64_t image, unsigned order)
{
    struct phys *p = open_sized(size, image);
    uint64_t before[ZONE_NR][PHYS_ORDERS], held_nr = 0;
    for (unsigned z = 0; z < ZONE_NR; z++)
        for (unsigned o = 0; o < PHYS_ORDERS; o++)
            before[z][o] = phys_free_blocks(p, z, o);
    uint64_t *held = calloc(phys_frames(p), sizeof(*held));
    for (uint64_t n; (n = get(p, order, GFP_USER)) != UINT64_MAX;)
        held[held_nr++] = n;
    if (order == 0)
        assert_int_equal(phys_owner_frames(p, FRAME_FREE), 0);
    assert_int_equal(phys_owner_frames(p, FRAME_USER_ANON), held_nr << order);
    assert_int_equal(phys_audit(p), 0);
    for (uint64_t i = 0; i < held_nr; i++) /* every third, then the rest */
        if (i % 3 == 0)
            give(p, held[i], order);
    for (uint64_t i = 0; i < held_nr; i++)
        if (i % 3 != 0)
            give(p, held[i], order);
    for (unsigned z = 0; z < ZONE_NR; z++)
        want_blocks(p, z, before[z]);
    assert_int_equal(phys_audit(p), 0);
    free(held);
    phys_close(p);
}

static void test_exhausted_memory_given_back_looks_like_at_boot(void **state)
{
    (void)state;
    exhaust_and_return(MIB(16), MIB(8), 0);
    exhaust_and_return(MIB(64), MIB(40), 0);
    exhaust_and_return(MIB(64), MIB(13) + 4096, 3);
    exhaust_and_return(GIB(4) + MIB(130), MIB(40), 9);
    exhaust_and_return(GIB(1), MIB(40), 10);
}

static void test_refusal_changes_nothing(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(16), MIB(8)); /* [9 MiB, 15.75 MiB): no aligned 4 MiB */
    struct stat_set stats_before = stats;
    uint64_t before[PHYS_ORDERS], free_frames = phys_zone_free(p, ZONE_DMA);
    for (unsigned o = 0; o < PHYS_ORDERS; o++)
        before[o] = phys_free_blocks(p, ZONE_DMA, o);
    assert_int_equal(get(p, 10, GFP_USER), UINT64_MAX);
    want_blocks(p, ZONE_DMA, before);
    assert_int_equal(phys_zone_free(p, ZONE_DMA), free_frames);
    assert_memory_equal(&stats, &stats_before, sizeof(stats));
    assert_int_not_equal(get(p, 9, GFP_USER), UINT64_MAX);
    phys_close(p);
}

static void test_orders_above_10_are_refused(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    assert_int_equal(get(p, 11, GFP_USER), UINT64_MAX);
    assert_int_equal(get(p, 40, GFP_USER), UINT64_MAX);
    phys_close(p);
}

static void test_every_nth_call_fails_when_asked(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16), MIB(40));
    pfn n;
    phys_fail_every(p, 97);
    unsigned failed = 0;
    for (unsigned i = 1; i <= 970; i++) {
        bool fails = phys_alloc(p, 0, GFP_USER, FRAME_USER_ANON, &n) == -ENOMEM;
        assert_int_equal(fails, i % 97 == 0);
        failed += fails;
    }
    assert_int_equal(failed, 10);
    assert_int_equal(STAT(&stats, numa_hit), 960);
    phys_fail_every(p, 0);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(phys_alloc(p, 0, GFP_USER, FRAME_USER_ANON, &n), 0);
    phys_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_keeps_the_lower_half_and_frees_the_upper_ones),
        cmocka_unit_test(test_smallest_block_that_fits_is_split_first),
        cmocka_unit_test(test_block_is_aligned_to_its_size_at_every_order),
        cmocka_unit_test(test_freed_buddies_merge_back_to_the_largest_block),
        cmocka_unit_test(test_neighbours_that_are_not_buddies_do_not_merge),
        cmocka_unit_test(test_last_freed_block_is_taken_first),
        cmocka_unit_test(test_block_whose_parent_may_merge_soon_waits_at_the_tail),
        cmocka_unit_test(test_freed_memory_is_used_before_virgin_memory),
        cmocka_unit_test(test_zones_are_used_from_the_highest_allowed_down),
        cmocka_unit_test(test_dma_request_never_leaves_zone_dma),
        cmocka_unit_test(test_frames_and_calls_are_counted_apart),
        cmocka_unit_test(test_exhausted_memory_given_back_looks_like_at_boot),
        cmocka_unit_test(test_refusal_changes_nothing),
        cmocka_unit_test(test_orders_above_10_are_refused),
        cmocka_unit_test(test_every_nth_call_fails_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
