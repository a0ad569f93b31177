/* audit.c: does the physical memory hold its invariants? Looks at every record ever used: once by
 * address, once along the free lists, and compares the two with the counters.
 *
 * The numbers returned are those of phys.h:
 *   1 a frame without or with two owners, or owner counters that differ from the records
 *   2 a free block misplaced, unmerged, or not in exactly one list
 *   3 a zone's count of free frames is wrong
 *   4 bytes on a frame that is no table, or a table without
 *   5 a free block on the list of a type that its pageblock has not
 *   6 a per-CPU list, its count or a frame on it is wrong
 *   7 pageblocks miscounted, or a reserve without them
 *   8 a tail without a head
 */
#include "phys/phys_int.h"

#include <string.h>

/* What the records say. */
struct tally {
    uint64_t owned[FRAME_OWNER_NR];              /* frames of each owner */
    uint64_t blocks[MIGRATE_TYPES][PHYS_ORDERS]; /* free blocks of the zone under audit */
    uint64_t listed;                             /* frames on per-CPU lists of that zone */
};

/* -- records --------------------------------------------------------------------------------- */

/* Whole pageblocks may stay apart: a change of type does not merge them. */
static bool unmerged(const struct phys *p, uint64_t n, unsigned order)
{
    const struct frame *buddy = &p->head.frames[n ^ BIT(order)];
    return order < PAGEBLOCK_ORDER && (buddy->flags & FRAME_F_BUDDY) && buddy->order == order;
}

/* audit_free_block checks the free block at n, of the buddy allocator or of a per-CPU list. */
static int audit_free_block(struct phys *p, uint64_t n, uint64_t end, struct tally *t)
{
    const struct frame *f = &p->head.frames[n];
    bool pcp = f->flags & FRAME_F_PCP;
    if (f->order > ORDER_MAX || (n & (BIT(f->order) - 1)) != 0 || n + BIT(f->order) > end)
        return pcp ? 6 : 2;
    if (pcp ? !pcp_allowed(f->order) : unmerged(p, n, f->order))
        return pcp ? 6 : 2;
    for (uint64_t i = 0; i < BIT(f->order); i++)
        if (f[i].owner != FRAME_FREE || (i > 0 && f[i].flags != 0))
            return 1;
    for (uint64_t i = 0; !pcp && i < BIT(f->order); i += PAGEBLOCK_FRAMES)
        if (block_type(p, n + i) != block_type(p, n))
            return 5;
    t->owned[FRAME_FREE] += BIT(f->order);
    if (pcp)
        t->listed += BIT(f->order);
    else
        t->blocks[block_type(p, n)][f->order]++;
    return 0;
}

static int audit_used_frame(const struct frame *head, uint64_t i, struct tally *t)
{
    const struct frame *f = &head[i];
    bool heads = f->flags & (FRAME_F_HEAD | FRAME_F_BUDDY | FRAME_F_PCP);
    bool table = f->owner == FRAME_PAGE_TABLE;
    if (f->owner == FRAME_FREE || f->owner >= FRAME_OWNER_NR || (i > 0 && heads))
        return 1;
    if (table && (f->bytes == NULL || (uintptr_t)f->bytes % PAGE_SIZE != 0))
        return 4;
    if (f->order != head->order || !(f->flags & FRAME_F_TAIL) != (i == 0))
        return 8;
    t->owned[f->owner]++;
    return 0;
}

static int audit_used_block(struct phys *p, uint64_t n, uint64_t end, struct tally *t)
{
    const struct frame *f = &p->head.frames[n];
    int broken = 0;
    if (!(f->flags & FRAME_F_HEAD))
        return f->flags & FRAME_F_TAIL ? 8 : 1;
    if (f->order > PHYS_CONTIG_ORDER || n + BIT(f->order) > end)
        return 1;
    for (uint64_t i = 0; i < BIT(f->order) && broken == 0; i++)
        broken = audit_used_frame(f, i, t);
    return broken;
}

/* audit_records walks the used records [first, end) block by block. */
static int audit_records(struct phys *p, uint64_t first, uint64_t end, struct tally *t)
{
    uint64_t n = first;
    while (n < end) {
        const struct frame *f = &p->head.frames[n];
        bool is_free = f->flags & (FRAME_F_BUDDY | FRAME_F_PCP);
        int broken = is_free ? audit_free_block(p, n, end, t) : audit_used_block(p, n, end, t);
        if (broken != 0)
            return broken;
        n += BIT(f->order);
    }
    return 0;
}

/* -- lists ----------------------------------------------------------------------------------- */

/* audit_list checks that a list has exactly the free blocks of its order and type, linked both ways.
 * The loop ends: it stops after as many steps as there are blocks. */
static int audit_list(struct phys *p, const struct zone *z, enum migrate_type type, unsigned order,
                      uint64_t blocks)
{
    const struct free_list *l = &z->lists[type][order];
    uint32_t prev = 0, at = l->head;
    uint64_t seen = 0;
    bool placed = false; /* the virgin run's place */
    for (; at != 0 && seen <= blocks; seen++) {
        const struct frame *f = &p->head.frames[at - 1];
        bool here = at - 1 >= z->usable_first && at - 1 < z->usable_end;
        if (!here || !(f->flags & FRAME_F_BUDDY) || f->order != order || f->link_prev != prev)
            return 2;
        if (block_type(p, at - 1) != type)
            return 5;
        placed |= at == z->virgin_prev;
        prev = at;
        at = f->link_next;
    }
    bool virgin = type == MIGRATE_MOVABLE && order == ORDER_MAX && z->virgin < z->virgin_end;
    if (virgin && z->virgin_prev != 0 && !placed)
        return 2;
    bool bit = z->orders[type] >> order & 1;
    bool good = seen == blocks && l->blocks_nr == blocks && l->tail == prev;
    return good && bit == (blocks > 0 || virgin) ? 0 : 2;
}

