/* compaction.c: moving pages to one end of a zone, so that free frames join at the other.
 *
 *   zone  [ m . m m . U | m . . m . m | . . m . . . | . . . . . . ]
 *           └► migrate scanner: isolates 32 movable folios     free scanner ◄┘
 *              of a pageblock ──────────── migrate_folio ──────► free frames from the top down
 *   until the scanners meet, or a block of the wanted order can be had.
 *
 *   try_to_compact_pages   for an allocation of a higher order: async, sync-light or all of the zone
 *   kcompactd_tick         proactive: every 500 ms where the fragmentation score is too high; and
 *                          after kswapd asked for an order (wakeup_kcompactd)
 *   mm_compact_memory      vm.compact_memory: everything
 *
 * A zone where compaction failed is left alone for 1, 2, 4 … 64 tries.
 *
 * Invariants:
 *  I1  Only folios on an LRU list move; frames of tables, stacks and the kernel never do.
 *  I2  Outside a call every frame the free scanner took is in use or free again.
 *  I3  Where the scanners of a zone go on lies inside it.
 *
 * Source: Linux 6.18 mm/compaction.c (compact_zone, __compact_finished, isolate_migratepages_block,
 * isolate_freepages, compaction_alloc, defer_compaction, try_to_compact_pages, kcompactd).
 */
#include "mm/migrate_int.h"
#include "policy/frag.h"

#define CLUSTER_MAX       32u  /* COMPACT_CLUSTER_MAX: folios moved at a time */
#define MAX_DEFER_SHIFT   6u   /* COMPACT_MAX_DEFER_SHIFT */
#define VIA_COMPACT       (-1) /* order of vm.compact_memory: no allocation waits */
#define COSTLY_ORDER      3
#define HPAGE_ORDER       9u  /* COMPACTION_HPAGE_ORDER */
#define CHECK_INTERVAL_MS 500 /* HPAGE_FRAG_CHECK_INTERVAL_MSEC */

/* Free frames taken by the free scanner: blocks of one order. */
struct taken {
    pfn *head;
    uint32_t nr, cap;
};

/* One compaction of one zone: struct compact_control. */
struct compact {
    struct mm_sys *s;
    struct compact_zone *z; /* what is remembered of the zone */
    unsigned nid;
    enum zone_id zone;
    int order; /* wanted; VIA_COMPACT */
    enum migrate_type type;
    enum compact_mode mode;
    enum zone_id highest;           /* zone that the block may come from */
    bool direct;                    /* an allocation waits */
    bool ignore_skip;               /* look at what was skipped, put pages anywhere */
    bool whole_zone;                /* start at the ends */
    uint64_t isolated;              /* frames the migrate scanner took */
    bool proactive;                 /* stop when the score is low enough */
    uint64_t start, end;            /* frames of the zone [start, end) */
    uint64_t migrate_pfn, free_pfn; /* where the scanners are; free_pfn begins a pageblock */
    uint64_t migrate_scanned, free_scanned;
    struct folio_list list;          /* isolated, to be moved */
    struct taken taken[PHYS_ORDERS]; /* by order (I2) */
    uint64_t taken_frames;           /* in all of them */
    uint64_t want;                   /* folios that still need a place */
};

/* -- what a zone remembers ------------------------------------------------------------------- */

int compaction_open(struct mm_sys *s)
{
    s->compaction.zone = calloc(phys_nodes(s->phys), sizeof(*s->compaction.zone));
    s->compaction.skip = calloc(phys_frames(s->phys) / PAGEBLOCK_FRAMES / 8 + 1, 1);
    if (!s->compaction.zone || !s->compaction.skip)
        return -ENOMEM;
    for (unsigned nid = 0; nid < phys_nodes(s->phys); nid++)
        s->compaction.node[nid] =
            (struct compact_node){.due_ms = CHECK_INTERVAL_MS, .highest = ZONE_NORMAL};
    return 0;
}

void compaction_close(struct mm_sys *s)
{
    free(s->compaction.zone);
    free(s->compaction.skip);
}

static bool compaction_deferred(struct compact_zone *z, int order)
{
    if (order < z->order_failed)
        return false;
    if (++z->considered < 1u << z->defer_shift)
        return true;
    z->considered = 1u << z->defer_shift;
    return false;
}

