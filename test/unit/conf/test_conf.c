/* Options: every row can be set, bad values are refused with a line that helps, nothing changes. */
#include "conf/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char err[256];

static void assert_refused(const char *assignment, const char *line)
{
    struct conf c, before;
    conf_init(&c);
    before = c;
    assert_int_equal(conf_assign(&c, assignment, err, sizeof(err)), -EINVAL);
    assert_string_equal(err, line);
    assert_memory_equal(&c, &before, sizeof(c));
}

static struct conf with(const char *assignment)
{
    struct conf c;
    conf_init(&c);
    assert_int_equal(conf_assign(&c, assignment, err, sizeof(err)), 0);
    return c;
}

static void defaults_pass_their_own_checks(void **state)
{
    struct conf c;
    (void)state;
    conf_init(&c);
    assert_int_equal(conf_check(&c, err, sizeof(err)), 0);
    assert_int_equal(c.phys_size, GIB(16));
    assert_int_equal(c.tlb_l2_entries, 1536);
    assert_int_equal(c.tlb_l2_index, INDEX_XOR7);
    assert_string_equal(c.machine_name, "default");
}

static void every_option_takes_back_what_it_prints(void **state)
{
    size_t n;
    const struct conf_option *o = conf_options(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct conf c, d;
        char text[CONF_TEXT_MAX];
        conf_init(&c);
        conf_init(&d);
        conf_format(&c, &o[i], text, sizeof(text));
        assert_int_equal(conf_set(&d, o[i].key, text, err, sizeof(err)), 0);
        assert_memory_equal(&c, &d, sizeof(c));
        assert_ptr_equal(conf_find(o[i].key), &o[i]);
    }
}

static void every_default_lies_in_its_range(void **state)
{
    size_t n;
    const struct conf_option *o = conf_options(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_true(o[i].def >= o[i].min && o[i].def <= o[i].max);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(o[i].key, o[j].key);
    }
}

static void sizes_take_powers_of_1024(void **state)
{
    (void)state;
    assert_int_equal(with("phys.size=17179869184").phys_size, GIB(16));
    assert_int_equal(with("phys.size=65536K").phys_size, MIB(64));
    assert_int_equal(with("phys.size=512m").phys_size, MIB(512));
    assert_int_equal(with("phys.size=3GiB").phys_size, GIB(3));
    assert_int_equal(with("phys.size=2TB").phys_size, GIB(2048));
    assert_int_equal(with("phys.size=0x40000000").phys_size, GIB(1));
}

static void words_and_numbers_are_stored(void **state)
{
    (void)state;
    assert_int_equal(with("mmu.pcid=off").mmu_pcid, 0);
    assert_int_equal(with("mmu.pcid=yes").mmu_pcid, 1);
    assert_int_equal(with("tlb.l2.sizes=4k+1g").tlb_l2_sizes, TLB_SIZES_4K | TLB_SIZES_1G);
    assert_int_equal(with("tlb.d.policy=mru3").tlb_d_policy, TLB_MRU3);
    assert_int_equal(with("tlb.d.policy=random").tlb_d_policy, TLB_RANDOM);
    assert_int_equal(with("cache.l3.kind=neither").l3_kind, L3_NEITHER);
    assert_int_equal(with("seed=18446744073709551615").seed, UINT64_MAX);
    assert_int_equal(with("cpu.cores=064").cpu_cores, 64);
    assert_string_equal(with("cpu.model=a = b").cpu_model, "a = b");
}

static void unknown_key_names_the_nearest(void **state)
{
    (void)state;
    assert_refused("tlb.l2.entires=5",
                   "unknown option `tlb.l2.entires`; did you mean `tlb.l2.entries`?");
    assert_refused("TLB.L2.WAYS=5", "unknown option `TLB.L2.WAYS`; docs/OPTIONS.md lists all of "
                                    "them");
    assert_refused("walkers=3", "unknown option `walkers`; did you mean `mmu.walkers`?");
    assert_refused("phys_size=1G", "unknown option `phys_size`; did you mean `phys.size`?");
    assert_refused("sede=1", "unknown option `sede`; did you mean `seed`?");
    assert_refused("frobnicate=1",
                   "unknown option `frobnicate`; docs/OPTIONS.md lists all of them");
}

