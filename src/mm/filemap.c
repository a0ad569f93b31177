/* filemap.c: files and their page cache.
 *
 *   (dev, ino) ─► struct mm_file ─► head: slot[pages of a small file, or 512]
 *                               └─► chunks: pgoff / 512 ─► slot[512]
 *                                    slot:  0         never looked at
 *                                           EVICTED   known not to be cached
 *                                           pfn + 1   cached there
 *
 * pagecache=warm: a page of a regular file that was never looked at is in the cache; it gets its
 * frame when first asked for. pagecache=cold: it must be read, with a readahead window around it;
 * only what the program itself appended is cached. Files in memory have what was touched.
 *
 * I1  A slot's frame is owned by FRAME_PAGE_CACHE, FRAME_USER_FILE (mapped), FRAME_SHMEM or, for
 *     [vdso] and [vvar], FRAME_KERNEL_IMAGE; refs of its folio = 1 + mapcount.
 * I2  A large folio (file_folio.c) begins at a multiple of its size and is in the cache as a whole: each
 *     of its frames in the slot of its page, which all lie in one piece.
 *
 * Source: Linux 6.18 mm/filemap.c (filemap_fault, do_sync_mmap_readahead), mm/truncate.c,
 * mm/shmem.c.
 */
#include "mm/mm_int.h"

#define EVICTED        UINT64_MAX
#define HOLE_PAGES_MAX BIT(22) /* a hole is noted for so many pages: 16 GiB, 32 MiB of slots */
#define SLOT_SHADOW    BIT(63) /* evicted; the rest says when (workingset.c). EVICTED has it, too */
#define SLOT_SWAP      BIT(62) /* swapped out: type << 56 | offset */
#define SLOT_POISON    (SLOT_SWAP | BIT(61)) /* swapped out, and could not be read again */

static bool slot_has_frame(uint64_t slot)
{
    return slot != 0 && !(slot & (SLOT_SHADOW | SLOT_SWAP));
}

/* slot_in_swap: there is a swap entry in it. */
static bool slot_in_swap(uint64_t slot)
{
    return (slot & (SLOT_SHADOW | SLOT_POISON)) == SLOT_SWAP;
}

static pte slot_entry(uint64_t slot)
{
    return swp_make((unsigned)(slot >> 56 & 31), slot & (BIT(32) - 1), 0);
}

/* -- identity -------------------------------------------------------------------------------- */

static uint64_t file_key(uint64_t dev, uint64_t ino)
{
    return mix64(mix64(dev + 1) ^ ino) >> 1;
}

static enum file_kind kind_of_path(const char *path)
{
    static const char *const in_memory[] = {"/memfd:", "/dev/shm/", "/dev/zero (", "/SYSV"};
    if (strcmp(path, "/dev/zero") == 0)
        return FILE_ZERO;
    for (size_t i = 0; i < ARRAY_LEN(in_memory); i++)
        if (strncmp(path, in_memory[i], strlen(in_memory[i])) == 0)
            return FILE_SHMEM;
    return FILE_REGULAR;
}

static uint64_t *slot_find(const struct mm_file *f, uint64_t pgoff);

struct mm_file *file_new(struct mm_sys *s, enum file_kind kind, const char *path)
{
    size_t all = strlen(path), len = min_u64(all, FILE_PATH_MAX);
    struct mm_file *f = calloc(1, sizeof(*f) + len + 1);
    ASSERT(f);
    memcpy(f->path, path + (all - len), len + 1);
    f->kind = kind;
    f->sysv = strncmp(path, "/SYSV", 5) == 0;
    f->fd = -1;
    f->serial = ++s->files_made;
    f->refs = 1;
    f->next_all = s->all_files;
    f->link_all = &s->all_files;
    if (f->next_all)
        f->next_all->link_all = &f->next_all;
    s->all_files = f;
    return f;
}

void file_get(struct mm_file *f)
{
    f->refs++;
}

/* file_unname takes a file out of the table of names. */
static void file_unname(struct mm_sys *s, const struct mm_file *f)
{
    uint64_t key = file_key(f->dev, f->ino), *slot = map_find(&s->files, key);
    struct mm_file *first = (void *)(uintptr_t)*slot;
    if (first == f) {
        *slot = (uintptr_t)f->next_same;
    } else {
        while (first->next_same != f)
            first = first->next_same;
        first->next_same = f->next_same;
    }
    if (*slot == 0)
        map_del(&s->files, key);
}

