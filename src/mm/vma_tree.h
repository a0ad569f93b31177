/* vma_tree.h: the VMAs of an address space in order: a B+ tree that also knows the gaps.
 *
 *              end:  0x9000          0xf000
 *              gap:  largest of      largest of            each step costs O(log n):
 *              ┌─────┴─────┐   ┌─────┴─────┐               find, insert, erase, update,
 *   end:     0x3000     0x9000 0xc000   0xf000             the next gap of a length
 *   gap:     before A   before B  …     before D           to either side
 *            A ◄──────► B ◄──────► C ◄──────► D            also a list: v->prev, v->next
 *
 * The gap of a VMA is the free memory that ends where it starts. That a growing stack wants a guard
 * gap kept free is the searcher's business, as in Linux.
 */
#ifndef MM_VMA_TREE_H
#define MM_VMA_TREE_H

#include "mm/mm.h"

#ifdef PW_HOSTILE
#define VMA_TREE_FANOUT 4u
#else
#define VMA_TREE_FANOUT 32u
#endif

struct vma_node {
    uint64_t end[VMA_TREE_FANOUT]; /* where the last VMA below an entry ends: sorted */
    uint64_t gap[VMA_TREE_FANOUT]; /* the largest gap before a VMA below an entry, bytes */
    void *below[VMA_TREE_FANOUT];  /* struct vma_node *, or struct vma * in a leaf */
    uint32_t n;                    /* entries in use; 0 only in an empty tree's root */
    bool leaf;
};

struct vma_tree {
    struct vma_node *root;    /* NULL: empty */
    struct vma *first, *last; /* ends of the list; NULL: empty */
    uint32_t nr;              /* VMAs */
};

/* vma_tree_find returns the first VMA that ends above a, or NULL. About 10 ns for 100 VMAs. */
struct vma *vma_tree_find(const struct vma_tree *t, uint64_t a);
/* vma_tree_insert puts v in. pre: nothing in the tree overlaps it. */
void vma_tree_insert(struct vma_tree *t, struct vma *v);
void vma_tree_erase(struct vma_tree *t, struct vma *v);
/* vma_tree_update must follow a change of v->start or v->end. pre: the new range overlaps the old one
 * and no neighbour. */
void vma_tree_update(struct vma_tree *t, struct vma *v);
/* vma_tree_gap_below returns the last VMA before v (NULL: of all) whose gap has len bytes, or NULL;
 * vma_tree_gap_above the first one after v. pre: v is in the tree. */
struct vma *vma_tree_gap_below(const struct vma_tree *t, const struct vma *v, uint64_t len);
struct vma *vma_tree_gap_above(const struct vma_tree *t, const struct vma *v, uint64_t len);
/* vma_tree_gap returns the gap of v, bytes. */
uint64_t vma_tree_gap(const struct vma *v);
/* vma_tree_close frees the nodes; the VMAs are the caller's. */
void vma_tree_close(struct vma_tree *t);
/* vma_tree_valid checks order, list, ends, gaps and sizes of nodes. Slow. */
bool vma_tree_valid(const struct vma_tree *t);

#endif
