/* swap.c: swap areas: who holds their slots, and the bytes behind them. Which slot is taken next:
 * swap_cluster.c.
 *
 *   slot.count   entries that name it: swap entries in page tables, slots of shmem files
 *   slot.cache   its folio in the swap cache, or the shadow of one that was evicted
 *
 * I1  A slot is in use iff its count is not 0 or a folio of the swap cache holds it; area.inuse is
 *     the number of those.
 * I2  A folio has FRAME_F_SWAPCACHE iff exactly one slot's cache is it, and its private names that
 *     slot.
 * I3  Σ counts of an area = swap entries of all address spaces and shmem files that name it.
 *
 * Source: Linux 6.18 mm/swapfile.c (swap_alloc_slow, swap_free, free_swap_and_cache_nr,
 * folio_free_swap, vm_swap_full), mm/page_io.c (swap_writeout).
 */
#include "mm/mm_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWAP_MAGIC      "SWAPSPACE2"
#define SWAP_MAGIC_AT   (PAGE_SIZE - 10)
#define SWAP_OFFSET_MAX (BIT(27) - 1) /* frame.private: 5 bits of type, 27 of offset */
#define AREA_MIN        10u           /* pages, as swapon(2) has it */
#define SWAP_SLOT_ZERO  1u            /* all bytes of the page are zero: nothing was written */

static uint32_t pack(pte entry)
{
    return swp_type(entry) << 27 | (uint32_t)swp_offset(entry);
}

pte folio_swap_entry(const struct frame *head)
{
    CHECK(head->flags & FRAME_F_SWAPCACHE);
    return swp_make(head->private >> 27, head->private & SWAP_OFFSET_MAX, 0);
}

bool pte_is_swap_slot(pte e)
{
    return pte_is_swap(e) && swp_type(e) < MAX_SWAPFILES;
}

struct swap_area *swap_area_of(struct mm_sys *s, pte entry)
{
    struct swap_area *a = &s->swap.area[swp_type(entry)];
    CHECK(a->used && swp_offset(entry) < a->max);
    return a;
}

struct swap_slot *swap_slot_of(struct mm_sys *s, pte entry)
{
    return &swap_area_of(s, entry)->slot[swp_offset(entry)];
}

uint64_t mm_swap_total(const struct mm_sys *s)
{
    return s->swap.total;
}

uint64_t mm_swap_free(const struct mm_sys *s)
{
    return s->swap.total - s->swap.inuse;
}

bool vm_swap_full(const struct mm_sys *s)
{
    return mm_swap_free(s) * 2 < s->swap.total;
}

/* -- areas --------------------------------------------------------------------------------------- */

static void area_free(struct swap_area *a)
{
    if (a->fd >= 0)
        close(a->fd);
    free(a->slot);
    free(a->cluster);
    free(a->next);
    *a = (struct swap_area){.fd = -1};
}

static int area_make(struct mm_sys *s, struct swap_area *a, uint64_t pages)
{
    uint64_t clusters = div_up(pages, SWAPFILE_CLUSTER);
    a->max = pages;
    a->slot = calloc(pages, sizeof(*a->slot));
    a->cluster = calloc(clusters, sizeof(*a->cluster));
    a->next = calloc(s->conf.cpu_cores, sizeof(*a->next));
    if (!a->slot || !a->cluster || !a->next)
        return -ENOMEM;
    setup_clusters(a);
    return 0;
}

#define TOO_SMALL "it is smaller than swap.size"

/* file_check says why a path cannot hold a swap area of that many bytes; NULL: it can. A file that is not
 * empty must be one: nobody's data is overwritten. */
static const char *file_check(const char *path, uint64_t bytes, int *ret_err)
{
    struct stat st;
    char magic[10] = "";
    *ret_err = -EINVAL;
    if (stat(path, &st) != 0 && errno == ENOENT)
        return lstat(path, &st) == 0 ? "it is a symbolic link to nothing" : NULL;
    if (stat(path, &st) != 0)
        return strerror(errno);
    if (S_ISDIR(st.st_mode))
        return "it is a directory";
    if (!S_ISREG(st.st_mode))
        return "it is not a regular file";
    *ret_err = -EACCES;
    int fd = open(path, O_RDWR | O_CLOEXEC); /* to root, access() says yes to everything */
    if (fd < 0)
        return "it cannot be read and written";
    *ret_err = -EINVAL;
    bool empty = st.st_size == 0;
    bool read_it = empty || pread(fd, magic, sizeof(magic), SWAP_MAGIC_AT) == sizeof(magic);
    close(fd);
    if (empty)
        return NULL;
    if (!read_it || memcmp(magic, SWAP_MAGIC, sizeof(magic)) != 0)
        return "it holds something else than a swap area (no SWAPSPACE2 header)";
    return (uint64_t)st.st_size < bytes ? TOO_SMALL : NULL;
}

