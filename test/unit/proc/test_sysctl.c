/* /proc/sys/vm of a machine, and orders. Expectations: Documentation/admin-guide/sysctl/vm.rst and the
 * ranges of the kernel's tables. */
#include "unit/mm/mm_fixture.h"

#include "proc/sysctl.h"

static struct proc_machine machine_of(struct box *b)
{
    return (struct proc_machine){&b->conf, b->phys, b->sys, &b->stats};
}

static void assert_reads(const struct proc_machine *m, const char *key, const char *expected)
{
    struct sink out;
    int i = proc_sysctl_find(key);
    assert_true(i >= 0);
    sink_memory(&out);
    assert_int_equal(proc_sysctl_put(&out, m, (unsigned)i), 0);
    char *text = sink_take(&out);
    assert_string_equal(text, expected);
    free(text);
}

static int set(const struct proc_machine *m, const char *key, const char *value)
{
    char err[160] = "";
    int error = proc_sysctl_set(m, key, value, err, sizeof err);
    assert_true((error == 0) == (err[0] == '\0'));
    return error;
}

static void defaults_read_as_linux_shows_them(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, GIB(4), false);
    struct proc_machine m = machine_of(&b);
    assert_reads(&m, "vm.swappiness", "60\n");
    assert_reads(&m, "vm.overcommit_memory", "0\n");
    assert_reads(&m, "vm.overcommit_ratio", "50\n");
    assert_reads(&m, "vm.max_map_count", "65530\n");
    assert_reads(&m, "vm.page-cluster", "3\n");
    assert_reads(&m, "sys/vm/lowmem_reserve_ratio", "256\t256\t32\t0\t0\n");
    assert_reads(&m, "/proc/sys/vm/watermark_scale_factor", "10\n");
    assert_reads(&m, "vm.extfrag_threshold", "500\n");
    box_close(&b);
}

static void what_is_written_is_read_and_works(void **state)
{
    (void)state;
    struct box b;
    struct phys_zone_info before, after;
    box_open(&b, GIB(4), false);
    struct proc_machine m = machine_of(&b);
    phys_zone_info(b.phys, 0, ZONE_DMA32, &before);
    assert_int_equal(set(&m, "vm.min_free_kbytes", "131072"), 0);
    assert_int_equal(set(&m, "vm.lowmem_reserve_ratio", " 128\t64  32"), 0);
    assert_int_equal(set(&m, "vm.swappiness", "200\n"), 0);
    phys_zone_info(b.phys, 0, ZONE_DMA32, &after);
    assert_reads(&m, "vm.min_free_kbytes", "131072\n");
    assert_reads(&m, "vm.lowmem_reserve_ratio", "128\t64\t32\t0\t0\n");
    assert_reads(&m, "vm.swappiness", "200\n");
    assert_true(after.min > before.min);
    box_close(&b);
}

static void values_linux_refuses_change_nothing(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, GIB(4), false);
    struct proc_machine m = machine_of(&b);
    static const char *const bad[][2] = {{"vm.swappiness", "201"},
                                         {"vm.swappiness", "-1"},
                                         {"vm.swappiness", "ten"},
                                         {"vm.swappiness", ""},
                                         {"vm.swappiness", "1 2"},
                                         {"vm.overcommit_memory", "3"},
                                         {"vm.drop_caches", "0"},
                                         {"vm.drop_caches", "5"},
                                         {"vm.compact_memory", "2"},
                                         {"vm.lowmem_reserve_ratio", "1 2 3 4 5 6"},
                                         {"vm.watermark_scale_factor", "0"},
                                         {"vm.swappiness", "18446744073709551616"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(set(&m, bad[i][0], bad[i][1]), -EINVAL);
    assert_int_equal(set(&m, "vm.nothing", "1"), -ENOENT);
    assert_int_equal(set(&m, "kernel.swappiness", "1"), -ENOENT);
    assert_reads(&m, "vm.swappiness", "60\n");
    assert_reads(&m, "vm.lowmem_reserve_ratio", "256\t256\t32\t0\t0\n");
    box_close(&b);
}

static void drop_caches_acts_at_once_and_cannot_be_read(void **state)
{
    (void)state;
    struct box b;
    struct sink out;
    box_open(&b, MIB(256), false);
    struct proc_machine m = machine_of(&b);
    struct mm_file *f = mm_file(b.sys, 1, 2, 64 * K, "/some/file");
    uint64_t at = (uint64_t)map_full(&b, 0, 64 * K, PROT_READ, MAP_PRIVATE, f, 0);
    touch_pages(&b, at, 64, false);
    assert_int_equal(mm_munmap(b.mm, va(at), 64 * K), 0);
    mm_file_put(b.sys, f);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_CACHE), 64);
    assert_int_equal(set(&m, "vm.drop_caches", "4"), 0); /* only ends the message */
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_CACHE), 64);
    assert_int_equal(set(&m, "vm.drop_caches", "1"), 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_CACHE), 0);
    assert_int_equal(b.stats.v[stat_find("drop_pagecache")], 1);
    sink_memory(&out);
    assert_int_equal(proc_sysctl_put(&out, &m, (unsigned)proc_sysctl_find("vm.drop_caches")),
                     -EACCES);
    sink_close(&out);
    box_close(&b);
}

