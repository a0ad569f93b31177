/* answer.h: what Linux answers to a call that QEMU 7.2 makes though it cannot read its argument. */
#ifndef PLUGIN_ANSWER_H
#define PLUGIN_ANSWER_H

#include "qemu_api.h"

/* answer_open: `api` is the version of the plugin interface in use. */
void answer_open(int api);
/* answer_enter is the last thing before QEMU makes a call; answer_return gives the program's answer. */
void answer_enter(int64_t num, uint64_t arg);
int64_t answer_return(int64_t num, int64_t result);
/* answer_watch looks at a block that is being translated. */
void answer_watch(struct qemu_plugin_tb *tb);

#endif
