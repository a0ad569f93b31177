/* file_folio.c: large folios of files in memory: mapping them, taking them apart.
 *
 *   collapse_file, or shmem_add_folio where shmem_enabled allows it ─► folio of order 9, 512 slots
 *        │ a fault finds it, it has 2 MiB, fits, and the entry of level 1 is none ─► do_set_pmd, no table
 *        │ there is a table, or huge pages are unwanted ────────────────► map_file_folio, 512 entries
 *        │ it sticks out of the VMA ────────────────────────────────────► single entries (fault.c)
 *        ▼
 *   a hole, or a new end, in the middle ─► unmapped everywhere, split around the border:
 *
 *        ├───────────── 8 ─────────────┼────── 7 ──────┼─ … ─┤1│0│0│  … the page of the border is
 *                                                        single, the rest as large as can be
 *
 * I1  A folio of the page cache has one reference of the cache for all its frames, and one for each
 *     entry that maps it or a part.
 * I2  A split unmaps the folio first: what is left of it is found by faults.
 *
 * Source: Linux 6.18 mm/memory.c (do_set_pmd, finish_fault), mm/filemap.c (filemap_map_pmd,
 * filemap_map_folio_range), mm/huge_memory.c (__folio_split, __split_unmapped_folio, unmap_folio),
 * mm/truncate.c (truncate_inode_partial_folio), mm/shmem.c (shmem_undo_range, shmem_alloc_and_add_folio).
 */
#include "mm/mm_int.h"

/* -- making ---------------------------------------------------------------------------------- */

/* range_empty: no page of [first, first + nr) is in the cache, or in swap. */
static bool range_empty(const struct mm_file *f, uint64_t first, uint64_t nr)
{
    pte entry;
    pfn n;
    for (uint64_t i = first; i < first + nr; i++)
        if (filemap_cached_at(f, i, &n) || filemap_swapped(f, i, &entry))
            return false;
    return true;
}

bool shmem_add_folio(struct mm *m, const struct vma *v, vaddr a, pfn *ret)
{
    struct mm_sys *s = m->sys;
    uint64_t pgoff = vma_pgoff_at(v, a), first = align_down(pgoff, HPAGE_PMD_NR);
    struct mm_req req = {.order = HPAGE_PMD_ORDER,
                         .gfp = GFP_USER,
                         .owner = FRAME_SHMEM,
                         .m = m,
                         .vma = v,
                         .addr = a,
                         .flags = thp_effort_flags(s, v, HPAGE_PMD_ORDER)};
    pfn head;
    if (thp_shmem_orders_at(m, v, a) == 0 || !range_empty(v->file, first, HPAGE_PMD_NR))
        return false;
    if (mm_alloc(s, &req, &head) != 0) {
        STAT(s->stats, thp_file_fallback)++;
        return false;
    }
    if (shmem_charge(m, v->file, HPAGE_PMD_NR) != 0) {
        phys_free(s->phys, head, HPAGE_PMD_ORDER);
        return false;
    }
    STAT(s->stats, thp_file_alloc)++;
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_CHARGE, 1);
    clear_frames(s, head, HPAGE_PMD_NR);
    filemap_add_folio(s, v->file, first, head);
    *ret = (pfn){head.v + (pgoff - first)};
    return true;
}

/* -- mapping --------------------------------------------------------------------------------- */

/* tables_for is mm_tables that keeps a folio where it is: allocating may reclaim. */
static bool tables_for(struct mm *m, vaddr a, unsigned level, pfn head, pte **ret)
{
    struct frame *f = phys_frame(m->sys->phys, head);
    f->flags |= FRAME_F_LOCKED;
    int err = mm_tables(m, a, level, ret);
    f->flags &= ~FRAME_F_LOCKED;
    return err == 0;
}

static uint64_t entry_bits(const struct vma *v, bool write)
{
    uint64_t bits = vm_page_prot(v) | (write ? PTE_D : 0);
    return write && (v->flags & VM_WRITE) ? bits | PTE_RW : bits;
}

