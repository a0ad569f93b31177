/* test_itree.c: the interval tree against a list that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/itree.h"
#include "base/rng.h"

#include <stdlib.h>

#define NODES 300u

/* The naive list: a row is in use or not. */
struct row {
    struct itree_node node;
    uint64_t made; /* when it was inserted; 0 = not in the tree */
};

static struct row rows[NODES];

static bool meets(const struct row *r, uint64_t first, uint64_t last)
{
    return r->made && r->node.first <= last && r->node.last >= first;
}

/* after: the row that comes next in order of (first, made) among those that meet the interval. */
static const struct row *after(const struct row *from, uint64_t first, uint64_t last)
{
    const struct row *best = NULL;
    for (unsigned i = 0; i < NODES; i++) {
        const struct row *r = &rows[i];
        if (!meets(r, first, last))
            continue;
        if (from && (r->node.first < from->node.first ||
                     (r->node.first == from->node.first && r->made <= from->made)))
            continue;
        if (!best || r->node.first < best->node.first ||
            (r->node.first == best->node.first && r->made < best->made))
            best = r;
    }
    return best;
}

static void compare(const struct itree *t, uint64_t first, uint64_t last)
{
    const struct row *want = after(NULL, first, last);
    for (struct itree_node *n = itree_first(t, first, last); n; n = itree_next(n, first, last)) {
        assert_ptr_equal(n, &want->node);
        want = after(want, first, last);
    }
    assert_null(want);
}

static void finds_what_a_list_finds_in_the_same_order(void **state)
{
    struct itree t = {0};
    struct rng rng = {7};
    (void)state;
    for (uint64_t step = 1; step < 6000; step++) {
        struct row *r = &rows[rng_below(&rng, NODES)];
        uint64_t first = rng_below(&rng, 1000), len = rng_below(&rng, step % 7 ? 20 : 500);
        if (r->made) {
            itree_remove(&t, &r->node);
            r->made = 0;
        } else {
            itree_insert(&t, &r->node, first, first + len);
            r->made = step;
        }
        assert_int_equal(itree_audit(&t), 0);
        first = rng_below(&rng, 1100);
        compare(&t, first, first + rng_below(&rng, 50));
    }
}

static void an_empty_tree_holds_nothing(void **state)
{
    struct itree t = {0};
    (void)state;
    assert_null(itree_first(&t, 0, UINT64_MAX));
    assert_int_equal(itree_audit(&t), 0);
}

static void ends_are_part_of_an_interval(void **state)
{
    struct itree t = {0};
    struct itree_node n;
    (void)state;
    itree_insert(&t, &n, 10, 20);
    assert_null(itree_first(&t, 0, 9));
    assert_ptr_equal(itree_first(&t, 0, 10), &n);
    assert_ptr_equal(itree_first(&t, 20, UINT64_MAX), &n);
    assert_null(itree_first(&t, 21, UINT64_MAX));
}

static void the_audit_sees_each_broken_invariant(void **state)
{
    struct itree t = {0};
    struct itree_node a, b;
    (void)state;
    itree_insert(&t, &a, 1, 2);
    itree_insert(&t, &b, 5, 6);
    struct itree_node *leaf = t.root == &a ? &b : &a;
    uint64_t first = leaf->first;
    leaf->first = leaf == &a ? 9 : 0;
    assert_int_equal(itree_audit(&t), 1);
    leaf->first = first;
    t.root->last_max++;
    assert_int_equal(itree_audit(&t), 2);
    t.root->last_max--;
    leaf->prio = t.root->prio + 1;
    assert_int_equal(itree_audit(&t), 3);
}

/* A tree of sorted insertions must not become a list. */
static void stays_shallow_when_filled_in_order(void **state)
{
    struct itree t = {0};
    struct itree_node *nodes = calloc(100000, sizeof(*nodes));
    unsigned depth_max = 0;
    (void)state;
    for (uint64_t i = 0; i < 100000; i++)
        itree_insert(&t, &nodes[i], i, i);
    for (uint64_t i = 0; i < 100000; i += 97) {
        unsigned depth = 0;
        for (const struct itree_node *n = &nodes[i]; n; n = n->parent)
            depth++;
        depth_max = depth > depth_max ? depth : depth_max;
    }
    assert_in_range(depth_max, 1, 60); /* about 2.5 × log2(100000) = 42 is usual of a treap */
    free(nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_list_finds_in_the_same_order),
        cmocka_unit_test(an_empty_tree_holds_nothing),
        cmocka_unit_test(ends_are_part_of_an_interval),
        cmocka_unit_test(the_audit_sees_each_broken_invariant),
        cmocka_unit_test(stays_shallow_when_filled_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
