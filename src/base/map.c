/* map.c: the cold half of map.h: growing, putting, removing, auditing. */
#include "base/map.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 16

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_free(struct map *m)
{
    free(m->slots);
    map_init(m);
}

static size_t slot_count(const struct map *m)
{
    return m->slots ? m->mask + 1 : 0;
}

/* The slot that holds the key, or the empty one where it belongs. Ends by I1. */
static struct map_slot *probe(const struct map *m, uint64_t key)
{
    size_t i = (size_t)mix64(key) & m->mask;
    while (m->slots[i].key != key && m->slots[i].key != MAP_NONE)
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

static int grow(struct map *m)
{
    size_t n = m->slots ? 2 * (m->mask + 1) : SLOTS_MIN;
    struct map bigger = {.mask = n - 1, .used = m->used};
    if (n > SIZE_MAX / sizeof(*bigger.slots))
        return -ENOMEM;
    bigger.slots = malloc(n * sizeof(*bigger.slots));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        bigger.slots[i].key = MAP_NONE;
    for (size_t i = 0; i < slot_count(m); i++)
        if (m->slots[i].key != MAP_NONE)
            *probe(&bigger, m->slots[i].key) = m->slots[i];
    free(m->slots);
    *m = bigger;
    return 0;
}

uint64_t *map_at(struct map *m, uint64_t key, uint64_t value)
{
    ASSERT(key != MAP_NONE); /* I3 */
    uint64_t *found = map_find(m, key);
    if (found)
        return found;
    if ((m->used + 1) * 4 > slot_count(m) * 3 && grow(m) < 0) /* I1 */
        return NULL;
    struct map_slot *s = probe(m, key);
    *s = (struct map_slot){key, value};
    m->used++;
    return &s->value;
}

int map_put(struct map *m, uint64_t key, uint64_t value)
{
    uint64_t *at = map_at(m, key, value);
    if (!at)
        return -ENOMEM;
    *at = value;
    return 0;
}

/* Closes the hole at slot i: a later slot of the run moves into it unless its home lies behind
 * the hole (then a probe from its home would not meet the hole: I2). */
static void close_hole(struct map *m, size_t hole)
{
    size_t i = hole;
    for (;;) {
        i = (i + 1) & m->mask;
        if (m->slots[i].key == MAP_NONE)
            break;
        size_t home = (size_t)mix64(m->slots[i].key) & m->mask;
        if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].key = MAP_NONE;
}

bool map_del(struct map *m, uint64_t key)
{
    if (!m->slots || key == MAP_NONE)
        return false;
    struct map_slot *s = probe(m, key);
    if (s->key != key)
        return false;
    close_hole(m, (size_t)(s - m->slots));
    m->used--;
    return true;
}

const struct map_slot *map_next(const struct map *m, size_t *pos)
{
    while (*pos < slot_count(m)) {
        const struct map_slot *s = &m->slots[(*pos)++];
        if (s->key != MAP_NONE)
            return s;
    }
    return NULL;
}

int map_audit(const struct map *m)
{
    size_t n = slot_count(m), used = 0;
    if (n != 0 && !is_pow2(n))
        return 1;
    for (size_t i = 0; i < n; i++) {
        if (m->slots[i].key == MAP_NONE)
            continue;
        used++;
        if (probe(m, m->slots[i].key) != &m->slots[i])
            return 2; /* a hole before it, or an equal key: I2, I3 */
    }
    return used == m->used && used * 4 <= n * 3 ? 0 : 1;
}
