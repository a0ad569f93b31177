/* ref_mmu.c: see ref_mmu.h. Bit numbers are those of Intel SDM vol. 3A, 4.5, written out. */
#include "ref/ref_mmu.h"

#include "phys/phys.h"

#include <string.h>

enum { I, I2, D, D2, D3, S, L2, L2B };
static const uint64_t size_bytes[] = {1ull << 12, 1ull << 21, 1ull << 30};

void ref_mmu_open(struct ref_mmu *m, const struct conf *f, struct phys *phys, unsigned cores)
{
    memset(m, 0, sizeof(*m));
    m->conf = f;
    m->phys = phys;
    m->cores = cores;
    ref_caches_open(&m->caches, f, cores);
    for (unsigned c = 0; c < cores; c++) {
        struct ref_core *k = &m->core[c];
#define OPEN(n, id)                                                                                \
    ref_tlb_open(&k->tlb[n], (unsigned)f->tlb_##id##_entries, (unsigned)f->tlb_##id##_ways,        \
                 (unsigned)f->tlb_##id##_sizes, (int)f->tlb_##id##_index,                          \
                 (int)f->tlb_##id##_policy, f->seed + 16 + n)
        OPEN(I, i);
        OPEN(I2, i2);
        OPEN(D, d);
        OPEN(D2, d2);
        OPEN(D3, d3);
        OPEN(S, s);
        OPEN(L2, l2);
        OPEN(L2B, l2b);
#undef OPEN
        const uint64_t n[5] = {0, f->pwc_pde, f->pwc_pdpte, f->pwc_pml4e,
                               f->mmu_levels == 5 ? f->pwc_pml5e : 0};
        for (unsigned l = 0; l < 5; l++)
            ref_tlb_open(&k->walk[l], (unsigned)n[l], (unsigned)n[l], 1, INDEX_LINEAR, TLB_LRU, 0);
    }
}

void ref_mmu_close(struct ref_mmu *m)
{
    ref_caches_close(&m->caches);
    for (unsigned c = 0; c < m->cores; c++) {
        for (unsigned i = 0; i < 8; i++)
            ref_tlb_close(&m->core[c].tlb[i]);
        for (unsigned i = 0; i < 5; i++)
            ref_tlb_close(&m->core[c].walk[i]);
    }
}

/* -- invalidations */
static void drop_tables(struct ref_core *k, bool all_pcids, unsigned pcid)
{
    for (unsigned l = 1; l < 5; l++)
        ref_tlb_flush(&k->walk[l], all_pcids, pcid, false);
}

static void drop_tables_of(struct ref_core *k, uint64_t addr, unsigned pcid)
{
    for (unsigned l = 1; l < 5; l++)
        for (unsigned i = 0; i < k->walk[l].entries; i++) {
            struct ref_entry *e = &k->walk[l].e[i];
            if (e->used && e->pcid == pcid && e->start >> (12 + 9 * l) == addr >> (12 + 9 * l))
                e->used = false;
        }
}

static void drop_pages(struct ref_core *k, uint64_t addr, unsigned pcid, bool globals)
{
    for (unsigned i = 0; i < 8; i++)
        ref_tlb_drop_page(&k->tlb[i], addr, pcid, globals);
}

static void flush(struct ref_mmu *m, unsigned core, bool all_pcids, unsigned pcid, bool globals)
{
    STAT(&m->stats, tlb_flush_full)++;
    for (unsigned i = 0; i < 8; i++)
        ref_tlb_flush(&m->core[core].tlb[i], all_pcids, pcid, globals);
    drop_tables(&m->core[core], all_pcids, pcid);
}

/* keeps says whether fewer than `most` PCIDs were loaded since this one was. */
static bool keeps(const struct ref_core *k, unsigned pcid, uint64_t most)
{
    uint64_t newer = 0;
    for (unsigned p = 0; p < 4096; p++)
        newer += k->loaded[p] > k->loaded[pcid];
    return newer < most;
}

static void limit_pcids(struct ref_mmu *m, struct ref_core *k)
{
    const uint64_t i = m->conf->mmu_pcids_i, d = m->conf->mmu_pcids_d, s = m->conf->mmu_pcids_l2;
    const uint64_t most[8] = {i, i, d, d, d, d, s, s};
    for (unsigned t = 0; t < 8; t++)
        for (unsigned e = 0; most[t] != 0 && e < k->tlb[t].entries; e++)
            if (k->tlb[t].e[e].used && !k->tlb[t].e[e].global &&
                !keeps(k, k->tlb[t].e[e].pcid, most[t]))
                k->tlb[t].e[e].used = false;
}

void ref_mmu_load_cr3(struct ref_mmu *m, unsigned core, uint64_t root, unsigned pcid, bool no_flush)
{
    if (!m->conf->mmu_pcid) {
        pcid = 0;
        no_flush = false;
    }
    m->core[core].pcid = pcid;
    m->core[core].root = root;
    m->core[core].loaded[pcid] = ++m->core[core].loads;
    limit_pcids(m, &m->core[core]);
    if (!no_flush)
        flush(m, core, false, pcid, false);
}

void ref_mmu_invlpg(struct ref_mmu *m, unsigned core, uint64_t addr)
{
    struct ref_core *k = &m->core[core];
    STAT(&m->stats, tlb_flush_page)++;
    drop_pages(k, addr, k->pcid, true);
    drop_tables(k, false, k->pcid);
}

void ref_mmu_invpcid(struct ref_mmu *m, unsigned core, unsigned type, unsigned pcid, uint64_t addr)
{
    if (!m->conf->mmu_pcid)
        pcid = 0;
    if (type == 0) {
        STAT(&m->stats, tlb_flush_page)++;
        drop_pages(&m->core[core], addr, pcid, false);
        drop_tables_of(&m->core[core], addr, pcid);
    } else if (type == 1) {
        flush(m, core, false, pcid, false);
    } else {
        flush(m, core, true, 0, type == 2);
    }
}

void ref_mmu_toggle_pge(struct ref_mmu *m, unsigned core)
{
    flush(m, core, true, 0, true);
}

/* -- TLBs: which arrays serve an access */
static unsigned arrays_of(struct ref_core *k, int group, struct ref_tlb **ret)
{
    static const int members[4][3] = {{I, I2, -1}, {D, D2, D3}, {S, -1, -1}, {L2, L2B, -1}};
    unsigned n = 0;
    for (int i = 0; i < 3; i++)
        if (members[group][i] >= 0 && k->tlb[members[group][i]].entries > 0)
            ret[n++] = &k->tlb[members[group][i]];
    return n;
}

static int group_of(const struct ref_core *k, enum access_kind kind)
{
    if (kind == ACCESS_FETCH)
        return 0;
    return kind == ACCESS_STORE && k->tlb[S].entries > 0 ? 2 : 1;
}

static struct ref_entry *look(struct ref_core *k, int group, uint64_t addr, struct ref_tlb **ret)
{
    struct ref_tlb *t[3];
    unsigned n = arrays_of(k, group, t);
    for (int s = 0; s < 3; s++)
        for (unsigned i = 0; i < n; i++) {
            struct ref_entry *e = ref_tlb_find(t[i], addr, size_bytes[s], k->pcid);
            if (e != NULL) {
                *ret = t[i];
                return e;
            }
        }
    return NULL;
}

static void fill(struct ref_core *k, int group, uint64_t addr, struct ref_entry e)
{
    struct ref_tlb *t[3], *fit[3];
    unsigned n = arrays_of(k, group, t), fits = 0;
    for (int s = 2; s >= 0 && fits == 0; s--) {
        if (size_bytes[s] > e.bytes)
            continue;
        for (unsigned i = 0; i < n; i++)
            if (t[i]->sizes >> s & 1)
                fit[fits++] = t[i];
        if (fits > 0) {
            uint64_t start = addr / size_bytes[s] * size_bytes[s];
            e.frame += start - e.start;
            e.start = start;
            e.bytes = size_bytes[s];
        }
    }
    if (fits == 0)
        return;
    for (unsigned i = 0; i < fits && fits > 1; i++)
        if (ref_tlb_room(fit[i], addr, e.bytes)) {
            ref_tlb_add(fit[i], e);
            return;
        }
    ref_tlb_add(fit[fits == 1 ? 0 : k->turn[group]++ % fits], e);
}

static void forget(struct ref_core *k, int group, uint64_t addr)
{
    struct ref_tlb *t;
    struct ref_entry *e;
    while ((e = look(k, group, addr, &t)) != NULL)
        e->used = false;
}

/* -- the walk */
static bool allowed(const struct ref_entry *e, enum access_kind kind, bool user)
{
    if (user && !e->u)
        return false;
    if (kind == ACCESS_STORE)
        return e->w;
    if (kind == ACCESS_FETCH)
        return !e->nx && (user || !e->u);
    return true;
}

static bool reserved(const struct conf *f, uint64_t e, unsigned level)
{
    for (uint64_t bit = f->phys_bits; bit < 52; bit++)
        if (e >> bit & 1)
            return true;
    bool ps = e >> 7 & 1;
    if (ps && (level > 2 || (level == 2 && !f->mmu_1g)))
        return true;
    if (ps && level > 0)
        for (unsigned bit = 13; bit < 12 + 9 * level; bit++)
            if (e >> bit & 1)
                return true;
    return false;
}

struct trail {
    uint64_t *at[5]; /* entries loaded */
    uint64_t next[5];
    bool w[5], u[5], nx[5]; /* rights so far, that entry included */
    int first, leaf;
    uint64_t cycles;
};

static uint64_t latency(const struct conf *f, int level)
{
    const uint64_t l[] = {f->l1d_latency, f->l2_latency, f->l3_latency, f->dram_latency};
    return l[level];
}

/* own says whether the kernel uses its own half: that has counters of its own. */
static bool own(uint64_t addr, bool user)
{
    return !user && addr >= UINT64_C(1) << 63;
}

/* walk returns -1 and *ret, or the P and RSVD bits of the error code. */
static int walk(struct ref_mmu *m, unsigned core, uint64_t addr, enum access_kind kind, bool user,
                struct trail *tr, struct ref_entry *ret)
{
    struct ref_core *k = &m->core[core];
    static const enum stat_id found[][2] = {{STAT_pwc_miss, STAT_k_pwc_miss},
                                            {STAT_pwc_pde_hit, STAT_k_pwc_pde_hit},
                                            {STAT_pwc_pdpte_hit, STAT_k_pwc_pdpte_hit},
                                            {STAT_pwc_pml4e_hit, STAT_k_pwc_pml4e_hit},
                                            {STAT_pwc_pml5e_hit, STAT_k_pwc_pml5e_hit}};
    static const enum stat_id loads[][2] = {{STAT_walker_dtlb_l1, STAT_k_walker_dtlb_l1},
                                            {STAT_walker_itlb_l1, STAT_k_walker_itlb_l1}};
    int level = (int)m->conf->mmu_levels - 1;
    uint64_t table = k->root;
    bool w = true, u = true, nx = false, hit = false;
    for (int l = 1; l < (int)m->conf->mmu_levels && !hit; l++)
        for (unsigned i = 0; i < k->walk[l].entries && !hit; i++) {
            struct ref_entry *e = &k->walk[l].e[i];
            if (!e->used || e->pcid != k->pcid || e->start >> (12 + 9 * l) != addr >> (12 + 9 * l))
                continue;
            hit = true;
            ref_tlb_touch(&k->walk[l], e);
            m->stats.v[found[l][own(addr, user)]]++;
            level = l - 1;
            table = e->frame;
            w = e->w;
            u = e->u;
            nx = e->nx;
        }
    m->stats.v[found[0][own(addr, user)]] += !hit;
    tr->first = level;
    tr->cycles = m->conf->mmu_walk_cycles;
    for (;; level--) {
        unsigned i = (unsigned)(addr >> (12 + 9 * level)) % 512;
        int served = ref_caches_access(&m->caches, core, (table + i * 8) / 64, false);
        m->stats.v[(int)loads[kind == ACCESS_FETCH][own(addr, user)] + served]++;
        tr->cycles += latency(m->conf, served);
        uint64_t *p = (uint64_t *)phys_table(m->phys, (pfn){table >> 12}) + i, e = *p;
        if (!(e & 1))
            return 0;
        if (reserved(m->conf, e, (unsigned)level))
            return 1 | 8;
        w = w && (e >> 1 & 1);
        u = u && (e >> 2 & 1);
        nx = nx || e >> 63;
        tr->at[level] = p;
        tr->w[level] = w;
        tr->u[level] = u;
        tr->nx[level] = nx;
        tr->next[level] = table = e & 0x000ffffffffff000;
        if (level > 0 && !(e >> 7 & 1))
            continue;
        uint64_t bytes = size_bytes[level];
        tr->leaf = level;
        *ret = (struct ref_entry){
            true,  e >> 8 & 1,           w, u, nx, e >> 6 & 1, k->pcid, addr / bytes * bytes, bytes,
            bytes, table / bytes * bytes};
        return -1;
    }
}

static void commit(struct ref_mmu *m, struct ref_core *k, uint64_t addr, enum access_kind kind,
                   const struct trail *tr, struct ref_entry *e)
{
    for (int l = tr->leaf; l <= tr->first; l++) {
        STAT(&m->stats, walk_set_accessed) += !(*tr->at[l] >> 5 & 1);
        *tr->at[l] |= 1 << 5;
        uint64_t bytes = 1ull << (12 + 9 * l), start = addr / bytes * bytes;
        if (l > tr->leaf && k->walk[l].entries > 0)
            ref_tlb_add(&k->walk[l],
                        (struct ref_entry){true, false, tr->w[l], tr->u[l], tr->nx[l], false,
                                           k->pcid, start, bytes, bytes, tr->next[l]});
    }
    if (kind == ACCESS_STORE) {
        STAT(&m->stats, walk_set_dirty) += !(*tr->at[tr->leaf] >> 6 & 1);
        *tr->at[tr->leaf] |= 1 << 6;
        e->d = true;
    }
}

/* -- an access */
static bool canonical(uint64_t addr, unsigned bits)
{
    uint64_t high = addr >> (bits - 1);
    return high == 0 || high == UINT64_MAX >> (bits - 1);
}

static const enum stat_id walk_stats[2][3][6] = {
    {{STAT_dtlb_load_stlb_hit, STAT_dtlb_load_walk, STAT_dtlb_load_walk_4k, STAT_dtlb_load_walk_2m,
      STAT_dtlb_load_walk_1g, STAT_dtlb_load_walk_active},
     {STAT_dtlb_store_stlb_hit, STAT_dtlb_store_walk, STAT_dtlb_store_walk_4k,
      STAT_dtlb_store_walk_2m, STAT_dtlb_store_walk_1g, STAT_dtlb_store_walk_active},
     {STAT_itlb_stlb_hit, STAT_itlb_walk, STAT_itlb_walk_4k, STAT_itlb_walk_2m, STAT_itlb_walk_1g,
      STAT_itlb_walk_active}},
    {{STAT_k_dtlb_load_stlb_hit, STAT_k_dtlb_load_walk, STAT_k_dtlb_load_walk_4k,
      STAT_k_dtlb_load_walk_2m, STAT_k_dtlb_load_walk_1g, STAT_k_dtlb_load_walk_active},
     {STAT_k_dtlb_store_stlb_hit, STAT_k_dtlb_store_walk, STAT_k_dtlb_store_walk_4k,
      STAT_k_dtlb_store_walk_2m, STAT_k_dtlb_store_walk_1g, STAT_k_dtlb_store_walk_active},
     {STAT_k_itlb_stlb_hit, STAT_k_itlb_walk, STAT_k_itlb_walk_4k, STAT_k_itlb_walk_2m,
      STAT_k_itlb_walk_1g, STAT_k_itlb_walk_active}}};

static int page(struct ref_mmu *m, unsigned core, uint64_t addr, enum access_kind kind, bool user,
                struct mmu_event *ev, struct arch_fault *fault, uint64_t *ret)
{
    struct ref_core *k = &m->core[core];
    const enum stat_id *counted = walk_stats[own(addr, user)][kind];
    struct ref_tlb *t;
    if (!canonical(addr, m->conf->mmu_levels == 5 ? 57 : 48)) {
        *fault = (struct arch_fault){.cr2 = va(addr), .noncanonical = true};
        return 1;
    }
    int near = group_of(k, kind);
    bool assist = false, wrong = false;
    struct ref_entry *e = look(k, near, addr, &t);
    if (e != NULL) {
        bool ok = allowed(e, kind, user), clean = kind == ACCESS_STORE && !e->d;
        if (ok && !clean) {
            ref_tlb_touch(t, e);
            *ret = e->frame + (addr - e->start);
            return 0;
        }
        assist = ok;
        wrong = true;
    } else if ((e = look(k, 3, addr, &t)) != NULL) {
        bool ok = allowed(e, kind, user), clean = kind == ACCESS_STORE && !e->d;
        m->stats.v[counted[0]] += ok;
        if (ok && !clean) {
            if (ev->tlb == TLB_L1_HIT)
                ev->tlb = TLB_L2_HIT;
            ref_tlb_touch(t, e);
            *ret = e->frame + (addr - e->start);
            fill(k, near, addr, *e);
            return 0;
        }
        assist = ok;
        wrong = true;
    }
    if (wrong) {
        forget(k, near, addr);
        forget(k, 3, addr);
    }
    struct trail tr;
    struct ref_entry new;
    int bad = walk(m, core, addr, kind, user, &tr, &new);
    if (bad < 0 && !allowed(&new, kind, user))
        bad = 1;
    m->stats.v[counted[5]] += tr.cycles;
    ev->tlb = TLB_WALK;
    ev->walks++;
    ev->walk_cycles += (uint32_t)tr.cycles;
    if (bad >= 0) {
        STAT(&m->stats, walk_fault)++;
        drop_pages(k, addr, k->pcid, true);
        drop_tables_of(k, addr, k->pcid);
        uint32_t code = (uint32_t)bad + (kind == ACCESS_STORE ? 2 : 0) + (user ? 4 : 0) +
                        (kind == ACCESS_FETCH ? 16 : 0);
        *fault = (struct arch_fault){.cr2 = va(addr), .code = code};
        return 1;
    }
    STAT(&m->stats, walk_dirty_assist) += assist;
    m->stats.v[counted[1]] += !assist;
    m->stats.v[counted[2 + tr.leaf]] += !assist;
    commit(m, k, addr, kind, &tr, &new);
    fill(k, 3, addr, new);
    fill(k, near, addr, new);
    *ret = new.frame + (addr - new.start);
    return 0;
}

int ref_mmu_access(struct ref_mmu *m, unsigned core, uint64_t addr, unsigned bytes,
                   enum access_kind kind, bool user, struct mmu_event *ev, struct arch_fault *fault)
{
    static const enum stat_id by_kind[] = {STAT_load_l1_hit, STAT_store_l1_hit, STAT_fetch_l1_hit};
    uint64_t where[2] = {0, 0}, last = addr + bytes - 1;
    unsigned pages = addr / 4096 != last / 4096 ? 2 : 1;
    *ev = (struct mmu_event){0};
    for (unsigned p = 0; p < pages; p++)
        if (page(m, core, p == 0 ? addr : last / 4096 * 4096, kind, user, ev, fault, &where[p]))
            return 1;
    for (uint64_t line = addr / 64; line != last / 64 + 1; line++) {
        uint64_t a = line == addr / 64 ? addr : line * 64;
        uint64_t at = a / 4096 == addr / 4096 ? where[0] + (a - addr) : where[1] + a % 4096;
        int served = ref_caches_access(&m->caches, core, at / 64, kind == ACCESS_FETCH);
        if (!user)
            STAT(&m->stats, uaccess_lines)++;
        m->stats.v[(user ? by_kind[kind] : STAT_uaccess_l1_hit) + (unsigned)served]++;
        ev->lines++;
        if (served > ev->level)
            ev->level = (uint8_t)served;
    }
    return 0;
}

uint64_t ref_mmu_kernel(struct ref_mmu *m, unsigned core, uint64_t addr, uint64_t bytes)
{
    uint64_t cycles = 0;
    for (uint64_t line = addr / 64; line <= (addr + bytes - 1) / 64; line++) {
        int served = ref_caches_access(&m->caches, core, line, false);
        m->stats.v[STAT_kernel_l1_hit + served]++;
        cycles += latency(m->conf, served) - latency(m->conf, 0);
    }
    return cycles;
}
