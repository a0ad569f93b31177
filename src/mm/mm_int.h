/* mm_int.h: what the files of mm share.
 *
 *   address spaces
 *     mm.c       opening, counters, the outbox       vma.c      lookup, split, merge, accounting
 *     fork.c     a child's address space             vma_tree.c VMAs by address, and the gaps
 *     mmap.c     mmap, munmap                        unmapped.c where a new mapping goes
 *     brk.c      brk, stack, special mappings        guard.c    guard regions
 *     shm.c      System V segments                   pkey.c     protection keys
 *     memfd.c    files in memory, seals              seal.c     mseal and what it forbids
 *     mprotect.c mremap.c madvise.c mlock.c          msync.c    msync, mincore
 *     limits.c   the caller's limits and rights      sysctl.c   tunables changed at run time
 *     commit.c   overcommit                          uaccess.c  copies to and from user memory
 *   pages
 *     fault.c    handle_mm_fault and what it calls   filemap.c  files, page cache, readahead
 *     addr_fault.c    from an address to its VMA     gup.c      pages the kernel touches
 *     anon_vma.c which VMAs may map a page           rmap.c     who maps a page
 *     alloc.c    where frames come from              zap.c      unmapping pages, freeing tables
 *     contents.c the bytes behind frames             mempolicy.c migrate.c compaction.c
 *                                                    (migrate_int.h)  which node; moving
 *   huge pages (huge_int.h, hugetlb_int.h)
 *     huge.c     entries of 2 MiB                    folio.c    large anonymous folios
 *     khugepaged.c    small pages become huge        collapse_file.c  and those of files in memory
 *     file_folio.c    large folios of such files     hugetlb.c hugetlb_fault.c  pools
 *   reclaim, swap, out of memory: vmscan_int.h names its files
 *   looking on
 *     view.c     what /proc asks                     label.c    rows of attribution
 *     audit.c    the invariants of mm.h              audit_folio.c audit_call.c  of folios; when
 *     repair.c   what an emulator's program has anyway   adopt.c  what the emulator is told
 */
#ifndef MM_MM_INT_H
#define MM_MM_INT_H

#include "base/check.h"
#include "base/map.h"
#include "mm/mm.h"
#include "mm/vma_tree.h"
#include "mm/view.h"
#include "mm/vmscan_int.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mm/huge_int.h"
#include "mm/hugetlb_int.h"

#define VM_ACCESS_FLAGS (VM_READ | VM_WRITE | VM_EXEC)
#define VM_LOCKED_MASK  (VM_LOCKED | VM_LOCKONFAULT)
#define VM_SPECIAL      (VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP)
#define VM_STICKY       VM_MAYBE_GUARD /* keeps no VMAs apart, and a merged VMA has it */
#define VM_DATA_FLAGS   (VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

#define STACK_RLIMIT_DEFAULT MIB(8)
#define MEMLOCK_DEFAULT      MIB(8)
#define LABELS_MAX           512u /* rows of attribution of each sort before they share one */
#define CHUNK_PAGES          512u /* pages of a file in one piece of its page cache */
#define FILE_PATH_MAX        511u /* bytes kept of a path, its end */
#define RA_LOTSAMISS         100u /* MMAP_LOTSAMISS: misses after which read-around stops */

/* CONTAINER returns the struct that a member lies in. */
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* What stands behind a struct mm_file. */
enum file_kind {
    FILE_REGULAR, /* a file system with write notification and writeback (ext4) */
    FILE_SHMEM,   /* tmpfs, memfd, shared anonymous memory */
    FILE_ZERO,    /* /dev/zero: private mappings are anonymous, shared ones a file of their own */
    FILE_HUGETLB, /* hugetlbfs, see hugetlb.c */
    FILE_SPECIAL, /* frames of the kernel: [vdso], [vvar] */
};

/* A range of shared memory with a NUMA policy. */
struct sp_range {
    uint64_t start, end;      /* pages [start, end) of the object */
    struct mempolicy *policy; /* a reference is held */
};

struct mm_file {
    struct mm_file *next_all;  /* list of all files of the machine */
    struct mm_file **link_all; /* what points to it in that list */
    struct mm_file *next_same; /* files whose dev and ino hash alike */
    uint64_t dev, ino;         /* identity; both 0 for unnamed files */
    uint64_t size;             /* bytes */
    uint64_t refs;             /* VMAs and callers; an unnamed file goes with the last one */
    uint64_t serial;           /* files made before it: what stands for the inode of one without */
    uint64_t promised_pages;   /* in memory: promised in full (overcommit); 0: page by page */
    uint64_t charged_pages;    /* those promised page by page */
    enum file_kind kind;
    uint32_t traits;       /* MM_FILE_… */
    uint32_t seals;        /* MM_SEAL_… */
    bool executable;       /* its mode has an x bit (a memfd without MFD_NOEXEC_SEAL) */
    bool sysv;             /* a System V segment: no fault-around, shmdt finds it */
    bool shm_locked;       /* SHM_LOCK: reclaim leaves its pages alone (folio_evictable) */
    int shm_id;            /* of the segment */
    bool named;            /* found again by dev and ino */
    int fd;                /* of the host: its bytes, with phys.contents; -1: zeroes */
    int wb_err;            /* of a write to fd, until msync tells it; 0: none (mapping_set_error) */
    bool unlinked;         /* no name or descriptor leads to it: goes with the last reference */
    uint32_t mmap_miss;    /* read-around: misses minus hits */
    uint64_t first_pages;  /* pages when first heard of: later ones were written by the program */
    uint64_t *head;        /* slots of the first head_n pages, see filemap.c; NULL if none */
    uint32_t head_n;       /* at most CHUNK_PAGES; as many as the file had when one was needed */
    uint64_t nr_dirty;     /* pages with FRAME_F_DIRTY, of a regular file */
    uint64_t dirtied_when; /* virtual time when the first of them became so, ms */
    struct map chunks;     /* later pages: pgoff / CHUNK_PAGES → uint64_t[CHUNK_PAGES] */
    struct sp_range *policies;     /* of a file in memory: NUMA policies mbind gave its pages */
    uint32_t policies_nr;          /* ranges of them, see mempolicy.c */
    struct hugetlb_inode *hugetlb; /* of FILE_HUGETLB, else NULL */
    struct itree mapped;           /* the VMAs that map it (i_mmap): vma.in_file by page offset */
    char path[];                   /* the end of a longer path */
};

