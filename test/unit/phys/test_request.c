/* Requests: nodes, watermarks and reserves, per-CPU lists, migrate types, isolation, splitting and
 * bytes, by rule. (test/diff/test_buddy.c compares long random runs.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "phys/phys.h"

static struct stat_set stats;

static struct conf machine(uint64_t size, unsigned nodes)
{
    struct conf c;
    conf_init(&c);
    c.phys_size = size;
    c.phys_kernel_image = MIB(8);
    c.numa_nodes = nodes;
    c.cpu_cores = 4;
    return c;
}

static struct phys *open_conf(const struct conf *c)
{
    struct phys *p = NULL;
    memset(&stats, 0, sizeof(stats));
    assert_int_equal(phys_open(&p, c, &stats), 0);
    return p;
}

static void close_audited(struct phys *p)
{
    assert_int_equal(phys_audit(p), 0);
    phys_close(p);
}

static pfn must(struct phys *p, const struct phys_req *r)
{
    pfn n;
    assert_int_equal(phys_alloc_req(p, r, &n), 0);
    return n;
}

static struct phys_req user(unsigned order)
{
    return phys_request(order, GFP_USER, FRAME_USER_ANON);
}

static struct phys_zone_info zone(struct phys *p, unsigned nid, enum zone_id z)
{
    struct phys_zone_info i;
    phys_zone_info(p, nid, z, &i);
    return i;
}

static uint64_t listed(struct phys *p, unsigned cpu)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < phys_nodes(p) * ZONE_NR; i++) {
        struct phys_pcp_info l;
        phys_pcp_info(p, i / ZONE_NR, i % ZONE_NR, cpu, &l);
        sum += l.count;
    }
    return sum;
}

/* -- nodes */

static void test_cpu_gets_memory_of_its_own_node_and_that_is_a_local_hit(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 2);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        phys_set_cpu(p, cpu);
        assert_int_equal(phys_frame_node(p, must(p, &r)), cpu / 2);
    }
    assert_int_equal(STAT(&stats, numa_hit), 4);
    assert_int_equal(STAT(&stats, numa_local), 4);
    close_audited(p);
}

/* zone_statistics: hit by preferred node, local by CPU, independently; by call, not by frame. */
static void test_preferred_far_node_is_a_hit_that_is_not_local(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 2);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(9);
    r.nid = 1;
    pfn n = must(p, &r);
    assert_int_equal(phys_frame_node(p, n), 1);
    assert_int_equal(STAT(&stats, numa_hit), 1);
    assert_int_equal(STAT(&stats, numa_other), 1);
    assert_int_equal(zone(p, 1, ZONE_NORMAL).numa[NUMA_OTHER], 1);
    assert_int_equal(STAT(&stats, pgalloc_normal), 512);
    phys_count_interleave(p, n);
    assert_int_equal(zone(p, 1, ZONE_NORMAL).numa[NUMA_INTERLEAVE], 1);
    close_audited(p);
}

static void test_full_node_sends_requests_to_the_next_and_is_charged_as_foreign(void **state)
{
    (void)state;
    struct conf c = machine(MIB(256), 2);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(10), there = user(10);
    r.nid = there.nid = 0;
    there.flags = PHYS_THISNODE | PHYS_NO_KSWAPD;
    pfn n;
    while (phys_alloc_req(p, &there, &n) == 0)
        assert_int_equal(phys_frame_node(p, n), 0);
    struct phys_kswapd k;
    assert_false(phys_kswapd_wanted(p, 0, &k));
    uint64_t hits = STAT(&stats, numa_hit);
    assert_int_equal(phys_frame_node(p, must(p, &r)), 1);
    assert_int_equal(STAT(&stats, numa_hit), hits);
    assert_int_equal(STAT(&stats, numa_miss), 1);
    assert_int_equal(STAT(&stats, numa_foreign), 1);
    assert_int_equal(zone(p, 1, ZONE_DMA32).numa[NUMA_MISS], 1);
    assert_int_equal(zone(p, 0, ZONE_DMA32).numa[NUMA_FOREIGN], 1);
    close_audited(p);
}

static void test_mask_keeps_a_request_off_other_nodes(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 4);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    r.nid = 0;
    r.nodes = BIT(2) | BIT(3);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(phys_frame_node(p, must(p, &r)), 2);
    assert_int_equal(STAT(&stats, numa_hit), 100); /* preferred is the first node of the mask */
    r.gfp = GFP_DMA;                               /* only node 0 has that zone */
    pfn n;
    assert_int_equal(phys_alloc_req(p, &r, &n), -ENOMEM);
    close_audited(p);
}

static void test_numa_stat_off_counts_nothing(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    c.vm_numa_stat = 0;
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    phys_count_interleave(p, must(p, &r));
    assert_int_equal(STAT(&stats, numa_hit) + STAT(&stats, numa_local), 0);
    assert_int_equal(STAT(&stats, numa_interleave), 0);
    close_audited(p);
}

/* -- watermarks */

