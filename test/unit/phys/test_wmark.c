/* Watermarks, protections, reserves and list lengths: the numbers a real 6.18 kernel showed in
 * /proc/zoneinfo for the same sizes of zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "phys/phys_int.h"

static struct stat_set stats;

/* A machine of 2 CPUs and one node with the given managed frames. */
static struct phys *open_managed(uint64_t dma, uint64_t dma32, uint64_t normal)
{
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = GIB(24);
    conf.cpu_cores = 2;
    struct phys *p = NULL;
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    zone_at(p, 0, ZONE_DMA)->managed = dma;
    zone_at(p, 0, ZONE_DMA32)->managed = dma32;
    zone_at(p, 0, ZONE_NORMAL)->managed = normal;
    p->user_min_free = -1;
    for (unsigned i = 0; i < ZONE_NR; i++)
        memset(zone_at(p, 0, i)->wmark, 0, sizeof(zone_at(p, 0, i)->wmark));
    wmarks_init(p);
    return p;
}

static void want_marks(struct phys *p, enum zone_id zone, const uint64_t want[4])
{
    struct phys_zone_info z;
    phys_zone_info(p, 0, zone, &z);
    assert_int_equal(z.min, want[0]);
    assert_int_equal(z.low, want[1]);
    assert_int_equal(z.high, want[2]);
    if (want[3] != 0)
        assert_int_equal(z.promo, want[3]);
}

static void want_protection(struct phys *p, enum zone_id zone, const uint64_t want[5])
{
    struct phys_zone_info z;
    phys_zone_info(p, 0, zone, &z);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(z.protection[i], want[i]);
}

/* Linux 6.18.44, 2 CPUs, 24 GiB: zoneinfo once all memory was handed to the allocator. */
static void test_24_gib_guest_has_the_kernels_watermarks_and_protections(void **state)
{
    (void)state;
    struct phys *p = open_managed(3840, 772917, 5394266);
    struct phys_tunables vm;
    phys_tunables(p, &vm);
    assert_int_equal(vm.min_free_kbytes, 67584);
    want_marks(p, ZONE_DMA, (const uint64_t[]){10, 13, 16, 0});
    want_marks(p, ZONE_DMA32, (const uint64_t[]){2116, 2888, 3660, 0});
    want_marks(p, ZONE_NORMAL, (const uint64_t[]){14769, 20163, 25557, 0});
    want_protection(p, ZONE_DMA, (const uint64_t[]){0, 3019, 24090, 24090, 24090});
    want_protection(p, ZONE_DMA32, (const uint64_t[]){0, 0, 21071, 21071, 21071});
    want_protection(p, ZONE_NORMAL, (const uint64_t[]){0, 0, 0, 0, 0});
    assert_int_equal(phys_totalreserve(p), 54128);
    phys_close(p);
}

/* The same guest early, with 1.5 GiB of zone Normal. */
static void test_young_guest_has_the_kernels_watermarks_and_list_lengths(void **state)
{
    (void)state;
    static const uint64_t batch[] = {1, 63, 63}, min[] = {34, 6975, 3548};
    static const uint64_t max[] = {240, 48307, 24576}, threshold[] = {4, 24, 20};
    struct phys *p = open_managed(3840, 772917, 393216);
    want_marks(p, ZONE_DMA, (const uint64_t[]){55, 68, 81, 94});
    want_marks(p, ZONE_DMA32, (const uint64_t[]){11161, 13951, 16741, 19531});
    want_marks(p, ZONE_NORMAL, (const uint64_t[]){5678, 7097, 8516, 9935});
    want_protection(p, ZONE_DMA, (const uint64_t[]){0, 3019, 4555, 4555, 4555});
    want_protection(p, ZONE_DMA32, (const uint64_t[]){0, 0, 1536, 1536, 1536});
    for (unsigned i = 0; i < ZONE_NR; i++) {
        struct phys_zone_info z;
        struct phys_pcp_info l;
        phys_zone_info(p, 0, i, &z);
        phys_pcp_info(p, 0, i, 1, &l);
        assert_int_equal(l.batch, batch[i]);
        assert_int_equal(l.high_min, min[i]);
        assert_int_equal(l.high_max, max[i]);
        assert_int_equal(z.stat_threshold, threshold[i]);
    }
    phys_close(p);
}

