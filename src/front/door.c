/* door.c: gives the memory shared with the plugin to a process of the guest that executes a program and
 * cannot open it by /proc: it runs as another user, or sees another /proc.
 *
 *   guest's process ─ connect, key ─► door_poll: is it the key? ─ the descriptor ─► guest's process
 *
 * Invariants:
 *  I1  Only who maps the region knows its key, and the name of the socket says nothing.
 *  I2  Nobody is waited for: who has connected and said nothing yet is looked at again, and of more than
 *      DOOR_GUESTS such the oldest is sent away.
 */
#include "front/front_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* name_of makes an abstract address that nobody else has. */
static bool name_of(char to[RING_DOOR])
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(to, RING_DOOR, "pagewalk-%016llx", (unsigned long long)random);
    return true;
}

static int listening(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (s < 0)
        return -1;
    memcpy(at.sun_path + 1, name, strlen(name));
    if (bind(s, (const void *)&at, (socklen_t)(sizeof at.sun_family + 1 + strlen(name))) == 0 &&
        listen(s, DOOR_GUESTS) == 0)
        return s;
    close(s);
    return -1;
}

void door_open(struct door *d, struct ring_region *ring)
{
    *d = (struct door){.socket = -1};
    if (getrandom(ring->key, sizeof ring->key, 0) != sizeof ring->key || !name_of(ring->door))
        return;
    d->socket = listening(ring->door);
    if (d->socket < 0)
        ring->door[0] = 0;
}

/* hand_over sends one byte and the descriptor. */
static void hand_over(int to, int fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct iovec one = {"", 1};
    struct msghdr m = {.msg_iov = &one,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};

    control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    if (sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; /* it is gone; its program runs unobserved */
}

/* answered looks at one who knocked; true when there is nothing more to wait for. */
static bool answered(int guest, const struct region *region)
{
    uint8_t key[RING_KEY + 1];
    ssize_t n = recv(guest, key, sizeof key, MSG_DONTWAIT);

    if (n < 0)
        return false;
    if (n == RING_KEY && memcmp(key, region->ring->key, RING_KEY) == 0) /* I1 */
        hand_over(guest, region->fd);
    return true;
}

static void send_away(struct door *d, unsigned i)
{
    close(d->guest[i]);
    d->guests--;
    memmove(&d->guest[i], &d->guest[i + 1], (d->guests - i) * sizeof d->guest[0]);
}

void door_poll(struct door *d, const struct region *region)
{
    int guest = d->socket < 0 ? -1 : accept4(d->socket, NULL, NULL, SOCK_CLOEXEC);

    if (guest >= 0) {
        if (d->guests == DOOR_GUESTS) /* I2 */
            send_away(d, 0);
        d->guest[d->guests++] = guest;
    }
    for (unsigned i = d->guests; i-- > 0;)
        if (answered(d->guest[i], region))
            send_away(d, i);
}

void door_close(struct door *d)
{
    while (d->guests)
        send_away(d, d->guests - 1);
    if (d->socket >= 0)
        close(d->socket);
    d->socket = -1;
}
