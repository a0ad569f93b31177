/* mremap.c: resizing and moving mappings. Entries move, pages do not: nothing faults afterwards.
 *
 *   shrink        AAAA     → AA..          unmap the tail
 *   grow in place AA....BB → AAAA..BB      if nothing is in the way; merges with what follows
 *   move          AA.BB    → ..... AAAA    copy_vma, move_page_tables, unmap the old place
 *   DONTUNMAP     the old VMA stays, empty
 *
 * I1  A moved VMA of faulted anonymous memory keeps its pgoff (its anon_vma ties pages to linear
 *     places); an unfaulted one takes the new place's, so that it can merge there.
 *
 * Source: Linux 6.18 mm/mremap.c (check_mremap_params, check_prep_vma, mremap_to, mremap_at,
 * remap_move, move_vma, move_page_tables), mm/vma.c (copy_vma, vma_merge_extend).
 */
#include "mm/mm_int.h"

/* One call: vma_remap_struct. */
struct remap {
    struct mm *m;               /* whose */
    struct vma *vma;            /* that contains addr */
    uint64_t addr, old_len;     /* the old place, page aligned */
    uint64_t new_addr, new_len; /* the new one */
    uint32_t flags;             /* MREMAP_… */
    bool forced;                /* the program has it already: no limit applies */
};

/* -- moving entries -------------------------------------------------------------------------- */

/* move_entry moves what one entry of level 1 or 2 covers by moving the table below it; false when
 * the new place already has one. */
static bool move_entry(struct gather *g, uint64_t from, uint64_t to, unsigned level)
{
    struct mm *m = g->m;
    pte *new, *old = pt_lookup(&m->pt, va(from), level);
    if (mm_tables(m, va(to), level, &new) != 0 || !pte_none(*new))
        return false;
    if (pte_is_leaf(*old, level)) {
        move_huge_pmd(g, from, to, level);
        return true;
    }
    *new = *old;
    *old = (pte){0};
    paddr at = pt_entry_paddr(&m->pt, va(to), level);
    phys_frame(m->sys->phys, pte_pfn(*new))->index = at.v; /* I1 of pt.h */
    kernel_write(m->sys, pt_entry_paddr(&m->pt, va(from), level), sizeof(pte));
    kernel_write(m->sys, at, sizeof(pte));
    flush_tlb_range(m, from, from + BIT(pt_level_shift(level)), PAGE_SHIFT);
    return true;
}

/* move_ptes moves the entries of [from, end), all of one table. -ENOMEM when no table is had. */
static int move_ptes(struct gather *g, uint64_t from, uint64_t end, uint64_t to)
{
    struct pt_run r = {.a = va(from), .end = va(end)};
    bool force = false;
    flush_tlb_pending(g->m);
    while (run_next(g->m, &r)) {
        vaddr at = va(to + (r.a.v - from));
        pte *e, value = *r.e;
        if (mm_tables(g->m, at, 0, &e) != 0)
            return -ENOMEM;
        run_set(g->m, &r, (pte){0});
        set_pte(g->m, at, e, value);
        force |= !pte_is_swap(value); /* PROT_NONE is present, too */
    }
    if (force)
        flush_tlb_range(g->m, from, end, PAGE_SHIFT);
    return 0;
}

/* extent_end is where a piece ends that lies in one table of `size` here and in one there. */
static uint64_t extent_end(uint64_t from, uint64_t to, uint64_t end, uint64_t size)
{
    uint64_t here = size - (from & (size - 1)), there = size - (to & (size - 1));
    return from + min_u64(end - from, min_u64(here, there));
}

static bool entry_none(const struct mm *m, uint64_t a, unsigned level)
{
    const pte *e = pt_lookup(&m->pt, va(a), level);
    return !e || pte_none(*e);
}

/* move_extent moves the first piece of [from, end) and stores where it ends. Where the old place
 * has a table the new one gets one, even if all entries in question are none, or go: a huge page of
 * a file that is to move in part is unmapped, and leaves the tables above it. */
