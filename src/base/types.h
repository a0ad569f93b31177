/* types.h: the words every module speaks.
 *
 *   page   a 4 KiB (or 2 MiB, 1 GiB) piece of VIRTUAL memory       numbered by vpn
 *   frame  a 4 KiB piece of PHYSICAL memory                        numbered by pfn
 *   entry  one 64-bit word of a page table                         pte
 *   table  one frame of 512 entries
 *   line   64 bytes of a cache
 *
 * The five address types have one member each, so mixing a virtual with a physical number does
 * not compile. They cost nothing: gcc and clang at -O2 emit the same code as for plain integers.
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t v;
} vaddr; /* virtual address, bytes, canonical unless said otherwise */
typedef struct {
    uint64_t v;
} paddr; /* physical address, bytes, below 2^52 */
typedef struct {
    uint64_t v;
} vpn; /* virtual page number: vaddr / 4096 (always the 4 KiB number, whatever the page size) */
typedef struct {
    uint64_t v;
} pfn; /* physical frame number: paddr / 4096 */
typedef struct {
    uint64_t v;
} pte; /* one page-table entry of any level, the hardware's 64 bits */

#define PAGE_SHIFT 12
#define PAGE_SIZE  (UINT64_C(1) << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))
#define LINE_SHIFT 6
#define LINE_SIZE  (UINT64_C(1) << LINE_SHIFT)

/* The three page sizes of x86-64. Their number is also the level of the entry that maps them. */
enum page_size { SIZE_4K, SIZE_2M, SIZE_1G, SIZE_NR };

/* page_size_shift returns log2 of the bytes of a page: 12, 21, 30. */
static inline unsigned page_size_shift(enum page_size s)
{
    return PAGE_SHIFT + 9 * (unsigned)s;
}

static inline vaddr va(uint64_t v)
{
    return (vaddr){v};
}
static inline paddr pa(uint64_t v)
{
    return (paddr){v};
}
static inline vpn vaddr_vpn(vaddr a)
{
    return (vpn){a.v >> PAGE_SHIFT};
}
static inline vaddr vpn_vaddr(vpn n)
{
    return (vaddr){n.v << PAGE_SHIFT};
}
static inline pfn paddr_pfn(paddr a)
{
    return (pfn){a.v >> PAGE_SHIFT};
}
static inline paddr pfn_paddr(pfn n)
{
    return (paddr){n.v << PAGE_SHIFT};
}

#define PFN_NONE ((pfn){UINT64_MAX}) /* no frame */
static inline bool pfn_is_none(pfn n)
{
    return n.v == UINT64_MAX;
}

#endif
