/* zones.c: buddyinfo, pagetypeinfo, zoneinfo and the fragmentation indexes of debugfs.
 *
 * Zones are printed node by node, lowest first; all but zoneinfo leave out a zone without memory.
 * Source: Linux 6.18 mm/vmstat.c (frag_show, pagetypeinfo_show, zoneinfo_show_print,
 * unusable_show, extfrag_show).
 */
#include "policy/frag.h"
#include "proc/text.h"

#include <inttypes.h>
#include <string.h>

static const char *const type_names[PROC_TYPES] = {"Unmovable", "Movable", "Reclaimable",
                                                   "HighAtomic", "Isolate"};
static bool populated(const struct proc_zone *z)
{
    return z->present != 0;
}

uint64_t proc_zone_free_blocks(const struct proc_zone *z, unsigned order)
{
    uint64_t n = 0;
    for (unsigned t = 0; t < PROC_TYPES; t++)
        n += z->blocks[t][order];
    return n;
}

/* -- one line a zone ----------------------------------------------------------------------------- */

void proc_put_buddyinfo(struct sink *out, const struct proc_node *nodes, unsigned n)
{
    for (unsigned i = 0; i < n * PROC_ZONES; i++) {
        const struct proc_node *node = &nodes[i / PROC_ZONES];
        const struct proc_zone *z = &node->zone[i % PROC_ZONES];
        if (!populated(z))
            continue;
        sink_fmt(out, "Node %u, zone %8s ", node->nid, z->name);
        for (unsigned order = 0; order < PROC_ORDERS; order++)
            sink_fmt(out, "%6" PRIu64 " ", proc_zone_free_blocks(z, order));
        sink_char(out, '\n');
    }
}

static struct contig contig_of(const struct proc_zone *z, unsigned order)
{
    struct contig c = {0, 0, 0};
    for (unsigned o = 0; o < PROC_ORDERS; o++)
        contig_add(&c, o, proc_zone_free_blocks(z, o), order);
    return c;
}

static void put_indexes(struct sink *out, const struct proc_node *nodes, unsigned n, bool extfrag)
{
    for (unsigned i = 0; i < n * PROC_ZONES; i++) {
        const struct proc_node *node = &nodes[i / PROC_ZONES];
        const struct proc_zone *z = &node->zone[i % PROC_ZONES];
        if (!populated(z))
            continue;
        sink_fmt(out, "Node %u, zone %8s ", node->nid, z->name);
        for (unsigned order = 0; order < PROC_ORDERS; order++) {
            struct contig c = contig_of(z, order);
            int v = extfrag ? fragmentation_index(&c, order) : unusable_free_index(&c, order);
            sink_fmt(out, extfrag ? "%2d.%03d " : "%d.%03d ", v / 1000, v % 1000);
        }
        sink_char(out, '\n');
    }
}

void proc_put_unusable_index(struct sink *out, const struct proc_node *nodes, unsigned n)
{
    put_indexes(out, nodes, n, false);
}

void proc_put_extfrag_index(struct sink *out, const struct proc_node *nodes, unsigned n)
{
    put_indexes(out, nodes, n, true);
}

/* -- pagetypeinfo -------------------------------------------------------------------------------- */

#define FREECOUNT_MAX 100000 /* the kernel stops counting a list here */

static void put_free_by_type(struct sink *out, unsigned nid, const struct proc_zone *z)
{
    for (unsigned t = 0; t < PROC_TYPES; t++) {
        sink_fmt(out, "Node %4u, zone %8s, type %12s ", nid, z->name, type_names[t]);
        for (unsigned order = 0; order < PROC_ORDERS; order++) {
            bool over = z->blocks[t][order] >= FREECOUNT_MAX;
            sink_fmt(out, "%s%6" PRIu64 " ", over ? ">" : "",
                     over ? FREECOUNT_MAX : z->blocks[t][order]);
        }
        sink_char(out, '\n');
    }
}

static void put_pageblocks(struct sink *out, unsigned nid, const struct proc_zone *z)
{
    sink_fmt(out, "Node %u, zone %8s ", nid, z->name);
    for (unsigned t = 0; t < PROC_TYPES; t++)
        sink_fmt(out, "%12" PRIu64 " ", z->pageblocks[t]);
    sink_char(out, '\n');
}

