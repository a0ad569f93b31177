/* test_reclaim.c: what goes first when memory is short, what is written, who is killed.
 * Expectations: Linux 6.18 mm/vmscan.c, mm/workingset.c, mm/page-writeback.c, mm/oom_kill.c, and
 * states seen on 6.18.44 where a test says so. */
#include "unit/mm/mm_fixture.h"

#include <sys/shm.h>

#define AT UINT64_C(0x200000000)

struct options {
    uint64_t phys, swap;
    bool cold, kill_caller, panic, no_boost;
};

static void box_with(struct box *b, const struct options *o)
{
    memset(b, 0, sizeof(*b));
    conf_init(&b->conf);
    b->conf.phys_size = o->phys ? o->phys : MIB(64);
    b->conf.phys_kernel_image = MIB(4);
    b->conf.swap_size = o->swap;
    b->conf.pagecache = o->cold ? PAGECACHE_COLD : PAGECACHE_WARM;
    b->conf.thp_enabled = 2; /* never */
    b->conf.vm_watermark_boost_factor = o->no_boost ? 0 : 15000;
    b->conf.vm_oom_kill_allocating_task = o->kill_caller;
    b->conf.vm_panic_on_oom = o->panic;
    assert_int_equal(arch_outbox_open(&b->out), 0);
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(mm_sys_open(&b->sys, &b->conf, b->phys, &b->stats, &b->out), 0);
    assert_int_equal(mm_open(&b->mm, b->sys), 0);
}

static void box_end(struct box *b)
{
    assert_int_equal(mm_audit(b->mm), 0);
    mm_close(b->mm);
    mm_sys_close(b->sys);
    assert_int_equal(phys_audit(b->phys), 0);
    phys_close(b->phys);
    arch_outbox_close(&b->out);
}

static uint64_t node_stat(const struct box *b, enum node_stat_item item)
{
    struct mm_node_stat st;
    mm_node_stats(b->sys, 0, &st);
    return st.v[item];
}

static struct mm_file *map_file(struct box *b, uint64_t at, uint64_t pages, uint32_t flags)
{
    struct mm_file *f = mm_file(b->sys, 1, at, pages * K, "/data/file");
    assert_int_equal(map_full(b, at, pages * K, RW, flags | MAP_FIXED, f, 0), at);
    return f;
}

static pte entry_at(const struct box *b, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    return e ? *e : (pte){0};
}

/* fill writes pages of the address space m until `pages` are touched; true if memory ran out. */
static bool fill(struct box *b, struct mm *m, uint64_t at, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        struct arch_fault f = {.cr2 = va(at + i * K), .code = FAULT_W | FAULT_U};
        struct mm_verdict v;
        unsigned level;
        mm_fault(m, &f, &v);
        b->out.n = 0;
        if (v.oom)
            return true;
        pte *e = pt_leaf(mm_pt(m), va(at + i * K), &level);
        if (e && pte_present(*e))
            e->v |= PTE_A | PTE_D;
    }
    return false;
}

/* -- second chance -------------------------------------------------------------------------------- */

static void a_page_of_a_file_that_was_unmapped_young_twice_becomes_active(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){0});
    struct mm_file *f = map_file(&b, AT, 16, MAP_SHARED);
    touch_pages(&b, AT, 16, false);
    mm_lru_drain(b.sys);
    mm_munmap(b.mm, va(AT), 16 * K); /* marks them accessed: referenced */
    assert_int_equal(node_stat(&b, NODE_nr_active_file), 0);
    map_full(&b, AT, 16 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    touch_pages(&b, AT, 16, false);
    mm_munmap(b.mm, va(AT), 16 * K); /* again: active */
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(&b, NODE_nr_active_file), 16);
    assert_int_equal(STAT(&b.stats, pgactivate), 16);
    mm_file_put(b.sys, f);
    box_end(&b);
}

/* Without boosts: kswapd of a boosted zone DMA puts all pages of zone DMA32 to the head of the list. */
static uint64_t present_pages(const struct box *b, uint64_t at, uint64_t pages)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < pages; i++)
        n += pte_present(entry_at(b, at + i * K));
    return n;
}

/* shmctl(2), SHM_LOCK: "prevent swapping of the shared memory segment"; mm/vmscan.c folio_evictable,
 * check_move_unevictable_folios. */
