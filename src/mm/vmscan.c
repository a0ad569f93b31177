/* vmscan.c: which pages reclaim looks at, and who makes it look.
 *
 *   kswapd (balance_pgdat) ┐
 *   direct reclaim         ┴─► shrink_node ─► get_scan_count ─► for each list, 32 pages at a time
 *        active    shrink_active_list     used by running code: again; else to the inactive list
 *        inactive  shrink_inactive_list ─► shrink_folio_list (reclaim.c)
 *
 * I1  Writes started by a batch of 32 end with it: those pages are clean then and stand first in line
 *     for the next batch. Else a round could fill the swap area before one page is free.
 * I2  Reclaim never begins inside reclaim (s->reclaiming).
 *
 * Source: Linux 6.18 mm/vmscan.c (shrink_active_list, shrink_inactive_list, shrink_lruvec,
 * prepare_scan_control, shrink_node, balance_pgdat, do_try_to_free_pages), mm/swap.c
 * (lru_note_cost).
 */
#include "mm/mm_int.h"
#include "policy/reclaim.h"

/* -- lists ---------------------------------------------------------------------------------------------- */

/* isolate takes up to nr folios from the tail of a list, of zones up to the one that is asked for. */
static unsigned isolate(struct mm_sys *s, const struct scan_control *sc, enum lru_list l, pfn *ret,
                        uint64_t nr)
{
    struct lruvec *v = &s->lru.node[sc->nid].lru;
    unsigned got = 0;
    for (uint32_t at = v->lists[l].tail; at != 0 && got < nr;) {
        pfn n = {at - 1};
        const struct frame *f = phys_frame(s->phys, n);
        at = f->link_prev;
        if (f->zone <= sc->zone && folio_isolate_lru(s, n))
            ret[got++] = n;
    }
    return got;
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
    pfn list[SWAP_CLUSTER_MAX];
    bool file = l == LRU_ACTIVE_FILE;
    uint64_t rotated = 0;
    lru_add_drain(s);
    unsigned got = isolate(s, sc, l, list, nr);
    STAT(s->stats, pgrefill) += got;
    for (unsigned i = 0; i < got; i++) {
        struct frame *f = phys_frame(s->phys, list[i]);
        struct referenced r = {0};
        if (!(f->flags & (FRAME_F_MLOCKED | FRAME_F_LOCKED)) && folio_mapped(s, list[i]))
            r = folio_referenced(s, list[i]);
        if (r.ptes > 0 && r.exec && folio_is_file_lru(f)) {
            rotated += BIT(f->order);
        } else if (!(f->flags & FRAME_F_MLOCKED)) {
            f->flags = (f->flags & ~FRAME_F_ACTIVE) | FRAME_F_WORKINGSET;
            STAT(s->stats, pgdeactivate) += BIT(f->order);
        }
        folio_putback_lru(s, list[i]);
    }
    lru_note_cost(s, sc->nid, file, 0, rotated);
}

static uint64_t shrink_inactive_list(struct mm_sys *s, struct scan_control *sc, enum lru_list l,
                                     uint64_t nr)
{
    pfn list[SWAP_CLUSTER_MAX];
    bool file = l == LRU_INACTIVE_FILE;
    uint64_t io = sc->nr_io;
    lru_add_drain(s);
    unsigned got = isolate(s, sc, l, list, nr);
    if (got == 0)
        return 0;
    uint64_t freed = shrink_folio_list(s, sc, list, got);
    struct stat_set *st = s->stats;
    *(sc->kswapd ? &STAT(st, pgscan_kswapd) : &STAT(st, pgscan_direct)) += got;
    *(sc->kswapd ? &STAT(st, pgsteal_kswapd) : &STAT(st, pgsteal_direct)) += freed;
    *(file ? &STAT(st, pgscan_file) : &STAT(st, pgscan_anon)) += got;
    *(file ? &STAT(st, pgsteal_file) : &STAT(st, pgsteal_anon)) += freed;
    lru_note_cost(s, sc->nid, file, sc->nr_io - io, got - freed);
    if (sc->nr_dirty_file == got) /* nothing but dirty pages: wakeup_flusher_threads */
        writeback_inodes(s, UINT64_MAX);
    sc->nr_dirty_file = 0;
    writeback_end(s); /* I1 */
    return freed;
}

