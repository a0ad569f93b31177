/* channel.h: through which pipe a system call is about to move bytes. */
#ifndef PLUGIN_CHANNEL_H
#define PLUGIN_CHANNEL_H

#include <stdint.h>

struct writer;

/* channel_tell puts an EV_CHANNEL for each descriptor of the call that is an end of a pipe. */
void channel_tell(struct writer *w, uint64_t num, const uint64_t a[6]);

#endif
