/* Nodes: which zones, frames and CPUs they have, and the order a request tries them in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/rng.h"
#include "phys/phys.h"

static struct stat_set stats;
static char err[256];

static struct conf machine(uint64_t size, unsigned nodes, const char *sizes, const char *distance)
{
    struct conf c;
    conf_init(&c);
    c.phys_size = size;
    c.numa_nodes = nodes;
    strcpy(c.numa_sizes, sizes);
    strcpy(c.numa_distance, distance);
    memset(&stats, 0, sizeof(stats));
    return c;
}

static struct phys *open_conf(const struct conf *c)
{
    struct phys *p = NULL;
    assert_int_equal(conf_check(c, err, sizeof(err)), 0);
    assert_int_equal(phys_open(&p, c, &stats), 0);
    assert_int_equal(phys_audit(p), 0);
    return p;
}

static void want_fallback(struct phys *p, unsigned nid, const uint8_t *want)
{
    for (unsigned i = 0; i < phys_nodes(p); i++)
        assert_int_equal(phys_fallback(p, nid)[i], want[i]);
}

static void test_node_has_the_zones_its_addresses_fall_into(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 3, "2G,4G,2G", "20");
    struct phys *p = open_conf(&c);
    static const uint64_t first[3][ZONE_NR] = {
        {1, 4096, 0}, {0, GIB(2) / 4096, GIB(4) / 4096}, {0, 0, GIB(6) / 4096}};
    for (unsigned n = 0; n < 3; n++)
        for (unsigned z = 0; z < ZONE_NR; z++) {
            struct phys_zone_info i;
            phys_zone_info(p, n, z, &i);
            assert_int_equal(i.start_pfn, first[n][z]);
            assert_int_equal(i.spanned != 0, first[n][z] != 0);
        }
    assert_int_equal(phys_frame_node(p, (pfn){GIB(2) / 4096 - 1}), 0);
    assert_int_equal(phys_frame_node(p, (pfn){GIB(2) / 4096}), 1);
    assert_int_equal(phys_frame_node(p, (pfn){GIB(8) / 4096 - 1}), 2);
    phys_close(p);
}

static void test_each_node_keeps_its_own_memmap_and_all_frames_are_owned(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 4, "", "20");
    struct phys *p = open_conf(&c);
    uint64_t sum = 0;
    for (unsigned n = 0; n < 4; n++) {
        struct phys_node_info i;
        phys_node_info(p, n, &i);
        assert_int_equal(i.owned[FRAME_MEMMAP], GIB(2) / 4096 / 64);
        assert_int_equal(phys_owner(p, (pfn){GIB(2) / 4096 * (n + 1) - 1}), FRAME_MEMMAP);
        assert_int_equal(i.free, i.owned[FRAME_FREE]);
        for (unsigned o = 0; o < FRAME_OWNER_NR; o++)
            sum += i.owned[o];
    }
    assert_int_equal(sum, phys_frames(p));
    phys_close(p);
}

static void test_cpus_are_spread_in_groups_of_neighbours(void **state)
{
    (void)state;
    static const unsigned want[] = {0, 0, 0, 1, 1, 1, 2, 2};
    struct conf c = machine(GIB(6), 3, "", "20");
    c.cpu_cores = 8;
    struct phys *p = open_conf(&c);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(phys_cpu_node(p, i), want[i]);
    phys_close(p);
    c.cpu_cores = 2; /* node 2 has memory only */
    p = open_conf(&c);
    struct phys_node_info i;
    phys_node_info(p, 2, &i);
    assert_int_equal(i.cpus, 0);
    assert_int_equal(phys_cpu_node(p, 1), 1);
    phys_close(p);
}

/* find_next_best_node worked out by hand. Equal distances: the next higher node, then round the
 * corner, and the first choice of one node is charged for the others:
 *   node 0: values 1: (20+0+1)*1024, 2 and 3 the same -> 1 (load 1), 2, 3
 *   node 1: 0: (20+1+1)*1024, 2: 21*1024, 3 the same -> 2 (load 1), 3, 0
 *   node 2: 0: 22*1024, 1: 22*1024 + 1, 3: 21*1024  -> 3 (load 1), 0, 1
 *   node 3: 0: 22*1024, 1: +1, 2: +1                -> 0 (load 1), 1, 2 */
