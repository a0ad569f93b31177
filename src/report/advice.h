/* advice.h: what to try next, computed from a report. Pure functions: same report, same advice. */
#ifndef REPORT_ADVICE_H
#define REPORT_ADVICE_H

#include "report/report.h"

#define ADVICE_MAX 3

struct advice {
    uint64_t gain_cycles; /* estimate of what it would save, exposed cycles */
    char what[192];       /* the action, with the share it concerns: one line, no newline */
};

/* advise fills at most ADVICE_MAX suggestions that are each worth at least 1 % of the modelled
 * cycles, most useful first, and returns their number. */
unsigned advise(const struct report *r, struct advice ret[ADVICE_MAX]);

/* advice_huge_walks estimates the walks an area of `bytes` would still need on 2 MiB pages, from
 * its walks on 4 KiB pages. Pages that fit the TLB entries that take 2 MiB pages are walked once
 * each; beyond that, hits are taken as uniform (a hit for entries / pages of the accesses), for
 * both sizes. Never more than the walks of now. */
uint64_t advice_huge_walks(const struct conf *conf, uint64_t bytes, uint64_t walks);

#endif
