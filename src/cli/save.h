/* save.h: the end of a run as files, for `view`: what /proc and /sys of the modelled machine said when
 * the program ended.
 *
 *   $XDG_STATE_HOME/pagewalk/last ─► end-XXXXXX/  pagewalk.end          what was run, which processes
 *                                                 proc/meminfo …        text as Linux prints it
 *                                                 proc/7/pagemap.runs   words (struct proc_run)
 *                                                 sys/devices/system/node/node0/meminfo …
 */
#ifndef CLI_SAVE_H
#define CLI_SAVE_H

#include "proc/files.h"
#include "sim/sim.h"

#include <limits.h>

#define SAVE_MARK  "pagewalk.end"   /* the file that says a directory is ours */
#define SAVE_FIRST "pagewalk.end/1" /* and its first line */

/* save_check finds out before a run whether `dir` can take its end: it may not exist, be empty, or
 * hold an earlier one. 0, or STATUS_FAILED after one line. */
int save_check(const char *dir);
/* save_machine writes the end of a run to `dir`, or to the user's own place when dir is NULL, replacing
 * an earlier one as a whole. 0 or -errno; nothing is left behind then, and the earlier end stays. */
int save_machine(const char *dir, struct sim *sim, char *const *argv);
/* save_default writes where ends are kept when nobody says; false when there is no such place. */
bool save_default(char ret[PATH_MAX]);
/* save_name ends a path with ".runs" for a binary file. */
void save_name(const struct proc_target *t, char *path, size_t size);
/* save_list lists the processes of an end, "7 (ls), 8 (cat)", from its mark; false when `dir` holds no
 * end. *ret_first is the first process, 0 without one. */
bool save_list(const char *dir, char *list, size_t size, uint32_t *ret_first);
/* process_of returns the address space of a process, NULL when no process has that pid; pid 0 is the
 * first one. */
const struct mm *process_of(struct sim *sim, uint32_t pid);

#endif