static void a_locked_segment_stays_in_memory_until_it_is_unlocked(void **state)
{
    (void)state;
    const uint64_t pages = MIB(8) / K, more = AT + MIB(64);
    struct box b;
    box_with(&b, &(struct options){.swap = MIB(128)});
    int id = mm_shmget(b.mm, IPC_PRIVATE, MIB(8), 0600);
    assert_int_equal(mm_shmctl(b.mm, id, SHM_LOCK, NULL), 0);
    assert_int_equal(mm_shmat(b.mm, id, va(AT), 0, false), AT);
    touch_pages(&b, AT, pages, true);
    assert_int_equal(
        map_full(&b, more, MIB(80), RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0), more);
    touch_pages(&b, more, MIB(80) / K, true);
    assert_int_equal(present_pages(&b, AT, pages), pages);
    assert_true(node_stat(&b, NODE_nr_unevictable) > 0);
    assert_int_equal(mm_audit(b.mm), 0);
    assert_int_equal(mm_shmctl(b.mm, id, SHM_UNLOCK, NULL), 0);
    assert_int_equal(node_stat(&b, NODE_nr_unevictable), 0);
    assert_int_equal(mm_audit(b.mm), 0);
    touch_pages(&b, more, MIB(80) / K, true);
    assert_true(present_pages(&b, AT, pages) < pages);
    box_end(&b);
}

static void cold_pages_go_before_pages_in_use(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){.swap = MIB(64), .no_boost = true});
    map_anon(&b, AT, 3000, RW);
    assert_false(fill(&b, b.mm, AT, 3000));
    mm_lru_drain(b.sys);
    mm_madvise(b.mm, va(AT), 1000 * K, MADV_COLD);
    map_anon(&b, AT + GIB(1), 20000, RW);
    for (uint64_t i = 0; counters(&b).swapents < 900; i++) {
        assert_false(fill(&b, b.mm, AT + GIB(1) + i * K, 1));
        for (uint64_t k = 1000; i % 64 == 0 && k < 3000; k++) { /* in use */
            unsigned level;
            pte *e = pt_leaf(mm_pt(b.mm), va(AT + k * K), &level);
            if (pte_present(*e))
                e->v |= PTE_A;
        }
    }
    uint64_t cold = 0, used = 0;
    for (uint64_t i = 0; i < 3000; i++)
        *(i < 1000 ? &cold : &used) += !pte_present(entry_at(&b, AT + i * K));
    assert_true(cold > 800);
    assert_true(used < cold / 4);
    box_end(&b);
}

/* -- kswapd and direct reclaim -------------------------------------------------------------------- */

static void kswapd_lifts_the_node_above_its_high_watermarks(void **state)
{
    (void)state;
    struct box b;
    struct phys_zone_info z;
    box_with(&b, &(struct options){.swap = MIB(64)});
    map_anon(&b, AT, 20000, RW);
    assert_false(fill(&b, b.mm, AT, 20000));
    assert_true(STAT(&b.stats, pageoutrun) > 0);
    assert_true(STAT(&b.stats, pgsteal_kswapd) > 0);
    uint64_t before = STAT(&b.stats, pageoutrun);
    for (uint64_t i = 0; STAT(&b.stats, pageoutrun) == before; i++)
        assert_false(fill(&b, b.mm, AT + i % 20000 * K, 1));
    bool high = false;
    for (int zone = 0; zone < ZONE_NR; zone++) {
        phys_zone_info(b.phys, 0, (enum zone_id)zone, &z);
        high |= z.managed > 0 && z.free >= z.high;
    }
    assert_true(high);
    box_end(&b);
}

static void clean_pages_of_files_go_without_a_write_and_come_back_with_a_major_fault(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){0}); /* no swap: only file pages can go */
    struct mm_file *f = map_file(&b, AT, 12000, MAP_PRIVATE);
    touch_pages(&b, AT, 12000, false);
    map_anon(&b, AT + GIB(1), 6000, RW);
    assert_false(fill(&b, b.mm, AT + GIB(1), 6000));
    assert_true(STAT(&b.stats, pgsteal_file) > 2000);
    assert_int_equal(STAT(&b.stats, pgsteal_anon), 0);
    assert_int_equal(STAT(&b.stats, pswpout) + STAT(&b.stats, pgpgout), 0);
    uint64_t before = counters(&b).majflt, i = 0;
    while (entry_at(&b, AT + i * K).v != 0)
        i++;
    assert_true(touch(&b, AT + i * K, false).major);
    assert_int_equal(counters(&b).majflt, before + 1);
    assert_true(node_stat(&b, NODE_workingset_refault_file) > 0);
    mm_file_put(b.sys, f);
    box_end(&b);
}