/* file_size gives a file room for all of an area and its header: a hole could find the disk, or the
 * host's memory, full. */
static int file_size(int fd, uint64_t bytes)
{
    int err = posix_fallocate(fd, 0, (off_t)bytes);
    if (err == 0 && pwrite(fd, SWAP_MAGIC, 10, SWAP_MAGIC_AT) != 10)
        err = errno != 0 ? errno : EIO;
    return -err;
}

/* file_make creates or opens the file behind an area and gives it its size and header. */
static int file_make(const char *path, uint64_t bytes, int *ret)
{
    int fd = path[0] ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
                     : memfd_create("pagewalk-swap", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = file_size(fd, bytes);
    if (err != 0)
        close(fd);
    else
        *ret = fd;
    return err;
}

/* file_try makes the file of an area as file_make would, and leaves all as it was: a new one goes, an
 * empty one becomes empty again. 0 or -errno. */
static int file_try(const char *path, uint64_t bytes)
{
    struct stat st;
    bool is_new = stat(path, &st) != 0;
    int fd = -1, err = file_make(path, bytes, &fd);
    if (fd >= 0)
        close(fd);
    if (is_new)
        unlink(path);
    else if (st.st_size == 0 && truncate(path, 0) != 0 && err == 0)
        err = -errno;
    return err;
}

static int refuse_area(char *err, size_t err_size, const struct conf *c, bool size, const char *why)
{
    if (size)
        snprintf(err, err_size, "swap.size: %llu bytes: %s", (unsigned long long)c->swap_size, why);
    else
        snprintf(err, err_size, "swap.file: %s: %s", c->swap_file, why);
    return -EINVAL;
}

/* host_available returns what the host could give without swapping; UINT64_MAX: it does not say. */
static uint64_t host_available(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    unsigned long long kib;
    uint64_t bytes = UINT64_MAX;
    char line[128];
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            bytes = (uint64_t)kib << 10;
    if (f)
        fclose(f);
    return bytes;
}

/* check_memory: an area without a name is memory of the host, all of it from the start. */
static int check_memory(const struct conf *c, char *err, size_t err_size)
{
    char why[160];
    uint64_t free = host_available();
    if (c->swap_file[0] || c->swap_size <= free)
        return 0;
    snprintf(why, sizeof(why),
             "without swap.file that is memory of this host, which has %llu bytes left",
             (unsigned long long)free);
    return refuse_area(err, err_size, c, true, why);
}

/* check_file: the file can be written: all of it with contents, else its header, and that is taken back. */
static int check_file(const struct conf *c, char *err, size_t err_size)
{
    char why[160];
    uint64_t bytes = c->phys_contents ? c->swap_size & PAGE_MASK : PAGE_SIZE;
    int code = c->swap_file[0] ? file_try(c->swap_file, bytes) : 0;
    if (code == 0)
        return 0;
    snprintf(why, sizeof(why), "it cannot hold swap.size = %llu bytes: %s",
             (unsigned long long)c->swap_size, strerror(-code));
    return refuse_area(err, err_size, c, false, why);
}

/* check_room: with contents the area is a file, of the size of swap.size. */
static int check_room(const struct conf *c, char *err, size_t err_size)
{
    struct rlimit limit;
    bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0;
    if (!c->phys_contents)
        return limited && PAGE_SIZE > limit.rlim_cur ? 0 : check_file(c, err, err_size);
    if (limited && c->swap_size > limit.rlim_cur)
        return refuse_area(err, err_size, c, true,
                           "with phys.contents that is a file, and larger than ulimit -f allows");
    int r = check_memory(c, err, err_size);
    return r != 0 ? r : check_file(c, err, err_size);
}

/* refuse_size names both sizes of a file that is too small. */
static int refuse_size(const struct conf *c, char *err, size_t err_size)
{
    char why[160];
    struct stat st;
    long long has = stat(c->swap_file, &st) == 0 ? (long long)st.st_size : 0;
    snprintf(why, sizeof(why), "%s: %lld bytes, and swap.size = %llu", TOO_SMALL, has,
             (unsigned long long)c->swap_size);
    return refuse_area(err, err_size, c, false, why);
}

/* check_place: a file can be made where swap.file says. */
static bool check_place(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 2, slash ? path : "./");
    return access(path, F_OK) == 0 || access(dir, W_OK | X_OK) == 0;
}

