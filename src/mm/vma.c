/* vma.c: VMAs: what flags mean, splitting, merging, accounting. They lie in vma_tree.c's tree.
 *
 * Merging (mm/vma.c, vma_merge_new_range and vma_merge_existing_range): two adjacent ranges become
 * one VMA when flags, file and linear offset agree, neither is special, and their anon_vmas may be
 * shared: both are the same, or one has none and the other did not come through a fork. Two
 * different anon_vmas never merge.
 *
 *   new range *:    PPPP****NNNN   both, prev or next takes it
 *   changed  *:     PPPP**MMNNNN   at the left edge of M: prev grows     (M keeps the rest)
 *                   PPPPMM**NNNN   at the right edge: next grows downward
 *                   PPPP****NNNN   all of M: one VMA
 *
 * Invariants: I1 and I2 of mm.h; a label's cur_bytes is the sum over the VMAs that carry it.
 *
 * Source: Linux 6.18 mm/vma.c, mm/mmap.c (vm_stat_account), include/linux/mm.h (vm_start_gap).
 */
#include "mm/mm_int.h"

/* -- finding --------------------------------------------------------------------------------- */

struct vma *vma_lookup(const struct mm *m, uint64_t a)
{
    struct vma_hit *h = &m->hits[(a >> 16 ^ a >> 22) % VMA_HITS];
    if (likely(a >= h->start && a < h->end && h->gen == m->vma_gen))
        return h->vma;
    struct vma *v = find_vma(m, a);
    if (!v || v->start.v > a)
        return NULL;
    *h = (struct vma_hit){v->start.v, v->end.v, v, m->vma_gen};
    return v;
}

const struct vma *mm_vma_at(const struct mm *m, vaddr a)
{
    return vma_lookup(m, a.v);
}

const struct vma *mm_vma_next(const struct mm *m, vaddr a)
{
    return find_vma(m, a.v);
}

uint64_t vma_start_gap(const struct mm *m, const struct vma *v)
{
    uint64_t gap = v->flags & VM_GROWSDOWN ? m->sys->conf.kernel_stack_guard_gap * PAGE_SIZE : 0;
    return v->start.v > gap ? v->start.v - gap : 0;
}

/* -- what flags mean ------------------------------------------------------------------------- */

bool vma_wants_writenotify(const struct vma *v)
{
    return (v->flags & (VM_WRITE | VM_SHARED)) == (VM_WRITE | VM_SHARED) && v->file &&
           v->file->kind == FILE_REGULAR;
}

