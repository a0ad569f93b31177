/* alloc.c: where the frames of mm come from: one door for user pages, page cache and page tables.
 *
 *   fault, filemap, huge … ─► mm_alloc ─ at LOW ─► phys_alloc_req        the allocator's own fast path
 *        alloc_slowpath ◄────────────┘ no: kswapd is wanted
 *          try_first   costly and unmovable blocks: compaction, before anything is reclaimed
 *          try_hard    at MIN ─► direct reclaim of 32 pages ─► at MIN ─► compaction, and again: up to 16
 *                      times without progress, while what is left on the lists could be enough
 *          at HIGH ─► out_of_memory ─► try_hard
 *
 * Who reclaims already, and the victim of the OOM killer, may use the reserves.
 *
 * I1  mm_alloc may take pages away: entries that were read before must be read again, and a folio
 *     that has to stay must be mapped nowhere and in no cache, or FRAME_F_LOCKED.
 * I2  It ends: reclaim goes on only while pages leave the lists, and no process is killed twice
 *     (oom.c, I2).
 *
 * Source: Linux 6.18 mm/page_alloc.c (__alloc_frozen_pages_noprof, __alloc_pages_slowpath,
 * __alloc_pages_direct_reclaim, should_reclaim_retry, should_compact_retry, __alloc_pages_may_oom), mm/mempolicy.c (alloc_pages_mpol).
 */
#include "mm/mm_int.h"

#define COSTLY_ORDER        3u /* PAGE_ALLOC_COSTLY_ORDER */
#define MAX_COMPACT_RETRIES 16u

static int take_at(struct mm_sys *s, struct phys_req *r, enum phys_mark mark, pfn *ret)
{
    r->mark = mark;
    return phys_alloc_req(s->phys, r, ret);
}

/* A request in the slow path. */
struct slowpath {
    struct mm_sys *s;
    const struct mm_req *req;
    struct phys_req *r;
    struct mm *m;                /* who asks, or NULL */
    enum compact_prio prio;      /* how hard the next compaction tries */
    enum compact_result compact; /* what the last one came to */
    unsigned compact_retries;    /* compactions that should have helped, at this priority */
    unsigned fruitless;          /* reclaims in a row without progress: no_progress_loops */
};

static uint64_t reclaimable(struct mm_sys *s, unsigned nid, int z)
{
    const uint64_t *lru = s->lru.node[nid].lru.zone[z];
    uint64_t pages = lru[LRU_INACTIVE_FILE] + lru[LRU_ACTIVE_FILE];
    return mm_swap_free(s) > 0 ? pages + lru[LRU_INACTIVE_ANON] + lru[LRU_ACTIVE_ANON] : pages;
}

/* zone_could does the question of a zone: would the block be there if all that is reclaimable were
 * free (should_reclaim_retry), or, with `compact`, would compaction have room if some of it were
 * (compaction_zonelist_suitable)? */
static bool zone_could(struct mm_sys *s, const struct phys_req *r, unsigned nid, int z,
                       bool compact)
{
    struct phys_zone_info i;
    phys_zone_info(s->phys, nid, (enum zone_id)z, &i);
    if (i.spanned == 0)
        return false;
    uint64_t some = reclaimable(s, nid, z) / (compact ? r->order : 1), mark = i.min;
    if (compact)
        mark += compact_gap(r->order) + (r->order > COSTLY_ORDER ? i.low - i.min : 0);
    return phys_watermark_ok_free(s->phys, nid, (enum zone_id)z, compact ? 0 : r->order, mark,
                                  ZONE_NORMAL, compact ? 0 : r->flags, i.free + some);
}

static bool any_zone_could(struct mm_sys *s, const struct phys_req *r, bool compact)
{
    for (unsigned nid = 0; nid < phys_nodes(s->phys); nid++)
        for (int z = 0; z <= ZONE_NORMAL && (r->nodes == 0 || (r->nodes >> nid & 1)); z++)
            if (zone_could(s, r, nid, z, compact))
                return true;
    return false;
}

static bool should_reclaim_retry(struct slowpath *p, bool progress)
{
    p->fruitless = progress && p->r->order <= COSTLY_ORDER ? 0 : p->fruitless + 1;
    if (p->fruitless <= MAX_RECLAIM_RETRIES && any_zone_could(p->s, p->r, false))
        return true;
    return phys_unreserve_highatomic(p->s->phys, p->r, true);
}

