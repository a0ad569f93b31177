/* Text of /proc beyond what the machine at hand shows: wide numbers, several nodes, odd names. The
 * expected lines follow the kernel's own format strings, cited at each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proc/text.h"

#include <stdlib.h>
#include <string.h>

static void assert_text(struct sink *out, const char *expected)
{
    char *text = sink_take(out);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

/* The free blocks of zone DMA in the golden vectors of the specification: 0 0 0 0 0 0 0 0 1 1 3. */
static void dma_zone(struct proc_zone *z)
{
    *z = (struct proc_zone){.name = "DMA", .present = 3998, .managed = 3840};
    z->blocks[0][8] = 1;
    z->blocks[1][9] = 1;
    z->blocks[1][10] = 3;
}

static void indexes_of_the_golden_zone(void **state)
{
    (void)state;
    static struct proc_node node;
    struct sink out;
    dma_zone(&node.zone[0]);
    sink_memory(&out);
    proc_put_unusable_index(&out, &node, 1);
    assert_text(&out, "Node 0, zone      DMA 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 "
                      "0.066 0.200 \n");
    sink_memory(&out);
    proc_put_extfrag_index(&out, &node, 1);
    assert_text(&out, "Node 0, zone      DMA -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 "
                      "-1.000 -1.000 -1.000 -1.000 \n");
}

/* Ten single frames: order 1 needs 1000 - (1000 + 10 * 1000 / 2) / 10 = 400 thousandths. */
static void index_of_single_frames_is_positive(void **state)
{
    (void)state;
    static struct proc_node node;
    struct sink out;
    node.zone[2] = (struct proc_zone){.name = "Normal", .present = 10};
    node.zone[2].blocks[1][0] = 10;
    sink_memory(&out);
    proc_put_extfrag_index(&out, &node, 1);
    char *text = sink_take(&out);
    assert_non_null(strstr(text, "Node 0, zone   Normal -1.000  0.400  0.650 "));
    free(text);
}

static void a_zone_without_free_memory_has_nothing_usable(void **state)
{
    (void)state;
    static struct proc_node node;
    struct sink out;
    node.zone[2] = (struct proc_zone){.name = "Normal", .present = 10};
    sink_memory(&out);
    proc_put_unusable_index(&out, &node, 1);
    char *text = sink_take(&out);
    assert_non_null(strstr(text, "Normal 1.000 1.000"));
    free(text);
    sink_memory(&out);
    proc_put_extfrag_index(&out, &node, 1);
    text = sink_take(&out);
    assert_non_null(strstr(text, "Normal  0.000  0.000"));
    free(text);
}

/* frag_show: "Node %d, zone %8s " and "%6lu " an order; a wider number pushes the line. */
static void buddyinfo_of_two_nodes_leaves_empty_zones_out(void **state)
{
    (void)state;
    static struct proc_node nodes[2];
    struct sink out;
    dma_zone(&nodes[0].zone[0]);
    nodes[1].nid = 1;
    nodes[1].zone[2] = (struct proc_zone){.name = "Normal", .present = 1};
    nodes[1].zone[2].blocks[1][10] = 1234567;
    sink_memory(&out);
    proc_put_buddyinfo(&out, nodes, 2);
    assert_text(
        &out, "Node 0, zone      DMA      0      0      0      0      0      0      0      0      "
              "1      1      3 \n"
              "Node 1, zone   Normal      0      0      0      0      0      0      0      0      "
              "0      0 1234567 \n");
}

/* pagetypeinfo_showfree_print: "%s%6lu " with ">" once 100000 blocks were counted. */
static void pagetypeinfo_stops_counting_at_a_hundred_thousand(void **state)
{
    (void)state;
    static struct proc_node node;
    struct sink out;
    dma_zone(&node.zone[0]);
    node.zone[0].blocks[1][0] = 100001;
    node.zone[0].blocks[1][1] = 99999;
    sink_memory(&out);
    proc_put_pagetypeinfo(&out, &node, 1);
    char *text = sink_take(&out);
    assert_non_null(strstr(text, "type      Movable >100000  99999      0"));
    free(text);
}

