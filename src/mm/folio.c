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

/* effort_flags: how hard an allocation of the order tries (vma_thp_gfp_mask). */
static unsigned effort_flags(const struct mm_sys *s, const struct vma *v, unsigned order)
{
    if (order == 0)
        return 0;
    struct thp_effort e = thp_effort((enum thp_defrag)s->conf.thp_defrag, v->flags & VM_HUGEPAGE);
    return (e.direct ? 0 : REQ_NO_DIRECT) | (e.kswapd || e.direct ? 0 : REQ_NO_KSWAPD) |
           (e.noretry ? REQ_NORETRY : 0) | REQ_MAY_FAIL;
}

int folio_alloc_anon(struct mm *m, const struct vma *v, vaddr a, unsigned order, pfn *ret)
{
    return folio_alloc_anon_as(m, v, a, order, effort_flags(m->sys, v, order), ret);
}

int folio_alloc_anon_as(struct mm *m, const struct vma *v, vaddr a, unsigned order, unsigned flags,
                        pfn *ret)
{
    struct mm_sys *s = m->sys;
    struct mm_req req = {.order = order,
                         .gfp = GFP_USER,
                         .owner = FRAME_USER_ANON,
                         .m = m,
                         .vma = v,
                         .addr = a,
                         .flags = flags};
    int err = mm_alloc(s, &req, ret);
    if (err != 0)
        return err;
    folio_add_new_anon_rmap(s, *ret, v, a);
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_CHARGE, 1);
    return 0;
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

static struct frame *queue_node(struct mm_sys *s, pfn head)
{
    return phys_frame(s->phys, (pfn){head.v + 2});
}

static bool queued(struct mm_sys *s, pfn head)
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
    if (phys_frame(s->phys, head)->order >= 2 && queued(s, head))
        dequeue(s, head);
    phys_frame(s->phys, head)->flags &= ~FRAME_F_PARTIAL;
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

/* split_mappings replaces every huge entry that maps the folio. */
static void split_mappings(struct mm_sys *s, pfn head)
{
    struct rmap_walk w;
    for (rmap_start(&w, s, head); rmap_next(&w);)
        if (w.level == 1)
            split_huge_pmd(w.m, w.a);
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
    if (f->refs == 0) {
        f->flags &= ~FRAME_F_LRU;
        folio_free(s, n);
    } else if (f->flags & FRAME_F_LRU) {
        lruvec_add(s, n, false);
    }
}

int split_folio(struct mm_sys *s, pfn head)
{
    struct frame *f = phys_frame(s->phys, head), proto = *f;
    if (f->order == 0)
        return 0;
    if (f->refs != folio_mapcount(s, head)) {
        STAT(s->stats, thp_split_page_failed)++;
        return -EAGAIN;
    }
    lru_add_drain_all(s);
    proto.flags = f->flags;
    folio_unqueue_deferred(s, head);
    split_mappings(s, head);
    proto.flags |= f->flags & FRAME_F_DIRTY;
    if (proto.flags & FRAME_F_LRU)
        lruvec_del(s, head);
    proto.flags &= ~FRAME_F_PARTIAL;
    STAT(s->stats, thp_split_page) += proto.order == HPAGE_PMD_ORDER;
    for (uint64_t i = BIT(proto.order); i-- > 0;)
        make_single(s, head, proto, i);
    return 0;
}

uint64_t mm_shrink_thp(struct mm_sys *s, uint64_t want)
{
    uint64_t freed = 0;
    for (uint64_t n = s->thp.deferred_nr; n > 0 && freed < want && s->thp.deferred_first; n--) {
        pfn head = {s->thp.deferred_first - 1};
        bool partial = phys_frame(s->phys, head)->flags & FRAME_F_PARTIAL;
        uint64_t before = phys_owner_frames(s->phys, FRAME_FREE);
        dequeue(s, head);
        if (partial && split_folio(s, head) == 0)
            freed += phys_owner_frames(s->phys, FRAME_FREE) - before;
        else if (partial)
            enqueue(s, head);
    }
    return freed;
}
