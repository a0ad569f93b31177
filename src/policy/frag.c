/* frag.c: the two indexes of fragmentation. Source: see frag.h. */
#include "policy/frag.h"

void contig_add(struct contig *c, unsigned o, uint64_t blocks, unsigned order)
{
    c->blocks += blocks;
    c->frames += blocks << o;
    if (o >= order)
        c->suitable += blocks << (o - order);
}

int unusable_free_index(const struct contig *c, unsigned order)
{
    if (c->frames == 0)
        return 1000;
    return (int)((c->frames - (c->suitable << order)) * 1000 / c->frames);
}

int fragmentation_index(const struct contig *c, unsigned order)
{
    if (c->blocks == 0)
        return 0;
    if (c->suitable > 0)
        return -1000;
    return 1000 - (int)((1000 + c->frames * 1000 / BIT(order)) / c->blocks);
}

unsigned fragmentation_score_wmark(unsigned proactiveness, bool low)
{
    unsigned stop = 100 - proactiveness, leeway = stop / 2 < 10 ? stop / 2 : 10;
    return low ? stop : stop + leeway < 100 ? stop + leeway : 100;
}
