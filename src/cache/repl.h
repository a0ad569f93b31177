/* repl.h: replacement policies of a set-associative array; caches, TLBs and walk caches share them.
 *
 * The array tells which way of a set was used (touch) or emptied (forget) and asks which way goes
 * next (victim). Touching the way that was touched last never changes the state: that is what makes
 * a most-recent-way fast path exact.
 */
#ifndef CACHE_REPL_H
#define CACHE_REPL_H

#include "base/rng.h"

/* In the order of enum conf_tlb_policy. */
enum repl_policy { REPL_LRU, REPL_PLRU, REPL_MRU3, REPL_RANDOM };

struct repl {
    uint32_t policy;     /* enum repl_policy */
    uint32_t sets, ways; /* shape of the array */
    uint32_t stride;     /* bytes of state per set */
    uint32_t groups;     /* PLRU: trees per set: 1, or 3 for MRU3 */
    uint32_t group_ways; /* PLRU: ways of a tree (the last tree of MRU3 may have fewer) */
    uint32_t leaves;     /* PLRU: group_ways rounded up to a power of two */
    uint8_t *state;      /* LRU: age of each way, 0 = newest; PLRU: tree nodes */
    uint32_t *link;      /* LRU of more than REPL_AGE_MAX ways: ring of ways, see repl.c */
    struct rng rng;      /* RANDOM */
};
#define REPL_AGE_MAX 64u

/* repl_open makes the state of empty sets. 0 or -ENOMEM. */
int repl_open(struct repl *r, uint32_t sets, uint32_t ways, enum repl_policy policy, uint64_t seed);
void repl_close(struct repl *r);
/* repl_touch: the way was hit or filled. */
void repl_touch(struct repl *r, uint32_t set, uint32_t way);
/* repl_forget: the way became empty. Under LRU it is the next victim then, so that under LRU the
 * victim is an empty way whenever there is one. */
void repl_forget(struct repl *r, uint32_t set, uint32_t way);
/* repl_victim returns the way to replace. Only RANDOM changes state by it. */
uint32_t repl_victim(struct repl *r, uint32_t set);
/* repl_audit returns 0, or 1 if the LRU state of a set is no permutation of its ways. */
int repl_audit(const struct repl *r);

#endif
