/* memcall.c: memory calls of the program, applied to the modelled address space.
 *
 *   what the program was told      what the model does
 *   ─────────────────────────      ───────────────────────────────────────────────────────────
 *   success, at address X          the same call on mm, placed at X; if Linux would have refused,
 *                                  count a divergence and map plain memory, for the program has it
 *   an error                       nothing; if Linux would have answered otherwise, count it
 *   advice (madvise, msync)        always as Linux: it changes no mapping the program relies on
 *
 * Invariants:
 *  I1  After a successful call every byte the program was given lies in a VMA.
 *  I2  One call counts at most one divergence.
 *
 * Source: Linux mm/mmap.c (ksys_mmap_pgoff, do_mmap), mm/mprotect.c, mm/mremap.c, mm/mlock.c; what
 * QEMU answers otherwise: linux-user/mmap.c and syscall.c of QEMU 7.2.
 */
#include "kern/kern_int.h"

#include "base/bits.h"
#include "mm/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define HUGE_SHIFT   26 /* MAP_HUGE_SHIFT */
#define HUGE_DEFAULT 21 /* log2 of the default size */

#define PROT_KNOWN     (PROT_READ | PROT_WRITE | PROT_EXEC | 8u /* PROT_SEM */)
#define MAP_DROP       0x08u /* MAP_DROPPABLE, 6.11 */
#define MINCORE_PAGES  (UINT64_C(1) << 24)
#define MREMAP_ALL     (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)
#define UNKNOWN_DEVICE UINT64_MAX

static bool failed(int64_t result)
{
    return result < 0 && result > -4096;
}

static void diverged(struct kern *k)
{
    STAT(k->stats, div_syscall_answer)++;
}

/* compare counts when Linux's answer differs from what the program was told. */
static void compare(struct kern *k, int64_t linux_answer, int64_t result)
{
    if (linux_answer != result)
        diverged(k);
}

/* -- questions about the address space */

/* first_within returns the first VMA that has a byte in [start, end), or NULL. */
static const struct vma *first_within(const struct mm *m, uint64_t start, uint64_t end)
{
    const struct vma *v = mm_vma_next(m, va(start));
    return v && v->start.v < end ? v : NULL;
}

/* range_refusal walks [start, end) as mprotect does: -ENOMEM at a hole, -EACCES at a VMA that may
 * not have the rights, whichever comes first. */
static int range_refusal(const struct mm *m, uint64_t start, uint64_t end, uint32_t may)
{
    for (const struct vma *v = mm_vma_next(m, va(start)); start < end; v = v->next) {
        if (!v || v->start.v > start)
            return -ENOMEM;
        if ((v->flags & may) != may)
            return -EACCES;
        start = v->end.v;
    }
    return 0;
}

static bool has_heap(const struct mm *m)
{
    for (const struct vma *v = mm_vma_next(m, va(0)); v; v = v->next)
        if (v->kind == VMA_HEAP)
            return true;
    return false;
}

/* plain_map puts ordinary memory where the program has some that Linux would not have given. */
static void plain_map(struct mm *m, uint64_t addr, uint64_t len, uint32_t prot)
{
    struct mm_map map = {
        .addr = va(align_down(addr, PAGE_SIZE)),
        .len = len,
        .prot = prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
        .forced = true,
    };
    mm_mmap(m, &map); /* I1; out of memory here is a repair at the first access */
}

/* -- mmap */

/* splits_huge: an end of [start, end) lies inside a page of a pool (hugetlb_vm_op_split). */
static bool splits_huge(const struct mm *m, uint64_t start, uint64_t end)
{
    const struct vma *first = mm_vma_at(m, va(start)), *last = mm_vma_at(m, va(end));
    return (first && start % mm_vma_page_size(first)) || (last && end % mm_vma_page_size(last));
}

/* huge_file finds or makes the model's file of huge pages. */
static int huge_file(struct mm_sys *s, const struct kern_file *f, struct mm_file **ret)
{
    struct mm_hugetlb_file q = {.bytes = f->size, .size_log = f->huge_log, .path = f->path};
    return mm_hugetlb_named(s, f->dev, f->ino, &q, ret);
}