static void defer_compaction(struct compact_zone *z, int order)
{
    z->considered = 0;
    z->defer_shift += z->defer_shift < MAX_DEFER_SHIFT;
    z->order_failed = order < z->order_failed ? order : z->order_failed;
}

static void compaction_defer_reset(struct compact_zone *z, int order, bool alloc_success)
{
    if (alloc_success)
        z->considered = z->defer_shift = 0;
    if (order >= z->order_failed)
        z->order_failed = order + 1;
}

static bool compaction_restarting(const struct compact_zone *z, int order)
{
    return order >= z->order_failed && z->defer_shift == MAX_DEFER_SHIFT &&
           z->considered >= 1u << z->defer_shift;
}

/* -- skip hints: pageblocks in which a scanner found nothing to take ---------------------------- */

static bool skipped(const struct compact *c, uint64_t at)
{
    uint64_t block = at >> PAGEBLOCK_ORDER;
    return !c->ignore_skip && (c->s->compaction.skip[block / 8] >> block % 8 & 1);
}

static void set_skip(const struct compact *c, uint64_t at)
{
    uint64_t block = at >> PAGEBLOCK_ORDER;
    if (!c->ignore_skip)
        c->s->compaction.skip[block / 8] |= (uint8_t)(1u << block % 8);
}

static void reset_positions(struct compact *c)
{
    c->z->migrate_pfn[0] = c->z->migrate_pfn[1] = c->start;
    c->z->free_pfn = align_down(c->end - 1, PAGEBLOCK_FRAMES);
}

static void reset_isolation_suitable(struct mm_sys *s, struct compact_zone *z, uint64_t start,
                                     uint64_t end)
{
    for (uint64_t n = start; n < end; n += PAGEBLOCK_FRAMES) {
        uint64_t block = n >> PAGEBLOCK_ORDER;
        s->compaction.skip[block / 8] &= (uint8_t) ~(1u << block % 8);
    }
    z->known = false; /* the scanners begin at the ends */
    z->init_migrate_pfn = start;
    z->skip_flush = false;
}

/* -- the free scanner ------------------------------------------------------------------------ */

static void push(struct taken *t, pfn head)
{
    if (t->nr == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->head = realloc(t->head, t->cap * sizeof(*t->head));
        ASSERT(t->head);
    }
    t->head[t->nr++] = head;
}

/* suitable_migration_target: pages go where movable pages are, but a pageblock that begins with a
 * block as large as the wanted one is left whole. */
static bool suitable_target(const struct compact *c, uint64_t at)
{
    struct phys_block b;
    unsigned whole = c->order > 0 ? (unsigned)c->order : PAGEBLOCK_ORDER;
    phys_block_at(c->s->phys, (pfn){at}, &b);
    if (b.state == PHYS_BLOCK_FREE && b.first.v == at && b.order >= whole)
        return false;
    return (c->ignore_skip && c->direct) || b.type == MIGRATE_MOVABLE;
}

/* isolate_freepages_block takes free blocks of one pageblock until there is one for each folio. */
static void isolate_freepages_block(struct compact *c, uint64_t first, uint64_t end)
{
    uint64_t before = c->taken_frames;
    for (uint64_t n = first; n < end && c->taken_frames < c->want;) {
        struct phys_block b;
        unsigned order;
        phys_block_at(c->s->phys, (pfn){n}, &b);
        c->free_scanned++;
        bool whole = b.state == PHYS_BLOCK_FREE && b.first.v == n;
        if (!whole) {
            n = b.state == PHYS_BLOCK_USED ? max_u64(b.first.v + BIT(b.order), n + 1) : n + 1;
            continue;
        }
        if (phys_take_free(c->s->phys, (pfn){n}, FRAME_USER_ANON, &order) != 0)
            return; /* the min watermark */
        c->free_scanned += BIT(order) - 1;
        c->taken_frames += BIT(order);
        push(&c->taken[order], (pfn){n});
        n += BIT(order);
    }
    STAT(c->s->stats, compact_isolated) += c->taken_frames - before;
    if (c->taken_frames == before)
        set_skip(c, first);
}

