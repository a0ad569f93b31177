/* cache.c: one set-associative cache of physical lines.
 *
 *   line ──► set = line mod sets        tags[set]: 4 tags per vector compare
 *        └─► tag = line div sets + 1    mru[set]:  the last one touched, checked first
 *
 * Invariants: I1, I2 in cache.h.
 */
#include "cache/cache.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const enum repl_policy policies[] = {
    [CACHE_LRU] = REPL_LRU, [CACHE_PLRU] = REPL_PLRU, [CACHE_RANDOM] = REPL_RANDOM};

int cache_open(struct cache *c, uint64_t size_bytes, unsigned ways, enum conf_cache_policy policy,
               uint64_t seed)
{
    uint64_t lines = size_bytes / LINE_SIZE;
    ASSERT(ways > 0 && lines >= ways && lines % ways == 0);
    *c = (struct cache){.ways = ways, .stride = (ways + 3) & ~3u, .sets = (uint32_t)(lines / ways)};
    if (is_pow2(c->sets)) {
        c->set_mask = c->sets - 1;
        c->set_shift = log2_floor(c->sets);
    } else {
        c->inverse = UINT64_MAX / c->sets + 1;
    }
    c->mru = calloc(c->sets, sizeof(*c->mru));
    c->block = calloc(1, (size_t)c->sets * c->stride * sizeof(*c->tags) + LINE_SIZE);
    c->tags = (uint32_t *)align_up((uintptr_t)c->block, LINE_SIZE);
    if (c->mru != NULL && c->block != NULL &&
        repl_open(&c->repl, c->sets, ways, policies[policy], seed) == 0)
        return 0;
    cache_close(c);
    return -ENOMEM;
}

void cache_close(struct cache *c)
{
    free(c->mru);
    free(c->block);
    repl_close(&c->repl);
    *c = (struct cache){0};
}

/* find_way returns the lowest way of a set that holds a tag (0: an empty way), or `ways` or more. */
static inline uint32_t find_way(const struct cache *c, uint32_t set, uint32_t tag)
{
    const uint32_t *t = c->tags + (size_t)set * c->stride;
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

bool cache_lookup(struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    if (c->mru[set] == tag)
        return true;
    uint32_t way = find_way(c, set, tag);
    if (way >= c->ways)
        return false;
    repl_touch(&c->repl, set, way);
    c->mru[set] = tag;
    return true;
}

bool cache_holds(const struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    return find_way(c, set, tag) < c->ways;
}

/* victim_way returns the lowest empty way, else what the policy says. LRU keeps empty ways oldest,
 * so there the look for one is saved. */
static uint32_t victim_way(struct cache *c, uint32_t set)
{
    if (c->repl.policy != REPL_LRU) {
        uint32_t way = find_way(c, set, 0);
        if (way < c->ways)
            return way;
    }
    return repl_victim(&c->repl, set);
}

uint64_t cache_fill(struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    CHECK(find_way(c, set, tag) >= c->ways); /* I1 */
    uint32_t way = victim_way(c, set);
    uint32_t *slot = &c->tags[(size_t)set * c->stride + way];
    uint64_t evicted = *slot != 0 ? (uint64_t)(*slot - 1) * c->sets + set : UINT64_MAX;
    *slot = tag;
    c->mru[set] = tag;
    repl_touch(&c->repl, set, way);
    return evicted;
}

bool cache_drop(struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    uint32_t way = find_way(c, set, tag);
    if (way >= c->ways)
        return false;
    c->tags[(size_t)set * c->stride + way] = 0;
    if (c->mru[set] == tag)
        c->mru[set] = 0;
    repl_forget(&c->repl, set, way);
    return true;
}

static int set_audit(const struct cache *c, uint32_t set)
{
    const uint32_t *t = c->tags + (size_t)set * c->stride;
    for (uint32_t w = 0; w < c->ways; w++)
        if (t[w] != 0 && find_way(c, set, t[w]) != w) /* I1: no lower way holds it */
            return 1;
    return c->mru[set] != 0 && find_way(c, set, c->mru[set]) >= c->ways ? 2 : 0;
}

int cache_audit(const struct cache *c)
{
    for (uint32_t set = 0; set < c->sets; set++) {
        int broken = set_audit(c, set);
        if (broken != 0)
            return broken;
    }
    return repl_audit(&c->repl) != 0 ? 2 : 0;
}
