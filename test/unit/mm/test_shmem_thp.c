/* Huge pages of files in memory. Expectations are the rules of Linux 6.18 (mm/khugepaged.c collapse_file,
 * mm/memory.c do_set_pmd, mm/huge_memory.c __folio_split, mm/truncate.c) and what a probe saw on the
 * running 6.18.44: a memfd of four huge pages, three pages of the first written, MADV_COLLAPSE. */
#include "unit/mm/mm_fixture.h"

#include "mm/view.h"

#define A        UINT64_C(0x200000000000)
#define FAR      (UINT64_C(1) << 40)
#define HP       UINT64_C(512)
#define M2       MIB(2)
#define COLLAPSE 25

static struct box b;
static struct mm_file *f;

static void open_with(bool contents)
{
    box_conf(&b, MIB(256));
    b.conf.phys_contents = contents;
    box_start(&b);
    assert_int_equal(mm_memfd(b.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, 4 * M2), 0);
}

static int set_up(void **state)
{
    (void)state;
    open_with(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mm_file_put(b.sys, f);
    box_close(&b);
    return 0;
}

static void map_file(uint64_t at, uint64_t pages, uint32_t flags, uint64_t pgoff)
{
    assert_int_equal(map_full(&b, at, pages * K, RW, flags | MAP_FIXED, f, pgoff * K), at);
}

static uint64_t node_stat(enum node_stat_item item)
{
    struct mm_node_stat s;
    mm_node_stats(b.sys, 0, &s);
    return s.v[item];
}

/* level_at returns the level of the entry that maps an address, or -1. */
static int level_at(const struct mm *m, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(m), va(a), &level);
    return e && pte_present(*e) ? (int)level : -1;
}

static const struct frame *frame_at(uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b.mm), va(a), &level);
    assert_non_null(e);
    return phys_frame(b.phys, (pfn){pte_leaf_pfn(*e, level).v + (level ? a / K % HP : 0)});
}

static void put(uint64_t a, uint8_t value)
{
    assert_int_equal(mm_copy_to_user(b.mm, va(a), &value, 1), 1);
}

static uint8_t get(uint64_t a)
{
    uint8_t value = 0;
    assert_int_equal(mm_copy_from_user(b.mm, &value, va(a), 1), 1);
    return value;
}

/* collapsed maps the file at A and makes its first 2 MiB huge, of which three pages were written. */
static void collapsed(void)
{
    map_file(A, 4 * HP, MAP_SHARED, 0);
    put(A, 1);
    put(A + 100 * K, 2);
    put(A + 511 * K, 3);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(level_at(b.mm, A), 1);
}

static void a_collapse_keeps_the_bytes_and_fills_the_holes(void **state)
{
    (void)state;
    uint64_t shmem = node_stat(NODE_nr_shmem);
    collapsed();
    assert_int_equal(get(A), 1);
    assert_int_equal(get(A + 100 * K), 2);
    assert_int_equal(get(A + 200 * K), 0);
    assert_int_equal(get(A + 511 * K), 3);
    assert_int_equal(node_stat(NODE_nr_shmem) - shmem, HP);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], HP);
    assert_int_equal(node_stat(NODE_nr_shmem_hugepages), HP);
    assert_int_equal(node_stat(NODE_nr_shmem_pmdmapped), HP);
    assert_int_equal(STAT(&b.stats, thp_file_mapped), 1);
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc), 1);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), HP);
}

static void the_table_goes_and_none_is_put_aside(void **state)
{
    (void)state;
    map_file(A, 4 * HP, MAP_SHARED, 0);
    put(A, 1);
    uint64_t with = counters(&b).pte_bytes;
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(counters(&b).pte_bytes, with - K); /* the probe: VmPTE 60 to 56 kB */
}

static void an_empty_range_is_refused_after_the_allocation(void **state)
{
    (void)state;
    map_file(A, 4 * HP, MAP_SHARED, 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), -EINVAL); /* SCAN_TRUNCATED */
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc), 1);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 0);
}

