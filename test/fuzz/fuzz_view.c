/* fuzz_view: the saved end of a run, as `view` reads it. Byte 0: length of the mark; then the mark, a range
 * up to a newline, and the runs of a pagemap.
 *
 * Files that are damaged give one line; from the others come the words of the range, as many as it
 * has. */
#include "cli/cli.h"
#include "cli/save.h"
#include "cli/words.h"
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 4096u
#define NAME_MAX_ 80

/* The saved end: a directory in memory, made once and removed at the end. */
static char dir[] = "/dev/shm/fuzz-view-XXXXXX";
static const char *const below[] = {"/proc/7", "/proc", ""};
static const char *const files[] = {("/" SAVE_MARK), "/proc/7/pagemap.runs", "/out"};

static char *name_of(const char *file, char name[NAME_MAX_])
{
    snprintf(name, NAME_MAX_, "%s%s", dir, file);
    return name;
}

static void remove_dir(void)
{
    char name[NAME_MAX_];
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(name_of(files[i], name));
    for (size_t i = 0; i < ARRAY_LEN(below); i++)
        rmdir(name_of(below[i], name));
}

static void make_dir(void)
{
    static bool made;
    char name[NAME_MAX_];
    if (made)
        return;
    made = true;
    ASSERT(mkdtemp(dir) && atexit(remove_dir) == 0);
    for (size_t i = ARRAY_LEN(below) - 1; i-- > 0;)
        ASSERT(mkdir(name_of(below[i], name), 0700) == 0);
}

static void put(const char *file, const void *bytes, size_t n)
{
    char name[NAME_MAX_];
    int fd = open(name_of(file, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ASSERT(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

/* word_at is what pagemap has at an index. */
static uint64_t word_at(const struct proc_run *runs, size_t n, uint64_t index)
{
    for (size_t i = 0; i < n; i++)
        if (index >= runs[i].index && index - runs[i].index < runs[i].count)
            return runs[i].word + (index - runs[i].index) * runs[i].step;
    return 0;
}

static void check_output(const struct proc_run *runs, size_t n, const struct word_range *range)
{
    static uint64_t words[WORDS_MAX + 1];
    char name[NAME_MAX_];
    int fd = open(name_of(files[2], name), O_RDONLY | O_CLOEXEC);
    size_t want = (range->end - range->first) * 8;
    ASSERT(fd >= 0 && read(fd, words, sizeof words) == (ssize_t)want);
    close(fd);
    for (uint64_t i = 0; i < want / 8; i++)
        ASSERT(words[i] == word_at(runs, n, range->first + i));
}

static int view(char *range)
{
    char out[NAME_MAX_], from[] = "--from", to[] = "--output", part[] = "--range",
                         file[] = "pagemap";
    char *argv[] = {from, dir, to, name_of(files[2], out), part, range, file};
    struct cli_args a;
    unlink(out);
    fuzz_hush();
    int status = args_parse(&a, &verb_view, ARRAY_LEN(argv), argv);
    ASSERT(status == 0);
    status = verb_view.run(&a);
    unsigned lines = fuzz_heard();
    args_close(&a);
    ASSERT(status == 0 ? lines == 0 : status == STATUS_FAILED && lines == 1);
    ASSERT(status == 0 || access(out, F_OK) != 0);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes in = {data, size};
    struct word_range range;
    char list[64], text[64] = "";
    uint32_t first;
    make_dir();
    size_t mark = fuzz_take(&in, 1), n;
    mark = min_u64(mark, in.left);
    put(files[0], in.at, mark);
    in = (struct fuzz_bytes){in.at + mark, in.left - mark};
    for (n = 0; n < sizeof text - 1 && in.left > 0 && *in.at != '\n'; n++)
        text[n] = (char)fuzz_take(&in, 1);
    fuzz_take(&in, 1);
    put(files[1], in.at, in.left);
    bool ours = save_list(dir, list, sizeof list, &first);
    ASSERT(memchr(list, '\0', sizeof list) && (ours || first == 0));
    if (words_parse_range(text, PAGE_SIZE, &range) && range.end - range.first > WORDS_MAX)
        return 0;
    struct proc_run *runs = malloc(in.left + 1);
    ASSERT(runs);
    memcpy(runs, in.at, in.left);
    if (view(text) == 0)
        check_output(runs, in.left / sizeof *runs, &range);
    free(runs);
    return 0;
}

size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    static const char mark[] = SAVE_FIRST "\nprogram \"ls\"\nmachine m\nprocess 7 \"ls\"\n"
                                          "process 8 \"a\\\"b\"\n";
    static const char *const ranges[] = {"0x400000-0x402000\n", "4096-8192000\n", "0-1\n"};
    static const struct proc_run runs[] = {
        {.index = 0x400, .count = 1, .word = UINT64_C(0x8600000000000123), .step = 1},
        {.index = 0x401, .count = 3, .word = UINT64_C(0x8600000000000200), .step = 1},
        {.index = 0x600, .count = 0x100, .word = 7, .step = 0},
    };
    if (nth >= ARRAY_LEN(ranges))
        return 0;
    buf[0] = sizeof mark - 1;
    size_t n = 1 + fuzz_copy_seed(buf + 1, mark, sizeof mark - 1);
    n += fuzz_copy_seed(buf + n, ranges[nth], strlen(ranges[nth]));
    return n + fuzz_copy_seed(buf + n, runs, sizeof runs);
}
