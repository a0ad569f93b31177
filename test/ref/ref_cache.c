/* ref_cache.c: see ref_cache.h. Slow and plain on purpose. */
#include "ref/ref_cache.h"

#include <stdlib.h>

#define DEPTH 17 /* intervals of 2^1 to 2^17 ways */

void ref_repl_open(struct ref_repl *r, unsigned sets, unsigned ways, int policy, uint64_t seed)
{
    *r = (struct ref_repl){.policy = policy, .sets = sets, .ways = ways, .rng = {seed}};
    r->stamp = calloc((size_t)sets * ways, sizeof(*r->stamp));
    r->newest = calloc(sets, sizeof(*r->newest));
    if (policy == TLB_PLRU || policy == TLB_MRU3)
        r->right = calloc((size_t)sets * DEPTH * ways, 1);
}

void ref_repl_close(struct ref_repl *r)
{
    free(r->stamp);
    free(r->right);
    free(r->newest);
}

/* The ways of a group: [first, first + n). PLRU has one group, MRU3 three of equal size (the last
 * ones smaller if need be). */
static unsigned group_size(const struct ref_repl *r)
{
    return r->policy == TLB_MRU3 ? (r->ways + 2) / 3 : r->ways;
}

/* flag of the interval of 2^(bits) ways that starts at way `from` (counted from its group). */
static uint8_t *flag(const struct ref_repl *r, unsigned set, unsigned group, unsigned bits,
                     unsigned from)
{
    return &r->right[((size_t)set * DEPTH + bits - 1) * r->ways + group * group_size(r) + from];
}

static unsigned bits_for(unsigned n)
{
    unsigned bits = 0;
    while ((1u << bits) < n)
        bits++;
    return bits;
}

void ref_repl_touch(struct ref_repl *r, unsigned set, unsigned way)
{
    r->stamp[(size_t)set * r->ways + way] = ++r->clock;
    if (r->right == NULL)
        return;
    unsigned g = way / group_size(r), w = way % group_size(r);
    r->newest[set] = g;
    for (unsigned bits = bits_for(group_size(r)); bits > 0; bits--) {
        unsigned from = w >> bits << bits, middle = from + (1u << (bits - 1));
        *flag(r, set, g, bits, from) = w < middle; /* the half that was not used is next */
    }
}

static unsigned tree_victim(struct ref_repl *r, unsigned set)
{
    unsigned size = group_size(r), groups = (r->ways + size - 1) / size;
    unsigned g = r->policy == TLB_MRU3 && groups > 1 ? (r->newest[set] + 1) % groups : 0;
    unsigned from = 0;
    for (unsigned bits = bits_for(size); bits > 0; bits--) {
        unsigned middle = from + (1u << (bits - 1));
        bool exists = middle < size && g * size + middle < r->ways;
        if (exists && *flag(r, set, g, bits, from))
            from = middle;
    }
    return g * size + from;
}

unsigned ref_repl_victim(struct ref_repl *r, unsigned set)
{
    if (r->policy == TLB_RANDOM)
        return (unsigned)rng_below(&r->rng, r->ways);
    if (r->right != NULL)
        return tree_victim(r, set);
    unsigned oldest = 0;
    for (unsigned w = 1; w < r->ways; w++)
        if (r->stamp[(size_t)set * r->ways + w] < r->stamp[(size_t)set * r->ways + oldest])
            oldest = w;
    return oldest;
}

void ref_cache_open(struct ref_cache *c, uint64_t bytes, unsigned ways, int policy, uint64_t seed)
{
    static const int as_tlb[] = {TLB_LRU, TLB_PLRU, TLB_RANDOM};
    c->ways = ways;
    c->sets = (unsigned)(bytes / 64 / ways);
    c->line = malloc((size_t)c->sets * ways * sizeof(*c->line));
    for (size_t i = 0; i < (size_t)c->sets * ways; i++)
        c->line[i] = UINT64_MAX;
    ref_repl_open(&c->repl, c->sets, ways, as_tlb[policy], seed);
}