/* isolate_freepages goes down from where the free scanner is, to the migrate scanner's pageblock. */
static void isolate_freepages(struct compact *c)
{
    uint64_t low = align_down(c->migrate_pfn + PAGEBLOCK_FRAMES, PAGEBLOCK_FRAMES);
    while (c->free_pfn >= low) {
        uint64_t first = max_u64(c->free_pfn, c->start);
        if (suitable_target(c, first) && !skipped(c, first))
            isolate_freepages_block(c, first, min_u64(c->free_pfn + PAGEBLOCK_FRAMES, c->end));
        if (c->taken_frames >= c->want)
            return;
        if (c->free_pfn < PAGEBLOCK_FRAMES)
            break;
        c->free_pfn -= PAGEBLOCK_FRAMES;
    }
    c->free_pfn = max_u64(c->free_pfn, align_down(low - 1, PAGEBLOCK_FRAMES));
}

/* split_to halves a taken block until it has the order; the upper halves stay taken. */
static pfn split_to(struct compact *c, pfn head, unsigned have, unsigned order)
{
    while (have > order) {
        have--;
        phys_split_folio(c->s->phys, head, have);
        push(&c->taken[have], (pfn){head.v + BIT(have)});
    }
    return head;
}

/* compaction_alloc returns a new folio in the free part of the zone; false when there is none. */
static bool compaction_alloc(struct compact *c, const struct frame *src, pfn *ret)
{
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned o = src->order; o < PHYS_ORDERS; o++) {
            if (c->taken[o].nr == 0)
                continue;
            *ret = split_to(c, c->taken[o].head[--c->taken[o].nr], o, src->order);
            c->taken_frames -= BIT(src->order);
            c->want--;
            return true;
        }
        if (pass == 0)
            isolate_freepages(c);
    }
    return false;
}

/* release_freepages ends I2's exception; the free scanner goes on above what it gives back. */
static void release_freepages(struct compact *c)
{
    uint64_t high = 0;
    for (unsigned o = 0; o < PHYS_ORDERS; o++) {
        for (uint32_t i = 0; i < c->taken[o].nr; i++) {
            high = max_u64(high, c->taken[o].head[i].v);
            phys_free(c->s->phys, c->taken[o].head[i], o);
        }
        free(c->taken[o].head);
    }
    if (high != 0)
        c->z->free_pfn = max_u64(c->z->free_pfn, align_down(high, PAGEBLOCK_FRAMES));
}

/* -- the migrate scanner --------------------------------------------------------------------- */

static bool suitable_source(const struct compact *c, uint64_t at)
{
    if (c->mode != COMPACT_ASYNC || !c->direct)
        return true;
    return phys_pageblock_type(c->s->phys, (pfn){at}) == c->type;
}

/* may_move: isolate_migratepages_block's questions about one folio (I1). */
static bool may_move(const struct compact *c, const struct frame *f)
{
    if (!(f->flags & FRAME_F_LRU) || !folio_may_migrate(f))
        return false;
    if ((f->flags & FRAME_F_UNEVICTABLE) && !c->s->conf.vm_compact_unevictable_allowed)
        return false;
    bool global = c->order == VIA_COMPACT;
    return (global || f->order < c->order || f->order == 0) && f->order < PAGEBLOCK_ORDER;
}

/* isolate_migratepages_block isolates up to 32 folios of [n, end); returns where it stopped. */
static uint64_t isolate_migratepages_block(struct compact *c, uint64_t n, uint64_t end)
{
    uint64_t isolated = 0;
    while (n < end && c->list.nr < CLUSTER_MAX) {
        struct phys_block b;
        phys_block_at(c->s->phys, (pfn){n}, &b);
        const struct frame *f = phys_frame(c->s->phys, b.first);
        bool moved =
            b.state == PHYS_BLOCK_USED && may_move(c, f) && folio_isolate(c->s, &c->list, b.first);
        uint64_t next = b.state == PHYS_BLOCK_PCP ? n + 1 : b.first.v + BIT(b.order);
        next = min_u64(max_u64(next, n + 1), end);
        isolated += moved ? BIT(b.order) : 0;
        c->migrate_scanned += next - n;
        n = next;
    }
    STAT(c->s->stats, compact_isolated) += isolated;
    c->isolated += isolated;
    return n;
}

