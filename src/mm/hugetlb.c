/* hugetlb.c: pools of huge pages, who was promised how many, and the files they belong to.
 *
 *   boot, nr_hugepages ─► pool ─ dequeue ─► page of a file or a private mapping
 *        overcommit ─► surplus ─┘   ▲                       │ last reference
 *                                   └────── enqueue ◄───────┴─► surplus page: back to the system
 *
 *   mmap ─► promises (resv) for every page not promised yet; refused when pool and overcommit cannot
 *   keep them. fault ─► uses a promise, else needs a page that is promised to nobody.
 *
 * I1  free ≤ nr, surplus ≤ nr, resv ≤ free; each is the sum over the nodes.
 * I2  resv = Σ inodes (promised and not in use) + Σ private creators (promised and not consumed), but
 *     while a child still has a page that its creator unmapped: the promise goes with the mapping and
 *     comes back, for nobody, with the page. Until then resv is too low, below 0 even, as in Linux.
 * I3  A page of a pool has owner FRAME_HUGETLB and FRAME_F_HUGETLB; free ones have no reference.
 *
 * Source: Linux 6.18 mm/hugetlb.c (set_max_huge_pages, gather_surplus_pages,
 * return_unused_surplus_pages, hugetlb_acct_memory, hugetlb_reserve_pages, free_huge_folio,
 * alloc_hugetlb_folio), fs/hugetlbfs/inode.c.
 */
#include "mm/mm_int.h"

#define BLOCK_ORDER (PHYS_ORDERS - 1u) /* largest block the allocator has */

struct hstate *hstate_of(struct mm_sys *s, const struct mm_file *f)
{
    return &s->hugetlb.h[f->hugetlb->size];
}

uint64_t huge_page_size(const struct mm_sys *s, const struct mm_file *f)
{
    return PAGE_SIZE << s->hugetlb.h[f->hugetlb->size].order;
}

uint64_t vma_hpage_size(const struct vma *v)
{
    return v->flags & VM_HUGETLB ? huge_page_size(v->m->sys, v->file) : PAGE_SIZE;
}

uint64_t hugetlb_total_pages(const struct mm_sys *s)
{
    uint64_t pages = 0;
    for (unsigned i = 0; i < MM_HUGETLB_NR; i++)
        pages += s->hugetlb.h[i].nr << s->hugetlb.h[i].order;
    return pages;
}

/* -- frames ---------------------------------------------------------------------------------- */

static int alloc_frames(struct mm_sys *s, unsigned nid, unsigned order, pfn *ret)
{
    struct phys_req r = phys_request(order, GFP_USER, FRAME_HUGETLB);
    if (order > BLOCK_ORDER)
        return phys_alloc_contig(s->phys, order, nid, BIT(nid), FRAME_HUGETLB, ret);
    r.nid = nid;
    r.flags = PHYS_THISNODE;
    int err = phys_alloc_req(s->phys, &r, ret);
    r.mark = PHYS_MARK_MIN;
    return err == 0 ? 0 : phys_alloc_req(s->phys, &r, ret);
}

static void mark_folio(struct mm_sys *s, pfn head, unsigned order)
{
    struct frame *f = phys_frame(s->phys, head);
    for (uint64_t i = 0; i < BIT(order); i++) {
        f[i].flags = (i == 0 ? FRAME_F_HEAD : FRAME_F_TAIL) | FRAME_F_HUGETLB;
        f[i].order = (uint8_t)order;
    }
}

/* -- the pool -------------------------------------------------------------------------------- */

static void enqueue(struct mm_sys *s, struct hstate *h, pfn head)
{
    struct frame *f = phys_frame(s->phys, head);
    f->link_next = h->free_list[f->nid];
    f->mapping = NULL;
    f->private = 0;
    f->flags &= ~(FRAME_F_EXCLUSIVE | FRAME_F_DIRTY | FRAME_F_REFERENCED);
    h->free_list[f->nid] = (uint32_t)(head.v + 1);
    h->free++;
    h->free_node[f->nid]++;
}

static int dequeue_node(struct mm_sys *s, struct hstate *h, unsigned nid, pfn *ret)
{
    if (h->free_list[nid] == 0)
        return -ENOSPC;
    *ret = (pfn){h->free_list[nid] - 1};
    struct frame *f = phys_frame(s->phys, *ret);
    h->free_list[nid] = f->link_next;
    f->link_next = 0;
    h->free--;
    h->free_node[nid]--;
    return 0;
}

