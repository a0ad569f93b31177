/* migrate.c: moving pages to other frames: the contents, every entry that maps them, their place in
 * the page cache and on the lists.
 *
 *   isolate   off its LRU list, a reference held           folio_isolate_lru
 *   unmap     every entry ─► migration entry, flushed      try_to_migrate
 *   move      file's slot, flags and bytes ─► new frame    migrate_folio_move
 *   remap     every migration entry ─► new frame           remove_migration_ptes
 *   release   the old frame is freed
 *
 * An entry keeps its right to write, whether its page is exclusive, and its A and D bits: Linux packs
 * these two into the offset above the frame number, here they stand where they were.
 *
 * Invariants:
 *  I1  Migration entries exist only inside one call: no fault ever meets one.
 *  I2  A folio moves only if nobody refers to it but its entries, its cache and us.
 *  I3  An isolated folio is on no LRU list, carries FRAME_F_ISOLATED and a reference of its list.
 *
 * Source: Linux 6.18 mm/migrate.c (migrate_pages, migrate_folio_unmap, migrate_folio_move,
 * folio_migrate_flags, remove_migration_pte, do_pages_move, do_pages_stat), mm/rmap.c
 * (try_to_migrate_one), mm/mempolicy.c (queue_pages_range, migrate_folio_add, do_migrate_pages).
 */
#include "mm/migrate_int.h"

#define BATCHED_MAX 512u /* folios unmapped before they are flushed (NR_MAX_BATCHED_MIGRATION) */
#define COPIED_FLAGS                                                                               \
    (FRAME_F_REFERENCED | FRAME_F_ACTIVE | FRAME_F_UNEVICTABLE | FRAME_F_WORKINGSET |              \
     FRAME_F_DIRTY | FRAME_F_SWAPBACKED | FRAME_F_READAHEAD)

/* -- isolation ------------------------------------------------------------------------------- */

static enum node_stat_item isolated_item(const struct frame *f)
{
    return f->flags & FRAME_F_SWAPBACKED ? NODE_nr_isolated_anon : NODE_nr_isolated_file;
}

bool folio_isolate(struct mm_sys *s, struct folio_list *l, pfn head)
{
    struct frame *f = phys_frame(s->phys, head);
    if (!(f->flags & FRAME_F_LRU))
        return false;
    lruvec_del(s, head);
    f->flags = (f->flags & ~FRAME_F_LRU) | FRAME_F_ISOLATED; /* I3 */
    f->refs++;
    node_stat_add(s, f, isolated_item(f), (int64_t)BIT(f->order));
    if (l->nr == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->folio = realloc(l->folio, l->cap * sizeof(*l->folio));
        ASSERT(l->folio);
    }
    l->folio[l->nr++] = head;
    return true;
}

/* unisolate ends I3 without putting the folio anywhere. */
static void unisolate(struct mm_sys *s, struct frame *f)
{
    f->flags &= ~FRAME_F_ISOLATED;
    node_stat_add(s, f, isolated_item(f), -(int64_t)BIT(f->order));
}

void putback_movable_pages(struct mm_sys *s, struct folio_list *l)
{
    for (uint32_t i = 0; i < l->nr; i++) {
        unisolate(s, phys_frame(s->phys, l->folio[i]));
        folio_add_lru(s, l->folio[i]);
        folio_put(s, l->folio[i]);
    }
    free(l->folio);
    *l = (struct folio_list){0};
}

/* -- unmap, remap ---------------------------------------------------------------------------- */

static void set_entry(struct mm *m, const struct rmap_walk *w, pte value)
{
    *w->e = value;
    kernel_write(m->sys, pt_entry_paddr(&m->pt, w->a, w->level), sizeof(pte));
    arch_step(m->sys->outbox, STEP_PTE, 1);
}

static pte migration_entry(pte e, pfn n, bool exclusive)
{
    unsigned type = e.v & PTE_RW ? SWP_MIGRATION_WRITE
                    : exclusive  ? SWP_MIGRATION_READ_EXCLUSIVE
                                 : SWP_MIGRATION_READ;
    return swp_make(type, n.v, e.v & (PTE_A | PTE_D));
}

