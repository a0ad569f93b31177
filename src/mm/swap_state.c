/* swap_state.c: the swap cache and the way back from swap.
 *
 *   swap entry ─► in the swap cache? ─ yes ─► map it                          minor
 *        │ no
 *        ├─ a device like memory, one owner ─► read, no cache                 major
 *        └─ readahead: disk: the aligned window of slots around it            major, neighbours
 *                      ssd:  the window of addresses around it                later minor
 *
 *   window (pages) = hits + 2, rounded up to 4, 8 …; 1 or 2 without hits; at most 2^page-cluster;
 *                    at least half of the last one
 *
 * I1  A page that was read ahead has FRAME_F_READAHEAD until its first use, which is a hit.
 * I2  A write fault on a page whose slot nobody else names frees the slot; an exclusive entry is
 *     mapped writable at once.
 *
 * Source: Linux 6.18 mm/memory.c (do_swap_page, should_try_to_free_swap), mm/swap_state.c
 * (swap_cluster_readahead, swap_vma_readahead, __swapin_nr_pages, swap_update_readahead),
 * mm/swapfile.c (try_to_unuse).
 */
#include "mm/mm_int.h"

#define SWAP_RA_ORDER_CEILING 5u
#define SWAP_RA_HITS_MAX      63u

/* -- windows ------------------------------------------------------------------------------------- */

static uint32_t swapin_nr_pages(uint64_t prev, uint64_t at, uint32_t hits, uint32_t max,
                                uint32_t prev_win)
{
    uint32_t pages = hits + 2;
    if (pages == 2) {
        if (at != prev + 1 && at != prev - 1)
            pages = 1;
    } else {
        uint32_t up = 4;
        while (up < pages)
            up <<= 1;
        pages = up;
    }
    pages = (uint32_t)min_u64(pages, max);
    return (uint32_t)max_u64(pages, prev_win / 2);
}

/* cluster_window returns how many slots, aligned to that, a miss reads. */
static uint32_t cluster_window(struct mm_sys *s, uint64_t offset)
{
    struct mm_swap *w = &s->swap;
    uint32_t max = 1u << s->conf.vm_page_cluster, hits = w->ra_hits;
    if (max <= 1)
        return 1;
    w->ra_hits = 0;
    uint32_t pages = swapin_nr_pages(w->prev_offset, offset, hits, max, w->last_ra);
    if (hits == 0)
        w->prev_offset = offset;
    w->last_ra = pages;
    return pages;
}

/* vma_window sets out [*start, *end) around an address and remembers it in the VMA. */
static uint32_t vma_window(const struct mm_sys *s, struct vma *v, uint64_t a, uint64_t *start,
                           uint64_t *end)
{
    struct vma_swap_ra *ra = &v->swap_ra;
    uint64_t pages = s->conf.vm_page_cluster, max = BIT(min_u64(pages, SWAP_RA_ORDER_CEILING));
    if (max == 1)
        return 1;
    uint32_t hits = ra->known ? ra->hits : 4;
    uint32_t win =
        swapin_nr_pages(ra->addr >> PAGE_SHIFT, a >> PAGE_SHIFT, hits, (uint32_t)max, ra->win);
    uint64_t prev = ra->addr, left;
    *ra = (struct vma_swap_ra){.addr = a, .win = win, .known = true};
    if (a == prev + PAGE_SIZE)
        left = a;
    else if (prev == a + PAGE_SIZE)
        left = a - ((uint64_t)win << PAGE_SHIFT) + PAGE_SIZE;
    else
        left = a - ((uint64_t)((win - 1) / 2) << PAGE_SHIFT);
    uint64_t right = left + ((uint64_t)win << PAGE_SHIFT), pmd = align_down(a, MIB(2));
    left = (int64_t)left < 0 ? 0 : left;
    *start = max_u64(max_u64(left, v->start.v), pmd);
    *end = min_u64(min_u64(right, v->end.v), pmd + MIB(2));
    return win;
}

