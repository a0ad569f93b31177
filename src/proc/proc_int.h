/* proc_int.h: what the files of proc share. */
#ifndef PROC_PROC_INT_H
#define PROC_PROC_INT_H

#include "proc/text.h"

/* proc_put_path prints a path with the bytes of `escape` as \\ooo (seq_path) and returns how many
 * bytes it became. */
size_t proc_put_path(struct sink *out, const char *path, const char *escape);

#endif