static int move_extent(struct gather *g, uint64_t from, uint64_t to, uint64_t end, uint64_t *ret)
{
    struct mm *m = g->m;
    pte *e;
    *ret = extent_end(from, to, end, GIB(1));
    if (entry_none(m, from, 2))
        return 0;
    if (mm_tables(m, va(to), 2, &e) != 0)
        return -ENOMEM;
    if (*ret - from == GIB(1) && move_entry(g, from, to, 2))
        return 0;
    *ret = extent_end(from, to, end, MIB(2));
    if (entry_none(m, from, 1))
        return 0;
    if (mm_tables(m, va(to), 1, &e) != 0)
        return -ENOMEM;
    if (*ret - from == MIB(2) && move_entry(g, from, to, 1))
        return 0;
    split_huge_pmd(m, va(from));
    if (entry_none(m, from, 1)) /* it mapped a file */
        return 0;
    return mm_tables(m, va(to), 0, &e) != 0 ? -ENOMEM : move_ptes(g, from, *ret, to);
}

static bool can_align_down(const struct mm *m, uint64_t a)
{
    return find_vma(m, align_down(a, MIB(2)))->start.v ==
           a; /* a is where its VMA starts, and nothing lies just below */
}

/* realign_by returns how far both ends may be rounded down, so that the first table moves whole
 * (try_realign_addr): nothing may lie in the rounding. */
static uint64_t realign_by(const struct mm *m, uint64_t from, uint64_t to, uint64_t len)
{
    uint64_t off = from & (MIB(2) - 1);
    if (off == 0 || off != (to & (MIB(2) - 1)) || len < MIB(2) - off)
        return 0;
    return can_align_down(m, from) && can_align_down(m, to) ? off : 0;
}

static int move_page_tables(struct gather *g, const struct vma *v, uint64_t from, uint64_t to,
                            uint64_t len)
{
    if (v->flags & VM_HUGETLB)
        return move_hugetlb_page_tables(g, v, from, to, len);
    uint64_t end = from + len, by = realign_by(g->m, from, to, len), next;
    to -= by;
    for (from -= by; from < end; to += next - from, from = next) {
        int err = move_extent(g, from, to, end, &next);
        if (err != 0)
            return err;
    }
    return 0;
}

/* -- moving a VMA ---------------------------------------------------------------------------- */

/* cut_out makes a hugetlb VMA of its own of what moves: the promises to the rest stay with it. (Linux
 * 6.18 forgets those: a moved part leaves HugePages_Rsvd too high for good.) */
static void cut_out(struct remap *x)
{
    uint64_t end = x->addr + x->old_len;
    if (!x->vma->resv)
        return;
    if (x->vma->start.v < x->addr)
        x->vma = vma_split(x->m, x->vma, x->addr);
    if (end < x->vma->end.v)
        vma_split(x->m, x->vma, end);
}

static struct vma *copy_vma(struct remap *x)
{
    cut_out(x);
    const struct vma *v = x->vma;
    struct vma_merge g = {.start = x->new_addr,
                          .end = x->new_addr + x->new_len,
                          .pgoff = vma_pgoff_at(v, va(x->addr)),
                          .flags = v->flags,
                          .file = v->file,
                          .file_id = v->file_id,
                          .anon_vma = v->anon_vma,
                          .src = x->vma,
                          .policy = v->policy,
                          .special = v->kind == VMA_VDSO || v->kind == VMA_VVAR};
    enum vma_kind kind = v->kind;
    uint32_t label = v->label;
    if (vma_is_anonymous(v) && !v->anon_vma) /* I1 */
        g.pgoff = x->new_addr >> PAGE_SHIFT;
    g.resv = v->resv; /* the promises move along */
    g.resv_flags = v->resv_flags;
    x->vma->resv = NULL;
    x->vma->resv_flags = 0;
    struct vma *new = vma_merge_new_range(x->m, &g);
    return new ? new : vma_insert_new(x->m, &g, kind, label);
}

/* dontunmap_complete: the old VMA stays, unlocked, and forgets its anon_vma. */
static void dontunmap_complete(struct remap *x, const struct vma *new)
{
    struct vma *v = vma_lookup(x->m, x->addr);
    x->m->loose = true;
    v->flags &= ~VM_LOCKED_MASK; /* all of it, also what did not move */
    if (v != new && v->start.v == x->addr && v->end.v == x->addr + x->old_len)
        unlink_anon_vmas(v);
}

/* account_move counts the new place without letting the peaks see both places at once. */
static void account_move(struct remap *x, uint64_t flags)
{
    uint64_t peak = x->m->cnt.total_vm_peak;
    vm_stat_account(x->m, flags, (int64_t)(x->new_len >> PAGE_SHIFT));
    if (!(x->flags & MREMAP_DONTUNMAP))
        x->m->cnt.total_vm_peak = peak;
}

