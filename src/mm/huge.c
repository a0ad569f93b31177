/* huge.c: entries of level 1 that map 2 MiB: making those of anonymous memory, reusing, splitting,
 * clearing, moving all. (file_folio.c makes those that map a folio of the page cache.)
 *
 *   huge_fault ── entry none, mapping and address allow 2 MiB ─┬ read ──► the huge zero page
 *      │                                                       └ write ─► a folio of order 9
 *      ├─ write, read-only ─► do_huge_pmd_wp_page ─┬ zero page ─► a folio, of a file ─► split
 *      │                                           ├ exclusive, or no other reference ─► reuse
 *      │                                           └ shared ─► split, then 4 KiB copies
 *      └─ otherwise: accessed and dirty bits, or HUGE_FALLBACK
 *
 * I1  Every huge leaf of level 1 that maps anonymous memory has a deposited PTE table, so a split
 *     cannot fail. One that maps a file has none: a split clears it, faults bring it back.
 * I2  A split changes no frame: the folio stays whole, its frames are mapped one by one, and the
 *     references of its one mapping become 512.
 * I3  FRAME_F_EXCLUSIVE of a PMD-mapped folio is that of its head; a split gives it to every frame.
 *
 * Source: Linux 6.18 mm/huge_memory.c (do_huge_pmd_anonymous_page, do_huge_pmd_wp_page,
 * __split_huge_pmd_locked, zap_huge_pmd, change_huge_pmd, move_huge_pmd, vma_adjust_trans_huge).
 */
#include "mm/mm_int.h"

/* -- what is allowed ------------------------------------------------------------------------- */

#define VM_NO_KHUGEPAGED (VM_SPECIAL | VM_HUGETLB)
#define STACK_SETUP      (VM_RAND_READ | VM_SEQ_READ) /* VM_STACK_INCOMPLETE_SETUP */

static struct thp_knobs knobs_of(const struct conf *c)
{
    const uint64_t size[] = {c->thp_size_16k,  c->thp_size_32k,  c->thp_size_64k, c->thp_size_128k,
                             c->thp_size_256k, c->thp_size_512k, c->thp_size_1m,  c->thp_size_2m};
    struct thp_knobs k = {.enabled = (enum thp_enabled)c->thp_enabled,
                          .shmem = (enum thp_shmem)c->thp_shmem};
    for (unsigned i = 0; i < ARRAY_LEN(size); i++) {
        unsigned bit = 4u << i;
        k.inherit |= size[i] == THP_SIZE_INHERIT ? bit : 0;
        k.always |= size[i] == THP_SIZE_ALWAYS ? bit : 0;
        k.madvise |= size[i] == THP_SIZE_MADVISE ? bit : 0;
    }
    return k;
}

static struct thp_vma thp_vma_of(const struct mm *m, const struct vma *v)
{
    bool setup = (v->flags & STACK_SETUP) == STACK_SETUP;
    return (struct thp_vma){.start = v->start.v,
                            .end = v->end.v,
                            .pgoff = v->pgoff,
                            .anonymous = vma_is_anonymous(v) && !(v->flags & VM_HUGETLB),
                            .shmem = v->kind == VMA_SHMEM,
                            .shmem_mounted = v->file && file_is_mounted_shmem(v->file),
                            .file_pages = v->file ? file_pages(v->file) : 0,
                            .hugepage = v->flags & VM_HUGEPAGE,
                            .nohugepage = v->flags & VM_NOHUGEPAGE,
                            .no_khugepaged = v->flags & VM_NO_KHUGEPAGED,
                            .temporary_stack = setup && (v->flags & VM_GROWSDOWN),
                            .faulted = v->anon_vma,
                            .disabled = m->thp.disabled,
                            .except_advised = m->thp.except_advised};
}

unsigned thp_orders(const struct mm *m, const struct vma *v, enum tva_type type, unsigned orders)
{
    struct thp_knobs k = knobs_of(&m->sys->conf);
    struct thp_vma t = thp_vma_of(m, v);
    return thp_allowable_orders(&k, &t, type, orders);
}

