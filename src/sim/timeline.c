/* timeline.c: what happened when on which core, kept where somebody asked for it.
 *
 *   core 0  ══ sh ══│═ ls ═══│   idle   │══ sh ═══        MOMENT_RAN: from … for …
 *              ▲fork    ▲fault ▲exit  ▲received            the others: an instant
 *
 * Times are virtual, as everything that orders the machine.
 *
 *  I1  Slices of one core do not overlap; an instant of a thread lies in its slice, or at its end.
 *  I2  At most timeline.moments are kept, the first ones; later ones are only counted (`lost`).
 */
#include "sim/sim_int.h"

#include "base/vec.h"

#include <string.h>

void sim_timeline(struct sim *s)
{
    s->timeline = true;
}

const struct sim_moment *sim_moments(const struct sim *s, uint64_t *ret_n, uint64_t *ret_lost)
{
    *ret_n = s->n_moments;
    *ret_lost = s->moments_lost;
    return s->moments;
}

/* keep: t NULL is an idle core's. */
static void keep(struct sim *s, const struct sim_thread *t, struct sim_moment m)
{
    struct sim_moment *all = NULL;

    if (s->n_moments < s->conf.timeline_moments)
        all = vec_room(s->moments, s->n_moments, &s->moments_cap, sizeof(m));
    if (!all) {
        s->moments_lost++;
        return;
    }
    if (t) {
        m.pid = t->proc->pid;
        m.tid = t->tid;
        memcpy(m.comm, t->proc->comm, sizeof(m.comm));
    }
    s->moments = all;
    s->moments[s->n_moments++] = m;
}

void timeline_ran(struct sim *s, const struct sim_thread *t, unsigned core, uint64_t from_ps,
                  uint64_t to_ps)
{
    if (s->timeline && to_ps > from_ps)
        keep(s, t,
             (struct sim_moment){.kind = MOMENT_RAN,
                                 .core = (uint8_t)core,
                                 .at_ps = from_ps,
                                 .for_ps = to_ps - from_ps});
}

void timeline_at(struct sim *s, const struct sim_thread *t, enum sim_moment_kind kind,
                 uint64_t what, unsigned detail)
{
    if (s->timeline)
        keep(s, t,
             (struct sim_moment){.kind = (uint8_t)kind,
                                 .core = (uint8_t)t->core_id,
                                 .detail = (uint8_t)detail,
                                 .at_ps = sched_time(t),
                                 .what = what});
}

void timeline_core(struct sim *s, unsigned core, enum sim_moment_kind kind)
{
    const struct sim_thread *t = s->cpu[core].runs;

    if (s->timeline)
        keep(s, t,
             (struct sim_moment){.kind = (uint8_t)kind,
                                 .core = (uint8_t)core,
                                 .at_ps = t ? sched_time(t) : s->cpu[core].clock_ps});
}