/* dequeue takes a free page, of the running CPU's node if it has one. */
static int dequeue(struct mm_sys *s, struct hstate *h, pfn *ret)
{
    unsigned local = numa_node_id(s);
    for (unsigned i = 0; i < s->lru.nodes; i++)
        if (dequeue_node(s, h, (local + i) % s->lru.nodes, ret) == 0)
            return 0;
    return -ENOSPC;
}

/* new_page makes the pool larger by a page in use. */
static int new_page(struct mm_sys *s, struct hstate *h, unsigned nid, bool surplus, pfn *ret)
{
    if (alloc_frames(s, nid, h->order, ret) != 0)
        return -ENOMEM;
    mark_folio(s, *ret, h->order);
    node_stat_add(s, phys_frame(s->phys, *ret), NODE_nr_hugetlb, (int64_t)BIT(h->order));
    h->nr++;
    h->nr_node[nid]++;
    h->surplus += surplus;
    h->surplus_node[nid] += surplus;
    return 0;
}

/* remove_page takes a page that is not on the free list out of the pool. */
static void remove_page(struct mm_sys *s, struct hstate *h, pfn head, bool surplus)
{
    unsigned nid = phys_frame(s->phys, head)->nid;
    node_stat_add(s, phys_frame(s->phys, head), NODE_nr_hugetlb, -(int64_t)BIT(h->order));
    h->nr--;
    h->nr_node[nid]--;
    h->surplus -= surplus;
    h->surplus_node[nid] -= surplus;
    phys_free(s->phys, head, h->order);
}

static unsigned next_nid(const struct mm_sys *s, struct hstate *h)
{
    unsigned nid = h->next_nid;
    h->next_nid = (nid + 1) % s->lru.nodes;
    return nid;
}

/* remove_free takes a free page out of the pool, of a node that has surplus pages if asked so
 * (remove_pool_hugetlb_folio). */
bool remove_pool_hugetlb_folio(struct mm_sys *s, struct hstate *h, bool surplus)
{
    pfn head;
    for (unsigned i = 0; i < s->lru.nodes; i++) {
        unsigned nid = next_nid(s, h);
        if ((surplus && h->surplus_node[nid] == 0) || dequeue_node(s, h, nid, &head) != 0)
            continue;
        remove_page(s, h, head, surplus);
        return true;
    }
    return false;
}

static int alloc_surplus(struct mm_sys *s, struct hstate *h, uint64_t overcommit, pfn *ret)
{
    if (h->order > BLOCK_ORDER || h->surplus >= overcommit)
        return -ENOSPC;
    for (unsigned i = 0; i < s->lru.nodes; i++)
        if (new_page(s, h, (numa_node_id(s) + i) % s->lru.nodes, true, ret) == 0)
            return 0;
    return -ENOSPC;
}

uint64_t hugetlb_overcommit(const struct mm_sys *s, const struct hstate *h)
{
    return h == &s->hugetlb.h[MM_HUGETLB_2M] ? s->conf.hugetlb_2m_overcommit
                                             : s->conf.hugetlb_1g_overcommit;
}

/* adjust_surplus calls a page of the pool surplus (delta 1) or no longer so (-1). */
static bool adjust_surplus(const struct mm_sys *s, struct hstate *h, int delta)
{
    for (unsigned i = 0; i < s->lru.nodes; i++) {
        unsigned nid = next_nid(s, h);
        if (delta < 0 ? h->surplus_node[nid] == 0 : h->surplus_node[nid] >= h->nr_node[nid])
            continue;
        h->surplus += (uint64_t)(int64_t)delta;
        h->surplus_node[nid] += (uint64_t)(int64_t)delta;
        return true;
    }
    return false;
}

static void grow_pool(struct mm_sys *s, struct hstate *h, uint64_t count)
{
    unsigned failed = 0;
    while (h->surplus > 0 && count > h->nr - h->surplus && adjust_surplus(s, h, -1))
        ;
    while (count > h->nr - h->surplus && failed < s->lru.nodes) {
        pfn head;
        if (new_page(s, h, next_nid(s, h), false, &head) == 0) {
            enqueue(s, h, head);
            failed = 0;
        } else {
            failed++;
        }
    }
}