bool thp_pmd_possible(const struct mm_sys *s)
{
    struct thp_knobs k = knobs_of(&s->conf);
    return thp_pmd_enabled(&k);
}

unsigned thp_orders_at(const struct mm *m, const struct vma *v, vaddr a, unsigned orders)
{
    struct thp_vma t = thp_vma_of(m, v);
    orders = thp_orders(m, v, TVA_PAGEFAULT, orders);
    return orders ? thp_suitable_orders(&t, a.v, orders) : 0;
}

bool thp_may_map_file(const struct mm *m, const struct vma *v, vaddr a)
{
    struct thp_vma t = thp_vma_of(m, v);
    return !thp_vma_disabled(&t, false) && thp_suitable_orders(&t, a.v, 1u << HPAGE_PMD_ORDER) != 0;
}

unsigned thp_shmem_orders_at(const struct mm *m, const struct vma *v, vaddr a)
{
    struct thp_vma t = thp_vma_of(m, v);
    enum thp_shmem how = (enum thp_shmem)m->sys->conf.thp_shmem;
    return thp_suitable_orders(&t, a.v, thp_shmem_orders(how, &t, vma_pgoff_at(v, a), false));
}

void mm_thp_disable(struct mm *m, bool disabled, bool except_advised)
{
    m->thp.disabled = disabled;
    m->thp.except_advised = except_advised;
}

int mm_thp_disabled(const struct mm *m)
{
    return m->thp.disabled ? 1 : m->thp.except_advised ? 3 : 0;
}

/* -- entries --------------------------------------------------------------------------------- */

static void set_pmd(struct mm *m, vaddr a, pte *e, pte value)
{
    *e = value;
    kernel_write(m->sys, pt_entry_paddr(&m->pt, a, 1), sizeof(pte));
}

bool is_huge_zero_pmd(const struct mm_sys *s, pte e)
{
    return s->thp.zero.v != 0 && pte_leaf_pfn(e, 1).v == s->thp.zero.v;
}

/* deposit puts an empty table aside for the huge page at a. 0 or -ENOMEM. */
static int deposit(struct mm *m, vaddr a)
{
    pfn table;
    int err = pt_deposit(&m->pt, a, &table);
    if (err != 0)
        return err;
    arch_step(m->sys->outbox, STEP_TABLE, 1);
    kernel_write(m->sys, pfn_paddr(table), PAGE_SIZE);
    return 0;
}

static uint64_t huge_bits(const struct vma *v, bool write)
{
    uint64_t bits = vm_page_prot(v) | PTE_PS;
    return write ? bits | PTE_D | (v->flags & VM_WRITE ? PTE_RW : 0) : bits;
}

static void remove_pmd_rmap(struct mm *m, pfn head)
{
    folio_remove_rmap(m, head, 1);
    folio_end_batch(m->sys, head);
}

/* maps_file: a huge entry maps a folio of the page cache (I1). */
static bool maps_file(const struct mm_sys *s, pte e)
{
    return !(e.v & PTE_SPECIAL) && phys_frame(s->phys, pte_leaf_pfn(e, 1))->owner == FRAME_SHMEM;
}

/* -- the huge zero page ---------------------------------------------------------------------- */

/* mm_get_huge_zero_folio: one reference per address space, until it ends. */
static int get_zero(struct mm *m)
{
    struct mm_sys *s = m->sys;
    if (s->thp.zero.v == 0) {
        struct mm_req req = {
            .order = HPAGE_PMD_ORDER, .gfp = GFP_USER, .owner = FRAME_KERNEL_IMAGE};
        if (mm_alloc(s, &req, &s->thp.zero) != 0) {
            s->thp.zero = (pfn){0};
            STAT(s->stats, thp_zero_page_alloc_failed)++;
            return -ENOMEM;
        }
        STAT(s->stats, thp_zero_page_alloc)++;
        phys_frame(s->phys, s->thp.zero)->flags |= FRAME_F_ZERO_PAGE;
        clear_frames(s, s->thp.zero, HPAGE_PMD_NR);
    }
    if (!m->thp.zero_ref)
        s->thp.zero_refs++;
    m->thp.zero_ref = true;
    return 0;
}

