/* access.c: one access in full.
 *
 *   first-level group ─ hit, rights ──────────────────────────────► lines through L1, L2, L3, DRAM
 *     │ miss            └ right missing: drop the entry here and in the second level, walk
 *   second-level group ─ hit, rights ─► refill the first level ───►
 *     │ miss            └ right missing: the same
 *   walk ─► fill both levels ─────────────────────────────────────►
 *        └► fault: drop the page from all arrays
 *
 * All pages of an access are translated before its first line is touched, so a repeated access
 * counts its lines once.
 *
 * Invariants: I1-I4 in mmu.h.
 * Source: Intel SDM vol. 3A, 4.10.2 (lookup), 4.10.4.3 (an entry with too few rights need not have
 * been invalidated by software: the processor walks before it faults), 4.8 (D).
 */
#include "base/check.h"
#include "mmu/mmu_int.h"

/* The counters of translation by whether the kernel uses its own half of the space, and access kind. */
#define KIND(prefix)                                                                               \
    {                                                                                              \
        STAT_##prefix##_stlb_hit, STAT_##prefix##_walk, STAT_##prefix##_walk_active,               \
        {                                                                                          \
            STAT_##prefix##_walk_4k, STAT_##prefix##_walk_2m, STAT_##prefix##_walk_1g              \
        }                                                                                          \
    }
static const struct kind_stats {
    enum stat_id stlb_hit, walk, walk_active, walk_size[SIZE_NR];
} kind_stats[2][3] = {
    {[ACCESS_LOAD] = KIND(dtlb_load),
     [ACCESS_STORE] = KIND(dtlb_store),
     [ACCESS_FETCH] = KIND(itlb)},
    {[ACCESS_LOAD] = KIND(k_dtlb_load),
     [ACCESS_STORE] = KIND(k_dtlb_store),
     [ACCESS_FETCH] = KIND(k_itlb)},
};
#undef KIND

/* The counters of lines by who touched them, then by level. */
static const enum stat_id line_stats[][MEM_LEVEL_NR] = {
    [ACCESS_LOAD] = {STAT_load_l1_hit, STAT_load_l2_hit, STAT_load_l3_hit, STAT_load_l3_miss},
    [ACCESS_STORE] = {STAT_store_l1_hit, STAT_store_l2_hit, STAT_store_l3_hit, STAT_store_l3_miss},
    [ACCESS_FETCH] = {STAT_fetch_l1_hit, STAT_fetch_l2_hit, STAT_fetch_l3_hit, STAT_fetch_l3_miss},
};
static const enum stat_id copy_stats[] = {STAT_uaccess_l1_hit, STAT_uaccess_l2_hit,
                                          STAT_uaccess_l3_hit, STAT_uaccess_l3_miss};
static const enum stat_id kernel_stats[] = {STAT_kernel_l1_hit, STAT_kernel_l2_hit,
                                            STAT_kernel_l3_hit, STAT_kernel_l3_miss};
static const enum stat_id text_stats[] = {STAT_k_fetch_l1_hit, STAT_k_fetch_l2_hit,
                                          STAT_k_fetch_l3_hit, STAT_k_fetch_l3_miss};

/* An access under way. */
struct access {
    enum access_kind kind;
    bool user;
    struct mmu_event *event;
    struct arch_fault *fault;
};

static inline const struct kind_stats *stats_of(const struct access *x, vaddr a)
{
    return &kind_stats[!x->user && vaddr_is_kernel(a)][x->kind];
}

static uint64_t physical(uint64_t val, uint64_t addr, enum page_size size)
{
    return (val & PTE_ADDR_MASK) | (addr & (BIT(page_size_shift(size)) - 1));
}

static int faulted(struct mmu_core *c, const struct access *x, vaddr a, uint32_t code)
{
    STAT(c->stats, walk_fault)++;
    mmu_drop_page(c, a.v, c->pcid, true);
    *x->fault = (struct arch_fault){.cr2 = a, .code = code};
    return 1;
}

