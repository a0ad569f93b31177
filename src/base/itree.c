/* itree.c: see itree.h. Insertion hangs a leaf and turns it up while its priority is above its
 * parent's; removal turns it down to a leaf first.
 *
 *        p                n
 *       / \   turn_up    / \
 *      n   C    ──►     A   p
 *     / \                  / \
 *    A   B                B   C
 */
#include "base/itree.h"

#include "base/check.h"

#include <stddef.h>

static void update(struct itree_node *n)
{
    n->last_max = n->last;
    if (n->left)
        n->last_max = max_u64(n->last_max, n->left->last_max);
    if (n->right)
        n->last_max = max_u64(n->last_max, n->right->last_max);
}

/* link_of returns the pointer of the tree that leads to n. */
static struct itree_node **link_of(struct itree *t, const struct itree_node *n)
{
    if (!n->parent)
        return &t->root;
    return n->parent->left == n ? &n->parent->left : &n->parent->right;
}

static void turn_up(struct itree *t, struct itree_node *n)
{
    struct itree_node *p = n->parent, *inner;
    *link_of(t, p) = n;
    n->parent = p->parent;
    p->parent = n;
    if (p->left == n) {
        inner = p->left = n->right;
        n->right = p;
    } else {
        inner = p->right = n->left;
        n->left = p;
    }
    if (inner)
        inner->parent = p;
    update(p);
    update(n);
}

void itree_insert(struct itree *t, struct itree_node *n, uint64_t first, uint64_t last)
{
    struct itree_node **link = &t->root, *parent = NULL;
    CHECK(first <= last);
    while (*link) {
        parent = *link;
        parent->last_max = max_u64(parent->last_max, last);
        link = first < parent->first ? &parent->left : &parent->right;
    }
    *n = (struct itree_node){
        .parent = parent, .first = first, .last = last, .last_max = last, .prio = mix64(++t->made)};
    *link = n;
    while (n->parent && n->prio > n->parent->prio)
        turn_up(t, n);
}

void itree_remove(struct itree *t, struct itree_node *n)
{
    while (n->left || n->right) {
        struct itree_node *l = n->left, *r = n->right;
        turn_up(t, !r || (l && l->prio > r->prio) ? l : r);
    }
    *link_of(t, n) = NULL;
    for (struct itree_node *p = n->parent; p; p = p->parent)
        update(p);
}

/* search finds the first node of a subtree that meets [first, last]. Of the nodes that end late
 * enough the leftmost decides: if it begins too late, so do all after it. */
static struct itree_node *search(struct itree_node *n, uint64_t first, uint64_t last)
{
    while (n && n->last_max >= first) {
        if (n->left && n->left->last_max >= first) {
            n = n->left;
            continue;
        }
        if (n->first > last)
            return NULL;
        if (n->last >= first)
            return n;
        n = n->right;
    }
    return NULL;
}

struct itree_node *itree_first(const struct itree *t, uint64_t first, uint64_t last)
{
    return search(t->root, first, last);
}

struct itree_node *itree_next(struct itree_node *n, uint64_t first, uint64_t last)
{
    struct itree_node *below = n->right;
    for (;;) {
        if (below && below->last_max >= first)
            return search(below, first, last);
        const struct itree_node *from;
        do { /* up, until we come from a left side */
            from = n;
            n = n->parent;
            if (!n)
                return NULL;
        } while (from == n->right);
        if (n->first > last)
            return NULL;
        if (n->last >= first)
            return n;
        below = n->right;
    }
}

/* -- for the audit --------------------------------------------------------------------------- */

static const struct itree_node *leftmost(const struct itree_node *n)
{
    while (n->left)
        n = n->left;
    return n;
}

static const struct itree_node *successor(const struct itree_node *n)
{
    if (n->right)
        return leftmost(n->right);
    while (n->parent && n == n->parent->right)
        n = n->parent;
    return n->parent;
}

static bool child_right(const struct itree_node *n, const struct itree_node *child)
{
    return !child || (child->parent == n && child->prio <= n->prio);
}

int itree_audit(const struct itree *t)
{
    uint64_t before = 0;
    if (t->root && t->root->parent)
        return 3;
    for (const struct itree_node *n = t->root ? leftmost(t->root) : NULL; n; n = successor(n)) {
        struct itree_node copy = *n;
        update(&copy);
        if (n->first < before)
            return 1;
        if (copy.last_max != n->last_max)
            return 2;
        if (!child_right(n, n->left) || !child_right(n, n->right))
            return 3;
        before = n->first;
    }
    return 0;
}
