/* machine.c: the numbers of a whole machine: zones and nodes, vmstat, meminfo.
 *
 *   phys: zones, per-CPU lists, owners ──┐
 *   mm:   node items, LRU lists by zone ─┼─► struct proc_node ─┬─► buddyinfo, zoneinfo, numastat …
 *   stat: events ────────────────────────┘                     └─► vmstat, meminfo: sums over nodes
 *
 * Invariants:
 *  I1  What two files show is taken from one value, so they cannot disagree.
 *
 * Source: Linux 6.18 mm/vmstat.c, mm/show_mem.c (si_mem_available), fs/proc/meminfo.c,
 * drivers/base/node.c.
 */
#include "proc/gather.h"

#include "mm/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KB(pages)           ((pages) << (PAGE_SHIFT - 10))
#define THP_PAGES           512u
#define MAX_RECLAIM_RETRIES 16u /* of kswapd, before it gives a node up */
/* ZONE_MOVABLE has the least watermark there is, also when it is empty. */
#define MOVABLE_WMARK 32u

_Static_assert((int)PROC_NODE_ITEMS == (int)NODE_STAT_NR, "the rows of vmstat are those of mm");
_Static_assert((int)PROC_NUMA_ITEMS == (int)NUMA_NR, "and of phys");
_Static_assert((int)PROC_TYPES == (int)MIGRATE_TYPES, "and the migrate types");

static const char *const zone_names[PROC_ZONES] = {"DMA", "DMA32", "Normal", "Movable", "Device"};

/* -- zones --------------------------------------------------------------------------------------- */

static void put_zone_items(struct proc_zone *to, const struct phys_zone_info *z,
                           const struct mm_node *node, unsigned zone)
{
    const uint64_t *lists = node->lru.zone[zone];
    to->item[PROC_ZONE_nr_free_pages] = z->free;
    to->item[PROC_ZONE_nr_free_pages_blocks] = z->free_blocks;
    to->item[PROC_ZONE_nr_zone_inactive_anon] = lists[LRU_INACTIVE_ANON];
    to->item[PROC_ZONE_nr_zone_active_anon] = lists[LRU_ACTIVE_ANON];
    to->item[PROC_ZONE_nr_zone_inactive_file] = lists[LRU_INACTIVE_FILE];
    to->item[PROC_ZONE_nr_zone_active_file] = lists[LRU_ACTIVE_FILE];
    to->item[PROC_ZONE_nr_zone_unevictable] = lists[LRU_UNEVICTABLE];
    to->item[PROC_ZONE_nr_mlock] = node->mlocked[zone];
}

static void put_zone(struct proc_zone *to, const struct phys_zone_info *z)
{
    to->free = z->free;
    to->boost = z->boost;
    to->min = z->min;
    to->low = z->low;
    to->high = z->high;
    to->promo = z->promo;
    to->spanned = z->spanned;
    to->present = z->present;
    to->managed = z->managed;
    to->start_pfn = z->start_pfn;
    memcpy(to->protection, z->protection, sizeof to->protection);
    memcpy(to->numa, z->numa, sizeof to->numa);
    memcpy(to->blocks, z->blocks, sizeof to->blocks);
    memcpy(to->pageblocks, z->pageblocks, sizeof to->pageblocks);
}

static void put_sets(struct proc_pageset *to, const struct phys *p, unsigned nid, enum zone_id zone,
                     uint64_t threshold)
{
    for (unsigned cpu = 0; cpu < phys_cpus(p); cpu++) {
        struct phys_pcp_info i;
        phys_pcp_info(p, nid, zone, cpu, &i);
        to[cpu] =
            (struct proc_pageset){i.count, i.high, i.batch, i.high_min, i.high_max, threshold};
    }
}

static void fill_zone(struct proc_zone *to, const struct proc_machine *m, unsigned nid,
                      unsigned zone, struct proc_pageset *sets)
{
    struct phys_zone_info z;
    to->name = zone_names[zone];
    if (zone >= ZONE_NR) {
        uint64_t mark = zone == ZONE_NR ? MOVABLE_WMARK : 0;
        to->min = to->low = to->high = to->promo = mark;
        return;
    }
    phys_zone_info(m->phys, nid, (enum zone_id)zone, &z);
    put_zone(to, &z);
    put_zone_items(to, &z, mm_node(m->sys, nid), zone);
    put_sets(sets, m->phys, nid, (enum zone_id)zone, z.stat_threshold);
    to->unreclaimable = mm_node(m->sys, nid)->kswapd_failures >= MAX_RECLAIM_RETRIES;
    to->sets = sets;
    to->n_sets = phys_cpus(m->phys);
}

/* -- nodes --------------------------------------------------------------------------------------- */

