/* mempolicy.c: which node a page shall come from: policies of VMAs, of shared memory, of a task.
 *
 *   page of a VMA ─┬ shmem, memfd, SysV ─► the object's policy for that page (mm_file.policies)
 *                  └ all others ─────────► vma.policy
 *                        none ▼                           page cache, tables, kernel ─┐
 *                     the task's (mm.numa.policy) ◄───────────────────────────────────┘
 *                        none ▼
 *                     the CPU's node first, then its neighbours
 *
 * A policy is shared by reference: VMAs that were one and are split hold the same object.
 *
 * Invariants:
 *  I1  A policy lives as long as VMAs, ranges of shared memory and tasks hold it: refs of them.
 *  I2  Ranges of mm_file.policies are sorted, not empty and do not overlap.
 *  I3  What mbind gave shared memory stays with the object: every other mapping of it sees it, and so
 *      does one made later.
 *
 * Source: Linux 6.18 mm/mempolicy.c (do_mbind, do_get_mempolicy, do_set_mempolicy,
 * set_mempolicy_home_node, get_vma_policy, policy_nodemask, alloc_pages_mpol,
 * mpol_set_shared_policy), mm/shmem.c (shmem_get_policy, shmem_get_pgoff_policy).
 */
#include "mm/migrate_int.h"

/* -- policies as objects --------------------------------------------------------------------- */

struct mempolicy *mpol_get(struct mempolicy *p)
{
    if (p)
        p->refs++;
    return p;
}

void mpol_put(struct mempolicy *p)
{
    if (p && --p->refs == 0) /* I1 */
        free(p);
}

static struct mempolicy *mpol_dup(const struct mempolicy *p)
{
    struct mempolicy *new = malloc(sizeof(*new));
    ASSERT(new);
    *new = *p;
    new->refs = 1;
    return new;
}

/* mpol_new makes the policy of a call: 0 and a new object, or NULL for MPOL_DEFAULT; -EINVAL. */
static int mpol_new(const struct mm_sys *s, int mode, uint16_t flags, const struct nodemask *user,
                    struct mempolicy **ret)
{
    struct mempolicy p;
    bool is_default;
    int err = mpol_make(mode, flags, user, numa_memory_nodes(s), &p, &is_default);
    if (err != 0)
        return err;
    *ret = is_default ? NULL : mpol_dup(&p);
    return 0;
}

/* -- the machine ----------------------------------------------------------------------------- */

unsigned numa_node_id(const struct mm_sys *s)
{
    return phys_cpu_node(s->phys, s->lru.cpu);
}

uint64_t numa_memory_nodes(const struct mm_sys *s)
{
    return UINT64_MAX >> (64 - phys_nodes(s->phys));
}

void mempolicy_open(struct mm_sys *s)
{
    struct conf_numa numa;
    char err[128];
    if (conf_numa(&s->conf, &numa, err, sizeof(err)) != 0)
        numa = (struct conf_numa){0}; /* phys_open has refused such a machine */
    numa_weights(numa_memory_nodes(s), numa.bandwidth, s->weights);
    for (unsigned n = 0; n < NUMA_NODES && numa.weight[0] != 0; n++)
        s->weights[n] = (uint8_t)max_u64(1, numa.weight[n]);
}

/* -- shared memory --------------------------------------------------------------------------- */

static bool has_shared_policy(const struct mm_file *f)
{
    return f && f->kind == FILE_SHMEM;
}

/* mpol_shared_policy_lookup returns the policy of a page of an object, or NULL. */
static struct mempolicy *mpol_shared_policy_lookup(const struct mm_file *f, uint64_t pgoff)
{
    for (uint32_t i = 0; i < f->policies_nr; i++)
        if (pgoff < f->policies[i].end)
            return pgoff >= f->policies[i].start ? f->policies[i].policy : NULL;
    return NULL;
}

static void keep_range(struct mm_file *f, uint64_t start, uint64_t end, struct mempolicy *p)
{
    if (start >= end)
        return;
    f->policies[f->policies_nr++] = (struct sp_range){start, end, mpol_get(p)};
}

