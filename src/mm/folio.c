/* folio.c: large anonymous folios: making them, taking them apart, and the queue of those that are
 * worth taking apart.
 *
 *   head  ┌────┬────┬────┬─ … ─┐   order 2 … 9; refs, flags, index, mapping of all in the head;
 *         │ H  │ T  │ T  │  T  │   mapcount and EXCLUSIVE in each
 *         └────┴────┴────┴─ … ─┘
 *   a part unmapped ─► deferred split queue ─► under pressure: split_folio ─► 2^order single frames,
 *                                              those nobody maps are freed
 *
 * I1  A folio on the queue has FRAME_F_PARTIAL or may be underused; it is linked through its second
 *     tail, whose link fields nobody else uses, so its head stays free for the LRU lists.
 *
 * Source: Linux 6.18 mm/huge_memory.c (__folio_split, deferred_split_folio, deferred_split_scan,
 * thp_underused), mm/memory.c (alloc_anon_folio).
 */
#include "mm/mm_int.h"

unsigned thp_effort_flags(const struct mm_sys *s, const struct vma *v, unsigned order)
{
    if (order == 0)
        return 0;
    struct thp_effort e = thp_effort((enum thp_defrag)s->conf.thp_defrag, v->flags & VM_HUGEPAGE);
    return (e.direct ? 0 : REQ_NO_DIRECT) | (e.kswapd || e.direct ? 0 : REQ_NO_KSWAPD) |
           (e.noretry ? REQ_NORETRY : 0) | REQ_MAY_FAIL;
}

static int alloc_for(const struct mm_req *req, const struct vma *v, vaddr a, pfn *ret)
{
    struct mm_sys *s = req->m->sys;
    int err = mm_alloc(s, req, ret);
    if (err != 0)
        return err;
    folio_add_new_anon_rmap(s, *ret, v, a);
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_CHARGE, 1);
    return 0;
}

int folio_alloc_anon(struct mm *m, const struct vma *v, vaddr a, unsigned order, pfn *ret)
{
    struct mm_req req = {.order = order,
                         .gfp = GFP_USER,
                         .owner = FRAME_USER_ANON,
                         .m = m,
                         .vma = v,
                         .addr = a,
                         .flags = thp_effort_flags(m->sys, v, order)};
    return alloc_for(&req, v, a, ret);
}

int folio_alloc_collapse(struct mm *m, const struct vma *v, vaddr a, const struct mpol_pick *pick,
                         pfn *ret)
{
    struct mm_req req = {.order = HPAGE_PMD_ORDER,
                         .gfp = GFP_USER,
                         .owner = FRAME_USER_ANON,
                         .m = m,
                         .pick = pick,
                         .flags = REQ_MAY_FAIL};
    return alloc_for(&req, v, a, ret);
}

/* -- faults that get several pages ------------------------------------------------------------ */

/* range_none: all entries of the aligned range of an order around a fault are none. */
static bool range_none(const struct vm_fault *vmf, unsigned order)
{
    uint64_t first = align_down(pt_index(vmf->address, 0), BIT(order));
    const pte *table = vmf->pte - pt_index(vmf->address, 0);
    for (uint64_t i = 0; i < BIT(order); i++)
        if (!pte_none(table[first + i]))
            return false;
    return true;
}

static void map_pages(struct vm_fault *vmf, pfn head, unsigned order, vaddr at)
{
    struct mm *m = vmf->m;
    uint64_t bits = vm_page_prot(vmf->vma) | PTE_D | (vmf->vma->flags & VM_WRITE ? PTE_RW : 0);
    pte *e = vmf->pte - pt_index(vmf->address, 0) + pt_index(at, 0);
    lock_pte(m, at, BIT(order));
    for (uint64_t i = 0; i < BIT(order); i++) {
        pfn n = {head.v + i};
        page_add_rmap(m, n);
        set_pte(m, va(at.v + i * PAGE_SIZE), e + i, pte_make(n, bits));
    }
    folio_add_lru_vma(m->sys, vmf->vma, head);
    arch_step(m->sys->outbox, STEP_PTE, 1);
}

