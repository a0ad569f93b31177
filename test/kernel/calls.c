/* calls.c: the table of what a sequence is made of: a row a kind, how it is generated and how it is
 * performed on the model. On the kernel a row's system call is made as it stands.
 *
 * Generators aim at edges: rights that do not fit, lengths of zero, ranges that begin or end a page
 * off, flags that contradict each other, descriptors that do not allow it.
 */
#include "kernel/calls.h"

#include <errno.h>
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#define RW       (PROT_READ | PROT_WRITE)
#define MAP_DROP 0x08 /* MAP_DROPPABLE */

/* -- mmap */

static const uint32_t prots[] = {RW,         RW,
                                 RW,         RW,
                                 PROT_READ,  PROT_NONE,
                                 PROT_WRITE, PROT_READ | PROT_EXEC,
                                 PROT_EXEC,  RW | PROT_EXEC};

static const uint32_t extras[] = {0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  MAP_NORESERVE,
                                  MAP_POPULATE,
                                  MAP_POPULATE | MAP_NONBLOCK,
                                  MAP_LOCKED,
                                  MAP_STACK,
                                  MAP_GROWSDOWN};

static void gen_backing(struct gen *g, struct call *c)
{
    uint64_t how = pick(g, 40);
    if (how < 20) {
        c->arg[3] |= MAP_ANONYMOUS | (pick(g, 5) ? MAP_PRIVATE : MAP_SHARED);
        c->arg[4] = (uint64_t)-1;
        c->arg[5] = pick(g, 60) ? 0 : pick(g, 3) * K + pick(g, 2);
        return;
    }
    c->arg[3] |= pick(g, 2) ? MAP_PRIVATE : MAP_SHARED;
    static const uint64_t rare[] = {99, PIPE_FD, FILE_WO_FD, ZERO_FD, ZERO_FD, ZERO_FD};
    c->arg[4] = how < 28   ? FILE_FD
                : how < 36 ? gen_memfd(g)
                : how < 38 ? FILE_RO_FD
                           : PICK(g, rare);
    c->arg[5] = (pick(g, 2) ? pick(g, 50) : pick(g, 4) * 8) * K + (pick(g, 60) == 0);
    if (pick(g, 100) == 0)
        c->arg[5] = align_down(UINT64_MAX >> pick(g, 3), K);
}

/* Huge pages of a pool that is empty: without a promise they can be mapped, not touched. */
static void gen_huge(struct gen *g, struct call *c)
{
    static const uint64_t logs[] = {0, 0, 21, 21, 21, 30, 16, 24, 12, 63};
    uint64_t log = PICK(g, logs), size = log == 30 ? BIT(30) : MIB(2);
    uint64_t place = pick(g, 8);
    c->arg[2] = PICK(g, prots);
    c->arg[3] = MAP_HUGETLB | log << 26 | (pick(g, 20) ? MAP_ANONYMOUS : 0) |
                (pick(g, 6) ? MAP_NORESERVE : 0) | (pick(g, 3) ? MAP_PRIVATE : MAP_SHARED) |
                (pick(g, 8) ? 0 : PICK(g, extras));
    c->arg[4] = pick(g, 2) ? (uint64_t)-1 : FILE_FD;
    c->arg[5] = pick(g, 8) ? 0 : pick(g, 3) * (pick(g, 2) ? size : K);
    c->arg[1] = (1 + pick(g, 3)) * size - (pick(g, 4) ? 0 : pick(g, 3) * K);
    if (place < 3) {
        c->arg[3] |= place ? MAP_FIXED : MAP_FIXED_NOREPLACE;
        c->arg[0] = align_down(g->q->base, size) + pick(g, 3) * size + (pick(g, 12) ? 0 : K);
    }
    gen_mapped(g, place < 3 ? c->arg[0] : 0, align_up(c->arg[1], size));
}

