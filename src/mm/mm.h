/* mm.h: the memory manager of the modelled kernel: address spaces, faults, memory calls, the page
 * cache. A kernel developer should recognise Linux 6.x in it.
 *
 *   struct mm_sys   one per machine: page cache of files, tunables, outbox
 *     struct mm     one per address space: VMAs sorted by address, page tables, counters
 *       struct vma  [start, end) with rights, flags, file and offset
 *
 * Calls return what Linux returns: >= 0 or -errno. Nothing here knows of TLBs, caches or time: what
 * the hardware must hear is appended to the outbox of mm_sys (pt/arch.h).
 *
 * Counted here: pgfault, pgmajfault, pgreuse, pgpgin, minor and major faults and struct mm_counters, faults of MAP_POPULATE
 * and its like included. Faults by kind, signals and divergences are counted by whoever asks.
 *
 * Invariants (mm_audit):
 *  I1  VMAs are sorted, do not overlap, are page aligned, not empty.
 *  I2  No two neighbours that could merge are separate, but for what Linux leaves so, too: the heap's
 *      first page, a stack grown down to a neighbour, and anything after an MREMAP_DONTUNMAP or in a
 *      child whose parent had memory locked or wiped on fork, or after a munmap that was refused half way.
 *  I3  A present user entry lies inside a VMA and gives no right the VMA lacks.
 *  I4  rss[] equals the number of present entries by kind (zero page in none of them), swapents that
 *      of swap entries.
 *  I5  Every mapped frame's mapcount equals the number of entries that map it; a walk from the frame
 *      (rmap.c) finds them all; an exclusive frame has one.
 *  I6  total_vm, data_vm, stack_vm, exec_vm and locked_vm equal the sums over the VMAs (locked_vm keeps
 *      too much after an MREMAP_DONTUNMAP, as in Linux).
 *  I7  Those of anon_vma.c.
 *  I8  Those of lru.c.
 *  I9  Those of commit.c.
 *  I10  Those of swap.c.
 *  I11  Those of pt.h for every address space; together they have all frames of page tables.
 *  I12  The counters of nodes and of owners of frames equal the sums over the folios that are mapped,
 *      in the cache of a file or in the swap cache: no other frame is a program's.
 */
#ifndef MM_MM_H
#define MM_MM_H

#include "base/itree.h"
#include "conf/conf.h"
#include "mm/node.h"
#include "mm/swap.h"
#include "pt/arch.h"
#include "pt/pt.h"
#include "policy/numa.h"
#include "stat/stat.h"

/* VMA flags: Linux's bits (include/linux/mm.h). */
#define VM_READ        0x00000001ull
#define VM_WRITE       0x00000002ull
#define VM_EXEC        0x00000004ull
#define VM_SHARED      0x00000008ull
#define VM_MAYREAD     0x00000010ull
#define VM_MAYWRITE    0x00000020ull
#define VM_MAYEXEC     0x00000040ull
#define VM_MAYSHARE    0x00000080ull
#define VM_GROWSDOWN   0x00000100ull
#define VM_PFNMAP      0x00000400ull
#define VM_LOCKED      0x00002000ull
#define VM_IO          0x00004000ull
#define VM_SEQ_READ    0x00008000ull
#define VM_RAND_READ   0x00010000ull
#define VM_DONTCOPY    0x00020000ull
#define VM_DONTEXPAND  0x00040000ull
#define VM_LOCKONFAULT 0x00080000ull
#define VM_ACCOUNT     0x00100000ull
#define VM_NORESERVE   0x00200000ull
#define VM_WIPEONFORK  0x02000000ull
#define VM_DONTDUMP    0x04000000ull
#define VM_HUGEPAGE    0x20000000ull
#define VM_NOHUGEPAGE  0x40000000ull
#define VM_MERGEABLE   0x80000000ull /* KSM was asked for by madvise: it only keeps VMAs apart */
#define VM_MAYBE_GUARD 0x00000800ull /* a guard region was installed here once */
#define VM_HUGETLB     0x00400000ull
#define VM_SYNC        0x00800000ull
#define VM_MIXEDMAP    0x10000000ull
#define VM_PKEY_SHIFT  32 /* bits 32 to 35: the protection key */
#define VM_PKEY_MASK   0xf00000000ull
#define VM_DROPPABLE   (1ull << 40)
#define VM_SEALED      (1ull << 42)