static unsigned pcp_list_order(unsigned list)
{
    return list < PCP_ORDERS * MIGRATE_PCPTYPES ? list / MIGRATE_PCPTYPES : PAGEBLOCK_ORDER;
}

/* audit_pcp counts the frames on one CPU's lists of a zone into *seen. */
static int audit_pcp(struct phys *p, const struct zone *z, const struct pcp *c, uint64_t *seen)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < PCP_LISTS; i++) {
        uint32_t prev = 0, at = c->lists[i].head;
        for (; at != 0 && count <= c->count; at = p->head.frames[at - 1].link_next) {
            const struct frame *f = &p->head.frames[at - 1];
            bool here = at - 1 >= z->usable_first && at - 1 < z->usable_end;
            if (!here || !(f->flags & FRAME_F_PCP) || f->order != pcp_list_order(i) ||
                f->link_prev != prev)
                return 6;
            count += BIT(f->order);
            prev = at;
        }
        if (c->lists[i].tail != prev)
            return 6;
    }
    *seen += count;
    return count == c->count ? 0 : 6;
}

/* -- zones and nodes ------------------------------------------------------------------------- */

/* Only pageblocks that memory was used of are looked at; the virgin run is movable throughout. */
static int audit_types(struct phys *p, const struct zone *z)
{
    uint64_t seen[MIGRATE_TYPES] = {0}, n = align_down(z->first, PAGEBLOCK_FRAMES);
    while (z->first < z->end && n < z->end) {
        bool skip = n >= z->virgin && n < z->virgin_end;
        uint64_t next = skip ? z->virgin_end : n + PAGEBLOCK_FRAMES;
        seen[skip ? MIGRATE_MOVABLE : block_type(p, n)] += (next - n) / PAGEBLOCK_FRAMES;
        n = next;
    }
    bool reserve = seen[MIGRATE_HIGHATOMIC] == 0 || z->reserved_highatomic > 0;
    return memcmp(seen, z->pageblocks, sizeof(seen)) == 0 && reserve ? 0 : 7;
}

static int audit_free(struct phys *p, const struct zone *z, const struct tally *t)
{
    uint64_t free_frames = z->virgin_end - z->virgin, atomic = 0;
    for (unsigned i = 0; i < MIGRATE_TYPES; i++)
        for (unsigned o = 0; o < PHYS_ORDERS; o++) {
            int broken = audit_list(p, z, (enum migrate_type)i, o, t->blocks[i][o]);
            if (broken != 0)
                return broken;
            free_frames += i != MIGRATE_ISOLATE ? t->blocks[i][o] << o : 0;
            atomic += i == MIGRATE_HIGHATOMIC ? t->blocks[i][o] << o : 0;
        }
    return free_frames == z->free_frames && atomic == z->free_highatomic ? 0 : 3;
}

static int audit_zone(struct phys *p, const struct zone *z, struct tally *t)
{
    uint64_t listed = 0;
    memset(t->blocks, 0, sizeof(t->blocks));
    t->listed = 0;
    int broken = audit_records(p, z->usable_first, z->virgin, t);
    if (broken == 0)
        broken = audit_records(p, z->virgin_end, z->usable_end, t);
    t->owned[FRAME_FREE] += z->virgin_end - z->virgin;
    if (broken == 0)
        broken = audit_free(p, z, t);
    for (unsigned c = 0; c < p->cpus && broken == 0; c++)
        broken = audit_pcp(p, z, &z->pcp[c], &listed);
    if (broken == 0)
        broken = audit_types(p, z);
    return broken == 0 && listed != t->listed ? 6 : broken;
}

/* audit_node compares the records of a node with its owner counters. */
static int audit_node(struct phys *p, const struct node *node)
{
    struct tally t = {0};
    uint64_t frames = 0;
    for (unsigned i = 0; i < p->boot_nr; i++)
        if (p->boot[i].first >= node->first && p->boot[i].first < node->end)
            t.owned[p->boot[i].owner] += p->boot[i].end - p->boot[i].first;
    for (unsigned i = 0; i < ZONE_NR; i++) {
        int broken = audit_zone(p, &node->zones[i], &t);
        if (broken != 0)
            return broken;
    }
    for (unsigned i = 0; i < FRAME_OWNER_NR; i++)
        frames += t.owned[i];
    bool same = memcmp(t.owned, node->owned, sizeof(t.owned)) == 0;
    return same && frames == node->end - node->first ? 0 : 1;
}

int phys_audit(struct phys *p)
{
    for (unsigned n = 0; n < p->nodes_nr; n++) {
        int broken = audit_node(p, &p->nodes[n]);
        if (broken != 0)
            return broken;
    }
    return p->tables.live == phys_owner_frames(p, FRAME_PAGE_TABLE) + p->boot_tables ? 0 : 4;
}

void phys_audit_at_times(struct phys *p)
{
    if (++p->changes % 4096 == 0)
        ASSERT(phys_audit(p) == 0);
}