/* mpol_set_shared_policy gives pages [start, end) of an object a policy, NULL to take it away. */
static void mpol_set_shared_policy(struct mm_file *f, uint64_t start, uint64_t end,
                                   struct mempolicy *p)
{
    struct sp_range *old = f->policies;
    uint32_t n = f->policies_nr, i = 0;
    f->policies = malloc((n + 2) * sizeof(*f->policies));
    ASSERT(f->policies);
    f->policies_nr = 0;
    for (; i < n && old[i].start < start; i++) {
        keep_range(f, old[i].start, min_u64(old[i].end, start), old[i].policy);
        if (old[i].end > end)
            break; /* the new range lies inside this one */
    }
    if (p)
        keep_range(f, start, end, p);
    for (; i < n; i++)
        keep_range(f, max_u64(old[i].start, end), old[i].end, old[i].policy);
    for (i = 0; i < n; i++)
        mpol_put(old[i].policy);
    free(old);
}

void mpol_free_shared_policy(struct mm_file *f)
{
    for (uint32_t i = 0; i < f->policies_nr; i++)
        mpol_put(f->policies[i].policy);
    free(f->policies);
    f->policies = NULL;
    f->policies_nr = 0;
}

/* -- the policy of a page -------------------------------------------------------------------- */

struct mempolicy *vma_policy_at(const struct vma *v, vaddr a, uint64_t *ret_base)
{
    *ret_base = 0;
    if (!has_shared_policy(v->file))
        return v->policy;
    *ret_base = v->file->ino;
    return mpol_shared_policy_lookup(v->file, vma_pgoff_at(v, a));
}

void mm_numa_policy(const struct mm *m, const struct vma *v, char *ret, size_t len)
{
    uint64_t base;
    const struct mempolicy *p = vma_policy_at(v, v->start, &base);
    mpol_to_str(p ? p : m->numa.policy, ret, len);
}

/* Which policy an allocation follows, and its place in interleaving. */
struct choice {
    const struct mempolicy *policy; /* NULL: default */
    uint64_t ilx;                   /* index of the page */
    bool indexed;                   /* ilx counts; else the task goes round (il_prev) */
};

static struct choice choose_policy(const struct mm *m, const struct mm_req *r)
{
    struct choice c = {0};
    uint64_t base;
    if (r->vma) {
        c.policy = vma_policy_at(r->vma, r->addr, &base);
        c.ilx = mpol_ilx(base, r->vma->pgoff, r->addr.v - r->vma->start.v, r->order);
        c.indexed = true;
    } else if (has_shared_policy(r->file)) {
        c.policy = mpol_shared_policy_lookup(r->file, r->pgoff);
        c.ilx = mpol_ilx(r->file->ino, r->pgoff, 0, r->order);
        c.indexed = true;
    }
    if (!c.policy && m)
        c.policy = m->numa.policy;
    return c;
}

/* policy_zone: only requests that may come from the machine's highest zone follow BIND. */
static bool apply_policy_zone(const struct mm_sys *s, enum phys_gfp gfp)
{
    return gfp == GFP_USER || gfp == GFP_KERNEL ||
           (gfp == GFP_DMA32 && phys_frames(s->phys) <= GIB(4) >> PAGE_SHIFT);
}

/* policy_nodemask of Linux: where to start, and which nodes are allowed. */
static void policy_nodes(const struct mm_sys *s, struct interleave *il, const struct choice *c,
                         enum phys_gfp gfp, struct mpol_pick *ret)
{
    const struct mempolicy *p = c->policy;
    uint64_t nodes = p->nodes;
    switch (p->mode) {
    case MPOL_PREFERRED:
        ret->nid = first_node(nodes);
        break;
    case MPOL_BIND:
        if (apply_policy_zone(s, gfp))
            ret->nodes = nodes;
        break;
    case MPOL_PREFERRED_MANY:
        ret->nodes = nodes;
        ret->then_all = true;
        break;
    case MPOL_INTERLEAVE:
        ret->nid = c->indexed ? interleave_nid(nodes, c->ilx) : interleave_nodes(il, nodes);
        ret->interleaved = true;
        break;
    case MPOL_WEIGHTED_INTERLEAVE:
        ret->nid = c->indexed ? weighted_interleave_nid(nodes, s->weights, c->ilx)
                              : weighted_interleave_nodes(il, nodes, s->weights);
        ret->interleaved = true;
        break;
    default:
        break; /* MPOL_LOCAL */
    }
    if (p->home_node != NUMA_NO_NODE)
        ret->nid = (unsigned)p->home_node;
}

