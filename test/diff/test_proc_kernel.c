/* links: proc */
/* The text of src/proc against the running kernel: each file is read, its numbers and names are
 * scanned into the value the formatter prints, and what it prints must equal the file byte for byte.
 * On the reference release a file that cannot be read (root can), a row too many or too few fails. A
 * kernel of another release has other rows: then the file is skipped with the row's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "diff/debugfs.h"
#include "diff/proc_scan.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/utsname.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* The kernel whose rows src/proc prints: every file is readable there, every line known, none missing. */
#define REFERENCE "6.18."
static bool reference_kernel(void)
{
    struct utsname u;
    return uname(&u) == 0 && strncmp(u.release, REFERENCE, strlen(REFERENCE)) == 0;
}

/* other_kernel skips the test, having said why: on the reference kernel there is no excuse. */
static void other_kernel(void)
{
    if (reference_kernel())
        fail();
    skip();
}

static char *text_or_skip(const char *path)
{
    char *text = read_text(path);
    if (!text) {
        print_message("%s cannot be read: %s\n", path, strerror(errno));
        other_kernel();
    }
    return text;
}

static void known_or_skip(bool known, const char *path)
{
    if (known)
        return;
    print_message("%s lacks a line or has one of another kernel: %s\n", path, scan_unknown);
    other_kernel();
}

/* same_text ends the sink and compares; says the first line that differs. */
static void same_text(const char *path, struct sink *out, const char *real)
{
    char *printed = sink_take(out);
    assert_non_null(printed);
    const char *a = printed, *b = real;
    while (*a != '\0' && strcspn(a, "\n") == strcspn(b, "\n") &&
           strncmp(a, b, strcspn(a, "\n") + 1) == 0)
        a = next_line(a), b = next_line(b);
    if (*a != '\0' || *b != '\0') {
        print_message("%s: kernel  |%.*s|\n", path, (int)strcspn(b, "\n"), b);
        print_message("%s: printed |%.*s|\n", path, (int)strcspn(a, "\n"), a);
        other_kernel();
    }
    free(printed);
}

/* -- the machine --------------------------------------------------------------------------------- */

static struct proc_node nodes[PROC_NODES];
static struct proc_pageset sets[PROC_NODES * PROC_ZONES * 8];
static unsigned nodes_nr;

static void meminfo_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct proc_meminfo m;
    struct sink out;
    char *real = text_or_skip("/proc/meminfo");
    known_or_skip(scan_meminfo(real, &m), "/proc/meminfo");
    sink_memory(&out);
    proc_put_meminfo(&out, &m);
    same_text("/proc/meminfo", &out, real);
    free(real);
}

static void vmstat_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct proc_vmstat v;
    struct sink out;
    char *real = text_or_skip("/proc/vmstat");
    known_or_skip(scan_vmstat(real, &v), "/proc/vmstat");
    sink_memory(&out);
    proc_put_vmstat(&out, &v);
    same_text("/proc/vmstat", &out, real);
    free(real);
}

static void buddyinfo_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    char *real = text_or_skip("/proc/buddyinfo");
    known_or_skip(scan_buddyinfo(real, nodes, &nodes_nr), "/proc/buddyinfo");
    sink_memory(&out);
    proc_put_buddyinfo(&out, nodes, nodes_nr);
    same_text("/proc/buddyinfo", &out, real);
    free(real);
}

static void pagetypeinfo_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    char *real = text_or_skip("/proc/pagetypeinfo");
    known_or_skip(scan_pagetypeinfo(real, nodes, &nodes_nr), "/proc/pagetypeinfo");
    sink_memory(&out);
    proc_put_pagetypeinfo(&out, nodes, nodes_nr);
    same_text("/proc/pagetypeinfo", &out, real);
    free(real);
}

static void zoneinfo_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    char *real = text_or_skip("/proc/zoneinfo");
    known_or_skip(scan_zoneinfo(real, nodes, &nodes_nr, sets), "/proc/zoneinfo");
    sink_memory(&out);
    proc_put_zoneinfo(&out, nodes, nodes_nr);
    same_text("/proc/zoneinfo", &out, real);
    free(real);
}

