/* huge_int.h: large folios inside mm: transparent huge pages (huge.c, folio.c, khugepaged.c),
 * and those of files in memory (file_folio.c, collapse_file.c).
 *
 *   PMD-mapped    entry of level 1 ─► folio of order 9      entire = 1, rss + 512, one table deposited
 *   PTE-mapped    512 entries ──────► the same folio        mapcount of each frame, refs = their sum
 *   small folio   entries ──────────► folio of order 2 … 8  never PMD-mapped (mTHP)
 *   of a file     entry of level 1 ─► folio of order 9      the same, but no table is deposited
 */
#ifndef MM_HUGE_INT_H
#define MM_HUGE_INT_H

#include "policy/thp.h"
#include "mm/mm.h"

#define HPAGE_PMD_ORDER THP_PMD_ORDER
#define HPAGE_PMD_NR    512u
#define HPAGE_PMD_SIZE  MIB(2)

struct gather;
struct pt_run;
struct vm_fault;

/* What an address space knows of huge pages. */
struct mm_thp {
    bool disabled;        /* prctl(PR_SET_THP_DISABLE, 1) */
    bool except_advised;  /* the same with PR_THP_DISABLE_EXCEPT_ADVISED */
    bool zero_ref;        /* it holds a reference to the huge zero page */
    bool scanned;         /* khugepaged looks at it (MMF_VM_HUGEPAGE) */
    struct mm *scan_next; /* the next one it looks at */
};

/* What the machine knows of them. */
struct sys_thp {
    pfn zero;           /* the huge zero page; number 0 while there is none */
    uint64_t zero_refs; /* address spaces that use it */
    uint64_t fault_alloc[HPAGE_PMD_ORDER + 1];    /* by order: folios that faults got */
    uint64_t fault_fallback[HPAGE_PMD_ORDER + 1]; /* and did not get */
    struct mm *scan_first, *scan_last;      /* khugepaged's list, in the order of registration */
    struct mm *scan_mm;                     /* where it stands, NULL: a pass begins */
    uint64_t scan_address;                  /* next address to look at there */
    uint64_t scan_due;                      /* virtual time of the next scan, ms */
    uint64_t scan_progress;                 /* entries seen in a scan that had to wait for memory */
    unsigned scan_passes;                   /* times such a scan stood at the start of the list */
    bool scan_waited;                       /* it did */
    uint64_t pages_collapsed, full_scans;   /* as sysfs counts them */
    uint64_t deferred_nr;                   /* folios on the deferred split queue */
    uint64_t shrink_waiting;                /* of them, left over for later looks: nr_deferred */
    uint32_t deferred_first, deferred_last; /* head + 1, 0 = none: linked through the second tail */
};

/* -- huge.c */
/* HUGE_FALLBACK: no huge page here; the fault goes on with 4 KiB pages. */
#define HUGE_FALLBACK 1
/* huge_fault handles a fault at the level of `pmd`, the entry of level 1 for a, where that is
 * possible (create_huge_pmd, wp_huge_pmd, huge_pmd_set_accessed). 0, -ENOMEM or HUGE_FALLBACK.
 */
int huge_fault(struct mm *m, struct vma *v, vaddr a, bool write, pte *pmd,
               enum fault_kind *ret_kind);
/* split_huge_pmd replaces the huge entry at a, if there is one, by a table of 512. */
void split_huge_pmd(struct mm *m, vaddr a);
/* split_huge_pmd_locked does so, too; freeze: the 512 entries are to be taken away at once, so that the
 * folio is one locked mapping poorer. */
void split_huge_pmd_locked(struct mm *m, vaddr a, bool freeze);
/* vma_adjust_trans_huge: a becomes the border of a VMA; no huge entry may lie across it. */
void vma_adjust_trans_huge(struct mm *m, uint64_t a);
/* zap_huge_pmd clears the huge entry a run stands at. */
void zap_huge_pmd(struct gather *g, struct pt_run *r);
/* change_huge_pmd gives it the rights of v. */
void change_huge_pmd(struct gather *g, const struct vma *v, struct pt_run *r);
/* move_huge_pmd moves the huge entry of level 1 or 2 at `from` to `to`, whose entry is none. */
void move_huge_pmd(struct gather *g, uint64_t from, uint64_t to, unsigned level);
/* copy_huge_pmd gives a child the huge entry of its parent at a, a multiple of 2 MiB: both read-only
 * from then on. False when the parent has none there; else *ret_err is 0 or -ENOMEM. */
bool copy_huge_pmd(struct mm *child, struct mm *parent, const struct vma *v, vaddr a, int *ret_err);
/* huge_fork: what a child inherits besides entries. */
void huge_fork(struct mm *child, const struct mm *parent);
/* huge_exit forgets what an address space holds. */
void huge_exit(struct mm *m);
/* huge_sys_close frees the huge zero page. pre: no address space is left. */
void huge_sys_close(struct mm_sys *s);
/* is_huge_zero_pmd: a leaf of level 1 that maps the huge zero page. */
bool is_huge_zero_pmd(const struct mm_sys *s, pte e);
/* thp_orders returns the orders a mapping may have (thp_vma_allowable_orders). */
unsigned thp_orders(const struct mm *m, const struct vma *v, enum tva_type type, unsigned orders);
/* thp_orders_at returns those a fault at a may have: the aligned range around a lies in v. */
unsigned thp_orders_at(const struct mm *m, const struct vma *v, vaddr a, unsigned orders);

/* thp_may_map_file: an entry of level 1 may map the file's 2 MiB around a there. */
bool thp_may_map_file(const struct mm *m, const struct vma *v, vaddr a);

/* thp_shmem_orders_at returns the orders a new page of shared memory may have that a fault at a makes. */
unsigned thp_shmem_orders_at(const struct mm *m, const struct vma *v, vaddr a);