/* meminfo_proc_show and hugetlb_report_meminfo: "HugePages_Total:   %5lu", no kB. */
static void wide_numbers_push_meminfo(void **state)
{
    (void)state;
    static struct proc_meminfo m;
    struct sink out;
    m.v[PROC_MEM_MEMTOTAL] = 1234567890;
    m.v[PROC_MEM_HUGEPAGES_TOTAL] = 123456;
    m.v[PROC_MEM_VMALLOCTOTAL] = 34359738367;
    sink_memory(&out);
    proc_put_meminfo(&out, &m);
    char *text = sink_take(&out);
    assert_memory_equal(text, "MemTotal:       1234567890 kB\n", 30);
    assert_non_null(strstr(text, "\nHugePages_Total:   123456\n"));
    assert_non_null(strstr(text, "\nVmallocTotal:   34359738367 kB\n"));
    free(text);
}

/* swap_show: "%*s%s\t%lu\t%s%lu\t%s%d\n" with 40 - len blanks, one at least. */
static void swaps_align_by_tabs(void **state)
{
    (void)state;
    const struct proc_swap swaps[] = {
        {"/dev/vda2", true, 4194300, 0, -2},
        {"/a swap file", false, 10000000, 9999999, 5},
        {"/0123456789012345678901234567890123456789", false, 4, 0, -3},
    };
    struct sink out;
    sink_memory(&out);
    proc_put_swaps(&out, swaps, 3);
    assert_text(&out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
                      "/dev/vda2                               partition\t4194300\t\t0\t\t-2\n"
                      "/a\\040swap\\040file                      file\t\t10000000\t9999999\t\t5\n"
                      "/0123456789012345678901234567890123456789 file\t\t4\t\t0\t\t-3\n");
}

/* show_vma_header_prefix and seq_pad: the name starts in column 74, or one blank after the inode. */
static void a_mapping_with_wide_numbers_keeps_one_blank(void **state)
{
    (void)state;
    const struct proc_map m = {.start = 0x7ffff7fff000,
                               .end = 0x7ffff8000000,
                               .flags = 0x85,
                               .offset = UINT64_C(0x3456789abcdef000),
                               .major = 0x103,
                               .minor = 0x10,
                               .inode = UINT64_C(18446744073709551615),
                               .path = "/x y\nz (deleted)"};
    struct sink out;
    sink_memory(&out);
    proc_put_map(&out, &m);
    assert_text(&out,
                "7ffff7fff000-7ffff8000000 r-xs 3456789abcdef000 103:10 18446744073709551615  "
                "/x y\\012z (deleted)\n");
}

/* show_numa_map: fields that say nothing new are left out. */
static void numa_maps_leaves_out_what_follows(void **state)
{
    (void)state;
    static struct proc_numa_map m;
    struct sink out;
    m = (struct proc_numa_map){.start = 0x1000, .policy = "bind:0-1", .heap = true, .page_kb = 4};
    sink_memory(&out);
    proc_put_numa_map(&out, &m);
    assert_text(&out, "00001000 bind:0-1 heap\n");
    m.pages = 7;
    m.anon = 3;
    m.dirty = 2;
    m.mapcount_max = 2;
    m.active = 7;
    m.node[1] = 7;
    sink_memory(&out);
    proc_put_numa_map(&out, &m);
    assert_text(&out, "00001000 bind:0-1 heap anon=3 dirty=2 mapped=7 mapmax=2 N1=7 "
                      "kernelpagesize_kB=4\n");
}

static void zoneinfo_tells_node_items_once_and_stops_at_empty_zones(void **state)
{
    (void)state;
    static struct proc_node node;
    static const char *const names[] = {"DMA", "DMA32", "Normal", "Movable", "Device"};
    struct sink out;
    for (unsigned i = 0; i < PROC_ZONES; i++)
        node.zone[i].name = names[i];
    node.zone[1].present = node.zone[2].present = 1;
    sink_memory(&out);
    proc_put_zoneinfo(&out, &node, 1);
    char *text = sink_take(&out);
    char *first = strstr(text, "  per-node stats\n");
    assert_non_null(first);
    assert_null(strstr(first + 1, "  per-node stats\n"));
    assert_true(first > strstr(text, "zone    DMA32\n"));
    char *end = strstr(text, "Node 0, zone   Device\n");
    assert_null(strstr(end, "nr_free_pages"));
    assert_non_null(strstr(end, "        protection: (0, 0, 0, 0, 0)\n"));
    free(text);
}