/* The indexes are computed from the free blocks, so buddyinfo must not change around the reading. */
static bool indexes_of_one_moment(char **ret_unusable, char **ret_extfrag)
{
    const char *const dir = "/sys/kernel/debug/extfrag/";
    char path[2][64];
    snprintf(path[0], sizeof path[0], "%sunusable_index", dir);
    snprintf(path[1], sizeof path[1], "%sextfrag_index", dir);
    free(text_or_skip(path[0])); /* skips while nothing is held */
    for (int tries = 0; tries < 1000; tries++) {
        char *before = text_or_skip("/proc/buddyinfo");
        *ret_unusable = text_or_skip(path[0]);
        *ret_extfrag = text_or_skip(path[1]);
        char *after = text_or_skip("/proc/buddyinfo");
        bool same = strcmp(before, after) == 0 && scan_buddyinfo(before, nodes, &nodes_nr);
        free(before);
        free(after);
        if (same)
            return true;
        free(*ret_unusable);
        free(*ret_extfrag);
    }
    return false;
}

static void fragmentation_indexes_follow_from_the_free_blocks(void **state)
{
    (void)state;
    struct sink out;
    char *unusable, *extfrag;
    debugfs_mount();
    if (!indexes_of_one_moment(&unusable, &extfrag)) {
        print_message("free memory never rested between two readings\n");
        skip();
    }
    sink_memory(&out);
    proc_put_unusable_index(&out, nodes, nodes_nr);
    same_text("unusable_index", &out, unusable);
    sink_memory(&out);
    proc_put_extfrag_index(&out, nodes, nodes_nr);
    same_text("extfrag_index", &out, extfrag);
    free(unusable);
    free(extfrag);
}

static void files_of_a_node_are_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    struct proc_node node;
    struct proc_node_meminfo m;
    const char *dir = "/sys/devices/system/node/node0/";
    char path[64];
    snprintf(path, sizeof path, "%smeminfo", dir);
    char *real = text_or_skip(path);
    known_or_skip(scan_node_meminfo(real, &m), path);
    sink_memory(&out);
    proc_put_node_meminfo(&out, &m);
    same_text(path, &out, real);
    free(real);
    snprintf(path, sizeof path, "%snumastat", dir);
    real = text_or_skip(path);
    known_or_skip(scan_numastat(real, &node), path);
    sink_memory(&out);
    proc_put_node_numastat(&out, &node);
    same_text(path, &out, real);
    free(real);
    snprintf(path, sizeof path, "%svmstat", dir);
    real = text_or_skip(path);
    known_or_skip(scan_node_vmstat(real, &node), path);
    sink_memory(&out);
    proc_put_node_vmstat(&out, &node);
    same_text(path, &out, real);
    free(real);
}

static void swaps_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct proc_swap swaps[32];
    struct sink out;
    char *real = text_or_skip("/proc/swaps");
    int n = scan_swaps(real, swaps, 32);
    known_or_skip(n >= 0, "/proc/swaps");
    sink_memory(&out);
    proc_put_swaps(&out, swaps, (unsigned)n);
    same_text("/proc/swaps", &out, real);
    for (int i = 0; i < n; i++)
        free((char *)swaps[i].path);
    free(real);
}

/* -- this process, with mappings of every sort of name ------------------------------------------- */

#define PAGES(n) ((size_t)(n) << 12)

/* map_named maps a new file of that name, and may unlink it while it is mapped. */
static void map_named(const char *dir, const char *name, bool deleted)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)PAGES(8)), 0);
    char *p = mmap(NULL, PAGES(8), PROT_READ | PROT_WRITE, deleted ? MAP_SHARED : MAP_PRIVATE, fd,
                   (off_t)PAGES(2));
    assert_true(p != MAP_FAILED);
    p[0] = 1;
    close(fd);
    if (deleted)
        unlink(path);
}

static char test_dir[] = "/tmp/proc_kernel.XXXXXX";

static void map_files(void)
{
    assert_non_null(mkdtemp(test_dir));
    map_named(test_dir, "a file with spaces", false);
    map_named(test_dir, "a\nnewline", false);
    map_named(test_dir, "tab\there=equal", false);
    map_named(test_dir, "back\\slash", false);
    map_named(test_dir, "gone", true);
    map_named("/dev/shm", "pagewalk test shm", true);
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    map_named(test_dir, longer, false);
}

