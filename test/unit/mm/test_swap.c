/* test_swap.c: pages that go to swap and come back. Expectations: Linux 6.18 mm/vmscan.c,
 * mm/swapfile.c, mm/swap_state.c, mm/memory.c (do_swap_page), and counts seen on 6.18.44 with a
 * private swap file where a test says so. */
#include "unit/mm/mm_fixture.h"

#include <unistd.h>

#define AT UINT64_C(0x200000000)

static void swap_box(struct box *b, uint64_t phys, uint64_t swap, enum conf_swap_device device)
{
    box_conf(b, phys);
    b->conf.phys_kernel_image = MIB(4);
    b->conf.swap_size = swap;
    b->conf.swap_device = device;
    box_start(b);
}

/* swap_box_written is that with a device like an SSD, and so many written pages at AT. */
static void swap_box_written(struct box *b, uint64_t phys, uint64_t swap, uint64_t pages)
{
    swap_box(b, phys, swap, SWAP_SSD);
    map_anon(b, AT, pages, RW);
    touch_pages(b, AT, pages, true);
}

static void swap_box_close(struct box *b)
{
    assert_int_equal(mm_audit(b->mm), 0);
    mm_close(b->mm);
    mm_sys_close(b->sys);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_USER_ANON), 0);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_SHMEM), 0);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_PAGE_TABLE), 0);
    assert_int_equal(phys_audit(b->phys), 0);
    phys_close(b->phys);
    arch_outbox_close(&b->out);
}

static pte entry_at(const struct box *b, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    return e ? *e : (pte){0};
}

static uint64_t swap_used(const struct box *b)
{
    return mm_swap_total(b->sys) - mm_swap_free(b->sys);
}

/* push_out empties the swap cache, too: the second call finds the pages written and clean. */
static void push_out(struct box *b, uint64_t at, uint64_t pages)
{
    struct mm_node_stat st;
    assert_int_equal(mm_madvise(b->mm, va(at), pages * K, MADV_PAGEOUT), 0);
    mm_shrink_all(b->sys);
    mm_node_stats(b->sys, 0, &st);
    assert_int_equal(st.v[NODE_nr_swapcached], 0);
}

static void slots_are_given_out_from_1_on_and_the_first_page_is_the_header(void **state)
{
    (void)state;
    struct box b;
    struct mm_swap_info info[MAX_SWAPFILES];
    swap_box(&b, MIB(64), MIB(1), SWAP_SSD);
    assert_int_equal(mm_swaps(b.sys, info), 1);
    assert_int_equal(info[0].pages, 255);
    assert_int_equal(info[0].prio, -2);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 64, true);
    assert_int_equal(mm_madvise(b.mm, va(AT), 64 * K, MADV_PAGEOUT), 0);
    for (uint64_t i = 0; i < 64; i++) {
        pte e = entry_at(&b, AT + i * K);
        assert_true(pte_is_swap(e));
        assert_int_equal(swp_type(e), 0);
        assert_int_equal(swp_offset(e), i + 1);
        assert_true(e.v & PTE_SWP_EXCLUSIVE);
    }
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0);
    assert_int_equal(counters(&b).swapents, 64);
    assert_int_equal(swap_used(&b), 64);
    assert_int_equal(STAT(&b.stats, pswpout), 64);
    swap_box_close(&b);
}

/* Seen: after MADV_PAGEOUT on a disk the pages stay in the swap cache; coming back is minor, pswpin
 * does not move; a write frees the slot. */
static void a_page_still_in_the_swap_cache_comes_back_with_a_minor_fault(void **state)
{
    (void)state;
    struct box b;
    uint8_t core[4];
    swap_box(&b, MIB(64), MIB(1), SWAP_DISK);
    map_anon(&b, AT, 4, RW);
    touch_pages(&b, AT, 4, true);
    mm_lru_drain(b.sys);
    mm_madvise(b.mm, va(AT), 4 * K, MADV_PAGEOUT);
    assert_int_equal(mm_mincore(b.mm, va(AT), 4 * K, core), 0);
    assert_int_equal(core[0], 1);
    struct mm_verdict v = touch(&b, AT, false);
    assert_int_equal(v.kind, FAULT_SWAP_IN);
    assert_false(v.major);
    assert_int_equal(STAT(&b.stats, pswpin), 0);
    assert_int_equal(swap_used(&b), 4); /* read: the slot stays with the page */
    assert_true(entry_at(&b, AT).v & PTE_RW);
    v = touch(&b, AT + K, true);
    assert_int_equal(v.kind, FAULT_SWAP_IN);
    assert_int_equal(swap_used(&b), 3); /* written: freed */
    assert_int_equal(counters(&b).majflt, 0);
    assert_int_equal(counters(&b).swapents, 2);
    swap_box_close(&b);
}