bool map_anon_folio(struct vm_fault *vmf)
{
    struct mm_sys *s = vmf->m->sys;
    const unsigned small = (1u << HPAGE_PMD_ORDER) - 1;
    unsigned orders = thp_orders_at(vmf->m, vmf->vma, vmf->address, small);
    while (orders != 0 && !range_none(vmf, log2_floor(orders)))
        orders &= ~(1u << log2_floor(orders));
    while (orders != 0) {
        unsigned order = log2_floor(orders);
        vaddr at = va(align_down(vmf->address.v, PAGE_SIZE << order));
        pfn head;
        if (folio_alloc_anon(vmf->m, vmf->vma, at, order, &head) == 0) {
            clear_frames(s, head, BIT(order));
            map_pages(vmf, head, order, at);
            s->thp.fault_alloc[order]++;
            return true;
        }
        s->thp.fault_fallback[order]++;
        orders &= ~(1u << order);
    }
    return false;
}

/* -- the deferred split queue ---------------------------------------------------------------- */

static struct frame *queue_node(const struct mm_sys *s, pfn head)
{
    return phys_frame(s->phys, (pfn){head.v + 2});
}

static bool queued(const struct mm_sys *s, pfn head)
{
    const struct frame *n = queue_node(s, head);
    return n->link_next != 0 || n->link_prev != 0 || s->thp.deferred_first == head.v + 1;
}

static void enqueue(struct mm_sys *s, pfn head)
{
    uint32_t id = (uint32_t)(head.v + 1), last = s->thp.deferred_last;
    queue_node(s, head)->link_prev = last;
    if (last != 0)
        queue_node(s, (pfn){last - 1})->link_next = id;
    else
        s->thp.deferred_first = id;
    s->thp.deferred_last = id;
    s->thp.deferred_nr++;
}

static void dequeue(struct mm_sys *s, pfn head)
{
    struct frame *n = queue_node(s, head);
    if (n->link_prev != 0)
        queue_node(s, (pfn){n->link_prev - 1})->link_next = n->link_next;
    else
        s->thp.deferred_first = n->link_next;
    if (n->link_next != 0)
        queue_node(s, (pfn){n->link_next - 1})->link_prev = n->link_prev;
    else
        s->thp.deferred_last = n->link_prev;
    n->link_next = n->link_prev = 0;
    s->thp.deferred_nr--;
}

void folio_unqueue_deferred(struct mm_sys *s, pfn head)
{
    if (folio_deferred(s, head))
        dequeue(s, head);
    phys_frame(s->phys, head)->flags &= ~FRAME_F_PARTIAL;
}

bool folio_deferred(const struct mm_sys *s, pfn head)
{
    return phys_frame(s->phys, head)->order >= 2 && queued(s, head);
}

bool folio_partly_mapped(const struct mm_sys *s, pfn head)
{
    const struct frame *f = phys_frame(s->phys, head);
    bool none = false, some = false;
    for (uint64_t i = 0; i < BIT(f->order) && f->entire == 0; i++) {
        none |= f[i].mapcount == 0;
        some |= f[i].mapcount != 0;
    }
    return none && some;
}

void deferred_split_folio(struct mm_sys *s, pfn head, bool partially_mapped)
{
    struct frame *f = phys_frame(s->phys, head);
    if (f->order < 2 || (!partially_mapped && !s->conf.thp_shrink_underused))
        return;
    if (partially_mapped && !(f->flags & FRAME_F_PARTIAL)) {
        f->flags |= FRAME_F_PARTIAL;
        STAT(s->stats, thp_deferred_split_page) += f->order == HPAGE_PMD_ORDER;
    }
    if (!queued(s, head))
        enqueue(s, head);
}

void folio_end_batch(struct mm_sys *s, pfn head)
{
    const struct frame *f = phys_frame(s->phys, head);
    if (f->order == 0 || f->owner != FRAME_USER_ANON || (f->flags & FRAME_F_PARTIAL))
        return;
    if (folio_partly_mapped(s, head))
        deferred_split_folio(s, head, true);
}

/* -- splitting a folio ----------------------------------------------------------------------- */

