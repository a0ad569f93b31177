/* vma_tree.c: see vma_tree.h.
 *
 * Inserting splits full nodes on the way down, so that a parent always has room. Erasing joins a
 * node of few entries with a neighbour if both fit one node, and drops empty ones. What changes in a
 * leaf is passed up along the path that led there.
 *
 *  I1  end[i] of a node is the end of the last VMA below entry i; gap[i] the largest gap below it.
 *  I2  Every leaf is as deep as every other; no node but the root of an empty tree is empty.
 *  I3  The list holds the VMAs in the order of the leaves.
 *
 * Source: what Linux 6.18 asks of its maple tree (lib/maple_tree.c: mas_empty_area,
 * mas_empty_area_rev); the tree itself is a plain B+ tree.
 */
#include "mm/vma_tree.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define FANOUT    VMA_TREE_FANOUT
#define FEW       (FANOUT / 4)
#define DEPTH_MAX 34u /* 2^31 VMAs in half-empty nodes of 4 */

/* The way from the root to an entry of a leaf. */
struct path {
    struct vma_node *node[DEPTH_MAX];
    uint32_t at[DEPTH_MAX]; /* which entry was taken */
    unsigned depth;         /* nodes on the way; the last is the leaf */
};

uint64_t vma_tree_gap(const struct vma *v)
{
    return v->start.v - (v->prev ? v->prev->end.v : 0);
}

/* -- nodes ----------------------------------------------------------------------------------- */

static struct vma_node *node_new(bool leaf)
{
    struct vma_node *x = calloc(1, sizeof(*x));
    ASSERT(x);
    x->leaf = leaf;
    return x;
}

/* node_find returns the first entry that ends above a, or n. No branch depends on what is found. */
static inline uint32_t node_find(const struct vma_node *x, uint64_t a)
{
    uint32_t lo = 0, n = x->n;
    for (uint32_t half; n > 1; n -= half) {
        half = n / 2;
        lo += half * (x->end[lo + half - 1] <= a);
    }
    return lo + (n == 1 && x->end[lo] <= a);
}

static uint64_t node_gap(const struct vma_node *x)
{
    uint64_t gap = 0;
    for (uint32_t i = 0; i < x->n; i++)
        gap = max_u64(gap, x->gap[i]);
    return gap;
}

/* node_open makes room for an entry at i, node_shut removes the one there. */
static void node_open(struct vma_node *x, uint32_t i)
{
    memmove(&x->end[i + 1], &x->end[i], (x->n - i) * sizeof(x->end[0]));
    memmove(&x->gap[i + 1], &x->gap[i], (x->n - i) * sizeof(x->gap[0]));
    memmove(&x->below[i + 1], &x->below[i], (x->n - i) * sizeof(x->below[0]));
    x->n++;
}

static void node_shut(struct vma_node *x, uint32_t i)
{
    x->n--;
    memmove(&x->end[i], &x->end[i + 1], (x->n - i) * sizeof(x->end[0]));
    memmove(&x->gap[i], &x->gap[i + 1], (x->n - i) * sizeof(x->gap[0]));
    memmove(&x->below[i], &x->below[i + 1], (x->n - i) * sizeof(x->below[0]));
}

/* node_move appends the last n entries of `from` to `to`. */
static void node_move(struct vma_node *to, struct vma_node *from, uint32_t n)
{
    uint32_t first = from->n - n;
    memcpy(&to->end[to->n], &from->end[first], n * sizeof(to->end[0]));
    memcpy(&to->gap[to->n], &from->gap[first], n * sizeof(to->gap[0]));
    memcpy(&to->below[to->n], &from->below[first], n * sizeof(to->below[0]));
    to->n += n;
    from->n = first;
}

/* node_sum makes entry i of an inner node tell the truth about the node below it (I1). */
static void node_sum(struct vma_node *x, uint32_t i)
{
    const struct vma_node *child = x->below[i];
    x->end[i] = child->end[child->n - 1];
    x->gap[i] = node_gap(child);
}

/* split_child cuts the full node below entry i in two. pre: x has room. */
static void split_child(struct vma_node *x, uint32_t i)
{
    struct vma_node *low = x->below[i], *high = node_new(low->leaf);
    node_move(high, low, low->n / 2);
    node_open(x, i + 1);
    x->below[i + 1] = high;
    node_sum(x, i);
    node_sum(x, i + 1);
}

/* -- paths ----------------------------------------------------------------------------------- */

/* find_path leads to the first VMA that ends above a; past the last entry if there is none. */
static void find_path(const struct vma_tree *t, uint64_t a, struct path *p)
{
    struct vma_node *x = t->root;
    p->depth = 0;
    for (;; x = x->below[p->at[p->depth - 1]]) {
        uint32_t i = node_find(x, a);
        p->node[p->depth] = x;
        p->at[p->depth++] = x->leaf ? i : (uint32_t)min_u64(i, x->n - 1);
        if (x->leaf)
            return;
        CHECK(p->depth < DEPTH_MAX);
    }
}

