/* test_vma_tree.c: the tree of VMAs against a sorted array that is searched from end to end: order,
 * lookup, gaps to both sides, after every kind of change. */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "mm/vma_tree.h"

#define PAGES 4096u

/* What lies at each page of a small space: the oracle. */
static struct vma *at[PAGES];
static struct vma_tree tree;
static struct rng rng;

static uint64_t pick(uint64_t n)
{
    return rng_below(&rng, n);
}

static uint64_t page(uint64_t a)
{
    return a / K;
}

static void paint(const struct vma *v, struct vma *what)
{
    for (uint64_t i = page(v->start.v); i < page(v->end.v); i++)
        at[i] = what;
}

static uint64_t free_pages(uint64_t from, uint64_t max)
{
    uint64_t n = 0;
    while (n < max && from + n < PAGES && !at[from + n])
        n++;
    return n;
}

static void make(uint64_t from, uint64_t pages)
{
    struct vma *v = calloc(1, sizeof(*v));
    assert_non_null(v);
    v->start = va(from * K);
    v->end = va((from + pages) * K);
    v->flags = pick(5) == 0 ? VM_GROWSDOWN : 0;
    vma_tree_insert(&tree, v);
    paint(v, v);
}

static void drop(struct vma *v)
{
    vma_tree_erase(&tree, v);
    paint(v, NULL);
    free(v);
}

/* Moves an end or the start of v by some pages that are free, or gives some up. */
static void resize(struct vma *v)
{
    uint64_t first = page(v->start.v), last = page(v->end.v), by = 1 + pick(4);
    paint(v, NULL);
    switch (pick(4)) {
    case 0:
        last += free_pages(last, by);
        break;
    case 1:
        last -= min_u64(by, last - first - 1);
        break;
    case 2:
        first += min_u64(by, last - first - 1);
        break;
    default:
        while (by-- > 0 && first > 0 && !at[first - 1])
            first--;
    }
    v->start = va(first * K);
    v->end = va(last * K);
    vma_tree_update(&tree, v);
    paint(v, v);
}

static void step(void)
{
    uint64_t i = pick(PAGES);
    if (at[i] && pick(3) == 0)
        drop(at[i]);
    else if (at[i])
        resize(at[i]);
    else
        make(i, 1 + pick(free_pages(i, 4)));
}

/* The naive answers: from page to page. */
static struct vma *find_at(uint64_t i)
{
    while (i < PAGES && !at[i])
        i++;
    return i < PAGES ? at[i] : NULL;
}

static uint64_t gap_of(const struct vma *v)
{
    uint64_t i = page(v->start.v), n = 0;
    while (i > n && !at[i - n - 1])
        n++;
    return n * K;
}

static void look_up(void)
{
    uint64_t i = pick(PAGES), len = (1 + pick(40)) * K;
    struct vma *v = find_at(i), *below = NULL, *above = NULL;
    assert_ptr_equal(vma_tree_find(&tree, i * K + pick(K)), v);
    for (uint64_t k = 0; k < PAGES; k++) {
        struct vma *w = at[k];
        if (!w || w == v || gap_of(w) < len)
            continue;
        if (!v || w->start.v < v->start.v)
            below = w;
        else if (!above)
            above = w;
    }
    assert_ptr_equal(vma_tree_gap_below(&tree, v, len), below);
    if (v)
        assert_ptr_equal(vma_tree_gap_above(&tree, v, len), above);
}

static void the_tree_answers_like_a_search_of_every_page(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        rng.state = seed;
        tree = (struct vma_tree){0};
        for (unsigned i = 0; i < 3000; i++) {
            step();
            if (i % 16 == 0)
                assert_true(vma_tree_valid(&tree));
            if (i % 8 == 0)
                look_up();
        }
        for (uint64_t i = 0; i < PAGES; i++)
            if (at[i])
                drop(at[i]);
        assert_true(vma_tree_valid(&tree));
        assert_null(tree.root);
    }
}

static void closing_frees_the_nodes_of_a_full_tree(void **state)
{
    (void)state;
    static struct vma many[5000];
    tree = (struct vma_tree){0};
    for (uint64_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = (struct vma){.start = va(2 * i * K), .end = va((2 * i + 1) * K)};
        vma_tree_insert(&tree, &many[i]);
    }
    assert_true(vma_tree_valid(&tree));
    vma_tree_close(&tree); /* the sanitizer builds see a leak */
    assert_int_equal(tree.nr, 0);
    assert_null(vma_tree_find(&tree, 0));
}

static void an_empty_tree_finds_nothing(void **state)
{
    (void)state;
    tree = (struct vma_tree){0};
    assert_null(vma_tree_find(&tree, 0));
    assert_null(vma_tree_gap_below(&tree, NULL, K));
    assert_true(vma_tree_valid(&tree));
}

/* Descending order is how top-down placement fills an address space. */
static void descending_and_ascending_inserts_stay_sorted(void **state)
{
    (void)state;
    static struct vma many[3000];
    for (int down = 0; down < 2; down++) {
        tree = (struct vma_tree){0};
        for (uint64_t i = 0; i < ARRAY_LEN(many); i++) {
            uint64_t n = down ? ARRAY_LEN(many) - i : i;
            many[i] = (struct vma){.start = va(n * K), .end = va((n + 1) * K)};
            vma_tree_insert(&tree, &many[i]);
        }
        assert_true(vma_tree_valid(&tree));
        for (uint64_t i = 0; i < ARRAY_LEN(many); i++)
            vma_tree_erase(&tree, &many[i]);
        assert_null(tree.root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_answers_like_a_search_of_every_page),
        cmocka_unit_test(closing_frees_the_nodes_of_a_full_tree),
        cmocka_unit_test(an_empty_tree_finds_nothing),
        cmocka_unit_test(descending_and_ascending_inserts_stay_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
