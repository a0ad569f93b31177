/* test_space.c: several address spaces on the cores of one machine: what a switch leaves in the TLBs,
 * what a flush takes from other cores, what a page that two share costs the second.
 *
 * The numbers are closed forms of an array with true LRU whose sets fill evenly: 512 pages in a row are
 * four in each of the 128 sets of a second level of 12 ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/machines.h"
#include "sim/sim_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define AT    UINT64_C(0x10000000)
#define MANY  10u
#define PAGES 512u

struct world {
    struct sim *s;
    struct sim_thread *t[2];
    struct mm *mm[MANY];
};

static void map_space(struct mm *m, struct mm_file *f, uint64_t pages)
{
    struct mm_map map = {.addr = va(AT),
                         .len = pages * PAGE_SIZE,
                         .prot = PROT_READ | PROT_WRITE,
                         .flags = MAP_FIXED | (f ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
                         .file = f,
                         .file_writable = true};
    assert_int_equal(mm_mmap(m, &map), AT);
}

static void world_open_as(struct world *w, struct conf *conf, unsigned cores, bool pcid)
{
    conf->phys_size = MIB(256);
    conf->phys_kernel_image = MIB(1);
    conf->cpu_cores = cores;
    conf->mmu_pcid = pcid;
    assert_int_equal(sim_open(&w->s, conf), 0);
    for (unsigned i = 0; i < cores; i++) {
        w->t[i] = sim_thread_open(w->s);
        w->t[i]->starting = false;
        w->t[i]->core_id = i; /* where the scheduler would bring it when it has words */
        w->t[i]->core = &w->s->cores[i];
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(mm_open(&w->mm[i], w->s->mm_sys), 0);
    w->s->outbox.n = 0;
}

static void world_open(struct world *w, unsigned cores, bool pcid)
{
    struct conf conf;
    conf_init(&conf);
    conf.tlb_l2_entries = 1536;
    conf.tlb_l2_ways = 12;
    conf.tlb_l2_index = INDEX_LINEAR;
    conf.tlb_l2_policy = REPL_LRU;
    world_open_as(w, &conf, cores, pcid);
}

static void world_close(struct world *w)
{
    assert_int_equal(sim_audit(w->s), 0);
    for (unsigned i = 0; i < MANY; i++)
        mm_close(w->mm[i]);
    sim_close(w->s);
}

/* on lets a core run an address space. */
static void on(struct world *w, unsigned core, unsigned i)
{
    struct sim_proc p = {.mm = w->mm[i]}, *own = w->t[core]->proc;
    w->t[core]->proc = &p;
    space_switch(w->s, w->t[core]);
    w->t[core]->proc = own;
}

static void use(struct world *w, unsigned core, unsigned i, uint64_t page, bool store)
{
    struct mmu_event ev;
    struct arch_fault f;
    struct mm_verdict v;
    while (mmu_access(w->t[core]->core, va(AT + page * PAGE_SIZE), 8,
                      store ? ACCESS_STORE : ACCESS_LOAD, true, &ev, &f) != 0) {
        mm_fault(w->mm[i], &f, &v);
        assert_int_equal(v.signal, 0);
        sim_drain(w->s, w->t[core]);
    }
}

/* walks switches to a space, loads its pages, and returns the walks that took. */
static uint64_t walks(struct world *w, unsigned core, unsigned i, uint64_t pages)
{
    uint64_t before = STAT(&w->s->stats, dtlb_load_walk);
    on(w, core, i);
    for (uint64_t p = 0; p < pages; p++)
        use(w, core, i, p, false);
    return STAT(&w->s->stats, dtlb_load_walk) - before;
}

/* rounds lets n spaces take turns, twice to warm up, and returns the walks of one round more. */
static uint64_t rounds(struct world *w, unsigned n, uint64_t pages)
{
    uint64_t sum = 0;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < n; i++) {
            uint64_t now = walks(w, 0, i, pages);
            sum += round == 2 ? now : 0;
        }
    return sum;
}

static void map_all(struct world *w, uint64_t pages)
{
    for (unsigned i = 0; i < MANY; i++) {
        map_space(w->mm[i], NULL, pages);
        on(w, 0, i);
        for (uint64_t p = 0; p < pages; p++)
            use(w, 0, i, p, true);
    }
}

