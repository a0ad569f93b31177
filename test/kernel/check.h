/* check.h: the model against the running kernel: what the files of test/kernel share.
 *
 *   gen.c      a seed ─► a sequence of calls            calls.c    the table of kinds of calls
 *   native.c   performs and observes them on the kernel ┐
 *   model.c    performs and observes them on the model  ┴─► compare.c ─► the first field that differs
 *   view.c     pages and frames of a moment             look.c     the model's, as `proc` shows it
 *   shrink.c   drops calls while it still differs       print.c    writes the C program
 *   main.c     options, the loop over seeds, the last line; seen.c what was compared but always zero;
 *              reach.c what the generator makes
 *   cgroup.c   a memory cgroup for each sequence        subject.c  the program that makes the calls
 *   calls_*.c  kinds of calls by subject
 *   fuzz.c     fuzz_mm: the same sequences on the model alone; shadow.c a TLB that never forgets
 *   global_*.c programs of their own: make check-kernel-global
 *
 * A moment is what is seen after a call: the answer, and a view of every process: its VMAs as smaps
 * shows them, its counters as status shows them, its pages as pagemap, kpageflags and kpagecount
 * show them, which of them are one frame, and the bytes of each. At the end every process reads every
 * page of its mappings, and is looked at once more.
 */
#ifndef TEST_KERNEL_CHECK_H
#define TEST_KERNEL_CHECK_H

#include "base/bits.h"
#include "base/check.h"
#include "base/rng.h"
#include "base/types.h"
#include "kernel/subject.h"
#include "proc/gather.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define K          UINT64_C(4096)
#define CALLS_MAX  80u
#define VMAS_MAX   1500u
#define SHM_MAX    4u   /* System V segments of a sequence */
#define WINDOW     96u  /* pages, or units of pages, most addresses lie in */
#define OUT_SEEN   128u /* bytes of a call's output that are compared */
#define FILE_PAGES 61u  /* of the test file, and a half: the last page is partial */
#define MANY_BASE                                                                                  \
    UINT64_C(0x400000000000) /* where mmap_many puts mappings, which are not looked at */
#define MANY_BYTES GIB(1)
#define FILE_BYTES (FILE_PAGES * K + K / 2)

/* Arguments that stand for an address of the process that makes the call. */
#define PTR_IN    UINT64_C(0x1111111100000000) /* call.in */
#define PTR_OUT   UINT64_C(0x1111111200000000) /* its output buffer */
#define REF_STACK 254 /* in call.ref: where the stack began when the process started */
#define REF_BRK   255 /* in call.ref: the break the process started with */

/* struct shmid64_ds, where IPC_STAT and IPC_SET have what is compared. */
#define SHMID_MODE   20u
#define SHMID_SIZE   48u
#define SHMID_NATTCH 88u

/* -- sequences */
struct call {
    uint8_t kind;   /* row of call_kinds */
    uint8_t proc;   /* slot of the process that makes it */
    uint8_t ref[6]; /* 1 + index of an earlier call whose result is added to arg[i]; 0: none */
    uint64_t arg[6];
    uint64_t in[4]; /* what PTR_IN points to */
};
struct sequence {
    uint64_t seed;
    uint64_t base, unit; /* of the window; bytes, pages */
    bool thp;            /* transparent huge pages are not disabled */
    unsigned n;
    struct call call[CALLS_MAX];
};

/* -- what is seen */
#define SMAPS_FIELDS(ROW)                                                                          \
    ROW(PAGE_SIZE, "KernelPageSize")                                                               \
    ROW(RSS, "Rss")                                                                                \
    ROW(PSS, "Pss")                                                                                \
    ROW(PSS_DIRTY, "Pss_Dirty")                                                                    \
    ROW(SHARED_CLEAN, "Shared_Clean")                                                              \
    ROW(SHARED_DIRTY, "Shared_Dirty")                                                              \
    ROW(PRIVATE_CLEAN, "Private_Clean")                                                            \
    ROW(PRIVATE_DIRTY, "Private_Dirty")                                                            \
    ROW(ANONYMOUS, "Anonymous")                                                                    \
    ROW(LAZYFREE, "LazyFree")                                                                      \
    ROW(ANON_HUGE, "AnonHugePages")                                                                \
    ROW(SHMEM_HUGE, "ShmemPmdMapped")                                                              \
    ROW(FILE_HUGE, "FilePmdMapped")                                                                \
    ROW(SHARED_HUGETLB, "Shared_Hugetlb")                                                          \
    ROW(PRIVATE_HUGETLB, "Private_Hugetlb")                                                        \
    ROW(SWAP, "Swap")                                                                              \
    ROW(SWAP_PSS, "SwapPss")                                                                       \
    ROW(LOCKED, "Locked")                                                                          \
    ROW(THP_ELIGIBLE, "THPeligible")