/* isolate_migratepages fills the list from the next pageblock that has something movable. */
static bool isolate_migratepages(struct compact *c)
{
    while (c->migrate_pfn < c->free_pfn) {
        uint64_t block = align_down(c->migrate_pfn, PAGEBLOCK_FRAMES);
        uint64_t end = min_u64(block + PAGEBLOCK_FRAMES, c->end);
        bool whole = c->migrate_pfn <= max_u64(block, c->start);
        if ((whole && skipped(c, block)) || !suitable_source(c, c->migrate_pfn)) {
            c->migrate_pfn = end;
            continue;
        }
        c->migrate_pfn = isolate_migratepages_block(c, c->migrate_pfn, end);
        if (whole && c->migrate_pfn == end && c->list.nr == 0)
            set_skip(c, block);
        return c->list.nr > 0;
    }
    return false;
}

/* -- one zone -------------------------------------------------------------------------------- */

static bool scanners_met(const struct compact *c)
{
    return c->free_pfn >> PAGEBLOCK_ORDER <= c->migrate_pfn >> PAGEBLOCK_ORDER;
}

/* wmark_score: where proactive compaction stops, and starts. */
static unsigned wmark_score(const struct mm_sys *s, bool low)
{
    return fragmentation_score_wmark((unsigned)s->conf.vm_compaction_proactiveness, low);
}

/* claimable: a block of another type would be taken over by a request of this one. */
static bool claimable(const struct phys_zone_info *info, enum migrate_type type, unsigned order)
{
    if (order < PAGEBLOCK_ORDER / 2 && type == MIGRATE_MOVABLE)
        return false;
    for (unsigned t = 0; t < MIGRATE_PCPTYPES; t++)
        if (t != type && info->blocks[t][order] > 0)
            return true;
    return false;
}

/* suitable_page_free: the block is there, or with vm.defrag_mode, for kcompactd, the high watermark in
 * whole pageblocks. */
static bool suitable_page_free(const struct compact *c)
{
    struct phys_zone_info info;
    phys_zone_info(c->s->phys, c->nid, c->zone, &info);
    if (c->s->conf.vm_defrag_mode && !c->direct)
        return phys_watermark_ok_free(c->s->phys, c->nid, c->zone, (unsigned)c->order, info.high,
                                      c->highest, 0, info.free_blocks);
    for (unsigned o = (unsigned)c->order; o < PHYS_ORDERS; o++)
        if (info.blocks[c->type][o] > 0 || claimable(&info, c->type, o))
            return true;
    return false;
}

static enum compact_result compact_finished(struct compact *c)
{
    if (scanners_met(c)) {
        reset_positions(c);
        c->z->skip_flush |= c->direct;
        return c->whole_zone ? COMPACT_COMPLETE : COMPACT_PARTIAL_SKIPPED;
    }
    if (c->proactive) {
        unsigned score = phys_extfrag_percent(c->s->phys, c->nid, c->zone, HPAGE_ORDER);
        return score > wmark_score(c->s, true) ? COMPACT_CONTINUE : COMPACT_SUCCESS;
    }
    if (c->order == VIA_COMPACT || c->migrate_pfn % PAGEBLOCK_FRAMES != 0)
        return COMPACT_CONTINUE;
    return suitable_page_free(c) ? COMPACT_SUCCESS : COMPACT_CONTINUE;
}

/* move_list moves what is isolated; false when there was no free frame although scanners are apart. */
static bool move_list(struct compact *c)
{
    uint32_t i = 0;
    bool short_of_frames = false;
    c->want = c->list.nr;
    for (pfn dst; i < c->list.nr; i++) {
        const struct frame *src = phys_frame(c->s->phys, c->list.folio[i]);
        if (!compaction_alloc(c, src, &dst)) {
            STAT(c->s->stats, pgmigrate_fail) += BIT(src->order);
            short_of_frames = true;
            break;
        }
        migrate_into(c->s, &c->list, i, dst);
    }
    unmap_flush_end(c->s);
    list_drop_moved(&c->list);
    putback_movable_pages(c->s, &c->list);
    return !short_of_frames || scanners_met(c);
}

static void place_scanners(struct compact *c)
{
    bool sync = c->mode != COMPACT_ASYNC;
    if (!c->z->known || c->z->free_pfn < c->start || c->z->free_pfn >= c->end ||
        c->z->migrate_pfn[sync] < c->start || c->z->migrate_pfn[sync] >= c->end) {
        reset_positions(c); /* I3 */
        c->z->known = true;
    }
    c->migrate_pfn = c->whole_zone ? c->start : c->z->migrate_pfn[sync];
    c->free_pfn = c->whole_zone ? align_down(c->end - 1, PAGEBLOCK_FRAMES) : c->z->free_pfn;
    c->whole_zone |= c->migrate_pfn <= c->z->init_migrate_pfn;
}