static void try_to_migrate_one(struct mm_sys *s, const struct rmap_walk *w, pfn head)
{
    pte e = *w->e;
    pfn n = w->level == 0 ? pte_pfn(e) : pte_leaf_pfn(e, w->level);
    if (e.v & PTE_D)
        folio_mark_dirty(s, head);
    set_entry(w->m, w, migration_entry(e, n, phys_frame(s->phys, n)->flags & FRAME_F_EXCLUSIVE));
    if (phys_frame(s->phys, head)->flags & FRAME_F_HUGETLB)
        flush_tlb_page(w->m, w->a); /* huge_ptep_clear_flush */
    else if (w->level > 0)
        flush_pmd_tlb_range(w->m, w->a.v);
    else
        unmap_flush_later(w->m, w->a.v, w->a.v + PAGE_SIZE, e.v & PTE_D);
    munlock_vma_folio(w->m, w->a, head);
    if (w->level == 0)
        page_remove_rmap(w->m, n);
    else
        folio_remove_rmap(w->m, head, w->level);
}

static void try_to_migrate(struct mm_sys *s, pfn head)
{
    struct rmap_walk w;
    for (rmap_start(&w, s, head); rmap_next(&w);)
        if (!pte_is_swap(*w.e))
            try_to_migrate_one(s, &w, head);
}

/* restored_bits is what the entry of a page says after the move. */
static uint64_t restored_bits(const struct rmap_walk *w, pte old, bool dirty)
{
    uint64_t bits = (vm_page_prot(w->vma) & ~PTE_A) | (old.v & PTE_A);
    if (dirty)
        bits |= old.v & PTE_D;
    if (swp_type(old) == SWP_MIGRATION_WRITE)
        bits |= PTE_RW;
    return w->level > 0 ? bits | PTE_PS : bits;
}

static void remove_migration_pte(struct mm_sys *s, const struct rmap_walk *w, pfn src, pfn dst)
{
    pte old = *w->e;
    pfn n = {dst.v + swp_offset(old) - src.v};
    struct frame *f = phys_frame(s->phys, n);
    bool dirty = phys_frame(s->phys, dst)->flags & FRAME_F_DIRTY;
    if (f->owner == FRAME_USER_ANON && swp_type(old) != SWP_MIGRATION_READ)
        f->flags |= FRAME_F_EXCLUSIVE;
    if (w->level == 0)
        page_add_rmap(w->m, n);
    else
        folio_add_rmap(w->m, n, w->level);
    if (w->level > 0 || phys_frame(s->phys, dst)->order == 0) /* parts are left to reclaim */
        mlock_vma_folio(s, w->vma, dst);
    set_entry(w->m, w, pte_make(n, restored_bits(w, old, dirty)));
}

/* remove_migration_ptes lets what mapped src map dst; they are the same when the move failed. */
static void remove_migration_ptes(struct mm_sys *s, pfn src, pfn dst)
{
    struct rmap_walk w;
    for (rmap_start(&w, s, src); rmap_next(&w);)
        if (pte_is_swap(*w.e))
            remove_migration_pte(s, &w, src, dst);
    lru_add_drain(s); /* what was locked in memory still is */
}

/* -- one folio ------------------------------------------------------------------------------- */

static bool has_file(const struct frame *f)
{
    return f->owner != FRAME_USER_ANON;
}

/* folio_migrate_flags and the rest of what the record of a folio says. */
static void copy_record(struct mm_sys *s, pfn src, pfn dst)
{
    struct frame *from = phys_frame(s->phys, src), *to = phys_frame(s->phys, dst);
    to->flags |= from->flags & COPIED_FLAGS;
    from->flags &= ~FRAME_F_DIRTY; /* it is the other one that is to be written now */
    to->index = from->index;
    to->private = from->private;
    to->mapping = from->mapping;
    folio_forget_mm_ids(to);
}

static void count_migration(struct mm_sys *s, const struct frame *f, bool ok)
{
    if (ok)
        STAT(s->stats, pgmigrate_success) += BIT(f->order);
    else
        STAT(s->stats, pgmigrate_fail) += BIT(f->order);
}

/* swap_cache_move lets the swap cache hold dst where it held src. pre: somebody else holds the slot. */
static void swap_cache_move(struct mm_sys *s, pfn src, pfn dst)
{
    pte entry = folio_swap_entry(phys_frame(s->phys, src));
    swap_cache_del(s, src, 0);
    swap_cache_add(s, dst, entry);
}

bool folio_may_migrate(const struct frame *f)
{
    const uint32_t busy = FRAME_F_WRITEBACK | FRAME_F_HUGETLB | FRAME_F_LOCKED;
    bool swapped = f->flags & FRAME_F_SWAPCACHE;
    return !(f->flags & busy) && (!swapped || (!has_file(f) && f->order == 0));
}

