/* pte.h: the page-table entry of x86-64, drawn once.
 *
 *    63 62  59 58    52 51                              12 11 9 8 7 6 5 4 3 2 1 0
 *   +--+------+--------+----------------------------------+----+-+-+-+-+-+-+-+-+-+
 *   |NX| PKEY | avail  | physical address of page or table|avl |G|S|D|A|C|W|U|R|P|
 *   +--+------+--------+----------------------------------+----+-+-+-+-+-+-+-+-+-+
 *
 * P present, R writable, U user, W write-through, C cache disable, A accessed, D dirty (leaf),
 * S page size (leaf of level 1 and 2) or PAT (leaf of level 0), G global (leaf), NX no execute.
 * In a leaf of level 1 or 2 the PAT is bit 12 and the address starts at bit 21 or 30; the bits
 * between are reserved and must be 0, as must be the bits from MAXPHYADDR to 51, and bit 7 of an
 * entry of level 3 or 4. Source: Intel SDM vol. 3A, 4.5 (tables 4-14 to 4-20); software bits as
 * Linux uses them (arch/x86/include/asm/pgtable_types.h).
 *
 * Levels: 0 = PTE, 1 = PDE, 2 = PDPTE, 3 = PML4E, 4 = PML5E. An entry of level n covers
 * 2^(12+9n) bytes.
 */
#ifndef PT_PTE_H
#define PT_PTE_H

#include "base/bits.h"
#include "base/types.h"

/* One row per bit: name, position. Masks, dumps and the bit tests derive from it. */
#define PTE_BITS(ROW)                                                                              \
    ROW(P, 0)                                                                                      \
    ROW(RW, 1)                                                                                     \
    ROW(US, 2)                                                                                     \
    ROW(PWT, 3)                                                                                    \
    ROW(PCD, 4)                                                                                    \
    ROW(A, 5)                                                                                      \
    ROW(D, 6)                                                                                      \
    ROW(PS, 7)                                                                                     \
    ROW(G, 8)                                                                                      \
    ROW(SPECIAL, 9)                                                                                \
    ROW(UFFD_WP, 10)                                                                               \
    ROW(SOFT_DIRTY, 11)                                                                            \
    ROW(NX, 63)

enum {
#define ROW(name, bit) PTE_BIT_##name = bit,
    PTE_BITS(ROW)
#undef ROW
};
#define PTE_P          BIT(PTE_BIT_P)
#define PTE_RW         BIT(PTE_BIT_RW)
#define PTE_US         BIT(PTE_BIT_US)
#define PTE_PWT        BIT(PTE_BIT_PWT)
#define PTE_PCD        BIT(PTE_BIT_PCD)
#define PTE_A          BIT(PTE_BIT_A)
#define PTE_D          BIT(PTE_BIT_D)
#define PTE_PS         BIT(PTE_BIT_PS)
#define PTE_G          BIT(PTE_BIT_G)
#define PTE_SPECIAL    BIT(PTE_BIT_SPECIAL)
#define PTE_UFFD_WP    BIT(PTE_BIT_UFFD_WP)
#define PTE_SOFT_DIRTY BIT(PTE_BIT_SOFT_DIRTY)
#define PTE_NX         BIT(PTE_BIT_NX)

#define PTE_PKEY_SHIFT 59
#define PTE_PKEY       (UINT64_C(15) << PTE_PKEY_SHIFT) /* the protection key of a leaf */
#define PTE_ADDR_MASK  UINT64_C(0x000ffffffffff000)
#define PTE_PROTNONE   PTE_G /* with P clear: PROT_NONE, the page is kept (Linux) */

/* An entry that is neither none, present nor PROT_NONE keeps a swap entry (Linux
 * arch/x86/include/asm/pgtable_64.h):
 *
 *    63      59 58                                    9  8 7 6 5 4 3  2  1 0
 *   +----------+---------------------------------------+-+-+-------+-+--+-+-+
 *   |   type   |  ~offset, 50 bits, upside down        |0|0|0 0 0 0|E|WP|S|0|   E exclusive, S soft-dirty
 *   +----------+---------------------------------------+-+-+-------+-+--+-+-+
 *
 * The offset is inverted so that an entry of a real device never names existing memory (L1TF).
 * Types from SWP_MIGRATION_READ up are no devices: pages under migration, and markers. */
