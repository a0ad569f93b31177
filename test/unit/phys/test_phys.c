/* Where things lie at boot, who owns what, and what a machine costs the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "phys/phys.h"

static struct stat_set stats;

static struct phys *open_sized(uint64_t size, uint64_t image)
{
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = size;
    conf.phys_kernel_image = image;
    memset(&stats, 0, sizeof(stats));
    struct phys *p = NULL;
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    return p;
}

static uint64_t sum_of_owners(struct phys *p)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < FRAME_OWNER_NR; i++)
        sum += phys_owner_frames(p, i);
    return sum;
}

#ifdef __SANITIZE_THREAD__
#define SHADOW 8 /* the sanitizer keeps several bytes for each one touched */
#else
#define SHADOW 1
#endif

/* Resident memory of this process, bytes. */
static uint64_t resident(void)
{
    unsigned long total = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &total, &pages), 2);
    fclose(f);
    return (uint64_t)pages * 4096;
}

/* -- boot layout */

static void test_owners_at_boot_add_up_at_every_size(void **state)
{
    (void)state;
    const uint64_t sizes[] = {MIB(16),         MIB(17) + 4096, MIB(64),   GIB(4) - 4096, GIB(4),
                              GIB(4) + MIB(1), GIB(16),        GIB(1024), GIB(16384)};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct phys *p = open_sized(sizes[i], MIB(8));
        uint64_t frames = sizes[i] / 4096;
        assert_int_equal(phys_frames(p), frames);
        assert_int_equal(sum_of_owners(p), frames);
        assert_int_equal(phys_owner_frames(p, FRAME_RESERVED), 256);
        assert_int_equal(phys_owner_frames(p, FRAME_KERNEL_IMAGE), 2048);
        assert_int_equal(phys_owner_frames(p, FRAME_MEMMAP), div_up(frames, 64));
        assert_int_equal(phys_audit(p), 0);
        phys_close(p);
    }
}

/* A PC's DMA zone once booted: 3840 frames in blocks of 1, 2 and three times 4 MiB. */
static void test_dma_zone_looks_like_a_booted_pc(void **state)
{
    (void)state;
    static const uint64_t want[PHYS_ORDERS] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 3};
    struct phys *p = open_sized(GIB(16), MIB(40));
    assert_int_equal(phys_zone_free(p, ZONE_DMA), 3840);
    for (unsigned o = 0; o < PHYS_ORDERS; o++)
        assert_int_equal(phys_free_blocks(p, ZONE_DMA, o), want[o]);
    phys_close(p);
}

static void test_each_frame_has_the_owner_its_place_says(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64), MIB(40)); /* memmap: 16384 frames * 64 = 256 frames */
    for (uint64_t n = 0; n < 16384; n++) {
        enum frame_owner want = n < 256                         ? FRAME_RESERVED
                                : n >= 4096 && n < 4096 + 10240 ? FRAME_KERNEL_IMAGE
                                : n >= 16384 - 256              ? FRAME_MEMMAP
                                                                : FRAME_FREE;
        assert_int_equal(phys_owner(p, (pfn){n}), want);
    }
    phys_close(p);
}

static void test_image_moves_below_16_mib_on_a_small_machine(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(48), MIB(40));
    assert_int_equal(phys_owner(p, (pfn){255}), FRAME_RESERVED);
    assert_int_equal(phys_owner(p, (pfn){256}), FRAME_KERNEL_IMAGE);
    assert_int_equal(phys_owner(p, (pfn){256 + 10240 - 1}), FRAME_KERNEL_IMAGE);
    assert_int_equal(phys_owner(p, (pfn){256 + 10240}), FRAME_FREE);
    assert_int_equal(phys_zone_free(p, ZONE_DMA), 0);
    assert_int_equal(phys_zone_free(p, ZONE_DMA32), 12288 - 256 - 10240 - 192);
    assert_int_equal(phys_audit(p), 0);
    phys_close(p);
}

static void test_memmap_larger_than_its_zone_reaches_into_the_one_below(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(4) + MIB(16), MIB(40)); /* memmap 64.25 MiB */
    uint64_t frames = phys_frames(p), memmap = div_up(frames, 64);
    assert_int_equal(phys_zone_free(p, ZONE_NORMAL), 0);
    assert_int_equal(phys_zone_free(p, ZONE_DMA32), frames - memmap - 4096 - 10240);
    assert_int_equal(phys_audit(p), 0);
    phys_close(p);
}

