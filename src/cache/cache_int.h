/* cache_int.h: look-up and fill of one cache, inline for core.c: a miss in all levels is a dozen of
 * them. cache.c makes the functions of cache.h of these. */
#ifndef CACHE_CACHE_INT_H
#define CACHE_CACHE_INT_H

#include "base/check.h"
#include "cache/cache.h"

/* find_way returns the lowest way of a set that holds a tag (0: an empty way), or `ways` or more. */
static inline uint32_t find_way(const struct cache *c, uint32_t set, uint32_t tag)
{
    const uint32_t *t = cache_tags(c, set);
#ifdef __SSE2__
    __m128i key = _mm_set1_epi32((int)tag);
    for (uint32_t i = 0; i < c->stride; i += 4) {
        __m128i eq = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)(t + i)), key);
        unsigned m = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(eq));
        if (m != 0)
            return i + (uint32_t)__builtin_ctz(m);
    }
    return c->stride;
#else
    uint32_t way = 0;
    while (way < c->stride && t[way] != tag)
        way++;
    return way;
#endif
}

static inline bool lookup(struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag), way = find_way(c, set, tag);
    if (way >= c->ways)
        return false;
    repl_touch(&c->repl, set, way);
    c->mru[set] = tag;
    return true;
}

/* victim_way returns the lowest empty way, else what the policy says. LRU keeps empty ways oldest,
 * so there the look for one is saved. */
static inline uint32_t victim_way(struct cache *c, uint32_t set)
{
    if (c->repl.policy != REPL_LRU) {
        uint32_t way = find_way(c, set, 0);
        if (way < c->ways)
            return way;
    }
    return repl_victim(&c->repl, set);
}

static inline uint64_t fill(struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    CHECK(find_way(c, set, tag) >= c->ways); /* I1 */
    uint32_t way = victim_way(c, set);
    uint32_t *slot = &cache_tags(c, set)[way];
    uint64_t evicted = *slot != 0 ? (uint64_t)(*slot - 1) * c->sets + set : UINT64_MAX;
    *slot = tag;
    c->mru[set] = tag;
    repl_touch(&c->repl, set, way);
    return evicted;
}

#endif
