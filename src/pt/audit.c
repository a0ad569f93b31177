/* audit.c: are the page tables a tree of table frames, counted right, with legal entries? */
#include "pt/pt.h"

/* One step of the way down: a loop with a stack of at most PT_LEVELS_MAX of these. */
struct step {
    pfn table;     /* table of this level on the way */
    unsigned next; /* entry to look at next */
};

/* audit_link checks a present entry that should point to a table. */
static int audit_link(const struct pt *t, pte e, uint64_t at)
{
    pfn n = pte_pfn(e);
    if (n.v >= phys_frames(t->phys) || !frame_is_table(phys_frame(t->phys, n)))
        return 1;
    return phys_frame(t->phys, n)->index == at ? 0 : 1;
}

/* audit_entry looks at one entry; stores whether the walk must go down through it. */
static int audit_entry(const struct pt *t, pte e, uint64_t at, unsigned level, unsigned phys_bits,
                       bool *ret_down)
{
    *ret_down = false;
    if (!pte_present(e))
        return 0;
    if (pte_reserved(e, level, phys_bits, true) != 0)
        return 3;
    if (pte_is_leaf(e, level))
        return 0;
    *ret_down = true;
    return audit_link(t, e, at);
}

/* count_deposits returns how many tables are put aside at a table of level 1. */
static uint64_t count_deposits(const struct pt *t, pfn table)
{
    uint64_t n = 0;
    for (uint32_t at = phys_frame(t->phys, table)->link_next; at != 0 && n <= PT_ENTRIES; n++)
        at = phys_frame(t->phys, (pfn){at - 1})->link_next;
    return n;
}

/* count_tables goes through all entries depth first; counts[l] = tables of level l found. It ends
 * because every table has one parent (I1) and levels only fall. */
static int count_tables(const struct pt *t, unsigned phys_bits, uint64_t *counts,
                        uint64_t *deposits)
{
    struct step stack[PT_LEVELS_MAX];
    unsigned level = t->levels - 1;
    stack[level] = (struct step){t->root, 0};
    counts[level] = 1;
    while (level < t->levels) {
        struct step *s = &stack[level];
        bool half = t->shared && level == t->levels - 1; /* the rest is the kernel's */
        if (s->next == (half ? PT_ENTRIES / 2 : PT_ENTRIES)) {
            level++;
            continue;
        }
        uint64_t at = pfn_paddr(s->table).v + s->next * sizeof(pte);
        pte e = phys_table(t->phys, s->table)[s->next++];
        bool down;
        int broken = audit_entry(t, e, at, level, phys_bits, &down);
        if (broken != 0)
            return broken;
        if (down) {
            stack[--level] = (struct step){pte_pfn(e), 0};
            counts[level]++;
            if (level == 1)
                *deposits += count_deposits(t, pte_pfn(e));
        }
    }
    return 0;
}

/* copy_right is I4. */
static bool copy_right(const struct pt *t)
{
    if (pfn_is_none(t->user_root))
        return true;
    const pte *root = phys_table(t->phys, t->root), *copy = phys_table(t->phys, t->user_root);
    bool right = t->user_root.v == t->root.v + 1;
    for (unsigned i = 0; i < PT_ENTRIES / 2 && right; i++)
        right =
            root[i].v == (copy[i].v | (pte_present(copy[i]) ? PTE_NX : 0)) && !(copy[i].v & PTE_NX);
    return right;
}

int pt_audit(const struct pt *t, unsigned phys_bits)
{
    uint64_t counts[PT_LEVELS_MAX] = {0}, deposits = 0;
    if (!frame_is_table(phys_frame(t->phys, t->root)))
        return 1;
    if (!copy_right(t))
        return 4;
    int broken = count_tables(t, phys_bits, counts, &deposits);
    for (unsigned l = 0; l < PT_LEVELS_MAX && broken == 0; l++)
        if (counts[l] != t->tables[l])
            broken = 2;
    return broken == 0 && deposits != t->deposited ? 2 : broken;
}