static bool should_compact_retry(struct slowpath *p)
{
    bool costly = p->r->order > COSTLY_ORDER;
    if (p->r->order == 0)
        return false;
    if (p->compact == COMPACT_SKIPPED)
        return any_zone_could(p->s, p->r, true);
    unsigned most = costly ? MAX_COMPACT_RETRIES / 4 : MAX_COMPACT_RETRIES;
    if (p->compact == COMPACT_SUCCESS && ++p->compact_retries <= most)
        return true;
    if (p->prio <= (costly ? COMPACT_PRIO_SYNC_LIGHT : COMPACT_PRIO_SYNC_FULL))
        return false;
    p->prio--;
    p->compact_retries = 0;
    return true;
}

static int direct_compact(struct slowpath *p, enum compact_prio prio, pfn *ret)
{
    int err = alloc_direct_compact(p->s, p->r, prio, ret);
    p->compact = p->r->order > 0 ? p->s->compaction.last : COMPACT_SKIPPED;
    return err;
}

/* direct_reclaim frees 32 pages or more and takes the block, if need be from what CPUs keep and what
 * is reserved. 0, -EAGAIN (something was freed) or -ENOMEM. */
static int direct_reclaim(struct slowpath *p, pfn *ret)
{
    struct mm_sys *s = p->s;
    arch_step(s->outbox, STEP_DIRECT_RECLAIM, 1);
    if (try_to_free_pages(s, p->r->nid, p->r->nodes, p->r->order, ZONE_NORMAL) == 0)
        return -ENOMEM;
    if (take_at(s, p->r, PHYS_MARK_MIN, ret) == 0)
        return 0;
    phys_unreserve_highatomic(s->phys, p->r, false);
    phys_drain_all(s->phys);
    return take_at(s, p->r, PHYS_MARK_MIN, ret) == 0 ? 0 : -EAGAIN;
}

/* try_hard repeats reclaim and compaction while that may help. Costly orders, and those who said so,
 * get one round: they have smaller ones to fall back to. */
static int try_hard(struct slowpath *p, pfn *ret)
{
    for (bool again = true; again;) {
        if (take_at(p->s, p->r, PHYS_MARK_MIN, ret) == 0)
            return 0;
        int err = direct_reclaim(p, ret);
        if (err == 0 || direct_compact(p, p->prio, ret) == 0)
            return 0;
        if ((p->req->flags & REQ_NORETRY) || p->r->order > COSTLY_ORDER)
            break;
        bool progress = err == -EAGAIN;
        again = should_reclaim_retry(p, progress) || (progress && should_compact_retry(p));
        if (!again && p->s->conf.vm_defrag_mode && !(p->r->flags & PHYS_FRAGMENT)) {
            p->r->flags |= PHYS_FRAGMENT; /* mix types at last */
            again = true;
        }
    }
    return -ENOMEM;
}

static bool is_victim(const struct mm *m)
{
    return m && (m->oom.victim || m->oom.skip);
}

/* use_reserves: the caller frees memory, or is about to die. */
static bool use_reserves(const struct mm_sys *s, const struct mm *m)
{
    return s->reclaiming || is_victim(m);
}

/* try_first compacts before anything is reclaimed, for blocks that reclaim seldom makes. -EAGAIN: go
 * on. */
static int try_first(struct slowpath *p, pfn *ret)
{
    bool costly = p->r->order > COSTLY_ORDER;
    if (!costly && p->r->type == MIGRATE_MOVABLE)
        return -EAGAIN;
    if (direct_compact(p, COMPACT_PRIO_ASYNC, ret) == 0)
        return 0;
    if (!costly || !(p->req->flags & REQ_NORETRY))
        return -EAGAIN;
    p->prio = COMPACT_PRIO_ASYNC;
    return p->compact == COMPACT_SKIPPED || p->compact == COMPACT_DEFERRED ? -ENOMEM : -EAGAIN;
}

static __attribute__((noinline)) int alloc_slowpath(struct mm_sys *s, const struct mm_req *req,
                                                    struct phys_req *r, pfn *ret)
{
    struct mm *m = req->m ? req->m : s->current;
    struct slowpath p = {.s = s, .req = req, .r = r, .m = m, .prio = COMPACT_PRIO_SYNC_LIGHT};
    arch_step(s->outbox, STEP_ALLOC_SLOW, 1);
    if (take_at(s, r, PHYS_MARK_MIN, ret) == 0)
        return 0;
    if (use_reserves(s, m))
        return take_at(s, r, PHYS_NO_WATERMARKS, ret);
    if (r->flags & PHYS_NON_BLOCK)
        return -ENOMEM;
    int err = try_first(&p, ret);
    if (err != -EAGAIN)
        return err;
    while (try_hard(&p, ret) != 0) {
        if (take_at(s, r, PHYS_MARK_HIGH, ret) == 0)
            return 0;
        if (r->order > COSTLY_ORDER || (req->flags & (REQ_NORETRY | REQ_MAY_FAIL)) ||
            !out_of_memory(s, m))
            return -ENOMEM;
        if (use_reserves(s, m))
            return take_at(s, r, PHYS_NO_WATERMARKS, ret);
        p.fruitless = 0;
    }
    return 0;
}