/* Compaction: how carefully, how hard, and what came of it. */
enum compact_mode { COMPACT_ASYNC, COMPACT_SYNC_LIGHT, COMPACT_SYNC };
enum compact_prio { COMPACT_PRIO_SYNC_FULL, COMPACT_PRIO_SYNC_LIGHT, COMPACT_PRIO_ASYNC };
enum compact_result {
    COMPACT_SKIPPED,  /* no zone where it could help */
    COMPACT_DEFERRED, /* it failed there lately */
    COMPACT_CONTINUE,
    COMPACT_COMPLETE,        /* the whole zone was scanned, in vain */
    COMPACT_PARTIAL_SKIPPED, /* what was left of the zone was scanned, in vain */
    COMPACT_CONTENDED,       /* no free frames to move pages to */
    COMPACT_SUCCESS          /* the allocation should work now */
};

/* -- compaction.c */
/* What a zone remembers of compactions. */
struct compact_zone {
    uint64_t migrate_pfn[2], free_pfn; /* where the scanners go on: [0] async, [1] sync */
    unsigned considered, defer_shift;  /* tries since the last failure; 2^shift are let pass */
    int order_failed;                  /* smallest order that failed */
    uint64_t init_migrate_pfn;         /* a scan that begins there sees the whole zone */
    bool known;                        /* the positions are set */
    bool skip_flush;                   /* kswapd shall clear the skip hints of the zone */
};
/* What kcompactd of a node waits for. */
struct compact_node {
    uint64_t due_ms;      /* next proactive look */
    unsigned order;       /* kswapd asked for it; 0: nothing */
    enum zone_id highest; /* in the zones up to this one, the lowest of those who asked */
};
struct sys_compaction {
    struct compact_zone (*zone)[ZONE_NR]; /* by node */
    uint8_t *skip;                        /* bit per pageblock: not worth scanning */
    enum compact_result last;             /* what compaction for an allocation last came to */
    struct compact_node node[NUMA_NODES];
};

/* System V shared memory, see shm.c. */
struct mm_shm {
    struct map ids;        /* id → struct shm_segment * */
    struct map index_used; /* the indexes of ids in use */
    uint32_t last_index;   /* given out last */
    uint32_t seq;          /* sequence number of new ids */
    bool begun;            /* an id was given out */
    uint64_t attached;     /* shmat calls so far: each is an open file description */
};

struct mm_sys {
    struct conf conf;            /* as at opening, but for what mm_sysctl changed */
    struct phys *phys;           /* frames of the machine */
    struct stat_set *stats;      /* pgfault, pgmajfault, pgreuse, pgpgin */
    struct arch_outbox *outbox;  /* what the hardware must hear */
    struct map files;            /* hash of dev and ino → struct mm_file * */
    uint64_t files_made;         /* so far */
    uint32_t mm_ids_made;        /* address spaces so far */
    struct mm_file *all_files;   /* every file, named or not */
    struct mm_file *vdso, *vvar; /* frames of the special mappings */
    struct mm *mms;              /* every address space */
    const struct pt *kernel;     /* init_mm's tables, whose upper half all share; NULL: none */
    struct mm *current;          /* the one that runs or is served; NULL: none */
    struct sys_compaction compaction;
    uint8_t weights[NUMA_NODES]; /* of weighted interleaving, by node */
    struct mm_shm shm;           /* System V segments */
    uint64_t committed;          /* pages promised: Committed_AS (I1 of commit.c) */
    uint64_t commit_lost;        /* of them charged to nothing: grown stacks without VM_ACCOUNT */
    uint64_t total_swap_pages;   /* of swap areas in use */
    struct mm_label *labels;     /* rows of attribution */
    size_t labels_cap;           /* room */
    uint32_t labels_nr;          /* rows in use */
    struct map named_labels;     /* hash of name and rights → row */
    struct map anon_label_at;    /* where an anonymous mapping began → the row made last there */
    uint32_t anon_labels;        /* rows of anonymous mappings among them */
    uint32_t file_labels;        /* rows of files among them */
    struct mm_lru lru;           /* lists of pages, counters of nodes */
    struct sys_thp thp;          /* see huge_int.h */
    struct sys_hugetlb hugetlb;  /* see hugetlb_int.h */
    struct mm_swap swap;         /* swap areas */
    struct mm_writeback wb;      /* the flusher, pages under writeback */
    struct mm_oom_log oom;       /* what was killed */
    uint64_t now_ms;             /* virtual time, as last heard (mm_tick) */
    uint64_t audits_put_off;     /* calls since the last whole audit (hostile build) */
    bool reclaiming;             /* PF_MEMALLOC: allocations may use the reserves */
};

/* An answer of mm_vma_at, kept by address bits; behind a pointer so that a question stays const.
 * Any change of a VMA makes all of them void. */
#define VMA_HITS 64u
struct vma_hit {
    uint64_t start, end; /* what was found; empty when nothing was */
    struct vma *vma;     /* what lies there */
    uint64_t gen;        /* mm.vma_gen when it was */
};

/* What a task wants of NUMA. */
struct mm_numa {
    struct mempolicy *policy; /* set_mempolicy; NULL: the CPU's node first */
    struct interleave il;     /* its place in interleaving */
};