static void gen_mmap(struct gen *g, struct call *c)
{
    if (g->q->thp && pick(g, 3) == 0) {
        gen_thp_map(g, c);
        return;
    }
    if (pick(g, 25) == 0) {
        gen_huge(g, c);
        return;
    }
    static const uint32_t odd[] = {MAP_SHARED_VALIDATE, MAP_SHARED_VALIDATE | MAP_SYNC,
                                   MAP_DENYWRITE,       MAP_EXECUTABLE,
                                   MAP_32BIT,           1u << 27};
    c->arg[2] = PICK(g, prots);
    c->arg[3] = PICK(g, extras);
    gen_backing(g, c);
    if (pick(g, 40) == 0)
        c->arg[3] |= PICK(g, odd);
    if (pick(g, 80) == 0)
        c->arg[3] = (c->arg[3] & ~(uint64_t)MAP_TYPE) | (pick(g, 2) ? 0 : MAP_DROP);
    gen_range(g, c, 0);
    uint64_t place = pick(g, 20);
    if (place < 13)
        c->arg[3] |= MAP_FIXED;
    else if (place < 15)
        c->arg[3] |= MAP_FIXED_NOREPLACE;
    else if (place < 18)
        c->ref[0] = 0, c->arg[0] = pick(g, 20) ? 0 : UINT64_C(0x800000000000) - pick(g, 3) * K;
    if (pick(g, 30) == 0) { /* in the way of the break */
        c->ref[0] = REF_BRK;
        c->arg[0] = pick(g, 24) * g->q->unit * K;
        return;
    }
    gen_mapped(g, c->arg[0] % K == 0 && c->ref[0] == 0 && place < 15 ? c->arg[0] : 0, c->arg[1]);
}

/* What the descriptor decides before the memory manager is asked (ksys_mmap_pgoff). */
static int descriptor(const struct model *w, const struct call *c, struct mm_map *map)
{
    struct mm_file *files[] = {w->file, w->file, w->memfd, w->pipe, w->file, w->zero};
    if (c->arg[5] % K)
        return -EINVAL;
    if (c->arg[3] & MAP_ANONYMOUS)
        return 0;
    if (c->arg[4] >= FILE_FD && c->arg[4] <= ZERO_FD)
        map->file = files[c->arg[4] - FILE_FD];
    else
        map->file = memfd_of(w, c, c->arg[4]);
    if (!map->file)
        return -EBADF;
    map->file_writable = c->arg[4] != FILE_RO_FD && c->arg[4] != PIPE_FD;
    map->file_unreadable = c->arg[4] == FILE_WO_FD;
    map->file_id = c->arg[4];
    return 0;
}

int64_t model_mmap(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    struct mm_map map = {.addr = va(c->arg[0]),
                         .len = c->arg[1],
                         .prot = (uint32_t)c->arg[2],
                         .flags = (uint32_t)c->arg[3],
                         .offset = c->arg[5]};
    int err = descriptor(w, c, &map);
    return err ? err : mm_mmap(CALLER(w, c), &map);
}

/* -- ranges: calls of an address, a length and one more argument */

static void gen_munmap(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    if (pick(g, 20) == 0) { /* a part of the heap */
        c->ref[0] = REF_BRK;
        c->arg[0] = pick(g, 20) * g->q->unit * K;
    }
}

int64_t model_munmap(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_munmap(CALLER(w, c), va(c->arg[0]), c->arg[1]);
}

static void gen_mprotect(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    c->arg[2] = PICK(g, prots);
    if (pick(g, 30) == 0)
        c->arg[2] |= pick(g, 2) ? PROT_GROWSDOWN : 8u << pick(g, 3);
}

int64_t model_mprotect(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_mprotect(CALLER(w, c), va(c->arg[0]), c->arg[1], (uint32_t)c->arg[2]);
}

/* spare_subject shortens what would end the subject. madvise goes over holes: what begins below its text
 * and does not wrap reaches that and its stack. (munmap and mremap refuse a range that ends beyond the
 * address space; mprotect, mlock, mbind and mseal stop at the first hole.) Guards in all of a mapping
 * of 8 TiB take 16 GiB of page tables. */
