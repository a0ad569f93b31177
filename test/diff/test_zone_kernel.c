/* links: phys */
/* Zones against the running kernel: what /proc/zoneinfo, /proc/buddyinfo, /proc/pagetypeinfo and
 * debugfs say of this machine must follow from its zone sizes by the model's formulas. Skipped, with
 * the reason, where those files cannot be read.
 *
 * Counts change while the files are read: an index is compared only where buddyinfo was the same
 * before and after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diff/debugfs.h"
#include "phys/phys_int.h"

#define ZONES    5
#define TRIES    50
#define READ_MAX 65536

struct live_zone {
    bool populated;
    uint64_t managed, boost, mark[4], protection[5];
    uint64_t high_min, high_max, batch, threshold; /* of its last CPU */
};

static const char *const names[ZONES] = {"DMA", "DMA32", "Normal", "Movable", "Device"};

static bool read_file(const char *path, char *text)
{
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(text, 1, READ_MAX - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    text[n] = '\0';
    return n > 0;
}

static uint64_t number_in(const char *path)
{
    static char text[READ_MAX];
    assert_true(read_file(path, text));
    return strtoull(text, NULL, 10);
}

static int zone_named(const char *name)
{
    for (int i = 0; i < ZONES; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static void take_line(const char *line, struct live_zone *z)
{
    static const char *const marks[] = {"min", "low", "high", "promo"};
    unsigned long v;
    char word[32];
    if (sscanf(line, " protection: (%lu, %lu, %lu, %lu, %lu)", &z->protection[0], &z->protection[1],
               &z->protection[2], &z->protection[3], &z->protection[4]) == 5)
        return;
    if (sscanf(line, " vm stats threshold: %lu", &v) == 1)
        z->threshold = v;
    if (sscanf(line, " %31s %lu", word, &v) != 2)
        return;
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(word, marks[i]) == 0)
            z->mark[i] = v;
    z->managed = strcmp(word, "managed") == 0 ? v : z->managed;
    z->boost = strcmp(word, "boost") == 0 ? v : z->boost;
    z->batch = strcmp(word, "batch:") == 0 ? v : z->batch;
    z->high_min = strcmp(word, "high_min:") == 0 ? v : z->high_min;
    z->high_max = strcmp(word, "high_max:") == 0 ? v : z->high_max;
}

/* read_zones fills in the zones of node 0; false if the machine has another node or no such file. */
static bool read_zones(struct live_zone live[ZONES])
{
    static char text[READ_MAX];
    int at = -1;
    memset(live, 0, ZONES * sizeof(*live));
    if (!read_file("/proc/zoneinfo", text) || strstr(text, "Node 1,") != NULL)
        return false;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char name[32];
        if (sscanf(line, "Node 0, zone %31s", name) == 1)
            at = zone_named(name);
        else if (at >= 0)
            take_line(line, &live[at]);
    }
    for (int i = 0; i < ZONES; i++)
        live[i].populated = live[i].managed > 0;
    return live[ZONE_NORMAL].populated || live[ZONE_DMA32].populated;
}

/* model_of opens a machine with as many CPUs and gives its zones the sizes of the live ones. */
static struct phys *model_of(const struct live_zone live[ZONES])
{
    static struct stat_set stats;
    struct conf conf;
    struct phys *p = NULL;
    conf_init(&conf);
    conf.phys_size = GIB(8);
    conf.cpu_cores = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    conf.vm_min_free_kbytes = number_in("/proc/sys/vm/min_free_kbytes");
    conf.vm_watermark_scale_factor = number_in("/proc/sys/vm/watermark_scale_factor");
    conf.vm_percpu_pagelist_high_fraction = number_in("/proc/sys/vm/percpu_pagelist_high_fraction");
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    for (int i = 0; i < ZONE_NR; i++)
        zone_at(p, 0, i)->managed = live[i].managed;
    wmarks_setup(p);
    return p;
}

static void compare_live(struct phys *p, int zone, const struct live_zone *z)
{
    struct phys_zone_info i;
    struct phys_pcp_info l;
    phys_zone_info(p, 0, zone, &i);
    phys_pcp_info(p, 0, zone, 0, &l);
    assert_int_equal(z->mark[0] - z->boost, i.min);
    assert_int_equal(z->mark[1] - z->boost, i.low);
    assert_int_equal(z->mark[2] - z->boost, i.high);
    assert_int_equal(z->mark[3] - z->boost, i.promo);
    for (unsigned j = 0; j < ZONES; j++)
        assert_int_equal(z->protection[j], i.protection[j]);
    assert_int_equal(z->batch, l.batch);
    assert_int_equal(z->high_min, l.high_min);
    assert_int_equal(z->high_max, l.high_max);
    assert_int_equal(z->threshold, i.stat_threshold);
}

static void test_watermarks_protections_and_lists_follow_from_the_zone_sizes(void **state)
{
    (void)state;
    struct live_zone live[ZONES];
    if (!read_zones(live) || live[3].populated || sysconf(_SC_NPROCESSORS_ONLN) > 64) {
        print_message("skipped: no /proc/zoneinfo of one node, 64 CPUs, without zone Movable\n");
        skip();
    }
    struct phys *p = model_of(live);
    for (int i = 0; i < ZONE_NR; i++)
        if (live[i].populated)
            compare_live(p, i, &live[i]);
    phys_close(p);
}

static bool read_blocks(uint64_t blocks[ZONES][PHYS_ORDERS])
{
    static char text[READ_MAX];
    memset(blocks, 0, ZONES * sizeof(*blocks));
    if (!read_file("/proc/buddyinfo", text))
        return false;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char name[16];
        int used = 0;
        if (sscanf(line, "Node 0, zone %15s %n", name, &used) != 1 || zone_named(name) < 0)
            continue;
        char *at = line + used;
        for (unsigned o = 0; o < PHYS_ORDERS; o++)
            blocks[zone_named(name)][o] = strtoull(at, &at, 10);
    }
    return true;
}