bool alloc_retry(struct mm *m)
{
    struct mm_sys *s = m->sys;
    if (use_reserves(s, m) || phys_owner_frames(s->phys, FRAME_FREE) > 0)
        return false; /* there are frames: the failure was injected */
    arch_step(s->outbox, STEP_DIRECT_RECLAIM, 1);
    return try_to_free_pages(s, numa_node_id(s), 0, 0, ZONE_NORMAL) > 0 ||
           (out_of_memory(s, m) && !use_reserves(s, m));
}

/* prefer_local: a huge page is worth having on the preferred node only, unless others were asked for
 * by name. */
static bool prefer_local(const struct mm_req *req, const struct mpol_pick *pick)
{
    return req->order == PAGEBLOCK_ORDER && req->vma && !pick->interleaved && !pick->then_all &&
           (pick->nodes == 0 || (pick->nodes >> pick->nid & 1));
}

static int alloc_thisnode(struct mm_sys *s, struct phys_req r, pfn *ret)
{
    r.flags |= PHYS_THISNODE;
    if (take_at(s, &r, PHYS_MARK_LOW, ret) == 0 || take_at(s, &r, PHYS_MARK_MIN, ret) == 0)
        return 0;
    return r.flags & PHYS_NON_BLOCK ? -ENOMEM
                                    : alloc_direct_compact(s, &r, COMPACT_PRIO_ASYNC, ret);
}

/* alloc_wish tries the nodes of MPOL_PREFERRED_MANY without reclaim, then all others. */
static int alloc_wish(struct mm_sys *s, struct phys_req *r, pfn *ret)
{
    if (take_at(s, r, PHYS_MARK_MIN, ret) == 0)
        return 0;
    r->nodes = 0;
    return take_at(s, r, PHYS_MARK_LOW, ret);
}

/* alloc_picked is the way down for the nodes a policy picked. */
static int alloc_picked(struct mm_sys *s, const struct mm_req *req, const struct mpol_pick *pick,
                        pfn *ret)
{
    struct phys_req r = phys_request(req->order, req->gfp, req->owner);
    r.nid = pick->nid;
    r.nodes = pick->nodes;
    r.flags = (req->flags & REQ_NO_DIRECT ? PHYS_NON_BLOCK : 0) |
              (req->flags & REQ_NO_KSWAPD ? PHYS_NO_KSWAPD : 0);
    if (unlikely(prefer_local(req, pick))) {
        if (alloc_thisnode(s, r, ret) == 0)
            return 0;
        if (r.flags & PHYS_NON_BLOCK)
            return -ENOMEM;
    }
    if (likely(phys_alloc_req(s->phys, &r, ret) == 0))
        return 0;
    if (pick->then_all && alloc_wish(s, &r, ret) == 0)
        return 0;
    return alloc_slowpath(s, req, &r, ret);
}

/* lock_zone tells of frames that went from the free lists to a per-CPU list, or back. */
static void lock_zone(struct mm_sys *s)
{
    unsigned zone;
    uint32_t moved = phys_take_moved(s->phys, &zone);
    if (moved > 0)
        arch_lock(s->outbox, LOCK_ZONE, zone, moved);
}

int mm_alloc(struct mm_sys *s, const struct mm_req *r, pfn *ret)
{
    struct mpol_pick pick;
    unsigned zone;
    if (unlikely(phys_fails(s->phys)))
        return -ENOMEM;
    mpol_pick(s, r, &pick);
    if (unlikely(s->outbox->locks))
        phys_take_moved(s->phys, &zone); /* others' business */
    int err = alloc_picked(s, r, &pick, ret);
    if (unlikely(s->outbox->locks))
        lock_zone(s);
    if (err == 0)
        folio_forget_mm_ids(phys_frame(s->phys, *ret));
    if (err == 0 && pick.interleaved && phys_frame(s->phys, *ret)->nid == pick.nid)
        phys_count_interleave(s->phys, *ret);
    return err;
}