enum smaps_field {
#define ROW(id, name) SMAPS_##id,
    SMAPS_FIELDS(ROW)
#undef ROW
        SMAPS_NR
};
extern const char *const smaps_names[SMAPS_NR];

#define STATUS_FIELDS(ROW)                                                                         \
    ROW(PEAK, "VmPeak")                                                                            \
    ROW(SIZE, "VmSize")                                                                            \
    ROW(LCK, "VmLck")                                                                              \
    ROW(ANON, "RssAnon")                                                                           \
    ROW(FILE, "RssFile")                                                                           \
    ROW(SHMEM, "RssShmem")                                                                         \
    ROW(DATA, "VmData")                                                                            \
    ROW(STK, "VmStk")                                                                              \
    ROW(EXE, "VmExe + VmLib")                                                                      \
    ROW(PTE, "VmPTE")                                                                              \
    ROW(SWAP, "VmSwap")                                                                            \
    ROW(HUGETLB, "HugetlbPages")
enum status_field {
#define ROW(id, name) STATUS_##id,
    STATUS_FIELDS(ROW)
#undef ROW
        STATUS_NR
};
extern const char *const status_names[STATUS_NR];

struct vma_view {
    uint64_t start, end, offset;
    char perms[5];
    uint64_t flags; /* VmFlags as Linux's bits */
    uint32_t kb[SMAPS_NR];
};

/* A page that is present, in swap, or marked: entries that are none are not in the list. */
#define PM_SEEN (PM_PRESENT | PM_SWAP | PM_FILE | PM_GUARD_REGION | PM_MMAP_EXCLUSIVE | PM_UFFD_WP)
struct page_view {
    uint64_t addr;
    uint64_t map;      /* of its pagemap word: PM_SEEN */
    uint64_t flags;    /* kpageflags, what KPF_SEEN names */
    uint32_t mapcount; /* kpagecount */
    uint32_t frame;    /* which one: numbered from 1 as a look meets them, all processes in turn */
    bool kept;         /* the same as at the look before */
    uint64_t number;   /* PFN, of its own side only */
    uint64_t word;     /* the first 8 bytes, of a present page */
    uint64_t sum;      /* page_sum of all its bytes */
};
#define KPF_SEEN                                                                                   \
    (BIT(KPF_UPTODATE) | BIT(KPF_DIRTY) | BIT(KPF_SLAB) | BIT(KPF_BUDDY) | BIT(KPF_MMAP) |         \
     BIT(KPF_ANON) | BIT(KPF_SWAPCACHE) | BIT(KPF_SWAPBACKED) | BIT(KPF_COMPOUND_HEAD) |           \
     BIT(KPF_COMPOUND_TAIL) | BIT(KPF_HUGE) | BIT(KPF_HWPOISON) | BIT(KPF_NOPAGE) | BIT(KPF_KSM) | \
     BIT(KPF_THP) | BIT(KPF_OFFLINE) | BIT(KPF_ZERO_PAGE) | BIT(KPF_PGTABLE) | BIT(KPF_RESERVED) | \
     BIT(KPF_MLOCKED) | BIT(KPF_OWNER_2))
/* kpf_seen: PG_owner_2 tells of an exclusive page where the page is anonymous, and nothing elsewhere. */
static inline uint64_t kpf_seen(uint64_t flags)
{
    return flags & KPF_SEEN & ~(flags & BIT(KPF_ANON) ? 0 : BIT(KPF_OWNER_2));
}