void huge_exit(struct mm *m)
{
    khugepaged_exit(m);
    if (m->thp.zero_ref)
        m->sys->thp.zero_refs--;
    m->thp.zero_ref = false;
}

void huge_sys_close(struct mm_sys *s)
{
    CHECK(s->thp.zero_refs == 0);
    if (s->thp.zero.v != 0)
        phys_free(s->phys, s->thp.zero, HPAGE_PMD_ORDER);
    s->thp.zero = (pfn){0};
}

static int map_huge_zero(struct mm *m, const struct vma *v, vaddr at, pte *pmd)
{
    if (deposit(m, at) != 0)
        return -ENOMEM;
    if (get_zero(m) != 0) {
        pt_withdraw_free(&m->pt, at);
        STAT(m->sys->stats, thp_fault_fallback)++;
        return HUGE_FALLBACK;
    }
    lock_pmd(m, at);
    set_pmd(m, at, pmd, pte_make(m->sys->thp.zero, huge_bits(v, false) | PTE_SPECIAL));
    arch_step(m->sys->outbox, STEP_PTE, 1);
    return 0;
}

/* -- folios of order 9 ----------------------------------------------------------------------- */

/* vma_alloc_anon_folio_pmd: a zeroed folio of 2 MiB. */
static int alloc_pmd_folio(struct mm *m, const struct vma *v, vaddr at, pfn *ret)
{
    struct mm_sys *s = m->sys;
    if (folio_alloc_anon(m, v, at, HPAGE_PMD_ORDER, ret) != 0) {
        STAT(s->stats, thp_fault_fallback)++;
        s->thp.fault_fallback[HPAGE_PMD_ORDER]++;
        return HUGE_FALLBACK;
    }
    clear_frames(s, *ret, HPAGE_PMD_NR);
    return 0;
}

void huge_map_collapsed(struct mm *m, const struct vma *v, vaddr at, pfn head)
{
    pte *pmd = pt_lookup(&m->pt, at, 1);
    folio_add_rmap(m, head, 1);
    folio_add_lru_vma(m->sys, v, head);
    lock_pmd(m, at);
    set_pmd(m, at, pmd, pte_make(head, huge_bits(v, true)));
    arch_step(m->sys->outbox, STEP_PTE, 1);
    deferred_split_folio(m->sys, head, false);
}

static void map_pmd_folio(struct mm *m, const struct vma *v, vaddr at, pfn head)
{
    huge_map_collapsed(m, v, at, head);
    STAT(m->sys->stats, thp_fault_alloc)++;
    m->sys->thp.fault_alloc[HPAGE_PMD_ORDER]++;
}

static int do_huge_pmd_anonymous_page(struct mm *m, struct vma *v, vaddr at, bool write, pte *pmd,
                                      enum fault_kind *ret_kind)
{
    pfn head;
    anon_vma_prepare(m, v);
    khugepaged_enter(m);
    if (!write && m->sys->conf.thp_use_zero_page) {
        *ret_kind = FAULT_ZERO_PAGE;
        return map_huge_zero(m, v, at, pmd);
    }
    *ret_kind = FAULT_ANON;
    int r = alloc_pmd_folio(m, v, at, &head);
    if (r != 0)
        return r;
    if (deposit(m, at) != 0) {
        phys_free(m->sys->phys, head, HPAGE_PMD_ORDER);
        return -ENOMEM;
    }
    map_pmd_folio(m, v, at, head);
    return 0;
}

