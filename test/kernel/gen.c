/* gen.c: sequences of calls from a seed.
 *
 * Most addresses lie in a window of 96 units across a boundary of 2 MiB, 1 GiB or 512 GiB, so that
 * calls meet and page tables come and go. A unit is a page; in every eighth sequence 64 pages, so that
 * whole page tables are covered; in another eighth, too, and there are huge pages (calls_thp.c).
 * Half of the ranges are those of an earlier mapping, or a page more or less at either end; a mapping
 * the kernel placed is spoken of by the result of its call.
 */
#include "kernel/calls.h"

#include <string.h>

static uint64_t jitter(struct gen *g)
{
    static const int64_t by[] = {0, 0, 0, 0, 1, -1, 2, -2};
    return (uint64_t)PICK(g, by) * g->q->unit * K;
}

uint64_t gen_addr(struct gen *g)
{
    uint64_t a = g->q->base + pick(g, WINDOW - 8) * g->q->unit * K;
    return pick(g, 60) == 0 ? a + 1 + pick(g, K - 1) : a;
}

uint64_t gen_len(struct gen *g)
{
    uint64_t unit = g->q->unit * K, len = (1 + pick(g, 24)) * unit;
    switch (pick(g, 60)) {
    case 0:
        return 0;
    case 1:
        return len - pick(g, unit);
    case 2:
        return 1;
    case 3:
        return pick(g, 2) ? UINT64_MAX - pick(g, 2 * K) : UINT64_C(0x800000000000) - pick(g, 3) * K;
    default:
        return len;
    }
}

/* part_of_recent takes an earlier mapping, or a part of it. */
static void part_of_recent(struct gen *g, struct call *c, unsigned i)
{
    unsigned which = (unsigned)pick(g, g->n_recent);
    uint64_t unit = g->q->unit * K, units = max_u64(1, g->recent[which].len / unit);
    uint64_t from = pick(g, 2) ? 0 : pick(g, units),
             n = pick(g, 2) ? units - from : 1 + pick(g, units - from);
    c->ref[i] = g->recent[which].ref;
    c->arg[i] = g->recent[which].addr + from * unit + (pick(g, 4) ? 0 : jitter(g));
    c->arg[i + 1] = n * unit + (pick(g, 4) ? 0 : jitter(g));
    if (pick(g, 40) == 0)
        c->arg[i] += 1 + pick(g, K - 1);
    if (pick(g, 40) == 0)
        c->arg[i + 1] -= 1 + pick(g, K - 1);
}

void gen_range(struct gen *g, struct call *c, unsigned i)
{
    if (g->q->thp && pick(g, 3) == 0) {
        gen_huge_range(g, c, i);
        return;
    }
    if (g->n_recent > 0 && pick(g, 2)) {
        part_of_recent(g, c, i);
        return;
    }
    c->arg[i] = gen_addr(g);
    c->arg[i + 1] = gen_len(g);
}

void gen_mapped(struct gen *g, uint64_t addr, uint64_t len)
{
    if (len == 0 || len > MIB(64) || len % K != 0)
        return;
    unsigned at = g->n_recent < ARRAY_LEN(g->recent) ? g->n_recent++ : (unsigned)pick(g, 8);
    g->recent[at].addr = addr;
    g->recent[at].len = len;
    g->recent[at].ref = addr ? 0 : (uint8_t)(g->q->n + 1);
}

/* In every 16th sequence users and their segments of shared memory come often; advice and writes where
 * huge pages may be. */
static unsigned weight(const struct gen *g, unsigned kind)
{
    static const char *const often[] = {"shmget", "shmat", "shmctl", "capset", "setresuid"};
    bool now = g->q->seed % 16 == 9;
    for (unsigned i = 0; now && i < ARRAY_LEN(often); i++)
        if (strcmp(call_kinds[kind].name, often[i]) == 0)
            return 8 * call_kinds[kind].weight;
    if (g->q->thp && (strcmp(call_kinds[kind].name, "madvise") == 0 ||
                      strcmp(call_kinds[kind].name, "write") == 0))
        return 2 * call_kinds[kind].weight;
    return call_kinds[kind].weight;
}

static unsigned kind_by_weight(struct gen *g)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < call_kinds_nr; i++)
        sum += weight(g, i);
    uint64_t at = pick(g, sum);
    for (unsigned i = 0;; i++) {
        if (at < weight(g, i))
            return i;
        at -= weight(g, i);
    }
}

static uint8_t live_proc(struct gen *g)
{
    uint8_t p;
    do
        p = (uint8_t)pick(g, SLOTS);
    while (!g->live[p]);
    return p;
}

/* possible: a fork needs a free slot, and the last process does not exit. */
static bool possible(const struct gen *g, unsigned kind)
{
    unsigned live = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        live += g->live[i];
    return call_kinds[kind].op == OP_FORK   ? live < SLOTS
           : call_kinds[kind].op == OP_EXIT ? live > 1
                                            : true;
}

static void gen_call(struct gen *g)
{
    struct call *c = &g->q->call[g->q->n];
    memset(c, 0, sizeof(*c));
    do
        c->kind = (uint8_t)kind_by_weight(g);
    while (!possible(g, c->kind));
    c->proc = live_proc(g);
    call_kinds[c->kind].gen(g, c);
    g->q->n++;
}

void gen_sequence(struct sequence *q, uint64_t seed)
{
    struct gen g = {.rng = {seed}, .q = q, .live = {true}};
    memset(q, 0, sizeof(*q));
    q->seed = seed;
    q->thp = seed % 8 == 5;
    q->unit = seed % 8 == 7 || q->thp ? 64 : 1;
    uint64_t middle = seed % 64 == 11 ? UINT64_C(0x208000000000) /* 512 GiB: another PUD table */
                      : seed % 8 == 3 ? UINT64_C(0x200040000000) /* 1 GiB: another PMD table */
                                      : UINT64_C(0x200000200000);
    q->base = middle - WINDOW / 2 * q->unit * K;
    unsigned n = 10 + (unsigned)pick(&g, CALLS_MAX - 9);
    if (seed % 64 == 43)
        gen_full(&g);
    if (q->thp)
        gen_thp(&g);
    while (q->n < n) {
        if (seed % 1024 == 99 && q->n == 8)
            gen_many(&g);
        gen_call(&g);
    }
}

struct call call_resolved(const struct sequence *q, unsigned i, const int64_t *results,
                          uint64_t brk, uint64_t stack)
{
    struct call c = q->call[i];
    for (unsigned a = 0; a < ARRAY_LEN(c.ref); a++) {
        if (c.ref[a] == REF_BRK)
            c.arg[a] += brk;
        else if (c.ref[a] == REF_STACK)
            c.arg[a] += stack;
        else if (c.ref[a])
            c.arg[a] += results[c.ref[a] - 1] > 0 ? (uint64_t)results[c.ref[a] - 1] : q->base;
    }
    return c;
}
