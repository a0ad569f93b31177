/* mm_bench.c: how fast the memory manager is alone, through its API: messages to the hardware are
 * discarded, no TLB, no caches.
 *
 *   make build/release/mm_bench && build/release/mm_bench
 *
 *   faults   touch 4 KiB pages of anonymous memory, unmap them; the time of both counts
 *   pairs    mmap and munmap of 4 pages, nothing touched
 *   the same with 100,000 other VMAs around: no step may be linear in their number
 *   fork     mapped pages copied to a child that exits at once
 *   memory   what a modelled machine of 1 TiB costs this process: opened, and with 256 MiB in use
 *
 * Each figure is the best of REPS repetitions, in CPU time of one core. */
#include "base/check.h"
#include "mm/mm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define REPS  7u
#define PAGES UINT64_C(65536) /* touched in one repetition */
#define CHUNK UINT64_C(4096)  /* pages mapped at a time: 16 MiB */
#define PAIRS 200000u
#define MANY  100000u

struct bench {
    struct conf conf;
    struct stat_set stats;
    struct arch_outbox out;
    struct phys *phys;
    struct mm_sys *sys;
    struct mm *mm;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void open_bench(struct bench *b, uint64_t phys_bytes)
{
    conf_init(&b->conf);
    b->conf.phys_size = phys_bytes;
    b->conf.kernel_max_map_count = 4 * MANY;
    ASSERT(arch_outbox_open(&b->out) == 0);
    ASSERT(phys_open(&b->phys, &b->conf, &b->stats) == 0);
    ASSERT(mm_sys_open(&b->sys, &b->conf, b->phys, &b->stats, &b->out) == 0);
    ASSERT(mm_open(&b->mm, b->sys) == 0);
}

static void close_bench(struct bench *b)
{
    mm_close(b->mm);
    mm_sys_close(b->sys);
    phys_close(b->phys);
    arch_outbox_close(&b->out);
}

static uint64_t map_anon(struct bench *b, uint64_t at, uint64_t pages, uint32_t prot)
{
    struct mm_map map = {.addr = va(at),
                         .len = pages * PAGE_SIZE,
                         .prot = prot,
                         .flags = MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0)};
    int64_t r = mm_mmap(b->mm, &map);
    ASSERT(r >= 0);
    return (uint64_t)r;
}

static void touch(struct bench *b, uint64_t at, uint64_t pages)
{
    struct mm_verdict v;
    for (uint64_t i = 0; i < pages; i++) {
        struct arch_fault f = {.cr2 = va(at + i * PAGE_SIZE), .code = FAULT_U | FAULT_W};
        mm_fault(b->mm, &f, &v);
        b->out.n = 0; /* discarded */
        ASSERT(v.signal == 0 && !v.oom);
    }
}

static void unmap(struct bench *b, uint64_t at, uint64_t pages)
{
    ASSERT(mm_munmap(b->mm, va(at), pages * PAGE_SIZE) == 0);
    b->out.n = 0;
}

static double time_faults(struct bench *b)
{
    double start = now_s();
    for (uint64_t done = 0; done < PAGES; done += CHUNK) {
        uint64_t at = map_anon(b, 0, CHUNK, PROT_READ | PROT_WRITE);
        touch(b, at, CHUNK);
        unmap(b, at, CHUNK);
    }
    return (double)PAGES / (now_s() - start);
}

static double time_pairs(struct bench *b)
{
    double start = now_s();
    for (unsigned i = 0; i < PAIRS; i++)
        unmap(b, map_anon(b, 0, 4, PROT_READ | PROT_WRITE), 4);
    return (double)PAIRS / (now_s() - start);
}

static double time_fork(struct bench *b)
{
    uint64_t at = map_anon(b, 0, CHUNK, PROT_READ | PROT_WRITE);
    struct mm *child;
    touch(b, at, CHUNK);
    double start = now_s();
    ASSERT(mm_fork(&child, b->mm) == 0);
    mm_close(child);
    double rate = (double)CHUNK / (now_s() - start);
    unmap(b, at, CHUNK);
    return rate;
}

static void report(struct bench *b, const char *what, double (*time)(struct bench *))
{
    double best = 0;
    for (unsigned i = 0; i < REPS; i++) {
        double rate = time(b);
        best = rate > best ? rate : best;
    }
    printf("%-44s %7.2f M/s\n", what, best / 1e6);
}

static uint64_t resident_kib(void)
{
    unsigned long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ASSERT(f && fscanf(f, "%lu %lu", &size, &resident) == 2);
    fclose(f);
    return resident * (PAGE_SIZE / 1024);
}

static void report_memory(void)
{
    static struct bench b;
    uint64_t before = resident_kib();
    open_bench(&b, GIB(1024));
    uint64_t opened = resident_kib() - before;
    map_anon(&b, GIB(16), PAGES, PROT_READ | PROT_WRITE);
    touch(&b, GIB(16), PAGES);
    printf("%-44s %7llu KiB\n", "mm memory: machine of 1 TiB, opened", (unsigned long long)opened);
    printf("%-44s %7llu KiB\n", "mm memory: the same, 256 MiB in use",
           (unsigned long long)(resident_kib() - before));
    close_bench(&b);
}

int main(void)
{
    static struct bench b;
    report_memory();
    open_bench(&b, GIB(2));
    report(&b, "mm faults: touch 4 KiB, unmap", time_faults);
    report(&b, "mm pairs: mmap, munmap", time_pairs);
    report(&b, "mm fork: pages copied, child exits", time_fork);
    for (uint64_t i = 0; i < MANY; i++) /* every other page: they cannot merge */
        map_anon(&b, GIB(64) + i * 2 * PAGE_SIZE, 1, PROT_READ);
    report(&b, "mm faults, 100,000 other VMAs", time_faults);
    report(&b, "mm pairs, 100,000 other VMAs", time_pairs);
    close_bench(&b);
    return 0;
}