/* Seen: 64 pages at slots 129 … 192 of a rotating disk: 9 major and 55 minor faults, major at 129,
 * 136, 144 … 192. */
static void
reading_64_swapped_pages_in_order_from_a_disk_is_9_major_and_55_minor_faults(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), MIB(4), SWAP_DISK);
    map_anon(&b, AT, 192, RW);
    touch_pages(&b, AT, 192, true);
    push_out(&b, AT, 128);
    push_out(&b, AT + 128 * K, 64);
    assert_int_equal(swp_offset(entry_at(&b, AT + 128 * K)), 129);
    mm_munmap(b.mm, va(AT), 128 * K);
    for (uint64_t i = 0; i < 64; i++) {
        struct mm_verdict v = touch(&b, AT + (128 + i) * K, false);
        uint64_t slot = 129 + i;
        assert_int_equal(v.major, slot == 129 || slot % 8 == 0);
    }
    assert_int_equal(counters(&b).majflt, 9);
    assert_int_equal(STAT(&b.stats, swap_ra), 55);
    assert_int_equal(STAT(&b.stats, swap_ra_hit), 55);
    assert_int_equal(STAT(&b.stats, pswpin), 64);
    swap_box_close(&b);
}

/* An SSD reads ahead by address: the first window is 8 pages around the fault (hits start at 4), then
 * 8 from each fault on that follows the page before it. */
static void an_ssd_reads_neighbouring_addresses_not_slots(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), MIB(4), SWAP_SSD);
    map_anon(&b, AT, 64, RW);
    for (uint64_t i = 0; i < 64; i++) /* slots in another order than addresses */
        touch(&b, AT + i * 37 % 64 * K, true);
    push_out(&b, AT, 64);
    touch(&b, AT + 32 * K, false);
    assert_int_equal(STAT(&b.stats, pswpin), 8);
    for (uint64_t i = 29; i < 37; i++) { /* (8 - 1) / 2 = 3 before it */
        uint8_t in;
        mm_mincore(b.mm, va(AT + i * K), K, &in);
        assert_int_equal(in, 1);
    }
    uint8_t in;
    mm_mincore(b.mm, va(AT + 28 * K), K, &in);
    assert_int_equal(in, 0);
    swap_box_close(&b);
}

static void a_device_like_memory_reads_one_page_and_frees_its_slot(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), MIB(4), SWAP_RAM);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 64, true);
    mm_madvise(b.mm, va(AT), 64 * K, MADV_PAGEOUT);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 0);
    struct mm_verdict v = touch(&b, AT, false);
    assert_true(v.major);
    assert_int_equal(STAT(&b.stats, pswpin), 1);
    assert_int_equal(swap_used(&b), 63);
    swap_box_close(&b);
}

static void fork_lets_both_name_the_slot_and_neither_alone(void **state)
{
    (void)state;
    struct box b;
    struct mm *child;
    swap_box_written(&b, MIB(64), MIB(1), 4);
    push_out(&b, AT, 4);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_false(entry_at(&b, AT).v & PTE_SWP_EXCLUSIVE);
    assert_int_equal(swap_used(&b), 4);
    assert_int_equal(mm_audit(b.mm), 0);
    touch(&b, AT, true); /* shared with the child's entry: copied */
    assert_int_equal(mm_audit(b.mm), 0);
    struct mm_counters c;
    mm_counters(child, &c);
    assert_int_equal(c.swapents, 4);
    assert_int_equal(counters(&b).swapents, 3);
    mm_close(child);
    assert_int_equal(mm_audit(b.mm), 0);
    swap_box_close(&b);
}

static void unmapping_frees_the_slots_and_the_pages_of_the_swap_cache(void **state)
{
    (void)state;
    struct box b;
    swap_box_written(&b, MIB(64), MIB(1), 32);
    mm_madvise(b.mm, va(AT), 16 * K, MADV_PAGEOUT);
    mm_munmap(b.mm, va(AT), 32 * K);
    assert_int_equal(swap_used(&b), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 0);
    assert_int_equal(counters(&b).swapents, 0);
    swap_box_close(&b);
}

