/* node.c: NUMA nodes: which frames and CPUs belong to which, and where a request goes when its node
 * is full.
 *
 *   0        node 0             | node 1            | …        each node ends with its own memmap
 *   +-----+--------+------------+-------------------+--
 *   | DMA | DMA32  | Normal     | Normal            |
 *   +-----+--------+------------+-------------------+--
 *
 * A node's zones are its pieces of the address ranges of DMA, DMA32 and Normal; most nodes have
 * Normal only. CPUs are spread in groups of neighbours; with fewer CPUs than nodes the last nodes
 * have memory only.
 *
 * Invariants: N1 nodes lie in order and without gap, at multiples of 4 MiB. N2 fallback[] of a node
 * is a permutation of all nodes that begins with itself.
 *
 * Source: Linux 6.18 mm/page_alloc.c (build_zonelists, find_next_best_node), mm/mm_init.c.
 */
#include "phys/phys_int.h"

#define PENALTY_FOR_NODE_WITH_CPUS 1
#define MAX_NUMNODES               1024 /* Linux's, as the weight of a distance */

static unsigned best_next(const struct phys *p, unsigned nid, uint64_t used, const unsigned *load)
{
    unsigned best = 0, best_val = UINT32_MAX;
    for (unsigned n = 0; n < p->nodes_nr; n++) {
        if (used >> n & 1)
            continue;
        unsigned val = p->numa.distance[nid][n] + (n < nid);
        if (p->nodes[n].cpus != 0)
            val += PENALTY_FOR_NODE_WITH_CPUS;
        val = val * MAX_NUMNODES + load[n];
        if (val < best_val) {
            best_val = val;
            best = n;
        }
    }
    return best;
}

/* The first node of each group at equal distance is charged, so that the nodes do not all fall back
 * to the same one: `load` goes on from node to node. */
static void order_fallback(struct phys *p, unsigned nid, unsigned *load)
{
    const uint8_t *distance = p->numa.distance[nid];
    uint64_t used = BIT(nid);
    unsigned prev = nid;
    p->nodes[nid].fallback[0] = (uint8_t)nid;
    for (unsigned i = 1; i < p->nodes_nr; i++) {
        unsigned n = best_next(p, nid, used, load);
        if (distance[n] != distance[prev])
            load[n]++;
        p->nodes[nid].fallback[i] = (uint8_t)n;
        used |= BIT(n);
        prev = n;
    }
}

unsigned phys_cpu_node(const struct phys *p, unsigned cpu)
{
    CHECK(cpu < p->cpus);
    return p->cpus < p->nodes_nr ? cpu : (unsigned)((uint64_t)cpu * p->nodes_nr / p->cpus);
}

void nodes_open(struct phys *p)
{
    unsigned load[CONF_NODES_MAX] = {0};
    uint64_t at = 0;
    for (unsigned i = 0; i < p->nodes_nr; i++) {
        p->nodes[i].first = at;
        at += p->numa.size[i] >> PAGE_SHIFT;
        p->nodes[i].end = at;
    }
    for (unsigned c = 0; c < p->cpus; c++)
        p->nodes[phys_cpu_node(p, c)].cpus |= BIT(c);
    for (unsigned i = 0; i < p->nodes_nr; i++)
        order_fallback(p, i, load);
}

unsigned phys_nodes(const struct phys *p)
{
    return p->nodes_nr;
}

unsigned phys_cpus(const struct phys *p)
{
    return p->cpus;
}

unsigned phys_distance(const struct phys *p, unsigned from, unsigned to)
{
    CHECK(from < p->nodes_nr && to < p->nodes_nr);
    return p->numa.distance[from][to];
}

unsigned phys_frame_node(const struct phys *p, pfn n)
{
    CHECK(n.v < p->head.frames_nr);
    return (unsigned)(node_of(p, n.v) - p->nodes);
}

const uint8_t *phys_fallback(const struct phys *p, unsigned nid)
{
    return p->nodes[nid].fallback;
}