/* charge_move promises the new place: asks for what is more than before; the old place gives its own
 * promise back when it is unmapped. */
static int charge_move(struct remap *x)
{
    uint64_t pages = x->new_len >> PAGE_SHIFT, old = x->old_len >> PAGE_SHIFT;
    if (!(x->vma->flags & VM_ACCOUNT))
        return 0;
    uint64_t taken_over = x->flags & MREMAP_DONTUNMAP ? 0 : min_u64(old, pages);
    if (!x->forced && vm_enough_memory(x->m, pages - taken_over) != 0)
        return -ENOMEM;
    vm_acct_memory(x->m->sys, (int64_t)(x->forced ? pages : taken_over));
    return 0;
}

static int64_t move_vma(struct remap *x)
{
    struct mm *m = x->m;
    struct gather g;
    uint64_t flags = x->vma->flags;
    if (m->vmas.nr + 3 >= m->sys->conf.kernel_max_map_count || charge_move(x) != 0)
        return -ENOMEM;
    struct vma *new = copy_vma(x);
    gather_init(&g, m);
    uint64_t len = min_u64(x->old_len, x->new_len);
    int err = move_page_tables(&g, new, x->addr, x->new_addr, len);
    if (err != 0) { /* bring back what moved, drop the new place */
        move_page_tables(&g, new, x->new_addr, x->addr, len);
        gather_finish(&g);
        vm_stat_account(m, flags, (int64_t)(x->new_len >> PAGE_SHIFT));
        munmap_range(m, x->new_addr, x->new_addr + x->new_len);
        return err;
    }
    gather_finish(&g);
    account_move(x, flags);
    if (x->flags & MREMAP_DONTUNMAP)
        dontunmap_complete(x, new);
    else
        munmap_range(m, x->addr, x->addr + x->old_len);
    m->cnt.total_vm_peak = max_u64(m->cnt.total_vm_peak, m->cnt.total_vm);
    if ((flags & VM_LOCKED) && x->new_len > x->old_len)
        populate_range(m, x->new_addr + x->old_len, x->new_addr + x->new_len);
    return (int64_t)x->new_addr;
}

/* -- deciding -------------------------------------------------------------------------------- */

static bool implies_new_addr(const struct remap *x)
{
    return x->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
}

