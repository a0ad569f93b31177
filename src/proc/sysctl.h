/* sysctl.h: /proc/sys/vm of a machine, and orders to change it at a time.
 *
 *   "vm.swappiness", "sys/vm/swappiness" ─► row ─┬─ mm_sysctl      options of mm
 *                                                ├─ phys_tunables  watermarks, per-CPU lists …
 *                                                └─ at once        drop_caches, compact_memory
 */
#ifndef PROC_SYSCTL_H
#define PROC_SYSCTL_H

#include "proc/gather.h"

#define PROC_KEY_MAX   48 /* bytes of a tunable's name, the final 0 included */
#define PROC_VALUE_MAX 80 /* and of what is written to it */

/* proc_sysctl_name returns the name below /proc/sys/vm of tunable i, NULL after the last. */
const char *proc_sysctl_name(unsigned i);
/* proc_sysctl_find returns which tunable a key names: "vm.x", "sys/vm/x", "/proc/sys/vm/x"; -1: none. */
int proc_sysctl_find(const char *key);
/* proc_sysctl_set writes a value, as a write to the file would. 0, -ENOENT for no such tunable, -EINVAL
 * for a value Linux refuses; then one line in err. */
int proc_sysctl_set(const struct proc_machine *m, const char *key, const char *value, char *err,
                    size_t err_size);
/* proc_sysctl_check says whether any machine would take a value: the same, but nothing is written. */
int proc_sysctl_check(const char *key, const char *value, char *err, size_t err_size);
/* proc_sysctl_put prints what a read of tunable i gives. 0, or -EACCES for one that can only be
 * written. */
int proc_sysctl_put(struct sink *out, const struct proc_machine *m, unsigned i);

/* An order: at that time, write that value. */
struct proc_order {
    bool instructions; /* .at counts instructions of a thread, else virtual picoseconds */
    uint64_t at;
    char key[PROC_KEY_MAX];
    char value[PROC_VALUE_MAX];
};
/* proc_order_parse reads "TIME: KEY=VALUE"; TIME is a number with us, ms, s (virtual time) or i
 * (instructions). 0, or -EINVAL, also for a value that proc_sysctl_check refuses, with one line in err. */
int proc_order_parse(const char *text, struct proc_order *ret, char *err, size_t err_size);
/* proc_assignment_parse reads "KEY=VALUE" into key and value, blanks around them left out. 0, or -EINVAL
 * as above. */
int proc_assignment_parse(const char *text, struct proc_order *ret, char *err, size_t err_size);

#endif
