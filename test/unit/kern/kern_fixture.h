/* kern_fixture.h: a small machine with one address space and a kernel, for tests of system calls. */
#ifndef TEST_KERN_FIXTURE_H
#define TEST_KERN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kern/kern.h"

#include "base/bits.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define AT UINT64_C(0x10000000) /* where the program's memory is mapped */

struct world {
    struct conf conf;
    struct stat_set stats;
    struct arch_outbox outbox;
    struct phys *phys;
    struct mm_sys *sys;
    struct mm *mm;
    struct kern *kern;
    struct kern_copies copies;
};

/* world_start makes the machine, with so many bytes. 0 or -1. */
static inline int world_start(struct world *w, uint64_t phys_bytes)
{
    memset(w, 0, sizeof *w);
    conf_init(&w->conf);
    w->conf.phys_size = phys_bytes;
    if (arch_outbox_open(&w->outbox) || phys_open(&w->phys, &w->conf, &w->stats) ||
        mm_sys_open(&w->sys, &w->conf, w->phys, &w->stats, &w->outbox) || mm_open(&w->mm, w->sys) ||
        kern_open(&w->kern, &w->conf, w->phys, w->sys, &w->stats, &w->outbox))
        return -1;
    return 0;
}

/* world_open makes it with 64 MiB, and maps so many pages at AT. 0 or -1. */
static inline int world_open(struct world *w, uint64_t pages)
{
    if (world_start(w, MIB(64)) != 0)
        return -1;
    struct mm_map map = {.addr = va(AT),
                         .len = pages * PAGE_SIZE,
                         .prot = PROT_READ | PROT_WRITE,
                         .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};
    return pages == 0 || mm_mmap(w->mm, &map) == (int64_t)AT ? 0 : -1;
}

/* world_close returns what the audit says: 0, or the number of a broken invariant. */
static inline int world_close(struct world *w)
{
    int broken = mm_audit(w->mm);
    kern_copies_close(&w->copies);
    kern_close(w->kern);
    mm_close(w->mm);
    mm_sys_close(w->sys);
    phys_close(w->phys);
    arch_outbox_close(&w->outbox);
    return broken;
}

#endif
