/* phys_bench.c: how fast the page allocator is alone.
 *
 *   make build/release/phys_bench && build/release/phys_bench
 *
 *   pair    allocate a frame and free it: the per-CPU list's head
 *   run     allocate that many frames, then free them: lists, and the buddy allocator behind them
 *
 * Nanoseconds of CPU time for one allocation and one free, best of REPS repetitions. */
#include "base/check.h"
#include "phys/phys.h"

#include <stdio.h>
#include <time.h>

#define REPS  7u
#define CALLS 2000000u

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double time_run(struct phys *p, const struct phys_req *r, unsigned run)
{
    static pfn n[1u << 18];
    unsigned calls = CALLS >> r->order, done = 0;
    double start = now_ns();
    for (; done < calls; done += run) {
        for (unsigned i = 0; i < run; i++)
            ASSERT(phys_alloc_req(p, r, &n[i]) == 0);
        for (unsigned i = 0; i < run; i++)
            phys_free(p, n[i], r->order);
    }
    return (now_ns() - start) / done;
}

static void report(const char *what, const struct conf *conf, unsigned order, unsigned run)
{
    static struct stat_set stats;
    struct phys *p;
    struct phys_req r = phys_request(order, GFP_USER, FRAME_USER_ANON);
    double best = 1e30;
    ASSERT(phys_open(&p, conf, &stats) == 0);
    for (unsigned i = 0; i < REPS; i++) {
        double t = time_run(p, &r, run);
        best = t < best ? t : best;
    }
    phys_close(p);
    printf("%-44s %7.1f ns\n", what, best);
}

int main(void)
{
    struct conf conf;
    conf_init(&conf);
    report("phys pair, order 0", &conf, 0, 1);
    report("phys run of 64, order 0", &conf, 0, 64);
    report("phys run of 262,144, order 0", &conf, 0, 1u << 18);
    report("phys pair, order 4 (no lists)", &conf, 4, 1);
    report("phys pair, order 9", &conf, 9, 1);
    conf.phys_pcp = 0;
    report("phys pair, order 0, phys.pcp off", &conf, 0, 1);
    conf.numa_nodes = 8;
    conf.phys_pcp = 1;
    report("phys pair, order 0, 8 nodes", &conf, 0, 1);
    return 0;
}
