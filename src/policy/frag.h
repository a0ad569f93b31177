/* frag.h: how fragmented free memory is, by the counts of its free blocks: pure functions.
 * Source: Linux 6.18 mm/vmstat.c (fill_contig_page_info, unusable_free_index, __fragmentation_index),
 * mm/compaction.c (fragmentation_score_wmark). */
#ifndef POLICY_FRAG_H
#define POLICY_FRAG_H

#include "base/bits.h"

#include <stdint.h>

/* The free blocks of a zone as an allocation of one order sees them. */
struct contig {
    uint64_t frames;   /* F: free frames in all blocks */
    uint64_t blocks;   /* B: free blocks of any order */
    uint64_t suitable; /* S: blocks of the order asked for that are free, or inside larger ones */
};
/* contig_add counts `blocks` free blocks of order o, for an allocation of `order`. */
void contig_add(struct contig *c, unsigned o, uint64_t blocks, unsigned order);
/* Thousandths of the free memory an allocation of this order cannot use; 1000 without any. */
int unusable_free_index(const struct contig *c, unsigned order);
/* -1000 if the allocation would succeed; else from 0 (too little memory) to 1000 (fragmented). */
int fragmentation_index(const struct contig *c, unsigned order);

/* fragmentation_score_wmark: the score, in per cent, at which proactive compaction stops (low) or
 * starts, for vm.compaction_proactiveness of 0 to 100. */
unsigned fragmentation_score_wmark(unsigned proactiveness, bool low);

#endif