static void file_free(struct mm_sys *s, struct mm_file *f)
{
    size_t pos = 0;
    if (f->named)
        file_unname(s, f);
    if (f->sysv)
        shm_file_gone(s, f);
    filemap_drop(s, f, 0, UINT64_MAX);
    if (f->hugetlb)
        hugetlb_evict(s, f);
    mpol_free_shared_policy(f);
    vm_acct_memory(s, -(int64_t)f->promised_pages);
    free(f->head);
    for (const struct map_slot *c; (c = map_next(&f->chunks, &pos)) != NULL;)
        free((void *)(uintptr_t)c->value);
    map_free(&f->chunks);
    *f->link_all = f->next_all;
    if (f->next_all)
        f->next_all->link_all = f->link_all;
    free(f);
}

void mm_file_put(struct mm_sys *s, struct mm_file *f)
{
    ASSERT(f->refs > 0);
    if (--f->refs == 0 && (!f->named || f->unlinked))
        file_free(s, f);
}

void mm_file_unlink(struct mm_file *f)
{
    f->unlinked = true;
}

/* file_lookup finds a named file, or NULL; *ret_first is the first of those that hash alike. */
static struct mm_file *file_lookup(const struct mm_sys *s, uint64_t dev, uint64_t ino,
                                   struct mm_file **ret_first)
{
    const uint64_t *slot = map_find(&s->files, file_key(dev, ino));
    struct mm_file *f = slot ? (void *)(uintptr_t)*slot : NULL;
    *ret_first = f;
    while (f && (f->dev != dev || f->ino != ino))
        f = f->next_same;
    return f;
}

struct mm_file *mm_file_find(struct mm_sys *s, uint64_t dev, uint64_t ino, uint64_t *ret_size)
{
    struct mm_file *first, *f = file_lookup(s, dev, ino, &first);
    if (!f)
        return NULL;
    *ret_size = f->size;
    file_get(f);
    return f;
}

/* file_name enters a file under its device and inode; first: as file_lookup gave it. */
static void file_name(struct mm_sys *s, struct mm_file *f, uint64_t dev, uint64_t ino,
                      struct mm_file *first)
{
    f->dev = dev;
    f->ino = ino;
    f->named = true;
    f->next_same = first;
    int err = map_put(&s->files, file_key(dev, ino), (uintptr_t)f);
    ASSERT(err == 0);
}

struct mm_file *mm_file(struct mm_sys *s, uint64_t dev, uint64_t ino, uint64_t size,
                        const char *path)
{
    struct mm_file *first, *f = file_lookup(s, dev, ino, &first);
    if (f) {
        file_get(f);
        f->unlinked = false;
        mm_file_resize(s, f, size);
        return f;
    }
    f = file_new(s, kind_of_path(path), path);
    f->size = size;
    f->first_pages = file_pages(f);
    file_name(s, f, dev, ino, first);
    return f;
}

int mm_hugetlb_named(struct mm_sys *s, uint64_t dev, uint64_t ino, const struct mm_hugetlb_file *q,
                     struct mm_file **ret)
{
    struct mm_file *first, *f = file_lookup(s, dev, ino, &first);
    if (f && f->kind != FILE_HUGETLB)
        return -EINVAL;
    if (f) {
        file_get(f);
        f->unlinked = false;
        mm_file_resize(s, f, align_up(q->bytes, huge_page_size(s, f)));
        *ret = f;
        return 0;
    }
    int err = mm_hugetlb_file(s, q, &f);
    if (err != 0)
        return err;
    file_name(s, f, dev, ino, first);
    *ret = f;
    return 0;
}

bool file_is_mounted_shmem(const struct mm_file *f)
{
    return f->kind == FILE_SHMEM && strncmp(f->path, "/dev/shm/", 9) == 0;
}

uint64_t file_pages(const struct mm_file *f)
{
    return div_up(f->size, PAGE_SIZE);
}

