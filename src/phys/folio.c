/* folio.c: looking at blocks of frames, taking free ones out, and splitting allocated ones: what
 * compaction, migration and huge pages need.
 *
 *   split of order 2 to 0:   [H T T T]  ->  [H][H][H][H]
 *
 * Source: Linux 6.18 mm/page_alloc.c (__isolate_free_page, alloc_contig_range), mm/huge_memory.c
 * (__split_folio_to_order).
 */
#include "phys/phys_int.h"

#include <errno.h>

/* What the pieces of a split folio inherit: page flags of __split_folio_to_order. */
#define SPLIT_FLAGS                                                                                \
    (FRAME_F_DIRTY | FRAME_F_ACTIVE | FRAME_F_REFERENCED | FRAME_F_UNEVICTABLE | FRAME_F_MLOCKED | \
     FRAME_F_SWAPBACKED | FRAME_F_SWAPCACHE | FRAME_F_WORKINGSET)

static bool is_boot(const struct phys *p, uint64_t n)
{
    for (unsigned i = 0; i < p->boot_nr; i++)
        if (n >= p->boot[i].first && n < p->boot[i].end)
            return true;
    return false;
}

static bool is_virgin(const struct phys *p, uint64_t n)
{
    const struct node *node = node_of(p, n);
    for (unsigned i = 0; i < ZONE_NR; i++)
        if (n >= node->zones[i].virgin && n < node->zones[i].virgin_end)
            return true;
    return false;
}

/* free_head finds the free block around a free frame; it has one unless a list is damaged. */
static uint64_t free_head(const struct phys *p, uint64_t n)
{
    for (unsigned o = 0; o < PHYS_ORDERS; o++) {
        uint64_t head = align_down(n, BIT(o));
        const struct frame *f = &p->head.frames[head];
        if ((f->flags & (FRAME_F_BUDDY | FRAME_F_PCP)) && n < head + BIT(f->order))
            return head;
    }
    ASSERT(!"a free frame lies in no block"); /* I2 */
    return n;
}

void phys_block_at(const struct phys *p, pfn n, struct phys_block *ret)
{
    const struct frame *f = &p->head.frames[n.v];
    CHECK(n.v < p->head.frames_nr);
    *ret = (struct phys_block){.first = n, .type = block_type(p, n.v)};
    if (is_boot(p, n.v)) {
        ret->state = PHYS_BLOCK_BOOT;
    } else if (is_virgin(p, n.v)) {
        ret->first.v = align_down(n.v, BLOCK_MAX);
        ret->order = ORDER_MAX;
        ret->state = PHYS_BLOCK_FREE;
    } else if (f->owner == FRAME_FREE) {
        ret->first.v = free_head(p, n.v);
        ret->order = p->head.frames[ret->first.v].order;
        bool listed = p->head.frames[ret->first.v].flags & FRAME_F_PCP;
        ret->state = listed ? PHYS_BLOCK_PCP : PHYS_BLOCK_FREE;
    } else {
        ret->order = f->order;
        ret->first.v = align_down(n.v, BIT(f->order));
        ret->state = PHYS_BLOCK_USED;
    }
}

/* -- taking free blocks ---------------------------------------------------------------------- */

int phys_take_free(struct phys *p, pfn head, enum frame_owner owner, unsigned *ret_order)
{
    struct phys_block b;
    phys_block_at(p, head, &b);
    if (b.state != PHYS_BLOCK_FREE || b.first.v != head.v)
        return -EBUSY;
    struct node *node = node_of(p, head.v);
    struct zone *z = node->zones;
    while (head.v >= z->end)
        z++;
    uint64_t mark = z->wmark[WMARK_MIN] + BIT(b.order);
    if (b.type != MIGRATE_ISOLATE && !zone_watermark_ok(z, 0, mark, 0, 0))
        return -ENOMEM;
    buddy_touch(p, z, head.v, head.v + BIT(b.order));
    buddy_list_remove(p, z, head.v, b.order, b.type);
    buddy_account(z, -(int64_t)BIT(b.order), b.type);
    for (uint64_t i = 0; b.order >= PAGEBLOCK_ORDER - 1 && i < BIT(b.order); i += PAGEBLOCK_FRAMES)
        if (type_mergeable(block_type(p, head.v + i)))
            phys_set_pageblock_type(p, (pfn){head.v + i}, MIGRATE_MOVABLE);
    frames_own(p, z, head.v, b.order, owner);
    AUDIT(phys_audit_at_times(p));
    *ret_order = b.order;
    return 0;
}

