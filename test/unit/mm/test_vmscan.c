/* test_vmscan.c: how far reclaim goes: what a look counts, when kswapd sleeps, when direct reclaim tries
 * again. Expectations: the rules of mm/vmscan.c, mm/rmap.c and mm/shrinker.c of Linux 6.18.44, worked
 * out by hand for the state the test makes. */
#include "mm/mm_int.h"
#include "policy/reclaim.h"
#include "unit/mm/mm_fixture.h"

#define AT UINT64_C(0x200000000)

/* machine opens one without huge pages and boosts; `more` may change the options. */
static void machine(struct box *b, uint64_t bytes, uint64_t swap, void (*more)(struct conf *))
{
    box_conf(b, bytes);
    b->conf.phys_kernel_image = MIB(4);
    b->conf.swap_size = swap;
    b->conf.thp_enabled = 2; /* never */
    b->conf.vm_watermark_boost_factor = 0;
    if (more)
        more(&b->conf);
    box_start(b);
}

static uint64_t node_stat(const struct box *b, enum node_stat_item item)
{
    return mm_node(b->sys, 0)->stat.v[item];
}

/* make_old clears the A bits of n pages. */
static void make_old(struct box *b, uint64_t at, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        unsigned level;
        pte *e = pt_leaf(mm_pt(b->mm), va(at + i * K), &level);
        if (e)
            e->v &= ~PTE_A;
    }
}

/* scan makes one look at node 0 and returns what it looked at and freed. */
static struct scan_control scan(struct box *b, enum zone_id top, unsigned priority)
{
    struct scan_control sc = {.zone = top,
                              .priority = priority,
                              .nr_to_reclaim = SWAP_CLUSTER_MAX,
                              .may_writepage = true,
                              .may_swap = true};
    b->sys->reclaiming = true;
    shrink_node(b->sys, &sc);
    b->sys->reclaiming = false;
    b->out.n = 0;
    return sc;
}

/* -- what a look counts --------------------------------------------------------------------------- */

static void huge(struct conf *c)
{
    c->thp_enabled = 0; /* always */
}

/* isolate_lru_folios: 8 folios are 4096 pages; 4096 >> 10 = 4, of which swappiness 60 gives anonymous
 * pages 4 * 60 / 200 = 1: one folio, and its 512 pages were looked at. */
static void a_huge_page_counts_as_512_pages_looked_at(void **state)
{
    (void)state;
    struct box b;
    machine(&b, MIB(256), MIB(64), huge);
    map_anon(&b, AT, 8 * 512, RW);
    for (uint64_t i = 0; i < 8; i++)
        touch(&b, AT + i * MIB(2), true);
    mm_lru_drain(b.sys);
    make_old(&b, AT, 8 * 512);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 4096);
    struct scan_control sc = scan(&b, ZONE_NORMAL, 10);
    assert_int_equal(sc.nr_scanned, 512);
    assert_int_equal(STAT(&b.stats, pgscan_anon), 512);
    assert_int_equal(STAT(&b.stats, thp_swpout_fallback), 1);
    box_close(&b);
}

static void mthp(struct conf *c)
{
    c->thp_enabled = 0;
    c->thp_size_64k = 1; /* always */
    c->thp_size_2m = 3;  /* never */
}

/* folio_referenced_one adds one reference a VMA, however many of its entries are young; so the first
 * look keeps a folio of 16 used pages, and the second makes it active (folio_check_references). */
static void many_young_entries_of_one_mapping_are_one_reference(void **state)
{
    (void)state;
    struct box b;
    machine(&b, MIB(256), MIB(64), mthp);
    map_anon(&b, AT, 16, RW);
    for (uint64_t i = 0; i < 16; i++)
        touch(&b, AT + i * K, true);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), 16);
    unsigned level;
    pfn head = folio_head(b.sys, pte_pfn(*pt_leaf(mm_pt(b.mm), va(AT), &level)));
    assert_int_equal(phys_frame(b.phys, head)->order, 4);
    scan(&b, ZONE_NORMAL, 0);
    assert_int_equal(STAT(&b.stats, pgactivate), 0);
    for (uint64_t i = 0; i < 16; i++)
        touch(&b, AT + i * K, true);
    assert_int_equal(folio_referenced(b.sys, head).vmas, 1);
    for (uint64_t i = 0; i < 16; i++)
        touch(&b, AT + i * K, true);
    scan(&b, ZONE_NORMAL, 0);
    assert_int_equal(STAT(&b.stats, pgactivate), 16);
    assert_int_equal(mm_node(b.sys, 0)->lru.nonresident_age, 16); /* move_folios_to_lru */
    box_close(&b);
}