/* path_sum passes a change in the leaf up, as far as it shows. */
static void path_sum(const struct path *p)
{
    for (unsigned d = p->depth - 1; d > 0; d--) {
        struct vma_node *x = p->node[d - 1];
        uint32_t i = p->at[d - 1];
        uint64_t end = x->end[i], gap = x->gap[i];
        node_sum(x, i);
        if (x->end[i] == end && x->gap[i] == gap)
            return;
    }
}

static void set_entry(struct vma_node *leaf, uint32_t i, struct vma *v)
{
    leaf->end[i] = v->end.v;
    leaf->gap[i] = vma_tree_gap(v);
    leaf->below[i] = v;
}

/* refresh lets the tree hear of a changed end or gap of v. */
static void refresh(const struct vma_tree *t, struct vma *v)
{
    struct path p;
    find_path(t, v->start.v, &p);
    struct vma_node *leaf = p.node[p.depth - 1];
    uint32_t i = p.at[p.depth - 1];
    CHECK(leaf->below[i] == v);
    set_entry(leaf, i, v);
    path_sum(&p);
}

/* -- the calls ------------------------------------------------------------------------------- */

struct vma *vma_tree_find(const struct vma_tree *t, uint64_t a)
{
    const struct vma_node *x = t->root;
    if (!t->last || t->last->end.v <= a)
        return NULL;
    while (!x->leaf)
        x = x->below[node_find(x, a)];
    return x->below[node_find(x, a)];
}

static void list_insert(struct vma_tree *t, struct vma *v)
{
    struct vma *next = vma_tree_find(t, v->start.v), *prev = next ? next->prev : t->last;
    CHECK((!prev || prev->end.v <= v->start.v) && (!next || v->end.v <= next->start.v));
    v->prev = prev;
    v->next = next;
    *(prev ? &prev->next : &t->first) = v;
    *(next ? &next->prev : &t->last) = v;
    t->nr++;
}

static void grow_root(struct vma_tree *t)
{
    struct vma_node *top = node_new(false);
    top->below[0] = t->root;
    top->n = 1;
    t->root = top;
    split_child(top, 0);
}

void vma_tree_insert(struct vma_tree *t, struct vma *v)
{
    struct path p = {0};
    list_insert(t, v);
    if (!t->root)
        t->root = node_new(true);
    if (t->root->n == FANOUT)
        grow_root(t);
    for (struct vma_node *x = t->root;;) {
        uint32_t i = node_find(x, v->start.v);
        p.node[p.depth] = x;
        p.at[p.depth++] = i = x->leaf ? i : (uint32_t)min_u64(i, x->n - 1);
        if (x->leaf)
            break;
        struct vma_node *child = x->below[i];
        if (child->n == FANOUT) {
            split_child(x, i);
            p.depth--; /* choose again between the halves */
        } else {
            x = child;
        }
    }
    struct vma_node *leaf = p.node[p.depth - 1];
    node_open(leaf, p.at[p.depth - 1]);
    set_entry(leaf, p.at[p.depth - 1], v);
    path_sum(&p);
    if (v->next)
        refresh(t, v->next);
}

void vma_tree_update(struct vma_tree *t, struct vma *v)
{
    refresh(t, v);
    if (v->next)
        refresh(t, v->next);
}

/* join puts the node below entry i of x and the one after it into one, if they fit. */
static void join(struct vma_node *x, uint32_t i)
{
    if (i + 1 >= x->n)
        return;
    struct vma_node *low = x->below[i], *high = x->below[i + 1];
    if (low->n + high->n > FANOUT)
        return;
    node_move(low, high, high->n);
    free(high);
    node_shut(x, i + 1);
    node_sum(x, i);
}

/* shrink_child is called when the node below entry i lost one. */
static void shrink_child(struct vma_node *x, uint32_t i)
{
    struct vma_node *child = x->below[i];
    if (child->n == 0) {
        free(child);
        node_shut(x, i);
        return;
    }
    node_sum(x, i);
    if (child->n > FEW)
        return;
    join(x, i);
    if (i > 0)
        join(x, i - 1);
}

static void shrink_root(struct vma_tree *t)
{
    while (t->root && (t->root->n == 0 || (!t->root->leaf && t->root->n == 1))) {
        struct vma_node *top = t->root;
        t->root = top->n == 0 ? NULL : top->below[0];
        free(top);
    }
}

static void list_erase(struct vma_tree *t, const struct vma *v)
{
    *(v->prev ? &v->prev->next : &t->first) = v->next;
    *(v->next ? &v->next->prev : &t->last) = v->prev;
    t->nr--;
}

void vma_tree_erase(struct vma_tree *t, struct vma *v)
{
    struct path p;
    find_path(t, v->start.v, &p);
    CHECK(p.node[p.depth - 1]->below[p.at[p.depth - 1]] == v);
    node_shut(p.node[p.depth - 1], p.at[p.depth - 1]);
    for (unsigned d = p.depth - 1; d > 0; d--)
        shrink_child(p.node[d - 1], p.at[d - 1]);
    shrink_root(t);
    list_erase(t, v);
    if (v->next)
        refresh(t, v->next);
}

