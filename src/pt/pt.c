/* pt.c: looking up, building and freeing page tables.
 *
 *   level   4     3     2     1     0
 *         PML5  PML4  PDPT   PD    PT        a table of level l has 512 entries of level l;
 *          │     │     │     │     │         an entry covers 2^(12+9l) bytes, the table 512 times
 *         256T  512G   1G    2M    4K        as much
 *
 * Every walk is a loop from the root down, at most `levels` steps. A table's frame keeps in its
 * index the physical address of the one entry that points to it (the root: 0).
 *
 * Source: Linux arch/x86/mm/pgtable.c (pgd_alloc, pgd_ctor: clone_pgd_range), arch/x86/mm/pti.c
 * (__pti_set_user_pgtbl); mm/memory.c: __pte_alloc and friends (missing tables are made from the top),
 * free_pgd_range, free_p4d_range, free_pud_range, free_pmd_range (which tables an unmap gives back).
 */
#include "pt/pt.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>

/* Where a walk stands. */
struct place {
    pfn table;      /* table of this level */
    unsigned level; /* of the entries in it */
};

static inline pte *entry_at(const struct pt *t, struct place at, vaddr a)
{
    return &phys_table(t->phys, at.table)[pt_index(a, at.level)];
}

static inline paddr paddr_at(struct place at, vaddr a)
{
    return (paddr){pfn_paddr(at.table).v + pt_index(a, at.level) * sizeof(pte)};
}

static inline bool points_to_table(pte e, unsigned level)
{
    return pte_present(e) && !pte_is_leaf(e, level);
}

/* descend walks from the root to the table of `level` that an address uses, or to the last table
 * that exists above it. */
static struct place descend(const struct pt *t, vaddr a, unsigned level)
{
    struct place at = {t->root, t->levels - 1};
    while (at.level > level) {
        pte e = *entry_at(t, at, a);
        if (!points_to_table(e, at.level))
            break;
        at = (struct place){pte_pfn(e), at.level - 1};
    }
    return at;
}

/* -- building -------------------------------------------------------------------------------- */

/* open_root makes a root, or with a copy two in a row, the copy behind it (PGD_ALLOCATION_ORDER). */
static int open_root(struct pt *t, struct phys *phys, unsigned levels, bool copy)
{
    pfn root;
    int err = phys_alloc(phys, copy, GFP_KERNEL, FRAME_PAGE_TABLE, &root);
    if (err != 0)
        return err;
    *t = (struct pt){.phys = phys, .root = root, .user_root = PFN_NONE, .levels = levels};
    if (copy)
        t->user_root = (pfn){root.v + 1};
    t->tables[levels - 1] = 1;
    return 0;
}

int pt_open(struct pt *t, struct phys *phys, const struct conf *conf)
{
    return open_root(t, phys, (unsigned)conf->mmu_levels, false);
}

int pt_open_kernel(struct pt *t, struct phys *phys, const struct conf *conf, bool isolated)
{
    unsigned levels = (unsigned)conf->mmu_levels;
    pfn copy = isolated ? phys_boot_frame(phys, true) : PFN_NONE;
    pfn root = phys_boot_frame(phys, true);
    if (pfn_is_none(root) || (isolated && pfn_is_none(copy))) {
        int err = open_root(t, phys, levels, isolated);
        t->boot = err == 0;
        return err;
    }
    *t = (struct pt){.phys = phys,
                     .root = root,
                     .user_root = copy,
                     .boot = true,
                     .boot_tables = 1 + isolated,
                     .levels = levels};
    t->tables[levels - 1] = 1;
    return 0;
}

static void share_half(const struct pt *t, pfn to, pfn from)
{
    size_t half = PT_ENTRIES / 2;
    memcpy(phys_table(t->phys, to) + half, phys_table(t->phys, from) + half, half * sizeof(pte));
}

int pt_open_process(struct pt *t, const struct pt *kernel)
{
    bool isolated = !pfn_is_none(kernel->user_root);
    int err = open_root(t, kernel->phys, kernel->levels, isolated);
    if (err != 0)
        return err;
    t->shared = true;
    share_half(t, t->root, kernel->root);
    if (isolated)
        share_half(t, t->user_root, kernel->user_root);
    return 0;
}