static uint64_t exhaust(struct phys *p, const struct phys_req *r)
{
    uint64_t got = 0;
    for (pfn n; phys_alloc_req(p, r, &n) == 0;)
        got++;
    return got;
}

/* __zone_watermark_ok: refused when free <= mark + protection. One zone, so that the last frame is
 * the mark's; without per-CPU lists, so that free is exact. */
static void test_each_right_reaches_deeper_into_the_reserve(void **state)
{
    (void)state;
    static const struct {
        enum phys_mark mark;
        unsigned flags;
    } step[] = {{PHYS_MARK_HIGH, 0},
                {PHYS_MARK_LOW, PHYS_HIGH}, /* rights do not count at LOW */
                {PHYS_MARK_MIN, 0},
                {PHYS_MARK_MIN, PHYS_HIGH},
                {PHYS_MARK_MIN, PHYS_HIGH | PHYS_NON_BLOCK},
                {PHYS_MARK_MIN, PHYS_HIGH | PHYS_NON_BLOCK | PHYS_OOM_VICTIM},
                {PHYS_NO_WATERMARKS, 0}};
    struct conf c = machine(MIB(16), 1);
    c.phys_kernel_image = MIB(1);
    c.phys_pcp = 0;
    struct phys *p = open_conf(&c);
    struct phys_zone_info z = zone(p, 0, ZONE_DMA);
    uint64_t min = z.min, half = min - min / 2, three = half - half / 4;
    const uint64_t left[] = {z.high, z.low, min, half, three, three - three / 2, 0};
    for (unsigned i = 0; i < ARRAY_LEN(step); i++) {
        struct phys_req r = user(0);
        r.mark = step[i].mark;
        r.flags = step[i].flags;
        assert_true(exhaust(p, &r) > 0);
        assert_int_equal(zone(p, 0, ZONE_DMA).free, left[i]);
    }
    close_audited(p);
}

static void test_lower_zone_keeps_its_protection_from_requests_for_higher_ones(void **state)
{
    (void)state;
    struct conf c = machine(MIB(512), 1);
    c.phys_pcp = 0;
    c.vm_watermark_boost_factor = 0; /* or mixing the first pageblock would stop it */
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    exhaust(p, &r);
    struct phys_zone_info dma = zone(p, 0, ZONE_DMA), dma32 = zone(p, 0, ZONE_DMA32);
    assert_int_equal(dma.protection[ZONE_NORMAL], dma32.managed / 256);
    assert_int_equal(dma.free, dma.low + dma.protection[ZONE_NORMAL]);
    assert_int_equal(dma32.free, dma32.low);
    r.gfp = GFP_DMA;
    assert_int_equal(exhaust(p, &r), dma.protection[ZONE_NORMAL]);
    close_audited(p);
}

static void test_failure_at_low_wants_kswapd_on_every_node_tried(void **state)
{
    (void)state;
    struct conf c = machine(MIB(192), 3);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(3);
    struct phys_kswapd k;
    r.nodes = BIT(0) | BIT(2);
    exhaust(p, &r);
    assert_true(phys_kswapd_wanted(p, 0, &k));
    assert_int_equal(k.order, 3);
    assert_int_equal(k.highest, ZONE_NORMAL);
    assert_false(phys_kswapd_wanted(p, 1, &k));
    assert_true(phys_kswapd_wanted(p, 2, &k));
    phys_kswapd_clear(p, 2);
    assert_false(phys_kswapd_wanted(p, 2, &k));
    r.mark = PHYS_MARK_MIN;
    exhaust(p, &r);
    assert_false(phys_kswapd_wanted(p, 2, &k)); /* the slow path woke it already */
    close_audited(p);
}

static void test_watermark_question_answers_as_the_allocation_does(void **state)
{
    (void)state;
    struct conf c = machine(MIB(16), 1);
    c.phys_kernel_image = MIB(1);
    struct phys *p = open_conf(&c);
    uint64_t free_frames = zone(p, 0, ZONE_DMA).free;
    assert_true(phys_watermark_ok(p, 0, ZONE_DMA, 0, free_frames - 1, ZONE_DMA, 0));
    assert_false(phys_watermark_ok(p, 0, ZONE_DMA, 0, free_frames, ZONE_DMA, 0));
    assert_true(phys_watermark_ok(p, 0, ZONE_DMA, 3, free_frames - 8, ZONE_DMA, 0));
    assert_false(phys_watermark_ok(p, 0, ZONE_DMA, 3, free_frames - 7, ZONE_DMA, 0));
    assert_true(phys_watermark_ok(p, 0, ZONE_DMA, 0, free_frames, ZONE_DMA, PHYS_HIGH));
    close_audited(p);
}

/* wake_all_kswapds of 6.18: with vm.defrag_mode kswapd makes whole pageblocks, whatever was asked. */
static void test_defrag_mode_wants_whole_pageblocks_of_kswapd(void **state)
{
    (void)state;
    struct conf c = machine(MIB(64), 1);
    c.vm_defrag_mode = 1;
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    struct phys_kswapd k;
    assert_false(phys_kswapd_any(p));
    exhaust(p, &r);
    assert_true(phys_kswapd_any(p));
    assert_true(phys_kswapd_wanted(p, 0, &k));
    assert_int_equal(k.order, 9);
    phys_kswapd_clear(p, 0);
    assert_false(phys_kswapd_any(p));
    close_audited(p);
}

