/* cache.c: one set-associative cache of physical lines.
 *
 *   line ──► set = line mod sets        tags[set]: 4 tags per vector compare
 *        └─► tag = line div sets + 1    mru[set]:  the last one touched, checked first
 *
 * Invariants: I1, I2 in cache.h.
 */
#include "cache/cache_int.h"

#include <errno.h>
#include <stdlib.h>

static const enum repl_policy policies[] = {
    [CACHE_LRU] = REPL_LRU, [CACHE_PLRU] = REPL_PLRU, [CACHE_RANDOM] = REPL_RANDOM};

/* set_size returns the bytes of a set in memory: it does not straddle host lines if it fits one. */
static uint32_t set_size(uint32_t tag_bytes, uint32_t state_bytes)
{
    uint32_t n = (tag_bytes + state_bytes + 15) & ~15u;
    if (n > LINE_SIZE)
        return n;
    return n > 32 ? 64 : n;
}

static void shape(struct cache *c, uint32_t sets, uint32_t ways)
{
    *c = (struct cache){.ways = ways, .stride = (ways + 3) & ~3u, .sets = sets};
    if (is_pow2(sets)) {
        c->set_mask = sets - 1;
        c->set_shift = log2_floor(sets);
    } else {
        c->inverse = UINT64_MAX / sets + 1;
    }
}

int cache_open(struct cache *c, uint64_t size_bytes, unsigned ways, enum conf_cache_policy policy,
               uint64_t seed)
{
    uint64_t lines = size_bytes / LINE_SIZE;
    ASSERT(ways > 0 && lines >= ways && lines % ways == 0);
    shape(c, (uint32_t)(lines / ways), ways);
    uint32_t tag_bytes = c->stride * (uint32_t)sizeof(uint32_t);
    c->set_bytes = set_size(tag_bytes, repl_bytes(ways, policies[policy]));
    c->mru = calloc(c->sets, sizeof(*c->mru));
    c->memory = calloc(1, (size_t)c->sets * c->set_bytes + LINE_SIZE);
    c->block = (char *)align_up((uintptr_t)c->memory, LINE_SIZE);
    if (c->mru != NULL && c->memory != NULL)
        return repl_open(&c->repl, c->sets, ways, policies[policy], seed, c->block + tag_bytes,
                         c->set_bytes);
    cache_close(c);
    return -ENOMEM;
}

void cache_close(struct cache *c)
{
    free(c->mru);
    free(c->memory);
    repl_close(&c->repl);
    *c = (struct cache){0};
}

bool cache_lookup(struct cache *c, uint64_t line)
{
    return lookup(c, line);
}

uint64_t cache_fill(struct cache *c, uint64_t line)
{
    return fill(c, line);
}

bool cache_holds(const struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    return find_way(c, set, tag) < c->ways;
}

bool cache_drop(struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    uint32_t way = find_way(c, set, tag);
    if (way >= c->ways)
        return false;
    cache_tags(c, set)[way] = 0;
    if (c->mru[set] == tag)
        c->mru[set] = 0;
    repl_forget(&c->repl, set, way);
    return true;
}

static int set_audit(const struct cache *c, uint32_t set)
{
    const uint32_t *t = cache_tags(c, set);
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
