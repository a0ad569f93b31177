/* numa.c: NUMA memory policy as pure functions; see numa.h.
 *
 *   RELATIVE {0,3} on nodes {4,6}:  fold modulo 2 ─► {0,1} ─ onto ─► {4,6}
 *   STATIC   {0,4} on nodes {4,6}:  and ─► {4}
 *   weights 3,1: pages of index      0 1 2 3 | 4 5 6 7 ─► node 0 0 0 1 | 0 0 0 1
 *
 * I1  A policy other than MPOL_LOCAL names at least one node of the machine.
 * I2  A node order is a permutation that begins with the local node.
 *
 * Source: Linux 6.18 mm/mempolicy.c, mm/page_alloc.c, lib/bitmap.c.
 */
#include "policy/numa.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MASK_BITS_MAX 32768u /* of a mask argument: one page */
#define WEIGHTINESS   32u    /* largest weight bandwidths give */
#define CPU_PENALTY   1u     /* PENALTY_FOR_NODE_WITH_CPUS */

/* -- masks ----------------------------------------------------------------------------------- */

bool nodemask_empty(const struct nodemask *m)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < ARRAY_LEN(m->w); i++)
        any |= m->w[i];
    return any == 0;
}

unsigned next_node_in(unsigned n, uint64_t nodes)
{
    uint64_t above = n >= NUMA_NODES - 1 ? 0 : nodes & ~(BIT(n + 1) - 1);
    return first_node(above != 0 ? above : nodes);
}

static unsigned nth_node(uint64_t nodes, uint64_t n)
{
    while (n-- > 0)
        nodes &= nodes - 1;
    return first_node(nodes);
}

unsigned node_remap(unsigned n, uint64_t from, uint64_t to)
{
    if (!(from >> n & 1) || to == 0)
        return n;
    return nth_node(to, nodes_weight(from & (BIT(n) - 1)) % nodes_weight(to));
}

/* relative_nodes folds a user's nodes modulo the number of allowed ones and counts among those. */
static uint64_t relative_nodes(const struct nodemask *user, uint64_t allowed)
{
    uint64_t nodes = 0;
    for (unsigned n = 0; n < MAX_NUMNODES; n++)
        if (nodemask_has(user, n))
            nodes |= BIT(nth_node(allowed, n % nodes_weight(allowed)));
    return nodes;
}

/* -- arguments ------------------------------------------------------------------------------- */

/* high_bits_clear looks at the words above MAX_NUMNODES from the end, each as a whole. */
static int high_bits_clear(const struct nodemask_arg *arg, uint64_t bits)
{
    for (; bits > MAX_NUMNODES; bits = bits - 64 >= MAX_NUMNODES ? bits - 64 : MAX_NUMNODES) {
        uint64_t at = (bits - 1) / 64;
        if (at >= arg->words_nr)
            return -EFAULT;
        if (arg->words[at] != 0)
            return -EINVAL;
    }
    return 0;
}

int numa_get_nodes(const struct nodemask_arg *arg, struct nodemask *ret)
{
    struct nodemask m = {0};
    uint64_t bits = arg->maxnode - 1; /* 0 wraps: too long */
    if (bits != 0 && arg->words) {
        if (bits > MASK_BITS_MAX)
            return -EINVAL;
        int err = high_bits_clear(arg, bits);
        if (err != 0)
            return err;
        bits = min_u64(bits, MAX_NUMNODES);
        if (div_up(bits, 64) > arg->words_nr)
            return -EFAULT;
        memcpy(m.w, arg->words, div_up(bits, 64) * sizeof(m.w[0]));
        if (bits % 64 != 0)
            m.w[bits / 64] &= BIT(bits % 64) - 1;
    }
    *ret = m;
    return 0;
}

int sanitize_mpol_flags(int arg, int *ret_mode, uint16_t *ret_flags)
{
    const unsigned both = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;
    unsigned flags = (unsigned)arg & MPOL_MODE_FLAGS, mode = (unsigned)arg & ~MPOL_MODE_FLAGS;
    if (mode >= MPOL_MAX || (flags & both) == both)
        return -EINVAL;
    if ((flags & MPOL_F_NUMA_BALANCING) && mode != MPOL_BIND && mode != MPOL_PREFERRED_MANY)
        return -EINVAL;
    *ret_mode = (int)mode;
    *ret_flags = (uint16_t)flags;
    return 0;
}