static void test_too_small_machine_is_refused_at_exactly_1_mib_left(void **state)
{
    (void)state;
    struct conf conf;
    conf_init(&conf);
    struct phys *p = (struct phys *)&stats; /* a value that must stay */
    conf.phys_size = MIB(16);
    conf.phys_kernel_image = MIB(40);
    assert_int_equal(phys_open(&p, &conf, &stats), -EINVAL);
    conf.phys_kernel_image = MIB(14) - 64 * 4096 + 4096; /* one frame too much */
    assert_int_equal(phys_open(&p, &conf, &stats), -EINVAL);
    assert_ptr_equal(p, &stats);
    conf.phys_kernel_image -= 4096;
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    assert_int_equal(phys_owner_frames(p, FRAME_FREE), 256);
    phys_close(p);
}

static void test_machine_of_a_few_hundred_frames_works(void **state)
{
    (void)state;
    struct phys *p = open_sized(KIB(3324), MIB(1)); /* 831 frames: 256 + 256 + 13 are taken */
    assert_int_equal(phys_zone_free(p, ZONE_DMA), 831 - 256 - 256 - 13);
    assert_int_equal(phys_zone_free(p, ZONE_DMA32) + phys_zone_free(p, ZONE_NORMAL), 0);
    pfn n;
    uint64_t got = 0;
    for (; phys_alloc(p, 0, GFP_USER, FRAME_USER_ANON, &n) == 0; got++)
        assert_in_range(n.v, 512, 817);
    assert_int_equal(got, 306);
    assert_int_equal(phys_audit(p), 0);
    phys_close(p);
}

static void test_zero_page_is_the_kernels_and_never_free(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64), MIB(8));
    pfn zero = phys_zero_page(p);
    assert_int_equal(phys_owner(p, zero), FRAME_KERNEL_IMAGE);
    assert_int_equal(phys_frame(p, zero)->owner, FRAME_KERNEL_IMAGE);
    assert_true(phys_frame(p, zero)->flags & FRAME_F_ZERO_PAGE);
    pfn n;
    while (phys_alloc(p, 0, GFP_USER, FRAME_USER_ANON, &n) == 0)
        assert_int_not_equal(n.v, zero.v);
    phys_close(p);
}

static void test_owner_names_are_the_json_keys(void **state)
{
    (void)state;
    static const char *const want[] = {
        "free",       "reserved",  "kernel_image", "memmap", "page_table", "kernel_stack", "slab",
        "page_cache", "user_file", "user_anon",    "shmem",  "hugetlb",    "vmalloc"};
    for (unsigned i = 0; i < FRAME_OWNER_NR; i++)
        assert_string_equal(phys_owner_name(i), want[i]);
}

/* -- records and owners */

static void test_record_is_at_most_48_bytes(void **state)
{
    (void)state;
    assert_true(sizeof(struct frame) <= 48);
}

static void test_owner_moves_between_page_cache_and_user(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64), MIB(8));
    pfn n;
    assert_int_equal(phys_alloc(p, 2, GFP_USER, FRAME_PAGE_CACHE, &n), 0);
    phys_set_owner(p, (pfn){n.v + 1}, FRAME_USER_FILE);
    assert_int_equal(phys_owner_frames(p, FRAME_PAGE_CACHE), 3);
    assert_int_equal(phys_owner_frames(p, FRAME_USER_FILE), 1);
    assert_int_equal(phys_owner(p, (pfn){n.v + 1}), FRAME_USER_FILE);
    assert_int_equal(phys_audit(p), 0);
    phys_free(p, n, 2);
    assert_int_equal(phys_owner_frames(p, FRAME_PAGE_CACHE), 0);
    assert_int_equal(phys_owner_frames(p, FRAME_USER_FILE), 0);
    assert_int_equal(phys_audit(p), 0);
    phys_close(p);
}

static void test_allocated_record_starts_clean_whatever_its_last_user_left(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64), MIB(8));
    pfn n, again;
    assert_int_equal(phys_alloc(p, 1, GFP_USER, FRAME_USER_ANON, &n), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct frame *f = phys_frame(p, (pfn){n.v + i});
        f->refs = f->mapcount = f->link_next = f->link_prev = 7;
        f->flags |= FRAME_F_DIRTY | FRAME_F_EXCLUSIVE;
        f->index = 9;
        f->mapping = f;
    }
    phys_free(p, n, 1);
    assert_int_equal(phys_alloc(p, 1, GFP_USER, FRAME_SHMEM, &again), 0);
    assert_int_equal(again.v, n.v);
    for (unsigned i = 0; i < 2; i++) {
        struct frame *f = phys_frame(p, (pfn){n.v + i});
        assert_int_equal(f->owner, FRAME_SHMEM);
        assert_int_equal(f->refs | f->mapcount | f->link_next | f->link_prev | f->index, 0);
        assert_int_equal(f->flags, i == 0 ? FRAME_F_HEAD : FRAME_F_TAIL);
        assert_null(f->mapping);
    }
    phys_close(p);
}

