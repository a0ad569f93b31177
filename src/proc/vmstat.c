/* vmstat.c: /proc/vmstat, a node's vmstat and numastat, and the table of numastat(8).
 *
 * Source: Linux 6.18 mm/vmstat.c (vmstat_text, vmstat_show), drivers/base/node.c (node_read_vmstat,
 * node_read_numastat); numactl 2.0.16 numastat.c for the tables.
 */
#include "proc/text.h"

#include <inttypes.h>

const char *const proc_zone_items[] = {
#define PROC_ZONE_ITEM(name) #name,
#include "proc/vmstat.def"
};
const char *const proc_numa_items[] = {
#define PROC_NUMA_ITEM(name) #name,
#include "proc/vmstat.def"
};
const char *const proc_node_items[] = {
#define PROC_NODE_ITEM(name) #name,
#include "proc/vmstat.def"
};
static const char *const other_items[] = {
#define PROC_OTHER_ITEM(name) #name,
#include "proc/vmstat.def"
};
static const char *const events[] = {
#define PROC_EVENT(name) #name,
#include "proc/vmstat.def"
};

const char *proc_event_name(enum proc_event event)
{
    return events[event];
}

static void put_items(struct sink *out, const char *const *names, const uint64_t *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        sink_text(out, names[i]);
        sink_char(out, ' ');
        sink_u64(out, v[i]);
        sink_char(out, '\n');
    }
}

void proc_put_vmstat(struct sink *out, const struct proc_vmstat *v)
{
    put_items(out, proc_zone_items, v->zone, PROC_ZONE_ITEMS);
    put_items(out, proc_numa_items, v->numa, PROC_NUMA_ITEMS);
    put_items(out, proc_node_items, v->node, PROC_NODE_ITEMS);
    put_items(out, other_items, v->other, PROC_OTHER_ITEMS);
    put_items(out, events, v->event, PROC_EVENTS);
    sink_text(out, "nr_unstable 0\n"); /* gone from NFS, kept for programs that look for it */
}

/* The items of a node's zones, added up. */
static void sum_zones(const struct proc_node *node, uint64_t *zone, uint64_t *numa)
{
    for (unsigned z = 0; z < PROC_ZONES; z++) {
        for (unsigned i = 0; i < PROC_ZONE_ITEMS; i++)
            zone[i] += node->zone[z].item[i];
        for (unsigned i = 0; i < PROC_NUMA_ITEMS; i++)
            numa[i] += node->zone[z].numa[i];
    }
}

void proc_put_node_vmstat(struct sink *out, const struct proc_node *node)
{
    uint64_t zone[PROC_ZONE_ITEMS] = {0}, numa[PROC_NUMA_ITEMS] = {0};
    sum_zones(node, zone, numa);
    put_items(out, proc_zone_items, zone, PROC_ZONE_ITEMS);
    put_items(out, proc_numa_items, numa, PROC_NUMA_ITEMS);
    put_items(out, proc_node_items, node->item, PROC_NODE_ITEMS);
}

/* numastat has its own names, and the order of the NUMA items. */
static const char *const numastat_names[PROC_NUMA_ITEMS] = {
    "numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node"};

void proc_put_node_numastat(struct sink *out, const struct proc_node *node)
{
    uint64_t zone[PROC_ZONE_ITEMS] = {0}, numa[PROC_NUMA_ITEMS] = {0};
    sum_zones(node, zone, numa);
    put_items(out, numastat_names, numa, PROC_NUMA_ITEMS);
}