/* huge_map_collapsed maps a new, filled folio at a 2 MiB range that has a deposited table and no
 * entry. */
void huge_map_collapsed(struct mm *m, const struct vma *v, vaddr at, pfn head);
/* thp_pmd_possible: some setting lets khugepaged work at all (hugepage_pmd_enabled). */
bool thp_pmd_possible(const struct mm_sys *s);

/* -- khugepaged.c */
/* Why 2 MiB were collapsed or not: the part of Linux's that can happen here. */
enum scan_result {
    SCAN_FAIL,
    SCAN_SUCCEED,
    SCAN_PMD_NULL, /* no table of level 1 */
    SCAN_PMD_NONE, /* its entry is none */
    SCAN_PMD_MAPPED,
    SCAN_EXCEED_NONE_PTE,
    SCAN_EXCEED_SWAP_PTE,
    SCAN_EXCEED_SHARED_PTE,
    SCAN_LACK_REFERENCED_PAGE,
    SCAN_PAGE_LRU,
    SCAN_PAGE_COUNT,
    SCAN_ALLOC_HUGE_PAGE_FAIL,
    SCAN_PTE_MAPPED_HUGEPAGE, /* the cache has a huge page, the VMA maps it by 512 entries or not yet */
    SCAN_PTE_NON_PRESENT,     /* an entry that is neither none nor a page */
    SCAN_PAGE_NULL,           /* not in the cache */
    SCAN_PAGE_COMPOUND,       /* in the cache, but no huge page */
    SCAN_DEL_PAGE_LRU,        /* on no list */
    SCAN_TRUNCATED,           /* the file has no page in the range */
};

/* madvise_collapse is MADV_COLLAPSE for the part [start, end) of v. 0 or -errno. */
int madvise_collapse(struct mm *m, struct vma *v, uint64_t start, uint64_t end);
/* khugepaged_enter makes khugepaged look at an address space; khugepaged_exit ends that. */
void khugepaged_enter(struct mm *m);
void khugepaged_exit(struct mm *m);

/* -- collapse_file.c */
/* collapse_scan_file makes one folio of the 512 pages of a file in memory from `start` on. SUCCEED, or
 * for MADV_COLLAPSE, or when they are one already, PTE_MAPPED_HUGEPAGE: collapse_pte_mapped_thp then lets
 * the 2 MiB of a VMA map it; only with `install` it fills in the entry. */
enum scan_result collapse_scan_file(struct mm *m, struct mm_file *f, uint64_t start,
                                    bool khugepaged);
enum scan_result collapse_pte_mapped_thp(struct mm *m, const struct vma *v, vaddr at, bool install);

/* -- folio.c */
struct mpol_pick;
/* folio_alloc_anon takes a folio of 2^order frames for anonymous memory of v at a, not zeroed, all
 * exclusive. 0 or -ENOMEM. */
int folio_alloc_anon(struct mm *m, const struct vma *v, vaddr a, unsigned order, pfn *ret);
/* folio_alloc_collapse takes one of 2 MiB where `pick` says, to replace small pages. */
int folio_alloc_collapse(struct mm *m, const struct vma *v, vaddr a, const struct mpol_pick *pick,
                         pfn *ret);
/* thp_effort_flags says how hard an allocation of the order tries, as REQ_… (vma_thp_gfp_mask). */
unsigned thp_effort_flags(const struct mm_sys *s, const struct vma *v, unsigned order);
/* map_anon_folio resolves a write fault on an entry that is none by a folio of several pages, if the
 * mapping may have one; false: it has none. pre: the table exists, v has an anon_vma. */
bool map_anon_folio(struct vm_fault *vmf);
/* deferred_split_folio puts a folio on the queue of those to split under pressure; partially_mapped:
 * because nobody maps a part of it any more. */
void deferred_split_folio(struct mm_sys *s, pfn head, bool partially_mapped);
/* folio_partly_mapped: some frames of it are mapped by an entry of their own, others by none. */
bool folio_partly_mapped(const struct mm_sys *s, pfn head);
/* folio_end_batch: entries of a folio went; if others are left it is worth splitting. head may be free
 * by now, or not large at all. */
void folio_end_batch(struct mm_sys *s, pfn head);
/* advise_large does what MADV_COLD (free: MADV_FREE) does to the large folio an entry maps: clears
 * its bits if the range covers it, else splits it, unless others map it. False where the entry maps a
 * single page, which is the caller's to treat. The run looks (RUN_LOOK). */
bool advise_large(struct gather *g, struct pt_run *r, bool free);
/* pageout_large is advise_large for MADV_PAGEOUT: *ret is a folio whose entries are old now, and which is
 * to be reclaimed whole; PFN_NONE: there is none. */
bool pageout_large(struct gather *g, struct pt_run *r, pfn *ret);
/* folio_deferred: it is on that queue. */
bool folio_deferred(const struct mm_sys *s, pfn head);
/* folio_unqueue_deferred takes it off: it is about to be freed or split. */
void folio_unqueue_deferred(struct mm_sys *s, pfn head);
/* deferred_split_scan looks at so many folios of the queue, as a shrinker does: how many it split. */
uint64_t deferred_split_scan(struct mm_sys *s, uint64_t nr_to_scan);
/* split_folio makes single frames of a large folio; those nobody maps are freed. 0, or -EAGAIN when
 * somebody but its mappings holds a reference. */
int split_folio(struct mm_sys *s, pfn head);
/* folio_pte_batch counts the entries from a run's on that map the frames of a folio one after the other. */
struct pt_run;
uint64_t folio_pte_batch(const struct mm_sys *s, const struct pt_run *r, pfn head);

#endif