/* set_max_huge_pages */
static void set_max(struct mm_sys *s, struct hstate *h, uint64_t count)
{
    grow_pool(s, h, count);
    uint64_t min = max_u64(count, h->resv + h->nr - h->free);
    while (min < h->nr - h->surplus && remove_pool_hugetlb_folio(s, h, false))
        ;
    while (count < h->nr - h->surplus && adjust_surplus(s, h, 1))
        ;
}

void mm_hugetlb_set(struct mm_sys *s, enum mm_hugetlb_size size, uint64_t count)
{
    set_max(s, &s->hugetlb.h[size], count);
    AUDIT(audit_fault(s));
}

void mm_hugetlb_info(const struct mm_sys *s, enum mm_hugetlb_size size, struct mm_hugetlb_info *ret)
{
    const struct hstate *h = &s->hugetlb.h[size];
    *ret = (struct mm_hugetlb_info){.bytes = PAGE_SIZE << h->order,
                                    .nr = h->nr,
                                    .free = h->free,
                                    .resv = h->resv,
                                    .surplus = h->surplus,
                                    .overcommit = hugetlb_overcommit(s, h),
                                    .boot = h->boot};
}

void hugetlb_open(struct mm_sys *s)
{
    s->hugetlb.h[MM_HUGETLB_2M].order = 9;
    s->hugetlb.h[MM_HUGETLB_1G].order = 18;
    set_max(s, &s->hugetlb.h[MM_HUGETLB_1G], s->conf.hugetlb_1g);
    set_max(s, &s->hugetlb.h[MM_HUGETLB_2M], s->conf.hugetlb_2m);
    for (unsigned i = 0; i < MM_HUGETLB_NR; i++) {
        struct hstate *h = &s->hugetlb.h[i];
        h->boot = h->nr;
        memcpy(h->boot_node, h->nr_node, sizeof(h->boot_node));
    }
}

void hugetlb_close(struct mm_sys *s)
{
    for (unsigned i = 0; i < MM_HUGETLB_NR; i++) {
        struct hstate *h = &s->hugetlb.h[i];
        CHECK(h->resv == 0 && h->free == h->nr); /* I2: no file is left */
        set_max(s, h, 0);
    }
}

/* -- promises -------------------------------------------------------------------------------- */

/* lacks: too few free pages for so many promises; signed, see I2. */
static bool lacks(const struct hstate *h, uint64_t promises)
{
    return (int64_t)(promises - h->free) > 0;
}

/* gather_surplus: pages for `delta` more promises, from overcommit where the pool is too small. */
static int gather_surplus(struct mm_sys *s, struct hstate *h, uint64_t delta)
{
    uint64_t want = h->resv + delta, got = 0;
    while (lacks(h, want)) {
        pfn head;
        if (alloc_surplus(s, h, hugetlb_overcommit(s, h), &head) != 0)
            break;
        enqueue(s, h, head);
        got++;
    }
    if (!lacks(h, want)) {
        h->resv = want;
        return 0;
    }
    while (got-- > 0)
        remove_pool_hugetlb_folio(s, h, true);
    return -ENOMEM;
}

static void return_unused(struct mm_sys *s, struct hstate *h, uint64_t unused)
{
    uint64_t pages = min_u64(unused, h->surplus);
    h->resv -= unused;
    while (pages-- > 0 && remove_pool_hugetlb_folio(s, h, true))
        ;
}

int hugetlb_acct_memory(struct mm_sys *s, struct hstate *h, int64_t delta)
{
    if (delta > 0 && gather_surplus(s, h, (uint64_t)delta) != 0)
        return -ENOMEM;
    if (delta > 0 && (uint64_t)delta <= h->free) /* allowed_mems_nr */
        return 0;
    if (delta > 0) {
        return_unused(s, h, (uint64_t)delta);
        return -ENOMEM;
    }
    return_unused(s, h, (uint64_t)-delta);
    return 0;
}

static void mark(struct map *m, uint64_t idx)
{
    int err = map_put(m, idx, 1);
    ASSERT(err == 0);
}

static void mark_shared(struct hugetlb_inode *in, uint64_t idx)
{
    mark(&in->resv, idx);
    in->end = max_u64(in->end, idx + 1);
}

