/* test_load.c: the same fault costs more under load, and every cycle more has a name.
 *
 * One thread writes to new pages of one mapping. All step costs but those looked at are zero, so that
 * fault_cycles is a product of a cost and one of the kernel's own counters (names of /proc/vmstat). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/thp.h"
#include "sim/sim_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CODE 0x400000u
#define DATA UINT64_C(0x10000000)
#define K4   0x1000u

struct machine {
    struct sim *sim;
    struct sim_thread *t;
};

static void no_costs(struct conf *c)
{
    conf_init(c);
    c->phys_size = MIB(64);
    c->phys_kernel_image = MIB(1);
    c->swap_size = MIB(256);
    c->cpu_cores = 1;
    c->thp_enabled = THP_NEVER;
    c->cpu_exposed_kernel = 0;
    c->cost_fault_entry = c->cost_vma_lookup = c->cost_alloc = c->cost_charge = c->cost_table = 0;
    c->cost_pte = c->cost_invlpg = c->cost_flush = c->cost_ipi = c->cost_zap = 0;
    c->cost_alloc_slow = c->cost_direct_reclaim = c->cost_reclaim = c->cost_writeback = 0;
    c->cost_compact = c->cost_swap_out = c->cost_swap_in = 0;
}

static void map(struct machine *x, uint64_t at, uint64_t bytes, uint32_t prot)
{
    struct mm_map m = {.addr = va(at),
                       .len = bytes,
                       .prot = prot,
                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                       .forced = true};
    assert_int_equal(mm_mmap(sim_mm(x->sim), &m), at);
}

static void start(struct machine *x, const struct conf *c)
{
    uint64_t w[4] = {event_control(EV_THREAD_START, 3), 7, 7, 0};
    struct ring_block *b = calloc(1, sizeof(*b) + 4);
    enum sim_stop stop;

    assert_int_equal(sim_open(&x->sim, c), 0);
    x->t = sim_thread_open(x->sim);
    map(x, CODE, K4, PROT_READ | PROT_EXEC);
    map(x, DATA, MIB(128), PROT_READ | PROT_WRITE);
    b->pc = CODE;
    b->insns = 1;
    b->code_bytes = 3;
    memcpy(b->data, "\3\x48\x89\x07", 4); /* mov [rdi],rax */
    assert_int_equal(sim_add_block(x->sim, 0, b), 0);
    free(b);
    assert_int_equal(sim_feed(x->sim, x->t, w, 4, true, &stop), 4);
}

static uint64_t fault_cycles(const struct machine *x)
{
    uint64_t n = 0;

    for (int i = STAT_fault_cycles_anon; i <= STAT_fault_cycles_bad; i++)
        n += sim_stats(x->sim)->v[i];
    return n;
}

/* Writes to one page; returns what its faults cost: the instruction's page may be gone, too. */
static uint64_t touch(struct machine *x, uint64_t page)
{
    uint64_t w[2] = {event_block(0), event_access(DATA + page * K4, 0, 3, true)};
    uint64_t before = fault_cycles(x);
    enum sim_stop stop;

    assert_int_equal(sim_feed(x->sim, x->t, w, 2, true, &stop), 2);
    return fault_cycles(x) - before;
}

/* Takes what is free, and some of what the watermarks keep back: kswapd, which runs between faults,
 * would leave them nothing to do. */
static void take_the_rest(struct machine *x)
{
    struct phys *p = x->sim->phys;
    pfn n;

    while (phys_owner_frames(p, FRAME_FREE) > 200 &&
           phys_alloc(p, 0, GFP_USER, FRAME_SLAB, &n) == 0)
        continue;
}

/* Touches 40 MiB of a machine of 64 MiB, and then 50 pages while nothing is free; returns all cycles of
 * faults. */
static uint64_t fill(struct machine *x)
{
    uint64_t cycles = 0, pages = MIB(40) / K4;

    for (uint64_t i = 0; i < pages; i++)
        cycles += touch(x, i);
    for (uint64_t i = pages; i < pages + 50; i++) {
        take_the_rest(x);
        cycles += touch(x, i);
    }
    return cycles;
}

