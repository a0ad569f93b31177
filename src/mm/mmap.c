/* mmap.c: mmap and munmap.
 *
 *   mm_mmap ─► check_size ─► choose_address ─► check_lock ─► make_flags ─► mmap_region
 *              arguments     unmapped.c        RLIMIT_MEMLOCK  type, file    limits, overcommit,
 *                                                              rights        replace, merge, insert
 *
 * The checks come in Linux's order: the first that fails gives the error.
 *
 * Source: Linux 6.18 mm/mmap.c (do_mmap), mm/vma.c (mmap_region, do_vmi_align_munmap), mm/memfd.c
 * (memfd_check_seals_mmap), drivers/char/mem.c (mmap_zero), ipc/shm.c (ksys_shmdt).
 */
#include "mm/mm_int.h"

#include "policy/overcommit.h"

/* LEGACY_MAP_MASK of include/linux/mman.h; its last three, bits 26 to 30: the sizes of huge pages and
 * MAP_UNINITIALIZED. */
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* since 6.11 */
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MAP_HUGE_MASK
#define MAP_HUGE_MASK 0x3f
#endif
#define LEGACY_ABOVE4G 0x80u
#define LEGACY_HUGE    (31u << 26)
#define LEGACY_FLAGS                                                                               \
    (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |       \
     MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |        \
     MAP_HUGETLB | MAP_32BIT | LEGACY_ABOVE4G | LEGACY_HUGE)

/* -- munmap ---------------------------------------------------------------------------------- */

/* cut_edges splits the VMAs that [start, end) cuts, unless one of it may not go. What was split before
 * the obstacle stays split (vms_gather_munmap_vmas). */
static int cut_edges(struct mm *m, struct vma *v, uint64_t start, uint64_t end)
{
    if (v && v->start.v < start) {
        if (end < v->end.v && m->vmas.nr >= m->sys->conf.kernel_max_map_count)
            return -ENOMEM;
        if (v->flags & VM_SEALED)
            return -EPERM;
        if (!vma_may_split(v, start))
            return -EINVAL;
        v = vma_split(m, v, start);
    }
    for (; v && v->start.v < end; v = v->next) {
        bool whole = v->end.v <= end || vma_may_split(v, end);
        m->loose |= v->flags & VM_SEALED || !whole;
        if (v->flags & VM_SEALED)
            return -EPERM;
        if (!whole)
            return -EINVAL;
        if (v->end.v > end)
            vma_split(m, v, end);
    }
    return 0;
}

void unmap_region(struct mm *m, uint64_t start, uint64_t end)
{
    struct vma *first = find_vma_intersection(m, start, end), *next;
    struct gather g;
    if (!first)
        return;
    uint64_t floor = first->prev ? first->prev->end.v : 0, from = first->start.v, to = from;
    gather_init(&g, m);
    for (const struct vma *v = first; v && v->start.v < end; v = v->next) {
        zap_range(&g, v->start.v, v->end.v, ZAP_UNMAP);
        vm_stat_account(m, v->flags, -(int64_t)vma_pages(v));
        if (v->flags & VM_ACCOUNT)
            vm_acct_memory(m->sys, -(int64_t)vma_pages(v));
        to = v->end.v;
    }
    for (next = first; next && next->start.v < end; next = first) {
        first = next->next;
        vma_remove(m, next);
    }
    free_pgtables(&g, from, to, floor, next ? next->start.v : 0);
    gather_finish(&g);
}

/* vms_gather: what will be unmapped is locked, and may be unmapped beside others' faults then. */
static void vms_gather(struct mm *m, uint64_t start, uint64_t end, bool unlock)
{
    if (likely(!m->sys->outbox->locks))
        return;
    for (const struct vma *v = find_vma(m, start); v && v->start.v < end; v = v->next)
        vma_start_write(v);
    if (unlock)
        mmap_write_unlock(m);
}

static int munmap_gathered(struct mm *m, uint64_t start, uint64_t end, bool unlock)
{
    struct vma *first = start < end ? find_vma_intersection(m, start, end) : NULL;
    int err = cut_edges(m, first, start, end);
    if (err != 0 || !first)
        return err;
    vms_gather(m, start, end, unlock);
    unmap_region(m, start, end);
    return 0;
}

int munmap_range(struct mm *m, uint64_t start, uint64_t end)
{
    return munmap_gathered(m, start, end, false);
}

