/* mmu_bench.c: host nanoseconds per modelled access, for the paths of mmu_hot.h, mmu_quick and
 * mmu_access.
 *
 *   make build/release/pagewalk
 *   cc -O2 -std=c17 -D_GNU_SOURCE -Isrc bench/mmu_bench.c \
 *      build/release/lib/{mmu,pt,cache,phys,conf,stat,base}.a -linih -o build/release/mmu_bench
 *   build/release/mmu_bench [machine file]
 *
 * Addresses come from an array made before the clock starts, as from a ring. Each figure is the
 * least of REPS repetitions, in CPU time. */
#include "mmu/mmu_hot.h"
#include "pt/pt.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N     (1u << 18)
#define AHEAD 16u
#define REPS  15u
#define BASE  UINT64_C(0x10000000)

struct bench {
    struct conf conf;
    struct stat_set stats;
    struct phys *phys;
    struct pt pt;
    struct cache l3;
    struct mmu_core *core;
    uint64_t addr[N + AHEAD];
    uint64_t hits;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void map(struct bench *b, uint64_t bytes, unsigned level)
{
    uint64_t step = BIT(pt_level_shift(level));
    struct rng r = {7};
    for (uint64_t a = BASE; a < BASE + bytes; a += step) {
        pte *e;
        unsigned fresh = 0;
        if (pt_lookup_alloc(&b->pt, va(a), level, &e, &fresh) != 0)
            abort();
        uint64_t frame = rng_below(&r, (b->conf.phys_size >> 12) / (step >> 12)) * (step >> 12);
        *e = pte_make((pfn){frame},
                      PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | (level > 0 ? PTE_PS : 0));
    }
}

/* slow is what the event loop does with an access that left the fast path. */
static void slow(struct bench *b, uint64_t addr)
{
    if (likely(mmu_quick(b->core, addr, ACCESS_LOAD) >= 0))
        return;
    struct mmu_event ev;
    struct arch_fault f;
    if (mmu_access(b->core, va(addr), 8, ACCESS_LOAD, true, &ev, &f) != 0)
        abort();
}

/* run feeds the addresses once; with look-ahead as the event loop does it. */
static double run(struct bench *b, bool ahead)
{
    uint64_t hits = 0;
    double start = now_ns();
    for (unsigned i = 0; i < N; i++) {
        if (ahead && i % AHEAD == 0)
            for (unsigned k = 0; k < AHEAD; k++)
                mmu_prefetch(b->core, b->addr[i + AHEAD + k - (i + AHEAD >= N ? AHEAD : 0)]);
        if (likely(mmu_data_hit(b->core, b->addr[i], 8, false)))
            hits++;
        else
            slow(b, b->addr[i]);
    }
    double ns = (now_ns() - start) / N;
    b->hits = hits;
    return ns;
}

static void report(struct bench *b, const char *what, bool ahead)
{
    double best = 1e9;
    struct stat_set before = b->stats;
    for (unsigned rep = 0; rep < REPS; rep++) {
        double ns = run(b, ahead);
        best = ns < best ? ns : best;
    }
    uint64_t walks = STAT(&b->stats, dtlb_load_walk) - STAT(&before, dtlb_load_walk);
    uint64_t l1 = STAT(&b->stats, load_l1_hit) - STAT(&before, load_l1_hit);
    printf("%-44s %6.1f ns   fast %5.1f%%  slow L1 hits %5.1f%%  walks %5.1f%%\n", what, best,
           100.0 * (double)b->hits / N, 100.0 * (double)l1 / ((double)REPS * N),
           100.0 * (double)walks / ((double)REPS * N));
}

static void uniform(struct bench *b, uint64_t bytes)
{
    struct rng r = {9};
    for (unsigned i = 0; i < N + AHEAD; i++)
        b->addr[i] = BASE + (rng_below(&r, bytes) & ~UINT64_C(7));
}

int main(int argc, char **argv)
{
    static struct bench b;
    char err[200];
    conf_init(&b.conf);
    if (argc > 1 && conf_load(&b.conf, argv[1], err, sizeof(err)) != 0) {
        fprintf(stderr, "mmu_bench: %s\n", err);
        return 1;
    }
    b.core = aligned_alloc(64, align_up(sizeof(*b.core), 64));
    if (phys_open(&b.phys, &b.conf, &b.stats) != 0 || pt_open(&b.pt, b.phys, &b.conf) != 0 ||
        cache_open(&b.l3, b.conf.l3_size, (unsigned)b.conf.l3_ways,
                   (enum conf_cache_policy)b.conf.l3_policy, b.conf.seed) != 0 ||
        b.core == NULL || mmu_core_open(b.core, &b.conf, b.phys, &b.l3, b.core, 1, &b.stats) != 0)
        abort();
    map(&b, GIB(1), 0);
    mmu_load_cr3(b.core, b.pt.root, 1, false);

    for (unsigned i = 0; i < N + AHEAD; i++)
        b.addr[i] = BASE + i % 8 * 4096 + i % 8 * 64;
    report(&b, "all most-recent hits (8 pages)", false);
    for (unsigned i = 0; i < N + AHEAD; i++)
        b.addr[i] =
            BASE + i % 2 * 8 * 4096 * 16 + i % 2 * 8 + 4096 * (i / 2 % 8) + 64 * (i / 2 % 8);
    report(&b, "L1 hits, never most-recent (TLB, cache)", false);
    for (unsigned i = 0; i < N + AHEAD; i++)
        b.addr[i] = BASE + i % 6 / 2 * (4096 * 16) + 4096 * (i / 6 % 8) + 64 * (i / 6 % 8);
    report(&b, "L1 hits, half of them not most-recent", false);
    uniform(&b, KIB(24));
    report(&b, "uniform over 24 KiB", false);
    uniform(&b, MIB(4));
    report(&b, "uniform over 4 MiB", true);
    uniform(&b, GIB(1));
    report(&b, "uniform over 1 GiB, no look-ahead", false);
    report(&b, "uniform over 1 GiB, look-ahead", true);
    mmu_core_close(b.core);
    cache_close(&b.l3);
    phys_close(b.phys);
    return 0;
}
