/* test_args.c: the command line against its table, cases drawn as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bits.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_option options[] = {
    {"--json", 'j', "FILE", ""},
    {"--quiet", 'q', NULL, ""},
    {"--verbose", 'v', NULL, ""},
    {"--set", 's', "KEY=VALUE", ""},
};
static const struct cli_verb runs = {
    .name = "run", .operands = "PROGRAM", .options = options, .n_options = 4, .program = true};
static const struct cli_verb other = {
    .name = "other", .operands = "[X]", .options = options, .n_options = 4};

#define WORDS_MAX 12

/* result parses a line of words and draws what came out: "json=x quiet | operand operand", or
 * "refused: " and the line that was printed. */
static const char *result(const struct cli_verb *verb, const char *line)
{
    static char drawn[1024];
    char copy[256], *argv[WORDS_MAX + 1], *save;
    int argc = 0, fds[2], keep = dup(STDERR_FILENO);
    struct cli_args a;
    strcpy(copy, line);
    for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(w, "''") == 0 ? strcpy(w, "") : w;
    argv[argc] = NULL;
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    int status = args_parse(&a, verb, argc, argv);
    dup2(keep, STDERR_FILENO);
    close(fds[1]);
    close(keep);
    int n = snprintf(drawn, sizeof(drawn), status == 0 ? "" : "refused: ");
    if (status != 0) {
        ssize_t got = read(fds[0], drawn + n, sizeof(drawn) - (size_t)n - 1);
        drawn[n + (got > 0 ? got : 0)] = '\0';
    }
    close(fds[0]);
    for (size_t i = 0; status == 0 && i < a.n_given; i++)
        n += sprintf(drawn + n, "%s%s%s ", a.given[i].option->name + 2,
                     a.given[i].value != NULL ? "=" : "",
                     a.given[i].value != NULL ? a.given[i].value : "");
    if (status == 0)
        n += sprintf(drawn + n, "|");
    for (size_t i = 0; status == 0 && i < a.n_operands; i++)
        n += sprintf(drawn + n, " %s", a.operands[i]);
    if (status == 0) {
        assert_null(a.operands[a.n_operands]);
        args_close(&a);
    }
    return drawn;
}

static void options_in_every_spelling(void **state)
{
    static const struct {
        const char *line, *drawn;
    } cases[] = {
        {"", "|"},
        {"--json x", "json=x |"},
        {"--json=x", "json=x |"},
        {"--json=", "json= |"},
        {"--json=a=b", "json=a=b |"},
        {"-j x", "json=x |"},
        {"-jx", "json=x |"},
        {"-qv", "quiet verbose |"},
        {"-qvjx", "quiet verbose json=x |"},
        {"-qj x -v", "quiet json=x verbose |"},
        {"-s a=1 --set b=2", "set=a=1 set=b=2 |"},
        {"--json -", "json=- |"},
        {"--json --quiet", "json=--quiet |"},
        {"-h --help", "help help |"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(result(&runs, cases[i].line), cases[i].drawn);
        assert_string_equal(result(&other, cases[i].line), cases[i].drawn);
    }
}

static void a_program_ends_the_options(void **state)
{
    (void)state;
    assert_string_equal(result(&runs, "-q ls -v --json x"), "quiet | ls -v --json x");
    assert_string_equal(result(&runs, "-q -- ls -v"), "quiet | ls -v");
    assert_string_equal(result(&runs, "-- -- -v"), "| -- -v");
    assert_string_equal(result(&runs, "- -v"), "| - -v");
    assert_string_equal(result(&runs, "''"), "| ");
}

static void other_verbs_take_options_anywhere(void **state)
{
    (void)state;
    assert_string_equal(result(&other, "x -q y"), "quiet | x y");
    assert_string_equal(result(&other, "x -- -q"), "| x -q");
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const cases[][2] = {
        {"--jso x", "refused: pagewalk: unknown option --jso;"},
        {"--jsonx", "refused: pagewalk: unknown option --jsonx;"},
        {"-x", "refused: pagewalk: unknown option -x;"},
        {"-qx", "refused: pagewalk: unknown option -qx;"},
        {"--json", "refused: pagewalk: option --json needs a value: --json FILE\n"},
        {"-q -j", "refused: pagewalk: option --json needs a value: --json FILE\n"},
        {"--quiet=1", "refused: pagewalk: option --quiet takes no value; leave =1 away\n"},
        {"---json", "refused: pagewalk: unknown option ---json;"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(strncmp(result(&runs, cases[i][0]), cases[i][1], strlen(cases[i][1])), 0);
}

static void the_last_value_of_an_option_counts(void **state)
{
    char *argv[] = {"--json", "a", "-jb", "-q", NULL};
    struct cli_args a;
    (void)state;
    assert_int_equal(args_parse(&a, &runs, 4, argv), 0);
    assert_string_equal(args_value(&a, "--json"), "b");
    assert_true(args_has(&a, "--quiet"));
    assert_false(args_has(&a, "--verbose"));
    assert_null(args_value(&a, "--set"));
    args_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_in_every_spelling),
        cmocka_unit_test(a_program_ends_the_options),
        cmocka_unit_test(other_verbs_take_options_anywhere),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_last_value_of_an_option_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
