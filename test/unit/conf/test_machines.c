/* Presets: each loads and has the geometry its sources state; host picks by family and model.
 * Runs in the root of the tree, where machines/ lies. */
#include "conf/machines.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char err[512], note[256];

static struct conf machine(const char *name)
{
    struct conf c;
    conf_init(&c);
    if (machines_load(&c, "machines", name, note, sizeof(note), err, sizeof(err)) < 0)
        fail_msg("%s", err);
    return c;
}

static void every_preset_loads_and_is_named_as_its_file(void **state)
{
    struct machines m;
    (void)state;
    assert_int_equal(machines_list("machines", &m), 0);
    assert_int_equal(m.n, 3);
    assert_string_equal(m.names[0], "golden-cove");
    assert_string_equal(m.names[1], "skylake-sp");
    assert_string_equal(m.names[2], "zen4");
    for (size_t i = 0; i < m.n; i++) {
        struct conf c = machine(m.names[i]);
        assert_string_equal(c.machine_name, m.names[i]);
        assert_string_equal(note, "");
    }
    machines_free(&m);
}

/* The range an option documents holds on every machine: 64 sets and a tag of 32 bits reach 16 TiB
 * less a page, which the memory and the hole of 4 GiB below it must end under. */
static void the_largest_memory_fits_every_preset(void **state)
{
    static const char *const names[] = {"default", "golden-cove", "skylake-sp", "zen4"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct conf c = machine(names[i]);
        if (conf_set(&c, "phys.size", "16379G", err, sizeof(err)) < 0 ||
            conf_check(&c, err, sizeof(err)) < 0)
            fail_msg("%s: %s", names[i], err);
        assert_true(conf_set(&c, "phys.size", "16380G", err, sizeof(err)) < 0);
    }
}

/* CPUID leaf 2 bytes 63 03 76 C3 and leaf 4 of a Xeon Gold 6154; TLB;DR for ways and hashes. */
static void skylake_sp_has_the_published_geometry(void **state)
{
    struct conf c = machine("skylake-sp");
    (void)state;
    assert_int_equal(c.tlb_i_entries / c.tlb_i_ways, 16);
    assert_int_equal(c.tlb_d_entries / c.tlb_d_ways, 16);
    assert_int_equal(c.tlb_d_ways, 4);
    assert_int_equal(c.tlb_l2_entries / c.tlb_l2_ways, 128);
    assert_int_equal(c.tlb_l2_index, INDEX_XOR7);
    assert_int_equal(c.tlb_l2_policy, TLB_MRU3);
    assert_int_equal(c.tlb_l2b_sizes, TLB_SIZES_1G);
    assert_int_equal(c.tlb_s_entries, 0);
    assert_int_equal(c.l3_size / 64 / c.l3_ways, 36864);
    assert_int_equal(c.l2_size / 64 / c.l2_ways, 1024);
    assert_int_equal(c.mmu_levels, 4);
    assert_int_equal(c.phys_bits, 46);
}

/* CPUID leaves 4 and 18h of a Sapphire Rapids; the load TLB as measured: 16 sets of 6 ways. */
static void golden_cove_has_two_halves_and_a_store_tlb(void **state)
{
    struct conf c = machine("golden-cove");
    (void)state;
    assert_int_equal(c.tlb_d_entries / c.tlb_d_ways, 16);
    assert_int_equal(c.tlb_d_ways, 6);
    assert_int_equal(c.tlb_s_entries, 16);
    assert_int_equal(c.tlb_s_ways, 16);
    assert_int_equal(c.tlb_s_sizes, TLB_SIZES_4K | TLB_SIZES_2M | TLB_SIZES_1G);
    assert_int_equal(c.tlb_l2_entries / c.tlb_l2_ways, 128);
    assert_int_equal(c.tlb_l2_sizes, TLB_SIZES_4K | TLB_SIZES_2M);
    assert_int_equal(c.tlb_l2b_entries / c.tlb_l2b_ways, 128);
    assert_int_equal(c.tlb_l2b_sizes, TLB_SIZES_4K | TLB_SIZES_1G);
    assert_int_equal(c.tlb_i_entries / c.tlb_i_ways, 32);
    assert_int_equal(c.tlb_i2_entries / c.tlb_i2_ways, 4);
    assert_int_equal(c.l1d_size / 64 / c.l1d_ways, 64);
    assert_int_equal(c.l3_size / 64 / c.l3_ways, 90112);
    assert_int_equal(c.mmu_walkers, 4);
    assert_int_equal(c.mmu_levels, 5);
}

