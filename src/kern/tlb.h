/* tlb.h: address-space identifiers and invalidation: which core must forget what, and when.
 *
 *   mm changes an entry ─► flush_tlb_mm_range ─┐
 *   reclaim unmaps      ─► arch_tlbbatch_…    ─┼─► kern_tlb.op: what hardware has to do, in order
 *   the scheduler       ─► switch_mm_irqs_off ─┘   (the caller does it and sets n_op to 0)
 *
 * An address space (struct kern_space) is known by a number that no other ever has, ctx_id, and counts
 * its flushes, tlb_gen. A core remembers the last six it ran, each under an ASID of its own (CR3 holds
 * ASID + 1 as PCID), and up to which generation it flushed them.
 *
 * Source: Linux 6.18 arch/x86/mm/tlb.c, arch/x86/include/asm/tlbflush.h, entry/calling.h.
 */
#ifndef KERN_TLB_H
#define KERN_TLB_H

#include "base/types.h"
#include "conf/conf.h"
#include "pt/arch.h"
#include "stat/stat.h"

#define TLB_NR_DYN_ASIDS 6u
#define TLB_CPUS_MAX     64u
#define TLB_FLUSH_ALL    (~UINT64_C(0))
#define TLB_USER_PCID    2048u /* X86_CR3_PTI_PCID_USER_BIT: PCID of the user half, with KPTI */

/* What an address space is to the TLBs: mm_context_t and mm_cpumask. One per struct mm. */
struct kern_space {
    uint32_t mm;             /* mm_id of the address space; 0: the kernel's own (init_mm) */
    pfn pgd;                 /* its root table */
    uint64_t ctx_id;         /* never given twice, 0 is nobody's */
    uint64_t tlb_gen;        /* flushes asked for so far */
    uint64_t cpumask;        /* bit n: core n may hold entries of it */
    uint64_t next_trim_ms;   /* from then on a flush may clear bits of cores that went elsewhere */
    uint64_t unmapped;       /* pages whose flush was put off (tlb_flush_batched, pending) … */
    uint64_t caught_up;      /* … and how many of them a later flush of the whole space has met */
    struct kern_space *next; /* kern_tlb.spaces */
};

/* What a core knows of one ASID. */
struct kern_tlb_context {
    uint64_t ctx_id;  /* whose entries it holds; 0: nobody's */
    uint64_t tlb_gen; /* flushed up to this generation */
};

/* struct tlb_state of a core. */
struct kern_cpu_tlb {
    struct kern_space *loaded_mm; /* CR3 points to its tables */
    uint16_t loaded_mm_asid;      /* below TLB_NR_DYN_ASIDS */
    uint16_t next_asid;           /* recycled next; TLB_NR_DYN_ASIDS: begin again */
    uint16_t user_pcid_flush;     /* bit n: PCID n's user half is flushed at the next exit (KPTI) */
    bool is_lazy;                 /* a kernel thread runs on borrowed tables */
    bool invalidate_other;        /* the other ASIDs hold stale kernel entries (KPTI) */
    struct kern_tlb_context ctxs[TLB_NR_DYN_ASIDS];
};

/* What hardware has to do. */
enum kern_tlb_kind {
    TLB_OP_IPI,     /* the core is interrupted; its next operations are the handler's */
    TLB_OP_CR3,     /* MOV CR3: pgd, pcid; flush: bit 63 is clear */
    TLB_OP_INVLPG,  /* INVLPG at start, start + stride … below end */
    TLB_OP_INVPCID, /* INVPCID type 0 of pcid at the same addresses */
    TLB_OP_GLOBAL,  /* INVPCID type 2: everything, global entries included */
};
struct kern_tlb_op {
    uint8_t kind;        /* enum kern_tlb_kind */
    uint8_t cpu;         /* where */
    uint8_t shift;       /* log2 of the stride */
    bool flush;          /* of TLB_OP_CR3 */
    bool received;       /* the core counts nr_tlb_remote_flush_received */
    uint16_t pcid;       /* of TLB_OP_CR3 and TLB_OP_INVPCID */
    uint32_t flush_one;  /* pages the core adds to nr_tlb_local_flush_one */
    pfn pgd;             /* of TLB_OP_CR3 */
    uint64_t start, end; /* half open */
};
#define TLB_OPS_MAX (4 * TLB_CPUS_MAX) /* an IPI and three operations for every core */

/* Pages that reclaim unmapped and did not flush yet (struct tlbflush_unmap_batch). */
struct kern_tlb_batch {
    uint64_t cpumask;    /* cores that may have an entry of one */
    bool flush_required; /* there is one */
    bool writable;       /* one was dirty: flush before its page is written */
};