struct mm {
    struct mm_sys *sys;
    bool put_off;            /* a flush of it may have been put off */
    struct mm *next;         /* sys->mms */
    uint32_t users;          /* processes that run in it: mm_users */
    uint32_t mm_id;          /* its number, from 1 on, never given twice */
    struct pt pt;            /* its page tables */
    struct vma_tree vmas;    /* by address (I1); vmas.nr is map_count */
    uint64_t vma_gen;        /* counts changes of VMAs: older hits are void */
    struct vma_hit *hits;    /* VMA_HITS of them */
    struct mm_task task;     /* who calls */
    struct mm_layout layout; /* where exec put the program */
    struct mm_numa numa;     /* task policy */
    struct mm_counters cnt;  /* pte_bytes and map_count are filled in when asked for */
    uint64_t start_brk, brk; /* bytes */
    uint64_t mmap_base;      /* top-down search starts here */
    uint64_t def_flags;      /* flags of VM_LOCKED_MASK every new mapping gets */
    uint16_t pkeys;          /* bit k: protection key k is taken */
    int execute_only_pkey;   /* the key of PROT_EXEC alone; 0: none yet */
    bool legacy;             /* mappings are placed bottom-up (ADDR_COMPAT_LAYOUT) */
    uint64_t task_size;      /* end of user addresses: TASK_SIZE_MAX */
    bool loose; /* I2 does not hold in Linux either: MREMAP_DONTUNMAP, or a fork unlocked VMAs */
    struct mm_thp thp; /* see huge_int.h */
    struct mm_oom oom; /* see oom.c */
};

/* -- mm.c */
void kernel_read(struct mm_sys *s, paddr a, uint64_t bytes);
/* kernel_write joins with the message before where it continues it. */
void kernel_write(struct mm_sys *s, paddr a, uint64_t bytes);
/* set_pte writes an entry and tells the hardware that the kernel did. */
void set_pte(struct mm *m, vaddr a, pte *e, pte value);
/* mm_tables allocates the tables above the entry of `level` for an address. 0 or -ENOMEM. */
int mm_tables(struct mm *m, vaddr a, unsigned level, pte **ret);
/* rss_add counts n pages (negative: fewer) of the kind of frame f. */
void rss_add(struct mm *m, const struct frame *f, int64_t n);

/* -- flush.c: flushes, as asm/tlbflush.h and mm/rmap.c name them */
/* flush_tlb_range: entries of [start, end) are no more what they were; in steps of 2^shift bytes. */
void flush_tlb_range(struct mm *m, uint64_t start, uint64_t end, unsigned shift);
void flush_tlb_page(struct mm *m, vaddr a);
/* flush_pmd_tlb_range: x86 knows no other step for a huge page of 2 MiB than 4 KiB. */
void flush_pmd_tlb_range(struct mm *m, uint64_t at);
void flush_space(struct mm *m); /* flush_tlb_mm */
/* unmap_flush_later: reclaim or migration took the entries of [start, end); may be put off until … */
void unmap_flush_later(struct mm *m, uint64_t start, uint64_t end, bool dirty);
void unmap_flush_end(struct mm_sys *s); /* try_to_unmap_flush */
/* flush_tlb_batched_pending: entries of m are about to be looked at and changed. */
void flush_tlb_pending(struct mm *m);
void unmap_flush_dirty(struct mm_sys *s); /* try_to_unmap_flush_dirty */

/* -- alloc.c */
/* What an allocation is for: decides zone, node and how hard to try. */
struct mm_req {
    unsigned order;               /* 2^order frames */
    enum phys_gfp gfp;            /* highest zone */
    enum frame_owner owner;       /* of every frame of it */
    struct mm *m;                 /* for whom; NULL: for the kernel itself */
    const struct vma *vma;        /* user page of this VMA, NULL for others */
    vaddr addr;                   /* address the page is for, with vma */
    const struct mm_file *file;   /* page of a file in memory, without vma */
    uint64_t pgoff;               /* which, with file */
    const struct mpol_pick *pick; /* where to look, whatever the policy says; NULL: by policy */
    unsigned flags;               /* REQ_… */
};
#define REQ_NO_DIRECT 1u /* neither reclaims nor compacts itself: without __GFP_DIRECT_RECLAIM */
#define REQ_NO_KSWAPD 2u /* nor lets kswapd: without __GFP_KSWAPD_RECLAIM */
#define REQ_NORETRY   4u /* one round of that: __GFP_NORETRY */
#define REQ_MAY_FAIL  8u /* no OOM killer: __GFP_RETRY_MAYFAIL, __GFP_THISNODE */
/* mm_alloc takes a block of frames: 0 and its first frame, or -ENOMEM. */
int mm_alloc(struct mm_sys *s, const struct mm_req *r, pfn *ret);

/* -- limits.c */
void task_init(struct mm_task *t);
bool task_capable(const struct mm *m, unsigned cap);
/* task_rlimit returns a soft limit in bytes. */
uint64_t task_rlimit(const struct mm *m, enum mm_rlim which);
/* may_expand_vm: RLIMIT_AS and RLIMIT_DATA leave room for so many more pages with these flags. */
bool may_expand_vm(const struct mm *m, uint64_t flags, uint64_t pages);
/* can_do_mlock: the caller may lock anything at all. */
bool can_do_mlock(const struct mm *m);
/* mlock_future_ok: RLIMIT_MEMLOCK leaves room for so many more bytes, if flags say locked. */
bool mlock_future_ok(const struct mm *m, uint64_t flags, uint64_t bytes);

/* -- mempolicy.c */
/* Where an allocation shall look. */
struct mpol_pick {
    unsigned nid;     /* first here, then along its node order */
    uint64_t nodes;   /* only these; 0: any */
    bool then_all;    /* the nodes are a wish (MPOL_PREFERRED_MANY): without reclaim, then any */
    bool interleaved; /* nid is interleaving's choice: counts interleave_hit */
};
/* mempolicy_open sets the weights of interleaving as the options say. */
void mempolicy_open(struct mm_sys *s);
void mpol_pick(struct mm_sys *s, const struct mm_req *r, struct mpol_pick *ret);
/* mpol_pick_by is mpol_pick by one policy, for the page of an interleave index. */
void mpol_pick_by(struct mm_sys *s, struct mm *m, const struct mempolicy *p, uint64_t ilx,
                  struct mpol_pick *ret);
