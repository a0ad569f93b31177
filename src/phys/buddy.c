/* buddy.c: the buddy allocator: free blocks of 2^order frames in one list per order and zone.
 *
 *   alloc order 1 from a block of order 3:      free a at order 0, its buddy b free too:
 *     [       8       ]                           [a][b][  2  ]   a + b -> order 1
 *     [ 2 | 2 |   4   ]                           [  2 ][  2  ]   their union -> order 2
 *      ^taken  ^lists                             [     4     ]   goes on the list of order 2
 *
 * Memory nobody used yet (virgin) stands for a run of largest blocks at the tail of its zone's list
 * of that order, lowest address first. Taking one means moving the start of the run. Such blocks
 * need no record and no merging: nothing is larger. So the answers are those of an allocator that
 * put every block on its lists at boot, and unused memory costs nothing.
 *
 * Invariants: I2 and I3 of phys.h; a bit of zone.orders says that list (or the virgin run) has
 * blocks.
 *
 * Source: Linux mm/page_alloc.c: __rmqueue_smallest (smallest order that fits), expand (lower half
 * kept, upper halves to the head of their lists), __free_one_page (merging; to the tail when
 * buddy_merge_likely, else to the head), get_page_from_freelist (zones from high to low).
 */
#include "phys/phys_int.h"

#include <errno.h>

static const enum zone_id zone_top[] = {
    [GFP_DMA] = ZONE_DMA,
    [GFP_DMA32] = ZONE_DMA32,
    [GFP_KERNEL] = ZONE_NORMAL,
    [GFP_USER] = ZONE_NORMAL,
};
static const enum stat_id zone_stat[ZONE_NR] = {
    STAT_pgalloc_dma,
    STAT_pgalloc_dma32,
    STAT_pgalloc_normal,
};

/* -- free lists ------------------------------------------------------------------------------ */

static void list_add(struct phys *p, struct zone *z, uint64_t n, unsigned order, bool to_tail)
{
    struct free_list *l = &z->lists[order];
    uint32_t me = (uint32_t)(n + 1);
    uint32_t prev = to_tail ? l->tail : 0, next = to_tail ? 0 : l->head;
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
    z->orders |= 1u << order;
}

static void list_remove(struct phys *p, struct zone *z, uint64_t n, unsigned order)
{
    struct free_list *l = &z->lists[order];
    struct frame *f = &p->head.frames[n];
    uint32_t prev = f->link_prev, next = f->link_next;
    *(prev != 0 ? &p->head.frames[prev - 1].link_next : &l->head) = next;
    *(next != 0 ? &p->head.frames[next - 1].link_prev : &l->tail) = prev;
    f->flags = 0;
    f->order = 0;
    f->link_next = f->link_prev = 0;
    if (--l->blocks_nr == 0 && (order < ORDER_MAX || z->virgin == z->virgin_end))
        z->orders &= ~(1u << order);
}

/* take_block removes the first block of an order; there is one (zone.orders). */
static uint64_t take_block(struct phys *p, struct zone *z, unsigned order)
{
    struct free_list *l = &z->lists[order];
    if (l->head != 0) {
        uint64_t n = l->head - 1;
        list_remove(p, z, n, order);
        return n;
    }
    CHECK(order == ORDER_MAX && z->virgin < z->virgin_end);
    uint64_t n = z->virgin;
    z->virgin += BLOCK_MAX;
    if (z->virgin == z->virgin_end)
        z->orders &= ~(1u << ORDER_MAX);
    return n;
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
        list_add(p, z, end, order, false);
    }
}

void buddy_add_range(struct phys *p, struct zone *z)
{
    uint64_t lo = align_up(z->usable_first, BLOCK_MAX), hi = align_down(z->usable_end, BLOCK_MAX);
    z->free_frames = z->managed;
    p->nodes[z->nid].owned[FRAME_FREE] += z->free_frames;
    if (lo > hi || z->free_frames == 0) {
        z->virgin = z->virgin_end = z->usable_end;
        add_pieces(p, z, z->usable_first, z->usable_end);
        return;
    }
    z->virgin = lo;
    z->virgin_end = hi;
    if (lo < hi)
        z->orders |= 1u << ORDER_MAX;
    add_pieces(p, z, hi, z->usable_end);
    add_pieces(p, z, z->usable_first, lo);
}

/* -- allocation ------------------------------------------------------------------------------ */

