/* fuzz_proc: everything of src/proc and src/cli that reads what somebody else wrote about /proc: orders,
 * assignments, names of files, ranges, requests to a running machine, runs of words. The first byte says
 * which.
 *
 * What a parser takes must be something the program can use: that is asserted. */
#include "fuzz/fuzz.h"

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
        fuzz_message(err);
        ASSERT(memcmp(&o, &before, sizeof o) == 0);
    }
}

static void fuzz_assignment(const char *text)
{
    struct proc_order o = {0};
    char err[40] = "";
    if (proc_assignment_parse(text, &o, err, sizeof err) == 0)
        ASSERT(proc_sysctl_find(o.key) >= 0);
    else
        fuzz_message(err), ASSERT(o.key[0] == '\0');
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
        fuzz_message(err);
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

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\0"
              "5ms: vm.drop_caches=1"),
    FUZZ_SEED("\0"
              "18446744073709551615i: sys/vm/lowmem_reserve_ratio = 1 2 3 4 5"),
    FUZZ_SEED("\0"
              "0s:/proc/sys/vm/swappiness=0x10"),
    FUZZ_SEED("\1vm.min_free_kbytes=67584"),
    FUZZ_SEED("\2/proc/4294967295/smaps_rollup"),
    FUZZ_SEED("\2/sys/devices/system/node/node12/meminfo"),
    FUZZ_SEED("\2node0/numastat"),
    FUZZ_SEED("\2self/pagemap"),
    FUZZ_SEED("\2vm.page-cluster"),
    FUZZ_SEED("\3"
              "0x7ffff7ff7000-0x7ffff7ffb000"),
    FUZZ_SEED("\3"
              "18446744073709551615-1"),
    FUZZ_SEED("\4view smaps 4294967295\n"),
    FUZZ_SEED("\4view /sys/devices/system/node/node0/vmstat 0\n"),
    FUZZ_SEED("\4set vm.swappiness=60\n"),
    FUZZ_SEED("\5\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
              "\4\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),
};
FUZZ_SEEDS(seeds)
