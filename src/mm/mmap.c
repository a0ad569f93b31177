/* mmap.c: mmap and munmap: checks in Linux's order, the choice of an address, the region itself.
 *
 *   low                                                          mmap_base        stack
 *    |  program, heap ►        ◄ mappings, top-down: MMMM..NNNN|  gap, 128 MiB+  | SSSS|
 *
 * Top-down: the highest gap below mmap_base that is long enough; a growing stack keeps its guard
 * gap free of searches and hints, not of MAP_FIXED. Lengths that are a multiple of 2 MiB (or, for
 * files, at least 2 MiB) are placed so that a huge page could map them.
 *
 * Source: Linux 6.18 mm/mmap.c (do_mmap, __get_unmapped_area), mm/vma.c (mmap_region,
 * do_vmi_align_munmap, unmapped_area_topdown), arch/x86/kernel/sys_x86_64.c, mm/huge_memory.c
 * (__thp_get_unmapped_area), mm/shmem.c (shmem_get_unmapped_area).
 */
#include "mm/mm_int.h"

#define HPAGE      MIB(2)
#define MAP_WINDOW (BIT(47) - PAGE_SIZE) /* DEFAULT_MAP_WINDOW: above only with such a hint */
/* LEGACY_MAP_MASK of include/linux/mman.h; its last three, bits 26 to 30: the sizes of huge pages and
 * MAP_UNINITIALIZED. */
#define LEGACY_ABOVE4G 0x80u
#define LEGACY_HUGE    (31u << 26)
#define LEGACY_FLAGS                                                                               \
    (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |       \
     MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |        \
     MAP_HUGETLB | MAP_32BIT | LEGACY_ABOVE4G | LEGACY_HUGE)

/* -- gaps ------------------------------------------------------------------------------------ */

/* clip returns how much of the gap before v (NULL: behind all VMAs) lies in [low, high). */
static bool clip(const struct mm *m, const struct vma *v, uint64_t low, uint64_t high, uint64_t len,
                 uint64_t *ret_lo, uint64_t *ret_hi)
{
    const struct vma *prev = v ? v->prev : m->vmas.last;
    *ret_lo = max_u64(prev ? prev->end.v : 0, low);
    *ret_hi = min_u64(v ? vma_start_gap(m, v) : UINT64_MAX, high);
    return *ret_hi > *ret_lo && *ret_hi - *ret_lo >= len;
}

static int64_t unmapped_topdown(const struct mm *m, uint64_t len, uint64_t low, uint64_t high)
{
    const struct vma *v = find_vma(m, high - 1);
    uint64_t lo, hi;
    if (clip(m, v, low, high, len, &lo, &hi))
        return (int64_t)(hi - len);
    v = vma_tree_gap_below(&m->vmas, v, len);
    return v && clip(m, v, low, high, len, &lo, &hi) ? (int64_t)(hi - len) : -ENOMEM;
}

