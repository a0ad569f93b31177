/* Page tables by rule: how many tables a mapping takes, what look-ups find, what an unmap frees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/rng.h"
#include "pt/pt.h"

#define LEAF (PTE_P | PTE_RW | PTE_US | PTE_NX)

static struct stat_set stats;

/* A machine with one address space. */
struct space {
    struct phys *phys;
    struct pt t;
};

static void space_open(struct space *s, unsigned levels, uint64_t size)
{
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = size;
    conf.phys_kernel_image = MIB(8);
    conf.mmu_levels = levels;
    assert_int_equal(phys_open(&s->phys, &conf, &stats), 0);
    assert_int_equal(pt_open(&s->t, s->phys, &conf), 0);
}

static void space_close(struct space *s)
{
    pt_close(&s->t);
    assert_int_equal(phys_owner_frames(s->phys, FRAME_PAGE_TABLE), 0);
    assert_int_equal(phys_audit(s->phys), 0);
    phys_close(s->phys);
}

/* map writes a leaf; returns how many tables it took. */
static unsigned map(struct space *s, uint64_t a, unsigned level)
{
    pte *e = NULL;
    unsigned made = 0;
    assert_int_equal(pt_lookup_alloc(&s->t, va(a), level, &e, &made), 0);
    *e = pte_make((pfn){align_down(a >> 12, BIT(9 * level)) & 0xfffff},
                  LEAF | (level > 0 ? PTE_PS : 0));
    return made;
}

static void clear(struct space *s, uint64_t a, unsigned level)
{
    pte *e = pt_lookup(&s->t, va(a), level);
    assert_non_null(e);
    *e = (pte){0};
}

static uint64_t tables(const struct space *s)
{
    uint64_t n = 0;
    for (unsigned l = 0; l < PT_LEVELS_MAX; l++)
        n += s->t.tables[l];
    assert_int_equal(n, phys_owner_frames(s->phys, FRAME_PAGE_TABLE));
    return n;
}

/* -- how many tables */

/* Measured on Linux: VmPTE grows by 12, 8, 4, 12 kB. */
static void test_reads_far_apart_add_12_8_4_and_12_kb(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct space s;
        space_open(&s, levels, MIB(64));
        assert_int_equal(pt_bytes(&s.t), 0);
        const uint64_t base = GIB(512) * 3, at[] = {0, GIB(1), GIB(1) + MIB(2), GIB(512)};
        const uint64_t adds[] = {12, 8, 4, 12};
        for (unsigned i = 0; i < 4; i++) {
            uint64_t before = pt_bytes(&s.t);
            map(&s, base + at[i], 0);
            assert_int_equal(pt_bytes(&s.t) - before, KIB(adds[i]));
        }
        assert_int_equal(pt_audit(&s.t, 46), 0);
        space_close(&s);
    }
}

static void test_first_page_takes_one_table_per_level_below_the_root(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++)
        for (unsigned leaf = 0; leaf <= 2; leaf++) {
            struct space s;
            space_open(&s, levels, MIB(64));
            assert_int_equal(tables(&s), 1);
            assert_int_equal(map(&s, GIB(7), leaf), levels - 1 - leaf);
            assert_int_equal(map(&s, GIB(7), leaf), 0);
            for (unsigned l = 0; l < levels; l++)
                assert_int_equal(s.t.tables[l], l >= leaf);
            space_close(&s);
        }
}

/* A run of n pages from an aligned start: ceil(n/512) + ceil(n/512^2) + ceil(n/512^3) + root. */
static void test_dense_run_takes_as_many_tables_as_the_closed_form(void **state)
{
    (void)state;
    const uint64_t runs[] = {1, 512, 513, 5000, 262144, 262145, 300000};
    for (unsigned i = 0; i < ARRAY_LEN(runs); i++) {
        struct space s;
        space_open(&s, 4, MIB(64));
        for (uint64_t n = 0; n < runs[i]; n++)
            map(&s, GIB(512) + n * 4096, 0);
        uint64_t want = div_up(runs[i], 512) + div_up(runs[i], 512 * 512) + 1;
        assert_int_equal(pt_bytes(&s.t), want * 4096);
        assert_int_equal(tables(&s), want + 1);
        assert_int_equal(pt_audit(&s.t, 46), 0);
        space_close(&s);
    }
}

/* -- look-ups */

