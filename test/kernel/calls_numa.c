/* calls_numa.c: memory policies and moving pages, on a machine of one node. */
#include "kernel/calls.h"

#include <errno.h>
#include <string.h>

static const uint64_t masks[] = {1, 1, 1, 1, 0, 2, 3, BIT(63)};

/* gen_mask sets in[0] to a set of nodes, arg[i] to its address and arg[i + 1] to its length. */
static void gen_mask(struct gen *g, struct call *c, unsigned i, uint64_t mode)
{
    static const uint64_t lengths[] = {0, 1, 2, 3, 65, 1025, 32769, 32770, 100000};
    bool none = mode == MPOL_DEFAULT || mode == MPOL_LOCAL || pick(g, 20) == 0;
    c->in[0] = none && pick(g, 10) ? 0 : PICK(g, masks);
    c->arg[i] = none && pick(g, 2) ? 0 : PTR_IN;
    c->arg[i + 1] = pick(g, 12) ? 64 : PICK(g, lengths);
}

static struct nodemask_arg mask_of(const struct call *c, unsigned i)
{
    static uint64_t words[IN_WORDS + OUT_BYTES / 8];
    memset(words, 0, sizeof(words));
    memcpy(words, c->in, sizeof(c->in));
    return (struct nodemask_arg){.words = c->arg[i] ? words + (c->arg[i] - PTR_IN) / 8 : NULL,
                                 .words_nr = ARRAY_LEN(words),
                                 .maxnode = c->arg[i + 1]};
}

static uint64_t gen_mode(struct gen *g)
{
    uint64_t mode = pick(g, 8);
    static const uint64_t flags[] = {MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES,
                                     MPOL_F_NUMA_BALANCING,
                                     MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, 0x1000};
    return mode | (pick(g, 4) ? 0 : PICK(g, flags));
}

void gen_mbind(struct gen *g, struct call *c)
{
    static const uint64_t flags[] = {0, 0, 0, MPOL_MF_MOVE, MPOL_MF_STRICT, 7, 8};
    gen_range(g, c, 0);
    c->arg[2] = gen_mode(g);
    gen_mask(g, c, 3, c->arg[2]);
    c->arg[5] = PICK(g, flags);
    if (pick(g, 4) == 0) { /* all pages move, for none lies on a node of the empty set */
        c->arg[2] = MPOL_DEFAULT;
        c->arg[3] = c->arg[4] = 0;
        c->arg[5] = pick(g, 3) ? MPOL_MF_MOVE : MPOL_MF_MOVE_ALL;
        if (g->q->thp)
            c->arg[0] = g->q->base, c->ref[0] = 0, c->arg[1] = WINDOW * g->q->unit * K;
    }
}

int64_t model_mbind(struct model *w, const struct call *c, struct answer *a)
{
    struct nodemask_arg mask = mask_of(c, 3);
    (void)a;
    return mm_mbind(CALLER(w, c), va(c->arg[0]), c->arg[1], (int)c->arg[2], &mask, c->arg[5]);
}

void gen_set_mempolicy(struct gen *g, struct call *c)
{
    c->arg[0] = gen_mode(g);
    gen_mask(g, c, 1, c->arg[0]);
}

int64_t model_set_mempolicy(struct model *w, const struct call *c, struct answer *a)
{
    struct nodemask_arg mask = mask_of(c, 1);
    (void)a;
    return mm_set_mempolicy(CALLER(w, c), (int)c->arg[0], &mask);
}