/* walk_slow walks and fills both levels. `dirty_assist`: the entry was there but for its D bit. */
static int walk_slow(struct mmu_core *c, const struct access *x, vaddr a, bool dirty_assist,
                     uint64_t *ret_paddr)
{
    const struct kind_stats *k = stats_of(x, a);
    struct walk_result w;
    uint32_t code;
    int e = walk_page(c, a, x->kind, x->user, &w, &code);
    c->stats->v[k->walk_active] += w.cycles;
    x->event->tlb = TLB_WALK;
    x->event->walks++;
    x->event->walk_cycles += w.cycles;
    if (e != 0)
        return faulted(c, x, a, code);
    if (dirty_assist) {
        STAT(c->stats, walk_dirty_assist)++;
    } else {
        c->stats->v[k->walk]++;
        c->stats->v[k->walk_size[w.size]]++;
    }
    uint64_t tag = tlb_tag(a.v, SIZE_4K, c->pcid, false);
    if (likely(c->odd.all == 0 && c->second.smalls != 0 && !tlb_is_odd(0, w.val) &&
               !(w.val & PTE_G) && c->first[x->kind]->smalls != 0)) {
        group_fill_plain(&c->second, a.v, tag, w.val);
        group_fill_plain(c->first[x->kind], a.v, tag, w.val);
    } else {
        group_fill(&c->second, a.v, w.size, c->pcid, w.val);
        group_fill(c->first[x->kind], a.v, w.size, c->pcid, w.val);
    }
    *ret_paddr = physical(w.val, a.v, w.size);
    return 0;
}

/* weak_slow: an entry of `val` was found that lacks a right. */
static int weak_slow(struct mmu_core *c, const struct access *x, vaddr a, uint64_t val,
                     uint64_t *ret_paddr)
{
    bool dirty_assist = tlb_permits(val | PTE_D, x->kind, x->user);
    group_erase(c->first[x->kind], a.v, c->pcid);
    group_erase(&c->second, a.v, c->pcid);
    return walk_slow(c, x, a, dirty_assist, ret_paddr);
}

static int translate_miss(struct mmu_core *c, const struct access *x, vaddr a, uint64_t *ret_paddr)
{
    struct tlb_place p = group_find(&c->second, a.v, c->pcid);
    if (p.tlb == NULL)
        return walk_slow(c, x, a, false, ret_paddr);
    uint64_t val = p.tlb->vals[p.slot];
    bool ok = tlb_permits(val, x->kind, x->user);
    if (ok || tlb_permits(val | PTE_D, x->kind, x->user))
        c->stats->v[stats_of(x, a)->stlb_hit]++;
    if (!ok)
        return weak_slow(c, x, a, val, ret_paddr);
    enum page_size size = tlb_tag_size(p.tlb->tags[p.slot]);
    tlb_touch(p.tlb, p.slot);
    group_fill(c->first[x->kind], a.v, size, c->pcid, val);
    if (x->event->tlb < TLB_L2_HIT)
        x->event->tlb = TLB_L2_HIT;
    *ret_paddr = physical(val, a.v, size);
    return 0;
}

static int translate(struct mmu_core *c, const struct access *x, vaddr a, uint64_t *ret_paddr)
{
    if (unlikely(!vaddr_canonical(a, c->levels))) {
        *x->fault = (struct arch_fault){.cr2 = a, .noncanonical = true};
        return 1;
    }
    struct tlb_place p = group_find(c->first[x->kind], a.v, c->pcid);
    if (p.tlb == NULL)
        return translate_miss(c, x, a, ret_paddr);
    uint64_t val = p.tlb->vals[p.slot];
    if (unlikely(!tlb_permits(val, x->kind, x->user)))
        return weak_slow(c, x, a, val, ret_paddr);
    tlb_touch(p.tlb, p.slot);
    *ret_paddr = physical(val, a.v, tlb_tag_size(p.tlb->tags[p.slot]));
    return 0;
}

