/* test_json.c: the document pagewalk.run/1: every counter and option once, sums that hold, exact
 * integers. test/e2e/json_check.py reads whole documents of real runs with a JSON parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/report/made.h"

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

static const char *document(void)
{
    struct sink out;
    sink_memory(&out);
    report_json(&out, &made.report);
    free(text);
    text = sink_take(&out);
    assert_non_null(text);
    return text;
}

/* The text of a top-level member: it begins with one blank of indentation. */
static const char *member(const char *doc, const char *key)
{
    char begin[64];
    snprintf(begin, sizeof(begin), "\n \"%s\": ", key);
    const char *at = strstr(doc, begin);
    assert_non_null(at);
    assert_null(strstr(at + 1, begin));
    return at + strlen(begin);
}

/* The number of a member two levels down, inside the object that begins at `in`. */
static uint64_t number(const char *in, const char *key)
{
    char begin[96];
    snprintf(begin, sizeof(begin), "\n  \"%s\": ", key);
    const char *at = strstr(in, begin);
    assert_non_null(at);
    return strtoull(at + strlen(begin), NULL, 10);
}

static void every_member_of_the_schema_is_there_once(void **state)
{
    static const char *const keys[] = {
        "schema",     "pagewalk",  "program", "machine",      "counters", "cycles",    "vmstat",
        "incomplete", "processes", "owners",  "frames_total", "vmas",     "functions", "sites",
        "hugetlb",    "threads",   "cores",   "nobody",       "no_core"};
    (void)state;
    const char *doc = document();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        member(doc, keys[i]);
    assert_int_equal(strncmp(member(doc, "schema"), "\"pagewalk.run/1\"", 16), 0);
}

static void every_counter_stands_in_its_map_exactly(void **state)
{
    (void)state;
    for (int i = 0; i < STAT_NR; i++)
        made.stats.v[i] = UINT64_MAX - (uint64_t)i;
    const char *doc = document();
    const char *counters = member(doc, "counters"), *vmstat = member(doc, "vmstat");
    for (int i = 0; i < STAT_NR; i++) {
        const struct stat_info *s = stat_info((enum stat_id)i);
        assert_true(number(s->group == STAT_VM ? vmstat : counters, s->name) ==
                    UINT64_MAX - (uint64_t)i);
    }
}

/* The value of the next member of that name, however deep. */
static const char *next(const char *in, const char *key)
{
    char begin[64];
    snprintf(begin, sizeof(begin), "\"%s\": ", key);
    const char *at = strstr(in, begin);
    assert_non_null(at);
    return at + strlen(begin);
}

static void a_process_says_how_it_ended_and_what_it_counted(void **state)
{
    static const char argv[] = "cc1\0-O2";
    (void)state;
    made.process[1] = (struct sim_process){.pid = 43,
                                           .ppid = 42,
                                           .comm = "cc1",
                                           .argv = argv,
                                           .argv_bytes = sizeof(argv),
                                           .end = SIM_END_EXIT,
                                           .exit_code = 7};
    STAT(&made.process[1].stats, loads) = 55;
    made.process[2] = (struct sim_process){.pid = 44,
                                           .end = SIM_END_NATIVE,
                                           .native = NATIVE_CONFINED,
                                           .native_path = "/jail/prog",
                                           .exit_code = 9};
    made.report.n_processes = 3;
    const char *p = strstr(member(document(), "processes"), "\"pid\": 43");
    assert_non_null(p);
    assert_int_equal(atoi(next(p, "ppid")), 42);
    assert_int_equal(atoi(next(p, "code")), 7);
    assert_int_equal(atoi(next(next(p, "counters"), "loads")), 55);
    const char *words = next(p, "argv");
    assert_true(strstr(words, "\"cc1\"") < strstr(words, "\"-O2\""));
    p = strstr(p, "\"pid\": 44");
    assert_non_null(p);
    assert_int_equal(strncmp(next(p, "how"), "\"native\"", 8), 0);
    assert_int_equal(strncmp(next(p, "code"), "null", 4), 0);
    assert_int_equal(strncmp(next(p, "unfollowed"), "\"confined\"", 10), 0);
    assert_int_equal(strncmp(next(p, "unfollowed_path"), "\"/jail/prog\"", 12), 0);
}

static void pools_tell_what_was_asked_and_what_boot_found(void **state)
{
    (void)state;
    assert_int_equal(strncmp(member(document(), "hugetlb"), "[]", 2), 0);
    made.report.pool[MM_HUGETLB_2M] =
        (struct sim_pool){.asked = 100,
                          .nodes = 2,
                          .boot_node = {50, 40},
                          .now = {.bytes = MIB(2), .boot = 90, .nr = 91, .free = 7, .resv = 3}};
    const char *pools = member(document(), "hugetlb");
    assert_non_null(strstr(pools, "\"page_kb\": 2048"));
    assert_non_null(strstr(pools, "\"asked\": 100"));
    assert_non_null(strstr(pools, "\"boot\": 90"));
    const char *nodes = strstr(pools, "\"boot_nodes\": [");
    assert_non_null(nodes);
    assert_true(strstr(nodes, "50") < strstr(nodes, "40"));
    assert_non_null(strstr(pools, "\"total\": 91"));
    assert_non_null(strstr(pools, "\"free\": 7"));
    assert_non_null(strstr(pools, "\"reserved\": 3"));
}

