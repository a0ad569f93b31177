/* fuzz.c: the sequences of check-kernel on the model alone, while every n-th allocation of a frame
 * fails: no crash, no leak, no broken invariant, no stale translation.
 *
 *   fuzz_mm [--seed S] [--calls C]
 *
 * n is 1 to 64, anew for each sequence, and so is the machine: as check-kernel's, or short of memory
 * with swap, or of several nodes, with huge pages of all sizes, with a cold page cache. Between calls
 * the kernel's threads run, caches are dropped, memory is compacted, the CPU changes. A sequence is
 * audited after every eighth call (in the hostile build after each) and at its end; then everything
 * is closed, and no frame may be left. The last line is "N sequences, C calls".
 */
#include "kernel/model.h"
#include "policy/thp.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* -- what the model asks of the other side: here there is none -------------------------------- */

const struct own *native_own(const struct native *k, unsigned *ret_n, uint64_t *ret_brk)
{
    (void)k;
    *ret_n = 0;
    *ret_brk = 0x404000;
    return NULL;
}

void native_data(const struct native *k, uint64_t *ret_start, uint64_t *ret_end)
{
    (void)k;
    *ret_start = 0x402000;
    *ret_end = 0x402050;
}

void native_present(const struct native *k, unsigned proc, void (*see)(void *, uint64_t), void *arg)
{
    (void)k;
    (void)proc;
    (void)see;
    (void)arg;
}

uint64_t native_min_addr(void)
{
    return 4096;
}

void native_shape(const struct native *k, const struct sequence *q, struct conf *c)
{
    struct rng rng = {q->seed + 1};
    (void)k;
    c->thp_enabled = rng_below(&rng, 3);
    c->khugepaged_scan_sleep = 10;
    switch (rng_below(&rng, 5)) {
    case 0:
        c->phys_size = MIB(64);
        c->phys_kernel_image = MIB(42 + rng_below(&rng, 8)); /* little is left */
        c->swap_size = MIB(16);
        c->swap_device = rng_below(&rng, 3);
        break;
    case 1:
        c->numa_nodes = 1 + rng_below(&rng, 4);
        c->cpu_cores = 4;
        break;
    case 2:
        c->phys_size = MIB(64);
        c->thp_size_64k = c->thp_size_16k = THP_SIZE_ALWAYS;
        c->swap_size = MIB(4);
        break;
    case 3:
        c->pagecache = PAGECACHE_COLD;
        c->hugetlb_2m = rng_below(&rng, 8);
        break;
    default:
        break;
    }
}

int native_pristine(const struct native *k)
{
    static int fd = -1;
    (void)k;
    if (fd < 0) {
        fd = memfd_create("pristine", MFD_CLOEXEC);
        ASSERT(fd >= 0 && ftruncate(fd, FILE_BYTES) == 0);
    }
    return fd;
}

/* -- one sequence ------------------------------------------------------------------------------ */

#define STACK0 UINT64_C(0x7ffffffde000) /* nothing lies there */

/* disturb lets something else than a call happen. */
static void disturb(struct model *w, struct rng *rng, uint64_t *now_ms)
{
    switch (rng_below(rng, 8)) {
    case 0:
        mm_sysctl(w->sys, "drop_caches", 1);
        break;
    case 1:
        mm_compact_memory(w->sys);
        break;
    case 2:
        mm_shrink_all(w->sys);
        break;
    case 3:
        mm_set_cpu(w->sys, (unsigned)rng_below(rng, w->conf.cpu_cores));
        break;
    default:
        mm_tick(w->sys, *now_ms += rng_below(rng, 6000));
        break;
    }
    shadow_drain(w);
}

static unsigned run(const struct sequence *q)
{
    struct rng rng = {~q->seed};
    struct model *w = model_begin(NULL, q);
    int64_t results[CALLS_MAX] = {0};
    struct answer a;
    unsigned made = 0;
    uint64_t now_ms = 0;
    phys_fail_every(w->phys, 1 + rng_below(&rng, 64));
    for (unsigned i = 0; i < q->n; i++) {
        struct call c = call_resolved(q, i, results, 0x404000, STACK0);
        bool fork = call_kinds[c.kind].op == OP_FORK;
        if (!w->mm[c.proc] || (fork && w->mm[c.arg[0]]))
            continue; /* its fork failed */
        if (call_kinds[c.kind].op == OP_MANY)
            continue; /* each audit would take a thousand times as long */
        if (rng_below(&rng, 8) == 0)
            disturb(w, &rng, &now_ms);
        model_call(w, &c, &a);
        results[i] = a.result;
        made++;
        int broken = i % 8 == 0 || i + 1 == q->n ? model_audit(w) : 0;
        if (broken) {
            fprintf(stderr,
                    "seed %llu: invariant %d is broken after call %u, one of the last eight\n",
                    (unsigned long long)q->seed, broken, i);
            abort();
        }
    }
    phys_fail_every(w->phys, 0);
    model_end(w, false);
    return made;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"seed", 1, 0, 's'}, {"calls", 1, 0, 'c'}, {0}};
    static struct sequence q;
    uint64_t seed = 1, calls = 100000, n = 0, made = 0;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == '?')
            return 2;
        *(c == 's' ? &seed : &calls) = strtoull(optarg, NULL, 0);
    }
    for (; made < calls; n++) {
        gen_sequence(&q, seed + n);
        if (isatty(STDERR_FILENO) && n % 256 == 0)
            fprintf(stderr, "\rseed %llu, %llu calls ", (unsigned long long)(seed + n),
                    (unsigned long long)made);
        made += run(&q);
    }
    printf("%llu sequences, %llu calls\n", (unsigned long long)n, (unsigned long long)made);
    return 0;
}
