/* The command line of QEMU: what its parser of options makes of it, and what Linux calls a task. */
#include "event/qemu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* take_value reads a value as QEMU's get_opt_value does: two commas are one, one ends it. */
static const char *take_value(const char *from, char *to, size_t size)
{
    size_t n = 0;

    for (; *from; from++) {
        if (*from == ',' && *++from != ',')
            break;
        assert_true(n + 1 < size);
        to[n++] = *from;
    }
    to[n] = 0;
    return from;
}

static void a_command_keeps_the_programs_words_and_the_plugins_commas(void **state)
{
    char *const argv[] = {"zero", "-one", "two words", "", NULL};
    char value[64];
    char **v = qemu_argv(&(struct qemu_command){.qemu = "/q",
                                                .cpu = "max,x=off",
                                                .plugin = "/a,b,,c/p.so",
                                                .options = ",fd=7",
                                                .comm = "n,m",
                                                .stack = 12345678901,
                                                .path = "/bin/x",
                                                .argv = argv});
    const char *const words[] = {"/q", "-cpu", "max,x=off", "-s",   "12345678901", "-plugin", NULL,
                                 "-0", "zero", "/bin/x",    "-one", "two words",   ""};
    const char *rest;

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i])
            assert_string_equal(v[i], words[i]);
    assert_null(v[sizeof words / sizeof *words]);
    rest = take_value(v[6], value, sizeof value);
    assert_string_equal(value, "/a,b,,c/p.so");
    rest = take_value(rest, value, sizeof value);
    assert_string_equal(value, "fd=7");
    rest = take_value(rest, value, sizeof value);
    assert_string_equal(value, "comm=n,m");
    assert_string_equal(rest, "");
    free(v);
}

static void a_stack_is_what_the_limit_lets_it_be(void **state)
{
    (void)state;
    assert_int_equal(qemu_stack_bytes(UINT64_MAX), 8 << 20);
    assert_int_equal(qemu_stack_bytes(0), 128 << 10);
    assert_int_equal(qemu_stack_bytes((8 << 20) + 4095), 8 << 20);
    assert_int_equal(qemu_stack_bytes(UINT64_C(1) << 40), UINT64_C(16) << 30);
}

static void a_list_is_turned_round(void **state)
{
    char *a = "a", *b = "b", *c = "c", *odd[] = {a, b, c, NULL}, *even[] = {a, b, NULL},
         *none[] = {NULL};

    (void)state;
    qemu_reverse(odd);
    assert_true(odd[0] == c && odd[1] == b && odd[2] == a && !odd[3]);
    qemu_reverse(even);
    assert_true(even[0] == b && even[1] == a && !even[2]);
    qemu_reverse(none);
    assert_null(none[0]);
}

/* kernel_comm has the running kernel name a task that executes `filename`, a link to a shell. */
static void kernel_comm(const char *filename, char comm[QEMU_COMM])
{
    int fds[2], status;
    pid_t pid;

    memset(comm, 0, QEMU_COMM);
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(filename, "sh", "-c", "read x < /proc/$$/comm; printf %s \"$x\"", (char *)NULL);
        _exit(1);
    }
    close(fds[1]);
    assert_true(read(fds[0], comm, QEMU_COMM - 1) > 0);
    close(fds[0]);
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void a_task_is_called_as_the_kernel_calls_it(void **state)
{
    static const char *const names[] = {"s", "fifteen_letters", "sixteen_letters_", "with,comma",
                                        "an_uncommonly_long_name"};
    char dir[] = "/tmp/comm-XXXXXX", path[128], ours[QEMU_COMM], theirs[QEMU_COMM];

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(symlink("/bin/sh", path), 0);
        kernel_comm(path, theirs);
        qemu_comm(ours, path);
        unlink(path);
        assert_memory_equal(ours, theirs, QEMU_COMM);
    }
    rmdir(dir);
    qemu_comm(ours, "no-slash");
    assert_string_equal(ours, "no-slash");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_keeps_the_programs_words_and_the_plugins_commas),
        cmocka_unit_test(a_stack_is_what_the_limit_lets_it_be),
        cmocka_unit_test(a_list_is_turned_round),
        cmocka_unit_test(a_task_is_called_as_the_kernel_calls_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