/* CPUID leaves 80000005h, 80000006h, 80000019h, 8000001Dh of an EPYC 9654. */
static void zen4_has_one_full_array_for_all_sizes(void **state)
{
    struct conf c = machine("zen4");
    (void)state;
    assert_int_equal(c.tlb_d_entries, 72);
    assert_int_equal(c.tlb_d_ways, 72);
    assert_int_equal(c.tlb_d_sizes, TLB_SIZES_4K | TLB_SIZES_2M | TLB_SIZES_1G);
    assert_int_equal(c.tlb_d2_entries, 0);
    assert_int_equal(c.tlb_d3_entries, 0);
    assert_int_equal(c.tlb_i_ways, 64);
    assert_int_equal(c.tlb_i2_entries, 0);
    assert_int_equal(c.tlb_l2_entries / c.tlb_l2_ways, 128);
    assert_int_equal(c.tlb_l2b_ways, 64);
    assert_int_equal(c.l3_size / 64 / c.l3_ways, 32768);
    assert_int_equal(c.phys_bits, 52);
    assert_int_equal(c.mmu_walkers, 6);
}

static void default_needs_no_file_and_host_says_what_it_took(void **state)
{
    struct conf c, d;
    (void)state;
    conf_init(&c);
    conf_init(&d);
    assert_int_equal(machines_load(&c, "/nonexistent", "default", note, 256, err, 512), 0);
    assert_memory_equal(&c, &d, sizeof(c));
    c = machine("host");
    assert_true(strncmp(note, "host: ", 6) == 0);
    assert_non_null(strstr(note, c.machine_name));
}

static void unknown_machine_names_those_there_are(void **state)
{
    struct conf c, d;
    (void)state;
    conf_init(&c);
    conf_init(&d);
    assert_int_equal(machines_load(&c, "machines", "zen5", note, 256, err, 512), -EINVAL);
    assert_string_equal(err, "unknown machine `zen5`; take one of default, host, golden-cove, "
                             "skylake-sp, zen4, or the path of a file");
    assert_int_equal(machines_load(&c, "machines", "", note, 256, err, 512), -EINVAL);
    assert_int_equal(machines_load(&c, "machines", "./no.ini", note, 256, err, 512), -ENOENT);
    assert_string_equal(err, "./no.ini: cannot open it: No such file or directory");
    assert_memory_equal(&c, &d, sizeof(c));
}

