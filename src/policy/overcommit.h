/* overcommit.h: how much memory may be promised, as pure functions.
 *
 *   mode 0  one request must not exceed all memory and swap       (heuristic)
 *   mode 1  anything goes                                         (always)
 *   mode 2  all promises together stay below CommitLimit, less
 *           a reserve for root and one for the user's own rescue  (never)
 *
 * Source: Linux 6.18 mm/util.c (vm_commit_limit, __vm_enough_memory), mm/mmap.c
 * (init_user_reserve, init_admin_reserve).
 */
#ifndef POLICY_OVERCOMMIT_H
#define POLICY_OVERCOMMIT_H

#include "base/bits.h"

enum overcommit_mode { OVERCOMMIT_GUESS, OVERCOMMIT_ALWAYS, OVERCOMMIT_NEVER };

struct overcommit {
    enum overcommit_mode mode;
    uint64_t ratio;            /* overcommit_ratio, percent of memory */
    uint64_t kbytes;           /* overcommit_kbytes; not 0: instead of the ratio */
    uint64_t totalram_pages;   /* managed memory */
    uint64_t hugetlb_pages;    /* in pools of hugetlb pages of any size, in pages of 4 KiB */
    uint64_t total_swap_pages; /* of all areas in use */
    uint64_t admin_reserve_kb; /* kept from all but CAP_SYS_ADMIN */
    uint64_t user_reserve_kb;  /* at most kept from one process */
};

/* One request. */
struct overcommit_ask {
    uint64_t pages;     /* wanted */
    uint64_t committed; /* promised to all, this request included */
    bool admin;         /* the caller has CAP_SYS_ADMIN */
    bool has_mm;        /* the caller has an address space */
    uint64_t total_vm;  /* its size in pages */
};

/* overcommit_limit returns CommitLimit in pages. */
uint64_t overcommit_limit(const struct overcommit *o);
/* overcommit_enough answers a request: true when it may be granted. */
bool overcommit_enough(const struct overcommit *o, const struct overcommit_ask *ask);
/* The reserves a kernel starts with, in KiB, given its free memory in KiB. */
uint64_t overcommit_admin_reserve(uint64_t free_kb);
uint64_t overcommit_user_reserve(uint64_t free_kb);

#endif
