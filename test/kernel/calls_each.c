/* calls_each.c: one call many times over, so that a process has VMAs by the hundred: every second
 * unit of a range is unmapped, mapped anew or gets other rights. in[0] is the distance in bytes,
 * in[1] how often.
 */
#include "kernel/calls.h"

#include <string.h>
#include <sys/mman.h>

#define MAP_COUNT_MAX 65530u /* vm.max_map_count as it comes */

static void stripes(struct gen *g, struct call *c)
{
    uint64_t unit = g->q->unit * K;
    c->arg[0] = align_down(gen_addr(g), K);
    c->arg[1] = unit;
    c->in[0] = (pick(g, 4) ? 2 : 1 + pick(g, 3)) * unit;
    c->in[1] = 1 + pick(g, pick(g, 6) ? 30 : 150);
}

/* The range they lie in may be an earlier mapping. */
static void gen_stripes(struct gen *g, struct call *c)
{
    struct call range = {0};
    stripes(g, c);
    gen_range(g, &range, 0);
    bool low = !range.ref[0] && range.arg[0] < GIB(1); /* what the subject is made of lies there */
    if (pick(g, 2) && !low) {
        c->arg[0] = range.arg[0];
        c->ref[0] = range.ref[0];
    }
}

static int64_t each(struct model *w, const struct call *c, struct answer *a,
                    int64_t (*once)(struct model *w, const struct call *c, struct answer *a))
{
    struct call one = *c;
    int64_t r = 0;
    uint64_t n = 0;
    for (; n < c->in[1] && r >= 0; n++, one.arg[0] += c->in[0])
        r = once(w, &one, a);
    return r < 0 ? r : (int64_t)n;
}

void gen_munmap_each(struct gen *g, struct call *c)
{
    gen_stripes(g, c);
}

int64_t model_munmap_each(struct model *w, const struct call *c, struct answer *a)
{
    return each(w, c, a, model_munmap);
}

void gen_mprotect_each(struct gen *g, struct call *c)
{
    static const uint64_t rights[] = {PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE};
    gen_stripes(g, c);
    c->arg[2] = PICK(g, rights);
}

int64_t model_mprotect_each(struct model *w, const struct call *c, struct answer *a)
{
    return each(w, c, a, model_mprotect);
}

void gen_mmap_each(struct gen *g, struct call *c)
{
    static const uint64_t rights[] = {PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE};
    stripes(g, c);
    c->arg[2] = PICK(g, rights);
    c->arg[3] = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (pick(g, 8) ? 0 : MAP_POPULATE);
    c->arg[4] = (uint64_t)-1;
    gen_mapped(g, c->arg[0], c->in[0] * c->in[1]);
}

int64_t model_mmap_each(struct model *w, const struct call *c, struct answer *a)
{
    return each(w, c, a, model_mmap);
}

/* As many mappings as a process may have, or some less; then every split counts. */
void gen_mmap_many(struct gen *g, struct call *c)
{
    c->arg[0] = MANY_BASE;
    c->arg[1] = K;
    c->arg[3] = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    c->arg[4] = (uint64_t)-1;
    c->in[0] = 2 * K;
    c->in[1] = MAP_COUNT_MAX - (pick(g, 3) ? pick(g, 40) : 0);
}

int64_t model_mmap_many(struct model *w, const struct call *c, struct answer *a)
{
    w->many[c->proc] = true;
    return each(w, c, a, model_mmap);
}

/* gen_many adds such a call, of the first process that lives. */
void gen_many(struct gen *g)
{
    struct call *c = &g->q->call[g->q->n++];
    memset(c, 0, sizeof(*c));
    while (call_kinds[c->kind].op != OP_MANY)
        c->kind++;
    while (!g->live[c->proc])
        c->proc++;
    call_kinds[c->kind].gen(g, c);
}
