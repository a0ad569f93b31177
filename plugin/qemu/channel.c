/* channel.c: what the model needs to know of a pipe before the call that reads or writes it.
 *
 * Both ends of a pipe have one inode, in every process. It is asked for at each call: a descriptor means
 * something else after close, dup2 or another thread's call, and fstat costs less than to keep track.
 *
 * The order of words is that of happening: this record and EV_SYSCALL are published before the call, so when
 * the reader of a pipe is seen to return, the write that it waited for is in the stream of who wrote.
 */
#include "channel.h"
#include "guest.h"
#include "writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_MAX 64 /* of an iovec that are added up */

/* One descriptor of a call. */
struct end {
    uint64_t fd;
    bool writes;
    uint64_t bytes; /* it asks for; 0: not known */
};

/* total returns the bytes of an iovec; 0 when that cannot be said. */
static uint64_t total(uint64_t addr, uint64_t n)
{
    struct iovec v[PIECES_MAX];
    uint64_t sum = 0;

    if (n == 0 || n > PIECES_MAX || guest_read(v, addr, n * sizeof *v) != n * sizeof *v)
        return 0;
    for (uint64_t i = 0; i < n; i++)
        sum += v[i].iov_len;
    return sum;
}

static void put_end(struct writer *w, const struct end *e)
{
    struct stat st;
    int flags, room;

    if (fstat((int)e->fd, &st) != 0 || !S_ISFIFO(st.st_mode))
        return;
    flags = fcntl((int)e->fd, F_GETFL);
    room = fcntl((int)e->fd, F_GETPIPE_SZ);
    writer_put(w, event_control(EV_CHANNEL, CHANNEL_WORDS));
    writer_put(w, (e->writes ? CHANNEL_WRITES : 0) |
                      (flags < 0 || flags & O_NONBLOCK ? CHANNEL_NONBLOCK : 0));
    writer_put(w, st.st_dev);
    writer_put(w, st.st_ino);
    writer_put(w, room > 0 ? (uint64_t)room : 0);
    writer_put(w, e->bytes);
}

/* ends_of fills in the descriptors of a call and returns how many: at most 2. */
static unsigned ends_of(uint64_t num, const uint64_t a[6], struct end e[2])
{
    switch (num) {
    case SYS_read:
        e[0] = (struct end){a[0], false, a[2]};
        return 1;
    case SYS_write:
        e[0] = (struct end){a[0], true, a[2]};
        return 1;
    case SYS_readv:
    case SYS_preadv2:
        e[0] = (struct end){a[0], false, total(a[1], a[2])};
        return 1;
    case SYS_writev:
    case SYS_pwritev2:
    case SYS_vmsplice:
        e[0] = (struct end){a[0], true, total(a[1], a[2])};
        return 1;
    case SYS_sendfile:
    case SYS_tee:
        e[0] = (struct end){a[num == SYS_tee], true, 0};
        return 1;
    case SYS_splice:
        e[0] = (struct end){a[0], false, a[4]};
        e[1] = (struct end){a[2], true, 0};
        return 2;
    default:
        return 0;
    }
}

void channel_tell(struct writer *w, uint64_t num, const uint64_t a[6])
{
    struct end e[2];
    unsigned n = ends_of(num, a, e);

    for (unsigned i = 0; i < n; i++)
        put_end(w, &e[i]);
}
