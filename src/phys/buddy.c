/* buddy.c: the buddy allocator: free blocks of 2^order frames in one list per order, migrate type
 * and zone.
 *
 *   alloc order 1 from a block of order 3:      free a at order 0, its buddy b free too:
 *     [       8       ]                           [a][b][  2  ]   a + b -> order 1
 *     [ 2 | 2 |   4   ]                           [  2 ][  2  ]   their union -> order 2
 *      ^taken  ^lists                             [     4     ]   goes on the list of order 2
 *
 * Memory nobody used yet (virgin) stands for a run of largest movable blocks in its zone's list of
 * that order, lowest address first: at its end at boot, later before blocks put at the tail. Taking
 * one means moving the start of the run. Such blocks need no record and no merging: nothing is larger. So the answers are those of an
 * allocator that put every block on its lists at boot, and unused memory costs nothing.
 *
 * Invariants: I2, I3 and I5 of phys.h; a bit of zone.orders says that list (or the virgin run) has
 * blocks.
 *
 * Source: Linux 6.18 mm/page_alloc.c: __rmqueue_smallest (smallest order that fits), expand (lower
 * half kept, upper halves to the head of their lists), __free_one_page (merging; to the tail when
 * buddy_merge_likely, else to the head), split_large_buddy.
 */
#include "phys/phys_int.h"

/* -- free lists ------------------------------------------------------------------------------ */

void buddy_account(struct zone *z, int64_t frames, enum migrate_type type)
{
    if (type == MIGRATE_ISOLATE)
        return;
    z->free_frames += (uint64_t)frames;
    if (type == MIGRATE_HIGHATOMIC)
        z->free_highatomic += (uint64_t)frames;
}

/* Where the virgin run is part of the list: behind block z->virgin_prev. */
static bool is_virgin(const struct zone *z, enum migrate_type type, unsigned order)
{
    return type == MIGRATE_MOVABLE && order == ORDER_MAX && z->virgin < z->virgin_end;
}

/* list_insert puts a block behind another one of the list, at the head if prev is 0. */
static void list_insert(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                        enum migrate_type type, uint32_t prev)
{
    struct free_list *l = &z->lists[type][order];
    uint32_t me = (uint32_t)(n + 1);
    uint32_t next = prev != 0 ? p->head.frames[prev - 1].link_next : l->head;
    p->head.frames[n] = (struct frame){
        .order = (uint8_t)order,
        .flags = FRAME_F_BUDDY,
        .zone = z->id,
        .nid = z->nid,
        .link_next = next,
        .link_prev = prev,
    };
    *(prev != 0 ? &p->head.frames[prev - 1].link_next : &l->head) = me;
    *(next != 0 ? &p->head.frames[next - 1].link_prev : &l->tail) = me;
    l->blocks_nr++;
    z->orders[type] |= 1u << order;
}

void buddy_list_add(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                    enum migrate_type type, bool to_tail)
{
    list_insert(p, z, n, order, type, to_tail ? z->lists[type][order].tail : 0);
    if (!to_tail && z->virgin_prev == 0 && is_virgin(z, type, order))
        z->virgin_prev = (uint32_t)(n + 1);
}

void buddy_list_remove(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                       enum migrate_type type)
{
    struct free_list *l = &z->lists[type][order];
    struct frame *f = &p->head.frames[n];
    CHECK((f->flags & FRAME_F_BUDDY) && f->order == order); /* I2 */
    uint32_t prev = f->link_prev, next = f->link_next;
    *(prev != 0 ? &p->head.frames[prev - 1].link_next : &l->head) = next;
    *(next != 0 ? &p->head.frames[next - 1].link_prev : &l->tail) = prev;
    if (unlikely(z->virgin_prev == n + 1))
        z->virgin_prev = prev;
    f->flags = 0;
    f->order = 0;
    f->link_next = f->link_prev = 0;
    if (--l->blocks_nr == 0 && !is_virgin(z, type, order))
        z->orders[type] &= ~(1u << order);
}

