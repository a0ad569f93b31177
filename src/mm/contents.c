/* contents.c: the bytes behind frames, with phys.contents: zeroed and copied where the kernel zeroes
 * and copies, read from the file a mapping has behind it.
 *
 *   new anonymous page, shmem page ─► clear_frames        COW, migration ─► copy_frames
 *   page of a file ─► file_readpage: the backing file's bytes, zeroes behind its end
 *   dirty page of a file ─► file_writepage
 *   a size that changes within a page ─► file_zero
 *
 * The kernel's accesses go to the outbox whether frames carry bytes or not.
 *
 * I1  Behind the end of a file its last page is zero when it is read or written, and when the file
 *     shrinks; of a regular file also when it grows again (a store to the mapping may lie there).
 *
 * Source: Linux 6.18 mm/truncate.c (truncate_inode_partial_folio, pagecache_isize_extended), include/linux/highmem.h,
 * mm/util.c (folio_copy), fs/iomap/buffered-io.c.
 */
#include "mm/mm_int.h"

#include <unistd.h>

void clear_frames(struct mm_sys *s, pfn n, uint64_t nr)
{
    void *bytes = phys_bytes(s->phys, n);
    kernel_write(s, pfn_paddr(n), nr * PAGE_SIZE);
    if (bytes)
        memset(bytes, 0, nr * PAGE_SIZE);
}

void copy_frames(struct mm_sys *s, pfn from, pfn to, uint64_t nr)
{
    const void *bytes = phys_bytes(s->phys, from);
    kernel_read(s, pfn_paddr(from), nr * PAGE_SIZE);
    kernel_write(s, pfn_paddr(to), nr * PAGE_SIZE);
    if (bytes)
        memcpy(phys_bytes(s->phys, to), bytes, nr * PAGE_SIZE);
}

/* -- files ----------------------------------------------------------------------------------- */

void mm_file_backing(struct mm_file *f, int fd)
{
    f->fd = fd;
}

/* bytes_in_page returns how many bytes of a page lie before the end of its file. */
static uint64_t bytes_in_page(const struct mm_file *f, uint64_t pgoff)
{
    uint64_t start = pgoff << PAGE_SHIFT;
    return start >= f->size ? 0 : min_u64(f->size - start, PAGE_SIZE);
}

void file_readpage(struct mm_sys *s, const struct mm_file *f, uint64_t pgoff, pfn n)
{
    uint8_t *bytes = phys_bytes(s->phys, n);
    uint64_t want = bytes_in_page(f, pgoff), got = 0;
    if (!bytes)
        return;
    while (f->fd >= 0 && got < want) {
        ssize_t r = pread(f->fd, bytes + got, want - got, (off_t)((pgoff << PAGE_SHIFT) + got));
        if (r <= 0)
            break; /* shorter than we heard: a hole */
        got += (uint64_t)r;
    }
    memset(bytes + got, 0, PAGE_SIZE - got); /* I1 */
}

void file_writepage(struct mm_sys *s, pfn n)
{
    const struct frame *fr = phys_frame(s->phys, n);
    struct mm_file *f = fr->mapping;
    uint8_t *bytes = phys_bytes(s->phys, n);
    uint64_t want = bytes_in_page(f, fr->index), done = 0;
    if (bytes)
        memset(bytes + want, 0, PAGE_SIZE - want); /* I1 */
    while (bytes && f->fd >= 0 && done < want) {
        ssize_t w =
            pwrite(f->fd, bytes + done, want - done, (off_t)((fr->index << PAGE_SHIFT) + done));
        if (w <= 0) { /* the host's file system is full or broken: the next msync tells */
            f->wb_err = w < 0 ? -errno : -EIO;
            return;
        }
        done += (uint64_t)w;
    }
}

void file_zero(struct mm_sys *s, pfn n, uint64_t from, uint64_t end)
{
    uint8_t *bytes = phys_bytes(s->phys, n);
    kernel_write(s, pa(pfn_paddr(n).v + from), end - from);
    if (bytes)
        memset(bytes + from, 0, end - from);
}