/* numa_node_id is the node of the running CPU. */
unsigned numa_node_id(const struct mm_sys *s);
/* numa_memory_nodes returns the nodes that have memory: all of the machine. */
uint64_t numa_memory_nodes(const struct mm_sys *s);
struct mempolicy *mpol_get(struct mempolicy *p); /* NULL stays NULL */
void mpol_put(struct mempolicy *p);
void mpol_free_shared_policy(struct mm_file *f);
/* vma_policy_at returns the policy of a page of a VMA, NULL if the task's holds, and what its
 * interleave index is biased by. */
struct mempolicy *vma_policy_at(const struct vma *v, vaddr a, uint64_t *ret_base);

/* -- commit.c */
/* totalram_pages: memory the kernel gives out, in pages. */
uint64_t totalram_pages(const struct mm_sys *s);
/* commit_init makes the reserves of mode 2 fit the machine. */
void commit_init(struct mm_sys *s);
/* vm_enough_memory charges pages to Committed_AS if overcommit allows them: 0 or -ENOMEM. */
int vm_enough_memory(struct mm *m, uint64_t pages);
/* vm_acct_memory charges without asking; negative: takes back. */
void vm_acct_memory(struct mm_sys *s, int64_t pages);
/* accountable_mapping: memory that may all become the caller's own. */
bool accountable_mapping(const struct mm_file *f, uint64_t flags);
/* shmem_acct_size promises a file in memory in full: 0 or -ENOMEM. */
int shmem_acct_size(struct mm *m, struct mm_file *f, bool forced);
/* shmem_acct_page: a page of a file in memory came (1) or went (-1). */
void shmem_acct_page(struct mm_sys *s, struct mm_file *f, int64_t n);
/* shmem_charge charges n pages that will come at once, if overcommit allows them: 0 or -ENOMEM. */
int shmem_charge(struct mm *m, struct mm_file *f, uint64_t n);

/* -- compaction.c */
int compaction_open(struct mm_sys *s); /* 0 or -ENOMEM */
void compaction_close(struct mm_sys *s);
/* try_to_compact_pages compacts zones the request may use, until it should work. Pages move: I1 of
 * alloc.c. */
enum compact_result try_to_compact_pages(struct mm_sys *s, const struct phys_req *r,
                                         enum compact_prio prio);
/* alloc_direct_compact does so and takes the block: 0 or -ENOMEM. */
int alloc_direct_compact(struct mm_sys *s, struct phys_req *r, enum compact_prio prio, pfn *ret);
/* wakeup_kcompactd: kswapd of the node made enough free frames, but not in blocks of the order. */
void wakeup_kcompactd(struct mm_sys *s, unsigned nid, unsigned order, enum zone_id highest);
/* reset_isolation_hints: kswapd of the node goes to sleep, what was skipped may be tried again. */
void reset_isolation_hints(struct mm_sys *s, unsigned nid);
void kcompactd_tick(struct mm_sys *s, uint64_t now_ms);

/* -- label.c */
/* label_for finds or makes the row of a new mapping. */
uint32_t label_for(const struct mm *m, enum vma_kind kind, const struct mm_file *f, uint64_t flags,
                   vaddr start);
void label_add(struct mm_sys *s, uint32_t label, int64_t bytes);
void label_close(struct mm_sys *s);

/* -- vma.c */
static inline uint64_t vma_pages(const struct vma *v)
{
    return (v->end.v - v->start.v) >> PAGE_SHIFT;
}
/* vma_may_split: a special mapping stays whole (special_mapping_split). */
static inline bool vma_may_split(const struct vma *v, uint64_t a)
{
    if (v->flags & VM_HUGETLB) /* hugetlb_vm_op_split */
        return (a & (vma_hpage_size(v) - 1)) == 0;
    return v->kind != VMA_VDSO && v->kind != VMA_VVAR;
}
/* mmap_min_addr: what hints are rounded up to and where stacks stop: CONFIG_LSM_MMAP_MIN_ADDR is a floor
 * under vm.mmap_min_addr, which itself says below what an ordinary program may not map. */
static inline uint64_t mmap_min_addr(const struct mm_sys *s)
{
    return max_u64(s->conf.kernel_mmap_min_addr, 65536);
}

static inline bool vma_is_anonymous(const struct vma *v)
{
    return v->kind == VMA_ANON || v->kind == VMA_HEAP || v->kind == VMA_STACK;
}
static inline uint64_t vma_pgoff_at(const struct vma *v, vaddr a)
{
    return v->pgoff + ((a.v - v->start.v) >> PAGE_SHIFT);
}
/* vma_start_gap is the lowest address a neighbour may end at: the start, less the guard gap. */
uint64_t vma_start_gap(const struct mm *m, const struct vma *v);
/* find_vma returns the first VMA that ends above a, or NULL. */
static inline struct vma *find_vma(const struct mm *m, uint64_t a)
{
    return vma_tree_find(&m->vmas, a);
}
/* find_vma_intersection returns the first VMA that has a byte in [start, end), or NULL. */
static inline struct vma *find_vma_intersection(const struct mm *m, uint64_t start, uint64_t end)
{
    struct vma *v = find_vma(m, start);
    return v && v->start.v < end ? v : NULL;
}
/* vma_lookup returns the VMA that contains a, or NULL. */
struct vma *vma_lookup(const struct mm *m, uint64_t a);
/* vma_wants_writenotify: a shared writable mapping whose file must hear of the first write. */
bool vma_wants_writenotify(const struct vma *v);
/* vm_page_prot returns the bits of a fresh entry of a VMA (vm_get_page_prot, vma_set_page_prot). */
uint64_t vm_page_prot(const struct vma *v);
/* vm_stat_account adds pages to total_vm, to exec_vm, stack_vm or data_vm, and to locked_vm. */
void vm_stat_account(struct mm *m, uint64_t flags, int64_t pages);

