/* vec.c: growing arrays by doubling, so n appends copy at most 2n elements. */
#include "base/vec.h"

#include <stdlib.h>

void *vec_room(void *array, size_t n, size_t *cap, size_t size)
{
    size_t bytes;
    if (n < *cap)
        return array;
    size_t want = n < 8 ? 8 : 2 * n;
    if (__builtin_mul_overflow(want, size, &bytes))
        return NULL;
    void *bigger = realloc(array, bytes);
    if (bigger)
        *cap = want;
    return bigger;
}
