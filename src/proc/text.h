/* text.h: the text of /proc and /sys files, byte for byte as Linux 6.18 prints it. Each file has a
 * plain value and a function that prints it; nobody here looks at a machine.
 *
 *   model ─► gather.h ─► struct proc_… ─► proc_put_… ─► struct sink
 *
 * Names of fields are those of the file. Text ends where the file ends.
 */
#ifndef PROC_TEXT_H
#define PROC_TEXT_H

#include "base/sink.h"
#include "base/types.h"

#include <stdbool.h>

#define PROC_ORDERS 11 /* orders 0..10 */
#define PROC_ZONES  5  /* DMA DMA32 Normal Movable Device */
#define PROC_TYPES  5  /* Unmovable Movable Reclaimable HighAtomic Isolate */
#define PROC_NODES  64 /* most nodes of a machine */

enum proc_zone_item {
#define PROC_ZONE_ITEM(name) PROC_ZONE_##name,
#include "proc/vmstat.def"
    PROC_ZONE_ITEMS
};
enum proc_numa_item {
#define PROC_NUMA_ITEM(name) PROC_NUMA_##name,
#include "proc/vmstat.def"
    PROC_NUMA_ITEMS
};
enum proc_node_item {
#define PROC_NODE_ITEM(name) PROC_NODE_##name,
#include "proc/vmstat.def"
    PROC_NODE_ITEMS
};
enum proc_other_item {
#define PROC_OTHER_ITEM(name) PROC_OTHER_##name,
#include "proc/vmstat.def"
    PROC_OTHER_ITEMS
};
enum proc_event {
#define PROC_EVENT(name) PROC_EVENT_##name,
#include "proc/vmstat.def"
    PROC_EVENTS
};

/* -- memory of the machine: buddyinfo, pagetypeinfo, zoneinfo, extfrag ------------------------- */

/* The lists of one CPU in one zone. */
struct proc_pageset {
    uint64_t count, high, batch, high_min, high_max; /* frames */
    uint64_t threshold;                              /* vm stats threshold */
};

struct proc_zone {
    const char *name;                            /* "DMA", "DMA32" … */
    uint64_t free, boost, min, low, high, promo; /* frames */
    uint64_t spanned, present, managed, cma;     /* frames; present 0: not populated */
    uint64_t protection[PROC_ZONES];             /* frames */
    uint64_t item[PROC_ZONE_ITEMS];              /* frames */
    uint64_t numa[PROC_NUMA_ITEMS];              /* allocations */
    uint64_t unreclaimable;                      /* of its node: kswapd gave up */
    uint64_t start_pfn;                          /* first frame spanned */
    uint64_t blocks[PROC_TYPES][PROC_ORDERS];    /* free blocks by migrate type and order */
    uint64_t pageblocks[PROC_TYPES];             /* pageblocks by migrate type */
    const struct proc_pageset *sets;             /* one per CPU, n_sets; NULL if none */
    unsigned n_sets;
};

struct proc_node {
    unsigned nid;
    struct proc_zone zone[PROC_ZONES];
    uint64_t item[PROC_NODE_ITEMS]; /* as vmstat shows them: frames, or kB where its name says so */
};

void proc_put_buddyinfo(struct sink *out, const struct proc_node *nodes, unsigned n);
void proc_put_pagetypeinfo(struct sink *out, const struct proc_node *nodes, unsigned n);
void proc_put_zoneinfo(struct sink *out, const struct proc_node *nodes, unsigned n);
/* debugfs extfrag: mm/vmstat.c. */
void proc_put_unusable_index(struct sink *out, const struct proc_node *nodes, unsigned n);
void proc_put_extfrag_index(struct sink *out, const struct proc_node *nodes, unsigned n);
/* proc_zone_free_blocks is what buddyinfo shows of a zone: all types together. */
uint64_t proc_zone_free_blocks(const struct proc_zone *z, unsigned order);

struct proc_vmstat {
    uint64_t zone[PROC_ZONE_ITEMS];
    uint64_t numa[PROC_NUMA_ITEMS];
    uint64_t node[PROC_NODE_ITEMS];
    uint64_t other[PROC_OTHER_ITEMS];
    uint64_t event[PROC_EVENTS];
};
void proc_put_vmstat(struct sink *out, const struct proc_vmstat *v);
/* Names vmstat and zoneinfo print: PROC_ZONE_ITEMS, PROC_NUMA_ITEMS and PROC_NODE_ITEMS of them. */
extern const char *const proc_zone_items[], *const proc_numa_items[], *const proc_node_items[];
/* proc_event_name returns the name vmstat prints for an event. */
const char *proc_event_name(enum proc_event event);

/* -- /sys/devices/system/node/nodeN */
void proc_put_node_vmstat(struct sink *out, const struct proc_node *node);
void proc_put_node_numastat(struct sink *out, const struct proc_node *node);

/* -- meminfo: kB, but for HugePages_…: pages ---------------------------------------------------- */
enum proc_mem {
#define PROC_MEM(ident, name, width) PROC_MEM_##ident,
#include "proc/meminfo.def"
    PROC_MEM_NR
};
struct proc_meminfo {
    uint64_t v[PROC_MEM_NR];
};
void proc_put_meminfo(struct sink *out, const struct proc_meminfo *m);

