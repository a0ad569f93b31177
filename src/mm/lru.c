/* lru.c: the lists of pages that reclaim looks at, and the batches in front of them.
 *
 *   folio_add_lru ────► batch "add" of the CPU ──── full (31) or lru_add_drain ──► list of the node
 *   folio_activate ───► batch "activate" ─────────────────────────────────────────► active
 *   deactivate, lazyfree, mlock: a batch each; a large folio never waits in one
 *
 * I1  A folio with FRAME_F_LRU is counted in exactly one list; it is linked there unless that list
 *     is the unevictable one. One without it waits in an "add" or "mlock" batch, is isolated, or is
 *     no LRU page at all.
 * I2  Σ pages linked in a list = nr_inactive_anon … of its node = Σ over zones.
 * I3  Batches hold no frame that is free: freeing drains first (as zapping does in Linux).
 *
 * Source: Linux 6.18 mm/swap.c (lru_add, folio_activate, lru_deactivate, lru_lazyfree,
 * lru_add_drain_cpu, folio_mark_accessed), mm/mlock.c (mlock_folio_batch, __mlock_folio,
 * __munlock_folio), include/linux/mm_inline.h.
 */
#include "mm/mm_int.h"

/* Beside the frame number in an entry of a batch. */
#define ENTRY_MUNLOCK 1u
#define ENTRY_NEW     2u /* not on a list before */

static struct mm_node *node_of(struct mm_sys *s, const struct frame *f)
{
    return &s->lru.node[f->nid];
}

static uint64_t nr_pages(const struct frame *head)
{
    return BIT(head->order);
}

int lru_open(struct mm_sys *s)
{
    s->lru.nodes = phys_nodes(s->phys);
    s->lru.batch = calloc(s->conf.cpu_cores, sizeof(*s->lru.batch));
    return s->lru.batch ? 0 : -ENOMEM;
}

void lru_close(struct mm_sys *s)
{
    free(s->lru.batch);
}

void node_stat_add(struct mm_sys *s, const struct frame *f, enum node_stat_item item, int64_t n)
{
    node_of(s, f)->stat.v[item] += (uint64_t)n;
}

void folio_account_mapped(struct mm_sys *s, const struct frame *f, int64_t n)
{
    if (f->owner != FRAME_KERNEL_IMAGE && !(f->flags & FRAME_F_HUGETLB))
        node_stat_add(s, f, f->owner == FRAME_USER_ANON ? NODE_nr_anon_pages : NODE_nr_mapped, n);
}

/* -- lists ----------------------------------------------------------------------------------- */

enum lru_list folio_lru_list(const struct frame *f)
{
    if (f->flags & FRAME_F_UNEVICTABLE)
        return LRU_UNEVICTABLE;
    enum lru_list base = f->flags & FRAME_F_SWAPBACKED ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE;
    return f->flags & FRAME_F_ACTIVE ? base + 1 : base;
}

static void count_list(struct mm_sys *s, const struct frame *f, enum lru_list l, int64_t pages)
{
    struct mm_node *node = node_of(s, f);
    node->stat.v[NODE_nr_inactive_anon + l] += (uint64_t)pages;
    node->lru.zone[f->zone][l] += (uint64_t)pages;
}

/* lruvec_add puts a folio on the list its flags name: at the head, or where reclaim looks first. */
void lruvec_add(struct mm_sys *s, pfn n, bool to_tail)
{
    struct frame *all = phys_frame(s->phys, (pfn){0}), *f = &all[n.v];
    enum lru_list l = folio_lru_list(f);
    count_list(s, f, l, (int64_t)nr_pages(f));
    if (l == LRU_UNEVICTABLE)
        return;
    struct lru_head *h = &node_of(s, f)->lru.lists[l];
    uint32_t me = (uint32_t)(n.v + 1);
    f->link_prev = to_tail ? h->tail : 0;
    f->link_next = to_tail ? 0 : h->head;
    *(f->link_prev ? &all[f->link_prev - 1].link_next : &h->head) = me;
    *(f->link_next ? &all[f->link_next - 1].link_prev : &h->tail) = me;
}

