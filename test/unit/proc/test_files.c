/* Names of files, runs of words, and whole files of a small machine. */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "proc/files.h"

static void assert_resolves(const char *name, enum proc_file_id file, unsigned nid, uint32_t pid)
{
    struct proc_target t = {.file = PROC_FILE_NR};
    if (proc_resolve(name, &t) != 0)
        fail_msg("%s is not understood", name);
    assert_int_equal(t.file, file);
    assert_int_equal(t.nid, nid);
    assert_int_equal(t.pid, pid);
}

static void names_are_understood_as_linux_has_them(void **state)
{
    (void)state;
    assert_resolves("meminfo", PROC_MEMINFO, 0, 0);
    assert_resolves("/proc/meminfo", PROC_MEMINFO, 0, 0);
    assert_resolves("maps", PROC_PID_MAPS, 0, 0);
    assert_resolves("/proc/self/maps", PROC_PID_MAPS, 0, 0);
    assert_resolves("/proc/4194304/smaps", PROC_PID_SMAPS, 0, 4194304);
    assert_resolves("17/pagemap", PROC_PID_PAGEMAP, 0, 17);
    assert_resolves("node1/meminfo", PROC_NODE_MEMINFO, 1, 0);
    assert_resolves("/sys/devices/system/node/node63/numastat", PROC_NODE_NUMASTAT, 63, 0);
    assert_resolves("/sys/kernel/debug/extfrag/extfrag_index", PROC_EXTFRAG_INDEX, 0, 0);
    assert_resolves("numastat", PROC_NUMASTAT, 0, 0);
}

static void other_names_are_refused_untouched(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "/",           "/proc/",     "node/meminfo",
        "node1/maps", "node1",       "7/meminfo",  "/proc/7/",
        "7",          "meminfo/",    "../meminfo", "node99999999999/meminfo",
        "-1/maps",    "self/vmstat", "Meminfo"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct proc_target t = {.file = PROC_FILE_NR, .pid = 5};
        assert_int_equal(proc_resolve(bad[i], &t), -ENOENT);
        assert_int_equal(t.file, PROC_FILE_NR);
        assert_int_equal(t.pid, 5);
    }
}

static void a_target_says_where_linux_has_it(void **state)
{
    (void)state;
    char path[PROC_PATH_MAX];
    const struct proc_target node = {.file = PROC_NODE_VMSTAT, .nid = 12};
    const struct proc_target process = {.file = PROC_PID_STATM, .pid = 4321};
    assert_string_equal(proc_target_path(&node, path), "sys/devices/system/node/node12/vmstat");
    assert_string_equal(proc_target_path(&process, path), "proc/4321/statm");
}

/* -- runs ---------------------------------------------------------------------------------------- */

/* word_at looks a word up in the runs of a file: the naive way. */
static uint64_t word_at(const struct sink *out, uint64_t index)
{
    const struct proc_run *r = (const void *)out->data;
    for (size_t i = 0; i < out->len / sizeof *r; i++)
        if (index >= r[i].index && index < r[i].index + r[i].count)
            return r[i].word + (index - r[i].index) * r[i].step;
    return 0;
}

/* busy makes a machine with pages of many sorts, by chance. */
static void busy(struct box *b, struct rng *rng)
{
    box_open(b, MIB(64), false);
    for (int i = 0; i < 12; i++) {
        uint64_t at = GIB(1) + rng_below(rng, 64) * MIB(1);
        if (map_anon(b, at, 64, RW) < 0)
            continue;
        for (int k = 0; k < 20; k++)
            touch(b, at + rng_below(rng, 64) * K, rng_below(rng, 2));
    }
    touch(b, (uint64_t)map_full(b, 0, 8 * K, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0), true);
}

