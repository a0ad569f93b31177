/* itree.h: an interval tree: which of many intervals of numbers meet a given one?
 *
 *                  [4,9] 20            a node: first, last, and the greatest last at or below it
 *                 /     \
 *           [1,3] 7      [8,20] 20     in order of first, equal ones in order of insertion
 *                \
 *                 [2,7] 7
 *
 * Nodes live inside what they stand for, the tree allocates nothing. Balanced as a treap: priorities
 * come from a counter, so the same calls make the same tree. Depth is logarithmic in expectation.
 *
 * Invariants (itree_audit):
 *  I1  In order, first does not decrease.
 *  I2  last_max is the greatest last of the node and all below it.
 *  I3  A child's priority is not above its parent's, and its parent pointer names that parent.
 *
 * Source: the questions are those of Linux include/linux/interval_tree_generic.h.
 */
#ifndef BASE_ITREE_H
#define BASE_ITREE_H

#include "base/bits.h"

struct itree_node {
    struct itree_node *parent, *left, *right;
    uint64_t first, last; /* the interval, both ends included */
    uint64_t last_max;    /* I2 */
    uint64_t prio;        /* I3 */
};

struct itree {
    struct itree_node *root; /* NULL when empty */
    uint64_t made;           /* insertions so far: where priorities come from */
};

/* itree_insert adds a node for [first, last]. pre: it is in no tree, first <= last. */
void itree_insert(struct itree *t, struct itree_node *n, uint64_t first, uint64_t last);
/* itree_remove takes a node out. pre: it is in t. */
void itree_remove(struct itree *t, struct itree_node *n);
/* itree_first returns the first node that meets [first, last], or NULL; itree_next the one after n.
 * The tree must not change between the two. */
struct itree_node *itree_first(const struct itree *t, uint64_t first, uint64_t last);
struct itree_node *itree_next(struct itree_node *n, uint64_t first, uint64_t last);
/* itree_audit returns 0, or the number of the broken invariant. */
int itree_audit(const struct itree *t);

#endif