static void a_protection_key_has_its_own_line(void **state)
{
    (void)state;
    const struct proc_map m = {.flags = 0x71 | UINT64_C(3) << 32};
    const struct proc_smaps s = {.pkeys = true, .pkey = 3};
    struct sink out;
    sink_memory(&out);
    proc_put_smaps(&out, &m, &s);
    char *text = sink_take(&out);
    assert_non_null(strstr(text, "\nTHPeligible:           0\nProtectionKey:         3\n"
                                 "VmFlags: rd mr mw me \n"));
    free(text);
}

/* What numastat of numactl 2.0.16 printed of two nodes whose numastat files hold these numbers. */
static void numastat_has_a_column_for_each_node(void **state)
{
    (void)state;
    static struct proc_node nodes[2];
    struct sink out;
    nodes[1].nid = 1;
    nodes[0].zone[1].numa[PROC_NUMA_numa_hit] = 400000;
    nodes[0].zone[2].numa[PROC_NUMA_numa_hit] = 600000;
    nodes[1].zone[2].numa[PROC_NUMA_numa_hit] = 78777777;
    nodes[1].zone[2].numa[PROC_NUMA_numa_local] = 289974086;
    sink_memory(&out);
    proc_put_numastat(&out, nodes, 2);
    assert_text(&out, "                           node0           node1\n"
                      "numa_hit                 1000000        78777777\n"
                      "numa_miss                      0               0\n"
                      "numa_foreign                   0               0\n"
                      "interleave_hit                 0               0\n"
                      "local_node                     0       289974086\n"
                      "other_node                     0               0\n");
}

/* The first and last lines of `numastat -m` of the same tool for MemTotal 17656012 kB a node. */
static void numastat_m_shows_megabytes_and_a_total(void **state)
{
    (void)state;
    static struct proc_node_meminfo nodes[2];
    struct sink out;
    nodes[1].nid = 1;
    nodes[0].v[PROC_NODE_MEM_MEMTOTAL] = nodes[1].v[PROC_NODE_MEM_MEMTOTAL] = 17656012;
    nodes[0].v[PROC_NODE_MEM_HUGEPAGES_TOTAL] = 3;
    sink_memory(&out);
    proc_put_numastat_m(&out, nodes, 2);
    char *text = sink_take(&out);
    const char *head = "\nPer-node system memory usage (in MBs):\n"
                       "                          Node 0          Node 1           Total\n"
                       "                 --------------- --------------- ---------------\n"
                       "MemTotal                17242.20        17242.20        34484.40\n"
                       "MemFree                     0.00            0.00            0.00\n";
    assert_memory_equal(text, head, strlen(head));
    assert_non_null(
        strstr(text, "\nHugePages_Total             6.00            0.00            6.00\n"));
    assert_non_null(strstr(text,
                           "\nHugePages_Surp              0.00            0.00            0.00\n"
                           "KReclaimable                0.00            0.00            0.00\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexes_of_the_golden_zone),
        cmocka_unit_test(index_of_single_frames_is_positive),
        cmocka_unit_test(a_zone_without_free_memory_has_nothing_usable),
        cmocka_unit_test(buddyinfo_of_two_nodes_leaves_empty_zones_out),
        cmocka_unit_test(pagetypeinfo_stops_counting_at_a_hundred_thousand),
        cmocka_unit_test(wide_numbers_push_meminfo),
        cmocka_unit_test(swaps_align_by_tabs),
        cmocka_unit_test(a_mapping_with_wide_numbers_keeps_one_blank),
        cmocka_unit_test(numa_maps_leaves_out_what_follows),
        cmocka_unit_test(zoneinfo_tells_node_items_once_and_stops_at_empty_zones),
        cmocka_unit_test(a_protection_key_has_its_own_line),
        cmocka_unit_test(numastat_has_a_column_for_each_node),
        cmocka_unit_test(numastat_m_shows_megabytes_and_a_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
