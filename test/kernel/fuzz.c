/* fuzz.c: the sequences of check-kernel on the model alone, while every n-th allocation of a frame
 * fails: no crash, no leak, no broken invariant.
 *
 *   fuzz_mm [--seed S] [--calls C]
 *
 * n is 1 to 64, anew for each sequence, which is audited after every eighth call and at its end; then
 * everything is closed, and no frame may be left. The last line is "N sequences, C calls".
 */
#include "kernel/model.h"

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

static unsigned run(const struct sequence *q)
{
    struct rng rng = {~q->seed};
    struct model *w = model_begin(NULL, q);
    int64_t results[CALLS_MAX] = {0};
    struct answer a;
    unsigned made = 0;
    phys_fail_every(w->phys, 1 + rng_below(&rng, 64));
    for (unsigned i = 0; i < q->n; i++) {
        struct call c = call_resolved(q, i, results, 0x404000, STACK0);
        bool fork = call_kinds[c.kind].op == OP_FORK;
        if (!w->mm[c.proc] || (fork && w->mm[c.arg[0]]))
            continue; /* its fork failed */
        if (call_kinds[c.kind].op == OP_MANY)
            continue; /* each audit would take a thousand times as long */
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
