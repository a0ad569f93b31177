/* probe_kernel.c: what calls of the kernel cost on this host, in cycles of the TSC.
 *
 *   probe_kernel madvise|mprotect|munmap PAGES ROUNDS THREADS
 *
 * A round writes to PAGES pages, then times what takes their translations away: madvise(DONTNEED);
 * mprotect to read-only and back; munmap and mmap again. Prints the median, the least and the 95th percentile
 * of the rounds: on a host with other work the second thread runs only part of the time.
 * With two threads the other one spins on another CPU in the same address space, and says all the time that
 * it does: only rounds count in which it ran when the call began, and when it ended.
 * Built by hand: cc -O2 -pthread bench/probe_kernel.c -o build/probe_kernel
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

#define ROUNDS_MAX 100000

static atomic_int running, stop;
static _Atomic uint64_t beat; /* the other thread's clock */
static uint64_t took[ROUNDS_MAX];

static void stay_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *spin(void *arg)
{
    (void)arg;
    stay_on(1);
    atomic_store(&running, 1);
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        atomic_store_explicit(&beat, __rdtsc(), memory_order_relaxed);
    return NULL;
}

/* beats: the other thread runs now. It beats every 30 cycles or so, unless it was interrupted. */
static int beats(void)
{
    uint64_t was = atomic_load(&beat), until = __rdtsc() + 5000;
    while (atomic_load(&beat) == was)
        if (__rdtsc() > until)
            return 0;
    return 1;
}

static int call(const char *what, char *at, size_t len)
{
    if (strcmp(what, "madvise") == 0)
        return madvise(at, len, MADV_DONTNEED);
    if (strcmp(what, "mprotect") == 0)
        return mprotect(at, len, PROT_READ) | mprotect(at, len, PROT_READ | PROT_WRITE);
    return munmap(at, len) | (mmap(at, len, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    size_t len = (size_t)atoi(argv[2]) * 4096;
    int rounds = atoi(argv[3]);
    pthread_t other;
    if (len == 0 || rounds < 1 || rounds > ROUNDS_MAX)
        return 2;
    stay_on(0);
    /* Neighbours in the same 2 MiB keep the page table: what is measured is the pages. */
    char *area =
        mmap(NULL, len + (6 << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(area, len + (6 << 20), MADV_NOHUGEPAGE);
    char *at = (char *)(((uintptr_t)area + (4 << 20)) & ~((uintptr_t)(2 << 20) - 1)) + 4096 * 16;
    at[-4096] = at[len + 4096] = 1;
    if (atoi(argv[4]) == 2) {
        pthread_create(&other, NULL, spin, NULL);
        while (!atomic_load(&running))
            ;
    }
    int two = atoi(argv[4]) == 2, n = 0;
    for (int i = 0; i < rounds; i++) {
        for (size_t a = 0; a < len; a += 4096)
            at[a] = 1;
        int both = !two || beats();
        uint64_t begin = __rdtsc();
        if (call(argv[1], at, len) != 0)
            return 1;
        took[n] = __rdtsc() - begin;
        n += both && (!two || beats());
    }
    if (n == 0)
        return 3; /* the other never ran beside */
    atomic_store(&stop, 1);
    if (atoi(argv[4]) == 2)
        pthread_join(other, NULL);
    qsort(took, (size_t)n, sizeof(took[0]), by_size);
    printf("%s %s pages %s threads, %d rounds: median %llu least %llu 95%% %llu\n", argv[1],
           argv[2], argv[4], n, (unsigned long long)took[n / 2], (unsigned long long)took[0],
           (unsigned long long)took[n - 1 - n / 20]);
    return 0;
}