void filemap_zero_partial(struct mm_sys *s, struct mm_file *f, uint64_t from, uint64_t to)
{
    const uint64_t *slot = slot_find(f, from >> PAGE_SHIFT);
    uint64_t at = from & ~PAGE_MASK;
    bool partial = to > from && (at != 0 || to - from < PAGE_SIZE);
    pfn n;
    if (!partial || !slot || *slot == 0 || (*slot & SLOT_SHADOW))
        return;
    if (filemap_get(s, f, from >> PAGE_SHIFT, &n) != 0) /* brings it back from swap */
        return;
    file_zero(s, n, at, min_u64(PAGE_SIZE, at + (to - from)));
    if (f->kind == FILE_SHMEM)
        phys_frame(s->phys, folio_head(s, n))->flags |= FRAME_F_DIRTY; /* shmem_undo_range */
}

void mm_file_resize(struct mm_sys *s, struct mm_file *f, uint64_t size)
{
    uint64_t before = file_pages(f), old = f->size;
    f->size = size;
    uint64_t after = file_pages(f);
    if (size < old)
        filemap_zero_partial(s, f, size, UINT64_MAX);
    else if (size > old && f->kind == FILE_REGULAR)
        filemap_zero_partial(s, f, old, size);
    if (after < before)
        unmap_mapping_range(s, f, after, UINT64_MAX, true);
    if (size < old)
        truncate_partial_folios(s, f, size, UINT64_MAX);
    if (after >= before)
        return;
    filemap_drop(s, f, after, UINT64_MAX);
    if (f->hugetlb)
        hugetlb_drop(s, f, after, UINT64_MAX, true);
    f->first_pages = min_u64(f->first_pages, after);
}

/* -- the cache ------------------------------------------------------------------------------- */

static uint64_t *slot_find(const struct mm_file *f, uint64_t pgoff)
{
    if (pgoff < CHUNK_PAGES)
        return pgoff < f->head_n ? &f->head[pgoff] : NULL;
    const uint64_t *chunk = map_find(&f->chunks, pgoff / CHUNK_PAGES);
    return chunk ? &((uint64_t *)(uintptr_t)*chunk)[pgoff % CHUNK_PAGES] : NULL;
}

/* head_make makes the head long enough for a page, and for the file as it now is. */
static uint64_t *head_make(struct mm_file *f, uint64_t pgoff)
{
    uint64_t n = min_u64(max_u64(file_pages(f), pgoff + 1), CHUNK_PAGES);
    if (pgoff >= f->head_n) {
        f->head = realloc(f->head, n * sizeof(*f->head));
        ASSERT(f->head);
        memset(f->head + f->head_n, 0, (n - f->head_n) * sizeof(*f->head));
        f->head_n = (uint32_t)n;
    }
    return &f->head[pgoff];
}

static uint64_t *slot_make(struct mm_file *f, uint64_t pgoff)
{
    if (pgoff < CHUNK_PAGES)
        return head_make(f, pgoff);
    uint64_t *chunk = map_at(&f->chunks, pgoff / CHUNK_PAGES, 0);
    ASSERT(chunk);
    if (*chunk == 0) {
        uint64_t *slots = calloc(CHUNK_PAGES, sizeof(*slots));
        ASSERT(slots);
        *chunk = (uintptr_t)slots;
    }
    return &((uint64_t *)(uintptr_t)*chunk)[pgoff % CHUNK_PAGES];
}

/* Goes over the slots of a file piece by piece; start with all zero. */
struct chunk_run {
    bool begun;      /* the head was looked at */
    size_t pos;      /* in the map of chunks */
    uint64_t *slots; /* the piece */
    uint64_t n;      /* its slots */
    uint64_t first;  /* the page the first of them stands for */
};

static bool chunk_next(const struct mm_file *f, struct chunk_run *r)
{
    if (!r->begun) {
        *r = (struct chunk_run){.begun = true, .slots = f->head, .n = f->head_n};
        return true;
    }
    const struct map_slot *c = map_next(&f->chunks, &r->pos);
    if (!c)
        return false;
    r->slots = (uint64_t *)(uintptr_t)c->value;
    r->n = CHUNK_PAGES;
    r->first = c->key * CHUNK_PAGES;
    return true;
}

static bool cached_unseen(const struct mm_sys *s, const struct mm_file *f, uint64_t pgoff)
{
    if (f->kind == FILE_SHMEM)
        return false;
    return f->kind == FILE_SPECIAL || s->conf.pagecache == PAGECACHE_WARM ||
           pgoff >= f->first_pages;
}