/* Items that are counted in pages and shown in huge pages (vmstat_item_print_in_thp). */
static bool shown_in_thp(unsigned item)
{
    return item == PROC_NODE_nr_anon_transparent_hugepages || item == PROC_NODE_nr_file_hugepages ||
           item == PROC_NODE_nr_shmem_hugepages || item == PROC_NODE_nr_shmem_pmdmapped ||
           item == PROC_NODE_nr_file_pmdmapped;
}

static void fill_items(struct proc_node *to, const struct proc_machine *m)
{
    struct mm_node_stat stat;
    struct phys_node_info node;
    mm_node_stats(m->sys, to->nid, &stat);
    phys_node_info(m->phys, to->nid, &node);
    for (unsigned i = 0; i < PROC_NODE_ITEMS; i++)
        to->item[i] = shown_in_thp(i) ? stat.v[i] / THP_PAGES : stat.v[i];
    to->item[PROC_NODE_nr_page_table_pages] = node.owned[FRAME_PAGE_TABLE];
    to->item[PROC_NODE_nr_kernel_stack] = KB(node.owned[FRAME_KERNEL_STACK]);
    to->item[PROC_NODE_nr_slab_unreclaimable] = node.owned[FRAME_SLAB];
}

int proc_nodes_open(struct proc_nodes *ret, const struct proc_machine *m)
{
    unsigned n = phys_nodes(m->phys), cpus = phys_cpus(m->phys);
    struct proc_nodes nodes = {calloc(n, sizeof(*nodes.node)),
                               calloc((size_t)n * ZONE_NR * cpus, sizeof(*nodes.sets)), n};
    if (nodes.node == NULL || nodes.sets == NULL) {
        proc_nodes_close(&nodes);
        return -ENOMEM;
    }
    uint64_t pending[MM_NODES_MAX][ZONE_NR] = {{0}};
    mm_write_pending(m->sys, pending);
    for (unsigned nid = 0; nid < n; nid++) {
        nodes.node[nid].nid = nid;
        fill_items(&nodes.node[nid], m);
        for (unsigned z = 0; z < PROC_ZONES; z++)
            fill_zone(&nodes.node[nid].zone[z], m, nid, z,
                      &nodes.sets[z < ZONE_NR ? (nid * ZONE_NR + z) * cpus : 0]);
        for (unsigned z = 0; z < ZONE_NR; z++)
            nodes.node[nid].zone[z].item[PROC_ZONE_nr_zone_write_pending] = pending[nid][z];
    }
    *ret = nodes;
    return 0;
}

void proc_nodes_close(struct proc_nodes *nodes)
{
    free(nodes->node);
    free(nodes->sets);
    *nodes = (struct proc_nodes){0};
}

/* -- sums ---------------------------------------------------------------------------------------- */

static void add_zones(const struct proc_node *node, uint64_t *item, uint64_t *numa)
{
    for (unsigned z = 0; z < PROC_ZONES; z++) {
        for (unsigned i = 0; i < PROC_ZONE_ITEMS; i++)
            item[i] += node->zone[z].item[i];
        for (unsigned i = 0; numa != NULL && i < PROC_NUMA_ITEMS; i++)
            numa[i] += node->zone[z].numa[i];
    }
}

/* All nodes as one: the items of struct proc_node in pages, and of its zones. */
struct totals {
    uint64_t zone[PROC_ZONE_ITEMS], numa[PROC_NUMA_ITEMS], node[PROC_NODE_ITEMS];
    uint64_t managed, low;
};

static void sum_nodes(struct totals *t, const struct proc_node *nodes, unsigned n)
{
    *t = (struct totals){0};
    for (unsigned i = 0; i < n; i++) {
        add_zones(&nodes[i], t->zone, t->numa);
        for (unsigned k = 0; k < PROC_NODE_ITEMS; k++)
            t->node[k] += nodes[i].item[k];
        for (unsigned z = 0; z < PROC_ZONES; z++) {
            t->managed += nodes[i].zone[z].managed;
            t->low += nodes[i].zone[z].low;
        }
    }
}

uint64_t proc_available(const struct proc_memory *m)
{
    uint64_t cache = m->active_file + m->inactive_file;
    int64_t pages = (int64_t)m->free - (int64_t)m->totalreserve;
    pages += (int64_t)(cache - min_u64(cache / 2, m->low));
    pages += (int64_t)(m->reclaimable - min_u64(m->reclaimable / 2, m->low));
    return pages > 0 ? (uint64_t)pages : 0;
}

static struct proc_memory memory_of(const struct proc_machine *m, const struct totals *t)
{
    return (struct proc_memory){
        .free = t->zone[PROC_ZONE_nr_free_pages],
        .totalreserve = phys_totalreserve(m->phys),
        .low = t->low,
        .active_file = t->node[PROC_NODE_nr_active_file],
        .inactive_file = t->node[PROC_NODE_nr_inactive_file],
        .reclaimable =
            t->node[PROC_NODE_nr_slab_reclaimable] + t->node[PROC_NODE_nr_kernel_misc_reclaimable],
    };
}

