/* calls_shm.c: System V segments and the sizes of files in memory. */
#include "kernel/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

/* -- segments */

void gen_shmget(struct gen *g, struct call *c)
{
    c->arg[0] = pick(g, 3) ? IPC_PRIVATE : 1 + pick(g, 2);
    c->arg[1] = pick(g, 12) ? (1 + pick(g, 20)) * K - pick(g, 2) * pick(g, K) : 0;
    c->arg[2] = (pick(g, 3)   ? 0600
                 : pick(g, 2) ? 0400
                              : 0644) |
                IPC_CREAT | (pick(g, 4) ? 0 : SHM_NORESERVE);
    if (c->arg[0] != IPC_PRIVATE && pick(g, 2)) /* one that exists may be large enough */
        c->arg[1] = (1 + pick(g, 3)) * K;
    if (c->arg[0] != IPC_PRIVATE)
        c->arg[2] =
            (c->arg[2] & ~(pick(g, 3) ? 0u : (unsigned)IPC_CREAT)) | (pick(g, 3) ? 0 : IPC_EXCL);
    if (pick(g, 12) == 0)
        c->arg[2] |= SHM_HUGETLB;
    if (pick(g, 24) == 0)
        c->arg[1] = UINT64_MAX - pick(g, 2) * (UINT64_C(1) << 24) - pick(g, 2);
    g->n_shm += c->arg[1] > 0;
}

int64_t model_shmget(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    int id = mm_shmget(CALLER(w, c), (int32_t)c->arg[0], c->arg[1], (int)c->arg[2]);
    if (id < 0)
        return id;
    for (unsigned i = 0; i < w->n_shm; i++)
        if (w->shm[i] == id)
            return i;
    if (w->n_shm == SHM_MAX) { /* as rename_segment does */
        mm_shmctl(CALLER(w, c), id, 0 /* IPC_RMID */, NULL);
        return -ENOSPC;
    }
    w->shm[w->n_shm] = id;
    return w->n_shm++;
}

/* segment_id: a segment is spoken of by its place among those of the sequence. */
static int segment_id(const struct model *w, const struct call *c)
{
    return c->arg[0] < w->n_shm ? w->shm[c->arg[0]] : -1;
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
    g->last_shmat = (uint8_t)(g->q->n + 1);
}

int64_t model_shmat(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_shmat(CALLER(w, c), segment_id(w, c), va(c->arg[1]), (int)c->arg[2], false);
}

void gen_shmdt(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    c->arg[1] = 0;
    if (g->last_shmat && pick(g, 4)) {
        c->ref[0] = g->last_shmat;
        c->arg[0] = 0;
    }
}

int64_t model_shmdt(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_shmdt(CALLER(w, c), va(c->arg[0]));
}

void gen_shmctl(struct gen *g, struct call *c)
{
    c->arg[0] = pick(g, max_u64(1, g->n_shm));
    static const uint64_t commands[] = {IPC_RMID, IPC_RMID, IPC_RMID, SHM_LOCK, SHM_UNLOCK,
                                        IPC_STAT, IPC_STAT, IPC_SET,  IPC_SET,  77};
    static const uint64_t modes[] = {0600, 0600, 0400, 0200, 0, 01777};
    c->arg[1] = PICK(g, commands);
    c->arg[2] = c->arg[1] == IPC_SET ? PTR_IN : PTR_OUT;
    c->in[SHMID_MODE / 8] = PICK(g, modes)
                            << SHMID_MODE % 8 * 8; /* owner and group become root's */
}

int64_t model_shmctl(struct model *w, const struct call *c, struct answer *a)
{
    struct mm_shmid q = {.uid = (uint32_t)(c->in[0] >> 32),
                         .gid = (uint32_t)c->in[1],
                         .mode = (uint32_t)(c->in[SHMID_MODE / 8] >> SHMID_MODE % 8 * 8)};
    int err = mm_shmctl(CALLER(w, c), segment_id(w, c), (int)c->arg[1], &q);
    if (err == 0 && c->arg[1] == IPC_STAT) {
        memcpy(a->out + SHMID_MODE, &q.mode, sizeof(q.mode));
        memcpy(a->out + SHMID_SIZE, &q.size, sizeof(q.size));
        memcpy(a->out + SHMID_NATTCH, &q.nattch, sizeof(q.nattch));
    }
    return err;
}

/* -- files in memory */

void gen_ftruncate(struct gen *g, struct call *c)
{
    c->arg[0] = gen_memfd(g);
    c->arg[1] = pick(g, MEMFD_PAGES + 4) * K + (pick(g, 4) ? 0 : pick(g, K));
    if (g->q->thp && pick(g, 2)) /* room for huge pages */
        c->arg[1] = MIB(4) + (pick(g, 4) ? 0 : pick(g, MEMFD_PAGES) * K);
}

int64_t model_ftruncate(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    struct mm_file *f = memfd_of(w, c, c->arg[0]);
    return f ? mm_ftruncate(w->sys, f, c->arg[1]) : -EBADF;
}

void gen_fallocate(struct gen *g, struct call *c)
{
    c->arg[0] = gen_memfd(g);
    c->arg[1] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    c->arg[2] = pick(g, MEMFD_PAGES + 4) * K + (pick(g, 3) ? 0 : pick(g, K));
    c->arg[3] = pick(g, 20) * K + (pick(g, 3) ? 0 : pick(g, K));
}

int64_t model_fallocate(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    struct mm_file *f = memfd_of(w, c, c->arg[0]);
    return f ? mm_fallocate_punch(w->sys, f, c->arg[2], c->arg[3]) : -EBADF;
}

void gen_seals(struct gen *g, struct call *c)
{
    static const uint64_t seals[] = {2, 4, 8, 16, 8, 6, 1, 32, 64};
    c->arg[0] = pick(g, 12) ? gen_memfd(g) : FILE_FD;
    c->arg[1] = pick(g, 4) ? F_ADD_SEALS : F_GET_SEALS;
    c->arg[2] = PICK(g, seals);
}

int64_t model_seals(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    struct mm_file *f = memfd_of(w, c, c->arg[0]);
    if (!f)
        return c->arg[0] == FILE_FD ? -EINVAL : -EBADF;
    return c->arg[1] == F_GET_SEALS ? (int64_t)mm_file_seals(f)
                                    : mm_file_add_seals(f, (uint32_t)c->arg[2]);
}
