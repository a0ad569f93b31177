/* adopt.c: calls of a program whose answer the emulator gives: what it asks the model before one is made,
 * and what it tells the model afterwards.
 *
 *   mmap, shmget of huge pages ─► before: mm_hugetlb_may  ─► the pool would promise that, or why not
 *   shmget returned an id      ─► after:  mm_shm_adopt    ─► the segment has that id here, too
 *   mmap returned an address   ─► after:  hugetlb_cannot  ─► huge pages do not fit there: other memory
 *
 * Linux has nothing of the kind: the rules are those of shm.c and hugetlb.c.
 */
#include "mm/mm_int.h"
#include "mm/shm_int.h"

/* -- pools ----------------------------------------------------------------------------------- */

/* can_promise: as hugetlb_acct_memory answers; surplus pages that it takes to find out go back. */
static int can_promise(struct mm_sys *s, struct hstate *h, uint64_t pages)
{
    uint64_t surplus = h->surplus;
    if (pages > h->nr + hugetlb_overcommit(s, h) || hugetlb_acct_memory(s, h, (int64_t)pages) != 0)
        return -ENOMEM;
    h->resv -= pages;
    while (h->surplus > surplus && remove_pool_hugetlb_folio(s, h, true))
        ;
    return 0;
}

int mm_hugetlb_may(struct mm_sys *s, const struct mm_hugetlb_want *want)
{
    bool known = want->size_log == 0 || want->size_log == 21 || want->size_log == 30;
    if (!want->file && !known)
        return -EINVAL;
    struct hstate *h = want->file
                           ? hstate_of(s, want->file)
                           : &s->hugetlb.h[want->size_log == 30 ? MM_HUGETLB_1G : MM_HUGETLB_2M];
    uint64_t page = PAGE_SIZE << h->order, end = want->offset + want->bytes;
    if (want->offset & (page - 1))
        return -EINVAL;
    if (end < want->offset || end > UINT64_MAX - page)
        return -ENOMEM;
    uint64_t from = want->offset / page, to = div_up(end, page);
    if (!want->reserve)
        return 0;
    if (to - from >
        h->nr + hugetlb_overcommit(s, h) + (want->file ? want->file->hugetlb->resv.used : 0))
        return -ENOMEM; /* more than there could ever be: no need to count */
    return can_promise(
        s, h, want->file && want->shared ? hugetlb_not_promised(want->file, from, to) : to - from);
}

int hugetlb_cannot(const struct mm *m, const struct mm_map *map)
{
    struct mm_hugetlb_want want = {.file = map->file,
                                   .offset = map->offset,
                                   .bytes = map->len,
                                   .size_log = map->flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK,
                                   .shared = (map->flags & MAP_TYPE) != MAP_PRIVATE,
                                   .reserve = !(map->flags & MAP_NORESERVE)};
    uint64_t page = map->file             ? huge_page_size(m->sys, map->file)
                    : want.size_log == 30 ? GIB(1)
                                          : MIB(2);
    return map->addr.v % page ? -EINVAL : mm_hugetlb_may(m->sys, &want);
}

/* -- segments -------------------------------------------------------------------------------- */

int mm_shm_adopt(struct mm *m, int id, int32_t key, uint64_t size, int flags)
{
    struct shm_segment *old = shm_find_id(m->sys, id);
    if (old && (old->size >= size || old->dest))
        return 0;
    if (old) { /* it was larger than the first caller asked for */
        old->size = size;
        if (old->file->size < size)
            mm_file_resize(m->sys, old->file, size);
        return 0;
    }
    int made = shm_add_segment(m, key, id, size, flags, true);
    return made < 0 ? made : 0;
}

bool mm_shm_known(const struct mm *m, int32_t key)
{
    return shm_find_key(m->sys, key) != NULL;
}
