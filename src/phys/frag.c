/* frag.c: how fragmented free memory is, and whether compaction could help.
 *
 *   F = Σ n_k 2^k free frames, B = Σ n_k free blocks, S = Σ_{k >= o} n_k 2^(k-o) blocks of order o
 *
 * Isolated pageblocks count in B and F like others: the kernel looks at all lists of an order.
 *
 * Source: Linux 6.18 mm/vmstat.c (fill_contig_page_info, __fragmentation_index, unusable_free_index,
 * extfrag_for_order), mm/compaction.c (compaction_suitable, fragmentation_score_zone).
 */
#include "phys/phys_int.h"
#include "policy/frag.h"

#define COSTLY_ORDER 3

static struct contig fill_contig(const struct zone *z, unsigned order)
{
    struct contig c = {0};
    for (unsigned o = 0; o < PHYS_ORDERS; o++) {
        uint64_t blocks = o == ORDER_MAX ? (z->virgin_end - z->virgin) >> ORDER_MAX : 0;
        for (unsigned t = 0; t < MIGRATE_TYPES; t++)
            blocks += z->lists[t][o].blocks_nr;
        contig_add(&c, o, blocks, order);
    }
    return c;
}

int phys_unusable_index(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order)
{
    struct contig c = fill_contig(zone_at(p, nid, zone), order);
    return unusable_free_index(&c, order);
}

static int extfrag_index(const struct zone *z, unsigned order)
{
    struct contig c = fill_contig(z, order);
    return fragmentation_index(&c, order);
}

int phys_extfrag_index(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order)
{
    return extfrag_index(zone_at(p, nid, zone), order);
}

bool phys_compaction_suitable(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order,
                              uint64_t mark, enum zone_id highest)
{
    const struct zone *z = zone_at(p, nid, zone);
    mark += UINT64_C(2) << order;
    if (order > COSTLY_ORDER)
        mark += z->wmark[WMARK_LOW] - z->wmark[WMARK_MIN];
    if (!zone_watermark_ok(z, 0, mark, highest, 0))
        return false;
    int index = order > COSTLY_ORDER ? extfrag_index(z, order) : -1;
    return index < 0 || index > (int)p->vm.extfrag_threshold;
}

/* Percent of free memory that is in no block of the order: extfrag_for_order. */
unsigned phys_extfrag_percent(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order)
{
    struct contig c = fill_contig(zone_at(p, nid, zone), order);
    return c.frames == 0 ? 0 : (unsigned)((c.frames - (c.suitable << order)) * 100 / c.frames);
}
