/* ref_vma.h: an address space as the naive see it: one record per page, nothing is merged, shared
 * or clever. What a page is, what it may, and what is behind it. The oracle of test/diff/test_vma.c.
 *
 * Ranges are in pages of the window [0, n). VMA borders are not kept: only the fault-around rule
 * needs them, so ref_touch is told the VMA it lies in, and checks that its pages are alike.
 */
#ifndef TEST_REF_VMA_H
#define TEST_REF_VMA_H

#include <stdbool.h>
#include <stdint.h>

#define REF_FILES 4   /* 0 is anonymous */
#define REF_FPAGE 256 /* pages of each file */

enum ref_state { REF_NONE, REF_ZERO, REF_ANON, REF_FILE };

struct ref_page {
    bool mapped;          /* there is a mapping */
    int prot;             /* PROT_… */
    bool shared;          /* MAP_SHARED */
    int file;             /* 0 anonymous, else which */
    uint64_t pgoff;       /* page of the file */
    enum ref_state state; /* what the entry maps */
    bool writable;        /* the entry lets writes through */
    bool dirty;           /* the entry was written through */
};

struct ref_space {
    struct ref_page *page; /* n records */
    uint64_t n;
    bool memory[REF_FILES];            /* the file is in memory (shmem) */
    bool cached[REF_FILES][REF_FPAGE]; /* shmem: the page exists */
    uint64_t file_pages[REF_FILES];    /* length */
};

void ref_map(struct ref_space *s, uint64_t at, uint64_t n, int prot, bool shared, int file,
             uint64_t pgoff);
void ref_unmap(struct ref_space *s, uint64_t at, uint64_t n);
/* ref_protect returns 0 or -ENOMEM at the first hole, pages before it changed. */
int ref_protect(struct ref_space *s, uint64_t at, uint64_t n, int prot);
/* ref_move moves n mapped pages to a place that does not overlap. */
void ref_move(struct ref_space *s, uint64_t from, uint64_t to, uint64_t n);
int ref_dontneed(struct ref_space *s, uint64_t at, uint64_t n);
/* ref_touch returns minor faults (0 or 1), or -SIGSEGV or -SIGBUS; [lo, hi) is the VMA. */
int ref_touch(struct ref_space *s, uint64_t at, bool write, uint64_t lo, uint64_t hi);

#endif