/* named_file finds or makes the model's file behind a descriptor. */
static struct mm_file *named_file(struct mm_sys *s, const struct kern_file *f)
{
    struct mm_file *huge;
    if (f->huge_log != 0 && huge_file(s, f, &huge) == 0)
        return huge;
    return mm_file(s, f->dev, f->ino, f->size, f->path);
}

/* huge_page_log: log2 of the pages a mapping call wants, 0: ordinary ones. */
static unsigned huge_page_log(const struct kern_call *c)
{
    unsigned asked = (uint32_t)c->arg[3] >> HUGE_SHIFT & 0x3f;
    if (!(c->arg[3] & MAP_ANONYMOUS))
        return c->file.present ? c->file.huge_log : 0;
    return !(c->arg[3] & MAP_HUGETLB) ? 0 : asked != 0 ? asked : HUGE_DEFAULT;
}

/* mmap_flags_bad: what do_mmap refuses by its arguments alone, in its order. Anonymous huge pages are
 * a file to it (hugetlb_file_setup). */
static int mmap_flags_bad(const struct kern_call *c)
{
    uint32_t flags = (uint32_t)c->arg[3], type = flags & MAP_TYPE;
    bool anon = flags & MAP_ANONYMOUS && !(flags & MAP_HUGETLB);
    if (type == MAP_DROP && anon)
        return flags & (MAP_LOCKED | MAP_GROWSDOWN) ? -EINVAL : 0;
    if (type != MAP_SHARED && type != MAP_PRIVATE && (type != MAP_SHARED_VALIDATE || anon))
        return -EINVAL;
    if (type == MAP_SHARED_VALIDATE && huge_page_log(c) != 0 && !mm_mmap_knows(flags))
        return -EOPNOTSUPP;
    if (flags & MAP_GROWSDOWN && (type != MAP_PRIVATE || !anon))
        return -EINVAL;
    return 0;
}

/* hugetlb_refusal: what Linux answers to a wish for huge pages (hugetlb_file_setup,
 * hugetlbfs_file_mmap). */
static int hugetlb_refusal(const struct kern *k, const struct kern_call *c)
{
    unsigned log = huge_page_log(c);
    uint32_t flags = (uint32_t)c->arg[3];
    if (log == 0)
        return 0;
    struct mm_hugetlb_want want = {.bytes = c->arg[1],
                                   .size_log = log,
                                   .shared = (flags & MAP_TYPE) != MAP_PRIVATE,
                                   .reserve = !(flags & MAP_NORESERVE)};
    struct mm_file *f = NULL;
    int err = 0;
    if (!(flags & MAP_ANONYMOUS)) {
        err = huge_file(k->sys, &c->file, &f);
        want.file = f;
        want.offset = c->arg[5];
    }
    err = err != 0 ? err : mm_hugetlb_may(k->sys, &want);
    if (f)
        mm_file_put(k->sys, f);
    return err;
}

static int mmap_refusal(const struct kern *k, const struct mm *m, const struct kern_call *c)
{
    uint64_t addr = c->arg[0], len = c->arg[1];
    uint32_t flags = (uint32_t)c->arg[3];
    bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    uint64_t page = huge_page_log(c) != 0 ? BIT(huge_page_log(c)) : PAGE_SIZE;
    if (c->arg[5] % PAGE_SIZE || len == 0)
        return -EINVAL;
    if (len > KERN_TASK_SIZE || (fixed && addr > KERN_TASK_SIZE - align_up(len, PAGE_SIZE)))
        return -ENOMEM;
    if (fixed && addr % page) /* hugetlb_get_unmapped_area comes before what is mapped there */
        return -EINVAL;
    if (flags & MAP_FIXED_NOREPLACE && first_within(m, addr, addr + align_up(len, PAGE_SIZE)))
        return -EEXIST;
    int bad = mmap_flags_bad(c);
    bad = bad != 0 ? bad : hugetlb_refusal(k, c);
    return bad == 0 && fixed && splits_huge(m, addr, addr + align_up(len, PAGE_SIZE)) ? -EINVAL
                                                                                      : bad;
}

/* open_file finds the model's file of a mapping call; a file the front end did not tell about gets
 * a record of its own, large enough. */
