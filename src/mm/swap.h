/* swap.h: swap areas, time, and what happened when memory ran out, for those outside mm.
 *
 * Source: Linux 6.18 mm/swapfile.c, mm/oom_kill.c.
 */
#ifndef MM_SWAP_H
#define MM_SWAP_H

#include "conf/conf.h"

#define MAX_SWAPFILES 24u /* types of swap entries that are devices */

struct mm_sys;
struct mm;

/* Readahead of one VMA. */
struct vma_swap_ra {
    uint64_t addr;      /* of the last fault */
    uint32_t win, hits; /* pages of its window; pages read ahead and used since */
    bool known;         /* false: as if 4 hits had been */
};

/* A swap area to be. */
struct mm_swap_def {
    const char *path;             /* "" for memory nobody sees; a file when frames carry bytes */
    uint64_t bytes;               /* size, header page included */
    int prio;                     /* 0 … 32767; negative: below all before it */
    enum conf_swap_device device; /* disk, ssd, ram */
};
/* mm_swapon returns the area's type, or -EINVAL (too small, not a swap file), -EBUSY (in use), -EPERM
 * (too many), -errno of the file. */
int mm_swapon(struct mm_sys *s, const struct mm_swap_def *d);
/* mm_swapoff brings every page back to memory: 0, -EINVAL for no such area, -ENOMEM when memory could
 * not hold them (by the overcommit rules before it begins, or by real lack later: the area stays). */
int mm_swapoff(struct mm_sys *s, unsigned type);
/* mm_swap_check says whether the swap area of an option set can be had, in words if not: before a
 * run. 0 or -EINVAL. */
int mm_swap_check(const struct conf *c, char *err, size_t err_size);

/* A row of /proc/swaps. */
struct mm_swap_info {
    const char *path;
    uint64_t pages, used; /* without the header */
    int prio;
};
unsigned mm_swaps(const struct mm_sys *s, struct mm_swap_info ret[MAX_SWAPFILES]);
uint64_t mm_swap_total(const struct mm_sys *s); /* pages */
uint64_t mm_swap_free(const struct mm_sys *s);  /* pages */

/* mm_kswapd lets kswapd of every woken node run. */
void mm_kswapd(struct mm_sys *s);
/* mm_shrink_all reclaims what can be reclaimed, used or not: 8 times over all nodes, as deep as it goes
 * (memory.reclaim of a cgroup). Returns pages freed. */
uint64_t mm_shrink_all(struct mm_sys *s);
/* mm_dirty_limits returns nr_dirty_threshold and nr_dirty_background_threshold, pages. */
void mm_dirty_limits(const struct mm_sys *s, uint64_t *ret_thresh, uint64_t *ret_background);
/* mm_drop_caches is a write of 1, 2 or 3 to /proc/sys/vm/drop_caches. */
void mm_drop_caches(struct mm_sys *s, unsigned what);

/* mm_clear_refs is a write to /proc/PID/clear_refs: 1 all pages, 2 anonymous, 3 of files are no longer
 * referenced; 4 (soft-dirty, which this kernel has not) does nothing; 5 resets the peak of resident
 * memory. 0 or -EINVAL. */
int mm_clear_refs(struct mm *m, unsigned what);

/* A process the OOM killer chose. */
struct mm_oom_event {
    uint32_t pid;
    uint64_t pgfault; /* page faults of the machine until then */
    char line[256];   /* as the kernel's log has it */
};
#define OOM_EVENTS_MAX 16u /* kept: the last ones */
/* mm_oom_events returns a ring of OOM_EVENTS_MAX and how many there ever were. */
const struct mm_oom_event *mm_oom_events(const struct mm_sys *s, uint64_t *ret_n);
/* mm_oom_panics returns how often there was nobody to kill, or vm.panic_on_oom forbade it. */
uint64_t mm_oom_panics(const struct mm_sys *s);
/* mm_oom_score returns what /proc/PID/oom_score shows. */
uint64_t mm_oom_score(const struct mm *m);

#endif
