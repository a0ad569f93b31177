/* cpu.c: the additive time model, first version.
 *
 * Every event beyond the ideal (all accesses hit L1 and the first-level TLBs) costs its latency
 * times the share of it that the core cannot hide. The shares are options (cpu.exposed.…), so a
 * preset can say what it was calibrated with. Faults and kernel work were added up exactly, step by
 * step, when they happened.
 *
 * Invariants:
 *  I1  total = base + memory + translation + fault + kernel, in integers.
 *  I2  No part is computed from another part.
 *
 * The form R = a·hits + b·misses + C is the linear run-time model of Basu et al. (ISCA 2013) and its
 * successors; Mosalloc (MICRO 2020) shows how far it can be trusted.
 */
#include "cpu/cpu.h"

/* The latency of a level beyond L1D's, in cycles. */
static uint64_t beyond(const struct conf *c, uint64_t latency)
{
    return latency > c->l1d_latency ? latency - c->l1d_latency : 0;
}

static uint64_t lines(const struct conf *c, uint64_t l2, uint64_t l3, uint64_t dram)
{
    return l2 * beyond(c, c->l2_latency) + l3 * beyond(c, c->l3_latency) +
           dram * beyond(c, c->dram_latency);
}

static uint64_t memory(const struct conf *c, const struct stat_set *s)
{
    uint64_t loads = lines(c, STAT(s, load_l2_hit), STAT(s, load_l3_hit), STAT(s, load_l3_miss));
    uint64_t stores =
        lines(c, STAT(s, store_l2_hit), STAT(s, store_l3_hit), STAT(s, store_l3_miss));
    uint64_t fetch = lines(c, STAT(s, fetch_l2_hit), STAT(s, fetch_l3_hit), STAT(s, fetch_l3_miss));

    return loads * c->cpu_exposed_load / 100 + stores * c->cpu_exposed_store / 100 +
           fetch * c->cpu_exposed_fetch / 100;
}

uint64_t cpu_translation(const struct conf *c, uint64_t stlb_hits, uint64_t walk_cycles)
{
    return stlb_hits * c->mmu_stlb_cycles * c->cpu_exposed_stlb / 100 +
           walk_cycles * c->cpu_exposed_walk / 100;
}

static uint64_t sum(const struct stat_set *s, enum stat_id first, enum stat_id last)
{
    uint64_t n = 0;
    for (int i = (int)first; i <= (int)last; i++)
        n += s->v[i];
    return n;
}

void cpu_cycles(const struct conf *conf, const struct stat_set *s, struct cpu_cycles *ret)
{
    uint64_t stlb =
        STAT(s, dtlb_load_stlb_hit) + STAT(s, dtlb_store_stlb_hit) + STAT(s, itlb_stlb_hit);
    uint64_t walk = STAT(s, dtlb_load_walk_active) + STAT(s, dtlb_store_walk_active) +
                    STAT(s, itlb_walk_active);

    ret->base = STAT(s, instructions) * conf->cpu_cpi / 1000;
    ret->memory = memory(conf, s);
    ret->translation = cpu_translation(conf, stlb, walk);
    ret->fault = sum(s, STAT_fault_cycles_anon, STAT_fault_cycles_bad);
    ret->kernel = sum(s, STAT_kernel_cycles_syscall, STAT_kernel_cycles_exec);
    ret->total = ret->base + ret->memory + ret->translation + ret->fault + ret->kernel;
}
