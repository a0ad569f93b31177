/* blocks.c: the block table that all observed processes share, append-only and almost without doubles.
 *
 *   known (hash ─► id)            index (id ─► place)      table
 *   level 0 |e|e|e|e|e|e|e|e| …   | 0 | 1 | 2 | 3 | …      | record | record | …  | used ──►
 *   level 1 |e|e|…                          └──────────────────────►
 *
 * JIT compilers and thread starts make QEMU translate the same code again and again, and a thousand
 * short processes run the same programs; the same (pc, code) gives the same id. No lock is shared
 * with anybody: a process may be killed between any two instructions.
 *
 * Invariants (ring.h I4, I5):
 *  I1  An id and its room are taken by adding, the record is written, then index[id] says that it is
 *      there, then `known`; BLOCK words come later still.
 *  I2  Two processes that meet new code at the same time may each append it; both ids are right, and
 *      the one that `known` has is found from then on.
 *  I3  What is read here may have been hit by a wild store of some program: no place outside the
 *      table is looked at, and a match is a match of all bytes.
 */
#include "blocks.h"
#include "writer.h"

#include <string.h>

/* hash_draft is FNV-1a over eight bytes at a time; equality is always checked on the bytes. */
static uint64_t hash_draft(const struct block_draft *d)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ d->pc;

    for (unsigned i = 0; i < d->code_bytes; i += 8) {
        uint64_t word = 0;

        memcpy(&word, d->code + i, d->code_bytes - i < 8 ? d->code_bytes - i : 8);
        h = (h ^ word) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static _Atomic uint32_t *index_at(uint32_t id)
{
    return (_Atomic uint32_t *)(void *)((char *)region + region->index_offset) + id;
}

static uint32_t record_bytes(const struct block_draft *d)
{
    return (uint32_t)(sizeof(struct ring_block) + d->insns + d->code_bytes + 7) & ~7u;
}

/* same says whether the record of an id is this block. */
static bool same(uint32_t id, const struct block_draft *d)
{
    uint32_t at = atomic_load_explicit(index_at(id), memory_order_acquire);
    uint64_t offset = ((uint64_t)at - 1) * 8;
    const struct ring_block *b =
        (const void *)((const char *)region + region->table_offset + offset);

    if (at == 0 || offset > RING_TABLE_SIZE - record_bytes(d)) /* I3 */
        return false;
    return b->pc == d->pc && b->insns == d->insns && b->code_bytes == d->code_bytes &&
           memcmp(b->data, d->lengths, d->insns) == 0 &&
           memcmp(b->data + d->insns, d->code, d->code_bytes) == 0;
}

static _Atomic uint64_t *bucket(uint64_t hash, unsigned level)
{
    uint64_t buckets = RING_KNOWN_FIRST << 2 * level, before = (buckets - RING_KNOWN_FIRST) / 3;
    _Atomic uint64_t *known = (void *)((char *)region + region->known_offset);

    return known + (before + (hash & (buckets - 1))) * RING_KNOWN_BUCKET;
}

/* An entry of `known`: half of the hash, and an id plus 1, so that none is 0. */
static uint64_t entry_of(uint64_t hash, uint32_t id)
{
    return (hash & ~UINT64_C(0xffffffff)) | (id + UINT64_C(1));
}

/* entry_is says whether an entry is of this block. */
static bool entry_is(uint64_t e, const struct block_draft *d, uint64_t hash)
{
    uint32_t id = (uint32_t)e - 1;

    return (e ^ hash) >> 32 == 0 && id < RING_BLOCK_MAX && same(id, d);
}

/* find stores the id of a known block. If there is none it stores in *ret_free the entry that it would
 * have, NULL when all are taken. */
static bool find(const struct block_draft *d, uint64_t hash, uint32_t *ret_id,
                 _Atomic uint64_t **ret_free)
{
    for (unsigned i = 0; i < RING_KNOWN_LEVELS * RING_KNOWN_BUCKET; i++) {
        _Atomic uint64_t *at = bucket(hash, i / RING_KNOWN_BUCKET) + i % RING_KNOWN_BUCKET;
        uint64_t e = atomic_load_explicit(at, memory_order_acquire);

        if (e == 0) {
            *ret_free = at;
            return false;
        }
        if (entry_is(e, d, hash)) {
            *ret_id = (uint32_t)e - 1;
            return true;
        }
    }
    *ret_free = NULL;
    return false;
}

static bool table_full(uint32_t bytes)
{
    return atomic_load(&region->blocks) >= RING_BLOCK_MAX ||
           atomic_load(&region->table_used) + bytes > RING_TABLE_SIZE;
}

/* append writes a record and stores its id; false when the table is full. */
static bool append(const struct block_draft *d, uint32_t *ret_id)
{
    uint32_t bytes = record_bytes(d), id;
    struct ring_block *b;
    uint64_t offset;

    if (table_full(bytes)) /* before anything is taken: the counts stay near the limits */
        return false;
    id = atomic_fetch_add(&region->blocks, 1);
    offset = atomic_fetch_add(&region->table_used, bytes);
    if (id >= RING_BLOCK_MAX || offset + bytes > RING_TABLE_SIZE)
        return false;
    b = (struct ring_block *)(void *)((char *)region + region->table_offset + offset);
    *b = (struct ring_block){d->pc, bytes, (uint16_t)d->insns, (uint16_t)d->code_bytes};
    memcpy(b->data, d->lengths, d->insns);
    memcpy(b->data + d->insns, d->code, d->code_bytes);
    atomic_store_explicit(index_at(id), (uint32_t)(offset / 8 + 1), memory_order_release); /* I1 */
    *ret_id = id;
    return true;
}

bool blocks_id(const struct block_draft *d, uint32_t *ret_id)
{
    uint64_t hash = hash_draft(d), none = 0;
    _Atomic uint64_t *at;
    uint32_t id;

    if (find(d, hash, ret_id, &at))
        return true;
    if (!append(d, &id))
        return false;
    if (at && !atomic_compare_exchange_strong(at, &none, entry_of(hash, id)) &&
        find(d, hash, ret_id, &at)) /* another was quicker, with the same block */
        return true;                /* I2 */
    *ret_id = id;
    return true;
}
