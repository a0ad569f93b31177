/* alloc.c: requests: which zone serves one, given the watermarks, and who owns the frames then.
 *
 *   phys_alloc_req ─► get_page_from_freelist: zones of the preferred node high to low, then of the
 *        │              next nodes ─► watermark ─► per-CPU list ─► buddy (own type, claim, steal)
 *        └─ fails ──► kswapd is wanted on the nodes it tried; the caller reclaims and asks again
 *   phys_alloc ─► LOW, then MIN, then everything: for callers that cannot reclaim
 *
 * Source: Linux 6.18 mm/page_alloc.c (get_page_from_freelist, __zone_watermark_ok,
 * zone_watermark_fast, alloc_flags_nofragment, gfp_to_alloc_flags, rmqueue, rmqueue_buddy,
 * zone_statistics, wake_all_kswapds), __free_frozen_pages.
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

/* A request on its way: struct alloc_context of Linux. */
struct context {
    const struct phys_req *r;
    struct node *node;      /* whose fallback order is followed */
    struct zone *preferred; /* first zone of it that the request may use */
    enum zone_id top;       /* highest zone */
    unsigned nodes_nr;      /* nodes of the order that are tried */
    unsigned flags;         /* of the request, with what the mark grants */
};

/* -- watermarks ------------------------------------------------------------------------------ */

/* reserves_mark lowers a mark for those who may use reserves. */
static int64_t reserves_mark(int64_t min, unsigned flags)
{
    if (flags & PHYS_HIGH) {
        min -= min / 2;
        if (flags & PHYS_NON_BLOCK)
            min -= min / 4;
    }
    if (flags & PHYS_OOM_VICTIM)
        min -= min / 2;
    return min;
}

/* A high-order request also needs one block of some type large enough. */
static bool has_block(const struct zone *z, unsigned order, unsigned flags)
{
    for (unsigned t = 0; t < MIGRATE_PCPTYPES; t++)
        if (z->orders[t] >> order != 0)
            return true;
    return (flags & (PHYS_HIGHATOMIC | PHYS_OOM_VICTIM)) && z->orders[MIGRATE_HIGHATOMIC] >> order;
}

bool zone_watermark_ok_free(const struct zone *z, unsigned order, uint64_t mark, unsigned highest,
                            unsigned flags, uint64_t free_frames)
{
    int64_t free = (int64_t)free_frames - (int64_t)(BIT(order) - 1);
    int64_t min = (int64_t)mark;
    if (flags & PHYS_RESERVES)
        min = reserves_mark(min, flags);
    else
        free -= (int64_t)z->free_highatomic;
    if (free <= min + (int64_t)z->reserve[highest])
        return false;
    return order == 0 || has_block(z, order, flags);
}

bool zone_watermark_ok(const struct zone *z, unsigned order, uint64_t mark, unsigned highest,
                       unsigned flags)
{
    return zone_watermark_ok_free(z, order, mark, highest, flags, z->free_frames);
}

/* A boost does not keep order-0 requests with rights to reserves out: kswapd works on it. */
static bool watermark_fast(const struct zone *z, const struct context *c, uint64_t mark)
{
    unsigned order = c->r->order;
    if (zone_watermark_ok(z, order, mark, c->top, c->flags))
        return true;
    bool unboosted =
        order == 0 && (c->flags & PHYS_HIGH) && z->boost != 0 && c->r->mark == PHYS_MARK_MIN;
    return unboosted && zone_watermark_ok(z, order, z->wmark[WMARK_MIN], c->top, c->flags);
}

static bool zone_has_room(struct zone *z, const struct context *c)
{
    static const enum wmark marks[] = {
        [PHYS_MARK_LOW] = WMARK_LOW, [PHYS_MARK_MIN] = WMARK_MIN, [PHYS_MARK_HIGH] = WMARK_HIGH};
    if (!z->below_high) {
        if (watermark_fast(z, c, wmark_pages(z, WMARK_HIGH)))
            return true;
        z->below_high = true;
    }
    return c->r->mark == PHYS_NO_WATERMARKS ||
           watermark_fast(z, c, wmark_pages(z, marks[c->r->mark]));
}

/* -- one zone -------------------------------------------------------------------------------- */

static uint64_t rmqueue_buddy(struct phys *p, struct zone *z, const struct context *c)
{
    enum rmqueue_mode mode = RMQUEUE_NORMAL;
    uint64_t n = NO_BLOCK;
    if (c->flags & PHYS_HIGHATOMIC)
        n = buddy_smallest(p, z, c->r->order, MIGRATE_HIGHATOMIC);
    if (n == NO_BLOCK)
        n = rmqueue(p, z, c->r->order, c->r->type, c->flags, &mode);
    if (n == NO_BLOCK && (c->flags & (PHYS_OOM_VICTIM | PHYS_NON_BLOCK)))
        n = buddy_smallest(p, z, c->r->order, MIGRATE_HIGHATOMIC);
    return n;
}