int mm_swap_check(const struct conf *c, char *err, size_t err_size)
{
    int code;
    const char *why = NULL;
    if (c->swap_file[0] && c->swap_size == 0)
        why = "swap.size says how large it is, and is 0";
    else if (c->swap_size == 0)
        return 0;
    else if (c->swap_size >> PAGE_SHIFT < AREA_MIN)
        return refuse_area(err, err_size, c, true, "a swap area has at least 10 pages (40K)");
    else if (c->swap_file[0])
        why = file_check(c->swap_file, c->swap_size & PAGE_MASK, &code);
    if (!why && c->swap_file[0] && !check_place(c->swap_file))
        why = "it does not exist and cannot be created there";
    if (why && strcmp(why, TOO_SMALL) == 0)
        return refuse_size(c, err, err_size);
    return why ? refuse_area(err, err_size, c, false, why) : check_room(c, err, err_size);
}

static bool same_file_in_use(const struct mm_sys *s, const char *path)
{
    for (unsigned t = 0; t < MAX_SWAPFILES; t++)
        if (s->swap.area[t].used && path[0] && strcmp(s->swap.area[t].path, path) == 0)
            return true;
    return false;
}

static int find_type(const struct mm_sys *s)
{
    for (unsigned t = 0; t < MAX_SWAPFILES; t++)
        if (!s->swap.area[t].used)
            return (int)t;
    return -EPERM;
}

int mm_swapon(struct mm_sys *s, const struct mm_swap_def *d)
{
    uint64_t pages = min_u64(d->bytes >> PAGE_SHIFT, SWAP_OFFSET_MAX);
    int type = find_type(s), err = 0;
    if (type < 0)
        return type;
    if (same_file_in_use(s, d->path))
        return -EBUSY;
    if (pages < AREA_MIN || (s->swap.contents && d->path[0] && file_check(d->path, d->bytes, &err)))
        return err != 0 ? err : -EINVAL;
    struct swap_area *a = &s->swap.area[type];
    *a = (struct swap_area){.fd = -1, .device = d->device};
    err = area_make(s, a, pages);
    if (err == 0 && s->swap.contents)
        err = file_make(d->path, pages << PAGE_SHIFT, &a->fd);
    if (err != 0) {
        area_free(a);
        return err;
    }
    snprintf(a->path, sizeof(a->path), "%s", d->path[0] ? d->path : "/swapfile");
    a->prio = d->prio >= 0 ? d->prio : --s->swap.least_prio;
    a->used = true;
    s->swap.total += pages - 1;
    s->total_swap_pages = s->swap.total;
    return type;
}

void swap_drop_area(struct mm_sys *s, unsigned type)
{
    struct swap_area *a = &s->swap.area[type];
    CHECK(a->inuse == 0);
    s->swap.total -= a->max - 1;
    s->total_swap_pages = s->swap.total;
    area_free(a);
}

unsigned mm_swaps(const struct mm_sys *s, struct mm_swap_info ret[MAX_SWAPFILES])
{
    unsigned n = 0;
    for (unsigned t = 0; t < MAX_SWAPFILES; t++) {
        const struct swap_area *a = &s->swap.area[t];
        if (a->used)
            ret[n++] = (struct mm_swap_info){a->path, a->max - 1, a->inuse, a->prio};
    }
    return n;
}

int swap_open(struct mm_sys *s)
{
    struct mm_swap_def d = {.path = s->conf.swap_file,
                            .bytes = s->conf.swap_size,
                            .prio = -1,
                            .device = (enum conf_swap_device)s->conf.swap_device};
    for (unsigned t = 0; t < MAX_SWAPFILES; t++)
        s->swap.area[t].fd = -1;
    s->swap.least_prio = -1;
    s->swap.ra_hits = 4; /* swapin_readahead_hits of a fresh kernel */
    s->swap.contents = folio_bytes(s, phys_zero_page(s->phys)) != NULL;
    if (d.bytes == 0)
        return 0;
    int type = mm_swapon(s, &d);
    return type < 0 ? type : 0;
}

/* drop_cached frees the pages of the swap cache that nobody maps. */
static void drop_cached(struct mm_sys *s, const struct swap_area *a)
{
    for (uint64_t i = 1; i < a->max; i++)
        if (swap_slot_cached(&a->slot[i]))
            swap_cache_drop(s, (pfn){(a->slot[i].cache >> 1) - 1});
}