/* -- vmstat -------------------------------------------------------------------------------------- */

void proc_vmstat_of(const struct proc_machine *m, const struct proc_nodes *nodes,
                    struct proc_vmstat *ret)
{
    struct totals t;
    sum_nodes(&t, nodes->node, nodes->n);
    *ret = (struct proc_vmstat){0};
    memcpy(ret->zone, t.zone, sizeof ret->zone);
    memcpy(ret->numa, t.numa, sizeof ret->numa);
    memcpy(ret->node, t.node, sizeof ret->node);
    mm_dirty_limits(m->sys, &ret->other[PROC_OTHER_nr_dirty_threshold],
                    &ret->other[PROC_OTHER_nr_dirty_background_threshold]);
    ret->other[PROC_OTHER_nr_memmap_boot_pages] = phys_owner_frames(m->phys, FRAME_MEMMAP);
    for (unsigned i = 0; i < PROC_EVENTS; i++) {
        int id = stat_find(proc_event_name((enum proc_event)i));
        ret->event[i] = id >= 0 ? m->stats->v[id] : 0;
    }
}

/* -- meminfo ------------------------------------------------------------------------------------- */

/* Rows that both meminfo and a node's have: sums of items of the node. */
static const struct {
    uint8_t mem, node_mem, item;
    uint16_t kb; /* of one */
} item_rows[] = {
#define ROW(name, item, kb)                                                                        \
    {                                                                                              \
        PROC_MEM_##name, PROC_NODE_MEM_##name, PROC_NODE_##item, kb                                \
    }
    ROW(ACTIVE, nr_active_anon, 4),
    ROW(ACTIVE, nr_active_file, 4),
    ROW(INACTIVE, nr_inactive_anon, 4),
    ROW(INACTIVE, nr_inactive_file, 4),
    ROW(ACTIVE_ANON, nr_active_anon, 4),
    ROW(INACTIVE_ANON, nr_inactive_anon, 4),
    ROW(ACTIVE_FILE, nr_active_file, 4),
    ROW(INACTIVE_FILE, nr_inactive_file, 4),
    ROW(SWAPCACHED, nr_swapcached, 4),
    ROW(UNEVICTABLE, nr_unevictable, 4),
    ROW(DIRTY, nr_dirty, 4),
    ROW(WRITEBACK, nr_writeback, 4),
    ROW(ANONPAGES, nr_anon_pages, 4),
    ROW(MAPPED, nr_mapped, 4),
    ROW(SHMEM, nr_shmem, 4),
    ROW(KRECLAIMABLE, nr_slab_reclaimable, 4),
    ROW(KRECLAIMABLE, nr_kernel_misc_reclaimable, 4),
    ROW(SLAB, nr_slab_reclaimable, 4),
    ROW(SLAB, nr_slab_unreclaimable, 4),
    ROW(SRECLAIMABLE, nr_slab_reclaimable, 4),
    ROW(SUNRECLAIM, nr_slab_unreclaimable, 4),
    ROW(KERNELSTACK, nr_kernel_stack, 1),
    ROW(PAGETABLES, nr_page_table_pages, 4),
    ROW(ANONHUGEPAGES, nr_anon_transparent_hugepages, 4 * THP_PAGES),
    ROW(SHMEMHUGEPAGES, nr_shmem_hugepages, 4 * THP_PAGES),
    ROW(SHMEMPMDMAPPED, nr_shmem_pmdmapped, 4 * THP_PAGES),
    ROW(FILEHUGEPAGES, nr_file_hugepages, 4 * THP_PAGES),
    ROW(FILEPMDMAPPED, nr_file_pmdmapped, 4 * THP_PAGES),
#undef ROW
};

static void put_items(uint64_t *v, const struct totals *t, bool of_node)
{
    for (size_t i = 0; i < ARRAY_LEN(item_rows); i++)
        v[of_node ? item_rows[i].node_mem : item_rows[i].mem] +=
            t->node[item_rows[i].item] * item_rows[i].kb;
}

#define VMALLOC_KB_4LEVEL UINT64_C(34359738367)    /* 32 TiB less a byte */
#define VMALLOC_KB_5LEVEL UINT64_C(13743895347199) /* 12.5 PiB less a byte */

/* The direct map of a machine that was just booted: pages of 2 MiB up to 1 GiB, then of 1 GiB; what
 * they do not fill in pages of 2 MiB and 4 KiB. */
