/* vmscan.c: which pages reclaim looks at, and who makes it look.
 *
 *   kswapd (balance_pgdat) ┐
 *   direct reclaim         ┴─► shrink_node ─► get_scan_count ─► for each list, 32 pages at a time
 *        active    shrink_active_list     used by running code: again; else to the inactive list
 *        inactive  shrink_inactive_list ─► shrink_folio_list (reclaim.c)
 *
 * For orders above 0 reclaim goes on while compaction has too little room, and stops where it has.
 *
 * I1  Writes started by a batch of 32 end with it: those pages are clean then and stand first in line
 *     for the next batch. Else a round could fill the swap area before one page is free.
 * I2  Reclaim never begins inside reclaim (s->reclaiming).
 * I3  kswapd ends: every run makes the node more balanced or adds to kswapd_failures, up to 16.
 *
 * Source: Linux 6.18 mm/vmscan.c (isolate_lru_folios, shrink_active_list, shrink_inactive_list,
 * shrink_lruvec, prepare_scan_control, should_continue_reclaim, shrink_node, shrink_zones,
 * do_try_to_free_pages, balance_pgdat, kswapd, wakeup_kswapd), mm/shrinker.c (do_shrink_slab),
 * mm/swap.c (lru_note_cost_unlock_irq).
 */
#include "mm/mm_int.h"
#include "policy/reclaim.h"

#define COSTLY_ORDER 3u          /* PAGE_ALLOC_COSTLY_ORDER */
#define SKIPPED_MAX  (32u << 10) /* SWAP_CLUSTER_MAX_SKIPPED */
#define SHRINK_BATCH 128u        /* objects a shrinker is asked for at a time */

/* -- lists ---------------------------------------------------------------------------------------------- */

/* Folios taken off a list. */
struct batch {
    pfn folio[SWAP_CLUSTER_MAX];
    unsigned nr;
    uint64_t taken, scanned; /* pages: of these folios; with those of zones that do not help */
};

static bool too_high(const struct scan_control *sc, const struct frame *f, unsigned skipped)
{
    return f->zone > sc->zone && skipped < SKIPPED_MAX;
}

/* isolate takes folios from the tail of a list until it has looked at nr pages: a large folio counts
 * as what it is. Those of zones above the wanted one go to the head. */
static void isolate(struct mm_sys *s, const struct scan_control *sc, enum lru_list l, uint64_t nr,
                    struct batch *ret)
{
    struct lruvec *v = &s->lru.node[sc->nid].lru;
    unsigned skipped = 0;
    uint32_t first_skipped = 0;
    uint64_t scan = 0;
    *ret = (struct batch){0};
    for (uint32_t at = v->lists[l].tail; at != 0 && at != first_skipped && scan < nr;) {
        pfn n = {at - 1};
        const struct frame *f = phys_frame(s->phys, n);
        at = f->link_prev;
        ret->scanned += BIT(f->order);
        if (too_high(sc, f, skipped)) {
            first_skipped = first_skipped != 0 ? first_skipped : (uint32_t)(n.v + 1);
            skipped++;
            lruvec_del(s, n);
            lruvec_add(s, n, false);
            continue;
        }
        scan += BIT(f->order);
        ret->taken += BIT(f->order);
        folio_isolate_lru(s, n);
        ret->folio[ret->nr++] = n;
    }
}

void lru_note_cost(struct mm_sys *s, unsigned nid, bool file, uint64_t io, uint64_t rotated)
{
    struct mm_node *node = &s->lru.node[nid];
    uint64_t pages = 0;
    for (int l = 0; l < LRU_UNEVICTABLE; l++)
        pages += node->stat.v[NODE_nr_inactive_anon + l];
    uint64_t *anon_cost = &node->lru.anon_cost, *file_cost = &node->lru.file_cost;
    scan_cost(file ? file_cost : anon_cost, file ? anon_cost : file_cost, io, rotated, pages);
}

