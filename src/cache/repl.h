/* repl.h: replacement policies of a set-associative array; caches, TLBs and walk caches share them.
 *
 * The array tells which way of a set was used (touch) or emptied (forget) and asks which way goes
 * next (victim). Touching the way that was touched last never changes the state: that is what makes
 * a most-recent-way fast path exact.
 */
#ifndef CACHE_REPL_H
#define CACHE_REPL_H

#include "base/rng.h"

#include <stddef.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* In the order of enum conf_tlb_policy. */
enum repl_policy { REPL_LRU, REPL_PLRU, REPL_MRU3, REPL_RANDOM };

struct repl {
    uint32_t policy;     /* enum repl_policy */
    uint32_t sets, ways; /* shape of the array */
    uint32_t ages;       /* LRU by ages: bytes of them, whole vectors of 16; else 0 */
    uint32_t stride;     /* bytes from the state of a set to that of the next */
    uint32_t groups;     /* PLRU: trees per set: 1, or 3 for MRU3 */
    uint32_t group_ways; /* PLRU: ways of a tree (the last tree of MRU3 may have fewer) */
    uint32_t leaves;     /* PLRU: group_ways rounded up to a power of two */
    uint32_t words;      /* PLRU of up to REPL_WORD_MAX ways: 1, a set is a word of bits; else 0 */
    uint8_t *state;      /* LRU: age of each way, 0 = newest; PLRU: words, or tree nodes */
    uint32_t *link;      /* LRU of more than REPL_AGE_MAX ways: ring of ways, see repl.c */
    void *own;           /* the allocation behind state, if it is ours */
    struct rng rng;      /* RANDOM */
    struct {
        uint32_t keep, set; /* a touch of the way: word = (word & keep) | set */
    } way[16];              /* if words */
};
#define REPL_AGE_MAX     64u
#define REPL_WORD_MAX    16u
#define REPL_GROUP_SHIFT 30 /* MRU3: the upper bits of a word are the group touched last */

/* repl_bytes returns the bytes of state a set needs, 0 if it needs none or more than 64 ways make it
 * a ring. */
uint32_t repl_bytes(uint32_t ways, enum repl_policy policy);
/* repl_open makes the state of empty sets: at `state`, `stride` bytes from set to set (so that an
 * array may keep it beside its tags), or in memory of its own if NULL. 0 or -ENOMEM. */
int repl_open(struct repl *r, uint32_t sets, uint32_t ways, enum repl_policy policy, uint64_t seed,
              void *state, uint32_t stride);
void repl_close(struct repl *r);

void repl_touch_slow(struct repl *r, uint32_t set, uint32_t way);
uint32_t repl_victim_slow(struct repl *r, uint32_t set);

/* repl_touch: the way was hit or filled. */
static inline void repl_touch(struct repl *r, uint32_t set, uint32_t way)
{
    uint8_t *age = r->state + (size_t)set * r->stride;
#ifdef __SSE2__
    if (likely(r->ages == 16)) { /* the younger ones get one older; see repl.c */
        __m128i v = _mm_load_si128((const __m128i *)age), old = _mm_set1_epi8((char)age[way]);
        __m128i older = _mm_sub_epi8(v, _mm_cmplt_epi8(v, old));
        _mm_store_si128((__m128i *)age, _mm_andnot_si128(_mm_cmpeq_epi8(v, old), older));
        return;
    }
#endif
    if (likely(r->words != 0)) {
        uint32_t *word = (uint32_t *)(void *)age;
        *word = (*word & r->way[way].keep) | r->way[way].set;
        return;
    }
    repl_touch_slow(r, set, way);
}

/* repl_word_victim follows the bits of a word down to a way: see repl.c. */
static inline uint32_t repl_word_victim(const struct repl *r, uint32_t word)
{
    uint32_t base = 0, node = 1;
    if (r->groups > 1) {
        uint32_t group = (word >> REPL_GROUP_SHIFT) + 1;
        group = group < r->groups ? group : 0;
        base = group * r->group_ways;
        word >>= group * r->leaves;
    }
    while (node < r->leaves)
        node = 2 * node + (word >> node & 1);
    return base + node - r->leaves;
}

/* repl_victim returns the way to replace. Only RANDOM changes state by it. */
static inline uint32_t repl_victim(struct repl *r, uint32_t set)
{
#ifdef __SSE2__
    if (likely(r->ages == 16)) {
        __m128i v = _mm_load_si128((const __m128i *)(r->state + (size_t)set * r->stride));
        __m128i oldest = _mm_cmpeq_epi8(v, _mm_set1_epi8((char)(r->ways - 1)));
        return (uint32_t)__builtin_ctz((unsigned)_mm_movemask_epi8(oldest));
    }
#endif
    if (likely(r->words != 0))
        return repl_word_victim(
            r, *(const uint32_t *)(const void *)(r->state + (size_t)set * r->stride));
    return repl_victim_slow(r, set);
}

/* repl_forget: the way became empty. Under LRU it is the next victim then, so that under LRU the
 * victim is an empty way whenever there is one. */
void repl_forget(struct repl *r, uint32_t set, uint32_t way);
/* repl_audit returns 0, or 1 if the LRU state of a set is no permutation of its ways. */
int repl_audit(const struct repl *r);

#endif
