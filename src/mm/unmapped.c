/* unmapped.c: where a new mapping goes.
 *
 *   low                                                          mmap_base        stack
 *    |  program, heap ►        ◄ mappings, top-down: MMMM..NNNN|  gap, 128 MiB+  | SSSS|
 *
 * Top-down: the highest gap below mmap_base that is long enough; a growing stack keeps its guard
 * gap free of searches and hints, not of MAP_FIXED. Lengths that are a multiple of 2 MiB (or, for
 * files, at least 2 MiB) are placed so that a huge page could map them. The legacy
 * layout, MAP_32BIT, and top-down without success search bottom-up.
 *
 * Source: Linux 6.18 mm/mmap.c (__get_unmapped_area), mm/vma.c (unmapped_area_topdown),
 * arch/x86/kernel/sys_x86_64.c, mm/huge_memory.c (__thp_get_unmapped_area), mm/shmem.c
 * (shmem_get_unmapped_area).
 */
#include "mm/mm_int.h"

#define HPAGE      MIB(2)
#define MAP_WINDOW (BIT(47) - PAGE_SIZE) /* DEFAULT_MAP_WINDOW: above only with such a hint */

/* -- gaps ------------------------------------------------------------------------------------ */

/* clip returns how much of the gap before v (NULL: behind all VMAs) lies in [low, high). */
static bool clip(const struct mm *m, const struct vma *v, uint64_t low, uint64_t high, uint64_t len,
                 uint64_t *ret_lo, uint64_t *ret_hi)
{
    const struct vma *prev = v ? v->prev : m->vmas.last;
    *ret_lo = max_u64(prev ? prev->end.v : 0, low);
    *ret_hi = min_u64(v ? v->start.v : UINT64_MAX, high);
    return *ret_hi > *ret_lo && *ret_hi - *ret_lo >= len;
}

/* A gap that reaches into the guard gap of the VMA above it is no place, and neither is any between
 * the two: the search goes on below the guard gap (unmapped_area_topdown). */
static int64_t unmapped_topdown(const struct mm *m, uint64_t len, uint64_t low, uint64_t high)
{
    uint64_t lo, hi;
    while (high > low) {
        const struct vma *v = find_vma(m, high - 1);
        if (!clip(m, v, low, high, len, &lo, &hi)) {
            v = vma_tree_gap_below(&m->vmas, v, len);
            if (!v || !clip(m, v, low, high, len, &lo, &hi))
                return -ENOMEM;
        }
        if (!v || vma_start_gap(m, v) >= hi)
            return (int64_t)(hi - len);
        high = vma_start_gap(m, v);
    }
    return -ENOMEM;
}

static int64_t unmapped_bottomup(const struct mm *m, uint64_t len, uint64_t low, uint64_t high)
{
    uint64_t lo, hi;
    while (high > low) {
        const struct vma *v = find_vma(m, low);
        if (!clip(m, v, low, high, len, &lo, &hi)) {
            v = v ? vma_tree_gap_above(&m->vmas, v, len) : NULL;
            if (!clip(m, v, low, high, len, &lo, &hi))
                return -ENOMEM;
        }
        if (!v || !(v->flags & VM_GROWSDOWN) || vma_start_gap(m, v) >= lo + len - 1)
            return (int64_t)lo;
        low = v->end.v;
    }
    return -ENOMEM;
}

/* free_at says whether a hint is honoured: nothing there, the next VMA's guard gap kept. */
static bool free_at(const struct mm *m, uint64_t addr, uint64_t len)
{
    const struct vma *v = find_vma(m, addr);
    return !v || addr + len <= vma_start_gap(m, v);
}

static int64_t arch_unmapped_bottomup(const struct mm *m, uint64_t addr, uint64_t len,
                                      uint32_t flags)
{
    bool low = flags & MAP_32BIT;
    uint64_t begin = low ? 0x40000000 : align_up(MAP_WINDOW / 3, PAGE_SIZE);
    uint64_t end = low ? 0x80000000 : addr > MAP_WINDOW ? m->task_size : MAP_WINDOW;
    if (addr != 0) {
        addr = align_up(addr, PAGE_SIZE);
        if (len <= end && addr <= end - len && free_at(m, addr, len))
            return (int64_t)addr;
    }
    return unmapped_bottomup(m, len, begin, end);
}

/* arch_get_unmapped_area_topdown */
static int64_t arch_unmapped(const struct mm *m, uint64_t addr, uint64_t len, uint32_t flags)
{
    if (len > m->task_size)
        return -ENOMEM;
    if (flags & MAP_FIXED)
        return (int64_t)addr;
    if ((flags & MAP_32BIT) || m->legacy)
        return arch_unmapped_bottomup(m, addr, len, flags);
    if (addr != 0) {
        addr = align_down(addr, PAGE_SIZE);
        bool valid = m->task_size - len >= addr && (addr > MAP_WINDOW) == (addr + len > MAP_WINDOW);
        if (valid && free_at(m, addr, len))
            return (int64_t)addr;
    }
    uint64_t high = m->mmap_base + (addr > MAP_WINDOW ? m->task_size - MAP_WINDOW : 0);
    int64_t r = unmapped_topdown(m, len, PAGE_SIZE, high);
    return r >= 0 ? r : arch_unmapped_bottomup(m, addr, len, flags);
}

