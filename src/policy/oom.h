/* oom.h: who has to go when memory is out: Linux's badness.
 *
 * Source: Linux 6.18 mm/oom_kill.c (oom_badness), fs/proc/base.c (proc_oom_score).
 */
#ifndef POLICY_OOM_H
#define POLICY_OOM_H

#include <stdbool.h>
#include <stdint.h>

#define OOM_SCORE_ADJ_MIN (-1000)
#define OOM_SCORE_ADJ_MAX 1000

/* What a process has, and how it was adjusted. */
struct oom_input {
    uint64_t rss;       /* pages: anonymous, of files, shared memory */
    uint64_t swapents;  /* swap entries */
    uint64_t pte_bytes; /* of page tables */
    int adj;            /* oom_score_adj, -1000 … 1000 */
    bool unkillable;    /* init, a kernel thread, in vfork, already reaped */
};

/* oom_badness returns the points of a process on a machine of so many pages (RAM + swap), or
 * INT64_MIN for one that must not be chosen. */
int64_t oom_badness(const struct oom_input *in, uint64_t totalpages);
/* oom_score returns what /proc/PID/oom_score shows. */
uint64_t oom_score(const struct oom_input *in, uint64_t totalpages);

#endif
