/* pages.c: what the pages of a mapping are: smaps, numa_maps, pagemap, kpageflags, kpagecount.
 *
 *   entry ─► none, swap or migration entry, marker
 *        └─► frame ─► folio head: kind, flags, references    frame: its own map count
 *
 * Invariants:
 *  I1  Shared + Private, clean and dirty, = Rss = the present pages that are not the zero page, [vvar]
 *      or hugetlb.
 *  I2  Anonymous <= Rss + pages under migration; Pss <= Rss.
 *
 * Source: Linux 6.18 fs/proc/task_mmu.c (smaps_account, smaps_pte_entry, smaps_pmd_entry,
 * smaps_hugetlb_range, pte_to_pagemap_entry, pagemap_pmd_range_thp, gather_stats), fs/proc/page.c
 * (stable_page_flags), mm/internal.h (folio_precise_page_mapcount).
 */
#include "proc/proc_int.h"

#include "mm/view.h"

#include <string.h>

/* -- frames -------------------------------------------------------------------------------------- */

static pfn head_of(struct phys *p, pfn n)
{
    const struct frame *f = phys_frame(p, n);
    return f->flags & FRAME_F_TAIL ? (pfn){align_down(n.v, BIT(f->order))} : n;
}

/* How many entries map this very page: folio_precise_page_mapcount. */
static uint64_t mapcount_of(struct phys *p, pfn n)
{
    return (uint64_t)phys_frame(p, n)->mapcount + phys_frame(p, head_of(p, n))->entire;
}

/* A page the kernel keeps no count of: the zero pages, and what boot reserved. */
static bool is_zero_page(const struct frame *head)
{
    return head->flags & FRAME_F_ZERO_PAGE;
}

/* -- entries ------------------------------------------------------------------------------------- */

/* Goes over the entries of a mapping that are not none; larger pages as one entry of their level. */
struct walk {
    const struct pt *pt;
    uint64_t at, end;  /* addresses still to look at */
    uint64_t a, bytes; /* the entry's part of the mapping */
    pte e;
    unsigned level;
};

static struct walk walk_start(const struct mm *m, uint64_t start, uint64_t end)
{
    return (struct walk){.pt = mm_pt(m), .at = start, .end = end};
}

static bool walk_next(struct walk *w)
{
    uint64_t a = w->at < w->end ? pt_next(w->pt, va(w->at), va(w->end)).v : w->end;
    if (a >= w->end)
        return false;
    const pte *e = pt_leaf(w->pt, va(a), &w->level);
    CHECK(e != NULL);
    uint64_t stop = align_down(a, BIT(pt_level_shift(w->level))) + BIT(pt_level_shift(w->level));
    w->e = *e;
    w->a = a;
    w->at = min_u64(stop, w->end);
    w->bytes = w->at - a;
    return true;
}

/* What an entry leads to. */
enum entry_kind {
    ENTRY_PAGE,      /* a page, present or PROT_NONE */
    ENTRY_UNCOUNTED, /* the zero page, [vvar]: vm_normal_page gives none */
    ENTRY_MIGRATION, /* a page that is just being moved */
    ENTRY_SWAP,      /* a slot of a swap area */
    ENTRY_MARKER,    /* guard, poison */
};

static enum entry_kind entry_kind(pte e)
{
    if (!pte_is_swap(e))
        return e.v & PTE_SPECIAL ? ENTRY_UNCOUNTED : ENTRY_PAGE;
    unsigned type = swp_type(e);
    if (type >= SWP_MIGRATION_READ && type <= SWP_MIGRATION_WRITE)
        return ENTRY_MIGRATION;
    return type < SWP_HWPOISON ? ENTRY_SWAP : ENTRY_MARKER;
}

/* The frame at the address of the entry, for a page or one under migration. */
static pfn entry_pfn(const struct walk *w)
{
    if (pte_is_swap(w->e))
        return (pfn){swp_offset(w->e)};
    uint64_t inside = (w->a >> PAGE_SHIFT) & (BIT(9 * w->level) - 1);
    return (pfn){pte_leaf_pfn(w->e, w->level).v + inside};
}

