/* pools.c: see pools.h. What QEMU's calls meet instead of the C library.
 *
 *   anonymous     the mapping itself, without MAP_HUGETLB, aligned
 *   hugetlbfs     the file is the host's (it needs no pool: size, name, seals are real); what is mapped
 *   (memfd, too)  is a shadow of it, an ordinary memfd of the same length
 *   SHM_HUGETLB   an ordinary segment of whole huge pages
 *
 * QEMU 7.2 maps in up to three steps (linux-user/mmap.c, target_mmap, when the program leaves the place
 * open): mmap_find_vma reserves [start, len) with PROT_NONE; an anonymous MAP_FIXED mapping there, whose
 * result is the program's address; for a file, the file over it. So the second step may answer with
 * another place, aligned, and the third must go there. Afterwards what was reserved is given back.
 *
 * Invariants:
 *  I1  Only calls that a thread makes for the program's own call, between pools_wanted and
 *      pools_forget, are touched; munmap, mprotect, mremap and ftruncate also without a question.
 *  I2  `range` holds what the program has of huge pages here, disjoint; changed under `ranges_lock`.
 *  I3  A forked child that is not observed (region NULL) talks to the host's kernel.
 *
 * Source: Linux 6.18 mm/mmap.c ksys_mmap_pgoff, fs/hugetlbfs/inode.c, mm/hugetlb.c
 * hugetlb_vm_op_split, mm/mremap.c check_mremap_params, mm/madvise.c madvise_dontneed_free_valid_vma.
 */
#include "pools.h"
#include "writer.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define HUGE_SHIFT   26 /* MAP_HUGE_SHIFT, SHM_HUGE_SHIFT */
#define HUGE_MASK    0x3fu
#define HUGE_DEFAULT 21
#define SHADOW_FD    700 /* first number tried for the descriptor of a shadow */

/* The program's call that the thread is in. */
static __thread struct {
    bool asked;     /* it wants huge pages, and `verdict` is the model's answer */
    int verdict;    /* 0 or -errno */
    unsigned shift; /* log2 of the page size */
    int fd;         /* of mmap with a file, else -1 */
    bool fixed;     /* mmap: the program names the place */
    char *place;    /* where QEMU's second step put it, until the third; NULL: none */
} now = {.fd = -1};

static bool open_for_us; /* the functions are in place */

static uint64_t page_of(unsigned shift)
{
    return UINT64_C(1) << shift;
}
static uint64_t round_up(uint64_t n, unsigned shift)
{
    return (n + page_of(shift) - 1) & ~(page_of(shift) - 1);
}
static bool aligned(uint64_t n, unsigned shift)
{
    return (n & (page_of(shift) - 1)) == 0;
}

static void *refuse(int error)
{
    errno = error;
    return MAP_FAILED;
}

/* -- what the program has of huge pages (I2) ------------------------------------------------------- */
struct range {
    uint64_t start, end;
    unsigned shift; /* log2 of the page size */
};
static struct range *ranges;
static size_t n_ranges, cap_ranges;
static pthread_mutex_t ranges_lock = PTHREAD_MUTEX_INITIALIZER;

/* put_range: without memory for it the range is not watched, that is all. */
static void put_range(uint64_t start, uint64_t end, unsigned shift)
{
    if (n_ranges == cap_ranges) {
        size_t cap = cap_ranges ? 2 * cap_ranges : 64;
        struct range *more = realloc(ranges, cap * sizeof *more);

        if (!more)
            return;
        ranges = more;
        cap_ranges = cap;
    }
    ranges[n_ranges++] = (struct range){start, end, shift};
}

/* cut takes [start, end) out of all ranges. */
static void cut(uint64_t start, uint64_t end)
{
    for (size_t i = n_ranges; i-- > 0;) {
        struct range r = ranges[i];

        if (r.start >= end || r.end <= start)
            continue;
        ranges[i] = ranges[--n_ranges];
        if (r.start < start)
            put_range(r.start, start, r.shift);
        if (r.end > end)
            put_range(end, r.end, r.shift);
    }
}