struct mm_sys;
struct mm;
struct mm_file;
struct anon_vma;
struct anon_vma_chain;

/* Who makes the memory calls of an address space ("current"). */
enum mm_rlim { MM_RLIM_AS, MM_RLIM_DATA, MM_RLIM_STACK, MM_RLIM_MEMLOCK, MM_RLIM_NR };
#define MM_RLIM_INFINITY UINT64_MAX
struct mm_rlimit {
    uint64_t cur, max; /* soft and hard limit, bytes; MM_RLIM_INFINITY: none */
};
struct mm_task {
    uint32_t pid, tgid;                  /* of the process; what /proc and the OOM killer print */
    uint32_t uid;                        /* user */
    uint32_t gid;                        /* group */
    uint32_t cpu;                        /* core it runs on now */
    char comm[16];                       /* name, ends with 0 */
    uint64_t caps;                       /* bit CAP_… of <linux/capability.h>: it has that one */
    struct mm_rlimit rlimit[MM_RLIM_NR]; /* resource limits */
    int16_t oom_score_adj;               /* -1000 to 1000 */
    int16_t oom_score_adj_min;           /* lower only with CAP_SYS_RESOURCE */
};

/* What kind of memory a VMA is, and what reports call it. */
enum vma_kind { VMA_ANON, VMA_FILE, VMA_SHMEM, VMA_HEAP, VMA_STACK, VMA_VDSO, VMA_VVAR };

struct vma {
    vaddr start, end;             /* [start, end), page aligned */
    uint64_t flags;               /* VM_… */
    uint8_t kind;                 /* enum vma_kind */
    uint64_t pgoff;               /* page offset in the file; start / 4096 at creation for anon */
    struct mm_file *file;         /* NULL for anon; a reference is held */
    uint32_t label;               /* for attribution: same value = same row in reports (mm_label) */
    struct mm *m;                 /* whose */
    struct anon_vma *anon_vma;    /* of the anonymous pages it makes; NULL = none yet */
    struct anon_vma_chain *chain; /* every anon_vma its pages may have, see anon_vma.c */
    uint64_t file_id;             /* open file description it was mapped through; 0: not known */
    struct itree_node in_file;    /* among the VMAs of its file, by page offset */
    struct vma_swap_ra swap_ra;   /* swap readahead by address */
    struct vma *prev, *next;      /* by address; NULL at the ends */
    struct resv_map *resv;        /* hugetlb, private, of its creator: promised pages; else NULL */
    uint8_t resv_flags;           /* HPAGE_RESV_… */
    struct mempolicy *policy;     /* where its pages shall come from; NULL: as the task wants */
};

/* One row of attribution: stays after the VMA is gone. */
struct mm_label {
    char name[128];       /* path, "[heap]", "[stack]", "[anon]", "[vdso]"; never empty */
    char program[16];     /* whose: the name of the task that made it */
    uint64_t flags;       /* rights when first made */
    uint64_t first_start; /* where its first VMA began */
    uint64_t max_bytes;   /* most bytes mapped under this label at a time */
    uint64_t cur_bytes;
};

/* rss[] kinds, as Linux counts them. */
enum mm_rss { MM_FILEPAGES, MM_ANONPAGES, MM_SHMEMPAGES, MM_RSS_NR };

/* -- opening */
int mm_sys_open(struct mm_sys **ret, const struct conf *conf, struct phys *phys,
                struct stat_set *stats, struct arch_outbox *outbox);