static void every_page_reclaim_looks_at_for_a_fault_is_a_step_of_it(void **state)
{
    struct machine x;
    struct conf c;

    (void)state;
    no_costs(&c);
    c.cost_reclaim = 7;
    start(&x, &c);
    uint64_t cycles = fill(&x);
    const struct stat_set *s = sim_stats(x.sim);
    assert_true(STAT(s, pgscan_direct) > 0);
    assert_int_equal(cycles, 7 * STAT(s, pgscan_direct));
    sim_close(x.sim);
}

static void every_direct_reclaim_is_a_step_kswapd_is_none(void **state)
{
    struct machine x;
    struct conf c;

    (void)state;
    no_costs(&c);
    c.cost_direct_reclaim = 1000;
    start(&x, &c);
    uint64_t cycles = fill(&x);
    const struct stat_set *s = sim_stats(x.sim);
    assert_true(STAT(s, pageoutrun) > 0); /* kswapd ran, too */
    assert_true(STAT(s, allocstall_normal) > 0);
    assert_int_equal(cycles % 1000, 0);
    assert_in_range(cycles, 1000,
                    1000 * STAT(s, allocstall_normal)); /* passes: one step has many */
    sim_close(x.sim);
}

static void pages_a_fault_writes_to_swap_are_steps_kswapds_are_none(void **state)
{
    struct machine x;
    struct conf c;

    (void)state;
    no_costs(&c);
    c.cost_swap_out = 11;
    start(&x, &c);
    uint64_t cycles = fill(&x);
    const struct stat_set *s = sim_stats(x.sim);
    assert_true(STAT(s, pgsteal_kswapd) > 0 && STAT(s, pgsteal_direct) > 0);
    assert_int_equal(cycles % 11, 0);
    assert_in_range(cycles, 11, 11 * (STAT(s, pswpout) - 1));
    sim_close(x.sim);
}

/* With the costs as they are: the dearest of 1000 faults on an empty machine, and one on a full one. */
static void a_fault_on_a_full_machine_costs_more(void **state)
{
    struct machine x;
    struct conf c;

    (void)state;
    conf_init(&c);
    c.phys_size = MIB(64);
    c.phys_kernel_image = MIB(1);
    c.swap_size = MIB(256);
    c.cpu_cores = 1;
    c.thp_enabled = THP_NEVER;
    start(&x, &c);
    uint64_t most_empty = 0;
    for (uint64_t i = 0; i < 1000; i++)
        most_empty = max_u64(most_empty, touch(&x, i));
    for (uint64_t i = 1000; i < MIB(40) / K4; i++)
        touch(&x, i);
    take_the_rest(&x);
    uint64_t full = touch(&x, MIB(40) / K4);
    /* At least one page was looked at, after the slow path and a round of reclaim began. */
    assert_true(full >=
                c.cost_alloc_slow + c.cost_direct_reclaim + c.cost_reclaim + c.cost_fault_entry);
    assert_true(full > most_empty);
    sim_close(x.sim);
}

/* A new page is 64 lines zeroed: with caches that hold none of them each comes from DRAM. Its entry is
 * one line more, which the walk that failed has just brought. The page's frame is the one just freed, so
 * that warm caches have its lines near. */
static void a_fault_with_cold_caches_costs_its_lines(void **state)
{
    struct machine x;
    struct conf c;
    uint64_t cost[2];

    (void)state;
    no_costs(&c);
    c.cpu_exposed_kernel = 100;
    c.l3_size = MIB(2);
    c.l3_ways = 16;
    start(&x, &c);
    touch(&x, 0);
    for (unsigned cold = 0; cold < 2; cold++) {
        mm_madvise(sim_mm(x.sim), va(DATA), K4, MADV_DONTNEED);
        x.sim->outbox.n = 0;
        mmu_invlpg(x.t->core, va(DATA));
        if (cold)
            mmu_kernel(x.t->core, pa(MIB(32)), MIB(24), false); /* of other memory */
        cost[cold] = touch(&x, 0);
    }
    assert_int_equal(cost[1], 64 * (c.dram_latency - c.l1d_latency));
    assert_true(cost[0] < cost[1] / 4);
    sim_close(x.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_reclaim_looks_at_for_a_fault_is_a_step_of_it),
        cmocka_unit_test(every_direct_reclaim_is_a_step_kswapd_is_none),
        cmocka_unit_test(pages_a_fault_writes_to_swap_are_steps_kswapds_are_none),
        cmocka_unit_test(a_fault_on_a_full_machine_costs_more),
        cmocka_unit_test(a_fault_with_cold_caches_costs_its_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