/* A range that becomes (part of) a VMA: what vma_merge_new_range looks at. */
struct vma_merge {
    uint64_t start, end, pgoff;
    uint64_t flags;
    struct mm_file *file;
    struct anon_vma *anon_vma; /* of the pages that are, or will come, there */
    struct vma *src;           /* the VMA it is part of, or whose pages will move there; or NULL */
    struct mempolicy *policy;  /* of its pages; no reference */
    uint64_t file_id;          /* the open file description it came through */
    struct resv_map *resv;     /* hugetlb: promises made for it, handed over; or NULL */
    uint8_t resv_flags;        /* HPAGE_RESV_… */
    bool own_file;             /* file was made for this mapping: a reference is to be dropped */
    bool special;              /* [vdso], [vvar]: never merges */
    bool just_expand;          /* may only extend the VMA before it (brk) */
};
/* vma_merge_new_range joins a range without VMA to its neighbours; NULL when none fits. Accounts
 * the label's bytes, not the mm's pages. */
struct vma *vma_merge_new_range(struct mm *m, const struct vma_merge *g);
/* vma_insert_new makes a VMA of a range that did not merge. Takes a reference on the file. */
struct vma *vma_insert_new(struct mm *m, const struct vma_merge *g, enum vma_kind kind,
                           uint32_t label);
/* vma_modify gives [start, end) inside v other flags: merges with neighbours, or splits. *ret is
 * the VMA that then covers the range. 0, or -ENOMEM at the limit of map_count. */
int vma_modify(struct mm *m, struct vma *v, uint64_t start, uint64_t end, uint64_t flags,
               struct vma **ret);
/* vma_modify_policy is vma_modify for another NUMA policy; the caller stores it in *ret. */
int vma_modify_policy(struct mm *m, struct vma *v, uint64_t start, uint64_t end,
                      struct mempolicy *policy, struct vma **ret);
/* vma_dup adds a copy of v, of another address space, with these flags and without anon_vma. */
struct vma *vma_dup(struct mm *m, const struct vma *v, uint64_t flags);
/* vma_split cuts v at a: v keeps the lower part. Returns the upper. No limit. */
struct vma *vma_split(struct mm *m, struct vma *v, uint64_t a);
/* vma_remove takes a VMA out, drops its file and frees it. */
void vma_remove(struct mm *m, struct vma *v);
/* vma_move_start lets a VMA begin elsewhere; pgoff moves along. */
void vma_move_start(struct mm *m, struct vma *v, uint64_t start);
/* find_mergeable_anon_vma returns the anon_vma of a neighbour that a later mprotect could merge with
 * v; NULL when there is none. */
struct anon_vma *find_mergeable_anon_vma(const struct vma *v);

/* -- anon_vma.c */
struct anon_vma {
    struct anon_vma *root;   /* of the first ancestor */
    struct anon_vma *parent; /* of the process that forked; a root's is itself */
    struct itree vmas;       /* anon_vma_chain.node of every VMA its pages may be mapped by */
    uint64_t refs;         /* one while vmas is not empty, one per descendant of a root, callers */
    uint32_t num_children; /* I2 of anon_vma.c */
    uint32_t num_active_vmas; /* I2 */
};
/* One link between a VMA and an anon_vma. */
struct anon_vma_chain {
    struct vma *vma;
    struct anon_vma *anon_vma;
    struct anon_vma_chain *next; /* of the same VMA */
    struct itree_node node;      /* in anon_vma->vmas */
};
/* anon_vma_prepare gives v an anon_vma, a neighbour's if a later mprotect could merge them. */
void anon_vma_prepare(struct mm *m, struct vma *v);
/* anon_vma_clone links `to` with all that `from` is linked with; where `to` has no anon_vma of its own
 * it may get one that nobody uses any more. */
void anon_vma_clone(struct vma *to, const struct vma *from);
/* anon_vma_dup gives `to`, if it has none, the anon_vma of `from`, whose pages it will take over. */
void anon_vma_dup(struct vma *to, const struct vma *from);
/* anon_vma_fork links a child's VMA with what the parent's may hold, and gives it its own. */
void anon_vma_fork(struct vma *child, const struct vma *parent);
void unlink_anon_vmas(struct vma *v);
/* A change of start, end or pgoff stands between these two. */
void anon_vma_pre_update(struct vma *v);
void anon_vma_post_update(struct vma *v);
/* anon_vma_chain_is_singular: v has an anon_vma and never came through a fork. */
bool anon_vma_chain_is_singular(const struct vma *v);
/* anon_vma_get and anon_vma_put keep one alive while its page has no entry (migration). */
void anon_vma_get(struct anon_vma *a);
void anon_vma_put(struct anon_vma *a);

/* -- zap.c: the mmu_gather of one call */
struct gather {
    struct mm *m;
    uint64_t start, end; /* addresses whose translations must go; empty when start >= end */
    unsigned levels; /* bit l: an entry of level l, or a table below one, went (cleared_ptes …) */
    bool freed_tables; /* tables went */
    bool force; /* a dirty page of a file went (delayed_rmap): flush before its table is left */
    unsigned slots, batches; /* used of the last batch of pages to be freed; batches before it */
    bool full;               /* no batch has room: flush at once */
    uint64_t row;            /* entries still to clear of a row that maps one folio */
    uint64_t zapped;         /* entries cleared */
};
void gather_init(struct gather *g, struct mm *m);
void gather_page(struct gather *g, vaddr a);
/* gather_entry: the entry of that level for an address changed. */
void gather_entry(struct gather *g, uint64_t a, unsigned level);
/* gather_slots: so many slots of a batch are taken by pages that wait for the flush to be freed. */
void gather_slots(struct gather *g, unsigned slots);
void gather_flush(struct gather *g);  /* tlb_flush_mmu: sends the flush, if there is one */
void gather_finish(struct gather *g); /* and the steps */
/* zap_range clears the entries of [start, end). */
enum zap_flags {
    ZAP_EVEN_COWS = 1,   /* private copies of file pages, too (zap_details.even_cows) */
    ZAP_DROP_MARKER = 2, /* markers, too: the range ends to exist (ZAP_FLAG_DROP_MARKER) */
    ZAP_RECLAIM_PT = 4,  /* tables that are empty then, too (zap_details.reclaim_pt) */
    ZAP_UNMAP = ZAP_EVEN_COWS | ZAP_DROP_MARKER,
};
void zap_range(struct gather *g, uint64_t start, uint64_t end, unsigned flags);
/* zap_accessed: a page of a file was used through the entry at a, which goes. */
void zap_accessed(const struct mm *m, vaddr a, pfn n);
/* free_pgtables frees the tables that the unmapped [start, end) leaves empty between neighbours. */
void free_pgtables(struct gather *g, uint64_t start, uint64_t end, uint64_t floor,
                   uint64_t ceiling);
