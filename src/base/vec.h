/* vec.h: room for one more element in a growing array.
 *
 *     struct vma *v = vec_room(list, n, &cap, sizeof(*list));
 *     if (!v)
 *         return -ENOMEM;
 *     list = v;
 *     list[n++] = ...
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

/* vec_room returns the array with room for more than n elements of `size` bytes, moved and *cap
 * doubled when it was full; NULL when memory is short: the array is then as it was. Start with
 * NULL and *cap = 0; free() it. */
void *vec_room(void *array, size_t n, size_t *cap, size_t size);

#endif