static void put_direct_map(struct proc_meminfo *r, uint64_t bytes)
{
    uint64_t huge = bytes > GIB(1) ? align_down(bytes, GIB(1)) - GIB(1) : 0;
    uint64_t rest = bytes - huge, large = align_down(rest, MIB(2));
    r->v[PROC_MEM_DIRECTMAP1G] = huge >> 10;
    r->v[PROC_MEM_DIRECTMAP2M] = large >> 10;
    r->v[PROC_MEM_DIRECTMAP4K] = (rest - large) >> 10;
}

/* hugetlb_report_meminfo: pages of the default size, then the memory of all sizes. */
static void put_hugetlb(struct proc_meminfo *r, const struct mm_sys *s)
{
    struct mm_hugetlb_info i;
    for (int size = 0; size < MM_HUGETLB_NR; size++) {
        mm_hugetlb_info(s, (enum mm_hugetlb_size)size, &i);
        r->v[PROC_MEM_HUGETLB] += i.nr * (i.bytes >> 10);
    }
    mm_hugetlb_info(s, MM_HUGETLB_2M, &i);
    r->v[PROC_MEM_HUGEPAGES_TOTAL] = i.nr;
    r->v[PROC_MEM_HUGEPAGES_FREE] = i.free;
    r->v[PROC_MEM_HUGEPAGES_RSVD] = i.resv;
    r->v[PROC_MEM_HUGEPAGES_SURP] = i.surplus;
    r->v[PROC_MEM_HUGEPAGESIZE] = i.bytes >> 10;
}

void proc_meminfo_of(const struct proc_machine *m, const struct proc_nodes *nodes,
                     struct proc_meminfo *ret)
{
    struct totals t;
    sum_nodes(&t, nodes->node, nodes->n);
    *ret = (struct proc_meminfo){0};
    put_items(ret->v, &t, false);
    ret->v[PROC_MEM_MEMTOTAL] = KB(t.managed);
    ret->v[PROC_MEM_MEMFREE] = KB(t.zone[PROC_ZONE_nr_free_pages]);
    ret->v[PROC_MEM_MLOCKED] = KB(t.zone[PROC_ZONE_nr_mlock]);
    struct proc_memory memory = memory_of(m, &t);
    ret->v[PROC_MEM_MEMAVAILABLE] = KB(proc_available(&memory));
    ret->v[PROC_MEM_CACHED] = KB(t.node[PROC_NODE_nr_file_pages] - t.node[PROC_NODE_nr_swapcached]);
    ret->v[PROC_MEM_SWAPTOTAL] = KB(mm_swap_total(m->sys));
    ret->v[PROC_MEM_SWAPFREE] = KB(mm_swap_free(m->sys));
    ret->v[PROC_MEM_COMMITLIMIT] = KB(mm_commit_limit(m->sys));
    ret->v[PROC_MEM_COMMITTED_AS] = KB(mm_committed(m->sys));
    ret->v[PROC_MEM_VMALLOCTOTAL] =
        m->conf->mmu_levels == 5 ? VMALLOC_KB_5LEVEL : VMALLOC_KB_4LEVEL;
    ret->v[PROC_MEM_VMALLOCUSED] = KB(phys_owner_frames(m->phys, FRAME_VMALLOC)) +
                                   (m->conf->kernel_stack == 0 ? ret->v[PROC_MEM_KERNELSTACK] : 0);
    put_hugetlb(ret, m->sys);
    put_direct_map(ret, m->conf->phys_size);
}

void proc_node_meminfo_of(const struct proc_machine *m, const struct proc_node *node,
                          struct proc_node_meminfo *ret)
{
    struct mm_hugetlb_info huge;
    struct totals t;
    sum_nodes(&t, node, 1);
    *ret = (struct proc_node_meminfo){.nid = node->nid};
    put_items(ret->v, &t, true);
    ret->v[PROC_NODE_MEM_MEMTOTAL] = KB(t.managed);
    ret->v[PROC_NODE_MEM_MEMFREE] = KB(t.zone[PROC_ZONE_nr_free_pages]);
    ret->v[PROC_NODE_MEM_MLOCKED] = KB(t.zone[PROC_ZONE_nr_mlock]);
    mm_hugetlb_node(m->sys, node->nid, &huge);
    ret->v[PROC_NODE_MEM_HUGEPAGES_TOTAL] = huge.nr;
    ret->v[PROC_NODE_MEM_HUGEPAGES_FREE] = huge.free;
    ret->v[PROC_NODE_MEM_HUGEPAGES_SURP] = huge.surplus;
    ret->v[PROC_NODE_MEM_MEMUSED] = ret->v[PROC_NODE_MEM_MEMTOTAL] - ret->v[PROC_NODE_MEM_MEMFREE];
    ret->v[PROC_NODE_MEM_FILEPAGES] = KB(node->item[PROC_NODE_nr_file_pages]);
}