void proc_put_pagetypeinfo(struct sink *out, const struct proc_node *nodes, unsigned n)
{
    sink_text(out, "Page block order: 9\nPages per block:  512\n\n");
    sink_fmt(out, "%-43s ", "Free pages count per migrate type at order");
    for (unsigned order = 0; order < PROC_ORDERS; order++)
        sink_fmt(out, "%6u ", order);
    sink_char(out, '\n');
    for (unsigned i = 0; i < n * PROC_ZONES; i++)
        if (populated(&nodes[i / PROC_ZONES].zone[i % PROC_ZONES]))
            put_free_by_type(out, nodes[i / PROC_ZONES].nid,
                             &nodes[i / PROC_ZONES].zone[i % PROC_ZONES]);
    sink_fmt(out, "\n%-23s", "Number of blocks type ");
    for (unsigned t = 0; t < PROC_TYPES; t++)
        sink_fmt(out, "%12s ", type_names[t]);
    sink_char(out, '\n');
    for (unsigned i = 0; i < n * PROC_ZONES; i++)
        if (populated(&nodes[i / PROC_ZONES].zone[i % PROC_ZONES]))
            put_pageblocks(out, nodes[i / PROC_ZONES].nid,
                           &nodes[i / PROC_ZONES].zone[i % PROC_ZONES]);
}

/* -- zoneinfo ------------------------------------------------------------------------------------ */

static void put_items(struct sink *out, const char *const *names, const uint64_t *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sink_fmt(out, "\n      %-12s %" PRIu64, names[i], v[i]);
}

static void put_watermarks(struct sink *out, const struct proc_zone *z)
{
    sink_fmt(out, "\n  pages free     %" PRIu64, z->free);
    sink_fmt(out, "\n        boost    %" PRIu64, z->boost);
    sink_fmt(out, "\n        min      %" PRIu64, z->min);
    sink_fmt(out, "\n        low      %" PRIu64, z->low);
    sink_fmt(out, "\n        high     %" PRIu64, z->high);
    sink_fmt(out, "\n        promo    %" PRIu64, z->promo);
    sink_fmt(out, "\n        spanned  %" PRIu64, z->spanned);
    sink_fmt(out, "\n        present  %" PRIu64, z->present);
    sink_fmt(out, "\n        managed  %" PRIu64, z->managed);
    sink_fmt(out, "\n        cma      %" PRIu64, z->cma);
    sink_fmt(out, "\n        protection: (%" PRIu64, z->protection[0]);
    for (unsigned i = 1; i < PROC_ZONES; i++)
        sink_fmt(out, ", %" PRIu64, z->protection[i]);
    sink_char(out, ')');
}

static void put_pagesets(struct sink *out, const struct proc_zone *z)
{
    sink_text(out, "\n  pagesets");
    for (unsigned i = 0; i < z->n_sets; i++) {
        const struct proc_pageset *s = &z->sets[i];
        sink_fmt(out, "\n    cpu: %u", i);
        sink_fmt(out, "\n              count:    %" PRIu64, s->count);
        sink_fmt(out, "\n              high:     %" PRIu64, s->high);
        sink_fmt(out, "\n              batch:    %" PRIu64, s->batch);
        sink_fmt(out, "\n              high_min: %" PRIu64, s->high_min);
        sink_fmt(out, "\n              high_max: %" PRIu64, s->high_max);
        sink_fmt(out, "\n  vm stats threshold: %" PRIu64, s->threshold);
    }
    sink_fmt(out, "\n  node_unreclaimable:  %" PRIu64, z->unreclaimable);
    sink_fmt(out, "\n  start_pfn:           %" PRIu64, z->start_pfn);
}

static void put_zone(struct sink *out, const struct proc_node *node, const struct proc_zone *z,
                     bool first)
{
    sink_fmt(out, "Node %u, zone %8s", node->nid, z->name);
    if (first) {
        sink_text(out, "\n  per-node stats");
        put_items(out, proc_node_items, node->item, PROC_NODE_ITEMS);
    }
    put_watermarks(out, z);
    if (populated(z)) {
        put_items(out, proc_zone_items, z->item, PROC_ZONE_ITEMS);
        put_items(out, proc_numa_items, z->numa, PROC_NUMA_ITEMS);
        put_pagesets(out, z);
    }
    sink_char(out, '\n');
}

void proc_put_zoneinfo(struct sink *out, const struct proc_node *nodes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        bool told = false; /* the node's own lines stand in its first zone with memory */
        for (unsigned z = 0; z < PROC_ZONES; z++) {
            const struct proc_zone *zone = &nodes[i].zone[z];
            put_zone(out, &nodes[i], zone, populated(zone) && !told);
            told = told || populated(zone);
        }
    }
}