void swap_close(struct mm_sys *s)
{
    writeback_end(s);
    for (unsigned t = 0; t < MAX_SWAPFILES; t++) {
        if (s->swap.area[t].used)
            drop_cached(s, &s->swap.area[t]);
        area_free(&s->swap.area[t]);
    }
}

/* -- slots --------------------------------------------------------------------------------------- */

/* best_area: the highest priority with room; equal ones take turns, a cluster each. */
static struct swap_area *best_area(struct mm_sys *s)
{
    struct swap_area *best = NULL;
    for (unsigned t = 0; t < MAX_SWAPFILES; t++) {
        struct swap_area *a = &s->swap.area[t];
        if (!a->used || a->going || a->inuse == a->max - 1)
            continue;
        if (!best || a->prio > best->prio || (a->prio == best->prio && a->turn < best->turn))
            best = a;
    }
    if (best && swap_next_slot(s, best) == 0)
        best->turn = ++s->swap.turns;
    return best;
}

int folio_alloc_swap(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    CHECK(!(f->flags & FRAME_F_SWAPCACHE) && f->order == 0);
    struct swap_area *a = best_area(s);
    uint64_t at = a ? cluster_alloc_swap_entry(s, a) : 0;
    if (at == 0)
        return -ENOMEM;
    a->inuse++;
    s->swap.inuse++;
    swap_cache_add(s, n, swp_make((unsigned)(a - s->swap.area), at, 0));
    f->flags |= FRAME_F_DIRTY;
    return 0;
}

void swap_cache_add(struct mm_sys *s, pfn n, pte entry)
{
    struct frame *f = phys_frame(s->phys, n);
    struct swap_slot *slot = swap_slot_of(s, entry);
    CHECK(!swap_slot_cached(slot)); /* I2 */
    slot->cache = (n.v + 1) << 1;
    f->private = pack(entry);
    f->flags |= FRAME_F_SWAPCACHE;
    f->refs++;
    node_stat_add(s, f, NODE_nr_file_pages, 1);
    node_stat_add(s, f, NODE_nr_swapcached, 1);
}

void swap_cache_del(struct mm_sys *s, pfn n, uint64_t shadow)
{
    struct frame *f = phys_frame(s->phys, n);
    pte entry = folio_swap_entry(f);
    struct swap_slot *slot = swap_slot_of(s, entry);
    CHECK(slot->cache == (n.v + 1) << 1); /* I2 */
    slot->cache = shadow != 0 ? shadow << 1 | 1 : 0;
    f->private = 0;
    f->flags &= ~FRAME_F_SWAPCACHE;
    f->refs--;
    node_stat_add(s, f, NODE_nr_file_pages, -1);
    node_stat_add(s, f, NODE_nr_swapcached, -1);
    if (slot->count == 0)
        swap_entry_free(s, swap_area_of(s, entry), swp_offset(entry));
}

bool swap_cache_get(struct mm_sys *s, pte entry, pfn *ret)
{
    const struct swap_slot *slot = swap_slot_of(s, entry);
    if (!swap_slot_cached(slot))
        return false;
    *ret = (pfn){(slot->cache >> 1) - 1};
    return true;
}

void swap_dup(struct mm_sys *s, pte entry)
{
    swap_slot_of(s, entry)->count++;
}

void swap_free(struct mm_sys *s, pte entry)
{
    struct swap_slot *slot = swap_slot_of(s, entry);
    CHECK(slot->count > 0);
    if (--slot->count == 0 && !swap_slot_cached(slot))
        swap_entry_free(s, swap_area_of(s, entry), swp_offset(entry));
}

bool folio_free_swap(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (!(f->flags & FRAME_F_SWAPCACHE) || (f->flags & FRAME_F_WRITEBACK) ||
        swap_slot_of(s, folio_swap_entry(f))->count > 0)
        return false;
    swap_cache_del(s, n, 0);
    f->flags |= FRAME_F_DIRTY; /* the only copy now */
    return true;
}

void free_swap_and_cache(struct mm_sys *s, pte entry)
{
    pfn n;
    bool cached = swap_cache_get(s, entry, &n);
    swap_free(s, entry);
    if (!cached || swap_slot_of(s, entry)->count > 0)
        return;
    const struct frame *f = phys_frame(s->phys, n);
    if ((f->mapcount == 0 || vm_swap_full(s)) && !(f->flags & FRAME_F_LOCKED))
        swap_cache_drop(s, n);
}

void swap_cache_drop(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    f->refs++;
    folio_free_swap(s, n);
    folio_put(s, n);
}

void *folio_bytes(struct mm_sys *s, pfn n)
{
    return phys_bytes(s->phys, n);
}

/* -- bytes --------------------------------------------------------------------------------------- */

