/* audit.c: looks at everything a core holds and compares it with the page tables.
 *
 * The core knows the tables of the current PCID alone; for the others its caller must (mmu_audit_space).
 * Call it when no flush is under way.
 */
#include "mmu/mmu_int.h"

/* Whose entries are compared with which tables. */
struct owner {
    const struct mmu_core *c;
    pfn root;
    unsigned pcid;
    bool globals; /* those, too */
};

/* What the tables say of one address, without touching them. */
struct truth {
    bool mapped;
    unsigned level;  /* of the leaf */
    uint64_t frame;  /* physical address of the page */
    uint64_t rights; /* W, U, NX of all levels; D of the leaf */
};

static struct truth look(const struct owner *o, uint64_t addr)
{
    struct truth t = {.rights = PTE_RW | PTE_US};
    pfn table = o->root;
    for (unsigned level = o->c->levels; level-- > 0;) {
        pte e = phys_table(o->c->phys, table)[pt_index(va(addr), level)];
        if (!pte_present(e))
            return t;
        t.rights = (t.rights & e.v & (PTE_RW | PTE_US)) | ((t.rights | e.v) & PTE_NX);
        table = pte_pfn(e);
        if (pte_is_leaf(e, level)) {
            t.mapped = true;
            t.level = level;
            t.frame = pfn_paddr(pte_leaf_pfn(e, level)).v;
            t.rights |= e.v & PTE_D;
            return t;
        }
    }
    return t;
}

/* entry_audit: 1 if the entry maps otherwise than the tables or has rights they lack, 2 if it has D
 * and the tables have not. */
static int entry_audit(const struct owner *o, uint64_t tag, uint64_t val)
{
    uint64_t addr = (uint64_t)((int64_t)(tag & TLB_PAGE_MASK) >> 4);
    struct truth t = look(o, addr);
    if (!t.mapped || t.level != (unsigned)VAL_PAGE(val))
        return 1;
    if (t.frame + (addr & (BIT(pt_level_shift(t.level)) - 1)) != (val & PTE_ADDR_MASK))
        return 1;
    if ((val & ~t.rights & (PTE_RW | PTE_US)) != 0 || (t.rights & ~val & PTE_NX) != 0)
        return 1;
    return (val & ~t.rights & PTE_D) != 0 ? 2 : 0;
}

static int entries_audit(const struct owner *o, const struct tlb *t)
{
    uint64_t mine = (uint64_t)o->pcid << TLB_PCID_SHIFT;
    uint32_t slots = t->sizes != 0 ? t->sets << t->stride_shift : 0;
    for (uint32_t s = 0; s < slots; s++) {
        uint64_t tag = t->tags[s];
        bool global = tag & TLB_GLOBAL;
        if (tag == 0 || (global ? !o->globals : (tag & TLB_PCID_MASK) != mine))
            continue;
        int broken = entry_audit(o, tag, t->vals[s]);
        if (broken != 0)
            return broken;
    }
    return 0;
}

/* link_audit: 1 if what a walk cache has of a level leads elsewhere than the tables, or to more. */
static int link_audit(const struct owner *o, unsigned level, uint64_t tag, uint64_t val)
{
    uint64_t addr = (uint64_t)((int64_t)(tag & TLB_PAGE_MASK) >> 4), rights = PTE_RW | PTE_US;
    pfn table = o->root;
    for (unsigned l = o->c->levels - 1;; l--) {
        pte e = phys_table(o->c->phys, table)[pt_index(va(addr), l)];
        if (!pte_present(e) || pte_is_leaf(e, l))
            return 1;
        rights = (rights & e.v & (PTE_RW | PTE_US)) | ((rights | e.v) & PTE_NX);
        table = pte_pfn(e);
        if (l == level)
            break;
    }
    bool more = (val & ~rights & (PTE_RW | PTE_US)) || (rights & ~val & PTE_NX);
    return more || table.v != pte_pfn((pte){val & PTE_ADDR_MASK}).v;
}

static int walks_audit(const struct owner *o, unsigned level)
{
    const struct tlb *t = &o->c->walk[level];
    uint64_t mine = (uint64_t)o->pcid << TLB_PCID_SHIFT;
    uint32_t slots = t->sizes != 0 ? t->sets << t->stride_shift : 0;
    for (uint32_t s = 0; s < slots; s++)
        if (t->tags[s] != 0 && (t->tags[s] & TLB_PCID_MASK) == mine &&
            link_audit(o, level, t->tags[s], t->vals[s]) != 0)
            return 1;
    return 0;
}

static int owner_audit(const struct owner *o)
{
    int broken = 0;
    if (pfn_is_none(o->root))
        return 0;
    for (unsigned i = 0; i < ARRAY_LEN(o->c->all) && broken == 0; i++)
        broken = entries_audit(o, o->c->all[i]);
    for (unsigned level = 1; level < o->c->levels && broken == 0; level++)
        broken = walks_audit(o, level);
    return broken;
}

int mmu_audit_granted(const struct mmu_core *c)
{
    return owner_audit(&(struct owner){c, c->root, c->pcid, true});
}

int mmu_audit_space(const struct mmu_core *c, unsigned pcid, pfn root)
{
    return owner_audit(&(struct owner){c, root, pcid, false});
}

int mmu_audit(struct mmu_core *c)
{
    for (unsigned i = 0; i < ARRAY_LEN(c->all); i++)
        if (tlb_audit(c->all[i]) != 0)
            return 5;
    for (unsigned level = 1; level < c->levels; level++)
        if (tlb_audit(&c->walk[level]) != 0)
            return 5;
    int broken = mmu_audit_granted(c);
    if (broken != 0)
        return broken;
    return cache_core_audit(&c->caches) != 0 ? 6 : 0;
}