/* A page that comes back at once was evicted too soon: it becomes active. */
static void a_page_that_comes_back_soon_is_activated(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){.swap = MIB(64)});
    map_anon(&b, AT, 64, RW);
    assert_false(fill(&b, b.mm, AT, 64));
    mm_lru_drain(b.sys);
    map_anon(&b, AT + GIB(1), 200, RW); /* stay: the others are within their number */
    assert_false(fill(&b, b.mm, AT + GIB(1), 200));
    mm_madvise(b.mm, va(AT), 64 * K, MADV_PAGEOUT);
    mm_madvise(b.mm, va(AT), 64 * K, MADV_PAGEOUT);
    mm_shrink_all(b.sys);
    touch(&b, AT, false);
    assert_true(node_stat(&b, NODE_workingset_refault_anon) > 0);
    box_end(&b);
}

/* -- writing ---------------------------------------------------------------------------------------- */

static void dirty_pages_are_counted_and_written_by_msync(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){0});
    struct mm_file *f = map_file(&b, AT, 32, MAP_SHARED);
    touch_pages(&b, AT, 10, true);
    assert_int_equal(node_stat(&b, NODE_nr_dirty), 10);
    assert_int_equal(node_stat(&b, NODE_nr_dirtied), 10);
    assert_int_equal(mm_msync(b.mm, va(AT), 32 * K, MS_SYNC), 0);
    assert_int_equal(node_stat(&b, NODE_nr_dirty), 0);
    assert_int_equal(node_stat(&b, NODE_nr_written), 10);
    assert_int_equal(STAT(&b.stats, pgpgout), 40);
    assert_int_equal(touch_pages(&b, AT, 10, true), 10); /* write-protected again */
    mm_file_put(b.sys, f);
    box_end(&b);
}

static void the_flusher_writes_what_is_older_than_30_seconds(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){0});
    struct mm_file *f = map_file(&b, AT, 32, MAP_SHARED);
    mm_tick(b.sys, 1000);
    touch_pages(&b, AT, 4, true);
    mm_tick(b.sys, 26000);
    assert_int_equal(node_stat(&b, NODE_nr_dirty), 4);
    mm_tick(b.sys, 31000);
    assert_int_equal(node_stat(&b, NODE_nr_dirty), 0);
    mm_file_put(b.sys, f);
    box_end(&b);
}

/* 10 % of free + file pages − reserves may be dirty before the flusher starts, 20 % at all; the
 * kernel rounds the shares to 1/4096 (domain_dirty_limits). */
static void the_limits_are_shares_of_what_could_be_dirty(void **state)
{
    (void)state;
    struct box b;
    uint64_t limit, background;
    box_with(&b, &(struct options){0});
    struct mm_file *f = map_file(&b, AT, 8000, MAP_SHARED);
    mm_dirty_limits(b.sys, &limit, &background);
    uint64_t could = 1 - phys_totalreserve(b.phys); /* global_dirtyable_memory */
    for (int z = 0; z < ZONE_NR; z++)
        could += phys_zone_free(b.phys, (enum zone_id)z);
    assert_int_equal(limit, 20 * 4096 / 100 * could / 4096);
    assert_int_equal(background, 10 * 4096 / 100 * could / 4096);
    for (uint64_t i = 0; i < 8000; i += 100) {
        touch_pages(&b, AT + i * K, 100, true);
        mm_tick(b.sys, 5000 * (i / 100 + 1));
        mm_dirty_limits(b.sys, &limit, &background);
        assert_true(node_stat(&b, NODE_nr_dirty) <= background);
    }
    mm_file_put(b.sys, f);
    box_end(&b);
}

static void drop_caches_leaves_mapped_and_dirty_pages(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){0});
    struct mm_file *f = map_file(&b, AT, 64, MAP_SHARED);
    touch_pages(&b, AT, 64, false);
    touch(&b, AT, true);
    mm_munmap(b.mm, va(AT), 32 * K);
    assert_int_equal(mm_sysctl(b.sys, "vm.drop_caches", 1), 0);
    assert_int_equal(node_stat(&b, NODE_nr_file_pages), 33); /* 32 mapped, 1 dirty */
    assert_int_equal(STAT(&b.stats, drop_pagecache), 1);
    assert_int_equal(mm_sysctl(b.sys, "vm.drop_caches", 5), -EINVAL);
    map_full(&b, AT, 32 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    assert_true(touch(&b, AT + 20 * K, false).major);
    mm_file_put(b.sys, f);
    box_end(&b);
}

