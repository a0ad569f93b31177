/* view.c: reading accessors for /proc. Source: Linux 6.18 fs/proc/task_mmu.c for what is asked. */
#include "mm/view.h"

#include "mm/mm_int.h"

#include <sys/sysmacros.h>

void mm_set_layout(struct mm *m, const struct mm_layout *layout)
{
    m->layout = *layout;
}

const struct mm_layout *mm_layout(const struct mm *m)
{
    return &m->layout;
}

void mm_heap(const struct mm *m, uint64_t *ret_start, uint64_t *ret_end)
{
    *ret_start = m->start_brk;
    *ret_end = m->brk;
}

/* The list is newest first, so the one made after m is the one whose next is m. */
struct mm *mm_next(const struct mm_sys *s, const struct mm *m)
{
    struct mm *next = NULL;
    for (struct mm *at = s->mms; at && at != m; at = at->next)
        next = at;
    return next;
}

struct mm_sys *mm_sys_of(const struct mm *m)
{
    return m->sys;
}

/* Files without a name lie on the kernel's own tmpfs, which is device 0:1. */
void mm_file_view(const struct mm_file *f, struct mm_file_view *ret)
{
    bool kernel = f->kind == FILE_SHMEM && (!f->named || f->dev > UINT64_MAX / 2);
    *ret = (struct mm_file_view){
        .path = f->path,
        .dev = kernel ? makedev(0, 1) : f->dev,
        .ino = f->named ? f->ino : f->serial,
        .shmem = f->kind == FILE_SHMEM,
    };
}

/* THP_ORDERS_ALL: anonymous and file orders alike. */
bool mm_thp_eligible(const struct mm *m, const struct vma *v)
{
    return thp_orders(m, v, TVA_SMAPS, THP_ORDERS_ANON | THP_ORDERS_FILE) != 0;
}

bool mm_thp_enabled(const struct mm *m)
{
    return !m->thp.disabled;
}
