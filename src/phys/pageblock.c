/* pageblock.c: the migrate type of each pageblock of 512 frames, and moving its free blocks when that
 * changes.
 *
 *   pageblock   |   M   |   M   |   U   |   M   |     one byte each, in a lazily backed mapping:
 *   byte        |   0   |   0   |   1   |   0   |     type xor Movable, so untouched memory is
 *                                                     Movable; bit 7: isolated, type kept below
 *
 * Invariants: B1 a free block lies on the list of its pageblock's type. B2 zone.pageblocks counts
 * the pageblocks of the span by type.
 *
 * Source: Linux 6.18 mm/page_alloc.c (set_pageblock_migratetype, prep_move_freepages_block,
 * __move_freepages_block, move_freepages_block_isolate, find_large_buddy), mm/page_isolation.c
 * (unset_migratetype_isolate).
 */
#include "phys/phys_int.h"

#include <errno.h>

#define ISOLATED 0x80u

static void set_byte(struct phys *p, struct zone *z, uint64_t n, uint8_t b)
{
    z->pageblocks[block_type(p, n)]--;
    p->blocks[n >> PAGEBLOCK_ORDER] = b;
    z->pageblocks[block_type(p, n)]++;
}

void block_set_type(struct phys *p, struct zone *z, uint64_t n, enum migrate_type type)
{
    CHECK(type < MIGRATE_ISOLATE);
    uint8_t isolated = p->blocks[n >> PAGEBLOCK_ORDER] & ISOLATED;
    set_byte(p, z, n, (uint8_t)(isolated | (type ^ MIGRATE_MOVABLE)));
}

void block_set_range(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                     enum migrate_type type)
{
    for (uint64_t i = 0; i < BIT(order); i += PAGEBLOCK_FRAMES)
        block_set_type(p, z, n + i, type);
}

/* A zone at the start of memory begins at frame 1 for Linux, so its first pageblock is never whole. */
bool block_bounds(const struct zone *z, uint64_t n, uint64_t *ret_first)
{
    uint64_t first = align_down(n, PAGEBLOCK_FRAMES);
    if (first == 0 || first < z->first || first + PAGEBLOCK_FRAMES > z->end)
        return false;
    *ret_first = first;
    return true;
}

/* move_lists moves the free blocks that begin in a pageblock, to the tail as the kernel does. */
static uint64_t move_lists(struct phys *p, struct zone *z, uint64_t first, enum migrate_type from,
                           enum migrate_type to)
{
    uint64_t moved = 0;
    for (uint64_t n = first; n < first + PAGEBLOCK_FRAMES;) {
        const struct frame *f = &p->head.frames[n];
        unsigned order = f->order;
        if (!(f->flags & FRAME_F_BUDDY)) {
            n++;
            continue;
        }
        buddy_list_remove(p, z, n, order, from);
        buddy_list_add(p, z, n, order, to, true);
        n += BIT(order);
        moved += BIT(order);
    }
    buddy_account(z, -(int64_t)moved, from);
    buddy_account(z, (int64_t)moved, to);
    return moved;
}

uint64_t block_move(struct phys *p, struct zone *z, uint64_t first, enum migrate_type from,
                    enum migrate_type to)
{
    uint64_t moved = move_lists(p, z, first, from, to);
    block_set_type(p, z, first, to);
    return moved;
}

/* -- for compaction, migration and contiguous ranges ----------------------------------------- */

static struct zone *zone_of(const struct phys *p, uint64_t n)
{
    struct node *node = node_of(p, n);
    unsigned id = 0;
    while (n >= node->zones[id].end)
        id++;
    return &node->zones[id];
}

enum migrate_type phys_pageblock_type(const struct phys *p, pfn n)
{
    CHECK(n.v < p->head.frames_nr);
    return block_type(p, n.v);
}

/* take_larger takes a free block larger than a pageblock that covers n off its list: its caller puts
 * it back as pageblocks of their own types. Its first frame and order, or false. */
static bool take_larger(struct phys *p, struct zone *z, uint64_t n, uint64_t *ret_n,
                        unsigned *ret_order)
{
    buddy_touch(p, z, n, n + 1);
    for (unsigned o = PAGEBLOCK_ORDER + 1; o <= ORDER_MAX; o++) {
        uint64_t head = align_down(n, BIT(o));
        const struct frame *f = &p->head.frames[head];
        if (!(f->flags & FRAME_F_BUDDY) || f->order != o)
            continue;
        enum migrate_type type = block_type(p, head);
        buddy_list_remove(p, z, head, o, type);
        buddy_account(z, -(int64_t)BIT(o), type);
        *ret_n = head;
        *ret_order = o;
        return true;
    }
    return false;
}

int phys_set_pageblock_type(struct phys *p, pfn n, enum migrate_type type)
{
    struct zone *z = zone_of(p, n.v);
    uint64_t first, head;
    unsigned order;
    if (!block_bounds(z, n.v, &first) || block_type(p, first) == MIGRATE_ISOLATE)
        return -EBUSY;
    bool larger = take_larger(p, z, first, &head, &order);
    if (larger)
        block_set_type(p, z, first, type);
    else
        block_move(p, z, first, block_type(p, first), type);
    if (larger)
        buddy_free(p, z, head, order);
    return 0;
}

/* A pageblock that is free as a whole could not merge while it was isolated: now it does. */
static bool should_remerge(const struct phys *p, uint64_t first)
{
    uint64_t buddy = first ^ PAGEBLOCK_FRAMES;
    return buddy_is_free(p, first, PAGEBLOCK_ORDER) && buddy_is_free(p, buddy, PAGEBLOCK_ORDER) &&
           block_type(p, buddy) != MIGRATE_ISOLATE;
}

int phys_isolate(struct phys *p, pfn n, bool isolate)
{
    struct zone *z = zone_of(p, n.v);
    uint64_t first, head = 0;
    unsigned order = 0;
    if (!block_bounds(z, n.v, &first) || (block_type(p, first) == MIGRATE_ISOLATE) == isolate)
        return -EBUSY;
    bool larger = take_larger(p, z, first, &head, &order);
    enum migrate_type from = block_type(p, first);
    set_byte(p, z, first, p->blocks[first >> PAGEBLOCK_ORDER] ^ ISOLATED);
    if (larger)
        buddy_free(p, z, head, order);
    else
        move_lists(p, z, first, from, block_type(p, first));
    if (!isolate && !larger && should_remerge(p, first))
        buddy_remerge(p, z, first);
    return 0;
}
