/* numa.h: NUMA memory policy as pure functions: which arguments are valid, what a policy becomes
 * on a machine, which node it chooses, in which order nodes are tried.
 *
 *   user's mask ─ numa_get_nodes ─► struct nodemask ─ mpol_make ─► struct mempolicy (nodes)
 *   struct mempolicy + index of the page ─ interleave_nid … ─► node
 *   distances ─ numa_node_order ─► nodes from near to far (zonelists)
 *
 * Source: Linux 6.18 mm/mempolicy.c, mm/page_alloc.c (find_next_best_node, build_zonelists),
 * include/uapi/linux/mempolicy.h, lib/bitmap.c (bitmap_onto, bitmap_fold, bitmap_bitremap).
 */
#ifndef POLICY_NUMA_H
#define POLICY_NUMA_H

#include "base/bits.h"

#include <stddef.h>

#define NUMA_NODES   64u   /* most nodes a machine has: a set of nodes is one word */
#define MAX_NUMNODES 1024u /* nodes a program may name (CONFIG_NODES_SHIFT 10) */
#define NUMA_NO_NODE (-1)

enum {
    MPOL_DEFAULT,
    MPOL_PREFERRED,
    MPOL_BIND,
    MPOL_INTERLEAVE,
    MPOL_LOCAL,
    MPOL_PREFERRED_MANY,
    MPOL_WEIGHTED_INTERLEAVE,
    MPOL_MAX
};
#define MPOL_F_STATIC_NODES   0x8000u
#define MPOL_F_RELATIVE_NODES 0x4000u
#define MPOL_F_NUMA_BALANCING 0x2000u
#define MPOL_MODE_FLAGS       (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING)

#define MPOL_MF_STRICT   0x1u /* mbind: fail if a page lies elsewhere */
#define MPOL_MF_MOVE     0x2u /* move the pages only this process maps */
#define MPOL_MF_MOVE_ALL 0x4u /* move every page */
#define MPOL_MF_VALID    (MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)

#define MPOL_F_NODE         0x1u /* get_mempolicy: the next node of interleaving, or a page's */
#define MPOL_F_ADDR         0x2u /* of the mapping at an address */
#define MPOL_F_MEMS_ALLOWED 0x4u /* the nodes that may be used */

/* Nodes as a program names them: more than a machine has. */
struct nodemask {
    uint64_t w[MAX_NUMNODES / 64]; /* bit n of word n / 64 */
};

/* A mask argument of a call: what the kernel finds where the program points. */
struct nodemask_arg {
    const uint64_t *words; /* NULL: the program passed NULL */
    uint64_t words_nr;     /* readable; further ones are a bad address */
    uint64_t maxnode;      /* as passed: one more than the bits to use */
};

struct mempolicy {
    uint32_t refs;        /* holders: VMAs, shared ranges, a task */
    uint8_t mode;         /* MPOL_…, never MPOL_DEFAULT: that is no policy */
    uint16_t flags;       /* MPOL_MODE_FLAGS */
    int home_node;        /* where BIND and PREFERRED_MANY start; NUMA_NO_NODE: the CPU's */
    uint64_t nodes;       /* of the machine; 0 with MPOL_LOCAL */
    struct nodemask user; /* as passed, if a flag asks to keep it (mpol_stores_user) */
};

/* -- masks */
static inline bool nodemask_has(const struct nodemask *m, unsigned n)
{
    return m->w[n / 64] >> n % 64 & 1;
}
static inline void nodemask_add(struct nodemask *m, unsigned n)
{
    m->w[n / 64] |= BIT(n % 64);
}
bool nodemask_empty(const struct nodemask *m);
static inline unsigned nodes_weight(uint64_t nodes)
{
    return (unsigned)__builtin_popcountll(nodes);
}
static inline unsigned first_node(uint64_t nodes) /* pre: nodes is not empty */
{
    return (unsigned)__builtin_ctzll(nodes);
}
/* next_node_in is the next set node after n, around the end. pre: nodes is not empty. n may be
 * NUMA_NODES - 1 or more: then the first one. */
