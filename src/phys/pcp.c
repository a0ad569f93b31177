/* pcp.c: per-CPU lists of free frames in front of the buddy allocator.
 *
 *   alloc ◄── head [ f ][ f ][ f ] tail ──► buddy, `batch` or more at a time
 *   free  ──► head       (last in, first out)
 *             ▲ refill: frames in the order the buddy allocator gives them
 *
 * One list per order 0 to 3 and migrate type, two for order 9. How many frames the lists of a CPU may
 * keep (high) floats between the zone's high_min and high_max: up while it only allocates or only
 * frees, down while kswapd works or the zone is low.
 *
 * Invariants: P1 count = Σ frames on its lists. P2 a frame on a list is free by owner, not in
 * zone.free_frames, and its head is marked FRAME_F_PCP.
 *
 * Source: Linux 6.18 mm/page_alloc.c (nr_pcp_alloc, nr_pcp_free, nr_pcp_high, rmqueue_bulk,
 * free_pcppages_bulk, free_frozen_page_commit, decay_pcp_high, drain_pages_zone), mm/vmstat.c
 * (vmstat_update, refresh_cpu_vm_stats).
 */
#include "phys/phys_int.h"

#define BATCH_SCALE_MAX 5    /* CONFIG_PCP_BATCH_SCALE_MAX */
#define STAT_INTERVAL   1000 /* ms; vm.stat_interval */
#define EXPIRE_DECAYS   3    /* a list of another node's zone is kept so long */

/* -- lists ----------------------------------------------------------------------------------- */

static void push_head(struct phys *p, struct zone *z, struct pcp *c, unsigned list, uint64_t n,
                      unsigned order)
{
    uint32_t next = c->lists[list].head, me = (uint32_t)(n + 1);
    p->head.frames[n] = (struct frame){.order = (uint8_t)order,
                                       .flags = FRAME_F_PCP,
                                       .zone = z->id,
                                       .nid = z->nid,
                                       .link_next = next};
    *(next != 0 ? &p->head.frames[next - 1].link_prev : &c->lists[list].tail) = me;
    c->lists[list].head = me;
    c->count += 1u << order;
}

static void push_tail(struct phys *p, struct zone *z, struct pcp *c, unsigned list, uint64_t n,
                      unsigned order)
{
    uint32_t prev = c->lists[list].tail, me = (uint32_t)(n + 1);
    p->head.frames[n] = (struct frame){.order = (uint8_t)order,
                                       .flags = FRAME_F_PCP,
                                       .zone = z->id,
                                       .nid = z->nid,
                                       .link_prev = prev};
    *(prev != 0 ? &p->head.frames[prev - 1].link_next : &c->lists[list].head) = me;
    c->lists[list].tail = me;
    c->count += 1u << order;
}

static uint64_t pop_head(struct phys *p, struct pcp *c, unsigned list, unsigned order)
{
    uint64_t n = c->lists[list].head - 1;
    uint32_t next = p->head.frames[n].link_next;
    CHECK(p->head.frames[n].flags & FRAME_F_PCP); /* P2 */
    c->lists[list].head = next;
    *(next != 0 ? &p->head.frames[next - 1].link_prev : &c->lists[list].tail) = 0;
    c->count -= 1u << order;
    return n;
}

static uint64_t pop_tail(struct phys *p, struct pcp *c, unsigned list, unsigned order)
{
    uint64_t n = c->lists[list].tail - 1;
    struct frame *f = &p->head.frames[n];
    CHECK(f->flags & FRAME_F_PCP); /* P2 */
    c->lists[list].tail = f->link_prev;
    *(f->link_prev != 0 ? &p->head.frames[f->link_prev - 1].link_next : &c->lists[list].head) = 0;
    *f = (struct frame){0};
    c->count -= 1u << order;
    return n;
}

static unsigned list_order(unsigned list)
{
    return list < PCP_ORDERS * MIGRATE_PCPTYPES ? list / MIGRATE_PCPTYPES : PAGEBLOCK_ORDER;
}

/* Linux's clamp looks at the upper bound first: high_min is the larger one where the low watermark is
 * more than an eighth of the zone. */
static uint32_t clamp_high(const struct zone *z, uint64_t high)
{
    if (high >= z->high_max)
        return z->high_max;
    return high > z->high_min ? (uint32_t)high : z->high_min;
}

/* lowered is `high - by`, not below high_min. */
static uint32_t lowered(const struct zone *z, uint32_t high, uint32_t by)
{
    return high > by && high - by > z->high_min ? high - by : z->high_min;
}

