/* test_jsonw.c: the JSON writer: nesting, commas, exact numbers, hostile bytes (RFC 8259). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/jsonw.h"

#include <stdlib.h>
#include <string.h>

static void check(struct sink *out, const char *expected)
{
    char *text = sink_take(out);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void nested_values_get_their_commas(void **state)
{
    struct sink out;
    sink_memory(&out);
    struct jsonw w = {.out = &out};
    (void)state;
    jsonw_open(&w, NULL, '{');
    jsonw_u64(&w, "a", 1);
    jsonw_open(&w, "b", '[');
    jsonw_bool(&w, NULL, true);
    jsonw_null(&w, NULL);
    jsonw_close(&w, ']');
    jsonw_open(&w, "c", '{');
    jsonw_close(&w, '}');
    jsonw_close(&w, '}');
    check(&out, "{\n \"a\": 1,\n \"b\": [\n  true,\n  null\n ],\n \"c\": {}\n}\n");
}

static void integers_are_exact_to_the_last_bit(void **state)
{
    struct sink out;
    sink_memory(&out);
    struct jsonw w = {.out = &out};
    (void)state;
    jsonw_open(&w, NULL, '[');
    jsonw_u64(&w, NULL, UINT64_MAX);
    jsonw_i64(&w, NULL, INT64_MIN);
    jsonw_hex(&w, NULL, UINT64_C(0x7fffffffffff));
    jsonw_close(&w, ']');
    check(&out, "[\n 18446744073709551615,\n -9223372036854775808,\n \"0x7fffffffffff\"\n]\n");
}

static void hostile_bytes_make_valid_strings(void **state)
{
    struct sink out;
    sink_memory(&out);
    struct jsonw w = {.out = &out};
    (void)state;
    jsonw_open(&w, NULL, '[');
    jsonw_text(&w, NULL, "\"\\\n\x01");
    jsonw_text(&w, NULL, "\xc3\xa9");
    jsonw_close(&w, ']');
    char *text = sink_take(&out);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"\\\"\\\\\\n\\u0001\""));
    assert_non_null(strstr(text, "\"\xc3\xa9\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_values_get_their_commas),
        cmocka_unit_test(integers_are_exact_to_the_last_bit),
        cmocka_unit_test(hostile_bytes_make_valid_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