static void spaces_that_fit_together_miss_nothing_after_a_switch_and_all_without_pcid(void **state)
{
    (void)state;
    for (unsigned pcid = 0; pcid < 2; pcid++) {
        struct world w;
        world_open(&w, 1, pcid);
        map_all(&w, PAGES);
        for (unsigned n = 2; n <= 3; n++) /* 3 × 4 entries fill the 12 ways of every set */
            assert_int_equal(rounds(&w, n, PAGES), pcid ? 0 : n * PAGES);
        world_close(&w);
    }
}

static void one_space_more_than_the_ways_hold_misses_everything(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, 1, true);
    map_all(&w, PAGES);
    assert_int_equal(rounds(&w, 4, PAGES), 4 * PAGES);
    world_close(&w);
}

static void more_than_six_spaces_recycle_identifiers_though_entries_would_fit(void **state)
{
    (void)state;
    for (unsigned n = 2; n <= MANY; n++) {
        struct world w;
        world_open(&w, 1, true);
        map_all(&w, 8);
        assert_int_equal(rounds(&w, n, 8), n <= TLB_NR_DYN_ASIDS ? 0 : 8 * n);
        world_close(&w);
    }
}

/* -- the machines of machines/, as they are ------------------------------------------------------ */

static const char *const presets[] = {"golden-cove", "skylake-sp", "zen4"};

static void preset_open(struct world *w, const char *name, bool pcid)
{
    struct conf conf;
    char err[256], note[256];
    conf_init(&conf);
    if (machines_load(&conf, "machines", name, note, sizeof(note), err, sizeof(err)) < 0 ||
        conf_set(&conf, "kernel.kpti", "off", err, sizeof(err)) < 0)
        fail_msg("%s", err);
    world_open_as(w, &conf, 1, pcid);
}

/* Two processes fill all but two ways of each set: pages in a row are as many in each, xor-ed or not. */
static void on_every_preset_two_that_fit_miss_nothing_with_pcids_and_all_without(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * ARRAY_LEN(presets); i++) {
        struct world w;
        preset_open(&w, presets[i / 2], i % 2);
        const struct conf *c = &w.s->conf;
        uint64_t pages = (c->tlb_l2_ways / 2 - 1) * (c->tlb_l2_entries / c->tlb_l2_ways);
        map_all(&w, pages);
        assert_int_equal(rounds(&w, 2, pages), i % 2 ? 0 : 2 * pages);
        world_close(&w);
    }
}

/* As many keep theirs as there are PCIDs the second level keeps (TLB;DR: 4), and ASIDs (Linux: 6). */
static void on_every_preset_more_than_its_identifiers_recycle(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(presets); i++)
        for (unsigned n = 2; n <= MANY; n++) {
            struct world w;
            preset_open(&w, presets[i], true);
            unsigned fit = strcmp(presets[i], "skylake-sp") == 0 ? 4 : TLB_NR_DYN_ASIDS;
            map_all(&w, 8);
            assert_int_equal(rounds(&w, n, 8), n <= fit ? 0 : 8 * n);
            world_close(&w);
        }
}

static uint64_t stlb_hits(struct world *w, unsigned n, uint64_t pages)
{
    rounds(w, n, pages);
    uint64_t before = STAT(&w->s->stats, dtlb_load_stlb_hit);
    for (unsigned i = 0; i < n; i++)
        walks(w, 0, i, pages);
    return STAT(&w->s->stats, dtlb_load_stlb_hit) - before;
}

/* Skylake's first level keeps the entries of nobody but the current PCID: each page is a hit of the second
 * level after a switch. The others keep both. */
static void on_skylake_the_first_level_begins_anew_after_a_switch(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(presets); i++) {
        struct world w;
        preset_open(&w, presets[i], true);
        map_all(&w, 8);
        assert_int_equal(stlb_hits(&w, 2, 8), strcmp(presets[i], "skylake-sp") == 0 ? 16 : 0);
        world_close(&w);
    }
}

