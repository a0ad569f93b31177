/* audit.c: does the physical memory hold its invariants? Looks at every record ever used: once by
 * address, once along the free lists, and compares the two with the counters.
 *
 * The numbers returned are those of phys.h:
 *   1 a frame without or with two owners, or owner counters that differ from the records
 *   2 a free block misplaced, unmerged, or not in exactly one list
 *   3 a zone's count of free frames is wrong
 *   4 bytes on a frame that is no table, or a table without
 */
#include "phys/phys_int.h"

#include <string.h>

/* What the records say. */
struct tally {
    uint64_t owned[FRAME_OWNER_NR]; /* frames of each owner */
    uint64_t blocks[PHYS_ORDERS];   /* free blocks of the zone under audit */
};

/* audit_free_block checks the block at n and counts it. */
static int audit_free_block(struct phys *p, uint64_t n, uint64_t end, struct tally *t)
{
    const struct frame *f = &p->head.frames[n];
    if (f->order > ORDER_MAX || (n & (BIT(f->order) - 1)) != 0 || n + BIT(f->order) > end)
        return 2;
    const struct frame *buddy = &p->head.frames[n ^ BIT(f->order)];
    if (f->order < ORDER_MAX && (buddy->flags & FRAME_F_BUDDY) && buddy->order == f->order)
        return 2;
    for (uint64_t i = 0; i < BIT(f->order); i++)
        if (f[i].owner != FRAME_FREE || (i > 0 && f[i].flags != 0))
            return 1;
    t->owned[FRAME_FREE] += BIT(f->order);
    t->blocks[f->order]++;
    return 0;
}

static int audit_used_block(struct phys *p, uint64_t n, uint64_t end, struct tally *t)
{
    const struct frame *f = &p->head.frames[n];
    if (!(f->flags & FRAME_F_HEAD) || f->order > ORDER_MAX || n + BIT(f->order) > end)
        return 1;
    for (uint64_t i = 0; i < BIT(f->order); i++) {
        bool heads = f[i].flags & (FRAME_F_HEAD | FRAME_F_BUDDY);
        if (f[i].owner == FRAME_FREE || f[i].owner >= FRAME_OWNER_NR || (i > 0 && heads))
            return 1;
        bool table = f[i].owner == FRAME_PAGE_TABLE;
        if (table && (f[i].bytes == NULL || (uintptr_t)f[i].bytes % PAGE_SIZE != 0))
            return 4;
        t->owned[f[i].owner]++;
    }
    return 0;
}

/* audit_records walks the used records [first, end) block by block. */
static int audit_records(struct phys *p, uint64_t first, uint64_t end, struct tally *t)
{
    uint64_t n = first;
    while (n < end) {
        const struct frame *f = &p->head.frames[n];
        bool is_free = f->flags & FRAME_F_BUDDY;
        int broken = is_free ? audit_free_block(p, n, end, t) : audit_used_block(p, n, end, t);
        if (broken != 0)
            return broken;
        n += BIT(f->order);
    }
    return 0;
}

/* audit_list checks that a list has exactly the free blocks of its order, linked both ways. The
 * loop ends: it stops after as many steps as there are blocks. */
static int audit_list(struct phys *p, const struct zone *z, unsigned order, uint64_t blocks)
{
    const struct free_list *l = &z->lists[order];
    uint32_t prev = 0, at = l->head;
    uint64_t seen = 0;
    for (; at != 0 && seen <= blocks; seen++) {
        const struct frame *f = &p->head.frames[at - 1];
        bool here = at - 1 >= z->usable_first && at - 1 < z->usable_end;
        if (!here || !(f->flags & FRAME_F_BUDDY) || f->order != order || f->link_prev != prev)
            return 2;
        prev = at;
        at = f->link_next;
    }
    bool virgin = order == ORDER_MAX && z->virgin < z->virgin_end;
    bool bit = z->orders >> order & 1;
    bool good = seen == blocks && l->blocks_nr == blocks && l->tail == prev;
    return good && bit == (blocks > 0 || virgin) ? 0 : 2;
}

static int audit_zone(struct phys *p, const struct zone *z, struct tally *t)
{
    memset(t->blocks, 0, sizeof(t->blocks));
    int broken = audit_records(p, z->usable_first, z->virgin, t);
    if (broken == 0)
        broken = audit_records(p, z->virgin_end, z->usable_end, t);
    uint64_t virgin = z->virgin_end - z->virgin, free_frames = virgin;
    for (unsigned o = 0; o < PHYS_ORDERS && broken == 0; o++) {
        broken = audit_list(p, z, o, t->blocks[o]);
        free_frames += t->blocks[o] << o;
    }
    t->owned[FRAME_FREE] += virgin;
    if (broken == 0 && free_frames != z->free_frames)
        broken = 3;
    return broken;
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
    return p->tables.live == phys_owner_frames(p, FRAME_PAGE_TABLE) ? 0 : 4;
}

void phys_audit_at_times(struct phys *p)
{
    if (++p->changes % 4096 == 0)
        ASSERT(phys_audit(p) == 0);
}