static void map_memory(void)
{
    const int anon = MAP_ANONYMOUS | MAP_PRIVATE;
    char *p = mmap(NULL, PAGES(64), PROT_READ | PROT_WRITE, anon, -1, 0);
    memset(p, 1, PAGES(8));
    mprotect(p + PAGES(8), PAGES(8), PROT_NONE);
    madvise(p + PAGES(20), PAGES(2), MADV_GUARD_INSTALL);
    mlock(p + PAGES(24), PAGES(2));
    memset(p + PAGES(40), 1, PAGES(4));
    madvise(p + PAGES(40), PAGES(4), MADV_FREE);
    madvise(p + PAGES(50), PAGES(2), MADV_DONTFORK);
    madvise(p + PAGES(52), PAGES(2), MADV_WIPEONFORK);
    madvise(p + PAGES(54), PAGES(2), MADV_NOHUGEPAGE);
    mmap(NULL, PAGES(4), PROT_READ | PROT_WRITE, anon | MAP_NORESERVE | MAP_GROWSDOWN, -1, 0);
    p = mmap(NULL, PAGES(4), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
    p[0] = 1;
    int fd = memfd_create("name of a memfd", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)PAGES(4)), 0);
    p = mmap(NULL, PAGES(4), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    p[PAGES(1)] = 1;
    close(fd);
    int id = shmget(IPC_PRIVATE, PAGES(4), IPC_CREAT | 0600);
    p = id >= 0 ? shmat(id, NULL, 0) : (void *)-1;
    if (p != (void *)-1)
        p[0] = 1;
    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
}

static void map_huge(void)
{
    size_t huge = 2 << 20;
    char *p = mmap(NULL, 3 * huge, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    p = (char *)(((uintptr_t)p + huge - 1) & ~(huge - 1));
    madvise(p, 2 * huge, MADV_HUGEPAGE);
    memset(p, 1, huge);
}

static int make_mappings(void **state)
{
    (void)state;
    prctl(PR_SET_NAME, "a (b) c\\d\ne");
    map_files();
    map_memory();
    map_huge();
    assert_true(sbrk(4000) != (void *)-1); /* a heap, whatever malloc is */
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", test_dir);
    return system(command);
}

static void maps_are_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    struct proc_map m;
    char *real = text_or_skip("/proc/self/maps");
    sink_memory(&out);
    for (const char *at = real; *at != '\0'; at = next_line(at)) {
        known_or_skip(scan_map(at, &m), "/proc/self/maps");
        proc_put_map(&out, &m);
        map_close(&m);
    }
    assert_non_null(strstr(real, "/a file with spaces\n"));
    assert_non_null(strstr(real, "/a\\012newline\n"));
    assert_non_null(strstr(real, "/memfd:name of a memfd (deleted)\n"));
    assert_non_null(strstr(real, "[heap]\n"));
    same_text("/proc/self/maps", &out, real);
    free(real);
}

static void smaps_are_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    struct proc_map m;
    struct proc_smaps s;
    char *real = text_or_skip("/proc/self/smaps");
    sink_memory(&out);
    for (const char *at = real; *at != '\0';) {
        known_or_skip(scan_map(at, &m), "/proc/self/smaps");
        uint64_t rights = m.flags;
        at = scan_smaps(next_line(at), &s, &m.flags);
        known_or_skip(at != NULL, "/proc/self/smaps");
        assert_int_equal(m.flags & 0x87, rights); /* VmFlags say the same as the maps line */
        proc_put_smaps(&out, &m, &s);
        map_close(&m);
    }
    same_text("/proc/self/smaps", &out, real);
    free(real);
}

static void smaps_rollup_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    struct proc_map m;
    struct proc_smaps s;
    char *real = text_or_skip("/proc/self/smaps_rollup");
    known_or_skip(scan_map(real, &m), "/proc/self/smaps_rollup");
    const char *end = scan_smaps(next_line(real), &s, &m.flags);
    known_or_skip(end != NULL && *end == '\0', "/proc/self/smaps_rollup");
    sink_memory(&out);
    proc_put_smaps_rollup(&out, m.start, m.end, &s);
    same_text("/proc/self/smaps_rollup", &out, real);
    map_close(&m);
    free(real);
}

