/* start.h: EV_START. */
#ifndef PLUGIN_START_H
#define PLUGIN_START_H

#include <stdbool.h>
#include <stdint.h>

/* start_put puts EV_START into the empty stream of the calling thread. stack_size is what QEMU was
 * told with -s, skip the length of what was put before the path that the program's caller
 * had named, masked: variables of its environment were hidden from QEMU, comm the name of its task, "": not
 * known. Without a stream the program is given all the same what it should find. */
void start_put(uint64_t stack_size, unsigned skip, bool masked, const char *comm);

/* start_note_signals, when the plugin loads, remembers which signals are ignored; QEMU has not touched
 * them yet. start_ignore_signals ignores them again before the program's first instruction. */
void start_note_signals(void);
void start_ignore_signals(void);

#endif
