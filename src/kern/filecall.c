/* filecall.c: calls on descriptors that reach mappings of the file: what is written back must be
 * told of the next write, and what a call took out of the file must be fetched again.
 *
 *   fsync, fdatasync       of the file           syncfs   of all files of its device
 *   sync_file_range        of a range of it      sync     of all
 *   fallocate              PUNCH_HOLE, ZERO_RANGE, WRITE_ZEROES: the whole pages of the range;
 *                          COLLAPSE_RANGE, INSERT_RANGE: all from the offset on
 *
 * A file the model never heard of has no mappings and no pages: nothing is to be done.
 *
 * Source: Linux 6.18 fs/sync.c, fs/open.c (vfs_fallocate), fs/ext4/extents.c (ext4_collapse_range,
 * ext4_insert_range, ext4_zero_range), fs/ext4/inode.c (ext4_punch_hole), mm/shmem.c.
 */
#include "kern/kern_int.h"

#include <fcntl.h>
#include <linux/falloc.h>

#ifndef FALLOC_FL_WRITE_ZEROES
#define FALLOC_FL_WRITE_ZEROES 0x80 /* 6.17 */
#endif

/* -- writing back ---------------------------------------------------------------------------- */

/* on_sync_range: only what starts the writing cleans pages; waiting for it does not. */
static void on_sync_range(struct kern *k, struct mm_file *f, const struct kern_call *c)
{
    uint64_t first = c->arg[1], last = c->arg[2] == 0 ? INT64_MAX : first + c->arg[2];
    if (c->arg[3] & SYNC_FILE_RANGE_WRITE)
        mm_fsync_range(k->sys, f, first, last);
}

/* -- what a file loses ----------------------------------------------------------------------- */

static void on_fallocate(struct kern *k, struct mm_file *f, const struct kern_call *c)
{
    const uint64_t gone = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_WRITE_ZEROES;
    const uint64_t moved = FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;
    if (c->arg[1] & gone)
        STAT(k->stats, div_syscall_answer) +=
            mm_fallocate_punch(k->sys, f, c->arg[2], c->arg[3]) != 0;
    if (c->arg[1] & moved)
        mm_fallocate_shift(k->sys, f, c->arg[2]);
}

static void on_file(struct kern *k, struct mm_file *f, const struct kern_call *c)
{
    switch (c->nr) {
    case SYS_fallocate:
        on_fallocate(k, f, c);
        break;
    case SYS_sync_file_range:
        on_sync_range(k, f, c);
        break;
    default:
        mm_fsync_range(k->sys, f, 0, INT64_MAX);
        break;
    }
}

void filecall_apply(struct kern *k, const struct kern_call *c)
{
    const struct kern_file *at = &c->file;
    uint64_t size;
    if (c->result != 0)
        return;
    if (c->nr == SYS_sync || (c->nr == SYS_syncfs && at->present)) {
        mm_sync(k->sys, c->nr == SYS_sync ? NULL : &at->dev);
        return;
    }
    struct mm_file *f = at->present ? mm_file_find(k->sys, at->dev, at->ino, &size) : NULL;
    if (!f)
        return;
    on_file(k, f, c);
    mm_file_put(k->sys, f);
}
