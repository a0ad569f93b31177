/* vma.c: the sorted array of VMAs: finding, splitting, merging, accounting.
 *
 *   vma[]   ┌ AAAA ┐┌ BB ┐      ┌ CCCCCC ┐┌ stack ┐
 *   end[]   a.end   b.end       c.end     …          binary search reads only these
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
 * Invariants: I1 and I2 of mm.h; end[i] == vma[i]->end.v; a label's cur_bytes is the sum over the
 * VMAs that carry it.
 *
 * Source: Linux 6.18 mm/vma.c, mm/mmap.c (vm_stat_account), include/linux/mm.h (vm_start_gap).
 */
#include "mm/mm_int.h"

/* -- finding --------------------------------------------------------------------------------- */

/* No branch depends on what is found: 7 steps for 100 VMAs, about 10 ns. */
uint32_t vma_find(const struct mm *m, uint64_t a)
{
    uint32_t lo = 0, n = m->vma_nr;
    for (uint32_t half; n > 1; n -= half) {
        half = n / 2;
        lo += half * (m->end[lo + half - 1] <= a);
    }
    return lo + (n == 1 && m->end[lo] <= a);
}

struct vma *vma_lookup(const struct mm *m, uint64_t a)
{
    struct vma_hit *h = &m->hits[(a >> 16 ^ a >> 22) % VMA_HITS];
    if (likely(a >= h->start && a < h->end))
        return h->vma;
    uint32_t i = vma_find(m, a);
    if (i == m->vma_nr || m->vma[i]->start.v > a)
        return NULL;
    *h = (struct vma_hit){m->vma[i]->start.v, m->vma[i]->end.v, m->vma[i]};
    return h->vma;
}

const struct vma *mm_vma_at(const struct mm *m, vaddr a)
{
    return vma_lookup(m, a.v);
}

const struct vma *const *mm_vmas(const struct mm *m, uint32_t *ret_n)
{
    *ret_n = m->vma_nr;
    return (const struct vma *const *)m->vma;
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
    if (!(v->flags & VM_ACCESS_FLAGS))
        return PTE_PROTNONE | PTE_A;
    uint64_t bits = PTE_P | PTE_US | PTE_A;
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

/* -- the array ------------------------------------------------------------------------------- */

static void forget_hits(struct mm *m)
{
    memset(m->hits, 0, VMA_HITS * sizeof(*m->hits));
}

/* vma_resize moves both ends; the page offset goes with the start. */
static void vma_resize(struct mm *m, uint32_t i, uint64_t start, uint64_t end)
{
    struct vma *v = m->vma[i];
    CHECK(start < end && (i == 0 || m->end[i - 1] <= start)); /* I1 */
    label_add(m->sys, v->label, (int64_t)(end - start) - (int64_t)(v->end.v - v->start.v));
    vma_pre_update(v);
    v->pgoff += (uint64_t)((int64_t)(start - v->start.v) >> PAGE_SHIFT);
    v->start = va(start);
    v->end = va(end);
    vma_post_update(v);
    m->end[i] = end;
    forget_hits(m);
}

static void make_room(struct mm *m)
{
    if (m->vma_nr < m->vma_cap)
        return;
    m->vma_cap = m->vma_cap ? 2 * m->vma_cap : 64;
    m->vma = realloc(m->vma, m->vma_cap * sizeof(*m->vma));
    m->end = realloc(m->end, m->vma_cap * sizeof(*m->end));
    ASSERT(m->vma && m->end);
}

static struct vma *insert_at(struct mm *m, uint32_t i, const struct vma *proto)
{
    struct vma *v = malloc(sizeof(*v));
    ASSERT(v);
    *v = *proto;
    v->m = m;
    v->chain = NULL;
    make_room(m);
    memmove(&m->vma[i + 1], &m->vma[i], (m->vma_nr - i) * sizeof(*m->vma));
    memmove(&m->end[i + 1], &m->end[i], (m->vma_nr - i) * sizeof(*m->end));
    m->vma[i] = v;
    m->end[i] = v->end.v;
    m->vma_nr++;
    if (v->file)
        file_get(v->file);
    vma_link_file(v);
    label_add(m->sys, v->label, (int64_t)(v->end.v - v->start.v));
    forget_hits(m);
    return v;
}

void vma_remove(struct mm *m, uint32_t i, uint32_t n)
{
    for (uint32_t k = i; k < i + n; k++) {
        struct vma *v = m->vma[k];
        label_add(m->sys, v->label, -(int64_t)(v->end.v - v->start.v));
        unlink_anon_vmas(v);
        vma_unlink_file(v);
        if (v->file)
            mm_file_put(m->sys, v->file);
        free(v);
    }
    memmove(&m->vma[i], &m->vma[i + n], (m->vma_nr - i - n) * sizeof(*m->vma));
    memmove(&m->end[i], &m->end[i + n], (m->vma_nr - i - n) * sizeof(*m->end));
    m->vma_nr -= n;
    forget_hits(m);
}

void vma_move_start(struct mm *m, struct vma *v, uint64_t start)
{
    vma_resize(m, vma_find(m, v->start.v), start, v->end.v);
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
                        .label = label};
    struct vma *v = insert_at(m, vma_find(m, g->start), &proto);
    if (g->src)
        anon_vma_dup(v, g->src);
    return v;
}