static void clear_refs_makes_pages_of_one_kind_old_and_resets_the_peak(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){0});
    struct mm_file *f = map_file(&b, AT, 4, MAP_SHARED);
    map_anon(&b, AT + MIB(1), 4, RW);
    touch_pages(&b, AT, 4, false);
    touch_pages(&b, AT + MIB(1), 4, true);
    assert_int_equal(mm_clear_refs(b.mm, 2), 0);
    assert_false(entry_at(&b, AT + MIB(1)).v & PTE_A);
    assert_true(entry_at(&b, AT).v & PTE_A);
    assert_int_equal(mm_clear_refs(b.mm, 3), 0);
    assert_false(entry_at(&b, AT).v & PTE_A);
    mm_munmap(b.mm, va(AT + MIB(1)), 4 * K);
    assert_int_equal(counters(&b).rss_peak, 8);
    assert_int_equal(mm_clear_refs(b.mm, 5), 0);
    assert_int_equal(counters(&b).rss_peak, 4);
    assert_int_equal(mm_clear_refs(b.mm, 6), -EINVAL);
    mm_file_put(b.sys, f);
    box_end(&b);
}

/* -- out of memory ------------------------------------------------------------------------------------ */

static struct mm *process(struct box *b, uint32_t pid, const char *comm, int adj)
{
    struct mm *m;
    struct mm_task t;
    assert_int_equal(mm_open(&m, b->sys), 0);
    t = *mm_task(m);
    t.pid = t.tgid = pid;
    t.oom_score_adj = (int16_t)adj;
    snprintf(t.comm, sizeof(t.comm), "%s", comm);
    mm_set_task(m, &t);
    struct mm_map map = {.addr = va(AT), .len = GIB(1), .prot = RW};
    map.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    assert_int_equal(mm_mmap(m, &map), AT);
    return m;
}

static uint64_t anon(const struct mm *m)
{
    struct mm_counters c;
    mm_counters(m, &c);
    return c.rss[MM_ANONPAGES];
}

static void the_largest_process_is_killed_and_its_memory_comes_back(void **state)
{
    (void)state;
    struct box b;
    uint64_t n;
    box_with(&b, &(struct options){0});
    struct mm *large = process(&b, 100, "large", 0), *small = process(&b, 101, "small", 0);
    assert_false(fill(&b, large, AT, 9000));
    assert_false(fill(&b, small, AT, 1000));
    for (uint64_t i = 1000; STAT(&b.stats, oom_kill) == 0; i++)
        assert_false(fill(&b, small, AT + i * K, 1)); /* goes on: another one died */
    assert_int_equal(anon(large), 0);
    assert_true(anon(small) > 1000);
    const struct mm_oom_event *e = mm_oom_events(b.sys, &n);
    assert_int_equal(n, 1);
    assert_int_equal(e->pid, 100);
    char want[200];
    snprintf(want, sizeof(want),
             "Out of memory: Killed process 100 (large) total-vm:1048576kB, anon-rss:36000kB, "
             "file-rss:0kB, shmem-rss:0kB, UID:%u pgtables:%ukB oom_score_adj:0",
             (unsigned)mm_task(large)->uid, (18 + 2) * 4);
    assert_string_equal(e->line, want);
    mm_close(small);
    mm_close(large);
    box_end(&b);
}

static void a_small_process_with_a_large_adjustment_goes_first(void **state)
{
    (void)state;
    struct box b;
    uint64_t n;
    box_with(&b, &(struct options){0});
    struct mm *large = process(&b, 100, "large", 0), *given = process(&b, 101, "given", 900);
    struct mm *safe = process(&b, 102, "safe", -1000);
    assert_false(fill(&b, given, AT, 500));
    assert_false(fill(&b, safe, AT, 6000));
    for (uint64_t i = 0; STAT(&b.stats, oom_kill) == 0; i++)
        assert_false(fill(&b, large, AT + i * K, 1));
    assert_int_equal(mm_oom_events(b.sys, &n)->pid, 101);
    assert_int_equal(anon(safe), 6000);
    mm_close(safe);
    mm_close(given);
    mm_close(large);
    box_end(&b);
}

static void a_process_that_kills_itself_hears_of_it(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){0});
    struct mm *alone = process(&b, 100, "alone", 0);
    assert_true(fill(&b, alone, AT, 20000));
    assert_int_equal(STAT(&b.stats, oom_kill), 1);
    assert_int_equal(anon(alone), 0);
    assert_false(fill(&b, alone, AT, 100)); /* and may go on with empty pages */
    mm_close(alone);
    box_end(&b);
}