static void remember_scanners(struct compact *c)
{
    if (scanners_met(c))
        return; /* compact_finished has set them to begin anew */
    c->z->free_pfn = c->free_pfn;
    c->z->migrate_pfn[0] = c->migrate_pfn;
    if (c->mode != COMPACT_ASYNC)
        c->z->migrate_pfn[1] = c->migrate_pfn;
}

static enum compact_result scan(struct compact *c)
{
    uint64_t last_block = UINT64_MAX;
    enum compact_result r;
    while ((r = compact_finished(c)) == COMPACT_CONTINUE) {
        if (isolate_migratepages(c)) {
            last_block = align_down(c->migrate_pfn - 1, PAGEBLOCK_FRAMES);
            if (!move_list(c))
                return COMPACT_CONTENDED;
        }
        if (c->order > 0 && last_block < align_down(c->migrate_pfn, BIT(c->order))) {
            phys_drain_cpu(c->s->phys, c->s->lru.cpu); /* so that what was freed can merge */
            last_block = UINT64_MAX;
        }
    }
    return r;
}

static enum compact_result compact_zone(struct compact *c)
{
    struct phys_zone_info info;
    phys_zone_info(c->s->phys, c->nid, c->zone, &info);
    if (info.spanned == 0)
        return COMPACT_SKIPPED;
    c->start = info.start_pfn;
    c->end = info.start_pfn + info.spanned;
    c->z = &c->s->compaction.zone[c->nid][c->zone];
    if (c->order != VIA_COMPACT && compaction_restarting(c->z, c->order))
        reset_isolation_suitable(c->s, c->z, c->start, c->end);
    place_scanners(c);
    lru_add_drain(c->s);
    enum compact_result r = scan(c);
    remember_scanners(c);
    release_freepages(c);
    if (c->direct)
        arch_step(c->s->outbox, STEP_COMPACT, c->isolated);
    STAT(c->s->stats, compact_migrate_scanned) += c->migrate_scanned;
    STAT(c->s->stats, compact_free_scanned) += c->free_scanned;
    return r;
}

/* suits is compaction_suit_allocation_order: CONTINUE, or the result without compacting. */
static enum compact_result suits(const struct mm_sys *s, unsigned nid, enum zone_id zone,
                                 unsigned order, enum zone_id highest, bool kcompactd)
{
    struct phys_zone_info info;
    phys_zone_info(s->phys, nid, zone, &info);
    if (info.spanned == 0)
        return COMPACT_SKIPPED;
    bool blocks = kcompactd && s->conf.vm_defrag_mode;
    uint64_t mark = blocks ? info.high : info.min, free = blocks ? info.free_blocks : info.free;
    if (phys_watermark_ok_free(s->phys, nid, zone, order, mark, highest, 0, free))
        return COMPACT_SUCCESS;
    if (!phys_compaction_suitable(s->phys, nid, zone, order, mark, highest))
        return COMPACT_SKIPPED;
    return COMPACT_CONTINUE;
}

/* -- for an allocation ----------------------------------------------------------------------- */

static enum zone_id highest_zone(enum phys_gfp gfp)
{
    return gfp == GFP_DMA ? ZONE_DMA : gfp == GFP_DMA32 ? ZONE_DMA32 : ZONE_NORMAL;
}

static enum compact_result compact_for(struct mm_sys *s, const struct phys_req *r, unsigned nid,
                                       enum zone_id zone, enum compact_prio prio)
{
    enum zone_id highest = highest_zone(r->gfp);
    enum compact_result fit = suits(s, nid, zone, r->order, highest, false);
    if (fit != COMPACT_CONTINUE)
        return fit;
    struct compact c = {.s = s,
                        .nid = nid,
                        .zone = zone,
                        .order = (int)r->order,
                        .type = r->type,
                        .mode = prio == COMPACT_PRIO_ASYNC ? COMPACT_ASYNC : COMPACT_SYNC_LIGHT,
                        .highest = highest,
                        .direct = true,
                        .ignore_skip = prio == COMPACT_PRIO_SYNC_FULL,
                        .whole_zone = prio == COMPACT_PRIO_SYNC_FULL};
    return compact_zone(&c);
}

