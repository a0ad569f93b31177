/* test_text.c: numbers and foreign names as a reader sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/text.h"

#include <stdlib.h>
#include <string.h>

static void counts_have_separators_up_to_seven_digits(void **state)
{
    (void)state;
    assert_string_equal(text_count(0).s, "0");
    assert_string_equal(text_count(999).s, "999");
    assert_string_equal(text_count(1000).s, "1,000");
    assert_string_equal(text_count(1002003).s, "1,002,003");
    assert_string_equal(text_count(9999999).s, "9,999,999");
}

static void large_counts_have_three_digits_and_a_unit(void **state)
{
    (void)state;
    assert_string_equal(text_count(10000000).s, "10.0 M");
    assert_string_equal(text_count(999499999).s, "999 M");
    assert_string_equal(text_count(999600000).s, "1.00 G");
    assert_string_equal(text_count(1234567890123).s, "1.23 T");
    assert_string_equal(text_count(UINT64_MAX).s, "18.4 E");
}

static void bytes_step_by_1024(void **state)
{
    (void)state;
    assert_string_equal(text_bytes(1023).s, "1023 B");
    assert_string_equal(text_bytes(1024).s, "1.0 KiB");
    assert_string_equal(text_bytes(UINT64_C(3) << 29).s, "1.5 GiB");
    assert_string_equal(text_bytes(1048575).s, "1.0 MiB");
    assert_string_equal(text_bytes(UINT64_MAX).s, "16.0 EiB");
}

static void a_share_tells_little_from_nothing(void **state)
{
    (void)state;
    assert_string_equal(text_share(0, 10).s, "0 %");
    assert_string_equal(text_share(1, 1000000).s, "<0.1 %");
    assert_string_equal(text_share(1, 3).s, "33.3 %");
    assert_string_equal(text_share(5, 5).s, "100.0 %");
    assert_string_equal(text_share(0, 0).s, "0 %");
}

static void nothing_is_divided_by_zero(void **state)
{
    (void)state;
    assert_string_equal(text_mean(5, 0).s, "-");
    assert_string_equal(text_rate(5, 0).s, "0.00");
    assert_string_equal(text_bar(5, 0, 10).s, "");
    assert_string_equal(text_mean(10, 4).s, "2.5");
    assert_string_equal(text_rate(1, 2000).s, "0.50");
}

static void a_bar_is_as_long_as_its_share(void **state)
{
    (void)state;
    assert_string_equal(text_bar(1, 2, 10).s, "#####");
    assert_string_equal(text_bar(2, 2, 10).s, "##########");
    assert_string_equal(text_bar(0, 2, 10).s, "");
}

static void time_takes_the_unit_that_fits(void **state)
{
    (void)state;
    assert_string_equal(text_time(1.5).s, "1.50 s");
    assert_string_equal(text_time(0.0123).s, "12.3 ms");
    assert_string_equal(text_time(0.000456).s, "456 us");
    assert_string_equal(text_time(0).s, "0.00 us");
}

/* Unicode 15, table 3-7, and its well-known attacks: overlong forms, surrogates, above U+10FFFF. */
static void utf8_is_recognised_and_bad_forms_are_not(void **state)
{
    static const struct {
        const char *bytes;
        unsigned len;
    } cases[] = {
        {"a", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x80\x80", 0},
        {"\xed\xa0\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\x80", 0},
        {"\xe2\x82", 0},
        {"\xff", 0},
        {"\xf0\x9f\x98", 0},
        {"", 0},
        {"\xc3", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(text_utf8(cases[i].bytes), cases[i].len);
}

static void control_characters_cannot_reach_the_terminal(void **state)
{
    char buf[64];
    (void)state;
    assert_string_equal(text_plain(buf, sizeof(buf), "a\033[31mb\n\tc\x7f", 60), "a?[31mb??c?");
    assert_string_equal(text_plain(buf, sizeof(buf),
                                   "\xc2\x9b"
                                   "31m",
                                   60),
                        "?31m");
    assert_string_equal(text_plain(buf, sizeof(buf), "x\xff\xc3\xa9", 60), "x?\xc3\xa9");
}

static void long_text_is_cut_by_characters_not_bytes(void **state)
{
    char buf[64];
    (void)state;
    assert_string_equal(text_plain(buf, sizeof(buf), "abcdefgh", 8), "abcdefgh");
    assert_string_equal(text_plain(buf, sizeof(buf), "abcdefghi", 8), "abcde...");
    assert_string_equal(text_plain(buf, sizeof(buf), "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 4),
                        "\xc3\xa9...");
    assert_int_equal(text_columns("\xc3\xa9"
                                  "a\xe2\x82\xac"),
                     3);
}

static void a_path_keeps_its_end(void **state)
{
    char buf[64];
    (void)state;
    assert_string_equal(text_path(buf, sizeof(buf), "/usr/lib/x86_64-linux-gnu/libc.so.6", 16),
                        "...gnu/libc.so.6");
    assert_string_equal(text_path(buf, sizeof(buf), "/bin/sh", 16), "/bin/sh");
}

/* Any bytes into any small buffer: never beyond it, never more columns than asked, always closed. */
static void random_bytes_stay_inside_the_buffer(void **state)
{
    unsigned seed = 7;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char in[40], buf[48];
        size_t n = (size_t)rand_r(&seed) % sizeof(in), size = 8 + (size_t)rand_r(&seed) % 32;
        unsigned columns = (unsigned)rand_r(&seed) % 30;
        for (size_t i = 0; i < n; i++)
            in[i] = (char)(rand_r(&seed) >> 7);
        in[n < sizeof(in) ? n : n - 1] = '\0';
        memset(buf, 0x55, sizeof(buf));
        (round & 1 ? text_plain : text_path)(buf, size, in, columns);
        assert_non_null(memchr(buf, '\0', size));
        assert_true(text_columns(buf) <= columns);
        for (size_t i = size; i < sizeof(buf); i++)
            assert_int_equal(buf[i], 0x55);
        for (const char *p = buf; *p != '\0'; p += text_utf8(p))
            assert_true(text_utf8(p) > 0 && (unsigned char)*p >= 0x20 && *p != 0x7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_separators_up_to_seven_digits),
        cmocka_unit_test(large_counts_have_three_digits_and_a_unit),
        cmocka_unit_test(bytes_step_by_1024),
        cmocka_unit_test(a_share_tells_little_from_nothing),
        cmocka_unit_test(nothing_is_divided_by_zero),
        cmocka_unit_test(a_bar_is_as_long_as_its_share),
        cmocka_unit_test(time_takes_the_unit_that_fits),
        cmocka_unit_test(utf8_is_recognised_and_bad_forms_are_not),
        cmocka_unit_test(control_characters_cannot_reach_the_terminal),
        cmocka_unit_test(long_text_is_cut_by_characters_not_bytes),
        cmocka_unit_test(a_path_keeps_its_end),
        cmocka_unit_test(random_bytes_stay_inside_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