/* touch serves the lines of [start, start + bytes). */
static void touch(struct mmu_core *c, const struct access *x, uint64_t start, uint64_t bytes)
{
    const enum stat_id *stats = x->user ? line_stats[x->kind] : copy_stats;
    uint64_t last = (start + bytes - 1) >> LINE_SHIFT;
    for (uint64_t line = start >> LINE_SHIFT; line <= last; line++) {
        enum mem_level level =
            x->kind == ACCESS_FETCH ? cache_fetch(&c->caches, line) : cache_data(&c->caches, line);
        c->stats->v[stats[level]]++;
        STAT(c->stats, uaccess_lines) += !x->user;
        x->event->lines++;
        if (level > x->event->level)
            x->event->level = (uint8_t)level;
    }
}

/* -- the quick path: mmu_access without what a plain 4 KiB hit does not need ------------------- */

/* A value that no page has: refill found nothing, or an entry that lacks a right. */
#define REFILL_MISSED 0
#define REFILL_WEAK   1

/* refill looks a page up in the second level and copies it to the first. Returns its value, or why
 * not. */
static uint64_t refill(struct mmu_core *c, const struct tlb_view *v, uint64_t addr, uint64_t tag)
{
    for (unsigned i = 0; i < c->second.smalls; i++) {
        struct tlb *t = c->second.small[i];
        uint32_t slot = tlb_find_tag(t, tlb_set(t, addr >> PAGE_SHIFT), tag);
        if (slot == TLB_NONE)
            continue;
        uint64_t val = t->vals[slot];
        if (unlikely((val & v->care) != v->need))
            return REFILL_WEAK;
        tlb_touch(t, slot);
        if (likely(c->odd.all == 0))
            tlb_insert_plain(v->only, addr, tag, val);
        else
            tlb_insert(v->only, addr, SIZE_4K, c->pcid, val);
        return val;
    }
    return REFILL_MISSED;
}

/* line_of serves a line whose page is known to be good. */
static inline enum mem_level line_of(struct mmu_core *c, uint64_t val, uint64_t addr,
                                     enum access_kind kind)
{
    uint64_t line = (val & PTE_ADDR_MASK) >> LINE_SHIFT | (addr & (PAGE_SIZE - 1)) >> LINE_SHIFT;
    enum mem_level level =
        kind == ACCESS_FETCH ? cache_fetch(&c->caches, line) : cache_data(&c->caches, line);
    c->stats->v[line_stats[kind][level]]++;
    return level;
}

/* quick_refill is mmu_quick behind a first-level miss. */
static int quick_refill(struct mmu_core *c, const struct tlb_view *v, uint64_t addr, uint64_t tag,
                        enum access_kind kind)
{
    if (unlikely(!vaddr_canonical(va(addr), c->levels)))
        return -1;
    uint64_t val = refill(c, v, addr, tag);
    if (val == REFILL_MISSED)
        return MMU_QUICK_MISSED;
    if (unlikely(val == REFILL_WEAK))
        return -1;
    c->stats->v[kind_stats[false][kind].stlb_hit]++;
    return (int)line_of(c, val, addr, kind) | MMU_QUICK_STLB;
}

int mmu_quick(struct mmu_core *c, uint64_t addr, enum access_kind kind)
{
    const struct tlb_view *v = &c->view[kind];
    uint64_t tag = (addr << 4 & TLB_PAGE_MASK) | c->context, val;
    uint32_t set = (uint32_t)((addr >> PAGE_SHIFT ^ addr >> PAGE_SHIFT >> v->fold) & v->set_mask);
    if (unlikely(c->odd.low != 0 || addr >> 63 != 0 || v->only == NULL))
        return -1;
    if (kind == ACCESS_FETCH)
        mmu_fetch_changed(c);
    if (v->mru[set].tag == tag) {
        val = v->mru[set].val;
        if (unlikely((val & v->care) != v->need))
            return -1;
        return (int)line_of(c, val, addr, kind);
    }
    uint32_t slot = tlb_find_tag(v->only, set, tag);
    if (slot == TLB_NONE)
        return quick_refill(c, v, addr, tag, kind);
    val = v->only->vals[slot];
    if (unlikely((val & v->care) != v->need))
        return -1;
    tlb_touch(v->only, slot);
    return (int)line_of(c, val, addr, kind);
}

