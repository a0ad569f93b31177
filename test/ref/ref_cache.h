/* ref_cache.h: naive oracle of replacement and caches: every way has a time stamp, trees are tables
 * of intervals, whole line numbers instead of tags. */
#ifndef REF_CACHE_H
#define REF_CACHE_H

#include "base/rng.h"
#include "conf/conf.h"

#include <stdbool.h>

/* Replacement of one array, as in enum conf_tlb_policy. */
struct ref_repl {
    int policy;
    unsigned sets, ways;
    uint64_t clock;   /* grows with each touch */
    uint64_t *stamp;  /* sets × ways */
    uint8_t *right;   /* sets × groups × depth × ways: is the right half of an interval next? */
    unsigned *newest; /* sets: group touched last */
    struct rng rng;
};
void ref_repl_open(struct ref_repl *r, unsigned sets, unsigned ways, int policy, uint64_t seed);
void ref_repl_close(struct ref_repl *r);
void ref_repl_touch(struct ref_repl *r, unsigned set, unsigned way);
unsigned ref_repl_victim(struct ref_repl *r, unsigned set);

struct ref_cache {
    unsigned sets, ways;
    uint64_t *line; /* sets × ways, UINT64_MAX = empty */
    struct ref_repl repl;
};
void ref_cache_open(struct ref_cache *c, uint64_t bytes, unsigned ways, int policy, uint64_t seed);
void ref_cache_close(struct ref_cache *c);
bool ref_cache_lookup(struct ref_cache *c, uint64_t line);
bool ref_cache_drop(struct ref_cache *c, uint64_t line);
uint64_t ref_cache_fill(struct ref_cache *c, uint64_t line);

/* The caches of up to 4 cores over one L3. */
struct ref_caches {
    struct ref_cache l1i[4], l1d[4], l2[4], l3;
    unsigned cores;
    int l3_kind;
};
void ref_caches_open(struct ref_caches *c, const struct conf *conf, unsigned cores);
void ref_caches_close(struct ref_caches *c);
/* ref_caches_access returns 0..3: L1, L2, L3, DRAM. */
int ref_caches_access(struct ref_caches *c, unsigned core, uint64_t line, bool fetch);

#endif
