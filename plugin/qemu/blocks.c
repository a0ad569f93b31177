/* blocks.c: the block table, append-only and without doubles.
 *
 *   index (private, open addressing)          table (shared)
 *   | hash | id | ──────────────────────────► | record 0 | record 1 | …  | used ──►
 *                  offset[id]
 *
 * JIT compilers and thread starts make QEMU translate the same code again and again; the same
 * (pc, code) gives the same id.
 *
 * Invariants:
 *  I1  A record is complete before `blocks` counts it (release); BLOCK words come later still.
 *  I2  At least a quarter of the index is empty, so that every search ends.
 */
#include "blocks.h"
#include "writer.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t hash;
    uint64_t offset; /* of the record in the table */
    uint32_t id;
    bool used;
};

static struct entry *entries;
static uint64_t entries_size, entries_used; /* size: a power of two or 0 */

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
    return h * UINT64_C(0x9e3779b97f4a7c15);
}

static struct ring_block *record_at(uint64_t offset)
{
    return (struct ring_block *)((char *)region + region->table_offset + offset);
}

static bool same(const struct ring_block *b, const struct block_draft *d)
{
    return b->pc == d->pc && b->insns == d->insns && b->code_bytes == d->code_bytes &&
           memcmp(b->data, d->lengths, d->insns) == 0 &&
           memcmp(b->data + d->insns, d->code, d->code_bytes) == 0;
}

static struct entry *empty_entry(struct entry *in, uint64_t size, uint64_t hash)
{
    uint64_t i = hash & (size - 1);

    while (in[i].used)
        i = (i + 1) & (size - 1);
    return &in[i];
}

/* grow keeps I2; false without memory. */
static bool grow(void)
{
    uint64_t size = entries_size ? entries_size * 2 : 4096;
    struct entry *in;

    if (entries_used < entries_size / 4 * 3)
        return true;
    in = calloc(size, sizeof *in);
    if (!in)
        return false;
    for (uint64_t i = 0; i < entries_size; i++)
        if (entries[i].used)
            *empty_entry(in, size, entries[i].hash) = entries[i];
    free(entries);
    entries = in;
    entries_size = size;
    return true;
}

static const struct entry *find(const struct block_draft *d, uint64_t hash)
{
    for (uint64_t i = hash; entries[i & (entries_size - 1)].used; i++) {
        const struct entry *e = &entries[i & (entries_size - 1)];

        if (e->hash == hash && same(record_at(e->offset), d))
            return e;
    }
    return NULL;
}

/* append writes a record and stores its offset; false when the table is full. */
static bool append(const struct block_draft *d, uint64_t *ret_offset)
{
    uint64_t offset = atomic_load_explicit(&region->table_used, memory_order_relaxed);
    uint32_t n = atomic_load_explicit(&region->blocks, memory_order_relaxed);
    uint32_t bytes = (uint32_t)(sizeof(struct ring_block) + d->insns + d->code_bytes + 7) & ~7u;
    struct ring_block *b = record_at(offset);

    if (offset + bytes > RING_TABLE_SIZE || n == RING_BLOCK_MAX)
        return false;
    *b = (struct ring_block){d->pc, bytes, (uint16_t)d->insns, (uint16_t)d->code_bytes};
    memcpy(b->data, d->lengths, d->insns);
    memcpy(b->data + d->insns, d->code, d->code_bytes);
    atomic_store_explicit(&region->table_used, offset + bytes, memory_order_release);
    atomic_store_explicit(&region->blocks, n + 1, memory_order_release); /* I1 */
    *ret_offset = offset;
    return true;
}

bool blocks_id(const struct block_draft *d, uint32_t *ret_id)
{
    uint64_t hash = hash_draft(d), offset;
    const struct entry *known;
    uint32_t id;

    if (!grow())
        return false;
    known = find(d, hash);
    if (known) {
        *ret_id = known->id;
        return true;
    }
    id = atomic_load_explicit(&region->blocks, memory_order_relaxed);
    if (!append(d, &offset))
        return false;
    *empty_entry(entries, entries_size, hash) = (struct entry){hash, offset, id, true};
    entries_used++;
    *ret_id = id;
    return true;
}
