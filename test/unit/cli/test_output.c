/* test_output.c: a result file appears whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/pagewalk-output-XXXXXX";
static char path[64];
static int stderr_kept = -1;

/* Refusals print their line; it goes to /dev/null here, test/e2e/cli_bad_input.sh reads it. */
static int open_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pagewalk-output-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/result", dir);
    stderr_kept = dup(STDERR_FILENO);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    close(null);
    return 0;
}

static int close_dir(void **state)
{
    (void)state;
    dup2(stderr_kept, STDERR_FILENO);
    close(stderr_kept);
    unlink(path);
    return rmdir(dir); /* fails if anything else is left */
}

static void put(const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void check(const char *text)
{
    char buf[64] = "";
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t n = fread(buf, 1, sizeof(buf) - 1, f);
    fclose(f);
    buf[n] = '\0';
    assert_string_equal(buf, text);
}

static unsigned files(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

static void a_check_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_int_equal(output_check(path), 0);
    assert_int_equal(files(), 0);
    put("old");
    assert_int_equal(output_check(path), 0);
    assert_int_equal(files(), 1);
    check("old");
}

static void the_old_result_stays_until_the_commit(void **state)
{
    struct output o;
    (void)state;
    put("old");
    assert_int_equal(output_open(&o, path), 0);
    assert_int_equal(write(o.fd, "new", 3), 3);
    check("old");
    assert_int_equal(output_commit(&o), 0);
    check("new");
    assert_int_equal(files(), 1);
}

static void a_cancelled_result_is_gone_and_the_old_one_stays(void **state)
{
    struct output o;
    (void)state;
    put("old");
    assert_int_equal(output_open(&o, path), 0);
    assert_int_equal(write(o.fd, "half", 4), 4);
    output_cancel(&o);
    check("old");
    assert_int_equal(files(), 1);
}

static void the_mode_is_the_old_ones_or_the_umasks(void **state)
{
    struct output o;
    struct stat st;
    mode_t before = umask(027);
    (void)state;
    assert_int_equal(output_open(&o, path), 0);
    assert_int_equal(output_commit(&o), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    chmod(path, 0604);
    assert_int_equal(output_open(&o, path), 0);
    assert_int_equal(output_commit(&o), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0604);
    umask(before);
}

static void directories_and_empty_names_are_refused(void **state)
{
    char below[96];
    (void)state;
    snprintf(below, sizeof(below), "%s/none/result", dir);
    assert_int_equal(output_check(dir), STATUS_FAILED);
    assert_int_equal(output_check(below), STATUS_FAILED);
    assert_int_equal(output_check(""), STATUS_FAILED);
    put("a file");
    snprintf(below, sizeof(below), "%s/result", path);
    assert_int_equal(output_check(below), STATUS_FAILED);
    check("a file");
}

static void a_target_that_becomes_a_directory_keeps_it(void **state)
{
    struct output o;
    (void)state;
    assert_int_equal(output_open(&o, path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(output_commit(&o), STATUS_FAILED);
    assert_int_equal(files(), 1);
    assert_int_equal(rmdir(path), 0);
}

static void a_device_is_written_in_place(void **state)
{
    struct output o;
    (void)state;
    assert_int_equal(output_check("/dev/null"), 0);
    assert_int_equal(output_open(&o, "/dev/null"), 0);
    assert_string_equal(o.temp, "");
    assert_int_equal(output_commit(&o), 0);
}

static void a_name_in_the_working_directory_needs_no_slash(void **state)
{
    struct output o;
    char cwd[PATH_MAX];
    (void)state;
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(output_check("result"), 0);
    assert_int_equal(output_open(&o, "result"), 0);
    assert_int_equal(write(o.fd, "x", 1), 1);
    assert_int_equal(output_commit(&o), 0);
    assert_int_equal(chdir(cwd), 0);
    check("x");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_dir, close_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_check_leaves_nothing_behind),
        TEST(the_old_result_stays_until_the_commit),
        TEST(a_cancelled_result_is_gone_and_the_old_one_stays),
        TEST(the_mode_is_the_old_ones_or_the_umasks),
        TEST(directories_and_empty_names_are_refused),
        TEST(a_target_that_becomes_a_directory_keeps_it),
        TEST(a_device_is_written_in_place),
        TEST(a_name_in_the_working_directory_needs_no_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