void mm_sys_close(struct mm_sys *s);
/* mm_sys_set_kernel tells mm the kernel's own tables (pt_open_kernel), filled in: spaces opened from
 * now on share their upper half. NULL: no more. */
void mm_sys_set_kernel(struct mm_sys *s, const struct pt *kernel);
int mm_open(struct mm **ret, struct mm_sys *s); /* an empty address space with a root table */
void mm_close(struct mm *m);                    /* unmaps all, frees tables: exit_mmap */
/* mm_get: one process more runs in it (CLONE_VM); mm_put: one less, and mm_close by the last of them. An
 * address space begins with one. mm_put returns true when it is gone. */
void mm_get(struct mm *m);
bool mm_put(struct mm *m);
/* mm_fork makes the address space of a child: what Linux's dup_mmap inherits, anonymous pages shared
 * until one side writes. 0 and the child, or -ENOMEM. The caller names the child with mm_set_task. */
int mm_fork(struct mm **ret, struct mm *parent);
/* mm_exec makes an empty one for the task of `old`: its names, limits, NUMA policy and the switches of
 * prctl stay. 0 or -ENOMEM. */
int mm_exec(struct mm **ret, const struct mm *old);
const struct pt *mm_pt(const struct mm *m);
/* mm_id returns the number of an address space: from 1 on, never given twice. */
uint32_t mm_id(const struct mm *m);
const struct mm_label *mm_labels(const struct mm_sys *s, uint32_t *ret_n);
/* mm_set_cpu says which CPU what follows runs on: below cpu.cores. */
void mm_set_cpu(struct mm_sys *s, unsigned cpu);
/* mm_lru_drain empties the batches of all CPUs (lru_add_drain_all). */
void mm_lru_drain(struct mm_sys *s);

/* -- current: an ordinary user's process until told otherwise: no capability, 8 MiB of stack and of
 * locked memory, other limits infinite. */
const struct mm_task *mm_task(const struct mm *m);
void mm_set_task(struct mm *m, const struct mm_task *t);
/* mm_set_rlimit is setrlimit. A new RLIMIT_STACK bounds growth from now on; mmap_base stays. */
void mm_set_rlimit(struct mm *m, enum mm_rlim which, struct mm_rlimit limit);

/* -- files: identified by device and inode; size in bytes as last heard */
struct mm_file *mm_file(struct mm_sys *s, uint64_t dev, uint64_t ino, uint64_t size,
                        const char *path); /* finds or makes; one reference for the caller */
/* mm_file_find finds a file that was heard of, with a reference for the caller, or NULL. */
struct mm_file *mm_file_find(struct mm_sys *s, uint64_t dev, uint64_t ino, uint64_t *ret_size);
void mm_file_put(struct mm_sys *s, struct mm_file *f);
/* mm_file_unlink: nothing leads to the file any more (a memfd's last descriptor was closed, IPC_RMID):
 * it goes with its last reference, and its pages with it. mm_file of the same inode undoes this.
 * pre: the caller holds a reference. */
void mm_file_unlink(struct mm_file *f);
/* What is special about a file. */
enum {
    MM_FILE_NOEXEC = 1, /* its mount forbids execution */
    MM_FILE_APPEND = 2, /* it may only grow (chattr +a) */
    MM_FILE_SWAP = 4,   /* swap lies in it */
    MM_FILE_NOMMAP = 8, /* cannot be mapped: a pipe, a directory */
    MM_FILE_ROOTS =
        16, /* root's, and nobody else may write it: what is cached is not told either */
};
void mm_file_set_traits(struct mm_file *f, uint32_t traits);
/* Seals of a memfd, as fcntl(F_ADD_SEALS) takes them. */
enum {
    MM_SEAL_SEAL = 0x01,
    MM_SEAL_SHRINK = 0x02,
    MM_SEAL_GROW = 0x04,
    MM_SEAL_WRITE = 0x08,
    MM_SEAL_FUTURE_WRITE = 0x10,
    MM_SEAL_EXEC = 0x20,
};
/* mm_memfd makes a file of no bytes in memory, with a reference for the caller; flags are those of
 * memfd_create. -EINVAL for a name or flags Linux refuses. */