static void spare_subject(const struct gen *g, struct call *c)
{
    uint64_t end = c->arg[0] + c->arg[1];
    bool low = !c->ref[0] && c->arg[0] < GIB(1) && end > SUBJECT_TEXT;
    bool guards = c->arg[2] == MADV_GUARD_INSTALL && c->arg[1] > GIB(1);
    if (end >= c->arg[0] && (low || guards))
        c->arg[1] = g->q->unit * K;
}

static void gen_madvise(struct gen *g, struct call *c)
{
    static const int often[] = {MADV_DONTNEED,      MADV_DONTNEED,       MADV_FREE,
                                MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_WILLNEED,
                                MADV_DONTFORK,      MADV_WIPEONFORK};
    static const int all[] = {MADV_NORMAL,
                              MADV_RANDOM,
                              MADV_SEQUENTIAL,
                              MADV_DONTFORK,
                              MADV_DOFORK,
                              MADV_WIPEONFORK,
                              MADV_KEEPONFORK,
                              MADV_DONTDUMP,
                              MADV_DODUMP,
                              MADV_HUGEPAGE,
                              MADV_NOHUGEPAGE,
                              MADV_COLD,
                              MADV_COLD,
                              MADV_PAGEOUT,
                              MADV_PAGEOUT,
                              MADV_PAGEOUT,
                              MADV_MERGEABLE,
                              MADV_UNMERGEABLE,
                              24,
                              102,
                              102,
                              103,
                              100,
                              101,
                              MADV_REMOVE,
                              MADV_COLLAPSE,
                              99,
                              MADV_POPULATE_READ,
                              MADV_POPULATE_WRITE};
    gen_range(g, c, 0);
    c->arg[2] = (uint64_t)(pick(g, 2) ? PICK(g, often) : PICK(g, all));
    uint64_t huge = g->q->thp ? pick(g, 6) : 6;
    if (huge < 2) { /* all of the window may have huge pages */
        c->ref[0] = 0;
        c->arg[0] = g->q->base;
        c->arg[1] = WINDOW * g->q->unit * K;
        c->arg[2] = MADV_HUGEPAGE;
    } else if (huge == 2) {
        c->arg[2] = MADV_COLLAPSE;
    }
    spare_subject(g, c);
}

static int64_t model_madvise(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_madvise(CALLER(w, c), va(c->arg[0]), c->arg[1], (int)c->arg[2]);
}

static void gen_msync(struct gen *g, struct call *c)
{
    static const int flags[] = {MS_SYNC, MS_SYNC, MS_ASYNC, MS_INVALIDATE, MS_ASYNC | MS_SYNC,
                                8,       0};
    gen_range(g, c, 0);
    c->arg[2] = (uint64_t)PICK(g, flags);
}

static int64_t model_msync(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_msync(CALLER(w, c), va(c->arg[0]), c->arg[1], (int)c->arg[2]);
}

static void gen_mincore(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    if (c->arg[1] < UINT64_C(1) << 40)
        c->arg[1] = min_u64(c->arg[1], OUT_SEEN * K);
    c->arg[2] = PTR_OUT;
}

static int64_t model_mincore(struct model *w, const struct call *c, struct answer *a)
{
    return mm_mincore(CALLER(w, c), va(c->arg[0]), c->arg[1], a->out);
}

/* -- mremap */

static void gen_mremap(struct gen *g, struct call *c)
{
    static const uint32_t flags[] = {0,
                                     MREMAP_MAYMOVE,
                                     MREMAP_MAYMOVE,
                                     MREMAP_MAYMOVE | MREMAP_FIXED,
                                     MREMAP_MAYMOVE | MREMAP_FIXED,
                                     MREMAP_FIXED,
                                     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
                                     MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
                                     MREMAP_DONTUNMAP,
                                     8};
    gen_range(g, c, 0);
    c->arg[2] = pick(g, 3) ? c->arg[1] : gen_len(g);
    c->arg[3] = pick(g, 12) ? flags[pick(g, 8)] : PICK(g, flags);
    if (pick(g, 12) == 0)
        c->arg[1] = 0;
    if (c->arg[3] & MREMAP_FIXED || pick(g, 20) == 0) {
        c->arg[4] = gen_addr(g);
        if (pick(g, 3) == 0) /* as far apart as whole page tables: these may move at once */
            c->arg[4] = c->arg[0] % MIB(2) + align_down(c->arg[4], MIB(2));
        gen_mapped(g, c->arg[4], c->arg[2]);
    } else if (c->arg[3] & MREMAP_MAYMOVE) {
        gen_mapped(g, 0, c->arg[2]);
    }
}

