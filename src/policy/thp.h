/* thp.h: which sizes of transparent huge pages a mapping may have.
 *
 * An order is log2 of the pages of a folio; sets of orders are bit masks: BIT(9) is 2 MiB.
 */
#ifndef POLICY_THP_H
#define POLICY_THP_H

#include "base/bits.h"
#include "base/types.h"

#define THP_PMD_ORDER   9u
#define THP_ORDERS_ANON 0x3fcu /* 16 KiB to 2 MiB: THP_ORDERS_ALL_ANON */
#define THP_ORDERS_FILE 0x3feu

/* /sys/kernel/mm/transparent_hugepage/enabled, and hugepages-NkB/enabled in its order of options */
enum thp_enabled { THP_ALWAYS, THP_MADVISE, THP_NEVER };
enum thp_size { THP_SIZE_INHERIT, THP_SIZE_ALWAYS, THP_SIZE_MADVISE, THP_SIZE_NEVER };
/* …/defrag, in the order of the option */
enum thp_defrag {
    THP_DEFRAG_ALWAYS,
    THP_DEFRAG_DEFER,
    THP_DEFRAG_DEFER_MADVISE,
    THP_DEFRAG_MADVISE,
    THP_DEFRAG_NEVER
};

/* …/shmem_enabled, in the order of the option */
enum thp_shmem {
    THP_SHMEM_ALWAYS,
    THP_SHMEM_WITHIN_SIZE,
    THP_SHMEM_ADVISE,
    THP_SHMEM_NEVER,
    THP_SHMEM_DENY,
    THP_SHMEM_FORCE
};

struct thp_knobs {
    enum thp_enabled enabled;          /* of all sizes that inherit */
    unsigned always, madvise, inherit; /* orders set so: huge_anon_orders_… */
    enum thp_shmem shmem;              /* shmem_enabled */
};

/* What the rules look at in a mapping and its process. */
struct thp_vma {
    uint64_t start, end;  /* bytes */
    uint64_t pgoff;       /* page offset in the file, for those that have one */
    bool anonymous;       /* private anonymous memory */
    bool shmem;           /* tmpfs and its like */
    bool shmem_mounted;   /* of a mount of its own (/dev/shm), which has no huge pages */
    uint64_t file_pages;  /* of that */
    bool hugepage;        /* VM_HUGEPAGE */
    bool nohugepage;      /* VM_NOHUGEPAGE */
    bool no_khugepaged;   /* one of VM_NO_KHUGEPAGED */
    bool temporary_stack; /* during exec */
    bool faulted;         /* has an anon_vma */
    bool disabled;        /* prctl(PR_SET_THP_DISABLE) */
    bool except_advised;  /* the same with PR_THP_DISABLE_EXCEPT_ADVISED */
};

/* Who asks (enum tva_type). */
enum tva_type { TVA_SMAPS, TVA_PAGEFAULT, TVA_KHUGEPAGED, TVA_FORCED_COLLAPSE };

/* thp_vma_disabled: the mapping or its process wants no huge pages (vma_thp_disabled). */
bool thp_vma_disabled(const struct thp_vma *v, bool forced_collapse);
/* thp_allowable_orders returns those of `orders` that the knobs and the mapping allow. */
unsigned thp_allowable_orders(const struct thp_knobs *k, const struct thp_vma *v,
                              enum tva_type type, unsigned orders);
/* thp_shmem_orders returns the orders a page of shared memory may get when it is made, or collapsed
 * into (shmem_allowable_huge_orders). */
unsigned thp_shmem_orders(enum thp_shmem how, const struct thp_vma *v, uint64_t pgoff,
                          bool forced_collapse);
/* thp_suitable_orders returns those of `orders` whose aligned range around addr lies in the mapping. */
unsigned thp_suitable_orders(const struct thp_vma *v, uint64_t addr, unsigned orders);
/* thp_pmd_enabled says whether any setting lets khugepaged make 2 MiB pages
 * (hugepage_pmd_enabled). */
bool thp_pmd_enabled(const struct thp_knobs *k);

/* How hard a fault tries for a huge page (vma_thp_gfp_mask). */
struct thp_effort {
    bool direct;  /* reclaims and compacts itself: __GFP_DIRECT_RECLAIM */
    bool noretry; /* gives up after one round: __GFP_NORETRY */
    bool kswapd;  /* wakes kswapd and kcompactd: __GFP_KSWAPD_RECLAIM */
};
struct thp_effort thp_effort(enum thp_defrag defrag, bool advised);

#endif