/* can_move: I2. */
static bool can_move(const struct frame *f)
{
    uint32_t expected = 1u + has_file(f) + ((f->flags & FRAME_F_SWAPCACHE) != 0);
    return folio_may_migrate(f) && f->refs == expected;
}

static int move_folio(struct mm_sys *s, pfn src, pfn dst)
{
    struct frame *from = phys_frame(s->phys, src), *to = phys_frame(s->phys, dst);
    CHECK((from->flags & FRAME_F_ISOLATED) && from->order == to->order && to->refs == 0);
    bool mapped = folio_mapcount(s, src) > 0;
    if (mapped)
        try_to_migrate(s, src);
    if (!can_move(from)) {
        if (mapped)
            remove_migration_ptes(s, src, src);
        count_migration(s, from, false);
        return -EAGAIN;
    }
    bool deferred = folio_deferred(s, src), partial = from->flags & FRAME_F_PARTIAL;
    to->refs = 1; /* ours */
    copy_record(s, src, dst);
    copy_frames(s, src, dst, folio_nr_pages(s, src));
    if (has_file(from))
        filemap_migrate(s, src, dst);
    if (from->flags & FRAME_F_SWAPCACHE)
        swap_cache_move(s, src, dst);
    count_migration(s, from, true);
    folio_add_lru(s, dst);
    lru_add_drain(s); /* so that mlock finds it on its list */
    if (mapped)
        remove_migration_ptes(s, src, dst);
    if (deferred)
        deferred_split_folio(s, dst, partial);
    unisolate(s, from);
    folio_put(s, src);
    folio_put(s, dst);
    return 0;
}

/* A slot of swap is held meanwhile: that no entry maps the folio must not free it. */
int migrate_folio(struct mm_sys *s, pfn src, pfn dst)
{
    const struct frame *from = phys_frame(s->phys, src);
    if (!(from->flags & FRAME_F_SWAPCACHE))
        return move_folio(s, src, dst);
    pte slot = folio_swap_entry(from);
    swap_dup(s, slot);
    int err = move_folio(s, src, dst);
    swap_free(s, slot);
    return err;
}

/* -- a list of folios ------------------------------------------------------------------------ */

static enum frame_owner owner_of_copy(const struct frame *src)
{
    return src->owner == FRAME_USER_FILE ? FRAME_PAGE_CACHE : src->owner;
}

static int alloc_target(struct mm_sys *s, const struct migrate_to *to, pfn src, pfn *ret)
{
    const struct frame *f = phys_frame(s->phys, src);
    struct mm_req req = {.order = f->order,
                         .gfp = GFP_USER,
                         .owner = owner_of_copy(f),
                         .pick = &to->pick,
                         .flags = REQ_MAY_FAIL};
    struct mpol_pick pick;
    if (to->policy) {
        mpol_pick_by(s, to->m, to->policy, to->ilx + (f->index >> f->order), &pick);
        req.pick = &pick;
    }
    int err = mm_alloc(s, &req, ret);
    if (err == 0)
        arch_step(s->outbox, STEP_ALLOC, 1);
    return err;
}

void migrate_into(struct mm_sys *s, struct folio_list *l, uint32_t i, pfn dst)
{
    struct frame *to = phys_frame(s->phys, dst);
    enum frame_owner owner = owner_of_copy(phys_frame(s->phys, l->folio[i]));
    bool change = to->owner != owner;
    for (uint64_t k = 0; change && k < BIT(to->order); k++)
        phys_set_owner(s->phys, (pfn){dst.v + k}, owner);
    if (migrate_folio(s, l->folio[i], dst) == 0)
        l->folio[i] = PFN_NONE;
    else
        phys_free(s->phys, dst, to->order);
}

void list_drop_moved(struct folio_list *l)
{
    uint32_t stay = 0;
    for (uint32_t i = 0; i < l->nr; i++)
        if (l->folio[i].v != PFN_NONE.v)
            l->folio[stay++] = l->folio[i];
    l->nr = stay;
}

/* try_split_folio splits folio i of a list if a part of it is unmapped: its pages go to the list's end.
 * False: it stays whole, and moves so. */
