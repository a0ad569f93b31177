/* check.c: combinations of options that no hardware could have or the model cannot index.
 *
 *   TLB array    ways divide entries; sets are a power of two (the index is bits of the page
 *                number); tree-PLRU needs a power of two of ways, MRU3 three groups of such
 *   cache        ways divide lines; L1 sets are a power of two; tags of memory fit 32 bits
 *   memory       fits the physical address width, and the kernel image fits three quarters of it; every NUMA
 *                node keeps some for itself
 */
#include "conf/conf_int.h"

#include <stdbool.h>
#include <string.h>

struct tlb_rows {
    const char *key;                       /* "tlb.l2" */
    uint64_t entries, ways, sizes, policy; /* its options */
};

struct cache_rows {
    const char *key;             /* "cache.l2" */
    uint64_t size, ways, policy; /* its options */
    bool pow2_sets;              /* must its sets be a power of two? */
};

static int check_ways(const char *key, uint64_t ways, bool plru, bool mru3, char *err, size_t n)
{
    if (plru && !is_pow2(ways))
        return conf_refuse(err, n,
                           "%s.ways: tree pseudo-LRU needs a power of two, not %llu; take another "
                           "%s.policy",
                           key, (unsigned long long)ways, key);
    if (mru3 && (ways % 3 != 0 || !is_pow2(ways / 3)))
        return conf_refuse(err, n,
                           "%s.ways: mru3 needs three groups of a power of two (3, 6, 12 …), not "
                           "%llu; take another %s.policy",
                           key, (unsigned long long)ways, key);
    return 0;
}

static int check_tlb(const struct tlb_rows *t, char *err, size_t n)
{
    if (t->entries == 0)
        return 0;
    if (t->entries % t->ways != 0)
        return conf_refuse(err, n, "%s.ways: %llu ways do not divide %llu entries", t->key,
                           (unsigned long long)t->ways, (unsigned long long)t->entries);
    if (!is_pow2(t->entries / t->ways))
        return conf_refuse(err, n,
                           "%s: %llu entries in %llu ways make %llu sets; sets must be a power of "
                           "two",
                           t->key, (unsigned long long)t->entries, (unsigned long long)t->ways,
                           (unsigned long long)(t->entries / t->ways));
    if (t->sizes == 0)
        return conf_refuse(err, n,
                           "%s.sizes: an array with entries takes some page size; set %s.entries=0 "
                           "to have no such array",
                           t->key, t->key);
    return check_ways(t->key, t->ways, t->policy == TLB_PLRU, t->policy == TLB_MRU3, err, n);
}

