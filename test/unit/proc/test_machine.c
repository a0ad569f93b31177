/* The numbers of a whole machine: sums that must agree between files, and the kernel's formulas on a
 * snapshot of the running kernel (MemAvailable, the dirty thresholds). */
#include "unit/mm/mm_fixture.h"

#include "diff/proc_scan.h"
#include "proc/gather.h"

static struct proc_machine machine_of(struct box *b)
{
    return (struct proc_machine){&b->conf, b->phys, b->sys, &b->stats};
}

/* A machine that did a little of everything. */
static void work(struct box *b)
{
    box_open(b, MIB(512), false);
    int64_t at = map_anon(b, 0, 64, RW);
    touch_pages(b, (uint64_t)at, 64, true);
    struct mm_file *f = mm_file(b->sys, 1, 2, 64 * K, "/some/file");
    at = map_full(b, 0, 64 * K, PROT_READ, MAP_PRIVATE, f, 0);
    touch_pages(b, (uint64_t)at, 64, false);
    at = map_full(b, 0, 16 * K, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
    touch_pages(b, (uint64_t)at, 16, true);
    mm_mlock(b->mm, va((uint64_t)at), 4 * K, 0);
    mm_file_put(b->sys, f);
    mm_lru_drain(b->sys);
}

static void free_blocks_add_up_to_free_pages(void **state)
{
    (void)state;
    struct box b;
    struct proc_nodes nodes;
    work(&b);
    struct proc_machine m = machine_of(&b);
    assert_int_equal(proc_nodes_open(&nodes, &m), 0);
    uint64_t spanned = 0;
    for (unsigned z = 0; z < PROC_ZONES; z++) {
        const struct proc_zone *zone = &nodes.node[0].zone[z];
        uint64_t sum = 0;
        for (unsigned o = 0; o < PROC_ORDERS; o++)
            sum += proc_zone_free_blocks(zone, o) << o;
        assert_int_equal(sum, zone->free);
        assert_int_equal(sum, zone->item[PROC_ZONE_nr_free_pages]);
        assert_true(zone->managed <= zone->present && zone->present <= zone->spanned);
        spanned += zone->spanned;
    }
    assert_int_equal(spanned, MIB(512) / K - 1); /* frame 0 is not counted */
    proc_nodes_close(&nodes);
    box_close(&b);
}

static void meminfo_agrees_with_vmstat_and_the_process(void **state)
{
    (void)state;
    struct box b;
    struct proc_nodes nodes;
    struct proc_vmstat v;
    struct proc_meminfo i;
    struct proc_status s;
    work(&b);
    struct proc_machine m = machine_of(&b);
    assert_int_equal(proc_nodes_open(&nodes, &m), 0);
    proc_vmstat_of(&m, &nodes, &v);
    proc_meminfo_of(&m, &nodes, &i);
    proc_status_of(b.mm, &s);
    assert_int_equal(i.v[PROC_MEM_ANONPAGES], 64 * 4);
    assert_int_equal(i.v[PROC_MEM_ANONPAGES], s.rss_anon);
    assert_int_equal(i.v[PROC_MEM_SHMEM], 16 * 4);
    assert_int_equal(s.rss_shmem, 16 * 4);
    assert_int_equal(i.v[PROC_MEM_MLOCKED], 4 * 4);
    assert_int_equal(i.v[PROC_MEM_UNEVICTABLE], 4 * 4);
    assert_int_equal(i.v[PROC_MEM_PAGETABLES], phys_owner_frames(b.phys, FRAME_PAGE_TABLE) * 4);
    assert_int_equal(i.v[PROC_MEM_MEMFREE], v.zone[PROC_ZONE_nr_free_pages] * 4);
    assert_int_equal(i.v[PROC_MEM_ACTIVE] + i.v[PROC_MEM_INACTIVE] + i.v[PROC_MEM_UNEVICTABLE],
                     (64 + 16 + v.node[PROC_NODE_nr_file_pages] - 16) * 4);
    assert_int_equal(v.event[PROC_EVENT_pgfault], b.stats.v[STAT_pgfault]);
    assert_true(v.event[PROC_EVENT_pgfault] > 64);
    assert_int_equal(v.numa[PROC_NUMA_numa_hit], v.numa[PROC_NUMA_numa_local]);
    proc_nodes_close(&nodes);
    box_close(&b);
}

static void a_node_of_one_is_the_machine(void **state)
{
    (void)state;
    struct box b;
    struct proc_nodes nodes;
    struct proc_meminfo i;
    struct proc_node_meminfo n;
    work(&b);
    struct proc_machine m = machine_of(&b);
    assert_int_equal(proc_nodes_open(&nodes, &m), 0);
    proc_meminfo_of(&m, &nodes, &i);
    proc_node_meminfo_of(&m, &nodes.node[0], &n);
    assert_int_equal(n.v[PROC_NODE_MEM_MEMTOTAL], i.v[PROC_MEM_MEMTOTAL]);
    assert_int_equal(n.v[PROC_NODE_MEM_MEMUSED] + n.v[PROC_NODE_MEM_MEMFREE],
                     i.v[PROC_MEM_MEMTOTAL]);
    assert_int_equal(n.v[PROC_NODE_MEM_FILEPAGES], i.v[PROC_MEM_CACHED]);
    assert_int_equal(n.v[PROC_NODE_MEM_ACTIVE], i.v[PROC_MEM_ACTIVE]);
    assert_int_equal(n.v[PROC_NODE_MEM_SLAB], i.v[PROC_MEM_SLAB]);
    proc_nodes_close(&nodes);
    box_close(&b);
}

static void an_advised_mapping_shows_huge_pages(void **state)
{
    (void)state;
    struct box b;
    struct proc_nodes nodes;
    struct proc_vmstat v;
    struct proc_meminfo i;
    box_open(&b, MIB(512), false);
    uint64_t at = (uint64_t)map_anon(&b, GIB(1), 1024, RW);
    assert_int_equal(mm_madvise(b.mm, va(at), MIB(4), MADV_HUGEPAGE), 0);
    touch(&b, at, true);
    struct proc_machine m = machine_of(&b);
    assert_int_equal(proc_nodes_open(&nodes, &m), 0);
    proc_vmstat_of(&m, &nodes, &v);
    proc_meminfo_of(&m, &nodes, &i);
    assert_int_equal(v.node[PROC_NODE_nr_anon_transparent_hugepages], 1);
    assert_int_equal(i.v[PROC_MEM_ANONHUGEPAGES], 2048);
    assert_int_equal(i.v[PROC_MEM_ANONPAGES], 2048);
    assert_int_equal(v.event[PROC_EVENT_thp_fault_alloc], 1);
    proc_nodes_close(&nodes);
    box_close(&b);
}

/* The sequence of the specification: a pool of 4, a private mapping of 3 promises 3; one touch takes a
 * page and its promise. */
static void hugetlb_pages_are_counted_apart(void **state)
{
    (void)state;
    struct box b;
    struct proc_nodes nodes;
    struct proc_meminfo i;
    struct proc_node_meminfo n;
    struct proc_smaps s;
    struct proc_status status;
    box_open(&b, MIB(512), false);
    mm_hugetlb_set(b.sys, MM_HUGETLB_2M, 4);
    int64_t at = map_full(&b, 0, MIB(6), RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, NULL, 0);
    assert_true(at > 0);
    touch(&b, (uint64_t)at, true);
    struct proc_machine m = machine_of(&b);
    assert_int_equal(proc_nodes_open(&nodes, &m), 0);
    proc_meminfo_of(&m, &nodes, &i);
    proc_node_meminfo_of(&m, &nodes.node[0], &n);
    assert_int_equal(i.v[PROC_MEM_HUGEPAGES_TOTAL], 4);
    assert_int_equal(i.v[PROC_MEM_HUGEPAGES_FREE], 3);
    assert_int_equal(i.v[PROC_MEM_HUGEPAGES_RSVD], 2);
    assert_int_equal(i.v[PROC_MEM_HUGETLB], 8192);
    assert_int_equal(n.v[PROC_NODE_MEM_HUGEPAGES_TOTAL], 4);
    assert_int_equal(n.v[PROC_NODE_MEM_HUGEPAGES_FREE], 3);
    proc_smaps_of(b.mm, mm_vma_at(b.mm, va((uint64_t)at)), &s);
    assert_int_equal(s.kernel_page, MIB(2));
    assert_int_equal(s.private_hugetlb, MIB(2));
    assert_int_equal(s.rss, 0);
    proc_status_of(b.mm, &status);
    assert_int_equal(status.hugetlb, 2048);
    assert_int_equal(status.rss, 0);
    uint64_t word = proc_pagemap_word(b.mm, va((uint64_t)at + 5 * K));
    assert_int_equal(word & (PM_PRESENT | PM_FILE | PM_MMAP_EXCLUSIVE),
                     PM_PRESENT | PM_MMAP_EXCLUSIVE);
    uint64_t flags = proc_pageflags_word(b.phys, (pfn){word & (BIT(PM_PFRAME_BITS) - 1)});
    assert_int_equal(flags & ~BIT(KPF_OWNER_2), BIT(KPF_UPTODATE) | BIT(KPF_MMAP) | BIT(KPF_ANON) |
                                                    BIT(KPF_COMPOUND_TAIL) | BIT(KPF_HUGE));
    proc_nodes_close(&nodes);
    assert_int_equal(mm_munmap(b.mm, va((uint64_t)at), MIB(6)), 0);
    box_close(&b);
}

/* pagemap_pmd_range_thp asks whether the first page of the entry is mapped once, for each page (the
 * kernel's answer to seed 361653). */
static void pagemap_shows_of_a_huge_entry_what_is_true_of_its_first_page(void **state)
{
    struct box b;
    struct mm *parent, *child;
    (void)state;
    box_open(&b, MIB(512), false);
    assert_int_equal(map_anon(&b, MIB(64), MIB(2) / K, RW), MIB(64));
    assert_int_equal(mm_madvise(b.mm, va(MIB(64)), MIB(2), MADV_HUGEPAGE), 0);
    touch(&b, MIB(64), true);
    assert_true(proc_pagemap_word(b.mm, va(MIB(64) + 5 * K)) & PM_MMAP_EXCLUSIVE);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    touch(&b, MIB(64) + 5 * K, true); /* a copy: the child alone has page 5 now */
    parent = b.mm;
    assert_true(proc_pagemap_word(parent, va(MIB(64) + 5 * K)) & PM_MMAP_EXCLUSIVE);
    assert_false(proc_pagemap_word(child, va(MIB(64) + 5 * K)) & PM_MMAP_EXCLUSIVE);
    touch(&b, MIB(64), true);
    assert_true(proc_pagemap_word(child, va(MIB(64) + 6 * K)) & PM_MMAP_EXCLUSIVE);
    mm_close(child);
    box_close(&b);
}

/* -- formulas on the running kernel -------------------------------------------------------------- */

/* totalreserve_pages of a snapshot: Σ min(largest protection + high, managed). */
static uint64_t totalreserve(const struct proc_node *nodes, unsigned n, uint64_t *ret_low)
{
    uint64_t sum = 0;
    for (*ret_low = 0; n-- > 0;)
        for (unsigned z = 0; z < PROC_ZONES; z++) {
            const struct proc_zone *zone = &nodes[n].zone[z];
            uint64_t most = 0;
            for (unsigned i = 0; i < PROC_ZONES; i++)
                most = max_u64(most, zone->protection[i]);
            sum += min_u64(most + zone->high, zone->managed);
            *ret_low += zone->low;
        }
    return sum;
}

/* global_dirtyable_memory and domain_dirty_limits with ratios of 20 and 10 %, in 1/4096. */
static void dirty_limits(const struct proc_memory *m, uint64_t *ret_threshold,
                         uint64_t *ret_background)
{
    uint64_t pages =
        m->free - min_u64(m->free, m->totalreserve) + m->active_file + m->inactive_file + 1;
    *ret_threshold = 20 * 4096 / 100 * pages / 4096;
    *ret_background = 10 * 4096 / 100 * pages / 4096;
}

static void dirty_limits_of_a_machine_follow_the_same_formula(void **state)
{
    (void)state;
    struct box b;
    struct proc_nodes nodes;
    struct proc_vmstat v;
    work(&b);
    struct proc_machine m = machine_of(&b);
    assert_int_equal(proc_nodes_open(&nodes, &m), 0);
    proc_vmstat_of(&m, &nodes, &v);
    struct proc_memory memory = {.free = v.zone[PROC_ZONE_nr_free_pages],
                                 .active_file = v.node[PROC_NODE_nr_active_file],
                                 .inactive_file = v.node[PROC_NODE_nr_inactive_file]};
    uint64_t threshold, background;
    memory.totalreserve = totalreserve(nodes.node, nodes.n, &memory.low);
    dirty_limits(&memory, &threshold, &background);
    assert_int_equal(v.other[PROC_OTHER_nr_dirty_threshold], threshold);
    assert_int_equal(v.other[PROC_OTHER_nr_dirty_background_threshold], background);
    proc_nodes_close(&nodes);
    box_close(&b);
}

/* The kernel's files are read one after the other: of several tries one must fit. */
static bool formulas_fit(void)
{
    static struct proc_node nodes[PROC_NODES];
    static struct proc_pageset sets[PROC_NODES * 40];
    struct proc_vmstat v;
    struct proc_meminfo i;
    unsigned n = 0;
    char *vm = read_text("/proc/vmstat"), *mem = read_text("/proc/meminfo"),
         *zones = read_text("/proc/zoneinfo");
    bool known = vm && mem && zones && scan_vmstat(vm, &v) && scan_meminfo(mem, &i) &&
                 scan_zoneinfo(zones, nodes, &n, sets);
    free(vm);
    free(mem);
    free(zones);
    if (!known) {
        print_message("the kernel's files have other rows: %s\n", scan_unknown);
        skip();
    }
    /* MemFree knows of memory whose records the kernel has not made yet; nr_free_pages does not. */
    struct proc_memory m = {.free = i.v[PROC_MEM_MEMFREE] / 4,
                            .active_file = v.node[PROC_NODE_nr_active_file],
                            .inactive_file = v.node[PROC_NODE_nr_inactive_file],
                            .reclaimable = v.node[PROC_NODE_nr_slab_reclaimable] +
                                           v.node[PROC_NODE_nr_kernel_misc_reclaimable]};
    uint64_t threshold, background;
    m.totalreserve = totalreserve(nodes, n, &m.low);
    dirty_limits(&m, &threshold, &background);
    return proc_available(&m) * 4 == i.v[PROC_MEM_MEMAVAILABLE] &&
           threshold == v.other[PROC_OTHER_nr_dirty_threshold] &&
           background == v.other[PROC_OTHER_nr_dirty_background_threshold];
}

static uint64_t number_in(const char *path)
{
    char *text = read_text(path);
    uint64_t n = text ? strtoull(text, NULL, 10) : 0;
    free(text);
    return n;
}

static void available_and_dirty_limits_are_the_kernels(void **state)
{
    (void)state;
    if (number_in("/proc/sys/vm/dirty_ratio") != 20 ||
        number_in("/proc/sys/vm/dirty_background_ratio") != 10)
        skip();
    for (int tries = 0; tries < 2000; tries++)
        if (formulas_fit())
            return;
    fail_msg("no snapshot of the running kernel fits the formulas");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_blocks_add_up_to_free_pages),
        cmocka_unit_test(meminfo_agrees_with_vmstat_and_the_process),
        cmocka_unit_test(a_node_of_one_is_the_machine),
        cmocka_unit_test(an_advised_mapping_shows_huge_pages),
        cmocka_unit_test(hugetlb_pages_are_counted_apart),
        cmocka_unit_test(pagemap_shows_of_a_huge_entry_what_is_true_of_its_first_page),
        cmocka_unit_test(dirty_limits_of_a_machine_follow_the_same_formula),
        cmocka_unit_test(available_and_dirty_limits_are_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
