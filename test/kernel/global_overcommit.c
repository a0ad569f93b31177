/* global_overcommit.c: how much memory may be promised, on the running kernel and by the rule of the
 * model (policy/overcommit.h): modes 0, 1 and 2.
 *
 * It changes vm.overcommit_memory of the host, for less than a second at a time, under a lock, and puts
 * it back on any exit, signals included. In mode 2 vm.overcommit_ratio is ten times memory, so that
 * what is promised already is far below the limit, and nothing else on the host is refused memory: it,
 * or vm.overcommit_kbytes, is put back likewise. Run by make check-kernel-global.
 */
#include "unit/mm/mm_fixture.h"

#include "policy/overcommit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define KNOB   "/proc/sys/vm/overcommit_memory"
#define RATIO  "/proc/sys/vm/overcommit_ratio"
#define KBYTES "/proc/sys/vm/overcommit_kbytes"
#define LOCK   "/var/tmp/pagewalk-global.lock"
#define FAR    (UINT64_C(1) << 18) /* pages: 1 GiB */
#define LAG    512                 /* pages Committed_AS may lag */

static char before[16], ratio_before[32], kbytes_before[32];

static uint64_t read_number(const char *path)
{
    unsigned long long v = 0;
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%llu", &v) != 1)
        v = 0;
    if (f)
        fclose(f);
    return v;
}

static bool write_to(const char *knob, const char *text)
{
    int fd = open(knob, O_WRONLY);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool write_knob(const char *text)
{
    return write_to(KNOB, text);
}

static void restore(void)
{
    if (before[0])
        write_knob(before);
    if (ratio_before[0] && strcmp(kbytes_before, "0") == 0)
        write_to(RATIO, ratio_before);
    else if (ratio_before[0]) /* each makes the other 0 */
        write_to(KBYTES, kbytes_before);
}

/* raise_limit lets ten times memory be promised, until restore. */
static void raise_limit(void)
{
    snprintf(kbytes_before, sizeof(kbytes_before), "%llu", (unsigned long long)read_number(KBYTES));
    snprintf(ratio_before, sizeof(ratio_before), "%llu", (unsigned long long)read_number(RATIO));
    assert_true(write_to(RATIO, "1000"));
}

static void on_signal(int sig)
{
    restore();
    signal(sig, SIG_DFL);
    raise(sig);
}

static uint64_t meminfo_kb(const char *name)
{
    char line[128];
    unsigned long long v = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, name, strlen(name)) == 0)
            sscanf(line + strlen(name), " %llu", &v);
    if (f)
        fclose(f);
    return v;
}

/* promised: does the kernel give a private writable mapping of so many pages? */
static bool promised(uint64_t pages, int flags)
{
    void *p = mmap(NULL, pages * K, RW, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED)
        return false;
    munmap(p, pages * K);
    return true;
}

/* most returns how many pages the kernel gives at most, of [low, high). */
static uint64_t most(uint64_t low, uint64_t high)
{
    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        if (promised(mid, 0))
            low = mid;
        else
            high = mid;
    }
    return low;
}

static uint64_t total_pages(void)
{
    return (meminfo_kb("MemTotal:") + meminfo_kb("SwapTotal:")) / 4;
}

static void mode_0_refuses_one_request_larger_than_memory_and_swap(void **state)
{
    (void)state;
    assert_true(write_knob("0"));
    uint64_t all = total_pages();
    bool exact = promised(all, 0), more = promised(all + 1, 0),
         unkept = promised(2 * all, MAP_NORESERVE);
    restore();
    assert_true(exact);
    assert_false(more);
    assert_true(unkept);
}

static void mode_1_promises_anything(void **state)
{
    (void)state;
    assert_true(write_knob("1"));
    bool given = promised(16 * total_pages(), 0);
    restore();
    assert_true(given);
}

/* What this host is, for the rule of the model. */
static struct overcommit host(enum overcommit_mode mode)
{
    return (struct overcommit){
        .mode = mode,
        .ratio = read_number("/proc/sys/vm/overcommit_ratio"),
        .kbytes = read_number("/proc/sys/vm/overcommit_kbytes"),
        .totalram_pages = meminfo_kb("MemTotal:") / 4,
        .hugetlb_pages = meminfo_kb("Hugetlb:") / 4,
        .total_swap_pages = meminfo_kb("SwapTotal:") / 4,
        .admin_reserve_kb = read_number("/proc/sys/vm/admin_reserve_kbytes"),
        .user_reserve_kb = read_number("/proc/sys/vm/user_reserve_kbytes"),
    };
}

static void commit_limit_is_the_rules(void **state)
{
    (void)state;
    struct overcommit o = host(OVERCOMMIT_NEVER);
    assert_int_equal(overcommit_limit(&o), meminfo_kb("CommitLimit:") / 4);
}

/* by_rule returns how many pages the model's rule gives at most. */
static uint64_t by_rule(const struct overcommit *o, uint64_t committed)
{
    uint64_t low = 0, high = overcommit_limit(o) + 1, own = read_number("/proc/self/statm");
    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        struct overcommit_ask ask = {.pages = mid,
                                     .committed = committed + mid,
                                     .admin = true,
                                     .has_mm = true,
                                     .total_vm = own};
        if (overcommit_enough(o, &ask))
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* Committed_AS is a sum over CPUs that lags, and others commit, too: of twenty tries the nearest is
 * compared, within the lag of two CPUs' batches. */
static void mode_2_promises_up_to_commit_limit_less_the_reserves(void **state)
{
    (void)state;
    int64_t off = INT64_MAX;
    for (int i = 0; i < 20 && llabs(off) > LAG; i++) {
        raise_limit();
        struct overcommit o = host(OVERCOMMIT_NEVER);
        uint64_t committed = meminfo_kb("Committed_AS:") / 4;
        if (overcommit_limit(&o) < committed + FAR) {
            restore();
            print_message("skipped: more than ten times memory is promised already\n");
            skip();
        }
        assert_true(write_knob("2"));
        uint64_t got = most(0, overcommit_limit(&o));
        restore();
        off = (int64_t)(by_rule(&o, committed) - got);
    }
    print_message("mode 2: kernel and rule differ by %lld pages\n", (long long)off);
    assert_in_range(off + LAG, 0, 2 * LAG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mode_0_refuses_one_request_larger_than_memory_and_swap),
        cmocka_unit_test(mode_1_promises_anything),
        cmocka_unit_test(commit_limit_is_the_rules),
        cmocka_unit_test(mode_2_promises_up_to_commit_limit_less_the_reserves),
    };
    int lock = open(LOCK, O_RDWR | O_CREAT, 0600);
    if (geteuid() != 0 || lock < 0 || flock(lock, LOCK_EX) != 0) {
        printf("skipped: only root may change %s, one at a time (%s)\n", KNOB, LOCK);
        return 0;
    }
    snprintf(before, sizeof(before), "%llu", (unsigned long long)read_number(KNOB));
    printf("changes %s for a moment at a time; it is %s and will be again\n", KNOB, before);
    for (int s = 1; s < 16; s++)
        if (s != SIGKILL && s != SIGCHLD)
            signal(s, on_signal);
    atexit(restore);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