/* __zone_watermark_ok with the caller's number of free pages (should_reclaim_retry, pgdat_balanced). */
static void test_watermark_question_takes_a_number_of_free_frames(void **state)
{
    (void)state;
    struct conf c = machine(MIB(64), 1);
    struct phys *p = open_conf(&c);
    assert_true(phys_watermark_ok_free(p, 0, ZONE_DMA32, 0, 100, ZONE_DMA32, 0, 101));
    assert_false(phys_watermark_ok_free(p, 0, ZONE_DMA32, 0, 100, ZONE_DMA32, 0, 100));
    assert_true(phys_watermark_ok_free(p, 0, ZONE_DMA32, 3, 100, ZONE_DMA32, 0, 108));
    assert_false(phys_watermark_ok_free(p, 0, ZONE_DMA32, 3, 100, ZONE_DMA32, 0, 107));
    close_audited(p);
}

/* -- the reserve for high-order atomic requests */

static void test_high_order_atomic_request_reserves_a_pageblock_for_the_next(void **state)
{
    (void)state;
    struct conf c = machine(GIB(1), 1);
    c.phys_pcp = 0;
    struct phys *p = open_conf(&c);
    struct phys_req r = phys_request(2, GFP_KERNEL, FRAME_SLAB);
    r.mark = PHYS_MARK_MIN;
    r.flags = PHYS_HIGH | PHYS_NON_BLOCK;
    pfn n = must(p, &r);
    assert_int_equal(phys_pageblock_type(p, n), MIGRATE_HIGHATOMIC);
    struct phys_zone_info z = zone(p, 0, ZONE_DMA32);
    assert_int_equal(z.reserved_highatomic, 512);
    assert_int_equal(z.free_highatomic, 508);
    assert_int_equal(must(p, &r).v, n.v + 4); /* out of the reserve */
    struct phys_req low = user(0);
    assert_false(phys_unreserve_highatomic(p, &low, false)); /* the last one stays */
    assert_true(phys_unreserve_highatomic(p, &low, true));
    assert_int_equal(phys_pageblock_type(p, n), MIGRATE_MOVABLE);
    assert_int_equal(zone(p, 0, ZONE_DMA32).free_highatomic, 0);
    close_audited(p);
}

/* -- per-CPU lists */

/* Observed on 6.18: eight pages freed and allocated again come back in reverse order. */
static void test_freed_frames_come_back_last_in_first_out(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    pfn n[8];
    for (unsigned i = 0; i < 8; i++)
        n[i] = must(p, &r);
    for (unsigned i = 0; i < 8; i++)
        phys_free(p, n[i], 0);
    for (unsigned i = 8; i-- > 0;)
        assert_int_equal(must(p, &r).v, n[i].v);
    close_audited(p);
}

/* nr_pcp_alloc of a zone of 1 GiB and more: 63 frames, then 126, 252 … while only allocating. */
static void test_refill_doubles_while_a_cpu_only_allocates(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    static const uint64_t fetched[] = {63, 126, 252, 504};
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = zone(p, 0, ZONE_NORMAL).free;
        must(p, &r);
        assert_int_equal(before - zone(p, 0, ZONE_NORMAL).free, fetched[i]);
        while (listed(p, 0) > 0)
            must(p, &r);
    }
    close_audited(p);
}

static void test_frames_on_a_list_are_free_but_not_in_the_zone(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    uint64_t free_frames = zone(p, 0, ZONE_NORMAL).free, owned = phys_owner_frames(p, FRAME_FREE);
    pfn n = must(p, &r);
    assert_int_equal(listed(p, 0), 62);
    assert_int_equal(zone(p, 0, ZONE_NORMAL).free, free_frames - 63);
    assert_int_equal(phys_owner_frames(p, FRAME_FREE), owned - 1);
    phys_free(p, n, 0);
    assert_true(phys_frame(p, n)->flags & FRAME_F_PCP);
    assert_int_equal(STAT(&stats, pgfree), 1); /* counted at once */
    assert_int_equal(zone(p, 0, ZONE_NORMAL).free, free_frames - 63);
    phys_drain_all(p);
    assert_int_equal(zone(p, 0, ZONE_NORMAL).free, free_frames);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 0), 0);
    close_audited(p);
}

static void test_each_cpu_has_lists_of_its_own(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    pfn n = must(p, &r);
    phys_set_cpu(p, 3);
    phys_free(p, n, 0);
    assert_int_equal(listed(p, 3), 1);
    assert_int_equal(must(p, &r).v, n.v);
    assert_int_equal(listed(p, 3), 0);
    phys_set_cpu(p, 0);
    phys_drain_cpu(p, 3);
    assert_int_equal(listed(p, 0), 62);
    close_audited(p);
}

