/* wmark.c: how much of a zone must stay free: watermarks, what lower zones keep from requests that
 * could use higher ones, and how long per-CPU lists may be.
 *
 *   free frames of a zone
 *   |---- min ----|-- d --|-- d --|-- d --|      d = max(min/4, managed * scale factor / 10000)
 *                min     low    high    promo    a boost moves all four up for a while
 *
 * Invariants: W1 min <= low <= high <= promo. W2 a reserve never falls with the highest zone.
 *
 * Source: Linux 6.18 mm/page_alloc.c (calculate_min_free_kbytes, __setup_per_zone_wmarks,
 * setup_per_zone_lowmem_reserve, calculate_totalreserve_pages, zone_batchsize, zone_highsize,
 * zone_pcp_update_cacheinfo),
 * mm/khugepaged.c (set_recommended_min_free_kbytes), mm/huge_memory.c (hugepage_init).
 */
#include "phys/phys_int.h"

#include <errno.h>
#include <string.h>

#define MIN_FREE_KB_LO   128
#define MIN_FREE_KB_HI   262144
#define SMALL_MACHINE    (MIB(512) >> PAGE_SHIFT)
#define HIGH_FRACTION_LO 8 /* MIN_PERCPU_PAGELIST_HIGH_FRACTION */

static uint64_t int_sqrt(uint64_t x)
{
    uint64_t root = 0;
    for (uint64_t bit = BIT(31); bit != 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= x)
            root += bit;
    return root;
}

/* mult_frac of Linux: x * n / d without overflow of the product. */
static uint64_t mult_frac(uint64_t x, uint64_t n, uint64_t d)
{
    return x / d * n + x % d * n / d;
}

/* One zone after the other over all nodes, lowest first; NULL at the end. */
static struct zone *next_zone(const struct phys *p, unsigned *at)
{
    unsigned i = (*at)++;
    return i < p->nodes_nr * ZONE_NR ? zone_at(p, i / ZONE_NR, (enum zone_id)(i % ZONE_NR)) : NULL;
}

uint64_t phys_managed(const struct phys *p)
{
    uint64_t sum = 0;
    unsigned at = 0;
    for (struct zone *z; (z = next_zone(p, &at)) != NULL;)
        sum += z->managed;
    return sum;
}

/* Σ over zones of what lies above their high watermarks: nr_free_buffer_pages. */
static uint64_t above_high(const struct phys *p)
{
    uint64_t sum = 0;
    unsigned at = 0;
    for (struct zone *z; (z = next_zone(p, &at)) != NULL;) {
        uint64_t high = wmark_pages(z, WMARK_HIGH);
        sum += z->managed > high ? z->managed - high : 0;
    }
    return sum;
}

/* -- watermarks and reserves ----------------------------------------------------------------- */

static void setup_wmarks(struct phys *p)
{
    uint64_t pages_min = p->vm.min_free_kbytes >> (PAGE_SHIFT - 10), lowmem = phys_managed(p);
    unsigned at = 0;
    for (struct zone *z; (z = next_zone(p, &at)) != NULL;) {
        uint64_t min = lowmem != 0 ? pages_min * z->managed / lowmem : 0;
        uint64_t scaled = mult_frac(z->managed, p->vm.watermark_scale_factor, 10000);
        uint64_t d = max_u64(min / 4, scaled);
        z->boost = 0;
        for (unsigned w = 0; w < WMARK_NR; w++)
            z->wmark[w] = min + w * d; /* W1 */
    }
}

static void setup_reserve(struct phys *p, struct node *node)
{
    for (unsigned i = 0; i < ZONE_NR; i++) {
        struct zone *z = &node->zones[i];
        uint64_t ratio = p->vm.lowmem_reserve_ratio[i], above = 0;
        for (unsigned j = i + 1; j < PHYS_ZONES_NR; j++) {
            above += j < ZONE_NR ? node->zones[j].managed : 0;
            z->reserve[j] = ratio != 0 && z->managed != 0 ? above / ratio : 0;
        }
    }
}

/* The largest reserve of a zone is the one against requests for the highest zone (W2). */
static void sum_totalreserve(struct phys *p)
{
    p->totalreserve = 0;
    for (unsigned n = 0; n < p->nodes_nr; n++) {
        struct node *node = &p->nodes[n];
        node->totalreserve = 0;
        for (unsigned i = 0; i < ZONE_NR; i++) {
            const struct zone *z = &node->zones[i];
            uint64_t kept = z->reserve[PHYS_ZONES_NR - 1] + wmark_pages(z, WMARK_HIGH);
            node->totalreserve += min_u64(kept, z->managed);
        }
        p->totalreserve += node->totalreserve;
    }
}