void ref_cache_close(struct ref_cache *c)
{
    free(c->line);
    ref_repl_close(&c->repl);
}

static int way_of(const struct ref_cache *c, unsigned set, uint64_t line)
{
    for (unsigned w = 0; w < c->ways; w++)
        if (c->line[(size_t)set * c->ways + w] == line)
            return (int)w;
    return -1;
}

bool ref_cache_lookup(struct ref_cache *c, uint64_t line)
{
    unsigned set = (unsigned)(line % c->sets);
    int w = way_of(c, set, line);
    if (w >= 0)
        ref_repl_touch(&c->repl, set, (unsigned)w);
    return w >= 0;
}

bool ref_cache_drop(struct ref_cache *c, uint64_t line)
{
    unsigned set = (unsigned)(line % c->sets);
    int w = way_of(c, set, line);
    if (w >= 0)
        c->line[(size_t)set * c->ways + (unsigned)w] = UINT64_MAX;
    return w >= 0;
}

uint64_t ref_cache_fill(struct ref_cache *c, uint64_t line)
{
    unsigned set = (unsigned)(line % c->sets);
    int w = way_of(c, set, UINT64_MAX);
    if (w < 0)
        w = (int)ref_repl_victim(&c->repl, set);
    uint64_t gone = c->line[(size_t)set * c->ways + (unsigned)w];
    c->line[(size_t)set * c->ways + (unsigned)w] = line;
    ref_repl_touch(&c->repl, set, (unsigned)w);
    return gone;
}

void ref_caches_open(struct ref_caches *c, const struct conf *f, unsigned cores)
{
    c->cores = cores;
    c->l3_kind = (int)f->l3_kind;
    ref_cache_open(&c->l3, f->l3_size, (unsigned)f->l3_ways, (int)f->l3_policy, f->seed);
    for (unsigned i = 0; i < cores; i++) {
        ref_cache_open(&c->l1i[i], f->l1i_size, (unsigned)f->l1i_ways, (int)f->l1i_policy,
                       f->seed + 1);
        ref_cache_open(&c->l1d[i], f->l1d_size, (unsigned)f->l1d_ways, (int)f->l1d_policy,
                       f->seed + 2);
        ref_cache_open(&c->l2[i], f->l2_size, (unsigned)f->l2_ways, (int)f->l2_policy, f->seed + 3);
    }
}

void ref_caches_close(struct ref_caches *c)
{
    ref_cache_close(&c->l3);
    for (unsigned i = 0; i < c->cores; i++) {
        ref_cache_close(&c->l1i[i]);
        ref_cache_close(&c->l1d[i]);
        ref_cache_close(&c->l2[i]);
    }
}

int ref_caches_access(struct ref_caches *c, unsigned core, uint64_t line, bool fetch)
{
    struct ref_cache *l1 = fetch ? &c->l1i[core] : &c->l1d[core];
    if (ref_cache_lookup(l1, line))
        return 0;
    int level = 1;
    if (!ref_cache_lookup(&c->l2[core], line)) {
        level = ref_cache_lookup(&c->l3, line) ? 2 : 3;
        if (level == 3 && c->l3_kind != L3_VICTIM) {
            uint64_t gone = ref_cache_fill(&c->l3, line);
            for (unsigned i = 0; i < c->cores && c->l3_kind == L3_INCLUSIVE; i++) {
                ref_cache_drop(&c->l1i[i], gone);
                ref_cache_drop(&c->l1d[i], gone);
                ref_cache_drop(&c->l2[i], gone);
            }
        }
        uint64_t gone = ref_cache_fill(&c->l2[core], line);
        if (c->l3_kind == L3_VICTIM && gone != UINT64_MAX && !ref_cache_lookup(&c->l3, gone))
            ref_cache_fill(&c->l3, gone);
    }
    ref_cache_fill(l1, line);
    return level;
}