/* Goes over the entries of [a, end) that are not none; start with e = NULL. */
enum run_huge {
    RUN_SPLIT, /* huge entries are split: the caller sees 512 of level 0 */
    RUN_WHOLE, /* those that lie wholly in the range come as they are, others are split */
    RUN_LOOK,  /* nothing is split: the caller only looks */
};
struct pt_run {
    vaddr a;            /* address the entry maps */
    vaddr end;          /* of the range */
    pte *e;             /* the entry */
    paddr at;           /* where it lies */
    uint64_t table_end; /* where its table, or the range, ends */
    unsigned level;     /* of the entry; 0 unless .huge says otherwise */
    enum run_huge huge; /* what to do with larger pages; set by the caller */
};
bool run_next(struct mm *m, struct pt_run *r);
void run_set(struct mm *m, const struct pt_run *r, pte value);

/* -- filemap.c */
struct mm_file *file_new(struct mm_sys *s, enum file_kind kind, const char *path);
void file_get(struct mm_file *f);
/* file_pages returns how many pages the file has, the last partial one included. */
uint64_t file_pages(const struct mm_file *f);
/* filemap_cached says whether a page is in the page cache (mincore's question). */
bool filemap_cached(const struct mm_sys *s, const struct mm_file *f, uint64_t pgoff);
/* filemap_cached_at stores the frame that has a page now; false: none has. Changes nothing. */
bool filemap_cached_at(const struct mm_file *f, uint64_t pgoff, pfn *ret);
/* filemap_get returns the frame of a cached page; -ENOENT when it is not cached, -ENOMEM. */
int filemap_get(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn *ret);
/* filemap_add puts a zeroed page into the cache of a file in memory. 0 or -ENOMEM. */
int filemap_add(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn *ret);
/* filemap_read reads a page and its readahead window from the device. 0 or -ENOMEM. */
int filemap_read(struct mm_sys *s, struct mm_file *f, const struct vma *v, uint64_t pgoff);
/* filemap_readahead brings [first, last) into the cache without a fault (MADV_WILLNEED). */
void filemap_readahead(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last);
/* filemap_zero_partial clears what [from, to) has of the page it begins in, if that is cached and not
 * covered in full (truncate_inode_partial_folio). */
void filemap_zero_partial(struct mm_sys *s, struct mm_file *f, uint64_t from, uint64_t to);
/* filemap_add_folio puts a new large folio of a file in memory into the cache, in place of what was
 * there, which is the caller's; filemap_remove_folio takes a folio out that nobody maps, and frees it. */
void filemap_add_folio(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn head);
void filemap_remove_folio(struct mm_sys *s, pfn head);
/* filemap_drop removes pages [first, last) that nobody maps any more from the cache. */
void filemap_drop(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last);
/* filemap_migrate lets the cache hold dst where it held src; src keeps its other references. */
void filemap_migrate(struct mm_sys *s, pfn src, pfn dst);
/* filemap_punch is filemap_drop that leaves a hole: a later touch must ask the device. */
void filemap_punch(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last);
/* filemap_clear_dirty marks the frames of pages [first, last) as written back. */
void filemap_clear_dirty(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last);

/* file_is_mounted_shmem: a file of a mounted tmpfs. */
bool file_is_mounted_shmem(const struct mm_file *f);

/* -- file_folio.c: large folios of files in memory */
/* shmem_add_folio puts a new, zeroed huge page around a page into the cache of a file in memory, as
 * shmem_enabled allows it for a fault at a: its frame; false: a single page it shall be. */
bool shmem_add_folio(struct mm *m, const struct vma *v, vaddr a, pfn *ret);
/* do_set_pmd maps the folio of page 'n' by an entry of level 1 at the 2 MiB around a, if it is a huge
 * page and may be mapped so there, and the entry is none; false: it did not. */
bool do_set_pmd(struct mm *m, const struct vma *v, vaddr a, pfn n, bool write);
/* map_file_folio maps as much of the large folio of page n, which belongs at a, as is not mapped yet,
 * entry by entry; false when it does not lie wholly in the VMA and one table, or a table is not to be
 * had. *ret_head is the address of its first page then. */
bool map_file_folio(struct mm *m, const struct vma *v, vaddr a, pfn n, bool write, vaddr *ret_head);
/* unmap_file_folio takes all entries of a folio of the page cache away. */
void unmap_file_folio(struct mm_sys *s, pfn head);
/* split_file_folio makes single frames of a folio of the page cache, which is unmapped for it; with
 * at below its pages, only of those that this takes for page `at` (folio_split). Pages behind the end
 * of the file are freed. 0, or -EAGAIN when somebody holds a reference. */
#define SPLIT_UNIFORM UINT64_MAX
int split_file_folio(struct mm_sys *s, pfn head, uint64_t at);
/* truncate_partial_folios splits large folios at the borders of the bytes [from, to) that a file is
 * about to lose (truncate_inode_partial_folio). */
void truncate_partial_folios(struct mm_sys *s, const struct mm_file *f, uint64_t from, uint64_t to);

/* -- contents.c */
/* clear_frames and copy_frames zero and copy nr frames in a row. */
void clear_frames(struct mm_sys *s, pfn n, uint64_t nr);
void copy_frames(struct mm_sys *s, pfn from, pfn to, uint64_t nr);
/* file_readpage fills a new frame with the bytes of a page of a file; file_writepage brings those of
 * a frame of the page cache back, or leaves why not in wb_err. The device's time is the caller's. */
