/* mmu_hot.h: the inside of a core, and the inline path of an access that meets only most-recent
 * ways. Included by sim and mmu only.
 *
 *   addr ─► mru of the first-level TLB's set: same tag? rights? ─► physical line ─► mru of L1's set
 *
 * A hit on most-recent ways changes no replacement state, so the path stores nothing and is exact:
 * mmu_access would count the same. On true the CALLER counts the line: load_l1_hit, store_l1_hit or
 * fetch_l1_hit. On false nothing happened: call mmu_access.
 */
#ifndef MMU_MMU_HOT_H
#define MMU_MMU_HOT_H

#include "mmu/mmu.h"
#include "mmu/tlb.h"

/* One look-up of a page size in an array. */
struct tlb_probe {
    struct tlb *tlb;
    enum page_size size;
};

/* The TLB arrays that serve one kind of access, or the second level. */
struct tlb_group {
    struct tlb *array[3];      /* in the order of their options */
    unsigned n;                /* arrays that exist */
    unsigned probes;           /* look-ups */
    struct tlb_probe probe[9]; /* sizes from small to large, arrays in order */
    struct tlb *small[3];      /* the arrays that take 4 KiB pages, in order */
    unsigned smalls;
    unsigned sizes; /* page sizes any array takes: mask of 1 << enum page_size */
    uint32_t turn;  /* counts the fills that found every array full, to alternate */
};

/* What the fast path needs of a first-level array. */
struct tlb_view {
    const struct tlb_entry *mru; /* of the first array that takes 4 KiB pages */
    uint64_t set_mask;           /* of that array */
    uint64_t need, care; /* bits of a value that must be set, and those looked at, for a user */
    unsigned fold;       /* see struct tlb */
    struct tlb *only;    /* that array, if no other of the group takes 4 KiB pages */
};

/* Host-side only: where the page table of a 2 MiB region was when it was walked last. May be stale
 * (tables stay mapped as long as phys): used for prefetch hints, never for results. */
struct walk_hint {
    uint64_t region; /* (address >> 21) + 1; 0: nothing walked yet */
    const pte *table;
};
#define WALK_HINTS 1024u

/* The PCIDs whose entries some arrays keep (mmu.pcids.…). */
#define PCIDS_MAX 8
struct pcid_list {
    uint16_t pcid[PCIDS_MAX]; /* the newest first */
    unsigned n, max;          /* in use; at most, 0: no limit, and nothing is listed */
};

struct mmu_core {
    struct tlb_view view[3]; /* by enum access_kind */
    uint64_t context;        /* low bits of a 4 KiB tag under the current PCID */
    /* Changes whenever this core's instruction TLBs or L1I may have changed, replacement state
     * included; no two cores ever have the same. What was fetched from most-recent ways alone needs
     * no look again while it stands. 0: not usable (an inclusive L3 changes L1I behind our back). */
    uint64_t fetch_state;
    struct cache_core caches; /* L1I, L1D, L2 of this core, and the shared L3 */

    pfn root;                       /* CR3: table of the highest level */
    unsigned pcid;                  /* CR3: context of the tags; 0 when PCIDs are off */
    unsigned levels, phys_bits;     /* mmu.levels, phys.bits */
    bool pcid_on, gib_pages;        /* mmu.pcid, mmu.1g */
    struct pcid_list pcids[3];      /* of i i2, of d d2 d3 s, of l2 l2b */
    uint32_t latency[MEM_LEVEL_NR]; /* cycles, by enum mem_level */
    uint32_t walk_cycles;           /* mmu.walk_cycles */
    struct tlb_odd odd;             /* of all arrays together */
    struct phys *phys;              /* holds the page tables; the machine's */
    struct stat_set *stats;         /* the machine's */

    struct tlb i, i2, d, d2, d3, s, l2, l2b; /* arrays as their options tlb.… */
    struct tlb *all[8];                      /* those */
    struct tlb_group fetch, load, store;     /* first level; store is unused without tlb.s */
    struct tlb_group *first[3];              /* by enum access_kind */
    struct tlb_group second;                 /* l2, l2b */
    struct tlb walk[PT_LEVELS_MAX];          /* walk caches by level of their entries; [0] unused */
    struct walk_hint hint[WALK_HINTS];
};

