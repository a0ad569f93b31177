/* test_summary.c: the summary says what the report holds, in 25 lines of 100 columns at most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/text.h"
#include "unit/report/made.h"

#include <signal.h>
#include <stdlib.h>

static struct made made;
static char *text;

static int fresh(void **state)
{
    (void)state;
    made_open(&made);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

static const char *summary(bool colour)
{
    struct sink out;
    sink_memory(&out);
    report_summary(&out, &made.report, colour);
    free(text);
    text = sink_take(&out);
    assert_non_null(text);
    return text;
}

static void check_shape(void)
{
    unsigned lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        lines++;
        assert_in_range(text_columns(line), 1, REPORT_COLUMNS_MAX);
        for (const char *p = line; *p != '\0'; p += text_utf8(p))
            assert_true(text_utf8(p) > 0 && (unsigned char)*p >= 0x20);
    }
    assert_in_range(lines, 10, REPORT_LINES_MAX);
}

static void program_machine_and_exit_are_named(void **state)
{
    (void)state;
    const char *s = summary(false);
    assert_non_null(strstr(s, "prog -x file: exit 0, 1.50 s on this host"));
    assert_non_null(strstr(s, "default: generic x86-64\n"));
    assert_non_null(strstr(s, "1.00 G instructions, 300 M loads, 100 M stores"));
    made.run.signal = SIGSEGV;
    made.run.machine_note = "host: family 6 …";
    s = summary(false);
    assert_non_null(strstr(s, "killed by SIGSEGV"));
    assert_non_null(strstr(s, "default (nearest to this CPU): generic"));
}

/* base 400 M, translation 60.0404 M, fault 262.214 M: total 722.2544 M cycles at 3 GHz. */
static void the_parts_of_the_cycles_are_shown_in_percent(void **state)
{
    (void)state;
    const char *s = summary(false);
    assert_int_equal(made.report.cycles.total, 722254400);
    assert_non_null(
        strstr(s, "722 M modelled cycles = 241 ms at 3.00 GHz, 0.72 cycles per instruction"));
    assert_non_null(strstr(s, "base         55.4 %  #################"));
    assert_non_null(strstr(s, "translation   8.3 %  ##"));
    assert_non_null(strstr(s, "fault        36.3 %  ###########"));
    assert_non_null(strstr(s, "kernel          0 %"));
    assert_non_null(strstr(s, "anon 131,077 (2,000 c, 36.3 %); file_read 30 (2,000 c, <0.1 %)"));
}

static void the_three_costliest_areas_are_listed_in_order(void **state)
{
    (void)state;
    const char *s = summary(false);
    const char *heap = strstr(s, "rw-p [heap]"), *libc = strstr(s, "rw-p /usr/lib/libc.so.6");
    const char *stack = strstr(s, "rw-p [stack]");
    assert_true(heap != NULL && libc != NULL && stack != NULL && heap < libc && libc < stack);
    assert_null(strstr(s, "[vdso]"));
    strcpy(made.label[0].name, "[anon]");
    assert_non_null(strstr(summary(false), "rw-p [anon] 0x10000000 "));
}

static void what_was_not_observed_is_said(void **state)
{
    (void)state;
    assert_null(strstr(summary(false), "\nnote"));
    STAT(&made.stats, sim_children) = 3;
    STAT(&made.stats, div_no_vma) = 2;
    const char *s = summary(false);
    assert_non_null(strstr(s, "child processes that ran unobserved: 3; "));
    assert_non_null(strstr(s, "accesses the model had no mapping for: 2\n"));
}

static void observing_that_stopped_is_a_line_of_its_own(void **state)
{
    (void)state;
    assert_null(strstr(summary(false), "incomplete"));
    for (int i = 0; i < STAT_NR; i++)
        made.stats.v[i] = UINT64_MAX / 64;
    made.run.incomplete = RING_E_SLOTS;
    const char *s = summary(false);
    assert_non_null(strstr(s, "\nnote         incomplete: more than 1024 threads"));
    assert_non_null(strstr(s, "\nnote         child processes"));
    check_shape();
    made.run.incomplete = RING_E_TABLE;
    assert_non_null(strstr(summary(false), "incomplete: more code"));
    made.run.incomplete = RING_E_STACK;
    assert_non_null(strstr(summary(false), "stack was not found"));
}

static void a_program_without_cost_is_told_to_look_elsewhere(void **state)
{
    (void)state;
    made.stats = (struct stat_set){{0}};
    STAT(&made.stats, instructions) = 1000000;
    made.report.n_areas = 0;
    cpu_cycles(&made.conf, &made.stats, &made.report.cycles);
    assert_non_null(strstr(summary(false), "nothing about paging"));
    check_shape();
}