void lruvec_del(struct mm_sys *s, pfn n)
{
    struct frame *all = phys_frame(s->phys, (pfn){0}), *f = &all[n.v];
    enum lru_list l = folio_lru_list(f);
    count_list(s, f, l, -(int64_t)nr_pages(f));
    if (l != LRU_UNEVICTABLE) {
        struct lru_head *h = &node_of(s, f)->lru.lists[l];
        *(f->link_prev ? &all[f->link_prev - 1].link_next : &h->head) = f->link_next;
        *(f->link_next ? &all[f->link_next - 1].link_prev : &h->tail) = f->link_prev;
    }
    f->link_next = f->link_prev = 0;
}

/* -- what a batch does to each of its folios --------------------------------------------------- */

bool folio_evictable(const struct frame *f)
{
    const struct mm_file *file = f->mapping;
    bool cached = f->owner == FRAME_SHMEM && !(f->flags & FRAME_F_SWAPCACHE);
    return !(f->flags & FRAME_F_MLOCKED) && !(cached && file && file->shm_locked);
}

/* lru_add puts a new folio on its list; `count` is the mlock_count of a locked one: a mapping that
 * locked it before it came here counts when its own batch is drained. */
static void lru_add(struct mm_sys *s, pfn n, struct frame *f, uint32_t count)
{
    bool was_unevictable = f->flags & FRAME_F_UNEVICTABLE;
    f->flags = (f->flags & ~FRAME_F_UNEVICTABLE) | FRAME_F_LRU;
    if (!folio_evictable(f)) {
        f->flags = (f->flags & ~FRAME_F_ACTIVE) | FRAME_F_UNEVICTABLE;
        f->link_prev = f->flags & FRAME_F_MLOCKED ? count : 0;
        if (!was_unevictable)
            STAT(s->stats, unevictable_pgs_culled) += nr_pages(f);
    } else if (was_unevictable) {
        STAT(s->stats, unevictable_pgs_rescued) += nr_pages(f);
    }
    lruvec_add(s, n, false);
}

/* move_list lets a folio on a list change its flags and stand where they then say. */
static void move_list(struct mm_sys *s, pfn n, uint32_t clear, uint32_t set, bool to_tail)
{
    struct frame *f = phys_frame(s->phys, n);
    lruvec_del(s, n);
    f->flags = (f->flags & ~clear) | set;
    lruvec_add(s, n, to_tail);
}

static void lru_activate(struct mm_sys *s, pfn n, const struct frame *f)
{
    if (f->flags & (FRAME_F_ACTIVE | FRAME_F_UNEVICTABLE))
        return;
    move_list(s, n, 0, FRAME_F_ACTIVE, false);
    STAT(s->stats, pgactivate) += nr_pages(f);
}

static void lru_deactivate(struct mm_sys *s, pfn n, const struct frame *f)
{
    if ((f->flags & FRAME_F_UNEVICTABLE) || !(f->flags & FRAME_F_ACTIVE))
        return;
    move_list(s, n, FRAME_F_ACTIVE | FRAME_F_REFERENCED, 0, false);
    STAT(s->stats, pgdeactivate) += nr_pages(f);
}

/* lru_deactivate_file: a page of the cache that was invalidated but could not go. */
static void lru_deactivate_file(struct mm_sys *s, pfn n, const struct frame *f)
{
    bool active = f->flags & FRAME_F_ACTIVE;
    bool later = f->flags & (FRAME_F_WRITEBACK | FRAME_F_DIRTY);
    if ((f->flags & FRAME_F_UNEVICTABLE) || f->mapcount > 0 || f->entire > 0)
        return;
    move_list(s, n, FRAME_F_ACTIVE | FRAME_F_REFERENCED, later ? FRAME_F_RECLAIM : 0, !later);
    if (!later)
        STAT(s->stats, pgrotated) += nr_pages(f);
    if (active)
        STAT(s->stats, pgdeactivate) += nr_pages(f);
}

static void lru_lazyfree(struct mm_sys *s, pfn n, const struct frame *f)
{
    if (f->owner != FRAME_USER_ANON || !(f->flags & FRAME_F_SWAPBACKED) ||
        (f->flags & (FRAME_F_SWAPCACHE | FRAME_F_UNEVICTABLE)))
        return;
    move_list(s, n, FRAME_F_ACTIVE | FRAME_F_REFERENCED | FRAME_F_SWAPBACKED, 0, false);
    STAT(s->stats, pglazyfree) += nr_pages(f);
}

