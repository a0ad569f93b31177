/* mmu.h: the hardware of one core: TLBs, page-walk caches, page walkers, and the caches below.
 *
 *   access ─► L1 TLB (instruction, load, store) ─► second-level TLB ─► walk caches ─► walker
 *                │ hit                              │ hit, refill L1                  │ loads of
 *                ▼                                  ▼                                 ▼ entries
 *              L1D/L1I ─► L2 ─► L3 ─► DRAM   ◄─────────────────────────────────────────┘
 *
 * Invariants (mmu_audit):
 *  I1  A TLB entry equals what a walk of the page tables would give now, but for: rights the tables
 *      gained since, A and D bits, and ranges with a flush still in the outbox. So does a walk cache.
 *  I2  An entry with D clear never serves a store without a walk that sets D in memory first.
 *  I3  A translation is cached only if its entry has A set in memory.
 *  I4  Entries are found only under their PCID or with G set.
 * Source: Intel SDM vol. 3A, 4.6-4.10; AMD64 APM vol. 2, 5.5.
 */
#ifndef MMU_MMU_H
#define MMU_MMU_H

#include "cache/cache.h"
#include "phys/phys.h"
#include "pt/arch.h"
#include "stat/stat.h"

enum access_kind { ACCESS_LOAD, ACCESS_STORE, ACCESS_FETCH };

/* What one access that left the fast path met; for attribution and time. Filled also when the
 * access faulted. */
struct mmu_event {
    uint8_t tlb;          /* enum tlb_outcome, of the page that fared worse */
    uint8_t level;        /* enum mem_level of the slowest line of the access */
    uint8_t lines;        /* lines touched: 1, 2 when split, more for operands above 64 bytes */
    uint8_t walks;        /* walks made, 0..2 */
    uint32_t walk_cycles; /* cycles of those walks, not yet scaled by exposure */
};
enum tlb_outcome { TLB_L1_HIT, TLB_L2_HIT, TLB_WALK };

struct mmu_core;

/* A core belongs to one machine: it reads page tables from phys, counts in stats. `all` is the
 * machine's array of n cores: open them in order, never move them, share one l3. 0, -ENOMEM, or
 * -EINVAL for a shape no array can have (conf_check refuses those). */
int mmu_core_open(struct mmu_core *c, const struct conf *conf, struct phys *phys, struct cache *l3,
                  struct mmu_core *all, unsigned n, struct stat_set *stats);
void mmu_core_close(struct mmu_core *c);

/* mmu_load_cr3 switches the address space: root table, PCID; no_flush is CR3 bit 63. */
void mmu_load_cr3(struct mmu_core *c, pfn root, unsigned pcid, bool no_flush);
void mmu_invlpg(struct mmu_core *c, vaddr a);
/* mmu_invpcid: SDM vol. 2, INVPCID: 0 one address of a PCID, 1 one PCID without globals, 2 all
 * with globals, 3 all without globals. */
void mmu_invpcid(struct mmu_core *c, unsigned type, unsigned pcid, vaddr a);
void mmu_toggle_pge(struct mmu_core *c); /* CR4.PGE written: everything goes, globals included */

/* mmu_access does one load, store or fetch of 1 to 4096 bytes in full: TLBs, walk, caches, split
 * over lines and pages; `user` false is a kernel copy (AC set). Returns 0, or 1 if it faulted: then
 * *ret_fault says how, no cache line of the access was touched, and the caller repeats it after the
 * kernel's answer. So lines count once, translation events as they happen; loads, stores, split
 * loads and split stores are counted by the caller (ret_event->lines > 1). */
int mmu_access(struct mmu_core *c, vaddr a, unsigned bytes, enum access_kind kind, bool user,
               struct mmu_event *ret_event, struct arch_fault *ret_fault);

/* mmu_kernel touches physical memory as the kernel does through its direct map (caches, no TLB);
 * returns the cycles it took beyond L1 hits. */
uint64_t mmu_kernel(struct mmu_core *c, paddr a, uint64_t bytes, bool store);

/* What the kernel's own accesses cost beyond hits in L1 and the first-level TLBs; adds up. */
struct mmu_kernel_cost {
    uint64_t line_cycles; /* of lines beyond L1 */
    uint64_t stlb_hits;   /* second-level TLB hits */
    uint64_t walk_cycles; /* of page walks */
};
/* mmu_kernel_virt touches addresses of the kernel's half, which the tables in CR3 map, in supervisor
 * mode: through TLBs and caches, counted in the rows with :k, in kernel_lines.* and kernel_text.*. */
void mmu_kernel_virt(struct mmu_core *c, vaddr a, uint64_t bytes, enum access_kind kind,
                     struct mmu_kernel_cost *cost);
/* mmu_kernel_lines is that for lines of one page: bit n is the n-th. */
void mmu_kernel_lines(struct mmu_core *c, vaddr page, uint64_t lines, enum access_kind kind,
                      struct mmu_kernel_cost *cost);

/* mmu_audit compares all a core holds with itself and the page tables, when no flush is under way.
 * Returns 0, 1 or 2 as I1 and I2, 5 if a TLB array or walk cache is broken inside, 6 if a cache is. */
int mmu_audit(struct mmu_core *c);
/* mmu_audit_granted is the part of it that depends on the page tables: 1 or 2 as I1 and I2. */
int mmu_audit_granted(const struct mmu_core *c);
/* mmu_audit_space is the same of what is held under a PCID, loaded or not, and not global, given the
 * root of the tables it must agree with. */
int mmu_audit_space(const struct mmu_core *c, unsigned pcid, pfn root);

#endif
