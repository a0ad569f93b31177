/* ref_walk.h: a naive page walk, recursive, over the raw bytes of tables. Written from the Intel
 * SDM vol. 3A, 4.5 and 4.7, with its own bit numbers; it shares nothing with src/pt or src/mmu.
 */
#ifndef REF_WALK_H
#define REF_WALK_H

#include <stdbool.h>
#include <stdint.h>

/* Reads 8 bytes of simulated physical memory; the test says how. */
typedef uint64_t (*ref_read64)(void *ctx, uint64_t paddr);

/* The machine as the walk sees it. */
struct ref_paging {
    ref_read64 read;
    void *ctx;          /* for read */
    uint64_t cr3;       /* physical address of the root */
    unsigned levels;    /* 4 or 5 */
    unsigned phys_bits; /* MAXPHYADDR */
    bool gib_pages;     /* 1 GiB pages exist */
};

struct ref_walk {
    bool present;         /* every entry on the way had P set */
    bool reserved;        /* the last entry had a reserved bit set */
    unsigned level;       /* of the last entry: 0 = PTE … 4 = PML5E */
    uint64_t entry;       /* its value */
    uint64_t paddr;       /* translation, if present and not reserved */
    bool writable;        /* RW in all entries */
    bool user;            /* US in all entries */
    bool noexec;          /* NX in some entry */
    unsigned loads;       /* entries read */
    uint64_t load_at[5];  /* where, from the root down */
    uint64_t load_was[5]; /* what was there */
};

/* ref_walk_do walks for a canonical address; A and D bits stay as they are. */
struct ref_walk ref_walk_do(const struct ref_paging *p, uint64_t vaddr);

/* ref_walk_code returns the page-fault error code of an access after that walk, or -1 if it is
 * allowed. CR0.WP, EFER.NXE, CR4.SMEP on; a kernel access has AC set (SMAP permits it). */
int ref_walk_code(const struct ref_walk *w, bool write, bool user, bool fetch);

/* ref_walk_tables counts the tables of each level reachable from the root (the root too). */
void ref_walk_tables(const struct ref_paging *p, uint64_t counts[5]);

#endif
