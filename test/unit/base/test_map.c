/* A map against the plainest oracle there is: a list searched from the front. */
#include "base/map.h"
#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define KEYS 300

struct list {
    bool there[KEYS];
    uint64_t value[KEYS];
    size_t used;
};

/* Keys that collide: few of them, some equal in all low bits, both ends of the range. */
static uint64_t key_of(unsigned i)
{
    return i == 0 ? 0 : i == 1 ? UINT64_MAX - 1 : i % 2 ? i : (uint64_t)i << 40;
}

static void one_step(struct map *m, struct list *l, struct rng *r)
{
    unsigned i = (unsigned)rng_below(r, KEYS);
    if (rng_below(r, 3) == 0) {
        assert_int_equal(map_del(m, key_of(i)), l->there[i]);
        l->used -= l->there[i];
        l->there[i] = false;
        return;
    }
    l->value[i] = rng_next(r);
    l->used += !l->there[i];
    l->there[i] = true;
    assert_int_equal(map_put(m, key_of(i), l->value[i]), 0);
}

static void assert_same(const struct map *m, const struct list *l)
{
    assert_int_equal(map_audit(m), 0);
    assert_int_equal(m->used, l->used);
    for (unsigned i = 0; i < KEYS; i++) {
        const uint64_t *v = map_find(m, key_of(i));
        assert_int_equal(v != NULL, l->there[i]);
        if (v)
            assert_int_equal(*v, l->value[i]);
    }
}

static void map_equals_a_list_after_every_random_put_and_delete(void **state)
{
    struct rng r = {.state = 42};
    struct list l = {0};
    struct map m;
    (void)state;
    map_init(&m);
    for (int i = 0; i < 3000; i++) {
        one_step(&m, &l, &r);
        assert_same(&m, &l);
    }
    map_free(&m);
}

static void walk_meets_every_entry_once(void **state)
{
    struct map m = {0};
    uint64_t sum = 0, n = 0;
    size_t pos = 0;
    (void)state;
    for (uint64_t k = 1; k <= 1000; k++)
        assert_int_equal(map_put(&m, k, 2 * k), 0);
    for (const struct map_slot *s; (s = map_next(&m, &pos)); n++) {
        assert_int_equal(s->value, 2 * s->key);
        sum += s->key;
    }
    assert_int_equal(n, 1000);
    assert_int_equal(sum, 1000 * 1001 / 2);
    map_free(&m);
}

static void empty_map_finds_nothing_and_deletes_nothing(void **state)
{
    struct map m;
    size_t pos = 0;
    (void)state;
    map_init(&m);
    assert_null(map_find(&m, 0));
    assert_false(map_del(&m, 7));
    assert_null(map_next(&m, &pos));
    assert_int_equal(map_audit(&m), 0);
    assert_int_equal(map_put(&m, 1, 1), 0);
    assert_null(map_find(&m, MAP_NONE));
    assert_false(map_del(&m, MAP_NONE));
    map_free(&m);
}

static void at_keeps_an_old_value_and_stores_a_new_one(void **state)
{
    struct map m = {0};
    (void)state;
    *map_at(&m, 5, 10) += 1;
    *map_at(&m, 5, 10) += 1;
    assert_int_equal(*map_find(&m, 5), 12);
    map_free(&m);
}

static void audit_sees_an_entry_out_of_reach_of_its_home(void **state)
{
    struct map m = {0};
    (void)state;
    assert_int_equal(map_put(&m, 9, 1), 0);
    size_t home = (size_t)mix64(9) & m.mask;
    m.slots[(home + 2) & m.mask] = m.slots[home];
    m.slots[home].key = MAP_NONE;
    assert_int_equal(map_audit(&m), 2);
    map_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_equals_a_list_after_every_random_put_and_delete),
        cmocka_unit_test(walk_meets_every_entry_once),
        cmocka_unit_test(empty_map_finds_nothing_and_deletes_nothing),
        cmocka_unit_test(at_keeps_an_old_value_and_stores_a_new_one),
        cmocka_unit_test(audit_sees_an_entry_out_of_reach_of_its_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
