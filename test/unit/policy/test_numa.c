/* test_numa.c: arguments, names and choices of NUMA policies. Expectations: closed forms written
 * out, and where a line says "6.18" what the running kernel answered to the same call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/numa.h"

#include <errno.h>
#include <string.h>

static struct nodemask mask(uint64_t low)
{
    return (struct nodemask){{low}};
}

/* -- mask arguments -------------------------------------------------------------------------- */

static int get_nodes(const uint64_t *words, uint64_t words_nr, uint64_t maxnode, struct nodemask *m)
{
    struct nodemask_arg arg = {words, words_nr, maxnode};
    return numa_get_nodes(&arg, m);
}

static void a_mask_uses_one_bit_less_than_maxnode(void **state)
{
    (void)state;
    const uint64_t words[2] = {0x8000000000000007u, 1};
    struct nodemask m;
    assert_int_equal(get_nodes(words, 2, 1, &m), 0);
    assert_true(nodemask_empty(&m));
    assert_int_equal(get_nodes(words, 2, 2, &m), 0);
    assert_int_equal(m.w[0], 1);
    assert_int_equal(get_nodes(words, 2, 64, &m), 0);
    assert_int_equal(m.w[0], 7);
    assert_int_equal(get_nodes(words, 2, 66, &m), 0);
    assert_int_equal(m.w[0], words[0]);
    assert_int_equal(m.w[1], 1);
}

static void a_null_mask_is_empty_whatever_maxnode_says(void **state)
{
    (void)state;
    struct nodemask m = mask(5);
    assert_int_equal(get_nodes(NULL, 0, 0, &m), 0);
    assert_true(nodemask_empty(&m));
    assert_int_equal(get_nodes(NULL, 0, 1000000, &m), 0);
}

static void masks_of_no_bits_too_many_bits_or_high_bits_are_refused(void **state)
{
    (void)state;
    static uint64_t words[513];
    struct nodemask m = mask(5);
    memset(words, 0, sizeof(words));
    words[0] = 1;
    assert_int_equal(get_nodes(words, 513, 0, &m), -EINVAL); /* 6.18 */
    assert_int_equal(get_nodes(words, 513, 32769, &m), 0);
    assert_int_equal(get_nodes(words, 513, 32770, &m), -EINVAL);
    words[16] = BIT(63);
    assert_int_equal(get_nodes(words, 513, 1025, &m), 0);
    assert_int_equal(get_nodes(words, 513, 1026, &m), -EINVAL); /* the whole word counts: 6.18 */
    assert_int_equal(m.w[0], 1);
}

static void a_mask_that_ends_in_unreadable_memory_faults(void **state)
{
    (void)state;
    const uint64_t words[2] = {1, 0};
    struct nodemask m;
    assert_int_equal(get_nodes(words, 1, 65, &m), 0);
    assert_int_equal(get_nodes(words, 1, 66, &m), -EFAULT);
    assert_int_equal(get_nodes(words, 2, 2000, &m), -EFAULT);
    assert_int_equal(get_nodes(words, 0, 2, &m), -EFAULT);
}

/* -- modes and flags ------------------------------------------------------------------------- */

static int sanitize(int arg)
{
    int mode;
    uint16_t flags;
    return sanitize_mpol_flags(arg, &mode, &flags);
}

static void mode_arguments_split_into_mode_and_flags(void **state)
{
    (void)state;
    int mode = -1;
    uint16_t flags = 1;
    assert_int_equal(sanitize_mpol_flags(0x8002, &mode, &flags), 0);
    assert_int_equal(mode, MPOL_BIND);
    assert_int_equal(flags, MPOL_F_STATIC_NODES);
    assert_int_equal(sanitize(MPOL_MAX), -EINVAL);
    assert_int_equal(sanitize(-1), -EINVAL);
    assert_int_equal(sanitize(0x1002), -EINVAL);
    assert_int_equal(sanitize(0xc002), -EINVAL);
    assert_int_equal(sanitize(0x2002), 0);
    assert_int_equal(sanitize(0x2005), 0);
    assert_int_equal(sanitize(0x2003), -EINVAL); /* 6.18 */
    assert_int_equal(sanitize(0xa002), 0);       /* 6.18 */
}

static int make(int arg, uint64_t user, uint64_t allowed, struct mempolicy *p)
{
    struct nodemask m = mask(user);
    int mode;
    uint16_t flags;
    bool is_default;
    int err = sanitize_mpol_flags(arg, &mode, &flags);
    return err != 0 ? err : mpol_make(mode, flags, &m, allowed, p, &is_default);
}

