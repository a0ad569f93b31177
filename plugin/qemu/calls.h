/* calls.h: what a system call's entry and return put into the stream. */
#ifndef PLUGIN_CALLS_H
#define PLUGIN_CALLS_H

#include <stdint.h>

/* calls_child: in a forked child nobody holds a lock. */
void calls_child(void);
void calls_enter(int64_t num, const uint64_t args[6]);
void calls_return(int64_t num, int64_t result);
/* The same of a thread that is not observed: vfork means to it what it means to others. */
void calls_unobserved(int64_t num, const uint64_t args[6]);
void calls_unobserved_return(int64_t num, int64_t result);

#endif
