/* mmu.c: a core from its options; address-space switches and invalidations; the audit.
 *
 *                            TLB entries dropped                    walk-cache entries dropped
 *   INVLPG a                 of a: current PCID and global          all of the current PCID
 *   MOV CR3, bit 63 clear    of the new PCID, not global            of the new PCID
 *   MOV CR3, bit 63 set      none                                   none
 *   INVPCID 0 (pcid, a)      of a under pcid, not global            those a uses under pcid
 *   INVPCID 1 (pcid)         of pcid, not global                    of pcid
 *   INVPCID 2 / 3            all / all but global                   all
 *   CR4.PGE written          all                                    all
 *   page fault at a          of a: current PCID and global          those a uses, current PCID
 *
 * A load of CR3 also drops, where mmu.pcids.… says how many PCIDs an array keeps, the entries of the one used
 * longest ago. Without PCIDs everything runs under PCID 0 and CR3's bit 63 means nothing.
 * Source: Intel SDM vol. 3A, 4.10.4.1; vol. 2A, INVPCID.
 */
#include "base/check.h"
#include "mmu/mmu_int.h"

#include <errno.h>

/* open_tlbs opens the eight arrays; each random policy gets its own seed. */
static int open_tlbs(struct mmu_core *c, const struct conf *f)
{
#define ROW(id)                                                                                    \
    {                                                                                              \
        &c->id, f->tlb_##id##_entries, f->tlb_##id##_ways, f->tlb_##id##_sizes,                    \
            f->tlb_##id##_index, f->tlb_##id##_policy                                              \
    }
    const struct {
        struct tlb *t;
        uint64_t entries, ways, sizes, index, policy;
    } row[] = {ROW(i), ROW(i2), ROW(d), ROW(d2), ROW(d3), ROW(s), ROW(l2), ROW(l2b)};
#undef ROW
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        c->all[i] = row[i].t;
        int e = tlb_open(row[i].t, row[i].entries, row[i].ways, (unsigned)row[i].sizes,
                         (enum conf_index)row[i].index, (enum repl_policy)row[i].policy,
                         f->seed + 16 + i);
        row[i].t->odd = &c->odd;
        if (e != 0)
            return e;
    }
    return 0;
}

static int open_walk_caches(struct mmu_core *c, const struct conf *f)
{
    const uint64_t entries[PT_LEVELS_MAX] = {0, f->pwc_pde, f->pwc_pdpte, f->pwc_pml4e,
                                             f->mmu_levels == 5 ? f->pwc_pml5e : 0};
    for (unsigned level = 1; level < PT_LEVELS_MAX; level++) {
        int e = tlb_open(&c->walk[level], entries[level], entries[level], TLB_SIZES_4K,
                         INDEX_LINEAR, REPL_LRU, 0);
        if (e != 0)
            return e;
    }
    return 0;
}

/* view_of makes the fast path's view of the first array that takes 4 KiB pages, else of `none`, an
 * array that holds nothing. */
static struct tlb_view view_of(const struct tlb_group *g, struct tlb *none, enum access_kind kind)
{
    struct tlb *t = none;
    unsigned takers = 0;
    for (unsigned i = g->n; i-- > 0;)
        if (g->array[i]->sizes & TLB_SIZES_4K) {
            t = g->array[i];
            takers++;
        }
    return (struct tlb_view){t->mru,
                             t->set_mask,
                             tlb_rights[kind][true].need,
                             tlb_rights[kind][true].need | tlb_rights[kind][true].forbid,
                             t->fold,
                             takers == 1 ? t : NULL};
}

static void wire(struct mmu_core *c)
{
    struct tlb *none = &c->walk[0];
    group_open(&c->fetch, &c->i, &c->i2, none);
    group_open(&c->load, &c->d, &c->d2, &c->d3);
    group_open(&c->store, &c->s, none, none);
    group_open(&c->second, &c->l2, &c->l2b, none);
    c->first[ACCESS_LOAD] = &c->load;
    c->first[ACCESS_STORE] = c->s.sizes != 0 ? &c->store : &c->load;
    c->first[ACCESS_FETCH] = &c->fetch;
    for (unsigned k = 0; k < ARRAY_LEN(c->view); k++)
        c->view[k] = view_of(c->first[k], none, (enum access_kind)k);
}

static void set_context(struct mmu_core *c, pfn root, unsigned pcid)
{
    c->root = root;
    c->pcid = pcid;
    c->context = tlb_tag(0, SIZE_4K, pcid, false);
}

static void set_options(struct mmu_core *c, const struct conf *f)
{
    c->levels = (unsigned)f->mmu_levels;
    c->phys_bits = (unsigned)f->phys_bits;
    c->pcid_on = f->mmu_pcid != 0;
    c->gib_pages = f->mmu_1g != 0;
    c->pcids[0].max = (unsigned)f->mmu_pcids_i;
    c->pcids[1].max = (unsigned)f->mmu_pcids_d;
    c->pcids[2].max = (unsigned)f->mmu_pcids_l2;
    for (unsigned k = 0; k < ARRAY_LEN(c->pcids); k++)
        c->pcids[k].n = c->pcids[k].max != 0; /* PCID 0 */
    c->walk_cycles = (uint32_t)f->mmu_walk_cycles;
    c->latency[MEM_L1] = (uint32_t)f->l1d_latency;
    c->latency[MEM_L2] = (uint32_t)f->l2_latency;
    c->latency[MEM_L3] = (uint32_t)f->l3_latency;
    c->latency[MEM_DRAM] = (uint32_t)f->dram_latency;
}