/* isolate_lru_folios: pages of zones that do not help are looked at (total_scan) and go to the head. */
static void pages_of_higher_zones_are_passed_over_and_counted(void **state)
{
    (void)state;
    struct box b;
    uint64_t n = 0;
    machine(&b, MIB(64), MIB(64), NULL);
    map_anon(&b, AT, 20000, RW);
    const struct lruvec *l = &mm_node(b.sys, 0)->lru;
    for (; l->zone[ZONE_DMA][LRU_INACTIVE_ANON] == 0; n++)
        touch(&b, AT + n * K, true);
    mm_lru_drain(b.sys);
    make_old(&b, AT, n);
    uint64_t dma = l->zone[ZONE_DMA][LRU_INACTIVE_ANON];
    assert_in_range(dma, 1, 32);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_anon), n);
    struct scan_control sc = scan(&b, ZONE_DMA, 0);
    assert_int_equal(STAT(&b.stats, pgscan_anon), n);
    assert_int_equal(sc.nr_scanned, dma);
    assert_int_equal(l->zone[ZONE_DMA32][LRU_INACTIVE_ANON], n - dma);
    box_close(&b);
}

/* shrink_folio_list counts dirty pages of files before it asks whether they are in use; if all of a
 * batch are, the flusher is woken. */
static void nothing_but_dirty_pages_wakes_the_flusher_though_they_are_in_use(void **state)
{
    (void)state;
    struct box b;
    machine(&b, MIB(256), 0, NULL);
    struct mm_file *f = mm_file(b.sys, 1, 1, 32 * K, "/data/file");
    assert_int_equal(map_full(&b, AT, 32 * K, RW, MAP_SHARED | MAP_FIXED, f, 0), AT);
    touch_pages(&b, AT, 32, true);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_dirty), 32);
    scan(&b, ZONE_NORMAL, 0);
    assert_int_equal(node_stat(&b, NODE_nr_dirty), 0);
    assert_int_equal(STAT(&b.stats, pgsteal_file), 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* 6.18.44: MADV_PAGEOUT of a huge page counts one fallback, also without any swap, and none where a page
 * of it was unmapped before. */
static void a_huge_page_split_for_a_swap_file_is_a_fallback(void **state)
{
    (void)state;
    for (int swap = 0; swap < 2; swap++) {
        struct box b;
        machine(&b, MIB(256), swap ? MIB(64) : 0, huge);
        map_anon(&b, AT, 1024, RW);
        touch(&b, AT, true);
        touch(&b, AT + MIB(2), true);
        assert_int_equal(mm_munmap(b.mm, va(AT + MIB(2) + 9 * K), K), 0);
        assert_int_equal(mm_madvise(b.mm, va(AT), MIB(2), MADV_PAGEOUT), 0);
        assert_int_equal(STAT(&b.stats, thp_swpout_fallback), 1);
        assert_int_equal(mm_madvise(b.mm, va(AT + MIB(2)), 9 * K, MADV_PAGEOUT), 0);
        mm_madvise(b.mm, va(AT + MIB(2) + 10 * K), 502 * K, MADV_PAGEOUT);
        assert_int_equal(STAT(&b.stats, thp_split_page), 2);
        assert_int_equal(STAT(&b.stats, thp_swpout_fallback), 1);
        assert_int_equal(STAT(&b.stats, thp_swpout), 0);
        box_close(&b);
    }
}

/* What MADV_FREE gave up needs no place in swap. */
static void a_huge_page_given_up_goes_without_swap(void **state)
{
    (void)state;
    struct box b;
    machine(&b, MIB(256), 0, huge);
    map_anon(&b, AT, 512, RW);
    touch(&b, AT, true);
    mm_lru_drain(b.sys);
    assert_int_equal(mm_madvise(b.mm, va(AT), MIB(2), MADV_FREE), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_file), 512);
    for (int i = 0; i < 512 / 32; i++) /* each ends after 32 pages */
        scan(&b, ZONE_NORMAL, 0);
    assert_int_equal(STAT(&b.stats, pglazyfreed), 512);
    assert_int_equal(STAT(&b.stats, thp_swpout_fallback), 0);
    box_close(&b);
}

