/* Sinks: what goes in comes out, in memory and through a file, and errors stick. */
#include "base/sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void assert_json(const char *text, const char *json)
{
    struct sink s;
    sink_memory(&s);
    sink_json_string(&s, text);
    char *got = sink_take(&s);
    assert_string_equal(got, json);
    free(got);
}

static void text_numbers_and_formats_follow_each_other(void **state)
{
    struct sink s;
    (void)state;
    sink_memory(&s);
    sink_text(&s, "a");
    sink_char(&s, 'b');
    sink_u64(&s, 0);
    sink_u64(&s, UINT64_MAX);
    sink_fmt(&s, "<%5.1f|%s>", 2.25, "x");
    sink_fill(&s, '-', 3);
    char *got = sink_take(&s);
    assert_string_equal(got, "ab018446744073709551615<  2.2|x>---");
    free(got);
    assert_int_equal(sink_close(&s), 0);
}

static void long_text_survives_growing(void **state)
{
    struct sink s;
    (void)state;
    sink_memory(&s);
    for (int i = 0; i < 5000; i++)
        sink_fmt(&s, "%07d", i);
    char *got = sink_take(&s);
    assert_int_equal(strlen(got), 35000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(strtol((char[]){got[7 * i], got[7 * i + 1], got[7 * i + 2], got[7 * i + 3],
                                         got[7 * i + 4], got[7 * i + 5], got[7 * i + 6], 0},
                                NULL, 10),
                         i);
    free(got);
}

static void taking_from_an_empty_sink_gives_an_empty_text(void **state)
{
    struct sink s;
    (void)state;
    sink_memory(&s);
    char *got = sink_take(&s);
    assert_string_equal(got, "");
    free(got);
}

static void json_escapes_what_rfc_8259_says(void **state)
{
    (void)state;
    assert_json("plain /", "\"plain /\"");
    assert_json("q\" b\\ \b\f\n\r\t", "\"q\\\" b\\\\ \\b\\f\\n\\r\\t\"");
    assert_json("\x01\x1f", "\"\\u0001\\u001f\"");
}

static void json_keeps_utf8_and_replaces_what_is_none(void **state)
{
    (void)state;
    assert_json("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7",
                "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7\"");
    assert_json("\xff", "\"\xef\xbf\xbd\"");
    assert_json("\xc3", "\"\xef\xbf\xbd\"");
    assert_json("\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong */
    assert_json("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* surrogate */
    assert_json("\xf4\x90\x80\x80x", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\"");
}

static void file_sink_writes_everything_in_order(void **state)
{
    char *text = NULL;
    size_t n = 0;
    struct sink s;
    FILE *f = open_memstream(&text, &n);
    (void)state;
    assert_non_null(f);
    sink_file(&s, f);
    for (int i = 0; i < 30000; i++)
        sink_fmt(&s, "%06d\n", i);
    assert_int_equal(sink_close(&s), 0);
    assert_int_equal(n, 30000 * 7);
    assert_memory_equal(text, "000000\n000001\n", 14);
    assert_memory_equal(text + n - 7, "029999\n", 7);
    fclose(f);
    free(text);
}

static void full_device_is_an_error_that_sticks(void **state)
{
    struct sink s;
    FILE *f = fopen("/dev/full", "w");
    (void)state;
    assert_non_null(f);
    sink_file(&s, f);
    sink_fill(&s, 'x', 200000);
    assert_int_equal(sink_flush(&s), -ENOSPC);
    sink_text(&s, "more");
    assert_int_equal(sink_close(&s), -ENOSPC);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_numbers_and_formats_follow_each_other),
        cmocka_unit_test(long_text_survives_growing),
        cmocka_unit_test(taking_from_an_empty_sink_gives_an_empty_text),
        cmocka_unit_test(json_escapes_what_rfc_8259_says),
        cmocka_unit_test(json_keeps_utf8_and_replaces_what_is_none),
        cmocka_unit_test(file_sink_writes_everything_in_order),
        cmocka_unit_test(full_device_is_an_error_that_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
