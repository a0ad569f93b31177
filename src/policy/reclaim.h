/* reclaim.h: the decisions of page reclaim as pure functions: how much of which list to look at,
 * and which evicted pages came back too soon.
 *
 * Source: Linux 6.18 mm/vmscan.c (get_scan_count, calculate_pressure_balance, inactive_is_low,
 * prepare_scan_control), mm/workingset.c (workingset_test_recent), mm/swap.c (lru_note_cost).
 */
#ifndef POLICY_RECLAIM_H
#define POLICY_RECLAIM_H

#include "base/bits.h"

#define DEF_PRIORITY     12u
#define SWAP_CLUSTER_MAX 32u
#define MAX_SWAPPINESS   200u

/* The lists a scan looks at, in this order. */
enum scan_list {
    SCAN_INACTIVE_ANON,
    SCAN_ACTIVE_ANON,
    SCAN_INACTIVE_FILE,
    SCAN_ACTIVE_FILE,
    SCAN_NR
};

/* What get_scan_count weighs. */
struct scan_input {
    uint64_t size[SCAN_NR];        /* pages of each list that may be taken */
    uint64_t anon_cost, file_cost; /* what reclaiming each kind cost of late */
    unsigned swappiness;           /* 0 … 200 */
    unsigned priority;             /* 12: look at 1/4096 … 0: at everything */
    bool may_swap;                 /* there is room in swap */
    bool file_is_tiny;             /* so few file pages that only anonymous ones can help */
    bool cache_trim;               /* so many inactive file pages that they are enough */
};
/* get_scan_count fills in how many pages of each list to look at. */
void get_scan_count(const struct scan_input *in, uint64_t ret[SCAN_NR]);
/* scan_cost is lru_note_cost for one kind: adds io * 32 + rotated, and halves both when they then
 * exceed a quarter of all pages on the lists. Nothing to add changes nothing. */
void scan_cost(uint64_t *cost, uint64_t *other, uint64_t io, uint64_t rotated, uint64_t lru_pages);

/* inactive_is_low: the active list is more than sqrt(10 * GiB) times as long as the inactive one. */
bool inactive_is_low(uint64_t inactive, uint64_t active);
/* file_is_tiny: file and free pages together do not reach the high watermarks of the node. */
bool file_is_tiny(uint64_t file, uint64_t free, uint64_t high, uint64_t inactive_anon,
                  unsigned priority, bool deactivate_anon);

/* Pages of a node when one of its evicted pages comes back. */
struct refault_input {
    uint64_t distance;                   /* evictions and activations since */
    uint64_t active_file, inactive_file; /* pages */
    uint64_t active_anon, inactive_anon; /* pages */
    bool file;                           /* the page is of a file */
    bool swap_left;                      /* anonymous pages could have gone instead */
};
/* refault_is_recent: had the page stayed, it would have been used again before others. */
bool refault_is_recent(const struct refault_input *in);

/* int_sqrt returns the largest number whose square is not above x. */
uint64_t int_sqrt(uint64_t x);

#endif