/* -- smaps --------------------------------------------------------------------------------------- */

/* What smaps_page_accumulate adds for a page or several of one folio that are shared alike. */
struct account {
    uint64_t bytes, share;
    bool dirty, locked, alone;
};

static void accumulate(struct proc_smaps *s, const struct frame *head, const struct account *a)
{
    s->pss += a->share;
    *(mm_folio_anon(head)                                                ? &s->pss_anon
      : (head->flags & FRAME_F_SWAPBACKED) || head->owner == FRAME_SHMEM ? &s->pss_shmem
                                                                         : &s->pss_file) +=
        a->share;
    s->pss_locked += a->locked ? a->share : 0;
    if (a->dirty || (head->flags & FRAME_F_DIRTY)) {
        s->pss_dirty += a->share;
        *(a->alone ? &s->private_dirty : &s->shared_dirty) += a->bytes;
    } else {
        *(a->alone ? &s->private_clean : &s->shared_clean) += a->bytes;
    }
}

/* smaps_account: the pages behind one entry. */
static void account_pages(struct proc_smaps *s, struct phys *p, const struct walk *w, bool locked)
{
    pfn n = entry_pfn(w);
    const struct frame *head = phys_frame(p, head_of(p, n));
    bool present = !pte_is_swap(w->e);
    struct account a = {.bytes = w->bytes,
                        .share = w->bytes << PROC_PSS_SHIFT,
                        .dirty = present && (w->e.v & PTE_D),
                        .locked = locked,
                        .alone = present};
    s->rss += w->bytes;
    if (mm_folio_anon(head)) {
        s->anonymous += w->bytes;
        if (!(head->flags & (FRAME_F_SWAPBACKED | FRAME_F_DIRTY)) && !a.dirty)
            s->lazyfree += w->bytes;
    }
    if ((present && (w->e.v & PTE_A)) || (head->flags & FRAME_F_REFERENCED))
        s->referenced += w->bytes;
    if (head->refs == 1 || !present) {
        accumulate(s, head, &a);
        return;
    }
    for (uint64_t i = 0; i < w->bytes >> PAGE_SHIFT; i++) {
        uint64_t count = mapcount_of(p, (pfn){n.v + i});
        a.bytes = PAGE_SIZE;
        a.share = (PAGE_SIZE << PROC_PSS_SHIFT) / max_u64(count, 1);
        a.alone = count < 2;
        accumulate(s, head, &a);
    }
}

static void account_swap(struct proc_smaps *s, const struct mm *m, const struct walk *w)
{
    uint64_t users = mm_swap_users(mm_sys_of(m), w->e);
    s->swap += w->bytes;
    s->swap_pss += (w->bytes << PROC_PSS_SHIFT) / max_u64(users, 1);
}

static void account_hugetlb(struct proc_smaps *s, struct phys *p, const struct walk *w)
{
    if (entry_kind(w->e) != ENTRY_PAGE && entry_kind(w->e) != ENTRY_MIGRATION)
        return;
    const struct frame *head = phys_frame(p, head_of(p, entry_pfn(w)));
    bool shared = pte_is_swap(w->e) || head->entire + head->mapcount > 1;
    *(shared ? &s->shared_hugetlb : &s->private_hugetlb) += w->bytes;
}

static void account_entry(struct proc_smaps *s, const struct mm *m, const struct vma *v,
                          const struct walk *w)
{
    struct phys *p = mm_pt(m)->phys;
    enum entry_kind kind = entry_kind(w->e);
    if (v->flags & VM_HUGETLB) {
        account_hugetlb(s, p, w);
    } else if (kind == ENTRY_SWAP) {
        account_swap(s, m, w);
    } else if (kind == ENTRY_PAGE || kind == ENTRY_MIGRATION) {
        const struct frame *head = phys_frame(p, head_of(p, entry_pfn(w)));
        if (is_zero_page(head))
            return;
        if (w->level == 1 && kind == ENTRY_PAGE)
            *(mm_folio_anon(head)          ? &s->anon_huge
              : head->owner == FRAME_SHMEM ? &s->shmem_pmd
                                           : &s->file_pmd) += w->bytes;
        account_pages(s, p, w, v->flags & VM_LOCKED);
    }
}

