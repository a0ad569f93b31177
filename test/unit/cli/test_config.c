/* test_config.c: which layer wins, and which layer a bad value is told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_option options[] = {CLI_MACHINE_OPTIONS};
static const struct cli_verb verb = {.name = "run", .options = options, .n_options = 2};

static char dir[] = "/tmp/pagewalk-config-XXXXXX";
static char machine[64], user[64];

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int open_dir(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(machine, sizeof(machine), "%s/mine.ini", dir);
    snprintf(user, sizeof(user), "%s/config", dir);
    put(machine, "seed = 2\ncpu.cores = 2\nphys.size = 2G\ncpu.mhz = 2000\n");
    put(user, "cpu.cores = 3\nphys.size = 3G\ncpu.mhz = 3000\n");
    return 0;
}

static int close_dir(void **state)
{
    (void)state;
    unlink(machine);
    unlink(user);
    return rmdir(dir);
}

/* Builds with these layers and up to two --set; err gets the line on failure. */
static int build(struct config *c, const char *m, const char *u, const char *env, const char *set1,
                 const char *set2, char err[CLI_LINE])
{
    char *argv[] = {"--set", (char *)set1, "--set", (char *)set2, NULL};
    struct cli_args a;
    int n = set1 == NULL ? 0 : set2 == NULL ? 2 : 4;
    assert_int_equal(args_parse(&a, &verb, n, argv), 0);
    struct config_layers layers = {
        .machines_dir = dir, .machine = m, .user_file = u, .env = env, .args = &a};
    int r = config_build(c, &layers, err, CLI_LINE);
    args_close(&a);
    return r;
}

static void each_layer_overrides_the_weaker_ones(void **state)
{
    struct config c;
    char err[CLI_LINE];
    (void)state;
    assert_int_equal(build(&c, NULL, NULL, NULL, NULL, NULL, err), 0);
    assert_int_equal(c.conf.seed, 1);
    assert_int_equal(
        build(&c, "mine", user, " phys.size=4G\tcpu.mhz=4000 ", "cpu.mhz=5000", NULL, err), 0);
    assert_int_equal(c.conf.seed, 2);
    assert_int_equal(c.conf.cpu_cores, 3);
    assert_true(c.conf.phys_size == UINT64_C(4) << 30);
    assert_int_equal(c.conf.cpu_mhz, 5000);
    assert_string_equal(c.user_file, user);
    assert_string_equal(c.note, "");
}

static void later_sets_win_over_earlier_ones(void **state)
{
    struct config c;
    char err[CLI_LINE];
    (void)state;
    assert_int_equal(build(&c, NULL, NULL, "seed=4 seed=5", "seed=6", "seed=7", err), 0);
    assert_int_equal(c.conf.seed, 7);
    assert_int_equal(build(&c, NULL, NULL, "seed=4 seed=5", NULL, NULL, err), 0);
    assert_int_equal(c.conf.seed, 5);
}

/* The bad value is refused and the caller's config stays as it was. */
static void refused(const char *m, const char *u, const char *env, const char *set,
                    const char *begin)
{
    struct config c = {.note = "untouched"};
    char err[CLI_LINE] = "";
    assert_int_equal(build(&c, m, u, env, set, NULL, err), -EINVAL);
    assert_int_equal(strncmp(err, begin, strlen(begin)), 0);
    assert_null(strchr(err, '\n'));
    assert_string_equal(c.note, "untouched");
}

static void a_bad_value_is_told_with_its_layer(void **state)
{
    char begin[128];
    (void)state;
    refused("none", NULL, NULL, NULL, "unknown machine `none`");
    refused(NULL, NULL, "cpu.cores=0", NULL, "PAGEWALK_SET: cpu.cores: 0 is out of range");
    refused(NULL, NULL, "cpu.cores", NULL, "PAGEWALK_SET: ");
    refused(NULL, NULL, NULL, "cpu.cores=65", "--set: cpu.cores: 65 is out of range");
    refused(NULL, NULL, NULL, "tlb.l2.ways=7", "tlb.l2.ways: 7 ways do not divide");
    put(user, "seed = 1\nseed = x\n");
    snprintf(begin, sizeof(begin), "%s:2: seed: ", user);
    refused(NULL, user, NULL, NULL, begin);
}

static void an_endless_word_of_the_environment_is_refused(void **state)
{
    static char word[5000];
    (void)state;
    memset(word, 'a', sizeof(word) - 1);
    refused(NULL, NULL, word, NULL, "PAGEWALK_SET: a word has more than");
}

static void the_users_file_is_found_where_xdg_says(void **state)
{
    char path[PATH_MAX], err[CLI_LINE], want[128];
    (void)state;
    snprintf(want, sizeof(want), "%s/pagewalk", dir);
    setenv("XDG_CONFIG_HOME", dir, 1);
    assert_int_equal(config_user_file(path, err, sizeof(err)), 0);
    assert_string_equal(path, ""); /* it does not exist */
    setenv("XDG_CONFIG_HOME", "relative", 1);
    setenv("HOME", "", 1);
    assert_int_equal(config_user_file(path, err, sizeof(err)), 0);
    assert_string_equal(path, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_overrides_the_weaker_ones),
        cmocka_unit_test(later_sets_win_over_earlier_ones),
        cmocka_unit_test(a_bad_value_is_told_with_its_layer),
        cmocka_unit_test(an_endless_word_of_the_environment_is_refused),
        cmocka_unit_test(the_users_file_is_found_where_xdg_says),
    };
    return cmocka_run_group_tests(tests, open_dir, close_dir);
}