/* do_huge_zero_wp_pmd: the deposited table stays where it is. */
static int wp_huge_zero(struct mm *m, const struct vma *v, vaddr at, pte *pmd)
{
    pfn head;
    int r = alloc_pmd_folio(m, v, at, &head);
    if (r != 0)
        return r;
    set_pmd(m, at, pmd, (pte){0});
    flush_pmd_tlb_range(m, at.v);
    map_pmd_folio(m, v, at, head);
    return 0;
}

static int do_huge_pmd_wp_page(struct mm *m, const struct vma *v, vaddr at, pte *pmd)
{
    if (is_huge_zero_pmd(m->sys, *pmd)) {
        int r = wp_huge_zero(m, v, at, pmd);
        if (r == HUGE_FALLBACK)
            split_huge_pmd(m, at);
        return r;
    }
    struct frame *f = phys_frame(m->sys->phys, pte_leaf_pfn(*pmd, 1));
    if (maps_file(m->sys, *pmd)) { /* wp_huge_pmd: no file system here has huge_fault */
        split_huge_pmd(m, at);
        return HUGE_FALLBACK;
    }
    if (!(f->flags & FRAME_F_EXCLUSIVE) && f->refs != 1) {
        split_huge_pmd(m, at);
        return HUGE_FALLBACK;
    }
    f->flags |= FRAME_F_EXCLUSIVE;
    lock_pmd(m, at);
    set_pmd(m, at, pmd, (pte){pmd->v | PTE_A | PTE_D | (v->flags & VM_WRITE ? PTE_RW : 0)});
    arch_step(m->sys->outbox, STEP_PTE, 1);
    return 0;
}

int huge_fault(struct mm *m, struct vma *v, vaddr a, bool write, pte *pmd,
               enum fault_kind *ret_kind)
{
    vaddr at = va(align_down(a.v, HPAGE_PMD_SIZE));
    if (pte_none(*pmd)) {
        if (!thp_orders_at(m, v, a, 1u << HPAGE_PMD_ORDER))
            return HUGE_FALLBACK;
        return do_huge_pmd_anonymous_page(m, v, at, write, pmd, ret_kind);
    }
    if (!pte_is_leaf(*pmd, 1))
        return HUGE_FALLBACK;
    if (write && !(pmd->v & PTE_RW)) {
        *ret_kind = is_huge_zero_pmd(m->sys, *pmd) ? FAULT_ANON : FAULT_ANON_COW;
        return do_huge_pmd_wp_page(m, v, at, pmd);
    }
    *ret_kind = FAULT_SPURIOUS; /* huge_pmd_set_accessed */
    set_pmd(m, at, pmd, (pte){pmd->v | PTE_A | (write ? PTE_D : 0)});
    return 0;
}

/* -- fork ------------------------------------------------------------------------------------ */

void huge_fork(struct mm *child, const struct mm *parent)
{
    if (parent->thp.scanned)
        khugepaged_enter(child);
    child->thp.disabled = parent->thp.disabled;
    child->thp.except_advised = parent->thp.except_advised;
}

static int dup_huge(struct mm *child, pte e, vaddr a)
{
    struct mm_sys *s = child->sys;
    if (deposit(child, a) != 0)
        return -ENOMEM;
    if (e.v & PTE_SPECIAL)
        return get_zero(child);
    phys_frame(s->phys, pte_leaf_pfn(e, 1))->flags &= ~FRAME_F_EXCLUSIVE;
    folio_add_rmap(child, pte_leaf_pfn(e, 1), 1);
    return 0;
}

bool copy_huge_pmd(struct mm *child, struct mm *parent, const struct vma *v, vaddr a, int *ret_err)
{
    pte *new, *old = pt_lookup(&parent->pt, a, 1);
    if (!old || pte_none(*old) || !pte_is_leaf(*old, 1) || (v->flags & VM_HUGETLB))
        return false;
    *ret_err = mm_tables(child, a, 1, &new);
    if (maps_file(parent->sys, *old))
        return true; /* a fault finds it again */
    if (*ret_err == 0)
        *ret_err = dup_huge(child, *old, a);
    if (*ret_err != 0)
        return true;
    if (old->v & PTE_RW)
        set_pmd(parent, a, old, (pte){old->v & ~PTE_RW});
    set_pmd(child, a, new, (pte){old->v & ~PTE_A});
    return true;
}

