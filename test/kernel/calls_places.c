/* calls_places.c: where mappings go when the usual place is not to be had, and touches at the edges of
 * the address space.
 *
 *   0 … mmap_min_addr   not for everyone              1 GiB … 2 GiB   MAP_32BIT, searched bottom-up
 *   mmap_base … stack   searched when the rest is full (gen_full)
 *   0x7ffffffff000 …    belongs to nobody: a page fault; not canonical: a #GP; kernel half: a page fault
 */
#include "kernel/calls.h"

#include <string.h>
#include <sys/mman.h>

#define LOW_AREA UINT64_C(0x40000000) /* of MAP_32BIT: its first GiB */
#define MIN_ADDR 32u                  /* pages around vm.mmap_min_addr */

void gen_elsewhere(struct gen *g, struct call *c)
{
    static const uint64_t at[] = {0,
                                  0x8000,
                                  0xf000,
                                  UINT64_C(0x7ffffffff000),
                                  UINT64_C(0x800000000000),
                                  UINT64_C(0x8000000000000000),
                                  UINT64_C(0xffff7ffffffff000),
                                  UINT64_C(0xffff800000000000),
                                  UINT64_C(0xffff888000000000),
                                  UINT64_C(0xffffffff81000000),
                                  UINT64_C(0xfffffffffffff000) - K};
    c->ref[0] = 0;
    c->arg[0] = PICK(g, at) + pick(g, K / 8) * 8;
    c->arg[1] = K;
}

/* low_place: around vm.mmap_min_addr, or in the area of MAP_32BIT with or without a hint. */
static void low_place(struct gen *g, struct call *c)
{
    if (pick(g, 3) == 0) {
        c->arg[0] = pick(g, MIN_ADDR) * K;
        c->arg[3] |= pick(g, 3) ? MAP_FIXED : 0;
        return;
    }
    c->arg[0] = pick(g, 3) ? LOW_AREA + pick(g, 600) * K : pick(g, 2) ? 0 : LOW_AREA * 2 - 8 * K;
    c->arg[3] |= MAP_32BIT | (pick(g, 4) && c->arg[0] ? MAP_FIXED : 0);
    if (pick(g, 12) == 0 && c->arg[3] & MAP_FIXED) { /* nearly all of it */
        c->arg[0] = LOW_AREA + pick(g, 300) * K;
        c->arg[1] = LOW_AREA - MIB(4);
        c->arg[2] = PROT_NONE;
    }
}

void gen_mmap_place(struct gen *g, struct call *c)
{
    static const uint64_t kinds[] = {0, 0, MAP_GROWSDOWN, MAP_GROWSDOWN, MAP_NORESERVE};
    c->arg[1] = (1 + pick(g, 24)) * K;
    c->arg[2] = pick(g, 3) ? PROT_READ | PROT_WRITE : PROT_READ;
    c->arg[3] = MAP_PRIVATE | MAP_ANONYMOUS | PICK(g, kinds);
    c->arg[4] = (uint64_t)-1;
    if (pick(g, 3)) {
        low_place(g, c);
    } else if (pick(g, 2)) { /* more than there is, or nearly */
        c->arg[1] = (UINT64_C(1) << (40 + pick(g, 8))) - pick(g, 3) * K;
        c->arg[2] = PROT_NONE;
    } else {
        c->arg[0] = UINT64_C(0x7ffffffff000) - pick(g, 40) * K;
        c->arg[3] &= ~(uint64_t)MAP_GROWSDOWN;
    }
    if (c->arg[3] & MAP_FIXED || pick(g, 2))
        gen_mapped(g, c->arg[3] & MAP_FIXED ? c->arg[0] : 0, c->arg[1]);
}

int64_t model_mmap_place(struct model *w, const struct call *c, struct answer *a)
{
    return model_mmap(w, c, a);
}

/* -- an address space without room ------------------------------------------------------------- */

void gen_mmap_fill(struct gen *g, struct call *c)
{
    (void)g;
    c->arg[2] = PROT_NONE;
    c->arg[3] = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    c->arg[4] = (uint64_t)-1;
    c->in[1] = 40;
}

int64_t model_mmap_fill(struct model *w, const struct call *c, struct answer *a)
{
    return model_mmap_each(w, c, a);
}

/* gen_full makes mappings of 8 TiB, 512 GiB … 128 MiB, as many as there is room for. */
void gen_full(struct gen *g)
{
    for (unsigned shift = 43; shift >= 27; shift -= 4) {
        struct call *c = &g->q->call[g->q->n++];
        memset(c, 0, sizeof(*c));
        while (strcmp(call_kinds[c->kind].name, "mmap_fill") != 0)
            c->kind++;
        call_kinds[c->kind].gen(g, c);
        c->arg[1] = BIT(shift);
    }
}
