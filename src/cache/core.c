/* core.c: the caches of one core, and the L3 they share.
 *
 *                      fills of a line found in     what happens to a line that leaves
 *             L3 kind   L2   L3         DRAM         L2            L3
 *             victim    L1   L2 L1      L2 L1        goes to L3    is gone
 *             inclusive L1   L2 L1      L3 L2 L1     is dropped    leaves every L1 and L2 too
 *             neither   L1   L2 L1      L3 L2 L1     is dropped    is gone
 *
 * L2 neither includes nor excludes L1; a line that leaves L1 is dropped. A line found in L3 stays
 * there. No dirty state is kept, so there is no write-back traffic.
 *
 * Invariants: I3 in cache.h.
 * Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, "Skylake Server
 * microarchitecture, non-inclusive last level cache"; AMD Software Optimization Guide for Zen 4,
 * 2.6.
 */
#include "cache/cache_int.h"

#include <errno.h>

/* Lines are below 2^38, and a tag must not wrap. */
static bool fits(const struct cache *c, uint64_t lines)
{
    return lines <= BIT(38) && lines / c->sets < UINT32_MAX - 1;
}

static bool core_valid(const struct cache_core *c, uint64_t lines)
{
    return c->l1i.inverse == 0 && c->l1d.inverse == 0 && fits(&c->l1i, lines) &&
           fits(&c->l1d, lines) && fits(&c->l2, lines) && fits(c->l3, lines);
}

static int open_all(struct cache_core *c, const struct conf *conf)
{
    int e = cache_open(&c->l1i, conf->l1i_size, (unsigned)conf->l1i_ways,
                       (enum conf_cache_policy)conf->l1i_policy, conf->seed + 1);
    if (e == 0)
        e = cache_open(&c->l1d, conf->l1d_size, (unsigned)conf->l1d_ways,
                       (enum conf_cache_policy)conf->l1d_policy, conf->seed + 2);
    if (e == 0)
        e = cache_open(&c->l2, conf->l2_size, (unsigned)conf->l2_ways,
                       (enum conf_cache_policy)conf->l2_policy, conf->seed + 3);
    return e;
}

int cache_core_open(struct cache_core *c, const struct conf *conf, struct cache *l3,
                    struct cache_core *peer)
{
    *c = (struct cache_core){.l3 = l3, .l3_kind = (unsigned)conf->l3_kind};
    c->next = c;
    int e = open_all(c, conf);
    if (e == 0 && !core_valid(c, conf->phys_size / LINE_SIZE))
        e = -EINVAL;
    if (e != 0) {
        cache_core_close(c);
        return e;
    }
    if (peer != NULL) {
        c->next = peer->next;
        peer->next = c;
    }
    return 0;
}

void cache_core_close(struct cache_core *c)
{
    if (c->next != NULL) {
        struct cache_core *before = c->next;
        while (before->next != c)
            before = before->next;
        before->next = c->next;
    }
    cache_close(&c->l1i);
    cache_close(&c->l1d);
    cache_close(&c->l2);
    c->next = NULL;
}

static void drop_everywhere(struct cache_core *c, uint64_t line)
{
    struct cache_core *core = c;
    do {
        cache_drop(&core->l1i, line);
        cache_drop(&core->l1d, line);
        cache_drop(&core->l2, line);
        core = core->next;
    } while (core != c);
}

/* below_inclusive serves a line that missed in L1. What leaves L3 must leave the caches above before
 * they make room, so nothing is filled before L3 is. */
static enum mem_level below_inclusive(struct cache_core *c, uint64_t line)
{
    uint64_t evicted;
    if (lookup_line(&c->l2, line))
        return MEM_L2;
    bool in_l3 = access_line(c->l3, line, &evicted);
    if (!in_l3 && evicted != UINT64_MAX)
        drop_everywhere(c, evicted);
    cache_fill(&c->l2, line);
    return in_l3 ? MEM_L3 : MEM_DRAM;
}

static enum mem_level serve_inclusive(struct cache_core *c, struct cache *l1, uint64_t line)
{
    if (lookup_line(l1, line))
        return MEM_L1;
    enum mem_level level = below_inclusive(c, line);
    cache_fill(l1, line);
    return level;
}

/* below_l1 serves a line that missed in L1: it is in L2 afterwards. */
static enum mem_level below_l1(struct cache_core *c, uint64_t line)
{
    uint64_t evicted;
    if (access_line(&c->l2, line, &evicted))
        return MEM_L2;
    if (c->l3_kind != L3_VICTIM)
        return access_line(c->l3, line, &evicted) ? MEM_L3 : MEM_DRAM;
    struct cache *l3 = c->l3;
    uint32_t tag, set = cache_set(l3, line, &tag);
    __builtin_prefetch(cache_at(l3, set));
    settle(l3);
    bool in_l3 = tag_lookup(l3, set, tag);
    if (evicted != UINT64_MAX)
        late(l3, evicted);
    return in_l3 ? MEM_L3 : MEM_DRAM;
}

/* serve finds a line from L1 down; it is in L1 afterwards. */
FORCE_INLINE enum mem_level serve(struct cache_core *c, struct cache *l1, uint64_t line)
{
    uint64_t evicted;
    if (unlikely(c->l3_kind == L3_INCLUSIVE))
        return serve_inclusive(c, l1, line);
    return access_line(l1, line, &evicted) ? MEM_L1 : below_l1(c, line);
}

enum mem_level cache_data(struct cache_core *c, uint64_t line)
{
    return serve(c, &c->l1d, line);
}

enum mem_level cache_fetch(struct cache_core *c, uint64_t line)
{
    return serve(c, &c->l1i, line);
}

/* included says whether every line of a cache is in the L3. */
static bool included(const struct cache *c, struct cache *l3)
{
    for (uint32_t set = 0; set < c->sets; set++)
        for (uint32_t w = 0; w < c->ways; w++) {
            uint32_t tag = tags_at(c, set)[w];
            if (tag != 0 && !cache_holds(l3, (uint64_t)(tag - 1) * c->sets + set))
                return false;
        }
    return true;
}

int cache_core_audit(const struct cache_core *c)
{
    const struct cache *all[] = {&c->l1i, &c->l1d, &c->l2, c->l3};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int broken = cache_audit(all[i]);
        if (broken != 0)
            return broken;
        if (c->l3_kind == L3_INCLUSIVE && !included(all[i], c->l3))
            return 3;
    }
    return 0;
}