static struct mm_file *open_file(struct kern *k, const struct kern_call *c)
{
    const struct kern_file *f = &c->file;
    if (f->present)
        return named_file(k->sys, f);
    return mm_file(k->sys, UNKNOWN_DEVICE, c->arg[4], c->arg[5] + c->arg[1], "(unknown file)");
}

/* is_device: what devices map is unknown here: taken for anonymous memory. /dev/zero mm knows. */
static bool is_device(const struct kern_file *f)
{
    return f->present && S_ISCHR(f->mode) && strcmp(f->path, "/dev/zero") != 0;
}

static int64_t mmap_do(struct kern *k, struct mm *m, const struct kern_call *c)
{
    bool anon = c->arg[3] & MAP_ANONYMOUS || is_device(&c->file);
    struct mm_map map = {
        .addr = va((uint64_t)c->result),
        .len = c->arg[1],
        .prot = (uint32_t)c->arg[2],
        .flags = (uint32_t)c->arg[3] | (anon ? MAP_ANONYMOUS : 0),
        .file = anon ? NULL : open_file(k, c),
        .file_id = anon ? 0 : opened_id(k, (int)c->arg[4]),
        .file_writable = !c->file.present || (c->file.open_flags & O_ACCMODE) != O_RDONLY,
        .offset = c->arg[5],
        .forced = true,
    };
    int64_t r = mm_mmap(m, &map);
    if (map.file)
        mm_file_put(k->sys, map.file);
    return r;
}

/* mmap_failed: some errors depend on what the model does not know (the descriptor, limits). */
static void mmap_failed(struct kern *k, int refusal, int64_t result)
{
    if (refusal ? refusal != result : result == -EINVAL || result == -EEXIST)
        diverged(k);
}

static int apply_mmap(struct kern *k, struct mm *m, const struct kern_call *c)
{
    int refusal = mmap_refusal(k, m, c);
    if (failed(c->result)) {
        mmap_failed(k, refusal, c->result);
        return 0;
    }
    int64_t r = mmap_do(k, m, c);
    if (refusal || r != c->result)
        diverged(k);
    if (r != c->result) {
        unsigned log = c->asked ? huge_page_log(c) : 0;
        uint64_t len = log != 0 ? align_up(c->arg[1], BIT(log)) : c->arg[1];
        STAT(k->stats, div_hugetlb) += log != 0;
        plain_map(m, (uint64_t)c->result, len, (uint32_t)c->arg[2]);
    }
    return 1;
}

int memcall_ask(struct kern *k, struct mm *m, const struct kern_call *c)
{
    return mmap_refusal(k, m, c);
}

/* -- munmap, mprotect */

static int munmap_refusal(const struct mm *m, uint64_t start, uint64_t len)
{
    if (start % PAGE_SIZE || start > KERN_TASK_SIZE || len > KERN_TASK_SIZE - start ||
        align_up(len, PAGE_SIZE) == 0)
        return -EINVAL;
    return splits_huge(m, start, start + align_up(len, PAGE_SIZE)) ? -EINVAL : 0;
}

static int apply_munmap(struct kern *k, struct mm *m, const struct kern_call *c)
{
    if (failed(c->result)) {
        compare(k, munmap_refusal(m, c->arg[0], c->arg[1]), c->result);
        return 0;
    }
    compare(k, mm_munmap(m, va(c->arg[0]), c->arg[1]), c->result);
    return 1;
}

/* grows_refusal: PROT_GROWSDOWN is for stacks; nothing grows up on x86-64. */
static int grows_refusal(const struct mm *m, uint64_t start, uint64_t end, uint64_t prot)
{
    const struct vma *v = first_within(m, start, end);
    if (!v || (prot & PROT_GROWSUP && v->start.v > start))
        return -ENOMEM;
    return prot & PROT_GROWSUP || !(v->flags & VM_GROWSDOWN) ? -EINVAL : 0;
}

