/* answer.h: the answer of a system call, where QEMU's is not Linux's. */
#ifndef PLUGIN_ANSWER_H
#define PLUGIN_ANSWER_H

#include "qemu_api.h"

#include <stdint.h>

/* answer_open says which plugin interface QEMU speaks; before any other function here. */
void answer_open(int api);
/* answer_none: another call begins. answer_enter is the last thing before QEMU makes it. */
void answer_none(void);
void answer_enter(int64_t num, uint64_t arg);
/* answer_is: the call that the calling thread is in has this answer, should QEMU say -ENOSYS. */
void answer_is(int64_t result);
/* answer_of returns what the call answered, QEMU having said `result`. */
int64_t answer_of(int64_t result);
/* answer_watch is called for each block that is translated, before it runs. */
void answer_watch(struct qemu_plugin_tb *tb);

#endif
