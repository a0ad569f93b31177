/* stat.c: look-up in the counter table. */
#include "stat/stat.h"

#include <stddef.h>
#include <strings.h>

static const struct stat_info rows[STAT_NR] = {
#define STAT_ROW(group, ident, name, unit, meaning) {STAT_##group, UNIT_##unit, name, meaning},
#include "stat/stat.def"
#undef STAT_ROW
};

const struct stat_info *stat_info(enum stat_id id)
{
    return &rows[id];
}

int stat_find(const char *name)
{
    for (int i = 0; i < STAT_NR; i++)
        if (strcasecmp(rows[i].name, name) == 0)
            return i;
    return -1;
}

const char *stat_unit_name(enum stat_unit unit)
{
    static const char *const names[] = {"count", "cycles", "pages", "KiB", "bytes"};
    return names[unit];
}