/* Order 9 has a list for movable blocks and one for others; orders 4 to 8 have none. */
static void test_huge_blocks_have_lists_and_middle_orders_have_none(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(9);
    pfn n = must(p, &r);
    uint64_t on_list = listed(p, 0);
    phys_free(p, n, 9);
    assert_int_equal(listed(p, 0), on_list + 512);
    assert_int_equal(must(p, &r).v, n.v);
    r.order = 4;
    n = must(p, &r);
    assert_int_equal(listed(p, 0), on_list);
    phys_free(p, n, 4);
    assert_int_equal(listed(p, 0), on_list);
    close_audited(p);
}

static void test_list_stays_below_its_limit_and_short_while_kswapd_works(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_pcp_info l;
    struct phys_req r = user(0);
    static pfn n[200000];
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        n[i] = must(p, &r);
    for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
        phys_free(p, n[i], 0);
        phys_pcp_info(p, 0, ZONE_NORMAL, 0, &l);
        assert_true(l.count <= l.high_max);
    }
    assert_true(l.count > 4 * l.batch);
    phys_set_reclaim_active(p, 0, ZONE_NORMAL, true);
    for (unsigned i = 0; i < 20000; i++)
        phys_free(p, must(p, &r), 0);
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &l);
    assert_true(l.count <= 4 * l.batch);
    close_audited(p);
}

static void test_idle_lists_decay(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_pcp_info l, later;
    struct phys_req r = user(0);
    static pfn n[100000];
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        n[i] = must(p, &r);
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        phys_free(p, n[i], 0);
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &l);
    phys_decay_cpu(p, 0);
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &later);
    uint64_t eighth = l.high - l.high / 8, kept = l.count - l.batch * 32;
    uint64_t want = eighth > kept ? eighth : kept;
    assert_int_equal(later.high, want > l.high_min ? want : l.high_min);
    phys_tick(p, 0);
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &l);
    assert_true(l.high < later.high);
    phys_tick(p, 999); /* not yet */
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &later);
    assert_int_equal(l.high, later.high);
    for (uint64_t s = 1; s < 200; s++)
        phys_tick(p, 1000 * s);
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &later);
    assert_int_equal(later.high, later.high_min);
    close_audited(p);
}

/* mm/page_alloc.c of 6.18, nr_pcp_alloc and nr_pcp_high: clamp() looks at the upper bound first. A
 * quarter of memory is kept free here, so the low watermark's share of a CPU (high_min) is more than
 * an eighth of the zone (high_max). */
static void test_list_limit_is_high_max_where_that_is_below_high_min(void **state)
{
    (void)state;
    struct conf c = machine(MIB(256), 1);
    c.vm_min_free_kbytes = 65536;
    struct phys *p = open_conf(&c);
    struct phys_pcp_info l;
    struct phys_req r = user(0);
    phys_free(p, must(p, &r), 0);
    phys_pcp_info(p, 0, ZONE_DMA32, 0, &l);
    assert_true(l.high_min > l.high_max);
    assert_int_equal(l.high, l.high_max);
    close_audited(p);
}

/* mm/vmstat.c of 6.18, refresh_cpu_vm_stats: 3 looks after the last use a batch of the frames of
 * another node goes back, which counts as use; those of the own node stay. */
static void test_idle_frames_of_another_node_go_back_a_batch_at_a_time(void **state)
{
    (void)state;
    static const uint64_t left[] = {126, 126, 63, 63, 63, 0, 0};
    struct conf c = machine(GIB(16), 2);
    struct phys *p = open_conf(&c);
    struct phys_pcp_info l;
    struct phys_req r = user(0);
    pfn n[64];
    phys_free(p, must(p, &r), 0); /* the own node */
    r.nid = 1;
    r.flags = PHYS_THISNODE;
    for (unsigned i = 0; i < ARRAY_LEN(n); i++) /* refills of 63 and 126 */
        n[i] = must(p, &r);
    phys_free(p, n[0], 0);
    phys_pcp_info(p, 1, ZONE_NORMAL, 0, &l);
    assert_int_equal(l.count, 126);
    assert_int_equal(l.batch, 63);
    for (unsigned i = 0; i < ARRAY_LEN(left); i++) {
        phys_decay_cpu(p, 0);
        phys_pcp_info(p, 1, ZONE_NORMAL, 0, &l);
        assert_int_equal(l.count, left[i]);
    }
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &l);
    assert_int_equal(l.count, 63);
    close_audited(p);
}

/* most_listed frees blocks of order 2 in a row, and returns how many frames the list had at most
 * after it began to give them back. */
static uint64_t most_listed(const struct conf *c)
{
    struct phys *p = open_conf(c);
    struct phys_pcp_info l;
    struct phys_req r = user(2);
    static pfn n[8000];
    uint64_t most = 0;
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        n[i] = must(p, &r);
    for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
        phys_free(p, n[i], 2);
        phys_pcp_info(p, 0, ZONE_NORMAL, 0, &l);
        most = i >= 7000 && l.count > most ? l.count : most;
    }
    close_audited(p);
    return most;
}