static void range_set(uint64_t start, uint64_t len, unsigned shift)
{
    pthread_mutex_lock(&ranges_lock);
    cut(start, start + len);
    if (shift)
        put_range(start, start + len, shift);
    pthread_mutex_unlock(&ranges_lock);
}

/* range_at returns log2 of the page size at an address, 0: no huge page. */
static unsigned range_at(uint64_t addr)
{
    unsigned shift = 0;

    pthread_mutex_lock(&ranges_lock);
    for (size_t i = 0; i < n_ranges; i++)
        if (ranges[i].start <= addr && addr < ranges[i].end)
            shift = ranges[i].shift;
    pthread_mutex_unlock(&ranges_lock);
    return shift;
}

/* splits: an end of [start, start + len) lies inside a huge page. */
static bool splits(uint64_t start, uint64_t len)
{
    uint64_t end = start + len;
    unsigned first = range_at(start), last = end ? range_at(end) : 0;

    return (first && !aligned(start, first)) || (last && !aligned(end, last));
}

/* own: the thread is in this call of the program. */
static bool own(uint64_t num)
{
    return region && self.slot && self.suspended && self.call[0] == num;
}

/* -- shadows of files ------------------------------------------------------------------------------ */
struct shadow {
    dev_t dev;
    ino_t ino; /* of the file of huge pages */
    ino_t own; /* of the shadow: somebody may have closed its descriptor */
    int fd;
};
static struct shadow *shadows;
static size_t n_shadows;
static pthread_mutex_t shadows_lock = PTHREAD_MUTEX_INITIALIZER;

unsigned pools_file_log(int fd)
{
    struct statfs fs;

    if (!open_for_us || fstatfs(fd, &fs) != 0 || fs.f_type != HUGETLBFS_MAGIC)
        return 0;
    return (unsigned)__builtin_ctzll((uint64_t)fs.f_bsize);
}

static int new_shadow(const struct stat *st)
{
    struct shadow *more = realloc(shadows, (n_shadows + 1) * sizeof *more);
    int low = memfd_create("pagewalk-huge", MFD_CLOEXEC), fd;
    struct stat its;

    if (more)
        shadows = more;
    fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, SHADOW_FD);
    if (low >= 0)
        close(low);
    if (!more || fd < 0 || fstat(fd, &its) != 0 || ftruncate(fd, st->st_size) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    shadows[n_shadows++] = (struct shadow){st->st_dev, st->st_ino, its.st_ino, fd};
    return fd;
}

/* find_shadow returns the descriptor of a file's shadow; -1: it has none. */
static int find_shadow(const struct stat *st)
{
    struct stat its;

    for (size_t i = 0; i < n_shadows; i++)
        if (shadows[i].dev == st->st_dev && shadows[i].ino == st->st_ino &&
            fstat(shadows[i].fd, &its) == 0 && its.st_ino == shadows[i].own)
            return shadows[i].fd;
    return -1;
}

static int shadow_of(int fd, bool make)
{
    struct stat st;
    int its = -1;

    if (fstat(fd, &st) != 0)
        return -1;
    pthread_mutex_lock(&shadows_lock);
    its = find_shadow(&st);
    if (its < 0 && make)
        its = new_shadow(&st);
    pthread_mutex_unlock(&shadows_lock);
    return its;
}

/* lengthen: a writable mapping makes a file of huge pages as long as it needs (hugetlbfs_file_mmap). */
static void lengthen(int fd, int shadow, uint64_t end)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < end && ftruncate(fd, (off_t)end) == 0 &&
        ftruncate(shadow, (off_t)end) != 0)
        errno = 0; /* an access beyond will tell */
}

/* -- mmap ------------------------------------------------------------------------------------------ */