uint64_t hugetlb_not_promised(const struct mm_file *f, uint64_t from, uint64_t to)
{
    uint64_t missing = 0;
    for (uint64_t i = from; i < to; i++)
        missing += !map_find(&f->hugetlb->resv, i);
    return missing;
}

/* reserve_shared promises the pages [from, to) of a file that are not promised yet. */
static int reserve_shared(struct mm_sys *s, struct mm_file *f, uint64_t from, uint64_t to)
{
    struct hugetlb_inode *in = f->hugetlb;
    struct hstate *h = hstate_of(s, f);
    uint64_t pages = to - from, least = pages - min_u64(pages, in->resv.used);
    if (least > h->nr + hugetlb_overcommit(s, h)) /* no need to count them: there may be 2^43 */
        return -ENOMEM;
    uint64_t missing = hugetlb_not_promised(f, from, to);
    if (hugetlb_acct_memory(s, hstate_of(s, f), (int64_t)missing) != 0)
        return -ENOMEM;
    for (uint64_t i = from; i < to; i++)
        mark_shared(in, i);
    return 0;
}

static int reserve_private(struct mm_sys *s, struct vma_merge *g, uint64_t pages)
{
    if (hugetlb_acct_memory(s, hstate_of(s, g->file), (int64_t)pages) != 0)
        return -ENOMEM;
    struct resv_map *r = calloc(1, sizeof(*r));
    ASSERT(r);
    r->refs = 1;
    map_init(&r->consumed);
    g->resv = r;
    g->resv_flags = HPAGE_RESV_OWNER;
    return 0;
}

int hugetlb_mmap(struct mm *m, struct vma_merge *g)
{
    struct mm_sys *s = m->sys;
    unsigned order = hstate_of(s, g->file)->order;
    uint64_t pages = (g->end - g->start) >> PAGE_SHIFT, from = g->pgoff >> order;
    uint64_t to = from + (pages >> order), bytes = (g->pgoff + pages) << PAGE_SHIFT;
    if (g->pgoff & (BIT(order) - 1))
        return -EINVAL;
    int err = 0;
    if (!(g->flags & VM_NORESERVE) && !g->file->sysv) /* shmget made the promise of a segment */
        err = g->flags & VM_MAYSHARE ? reserve_shared(s, g->file, from, to)
                                     : reserve_private(s, g, to - from);
    if (err == 0 && (g->flags & VM_WRITE))
        g->file->size = max_u64(g->file->size, bytes);
    return err;
}

void resv_map_get(struct resv_map *r)
{
    if (r)
        r->refs++;
}

static void resv_map_put(struct resv_map *r)
{
    if (--r->refs > 0)
        return;
    map_free(&r->consumed);
    free(r);
}

void clear_vma_resv(struct mm_sys *s, struct vma *v)
{
    (void)s;
    if (v->resv)
        resv_map_put(v->resv);
    v->resv = NULL;
    v->resv_flags = 0;
}

/* hugetlb_vm_op_close: promises of pages that were never used go back. */
void hugetlb_vma_close(struct mm_sys *s, struct vma *v)
{
    if (!v->resv)
        return;
    struct hstate *h = hstate_of(s, v->file);
    uint64_t from = v->pgoff >> h->order, unused = 0;
    for (uint64_t i = from; i < from + (vma_pages(v) >> h->order); i++)
        unused += !map_find(&v->resv->consumed, i);
    clear_vma_resv(s, v);
    hugetlb_acct_memory(s, h, -(int64_t)unused);
}

/* -- pages of a mapping ---------------------------------------------------------------------- */

bool hugetlb_needs_reservation(const struct vma *v, uint64_t idx)
{
    if (v->flags & VM_MAYSHARE)
        return !map_find(&v->file->hugetlb->resv, idx);
    return !v->resv || map_find(&v->resv->consumed, idx);
}

int hugetlb_alloc(struct mm_sys *s, const struct vma *v, uint64_t idx, bool cow_from_owner,
                  pfn *ret)
{
    struct hstate *h = hstate_of(s, v->file);
    bool extra = cow_from_owner || hugetlb_needs_reservation(v, idx);
    int err = extra && h->free == h->resv ? -ENOSPC : dequeue(s, h, ret);
    if (err != 0)
        err = alloc_surplus(s, h, hugetlb_overcommit(s, h), ret);
    if (err != 0)
        return err;
    if (!extra)
        h->resv--;
    if (!cow_from_owner && (v->flags & VM_MAYSHARE))
        mark_shared(v->file->hugetlb, idx);
    else if (!cow_from_owner && v->resv)
        mark(&v->resv->consumed, idx);
    return 0;
}