static void runs_of_frames_are_the_words_of_every_frame(void **state)
{
    (void)state;
    struct rng rng = {11};
    for (int round = 0; round < 3; round++) {
        struct box b;
        struct sink flags, count;
        busy(&b, &rng);
        struct proc_machine m = {&b.conf, b.phys, b.sys, &b.stats};
        sink_memory(&flags);
        sink_memory(&count);
        assert_int_equal(proc_put(&flags, &(struct proc_target){.file = PROC_KPAGEFLAGS}, &m, NULL),
                         0);
        assert_int_equal(proc_put(&count, &(struct proc_target){.file = PROC_KPAGECOUNT}, &m, NULL),
                         0);
        for (pfn n = {0}; n.v < phys_frames(b.phys); n.v++) {
            assert_int_equal(word_at(&flags, n.v), proc_pageflags_word(b.phys, n));
            assert_int_equal(word_at(&count, n.v), proc_pagecount_word(b.phys, n));
        }
        sink_close(&flags);
        sink_close(&count);
        box_close(&b);
    }
}

static void runs_of_pagemap_are_the_words_of_every_page(void **state)
{
    (void)state;
    struct rng rng = {12};
    struct box b;
    struct sink out;
    busy(&b, &rng);
    struct proc_machine m = {&b.conf, b.phys, b.sys, &b.stats};
    sink_memory(&out);
    assert_int_equal(proc_put(&out, &(struct proc_target){.file = PROC_PID_PAGEMAP}, &m, b.mm), 0);
    for (uint64_t a = GIB(1); a < GIB(1) + MIB(70); a += K)
        assert_int_equal(word_at(&out, a / K), proc_pagemap_word(b.mm, va(a)));
    sink_close(&out);
    box_close(&b);
}

/* -- whole files --------------------------------------------------------------------------------- */

static void every_file_can_be_made(void **state)
{
    (void)state;
    struct rng rng = {13};
    struct box b;
    busy(&b, &rng);
    struct proc_machine m = {&b.conf, b.phys, b.sys, &b.stats};
    for (int i = 0; i < PROC_FILE_NR; i++) {
        struct proc_target t = {.file = (enum proc_file_id)i};
        struct sink out;
        sink_memory(&out);
        assert_int_equal(proc_put(&out, &t, &m, b.mm), 0);
        assert_true(out.len > 0);
        assert_true(proc_file(t.file)->binary || out.data[out.len - 1] == '\n');
        assert_true(proc_file(t.file)->help[0] != '\0');
        sink_close(&out);
    }
    box_close(&b);
}

static void what_is_not_there_is_refused(void **state)
{
    (void)state;
    struct box b;
    struct sink out;
    box_open(&b, MIB(64), false);
    struct proc_machine m = {&b.conf, b.phys, b.sys, &b.stats};
    sink_memory(&out);
    assert_int_equal(
        proc_put(&out, &(struct proc_target){.file = PROC_NODE_MEMINFO, .nid = 1}, &m, NULL),
        -ESRCH);
    assert_int_equal(proc_put(&out, &(struct proc_target){.file = PROC_PID_MAPS}, &m, NULL),
                     -ESRCH);
    assert_int_equal(out.len, 0);
    sink_close(&out);
    box_close(&b);
}

/* -- swap: rules of smaps_pte_entry, pte_to_pagemap_entry and swap_show ---------------------------- */

static void open_with_swap(struct box *b)
{
    memset(b, 0, sizeof(*b));
    conf_init(&b->conf);
    b->conf.phys_size = MIB(64);
    b->conf.swap_size = MIB(16);
    assert_int_equal(arch_outbox_open(&b->out), 0);
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(mm_sys_open(&b->sys, &b->conf, b->phys, &b->stats, &b->out), 0);
    assert_int_equal(mm_open(&b->mm, b->sys), 0);
}

static void swapped_pages_are_told_as_such(void **state)
{
    (void)state;
    struct box b;
    struct proc_smaps s;
    struct proc_status status;
    open_with_swap(&b);
    uint64_t at = (uint64_t)map_anon(&b, GIB(1), 16, RW);
    touch_pages(&b, at, 16, true);
    assert_int_equal(mm_madvise(b.mm, va(at), 8 * K, MADV_PAGEOUT), 0);
    proc_smaps_of(b.mm, mm_vma_at(b.mm, va(at)), &s);
    assert_int_equal(s.rss, 8 * K);
    assert_int_equal(s.swap, 8 * K);
    assert_int_equal(s.swap_pss >> PROC_PSS_SHIFT, 8 * K);
    proc_status_of(b.mm, &status);
    assert_int_equal(status.swap, 32);
    for (unsigned i = 0; i < 8; i++) { /* slot 0 holds the header; type 0 is the first area */
        uint64_t word = proc_pagemap_word(b.mm, va(at + i * K));
        assert_int_equal(word & (PM_SWAP | PM_PRESENT | PM_FILE | PM_MMAP_EXCLUSIVE), PM_SWAP);
        assert_int_equal(word & 31, 0);
        assert_in_range((word & (BIT(55) - 1)) >> 5, 1, 4095);
    }
    box_close(&b);
}