void mpol_pick(struct mm_sys *s, const struct mm_req *r, struct mpol_pick *ret)
{
    if (r->pick) {
        *ret = *r->pick;
        return;
    }
    struct mm *m = r->m ? r->m : s->current;
    struct choice c = choose_policy(m, r);
    *ret = (struct mpol_pick){.nid = numa_node_id(s)};
    if (c.policy)
        policy_nodes(s, m ? &m->numa.il : &(struct interleave){0}, &c, r->gfp, ret);
}

void mpol_pick_by(struct mm_sys *s, struct mm *m, const struct mempolicy *p, uint64_t ilx,
                  struct mpol_pick *ret)
{
    struct choice c = {p, ilx, true};
    *ret = (struct mpol_pick){.nid = numa_node_id(s)};
    policy_nodes(s, &m->numa.il, &c, GFP_USER, ret);
}

/* -- mbind ----------------------------------------------------------------------------------- */

static void vma_replace_policy(struct vma *v, struct mempolicy *p)
{
    struct mempolicy *old = v->policy;
    if (has_shared_policy(v->file))
        mpol_set_shared_policy(v->file, v->pgoff, v->pgoff + vma_pages(v), p); /* I3 */
    v->policy = mpol_get(p);
    mpol_put(old);
}

/* mbind_range gives the part of v in [start, end) a policy. *ret_end: where the next part begins. */
static int mbind_range(struct mm *m, struct vma *v, uint64_t start, uint64_t end,
                       struct mempolicy *p, uint64_t *ret_end)
{
    start = max_u64(start, v->start.v);
    end = min_u64(end, v->end.v);
    *ret_end = end;
    if (mpol_equal(v->policy, p))
        return 0;
    int err = vma_modify_policy(m, v, start, end, p, &v);
    if (err != 0)
        return err;
    vma_replace_policy(v, p);
    return 0;
}

/* bind_all goes VMA by VMA; what was changed before an error stays changed. */
static int bind_all(struct mm *m, uint64_t start, uint64_t end, struct mempolicy *p)
{
    for (struct vma *v; start < end && (v = find_vma_intersection(m, start, end)) != NULL;) {
        int err = mbind_range(m, v, start, end, p, &start);
        if (err != 0)
            return err;
    }
    return 0;
}

/* address_in finds where [start, end) maps a folio, the first place, or returns false. */
static bool address_in(struct mm *m, pfn head, uint64_t start, uint64_t end, struct vma **ret_vma,
                       vaddr *ret)
{
    struct rmap_walk w;
    bool found = false;
    for (rmap_start(&w, m->sys, head); rmap_next(&w);)
        if (w.m == m && w.a.v >= start && w.a.v < end && (!found || w.a.v < ret->v)) {
            *ret_vma = w.vma;
            *ret = w.a;
            found = true;
        }
    return found;
}

/* migrate_to_policy moves a list by a policy. Interleaving goes on from where the first of them
 * belongs. */
static int64_t migrate_to_policy(struct mm *m, struct folio_list *l, uint64_t start, uint64_t end,
                                 const struct mempolicy *p)
{
    struct migrate_to to = {.policy = p, .m = m, .pick = {.nid = numa_node_id(m->sys)}};
    const struct frame *f = phys_frame(m->sys->phys, l->folio[0]);
    struct vma *v;
    vaddr a;
    uint64_t base;
    if (p && (p->mode == MPOL_INTERLEAVE || p->mode == MPOL_WEIGHTED_INTERLEAVE) &&
        address_in(m, l->folio[0], start, end, &v, &a)) {
        vma_policy_at(v, a, &base);
        to.ilx = mpol_ilx(base, v->pgoff, a.v - v->start.v, f->order) - (f->index >> f->order);
    }
    return migrate_pages(m->sys, l, &to);
}

/* bind_and_move is the middle of do_mbind: pages that lie elsewhere are found, the VMAs get the
 * policy, the pages move. */