/* -- places a huge page could map ------------------------------------------------------------- */

/* __thp_get_unmapped_area: 0 when it does not apply or no room for the padding was found. */
static int64_t thp_unmapped(const struct mm *m, uint64_t addr, uint64_t len, uint64_t off,
                            uint32_t flags)
{
    uint64_t off_end = off + len, off_align = align_up(off, HPAGE);
    if (off_end <= off_align || off_end - off_align < HPAGE || off + len + HPAGE < off)
        return 0;
    int64_t r = arch_unmapped(m, addr, len + HPAGE, flags);
    if (r < 0)
        return 0;
    if ((uint64_t)r == addr)
        return r;
    uint64_t sub = (off - (uint64_t)r) & (HPAGE - 1);
    return sub == 0 ? r + (int64_t)HPAGE : r + (int64_t)sub;
}

/* shmem_wants_huge: mappings of that memory shall lie so that huge pages can map it. */
static bool shmem_wants_huge(const struct mm_sys *s, const struct mm_file *f)
{
    enum thp_shmem how = (enum thp_shmem)s->conf.thp_shmem;
    if (how == THP_SHMEM_DENY || how == THP_SHMEM_FORCE)
        return how == THP_SHMEM_FORCE;
    return how != THP_SHMEM_NEVER && !(f && file_is_mounted_shmem(f));
}

/* shmem_unmapped is shmem_get_unmapped_area: elsewhere than at the address asked for, 2 MiB of the file
 * lie at 2 MiB if there is room. */
static int64_t shmem_unmapped(const struct mm *m, const struct mm_file *f, uint64_t addr,
                              uint64_t len, uint64_t pgoff, uint32_t flags)
{
    int64_t r = arch_unmapped(m, addr, len, flags);
    uint64_t offset = (pgoff << PAGE_SHIFT) & (HPAGE - 1);
    if (r < 0 || (flags & MAP_FIXED) || (uint64_t)r == addr || !shmem_wants_huge(m->sys, f))
        return r;
    if (len < HPAGE || (offset != 0 && offset + len < 2 * HPAGE) ||
        ((uint64_t)r & (HPAGE - 1)) == offset)
        return r;
    int64_t wide = arch_unmapped(m, addr, len + HPAGE - PAGE_SIZE, flags);
    if (wide < 0)
        return r;
    uint64_t at = align_down((uint64_t)wide, HPAGE) + offset;
    at += at < (uint64_t)wide ? HPAGE : 0;
    return at > m->task_size - len ? r : (int64_t)at;
}

/* hugetlb_get_unmapped_area: aligned to the page size of the file. */
static int64_t hugetlb_unmapped(const struct mm *m, uint64_t size, uint64_t addr, uint64_t len,
                                uint32_t flags)
{
    if (len & (size - 1)) /* of remap_file_pages: mmap and mremap have rounded it */
        return -EINVAL;
    if (flags & MAP_FIXED)
        return addr & (size - 1) ? -EINVAL : (int64_t)addr;
    if (addr != 0) {
        addr = align_up(addr, size);
        if (m->task_size - len >= addr && free_at(m, addr, len))
            return (int64_t)addr;
    }
    uint64_t wide = len + size - PAGE_SIZE;
    int64_t r = arch_unmapped(m, 0, wide, flags);
    return r < 0 ? r : (int64_t)align_down((uint64_t)r + wide - len, size);
}

int64_t get_unmapped_area(struct mm *m, const struct mm_file *f, uint64_t addr, uint64_t len,
                          uint64_t pgoff, uint32_t flags)
{
    int64_t r = 0;
    if (len > m->task_size)
        return -ENOMEM;
    if (f && f->kind == FILE_HUGETLB)
        r = hugetlb_unmapped(m, huge_page_size(m->sys, f), addr, len, flags);
    bool shared = (flags & MAP_SHARED) && (!f || f->kind == FILE_ZERO);
    if (shared || (f && f->kind == FILE_SHMEM))
        r = shmem_unmapped(m, f, addr, len, pgoff, flags);
    else if (f && f->kind != FILE_HUGETLB)
        r = thp_unmapped(m, addr, len, pgoff << PAGE_SHIFT, flags);
    else if (!f && addr == 0 && (len & (HPAGE - 1)) == 0)
        r = thp_unmapped(m, addr, len, 0, flags);
    if (r == 0)
        r = arch_unmapped(m, addr, len, flags);
    if (r < 0 && r >= -4095)
        return r;
    if ((uint64_t)r > m->task_size - len)
        return -ENOMEM;
    if (r & (int64_t)~PAGE_MASK)
        return -EINVAL;
    bool low = (uint64_t)r < m->sys->conf.kernel_mmap_min_addr;
    return low && !task_capable(m, CAP_SYS_RAWIO) ? -EPERM : r; /* cap_mmap_addr */
}
