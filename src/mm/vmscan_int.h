/* vmscan_int.h: what the files about LRU lists, reclaim, swap and out-of-memory share with the rest
 * of mm.
 *
 *   lru.c   lists of pages, per-CPU batches
 */
#ifndef MM_VMSCAN_INT_H
#define MM_VMSCAN_INT_H

#include "mm/mm.h"

/* -- lru.c */
/* Per-CPU batches in front of the LRU lists. */
enum lru_batch {
    BATCH_ADD,
    BATCH_ACTIVATE,
    BATCH_DEACTIVATE,
    BATCH_DEACTIVATE_FILE,
    BATCH_LAZYFREE,
    BATCH_MLOCK,
    BATCH_NR
};
#define FOLIO_BATCH 31u /* FOLIO_BATCH_SIZE */
struct folio_batch {
    uint32_t nr;                 /* folios waiting */
    uint64_t folio[FOLIO_BATCH]; /* frame number << 2, and what to do */
};

/* Lists and batches of the machine. */
struct mm_lru {
    unsigned cpu;                          /* the running CPU */
    unsigned nodes;                        /* nodes of the machine */
    uint64_t batched;                      /* folios in all batches */
    struct folio_batch (*batch)[BATCH_NR]; /* of each CPU */
    struct mm_node node[MM_NODES_MAX];     /* lists and counters of each node */
};

int lru_open(struct mm_sys *s); /* 0 or -ENOMEM */
void lru_close(struct mm_sys *s);
/* node_stat_add counts for the node a frame lies in. */
void node_stat_add(struct mm_sys *s, const struct frame *f, enum node_stat_item item, int64_t n);
/* folio_account_mapped: n pages of the kind of frame f got their first mapping, or lost their last
 * (n < 0): nr_anon_pages, nr_mapped. */
void folio_account_mapped(struct mm_sys *s, const struct frame *f, int64_t n);
enum lru_list folio_lru_list(const struct frame *f);
/* lruvec_add and lruvec_del link and unlink; FRAME_F_LRU is the caller's. */
void lruvec_add(struct mm_sys *s, pfn n, bool to_tail);
void lruvec_del(struct mm_sys *s, pfn n);
/* folio_add_lru gives a new folio to the lists by way of the CPU's batch; its flags say which list.
 * The _vma form locks it in memory where the VMA says so. */
void folio_add_lru(struct mm_sys *s, pfn n);
void folio_add_lru_vma(struct mm_sys *s, const struct vma *v, pfn n);
void folio_activate(struct mm_sys *s, pfn n);
void folio_deactivate(struct mm_sys *s, pfn n);
void folio_deactivate_file(struct mm_sys *s, pfn n);
void folio_mark_lazyfree(struct mm_sys *s, pfn n);
/* folio_mark_accessed: the first time REFERENCED, the second time active. */
void folio_mark_accessed(struct mm_sys *s, pfn n);
/* mlock_folio and munlock_folio: one VM_LOCKED mapping more or less. */
void mlock_folio(struct mm_sys *s, pfn n);
void munlock_folio(struct mm_sys *s, pfn n);
/* mlock_vma_folio: a new entry of v maps the folio; munlock_vma_folio: the entry at a is going. */
void mlock_vma_folio(struct mm_sys *s, const struct vma *v, pfn n);
void munlock_vma_folio(struct mm *m, vaddr a, pfn n);
/* mlock_vma_pages_range: [start, end) of v got or lost VM_LOCKED: its present pages follow. */
void mlock_vma_pages_range(struct mm *m, const struct vma *v, uint64_t start, uint64_t end);
void lru_add_drain(struct mm_sys *s);
void lru_add_drain_all(struct mm_sys *s);
/* folio_free gives a folio back that nobody refers to: off its list, out of the counters. */
void folio_free(struct mm_sys *s, pfn n);
bool audit_lru(const struct mm_sys *s);

#endif