static void a_program_that_never_ran_is_no_reason_to_divide_by_zero(void **state)
{
    (void)state;
    made.stats = (struct stat_set){{0}};
    made.report.n_areas = 0;
    made.report.cycles = (struct cpu_cycles){0};
    summary(false);
    check_shape();
}

static void only_headings_are_coloured_and_only_when_asked(void **state)
{
    (void)state;
    assert_null(strchr(summary(false), '\033'));
    assert_non_null(strstr(summary(true), "\033[1mprogram"));
}

static void hostile_names_cannot_break_lines_or_columns(void **state)
{
    static char huge[5000];
    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    huge[10] = '\n';
    huge[11] = '\033';
    huge[12] = '\xff';
    made.argv[1] = huge;
    strcpy(made.label[0].name,
           "/tmp/\n\033[31m\xe2\x82/a/very/long/path/that/does/not/fit/its/column");
    strcpy(made.conf.cpu_model,
           "a model with a name as long as the option allows, which is much too long for it");
    summary(false);
    check_shape();
}

static void huge_pages_boot_had_no_room_for_are_told_in_one_line(void **state)
{
    (void)state;
    summary(false);
    assert_null(strstr(text, "huge pages  "));
    made.conf.hugetlb_2m = 1980;
    made.conf.hugetlb_1g = 1;
    made.report.pool[MM_HUGETLB_2M] = (struct sim_pool){
        .asked = 1980, .nodes = 2, .boot_node = {990, 975}, .now = {.boot = 1965}};
    made.report.pool[MM_HUGETLB_1G] =
        (struct sim_pool){.asked = 1, .nodes = 2, .boot_node = {1, 0}, .now = {.boot = 1}};
    summary(false);
    assert_non_null(strstr(text, "hugetlb.2m 1965 of 1980 at boot (node 0: 990, 1: 975); "
                                 "hugetlb.1g 1 of 1"));
    check_shape();
}

static void process(unsigned i, uint32_t pid, const char *comm, uint64_t instructions)
{
    made.process[i] = (struct sim_process){.pid = pid};
    strcpy(made.process[i].comm, comm);
    STAT(&made.process[i].stats, instructions) = instructions;
    made.report.n_processes = i + 1;
}

static void the_costliest_processes_are_named_where_there_are_several(void **state)
{
    (void)state;
    assert_null(strstr(summary(false), "\nprocesses "));
    process(0, 42, "sh", 1000);
    process(1, 43, "cc1", 600000000);
    process(2, 44, "cc1", 800000000);
    made.process[1].mm.rss_peak = 1 << 18;
    strcpy(made.label[0].program, "cc1");
    const char *s = summary(false);
    assert_non_null(strstr(s, "processes    3 of 2 programs; costliest: cc1 (44) "));
    assert_true(strstr(s, "cc1 (44) ") < strstr(s, ", cc1 (43) "));
    assert_true(strstr(s, ", cc1 (43) ") < strstr(s, ", sh (42) "));
    assert_non_null(strstr(s, "at most 1.0 GiB resident"));
    assert_non_null(strstr(s, "(cc1, 43)"));
    assert_non_null(strstr(s, "rw-p cc1: [heap]"));
    check_shape();
}

static void a_program_that_went_on_unobserved_is_named_with_the_reason(void **state)
{
    (void)state;
    process(0, 42, "sh", 1000);
    process(1, 43, "sudo", 10);
    made.process[1].native = NATIVE_SETID;
    made.process[1].end = SIM_END_NATIVE;
    snprintf(made.process[1].native_path, sizeof(made.process[1].native_path), "/usr/bin/su\033do");
    assert_non_null(strstr(summary(false),
                           "note         ran on unobserved: 1 (/usr/bin/su?do, 43: it changes "
                           "its user or capabilities)"));
    check_shape();
    process(2, 44, "wine", 10);
    made.process[2].native = NATIVE_ELF;
    made.process[2].end = SIM_END_NATIVE;
    assert_non_null(
        strstr(summary(false), "ran on unobserved: 2 (/usr/bin/su?do, 43: it changes "));
    assert_non_null(strstr(summary(false), "; wine,"));
    check_shape();
}

