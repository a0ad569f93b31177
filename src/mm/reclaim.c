/* reclaim.c: taking pages back when memory is short.
 *
 *   kswapd, direct ─► shrink_node ─► get_scan_count ─► for each list, 32 pages at a time
 *        active    shrink_active_list     used by running code: again; else to the inactive list
 *        inactive  shrink_inactive_list ─► shrink_folio_list, for each folio:
 *                    referenced again ─► active         referenced once ─► one more round
 *                    anonymous ─► a swap slot ─► unmap ─► write ─► keep until written
 *                    of a file ─► unmap ─► dirty: the flusher writes it, clean: gone
 *                    freed by MADV_FREE and clean ─► gone
 *
 * I1  An isolated folio is on no list, has FRAME_F_ISOLATED and one reference more.
 * I2  A folio with FRAME_F_LOCKED is left as it is: somebody is in the middle of a fault with it.
 * I3  Writes started by a round end with the round: what is clean then goes in the next one.
 *
 * Source: Linux 6.18 mm/vmscan.c (shrink_folio_list, folio_check_references, shrink_active_list,
 * shrink_inactive_list, shrink_lruvec, prepare_scan_control, shrink_node, balance_pgdat,
 * do_try_to_free_pages), mm/rmap.c (folio_referenced_one, try_to_unmap_one).
 */
#include "mm/mm_int.h"
#include "policy/reclaim.h"

static void rmap_set(struct rmap_walk *w, pte value)
{
    CHECK(w->level == 0);
    set_pte(w->m, w->a, w->e, value);
}

/* -- references ------------------------------------------------------------------------------------ */

/* What the entries of a folio tell. */
struct referenced {
    unsigned ptes; /* that were young */
    bool locked;   /* a VM_LOCKED mapping has it */
    bool exec;     /* a young one is executable */
};

/* folio_referenced counts young entries and makes them old. Advice for sequential or random reading
 * says that being read means nothing. */
static struct referenced folio_referenced(struct mm_sys *s, pfn n)
{
    struct referenced r = {0};
    struct rmap_walk w;
    rmap_start(&w, s, n);
    while (rmap_next(&w)) {
        if (w.vma->flags & VM_LOCKED) {
            mlock_vma_folio(s, w.vma, n);
            r.locked = true;
            return r;
        }
        if ((w.vma->flags & (VM_SEQ_READ | VM_RAND_READ)) || !(w.e->v & PTE_A) || pte_is_swap(*w.e))
            continue;
        *w.e = (pte){w.e->v & ~PTE_A};
        kernel_write(s, pt_entry_paddr(&w.m->pt, w.a, w.level), sizeof(pte));
        r.ptes++;
        r.exec |= (w.vma->flags & VM_EXEC) != 0;
    }
    return r;
}

enum references { REF_RECLAIM, REF_RECLAIM_CLEAN, REF_KEEP, REF_ACTIVATE };

static bool is_file_lru(const struct frame *f)
{
    return !(f->flags & FRAME_F_SWAPBACKED);
}

static bool is_mapped(const struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    return f->order == 0 ? f->mapcount > 0 : folio_mapcount(s, n) > 0;
}

static enum references folio_check_references(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    struct referenced r = {0};
    if (is_mapped(s, n))
        r = folio_referenced(s, n);
    if (r.locked)
        return REF_ACTIVATE;
    bool before = f->flags & FRAME_F_REFERENCED;
    f->flags &= ~FRAME_F_REFERENCED;
    if (r.ptes > 0) {
        f->flags |= FRAME_F_REFERENCED;
        return before || r.ptes > 1 || (r.exec && is_file_lru(f)) ? REF_ACTIVATE : REF_KEEP;
    }
    return before && is_file_lru(f) ? REF_RECLAIM_CLEAN : REF_RECLAIM;
}

/* -- unmapping ------------------------------------------------------------------------------------- */

/* unmap_anon replaces an entry of an anonymous page by its swap entry, or by nothing when the page may
 * be dropped. False: it has to stay. */
static bool unmap_anon(struct mm_sys *s, struct rmap_walk *w, struct frame *f, uint64_t others)
{
    if (!(f->flags & FRAME_F_SWAPBACKED)) { /* MADV_FREE */
        if (((w->e->v & PTE_D) || (f->flags & FRAME_F_DIRTY) || f->refs != others + f->mapcount) &&
            !(w->vma->flags & VM_DROPPABLE)) {
            f->flags |= FRAME_F_SWAPBACKED;
            return false;
        }
        rmap_set(w, (pte){0});
        return true;
    }
    if (w->e->v & PTE_D)
        f->flags |= FRAME_F_DIRTY;
    pte swap = folio_swap_entry(f);
    swap_dup(s, swap);
    w->m->cnt.swapents++;
    rmap_set(w, (pte){swap.v | (f->flags & FRAME_F_EXCLUSIVE ? PTE_SWP_EXCLUSIVE : 0)});
    return true;
}

