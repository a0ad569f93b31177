/* reclaim.c: how much of which LRU list to look at.
 *
 *   scan = size >> priority, then
 *     no swap, or enough inactive file pages       only file
 *     hardly any file pages                        only anon
 *     priority 0 (and swappiness not 0)            both in full
 *     else    anon share : file share = ap : fp
 *               c = anon_cost + file_cost   A = c + anon_cost   F = c + file_cost   T = A + F
 *               ap = swappiness * (T + 1) / (A + 1)    fp = (200 - swappiness) * (T + 1) / (F + 1)
 */
#include "policy/reclaim.h"

uint64_t int_sqrt(uint64_t x)
{
    uint64_t root = 0;
    for (uint64_t bit = BIT(31); bit != 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= x)
            root += bit;
    return root;
}

enum balance { BALANCE_EQUAL, BALANCE_FRACT, BALANCE_ANON, BALANCE_FILE };

static enum balance choose(const struct scan_input *in)
{
    if (!in->may_swap)
        return BALANCE_FILE;
    if (in->priority == 0 && in->swappiness != 0)
        return BALANCE_EQUAL;
    if (in->file_is_tiny)
        return BALANCE_ANON;
    return in->cache_trim ? BALANCE_FILE : BALANCE_FRACT;
}

void get_scan_count(const struct scan_input *in, uint64_t ret[SCAN_NR])
{
    enum balance b = choose(in);
    uint64_t c = in->anon_cost + in->file_cost, a = c + in->anon_cost, f = c + in->file_cost;
    uint64_t ap = in->swappiness * (a + f + 1) / (a + 1);
    uint64_t fp = (MAX_SWAPPINESS - in->swappiness) * (a + f + 1) / (f + 1);
    for (int l = 0; l < SCAN_NR; l++) {
        bool file = l >= SCAN_INACTIVE_FILE;
        ret[l] = in->size[l] >> in->priority;
        if (b == BALANCE_FRACT)
            ret[l] = ret[l] * (file ? fp : ap) / (ap + fp);
        else if (b != BALANCE_EQUAL && (b == BALANCE_FILE) != file)
            ret[l] = 0;
    }
}

void scan_cost(uint64_t *cost, uint64_t *other, uint64_t io, uint64_t rotated, uint64_t lru_pages)
{
    if (io == 0 && rotated == 0)
        return;
    *cost += io * SWAP_CLUSTER_MAX + rotated;
    if (*cost + *other > lru_pages / 4) {
        *cost /= 2;
        *other /= 2;
    }
}

bool inactive_is_low(uint64_t inactive, uint64_t active)
{
    uint64_t gib = (inactive + active) >> 18;
    return inactive * (gib ? int_sqrt(10 * gib) : 1) < active;
}

bool file_is_tiny(uint64_t file, uint64_t free, uint64_t high, uint64_t inactive_anon,
                  unsigned priority, bool deactivate_anon)
{
    return file + free <= high && !deactivate_anon && inactive_anon >> priority != 0;
}

bool refault_is_recent(const struct refault_input *in)
{
    uint64_t workingset = in->active_file;
    if (!in->file)
        workingset += in->inactive_file;
    if (in->swap_left) {
        workingset += in->active_anon;
        if (in->file)
            workingset += in->inactive_anon;
    }
    return in->distance <= workingset;
}