static void file_whose_options_clash_is_refused_by_name(void **state)
{
    char path[64], want[256];
    struct conf c, d;
    (void)state;
    snprintf(path, sizeof(path), "/tmp/pagewalk-clash-%d.ini", (int)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("tlb.l2.ways = 7\n", f);
    fclose(f);
    conf_init(&c);
    conf_init(&d);
    assert_int_equal(machines_load(&c, "machines", path, note, 256, err, 512), -EINVAL);
    snprintf(want, sizeof(want), "%s: tlb.l2.ways: 7 ways do not divide 1536 entries", path);
    assert_string_equal(err, want);
    assert_memory_equal(&c, &d, sizeof(c));
    assert_int_equal(unlink(path), 0);
}

static void directory_is_found_beside_the_program(void **state)
{
    char root[] = "/tmp/pagewalk-dir-XXXXXX", bin[64], made[64], got[MACHINES_PATH_MAX];
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(bin, sizeof(bin), "%s/none", root); /* no machines in its grandparent */
    assert_int_equal(mkdir(bin, 0755), 0);
    strncat(bin, "/bin", sizeof(bin) - strlen(bin) - 1);
    assert_int_equal(mkdir(bin, 0755), 0);
    assert_int_equal(machines_dir(bin, got, err, sizeof(err)), -ENOENT);
    assert_non_null(strstr(err, "/bin/../share/pagewalk/machines"));
    snprintf(made, sizeof(made), "%s/none/share", root);
    assert_int_equal(mkdir(made, 0755), 0);
    strncat(made, "/pagewalk", sizeof(made) - strlen(made) - 1);
    assert_int_equal(mkdir(made, 0755), 0);
    strncat(made, "/machines", sizeof(made) - strlen(made) - 1);
    assert_int_equal(mkdir(made, 0755), 0);
    assert_int_equal(machines_dir(bin, got, err, sizeof(err)), 0);
    assert_non_null(strstr(got, "/bin/../share/pagewalk/machines"));
    assert_int_equal(rmdir(bin), 0);
    for (; strlen(made) >= strlen(root); *strrchr(made, '/') = '\0')
        assert_int_equal(rmdir(made), 0);
}

static void list_skips_other_files_and_says_why_it_cannot_read(void **state)
{
    struct machines m = {.n = 77};
    (void)state;
    assert_int_equal(machines_list("/nonexistent", &m), -ENOENT);
    assert_int_equal(m.n, 77);
    assert_int_equal(machines_list("src/conf", &m), 0);
    assert_int_equal(m.n, 0);
    machines_free(&m);
}

/* CPUID leaf 1 EAX of a Xeon Gold 6154, an EPYC 9654 and a Pentium 4. */
static void signature_is_decoded_as_the_manuals_say(void **state)
{
    unsigned family, model;
    (void)state;
    machines_signature(0x00050654, &family, &model);
    assert_int_equal(family, 6);
    assert_int_equal(model, 0x55);
    machines_signature(0x00a10f11, &family, &model);
    assert_int_equal(family, 0x19);
    assert_int_equal(model, 0x11);
    machines_signature(0x00000f29, &family, &model);
    assert_int_equal(family, 15);
    assert_int_equal(model, 2);
}

static const char *nearest(const char *vendor, unsigned family, unsigned model)
{
    return machines_nearest(vendor, family, model, note, sizeof(note));
}

static void known_cpus_get_their_preset(void **state)
{
    (void)state;
    assert_string_equal(nearest("GenuineIntel", 6, 0x55), "skylake-sp");
    assert_string_equal(note, "host: family 6 model 85 is Skylake-SP or Cascade Lake; taking "
                              "skylake-sp");
    assert_string_equal(nearest("GenuineIntel", 6, 0x8f), "golden-cove");
    assert_string_equal(nearest("GenuineIntel", 6, 0xcf), "golden-cove");
    assert_string_equal(nearest("AuthenticAMD", 0x19, 0x11), "zen4");
    assert_string_equal(nearest("AuthenticAMD", 0x19, 0x61), "zen4");
    assert_string_equal(nearest("AuthenticAMD", 0x19, 0xa0), "zen4");
    assert_null(strstr(note, ":  "));
}

static void other_cpus_get_the_nearest_of_their_vendor(void **state)
{
    (void)state;
    assert_string_equal(nearest("GenuineIntel", 6, 0x3f), "skylake-sp");
    assert_string_equal(nearest("GenuineIntel", 6, 0xa7), "golden-cove");
    assert_non_null(strstr(note, "Rocket Lake"));
    assert_string_equal(nearest("GenuineIntel", 6, 0xfe), "golden-cove");
    assert_string_equal(nearest("GenuineIntel", 18, 1), "golden-cove");
    assert_string_equal(nearest("AuthenticAMD", 0x19, 0x01), "zen4");
    assert_non_null(strstr(note, "Zen 3"));
    assert_string_equal(nearest("AuthenticAMD", 0x1a, 0x02), "zen4");
    assert_string_equal(nearest("HygonGenuine", 0x18, 1), "zen4");
    assert_string_equal(nearest("CentaurHauls", 6, 15), "default");
    assert_non_null(strstr(note, "CentaurHauls"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_loads_and_is_named_as_its_file),
        cmocka_unit_test(the_largest_memory_fits_every_preset),
        cmocka_unit_test(skylake_sp_has_the_published_geometry),
        cmocka_unit_test(golden_cove_has_two_halves_and_a_store_tlb),
        cmocka_unit_test(zen4_has_one_full_array_for_all_sizes),
        cmocka_unit_test(default_needs_no_file_and_host_says_what_it_took),
        cmocka_unit_test(unknown_machine_names_those_there_are),
        cmocka_unit_test(file_whose_options_clash_is_refused_by_name),
        cmocka_unit_test(directory_is_found_beside_the_program),
        cmocka_unit_test(list_skips_other_files_and_says_why_it_cannot_read),
        cmocka_unit_test(signature_is_decoded_as_the_manuals_say),
        cmocka_unit_test(known_cpus_get_their_preset),
        cmocka_unit_test(other_cpus_get_the_nearest_of_their_vendor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