static int64_t unmapped_bottomup(const struct mm *m, uint64_t len, uint64_t low, uint64_t high)
{
    const struct vma *v = find_vma(m, low);
    uint64_t lo, hi;
    if (clip(m, v, low, high, len, &lo, &hi))
        return (int64_t)lo;
    v = v ? vma_tree_gap_above(&m->vmas, v, len) : NULL;
    return clip(m, v, low, high, len, &lo, &hi) ? (int64_t)lo : -ENOMEM;
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
    uint64_t begin = low ? 0x40000000 : align_up(m->task_size / 3, PAGE_SIZE);
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
    if (flags & MAP_32BIT)
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

int64_t get_unmapped_area(struct mm *m, const struct mm_file *f, uint64_t addr, uint64_t len,
                          uint64_t pgoff, uint32_t flags)
{
    int64_t r = 0;
    if (len > m->task_size)
        return -ENOMEM;
    if (f ? f->kind == FILE_SHMEM : (flags & MAP_SHARED) != 0)
        r = 0; /* shmem_get_unmapped_area: shmem has no huge pages, shmem_enabled is "never" */
    else if (f)
        r = thp_unmapped(m, addr, len, pgoff << PAGE_SHIFT, flags);
    else if (addr == 0 && (len & (HPAGE - 1)) == 0)
        r = thp_unmapped(m, addr, len, 0, flags);
    if (r == 0)
        r = arch_unmapped(m, addr, len, flags);
    if (r < 0)
        return r;
    if ((uint64_t)r > m->task_size - len)
        return -ENOMEM;
    if (r & (int64_t)~PAGE_MASK)
        return -EINVAL;
    bool low = (uint64_t)r < m->sys->conf.kernel_mmap_min_addr;
    return low && !task_capable(m, CAP_SYS_RAWIO) ? -EPERM : r; /* cap_mmap_addr */
}

/* -- munmap ---------------------------------------------------------------------------------- */

/* cut_edges splits the VMAs that [start, end) cuts; stores the first VMA inside. */
static int cut_edges(struct mm *m, struct vma *v, uint64_t start, uint64_t end,
                     struct vma **ret_first)
{
    if (v->start.v < start) {
        if (end < v->end.v && m->vmas.nr >= m->sys->conf.kernel_max_map_count)
            return -ENOMEM;
        if (!vma_may_split(v))
            return -EINVAL;
        v = vma_split(m, v, start);
    }
    struct vma *last = find_vma_intersection(m, end - 1, end);
    if (last && last->end.v > end) {
        if (!vma_may_split(last)) {
            m->loose = true; /* a split at the start stays */
            return -EINVAL;
        }
        vma_split(m, last, end);
    }
    *ret_first = v;
    return 0;
}

int munmap_range(struct mm *m, uint64_t start, uint64_t end)
{
    struct vma *first = start < end ? find_vma_intersection(m, start, end) : NULL, *next;
    struct gather g;
    if (!first)
        return 0;
    int err = cut_edges(m, first, start, end, &first);
    if (err != 0)
        return err;
    uint64_t floor = first->prev ? first->prev->end.v : 0, from = first->start.v, to = from;
    gather_init(&g, m);
    for (const struct vma *v = first; v && v->start.v < end; v = v->next) {
        zap_range(&g, v->start.v, v->end.v, ZAP_UNMAP);
        vm_stat_account(m, v->flags, -(int64_t)vma_pages(v));
        to = v->end.v;
    }
    for (next = first; next && next->start.v < end; next = first) {
        first = next->next;
        vma_remove(m, next);
    }
    free_pgtables(&g, from, to, floor, next ? next->start.v : 0);
    gather_finish(&g);
    return 0;
}

int do_munmap(struct mm *m, uint64_t start, uint64_t len)
{
    if ((start & ~PAGE_MASK) || start > m->task_size || len > m->task_size - start)
        return -EINVAL;
    uint64_t end = start + align_up(len, PAGE_SIZE);
    return end == start ? -EINVAL : munmap_range(m, start, end);
}

int mm_munmap(struct mm *m, vaddr start, uint64_t len)
{
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    int err = do_munmap(m, start.v, len);
    AUDIT(audit_vmas(m));
    return err;
}

/* ksys_shmdt: the first VMA that lies where the file's page 0 at `start` puts it tells the file; all
 * VMAs of that file that lie so go. */
int mm_shmdt(struct mm *m, vaddr start)
{
    const struct mm_file *f = NULL;
    uint64_t end = UINT64_MAX, next = start.v;
    if (start.v & ~PAGE_MASK)
        return -EINVAL;
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    for (const struct vma *v; (v = find_vma_intersection(m, next, end)) != NULL;) {
        uint64_t from = v->start.v;
        next = v->end.v;
        if (v->kind != VMA_SHMEM || (f && v->file != f) || from - start.v != v->pgoff << PAGE_SHIFT)
            continue;
        f = v->file;
        end = start.v + align_up(f->size, PAGE_SIZE);
        munmap_range(m, from, next);
    }
    AUDIT(audit_vmas(m));
    return f ? 0 : -EINVAL;
}

/* -- mmap ------------------------------------------------------------------------------------ */

uint64_t vm_prot_flags(uint32_t prot)
{
    return (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
           (prot & PROT_EXEC ? VM_EXEC : 0);
}

static uint64_t vm_map_flags(uint32_t flags)
{
    return (flags & MAP_GROWSDOWN ? VM_GROWSDOWN : 0) | (flags & MAP_LOCKED ? VM_LOCKED : 0) |
           (flags & MAP_STACK ? VM_NOHUGEPAGE : 0) | (flags & MAP_NORESERVE ? VM_NORESERVE : 0);
}

/* check_size: what do_mmap refuses before it looks for an address. *len is rounded up. */
static int check_size(const struct mm *m, const struct mm_map *map, uint64_t *len)
{
    uint64_t pgoff = map->offset >> PAGE_SHIFT;
    if (map->offset & ~PAGE_MASK)
        return -EINVAL;
    if ((map->flags & MAP_HUGETLB) && !map->forced)
        return map->file ? -EINVAL : -ENOMEM; /* no hugetlbfs, an empty pool */
    if (map->len == 0)
        return -EINVAL;
    *len = align_up(map->len, PAGE_SIZE);
    if (*len == 0)
        return -ENOMEM;
    if (pgoff + (*len >> PAGE_SHIFT) < pgoff)
        return -EOVERFLOW;
    return m->vmas.nr > m->sys->conf.kernel_max_map_count && !map->forced ? -ENOMEM : 0;
}

/* flags_of_file: the checks and flags of a mapping's type, for a file. */
static int flags_of_file(const struct mm_map *map, uint64_t len, uint64_t *vm)
{
    uint32_t type = map->flags & MAP_TYPE;
    if (len > INT64_MAX || map->offset > INT64_MAX - len)
        return -EOVERFLOW;
    if (type == MAP_SHARED_VALIDATE && (map->flags & ~(LEGACY_FLAGS | MAP_TYPE)))
        return -EOPNOTSUPP;
    if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) {
        if ((map->prot & PROT_WRITE) && !map->file_writable)
            return -EACCES;
        *vm |= map->file_writable ? VM_SHARED | VM_MAYSHARE : VM_MAYSHARE;
        if (!map->file_writable)
            *vm &= ~VM_MAYWRITE;
    } else if (type != MAP_PRIVATE) {
        return -EINVAL;
    }
    return *vm & VM_GROWSDOWN ? -EINVAL : 0;
}

static int flags_of_anon(const struct mm_map *map, uint64_t *vm)
{
    switch (map->flags & MAP_TYPE) {
    case MAP_SHARED:
        *vm |= VM_SHARED | VM_MAYSHARE;
        return *vm & VM_GROWSDOWN ? -EINVAL : 0;
    case MAP_PRIVATE:
        return 0;
    default:
        return -EINVAL;
    }
}

static int make_flags(const struct mm_map *map, uint64_t len, uint64_t *ret)
{
    uint64_t vm =
        vm_prot_flags(map->prot) | vm_map_flags(map->flags) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
    int err = map->file ? flags_of_file(map, len, &vm) : flags_of_anon(map, &vm);
    if (err != 0)
        return err;
    if ((vm & (VM_NORESERVE | VM_SHARED | VM_WRITE)) == VM_WRITE)
        vm |= VM_ACCOUNT;
    *ret = vm;
    return 0;
}

/* pages_within counts the mapped pages of [start, end): what a fixed mapping replaces. */
static uint64_t pages_within(const struct mm *m, uint64_t start, uint64_t end)
{
    uint64_t pages = 0;
    for (const struct vma *v = find_vma(m, start); v && v->start.v < end; v = v->next)
        pages += (min_u64(end, v->end.v) - max_u64(start, v->start.v)) >> PAGE_SHIFT;
    return pages;
}

/* mmap_region puts the mapping at [addr, addr + len), replacing what is there. */
static int mmap_region(struct mm *m, struct vma_merge *g, bool forced)
{
    struct mm_sys *s = m->sys;
    bool unnamed = !g->file && (g->flags & VM_SHARED);
    uint64_t pages = (g->end - g->start) >> PAGE_SHIFT;
    if (!forced && !may_expand_vm(m, g->flags, pages - pages_within(m, g->start, g->end)))
        return -ENOMEM;
    int err = munmap_range(m, g->start, g->end);
    if (err != 0)
        return err;
    if (unnamed) { /* shmem_zero_setup: a file of its own */
        g->file = file_new(s, FILE_SHMEM, "/dev/zero (deleted)");
        g->file->size = g->end - g->start;
    }
    if (!vma_merge_new_range(m, g)) {
        enum vma_kind kind = !g->file                      ? VMA_ANON
                             : g->file->kind == FILE_SHMEM ? VMA_SHMEM
                                                           : VMA_FILE;
        vma_insert_new(m, g, kind, label_for(s, kind, g->file, g->flags, va(g->start)));
    }
    if (unnamed)
        mm_file_put(s, g->file); /* the VMA holds it now */
    vm_stat_account(m, g->flags, (int64_t)((g->end - g->start) >> PAGE_SHIFT));
    return 0;
}

static int64_t choose_address(struct mm *m, const struct mm_map *map, uint64_t len)
{
    uint64_t hint = map->addr.v, min = align_up(m->sys->conf.kernel_mmap_min_addr, PAGE_SIZE);
    uint32_t flags = map->flags | (map->flags & MAP_FIXED_NOREPLACE ? MAP_FIXED : 0);
    if (map->forced)
        return (hint & ~PAGE_MASK) || len > m->task_size || hint > m->task_size - len
                   ? -EINVAL
                   : (int64_t)hint;
    if (!(flags & MAP_FIXED)) {
        hint &= PAGE_MASK;
        if (map->addr.v != 0 && hint < min)
            hint = min;
    }
    uint32_t shared = (flags & MAP_TYPE) == MAP_PRIVATE ? 0 : MAP_SHARED;
    int64_t r = get_unmapped_area(m, map->file, hint, len, map->offset >> PAGE_SHIFT,
                                  (flags & ~(uint32_t)MAP_TYPE) | shared);
    if (r >= 0 && (flags & MAP_FIXED_NOREPLACE) &&
        find_vma_intersection(m, (uint64_t)r, (uint64_t)r + len))
        return -EEXIST;
    return r;
}

/* check_lock: what the caller may not lock, MAP_LOCKED and MCL_FUTURE alike. */
static int check_lock(const struct mm *m, const struct mm_map *map, uint64_t len)
{
    if (map->forced)
        return 0;
    if ((map->flags & MAP_LOCKED) && !can_do_mlock(m))
        return -EPERM;
    return mlock_future_ok(m, vm_map_flags(map->flags) | m->def_flags, len) ? 0 : -EAGAIN;
}

/* dev_zero turns a map of /dev/zero into the anonymous one that it is. */
static struct mm_map dev_zero(const struct mm_map *map)
{
    struct mm_map anon = *map;
    if (map->file && strcmp(map->file->path, "/dev/zero") == 0)
        anon.file = NULL;
    return anon;
}

int64_t mm_mmap(struct mm *m, const struct mm_map *asked)
{
    struct mm_map map = dev_zero(asked);
    struct vma_merge g = {.file = map.file};
    uint64_t len;
    int err = check_size(m, &map, &len);
    if (err != 0)
        return err;
    int64_t addr = choose_address(m, &map, len);
    if (addr < 0)
        return addr;
    err = check_lock(m, &map, len);
    if (err == 0)
        err = make_flags(&map, len, &g.flags);
    if (err != 0)
        return err;
    g.flags |= m->def_flags;
    g.start = (uint64_t)addr;
    g.end = g.start + len;
    g.pgoff = map.file ? map.offset >> PAGE_SHIFT : g.flags & VM_SHARED ? 0 : g.start >> PAGE_SHIFT;
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    err = mmap_region(m, &g, map.forced);
    if (err != 0)
        return err;
    if ((g.flags & VM_LOCKED) || (map.flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
        populate_range(m, g.start, g.end);
    AUDIT(audit_vmas(m));
    return addr;
}