static void whoever_asks_is_killed_if_the_sysctl_says_so(void **state)
{
    (void)state;
    struct box b;
    uint64_t n;
    box_with(&b, &(struct options){.kill_caller = true});
    struct mm *large = process(&b, 100, "large", 0), *small = process(&b, 101, "small", 0);
    assert_false(fill(&b, large, AT, 8000));
    assert_true(fill(&b, small, AT, 20000));
    assert_int_equal(mm_oom_events(b.sys, &n)->pid, 101);
    assert_int_equal(anon(large), 8000);
    mm_close(small);
    mm_close(large);
    box_end(&b);
}

static void panic_on_oom_kills_nobody(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){.panic = true});
    struct mm *m = process(&b, 100, "alone", 0);
    assert_true(fill(&b, m, AT, 20000));
    assert_int_equal(STAT(&b.stats, oom_kill), 0);
    assert_true(mm_oom_panics(b.sys) > 0);
    mm_close(m);
    box_end(&b);
}

static void page_tables_alone_can_run_memory_out_and_are_survived(void **state)
{
    (void)state;
    struct box b;
    box_with(&b, &(struct options){.phys = MIB(32)});
    struct mm_map map = {.addr = va(AT), .len = GIB(200), .prot = PROT_READ};
    map.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    assert_int_equal(mm_mmap(b.mm, &map), AT);
    bool out = false;
    for (uint64_t i = 0; !out && i < 20000; i++) { /* zero pages, 2 MiB apart */
        struct arch_fault f = {.cr2 = va(AT + i * MIB(2)), .code = FAULT_U};
        struct mm_verdict v;
        mm_fault(b.mm, &f, &v);
        b.out.n = 0;
        out = v.oom;
    }
    assert_true(out);
    box_end(&b);
}

/* MMF_OOM_SKIP: who was killed and reaped is not chosen again, whatever shared memory, locked memory
 * and page tables it still holds. Everybody is killed in turn, then the request fails. */
static void every_process_is_killed_at_most_once_while_nobody_goes_on(void **state)
{
    (void)state;
    struct box b;
    box_conf(&b, MIB(48)); /* of which the kernel takes 40 */
    b.conf.overcommit_memory = 1;
    b.conf.swap_size = MIB(2);
    b.conf.thp_enabled = 2;
    box_start(&b);
    struct mm *sharer = process(&b, 100, "sharer", 0), *other = process(&b, 101, "other", 0);
    struct mm_map map = {.addr = va(AT), .len = MIB(40), .prot = RW};
    map.flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
    assert_int_equal(mm_mmap(sharer, &map), AT);
    bool out = false;
    for (uint64_t i = 0; !out && i < MIB(40) / K; i++) /* its last kill is of itself */
        out = fill(&b, sharer, AT + i * K, 1);
    assert_true(out);
    assert_int_equal(STAT(&b.stats, oom_kill), 1);
    assert_int_equal(mm_oom_events(b.sys, &(uint64_t){0})->pid, 100);
    assert_true(fill(&b, other, AT, 2000)); /* the sharer does not go on */
    assert_int_equal(STAT(&b.stats, oom_kill), 2);
    assert_true(b.out.cap <= 1u << 16); /* messages of the longest fault, kills and all */
    mm_close(other);
    mm_close(sharer);
    box_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_a_file_that_was_unmapped_young_twice_becomes_active),
        cmocka_unit_test(a_locked_segment_stays_in_memory_until_it_is_unlocked),
        cmocka_unit_test(cold_pages_go_before_pages_in_use),
        cmocka_unit_test(kswapd_lifts_the_node_above_its_high_watermarks),
        cmocka_unit_test(clean_pages_of_files_go_without_a_write_and_come_back_with_a_major_fault),
        cmocka_unit_test(a_page_that_comes_back_soon_is_activated),
        cmocka_unit_test(dirty_pages_are_counted_and_written_by_msync),
        cmocka_unit_test(the_flusher_writes_what_is_older_than_30_seconds),
        cmocka_unit_test(the_limits_are_shares_of_what_could_be_dirty),
        cmocka_unit_test(drop_caches_leaves_mapped_and_dirty_pages),
        cmocka_unit_test(clear_refs_makes_pages_of_one_kind_old_and_resets_the_peak),
        cmocka_unit_test(the_largest_process_is_killed_and_its_memory_comes_back),
        cmocka_unit_test(a_small_process_with_a_large_adjustment_goes_first),
        cmocka_unit_test(a_process_that_kills_itself_hears_of_it),
        cmocka_unit_test(whoever_asks_is_killed_if_the_sysctl_says_so),
        cmocka_unit_test(panic_on_oom_kills_nobody),
        cmocka_unit_test(every_process_is_killed_at_most_once_while_nobody_goes_on),
        cmocka_unit_test(page_tables_alone_can_run_memory_out_and_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
