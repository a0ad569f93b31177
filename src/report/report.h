/* report.h: what a run is told as. One plain value, struct report, is gathered from a machine that
 * has come to rest; the summary and the JSON document are two ways to print it, and neither looks
 * at the machine itself.
 *
 *   sim, conf, stats ─► report_gather ─► struct report ─┬─► report_summary  (text, <= 25 lines)
 *   what the launcher knows ─────────────────►          ├─► report_json     ("pagewalk.run/1")
 *                                                       └─► advise          (what to try next)
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/sink.h"
#include "report/symbols.h"
#include "sim/sim.h"

#define REPORT_LINES_MAX   25  /* of a summary */
#define REPORT_COLUMNS_MAX 100 /* of one of its lines */
#define REPORT_SITES_MAX   200 /* instructions listed in JSON, costliest first */

/* What the launcher knows of the run and the machine does not. */
struct report_run {
    char *const *argv;        /* of the program, NULL-terminated; any bytes */
    const char *path;         /* the file that was run */
    const char *machine_note; /* why this machine: "" when it was chosen by name */
    int exit_code;            /* of the program, when signal is 0 */
    int signal;               /* that killed it, or 0 */
    uint64_t wall_ns;         /* real time of the whole run */
    uint32_t incomplete;      /* enum ring_error: why observing stopped; RING_OK: it did not */
};

/* report_incomplete returns the word of JSON for a reason, report_incomplete_means what it says to a
 * reader; both NULL for RING_OK. */
const char *report_incomplete(uint32_t error);
const char *report_incomplete_means(uint32_t error);

/* Sites of one symbol added up. */
struct report_function {
    const char *name;   /* symbol, or "[unknown]"; lives as long as the symbols */
    const char *object; /* path of the ELF file, or "[unknown]" */
    uint32_t sites;
    uint64_t stlb_hits, walks, walk_cycles, faults, fault_cycles;
    uint64_t cycles; /* exposed translation + fault */
};

/* A process that still has its address space at the end: VMAs in order. */
struct report_space {
    uint32_t process; /* its index in .processes */
    struct symbol_map *maps;
    uint32_t n_maps;
};

struct report {
    const struct report_run *run;
    const struct sim *sim; /* of report_gather: moments are read from it */
    const struct conf *conf;
    const struct stat_set *stats;
    struct cpu_cycles cycles;
    uint64_t frames;                 /* all frames of the machine */
    uint64_t owner[FRAME_OWNER_NR];  /* frames; sums to .frames */
    struct sim_process process;      /* the first */
    struct sim_process *processes;   /* all, in order of beginning; may be NULL: .process alone */
    struct sim_row *threads;         /* all; may be NULL */
    const struct stat_set **cores;   /* shares of conf->cpu_cores cores; may be NULL */
    const struct stat_set *nobodys;  /* share of no thread */
    const struct stat_set *coreless; /* share of no core */
    struct report_space *spaces;     /* in order of processes */
    struct sim_oom oom;              /* what the OOM killer did */
    struct sim_overflow overflow;    /* of kernel stacks */
    struct sim_pool pool[MM_HUGETLB_NR]; /* of huge pages, by size */
    unsigned counts_wrong;               /* threads whose plain counters differ from the model's */
    struct sim_area *areas;              /* costliest first */
    struct sim_site *sites;              /* costliest first */
    struct symbol *symbols;              /* one per site */
    struct report_function *functions;   /* costliest first */
    uint32_t n_areas, n_sites, n_functions, n_processes, n_threads, n_spaces;
    struct symbols *symbol_files; /* owns the names in symbols and functions */
};

/* report_gather reads everything out of a machine; `run` and `sim` must outlive the report. Returns
 * 0 or -ENOMEM. report_close may be called on a report that report_gather failed to fill. */
int report_gather(struct report *r, const struct report_run *run, struct sim *sim);
void report_close(struct report *r);

/* report_resolve fills symbols and functions from sites: a part of report_gather, apart so
 * that a hand-made report can use it. 0 or -ENOMEM. */
int report_resolve(struct report *r);

/* report_summary prints at most REPORT_LINES_MAX lines of at most REPORT_COLUMNS_MAX columns, pure
 * ASCII but for the program's own names; `colour` makes the headings bold. */
void report_summary(struct sink *out, const struct report *r, bool colour);
/* report_json prints the document "pagewalk.run/1". */
void report_json(struct sink *out, const struct report *r);
/* report_timeline prints what sim_timeline kept as a trace for Perfetto (Trace Event Format). */
void report_timeline(struct sink *out, const struct report *r);

/* report_end_name returns the word of JSON for how a process ended, report_native_name why it went on
 * unobserved (enum event_native). */
const char *report_end_name(enum sim_end end);
const char *report_native_name(uint32_t native);

/* report_area_translation returns the exposed translation cycles of an area. */
static inline uint64_t report_area_translation(const struct report *r, const struct sim_area *a)
{
    return cpu_translation(r->conf, a->stlb_hits, a->walk_cycles);
}

#endif