/* page_sum mixes the bytes of a page into one number: pages that differ anywhere differ in it. Four
 * sums side by side take a quarter of the time of one. */
static inline uint64_t page_sum(const uint64_t bytes[512])
{
    uint64_t h[4] = {0, 1, 2, 3};
    for (unsigned i = 0; i < 512; i += 4)
        for (unsigned j = 0; j < 4; j++)
            h[j] = (h[j] ^ bytes[i + j]) * UINT64_C(0x9e3779b97f4a7c15) + (h[j] >> 29);
    return (h[0] ^ h[1] >> 1) + (h[2] ^ h[3] >> 1) * 3;
}

struct view {
    bool live;
    bool
        many; /* it has so many VMAs that smaps is not read: of the others place and rights are seen */
    unsigned n_vma, n_page, room;
    uint64_t status[STATUS_NR]; /* kB; RssX without what the subject itself is made of */
    struct vma_view vma[VMAS_MAX];
    struct page_view *page; /* n_page of them, by address; room for `room` */
    struct frame_at {
        uint64_t addr, number;
    } * past; /* n_past of them: of the look before, present pages only */
    unsigned n_past, room_past;
};
struct answer {
    int64_t result;
    int signal, code;
    uint64_t where; /* si_addr of the signal */
    uint64_t minflt, majflt;
    uint8_t out[OUT_SEEN];
};
struct moment {
    struct answer answer;
    struct view view[SLOTS];
};

/* -- view.c: what both sides fill views with */
/* view_page adds a page to a view, all 0 but its address. Valid until the next one is added. */
struct page_view *view_page(struct view *v, uint64_t addr);
/* view_vma adds a VMA. */
struct vma_view *view_vma(struct view *v);
/* view_keep says of each page whether it has the frame of the look before; view_forget begins anew. */
void view_keep(struct view *v);
void view_forget(struct view *v);
/* The frames of one look at all processes, found by number. */
struct seen_frame {
    uint64_t number, look; /* of the look it was entered in */
    struct page_view view; /* what the page that met it first shows: flags to sum */
};
struct frames;
void frames_open(struct frames **ret);
void frames_close(struct frames *f);
void frames_forget(struct frames *f); /* a new look */
/* frames_room: what frames_find returns the next n times stays in its place. */
void frames_room(struct frames *f, uint32_t n);
/* frames_find finds or enters one; *ret_new: it was entered, and its view is to be filled. */
struct seen_frame *frames_find(struct frames *f, uint64_t number, bool *ret_new);

/* -- the table of kinds */
struct gen;
struct cgroup;
struct native;
struct model;
struct call_kind {
    const char *name;
    unsigned weight;
    long nr; /* system call, or -1: op says what is done */
    enum subject_op op;
    const char *args; /* one letter an argument: x hexadecimal, d decimal, i PTR_IN, o PTR_OUT,
                         k the key of a System V segment, s a segment by its place in the sequence */
    unsigned out;     /* bytes of output that are compared */
    void (*gen)(struct gen *g, struct call *c);
    int64_t (*model)(struct model *w, const struct call *c, struct answer *a);
};
extern const struct call_kind call_kinds[];
extern const unsigned call_kinds_nr;

/* -- gen.c */
struct gen {
    struct rng rng;
    struct sequence *q;
    bool live[SLOTS];
    struct {
        uint64_t addr, len;
        uint8_t ref;
    } recent[8]; /* ranges that were mapped lately */
    unsigned n_recent, n_shm;
    bool made_memfd;         /* a memfd_create was among the calls */
    uint8_t last_shmat;      /* 1 + index of the last shmat */
    uint64_t dropped[SLOTS]; /* capabilities given up */
};
void gen_sequence(struct sequence *q, uint64_t seed);
static inline uint64_t pick(struct gen *g, uint64_t n)
{
    return rng_below(&g->rng, n);
}
#define PICK(g, array) ((array)[pick(g, ARRAY_LEN(array))])
/* gen_range sets arg[i] and arg[i + 1] to an address and a length. */
void gen_range(struct gen *g, struct call *c, unsigned i);
uint64_t gen_addr(struct gen *g);
uint64_t gen_len(struct gen *g);
/* gen_mapped remembers what a call maps; addr 0: wherever the kernel puts it. */
void gen_mapped(struct gen *g, uint64_t addr, uint64_t len);