int mm_memfd(struct mm_sys *s, const char *name, uint32_t flags, struct mm_file **ret);
/* mm_file_add_seals: 0, -EINVAL, -EPERM (sealed against it), -EBUSY (mapped writable and shared). */
int mm_file_add_seals(struct mm_file *f, uint32_t seals);
uint32_t mm_file_seals(const struct mm_file *f);
/* mm_ftruncate is ftruncate: mm_file_resize that obeys seals. 0 or -EPERM. */
int mm_ftruncate(struct mm_sys *s, struct mm_file *f, uint64_t size);
/* mm_fallocate_punch is fallocate(PUNCH_HOLE | KEEP_SIZE): 0, -EINVAL or -EPERM. */
int mm_fallocate_punch(struct mm_sys *s, struct mm_file *f, uint64_t offset, uint64_t len);
/* mm_fallocate_shift is fallocate(COLLAPSE_RANGE) or (INSERT_RANGE): what the file has from the offset on
 * moves, so that its pages go, private copies included. The new size: mm_file_resize. */
void mm_fallocate_shift(struct mm_sys *s, struct mm_file *f, uint64_t offset);
/* mm_fsync_range writes the dirty pages with bytes of [from, to) of a regular file back; other files
 * have no device. Tells, once, of bytes that could not be written: 0 or -errno. */
int mm_fsync_range(struct mm_sys *s, struct mm_file *f, uint64_t from, uint64_t to);
/* mm_sync does it for all files, or for those of a device. */
void mm_sync(struct mm_sys *s, const uint64_t *dev);
/* mm_file_resize: truncation unmaps what lies beyond the new end, private copies included. */
void mm_file_resize(struct mm_sys *s, struct mm_file *f, uint64_t size);
/* mm_file_backing gives a file bytes, with phys.contents: those of a descriptor of the host, which the
 * caller keeps open (and resizes with the file). Before the first page is used; without: zeroes. */
void mm_file_backing(struct mm_file *f, int fd);

/* -- hugetlb: pools of huge pages */
enum mm_hugetlb_size { MM_HUGETLB_2M, MM_HUGETLB_1G, MM_HUGETLB_NR };
struct mm_hugetlb_info {
    uint64_t bytes;                               /* of a page */
    uint64_t nr, free, resv, surplus, overcommit; /* pages, as in hugepages-NkB/ */
    uint64_t boot;                                /* pages the pool had after boot */
};
void mm_hugetlb_info(const struct mm_sys *s, enum mm_hugetlb_size size,
                     struct mm_hugetlb_info *ret);
/* mm_hugetlb_available returns how many pages could be promised now. */
static inline uint64_t mm_hugetlb_available(const struct mm_hugetlb_info *i)
{
    return i->free - i->resv + (i->overcommit > i->surplus ? i->overcommit - i->surplus : 0);
}
/* mm_hugetlb_set is writing nr_hugepages: the pool grows as far as memory allows, and shrinks to what
 * is in use or promised, which then is surplus. */
void mm_hugetlb_set(struct mm_sys *s, enum mm_hugetlb_size size, uint64_t count);
/* A file of huge pages: of a memfd or of System V shared memory. */
struct mm_hugetlb_file {
    uint64_t bytes;    /* size, rounded up to a page */
    unsigned size_log; /* 21, 30, or 0: the default, 2 MiB */
    const char *path;  /* as /proc shows it */
    bool reserve;      /* promise all its pages now */
};
/* mm_hugetlb_file makes one, with a reference for the caller. -EINVAL: no such size; -ENOMEM. */
int mm_hugetlb_file(struct mm_sys *s, const struct mm_hugetlb_file *q, struct mm_file **ret);
/* mm_hugetlb_named is mm_file for a file of huge pages: known by device and inode. -EINVAL: no such size,
 * or it is another file. */