bool filemap_cached(const struct mm_sys *s, const struct mm_file *f, uint64_t pgoff)
{
    const uint64_t *slot = slot_find(f, pgoff);
    if (!slot || *slot == 0)
        return pgoff < file_pages(f) && cached_unseen(s, f, pgoff);
    return slot_has_frame(*slot); /* a huge page may reach behind the end of the file */
}

/* count_cached: the n pages of a folio came into the cache of a file, or left it (negative). */
static void count_cached(struct mm_sys *s, const struct frame *f, int64_t n)
{
    node_stat_add(s, f, NODE_nr_file_pages, n);
    if (f->owner == FRAME_SHMEM)
        node_stat_add(s, f, NODE_nr_shmem, n);
    if (f->order == HPAGE_PMD_ORDER)
        node_stat_add(s, f, NODE_nr_shmem_hugepages, n);
}

static int slot_fill(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn *ret)
{
    static const enum frame_owner owners[] = {[FILE_REGULAR] = FRAME_PAGE_CACHE,
                                              [FILE_SHMEM] = FRAME_SHMEM,
                                              [FILE_SPECIAL] = FRAME_KERNEL_IMAGE};
    pfn n;
    struct mm_req req = {.gfp = GFP_USER, .owner = owners[f->kind], .file = f, .pgoff = pgoff};
    int err = mm_alloc(s, &req, &n);
    if (err != 0)
        return err;
    struct frame *fr = phys_frame(s->phys, n);
    fr->refs = 1;
    fr->index = pgoff;
    fr->mapping = f;
    uint64_t *slot = slot_make(f, pgoff), shadow = *slot;
    *slot = n.v + 1;
    shmem_acct_page(s, f, 1);
    file_readpage(s, f, pgoff, n);
    if (f->kind != FILE_SPECIAL) {
        if (f->kind == FILE_SHMEM)
            fr->flags |= FRAME_F_SWAPBACKED;
        count_cached(s, fr, 1);
        if ((shadow & SLOT_SHADOW) && shadow != EVICTED)
            workingset_refault(s, n, shadow & ~SLOT_SHADOW);
        folio_add_lru(s, n);
    }
    *ret = n;
    return 0;
}

bool filemap_cached_at(const struct mm_file *f, uint64_t pgoff, pfn *ret)
{
    const uint64_t *slot = slot_find(f, pgoff);
    if (!slot || !slot_has_frame(*slot))
        return false;
    *ret = (pfn){*slot - 1};
    return true;
}

int filemap_get(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn *ret)
{
    const uint64_t *slot = slot_find(f, pgoff);
    if (slot && slot_has_frame(*slot)) {
        *ret = (pfn){*slot - 1};
        return 0;
    }
    return filemap_cached(s, f, pgoff) ? slot_fill(s, f, pgoff, ret) : -ENOENT;
}

int filemap_add(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn *ret)
{
    int err = slot_fill(s, f, pgoff, ret);
    if (err != 0)
        return err;
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_CHARGE, 1);
    if (f->kind == FILE_SHMEM)
        kernel_write(s, pfn_paddr(*ret), PAGE_SIZE);
    return 0;
}

/* fill_slots lets a folio stand in the cache of its file, in place of what was there. */
static void fill_slots(struct mm_sys *s, pfn head)
{
    const struct frame *fr = phys_frame(s->phys, head);
    uint64_t nr = BIT(fr->order), *slot;
    slot_make(fr->mapping, fr->index + nr - 1); /* so that none of them moves */
    slot = slot_make(fr->mapping, fr->index);
    for (uint64_t i = 0; i < nr; i++)
        slot[i] = head.v + i + 1;
    count_cached(s, fr, (int64_t)nr);
}

void filemap_add_folio(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn head)
{
    struct frame *fr = phys_frame(s->phys, head);
    fr->refs = 1;
    fr->index = pgoff;
    fr->mapping = f;
    fr->flags |= FRAME_F_SWAPBACKED;
    fill_slots(s, head);
    folio_add_lru(s, head);
}

void filemap_remove_folio(struct mm_sys *s, pfn head)
{
    struct frame *fr = phys_frame(s->phys, head);
    uint64_t nr = BIT(fr->order), *slot = slot_find(fr->mapping, fr->index);
    CHECK(!folio_mapped(s, head) && slot && *slot == head.v + 1); /* I2 */
    if (fr->owner != FRAME_KERNEL_IMAGE)
        count_cached(s, fr, -(int64_t)nr);
    shmem_acct_page(s, fr->mapping, -(int64_t)nr);
    memset(slot, 0, nr * sizeof(*slot));
    folio_free(s, head);
}