uint64_t buddy_first(const struct zone *z, enum migrate_type type, unsigned order)
{
    uint32_t head = z->lists[type][order].head;
    if (z->virgin_prev == 0 && is_virgin(z, type, order))
        return z->virgin;
    return head != 0 ? head - 1 : NO_BLOCK;
}

/* remove_first takes the block that buddy_first named off its list or out of the virgin run. */
static void remove_first(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                         enum migrate_type type)
{
    if (n != z->virgin || !is_virgin(z, type, order)) {
        buddy_list_remove(p, z, n, order, type);
        return;
    }
    z->virgin += BLOCK_MAX;
    if (z->virgin == z->virgin_end && z->lists[type][order].blocks_nr == 0)
        z->orders[type] &= ~(1u << ORDER_MAX);
}

/* The run keeps its place in the list: blocks below it go before it, blocks above it behind. */
void buddy_touch(struct phys *p, struct zone *z, uint64_t first, uint64_t end)
{
    if (first >= z->virgin_end || end <= z->virgin)
        return;
    first = max_u64(align_down(first, BLOCK_MAX), z->virgin);
    end = min_u64(align_up(end, BLOCK_MAX), z->virgin_end);
    if (z->virgin_end - first < end - z->virgin) {
        for (; z->virgin_end > first; z->virgin_end -= BLOCK_MAX)
            list_insert(p, z, z->virgin_end - BLOCK_MAX, ORDER_MAX, MIGRATE_MOVABLE,
                        z->virgin_prev);
        return;
    }
    for (; z->virgin < end; z->virgin += BLOCK_MAX) {
        list_insert(p, z, z->virgin, ORDER_MAX, MIGRATE_MOVABLE, z->virgin_prev);
        z->virgin_prev = (uint32_t)(z->virgin + 1);
    }
}

/* -- boot ------------------------------------------------------------------------------------ */

/* add_pieces puts [first, end), without a whole largest block inside, on the lists as the largest
 * aligned blocks, from the top down so that the heads have the lowest addresses. */
static void add_pieces(struct phys *p, struct zone *z, uint64_t first, uint64_t end)
{
    while (end > first) {
        unsigned order = log2_floor(end - first);
        unsigned aligned = (unsigned)__builtin_ctzll(end);
        order = aligned < order ? aligned : order;
        end -= BIT(order);
        buddy_list_add(p, z, end, order, block_type(p, end), false);
    }
}

void buddy_add_range(struct phys *p, struct zone *z)
{
    uint64_t lo = align_up(z->usable_first, BLOCK_MAX), hi = align_down(z->usable_end, BLOCK_MAX);
    z->free_frames = z->managed;
    p->nodes[z->nid].owned[FRAME_FREE] += z->free_frames;
    z->virgin = z->virgin_end = z->usable_end;
    if (lo > hi || z->free_frames == 0) {
        add_pieces(p, z, z->usable_first, z->usable_end);
        return;
    }
    z->virgin = lo;
    z->virgin_end = hi;
    if (lo < hi)
        z->orders[MIGRATE_MOVABLE] |= 1u << ORDER_MAX;
    add_pieces(p, z, hi, z->usable_end);
    add_pieces(p, z, z->usable_first, lo);
}

/* -- allocation ------------------------------------------------------------------------------ */

uint64_t buddy_take(struct phys *p, struct zone *z, unsigned have, unsigned order,
                    enum migrate_type from, enum migrate_type to)
{
    uint64_t n = buddy_first(z, from, have);
    remove_first(p, z, n, have, from);
    buddy_account(z, -(int64_t)BIT(have), from);
    if (to != from)
        block_set_range(p, z, n, have, to);
    uint64_t back = BIT(have) - BIT(order);
    while (have > order) {
        have--;
        buddy_list_add(p, z, n + BIT(have), have, to, false);
    }
    buddy_account(z, (int64_t)back, to);
    return n;
}

