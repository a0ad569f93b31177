/* mm_id.c: which address spaces map a large folio, as far as Linux knows: it keeps two of them for each
 * folio, with their entries, and cannot say more than "perhaps shared" when there were more.
 *
 *   entries of A   id[0] = A, n[0]           one entry more or less of an address space counts for it if it
 *   entries of B   id[1] = B, n[1]           has a place; who comes when both are taken is not kept
 *   all            mapcount, shared
 *
 * What is kept stands in the second frame of the folio, whose record is free otherwise: index, mapped_by,
 * private.
 *
 * I1  mapcount = entire of the head + Σ mapcount of the frames.
 * I2  shared is set when a second address space maps it, and cleared when one that has a place has all
 *     entries. A place becomes free with its last entry, or with more that were made without one.
 *
 * Source: Linux 6.18 include/linux/rmap.h (folio_add_return_large_mapcount,
 * folio_sub_return_large_mapcount), include/linux/mm.h (folio_maybe_mapped_shared).
 */
#include "mm/mm_int.h"

#define MM_ID_DUMMY 0u

struct mm_ids {
    uint32_t id[2];    /* MM_ID_DUMMY: a free place */
    uint32_t n[2];     /* entries that count for it */
    uint32_t mapcount; /* entries of all */
    bool shared;       /* FOLIO_MM_IDS_SHARED_BIT */
};

static struct mm_ids load(const struct frame *f)
{
    return (struct mm_ids){.id = {(uint32_t)f[1].index, (uint32_t)(f[1].index >> 32)},
                           .n = {f[1].mapped_by[0], f[1].mapped_by[1]},
                           .mapcount = f[1].private >> 1,
                           .shared = f[1].private & 1};
}

static void store(struct frame *f, const struct mm_ids *x)
{
    f[1].index = x->id[0] | (uint64_t)x->id[1] << 32;
    f[1].mapped_by[0] = x->n[0];
    f[1].mapped_by[1] = x->n[1];
    f[1].private = x->mapcount << 1 | x->shared;
}

static bool kept(const struct frame *f)
{
    return f->order > 0 && !(f->flags & FRAME_F_HUGETLB);
}

void folio_forget_mm_ids(struct frame *f)
{
    if (kept(f))
        store(f, &(struct mm_ids){0});
}

/* place returns the index of an address space's place, or 2. */
static unsigned place(const struct mm_ids *x, uint32_t id)
{
    return x->id[0] == id ? 0 : x->id[1] == id ? 1 : 2;
}

void folio_add_large_mapcount(const struct mm *m, struct frame *f, uint32_t n)
{
    if (!kept(f))
        return;
    struct mm_ids x = load(f);
    unsigned i = place(&x, m->mm_id);
    x.mapcount += n;
    if (i == 2) {
        i = place(&x, MM_ID_DUMMY);
        x.shared |= i < 2 && x.mapcount != n; /* I2 */
    }
    if (i < 2) {
        x.id[i] = m->mm_id;
        x.n[i] += n;
    }
    store(f, &x);
}

void folio_sub_large_mapcount(const struct mm *m, struct frame *f, uint32_t n)
{
    if (!kept(f))
        return;
    struct mm_ids x = load(f);
    unsigned i = place(&x, m->mm_id);
    CHECK(x.mapcount >= n);
    x.mapcount -= n;
    bool stays = i < 2 && x.n[i] > n;
    if (i < 2) {
        x.n[i] = stays ? x.n[i] - n : 0;
        x.id[i] = stays ? x.id[i] : MM_ID_DUMMY;
    }
    if (!stays && (x.n[0] == x.mapcount || x.n[1] == x.mapcount)) /* I2 */
        x.shared = false;
    store(f, &x);
}

uint64_t folio_mapcount(const struct mm_sys *s, pfn head)
{
    const struct frame *f = phys_frame(s->phys, head);
    return kept(f) ? load(f).mapcount : f->mapcount + f->entire;
}

bool folio_maybe_mapped_shared(const struct mm_sys *s, pfn head)
{
    const struct frame *f = phys_frame(s->phys, head);
    if (!kept(f))
        return f->mapcount + f->entire > 1;
    struct mm_ids x = load(f);
    return x.mapcount > 1 && x.shared;
}