static void every_tunable_can_be_found_by_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; proc_sysctl_name(i) != NULL; i++) {
        char key[80];
        snprintf(key, sizeof key, "vm.%s", proc_sysctl_name(i));
        assert_int_equal(proc_sysctl_find(key), i);
        assert_true(strlen(key) < PROC_KEY_MAX);
    }
    assert_int_equal(proc_sysctl_find("swappiness"), -1);
    assert_int_equal(proc_sysctl_find("vm."), -1);
}

/* -- orders -------------------------------------------------------------------------------------- */

static void times_of_every_unit_are_understood(void **state)
{
    (void)state;
    struct proc_order o;
    char err[160];
    assert_int_equal(proc_order_parse("3us: vm.swappiness=1", &o, err, sizeof err), 0);
    assert_int_equal(o.at, 3000000);
    assert_int_equal(proc_order_parse(" 12ms :vm.lowmem_reserve_ratio = 7 8 ", &o, err, sizeof err),
                     0);
    assert_int_equal(o.at, UINT64_C(12000000000));
    assert_string_equal(o.key, "vm.lowmem_reserve_ratio");
    assert_string_equal(o.value, "7 8");
    assert_int_equal(proc_order_parse("2s:vm.drop_caches=3", &o, err, sizeof err), 0);
    assert_int_equal(o.at, UINT64_C(2000000000000));
    assert_false(o.instructions);
    assert_int_equal(proc_order_parse("1000i: vm.drop_caches=3", &o, err, sizeof err), 0);
    assert_int_equal(o.at, 1000);
    assert_true(o.instructions);
}

static void other_orders_are_refused_with_their_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "5ms",
                                      "5ms vm.swappiness=1",
                                      "5: vm.swappiness=1",
                                      "-5ms: vm.swappiness=1",
                                      "1.5s: vm.swappiness=1",
                                      "5ms: vm.swappiness",
                                      "5ms: vm.swappiness=",
                                      "5ms: =1",
                                      "5ms: vm.unknown=1",
                                      "99999999999999999999s: vm.swappiness=1",
                                      "18446744073709551615s: vm.swappiness=1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct proc_order o = {.at = 9};
        char err[160] = "";
        assert_int_equal(proc_order_parse(bad[i], &o, err, sizeof err), -EINVAL);
        assert_int_equal(o.at, 9);
        assert_non_null(strchr(err, '`'));
    }
}

/* Ranges: kernel/sysctl.c and mm/page_alloc.c of Linux 6.18. */
static void a_value_out_of_range_is_refused_with_key_value_and_range(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"1us: vm.swappiness=300", "vm.swappiness: 300 is out of range; take", "0 to 200"},
        {"1us: vm.overcommit_memory=9", "vm.overcommit_memory: 9 is out of range; take", "0 to 2"},
        {"1us: vm.swappiness=ten", "vm.swappiness: `ten` is not a whole number; take", "0 to 200"},
        {"1us: vm.drop_caches=0", "vm.drop_caches: 0 is out of range; take", "1 to 4"},
        {"1us: vm.extfrag_threshold=1001", "vm.extfrag_threshold", "0 to 1000"},
        {"1us: vm.watermark_scale_factor=0", "vm.watermark_scale_factor", "1 to 3000"},
        {"1us: vm.percpu_pagelist_high_fraction=7", "fraction: 7 is out of range",
         "take 0 or 8 to"},
        {"1us: vm.lowmem_reserve_ratio=1 2 99999999999", "1 2 99999999999 is out of range",
         "0 to 2147483647"},
        {"1us: vm.lowmem_reserve_ratio=1 x", "`1 x` is no list of whole numbers", "take 0 to"}};
    struct proc_order o;
    char err[160];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(proc_order_parse(bad[i][0], &o, err, sizeof err), -EINVAL);
        assert_non_null(strstr(err, bad[i][1]));
        assert_non_null(strstr(err, bad[i][2]));
    }
    assert_int_equal(
        proc_order_parse("1us: vm.percpu_pagelist_high_fraction=0", &o, err, sizeof err), 0);
    assert_int_equal(proc_order_parse("1us: vm.nope=1", &o, err, sizeof err), -EINVAL);
    assert_non_null(strstr(err, "`vm.nope=1`"));
}

static void a_refusal_is_one_line_whatever_it_quotes(void **state)
{
    (void)state;
    struct box b;
    struct proc_order o;
    char err[160];
    box_open(&b, GIB(4), false);
    struct proc_machine m = machine_of(&b);
    assert_int_equal(proc_sysctl_set(&m, "vm.swappiness", "1\n2", err, sizeof err), -EINVAL);
    assert_null(strchr(err, '\n'));
    assert_int_equal(proc_sysctl_set(&m, "vm.\n", "1", err, sizeof err), -ENOENT);
    assert_null(strchr(err, '\n'));
    assert_int_equal(proc_order_parse("1s\n: x", &o, err, sizeof err), -EINVAL);
    assert_null(strchr(err, '\n'));
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_read_as_linux_shows_them),
        cmocka_unit_test(what_is_written_is_read_and_works),
        cmocka_unit_test(values_linux_refuses_change_nothing),
        cmocka_unit_test(drop_caches_acts_at_once_and_cannot_be_read),
        cmocka_unit_test(every_tunable_can_be_found_by_its_name),
        cmocka_unit_test(times_of_every_unit_are_understood),
        cmocka_unit_test(other_orders_are_refused_with_their_text),
        cmocka_unit_test(a_value_out_of_range_is_refused_with_key_value_and_range),
        cmocka_unit_test(a_refusal_is_one_line_whatever_it_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