static int64_t model_mremap(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_mremap(CALLER(w, c), va(c->arg[0]), c->arg[1], c->arg[2], (uint32_t)c->arg[3],
                     va(c->arg[4]), false);
}

/* -- brk */

static void gen_brk(struct gen *g, struct call *c)
{
    c->ref[0] = REF_BRK;
    c->arg[0] = pick(g, 20) * K * g->q->unit + (pick(g, 3) ? 0 : pick(g, K));
    if (pick(g, 12) == 0)
        c->arg[0] = pick(g, 2)   ? (uint64_t)-K
                    : pick(g, 2) ? UINT64_C(0x700000000000)
                                 : UINT64_C(0x7ffffffff000);
    gen_mapped(g, 0, 0);
}

static int64_t model_brk(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return (int64_t)mm_brk(CALLER(w, c), va(c->arg[0])).v;
}

/* -- locking */

static void gen_mlock(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
}

static int64_t model_mlock(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_mlock(CALLER(w, c), va(c->arg[0]), c->arg[1], 0);
}

static void gen_mlock2(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    c->arg[2] = pick(g, 20) ? MLOCK_ONFAULT : pick(g, 3);
}

static int64_t model_mlock2(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_mlock(CALLER(w, c), va(c->arg[0]), c->arg[1], (int)c->arg[2]);
}

static int64_t model_munlock(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_munlock(CALLER(w, c), va(c->arg[0]), c->arg[1]);
}

static void gen_mlockall(struct gen *g, struct call *c)
{
    static const int flags[] = {MCL_FUTURE,
                                MCL_FUTURE,
                                MCL_FUTURE | MCL_ONFAULT,
                                MCL_CURRENT,
                                MCL_CURRENT | MCL_ONFAULT,
                                0,
                                MCL_ONFAULT,
                                8};
    c->arg[0] = (uint64_t)PICK(g, flags);
}

static int64_t model_mlockall(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return mm_mlockall(CALLER(w, c), (int)c->arg[0]);
}

static void gen_nothing(struct gen *g, struct call *c)
{
    (void)g;
    (void)c;
}

static int64_t model_munlockall(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    mm_munlockall(CALLER(w, c));
    return 0;
}

/* -- touches */

static void gen_touch(struct gen *g, struct call *c)
{
    gen_range(g, c, 0);
    if (pick(g, 3))
        c->arg[1] = K;
    c->arg[1] = min_u64(c->arg[1], 64 * g->q->unit * K);
    c->arg[0] = align_down(c->arg[0], 8);
    if (pick(g, 40) == 0) { /* [stack] grows down to it, as far as it may */
        c->ref[0] = REF_STACK;
        c->arg[0] = -(1 + pick(g, pick(g, 4) ? 40 : 2200)) * K + pick(g, K / 8) * 8;
        c->arg[1] = K;
    }
    if (pick(g, 40) == 0)
        gen_elsewhere(g, c);
    c->arg[2] = 0x90 + ((g->q->n + 1ull) << 32); /* begins with a harmless instruction */
}

static int64_t touch_range(struct model *w, const struct call *c, uint32_t code, struct answer *a)
{
    int64_t n = 0;
    for (uint64_t p = c->arg[0]; p < c->arg[0] + c->arg[1]; p += K, n++) {
        if (!model_touch(w, CALLER(w, c), p, code, a))
            break;
        if (code & FAULT_W)
            model_store(w, CALLER(w, c), p, c->arg[2] + (uint64_t)n * 256);
    }
    return n;
}