/* one_zone_of compacts one zone of the request; true when that ends the search. */
static bool one_zone_of(struct mm_sys *s, const struct phys_req *r, unsigned nid, enum zone_id zone,
                        enum compact_prio prio, enum compact_result *best)
{
    struct compact_zone *z = &s->compaction.zone[nid][zone];
    int order = (int)r->order;
    enum compact_result got;
    if (prio > COMPACT_PRIO_SYNC_FULL && compaction_deferred(z, order))
        got = COMPACT_DEFERRED;
    else
        got = compact_for(s, r, nid, zone, prio);
    *best = got > *best ? got : *best;
    if (got == COMPACT_SUCCESS)
        compaction_defer_reset(z, order, false);
    else if (prio != COMPACT_PRIO_ASYNC &&
             (got == COMPACT_COMPLETE || got == COMPACT_PARTIAL_SKIPPED))
        defer_compaction(z, order);
    return got == COMPACT_SUCCESS;
}

enum compact_result try_to_compact_pages(struct mm_sys *s, const struct phys_req *r,
                                         enum compact_prio prio)
{
    unsigned nid = r->nid == PHYS_NID_LOCAL ? numa_node_id(s) : r->nid;
    const uint8_t *order = phys_fallback(s->phys, nid);
    unsigned nodes = r->flags & PHYS_THISNODE ? 1 : phys_nodes(s->phys);
    enum compact_result best = COMPACT_SKIPPED;
    for (unsigned i = 0; i < nodes; i++) {
        if (r->nodes != 0 && !(r->nodes >> order[i] & 1))
            continue;
        for (int z = (int)highest_zone(r->gfp); z >= 0; z--)
            if (one_zone_of(s, r, order[i], (enum zone_id)z, prio, &best))
                return best;
    }
    return best;
}

int alloc_direct_compact(struct mm_sys *s, struct phys_req *r, enum compact_prio prio, pfn *ret)
{
    if (r->order == 0)
        return -ENOMEM;
    enum compact_result got = try_to_compact_pages(s, r, prio);
    s->compaction.last = got;
    if (got == COMPACT_SKIPPED)
        return -ENOMEM;
    STAT(s->stats, compact_stall)++;
    r->mark = PHYS_MARK_MIN;
    int err = phys_alloc_req(s->phys, r, ret);
    if (err != 0) {
        phys_drain_all(s->phys); /* what was freed may wait on lists */
        err = phys_alloc_req(s->phys, r, ret);
    }
    if (err != 0) {
        STAT(s->stats, compact_fail)++;
        return err;
    }
    const struct frame *f = phys_frame(s->phys, *ret);
    struct compact_zone *z = &s->compaction.zone[f->nid][f->zone];
    z->skip_flush = false;
    compaction_defer_reset(z, (int)r->order, true);
    STAT(s->stats, compact_success)++;
    return 0;
}

/* -- everything, and kcompactd --------------------------------------------------------------- */

static void compact_node(struct mm_sys *s, unsigned nid, bool proactive)
{
    for (int z = 0; z < ZONE_NR; z++) {
        struct compact c = {.s = s,
                            .nid = nid,
                            .zone = (enum zone_id)z,
                            .order = VIA_COMPACT,
                            .type = MIGRATE_UNMOVABLE,
                            .mode = proactive ? COMPACT_SYNC_LIGHT : COMPACT_SYNC,
                            .ignore_skip = true,
                            .whole_zone = true,
                            .proactive = proactive};
        compact_zone(&c);
        if (proactive) {
            STAT(s->stats, compact_daemon_migrate_scanned) += c.migrate_scanned;
            STAT(s->stats, compact_daemon_free_scanned) += c.free_scanned;
        }
    }
}

void mm_compact_node(struct mm_sys *s, unsigned nid)
{
    mm_lru_drain(s);
    compact_node(s, nid, false);
    AUDIT(audit_fault(s));
}

void mm_compact_memory(struct mm_sys *s)
{
    for (unsigned nid = 0; nid < phys_nodes(s->phys); nid++)
        mm_compact_node(s, nid);
}

