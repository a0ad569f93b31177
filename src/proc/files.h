/* files.h: the files a machine can show, by the names and at the paths Linux has them.
 *
 *   "node1/meminfo", "/proc/7/maps", "vm.swappiness" ─► proc_resolve ─► struct proc_target
 *                                              proc_put(target) ─► the file's text or words
 */
#ifndef PROC_FILES_H
#define PROC_FILES_H

#include "proc/sysctl.h"

#define PROC_PATH_MAX 96 /* bytes of a file's path, the final 0 included */

enum proc_file_id {
    PROC_MEMINFO,
    PROC_VMSTAT,
    PROC_BUDDYINFO,
    PROC_PAGETYPEINFO,
    PROC_ZONEINFO,
    PROC_SWAPS,
    PROC_UNUSABLE_INDEX,
    PROC_EXTFRAG_INDEX,
    PROC_KPAGEFLAGS,
    PROC_KPAGECOUNT,
    PROC_NUMASTAT,
    PROC_NUMASTAT_M,
    PROC_SYSCTL,
    PROC_NODE_MEMINFO,
    PROC_NODE_NUMASTAT,
    PROC_NODE_VMSTAT,
    PROC_PID_MAPS,
    PROC_PID_SMAPS,
    PROC_PID_SMAPS_ROLLUP,
    PROC_PID_NUMA_MAPS,
    PROC_PID_STATUS,
    PROC_PID_STAT,
    PROC_PID_STATM,
    PROC_PID_OOM_SCORE,
    PROC_PID_OOM_SCORE_ADJ,
    PROC_PID_PAGEMAP,
    PROC_FILE_NR
};

enum proc_scope { PROC_OF_MACHINE, PROC_OF_SYSCTL, PROC_OF_NODE, PROC_OF_PROCESS };

struct proc_file {
    const char *name; /* "meminfo"; of a node's file what follows "nodeN/" */
    const char *path; /* where Linux has it; %u stands for the pid or the node */
    enum proc_scope scope;
    bool binary; /* words of 64 bits, one a page or frame */
    const char *help;
};
/* proc_file returns the row of a file; id < PROC_FILE_NR. */
const struct proc_file *proc_file(enum proc_file_id id);

/* One file of a machine. */
struct proc_target {
    enum proc_file_id file;
    unsigned nid;    /* for PROC_OF_NODE */
    uint32_t pid;    /* for PROC_OF_PROCESS; 0: not said */
    unsigned sysctl; /* for PROC_OF_SYSCTL: number of the tunable */
};
/* proc_resolve understands a name, "nodeN/name", and the path Linux has the file at, with or without
 * its first "/proc/", "/sys/devices/system/node/" or "/sys/kernel/debug/". "self" is pid 0.
 * 0, or -ENOENT and *ret untouched. */
int proc_resolve(const char *name, struct proc_target *ret);
/* proc_target_path writes the path without its first "/": "proc/7/maps". Returns buf. */
char *proc_target_path(const struct proc_target *t, char buf[PROC_PATH_MAX]);

/* proc_put writes a file: 0, -ESRCH when there is no such process or node, -EACCES for a tunable that
 * can only be written, or -ENOMEM. `process` is
 * what a file of a process shows. Binary files are written as runs (struct proc_run). */
int proc_put(struct sink *out, const struct proc_target *t, const struct proc_machine *m,
             const struct mm *process);

/* Binary files are large and repeat themselves: they are kept as runs of words. Word number
 * index + i, i < count, is word + i * step; words that no run has are 0. Sorted by index. */
struct proc_run {
    uint64_t index, count, word;
    uint64_t step; /* 0 or 1 */
};

#endif