/* own makes the frames of a taken block the owner's. */
static void own(struct phys *p, struct zone *z, uint64_t n, unsigned order, enum frame_owner owner)
{
    for (uint64_t i = 0; i < BIT(order); i++) {
        struct frame *f = &p->head.frames[n + i];
        *f = (struct frame){.owner = (uint8_t)owner, .zone = z->id, .nid = z->nid};
        if (owner == FRAME_PAGE_TABLE)
            f->bytes = table_slab_get(&p->tables);
    }
    p->head.frames[n].order = (uint8_t)order;
    p->head.frames[n].flags = FRAME_F_HEAD;
    p->nodes[z->nid].owned[FRAME_FREE] -= BIT(order);
    p->nodes[z->nid].owned[owner] += BIT(order);
    z->free_frames -= BIT(order);
}

static uint64_t take(struct phys *p, struct zone *z, unsigned order)
{
    unsigned have = order + (unsigned)__builtin_ctz(z->orders >> order);
    uint64_t n = take_block(p, z, have);
    while (have > order) {
        have--;
        list_add(p, z, n + BIT(have), have, false);
    }
    return n;
}

static bool fails_now(struct phys *p)
{
    return p->fail_every != 0 && ++p->fail_count % p->fail_every == 0;
}

/* find_zone returns the first zone with a block large enough: node 0's from the highest allowed
 * down, then those of the next node; NULL if there is none. */
static struct zone *find_zone(const struct phys *p, unsigned order, enum zone_id top)
{
    for (unsigned i = 0; i < p->nodes_nr; i++)
        for (int id = (int)top; id >= 0; id--) {
            struct zone *z = zone_at(p, p->nodes[0].fallback[i], (enum zone_id)id);
            if (z->orders >> order != 0)
                return z;
        }
    return NULL;
}

/* Linux's zone_statistics: by call, not by frame. `first` is the zone it would have liked. */
static void count_numa(struct phys *p, struct zone *z, struct zone *first)
{
    bool hit = z->nid == first->nid, local = z->nid == phys_cpu_node(p, p->cpu);
    p->stats->v[hit ? STAT_numa_hit : STAT_numa_miss]++;
    p->stats->v[local ? STAT_numa_local : STAT_numa_other]++;
    z->numa[hit ? NUMA_HIT : NUMA_MISS]++;
    z->numa[local ? NUMA_LOCAL : NUMA_OTHER]++;
    if (hit)
        return;
    first->numa[NUMA_FOREIGN]++;
    STAT(p->stats, numa_foreign)++;
}

int phys_alloc(struct phys *p, unsigned order, enum phys_gfp gfp, enum frame_owner owner, pfn *ret)
{
    CHECK(owner != FRAME_FREE);
    if (fails_now(p) || order > ORDER_MAX)
        return -ENOMEM;
    struct zone *z = find_zone(p, order, zone_top[gfp]);
    if (z == NULL)
        return -ENOMEM;
    uint64_t n = take(p, z, order);
    own(p, z, n, order, owner);
    p->stats->v[zone_stat[z->id]] += BIT(order);
    count_numa(p, z, zone_at(p, 0, zone_top[gfp]));
    AUDIT(phys_audit_at_times(p));
    *ret = (pfn){n};
    return 0;
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

static void disown(struct phys *p, uint64_t n, unsigned order)
{
    for (uint64_t i = 0; i < BIT(order); i++) {
        struct frame *f = &p->head.frames[n + i];
        CHECK(f->owner != FRAME_FREE); /* I1: freed twice otherwise */
        p->nodes[f->nid].owned[f->owner]--;
        p->nodes[f->nid].owned[FRAME_FREE]++;
        if (f->owner == FRAME_PAGE_TABLE)
            table_slab_put(&p->tables, f->bytes);
        *f = (struct frame){0};
    }
}

void phys_free(struct phys *p, pfn first, unsigned order)
{
    uint64_t n = first.v;
    const struct frame *f = phys_frame(p, first);
    CHECK((f->flags & FRAME_F_HEAD) && f->order == order);
    struct zone *z = zone_at(p, f->nid, (enum zone_id)f->zone);
    disown(p, n, order);
    z->free_frames += BIT(order);
    STAT(p->stats, pgfree) += BIT(order);
    while (order < ORDER_MAX && is_free_block(p, n ^ BIT(order), order)) {
        list_remove(p, z, n ^ BIT(order), order);
        n &= ~BIT(order);
        order++;
    }
    list_add(p, z, n, order, merge_likely(p, n, order));
    AUDIT(phys_audit_at_times(p));
}