static void numa_maps_are_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    struct proc_numa_map m;
    char *real = text_or_skip("/proc/self/numa_maps");
    sink_memory(&out);
    for (const char *at = real; *at != '\0'; at = next_line(at)) {
        known_or_skip(scan_numa_map(at, &m), "/proc/self/numa_maps");
        proc_put_numa_map(&out, &m);
        free((char *)m.policy);
        free((char *)m.path);
    }
    assert_non_null(strstr(real, "/a\\040file\\040with\\040spaces"));
    same_text("/proc/self/numa_maps", &out, real);
    free(real);
}

/* lines_of keeps the lines of a text that begin with a name our text has. */
static char *lines_of(const char *real, const char *ours)
{
    struct sink out;
    sink_memory(&out);
    for (; *real != '\0'; real = next_line(real)) {
        char key[40] = "\n";
        snprintf(key + 1, sizeof key - 1, "%.*s:", (int)strcspn(real, ":\n"), real);
        if (strncmp(ours, key + 1, strlen(key + 1)) == 0 || strstr(ours, key))
            sink_bytes(&out, real, (size_t)(next_line(real) - real));
    }
    return sink_take(&out);
}

static void status_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out, vm;
    struct proc_status s;
    char *real = text_or_skip("/proc/self/status");
    known_or_skip(scan_status(real, &s), "/proc/self/status");
    sink_memory(&vm);
    proc_put_status_vm(&vm, &s);
    char *block = sink_take(&vm);
    assert_non_null(strstr(real, block)); /* the whole block, nothing between its lines */
    sink_memory(&out);
    proc_put_status(&out, &s);
    char *ours = strdup(out.data), *lines = lines_of(real, ours);
    same_text("/proc/self/status", &out, lines);
    free((char *)s.name);
    free(block);
    free(ours);
    free(lines);
    free(real);
}

static void stat_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    struct proc_stat s;
    char *real = text_or_skip("/proc/self/stat");
    known_or_skip(scan_stat(real, &s), "/proc/self/stat");
    assert_string_equal(s.comm, "a (b) c\\d\ne");
    sink_memory(&out);
    proc_put_stat(&out, &s);
    same_text("/proc/self/stat", &out, real);
    free((char *)s.comm);
    free(real);
}

static void statm_is_printed_as_the_kernel_does(void **state)
{
    (void)state;
    struct sink out;
    struct proc_statm s;
    char *real = text_or_skip("/proc/self/statm");
    assert_int_equal(sscanf(real, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " 0 %" SCNu64,
                            &s.size, &s.resident, &s.shared, &s.text, &s.data),
                     5);
    sink_memory(&out);
    proc_put_statm(&out, &s);
    same_text("/proc/self/statm", &out, real);
    free(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meminfo_is_printed_as_the_kernel_does),
        cmocka_unit_test(vmstat_is_printed_as_the_kernel_does),
        cmocka_unit_test(buddyinfo_is_printed_as_the_kernel_does),
        cmocka_unit_test(pagetypeinfo_is_printed_as_the_kernel_does),
        cmocka_unit_test(zoneinfo_is_printed_as_the_kernel_does),
        cmocka_unit_test(fragmentation_indexes_follow_from_the_free_blocks),
        cmocka_unit_test(files_of_a_node_are_printed_as_the_kernel_does),
        cmocka_unit_test(swaps_is_printed_as_the_kernel_does),
        cmocka_unit_test(maps_are_printed_as_the_kernel_does),
        cmocka_unit_test(smaps_are_printed_as_the_kernel_does),
        cmocka_unit_test(smaps_rollup_is_printed_as_the_kernel_does),
        cmocka_unit_test(numa_maps_are_printed_as_the_kernel_does),
        cmocka_unit_test(status_is_printed_as_the_kernel_does),
        cmocka_unit_test(stat_is_printed_as_the_kernel_does),
        cmocka_unit_test(statm_is_printed_as_the_kernel_does),
    };
    return cmocka_run_group_tests(tests, make_mappings, remove_files);
}