static bool try_split_folio(struct mm_sys *s, struct folio_list *l, uint32_t i)
{
    pfn head = l->folio[i];
    struct frame *f = phys_frame(s->phys, head);
    uint64_t nr = BIT(f->order);
    if (!(f->flags & FRAME_F_PARTIAL) || (f->flags & FRAME_F_LOCKED) ||
        f->refs != folio_mapcount(s, head) + 1)
        return false;
    unisolate(s, f); /* to split it as one of the LRU list */
    folio_add_lru(s, head);
    folio_put(s, head);
    lru_add_drain(s);
    int err = split_folio(s, head);
    ASSERT(err == 0);
    l->folio[i] = PFN_NONE;
    for (uint64_t k = 0; k < nr; k++)
        if (f[k].refs > 0)
            folio_isolate(s, l, (pfn){head.v + k});
        else
            STAT(s->stats, pgmigrate_success)++; /* nobody wants it */
    return true;
}

/* A folio that was split counts as one that failed, its pages do not; where nothing stays behind there
 * was no failure. */
int64_t migrate_pages(struct mm_sys *s, struct folio_list *l, const struct migrate_to *to)
{
    uint32_t i = 0, failed = 0, whole = l->nr;
    int err = 0;
    for (pfn dst; i < l->nr; i++) {
        if (try_split_folio(s, l, i)) {
            failed++;
            continue;
        }
        int no_frame = alloc_target(s, to, l->folio[i], &dst);
        if (no_frame != 0) {
            count_migration(s, phys_frame(s->phys, l->folio[i]), false);
            err = i < whole ? no_frame : 0;
            break; /* when memory is low the rest need not try */
        }
        migrate_into(s, l, i, dst);
        failed += i < whole && l->folio[i].v != PFN_NONE.v;
        if (i % BATCHED_MAX == BATCHED_MAX - 1)
            unmap_flush_end(s);
    }
    unmap_flush_end(s);
    list_drop_moved(l);
    return err != 0 ? err : l->nr > 0 ? (int64_t)failed : 0;
}

/* -- which pages ----------------------------------------------------------------------------- */

bool vma_migratable(const struct vma *v)
{
    return !(v->flags & (VM_IO | VM_PFNMAP));
}

/* vm_normal_page: the frame an entry maps, if it is a page that counts; false for the zero page,
 * [vvar], and what is not there. */
static bool normal_page(const struct mm_sys *s, const pte *e, unsigned level, pfn *ret)
{
    if (!e || !(pte_present(*e) || pte_protnone(*e)) || (level == 0 && (e->v & PTE_SPECIAL)))
        return false;
    *ret = level == 0 ? pte_pfn(*e) : pte_leaf_pfn(*e, level);
    return phys_frame(s->phys, *ret)->owner != FRAME_KERNEL_IMAGE; /* PageReserved */
}

/* migrate_folio_add: a shared folio that only MOVE_ALL would move is left alone, and no failure. */
static bool migrate_folio_add(struct mm_sys *s, struct queue_pages *q, pfn head)
{
    if (!(q->flags & MPOL_MF_MOVE_ALL) && folio_maybe_mapped_shared(s, head))
        return true;
    return folio_isolate(s, q->list, head);
}

static bool moves(const struct queue_pages *q)
{
    return q->flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL);
}

/* queue_folio looks at one page; false when it decides the call. */
static bool queue_folio(struct mm_sys *s, struct queue_pages *q, const struct vma *v, pfn head)
{
    const struct frame *f = phys_frame(s->phys, head);
    bool named = q->nodes >> f->nid & 1;
    if (named == q->invert)
        return true;
    if (f->order > 0 && head.v == q->large)
        return true; /* its first page was asked */
    if (f->order > 0)
        q->large = head.v;
    if (moves(q) && vma_migratable(v) && migrate_folio_add(s, q, head))
        return true;
    q->failed++;
    return moves(q) || !(q->flags & MPOL_MF_STRICT);
}

static int queue_vma(struct mm *m, struct queue_pages *q, const struct vma *v)
{
    uint64_t end = min_u64(q->end, v->end.v);
    for (uint64_t a = max_u64(q->start, v->start.v); a < end;) {
        unsigned level = 0;
        pfn n;
        a = pt_next(&m->pt, va(a), va(end)).v;
        const pte *e = a < end ? pt_leaf(&m->pt, va(a), &level) : NULL;
        if (normal_page(m->sys, e, level, &n) && !queue_folio(m->sys, q, v, folio_head(m->sys, n)))
            return -EIO;
        a = align_down(a, BIT(pt_level_shift(level))) + BIT(pt_level_shift(level));
    }
    return 0;
}

