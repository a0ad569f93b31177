/* links: front event base */
/* Which file a program name means, and the exit code when it cannot be run: 127 not found, 126 found
 * but not runnable (POSIX, Command Search and Execution). */
#include "fake_sim.h"
#include "front/front.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/pagewalk-find-XXXXXX", was[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) && getcwd(was, sizeof was) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    char line[64];

    (void)state;
    snprintf(line, sizeof line, "/bin/rm -rf %s", dir);
    return chdir(was) == 0 ? system(line) : -1;
}

static void put(const char *name, const void *bytes, size_t n, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    assert_int_equal(chmod(name, mode), 0);
}

static void put_text(const char *name, const char *text, mode_t mode)
{
    put(name, text, strlen(text), mode);
}

static void put_elf(const char *name, uint8_t class, uint16_t machine, uint16_t type)
{
    Elf64_Ehdr eh = {.e_type = type, .e_machine = machine};

    memcpy(eh.e_ident, ELFMAG, SELFMAG);
    eh.e_ident[EI_CLASS] = class;
    put(name, &eh, sizeof eh, 0755);
}

/* find returns front_find's code; the found path, or the line, is in `text`. The line must be one
 * and must name the program. */
static char text[4096];

static int find(const char *name)
{
    char err[512] = "", path[4096] = "untouched";
    int code = front_find(name, path, sizeof path, err, sizeof err);

    snprintf(text, sizeof text, "%s", code ? err : path);
    if (code) {
        assert_string_equal(path, "untouched");
        assert_null(strchr(err, '\n'));
        assert_true(strlen(err) > strlen(name));
    }
    return code;
}

static void a_name_without_slash_is_searched_in_path(void **state)
{
    (void)state;
    assert_int_equal(mkdir("a", 0755) | mkdir("b", 0755), 0);
    put_elf("b/prog", ELFCLASS64, EM_X86_64, ET_DYN);
    setenv("PATH", "a:b", 1);
    assert_int_equal(find("prog"), 0);
    assert_string_equal(text, "b/prog");
    put_text("a/prog", "data", 0644); /* not executable: the search goes on */
    assert_int_equal(find("prog"), 0);
    assert_string_equal(text, "b/prog");
    assert_int_equal(mkdir("a/deep", 0755), 0); /* a directory is no program */
    assert_int_equal(find("deep"), 126);
    assert_int_equal(find("nothing"), 127);
    setenv("PATH", "a", 1);
    assert_int_equal(find("prog"), 126);
}

static void an_empty_part_of_path_is_the_current_directory(void **state)
{
    (void)state;
    put_elf("here", ELFCLASS64, EM_X86_64, ET_EXEC);
    setenv("PATH", "a::b", 1);
    assert_int_equal(find("here"), 0);
    assert_string_equal(text, "here");
    setenv("PATH", "a:b", 1);
    assert_int_equal(find("here"), 127);
}

static void a_name_with_slash_is_taken_as_it_is(void **state)
{
    (void)state;
    put_elf("direct", ELFCLASS64, EM_X86_64, ET_EXEC);
    assert_int_equal(find("./direct"), 0);
    assert_string_equal(text, "./direct");
    assert_int_equal(find("./absent"), 127);
    assert_int_equal(find("./direct/below"), 127);
    assert_int_equal(find(""), 127);
}

static void what_is_no_x86_64_program_is_refused(void **state)
{
    (void)state;
    put_elf("elf32", ELFCLASS32, EM_386, ET_EXEC);
    assert_int_equal(find("./elf32"), 126);
    assert_non_null(strstr(text, "32-bit"));
    put_elf("arm", ELFCLASS64, EM_AARCH64, ET_DYN);
    assert_int_equal(find("./arm"), 126);
    assert_non_null(strstr(text, "another processor"));
    put_elf("object", ELFCLASS64, EM_X86_64, ET_REL);
    assert_int_equal(find("./object"), 126);
    put("short", ELFMAG, SELFMAG, 0755);
    assert_int_equal(find("./short"), 126);
    put("binary", "\1\2\0\3", 4, 0755);
    assert_int_equal(find("./binary"), 126);
    put_text("plain", "echo hi\n", 0644);
    assert_int_equal(find("./plain"), 126);
    assert_non_null(strstr(text, "not executable"));
    assert_int_equal(find("/"), 126);
    assert_non_null(strstr(text, "directory"));
}

static void assert_argv(char *const *argv, const char *const *expected)
{
    for (; *expected; argv++, expected++) {
        assert_non_null(*argv);
        assert_string_equal(*argv, *expected);
    }
    assert_null(*argv);
}

/* resolve opens the command for argv and checks what will be executed. */
static void resolve(char *const *argv, const char *path, const char *const *expected)
{
    struct front_command c;
    char err[512];

    assert_int_equal(front_command_open(&c, argv, err, sizeof err), 0);
    assert_string_equal(c.path, path);
    assert_string_equal(c.found, argv[0]);
    assert_argv(c.argv, expected);
    front_command_close(&c);
}

static void scripts_become_their_interpreter_as_in_the_kernel(void **state)
{
    (void)state;
    put_elf("int", ELFCLASS64, EM_X86_64, ET_EXEC);
    put_text("s1", "#! ./int\nrest", 0755);
    resolve((char *[]){"./s1", "x", NULL}, "./int", (const char *[]){"./int", "./s1", "x", NULL});
    put_text("s2", "#!./int  -a b \t\n", 0755); /* one argument, blanks inside kept */
    resolve((char *[]){"./s2", NULL}, "./int", (const char *[]){"./int", "-a b", "./s2", NULL});
    put_text("s3", "#!./s2\n", 0755); /* a script for an interpreter */
    resolve((char *[]){"./s3", "y", NULL}, "./int",
            (const char *[]){"./int", "-a b", "./s2", "./s3", "y", NULL});
    put_text("s4", "#!./int", 0755); /* no newline */
    resolve((char *[]){"./s4", NULL}, "./int", (const char *[]){"./int", "./s4", NULL});
    put_text("s5", "echo hi\n", 0755); /* no #! at all: execvp's shell */
    resolve((char *[]){"./s5", NULL}, "/bin/sh", (const char *[]){"/bin/sh", "./s5", NULL});
}

static void bad_scripts_are_refused(void **state)
{
    (void)state;
    put_text("loop", "#!./loop\n", 0755);
    assert_int_equal(find("./loop"), 126);
    put_text("gone", "#!/no/interpreter\n", 0755);
    assert_int_equal(find("./gone"), 126);
    assert_non_null(strstr(text, "/no/interpreter"));
    put_text("empty", "#!\n", 0755);
    assert_int_equal(find("./empty"), 126);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_without_slash_is_searched_in_path),
        cmocka_unit_test(an_empty_part_of_path_is_the_current_directory),
        cmocka_unit_test(a_name_with_slash_is_taken_as_it_is),
        cmocka_unit_test(what_is_no_x86_64_program_is_refused),
        cmocka_unit_test(scripts_become_their_interpreter_as_in_the_kernel),
        cmocka_unit_test(bad_scripts_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
