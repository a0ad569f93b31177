/* rng.h: the one source of randomness, seeded by the option `seed`. splitmix64 (Steele, Lea, Flood,
 * OOPSLA 2014): tiny, full period, and equal on every machine. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include "base/bits.h"
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    r->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix64(r->state);
}
/* rng_below returns a number in [0, n); n > 0. The bias (n / 2^64) is below anything we measure. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rng_next(r) * n) >> 64);
}

#endif