/* free_frozen_page_commit and zone_pcp_update_cacheinfo: the limit is one block where a CPU's part of
 * the last cache is not more than three batches of 63 pages (756 KiB), else a batch. */
static void test_blocks_freed_in_a_row_go_back_at_once_or_by_the_batch(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    c.l3_size = 4 * 189 * UINT64_C(4096); /* for four CPUs */
    assert_int_equal(most_listed(&c), 0);
    c.l3_size = 4 * 190 * UINT64_C(4096);
    assert_int_equal(most_listed(&c), 60); /* at 64 all of them go */
}

/* -- migrate types */

static void test_first_kernel_frame_claims_a_whole_block(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    c.phys_pcp = 0;
    struct phys *p = open_conf(&c);
    struct phys_req r = phys_request(0, GFP_KERNEL, FRAME_SLAB);
    pfn n = must(p, &r);
    assert_int_equal(n.v, GIB(4) / 4096);
    struct phys_zone_info z = zone(p, 0, ZONE_NORMAL);
    assert_int_equal(z.pageblocks[MIGRATE_UNMOVABLE], 2); /* of the order-10 block it took */
    for (unsigned o = 0; o < 10; o++)
        assert_int_equal(z.blocks[MIGRATE_UNMOVABLE][o], 1);
    assert_int_equal(z.boost, 0);
    struct phys_req u = user(0);
    assert_int_equal(must(p, &u).v, n.v + 1024); /* movable memory keeps out of it */
    close_audited(p);
}

/* pagetypeinfo of a booted 6.18 guest: zone DMA has one unmovable pageblock, the first, and its
 * order-8 block is listed there; all other pageblocks are movable. */
static void test_pageblocks_at_boot_are_those_of_a_booted_pc(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_zone_info z = zone(p, 0, ZONE_DMA);
    assert_int_equal(z.pageblocks[MIGRATE_UNMOVABLE], 1);
    assert_int_equal(z.pageblocks[MIGRATE_MOVABLE], 7);
    assert_int_equal(z.blocks[MIGRATE_UNMOVABLE][8], 1);
    assert_int_equal(z.blocks[MIGRATE_MOVABLE][9], 1);
    assert_int_equal(z.blocks[MIGRATE_MOVABLE][10], 3);
    assert_int_equal(z.start_pfn, 1);
    assert_int_equal(z.spanned, 4095);
    assert_int_equal(z.present, 3998);
    assert_int_equal(z.managed, 3840);
    assert_int_equal(z.free_blocks, 3584);
    close_audited(p);
}

/* Only pieces of movable pageblocks are left: a kernel frame takes the largest one, claims its
 * pageblock if half of it is free or unmovable, and raises the watermarks. */
static void test_mixing_a_block_boosts_the_watermarks_and_wants_kswapd(void **state)
{
    (void)state;
    struct conf c = machine(GIB(1), 1);
    c.phys_pcp = 0;
    struct phys *p = open_conf(&c);
    struct phys_req u = user(8), k = phys_request(0, GFP_DMA32, FRAME_SLAB);
    struct phys_kswapd why;
    pfn held[1024];
    unsigned nr = 0;
    u.mark = PHYS_NO_WATERMARKS;
    while (phys_alloc_req(p, &u, &held[nr]) == 0)
        nr++;
    for (unsigned i = 0; i < nr; i++)
        if (held[i].v % 512 == 0 && held[i].v > 16384) /* half of each pageblock */
            phys_free(p, held[i], 8);
    uint64_t min = zone(p, 0, ZONE_DMA32).min;
    pfn n = must(p, &k);
    assert_int_equal(phys_pageblock_type(p, n), MIGRATE_UNMOVABLE);
    assert_int_equal(zone(p, 0, ZONE_DMA32).boost, 512);
    assert_int_equal(zone(p, 0, ZONE_DMA32).min, min + 512);
    assert_true(phys_kswapd_wanted(p, 0, &why));
    phys_unboost(p, 0, ZONE_DMA32, 500);
    assert_int_equal(zone(p, 0, ZONE_DMA32).boost, 12);
    phys_unboost(p, 0, ZONE_DMA32, 500);
    assert_int_equal(zone(p, 0, ZONE_DMA32).boost, 0);
    close_audited(p);
}

/* A node whose blocks are all partly movable: with vm.defrag_mode a kernel frame waits for reclaim and
 * compaction, which the slow path says are done by PHYS_FRAGMENT. */
