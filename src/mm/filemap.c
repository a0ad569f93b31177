/* filemap.c: files and their page cache.
 *
 *   (dev, ino) ─► struct mm_file ─► chunks: pgoff / 512 ─► slot[512]
 *                                    slot:  0         never looked at
 *                                           EVICTED   known not to be cached
 *                                           pfn + 1   cached there
 *
 * pagecache=warm: a page of a regular file that was never looked at is in the cache; it gets its
 * frame when first asked for. pagecache=cold: it must be read, with a readahead window around it;
 * only what the program itself appended is cached. Files in memory have what was touched.
 *
 * I1  A slot's frame is owned by FRAME_PAGE_CACHE, FRAME_USER_FILE (mapped), FRAME_SHMEM or, for
 *     [vdso] and [vvar], FRAME_KERNEL_IMAGE; refs = 1 + mapcount.
 *
 * Source: Linux 6.18 mm/filemap.c (filemap_fault, do_sync_mmap_readahead), mm/truncate.c,
 * mm/shmem.c.
 */
#include "mm/mm_int.h"

#define EVICTED UINT64_MAX

/* -- identity -------------------------------------------------------------------------------- */

static uint64_t file_key(uint64_t dev, uint64_t ino)
{
    return mix64(mix64(dev + 1) ^ ino) >> 1;
}

static enum file_kind kind_of_path(const char *path)
{
    static const char *const in_memory[] = {"/memfd:", "/dev/shm/", "/dev/zero", "/SYSV"};
    for (size_t i = 0; i < ARRAY_LEN(in_memory); i++)
        if (strncmp(path, in_memory[i], strlen(in_memory[i])) == 0)
            return FILE_SHMEM;
    return FILE_REGULAR;
}

struct mm_file *file_new(struct mm_sys *s, enum file_kind kind, const char *path)
{
    struct mm_file *f = calloc(1, sizeof(*f));
    ASSERT(f);
    size_t len = strlen(path), skip = len >= sizeof(f->path) ? len - sizeof(f->path) + 1 : 0;
    memcpy(f->path, path + skip, len - skip + 1);
    f->kind = kind;
    f->refs = 1;
    f->next_all = s->all_files;
    s->all_files = f;
    return f;
}

void file_get(struct mm_file *f)
{
    f->refs++;
}

static void file_free(struct mm_sys *s, struct mm_file *f)
{
    size_t pos = 0;
    filemap_drop(s, f, 0, UINT64_MAX);
    for (const struct map_slot *c; (c = map_next(&f->chunks, &pos)) != NULL;)
        free((void *)(uintptr_t)c->value);
    map_free(&f->chunks);
    struct mm_file **link = &s->all_files;
    while (*link != f)
        link = &(*link)->next_all;
    *link = f->next_all;
    free(f);
}

void mm_file_put(struct mm_sys *s, struct mm_file *f)
{
    ASSERT(f->refs > 0);
    if (--f->refs == 0 && !f->named)
        file_free(s, f);
}

struct mm_file *mm_file(struct mm_sys *s, uint64_t dev, uint64_t ino, uint64_t size,
                        const char *path)
{
    uint64_t *slot = map_at(&s->files, file_key(dev, ino), 0);
    ASSERT(slot);
    struct mm_file *first = (void *)(uintptr_t)*slot, *f = first;
    while (f && (f->dev != dev || f->ino != ino))
        f = f->next_same;
    if (f) {
        file_get(f);
        mm_file_resize(s, f, size);
        return f;
    }
    f = file_new(s, kind_of_path(path), path);
    f->dev = dev;
    f->ino = ino;
    f->size = size;
    f->named = true;
    f->first_pages = file_pages(f);
    f->next_same = first;
    *slot = (uintptr_t)f;
    return f;
}

uint64_t file_pages(const struct mm_file *f)
{
    return div_up(f->size, PAGE_SIZE);
}

void mm_file_resize(struct mm_sys *s, struct mm_file *f, uint64_t size)
{
    uint64_t before = file_pages(f);
    f->size = size;
    uint64_t after = file_pages(f);
    if (after >= before)
        return;
    unmap_mapping_range(s, f, after, UINT64_MAX, true);
    filemap_drop(s, f, after, UINT64_MAX);
    f->first_pages = min_u64(f->first_pages, after);
}