static void without_memory_for_a_huge_page_it_is_ENOMEM(void **state)
{
    (void)state;
    map_file(A, HP, MAP_SHARED, 0);
    put(A, 1);
    phys_fail_every(b.phys, 1);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), -ENOMEM);
    phys_fail_every(b.phys, 0);
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc_failed), 1);
    assert_int_equal(get(A), 1);
}

static void unwanted_or_misplaced_huge_pages_are_EINVAL(void **state)
{
    (void)state;
    map_file(A, HP, MAP_SHARED, 0);
    map_file(A + FAR + K, 2 * HP, MAP_SHARED, 0); /* 2 MiB of the file lie across two tables */
    put(A, 1);
    assert_int_equal(mm_madvise(b.mm, va(A + FAR + K), 2 * M2, COLLAPSE), -EINVAL);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_NOHUGEPAGE), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), -EINVAL);
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc), 0);
}

static void a_second_mapping_of_it_needs_one_fault_and_no_table(void **state)
{
    (void)state;
    collapsed();
    map_file(A + FAR, HP, MAP_SHARED, 0);
    assert_int_equal(touch_pages(&b, A + FAR, HP, false), 1);
    assert_int_equal(level_at(b.mm, A + FAR), 1);
    map_file(A + 2 * FAR, HP, MAP_SHARED, 0);
    assert_int_equal(touch_pages(&b, A + 2 * FAR + 5 * K, 1, true), 1);
    assert_int_equal(touch_pages(&b, A + 2 * FAR, HP, true), 0);
    map_file(A + 3 * FAR, HP, MAP_SHARED, 0);
    assert_int_equal(mm_madvise(b.mm, va(A + 3 * FAR), M2, COLLAPSE), 0); /* nothing to copy */
    assert_int_equal(level_at(b.mm, A + 3 * FAR), 1);
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc), 1);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 4 * HP);
    assert_int_equal(node_stat(NODE_nr_shmem_pmdmapped), HP);
}

static void others_lose_their_tables_and_fault_it_in(void **state)
{
    (void)state;
    struct mm *child;
    map_file(A, HP, MAP_SHARED, 0);
    map_file(A + FAR, HP, MAP_SHARED, 0);
    put(A, 1);
    touch_pages(&b, A + FAR, 1, false);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    struct box in_child = b;
    in_child.mm = child;
    touch_pages(&in_child, A, 1, false);
    uint64_t tables = counters(&b).pte_bytes + counters(&in_child).pte_bytes;
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(counters(&b).pte_bytes + counters(&in_child).pte_bytes, tables - 3 * K);
    assert_int_equal(level_at(b.mm, A + FAR), -1);
    assert_int_equal(level_at(child, A), -1);
    assert_int_equal(touch_pages(&in_child, A + 9 * K, 1, false), 1);
    assert_int_equal(level_at(child, A), 1);
    mm_close(child);
}

static void a_mapping_that_it_does_not_fit_maps_its_pages_around_the_fault(void **state)
{
    (void)state;
    collapsed();
    map_file(A + FAR + 7 * K, HP, MAP_SHARED, 0); /* the probe: pages 9 to 24 of the mapping */
    assert_int_equal(touch_pages(&b, A + FAR + 27 * K, 1, false), 1);
    assert_int_equal(level_at(b.mm, A + FAR + 15 * K), -1);
    assert_int_equal(level_at(b.mm, A + FAR + 16 * K), 0);
    assert_int_equal(level_at(b.mm, A + FAR + 31 * K), 0);
    assert_int_equal(level_at(b.mm, A + FAR + 32 * K), -1);
    assert_int_equal(touch_pages(&b, A + FAR + 307 * K, 1, true), 1);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], HP + 17);
}

static void where_huge_pages_are_unwanted_one_fault_maps_512_entries(void **state)
{
    (void)state;
    collapsed();
    map_file(A + FAR, HP, MAP_SHARED, 0);
    assert_int_equal(mm_madvise(b.mm, va(A + FAR), M2, MADV_NOHUGEPAGE), 0);
    assert_int_equal(touch_pages(&b, A + FAR + 20 * K, 1, false), 1);
    assert_int_equal(touch_pages(&b, A + FAR, HP, false), 0);
    assert_int_equal(level_at(b.mm, A + FAR), 0);
    map_file(A + FAR, HP, MAP_SHARED, 0);
    assert_int_equal(mm_madvise(b.mm, va(A + FAR), M2, MADV_NOHUGEPAGE), 0);
    assert_int_equal(touch_pages(&b, A + FAR + 20 * K, 1, true), 1);
    assert_int_equal(touch_pages(&b, A + FAR, HP, true), 0);
}

