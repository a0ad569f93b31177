/* cache_int.h: look-up and fill of one cache, inline for core.c: a miss in all levels is five of
 * them. cache.c makes the functions of cache.h of these.
 *
 * Under LRU the tags of a set stand newest first, so a hit and a fill are the same move: the tags
 * before position p step back by one, the new one goes to the front. On a hit p is where the tag
 * was, on a miss it is the last way, whose tag falls out.
 *
 *   p = 2     A B C D E ...  ──►  C A B D E ...
 *
 * Up to 16 ways that is done in vector registers, without a branch.
 */
#ifndef CACHE_CACHE_INT_H
#define CACHE_CACHE_INT_H

#include "base/check.h"
#include "cache/cache.h"

#ifdef __SSE2__
#define CACHE_VECTORS 4u /* most vectors of tags that are kept in registers */
#else
#define CACHE_VECTORS 0u
#endif

#define FORCE_INLINE static inline __attribute__((always_inline))

static inline uint32_t *tags_at(const struct cache *c, uint32_t set)
{
    return cache_at(c, set) + c->tags / sizeof(uint32_t);
}

/* find_way returns the lowest way of a set that holds a tag (0: an empty way), or `ways`. */
static inline uint32_t find_way(const struct cache *c, uint32_t set, uint32_t tag)
{
    const uint32_t *t = tags_at(c, set);
    uint32_t way = 0;
#ifdef __SSE2__
    __m128i key = _mm_set1_epi32((int)tag);
    for (; way < c->ways; way += 4) {
        __m128i eq = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)(t + way)), key);
        unsigned m = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(eq));
        if (m != 0) {
            way += (uint32_t)__builtin_ctz(m);
            break;
        }
    }
    return way < c->ways ? way : c->ways;
#else
    while (way < c->ways && t[way] != tag)
        way++;
    return way;
#endif
}

#ifdef __SSE2__
/* regs_find returns bit i set where tag i of n vectors is the one searched. */
FORCE_INLINE unsigned regs_find(const uint32_t *t, uint32_t tag, const unsigned n)
{
    __m128i key = _mm_set1_epi32((int)tag), eq[CACHE_VECTORS];
#pragma GCC unroll 4
    for (unsigned i = 0; i < CACHE_VECTORS; i++)
        eq[i] = i < n ? _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)t + i), key)
                      : _mm_setzero_si128();
    __m128i low = _mm_packs_epi32(eq[0], eq[1]), high = _mm_packs_epi32(eq[2], eq[3]);
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

/* regs_front makes the move of the picture in n vectors. */
FORCE_INLINE void regs_front(uint32_t *t, uint32_t tag, uint32_t p, const unsigned n)
{
    static const int32_t window[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1,
                                       -1, -1, -1, -1, -1, -1, -1, 0}; /* ones up to the middle */
    const int32_t *moves = window + 15 - (size_t)p; /* -1 for positions up to p */
    __asm__("" : "+r"(moves));                      /* else gcc 12 makes a pointer per vector */
    __m128 before = _mm_castsi128_ps(_mm_cvtsi32_si128((int)tag));
#pragma GCC unroll 4
    for (unsigned i = 0; i < n; i++) {
        __m128i old = _mm_load_si128((const __m128i *)t + i);
        __m128 turned = _mm_castsi128_ps(_mm_shuffle_epi32(old, _MM_SHUFFLE(2, 1, 0, 3)));
        __m128i stepped = _mm_castps_si128(_mm_move_ss(turned, before));
        __m128i mask = _mm_loadu_si128((const __m128i *)(moves + 4 * i));
        __m128i change = _mm_and_si128(_mm_xor_si128(old, stepped), mask);
        _mm_store_si128((__m128i *)t + i, _mm_xor_si128(old, change));
        before = turned;
    }
}

