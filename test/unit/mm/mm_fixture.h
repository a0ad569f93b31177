/* mm_fixture.h: a small machine with one address space, and short words for tests. */
#ifndef TEST_MM_FIXTURE_H
#define TEST_MM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "mm/mm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define K   UINT64_C(4096)
#define RW  (PROT_READ | PROT_WRITE)
#define RX  (PROT_READ | PROT_EXEC)
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

struct box {
    struct conf conf;
    struct stat_set stats;
    struct arch_outbox out;
    struct phys *phys;
    struct mm_sys *sys;
    struct mm *mm;
};

/* box_conf fills in the options; box_start builds the machine from what they then are. */
static inline void box_conf(struct box *b, uint64_t phys_bytes)
{
    memset(b, 0, sizeof(*b));
    conf_init(&b->conf);
    b->conf.phys_size = phys_bytes;
}

static inline void box_start(struct box *b)
{
    assert_int_equal(arch_outbox_open(&b->out), 0);
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(mm_sys_open(&b->sys, &b->conf, b->phys, &b->stats, &b->out), 0);
    assert_int_equal(mm_open(&b->mm, b->sys), 0);
}

static inline void box_open(struct box *b, uint64_t phys_bytes, bool cold)
{
    box_conf(b, phys_bytes);
    b->conf.pagecache = cold ? PAGECACHE_COLD : PAGECACHE_WARM;
    box_start(b);
}

/* box_close also checks that every frame came back: nothing of the address space may remain. */
static inline void box_close(struct box *b)
{
    assert_int_equal(mm_audit(b->mm), 0);
    mm_close(b->mm);
    if (b->conf.swap_size == 0) /* else some may stay in the swap cache after their writeback */
        assert_int_equal(phys_owner_frames(b->phys, FRAME_USER_ANON), 0);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_USER_FILE), 0);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_PAGE_TABLE), 0);
    mm_sys_close(b->sys);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_USER_ANON), 0);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_PAGE_CACHE), 0);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_SHMEM), 0);
    assert_int_equal(phys_audit(b->phys), 0);
    phys_close(b->phys);
    arch_outbox_close(&b->out);
}

static inline int64_t map_full(struct box *b, uint64_t addr, uint64_t len, uint32_t prot,
                               uint32_t flags, struct mm_file *f, uint64_t offset)
{
    struct mm_map map = {.addr = va(addr),
                         .len = len,
                         .prot = prot,
                         .flags = flags,
                         .file = f,
                         .file_writable = true,
                         .offset = offset};
    return mm_mmap(b->mm, &map);
}

static inline int64_t map_anon(struct box *b, uint64_t addr, uint64_t pages, uint32_t prot)
{
    return map_full(b, addr, pages * K, prot, MAP_PRIVATE | MAP_ANONYMOUS | (addr ? MAP_FIXED : 0),
                    NULL, 0);
}

/* The error code the hardware would give: looks at the tables as a walker does. */
static inline bool touch_faults(struct box *b, uint64_t a, uint32_t code, struct arch_fault *f)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    *f = (struct arch_fault){.cr2 = va(a), .code = code | FAULT_U};
    if (!e || !pte_present(*e))
        return true;
    f->code |= FAULT_P;
    if ((code & FAULT_W) && !(e->v & PTE_RW))
        return true;
    return (code & FAULT_I) && (e->v & PTE_NX);
}

/* touch accesses an address until it succeeds, sets A and D as hardware does, and returns the
 * last verdict; *ret_faults counts. */
static inline struct mm_verdict touch_code(struct box *b, uint64_t a, uint32_t code,
                                           unsigned *ret_faults)
{
    struct arch_fault f;
    struct mm_verdict v = {.kind = FAULT_KIND_NR};
    unsigned level;
    *ret_faults = 0;
    while (touch_faults(b, a, code, &f)) {
        mm_fault(b->mm, &f, &v);
        ++*ret_faults;
        if (v.signal || v.oom)
            return v;
        assert_true(*ret_faults < 3);
    }
    pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    e->v |= PTE_A | (code & FAULT_W ? PTE_D : 0);
    return v;
}
static inline struct mm_verdict touch(struct box *b, uint64_t a, bool write)
{
    unsigned n;
    return touch_code(b, a, write ? FAULT_W : 0, &n);
}

/* touch_pages touches n pages and returns how many minor faults that took. */
static inline uint64_t touch_pages(struct box *b, uint64_t a, uint64_t n, bool write)
{
    struct mm_counters before, after;
    mm_counters(b->mm, &before);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(touch(b, a + i * K, write).signal, 0);
    mm_counters(b->mm, &after);
    return after.minflt - before.minflt;
}

/* box_open_written opens a box with so many pages of anonymous memory at `a`, all of them written. */
static inline void box_open_written(struct box *b, uint64_t a, uint64_t pages)
{
    box_open(b, MIB(64), false);
    map_anon(b, a, pages, RW);
    touch_pages(b, a, pages, true);
}

/* move_pages_of asks for n pages, each to its node, and leaves the answer in status. */
static inline struct mm_move_pages move_pages_of(const uint64_t *pages, const int32_t *nodes,
                                                 int32_t *status, uint64_t n)
{
    return (struct mm_move_pages){.nr = n,
                                  .pages = pages,
                                  .pages_nr = n,
                                  .nodes = nodes,
                                  .nodes_nr = n,
                                  .status = status,
                                  .status_nr = n};
}

static inline struct mm_counters counters(const struct box *b)
{
    struct mm_counters c;
    mm_counters(b->mm, &c);
    return c;
}

/* draw writes the VMAs of [base, base + pages) as text, one letter pair per VMA and page:
 *   "rw rw -- . r-"  would be too long, so: one character a page, a new VMA starts upper case.
 *   r read-only  w writable  x executable  n no rights  . hole                              */
static inline const char *draw(const struct box *b, uint64_t base, uint64_t pages)
{
    static char text[600];
    assert_true(pages < sizeof(text));
    for (uint64_t i = 0; i < pages; i++) {
        const struct vma *v = mm_vma_at(b->mm, va(base + i * K));
        char c = !v                    ? '.'
                 : v->flags & VM_EXEC  ? 'x'
                 : v->flags & VM_WRITE ? 'w'
                 : v->flags & VM_READ  ? 'r'
                                       : 'n';
        bool first = v && v->start.v == base + i * K;
        text[i] = (char)(first ? c - 'a' + 'A' : c);
    }
    text[pages] = '\0';
    return text;
}

#endif