/* -- per-CPU lists --------------------------------------------------------------------------- */

static uint32_t zone_batchsize(const struct zone *z)
{
    uint64_t batch = min_u64(z->managed >> 12, KIB(256) / PAGE_SIZE);
    return batch <= 1 ? 1 : (uint32_t)(BIT(log2_floor(batch + batch / 2)) - 1);
}

static uint32_t zone_highsize(const struct phys *p, const struct zone *z, uint64_t fraction)
{
    uint64_t total = fraction == 0 ? wmark_pages(z, WMARK_LOW) : z->managed / fraction;
    uint64_t cpus = (uint64_t)__builtin_popcountll(p->nodes[z->nid].cpus);
    uint64_t high = total / (cpus != 0 ? cpus : p->cpus);
    return (uint32_t)max_u64(high, 4 * zone_batchsize(z));
}

static void setup_lists(struct phys *p, struct zone *z)
{
    uint64_t f = p->vm.percpu_pagelist_high_fraction;
    z->batch = zone_batchsize(z);
    z->high_min = zone_highsize(p, z, f);
    z->high_max = f != 0 ? z->high_min : zone_highsize(p, z, HIGH_FRACTION_LO);
    z->free_high_batch = p->cache_slice >> PAGE_SHIFT > 3 * (uint64_t)z->batch;
}

void wmarks_setup(struct phys *p)
{
    setup_wmarks(p);
    unsigned at = 0;
    for (struct zone *z; (z = next_zone(p, &at)) != NULL;)
        setup_lists(p, z);
    for (unsigned n = 0; n < p->nodes_nr; n++)
        setup_reserve(p, &p->nodes[n]);
    sum_totalreserve(p);
}

/* -- min_free_kbytes ------------------------------------------------------------------------- */

static void calculate_min_free(struct phys *p)
{
    uint64_t root = int_sqrt(above_high(p) * (PAGE_SIZE / 1024) * 16);
    if ((int64_t)root > p->user_min_free)
        p->vm.min_free_kbytes = max_u64(MIN_FREE_KB_LO, min_u64(root, MIN_FREE_KB_HI));
}

/* Two pageblocks of each type in each zone, and room to fall back, keep 2 MiB pages possible. */
static void raise_for_thp(struct phys *p)
{
    uint64_t zones = 0;
    unsigned at = 0;
    for (struct zone *z; (z = next_zone(p, &at)) != NULL;)
        zones += z->end > z->first;
    uint64_t min = PAGEBLOCK_FRAMES * zones * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES);
    min = min_u64(min, above_high(p) / 20) << (PAGE_SHIFT - 10);
    p->vm.min_free_kbytes = max_u64(p->vm.min_free_kbytes, min);
}

static void set_recommended_min_free(struct phys *p)
{
    if (p->thp)
        raise_for_thp(p);
    else
        calculate_min_free(p);
}

/* khugepaged starts after the first computation, but not on machines below 512 MiB. */
void wmarks_init(struct phys *p)
{
    p->vm.min_free_kbytes = p->user_min_free > 0 ? (uint64_t)p->user_min_free : 0;
    if (p->user_min_free < 0) {
        calculate_min_free(p);
        wmarks_setup(p);
        if (phys_managed(p) >= SMALL_MACHINE)
            set_recommended_min_free(p);
    }
    wmarks_setup(p);
}

void phys_set_thp(struct phys *p, bool enabled)
{
    p->thp = enabled;
    set_recommended_min_free(p);
    wmarks_setup(p);
}

void phys_tunables(const struct phys *p, struct phys_tunables *ret)
{
    *ret = p->vm;
}

static bool tunables_valid(const struct phys_tunables *t)
{
    for (unsigned i = 0; i < PHYS_ZONES_NR; i++)
        if (t->lowmem_reserve_ratio[i] > INT32_MAX)
            return false;
    uint64_t f = t->percpu_pagelist_high_fraction;
    return t->min_free_kbytes <= INT32_MAX && t->watermark_scale_factor >= 1 &&
           t->watermark_scale_factor <= 3000 && t->watermark_boost_factor <= INT32_MAX &&
           (f == 0 || f >= HIGH_FRACTION_LO) && f <= INT32_MAX && t->extfrag_threshold <= 1000 &&
           t->numa_stat <= 1 && t->defrag_mode <= 1;
}

int phys_set_tunables(struct phys *p, const struct phys_tunables *t)
{
    if (!tunables_valid(t))
        return -EINVAL;
    if (t->min_free_kbytes != p->vm.min_free_kbytes)
        p->user_min_free = (int64_t)t->min_free_kbytes;
    p->vm = *t;
    wmarks_setup(p);
    return 0;
}