void file_readpage(struct mm_sys *s, const struct mm_file *f, uint64_t pgoff, pfn n);
void file_writepage(struct mm_sys *s, pfn n);
/* file_zero clears bytes [from, end) of a cached page. */
void file_zero(struct mm_sys *s, pfn n, uint64_t from, uint64_t end);

/* -- mm_id.c */
/* folio_mapcount returns how many entries of any level map the folio or a part of it. */
uint64_t folio_mapcount(const struct mm_sys *s, pfn head);
/* folio_add_large_mapcount: n entries more of an address space map a large folio or a part of it, f is its
 * head; folio_sub_large_mapcount: n less. Nothing is done for small folios and hugetlb. */
void folio_add_large_mapcount(const struct mm *m, struct frame *f, uint32_t n);
void folio_sub_large_mapcount(const struct mm *m, struct frame *f, uint32_t n);
/* folio_forget_mm_ids: a folio that was just made is mapped by nobody. */
void folio_forget_mm_ids(struct frame *f);
/* folio_maybe_mapped_shared: more than one process, or more than one entry of a small folio; of a large
 * one what Linux takes it for. */
bool folio_maybe_mapped_shared(const struct mm_sys *s, pfn head);

/* -- rmap.c */
/* folio_head returns the first frame of the block that n belongs to. */
static inline pfn folio_head(const struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    return f->flags & FRAME_F_TAIL ? (pfn){align_down(n.v, BIT(f->order))} : n;
}
static inline uint64_t folio_nr_pages(const struct mm_sys *s, pfn head)
{
    return BIT(phys_frame(s->phys, head)->order);
}
static inline bool folio_test_anon(const struct mm_sys *s, pfn head)
{
    return phys_frame(s->phys, head)->owner == FRAME_USER_ANON;
}
/* folio_put drops a reference; a folio without any goes back to the allocator. */
void folio_put(struct mm_sys *s, pfn head);
/* folio_add_new_anon_rmap makes a new folio anonymous memory of v at a, before its first entry:
 * exclusive, of the VMA's own anon_vma. */
void folio_add_new_anon_rmap(struct mm_sys *s, pfn head, const struct vma *v, vaddr a);
/* folio_move_anon_rmap: the folio is v's alone from now on; a walk need not look at its relatives. */
void folio_move_anon_rmap(struct mm_sys *s, pfn head, const struct vma *v);
/* page_add_rmap counts one entry of level 0 of m more that maps frame n, and a reference of its
 * folio; page_remove_rmap one less. An anonymous folio without references is freed. */
void page_add_rmap(struct mm *m, pfn n);
void page_remove_rmap(struct mm *m, pfn n);
/* page_remove_rmap_batch is page_remove_rmap for one of several frames of a folio in a row: after
 * the last, folio_end_batch (folio.c) looks whether a part of it is left. */
void page_remove_rmap_batch(struct mm *m, pfn n);
/* folio_add_rmap and folio_remove_rmap do so for an entry of level 1 or 2 that maps `head` and what
 * follows it, all of one folio. */
void folio_add_rmap(struct mm *m, pfn head, unsigned level);
void folio_remove_rmap(struct mm *m, pfn head, unsigned level);

/* vma_link_file, vma_unlink_file: v is (no longer) found through its file. */
void vma_link_file(struct vma *v);
void vma_unlink_file(struct vma *v);
/* A change of start, end or pgoff stands between these two. */
void vma_pre_update(struct vma *v);
void vma_post_update(struct vma *v);

/* Goes over the entries that map any frame of a folio: present, PROT_NONE, or migration entries of
 * it. The caller may change the entry and what lies below it between two steps, but no VMA.
 *     struct rmap_walk w;
 *     for (rmap_start(&w, s, head); rmap_next(&w);) … w.m, w.vma, w.a, w.e, w.level … */
struct rmap_walk {
    struct mm *m;    /* whose entry */
    struct vma *vma; /* it lies in */
    vaddr a;        /* address it maps, a multiple of its size; may begin before the folio's part */
    pte *e;         /* the entry */
    unsigned level; /* of it: 0, 1 or 2 */
    /* private: */
    struct mm_sys *s;
    pfn head;                /* the folio */
    uint64_t nr;             /* its frames */
    uint64_t first;          /* page offset of its head */
    bool anon;               /* nodes are of anon_vma_chains, not of VMAs */
    struct itree_node *node; /* the VMA the walk stands in */
    uint64_t next, end;      /* addresses of this VMA still to look at */
};
void rmap_start(struct rmap_walk *w, struct mm_sys *s, pfn head);
bool rmap_next(struct rmap_walk *w);
/* rmap_again lets the next step look at the entry at w.a again. */
void rmap_again(struct rmap_walk *w);
/* unmap_mapping_range zaps pages [first, last) of a file in every address space. */
void unmap_mapping_range(struct mm_sys *s, const struct mm_file *f, uint64_t first, uint64_t last,
                         bool even_cows);
/* folio_mkclean write-protects and cleans shared entries of pages [first, last) that are dirty. */
void folio_mkclean(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last);

/* -- unmapped.c */
#define MAP_BAD(r) ((uint64_t)(r) > (uint64_t)-4096)
/* get_unmapped_area chooses (or checks, with MAP_FIXED) an address: address or -errno. */
int64_t get_unmapped_area(struct mm *m, const struct mm_file *f, uint64_t addr, uint64_t len,
                          uint64_t pgoff, uint32_t flags);
