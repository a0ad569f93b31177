/* test_cpu.c: the additive time model: each part by hand arithmetic, and that parts sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "cpu/cpu.h"

static struct conf plain(void)
{
    struct conf c;

    conf_init(&c);
    c.cpu_cpi = 500;
    c.l1d_latency = 4;
    c.l2_latency = 14;
    c.l3_latency = 74;
    c.dram_latency = 304;
    c.cpu_exposed_load = 50;
    c.cpu_exposed_store = 10;
    c.cpu_exposed_walk = 100;
    c.cpu_exposed_stlb = 100;
    c.mmu_stlb_cycles = 7;
    return c;
}

static void instructions_cost_the_base(void **state)
{
    struct conf c = plain();
    struct stat_set s = {0};
    struct cpu_cycles y;

    (void)state;
    STAT(&s, instructions) = 1000000;
    STAT(&s, load_l1_hit) = 500000;
    cpu_cycles(&c, &s, &y);
    assert_int_equal(y.base, 500000);
    assert_int_equal(y.total, 500000);
}

static void a_dram_load_costs_its_exposed_latency_beyond_l1(void **state)
{
    struct conf c = plain();
    struct stat_set s = {0};
    struct cpu_cycles y;

    (void)state;
    STAT(&s, load_l3_miss) = 10;
    STAT(&s, store_l3_miss) = 10;
    cpu_cycles(&c, &s, &y);
    assert_int_equal(y.memory, 10 * 300 / 2 + 10 * 300 / 10);
}

static void translation_is_second_level_hits_and_walker_cycles(void **state)
{
    struct conf c = plain();
    struct stat_set s = {0};
    struct cpu_cycles y;

    (void)state;
    STAT(&s, dtlb_load_stlb_hit) = 3;
    STAT(&s, itlb_stlb_hit) = 2;
    STAT(&s, dtlb_store_walk_active) = 1000;
    cpu_cycles(&c, &s, &y);
    assert_int_equal(y.translation, 5 * 7 + 1000);
    assert_int_equal(cpu_translation(&c, 5, 1000), y.translation);
}

static void every_fault_and_kernel_cycle_counts_once(void **state)
{
    struct conf c = plain();
    struct stat_set s = {0};
    struct cpu_cycles y;

    (void)state;
    STAT(&s, fault_cycles_anon) = 1;
    STAT(&s, fault_cycles_bad) = 20;
    STAT(&s, kernel_cycles_syscall) = 300;
    STAT(&s, kernel_cycles_exec) = 4000;
    cpu_cycles(&c, &s, &y);
    assert_int_equal(y.fault, 21);
    assert_int_equal(y.kernel, 4300);
}

static void parts_sum_to_the_total_whatever_the_counters(void **state)
{
    struct conf c = plain();
    struct rng rng = {99};

    (void)state;
    for (int n = 0; n < 1000; n++) {
        struct stat_set s;
        struct cpu_cycles y;
        for (int i = 0; i < STAT_NR; i++)
            s.v[i] = rng_below(&rng, UINT64_C(1) << 40);
        cpu_cycles(&c, &s, &y);
        assert_int_equal(y.total, y.base + y.memory + y.translation + y.fault + y.kernel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_cost_the_base),
        cmocka_unit_test(a_dram_load_costs_its_exposed_latency_beyond_l1),
        cmocka_unit_test(translation_is_second_level_hits_and_walker_cycles),
        cmocka_unit_test(every_fault_and_kernel_cycle_counts_once),
        cmocka_unit_test(parts_sum_to_the_total_whatever_the_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
