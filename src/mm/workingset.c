/* workingset.c: pages that were evicted and come back: were they evicted too soon?
 *
 *   eviction   shadow = clock (nonresident_age) | was active | node    stays in the page's place
 *   refault    distance = clock now − clock then
 *              distance ≤ active pages (and what else could have gone) ─► activate the page
 *
 * The clock of a node counts evictions and activations: what moved past an inactive page.
 *
 * I1  A shadow is not 0 and fits 56 bits.
 *
 * Source: Linux 6.18 mm/workingset.c (pack_shadow, workingset_eviction, workingset_refault).
 */
#include "mm/mm_int.h"
#include "policy/reclaim.h"

#define SHADOW_AGE_BITS 48u

uint64_t workingset_eviction(struct mm_sys *s, pfn n)
{
    const struct frame *f = phys_frame(s->phys, n);
    struct lruvec *l = &s->lru.node[f->nid].lru;
    uint64_t age = l->nonresident_age & (BIT(SHADOW_AGE_BITS) - 1);
    l->nonresident_age += BIT(f->order);
    return (age << 8 | (uint64_t)f->nid << 2 | (f->flags & FRAME_F_WORKINGSET ? 2u : 0) | 1u) &
           (BIT(56) - 1); /* I1 */
}

static bool recent(const struct mm_sys *s, const struct mm_node *node, uint64_t shadow, bool file)
{
    const uint64_t *v = node->stat.v;
    uint64_t mask = BIT(SHADOW_AGE_BITS) - 1, then = shadow >> 8;
    struct refault_input in = {.distance = (node->lru.nonresident_age - then) & mask,
                               .active_file = v[NODE_nr_active_file],
                               .inactive_file = v[NODE_nr_inactive_file],
                               .active_anon = v[NODE_nr_active_anon],
                               .inactive_anon = v[NODE_nr_inactive_anon],
                               .file = file,
                               .swap_left = mm_swap_free(s) > 0};
    return refault_is_recent(&in);
}

void workingset_refault(struct mm_sys *s, pfn n, uint64_t shadow)
{
    struct frame *f = phys_frame(s->phys, n);
    bool file = !(f->flags & FRAME_F_SWAPBACKED);
    struct mm_node *node = &s->lru.node[shadow >> 2 & 63];
    node_stat_add(s, f, file ? NODE_workingset_refault_file : NODE_workingset_refault_anon, 1);
    if (!recent(s, node, shadow, file))
        return;
    f->flags |= FRAME_F_ACTIVE;
    s->lru.node[f->nid].lru.nonresident_age += BIT(f->order); /* workingset_age_nonresident */
    node_stat_add(s, f, file ? NODE_workingset_activate_file : NODE_workingset_activate_anon, 1);
    if (!(shadow & 2))
        return;
    f->flags |= FRAME_F_WORKINGSET;
    lru_note_cost(s, f->nid, file, 1, 0); /* lru_note_cost_refault */
    node_stat_add(s, f, file ? NODE_workingset_restore_file : NODE_workingset_restore_anon, 1);
}