static void modes_want_nodes_or_none(void **state)
{
    (void)state;
    struct mempolicy p;
    static const int with_nodes[] = {MPOL_BIND, MPOL_INTERLEAVE, MPOL_PREFERRED_MANY,
                                     MPOL_WEIGHTED_INTERLEAVE};
    for (unsigned i = 0; i < ARRAY_LEN(with_nodes); i++) {
        assert_int_equal(make(with_nodes[i], 0, 1, &p), -EINVAL);
        assert_int_equal(make(with_nodes[i], 1, 1, &p), 0);
    }
    assert_int_equal(make(MPOL_DEFAULT, 0, 1, &p), 0);
    assert_int_equal(make(MPOL_DEFAULT, 1, 1, &p), -EINVAL);
    assert_int_equal(make(MPOL_LOCAL, 0, 1, &p), 0);
    assert_int_equal(make(MPOL_LOCAL, 1, 1, &p), -EINVAL);
    assert_int_equal(make(MPOL_LOCAL | 0x8000, 0, 1, &p), -EINVAL);
    assert_int_equal(make(MPOL_PREFERRED, 0, 1, &p), 0);
    assert_int_equal(p.mode, MPOL_LOCAL);
    assert_int_equal(make(MPOL_PREFERRED | 0x8000, 0, 1, &p), -EINVAL); /* 6.18 */
    assert_int_equal(make(MPOL_PREFERRED | 0x4000, 0, 1, &p), -EINVAL);
}

static void nodes_outside_the_machine_are_dropped_and_none_left_is_an_error(void **state)
{
    (void)state;
    struct mempolicy p;
    assert_int_equal(make(MPOL_BIND, 2, 1, &p), -EINVAL);
    assert_int_equal(make(MPOL_BIND, 3, 1, &p), 0);
    assert_int_equal(p.nodes, 1);
    assert_int_equal(make(MPOL_PREFERRED, 6, 7, &p), 0);
    assert_int_equal(p.nodes, 2); /* the first one */
    assert_int_equal(make(MPOL_PREFERRED | 0x8000, 2, 1, &p), -EINVAL);
}

static void relative_nodes_fold_modulo_the_number_of_nodes(void **state)
{
    (void)state;
    struct mempolicy p;
    assert_int_equal(make(0x4003, 2, 1, &p), 0); /* node 1 of 1 is node 0: 6.18 */
    assert_int_equal(p.nodes, 1);
    assert_int_equal(make(0x4002, BIT(0) | BIT(3), BIT(4) | BIT(6), &p), 0);
    assert_int_equal(p.nodes, BIT(4) | BIT(6));
    assert_int_equal(make(0x4002, BIT(5), BIT(1) | BIT(4) | BIT(6), &p), 0);
    assert_int_equal(p.nodes, BIT(6)); /* 5 mod 3 = 2: the third */
}

static void only_policies_with_flags_remember_what_was_asked(void **state)
{
    (void)state;
    struct mempolicy a, b;
    make(MPOL_BIND, 3, 1, &a);
    make(MPOL_BIND, 5, 1, &b);
    assert_true(mpol_equal(&a, &b));
    make(0x8002, 3, 1, &a);
    make(0x8002, 5, 1, &b);
    assert_false(mpol_equal(&a, &b));
    make(0x8002, 3, 1, &b);
    assert_true(mpol_equal(&a, &b));
    b.home_node = 0;
    assert_false(mpol_equal(&a, &b));
    assert_false(mpol_equal(&a, NULL));
    assert_true(mpol_equal(NULL, NULL));
}