bool do_set_pmd(struct mm *m, const struct vma *v, vaddr a, pfn n, bool write)
{
    struct mm_sys *s = m->sys;
    vaddr at = va(align_down(a.v, HPAGE_PMD_SIZE));
    pfn head = folio_head(s, n);
    pte *pmd;
    if (phys_frame(s->phys, head)->order != HPAGE_PMD_ORDER || !thp_may_map_file(m, v, a))
        return false;
    if (!tables_for(m, at, 1, head, &pmd) || !pte_none(*pmd))
        return false;
    folio_add_rmap(m, head, 1);
    mlock_vma_folio(s, v, head);
    *pmd = pte_make(head, entry_bits(v, write) | PTE_PS);
    kernel_write(s, pt_entry_paddr(&m->pt, at, 1), sizeof(pte));
    arch_step(s->outbox, STEP_PTE, 1);
    STAT(s->stats, thp_file_mapped)++;
    return true;
}

/* fits: the pages of a folio from `at` on lie in the VMA and in one table (folio_within_vma). */
static bool fits(const struct vma *v, uint64_t a, uint64_t index, uint64_t nr)
{
    uint64_t before = index << PAGE_SHIFT, bytes = nr << PAGE_SHIFT;
    if (before > a - v->start.v)
        return false;
    a -= before;
    return bytes <= v->end.v - a && a / MIB(2) == (a + bytes - 1) / MIB(2);
}

bool map_file_folio(struct mm *m, const struct vma *v, vaddr a, pfn n, bool write, vaddr *ret_head)
{
    struct mm_sys *s = m->sys;
    pfn head = folio_head(s, n);
    uint64_t nr = folio_nr_pages(s, head), mapped = 0;
    pte *e;
    if (nr == 1 || !fits(v, a.v, n.v - head.v, nr))
        return false;
    vaddr at = va(a.v - ((n.v - head.v) << PAGE_SHIFT));
    if (!tables_for(m, at, 0, head, &e))
        return false;
    for (uint64_t i = 0; i < nr; i++) {
        if (!pte_none(e[i]))
            continue;
        page_add_rmap(m, (pfn){head.v + i});
        set_pte(m, va(at.v + i * PAGE_SIZE), &e[i],
                pte_make((pfn){head.v + i}, entry_bits(v, write)));
        mapped++;
    }
    if (mapped == nr) /* a part is left to reclaim to lock */
        mlock_vma_folio(s, v, head);
    *ret_head = at;
    return true;
}

/* -- unmapping ------------------------------------------------------------------------------- */

/* Entries side by side in one table go with one flush (folio_unmap_pte_batch). */
struct unmapped {
    struct mm *m; /* NULL: none yet */
    uint64_t start, end;
    bool dirty;
};

static void unmapped_entry(struct unmapped *u, const struct rmap_walk *w)
{
    bool on = u->m == w->m && u->end == w->a.v && u->end % MIB(2) != 0;
    if (!on && u->m)
        unmap_flush_later(u->m, u->start, u->end, u->dirty);
    if (!on)
        *u = (struct unmapped){.m = w->m, .start = w->a.v};
    u->end = w->a.v + PAGE_SIZE;
    u->dirty |= (w->e->v & PTE_D) != 0;
}

void unmap_file_folio(struct mm_sys *s, pfn head)
{
    struct rmap_walk w;
    struct unmapped u = {0};
    for (rmap_start(&w, s, head); rmap_next(&w);) {
        if (w.level > 0) {
            split_huge_pmd(w.m, w.a);
            continue;
        }
        pfn n = pte_pfn(*w.e);
        if (w.e->v & PTE_D)
            folio_mark_dirty(s, head);
        unmapped_entry(&u, &w);
        set_pte(w.m, w.a, w.e, (pte){0});
        munlock_vma_folio(w.m, w.a, n);
        page_remove_rmap(w.m, n);
    }
    if (u.m)
        unmap_flush_later(u.m, u.start, u.end, u.dirty);
    lru_add_drain(s);
}

/* -- splitting ------------------------------------------------------------------------------- */

