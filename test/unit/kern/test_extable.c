/* test_extable.c: faults of the kernel at bad addresses: which routine masks an address and which asks access_ok
 * (arch/x86/include/asm/uaccess_64.h), what the exception table says of an instruction, and that it may say nothing. */
#include "kern_fixture.h"

#define LIMIT UINT64_C(0x7ffffffff000) /* TASK_SIZE_MAX with 4 levels */

static uint64_t ended(struct world *w, enum kern_routine r)
{
    uint64_t faults = 0;
    for (uint64_t insn = kern_insn(r); insn != 0 && faults < 10; faults++)
        insn = fixup_exception(w->kern, insn);
    return faults;
}

static void every_routine_ends_at_a_bad_address(void **state)
{
    (void)state;
    struct world w;
    uint64_t sum = 0;
    assert_int_equal(world_open(&w, 0), 0);
    for (unsigned r = KERN_COPY_FROM; r <= KERN_SIGNAL_FRAME; r++) {
        uint64_t n =
            ended(&w, (enum kern_routine)r); /* words and then bytes; locked and then plain */
        assert_int_equal(n, r == KERN_STRNCPY || r == KERN_FUTEX ? 2 : 1);
        sum += n;
    }
    assert_int_equal(STAT(&w.stats, fault_fixup), sum);
    assert_int_equal(STAT(&w.stats, fault_oops), 0);
    assert_int_equal(world_close(&w), 0);
}

static void an_instruction_that_is_in_no_table_is_an_oops(void **state)
{
    (void)state;
    struct world w;
    assert_int_equal(world_open(&w, 0), 0);
    uint64_t known = kern_insn(KERN_COPY_FROM);
    static const int64_t off[] = {-1, 1, 2};
    for (unsigned i = 0; i < ARRAY_LEN(off); i++)
        assert_int_equal(fixup_exception(w.kern, known + (uint64_t)off[i]), 0);
    assert_int_equal(fixup_exception(w.kern, 1), 0);
    assert_int_equal(fixup_exception(w.kern, UINT64_MAX), 0);
    assert_int_equal(STAT(&w.stats, fault_oops), 5);
    assert_int_equal(STAT(&w.stats, fault_fixup), 0);
    assert_int_equal(world_close(&w), 0);
}

static void access_is_right_up_to_the_last_byte_of_user_space(void **state)
{
    (void)state;
    static const uint64_t levels[] = {4, 5}, limit[] = {LIMIT, UINT64_C(0xfffffffffff000)};
    for (unsigned i = 0; i < 2; i++) {
        struct conf conf;
        struct stat_set stats = {0};
        struct arch_outbox outbox;
        struct kern *k;
        conf_init(&conf);
        conf.mmu_levels = levels[i];
        assert_int_equal(arch_outbox_open(&outbox), 0);
        assert_int_equal(kern_open(&k, &conf, NULL, NULL, &stats, &outbox), 0);
        assert_true(kern_access_ok(k, va(limit[i] - 8), 8));
        assert_false(kern_access_ok(k, va(limit[i] - 8), 9));
        assert_false(kern_access_ok(k, va(limit[i]), 1));
        assert_false(kern_access_ok(k, va(0), UINT64_MAX));
        kern_close(k);
        arch_outbox_close(&outbox);
    }
}

static void reads_mask_an_address_beyond_the_users_and_writes_of_many_bytes_refuse_it(void **state)
{
    (void)state;
    static const struct {
        enum kern_routine routine;
        uint64_t kernel, between, over; /* what becomes of these addresses; 0: refused */
    } row[] = {
        {KERN_COPY_FROM, LIMIT, LIMIT, LIMIT - 4},
        {KERN_GET_USER, LIMIT, LIMIT, LIMIT - 4},
        {KERN_STRNCPY, LIMIT, LIMIT, LIMIT - 4},
        {KERN_SIGSET, LIMIT, LIMIT, LIMIT - 4},
        {KERN_PUT_USER, UINT64_MAX, UINT64_MAX, LIMIT - 4},
        {KERN_COPY_TO, 0, 0, 0},
        {KERN_FROM_ITER, 0, 0, 0},
        {KERN_TO_ITER, 0, 0, 0},
        {KERN_IOVEC, 0, 0, 0},
        {KERN_FUTEX, 0, 0, 0},
        {KERN_SIGNAL_FRAME, 0, 0, 0},
    };
    struct world w;
    assert_int_equal(world_open(&w, 0), 0);
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        const uint64_t at[] = {UINT64_C(0xffff888000001000), UINT64_C(0x8000000000001000),
                               LIMIT - 4};
        const uint64_t want[] = {row[i].kernel, row[i].between, row[i].over};
        for (unsigned n = 0; n < 3; n++) {
            vaddr a = va(at[n]);
            assert_int_equal(kern_user_address(w.kern, row[i].routine, 8, &a), want[n] != 0);
            assert_int_equal(a.v, want[n] != 0 ? want[n] : at[n]);
        }
        vaddr good = va(AT);
        assert_true(kern_user_address(w.kern, row[i].routine, 8, &good));
        assert_int_equal(good.v, AT);
    }
    assert_int_equal(world_close(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_routine_ends_at_a_bad_address),
        cmocka_unit_test(an_instruction_that_is_in_no_table_is_an_oops),
        cmocka_unit_test(access_is_right_up_to_the_last_byte_of_user_space),
        cmocka_unit_test(reads_mask_an_address_beyond_the_users_and_writes_of_many_bytes_refuse_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
