/* oom.c: badness = rss + swap entries + page tables (pages) + adj * (pages of the machine / 1000).
 */
#include "policy/oom.h"

int64_t oom_badness(const struct oom_input *in, uint64_t totalpages)
{
    if (in->unkillable || in->adj == OOM_SCORE_ADJ_MIN)
        return INT64_MIN;
    return (int64_t)(in->rss + in->swapents + in->pte_bytes / 4096) +
           (int64_t)in->adj * (int64_t)(totalpages / 1000);
}

uint64_t oom_score(const struct oom_input *in, uint64_t totalpages)
{
    int64_t points = oom_badness(in, totalpages);
    if (points == INT64_MIN || totalpages == 0)
        return 0;
    int64_t score = (1000 + points * 1000 / (int64_t)totalpages) * 2 / 3;
    return score > 0 ? (uint64_t)score : 0;
}