/* try_to_unmap takes every entry of a small folio away; the caller looks whether it is mapped still. */
static void try_to_unmap(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    struct rmap_walk w;
    rmap_start(&w, s, n);
    while (f->mapcount > 0 && rmap_next(&w)) {
        struct gather g;
        if (w.vma->flags & VM_LOCKED) {
            mlock_vma_folio(s, w.vma, n);
            return;
        }
        if (pte_is_swap(*w.e) || w.level != 0)
            return;
        if (f->owner == FRAME_USER_ANON) {
            if (!unmap_anon(s, &w, f, 1))
                return;
        } else {
            if (w.e->v & PTE_D)
                folio_mark_dirty(s, n);
            rmap_set(&w, (pte){0});
        }
        gather_init(&g, w.m);
        gather_page(&g, w.a);
        gather_finish(&g);
        page_remove_rmap(w.m, n);
    }
    if (f->mapcount == 0)
        f->flags &= ~FRAME_F_EXCLUSIVE;
}

/* -- one folio --------------------------------------------------------------------------------------- */

enum fate { FATE_FREED, FATE_KEEP, FATE_ACTIVATE, FATE_SPLIT };

/* swap_out_shmem moves a page of a file in memory from its cache to the swap cache. */
static int swap_out_shmem(struct mm_sys *s, pfn n)
{
    int err = folio_alloc_swap(s, n);
    if (err == 0)
        filemap_to_swap(s, n);
    return err;
}

/* pageout starts writing a dirty folio of the swap cache or of a file in memory. */
static enum fate pageout(struct mm_sys *s, struct scan_control *sc, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (f->owner == FRAME_SHMEM && swap_out_shmem(s, n) != 0)
        return FATE_ACTIVATE;
    f->flags |= FRAME_F_RECLAIM;
    node_stat_add(s, f, NODE_nr_vmscan_write, 1);
    sc->nr_io++;
    swap_writeout(s, n);
    if (f->flags & FRAME_F_WRITEBACK)
        return FATE_KEEP;
    f->flags &= ~FRAME_F_RECLAIM;
    return FATE_FREED;
}

/* remove_mapping takes a clean folio that nobody maps out of its cache; a shadow stays there. */
static bool remove_mapping(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (f->refs != 2 || (f->flags & FRAME_F_DIRTY)) /* ours and the cache's */
        return false;
    if (!(f->flags & FRAME_F_SWAPCACHE) && !filemap_can_evict(s, n))
        return false;
    if (f->flags & FRAME_F_SWAPCACHE)
        swap_cache_del(s, n, workingset_eviction(s, n));
    else
        filemap_evict(s, n, workingset_eviction(s, n));
    return true;
}

/* get_swap_slot: an anonymous page needs a place to go to. */
static bool get_swap_slot(struct mm_sys *s, const struct scan_control *sc, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    if (f->owner != FRAME_USER_ANON || !(f->flags & FRAME_F_SWAPBACKED) ||
        (f->flags & FRAME_F_SWAPCACHE))
        return true;
    return sc->may_swap && folio_alloc_swap(s, n) == 0;
}

/* write_dirty: a dirty page of a file waits for the flusher, another is written now. */
static enum fate write_dirty(struct mm_sys *s, struct scan_control *sc, pfn n, enum references ref)
{
    struct frame *f = phys_frame(s->phys, n);
    if (is_file_lru(f) && f->owner != FRAME_USER_ANON) {
        node_stat_add(s, f, NODE_nr_vmscan_immediate_reclaim, 1);
        f->flags |= FRAME_F_RECLAIM;
        sc->nr_dirty_file++;
        return FATE_ACTIVATE;
    }
    return ref == REF_RECLAIM_CLEAN ? FATE_KEEP : pageout(s, sc, n);
}

