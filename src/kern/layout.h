/* layout.h: the kernel's own address space: where Linux puts what on x86-64, and the page tables of
 * it, which every process shares.
 *
 *   4 levels          5 levels          what                             mapped by
 *   ffff888000000000  ff11000000000000  direct map of physical memory    1 GiB, 2 MiB; 4 KiB at odd ends
 *   ffffc90000000000  ffa0000000000000  vmalloc: kernel stacks           4 KiB
 *   ffffea0000000000  ffd4000000000000  vmemmap: 64 bytes for each page  2 MiB where aligned
 *   fffffe0000000000  the same          cpu_entry_area of each CPU       4 KiB
 *   ffffffff80000000  the same          kernel image: text, rodata, data 2 MiB where aligned
 *
 * cpu_entry_area of a CPU, 59 pages (- not mapped):
 *   GDT | entry stack | TSS ×5 | - DF DF - NMI NMI - DB DB - MCE MCE - … -
 *
 * Invariants (layout_audit):
 *  I1  The tables are whole (pt_audit), and every leaf has A set, and D if it may be written.
 *  I2  No leaf may be reached in user mode, and none is both writable and executable.
 *  I3  Leaves are global without isolation; with it only what the user's copy maps, too.
 *  I4  The user's copy maps entry text, cpu_entry_area and one page of the TSS of each CPU as the
 *      kernel's tables do, and nothing else of the kernel (its text and rodata, too, where isolation is
 *      the CPU's need, kernel.kpti=auto, and there are no PCIDs).
 * Source: Linux 6.18 Documentation/arch/x86/x86_64/mm.rst; arch/x86/mm/init.c (split_mem_range),
 * kaslr.c, cpu_entry_area.c, pti.c; arch/x86/include/asm/cpu_entry_area.h.
 */
#ifndef KERN_LAYOUT_H
#define KERN_LAYOUT_H

#include "pt/pt.h"

/* Page-table isolation; separate: the kernel's tables do not even map the user's half. */
enum kern_kpti { KPTI_OFF, KPTI_ON, KPTI_SEPARATE };
/* kern_kpti says what kernel.kpti means on this machine: auto is on if the CPU needs it. */
enum kern_kpti kern_kpti(const struct conf *conf);

/* Parts of a CPU's cpu_entry_area. */
enum cea_part { CEA_GDT, CEA_ENTRY_STACK, CEA_TSS, CEA_DF, CEA_NMI, CEA_DB, CEA_MCE, CEA_NR };

#define CEA_PAGES        59u /* struct cpu_entry_area of a CPU: 241664 bytes */
#define PERCPU_DATA_PAGE 8u  /* pages of per-CPU variables */

/* Frames of one CPU, out of the kernel image. */
struct layout_cpu {
    pfn data[PERCPU_DATA_PAGE]; /* per-CPU variables */
    pfn irq[4];                 /* its interrupt stack, which stack.c maps */
    pfn tss;                    /* first page of its TSS: cpu_tss_rw */
};

struct kern_layout {
    struct phys *phys;
    struct pt pt; /* swapper_pg_dir */
    enum kern_kpti kpti;
    uint64_t page_offset, vmalloc, vmemmap, text; /* bases */
    uint64_t rodata, data, image_end;             /* ends of text and rodata, and of the image */
    uint64_t global;                              /* PTE_G of kernel pages, 0 with isolation */
    bool gib_pages;                               /* the CPU has 1 GiB pages */
    unsigned cpus;                                /* entries of cpu */
    struct layout_cpu *cpu;                       /* owned */
};

/* layout_open builds the tables. 0, -ENOMEM. */
int layout_open(struct kern_layout *l, struct phys *phys, const struct conf *conf,
                enum kern_kpti kpti);
/* layout_booted says that boot is over: tables are allocated from now on. */
void layout_booted(struct kern_layout *l);
void layout_close(struct kern_layout *l);

/* layout_direct returns where physical memory is in the direct map, layout_page where the struct page
 * of a frame is. */
static inline vaddr layout_direct(const struct kern_layout *l, paddr a)
{
    return va(l->page_offset + a.v);
}
static inline vaddr layout_page(const struct kern_layout *l, pfn n)
{
    return va(l->vmemmap + n.v * 64);
}
/* layout_cea returns the first address of a part, layout_cea_bytes its length. */
vaddr layout_cea(const struct kern_layout *l, unsigned cpu, enum cea_part part);
uint64_t layout_cea_bytes(enum cea_part part);
/* layout_percpu returns the address of a byte of a CPU's variables. */
vaddr layout_percpu(const struct kern_layout *l, unsigned cpu, uint64_t offset);

/* layout_map maps one frame into the vmalloc area, readable, writable, not executable; layout_unmap
 * ends that. The TLBs are the caller's. 0 or -ENOMEM. */
int layout_map(struct kern_layout *l, vaddr a, pfn n);
void layout_unmap(struct kern_layout *l, vaddr a);

/* layout_audit checks I1-I4; 0 or the number of the broken invariant. */
int layout_audit(const struct kern_layout *l, unsigned phys_bits);

#endif