static bool zero_filled(const struct mm_sys *s, pfn n)
{
    const uint64_t *word = phys_bytes(s->phys, n);
    for (unsigned i = 0; word && i < PAGE_SIZE / sizeof(*word); i++)
        if (word[i] != 0)
            return false;
    return word != NULL;
}

/* use_zeropage: a page without a byte in it need not be a page (try_to_map_unused_to_zeropage). Only
 * phys.contents tells. pre: no locked VMA maps the page, nor one that stands before in the walk. */
static bool use_zeropage(const struct rmap_walk *w, pfn n)
{
    struct mm *m = w->m;
    if (!zero_filled(m->sys, n))
        return false;
    pte zero = pte_make(phys_zero_page(m->sys->phys), vm_page_prot(w->vma) | PTE_SPECIAL);
    set_pte(m, w->a, w->e, zero);
    page_remove_rmap_batch(m, n);
    return true;
}

static bool maps_locked(const struct rmap_walk *w)
{
    return (w->vma->flags & (VM_LOCKED | VM_SPECIAL)) == VM_LOCKED;
}

/* remap takes all entries of a folio away and brings them back, as a split does for its safety. What
 * goes from a locked VMA is unlocked; true if there was one. */
static bool remap(struct mm_sys *s, pfn head)
{
    bool locked = false;
    bool page_locked[PT_ENTRIES] = {false}; /* by an entry that is back */
    struct rmap_walk w;
    struct frame *f = phys_frame(s->phys, head);
    for (rmap_start(&w, s, head); rmap_next(&w);) {
        if (w.level > 0) /* flushed, and unlocked, as one when it splits */
            continue;
        unmap_flush_later(w.m, w.a.v, w.a.v + PAGE_SIZE, w.e->v & PTE_D);
        munlock_vma_folio(w.m, w.a, head);
    }
    for (rmap_start(&w, s, head); rmap_next(&w);)
        if (w.level == 1)
            split_huge_pmd_locked(w.m, w.a, true);
    f->refs++; /* it lives until it is split */
    for (rmap_start(&w, s, head); rmap_next(&w);) {
        f->flags |= w.e->v & PTE_D ? FRAME_F_DIRTY : 0;
        locked |= maps_locked(&w);
        bool *kept = &page_locked[pte_pfn(*w.e).v - head.v];
        *kept |= maps_locked(&w);
        if (!*kept && !(w.vma->flags & VM_LOCKED))
            use_zeropage(&w, pte_pfn(*w.e));
    }
    unmap_flush_end(s);
    f->refs--;
    return locked;
}

/* lock_singles: a page that came back to a locked VMA is locked, as small as it is now: a part of a
 * large folio was not. */
static void lock_singles(struct mm_sys *s, pfn head, uint64_t nr)
{
    for (uint64_t i = 0; i < nr; i++) {
        struct rmap_walk w;
        pfn n = {head.v + i};
        if (phys_frame(s->phys, n)->refs == 0)
            continue;
        for (rmap_start(&w, s, n); rmap_next(&w);)
            mlock_vma_folio(s, w.vma, n);
    }
    lru_add_drain(s);
}

/* make_single turns frame i of a folio into one of its own. */
static void make_single(struct mm_sys *s, pfn head, struct frame proto, uint64_t i)
{
    pfn n = {head.v + i};
    struct frame *f = phys_frame(s->phys, n);
    f->flags = (proto.flags & ~FRAME_F_EXCLUSIVE) | (f->flags & FRAME_F_EXCLUSIVE);
    f->order = 0;
    f->refs = f->mapcount;
    f->index = proto.index + i;
    f->mapping = proto.mapping;
    f->private = proto.private;
    if (f->refs == 0)
        f->flags &= ~FRAME_F_LRU; /* split_folio frees it when all are single */
    else if (f->flags & FRAME_F_LRU)
        lruvec_add(s, n, false);
}

