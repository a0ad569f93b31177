/* fork.c: a child's address space.
 *
 *   VMA of the parent          the child gets
 *   DONTCOPY                   nothing
 *   WIPEONFORK                 the VMA, empty and without anon_vma
 *   with anon_vma, guards      VMA, tables and entries: anonymous pages shared, read-only in both
 *   any other                  the VMA; its pages (zero page, page cache) are cheap to fault again
 *
 *   entry       parent's                         child's
 *   anon page   RW cleared, EXCLUSIVE cleared    the same, A cleared, mapcount + 1
 *   file page   private: RW cleared              the same, A cleared; shared: D cleared too
 *   swap entry  no longer exclusive              copied, the slot counts one more
 *   marker      stays                            copied
 *
 * I1  Where a VMA is copied with its entries the child has the tables the parent has, empty ones too.
 * I2  An anonymous frame that both map is not EXCLUSIVE and nobody may write to it.
 *
 * Source: Linux 6.18 kernel/fork.c (dup_mm, mm_init), mm/mmap.c (dup_mmap), mm/memory.c
 * (copy_page_range, vma_needs_copy, copy_pte_range, copy_nonpresent_pte, __copy_present_ptes).
 */
#include "mm/mm_int.h"

/* One VMA's copying. */
struct copy {
    struct mm *child, *parent;
    const struct vma *vma; /* the parent's; the child's lies at the same place */
    uint64_t copied;       /* entries */
};

static bool is_cow_mapping(uint64_t flags)
{
    return (flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
}

static bool vma_needs_copy(const struct vma *v)
{
    return v->anon_vma || (v->flags & (VM_PFNMAP | VM_MIXEDMAP | VM_MAYBE_GUARD));
}

/* -- entries --------------------------------------------------------------------------------- */

/* copy_present shares the page of an entry and returns the child's. */
static pte copy_present(struct copy *c, const struct pt_run *r)
{
    pte e = *r->e;
    struct frame *f = vm_normal_page(c->parent, e);
    if (f) {
        if (f->owner == FRAME_USER_ANON)
            f->flags &= ~FRAME_F_EXCLUSIVE;
        page_add_rmap(c->child, pte_pfn(e));
    }
    if (is_cow_mapping(c->vma->flags) && (e.v & PTE_RW)) { /* I2 */
        e.v &= ~PTE_RW;
        run_set(c->parent, r, e);
    }
    if (c->vma->flags & VM_SHARED)
        e.v &= ~PTE_D;
    return (pte){e.v & ~PTE_A};
}

/* copy_nonpresent returns the child's entry where the parent has neither none nor a page. */
static pte copy_nonpresent(struct copy *c, const struct pt_run *r)
{
    pte e = *r->e;
    if (pte_is_swap_slot(e)) { /* both name the slot now, and neither alone */
        e.v &= ~PTE_SWP_EXCLUSIVE;
        if (e.v != r->e->v)
            run_set(c->parent, r, e);
        swap_dup(c->child->sys, e);
        c->child->cnt.swapents++;
        return e;
    }
    CHECK(swp_type(e) == SWP_MARKER);
    return e;
}

/* copy_ptes copies the entries of [start, end), all of one table. */
static int copy_ptes(struct copy *c, uint64_t start, uint64_t end)
{
    struct pt_run r = {.a = va(start), .end = va(end)};
    pte *first;
    int err = mm_tables(c->child, va(start), 0, &first); /* I1 */
    if (err != 0)
        return err;
    paddr at = pt_entry_paddr(&c->child->pt, va(start), 0);
    while (run_next(c->parent, &r)) {
        uint64_t i = (r.a.v - start) >> PAGE_SHIFT;
        first[i] = pte_is_swap(*r.e) ? copy_nonpresent(c, &r) : copy_present(c, &r);
        kernel_write(c->parent->sys, pa(at.v + i * sizeof(pte)), sizeof(pte));
        c->copied++;
    }
    return 0;
}

/* copy_step copies what one entry of the lowest table at `a` covers; stores where that ends. */
static int copy_step(struct copy *c, uint64_t a, uint64_t end, uint64_t *ret_next)
{
    unsigned level = 0;
    int err = 0;
    pte *e;
    if (copy_huge_pmd(c->child, c->parent, c->vma, va(a), &err)) {
        *ret_next = a + HPAGE_PMD_SIZE;
        c->copied++;
        return err;
    }
    while (!pt_lookup(&c->parent->pt, va(a), level))
        level++;
    uint64_t size = BIT(pt_level_shift(level == 0 ? 1 : level));
    *ret_next = min_u64(end, align_down(a, size) + size);
    return level == 0 ? copy_ptes(c, a, *ret_next) : mm_tables(c->child, va(a), level, &e);
}

static int copy_page_range(struct mm *child, const struct vma *v)
{
    struct copy c = {.child = child, .parent = v->m, .vma = v};
    int err = 0;
    if (!vma_needs_copy(v))
        return 0;
    if (v->flags & VM_HUGETLB)
        return copy_hugetlb(child, v);
    for (uint64_t a = v->start.v; a < v->end.v && err == 0;)
        err = copy_step(&c, a, v->end.v, &a);
    if (c.copied > 0)
        arch_step(child->sys->outbox, STEP_FORK_PTE, c.copied);
    return err;
}

/* -- VMAs ------------------------------------------------------------------------------------ */

static int dup_vma(struct mm *child, const struct vma *v)
{
    if ((v->flags & VM_ACCOUNT) && vm_enough_memory(v->m, vma_pages(v)) != 0)
        return -ENOMEM;
    child->loose |= (v->flags & (VM_LOCKED_MASK | VM_WIPEONFORK)) != 0;
    struct vma *new = vma_dup(child, v, v->flags & ~VM_LOCKED_MASK);
    vm_stat_account(child, new->flags, (int64_t)vma_pages(new));
    if (v->flags & VM_WIPEONFORK)
        return 0;
    anon_vma_fork(new, v);
    return copy_page_range(child, v);
}

static int dup_mmap(struct mm *child, struct mm *parent)
{
    int err = 0;
    mmap_write_lock(parent);
    for (const struct vma *v = parent->vmas.first; v && err == 0; v = v->next)
        if (!(v->flags & VM_DONTCOPY))
            err = dup_vma(child, v);
    arch_step(parent->sys->outbox, STEP_FORK_VMA, child->vmas.nr);
    flush_space(parent);
    mmap_write_unlock(parent);
    return err;
}

int mm_fork(struct mm **ret, struct mm *parent)
{
    struct mm *child;
    int err = mm_open(&child, parent->sys);
    if (err != 0)
        return err;
    child->task = parent->task;
    child->layout = parent->layout;
    child->pkeys = parent->pkeys;
    child->execute_only_pkey = parent->execute_only_pkey;
    child->legacy = parent->legacy;
    child->layout = parent->layout;
    child->numa = parent->numa;
    mpol_get(child->numa.policy);
    child->start_brk = parent->start_brk;
    child->brk = parent->brk;
    child->mmap_base = parent->mmap_base;
    child->task_size = parent->task_size;
    child->loose = parent->loose;
    huge_fork(child, parent);
    err = dup_mmap(child, parent); /* def_flags stay 0: MCL_FUTURE is not inherited */
    if (err != 0) {
        mm_close(child);
        return err;
    }
    AUDIT(audit_call(child));
    *ret = child;
    return 0;
}