static void test_lookup_finds_the_entry_bytes_of_each_level(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct space s;
        space_open(&s, levels, MIB(64));
        vaddr a = va(UINT64_C(0x00007a5a5a5a5000));
        assert_ptr_equal(pt_lookup(&s.t, a, levels - 1),
                         &phys_table(s.phys, s.t.root)[pt_index(a, levels - 1)]);
        assert_null(pt_lookup(&s.t, a, levels - 2));
        assert_int_equal(pt_entry_paddr(&s.t, a, levels - 2).v, 0);
        map(&s, a.v, 0);
        pfn table = s.t.root;
        for (unsigned l = levels; l-- > 0;) {
            pte *want = &phys_table(s.phys, table)[pt_index(a, l)];
            assert_ptr_equal(pt_lookup(&s.t, a, l), want);
            assert_int_equal(pt_entry_paddr(&s.t, a, l).v, table.v * 4096 + pt_index(a, l) * 8);
            if (l > 0)
                assert_int_equal(want->v & ~PTE_ADDR_MASK, 0x67);
            table = pte_pfn(*want);
        }
        space_close(&s);
    }
}

static void test_larger_page_hides_the_levels_below_it(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 2; level++)
        for (unsigned prot_none = 0; prot_none < 2; prot_none++) {
            struct space s;
            space_open(&s, 4, MIB(64));
            map(&s, GIB(9), level);
            pte *huge = pt_lookup(&s.t, va(GIB(9)), level);
            if (prot_none)
                huge->v = (huge->v & ~PTE_P) | PTE_PROTNONE;
            uint64_t before = tables(&s);
            pte *e = huge;
            unsigned made = 40, found = 9;
            assert_null(pt_lookup(&s.t, va(GIB(9) + 4096), level - 1));
            assert_int_equal(pt_entry_paddr(&s.t, va(GIB(9)), level - 1).v, 0);
            assert_int_equal(pt_lookup_alloc(&s.t, va(GIB(9) + 4096), 0, &e, &made), -EEXIST);
            assert_ptr_equal(e, huge);
            assert_int_equal(made, 40);
            assert_int_equal(tables(&s), before);
            assert_ptr_equal(pt_leaf(&s.t, va(GIB(9) + 0x1234), &found), huge);
            assert_int_equal(found, level);
            space_close(&s);
        }
}

static void test_leaf_is_found_when_not_present_but_not_none(void **state)
{
    (void)state;
    struct space s;
    space_open(&s, 4, MIB(64));
    unsigned level = 77;
    assert_null(pt_leaf(&s.t, va(0x400000), &level)); /* no tables at all */
    map(&s, 0x400000, 0);
    assert_null(pt_leaf(&s.t, va(0x401000), &level)); /* a none entry */
    assert_int_equal(level, 77);
    pte *e = pt_lookup(&s.t, va(0x401000), 0);
    *e = pte_make((pfn){5}, PTE_PROTNONE);
    assert_ptr_equal(pt_leaf(&s.t, va(0x401fff), &level), e);
    assert_int_equal(level, 0);
    space_close(&s);
}

static void test_next_skips_to_each_mapped_page_in_order(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct space s;
        space_open(&s, levels, MIB(64));
        const uint64_t at[] = {0x1000,        0x1ff000,        0x200000,
                               GIB(1) - 4096, GIB(1),          GIB(512) - 4096,
                               GIB(513),      GIB(1024) * 100, GIB(1024) * 128 - 4096};
        for (unsigned i = 0; i < ARRAY_LEN(at); i++)
            map(&s, at[i], 0);
        vaddr end = va(GIB(1024) * 128), a = va(0);
        for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
            a = pt_next(&s.t, a, end);
            assert_int_equal(a.v, at[i]);
            assert_int_equal(pt_next(&s.t, a, end).v, at[i]); /* a itself counts */
            a.v += 4096;
        }
        assert_int_equal(pt_next(&s.t, a, end).v, end.v);
        assert_int_equal(pt_next(&s.t, va(0x2000), va(0x1ff000)).v, 0x1ff000); /* end is outside */
        assert_int_equal(pt_next(&s.t, va(0x2000), va(0x1fe000)).v, 0x1fe000);
        assert_int_equal(pt_next(&s.t, va(0x5000), va(0x5000)).v, 0x5000);
        space_close(&s);
    }
}

static void test_next_stops_at_huge_pages_and_works_up_to_the_last_address(void **state)
{
    (void)state;
    struct space s;
    space_open(&s, 4, MIB(64));
    map(&s, GIB(3), 2);
    map(&s, GIB(5) + MIB(2), 1);
    assert_int_equal(pt_next(&s.t, va(0), va(GIB(100))).v, GIB(3));
    assert_int_equal(pt_next(&s.t, va(GIB(3) + MIB(7)), va(GIB(100))).v, GIB(3) + MIB(7));
    assert_int_equal(pt_next(&s.t, va(GIB(4)), va(GIB(100))).v, GIB(5) + MIB(2));
    const uint64_t top = UINT64_C(0xffffffffffff0000);
    assert_int_equal(pt_next(&s.t, va(UINT64_C(0xffff800000000000)), va(top)).v, top);
    map(&s, top, 0);
    map(&s, UINT64_C(0xffffffffff600000), 0);
    assert_int_equal(pt_next(&s.t, va(UINT64_C(0xffff800000000000)), va(UINT64_MAX)).v,
                     UINT64_C(0xffffffffff600000));
    assert_int_equal(pt_next(&s.t, va(UINT64_C(0xffffffffff601000)), va(UINT64_MAX)).v, top);
    assert_int_equal(pt_next(&s.t, va(top + 4096), va(UINT64_MAX)).v, UINT64_MAX);
    space_close(&s);
}

