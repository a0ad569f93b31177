/* door.h: how a process that maps the region gets its descriptor, for a program it executes. */
#ifndef PLUGIN_DOOR_H
#define PLUGIN_DOOR_H

/* door_fetch returns a new descriptor of the region, closed on exec, or -1. */
int door_fetch(void);

#endif