/* A slot that two entries name is half of each: do_div(pss_delta, mapcount). */
static void a_slot_of_two_processes_is_half_of_each(void **state)
{
    (void)state;
    struct box b;
    struct mm *child;
    struct proc_smaps s;
    open_with_swap(&b);
    uint64_t at = (uint64_t)map_anon(&b, GIB(1), 8, RW);
    touch_pages(&b, at, 8, true);
    assert_int_equal(mm_madvise(b.mm, va(at), 8 * K, MADV_PAGEOUT), 0);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    proc_smaps_of(child, mm_vma_at(child, va(at)), &s);
    assert_int_equal(s.swap, 8 * K);
    assert_int_equal(s.swap_pss >> PROC_PSS_SHIFT, 4 * K);
    mm_close(child);
    box_close(&b);
}

/* shmem leaves its entry none: smaps counts it, SwapPss and VmSwap do not. */
static void swapped_shared_memory_counts_in_smaps_alone(void **state)
{
    (void)state;
    struct box b;
    struct proc_smaps s;
    struct proc_status status;
    open_with_swap(&b);
    uint64_t at = (uint64_t)map_full(&b, 0, 8 * K, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
    touch_pages(&b, at, 8, true);
    assert_int_equal(mm_madvise(b.mm, va(at), 4 * K, MADV_PAGEOUT), 0);
    proc_smaps_of(b.mm, mm_vma_at(b.mm, va(at)), &s);
    proc_status_of(b.mm, &status);
    assert_int_equal(s.swap, 4 * K);
    assert_int_equal(s.swap_pss, 0);
    assert_int_equal(status.swap, 0);
    assert_int_equal(proc_pagemap_word(b.mm, va(at)), 0);
    box_close(&b);
}

static void swaps_and_meminfo_agree(void **state)
{
    (void)state;
    struct box b;
    struct sink out;
    struct proc_nodes nodes;
    struct proc_meminfo i;
    open_with_swap(&b);
    uint64_t at = (uint64_t)map_anon(&b, GIB(1), 8, RW);
    touch_pages(&b, at, 8, true);
    assert_int_equal(mm_madvise(b.mm, va(at), 8 * K, MADV_PAGEOUT), 0);
    struct proc_machine m = {&b.conf, b.phys, b.sys, &b.stats};
    assert_int_equal(proc_nodes_open(&nodes, &m), 0);
    proc_meminfo_of(&m, &nodes, &i);
    assert_int_equal(i.v[PROC_MEM_SWAPTOTAL], 16384 - 4);
    assert_int_equal(i.v[PROC_MEM_SWAPFREE], 16384 - 4 - 32);
    assert_int_equal(i.v[PROC_MEM_COMMITTED_AS], 32);
    sink_memory(&out);
    assert_int_equal(proc_put(&out, &(struct proc_target){.file = PROC_SWAPS}, &m, NULL), 0);
    assert_non_null(strstr(out.data, "file\t\t16380\t\t32\t\t-"));
    sink_close(&out);
    proc_nodes_close(&nodes);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_understood_as_linux_has_them),
        cmocka_unit_test(other_names_are_refused_untouched),
        cmocka_unit_test(a_target_says_where_linux_has_it),
        cmocka_unit_test(runs_of_frames_are_the_words_of_every_frame),
        cmocka_unit_test(runs_of_pagemap_are_the_words_of_every_page),
        cmocka_unit_test(every_file_can_be_made),
        cmocka_unit_test(what_is_not_there_is_refused),
        cmocka_unit_test(swapped_pages_are_told_as_such),
        cmocka_unit_test(a_slot_of_two_processes_is_half_of_each),
        cmocka_unit_test(swapped_shared_memory_counts_in_smaps_alone),
        cmocka_unit_test(swaps_and_meminfo_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