unsigned mm_fragmentation_score(const struct mm_sys *s, unsigned nid)
{
    struct phys_node_info node;
    unsigned score = 0;
    phys_node_info(s->phys, nid, &node);
    for (int z = 0; z < ZONE_NR; z++) {
        struct phys_zone_info info;
        phys_zone_info(s->phys, nid, (enum zone_id)z, &info);
        uint64_t part = phys_extfrag_percent(s->phys, nid, (enum zone_id)z, HPAGE_ORDER);
        score += (unsigned)(part * info.present / (node.present + 1));
    }
    return score;
}

/* proactive_compact compacts a node whose score is too high: ms until the next look. */
static uint64_t proactive_compact(struct mm_sys *s, unsigned nid)
{
    unsigned before = mm_fragmentation_score(s, nid);
    if (s->conf.vm_compaction_proactiveness == 0 || before <= wmark_score(s, false))
        return CHECK_INTERVAL_MS;
    compact_node(s, nid, true);
    bool better = mm_fragmentation_score(s, nid) < before;
    return better ? CHECK_INTERVAL_MS : CHECK_INTERVAL_MS << MAX_DEFER_SHIFT;
}

/* kcompactd_zone is kcompactd_do_work for one zone. It asks twice whether that is wanted: for itself,
 * and for those who may use higher zones. */
static void kcompactd_zone(struct mm_sys *s, unsigned nid, enum zone_id zone, int order,
                           enum zone_id highest)
{
    struct compact_zone *z = &s->compaction.zone[nid][zone];
    if (compaction_deferred(z, order) ||
        suits(s, nid, zone, (unsigned)order, zone, true) != COMPACT_CONTINUE ||
        suits(s, nid, zone, (unsigned)order, highest, true) != COMPACT_CONTINUE)
        return;
    struct compact c = {.s = s,
                        .highest = highest,
                        .nid = nid,
                        .zone = zone,
                        .order = order,
                        .type = MIGRATE_UNMOVABLE,
                        .mode = COMPACT_SYNC_LIGHT};
    enum compact_result r = compact_zone(&c);
    if (r == COMPACT_SUCCESS) {
        compaction_defer_reset(z, order, false);
    } else if (r == COMPACT_PARTIAL_SKIPPED || r == COMPACT_COMPLETE) {
        phys_drain_all(s->phys);
        defer_compaction(z, order);
    }
    STAT(s->stats, compact_daemon_migrate_scanned) += c.migrate_scanned;
    STAT(s->stats, compact_daemon_free_scanned) += c.free_scanned;
}

void reset_isolation_hints(struct mm_sys *s, unsigned nid)
{
    for (int z = 0; z < ZONE_NR; z++) {
        struct phys_zone_info info;
        struct compact_zone *cz = &s->compaction.zone[nid][z];
        phys_zone_info(s->phys, nid, (enum zone_id)z, &info);
        if (cz->skip_flush)
            reset_isolation_suitable(s, cz, info.start_pfn, info.start_pfn + info.spanned);
    }
}

void wakeup_kcompactd(struct mm_sys *s, unsigned nid, unsigned order, enum zone_id highest)
{
    struct compact_node *n = &s->compaction.node[nid];
    if (order == 0)
        return;
    n->order = order > n->order ? order : n->order;
    n->highest = highest < n->highest ? highest : n->highest;
}

static void kcompactd_do_work(struct mm_sys *s, unsigned nid)
{
    struct compact_node *n = &s->compaction.node[nid];
    STAT(s->stats, compact_daemon_wake)++;
    for (int z = 0; z <= (int)n->highest; z++)
        kcompactd_zone(s, nid, (enum zone_id)z, (int)n->order, n->highest);
    n->order = 0;
    n->highest = ZONE_NORMAL;
}

void kcompactd_tick(struct mm_sys *s, uint64_t now_ms)
{
    for (unsigned nid = 0; nid < phys_nodes(s->phys); nid++) {
        struct compact_node *n = &s->compaction.node[nid];
        struct arch_worker before = arch_task_begin(s->outbox, TASK_KCOMPACTD, nid);
        if (n->order > 0) {
            kcompactd_do_work(s, nid);
            n->due_ms = now_ms + CHECK_INTERVAL_MS;
        } else if (now_ms >= n->due_ms) {
            n->due_ms = now_ms + proactive_compact(s, nid);
        }
        arch_task_end(s->outbox, before);
    }
}
