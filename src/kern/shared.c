/* shared.c: memory in no file system: System V segments and memfds. It lives as long as an id, a
 * descriptor or a mapping leads to it; mm counts the mappings, this file the rest.
 *
 *   shmget ─► segment of mm (its size)          memfd_create ─► descriptor of a new object
 *   shmat  ─► its mapping, where it really is   dup, fcntl   ─► one descriptor more
 *   shmdt  ─► unmapped                          mmap         ─► the object's inode, from EV_FILE
 *   shmctl(IPC_RMID) ─► gone with its mappings  close        ─► the last one: mm_file_unlink
 *
 * Not seen: descriptors sent over sockets, opened again through /proc, or inherited, and segments
 * other processes made; docs/CAVEATS.md says what becomes of them.
 *
 * Invariant:
 *  I1  No descriptor stands twice in the fd of a process.
 *
 * Source: Linux ipc/shm.c (do_shmat, ksys_shmdt, shm_close), mm/memfd.c, fs/file.c.
 */
#include "kern/kern_int.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define SHM_HUGE_BITS 26 /* SHM_HUGE_SHIFT */

static bool failed(const struct kern_call *c)
{
    return c->result < 0 && c->result > -4096;
}

/* -- System V segments */

/* on_shmget: the size asked for is the segment's if the call made it, and no more than its else. */
static void on_shmget(struct kern *k, struct mm *m, const struct kern_call *c)
{
    int flags = (int)c->arg[2];
    if (!c->asked) /* the host has no pool that could be the model's */
        flags &= ~SHM_HUGETLB;
    if (mm_shm_adopt(m, (int)c->result, (int32_t)c->arg[0], c->arg[1], flags) == 0)
        return;
    STAT(k->stats, div_hugetlb)++;
    mm_shm_adopt(m, (int)c->result, (int32_t)c->arg[0], c->arg[1], flags & ~SHM_HUGETLB);
}

/* shared_ask: a new segment of huge pages is promised in full (newseg). */
int shared_ask(struct kern *k, struct mm *m, const struct kern_call *c)
{
    uint32_t flags = (uint32_t)c->arg[2];
    struct mm_hugetlb_want want = {.bytes = c->arg[1],
                                   .size_log = flags >> SHM_HUGE_BITS & 0x3f,
                                   .reserve = !(flags & SHM_NORESERVE)};
    if (!(flags & SHM_HUGETLB) || mm_shm_known(m, (int32_t)c->arg[0]))
        return 0;
    return mm_hugetlb_may(k->sys, &want);
}

/* on_shmat: what another process made is unknown here: mapped page by page, when it is touched. */
static int on_shmat(struct kern *k, struct mm *m, const struct kern_call *c)
{
    int64_t r = mm_shmat(m, (int)c->arg[0], va((uint64_t)c->result), (int)c->arg[2], true);
    STAT(k->stats, div_syscall_answer) += r != c->result && r != -EINVAL;
    return r == c->result;
}

static void on_shmctl(struct mm *m, const struct kern_call *c)
{
    int cmd = (int)c->arg[1];
    if (cmd == IPC_RMID || cmd == SHM_LOCK || cmd == SHM_UNLOCK)
        mm_shmctl(m, (int)c->arg[0], cmd, NULL);
}

/* -- what calls do to descriptors */

/* opens: the result is a descriptor of a description of its own. */
static bool opens(uint64_t nr)
{
    return nr == SYS_open || nr == SYS_openat || nr == SYS_openat2 || nr == SYS_creat ||
           nr == SYS_memfd_create;
}

static bool dups(const struct kern_call *c)
{
    return c->nr == SYS_dup || c->nr == SYS_dup2 || c->nr == SYS_dup3 ||
           (c->nr == SYS_fcntl && (c->arg[1] == F_DUPFD || c->arg[1] == F_DUPFD_CLOEXEC));
}

/* asks_cloexec: the descriptor that the call made goes at exec. */
static bool asks_cloexec(const struct kern_call *c)
{
    switch (c->nr) {
    case SYS_memfd_create:
        return c->arg[1] & MFD_CLOEXEC;
    case SYS_open:
        return c->arg[1] & O_CLOEXEC;
    case SYS_openat:
    case SYS_dup3:
        return c->arg[2] & O_CLOEXEC;
    case SYS_fcntl:
        return c->arg[1] == F_DUPFD_CLOEXEC;
    default:
        return false;
    }
}