/* -- allocation ------------------------------------------------------------------------------ */

/* nr_alloc: how many blocks to fetch; more while a CPU allocates frame after frame. */
static unsigned nr_alloc(struct zone *z, struct pcp *c, unsigned order)
{
    uint32_t batch = z->batch << (order == 0 ? c->alloc_factor : 0);
    uint32_t high = c->high = clamp_high(z, c->high);
    if (high < z->batch)
        return 1;
    if (z->high_min != z->high_max && !z->below_high)
        high = c->high = (uint32_t)min_u64((uint64_t)high + batch, z->high_max);
    if (order == 0) {
        int64_t room = (int64_t)high - c->count - z->batch;
        uint32_t most = room > z->batch ? (uint32_t)room : z->batch;
        if (batch <= most && c->alloc_factor < BATCH_SCALE_MAX)
            c->alloc_factor++;
        batch = batch < most ? batch : most;
    }
    if (batch > 1)
        batch = batch >> order > 2 ? batch >> order : 2;
    return batch;
}

static __attribute__((noinline)) void refill(struct phys *p, struct zone *z, struct pcp *c,
                                             unsigned order, enum migrate_type type, unsigned flags)
{
    enum rmqueue_mode mode = RMQUEUE_NORMAL;
    p->moved_zone = z;
    for (unsigned left = nr_alloc(z, c, order); left > 0; left--) {
        uint64_t n = rmqueue(p, z, order, type, flags, &mode);
        if (n == NO_BLOCK)
            return;
        p->moved += 1u << order;
        push_tail(p, z, c, pcp_index(order, type), n, order);
    }
}

uint64_t pcp_alloc(struct phys *p, struct zone *z, unsigned order, enum migrate_type type,
                   unsigned flags)
{
    struct pcp *c = &z->pcp[p->cpu];
    unsigned list = pcp_index(order, type);
    c->free_count >>= 1;
    if (c->lists[list].head == 0)
        refill(p, z, c, order, type, flags);
    return c->lists[list].head != 0 ? pop_head(p, c, list, order) : NO_BLOCK;
}

/* -- freeing --------------------------------------------------------------------------------- */

/* free_bulk gives `count` frames back, oldest first, list by list from the given one round. */
static void free_bulk(struct phys *p, struct zone *z, struct pcp *c, uint32_t count, unsigned list)
{
    int64_t left = count < c->count ? count : c->count;
    p->moved_zone = z;
    p->moved += (uint32_t)left;
    for (; left > 0; list = (list + 1) % PCP_LISTS) {
        unsigned order = list_order(list);
        while (left > 0 && c->lists[list].tail != 0) {
            uint64_t n = pop_tail(p, c, list, order);
            left -= (int64_t)BIT(order);
            buddy_free_one(p, z, n, order, block_type(p, n));
        }
    }
}

/* nr_high: how many frames may stay; adapts c->high. */
static uint32_t nr_high(const struct zone *z, struct pcp *c, bool free_high)
{
    uint32_t high = c->high = clamp_high(z, c->high);
    uint32_t freed = c->free_count > z->batch ? c->free_count : z->batch;
    if (high == 0)
        return 0;
    if (free_high) {
        c->high = lowered(z, high, z->batch << BATCH_SCALE_MAX);
        return 0;
    }
    if (z->reclaim_active) {
        c->high = lowered(z, high, freed);
        return c->high < 4 * z->batch ? c->high : 4 * z->batch;
    }
    if (z->high_min == z->high_max)
        return high;
    if (z->below_high) {
        c->high = lowered(z, high, freed);
        return c->count > z->high_min ? c->count : z->high_min;
    }
    if (c->count >= high && c->high < c->free_count + z->batch)
        c->high = clamp_high(z, (uint64_t)c->free_count + z->batch);
    return high;
}

static uint32_t nr_free(const struct zone *z, const struct pcp *c, uint32_t high, bool free_high)
{
    uint32_t all = z->batch << BATCH_SCALE_MAX;
    if (free_high)
        return c->count < all ? c->count : all;
    if (high < z->batch)
        return 1;
    int64_t least = z->batch, most = (int64_t)high - z->batch, n = c->free_count;
    n = n > most ? most : n;
    return (uint32_t)(n > least ? n : least);
}

/* Orders 1 to 3 on the lists fragment memory: a CPU that frees many in a row gives them back, one
 * with a large cache a batch at a time. */