/* Linux's zone_statistics: by call, not by frame. */
static void count_numa(struct phys *p, struct zone *z, struct zone *preferred)
{
    bool hit = z->nid == preferred->nid, local = z->nid == p->cpu_nid;
    p->stats->v[hit ? STAT_numa_hit : STAT_numa_miss]++;
    p->stats->v[local ? STAT_numa_local : STAT_numa_other]++;
    z->numa[hit ? NUMA_HIT : NUMA_MISS]++;
    z->numa[local ? NUMA_LOCAL : NUMA_OTHER]++;
    if (hit)
        return;
    preferred->numa[NUMA_FOREIGN]++;
    STAT(p->stats, numa_foreign)++;
}

static void want_kswapd(struct phys *p, unsigned nid, unsigned order, enum zone_id highest)
{
    struct node *node = &p->nodes[nid];
    if (!node->kswapd_wanted)
        node->kswapd = (struct phys_kswapd){order, highest};
    node->kswapd.order = order > node->kswapd.order ? order : node->kswapd.order;
    node->kswapd.highest = highest > node->kswapd.highest ? highest : node->kswapd.highest;
    node->kswapd_wanted = true;
    p->head.kswapd_wanted = true;
}

static uint64_t take_from(struct phys *p, struct zone *z, const struct context *c)
{
    uint64_t n = NO_BLOCK;
    unsigned order = c->r->order;
    if (p->pcp_on && pcp_allowed(order))
        n = pcp_alloc(p, z, order, c->r->type, c->flags);
    if (n == NO_BLOCK)
        n = rmqueue_buddy(p, z, c);
    if (n == NO_BLOCK)
        return n;
    z->pcp[p->cpu].touched = true;
    p->stats->v[zone_stat[z->id]] += BIT(order);
    if (p->vm.numa_stat)
        count_numa(p, z, c->preferred);
    if (unlikely(z->boosted) && !(c->flags & PHYS_NO_KSWAPD)) {
        z->boosted = false;
        want_kswapd(p, z->nid, 0, (enum zone_id)z->id);
    }
    return n;
}

/* -- all zones ------------------------------------------------------------------------------- */

/* zone_nth returns zone i of the order in which the request tries them, NULL if the node has not
 * that zone or the request not that node. */
static struct zone *zone_nth(const struct phys *p, const struct context *c, unsigned i)
{
    unsigned nid = c->node->fallback[i / ZONE_NR];
    int id = (int)c->top - (int)(i % ZONE_NR);
    if (id < 0 || (c->r->nodes != 0 && !(c->r->nodes >> nid & 1)))
        return NULL;
    struct zone *z = zone_at(p, nid, (enum zone_id)id);
    return z->end > z->first ? z : NULL;
}

/* Linux's alloc_flags_nofragment: where a request would rather use zone DMA32 than mix types. */
static bool nofragment(const struct phys *p, const struct context *c)
{
    if (p->vm.defrag_mode)
        return c->r->mark != PHYS_NO_WATERMARKS && !(c->r->flags & PHYS_FRAGMENT);
    const struct zone *below = zone_at(p, c->preferred->nid, ZONE_DMA32);
    bool normal = c->preferred->id == ZONE_NORMAL && c->r->mark == PHYS_MARK_LOW;
    return normal && (p->nodes_nr == 1 || below->end > below->first);
}

/* start fills the context; false if the request may use no zone at all. */
static bool start(const struct phys *p, struct context *c)
{
    const struct phys_req *r = c->r;
    unsigned nid = r->nid == PHYS_NID_LOCAL ? p->cpu_nid : r->nid;
    c->node = &p->nodes[nid];
    c->top = zone_top[r->gfp];
    c->nodes_nr = r->flags & PHYS_THISNODE ? 1 : p->nodes_nr;
    c->preferred = NULL;
    for (unsigned i = 0; i < c->nodes_nr * ZONE_NR && c->preferred == NULL; i++)
        c->preferred = zone_nth(p, c, i);
    if (c->preferred == NULL)
        return false;
    c->flags = r->flags;
    if (r->mark == PHYS_MARK_LOW)
        c->flags &= ~PHYS_RESERVES; /* the first attempt has no rights */
    else if (r->order > 0 && (r->flags & PHYS_HIGH) && (r->flags & PHYS_NON_BLOCK))
        c->flags |= PHYS_HIGHATOMIC;
    if (nofragment(p, c))
        c->flags |= PHYS_NOFRAGMENT;
    return true;
}