static void a_write_to_a_private_mapping_copies_one_page(void **state)
{
    (void)state;
    collapsed();
    map_file(A + FAR, HP, MAP_PRIVATE, 0);
    assert_int_equal(touch_pages(&b, A + FAR, HP, false), 1);
    assert_int_equal(level_at(b.mm, A + FAR), 1);
    put(A + FAR + 100 * K, 9);
    assert_int_equal(level_at(b.mm, A + FAR), -1); /* the entry went, the rest comes by faults */
    assert_int_equal(level_at(b.mm, A + FAR + 100 * K), 0);
    assert_int_equal(get(A + FAR + 100 * K), 9);
    assert_int_equal(get(A + 100 * K), 2);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 1);
    assert_int_equal(touch_pages(&b, A + FAR, HP, false), 1);
    assert_int_equal(mm_madvise(b.mm, va(A + FAR), M2, COLLAPSE), -EINVAL); /* a page of its own */
}

static void fork_does_not_copy_the_entry(void **state)
{
    (void)state;
    struct mm *child;
    collapsed();
    map_file(A + FAR, 2 * HP, MAP_PRIVATE, 0);
    touch_pages(&b, A + FAR, 1, false);
    put(A + FAR + M2, 7); /* so that the mapping is copied */
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(level_at(child, A + FAR), -1);
    assert_int_equal(level_at(child, A + FAR + M2), 0);
    assert_int_equal(level_at(b.mm, A + FAR), 1);
    mm_close(child);
}

static void unmapping_a_part_clears_the_entry_and_leaves_the_folio(void **state)
{
    (void)state;
    collapsed();
    assert_int_equal(mm_munmap(b.mm, va(A + 50 * K), K), 0);
    assert_int_equal(STAT(&b.stats, thp_split_pmd), 1);
    assert_int_equal(STAT(&b.stats, thp_split_page), 0);
    assert_int_equal(level_at(b.mm, A), -1);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 0);
    assert_int_equal(node_stat(NODE_nr_shmem_hugepages), HP);
    assert_int_equal(node_stat(NODE_nr_shmem_pmdmapped), 0);
    assert_int_equal(touch_pages(&b, A, 1, false), 1); /* the probe: pages 0 to 15 */
    assert_int_equal(level_at(b.mm, A + 15 * K), 0);
    assert_int_equal(level_at(b.mm, A + 16 * K), -1);
}

static void whole_entries_change_rights_and_move(void **state)
{
    (void)state;
    collapsed();
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, PROT_READ), 0);
    assert_int_equal(level_at(b.mm, A), 1);
    assert_int_equal(touch(&b, A, true).signal, SIGSEGV);
    assert_int_equal(mm_mprotect(b.mm, va(A), M2, RW), 0);
    assert_int_equal(touch_pages(&b, A, 1, true), 0); /* shared memory is writable at once */
    assert_int_equal(
        mm_mremap(b.mm, va(A), M2, M2, MREMAP_MAYMOVE | MREMAP_FIXED, va(A + FAR), false), A + FAR);
    assert_int_equal(level_at(b.mm, A + FAR), 1);
    assert_int_equal(
        mm_mremap(b.mm, va(A + FAR), 8 * K, 8 * K, MREMAP_MAYMOVE | MREMAP_FIXED, va(A), false), A);
    assert_int_equal(level_at(b.mm, A), -1);
    assert_int_equal(STAT(&b.stats, thp_split_pmd), 1);
}

