/* mprotect.c: mprotect, and the entries that follow it.
 *
 *   VMA rights          entry of a private page               entry of a shared file page
 *   none                P clear, G set; frame kept            the same
 *   read                read-only                             read-only
 *   read+write          writable if anonymous and exclusive   writable if already dirty
 *                       (never the zero page)
 *
 * I1  An entry whose rights change is flushed, also when it gains a right: Linux's pte_needs_flush
 *     counts a changed RW or NX bit, so that no core takes a needless fault later.
 *
 * Source: Linux 6.18 mm/mprotect.c (do_mprotect_pkey, mprotect_fixup, change_pte_range,
 * can_change_pte_writable), arch/x86/include/asm/tlbflush.h (pte_flags_need_flush).
 */
#include "mm/mm_int.h"

#define PROT_SEM_X86 0x8u

void vma_set_flags(struct mm *m, struct vma *v, uint64_t flags)
{
    vma_reset_flags(v, flags);
    if (!v->file)
        return;
    uint32_t label = label_for(m, v->kind, v->file, flags, v->start);
    int64_t bytes = (int64_t)(v->end.v - v->start.v);
    if (label == v->label)
        return;
    label_add(m->sys, v->label, -bytes);
    label_add(m->sys, label, bytes);
    v->label = label;
}

/* can_change_pte_writable: the write bit may come back without a fault. */
static bool can_change_pte_writable(const struct mm *m, const struct vma *v, pte e)
{
    if (!(v->flags & VM_WRITE) || !pte_present(e))
        return false;
    if (v->flags & VM_SHARED)
        return e.v & PTE_D;
    if (e.v & PTE_SPECIAL)
        return false;
    const struct frame *f = phys_frame(m->sys->phys, pte_pfn(e));
    return f->owner == FRAME_USER_ANON && (f->flags & FRAME_F_EXCLUSIVE);
}

bool pte_needs_flush(pte old, pte new)
{
    const uint64_t on_clear = PTE_P | PTE_A | PTE_D,
                   on_change = PTE_RW | PTE_US | PTE_G | PTE_NX | PTE_PKEY;
    uint64_t diff = old.v ^ new.v;
    return pte_present(old) && ((diff & old.v & on_clear) || (diff & on_change));
}

/* hugetlb_change_protection has a gather of its own, which flushes what is there; and then everything, for
 * the call's gather is pending beside it (tlb_finish_mmu, mm_tlb_flush_nested). */
static void hugetlb_change_protection(struct mm *m, const struct vma *v, uint64_t start,
                                      uint64_t end)
{
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_WHOLE};
    struct gather g;
    uint64_t changed = 0;
    gather_init(&g, m);
    while (run_next(m, &r)) {
        changed++;
        if (!pte_is_swap(*r.e))
            change_huge_pmd(&g, v, &r);
    }
    if (changed > 0)
        arch_step(m->sys->outbox, STEP_PTE, changed);
    gather_flush(&g);
    flush_space(m);
}

void change_protection(struct gather *g, const struct vma *v, uint64_t start, uint64_t end)
{
    struct mm *m = g->m;
    const uint64_t keep = PTE_ADDR_MASK | PTE_A | PTE_D | PTE_SPECIAL | PTE_SOFT_DIRTY;
    uint64_t prot = vm_page_prot(v) & ~keep, changed = 0; /* pte_modify: A stays as it is */
    struct pt_run r = {.a = va(start), .end = va(end), .huge = RUN_WHOLE};
    if (v->flags & VM_HUGETLB) {
        hugetlb_change_protection(m, v, start, end);
        return;
    }
    flush_tlb_pending(m);
    while (run_next(m, &r)) {
        changed++;
        if (r.level > 0) {
            change_huge_pmd(g, v, &r);
            continue;
        }
        pte old = *r.e, new = {(old.v & keep) | prot};
        if (pte_is_swap(old))
            continue; /* a marker has no rights to change */
        if (!(new.v &PTE_RW) && can_change_pte_writable(m, v, new))
            new.v |= PTE_RW;
        run_set(m, &r, new);
        if (pte_needs_flush(old, new))
            gather_page(g, r.a);
    }
    if (changed > 0)
        arch_step(m->sys->outbox, STEP_PTE, changed);
}

/* account_change: private memory that becomes writable is promised, and no more once it cannot be
 * written and never was. Stores the new flags. */