/* reclaim_folio decides about one isolated folio: shrink_folio_list's loop body. */
static enum fate reclaim_folio(struct mm_sys *s, struct scan_control *sc, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (f->flags & FRAME_F_LOCKED) /* I2 */
        return FATE_KEEP;
    if (f->flags & FRAME_F_MLOCKED)
        return FATE_KEEP; /* putting it back makes it unevictable */
    if (f->owner == FRAME_SHMEM && ((const struct mm_file *)f->mapping)->shm_locked)
        return FATE_KEEP;
    if (f->flags & FRAME_F_WRITEBACK) {
        f->flags |= FRAME_F_RECLAIM;
        return FATE_ACTIVATE;
    }
    enum references ref = sc->ignore_references ? REF_RECLAIM : folio_check_references(s, n);
    if (ref == REF_ACTIVATE || ref == REF_KEEP)
        return ref == REF_KEEP ? FATE_KEEP : FATE_ACTIVATE;
    if (f->order > 0)
        return sc->may_swap && mm_swap_free(s) > 0 ? FATE_SPLIT : FATE_ACTIVATE;
    if (!get_swap_slot(s, sc, n))
        return FATE_ACTIVATE;
    if (f->mapcount > 0)
        try_to_unmap(s, n);
    if (f->mapcount > 0)
        return FATE_ACTIVATE;
    bool lazyfree = f->owner == FRAME_USER_ANON && !(f->flags & FRAME_F_SWAPBACKED);
    if (((f->flags & FRAME_F_DIRTY) || f->owner == FRAME_SHMEM) && !lazyfree) {
        enum fate fate = write_dirty(s, sc, n, ref);
        if (fate != FATE_FREED)
            return fate;
    }
    if (lazyfree) {
        STAT(s->stats, pglazyfreed) += f->refs == 1;
        return f->refs == 1 ? FATE_FREED : FATE_KEEP;
    }
    return remove_mapping(s, n) ? FATE_FREED : FATE_KEEP;
}

static void activate(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if ((f->flags & FRAME_F_SWAPCACHE) && (vm_swap_full(s) || (f->flags & FRAME_F_MLOCKED)))
        folio_free_swap(s, n);
    if (f->flags & FRAME_F_MLOCKED)
        return;
    f->flags |= FRAME_F_ACTIVE;
    STAT(s->stats, pgactivate) += BIT(f->order);
}

/* split_large: a large folio goes page by page: they stand where reclaim looks next. */
static void split_large(struct mm_sys *s, pfn head)
{
    uint64_t nr = folio_nr_pages(s, head);
    if (split_folio(s, head) != 0)
        return;
    STAT(s->stats, thp_swpout_fallback) += nr == HPAGE_PMD_NR;
    for (uint64_t i = 0; i < nr; i++) {
        pfn n = {head.v + i};
        if (phys_frame(s->phys, n)->flags & FRAME_F_LRU) {
            lruvec_del(s, n);
            lruvec_add(s, n, true);
        }
    }
}

uint64_t shrink_folio_list(struct mm_sys *s, struct scan_control *sc, const pfn *list, unsigned nr)
{
    uint64_t freed = 0;
    for (unsigned i = 0; i < nr; i++) {
        struct frame *f = phys_frame(s->phys, list[i]);
        sc->nr_scanned += BIT(f->order);
        enum fate fate = reclaim_folio(s, sc, list[i]);
        if (fate == FATE_FREED) {
            freed += BIT(f->order);
            folio_free_isolated(s, list[i]);
            continue;
        }
        if (fate == FATE_ACTIVATE)
            activate(s, list[i]);
        folio_putback_lru(s, list[i]);
        if (fate == FATE_SPLIT)
            split_large(s, list[i]);
    }
    sc->nr_reclaimed += freed;
    if (!sc->kswapd) /* kswapd has a CPU of its own */
        arch_step(s->outbox, STEP_RECLAIM, nr);
    return freed;
}

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
        if (!(f->flags & (FRAME_F_MLOCKED | FRAME_F_LOCKED)) && is_mapped(s, list[i]))
            r = folio_referenced(s, list[i]);
        if (r.ptes > 0 && r.exec && is_file_lru(f)) {
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
    writeback_end(s); /* I3 */
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
    if (!s->kswapd_woken || s->reclaiming)
        return;
    s->kswapd_woken = false;
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

/* -- what madvise and sysctls ask for -------------------------------------------------------------------- */

/* entry_page: the small page an entry of level 0 maps, if it does, rights or not. */
static bool entry_page(const struct mm *m, const struct pt_run *r, pfn *ret)
{
    if (pte_is_swap(*r->e) || (r->e->v & PTE_SPECIAL))
        return false;
    *ret = pte_pfn(*r->e);
    return phys_frame(m->sys->phys, *ret)->order == 0;
}

/* take_small is the part of MADV_COLD and MADV_PAGEOUT for an entry: pages of others are left. */
static bool take_small(const struct mm *m, const struct pt_run *r, pfn *ret)
{
    return entry_page(m, r, ret) && phys_frame(m->sys->phys, *ret)->mapcount == 1;
}

static void age_entry(struct gather *g, const struct pt_run *r, struct frame *f)
{
    if (r->e->v & PTE_A) {
        run_set(g->m, r, (pte){r->e->v & ~PTE_A});
        gather_page(g, r->a);
    }
    f->flags &= ~FRAME_F_REFERENCED;
    if (f->flags & FRAME_F_ACTIVE)
        f->flags |= FRAME_F_WORKINGSET;
}

void madvise_cold(struct gather *g, uint64_t start, uint64_t end)
{
    struct mm_sys *s = g->m->sys;
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_LOOK};
    pfn n;
    lru_add_drain(s);
    while (run_next(g->m, &r)) {
        if (advise_large(g, &r, false) || !take_small(g->m, &r, &n))
            continue;
        age_entry(g, &r, phys_frame(s->phys, n));
        folio_deactivate(s, n);
    }
}

