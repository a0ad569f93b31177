/* node.h: what the modelled kernel keeps per NUMA node: LRU lists and the node's counters.
 *
 *                   first touch                 referenced twice
 *   folio ─► batch of a CPU ─► inactive list ─────────────────► active list
 *                                  │   ▲────────────────────────────┘ shrink_active_list
 *                                  ▼ shrink_inactive_list
 *                               evicted: swap slot, shadow entry
 *   mlocked folios stand on no list: they are counted as unevictable, and link_prev is their
 *   mlock_count.
 *
 * Source: Linux 6.18 include/linux/mmzone.h (enum node_stat_item, struct lruvec), mm/vmstat.c.
 */
#ifndef MM_NODE_H
#define MM_NODE_H

#include "phys/phys.h"

#define MM_NODES_MAX 64u /* NUMA nodes of a machine */

/* One row per item of /proc/vmstat's node part, in its order. */
#define NODE_STATS(ROW)                                                                            \
    ROW(nr_inactive_anon)                                                                          \
    ROW(nr_active_anon)                                                                            \
    ROW(nr_inactive_file)                                                                          \
    ROW(nr_active_file)                                                                            \
    ROW(nr_unevictable)                                                                            \
    ROW(nr_slab_reclaimable)                                                                       \
    ROW(nr_slab_unreclaimable)                                                                     \
    ROW(nr_isolated_anon)                                                                          \
    ROW(nr_isolated_file)                                                                          \
    ROW(workingset_nodes)                                                                          \
    ROW(workingset_refault_anon)                                                                   \
    ROW(workingset_refault_file)                                                                   \
    ROW(workingset_activate_anon)                                                                  \
    ROW(workingset_activate_file)                                                                  \
    ROW(workingset_restore_anon)                                                                   \
    ROW(workingset_restore_file)                                                                   \
    ROW(workingset_nodereclaim)                                                                    \
    ROW(nr_anon_pages)                                                                             \
    ROW(nr_mapped)                                                                                 \
    ROW(nr_file_pages)                                                                             \
    ROW(nr_dirty)                                                                                  \
    ROW(nr_writeback)                                                                              \
    ROW(nr_shmem)                                                                                  \
    ROW(nr_shmem_hugepages)                                                                        \
    ROW(nr_shmem_pmdmapped)                                                                        \
    ROW(nr_file_hugepages)                                                                         \
    ROW(nr_file_pmdmapped)                                                                         \
    ROW(nr_anon_transparent_hugepages)                                                             \
    ROW(nr_vmscan_write)                                                                           \
    ROW(nr_vmscan_immediate_reclaim)                                                               \
    ROW(nr_dirtied)                                                                                \
    ROW(nr_written)                                                                                \
    ROW(nr_throttled_written)                                                                      \
    ROW(nr_kernel_misc_reclaimable)                                                                \
    ROW(nr_foll_pin_acquired)                                                                      \
    ROW(nr_foll_pin_released)                                                                      \
    ROW(nr_kernel_stack)                                                                           \
    ROW(nr_page_table_pages)                                                                       \
    ROW(nr_sec_page_table_pages)                                                                   \
    ROW(nr_iommu_pages)                                                                            \
    ROW(nr_swapcached)                                                                             \
    ROW(pgpromote_success)                                                                         \
    ROW(pgpromote_candidate)                                                                       \
    ROW(pgpromote_candidate_nrl)                                                                   \
    ROW(pgdemote_kswapd)                                                                           \
    ROW(pgdemote_direct)                                                                           \
    ROW(pgdemote_khugepaged)                                                                       \
    ROW(pgdemote_proactive)                                                                        \
    ROW(nr_hugetlb)                                                                                \
    ROW(nr_balloon_pages)                                                                          \
    ROW(nr_kernel_file_pages)

enum node_stat_item {
#define ROW(name) NODE_##name,
    NODE_STATS(ROW)
#undef ROW
        NODE_STAT_NR
};

/* Pages, but for nr_kernel_stack (KiB) and the events (workingset_…, pg…). */
struct mm_node_stat {
    uint64_t v[NODE_STAT_NR];
};

enum lru_list {
    LRU_INACTIVE_ANON, /* in the order of nr_inactive_anon … nr_unevictable */
    LRU_ACTIVE_ANON,
    LRU_INACTIVE_FILE,
    LRU_ACTIVE_FILE,
    LRU_UNEVICTABLE,
    NR_LRU_LISTS
};

/* A list through link_next and link_prev of folio heads: newest at the head. */
struct lru_head {
    uint32_t head, tail; /* frame number + 1; 0 = empty */
};

/* The lists of one node. */
struct lruvec {
    struct lru_head lists[NR_LRU_LISTS];  /* that of LRU_UNEVICTABLE stays empty */
    uint64_t zone[ZONE_NR][NR_LRU_LISTS]; /* nr_zone_inactive_anon …: pages by zone */
    uint64_t anon_cost, file_cost;        /* what reclaiming each kind cost of late */
    uint64_t nonresident_age;             /* evictions and activations so far: the refault clock */
    uint64_t refaults[2];                 /* workingset_activate_anon, _file when last looked at */
};

/* A node. */
struct mm_node {
    struct lruvec lru;         /* owner: lru.c, reclaim.c, workingset.c */
    struct mm_node_stat stat;  /* kept items; the derived ones are 0 here: mm_node_stats */
    uint64_t mlocked[ZONE_NR]; /* nr_mlock: pages by zone */
    unsigned kswapd_failures;  /* runs that freed nothing; 16: hopeless */
};

struct mm_sys;
/* mm_node_stats fills in all items of a node; nid below the machine's nodes. */
void mm_node_stats(const struct mm_sys *s, unsigned nid, struct mm_node_stat *ret);
/* mm_node returns the node itself: lists and what is counted by zone. */
const struct mm_node *mm_node(const struct mm_sys *s, unsigned nid);
/* mm_node_stat_name returns "nr_inactive_anon" and so on. */
const char *mm_node_stat_name(enum node_stat_item item);

#endif
