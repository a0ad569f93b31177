/* bits.h: arithmetic on powers of two and rounding. Nothing here can fail. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)       (UINT64_C(1) << (n))
#define KIB(n)       ((uint64_t)(n) << 10)
#define MIB(n)       ((uint64_t)(n) << 20)
#define GIB(n)       ((uint64_t)(n) << 30)
#define likely(x)    __builtin_expect(!!(x), 1)
#define unlikely(x)  __builtin_expect(!!(x), 0)

static inline bool is_pow2(uint64_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}
/* log2_floor needs x > 0. */
static inline unsigned log2_floor(uint64_t x)
{
    return 63u - (unsigned)__builtin_clzll(x);
}
/* align_up and align_down need a power of two; align_up may wrap to 0. */
static inline uint64_t align_up(uint64_t x, uint64_t a)
{
    return (x + a - 1) & ~(a - 1);
}
static inline uint64_t align_down(uint64_t x, uint64_t a)
{
    return x & ~(a - 1);
}
static inline uint64_t div_up(uint64_t x, uint64_t d)
{
    return x / d + (x % d != 0);
}
static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
/* mix64 is a good 64-bit hash of a 64-bit number (the finaliser of splitmix64). */
static inline uint64_t mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

#endif
