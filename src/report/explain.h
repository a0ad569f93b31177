/* explain.h: what a name means: a counter, an option, or a part of the cycles. */
#ifndef REPORT_EXPLAIN_H
#define REPORT_EXPLAIN_H

#include "base/sink.h"
#include "conf/conf.h"
#include "stat/stat.h"

/* explain prints unit, meaning, the part of the cycles it feeds, and what perf calls it; for an
 * option: range, unit, default and its value in conf. Returns 0, or -ENOENT for an unknown name:
 * then nothing was printed. Case does not matter. */
int explain(struct sink *out, const char *name, const struct conf *conf);

/* explain_nearest writes up to three names like `name` ("a, b or c") to buf; "" when none is near.
 * A name that contains `name` is near; so is one within a third of its letters. */
char *explain_nearest(const char *name, char *buf, size_t size);

/* explain_feeds returns the part of the cycles a counter feeds: "base", "memory", "translation",
 * "fault", "kernel", or NULL when it feeds none. */
const char *explain_feeds(enum stat_id id);
/* explain_perf returns what `perf stat -e` calls the same event on the modelled CPU, with a remark in
 * brackets, or NULL when that CPU does not count it. */
const char *explain_perf(enum stat_id id, const struct conf *conf);

/* One part of the cycles. */
struct explain_part {
    const char *name, *meaning, *formula;
};
const struct explain_part *explain_parts(size_t *ret_n);

#endif