static void test_equal_distances_go_round_from_the_next_node(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 4, "", "20");
    c.cpu_cores = 4;
    struct phys *p = open_conf(&c);
    want_fallback(p, 0, (const uint8_t[]){0, 1, 2, 3});
    want_fallback(p, 1, (const uint8_t[]){1, 2, 3, 0});
    want_fallback(p, 2, (const uint8_t[]){2, 3, 0, 1});
    want_fallback(p, 3, (const uint8_t[]){3, 0, 1, 2});
    phys_close(p);
}

/* Two sockets of two nodes: the neighbour first, then the far pair. */
static void test_near_node_comes_before_far_ones(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 4, "", "10 12 21 21/12 10 21 21/21 21 10 12/21 21 12 10");
    c.cpu_cores = 4;
    struct phys *p = open_conf(&c);
    assert_int_equal(phys_distance(p, 1, 0), 12);
    want_fallback(p, 0, (const uint8_t[]){0, 1, 2, 3});
    want_fallback(p, 1, (const uint8_t[]){1, 0, 3, 2}); /* 2 was charged by node 0 */
    want_fallback(p, 2, (const uint8_t[]){2, 3, 0, 1}); /* 0 and 1 were charged once */
    phys_close(p);
}

static void test_node_without_cpus_is_preferred_at_equal_distance(void **state)
{
    (void)state;
    struct conf c = machine(GIB(6), 3, "", "20");
    c.cpu_cores = 2;
    struct phys *p = open_conf(&c);
    want_fallback(p, 0, (const uint8_t[]){0, 2, 1});
    phys_close(p);
}

static void assert_refused(const struct conf *c, const char *line)
{
    struct phys *p = NULL;
    assert_int_equal(conf_check(c, err, sizeof(err)), -EINVAL);
    assert_string_equal(err, line);
    assert_int_equal(phys_open(&p, c, &stats), -EINVAL);
    assert_null(p);
}

static void test_contradicting_nodes_are_refused_with_key_value_and_reason(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 2, "8G,0", "20");
    assert_refused(&c, "numa.sizes: `8G,0`: node 1 would have no memory");
    c = machine(GIB(8), 2, "4G,3G", "20");
    assert_refused(&c,
                   "numa.sizes: `4G,3G`: the nodes do not add up to phys.size = 8589934592 bytes");
    c = machine(GIB(8), 2, "4G", "20");
    assert_refused(&c, "numa.sizes: `4G` has 1 sizes for numa.nodes = 2");
    c = machine(GIB(8), 2, "4G,2G,2G", "20");
    assert_refused(&c, "numa.sizes: `2G` is one number too many: there are 2 nodes");
    c = machine(GIB(8), 2, "4G,much", "20");
    assert_refused(&c, "numa.sizes: `much` is no number");
    c = machine(GIB(8), 2, "4097M,4095M", "20");
    assert_refused(&c, "numa.sizes: `4097M,4095M`: node 0 is not a whole number of 4 MiB");
    c = machine(GIB(8), 2, "32M,8160M", "20");
    assert_refused(&c, "numa.sizes: node 0 has 32768 KiB, and its memmap, the firmware and the "
                       "kernel image take 42496 KiB of them: no memory would be left");
    c = machine(GIB(8), 2, "", "10");
    assert_refused(&c, "numa.distance: 10 from node 0 to node 1; a node is 10 from itself and 11 "
                       "to 254 from others");
    c = machine(GIB(8), 2, "", "10 20 20");
    assert_refused(&c, "numa.distance: `10 20 20` has 3 numbers; take one, or 4 for 2 nodes");
    c = machine(GIB(8), 2, "", "11 20/20 10");
    assert_refused(&c, "numa.distance: 11 from node 0 to node 0; a node is 10 from itself and 11 "
                       "to 254 from others");
}

