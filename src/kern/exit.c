/* exit.c: what a thread leaves in user memory when it ends.
 *
 *   set_tid_address(p), clone(CLONE_CHILD_CLEARTID, p) ─► task.clear_child_tid ─┐
 *   set_robust_list(head) ─► task.robust_list ─┐                               │
 *                                              ▼                               ▼
 *   exit ─► mm_release: head->next, futex_offset, list_op_pending are read; *p = 0, its futex is woken
 *
 * Which robust futexes the list holds is not known here: it is taken to be empty, as it is unless the thread
 * dies with one locked. The wake pins the page of *p, which was written just before. A bad address is no
 * error: the thread ends all the same.
 *
 * Source: Linux 6.18 kernel/fork.c (mm_release, set_tid_address, copy_process), kernel/futex/core.c
 * (exit_robust_list, futex_exit_release), kernel/futex/syscalls.c (set_robust_list).
 */
#include "kern/kern_int.h"

#include <errno.h>
#include <sched.h>

#define ROBUST_HEAD_BYTES                                                                          \
    24u /* struct robust_list_head: list.next, futex_offset, list_op_pending */

/* -- while it lives --------------------------------------------------------------------------- */

static void expect_thread(struct kern *k, uint32_t tid, vaddr clear)
{
    k->born[k->n_born++ % KERN_BORN_MAX] = (struct kern_born){tid, clear};
}

vaddr tid_expected(struct kern *k, uint32_t tid)
{
    for (uint32_t i = 0; i < KERN_BORN_MAX; i++)
        if (k->born[i].tid == tid && tid != 0) {
            k->born[i].tid = 0;
            return k->born[i].clear_child_tid;
        }
    return va(0);
}

/* cloned: the child may have begun, and then has a task. */
static void cloned(struct kern *k, const struct kern_call *c)
{
    vaddr clear = c->arg[0] & CLONE_CHILD_CLEARTID ? va(c->arg[3]) : va(0);
    struct kern_task *child = task_of(k, (uint32_t)c->result);

    if (child)
        child->clear_child_tid = clear;
    else if (clear.v != 0)
        expect_thread(k, (uint32_t)c->result, clear);
}

/* An emulator that lacks set_robust_list says ENOSYS; Linux takes the list. */
void tid_apply(struct kern *k, const struct kern_call *c)
{
    struct kern_task *t = task_of(k, c->tid);

    if (c->nr == SYS_clone && c->result > 0)
        cloned(k, c);
    else if (c->nr == SYS_set_tid_address && t)
        t->clear_child_tid = va(c->arg[0]);
    else if (c->nr == SYS_set_robust_list && t && c->arg[1] == ROBUST_HEAD_BYTES &&
             (c->result == 0 || c->result == -ENOSYS))
        t->robust_list = va(c->arg[0]);
}

/* -- when it ends ----------------------------------------------------------------------------- */

static void add_last(struct kern_copies *copies, vaddr a, uint64_t bytes, bool store)
{
    uint32_t n = copies->n;

    copies_add(copies, a.v, bytes, store);
    if (copies->n > n)
        copies->copy[n].rule = COPY_LAST;
}

void kern_mm_release(struct kern *k, uint32_t tid, bool shared, struct kern_copies *copies)
{
    struct kern_task *t = task_of(k, tid);

    if (!t)
        return;
    if (t->robust_list.v != 0)
        add_last(copies, t->robust_list, ROBUST_HEAD_BYTES, false);
    if (t->clear_child_tid.v != 0 && shared)
        add_last(copies, t->clear_child_tid, sizeof(int32_t), true);
    t->robust_list = t->clear_child_tid = va(0);
}