void reclaim_pages(struct mm_sys *s, const pfn *list, unsigned nr)
{
    struct scan_control sc = {.ignore_references = true, .may_swap = true, .zone = ZONE_NR - 1};
    bool before = s->reclaiming;
    s->reclaiming = true;
    shrink_folio_list(s, &sc, list, nr);
    s->reclaiming = before;
}

void madvise_pageout(struct gather *g, uint64_t start, uint64_t end)
{
    struct mm_sys *s = g->m->sys;
    struct pt_run r = {.a = va(start), .end = va(end)};
    pfn list[SWAP_CLUSTER_MAX], n;
    unsigned nr = 0;
    lru_add_drain(s);
    while (run_next(g->m, &r)) {
        if (!pte_is_swap(*r.e) && !(r.e->v & PTE_SPECIAL) &&
            phys_frame(s->phys, pte_pfn(*r.e))->mapcount == 1)
            split_folio(s, folio_head(s, pte_pfn(*r.e)));
        if (!take_small(g->m, &r, &n))
            continue;
        struct frame *f = phys_frame(s->phys, n);
        age_entry(g, &r, f);
        if (!(f->flags & FRAME_F_UNEVICTABLE) && folio_isolate_lru(s, n))
            list[nr++] = n;
        if (nr == SWAP_CLUSTER_MAX) {
            reclaim_pages(s, list, nr);
            nr = 0;
        }
    }
    reclaim_pages(s, list, nr);
    writeback_end(s); /* I3 */
}

/* free_one is the part of MADV_FREE for a page: clean, old, out of swap, last in line of nothing. */
static void free_one(struct gather *g, const struct pt_run *r, pfn n)
{
    struct mm_sys *s = g->m->sys;
    struct frame *f = phys_frame(s->phys, n);
    if (f->owner != FRAME_USER_ANON)
        return;
    if (f->flags & (FRAME_F_SWAPCACHE | FRAME_F_DIRTY)) {
        if (f->mapcount != 1 || ((f->flags & FRAME_F_SWAPCACHE) && !folio_free_swap(s, n)))
            return; /* others may want what is in it */
        f->flags &= ~FRAME_F_DIRTY;
    }
    if (r->e->v & (PTE_A | PTE_D)) {
        run_set(g->m, r, (pte){r->e->v & ~(PTE_A | PTE_D)});
        gather_page(g, r->a);
    }
    folio_mark_lazyfree(s, n);
}

void madvise_free(struct gather *g, uint64_t start, uint64_t end)
{
    struct mm *m = g->m;
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_LOOK};
    pfn n;
    lru_add_drain(m->sys);
    while (run_next(m, &r)) {
        if (advise_large(g, &r, true))
            continue;
        if (pte_is_swap_slot(*r.e)) {
            m->cnt.swapents--;
            free_swap_and_cache(m->sys, (pte){r.e->v & ~PTE_SWP_EXCLUSIVE});
            run_set(m, &r, (pte){0});
        } else if (entry_page(m, &r, &n)) {
            free_one(g, &r, n);
        }
    }
}

/* -- clear_refs --------------------------------------------------------------------------------- */

/* clear_young makes the entries of a VMA old and their pages unreferenced (clear_refs_pte_range). */
static void clear_young(struct mm *m, const struct vma *v)
{
    struct pt_run r = {.a = v->start, .end = v->end, .huge = RUN_LOOK};
    while (run_next(m, &r)) {
        if (!pte_present(*r.e) || (r.e->v & PTE_SPECIAL))
            continue;
        if (r.e->v & PTE_A)
            run_set(m, &r, (pte){r.e->v & ~PTE_A});
        pfn head = folio_head(m->sys, pte_leaf_pfn(*r.e, r.level));
        phys_frame(m->sys->phys, head)->flags &= ~FRAME_F_REFERENCED;
    }
}

int mm_clear_refs(struct mm *m, unsigned what)
{
    if (what < 1 || what > 5)
        return -EINVAL;
    if (what == 5)
        m->cnt.rss_peak = m->cnt.rss[0] + m->cnt.rss[1] + m->cnt.rss[2];
    for (struct vma *v = m->vmas.first; what <= 3 && v; v = v->next)
        if (what == 1 || (what == 2) == !v->file)
            clear_young(m, v);
    return 0;
}
