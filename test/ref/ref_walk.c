/* ref_walk.c: see ref_walk.h. */
#include "ref/ref_walk.h"

#include <stddef.h>

/* Physical address of the next table or of a 4 KiB page: bits 51..12. */
static uint64_t address_of(uint64_t entry)
{
    return entry << 12 >> 24 << 12;
}

static bool bit(uint64_t entry, unsigned n)
{
    return entry >> n & 1;
}

/* SDM tables 4-14 to 4-20, row by row. */
static bool reserved(const struct ref_paging *p, uint64_t entry, unsigned level)
{
    for (unsigned b = p->phys_bits; b <= 51; b++)
        if (bit(entry, b))
            return true;
    switch (level) {
    case 4: /* PML5E: bit 7 */
    case 3: /* PML4E: bit 7 */
        return bit(entry, 7);
    case 2: /* PDPTE: bits 29..13 of a 1 GiB page; bit 7 if there are none */
        if (!bit(entry, 7))
            return false;
        return !p->gib_pages || (entry & 0x3fffe000) != 0;
    case 1: /* PDE: bits 20..13 of a 2 MiB page */
        return bit(entry, 7) && (entry & 0x1fe000) != 0;
    default:
        return false;
    }
}

static void step(const struct ref_paging *p, uint64_t table, unsigned level, uint64_t vaddr,
                 struct ref_walk *w)
{
    static const unsigned shift[] = {12, 21, 30, 39, 48};
    uint64_t at = table + (vaddr >> shift[level]) % 512 * 8;
    uint64_t entry = p->read(p->ctx, at);
    w->load_at[w->loads] = at;
    w->load_was[w->loads] = entry;
    w->loads++;
    w->level = level;
    w->entry = entry;
    if (!bit(entry, 0)) {
        w->present = false;
        return;
    }
    w->reserved = reserved(p, entry, level);
    if (w->reserved)
        return;
    w->writable = w->writable && bit(entry, 1);
    w->user = w->user && bit(entry, 2);
    w->noexec = w->noexec || bit(entry, 63);
    if (level > 0 && !bit(entry, 7)) {
        step(p, address_of(entry), level - 1, vaddr, w);
        return;
    }
    uint64_t offset = ((uint64_t)1 << shift[level]) - 1;
    w->paddr = (address_of(entry) & ~offset) | (vaddr & offset);
}

struct ref_walk ref_walk_do(const struct ref_paging *p, uint64_t vaddr)
{
    struct ref_walk w = {.present = true, .writable = true, .user = true};
    step(p, p->cr3, p->levels - 1, vaddr, &w);
    return w;
}

int ref_walk_code(const struct ref_walk *w, bool write, bool user, bool fetch)
{
    int who = (write ? 2 : 0) | (user ? 4 : 0) | (fetch ? 16 : 0);
    if (!w->present)
        return who;
    if (w->reserved)
        return who | 1 | 8;
    bool bad = (write && !w->writable) || (user && !w->user) || (fetch && w->noexec) ||
               (fetch && !user && w->user);
    return bad ? who | 1 : -1;
}

static void count(const struct ref_paging *p, uint64_t table, unsigned level, uint64_t counts[5])
{
    counts[level]++;
    for (unsigned i = 0; i < 512 && level > 0; i++) {
        uint64_t entry = p->read(p->ctx, table + i * 8);
        if (bit(entry, 0) && !(level <= 2 && bit(entry, 7)))
            count(p, address_of(entry), level - 1, counts);
    }
}

void ref_walk_tables(const struct ref_paging *p, uint64_t counts[5])
{
    for (unsigned i = 0; i < 5; i++)
        counts[i] = 0;
    count(p, p->cr3, p->levels - 1, counts);
}