/* hole_beside is queue_pages_test_walk: holes make the call fail unless it does not mind. */
static bool hole_beside(const struct queue_pages *q, const struct vma *v, bool first)
{
    if (q->discontig_ok)
        return false;
    if (first && q->start < v->start.v)
        return true;
    return v->end.v < q->end && (!v->next || v->next->start.v > v->end.v);
}

int64_t queue_pages_range(struct mm *m, struct queue_pages *q)
{
    const struct vma *first = find_vma_intersection(m, q->start, q->end);
    if (!first)
        return -EFAULT;
    for (const struct vma *v = first; v && v->start.v < q->end; v = v->next) {
        if (hole_beside(q, v, v == first))
            return -EFAULT;
        if (!(q->flags & MPOL_MF_STRICT) && !(moves(q) && vma_migratable(v)))
            continue;
        int err = queue_vma(m, q, v);
        if (err != 0)
            return err;
    }
    return (int64_t)q->failed;
}

/* -- migrate_pages(2) ------------------------------------------------------------------------ */

static int64_t migrate_to_node(struct mm *m, unsigned from, unsigned to, uint32_t flags)
{
    struct folio_list list = {0};
    struct queue_pages q = {.end = m->task_size,
                            .nodes = BIT(from),
                            .discontig_ok = true,
                            .flags = flags,
                            .list = &list};
    struct migrate_to target = {.pick = {.nid = to, .nodes = BIT(to)}};
    int64_t failed = queue_pages_range(m, &q);
    failed = failed == -EFAULT ? 0 : failed; /* an empty address space */
    int64_t r = migrate_pages(m->sys, &list, &target);
    putback_movable_pages(m->sys, &list);
    return r < 0 ? r : r + failed;
}

static int64_t do_migrate_pages(struct mm *m, uint64_t from, uint64_t to, uint32_t flags)
{
    int64_t failed = 0;
    unsigned s, d;
    mm_lru_drain(m->sys);
    for (uint64_t tmp = from; numa_migrate_step(from, to, &tmp, &s, &d);) {
        int64_t r = migrate_to_node(m, s, d, flags);
        if (r < 0)
            return r;
        failed += r;
    }
    return failed;
}