/* Zone DMA of a booted PC, where nothing lives: block for block what the model boots with. */
static void test_dma_zone_has_the_blocks_and_types_of_this_machine(void **state)
{
    (void)state;
    static char text[READ_MAX];
    static struct stat_set stats;
    struct conf conf;
    struct phys *p = NULL;
    struct phys_zone_info z;
    unsigned seen = 0;
    uint64_t blocks[ZONES][PHYS_ORDERS], free_frames = 0;
    for (unsigned o = 0; read_blocks(blocks) && o < PHYS_ORDERS; o++)
        free_frames += blocks[ZONE_DMA][o] << o;
    if (free_frames != 3840 || !read_file("/proc/pagetypeinfo", text)) {
        print_message("skipped: no /proc/pagetypeinfo of a PC whose zone DMA is all free\n");
        skip();
    }
    conf_init(&conf);
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    phys_zone_info(p, 0, ZONE_DMA, &z);
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        static const char *const types[] = {"Unmovable", "Movable", "Reclaimable", "HighAtomic"};
        char name[16], want[16];
        int used = 0;
        if (sscanf(line, "Node 0, zone DMA, type %15s %n", name, &used) != 1)
            continue;
        for (unsigned t = 0; t < ARRAY_LEN(types); t++) {
            snprintf(want, sizeof(want), "%s", types[t]);
            char *at = line + used;
            for (unsigned o = 0; strcmp(name, want) == 0 && o < PHYS_ORDERS; o++, seen++)
                assert_int_equal(strtoull(at, &at, 10), z.blocks[t][o]);
        }
    }
    assert_int_equal(seen, 4 * PHYS_ORDERS);
    phys_close(p);
}

/* -- fragmentation indexes */

/* index_of makes a zone with so many blocks of each order and asks the model. */
static int index_of(struct phys *p, int zone, const uint64_t *blocks, unsigned order, bool unusable)
{
    struct zone *z = zone_at(p, 0, (enum zone_id)zone), real = *z;
    z->virgin = z->virgin_end;
    memset(z->lists, 0, sizeof(z->lists));
    for (unsigned o = 0; o < PHYS_ORDERS; o++)
        z->lists[MIGRATE_MOVABLE][o].blocks_nr = blocks[o];
    int index = unusable ? phys_unusable_index(p, 0, (enum zone_id)zone, order)
                         : phys_extfrag_index(p, 0, (enum zone_id)zone, order);
    *z = real;
    return index;
}

static unsigned compare_indexes(struct phys *p, char *text, uint64_t blocks[ZONES][PHYS_ORDERS],
                                bool unusable)
{
    unsigned compared = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char name[16];
        int used = 0;
        int n = sscanf(line, "Node 0, zone %15s %n", name, &used);
        int zone = n == 1 ? zone_named(name) : -1;
        if (zone < 0 || zone >= ZONE_NR)
            continue;
        char *at = line + used;
        for (unsigned o = 0; o < PHYS_ORDERS; o++, compared++) {
            double thousand = strtod(at, &at) * 1000;
            int want = (int)(thousand + (thousand < 0 ? -0.5 : 0.5));
            assert_int_equal(index_of(p, zone, blocks[zone], o, unusable), want);
        }
    }
    return compared;
}

static unsigned compare_file(struct phys *p, const char *path, bool unusable)
{
    static char text[READ_MAX];
    uint64_t before[ZONES][PHYS_ORDERS], after[ZONES][PHYS_ORDERS];
    for (unsigned i = 0; i < TRIES; i++) {
        if (!read_blocks(before) || !read_file(path, text) || !read_blocks(after))
            return 0;
        if (memcmp(before, after, sizeof(before)) == 0)
            return compare_indexes(p, text, before, unusable);
    }
    return 0;
}

static void test_fragmentation_indexes_equal_debugfs(void **state)
{
    (void)state;
    static struct stat_set stats;
    struct conf conf;
    struct phys *p = NULL;
    debugfs_mount();
    conf_init(&conf);
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    unsigned n = compare_file(p, "/sys/kernel/debug/extfrag/unusable_index", true) +
                 compare_file(p, "/sys/kernel/debug/extfrag/extfrag_index", false);
    phys_close(p);
    if (n == 0) {
        print_message("skipped: debugfs extfrag cannot be read while memory is at rest\n");
        skip();
    }
    print_message("%u indexes of this machine compared\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watermarks_protections_and_lists_follow_from_the_zone_sizes),
        cmocka_unit_test(test_dma_zone_has_the_blocks_and_types_of_this_machine),
        cmocka_unit_test(test_fragmentation_indexes_equal_debugfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
