/* calls_thp.c: huge pages are frequent in sequences that may have them: such a sequence begins with one,
 * and later mappings, ranges and advice (gen.c, calls.c) often are whole huge pages of the window.
 */
#include "kernel/calls.h"

#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define RW (PROT_READ | PROT_WRITE)

/* huge_pages_nr: how many whole huge pages lie in the window. */
static uint64_t huge_pages_nr(const struct gen *g)
{
    uint64_t first = align_up(g->q->base, MIB(2));
    return (g->q->base + WINDOW * g->q->unit * K - first) / MIB(2);
}

void gen_huge_range(struct gen *g, struct call *c, unsigned i)
{
    uint64_t n = huge_pages_nr(g), from = pick(g, n);
    c->ref[i] = 0;
    c->arg[i] = align_up(g->q->base, MIB(2)) + from * MIB(2);
    c->arg[i + 1] = (1 + pick(g, min_u64(3, n - from))) * MIB(2);
}

static void map_huge(struct gen *g, struct call *c, bool memfd, bool shared)
{
    gen_huge_range(g, c, 0);
    c->arg[2] = RW;
    c->arg[3] = MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE) | (memfd ? 0 : MAP_ANONYMOUS);
    c->arg[4] = memfd ? MEMFD_FD : (uint64_t)-1;
    gen_mapped(g, c->arg[0], c->arg[1]);
}

void gen_thp_map(struct gen *g, struct call *c)
{
    bool memfd = pick(g, 4) == 0;
    map_huge(g, c, memfd, memfd || pick(g, 3) == 0);
}

static struct call *add(struct gen *g, const char *name)
{
    struct call *c = &g->q->call[g->q->n++];
    memset(c, 0, sizeof(*c));
    while (strcmp(call_kinds[c->kind].name, name) != 0)
        c->kind++;
    return c;
}

static void add_range(struct gen *g, const char *name, uint64_t addr, uint64_t len, uint64_t last)
{
    struct call *c = add(g, name);
    c->arg[0] = addr;
    c->arg[1] = len;
    c->arg[2] = last;
}

/* give_up: a huge page that nobody needs goes whole, one that is written again stays whole. */
static void give_up(struct gen *g, uint64_t at)
{
    add_range(g, "madvise", at, MIB(2), MADV_FREE);
    if (pick(g, 2))
        add_range(g, "write", at + pick(g, 512) * K, K, 0x90 + ((g->q->n + 1ull) << 32));
    add_range(g, "madvise", at, MIB(2), MADV_PAGEOUT);
}

/* The page is huge at its first touch, or made so of small ones. */
void gen_thp(struct gen *g)
{
    bool memfd = pick(g, 2);
    if (memfd)
        add_range(g, "ftruncate", MEMFD_FD, MIB(4), 0);
    struct call *map = add(g, "mmap");
    map_huge(g, map, memfd, memfd || pick(g, 2));
    uint64_t at = map->arg[0];
    if (pick(g, 2))
        add_range(g, "madvise", at, MIB(2), MADV_HUGEPAGE);
    add_range(g, "write", at + pick(g, 512) * K, K, 0x90 + ((g->q->n + 1ull) << 32));
    if (pick(g, 4))
        add_range(g, "madvise", at, MIB(2), MADV_COLLAPSE);
    if (pick(g, 4) == 0)
        give_up(g, at);
}