/* -- mmap.c */
/* Who changes VMAs holds mmap_lock for writing between these two. */
static inline void mmap_write_lock(struct mm *m)
{
    arch_lock(m->sys->outbox, LOCK_MMAP_WRITE, 0, 0);
}
/* mmap_write_unlock is mmap_write_downgrade, too: who waits for a reader is not modelled. */
static inline void mmap_write_unlock(struct mm *m)
{
    arch_lock(m->sys->outbox, LOCK_MMAP_END, 0, 0);
}
/* vma_start_write: faults of v wait for the end of mmap_lock, too. */
static inline void vma_start_write(const struct vma *v)
{
    arch_lock(v->m->sys->outbox, LOCK_VMA_WRITE, v->start.v, v->end.v);
}
/* do_munmap is munmap without its cost; with `unlock` it downgrades mmap_lock before it unmaps.
 * munmap_range is do_munmap after its argument checks. */
int do_munmap(struct mm *m, uint64_t start, uint64_t len, bool unlock);
int munmap_range(struct mm *m, uint64_t start, uint64_t end);
/* unmap_region unmaps whole VMAs, sealed ones too: the end of munmap, and of an address space. */
void unmap_region(struct mm *m, uint64_t start, uint64_t end);
uint64_t vm_prot_flags(uint32_t prot);

/* -- brk.c */
/* mm_set_stack_limit takes RLIMIT_STACK over and places mmap_base below the room it may need. */
void mm_set_stack_limit(struct mm *m, uint64_t limit);

/* -- guard.c: MADV_GUARD_INSTALL and MADV_GUARD_REMOVE for [start, end) of v: 0 or -errno. */
int guard_install(struct gather *g, struct vma *v, uint64_t start, uint64_t end);
int guard_remove(struct mm *m, const struct vma *v, uint64_t start, uint64_t end);

/* -- pkey.c */
void pkey_init(struct mm *m);
/* pkey_is_allocated: the program may use that key. */
bool pkey_is_allocated(const struct mm *m, int pkey);
/* execute_only_pkey returns the key of mappings with PROT_EXEC alone; 0 when none is to be had. */
int execute_only_pkey(struct mm *m);
/* override_mprotect_pkey returns the key that a mapping gets: the one asked for, or (-1) its own. */
int override_mprotect_pkey(struct mm *m, const struct vma *v, uint32_t prot, int pkey);

/* -- shm.c */
/* shm_file_gone: the file of a segment is about to be freed. */
void shm_file_gone(struct mm_sys *s, const struct mm_file *f);
void shm_close_all(struct mm_sys *s);

/* -- seal.c */
/* range_has_hole: some byte of [start, end) is not mapped. */
bool range_has_hole(const struct mm *m, uint64_t start, uint64_t end);

/* -- mprotect.c */
/* change_protection gives the entries of [start, end) the rights v now has. */
void change_protection(struct gather *g, const struct vma *v, uint64_t start, uint64_t end);
/* pte_needs_flush: the hardware must hear of the change of an entry. */
bool pte_needs_flush(pte old, pte new);
/* vma_reset_flags stores new flags; what merging made stick stays (vm_flags_reset). */
static inline void vma_reset_flags(struct vma *v, uint64_t flags)
{
    vma_start_write(v);
    v->flags = flags | (v->flags & VM_STICKY);
}
/* vma_set_flags stores new flags and moves the label of a file mapping along. */
void vma_set_flags(struct mm *m, struct vma *v, uint64_t flags);

/* -- fault.c */
/* What a handler says: bits, as vm_fault_t. 0 is a minor fault that was resolved. */
enum {
    VM_FAULT_OOM = 1,
    VM_FAULT_SIGBUS = 2,
    VM_FAULT_MAJOR = 4,
    VM_FAULT_HWPOISON = 8,
    VM_FAULT_SIGSEGV = 16,
};
#define VM_FAULT_ERROR (VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_SIGSEGV)

/* One fault on its way. */
struct vm_fault {
    struct mm *m;         /* whose */
    struct vma *vma;      /* that contains the address */
    vaddr address;        /* page aligned */
    uint64_t pgoff;       /* of the page in the VMA's file */
    bool write;           /* FAULT_FLAG_WRITE */
    enum fault_kind kind; /* what it turned out to be */
    pte *pte;             /* the entry; NULL until the table exists */
};
/* lock_pte tells that the lock of an address's page table is held while n entries are written;
 * lock_pmd that of its table of level 1. */
static inline void lock_pte(const struct mm *m, vaddr a, uint64_t n)
{
    arch_lock(m->sys->outbox, LOCK_PTE, a.v / MIB(2), n);
}
static inline void lock_pmd(const struct mm *m, vaddr a)
{
    arch_lock(m->sys->outbox, LOCK_PTE, BIT(40) | a.v / GIB(1), 1);
}
/* vm_normal_page returns the frame record of an entry; NULL for the zero page and [vvar]. */
struct frame *vm_normal_page(const struct mm *m, pte e);
/* do_wp_page handles a write to a present, read-only entry: reuses the page or copies it. */
int do_wp_page(struct vm_fault *vmf);
/* handle_mm_fault does what a fault at `a` needs in v, which allows the access: bits of vm_fault_t. */
int handle_mm_fault(struct mm *m, struct vma *v, vaddr a, bool write, enum fault_kind *ret_kind);
/* -- gup.c, addr_fault.c */
/* faultin_page touches one page as the kernel's populate does. 0, -EFAULT or -ENOMEM. */
int faultin_page(struct mm *m, struct vma *v, vaddr a, bool write);
/* populate_range touches pages of [start, end) as MAP_POPULATE and mlockall do: what cannot be
 * touched is left out. */
void populate_range(struct mm *m, uint64_t start, uint64_t end);
/* populate_all is populate_range that ends at the first VMA without rights: 0 or -ENOMEM. */
int populate_all(struct mm *m, uint64_t start, uint64_t end);
int expand_stack(struct mm *m, struct vma *v, uint64_t a);

/* -- audit_call.c */
/* audit_call audits after a call of the hostile build, audit_fault after a fault and what else ends
 * without changing VMAs; they die when an invariant is broken. */
void audit_call(struct mm *m);
void audit_fault(struct mm_sys *s);
bool audit_can_merge(const struct mm *m, const struct vma *a, const struct vma *b);

#endif
