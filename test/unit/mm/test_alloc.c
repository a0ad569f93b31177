/* test_alloc.c: how hard an allocation tries before it fails. Expectations: the order of steps of
 * __alloc_pages_slowpath of Linux 6.18.44, mm/page_alloc.c, and what each leaves in the counters. */
#include "mm/mm_int.h"
#include "unit/mm/mm_fixture.h"

#define AT UINT64_C(0x200000000)

static pfn held[40000];
static uint64_t held_nr;

static void machine(struct box *b, unsigned fragmentation)
{
    box_conf(b, MIB(64));
    b->conf.phys_kernel_image = MIB(4);
    b->conf.phys_fragmentation = fragmentation;
    b->conf.thp_enabled = 2; /* never */
    box_start(b);
    held_nr = 0;
}

/* take takes all free frames. */
static void take(struct box *b)
{
    struct phys_req r = phys_request(0, GFP_KERNEL, FRAME_SLAB);
    r.mark = PHYS_NO_WATERMARKS;
    phys_drain_all(b->phys);
    while (phys_alloc_req(b->phys, &r, &held[held_nr]) == 0)
        held_nr++;
}

static void machine_close(struct box *b)
{
    for (uint64_t i = 0; i < held_nr; i++)
        phys_free(b->phys, held[i], 0);
    box_close(b);
}

static int ask(struct box *b, unsigned order, enum phys_gfp gfp, unsigned flags)
{
    pfn n;
    struct mm_req r = {.order = order, .gfp = gfp, .owner = FRAME_SLAB, .flags = flags};
    return mm_alloc(b->sys, &r, &n);
}

/* Nothing is on the lists and no block is free: should_reclaim_retry and should_compact_retry say no,
 * after one direct reclaim in vain, which is made twice (memcg_full_walk). */
static void a_small_block_is_given_up_when_reclaim_could_not_make_it(void **state)
{
    (void)state;
    struct box b;
    machine(&b, 0);
    take(&b);
    assert_int_equal(ask(&b, 2, GFP_USER, REQ_MAY_FAIL), -ENOMEM);
    assert_int_equal(STAT(&b.stats, allocstall_normal), 2);
    assert_int_equal(ask(&b, 0, GFP_USER, REQ_MAY_FAIL), -ENOMEM);
    assert_int_equal(STAT(&b.stats, allocstall_normal), 4);
    machine_close(&b);
}

/* Clean pages of the cache are freed until one can be taken above the min watermark: the block is had by
 * reclaim alone, nobody is killed for it. */
static void a_page_is_reclaimed_before_anybody_is_killed(void **state)
{
    (void)state;
    struct box b;
    pfn n;
    machine(&b, 0);
    struct mm_file *f = mm_file(b.sys, 1, 1, 6000 * K, "/data/file");
    assert_int_equal(map_full(&b, AT, 6000 * K, RW, MAP_SHARED | MAP_FIXED, f, 0), AT);
    touch_pages(&b, AT, 6000, false);
    mm_munmap(b.mm, va(AT), 6000 * K);
    mm_lru_drain(b.sys);
    take(&b);
    struct mm_req r = {.gfp = GFP_USER, .owner = FRAME_SLAB};
    assert_int_equal(mm_alloc(b.sys, &r, &n), 0);
    assert_true(STAT(&b.stats, pgsteal_direct) >= 32);
    assert_int_equal(STAT(&b.stats, oom_kill), 0);
    phys_free(b.phys, n, 0);
    mm_file_put(b.sys, f);
    machine_close(&b);
}

/* A costly block with __GFP_NORETRY compacts asynchronously only, before and after reclaim: a failure
 * of that does not defer compaction. Without it the second one is synchronous, and does. */
static void a_costly_block_without_retry_compacts_lightly(void **state)
{
    (void)state;
    struct box b;
    machine(&b, 100);
    struct compact_zone *z = &b.sys->compaction.zone[0][ZONE_DMA32];
    assert_int_equal(ask(&b, 9, GFP_USER, REQ_NORETRY | REQ_MAY_FAIL), -ENOMEM);
    assert_true(STAT(&b.stats, compact_fail) > 0);
    assert_int_equal(z->defer_shift, 0);
    assert_int_equal(ask(&b, 9, GFP_USER, REQ_MAY_FAIL), -ENOMEM);
    assert_int_equal(z->defer_shift, 1);
    machine_close(&b);
}

/* wakeup_kcompactd keeps the lowest of the highest zones asked for, and the largest order. */
static void kcompactd_works_in_the_zones_of_the_most_modest_request(void **state)
{
    (void)state;
    struct box b;
    machine(&b, 0);
    struct compact_node *n = &b.sys->compaction.node[0];
    assert_int_equal(n->highest, ZONE_NORMAL);
    wakeup_kcompactd(b.sys, 0, 4, ZONE_DMA32);
    wakeup_kcompactd(b.sys, 0, 9, ZONE_NORMAL);
    assert_int_equal(n->highest, ZONE_DMA32);
    assert_int_equal(n->order, 9);
    kcompactd_tick(b.sys, 1);
    assert_int_equal(n->highest, ZONE_NORMAL);
    assert_int_equal(n->order, 0);
    machine_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_block_is_given_up_when_reclaim_could_not_make_it),
        cmocka_unit_test(a_page_is_reclaimed_before_anybody_is_killed),
        cmocka_unit_test(a_costly_block_without_retry_compacts_lightly),
        cmocka_unit_test(kcompactd_works_in_the_zones_of_the_most_modest_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