uint64_t buddy_smallest(struct phys *p, struct zone *z, unsigned order, enum migrate_type type)
{
    uint32_t fit = z->orders[type] >> order;
    if (fit == 0)
        return NO_BLOCK;
    return buddy_take(p, z, order + (unsigned)__builtin_ctz(fit), order, type, type);
}

/* -- freeing --------------------------------------------------------------------------------- */

static inline bool is_free_block(const struct phys *p, uint64_t n, unsigned order)
{
    const struct frame *f = &p->head.frames[n];
    return (f->flags & FRAME_F_BUDDY) && f->order == order;
}

/* merge_likely: the block that n and its buddy would make has a free buddy itself, so leave n at the
 * tail where it may be found whole later. */
static bool merge_likely(const struct phys *p, uint64_t n, unsigned order)
{
    if (order >= ORDER_MAX - 1)
        return false;
    uint64_t above = n & ~BIT(order);
    return is_free_block(p, above ^ BIT(order + 1), order + 1);
}

/* may_merge: pageblocks keep to themselves unless both types have fallbacks. */
static bool may_merge(const struct phys *p, uint64_t buddy, unsigned order, enum migrate_type type)
{
    if (!is_free_block(p, buddy, order))
        return false;
    if (order < PAGEBLOCK_ORDER)
        return true;
    enum migrate_type other = block_type(p, buddy);
    return other == type || (type_mergeable(type) && type_mergeable(other));
}

/* drop_contents: bytes of a pageblock that is free as a whole go back to the host, when it becomes
 * so: `from` is the order freed, `order` what it merged to. */
static void drop_contents(struct phys *p, uint64_t n, unsigned from, unsigned order)
{
    if (from >= PAGEBLOCK_ORDER)
        contents_drop(p, n, from);
    else if (order >= PAGEBLOCK_ORDER)
        contents_drop(p, align_down(n, PAGEBLOCK_FRAMES), PAGEBLOCK_ORDER);
}

static inline void free_one(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                            enum migrate_type type, bool to_tail)
{
    uint64_t freed = n;
    unsigned from = order;
    buddy_account(z, (int64_t)BIT(order), type);
    for (; order < ORDER_MAX; order++) {
        uint64_t buddy = n ^ BIT(order);
        if (!may_merge(p, buddy, order, type))
            break;
        enum migrate_type other = order < PAGEBLOCK_ORDER ? type : block_type(p, buddy);
        buddy_list_remove(p, z, buddy, order, other);
        if (other != type)
            block_set_range(p, z, buddy, order, type); /* so that its halves go to one type */
        n &= ~BIT(order);
    }
    buddy_list_add(p, z, n, order, type, to_tail || merge_likely(p, n, order));
    if (p->bytes != NULL)
        drop_contents(p, freed, from, order);
}

void buddy_free_one(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                    enum migrate_type type)
{
    free_one(p, z, n, order, type, false);
}

void buddy_remerge(struct phys *p, struct zone *z, uint64_t n)
{
    enum migrate_type type = block_type(p, n);
    buddy_list_remove(p, z, n, PAGEBLOCK_ORDER, type);
    buddy_account(z, -(int64_t)PAGEBLOCK_FRAMES, type);
    free_one(p, z, n, PAGEBLOCK_ORDER, type, true);
}

bool buddy_is_free(const struct phys *p, uint64_t n, unsigned order)
{
    return is_free_block(p, n, order);
}

void buddy_free(struct phys *p, struct zone *z, uint64_t n, unsigned order)
{
    unsigned piece = order < PAGEBLOCK_ORDER ? order : PAGEBLOCK_ORDER;
    for (uint64_t end = n + BIT(order); n < end; n += BIT(piece))
        buddy_free_one(p, z, n, piece, block_type(p, n));
}