/* regs_push is regs_front with the last of 4n tags falling out. Ways missing to 4n hold rubbish. */
FORCE_INLINE void regs_push(uint32_t *t, uint32_t tag, const unsigned n)
{
    __m128i v[CACHE_VECTORS], first = _mm_load_si128((const __m128i *)t);
    first = _mm_shuffle_epi32(first, _MM_SHUFFLE(2, 1, 0, 3));
    v[0] = _mm_castps_si128(
        _mm_move_ss(_mm_castsi128_ps(first), _mm_castsi128_ps(_mm_cvtsi32_si128((int)tag))));
#pragma GCC unroll 4
    for (unsigned i = 1; i < n; i++)
        v[i] = _mm_loadu_si128((const __m128i *)(t + 4 * i - 1));
#pragma GCC unroll 4
    for (unsigned i = 0; i < n; i++)
        _mm_store_si128((__m128i *)t + i, v[i]);
}

/* regs_lookup and regs_access: see tag_lookup and tag_access. */
FORCE_INLINE bool regs_lookup(const struct cache *c, uint32_t *t, uint32_t tag, const unsigned n)
{
    unsigned at = regs_find(t, tag, n) & c->way_mask;
    if (at == 0)
        return false;
    regs_front(t, tag, (uint32_t)__builtin_ctz(at), n);
    return true;
}

FORCE_INLINE bool regs_access(const struct cache *c, uint32_t *t, uint32_t tag, uint32_t *ret_out,
                              const unsigned n)
{
    if (regs_lookup(c, t, tag, n))
        return true;
    *ret_out = t[c->ways - 1];
    regs_push(t, tag, n);
    return false;
}
#endif

/* cache_access_slow and cache_lookup_slow are access and lookup of a tag for every shape. */
bool cache_access_slow(struct cache *c, uint32_t set, uint32_t tag, uint32_t *ret_out);
bool cache_lookup_slow(struct cache *c, uint32_t set, uint32_t tag);

/* tag_access makes a tag the newest of its set. On a miss it takes the place of the lowest empty
 * way, else of the victim, and *ret_out is the tag that fell out or 0. */
FORCE_INLINE bool tag_access(struct cache *c, uint32_t set, uint32_t tag, uint32_t *ret_out)
{
#ifdef __SSE2__
    uint32_t *t = cache_at(c, set);
    if (c->vectors == 4)
        return regs_access(c, t, tag, ret_out, 4);
    if (c->vectors == 3)
        return regs_access(c, t, tag, ret_out, 3);
    if (c->vectors == 2)
        return regs_access(c, t, tag, ret_out, 2);
#endif
    return cache_access_slow(c, set, tag, ret_out);
}

FORCE_INLINE bool tag_lookup(struct cache *c, uint32_t set, uint32_t tag)
{
#ifdef __SSE2__
    uint32_t *t = cache_at(c, set);
    if (c->vectors == 4)
        return regs_lookup(c, t, tag, 4);
    if (c->vectors == 3)
        return regs_lookup(c, t, tag, 3);
    if (c->vectors == 2)
        return regs_lookup(c, t, tag, 2);
#endif
    return cache_lookup_slow(c, set, tag);
}

/* lookup_line returns whether a line is there, and makes it the newest then. */
FORCE_INLINE bool lookup_line(struct cache *c, uint64_t line)
{
    uint32_t tag, set = cache_set(c, line, &tag);
    return tag_lookup(c, set, tag);
}

/* access_line is lookup_line, and a fill if the line is not there. After a miss *ret_evicted is the
 * line that had to go, or UINT64_MAX. */
FORCE_INLINE bool access_line(struct cache *c, uint64_t line, uint64_t *ret_evicted)
{
    uint32_t tag, out, set = cache_set(c, line, &tag);
    if (tag_access(c, set, tag, &out))
        return true;
    *ret_evicted = out != 0 ? (uint64_t)(out - 1) * c->sets + set : UINT64_MAX;
    return false;
}

/* settle does what late put off. Whatever reads or changes a cache that late is used on must settle
 * it first, so the order of events is the one without late. */
FORCE_INLINE void settle(struct cache *c)
{
    uint32_t out;
    if (c->late_tag != 0)
        (void)tag_access(c, c->late_set, c->late_tag, &out);
    c->late_tag = 0;
}

/* late is access_line at a later time, when the host has the set at hand. After settle. */
FORCE_INLINE void late(struct cache *c, uint64_t line)
{
    c->late_set = cache_set(c, line, &c->late_tag);
    __builtin_prefetch(cache_at(c, c->late_set));
}

#endif