/* can_age_anon_pages: swap exists, that it is full does not matter. No inactive page, 64 active ones: a
 * look takes SWAP_CLUSTER_MAX of them down. */
static void anonymous_pages_age_though_swap_is_full(void **state)
{
    (void)state;
    struct box b;
    unsigned level;
    machine(&b, MIB(64), 10 * K, NULL);
    map_anon(&b, AT, 100, RW);
    touch_pages(&b, AT, 9, true);
    assert_int_equal(mm_madvise(b.mm, va(AT), 9 * K, MADV_PAGEOUT), 0);
    assert_int_equal(mm_swap_free(b.sys), 0);
    mm_shrink_all(b.sys);
    touch_pages(&b, AT + 20 * K, 64, true);
    mm_lru_drain(b.sys);
    for (uint64_t i = 20; i < 84; i++)
        folio_activate(b.sys, pte_pfn(*pt_leaf(mm_pt(b.mm), va(AT + i * K), &level)));
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_active_anon), 64);
    scan(&b, ZONE_NORMAL, 12);
    assert_int_equal(STAT(&b.stats, pgdeactivate), 32);
    box_close(&b);
}

/* -- kswapd ------------------------------------------------------------------------------------------ */

/* take_frames takes kernel frames until a first attempt fails, which wakes kswapd; returns how many. */
static uint64_t take_frames(struct box *b, pfn *ret, uint64_t max)
{
    struct phys_req r = phys_request(0, GFP_KERNEL, FRAME_SLAB);
    uint64_t n = 0;
    while (n < max && phys_alloc_req(b->phys, &r, &ret[n]) == 0)
        n++;
    assert_true(n < max && phys_kswapd_any(b->phys));
    return n;
}

static void give_frames(struct box *b, const pfn *n, uint64_t nr)
{
    for (uint64_t i = 0; i < nr; i++)
        phys_free(b->phys, n[i], 0);
}

/* wakeup_kswapd: a node that is balanced does not wake it; the wish is forgotten. */
static void kswapd_is_not_woken_for_a_balanced_node(void **state)
{
    (void)state;
    static pfn n[20000];
    struct box b;
    machine(&b, MIB(64), 0, NULL);
    give_frames(&b, n, take_frames(&b, n, ARRAY_LEN(n)));
    phys_drain_all(b.phys);
    mm_kswapd(b.sys);
    assert_int_equal(STAT(&b.stats, pageoutrun), 0);
    assert_int_equal(mm_node(b.sys, 0)->kswapd_failures, 0);
    assert_false(phys_kswapd_any(b.phys));
    box_close(&b);
}

/* kswapd does not sleep while its node is out of balance: it runs until 16 runs (MAX_RECLAIM_RETRIES)
 * in a row freed nothing; then the node is hopeless, and it is not woken again. */
static void kswapd_gives_up_after_16_runs_in_vain(void **state)
{
    (void)state;
    static pfn n[20000], more;
    struct box b;
    machine(&b, MIB(64), 0, NULL);
    uint64_t nr = take_frames(&b, n, ARRAY_LEN(n));
    mm_kswapd(b.sys);
    assert_int_equal(STAT(&b.stats, pageoutrun), 16);
    assert_int_equal(mm_node(b.sys, 0)->kswapd_failures, 16);
    assert_int_equal(take_frames(&b, &more, 1), 0);
    mm_kswapd(b.sys);
    assert_int_equal(STAT(&b.stats, pageoutrun), 16);
    give_frames(&b, n, nr);
    box_close(&b);
}

static void boosts(struct conf *c)
{
    c->vm_watermark_boost_factor = 15000;
    c->phys_pcp = false;
}

