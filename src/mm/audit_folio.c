/* audit_folio.c: what must hold of every folio, and of the sums over all of them.
 *
 *   entries of all address spaces ─┐
 *   pages in the caches of files ──┼─► every folio there is ─► its references, map counts, list
 *   folios in the swap cache ──────┘                       └─► sums ─► counters of nodes and owners
 *
 * Invariants: I5, I8 and I12 of mm.h. Pages of hugetlb pools stand on no list and in no counter of
 * these; pages of the kernel ([vdso], [vvar]) likewise.
 */
#include "mm/audit_int.h"

/* What the folios of a node add up to, as counters of the node have it. */
struct sums {
    struct mm_node_stat stat;
    uint64_t mlocked;               /* pages */
    uint64_t owned[FRAME_OWNER_NR]; /* frames */
};

/* -- one folio ------------------------------------------------------------------------------- */

/* rmap_finds: the walk from a folio meets as many entries as there are. */
static bool rmap_finds(struct mm_sys *s, pfn head, uint64_t entries)
{
    const struct frame *f = phys_frame(s->phys, head);
    if (f->owner == FRAME_KERNEL_IMAGE)
        return true; /* [vdso]: no VMA has it as its file */
    struct rmap_walk w;
    for (rmap_start(&w, s, head); rmap_next(&w);)
        entries--;
    return entries == 0;
}

static bool in_cache(const struct frame *f)
{
    return f->owner != FRAME_USER_ANON || (f->flags & FRAME_F_SWAPCACHE);
}

/* owned_right is I2 of rmap.c. */
static bool owned_right(const struct frame *head)
{
    for (uint64_t i = 0; i < BIT(head->order); i++) {
        bool mapped = head->entire > 0 || head[i].mapcount > 0;
        if (head[i].owner == (mapped ? FRAME_PAGE_CACHE : FRAME_USER_FILE))
            return false;
    }
    return true;
}

bool audit_folio(struct mm_sys *s, pfn head, uint64_t entries)
{
    const struct frame *f = phys_frame(s->phys, head);
    if (f->flags & FRAME_F_HUGETLB) /* not in the trees' sense: hugetlb_fault.c walks its file's */
        return f->refs == entries + !(f->private & HUGETLB_ANON);
    return f->refs == entries + in_cache(f) && folio_mapcount(s, head) == entries &&
           owned_right(f) && rmap_finds(s, head, entries);
}

bool audit_page(const struct frame *f, uint64_t entries)
{
    bool exclusive = f->flags & FRAME_F_EXCLUSIVE;
    return f->mapcount == entries && f->owner != FRAME_PAGE_CACHE && f->owner != FRAME_FREE &&
           (!exclusive || (f->owner == FRAME_USER_ANON && entries == 1));
}

/* on_one_list: a folio is on a list, or waits for one in a batch; never both, never neither. */
static bool on_one_list(const struct frame *f, pfn head, const struct map *waiting)
{
    const uint64_t *waits = map_find(waiting, head.v);
    return ((f->flags & FRAME_F_LRU) != 0) + (waits ? *waits : 0) == 1 &&
           !(f->flags & FRAME_F_ISOLATED);
}

/* -- sums ------------------------------------------------------------------------------------ */

static void add_frames(const struct frame *head, struct sums *t)
{
    bool anon = head->owner == FRAME_USER_ANON;
    for (uint64_t i = 0; i < BIT(head->order); i++) {
        t->owned[head[i].owner]++;
        if (head->entire > 0 || head[i].mapcount > 0)
            t->stat.v[anon ? NODE_nr_anon_pages : NODE_nr_mapped]++;
    }
}

static void add_folio(const struct frame *f, struct sums *t)
{
    uint64_t nr = BIT(f->order);
    bool anon = f->owner == FRAME_USER_ANON;
    add_frames(f, t);
    if (f->flags & FRAME_F_LRU)
        t->stat.v[NODE_nr_inactive_anon + folio_lru_list(f)] += nr;
    t->mlocked += f->flags & FRAME_F_MLOCKED ? nr : 0;
    t->stat.v[NODE_nr_file_pages] += in_cache(f) ? nr : 0;
    t->stat.v[NODE_nr_shmem] += f->owner == FRAME_SHMEM ? nr : 0;
    t->stat.v[NODE_nr_swapcached] += f->flags & FRAME_F_SWAPCACHE ? nr : 0;
    t->stat.v[NODE_nr_anon_transparent_hugepages] += anon && f->entire > 0 ? nr : 0;
    t->stat.v[NODE_nr_shmem_pmdmapped] += !anon && f->entire > 0 ? nr : 0;
    t->stat.v[NODE_nr_shmem_hugepages] += !anon && f->order == HPAGE_PMD_ORDER ? nr : 0;
    if (f->owner == FRAME_PAGE_CACHE || f->owner == FRAME_USER_FILE)
        t->stat.v[NODE_nr_dirty] += f->flags & FRAME_F_DIRTY ? nr : 0;
}