/* -- splitting an entry ---------------------------------------------------------------------- */

/* piece_of returns the entry of frame i of the folio behind a huge entry. */
static pte piece_of(struct mm_sys *s, const struct vma *v, pte huge, unsigned i)
{
    if (huge.v & PTE_SPECIAL)
        return pte_make(phys_zero_page(s->phys), vm_page_prot(v) | PTE_SPECIAL);
    uint64_t bits = (vm_page_prot(v) & ~PTE_A) | (huge.v & (PTE_A | PTE_D | PTE_RW));
    return pte_make((pfn){pte_leaf_pfn(huge, 1).v + i}, bits);
}

/* split_rmap turns the one mapping of a folio into 512 (I2, I3). Each counts as a mapping of all of it
 * while it is locked: one comes, unless it is to go at once, and one goes. */
static void split_rmap(struct mm *m, const struct vma *v, vaddr at, pte huge, bool freeze)
{
    struct mm_sys *s = m->sys;
    pfn head = pte_leaf_pfn(huge, 1);
    struct frame *f = phys_frame(s->phys, head);
    uint32_t exclusive = f->flags & FRAME_F_EXCLUSIVE;
    if (huge.v & PTE_D)
        f->flags |= FRAME_F_DIRTY;
    for (unsigned i = 0; i < HPAGE_PMD_NR; i++) {
        f[i].mapcount++;
        f[i].flags = (f[i].flags & ~FRAME_F_EXCLUSIVE) | exclusive;
    }
    f->refs += HPAGE_PMD_NR;
    folio_add_large_mapcount(m, f, HPAGE_PMD_NR);
    rss_add(m, f, HPAGE_PMD_NR);
    if (!freeze)
        mlock_vma_folio(s, v, head);
    munlock_vma_folio(m, at, head);
    remove_pmd_rmap(m, head);
}

/* clear_file_pmd is what a split does to the entry of a file. */
static void clear_file_pmd(struct mm *m, vaddr at, pte *pmd)
{
    pfn head = pte_leaf_pfn(*pmd, 1);
    struct frame *f = phys_frame(m->sys->phys, head);
    if (pmd->v & PTE_D)
        folio_mark_dirty(m->sys, head);
    f->flags |= pmd->v & PTE_A ? FRAME_F_REFERENCED : 0;
    set_pmd(m, at, pmd, (pte){0});
    flush_pmd_tlb_range(m, at.v);
    munlock_vma_folio(m, at, head);
    folio_remove_rmap(m, head, 1);
}

void split_huge_pmd_locked(struct mm *m, vaddr a, bool freeze)
{
    vaddr at = va(align_down(a.v, HPAGE_PMD_SIZE));
    pte *pmd = pt_lookup(&m->pt, at, 1);
    const struct vma *v = vma_lookup(m, a.v);
    if (!pmd || !pte_is_leaf(*pmd, 1) || pte_none(*pmd))
        return;
    CHECK(v);
    pte old = *pmd;
    STAT(m->sys->stats, thp_split_pmd)++;
    if (maps_file(m->sys, old)) {
        clear_file_pmd(m, at, pmd);
        return;
    }
    pfn table = pt_withdraw(&m->pt, at);
    for (unsigned i = 0; i < HPAGE_PMD_NR; i++)
        phys_table(m->sys->phys, table)[i] = piece_of(m->sys, v, old, i);
    kernel_write(m->sys, pfn_paddr(table), PAGE_SIZE);
    if (!(old.v & PTE_SPECIAL))
        split_rmap(m, v, at, old, freeze);
    pt_link(&m->pt, at, table);
    kernel_write(m->sys, pt_entry_paddr(&m->pt, at, 1), sizeof(pte));
    flush_pmd_tlb_range(m, at.v);
}

