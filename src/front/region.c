/* region.c: the memory shared with the plugin, see event/ring.h.
 *
 * A memfd: it has no name, costs what is touched, and ends with its last user. Its descriptor is
 * moved out of the way of a program that counts on low numbers, and the plugin closes its copy.
 *
 * I1  The limit on file sizes is about disks, yet Linux holds a memfd to it, with SIGXFSZ. While the
 *     memory gets its size the limit is lifted as far as we may and the signal ignored; both are as
 *     before when region_open returns, so that the guest inherits what we were started with.
 * I2  The header is for the producers, any of which may write over it: here nobody reads it again.
 *
 * Source: Linux 6.18 fs/attr.c inode_newsize_ok.
 */
#include "front/front_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT_BYTES  (RING_WORDS * sizeof(uint64_t))
#define INDEX_BYTES (RING_BLOCK_MAX * sizeof(uint32_t))
#define KNOWN_BYTES (RING_KNOWN_ENTRIES * sizeof(uint64_t))
#define HIGH_FD     700 /* first number tried for the descriptor */

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + 0xfff) & ~UINT64_C(0xfff);
}

/* lift_limit allows files of any size, or of the most that an unprivileged process may ask for. */
static void lift_limit(const struct rlimit *now)
{
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY},
                        most = {now->rlim_max, now->rlim_max};

    if (setrlimit(RLIMIT_FSIZE, &none) != 0)
        setrlimit(RLIMIT_FSIZE, &most);
}

/* grow gives a memfd its size whatever the limit on files, if that can be (I1). 0 or negative
 * errno: -EFBIG when the limit cannot be lifted so far. */
static int grow(int fd, uint64_t bytes)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    struct rlimit limit;
    int err;

    getrlimit(RLIMIT_FSIZE, &limit);
    sigaction(SIGXFSZ, &ignore, &before);
    lift_limit(&limit);
    err = ftruncate(fd, (off_t)bytes) == 0 ? 0 : -errno;
    setrlimit(RLIMIT_FSIZE, &limit);
    sigaction(SIGXFSZ, &before, NULL);
    return err;
}

/* memory returns a memfd of that size with a high number, or negative errno. */
static int memory(uint64_t bytes)
{
    int fd = memfd_create("pagewalk", MFD_CLOEXEC), high, err;

    if (fd < 0)
        return -errno;
    err = grow(fd, bytes);
    if (err != 0) {
        close(fd);
        return err;
    }
    high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high < 0)
        return fd;
    close(fd);
    return high;
}

static void note(uint64_t to[2], bool known, const struct stat *st)
{
    to[0] = known ? st->st_dev : 0;
    to[1] = known ? st->st_ino : 0;
}

/* lay_out divides the region, and tells nobody. */
static void lay_out(struct region *r)
{
    uint64_t known_offset = round_up(sizeof *r->ring) + INDEX_BYTES;

    r->index_offset = round_up(sizeof *r->ring);
    r->words_offset = known_offset + KNOWN_BYTES;
    r->table_offset = r->words_offset + RING_SLOTS * SLOT_BYTES;
    r->bytes = r->table_offset + RING_TABLE_SIZE;
}

static void fill_header(const struct region *r, uint32_t flags)
{
    struct ring_region *ring = r->ring;
    struct stat st;

    ring->magic = RING_MAGIC;
    ring->region_bytes = r->bytes;
    ring->index_offset = r->index_offset;
    ring->known_offset = r->index_offset + INDEX_BYTES;
    ring->words_offset = r->words_offset;
    ring->table_offset = r->table_offset;
    ring->flags = flags;
    ring->consumer_pid = (uint32_t)getpid();
    ring->consumer_fd = (uint32_t)r->fd;
    note(ring->memfd, fstat(r->fd, &st) == 0, &st);
    note(ring->root, stat("/", &st) == 0, &st);
    note(ring->pid_ns, stat("/proc/self/ns/pid", &st) == 0, &st);
}

int region_open(struct region *ret, uint32_t flags)
{
    struct region r;
    void *at;

    lay_out(&r);
    r.fd = memory(r.bytes);
    if (r.fd < 0)
        return r.fd;
    at = mmap(NULL, r.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, r.fd, 0);
    if (at == MAP_FAILED) {
        close(r.fd);
        return -ENOMEM;
    }
    r.ring = at;
    fill_header(&r, flags);
    *ret = r;
    return 0;
}

void region_close(struct region *r)
{
    munmap(r->ring, r->bytes);
    close(r->fd);
}

const uint64_t *region_words(const struct region *r, unsigned slot)
{
    char *at =
        mmap(NULL, 2 * SLOT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    off_t offset = (off_t)(r->words_offset + slot * SLOT_BYTES);

    if (at == MAP_FAILED)
        return NULL;
    for (unsigned i = 0; i < 2; i++)
        if (mmap(at + i * SLOT_BYTES, SLOT_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, r->fd,
                 offset) == MAP_FAILED) {
            munmap(at, 2 * SLOT_BYTES);
            return NULL;
        }
    return (const uint64_t *)(const void *)at;
}

void region_unmap_words(const uint64_t *words)
{
    munmap((void *)words, 2 * SLOT_BYTES);
}

void region_give_back(const struct region *r, unsigned slot)
{
    off_t offset = (off_t)(r->words_offset + slot * SLOT_BYTES);

    /* Where it fails the memory stays in use, as it would without. */
    (void)fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, SLOT_BYTES);
}
