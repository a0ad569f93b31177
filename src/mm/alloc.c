/* alloc.c: where the frames of mm come from: one door for user pages, page cache and page tables.
 *
 *   fault, filemap, huge … ─► mm_alloc ─► phys_alloc            the allocator's own fast path
 *
 * Source: Linux 6.18 mm/page_alloc.c (__alloc_frozen_pages_noprof), mm/mempolicy.c.
 */
#include "mm/mm_int.h"

int mm_alloc(struct mm_sys *s, const struct mm_req *r, pfn *ret)
{
    struct mpol_pick pick;
    mpol_pick(s, r, &pick);
    int err = phys_alloc(s->phys, r->order, r->gfp, r->owner, ret);
    if (err == 0 && pick.interleaved && phys_frame(s->phys, *ret)->nid == pick.nid)
        STAT(s->stats, numa_interleave)++;
    return err;
}