static int bind_and_move(struct mm *m, uint64_t start, uint64_t end, const struct nodemask *user,
                         uint32_t flags, struct mempolicy *p)
{
    struct folio_list list = {0};
    struct queue_pages q = {.start = start,
                            .end = end,
                            .nodes = user->w[0],
                            .invert = true,
                            .discontig_ok = p == NULL,
                            .flags = flags,
                            .list = &list};
    int64_t failed = queue_pages_range(m, &q);
    int err = failed < 0 ? (int)failed : bind_all(m, start, end, p);
    if (err == 0 && list.nr > 0)
        failed |= migrate_to_policy(m, &list, start, end, p ? p : m->numa.policy);
    putback_movable_pages(m->sys, &list);
    return err == 0 && failed != 0 && (flags & MPOL_MF_STRICT) ? -EIO : err;
}

static int do_mbind(struct mm *m, uint64_t start, uint64_t len, int mode, uint16_t mode_flags,
                    const struct nodemask *user, uint64_t flags)
{
    struct mempolicy *p;
    uint64_t end = start + align_up(len, PAGE_SIZE);
    if (flags & ~(uint64_t)MPOL_MF_VALID)
        return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !task_capable(m, CAP_SYS_NICE))
        return -EPERM;
    if (start % PAGE_SIZE != 0 || end < start)
        return -EINVAL;
    if (end == start)
        return 0;
    if (mode == MPOL_DEFAULT)
        flags &= ~(uint64_t)MPOL_MF_STRICT;
    int err = mpol_new(m->sys, mode, mode_flags, user, &p);
    if (err != 0)
        return err;
    if (flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        mm_lru_drain(m->sys);
    err = bind_and_move(m, start, end, user, (uint32_t)flags, p);
    mpol_put(p);
    return err;
}

int mm_mbind(struct mm *m, vaddr start, uint64_t len, int mode, const struct nodemask_arg *mask,
             uint64_t flags)
{
    struct nodemask user;
    uint16_t mode_flags;
    int err = sanitize_mpol_flags(mode, &mode, &mode_flags);
    if (err == 0)
        err = numa_get_nodes(mask, &user);
    if (err != 0)
        return err;
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    err = do_mbind(m, start.v, len, mode, mode_flags, &user, flags);
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return err;
}

/* -- set_mempolicy_home_node ----------------------------------------------------------------- */

/* set_home changes one VMA's policy; -ENOENT when it has none. */
static int set_home(struct mm *m, struct vma *v, uint64_t start, uint64_t end, int home,
                    uint64_t *ret_end)
{
    *ret_end = v->end.v;
    if (!v->policy)
        return -ENOENT;
    if (v->policy->mode != MPOL_BIND && v->policy->mode != MPOL_PREFERRED_MANY)
        return -EOPNOTSUPP;
    struct mempolicy *p = mpol_dup(v->policy);
    p->home_node = home;
    int err = mbind_range(m, v, start, end, p, ret_end);
    mpol_put(p);
    return err;
}

int mm_set_mempolicy_home_node(struct mm *m, vaddr addr, uint64_t len, uint64_t home,
                               uint64_t flags)
{
    uint64_t start = addr.v, end = start + align_up(len, PAGE_SIZE);
    int result = -ENOENT;
    if (start % PAGE_SIZE != 0 || flags != 0)
        return -EINVAL;
    if (home >= NUMA_NODES || !(numa_memory_nodes(m->sys) >> home & 1) || end < start)
        return -EINVAL;
    if (end == start)
        return 0;
    mmap_write_lock(m);
    arch_step(m->sys->outbox, STEP_VMA_CHANGE, 1);
    for (struct vma *v; start < end && (v = find_vma_intersection(m, start, end)) != NULL;) {
        int err = set_home(m, v, start, end, (int)home, &start);
        if (err != 0 && err != -ENOENT) {
            mmap_write_unlock(m);
            return err;
        }
        result = err == 0 ? 0 : result;
    }
    mmap_write_unlock(m);
    AUDIT(audit_call(m));
    return result;
}

/* -- the task's policy ----------------------------------------------------------------------- */