/* -- the cache ------------------------------------------------------------------------------- */

static uint64_t *slot_find(const struct mm_file *f, uint64_t pgoff)
{
    const uint64_t *chunk = map_find(&f->chunks, pgoff / CHUNK_PAGES);
    return chunk ? &((uint64_t *)(uintptr_t)*chunk)[pgoff % CHUNK_PAGES] : NULL;
}

static uint64_t *slot_make(struct mm_file *f, uint64_t pgoff)
{
    uint64_t *chunk = map_at(&f->chunks, pgoff / CHUNK_PAGES, 0);
    ASSERT(chunk);
    if (*chunk == 0) {
        uint64_t *slots = calloc(CHUNK_PAGES, sizeof(*slots));
        ASSERT(slots);
        *chunk = (uintptr_t)slots;
    }
    return &((uint64_t *)(uintptr_t)*chunk)[pgoff % CHUNK_PAGES];
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
    if (pgoff >= file_pages(f))
        return false;
    const uint64_t *slot = slot_find(f, pgoff);
    if (!slot || *slot == 0)
        return cached_unseen(s, f, pgoff);
    return *slot != EVICTED;
}

static int slot_fill(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn *ret)
{
    static const enum frame_owner owners[] = {[FILE_REGULAR] = FRAME_PAGE_CACHE,
                                              [FILE_SHMEM] = FRAME_SHMEM,
                                              [FILE_SPECIAL] = FRAME_KERNEL_IMAGE};
    pfn n;
    int err = phys_alloc(s->phys, 0, GFP_USER, owners[f->kind], &n);
    if (err != 0)
        return err;
    struct frame *fr = phys_frame(s->phys, n);
    fr->refs = 1;
    fr->index = pgoff;
    fr->mapping = f;
    *slot_make(f, pgoff) = n.v + 1;
    *ret = n;
    return 0;
}

int filemap_get(struct mm_sys *s, struct mm_file *f, uint64_t pgoff, pfn *ret)
{
    const uint64_t *slot = slot_find(f, pgoff);
    if (slot && *slot != 0 && *slot != EVICTED) {
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

void filemap_drop(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    size_t pos = 0;
    for (const struct map_slot *c; (c = map_next(&f->chunks, &pos)) != NULL;) {
        uint64_t *slots = (uint64_t *)(uintptr_t)c->value;
        for (uint64_t i = 0; i < CHUNK_PAGES; i++) {
            uint64_t pgoff = c->key * CHUNK_PAGES + i;
            if (pgoff < first || pgoff >= last || slots[i] == 0 || slots[i] == EVICTED)
                continue;
            pfn n = {slots[i] - 1};
            if (phys_frame(s->phys, n)->mapcount == 0) {
                phys_free(s->phys, n, 0);
                slots[i] = 0;
            }
        }
    }
}

void filemap_punch(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    filemap_drop(s, f, first, last);
    if (f->kind != FILE_REGULAR)
        return;
    last = min_u64(last, file_pages(f));
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
    filemap_readahead(s, f, pgoff, pgoff + 1); /* the one that is needed comes first */
    if (!filemap_cached(s, f, pgoff))
        return -ENOMEM;
    filemap_readahead(s, f, first, last);
    return 0;
}

void filemap_clear_dirty(struct mm_sys *s, struct mm_file *f, uint64_t first, uint64_t last)
{
    size_t pos = 0;
    for (const struct map_slot *c; (c = map_next(&f->chunks, &pos)) != NULL;) {
        const uint64_t *slots = (const uint64_t *)(uintptr_t)c->value;
        for (uint64_t i = 0; i < CHUNK_PAGES; i++) {
            uint64_t pgoff = c->key * CHUNK_PAGES + i;
            if (pgoff >= first && pgoff < last && slots[i] != 0 && slots[i] != EVICTED)
                phys_frame(s->phys, (pfn){slots[i] - 1})->flags &= (uint8_t)~FRAME_F_DIRTY;
        }
    }
}