int do_munmap(struct mm *m, uint64_t start, uint64_t len, bool unlock)
{
    if ((start & ~PAGE_MASK) || start > m->task_size || len > m->task_size - start)
        return -EINVAL;
    uint64_t end = start + align_up(len, PAGE_SIZE);
    if (end == start)
        return -EINVAL;
    return munmap_gathered(m, start, end, unlock);
}

int mm_munmap(struct mm *m, vaddr start, uint64_t len)
{
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    int err = do_munmap(m, start.v, len, true);
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return err;
}

/* attached: v lies where page 0 of a System V segment at `at` puts it. */
static bool attached(const struct vma *v, uint64_t at)
{
    return v->file && v->file->sysv && v->start.v - at == v->pgoff << PAGE_SHIFT;
}

/* ksys_shmdt: the first VMA so attached tells the segment; all that came with it go. */
int mm_shmdt(struct mm *m, vaddr at)
{
    if (at.v & ~PAGE_MASK)
        return -EINVAL;
    const struct vma *v = find_vma(m, at.v);
    while (v && (v->start.v < at.v || !attached(v, at.v)))
        v = v->next;
    if (!v)
        return -EINVAL;
    const struct mm_file *f = v->file;
    uint64_t id = v->file_id, end = at.v + align_up(f->size, PAGE_SIZE);
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    for (bool first = true; v && (first || v->end.v <= end); first = false) {
        uint64_t from = v->start.v, to = v->end.v;
        if (attached(v, at.v) && v->file == f && v->file_id == id)
            do_munmap(m, from, to - from,
                      false); /* may free f with its last mapping: then no more follow */
        v = find_vma(m, to);
    }
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return 0;
}

/* -- what may be mapped, and how -------------------------------------------------------------- */

