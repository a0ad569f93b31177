/* repair.c: when the program went on although, by the model, it could not: it runs under an emulator
 * that answers some calls unlike Linux, so an access may meet no mapping, or one without the right.
 *
 *   mm_fault ─► a signal, but the program had none ─► mm_repair ─┬ no VMA: a page of anonymous memory
 *                                                                ├ no right: the VMA's page gets it
 *                                                                └ no huge page: ordinary memory
 *
 * Whoever calls it counts a divergence. Linux has nothing of the kind.
 */
#include "mm/mm_int.h"

static void repair_hole(struct mm *m, const struct arch_fault *fault)
{
    uint32_t prot = PROT_READ | PROT_WRITE | (fault->code & FAULT_I ? PROT_EXEC : 0);
    struct mm_map map = {.addr = va(align_down(fault->cr2.v, PAGE_SIZE)),
                         .len = PAGE_SIZE,
                         .prot = prot,
                         .flags = MAP_PRIVATE | MAP_ANONYMOUS,
                         .forced = true};
    mm_mmap(m, &map);
}

/* repair_pool: the pool has no page for what the program has all the same: ordinary memory instead. */
static void repair_pool(struct mm *m, const struct vma *v, const struct arch_fault *fault)
{
    uint64_t page = vma_hpage_size(v);
    struct mm_map map = {.addr = va(align_down(fault->cr2.v, page)),
                         .len = page,
                         .prot = (uint32_t)(v->flags & VM_ACCESS_FLAGS),
                         .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                         .forced = true};
    mm_mmap(m, &map);
}

static void repair_rights(struct mm *m, struct vma *v, const struct arch_fault *fault)
{
    uint64_t a = align_down(fault->cr2.v, PAGE_SIZE);
    uint64_t add = fault->code & FAULT_W ? VM_WRITE : fault->code & FAULT_I ? VM_EXEC : VM_READ;
    uint64_t old = v->flags;
    struct gather g;
    if (vma_modify(m, v, a, a + PAGE_SIZE, old | add, &v) != 0)
        return;
    vma_set_flags(m, v, old | add);
    vm_stat_account(m, old, -1);
    vm_stat_account(m, old | add, 1);
    gather_init(&g, m);
    change_protection(&g, v, a, a + PAGE_SIZE);
    gather_finish(&g);
}

static bool lacks_right(uint32_t code, const struct vma *v)
{
    uint64_t need = code & FAULT_W ? VM_WRITE : code & FAULT_I ? VM_EXEC : VM_ACCESS_FLAGS;
    return !(v->flags & need);
}

void mm_repair(struct mm *m, const struct arch_fault *fault)
{
    if (fault->noncanonical || fault->cr2.v >= m->task_size)
        return;
    struct vma *v = vma_lookup(m, fault->cr2.v);
    if (!v) {
        repair_hole(m, fault);
        return;
    }
    if (lacks_right(fault->code, v)) {
        repair_rights(m, v, fault);
        v = vma_lookup(m, fault->cr2.v);
    }
    if (v->flags & VM_HUGETLB) {
        repair_pool(m, v, fault);
        return;
    }
    uint64_t pgoff = vma_pgoff_at(v, fault->cr2);
    if (v->file && pgoff >= file_pages(v->file))
        v->file->size = (pgoff + 1) * PAGE_SIZE;
    AUDIT(audit_call(m));
}
