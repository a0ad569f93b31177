/* process.c: what fork, exec and exit do to descriptors and tasks of a process.
 *
 *   fork   the child has copies of all descriptors: the same open file descriptions, a task of its own
 *   exec   descriptors with FD_CLOEXEC are closed, all threads but one end
 *   exit   all descriptors are closed, all tasks freed
 *
 * Source: Linux 6.18 kernel/fork.c (copy_files, dup_task_struct), kernel/rseq.c (rseq_handle_notify_resume), fs/exec.c (begin_new_exec, de_thread),
 * fs/file.c (dup_fd, do_close_on_exec), kernel/exit.c (exit_files).
 */
#include "kern/kern_int.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define RSEQ_BYTES 28 /* of struct rseq, mm_cid included */

struct kern_proc *kern_proc_new(struct kern *k)
{
    struct kern_proc *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->next = k->procs;
    k->procs = p;
    return p;
}

void kern_switch(struct kern *k, struct kern_proc *p)
{
    k->current = p;
}

struct kern_proc *kern_current(const struct kern *k)
{
    return k->current;
}

static void proc_free(struct kern_proc *p)
{
    free(p->fd);
    map_free(&p->opened);
    free(p);
}

/* -- fork ------------------------------------------------------------------------------------ */

/* dup_fd: the child's table holds what the parent's does. */
static void dup_fd(struct kern_proc *child, const struct kern_proc *parent)
{
    const struct map_slot *x;
    size_t pos = 0;
    while (child->cap_fd < parent->n_fd)
        child->fd = kern_grow(child->fd, child->cap_fd, &child->cap_fd, sizeof *child->fd);
    if (parent->n_fd > 0)
        memcpy(child->fd, parent->fd, parent->n_fd * sizeof *child->fd);
    child->n_fd = parent->n_fd;
    while ((x = map_next(&parent->opened, &pos)) != NULL) {
        int err = map_put(&child->opened, x->key, x->value);
        ASSERT(err == 0);
    }
}

struct kern_proc *kern_proc_fork(struct kern *k, uint32_t tid)
{
    struct kern_proc *parent = k->current, *child = kern_proc_new(k);
    if (!child)
        return NULL;
    dup_fd(child, parent);
    k->current = child;
    kern_task_new(k, tid); /* one that finds no frame does without: the program got its child */
    k->current = parent;
    return child;
}

void kern_schedule_tail(vaddr child_tid, vaddr rseq, struct kern_copies *copies)
{
    if (child_tid.v != 0)
        copies_add(copies, child_tid.v, sizeof(int32_t), true);
    if (rseq.v != 0)
        copies_add(copies, rseq.v, RSEQ_BYTES, true);
}

/* -- exec and exit --------------------------------------------------------------------------- */

void kern_proc_exec(struct kern *k, uint32_t tid)
{
    fds_close(k, 0, UINT32_MAX, true);
    de_thread(k, k->current, tid);
}

void kern_proc_exit(struct kern *k, struct kern_proc *p)
{
    struct kern_proc **link = &k->procs;
    k->current = p;
    fds_close(k, 0, UINT32_MAX, false);
    tasks_exit(k, p);
    k->current = NULL;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    proc_free(p);
}

void kern_procs_close(struct kern *k)
{
    for (struct kern_proc *p = k->procs, *next; p; p = next) {
        next = p->next;
        proc_free(p);
    }
}