unsigned next_node_in(unsigned n, uint64_t nodes);
/* node_remap is the node of `to` that stands where n stands in `from`, modulo its size; n itself if
 * it is not in `from` or `to` is empty. */
unsigned node_remap(unsigned n, uint64_t from, uint64_t to);

/* -- arguments */
/* numa_get_nodes reads a mask argument: 0, -EINVAL (too long, or a bit above MAX_NUMNODES) or
 * -EFAULT. */
int numa_get_nodes(const struct nodemask_arg *arg, struct nodemask *ret);
/* sanitize_mpol_flags splits a mode argument: 0, or -EINVAL. */
int sanitize_mpol_flags(int arg, int *ret_mode, uint16_t *ret_flags);
/* mpol_make is mpol_new and mpol_set_nodemask in one: a policy on a machine whose nodes with memory
 * are `allowed`. 0 with *ret_default set if it is MPOL_DEFAULT (ret untouched), or -EINVAL.
 * mpol_new_check is the first half: what is wrong before the machine is asked. */
int mpol_new_check(int mode, uint16_t flags, const struct nodemask *user);
int mpol_make(int mode, uint16_t flags, const struct nodemask *user, uint64_t allowed,
              struct mempolicy *ret, bool *ret_default);

/* -- policies; NULL is the default policy */
static inline bool mpol_stores_user(const struct mempolicy *p)
{
    return p->flags & MPOL_MODE_FLAGS;
}
bool mpol_equal(const struct mempolicy *a, const struct mempolicy *b);
/* mpol_to_str writes it as numa_maps shows it ("bind=static:0-1"), cut at len; NULL: "default". */
#define MPOL_STR_LEN 64u
void mpol_to_str(const struct mempolicy *p, char *ret, size_t len);

/* -- choosing a node. pre: nodes is not empty */
unsigned interleave_nid(uint64_t nodes, uint64_t ilx);
/* weights: NUMA_NODES of them, each at least 1 for a set node. */
unsigned weighted_interleave_nid(uint64_t nodes, const uint8_t *weights, uint64_t ilx);
/* The place of a task in its interleaving, for allocations without a VMA. */
struct interleave {
    uint32_t prev;   /* il_prev: node used last; MAX_NUMNODES - 1 to start with */
    uint32_t weight; /* il_weight: pages still to come from it */
};
unsigned interleave_nodes(struct interleave *il, uint64_t nodes);
unsigned weighted_interleave_nodes(struct interleave *il, uint64_t nodes, const uint8_t *weights);
/* mpol_ilx is the interleave index of a page of a VMA: `base` is the inode number for shared
 * memory, 0 otherwise; offset is the address less the VMA's start. */
static inline uint64_t mpol_ilx(uint64_t base, uint64_t vm_pgoff, uint64_t offset, unsigned order)
{
    return base + (vm_pgoff >> order) + (offset >> (12 + order));
}
/* numa_weights turns bandwidths (0: unknown) of a machine's nodes into weights 1..32. */
void numa_weights(uint64_t nodes, const uint32_t *bandwidth, uint8_t *ret_weights);

/* -- machine */
/* numa_node_order writes the order in which every node's memory is tried (build_all_zonelists):
 * ret[local * nr + i] is the i-th node for `local`. distance[a * nr + b]; cpus: nodes with CPUs. */
void numa_node_order(unsigned nr, const uint8_t *distance, uint64_t cpus, uint8_t *ret);

/* -- migrate_pages */
/* numa_migrate_step takes the next pair of nodes to move between, so that pages are moved away
 * before others arrive; *tmp starts as `from`. False: done. */
bool numa_migrate_step(uint64_t from, uint64_t to, uint64_t *tmp, unsigned *ret_from,
                       unsigned *ret_to);

#endif
