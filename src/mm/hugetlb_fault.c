/* hugetlb_fault.c: entries of hugetlb mappings: faults, copying on write and on fork, clearing.
 *
 *   none ─┬ page of the file in its cache ─► map it
 *         ├ behind the end of the file ────► SIGBUS
 *         ├ the creator took it away ──────► SIGBUS      (a child's copy, to give it to the creator)
 *         └ else: a page of the pool, zeroed ─► shared: into the cache;  private: anonymous
 *   write to a read-only entry ─┬ shared ─► writable
 *                               ├ the only mapping ─► reuse
 *                               └ copy; no page: the creator takes those of its children, others
 *                                 get SIGBUS
 *
 * I1  Entries lie at level 1 (2 MiB) or 2 (1 GiB) and have no deposited table.
 * I2  A page's refs = entries that map it (entire) + one for the cache of its file.
 * I3  These pages are in no rss; mm.cnt.hugetlb counts them, in pages of 4 KiB.
 *
 * Source: Linux 6.18 mm/hugetlb.c (hugetlb_fault, hugetlb_no_page, hugetlb_wp, unmap_ref_private,
 * copy_hugetlb_page_range, __unmap_hugepage_range, hugetlb_change_protection).
 */
#include "mm/mm_int.h"

static unsigned level_of(const struct vma *v)
{
    return vma_hpage_size(v) == HPAGE_PMD_SIZE ? 1 : 2;
}

static uint64_t index_of(const struct vma *v, uint64_t a)
{
    return vma_pgoff_at(v, va(a)) / (vma_hpage_size(v) >> PAGE_SHIFT);
}

static void set_huge_pte(struct mm *m, vaddr a, unsigned level, pte *e, pte value)
{
    *e = value;
    kernel_write(m->sys, pt_entry_paddr(&m->pt, a, level), sizeof(pte));
}

static void count(struct mm *m, unsigned level, int64_t n)
{
    m->cnt.hugetlb += (uint64_t)(n * (int64_t)BIT(9 * level));
}

static void add_rmap(struct mm *m, pfn head, unsigned level)
{
    struct frame *f = phys_frame(m->sys->phys, head);
    f->entire++;
    f->refs++;
    count(m, level, 1);
}

static void remove_rmap(struct mm *m, pfn head, unsigned level)
{
    CHECK(phys_frame(m->sys->phys, head)->entire > 0);
    phys_frame(m->sys->phys, head)->entire--;
    count(m, level, -1);
    hugetlb_put(m->sys, head);
}

static void new_anon(struct vm_fault *vmf, pfn head)
{
    struct frame *f = phys_frame(vmf->m->sys->phys, head);
    f->mapping = vmf->vma->anon_vma;
    f->private = HUGETLB_ANON;
    f->flags |= FRAME_F_EXCLUSIVE;
}

static uint64_t leaf_bits(const struct vma *v, bool writable)
{
    return vm_page_prot(v) | PTE_PS | (writable && (v->flags & VM_WRITE) ? PTE_RW | PTE_D : 0);
}

/* -- no entry -------------------------------------------------------------------------------- */

/* find_or_make stores the page for a fault on an entry that is none. */
static int find_or_make(struct vm_fault *vmf, uint64_t idx, pfn *ret)
{
    struct mm_sys *s = vmf->m->sys;
    struct vma *v = vmf->vma;
    *ret = hugetlb_cached(v->file, idx);
    if (!pfn_is_none(*ret))
        return 0;
    if (idx >= v->file->size / vma_hpage_size(v))
        return VM_FAULT_SIGBUS;
    if (!(v->flags & VM_MAYSHARE))
        anon_vma_prepare(vmf->m, v);
    if (hugetlb_alloc(s, v, idx, false, ret) != 0)
        return VM_FAULT_SIGBUS;
    arch_step(s->outbox, STEP_ALLOC, 1);
    clear_frames(s, *ret, vma_hpage_size(v) >> PAGE_SHIFT);
    phys_frame(s->phys, *ret)->index = idx;
    if (v->flags & VM_MAYSHARE)
        hugetlb_add_to_cache(s, v->file, idx, *ret);
    else
        new_anon(vmf, *ret);
    return 0;
}

static int hugetlb_wp(struct vm_fault *vmf, vaddr at, pte *e);