uint64_t vm_prot_flags(uint32_t prot)
{
    return (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
           (prot & PROT_EXEC ? VM_EXEC : 0);
}

/* calc_vm_flag_bits */
static uint64_t vm_map_flags(uint32_t flags)
{
    return (flags & MAP_GROWSDOWN ? VM_GROWSDOWN : 0) | (flags & MAP_LOCKED ? VM_LOCKED : 0) |
           (flags & MAP_STACK ? VM_NOHUGEPAGE : 0) | (flags & MAP_SYNC ? VM_SYNC : 0);
}

/* check_size: what do_mmap refuses before it looks for an address. *len is rounded up. */
static int check_size(const struct mm *m, const struct mm_map *map, uint64_t *len)
{
    uint64_t pgoff = map->offset >> PAGE_SHIFT;
    if (map->offset & ~PAGE_MASK)
        return -EINVAL;
    if (map->len == 0)
        return -EINVAL;
    *len = align_up(map->len, PAGE_SIZE);
    if (*len == 0)
        return -ENOMEM;
    if (pgoff + (*len >> PAGE_SHIFT) < pgoff)
        return -EOVERFLOW;
    return m->vmas.nr > m->sys->conf.kernel_max_map_count && !map->forced ? -ENOMEM : 0;
}

bool mm_mmap_knows(uint32_t flags)
{
    return !(flags & ~(LEGACY_FLAGS | MAP_TYPE));
}

/* share_file: a shared mapping of a file, with what the descriptor allows. */
static int share_file(const struct mm_map *map, uint64_t *vm)
{
    uint32_t traits = map->file->traits, more = 0;
    if (map->file->kind == FILE_REGULAR && !(traits & MM_FILE_NOMMAP))
        more = MAP_SYNC; /* FOP_MMAP_SYNC: ext4 itself refuses it, later */
    if ((map->flags & MAP_TYPE) == MAP_SHARED_VALIDATE && !mm_mmap_knows(map->flags & ~more))
        return -EOPNOTSUPP;
    if ((map->prot & PROT_WRITE) && !map->file_writable)
        return -EACCES;
    if ((map->prot & PROT_WRITE) && (traits & MM_FILE_SWAP))
        return -ETXTBSY;
    if ((traits & MM_FILE_APPEND) && map->file_writable)
        return -EACCES;
    *vm |= VM_SHARED | VM_MAYSHARE;
    if (!map->file_writable)
        *vm &= ~(VM_MAYWRITE | VM_SHARED);
    return 0;
}

/* memfd_check_seals_mmap */
static int check_seals(const struct mm_file *f, uint64_t *vm)
{
    if (!(f->seals & (MM_SEAL_WRITE | MM_SEAL_FUTURE_WRITE)) || !(*vm & VM_SHARED))
        return 0;
    if (*vm & VM_WRITE)
        return -EPERM;
    *vm &= ~VM_MAYWRITE;
    return 0;
}

/* flags_of_file: the checks and flags of a mapping's type, for a file. */
static int flags_of_file(const struct mm_map *map, uint64_t len, uint64_t *vm)
{
    uint32_t type = map->flags & MAP_TYPE, traits = map->file->traits;
    int err = 0;
    bool sized =
        map->file->kind != FILE_ZERO && !(traits & MM_FILE_NOMMAP); /* file_mmap_size_max */
    uint64_t most = sized ? INT64_MAX : UINT64_MAX;
    if (len > most || map->offset > most - len)
        return -EOVERFLOW;
    if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
        err = share_file(map, vm);
    else if (type != MAP_PRIVATE)
        err = -EINVAL;
    if (err != 0)
        return err;
    if (map->file_unreadable)
        return -EACCES;
    if ((traits & MM_FILE_NOEXEC) && (*vm & VM_EXEC))
        return -EPERM;
    if (traits & MM_FILE_NOEXEC)
        *vm &= ~VM_MAYEXEC;
    if (traits & MM_FILE_NOMMAP)
        return -ENODEV;
    return *vm & VM_GROWSDOWN ? -EINVAL : check_seals(map->file, vm);
}

static int flags_of_anon(const struct mm_map *map, uint64_t *vm)
{
    switch (map->flags & MAP_TYPE) {
    case MAP_SHARED:
        *vm |= VM_SHARED | VM_MAYSHARE;
        return *vm & VM_GROWSDOWN ? -EINVAL : 0;
    case MAP_DROPPABLE:
        *vm |= VM_DROPPABLE | VM_NORESERVE | VM_WIPEONFORK | VM_DONTDUMP;
        return (map->flags & (MAP_LOCKED | MAP_HUGETLB)) || (*vm & VM_GROWSDOWN) ? -EINVAL : 0;
    case MAP_PRIVATE:
        return 0;
    default:
        return -EINVAL;
    }
}

static int make_flags(struct mm *m, const struct mm_map *map, uint64_t len, uint64_t *ret)
{
    uint64_t vm = vm_prot_flags(map->prot) | vm_map_flags(map->flags) | m->def_flags | VM_MAYREAD |
                  VM_MAYWRITE | VM_MAYEXEC;
    if (map->prot == PROT_EXEC)
        vm |= (uint64_t)execute_only_pkey(m) << VM_PKEY_SHIFT;
    int err = map->file ? flags_of_file(map, len, &vm) : flags_of_anon(map, &vm);
    if (err != 0)
        return err;
    if ((map->flags & MAP_NORESERVE) && m->sys->conf.overcommit_memory != OVERCOMMIT_NEVER)
        vm |= VM_NORESERVE;
    if (map->file && map->file->kind == FILE_HUGETLB)
        vm |= VM_HUGETLB | VM_DONTEXPAND | (map->flags & MAP_NORESERVE ? VM_NORESERVE : 0);
    *ret = vm;
    return 0;
}

/* -- the region ------------------------------------------------------------------------------ */

/* What a fixed mapping replaces. */
struct replaced {
    uint64_t pages, accounted; /* mapped pages, and those of VM_ACCOUNT VMAs among them */
};

static struct replaced replaced_by(const struct mm *m, uint64_t start, uint64_t end)
{
    struct replaced r = {0};
    for (const struct vma *v = find_vma(m, start); v && v->start.v < end; v = v->next) {
        uint64_t n = (min_u64(end, v->end.v) - max_u64(start, v->start.v)) >> PAGE_SHIFT;
        r.pages += n;
        r.accounted += v->flags & VM_ACCOUNT ? n : 0;
    }
    return r;
}

/* charge_region: limits and overcommit, while what will be replaced is still there (__mmap_setup).
 * The promise made to that is taken over: what is charged is the difference. */
static int charge_region(struct mm *m, struct vma_merge *g, bool forced)
{
    struct replaced old = replaced_by(m, g->start, g->end);
    uint64_t pages = (g->end - g->start) >> PAGE_SHIFT;
    if (!forced && !may_expand_vm(m, g->flags, pages - old.pages))
        return -ENOMEM;
    if (!accountable_mapping(g->file, g->flags))
        return 0;
    if (!forced && vm_enough_memory(m, pages - old.accounted) != 0)
        return -ENOMEM;
    vm_acct_memory(m->sys, (int64_t)(forced ? pages : old.accounted)); /* unmapping takes it back */
    g->flags |= VM_ACCOUNT;
    return 0;
}

/* open_region does what the file's own mmap operation would. */
static int open_region(struct mm *m, struct vma_merge *g, bool forced)
{
    bool zero = !g->file || g->file->kind == FILE_ZERO;
    if (g->flags & VM_HUGETLB)
        return hugetlb_mmap(m, g);
    if (g->file && (g->flags & VM_SYNC) && g->file->kind == FILE_REGULAR)
        return -EOPNOTSUPP; /* no DAX */
    if (!zero || !(g->flags & VM_SHARED))
        return 0;
    g->file = file_new(m->sys, FILE_SHMEM, "/dev/zero (deleted)"); /* shmem_zero_setup */
    g->file->size = g->end - g->start;
    if (!(g->flags & VM_NORESERVE) && shmem_acct_size(m, g->file, forced) != 0) {
        mm_file_put(m->sys, g->file);
        return -ENOMEM;
    }
    g->own_file = true;
    return 0;
}

static enum vma_kind kind_of(const struct mm_file *f)
{
    if (!f || f->kind == FILE_ZERO)
        return VMA_ANON;
    return f->kind == FILE_SHMEM ? VMA_SHMEM : VMA_FILE;
}

static void insert_region(struct mm *m, struct vma_merge *g)
{
    if (g->flags & (VM_SPECIAL | VM_HUGETLB | VM_DROPPABLE))
        g->flags &= ~VM_LOCKED_MASK; /* never locked */
    if (!vma_merge_new_range(m, g)) {
        enum vma_kind kind = kind_of(g->file);
        vma_insert_new(m, g, kind, label_for(m, kind, g->file, g->flags, va(g->start)));
    }
    if (g->own_file)
        mm_file_put(m->sys, g->file); /* the VMA holds it now */
    vm_stat_account(m, g->flags, (int64_t)((g->end - g->start) >> PAGE_SHIFT));
}

#define HELD_MAX 16u

/* hold_hugetlb keeps files of huge pages that a mapping replaces until it is there: what was promised
 * to them is not to be had (vms_complete_munmap_vmas drops them last). */
static unsigned hold_hugetlb(const struct mm *m, const struct vma_merge *g, struct mm_file **held)
{
    unsigned n = 0;
    if (!(g->flags & VM_HUGETLB))
        return 0;
    for (const struct vma *v = find_vma(m, g->start); v && v->start.v < g->end; v = v->next)
        if ((v->flags & VM_HUGETLB) && n < HELD_MAX) {
            held[n++] = v->file;
            file_get(v->file);
        }
    return n;
}

static int replace_region(struct mm *m, struct vma_merge *g, bool forced)
{
    int err = cut_edges(m, find_vma_intersection(m, g->start, g->end), g->start, g->end);
    if (err == 0)
        err = charge_region(m, g, forced);
    m->loose |= err != 0;
    if (err != 0)
        return err;
    struct mm_file *held[HELD_MAX];
    unsigned n = hold_hugetlb(m, g, held);
    err = munmap_range(m, g->start, g->end);
    if (err == 0)
        err = open_region(m, g, forced);
    while (n-- > 0)
        mm_file_put(m->sys, held[n]);
    if (err == 0)
        insert_region(m, g);
    else if (g->flags & VM_ACCOUNT)
        vm_acct_memory(m->sys, -(int64_t)((g->end - g->start) >> PAGE_SHIFT));
    return err;
}

/* mmap_region puts the mapping at [g->start, g->end), replacing what is there: perhaps the last
 * mapping of the same file, which is held meanwhile. */
static int mmap_region(struct mm *m, struct vma_merge *g, bool forced)
{
    struct mm_file *f = g->file;
    if (f)
        file_get(f);
    int err = replace_region(m, g, forced);
    if (f)
        mm_file_put(m->sys, f);
    return err;
}

/* -- mmap ------------------------------------------------------------------------------------ */

/* round_hint_to_min */
static uint64_t round_hint(const struct mm *m, uint64_t hint)
{
    uint64_t min = align_up(mmap_min_addr(m->sys), PAGE_SIZE);
    hint &= PAGE_MASK;
    return hint != 0 && hint < min ? min : hint;
}

static int64_t choose_address(struct mm *m, const struct mm_map *map, uint64_t len)
{
    uint64_t hint = map->addr.v;
    uint32_t flags = map->flags | (map->flags & MAP_FIXED_NOREPLACE ? MAP_FIXED : 0);
    if (map->forced)
        return (hint & ~PAGE_MASK) || len > m->task_size || hint > m->task_size - len
                   ? -EINVAL
                   : (int64_t)hint;
    if (!(flags & MAP_FIXED))
        hint = round_hint(m, hint);
    uint32_t shared = flags & MAP_SHARED; /* MAP_SHARED_VALIDATE has that bit, too */
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

static int64_t do_mmap(struct mm *m, const struct mm_map *map)
{
    struct vma_merge g = {.file = map->file, .file_id = map->file_id};
    uint64_t len;
    int err = check_size(m, map, &len);
    if (err != 0)
        return err;
    int64_t addr = choose_address(m, map, len);
    if (addr < 0)
        return addr;
    err = check_lock(m, map, len);
    if (err == 0)
        err = make_flags(m, map, len, &g.flags);
    if (err != 0)
        return err;
    bool locked = g.flags & VM_LOCKED;
    g.start = (uint64_t)addr;
    g.end = g.start + len;
    g.pgoff = map->file             ? map->offset >> PAGE_SHIFT
              : g.flags & VM_SHARED ? 0
                                    : g.start >> PAGE_SHIFT;
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    err = mmap_region(m, &g, map->forced);
    mmap_write_unlock(m);
    if (err != 0)
        return err;
    if (locked || (map->flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
        populate_range(m, g.start, g.end);
    AUDIT(audit_call(m));
    return addr;
}

/* mmap_huge is what ksys_mmap_pgoff does for huge pages: their length is rounded up, an anonymous
 * mapping gets a file of its own. */
static int64_t mmap_huge(struct mm *m, const struct mm_map *asked)
{
    struct mm_map map = *asked;
    struct mm_hugetlb_file q = {.bytes = map.len,
                                .size_log = map.flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK,
                                .path = "/anon_hugepage (deleted)"};
    int err = map.file ? 0 : mm_hugetlb_file(m->sys, &q, &map.file);
    if (err != 0)
        return err;
    map.len = align_up(map.len, huge_page_size(m->sys, map.file));
    map.file_writable |= !asked->file;
    int64_t r = do_mmap(m, &map);
    if (!asked->file)
        mm_file_put(m->sys, map.file);
    return r;
}

int64_t mm_mmap(struct mm *m, const struct mm_map *map)
{
    bool huge = map->file && map->file->kind == FILE_HUGETLB;
    if (map->offset & ~PAGE_MASK)
        return -EINVAL;
    if ((map->flags & MAP_HUGETLB) && map->file && !huge && !map->forced)
        return -EINVAL;
    if (!huge && (!(map->flags & MAP_HUGETLB) || map->file))
        return do_mmap(m, map);
    int err = map->forced ? hugetlb_cannot(m, map) : 0;
    return err != 0 ? err : mmap_huge(m, map);
}

/* -- remap_file_pages ------------------------------------------------------------------------- */

/* uniform: [start, end) has no hole and is all of one open file, with the same flags as v. (Each shmat opens
 * its segment.) */
static bool uniform(const struct vma *v, uint64_t end)
{
    for (const struct vma *next = v; next->end.v < end; next = next->next)
        if (!next->next || next->next->start.v != next->end.v || next->next->file != v->file ||
            next->next->file_id != v->file_id || next->next->flags != v->flags)
            return false;
    return true;
}

int mm_remap_file_pages(struct mm *m, vaddr at, uint64_t size, uint32_t prot, uint64_t pgoff,
                        uint32_t flags)
{
    uint64_t start = align_down(at.v, PAGE_SIZE), len = align_down(size, PAGE_SIZE);
    if (prot != 0 || start + len <= start || pgoff + (len >> PAGE_SHIFT) < pgoff)
        return -EINVAL;
    const struct vma *v = vma_lookup(m, start);
    if (!v || !(v->flags & VM_SHARED) || !uniform(v, start + len))
        return -EINVAL;
    if (pgoff > UINT64_MAX >> PAGE_SHIFT)
        return -EOVERFLOW; /* no file is so long */
    struct mm_map map = {.addr = va(start),
                         .len = len,
                         .prot = (uint32_t)(v->flags & VM_ACCESS_FLAGS), /* the bits of PROT_… */
                         .flags = (flags & MAP_NONBLOCK) | MAP_SHARED | MAP_FIXED | MAP_POPULATE |
                                  (v->flags & VM_LOCKED ? MAP_LOCKED : 0),
                         .file = v->file,
                         .file_id = v->file_id,
                         .file_writable = true,
                         .offset = pgoff << PAGE_SHIFT};
    file_get(map.file); /* its last mapping may be the one that is replaced */
    int64_t r = do_mmap(m, &map);
    mm_file_put(m->sys, map.file);
    return r < 0 ? (int)r : 0;
}
