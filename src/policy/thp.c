/* thp.c: which sizes of transparent huge pages a mapping may have, and how hard to try for one.
 *
 *   sysfs: sizes "always" ∪ (advised: sizes "madvise") ∪ (enabled, or advised and not never:
 *          sizes "inherit")                 … madvise(MADV_COLLAPSE) does not ask sysfs
 *   shared memory asks shmem_enabled instead, page by page
 *   then:  not MADV_NOHUGEPAGE, not prctl; a 2 MiB aligned range must fit, but for faults, which
 *          look at the address themselves
 *
 * Source: Linux 6.18 mm/huge_memory.c (__thp_vma_allowable_orders, vma_thp_gfp_mask),
 * include/linux/huge_mm.h (thp_vma_allowable_orders, thp_vma_suitable_order, vma_thp_disabled),
 * mm/khugepaged.c (hugepage_pmd_enabled), mm/shmem.c (shmem_allowable_huge_orders).
 */
#include "policy/thp.h"

static unsigned enabled_orders(const struct thp_knobs *k, bool advised)
{
    unsigned mask = k->always;
    if (advised)
        mask |= k->madvise;
    if (k->enabled == THP_ALWAYS || (advised && k->enabled != THP_NEVER))
        mask |= k->inherit;
    return mask;
}

bool thp_vma_disabled(const struct thp_vma *v, bool forced_collapse)
{
    if (v->nohugepage || v->disabled)
        return true;
    return !v->hugepage && !forced_collapse && v->except_advised;
}

static bool suitable(const struct thp_vma *v, uint64_t addr, unsigned order)
{
    uint64_t size = PAGE_SIZE << order, at = align_down(addr, size);
    if (!v->anonymous && (((v->start >> PAGE_SHIFT) - v->pgoff) & (BIT(order) - 1)))
        return false;
    return at >= v->start && at + size <= v->end;
}

unsigned thp_suitable_orders(const struct thp_vma *v, uint64_t addr, unsigned orders)
{
    for (unsigned order = 0; order <= THP_PMD_ORDER; order++)
        if ((orders & BIT(order)) && !suitable(v, addr, order))
            orders &= ~(1u << order);
    return orders;
}

/* fitting drops the largest orders until one fits at the end of the mapping. */
static unsigned fitting(const struct thp_vma *v, unsigned orders)
{
    for (unsigned order = THP_PMD_ORDER; orders != 0; order--) {
        if (!(orders & BIT(order)))
            continue;
        if (suitable(v, v->end - (PAGE_SIZE << order), order))
            break;
        orders &= ~(1u << order);
    }
    return orders;
}

/* within_size: the 2 MiB of a page end in the file (shmem_get_orders_within_size). */
static bool within_size(const struct thp_vma *v, uint64_t pgoff)
{
    return v->file_pages >= align_up(pgoff + 1, BIT(THP_PMD_ORDER));
}

/* shmem_global_enabled is shmem_huge_global_enabled without a size that is written: a fault asks for
 * 2 MiB or for one page. */
static bool shmem_global_enabled(enum thp_shmem how, const struct thp_vma *v, uint64_t pgoff)
{
    if (v->shmem_mounted)
        return false;
    if (how == THP_SHMEM_ALWAYS || (how == THP_SHMEM_WITHIN_SIZE && within_size(v, pgoff)))
        return true;
    return (how == THP_SHMEM_WITHIN_SIZE || how == THP_SHMEM_ADVISE) && v->hugepage;
}

/* Shared anonymous memory asks hugepages-2048kB/shmem_enabled, too: that is "inherit". */
unsigned thp_shmem_orders(enum thp_shmem how, const struct thp_vma *v, uint64_t pgoff,
                          bool forced_collapse)
{
    if (how == THP_SHMEM_DENY || thp_vma_disabled(v, forced_collapse))
        return 0;
    if (forced_collapse || how == THP_SHMEM_FORCE || shmem_global_enabled(how, v, pgoff))
        return BIT(THP_PMD_ORDER);
    return 0;
}

unsigned thp_allowable_orders(const struct thp_knobs *k, const struct thp_vma *v,
                              enum tva_type type, unsigned orders)
{
    bool in_pf = type == TVA_PAGEFAULT, smaps = type == TVA_SMAPS;
    if (v->anonymous && type != TVA_FORCED_COLLAPSE)
        orders &= enabled_orders(k, v->hugepage);
    orders &= v->anonymous ? THP_ORDERS_ANON : THP_ORDERS_FILE;
    if (orders == 0 || thp_vma_disabled(v, type == TVA_FORCED_COLLAPSE))
        return 0;
    if (!in_pf && !smaps && v->no_khugepaged)
        return 0;
    if (!in_pf)
        orders = fitting(v, orders);
    if (v->shmem && !in_pf)
        return orders & thp_shmem_orders(k->shmem, v, v->pgoff, type == TVA_FORCED_COLLAPSE);
    /* No file system here has huge_fault, CONFIG_READ_ONLY_THP_FOR_FS is off. */
    if (!v->anonymous || v->temporary_stack)
        return 0;
    return v->faulted || smaps || in_pf ? orders : 0;
}

bool thp_pmd_enabled(const struct thp_knobs *k)
{
    return (k->shmem != THP_SHMEM_NEVER && k->shmem != THP_SHMEM_DENY) ||
           ((k->always | k->madvise) & BIT(THP_PMD_ORDER)) ||
           ((k->inherit & BIT(THP_PMD_ORDER)) && k->enabled != THP_NEVER);
}

struct thp_effort thp_effort(enum thp_defrag defrag, bool advised)
{
    switch (defrag) {
    case THP_DEFRAG_ALWAYS:
        return (struct thp_effort){.direct = true, .noretry = !advised};
    case THP_DEFRAG_DEFER:
        return (struct thp_effort){.kswapd = true};
    case THP_DEFRAG_DEFER_MADVISE:
        return (struct thp_effort){.direct = advised, .kswapd = true};
    case THP_DEFRAG_MADVISE:
        return (struct thp_effort){.direct = advised};
    default:
        return (struct thp_effort){0};
    }
}
