/* pt.h: page tables as real bytes in simulated frames. The kernel's side: building and changing
 * them. (The hardware's side, the walker, reads the same bytes from mmu/.)
 *
 *   CR3 ─► root ─► … ─► PDPT (2) ─► PD (1) ─► PT (0) ─► frame of a 4 KiB page
 *                          │           └─ PS ─► frames of a 2 MiB page
 *                          └─ PS ─► frames of a 1 GiB page
 *
 * Invariants (pt_audit):
 *  I1  Every present non-leaf entry points to a frame of owner FRAME_PAGE_TABLE that no other entry
 *      points to: the frame's index is the physical address of that entry.
 *  I2  tables[l] = number of tables of level l reachable from the root, root included; deposited =
 *      number of PTE tables put aside.
 *  I3  No present entry has a reserved bit set.
 *
 * A process has the kernel's half of the root in common with all others: its entries 256 to 511 are
 * copies of the kernel's, which point to the same tables, so that all see what changes there. They
 * count for the kernel alone (I1, I2). With page-table isolation the root is 8 KiB: the processor runs
 * user code on the second half, which has the user's entries and very few of the kernel's:
 *
 *   root      [user 0-255, not executable] [kernel 256-511]    CR3 in kernel mode
 *   root + 1  [user 0-255                ] [entry text, cpu_entry_area]    CR3 in user mode
 *
 *  I4  Each user entry of the copy is that of the root with NX clear, and points to the same table.
 *
 * Source: Intel SDM vol. 3A, 4.5; Linux mm/memory.c (free_pgd_range), arch/x86/include/asm/
 * pgtable_types.h, mm/pagewalk.c.
 */
#ifndef PT_PT_H
#define PT_PT_H

#include "phys/phys.h"
#include "pt/pte.h"

struct pt {
    struct phys *phys;
    pfn root;             /* what CR3 holds */
    pfn user_root;        /* what it holds in user mode with isolation, else PFN_NONE */
    bool shared;          /* the root's upper half is the kernel's */
    bool boot;            /* the kernel's own: tables come from its image, if there is room */
    uint64_t boot_tables; /* of .tables and user_root, those */
    unsigned levels;      /* 4 or 5 */
    uint64_t tables[PT_LEVELS_MAX]; /* tables in use by level; level 0 = PTE tables */
    uint64_t deposited;             /* PTE tables put aside for huge pages */
};

/* Bits of an entry that points to a table: Linux's _PAGE_TABLE (0x067). The processor ignores D
 * there. */
#define PT_TABLE_BITS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

/* pt_open allocates an empty root of conf->mmu_levels. 0 or -ENOMEM. */
int pt_open(struct pt *t, struct phys *phys, const struct conf *conf);
/* pt_open_process is pgd_alloc: pt_open of a process whose upper half is that of the kernel's tables,
 * with a second root if those have one. pt_open_kernel makes such tables, empty. 0 or -ENOMEM. */
int pt_open_process(struct pt *t, const struct pt *kernel);
int pt_open_kernel(struct pt *t, struct phys *phys, const struct conf *conf, bool isolated);
/* pt_frames returns the frames of owner FRAME_PAGE_TABLE the tables take, all levels and deposits. */
uint64_t pt_frames(const struct pt *t);
/* pt_close frees every table; leaf frames are the caller's. */
void pt_close(struct pt *t);

/* pt_lookup returns the entry of that level for an address, or NULL if a table above is missing or
 * a larger page covers it. */
pte *pt_lookup(const struct pt *t, vaddr a, unsigned level);
/* pt_lookup_alloc is pt_lookup that allocates missing tables, linked with PT_TABLE_BITS. *ret_new
 * is increased by the number of tables made, also when a later one failed: they stay, as in Linux,
 * until pt_free_tables. 0, -ENOMEM, or -EEXIST if a larger page covers the address. */
int pt_lookup_alloc(struct pt *t, vaddr a, unsigned level, pte **ret, unsigned *ret_new);
/* pt_leaf finds the leaf that maps an address: returns the entry and its level, or NULL. A
 * not-present entry of level 0, 1 or 2 that is not none (PROT_NONE, swap) is returned too. */
pte *pt_leaf(const struct pt *t, vaddr a, unsigned *ret_level);
/* pt_entry_paddr returns where in physical memory the entry of that level for an address lies
 * (for the kernel's own cache accesses), or 0 when there is no such table. */
paddr pt_entry_paddr(const struct pt *t, vaddr a, unsigned level);
/* pt_next returns the first address in [a, end) whose leaf slot is not none, or end: a skip over
 * empty tables in steps of what they cover. Inside a larger page that began before a it is a. */
vaddr pt_next(const struct pt *t, vaddr a, vaddr end);
/* Which tables went: the first addresses of what the lowest and the highest of them covered. */
struct pt_freed {
    unsigned n;
    unsigned levels; /* bit l: one of level l */
    uint64_t first, last;
};
/* pt_free_tables frees the tables that lie wholly in [floor, ceiling) and cover only [start, end)
 * rounded out to them, as Linux's free_pgd_range does after an unmap. ceiling.v 0 means the top.
 * Entries below must all be none. Returns the number of tables freed; ret_freed may be NULL. */
unsigned pt_free_tables(struct pt *t, vaddr start, vaddr end, vaddr floor, vaddr ceiling,
                        struct pt_freed *ret_freed);
/* pt_bytes returns VmPTE in bytes: PTE, PMD and PUD tables, deposited ones too, not PGD and P4D. */
uint64_t pt_bytes(const struct pt *t);

/* -- deposits: an empty PTE table is put aside for every huge page of level 1, so that splitting it
 * never fails. They are kept per table of level 1 (Linux's pmd_huge_pte), last in first out.
 * pre of all: a table of level 1 exists for the address. */
/* pt_deposit allocates a table and puts it aside for the huge page at a. Returns 0 and stores it, or
 * -ENOMEM. */
int pt_deposit(struct pt *t, vaddr a, pfn *ret);
/* pt_withdraw_free frees one table that was put aside for a. */
void pt_withdraw_free(struct pt *t, vaddr a);
/* pt_withdraw takes one table back: all entries none, the caller fills it and links it. */
pfn pt_withdraw(struct pt *t, vaddr a);
/* pt_deposit_table puts an empty table aside that pt_withdraw or pt_unlink gave. */
void pt_deposit_table(struct pt *t, vaddr a, pfn table);
/* pt_link makes the entry of level 1 for a, which is none or a leaf, point to a table. */
void pt_link(struct pt *t, vaddr a, pfn table);
/* pt_unlink takes the PTE table of a, all entries none, out of the tree. */
pfn pt_unlink(struct pt *t, vaddr a);

/* pt_audit checks I1-I4 by looking at every entry; 0 or the number of the broken invariant. */
int pt_audit(const struct pt *t, unsigned phys_bits);

#endif
