/* test_pkey.c: protection keys, after tools/testing/selftests/mm/protection_keys.c and LTP pkey01;
 * without PKU as observed on Linux 6.18.44. */
#include "unit/mm/mm_fixture.h"

#define BASE UINT64_C(0x10000000)

static struct box box;

static int setup_with(bool pku)
{
    memset(&box, 0, sizeof(box));
    conf_init(&box.conf);
    box.conf.phys_size = MIB(64);
    box.conf.mmu_pku = pku;
    assert_int_equal(arch_outbox_open(&box.out), 0);
    assert_int_equal(phys_open(&box.phys, &box.conf, &box.stats), 0);
    assert_int_equal(mm_sys_open(&box.sys, &box.conf, box.phys, &box.stats, &box.out), 0);
    assert_int_equal(mm_open(&box.mm, box.sys), 0);
    map_anon(&box, BASE, 4, RW);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(true);
}

static int setup_without(void **state)
{
    (void)state;
    return setup_with(false);
}

static int teardown(void **state)
{
    (void)state;
    box_close(&box);
    return 0;
}

static int key_at(uint64_t page)
{
    return (int)((mm_vma_at(box.mm, va(BASE + page * K))->flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT);
}

static int protect(uint64_t page, uint64_t pages, uint32_t prot, int pkey)
{
    return mm_pkey_mprotect(box.mm, va(BASE + page * K), pages * K, prot, pkey);
}

static void without_pku_every_key_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mm_pkey_alloc(box.mm, 1, 0), -EINVAL);
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 4), -EINVAL);
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 0), -EINVAL);
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 0), -ENOSPC); /* as 6.18.44 does without PKU */
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 4), -EINVAL);
    assert_int_equal(mm_pkey_free(box.mm, 0), -EINVAL);
    assert_int_equal(protect(0, 1, RW, 0), -EINVAL);
    assert_int_equal(protect(0, 1, RW, 1), -EINVAL);
    assert_int_equal(protect(0, 1, PROT_READ, -1), 0); /* that is mprotect */
    assert_int_equal(protect(0, 1, PROT_EXEC, -1), 0);
    assert_int_equal(key_at(0), 0);
}

/* test_pkey_alloc_exhaust */
static void fifteen_keys_can_be_taken(void **state)
{
    (void)state;
    for (int k = 1; k < 16; k++)
        assert_int_equal(mm_pkey_alloc(box.mm, 0, 0), k);
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 0), -ENOSPC);
    assert_int_equal(mm_pkey_free(box.mm, 7), 0);
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 3), 7);
}

/* test_pkey_syscalls_bad_args, test_pkey_syscalls_on_non_allocated_pkey */
static void bad_keys_are_refused(void **state)
{
    (void)state;
    assert_int_equal(mm_pkey_alloc(box.mm, 1, 0), -EINVAL);
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 4), -EINVAL);
    assert_int_equal(mm_pkey_free(box.mm, 5), -EINVAL);
    assert_int_equal(mm_pkey_free(box.mm, 16), -EINVAL);
    assert_int_equal(mm_pkey_free(box.mm, -1), -EINVAL);
    assert_int_equal(protect(0, 1, RW, 5), -EINVAL);
    assert_int_equal(protect(0, 1, RW, 99), -EINVAL);
    assert_int_equal(protect(0, 1, RW, 0), 0);
}

static void a_key_goes_into_mapping_and_entries(void **state)
{
    (void)state;
    unsigned level;
    int k = mm_pkey_alloc(box.mm, 0, 0);
    touch_pages(&box, BASE, 4, true);
    assert_int_equal(protect(1, 2, RW, k), 0);
    assert_string_equal(draw(&box, BASE, 4), "WWwW"); /* keys keep mappings apart */
    assert_int_equal(key_at(1), k);
    const pte *e = pt_leaf(mm_pt(box.mm), va(BASE + K), &level);
    assert_int_equal(e->v >> 59 & 15, k);
    assert_int_equal(protect(1, 2, PROT_READ, -1), 0); /* mprotect keeps the key */
    assert_int_equal(key_at(1), k);
    assert_int_equal(mm_pkey_free(box.mm, k), 0); /* and so does pkey_free */
    assert_int_equal(key_at(1), k);
}

/* test_executing_on_unreadable_memory, test_implicit_mprotect_exec_only_memory */
static void exec_alone_takes_a_key_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(protect(0, 1, PROT_EXEC, -1), 0);
    assert_int_equal(key_at(0), 1);
    assert_int_equal(mm_pkey_free(box.mm, 1), -EINVAL); /* not the program's */
    assert_int_equal(mm_pkey_alloc(box.mm, 0, 0), 2);
    map_anon(&box, BASE + 8 * K, 1, PROT_EXEC);
    assert_int_equal(key_at(8), 1);
    assert_int_equal(protect(0, 1, RW, -1), 0); /* no longer: back to key 0 */
    assert_int_equal(key_at(0), 0);
}

static void a_child_inherits_keys(void **state)
{
    (void)state;
    struct mm *child;
    int k = mm_pkey_alloc(box.mm, 0, 0);
    assert_int_equal(protect(0, 4, RW, k), 0);
    assert_int_equal(mm_fork(&child, box.mm), 0);
    assert_int_equal(mm_pkey_alloc(child, 0, 0), k + 1);
    assert_int_equal((mm_vma_at(child, va(BASE))->flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT, k);
    mm_close(child);
}

/* SDM vol. 3, 4.6.2: with key i, PKRU bit 2i forbids every access to data, bit 2i + 1 writes; fetches are
 * never forbidden, and no other key's bits matter. Linux looks before it handles the fault
 * (arch_vma_access_permitted), and tells the difference to rights of the mapping by si_code. */
static void each_key_obeys_its_two_bits_of_pkru_alone(void **state)
{
    (void)state;
    for (uint32_t k = 1, n; k < 16; k++) {
        assert_int_equal(mm_pkey_alloc(box.mm, 0, 0), k);
        assert_int_equal(protect(0, 1, RW | PROT_EXEC, (int)k), 0);
        const uint32_t ad = 1u << 2 * k, wd = 2u << 2 * k;
        const struct {
            uint32_t code, pkru;
            int si_code;
        } row[] = {{0, ad, SEGV_PKUERR},       {FAULT_W, ad, SEGV_PKUERR},
                   {FAULT_I, ad | wd, 0},      {0, wd, 0},
                   {FAULT_W, wd, SEGV_PKUERR}, {0, ~(ad | wd), 0},
                   {FAULT_W, ~(ad | wd), 0}};
        for (n = 0; n < ARRAY_LEN(row); n++) {
            struct arch_fault f = {
                .cr2 = va(BASE), .code = FAULT_U | row[n].code, .pkru = row[n].pkru};
            struct mm_verdict v;
            mm_madvise(box.mm, va(BASE), K, MADV_DONTNEED);
            mm_fault(box.mm, &f, &v);
            assert_int_equal(v.signal, row[n].si_code ? SIGSEGV : 0);
            assert_int_equal(v.si_code, row[n].si_code);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_pku_every_key_is_refused, setup_without, teardown),
        TEST(fifteen_keys_can_be_taken),
        TEST(bad_keys_are_refused),
        TEST(a_key_goes_into_mapping_and_entries),
        TEST(exec_alone_takes_a_key_of_its_own),
        TEST(a_child_inherits_keys),
        TEST(each_key_obeys_its_two_bits_of_pkru_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
