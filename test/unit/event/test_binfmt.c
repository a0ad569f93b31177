/* What a file's first bytes say: as the running kernel reads "#!" lines (fs/binfmt_script.c), and which
 * ELF headers it takes (fs/binfmt_elf.c). */
#include "event/binfmt.h"
#include "base/rng.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define ECHO "BINFMT_ECHO=1"

static char dir[] = "/tmp/binfmt-XXXXXX", interp[64], script[64];

static int set_up(void **state)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    (void)state;
    if (n < 0 || !mkdtemp(dir))
        return -1;
    self[n] = 0;
    snprintf(interp, sizeof interp, "%s/i", dir);
    snprintf(script, sizeof script, "%s/s", dir);
    return symlink(self, interp);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(interp);
    unlink(script);
    return rmdir(dir);
}

/* echo prints the arguments, a line each: what this program does when a script names it. */
static int echo(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        puts(argv[i]);
    return 0;
}

static void write_script(const char *text, size_t n)
{
    int fd = open(script, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

    assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n);
    close(fd);
}

/* native executes the script; what it said, or "errno N". */
static void native(char *ret, size_t size)
{
    char *const argv[] = {"zero", "one", NULL}, *const envp[] = {ECHO, NULL};
    int out[2], status;
    size_t n = 0;
    ssize_t got;
    pid_t pid;

    assert_int_equal(pipe(out), 0);
    pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        execve(script, argv, envp);
        printf("errno %d\n", errno);
        fflush(stdout);
        _exit(0);
    }
    close(out[1]);
    while (n < size - 1 && (got = read(out[0], ret + n, size - 1 - n)) > 0)
        n += (size_t)got;
    ret[n] = 0;
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* expected says what the parser makes of the same text. */
static void expected(const char *text, size_t n, char *ret, size_t size)
{
    char head[BINFMT_HEAD] = {0}, name[BINFMT_HEAD + 1], arg[BINFMT_HEAD + 2] = "";
    struct binfmt_script s;

    memcpy(head, text, n < sizeof head ? n : sizeof head);
    if (binfmt_look(head, &s) != BINFMT_SCRIPT) {
        snprintf(ret, size, "errno");
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)(s.interp_end - s.interp), head + s.interp);
    if (s.arg)
        snprintf(arg, sizeof arg, "%.*s\n", (int)(s.arg_end - s.arg), head + s.arg);
    if (strcmp(name, interp) != 0)
        snprintf(ret, size, "errno %d\n", ENOENT);
    else
        snprintf(ret, size, "%s\n%s%s\none\n", interp, arg, script);
}

static void assert_as_native(const char *text, size_t n)
{
    char is[2048], should[2048];

    write_script(text, n);
    native(should, sizeof should);
    expected(text, n, is, sizeof is);
    if (strncmp(should, is, strcmp(is, "errno") == 0 ? 5 : sizeof is) != 0)
        fail_msg("\"%.*s\": %s instead of %s", (int)n, text, is, should);
}

/* put adds a piece to a line. */
static size_t put(char *line, size_t n, const char *piece, size_t bytes)
{
    memcpy(line + n, piece, bytes);
    return n + bytes;
}

/* random_line makes a line of a script: blanks, the interpreter or another name, rubbish, perhaps as long
 * as what the kernel reads, perhaps without an end. */
static size_t random_line(struct rng *r, char *line)
{
    static const char some[] = " \t\0ab\n-  ";
    size_t n = put(line, 0, "#!", 2),
           rubbish = rng_below(r, 3) ? rng_below(r, 20) : rng_below(r, 300);

    for (uint64_t i = rng_below(r, 4); i > 0; i--)
        n = put(line, n, &some[rng_below(r, 2)], 1);
    if (rng_below(r, 8) == 0) /* the end of the head falls into the name */
        while (n < 256 - strlen(interp) + rng_below(r, 3))
            n = put(line, n, " ", 1);
    if (rng_below(r, 10))
        n = put(line, n, interp, strlen(interp));
    for (; rubbish > 0; rubbish--)
        n = put(line, n, &some[rng_below(r, sizeof some - 1)], 1);
    if (rng_below(r, 3))
        n = put(line, n, "\n", 1);
    return n;
}

static void lines_of_scripts_are_read_as_the_kernel_reads_them(void **state)
{
    struct rng r = {.state = 20261122};
    char line[1024];

    (void)state;
    for (unsigned i = 0; i < 600; i++)
        assert_as_native(line, random_line(&r, line));
}

static void a_name_cut_by_the_end_of_the_head_is_no_interpreter(void **state)
{
    char line[400];

    (void)state;
    for (size_t n = 250; n < 262; n++) {
        memset(line, ' ', sizeof line);
        memcpy(line, "#!", 2);
        memcpy(line + n - strlen(interp), interp, strlen(interp));
        assert_as_native(line, n);     /* the name ends the file */
        assert_as_native(line, n + 1); /* a blank behind it */
        line[n] = '\n';
        assert_as_native(line, n + 1);
    }
}

/* -- ELF ------------------------------------------------------------------------------------------- */
static enum binfmt look_at(const Elf64_Ehdr *eh)
{
    char head[BINFMT_HEAD] = {0};
    struct binfmt_script s;

    memcpy(head, eh, sizeof *eh);
    return binfmt_look(head, &s);
}

static void elf_headers_are_told_apart(void **state)
{
    Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                     .e_type = ET_DYN,
                     .e_machine = EM_X86_64,
                     .e_phentsize = sizeof(Elf64_Phdr),
                     .e_phnum = 9};
    Elf64_Ehdr other = eh;

    (void)state;
    assert_int_equal(look_at(&eh), BINFMT_ELF);
    other.e_type = ET_EXEC;
    assert_int_equal(look_at(&other), BINFMT_ELF);
    other.e_type = ET_REL;
    assert_int_equal(look_at(&other), BINFMT_NONE);
    other = eh, other.e_machine = EM_AARCH64;
    assert_int_equal(look_at(&other), BINFMT_FOREIGN);
    other = eh, other.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(look_at(&other), BINFMT_FOREIGN);
    other = eh, other.e_phnum = 0;
    assert_int_equal(look_at(&other), BINFMT_NONE);
    other = eh, other.e_phnum = 65536 / sizeof(Elf64_Phdr) + 1;
    assert_int_equal(look_at(&other), BINFMT_NONE);
    other = eh, other.e_phentsize = 32;
    assert_int_equal(look_at(&other), BINFMT_NONE);
    other = eh, other.e_ident[0] = 'x';
    assert_int_equal(look_at(&other), BINFMT_NONE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_scripts_are_read_as_the_kernel_reads_them),
        cmocka_unit_test(a_name_cut_by_the_end_of_the_head_is_no_interpreter),
        cmocka_unit_test(elf_headers_are_told_apart),
    };

    if (getenv("BINFMT_ECHO"))
        return echo(argc, argv);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