enum proc_node_mem {
#define PROC_NODE_MEM(ident, name, width) PROC_NODE_MEM_##ident,
#include "proc/meminfo.def"
    PROC_NODE_MEM_NR
};
struct proc_node_meminfo {
    unsigned nid;
    uint64_t v[PROC_NODE_MEM_NR];
};
void proc_put_node_meminfo(struct sink *out, const struct proc_node_meminfo *m);
const char *proc_node_mem_name(enum proc_node_mem row);

/* -- numastat(8) of the numactl package: one column a node -------------------------------------- */
void proc_put_numastat(struct sink *out, const struct proc_node *nodes, unsigned n);
/* `numastat -m`: node memory in MB, with the total. */
void proc_put_numastat_m(struct sink *out, const struct proc_node_meminfo *nodes, unsigned n);

/* -- swaps */
struct proc_swap {
    const char *path;    /* of the file or device */
    bool partition;      /* a block device */
    uint64_t size, used; /* kB, the header page not counted */
    int priority;
};
void proc_put_swaps(struct sink *out, const struct proc_swap *swaps, unsigned n);

/* -- one mapping: maps, smaps, numa_maps ---------------------------------------------------------- */
struct proc_map {
    uint64_t start, end; /* addresses */
    uint64_t flags;      /* VM_… as Linux numbers them (mm/mm.h) */
    uint64_t offset;     /* bytes; 0 for anonymous memory */
    uint32_t major, minor;
    uint64_t inode;
    const char *path;  /* of a file, " (deleted)" included; NULL without file */
    const char *label; /* "[heap]" and the like, without a file; NULL for none */
};
void proc_put_map(struct sink *out, const struct proc_map *m);

/* struct mem_size_stats: sums over the pages of a mapping, or of all of them. */
struct proc_smaps {
    uint64_t size, kernel_page, mmu_page;                                           /* bytes */
    uint64_t rss, shared_clean, shared_dirty, private_clean, private_dirty;         /* bytes */
    uint64_t referenced, anonymous, ksm, lazyfree;                                  /* bytes */
    uint64_t anon_huge, shmem_pmd, file_pmd, shared_hugetlb, private_hugetlb, swap; /* bytes */
    /* Shares: bytes << PROC_PSS_SHIFT, so that a third of a page is not lost. */
    uint64_t pss, pss_dirty, pss_anon, pss_file, pss_shmem, pss_locked, swap_pss;
    bool thp_eligible;
    bool pkeys;   /* the machine has protection keys: their line is printed */
    uint8_t pkey; /* of this mapping */
};
#define PROC_PSS_SHIFT 12
/* One mapping of smaps, its maps line included. */
void proc_put_smaps(struct sink *out, const struct proc_map *m, const struct proc_smaps *s);
/* smaps_rollup: [start, end) from the first mapping to the last. */
void proc_put_smaps_rollup(struct sink *out, uint64_t start, uint64_t end,
                           const struct proc_smaps *s);
/* proc_vm_flag_name returns the two letters of smaps' VmFlags for a bit, "" where none is printed. */
const char *proc_vm_flag_name(unsigned bit);

struct proc_numa_map {
    uint64_t start;     /* address */
    const char *policy; /* as mpol_to_str writes it: "default", "bind:0-1" */
    const char *path;   /* of a file, or NULL */
    bool heap, stack;   /* without a file */
    bool huge;          /* hugetlb */
    uint64_t anon, dirty, pages, mapcount_max, swapcache, active,
        writeback;             /* pages, but the 4th */
    uint64_t node[PROC_NODES]; /* pages on each */
    uint64_t page_kb;          /* of the kernel's pages here */
};
void proc_put_numa_map(struct sink *out, const struct proc_numa_map *m);

/* -- one process --------------------------------------------------------------------------------- */
/* The lines of status that tell of memory; kB. */
struct proc_status {
    const char *name; /* comm */
    uint32_t tgid, pid, ppid;
    uint64_t peak, size, lck, pin, hwm, rss, rss_anon, rss_file, rss_shmem;
    uint64_t data, stk, exe, lib, pte, swap, hugetlb;
    bool core_dumping, thp_enabled;
    uint64_t untag_mask;
    uint32_t threads;
};
/* proc_put_status_vm prints VmPeak to untag_mask; proc_put_status those and what else a model of
 * memory knows: Name, Tgid, Pid, PPid, Threads. */
void proc_put_status_vm(struct sink *out, const struct proc_status *s);
void proc_put_status(struct sink *out, const struct proc_status *s);

#define PROC_STAT_FIELDS 52
/* /proc/PID/stat: field n of proc(5) is v[n]; 2 and 3 are apart, 0 is unused. Negative numbers are
 * kept in two's complement. */
struct proc_stat {
    const char *comm;
    char state;
    uint64_t v[PROC_STAT_FIELDS + 1];
};
void proc_put_stat(struct sink *out, const struct proc_stat *s);

struct proc_statm {
    uint64_t size, resident, shared, text, data; /* pages */
};
void proc_put_statm(struct sink *out, const struct proc_statm *s);

#endif