/* drop_slot empties a slot, unless its page is mapped; of a large folio, all of its slots. */
static void drop_slot(struct mm_sys *s, struct mm_file *f, uint64_t *slot)
{
    if (*slot & SLOT_SHADOW)
        return;
    if (*slot == SLOT_POISON) {
        *slot = 0;
    } else if (*slot & SLOT_SWAP) {
        free_swap_and_cache(s, slot_entry(*slot));
        shmem_acct_page(s, f, -1);
        *slot = 0;
    } else if (*slot != 0 && !folio_mapped(s, folio_head(s, (pfn){*slot - 1}))) {
        filemap_remove_folio(s, folio_head(s, (pfn){*slot - 1}));
    }
}

/* sticks_out: a slot's page is part of a folio that is not all of [first, last). */
static bool sticks_out(const struct mm_sys *s, uint64_t slot, uint64_t first, uint64_t last)
{
    if (!slot_has_frame(slot))
        return false;
    const struct frame *fr = phys_frame(s->phys, folio_head(s, (pfn){slot - 1}));
    return fr->index < first || fr->index + BIT(fr->order) > last;
}

void filemap_drop(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    struct chunk_run r = {0};
    while (chunk_next(f, &r))
        for (uint64_t i = 0; i < r.n; i++) {
            uint64_t pgoff = r.first + i;
            if (pgoff >= first && pgoff < last && !sticks_out(s, r.slots[i], first, last))
                drop_slot(s, f, &r.slots[i]);
        }
}

/* move_dirty: the copy is what has to be written; it counts where it lies (folio_migrate_mapping). */
static void move_dirty(struct mm_sys *s, const struct frame *from, const struct frame *to)
{
    if (((const struct mm_file *)to->mapping)->kind != FILE_REGULAR || !(to->flags & FRAME_F_DIRTY))
        return;
    node_stat_add(s, from, NODE_nr_dirty, -1);
    node_stat_add(s, to, NODE_nr_dirty, 1);
}

void filemap_migrate(struct mm_sys *s, pfn src, pfn dst)
{
    struct frame *from = phys_frame(s->phys, src), *to = phys_frame(s->phys, dst);
    const uint64_t *slot = slot_find(from->mapping, from->index);
    CHECK(slot && *slot == src.v + 1); /* I1 */
    count_cached(s, from, -(int64_t)BIT(from->order));
    fill_slots(s, dst);
    move_dirty(s, from, to);
    from->refs--;
    to->refs++;
}

void filemap_punch(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    if (f->hugetlb)
        hugetlb_drop(s, f, first, last, false);
    filemap_drop(s, f, first, last);
    if (f->kind != FILE_REGULAR)
        return;
    last = min_u64(min_u64(last, file_pages(f)), first + HOLE_PAGES_MAX);
    for (uint64_t i = first; i < last; i++)
        *slot_make(f, i) = EVICTED;
}

/* -- reading --------------------------------------------------------------------------------- */

void filemap_readahead(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    uint64_t read = 0;
    last = min_u64(last, file_pages(f));
    for (uint64_t i = first; i < last; i++) {
        pfn n;
        if (filemap_cached(s, f, i))
            continue;
        if (filemap_add(s, f, i, &n) != 0)
            break;
        read++;
    }
    STAT(s->stats, pgpgin) += read * (PAGE_SIZE / 1024);
    if (read > 0)
        arch_step(s->outbox, STEP_IO, 1);
}

/* do_sync_mmap_readahead: which pages a miss reads besides its own. */
static void ra_window(const struct mm_sys *s, struct mm_file *f, const struct vma *v,
                      uint64_t pgoff, uint64_t *first, uint64_t *last)
{
    uint64_t ra = s->conf.kernel_read_ahead;
    *first = pgoff;
    *last = pgoff + 1;
    if ((v->flags & VM_RAND_READ) || ra == 0)
        return;
    if (v->flags & VM_SEQ_READ) {
        *last = pgoff + ra;
        return;
    }
    if (f->mmap_miss < RA_LOTSAMISS * 10)
        f->mmap_miss++;
    if (f->mmap_miss > RA_LOTSAMISS)
        return;
    *first = pgoff - min_u64(pgoff, ra / 2);
    *last = max_u64(*first + ra, pgoff + 1);
}

