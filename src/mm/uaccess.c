/* uaccess.c: copies between the program's memory and ours, through its page tables, page by page.
 *
 *   entry there, right there ─► A (and D) set as the processor does ─► bytes
 *            │ no
 *            └► mm_fault in kernel mode ─► again; a bad verdict ends the copy: the exception table
 *
 * Source: Linux 6.18 lib/usercopy.c, arch/x86/lib/copy_user_64.S; Intel SDM vol. 3A, 4.8 (accessed
 * and dirty flags).
 */
#include "mm/mm_int.h"

#define TRIES 8u /* faults for one page: table, page, right to write; more would be a bug */

static bool permits(pte e, bool write)
{
    return pte_present(e) && (e.v & PTE_US) && (!write || (e.v & PTE_RW));
}

/* reach makes an address accessible and stores where in physical memory it lies. */
static bool reach(struct mm *m, vaddr a, bool write, paddr *ret)
{
    for (unsigned i = 0; i < TRIES; i++) {
        unsigned level;
        pte *e = pt_leaf(&m->pt, a, &level);
        if (e && permits(*e, write)) {
            uint64_t offset = a.v & (BIT(pt_level_shift(level)) - 1);
            e->v |= PTE_A | (write ? PTE_D : 0);
            *ret = pa(pfn_paddr(pte_leaf_pfn(*e, level)).v + offset);
            return true;
        }
        struct mm_verdict v;
        uint32_t code = (write ? FAULT_W : 0) | (e && pte_present(*e) ? FAULT_P : 0);
        mm_fault(m, &(struct arch_fault){.cr2 = a, .code = code}, &v);
        if (v.signal != 0 || v.oom)
            return false;
    }
    ASSERT(!"a fault that is handled again and again");
    return false;
}

/* copy_user copies until a page cannot be reached; returns the bytes copied. */
static int64_t copy_user(struct mm *m, vaddr user, uint8_t *to, const uint8_t *from, uint64_t len)
{
    uint64_t done = 0;
    if (!phys_bytes(m->sys->phys, phys_zero_page(m->sys->phys)))
        return -EOPNOTSUPP;
    if (user.v >= m->task_size || len > m->task_size - user.v) /* access_ok */
        return 0;
    while (done < len) {
        paddr at;
        vaddr a = va(user.v + done);
        uint64_t n = min_u64(len - done, PAGE_SIZE - (a.v & ~PAGE_MASK));
        if (!reach(m, a, from != NULL, &at))
            break;
        uint8_t *bytes = phys_bytes(m->sys->phys, paddr_pfn(at));
        bytes += at.v & ~PAGE_MASK;
        if (from)
            memcpy(bytes, from + done, n);
        else
            memcpy(to + done, bytes, n);
        done += n;
    }
    return (int64_t)done;
}

int64_t mm_copy_to_user(struct mm *m, vaddr to, const void *from, uint64_t len)
{
    return copy_user(m, to, NULL, from, len);
}

int64_t mm_copy_from_user(struct mm *m, void *to, vaddr from, uint64_t len)
{
    return copy_user(m, from, to, NULL, len);
}
