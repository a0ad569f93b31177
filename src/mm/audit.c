/* audit.c: the invariants of mm.h, looked at one by one. Slow: every entry of every address space.
 */
#include "mm/mm_int.h"

#define AUDIT_PAGES_MAX 512u /* resident pages, and VMAs, up to which every call is audited whole */
#define AUDIT_VMAS_MAX  64u

static bool vmas_ordered(const struct mm *m)
{
    for (const struct vma *v = m->vmas.first; v; v = v->next)
        if (((v->start.v | v->end.v) & ~PAGE_MASK) || v->end.v > m->task_size)
            return false;
    return vma_tree_valid(&m->vmas);
}

static bool vmas_merged(const struct mm *m)
{
    if (m->loose)
        return true;
    for (const struct vma *v = m->vmas.first; v; v = v->next)
        if (v->prev && audit_can_merge(m, v->prev, v))
            return false;
    return true;
}

static bool totals_right(const struct mm *m)
{
    struct mm sum = {.sys = m->sys};
    for (const struct vma *v = m->vmas.first; v; v = v->next)
        vm_stat_account(&sum, v->flags, (int64_t)vma_pages(v));
    return sum.cnt.total_vm == m->cnt.total_vm && sum.cnt.data_vm == m->cnt.data_vm &&
           sum.cnt.stack_vm == m->cnt.stack_vm && sum.cnt.exec_vm == m->cnt.exec_vm &&
           /* mlock_fixup counts in an int */
           (m->loose || (uint32_t)sum.cnt.locked_vm == (uint32_t)m->cnt.locked_vm) &&
           m->cnt.total_vm_peak >= m->cnt.total_vm;
}

/* entry_allowed is I3 for one entry. */
static bool entry_allowed(const struct vma *v, pte e)
{
    if (!v)
        return false;
    if (pte_is_swap(e))
        return true;
    if (!pte_present(e))
        return (e.v & PTE_PROTNONE) && !(v->flags & VM_ACCESS_FLAGS);
    return (v->flags & VM_ACCESS_FLAGS) && (!(e.v & PTE_RW) || (v->flags & VM_WRITE)) &&
           ((e.v & PTE_NX) || (v->flags & VM_EXEC)) && (e.v & PTE_US);
}

/* Keys of the map of what was seen: a frame's entries of level 0, a folio's of level 1 and 2, and all
 * entries of a folio. */
enum { SEEN_PAGE, SEEN_ENTIRE, SEEN_FOLIO, SEEN_NR };

static void count_seen(struct map *seen, pfn n, unsigned what)
{
    uint64_t *count = map_at(seen, n.v * SEEN_NR + what, 0);
    ASSERT(count);
    ++*count;
}

static void count_entry(struct map *named, pte entry)
{
    uint64_t *count = map_at(named, entry.v, 0);
    ASSERT(count);
    ++*count;
}

/* entries_right checks I3 and I4 over all entries and counts each frame's mappings. */
static int entries_right(struct mm *m, struct map *seen, struct map *named)
{
    struct mm sum = {.sys = m->sys};
    struct pt_run r = {.end = va(m->task_size), .huge = RUN_LOOK};
    while (run_next(m, &r)) {
        if (!entry_allowed(vma_lookup(m, r.a.v), *r.e))
            return 3;
        if (pte_is_swap_slot(*r.e)) {
            count_entry(named, (pte){r.e->v & ~PTE_SWP_EXCLUSIVE});
            sum.cnt.swapents++;
        }
        if (pte_is_swap(*r.e) || (r.e->v & PTE_SPECIAL))
            continue;
        pfn n = pte_leaf_pfn(*r.e, r.level);
        if (phys_frame(m->sys->phys, n)->flags & FRAME_F_HUGETLB)
            sum.cnt.hugetlb += BIT(9 * r.level);
        else
            rss_add(&sum, phys_frame(m->sys->phys, n), (int64_t)BIT(9 * r.level));
        count_seen(seen, n, r.level > 0 ? SEEN_ENTIRE : SEEN_PAGE);
        count_seen(seen, folio_head(m->sys, n), SEEN_FOLIO);
    }
    return memcmp(sum.cnt.rss, m->cnt.rss, sizeof(m->cnt.rss)) == 0 &&
                   sum.cnt.swapents == m->cnt.swapents && sum.cnt.hugetlb == m->cnt.hugetlb
               ? 0
               : 4;
}