static void out_of_range_says_range_and_unit(void **state)
{
    (void)state;
    assert_refused("tlb.l2.entries=65537",
                   "tlb.l2.entries: 65537 is out of range; take 0 to 65536 entries");
    assert_refused("cpu.cores=0", "cpu.cores: 0 is out of range; take 1 to 64 cores");
    assert_refused("phys.size=1M", "phys.size: 1M is out of range; take 16M to 16379G");
    assert_refused("phys.size=99999999999T",
                   "phys.size: 99999999999T is out of range; take 16M to 16379G");
    assert_refused("cpu.cores=18446744073709551617",
                   "cpu.cores: 18446744073709551617 is out of range; take 1 to 64 cores");
}

static void wrong_form_says_the_right_one(void **state)
{
    (void)state;
    assert_refused("cpu.cores=", "cpu.cores: `` is not a whole number; take 1 to 64 cores");
    assert_refused("cpu.cores=-1", "cpu.cores: `-1` is not a whole number; take 1 to 64 cores");
    assert_refused("cpu.cores= 2", "cpu.cores: ` 2` is not a whole number; take 1 to 64 cores");
    assert_refused("cpu.cores=2K", "cpu.cores: `2K` is not a whole number; take 1 to 64 cores");
    assert_refused("cpu.cores=0x", "cpu.cores: `0x` is not a whole number; take 1 to 64 cores");
    assert_refused("phys.size=1Q",
                   "phys.size: `1Q` is not a size; take a number with K, M, G or T behind it");
    assert_refused("phys.size=1Kib",
                   "phys.size: `1Kib` is not a size; take a number with K, M, G or T behind it");
    assert_refused("mmu.pcid=maybe", "mmu.pcid: `maybe` is unknown; take one of off|on");
    assert_refused("pagecache=war", "pagecache: `war` is unknown; take one of warm|cold");
    assert_refused("pagecache=warm|cold",
                   "pagecache: `warm|cold` is unknown; take one of warm|cold");
    assert_refused("pagecache", "`pagecache` is no assignment; write key=value");
    assert_refused("=3", "`=3` is no assignment; write key=value");
    assert_refused("cpu.model=a\nb", "cpu.model: the text holds a control character");
}

static void text_fits_or_is_refused(void **state)
{
    char word[128] = "cpu.model=";
    (void)state;
    memset(word + 10, 'x', CONF_TEXT_MAX - 1);
    assert_int_equal(strlen(with(word).cpu_model), CONF_TEXT_MAX - 1);
    word[strlen(word)] = 'y';
    assert_refused(word, "cpu.model: the text is too long; take at most 95 characters");
}

static void error_line_is_cut_to_the_buffer(void **state)
{
    struct conf c;
    char small[8] = "#######";
    (void)state;
    conf_init(&c);
    assert_int_equal(conf_set(&c, "seed", "x", small, 5), -EINVAL);
    assert_string_equal(small, "seed");
    assert_int_equal(conf_set(&c, "seed", "x", NULL, 0), -EINVAL);
}

static void assert_check(const char *const *assignments, const char *line)
{
    struct conf c;
    conf_init(&c);
    for (; *assignments; assignments++)
        assert_int_equal(conf_assign(&c, *assignments, err, sizeof(err)), 0);
    int r = conf_check(&c, err, sizeof(err));
    assert_int_equal(r, line ? -EINVAL : 0);
    if (line)
        assert_string_equal(err, line);
}

#define ASSERT_CHECK(line, ...) assert_check((const char *const[]){__VA_ARGS__, NULL}, line)

