/* uaccess.c: the list of user memory the kernel touches for one call, in the order it does.
 *
 * The list holds stretches, not pages: sim walks each one line by line through the TLBs in
 * supervisor mode, and every missing page faults there, as copy_to_user and copy_from_user do.
 *
 * Invariants:
 *  I1  n <= cap; every entry has bytes > 0 and does not wrap.
 *
 * Source: Linux lib/usercopy.c, arch/x86/include/asm/uaccess.h.
 */
#include "kern/kern_int.h"

#include "base/check.h"

#include <stdlib.h>

uint64_t mul_sat(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

void *kern_grow(void *array, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap ? 2 * *cap : 16;
    array = realloc(array, *cap * size);
    ASSERT(array);
    return array;
}

void copies_add_by(struct kern_copies *c, enum kern_routine routine, uint64_t addr, uint64_t bytes,
                   bool store)
{
    if (bytes == 0)
        return;
    if (addr + bytes < addr)
        bytes = -addr;
    c->copy = kern_grow(c->copy, c->n, &c->cap, sizeof *c->copy);
    c->copy[c->n++] =
        (struct kern_copy){.addr = va(addr), .bytes = bytes, .store = store, .routine = routine};
    CHECK(c->n <= c->cap); /* I1 */
}

void copies_add(struct kern_copies *c, uint64_t addr, uint64_t bytes, bool store)
{
    copies_add_by(c, store ? KERN_COPY_TO : KERN_COPY_FROM, addr, bytes, store);
}

void kern_copies_close(struct kern_copies *c)
{
    free(c->copy);
    *c = (struct kern_copies){0};
}