void split_huge_pmd(struct mm *m, vaddr a)
{
    split_huge_pmd_locked(m, a, false);
}

void vma_adjust_trans_huge(struct mm *m, uint64_t a)
{
    if (a & (HPAGE_PMD_SIZE - 1))
        split_huge_pmd(m, va(a));
}

/* -- clearing, changing, moving -------------------------------------------------------------- */

/* maps_hugetlb: an entry of level 1 or 2 of a hugetlb mapping. */
static bool maps_hugetlb(const struct mm_sys *s, pte e, unsigned level)
{
    return phys_frame(s->phys, pte_leaf_pfn(e, level))->flags & FRAME_F_HUGETLB;
}

void zap_huge_pmd(struct gather *g, struct pt_run *r)
{
    pte old = *r->e;
    if (maps_hugetlb(g->m->sys, old, r->level)) {
        zap_hugetlb(g, r);
        return;
    }
    bool file = maps_file(g->m->sys, old);
    run_set(g->m, r, (pte){0});
    if (!file)
        pt_withdraw_free(&g->m->pt, r->a);
    if (file && (old.v & PTE_A))
        zap_accessed(g->m, r->a, pte_leaf_pfn(old, 1));
    if (!(old.v & PTE_SPECIAL)) {
        munlock_vma_folio(g->m, r->a, pte_leaf_pfn(old, 1));
        remove_pmd_rmap(g->m, pte_leaf_pfn(old, 1));
    }
    gather_entry(g, r->a.v, 1);
    gather_slots(g, 1);
    g->zapped++;
}

/* can_change_pmd_writable */
static bool can_change_writable(const struct mm *m, const struct vma *v, pte e)
{
    if (!(v->flags & VM_WRITE) || !pte_present(e) || (e.v & PTE_SPECIAL))
        return false;
    if (v->flags & VM_SHARED)
        return e.v & PTE_D;
    return phys_frame(m->sys->phys, pte_leaf_pfn(e, 1))->flags & FRAME_F_EXCLUSIVE;
}

void change_huge_pmd(struct gather *g, const struct vma *v, struct pt_run *r)
{
    const uint64_t keep = PTE_ADDR_MASK | PTE_A | PTE_D | PTE_SPECIAL | PTE_SOFT_DIRTY | PTE_PS;
    pte old = *r->e, new = {(old.v & keep) | (vm_page_prot(v) & ~keep)};
    if (!(v->flags & VM_HUGETLB) && !(new.v &PTE_RW) && can_change_writable(g->m, v, new))
        new.v |= PTE_RW;
    run_set(g->m, r, new);
    if (v->flags & VM_HUGETLB) { /* tlb_remove_huge_tlb_entry, whatever changed */
        gather_entry(g, r->a.v, r->level);
        return;
    }
    if (!pte_needs_flush(old, new))
        return;
    for (uint64_t a = r->a.v; a < r->a.v + BIT(pt_level_shift(r->level)); a += HPAGE_PMD_SIZE)
        gather_entry(g, a, 1);
}

void move_huge_pmd(struct gather *g, uint64_t from, uint64_t to, unsigned level)
{
    struct mm *m = g->m;
    pte *old = pt_lookup(&m->pt, va(from), level), *new = pt_lookup(&m->pt, va(to), level);
    pte value = *old;
    if (!maps_hugetlb(m->sys, value, level) && !maps_file(m->sys, value))
        pt_deposit_table(&m->pt, va(to), pt_withdraw(&m->pt, va(from)));
    *old = (pte){0};
    *new = value;
    kernel_write(m->sys, pt_entry_paddr(&m->pt, va(from), level), sizeof(pte));
    kernel_write(m->sys, pt_entry_paddr(&m->pt, va(to), level), sizeof(pte));
    if (!pte_is_swap(value))
        flush_tlb_range(m, from, from + BIT(pt_level_shift(level)), PAGE_SHIFT);
}