static int no_page(struct vm_fault *vmf, vaddr at, pte *e)
{
    struct vma *v = vmf->vma;
    unsigned level = level_of(v);
    pfn head;
    if (v->resv_flags & HPAGE_RESV_UNMAPPED)
        return VM_FAULT_SIGBUS;
    int r = find_or_make(vmf, index_of(v, at.v), &head);
    if (r != 0)
        return r;
    add_rmap(vmf->m, head, level);
    lock_pmd(vmf->m, at);
    set_huge_pte(vmf->m, at, level, e, pte_make(head, leaf_bits(v, v->flags & VM_SHARED)));
    arch_step(vmf->m->sys->outbox, STEP_PTE, 1);
    return vmf->write && !(v->flags & VM_SHARED) ? hugetlb_wp(vmf, at, e) : 0;
}

/* -- write to a read-only entry -------------------------------------------------------------- */

/* unmap_ref_private takes a page from everybody but its mapping's creator: they could otherwise see
 * zeroes later where data were at the time of fork. */
static void unmap_ref_private(struct vm_fault *vmf, pfn head, uint64_t idx)
{
    struct vma *own = vmf->vma;
    uint64_t first = idx * (vma_hpage_size(own) >> PAGE_SHIFT);
    struct itree_node *n = itree_first(&own->file->mapped, first, first);
    for (; n; n = itree_next(n, first, first)) {
        struct vma *v = CONTAINER(n, struct vma, in_file);
        if (v == own || (v->flags & VM_MAYSHARE) || (v->resv_flags & HPAGE_RESV_OWNER))
            continue;
        vaddr at = va(v->start.v + ((first - v->pgoff) << PAGE_SHIFT));
        pte *e = pt_lookup(&v->m->pt, at, level_of(v));
        if (!e || pte_none(*e) || pte_leaf_pfn(*e, level_of(v)).v != head.v)
            continue;
        v->resv_flags |= HPAGE_RESV_UNMAPPED;
        struct gather g;
        gather_init(&g, v->m);
        zap_range(&g, at.v, at.v + vma_hpage_size(v), ZAP_EVEN_COWS);
        gather_finish(&g);
    }
}

static int reuse(struct vm_fault *vmf, vaddr at, pte *e)
{
    pte new = {e->v | PTE_A | (vmf->vma->flags & VM_WRITE ? PTE_RW | PTE_D : 0)};
    set_huge_pte(vmf->m, at, level_of(vmf->vma), e, new);
    return 0;
}

static int copy(struct vm_fault *vmf, vaddr at, pte *e, pfn old, pfn new)
{
    struct mm_sys *s = vmf->m->sys;
    unsigned level = level_of(vmf->vma);
    uint64_t size = vma_hpage_size(vmf->vma);
    anon_vma_prepare(vmf->m, vmf->vma);
    copy_frames(s, old, new, size >> PAGE_SHIFT);
    set_huge_pte(vmf->m, at, level, e, (pte){0});
    flush_tlb_page(vmf->m, at); /* huge_ptep_clear_flush: INVLPG of one address is enough */
    remove_rmap(vmf->m, old, level);
    phys_frame(s->phys, new)->index = index_of(vmf->vma, at.v);
    new_anon(vmf, new);
    add_rmap(vmf->m, new, level);
    lock_pmd(vmf->m, at);
    set_huge_pte(vmf->m, at, level, e, pte_make(new, leaf_bits(vmf->vma, true)));
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_PTE, 1);
    return 0;
}

static int hugetlb_wp(struct vm_fault *vmf, vaddr at, pte *e)
{
    struct mm_sys *s = vmf->m->sys;
    struct vma *v = vmf->vma;
    pfn new, old = pte_leaf_pfn(*e, level_of(v));
    struct frame *f = phys_frame(s->phys, old);
    bool anon = f->private & HUGETLB_ANON, owner = anon && (v->resv_flags & HPAGE_RESV_OWNER);
    uint64_t idx = index_of(v, at.v);
    if (v->flags & VM_MAYSHARE)
        return reuse(vmf, at, e);
    if (anon && f->entire > 1 && hugetlb_alloc(s, v, idx, owner, &new) != 0) {
        if (!owner)
            return VM_FAULT_SIGBUS;
        unmap_ref_private(vmf, old, idx);
    } else if (anon && f->entire > 1) {
        return copy(vmf, at, e, old, new);
    } else if (!anon) {
        return hugetlb_alloc(s, v, idx, false, &new) == 0 ? copy(vmf, at, e, old, new)
                                                          : VM_FAULT_SIGBUS;
    }
    if (f->entire != 1)
        return VM_FAULT_SIGBUS;
    f->flags |= FRAME_F_EXCLUSIVE;
    f->mapping = v->anon_vma;
    return reuse(vmf, at, e);
}

