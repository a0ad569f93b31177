/* fragment.c: a machine that has run for long: here and there one frame that cannot move.
 *
 *   pageblock  [ . . . . . . . . | . . . . . . . . ]     free as a whole
 *   chosen     [ . . . . . S . . | . . . . . . . . ]     one frame of slab: no 2 MiB page fits any more,
 *                                                        and compaction cannot change that
 *
 * Each pageblock is chosen with the probability the option says, and so is the frame in it, both by the
 * seed: the same options give the same machine.
 *
 * I1  A zone keeps more than its min watermark: where taking a block would break it nothing is put.
 *
 * Source: the state that mm/page_alloc.c (fallbacks) leads to; Mel Gorman's description of external
 * fragmentation in Documentation/mm/physical_memory.rst and mm/compaction.c.
 */
#include "phys/phys_int.h"

#include "base/rng.h"

/* keep_one gives an allocated block back but for one frame: half by half. */
static void keep_one(struct phys *p, uint64_t head, unsigned order, uint64_t keep)
{
    while (order > 0) {
        order--;
        phys_split_folio(p, (pfn){head}, order);
        uint64_t upper = head + BIT(order);
        bool in_upper = keep >= upper;
        phys_free(p, (pfn){in_upper ? head : upper}, order);
        head = in_upper ? upper : head;
    }
}

/* put_frame takes the free block around a frame and keeps only that frame. */
static void put_frame(struct phys *p, uint64_t n)
{
    struct phys_block b;
    unsigned order;
    phys_block_at(p, (pfn){n}, &b);
    if (b.state == PHYS_BLOCK_FREE && phys_take_free(p, b.first, FRAME_SLAB, &order) == 0)
        keep_one(p, b.first.v, order, n);
}

void fragment(struct phys *p, const struct conf *conf)
{
    struct rng r = {conf->seed};
    bool pcp_on = p->pcp_on;
    p->pcp_on = false; /* straight to the buddy lists, and not counted: this was long ago */
    for (uint64_t n = 0; n + PAGEBLOCK_FRAMES <= p->head.frames_nr; n += PAGEBLOCK_FRAMES) {
        bool chosen = rng_below(&r, 100) < conf->phys_fragmentation;
        uint64_t at = n + rng_below(&r, PAGEBLOCK_FRAMES);
        if (chosen)
            put_frame(p, at);
    }
    p->pcp_on = pcp_on;
    STAT(p->stats, pgfree) = 0;
}