/* A machine's: one value, owned by the caller. */
struct kern_tlb {
    struct stat_set *stats;
    unsigned cpus;
    bool pcid, invpcid, pti;                /* what the CPU has, and whether KPTI is on */
    uint64_t tlb_single_page_flush_ceiling; /* more pages are one flush of all */
    uint64_t now_ms;                        /* virtual time; set by the caller */
    uint64_t last_mm_ctx_id;
    struct kern_space init_mm; /* the kernel's own address space */
    struct kern_space *spaces; /* all others */
    struct kern_tlb_batch batch;
    struct kern_cpu_tlb cpu[TLB_CPUS_MAX];
    uint32_t n_op;
    struct kern_tlb_op op[TLB_OPS_MAX];
};

/* kern_tlb_open: every core runs the kernel's own address space, under ASID 0. */
void kern_tlb_open(struct kern_tlb *k, const struct conf *conf, struct stat_set *stats);

/* init_new_context names a new address space; destroy_context forgets it and makes cores that still
 * stand on its tables leave. The caller owns `s`. */
void init_new_context(struct kern_tlb *k, struct kern_space *s, uint32_t mm, pfn pgd);
void destroy_context(struct kern_tlb *k, struct kern_space *s);
/* kern_tlb_space returns the space of an address space's number, or NULL. */
struct kern_space *kern_tlb_space(const struct kern_tlb *k, uint32_t mm);

/* -- the scheduler */
void switch_mm_irqs_off(struct kern_tlb *k, unsigned cpu, struct kern_space *next);
/* enter_lazy_tlb: a kernel thread (idle, too) goes on with the tables that are loaded. */
void enter_lazy_tlb(struct kern_tlb *k, unsigned cpu);
/* leave_mm gives borrowed tables back before a deep sleep. */
void leave_mm(struct kern_tlb *k, unsigned cpu);

/* -- flushes asked for by core `cpu` */
/* flush_tlb_mm_range: user addresses [start, end) of s changed, all in pages of 2^shift bytes or
 * larger; freed_tables: tables went, too, so that even lazy cores must hear of it. */
void flush_tlb_mm_range(struct kern_tlb *k, unsigned cpu, struct kern_space *s, uint64_t start,
                        uint64_t end, unsigned shift, bool freed_tables);
void flush_tlb_mm(struct kern_tlb *k, unsigned cpu, struct kern_space *s);
/* unmap_flush: reclaim cleared the entry of [start, end). Flushes at once if no other core can hold
 * it, else leaves it to try_to_unmap_flush. */
void unmap_flush(struct kern_tlb *k, unsigned cpu, struct kern_space *s, uint64_t start,
                 uint64_t end, bool dirty);
void try_to_unmap_flush(struct kern_tlb *k, unsigned cpu);
void try_to_unmap_flush_dirty(struct kern_tlb *k, unsigned cpu);
/* flush_tlb_batched_pending: a call is about to look at entries that may have been put off. */
void flush_tlb_batched_pending(struct kern_tlb *k, unsigned cpu, struct kern_space *s);
void flush_tlb_kernel_range(struct kern_tlb *k, unsigned cpu, uint64_t start, uint64_t end);

/* kern_tlb_count counts what a core counts by itself when it does an operation. */
void kern_tlb_count(const struct kern_tlb *k, const struct kern_tlb_op *o);

/* kern_tlb_message does what one message of the outbox asks for, on behalf of core `cpu`; those that are
 * no flushes are left. */
void kern_tlb_message(struct kern_tlb *k, unsigned cpu, const struct arch_msg *m);

/* -- KPTI: what entry and exit write into CR3 */
/* switch_to_user_cr3 answers for the way out: the PCID, and whether its entries go first, which is
 * remembered as done. switch_to_kernel_cr3 answers for the way in, which never flushes with PCIDs. */
uint16_t switch_to_user_cr3(struct kern_tlb *k, unsigned cpu, bool *ret_flush);
uint16_t switch_to_kernel_cr3(const struct kern_tlb *k, unsigned cpu, bool *ret_flush);

/* kern_tlb_current says that all a core may hold under an ASID is up to date with `s`: nothing it was
 * told to forget may be left. */
bool kern_tlb_current(const struct kern_tlb *k, unsigned cpu, unsigned asid,
                      const struct kern_space *s);
/* kern_tlb_pcid returns the PCID of an ASID: 0 without PCIDs. */
uint16_t kern_tlb_pcid(const struct kern_tlb *k, unsigned asid);
/* kern_tlb_audit: 0, or the number of the invariant (tlb.c) that does not hold. */
int kern_tlb_audit(const struct kern_tlb *k);

#endif
