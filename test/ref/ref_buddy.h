/* ref_buddy.h: a naive page allocator: everything on plain arrays from the start, every search
 * linear. Written from the description of Linux's mm/page_alloc.c (6.18), not from src/phys.
 *
 * One entry per page says what it is; one array per zone, type and order holds the free blocks in
 * list order, one per CPU and list the pages on per-CPU lists. The number of free blocks is NOT taken
 * from the arrays but from the pages.
 */
#ifndef REF_BUDDY_H
#define REF_BUDDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REF_ORDERS   11
#define REF_ZONES    12
#define REF_TYPES    5 /* unmovable, movable, reclaimable, highatomic, isolate */
#define REF_CPUS     4
#define REF_PCPLISTS 14
#define REF_BLOCK    512

enum ref_page { REF_NONE, REF_FREE, REF_PCP, REF_USED };

struct ref_blocks {
    uint64_t *first; /* block starts, in list order: [0] is taken next */
    size_t n, cap;
};
struct ref_pcp {
    struct ref_blocks lists[REF_PCPLISTS]; /* [0] was freed last */
    long count, high, free_count, alloc_factor;
    bool prev_high, used; /* used: since the last decay */
    int expire;           /* decays until the pages of another node's zone go back */
};
struct ref_zone {
    uint64_t first, end; /* pages [first, end) of its span */
    unsigned node;
    struct ref_blocks lists[REF_TYPES][REF_ORDERS]; /* free blocks */
    long free, free_highatomic;                     /* pages, isolated ones not counted */
    long reserved_highatomic;
    long managed, wmark[3], protection[5], boost; /* min, low, high */
    long batch, high_min, high_max;
    bool below_high, large_cache;
    struct ref_pcp pcp[REF_CPUS];
};
struct ref_buddy {
    struct ref_zone zones[REF_ZONES]; /* in address order */
    unsigned zones_nr;
    uint8_t *page;     /* enum ref_page, of all pages */
    uint8_t *order_of; /* of a used page: order of its block */
    bool *lru;         /* used pages that could be moved */
    uint8_t *type;     /* of each pageblock: what it is when not isolated */
    bool *isolated;    /* of each pageblock */
    uint64_t pages;
    unsigned cpu, nodes;
    unsigned cpu_node[REF_CPUS];
    bool pcp_on;
};

enum ref_mark { REF_MIN, REF_LOW, REF_HIGH, REF_NO_MARK };
struct ref_req {
    unsigned order, type;
    enum ref_mark mark;
    bool high, non_block, oom; /* rights to reserves; not with REF_LOW */
    unsigned top;              /* index of the highest zone in protection[] */
    const unsigned *zones;     /* zones in the order they are tried, lowest index 0 */
    unsigned zones_nr;
    bool nofragment;
};

/* ref_buddy_open makes an allocator of `pages` pages, all taken. */
void ref_buddy_open(struct ref_buddy *b, uint64_t pages);
void ref_buddy_close(struct ref_buddy *b);
/* ref_buddy_boot frees the pages [first, end) of a zone, lowest address first on each list. */
void ref_buddy_boot(struct ref_buddy *b, unsigned zone, uint64_t first, uint64_t end);
/* ref_buddy_alloc returns the first page of a block, or -1. */
int64_t ref_buddy_alloc(struct ref_buddy *b, const struct ref_req *r);
void ref_buddy_free(struct ref_buddy *b, uint64_t first, unsigned order);
void ref_buddy_drain(struct ref_buddy *b, unsigned cpu);
/* ref_buddy_decay does what the kernel does to a CPU's lists every second. */
void ref_buddy_decay(struct ref_buddy *b, unsigned cpu);
/* ref_buddy_isolate and ref_buddy_set_type change the pageblock of a page; false: not possible. */
bool ref_buddy_isolate(struct ref_buddy *b, uint64_t page, bool isolate);
bool ref_buddy_set_type(struct ref_buddy *b, uint64_t page, unsigned type);
bool ref_buddy_unreserve(struct ref_buddy *b, const struct ref_req *r, bool force);
unsigned ref_buddy_type(const struct ref_buddy *b, uint64_t page);
/* ref_buddy_pages counts pages of a kind in a zone, ref_buddy_used all used ones. Linear. */
uint64_t ref_buddy_pages(const struct ref_buddy *b, unsigned zone, enum ref_page kind);

#endif