/* -- freeing */

static void test_lone_mapping_gives_all_its_tables_back(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct space s;
        space_open(&s, levels, MIB(64));
        uint64_t a = GIB(77) + MIB(6) + 0x5000;
        map(&s, a, 0);
        clear(&s, a, 0);
        assert_int_equal(pt_free_tables(&s.t, va(a), va(a + 4096), va(0), va(0), NULL), levels - 1);
        assert_int_equal(tables(&s), 1);
        assert_int_equal(pt_free_tables(&s.t, va(a), va(a + 4096), va(0), va(0), NULL), 0);
        space_close(&s);
    }
}

/* Neighbours share tables: P is the page unmapped, N the neighbour that bounds floor or ceiling.
 *
 *   distance   PT shared  PD shared  PDPT shared   tables freed
 *   4 KiB      yes        yes        yes           0
 *   2 MiB      no         yes        yes           1
 *   1 GiB      no         no         yes           2
 *   512 GiB    no         no         no            3
 */
static void test_tables_shared_with_a_neighbour_stay(void **state)
{
    (void)state;
    const uint64_t distance[] = {4096, MIB(2), GIB(1), GIB(512)};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned below = 0; below < 2; below++) {
            struct space s;
            space_open(&s, 4, MIB(64));
            /* P at an aligned place; a neighbour below ends exactly there or farther down */
            uint64_t p = GIB(1024) + (i == 0 ? 4096 : 0);
            uint64_t n = below ? p - distance[i] : p + distance[i];
            map(&s, p, 0);
            map(&s, n, 0);
            clear(&s, p, 0);
            /* At 512 GiB alignment the page below never shares a table with P but for i = 0. */
            unsigned want = below && i > 0 ? 3 : i;
            vaddr floor = va(below ? n + 4096 : 0), ceiling = va(below ? 0 : n);
            assert_int_equal(pt_free_tables(&s.t, va(p), va(p + 4096), floor, ceiling, NULL), want);
            assert_non_null(pt_lookup(&s.t, va(n), 0));
            assert_int_equal(pt_audit(&s.t, 46), 0);
            clear(&s, n, 0);
            pt_free_tables(&s.t, va(n), va(n + 4096), va(0), va(0), NULL);
            assert_int_equal(pt_audit(&s.t, 46), 0);
            space_close(&s);
        }
}

static void test_middle_of_a_large_range_is_freed_and_its_ends_stay(void **state)
{
    (void)state;
    struct space s;
    space_open(&s, 4, MIB(64));
    for (uint64_t a = 0; a < MIB(20); a += 4096)
        map(&s, GIB(3) + a, 0);
    for (uint64_t a = MIB(3); a < MIB(17); a += 4096)
        clear(&s, GIB(3) + a, 0);
    /* [3, 17) MiB unmapped between mappings: of the PTs only [4, 16) MiB are wholly inside */
    vaddr lo = va(GIB(3) + MIB(3)), hi = va(GIB(3) + MIB(17));
    assert_int_equal(pt_free_tables(&s.t, lo, hi, lo, hi, NULL), 6);
    assert_int_equal(s.t.tables[0], 4);
    assert_int_equal(s.t.tables[1], 1);
    assert_non_null(pt_lookup(&s.t, va(GIB(3) + MIB(3)), 0));
    assert_null(pt_lookup(&s.t, va(GIB(3) + MIB(4)), 0));
    assert_non_null(pt_lookup(&s.t, va(GIB(3) + MIB(16)), 0));
    assert_int_equal(pt_audit(&s.t, 46), 0);
    space_close(&s);
}

static void test_whole_address_space_freed_leaves_the_root(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct space s;
        space_open(&s, levels, MIB(64));
        const uint64_t top = BIT(12 + 9 * levels - 1);
        for (unsigned i = 0; i < 600; i++) {
            uint64_t a = align_down(mix64(i + 1) % top, 4096);
            map(&s, a, 0);
            clear(&s, a, 0);
        }
        uint64_t before = tables(&s);
        assert_int_equal(pt_free_tables(&s.t, va(0), va(top), va(0), va(0), NULL), before - 1);
        assert_int_equal(tables(&s), 1);
        space_close(&s);
    }
}

