/* pte.c: the bits of an entry that must be zero. */
#include "pt/pte.h"

/* bits_below returns the mask of bits [lo, hi); lo <= hi <= 63. */
static uint64_t bits_below(unsigned hi, unsigned lo)
{
    return (BIT(hi) - 1) & ~(BIT(lo) - 1);
}

uint64_t pte_reserved(pte e, unsigned level, unsigned phys_bits, bool gib_pages)
{
    uint64_t reserved = bits_below(52, phys_bits);
    if (level >= 3 || (level == 2 && !gib_pages))
        reserved |= PTE_PS;
    else if (level >= 1 && (e.v & PTE_PS))
        reserved |= bits_below(pt_level_shift(level), PAGE_SHIFT + 1); /* bit 12 is the PAT */
    return e.v & reserved;
}