/* sets_cloexec: the call sets or clears FD_CLOEXEC of its first argument. */
static bool sets_cloexec(const struct kern_call *c, bool *ret_on)
{
    if (c->nr == SYS_fcntl && c->arg[1] == F_SETFD)
        *ret_on = c->arg[2] & FD_CLOEXEC;
    else if (c->nr == SYS_ioctl && (c->arg[1] == FIOCLEX || c->arg[1] == FIONCLEX))
        *ret_on = c->arg[1] == FIOCLEX;
    else
        return false;
    return true;
}

/* -- descriptors of memfds */

static struct kern_fd *fd_find(const struct kern *k, uint64_t fd)
{
    struct kern_proc *p = k->current;
    for (uint32_t i = 0; i < p->n_fd; i++)
        if (p->fd[i].fd == (uint32_t)fd)
            return &p->fd[i];
    return NULL;
}

/* fd_of_inode returns a descriptor of an object with that inode, in any process, or NULL. */
static struct kern_fd *fd_of_inode(const struct kern *k, uint64_t dev, uint64_t ino)
{
    for (struct kern_proc *p = k->procs; p; p = p->next)
        for (uint32_t i = 0; i < p->n_fd; i++)
            if (p->fd[i].mapped && p->fd[i].dev == dev && p->fd[i].ino == ino)
                return &p->fd[i];
    return NULL;
}

static bool object_open(const struct kern *k, uint64_t object)
{
    for (const struct kern_proc *p = k->procs; p; p = p->next)
        for (uint32_t i = 0; i < p->n_fd; i++)
            if (p->fd[i].object == object)
                return true;
    return false;
}

static void fd_close(struct kern *k, uint64_t fd)
{
    uint64_t size;
    struct kern_fd *at = fd_find(k, fd);
    if (!at)
        return;
    struct kern_fd gone = *at;
    *at = k->current->fd[--k->current->n_fd];
    if (!gone.mapped || object_open(k, gone.object))
        return;
    struct mm_file *f = mm_file_find(k->sys, gone.dev, gone.ino, &size);
    if (!f)
        return;
    mm_file_unlink(f);
    mm_file_put(k->sys, f);
}

static void fd_add(struct kern *k, uint64_t fd, struct kern_fd like)
{
    struct kern_proc *p = k->current;
    fd_close(k, fd); /* I1 */
    p->fd = kern_grow(p->fd, p->n_fd, &p->cap_fd, sizeof *p->fd);
    like.fd = (uint32_t)fd;
    p->fd[p->n_fd++] = like;
}

/* on_dup: a copy has a FD_CLOEXEC of its own. */
static void on_dup(struct kern *k, const struct kern_call *c)
{
    const struct kern_fd *at = fd_find(k, c->arg[0]);
    uint64_t to = (uint64_t)c->result;
    if (c->arg[0] == to)
        return;
    if (!at) {
        fd_close(k, to);
        return;
    }
    struct kern_fd copy = *at;
    copy.cloexec = asks_cloexec(c);
    fd_add(k, to, copy);
}

/* nameless: a file in memory, or of huge pages, that no path leads to. */
static bool nameless(const struct kern_file *f)
{
    static const char gone[] = " (deleted)";
    size_t len = strlen(f->path), end = sizeof gone - 1;
    if (strncmp(f->path, "/memfd:", 7) == 0)
        return true;
    return (strncmp(f->path, "/dev/shm/", 9) == 0 || f->huge_log != 0) && len > end &&
           !strcmp(f->path + len - end, gone);
}

/* fd_object returns the object of a descriptor that stands for an inode; one whose closing was not
 * seen and that now stands for another is closed first. */
static uint64_t fd_object(struct kern *k, const struct kern_file *f)
{
    uint32_t fd = (uint32_t)f->fd;
    const struct kern_fd *at = fd_find(k, fd), *same = fd_of_inode(k, f->dev, f->ino);
    if (at && (!at->mapped || (at->dev == f->dev && at->ino == f->ino)))
        return at->object;
    fd_add(k, fd, same ? *same : (struct kern_fd){.object = ++k->last_object});
    return fd_find(k, fd)->object;
}

/* on_file: a call told which inode a descriptor stands for; all descriptors of its object learn it. */
static void on_file(struct kern *k, const struct kern_file *f)
{
    if (!f->present || !nameless(f))
        return;
    uint64_t object = fd_object(k, f);
    for (struct kern_proc *p = k->procs; p; p = p->next)
        for (uint32_t i = 0; i < p->n_fd; i++)
            if (p->fd[i].object == object) {
                p->fd[i].mapped = true;
                p->fd[i].dev = f->dev;
                p->fd[i].ino = f->ino;
            }
}