/* set_entry writes an entry that points to a table or none. A user's entry of an isolated root goes to
 * both, and no user page is executable by the kernel's (__pti_set_user_pgtbl). */
static void set_entry(const struct pt *t, struct place at, vaddr a, pte e)
{
    unsigned i = pt_index(a, at.level);
    if (at.level == t->levels - 1 && i < PT_ENTRIES / 2 && !pfn_is_none(t->user_root)) {
        phys_table(t->phys, t->user_root)[i] = e;
        e.v |= pte_present(e) ? PTE_NX : 0;
    }
    *entry_at(t, at, a) = e;
}

/* new_table allocates one; the kernel's come out of its image as long as that has room. */
static int new_table(struct pt *t, pfn *ret)
{
    pfn n = t->boot ? phys_boot_frame(t->phys, true) : PFN_NONE;
    if (pfn_is_none(n))
        return phys_alloc(t->phys, 0, GFP_KERNEL, FRAME_PAGE_TABLE, ret);
    t->boot_tables++;
    *ret = n;
    return 0;
}

/* add_table links a new table under the entry of `at` and steps into it. */
static int add_table(struct pt *t, struct place *at, vaddr a)
{
    pfn n;
    int err = new_table(t, &n);
    if (err != 0)
        return err;
    phys_frame(t->phys, n)->index = paddr_at(*at, a).v;
    set_entry(t, *at, a, pte_make(n, PT_TABLE_BITS));
    *at = (struct place){n, at->level - 1};
    t->tables[at->level]++;
    return 0;
}

pte *pt_lookup(const struct pt *t, vaddr a, unsigned level)
{
    struct place at = descend(t, a, level);
    return at.level == level ? entry_at(t, at, a) : NULL;
}

int pt_lookup_alloc(struct pt *t, vaddr a, unsigned level, pte **ret, unsigned *ret_new)
{
    struct place at = descend(t, a, level);
    if (at.level > level && !pte_none(*entry_at(t, at, a)))
        return -EEXIST;
    while (at.level > level) {
        int err = add_table(t, &at, a);
        if (err != 0)
            return err;
        ++*ret_new;
    }
    *ret = entry_at(t, at, a);
    return 0;
}

pte *pt_leaf(const struct pt *t, vaddr a, unsigned *ret_level)
{
    struct place at = descend(t, a, 0);
    pte *e = entry_at(t, at, a);
    if (pte_none(*e))
        return NULL;
    *ret_level = at.level;
    return e;
}

paddr pt_entry_paddr(const struct pt *t, vaddr a, unsigned level)
{
    struct place at = descend(t, a, level);
    return at.level == level ? paddr_at(at, a) : pa(0);
}

uint64_t pt_bytes(const struct pt *t)
{
    return (t->tables[0] + t->deposited + t->tables[1] + t->tables[2]) * PAGE_SIZE;
}

uint64_t pt_frames(const struct pt *t)
{
    uint64_t frames = t->deposited + !pfn_is_none(t->user_root);
    for (unsigned level = 0; level < t->levels; level++)
        frames += t->tables[level];
    return frames - t->boot_tables;
}

/* -- going through --------------------------------------------------------------------------- */

/* skip_none moves a forward to the first entry of its table that is not none. False when there is
 * none left in the table for [a, last]; a then lies where the table's span ends (0 after the last
 * address) or beyond last. */
static bool skip_none(const struct pt *t, struct place at, vaddr *a, uint64_t last)
{
    const pte *table = phys_table(t->phys, at.table);
    bool ends_here = (a->v ^ last) >> pt_level_shift(at.level + 1) == 0;
    unsigned first = pt_index(*a, at.level), i = first;
    unsigned stop = ends_here ? pt_index(va(last), at.level) + 1 : PT_ENTRIES;
    while (i < stop && pte_none(table[i]))
        i++;
    if (i > first) {
        uint64_t step = BIT(pt_level_shift(at.level));
        a->v = align_down(a->v, step) + (i - first) * step;
    }
    return i < stop;
}

/* find moves *a to the first address in [*a, last] that has an entry of `level` which is not none,
 * or a not-none entry above it that points to no table. Stores where it is. */
