/* audit.c: the invariants of mm.h, looked at one by one. Slow: every entry of every address space.
 */
#include "mm/mm_int.h"

static bool vmas_ordered(const struct mm *m)
{
    for (uint32_t i = 0; i < m->vma_nr; i++) {
        const struct vma *v = m->vma[i];
        if (v->start.v >= v->end.v || ((v->start.v | v->end.v) & ~PAGE_MASK) ||
            m->end[i] != v->end.v || v->end.v > m->task_size)
            return false;
        if (i > 0 && m->end[i - 1] > v->start.v)
            return false;
    }
    return true;
}

static bool vmas_merged(const struct mm *m)
{
    if (m->loose)
        return true;
    for (uint32_t i = 1; i < m->vma_nr; i++)
        if (audit_can_merge(m, m->vma[i - 1], m->vma[i]))
            return false;
    return true;
}

static bool totals_right(const struct mm *m)
{
    struct mm sum = {.sys = m->sys};
    for (uint32_t i = 0; i < m->vma_nr; i++)
        vm_stat_account(&sum, m->vma[i]->flags, (int64_t)vma_pages(m->vma[i]));
    return sum.cnt.total_vm == m->cnt.total_vm && sum.cnt.data_vm == m->cnt.data_vm &&
           sum.cnt.stack_vm == m->cnt.stack_vm && sum.cnt.exec_vm == m->cnt.exec_vm &&
           (m->loose || sum.cnt.locked_vm == m->cnt.locked_vm) &&
           m->cnt.total_vm_peak >= m->cnt.total_vm;
}

/* entry_allowed is I3 for one entry. */
static bool entry_allowed(const struct vma *v, pte e)
{
    if (!v)
        return false;
    if (!pte_present(e))
        return (e.v & PTE_PROTNONE) && !(v->flags & VM_ACCESS_FLAGS);
    return (v->flags & VM_ACCESS_FLAGS) && (!(e.v & PTE_RW) || (v->flags & VM_WRITE)) &&
           ((e.v & PTE_NX) || (v->flags & VM_EXEC)) && (e.v & PTE_US);
}

/* entries_right checks I3 and I4 over all entries and counts each frame's mappings. */
static int entries_right(struct mm *m, struct map *seen)
{
    struct mm sum = {.sys = m->sys};
    struct pt_run r = {.end = va(m->task_size)};
    while (run_next(m, &r)) {
        if (!entry_allowed(vma_lookup(m, r.a.v), *r.e))
            return 3;
        if (r.e->v & PTE_SPECIAL)
            continue;
        pfn n = pte_pfn(*r.e);
        rss_add(&sum, phys_frame(m->sys->phys, n), 1);
        uint64_t *count = map_at(seen, n.v, 0);
        ASSERT(count);
        ++*count;
    }
    return memcmp(sum.cnt.rss, m->cnt.rss, sizeof(m->cnt.rss)) == 0 ? 0 : 4;
}

static bool mapcounts_right(const struct mm_sys *s, const struct map *seen)
{
    size_t pos = 0;
    for (const struct map_slot *x; (x = map_next(seen, &pos)) != NULL;) {
        const struct frame *f = phys_frame(s->phys, (pfn){x->key});
        bool anon = f->owner == FRAME_USER_ANON;
        if (f->mapcount != x->value || f->refs != f->mapcount + !anon ||
            f->owner == FRAME_PAGE_CACHE || f->owner == FRAME_FREE)
            return false;
    }
    return phys_owner_frames(s->phys, FRAME_USER_ANON) <= seen->used;
}

static int audit_entries(struct mm_sys *s)
{
    struct map seen;
    int broken = 0;
    map_init(&seen);
    for (struct mm *m = s->mms; m && broken == 0; m = m->next)
        broken = entries_right(m, &seen);
    if (broken == 0 && !mapcounts_right(s, &seen))
        broken = 5;
    map_free(&seen);
    return broken;
}

int mm_audit(struct mm *m)
{
    if (!vmas_ordered(m))
        return 1;
    if (!vmas_merged(m))
        return 2;
    if (!totals_right(m))
        return 6;
    return audit_entries(m->sys);
}

void audit_vmas(const struct mm *m)
{
    ASSERT(vmas_ordered(m)); /* I1 */
    ASSERT(vmas_merged(m));  /* I2 */
    ASSERT(totals_right(m)); /* I6 */
}
