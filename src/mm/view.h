/* view.h: what /proc shows of address spaces and files, and nobody else needs to ask. Nothing here
 * changes a machine.
 */
#ifndef MM_VIEW_H
#define MM_VIEW_H

#include "mm/mm.h"

/* Where exec put the program (struct mm_struct's start_code and its neighbours); all 0 without one. */
struct mm_layout {
    uint64_t start_code, end_code; /* addresses: of the executable segments */
    uint64_t start_data, end_data; /* of the last segments, without bss */
    uint64_t start_stack;          /* the stack pointer it began with */
    uint64_t arg_start, arg_end;   /* argument strings */
    uint64_t env_start, env_end;   /* environment strings */
    uint64_t vvar_vclock;          /* the second of the two [vvar] mappings */
};
void mm_set_layout(struct mm *m, const struct mm_layout *layout);
const struct mm_layout *mm_layout(const struct mm *m);
/* mm_heap stores the heap's limits: start_brk and brk. */
void mm_heap(const struct mm *m, uint64_t *ret_start, uint64_t *ret_end);

/* mm_next walks over the address spaces of a machine, in the order they were made; NULL begins and
 * ends it. */
struct mm *mm_next(const struct mm_sys *s, const struct mm *m);
struct mm_sys *mm_sys_of(const struct mm *m);

/* What a file is. */
struct mm_file_view {
    const char *path;  /* as it was opened; lives as long as the file */
    uint64_t dev, ino; /* dev as stat(2) gives it; files without a name have the kernel's */
    bool shmem;        /* tmpfs and the like */
};
void mm_file_view(const struct mm_file *f, struct mm_file_view *ret);

/* -- what smaps and status ask beside the entries */
/* mm_swap_users returns how many entries and files name the slot of a swap entry. */
uint64_t mm_swap_users(struct mm_sys *s, pte e);
/* mm_shmem_swapped returns the pages of a mapping of a file in memory that lie in swap without an
 * entry that tells of it: shmem_swap_usage, or of its holes where it is private and writable. */
uint64_t mm_shmem_swapped(const struct mm *m, const struct vma *v);
/* mm_write_pending counts pages of files that are dirty or under writeback, by node and zone. */
void mm_write_pending(struct mm_sys *s, uint64_t ret[][ZONE_NR]);
/* mm_vma_page_size returns the bytes of the kernel's pages in a mapping. */
uint64_t mm_vma_page_size(const struct vma *v);
bool mm_has_pkeys(const struct mm *m); /* the machine has protection keys */
/* mm_hugetlb_node tells of the 2 MiB pages of a node; .resv, .overcommit are 0. */
void mm_hugetlb_node(const struct mm_sys *s, unsigned nid, struct mm_hugetlb_info *ret);
/* mm_hugetlb_boot returns the pages of a pool that boot found on a node. */
uint64_t mm_hugetlb_boot(const struct mm_sys *s, enum mm_hugetlb_size size, unsigned nid);
/* mm_folio_anon: the folio that begins with this frame is anonymous memory, hugetlb included. */
bool mm_folio_anon(const struct frame *head);
bool mm_thp_eligible(const struct mm *m, const struct vma *v); /* smaps' THPeligible */
bool mm_thp_enabled(const struct mm *m);                       /* status' THP_enabled */

#endif