static void on_descriptor(struct kern *k, const struct kern_call *c)
{
    switch (c->nr) {
    case SYS_memfd_create:
        fd_add(k, (uint64_t)c->result,
               (struct kern_fd){.object = ++k->last_object, .cloexec = asks_cloexec(c)});
        break;
    case SYS_fcntl:
    case SYS_dup:
    case SYS_dup2:
    case SYS_dup3:
        if (dups(c))
            on_dup(k, c);
        break;
    case SYS_close:
    case SYS_close_range:
        break; /* of all descriptors: opened_apply */
    default:
        on_file(k, &c->file);
        break;
    }
}

/* -- open file descriptions */

static void opened_set(struct kern *k, uint64_t fd, uint64_t id, bool cloexec)
{
    int err = map_put(&k->current->opened, (uint32_t)fd, id << 1 | cloexec);
    ASSERT(err == 0);
}

/* opened_id: a descriptor that came with the program, or in a way not seen, gets its number now. */
uint64_t opened_id(struct kern *k, int fd)
{
    const uint64_t *id = map_find(&k->current->opened, (uint32_t)fd);
    if (id)
        return *id >> 1;
    opened_set(k, (uint32_t)fd, ++k->last_opened, false);
    return k->last_opened;
}

static void close_opened(struct map *opened, uint32_t first, uint32_t last, bool only_cloexec)
{
    size_t pos = 0;
    for (const struct map_slot *x; first < last && (x = map_next(opened, &pos)) != NULL;)
        if (x->key >= first && x->key <= last && (!only_cloexec || x->value & 1)) {
            map_del(opened, x->key);
            pos = 0; /* slots moved */
        }
    if (first == last)
        map_del(opened, first);
}

void fds_close(struct kern *k, uint32_t first, uint32_t last, bool only_cloexec)
{
    const struct kern_proc *p = k->current;
    for (uint32_t i = p->n_fd; i-- > 0;)
        if (p->fd[i].fd >= first && p->fd[i].fd <= last && (!only_cloexec || p->fd[i].cloexec))
            fd_close(k, p->fd[i].fd);
    close_opened(&k->current->opened, first, last, only_cloexec);
}

/* mark_cloexec sets or clears FD_CLOEXEC of the descriptors of a range that are known. */
static void mark_cloexec(struct kern *k, uint32_t first, uint32_t last, bool on)
{
    struct kern_proc *p = k->current;
    for (uint32_t i = 0; i < p->n_fd; i++)
        if (p->fd[i].fd >= first && p->fd[i].fd <= last)
            p->fd[i].cloexec = on;
    size_t pos = 0;
    for (const struct map_slot *x; (x = map_next(&p->opened, &pos)) != NULL;)
        if (x->key >= first && x->key <= last)
            *map_find(&p->opened, x->key) = (x->value & ~UINT64_C(1)) | on;
}

static void on_close_range(struct kern *k, const struct kern_call *c)
{
    if (c->arg[2] & CLOSE_RANGE_CLOEXEC)
        mark_cloexec(k, (uint32_t)c->arg[0], (uint32_t)c->arg[1], true);
    else
        fds_close(k, (uint32_t)c->arg[0], (uint32_t)c->arg[1], false);
}

void opened_apply(struct kern *k, const struct kern_call *c)
{
    bool on;
    if (failed(c))
        return;
    if (opens(c->nr))
        opened_set(k, (uint64_t)c->result, ++k->last_opened, asks_cloexec(c));
    else if (dups(c) && c->arg[0] != (uint64_t)c->result)
        opened_set(k, (uint64_t)c->result, opened_id(k, (int)c->arg[0]), asks_cloexec(c));
    else if (sets_cloexec(c, &on))
        mark_cloexec(k, (uint32_t)c->arg[0], (uint32_t)c->arg[0], on);
    else if (c->nr == SYS_close)
        fds_close(k, (uint32_t)c->arg[0], (uint32_t)c->arg[0], false);
    else if (c->nr == SYS_close_range)
        on_close_range(k, c);
}

int shared_apply(struct kern *k, struct mm *m, const struct kern_call *c)
{
    if (failed(c))
        return 0;
    switch (c->nr) {
    case SYS_shmget:
        on_shmget(k, m, c);
        return 0;
    case SYS_shmat:
        return on_shmat(k, m, c);
    case SYS_shmdt:
        return mm_shmdt(m, va(c->arg[0])) == 0;
    case SYS_shmctl:
        on_shmctl(m, c);
        return 0;
    default:
        on_descriptor(k, c);
        return 0;
    }
}