static bool all_zero(const void *bytes)
{
    const uint64_t *w = bytes;
    for (unsigned i = 0; i < PAGE_SIZE / sizeof(*w); i++)
        if (w[i] != 0)
            return false;
    return true;
}

/* write_slot brings the bytes of a page to its slot; false: the host's device is full or broken. */
static bool write_slot(struct mm_sys *s, const struct swap_area *a, pfn n, uint64_t slot)
{
    return a->fd < 0 || pwrite(a->fd, folio_bytes(s, n), PAGE_SIZE, (off_t)(slot << PAGE_SHIFT)) ==
                            (ssize_t)PAGE_SIZE;
}

bool swap_writeout(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    pte entry = folio_swap_entry(f);
    struct swap_area *a = swap_area_of(s, entry);
    struct swap_slot *slot = &a->slot[swp_offset(entry)];
    f->flags &= ~FRAME_F_DIRTY;
    if (s->swap.contents && all_zero(folio_bytes(s, n))) {
        slot->flags |= SWAP_SLOT_ZERO;
        STAT(s->stats, swpout_zero)++;
        return true;
    }
    if (!write_slot(s, a, n, swp_offset(entry))) { /* end_swap_bio_write */
        f->flags = (f->flags | FRAME_F_DIRTY) & ~FRAME_F_RECLAIM;
        return false;
    }
    slot->flags &= ~SWAP_SLOT_ZERO;
    STAT(s->stats, pswpout)++;
    STAT(s->stats, pgpgout) += PAGE_SIZE / 1024;
    arch_step(s->outbox, STEP_SWAP_OUT, 1);
    if (a->device == SWAP_RAM)
        return true;
    f->flags |= FRAME_F_WRITEBACK;
    node_stat_add(s, f, NODE_nr_writeback, 1);
    writeback_started(s, n);
    return true;
}

/* read_slot_bytes brings them back; false: the host's device is broken, or its file was cut. */
static bool read_slot_bytes(struct mm_sys *s, const struct swap_area *a, pfn n, uint64_t slot)
{
    return a->fd < 0 || pread(a->fd, folio_bytes(s, n), PAGE_SIZE, (off_t)(slot << PAGE_SHIFT)) ==
                            (ssize_t)PAGE_SIZE;
}

void swap_readin(struct mm_sys *s, pfn n)
{
    pte entry = folio_swap_entry(phys_frame(s->phys, n));
    struct swap_area *a = swap_area_of(s, entry);
    if (a->slot[swp_offset(entry)].flags & SWAP_SLOT_ZERO) {
        STAT(s->stats, swpin_zero)++;
        kernel_write(s, pfn_paddr(n), PAGE_SIZE);
        if (s->swap.contents)
            memset(folio_bytes(s, n), 0, PAGE_SIZE);
        return;
    }
    STAT(s->stats, pswpin)++;
    STAT(s->stats, pgpgin) += PAGE_SIZE / 1024;
    arch_step(s->outbox, STEP_SWAP_IN, 1);
    if (!read_slot_bytes(s, a, n, swp_offset(entry)))
        phys_frame(s->phys, n)->flags |= FRAME_F_NO_DATA; /* end_swap_bio_read */
}

/* -- the audit ------------------------------------------------------------------------------------ */

static bool audit_area(const struct mm_sys *s, const struct swap_area *a, const struct map *named)
{
    uint64_t busy = 0;
    for (uint64_t i = 1; i < a->max; i++) {
        const struct swap_slot *slot = &a->slot[i];
        const uint64_t *seen = map_find(named, swp_make((unsigned)(a - s->swap.area), i, 0).v);
        if (slot->count != (seen ? *seen : 0))
            return false; /* I3 */
        busy += swap_slot_busy(slot);
        if (!swap_slot_cached(slot))
            continue;
        const struct frame *f = phys_frame(s->phys, (pfn){(slot->cache >> 1) - 1});
        if (!(f->flags & FRAME_F_SWAPCACHE) ||
            f->private != pack(swp_make((unsigned)(a - s->swap.area), i, 0)))
            return false; /* I2 */
    }
    return busy == a->inuse; /* I1 */
}

bool audit_swap(struct mm_sys *s, const struct map *named)
{
    uint64_t inuse = 0;
    for (unsigned t = 0; t < MAX_SWAPFILES; t++) {
        if (!s->swap.area[t].used)
            continue;
        if (!audit_area(s, &s->swap.area[t], named))
            return false;
        inuse += s->swap.area[t].inuse;
    }
    return inuse == s->swap.inuse;
}