#define PTE_SWP_EXCLUSIVE BIT(3)
#define SWP_TYPE_SHIFT    59u
#define SWP_OFFSET_SHIFT  9u
#define SWP_OFFSET_BITS   50u
enum {
    SWP_HWPOISON = 24, /* MAX_SWAPFILES of the build pagewalk follows: 32 types less 8 */
    SWP_MIGRATION_READ,
    SWP_MIGRATION_READ_EXCLUSIVE,
    SWP_MIGRATION_WRITE,
    SWP_MARKER = 31,
};
#define PTE_MARKER_POISONED 2u /* offsets of SWP_MARKER */
#define PTE_MARKER_GUARD    4u

#define PT_ENTRIES    512u
#define PT_LEVELS_MAX 5u

/* pt_level_shift returns log2 of the bytes an entry of that level covers. */
static inline unsigned pt_level_shift(unsigned level)
{
    return PAGE_SHIFT + 9 * level;
}
/* pt_index returns which of the 512 entries of a table of that level an address uses. */
static inline unsigned pt_index(vaddr a, unsigned level)
{
    return (unsigned)(a.v >> pt_level_shift(level)) & (PT_ENTRIES - 1);
}
static inline pfn pte_pfn(pte e)
{
    return (pfn){(e.v & PTE_ADDR_MASK) >> PAGE_SHIFT};
}
/* pte_leaf_pfn drops the PAT bit of a huge leaf. */
static inline pfn pte_leaf_pfn(pte e, unsigned level)
{
    return (pfn){align_down((e.v & PTE_ADDR_MASK) >> PAGE_SHIFT, BIT(9 * level))};
}
static inline pte pte_make(pfn n, uint64_t bits)
{
    return (pte){(n.v << PAGE_SHIFT) | bits};
}
static inline bool pte_present(pte e)
{
    return e.v & PTE_P;
}
static inline bool pte_none(pte e)
{
    return e.v == 0;
}
/* pte_protnone: the page is there, its rights are not. */
static inline bool pte_protnone(pte e)
{
    return (e.v & (PTE_P | PTE_PROTNONE)) == PTE_PROTNONE;
}
/* pte_is_swap: neither none nor a page: a swap entry, a migration entry or a marker. */
static inline bool pte_is_swap(pte e)
{
    return e.v != 0 && !(e.v & (PTE_P | PTE_PROTNONE));
}
static inline pte swp_make(unsigned type, uint64_t offset, uint64_t bits)
{
    uint64_t inverted = ~offset & (BIT(SWP_OFFSET_BITS) - 1);
    return (pte){(uint64_t)type << SWP_TYPE_SHIFT | inverted << SWP_OFFSET_SHIFT | bits};
}
static inline unsigned swp_type(pte e)
{
    return (unsigned)(e.v >> SWP_TYPE_SHIFT);
}
static inline uint64_t swp_offset(pte e)
{
    return ~(e.v >> SWP_OFFSET_SHIFT) & (BIT(SWP_OFFSET_BITS) - 1);
}
static inline bool pte_is_marker(pte e, uint64_t marker)
{
    return pte_is_swap(e) && swp_type(e) == SWP_MARKER && (swp_offset(e) & marker);
}
/* pte_is_leaf says whether a present entry of that level maps a page and not a table. */
static inline bool pte_is_leaf(pte e, unsigned level)
{
    return level == 0 || ((e.v & PTE_PS) && level <= 2);
}
/* pte_reserved returns the bits that must be 0 in a present entry of that level (SDM 4.7). */
uint64_t pte_reserved(pte e, unsigned level, unsigned phys_bits, bool gib_pages);

/* vaddr_is_kernel says whether an address is in the upper half, the kernel's. */
static inline bool vaddr_is_kernel(vaddr a)
{
    return a.v >> 63;
}
/* vaddr_canonical says whether an address sign-extends from bit 47 (4 levels) or 56 (5). */
static inline bool vaddr_canonical(vaddr a, unsigned levels)
{
    unsigned drop = 64 - (PAGE_SHIFT + 9 * levels);
    return (uint64_t)((int64_t)(a.v << drop) >> drop) == a.v;
}

#endif
