/* repl.c: true LRU, tree pseudo-LRU, Intel's (MRU+1)%3 over pseudo-LRU groups, random.
 *
 *   LRU, up to 64 ways      one age per way, a permutation of 0..ways-1; a touch of a way of age a
 *                           adds 1 to all younger ages and makes a 0: 16 ages per vector operation.
 *   LRU, more ways          a ring of ways per set: next[way], prev[way]; node `ways` is the anchor,
 *                           its next is the newest, its prev the oldest.
 *   PLRU                    a binary tree; node n has children 2n, 2n+1 and holds the child to
 *                           replace next (0 left); a touch turns all nodes on its path away. Up to
 *                           16 ways node n is bit n of a word (the next tree of MRU3 follows
 *                           `leaves` bits higher), so a touch is an AND and an OR; else a byte.
 *
 *                                        1            leaves: ways 0..3 are nodes 4..7
 *                                      /   \          6 ways: 8 leaves, the last two missing; a
 *                                     2     3         node whose right half is missing goes left.
 *                                    / \   / \
 *                                   0   1 2   3
 *   MRU3                    ways cut into three groups, each a PLRU tree; the victim is in the group
 *                           after the one touched last (kept in the upper bits of the word, or in
 *                           the unused node 0 of the first tree).
 *
 * Invariants: I1 the ages of a set (the ring of a set) are a permutation of its ways.
 *             I2 touching the newest way changes nothing.
 * Source: MRU3 and PLRU as measured in Tatar, Trujillo, Giuffrida, Bos, "TLB;DR: Enhancing TLB-based
 * Attacks with TLB Desynchronized Reverse Engineering", USENIX Security 2022.
 */
#include "cache/repl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AGE_NONE 127 /* padding up to a whole vector; no age reaches it */

static void ages_init(struct repl *r)
{
    for (uint32_t s = 0; s < r->sets; s++) {
        uint8_t *age = r->state + (size_t)s * r->stride;
        memset(age, AGE_NONE, r->ages);
        for (uint32_t w = 0; w < r->ways; w++)
            age[w] = (uint8_t)(r->ways - 1 - w);
    }
}

static uint32_t *ring_next(const struct repl *r, uint32_t set)
{
    return r->link + (size_t)set * 2 * (r->ways + 1);
}
static uint32_t *ring_prev(const struct repl *r, uint32_t set)
{
    return ring_next(r, set) + r->ways + 1;
}

static void ring_init(struct repl *r)
{
    uint32_t nodes = r->ways + 1;
    for (uint32_t s = 0; s < r->sets; s++)
        for (uint32_t i = 0; i < nodes; i++) {
            ring_next(r, s)[i] = (i + r->ways) % nodes;
            ring_prev(r, s)[i] = (i + 1) % nodes;
        }
}

/* ring_move puts a way next to the anchor: behind it (newest) or before it (oldest). */
static void ring_move(struct repl *r, uint32_t set, uint32_t way, bool newest)
{
    uint32_t *next = ring_next(r, set), *prev = ring_prev(r, set), anchor = r->ways;
    next[prev[way]] = next[way];
    prev[next[way]] = prev[way];
    uint32_t before = newest ? anchor : prev[anchor];
    uint32_t after = newest ? next[anchor] : anchor;
    next[way] = after;
    prev[way] = before;
    next[before] = way;
    prev[after] = way;
}

/* way_word fills in what a touch of a way does to a word. A node without a right half stays 0. */
static void way_word(struct repl *r, uint32_t way)
{
    uint32_t group = way / r->group_ways, first = group * r->group_ways;
    uint32_t here = r->ways - first < r->group_ways ? r->ways - first : r->group_ways;
    uint32_t node = r->leaves + way - first, keep = UINT32_MAX, set = 0;
    for (uint32_t span = 1; node > 1; node >>= 1, span *= 2) {
        uint32_t bit = UINT32_C(1) << (group * r->leaves + node / 2);
        keep &= ~bit;
        if (node % 2 == 0 && (node + 1) * span - r->leaves < here)
            set |= bit;
    }
    if (r->groups > 1) {
        keep &= (UINT32_C(1) << REPL_GROUP_SHIFT) - 1;
        set |= group << REPL_GROUP_SHIFT;
    }
    r->way[way].keep = keep;
    r->way[way].set = set;
}

/* plan fills in the shape of the state for a number of ways. */
static void plan(struct repl *r)
{
    if (r->policy == REPL_LRU) {
        r->ages = r->ways <= REPL_AGE_MAX ? (r->ways + 15) & ~15u : 0;
        r->stride = r->ages;
    } else if (r->policy != REPL_RANDOM) {
        r->group_ways = r->policy == REPL_MRU3 ? (r->ways + 2) / 3 : r->ways;
        r->groups = (uint32_t)div_up(r->ways, r->group_ways);
        for (r->leaves = 1; r->leaves < r->group_ways; r->leaves *= 2)
            ;
        r->words = r->ways <= REPL_WORD_MAX;
        r->stride = r->words ? sizeof(uint32_t) : r->groups * r->leaves;
    }
}

uint32_t repl_bytes(uint32_t ways, enum repl_policy policy)
{
    struct repl r = {.policy = policy, .ways = ways};
    plan(&r);
    return r.stride;
}

static int open_memory(struct repl *r, void *state, uint32_t stride)
{
    if (r->policy == REPL_LRU && r->ages == 0) {
        r->own = r->link = malloc((size_t)r->sets * 2 * (r->ways + 1) * sizeof(*r->link));
        return r->own != NULL ? 0 : -ENOMEM;
    }
    if (state != NULL) {
        r->state = state;
        r->stride = stride;
    } else if (r->stride != 0) {
        r->own = r->state = calloc(r->sets, r->stride);
        return r->own != NULL ? 0 : -ENOMEM;
    }
    return 0;
}

