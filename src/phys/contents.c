/* contents.c: the bytes of frames, with phys.contents: one mapping without reserve as large as the
 * machine, in which the host backs what was written.
 *
 * A pageblock that becomes free as a whole gives its bytes back to the host, so resident memory
 * follows the frames in use. What a newly allocated frame holds is nobody's promise: as in Linux
 * whoever needs zeroes clears it.
 */
#include "phys/phys_int.h"

#include <errno.h>
#include <sys/mman.h>

int contents_open(struct phys *p)
{
    void *map = mmap(NULL, p->head.frames_nr << PAGE_SHIFT, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return -ENOMEM;
    p->bytes = map;
    return 0;
}

void contents_close(struct phys *p)
{
    if (p->bytes != NULL)
        munmap(p->bytes, p->head.frames_nr << PAGE_SHIFT);
}

void contents_drop(struct phys *p, uint64_t n, unsigned order)
{
    ASSERT(madvise(p->bytes + (n << PAGE_SHIFT), PAGE_SIZE << order, MADV_DONTNEED) == 0);
}

void *phys_bytes(struct phys *p, pfn n)
{
    CHECK(n.v < p->head.frames_nr);
    if (p->bytes == NULL)
        return NULL;
    const struct frame *f = &p->head.frames[n.v];
    return f->owner == FRAME_PAGE_TABLE ? f->bytes : p->bytes + (n.v << PAGE_SHIFT);
}
