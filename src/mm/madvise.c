/* madvise.c: advice: some changes the flags of VMAs, some the pages in them.
 *
 *   flags   NORMAL RANDOM SEQUENTIAL DONTFORK DOFORK WIPEONFORK KEEPONFORK DONTDUMP DODUMP
 *           HUGEPAGE NOHUGEPAGE MERGEABLE UNMERGEABLE
 *   pages   DONTNEED FREE REMOVE WILLNEED COLD PAGEOUT COLLAPSE POPULATE_READ POPULATE_WRITE
 *
 * A hole in the range does not stop the work: everything mapped is done, then ENOMEM.
 *
 * Source: Linux 6.18 mm/madvise.c, mm/khugepaged.c (hugepage_madvise), mm/ksm.c (ksm_madvise),
 * mm/pt_reclaim.c.
 */
#include "mm/mm_int.h"

#define MADV_DONTNEED_LOCKED_NR 24 /* newer than some C libraries' headers */
#define MADV_COLLAPSE_NR        25
#define MADV_GUARD_INSTALL_NR   102
#define MADV_GUARD_REMOVE_NR    103

/* -- advice about flags ---------------------------------------------------------------------- */

/* One row per advice that only changes flags. */
struct flag_advice {
    int advice;          /* MADV_… */
    uint64_t clear, set; /* flags it takes and gives */
    uint64_t refuse;     /* -EINVAL for a VMA with one of these */
};

static const struct flag_advice flag_advices[] = {
    {MADV_NORMAL, VM_RAND_READ | VM_SEQ_READ, 0, 0},
    {MADV_SEQUENTIAL, VM_RAND_READ, VM_SEQ_READ, 0},
    {MADV_RANDOM, VM_SEQ_READ, VM_RAND_READ, 0},
    {MADV_DONTFORK, 0, VM_DONTCOPY, 0},
    {MADV_DOFORK, VM_DONTCOPY, 0, VM_IO},
    {MADV_WIPEONFORK, 0, VM_WIPEONFORK, VM_SHARED},
    {MADV_KEEPONFORK, VM_WIPEONFORK, 0, VM_DROPPABLE},
    {MADV_DONTDUMP, 0, VM_DONTDUMP, 0},
    {MADV_DODUMP, VM_DONTDUMP, 0, VM_SPECIAL | VM_DROPPABLE},
    {MADV_HUGEPAGE, VM_NOHUGEPAGE, VM_HUGEPAGE, 0},
    {MADV_NOHUGEPAGE, VM_HUGEPAGE, VM_NOHUGEPAGE, 0},
    {MADV_MERGEABLE, 0, VM_MERGEABLE, 0},
    {MADV_UNMERGEABLE, VM_MERGEABLE, 0, 0},
};

static const struct flag_advice *find_flag_advice(int advice)
{
    for (size_t i = 0; i < ARRAY_LEN(flag_advices); i++)
        if (flag_advices[i].advice == advice)
            return &flag_advices[i];
    return NULL;
}

/* madvise_vma_behavior for advice about flags. */
static int change_flags(struct mm *m, struct vma *v, uint64_t start, uint64_t end,
                        const struct flag_advice *row)
{
    const uint64_t no_ksm = VM_SPECIAL | VM_SHARED | VM_MAYSHARE | VM_HUGETLB | VM_DROPPABLE;
    uint64_t flags = (v->flags & ~row->clear) | row->set, refuse = row->refuse;
    if (row->advice == MADV_DODUMP && (v->flags & VM_HUGETLB)) /* always VM_DONTEXPAND */
        refuse &= ~VM_SPECIAL;
    if ((v->flags & refuse) || (row->advice == MADV_WIPEONFORK && v->file))
        return -EINVAL;
    if (flags == v->flags || (row->advice == MADV_MERGEABLE && (v->flags & no_ksm)))
        return 0;
    int err = vma_modify(m, v, start, end, flags, &v);
    if (err != 0)
        return err == -ENOMEM ? -EAGAIN
                              : err; /* the kernel's own memory; -EINVAL: not to be split */
    vma_reset_flags(v, flags);
    return 0;
}

