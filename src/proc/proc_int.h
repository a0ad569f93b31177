/* proc_int.h: what the files of proc share. */
#ifndef PROC_PROC_INT_H
#define PROC_PROC_INT_H

#include "proc/gather.h"

/* proc_put_path prints a path with the bytes of `escape` as \\ooo (seq_path) and returns how many
 * bytes it became. */
size_t proc_put_path(struct sink *out, const char *path, const char *escape);

/* -- runs.c: binary files as runs (struct proc_run) */
void proc_put_pagemap(struct sink *out, const struct mm *m);
/* proc_put_frames writes kpageflags, or kpagecount without `flags`. */
void proc_put_frames(struct sink *out, struct phys *p, bool flags);

#endif