static bool frees_high(const struct zone *z, struct pcp *c, unsigned order)
{
    bool small_high = order > 0 && order < PCP_ORDERS;
    bool many = c->free_count >= z->batch + z->high_min / 2;
    bool ret =
        small_high && many && c->prev_free_high && (!z->free_high_batch || c->count >= z->batch);
    c->prev_free_high = small_high;
    return ret;
}

static __attribute__((noinline)) void trim(struct phys *p, struct zone *z, struct pcp *c,
                                           uint32_t high, bool free_high, unsigned list)
{
    free_bulk(p, z, c, nr_free(z, c, high, free_high), list);
    if (z->below_high && zone_watermark_ok(z, 0, wmark_pages(z, WMARK_HIGH), PHYS_ZONES_NR - 2, 0))
        z->below_high = false;
}

void pcp_free(struct phys *p, struct zone *z, uint64_t n, unsigned order, enum migrate_type type)
{
    struct pcp *c = &z->pcp[p->cpu];
    unsigned list = pcp_index(order, type);
    c->alloc_factor >>= 1;
    push_head(p, z, c, list, n, order);
    bool free_high = frees_high(z, c, order);
    if (c->free_count < z->batch << BATCH_SCALE_MAX)
        c->free_count += 1u << order;
    uint32_t high = nr_high(z, c, free_high);
    if (c->count >= high)
        trim(p, z, c, high, free_high, list);
}

uint32_t phys_take_moved(struct phys *p, unsigned *ret_zone)
{
    uint32_t moved = p->moved;
    p->moved = 0;
    for (unsigned i = 0; moved > 0 && i < p->nodes_nr * ZONE_NR; i++)
        if (zone_at(p, i / ZONE_NR, (enum zone_id)(i % ZONE_NR)) == p->moved_zone)
            *ret_zone = i;
    return moved;
}

/* -- draining -------------------------------------------------------------------------------- */

void phys_drain_cpu(struct phys *p, unsigned cpu)
{
    for (unsigned i = 0; i < p->nodes_nr * ZONE_NR; i++) {
        struct zone *z = zone_at(p, i / ZONE_NR, (enum zone_id)(i % ZONE_NR));
        while (z->pcp[cpu].count > 0)
            free_bulk(p, z, &z->pcp[cpu], z->batch << BATCH_SCALE_MAX, 0);
    }
}

void phys_drain_all(struct phys *p)
{
    for (unsigned c = 0; c < p->cpus; c++)
        phys_drain_cpu(p, c);
}

static void decay(struct phys *p, struct zone *z, struct pcp *c)
{
    uint32_t step = z->batch << BATCH_SCALE_MAX;
    if (c->high > z->high_min) {
        uint32_t kept = c->count > step ? c->count - step : 0, less = c->high - (c->high >> 3);
        c->high = kept > less ? kept : less;
        c->high = c->high > z->high_min ? c->high : z->high_min;
    }
    for (int64_t left = (int64_t)c->count - c->high; left > 0; left -= z->batch)
        free_bulk(p, z, c, left < z->batch ? (uint32_t)left : z->batch, 0);
}

/* expire_remote gives a batch back of a zone of another node that the CPU left alone for so long.
 * What it gives back counts as use again. */
static void expire_remote(struct phys *p, struct zone *z, struct pcp *c)
{
    if (c->expire == 0 || c->count == 0 || --c->expire != 0)
        return;
    free_bulk(p, z, c, z->batch, 0);
    c->touched = true;
}

static void refresh_zone(struct phys *p, struct zone *z, unsigned cpu)
{
    struct pcp *c = &z->pcp[cpu];
    uint32_t count = c->count;
    bool local = z->nid == phys_cpu_node(p, cpu);
    if (c->touched)
        c->expire = local ? 0 : EXPIRE_DECAYS;
    c->touched = false;
    decay(p, z, c);
    c->touched = c->count < count;
    expire_remote(p, z, c);
}

void phys_decay_cpu(struct phys *p, unsigned cpu)
{
    for (unsigned i = 0; i < p->nodes_nr * ZONE_NR; i++) {
        struct zone *z = zone_at(p, i / ZONE_NR, (enum zone_id)(i % ZONE_NR));
        if (z->managed != 0)
            refresh_zone(p, z, cpu);
    }
}

void phys_tick(struct phys *p, uint64_t now_ms)
{
    if (now_ms < p->decay_due)
        return;
    p->decay_due = now_ms + STAT_INTERVAL;
    for (unsigned c = 0; c < p->cpus; c++)
        phys_decay_cpu(p, c);
}
