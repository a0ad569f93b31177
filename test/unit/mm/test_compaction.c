/* test_compaction.c: compaction makes large free blocks out of scattered ones; pages, bytes and
 * mappings stay what they were, and what cannot move does not. The naive count: F free frames of a
 * zone hold at most F / 512 blocks of order 9. Rules: Linux 6.18 mm/compaction.c. */
#include "mm/mm_int.h"
#include "unit/mm/mm_fixture.h"

#define AT    UINT64_C(0x10000000)
#define PAGES 8192u /* 32 MiB */

static pte *entry(const struct box *b, uint64_t a)
{
    unsigned level;
    pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    return e && pte_present(*e) ? e : NULL;
}

static void open_machine(struct box *b)
{
    memset(b, 0, sizeof(*b));
    conf_init(&b->conf);
    b->conf.phys_size = MIB(96);
    b->conf.phys_kernel_image = MIB(1);
    b->conf.phys_contents = true;
    b->conf.thp_enabled = 2; /* never */
    assert_int_equal(arch_outbox_open(&b->out), 0);
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(mm_sys_open(&b->sys, &b->conf, b->phys, &b->stats, &b->out), 0);
    assert_int_equal(mm_open(&b->mm, b->sys), 0);
}

/* scatter fills memory with pages whose bytes say which they are, and frees all but one in `keep`. */
static void scatter(struct box *b, unsigned keep)
{
    map_anon(b, AT, PAGES, RW);
    touch_pages(b, AT, PAGES, true);
    for (uint64_t i = 0; i < PAGES; i++)
        memcpy(phys_bytes(b->phys, pte_pfn(*entry(b, AT + i * K))), &i, sizeof(i));
    for (unsigned i = 0; i < PAGES; i++)
        if (i % keep != 0)
            mm_madvise(b->mm, va(AT + i * K), K, MADV_DONTNEED);
    mm_lru_drain(b->sys);
    phys_drain_all(b->phys);
    b->out.n = 0;
}

static void check_pages(struct box *b, unsigned keep)
{
    for (uint64_t i = 0; i < PAGES; i++) {
        const pte *e = entry(b, AT + i * K);
        assert_int_equal(e != NULL, i % keep == 0);
        if (e)
            assert_memory_equal(phys_bytes(b->phys, pte_pfn(*e)), &i, sizeof(i));
    }
    assert_int_equal(mm_audit(b->mm), 0);
    assert_int_equal(phys_audit(b->phys), 0);
}

static uint64_t large_blocks(struct box *b)
{
    uint64_t n = 0;
    phys_drain_all(b->phys);
    for (int z = 0; z < ZONE_NR; z++)
        n += phys_free_blocks(b->phys, (enum zone_id)z, 9) +
             2 * phys_free_blocks(b->phys, (enum zone_id)z, 10);
    return n;
}

static uint64_t free_frames(const struct box *b)
{
    return phys_zone_free(b->phys, ZONE_DMA) + phys_zone_free(b->phys, ZONE_DMA32);
}

static void compact_memory_joins_scattered_free_frames(void **state)
{
    (void)state;
    struct box b;
    open_machine(&b);
    scatter(&b, 4);
    uint64_t before = large_blocks(&b), moved = STAT(&b.stats, pgmigrate_success);
    mm_compact_memory(b.sys);
    uint64_t after = large_blocks(&b);
    moved = STAT(&b.stats, pgmigrate_success) - moved;
    assert_true(after > before + 8);
    assert_true(after * 512 <= free_frames(&b));
    assert_true(free_frames(&b) - after * 512 < 4 * 512); /* nearly all of it */
    assert_true(moved > 0 && moved <= PAGES / 4);
    assert_int_equal(STAT(&b.stats, pgmigrate_fail), 0);
    assert_in_range(STAT(&b.stats, compact_isolated), 2 * moved, 2 * moved + 64 * 1024);
    assert_true(STAT(&b.stats, compact_migrate_scanned) >= moved);
    check_pages(&b, 4);
    box_close(&b);
}

