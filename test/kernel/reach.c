/* reach.c: how often the generator makes each call, and gives each flag or advice that changes what
 * memory does, in so many sequences. Nothing is performed. One that never comes is a failure: a comparison
 * says nothing of it.
 */
#include "kernel/check.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#define HUGE(log) (MAP_HUGETLB | (uint64_t)(log) << 26)

/* One value of one argument of a call. */
struct value {
    const char *call, *name;
    unsigned arg;        /* which */
    uint64_t mask, want; /* (argument & mask) == want */
    uint64_t times;      /* seen */
};
#define FLAG(name)                                                                                 \
    {                                                                                              \
        "mmap", #name, 3, name, name, 0                                                            \
    }
#define TYPE(name)                                                                                 \
    {                                                                                              \
        "mmap", #name, 3, MAP_TYPE, name, 0                                                        \
    }
#define ADVICE(a)                                                                                  \
    {                                                                                              \
        "madvise", #a, 2, UINT64_MAX, a, 0                                                         \
    }
#define REMAP(flags)                                                                               \
    {                                                                                              \
        "mremap", #flags, 3, UINT64_MAX, flags, 0                                                  \
    }
#define ALL(call, f)                                                                               \
    {                                                                                              \
        call, #f, 0, UINT64_MAX, f, 0                                                              \
    }
#define MEMFD(name, f)                                                                             \
    {                                                                                              \
        "memfd_create", name, 1, f, f, 0                                                           \
    }

static struct value values[] = {
    TYPE(MAP_PRIVATE),
    TYPE(MAP_SHARED),
    TYPE(MAP_SHARED_VALIDATE),
    {"mmap", "MAP_DROPPABLE", 3, MAP_TYPE, 8, 0},
    FLAG(MAP_ANONYMOUS),
    FLAG(MAP_FIXED),
    FLAG(MAP_FIXED_NOREPLACE),
    FLAG(MAP_GROWSDOWN),
    FLAG(MAP_LOCKED),
    FLAG(MAP_NORESERVE),
    FLAG(MAP_POPULATE),
    FLAG(MAP_NONBLOCK),
    FLAG(MAP_STACK),
    FLAG(MAP_32BIT),
    FLAG(MAP_SYNC),
    FLAG(MAP_HUGETLB),
    {"mmap", "MAP_HUGETLB of 2 MiB", 3, HUGE(63), HUGE(21), 0},
    {"mmap", "MAP_HUGETLB of 1 GiB", 3, HUGE(63), HUGE(30), 0},
    REMAP(0),
    REMAP(MREMAP_MAYMOVE),
    REMAP(MREMAP_FIXED),
    REMAP(MREMAP_DONTUNMAP),
    REMAP(MREMAP_MAYMOVE | MREMAP_FIXED),
    REMAP(MREMAP_MAYMOVE | MREMAP_DONTUNMAP),
    REMAP(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP),
    ADVICE(MADV_NORMAL),
    ADVICE(MADV_RANDOM),
    ADVICE(MADV_SEQUENTIAL),
    ADVICE(MADV_WILLNEED),
    ADVICE(MADV_DONTNEED),
    ADVICE(MADV_FREE),
    ADVICE(MADV_REMOVE),
    ADVICE(MADV_DONTFORK),
    ADVICE(MADV_DOFORK),
    ADVICE(MADV_WIPEONFORK),
    ADVICE(MADV_KEEPONFORK),
    ADVICE(MADV_MERGEABLE),
    ADVICE(MADV_UNMERGEABLE),
    ADVICE(MADV_HUGEPAGE),
    ADVICE(MADV_NOHUGEPAGE),
    ADVICE(MADV_COLLAPSE),
    ADVICE(MADV_DONTDUMP),
    ADVICE(MADV_DODUMP),
    ADVICE(MADV_COLD),
    ADVICE(MADV_PAGEOUT),
    ADVICE(MADV_POPULATE_READ),
    ADVICE(MADV_POPULATE_WRITE),
    ADVICE(MADV_DONTNEED_LOCKED),
    ADVICE(MADV_GUARD_INSTALL),
    ADVICE(MADV_GUARD_REMOVE),
    ALL("mlockall", MCL_CURRENT),
    ALL("mlockall", MCL_FUTURE),
    ALL("mlockall", MCL_CURRENT | MCL_ONFAULT),
    ALL("mlockall", MCL_FUTURE | MCL_ONFAULT),
    {"mlock2", "MLOCK_ONFAULT", 2, UINT64_MAX, 1, 0},
    {"msync", "MS_SYNC", 2, UINT64_MAX, MS_SYNC, 0},
    {"msync", "MS_ASYNC", 2, UINT64_MAX, MS_ASYNC, 0},
    {"msync", "MS_INVALIDATE", 2, UINT64_MAX, MS_INVALIDATE, 0},
    MEMFD("MFD_ALLOW_SEALING", 2),
    MEMFD("MFD_HUGETLB", 4),
    MEMFD("MFD_NOEXEC_SEAL", 8),
    {"ftruncate", "of the memfd", 0, UINT64_MAX, MEMFD_FD, 0},
    {"prlimit64", "RLIMIT_DATA", 1, UINT64_MAX, RLIMIT_DATA, 0},
    {"prlimit64", "RLIMIT_STACK", 1, UINT64_MAX, RLIMIT_STACK, 0},
    {"prlimit64", "RLIMIT_MEMLOCK", 1, UINT64_MAX, RLIMIT_MEMLOCK, 0},
    {"prlimit64", "RLIMIT_AS", 1, UINT64_MAX, RLIMIT_AS, 0},
};

static void look(const struct call *c, uint64_t *calls)
{
    const char *name = call_kinds[c->kind].name;
    calls[c->kind]++;
    for (struct value *v = values; v < values + ARRAY_LEN(values); v++)
        v->times += strcmp(v->call, name) == 0 && (c->arg[v->arg] & v->mask) == v->want;
}

/* line prints one row; 1 if it never came. */
static int line(FILE *f, uint64_t times, const char *call, const char *name)
{
    fprintf(f, "%10llu  %s%s%s\n", (unsigned long long)times, call, *name ? " " : "", name);
    return times == 0;
}

int reach_print(FILE *f, uint64_t seed, uint64_t sequences)
{
    static struct sequence q;
    static uint64_t calls[256];
    int missing = 0;
    for (uint64_t n = 0; n < sequences; n++) {
        gen_sequence(&q, seed + n);
        for (unsigned i = 0; i < q.n; i++)
            look(&q.call[i], calls);
        for (unsigned i = 0; i < call_kinds_nr; i++) /* the reading at the end */
            calls[i] += call_kinds[i].op == OP_SWEEP;
    }
    for (unsigned i = 0; i < call_kinds_nr; i++)
        missing += line(f, calls[i], call_kinds[i].name, "");
    for (const struct value *v = values; v < values + ARRAY_LEN(values); v++)
        missing += line(f, v->times, v->call, v->name);
    fprintf(f, "%llu sequences, %d of %u never made\n", (unsigned long long)sequences, missing,
            (unsigned)(call_kinds_nr + ARRAY_LEN(values)));
    return missing > 0;
}