static void every_option_stands_in_machine(void **state)
{
    size_t n;
    const struct conf_option *o = conf_options(&n);
    (void)state;
    made.conf.phys_size = UINT64_C(17592186044416);
    const char *machine = member(document(), "machine");
    for (size_t i = 0; i < n; i++) {
        char begin[96];
        snprintf(begin, sizeof(begin), "\n  \"%s\": ", o[i].key);
        assert_non_null(strstr(machine, begin));
    }
    assert_true(number(machine, "phys.size") == UINT64_C(17592186044416));
    assert_non_null(strstr(machine, "\"mmu.pcid\": true"));
    assert_non_null(strstr(machine, "\"name\": \"default\""));
}

static void parts_of_the_cycles_sum_to_the_total(void **state)
{
    (void)state;
    const char *c = member(document(), "cycles");
    assert_int_equal(number(c, "total"), number(c, "base") + number(c, "memory") +
                                             number(c, "translation") + number(c, "fault") +
                                             number(c, "kernel"));
    assert_int_equal(number(c, "total"), 722254400);
}

static void owners_sum_to_all_frames(void **state)
{
    (void)state;
    const char *doc = document(), *owners = member(doc, "owners");
    uint64_t sum = 0;
    for (int i = 0; i < FRAME_OWNER_NR; i++)
        sum += number(owners, phys_owner_name((enum frame_owner)i));
    assert_int_equal(sum, strtoull(member(doc, "frames_total"), NULL, 10));
    assert_int_equal(sum, 4096);
}

static void an_exit_has_a_code_and_a_death_has_a_signal(void **state)
{
    (void)state;
    made.run.exit_code = 3;
    assert_non_null(strstr(document(), "\"code\": 3,\n   \"signal\": null"));
    made.run.signal = 11;
    assert_non_null(strstr(document(), "\"code\": null,\n   \"signal\": 11"));
}

static void a_run_observed_in_part_says_why(void **state)
{
    static const char *const words[] = {
        [RING_E_SLOTS] = "\"threads\"", [RING_E_TABLE] = "\"code\"", [RING_E_STACK] = "\"stack\""};
    (void)state;
    assert_int_equal(strncmp(member(document(), "incomplete"), "null", 4), 0);
    for (uint32_t i = RING_E_SLOTS; i < ARRAY_LEN(words); i++) {
        made.run.incomplete = i;
        assert_int_equal(strncmp(member(document(), "incomplete"), words[i], strlen(words[i])), 0);
    }
}

static void hostile_arguments_become_valid_strings(void **state)
{
    (void)state;
    made.argv[1] = "\"}\n\xff";
    const char *doc = document();
    assert_null(strstr(doc, "\xff"));
    assert_non_null(strstr(doc, "\\\"}\\n"));
}

static void at_most_200_instructions_are_listed(void **state)
{
    static struct sim_site sites[300];
    static struct symbol symbols[300];
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        sites[i].pc = 0x1000 + i;
        symbols[i] = (struct symbol){.object = "/bin/prog", .name = i & 1 ? "main" : NULL};
    }
    made.report.sites = sites;
    made.report.symbols = symbols;
    made.report.n_sites = 300;
    const char *at = member(document(), "sites");
    unsigned n = 0;
    while ((at = strstr(at, "\"pc\": \"0x")) != NULL) {
        at++;
        n++;
    }
    assert_int_equal(n, REPORT_SITES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_member_of_the_schema_is_there_once, fresh, drop),
        cmocka_unit_test_setup_teardown(every_counter_stands_in_its_map_exactly, fresh, drop),
        cmocka_unit_test_setup_teardown(every_option_stands_in_machine, fresh, drop),
        cmocka_unit_test_setup_teardown(parts_of_the_cycles_sum_to_the_total, fresh, drop),
        cmocka_unit_test_setup_teardown(a_process_says_how_it_ended_and_what_it_counted, fresh,
                                        drop),
        cmocka_unit_test_setup_teardown(pools_tell_what_was_asked_and_what_boot_found, fresh, drop),
        cmocka_unit_test_setup_teardown(owners_sum_to_all_frames, fresh, drop),
        cmocka_unit_test_setup_teardown(an_exit_has_a_code_and_a_death_has_a_signal, fresh, drop),
        cmocka_unit_test_setup_teardown(a_run_observed_in_part_says_why, fresh, drop),
        cmocka_unit_test_setup_teardown(hostile_arguments_become_valid_strings, fresh, drop),
        cmocka_unit_test_setup_teardown(at_most_200_instructions_are_listed, fresh, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