static int check_tlbs(const struct conf *c, char *err, size_t n)
{
#define ROW(id, key)                                                                               \
    {                                                                                              \
        key, c->id##_entries, c->id##_ways, c->id##_sizes, c->id##_policy                          \
    }
    const struct tlb_rows arrays[] = {ROW(tlb_i, "tlb.i"),   ROW(tlb_i2, "tlb.i2"),
                                      ROW(tlb_d, "tlb.d"),   ROW(tlb_d2, "tlb.d2"),
                                      ROW(tlb_d3, "tlb.d3"), ROW(tlb_s, "tlb.s"),
                                      ROW(tlb_l2, "tlb.l2"), ROW(tlb_l2b, "tlb.l2b")};
#undef ROW
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        int r = check_tlb(&arrays[i], err, n);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_cache(const struct cache_rows *k, uint64_t phys_end, char *err, size_t n)
{
    uint64_t lines = k->size / 64;
    if (k->size % 64 != 0 || lines % k->ways != 0)
        return conf_refuse(err, n, "%s.ways: %llu ways do not divide %llu lines of 64 bytes",
                           k->key, (unsigned long long)k->ways, (unsigned long long)lines);
    uint64_t sets = lines / k->ways;
    if (k->pow2_sets && !is_pow2(sets))
        return conf_refuse(err, n,
                           "%s: %llu sets; a first-level cache is indexed by address bits, its "
                           "sets must be a power of two",
                           k->key, (unsigned long long)sets);
    if (phys_end / 64 / sets + 1 >= BIT(32))
        return conf_refuse(err, n, "%s: %llu sets are too few to tag so large a phys.size", k->key,
                           (unsigned long long)sets);
    return check_ways(k->key, k->ways, k->policy == CACHE_PLRU, false, err, n);
}

static int check_caches(const struct conf *c, char *err, size_t n)
{
    const struct cache_rows caches[] = {
        {"cache.l1i", c->l1i_size, c->l1i_ways, c->l1i_policy, true},
        {"cache.l1d", c->l1d_size, c->l1d_ways, c->l1d_policy, true},
        {"cache.l2", c->l2_size, c->l2_ways, c->l2_policy, false},
        {"cache.l3", c->l3_size, c->l3_ways, c->l3_policy, false}};
    for (size_t i = 0; i < ARRAY_LEN(caches); i++) {
        /* memory behind the hole below 4 GiB ends up to 4 GiB higher than its size */
        int r = check_cache(&caches[i], c->phys_size + GIB(4), err, n);
        if (r < 0)
            return r;
    }
    return 0;
}

/* check_hugetlb: the pools of boot fit what firmware, kernel image and memmap leave. */
static int check_hugetlb(const struct conf *c, char *err, size_t n)
{
    uint64_t small = c->hugetlb_2m * MIB(2), large = c->hugetlb_1g * GIB(1);
    uint64_t taken = MIB(1) + c->phys_kernel_image + c->phys_size / 64;
    bool first = large > small;
    if (c->hugetlb_1g > 0 && !c->mmu_1g)
        return conf_refuse(err, n,
                           "hugetlb.1g: %llu huge pages, and mmu.1g = off: no CPU could map "
                           "one",
                           (unsigned long long)c->hugetlb_1g);
    if (small + large <= c->phys_size - taken)
        return 0;
    return conf_refuse(err, n,
                       "%s: %llu huge pages, %llu MiB with all pools, are more than memory: of "
                       "phys.size = %llu MiB the kernel image and the memmap leave %llu MiB",
                       first ? "hugetlb.1g" : "hugetlb.2m",
                       (unsigned long long)(first ? c->hugetlb_1g : c->hugetlb_2m),
                       (unsigned long long)((small + large) >> 20),
                       (unsigned long long)(c->phys_size >> 20),
                       (unsigned long long)((c->phys_size - taken) >> 20));
}

static int check_memory(const struct conf *c, char *err, size_t n)
{
    if (c->phys_size % MIB(1) != 0)
        return conf_refuse(err, n, "phys.size: %llu bytes are no whole number of MiB",
                           (unsigned long long)c->phys_size);
    if (c->phys_size + GIB(4) > BIT(c->phys_bits))
        return conf_refuse(err, n,
                           "phys.size: %llu MiB and the hole below 4 GiB need more than phys.bits "
                           "= %llu address bits",
                           (unsigned long long)(c->phys_size >> 20),
                           (unsigned long long)c->phys_bits);
    if (c->phys_kernel_image > c->phys_size / 4 * 3)
        return conf_refuse(err, n,
                           "phys.kernel_image: %llu KiB are more than three quarters of phys.size "
                           "= %llu KiB",
                           (unsigned long long)c->phys_kernel_image / 1024,
                           (unsigned long long)c->phys_size / 1024);
    if (!is_pow2(c->kernel_fault_around))
        return conf_refuse(err, n, "kernel.fault_around: %llu pages are no power of two",
                           (unsigned long long)c->kernel_fault_around);
    return 0;
}

/* check_nodes: what its memmap and the kernel image leave of a node is memory. */
static int check_nodes(const struct conf *c, char *err, size_t n)
{
    struct conf_numa numa;
    int r = conf_numa(c, &numa, err, n);
    for (unsigned i = 0; i < numa.nodes && r == 0; i++) {
        uint64_t taken = numa.size[i] / 64 + (i == 0 ? MIB(1) + c->phys_kernel_image : 0);
        if (numa.size[i] < taken + MIB(1))
            r = conf_refuse(err, n,
                            "%s: node %u has %llu KiB, and its memmap%s take %llu KiB of them: no "
                            "memory would be left",
                            c->numa_sizes[0] ? "numa.sizes" : "numa.nodes", i,
                            (unsigned long long)numa.size[i] / 1024,
                            i == 0 ? ", the firmware and the kernel image" : "",
                            (unsigned long long)taken / 1024);
    }
    return r;
}

/* check_watermarks: the high mark, twice the distance of the marks above the lowest, leaves memory to use
 * (__setup_per_zone_wmarks). */
static int check_watermarks(const struct conf *c, char *err, size_t n)
{
    uint64_t all = c->phys_size / 1024, min = c->vm_min_free_kbytes;
    uint64_t distance = max_u64(min / 4, all * c->vm_watermark_scale_factor / 10000);
    if (min + 2 * distance < all - all / 16)
        return 0;
    return conf_refuse(
        err, n,
        "vm.watermark_scale_factor: %llu/10000 and vm.min_free_kbytes = %llu set the "
        "high watermark to %llu of phys.size = %llu KiB: nothing would ever be free",
        (unsigned long long)c->vm_watermark_scale_factor, (unsigned long long)min,
        (unsigned long long)(min + 2 * distance), (unsigned long long)all);
}

static int check_vm(const struct conf *c, char *err, size_t n)
{
    uint64_t ratios[5], f = c->vm_percpu_pagelist_high_fraction;
    int r;
    if (f > 0 && f < 8)
        return conf_refuse(err, n,
                           "vm.percpu_pagelist_high_fraction: %llu is too large a share; take 0, "
                           "or 8 and more",
                           (unsigned long long)f);
    if (c->vm_min_free_kbytes > c->phys_size / 1024 / 2)
        return conf_refuse(
            err, n, "vm.min_free_kbytes: %llu KiB are more than half of phys.size = %llu KiB",
            (unsigned long long)c->vm_min_free_kbytes, (unsigned long long)c->phys_size / 1024);
    r = check_watermarks(c, err, n);
    return r < 0 ? r : conf_reserve_ratios(c, ratios, err, n);
}

int conf_check(const struct conf *c, char *err, size_t err_size)
{
    int r = check_tlbs(c, err, err_size);
    if (r == 0)
        r = check_caches(c, err, err_size);
    if (r == 0)
        r = check_memory(c, err, err_size);
    if (r == 0)
        r = check_nodes(c, err, err_size);
    if (r == 0)
        r = check_vm(c, err, err_size);
    if (r == 0)
        r = check_hugetlb(c, err, err_size);
    return r;
}