/* mix_types boosts zone DMA once and zone DMA32 twice, by 512 pages: the last blocks of movable memory
 * claim what is left of an unmovable pageblock, and a kernel page claims a half free movable one. */
static unsigned mix_types(struct box *b, pfn *held, unsigned max)
{
    struct phys_req u = phys_request(8, GFP_USER, FRAME_USER_ANON),
                    k = phys_request(0, GFP_KERNEL, FRAME_SLAB);
    unsigned nr = 0, kept = 0;
    u.mark = PHYS_NO_WATERMARKS;
    while (nr < max && phys_alloc_req(b->phys, &u, &held[nr]) == 0)
        nr++;
    for (unsigned i = 0; i < nr; i++)
        if (held[i].v % 512 == 0 && held[i].v >= 4096)
            phys_free(b->phys, held[i], 8);
        else
            held[kept++] = held[i];
    k.mark = PHYS_MARK_MIN;
    assert_int_equal(phys_alloc_req(b->phys, &k, &held[max - 1]), 0);
    return kept;
}

/* balance_pgdat with a boost of 1536 on a balanced node: of 9000 inactive pages it takes 9000 >> 12 = 2,
 * 8998 >> 11 = 4, and then stays at priority 10: 101 rounds of 8 until less than 8192 are left, and
 * 104 of 7: 2 + 4 + 808 + 728 = 1542. Nothing is written; then the boost is taken back and kcompactd
 * called for pageblocks. */
static void a_boost_is_worked_off_gently_and_taken_back(void **state)
{
    (void)state;
    static pfn held[1024];
    struct phys_zone_info z;
    struct box b;
    machine(&b, MIB(256), MIB(64), boosts);
    struct mm_file *f = mm_file(b.sys, 1, 1, 9000 * K, "/data/file");
    assert_int_equal(map_full(&b, AT, 9000 * K, RW, MAP_SHARED | MAP_FIXED, f, 0), AT);
    touch_pages(&b, AT, 9000, false);
    mm_lru_drain(b.sys);
    mm_munmap(b.mm, va(AT), 9000 * K);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_file), 9000);
    unsigned nr = mix_types(&b, held, ARRAY_LEN(held));
    phys_zone_info(b.phys, 0, ZONE_DMA, &z);
    assert_int_equal(z.boost, 512);
    phys_zone_info(b.phys, 0, ZONE_DMA32, &z);
    assert_int_equal(z.boost, 1024);
    mm_kswapd(b.sys);
    phys_zone_info(b.phys, 0, ZONE_DMA32, &z);
    assert_int_equal(z.boost, 0);
    assert_int_equal(STAT(&b.stats, pageoutrun), 1);
    assert_int_equal(STAT(&b.stats, pgsteal_kswapd), 1542);
    assert_int_equal(STAT(&b.stats, pswpout), 0);
    assert_int_equal(b.sys->compaction.node[0].order, 9);
    for (unsigned i = 0; i < nr; i++)
        phys_free(b.phys, held[i], 8);
    phys_free(b.phys, held[ARRAY_LEN(held) - 1], 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* -- direct reclaim ---------------------------------------------------------------------------------- */

static void fragmented(struct conf *c)
{
    c->phys_fragmentation = 100;
}

/* shrink_zones: memory is free, but in pieces: compaction is ready, nothing is looked at, and that counts
 * as progress. One frame in each pageblock leaves 511 free ones in 9 blocks; index 1000 -
 * (1000 + 998) / 9 > 500 for each pageblock, so compaction is suitable. */
static void a_block_that_only_needs_compaction_reclaims_nothing(void **state)
{
    (void)state;
    struct box b;
    machine(&b, MIB(256), MIB(64), fragmented);
    map_anon(&b, AT, 5000, RW);
    touch_pages(&b, AT, 5000, true);
    mm_lru_drain(b.sys);
    make_old(&b, AT, 5000);
    assert_true(phys_extfrag_index(b.phys, 0, ZONE_DMA32, 9) > 500);
    assert_int_equal(try_to_free_pages(b.sys, 0, 0, 9, ZONE_NORMAL), 1);
    assert_int_equal(STAT(&b.stats, pgscan_direct), 0);
    assert_int_equal(STAT(&b.stats, allocstall_normal), 1);
    assert_true(try_to_free_pages(b.sys, 0, 0, 0, ZONE_NORMAL) >= 32);
    box_close(&b);
}

static void lock_inactive(struct box *b, bool lock)
{
    const struct lruvec *l = &mm_node(b->sys, 0)->lru;
    for (uint32_t at = l->lists[LRU_INACTIVE_FILE].head; at != 0;) {
        struct frame *f = phys_frame(b->phys, (pfn){at - 1});
        f->flags = lock ? f->flags | FRAME_F_LOCKED : f->flags & ~FRAME_F_LOCKED;
        at = f->link_next;
    }
}

/* cache_pages leaves so many pages of a file in the cache that nobody maps: inactive after one round,
 * active after two. */
static struct mm_file *cache_pages(struct box *b, uint64_t ino, uint64_t n, int rounds)
{
    struct mm_file *f = mm_file(b->sys, 1, ino, n * K, ino == 1 ? "/data/one" : "/data/two");
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(map_full(b, AT, n * K, RW, MAP_SHARED | MAP_FIXED, f, 0), AT);
        touch_pages(b, AT, n, false);
        mm_lru_drain(b->sys);
        mm_munmap(b->mm, va(AT), n * K);
        mm_lru_drain(b->sys);
    }
    return f;
}

