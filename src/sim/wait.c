/* wait.c: who waits for a process: wait4, waitid, vfork.
 *
 *   parent ── wait4 ── a child ended that was not waited for? goes on
 *                  └── one lives? sleeps ◄── it ends (proc.c)
 *   parent ── vfork ── made ── sleeps ◄── the child executes a program, or ends
 *
 * The emulator's parent may know that a child is dead before the model has come to the child's end: it waits
 * for that.
 *
 *  I1  wait4 returns a child after the child's last word.
 *  I2  Nothing of a parent is fed between its vfork and the child's exec or end: they share memory.
 *
 * Source: Linux 6.18 kernel/exit.c (do_wait), kernel/fork.c (wait_for_vfork_done, mm_release).
 */
#include "sim/sim_int.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bool is_wait(const struct kern_call *c)
{
    return c->nr == SYS_wait4 || c->nr == SYS_waitid;
}

static uint64_t options(const struct kern_call *c)
{
    return c->arg[c->nr == SYS_wait4 ? 2 : 3];
}

/* tells_more: also of children that only stopped. */
static bool tells_more(const struct kern_call *c)
{
    return options(c) & (WUNTRACED | WCONTINUED);
}

static bool has_ended(const struct sim_proc *p)
{
    return p->state == PROC_ENDED || (p->state == PROC_FORKED && p->exit_known);
}

/* waited_by says whether a call of t may tell of p. Process groups are not known: any child does. */
static bool waited_by(const struct sim_proc *p, const struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;
    int64_t id = c->nr == SYS_wait4 ? (int32_t)c->arg[0] : (int32_t)c->arg[1];
    bool any = c->nr == SYS_wait4 ? id <= 0 : c->arg[0] != P_PID;

    return p->parent == t->proc && !p->reaped && (any || p->pid == (uint32_t)id);
}

void wait_begins(struct sim *s, struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;
    bool lives = false, ended = false;

    if (!is_wait(c) || !s->tree || options(c) & WNOHANG || tells_more(c))
        return;
    for (const struct sim_proc *p = s->procs; p && !ended; p = p->next)
        if (waited_by(p, t)) {
            ended = has_ended(p);
            lives = true;
        }
    t->uses.known = lives;
    t->uses.child = lives && !ended;
    if (t->uses.child)
        sched_sleeps(s, t);
}

enum channel_answer wait_returns(struct sim *s, struct sim_thread *t, int64_t result)
{
    const struct kern_call *c = &t->pending.call;
    const struct sim_proc *p = c->nr == SYS_wait4 && result > 0 && s->tree
                                   ? proc_find(s, (uint32_t)result)
                                   : NULL; /* those that ended are not found */

    if (c->nr == SYS_vfork || (c->nr == SYS_clone && c->arg[0] & CLONE_VFORK))
        return CHANNEL_DONE; /* wait_vfork decides */
    if (!is_wait(c) || result < 0 || tells_more(c))
        return CHANNEL_UNKNOWN;
    if (p && p->parent == t->proc && !has_ended(p)) {
        t->uses.known = t->uses.child = true;
        return CHANNEL_WAITS;
    }
    return t->uses.known && t->state == THREAD_ON_RQ ? CHANNEL_DONE : CHANNEL_UNKNOWN;
}

void wait_vfork(struct sim *s, struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;
    bool vfork = c->nr == SYS_vfork || (c->nr == SYS_clone && c->arg[0] & CLONE_VFORK);
    struct sim_proc *p =
        vfork && c->result > 0 && s->tree ? proc_find(s, (uint32_t)c->result) : NULL;

    if (!p || p->parent != t->proc || p->images > 0)
        return;
    t->uses.vfork = p;
    sched_sleeps(s, t);
    t->uses.blocked = true;
}

void wait_executed(struct sim *s, const struct sim_proc *p, uint64_t now)
{
    for (struct sim_thread *t = s->threads; t; t = t->next)
        if (t->state == THREAD_IN_CALL && t->uses.waits && t->uses.vfork == p) {
            t->uses.vfork = NULL;
            sched_woken(s, t, now);
        }
}

void wait_ended(struct sim *s, const struct sim_proc *p, uint64_t now)
{
    wait_executed(s, p, now);
    for (struct sim_thread *t = s->threads; t; t = t->next)
        if (t->state == THREAD_IN_CALL && t->uses.waits && t->uses.child && waited_by(p, t))
            sched_woken(s, t, now);
}
