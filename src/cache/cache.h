/* cache.h: the set-associative array and the data caches built of it.
 *
 * A cache line is named by its line number (paddr / 64). Tags are 32 bits, packed, so a set is
 * searched with a few vector compares: tag = line / sets, 0 means empty (tags are stored + 1).
 *
 * Invariants (cache_audit):
 *  I1  A tag stands at most once in a set.
 *  I2  mru[set] is a valid way whenever the set holds any line, and it is the way touched last.
 *  I3  With l3.kind = inclusive every line of L1 and L2 is in L3; with victim a line is in L2 or L3
 *      or both, and enters L3 only when L2 evicts it.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/bits.h"
#include "base/types.h"
#include "conf/conf.h"

/* Where an access was served. */
enum mem_level { MEM_L1, MEM_L2, MEM_L3, MEM_DRAM, MEM_LEVEL_NR };

struct cache {
    uint32_t *tags;       /* sets × ways, tag + 1, 0 = empty */
    uint8_t *mru;         /* sets: the way touched last */
    uint32_t sets, ways;  /* sets may be no power of two (sliced L3) */
    uint32_t set_mask;    /* sets - 1 when sets is a power of two, else 0 */
    uint32_t set_shift;   /* log2(sets) when it is one */
    uint32_t policy;      /* enum conf_cache_policy */
    void *order;          /* replacement state, see cache.c */
    uint64_t rng;
};

/* cache_open makes an empty cache; ways must divide size / 64. 0 or -ENOMEM. */
int cache_open(struct cache *c, uint64_t size_bytes, unsigned ways, enum conf_cache_policy policy,
               uint64_t seed);
void cache_close(struct cache *c);

/* cache_hit_mru is the fast path: true if the line is in the way its set touched last; nothing
 * changes then. One load of mru, one of the tag. Needs a power-of-two number of sets. */
static inline bool cache_hit_mru(const struct cache *c, uint64_t line)
{
    uint32_t set = (uint32_t)line & c->set_mask;
    uint32_t tag = (uint32_t)(line >> c->set_shift) + 1;
    return likely(c->tags[set * c->ways + c->mru[set]] == tag);
}
/* cache_lookup returns true on a hit and makes the line the set's most recent. */
bool cache_lookup(struct cache *c, uint64_t line);
/* cache_fill puts a line that is not there into its set and returns the evicted line, or
 * UINT64_MAX. */
uint64_t cache_fill(struct cache *c, uint64_t line);
/* cache_drop removes a line; true if it was there. */
bool cache_drop(struct cache *c, uint64_t line);
/* cache_prefetch asks the host for the set's tags ahead of time; no effect on the model. */
static inline void cache_prefetch(const struct cache *c, uint64_t line)
{
    __builtin_prefetch(&c->tags[((uint32_t)line & c->set_mask) * c->ways]);
}
int cache_audit(const struct cache *c);

/* The caches one core sees: its own L1I, L1D, L2, and the L3 it shares with the other cores. */
struct cache_core {
    struct cache l1i, l1d, l2;
    struct cache *l3;      /* owned by the machine */
    struct cache_core *peers; /* all cores, for inclusive back-invalidation */
    unsigned n_peers;
    unsigned l3_kind;      /* enum conf_l3_kind */
};

int cache_core_open(struct cache_core *c, const struct conf *conf, struct cache *l3,
                    struct cache_core *peers, unsigned n_peers);
void cache_core_close(struct cache_core *c);

/* cache_data serves one data line (load, store or walker load) and returns where it was found;
 * the line is in L1D afterwards. cache_fetch is the same for an instruction line through L1I. */
enum mem_level cache_data(struct cache_core *c, uint64_t line);
enum mem_level cache_fetch(struct cache_core *c, uint64_t line);

#endif