/* -- advice about pages ---------------------------------------------------------------------- */

static int dontneed(struct gather *g, const struct vma *v, uint64_t start, uint64_t end, int advice)
{
    uint64_t locked = advice == MADV_DONTNEED ? VM_LOCKED : 0;
    if ((v->flags & (VM_PFNMAP | locked)) || (start & (vma_hpage_size(v) - 1)))
        return -EINVAL;
    end = align_down(end, vma_hpage_size(v)); /* rather too little than too much */
    zap_range(g, start, end, ZAP_EVEN_COWS | ZAP_RECLAIM_PT);
    return 0;
}

static int lazyfree(struct gather *g, const struct vma *v, uint64_t start, uint64_t end)
{
    if (!vma_is_anonymous(v) || (v->flags & (VM_LOCKED | VM_PFNMAP)))
        return -EINVAL;
    madvise_free(g, start, end);
    return 0;
}

static int cold(struct gather *g, const struct vma *v, uint64_t start, uint64_t end, int advice)
{
    if (v->flags & (VM_LOCKED | VM_PFNMAP | VM_HUGETLB))
        return -EINVAL;
    if (advice == MADV_COLD)
        madvise_cold(g, start, end);
    else
        madvise_pageout(g, start, end);
    return 0;
}

static int remove_pages(struct mm *m, const struct vma *v, uint64_t start, uint64_t end)
{
    if ((v->flags & VM_LOCKED) || !v->file)
        return -EINVAL;
    if ((v->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
        return -EACCES;
    return mm_fallocate_punch(m->sys, v->file, vma_pgoff_at(v, va(start)) << PAGE_SHIFT,
                              end - start);
}

static int willneed(struct mm *m, struct vma *v, uint64_t start, uint64_t end)
{
    if (vma_is_anonymous(v))
        swapin_range(m, v, start, end);
    if (v->file && v->file->kind == FILE_REGULAR) {
        uint64_t first = vma_pgoff_at(v, va(start));
        filemap_readahead(m->sys, v->file, first, first + ((end - start) >> PAGE_SHIFT));
    }
    return 0;
}

/* can_madvise_modify: who could not write to sealed memory may not discard it either. */
static bool may_discard(const struct vma *v, int advice)
{
    static const int discards[] = {
        MADV_FREE,     MADV_DONTNEED,   MADV_DONTNEED_LOCKED_NR, MADV_REMOVE,
        MADV_DONTFORK, MADV_WIPEONFORK, MADV_GUARD_INSTALL_NR};
    if (!(v->flags & VM_SEALED) || !vma_is_anonymous(v) || (v->flags & VM_WRITE))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(discards); i++)
        if (discards[i] == advice)
            return false;
    return true;
}

static int visit(struct gather *g, struct vma *v, uint64_t start, uint64_t end, int advice)
{
    const struct flag_advice *row = find_flag_advice(advice);
    if (!may_discard(v, advice))
        return -EPERM;
    if (row)
        return change_flags(g->m, v, start, end, row);
    switch (advice) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED_NR:
        return dontneed(g, v, start, end, advice);
    case MADV_FREE:
        return lazyfree(g, v, start, end);
    case MADV_COLD:
    case MADV_PAGEOUT:
        return cold(g, v, start, end, advice);
    case MADV_REMOVE:
        return remove_pages(g->m, v, start, end);
    case MADV_GUARD_INSTALL_NR:
        return guard_install(g, v, start, end);
    case MADV_GUARD_REMOVE_NR:
        return guard_remove(g->m, v, start, end);
    case MADV_COLLAPSE_NR:
        return madvise_collapse(g->m, v, start, end);
    default:
        return willneed(g->m, v, start, end);
    }
}

/* -- populate -------------------------------------------------------------------------------- */