/* pieces writes the order of the folio that has each page, one row per folio. */
static const char *pieces(uint64_t at, uint64_t pages)
{
    static char text[400];
    text[0] = '\0';
    for (uint64_t i = 0; i < pages;) {
        pfn n;
        size_t len = strlen(text);
        if (level_at(b.mm, at + i * K) < 0) {
            i++;
            continue;
        }
        n.v = (uint64_t)(frame_at(at + i * K) - phys_frame(b.phys, (pfn){0}));
        const struct frame *fr = phys_frame(b.phys, n);
        snprintf(text + len, sizeof(text) - len, "%llu:%u ", (unsigned long long)i, fr->order);
        i += BIT(fr->order);
    }
    return text;
}

static void touch_all(uint64_t at, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++)
        touch(&b, at + i * K, false);
}

static void a_hole_splits_only_around_its_ends(void **state)
{
    (void)state;
    collapsed();
    assert_int_equal(mm_fallocate_punch(b.sys, f, 100 * K, 30 * K), 0);
    assert_int_equal(level_at(b.mm, A), -1);
    assert_int_equal(STAT(&b.stats, thp_split_page), 1);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), HP - 30);
    assert_int_equal(node_stat(NODE_nr_shmem_hugepages), 0);
    touch_all(A, 100);
    touch_all(A + 130 * K, HP - 130);
    /* the probe's heads and tails: 0+64, 64+32, 96+4 | 130 131, 132+4, 136+8, 144+16, 160+32 … */
    assert_string_equal(pieces(A, HP),
                        "0:6 64:5 96:2 130:0 131:0 132:2 136:3 144:4 160:5 192:6 256:8 ");
    assert_int_equal(get(A + 511 * K), 3);
    assert_int_equal(get(A + 100 * K), 0);
}

static void a_new_end_in_the_middle_splits_and_clears(void **state)
{
    (void)state;
    collapsed();
    put(A + 37 * K + 4, 8);
    put(A + 37 * K + 5, 9);
    assert_int_equal(mm_ftruncate(b.sys, f, 37 * K + 5), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 38);
    touch_all(A, 38);
    assert_string_equal(pieces(A, HP), "0:5 32:2 36:0 37:0 "); /* the probe's */
    assert_int_equal(get(A + 37 * K + 4), 8);
    assert_int_equal(get(A + 37 * K + 5), 0);
    assert_int_equal(touch(&b, A + 38 * K, false).signal, SIGBUS);
}

static void a_hole_of_all_of_it_frees_it_whole(void **state)
{
    (void)state;
    collapsed();
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_REMOVE), 0);
    assert_int_equal(STAT(&b.stats, thp_split_page), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 0);
    assert_int_equal(get(A), 0);
}

static void pieces_are_collapsed_again(void **state)
{
    (void)state;
    collapsed();
    assert_int_equal(mm_fallocate_punch(b.sys, f, 100 * K, 30 * K), 0);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0); /* the probe: 0 */
    assert_int_equal(level_at(b.mm, A), 1);
    assert_int_equal(get(A), 1);
    assert_int_equal(get(A + 511 * K), 3);
    assert_int_equal(get(A + 100 * K), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), HP);
}

static void memory_behind_the_end_of_the_file_can_be_reached(void **state)
{
    (void)state;
    assert_int_equal(mm_ftruncate(b.sys, f, 5 * K), 0);
    map_file(A, HP, MAP_SHARED, 0);
    put(A, 1);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(get(A + 300 * K),
                     0); /* finish_fault: "intentionally mapped with PMDs across i_size" */
    assert_int_equal(mm_munmap(b.mm, va(A + 511 * K), K), 0);
    assert_int_equal(touch(&b, A + 5 * K, false).signal, SIGBUS);
}

static void it_is_locked_as_a_whole(void **state)
{
    (void)state;
    collapsed();
    assert_int_equal(mm_mlock(b.mm, va(A), M2, 0), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(NODE_nr_unevictable), HP);
    assert_int_equal(mm_munlock(b.mm, va(A), M2), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(node_stat(NODE_nr_unevictable), 0);
}

static void a_segment_of_shared_memory_is_collapsed_too(void **state)
{
    (void)state;
    int id = mm_shmget(b.mm, 0 /* IPC_PRIVATE */, 2 * M2, 0600);
    assert_true(id >= 0);
    assert_int_equal(mm_shmat(b.mm, id, va(A), 0, false), A);
    put(A + M2, 5);
    assert_int_equal(mm_madvise(b.mm, va(A + M2), M2, COLLAPSE), 0);
    assert_int_equal(level_at(b.mm, A + M2), 1);
    assert_int_equal(get(A + M2), 5);
    assert_int_equal(mm_shmdt(b.mm, va(A)), 0);
    assert_int_equal(mm_shmat(b.mm, id, va(A), 0, false), A);
    assert_int_equal(touch_pages(&b, A + M2, HP, true), 1);
    assert_int_equal(mm_shmdt(b.mm, va(A)), 0);
    assert_int_equal(mm_shmctl(b.mm, id, 0 /* IPC_RMID */, NULL), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_SHMEM), 0);
}

