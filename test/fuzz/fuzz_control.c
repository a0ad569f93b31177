/* fuzz_control: both ends of the control socket. Byte 0: the input is an answer (1 more than a multiple of
 * 3), the text of /proc/net/unix (2 more), or requests to a machine, one a line.
 *
 * An answer is one line of refusal, or says how long it is; a tunable that is refused keeps its value, and
 * what is read of one can be written. An answer is taken whole or not at all. A list of runs is numbers,
 * each of which stands in the text. */
#include "cli/control.h"
#include "fuzz/fuzz.h"

#include <stdio.h>

/* all_tunables prints every one of them that can be read. */
static char *all_tunables(struct sim *s)
{
    struct proc_machine m;
    struct sink out;
    sim_machine(s, &m);
    sink_memory(&out);
    for (unsigned i = 0; proc_sysctl_name(i); i++)
        proc_sysctl_put(&out, &m, i);
    return sink_take(&out);
}

static bool answer_is_sound(const struct sink *a)
{
    char first[40];
    const char *end = memchr(a->data, '\n', a->len);
    ASSERT(end);
    size_t body = a->len - (size_t)(end + 1 - a->data);
    if (a->len > 3 && strncmp(a->data, "no ", 3) == 0) {
        ASSERT(body == 0 && end > a->data + 3);
        return false;
    }
    snprintf(first, sizeof first, "ok %zu\n", body);
    ASSERT(strncmp(a->data, first, strlen(first)) == 0);
    return true;
}

/* write_back: what a tunable reads is a value that it takes, and then it reads the same. */
static void write_back(struct sim *s, const char *line)
{
    struct proc_order o;
    struct proc_machine m;
    struct sink text;
    char err[300];
    ASSERT(proc_assignment_parse(line + 4, &o, err, sizeof err) == 0);
    char *before = all_tunables(s);
    sim_machine(s, &m);
    sink_memory(&text);
    if (proc_sysctl_put(&text, &m, (unsigned)proc_sysctl_find(o.key)) == 0) {
        sink_char(&text, '\0');
        ASSERT(sim_sysctl(s, o.key, text.data, err, sizeof err) == 0);
        char *after = all_tunables(s);
        ASSERT(strcmp(before, after) == 0);
        free(after);
    }
    sink_close(&text);
    free(before);
}

static void request(struct sim *s, const char *line)
{
    char text[CONTROL_MAX];
    struct sink answer;
    snprintf(text, sizeof text - 1, "%s", line);
    strcat(text, "\n");
    char *before = all_tunables(s);
    sink_memory(&answer);
    control_answer(s, text, &answer);
    char *after = all_tunables(s);
    bool ok = answer_is_sound(&answer);
    ASSERT(ok || strcmp(before, after) == 0);
    if (ok && strncmp(text, "set ", 4) == 0)
        write_back(s, text);
    sink_close(&answer);
    free(before);
    free(after);
}

static void requests(const uint8_t *data, size_t size)
{
    struct sim *s = fuzz_sim();
    char *text = fuzz_text(data, size), *rest = text, *line;
    for (unsigned i = 0; i < 6 && (line = strsep(&rest, "\n")); i++)
        request(s, line);
    ASSERT(sim_audit(s) == 0);
    free(text);
    sim_close(s);
}

static void answer(const uint8_t *data, size_t size)
{
    struct sink all, body;
    sink_memory(&all);
    sink_memory(&body);
    sink_bytes(&all, (const char *)data, size);
    fuzz_hush();
    int status = control_take(&all, 7, &body);
    unsigned lines = fuzz_heard();
    ASSERT(status == 0 ? lines == 0 && body.len < size : lines == 1 && body.len == 0);
    ASSERT(body.len == 0 || memcmp(body.data, data + size - body.len, body.len) == 0);
    sink_close(&all);
    sink_close(&body);
}

/* runs: a list of any length; only the last number of a full one may be cut. */
static void runs(const uint8_t *data, size_t size)
{
    char list[300], *rest = list, *pid;
    size_t room = 20 + size % (sizeof list - 20);
    FILE *f = fopen(fuzz_file(data, size), "re");
    ASSERT(f);
    control_list_runs(f, list, room);
    fclose(f);
    ASSERT(memchr(list, '\0', room) && strspn(list, "0123456789, ") == strlen(list));
    bool full = strlen(list) == room - 1;
    while (list[0] != '\0' && (pid = strsep(&rest, ","))) {
        pid += *pid == ' ';
        ASSERT((full && !rest) || memmem(data, size, pid, strlen(pid)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 3 == 1)
        answer(data + 1, size - 1);
    else if (size > 0 && data[0] % 3 == 2)
        runs(data + 1, size - 1);
    else if (size > 0)
        requests(data + 1, size - 1);
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\0set vm.swappiness=60\nview sys/vm/swappiness 0\nset vm.swappiness=201"),
    FUZZ_SEED("\0set vm.lowmem_reserve_ratio=256\t256 32 0 1\nset vm.min_free_kbytes=4096"),
    FUZZ_SEED("\0set vm.drop_caches=3\nset vm.compact_memory=1\nset vm.overcommit_ratio=0x32"),
    FUZZ_SEED("\0set vm.watermark_scale_factor=3000\nset vm.watermark_boost_factor=0\n"),
    FUZZ_SEED("\0set vm.percpu_pagelist_high_fraction=8\nset vm.dirty_bytes=8192"),
    FUZZ_SEED("\0view meminfo 0\nview node0/numastat 0\nview smaps 0\nview /proc/1/maps 1"),
    FUZZ_SEED("\0view pagemap 0\nview kpageflags 0\nview /sys/devices/system/node/node0/vmstat 0"),
    FUZZ_SEED("\1ok 5\nhello"),
    FUZZ_SEED("\1no such file\n"),
    FUZZ_SEED("\1ok 18446744073709551615\n"),
    FUZZ_SEED("\1ok 4\n\n\n\n\n"),
    FUZZ_SEED("\2Num       RefCount Protocol Flags    Type St Inode Path\n"
              "00000000e0b9fcd4: 00000002 00000000 00010000 0001 01 12345 @pagewalk/4711\n"
              "00000000e0b9fcd8: 00000003 00000000 00000000 0001 03 12346 @pagewalk/4711\n"
              "000000001b0a2b3c: 00000002 00000000 00010000 0001 01 12347 @pagewalk/99999\n"
              "000000001b0a2b3d: 00000002 00000000 00010000 0001 01 12348 /run/x @pagewalk/1x\n"),
};
FUZZ_SEEDS(seeds)
