/* ref_mmu.h: naive oracle of a whole machine's mmu, over page tables of its own. It counts in a
 * struct stat_set, so that a test compares every counter at once. */
#ifndef REF_MMU_H
#define REF_MMU_H

#include "mmu/mmu.h"
#include "ref/ref_tlb.h"

struct ref_core {
    unsigned pcid;
    uint64_t root;         /* physical address */
    struct ref_tlb tlb[8]; /* i i2 d d2 d3 s l2 l2b */
    unsigned turn[4];      /* fetch, load, store, second */
    struct ref_tlb walk[5];
    uint64_t loads, loaded[4096]; /* of CR3; which of them was the last with a PCID, 0: none */
};

struct ref_mmu {
    const struct conf *conf;
    struct phys *phys;
    struct stat_set stats;
    unsigned cores;
    struct ref_core core[4];
    struct ref_caches caches;
};

void ref_mmu_open(struct ref_mmu *m, const struct conf *conf, struct phys *phys, unsigned cores);
void ref_mmu_close(struct ref_mmu *m);
void ref_mmu_load_cr3(struct ref_mmu *m, unsigned core, uint64_t root, unsigned pcid,
                      bool no_flush);
void ref_mmu_invlpg(struct ref_mmu *m, unsigned core, uint64_t addr);
void ref_mmu_invpcid(struct ref_mmu *m, unsigned core, unsigned type, unsigned pcid, uint64_t addr);
void ref_mmu_toggle_pge(struct ref_mmu *m, unsigned core);
int ref_mmu_access(struct ref_mmu *m, unsigned core, uint64_t addr, unsigned bytes,
                   enum access_kind kind, bool user, struct mmu_event *ret_event,
                   struct arch_fault *ret_fault);
uint64_t ref_mmu_kernel(struct ref_mmu *m, unsigned core, uint64_t addr, uint64_t bytes);

#endif