int mm_hugetlb_named(struct mm_sys *s, uint64_t dev, uint64_t ino, const struct mm_hugetlb_file *q,
                     struct mm_file **ret);
/* What a call wants of a pool. */
struct mm_hugetlb_want {
    const struct mm_file *file; /* NULL: anonymous, or a segment that does not exist yet */
    uint64_t offset, bytes;     /* of the file; the end is rounded up to a page */
    unsigned size_log;          /* without a file, as in struct mm_hugetlb_file */
    bool shared, reserve;       /* MAP_SHARED; promises are made (no MAP_NORESERVE) */
};
/* mm_hugetlb_may says whether the pool could promise that now, and promises nothing. -EINVAL: no such
 * size, or an offset inside a page; -ENOMEM. */
int mm_hugetlb_may(struct mm_sys *s, const struct mm_hugetlb_want *want);

/* -- memory calls. Where `forced` is set the place is where the program really got it: existing
 * mappings there are replaced, limits and search are skipped; policy (flags, rights, merging,
 * accounting) stays Linux's. */
struct mm_map {
    vaddr addr;           /* hint, or the place with MAP_FIXED or forced */
    uint64_t len;         /* bytes, as passed */
    uint32_t prot, flags; /* PROT_…, MAP_… of <sys/mman.h> */
    struct mm_file *file; /* NULL: MAP_ANONYMOUS. A reference is taken */
    uint64_t file_id;     /* open file description: mappings of two do not merge; 0: not known */
    bool file_writable;   /* the descriptor allows writing (MAY_WRITE of shared maps) */
    bool file_unreadable; /* it was opened for writing only */
    uint64_t offset;      /* bytes */
    bool forced;
};
int64_t mm_mmap(struct mm *m, const struct mm_map *map); /* address or -errno */
/* mm_mmap_knows: MAP_SHARED_VALIDATE of a file that cannot do MAP_SYNC accepts these flags. */
bool mm_mmap_knows(uint32_t flags);
int mm_munmap(struct mm *m, vaddr start, uint64_t len);
/* -- System V shared memory. mm_shmget returns an id. */
int mm_shmget(struct mm *m, int32_t key, uint64_t size, int flags);
/* mm_shm_adopt: the program was told this id for a segment of at least so many bytes. 0, or why a
 * segment of huge pages (SHM_HUGETLB) cannot be. mm_shm_known: a segment has that key. */
bool mm_shm_known(const struct mm *m, int32_t key);
int mm_shm_adopt(struct mm *m, int id, int32_t key, uint64_t size, int flags);
/* mm_shmat: address or -errno; forced: at `at`, where the program really got it. */
int64_t mm_shmat(struct mm *m, int id, vaddr at, int flags, bool forced);
/* What IPC_STAT tells; IPC_SET takes the owner, his group and the mode. */
struct mm_shmid {
    int32_t key;         /* IPC_PRIVATE once removed */
    uint64_t size;       /* bytes, as asked for */
    uint32_t nattch;     /* mappings */
    uint32_t uid, gid;   /* owner and his group */
    uint32_t cuid, cgid; /* of who made it */
    uint32_t cpid, lpid; /* processes: who made it, who attached last */
    uint32_t mode;       /* permissions, SHM_DEST, SHM_LOCKED */
};
/* mm_shmctl: IPC_STAT, IPC_SET, IPC_RMID, SHM_LOCK, SHM_UNLOCK; others -EINVAL. */
int mm_shmctl(struct mm *m, int id, int cmd, struct mm_shmid *buf);
/* mm_shmdt unmaps what is left of the shared memory whose first page was mapped at `start`. */
int mm_shmdt(struct mm *m, vaddr start);
int mm_mprotect(struct mm *m, vaddr start, uint64_t len, uint32_t prot);
/* mm_pkey_mprotect: -1 is no key: mprotect. */
int mm_pkey_mprotect(struct mm *m, vaddr start, uint64_t len, uint32_t prot, int pkey);
/* mm_pkey_alloc returns a key, or -EINVAL or -ENOSPC. The rights go to PKRU, the caller's register. */
int mm_pkey_alloc(struct mm *m, uint64_t flags, uint64_t rights);
int mm_pkey_free(struct mm *m, int pkey);
/* mm_mremap: new_addr is used with MREMAP_FIXED, or when forced (where the program really got it). */
int64_t mm_mremap(struct mm *m, vaddr old, uint64_t old_len, uint64_t new_len, uint32_t flags,
                  vaddr new_addr, bool forced);
