/* door.c: see door.h. The program must not see a descriptor of ours, so none is kept; when one is needed
 *
 *   1. /proc/CONSUMER/fd/N     the same user, in the same namespace of processes
 *   2. the consumer's socket   anybody who maps the region and so knows its key
 *
 * I1  What comes is the region: its device and inode are compared.
 */
#include "door.h"
#include "writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_region(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_dev == region->memfd[0] && st.st_ino == region->memfd[1];
}

/* if_region returns fd if it is the region's (I1), else it closes it. */
static int if_region(int fd)
{
    if (fd < 0 || is_region(fd))
        return fd;
    close(fd);
    return -1;
}

static int from_proc(void)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%u/fd/%u", region->consumer_pid, region->consumer_fd);
    return if_region(open(path, O_RDWR | O_CLOEXEC));
}

/* knock connects to the door and says the key; -1 when nobody opens. */
static int knock(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = strnlen(region->door, sizeof region->door);
    const struct timeval patience = {5, 0}; /* the consumer may be busy */
    int s = n ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1;

    if (s < 0)
        return -1;
    memcpy(to.sun_path + 1, region->door, n);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(s, (const void *)&to, (socklen_t)(sizeof to.sun_family + 1 + n)) != 0 ||
        send(s, region->key, sizeof region->key, MSG_NOSIGNAL) < 0) {
        close(s);
        return -1;
    }
    return s;
}

static int from_socket(void)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec one = {&byte, 1};
    struct msghdr m = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = &control};
    int s = knock(), fd = -1;

    m.msg_controllen = sizeof control;
    if (s < 0)
        return -1;
    if (recvmsg(s, &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m) &&
        CMSG_FIRSTHDR(&m)->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    close(s);
    return if_region(fd);
}

int door_fetch(void)
{
    int fd = from_proc();

    return fd >= 0 ? fd : from_socket();
}