int split_folio(struct mm_sys *s, pfn head)
{
    struct frame *f = phys_frame(s->phys, head), proto = *f;
    if (f->order == 0)
        return 0;
    if (!folio_test_anon(s, head))
        return split_file_folio(s, head, SPLIT_UNIFORM);
    if (f->refs != folio_mapcount(s, head) || (f->flags & FRAME_F_LOCKED)) {
        STAT(s->stats, thp_split_page_failed)++;
        return -EAGAIN;
    }
    lru_add_drain_all(s);
    folio_unqueue_deferred(s, head);
    bool locked = remap(s, head);
    proto.flags = f->flags;
    if (proto.flags & FRAME_F_LRU)
        lruvec_del(s, head);
    proto.flags &= ~FRAME_F_PARTIAL;
    STAT(s->stats, thp_split_page) += proto.order == HPAGE_PMD_ORDER;
    for (uint64_t i = BIT(proto.order); i-- > 0;)
        make_single(s, head, proto, i);
    for (uint64_t i = BIT(proto.order); i-- > 0;)
        if (f[i].refs == 0)
            folio_free(s, (pfn){head.v + i});
    if (locked)
        lock_singles(s, head, BIT(proto.order));
    return 0;
}

/* thp_underused: more zero pages than khugepaged would take for empty ones. */
static bool thp_underused(const struct mm_sys *s, pfn head)
{
    uint64_t zero = 0, nr = folio_nr_pages(s, head), max = s->conf.khugepaged_max_ptes_none;
    if (max == HPAGE_PMD_NR - 1)
        return false;
    for (uint64_t i = 0; i < nr && zero <= max; i++)
        zero += zero_filled(s, (pfn){head.v + i});
    return zero > max;
}

/* split_first looks at the folio that waits longest; true if it was split. */
static bool split_first(struct mm_sys *s)
{
    pfn head = {s->thp.deferred_first - 1};
    bool partial = phys_frame(s->phys, head)->flags & FRAME_F_PARTIAL;
    bool underused = !partial && thp_underused(s, head);
    dequeue(s, head);
    if (!partial && !underused)
        return false;
    if (split_folio(s, head) != 0) {
        enqueue(s, head);
        return false;
    }
    STAT(s->stats, thp_underused_split_page) += underused;
    return true;
}

uint64_t deferred_split_scan(struct mm_sys *s, uint64_t nr_to_scan)
{
    uint64_t split = 0;
    for (uint64_t n = min_u64(nr_to_scan, s->thp.deferred_nr); n > 0 && s->thp.deferred_first; n--)
        split += split_first(s);
    return split;
}

uint64_t mm_shrink_thp(struct mm_sys *s, uint64_t want)
{
    uint64_t freed = 0;
    for (uint64_t n = s->thp.deferred_nr; n > 0 && freed < want && s->thp.deferred_first; n--) {
        uint64_t before = phys_owner_frames(s->phys, FRAME_USER_ANON);
        split_first(s);
        freed += before - phys_owner_frames(s->phys, FRAME_USER_ANON);
    }
    return freed;
}

/* -- advice ---------------------------------------------------------------------------------- */

uint64_t folio_pte_batch(const struct mm_sys *s, const struct pt_run *r, pfn head)
{
    uint64_t n = 0, nr = folio_nr_pages(s, head), first = pte_pfn(*r->e).v;
    uint64_t room = min_u64((r->table_end - r->a.v) >> PAGE_SHIFT, head.v + nr - first);
    while (n < room && (pte_present(r->e[n]) || pte_protnone(r->e[n])) &&
           pte_pfn(r->e[n]).v == first + n)
        n++;
    return n;
}

/* age_folio clears A, and D for MADV_FREE, of n entries in a row, or of one of level 1. */
static void age_folio(struct gather *g, struct pt_run *r, pfn head, uint64_t n, bool free)
{
    struct mm_sys *s = g->m->sys;
    struct frame *f = phys_frame(s->phys, head);
    const uint64_t bits = PTE_A | (free ? PTE_D : 0);
    for (uint64_t i = 0; i < n; i++) {
        struct pt_run one = *r;
        one.e += i;
        one.at.v += i * sizeof(pte);
        if (!(one.e->v & bits))
            continue;
        run_set(g->m, &one, (pte){one.e->v & ~bits});
        if (r->level > 0 && free) /* pmdp_invalidate; MADV_COLD was seen not to flush here */
            flush_pmd_tlb_range(g->m, r->a.v);
        if (r->level > 0)
            gather_entry(g, r->a.v, 1);
        else
            gather_page(g, va(r->a.v + i * PAGE_SIZE));
    }
    f->flags &= ~(FRAME_F_REFERENCED | (free ? FRAME_F_DIRTY : 0));
    if (!free)
        f->flags |= f->flags & FRAME_F_ACTIVE ? FRAME_F_WORKINGSET : 0;
}