static void shrink_active_list(struct mm_sys *s, struct scan_control *sc, enum lru_list l,
                               uint64_t nr)
{
    struct batch b;
    uint64_t rotated = 0;
    lru_add_drain(s);
    isolate(s, sc, l, nr, &b);
    STAT(s->stats, pgrefill) += b.scanned;
    for (unsigned i = 0; i < b.nr; i++) {
        struct frame *f = phys_frame(s->phys, b.folio[i]);
        struct referenced r = {0};
        bool evictable = folio_evictable(f);
        if (evictable && !(f->flags & FRAME_F_LOCKED) && folio_mapped(s, b.folio[i]))
            r = folio_referenced(s, b.folio[i]);
        if (r.vmas > 0 && r.exec && folio_is_file_lru(f)) {
            rotated += BIT(f->order);
        } else if (evictable) {
            f->flags = (f->flags & ~FRAME_F_ACTIVE) | FRAME_F_WORKINGSET;
            STAT(s->stats, pgdeactivate) += BIT(f->order);
        }
        folio_putback_scanned(s, b.folio[i]);
    }
    lru_note_cost(s, sc->nid, l == LRU_ACTIVE_FILE, 0, rotated);
}

static void count_scan(struct mm_sys *s, const struct scan_control *sc, bool file, uint64_t scanned,
                       uint64_t freed)
{
    struct stat_set *st = s->stats;
    *(sc->kswapd ? &STAT(st, pgscan_kswapd) : &STAT(st, pgscan_direct)) += scanned;
    *(sc->kswapd ? &STAT(st, pgsteal_kswapd) : &STAT(st, pgsteal_direct)) += freed;
    *(file ? &STAT(st, pgscan_file) : &STAT(st, pgscan_anon)) += scanned;
    *(file ? &STAT(st, pgsteal_file) : &STAT(st, pgsteal_anon)) += freed;
}

static void shrink_inactive_list(struct mm_sys *s, struct scan_control *sc, enum lru_list l,
                                 uint64_t nr)
{
    struct batch b;
    bool file = l == LRU_INACTIVE_FILE;
    lru_add_drain(s);
    isolate(s, sc, l, nr, &b);
    sc->nr_pageout = sc->nr_unqueued_dirty = 0;
    uint64_t freed = b.nr > 0 ? shrink_folio_list(s, sc, b.folio, b.nr) : 0;
    count_scan(s, sc, file, b.scanned, freed);
    if (b.nr == 0)
        return;
    lru_note_cost(s, sc->nid, file, sc->nr_pageout, b.scanned - freed);
    if (sc->nr_unqueued_dirty == b.taken) /* nothing but dirty pages: wakeup_flusher_threads */
        writeback_inodes(s, UINT64_MAX);
    writeback_end(s); /* I1 */
}

static uint64_t lru_size(const struct mm_sys *s, const struct scan_control *sc, int l)
{
    uint64_t pages = 0;
    for (unsigned z = 0; z <= sc->zone; z++)
        pages += s->lru.node[sc->nid].lru.zone[z][l];
    return pages;
}

/* list_is_low is inactive_is_low of a node: of all its zones. */
static bool list_is_low(const struct mm_sys *s, unsigned nid, int inactive)
{
    const uint64_t *v = s->lru.node[nid].stat.v;
    return inactive_is_low(v[NODE_nr_inactive_anon + inactive],
                           v[NODE_nr_inactive_anon + inactive + 1]);
}

static void shrink_list(struct mm_sys *s, struct scan_control *sc, int l, uint64_t nr)
{
    if (l == LRU_INACTIVE_ANON || l == LRU_INACTIVE_FILE)
        shrink_inactive_list(s, sc, (enum lru_list)l, nr);
    else if (l == LRU_ACTIVE_FILE ? sc->deactivate_file : sc->deactivate_anon)
        shrink_active_list(s, sc, (enum lru_list)l, nr);
    else
        sc->skipped_deactivate = true;
}