static int mprotect_refusal(const struct mm *m, uint64_t start, uint64_t len, uint64_t prot)
{
    const uint64_t grows = PROT_GROWSDOWN | (uint32_t)PROT_GROWSUP;
    uint64_t end = start + align_up(len, PAGE_SIZE);
    if ((prot & grows) == grows || start % PAGE_SIZE)
        return -EINVAL;
    if (len == 0)
        return 0;
    if (end <= start)
        return -ENOMEM;
    if (prot & ~(PROT_KNOWN | grows))
        return -EINVAL;
    int bad = prot & grows ? grows_refusal(m, start, end, prot) : 0;
    bad = bad ? bad : range_refusal(m, start, end, (uint32_t)(prot & 7) << 4);
    return bad == 0 && splits_huge(m, start, end) ? -EINVAL : bad;
}

static int apply_mprotect(struct kern *k, struct mm *m, const struct kern_call *c)
{
    int pkey = c->nr == SYS_pkey_mprotect ? (int)c->arg[3] : -1;
    if (failed(c->result)) {
        int refusal = mprotect_refusal(m, c->arg[0], c->arg[1], c->arg[2]);
        compare(k, refusal, c->result);
        if (refusal != c->result || refusal == -EINVAL)
            return 0; /* else what lies before the obstacle has changed nevertheless */
        mm_pkey_mprotect(m, va(c->arg[0]), c->arg[1], (uint32_t)c->arg[2], pkey);
        return 1;
    }
    uint32_t prot = (uint32_t)c->arg[2];
    int r = mm_pkey_mprotect(m, va(c->arg[0]), c->arg[1], prot, pkey);
    compare(k, r, c->result);
    if (r == -EINVAL && pkey != -1) /* a key the modelled CPU does not have: the rights count */
        mm_mprotect(m, va(c->arg[0]), c->arg[1], prot);
    return 1;
}

/* -- mremap */

static int mremap_args_bad(const struct kern_call *c)
{
    uint64_t old = c->arg[0], old_len = align_up(c->arg[1], PAGE_SIZE), flags = c->arg[3];
    uint64_t new_len = align_up(c->arg[2], PAGE_SIZE), new_addr = c->arg[4];
    bool placed = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
    if (flags & ~(uint64_t)MREMAP_ALL || old % PAGE_SIZE || !new_len || new_len > KERN_TASK_SIZE)
        return -EINVAL;
    if (!placed)
        return 0;
    if (!(flags & MREMAP_MAYMOVE) || new_addr % PAGE_SIZE || new_addr > KERN_TASK_SIZE - new_len)
        return -EINVAL;
    if (flags & MREMAP_DONTUNMAP && old_len != new_len)
        return -EINVAL;
    return new_addr < old + old_len && old < new_addr + new_len ? -EINVAL : 0;
}

/* mremap_late: what Linux sees only when the new place is clear: the old mapping is gone with it, or
 * the end of an absurdly long old range cannot be unmapped. */
static int mremap_late(const struct kern_call *c)
{
    uint64_t old = c->arg[0], old_len = align_up(c->arg[1], PAGE_SIZE), new_addr = c->arg[4];
    uint64_t new_len = align_up(c->arg[2], PAGE_SIZE);
    bool fixed = c->arg[3] & MREMAP_FIXED;
    if (fixed && new_addr <= old && old < new_addr + new_len)
        return -EFAULT;
    return new_len < old_len && old_len > KERN_TASK_SIZE - old ? -EINVAL : 0;
}

/* mremap_huge_bad: not of whole pages, or larger (align_hugetlb). */
static bool mremap_huge_bad(const struct vma *v, const struct kern_call *c)
{
    uint64_t page = mm_vma_page_size(v);
    return c->arg[0] % page || (c->arg[3] & MREMAP_FIXED && c->arg[4] % page) ||
           align_up(c->arg[2], page) > align_up(c->arg[1], page);
}

/* mremap_early: what Linux looks at first. A move of equal length may take many VMAs; of one that
 * shrinks, what is left to move must lie in the first. */