/* do_try_to_free_pages: the inactive pages cannot go, the active ones are spared because they are not
 * more. In vain; once more (memcg_full_walk); then with force_deactivate. */
static void active_pages_are_spared_only_while_that_helps(void **state)
{
    (void)state;
    struct box b;
    machine(&b, MIB(256), 0, NULL);
    struct mm_file *one = cache_pages(&b, 1, 64, 1), *two = cache_pages(&b, 2, 64, 2);
    assert_int_equal(node_stat(&b, NODE_nr_inactive_file), 64);
    assert_int_equal(node_stat(&b, NODE_nr_active_file), 64);
    lock_inactive(&b, true);
    assert_true(try_to_free_pages(b.sys, 0, 0, 0, ZONE_NORMAL) > 0);
    assert_int_equal(STAT(&b.stats, allocstall_normal), 3);
    assert_true(STAT(&b.stats, pgdeactivate) > 0);
    lock_inactive(&b, false);
    mm_file_put(b.sys, one);
    mm_file_put(b.sys, two);
    box_close(&b);
}

/* lru_add_drain_cpu empties the batch of invalidated pages before that of activated ones: a page in both
 * ends active. */
static void a_page_invalidated_and_used_again_ends_active(void **state)
{
    (void)state;
    struct box b;
    machine(&b, MIB(64), 0, NULL);
    struct mm_file *f = cache_pages(&b, 1, 1, 1);
    pfn n = {mm_node(b.sys, 0)->lru.lists[LRU_INACTIVE_FILE].head - 1};
    folio_activate(b.sys, n);
    folio_deactivate_file(b.sys, n);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_active_file), 1);
    assert_int_equal(STAT(&b.stats, pgrotated), 1);
    assert_int_equal(STAT(&b.stats, pgdeactivate), 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_huge_page_counts_as_512_pages_looked_at),
        cmocka_unit_test(many_young_entries_of_one_mapping_are_one_reference),
        cmocka_unit_test(pages_of_higher_zones_are_passed_over_and_counted),
        cmocka_unit_test(nothing_but_dirty_pages_wakes_the_flusher_though_they_are_in_use),
        cmocka_unit_test(a_huge_page_split_for_a_swap_file_is_a_fallback),
        cmocka_unit_test(a_huge_page_given_up_goes_without_swap),
        cmocka_unit_test(a_page_invalidated_and_used_again_ends_active),
        cmocka_unit_test(anonymous_pages_age_though_swap_is_full),
        cmocka_unit_test(kswapd_is_not_woken_for_a_balanced_node),
        cmocka_unit_test(kswapd_gives_up_after_16_runs_in_vain),
        cmocka_unit_test(a_boost_is_worked_off_gently_and_taken_back),
        cmocka_unit_test(a_block_that_only_needs_compaction_reclaims_nothing),
        cmocka_unit_test(active_pages_are_spared_only_while_that_helps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
