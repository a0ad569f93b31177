/* incomplete.c: why a run was not observed to its end, in words. The front end gives one of the
 * reasons of enum ring_error, the first that occurred; the words of JSON are a promise. */
#include "report/report.h"

#include "base/bits.h"

static const struct {
    const char *word;  /* in JSON */
    const char *means; /* in the summary */
} reasons[] = {
    [RING_OK] = {NULL, NULL},
    [RING_E_SLOTS] = {"threads", "more than 1024 threads at one time; the others ran unobserved"},
    [RING_E_TABLE] = {"code", "more code than can be told apart; what came later ran unobserved"},
    [RING_E_STACK] = {"stack", "the program's stack was not found; faults there are wrong"},
};

const char *report_incomplete(uint32_t error)
{
    return error < ARRAY_LEN(reasons) ? reasons[error].word : "unknown";
}

const char *report_incomplete_means(uint32_t error)
{
    return error < ARRAY_LEN(reasons) ? reasons[error].means : "for a reason of no name";
}