static void test_table_is_zero_aligned_and_its_own_even_when_reused(void **state)
{
    (void)state;
    struct phys *p = open_sized(MIB(64), MIB(8));
    struct rng rng = {5};
    pfn held[600]; /* more than two chunks */
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 600; i++) {
            assert_int_equal(phys_alloc(p, 0, GFP_KERNEL, FRAME_PAGE_TABLE, &held[i]), 0);
            pte *t = phys_table(p, held[i]);
            assert_int_equal((uintptr_t)t % 4096, 0);
            for (unsigned e = 0; e < 512; e++)
                assert_int_equal(t[e].v, 0);
            for (unsigned e = 0; e < 512; e++)
                t[e].v = held[i].v << 32 | e | 1;
        }
        for (unsigned i = 0; i < 600; i++)
            for (unsigned e = 0; e < 512; e += 73)
                assert_int_equal(phys_table(p, held[i])[e].v, held[i].v << 32 | e | 1);
        for (unsigned left = 600; left > 0; left--) {
            unsigned i = (unsigned)rng_below(&rng, left);
            phys_free(p, held[i], 0);
            held[i] = held[left - 1];
        }
        assert_int_equal(phys_audit(p), 0);
    }
    phys_close(p);
}

/* -- what it costs */

static void test_1_tib_machine_costs_the_host_what_is_used(void **state)
{
    (void)state;
    uint64_t before = resident();
    struct phys *p = open_sized(GIB(1024), MIB(40));
    uint64_t opened = resident();
    assert_true(opened - before < MIB(16) * SHADOW); /* of 10 GiB; the host may give huge pages */
    pfn n;
    for (unsigned i = 0; i < 65536; i++) /* 256 MiB of the model: 2.5 MiB of records */
        assert_int_equal(phys_alloc(p, 0, GFP_USER, FRAME_USER_ANON, &n), 0);
    assert_true(resident() - opened < MIB(8) * SHADOW);
    assert_int_equal(phys_audit(p), 0);
    assert_int_equal(phys_owner(p, (pfn){phys_frames(p) - 1}), FRAME_MEMMAP);
    print_message("1 TiB machine: opened %lu KiB, after 256 MiB of use %lu KiB\n",
                  (unsigned long)(opened - before) / 1024,
                  (unsigned long)(resident() - before) / 1024);
    phys_close(p);
}

static void test_16_tib_machine_gives_its_highest_zone_from_4_gib_on(void **state)
{
    (void)state;
    struct phys *p = open_sized(GIB(16384), MIB(40));
    pfn n;
    assert_int_equal(phys_alloc(p, 10, GFP_USER, FRAME_USER_ANON, &n), 0);
    assert_int_equal(n.v, UINT64_C(1) << 20);
    phys_free(p, n, 10);
    assert_int_equal(phys_free_blocks(p, ZONE_NORMAL, 10),
                     ((UINT64_C(1) << 32) - (UINT64_C(1) << 26) - (1 << 20)) >> 10);
    assert_int_equal(phys_audit(p), 0);
    phys_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owners_at_boot_add_up_at_every_size),
        cmocka_unit_test(test_dma_zone_looks_like_a_booted_pc),
        cmocka_unit_test(test_each_frame_has_the_owner_its_place_says),
        cmocka_unit_test(test_image_moves_below_16_mib_on_a_small_machine),
        cmocka_unit_test(test_memmap_larger_than_its_zone_reaches_into_the_one_below),
        cmocka_unit_test(test_too_small_machine_is_refused_at_exactly_1_mib_left),
        cmocka_unit_test(test_machine_of_a_few_hundred_frames_works),
        cmocka_unit_test(test_zero_page_is_the_kernels_and_never_free),
        cmocka_unit_test(test_owner_names_are_the_json_keys),
        cmocka_unit_test(test_record_is_at_most_48_bytes),
        cmocka_unit_test(test_owner_moves_between_page_cache_and_user),
        cmocka_unit_test(test_allocated_record_starts_clean_whatever_its_last_user_left),
        cmocka_unit_test(test_table_is_zero_aligned_and_its_own_even_when_reused),
        cmocka_unit_test(test_1_tib_machine_costs_the_host_what_is_used),
        cmocka_unit_test(test_16_tib_machine_gives_its_highest_zone_from_4_gib_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