static void what_was_not_promised_is_charged(void **state)
{
    (void)state;
    uint64_t before = mm_committed(b.sys);
    collapsed(); /* a memfd is charged page by page */
    assert_int_equal(mm_committed(b.sys) - before, HP);
    assert_int_equal(mm_fallocate_punch(b.sys, f, 0, 4 * M2), 0);
    assert_int_equal(mm_committed(b.sys), before);
}

/* open_enabled begins anew with thp.shmem_enabled. */
static void open_enabled(const char *word)
{
    mm_file_put(b.sys, f);
    box_close(&b);
    box_conf(&b, MIB(256));
    b.conf.phys_contents = true;
    assert_int_equal(conf_set(&b.conf, "thp.shmem_enabled", word, NULL, 0), 0);
    box_start(&b);
    assert_int_equal(mm_memfd(b.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(b.sys, f, 2 * M2 + 3 * K), 0);
}

/* Numbers of the next three: a probe on 6.18.44 with shmem_enabled set. */
static void a_touch_makes_a_huge_page_where_shmem_enabled_says_so(void **state)
{
    (void)state;
    open_enabled("within_size");
    map_file(A, 4 * HP, MAP_SHARED, 0);
    assert_int_equal(touch_pages(&b, A + 5 * K, 1, true), 1);
    assert_int_equal(level_at(b.mm, A), 1);
    assert_int_equal(STAT(&b.stats, thp_file_alloc), 1);
    assert_int_equal(touch_pages(&b, A + 2 * M2 + K, 1, true), 1); /* the tail of the file */
    assert_int_equal(level_at(b.mm, A + 2 * M2 + K), 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], HP + 1);
    open_enabled("always");
    map_file(A, 4 * HP, MAP_SHARED, 0);
    assert_int_equal(touch_pages(&b, A + 2 * M2 + K, 1, false), 1);
    assert_int_equal(level_at(b.mm, A + 2 * M2 + K), 1);
    map_file(A + FAR, HP, MAP_PRIVATE, 0);
    assert_int_equal(touch_pages(&b, A + FAR + K, 1, true), 1); /* private write: RssAnon 4 kB */
    assert_int_equal(level_at(b.mm, A + FAR + K), 0);
    assert_int_equal(STAT(&b.stats, thp_file_alloc), 2);
    open_enabled("advise");
    map_file(A, HP, MAP_SHARED, 0);
    assert_int_equal(touch_pages(&b, A, 1, true), 1);
    assert_int_equal(level_at(b.mm, A), 0);
}

static void mappings_of_it_are_placed_where_huge_pages_fit(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        static const char *const words[] = {"always", "force", "never"};
        open_enabled(words[i]);
        map_full(&b, 0, 7 * K, RW, MAP_SHARED | MAP_ANONYMOUS, NULL,
                 0); /* so that the next is not */
        int64_t a = map_full(&b, 0, 2 * M2, RW, MAP_SHARED, f, 0);
        int64_t c = map_full(&b, 0, 2 * M2, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
        assert_int_equal(a % (int64_t)M2 == 0 && c % (int64_t)M2 == 0, i < 2);
    }
}

