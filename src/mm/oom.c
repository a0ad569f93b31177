/* oom.c: out of memory: one process is chosen and loses its memory.
 *
 *   out_of_memory ─► select_bad_process (highest badness, later ones win ties)
 *        └► oom_kill_process ─► the kernel's log line ─► event
 *                             └► oom_reap: private memory is zapped, swap entries go
 *
 * A victim in the middle of a fault may first use the reserves; it is reaped when the fault ends. A
 * process that goes on afterwards (the program on the host was not killed) starts again with empty
 * pages: from there the run is no longer that of a real machine. Until it does it counts as dead.
 *
 * I1  Reaping leaves VMAs and page tables; only entries of private memory go, and no frame that
 *     somebody in a fault holds.
 * I2  Nobody is killed twice before it goes on: a request ends after as many kills as there are
 *     processes, whatever shared and locked memory and page tables the dead still hold.
 *
 * Source: Linux 6.18 mm/oom_kill.c (out_of_memory, oom_evaluate_task, __oom_kill_process,
 * __oom_reap_task_mm).
 */
#include "mm/mm_int.h"
#include "policy/oom.h"

#include <inttypes.h>
#include <stdio.h>

static struct oom_input badness_of(const struct mm *m)
{
    struct mm_counters c;
    mm_counters(m, &c);
    return (struct oom_input){.rss = c.rss[0] + c.rss[1] + c.rss[2],
                              .swapents = c.swapents,
                              .pte_bytes = c.pte_bytes,
                              .adj = m->task.oom_score_adj,
                              .unkillable = m->task.pid == 1 || m->oom.victim || m->oom.skip};
}

static uint64_t totalpages(const struct mm_sys *s)
{
    return phys_managed(s->phys) + s->swap.total;
}

uint64_t mm_oom_score(const struct mm *m)
{
    struct oom_input in = badness_of(m);
    return oom_score(&in, totalpages(m->sys));
}

/* select_bad_process: the list has the youngest process first, ties go to the later one in Linux's list,
 * which has it last. */
static struct mm *select_bad_process(struct mm_sys *s)
{
    struct mm *worst = NULL;
    int64_t most = INT64_MIN;
    for (struct mm *m = s->mms; m; m = m->next) {
        struct oom_input in = badness_of(m);
        int64_t points = oom_badness(&in, totalpages(s));
        if (points != INT64_MIN && points > most) {
            worst = m;
            most = points;
        }
    }
    return worst;
}

/* -- the kill --------------------------------------------------------------------------------------- */

#define KIB_OF(pages) ((pages) * (PAGE_SIZE / 1024))

static void log_event(struct mm_sys *s, const struct mm *m)
{
    struct mm_oom_log *l = &s->oom;
    struct mm_oom_event *e = &l->event[l->nr % OOM_EVENTS_MAX];
    struct mm_counters c;
    mm_counters(m, &c);
    l->nr++;
    *e = (struct mm_oom_event){.pid = m->task.pid, .pgfault = STAT(s->stats, pgfault)};
    snprintf(e->line, sizeof(e->line),
             "Out of memory: Killed process %d (%s) total-vm:%" PRIu64 "kB, anon-rss:%" PRIu64
             "kB, file-rss:%" PRIu64 "kB, shmem-rss:%" PRIu64 "kB, UID:%u pgtables:%" PRIu64
             "kB oom_score_adj:%d",
             (int)m->task.pid, m->task.comm, KIB_OF(c.total_vm), KIB_OF(c.rss[MM_ANONPAGES]),
             KIB_OF(c.rss[MM_FILEPAGES]), KIB_OF(c.rss[MM_SHMEMPAGES]), (unsigned)m->task.uid,
             c.pte_bytes / 1024, m->task.oom_score_adj);
}

void oom_reap(struct mm *m)
{
    struct gather g;
    gather_init(&g, m);
    for (struct vma *v = m->vmas.first; v; v = v->next)
        if (!(v->flags & (VM_HUGETLB | VM_PFNMAP)) &&
            (vma_is_anonymous(v) || !(v->flags & VM_SHARED)))
            zap_range(&g, v->start.v, v->end.v, ZAP_EVEN_COWS);
    gather_finish(&g);
    m->oom.victim = false;
    m->oom.skip = true; /* I2 */
}

/* somebody_died: on a real machine what it still holds would be free by now. */
static bool somebody_died(const struct mm_sys *s)
{
    for (const struct mm *m = s->mms; m; m = m->next)
        if (m->oom.skip)
            return true;
    return false;
}

bool out_of_memory(struct mm_sys *s, struct mm *current)
{
    struct mm *victim = s->conf.vm_oom_kill_allocating_task && current &&
                                current->task.oom_score_adj != OOM_SCORE_ADJ_MIN &&
                                !current->oom.skip
                            ? current
                            : select_bad_process(s);
    if (s->conf.vm_panic_on_oom != 0 || !victim) {
        s->oom.panics += s->conf.vm_panic_on_oom != 0 || !somebody_died(s);
        return false;
    }
    STAT(s->stats, oom_kill)++;
    log_event(s, victim);
    victim->oom.victim = true;
    if (victim->oom.busy == 0)
        oom_reap(victim);
    return true;
}

const struct mm_oom_event *mm_oom_events(const struct mm_sys *s, uint64_t *ret_n)
{
    *ret_n = s->oom.nr;
    return s->oom.event;
}

uint64_t mm_oom_panics(const struct mm_sys *s)
{
    return s->oom.panics;
}