int mm_set_mempolicy(struct mm *m, int mode, const struct nodemask_arg *mask)
{
    struct nodemask user;
    struct mempolicy *p;
    uint16_t flags;
    int err = sanitize_mpol_flags(mode, &mode, &flags);
    if (err == 0)
        err = numa_get_nodes(mask, &user);
    if (err == 0)
        err = mpol_new(m->sys, mode, flags, &user, &p);
    if (err != 0)
        return err;
    mpol_put(m->numa.policy);
    m->numa.policy = p;
    if (p && (p->mode == MPOL_INTERLEAVE || p->mode == MPOL_WEIGHTED_INTERLEAVE))
        m->numa.il = (struct interleave){.prev = MAX_NUMNODES - 1};
    return 0;
}

/* lookup_node touches a page and says where it lies (get_user_pages_fast: what is mapped, the zero pages of
 * both sizes excepted, needs no right of the VMA). */
static int lookup_node(struct mm *m, vaddr a)
{
    unsigned level;
    a = va(align_down(a.v, PAGE_SIZE));
    struct vma *v = vma_lookup(m, a.v);
    const pte *e = pt_leaf(&m->pt, a, &level);
    if (!e || !pte_present(*e) || (e->v & PTE_SPECIAL)) {
        if (!(v->flags & VM_READ) || (v->flags & (VM_IO | VM_PFNMAP)))
            return -EFAULT;
        int err = faultin_page(m, v, a, false);
        if (err != 0)
            return err;
        e = pt_leaf(&m->pt, a, &level);
    }
    if (v->flags & (VM_IO | VM_PFNMAP))
        return -EFAULT;
    return phys_frame(m->sys->phys, pte_leaf_pfn(*e, level))->nid;
}

/* next_of_task: where the task's next allocation without a VMA will go. */
static int next_of_task(const struct mm *m, const struct mempolicy *p)
{
    const struct interleave *il = &m->numa.il;
    if (!p || p != m->numa.policy)
        return -EINVAL;
    if (p->mode == MPOL_WEIGHTED_INTERLEAVE && il->weight > 0)
        return (int)il->prev;
    if (p->mode == MPOL_INTERLEAVE || p->mode == MPOL_WEIGHTED_INTERLEAVE)
        return (int)next_node_in(il->prev, p->nodes);
    return -EINVAL;
}

/* do_get_mempolicy after the checks: what *policy shall say, or -errno. */
static int answer_policy(struct mm *m, const struct mempolicy *p, const struct mm_get_mempolicy *q)
{
    if (!(q->flags & MPOL_F_NODE))
        return p ? p->mode | (p->flags & (int)MPOL_MODE_FLAGS) : MPOL_DEFAULT;
    return q->flags & MPOL_F_ADDR ? lookup_node(m, q->addr) : next_of_task(m, p);
}

static uint64_t shown_nodes(const struct mempolicy *p)
{
    if (!p)
        return 0;
    return mpol_stores_user(p) ? p->user.w[0] : p->nodes;
}

int mm_get_mempolicy(struct mm *m, const struct mm_get_mempolicy *q, int *ret_policy,
                     uint64_t *ret_nodes)
{
    const struct mempolicy *p = m->numa.policy;
    uint64_t base;
    if (q->want_nodes && q->maxnode < nodes_weight(numa_memory_nodes(m->sys)))
        return -EINVAL;
    if (q->flags & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
        return -EINVAL;
    if (q->flags & MPOL_F_MEMS_ALLOWED) {
        if (q->flags & (MPOL_F_NODE | MPOL_F_ADDR))
            return -EINVAL;
        *ret_policy = 0;
        *ret_nodes = numa_memory_nodes(m->sys);
        return 0;
    }
    if (q->flags & MPOL_F_ADDR) {
        const struct vma *v = vma_lookup(m, q->addr.v);
        if (!v)
            return -EFAULT;
        p = vma_policy_at(v, q->addr, &base);
    } else if (q->addr.v != 0) {
        return -EINVAL;
    }
    int answer = answer_policy(m, p, q);
    if (answer < 0)
        return answer;
    *ret_policy = answer;
    *ret_nodes = shown_nodes(p);
    return 0;
}
