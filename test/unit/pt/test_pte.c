/* The bits of an entry against the tables of the SDM (vol. 3A, tables 4-14 to 4-20, figure 4-11). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pt/arch.h"
#include "pt/pt.h"

static void test_bits_stand_where_the_manual_draws_them(void **state)
{
    (void)state;
    assert_int_equal(PTE_P, 0x1);
    assert_int_equal(PTE_RW, 0x2);
    assert_int_equal(PTE_US, 0x4);
    assert_int_equal(PTE_PWT, 0x8);
    assert_int_equal(PTE_PCD, 0x10);
    assert_int_equal(PTE_A, 0x20);
    assert_int_equal(PTE_D, 0x40);
    assert_int_equal(PTE_PS, 0x80);
    assert_int_equal(PTE_G, 0x100);
    assert_int_equal(PTE_NX, UINT64_C(1) << 63);
    assert_int_equal(PT_TABLE_BITS, 0x67); /* Linux _PAGE_TABLE */
}

static void test_address_is_bits_12_to_51(void **state)
{
    (void)state;
    assert_int_equal(pte_pfn((pte){UINT64_C(0xffffffffffffffff)}).v, UINT64_C(0xffffffffff));
    assert_int_equal(pte_pfn((pte){UINT64_C(0x8000123456789fff)}).v, UINT64_C(0x123456789));
    assert_int_equal(pte_make((pfn){0x12345}, PTE_P | PTE_NX).v, UINT64_C(0x8000000012345001));
    /* bit 12 of a huge leaf is the PAT, not address */
    assert_int_equal(pte_leaf_pfn((pte){0x40201000 | PTE_PS | PTE_P}, 1).v, 0x40200);
    assert_int_equal(pte_leaf_pfn((pte){0x40001000 | PTE_PS | PTE_P}, 2).v, 0x40000);
    assert_int_equal(pte_leaf_pfn((pte){0x40201000 | PTE_P}, 0).v, 0x40201);
}

static void test_index_takes_nine_bits_per_level(void **state)
{
    (void)state;
    vaddr a = va((UINT64_C(5) << 48) | (UINT64_C(1) << 39) | (UINT64_C(2) << 30) |
                 (UINT64_C(511) << 21) | (UINT64_C(3) << 12) | 0xabc);
    assert_int_equal(pt_index(a, 4), 5);
    assert_int_equal(pt_index(a, 3), 1);
    assert_int_equal(pt_index(a, 2), 2);
    assert_int_equal(pt_index(a, 1), 511);
    assert_int_equal(pt_index(a, 0), 3);
}

static void test_leaf_is_level_0_or_ps_at_levels_1_and_2(void **state)
{
    (void)state;
    const pte plain = {PTE_P}, huge = {PTE_P | PTE_PS};
    const bool want_plain[] = {true, false, false, false, false};
    const bool want_huge[] = {true, true, true, false, false};
    for (unsigned l = 0; l < 5; l++) {
        assert_int_equal(pte_is_leaf(plain, l), want_plain[l]);
        assert_int_equal(pte_is_leaf(huge, l), want_huge[l]);
    }
}

/* Each bit alone, with and without PS: reserved exactly where the manual's table says so. */
static void test_reserved_bits_are_those_of_the_manual(void **state)
{
    (void)state;
    const unsigned widths[] = {36, 46, 52};
    for (unsigned w = 0; w < 3; w++)
        for (unsigned level = 0; level < 5; level++)
            for (unsigned gib = 0; gib < 2; gib++)
                for (unsigned ps = 0; ps < 2; ps++)
                    for (unsigned b = 0; b < 64; b++) {
                        uint64_t e = PTE_P | (ps ? PTE_PS : 0) | BIT(b);
                        bool has_ps = e & PTE_PS;
                        uint64_t want = b >= widths[w] && b <= 51 ? BIT(b) : 0;
                        if (level >= 3 && has_ps)
                            want |= PTE_PS;
                        if (level == 2 && has_ps && !gib)
                            want |= PTE_PS;
                        if (level == 2 && has_ps && gib && b >= 13 && b <= 29)
                            want |= BIT(b);
                        if (level == 1 && has_ps && b >= 13 && b <= 20)
                            want |= BIT(b);
                        assert_int_equal(pte_reserved((pte){e}, level, widths[w], gib), want);
                    }
}

static void test_canonical_addresses_have_equal_top_bits(void **state)
{
    (void)state;
    assert_true(vaddr_canonical(va(0x00007fffffffffff), 4));
    assert_false(vaddr_canonical(va(0x0000800000000000), 4));
    assert_false(vaddr_canonical(va(0xffff7fffffffffff), 4));
    assert_true(vaddr_canonical(va(0xffff800000000000), 4));
    assert_true(vaddr_canonical(va(0x00ffffffffffffff), 5));
    assert_false(vaddr_canonical(va(0x0100000000000000), 5));
    assert_true(vaddr_canonical(va(0xff00000000000000), 5));
}

/* -- the outbox */

static void test_outbox_keeps_order_and_contents_while_it_grows(void **state)
{
    (void)state;
    struct arch_outbox o;
    assert_int_equal(arch_outbox_open(&o), 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 10000; i++)
            arch_send(&o, (enum arch_kind)(i % 5), i % 31, i * UINT64_C(0x100000001), ~(uint64_t)i);
        assert_int_equal(o.n, 10000);
        for (unsigned i = 0; i < 10000; i++) {
            assert_int_equal(o.msg[i].kind, i % 5);
            assert_int_equal(o.msg[i].n, i % 31);
            assert_int_equal(o.msg[i].a, i * UINT64_C(0x100000001));
            assert_int_equal(o.msg[i].b, ~(uint64_t)i);
        }
        o.n = 0; /* drained */
    }
    arch_step(&o, STEP_ZAP, 12);
    assert_int_equal(o.n, 1);
    assert_int_equal(o.msg[0].kind, ARCH_STEP);
    assert_int_equal(o.msg[0].n, STEP_ZAP);
    assert_int_equal(o.msg[0].a, 12);
    arch_outbox_close(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_stand_where_the_manual_draws_them),
        cmocka_unit_test(test_address_is_bits_12_to_51),
        cmocka_unit_test(test_index_takes_nine_bits_per_level),
        cmocka_unit_test(test_leaf_is_level_0_or_ps_at_levels_1_and_2),
        cmocka_unit_test(test_reserved_bits_are_those_of_the_manual),
        cmocka_unit_test(test_canonical_addresses_have_equal_top_bits),
        cmocka_unit_test(test_outbox_keeps_order_and_contents_while_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