/* The mode is asked for at out + 0, the nodes at out + 8. */
void gen_get_mempolicy(struct gen *g, struct call *c)
{
    static const uint64_t flags[] = {0, 0, 1, 2, 2, 2, 3, 4, 5, 8};
    static const uint64_t lengths[] = {64, 64, 1024, 1, 0, 1025};
    struct call range = {0};
    gen_range(g, &range, 0);
    c->arg[4] = PICK(g, flags);
    c->arg[0] = pick(g, 8) ? PTR_OUT : 0;
    c->arg[1] = pick(g, 3) ? 0 : PTR_OUT + 8;
    c->arg[2] = c->arg[1] ? PICK(g, lengths) : 0;
    if (c->arg[4] & 2 ? pick(g, 12) : pick(g, 12) == 0) {
        c->arg[3] = range.arg[0];
        c->ref[3] = range.ref[0];
    }
}

int64_t model_get_mempolicy(struct model *w, const struct call *c, struct answer *a)
{
    int policy = 0;
    uint64_t nodes = 0;
    struct mm_get_mempolicy q = {.addr = va(c->arg[3]),
                                 .flags = c->arg[4],
                                 .want_nodes = c->arg[1] != 0,
                                 .maxnode = c->arg[2]};
    int err = mm_get_mempolicy(CALLER(w, c), &q, &policy, &nodes);
    if (err == 0 && c->arg[0])
        memcpy(a->out, &policy, sizeof(policy));
    if (err == 0 && c->arg[1] && c->arg[2] > 1)
        memcpy(a->out + 8, &nodes, sizeof(nodes));
    return err;
}

void gen_home_node(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    c->arg[2] = pick(g, 6) ? 0 : pick(g, 2) + 1;
    c->arg[3] = pick(g, 12) == 0;
}

int64_t model_home_node(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_set_mempolicy_home_node(CALLER(w, c), va(c->arg[0]), c->arg[1], c->arg[2], c->arg[3]);
}

void gen_migrate_pages(struct gen *g, struct call *c)
{
    c->arg[1] = 64;
    c->arg[2] = PTR_IN;
    c->arg[3] = PTR_IN + 8;
    c->in[0] = PICK(g, masks);
    c->in[1] = PICK(g, masks);
}

int64_t model_migrate_pages(struct model *w, const struct call *c, struct answer *a)
{
    struct nodemask_arg from = {.words = &c->in[0], .words_nr = 1, .maxnode = c->arg[1]};
    struct nodemask_arg to = {.words = &c->in[1], .words_nr = 1, .maxnode = c->arg[1]};
    (void)a;
    return mm_migrate_pages(CALLER(w, c), CALLER(w, c), &from, &to);
}

/* Four addresses in the window; where their pages are, or (nodes at in + 3) to node 0. */
void gen_move_pages(struct gen *g, struct call *c)
{
    static const uint64_t flags[] = {0, 0, 2, 2, 4, 1, 8};
    for (unsigned i = 0; i < 3; i++) {
        struct call range = {0};
        gen_range(g, &range, 0);
        c->in[i] = range.ref[0] ? gen_addr(g) : range.arg[0];
    }
    c->arg[1] = pick(g, 4);
    c->arg[2] = PTR_IN;
    c->arg[3] = pick(g, 2) ? 0 : PTR_IN + 24;
    c->arg[4] = PTR_OUT;
    c->arg[5] = PICK(g, flags);
    if (pick(g, 8) == 0)
        c->in[3] = pick(g, 2) ? BIT(32) : 5;
}

int64_t model_move_pages(struct model *w, const struct call *c, struct answer *a)
{
    int32_t nodes[8] = {0}, status[8] = {0};
    memcpy(nodes, &c->in[3], sizeof(c->in[3]));
    struct mm_move_pages q = {.nr = c->arg[1],
                              .pages = c->in,
                              .pages_nr = c->arg[1],
                              .nodes = c->arg[3] ? nodes : NULL,
                              .nodes_nr = c->arg[1],
                              .status = status,
                              .status_nr = ARRAY_LEN(status),
                              .flags = c->arg[5]};
    int64_t r = mm_move_pages(CALLER(w, c), CALLER(w, c), &q);
    memcpy(a->out, status, c->arg[1] * sizeof(status[0]));
    return r;
}