void proc_smaps_of(const struct mm *m, const struct vma *v, struct proc_smaps *ret)
{
    struct proc_smaps s = {.size = v->end.v - v->start.v,
                           .kernel_page = mm_vma_page_size(v),
                           .mmu_page = mm_vma_page_size(v),
                           .thp_eligible = mm_thp_eligible(m, v),
                           .pkeys = mm_has_pkeys(m),
                           .pkey = (uint8_t)((v->flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT)};
    struct walk w = walk_start(m, v->start.v, v->end.v);
    while (walk_next(&w))
        account_entry(&s, m, v, &w);
    s.swap += mm_shmem_swapped(m, v) << PAGE_SHIFT;
    *ret = s;
}

void proc_smaps_add(struct proc_smaps *sum, const struct proc_smaps *s)
{
    const struct {
        uint64_t *to, from;
    } add[] = {{&sum->rss, s->rss},
               {&sum->shared_clean, s->shared_clean},
               {&sum->shared_dirty, s->shared_dirty},
               {&sum->private_clean, s->private_clean},
               {&sum->private_dirty, s->private_dirty},
               {&sum->referenced, s->referenced},
               {&sum->anonymous, s->anonymous},
               {&sum->ksm, s->ksm},
               {&sum->lazyfree, s->lazyfree},
               {&sum->anon_huge, s->anon_huge},
               {&sum->shmem_pmd, s->shmem_pmd},
               {&sum->file_pmd, s->file_pmd},
               {&sum->shared_hugetlb, s->shared_hugetlb},
               {&sum->private_hugetlb, s->private_hugetlb},
               {&sum->swap, s->swap},
               {&sum->pss, s->pss},
               {&sum->pss_dirty, s->pss_dirty},
               {&sum->pss_anon, s->pss_anon},
               {&sum->pss_file, s->pss_file},
               {&sum->pss_shmem, s->pss_shmem},
               {&sum->pss_locked, s->pss_locked},
               {&sum->swap_pss, s->swap_pss}};
    for (size_t i = 0; i < ARRAY_LEN(add); i++)
        *add[i].to += add[i].from;
}

/* -- numa_maps ----------------------------------------------------------------------------------- */

/* gather_stats: n pages of one folio behind an entry. */
static void numa_pages(struct proc_numa_map *r, struct phys *p, pfn first, const struct walk *w,
                       uint64_t n)
{
    pfn at = head_of(p, first);
    const struct frame *head = phys_frame(p, at);
    r->pages += n;
    r->anon += mm_folio_anon(head) ? n : 0;
    r->dirty += (w->e.v & PTE_D) || (head->flags & FRAME_F_DIRTY) ? n : 0;
    r->swapcache += head->flags & FRAME_F_SWAPCACHE ? n : 0;
    r->active += head->flags & (FRAME_F_ACTIVE | FRAME_F_UNEVICTABLE) ? n : 0;
    r->writeback += head->flags & FRAME_F_WRITEBACK ? n : 0;
    r->mapcount_max = max_u64(r->mapcount_max, mapcount_of(p, first));
    r->node[phys_frame_node(p, at) % PROC_NODES] += n;
}

void proc_numa_map_of(const struct mm *m, const struct vma *v, const char *policy,
                      struct proc_numa_map *ret)
{
    struct phys *p = mm_pt(m)->phys;
    struct proc_map map;
    proc_map_of(m, v, &map);
    *ret = (struct proc_numa_map){
        .start = v->start.v,
        .policy = policy,
        .path = map.path,
        .heap = map.label != NULL && strcmp(map.label, "[heap]") == 0,
        .stack = map.label != NULL && strcmp(map.label, "[stack]") == 0,
        .huge = v->flags & VM_HUGETLB,
        .page_kb = mm_vma_page_size(v) >> 10,
    };
    struct walk w = walk_start(m, v->start.v, v->end.v);
    while (walk_next(&w)) {
        if (entry_kind(w.e) != ENTRY_PAGE)
            continue;
        pfn n = entry_pfn(&w);
        if (phys_owner(p, head_of(p, n)) == FRAME_KERNEL_IMAGE)
            continue; /* reserved: the zero page, [vdso] */
        numa_pages(ret, p, n, &w, ret->huge ? 1 : w.bytes >> PAGE_SHIFT);
    }
}

/* -- pagemap ------------------------------------------------------------------------------------- */

#define SWAP_TYPE_BITS 5

static uint64_t swap_word(struct phys *p, const struct walk *w)
{
    uint64_t word = PM_SWAP | swp_type(w->e) | swp_offset(w->e) << SWAP_TYPE_BITS;
    if (pte_is_marker(w->e, PTE_MARKER_GUARD))
        word |= PM_GUARD_REGION;
    if (entry_kind(w->e) == ENTRY_MIGRATION &&
        !mm_folio_anon(phys_frame(p, head_of(p, (pfn){swp_offset(w->e)}))))
        word |= PM_FILE;
    return word;
}

static uint64_t present_word(struct phys *p, const struct walk *w)
{
    pfn n = entry_pfn(w);
    uint64_t word = PM_PRESENT | n.v;
    if ((w->e.v & PTE_SPECIAL) && w->level == 0)
        return word;
    word |= mm_folio_anon(phys_frame(p, head_of(p, n))) ? 0 : PM_FILE;
    if (w->level > 0) /* pagemap_pmd_range_thp asks for the first page of the entry each time */
        n = pte_leaf_pfn(w->e, w->level);
    return mapcount_of(p, n) == 1 ? word | PM_MMAP_EXCLUSIVE : word;
}

uint64_t proc_pagemap_word(const struct mm *m, vaddr a)
{
    struct walk w =
        walk_start(m, align_down(a.v, PAGE_SIZE), align_down(a.v, PAGE_SIZE) + PAGE_SIZE);
    if (!mm_vma_at(m, a) || !walk_next(&w))
        return 0;
    struct phys *p = mm_pt(m)->phys;
    return pte_is_swap(w.e) ? swap_word(p, &w) : present_word(p, &w);
}

/* -- kpageflags and kpagecount --------------------------------------------------------------------- */

/* Flags of a frame record and the bits that show them. */
static const struct {
    uint32_t flag;
    uint8_t bit;
} shown_flags[] = {
    {FRAME_F_LOCKED, KPF_LOCKED},
    {FRAME_F_REFERENCED, KPF_REFERENCED},
    {FRAME_F_DIRTY, KPF_DIRTY},
    {FRAME_F_LRU, KPF_LRU},
    {FRAME_F_ACTIVE, KPF_ACTIVE},
    {FRAME_F_WRITEBACK, KPF_WRITEBACK},
    {FRAME_F_RECLAIM, KPF_RECLAIM},
    {FRAME_F_SWAPBACKED, KPF_SWAPBACKED},
    {FRAME_F_UNEVICTABLE, KPF_UNEVICTABLE},
    {FRAME_F_MLOCKED, KPF_MLOCKED},
};

/* folio_mapped: any part of it is mapped. */
static bool folio_mapped(struct phys *p, pfn head)
{
    const struct frame *f = phys_frame(p, head);
    uint64_t nr = f->flags & FRAME_F_HEAD ? BIT(f->order) : 1;
    bool mapped = f->entire > 0;
    for (uint64_t i = 0; i < nr && !mapped; i++)
        mapped = phys_frame(p, (pfn){head.v + i})->mapcount > 0;
    return mapped;
}

static uint64_t compound_flags(const struct frame *f, const struct frame *head)
{
    if (head->order == 0 || !(head->flags & FRAME_F_HEAD))
        return 0;
    uint64_t u = f->flags & FRAME_F_TAIL ? BIT(KPF_COMPOUND_TAIL) : BIT(KPF_COMPOUND_HEAD);
    return u | BIT(head->flags & FRAME_F_HUGETLB ? KPF_HUGE : KPF_THP);
}

/* The flags that all pages of a folio share. */
static uint64_t folio_flags(struct phys *p, pfn at)
{
    const struct frame *head = phys_frame(p, at);
    bool pooled = head->owner == FRAME_HUGETLB && head->refs == 0; /* free, in its pool */
    uint64_t u = pooled || (head->flags & FRAME_F_NO_DATA) ? 0 : BIT(KPF_UPTODATE);
    for (size_t i = 0; i < ARRAY_LEN(shown_flags); i++)
        u |= head->flags & shown_flags[i].flag ? BIT(shown_flags[i].bit) : 0;
    if (folio_mapped(p, at))
        u |= BIT(KPF_MMAP);
    if (mm_folio_anon(head)) {
        u |= BIT(KPF_ANON) | (head->flags & FRAME_F_EXCLUSIVE ? BIT(KPF_OWNER_2) : 0);
        if (head->flags & FRAME_F_SWAPCACHE)
            u |= BIT(KPF_SWAPCACHE) | BIT(KPF_OWNER_PRIVATE);
    } else if (!(head->flags & (FRAME_F_SWAPBACKED | FRAME_F_HUGETLB)) &&
               head->owner != FRAME_SHMEM) {
        u |= BIT(KPF_PRIVATE); /* buffers of ext4 */
    }
    return u;
}

/* The pages of programs and of the page cache. A folio is looked at once for all its pages: whether any
 * of them is mapped is a question to each of them. */
static uint64_t user_flags(struct phys *p, pfn n, struct proc_folio_flags *last)
{
    pfn at = head_of(p, n);
    if (!last->known || last->head.v != at.v)
        *last = (struct proc_folio_flags){at, folio_flags(p, at), true};
    return last->flags | compound_flags(phys_frame(p, n), phys_frame(p, at));
}

static uint64_t kernel_image_flags(struct phys *p, pfn n)
{
    const struct frame *f = phys_frame(p, n), *head = phys_frame(p, head_of(p, n));
    if (head->order > 0 && is_zero_page(head))
        return compound_flags(f, head) | BIT(KPF_ZERO_PAGE);
    return BIT(KPF_RESERVED) | (n.v == phys_zero_page(p).v ? BIT(KPF_ZERO_PAGE) : 0);
}

uint64_t proc_pageflags_next(struct phys *p, pfn n, struct proc_folio_flags *last)
{
    switch (phys_owner(p, n)) {
    case FRAME_FREE:
        return phys_frame(p, n)->flags & FRAME_F_PCP ? 0 : BIT(KPF_BUDDY);
    case FRAME_RESERVED:
        return BIT(KPF_RESERVED);
    case FRAME_KERNEL_IMAGE:
        return kernel_image_flags(p, n);
    case FRAME_MEMMAP:
        return BIT(KPF_RESERVED) | BIT(KPF_PRIVATE);
    case FRAME_PAGE_TABLE:
        return BIT(KPF_PGTABLE);
    case FRAME_KERNEL_STACK:
    case FRAME_VMALLOC:
        return 0;
    case FRAME_SLAB:
        return BIT(KPF_SLAB);
    default:
        return user_flags(p, n, last);
    }
}

uint64_t proc_pageflags_word(struct phys *p, pfn n)
{
    struct proc_folio_flags none = {.known = false};
    return proc_pageflags_next(p, n, &none);
}

uint64_t proc_pagecount_word(struct phys *p, pfn n)
{
    switch (phys_owner(p, n)) {
    case FRAME_PAGE_CACHE:
    case FRAME_USER_FILE:
    case FRAME_USER_ANON:
    case FRAME_SHMEM:
    case FRAME_HUGETLB:
        return mapcount_of(p, n);
    default:
        return 0;
    }
}