static int64_t model_read(struct model *w, const struct call *c, struct answer *a)
{
    return touch_range(w, c, 0, a);
}

static int64_t model_write(struct model *w, const struct call *c, struct answer *a)
{
    return touch_range(w, c, FAULT_W, a);
}

static int64_t model_sweep(struct model *w, const struct call *c, struct answer *a)
{
    int64_t n = 0;
    for (uint64_t p = c->arg[0]; p < c->arg[0] + c->arg[1]; p += c->arg[2])
        n += model_touch(w, CALLER(w, c), p, 0, a);
    return n;
}

static void gen_exec(struct gen *g, struct call *c)
{
    gen_touch(g, c);
    c->arg[0] = align_down(c->arg[0], K);
    c->arg[1] = c->arg[2] = 0;
}

static int64_t model_exec(struct model *w, const struct call *c, struct answer *a)
{
    model_touch(w, CALLER(w, c), c->arg[0], FAULT_I, a);
    return 0;
}

/* -- processes */

static void gen_fork(struct gen *g, struct call *c)
{
    while (g->live[c->arg[0]])
        c->arg[0]++;
    g->live[c->arg[0]] = true;
    g->dropped[c->arg[0]] = g->dropped[c->proc];
}

static int64_t model_fork_call(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    return model_fork(w, c->proc, (unsigned)c->arg[0]);
}

static void gen_exit(struct gen *g, struct call *c)
{
    g->live[c->proc] = false;
}

static int64_t model_exit(struct model *w, const struct call *c, struct answer *a)
{
    (void)a;
    mm_close(CALLER(w, c));
    CALLER(w, c) = NULL;
    return 0;
}