static void policies_print_as_numa_maps_shows_them(void **state)
{
    (void)state;
    static const struct {
        int arg;
        uint64_t user, allowed;
        const char *text;
    } rows[] = {
        {MPOL_BIND, 1, 1, "bind:0"},
        {0x2002, 1, 1, "bind=balancing:0"},          /* 6.18 */
        {0xa002, 1, 1, "bind=static|balancing:0"},   /* 6.18 */
        {0x2005, 1, 1, "prefer (many)=balancing:0"}, /* 6.18 */
        {MPOL_LOCAL, 0, 1, "local"},                 /* 6.18 */
        {6, 1, 1, "weighted interleave:0"},          /* 6.18 */
        {0x4003, 2, 1, "interleave=relative:0"},
        {0x6002, 1, 1, "bind=relative|balancing:0"},
        {MPOL_PREFERRED, 4, 7, "prefer:2"},
        {MPOL_INTERLEAVE, 0x37, 0xff, "interleave:0-2,4-5"},
        {MPOL_BIND, 0x25, 0xff, "bind:0,2,5"},
        {MPOL_BIND, UINT64_MAX, UINT64_MAX, "bind:0-63"},
    };
    char text[MPOL_STR_LEN];
    struct mempolicy p;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(make(rows[i].arg, rows[i].user, rows[i].allowed, &p), 0);
        mpol_to_str(&p, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
    mpol_to_str(NULL, text, sizeof(text));
    assert_string_equal(text, "default");
    mpol_to_str(&p, text, 8);
    assert_string_equal(text, "bind:0-");
}

/* -- choices --------------------------------------------------------------------------------- */

static void interleaving_takes_the_index_modulo_the_nodes(void **state)
{
    (void)state;
    const unsigned want[3] = {1, 4, 6};
    for (uint64_t i = 0; i < 9; i++)
        assert_int_equal(interleave_nid(BIT(1) | BIT(4) | BIT(6), i), want[i % 3]);
    assert_int_equal(mpol_ilx(7, 0x1234, 5 << 12, 0), 7 + 0x1234 + 5);
    assert_int_equal(mpol_ilx(0, 0x1234, 5 << 21, 9), (0x1234 >> 9) + 5);
}

static void weighted_interleaving_gives_each_node_its_weight_of_a_round(void **state)
{
    (void)state;
    const uint8_t weights[NUMA_NODES] = {3, 0, 1, 2};
    const unsigned want[6] = {0, 0, 0, 2, 3, 3};
    for (uint64_t i = 0; i < 18; i++)
        assert_int_equal(weighted_interleave_nid(BIT(0) | BIT(2) | BIT(3), weights, i),
                         want[i % 6]);
}

static void interleaving_without_an_index_goes_round_and_round(void **state)
{
    (void)state;
    struct interleave il = {.prev = MAX_NUMNODES - 1};
    const uint64_t nodes = BIT(0) | BIT(2) | BIT(63);
    const unsigned want[4] = {0, 2, 63, 0};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(interleave_nodes(&il, nodes), want[i]);
}

static void weighted_interleaving_without_an_index_stays_for_the_weight(void **state)
{
    (void)state;
    const uint8_t weights[NUMA_NODES] = {2, 3};
    struct interleave il = {.prev = MAX_NUMNODES - 1};
    const unsigned want[7] = {0, 0, 1, 1, 1, 0, 0};
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(weighted_interleave_nodes(&il, 3, weights), want[i]);
    il = (struct interleave){.prev = 1, .weight = 2};
    assert_int_equal(weighted_interleave_nodes(&il, 1, weights), 0); /* 1 is no longer allowed */
}

static void bandwidths_become_weights_divided_by_their_gcd(void **state)
{
    (void)state;
    uint8_t w[NUMA_NODES];
    /* w = max(1, 32 * bw / sum), then / gcd */
    numa_weights(3, (const uint32_t[NUMA_NODES]){300, 100}, w);
    assert_int_equal(w[0], 3); /* 24 : 8 */
    assert_int_equal(w[1], 1);
    numa_weights(3, (const uint32_t[NUMA_NODES]){100, 100}, w);
    assert_int_equal(w[0] * 10 + w[1], 11);
    numa_weights(7, (const uint32_t[NUMA_NODES]){204800, 51200, 0}, w);
    assert_int_equal(w[0], 25); /* 25 : 6 : 1 */
    assert_int_equal(w[1], 6);
    assert_int_equal(w[2], 1);
    numa_weights(1, (const uint32_t[NUMA_NODES]){0}, w);
    assert_int_equal(w[0], 1); /* 6.18: one node, weight 1 */
}

/* -- order of nodes -------------------------------------------------------------------------- */

static void orders_of_nodes(unsigned nr, const uint8_t *distance, uint64_t cpus, const char *want)
{
    uint8_t order[64];
    char text[128] = "";
    numa_node_order(nr, distance, cpus, order);
    for (unsigned i = 0, at = 0; i < nr * nr; i++) {
        text[at++] = (char)('0' + order[i]);
        if (i % nr == nr - 1)
            text[at++] = ' ';
        text[at] = '\0';
    }
    assert_string_equal(text, want);
}

static void nodes_are_tried_from_near_to_far(void **state)
{
    (void)state;
    static const uint8_t two[] = {10, 20, 20, 10};
    orders_of_nodes(1, two, 1, "0 ");
    orders_of_nodes(2, two, 3, "01 10 ");
    /* A ring of four: neighbours at 20, opposite at 30. For 0: 1 and 3 cost 21 * 1024 each, 1 is
     * first and gets load 1; then 3, then 2 (first of the group at 30). For 1: node 0 costs one
     * more for lying before, so 2; then 0 and 3. For 2: 1 costs one more, so 3 … */
    static const uint8_t ring[] = {10, 20, 30, 20, 20, 10, 20, 30, 30, 20, 10, 20, 20, 30, 20, 10};
    orders_of_nodes(4, ring, 15, "0132 1203 2310 3021 ");
}

static void equally_near_nodes_take_turns_at_being_second(void **state)
{
    (void)state;
    /* All at distance 20. For 0: 1 (load[1] = 1), 2, 3. For 1: 2 and 3 before 0; load[2] = 1, then
     * 3, then 0. For 2: 3 (load[3] = 1), then 0 (before us, load 0), then 1 (load 1).
     * For 3: all before us: 0 (load 0), then 1 and 2 with load 1 each: 1, 2. */
    static const uint8_t all[] = {10, 20, 20, 20, 20, 10, 20, 20, 20, 20, 10, 20, 20, 20, 20, 10};
    orders_of_nodes(4, all, 15, "0123 1230 2301 3012 ");
}

static void a_node_without_cpus_is_preferred_at_equal_distance(void **state)
{
    (void)state;
    static const uint8_t all[] = {10, 20, 20, 20, 10, 20, 20, 20, 10};
    orders_of_nodes(3, all, 3, "021 120 201 ");
}

/* -- migrate_pages --------------------------------------------------------------------------- */

static void steps(uint64_t from, uint64_t to, const char *want)
{
    char text[64] = "";
    unsigned at = 0, s, d;
    for (uint64_t tmp = from; numa_migrate_step(from, to, &tmp, &s, &d);) {
        text[at++] = (char)('0' + s);
        text[at++] = (char)('0' + d);
        text[at++] = ' ';
        text[at] = '\0';
    }
    assert_string_equal(text, want);
}

static void migration_moves_pages_away_before_others_arrive(void **state)
{
    (void)state;
    steps(1, 1, "");
    steps(1, 2, "01 ");
    steps(3, 6, "12 01 ");
    steps(3, 3, "");
    /* The examples beside do_migrate_pages: [2,3,4] to [3,4,5] moves everything, [0-7] to [3,4,5]
     * only 0, 1, 2, 6, 7 (the seventh of from is 7 mod 3 = 1, the second of to). */
    steps(0x1c, 0x38, "45 34 23 ");
    steps(0xff, 0x38, "74 63 25 14 03 ");
}

static void remapping_keeps_the_place_modulo_the_size(void **state)
{
    (void)state;
    assert_int_equal(node_remap(3, 0x0e, 0x30), 4); /* third of from: 2 mod 2 = 0 */
    assert_int_equal(node_remap(2, 0x0e, 0x30), 5);
    assert_int_equal(node_remap(0, 0x0e, 0x30), 0);
    assert_int_equal(node_remap(1, 0x0e, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mask_uses_one_bit_less_than_maxnode),
        cmocka_unit_test(a_null_mask_is_empty_whatever_maxnode_says),
        cmocka_unit_test(masks_of_no_bits_too_many_bits_or_high_bits_are_refused),
        cmocka_unit_test(a_mask_that_ends_in_unreadable_memory_faults),
        cmocka_unit_test(mode_arguments_split_into_mode_and_flags),
        cmocka_unit_test(modes_want_nodes_or_none),
        cmocka_unit_test(nodes_outside_the_machine_are_dropped_and_none_left_is_an_error),
        cmocka_unit_test(relative_nodes_fold_modulo_the_number_of_nodes),
        cmocka_unit_test(only_policies_with_flags_remember_what_was_asked),
        cmocka_unit_test(policies_print_as_numa_maps_shows_them),
        cmocka_unit_test(interleaving_takes_the_index_modulo_the_nodes),
        cmocka_unit_test(weighted_interleaving_gives_each_node_its_weight_of_a_round),
        cmocka_unit_test(interleaving_without_an_index_goes_round_and_round),
        cmocka_unit_test(weighted_interleaving_without_an_index_stays_for_the_weight),
        cmocka_unit_test(bandwidths_become_weights_divided_by_their_gcd),
        cmocka_unit_test(nodes_are_tried_from_near_to_far),
        cmocka_unit_test(equally_near_nodes_take_turns_at_being_second),
        cmocka_unit_test(a_node_without_cpus_is_preferred_at_equal_distance),
        cmocka_unit_test(migration_moves_pages_away_before_others_arrive),
        cmocka_unit_test(remapping_keeps_the_place_modulo_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
