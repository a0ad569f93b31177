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

/* The least that is a program: a header and a segment that is the whole file; room for a second. */
struct elf {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    char interpreter[32];
};

static struct elf elf_of(uint8_t class, uint16_t machine, uint16_t type)
{
    struct elf e = {.eh = {.e_type = type,
                           .e_machine = machine,
                           .e_phoff = sizeof e.eh,
                           .e_phentsize = sizeof e.ph[0],
                           .e_phnum = 1},
                    .ph = {{.p_type = PT_LOAD, .p_filesz = sizeof e, .p_memsz = sizeof e}}};

    memcpy(e.eh.e_ident, ELFMAG, SELFMAG);
    e.eh.e_ident[EI_CLASS] = class;
    return e;
}

static void put_elf(const char *name, uint8_t class, uint16_t machine, uint16_t type)
{
    struct elf e = elf_of(class, machine, type);

    put(name, &e, sizeof e, 0755);
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

static void a_broken_program_is_refused(void **state)
{
    const struct elf good = elf_of(ELFCLASS64, EM_X86_64, ET_DYN);
    struct elf e = good;

    (void)state;
    for (size_t n = SELFMAG; n < sizeof e; n += 7) {
        put("cut", &e, n, 0755);
        assert_int_equal(find("./cut"), 126);
        assert_non_null(strstr(text, "truncated"));
    }
    e.eh.e_phoff = UINT64_C(1) << 40; /* headers beyond the end */
    put("far", &e, sizeof e, 0755);
    assert_int_equal(find("./far"), 126);
    e.eh.e_phoff = UINT64_MAX - 8;
    put("far", &e, sizeof e, 0755);
    assert_int_equal(find("./far"), 126);
    e = good;
    e.ph[0].p_offset = UINT64_MAX - 16; /* offset + size wraps round */
    put("wraps", &e, sizeof e, 0755);
    assert_int_equal(find("./wraps"), 126);
    e = good;
    e.eh.e_phnum = 0;
    put("headless", &e, sizeof e, 0755);
    assert_int_equal(find("./headless"), 126);
    e = good;
    e.ph[0].p_type = PT_NOTE;
    put("noload", &e, sizeof e, 0755);
    assert_int_equal(find("./noload"), 126);
}

/* A shell says 127 for a program whose interpreter is missing. */
/* The name comes from the file. */
static void a_name_with_a_newline_does_not_break_the_message(void **state)
{
    char err[256] = "", path[4096], *argv[] = {(char *)"./none\nsuch", NULL};
    (void)state;
    assert_int_equal(front_find(argv[0], path, sizeof path, err, sizeof err), 127);
    assert_string_equal(err, "./none?such: No such file or directory");
}

static void a_missing_interpreter_gives_127(void **state)
{
    struct elf e = elf_of(ELFCLASS64, EM_X86_64, ET_DYN);

    (void)state;
    e.eh.e_phnum = 2;
    e.ph[1] = (Elf64_Phdr){.p_type = PT_INTERP,
                           .p_offset = offsetof(struct elf, interpreter),
                           .p_filesz = sizeof e.interpreter};
    strcpy(e.interpreter, "/no/such/loader");
    put("lost", &e, sizeof e, 0755);
    assert_int_equal(find("./lost"), 127);
    assert_non_null(strstr(text, "/no/such/loader"));
    strcpy(e.interpreter, "/bin/sh");
    put("lost", &e, sizeof e, 0755);
    assert_int_equal(find("./lost"), 0);
    memset(e.interpreter, 'x', sizeof e.interpreter); /* no zero at its end */
    put("lost", &e, sizeof e, 0755);
    assert_int_equal(find("./lost"), 126);
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
        cmocka_unit_test(a_broken_program_is_refused),
        cmocka_unit_test(a_name_with_a_newline_does_not_break_the_message),
        cmocka_unit_test(a_missing_interpreter_gives_127),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