/* rescue: an unevictable folio that nobody locks any more goes back to the lists of its kind. */
static void rescue(struct mm_sys *s, pfn n, const struct frame *f)
{
    if (!(f->flags & FRAME_F_UNEVICTABLE) || !folio_evictable(f))
        return;
    move_list(s, n, FRAME_F_UNEVICTABLE, 0, false);
    STAT(s->stats, unevictable_pgs_rescued) += nr_pages(f);
}

void check_move_unevictable_folio(struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    STAT(s->stats, unevictable_pgs_scanned) += nr_pages(f);
    if (f->flags & FRAME_F_LRU)
        rescue(s, n, f);
}

static void lru_mlock(struct mm_sys *s, pfn n, struct frame *f)
{
    bool locked = f->flags & FRAME_F_MLOCKED;
    if (!locked) { /* munlocked before the batch was drained */
        rescue(s, n, f);
    } else if (f->flags & FRAME_F_UNEVICTABLE) {
        f->link_prev++;
    } else {
        move_list(s, n, FRAME_F_ACTIVE, FRAME_F_UNEVICTABLE, false);
        f->link_prev = 1;
        STAT(s->stats, unevictable_pgs_culled) += nr_pages(f);
    }
}

static void clear_mlocked(struct mm_sys *s, struct frame *f, bool on_lru)
{
    uint64_t pages = nr_pages(f);
    if (!(f->flags & FRAME_F_MLOCKED))
        return;
    node_of(s, f)->mlocked[f->zone] -= pages;
    if (on_lru || !(f->flags & FRAME_F_UNEVICTABLE))
        STAT(s->stats, unevictable_pgs_munlocked) += pages;
    else
        STAT(s->stats, unevictable_pgs_stranded) += pages;
    f->flags &= ~FRAME_F_MLOCKED;
}

static void lru_munlock(struct mm_sys *s, pfn n, struct frame *f)
{
    bool on_lru = f->flags & FRAME_F_LRU;
    if (on_lru && (f->flags & FRAME_F_UNEVICTABLE)) {
        f->link_prev -= f->link_prev > 0;
        if (f->link_prev > 0)
            return;
    }
    clear_mlocked(s, f, on_lru);
    if (on_lru)
        rescue(s, n, f);
}

/* -- batches --------------------------------------------------------------------------------- */

/* move_one does what a batch is for. All but "add" need the folio on a list: one that was isolated
 * meanwhile stays as it is. */
static void move_one(struct mm_sys *s, enum lru_batch which, uint64_t entry)
{
    pfn n = {entry >> 2};
    struct frame *f = phys_frame(s->phys, n);
    if (which == BATCH_ADD)
        lru_add(s, n, f, 0);
    else if (which == BATCH_MLOCK && (entry & ENTRY_MUNLOCK))
        lru_munlock(s, n, f);
    else if (which == BATCH_MLOCK && (entry & ENTRY_NEW))
        lru_add(s, n, f, 1);
    else if (!(f->flags & FRAME_F_LRU))
        return;
    else if (which == BATCH_ACTIVATE)
        lru_activate(s, n, f);
    else if (which == BATCH_DEACTIVATE)
        lru_deactivate(s, n, f);
    else if (which == BATCH_DEACTIVATE_FILE)
        lru_deactivate_file(s, n, f);
    else if (which == BATCH_LAZYFREE)
        lru_lazyfree(s, n, f);
    else
        lru_mlock(s, n, f);
}

static void batch_move(struct mm_sys *s, struct folio_batch *b, enum lru_batch which)
{
    uint32_t nr = b->nr;
    b->nr = 0;
    s->lru.batched -= nr;
    if (unlikely(s->outbox->locks) && nr > 0) /* folio_lruvec_relock_irqsave */
        arch_lock(s->outbox, LOCK_LRU, phys_frame(s->phys, (pfn){b->folio[0] >> 2})->nid, nr);
    for (uint32_t i = 0; i < nr; i++)
        move_one(s, which, b->folio[i]);
}

