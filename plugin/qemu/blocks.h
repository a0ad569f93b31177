/* blocks.h: the producer's side of the shared block table. */
#ifndef PLUGIN_BLOCKS_H
#define PLUGIN_BLOCKS_H

#include "event/ring.h"

#include <stdbool.h>

#define BLOCK_INSNS_MAX 512 /* QEMU translates no more into one block; 9 bits of an ACCESS */
#define BLOCK_CODE_MAX  (BLOCK_INSNS_MAX * 15)

/* A block as it is collected before it has an id. */
struct block_draft {
    uint64_t pc;
    unsigned insns, code_bytes;
    uint8_t lengths[BLOCK_INSNS_MAX];
    uint8_t code[BLOCK_CODE_MAX];
};

/* blocks_id returns the id of the block with this pc and this code, a new one if there was none.
 * False when the table is full. Any number of threads and processes may call it at the same time. */
bool blocks_id(const struct block_draft *d, uint32_t *ret_id);

#endif
