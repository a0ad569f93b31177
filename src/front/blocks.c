/* blocks.c: the block table, as the consumer sees it.
 *
 *   index | 0 | 1 | 2 | - | 4 |        - is a hole: a producer took id 3 and has not written it yet, or
 *           │   └──► record            was killed before it could; no word names it then
 *           └──────► record
 *
 * I1  What other processes wrote, and may write again at any moment, is copied, looked at, and used from the
 *     copy: a record that does not hold together, or more holes than there can be producers, ends the run
 *     (-EPROTO).
 *
 * Source: event/ring.h I4, docs/PROTOCOL.md.
 */
#include "front/reader_int.h"

#include <errno.h>
#include <string.h>

#define INSN_MAX 15 /* bytes of an x86 instruction */

/* A record of our own, of the most instructions that a word can number. */
union copy {
    struct ring_block block;
    uint8_t bytes[sizeof(struct ring_block) + (EV_INSN_MASK + 1) * (1 + INSN_MAX)];
};

bool block_valid(const struct ring_block *b, uint64_t room)
{
    unsigned code = 0;

    if (room < sizeof *b || b->bytes % 8 != 0 || b->bytes > room || b->insns > EV_INSN_MASK + 1 ||
        b->bytes < sizeof *b + b->insns + b->code_bytes)
        return false;
    for (unsigned i = 0; i < b->insns; i++) {
        if (b->data[i] == 0 || b->data[i] > INSN_MAX)
            return false;
        code += b->data[i];
    }
    return code == b->code_bytes;
}

/* take_record copies a record that holds together and ends within `room` bytes; false: it does not (I1). */
static bool take_record(const struct ring_block *from, uint64_t room, union copy *to)
{
    struct ring_block *b = &to->block;
    uint64_t used;

    if (room < sizeof *b)
        return false;
    memcpy(b, from, sizeof *b);
    used = align_up(sizeof *b + b->insns + b->code_bytes, 8);
    if (b->bytes % 8 != 0 || b->bytes > room || b->bytes < used || used > sizeof *to)
        return false;
    memcpy(b->data, from->data, used - sizeof *b);
    b->bytes = (uint32_t)used;
    return block_valid(b, used);
}

/* copy_of returns a copy of the record of a block id; NULL: there is none yet, or it is damaged. */
static const struct ring_block *copy_of(struct reader *r, uint32_t id, union copy *copy)
{
    const char *base = (const char *)r->region->ring;
    const _Atomic uint32_t *index = (const void *)(base + r->region->index_offset);
    uint32_t at = atomic_load_explicit(&index[id], memory_order_acquire);
    uint64_t offset = ((uint64_t)at - 1) * 8;
    const struct ring_block *b;

    if (at == 0)
        return NULL;
    b = (const void *)(base + r->region->table_offset + offset);
    if (offset < RING_TABLE_SIZE && take_record(b, RING_TABLE_SIZE - offset, copy))
        return &copy->block;
    r->error = -EPROTO;
    return NULL;
}

/* announce tells the sim of a block; false when there is no record of it. */
static bool announce(struct reader *r, uint32_t id)
{
    union copy copy;
    const struct ring_block *b = copy_of(r, id, &copy);

    if (b && r->sim && sim_add_block(r->sim, id, b) != 0)
        r->error = -ENOMEM;
    if (b && r->tape)
        tape_block(r->tape, id, b);
    return b != NULL;
}

/* keep_hole: one for each process that translates or died at it; more is damage (I1). */
static void keep_hole(struct reader *r, uint32_t id)
{
    if (r->n_holes == RING_SLOTS)
        r->error = -EPROTO;
    else
        r->holes[r->n_holes++] = id;
}

/* announce_blocks tells the sim of all blocks that words read before may name. An id whose record is
 * not written yet is looked at again; that of a producer that died stays such a hole. */
void announce_blocks(struct reader *r)
{
    uint32_t blocks = atomic_load_explicit(&r->region->ring->blocks, memory_order_acquire);

    for (uint32_t i = r->n_holes; i-- > 0 && !r->error;)
        if (announce(r, r->holes[i]))
            r->holes[i] = r->holes[--r->n_holes];
    while (r->blocks < blocks && r->blocks < RING_BLOCK_MAX) {
        if (!announce(r, r->blocks) && !r->error)
            keep_hole(r, r->blocks);
        if (r->error)
            return;
        r->blocks++;
    }
}