/* Read on the reference guest, 2026-11-22: min 14, 2958, 13922, so pages_min is 16896 again. */
static void test_watermarks_share_min_free_kbytes_by_size(void **state)
{
    (void)state;
    struct phys *p = open_managed(3840, 772915, 3637321);
    want_marks(p, ZONE_DMA, (const uint64_t[]){14, 17, 20, 23});
    want_marks(p, ZONE_DMA32, (const uint64_t[]){2958, 3730, 4502, 5274});
    want_marks(p, ZONE_NORMAL, (const uint64_t[]){13922, 17559, 21196, 0});
    want_protection(p, ZONE_DMA, (const uint64_t[]){0, 3019, 17227, 17227, 17227});
    phys_close(p);
}

/* mm/page_alloc.c: sqrt(16 * lowmem kB), 128 to 262144; no more than 5 % of memory for THP. */
static void test_min_free_kbytes_without_thp_is_the_square_root(void **state)
{
    (void)state;
    struct phys *p = open_managed(3840, 4096, 0); /* 31744 kB: isqrt(507904) = 712 */
    p->thp = false;
    for (unsigned i = 0; i < ZONE_NR; i++)
        memset(zone_at(p, 0, i)->wmark, 0, sizeof(zone_at(p, 0, i)->wmark));
    wmarks_init(p);
    struct phys_tunables vm;
    phys_tunables(p, &vm);
    assert_int_equal(vm.min_free_kbytes, 712);
    uint64_t above = 7936 - wmark_pages(zone_at(p, 0, ZONE_DMA), WMARK_HIGH) -
                     wmark_pages(zone_at(p, 0, ZONE_DMA32), WMARK_HIGH);
    phys_set_thp(p, true);
    phys_tunables(p, &vm);
    assert_int_equal(vm.min_free_kbytes, above / 20 * 4);
    phys_close(p);
}

/* hugepage_init: the raise is khugepaged's, which machines below 512 MiB do not start, nor those
 * without pages of 2 MiB. */
static void test_small_machine_and_thp_never_are_not_raised(void **state)
{
    (void)state;
    struct conf conf;
    struct phys *p = NULL;
    struct phys_tunables vm;
    conf_init(&conf);
    conf.phys_size = MIB(500);
    conf.phys_kernel_image = MIB(8);
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    phys_tunables(p, &vm);
    uint64_t kb = phys_managed(p) * 4, root = vm.min_free_kbytes;
    assert_true(root * root <= 16 * kb && (root + 1) * (root + 1) > 16 * kb);
    phys_close(p);
    conf.phys_size = GIB(16);
    conf.thp_enabled = 2; /* never */
    assert_int_equal(phys_open(&p, &conf, &stats), 0);
    phys_tunables(p, &vm);
    assert_true(vm.min_free_kbytes <
                16384); /* isqrt(16 * 16 GiB in KiB) = 16384, less the reserves */
    assert_true(vm.min_free_kbytes > 16000);
    phys_close(p);
}

static void test_tunables_are_followed_and_bad_ones_change_nothing(void **state)
{
    (void)state;
    struct phys *p = open_managed(3840, 772917, 393216);
    struct phys_tunables vm, now;
    phys_tunables(p, &vm);
    vm.min_free_kbytes = 4096;
    vm.watermark_scale_factor = 1000; /* d = 10 % */
    vm.lowmem_reserve_ratio[0] = 0;
    vm.percpu_pagelist_high_fraction = 8;
    assert_int_equal(phys_set_tunables(p, &vm), 0);
    want_marks(p, ZONE_NORMAL, (const uint64_t[]){344, 344 + 39321, 344 + 2 * 39321, 0});
    want_protection(p, ZONE_DMA, (const uint64_t[]){0, 0, 0, 0, 0});
    struct phys_pcp_info l;
    phys_pcp_info(p, 0, ZONE_NORMAL, 0, &l);
    assert_int_equal(l.high_min, 393216 / 8 / 2);
    assert_int_equal(l.high_max, l.high_min);
    now = vm;
    now.watermark_scale_factor = 3001;
    assert_int_equal(phys_set_tunables(p, &now), -EINVAL);
    now = vm;
    now.percpu_pagelist_high_fraction = 7;
    assert_int_equal(phys_set_tunables(p, &now), -EINVAL);
    phys_tunables(p, &now);
    assert_memory_equal(&now, &vm, sizeof(vm));
    phys_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_24_gib_guest_has_the_kernels_watermarks_and_protections),
        cmocka_unit_test(test_young_guest_has_the_kernels_watermarks_and_list_lengths),
        cmocka_unit_test(test_watermarks_share_min_free_kbytes_by_size),
        cmocka_unit_test(test_min_free_kbytes_without_thp_is_the_square_root),
        cmocka_unit_test(test_small_machine_and_thp_never_are_not_raised),
        cmocka_unit_test(test_tunables_are_followed_and_bad_ones_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