int64_t mm_migrate_pages(struct mm *m, struct mm *target, const struct nodemask_arg *from,
                         const struct nodemask_arg *to)
{
    struct nodemask old, new;
    uint64_t allowed = numa_memory_nodes(m->sys);
    bool nice = task_capable(m, CAP_SYS_NICE);
    int err = numa_get_nodes(from, &old);
    if (err == 0)
        err = numa_get_nodes(to, &new);
    if (err != 0)
        return err;
    if (!target)
        return -ESRCH;
    bool outside = new.w[0] & ~allowed;
    for (unsigned i = 1; i < ARRAY_LEN(new.w); i++)
        outside |= new.w[i] != 0;
    if (outside && !nice)
        return -EPERM;
    if ((new.w[0] & allowed) == 0)
        return -EINVAL;
    int64_t left = do_migrate_pages(target, old.w[0] & allowed, new.w[0] & allowed,
                                    nice ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
    AUDIT(audit_call(target));
    return left;
}

/* -- move_pages(2) --------------------------------------------------------------------------- */

/* maps_zero: of 4 KiB or, the only special one of its size, of 2 MiB. */
static bool maps_zero(const struct mm_sys *s, pte e, unsigned level)
{
    if (!pte_present(e) && !pte_protnone(e))
        return false;
    return level == 0 ? pte_pfn(e).v == phys_zero_page(s->phys).v : (e.v & PTE_SPECIAL) != 0;
}

/* page_at is folio_walk_start: 0 and the frame, -EFAULT (no VMA, a zero page) or -ENOENT. */
static int page_at(struct mm *m, uint64_t a, bool movable, pfn *ret)
{
    unsigned level = 0;
    const struct vma *v = vma_lookup(m, a);
    if (!v || (movable && !vma_migratable(v)))
        return -EFAULT;
    const pte *e = pt_leaf(&m->pt, va(align_down(a, PAGE_SIZE)), &level);
    if (normal_page(m->sys, e, level, ret))
        return 0;
    return e && maps_zero(m->sys, *e, level) ? -EFAULT : -ENOENT;
}

static int64_t do_pages_stat(struct mm *m, const struct mm_move_pages *q)
{
    for (uint64_t i = 0; i < q->nr; i++) {
        pfn n;
        if (i >= q->pages_nr || i >= q->status_nr)
            return -EFAULT;
        int err = page_at(m, q->pages[i], false, &n);
        q->status[i] = err != 0 ? err : phys_frame(m->sys->phys, n)->nid;
    }
    return 0;
}

/* One call of move_pages under way. */
struct moving {
    struct mm *m;                  /* whose pages */
    const struct mm_move_pages *q; /* what was asked */
    bool all;                      /* shared pages too */
    int node;                      /* of the pages on the list; NUMA_NO_NODE: none */
    uint64_t start;                /* first of them */
    struct folio_list list;        /* isolated */
};

static int store_status(const struct moving *x, uint64_t start, uint64_t n, int value)
{
    for (uint64_t i = start; i < start + n; i++) {
        if (i >= x->q->status_nr)
            return -EFAULT;
        x->q->status[i] = value;
    }
    return 0;
}

/* move_and_store moves what is on the list; pages [start, i) were looked at. */
static int64_t move_and_store(struct moving *x, uint64_t i)
{
    if (x->list.nr == 0)
        return 0;
    struct migrate_to target = {.pick = {.nid = (unsigned)x->node, .nodes = BIT(x->node)}};
    int64_t r = migrate_pages(x->m->sys, &x->list, &target);
    putback_movable_pages(x->m->sys, &x->list);
    if (r != 0)
        return r > 0 ? r + (int64_t)(x->q->nr - i) : r;
    return store_status(x, x->start, i - x->start, x->node);
}

/* add_page_for_migration: 1 if it is on the list, 0 if it is there already, or -errno. */
static int add_page(struct moving *x, uint64_t a)
{
    struct mm_sys *s = x->m->sys;
    pfn n;
    int err = page_at(x->m, a, true, &n);
    if (err != 0)
        return err;
    pfn head = folio_head(s, n);
    if (phys_frame(s->phys, head)->nid == x->node)
        return 0;
    if (!x->all && folio_maybe_mapped_shared(s, head))
        return -EACCES;
    return folio_isolate(s, &x->list, head) ? 1 : -EBUSY;
}

/* next_target reads the i-th pair: the node, or -errno that ends the call. */
static int next_target(const struct moving *x, uint64_t i)
{
    if (i >= x->q->pages_nr || i >= x->q->nodes_nr)
        return -EFAULT;
    int node = x->q->nodes[i];
    bool there = node >= 0 && node < (int)NUMA_NODES && numa_memory_nodes(x->m->sys) >> node & 1;
    return there ? node : -ENODEV;
}

/* move_one handles the i-th page: 0, or what the call shall return; *ret_flush says whether the list
 * must still be moved then. */
static int64_t move_one(struct moving *x, uint64_t i, bool *ret_flush)
{
    int node = next_target(x, i);
    *ret_flush = true;
    if (node < 0)
        return node;
    if (x->node != NUMA_NO_NODE && node != x->node) {
        *ret_flush = false;
        int64_t r = move_and_store(x, i);
        if (r != 0)
            return r;
    }
    if (x->node != node)
        x->start = i;
    x->node = node;
    int added = add_page(x, x->q->pages[i]);
    if (added > 0)
        return 0;
    *ret_flush = true;
    int err = store_status(x, i, 1, added < 0 ? added : node);
    if (err != 0)
        return err;
    *ret_flush = false;
    int64_t r = move_and_store(x, i);
    x->node = NUMA_NO_NODE;
    return r > 0 ? r - 1 : r; /* page i is done */
}

static int64_t do_pages_move(struct moving *x)
{
    uint64_t i = 0;
    int64_t err = 0;
    bool flush = true;
    mm_lru_drain(x->m->sys);
    for (; i < x->q->nr && err == 0; i += err == 0)
        err = move_one(x, i, &flush);
    if (err == 0 || flush) {
        int64_t r = move_and_store(x, i);
        err = err == 0 ? r : err;
    }
    putback_movable_pages(x->m->sys, &x->list);
    return err;
}

int64_t mm_move_pages(struct mm *m, struct mm *target, const struct mm_move_pages *q)
{
    struct moving x = {.m = target, .q = q, .node = NUMA_NO_NODE};
    if (q->flags & ~(uint64_t)(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        return -EINVAL;
    x.all = q->flags & MPOL_MF_MOVE_ALL;
    if (x.all && !task_capable(m, CAP_SYS_NICE))
        return -EPERM;
    if (!target)
        return -ESRCH;
    int64_t left = q->nodes ? do_pages_move(&x) : do_pages_stat(target, q);
    AUDIT(audit_call(target));
    return left;
}