static void an_unmap_on_one_core_reaches_the_other_which_loses_time(void **state)
{
    (void)state;
    struct world w;
    struct mmu_event ev;
    struct arch_fault f;
    world_open(&w, 2, true);
    map_all(&w, 4);
    for (unsigned core = 0; core < 2; core++)
        assert_int_equal(walks(&w, core, 0, 4), 4);
    assert_int_equal(walks(&w, 1, 0, 4), 0);
    assert_int_equal(mm_munmap(w.mm[0], va(AT), PAGE_SIZE), 0);
    w.s->cpu[1].runs = w.t[1];
    uint64_t waited = sim_drain(w.s, w.t[0]);
    const struct conf *c = &w.s->conf;
    assert_true(waited >= c->cost_ipi + c->cost_invlpg);
    assert_int_equal(STAT(&w.s->stats, nr_tlb_remote_flush_received), 1);
    assert_int_equal(mmu_access(w.t[1]->core, va(AT), 8, ACCESS_LOAD, true, &ev, &f),
                     1); /* it is gone */
    assert_int_equal(STAT(&w.s->stats, kernel_cycles_ipi), c->cost_ipi_receive + c->cost_invlpg);
    world_close(&w);
}

static void the_second_process_only_fills_its_entry_of_a_shared_page(void **state)
{
    (void)state;
    struct world w;
    struct mm_file *f;
    struct mm_counters before, after;
    world_open(&w, 1, true);
    assert_int_equal(mm_memfd(w.s->mm_sys, "shared", 0, &f), 0);
    assert_int_equal(mm_ftruncate(w.s->mm_sys, f, 64 * PAGE_SIZE), 0);
    for (unsigned i = 0; i < 2; i++) {
        map_space(w.mm[i], f, 64);
        on(&w, 0, i);
        use(&w, 0, i, 40, true); /* tables are there, and its neighbours' entries not yet */
    }
    on(&w, 0, 0);
    use(&w, 0, 0, 3, true);
    uint64_t frames = phys_owner_frames(w.s->phys, FRAME_SHMEM);
    uint64_t tables = phys_owner_frames(w.s->phys, FRAME_PAGE_TABLE);
    mm_counters(w.mm[1], &before);
    on(&w, 0, 1);
    use(&w, 0, 1, 3, true);
    mm_counters(w.mm[1], &after);
    assert_int_equal(after.minflt - before.minflt, 1);
    assert_int_equal(after.majflt - before.majflt, 0);
    assert_int_equal(phys_owner_frames(w.s->phys, FRAME_SHMEM), frames);
    assert_int_equal(phys_owner_frames(w.s->phys, FRAME_PAGE_TABLE), tables);
    vaddr a = va(AT + 3 * PAGE_SIZE);
    assert_int_equal(pte_pfn(*pt_lookup(mm_pt(w.mm[0]), a, 0)).v,
                     pte_pfn(*pt_lookup(mm_pt(w.mm[1]), a, 0)).v);
    for (unsigned i = 0; i < 2; i++)
        mm_munmap(w.mm[i], va(AT), 64 * PAGE_SIZE);
    sim_drain(w.s, w.t[0]);
    mm_file_put(w.s->mm_sys, f);
    world_close(&w);
}

static void a_space_that_ended_leaves_nobody_on_its_tables(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, 2, true);
    map_all(&w, 4);
    on(&w, 0, 5);
    on(&w, 1, 5);
    enter_lazy_tlb(&w.s->tlb, 1);
    mm_close(w.mm[5]);
    sim_drain(w.s, w.t[0]);
    for (unsigned core = 0; core < 2; core++)
        assert_ptr_equal(w.s->tlb.cpu[core].loaded_mm, &w.s->tlb.init_mm);
    assert_int_equal(mm_open(&w.mm[5], w.s->mm_sys), 0);
    map_space(w.mm[5], NULL, 4);
    assert_int_equal(walks(&w, 0, 5, 4), 4);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spaces_that_fit_together_miss_nothing_after_a_switch_and_all_without_pcid),
        cmocka_unit_test(one_space_more_than_the_ways_hold_misses_everything),
        cmocka_unit_test(more_than_six_spaces_recycle_identifiers_though_entries_would_fit),
        cmocka_unit_test(an_unmap_on_one_core_reaches_the_other_which_loses_time),
        cmocka_unit_test(on_every_preset_two_that_fit_miss_nothing_with_pcids_and_all_without),
        cmocka_unit_test(on_every_preset_more_than_its_identifiers_recycle),
        cmocka_unit_test(on_skylake_the_first_level_begins_anew_after_a_switch),
        cmocka_unit_test(the_second_process_only_fills_its_entry_of_a_shared_page),
        cmocka_unit_test(a_space_that_ended_leaves_nobody_on_its_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
