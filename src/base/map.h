/* map.h: a hash map from one 64-bit number to another.
 *
 *   key ──mix64──► home slot ──linear probing──► the slot of the key, or an empty one
 *
 * Open addressing in one array of {key, value}; a removed slot is closed by moving later slots of
 * the run back (Knuth, TAOCP vol. 3, 6.4, algorithm R), so there are no tombstones.
 *
 * Invariants (map_audit):
 *  I1  The number of slots is a power of two or 0, and at most 3/4 of them are full.
 *  I2  Between the home slot of a key and its slot no slot is empty.
 *  I3  No key stands twice. MAP_NONE is no key.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/bits.h"

#include <stddef.h>

#define MAP_NONE UINT64_MAX /* marks an empty slot; never a key */

struct map_slot {
    uint64_t key;   /* MAP_NONE when empty */
    uint64_t value; /* anything */
};

struct map {
    struct map_slot *slots; /* NULL until the first map_put */
    size_t mask;            /* slots - 1 */
    size_t used;            /* full slots */
};

/* map_init makes an empty map; it allocates nothing. All zero bytes are an empty map, too. */
void map_init(struct map *m);
/* map_free gives the memory back; the map is empty again. */
void map_free(struct map *m);
/* map_put stores a value under a key, replacing an older one. 0 or -ENOMEM (map as before). */
int map_put(struct map *m, uint64_t key, uint64_t value);
/* map_at returns where the value of a key is stored, having put `value` there if the key is new;
 * NULL when memory is short. The pointer holds until the next map_put, map_at or map_del. */
uint64_t *map_at(struct map *m, uint64_t key, uint64_t value);
/* map_del removes a key; true if it was there. */
bool map_del(struct map *m, uint64_t key);
/* map_next walks over all entries in no order: start with *pos = 0; NULL at the end. The map must
 * not change meanwhile. */
const struct map_slot *map_next(const struct map *m, size_t *pos);
/* map_audit returns 0, or the number of the broken invariant. */
int map_audit(const struct map *m);

/* map_find returns where the value of a key is stored, or NULL. One multiply-mix, then on average
 * two slots, which share a cache line. */
static inline uint64_t *map_find(const struct map *m, uint64_t key)
{
    if (unlikely(!m->slots))
        return NULL;
    size_t i = (size_t)mix64(key) & m->mask;
    while (m->slots[i].key != MAP_NONE) {
        if (m->slots[i].key == key)
            return &m->slots[i].value;
        i = (i + 1) & m->mask;
    }
    return NULL;
}

#endif
