/* Machine files: what is read, and which line an error names. */
#include "base/rng.h"
#include "conf/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64], err[512];
static int file; /* in memory: thousands of files are written */

static int setup(void **state)
{
    (void)state;
    file = memfd_create("machine", 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    return file < 0;
}

static int teardown(void **state)
{
    (void)state;
    return close(file);
}

static int load(struct conf *c, const char *text, size_t n)
{
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, text, n, 0), n);
    conf_init(c);
    return conf_load(c, path, err, sizeof(err));
}

static void assert_bad(const char *text, size_t n, const char *what)
{
    struct conf c, d;
    char want[512];
    conf_init(&d);
    assert_int_equal(load(&c, text, n), -EINVAL);
    snprintf(want, sizeof(want), "%s:%s", path, what);
    assert_string_equal(err, want);
    assert_memory_equal(&c, &d, sizeof(c));
}

#define ASSERT_BAD(text, what) assert_bad(text, sizeof(text) - 1, what)

static void values_comments_sections_and_blanks_are_read(void **state)
{
    static const char text[] = "# a comment\n; another\n\n"
                               "cpu.cores = 4\n[tlb]\n  tlb.l2.entries=2048   # Intel SDM\n"
                               "\ttlb.l2.ways = 8 ; indented, no continuation\r\n"
                               "cpu.model = Zen #4, really # said so\n"
                               "phys.size = 1G";
    struct conf c;
    (void)state;
    assert_int_equal(load(&c, text, sizeof(text) - 1), 0);
    assert_int_equal(c.cpu_cores, 4);
    assert_int_equal(c.tlb_l2_entries, 2048);
    assert_int_equal(c.tlb_l2_ways, 8);
    assert_string_equal(c.cpu_model, "Zen");
    assert_int_equal(c.phys_size, GIB(1));
    assert_int_equal(c.cpu_mhz, 3000); /* not named: as it was */
}

static void hash_inside_a_word_is_no_comment(void **state)
{
    static const char text[] = "cpu.model = a#b;c\n";
    struct conf c;
    (void)state;
    assert_int_equal(load(&c, text, sizeof(text) - 1), 0);
    assert_string_equal(c.cpu_model, "a#b;c");
}

static void long_comment_hides_nothing_behind_it(void **state)
{
    char text[700] = "";
    struct conf c;
    (void)state;
    memset(text, '#', 500);
    memcpy(text + 300, "cpu.cores = 9 ", 14);
    memcpy(text + 500, "\ncpu.mhz = 2000\n", 16);
    assert_int_equal(load(&c, text, strlen(text)), 0);
    assert_int_equal(c.cpu_cores, 2);
    assert_int_equal(c.cpu_mhz, 2000);
}

static void first_bad_line_is_named(void **state)
{
    (void)state;
    ASSERT_BAD("cpu.cores = 4\n\ncpu.cors = 4\ncpu.mhz = 1\n",
               "3: unknown option `cpu.cors`; did you mean `cpu.cores`?");
    ASSERT_BAD("# x\ncpu.mhz = 1\n", "2: cpu.mhz: 1 is out of range; take 100 to 10000 MHz");
    ASSERT_BAD("cpu.cores = 4\nrubbish\ncpu.mhz = 1\n", "2: not understood; write key = value");
    ASSERT_BAD("cpu.mhz = 1\nrubbish\n", "1: cpu.mhz: 1 is out of range; take 100 to 10000 MHz");
    ASSERT_BAD("[open\n", "1: not understood; write key = value");
    ASSERT_BAD("cpu.cores =\n", "1: cpu.cores: `` is not a whole number; take 1 to 64 cores");
}

static void binary_and_endless_lines_are_refused(void **state)
{
    char text[1000] = "cpu.cores = 4\ncpu.model = ";
    (void)state;
    ASSERT_BAD("seed = 1\nseed = \0 2\n", "2: the line holds a zero byte; this is no machine file");
    memset(text + strlen(text), 'x', 900);
    assert_bad(text, strlen(text), "2: the line is too long");
}

static void file_that_cannot_be_read_says_why(void **state)
{
    struct conf c;
    (void)state;
    conf_init(&c);
    assert_int_equal(conf_load(&c, "/nonexistent/x.ini", err, sizeof(err)), -ENOENT);
    assert_string_equal(err, "/nonexistent/x.ini: cannot open it: No such file or directory");
    assert_int_equal(conf_load(&c, "/", err, sizeof(err)), -EISDIR);
    assert_string_equal(err, "/: cannot read it: Is a directory");
}

static void empty_file_changes_nothing(void **state)
{
    struct conf c, d;
    (void)state;
    conf_init(&d);
    assert_int_equal(load(&c, "", 0), 0);
    assert_memory_equal(&c, &d, sizeof(c));
}

/* One to eight bytes of a good file become other bytes; some files are cut short. */
static size_t damage(char *text, size_t n, struct rng *r)
{
    static const char spice[] = "\0\n\r=:;#[]. \t0189KMGTx\xff";
    for (uint64_t i = rng_below(r, 8) + 1; i > 0; i--)
        text[rng_below(r, n)] = spice[rng_below(r, sizeof(spice) - 1)];
    return rng_below(r, 4) == 0 ? (size_t)rng_below(r, n) : n;
}

static void damaged_files_are_read_whole_or_change_nothing(void **state)
{
    static const char good[] = "# a machine\ncpu.cores = 4\n[tlb]\ntlb.l2.entries = 0x800 # x\n"
                               "tlb.l2.policy=lru\nphys.size = 64M\ncpu.model = a b ; c\n"
                               "mmu.pcid: off\nseed = 18446744073709551615\n";
    struct rng r = {.state = 7};
    unsigned bad = 0;
    (void)state;
    for (int i = 0; i < 4000; i++) {
        struct conf c, d;
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        conf_init(&d);
        if (load(&c, text, damage(text, sizeof(good) - 1, &r)) == 0)
            continue;
        bad++;
        assert_memory_equal(&c, &d, sizeof(c));
        assert_true(strncmp(err, path, strlen(path)) == 0);
        assert_true(strlen(err) < sizeof(err) - 1);
    }
    assert_in_range(bad, 1000, 3999); /* both kinds happened often */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_comments_sections_and_blanks_are_read),
        cmocka_unit_test(hash_inside_a_word_is_no_comment),
        cmocka_unit_test(long_comment_hides_nothing_behind_it),
        cmocka_unit_test(first_bad_line_is_named),
        cmocka_unit_test(binary_and_endless_lines_are_refused),
        cmocka_unit_test(file_that_cannot_be_read_says_why),
        cmocka_unit_test(empty_file_changes_nothing),
        cmocka_unit_test(damaged_files_are_read_whole_or_change_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
