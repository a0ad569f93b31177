/* gather.h: what a machine at rest would show in /proc: the values of text.h and the words of the
 * binary files. Nothing here changes the machine; a value's pointers hold until it changes.
 */
#ifndef PROC_GATHER_H
#define PROC_GATHER_H

#include "mm/mm.h"
#include "proc/text.h"

/* -- the machine */
struct proc_machine {
    const struct conf *conf;
    struct phys *phys;
    struct mm_sys *sys;
    const struct stat_set *stats;
};
/* The nodes of a machine; proc_nodes_close frees what proc_nodes_open took. */
struct proc_nodes {
    struct proc_node *node;
    struct proc_pageset *sets; /* of all zones and CPUs, what node[].zone[].sets point to */
    unsigned n;
};
int proc_nodes_open(struct proc_nodes *ret, const struct proc_machine *m); /* 0 or -ENOMEM */
void proc_nodes_close(struct proc_nodes *nodes);
void proc_vmstat_of(const struct proc_machine *m, const struct proc_nodes *nodes,
                    struct proc_vmstat *ret);
void proc_meminfo_of(const struct proc_machine *m, const struct proc_nodes *nodes,
                     struct proc_meminfo *ret);
void proc_node_meminfo_of(const struct proc_machine *m, const struct proc_node *node,
                          struct proc_node_meminfo *ret);

/* What MemAvailable is computed from (si_mem_available); frames. */
struct proc_memory {
    uint64_t free, totalreserve, low; /* low: Σ low watermarks */
    uint64_t active_file, inactive_file,
        reclaimable; /* reclaimable: slab and other kernel memory */
};
uint64_t proc_available(const struct proc_memory *m);

/* -- one mapping */
void proc_map_of(const struct mm *m, const struct vma *v, struct proc_map *ret);
/* proc_smaps_of looks at every entry of a mapping (smap_gather_stats). */
void proc_smaps_of(const struct mm *m, const struct vma *v, struct proc_smaps *ret);
/* proc_smaps_add adds the sums of one mapping to another's: smaps_rollup. */
void proc_smaps_add(struct proc_smaps *sum, const struct proc_smaps *s);
/* proc_numa_map_of: the policy's text is the caller's. */
void proc_numa_map_of(const struct mm *m, const struct vma *v, const char *policy,
                      struct proc_numa_map *ret);

/* -- one page */
/* Bits of a word of PID/pagemap. */
#define PM_PFRAME_BITS    55
#define PM_SOFT_DIRTY     BIT(55)
#define PM_MMAP_EXCLUSIVE BIT(56)
#define PM_UFFD_WP        BIT(57)
#define PM_GUARD_REGION   BIT(58)
#define PM_FILE           BIT(61)
#define PM_SWAP           BIT(62)
#define PM_PRESENT        BIT(63)
/* proc_pagemap_word is what a reader with CAP_SYS_ADMIN sees of the page at a. */
uint64_t proc_pagemap_word(const struct mm *m, vaddr a);

/* Bits of a word of kpageflags: Linux include/uapi/linux/kernel-page-flags.h and page.c. */
enum proc_kpf {
    KPF_LOCKED,
    KPF_ERROR,
    KPF_REFERENCED,
    KPF_UPTODATE,
    KPF_DIRTY,
    KPF_LRU,
    KPF_ACTIVE,
    KPF_SLAB,
    KPF_WRITEBACK,
    KPF_RECLAIM,
    KPF_BUDDY,
    KPF_MMAP,
    KPF_ANON,
    KPF_SWAPCACHE,
    KPF_SWAPBACKED,
    KPF_COMPOUND_HEAD,
    KPF_COMPOUND_TAIL,
    KPF_HUGE,
    KPF_UNEVICTABLE,
    KPF_HWPOISON,
    KPF_NOPAGE,
    KPF_KSM,
    KPF_THP,
    KPF_OFFLINE,
    KPF_ZERO_PAGE,
    KPF_IDLE,
    KPF_PGTABLE,
    KPF_RESERVED = 32,
    KPF_MLOCKED,
    KPF_OWNER_2,
    KPF_PRIVATE,
    KPF_PRIVATE_2,
    KPF_OWNER_PRIVATE
};
/* n below phys_frames. */
uint64_t proc_pageflags_word(struct phys *p, pfn n);
uint64_t proc_pagecount_word(struct phys *p, pfn n);

/* -- one process */
void proc_status_of(const struct mm *m, struct proc_status *ret);
void proc_stat_of(const struct mm *m, struct proc_stat *ret);
void proc_statm_of(const struct mm *m, struct proc_statm *ret);
/* The gate VMA, which no address space has: [vsyscall]. */
extern const struct proc_map proc_vsyscall;

#endif
