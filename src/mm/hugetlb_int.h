/* hugetlb_int.h: pools of huge pages and their reservations, inside mm.
 *
 *   pool     nr = free + in use; surplus of nr came by overcommit; resv of free are promised
 *   mapping  shared:  the inode's map holds the pages promised or in use
 *            private: the VMA of the creator has a map of the pages whose promise was used
 */
#ifndef MM_HUGETLB_INT_H
#define MM_HUGETLB_INT_H

#include "base/map.h"
#include "mm/mm.h"
#include "mm/node.h"

/* One size of pages (struct hstate). */
struct hstate {
    unsigned order;                      /* 9 or 18 */
    uint64_t nr, free, resv, surplus;    /* pages */
    uint64_t nr_node[MM_NODES_MAX];      /* of each node */
    uint64_t free_node[MM_NODES_MAX];    /* likewise */
    uint64_t surplus_node[MM_NODES_MAX]; /* likewise */
    uint32_t free_list[MM_NODES_MAX];    /* head + 1 through link_next, last freed first */
    uint64_t boot;                       /* pages the pool had after boot */
    uint64_t boot_node[MM_NODES_MAX];    /* of each node */
    unsigned next_nid;                   /* where the pool grows or shrinks next */
};
struct sys_hugetlb {
    struct hstate h[MM_HUGETLB_NR];
};

/* What a file of huge pages has beside other files. */
struct hugetlb_inode {
    enum mm_hugetlb_size size;
    struct map pages; /* index in huge pages → frame number of the head + 1 */
    struct map resv;  /* index → 1: promised, or used by a page of the file */
    uint64_t end;     /* no index at or above it was ever used */
};

/* The promises of a private mapping, shared by the VMAs it was split into. */
struct resv_map {
    uint64_t refs;       /* VMAs */
    struct map consumed; /* index → 1: the promise was used */
};
enum { HPAGE_RESV_OWNER = 1, HPAGE_RESV_UNMAPPED = 2 }; /* vma.resv_flags */

struct gather;
struct pt_run;
struct vm_fault;
struct vma_merge;

void hugetlb_open(struct mm_sys *s);
void hugetlb_close(struct mm_sys *s);
/* hugetlb_total_pages returns the frames of all pools. */
uint64_t hugetlb_total_pages(const struct mm_sys *s);
/* huge_page_size returns bytes of a page of a hugetlb file. */
uint64_t huge_page_size(const struct mm_sys *s, const struct mm_file *f);
/* vma_hpage_size returns it for a VMA; PAGE_SIZE where it has no hugetlb. */
uint64_t vma_hpage_size(const struct vma *v);
/* hstate_of returns the pool of a hugetlb file; hugetlb_overcommit how many surplus pages it may have. */
struct hstate *hstate_of(struct mm_sys *s, const struct mm_file *f);
uint64_t hugetlb_overcommit(const struct mm_sys *s, const struct hstate *h);
/* hugetlb_acct_memory makes delta promises, or takes back -delta: 0 or -ENOMEM. */
int hugetlb_acct_memory(struct mm_sys *s, struct hstate *h, int64_t delta);
/* hugetlb_not_promised counts the pages [from, to) of a file without a promise. */
uint64_t hugetlb_not_promised(const struct mm_file *f, uint64_t from, uint64_t to);
/* remove_pool_hugetlb_folio gives a free page back to the system, a surplus one if `surplus`; false: none. */
bool remove_pool_hugetlb_folio(struct mm_sys *s, struct hstate *h, bool surplus);
/* hugetlb_cannot: the place that the program got, or the pool as it is now, does not do: -errno or 0. */
int hugetlb_cannot(const struct mm *m, const struct mm_map *map);
/* hugetlb_mmap is the mmap operation of a hugetlb file for the region g: -EINVAL, -ENOMEM, or 0 with
 * the promises made. */
int hugetlb_mmap(struct mm *m, struct vma_merge *g);
/* resv_map_get: a split VMA shares the promises. hugetlb_vma_close gives unused ones back. */
void resv_map_get(struct resv_map *r);
void hugetlb_vma_close(struct mm_sys *s, struct vma *v);
/* clear_vma_resv: the pages of v moved elsewhere, and the promises with them. */
void clear_vma_resv(struct mm_sys *s, struct vma *v);
/* hugetlb_needs_reservation: a fault on page idx of v finds no promise. */
bool hugetlb_needs_reservation(const struct vma *v, uint64_t idx);
/* hugetlb_alloc takes a page for index idx of v's file, by its promise if there is one; cow_from_owner:
 * the promise was used before, for the page to be copied. 0 or -ENOSPC. */
int hugetlb_alloc(struct mm_sys *s, const struct vma *v, uint64_t idx, bool cow_from_owner,
                  pfn *ret);
/* hugetlb_put drops a reference; hugetlb_restore renews the promise of a page that its creator gives
 * up. */
void hugetlb_put(struct mm_sys *s, pfn head);
void hugetlb_restore(struct mm_sys *s, struct vma *v, uint64_t idx, pfn head);
/* Bits of frame.private of a page of a pool. */
#define HUGETLB_ANON    1u /* private memory */
#define HUGETLB_RESTORE 2u /* freeing it renews a promise */
/* hugetlb_cached returns page idx of a file, or PFN_NONE. */
pfn hugetlb_cached(const struct mm_file *f, uint64_t idx);
void hugetlb_add_to_cache(struct mm_sys *s, struct mm_file *f, uint64_t idx, pfn head);
/* hugetlb_fault resolves a fault in a hugetlb VMA: bits of vm_fault_t. */
int hugetlb_fault(struct vm_fault *vmf);
/* zap_hugetlb clears the huge entry a run stands at. */
void zap_hugetlb(struct gather *g, struct pt_run *r);
/* copy_hugetlb gives a child the entries of v. 0 or -ENOMEM. */
int copy_hugetlb(struct mm *child, const struct vma *v);
/* move_hugetlb_page_tables moves the entries of [from, from + len) to `to`, for a move of v, by huge
 * pages: no table is made where none is needed. 0 or -ENOMEM. */
int move_hugetlb_page_tables(struct gather *g, const struct vma *v, uint64_t from, uint64_t to,
                             uint64_t len);
/* hugetlb_drop frees the pages [first, last) of a file, in 4 KiB pages rounded inward, that nobody
 * maps. truncate: promises behind the new end go back, too. */
void hugetlb_drop(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last,
                  bool truncate);
/* hugetlb_evict frees what is left of a file, promises included. */
void hugetlb_evict(struct mm_sys *s, struct mm_file *f);

#endif