static void random_text(struct rng *rng, const char *letters, char *text, size_t size)
{
    size_t n = rng_below(rng, size);
    for (size_t i = 0; i < n; i++)
        text[i] = letters[rng_below(rng, strlen(letters))];
    text[n] = '\0';
}

/* Whatever the text: it is refused with a line, or nodes and distances are whole. */
static void test_random_lists_are_refused_or_understood(void **state)
{
    (void)state;
    struct rng rng = {5};
    unsigned understood = 0;
    for (unsigned i = 0; i < 200000; i++) {
        struct conf c = machine(MIB(8), 1 + (unsigned)rng_below(&rng, 2), "", "20");
        struct conf_numa numa;
        uint64_t ratios[5], sum = 0;
        random_text(&rng, "48048,/ MMkx-", c.numa_sizes, rng_below(&rng, 8) ? 8 : CONF_TEXT_MAX);
        random_text(&rng, "12012,/ x-", c.numa_distance, rng_below(&rng, 8) ? 4 : CONF_TEXT_MAX);
        random_text(&rng, "0123456789,/ xG", c.vm_lowmem_reserve_ratio, CONF_TEXT_MAX);
        err[0] = '\0';
        if (conf_reserve_ratios(&c, ratios, err, sizeof(err)) != 0)
            assert_true(strlen(err) > 30);
        err[0] = '\0';
        if (conf_numa(&c, &numa, err, sizeof(err)) != 0) {
            assert_true(strncmp(err, "numa.", 5) == 0);
            continue;
        }
        understood++;
        for (unsigned n = 0; n < numa.nodes; n++) {
            sum += numa.size[n];
            assert_int_equal(numa.distance[n][n], 10);
            assert_true(numa.size[n] > 0 && numa.distance[n][!n] != 255);
        }
        assert_int_equal(sum, c.phys_size);
    }
    assert_true(understood > 100);
}

static void test_contradicting_tunables_are_refused_before_the_run(void **state)
{
    (void)state;
    struct conf c = machine(GIB(8), 1, "", "20");
    c.vm_percpu_pagelist_high_fraction = 3;
    assert_int_equal(conf_check(&c, err, sizeof(err)), -EINVAL);
    assert_string_equal(err, "vm.percpu_pagelist_high_fraction: 3 is too large a share; take 0, or "
                             "8 and more");
    c = machine(GIB(8), 1, "", "20");
    c.vm_min_free_kbytes = GIB(5) / 1024;
    assert_int_equal(conf_check(&c, err, sizeof(err)), -EINVAL);
    assert_string_equal(err, "vm.min_free_kbytes: 5242880 KiB are more than half of phys.size = "
                             "8388608 KiB");
    c = machine(GIB(8), 1, "", "20");
    c.vm_min_free_kbytes = GIB(4) / 1024;
    c.vm_watermark_scale_factor = 3000;
    assert_int_equal(conf_check(&c, err, sizeof(err)), -EINVAL);
    assert_string_equal(
        err, "vm.watermark_scale_factor: 3000/10000 and vm.min_free_kbytes = 4194304 set "
             "the high watermark to 9227468 of phys.size = 8388608 KiB: nothing would "
             "ever be free");
    c = machine(GIB(8), 1, "", "20");
    strcpy(c.vm_lowmem_reserve_ratio, "256 x");
    assert_refused(&c, "vm.lowmem_reserve_ratio: `x` is no number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_has_the_zones_its_addresses_fall_into),
        cmocka_unit_test(test_each_node_keeps_its_own_memmap_and_all_frames_are_owned),
        cmocka_unit_test(test_cpus_are_spread_in_groups_of_neighbours),
        cmocka_unit_test(test_equal_distances_go_round_from_the_next_node),
        cmocka_unit_test(test_near_node_comes_before_far_ones),
        cmocka_unit_test(test_node_without_cpus_is_preferred_at_equal_distance),
        cmocka_unit_test(test_contradicting_nodes_are_refused_with_key_value_and_reason),
        cmocka_unit_test(test_random_lists_are_refused_or_understood),
        cmocka_unit_test(test_contradicting_tunables_are_refused_before_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