int mmu_core_open(struct mmu_core *c, const struct conf *conf, struct phys *phys, struct cache *l3,
                  struct mmu_core *all, unsigned n, struct stat_set *stats)
{
    *c = (struct mmu_core){.phys = phys, .stats = stats};
    ASSERT(n == 0 || (c >= all && c < all + n));
    set_options(c, conf);
    set_context(c, PFN_NONE, 0);
    int e = cache_core_open(&c->caches, conf, l3, n == 0 || c == all ? NULL : &all[0].caches);
    if (e == 0)
        e = open_tlbs(c, conf);
    if (e == 0)
        e = tlb_open(&c->walk[0], 0, 0, 0, INDEX_LINEAR, REPL_LRU, 0);
    if (e == 0)
        e = open_walk_caches(c, conf);
    if (e != 0) {
        mmu_core_close(c);
        return e;
    }
    wire(c);
    c->fetch_state = conf->l3_kind == L3_INCLUSIVE ? 0 : ((uint64_t)(c - all) << 56) + 1;
    return 0;
}

void mmu_core_close(struct mmu_core *c)
{
    for (unsigned i = 0; i < ARRAY_LEN(c->all); i++)
        if (c->all[i] != NULL)
            tlb_close(c->all[i]);
    for (unsigned level = 0; level < PT_LEVELS_MAX; level++)
        tlb_close(&c->walk[level]);
    cache_core_close(&c->caches);
}

void mmu_drop_page(struct mmu_core *c, uint64_t addr, unsigned pcid, bool globals)
{
    mmu_fetch_changed(c);
    for (unsigned i = 0; i < ARRAY_LEN(c->all); i++)
        tlb_drop_page(c->all[i], addr, pcid, globals);
}

void mmu_drop_walk(struct mmu_core *c, uint64_t addr, unsigned pcid)
{
    for (unsigned level = 1; level < c->levels; level++) {
        struct tlb *t = &c->walk[level];
        uint32_t slot = tlb_find(t, align_down(addr, BIT(pt_level_shift(level))), SIZE_4K, pcid);
        if (slot != TLB_NONE)
            tlb_erase(t, slot);
    }
}

static void flush_walk_caches(struct mmu_core *c, unsigned pcid)
{
    for (unsigned level = 1; level < c->levels; level++)
        tlb_flush(&c->walk[level], pcid, false);
}

static void flush(struct mmu_core *c, unsigned pcid, bool globals)
{
    STAT(c->stats, tlb_flush_full)++;
    mmu_fetch_changed(c);
    for (unsigned i = 0; i < ARRAY_LEN(c->all); i++)
        tlb_flush(c->all[i], pcid, globals);
    flush_walk_caches(c, pcid);
}

/* list_pcid makes a PCID the newest of a list, and returns the one that has no place any more, or -1. */
static int list_pcid(struct pcid_list *l, unsigned pcid)
{
    unsigned at = 0, last;
    int gone = -1;
    while (at < l->n && l->pcid[at] != pcid)
        at++;
    last = at < l->n ? at : l->n < l->max ? l->n : l->max - 1;
    if (at == l->n && l->n == l->max)
        gone = l->pcid[last];
    else if (at == l->n)
        l->n++;
    for (; last > 0; last--)
        l->pcid[last] = l->pcid[last - 1];
    l->pcid[0] = (uint16_t)pcid;
    return gone;
}

/* limit_pcids drops what the arrays cannot keep besides the current PCID. Walk caches have no limit. */
static void limit_pcids(struct mmu_core *c)
{
    static const uint8_t first[] = {0, 2, 6, ARRAY_LEN(c->all)};
    for (unsigned k = 0; k < ARRAY_LEN(c->pcids); k++) {
        int gone = c->pcids[k].max == 0 ? -1 : list_pcid(&c->pcids[k], c->pcid);
        for (unsigned i = first[k]; gone >= 0 && i < first[k + 1]; i++)
            tlb_flush(c->all[i], (unsigned)gone, false);
    }
}

void mmu_load_cr3(struct mmu_core *c, pfn root, unsigned pcid, bool no_flush)
{
    ASSERT(pcid < 4096);
    mmu_fetch_changed(c);
    set_context(c, root, c->pcid_on ? pcid : 0);
    limit_pcids(c);
    if (!no_flush || !c->pcid_on)
        flush(c, c->pcid, false);
}

void mmu_invlpg(struct mmu_core *c, vaddr a)
{
    STAT(c->stats, tlb_flush_page)++;
    mmu_drop_page(c, a.v, c->pcid, true);
    flush_walk_caches(c, c->pcid);
}

void mmu_invpcid(struct mmu_core *c, unsigned type, unsigned pcid, vaddr a)
{
    ASSERT(type <= 3 && pcid < 4096);
    pcid = c->pcid_on ? pcid : 0;
    if (type == 0) {
        STAT(c->stats, tlb_flush_page)++;
        mmu_drop_page(c, a.v, pcid, false);
        mmu_drop_walk(c, a.v, pcid);
        return;
    }
    flush(c, type == 1 ? pcid : TLB_ALL_PCIDS, type == 2);
}

void mmu_toggle_pge(struct mmu_core *c)
{
    flush(c, TLB_ALL_PCIDS, true);
}
