/* calls_shm.c: System V segments and the sizes of files in memory.
 *
 * The memory manager knows a segment as a file in memory; what ipc/shm.c checks before it maps one is
 * done here, from Linux 6.18 (do_shmat, newseg, ksys_shmctl).
 */
#include "kernel/calls.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define SHM_DEVICE (UINT64_MAX - 1)

/* -- segments */

void gen_shmget(struct gen *g, struct call *c)
{
    c->arg[0] = IPC_PRIVATE;
    c->arg[1] = pick(g, 12) ? (1 + pick(g, 20)) * K - pick(g, 2) * pick(g, K) : 0;
    c->arg[2] = 0600 | IPC_CREAT | (pick(g, 4) ? 0 : SHM_NORESERVE);
    g->n_shm += c->arg[1] > 0;
}

int64_t model_shmget(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    if (c->arg[1] == 0)
        return -EINVAL;
    if (w->n_shm == SHM_MAX)
        return -ENOSPC;
    w->shm[w->n_shm].file =
        mm_file(w->sys, SHM_DEVICE, w->n_shm + 1, c->arg[1], "/SYSV00000000 (deleted)");
    w->shm[w->n_shm].size = c->arg[1];
    return w->n_shm++;
}

/* segment returns a segment with a reference: a removed one as long as it is attached somewhere. */
static struct mm_file *segment(struct model *w, uint64_t n)
{
    uint64_t size;
    return mm_file_find(w->sys, SHM_DEVICE, n + 1, &size);
}

void gen_shmat(struct gen *g, struct call *c)
{
    struct call range = {0};
    gen_range(g, &range, 0);
    c->arg[0] = pick(g, max_u64(1, g->n_shm) + (pick(g, 20) == 0));
    if (pick(g, 5)) {
        c->arg[1] = range.arg[0];
        c->ref[1] = range.ref[0];
        c->arg[1] += pick(g, 10) ? 0 : pick(g, K);
    }
    c->arg[2] = (pick(g, 4) ? 0 : SHM_RDONLY) | (pick(g, 3) ? 0 : SHM_RND) |
                (pick(g, 2) ? 0 : SHM_REMAP) | (pick(g, 8) ? 0 : SHM_EXEC);
    gen_mapped(g, 0, 4 * K);
}

static int shmat_place(const struct call *c, uint64_t *addr, uint32_t *flags)
{
    *addr = c->arg[1];
    *flags = MAP_SHARED;
    if (*addr == 0)
        return c->arg[2] & SHM_REMAP ? -EINVAL : 0;
    if (*addr % K) {
        if (!(c->arg[2] & SHM_RND))
            return -EINVAL;
        *addr = align_down(*addr, K);
        if (*addr == 0 && c->arg[2] & SHM_REMAP)
            return -EINVAL;
    }
    *flags |= MAP_FIXED;
    return 0;
}

int64_t model_shmat(struct model *w, const struct call *c, struct answer *a)
{
    struct mm *m = CALLER(w, c);
    uint64_t addr, n = c->arg[0];
    uint32_t flags;
    bool rdonly = c->arg[2] & SHM_RDONLY;
    (void)a;
    int err = n >= w->n_shm ? -EINVAL : shmat_place(c, &addr, &flags);
    struct mm_file *f = err ? NULL : segment(w, n);
    if (!f)
        return -EINVAL;
    uint64_t size = w->shm[n].size;
    const struct vma *v = addr ? mm_vma_next(m, va(addr)) : NULL;
    if (addr && !(c->arg[2] & SHM_REMAP) &&
        (addr + size < addr || (v && v->start.v < addr + size))) {
        mm_file_put(w->sys, f);
        return -EINVAL;
    }
    struct mm_map map = {.addr = va(addr),
                         .len = size,
                         .prot = PROT_READ | (rdonly ? 0 : PROT_WRITE) |
                                 (c->arg[2] & SHM_EXEC ? PROT_EXEC : 0),
                         .flags = flags,
                         .file = f,
                         .file_writable = !rdonly,
                         .file_id = 1000 + ++w->attaches};
    int64_t r = mm_mmap(m, &map);
    mm_file_put(w->sys, f);
    return r;
}

void gen_shmdt(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    c->arg[1] = 0;
}

int64_t model_shmdt(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_shmdt(CALLER(w, c), va(c->arg[0]));
}

void gen_shmctl(struct gen *g, struct call *c)
{
    c->arg[0] = pick(g, max_u64(1, g->n_shm));
    c->arg[1] = IPC_RMID;
}

int64_t model_shmctl(struct model *w, const struct call *c, struct answer *a)
{
    uint64_t n = c->arg[0];
    (void)a;
    struct mm_file *f = n < w->n_shm ? segment(w, n) : NULL;
    if (!f)
        return -EINVAL;
    mm_file_unlink(f);
    if (!w->shm[n].removed)
        mm_file_put(w->sys, f); /* the segment's own reference */
    w->shm[n].removed = true;
    mm_file_put(w->sys, f);
    return 0;
}

/* -- files in memory */

void gen_ftruncate(struct gen *g, struct call *c)
{
    c->arg[0] = MEMFD_FD;
    c->arg[1] = pick(g, MEMFD_PAGES + 4) * K + (pick(g, 4) ? 0 : pick(g, K));
}

int64_t model_ftruncate(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_ftruncate(w->sys, w->memfd, c->arg[1]);
}

void gen_fallocate(struct gen *g, struct call *c)
{
    c->arg[0] = MEMFD_FD;
    c->arg[1] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    c->arg[2] = pick(g, MEMFD_PAGES + 4) * K + (pick(g, 3) ? 0 : pick(g, K));
    c->arg[3] = pick(g, 20) * K + (pick(g, 3) ? 0 : pick(g, K));
}

int64_t model_fallocate(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_fallocate_punch(w->sys, w->memfd, c->arg[2], c->arg[3]);
}