uint32_t vma_split(struct mm *m, struct vma *v, uint64_t a)
{
    uint32_t i = vma_find(m, v->start.v);
    struct vma upper = *v;
    upper.start = va(a);
    upper.pgoff = vma_pgoff_at(v, va(a));
    vma_resize(m, i, v->start.v, a);
    anon_vma_clone(insert_at(m, i + 1, &upper), v);
    return i + 1;
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
    return v->flags == g->flags && v->file == g->file && !g->special && v->kind != VMA_VDSO &&
           v->kind != VMA_VVAR && is_mergeable_anon_vma(v, g);
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

static struct vma *at_or_null(const struct mm *m, uint32_t i)
{
    return i < m->vma_nr ? m->vma[i] : NULL; /* i - 1 of 0 is out of range, too */
}

static void grow(struct mm *m, struct vma *v, uint64_t start, uint64_t end)
{
    vma_resize(m, vma_find(m, v->start.v), start, end);
}

struct vma *vma_merge_new_range(struct mm *m, const struct vma_merge *g)
{
    uint32_t i = vma_find(m, g->start);
    struct vma *prev = at_or_null(m, i - 1);
    struct vma *next = g->just_expand ? NULL : at_or_null(m, i);
    choose(&prev, &next, g);
    if (!prev && !next)
        return NULL;
    uint64_t start = prev ? prev->start.v : g->start, end = next ? next->end.v : g->end;
    struct vma *target = prev ? prev : next;
    if (prev && next) {
        anon_vma_dup(prev, next);
        vma_remove(m, i, 1);
    }
    if (g->src) /* mremap: the pages come from there */
        anon_vma_dup(target, g->src);
    grow(m, target, start, end);
    return target;
}

/* merge_existing is vma_merge_existing_range: [start, end) is all of middle or one of its edges. */
static struct vma *merge_existing(struct mm *m, struct vma *middle, const struct vma_merge *g)
{
    bool left_side = g->start == middle->start.v, right_side = g->end == middle->end.v;
    uint32_t i = vma_find(m, middle->start.v);
    struct vma *prev = left_side ? at_or_null(m, i - 1) : NULL;
    struct vma *next = right_side ? at_or_null(m, i + 1) : NULL;
    choose(&prev, &next, g);
    if (!prev && !next)
        return NULL;
    struct vma *target = prev ? prev : next;
    uint64_t start = prev ? prev->start.v : g->start, end = next ? next->end.v : g->end;
    anon_vma_dup(target, prev && next && next->anon_vma ? next : middle);
    if (prev && next)
        vma_remove(m, i, 2);
    else if (left_side && right_side)
        vma_remove(m, i, 1);
    else if (prev)
        vma_move_start(m, middle, g->end);
    else
        vma_resize(m, i, middle->start.v, g->start);
    grow(m, target, start, end);
    return target;
}

static int split_checked(struct mm *m, struct vma *v, uint64_t a, struct vma **ret_upper)
{
    if (m->vma_nr >= m->sys->conf.kernel_max_map_count)
        return -ENOMEM;
    uint32_t i = vma_split(m, v, a); /* may move the array */
    *ret_upper = m->vma[i];
    return 0;
}

int vma_modify(struct mm *m, struct vma *v, uint64_t start, uint64_t end, uint64_t flags,
               struct vma **ret)
{
    struct vma_merge g = {.start = start,
                          .end = end,
                          .pgoff = vma_pgoff_at(v, va(start)),
                          .flags = flags,
                          .file = v->file,
                          .anon_vma = v->anon_vma,
                          .src = v,
                          .special = v->kind == VMA_VDSO || v->kind == VMA_VVAR};
    struct vma *merged = merge_existing(m, v, &g), *upper;
    if (merged) {
        *ret = merged;
        return 0;
    }
    if (start > v->start.v) {
        int err = split_checked(m, v, start, &upper);
        if (err != 0)
            return err;
        v = upper;
    }
    if (end < v->end.v) {
        int err = split_checked(m, v, end, &upper);
        if (err != 0)
            return err;
    }
    *ret = v;
    return 0;
}

/* -- anon_vma -------------------------------------------------------------------------------- */

static bool anon_vma_compatible(const struct vma *a, const struct vma *b)
{
    return a->end.v == b->start.v && a->file == b->file &&
           !((a->flags ^ b->flags) & ~VM_ACCESS_FLAGS) && b->pgoff == a->pgoff + vma_pages(a);
}

static bool reusable(const struct vma *a, const struct vma *b, const struct vma *old)
{
    return old->anon_vma && anon_vma_compatible(a, b) && anon_vma_chain_is_singular(old);
}

struct anon_vma *find_mergeable_anon_vma(const struct mm *m, const struct vma *v)
{
    uint32_t i = vma_find(m, v->start.v);
    const struct vma *next = at_or_null(m, i + 1), *prev = at_or_null(m, i - 1);
    if (next && reusable(v, next, next))
        return next->anon_vma;
    return prev && reusable(prev, v, prev) ? prev->anon_vma : NULL;
}

/* -- for the audit --------------------------------------------------------------------------- */

bool audit_can_merge(const struct mm *m, const struct vma *a, const struct vma *b)
{
    struct vma_merge g = {.start = b->start.v,
                          .end = b->end.v,
                          .pgoff = b->pgoff,
                          .flags = b->flags,
                          .file = b->file,
                          .anon_vma = b->anon_vma,
                          .src = (struct vma *)b,
                          .special = b->kind == VMA_VDSO || b->kind == VMA_VVAR};
    /* Neither a stack that grows down to a neighbour nor the first heap page merges with it. */
    return !(b->flags & (VM_SPECIAL | VM_GROWSDOWN)) && b->start.v != m->start_brk &&
           can_merge_after(a, &g);
}