int hugetlb_fault(struct vm_fault *vmf)
{
    unsigned level = level_of(vmf->vma);
    vaddr at = va(align_down(vmf->address.v, vma_hpage_size(vmf->vma)));
    pte *e;
    vmf->kind = vmf->vma->flags & VM_MAYSHARE ? FAULT_SHMEM : FAULT_ANON;
    if (mm_tables(vmf->m, at, level, &e) != 0)
        return VM_FAULT_OOM;
    if (pte_none(*e))
        return no_page(vmf, at, e);
    if (vmf->write && !(e->v & PTE_RW)) {
        vmf->kind = FAULT_ANON_COW;
        return hugetlb_wp(vmf, at, e);
    }
    vmf->kind = FAULT_SPURIOUS;
    set_huge_pte(vmf->m, at, level, e, (pte){e->v | PTE_A | (vmf->write ? PTE_D : 0)});
    return 0;
}

/* -- clearing and copying -------------------------------------------------------------------- */

void zap_hugetlb(struct gather *g, struct pt_run *r)
{
    struct mm *m = g->m;
    pfn head = pte_leaf_pfn(*r->e, r->level);
    struct frame *f = phys_frame(m->sys->phys, head);
    struct vma *v = vma_lookup(m, r->a.v);
    if (r->e->v & PTE_D)
        f->flags |= FRAME_F_DIRTY;
    if (v && (f->private & HUGETLB_ANON) && !(v->flags & VM_MAYSHARE))
        hugetlb_restore(m->sys, v, index_of(v, r->a.v), head);
    unsigned level = r->level;
    run_set(m, r, (pte){0});
    gather_entry(g, r->a.v, level);
    g->zapped++;
    remove_rmap(m, head, level);
}

/* hugetlb_next steps through a VMA's huge pages that a table has an entry for, none or not: the start
 * of the first one from `a` on, or `end` (hugetlb_walk, hugetlb_mask_last_page). */
static uint64_t hugetlb_next(const struct mm *m, uint64_t a, uint64_t end, unsigned level,
                             pte **ret)
{
    uint64_t table = BIT(pt_level_shift(level + 1));
    while (a < end && !(*ret = pt_lookup(&m->pt, va(a), level)))
        a = align_down(a, table) + table;
    return min_u64(a, end);
}

/* copy_entry: the child gets a table where the parent has one, even for an entry that is none. */
static int copy_entry(struct mm *child, const struct vma *v, uint64_t a, unsigned level, pte *from)
{
    bool cow = (v->flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
    pte *e;
    if (mm_tables(child, va(a), level, &e) != 0)
        return -ENOMEM;
    if (pte_none(*from))
        return 0;
    struct frame *f = phys_frame(child->sys->phys, pte_leaf_pfn(*from, level));
    if (f->private & HUGETLB_ANON)
        f->flags &= ~FRAME_F_EXCLUSIVE;
    if (cow && (from->v & PTE_RW))
        set_huge_pte(v->m, va(a), level, from, (pte){from->v & ~PTE_RW});
    add_rmap(child, pte_leaf_pfn(*from, level), level);
    set_huge_pte(child, va(a), level, e, *from);
    return 0;
}

int copy_hugetlb(struct mm *child, const struct vma *v)
{
    unsigned level = level_of(v);
    pte *from = NULL;
    int err = 0;
    for (uint64_t a = v->start.v; err == 0; a += BIT(pt_level_shift(level))) {
        a = hugetlb_next(v->m, a, v->end.v, level, &from);
        if (a == v->end.v)
            break;
        err = copy_entry(child, v, a, level, from);
    }
    return err;
}

int move_hugetlb_page_tables(struct gather *g, const struct vma *v, uint64_t from, uint64_t to,
                             uint64_t len)
{
    struct mm *m = g->m;
    unsigned level = level_of(v);
    uint64_t end = from + len, size = BIT(pt_level_shift(level));
    pte *e, *new;
    for (uint64_t a = from;; a += size) {
        a = hugetlb_next(m, a, end, level, &e);
        if (a == end)
            return 0;
        if (pte_none(*e))
            continue;
        uint64_t at = to + (a - from);
        if (mm_tables(m, va(at), level, &new) != 0)
            return -ENOMEM;
        set_huge_pte(m, va(at), level, new, *e);
        set_huge_pte(m, va(a), level, e, (pte){0});
        gather_entry(g, a, level);
    }
}