/* -- ranges larger than the largest block ---------------------------------------------------- */

/* is_free_range: do free blocks, and nothing else, make up [n, end)? Both are multiples of 4 MiB. */
static bool is_free_range(const struct phys *p, uint64_t n, uint64_t end)
{
    struct phys_block b = {.state = PHYS_BLOCK_FREE};
    for (; n < end && b.state == PHYS_BLOCK_FREE; n += BIT(b.order))
        phys_block_at(p, (pfn){n}, &b);
    return b.state == PHYS_BLOCK_FREE;
}

static void take_range(struct phys *p, struct zone *z, uint64_t first, unsigned order,
                       enum frame_owner owner)
{
    uint64_t end = first + BIT(order);
    buddy_touch(p, z, first, end);
    for (uint64_t n = first; n < end;) {
        unsigned o = p->head.frames[n].order;
        enum migrate_type type = block_type(p, n);
        buddy_list_remove(p, z, n, o, type);
        buddy_account(z, -(int64_t)BIT(o), type);
        n += BIT(o);
    }
    frames_own(p, z, first, order, owner);
}

/* contig_in_zone takes the lowest free range; the zone's ends are not part of one. */
static bool contig_in_zone(struct phys *p, struct zone *z, unsigned order, enum frame_owner owner,
                           pfn *ret)
{
    uint64_t n = align_up(z->first, BIT(order));
    for (; n + BIT(order) <= z->end; n += BIT(order))
        if (is_free_range(p, n, n + BIT(order))) {
            take_range(p, z, n, order, owner);
            *ret = (pfn){n};
            return true;
        }
    return false;
}

int phys_alloc_contig(struct phys *p, unsigned order, unsigned nid, uint64_t nodes,
                      enum frame_owner owner, pfn *ret)
{
    CHECK(order > ORDER_MAX && order <= PHYS_CONTIG_ORDER && owner != FRAME_FREE);
    phys_drain_all(p);
    for (unsigned i = 0; i < p->nodes_nr; i++) {
        struct node *node = &p->nodes[p->nodes[nid].fallback[i]];
        bool allowed = nodes == 0 || (nodes >> (node - p->nodes) & 1);
        for (unsigned id = ZONE_NR; allowed && id-- > 0;)
            if (contig_in_zone(p, &node->zones[id], order, owner, ret)) {
                AUDIT(phys_audit_at_times(p));
                return 0;
            }
    }
    return -ENOMEM;
}

/* -- splitting ------------------------------------------------------------------------------- */

void phys_split_folio(struct phys *p, pfn head, unsigned new_order)
{
    struct frame *f = phys_frame(p, head);
    unsigned order = f->order;
    CHECK((f->flags & FRAME_F_HEAD) && new_order <= order);
    uint32_t inherit = f->flags & SPLIT_FLAGS;
    for (uint64_t i = 0; i < BIT(order); i++) {
        bool heads = i % BIT(new_order) == 0;
        f[i].order = (uint8_t)new_order;
        if (i == 0 || !heads)
            continue;
        f[i].flags = (f[i].flags & ~FRAME_F_TAIL) | FRAME_F_HEAD | inherit;
        f[i].index = f[0].index + i;
        f[i].mapping = f[0].mapping;
        f[i].private = f[0].flags & FRAME_F_SWAPCACHE ? f[0].private + (uint32_t)i : 0;
    }
    AUDIT(phys_audit_at_times(p));
}