/* call_resolved replaces references to earlier results. */
struct call call_resolved(const struct sequence *q, unsigned i, const int64_t *results,
                          uint64_t brk, uint64_t stack);
/* native_stack returns where [stack] began. */
uint64_t native_stack(const struct native *k);
/* native_min_addr returns vm.mmap_min_addr. */
uint64_t native_min_addr(void);

/* -- native.c */
const char *native_why_not(void); /* why this host cannot be compared with, or NULL */
void native_open(struct native **ret, const char *subject, int cpu);
void native_close(struct native *k);
bool native_begin(struct native *k, const struct sequence *q); /* false: the host failed */
bool native_call(struct native *k, const struct call *c, struct answer *ret);
bool native_look(struct native *k, struct view view[SLOTS]);
void native_end(struct native *k);
/* native_own returns what a subject itself is made of. */
struct own {
    uint64_t start, end, offset;
    uint64_t flags;
    char perms[5];
    char name[64];
};
const struct own *native_own(const struct native *k, unsigned *ret_n, uint64_t *ret_brk);
/* native_data stores start_data and end_data: the data segment counts against RLIMIT_DATA in brk. */
void native_data(const struct native *k, uint64_t *ret_start, uint64_t *ret_end);
/* native_present calls see(arg, addr) for each present page of a process's own VMAs. */
void native_present(const struct native *k, unsigned proc, void (*see)(void *, uint64_t),
                    void *arg);
/* native_shape makes the options of the modelled machine those of a sequence; the running kernel's
 * counterpart is one machine for all. */
struct conf;
void native_shape(const struct native *k, const struct sequence *q, struct conf *c);
int native_pristine(const struct native *k);                /* the test file as it is at first */
const struct cgroup *native_cgroup(const struct native *k); /* where its subjects run */

/* -- model.c */
struct model *model_begin(const struct native *k, const struct sequence *q);
void model_call(struct model *w, const struct call *c, struct answer *ret);
/* model_left_out: the call is made on neither side: it takes pages of the test file out of the
 * cache. */
bool model_left_out(const struct model *w, const struct call *c);
/* model_audit returns 0, the number of an invariant of mm.h, or MODEL_STALE: a TLB could still grant
 * what the tables do not. */
#define MODEL_STALE 100
int model_audit(struct model *w);
void model_end(struct model *w, bool broken);

/* -- look.c */
void model_look(struct model *w, struct frames *seen, struct view view[SLOTS]);

/* -- compare.c */
struct difference {
    unsigned at;      /* index of the call */
    int proc;         /* slot, or -1: the answer */
    bool swept;       /* it showed after the last call, when each page was read */
    char what[64];    /* the field */
    char detail[256]; /* kernel and model, as text */
};
bool differ(const struct moment *k, const struct moment *m, struct difference *ret);
void tolerances_list(FILE *f);
/* What became of the calls of a sequence. */
struct made {
    unsigned calls;      /* made and compared on both sides, sweeps not counted */
    unsigned no_process; /* not made: the fork of its process, or its own, cannot be */
    unsigned left_out;   /* not made: model_left_out */
    unsigned sweeps;     /* mappings read whole at the end */
    uint64_t pages;      /* present pages compared, over all looks */
};
/* run_both performs a sequence on both; true when something differs. */
bool run_both(struct native *k, const struct sequence *q, struct difference *ret,
              struct made *ret_made);
/* moments returns the last moment of both. */
const struct moment *last_kernel(void), *last_model(void);

/* -- seen.c: fields that never showed anything */
void seen_note(const struct moment *k);
void seen_print(FILE *f);

/* -- reach.c */
/* reach_print says how often so many sequences make each call, and give each flag and advice. 1: one never. */
int reach_print(FILE *f, uint64_t seed, uint64_t sequences);

/* -- shrink.c */
void shrink(struct native *k, struct sequence *q, struct difference *d);

/* -- print.c */
void print_call(FILE *f, const struct call *c);
void print_view(FILE *f, const struct view *v);
void print_program(FILE *f, const struct sequence *q, const struct difference *d);

#endif
