/* The event words: what goes in comes out, and what is no valid stream is refused. The bit positions
 * asserted are those of the drawing in event/event.h, which other front ends rely on. */
#include "event/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint64_t rnd(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

static void access_words_give_back_every_field(void **state)
{
    uint64_t x = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t r = rnd(&x), addr = (uint64_t)((int64_t)(rnd(&x) << 16) >> 16);
        unsigned insn = r & 511, log2 = r >> 9 & 7;
        bool store = r >> 12 & 1;
        uint64_t w = event_access(addr, insn, log2, store);

        assert_int_equal(event_kind(w), EV_ACCESS);
        assert_int_equal(event_addr(w), addr);
        assert_int_equal(event_insn(w), insn);
        assert_int_equal(event_log2_size(w), log2);
        assert_int_equal(event_is_store(w), store);
        assert_true(event_valid(w));
    }
}

static void words_have_the_drawn_bits(void **state)
{
    (void)state;
    assert_int_equal(event_access(0x7fffffffe000, 5, 3, true),
                     UINT64_C(1) << 60 | UINT64_C(3) << 57 | UINT64_C(5) << 48 | 0x7fffffffe000);
    assert_int_equal(event_block(0xdeadbeef), UINT64_C(0x20000000deadbeef));
    assert_int_equal(event_high(0x0123456789abcdef), UINT64_C(0x4000000000000123));
    assert_int_equal(event_control(EV_SYSCALL, 8), UINT64_C(0x6400000000000008));
}

static void only_addresses_that_do_not_sign_extend_need_a_high_word(void **state)
{
    (void)state;
    assert_false(event_needs_high(0));
    assert_false(event_needs_high(0x7fffffffffff));
    assert_true(event_needs_high(0x800000000000));
    assert_true(event_needs_high(UINT64_C(0x00ffffffffffffff)));
    assert_false(event_needs_high(UINT64_C(0xffff800000000000)));
    assert_false(event_needs_high(UINT64_C(0xffffffffff600000))); /* the vsyscall page */
}

static void words_with_stray_bits_are_invalid(void **state)
{
    (void)state;
    assert_true(event_valid(event_block(7)));
    assert_false(event_valid(event_block(7) | UINT64_C(1) << 32));
    assert_false(event_valid(event_high(0) | 1 << 16));
    assert_false(event_valid((uint64_t)4 << 61));
    assert_false(event_valid((uint64_t)7 << 61));
    assert_false(event_valid(event_control(0, 1)));
    assert_false(event_valid(event_control(EV_CONTROL_NR, 1)));
    assert_false(event_valid(event_control(EV_EPOCH, 2)));
    assert_true(event_valid(event_control(EV_EPOCH, 1)));
    assert_false(event_valid(event_control(EV_EPOCH, 1) | 1 << 20));
    assert_false(event_valid(event_control(EV_SYSCALL, 7)));
    assert_true(event_valid(event_control(EV_BYTES, 500)));
}

/* -- streams -------------------------------------------------------------------------------------- */
static const uint16_t INSNS[] = {3, 1};

/* check returns what is wrong with the words after a proper beginning, NULL when nothing is. */
static const char *check(const uint64_t *words, size_t n)
{
    const uint64_t begin[] = {event_control(EV_THREAD_START, 3), 1, 1, 0};
    struct event_check c = {0};
    size_t used;

    assert_null(event_check_feed(&c, begin, 4, INSNS, 2, &used));
    assert_int_equal(used, 4);
    return event_check_feed(&c, words, n, INSNS, 2, &used);
}
#define CHECK_WORDS(...)                                                                           \
    check((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

#define CALL event_control(EV_SYSCALL, 8), 0, 0, 0, 0, 0, 0, 0, 0
#define RET  event_control(EV_SYSCALL_RET, 3), 0, 0, 0

static void a_proper_stream_is_accepted(void **state)
{
    (void)state;
    assert_null(CHECK_WORDS(event_block(0), event_access(64, 0, 3, false),
                            event_access(72, 0, 3, true), event_access(8, 2, 0, false),
                            event_block(1), event_block(0), event_high(0x00ff000000000000),
                            event_access(0, 1, 2, true), CALL, RET, event_block(1),
                            event_control(EV_THREAD_EXIT, 1), 1));
}

static void each_broken_rule_is_found(void **state)
{
    (void)state;
    assert_non_null(CHECK_WORDS(event_access(0, 0, 0, 0)));                 /* I1 */
    assert_non_null(CHECK_WORDS(event_block(0), event_access(0, 3, 0, 0))); /* I1 */
    assert_non_null(
        CHECK_WORDS(event_block(0), event_access(0, 2, 0, 0), event_access(0, 1, 0, 0))); /* I1 */
    assert_non_null(CHECK_WORDS(event_block(2)));
    assert_non_null(CHECK_WORDS(event_block(0), event_high(1), event_block(0))); /* I2 */
    assert_non_null(CHECK_WORDS(event_block(0), event_high(0), event_access(64, 0, 0, 0)));
    assert_non_null(CHECK_WORDS(event_control(EV_THREAD_START, 3), 1, 2, 0)); /* I4 */
    assert_non_null(CHECK_WORDS(event_control(EV_FORK, FORK_WORDS), 0, 0, 0, 0, 0, 0, 0));
    assert_non_null(CHECK_WORDS(event_control(EV_EXIT, 1), 0));
    assert_non_null(CHECK_WORDS(event_control(EV_NATIVE, 2), NATIVE_ELF, 0));
    assert_non_null(CHECK_WORDS(RET));
    assert_non_null(CHECK_WORDS(CALL, CALL));
    assert_non_null(CHECK_WORDS(CALL, event_block(0)));
    assert_non_null(CHECK_WORDS(event_control(EV_THREAD_EXIT, 1), 1, event_block(0)));
}

static void a_stream_must_begin_with_its_beginning(void **state)
{
    const uint64_t words[] = {event_block(0)};
    struct event_check c = {0};
    size_t used;

    (void)state;
    assert_non_null(event_check_feed(&c, words, 1, INSNS, 2, &used));
}

static void an_incomplete_record_stays_for_the_next_feed(void **state)
{
    const uint64_t words[] = {event_control(EV_THREAD_START, 3), 1, 1, 0, event_block(0),
                              event_control(EV_EPOCH, 1),        7};
    struct event_check c = {0};
    size_t used;

    (void)state;
    assert_null(event_check_feed(&c, words, 6, INSNS, 2, &used));
    assert_int_equal(used, 5);
    assert_null(event_check_feed(&c, words + 5, 2, INSNS, 2, &used));
    assert_int_equal(used, 2);
    assert_int_equal(c.insns, 3);
    assert_int_equal(c.words, 7);
}

static void payloads_are_plain_numbers(void **state)
{
    const uint64_t bad = UINT64_MAX;

    (void)state;
    assert_null(CHECK_WORDS(event_control(EV_EPOCH, 1), bad, event_control(EV_COUNTS, 3), bad, bad,
                            bad, event_block(0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_words_give_back_every_field),
        cmocka_unit_test(words_have_the_drawn_bits),
        cmocka_unit_test(only_addresses_that_do_not_sign_extend_need_a_high_word),
        cmocka_unit_test(words_with_stray_bits_are_invalid),
        cmocka_unit_test(a_proper_stream_is_accepted),
        cmocka_unit_test(each_broken_rule_is_found),
        cmocka_unit_test(a_stream_must_begin_with_its_beginning),
        cmocka_unit_test(an_incomplete_record_stays_for_the_next_feed),
        cmocka_unit_test(payloads_are_plain_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