static void a_stack_that_was_too_small_is_told_with_whose_it_was_and_how_deep(void **state)
{
    (void)state;
    made.report.overflow = (struct sim_overflow){.times = 3,
                                                 .pid = 42,
                                                 .tid = 43,
                                                 .comm = "sh",
                                                 .outer = "page fault",
                                                 .last = "swap-out",
                                                 .used = 4356,
                                                 .size = 4096};
    assert_non_null(
        strstr(summary(false),
               "kernel stack overrun 3 times: sh (43), swap-out in page fault, 4,356 of 4,096 B"));
    check_shape();
    made.report.overflow = (struct sim_overflow){.times = 1,
                                                 .tid = 42,
                                                 .comm = "sh",
                                                 .outer = "interrupt",
                                                 .last = "interrupt",
                                                 .used = 16500,
                                                 .size = 16384,
                                                 .guarded = true};
    made.report.overflow.last = made.report.overflow.outer;
    assert_non_null(strstr(
        summary(false), "kernel stack guard page hit: sh (42), interrupt, 16,500 of 16,384 B\n"));
    check_shape();
}

static void every_line_that_may_come_fits(void **state)
{
    (void)state;
    static struct mm_oom_event killed = {.pid = 43, .line = "Out of memory: Killed process 43"};
    process(0, 42, "sh", 1000);
    process(1, 43, "cc1", 10);
    made.run.incomplete = RING_E_SLOTS;
    made.report.oom = (struct sim_oom){.kills = 1, .event = &killed};
    made.report.overflow =
        (struct sim_overflow){.times = 1, .outer = "page fault", .last = "reclaim"};
    made.report.pool[MM_HUGETLB_2M] = (struct sim_pool){.asked = 1, .nodes = 1};
    STAT(&made.stats, lock_cycles_vma) = STAT(&made.stats, lock_waits_vma) = 1000;
    STAT(&made.stats, sim_children) = STAT(&made.stats, div_no_vma) = 1;
    summary(false);
    check_shape();
}

static void the_widest_figures_keep_the_shape(void **state)
{
    (void)state;
    for (int i = 0; i < STAT_NR; i++)
        made.stats.v[i] = UINT64_MAX / 64;
    for (unsigned i = 0; i < MADE_AREAS; i++) {
        made.area[i].walks = made.area[i].faults = 9999999;
        made.area[i].walk_cycles = made.area[i].fault_cycles = UINT64_C(1) << 50;
        made.label[i].max_bytes = UINT64_MAX;
    }
    made.report.cycles = (struct cpu_cycles){UINT64_MAX,     UINT64_MAX / 5, UINT64_MAX / 5,
                                             UINT64_MAX / 5, UINT64_MAX / 5, UINT64_MAX / 5};
    made.report.process.mm = (struct mm_counters){.rss_peak = UINT64_MAX >> 12,
                                                  .total_vm_peak = UINT64_MAX >> 12,
                                                  .pte_bytes = UINT64_MAX,
                                                  .map_count = UINT32_MAX};
    summary(false);
    check_shape();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(program_machine_and_exit_are_named, fresh, drop),
        cmocka_unit_test_setup_teardown(the_parts_of_the_cycles_are_shown_in_percent, fresh, drop),
        cmocka_unit_test_setup_teardown(the_three_costliest_areas_are_listed_in_order, fresh, drop),
        cmocka_unit_test_setup_teardown(what_was_not_observed_is_said, fresh, drop),
        cmocka_unit_test_setup_teardown(observing_that_stopped_is_a_line_of_its_own, fresh, drop),
        cmocka_unit_test_setup_teardown(a_program_without_cost_is_told_to_look_elsewhere, fresh,
                                        drop),
        cmocka_unit_test_setup_teardown(a_program_that_never_ran_is_no_reason_to_divide_by_zero,
                                        fresh, drop),
        cmocka_unit_test_setup_teardown(only_headings_are_coloured_and_only_when_asked, fresh,
                                        drop),
        cmocka_unit_test_setup_teardown(hostile_names_cannot_break_lines_or_columns, fresh, drop),
        cmocka_unit_test_setup_teardown(huge_pages_boot_had_no_room_for_are_told_in_one_line, fresh,
                                        drop),
        cmocka_unit_test_setup_teardown(the_costliest_processes_are_named_where_there_are_several,
                                        fresh, drop),
        cmocka_unit_test_setup_teardown(a_program_that_went_on_unobserved_is_named_with_the_reason,
                                        fresh, drop),
        cmocka_unit_test_setup_teardown(
            a_stack_that_was_too_small_is_told_with_whose_it_was_and_how_deep, fresh, drop),
        cmocka_unit_test_setup_teardown(every_line_that_may_come_fits, fresh, drop),
        cmocka_unit_test_setup_teardown(the_widest_figures_keep_the_shape, fresh, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
