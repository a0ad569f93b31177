/* calls_limits.c: what the caller may do: resource limits, capabilities; seals; keys. */
#include "kernel/calls.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* -- limits: the soft one; hard limits are as native.c set them */

static const struct {
    int linux_nr;
    enum mm_rlim model;
    uint64_t hard;
} limits[] = {{RLIMIT_AS, MM_RLIM_AS, RLIM_INFINITY},
              {RLIMIT_DATA, MM_RLIM_DATA, RLIM_INFINITY},
              {RLIMIT_STACK, MM_RLIM_STACK, RLIM_INFINITY},
              {RLIMIT_MEMLOCK, MM_RLIM_MEMLOCK, MIB(8)}};

void gen_setrlimit(struct gen *g, struct call *c)
{
    unsigned which = (unsigned)pick(g, ARRAY_LEN(limits));
    uint64_t pages = pick(g, 2) ? pick(g, 130) : 60 + pick(g, 60);
    c->arg[1] = (uint64_t)limits[which].linux_nr;
    c->arg[2] = PTR_IN;
    c->in[0] = pick(g, 4) ? pages * g->q->unit * K + (pick(g, 4) ? 0 : pick(g, K)) : MIB(8);
    c->in[1] = limits[which].hard;
    if (c->in[0] > c->in[1])
        c->in[0] = c->in[1];
}

int64_t model_setrlimit(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++)
        if (limits[i].linux_nr == (int)c->arg[1])
            mm_set_rlimit(CALLER(w, c), limits[i].model, (struct mm_rlimit){c->in[0], c->in[1]});
    return 0;
}

/* -- capabilities: given up for good. The header lies at in + 0, the three sets at in + 8. */

void gen_capset(struct gen *g, struct call *c)
{
    static const uint64_t drop[] = {BIT(CAP_IPC_LOCK),
                                    BIT(CAP_IPC_LOCK),
                                    BIT(CAP_SYS_NICE),
                                    BIT(CAP_SYS_RAWIO),
                                    BIT(CAP_SYS_ADMIN) | BIT(CAP_IPC_LOCK),
                                    BIT(CAP_IPC_OWNER)};
    uint64_t left = UINT32_MAX & ~BIT(CAP_SYS_RESOURCE) & ~PICK(g, drop) & ~g->dropped[c->proc];
    g->dropped[c->proc] |= ~left & UINT32_MAX;
    c->arg[0] = PTR_IN;
    c->arg[1] = PTR_IN + 8;
    c->in[0] = 0x20080522; /* _LINUX_CAPABILITY_VERSION_3, pid 0 */
    c->in[1] = left | left << 32;
}

int64_t model_capset(struct model *w, const struct call *c, struct answer *a)
{
    struct mm_task t = *mm_task(CALLER(w, c));
    (void)a;
    if (c->in[1] & UINT32_MAX & ~t.caps) /* another user has none */
        return -EPERM;
    t.caps &= c->in[1] & UINT32_MAX;
    mm_set_task(CALLER(w, c), &t);
    return 0;
}

/* -- another user: for good, and without any capability (cap_emulate_setxuid) */

void gen_setresuid(struct gen *g, struct call *c)
{
    c->arg[0] = c->arg[1] = c->arg[2] = 1000 + pick(g, 2);
}

int64_t model_setresuid(struct model *w, const struct call *c, struct answer *a)
{
    struct mm_task t = *mm_task(CALLER(w, c));
    (void)a;
    if (t.uid != 0)
        return t.uid == c->arg[0] ? 0 : -EPERM;
    t.uid = (uint32_t)c->arg[0];
    t.caps = 0;
    mm_set_task(CALLER(w, c), &t);
    return 0;
}

/* -- seals and keys */

void gen_mseal(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    c->arg[2] = pick(g, 20) == 0;
}

int64_t model_mseal(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_mseal(CALLER(w, c), va(c->arg[0]), c->arg[1], c->arg[2]);
}

void gen_pkey_mprotect(struct gen *g, struct call *c)
{
    static const uint32_t prots[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE};
    gen_range(g, c, 0);
    c->arg[2] = PICK(g, prots);
    c->arg[3] = pick(g, 8) ? (uint64_t)-1 : pick(g, 3);
}

int64_t model_pkey_mprotect(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_pkey_mprotect(CALLER(w, c), va(c->arg[0]), c->arg[1], (uint32_t)c->arg[2],
                            (int)c->arg[3]);
}

/* This host has no keys: each is refused. */
void gen_pkey_alloc(struct gen *g, struct call *c)
{
    c->arg[0] = pick(g, 8) == 0;
    c->arg[1] = pick(g, 5);
}

int64_t model_pkey_alloc(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_pkey_alloc(CALLER(w, c), c->arg[0], c->arg[1]);
}

void gen_pkey_free(struct gen *g, struct call *c)
{
    c->arg[0] = pick(g, 18) - 1;
}

int64_t model_pkey_free(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_pkey_free(CALLER(w, c), (int)c->arg[0]);
}

/* -- what else changes mappings */

void gen_remap_file_pages(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    c->arg[2] = pick(g, 12) == 0;
    c->arg[3] = pick(g, 50);
    c->arg[4] = pick(g, 3) ? 0 : MAP_NONBLOCK;
}

int64_t model_remap_file_pages(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_remap_file_pages(CALLER(w, c), va(c->arg[0]), c->arg[1], (uint32_t)c->arg[2],
                               c->arg[3], (uint32_t)c->arg[4]);
}

/* Two stretches at in + 0, of the caller's own memory. */
void gen_process_madvise(struct gen *g, struct call *c)
{
    static const uint64_t advice[] = {4, 22, 23, 0, 10, 14, 20, 99};
    c->arg[0] = (uint64_t)-10000; /* PIDFD_SELF */
    c->arg[1] = PTR_IN;
    c->arg[2] = 1 + pick(g, 2);
    c->arg[3] = PICK(g, advice);
    c->arg[4] = pick(g, 20) == 0;
    for (unsigned i = 0; i < 2; i++) {
        c->in[2 * i] = align_down(gen_addr(g), K);
        c->in[2 * i + 1] = (1 + pick(g, 12)) * g->q->unit * K;
    }
}

int64_t model_process_madvise(struct model *w, const struct call *c, struct answer *a)
{
    struct mm_iovec v[2] = {{va(c->in[0]), c->in[1]}, {va(c->in[2]), c->in[3]}};
    (void)a;
    return mm_process_madvise(CALLER(w, c), CALLER(w, c), v, c->arg[2], (int)c->arg[3], c->arg[4]);
}
