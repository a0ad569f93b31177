/* fallback.c: what an allocation does when its migrate type has no free block: claim a pageblock of
 * another type, or steal from it; and the reserve for high-order atomic requests.
 *
 *   rmqueue ─► own lists ─► claim: largest block of another type first; the whole pageblock changes
 *                    │             its type if enough of it is free or alike (the zone is boosted)
 *                    └───► steal: smallest block of another type, the pageblock stays as it is
 *
 * A batch remembers what failed (enum rmqueue_mode): after a steal it goes on stealing.
 *
 * Source: Linux 6.18 mm/page_alloc.c (fallbacks, find_suitable_fallback, should_try_claim_block,
 * try_to_claim_block, __rmqueue_claim, __rmqueue_steal, __rmqueue, boost_watermark,
 * reserve_highatomic_pageblock, unreserve_highatomic_pageblock).
 */
#include "phys/phys_int.h"

#define HALF_BLOCK (PAGEBLOCK_FRAMES / 2)

static const uint8_t fallbacks[MIGRATE_PCPTYPES][MIGRATE_PCPTYPES - 1] = {
    [MIGRATE_UNMOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE},
    [MIGRATE_MOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE},
    [MIGRATE_RECLAIMABLE] = {MIGRATE_UNMOVABLE, MIGRATE_MOVABLE},
};

/* find_fallback returns the type to fall back to at exactly this order, or -1. */
static int find_fallback(const struct zone *z, unsigned order, enum migrate_type type)
{
    for (unsigned i = 0; i < MIGRATE_PCPTYPES - 1; i++)
        if (z->orders[fallbacks[type][i]] >> order & 1)
            return fallbacks[type][i];
    return -1;
}

/* Small movable requests do not claim: the block would be polluted for little. */
static bool should_try_claim(unsigned order, enum migrate_type type)
{
    return order >= PAGEBLOCK_ORDER / 2 || type != MIGRATE_MOVABLE;
}

static void boost_watermark(const struct phys *p, struct zone *z, unsigned flags)
{
    uint64_t factor = p->vm.watermark_boost_factor;
    if (factor == 0 || 4 * PAGEBLOCK_FRAMES > z->managed)
        return;
    uint64_t high = z->wmark[WMARK_HIGH];
    uint64_t most = high / 10000 * factor + high % 10000 * factor / 10000;
    if (most == 0)
        return;
    z->boost = min_u64(z->boost + PAGEBLOCK_FRAMES, max_u64(most, PAGEBLOCK_FRAMES));
    z->boosted |= !(flags & PHYS_NO_KSWAPD);
}

/* Frames that could be moved away: those on the LRU lists. A large folio's flag is its head's. */
static bool is_movable(const struct phys *p, uint64_t n)
{
    const struct frame *f = &p->head.frames[n];
    if (f->flags & FRAME_F_TAIL)
        f = &p->head.frames[align_down(n, BIT(f->order))];
    return f->flags & FRAME_F_LRU;
}

static void count_block(const struct phys *p, uint64_t first, uint64_t *ret_free,
                        uint64_t *ret_movable)
{
    *ret_free = *ret_movable = 0;
    for (uint64_t n = first; n < first + PAGEBLOCK_FRAMES;) {
        const struct frame *f = &p->head.frames[n];
        uint64_t step = f->flags & FRAME_F_BUDDY ? BIT(f->order) : 1;
        *ret_free += f->flags & FRAME_F_BUDDY ? step : 0;
        *ret_movable += is_movable(p, n);
        n += step;
    }
}

/* try_to_claim looks at the pageblock of free block n of another type (`from`). */
static uint64_t try_to_claim(struct phys *p, struct zone *z, uint64_t n, unsigned have,
                             unsigned order, enum migrate_type type, enum migrate_type from,
                             unsigned flags)
{
    uint64_t first, free, movable, alike;
    if (have >= PAGEBLOCK_ORDER)
        return buddy_take(p, z, have, order, from, type);
    boost_watermark(p, z, flags);
    if (!block_bounds(z, n, &first))
        return NO_BLOCK;
    count_block(p, first, &free, &movable);
    if (type == MIGRATE_MOVABLE)
        alike = movable;
    else
        alike = from == MIGRATE_MOVABLE ? PAGEBLOCK_FRAMES - (free + movable) : 0;
    if (free + alike < HALF_BLOCK)
        return NO_BLOCK;
    block_move(p, z, first, from, type);
    return buddy_smallest(p, z, order, type);
}

