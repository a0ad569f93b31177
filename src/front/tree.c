/* tree.c: all processes below one process, and their end.
 *
 *   root ─┬─ a ── b        descendants: a b c d. An orphan hangs below the nearest subreaper, so nobody
 *         └─ c ── d        leaves the tree of one by dying parents (setsid and double forks included)
 *
 * Invariants:
 *  I1  Whoever forks while the tree is looked at is found by a later look: looks go on until one finds
 *      nothing that runs.
 *  I2  All are stopped before the first is killed: a stopped process forks no more but still counts
 *      against the limits that bound a fork bomb, so the tree cannot grow faster than it is killed.
 *  I3  Children of the root that `spared` names, and what is below them, are let alone.
 *
 * Source: prctl(2) PR_SET_CHILD_SUBREAPER; proc(5) /proc/PID/stat; Linux kernel/fork.c copy_process (a
 * pending signal, SIGSTOP too, makes fork begin anew).
 */
#include "front/front_int.h"

#include "base/vec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS         1000000L /* between two looks */
#define LOOKS_MAX       200      /* looks in which what was told to stop may do so */
#define LINE_MAX_LENGTH 100000u  /* of ancestors: they change while they are followed */

/* One process as /proc tells of it. */
struct seen {
    pid_t pid, parent;
    char state; /* R S D T t Z X … */
    bool below; /* the root */
};

struct seen_list {
    struct seen *at;
    uint32_t n;
    size_t cap;
};

/* parse_stat reads "pid (name) state ppid …"; the name may hold anything, parentheses too. */
static bool parse_stat(pid_t pid, struct seen *ret)
{
    char path[32], text[512], *rest;
    ssize_t n;
    int parent, fd;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    rest = strrchr(text, ')');
    *ret = (struct seen){.pid = pid};
    if (!rest || sscanf(rest + 1, " %c %d", &ret->state, &parent) != 2)
        return false;
    ret->parent = parent;
    return true;
}

static void look_at_all(struct seen_list *l)
{
    DIR *proc = opendir("/proc");
    struct dirent *e;
    struct seen s, *grown;

    l->n = 0;
    while (proc && (e = readdir(proc)) != NULL) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || !parse_stat(atoi(e->d_name), &s))
            continue;
        grown = vec_room(l->at, l->n, &l->cap, sizeof s);
        if (!grown)
            break; /* what was seen can be killed, then there is room */
        l->at = grown;
        l->at[l->n++] = s;
    }
    if (proc)
        closedir(proc);
}

static bool among(const pid_t *list, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == pid)
            return true;
    return false;
}

static int by_pid(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool is_below(const struct seen_list *l, pid_t pid)
{
    const struct seen key = {.pid = pid};
    const struct seen *s = bsearch(&key, l->at, l->n, sizeof key, by_pid);

    return s && s->below;
}

/* look fills the list with all processes, and marks those below root. */
static void look(struct seen_list *l, pid_t root, const struct tree_spared *spared)
{
    bool more = true;

    look_at_all(l);
    if (l->n)
        qsort(l->at, l->n, sizeof *l->at, by_pid);
    while (more) {
        more = false;
        for (uint32_t i = 0; i < l->n; i++) {
            struct seen *s = &l->at[i];

            if (s->below || among(spared->pid, spared->n, s->pid) ||
                (s->parent != root && !is_below(l, s->parent)))
                continue;
            s->below = more = true;
        }
    }
}

static bool dead(const struct seen *s)
{
    return s->state == 'Z' || s->state == 'X';
}
static bool stopped(const struct seen *s)
{
    return s->state == 'T' || s->state == 't';
}

/* send sends sig to all that are below and have not done what it asks; returns how many took it: a
 * process of another user takes none, and is not waited for. */
static unsigned send(const struct seen_list *l, int sig)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        const struct seen *s = &l->at[i];

        if (s->below && !dead(s) && !(sig == SIGSTOP && stopped(s)))
            n += kill(s->pid, sig) == 0;
    }
    return n;
}

static unsigned count(const struct seen_list *l)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < l->n; i++)
        n += l->at[i].below && !dead(&l->at[i]);
    return n;
}

/* rest between two looks: longer when what was killed takes its time (a device that does not answer). */
static void rest(unsigned looks)
{
    nanosleep(&(struct timespec){0, LOOK_NS * (looks < 50 ? 1 + (long)looks : 50)}, NULL);
}

void tree_kill(const struct tree_spared *spared)
{
    struct seen_list l = {0};
    pid_t root = getpid();
    unsigned looks = 0;

    for (look(&l, root, spared); send(&l, SIGSTOP) && ++looks < LOOKS_MAX; look(&l, root, spared))
        rest(0);
    for (looks = 0; send(&l, SIGKILL); looks++) {
        rest(looks);
        look(&l, root, spared);
    }
    free(l.at);
}

/* parent_of returns 0 where there is none, or no such process. */
static pid_t parent_of(pid_t pid)
{
    struct seen s;

    return parse_stat(pid, &s) ? s.parent : 0;
}

/* tree_kill_one: while the descriptor is open the number is nobody else's. */
void tree_kill_one(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    pid_t up = pid;

    if (fd < 0)
        return; /* it is over */
    for (unsigned i = 0; i < LINE_MAX_LENGTH && up > 1 && up != getpid(); i++)
        up = parent_of(up);
    if (up == getpid())
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    close(fd);
}

/* reap_some takes the dead among the caller's children; returns how many of them are not dead yet. */
static unsigned reap_some(const struct seen_list *l)
{
    unsigned left = 0;

    for (uint32_t i = 0; i < l->n; i++)
        if (l->at[i].below && l->at[i].parent == getpid() && dead(&l->at[i]))
            left += waitpid(l->at[i].pid, NULL, WNOHANG) == 0;
    return left;
}

void tree_reap(const struct tree_spared *spared)
{
    struct seen_list l = {0};
    unsigned looks = 0;

    for (look(&l, getpid(), spared); reap_some(&l) && ++looks < LOOKS_MAX;
         look(&l, getpid(), spared))
        rest(looks);
    free(l.at);
}

unsigned tree_count(void)
{
    const struct tree_spared none = {0};
    struct seen_list l = {0};
    unsigned n;

    look(&l, getpid(), &none);
    n = count(&l);
    free(l.at);
    return n;
}

/* tree_children: of the calling process. More than there is room for are not told: then the tree is not
 * ours alone, and what is below us is better let alone than half spared. */
bool tree_children(struct tree_spared *ret)
{
    struct seen_list l = {0};
    bool fits = true;

    ret->n = 0;
    look_at_all(&l);
    for (uint32_t i = 0; i < l.n; i++) {
        if (l.at[i].parent != getpid())
            continue;
        fits = ret->n < TREE_SPARED_MAX;
        if (!fits)
            break;
        ret->pid[ret->n++] = l.at[i].pid;
    }
    free(l.at);
    return fits;
}
