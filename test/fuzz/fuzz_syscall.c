/* fuzz_syscall: system calls with arguments, results and pointed-to contents of any kind: 40 bytes and more
 * a call, in a program with some memory.
 *
 * Hostile arguments cannot make work: every stretch the kernel is said to touch is whole and within its
 * bounds; and the address space stays sound. */
#include "fuzz/fuzz.h"
#include "kern/kern_int.h"
#include "sim/sim.h"

#include <errno.h>

#define CALLS_MAX   24
#define CONTENT_MAX 256u

struct caller {
    struct kern *k;
    struct mm *m;
    struct arch_outbox *outbox;
    struct kern_copies copies;
};

/* value widens 3 bytes: what a call is usually given, and what it is not. */
static uint64_t value(struct fuzz_bytes *in)
{
    uint64_t kind = fuzz_take(in, 1), v = fuzz_take(in, 2);
    switch (kind % 8) {
    case 0:
        return v;
    case 1:
        return FUZZ_DATA + v;
    case 2:
        return v * PAGE_SIZE;
    case 3:
        return (uint64_t) - (int64_t)v;
    case 4:
        return UINT64_C(1) << v % 64;
    case 5:
        return FUZZ_CODE + align_down(v, PAGE_SIZE);
    case 6:
        return UINT64_C(0x7ffffffff000) - v * PAGE_SIZE / 16;
    default:
        return fuzz_take(in, 8);
    }
}

static void check_copies(const struct caller *w, const struct kern_call *c)
{
    for (uint32_t i = 0; i < w->copies.n; i++) {
        const struct kern_copy *p = &w->copies.copy[i];
        ASSERT(p->bytes > 0 && p->addr.v + (p->bytes - 1) >= p->addr.v);
        ASSERT(p->bytes <= KERN_COPY_MAX + UINT16_MAX);
        ASSERT(c->result >= 0 || p->bytes <= PAGE_SIZE + UINT16_MAX);
    }
    ASSERT(w->copies.n <= 64 + 2 * c->n_iov);
}

