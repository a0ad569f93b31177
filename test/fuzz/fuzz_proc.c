/* fuzz_proc: everything of src/proc and src/cli that reads what somebody else wrote about /proc: orders,
 * assignments, names of files, ranges, requests to a running machine, runs of words. The first byte says
 * which.
 *
 *   clang -fsanitize=fuzzer,address …   libFuzzer drives LLVMFuzzerTestOneInput
 *   test/unit/cli/test_fuzz_proc.c      drives it over seeded random bytes, in make check
 *
 * What a parser takes must be something the program can use: that is asserted. */
#include "fuzz/fuzz_proc.h"

#include "base/check.h"
#include "cli/control.h"
#include "cli/words.h"
#include "proc/files.h"

#include <stdlib.h>
#include <string.h>

static void fuzz_order(const char *text)
{
    struct proc_order o, before = {.at = 7, .key = "untouched"};
    char err[120] = "";
    o = before;
    if (proc_order_parse(text, &o, err, sizeof err) == 0) {
        ASSERT(proc_sysctl_find(o.key) >= 0 && o.value[0] != '\0');
        ASSERT(memchr(o.value, '\0', sizeof o.value) && memchr(o.key, '\0', sizeof o.key));
    } else {
        ASSERT(err[0] != '\0' && memcmp(&o, &before, sizeof o) == 0);
    }
}

static void fuzz_assignment(const char *text)
{
    struct proc_order o = {0};
    char err[40] = "";
    if (proc_assignment_parse(text, &o, err, sizeof err) == 0)
        ASSERT(proc_sysctl_find(o.key) >= 0);
    else
        ASSERT(err[0] != '\0' && o.key[0] == '\0');
}

/* A name that is understood has a path, and the path is understood as the same file. */
static void fuzz_name(const char *text)
{
    struct proc_target t, again;
    char path[PROC_PATH_MAX], full[PROC_PATH_MAX + 1];
    if (proc_resolve(text, &t) != 0)
        return;
    proc_target_path(&t, path);
    snprintf(full, sizeof full, "%s%s", path[0] == 'n' ? "" : "/", path);
    if (proc_file(t.file)->scope == PROC_OF_PROCESS && t.pid == 0)
        return;
    ASSERT(proc_resolve(full, &again) == 0);
    ASSERT(again.file == t.file && again.pid == t.pid && again.nid == t.nid &&
           again.sysctl == t.sysctl);
}

static void fuzz_request(const char *text)
{
    struct control_request r;
    char err[100] = "";
    if (control_parse(text, &r, err, sizeof err) != 0)
        ASSERT(err[0] != '\0');
    else
        ASSERT(r.set ? proc_sysctl_find(r.order.key) >= 0 : r.target.file < PROC_FILE_NR);
}

static void fuzz_range(const char *text)
{
    struct word_range r;
    if (words_parse_range(text, 4096, &r))
        ASSERT(r.first < r.end && r.end <= UINT64_C(1) << 60);
    if (words_parse_range(text, 1, &r))
        ASSERT(r.first < r.end);
}

static void fuzz_runs(const uint8_t *data, size_t size)
{
    size_t n = size / sizeof(struct proc_run);
    struct proc_run *runs = malloc(size + 1);
    memcpy(runs, data, size);
    if (words_check(runs, n))
        for (size_t i = 1; i < n; i++)
            ASSERT(runs[i - 1].index + runs[i - 1].count <= runs[i].index);
    free(runs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 6) {
    case 0:
        fuzz_order(text);
        break;
    case 1:
        fuzz_assignment(text);
        break;
    case 2:
        fuzz_name(text);
        break;
    case 3:
        fuzz_range(text);
        break;
    case 4:
        fuzz_request(text);
        break;
    default:
        fuzz_runs(data + 1, size - 1);
    }
    free(text);
    return 0;
}