/* age_anon lets a few active anonymous pages go down: whenever there is swap at all. */
static void age_anon(struct mm_sys *s, struct scan_control *sc)
{
    if (s->swap.total > 0 && list_is_low(s, sc->nid, LRU_INACTIVE_ANON))
        shrink_active_list(s, sc, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
}

/* stop_smaller: enough was found. The kind with less left to scan ends here, the other goes on to the
 * same share of its target. False when one kind has nothing left. */
static bool stop_smaller(const uint64_t target[SCAN_NR], uint64_t nr[SCAN_NR])
{
    uint64_t anon = nr[0] + nr[1], file = nr[2] + nr[3];
    if (anon == 0 || file == 0)
        return false;
    int small = file > anon ? 0 : 2, big = small ^ 2;
    uint64_t left = (small ? file : anon) * 100 / (target[small] + target[small + 1] + 1);
    nr[small] = nr[small + 1] = 0;
    for (int l = big; l < big + 2; l++) {
        uint64_t scanned = target[l] - nr[l], goal = target[l] * (100 - left) / 100;
        nr[l] = goal - min_u64(goal, scanned);
    }
    return true;
}

static void shrink_lruvec(struct mm_sys *s, struct scan_control *sc)
{
    const struct lruvec *v = &s->lru.node[sc->nid].lru;
    struct scan_input in = {.anon_cost = v->anon_cost,
                            .file_cost = v->file_cost,
                            .swappiness = (unsigned)s->conf.vm_swappiness,
                            .priority = sc->priority,
                            .may_swap = sc->may_swap && mm_swap_free(s) > 0,
                            .file_is_tiny = sc->file_is_tiny,
                            .cache_trim = sc->cache_trim};
    uint64_t nr[SCAN_NR], target[SCAN_NR], before = sc->nr_reclaimed;
    bool proportional = !sc->kswapd && sc->priority == DEF_PRIORITY;
    for (int l = 0; l < SCAN_NR; l++)
        in.size[l] = lru_size(s, sc, l);
    get_scan_count(&in, nr);
    memcpy(target, nr, sizeof(nr));
    while (nr[LRU_INACTIVE_ANON] || nr[LRU_ACTIVE_FILE] || nr[LRU_INACTIVE_FILE]) {
        for (int l = 0; l < SCAN_NR; l++) {
            uint64_t now = min_u64(nr[l], SWAP_CLUSTER_MAX);
            nr[l] -= now;
            if (now > 0)
                shrink_list(s, sc, l, now);
        }
        if (sc->nr_reclaimed - before < sc->nr_to_reclaim || proportional)
            continue;
        if (!stop_smaller(target, nr))
            break;
    }
    age_anon(s, sc);
}

/* -- nodes ------------------------------------------------------------------------------------------- */

static void may_deactivate(const struct mm_node *node, struct scan_control *sc, bool anon_low,
                           bool file_low)
{
    const uint64_t *v = node->stat.v;
    sc->deactivate_anon = sc->force_deactivate || anon_low ||
                          v[NODE_workingset_activate_anon] != node->lru.refaults[0];
    sc->deactivate_file = sc->force_deactivate || file_low ||
                          v[NODE_workingset_activate_file] != node->lru.refaults[1];
}

static void prepare_scan_control(const struct mm_sys *s, struct scan_control *sc)
{
    const struct mm_node *node = &s->lru.node[sc->nid];
    const uint64_t *v = node->stat.v;
    uint64_t high = 0, free = 0;
    may_deactivate(node, sc, list_is_low(s, sc->nid, LRU_INACTIVE_ANON),
                   list_is_low(s, sc->nid, LRU_INACTIVE_FILE));
    sc->cache_trim =
        v[NODE_nr_inactive_file] >> sc->priority && !sc->deactivate_file && !sc->no_cache_trim;
    for (int z = 0; z < ZONE_NR; z++) {
        struct phys_zone_info zone;
        phys_zone_info(s->phys, sc->nid, (enum zone_id)z, &zone);
        high += zone.high;
        free += zone.free;
    }
    sc->file_is_tiny = file_is_tiny(v[NODE_nr_active_file] + v[NODE_nr_inactive_file], free, high,
                                    v[NODE_nr_inactive_anon], sc->priority, sc->deactivate_anon);
}

/* shrink_slab asks the one shrinker there is, that of partly mapped huge pages; what is left over for
 * a full batch waits for the next time. The pages it frees do not count as reclaimed: only those of
 * slabs do. */
static void shrink_slab(struct mm_sys *s, unsigned priority)
{
    uint64_t freeable = s->thp.deferred_nr, scanned = 0, now;
    if (freeable == 0)
        return;
    uint64_t waiting = s->thp.shrink_waiting, delta = 2 * (freeable >> priority); /* seeks: 2 */
    uint64_t total = min_u64((waiting >> priority) + delta, 2 * freeable);
    for (; total >= SHRINK_BATCH || total >= freeable; total -= now, scanned += now) {
        now = min_u64(SHRINK_BATCH, total);
        if (deferred_split_scan(s, now) == 0 && s->thp.deferred_nr == 0)
            break; /* SHRINK_STOP */
    }
    waiting = waiting + delta > scanned ? waiting + delta - scanned : 0;
    s->thp.shrink_waiting = min_u64(waiting, 2 * freeable);
}

/* room_to_compact: a zone has the block already, or frames enough for compaction to make it. */
static bool room_to_compact(const struct mm_sys *s, const struct scan_control *sc, enum zone_id z,
                            uint64_t mark, uint64_t compact_mark)
{
    enum zone_id top = (enum zone_id)sc->zone;
    return phys_watermark_ok(s->phys, sc->nid, z, sc->order, mark, top, 0) ||
           phys_compaction_suitable(s->phys, sc->nid, z, sc->order, compact_mark, top);
}

/* should_continue_reclaim: for a block, until compaction has room, while there is anything. */
static bool should_continue_reclaim(const struct mm_sys *s, const struct scan_control *sc,
                                    uint64_t freed)
{
    const uint64_t *v = s->lru.node[sc->nid].stat.v;
    if (sc->order == 0 || (sc->order <= COSTLY_ORDER && sc->priority >= DEF_PRIORITY - 2))
        return false;
    if (freed == 0)
        return false;
    for (unsigned z = 0; z <= sc->zone; z++) {
        struct phys_zone_info i;
        phys_zone_info(s->phys, sc->nid, (enum zone_id)z, &i);
        if (i.managed > 0 && room_to_compact(s, sc, (enum zone_id)z, i.min, i.min))
            return false;
    }
    uint64_t inactive = v[NODE_nr_inactive_file];
    inactive += mm_swap_free(s) > 0 ? v[NODE_nr_inactive_anon] : 0;
    return inactive > compact_gap(sc->order);
}

void shrink_node(struct mm_sys *s, struct scan_control *sc)
{
    bool reclaimable = false, again = true;
    while (again) {
        uint64_t before = sc->nr_reclaimed;
        prepare_scan_control(s, sc);
        shrink_lruvec(s, sc);
        shrink_slab(s, sc->priority);
        reclaimable |= sc->nr_reclaimed > before;
        again = should_continue_reclaim(s, sc, sc->nr_reclaimed - before);
    }
    if (reclaimable)
        s->lru.node[sc->nid].kswapd_failures = 0;
    else
        sc->cache_trim_failed |= sc->cache_trim;
}

static void snapshot_refaults(struct mm_node *node)
{
    node->lru.refaults[0] = node->stat.v[NODE_workingset_activate_anon];
    node->lru.refaults[1] = node->stat.v[NODE_workingset_activate_file];
}

/* -- direct reclaim ---------------------------------------------------------------------------------- */

/* Nodes a request may use, in its order. */
struct zonelist {
    const uint8_t *nodes;
    uint64_t allowed; /* bit n: node n; 0: all */
};

static bool node_allowed(const struct zonelist *l, unsigned nid)
{
    return l->allowed == 0 || (l->allowed >> nid & 1);
}

/* compaction_ready: for a costly block this zone needs no reclaim. */
static bool compaction_ready(const struct mm_sys *s, const struct scan_control *sc, enum zone_id z)
{
    struct phys_zone_info i;
    phys_zone_info(s->phys, sc->nid, z, &i);
    return sc->order > COSTLY_ORDER && room_to_compact(s, sc, z, i.min, i.high);
}

/* shrink_zones shrinks each node once, for the first of its zones that is not ready for compaction. */
static void shrink_zones(struct mm_sys *s, const struct zonelist *l, struct scan_control *sc)
{
    for (unsigned i = 0; i < phys_nodes(s->phys); i++) {
        bool shrunk = false;
        sc->nid = l->nodes[i];
        for (int z = (int)sc->zone; z >= 0 && node_allowed(l, sc->nid); z--) {
            struct phys_zone_info info;
            phys_zone_info(s->phys, sc->nid, (enum zone_id)z, &info);
            if (info.spanned == 0)
                continue;
            if (compaction_ready(s, sc, (enum zone_id)z)) {
                sc->compaction_ready = true;
            } else if (!shrunk) {
                shrink_node(s, sc);
                shrunk = true;
            }
        }
    }
}

/* reclaim_pass goes down the priorities until enough is free. */
static void reclaim_pass(struct mm_sys *s, const struct zonelist *l, struct scan_control *sc)
{
    STAT(s->stats, allocstall_normal)++;
    for (int priority = DEF_PRIORITY; priority >= 0; priority--) {
        sc->priority = (unsigned)priority;
        shrink_zones(s, l, sc);
        if (sc->nr_reclaimed >= sc->nr_to_reclaim || sc->compaction_ready)
            break;
    }
    for (unsigned i = 0; i < phys_nodes(s->phys); i++)
        if (node_allowed(l, l->nodes[i]))
            snapshot_refaults(&s->lru.node[l->nodes[i]]);
}

/* do_try_to_free_pages: a pass in vain is made again (Linux walks all its cgroups then), and if active
 * lists were spared, once more without sparing them. */
static uint64_t do_try_to_free_pages(struct mm_sys *s, const struct zonelist *l,
                                     struct scan_control *sc)
{
    reclaim_pass(s, l, sc);
    if (sc->nr_reclaimed == 0 && !sc->compaction_ready)
        reclaim_pass(s, l, sc);
    if (sc->nr_reclaimed == 0 && !sc->compaction_ready && sc->skipped_deactivate) {
        sc->force_deactivate = true;
        reclaim_pass(s, l, sc);
    }
    return sc->nr_reclaimed > 0 ? sc->nr_reclaimed : sc->compaction_ready;
}

uint64_t try_to_free_pages(struct mm_sys *s, unsigned nid, uint64_t allowed, unsigned order,
                           enum zone_id zone)
{
    struct zonelist l = {phys_fallback(s->phys, nid), allowed};
    struct scan_control sc = {.nr_to_reclaim = SWAP_CLUSTER_MAX,
                              .zone = zone,
                              .order = order,
                              .may_writepage = true,
                              .may_swap = true};
    if (s->reclaiming) /* PF_MEMALLOC */
        return 0;
    s->reclaiming = true;
    uint64_t freed = do_try_to_free_pages(s, &l, &sc);
    s->reclaiming = false;
    return freed;
}

/* -- kswapd -------------------------------------------------------------------------------------------- */

/* One run of balance_pgdat. */
struct balance {
    struct scan_control sc;
    enum zone_id top;         /* highest zone that was asked for */
    uint64_t boost;           /* frames of boosts that are still to be reclaimed */
    uint64_t boosts[ZONE_NR]; /* of each zone, when it began */
};

/* pgdat_balanced: one zone a request could use has its high watermark and the block. vm.defrag_mode
 * counts whole pageblocks only. */
static bool pgdat_balanced(const struct mm_sys *s, unsigned nid, unsigned order, enum zone_id top)
{
    bool any = false;
    for (int z = 0; z <= (int)top; z++) {
        struct phys_zone_info i;
        phys_zone_info(s->phys, nid, (enum zone_id)z, &i);
        if (i.managed == 0)
            continue;
        uint64_t free = s->conf.vm_defrag_mode && order > 0 ? i.free_blocks : i.free;
        any = true;
        if (phys_watermark_ok_free(s->phys, nid, (enum zone_id)z, order, i.high, top, 0, free))
            return true;
    }
    return !any;
}

static uint64_t node_boost(const struct mm_sys *s, unsigned nid, enum zone_id top, uint64_t *ret)
{
    uint64_t sum = 0;
    for (int z = 0; z <= (int)top; z++) {
        struct phys_zone_info info;
        phys_zone_info(s->phys, nid, (enum zone_id)z, &info);
        ret[z] = info.boost;
        sum += info.boost;
    }
    return sum;
}

/* kswapd_shrink_node: a high watermark of pages from each zone; true if so much was looked at. Enough
 * for compaction ends the wish for a block. */
static bool kswapd_shrink_node(struct mm_sys *s, struct scan_control *sc)
{
    uint64_t before = sc->nr_reclaimed;
    sc->nr_to_reclaim = sc->nr_scanned = 0;
    for (unsigned z = 0; z <= sc->zone; z++) {
        struct phys_zone_info zone;
        phys_zone_info(s->phys, sc->nid, (enum zone_id)z, &zone);
        if (zone.managed > 0)
            sc->nr_to_reclaim += max_u64(zone.high, SWAP_CLUSTER_MAX);
    }
    shrink_node(s, sc);
    if (sc->order > 0 && sc->nr_reclaimed >= compact_gap(sc->order))
        sc->order = 0;
    return max_u64(sc->nr_scanned, sc->nr_reclaimed - before) >= sc->nr_to_reclaim;
}

enum round { ROUND_ON, ROUND_RESTART, ROUND_BALANCED, ROUND_STOP };

/* balance_round is one turn of balance_pgdat's loop. A boost alone is worked off gently: no writing,
 * no swap, and not below priority 10. */
static enum round balance_round(struct mm_sys *s, struct balance *b)
{
    struct scan_control *sc = &b->sc;
    bool balanced = pgdat_balanced(s, sc->nid, sc->order, b->top);
    if (!balanced && b->boost > 0) {
        b->boost = 0;
        return ROUND_RESTART;
    }
    if (balanced && b->boost == 0)
        return ROUND_BALANCED;
    bool raise = b->boost == 0 || sc->priority != DEF_PRIORITY - 2;
    uint64_t before = sc->nr_reclaimed;
    sc->may_swap = b->boost == 0;
    sc->may_writepage = b->boost == 0 || sc->priority < DEF_PRIORITY - 2;
    age_anon(s, sc);
    raise &= !kswapd_shrink_node(s, sc);
    uint64_t freed = sc->nr_reclaimed - before;
    b->boost -= min_u64(b->boost, freed);
    if (b->boost > 0 && freed == 0)
        return ROUND_STOP;
    sc->priority -= raise || freed == 0;
    return ROUND_ON;
}

/* balance_rounds goes down the priorities; true: the node is balanced. */
static bool balance_rounds(struct mm_sys *s, struct balance *b)
{
    for (bool again = true; again;) {
        enum round r = ROUND_ON;
        for (b->sc.priority = DEF_PRIORITY; r == ROUND_ON && b->sc.priority >= 1;)
            r = balance_round(s, b);
        if (r == ROUND_BALANCED)
            return true;
        again = r == ROUND_RESTART;
        if (r == ROUND_ON && b->sc.nr_reclaimed == 0 && !b->sc.no_cache_trim &&
            b->sc.cache_trim_failed)
            again = b->sc.no_cache_trim = true;
    }
    return false;
}

unsigned balance_pgdat(struct mm_sys *s, unsigned nid, unsigned order, enum zone_id top)
{
    struct balance b = {.sc = {.nid = nid, .kswapd = true, .zone = top, .order = order},
                        .top = top};
    bool boosted = (b.boost = node_boost(s, nid, top, b.boosts)) > 0;
    STAT(s->stats, pageoutrun)++;
    phys_set_reclaim_active(s->phys, nid, top, true);
    if (!balance_rounds(s, &b) && b.sc.nr_reclaimed == 0)
        s->lru.node[nid].kswapd_failures++;
    phys_set_reclaim_active(s->phys, nid, top, false);
    for (int z = 0; z <= (int)top; z++)
        phys_unboost(s->phys, nid, (enum zone_id)z, b.boosts[z]);
    if (boosted)
        wakeup_kcompactd(s, nid, PAGEBLOCK_ORDER, top);
    snapshot_refaults(&s->lru.node[nid]);
    return b.sc.order;
}

static bool hopeless(const struct mm_sys *s, unsigned nid)
{
    return s->lru.node[nid].kswapd_failures >= MAX_RECLAIM_RETRIES;
}

/* kswapd runs until it may sleep (I3), and leaves blocks to kcompactd. A run that freed too little for
 * compaction forgets the block: nobody has asked again meanwhile. */
static void kswapd(struct mm_sys *s, unsigned nid, const struct phys_kswapd *want)
{
    unsigned alloc_order = want->order, left;
    for (;;) {
        left = balance_pgdat(s, nid, alloc_order, want->highest);
        if (left >= alloc_order)
            alloc_order = left = 0;
        if (hopeless(s, nid) || pgdat_balanced(s, nid, left, want->highest))
            break;
        alloc_order = 0;
    }
    reset_isolation_hints(s, nid);
    wakeup_kcompactd(s, nid, alloc_order, want->highest);
}

/* wakeup_kswapd lets it sleep when there is nothing to do, or nothing can be done. */
static void wakeup_kswapd(struct mm_sys *s, unsigned nid, const struct phys_kswapd *want)
{
    uint64_t boosts[ZONE_NR];
    if (hopeless(s, nid) || (pgdat_balanced(s, nid, want->order, want->highest) &&
                             node_boost(s, nid, want->highest, boosts) == 0))
        return;
    kswapd(s, nid, want);
}

/* not_paid takes steps and locks behind message `from` back: they are another task's. Invalidations and cache
 * lines stay. */
static void not_paid(struct arch_outbox *o, uint32_t from)
{
    for (uint32_t i = from; i < o->n; i++)
        if (o->msg[i].kind == ARCH_STEP || o->msg[i].kind == ARCH_LOCK)
            o->msg[i] = (struct arch_msg){.kind = ARCH_STEP};
}

void mm_kswapd(struct mm_sys *s)
{
    struct phys_kswapd want;
    uint32_t from = s->outbox->n;
    if (!phys_kswapd_any(s->phys) || s->reclaiming)
        return;
    s->reclaiming = true;
    for (unsigned nid = 0; nid < phys_nodes(s->phys); nid++) {
        if (!phys_kswapd_wanted(s->phys, nid, &want))
            continue;
        phys_kswapd_clear(s->phys, nid);
        struct arch_worker before = arch_task_begin(s->outbox, TASK_KSWAPD, nid);
        wakeup_kswapd(s, nid, &want);
        arch_task_end(s->outbox, before);
    }
    s->reclaiming = false;
    not_paid(s->outbox, from);
}

uint64_t mm_shrink_all(struct mm_sys *s)
{
    struct scan_control sc = {
        .nr_to_reclaim = UINT64_MAX, .zone = ZONE_NR - 1, .may_writepage = true, .may_swap = true};
    lru_add_drain_all(s);
    s->reclaiming = true;
    for (int round = 0; round < 8; round++)
        for (sc.nid = 0; sc.nid < phys_nodes(s->phys); sc.nid++)
            shrink_node(s, &sc);
    s->reclaiming = false;
    AUDIT(audit_fault(s));
    return sc.nr_reclaimed;
}