int mmu_access_missed(struct mmu_core *c, vaddr a, enum access_kind kind,
                      struct mmu_event *ret_event, struct arch_fault *ret_fault)
{
    uint64_t where;
    *ret_event = (struct mmu_event){0};
    struct access x = {kind, true, ret_event, ret_fault};
    if (walk_slow(c, &x, a, false, &where) != 0)
        return 1;
    touch(c, &x, where, 1);
    return 0;
}

int mmu_access(struct mmu_core *c, vaddr a, unsigned bytes, enum access_kind kind, bool user,
               struct mmu_event *ret_event, struct arch_fault *ret_fault)
{
    ASSERT(bytes > 0 && bytes <= PAGE_SIZE);
    *ret_event = (struct mmu_event){0};
    if (kind == ACCESS_FETCH)
        mmu_fetch_changed(c);
    struct access x = {kind, user, ret_event, ret_fault};
    uint64_t here = min_u64(bytes, PAGE_SIZE - (a.v & (PAGE_SIZE - 1)));
    uint64_t first, second = 0;
    if (translate(c, &x, a, &first) != 0)
        return 1;
    if (unlikely(here < bytes) && translate(c, &x, va(a.v + here), &second) != 0)
        return 1;
    touch(c, &x, first, here);
    if (unlikely(here < bytes))
        touch(c, &x, second, bytes - here);
    return 0;
}

uint64_t mmu_kernel(struct mmu_core *c, paddr a, uint64_t bytes, bool store)
{
    (void)store; /* caches allocate on writes and keep no dirty state */
    uint64_t cycles = 0;
    if (bytes == 0)
        return 0;
    uint64_t last = (a.v + bytes - 1) >> LINE_SHIFT;
    for (uint64_t line = a.v >> LINE_SHIFT; line <= last; line++) {
        enum mem_level level = cache_data(&c->caches, line);
        c->stats->v[kernel_stats[level]]++;
        cycles += c->latency[level] - c->latency[MEM_L1];
    }
    return cycles;
}

/* kernel_line serves one, and returns its cycles beyond L1. */
static uint64_t kernel_line(struct mmu_core *c, uint64_t line, enum access_kind kind)
{
    bool fetch = kind == ACCESS_FETCH;
    enum mem_level level = fetch ? cache_fetch(&c->caches, line) : cache_data(&c->caches, line);
    c->stats->v[fetch ? text_stats[level] : kernel_stats[level]]++;
    return c->latency[level] - c->latency[MEM_L1];
}

/* kernel_page translates an address of the kernel's half. */
static uint64_t kernel_page(struct mmu_core *c, vaddr a, enum access_kind kind,
                            struct mmu_kernel_cost *cost)
{
    struct mmu_event ev = {0};
    struct arch_fault fault;
    struct access x = {kind, false, &ev, &fault};
    uint64_t where = 0;
    CHECK(vaddr_is_kernel(a));
    if (kind == ACCESS_FETCH)
        mmu_fetch_changed(c);
    int faulted = translate(c, &x, a, &where);
    ASSERT(!faulted); /* the kernel's half maps what the kernel touches */
    cost->stlb_hits += ev.tlb == TLB_L2_HIT;
    cost->walk_cycles += ev.walk_cycles;
    return where;
}

void mmu_kernel_lines(struct mmu_core *c, vaddr page, uint64_t lines, enum access_kind kind,
                      struct mmu_kernel_cost *cost)
{
    uint64_t first = kernel_page(c, page, kind, cost) >> LINE_SHIFT;
    for (; lines != 0; lines &= lines - 1)
        cost->line_cycles += kernel_line(c, first + (unsigned)__builtin_ctzll(lines), kind);
}

void mmu_kernel_virt(struct mmu_core *c, vaddr a, uint64_t bytes, enum access_kind kind,
                     struct mmu_kernel_cost *cost)
{
    for (uint64_t end = a.v + bytes, next; a.v != end; a.v = next) {
        next = min_u64(end - 1, a.v | (PAGE_SIZE - 1)) + 1;
        uint64_t where = kernel_page(c, a, kind, cost);
        uint64_t last = (where + (next - a.v) - 1) >> LINE_SHIFT;
        for (uint64_t line = where >> LINE_SHIFT; line <= last; line++)
            cost->line_cycles += kernel_line(c, line, kind);
    }
}
