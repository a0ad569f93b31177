/* anon_vma.c: which VMAs may map an anonymous page. A page knows one anon_vma, an anon_vma knows the
 * VMAs (of several processes after forks), and page offsets tell where in each the page would be.
 *
 *   frame.mapping ─► anon_vma A ─ tree by pgoff ─► avc ─► VMA of the parent
 *                        ▲ parent                 └► avc ─► VMA of the child ─┐
 *                    anon_vma B ─ tree by pgoff ──► avc ─────────────────────►┘ its own new pages
 *
 *   vma.chain    every anon_vma whose pages the VMA may hold: those inherited, oldest first, and
 *                the own one. A chain of one is a VMA that never came through a fork.
 *   vma.anon_vma where pages it makes go
 *
 * I1  A VMA with anon_vma has it in its chain; a VMA without has an empty chain.
 * I2  num_active_vmas = VMAs whose anon_vma it is; num_children = anon_vmas whose parent it is (a
 *     root is its own child).
 * I3  A chain's node lies in the tree of its anon_vma with the page offsets of its VMA.
 * I4  An anon_vma lives as long as a chain holds it, or a child holds it as root, or a caller does.
 *
 * Source: Linux 6.18 mm/rmap.c (__anon_vma_prepare, anon_vma_clone, anon_vma_fork,
 * unlink_anon_vmas), mm/vma.c (anon_vma_interval_tree_pre_update_vma, dup_anon_vma).
 */
#include "mm/mm_int.h"

static struct anon_vma *anon_vma_alloc(void)
{
    struct anon_vma *a = calloc(1, sizeof(*a));
    ASSERT(a);
    a->refs = 1;
    a->root = a->parent = a;
    return a;
}

void anon_vma_get(struct anon_vma *a)
{
    a->refs++;
}

void anon_vma_put(struct anon_vma *a)
{
    CHECK(a->refs > 0); /* I4 */
    if (--a->refs > 0)
        return;
    struct anon_vma *root = a->root;
    CHECK(!a->vmas.root && a->num_active_vmas == 0);
    if (root != a)
        anon_vma_put(root); /* once: a root is its own root */
    free(a);
}

/* -- chains ---------------------------------------------------------------------------------- */

static void avc_insert(struct anon_vma_chain *c)
{
    const struct vma *v = c->vma;
    itree_insert(&c->anon_vma->vmas, &c->node, v->pgoff, v->pgoff + vma_pages(v) - 1);
}

/* chain_link adds an anon_vma to the end of a VMA's chain. */
static void chain_link(struct vma *v, struct anon_vma *a)
{
    struct anon_vma_chain **link = &v->chain, *c = malloc(sizeof(*c));
    ASSERT(c);
    while (*link)
        link = &(*link)->next;
    *c = (struct anon_vma_chain){.vma = v, .anon_vma = a};
    *link = c;
    avc_insert(c);
}

void anon_vma_pre_update(struct vma *v)
{
    for (struct anon_vma_chain *c = v->chain; c; c = c->next)
        itree_remove(&c->anon_vma->vmas, &c->node);
}

void anon_vma_post_update(struct vma *v)
{
    for (struct anon_vma_chain *c = v->chain; c; c = c->next)
        avc_insert(c);
}

bool anon_vma_chain_is_singular(const struct vma *v)
{
    return v->chain && !v->chain->next;
}

/* -- the first page, a split, a fork, the end ------------------------------------------------- */

void anon_vma_prepare(struct mm *m, struct vma *v)
{
    CHECK(v->m == m);
    if (likely(v->anon_vma != NULL))
        return;
    arch_lock(m->sys->outbox, LOCK_MMAP_READ, 0, 0); /* __vmf_anon_prepare */
    struct anon_vma *a = find_mergeable_anon_vma(v);
    if (!a) {
        a = anon_vma_alloc();
        a->num_children = 1; /* itself */
    }
    v->anon_vma = a;
    a->num_active_vmas++;
    chain_link(v, a);
}

/* An ancestor that no VMA uses for new pages and that has at most one child serves again: otherwise a
 * process that forks, goes on in its child and so forth would have ever longer chains. */
static bool may_reuse(const struct anon_vma *a)
{
    return a->num_children < 2 && a->num_active_vmas == 0;
}

void anon_vma_clone(struct vma *to, const struct vma *from)
{
    struct anon_vma *reuse = NULL;
    for (const struct anon_vma_chain *c = from->chain; c; c = c->next) {
        chain_link(to, c->anon_vma);
        if (!reuse && may_reuse(c->anon_vma))
            reuse = c->anon_vma;
    }
    if (!to->anon_vma && from->anon_vma)
        to->anon_vma = reuse;
    if (to->anon_vma)
        to->anon_vma->num_active_vmas++;
}

void anon_vma_dup(struct vma *to, const struct vma *from)
{
    if (!from->anon_vma || to->anon_vma)
        return;
    to->anon_vma = from->anon_vma;
    anon_vma_clone(to, from);
}

void anon_vma_fork(struct vma *child, const struct vma *parent)
{
    CHECK(!child->anon_vma && !child->chain);
    if (!parent->anon_vma)
        return;
    anon_vma_clone(child, parent);
    if (child->anon_vma)
        return;
    struct anon_vma *a = anon_vma_alloc();
    a->root = parent->anon_vma->root;
    a->parent = parent->anon_vma;
    a->parent->num_children++;
    a->num_active_vmas = 1;
    anon_vma_get(a->root);
    child->anon_vma = a;
    chain_link(child, a);
}

void unlink_anon_vmas(struct vma *v)
{
    struct anon_vma_chain *chain = v->chain;
    for (struct anon_vma_chain *c = chain; c; c = c->next) {
        itree_remove(&c->anon_vma->vmas, &c->node);
        if (!c->anon_vma->vmas.root)
            c->anon_vma->parent->num_children--;
    }
    if (v->anon_vma)
        v->anon_vma->num_active_vmas--;
    v->anon_vma = NULL;
    v->chain = NULL;
    while (chain) { /* the objects go last: a parent may stand later in the chain */
        struct anon_vma_chain *next = chain->next;
        if (!chain->anon_vma->vmas.root)
            anon_vma_put(chain->anon_vma);
        free(chain);
        chain = next;
    }
}
