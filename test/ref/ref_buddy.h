/* ref_buddy.h: a naive buddy allocator: everything on plain arrays from the start, every search
 * linear. Written from the description of Linux's mm/page_alloc.c, not from src/phys.
 *
 * One entry per page says free or not; one array per order holds the free blocks in list order.
 * The number of free blocks is NOT taken from the arrays but from the pages: a block is free if all
 * its pages are, and it is a block of its own if its parent is not free.
 */
#ifndef REF_BUDDY_H
#define REF_BUDDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REF_ORDERS 11
#define REF_ZONES  3

struct ref_blocks {
    uint64_t *first; /* block starts, in list order: [0] is taken next */
    size_t n, cap;
};
struct ref_zone {
    uint64_t first, end;                 /* pages [first, end) */
    struct ref_blocks lists[REF_ORDERS]; /* free blocks by order */
};
struct ref_buddy {
    struct ref_zone zones[REF_ZONES];
    bool *page_free; /* of all pages */
    uint64_t pages;
};

/* ref_buddy_open makes an allocator of `pages` pages, all taken. */
void ref_buddy_open(struct ref_buddy *b, uint64_t pages);
void ref_buddy_close(struct ref_buddy *b);
/* ref_buddy_boot frees the pages [first, end) into a zone, lowest address first on each list. */
void ref_buddy_boot(struct ref_buddy *b, unsigned zone, uint64_t first, uint64_t end);
/* ref_buddy_alloc returns the first page of a block from zone `top` or a lower one, or -1. */
int64_t ref_buddy_alloc(struct ref_buddy *b, unsigned order, unsigned top);
void ref_buddy_free(struct ref_buddy *b, uint64_t first, unsigned order);
/* ref_buddy_blocks counts free blocks of an order in a zone from the pages. Linear in the zone. */
uint64_t ref_buddy_blocks(const struct ref_buddy *b, unsigned zone, unsigned order);
uint64_t ref_buddy_pages_free(const struct ref_buddy *b, unsigned zone);

#endif
