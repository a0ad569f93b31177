/* memfd.c: files in memory: memfd_create, seals, and truncation and holes that obey them.
 *
 *   SEAL                no more seals               WRITE         no writing, no shared writable maps
 *   SHRINK, GROW        the size stays              FUTURE_WRITE  but for maps that already are
 *
 * Source: Linux 6.18 mm/memfd.c (memfd_create, memfd_add_seals), mm/shmem.c (shmem_setattr,
 * shmem_fallocate).
 */
#include "mm/mm_int.h"

#define MFD_CLOEXEC_BIT  0x01u
#define MFD_SEALING_BIT  0x02u
#define MFD_NOEXEC_BIT   0x08u
#define MFD_EXEC_BIT     0x10u
#define MFD_KNOWN        (MFD_CLOEXEC_BIT | MFD_SEALING_BIT | MFD_NOEXEC_BIT | MFD_EXEC_BIT)
#define MFD_HUGETLB_BIT  0x04u
#define MFD_HUGE_SHIFT_  26
#define MFD_HUGE         (MFD_HUGETLB_BIT | 0x3fu << MFD_HUGE_SHIFT_)
#define MFD_NAME_MAX     249u /* NAME_MAX less "memfd:" */
#define MM_SEALS         0x3fu
#define MM_SEALS_CONTENT (MM_SEAL_SHRINK | MM_SEAL_GROW | MM_SEAL_WRITE | MM_SEAL_FUTURE_WRITE)

void mm_file_set_traits(struct mm_file *f, uint32_t traits)
{
    f->traits = traits;
}

uint32_t mm_file_seals(const struct mm_file *f)
{
    return f->seals;
}

int mm_memfd(struct mm_sys *s, const char *name, uint32_t flags, struct mm_file **ret)
{
    char path[MFD_NAME_MAX + 32] = "/memfd:";
    size_t len = strlen(name), at = strlen(path);
    const uint32_t known = MFD_KNOWN | (flags & MFD_HUGETLB_BIT ? MFD_HUGE : 0);
    if ((flags & ~known) || len > MFD_NAME_MAX ||
        (flags & (MFD_EXEC_BIT | MFD_NOEXEC_BIT)) == (MFD_EXEC_BIT | MFD_NOEXEC_BIT))
        return -EINVAL;
    memcpy(path + at, name, len);
    memcpy(path + at + len, " (deleted)", sizeof(" (deleted)"));
    struct mm_hugetlb_file huge = {.size_log = flags >> MFD_HUGE_SHIFT_ & 0x3f, .path = path};
    struct mm_file *f;
    if (!(flags & MFD_HUGETLB_BIT))
        f = file_new(s, FILE_SHMEM, path);
    else if (mm_hugetlb_file(s, &huge, &f) != 0)
        return -ENODEV;
    f->seals = flags & (MFD_SEALING_BIT | MFD_NOEXEC_BIT) ? 0 : MM_SEAL_SEAL;
    if (flags & MFD_NOEXEC_BIT)
        f->seals |= MM_SEAL_EXEC;
    else
        f->executable = true;
    *ret = f;
    return 0;
}

/* mapped_writable: a mapping could write to the file (mapping_deny_writable would fail). */
static bool mapped_writable(const struct mm_file *f)
{
    const uint64_t shared = VM_SHARED | VM_MAYWRITE;
    struct itree_node *n = itree_first(&f->mapped, 0, UINT64_MAX);
    for (; n; n = itree_next(n, 0, UINT64_MAX))
        if ((CONTAINER(n, struct vma, in_file)->flags & shared) == shared)
            return true;
    return false;
}

int mm_file_add_seals(struct mm_file *f, uint32_t seals)
{
    if ((f->kind != FILE_SHMEM && f->kind != FILE_HUGETLB) || (seals & ~MM_SEALS))
        return -EINVAL;
    if (f->seals & MM_SEAL_SEAL)
        return -EPERM;
    if ((seals & MM_SEAL_EXEC) && f->executable)
        seals |= MM_SEALS_CONTENT;
    if ((seals & ~f->seals & MM_SEAL_WRITE) && mapped_writable(f))
        return -EBUSY;
    f->seals |= seals;
    return 0;
}

int mm_ftruncate(struct mm_sys *s, struct mm_file *f, uint64_t size)
{
    if (f->kind == FILE_HUGETLB && (size & (huge_page_size(s, f) - 1)))
        return -EINVAL;
    if ((size < f->size && (f->seals & MM_SEAL_SHRINK)) ||
        (size > f->size && (f->seals & MM_SEAL_GROW)))
        return -EPERM;
    mm_file_resize(s, f, size);
    AUDIT(audit_fault(s));
    return 0;
}

int mm_fallocate_punch(struct mm_sys *s, struct mm_file *f, uint64_t offset, uint64_t len)
{
    if (offset > INT64_MAX || len == 0 || len > INT64_MAX - offset)
        return -EINVAL;
    if (f->seals & (MM_SEAL_WRITE | MM_SEAL_FUTURE_WRITE))
        return -EPERM;
    uint64_t page = f->kind == FILE_HUGETLB ? huge_page_size(s, f) : PAGE_SIZE;
    uint64_t first = align_up(offset, page) / PAGE_SIZE;
    uint64_t last = align_down(offset + len, page) / PAGE_SIZE;
    if (first < last)
        unmap_mapping_range(s, f, first, last, false);
    truncate_partial_folios(s, f, offset, offset + len);
    if (first < last)
        filemap_punch(s, f, first, last);
    if (last == 0 &&
        f->kind != FILE_HUGETLB) /* the last byte to unmap is -1, the end of all files */
        unmap_mapping_range(s, f, first, UINT64_MAX, false);
    if (f->kind == FILE_HUGETLB) /* parts of huge pages keep their bytes: see CAVEATS */
        return 0;
    filemap_zero_partial(s, f, offset, offset + len);
    if (offset / PAGE_SIZE != (offset + len) / PAGE_SIZE)
        filemap_zero_partial(s, f, align_down(offset + len, PAGE_SIZE), offset + len);
    AUDIT(audit_fault(s));
    return 0;
}

void mm_fallocate_shift(struct mm_sys *s, struct mm_file *f, uint64_t offset)
{
    uint64_t first = offset / PAGE_SIZE;
    unmap_mapping_range(s, f, first, UINT64_MAX, true);
    filemap_punch(s, f, first, UINT64_MAX);
    AUDIT(audit_fault(s));
}