/* swap_update_readahead: a cached page was found; one that was read ahead is a hit. */
static void swap_update_readahead(struct mm_sys *s, struct vma *v, vaddr a, pte entry, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    bool by_vma = v && swap_area_of(s, entry)->device != SWAP_DISK;
    bool hit = f->flags & FRAME_F_READAHEAD;
    f->flags &= ~FRAME_F_READAHEAD;
    if (by_vma) {
        uint32_t hits = v->swap_ra.known ? v->swap_ra.hits : 4;
        hits = (uint32_t)min_u64(hits + hit, SWAP_RA_HITS_MAX);
        v->swap_ra = (struct vma_swap_ra){a.v, v->swap_ra.win, hits, true};
    }
    if (!hit)
        return;
    STAT(s->stats, swap_ra_hit)++;
    if (!by_vma)
        s->swap.ra_hits++;
}

/* -- reading --------------------------------------------------------------------------------------- */

static int alloc_swapin(struct mm_sys *s, const struct vma *v, vaddr a, pfn *ret)
{
    struct mm_req req = {
        .gfp = GFP_USER, .owner = FRAME_USER_ANON, .m = v ? v->m : NULL, .vma = v, .addr = a};
    int err = mm_alloc(s, &req, ret);
    if (err != 0)
        return err;
    phys_frame(s->phys, *ret)->flags |= FRAME_F_SWAPBACKED;
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_CHARGE, 1);
    return 0;
}

/* read_slot is read_swap_cache_async: 0 when the folio was cached, 1 when it was read now; -ENOENT
 * for a slot nobody names. */
static int read_slot(struct mm_sys *s, const struct vma *v, vaddr a, pte entry, pfn *ret)
{
    struct swap_slot *slot = swap_slot_of(s, entry);
    if (swap_cache_get(s, entry, ret))
        return 0;
    if (slot->count == 0)
        return -ENOENT;
    int err = alloc_swapin(s, v, a, ret);
    if (err != 0)
        return err;
    uint64_t shadow = slot->cache >> 1;
    bool was_evicted = slot->cache & 1;
    slot->cache = 0;
    swap_cache_add(s, *ret, entry);
    swap_readin(s, *ret);
    if (was_evicted)
        workingset_refault(s, *ret, shadow);
    folio_add_lru(s, *ret);
    return 1;
}

static void read_ahead(struct mm_sys *s, const struct vma *v, vaddr a, pte entry)
{
    pfn n;
    if (read_slot(s, v, a, entry, &n) != 1)
        return;
    phys_frame(s->phys, n)->flags |= FRAME_F_READAHEAD; /* I1 */
    STAT(s->stats, swap_ra)++;
}

static void cluster_readahead(struct mm_sys *s, const struct vma *v, vaddr a, pte entry)
{
    uint64_t at = swp_offset(entry), mask = cluster_window(s, at) - 1;
    uint64_t first = max_u64(at & ~mask, 1);
    uint64_t last = min_u64(at | mask, swap_area_of(s, entry)->max - 1);
    if (mask == 0)
        return;
    for (uint64_t i = first; i <= last; i++)
        if (i != at)
            read_ahead(s, v, a, swp_make(swp_type(entry), i, 0));
    lru_add_drain(s);
}

static void vma_readahead(struct mm_sys *s, struct vma *v, vaddr a)
{
    uint64_t start, end;
    if (vma_window(s, v, a.v, &start, &end) == 1)
        return;
    for (uint64_t b = start; b < end; b += PAGE_SIZE) {
        const pte *e = pt_lookup(&v->m->pt, va(b), 0);
        if (e && pte_is_swap_slot(*e) && b != a.v)
            read_ahead(s, v, va(b), *e);
    }
    lru_add_drain(s);
}