static void test_defrag_mode_does_not_mix_types_before_the_last_resort(void **state)
{
    (void)state;
    struct conf c = machine(MIB(256), 1);
    c.vm_defrag_mode = 1;
    c.phys_pcp = 0;
    struct phys *p = open_conf(&c);
    struct phys_req u = user(8), k = phys_request(0, GFP_KERNEL, FRAME_SLAB);
    pfn held[512], n;
    unsigned nr = 0;
    u.mark = PHYS_NO_WATERMARKS;
    while (phys_alloc_req(p, &u, &held[nr]) == 0)
        nr++;
    for (unsigned i = 0; i < nr; i++)
        if (held[i].v % 512 == 0 && held[i].v >= 4096)
            phys_free(p, held[i], 8);
    k.mark = PHYS_MARK_MIN;
    assert_int_equal(phys_alloc_req(p, &k, &n), -ENOMEM);
    k.flags = PHYS_FRAGMENT;
    n = must(p, &k);
    assert_int_equal(phys_pageblock_type(p, n), MIGRATE_UNMOVABLE);
    close_audited(p);
}

static void test_isolated_pageblock_is_not_allocated_and_comes_back(void **state)
{
    (void)state;
    struct conf c = machine(MIB(64), 1);
    c.phys_pcp = 0;
    struct phys *p = open_conf(&c);
    pfn at = {MIB(40) / 4096};
    uint64_t free_frames = zone(p, 0, ZONE_DMA32).free;
    assert_int_equal(phys_isolate(p, at, true), 0);
    assert_int_equal(phys_isolate(p, at, true), -EBUSY);
    assert_int_equal(zone(p, 0, ZONE_DMA32).free, free_frames - 512);
    assert_int_equal(zone(p, 0, ZONE_DMA32).blocks[MIGRATE_ISOLATE][9], 1);
    struct phys_req r = user(0);
    r.mark = PHYS_NO_WATERMARKS;
    for (pfn n; phys_alloc_req(p, &r, &n) == 0;)
        assert_false(n.v >= at.v && n.v < at.v + 512);
    assert_int_equal(phys_isolate(p, at, false), 0);
    assert_int_equal(zone(p, 0, ZONE_DMA32).free, 512);
    assert_int_equal(phys_set_pageblock_type(p, at, MIGRATE_RECLAIMABLE), 0);
    assert_int_equal(zone(p, 0, ZONE_DMA32).blocks[MIGRATE_RECLAIMABLE][9], 1);
    assert_int_equal(phys_set_pageblock_type(p, (pfn){0}, MIGRATE_MOVABLE), -EBUSY);
    close_audited(p);
}

/* -- blocks */

static void test_block_of_a_frame_is_found_in_every_state(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(2);
    pfn n = must(p, &r);
    struct phys_block b;
    phys_block_at(p, (pfn){n.v + 3}, &b);
    assert_int_equal(b.state, PHYS_BLOCK_USED);
    assert_int_equal(b.first.v, n.v);
    assert_int_equal(b.order, 2);
    phys_free(p, n, 2);
    phys_block_at(p, (pfn){n.v + 3}, &b);
    assert_int_equal(b.state, PHYS_BLOCK_PCP);
    assert_int_equal(b.first.v, n.v);
    phys_drain_all(p);
    phys_block_at(p, (pfn){n.v + 3}, &b);
    assert_int_equal(b.state, PHYS_BLOCK_FREE);
    assert_int_equal(b.order, 10);
    phys_block_at(p, (pfn){GIB(6) / 4096 + 1500}, &b); /* never used */
    assert_int_equal(b.state, PHYS_BLOCK_FREE);
    assert_int_equal(b.first.v, GIB(6) / 4096 + 1024);
    phys_block_at(p, phys_zero_page(p), &b);
    assert_int_equal(b.state, PHYS_BLOCK_BOOT);
    close_audited(p);
}

static void test_free_block_is_taken_whole_above_the_min_watermark(void **state)
{
    (void)state;
    struct conf c = machine(MIB(64), 1);
    c.phys_pcp = 0;
    struct phys *p = open_conf(&c);
    pfn at = {MIB(48) / 4096};
    unsigned order = 99;
    assert_int_equal(phys_take_free(p, (pfn){at.v + 1}, FRAME_USER_ANON, &order), -EBUSY);
    assert_int_equal(phys_take_free(p, at, FRAME_USER_ANON, &order), 0);
    assert_int_equal(order, 10);
    assert_int_equal(phys_take_free(p, at, FRAME_USER_ANON, &order), -EBUSY);
    assert_int_equal(STAT(&stats, pgalloc_dma32), 0);
    assert_int_equal(phys_audit(p), 0);
    phys_free(p, at, 10);
    struct phys_req r = user(0);
    r.mark = PHYS_MARK_MIN;
    exhaust(p, &r);
    struct phys_zone_info z = zone(p, 0, ZONE_DMA32);
    assert_int_equal(z.free, z.min);
    struct phys_block b;
    for (pfn n = {MIB(24) / 4096}; n.v < MIB(63) / 4096; n.v++) {
        phys_block_at(p, n, &b);
        if (b.state == PHYS_BLOCK_FREE && b.first.v == n.v)
            assert_int_equal(phys_take_free(p, n, FRAME_SLAB, &order), -ENOMEM);
    }
    close_audited(p);
}

