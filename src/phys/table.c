/* table.c: the bytes of page tables, in pieces of 4096 out of chunks of 1 MiB.
 *
 *   chunk  +----+----+----+----+- … -+
 *          | T0 | T1 | .. | fresh →  |      reuse ─► T1 ─► T0   (given back, last in first out)
 *          +----+----+----+----+- … -+
 *
 * Invariants:
 *  I1  A piece is either handed out, on the reuse list, or fresh; live counts the first kind.
 *  I2  Fresh pieces are zero because the host maps zero pages; reused ones are cleared when they
 *      are handed out again.
 */
#include "phys/phys_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES (TABLES_CHUNK * PAGE_SIZE)

/* A host without memory is not a machine without memory: the model must not answer -ENOMEM. */
static void grow(struct table_slab *s)
{
    char **chunks = realloc(s->chunks, (s->chunks_nr + 1) * sizeof(*chunks));
    ASSERT(chunks != NULL);
    s->chunks = chunks;
    char *chunk =
        mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(chunk != MAP_FAILED);
    s->chunks[s->chunks_nr++] = chunk;
    s->fresh = chunk;
    s->left = TABLES_CHUNK;
}

void *table_slab_get(struct table_slab *s)
{
    s->live++;
    if (s->reuse != NULL) {
        void *piece = s->reuse;
        memcpy(&s->reuse, piece, sizeof(s->reuse));
        return memset(piece, 0, PAGE_SIZE);
    }
    if (s->left == 0)
        grow(s);
    void *piece = s->fresh;
    s->fresh += PAGE_SIZE;
    s->left--;
    return piece;
}

void table_slab_put(struct table_slab *s, void *piece)
{
    memcpy(piece, &s->reuse, sizeof(s->reuse));
    s->reuse = piece;
    s->live--;
}

void table_slab_close(struct table_slab *s)
{
    for (size_t i = 0; i < s->chunks_nr; i++)
        munmap(s->chunks[i], CHUNK_BYTES);
    free(s->chunks);
}