/* batch_add queues a folio on the running CPU; `bit` is kept with it. */
static void batch_add(struct mm_sys *s, enum lru_batch which, pfn n, unsigned bit)
{
    struct folio_batch *b = &s->lru.batch[s->lru.cpu][which];
    b->folio[b->nr++] = n.v << 2 | bit;
    s->lru.batched++;
    if (b->nr == FOLIO_BATCH || nr_pages(phys_frame(s->phys, n)) > 1)
        batch_move(s, b, which);
}

static void drain_cpu(struct mm_sys *s, unsigned cpu)
{
    for (int i = 0; i < BATCH_NR; i++)
        batch_move(s, &s->lru.batch[cpu][i], (enum lru_batch)i);
}

void lru_add_drain(struct mm_sys *s)
{
    drain_cpu(s, s->lru.cpu);
}

void lru_add_drain_all(struct mm_sys *s)
{
    for (unsigned cpu = 0; s->lru.batched > 0 && cpu < s->conf.cpu_cores; cpu++)
        drain_cpu(s, cpu);
}

void mm_lru_drain(struct mm_sys *s)
{
    lru_add_drain_all(s);
}

void mm_set_cpu(struct mm_sys *s, unsigned cpu)
{
    CHECK(cpu < s->conf.cpu_cores);
    s->lru.cpu = cpu;
    phys_set_cpu(s->phys, cpu);
}

void folio_add_lru(struct mm_sys *s, pfn n)
{
    batch_add(s, BATCH_ADD, n, 0);
}

/* on_list: only then may a folio wait in one of the batches that move it. */
static bool on_list(const struct frame *f)
{
    return (f->flags & (FRAME_F_LRU | FRAME_F_UNEVICTABLE)) == FRAME_F_LRU;
}

/* activate_waiting marks a folio that is still in the CPU's "add" batch. */
static void activate_waiting(struct mm_sys *s, pfn n)
{
    const struct folio_batch *b = &s->lru.batch[s->lru.cpu][BATCH_ADD];
    for (uint32_t i = 0; i < b->nr; i++)
        if (b->folio[i] >> 2 == n.v)
            phys_frame(s->phys, n)->flags |= FRAME_F_ACTIVE;
}

void folio_activate(struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    if (on_list(f) && !(f->flags & FRAME_F_ACTIVE))
        batch_add(s, BATCH_ACTIVATE, n, 0);
}

void folio_deactivate(struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    if (on_list(f) && (f->flags & FRAME_F_ACTIVE))
        batch_add(s, BATCH_DEACTIVATE, n, 0);
}

void folio_deactivate_file(struct mm_sys *s, pfn n)
{
    if (on_list(phys_frame(s->phys, n)))
        batch_add(s, BATCH_DEACTIVATE_FILE, n, 0);
}

void folio_mark_lazyfree(struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    if (f->owner == FRAME_USER_ANON && (f->flags & FRAME_F_SWAPBACKED) &&
        !(f->flags & (FRAME_F_SWAPCACHE | FRAME_F_UNEVICTABLE)))
        batch_add(s, BATCH_LAZYFREE, n, 0);
}

void folio_mark_accessed(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (!(f->flags & FRAME_F_REFERENCED)) {
        f->flags |= FRAME_F_REFERENCED;
    } else if (!(f->flags & (FRAME_F_UNEVICTABLE | FRAME_F_ACTIVE))) {
        if (f->flags & FRAME_F_LRU)
            folio_activate(s, n);
        else
            activate_waiting(s, n);
        f->flags &= ~FRAME_F_REFERENCED;
        node_of(s, f)->lru.nonresident_age += nr_pages(f); /* workingset_activation */
    }
}

/* -- mlock ----------------------------------------------------------------------------------- */

static void set_mlocked(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (!(f->flags & FRAME_F_MLOCKED)) {
        f->flags |= FRAME_F_MLOCKED;
        node_of(s, f)->mlocked[f->zone] += nr_pages(f);
        STAT(s->stats, unevictable_pgs_mlocked) += nr_pages(f);
    }
}

void mlock_folio(struct mm_sys *s, pfn n)
{
    set_mlocked(s, n);
    batch_add(s, BATCH_MLOCK, n, 0);
}

/* mlock_new_folio is folio_add_lru of a page that is locked from the start. */
static void mlock_new_folio(struct mm_sys *s, pfn n)
{
    set_mlocked(s, n);
    batch_add(s, BATCH_MLOCK, n, ENTRY_NEW);
}

