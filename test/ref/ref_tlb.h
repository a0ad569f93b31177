/* ref_tlb.h: naive oracle of one TLB array: a flat list of entries, every field on its own. */
#ifndef REF_TLB_H
#define REF_TLB_H

#include "ref/ref_cache.h"

struct ref_entry {
    bool used, global, w, u, nx, d;
    unsigned pcid;
    uint64_t start, bytes; /* virtual range the entry maps */
    uint64_t page_bytes;   /* of the page it was cut from */
    uint64_t frame;        /* physical address of start */
};

struct ref_tlb {
    unsigned entries, ways, sets;
    unsigned sizes; /* mask: 1 4K, 2 2M, 4 1G */
    unsigned shift; /* xor index: 7 or 8, 0 linear */
    struct ref_entry *e;
    struct ref_repl repl;
};

void ref_tlb_open(struct ref_tlb *t, unsigned entries, unsigned ways, unsigned sizes, int index,
                  int policy, uint64_t seed);
void ref_tlb_close(struct ref_tlb *t);
/* ref_tlb_find returns the entry of that many bytes for an address, or NULL; nothing changes. */
struct ref_entry *ref_tlb_find(struct ref_tlb *t, uint64_t addr, uint64_t bytes, unsigned pcid);
void ref_tlb_touch(struct ref_tlb *t, const struct ref_entry *e);
bool ref_tlb_room(const struct ref_tlb *t, uint64_t addr, uint64_t bytes);
void ref_tlb_add(struct ref_tlb *t, struct ref_entry e);
/* The invalidations: all entries for which the condition holds. */
void ref_tlb_drop_page(struct ref_tlb *t, uint64_t addr, unsigned pcid, bool globals);
void ref_tlb_flush(struct ref_tlb *t, bool all_pcids, unsigned pcid, bool globals);

#endif
