/* info.c: what can be asked about memory: the numbers behind /proc/zoneinfo, buddyinfo, pagetypeinfo
 * and a node's meminfo.
 *
 * Source: Linux 6.18 mm/vmstat.c (zoneinfo_show_print, pagetypeinfo_show, calculate_normal_threshold).
 */
#include "phys/phys_int.h"

#include <string.h>

#define FIRMWARE_HOLE 97 /* frames from 636 KiB to 1 MiB that are no memory on a PC */
#define LEGACY_END    256

static unsigned fls64(uint64_t x)
{
    return x == 0 ? 0 : log2_floor(x) + 1;
}

/* A CPU's counters wait until they differ by this much before they reach the zone's. */
static unsigned stat_threshold(const struct phys *p, const struct zone *z)
{
    uint64_t mem = z->managed >> (27 - PAGE_SHIFT); /* in 128 MiB */
    return (unsigned)min_u64(125, 2 * fls64(p->cpus) * (1 + fls64(mem)));
}

/* Frame 0 is never memory to Linux, so the lowest zone begins at 1. */
static void fill_span(const struct zone *z, struct phys_zone_info *ret)
{
    ret->start_pfn = z->first != 0 ? z->first : 1;
    ret->spanned = z->end - ret->start_pfn;
    ret->present = ret->spanned - (z->first == 0 && z->end >= LEGACY_END ? FIRMWARE_HOLE : 0);
    ret->managed = z->managed;
}

static void fill_blocks(const struct zone *z, struct phys_zone_info *ret)
{
    for (unsigned t = 0; t < MIGRATE_TYPES; t++)
        for (unsigned o = 0; o < PHYS_ORDERS; o++)
            ret->blocks[t][o] = z->lists[t][o].blocks_nr;
    ret->blocks[MIGRATE_MOVABLE][ORDER_MAX] += (z->virgin_end - z->virgin) >> ORDER_MAX;
    for (unsigned t = 0; t < MIGRATE_ISOLATE; t++)
        for (unsigned o = PAGEBLOCK_ORDER; o < PHYS_ORDERS; o++)
            ret->free_blocks += ret->blocks[t][o] << o;
    memcpy(ret->pageblocks, z->pageblocks, sizeof(ret->pageblocks));
}

void phys_zone_info(const struct phys *p, unsigned nid, enum zone_id zone,
                    struct phys_zone_info *ret)
{
    const struct zone *z = zone_at(p, nid, zone);
    *ret = (struct phys_zone_info){.free = z->free_frames,
                                   .free_highatomic = z->free_highatomic,
                                   .reserved_highatomic = z->reserved_highatomic,
                                   .boost = z->boost};
    memcpy(ret->protection, z->reserve, sizeof(ret->protection));
    memcpy(ret->numa, z->numa, sizeof(ret->numa));
    if (z->first == z->end)
        return;
    fill_span(z, ret);
    fill_blocks(z, ret);
    ret->min = wmark_pages(z, WMARK_MIN);
    ret->low = wmark_pages(z, WMARK_LOW);
    ret->high = wmark_pages(z, WMARK_HIGH);
    ret->promo = wmark_pages(z, WMARK_PROMO);
    ret->stat_threshold = stat_threshold(p, z);
}

void phys_pcp_info(const struct phys *p, unsigned nid, enum zone_id zone, unsigned cpu,
                   struct phys_pcp_info *ret)
{
    const struct zone *z = zone_at(p, nid, zone);
    CHECK(cpu < p->cpus);
    *ret = (struct phys_pcp_info){.count = z->pcp[cpu].count,
                                  .high = z->pcp[cpu].high,
                                  .batch = z->batch,
                                  .high_min = z->high_min,
                                  .high_max = z->high_max};
}

void phys_node_info(const struct phys *p, unsigned nid, struct phys_node_info *ret)
{
    const struct node *node = &p->nodes[nid];
    *ret = (struct phys_node_info){.totalreserve = node->totalreserve, .cpus = node->cpus};
    memcpy(ret->owned, node->owned, sizeof(ret->owned));
    ret->start_pfn = node->first != 0 ? node->first : 1;
    ret->spanned = node->end - ret->start_pfn;
    for (unsigned i = 0; i < ZONE_NR; i++) {
        struct phys_zone_info z;
        phys_zone_info(p, nid, (enum zone_id)i, &z);
        ret->present += z.present;
        ret->managed += z.managed;
        ret->free += z.free;
    }
}

uint64_t phys_totalreserve(const struct phys *p)
{
    return p->totalreserve;
}

uint64_t phys_frames(const struct phys *p)
{
    return p->head.frames_nr;
}

uint64_t phys_owner_frames(const struct phys *p, enum frame_owner owner)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < p->nodes_nr; n++)
        sum += p->nodes[n].owned[owner];
    return sum;
}

uint64_t phys_zone_free(const struct phys *p, enum zone_id zone)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < p->nodes_nr; n++)
        sum += zone_at(p, n, zone)->free_frames;
    return sum;
}

uint64_t phys_free_blocks(const struct phys *p, enum zone_id zone, unsigned order)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < p->nodes_nr; n++) {
        struct phys_zone_info z;
        phys_zone_info(p, n, zone, &z);
        for (unsigned t = 0; t < MIGRATE_TYPES; t++)
            sum += z.blocks[t][order];
    }
    return sum;
}

/* -- going over all frames ------------------------------------------------------------------------ */

uint64_t phys_same_until(const struct phys *p, pfn n)
{
    for (unsigned i = 0; i < p->boot_nr; i++)
        if (n.v >= p->boot[i].first && n.v < p->boot[i].end)
            return p->boot[i].end;
    for (unsigned nid = 0; nid < p->nodes_nr; nid++)
        for (unsigned i = 0; i < ZONE_NR; i++) {
            const struct zone *z = zone_at(p, nid, (enum zone_id)i);
            if (n.v >= z->virgin && n.v < z->virgin_end)
                return z->virgin_end;
        }
    return n.v + 1;
}