int mpol_new_check(int mode, uint16_t flags, const struct nodemask *user)
{
    bool empty = nodemask_empty(user),
         placed = flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);
    switch (mode) {
    case MPOL_DEFAULT:
        return empty ? 0 : -EINVAL;
    case MPOL_LOCAL:
        return empty && !placed ? 0 : -EINVAL;
    case MPOL_PREFERRED:
        return empty && placed ? -EINVAL : 0; /* empty: MPOL_LOCAL */
    default:
        return empty ? -EINVAL : 0;
    }
}

int mpol_make(int mode, uint16_t flags, const struct nodemask *user, uint64_t allowed,
              struct mempolicy *ret, bool *ret_default)
{
    int err = mpol_new_check(mode, flags, user);
    if (err != 0)
        return err;
    *ret_default = mode == MPOL_DEFAULT;
    if (*ret_default)
        return 0;
    struct mempolicy p = {
        .refs = 1, .mode = (uint8_t)mode, .flags = flags, .home_node = NUMA_NO_NODE};
    if (mode == MPOL_PREFERRED && nodemask_empty(user))
        p.mode = MPOL_LOCAL;
    if (p.mode != MPOL_LOCAL) {
        p.nodes =
            flags & MPOL_F_RELATIVE_NODES ? relative_nodes(user, allowed) : user->w[0] & allowed;
        if (p.nodes == 0)
            return -EINVAL; /* I1 */
        if (mode == MPOL_PREFERRED)
            p.nodes = BIT(first_node(p.nodes));
        if (mpol_stores_user(&p))
            p.user = *user;
    }
    *ret = p;
    return 0;
}

/* -- policies -------------------------------------------------------------------------------- */

bool mpol_equal(const struct mempolicy *a, const struct mempolicy *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->mode != b->mode || a->flags != b->flags || a->home_node != b->home_node)
        return false;
    return a->nodes == b->nodes && memcmp(&a->user, &b->user, sizeof(a->user)) == 0;
}

/* A line of text that stops growing when it is full. */
struct line {
    char *at;    /* where the next character goes; a 0 stands there */
    size_t left; /* room, the 0 included */
};

static void say(struct line *l, const char *text)
{
    int n = snprintf(l->at, l->left, "%s", text);
    size_t wrote = min_u64((uint64_t)n, l->left - 1);
    l->at += wrote;
    l->left -= wrote;
}

static void say_number(struct line *l, unsigned n)
{
    char text[12];
    snprintf(text, sizeof(text), "%u", n);
    say(l, text);
}

/* say_nodes writes 0-2,5 (%*pbl). */
static void say_nodes(struct line *l, uint64_t nodes)
{
    for (const char *sep = ":"; nodes != 0; sep = ",") {
        unsigned first = first_node(nodes), end = first;
        while (end < 64 && (nodes >> end & 1))
            nodes &= ~BIT(end++);
        say(l, sep);
        say_number(l, first);
        if (end - first > 1) {
            say(l, "-");
            say_number(l, end - 1);
        }
    }
}

void mpol_to_str(const struct mempolicy *p, char *ret, size_t len)
{
    static const char *const modes[MPOL_MAX] = {
        "default", "prefer", "bind", "interleave", "local", "prefer (many)", "weighted interleave",
    };
    struct line l = {ret, len};
    say(&l, modes[p ? p->mode : MPOL_DEFAULT]);
    if (!p)
        return;
    if (p->flags & MPOL_MODE_FLAGS)
        say(&l, "=");
    if (p->flags & MPOL_F_STATIC_NODES)
        say(&l, "static");
    if (p->flags & MPOL_F_RELATIVE_NODES)
        say(&l, "relative");
    if (p->flags & MPOL_F_NUMA_BALANCING)
        say(&l, is_pow2(p->flags & MPOL_MODE_FLAGS) ? "balancing" : "|balancing");
    say_nodes(&l, p->nodes);
}

/* -- choosing a node ------------------------------------------------------------------------- */

unsigned interleave_nid(uint64_t nodes, uint64_t ilx)
{
    return nth_node(nodes, ilx % nodes_weight(nodes));
}