/* look_large: what an entry is to advice. */
enum large {
    LARGE_NOT,  /* it maps a single page */
    LARGE_DONE, /* others map the folio, or it was split: nothing more to do with this entry */
    LARGE_WHOLE /* it, and the n - 1 behind it, map all of a folio, in the range */
};

/* leaves_large: others map some of a folio. Where all of it is mapped here its mapcount tells for sure; a
 * clean one may be given up all the same. */
static bool leaves_large(struct mm_sys *s, pfn head, bool all_entries, bool free)
{
    const struct frame *f = phys_frame(s->phys, head);
    if (!all_entries)
        return folio_maybe_mapped_shared(s, head);
    bool asks = !free || (f->flags & (FRAME_F_DIRTY | FRAME_F_SWAPCACHE));
    return asks && folio_mapcount(s, head) != BIT(f->order);
}

/* skip_batch lets a run stand at the last of n entries. */
static void skip_batch(struct pt_run *r, uint64_t n)
{
    r->a.v += (n - 1) * PAGE_SIZE;
    r->e += n - 1;
    r->at.v += (n - 1) * sizeof(pte);
}

/* look_large leaves the run at the last entry of what it passes over, or lets it look again. */
static enum large look_large(struct gather *g, struct pt_run *r, bool free, pfn *ret_head,
                             uint64_t *ret_n)
{
    struct mm_sys *s = g->m->sys;
    if (pte_is_swap(*r->e) || (r->e->v & PTE_SPECIAL))
        return r->level > 0 ? LARGE_DONE : LARGE_NOT;
    pfn head = folio_head(s, pte_leaf_pfn(*r->e, r->level));
    uint64_t size = BIT(pt_level_shift(r->level)), nr = folio_nr_pages(s, head), n = 1;
    if (nr == 1)
        return LARGE_NOT;
    bool whole = r->a.v % size == 0 && r->end.v - r->a.v >= size;
    if (r->level == 0) {
        n = folio_pte_batch(s, r, head);
        whole = n == nr;
    }
    *ret_head = head;
    *ret_n = n;
    bool left = leaves_large(s, head, r->level == 0 && whole, free);
    if (whole && !left)
        return LARGE_WHOLE;
    if (!left && split_folio(s, head) == 0)
        r->e = NULL; /* single pages now */
    else
        skip_batch(r, n);
    return LARGE_DONE;
}

bool advise_large(struct gather *g, struct pt_run *r, bool free)
{
    pfn head;
    uint64_t n;
    enum large what = look_large(g, r, free, &head, &n);
    if (what != LARGE_WHOLE)
        return what == LARGE_DONE;
    age_folio(g, r, head, n, free);
    if (free)
        folio_mark_lazyfree(g->m->sys, head);
    else
        folio_deactivate(g->m->sys, head);
    skip_batch(r, n);
    return true;
}

bool pageout_large(struct gather *g, struct pt_run *r, pfn *ret)
{
    struct mm_sys *s = g->m->sys;
    pfn head;
    uint64_t n;
    enum large what = look_large(g, r, false, &head, &n);
    *ret = PFN_NONE;
    if (what != LARGE_WHOLE)
        return what == LARGE_DONE;
    bool to_swap =
        folio_test_anon(s, head) && (phys_frame(s->phys, head)->flags & FRAME_F_SWAPBACKED);
    if (to_swap && split_for_swap(s, head) == 0) { /* goes page by page */
        r->e = NULL;
        return true;
    }
    if (!to_swap)
        *ret = head;
    skip_batch(r, n);
    return true;
}
