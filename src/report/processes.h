/* processes.h: what a report says of processes, threads and cores. */
#ifndef REPORT_PROCESSES_H
#define REPORT_PROCESSES_H

#include "report/jsonw.h"
#include "report/report.h"

/* json_processes writes the arrays `processes`, `threads`, `cores` and the object `nobody`. */
void json_processes(struct jsonw *w, const struct report *r);
/* json_rights writes `flags` of a mapping: rwxs. */
void json_rights(struct jsonw *w, uint64_t flags);

/* processes_line names the costliest processes in at most `size` - 1 bytes: "12 of 3 programs; …". */
void processes_line(const struct report *r, char *buf, size_t size);
/* processes_native names a process that went on unobserved, and why; false: there is none. */
bool processes_native(const struct report *r, char *buf, size_t size);
/* processes_largest returns the one that had most memory resident. */
const struct sim_process *processes_largest(const struct report *r);
/* processes_programs counts different names; above 1 rows are told apart by them. */
unsigned processes_programs(const struct report *r);

#endif
