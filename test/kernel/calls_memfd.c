/* calls_memfd.c: files in memory a process makes itself: descriptors NEW_FD and the next ones. A child
 * has its parent's; a new file takes the place of the one its descriptor was before. */
#include "kernel/calls.h"

#include <string.h>

#define MFD_HUGE_2MB (4u | 21u << 26)

void gen_memfd_create(struct gen *g, struct call *c)
{
    static const uint64_t flags[] = {0,
                                     2,
                                     2,
                                     2,
                                     1,
                                     8,
                                     8,
                                     2,
                                     16,
                                     24,
                                     1 << 5,
                                     MFD_HUGE_2MB | 2,
                                     4,
                                     6,
                                     12,
                                     2,
                                     4u | 16u << 26,
                                     21u << 26};
    c->arg[0] = PTR_IN;
    c->arg[1] = PICK(g, flags);
    c->arg[2] = NEW_FD + pick(g, NEW_FDS);
    memcpy(c->in, "pw", 3);
    g->made_memfd = true;
}

int64_t model_memfd_create(struct model *w, const struct call *c, struct answer *a)
{
    struct mm_file *f;
    (void)a;
    int err = mm_memfd(w->sys, "pw", (uint32_t)c->arg[1], &f);
    if (err)
        return err;
    ASSERT(w->n_made < CALLS_MAX);
    w->made[w->n_made++] = w->fd[c->proc][c->arg[2] - NEW_FD] = f;
    return (int64_t)c->arg[2];
}

uint64_t gen_memfd(struct gen *g)
{
    return g->made_memfd && pick(g, 2) ? NEW_FD + pick(g, NEW_FDS) : MEMFD_FD;
}

struct mm_file *memfd_of(const struct model *w, const struct call *c, uint64_t fd)
{
    if (fd == MEMFD_FD)
        return w->memfd;
    return fd >= NEW_FD && fd < NEW_FD + NEW_FDS ? w->fd[c->proc][fd - NEW_FD] : NULL;
}
