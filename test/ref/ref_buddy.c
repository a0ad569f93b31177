/* ref_buddy.c: see ref_buddy.h. Slow on purpose. */
#include "ref/ref_buddy.h"

#include <stdlib.h>
#include <string.h>

static void insert(struct ref_blocks *l, size_t at, uint64_t first)
{
    if (l->n == l->cap) {
        l->cap = l->cap * 2 + 16;
        l->first = realloc(l->first, l->cap * sizeof(*l->first));
        if (l->first == NULL)
            abort();
    }
    memmove(l->first + at + 1, l->first + at, (l->n - at) * sizeof(*l->first));
    l->first[at] = first;
    l->n++;
}

static void drop(struct ref_blocks *l, size_t at)
{
    l->n--;
    memmove(l->first + at, l->first + at + 1, (l->n - at) * sizeof(*l->first));
}

/* where returns the place of a block in a list, or -1. */
static long where(const struct ref_blocks *l, uint64_t first)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->first[i] == first)
            return (long)i;
    return -1;
}

static void set_pages(struct ref_buddy *b, uint64_t first, unsigned order, bool is_free)
{
    for (uint64_t i = 0; i < (uint64_t)1 << order; i++)
        b->page_free[first + i] = is_free;
}

void ref_buddy_open(struct ref_buddy *b, uint64_t pages)
{
    *b = (struct ref_buddy){.pages = pages};
    b->page_free = calloc(pages, sizeof(bool));
    if (b->page_free == NULL)
        abort();
}

void ref_buddy_close(struct ref_buddy *b)
{
    for (int z = 0; z < REF_ZONES; z++)
        for (int o = 0; o < REF_ORDERS; o++)
            free(b->zones[z].lists[o].first);
    free(b->page_free);
}

void ref_buddy_boot(struct ref_buddy *b, unsigned zone, uint64_t first, uint64_t end)
{
    b->zones[zone].first = first;
    b->zones[zone].end = end;
    while (first < end) {
        unsigned o = REF_ORDERS - 1;
        while (first % ((uint64_t)1 << o) != 0 || first + ((uint64_t)1 << o) > end)
            o--;
        insert(&b->zones[zone].lists[o], b->zones[zone].lists[o].n, first);
        set_pages(b, first, o, true);
        first += (uint64_t)1 << o;
    }
}

int64_t ref_buddy_alloc(struct ref_buddy *b, unsigned order, unsigned top)
{
    for (int z = (int)top; z >= 0; z--) {
        for (unsigned o = order; o < REF_ORDERS; o++) {
            struct ref_blocks *l = b->zones[z].lists;
            if (l[o].n == 0)
                continue;
            uint64_t first = l[o].first[0];
            drop(&l[o], 0);
            for (unsigned half = o; half-- > order;)
                insert(&l[half], 0, first + ((uint64_t)1 << half));
            set_pages(b, first, order, false);
            return (int64_t)first;
        }
    }
    return -1;
}

void ref_buddy_free(struct ref_buddy *b, uint64_t first, unsigned order)
{
    unsigned z = 0;
    while (first < b->zones[z].first || first >= b->zones[z].end)
        z++;
    struct ref_blocks *l = b->zones[z].lists;
    set_pages(b, first, order, true);
    while (order + 1 < REF_ORDERS) {
        long at = where(&l[order], first ^ (uint64_t)1 << order);
        if (at < 0)
            break;
        drop(&l[order], (size_t)at);
        first &= ~((uint64_t)1 << order);
        order++;
    }
    bool tail = false;
    if (order < REF_ORDERS - 2) {
        uint64_t parent = first & ~((uint64_t)1 << order);
        tail = where(&l[order + 1], parent ^ (uint64_t)2 << order) >= 0;
    }
    insert(&l[order], tail ? l[order].n : 0, first);
}

static bool all_free(const struct ref_buddy *b, uint64_t first, unsigned order)
{
    for (uint64_t i = first; i < first + ((uint64_t)1 << order); i++)
        if (i >= b->pages || !b->page_free[i])
            return false;
    return true;
}

uint64_t ref_buddy_blocks(const struct ref_buddy *b, unsigned zone, unsigned order)
{
    const struct ref_zone *z = &b->zones[zone];
    uint64_t size = (uint64_t)1 << order, count = 0;
    for (uint64_t at = z->first & ~(size - 1); at < z->end; at += size) {
        bool largest = order == REF_ORDERS - 1 || !all_free(b, at & ~size, order + 1);
        if (all_free(b, at, order) && largest)
            count++;
    }
    return count;
}

uint64_t ref_buddy_pages_free(const struct ref_buddy *b, unsigned zone)
{
    uint64_t count = 0;
    for (uint64_t i = b->zones[zone].first; i < b->zones[zone].end; i++)
        count += b->page_free[i];
    return count;
}