/* mm_brk returns the break after the call, as the system call does. */
vaddr mm_brk(struct mm *m, vaddr brk);
/* mm_get_user_pages makes pages of [start, start + bytes) present as get_user_pages does (writable with
 * `write`), and returns how many, up to the first that cannot be had. */
uint64_t mm_get_user_pages(struct mm *m, vaddr start, uint64_t bytes, bool write);
int mm_madvise(struct mm *m, vaddr start, uint64_t len, int advice);
/* mm_process_madvise advises the stretches in turn, for an address space m does not own without
 * CAP_SYS_NICE only itself: bytes done, or -errno when the first failed. */
struct mm_iovec {
    vaddr base;
    uint64_t len; /* bytes */
};
int64_t mm_process_madvise(struct mm *m, struct mm *target, const struct mm_iovec *v, uint64_t n,
                           int advice, uint64_t flags);
/* mm_remap_file_pages: emulated by mmap since Linux 4.0; pgoff in pages. */
int mm_remap_file_pages(struct mm *m, vaddr start, uint64_t size, uint32_t prot, uint64_t pgoff,
                        uint32_t flags);
/* mm_mlock: flags are mlock2's (0 or MLOCK_ONFAULT). -ENOMEM at a hole, and at memory without rights,
 * but what lies before them is locked. */
int mm_mlock(struct mm *m, vaddr start, uint64_t len, int flags);
int mm_munlock(struct mm *m, vaddr start, uint64_t len);
/* mm_mlockall: MCL_FUTURE makes every later mapping locked, and its absence ends that. */
int mm_mlockall(struct mm *m, int flags);
void mm_munlockall(struct mm *m);
int mm_msync(struct mm *m, vaddr start, uint64_t len, int flags);
/* mm_mincore writes one byte per page to vec (len / 4096 rounded up bytes). */
int mm_mincore(struct mm *m, vaddr start, uint64_t len, uint8_t *vec);

/* -- NUMA policy. What points to memory of the program comes as what the kernel found there. */
int mm_mbind(struct mm *m, vaddr start, uint64_t len, int mode, const struct nodemask_arg *mask,
             uint64_t flags);
int mm_set_mempolicy(struct mm *m, int mode, const struct nodemask_arg *mask);
int mm_set_mempolicy_home_node(struct mm *m, vaddr start, uint64_t len, uint64_t home,
                               uint64_t flags);
struct mm_get_mempolicy {
    vaddr addr;       /* of a mapping, with MPOL_F_ADDR */
    uint64_t flags;   /* MPOL_F_… */
    bool want_nodes;  /* the program passed a mask */
    uint64_t maxnode; /* its length */
};
/* mm_get_mempolicy answers with a mode (and flags) or a node, and a set of nodes. With MPOL_F_NODE
 * and MPOL_F_ADDR the page is touched. */
int mm_get_mempolicy(struct mm *m, const struct mm_get_mempolicy *q, int *ret_policy,
                     uint64_t *ret_nodes);