static bool sums_right(const struct mm_sys *s, const struct sums *t, unsigned nid)
{
    static const enum node_stat_item items[] = {
        NODE_nr_inactive_anon,  NODE_nr_active_anon,   NODE_nr_inactive_file,
        NODE_nr_active_file,    NODE_nr_unevictable,   NODE_nr_anon_pages,
        NODE_nr_mapped,         NODE_nr_file_pages,    NODE_nr_dirty,
        NODE_nr_shmem,          NODE_nr_swapcached,    NODE_nr_anon_transparent_hugepages,
        NODE_nr_isolated_anon,  NODE_nr_isolated_file, NODE_nr_shmem_hugepages,
        NODE_nr_shmem_pmdmapped};
    const struct mm_node *node = &s->lru.node[nid];
    uint64_t mlocked = 0;
    for (unsigned i = 0; i < ARRAY_LEN(items); i++)
        if (node->stat.v[items[i]] != t->stat.v[items[i]])
            return false;
    for (int z = 0; z < ZONE_NR; z++)
        mlocked += node->mlocked[z];
    return mlocked == t->mlocked;
}

/* owners_right: no frame of a program's memory is left that no folio has. */
static bool owners_right(const struct mm_sys *s, const struct sums *t)
{
    static const enum frame_owner owners[] = {FRAME_PAGE_CACHE, FRAME_USER_FILE, FRAME_USER_ANON,
                                              FRAME_SHMEM};
    for (unsigned i = 0; i < ARRAY_LEN(owners); i++) {
        uint64_t frames = 0;
        for (unsigned nid = 0; nid < s->lru.nodes; nid++)
            frames += t[nid].owned[owners[i]];
        if (frames != phys_owner_frames(s->phys, owners[i]))
            return false;
    }
    return phys_owner_frames(s->phys, FRAME_HUGETLB) == hugetlb_total_pages(s);
}

/* -- all folios ------------------------------------------------------------------------------ */

/* add_swap_cache adds the folios of the swap cache to those that entries or files lead to. */
static void add_swap_cache(const struct mm_sys *s, struct map *folios)
{
    for (unsigned t = 0; t < MAX_SWAPFILES; t++)
        for (uint64_t i = 1; i < s->swap.area[t].max; i++) {
            const struct swap_slot *slot = &s->swap.area[t].slot[i];
            if (swap_slot_cached(slot))
                audit_count(folios, (slot->cache >> 1) - 1, 0);
        }
}

static bool pages_right(const struct mm_sys *s, const struct audit_seen *seen)
{
    size_t pos = 0;
    const struct map_slot *x;
    while ((x = map_next(&seen->small, &pos)) != NULL)
        if (!audit_page(phys_frame(s->phys, (pfn){x->key}), x->value))
            return false;
    for (pos = 0; (x = map_next(&seen->whole, &pos)) != NULL;)
        if (phys_frame(s->phys, (pfn){x->key})->entire != x->value)
            return false;
    return true;
}

static int folios_right(struct mm_sys *s, const struct map *folios, const struct map *waiting,
                        struct sums *sums)
{
    size_t pos = 0;
    for (const struct map_slot *x; (x = map_next(folios, &pos)) != NULL;) {
        const struct frame *f = phys_frame(s->phys, (pfn){x->key});
        if (!audit_folio(s, (pfn){x->key}, x->value))
            return 5;
        if (f->owner == FRAME_KERNEL_IMAGE || (f->flags & FRAME_F_HUGETLB))
            continue;
        if (!on_one_list(f, (pfn){x->key}, waiting))
            return 8;
        add_folio(f, &sums[f->nid]);
    }
    return 0;
}

int audit_folios(struct mm_sys *s, struct audit_seen *seen)
{
    struct map waiting;
    struct sums *sums = calloc(s->lru.nodes, sizeof(*sums));
    ASSERT(sums);
    map_init(&waiting);
    lru_count_waiting(s, &waiting);
    add_swap_cache(s, &seen->folios);
    int broken = filemap_count_cached(s, &seen->folios) ? 0 : 12;
    if (broken == 0)
        broken = pages_right(s, seen) ? folios_right(s, &seen->folios, &waiting, sums) : 5;
    for (unsigned nid = 0; nid < s->lru.nodes && broken == 0; nid++)
        broken = sums_right(s, &sums[nid], nid) ? 0 : 12;
    if (broken == 0 && !owners_right(s, sums))
        broken = 12;
    map_free(&waiting);
    free(sums);
    return broken;
}