static int mremap_early(const struct mm *m, const struct kern_call *c)
{
    uint64_t old = c->arg[0], old_len = align_up(c->arg[1], PAGE_SIZE), flags = c->arg[3];
    uint64_t new_len = align_up(c->arg[2], PAGE_SIZE);
    const struct vma *v = mm_vma_at(m, va(old));
    int bad = mremap_args_bad(c);
    if (bad)
        return bad;
    if (!v)
        return -EFAULT;
    if (v->flags & VM_HUGETLB && mremap_huge_bad(v, c))
        return -EINVAL;
    if (old_len == 0)
        return !(v->flags & (VM_SHARED | VM_MAYSHARE)) ? -EINVAL
               : flags & MREMAP_MAYMOVE                ? 0
                                                       : -ENOMEM;
    if (new_len == old_len && flags & MREMAP_FIXED)
        return 0;
    if (new_len <= old_len)
        return flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && new_len > v->end.v - old ? -EFAULT : 0;
    if (v->end.v - old < old_len || v->flags & (VM_DONTEXPAND | VM_PFNMAP))
        return -EFAULT;
    bool room = v->end.v - old == old_len && !first_within(m, v->end.v, old + new_len);
    return room || flags & MREMAP_MAYMOVE ? 0 : -ENOMEM;
}

static int mremap_failed(struct kern *k, struct mm *m, const struct kern_call *c)
{
    int early = mremap_early(m, c), refusal = early ? early : mremap_late(c);
    /* Any growth may be short of memory; but of QEMU 7.2 it is the answer to every old size of 0. */
    if (refusal || c->result != -ENOMEM || c->arg[1] == 0)
        compare(k, refusal, c->result);
    if (early || !refusal || !(c->arg[3] & MREMAP_FIXED))
        return 0;
    mm_munmap(m, va(c->arg[4]), c->arg[2]);
    return 1;
}

static int apply_mremap(struct kern *k, struct mm *m, const struct kern_call *c)
{
    if (failed(c->result))
        return mremap_failed(k, m, c);
    int64_t r = mm_mremap(m, va(c->arg[0]), c->arg[1], c->arg[2], (uint32_t)c->arg[3],
                          va((uint64_t)c->result), true);
    if (r != c->result) {
        diverged(k);
        if (!(c->arg[3] & MREMAP_DONTUNMAP))
            mm_munmap(m, va(c->arg[0]), c->arg[1]);
        plain_map(m, (uint64_t)c->result, c->arg[2], PROT_READ | PROT_WRITE);
    }
    return 1;
}

/* -- brk */

/* brk_moved: the break went from `cur` to `to` in the program. */
static int brk_moved(struct kern *k, struct mm *m, uint64_t cur, uint64_t to)
{
    uint64_t old_end = align_up(cur, PAGE_SIZE), new_end = align_up(to, PAGE_SIZE);
    if (mm_brk(m, va(to)).v == to)
        return 1;
    diverged(k);
    if (new_end > old_end)
        plain_map(m, old_end, new_end - old_end, PROT_READ | PROT_WRITE);
    else if (new_end < old_end)
        mm_munmap(m, va(new_end), old_end - new_end);
    mm_set_brk(m, va(to));
    return 1;
}

/* apply_brk: the first answer to brk(0) tells where the emulator put the heap. */
static int apply_brk(struct kern *k, struct mm *m, const struct kern_call *c)
{
    uint64_t cur = mm_brk(m, va(0)).v, asked = c->arg[0], told = (uint64_t)c->result;
    if (failed(c->result))
        return 0;
    if (told != cur && !has_heap(m) && told != asked) {
        mm_set_brk(m, va(told));
        return 1;
    }
    if (told != cur)
        return brk_moved(k, m, cur, told);
    uint64_t gap = (k->conf->kernel_stack_guard_gap + 1) * PAGE_SIZE;
    if (asked > cur && asked < KERN_TASK_SIZE - gap &&
        !first_within(m, align_up(cur, PAGE_SIZE), asked + gap))
        diverged(k); /* refused although nothing was in the way */
    return 0;
}

/* -- advice and the rest */

static int apply_madvise(struct kern *k, struct mm *m, const struct kern_call *c)
{
    compare(k, mm_madvise(m, va(c->arg[0]), c->arg[1], (int)c->arg[2]), c->result);
    return 1;
}

static int apply_mincore(struct kern *k, struct mm *m, const struct kern_call *c)
{
    uint64_t pages = div_up(c->arg[1], PAGE_SIZE);
    uint8_t *vec = pages <= MINCORE_PAGES ? malloc(pages + 1) : NULL;
    if (vec && c->result != -EFAULT)
        compare(k, mm_mincore(m, va(c->arg[0]), c->arg[1], vec), c->result);
    free(vec);
    return 0;
}