static void combinations_no_machine_has_are_refused(void **state)
{
    (void)state;
    ASSERT_CHECK("tlb.l2.ways: 7 ways do not divide 1536 entries", "tlb.l2.ways=7");
    ASSERT_CHECK("tlb.d: 96 entries in 4 ways make 24 sets; sets must be a power of two",
                 "tlb.d.entries=96");
    ASSERT_CHECK("tlb.d.ways: tree pseudo-LRU needs a power of two, not 6; take another "
                 "tlb.d.policy",
                 "tlb.d.entries=96", "tlb.d.ways=6", "tlb.d.policy=plru");
    ASSERT_CHECK("tlb.l2.ways: mru3 needs three groups of a power of two (3, 6, 12 …), not 8; take "
                 "another tlb.l2.policy",
                 "tlb.l2.entries=1024", "tlb.l2.ways=8", "tlb.l2.policy=mru3");
    ASSERT_CHECK("tlb.s.sizes: an array with entries takes some page size; set tlb.s.entries=0 to "
                 "have no such array",
                 "tlb.s.entries=16", "tlb.s.sizes=none");
    ASSERT_CHECK("cache.l2.ways: 3 ways do not divide 16384 lines of 64 bytes", "cache.l2.ways=3");
    ASSERT_CHECK("cache.l1d: 48 sets; a first-level cache is indexed by address bits, its sets "
                 "must be a power of two",
                 "cache.l1d.size=24K");
    ASSERT_CHECK(
        "phys.size: 65536 MiB and the hole below 4 GiB need more than phys.bits = 36 address "
        "bits",
        "phys.size=64G", "phys.bits=36");
    ASSERT_CHECK("phys.kernel_image: 40960 KiB are more than three quarters of phys.size = 32768 "
                 "KiB",
                 "phys.size=32M");
    ASSERT_CHECK("phys.size: 33555456 bytes are no whole number of MiB", "phys.size=33555456");
    ASSERT_CHECK("hugetlb.1g: 2 huge pages, and mmu.1g = off: no CPU could map one", "hugetlb.1g=2",
                 "mmu.1g=off");
    ASSERT_CHECK("kernel.fault_around: 3 pages are no power of two", "kernel.fault_around=3");
    ASSERT_CHECK("cache.l1d: 1 sets are too few to tag so large a phys.size", "cache.l1d.size=1K",
                 "cache.l1d.ways=16", "phys.size=1T");
}

static void combinations_real_machines_have_pass(void **state)
{
    (void)state;
    ASSERT_CHECK(NULL, "tlb.d.entries=96", "tlb.d.ways=6", "tlb.d.policy=lru");
    ASSERT_CHECK(NULL, "tlb.d.entries=72", "tlb.d.ways=72", "tlb.d.policy=lru");
    ASSERT_CHECK(NULL, "tlb.d2.entries=0", "tlb.d2.ways=3");
    ASSERT_CHECK(NULL, "cache.l2.size=1280K", "cache.l2.ways=20");
    ASSERT_CHECK(NULL, "mmu.levels=5", "phys.bits=52", "phys.size=1T");
}

static void a_message_is_one_line_whatever_it_quotes(void **state)
{
    (void)state;
    struct conf c;
    conf_init(&c);
    assert_int_equal(conf_assign(&c, "cpu.cores=1\n2\x1b[2J", err, sizeof err), -EINVAL);
    assert_string_equal(err, "cpu.cores: `1?2?[2J` is not a whole number; take 1 to 64 cores");
    assert_int_equal(conf_assign(&c, "a\nb", err, sizeof err), -EINVAL);
    assert_null(strchr(err, '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_pass_their_own_checks),
        cmocka_unit_test(every_option_takes_back_what_it_prints),
        cmocka_unit_test(every_default_lies_in_its_range),
        cmocka_unit_test(sizes_take_powers_of_1024),
        cmocka_unit_test(words_and_numbers_are_stored),
        cmocka_unit_test(unknown_key_names_the_nearest),
        cmocka_unit_test(out_of_range_says_range_and_unit),
        cmocka_unit_test(wrong_form_says_the_right_one),
        cmocka_unit_test(text_fits_or_is_refused),
        cmocka_unit_test(error_line_is_cut_to_the_buffer),
        cmocka_unit_test(a_message_is_one_line_whatever_it_quotes),
        cmocka_unit_test(combinations_no_machine_has_are_refused),
        cmocka_unit_test(combinations_real_machines_have_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