/* split_frames cuts a folio into single frames, or halves again and again the part that `at` is in. */
static void split_frames(struct mm_sys *s, pfn head, uint64_t at)
{
    unsigned order = phys_frame(s->phys, head)->order;
    if (at == SPLIT_UNIFORM) {
        phys_split_folio(s->phys, head, 0);
        return;
    }
    for (pfn piece = head; order-- > 0; piece.v += (at & BIT(order)))
        phys_split_folio(s->phys, piece, order);
}

/* settle gives a piece of a split folio its references and its place on the lists. */
static void settle(struct mm_sys *s, pfn n, bool on_list)
{
    struct frame *f = phys_frame(s->phys, n);
    f->refs = 1; /* I1 */
    f->link_next = f->link_prev = 0;
    folio_forget_mm_ids(f);
    if (!on_list)
        return;
    f->flags |= FRAME_F_LRU;
    lruvec_add(s, n, false);
}

int split_file_folio(struct mm_sys *s, pfn head, uint64_t at)
{
    struct frame *f = phys_frame(s->phys, head);
    const struct mm_file *file = f->mapping;
    uint64_t nr = folio_nr_pages(s, head);
    bool huge = f->order == HPAGE_PMD_ORDER;
    if (f->order == 0)
        return 0;
    if (f->refs != folio_mapcount(s, head) + 1 || (f->flags & FRAME_F_LOCKED)) {
        STAT(s->stats, thp_split_page_failed) += huge;
        return -EAGAIN;
    }
    lru_add_drain_all(s);
    unmap_file_folio(s, head); /* I2 */
    unmap_flush_end(s);
    bool on_list = f->flags & FRAME_F_LRU;
    if (on_list)
        lruvec_del(s, head);
    if (huge)
        node_stat_add(s, f, NODE_nr_shmem_hugepages, -(int64_t)nr);
    STAT(s->stats, thp_split_page) += huge;
    split_frames(s, head, at);
    for (pfn n = head, next; n.v < head.v + nr; n = next) {
        next.v = n.v + folio_nr_pages(s, n);
        settle(s, n, on_list);
        if (phys_frame(s->phys, n)->index >= file_pages(file))
            filemap_remove_folio(s, n);
    }
    return 0;
}

/* cached_large finds the large folio that has a page of a file. */
static bool cached_large(struct mm_sys *s, const struct mm_file *f, uint64_t pgoff, pfn *ret)
{
    pfn n;
    if (f->kind != FILE_SHMEM || !filemap_cached_at(f, pgoff, &n))
        return false;
    *ret = folio_head(s, n);
    return phys_frame(s->phys, *ret)->order > 0;
}

/* truncate_partial splits the folio of a page if it loses a part of its bytes; true if it ends at `to`
 * or behind. */
static bool truncate_partial(struct mm_sys *s, const struct mm_file *f, uint64_t pgoff,
                             uint64_t from, uint64_t to)
{
    pfn head;
    if (!cached_large(s, f, pgoff, &head))
        return false;
    const struct frame *fr = phys_frame(s->phys, head);
    uint64_t start = fr->index << PAGE_SHIFT, end = start + (PAGE_SIZE << fr->order);
    uint64_t first = max_u64(start, from), last = min_u64(end, to);
    bool same = to < end;
    if (first == start && last == end)
        return same;
    split_file_folio(s, head, (first - start) >> PAGE_SHIFT);
    uint64_t border = last >> PAGE_SHIFT;
    if (last != end && cached_large(s, f, border, &head))
        split_file_folio(s, head, border - phys_frame(s->phys, head)->index);
    return same;
}

void truncate_partial_folios(struct mm_sys *s, const struct mm_file *f, uint64_t from, uint64_t to)
{
    bool same = from >> PAGE_SHIFT == (to - 1) >> PAGE_SHIFT;
    same |= truncate_partial(s, f, from >> PAGE_SHIFT, from, to);
    if (!same)
        truncate_partial(s, f, (to - 1) >> PAGE_SHIFT, from, to);
}