static int account_change(struct mm *m, const struct vma *v, uint64_t pages, uint64_t *new)
{
    const uint64_t never = VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE;
    if ((*new &VM_WRITE) && !(v->flags & never)) {
        *new |= VM_ACCOUNT;
        return vm_enough_memory(m, pages);
    }
    if (!(*new &VM_WRITE) && (v->flags & VM_ACCOUNT) && vma_is_anonymous(v) && !v->anon_vma)
        *new &= ~VM_ACCOUNT;
    return 0;
}

/* data_may_grow: memory that becomes data counts against the limits like new memory. */
static bool data_may_grow(const struct mm *m, uint64_t old, uint64_t new, uint64_t pages)
{
    return may_expand_vm(m, new, pages) || !may_expand_vm(m, old, pages);
}

static int mprotect_fixup(struct gather *g, struct vma *v, uint64_t start, uint64_t end,
                          uint64_t new)
{
    struct mm *m = g->m;
    uint64_t old = v->flags;
    int64_t pages = (int64_t)((end - start) >> PAGE_SHIFT);
    if (old & VM_SEALED)
        return -EPERM;
    if (new == old)
        return 0;
    if ((new &VM_WRITE) && !data_may_grow(m, old, new, (uint64_t)pages))
        return -ENOMEM;
    int err = account_change(m, v, (uint64_t)pages, &new);
    if (err != 0)
        return err;
    err = vma_modify(m, v, start, end, new, &v);
    if (err != 0) {
        vm_acct_memory(m->sys, new & ~old &VM_ACCOUNT ? -pages : 0);
        return err;
    }
    vm_acct_memory(m->sys, old & ~new &VM_ACCOUNT ? -pages : 0);
    vma_set_flags(m, v, new);
    change_protection(g, v, start, end);
    vm_stat_account(m, old, -pages);
    vm_stat_account(m, new, pages);
    if ((old & (VM_WRITE | VM_SHARED | VM_LOCKED)) == VM_LOCKED && (new &VM_WRITE))
        populate_range(m, start, end);
    return 0;
}

/* mprotect_range goes VMA by VMA; what was changed before an error stays changed. */
static int mprotect_range(struct gather *g, uint64_t start, uint64_t end, uint32_t prot, int pkey)
{
    struct mm *m = g->m;
    while (start < end) {
        struct vma *v = vma_lookup(m, start);
        if (!v)
            return -ENOMEM;
        uint64_t key = (uint64_t)override_mprotect_pkey(m, v, prot, pkey) << VM_PKEY_SHIFT;
        uint64_t new = vm_prot_flags(prot) | key | (v->flags & ~(VM_ACCESS_FLAGS | VM_PKEY_MASK));
        if ((new & ~(new >> 4)) & VM_ACCESS_FLAGS)
            return -EACCES;
        uint64_t piece = min_u64(end, v->end.v);
        int err = mprotect_fixup(g, v, start, piece, new);
        if (err != 0)
            return err;
        start = piece;
    }
    return 0;
}

int mm_mprotect(struct mm *m, vaddr start, uint64_t len, uint32_t prot)
{
    return mm_pkey_mprotect(m, start, len, prot, -1);
}

int mm_pkey_mprotect(struct mm *m, vaddr start, uint64_t len, uint32_t prot, int pkey)
{
    uint32_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    uint64_t from = start.v, end = from + align_up(len, PAGE_SIZE);
    prot &= ~(uint32_t)(PROT_GROWSDOWN | PROT_GROWSUP);
    if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (from & ~PAGE_MASK))
        return -EINVAL;
    if (len == 0)
        return 0;
    if (end <= from)
        return -ENOMEM;
    if (prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM_X86))
        return -EINVAL;
    if (pkey != -1 && !pkey_is_allocated(m, pkey))
        return -EINVAL;
    const struct vma *v = find_vma_intersection(m, from, end);
    if (!v)
        return -ENOMEM;
    if (grows == PROT_GROWSDOWN)
        from = v->start.v;
    if (v->start.v > from)
        return -ENOMEM;
    if (grows && !(grows == PROT_GROWSDOWN && (v->flags & VM_GROWSDOWN)))
        return -EINVAL;
    struct gather g;
    gather_init(&g, m);
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    int err = mprotect_range(&g, from, end, prot, pkey);
    gather_finish(&g);
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return err;
}