/* rmap_finds: the walk from a folio meets as many entries as there are. */
static bool rmap_finds(struct mm_sys *s, pfn head, uint64_t entries)
{
    const struct frame *f = phys_frame(s->phys, head);
    if (f->owner == FRAME_KERNEL_IMAGE)
        return true; /* [vdso]: no VMA has it as its file */
    struct rmap_walk w;
    for (rmap_start(&w, s, head); rmap_next(&w);)
        entries--;
    return entries == 0;
}

static bool folio_right(struct mm_sys *s, pfn head, uint64_t entries)
{
    const struct frame *f = phys_frame(s->phys, head);
    bool anon = f->owner == FRAME_USER_ANON;
    if (f->flags & FRAME_F_HUGETLB) /* not in the trees' sense: hugetlb_fault.c walks its file's */
        return f->refs == entries + !(f->private & HUGETLB_ANON);
    bool cached = !anon || (f->flags & FRAME_F_SWAPCACHE);
    return f->refs == entries + cached && rmap_finds(s, head, entries);
}

static bool page_right(const struct frame *f, uint64_t entries)
{
    bool exclusive = f->flags & FRAME_F_EXCLUSIVE;
    return f->mapcount == entries && f->owner != FRAME_PAGE_CACHE && f->owner != FRAME_FREE &&
           (!exclusive || (f->owner == FRAME_USER_ANON && entries == 1));
}

/* swap_cache_only counts the pages of the swap cache that nobody maps. */
static uint64_t swap_cache_only(const struct mm_sys *s)
{
    uint64_t n = 0;
    for (unsigned t = 0; t < MAX_SWAPFILES; t++)
        for (uint64_t i = 1; i < s->swap.area[t].max; i++) {
            const struct swap_slot *slot = &s->swap.area[t].slot[i];
            if (swap_slot_cached(slot))
                n += phys_frame(s->phys, (pfn){(slot->cache >> 1) - 1})->mapcount == 0;
        }
    return n;
}

static bool mapcounts_right(struct mm_sys *s, const struct map *seen)
{
    size_t pos = 0;
    uint64_t anon = 0;
    for (const struct map_slot *x; (x = map_next(seen, &pos)) != NULL;) {
        pfn n = {x->key / SEEN_NR};
        const struct frame *f = phys_frame(s->phys, n);
        if (x->key % SEEN_NR == SEEN_PAGE && !page_right(f, x->value))
            return false;
        if (x->key % SEEN_NR == SEEN_ENTIRE && f->entire != x->value)
            return false;
        if (x->key % SEEN_NR != SEEN_FOLIO)
            continue;
        if (!folio_right(s, n, x->value))
            return false;
        anon += f->owner == FRAME_USER_ANON ? folio_nr_pages(s, n) : 0;
    }
    return phys_owner_frames(s->phys, FRAME_USER_ANON) <= anon + swap_cache_only(s);
}

static int audit_entries(struct mm_sys *s)
{
    struct map seen, named;
    int broken = 0;
    map_init(&seen);
    map_init(&named);
    filemap_count_swap(s, &named);
    for (struct mm *m = s->mms; m && broken == 0; m = m->next)
        broken = entries_right(m, &seen, &named);
    if (broken == 0 && !mapcounts_right(s, &seen))
        broken = 5;
    if (broken == 0 && !audit_swap(s, &named))
        broken = 10;
    map_free(&seen);
    map_free(&named);
    return broken;
}

/* -- anon_vmas ------------------------------------------------------------------------------- */