static bool find(const struct pt *t, vaddr *a, uint64_t last, unsigned level, struct place *ret)
{
    uint64_t from = a->v;
    while (a->v <= last && a->v >= from) {
        struct place at = descend(t, *a, level);
        if (!skip_none(t, at, a, last))
            continue;
        if (at.level == level || !points_to_table(*entry_at(t, at, *a), at.level)) {
            *ret = at;
            return a->v <= last;
        }
    }
    return false;
}

vaddr pt_next(const struct pt *t, vaddr a, vaddr end)
{
    struct place at;
    CHECK(a.v >= end.v ||
          vaddr_canonical(a, t->levels) == vaddr_canonical(va(end.v - 1), t->levels));
    return a.v < end.v && find(t, &a, end.v - 1, 0, &at) ? a : end;
}

/* -- freeing --------------------------------------------------------------------------------- */

/* free_table gives a table back; the kernel image keeps what it gave. */
static void free_table(struct pt *t, pfn n, unsigned level)
{
    if (phys_frame(t->phys, n)->owner == FRAME_PAGE_TABLE)
        phys_free(t->phys, n, level == t->levels - 1 && !pfn_is_none(t->user_root));
    t->tables[level]--;
}

/* next_table finds the next table of `level` at or after *a: `ret` is the place of the entry that
 * points to it, in a table of level + 1. */
static bool next_table(const struct pt *t, vaddr *a, uint64_t last, unsigned level,
                       struct place *ret)
{
    while (find(t, a, last, level + 1, ret)) {
        if (points_to_table(*entry_at(t, *ret, *a), ret->level))
            return true;
        uint64_t span = BIT(pt_level_shift(ret->level));
        a->v = align_down(a->v, span) + span;
        if (a->v == 0)
            return false;
    }
    return false;
}

/* table_is_none says whether all entries are none; CHECKs only. */
static bool table_is_none(const struct pt *t, pfn n)
{
    const pte *table = phys_table(t->phys, n);
    for (unsigned i = 0; i < PT_ENTRIES; i++)
        if (!pte_none(table[i]))
            return false;
    return true;
}

/* free_level frees the tables of a level that meet [start, last] and may go. Linux says the same of
 * each level in free_pgd_range and its siblings, with start and end rounded to what a table covers:
 * no byte of its span may be below floor or at the ceiling. Ceiling 0 is the top: 0 - 1 is it. */
static void free_level(struct pt *t, unsigned level, uint64_t start, uint64_t last, vaddr floor,
                       vaddr ceiling, struct pt_freed *freed)
{
    uint64_t span = BIT(pt_level_shift(level + 1));
    struct place at;
    for (vaddr a = va(start); a.v <= last && next_table(t, &a, last, level, &at);) {
        uint64_t span_first = align_down(a.v, span), span_last = a.v | (span - 1);
        if (span_first >= floor.v && span_last <= ceiling.v - 1) {
            pte *e = entry_at(t, at, a);
            CHECK(table_is_none(t, pte_pfn(*e)));
            free_table(t, pte_pfn(*e), level);
            set_entry(t, at, a, (pte){0});
            freed->n++;
            freed->levels |= 1u << level;
            freed->first = min_u64(freed->first, span_first);
            freed->last = max_u64(freed->last, span_first);
        }
        if (span_last >= last)
            break;
        a.v = span_last + 1;
    }
}

unsigned pt_free_tables(struct pt *t, vaddr start, vaddr end, vaddr floor, vaddr ceiling,
                        struct pt_freed *ret_freed)
{
    struct pt_freed freed = {.first = UINT64_MAX};
    for (unsigned level = 0; level + 1 < t->levels && start.v < end.v; level++)
        free_level(t, level, start.v, end.v - 1, floor, ceiling, &freed);
    if (ret_freed)
        *ret_freed = freed;
    return freed.n;
}

void pt_close(struct pt *t)
{
    uint64_t last = BIT(PAGE_SHIFT + 9 * t->levels - t->shared) - 1; /* the lower half, if shared */
    CHECK(t->deposited == 0);                                        /* no huge page is left */
    for (unsigned level = 0; level + 1 < t->levels; level++) {
        struct place at;
        uint64_t span = BIT(pt_level_shift(level + 1));
        for (vaddr a = va(0); next_table(t, &a, last, level, &at); a.v += span) {
            pte *e = entry_at(t, at, a);
            free_table(t, pte_pfn(*e), level);
            *e = (pte){0};
        }
    }
    free_table(t, t->root, t->levels - 1);
}