int swapin_page(struct mm_sys *s, struct vma *v, vaddr a, pte entry, bool anon, pfn *ret)
{
    if (swap_cache_get(s, entry, ret)) {
        swap_update_readahead(s, anon ? v : NULL, a, entry, *ret);
        return 0;
    }
    int got = read_slot(s, v, a, entry, ret);
    if (got < 0)
        return got;
    STAT(s->stats, pgmajfault) += v != NULL; /* else no fault asks for it */
    phys_frame(s->phys, *ret)->flags |=
        FRAME_F_LOCKED; /* the neighbours' frames come from elsewhere */
    if (anon && swap_area_of(s, entry)->device != SWAP_DISK)
        vma_readahead(s, v, a);
    else
        cluster_readahead(s, v, a, entry);
    phys_frame(s->phys, *ret)->flags &= ~FRAME_F_LOCKED;
    return 1;
}

void swapin_range(struct mm *m, struct vma *v, uint64_t start, uint64_t end)
{
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_LOOK};
    pfn n;
    while (run_next(m, &r))
        if (r.level == 0 && pte_is_swap_slot(*r.e))
            read_slot(m->sys, v, r.a, *r.e, &n);
    lru_add_drain(m->sys);
}

/* -- the fault --------------------------------------------------------------------------------------- */

static bool no_data(struct mm_sys *s, pfn n)
{
    return phys_frame(s->phys, n)->flags & FRAME_F_NO_DATA;
}

/* read_alone is the way of a device like memory: the page belongs to this entry only, the swap cache
 * is left out. */
static int read_alone(struct mm_sys *s, const struct vma *v, vaddr a, pte entry, pfn *ret)
{
    struct swap_slot *slot = swap_slot_of(s, entry);
    int err = alloc_swapin(s, v, a, ret);
    if (err != 0)
        return err;
    uint64_t evicted = slot->cache;
    slot->cache = 0;
    swap_cache_add(s, *ret, entry);
    swap_readin(s, *ret);
    swap_cache_del(s, *ret, 0);
    if (no_data(s, *ret))
        slot->cache = evicted; /* what could not be read is still there */
    if (evicted & 1)
        workingset_refault(s, *ret, evicted >> 1);
    STAT(s->stats, pgmajfault)++;
    folio_add_lru(s, *ret);
    return 1;
}

static bool should_try_to_free_swap(const struct mm_sys *s, const struct frame *f,
                                    const struct vma *v, bool write)
{
    if (!(f->flags & FRAME_F_SWAPCACHE))
        return false;
    if (vm_swap_full(s) || (v->flags & VM_LOCKED) || (f->flags & FRAME_F_MLOCKED))
        return true;
    return write && f->refs == 1; /* the swap cache only */
}

/* map_anon makes the page anonymous memory of v again. */
static void map_again(struct mm *m, struct vma *v, vaddr a, pfn n, bool exclusive)
{
    struct frame *f = phys_frame(m->sys->phys, n);
    if (!f->mapping) {
        f->mapping = exclusive ? v->anon_vma : v->anon_vma->root;
        f->index = vma_pgoff_at(v, a);
    }
    if (exclusive)
        f->flags |= FRAME_F_EXCLUSIVE;
    page_add_rmap(m, n);
    mlock_vma_folio(m->sys, v, n);
}

int do_swap_page(struct mm *m, struct vma *v, vaddr a, pte *e, bool write)
{
    struct mm_sys *s = m->sys;
    pte entry = {e->v & ~PTE_SWP_EXCLUSIVE};
    bool exclusive = e->v & PTE_SWP_EXCLUSIVE;
    uint64_t bits = vm_page_prot(v);
    pfn n;
    bool alone = swap_area_of(s, entry)->device == SWAP_RAM && swap_slot_of(s, entry)->count == 1 &&
                 !swap_slot_cached(swap_slot_of(s, entry));
    anon_vma_prepare(m, v);
    int got = alone ? read_alone(s, v, a, entry, &n) : swapin_page(s, v, a, entry, true, &n);
    if (got < 0)
        return -ENOMEM;
    struct frame *f = phys_frame(s->phys, n);
    if (no_data(s, n)) {
        f->refs++;
        folio_put(s, n); /* unless the swap cache has it */
        return -EIO;
    }
    swap_free(s, entry);
    if (should_try_to_free_swap(s, f, v, write)) {
        f->refs++;
        folio_free_swap(s, n);
        f->refs--;
    }
    exclusive |= f->refs == 0;
    m->cnt.swapents--;
    if (exclusive && (v->flags & VM_WRITE))
        bits |= PTE_RW | (write ? PTE_D : 0); /* I2 */
    map_again(m, v, a, n, exclusive);
    lock_pte(m, a, 1);
    set_pte(m, a, e, pte_make(n, bits));
    arch_step(s->outbox, STEP_PTE, 1);
    return got;
}

