/* victim.c: processes that the modelled OOM killer chose, when they are to die (kernel.oom_kill_guest).
 *
 *   mm: out_of_memory ─► event ─► victims_die: killed ─► its words are skipped … its streams end
 *                                     └─► sim_next_victim ─► front: SIGKILL on the host
 *
 * The host's SIGKILL comes later than the model's: what the process wrote until then it would not have done.
 *
 * Invariants:
 *  I1  A thread of a killed process has no core once its next word is read; it only tells the epochs it
 *      passes, which others wait for.
 *
 * Source: Linux 6.18 mm/oom_kill.c (__oom_kill_process: SIGKILL for all processes that share the mm).
 */
#include "sim/sim_int.h"

#include <signal.h>

static void die(struct sim_proc *p)
{
    if (p->killed != KILLED_NOT || p->state == PROC_ENDED)
        return;
    p->killed = KILLED;
    proc_status(p, SIGKILL);
}

void victims_die(struct sim *s)
{
    uint64_t kills;
    const struct mm_oom_event *ring = mm_oom_events(s->mm_sys, &kills);

    if (!s->oom) /* somebody else's memory went, and the one who wanted some goes on */
        s->oom_at_event = STAT(&s->stats, sim_events);
    s->oom = true;
    s->oom_kills = max_u64(s->oom_kills, kills - min_u64(kills, OOM_EVENTS_MAX));
    for (; s->oom_kills < kills; s->oom_kills++) {
        struct sim_proc *victim = proc_find(s, ring[s->oom_kills % OOM_EVENTS_MAX].pid);
        for (struct sim_proc *p = s->procs; victim && p; p = p->next)
            if (s->conf.kernel_oom_kill_guest && p->mm == victim->mm)
                die(p);
    }
}

bool sim_next_victim(struct sim *s, uint32_t *ret_pid)
{
    for (struct sim_proc *p = s->oom_kills > 0 ? s->procs : NULL; p; p = p->next)
        if (p->killed == KILLED) {
            p->killed = KILLED_TOLD;
            *ret_pid = p->pid;
            return true;
        }
    return false;
}

/* leave: I1. */
static void leave(struct sim *s, struct sim_thread *t)
{
    account(s, t);
    sched_thread_ends(s, t);
    sched_thread_close(s, t);
    account(s, s->current == t ? NULL : s->current);
}

/* skip_record: of a control record only what others wait for counts. */
static void skip_record(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    if (event_type(w[0]) == EV_EPOCH && event_words(w[0]) > 0) {
        t->epoch = (uint32_t)w[1];
        lock_epoch(s, t, t->epoch);
    } else if (event_type(w[0]) == EV_ASK) {
        t->answered = true;
        t->verdict = 0;
    }
}

size_t victim_skip(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n)
{
    size_t i = 0, words;

    if (t->state != THREAD_NEW)
        leave(s, t);
    for (; i < n; i += words) {
        bool control = event_kind(w[i]) == EV_CONTROL;
        words = control ? control_complete(w + i, n - i) : 1;
        if (words == 0)
            break;
        if (control)
            skip_record(s, t, w + i);
    }
    STAT(&s->stats, sim_events) += i;
    return i;
}
