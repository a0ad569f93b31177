/* start.h: EV_START. */
#ifndef PLUGIN_START_H
#define PLUGIN_START_H

#include <stdint.h>

/* start_put puts EV_START into the empty stream of the calling thread. stack_size is what QEMU was
 * told with -s. */
void start_put(uint64_t stack_size);

#endif