void folio_add_lru_vma(struct mm_sys *s, const struct vma *v, pfn n)
{
    if ((v->flags & (VM_LOCKED | VM_SPECIAL)) == VM_LOCKED)
        mlock_new_folio(s, n);
    else
        folio_add_lru(s, n);
}

void munlock_folio(struct mm_sys *s, pfn n)
{
    batch_add(s, BATCH_MLOCK, n, ENTRY_MUNLOCK);
}

void mlock_vma_folio(struct mm_sys *s, const struct vma *v, pfn n)
{
    if ((v->flags & (VM_LOCKED | VM_SPECIAL)) == VM_LOCKED)
        mlock_folio(s, n);
}

void munlock_vma_folio(struct mm *m, vaddr a, pfn n)
{
    struct mm_sys *s = m->sys;
    n = folio_head(s, n);
    if (!(phys_frame(s->phys, n)->flags & FRAME_F_MLOCKED))
        return;
    const struct vma *v = vma_lookup(m, a.v);
    if (v && (v->flags & VM_LOCKED))
        munlock_folio(s, n);
}

/* allow_mlock: a large folio is locked as a whole, at its first page, if all of it is mapped there and lies
 * in the range. */
static bool allow_mlock(const struct mm_sys *s, const struct pt_run *r, uint64_t start,
                        uint64_t end)
{
    pfn n = pte_leaf_pfn(*r->e, r->level), head = folio_head(s, n);
    uint64_t nr = BIT(phys_frame(s->phys, head)->order);
    bool within = n.v == head.v && r->a.v >= start && nr * PAGE_SIZE <= end - r->a.v;
    return within && (r->level > 0 || nr == 1 || folio_pte_batch(s, r, head) == nr);
}

void mlock_vma_pages_range(struct mm *m, const struct vma *v, uint64_t start, uint64_t end)
{
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_WHOLE};
    lru_add_drain(m->sys);
    while (run_next(m, &r)) {
        if ((!pte_present(*r.e) && !pte_protnone(*r.e)) || (r.e->v & PTE_SPECIAL))
            continue;
        pfn n = folio_head(m->sys, pte_leaf_pfn(*r.e, r.level));
        if (!(v->flags & VM_LOCKED))
            munlock_folio(m->sys, n);
        else if (allow_mlock(m->sys, &r, start, end))
            mlock_folio(m->sys, n);
    }
    lru_add_drain(m->sys); /* mlock_drain_local */
}

/* -- isolation ----------------------------------------------------------------------------------- */

bool folio_isolate_lru(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (!(f->flags & FRAME_F_LRU))
        return false;
    lruvec_del(s, n);
    f->flags = (f->flags & ~FRAME_F_LRU) | FRAME_F_ISOLATED;
    f->refs++;
    return true;
}

void folio_putback_lru(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    CHECK(f->flags & FRAME_F_ISOLATED);
    f->flags &= ~FRAME_F_ISOLATED;
    lru_add(s, n, f, 0);
    folio_put(s, n);
}

void folio_putback_scanned(struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    bool active = (f->flags & FRAME_F_ACTIVE) && folio_evictable(f) && f->refs > 1;
    if (active)
        node_of(s, f)->lru.nonresident_age += nr_pages(f); /* move_folios_to_lru */
    folio_putback_lru(s, n);
}

void folio_free_isolated(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    CHECK((f->flags & FRAME_F_ISOLATED) && f->refs == 1);
    f->flags &= ~FRAME_F_ISOLATED;
    folio_put(s, n);
}

void folio_rotate_reclaimable(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    f->flags &= ~FRAME_F_RECLAIM;
    if (!on_list(f) || (f->flags & (FRAME_F_LOCKED | FRAME_F_DIRTY)))
        return;
    move_list(s, n, FRAME_F_ACTIVE, 0, true);
    STAT(s->stats, pgrotated) += nr_pages(f);
}

/* -- the end of a folio ------------------------------------------------------------------------ */