/* __split_folio_to_order: flags, mapping and index go to the new heads. */
static void test_split_folio_becomes_folios_that_know_their_place(void **state)
{
    (void)state;
    struct conf c = machine(MIB(64), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(4);
    pfn n = must(p, &r);
    struct frame *f = phys_frame(p, n);
    f->index = 1000;
    f->mapping = &c;
    f->private = 77;
    f->flags |= FRAME_F_DIRTY | FRAME_F_SWAPBACKED | FRAME_F_SWAPCACHE | FRAME_F_LRU;
    f[5].flags |= FRAME_F_EXCLUSIVE;
    phys_split_folio(p, n, 2);
    assert_int_equal(phys_audit(p), 0);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(f[i].order, 2);
        assert_int_equal(!(f[i].flags & FRAME_F_HEAD), i % 4 != 0);
        assert_int_equal(!(f[i].flags & FRAME_F_TAIL), i % 4 == 0);
    }
    assert_int_equal(f[8].index, 1008);
    assert_ptr_equal(f[8].mapping, &c);
    assert_int_equal(f[8].private, 85);
    assert_int_equal(f[8].flags,
                     FRAME_F_HEAD | FRAME_F_DIRTY | FRAME_F_SWAPBACKED | FRAME_F_SWAPCACHE);
    assert_true(f[5].flags & FRAME_F_EXCLUSIVE);
    for (unsigned i = 0; i < 16; i += 4)
        phys_free(p, (pfn){n.v + i}, 2);
    phys_drain_all(p);
    close_audited(p);
}

static void test_gigabyte_comes_from_the_lowest_free_range_and_returns(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 2);
    struct phys *p = open_conf(&c);
    struct phys_zone_info before = zone(p, 1, ZONE_NORMAL);
    pfn a, b, far;
    struct phys_req r = user(0);
    r.nid = 1;
    pfn used = must(p, &r); /* the first frame of node 1 */
    assert_int_equal(phys_alloc_contig(p, 18, 1, 0, FRAME_USER_ANON, &a), 0);
    assert_int_equal(a.v, GIB(5) / 4096);
    assert_int_equal(phys_alloc_contig(p, 18, 1, BIT(1), FRAME_USER_ANON, &b), 0);
    assert_int_equal(b.v, GIB(6) / 4096);
    assert_int_equal(phys_alloc_contig(p, 18, 1, BIT(1), FRAME_USER_ANON, &far), -ENOMEM);
    assert_int_equal(phys_alloc_contig(p, 18, 1, 0, FRAME_USER_ANON, &far), 0);
    assert_int_equal(far.v, GIB(1) / 4096); /* the kernel image lies in the first */
    assert_int_equal(phys_frame(p, (pfn){a.v + 77})->order, 18);
    struct phys_block block;
    phys_block_at(p, (pfn){a.v + 262143}, &block);
    assert_int_equal(block.first.v, a.v);
    assert_int_equal(phys_audit(p), 0);
    phys_free(p, far, 18);
    phys_free(p, a, 18);
    phys_free(p, b, 18);
    phys_free(p, used, 0);
    phys_drain_all(p);
    assert_int_equal(zone(p, 1, ZONE_NORMAL).free, before.free);
    assert_memory_equal(zone(p, 1, ZONE_NORMAL).blocks, before.blocks, sizeof(before.blocks));
    close_audited(p);
}

/* -- bytes */

static uint64_t resident(void)
{
    unsigned long total = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &total, &pages), 2);
    fclose(f);
    return (uint64_t)pages * 4096;
}

static void test_bytes_of_a_frame_stay_and_freed_memory_goes_back_to_the_host(void **state)
{
    (void)state;
    struct conf c = machine(GIB(1024), 1);
    c.phys_contents = 1;
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    static pfn n[16384];
    for (unsigned i = 0; i < ARRAY_LEN(n); i++) { /* 64 MiB */
        n[i] = must(p, &r);
        memset(phys_bytes(p, n[i]), (int)(i % 251), PAGE_SIZE);
    }
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        assert_int_equal(((unsigned char *)phys_bytes(p, n[i]))[4095], i % 251);
    uint64_t full = resident();
    for (unsigned i = 0; i < ARRAY_LEN(n); i++)
        phys_free(p, n[i], 0);
    phys_drain_all(p);
    assert_true(full - resident() > MIB(60));
    pfn table;
    assert_int_equal(phys_alloc(p, 0, GFP_KERNEL, FRAME_PAGE_TABLE, &table), 0);
    assert_ptr_equal(phys_bytes(p, table), phys_table(p, table));
    close_audited(p);
}

