/* pt_audit must find every kind of damage. Each test plants one and names the invariant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pt/pt.h"

#define PHYS_BITS 46

/* Two pages 512 GiB apart, a 2 MiB and a 1 GiB page. */
struct scene {
    struct stat_set stats;
    struct phys *phys;
    struct pt t;
};
#define A GIB(1)
#define B (GIB(512) + GIB(1))
#define C GIB(2)
#define D GIB(5)

static pte *put(struct scene *s, uint64_t a, unsigned level, uint64_t bits)
{
    pte *e;
    unsigned made = 0;
    assert_int_equal(pt_lookup_alloc(&s->t, va(a), level, &e, &made), 0);
    *e = pte_make((pfn){UINT64_C(1) << 18}, bits);
    return e;
}

static int set_up(void **state)
{
    static struct scene s;
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = MIB(64);
    conf.phys_kernel_image = MIB(8);
    assert_int_equal(phys_open(&s.phys, &conf, &s.stats), 0);
    assert_int_equal(pt_open(&s.t, s.phys, &conf), 0);
    put(&s, A, 0, PTE_P | PTE_US);
    put(&s, B, 0, PTE_P | PTE_US);
    put(&s, C, 1, PTE_P | PTE_US | PTE_PS);
    put(&s, D, 2, PTE_P | PTE_US | PTE_PS);
    assert_int_equal(pt_audit(&s.t, PHYS_BITS), 0);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    phys_close(((struct scene *)*state)->phys);
    return 0;
}

static void test_table_with_two_parents_is_found(void **state)
{
    struct scene *s = *state;
    *pt_lookup(&s->t, va(B), 1) = *pt_lookup(&s->t, va(A), 1);
    assert_int_equal(pt_audit(&s->t, PHYS_BITS), 1);
}

static void test_entry_that_points_back_to_its_root_is_found(void **state)
{
    struct scene *s = *state;
    *pt_lookup(&s->t, va(A), 1) = pte_make(s->t.root, PT_TABLE_BITS);
    assert_int_equal(pt_audit(&s->t, PHYS_BITS), 1);
}

static void test_entry_that_points_to_no_table_is_found(void **state)
{
    struct scene *s = *state;
    pfn n;
    assert_int_equal(phys_alloc(s->phys, 0, GFP_USER, FRAME_USER_ANON, &n), 0);
    *pt_lookup(&s->t, va(A), 2) = pte_make(n, PT_TABLE_BITS);
    assert_int_equal(pt_audit(&s->t, PHYS_BITS), 1);
}

static void test_entry_that_points_beyond_memory_is_found(void **state)
{
    struct scene *s = *state;
    *pt_lookup(&s->t, va(A), 3) = pte_make((pfn){UINT64_C(1) << 30}, PT_TABLE_BITS);
    assert_int_equal(pt_audit(&s->t, PHYS_BITS), 1);
}

static void test_lost_subtree_is_found(void **state)
{
    struct scene *s = *state;
    *pt_lookup(&s->t, va(B), 3) = (pte){0};
    assert_int_equal(pt_audit(&s->t, PHYS_BITS), 2);
}

static void test_wrong_count_is_found_at_each_level(void **state)
{
    struct scene *s = *state;
    for (unsigned l = 0; l < 4; l++) {
        s->t.tables[l]++;
        assert_int_equal(pt_audit(&s->t, PHYS_BITS), 2);
        s->t.tables[l]--;
    }
    assert_int_equal(pt_audit(&s->t, PHYS_BITS), 0);
}

static void test_reserved_bits_are_found_at_each_level(void **state)
{
    struct scene *s = *state;
    const struct {
        uint64_t at;
        unsigned level, bit;
    } plant[] = {
        {A, 0, 46}, {A, 1, 51}, {A, 2, 47}, {A, 3, 50},
        {A, 3, 7},  {C, 1, 13}, {C, 1, 20}, {D, 2, 29},
    };
    for (unsigned i = 0; i < ARRAY_LEN(plant); i++) {
        pte *e = pt_lookup(&s->t, va(plant[i].at), plant[i].level), was = *e;
        e->v |= BIT(plant[i].bit);
        assert_int_equal(pt_audit(&s->t, PHYS_BITS), 3);
        *e = was;
        assert_int_equal(pt_audit(&s->t, PHYS_BITS), 0);
    }
}

static void test_entry_that_is_not_present_may_hold_any_bits(void **state)
{
    struct scene *s = *state;
    pt_lookup(&s->t, va(A), 0)->v = UINT64_MAX & ~PTE_P; /* a swap entry, say */
    assert_int_equal(pt_audit(&s->t, PHYS_BITS), 0);
}

int main(void)
{
#define AUDIT_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        AUDIT_TEST(test_table_with_two_parents_is_found),
        AUDIT_TEST(test_entry_that_points_back_to_its_root_is_found),
        AUDIT_TEST(test_entry_that_points_to_no_table_is_found),
        AUDIT_TEST(test_entry_that_points_beyond_memory_is_found),
        AUDIT_TEST(test_lost_subtree_is_found),
        AUDIT_TEST(test_wrong_count_is_found_at_each_level),
        AUDIT_TEST(test_reserved_bits_are_found_at_each_level),
        AUDIT_TEST(test_entry_that_is_not_present_may_hold_any_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