/* -- gaps ------------------------------------------------------------------------------------ */

/* last_gap and first_gap return an entry of [0, n) or [i, x->n) with a gap of len bytes; x->n: none. */
static uint32_t last_gap(const struct vma_node *x, uint32_t n, uint64_t len)
{
    while (n > 0)
        if (x->gap[--n] >= len)
            return n;
    return x->n;
}

static uint32_t first_gap(const struct vma_node *x, uint32_t i, uint64_t len)
{
    while (i < x->n && x->gap[i] < len)
        i++;
    return i;
}

/* descend_gap goes down from entry i to the last or first VMA with such a gap below it. */
static struct vma *descend_gap(const struct vma_node *x, uint32_t i, uint64_t len, bool last)
{
    while (!x->leaf) {
        x = x->below[i];
        i = last ? last_gap(x, x->n, len) : first_gap(x, 0, len);
        CHECK(i < x->n); /* I1 */
    }
    return x->below[i];
}

struct vma *vma_tree_gap_below(const struct vma_tree *t, const struct vma *v, uint64_t len)
{
    struct path p;
    if (!t->root)
        return NULL;
    find_path(t, v ? v->start.v : UINT64_MAX, &p);
    if (!v) /* behind the last entry of every node */
        for (unsigned d = 0; d < p.depth; d++)
            p.at[d] = p.node[d]->leaf ? p.node[d]->n : p.node[d]->n - 1;
    for (unsigned d = p.depth; d-- > 0;) {
        uint32_t i = last_gap(p.node[d], p.at[d], len);
        if (i < p.node[d]->n)
            return descend_gap(p.node[d], i, len, true);
    }
    return NULL;
}

struct vma *vma_tree_gap_above(const struct vma_tree *t, const struct vma *v, uint64_t len)
{
    struct path p;
    find_path(t, v->start.v, &p);
    for (unsigned d = p.depth; d-- > 0;) {
        uint32_t i = first_gap(p.node[d], p.at[d] + 1, len);
        if (i < p.node[d]->n)
            return descend_gap(p.node[d], i, len, false);
    }
    return NULL;
}

/* -- closing, checking ------------------------------------------------------------------------ */

/* first_leaf follows the first entries down and stores the way. */
static void first_leaf(struct vma_node *x, struct path *p)
{
    for (;; x = x->below[0]) {
        p->node[p->depth] = x;
        p->at[p->depth++] = 0;
        if (x->leaf)
            return;
    }
}

/* next_leaf goes on to the next leaf; false after the last. Calls `done` nodes complete: the caller
 * frees or checks those at depth >= *ret_left. */
static bool next_leaf(struct path *p)
{
    while (p->depth > 1) {
        p->depth--;
        struct vma_node *x = p->node[p->depth - 1];
        if (++p->at[p->depth - 1] < x->n) {
            first_leaf(x->below[p->at[p->depth - 1]], p);
            return true;
        }
    }
    return false;
}

void vma_tree_close(struct vma_tree *t)
{
    while (t->root) { /* the leftmost leaf goes; empty nodes above it with it */
        struct path p = {0};
        first_leaf(t->root, &p);
        p.node[p.depth - 1]->n = 0;
        for (unsigned d = p.depth - 1; d > 0 && p.node[d]->n == 0; d--) {
            free(p.node[d]);
            node_shut(p.node[d - 1], 0);
        }
        if (t->root->n == 0) {
            free(t->root);
            t->root = NULL;
        }
    }
    *t = (struct vma_tree){0};
}

static bool inner_valid(const struct path *p)
{
    for (unsigned d = 0; d + 1 < p->depth; d++) {
        const struct vma_node *x = p->node[d], *child = p->node[d + 1];
        uint32_t i = p->at[d];
        if (x->leaf || child->n == 0 || x->end[i] != child->end[child->n - 1] ||
            x->gap[i] != node_gap(child))
            return false;
    }
    return true;
}

static bool leaf_valid(const struct vma_node *leaf, const struct vma **expect)
{
    for (uint32_t i = 0; i < leaf->n; i++) {
        const struct vma *v = leaf->below[i];
        if (v != *expect || leaf->end[i] != v->end.v || leaf->gap[i] != vma_tree_gap(v) ||
            v->start.v >= v->end.v || (v->prev && v->prev->end.v > v->start.v))
            return false;
        *expect = v->next;
    }
    return true;
}

bool vma_tree_valid(const struct vma_tree *t)
{
    const struct vma *expect = t->first;
    struct path p = {0};
    unsigned depth;
    if (!t->root)
        return !t->first && !t->last && t->nr == 0;
    first_leaf(t->root, &p);
    depth = p.depth;
    do {
        if (p.depth != depth || !inner_valid(&p) || !leaf_valid(p.node[depth - 1], &expect))
            return false;
    } while (next_leaf(&p));
    uint32_t n = 0;
    for (const struct vma *v = t->first; v; v = v->next)
        n++;
    return !expect && n == t->nr;
}