static uint64_t lru_size(const struct mm_sys *s, const struct scan_control *sc, int l)
{
    uint64_t pages = 0;
    for (unsigned z = 0; z <= sc->zone; z++)
        pages += s->lru.node[sc->nid].lru.zone[z][l];
    return pages;
}

static bool list_is_low(const struct mm_sys *s, const struct scan_control *sc, int inactive)
{
    return inactive_is_low(lru_size(s, sc, inactive), lru_size(s, sc, inactive + 1));
}

static void shrink_list(struct mm_sys *s, struct scan_control *sc, int l, uint64_t nr)
{
    if (l == LRU_INACTIVE_ANON || l == LRU_INACTIVE_FILE)
        shrink_inactive_list(s, sc, (enum lru_list)l, nr);
    else if (l == LRU_ACTIVE_FILE ? sc->deactivate_file : sc->deactivate_anon)
        shrink_active_list(s, sc, (enum lru_list)l, nr);
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
    if (in.may_swap && list_is_low(s, sc, LRU_INACTIVE_ANON))
        shrink_active_list(s, sc, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
}

/* -- nodes ------------------------------------------------------------------------------------------- */

static void prepare_scan_control(const struct mm_sys *s, struct scan_control *sc)
{
    const struct mm_node *node = &s->lru.node[sc->nid];
    const uint64_t *v = node->stat.v;
    uint64_t high = 0, free = 0;
    sc->deactivate_anon = v[NODE_workingset_activate_anon] != node->lru.refaults[0] ||
                          list_is_low(s, sc, LRU_INACTIVE_ANON);
    sc->deactivate_file = v[NODE_workingset_activate_file] != node->lru.refaults[1] ||
                          list_is_low(s, sc, LRU_INACTIVE_FILE);
    sc->cache_trim = v[NODE_nr_inactive_file] >> sc->priority && !sc->deactivate_file;
    for (int z = 0; z < ZONE_NR; z++) {
        struct phys_zone_info zone;
        phys_zone_info(s->phys, sc->nid, (enum zone_id)z, &zone);
        high += zone.high;
        free += zone.free;
    }
    sc->file_is_tiny = file_is_tiny(v[NODE_nr_active_file] + v[NODE_nr_inactive_file], free, high,
                                    v[NODE_nr_inactive_anon], sc->priority, sc->deactivate_anon);
}

void shrink_node(struct mm_sys *s, struct scan_control *sc)
{
    uint64_t before = sc->nr_reclaimed;
    prepare_scan_control(s, sc);
    shrink_lruvec(s, sc);
    sc->nr_reclaimed += mm_shrink_thp(s, s->thp.deferred_nr >> sc->priority);
    if (sc->nr_reclaimed > before)
        s->lru.node[sc->nid].kswapd_failures = 0;
}

static void snapshot_refaults(struct mm_node *node)
{
    node->lru.refaults[0] = node->stat.v[NODE_workingset_activate_anon];
    node->lru.refaults[1] = node->stat.v[NODE_workingset_activate_file];
}

uint64_t try_to_free_pages(struct mm_sys *s, unsigned nid, uint64_t allowed, enum zone_id zone)
{
    struct scan_control sc = {.nr_to_reclaim = SWAP_CLUSTER_MAX, .zone = zone, .may_swap = true};
    const uint8_t *nodes = phys_fallback(s->phys, nid);
    if (s->reclaiming) /* PF_MEMALLOC */
        return 0;
    s->reclaiming = true;
    STAT(s->stats, allocstall_normal)++;
    for (int priority = DEF_PRIORITY; priority >= 0 && sc.nr_reclaimed < sc.nr_to_reclaim;
         priority--) {
        sc.priority = (unsigned)priority;
        for (unsigned i = 0; i < phys_nodes(s->phys); i++) {
            sc.nid = nodes[i];
            if (allowed == 0 || (allowed >> sc.nid & 1))
                shrink_node(s, &sc);
        }
    }
    for (unsigned i = 0; i < phys_nodes(s->phys); i++)
        snapshot_refaults(&s->lru.node[i]);
    s->reclaiming = false;
    return sc.nr_reclaimed;
}

/* -- kswapd -------------------------------------------------------------------------------------------- */

/* pgdat_balanced: one zone a request could use has its high watermark. */
static bool pgdat_balanced(const struct mm_sys *s, unsigned nid, enum zone_id top)
{
    bool any = false;
    for (int z = 0; z <= (int)top; z++) {
        struct phys_zone_info zone;
        phys_zone_info(s->phys, nid, (enum zone_id)z, &zone);
        if (zone.managed == 0)
            continue;
        any = true;
        if (phys_watermark_ok(s->phys, nid, (enum zone_id)z, 0, zone.high, top, 0))
            return true;
    }
    return !any;
}

static uint64_t kswapd_target(const struct mm_sys *s, unsigned nid)
{
    uint64_t pages = 0;
    for (int z = 0; z < ZONE_NR; z++) {
        struct phys_zone_info zone;
        phys_zone_info(s->phys, nid, (enum zone_id)z, &zone);
        if (zone.managed > 0)
            pages += max_u64(zone.high, SWAP_CLUSTER_MAX);
    }
    return pages;
}

void balance_pgdat(struct mm_sys *s, unsigned nid, enum zone_id top)
{
    struct mm_node *node = &s->lru.node[nid];
    struct scan_control sc = {.nid = nid, .kswapd = true, .zone = top, .may_swap = true};
    STAT(s->stats, pageoutrun)++;
    phys_set_reclaim_active(s->phys, nid, top, true);
    for (sc.priority = DEF_PRIORITY; sc.priority >= 1;) {
        uint64_t scanned = sc.nr_scanned, reclaimed = sc.nr_reclaimed;
        if (pgdat_balanced(s, nid, top))
            break;
        sc.nr_to_reclaim = kswapd_target(s, nid);
        shrink_node(s, &sc);
        if (sc.nr_scanned - scanned < sc.nr_to_reclaim || sc.nr_reclaimed == reclaimed)
            sc.priority--;
    }
    phys_set_reclaim_active(s->phys, nid, top, false);
    node->kswapd_failures = sc.nr_reclaimed > 0 ? 0 : node->kswapd_failures + 1;
    snapshot_refaults(node);
}

void mm_kswapd(struct mm_sys *s)
{
    struct phys_kswapd want;
    if (!phys_kswapd_any(s->phys) || s->reclaiming)
        return;
    s->reclaiming = true;
    for (unsigned nid = 0; nid < phys_nodes(s->phys); nid++) {
        if (!phys_kswapd_wanted(s->phys, nid, &want))
            continue;
        phys_kswapd_clear(s->phys, nid);
        if (s->lru.node[nid].kswapd_failures < MAX_RECLAIM_RETRIES)
            balance_pgdat(s, nid, want.highest);
        wakeup_kcompactd(s, nid, want.order, want.highest);
    }
    s->reclaiming = false;
}

uint64_t mm_shrink_all(struct mm_sys *s)
{
    struct scan_control sc = {.nr_to_reclaim = UINT64_MAX, .zone = ZONE_NR - 1, .may_swap = true};
    lru_add_drain_all(s);
    s->reclaiming = true;
    for (int round = 0; round < 8; round++)
        for (sc.nid = 0; sc.nid < phys_nodes(s->phys); sc.nid++)
            shrink_node(s, &sc);
    s->reclaiming = false;
    return sc.nr_reclaimed;
}