/* One pass over the zones; *ret_again: to be repeated, mixing types now. */
static uint64_t one_pass(struct phys *p, struct context *c, struct zone **ret_zone, bool *ret_again)
{
    bool keep = (c->flags & PHYS_NOFRAGMENT) && !p->vm.defrag_mode;
    *ret_again = keep;
    for (unsigned i = 0; i < c->nodes_nr * ZONE_NR; i++) {
        struct zone *z = zone_nth(p, c, i);
        if (z == NULL)
            continue;
        if (keep && z->nid != c->preferred->nid)
            return NO_BLOCK; /* locality matters more than fragmentation */
        if (!zone_has_room(z, c))
            continue;
        uint64_t n = take_from(p, z, c);
        if (n != NO_BLOCK) {
            *ret_zone = z;
            return n;
        }
    }
    return NO_BLOCK;
}

static uint64_t get_page_from_freelist(struct phys *p, struct context *c, struct zone **ret_zone)
{
    bool again;
    uint64_t n = one_pass(p, c, ret_zone, &again);
    if (n == NO_BLOCK && again) {
        c->flags &= ~PHYS_NOFRAGMENT;
        n = one_pass(p, c, ret_zone, &again);
    }
    return n;
}

static void wake_all_kswapds(struct phys *p, const struct context *c)
{
    unsigned last = PHYS_NID_LOCAL, order = c->r->order;
    if (p->vm.defrag_mode && order < PAGEBLOCK_ORDER)
        order = PAGEBLOCK_ORDER; /* whole pageblocks are what it keeps free */
    for (unsigned i = 0; i < c->nodes_nr * ZONE_NR; i++) {
        const struct zone *z = zone_nth(p, c, i);
        if (z == NULL || z->managed == 0 || z->nid == last)
            continue;
        want_kswapd(p, z->nid, order, c->top);
        last = z->nid;
    }
}

/* -- ownership ------------------------------------------------------------------------------- */

/* own_more does what a single frame needs not: tails, and bytes for tables (I4). */
static __attribute__((noinline)) void own_more(struct phys *p, struct frame *f, unsigned order)
{
    struct frame tail = f[0];
    tail.flags = FRAME_F_TAIL;
    for (uint64_t i = 1; i < BIT(order); i++)
        f[i] = tail;
    for (uint64_t i = 0; f[0].owner == FRAME_PAGE_TABLE && i < BIT(order); i++)
        f[i].bytes = table_slab_get(&p->tables);
}

void frames_own(struct phys *p, struct zone *z, uint64_t n, unsigned order, enum frame_owner owner)
{
    struct frame *f = &p->head.frames[n];
    struct node *node = &p->nodes[z->nid];
    *f = (struct frame){.owner = (uint8_t)owner,
                        .order = (uint8_t)order,
                        .zone = z->id,
                        .nid = z->nid,
                        .flags = FRAME_F_HEAD};
    if (order > 0 || owner == FRAME_PAGE_TABLE)
        own_more(p, f, order);
    node->owned[FRAME_FREE] -= BIT(order);
    node->owned[owner] += BIT(order);
}

/* disown gives the frames of a block back to nobody and clears all records but the head's, which the
 * free list it goes to will write. */
static inline void disown(struct phys *p, uint64_t n, unsigned order)
{
    struct frame *f = &p->head.frames[n];
    struct node *node = &p->nodes[f->nid];
    for (uint64_t i = 0; i < BIT(order); i++) {
        CHECK(f[i].owner != FRAME_FREE); /* I1: freed twice otherwise */
        node->owned[f[i].owner]--;
        if (f[i].owner == FRAME_PAGE_TABLE)
            table_slab_put(&p->tables, f[i].bytes);
        if (i > 0)
            f[i] = (struct frame){0};
    }
    node->owned[FRAME_FREE] += BIT(order);
}

/* -- the interface --------------------------------------------------------------------------- */

bool phys_fails(struct phys *p)
{
    return p->fail_every != 0 && ++p->fail_count % p->fail_every == 0;
}

int phys_alloc_req(struct phys *p, const struct phys_req *r, pfn *ret)
{
    CHECK(r->owner != FRAME_FREE && r->type < MIGRATE_PCPTYPES);
    struct context c = {.r = r};
    struct zone *z = NULL;
    if (r->order > ORDER_MAX || !start(p, &c))
        return -ENOMEM;
    uint64_t n = get_page_from_freelist(p, &c, &z);
    if (n == NO_BLOCK) {
        if (r->mark == PHYS_MARK_LOW && !(r->flags & PHYS_NO_KSWAPD))
            wake_all_kswapds(p, &c);
        return -ENOMEM;
    }
    if (unlikely(c.flags & PHYS_HIGHATOMIC))
        reserve_highatomic(p, z, n, r->order);
    frames_own(p, z, n, r->order, r->owner);
    AUDIT(phys_audit_at_times(p));
    *ret = (pfn){n};
    return 0;
}