/* Bits of a TLB value an access needs set (need) and clear (forbid): SDM vol. 3A, 4.6, with CR0.WP,
 * SMEP, NXE set and, for the kernel, EFLAGS.AC set. Indexed by access kind and user. */
struct tlb_rights {
    uint64_t need, forbid;
};
extern const struct tlb_rights tlb_rights[3][2];

/* mmu_hit_mru returns true if the most-recent ways of the TLB set and of the cache set serve one
 * line for the user. addr must be sign-extended from bit 56 or lower. Three loads, no store. */
static inline bool mmu_hit_mru(const struct mmu_core *c, uint64_t addr, enum access_kind kind,
                               const struct cache *l1)
{
    const struct tlb_view *t = &c->view[kind];
    uint64_t page = addr >> PAGE_SHIFT;
    const struct tlb_entry *e = &t->mru[(page ^ page >> t->fold) & t->set_mask];
    if (unlikely(e->tag != ((addr << 4 & TLB_PAGE_MASK) | c->context)) ||
        unlikely((e->val & t->care) != t->need))
        return false;
    uint64_t line = (e->val & PTE_ADDR_MASK) >> LINE_SHIFT | (addr & (PAGE_SIZE - 1)) >> LINE_SHIFT;
    return cache_hit_mru(l1, line);
}

static inline void mmu_fetch_changed(struct mmu_core *c)
{
    c->fetch_state += c->fetch_state != 0;
}

/* mmu_data_hit: true if a user load or store within one line meets only most-recent ways. A page
 * that is global or larger than 4 KiB takes mmu_access. */
static inline bool mmu_data_hit(const struct mmu_core *c, uint64_t addr, unsigned bytes, bool store)
{
    if (unlikely((addr & (LINE_SIZE - 1)) + bytes > LINE_SIZE))
        return false;
    return mmu_hit_mru(c, addr, store ? ACCESS_STORE : ACCESS_LOAD, &c->caches.l1d);
}

/* mmu_fetch_hit: the same for the instruction line at line_addr. */
static inline bool mmu_fetch_hit(const struct mmu_core *c, uint64_t line_addr)
{
    return mmu_hit_mru(c, line_addr, ACCESS_FETCH, &c->caches.l1i);
}

/* mmu_quick does one user access within one line that needs no walk: both TLB levels hold nothing but
 * plain 4 KiB entries of the user's half, and one of them has the page with the rights. Returns the level that
 * served the line (enum mem_level), plus MMU_QUICK_STLB if the second-level TLB had the page; or less
 * than 0, nothing having changed: then call mmu_access, or after MMU_QUICK_MISSED, mmu_access_missed.
 * Counts what mmu_access would. */
int mmu_quick(struct mmu_core *c, uint64_t addr, enum access_kind kind);
#define MMU_QUICK_MISSED (-2) /* no TLB has the page */
/* mmu_access_missed is mmu_access, told by mmu_quick that no TLB has the page. */
int mmu_access_missed(struct mmu_core *c, vaddr a, enum access_kind kind,
                      struct mmu_event *ret_event, struct arch_fault *ret_fault);
#define MMU_QUICK_STLB 4

/* mmu_prefetch asks the host for what a data access later in the batch will read: the tags of its
 * line in L2 and L3, and of the line of its page-table entry. No effect on the model. */
static inline void mmu_prefetch(const struct mmu_core *c, uint64_t addr)
{
    const struct walk_hint *h = &c->hint[(addr >> 21) % WALK_HINTS];
    if (h->region != (addr >> 21) + 1)
        return;
    uint64_t entry = h->table[addr >> PAGE_SHIFT & (PT_ENTRIES - 1)].v;
    uint64_t line = ((entry & PTE_ADDR_MASK) | (addr & (PAGE_SIZE - 1))) >> LINE_SHIFT;
    cache_prefetch(&c->caches.l2, line);
    cache_prefetch(c->caches.l3, line);
}

#endif
