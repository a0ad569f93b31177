/* fork.h: processes that the program forks, and what vfork means. */
#ifndef PLUGIN_FORK_H
#define PLUGIN_FORK_H

#include <stdbool.h>
#include <stdint.h>

struct writer;

/* fork_makes: this call makes a new process. QEMU makes a plain fork of a vfork, and of a clone with
 * CLONE_VFORK. */
bool fork_makes(uint64_t num, const uint64_t args[6]);

/* In the parent: fork_begin before the call, fork_end when it has returned; that waits as vfork does. */
void fork_begin(uint64_t num, const uint64_t args[6]);
void fork_end(struct writer *w, int64_t result);

/* fork_child, in the forked child: what the parent's other threads held is free, and the thread has no
 * stream. fork_put begins its stream, if it is the thread of a forked process and has none. */
void fork_child(void);
bool fork_put(struct writer *w);

/* fork_stored: a store of a thread whose parent waits in vfork. fork_tell, before it executes another
 * program or exits: what it stored is for the parent to see. */
void fork_stored(uint64_t addr, unsigned bytes);
void fork_tell(void);

#endif
