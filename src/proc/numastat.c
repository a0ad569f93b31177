/* numastat.c: the tables of numastat(8): allocations by node, and with -m the memory of each node.
 *
 * The layout is that of numactl 2.0.16 when its output is no terminal: a label of 16 columns, then
 * 16 columns a node. -m shows MB with two digits and a column for all nodes; huge pages count as the
 * 2 MiB they are.
 */
#include "proc/text.h"

#include <inttypes.h>

#define COLUMN 16

static const char *const counts[PROC_NUMA_ITEMS] = {"numa_hit",       "numa_miss",  "numa_foreign",
                                                    "interleave_hit", "local_node", "other_node"};

static void put_header(struct sink *out, const char *format, unsigned nid)
{
    char name[24];
    snprintf(name, sizeof name, format, nid);
    sink_fmt(out, "%*s", COLUMN, name);
}

static uint64_t count_of(const struct proc_node *node, unsigned item)
{
    uint64_t n = 0;
    for (unsigned z = 0; z < PROC_ZONES; z++)
        n += node->zone[z].numa[item];
    return n;
}

void proc_put_numastat(struct sink *out, const struct proc_node *nodes, unsigned n)
{
    sink_fmt(out, "%-*s", COLUMN, "");
    for (unsigned i = 0; i < n; i++)
        put_header(out, "node%u", nodes[i].nid);
    sink_char(out, '\n');
    for (unsigned item = 0; item < PROC_NUMA_ITEMS; item++) {
        sink_fmt(out, "%-*s", COLUMN, counts[item]);
        for (unsigned i = 0; i < n; i++)
            sink_fmt(out, "%*" PRIu64, COLUMN, count_of(&nodes[i], item));
        sink_char(out, '\n');
    }
}

/* -- numastat -m --------------------------------------------------------------------------------- */

#define ROW(ident) PROC_NODE_MEM_##ident
/* The rows numastat knows, in its order: it leaves out SwapCached and what is newer. */
static const uint8_t memory_rows[] = {
    ROW(MEMTOTAL),        ROW(MEMFREE),        ROW(MEMUSED),        ROW(ACTIVE),
    ROW(INACTIVE),        ROW(ACTIVE_ANON),    ROW(INACTIVE_ANON),  ROW(ACTIVE_FILE),
    ROW(INACTIVE_FILE),   ROW(UNEVICTABLE),    ROW(MLOCKED),        ROW(DIRTY),
    ROW(WRITEBACK),       ROW(FILEPAGES),      ROW(MAPPED),         ROW(ANONPAGES),
    ROW(SHMEM),           ROW(KERNELSTACK),    ROW(PAGETABLES),     ROW(NFS_UNSTABLE),
    ROW(BOUNCE),          ROW(WRITEBACKTMP),   ROW(SLAB),           ROW(SRECLAIMABLE),
    ROW(SUNRECLAIM),      ROW(ANONHUGEPAGES),  ROW(SHMEMHUGEPAGES), ROW(SHMEMPMDMAPPED),
    ROW(HUGEPAGES_TOTAL), ROW(HUGEPAGES_FREE), ROW(HUGEPAGES_SURP), ROW(KRECLAIMABLE),
};

static double megabytes(const struct proc_node_meminfo *m, unsigned row)
{
    bool huge =
        row == ROW(HUGEPAGES_TOTAL) || row == ROW(HUGEPAGES_FREE) || row == ROW(HUGEPAGES_SURP);
    return huge ? (double)(m->v[row] * 2) : (double)m->v[row] / 1024;
}

static void put_memory_header(struct sink *out, const struct proc_node_meminfo *nodes, unsigned n)
{
    sink_fmt(out, "\nPer-node system memory usage (in MBs):\n%-*s", COLUMN, "");
    for (unsigned i = 0; i < n; i++)
        put_header(out, "Node %u", nodes[i].nid);
    sink_fmt(out, "%*s\n%-*s", COLUMN, "Total", COLUMN, "");
    for (unsigned i = 0; i <= n; i++)
        sink_text(out, " ---------------");
    sink_char(out, '\n');
}

void proc_put_numastat_m(struct sink *out, const struct proc_node_meminfo *nodes, unsigned n)
{
    put_memory_header(out, nodes, n);
    for (unsigned r = 0; r < sizeof memory_rows; r++) {
        double total = 0;
        sink_fmt(out, "%-*s", COLUMN, proc_node_mem_name(memory_rows[r]));
        for (unsigned i = 0; i < n; i++) {
            double mb = megabytes(&nodes[i], memory_rows[r]);
            total += mb;
            sink_fmt(out, "%*.2f", COLUMN, mb);
        }
        sink_fmt(out, "%*.2f\n", COLUMN, total);
    }
}