static void one_call(struct caller *w, struct fuzz_bytes *in)
{
    uint8_t contents[2][CONTENT_MAX];
    struct kern_iovec iov[8];
    struct kern_call c = {.nr = fuzz_take(in, 2) % 470};
    for (unsigned i = 0; i < 6; i++)
        c.arg[i] = value(in);
    c.result = (int64_t)value(in);
    uint64_t with = fuzz_take(in, 1);
    if (with & 1) {
        c.iov = iov;
        c.n_iov = with >> 4 & 7;
        c.iov_arg = 1;
        for (unsigned i = 0; i < c.n_iov; i++)
            iov[i] = (struct kern_iovec){value(in), value(in)};
    }
    for (unsigned k = 0; k < 2; k++) {
        if (!(with >> 1 >> k & 1))
            continue;
        uint64_t n = fuzz_take(in, 1), addr = c.arg[fuzz_take(in, 1) % 6];
        for (uint64_t i = 0; i < n; i++)
            contents[k][i] = (uint8_t)fuzz_take(in, 1);
        uint8_t *exact = malloc(n ? n : 1); /* so that a byte too many is seen */
        ASSERT(exact);
        memcpy(exact, contents[k], n);
        *(k ? &c.earlier : &c.bytes) = exact;
        *(k ? &c.earlier_addr : &c.bytes_addr) = addr;
        *(k ? &c.n_earlier : &c.n_bytes) = n;
    }
    if (with & 8)
        c.file = (struct kern_file){true, (int)c.arg[4], 1, with, 0x5000, 0100644, 2, 0, "/f"};
    if (with & 16)
        c.file.huge_log = with & 32 ? 21 : 30;
    if (with & 64) {
        kern_ask(w->k, w->m, &c);
        c.asked = true;
    }
    w->copies.n = 0;
    kern_syscall(w->k, w->m, &c, &w->copies);
    check_copies(w, &c);
    w->outbox->n = 0;
    free((void *)c.bytes);
    free((void *)c.earlier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes in = {data, size};
    struct caller w = {0};
    struct arch_outbox outbox;
    struct stat_set stats = {0};
    struct phys *phys;
    struct mm_sys *sys;
    struct conf c;
    fuzz_conf_small(&c);
    c.numa_nodes = 1 + size % 2;
    w.outbox = &outbox;
    ASSERT(arch_outbox_open(&outbox) == 0 && phys_open(&phys, &c, &stats) == 0 &&
           mm_sys_open(&sys, &c, phys, &stats, &outbox) == 0 && mm_open(&w.m, sys) == 0 &&
           kern_open(&w.k, &c, phys, sys, &stats, &outbox) == 0);
    outbox.n = 0;
    struct mm_map map = {va(FUZZ_DATA), FUZZ_MAPPED, 3, 0x32, .forced = true};
    mm_mmap(w.m, &map);
    for (unsigned i = 0; i < CALLS_MAX && in.left > 0; i++)
        one_call(&w, &in);
    ASSERT(mm_audit(w.m) == 0 && phys_audit(phys) == 0);
    kern_copies_close(&w.copies);
    kern_close(w.k);
    mm_close(w.m);
    mm_sys_close(sys);
    phys_close(phys);
    arch_outbox_close(&outbox);
    return 0;
}

/* The bytes of one call: number, six arguments, result; nothing else comes with it. */
#define V(kind, v) (kind), (v)&0xff, (v) >> 8
#define N(nr)      (nr) & 0xff, (nr) >> 8
#define NONE       V(0, 0)
#define NONE4      NONE, NONE, NONE, NONE
#define AT(v)      V(1, v)
#define PAGES_V(v) V(2, v)
#define NUM(v)     V(0, v)
size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    static const uint8_t memory[] = {
        N(SYS_mmap),
        NONE,
        PAGES_V(8),
        NUM(3),
        NUM(0x22),
        V(3, 1),
        NONE,
        PAGES_V(0x7000),
        0,
        N(SYS_mprotect),
        AT(0),
        PAGES_V(2),
        NUM(1),
        NONE4,
        0,
        N(SYS_madvise),
        AT(0x2000),
        PAGES_V(2),
        NUM(4),
        NONE4,
        0,
        N(SYS_mremap),
        AT(0),
        PAGES_V(2),
        PAGES_V(4),
        NUM(1),
        NONE,
        NONE,
        PAGES_V(0x8000),
        0,
        N(SYS_brk),
        PAGES_V(0x900),
        NONE4,
        NONE,
        PAGES_V(0x900),
        0,
        N(SYS_mlock),
        AT(0),
        PAGES_V(1),
        NONE4,
        NONE,
        0,
        N(SYS_munmap),
        AT(0),
        PAGES_V(4),
        NONE4,
        NONE,
        0,
    };
    static const uint8_t vectors[] = {
        N(SYS_writev),
        NUM(1),
        AT(0),
        NUM(2),
        NONE,
        NONE,
        NONE,
        NUM(48),
        0x21,
        AT(64),
        NUM(16),
        AT(128),
        NUM(32),
        N(SYS_sendmsg),
        NUM(3),
        AT(0),
        NONE4,
        NUM(8),
        2,
        56,
        1,
        0,
        2,
        0x60,
        0,
        0,
        0,
        0,
        0,
        16,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        3,
        0x60,
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        4,
        0x60,
        0,
        0,
        0,
        0,
        0,
        64,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        N(SYS_openat),
        NUM(3),
        AT(0),
        NONE4,
        NUM(4),
        2,
        4,
        1,
        '/',
        'e',
        't',
        0,
    };
    static const uint8_t nodes[] = {
        N(SYS_mbind),
        AT(0),
        PAGES_V(4),
        NUM(2),
        AT(64),
        NUM(8),
        NUM(2),
        NONE,
        2,
        8,
        3,
        3,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        N(SYS_set_mempolicy),
        NUM(3),
        AT(64),
        NUM(64),
        NONE4,
        2,
        8,
        1,
        3,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        N(SYS_move_pages),
        NONE,
        NUM(1),
        AT(0),
        AT(64),
        AT(128),
        NUM(2),
        NONE,
        6,
        4,
        3,
        1,
        0,
        0,
        0,
        8,
        2,
        0,
        0,
        0x60,
        0,
        0,
        0,
        0,
        0,
        N(SYS_migrate_pages),
        NONE,
        NUM(8),
        AT(0),
        AT(64),
        NONE,
        NONE,
        NONE,
        6,
        1,
        3,
        2,
        1,
        2,
        1,
        N(SYS_get_mempolicy),
        NONE,
        NONE,
        NONE,
        AT(0),
        NUM(3),
        NONE,
        NONE,
        0,
    };
    static const struct {
        const uint8_t *bytes;
        size_t n;
    } seeds[] = {{memory, sizeof memory}, {vectors, sizeof vectors}, {nodes, sizeof nodes}};
    return nth < ARRAY_LEN(seeds) ? fuzz_copy_seed(buf, seeds[nth].bytes, seeds[nth].n) : 0;
}
