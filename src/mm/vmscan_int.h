/* vmscan_int.h: what the files about LRU lists, reclaim, swap and out-of-memory share with the rest
 * of mm.
 *
 *   lru.c   lists of pages, per-CPU batches     swap.c         areas, slots, bytes behind them
 *   vmscan.c   shrinking lists, kswapd          swap_cluster.c which slot is next
 *   reclaim.c  taking one page back             swap_state.c   swap cache, readahead, do_swap_page
 *   pageout.c  MADV_COLD, PAGEOUT, FREE
 *   workingset.c refaults    writeback.c dirty    oom.c          the killer
 */
#ifndef MM_VMSCAN_INT_H
#define MM_VMSCAN_INT_H

#include "base/map.h"
#include "mm/mm.h"

/* -- lru.c */
/* Per-CPU batches in front of the LRU lists, in the order lru_add_drain_cpu empties them. */
enum lru_batch {
    BATCH_ADD,
    BATCH_DEACTIVATE_FILE,
    BATCH_DEACTIVATE,
    BATCH_LAZYFREE,
    BATCH_ACTIVATE,
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
/* folio_isolate_lru takes a folio off its list and holds it; false if it is on none. folio_putback_lru ends that;
 * folio_free_isolated does for one that nobody else refers to any more. */
bool folio_isolate_lru(struct mm_sys *s, pfn n);
void folio_putback_lru(struct mm_sys *s, pfn n);
/* folio_putback_scanned is that for reclaim: an active folio makes the refault clock go on. */
void folio_putback_scanned(struct mm_sys *s, pfn n);
void folio_free_isolated(struct mm_sys *s, pfn n);
/* folio_rotate_reclaimable moves a folio to where reclaim looks first. */
void folio_rotate_reclaimable(struct mm_sys *s, pfn n);
bool audit_lru(const struct mm_sys *s);
/* lru_count_waiting counts, by frame, the folios that wait in a batch to come to a list. */
void lru_count_waiting(const struct mm_sys *s, struct map *waiting);

/* -- swap.c */
#define SWAPFILE_CLUSTER 512u /* slots */
struct swap_slot {
    uint64_t cache; /* (frame + 1) << 1 of its folio, shadow << 1 | 1 of an evicted one, or 0 */
    uint32_t count; /* entries that name it */
    uint32_t flags; /* SWAP_SLOT_… of swap.c */
};
static inline bool swap_slot_cached(const struct swap_slot *slot)
{
    return slot->cache != 0 && !(slot->cache & 1);
}
/* swap_slot_busy: somebody names it or holds its page (I1 of swap.c). */
static inline bool swap_slot_busy(const struct swap_slot *slot)
{
    return slot->count > 0 || swap_slot_cached(slot);
}
enum swap_cluster_state {
    CLUSTER_OFF, /* on no queue: being looked at */
    CLUSTER_FREE,
    CLUSTER_NONFULL, /* slots were freed in it */
    CLUSTER_FRAG,    /* filled by a CPU, or left with free slots */
    CLUSTER_FULL,
    CLUSTER_STATES
};
struct swap_cluster {
    uint32_t next, prev; /* in its queue */
    uint16_t used;       /* slots in use, and those that are none */
    uint8_t state;       /* enum swap_cluster_state */
};
struct swap_queue {
    uint32_t head, tail; /* cluster numbers, UINT32_MAX: empty */
};
struct swap_area {
    bool used;                               /* the type is taken */
    bool going;                              /* swapoff is at work: no new slots */
    enum conf_swap_device device;            /* what it is like */
    int prio;                                /* higher is filled first */
    uint64_t turn;                           /* when it last began a cluster: equals take turns */
    int fd;                                  /* of its bytes, -1 without contents */
    uint64_t max;                            /* slots, the header's too */
    uint64_t inuse;                          /* slots in use (I1) */
    struct swap_slot *slot;                  /* max of them */
    struct swap_cluster *cluster;            /* of each 512 slots */
    struct swap_queue queue[CLUSTER_STATES]; /* clusters by state */
    uint64_t *next;                          /* of each CPU: the slot to try, 0: none */
    char path[256];
};
/* Swap of the machine. */
struct mm_swap {
    struct swap_area area[MAX_SWAPFILES]; /* by type */
    uint64_t total, inuse;                /* slots of all areas */
    uint64_t turns;                       /* clusters begun */
    int least_prio;                       /* given to the last area without a priority */
    bool contents;                        /* frames carry bytes */
    uint64_t prev_offset;                 /* cluster readahead: last fault without hits … */
    uint32_t ra_hits, last_ra;            /* … hits since the last miss, pages read then */
};
int swap_open(struct mm_sys *s); /* the area of swap.size, if any. 0 or -errno */
void swap_close(struct mm_sys *s);
/* swap_drop_area ends swapoff: the type is free again. pre: no slot in use. */
void swap_drop_area(struct mm_sys *s, unsigned type);
struct swap_area *swap_area_of(struct mm_sys *s, pte entry);
struct swap_slot *swap_slot_of(struct mm_sys *s, pte entry);
/* pte_is_swap_slot: a swap entry of a device, no migration entry or marker. */
bool pte_is_swap_slot(pte e);
/* folio_swap_entry names the slot of a folio in the swap cache. */
pte folio_swap_entry(const struct frame *head);
/* vm_swap_full: less than half is free, so slots of pages in memory are given back. */
bool vm_swap_full(const struct mm_sys *s);
/* split_for_swap splits a folio that is to be swapped: only a block device has room for a large one in one
 * piece (cluster_alloc_swap_entry: SWP_BLKDEV), and swap areas are files here. 0 or why it cannot be. */
int split_for_swap(struct mm_sys *s, pfn head);
/* folio_alloc_swap finds a slot for a folio and puts it into the swap cache, dirty. -ENOMEM: full. */
int folio_alloc_swap(struct mm_sys *s, pfn n);
void swap_cache_add(struct mm_sys *s, pfn n, pte entry);
/* swap_cache_del takes a folio out; with a shadow the slot remembers its eviction. */
void swap_cache_del(struct mm_sys *s, pfn n, uint64_t shadow);
bool swap_cache_get(struct mm_sys *s, pte entry, pfn *ret);
/* swap_cache_drop: swap_cache_del of a folio that no entry names; frees it if nothing maps it. */
void swap_cache_drop(struct mm_sys *s, pfn n);
/* swap_dup and swap_free: one entry more or less that names the slot. */
void swap_dup(struct mm_sys *s, pte entry);
void swap_free(struct mm_sys *s, pte entry);
/* folio_free_swap: no entry names the folio's slot: it leaves the swap cache, dirty. */
bool folio_free_swap(struct mm_sys *s, pfn n);
/* free_swap_and_cache is swap_free of an entry that is zapped: the cached page goes, too. */
void free_swap_and_cache(struct mm_sys *s, pte entry);
/* swap_writeout writes a page of the swap cache; false: the host could not, it stays dirty. */
bool swap_writeout(struct mm_sys *s, pfn n);
/* swap_readin reads one; where the host cannot, the page gets FRAME_F_NO_DATA: it is never mapped. */
void swap_readin(struct mm_sys *s, pfn n);
/* folio_bytes returns the 4096 bytes of a frame, NULL on a machine whose frames carry none. */
void *folio_bytes(struct mm_sys *s, pfn n);
/* audit_swap checks I1-I3 of swap.c; named: how often each slot (as an entry) is named. */
bool audit_swap(struct mm_sys *s, const struct map *named);

/* -- swap_cluster.c */
void setup_clusters(struct swap_area *a);
/* cluster_alloc_swap_entry takes a slot for the running CPU; 0: none. The caller counts it as in use. */
uint64_t cluster_alloc_swap_entry(struct mm_sys *s, struct swap_area *a);
/* swap_next_slot is the slot that the CPU tries first, 0 when it has no cluster. */
uint64_t swap_next_slot(const struct mm_sys *s, const struct swap_area *a);
/* swap_entry_free takes a slot out of use that nobody holds any more. */
void swap_entry_free(struct mm_sys *s, struct swap_area *a, uint64_t offset);

/* -- swap_state.c */
/* do_swap_page brings the page of a swap entry back and maps it: 0, 1 (it had to be read: a major
 * fault), -ENOMEM, or -EIO when it could not be read. The caller breaks COW if it wants to write and the entry is still read-only. */
int do_swap_page(struct mm *m, struct vma *v, vaddr a, pte *e, bool write);
/* swapin_page brings the page of a slot into memory, in the swap cache, maybe without data: 0, 1 (read)
 * or -ENOMEM. Only an anonymous page is read with the addresses around it. */
int swapin_page(struct mm_sys *s, struct vma *v, vaddr a, pte entry, bool anon, pfn *ret);
/* swapin_range reads the swapped pages of [start, end) ahead (MADV_WILLNEED). */
void swapin_range(struct mm *m, struct vma *v, uint64_t start, uint64_t end);

/* -- reclaim.c, vmscan.c, pageout.c */
#define MAX_RECLAIM_RETRIES 16u
/* One reclaim: what is wanted, how hard to try, what came of it. Pages unless said. */
struct scan_control {
    unsigned nid;                          /* node at work */
    unsigned zone;                         /* highest zone that helps */
    unsigned order;                        /* of the block that is wanted */
    unsigned priority;                     /* look at size >> priority */
    uint64_t nr_to_reclaim;                /* wanted */
    uint64_t nr_scanned, nr_reclaimed;     /* so far */
    uint64_t nr_pageout;                   /* of this batch: writing was started */
    uint64_t nr_unqueued_dirty;            /* of this batch: dirty, of files */
    bool kswapd;                           /* who */
    bool may_swap, may_writepage;          /* may anonymous pages go, may pages be written */
    bool ignore_references;                /* MADV_PAGEOUT: used or not */
    bool deactivate_anon, deactivate_file; /* active lists may be shortened */
    bool force_deactivate;                 /* they may, whatever else holds */
    bool skipped_deactivate;               /* one was spared */
    bool file_is_tiny, cache_trim;         /* see policy/reclaim.h */
    bool no_cache_trim, cache_trim_failed; /* not any more; it freed nothing */
    bool compaction_ready;                 /* a zone has what compaction needs for the order */
};
/* What the entries of a folio tell. */
struct referenced {
    unsigned vmas; /* with a young entry */
    bool locked;   /* a VM_LOCKED mapping has it */
    bool exec;     /* a young one is executable */
};
/* compact_gap: frames compaction needs beside a block of the order. */
static inline uint64_t compact_gap(unsigned order)
{
    return UINT64_C(2) << order;
}

struct referenced folio_referenced(struct mm_sys *s, pfn n);
bool folio_mapped(const struct mm_sys *s, pfn n);
/* folio_evictable: reclaim may look at it; not one of locked memory (mlock, SHM_LOCK). */
bool folio_evictable(const struct frame *f);
/* check_move_unevictable_folio gives a folio back to the lists of its kind if nothing locks it. */
void check_move_unevictable_folio(struct mm_sys *s, pfn n);
/* folio_is_file_lru: it belongs on the lists of file pages. */
static inline bool folio_is_file_lru(const struct frame *f)
{
    return !(f->flags & FRAME_F_SWAPBACKED);
}
uint64_t shrink_folio_list(struct mm_sys *s, struct scan_control *sc, const pfn *list, unsigned nr);
void shrink_node(struct mm_sys *s, struct scan_control *sc);
/* try_to_free_pages is direct reclaim for a request at node nid that may use the nodes `allowed` (0:
 * any): at least 32 pages, if there are; returns how many, 1 where a block of the order only needs
 * compaction. */
uint64_t try_to_free_pages(struct mm_sys *s, unsigned nid, uint64_t allowed, unsigned order,
                           enum zone_id zone);
/* balance_pgdat is a run of kswapd: a zone up to `top` gets its high watermark and a block of the
 * order back. Returns the order, 0 once there is enough for compaction. */
unsigned balance_pgdat(struct mm_sys *s, unsigned nid, unsigned order, enum zone_id top);
void lru_note_cost(struct mm_sys *s, unsigned nid, bool file, uint64_t io, uint64_t rotated);
/* reclaim_pages reclaims isolated folios, used or not. */
void reclaim_pages(struct mm_sys *s, const pfn *list, unsigned nr);
/* MADV_COLD and MADV_PAGEOUT of [start, end) in one VMA. */
struct gather;
void madvise_cold(struct gather *g, uint64_t start, uint64_t end);
void madvise_pageout(struct gather *g, uint64_t start, uint64_t end);
/* madvise_free marks the pages of [start, end) as free for the taking, drops those in swap. */
void madvise_free(struct gather *g, uint64_t start, uint64_t end);

/* -- filemap.c, for reclaim */
/* filemap_evict takes a clean page that nobody maps out of its file's cache and leaves a shadow;
 * filemap_to_swap leaves the swap entry of a page of a file in memory. */
void filemap_evict(struct mm_sys *s, pfn n, uint64_t shadow);
/* filemap_evict_clean_shmem does so with a page of a file in memory that nobody ever wrote: nothing
 * stays, its zeroes come again from nowhere. */
void filemap_evict_clean_shmem(struct mm_sys *s, pfn n);
/* filemap_can_evict: the page's bytes are somewhere else, too: frames carry none, or its file has a
 * file of the host behind it. */
bool filemap_can_evict(struct mm_sys *s, pfn n);
void filemap_to_swap(struct mm_sys *s, pfn n);
bool filemap_swapped(const struct mm_file *f, uint64_t pgoff, pte *ret);
/* filemap_swapin brings a swapped page back into its file: 0 (also if it is no such page), 1: it was
 * read, -ENOMEM. */
int filemap_swapin(struct mm_sys *s, struct mm_file *f, struct vma *v, vaddr a, uint64_t pgoff);
/* filemap_unuse brings all pages of files in memory back from an area. 0 or -ENOMEM. */
int filemap_unuse(struct mm_sys *s, unsigned type);
void filemap_count_swap(const struct mm_sys *s, struct map *named);
/* filemap_count_cached adds every folio in the cache of a file to a map, with 0 if it is new there;
 * false if I1 or I2 of filemap.c is broken. */
bool filemap_count_cached(const struct mm_sys *s, struct map *folios);

/* -- workingset.c */
/* workingset_eviction returns the shadow an evicted folio leaves; workingset_refault judges its return. */
uint64_t workingset_eviction(struct mm_sys *s, pfn n);
void workingset_refault(struct mm_sys *s, pfn n, uint64_t shadow);

/* -- writeback.c */
struct mm_writeback {
    pfn *list;        /* folios with FRAME_F_WRITEBACK */
    uint32_t nr, cap; /* of them; room */
    uint64_t next_ms; /* when the flusher wakes next */
};
/* folio_mark_dirty sets FRAME_F_DIRTY of a page's folio and counts; folio_account_cleaned takes it back unwritten;
 * folio_written after it was written. */
void folio_mark_dirty(struct mm_sys *s, pfn n);
void folio_account_cleaned(struct mm_sys *s, pfn n);
void folio_written(struct mm_sys *s, pfn n);
/* writeback_inodes writes so many dirty pages of files, oldest files first. */
void writeback_inodes(struct mm_sys *s, uint64_t pages);
/* balance_dirty_pages: a writer waits until no more than the background limit is dirty. */
void balance_dirty_pages(struct mm_sys *s);
/* flusher_tick is what mm_tick does for kswapd and the flusher. */
void flusher_tick(struct mm_sys *s, uint64_t now_ms);
void writeback_started(struct mm_sys *s, pfn n);
/* writeback_end: every write that was started is done. */
void writeback_end(struct mm_sys *s);

/* -- oom.c */
struct mm_oom {
    bool victim;   /* chosen; may use the reserves until it is reaped */
    bool skip;     /* reaped: not chosen again before it goes on, with a fault (MMF_OOM_SKIP) */
    unsigned busy; /* calls in progress that hold its pages: reap when they end */
};
struct mm_oom_log {
    uint64_t nr;     /* kills so far */
    uint64_t panics; /* times Linux would have panicked: nobody to kill, or panic_on_oom */
    struct mm_oom_event event[OOM_EVENTS_MAX];
};
/* out_of_memory chooses a victim and takes its memory; false: there is none. */
bool out_of_memory(struct mm_sys *s, struct mm *current);
void oom_reap(struct mm *m);

/* -- alloc.c */
/* alloc_retry makes room after an allocation of a page table failed, or went below the minimum; false:
 * there is none to be had. */
bool alloc_retry(struct mm *m);

#endif