bool phys_unreserve_highatomic(struct phys *p, const struct phys_req *r, bool force)
{
    struct context c = {.r = r};
    if (!start(p, &c))
        return false;
    for (unsigned i = 0; i < c.nodes_nr * ZONE_NR; i++) {
        struct zone *z = zone_nth(p, &c, i);
        if (z != NULL && unreserve_highatomic(p, z, r->type, force))
            return true;
    }
    return false;
}

/* alloc_hard is what is left when nobody reclaims: the frames other CPUs keep, then the reserves. */
static __attribute__((noinline)) int alloc_hard(struct phys *p, struct phys_req *r, pfn *ret)
{
    r->mark = PHYS_MARK_MIN;
    if (r->order > ORDER_MAX || phys_alloc_req(p, r, ret) == 0)
        return r->order > ORDER_MAX ? -ENOMEM : 0;
    phys_drain_all(p);
    r->mark = PHYS_NO_WATERMARKS;
    int err = phys_alloc_req(p, r, ret);
    while (err != 0 && phys_unreserve_highatomic(p, r, true))
        err = phys_alloc_req(p, r, ret);
    return err;
}

int phys_alloc(struct phys *p, unsigned order, enum phys_gfp gfp, enum frame_owner owner, pfn *ret)
{
    struct phys_req r = phys_request(order, gfp, owner);
    if (phys_fails(p))
        return -ENOMEM;
    return phys_alloc_req(p, &r, ret) == 0 ? 0 : alloc_hard(p, &r, ret);
}

void phys_free(struct phys *p, pfn first, unsigned order)
{
    uint64_t n = first.v;
    const struct frame *f = phys_frame(p, first);
    CHECK((f->flags & FRAME_F_HEAD) && f->order == order);
    struct zone *z = zone_at(p, f->nid, (enum zone_id)f->zone);
    disown(p, n, order);
    STAT(p->stats, pgfree) += BIT(order);
    z->pcp[p->cpu].touched = true;
    enum migrate_type type = block_type(p, n);
    if (p->pcp_on && pcp_allowed(order) && type != MIGRATE_ISOLATE) {
        pcp_free(p, z, n, order, type == MIGRATE_HIGHATOMIC ? MIGRATE_MOVABLE : type);
    } else {
        p->head.frames[n] = (struct frame){0};
        buddy_free(p, z, n, order);
    }
    AUDIT(phys_audit_at_times(p));
}

void phys_set_cpu(struct phys *p, unsigned cpu)
{
    CHECK(cpu < p->cpus);
    p->cpu = cpu;
    p->cpu_nid = phys_cpu_node(p, cpu);
}

void phys_count_interleave(struct phys *p, pfn n)
{
    const struct frame *f = phys_frame(p, n);
    if (!p->vm.numa_stat)
        return;
    zone_at(p, f->nid, (enum zone_id)f->zone)->numa[NUMA_INTERLEAVE]++;
    STAT(p->stats, numa_interleave)++;
}

/* -- for reclaim ----------------------------------------------------------------------------- */

bool phys_kswapd_wanted(const struct phys *p, unsigned nid, struct phys_kswapd *ret)
{
    if (p->nodes[nid].kswapd_wanted)
        *ret = p->nodes[nid].kswapd;
    return p->nodes[nid].kswapd_wanted;
}

void phys_kswapd_clear(struct phys *p, unsigned nid)
{
    p->nodes[nid].kswapd_wanted = false;
    p->head.kswapd_wanted = false;
    for (unsigned i = 0; i < p->nodes_nr; i++)
        p->head.kswapd_wanted |= p->nodes[i].kswapd_wanted;
}

bool phys_watermark_ok(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order,
                       uint64_t mark, enum zone_id highest, unsigned flags)
{
    return zone_watermark_ok(zone_at(p, nid, zone), order, mark, highest, flags);
}

bool phys_watermark_ok_free(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order,
                            uint64_t mark, enum zone_id highest, unsigned flags, uint64_t free)
{
    return zone_watermark_ok_free(zone_at(p, nid, zone), order, mark, highest, flags, free);
}

void phys_set_reclaim_active(struct phys *p, unsigned nid, enum zone_id highest, bool active)
{
    for (unsigned i = 0; i <= highest; i++)
        zone_at(p, nid, (enum zone_id)i)->reclaim_active = active;
}

void phys_unboost(struct phys *p, unsigned nid, enum zone_id zone, uint64_t frames)
{
    struct zone *z = zone_at(p, nid, zone);
    z->boost -= min_u64(z->boost, frames);
}
