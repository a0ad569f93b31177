/* proc_int.h: what the files of proc share. */
#ifndef PROC_PROC_INT_H
#define PROC_PROC_INT_H

#include "proc/gather.h"

/* proc_put_path prints a path with the bytes of `escape` as \\ooo (seq_path) and returns how many
 * bytes it became. */
size_t proc_put_path(struct sink *out, const char *path, const char *escape);

/* -- pages.c */

/* What kpageflags shows for all pages of the folio that was looked at last. */
struct proc_folio_flags {
    pfn head;       /* its first frame */
    uint64_t flags; /* KPF_ bits, without COMPOUND_HEAD and the like */
    bool known;     /* there was one */
};
/* proc_pageflags_next is proc_pageflags_word for one who goes over frames while nothing changes. */
uint64_t proc_pageflags_next(struct phys *p, pfn n, struct proc_folio_flags *last);

/* -- runs.c: binary files as runs (struct proc_run) */
void proc_put_pagemap(struct sink *out, const struct mm *m);
/* proc_put_frames writes kpageflags, or kpagecount without `flags`. */
void proc_put_frames(struct sink *out, struct phys *p, bool flags);

#endif