/* mm_migrate_pages moves the pages of `target` (NULL: no such process) between nodes for a caller m:
 * how many could not be moved, or -errno. */
int64_t mm_migrate_pages(struct mm *m, struct mm *target, const struct nodemask_arg *from,
                         const struct nodemask_arg *to);
struct mm_move_pages {
    uint64_t nr;           /* pages asked for */
    const uint64_t *pages; /* addresses */
    uint64_t pages_nr;     /* readable ones */
    const int32_t *nodes;  /* where to; NULL: only ask where they are */
    uint64_t nodes_nr;     /* readable ones */
    int32_t *status;       /* written: a node or -errno */
    uint64_t status_nr;    /* writable ones */
    uint64_t flags;        /* MPOL_MF_MOVE, MPOL_MF_MOVE_ALL */
};
/* mm_move_pages: 0, how many pages were not moved, or -errno. */
int64_t mm_move_pages(struct mm *m, struct mm *target, const struct mm_move_pages *q);
/* mm_numa_policy writes the policy of a VMA's first page as numa_maps shows it (MPOL_STR_LEN). */
void mm_numa_policy(const struct mm *m, const struct vma *v, char *ret, size_t len);

/* mm_mseal: flags must be 0. Sealed mappings keep place, size and rights. */
int mm_mseal(struct mm *m, vaddr start, uint64_t len, uint64_t flags);

/* -- overcommit, in pages */
uint64_t mm_commit_limit(const struct mm_sys *s);
uint64_t mm_committed(const struct mm_sys *s);

/* mm_sysctl sets a tunable while the machine runs; the key with or without "vm.". 0, -ENOENT for
 * another key, -EINVAL out of range. */
int mm_sysctl(struct mm_sys *s, const char *key, uint64_t value);
/* mm_sysctl_get reads one: 0 or -ENOENT. */
int mm_sysctl_get(const struct mm_sys *s, const char *key, uint64_t *ret);
/* mm_sysctl_range returns what may be written to one: 0 or -ENOENT. */
int mm_sysctl_range(const char *key, uint64_t *ret_min, uint64_t *ret_max);
/* mm_sysctl_name returns the key of tunable i without "vm.", NULL after the last. */
const char *mm_sysctl_name(unsigned i);

/* -- what exec needs (kern/exec.c) */
/* mm_map_special maps [vdso] and [vvar] pages. */
int mm_map_special(struct mm *m, vaddr start, uint64_t len, uint64_t flags, enum vma_kind kind);
/* mm_map_stack makes the growing stack VMA [start, end) with the limit it may grow to, bytes. */
int mm_map_stack(struct mm *m, vaddr start, vaddr end, uint64_t limit);
/* mm_set_brk sets start_brk = brk = a, as the ELF loader does. */
void mm_set_brk(struct mm *m, vaddr a);
/* mm_vma_at returns the VMA that contains a, or NULL. Valid until the next call that changes m. */
const struct vma *mm_vma_at(const struct mm *m, vaddr a);
/* mm_vma_next returns the first VMA that ends above a, or NULL. All VMAs in order:
 *     for (const struct vma *v = mm_vma_next(m, va(0)); v; v = v->next) */
const struct vma *mm_vma_next(const struct mm *m, vaddr a);

/* mm_thp_disable is prctl(PR_SET_THP_DISABLE): no huge pages from now on, or only where advised
 * (PR_THP_DISABLE_EXCEPT_ADVISED); neither: huge pages as the machine's options say. */
void mm_thp_disable(struct mm *m, bool disabled, bool except_advised);
/* mm_thp_disabled is prctl(PR_GET_THP_DISABLE): 1 disabled, 3 but where advised, 0 not. */
int mm_thp_disabled(const struct mm *m);
/* mm_compact_memory is a write to vm.compact_memory, mm_compact_node one to a node's `compact`. */
void mm_compact_memory(struct mm_sys *s);
void mm_compact_node(struct mm_sys *s, unsigned nid);
/* mm_fragmentation_score: per cent of a node's free memory that is in no block of 2 MiB. */
unsigned mm_fragmentation_score(const struct mm_sys *s, unsigned nid);
/* mm_tick lets the kernel's threads that wait for a time run: khugepaged, kcompactd, kswapd, the
 * flusher. now: virtual, in ms. */