void folio_free(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    CHECK(!(f->flags & (FRAME_F_TAIL | FRAME_F_SWAPCACHE)));
    lru_add_drain_all(s); /* I3 */
    if (f->flags & FRAME_F_WRITEBACK)
        writeback_end(s);
    folio_account_cleaned(s, n);
    if (f->order > 0)
        folio_unqueue_deferred(s, n);
    if (f->flags & FRAME_F_LRU)
        lruvec_del(s, n);
    if (f->flags & FRAME_F_MLOCKED) {
        node_of(s, f)->mlocked[f->zone] -= nr_pages(f);
        STAT(s->stats, unevictable_pgs_cleared) += nr_pages(f);
    }
    phys_free(s->phys, n, f->order);
}

/* -- reading ----------------------------------------------------------------------------------- */

const struct mm_node *mm_node(const struct mm_sys *s, unsigned nid)
{
    CHECK(nid < MM_NODES_MAX);
    return &s->lru.node[nid];
}

const char *mm_node_stat_name(enum node_stat_item item)
{
    static const char *const names[NODE_STAT_NR] = {
#define ROW(name) #name,
        NODE_STATS(ROW)
#undef ROW
    };
    return names[item];
}

void mm_node_stats(const struct mm_sys *s, unsigned nid, struct mm_node_stat *ret)
{
    *ret = mm_node(s, nid)->stat;
    struct phys_node_info info;
    phys_node_info(s->phys, nid, &info);
    ret->v[NODE_nr_page_table_pages] = info.owned[FRAME_PAGE_TABLE];
    ret->v[NODE_nr_kernel_stack] = info.owned[FRAME_KERNEL_STACK] * 4;
    ret->v[NODE_nr_slab_unreclaimable] = info.owned[FRAME_SLAB];
}

/* -- the audit --------------------------------------------------------------------------------- */

/* audit_list follows one list: every folio belongs there, the links agree, the sum is right. */
static bool audit_list(const struct mm_sys *s, unsigned nid, enum lru_list l)
{
    const struct mm_node *node = &s->lru.node[nid];
    uint64_t pages = 0, zones = 0;
    uint32_t prev = 0, at = node->lru.lists[l].head;
    for (; at != 0; prev = at, at = phys_frame(s->phys, (pfn){at - 1})->link_next) {
        const struct frame *f = phys_frame(s->phys, (pfn){at - 1});
        if (!(f->flags & FRAME_F_LRU) || (f->flags & (FRAME_F_TAIL | FRAME_F_BUDDY)) ||
            folio_lru_list(f) != l || f->nid != nid || f->link_prev != prev)
            return false;
        pages += nr_pages(f);
        if (pages > phys_frames(s->phys))
            return false; /* a circle */
    }
    for (int z = 0; z < ZONE_NR; z++)
        zones += node->lru.zone[z][l];
    return prev == node->lru.lists[l].tail && zones == node->stat.v[NODE_nr_inactive_anon + l] &&
           (l == LRU_UNEVICTABLE || pages == zones);
}

/* counted_once: no frame of a batch is free (I3). */
static bool audit_batches(const struct mm_sys *s)
{
    for (unsigned cpu = 0; cpu < s->conf.cpu_cores; cpu++)
        for (int b = 0; b < BATCH_NR; b++)
            for (uint32_t i = 0; i < s->lru.batch[cpu][b].nr; i++) {
                pfn n = {s->lru.batch[cpu][b].folio[i] >> 2};
                if (phys_frame(s->phys, n)->owner == FRAME_FREE)
                    return false;
            }
    return true;
}

void lru_count_waiting(const struct mm_sys *s, struct map *waiting)
{
    for (unsigned cpu = 0; cpu < s->conf.cpu_cores; cpu++)
        for (int b = 0; b < BATCH_NR; b++)
            for (uint32_t i = 0; i < s->lru.batch[cpu][b].nr; i++) {
                uint64_t entry = s->lru.batch[cpu][b].folio[i];
                if (b != BATCH_ADD && !(b == BATCH_MLOCK && (entry & ENTRY_NEW)))
                    continue;
                uint64_t *n = map_at(waiting, entry >> 2, 0);
                ASSERT(n);
                ++*n;
            }
}

bool audit_lru(const struct mm_sys *s)
{
    for (unsigned nid = 0; nid < s->lru.nodes; nid++)
        for (int l = 0; l < NR_LRU_LISTS; l++)
            if (!audit_list(s, nid, (enum lru_list)l))
                return false;
    return audit_batches(s);
}
