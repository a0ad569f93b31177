/* audit.c: the invariants of mm.h, looked at one by one. Slow: every entry of every address space.
 * Folios are in audit_folio.c; when which audit is made, in audit_call.c.
 */
#include "mm/audit_int.h"

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

bool audit_entry_allowed(const struct vma *v, pte e)
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

/* -- entries --------------------------------------------------------------------------------- */

void audit_count(struct map *m, uint64_t key, uint64_t n)
{
    uint64_t *count = map_at(m, key, 0);
    ASSERT(count);
    *count += n;
}

/* count_page counts an entry that maps a page: for the page and for the address space. */
static void count_page(const struct pt_run *r, struct audit_seen *seen, struct mm *sum)
{
    struct mm_sys *s = sum->sys;
    pfn n = pte_leaf_pfn(*r->e, r->level);
    if (phys_frame(s->phys, n)->flags & FRAME_F_HUGETLB)
        sum->cnt.hugetlb += BIT(9 * r->level);
    else
        rss_add(sum, phys_frame(s->phys, n), (int64_t)BIT(9 * r->level));
    audit_count(r->level > 0 ? &seen->whole : &seen->small, n.v, 1);
    audit_count(&seen->folios, folio_head(s, n).v, 1);
}

/* entries_right checks I3 and I4 over all entries and counts each frame's mappings. */
static int entries_right(struct mm *m, struct audit_seen *seen)
{
    struct mm sum = {.sys = m->sys};
    struct pt_run r = {.end = va(m->task_size), .huge = RUN_LOOK};
    while (run_next(m, &r)) {
        if (!audit_entry_allowed(vma_lookup(m, r.a.v), *r.e))
            return 3;
        if (pte_is_swap_slot(*r.e)) {
            audit_count(&seen->named, r.e->v & ~PTE_SWP_EXCLUSIVE, 1);
            sum.cnt.swapents++;
        }
        if (!pte_is_swap(*r.e) && !(r.e->v & PTE_SPECIAL))
            count_page(&r, seen, &sum);
    }
    return memcmp(sum.cnt.rss, m->cnt.rss, sizeof(m->cnt.rss)) == 0 &&
                   sum.cnt.swapents == m->cnt.swapents && sum.cnt.hugetlb == m->cnt.hugetlb
               ? 0
               : 4;
}

static int audit_pages(struct mm_sys *s)
{
    struct audit_seen seen = {0};
    int broken = 0;
    filemap_count_swap(s, &seen.named);
    for (struct mm *m = s->mms; m && broken == 0; m = m->next)
        broken = entries_right(m, &seen);
    if (broken == 0)
        broken = audit_folios(s, &seen);
    if (broken == 0 && !audit_swap(s, &seen.named))
        broken = 10;
    map_free(&seen.folios);
    map_free(&seen.small);
    map_free(&seen.whole);
    map_free(&seen.named);
    return broken;
}

/* tables_right is I11. */
static bool tables_right(const struct mm_sys *s)
{
    uint64_t tables = s->kernel ? pt_frames(s->kernel) : 0;
    for (const struct mm *m = s->mms; m; m = m->next) {
        if (pt_audit(&m->pt, (unsigned)s->conf.phys_bits) != 0)
            return false;
        tables += pt_frames(&m->pt);
    }
    return tables == phys_owner_frames(s->phys, FRAME_PAGE_TABLE);
}

/* -- anon_vmas ------------------------------------------------------------------------------- */

static bool node_right(const struct vma *v, const struct anon_vma_chain *c)
{
    return c->vma == v && c->node.first == v->pgoff &&
           c->node.last == v->pgoff + vma_pages(v) - 1 && c->anon_vma->refs > 0;
}

/* in_file_right: a walk from a page of its file meets the VMA. */
static bool in_file_right(const struct vma *v)
{
    return !v->file || (v->in_file.first == v->pgoff &&
                        v->in_file.last == v->pgoff + vma_pages(v) - 1 && v->file->refs > 0);
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

bool audit_vma(const struct vma *v)
{
    bool right = in_file_right(v);
    for (const struct anon_vma_chain *c = v->chain; c && right; c = c->next)
        right = node_right(v, c);
    return right;
}

/* degrees_right checks I2 and I4 of anon_vma.c. */
static bool degrees_right(const struct map *active, struct map *children, struct map *refs)
{
    size_t pos = 0;
    const struct map_slot *x;
    while ((x = map_next(active, &pos)) != NULL) {
        const struct anon_vma *a = (const void *)(uintptr_t)x->key;
        uint64_t *n = map_find(children, (uintptr_t)a->parent);
        if (n)
            ++*n;
        audit_count(refs, (uintptr_t)a, 1); /* its tree is not empty */
        if (a->root != a)
            audit_count(refs, (uintptr_t)a->root, 1);
        if (a->num_active_vmas != x->value || itree_audit(&a->vmas) != 0)
            return false;
    }
    for (pos = 0; (x = map_next(children, &pos)) != NULL;)
        if (((const struct anon_vma *)(uintptr_t)x->key)->num_children != x->value)
            return false;
    for (pos = 0; (x = map_next(refs, &pos)) != NULL;)
        if (((const struct anon_vma *)(uintptr_t)x->key)->refs != x->value)
            return false;
    return true;
}

static bool anon_vmas_right(const struct mm_sys *s)
{
    struct map active, children, refs;
    bool right = true;
    map_init(&active);
    map_init(&children);
    map_init(&refs);
    for (const struct mm *m = s->mms; m && right; m = m->next)
        for (const struct vma *v = m->vmas.first; v && right; v = v->next)
            right = v->m == m && in_file_right(v) && chain_right(v, &active, &children);
    right = right && degrees_right(&active, &children, &refs);
    map_free(&active);
    map_free(&children);
    map_free(&refs);
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

int audit_space(const struct mm *m)
{
    if (!vmas_ordered(m))
        return 1;
    if (!vmas_merged(m))
        return 2;
    return totals_right(m) ? 0 : 6;
}

int audit_sys(struct mm_sys *s)
{
    int broken = 0;
    for (const struct mm *m = s->mms; m && broken == 0; m = m->next)
        broken = audit_space(m);
    if (broken == 0 && !anon_vmas_right(s))
        broken = 7;
    if (broken == 0 && !commit_right(s))
        broken = 9;
    if (broken == 0 && !tables_right(s))
        broken = 11;
    if (broken == 0 && !audit_lru(s))
        broken = 8;
    return broken != 0 ? broken : audit_pages(s);
}

int mm_audit(struct mm *m)
{
    return audit_sys(m->sys);
}