static void a_second_pass_finds_nothing_left_to_do(void **state)
{
    (void)state;
    struct box b;
    open_machine(&b);
    scatter(&b, 4);
    mm_compact_memory(b.sys);
    uint64_t blocks = large_blocks(&b), moved = STAT(&b.stats, pgmigrate_success);
    mm_compact_memory(b.sys);
    assert_true(large_blocks(&b) >= blocks);
    assert_true(STAT(&b.stats, pgmigrate_success) - moved <= PAGES / 4);
    check_pages(&b, 4);
    box_close(&b);
}

static void what_is_on_no_list_stays_where_it_is(void **state)
{
    (void)state;
    struct box b;
    pfn mine[40];
    open_machine(&b);
    map_anon(&b, AT, PAGES, RW);
    for (unsigned i = 0; i < 40; i++) { /* kernel frames among the pages */
        touch_pages(&b, AT + i * 200 * K, 200, true);
        assert_int_equal(phys_alloc(b.phys, 0, GFP_KERNEL, FRAME_SLAB, &mine[i]), 0);
    }
    for (unsigned i = 0; i < 8000; i++)
        if (i % 3 != 0)
            mm_madvise(b.mm, va(AT + i * K), K, MADV_DONTNEED);
    mm_lru_drain(b.sys);
    mm_compact_memory(b.sys);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(phys_owner(b.phys, mine[i]), FRAME_SLAB);
        phys_free(b.phys, mine[i], 0);
    }
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

/* use_up takes what large free blocks there are, so that only scattered frames are left. */
static unsigned use_up(struct box *b, pfn *ret, unsigned max)
{
    struct phys_req r = phys_request(9, GFP_USER, FRAME_SLAB);
    unsigned n = 0;
    r.mark = PHYS_NO_WATERMARKS;
    while (n < max && phys_alloc_req(b->phys, &r, &ret[n]) == 0)
        n++;
    return n;
}

static void give_back(struct box *b, const pfn *taken, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        phys_free(b->phys, taken[i], 9);
}

static int alloc_compacting(struct mm_sys *s, unsigned order, pfn *ret)
{
    struct phys_req r = phys_request(order, GFP_USER, FRAME_SLAB);
    return alloc_direct_compact(s, &r, COMPACT_PRIO_SYNC_LIGHT, ret);
}

static void an_allocation_compacts_until_it_gets_its_block(void **state)
{
    (void)state;
    struct box b;
    pfn taken[64], n;
    open_machine(&b);
    scatter(&b, 4);
    unsigned took = use_up(&b, taken, ARRAY_LEN(taken));
    struct phys_req r = phys_request(9, GFP_USER, FRAME_SLAB);
    r.mark = PHYS_MARK_MIN;
    assert_int_equal(phys_alloc_req(b.phys, &r, &n), -ENOMEM);
    int err = alloc_compacting(b.sys, 9, &n);
    assert_int_equal(err, 0);
    assert_int_equal(STAT(&b.stats, compact_stall), 1);
    assert_int_equal(STAT(&b.stats, compact_success), 1);
    assert_true(STAT(&b.stats, pgmigrate_success) < PAGES / 4); /* it stopped as soon as it could */
    check_pages(&b, 4);
    phys_free(b.phys, n, 9);
    give_back(&b, taken, took);
    box_close(&b);
}

static void the_fragmentation_score_wakes_kcompactd_and_it_stops_below_the_mark(void **state)
{
    (void)state;
    struct box b;
    pfn taken[64];
    open_machine(&b);
    scatter(&b, 4);
    unsigned took = use_up(&b, taken, ARRAY_LEN(taken));
    assert_true(mm_fragmentation_score(b.sys, 0) > 90);
    mm_tick(b.sys, 100);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 0); /* every 500 ms */
    mm_tick(b.sys, 600);
    phys_drain_all(b.phys);
    assert_in_range(mm_fragmentation_score(b.sys, 0), 0, 82);
    assert_true(STAT(&b.stats, compact_daemon_migrate_scanned) > 0);
    uint64_t moved = STAT(&b.stats, pgmigrate_success);
    mm_tick(b.sys, 1200);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), moved);
    check_pages(&b, 4);
    give_back(&b, taken, took);
    box_close(&b);
}