int filemap_read(struct mm_sys *s, struct mm_file *f, const struct vma *v, uint64_t pgoff)
{
    uint64_t first, last;
    STAT(s->stats, pgmajfault)++;
    ra_window(s, f, v, pgoff, &first, &last);
    pfn n;
    filemap_readahead(s, f, pgoff, pgoff + 1); /* the one that is needed comes first */
    if (!filemap_cached(s, f, pgoff) || filemap_get(s, f, pgoff, &n) != 0)
        return -ENOMEM;
    phys_frame(s->phys, n)->flags |= FRAME_F_LOCKED; /* its neighbours must not push it out */
    filemap_readahead(s, f, first, last);
    phys_frame(s->phys, n)->flags &= ~FRAME_F_LOCKED;
    return 0;
}

void filemap_clear_dirty(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    struct chunk_run r = {0};
    while (chunk_next(f, &r))
        for (uint64_t i = 0; i < r.n; i++) {
            uint64_t pgoff = r.first + i;
            if (pgoff >= first && pgoff < last && slot_has_frame(r.slots[i]))
                folio_written(s, (pfn){r.slots[i] - 1});
        }
}

/* -- reclaim ----------------------------------------------------------------------------------- */

bool filemap_can_evict(struct mm_sys *s, pfn n)
{
    const struct mm_file *f = phys_frame(s->phys, n)->mapping;
    return f->kind == FILE_REGULAR && (f->fd >= 0 || !phys_bytes(s->phys, n));
}

void filemap_evict(struct mm_sys *s, pfn n, uint64_t shadow)
{
    struct frame *f = phys_frame(s->phys, n);
    uint64_t *slot = slot_find(f->mapping, f->index);
    CHECK(slot && *slot == n.v + 1 && f->mapcount == 0);
    count_cached(s, f, -1);
    *slot = SLOT_SHADOW | shadow;
    f->refs--;
}

void filemap_evict_clean_shmem(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    uint64_t *slot = slot_find(f->mapping, f->index);
    CHECK(slot && *slot == n.v + 1 && f->mapcount == 0 && !(f->flags & FRAME_F_DIRTY));
    count_cached(s, f, -1);
    shmem_acct_page(s, f->mapping, -1);
    *slot = 0;
    f->refs--;
}

void filemap_to_swap(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    uint64_t *slot = slot_find(f->mapping, f->index);
    pte entry = folio_swap_entry(f);
    CHECK(slot && *slot == n.v + 1 && f->mapcount == 0);
    *slot = SLOT_SWAP | (uint64_t)swp_type(entry) << 56 | swp_offset(entry);
    swap_dup(s, entry);
    count_cached(s, f, -1);
    f->refs--;
    f->mapping = NULL;
    phys_set_owner(s->phys, n, FRAME_USER_ANON); /* as any page of the swap cache */
}

bool filemap_swapped(const struct mm_file *f, uint64_t pgoff, pte *ret)
{
    const uint64_t *slot = slot_find(f, pgoff);
    if (!slot || !slot_in_swap(*slot))
        return false;
    *ret = slot_entry(*slot);
    return true;
}

static bool is_poisoned(const struct mm_file *f, uint64_t pgoff)
{
    const uint64_t *slot = slot_find(f, pgoff);
    return slot && *slot == SLOT_POISON;
}

/* swapin_error is shmem_set_folio_swapin_error: the page is lost, and so is its place in swap. */
static int swapin_error(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pte entry, pfn n)
{
    *slot_find(f, pgoff) = SLOT_POISON;
    shmem_acct_page(s, f, -1);
    swap_free(s, entry);
    swap_cache_drop(s, n);
    return -EIO;
}