const struct call_kind call_kinds[] = {
    {"mmap", 22, SYS_mmap, OP_CALL, "xxxxdx", 0, gen_mmap, model_mmap},
    {"munmap", 6, SYS_munmap, OP_CALL, "xx", 0, gen_munmap, model_munmap},
    {"mprotect", 12, SYS_mprotect, OP_CALL, "xxx", 0, gen_mprotect, model_mprotect},
    {"mremap", 10, SYS_mremap, OP_CALL, "xxxxx", 0, gen_mremap, model_mremap},
    {"madvise", 14, SYS_madvise, OP_CALL, "xxd", 0, gen_madvise, model_madvise},
    {"brk", 3, SYS_brk, OP_CALL, "x", 0, gen_brk, model_brk},
    {"mlock", 3, SYS_mlock, OP_CALL, "xx", 0, gen_mlock, model_mlock},
    {"mlock2", 2, SYS_mlock2, OP_CALL, "xxd", 0, gen_mlock2, model_mlock2},
    {"munlock", 2, SYS_munlock, OP_CALL, "xx", 0, gen_mlock, model_munlock},
    {"mlockall", 1, SYS_mlockall, OP_CALL, "d", 0, gen_mlockall, model_mlockall},
    {"munlockall", 1, SYS_munlockall, OP_CALL, "", 0, gen_nothing, model_munlockall},
    {"msync", 3, SYS_msync, OP_CALL, "xxd", 0, gen_msync, model_msync},
    {"mincore", 3, SYS_mincore, OP_CALL, "xxo", OUT_SEEN, gen_mincore, model_mincore},
    {"ftruncate", 2, SYS_ftruncate, OP_CALL, "dx", 0, gen_ftruncate, model_ftruncate},
    {"read", 14, -1, OP_READ, "xx", 0, gen_touch, model_read},
    {"write", 20, -1, OP_WRITE, "xxx", 0, gen_touch, model_write},
    {"fallocate", 2, SYS_fallocate, OP_CALL, "dxxx", 0, gen_fallocate, model_fallocate},
    {"mbind", 3, SYS_mbind, OP_CALL, "xxxixx", 0, gen_mbind, model_mbind},
    {"set_mempolicy", 1, SYS_set_mempolicy, OP_CALL, "xid", 0, gen_set_mempolicy,
     model_set_mempolicy},
    {"get_mempolicy", 2, SYS_get_mempolicy, OP_CALL, "oodxx", 16, gen_get_mempolicy,
     model_get_mempolicy},
    {"set_mempolicy_home_node", 1, 450, OP_CALL, "xxxx", 0, gen_home_node, model_home_node},
    {"migrate_pages", 1, SYS_migrate_pages, OP_CALL, "ddii", 0, gen_migrate_pages,
     model_migrate_pages},
    {"move_pages", 2, SYS_move_pages, OP_CALL, "ddiiox", 16, gen_move_pages, model_move_pages},
    {"shmget", 2, SYS_shmget, OP_CALL, "kxx", 0, gen_shmget, model_shmget},
    {"shmat", 2, SYS_shmat, OP_CALL, "sxx", 0, gen_shmat, model_shmat},
    {"shmdt", 1, SYS_shmdt, OP_CALL, "x", 0, gen_shmdt, model_shmdt},
    {"shmctl", 2, SYS_shmctl, OP_CALL, "sdx", 112, gen_shmctl, model_shmctl},
    {"prlimit64", 1, SYS_prlimit64, OP_CALL, "ddid", 0, gen_setrlimit, model_setrlimit},
    {"capset", 1, SYS_capset, OP_CALL, "ii", 0, gen_capset, model_capset},
    {"mseal", 1, 462, OP_CALL, "xxd", 0, gen_mseal, model_mseal},
    {"remap_file_pages", 1, SYS_remap_file_pages, OP_CALL, "xxxdx", 0, gen_remap_file_pages,
     model_remap_file_pages},
    {"fcntl", 1, SYS_fcntl, OP_CALL, "ddx", 0, gen_seals, model_seals},
    {"process_madvise", 1, 440, OP_CALL, "diddd", 0, gen_process_madvise, model_process_madvise},
    {"pkey_mprotect", 1, SYS_pkey_mprotect, OP_CALL, "xxxd", 0, gen_pkey_mprotect,
     model_pkey_mprotect},
    {"pkey_alloc", 1, SYS_pkey_alloc, OP_CALL, "xx", 0, gen_pkey_alloc, model_pkey_alloc},
    {"pkey_free", 1, SYS_pkey_free, OP_CALL, "d", 0, gen_pkey_free, model_pkey_free},
    {"mmap_each", 1, SYS_mmap, OP_EACH, "xxxxdx", 0, gen_mmap_each, model_mmap_each},
    {"mmap_place", 2, SYS_mmap, OP_CALL, "xxxxdx", 0, gen_mmap_place, model_mmap_place},
    {"mmap_fill", 0, SYS_mmap, OP_EACH, "xxxxdx", 0, gen_mmap_fill, model_mmap_fill},
    {"memfd_create", 1, SYS_memfd_create, OP_MEMFD, "ixd", 0, gen_memfd_create, model_memfd_create},
    {"setresuid", 1, SYS_setresuid, OP_CALL, "ddd", 0, gen_setresuid, model_setresuid},
    {"mmap_many", 0, SYS_mmap, OP_MANY, "xxxxdx", 0, gen_mmap_many, model_mmap_many},
    {"munmap_each", 1, SYS_munmap, OP_EACH, "xx", 0, gen_munmap_each, model_munmap_each},
    {"mprotect_each", 1, SYS_mprotect, OP_EACH, "xxx", 0, gen_mprotect_each, model_mprotect_each},
    {"sweep", 0, -1, OP_SWEEP, "xxx", 0, gen_nothing,
     model_sweep}, /* at the end of each sequence */
    {"fork", 3, -1, OP_FORK, "d", 0, gen_fork, model_fork_call},
    {"exit", 1, -1, OP_EXIT, "", 0, gen_exit, model_exit},
    {"exec", 2, -1, OP_EXEC, "x", 0, gen_exec, model_exec},
};
const unsigned call_kinds_nr = ARRAY_LEN(call_kinds);
