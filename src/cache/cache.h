/* cache.h: the set-associative array and the data caches built of it.
 *
 * A cache line is named by its line number (paddr / 64). Tags are 32 bits, packed, so a set is
 * searched with a few vector compares: tag = line / sets, 0 means empty (tags are stored + 1). Line
 * numbers are below sets × (2^32 - 1) and below 2^38 (16 TiB).
 *
 *   a set under LRU        newest tag | next newest | ... | oldest tag     no other state
 *   under other policies   newest tag, state of repl.h | tag of way 0 | tag of way 1 | ...
 *
 * Invariants (cache_audit):
 *  I1  A tag stands at most once in a set.
 *  I2  The first word of a set is the tag touched last, or 0 or (LRU) the next newest if that line
 *      was dropped since. Under LRU empty ways stand behind all others.
 *  I3  With l3.kind = inclusive every line of L1 and L2 is in L3; with victim a line enters L3 only
 *      when an L2 evicts it (and stays there when L2 takes it back).
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/bits.h"
#include "base/types.h"
#include "cache/repl.h"
#include "conf/conf.h"

/* Where an access was served. */
enum mem_level { MEM_L1, MEM_L2, MEM_L3, MEM_DRAM, MEM_LEVEL_NR };

struct cache {
    char *block;         /* sets × set_bytes: the sets */
    uint32_t set_mask;   /* sets - 1 when sets is a power of two, else 0 */
    uint32_t set_bytes;  /* of a set: one host line at most, or whole host lines */
    uint32_t set_shift;  /* log2(sets) when it is a power of two */
    uint32_t sets, ways; /* sets may be no power of two (sliced L3) */
    uint32_t vectors;    /* LRU of up to 16 ways: vectors of 4 tags in a set; else 0 */
    uint32_t way_mask;   /* if vectors: bit w set for every way w */
    uint32_t tags;       /* bytes from the start of a set to its tags: 0 under LRU */
    uint64_t inverse;    /* ceil(2^64 / sets), to divide by sets when it is no power of two */
    uint32_t late_set;   /* a look-up or fill that is still to be done, before any other: its set */
    uint32_t late_tag;   /* and tag, 0 = none: a victim of L2 on its way into L3 */
    struct repl repl;    /* replacement; unused under LRU, the order of the tags says it */
};

/* cache_open makes an empty cache; ways must divide size / 64. 0 or -ENOMEM. */
int cache_open(struct cache *c, uint64_t size_bytes, unsigned ways, enum conf_cache_policy policy,
               uint64_t seed);
void cache_close(struct cache *c);

/* cache_at returns a set; its first word is the tag touched last. */
static inline uint32_t *cache_at(const struct cache *c, uint32_t set)
{
    return (uint32_t *)(void *)(c->block + (size_t)set * c->set_bytes);
}
/* cache_hit_mru is the fast path: true if the line is the one its set touched last; nothing
 * changes then. One load. Needs a power-of-two number of sets. */
static inline bool cache_hit_mru(const struct cache *c, uint64_t line)
{
    return likely(*cache_at(c, (uint32_t)line & c->set_mask) ==
                  (uint32_t)(line >> c->set_shift) + 1);
}
/* cache_lookup returns true on a hit and makes the line the set's most recent. */
bool cache_lookup(struct cache *c, uint64_t line);
/* cache_holds returns whether the line is there; nothing changes. */
bool cache_holds(struct cache *c, uint64_t line);
/* cache_fill puts a line that is not there into its set: into the lowest empty way, else over the
 * victim. Returns the evicted line, or UINT64_MAX. */
uint64_t cache_fill(struct cache *c, uint64_t line);
/* cache_drop removes a line; true if it was there. */
bool cache_drop(struct cache *c, uint64_t line);

/* cache_set returns the set of a line and stores its tag as kept (+ 1). */
static inline uint32_t cache_set(const struct cache *c, uint64_t line, uint32_t *ret_tag)
{
    if (likely(c->inverse == 0)) {
        *ret_tag = (uint32_t)(line >> c->set_shift) + 1;
        return (uint32_t)line & c->set_mask;
    }
    uint64_t tag = (uint64_t)(((unsigned __int128)line * c->inverse) >> 64);
    *ret_tag = (uint32_t)tag + 1;
    return (uint32_t)(line - tag * c->sets);
}
/* cache_prefetch asks the host for the line's set ahead of time; no effect on the model. */
static inline void cache_prefetch(const struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    __asm__ volatile(""); /* else gcc 12 takes the function for pure and drops the calls */
    __builtin_prefetch(cache_at(c, set));
    if (unlikely(c->set_bytes > LINE_SIZE))
        __builtin_prefetch((char *)cache_at(c, set) + LINE_SIZE);
}
/* cache_audit returns 0 or the number of the broken invariant. */
int cache_audit(const struct cache *c);

/* The caches one core sees: its own L1I, L1D, L2, and the L3 it shares with the other cores. */
struct cache_core {
    struct cache l1i, l1d, l2;
    struct cache *l3;        /* owned by the machine */
    struct cache_core *next; /* ring of all cores that share the L3 */
    unsigned l3_kind;        /* enum conf_l3_kind */
};

/* cache_core_open makes empty L1I, L1D and L2 over an L3. `peer` is an open core that shares it, or
 * NULL for the first. 0, -ENOMEM, or -EINVAL if an L1 has a number of sets that is no power of two
 * or a line of conf->phys_size bytes of memory does not fit a tag. */
int cache_core_open(struct cache_core *c, const struct conf *conf, struct cache *l3,
                    struct cache_core *peer);
void cache_core_close(struct cache_core *c);

/* cache_data serves one data line (load, store or walker load) and returns where it was found;
 * the line is in L1D afterwards. cache_fetch is the same for an instruction line through L1I. */
enum mem_level cache_data(struct cache_core *c, uint64_t line);
enum mem_level cache_fetch(struct cache_core *c, uint64_t line);
/* cache_core_audit checks this core's caches, and I3 against the L3. */
int cache_core_audit(const struct cache_core *c);

#endif