int filemap_swapin(struct mm_sys *s, struct mm_file *f, struct vma *v, vaddr a, uint64_t pgoff)
{
    pte entry;
    pfn n;
    if (!filemap_swapped(f, pgoff, &entry))
        return is_poisoned(f, pgoff) ? -EIO : 0;
    int got = swapin_page(s, v, a, entry, false, &n);
    if (got < 0)
        return got;
    struct frame *fr = phys_frame(s->phys, n);
    if (fr->flags & FRAME_F_NO_DATA)
        return swapin_error(s, f, pgoff, entry, n);
    phys_set_owner(s->phys, n, FRAME_SHMEM);
    fr->refs++; /* the file's */
    fr->index = pgoff;
    fr->mapping = f;
    *slot_find(f, pgoff) = n.v + 1;
    count_cached(s, fr, 1);
    swap_free(s, entry);
    if (fr->flags & FRAME_F_WRITEBACK)
        writeback_end(s);
    folio_free_swap(s, n);
    fr->flags |= FRAME_F_DIRTY; /* shmem_swapin_folio: no other copy is left */
    return got;
}

int filemap_unuse(struct mm_sys *s, unsigned type)
{
    for (struct mm_file *f = s->all_files; f; f = f->next_all) {
        struct chunk_run r = {0};
        pte entry;
        while (f->kind == FILE_SHMEM && chunk_next(f, &r))
            for (uint64_t i = 0; i < r.n; i++)
                if (filemap_swapped(f, r.first + i, &entry) && swp_type(entry) == type &&
                    filemap_swapin(s, f, NULL, va(0), r.first + i) == -ENOMEM)
                    return -ENOMEM;
    }
    return 0;
}

/* filemap_count_swap counts how often each slot is named by files in memory. */
void filemap_count_swap(const struct mm_sys *s, struct map *named)
{
    for (const struct mm_file *f = s->all_files; f; f = f->next_all) {
        struct chunk_run r = {0};
        while (chunk_next(f, &r))
            for (uint64_t i = 0; i < r.n; i++)
                if (slot_in_swap(r.slots[i])) {
                    uint64_t *count = map_at(named, slot_entry(r.slots[i]).v, 0);
                    ASSERT(count);
                    ++*count;
                }
    }
}

/* cached_right is I1 and I2 for the frame of slot i of a piece, and that the folio leads back to it. */
static bool cached_right(const struct mm_sys *s, const struct mm_file *f, const struct chunk_run *r,
                         uint64_t i)
{
    pfn n = {r->slots[i] - 1}, head = folio_head(s, n);
    const struct frame *fr = phys_frame(s->phys, n), *folio = phys_frame(s->phys, head);
    bool regular = fr->owner == FRAME_PAGE_CACHE || fr->owner == FRAME_USER_FILE;
    enum frame_owner in_memory = f->kind == FILE_SHMEM ? FRAME_SHMEM : FRAME_KERNEL_IMAGE;
    uint64_t nr = BIT(folio->order), at = i - (n.v - head.v);
    return folio->mapping == f && folio->index == r->first + at && folio->index % nr == 0 &&
           at + nr <= r->n && r->slots[at] == head.v + 1 && r->slots[at + nr - 1] == head.v + nr &&
           (f->kind == FILE_REGULAR ? regular : fr->owner == in_memory);
}

bool filemap_count_cached(const struct mm_sys *s, struct map *folios)
{
    for (const struct mm_file *f = s->all_files; f; f = f->next_all) {
        struct chunk_run r = {0};
        while (chunk_next(f, &r))
            for (uint64_t i = 0; i < r.n; i++) {
                if (!slot_has_frame(r.slots[i]))
                    continue;
                if (!cached_right(s, f, &r, i))
                    return false;
                uint64_t *entries = map_at(folios, folio_head(s, (pfn){r.slots[i] - 1}).v, 0);
                ASSERT(entries);
            }
    }
    return true;
}

void mm_drop_caches(struct mm_sys *s, unsigned what)
{
    lru_add_drain_all(s);
    if (what & 2)
        STAT(s->stats, drop_slab)++; /* the modelled slabs hold nothing that could go */
    if (!(what & 1))
        return;
    STAT(s->stats, drop_pagecache)++;
    for (struct mm_file *f = s->all_files; f; f = f->next_all) {
        struct chunk_run r = {0};
        while (f->kind == FILE_REGULAR && chunk_next(f, &r))
            for (uint64_t i = 0; i < r.n; i++)
                if (slot_has_frame(r.slots[i]) &&
                    !(phys_frame(s->phys, (pfn){r.slots[i] - 1})->flags & FRAME_F_DIRTY)) {
                    drop_slot(s, f, &r.slots[i]);
                    r.slots[i] = r.slots[i] == 0 ? EVICTED : r.slots[i];
                }
    }
    AUDIT(audit_fault(s));
}