static bool node_right(const struct vma *v, const struct anon_vma_chain *c)
{
    return c->vma == v && c->node.first == v->pgoff &&
           c->node.last == v->pgoff + vma_pages(v) - 1 && c->anon_vma->refs > 0;
}

/* chain_right checks I1 and I3 of anon_vma.c for a VMA; counts the users and marks the anon_vmas. */
static bool chain_right(const struct vma *v, struct map *active, struct map *children)
{
    bool own = false;
    for (const struct anon_vma_chain *c = v->chain; c; c = c->next) {
        uint64_t *users = map_at(active, (uintptr_t)c->anon_vma, 0);
        ASSERT(users);
        *users += c->anon_vma == v->anon_vma;
        if (!map_find(children, (uintptr_t)c->anon_vma))
            ASSERT(map_put(children, (uintptr_t)c->anon_vma, 0) == 0);
        own |= c->anon_vma == v->anon_vma;
        if (!node_right(v, c))
            return false;
    }
    return own == (v->anon_vma != NULL);
}

/* degrees_right checks I2 of anon_vma.c. */
static bool degrees_right(const struct map *active, struct map *children)
{
    size_t pos = 0;
    const struct map_slot *x;
    while ((x = map_next(active, &pos)) != NULL) {
        const struct anon_vma *a = (const void *)(uintptr_t)x->key;
        uint64_t *n = map_find(children, (uintptr_t)a->parent);
        if (n)
            ++*n;
        if (a->num_active_vmas != x->value || itree_audit(&a->vmas) != 0)
            return false;
    }
    for (pos = 0; (x = map_next(children, &pos)) != NULL;)
        if (((const struct anon_vma *)(uintptr_t)x->key)->num_children != x->value)
            return false;
    return true;
}

static bool anon_vmas_right(const struct mm_sys *s)
{
    struct map active, children;
    bool right = true;
    map_init(&active);
    map_init(&children);
    for (const struct mm *m = s->mms; m && right; m = m->next)
        for (const struct vma *v = m->vmas.first; v && right; v = v->next)
            right = v->m == m && chain_right(v, &active, &children);
    right = right && degrees_right(&active, &children);
    map_free(&active);
    map_free(&children);
    return right;
}

/* commit_right is I1 of commit.c. */
static bool commit_right(const struct mm_sys *s)
{
    uint64_t sum = s->commit_lost;
    for (const struct mm *m = s->mms; m; m = m->next)
        for (const struct vma *v = m->vmas.first; v; v = v->next)
            sum += v->flags & VM_ACCOUNT ? vma_pages(v) : 0;
    for (const struct mm_file *f = s->all_files; f; f = f->next_all)
        sum += f->promised_pages + f->charged_pages;
    return sum == s->committed;
}

int mm_audit(struct mm *m)
{
    if (!vmas_ordered(m))
        return 1;
    if (!vmas_merged(m))
        return 2;
    if (!totals_right(m))
        return 6;
    if (!anon_vmas_right(m->sys))
        return 7;
    if (!commit_right(m->sys))
        return 9;
    int broken = audit_entries(m->sys);
    return broken == 0 && !audit_lru(m->sys) ? 8 : broken;
}

/* The whole audit costs as much as there is memory in all address spaces. */
static bool small_enough(const struct mm_sys *s)
{
    uint64_t pages = 0, vmas = 0;
    for (const struct mm *m = s->mms; m; m = m->next) {
        pages += m->cnt.rss[MM_FILEPAGES] + m->cnt.rss[MM_ANONPAGES] + m->cnt.rss[MM_SHMEMPAGES];
        vmas += m->vmas.nr;
    }
    return pages <= AUDIT_PAGES_MAX && vmas <= AUDIT_VMAS_MAX;
}

void audit_call(struct mm *m)
{
    ASSERT(vmas_ordered(m)); /* I1 */
    ASSERT(vmas_merged(m));  /* I2 */
    ASSERT(totals_right(m)); /* I6 */
    if (small_enough(m->sys))
        ASSERT(mm_audit(m) == 0);
}