unsigned weighted_interleave_nid(uint64_t nodes, const uint8_t *weights, uint64_t ilx)
{
    uint64_t total = 0;
    for (uint64_t left = nodes; left != 0; left &= left - 1)
        total += weights[first_node(left)];
    uint64_t target = ilx % total;
    while (target >= weights[first_node(nodes)]) {
        target -= weights[first_node(nodes)];
        nodes &= nodes - 1;
    }
    return first_node(nodes);
}

unsigned interleave_nodes(struct interleave *il, uint64_t nodes)
{
    il->prev = next_node_in(il->prev, nodes);
    return il->prev;
}

unsigned weighted_interleave_nodes(struct interleave *il, uint64_t nodes, const uint8_t *weights)
{
    if (il->weight == 0 || il->prev >= NUMA_NODES || !(nodes >> il->prev & 1)) {
        il->prev = next_node_in(il->prev, nodes);
        il->weight = weights[il->prev];
    }
    il->weight--;
    return il->prev;
}

static unsigned gcd(unsigned a, unsigned b)
{
    while (b != 0) {
        unsigned rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void numa_weights(uint64_t nodes, const uint32_t *bandwidth, uint8_t *ret_weights)
{
    uint64_t sum = 0;
    unsigned common = 0;
    for (uint64_t left = nodes; left != 0; left &= left - 1)
        sum += bandwidth[first_node(left)];
    for (uint64_t left = nodes; left != 0; left &= left - 1) {
        unsigned n = first_node(left);
        uint64_t scaled = (uint64_t)WEIGHTINESS * bandwidth[n];
        ret_weights[n] = (uint8_t)(bandwidth[n] != 0 && sum < scaled ? scaled / sum : 1);
        common = gcd(ret_weights[n], common);
    }
    for (uint64_t left = nodes; left != 0; left &= left - 1)
        ret_weights[first_node(left)] /= (uint8_t)common;
}

/* -- machine --------------------------------------------------------------------------------- */

/* find_next_best_node: near, after the local node, without CPUs, not yet chosen first by others. */
static int find_next_best_node(unsigned nr, unsigned local, const uint8_t *distance, uint64_t cpus,
                               const uint32_t *load, uint64_t used)
{
    uint64_t best_val = UINT64_MAX;
    int best = NUMA_NO_NODE;
    if (!(used >> local & 1))
        return (int)local;
    for (unsigned n = 0; n < nr; n++) {
        uint64_t val = distance[local * nr + n] + (n < local) + (cpus >> n & 1) * CPU_PENALTY;
        val = val * MAX_NUMNODES + load[n];
        if (!(used >> n & 1) && val < best_val) {
            best_val = val;
            best = (int)n;
        }
    }
    return best;
}

void numa_node_order(unsigned nr, const uint8_t *distance, uint64_t cpus, uint8_t *ret)
{
    uint32_t load[NUMA_NODES] = {0};
    CHECK(nr >= 1 && nr <= NUMA_NODES);
    for (unsigned local = 0; local < nr; local++) {
        uint64_t used = 0;
        unsigned prev = local, i = 0;
        int n;
        while ((n = find_next_best_node(nr, local, distance, cpus, load, used)) >= 0) {
            if (distance[local * nr + (unsigned)n] != distance[local * nr + prev])
                load[n]++;
            used |= BIT(n);
            prev = (unsigned)n;
            ret[local * nr + i++] = (uint8_t)n;
        }
    }
}

/* -- migrate_pages --------------------------------------------------------------------------- */

bool numa_migrate_step(uint64_t from, uint64_t to, uint64_t *tmp, unsigned *ret_from,
                       unsigned *ret_to)
{
    bool found = false;
    for (uint64_t left = *tmp; left != 0; left &= left - 1) {
        unsigned s = first_node(left), d = node_remap(s, from, to);
        if (nodes_weight(from) != nodes_weight(to) && (to >> s & 1))
            continue;
        if (s == d)
            continue;
        *ret_from = s;
        *ret_to = d;
        found = true;
        if (!(*tmp >> d & 1))
            break; /* nothing that is still to move lies there */
    }
    if (found)
        *tmp &= ~BIT(*ret_from);
    return found;
}