/* find_place reserves `len` bytes at a multiple of the page size, near `hint`. */
static char *find_place(uint64_t hint, uint64_t len)
{
    uint64_t room = len + page_of(now.shift), start, place;
    char *at = mmap((void *)round_up(hint, now.shift), len, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (at != MAP_FAILED || len > room)
        return at;
    at = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return at;
    start = (uint64_t)at;
    place = round_up(start, now.shift);
    if (place > start)
        munmap(at, place - start);
    if (start + room > place + len)
        munmap((void *)(place + len), start + room - place - len);
    return (char *)place;
}

/* plain: MAP_SHARED_VALIDATE, which the model has judged, is for files alone. */
static int plain(int flags)
{
    unsigned type = (flags & MAP_TYPE) == MAP_SHARED_VALIDATE ? MAP_SHARED : flags & MAP_TYPE;
    unsigned rest = (unsigned)flags & ~(MAP_TYPE | MAP_HUGETLB | HUGE_MASK << HUGE_SHIFT);

    return (int)(rest | type) | MAP_FIXED | MAP_NORESERVE;
}

/* give_back ends QEMU's own reservation of [start, start + len), if it made one. */
static void give_back(char *start, size_t len, int flags)
{
    if (!now.fixed && (flags & MAP_FIXED))
        munmap(start, len);
}

static void *map_anonymous(char *start, size_t len, int prot, int flags)
{
    uint64_t bytes = round_up(len, now.shift);
    char *place = start;
    void *at;

    if (!now.fixed) {
        give_back(start, len, flags);
        place = find_place((uint64_t)start, bytes);
        if (place == MAP_FAILED)
            return place;
    }
    at = mmap(place, bytes, prot, plain(flags), -1, 0);
    if (at != MAP_FAILED)
        range_set((uint64_t)at, bytes, now.shift);
    return at;
}

static bool may_map(int fd, int prot, int flags)
{
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;

    return mode == O_RDWR ||
           (mode == O_RDONLY && !((flags & MAP_TYPE) != MAP_PRIVATE && (prot & PROT_WRITE)));
}

static void *map_file(char *start, size_t len, int prot, int flags, int fd, off_t offset)
{
    uint64_t bytes = round_up(len, now.shift);
    char *place = now.fixed ? start : now.place;
    int shadow;
    void *at;

    if (!may_map(fd, prot, flags))
        return refuse(EACCES);
    shadow = shadow_of(fd, true);
    if (shadow < 0)
        return refuse(ENOMEM);
    if (!place)
        place = find_place((uint64_t)start + len, bytes);
    if (place == MAP_FAILED)
        return place;
    if (prot & PROT_WRITE)
        lengthen(fd, shadow, (uint64_t)offset + bytes);
    at = mmap(place, bytes, prot, plain(flags), shadow, offset);
    if (at == MAP_FAILED)
        return at;
    range_set((uint64_t)at, bytes, now.shift);
    give_back(start, len, flags);
    return at;
}

/* elsewhere: the place is not the one the program insists on, for that is taken: QEMU 7.2 does not know
 * MAP_FIXED_NOREPLACE and takes the address for a hint. */
static bool elsewhere(void *start)
{
    uint64_t flags = self.call[4], wanted = self.call[1];

    return (flags & MAP_FIXED_NOREPLACE) && !(flags & MAP_FIXED) && wanted && aligned(wanted, 12) &&
           (uint64_t)start != wanted;
}

/* not_huge is any other mapping that QEMU makes; the program's own may not cut a huge page. */
static void *not_huge(void *start, size_t len, int prot, int flags, int fd, off_t offset)
{
    bool over = own(SYS_mmap) && (flags & MAP_FIXED);
    void *at;

    if (over && splits((uint64_t)start, len))
        return refuse(EINVAL);
    if (over && elsewhere(start)) {
        munmap(start, len); /* what QEMU had reserved */
        return refuse(EEXIST);
    }
    at = mmap(start, len, prot, flags, fd, offset);
    if (at != MAP_FAILED && over)
        range_set((uint64_t)at, len, 0);
    return at;
}

static void *on_mmap(void *start, size_t len, int prot, int flags, int fd, off_t offset)
{
    bool second = (flags & MAP_FIXED) && (flags & MAP_ANONYMOUS) && now.fd >= 0 && !now.fixed;
    bool ours = now.fd >= 0 ? second || fd == now.fd : flags & MAP_HUGETLB;

    if (!now.asked || !ours || !own(SYS_mmap))
        return not_huge(start, len, prot, flags, fd, offset);
    if (now.verdict != 0) {
        give_back(start, len, flags);
        return refuse(-now.verdict);
    }
    if (now.fd < 0)
        return map_anonymous(start, len, prot, flags);
    if (!second)
        return map_file(start, len, prot, flags, fd, offset);
    now.place = find_place((uint64_t)start + len, round_up(len, now.shift));
    return now.place;
}

/* -- calls on what is mapped ----------------------------------------------------------------------- */
static int on_munmap(void *start, size_t len)
{
    bool mine = own(SYS_munmap);
    int err;

    if (mine && splits((uint64_t)start, len)) {
        errno = EINVAL;
        return -1;
    }
    err = munmap(start, len);
    if (mine && err == 0)
        range_set((uint64_t)start, len, 0);
    return err;
}

static int on_mprotect(void *start, size_t len, int prot)
{
    bool mine = own(SYS_mprotect) || own(SYS_pkey_mprotect);

    if (mine && splits((uint64_t)start, len)) {
        errno = EINVAL;
        return -1;
    }
    return mprotect(start, len, prot);
}

/* move_huge is mremap of a mapping of huge pages, which cannot grow. QEMU asks for a move to a place of
 * its choice where the program only allows one; then nothing needs to move. */
static void *move_huge(char *old, size_t old_len, size_t new_len, int flags, char *to,
                       unsigned shift)
{
    bool named = self.call[4] & MREMAP_FIXED;
    void *at = old;

    if (!named && (flags & MREMAP_FIXED))
        munmap(to, new_len); /* what QEMU had reserved */
    old_len = round_up(old_len, shift);
    new_len = round_up(new_len, shift);
    if (!aligned((uint64_t)old, shift) || (named && !aligned((uint64_t)to, shift)) ||
        new_len > old_len || (self.call[4] & MREMAP_DONTUNMAP))
        return refuse(EINVAL);
    if (named)
        at = mremap(old, old_len, new_len, flags, to);
    else if (new_len < old_len && munmap(old + new_len, old_len - new_len) != 0)
        return MAP_FAILED;
    if (at == MAP_FAILED)
        return at;
    range_set((uint64_t)old, old_len, 0);
    range_set((uint64_t)at, new_len, shift);
    return at;
}

static void *on_mremap(void *old, size_t old_len, size_t new_len, int flags, void *to)
{
    unsigned shift = own(SYS_mremap) ? range_at((uint64_t)old) : 0;

    if (shift)
        return move_huge(old, old_len, new_len, flags, to, shift);
    return mremap(old, old_len, new_len, flags, to);
}

/* on_madvise: MADV_DONTNEED begins with a huge page, and what it covers of the last one it leaves
 * (madvise_dontneed_free_valid_vma). QEMU does no other advice. */
static int on_madvise(void *start, size_t len, int advice)
{
    bool mine = own(SYS_madvise) && advice == MADV_DONTNEED;
    uint64_t from = (uint64_t)start, end = from + len;
    unsigned first = mine ? range_at(from) : 0, last = mine ? range_at(end) : 0;

    if (first && !aligned(from, first)) {
        errno = EINVAL;
        return -1;
    }
    if (last)
        end &= ~(page_of(last) - 1);
    return end <= from && len ? 0 : madvise(start, end - from, advice);
}

/* in_memory: some of the page of 2^shift bytes at `page` is. */
static bool in_memory(uint64_t page, unsigned shift)
{
    unsigned char some[512];

    for (uint64_t at = page; at < page + page_of(shift); at += sizeof some * 4096)
        if (mincore((void *)at, sizeof some * 4096, some) == 0 && memchr(some, 1, sizeof some))
            return true;
    return false;
}

/* on_mincore: a huge page is there as a whole or not at all (mincore_hugetlb). */
static int on_mincore(void *start, size_t len, unsigned char *vec)
{
    uint64_t from = (uint64_t)start, end = from + ((len + 4095) & ~4095ul), next;
    int err = mincore(start, len, vec);

    if (err != 0 || !own(SYS_mincore))
        return err;
    for (uint64_t at = from; at < end; at = next) {
        unsigned shift = range_at(at);
        uint64_t page = shift ? at & ~(page_of(shift) - 1) : at;

        next = page + (shift ? page_of(shift) : 4096);
        if (next > end)
            next = end;
        if (shift)
            memset(vec + (at - from) / 4096, in_memory(page, shift), (next - at) / 4096);
    }
    return 0;
}

/* on_ftruncate: a file of huge pages and its shadow have one length. */
static int on_ftruncate(int fd, off_t size)
{
    int err = ftruncate(fd, size), shadow;

    if (err != 0 || !own(SYS_ftruncate) || !pools_file_log(fd))
        return err;
    shadow = shadow_of(fd, false);
    if (shadow >= 0 && ftruncate(shadow, size) != 0)
        errno = 0; /* an access beyond will tell */
    return 0;
}

/* on_fallocate: memory of a file of huge pages is its shadow's; the rest is the host's to say. */
static int on_fallocate(int fd, int mode, off_t offset, off_t len)
{
    bool huge = own(SYS_fallocate) && pools_file_log(fd);
    int shadow = huge ? shadow_of(fd, true) : -1;
    struct stat st;

    if (shadow < 0)
        return fallocate(fd, mode, offset, len);
    if (mode & FALLOC_FL_PUNCH_HOLE && fallocate(fd, mode, offset, len) != 0)
        return -1;
    if (fallocate(shadow, mode, offset, len) != 0)
        return -1;
    if (fstat(shadow, &st) == 0 && !(mode & FALLOC_FL_KEEP_SIZE))
        return ftruncate(fd, st.st_size);
    return 0;
}

/* -- System V segments ----------------------------------------------------------------------------- */
struct segment {
    int id;
    unsigned shift; /* log2 of the page size */
};
static struct segment *segments;
static size_t n_segments;

static unsigned segment_log(int id)
{
    unsigned shift = 0;

    pthread_mutex_lock(&shadows_lock);
    for (size_t i = 0; i < n_segments; i++)
        if (segments[i].id == id)
            shift = segments[i].shift;
    pthread_mutex_unlock(&shadows_lock);
    return shift;
}

static void keep_segment(int id, unsigned shift)
{
    struct segment *more;

    pthread_mutex_lock(&shadows_lock);
    more = realloc(segments, (n_segments + 1) * sizeof *more);
    if (more) {
        segments = more;
        segments[n_segments++] = (struct segment){id, shift};
    }
    pthread_mutex_unlock(&shadows_lock);
}

static int on_shmget(key_t key, size_t size, int flags)
{
    int id;

    if (!now.asked || !own(SYS_shmget))
        return shmget(key, size, flags);
    if (now.verdict != 0) {
        errno = -now.verdict;
        return -1;
    }
    flags = (int)((unsigned)flags & ~(SHM_HUGETLB | HUGE_MASK << HUGE_SHIFT));
    id = shmget(key, size ? round_up(size, now.shift) : 0, flags);
    if (id >= 0)
        keep_segment(id, now.shift);
    return id;
}

/* on_shmat: QEMU names a place that it has reserved where the program left it open. */
static void *on_shmat(int id, const void *start, int flags)
{
    unsigned shift = own(SYS_shmat) ? segment_log(id) : 0;
    bool named = self.call[2] != 0;
    struct shmid_ds d;
    void *at;

    if (!shift || shmctl(id, IPC_STAT, &d) != 0)
        return shmat(id, start, flags);
    if (named && !aligned((uint64_t)start, shift))
        return refuse(EINVAL);
    now.shift = shift;
    at = named ? (char *)start : find_place((uint64_t)start + d.shm_segsz, d.shm_segsz);
    if (at != MAP_FAILED)
        at = shmat(id, at, named ? flags : flags | SHM_REMAP);
    if (at == MAP_FAILED)
        return at;
    range_set((uint64_t)at, d.shm_segsz, shift);
    if (!named)
        munmap((void *)(uintptr_t)start, d.shm_segsz);
    return at;
}

static int on_shmdt(const void *start)
{
    int err = shmdt(start);

    if (err == 0 && own(SYS_shmdt)) {
        pthread_mutex_lock(&ranges_lock);
        for (size_t i = n_ranges; i-- > 0;)
            if (ranges[i].start == (uint64_t)start)
                ranges[i] = ranges[--n_ranges];
        pthread_mutex_unlock(&ranges_lock);
    }
    return err;
}

/* -- the program's wish ---------------------------------------------------------------------------- */

/* want notes a wish for pages of 2^shift bytes; 0: it did not say. */
static bool want(unsigned shift, int fd, bool fixed)
{
    now.asked = true;
    now.shift = shift ? shift : HUGE_DEFAULT;
    now.fd = fd;
    now.fixed = fixed;
    return true;
}

bool pools_wanted(uint64_t num, const uint64_t a[6])
{
    bool fixed = a[3] & MAP_FIXED;

    if (!open_for_us)
        return false;
    if (num == SYS_shmget && (a[2] & SHM_HUGETLB))
        return want(a[2] >> HUGE_SHIFT & HUGE_MASK, -1, false);
    if (num != SYS_mmap)
        return false;
    if (a[3] & MAP_ANONYMOUS)
        return (a[3] & MAP_HUGETLB) && want(a[3] >> HUGE_SHIFT & HUGE_MASK, -1, fixed);
    return pools_file_log((int)a[4]) && want(pools_file_log((int)a[4]), (int)a[4], fixed);
}

void pools_answer(int verdict)
{
    now.verdict = verdict;
}

void pools_forget(void)
{
    now.asked = false;
    now.fd = -1;
    now.place = NULL;
}

/* -- in the place of the C library ------------------------------------------------------------------ */
static const struct {
    const char *name;
    void *function;
} ours[] = {
    {"mmap", on_mmap},           {"mmap64", on_mmap},           {"munmap", on_munmap},
    {"mprotect", on_mprotect},   {"mremap", on_mremap},         {"madvise", on_madvise},
    {"mincore", on_mincore},     {"ftruncate", on_ftruncate},   {"ftruncate64", on_ftruncate},
    {"fallocate", on_fallocate}, {"fallocate64", on_fallocate}, {"shmget", on_shmget},
    {"shmat", on_shmat},         {"shmdt", on_shmdt},
};

/* The tables of an object that name the functions it calls. */
struct calls_out {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *names;
    const ElfW(Rela) * jumps;
    size_t jumps_bytes;
};

static void read_dynamic(const ElfW(Dyn) * d, struct calls_out *c)
{
    for (; d->d_tag != DT_NULL; d++)
        switch (d->d_tag) {
        case DT_SYMTAB:
            c->symbols = (const void *)d->d_un.d_ptr;
            break;
        case DT_STRTAB:
            c->names = (const void *)d->d_un.d_ptr;
            break;
        case DT_JMPREL:
            c->jumps = (const void *)d->d_un.d_ptr;
            break;
        case DT_PLTRELSZ:
            c->jumps_bytes = d->d_un.d_val;
            break;
        }
}

/* set_slot writes a slot, which the dynamic linker may have made read-only (RELRO). */
static bool set_slot(void **slot, void *function)
{
    void *page = (void *)((uintptr_t)slot & ~(uintptr_t)4095);

    if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0)
        return false;
    *slot = function;
    return true;
}

static bool replace(const struct calls_out *c, const ElfW(Rela) * r)
{
    const char *name = c->names + c->symbols[ELF64_R_SYM(r->r_info)].st_name;

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (ELF64_R_TYPE(r->r_info) == R_X86_64_JUMP_SLOT && strcmp(name, ours[i].name) == 0)
            return set_slot((void **)(c->base + r->r_offset), ours[i].function) &&
                   ours[i].function == (void *)on_mmap;
    return false;
}

static int replace_calls(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct calls_out c = {.base = info->dlpi_addr};

    (void)size, (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            read_dynamic((const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), &c);
    if (!c.symbols || !c.names || !c.jumps)
        return 1;
    for (size_t i = 0; i < c.jumps_bytes / sizeof *c.jumps; i++)
        open_for_us |= replace(&c, &c.jumps[i]);
    return 1; /* the first object is the main program, QEMU */
}

void pools_child(void)
{
    pthread_mutex_init(&ranges_lock, NULL);
    pthread_mutex_init(&shadows_lock, NULL);
    pools_forget();
}

void pools_open(void)
{
    dl_iterate_phdr(replace_calls, NULL);
}