static void test_close_frees_every_table_and_no_leaf_frame(void **state)
{
    (void)state;
    struct space s;
    space_open(&s, 5, MIB(64));
    uint64_t free_before = phys_owner_frames(s.phys, FRAME_FREE) + 1; /* the root */
    pfn page;
    assert_int_equal(phys_alloc(s.phys, 0, GFP_USER, FRAME_USER_ANON, &page), 0);
    struct rng rng = {11};
    for (unsigned i = 0; i < 500; i++)
        map(&s, align_down(rng_next(&rng) >> 8, 4096), 0);
    map(&s, GIB(1), 1);
    map(&s, GIB(2), 2);
    map(&s, UINT64_C(0xff00000000000000), 0);
    pt_close(&s.t);
    assert_int_equal(phys_owner_frames(s.phys, FRAME_FREE), free_before - 1);
    assert_int_equal(phys_frame(s.phys, page)->owner, FRAME_USER_ANON);
    assert_int_equal(phys_audit(s.phys), 0);
    phys_close(s.phys);
}

/* -- no memory */

static void test_no_frame_for_a_table_is_enomem_and_what_was_made_stays(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= 3; nth++) {
        struct space s;
        space_open(&s, 4, MIB(64));
        phys_fail_every(s.phys, nth);
        pte *e = NULL;
        unsigned made = 10;
        assert_int_equal(pt_lookup_alloc(&s.t, va(GIB(3)), 0, &e, &made), -ENOMEM);
        assert_null(e);
        assert_int_equal(made, 10 + nth - 1);
        assert_int_equal(tables(&s), nth);
        assert_int_equal(pt_audit(&s.t, 46), 0);
        phys_fail_every(s.phys, 0);
        assert_int_equal(pt_lookup_alloc(&s.t, va(GIB(3)), 0, &e, &made), 0);
        assert_int_equal(made, 13);
        space_close(&s);
    }
}

static void test_open_without_memory_is_enomem(void **state)
{
    (void)state;
    struct space s;
    space_open(&s, 4, MIB(64));
    struct conf conf;
    conf_init(&conf);
    struct pt other = {.levels = 99};
    phys_fail_every(s.phys, 1);
    assert_int_equal(pt_open(&other, s.phys, &conf), -ENOMEM);
    assert_int_equal(other.levels, 99);
    phys_fail_every(s.phys, 0);
    space_close(&s);
}

static void test_full_machine_refuses_tables_and_recovers(void **state)
{
    (void)state;
    struct space s;
    space_open(&s, 4, MIB(16));
    pte *e;
    unsigned made = 0;
    uint64_t a = 0;
    while (pt_lookup_alloc(&s.t, va(a), 0, &e, &made) == 0)
        a += GIB(1);
    assert_int_equal(phys_owner_frames(s.phys, FRAME_FREE), 0);
    assert_int_equal(tables(&s), made + 1);
    assert_int_equal(pt_audit(&s.t, 46), 0);
    assert_int_equal(pt_free_tables(&s.t, va(0), va(a + GIB(1)), va(0), va(0), NULL), made);
    assert_int_equal(tables(&s), 1);
    space_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_far_apart_add_12_8_4_and_12_kb),
        cmocka_unit_test(test_first_page_takes_one_table_per_level_below_the_root),
        cmocka_unit_test(test_dense_run_takes_as_many_tables_as_the_closed_form),
        cmocka_unit_test(test_lookup_finds_the_entry_bytes_of_each_level),
        cmocka_unit_test(test_larger_page_hides_the_levels_below_it),
        cmocka_unit_test(test_leaf_is_found_when_not_present_but_not_none),
        cmocka_unit_test(test_next_skips_to_each_mapped_page_in_order),
        cmocka_unit_test(test_next_stops_at_huge_pages_and_works_up_to_the_last_address),
        cmocka_unit_test(test_lone_mapping_gives_all_its_tables_back),
        cmocka_unit_test(test_tables_shared_with_a_neighbour_stay),
        cmocka_unit_test(test_middle_of_a_large_range_is_freed_and_its_ends_stay),
        cmocka_unit_test(test_whole_address_space_freed_leaves_the_root),
        cmocka_unit_test(test_close_frees_every_table_and_no_leaf_frame),
        cmocka_unit_test(test_no_frame_for_a_table_is_enomem_and_what_was_made_stays),
        cmocka_unit_test(test_open_without_memory_is_enomem),
        cmocka_unit_test(test_full_machine_refuses_tables_and_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