void mm_tick(struct mm_sys *s, uint64_t now_ms);
/* What /sys/kernel/mm/transparent_hugepage counts. */
struct mm_thp_stats {
    uint64_t pages_collapsed, full_scans; /* khugepaged/… */
    uint64_t fault_alloc[10];             /* hugepages-NkB/stats/anon_fault_alloc, by order */
    uint64_t fault_fallback[10];          /* …/anon_fault_fallback */
};
void mm_thp_stats(const struct mm_sys *s, struct mm_thp_stats *ret);
/* mm_shrink_thp splits huge pages of which a part is not mapped any more until `want` frames were
 * freed; returns how many. Reclaim's shrinker. */
uint64_t mm_shrink_thp(struct mm_sys *s, uint64_t want);

/* -- faults */
enum fault_kind {
    FAULT_ANON,
    FAULT_ZERO_PAGE,
    FAULT_ANON_COW,
    FAULT_FILE_READ,
    FAULT_FILE_COW,
    FAULT_FILE_SHARED,
    FAULT_SHMEM,
    FAULT_SWAP_IN,
    FAULT_SPURIOUS,
    FAULT_MAJOR,
    FAULT_BAD,
    FAULT_KIND_NR
};
enum { SEGV_NONE = 0 };
struct mm_verdict {
    int signal;    /* 0, SIGSEGV or SIGBUS */
    int si_code;   /* SEGV_MAPERR, SEGV_ACCERR, SEGV_PKUERR, BUS_ADRERR, BUS_MCEERR_AR, SI_KERNEL */
    uint32_t code; /* with a signal: the error code its frame shows; 0 for a #GP */
    enum fault_kind kind;
    bool major;
    bool stack_grew;
    bool oom; /* no frame: the program could not have gone on */
};
/* mm_fault handles one page fault or #GP. In kernel mode (code without FAULT_U) a bad verdict means
 * the exception table is consulted: the copy stops. Steps and kernel accesses go to the outbox. */
void mm_fault(struct mm *m, const struct arch_fault *fault, struct mm_verdict *ret);

/* mm_copy_to_user and mm_copy_from_user copy bytes to and from the program's memory as the kernel does:
 * faults are handled, and at the first byte that cannot be reached the copy ends. They return the bytes
 * copied, or -EOPNOTSUPP without phys.contents. */
int64_t mm_copy_to_user(struct mm *m, vaddr to, const void *from, uint64_t len);
int64_t mm_copy_from_user(struct mm *m, void *to, vaddr from, uint64_t len);

/* mm_repair maps something for an access of the program the model has no mapping or right for, so
 * that the run can go on (a counted divergence). */
void mm_repair(struct mm *m, const struct arch_fault *fault);

/* -- counters of an address space, for reports */
struct mm_counters {
    uint64_t minflt, majflt;
    uint64_t rss[MM_RSS_NR], rss_peak;                            /* pages */
    uint64_t total_vm, total_vm_peak, data_vm, stack_vm, exec_vm; /* pages */
    uint64_t locked_vm;                                           /* pages; VmLck */
    uint64_t pte_bytes;                                           /* VmPTE */
    uint64_t swapents;                                            /* swap entries; VmSwap */
    uint32_t map_count;
    uint64_t hugetlb; /* HugetlbPages, pages of 4 KiB */
};
void mm_counters(const struct mm *m, struct mm_counters *ret);

/* mm_audit checks I1-I12 of all address spaces of the machine; 0 or the number of the broken invariant. Slow. */
int mm_audit(struct mm *m);

#endif
