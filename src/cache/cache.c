/* cache.c: one set-associative cache of physical lines: every shape of it that is not in
 * cache_int.h, and its memory.
 *
 *   line ──► set = line mod sets
 *        └─► tag = line div sets + 1
 *
 * Arrays of 2 MiB and more (the sets of an L3) ask for huge host pages: each access to one would
 * otherwise miss in the host's TLB too.
 *
 * Invariants: I1, I2 in cache.h.
 */
#include "cache/cache_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const enum repl_policy policies[] = {
    [CACHE_LRU] = REPL_LRU, [CACHE_PLRU] = REPL_PLRU, [CACHE_RANDOM] = REPL_RANDOM};

#define HUGE_BYTES MIB(2)

/* set_size returns the bytes of a set in memory: it does not straddle host lines if it fits one. */
static uint32_t set_size(uint32_t bytes)
{
    if (bytes > 32)
        return (uint32_t)align_up(bytes, LINE_SIZE);
    return bytes > 16 ? 32 : 16;
}

static void shape(struct cache *c, uint32_t sets, uint32_t ways, enum repl_policy policy)
{
    *c = (struct cache){.ways = ways, .sets = sets};
    uint32_t vectors = (uint32_t)div_up(ways, 4);
    if (policy != REPL_LRU)
        c->tags = (uint32_t)align_up(sizeof(uint32_t) + repl_bytes(ways, policy), 16);
    else if (vectors <= CACHE_VECTORS) {
        c->vectors = vectors;
        c->way_mask = (uint32_t)BIT(ways) - 1;
    }
    c->set_bytes = set_size(c->tags + 16 * vectors);
    if (is_pow2(sets)) {
        c->set_mask = sets - 1;
        c->set_shift = log2_floor(sets);
    } else {
        c->inverse = UINT64_MAX / sets + 1;
    }
}

static char *zeroed(size_t bytes)
{
    size_t unit = bytes >= HUGE_BYTES ? HUGE_BYTES : LINE_SIZE, all = align_up(bytes, unit);
    char *p = aligned_alloc(unit, all);
    if (p == NULL)
        return NULL;
    if (unit == HUGE_BYTES)
        (void)madvise(p, all, MADV_HUGEPAGE); /* only speed is lost where it fails */
    return memset(p, 0, all);
}

int cache_open(struct cache *c, uint64_t size_bytes, unsigned ways, enum conf_cache_policy policy,
               uint64_t seed)
{
    uint64_t lines = size_bytes / LINE_SIZE;
    ASSERT(ways > 0 && lines >= ways && lines % ways == 0);
    shape(c, (uint32_t)(lines / ways), ways, policies[policy]);
    c->block = zeroed((size_t)c->sets * c->set_bytes);
    if (c->block == NULL)
        return -ENOMEM;
    if (c->tags == 0)
        return 0;
    return repl_open(&c->repl, c->sets, ways, policies[policy], seed, c->block + sizeof(uint32_t),
                     c->set_bytes);
}

void cache_close(struct cache *c)
{
    free(c->block);
    repl_close(&c->repl);
    *c = (struct cache){0};
}

/* to_front: see the picture of cache_int.h. */
static void to_front(uint32_t *t, uint32_t tag, uint32_t p)
{
    memmove(t + 1, t, p * sizeof(*t));
    t[0] = tag;
}

static void touch(struct cache *c, uint32_t set, uint32_t tag, uint32_t way)
{
    if (c->tags == 0) {
        to_front(cache_at(c, set), tag, way);
        return;
    }
    *cache_at(c, set) = tag;
    repl_touch(&c->repl, set, way);
}

bool cache_lookup_slow(struct cache *c, uint32_t set, uint32_t tag)
{
    uint32_t way = find_way(c, set, tag);
    if (way < c->ways)
        touch(c, set, tag, way);
    return way < c->ways;
}

static uint32_t victim_way(struct cache *c, uint32_t set)
{
    if (c->tags == 0)
        return c->ways - 1;
    uint32_t way = find_way(c, set, 0);
    return way < c->ways ? way : repl_victim(&c->repl, set);
}

bool cache_access_slow(struct cache *c, uint32_t set, uint32_t tag, uint32_t *ret_out)
{
    if (cache_lookup_slow(c, set, tag))
        return true;
    uint32_t way = victim_way(c, set), *slot = &tags_at(c, set)[way];
    *ret_out = *slot;
    *slot = tag;
    touch(c, set, tag, way);
    return false;
}

bool cache_lookup(struct cache *c, uint64_t line)
{
    settle(c);
    return lookup_line(c, line);
}

uint64_t cache_fill(struct cache *c, uint64_t line)
{
    uint64_t evicted = UINT64_MAX;
    settle(c);
    bool hit = access_line(c, line, &evicted);
    (void)hit;
    CHECK(!hit); /* I1 */
    return evicted;
}

bool cache_holds(struct cache *c, uint64_t line)
{
    settle(c);
    uint32_t tag, set = cache_set(c, line, &tag);
    return find_way(c, set, tag) < c->ways;
}

bool cache_drop(struct cache *c, uint64_t line)
{
    settle(c);
    uint32_t tag, set = cache_set(c, line, &tag);
    uint32_t way = find_way(c, set, tag);
    if (way >= c->ways)
        return false;
    uint32_t *t = tags_at(c, set);
    if (c->tags == 0) {
        memmove(t + way, t + way + 1, (c->ways - 1 - way) * sizeof(*t));
        t[c->ways - 1] = 0;
        return true;
    }
    t[way] = 0;
    if (*cache_at(c, set) == tag)
        *cache_at(c, set) = 0;
    repl_forget(&c->repl, set, way);
    return true;
}

static int set_audit(const struct cache *c, uint32_t set)
{
    const uint32_t *t = tags_at(c, set);
    for (uint32_t w = 0; w < c->ways; w++)
        if (t[w] != 0 && find_way(c, set, t[w]) != w) /* I1: no lower way holds it */
            return 1;
    if (c->tags == 0) {
        for (uint32_t w = find_way(c, set, 0); w < c->ways; w++)
            if (t[w] != 0)
                return 2;
        return 0;
    }
    uint32_t newest = *cache_at(c, set);
    return newest != 0 && find_way(c, set, newest) >= c->ways ? 2 : 0;
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