/* -- swapoff ------------------------------------------------------------------------------------------- */

/* unuse_entry maps the page of an entry again, old and not writable (unuse_pte). */
static int unuse_entry(struct mm *m, struct vma *v, const struct pt_run *r)
{
    struct mm_sys *s = m->sys;
    bool exclusive = r->e->v & PTE_SWP_EXCLUSIVE;
    pte entry = {r->e->v & ~PTE_SWP_EXCLUSIVE};
    pfn n;
    if (read_slot(s, v, r->a, entry, &n) < 0)
        return -ENOMEM;
    m->cnt.swapents--;
    if (no_data(s, n)) {
        set_pte(m, r->a, r->e, swp_make(SWP_MARKER, PTE_MARKER_POISONED, 0));
    } else {
        anon_vma_prepare(m, v);
        map_again(m, v, r->a, n, exclusive);
        set_pte(m, r->a, r->e, pte_make(n, vm_page_prot(v) & ~PTE_A));
    }
    swap_free(s, entry);
    writeback_end(s);
    if (no_data(s, n))
        swap_cache_drop(s, n);
    else
        folio_free_swap(s, n);
    return 0;
}

static int unuse_mm(struct mm *m, unsigned type)
{
    for (struct vma *v = m->vmas.first; v; v = v->next) {
        struct pt_run r = {.a = v->start, .end = v->end, .huge = RUN_LOOK};
        while (run_next(m, &r))
            if (pte_is_swap_slot(*r.e) && swp_type(*r.e) == type && unuse_entry(m, v, &r) != 0)
                return -ENOMEM;
    }
    return 0;
}

/* room_for: free memory and clean pages of files can take what is in the area. */
static bool room_for(const struct mm_sys *s, uint64_t pages)
{
    uint64_t room = phys_owner_frames(s->phys, FRAME_FREE);
    for (unsigned nid = 0; nid < s->lru.nodes; nid++)
        room += s->lru.node[nid].stat.v[NODE_nr_inactive_file] +
                s->lru.node[nid].stat.v[NODE_nr_active_file];
    return room > pages + phys_totalreserve(s->phys);
}

/* promises_hold_without: what was promised to programs is still allowed when the area is gone
 * (security_vm_enough_memory_mm of the area's size). */
static bool promises_hold_without(struct mm_sys *s, const struct swap_area *a)
{
    if (!s->current)
        return true;
    if (vm_enough_memory(s->current, a->max - 1) != 0)
        return false;
    vm_acct_memory(s, -(int64_t)(a->max - 1));
    return true;
}

static int try_to_unuse(struct mm_sys *s, unsigned type)
{
    struct swap_area *a = &s->swap.area[type];
    int err = filemap_unuse(s, type);
    for (struct mm *m = s->mms; m && err == 0; m = m->next)
        err = unuse_mm(m, type);
    writeback_end(s);
    for (uint64_t i = 1; i < a->max && err == 0; i++)
        if (swap_slot_cached(&a->slot[i]))
            swap_cache_drop(s, (pfn){(a->slot[i].cache >> 1) - 1});
    return err;
}

int mm_swapoff(struct mm_sys *s, unsigned type)
{
    if (type >= MAX_SWAPFILES || !s->swap.area[type].used)
        return -EINVAL;
    struct swap_area *a = &s->swap.area[type];
    if (!promises_hold_without(s, a) || !room_for(s, a->inuse))
        return -ENOMEM;
    a->going = true;
    int err = try_to_unuse(s, type);
    a->going = false;
    if (err == 0)
        swap_drop_area(s, type);
    AUDIT(audit_fault(s));
    return err;
}