static int check_params(const struct remap *x)
{
    uint64_t size = x->m->task_size;
    if (x->flags & ~(uint32_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
        return -EINVAL;
    if ((x->addr & ~PAGE_MASK) || x->new_len == 0 || x->new_len > size)
        return -EINVAL;
    if (!implies_new_addr(x))
        return 0;
    if (x->new_addr > size - x->new_len || (x->new_addr & ~PAGE_MASK))
        return -EINVAL;
    if (!(x->flags & MREMAP_MAYMOVE))
        return -EINVAL;
    if ((x->flags & MREMAP_DONTUNMAP) && x->old_len != x->new_len)
        return -EINVAL;
    if (x->addr + x->old_len > x->new_addr && x->new_addr + x->new_len > x->addr)
        return -EINVAL;
    return x->m->vmas.nr + 5 >= x->m->sys->conf.kernel_max_map_count ? -ENOMEM : 0;
}

/* check_limits: growth by RLIMIT_MEMLOCK, AS and DATA; a duplicate adds all of it. */
static int check_limits(const struct remap *x)
{
    uint64_t more = x->new_len > x->old_len ? x->new_len - x->old_len : 0;
    if (x->forced)
        return 0;
    if (!mlock_future_ok(x->m, x->vma->flags, more))
        return -EAGAIN;
    return may_expand_vm(x->m, x->vma->flags, more >> PAGE_SHIFT) ? 0 : -ENOMEM;
}

static int check_prep_vma(const struct remap *x)
{
    const struct vma *v = x->vma;
    if (!v)
        return -EFAULT;
    if (v->flags & VM_SEALED)
        return -EPERM;
    /* align_hugetlb asks for an aligned new address even where none is meant */
    bool to = implies_new_addr(x) || ((v->flags & VM_HUGETLB) && !x->forced);
    if ((x->addr | (to ? x->new_addr : 0)) & (vma_hpage_size(v) - 1))
        return -EINVAL;
    if ((v->flags & VM_HUGETLB) && x->new_len > x->old_len)
        return -EINVAL; /* its promises cannot grow */
    if (!implies_new_addr(x) && x->new_len <= x->old_len)
        return 0;
    if (x->old_len == 0 && !(v->flags & (VM_SHARED | VM_MAYSHARE)))
        return -EINVAL;
    if ((x->flags & MREMAP_DONTUNMAP) && (v->flags & (VM_DONTEXPAND | VM_PFNMAP)))
        return -EINVAL;
    /* What a shrink unmaps may lie beyond the VMA; what moves may not. */
    if (min_u64(x->old_len, x->new_len) > v->end.v - x->addr)
        return -EFAULT;
    if (x->new_len <= x->old_len)
        return 0;
    uint64_t pgoff = vma_pgoff_at(v, va(x->addr));
    if (pgoff + (x->new_len >> PAGE_SHIFT) < pgoff)
        return -EINVAL;
    return v->flags & (VM_DONTEXPAND | VM_PFNMAP) ? -EFAULT : check_limits(x);
}

static int set_new_addr(struct remap *x)
{
    const struct vma *v = x->vma;
    uint32_t flags = x->flags & MREMAP_FIXED ? MAP_FIXED : 0;
    if (v->flags & VM_MAYSHARE)
        flags |= MAP_SHARED;
    int64_t r = get_unmapped_area(x->m, v->file, implies_new_addr(x) ? x->new_addr : 0, x->new_len,
                                  vma_pgoff_at(v, va(x->addr)), flags);
    if (r < 0)
        return (int)r;
    x->new_addr = (uint64_t)r;
    return 0;
}

/* mremap_to moves to a place that was asked for. */
static int64_t mremap_to(struct remap *x)
{
    if (x->flags & MREMAP_FIXED) {
        int err = do_munmap(x->m, x->new_addr, x->new_len, false);
        if (err != 0)
            return err;
        x->vma = vma_lookup(x->m, x->addr);
        if (!x->vma)
            return -EFAULT;
    }
    if (x->old_len > x->new_len) {
        int err = do_munmap(x->m, x->addr + x->new_len, x->old_len - x->new_len, false);
        if (err != 0)
            return err;
        x->old_len = x->new_len;
        x->vma = vma_lookup(x->m, x->addr);
    }
    if ((x->flags & MREMAP_DONTUNMAP) && !x->forced &&
        !may_expand_vm(x->m, x->vma->flags, x->old_len >> PAGE_SHIFT))
        return -ENOMEM;
    int err = set_new_addr(x);
    return err != 0 ? err : move_vma(x);
}

/* expandable: the range ends its VMA and nothing lies where it would grow. */
static bool expandable(const struct remap *x)
{
    uint64_t end = x->addr + x->old_len, want = x->addr + x->new_len;
    if (x->old_len != x->vma->end.v - x->addr || want < end || want > x->m->task_size)
        return false;
    return !find_vma_intersection(x->m, end, want);
}

static int64_t expand_in_place(struct remap *x)
{
    const struct vma *v = x->vma;
    struct vma_merge g = {.start = v->end.v,
                          .end = x->addr + x->new_len,
                          .pgoff = v->pgoff + vma_pages(v),
                          .flags = v->flags,
                          .file = v->file,
                          .file_id = v->file_id,
                          .anon_vma = v->anon_vma,
                          .policy = v->policy};
    uint64_t pages = (g.end - g.start) >> PAGE_SHIFT;
    if ((g.flags & VM_ACCOUNT) && !x->forced && vm_enough_memory(x->m, pages) != 0)
        return -ENOMEM;
    vm_acct_memory(x->m->sys, (g.flags & VM_ACCOUNT) && x->forced ? (int64_t)pages : 0);
    if (!vma_merge_new_range(x->m, &g)) {
        vm_acct_memory(x->m->sys, g.flags & VM_ACCOUNT ? -(int64_t)pages : 0);
        return -ENOMEM;
    }
    vm_stat_account(x->m, g.flags, (int64_t)pages);
    if (g.flags & VM_LOCKED)
        populate_range(x->m, g.start, g.end);
    return (int64_t)x->addr;
}

static int64_t mremap_at(struct remap *x)
{
    if (x->new_len == x->old_len)
        return (int64_t)x->addr;
    if (x->new_len < x->old_len) {
        int err = do_munmap(x->m, x->addr + x->new_len, x->old_len - x->new_len, true);
        return err != 0 ? err : (int64_t)x->addr;
    }
    if (expandable(x))
        return expand_in_place(x);
    if (!(x->flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    int err = set_new_addr(x);
    return err != 0 ? err : move_vma(x);
}

static bool multi_allowed(const struct vma *v)
{
    bool places_itself = v->file && (v->file->sysv || v->file->kind == FILE_ZERO);
    return !places_itself && v->kind != VMA_VDSO && v->kind != VMA_VVAR;
}

/* round_lengths: of a hugetlb mapping to its pages. */
static void round_lengths(struct remap *x)
{
    const struct vma *v = vma_lookup(x->m, x->addr);
    if (v && (v->flags & VM_HUGETLB)) {
        x->old_len = align_up(x->old_len, vma_hpage_size(v));
        x->new_len = align_up(x->new_len, vma_hpage_size(v));
    }
}

/* move_piece moves the part of one VMA that lies in [addr, end). */
static int64_t move_piece(struct remap *x, uint64_t end, uint64_t target)
{
    x->old_len = x->new_len = min_u64(end, x->vma->end.v) - x->addr;
    x->new_addr = target;
    round_lengths(x); /* of the piece: the range may end before a huge page does */
    int err = check_prep_vma(x);
    return err != 0 ? err : mremap_to(x);
}

/* remap_move moves all VMAs of the range and keeps the holes between them. */
static int64_t remap_move(struct remap *x)
{
    uint64_t start = x->addr, end = x->addr + x->old_len, shift = x->new_addr - x->addr;
    int64_t first = -EFAULT;
    for (uint64_t a = start; a < end;) {
        x->vma = find_vma_intersection(x->m, a, end);
        if (!x->vma)
            break;
        if (a == start && x->vma->start.v > start)
            return -EFAULT;
        x->addr = max_u64(x->vma->start.v, start);
        a = min_u64(x->vma->end.v, end);
        if (!multi_allowed(x->vma) && (x->addr != start || x->vma->end.v < end))
            return -EFAULT;
        int64_t r = move_piece(x, end, x->addr + shift);
        if (r < 0)
            return r;
        if (x->addr == start)
            first = r;
    }
    return first;
}

/* -- the call -------------------------------------------------------------------------------- */

/* follow does what the program really got, whatever flags and neighbours would have said. */
static int64_t follow(struct remap *x)
{
    uint64_t new_end = x->new_addr + x->new_len;
    if (x->new_addr > x->m->task_size - x->new_len || (x->new_addr & ~PAGE_MASK))
        return -EINVAL;
    if (x->new_addr != x->addr) {
        x->flags |= MREMAP_MAYMOVE | MREMAP_FIXED;
        if (x->addr + x->old_len > x->new_addr && new_end > x->addr)
            return -EINVAL;
    } else if (x->new_len > x->old_len) {
        int err = munmap_range(x->m, x->addr + x->old_len, new_end);
        if (err != 0)
            return err;
        x->vma = vma_lookup(x->m, x->addr);
    }
    return 0;
}

static int64_t do_mremap(struct remap *x, bool forced)
{
    if (forced)
        round_lengths(x);
    int64_t r = forced ? 0 : check_params(x);
    bool move_only = (x->flags & MREMAP_FIXED) && x->old_len == x->new_len;
    if (forced && ((x->addr & ~PAGE_MASK) || x->new_len == 0 || x->new_len > x->m->task_size))
        r = -EINVAL;
    if (r == 0 && forced)
        r = follow(x);
    if (r != 0)
        return r;
    if (move_only)
        return remap_move(x);
    round_lengths(x);
    x->vma = vma_lookup(x->m, x->addr);
    r = check_prep_vma(x);
    if (r != 0)
        return r;
    return implies_new_addr(x) ? mremap_to(x) : mremap_at(x);
}

int64_t mm_mremap(struct mm *m, vaddr old, uint64_t old_len, uint64_t new_len, uint32_t flags,
                  vaddr new_addr, bool forced)
{
    struct remap x = {.m = m,
                      .addr = old.v,
                      .old_len = align_up(old_len, PAGE_SIZE),
                      .new_addr = new_addr.v,
                      .new_len = align_up(new_len, PAGE_SIZE),
                      .flags = flags,
                      .forced = forced};
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    int64_t r = do_mremap(&x, forced);
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return r;
}