void hugetlb_put(struct mm_sys *s, pfn head)
{
    struct frame *f = phys_frame(s->phys, head);
    struct hstate *h = &s->hugetlb.h[f->order == 9 ? MM_HUGETLB_2M : MM_HUGETLB_1G];
    CHECK(f->refs > 0);
    if (--f->refs > 0)
        return;
    h->resv += f->private & HUGETLB_RESTORE ? 1 : 0;
    if (h->surplus_node[f->nid] > 0)
        remove_page(s, h, head, true);
    else
        enqueue(s, h, head);
}

/* restore_reservation: the creator of a private mapping gives a page back and keeps its promise. */
void hugetlb_restore(struct mm_sys *s, struct vma *v, uint64_t idx, pfn head)
{
    if (hstate_of(s, v->file)->surplus > 0 || !v->resv)
        return;
    phys_frame(s->phys, head)->private |= HUGETLB_RESTORE;
    map_del(&v->resv->consumed, idx);
}

/* -- files ----------------------------------------------------------------------------------- */

int mm_hugetlb_file(struct mm_sys *s, const struct mm_hugetlb_file *q, struct mm_file **ret)
{
    enum mm_hugetlb_size size = q->size_log == 30 ? MM_HUGETLB_1G : MM_HUGETLB_2M;
    if (q->size_log != 0 && q->size_log != 21 && q->size_log != 30)
        return -EINVAL;
    struct mm_file *f = file_new(s, FILE_HUGETLB, q->path);
    f->hugetlb = calloc(1, sizeof(*f->hugetlb));
    ASSERT(f->hugetlb);
    f->hugetlb->size = size;
    map_init(&f->hugetlb->pages);
    map_init(&f->hugetlb->resv);
    f->size = align_up(q->bytes, huge_page_size(s, f));
    if (q->reserve && reserve_shared(s, f, 0, f->size / huge_page_size(s, f)) != 0) {
        mm_file_put(s, f);
        return -ENOMEM;
    }
    *ret = f;
    return 0;
}

pfn hugetlb_cached(const struct mm_file *f, uint64_t idx)
{
    const uint64_t *slot = map_find(&f->hugetlb->pages, idx);
    return slot ? (pfn){*slot - 1} : PFN_NONE;
}

void hugetlb_add_to_cache(struct mm_sys *s, struct mm_file *f, uint64_t idx, pfn head)
{
    int err = map_put(&f->hugetlb->pages, idx, head.v + 1);
    ASSERT(err == 0);
    f->hugetlb->end = max_u64(f->hugetlb->end, idx + 1);
    phys_frame(s->phys, head)->refs++;
    phys_frame(s->phys, head)->mapping = f;
}

/* drop_page frees page idx of a file: true if there was one. */
static bool drop_page(struct mm_sys *s, struct mm_file *f, uint64_t idx)
{
    pfn head = hugetlb_cached(f, idx);
    if (pfn_is_none(head))
        return false;
    map_del(&f->hugetlb->pages, idx);
    hugetlb_put(s, head);
    return true;
}

void hugetlb_drop(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last, bool truncate)
{
    struct hstate *h = hstate_of(s, f);
    uint64_t from = div_up(first, BIT(h->order)), to = last >> h->order;
    uint64_t freed = 0, promised = 0;
    to = min_u64(to, f->hugetlb->end);
    for (uint64_t i = from; i < to; i++) {
        bool had = drop_page(s, f, i);
        freed += had;
        if ((had || truncate) && map_find(&f->hugetlb->resv, i)) {
            map_del(&f->hugetlb->resv, i);
            promised++;
        }
    }
    hugetlb_acct_memory(s, h, -(int64_t)(promised - min_u64(promised, freed)));
}

void hugetlb_evict(struct mm_sys *s, struct mm_file *f)
{
    hugetlb_drop(s, f, 0, UINT64_MAX, true);
    map_free(&f->hugetlb->pages);
    map_free(&f->hugetlb->resv);
    free(f->hugetlb);
}