static void test_without_contents_a_frame_has_no_bytes(void **state)
{
    (void)state;
    struct conf c = machine(MIB(64), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    assert_null(phys_bytes(p, must(p, &r)));
    close_audited(p);
}

static void test_1_tib_of_eight_nodes_costs_the_host_what_is_used(void **state)
{
    (void)state;
    struct conf c = machine(GIB(1024), 8);
    uint64_t before = resident();
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    for (unsigned nid = 0; nid < 8; nid++) {
        r.nid = nid;
        for (unsigned i = 0; i < 1000; i++)
            assert_int_equal(phys_frame_node(p, must(p, &r)), nid);
    }
    assert_true(resident() - before < MIB(16));
    close_audited(p);
}

static void test_touching_the_middle_of_untouched_memory_costs_the_host_little(void **state)
{
    (void)state;
    struct conf c = machine(GIB(1024), 1);
    struct phys *p = open_conf(&c);
    uint64_t before = resident();
    unsigned order;
    pfn top = {phys_frames(p) - phys_owner_frames(p, FRAME_MEMMAP) - 1024};
    assert_int_equal(phys_take_free(p, (pfn){align_down(top.v, 1024)}, FRAME_SLAB, &order), 0);
    assert_int_equal(phys_isolate(p, (pfn){align_down(top.v, 1024) - 5000}, true), 0);
    assert_int_equal(phys_isolate(p, (pfn){GIB(9) / 4096}, true), 0);
    assert_true(resident() - before < MIB(16));
    struct phys_req r = user(0), large = user(10);
    assert_int_equal(must(p, &r).v, GIB(9) / 4096 + 512); /* the half that is not isolated */
    assert_int_equal(must(p, &large).v, GIB(4) / 4096);   /* lowest first all the same */
    close_audited(p);
}

/* -- injected failure */

static void test_injected_failure_is_one_per_request_not_per_attempt(void **state)
{
    (void)state;
    struct conf c = machine(MIB(64), 1);
    struct phys *p = open_conf(&c);
    struct phys_req r = user(0);
    phys_fail_every(p, 3);
    for (unsigned i = 1; i <= 30; i++) {
        must(p, &r); /* attempts do not count */
        assert_int_equal(phys_fails(p), i % 3 == 0);
    }
    close_audited(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_gets_memory_of_its_own_node_and_that_is_a_local_hit),
        cmocka_unit_test(test_preferred_far_node_is_a_hit_that_is_not_local),
        cmocka_unit_test(test_full_node_sends_requests_to_the_next_and_is_charged_as_foreign),
        cmocka_unit_test(test_mask_keeps_a_request_off_other_nodes),
        cmocka_unit_test(test_numa_stat_off_counts_nothing),
        cmocka_unit_test(test_each_right_reaches_deeper_into_the_reserve),
        cmocka_unit_test(test_lower_zone_keeps_its_protection_from_requests_for_higher_ones),
        cmocka_unit_test(test_failure_at_low_wants_kswapd_on_every_node_tried),
        cmocka_unit_test(test_watermark_question_answers_as_the_allocation_does),
        cmocka_unit_test(test_defrag_mode_wants_whole_pageblocks_of_kswapd),
        cmocka_unit_test(test_watermark_question_takes_a_number_of_free_frames),
        cmocka_unit_test(test_high_order_atomic_request_reserves_a_pageblock_for_the_next),
        cmocka_unit_test(test_freed_frames_come_back_last_in_first_out),
        cmocka_unit_test(test_refill_doubles_while_a_cpu_only_allocates),
        cmocka_unit_test(test_frames_on_a_list_are_free_but_not_in_the_zone),
        cmocka_unit_test(test_each_cpu_has_lists_of_its_own),
        cmocka_unit_test(test_huge_blocks_have_lists_and_middle_orders_have_none),
        cmocka_unit_test(test_list_stays_below_its_limit_and_short_while_kswapd_works),
        cmocka_unit_test(test_idle_lists_decay),
        cmocka_unit_test(test_list_limit_is_high_max_where_that_is_below_high_min),
        cmocka_unit_test(test_idle_frames_of_another_node_go_back_a_batch_at_a_time),
        cmocka_unit_test(test_blocks_freed_in_a_row_go_back_at_once_or_by_the_batch),
        cmocka_unit_test(test_first_kernel_frame_claims_a_whole_block),
        cmocka_unit_test(test_pageblocks_at_boot_are_those_of_a_booted_pc),
        cmocka_unit_test(test_mixing_a_block_boosts_the_watermarks_and_wants_kswapd),
        cmocka_unit_test(test_defrag_mode_does_not_mix_types_before_the_last_resort),
        cmocka_unit_test(test_isolated_pageblock_is_not_allocated_and_comes_back),
        cmocka_unit_test(test_block_of_a_frame_is_found_in_every_state),
        cmocka_unit_test(test_free_block_is_taken_whole_above_the_min_watermark),
        cmocka_unit_test(test_split_folio_becomes_folios_that_know_their_place),
        cmocka_unit_test(test_gigabyte_comes_from_the_lowest_free_range_and_returns),
        cmocka_unit_test(test_bytes_of_a_frame_stay_and_freed_memory_goes_back_to_the_host),
        cmocka_unit_test(test_without_contents_a_frame_has_no_bytes),
        cmocka_unit_test(test_1_tib_of_eight_nodes_costs_the_host_what_is_used),
        cmocka_unit_test(test_touching_the_middle_of_untouched_memory_costs_the_host_little),
        cmocka_unit_test(test_injected_failure_is_one_per_request_not_per_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