int repl_open(struct repl *r, uint32_t sets, uint32_t ways, enum repl_policy policy, uint64_t seed,
              void *state, uint32_t stride)
{
    *r = (struct repl){.policy = policy, .sets = sets, .ways = ways, .rng.state = seed};
    plan(r);
    int e = open_memory(r, state, stride);
    if (e == 0 && r->ages != 0)
        ages_init(r);
    if (e == 0 && r->link != NULL)
        ring_init(r);
    for (uint32_t w = 0; r->words != 0 && w < r->ways; w++)
        way_word(r, w);
    return e;
}

void repl_close(struct repl *r)
{
    free(r->own);
    *r = (struct repl){0};
}

/* ages_touch: everything younger than the way gets one older, the way becomes the newest. */
static void ages_touch(uint8_t *age, uint32_t bytes, uint32_t way)
{
    uint8_t old = age[way];
    if (old == 0)
        return;
#ifdef __SSE2__
    __m128i limit = _mm_set1_epi8((char)old);
    for (uint32_t i = 0; i < bytes; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(age + i));
        _mm_storeu_si128((__m128i *)(age + i), _mm_sub_epi8(v, _mm_cmplt_epi8(v, limit)));
    }
#else
    for (uint32_t i = 0; i < bytes; i++)
        age[i] += age[i] < old;
#endif
    age[way] = 0;
}

static void ages_forget(uint8_t *age, uint32_t ways, uint32_t way)
{
    for (uint32_t i = 0; i < ways; i++)
        age[i] -= age[i] > age[way] && i != way;
    age[way] = (uint8_t)(ways - 1);
}

static uint32_t ages_oldest(const uint8_t *age, uint32_t ways)
{
    uint8_t oldest = (uint8_t)(ways - 1);
#ifdef __SSE2__
    __m128i key = _mm_set1_epi8((char)oldest);
    for (uint32_t i = 0;; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(age + i));
        unsigned m = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, key));
        if (m != 0)
            return i + (uint32_t)__builtin_ctz(m);
    }
#else
    uint32_t way = 0;
    while (age[way] != oldest)
        way++;
    return way;
#endif
}

static void plru_touch(struct repl *r, uint8_t *tree, uint32_t way)
{
    if (r->groups > 1) {
        uint32_t group = way / r->group_ways;
        tree[0] = (uint8_t)group;
        way -= group * r->group_ways;
        tree += group * r->leaves;
    }
    for (uint32_t node = r->leaves + way; node > 1; node >>= 1)
        tree[node >> 1] = !(node & 1);
}

static uint32_t plru_victim(const struct repl *r, const uint8_t *tree)
{
    uint32_t base = 0;
    if (r->groups > 1) {
        uint32_t group = (tree[0] + 1u) % r->groups;
        base = group * r->group_ways;
        tree += group * r->leaves;
    }
    uint32_t here = r->ways - base < r->group_ways ? r->ways - base : r->group_ways;
    uint32_t low = 0, node = 1;
    for (uint32_t half = r->leaves / 2; half > 0; half /= 2) {
        bool right = tree[node] && low + half < here;
        low += right ? half : 0;
        node = 2 * node + right;
    }
    return base + low;
}

void repl_touch_slow(struct repl *r, uint32_t set, uint32_t way)
{
    uint8_t *state = r->state + (size_t)set * r->stride;
    if (r->policy == REPL_RANDOM)
        return;
    if (r->policy != REPL_LRU)
        plru_touch(r, state, way);
    else if (r->link == NULL)
        ages_touch(state, r->ages, way);
    else if (ring_next(r, set)[r->ways] != way)
        ring_move(r, set, way, true);
}

void repl_forget(struct repl *r, uint32_t set, uint32_t way)
{
    if (r->policy != REPL_LRU)
        return;
    if (r->link != NULL)
        ring_move(r, set, way, false);
    else
        ages_forget(r->state + (size_t)set * r->stride, r->ways, way);
}

uint32_t repl_victim_slow(struct repl *r, uint32_t set)
{
    if (r->policy == REPL_RANDOM)
        return (uint32_t)rng_below(&r->rng, r->ways);
    const uint8_t *state = r->state + (size_t)set * r->stride;
    if (r->policy != REPL_LRU)
        return plru_victim(r, state);
    return r->link != NULL ? ring_prev(r, set)[r->ways] : ages_oldest(state, r->ways);
}

static bool ages_ok(const struct repl *r, uint32_t set)
{
    uint64_t seen = 0;
    for (uint32_t w = 0; w < r->ways; w++)
        if (r->state[(size_t)set * r->stride + w] < r->ways)
            seen |= BIT(r->state[(size_t)set * r->stride + w]);
    return seen == (r->ways == 64 ? UINT64_MAX : BIT(r->ways) - 1);
}

static bool ring_ok(const struct repl *r, uint32_t set)
{
    uint32_t n = 0, at = r->ways;
    do {
        uint32_t to = ring_next(r, set)[at];
        if (to > r->ways || ring_prev(r, set)[to] != at)
            return false;
        at = to;
    } while (at != r->ways && n++ < r->ways);
    return n == r->ways;
}

int repl_audit(const struct repl *r)
{
    if (r->policy != REPL_LRU)
        return 0;
    for (uint32_t s = 0; s < r->sets; s++)
        if (!(r->link != NULL ? ring_ok(r, s) : ages_ok(r, s))) /* I1 */
            return 1;
    return 0;
}