static void shared_memory_goes_to_swap_without_entries_and_comes_back(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), MIB(1), SWAP_DISK);
    map_full(&b, AT, 16 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    touch_pages(&b, AT, 16, true);
    mm_lru_drain(b.sys);
    push_out(&b, AT, 16);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 0);
    assert_int_equal(entry_at(&b, AT).v, 0); /* the slot is known to the file only */
    assert_int_equal(counters(&b).swapents, 0);
    assert_int_equal(swap_used(&b), 16);
    assert_true(touch(&b, AT, true).major);
    assert_int_equal(swap_used(&b), 15);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 1);
    mm_munmap(b.mm, va(AT), 16 * K);
    assert_int_equal(swap_used(&b), 0);
    swap_box_close(&b);
}

static void pages_given_up_by_madv_free_are_dropped_if_clean_and_kept_if_written(void **state)
{
    (void)state;
    struct box b;
    swap_box_written(&b, MIB(64), MIB(1), 8);
    mm_lru_drain(b.sys);
    mm_madvise(b.mm, va(AT), 8 * K, MADV_FREE);
    mm_lru_drain(b.sys);
    touch(&b, AT, true);
    mm_shrink_all(b.sys);
    assert_int_equal(STAT(&b.stats, pglazyfreed), 7);
    assert_int_equal(entry_at(&b, AT + K).v, 0);
    assert_int_not_equal(entry_at(&b, AT).v, 0);
    swap_box_close(&b);
}

static void madv_free_of_swapped_pages_frees_their_slots(void **state)
{
    (void)state;
    struct box b;
    swap_box_written(&b, MIB(64), MIB(1), 8);
    push_out(&b, AT, 8);
    mm_madvise(b.mm, va(AT), 8 * K, MADV_FREE);
    assert_int_equal(swap_used(&b), 0);
    assert_int_equal(entry_at(&b, AT).v, 0);
    swap_box_close(&b);
}

static void willneed_reads_swapped_pages_ahead_without_a_fault(void **state)
{
    (void)state;
    struct box b;
    swap_box_written(&b, MIB(64), MIB(1), 8);
    push_out(&b, AT, 8);
    uint64_t before = STAT(&b.stats, pgmajfault);
    mm_madvise(b.mm, va(AT), 8 * K, MADV_WILLNEED);
    assert_int_equal(STAT(&b.stats, pswpin), 8);
    assert_int_equal(STAT(&b.stats, pgmajfault), before);
    assert_int_equal(touch_pages(&b, AT, 8, false), 8);
    swap_box_close(&b);
}

static void a_locked_page_never_goes(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), MIB(1), SWAP_SSD);
    map_anon(&b, AT, 8, RW);
    mm_mlock(b.mm, va(AT), 4 * K, 0);
    touch_pages(&b, AT, 8, true);
    assert_int_equal(mm_madvise(b.mm, va(AT), 8 * K, MADV_PAGEOUT), -EINVAL);
    mm_shrink_all(b.sys);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 4);
    assert_true(pte_present(entry_at(&b, AT)));
    assert_true(pte_is_swap(entry_at(&b, AT + 4 * K)));
    swap_box_close(&b);
}

static void swapoff_brings_everything_back(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), MIB(1), SWAP_SSD);
    map_anon(&b, AT, 64, RW);
    map_full(&b, AT + 100 * K, 8 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    touch_pages(&b, AT, 64, true);
    touch_pages(&b, AT + 100 * K, 8, true);
    push_out(&b, AT, 64);
    mm_madvise(b.mm, va(AT + 100 * K), 8 * K, MADV_PAGEOUT);
    assert_int_equal(mm_swapoff(b.sys, 0), 0);
    assert_int_equal(mm_swap_total(b.sys), 0);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 64);
    assert_int_equal(counters(&b).swapents, 0);
    assert_int_equal(mm_swapoff(b.sys, 0), -EINVAL);
    swap_box_close(&b);
}