static void proactiveness_0_leaves_memory_alone(void **state)
{
    (void)state;
    struct box b;
    pfn taken[64];
    open_machine(&b);
    mm_close(b.mm);
    mm_sys_close(b.sys);
    b.conf.vm_compaction_proactiveness = 0;
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    scatter(&b, 4);
    unsigned took = use_up(&b, taken, ARRAY_LEN(taken));
    mm_tick(b.sys, 600);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 0);
    give_back(&b, taken, took);
    box_close(&b);
}

static void a_zone_that_cannot_be_compacted_is_let_alone_longer_and_longer(void **state)
{
    (void)state;
    struct box b;
    pfn taken[64];
    open_machine(&b);
    scatter(&b, 4);
    unsigned took = use_up(&b, taken, ARRAY_LEN(taken));
    for (uint64_t i = 0; i < PAGES; i += 4) /* nothing can move: all are isolated by somebody */
        phys_frame(b.phys, pte_pfn(*entry(&b, AT + i * K)))->flags |= FRAME_F_LOCKED;
    struct phys_req r = phys_request(9, GFP_USER, FRAME_SLAB);
    char tries[33] = "";
    for (unsigned i = 0; i < 32; i++) {
        enum compact_result got = try_to_compact_pages(b.sys, &r, COMPACT_PRIO_SYNC_LIGHT);
        assert_int_not_equal(got, COMPACT_SUCCESS);
        tries[i] = got == COMPACT_DEFERRED ? '-' : 'x';
    }
    /* After a failure 1, 2, 4, 8, 16 tries count up to the next one: defer_compaction. */
    assert_string_equal(tries, "x-x---x-------x---------------x-");
    for (uint64_t i = 0; i < PAGES; i += 4)
        phys_frame(b.phys, pte_pfn(*entry(&b, AT + i * K)))->flags &= ~FRAME_F_LOCKED;
    give_back(&b, taken, took);
    box_close(&b);
}

static void sysctls_compact_and_refuse_like_the_kernels(void **state)
{
    (void)state;
    struct box b;
    open_machine(&b);
    scatter(&b, 4);
    assert_int_equal(mm_sysctl(b.sys, "compact_memory", 0), -EINVAL);
    assert_int_equal(mm_sysctl(b.sys, "compact_memory", 2), -EINVAL);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 0);
    assert_int_equal(mm_sysctl(b.sys, "vm.compact_memory", 1), 0);
    assert_true(STAT(&b.stats, pgmigrate_success) > 0);
    assert_int_equal(mm_sysctl(b.sys, "vm.compaction_proactiveness", 101), -EINVAL);
    assert_int_equal(mm_sysctl(b.sys, "vm.compaction_proactiveness", 0), 0);
    assert_int_equal(mm_sysctl(b.sys, "vm.drop_caches", 5), -EINVAL);
    assert_int_equal(mm_sysctl(b.sys, "vm.drop_caches", 1), 0);
    check_pages(&b, 4);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_memory_joins_scattered_free_frames),
        cmocka_unit_test(a_second_pass_finds_nothing_left_to_do),
        cmocka_unit_test(what_is_on_no_list_stays_where_it_is),
        cmocka_unit_test(an_allocation_compacts_until_it_gets_its_block),
        cmocka_unit_test(the_fragmentation_score_wakes_kcompactd_and_it_stops_below_the_mark),
        cmocka_unit_test(proactiveness_0_leaves_memory_alone),
        cmocka_unit_test(sysctls_compact_and_refuse_like_the_kernels),
        cmocka_unit_test(a_zone_that_cannot_be_compacted_is_let_alone_longer_and_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
