/* migrate_int.h: what mempolicy.c, migrate.c and compaction.c share. */
#ifndef MM_MIGRATE_INT_H
#define MM_MIGRATE_INT_H

#include "mm/mm_int.h"

/* Isolated folios (I3 of migrate.c); start with all zero. */
struct folio_list {
    pfn *folio;  /* their first frames */
    uint32_t nr; /* how many */
    uint32_t cap;
};
/* folio_isolate takes a folio off its LRU list and puts it on l; false if it is on none. */
bool folio_isolate(struct mm_sys *s, struct folio_list *l, pfn head);
/* putback_movable_pages gives all folios of a list back to the LRU lists and empties it. */
void putback_movable_pages(struct mm_sys *s, struct folio_list *l);

bool vma_migratable(const struct vma *v);
/* folio_may_migrate: it is of a kind that migrate_folio can move, and not under I/O or locked. */
bool folio_may_migrate(const struct frame *f);

/* migrate_folio moves an isolated folio to dst, new and of its order, and frees src: 0, or -EAGAIN
 * when others refer to it; src then stays isolated and dst the caller's. */
int migrate_folio(struct mm_sys *s, pfn src, pfn dst);

/* migrate_into lets folio i of a list go to dst, which is given back when that fails; list_drop_moved
 * forgets those that went. */
void migrate_into(struct mm_sys *s, struct folio_list *l, uint32_t i, pfn dst);
void list_drop_moved(struct folio_list *l);

/* Where folios of a list go. */
struct migrate_to {
    const struct mempolicy *policy; /* NULL: as pick says */
    struct mm *m;                   /* whose place in interleaving, with policy */
    uint64_t ilx;                   /* interleave index less the folio's page offset */
    struct mpol_pick pick;          /* one place for all */
};
/* migrate_pages moves a list: how many could not be moved, or -ENOMEM. Those stay on the list. */
int64_t migrate_pages(struct mm_sys *s, struct folio_list *l, const struct migrate_to *to);

/* What queue_pages_range looks for. */
struct queue_pages {
    uint64_t start, end;     /* addresses [start, end) */
    uint64_t nodes;          /* pages on these nodes … */
    bool invert;             /* … or, set, on all others */
    bool discontig_ok;       /* holes in the range do not matter */
    uint32_t flags;          /* MPOL_MF_… */
    struct folio_list *list; /* where pages to move go */
    uint64_t large;          /* head of the large folio asked last */
    uint64_t failed;         /* pages that should move and cannot */
};
/* queue_pages_range finds pages that lie on the wrong nodes and isolates those to move: how many
 * cannot be moved, -EFAULT at a hole, or -EIO: MPOL_MF_STRICT alone found one. */
int64_t queue_pages_range(struct mm *m, struct queue_pages *q);

#endif