uint64_t vm_page_prot(const struct vma *v)
{
    uint64_t key = (v->flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT << PTE_PKEY_SHIFT;
    if (!(v->flags & VM_ACCESS_FLAGS))
        return PTE_PROTNONE | PTE_A | key;
    uint64_t bits = PTE_P | PTE_US | PTE_A | key;
    if (!(v->flags & VM_EXEC))
        bits |= PTE_NX;
    if ((v->flags & VM_WRITE) && (v->flags & VM_SHARED) && !vma_wants_writenotify(v))
        bits |= PTE_RW;
    return bits;
}

void vm_stat_account(struct mm *m, uint64_t flags, int64_t pages)
{
    struct mm_counters *c = &m->cnt;
    c->total_vm += (uint64_t)pages;
    c->total_vm_peak = max_u64(c->total_vm_peak, c->total_vm);
    if (flags & VM_LOCKED)
        c->locked_vm += (uint64_t)pages;
    if ((flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) == VM_EXEC)
        c->exec_vm += (uint64_t)pages;
    else if (flags & VM_GROWSDOWN)
        c->stack_vm += (uint64_t)pages;
    else if ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
        c->data_vm += (uint64_t)pages;
}

/* -- in and out of the tree ------------------------------------------------------------------ */

/* vma_resize moves both ends; the page offset goes with the start. */
static void vma_resize(struct mm *m, struct vma *v, uint64_t start, uint64_t end)
{
    CHECK(start < end && (!v->prev || v->prev->end.v <= start)); /* I1 */
    label_add(m->sys, v->label, (int64_t)(end - start) - (int64_t)(v->end.v - v->start.v));
    vma_start_write(v);
    vma_pre_update(v);
    v->pgoff += (uint64_t)((int64_t)(start - v->start.v) >> PAGE_SHIFT);
    v->start = va(start);
    v->end = va(end);
    vma_post_update(v);
    vma_tree_update(&m->vmas, v);
    m->vma_gen++;
}

static struct vma *insert(struct mm *m, const struct vma *proto)
{
    struct vma *v = malloc(sizeof(*v));
    ASSERT(v);
    *v = *proto;
    v->m = m;
    v->chain = NULL;
    vma_start_write(v);
    vma_tree_insert(&m->vmas, v);
    if (v->file)
        file_get(v->file);
    mpol_get(v->policy);
    resv_map_get(v->resv);
    vma_link_file(v);
    label_add(m->sys, v->label, (int64_t)(v->end.v - v->start.v));
    m->vma_gen++;
    return v;
}

void vma_remove(struct mm *m, struct vma *v)
{
    label_add(m->sys, v->label, -(int64_t)(v->end.v - v->start.v));
    vma_start_write(v);
    unlink_anon_vmas(v);
    vma_unlink_file(v);
    hugetlb_vma_close(m->sys, v);
    if (v->file)
        mm_file_put(m->sys, v->file);
    mpol_put(v->policy);
    vma_tree_erase(&m->vmas, v);
    m->vma_gen++;
    free(v);
}

void vma_move_start(struct mm *m, struct vma *v, uint64_t start)
{
    vma_resize(m, v, start, v->end.v);
}

struct vma *vma_insert_new(struct mm *m, const struct vma_merge *g, enum vma_kind kind,
                           uint32_t label)
{
    struct vma proto = {.start = va(g->start),
                        .end = va(g->end),
                        .flags = g->flags,
                        .kind = (uint8_t)kind,
                        .pgoff = g->pgoff,
                        .file = g->file,
                        .policy = g->policy,
                        .file_id = g->file_id,
                        .label = label};
    struct vma *v = insert(m, &proto);
    v->resv = g->resv; /* the reference is handed over */
    v->resv_flags = g->resv_flags;
    if (g->src)
        anon_vma_dup(v, g->src);
    return v;
}

struct vma *vma_dup(struct mm *m, const struct vma *v, uint64_t flags)
{
    struct vma proto = *v;
    proto.flags = flags;
    proto.anon_vma = NULL;
    proto.resv = NULL; /* a child was promised nothing */
    proto.resv_flags = 0;
    return insert(m, &proto);
}

struct vma *vma_split(struct mm *m, struct vma *v, uint64_t a)
{
    struct vma proto = *v, *upper;
    proto.start = va(a);
    proto.pgoff = vma_pgoff_at(v, va(a));
    vma_adjust_trans_huge(m, a);
    vma_resize(m, v, v->start.v, a);
    upper = insert(m, &proto);
    anon_vma_clone(upper, v);
    return upper;
}

/* -- merging --------------------------------------------------------------------------------- */

/* A VMA that came through a fork with pages: merging it would make the trees of its parents grow. */
static bool vma_is_fork_child(const struct vma *v)
{
    return v && v->anon_vma && !anon_vma_chain_is_singular(v);
}

static bool is_mergeable_anon_vma(const struct vma *target, const struct vma_merge *g)
{
    if (!target->anon_vma && g->anon_vma)
        return !vma_is_fork_child(g->src);
    if (target->anon_vma && !g->anon_vma)
        return !vma_is_fork_child(target);
    return target->anon_vma == g->anon_vma;
}

static bool is_mergeable(const struct vma *v, const struct vma_merge *g)
{
    return !((v->flags ^ g->flags) & ~VM_STICKY) && v->file == g->file &&
           v->file_id == g->file_id && !g->special && v->kind != VMA_VDSO && v->kind != VMA_VVAR &&
           mpol_equal(v->policy, g->policy) && is_mergeable_anon_vma(v, g);
}

static bool can_merge_after(const struct vma *prev, const struct vma_merge *g)
{
    return prev && prev->end.v == g->start && is_mergeable(prev, g) &&
           prev->pgoff + vma_pages(prev) == g->pgoff;
}

static bool can_merge_before(const struct vma *next, const struct vma_merge *g)
{
    return next && next->start.v == g->end && is_mergeable(next, g) &&
           next->pgoff == g->pgoff + ((g->end - g->start) >> PAGE_SHIFT);
}

/* may_vanish is can_merge_remove_vma: a mapping of a System V segment counts as one (vm_ops->close). */
static bool may_vanish(const struct vma *v)
{
    return !v->file || !v->file->sysv;
}

/* choose says which sides take a range; prev and next must also fit each other. */
static void choose(struct vma **prev, struct vma **next, const struct vma_merge *g)
{
    if (g->flags & VM_SPECIAL)
        *prev = *next = NULL;
    if (!can_merge_after(*prev, g))
        *prev = NULL;
    if (!can_merge_before(*next, g))
        *next = NULL;
    if (*prev && *next && (*prev)->anon_vma && (*next)->anon_vma &&
        (*prev)->anon_vma != (*next)->anon_vma)
        *next = NULL;
}

struct vma *vma_merge_new_range(struct mm *m, const struct vma_merge *g)
{
    struct vma *next = find_vma(m, g->start), *prev = next ? next->prev : m->vmas.last;
    if (g->just_expand)
        next = NULL;
    choose(&prev, &next, g);
    if (prev && next && !may_vanish(next))
        next = NULL;
    if (!prev && !next)
        return NULL;
    uint64_t start = prev ? prev->start.v : g->start, end = next ? next->end.v : g->end;
    struct vma *target = prev ? prev : next;
    target->flags |= (g->flags | (next ? next->flags : 0)) & VM_STICKY;
    if (prev && next)
        anon_vma_dup(prev, next);
    if (g->src) /* mremap: the pages come from there; it may be next */
        anon_vma_dup(target, g->src);
    if (prev && next)
        vma_remove(m, next);
    vma_resize(m, target, start, end);
    return target;
}

/* merge_existing is vma_merge_existing_range: [start, end) is all of middle or one of its edges. */
static struct vma *merge_existing(struct mm *m, struct vma *middle, const struct vma_merge *g)
{
    bool left_side = g->start == middle->start.v, right_side = g->end == middle->end.v;
    struct vma *prev = left_side ? middle->prev : NULL;
    struct vma *next = right_side ? middle->next : NULL;
    choose(&prev, &next, g);
    if (prev && next && !may_vanish(next))
        next = NULL;
    if ((!prev && !next) || (left_side && right_side && !may_vanish(middle)))
        return NULL;
    struct vma *target = prev ? prev : next;
    uint64_t start = prev ? prev->start.v : g->start, end = next ? next->end.v : g->end;
    anon_vma_dup(target, prev && next && next->anon_vma ? next : middle);
    target->flags |= (middle->flags | (next ? next->flags : 0)) & VM_STICKY;
    vma_adjust_trans_huge(m, prev ? g->end : g->start);
    if (prev && next)
        vma_remove(m, next);
    if (left_side && right_side)
        vma_remove(m, middle);
    else if (prev)
        vma_move_start(m, middle, g->end);
    else
        vma_resize(m, middle, middle->start.v, g->start);
    vma_resize(m, target, start, end);
    return target;
}

static int split_checked(struct mm *m, struct vma *v, uint64_t a, struct vma **ret_upper)
{
    if (m->vmas.nr >= m->sys->conf.kernel_max_map_count)
        return -ENOMEM;
    if (!vma_may_split(v, a))
        return -EINVAL;
    *ret_upper = vma_split(m, v, a);
    return 0;
}

/* modify is vma_modify for a range inside v that shall become what g says. */
static int modify(struct mm *m, struct vma *v, const struct vma_merge *g, struct vma **ret)
{
    uint64_t start = g->start, end = g->end;
    struct vma *merged = merge_existing(m, v, g), *upper;
    if (merged) {
        *ret = merged;
        return 0;
    }
    bool cut = start > v->start.v;
    if (cut) {
        int err = split_checked(m, v, start, &upper);
        if (err != 0)
            return err;
        v = upper;
    }
    if (end < v->end.v) {
        int err = split_checked(m, v, end, &upper);
        if (err != 0) {
            m->loose |= cut; /* it stays */
            return err;
        }
    }
    *ret = v;
    return 0;
}

/* same_as describes [start, end) of v as it is. */
static struct vma_merge same_as(struct vma *v, uint64_t start, uint64_t end)
{
    return (struct vma_merge){.start = start,
                              .end = end,
                              .pgoff = vma_pgoff_at(v, va(start)),
                              .flags = v->flags,
                              .file = v->file,
                              .file_id = v->file_id,
                              .anon_vma = v->anon_vma,
                              .policy = v->policy,
                              .src = v,
                              .special = v->kind == VMA_VDSO || v->kind == VMA_VVAR};
}

int vma_modify(struct mm *m, struct vma *v, uint64_t start, uint64_t end, uint64_t flags,
               struct vma **ret)
{
    struct vma_merge g = same_as(v, start, end);
    g.flags = flags;
    return modify(m, v, &g, ret);
}

int vma_modify_policy(struct mm *m, struct vma *v, uint64_t start, uint64_t end,
                      struct mempolicy *policy, struct vma **ret)
{
    struct vma_merge g = same_as(v, start, end);
    g.policy = policy;
    return modify(m, v, &g, ret);
}

/* -- anon_vma -------------------------------------------------------------------------------- */

static bool anon_vma_compatible(const struct vma *a, const struct vma *b)
{
    return a->end.v == b->start.v && a->file == b->file && a->file_id == b->file_id &&
           mpol_equal(a->policy, b->policy) &&
           !((a->flags ^ b->flags) & ~(VM_ACCESS_FLAGS | VM_MAYBE_GUARD)) &&
           b->pgoff == a->pgoff + vma_pages(a);
}

static bool reusable(const struct vma *a, const struct vma *b, const struct vma *old)
{
    return old->anon_vma && anon_vma_compatible(a, b) && anon_vma_chain_is_singular(old);
}

struct anon_vma *find_mergeable_anon_vma(const struct vma *v)
{
    const struct vma *next = v->next, *prev = v->prev;
    if (next && reusable(v, next, next))
        return next->anon_vma;
    return prev && reusable(prev, v, prev) ? prev->anon_vma : NULL;
}

/* -- for the audit --------------------------------------------------------------------------- */

bool audit_can_merge(const struct mm *m, const struct vma *a, const struct vma *b)
{
    struct vma_merge g = same_as((struct vma *)b, b->start.v, b->end.v);
    /* Neither a stack that grows down to a neighbour nor the first heap page merges with it. */
    return !(b->flags & (VM_SPECIAL | VM_GROWSDOWN)) && may_vanish(b) &&
           b->start.v != m->start_brk && can_merge_after(a, &g);
}
