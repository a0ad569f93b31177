/* stat.h: counters. One table (stat.def) gives enum, names, units and meanings; a machine owns one
 * struct stat_set and hands a pointer to each module that counts.
 *
 *     STAT(s, dtlb_load_walk)++;
 */
#ifndef STAT_STAT_H
#define STAT_STAT_H

#include <stdbool.h>
#include <stdint.h>

enum stat_group { STAT_HW, STAT_FAULT, STAT_VM, STAT_DIV, STAT_SIM, STAT_GROUP_NR };
enum stat_unit { UNIT_COUNT, UNIT_CYCLES, UNIT_PAGES, UNIT_KIB, UNIT_BYTES };

enum stat_id {
#define STAT_ROW(group, ident, name, unit, meaning) STAT_##ident,
#include "stat/stat.def"
#undef STAT_ROW
    STAT_NR
};

struct stat_set {
    uint64_t v[STAT_NR];
};

#define STAT(s, ident) ((s)->v[STAT_##ident])

struct stat_info {
    enum stat_group group;
    enum stat_unit unit;
    const char *name;    /* "dtlb_load_misses.walk_completed" */
    const char *meaning; /* one sentence or two */
};

/* stat_is_maximum says of a counter that it is the highest of all values met, no sum: no share of it is
 * anybody's. */
static inline bool stat_is_maximum(enum stat_id id)
{
    return id == STAT_stack_deepest;
}

/* stat_info returns the row of a counter; id < STAT_NR. */
const struct stat_info *stat_info(enum stat_id id);
/* stat_find returns the counter of that name (case does not matter) or -1. */
int stat_find(const char *name);
/* stat_unit_name returns "count", "cycles", "pages", "KiB" or "bytes". */
const char *stat_unit_name(enum stat_unit unit);

#endif