static int populate(struct mm *m, uint64_t start, uint64_t end, bool write)
{
    for (uint64_t a = start; a < end; a += PAGE_SIZE) {
        struct vma *v = vma_lookup(m, a);
        if (!v)
            return -ENOMEM;
        if ((v->flags & (VM_IO | VM_PFNMAP)) || !(v->flags & (write ? VM_WRITE : VM_READ)))
            return -EINVAL;
        int err = faultin_page(m, v, va(a), write);
        if (err != 0)
            return err;
    }
    return 0;
}

/* -- the call -------------------------------------------------------------------------------- */

static bool valid_advice(int advice)
{
    static const int pages[] = {MADV_WILLNEED,
                                MADV_DONTNEED,
                                MADV_FREE,
                                MADV_REMOVE,
                                MADV_COLD,
                                MADV_PAGEOUT,
                                MADV_POPULATE_READ,
                                MADV_POPULATE_WRITE,
                                MADV_DONTNEED_LOCKED_NR,
                                MADV_COLLAPSE_NR,
                                MADV_GUARD_INSTALL_NR,
                                MADV_GUARD_REMOVE_NR};
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        if (pages[i] == advice)
            return true;
    return find_flag_advice(advice) != NULL;
}

/* madvise_batch_tlb_flush: one flush for all VMAs, not one for each. */
static bool batch_tlb_flush(int advice)
{
    return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED_NR || advice == MADV_FREE;
}

static int walk_vmas(struct mm *m, uint64_t start, uint64_t end, int advice)
{
    struct gather g;
    int err = 0, hole = 0;
    bool changes = find_flag_advice(advice) != NULL; /* all others read (get_lock_mode) */
    gather_init(&g, m);
    if (changes)
        mmap_write_lock(m);
    while (start < end && err == 0) {
        struct vma *v = find_vma_intersection(m, start, end);
        if (!v) {
            hole = -ENOMEM;
            break;
        }
        if (v->start.v > start)
            hole = -ENOMEM;
        start = max_u64(start, v->start.v);
        uint64_t piece = min_u64(end, v->end.v);
        err = visit(&g, v, start, piece, advice);
        if (!batch_tlb_flush(advice))
            gather_flush(&g);
        start = piece;
    }
    gather_finish(&g);
    if (changes)
        mmap_write_unlock(m);
    return err != 0 ? err : hole;
}

/* is_valid_madvise */
static bool valid_range(uint64_t start, uint64_t len_in, int advice)
{
    uint64_t len = align_up(len_in, PAGE_SIZE);
    return valid_advice(advice) && !(start & ~PAGE_MASK) && (len_in == 0 || len != 0) &&
           start + len >= start;
}

int mm_madvise(struct mm *m, vaddr start, uint64_t len_in, int advice)
{
    uint64_t end = start.v + align_up(len_in, PAGE_SIZE);
    if (!valid_range(start.v, len_in, advice))
        return -EINVAL;
    if (end == start.v)
        return 0;
    int err = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE
                  ? populate(m, start.v, end, advice == MADV_POPULATE_WRITE)
                  : walk_vmas(m, start.v, end, advice);
    AUDIT(audit_call(m));
    return err;
}

/* process_madvise_remote_valid */
static bool valid_remotely(int advice)
{
    return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED ||
           advice == MADV_COLLAPSE_NR;
}

int64_t mm_process_madvise(struct mm *m, struct mm *target, const struct mm_iovec *v, uint64_t n,
                           int advice, uint64_t flags)
{
    uint64_t done = 0;
    if (flags != 0)
        return -EINVAL;
    if (!target)
        return -ESRCH;
    if (m != target && !valid_remotely(advice))
        return -EINVAL;
    if (m != target && !task_capable(m, CAP_SYS_NICE))
        return -EPERM;
    for (uint64_t i = 0; i < n; i++) {
        int err = mm_madvise(target, v[i].base, v[i].len, advice);
        if (err != 0)
            return done > 0 ? (int64_t)done : err;
        done += v[i].len;
    }
    return (int64_t)done;
}