static void without_memory_for_it_a_touch_falls_back(void **state)
{
    (void)state;
    open_enabled("always");
    map_file(A, 2 * HP, MAP_SHARED, 0);
    touch(&b, A, true);
    phys_fail_every(b.phys, 3);
    phys_fails(b.phys);
    phys_fails(b.phys); /* the next one fails: the huge page; its single page and table do not */
    assert_int_equal(touch_pages(&b, A + M2, 1, true), 1);
    phys_fail_every(b.phys, 0);
    assert_int_equal(level_at(b.mm, A + M2), 0);
    assert_int_equal(STAT(&b.stats, thp_file_alloc), 1);
    assert_int_equal(STAT(&b.stats, thp_file_fallback), 1);
}

static void deny_forbids_a_collapse(void **state)
{
    (void)state;
    open_enabled("deny");
    map_file(A, HP, MAP_SHARED, 0);
    put(A, 1);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), -EINVAL);
}

static void without_swap_PAGEOUT_only_unmaps_it(void **state)
{
    (void)state;
    collapsed();
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_PAGEOUT), 0);
    assert_int_equal(level_at(b.mm, A), -1);
    assert_int_equal(STAT(&b.stats, thp_split_page), 0); /* shmem_writeout: no total_swap_pages */
    assert_int_equal(touch_pages(&b, A, 1, false), 1);
    assert_int_equal(level_at(b.mm, A), 1);
}

static void khugepaged_collapses_where_shmem_enabled_lets_it(void **state)
{
    (void)state;
    open_enabled("advise");
    map_file(A, HP, MAP_SHARED, 0);
    put(A, 1);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, MADV_HUGEPAGE), 0);
    mm_tick(b.sys, 0);
    mm_tick(b.sys, 10000);
    mm_tick(b.sys, 20000);
    assert_int_equal(STAT(&b.stats, thp_collapse_alloc), 1);
    assert_int_equal(level_at(b.mm, A),
                     -1); /* collapse_file: the table goes, nothing is filled in */
    assert_int_equal(touch_pages(&b, A, 1, false), 1);
    assert_int_equal(level_at(b.mm, A), 1);
}

static void the_probe_is_the_same_without_contents(void **state)
{
    mm_file_put(b.sys, f);
    box_close(&b);
    open_with(false);
    map_file(A, 4 * HP, MAP_SHARED, 0);
    touch(&b, A, true);
    assert_int_equal(mm_madvise(b.mm, va(A), M2, COLLAPSE), 0);
    assert_int_equal(level_at(b.mm, A), 1);
    (void)state;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_collapse_keeps_the_bytes_and_fills_the_holes),
        TEST(the_table_goes_and_none_is_put_aside),
        TEST(an_empty_range_is_refused_after_the_allocation),
        TEST(without_memory_for_a_huge_page_it_is_ENOMEM),
        TEST(unwanted_or_misplaced_huge_pages_are_EINVAL),
        TEST(a_second_mapping_of_it_needs_one_fault_and_no_table),
        TEST(others_lose_their_tables_and_fault_it_in),
        TEST(a_mapping_that_it_does_not_fit_maps_its_pages_around_the_fault),
        TEST(where_huge_pages_are_unwanted_one_fault_maps_512_entries),
        TEST(a_write_to_a_private_mapping_copies_one_page),
        TEST(fork_does_not_copy_the_entry),
        TEST(unmapping_a_part_clears_the_entry_and_leaves_the_folio),
        TEST(whole_entries_change_rights_and_move),
        TEST(a_hole_splits_only_around_its_ends),
        TEST(a_new_end_in_the_middle_splits_and_clears),
        TEST(a_hole_of_all_of_it_frees_it_whole),
        TEST(pieces_are_collapsed_again),
        TEST(memory_behind_the_end_of_the_file_can_be_reached),
        TEST(it_is_locked_as_a_whole),
        TEST(a_segment_of_shared_memory_is_collapsed_too),
        TEST(what_was_not_promised_is_charged),
        TEST(the_probe_is_the_same_without_contents),
        TEST(a_touch_makes_a_huge_page_where_shmem_enabled_says_so),
        TEST(mappings_of_it_are_placed_where_huge_pages_fit),
        TEST(without_memory_for_it_a_touch_falls_back),
        TEST(deny_forbids_a_collapse),
        TEST(without_swap_PAGEOUT_only_unmaps_it),
        TEST(khugepaged_collapses_where_shmem_enabled_lets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