static uint64_t rmqueue_claim(struct phys *p, struct zone *z, unsigned order,
                              enum migrate_type type, unsigned flags)
{
    bool whole = order < PAGEBLOCK_ORDER && (flags & PHYS_NOFRAGMENT);
    unsigned least = whole ? PAGEBLOCK_ORDER : order;
    for (unsigned have = ORDER_MAX + 1; have-- > least;) {
        if (!should_try_claim(have, type))
            break;
        int from = find_fallback(z, have, type);
        if (from < 0)
            continue;
        uint64_t n = buddy_first(z, (enum migrate_type)from, have);
        n = try_to_claim(p, z, n, have, order, type, (enum migrate_type)from, flags);
        if (n != NO_BLOCK)
            return n;
    }
    return NO_BLOCK;
}

static uint64_t rmqueue_steal(struct phys *p, struct zone *z, unsigned order,
                              enum migrate_type type)
{
    for (unsigned have = order; have <= ORDER_MAX; have++) {
        int from = find_fallback(z, have, type);
        if (from >= 0)
            return buddy_take(p, z, have, order, (enum migrate_type)from, (enum migrate_type)from);
    }
    return NO_BLOCK;
}

uint64_t rmqueue(struct phys *p, struct zone *z, unsigned order, enum migrate_type type,
                 unsigned flags, enum rmqueue_mode *mode)
{
    uint64_t n = NO_BLOCK;
    if (*mode == RMQUEUE_NORMAL)
        n = buddy_smallest(p, z, order, type);
    if (n == NO_BLOCK && *mode <= RMQUEUE_CLAIM) {
        n = rmqueue_claim(p, z, order, type, flags);
        *mode = n != NO_BLOCK ? RMQUEUE_NORMAL : *mode;
    }
    if (n == NO_BLOCK && !(flags & PHYS_NOFRAGMENT)) {
        n = rmqueue_steal(p, z, order, type);
        *mode = n != NO_BLOCK ? RMQUEUE_STEAL : *mode;
    }
    return n;
}

/* -- the reserve for high-order atomic requests ---------------------------------------------- */

void reserve_highatomic(struct phys *p, struct zone *z, uint64_t n, unsigned order)
{
    uint64_t first, hundredth = z->managed / 100;
    uint64_t most = align_up(hundredth, PAGEBLOCK_FRAMES);
    enum migrate_type type = block_type(p, n);
    if (hundredth < PAGEBLOCK_FRAMES || z->reserved_highatomic >= most || !type_mergeable(type))
        return;
    if (order >= PAGEBLOCK_ORDER) {
        block_set_range(p, z, n, order, MIGRATE_HIGHATOMIC);
        z->reserved_highatomic += BIT(order);
    } else if (block_bounds(z, n, &first)) {
        block_move(p, z, first, type, MIGRATE_HIGHATOMIC);
        z->reserved_highatomic += PAGEBLOCK_FRAMES;
    }
}

/* release_block turns the pageblocks of a free block of the reserve to `type`. */
static bool release_block(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                          enum migrate_type type)
{
    uint64_t first;
    if (order < PAGEBLOCK_ORDER)
        return block_bounds(z, n, &first) && block_move(p, z, first, MIGRATE_HIGHATOMIC, type) > 0;
    buddy_list_remove(p, z, n, order, MIGRATE_HIGHATOMIC);
    buddy_account(z, -(int64_t)BIT(order), MIGRATE_HIGHATOMIC);
    block_set_range(p, z, n, order, type);
    buddy_list_add(p, z, n, order, type, true);
    buddy_account(z, (int64_t)BIT(order), type);
    return true;
}

bool unreserve_highatomic(struct phys *p, struct zone *z, enum migrate_type type, bool force)
{
    if (!force && z->reserved_highatomic <= PAGEBLOCK_FRAMES)
        return false;
    for (unsigned o = 0; o < PHYS_ORDERS; o++) {
        uint64_t n = buddy_first(z, MIGRATE_HIGHATOMIC, o);
        if (n == NO_BLOCK)
            continue;
        uint64_t size = max_u64(PAGEBLOCK_FRAMES, BIT(o));
        z->reserved_highatomic -= min_u64(size, z->reserved_highatomic);
        if (release_block(p, z, n, o, type))
            return true;
    }
    return false;
}