static void swapoff_is_refused_when_promises_or_pages_need_the_area(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), MIB(32), SWAP_SSD);
    assert_int_equal(mm_sysctl(b.sys, "vm.overcommit_memory", 2), 0);
    map_anon(&b, AT, 9000, RW); /* half of memory and the swap allow it, half of memory would not */
    touch(&b, AT, true);
    assert_int_equal(mm_swapoff(b.sys, 0), -ENOMEM);
    mm_munmap(b.mm, va(AT), 9000 * K);
    assert_int_equal(mm_sysctl(b.sys, "vm.overcommit_memory", 1), 0);
    map_anon(&b, AT, 20000, RW); /* 78 MiB: more than there is */
    touch_pages(&b, AT, 20000, true);
    assert_int_equal(mm_swapoff(b.sys, 0), -ENOMEM);
    assert_true(mm_swap_total(b.sys) > 0);
    mm_munmap(b.mm, va(AT), 20000 * K);
    assert_int_equal(mm_swapoff(b.sys, 0), 0);
    swap_box_close(&b);
}

/* vm_swap_full: less than half is free, so a read frees the slot, too. */
static void a_read_frees_the_slot_when_swap_is_more_than_half_full(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), 101 * K, SWAP_SSD);
    map_anon(&b, AT, 60, RW);
    touch_pages(&b, AT, 60, true);
    mm_lru_drain(b.sys);
    mm_madvise(b.mm, va(AT), 40 * K, MADV_PAGEOUT);
    touch(&b, AT, false);
    assert_int_equal(swap_used(&b), 40);
    mm_madvise(b.mm, va(AT + 40 * K), 20 * K, MADV_PAGEOUT);
    assert_int_equal(swap_used(&b), 60);
    touch(&b, AT + K, false);
    assert_int_equal(swap_used(&b), 59);
    swap_box_close(&b);
}

static void areas_are_filled_by_priority_and_equal_ones_take_turns(void **state)
{
    (void)state;
    struct box b;
    struct mm_swap_info info[MAX_SWAPFILES];
    swap_box(&b, MIB(64), MIB(4), SWAP_SSD);
    struct mm_swap_def d = {.path = "", .bytes = 11 * K, .prio = 5, .device = SWAP_SSD};
    assert_int_equal(mm_swapon(b.sys, &d), 1);
    d.bytes = 9 * K;
    assert_int_equal(mm_swapon(b.sys, &d), -EINVAL);
    map_anon(&b, AT, 32, RW);
    touch_pages(&b, AT, 32, true);
    push_out(&b, AT, 32);
    assert_int_equal(mm_swaps(b.sys, info), 2);
    assert_int_equal(info[1].used, 10); /* full first */
    assert_int_equal(info[0].used, 22);
    assert_int_equal(swp_type(entry_at(&b, AT)), 1);
    swap_box_close(&b);
}

static void a_slot_that_was_freed_is_used_again_when_no_cluster_is_empty(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), 513 * K, SWAP_RAM); /* clusters of 512 and 1 */
    map_anon(&b, AT, 600, RW);
    touch_pages(&b, AT, 512, true);
    mm_madvise(b.mm, va(AT), 512 * K, MADV_PAGEOUT);
    assert_int_equal(swap_used(&b), 512);
    touch_pages(&b, AT + 7 * K, 1, true); /* frees slot 8 */
    touch_pages(&b, AT + 512 * K, 1, true);
    mm_madvise(b.mm, va(AT + 512 * K), K, MADV_PAGEOUT);
    assert_int_equal(swp_offset(entry_at(&b, AT + 512 * K)), 8);
    swap_box_close(&b);
}

/* -- a device that cannot be read: end_swap_bio_read leaves the page without PG_uptodate, do_swap_page
 * answers VM_FAULT_SIGBUS and keeps the entry, mm_account_fault counts no minor or major fault for it
 * (mm/memory.c); pgmajfault, pswpin count attempts. */

static char cut_path[64];

