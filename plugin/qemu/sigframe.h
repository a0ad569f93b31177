/* sigframe.h: the stack with which QEMU starts a handler of a signal, as Linux makes it. */
#ifndef PLUGIN_SIGFRAME_H
#define PLUGIN_SIGFRAME_H

#include "qemu_api.h"

#include <stdbool.h>
#include <stdint.h>

/* sigframe_open says which plugin interface QEMU speaks; before any other function here. */
void sigframe_open(int api);
/* sigframe_noted: rt_sigaction is about to be called with these arguments. */
void sigframe_noted(const uint64_t args[6]);
/* sigframe_watch is called for each block that is translated, before it runs. */
void sigframe_watch(struct qemu_plugin_tb *tb);

#endif
