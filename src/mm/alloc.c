/* alloc.c: where the frames of mm come from: one door for user pages, page cache and page tables.
 *
 *   fault, filemap, huge … ─► mm_alloc ─ at LOW ─► phys_alloc_req        the allocator's own fast path
 *        alloc_slowpath ◄────────────┘ no
 *          kswapd is woken ─► at MIN ─► direct reclaim of 32 pages ─► at MIN, up to 16 times without
 *                                       progress, if what is left on the lists could be enough
 *                                     ─► at HIGH ─► out_of_memory ─► again
 *          orders above 0 compact: first of all, but movable ones up to 3, and after each reclaim
 *
 * Who reclaims already, and the victim of the OOM killer, may use the reserves.
 *
 * I1  mm_alloc may take pages away: entries that were read before must be read again, and a folio
 *     that has to stay must be mapped nowhere and in no cache, or FRAME_F_LOCKED.
 * I2  It ends: reclaim goes on only while pages leave the lists, and no process is killed twice
 *     (oom.c, I2).
 *
 * Source: Linux 6.18 mm/page_alloc.c (__alloc_frozen_pages_noprof, __alloc_pages_slowpath,
 * should_reclaim_retry, __alloc_pages_may_oom), mm/mempolicy.c (alloc_pages_mpol).
 */
#include "mm/mm_int.h"

#define COSTLY_ORDER 3u /* PAGE_ALLOC_COSTLY_ORDER */

static int take_at(struct mm_sys *s, struct phys_req *r, enum phys_mark mark, pfn *ret)
{
    r->mark = mark;
    return phys_alloc_req(s->phys, r, ret);
}

/* reclaimable: pages on the lists of a zone; anonymous ones only while there is a slot to go to. */
static uint64_t reclaimable(struct mm_sys *s, unsigned nid, int z)
{
    const uint64_t *lru = s->lru.node[nid].lru.zone[z];
    uint64_t pages = lru[LRU_INACTIVE_FILE] + lru[LRU_ACTIVE_FILE];
    return mm_swap_free(s) > 0 ? pages + lru[LRU_INACTIVE_ANON] + lru[LRU_ACTIVE_ANON] : pages;
}

/* reclaim_could_help: a page would be there if all that is reclaimable were free. */
static bool reclaim_could_help(struct mm_sys *s, const struct phys_req *r)
{
    for (unsigned nid = 0; nid < phys_nodes(s->phys); nid++) {
        if (r->nodes != 0 && !(r->nodes >> nid & 1))
            continue;
        for (int z = 0; z <= ZONE_NORMAL; z++) {
            struct phys_zone_info info;
            phys_zone_info(s->phys, nid, (enum zone_id)z, &info);
            if (info.managed > 0 &&
                info.free + reclaimable(s, nid, z) > info.min + info.protection[ZONE_NORMAL])
                return true;
        }
    }
    return false;
}

/* reclaim_and_take reclaims directly as long as that makes progress. Orders above 3 get one round:
 * they have smaller ones to fall back to. */
static int reclaim_and_take(struct mm_sys *s, struct phys_req *r, pfn *ret)
{
    for (unsigned fruitless = 0; fruitless < MAX_RECLAIM_RETRIES;) {
        arch_step(s->outbox, STEP_DIRECT_RECLAIM, 1);
        uint64_t freed = try_to_free_pages(s, r->nid, r->nodes, r->order, ZONE_NORMAL);
        if (take_at(s, r, PHYS_MARK_MIN, ret) == 0)
            return 0;
        phys_drain_all(s->phys); /* what other CPUs keep */
        if (take_at(s, r, PHYS_MARK_MIN, ret) == 0 ||
            alloc_direct_compact(s, r, COMPACT_PRIO_SYNC_LIGHT, ret) == 0)
            return 0;
        if (r->order > COSTLY_ORDER)
            break;
        if (r->order == 0 && !reclaim_could_help(s, r))
            break;
        fruitless = freed > 0 ? 0 : fruitless + 1;
    }
    return -ENOMEM;
}

/* use_reserves: the caller frees memory, or is about to die. */
static bool use_reserves(const struct mm_sys *s, const struct mm *m)
{
    return s->reclaiming || (m && (m->oom.victim || m->oom.skip));
}

static __attribute__((noinline)) int alloc_slowpath(struct mm_sys *s, const struct mm_req *req,
                                                    struct phys_req *r, pfn *ret)
{
    struct mm *m = req->m ? req->m : s->current;
    arch_step(s->outbox, STEP_ALLOC_SLOW, 1);
    if (take_at(s, r, PHYS_MARK_MIN, ret) == 0)
        return 0;
    if (use_reserves(s, m))
        return take_at(s, r, PHYS_NO_WATERMARKS, ret);
    if (r->flags & PHYS_NON_BLOCK)
        return -ENOMEM;
    if (r->order > COSTLY_ORDER || r->type != MIGRATE_MOVABLE) {
        if (alloc_direct_compact(s, r, COMPACT_PRIO_ASYNC, ret) == 0)
            return 0;
        if (r->order > COSTLY_ORDER && (req->flags & REQ_NORETRY) && s->compaction.hopeless)
            return -ENOMEM; /* reclaim would disrupt, and not help */
    }
    while (reclaim_and_take(s, r, ret) != 0) {
        if (take_at(s, r, PHYS_MARK_HIGH, ret) == 0)
            return 0;
        if (r->order > COSTLY_ORDER || (req->flags & (REQ_NORETRY | REQ_MAY_FAIL)) ||
            !out_of_memory(s, m))
            return -ENOMEM;
        if (use_reserves(s, m))
            return take_at(s, r, PHYS_NO_WATERMARKS, ret);
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
    if (unlikely(phys_fails(s->phys)))
        return -ENOMEM;
    mpol_pick(s, r, &pick);
    int err = alloc_picked(s, r, &pick, ret);
    if (unlikely(s->outbox->locks))
        lock_zone(s);
    if (err == 0 && pick.interleaved && phys_frame(s->phys, *ret)->nid == pick.nid)
        phys_count_interleave(s->phys, *ret);
    return err;
}