/* cut_box has a swap file, and n pages at AT in it whose bytes are not zero; then the file is cut. */
static void cut_box(struct box *b, enum conf_swap_device device, uint32_t flags, uint64_t n)
{
    memset(b, 0, sizeof(*b));
    conf_init(&b->conf);
    snprintf(cut_path, sizeof(cut_path), "/tmp/pagewalk-swap-%d", (int)getpid());
    snprintf(b->conf.swap_file, sizeof(b->conf.swap_file), "%s", cut_path);
    unlink(cut_path);
    b->conf.phys_size = MIB(64);
    b->conf.phys_kernel_image = MIB(4);
    b->conf.phys_contents = true;
    b->conf.swap_size = MIB(1);
    b->conf.swap_device = device;
    box_start(b);
    map_full(b, AT, n * K, RW, flags | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    for (uint64_t i = 0; i < n; i++) {
        touch(b, AT + i * K, true);
        assert_int_equal(mm_copy_to_user(b->mm, va(AT + i * K), "lost", 4), 4);
    }
    mm_lru_drain(b->sys);
    push_out(b, AT, n);
    assert_int_equal(swap_used(b), n);
    assert_int_equal(truncate(cut_path, 0), 0);
}

static void cut_close(struct box *b)
{
    unlink(cut_path);
    swap_box_close(b);
}

static void a_page_that_cannot_be_read_is_sigbus_and_keeps_its_slot(void **state)
{
    (void)state;
    for (int device = SWAP_DISK; device <= SWAP_RAM; device++) {
        static struct box b;
        cut_box(&b, (enum conf_swap_device)device, MAP_PRIVATE, 4);
        struct mm_counters before = counters(&b);
        uint64_t tries = STAT(&b.stats, pgmajfault);
        pte entry = entry_at(&b, AT);
        assert_int_equal(touch(&b, AT, false).signal, SIGBUS);
        assert_int_equal(touch(&b, AT, true).signal, SIGBUS);
        assert_int_equal(counters(&b).minflt, before.minflt);
        assert_int_equal(counters(&b).majflt, before.majflt);
        assert_true(STAT(&b.stats, pgmajfault) > tries);
        assert_int_equal(entry_at(&b, AT).v, entry.v);
        assert_int_equal(counters(&b).swapents, 4);
        assert_int_equal(mm_audit(b.mm), 0);
        mm_shrink_all(b.sys); /* what the swap cache holds without data goes */
        assert_int_equal(truncate(cut_path, MIB(1)), 0);
        assert_true(touch(&b, AT, false).major); /* the device is back */
        assert_int_equal(counters(&b).majflt, before.majflt + 1);
        mm_munmap(b.mm, va(AT), 4 * K);
        assert_int_equal(swap_used(&b), 0);
        cut_close(&b);
    }
}

/* shmem_set_folio_swapin_error: the page of a file in memory is lost for good, its slot is free. */
static void shared_memory_that_cannot_be_read_is_lost(void **state)
{
    (void)state;
    static struct box b;
    cut_box(&b, SWAP_SSD, MAP_SHARED, 2);
    assert_int_equal(touch(&b, AT, true).signal, SIGBUS);
    assert_int_equal(swap_used(&b), 1);
    assert_int_equal(truncate(cut_path, MIB(1)), 0);
    assert_int_equal(touch(&b, AT, true).signal, SIGBUS);
    mm_shrink_all(b.sys); /* its neighbour was read ahead, without data, too */
    assert_true(touch(&b, AT + K, true).major);
    mm_munmap(b.mm, va(AT), 2 * K);
    assert_int_equal(swap_used(&b), 0);
    cut_close(&b);
}

/* unuse_pte leaves a marker where a page could not be read: BUS_MCEERR_AR at the access. */
static void swapoff_leaves_markers_where_it_could_not_read(void **state)
{
    (void)state;
    static struct box b;
    cut_box(&b, SWAP_DISK, MAP_PRIVATE, 3);
    assert_int_equal(mm_swapoff(b.sys, 0), 0);
    assert_int_equal(counters(&b).swapents, 0);
    assert_true(pte_is_marker(entry_at(&b, AT), PTE_MARKER_POISONED));
    assert_int_equal(touch(&b, AT, false).signal, SIGBUS);
    mm_munmap(b.mm, va(AT), 3 * K);
    cut_close(&b);
}

/* An area without a file is the host's memory, taken when it is made: one that cannot be is refused. */
static void an_area_larger_than_the_hosts_memory_is_refused_with_the_reason(void **state)
{
    (void)state;
    static struct conf c;
    char err[256];
    conf_init(&c);
    c.swap_size = GIB(256) * 1024;
    c.phys_contents = true;
    assert_int_equal(mm_swap_check(&c, err, sizeof(err)), -EINVAL);
    assert_non_null(
        strstr(err, "swap.size: 281474976710656 bytes: without swap.file that is memory"));
    c.swap_size = MIB(1);
    assert_int_equal(mm_swap_check(&c, err, sizeof(err)), 0);
}

/* Seen on 6.18.44 (file on an SSD, one CPU): of 3000 pages at slots 1 … 3000 those at 101 … 200 and
 * 1001 … 1100 are freed; the next 400 pages get what is left of the CPU's cluster, then the freed
 * slots, cluster by cluster, and only then the next cluster. */
static void slots_freed_in_full_clusters_come_before_clusters_never_used(void **state)
{
    (void)state;
    static const struct {
        uint64_t page, slot;
    } seen[] = {{0, 3001},   {70, 3071},  {71, 101},   {170, 200},
                {171, 1001}, {270, 1100}, {271, 3072}, {399, 3200}};
    struct box b;
    swap_box(&b, MIB(64), MIB(64), SWAP_SSD);
    map_anon(&b, AT, 3400, RW);
    touch_pages(&b, AT, 3000, true);
    push_out(&b, AT, 3000);
    assert_int_equal(swp_offset(entry_at(&b, AT + 2999 * K)), 3000);
    mm_munmap(b.mm, va(AT + 100 * K), 100 * K);
    mm_munmap(b.mm, va(AT + 1000 * K), 100 * K);
    touch_pages(&b, AT + 3000 * K, 400, true);
    push_out(&b, AT + 3000 * K, 400);
    for (unsigned i = 0; i < ARRAY_LEN(seen); i++)
        assert_int_equal(swp_offset(entry_at(&b, AT + (3000 + seen[i].page) * K)), seen[i].slot);
    swap_box_close(&b);
}

/* setup_clusters of 6.18: a last cluster that the area's end cuts off counts as used in part, so it
 * comes before the clusters that are empty. */
static void a_last_cluster_cut_off_is_filled_after_the_first(void **state)
{
    (void)state;
    struct box b;
    swap_box(&b, MIB(64), (1024 + 8) * K, SWAP_SSD);
    map_anon(&b, AT, 520, RW);
    touch_pages(&b, AT, 520, true);
    push_out(&b, AT, 520);
    assert_int_equal(swp_offset(entry_at(&b, AT + 510 * K)), 511);
    assert_int_equal(swp_offset(entry_at(&b, AT + 511 * K)), 1024);
    assert_int_equal(swp_offset(entry_at(&b, AT + 518 * K)), 1031);
    assert_int_equal(swp_offset(entry_at(&b, AT + 519 * K)), 512);
    swap_box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_given_out_from_1_on_and_the_first_page_is_the_header),
        cmocka_unit_test(a_page_still_in_the_swap_cache_comes_back_with_a_minor_fault),
        cmocka_unit_test(
            reading_64_swapped_pages_in_order_from_a_disk_is_9_major_and_55_minor_faults),
        cmocka_unit_test(an_ssd_reads_neighbouring_addresses_not_slots),
        cmocka_unit_test(a_device_like_memory_reads_one_page_and_frees_its_slot),
        cmocka_unit_test(fork_lets_both_name_the_slot_and_neither_alone),
        cmocka_unit_test(unmapping_frees_the_slots_and_the_pages_of_the_swap_cache),
        cmocka_unit_test(shared_memory_goes_to_swap_without_entries_and_comes_back),
        cmocka_unit_test(pages_given_up_by_madv_free_are_dropped_if_clean_and_kept_if_written),
        cmocka_unit_test(madv_free_of_swapped_pages_frees_their_slots),
        cmocka_unit_test(willneed_reads_swapped_pages_ahead_without_a_fault),
        cmocka_unit_test(a_locked_page_never_goes),
        cmocka_unit_test(swapoff_brings_everything_back),
        cmocka_unit_test(swapoff_is_refused_when_promises_or_pages_need_the_area),
        cmocka_unit_test(a_read_frees_the_slot_when_swap_is_more_than_half_full),
        cmocka_unit_test(areas_are_filled_by_priority_and_equal_ones_take_turns),
        cmocka_unit_test(a_page_that_cannot_be_read_is_sigbus_and_keeps_its_slot),
        cmocka_unit_test(shared_memory_that_cannot_be_read_is_lost),
        cmocka_unit_test(swapoff_leaves_markers_where_it_could_not_read),
        cmocka_unit_test(an_area_larger_than_the_hosts_memory_is_refused_with_the_reason),
        cmocka_unit_test(a_slot_that_was_freed_is_used_again_when_no_cluster_is_empty),
        cmocka_unit_test(slots_freed_in_full_clusters_come_before_clusters_never_used),
        cmocka_unit_test(a_last_cluster_cut_off_is_filled_after_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