/* lock_refusal: what mlock says of a range by its VMAs, limits left out. */
static int lock_refusal(const struct mm *m, uint64_t start, uint64_t end)
{
    int hole = range_refusal(m, start, end, 0);
    const struct vma *v = first_within(m, start, end);
    for (; hole == 0 && v && v->start.v < end; v = v->next)
        if (!(v->flags & (VM_READ | VM_WRITE | VM_EXEC)))
            return -ENOMEM;
    return hole;
}

/* apply_mlock: a refusal by limits leaves all as it was; one by a hole or by memory without rights
 * comes late, so that what lies before is locked. */
static int apply_mlock(struct kern *k, struct mm *m, const struct kern_call *c)
{
    uint64_t start = align_down(c->arg[0], PAGE_SIZE);
    int flags = c->nr == SYS_mlock2 ? (int)c->arg[2] : 0;
    if (failed(c->result) &&
        (c->result != -ENOMEM ||
         lock_refusal(m, start, align_up(c->arg[0] + c->arg[1], PAGE_SIZE)) == 0))
        return 0;
    compare(k, mm_mlock(m, va(c->arg[0]), c->arg[1], flags), c->result);
    return 1;
}

/* apply_lock: memory calls that lock and unlock. */
static int apply_lock(struct kern *k, struct mm *m, const struct kern_call *c)
{
    switch (c->nr) {
    case SYS_munlock:
        compare(k, mm_munlock(m, va(c->arg[0]), c->arg[1]), c->result);
        return 1;
    case SYS_mlockall:
        if (c->result == 0)
            compare(k, mm_mlockall(m, (int)c->arg[0]), 0);
        return 1;
    case SYS_munlockall:
        mm_munlockall(m);
        return 1;
    default:
        return apply_mlock(k, m, c);
    }
}

/* apply_size: calls that may have changed a file's size; EV_FILE tells the new one. */
static void apply_size(struct kern *k, const struct kern_file *f)
{
    struct mm_file *file = named_file(k->sys, f);
    if (!file)
        return;
    mm_file_resize(k->sys, file, f->size);
    mm_file_put(k->sys, file);
}

/* follow_rights: what the program may do and have is the host's to say; its refusals arrive as
 * results, so that the model itself refuses nothing for want of rights. */
static void follow_rights(struct mm *m)
{
    const uint64_t all = BIT(CAP_IPC_LOCK) | BIT(CAP_SYS_RAWIO) | BIT(CAP_SYS_ADMIN);
    if (!m || (mm_task(m)->caps & all) == all)
        return;
    struct mm_task task = *mm_task(m);
    task.caps |= all;
    mm_set_task(m, &task);
}

int memcall_apply(struct kern *k, struct mm *m, const struct kern_call *c)
{
    follow_rights(m);
    switch (c->nr) {
    case SYS_mmap:
        return apply_mmap(k, m, c);
    case SYS_munmap:
        return apply_munmap(k, m, c);
    case SYS_mprotect:
        return apply_mprotect(k, m, c);
    case SYS_pkey_mprotect:
        return apply_mprotect(k, m, c);
    case SYS_mremap:
        return apply_mremap(k, m, c);
    case SYS_brk:
        return apply_brk(k, m, c);
    case SYS_madvise:
        return apply_madvise(k, m, c);
    case SYS_msync:
        compare(k, mm_msync(m, va(c->arg[0]), c->arg[1], (int)c->arg[2]), c->result);
        return 0;
    case SYS_mincore:
        return apply_mincore(k, m, c);
    case SYS_mlock:
    case SYS_mlock2:
    case SYS_munlock:
    case SYS_mlockall:
    case SYS_munlockall:
        return apply_lock(k, m, c);
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_sync:
    case SYS_syncfs:
    case SYS_sync_file_range:
        filecall_apply(k, c);
        return 0;
    case SYS_fallocate:
        filecall_apply(k, c);
        /* fall through */
    case SYS_ftruncate:
    case SYS_fcntl:
        if (c->file.present)
            apply_size(k, &c->file);
        return 0;
    default:
        return 0;
    }
}
