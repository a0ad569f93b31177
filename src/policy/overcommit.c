/* overcommit.c: see overcommit.h. */
#include "policy/overcommit.h"

#define PAGE_KB 4u

uint64_t overcommit_limit(const struct overcommit *o)
{
    uint64_t own = (o->totalram_pages - o->hugetlb_pages) * o->ratio / 100;
    if (o->kbytes != 0)
        own = o->kbytes / PAGE_KB;
    return own + o->total_swap_pages;
}

bool overcommit_enough(const struct overcommit *o, const struct overcommit_ask *ask)
{
    if (o->mode == OVERCOMMIT_ALWAYS)
        return true;
    if (o->mode == OVERCOMMIT_GUESS)
        return ask->pages <= o->totalram_pages + o->total_swap_pages;
    int64_t allowed = (int64_t)overcommit_limit(o);
    if (!ask->admin)
        allowed -= (int64_t)(o->admin_reserve_kb / PAGE_KB);
    if (ask->has_mm)
        allowed -= (int64_t)min_u64(ask->total_vm / 32, o->user_reserve_kb / PAGE_KB);
    return (int64_t)ask->committed < allowed;
}

uint64_t overcommit_admin_reserve(uint64_t free_kb)
{
    return min_u64(free_kb / 32, 8 * 1024);
}

uint64_t overcommit_user_reserve(uint64_t free_kb)
{
    return min_u64(free_kb / 32, 128 * 1024);
}
