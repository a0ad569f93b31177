/* attrib.c: who caused a cost: which instruction (site) and which piece of the address space (area).
 *
 * Costs are array increments on the slow path; the fast path pays nothing. Sites hang at their
 * block, areas at mm's labels, which outlive the VMAs they name. An instruction that stands in
 * several blocks is added up when the sites are read. A block is shared by all processes that run the
 * same code at the same place; it is named after the mapping of the one in which it cost something first.
 *
 * Invariants:
 *  I1  areas[i] belongs to label i of mm_labels; it never shrinks.
 *  I2  [vma_start, vma_end) caches one VMA of the process that is fed, and is emptied whenever its address
 *      space may change, or another is fed.
 */
#include "sim/sim_int.h"

#include <stdlib.h>
#include <string.h>

/* name_block remembers where its code lies, as long as that is known: processes end. */
static void name_block(const struct sim *s, const struct block *b)
{
    const struct vma *v = mm_vma_at(s->current->proc->mm, va(b->pc));

    if (!v)
        return;
    b->cost->label = v->label + 1;
    b->cost->offset = b->pc - v->start.v + (v->file ? v->pgoff << PAGE_SHIFT : 0);
}

struct site_cost *attrib_site(const struct sim *s, struct block *b, unsigned insn)
{
    static struct site_cost nowhere[1]; /* written, never read: the host had no memory */

    if (!b->cost)
        b->cost = calloc(1, sizeof(*b->cost) + b->insns * sizeof(b->cost->insn[0]));
    if (b->cost && b->cost->label == 0)
        name_block(s, b);
    return b->cost && insn < b->insns ? &b->cost->insn[insn] : nowhere;
}

static struct area_cost *area_of_label(struct sim *s, uint32_t label)
{
    if (label >= s->areas_cap) {
        uint32_t cap = label + 64;
        struct area_cost *a = realloc(s->areas, cap * sizeof(*a));
        ASSERT(a);
        memset(a + s->areas_cap, 0, (cap - s->areas_cap) * sizeof(*a));
        s->areas = a;
        s->areas_cap = cap;
    }
    return &s->areas[label];
}

struct area_cost *attrib_area(struct sim *s, vaddr a)
{
    if (a.v < s->vma_start.v || a.v >= s->vma_end.v) {
        const struct vma *v = mm_vma_at(s->current->proc->mm, a);
        s->vma_start = v ? v->start : va(0);
        s->vma_end = v ? v->end : va(0);
        s->vma_label = v ? v->label : 0;
    }
    return area_of_label(s, s->vma_label);
}

/* -- reading ------------------------------------------------------------------------------------*/

static uint64_t site_weight(const struct sim_site *x)
{
    return x->walk_cycles + x->fault_cycles + x->stlb_hits;
}

static int site_order(const void *a, const void *b)
{
    uint64_t x = site_weight(a), y = site_weight(b);

    if (x != y)
        return x < y ? 1 : -1;
    return ((const struct sim_site *)a)->pc < ((const struct sim_site *)b)->pc ? -1 : 1;
}

/* file_order: rows of one file differ in rights and program. */
static int file_order(const struct sim_site *a, const struct sim_site *b)
{
    return strcmp(a->label ? a->label->name : "", b->label ? b->label->name : "");
}

static int site_by_pc(const void *a, const void *b)
{
    const struct sim_site *x = a, *y = b;
    int files = file_order(x, y);

    if (x->pc != y->pc)
        return x->pc > y->pc ? 1 : -1;
    return files != 0 ? files : (x->offset > y->offset) - (x->offset < y->offset);
}

static bool cost_is_zero(const struct site_cost *c)
{
    return !(c->stlb_hits | c->walks | c->walk_cycles | c->faults | c->fault_cycles | c->l3_misses);
}

static void site_read(const struct mm_label *labels, const struct block *b, unsigned insn,
                      struct sim_site *x)
{
    const struct site_cost *c = &b->cost->insn[insn];
    uint64_t pc = block_insn_pc(b, insn);

    *x = (struct sim_site){.pc = pc,
                           .label = b->cost->label ? &labels[b->cost->label - 1] : NULL,
                           .offset = b->cost->offset + (pc - b->pc),
                           .executed = b->count,
                           .stlb_hits = c->stlb_hits,
                           .walks = c->walks,
                           .walk_cycles = c->walk_cycles,
                           .faults = c->faults,
                           .fault_cycles = c->fault_cycles,
                           .l3_misses = c->l3_misses};
}

static void site_add(struct sim_site *to, const struct sim_site *x)
{
    to->executed += x->executed;
    to->stlb_hits += x->stlb_hits;
    to->walks += x->walks;
    to->walk_cycles += x->walk_cycles;
    to->faults += x->faults;
    to->fault_cycles += x->fault_cycles;
    to->l3_misses += x->l3_misses;
}

/* Counts the sites, and stores them if there is room for them. */
static uint32_t sites_collect(const struct sim *s, struct sim_site *out)
{
    uint32_t n = 0, n_labels;
    const struct mm_label *labels = mm_labels(s->mm_sys, &n_labels);

    for (uint32_t i = 0; i < s->n_blocks; i++) {
        const struct block *b = sim_block(s, i);
        for (unsigned k = 0; b->cost && k < b->insns; k++) {
            if (cost_is_zero(&b->cost->insn[k]))
                continue;
            if (out)
                site_read(labels, b, k, &out[n]);
            n++;
        }
    }
    return n;
}

/* Adds up neighbours of equal place in a sorted array; returns the new length. */
static uint32_t sites_merge(struct sim_site *x, uint32_t n)
{
    uint32_t out = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (out > 0 && site_by_pc(&x[out - 1], &x[i]) == 0)
            site_add(&x[out - 1], &x[i]);
        else
            x[out++] = x[i];
    }
    return out;
}

struct sim_site *sim_sites(const struct sim *s, uint32_t *ret_n)
{
    uint32_t n = sites_collect(s, NULL);
    struct sim_site *x = calloc(n ? n : 1, sizeof(*x));

    if (!x) {
        *ret_n = 0;
        return NULL;
    }
    sites_collect(s, x);
    qsort(x, n, sizeof(*x), site_by_pc);
    n = sites_merge(x, n);
    qsort(x, n, sizeof(*x), site_order);
    *ret_n = n;
    return x;
}

static int area_order(const void *a, const void *b)
{
    const struct sim_area *x = a, *y = b;
    uint64_t p = x->walk_cycles + x->fault_cycles + x->stlb_hits;
    uint64_t q = y->walk_cycles + y->fault_cycles + y->stlb_hits;

    if (p != q)
        return p < q ? 1 : -1;
    return (x->label > y->label) - (x->label < y->label);
}

struct sim_area *sim_areas(const struct sim *s, uint32_t *ret_n)
{
    uint32_t n_labels = 0, n = 0;
    const struct mm_label *labels = mm_labels(s->mm_sys, &n_labels);
    struct sim_area *x = calloc(n_labels ? n_labels : 1, sizeof(*x));
    struct area_cost none = {0};

    for (uint32_t i = 0; x && i < n_labels; i++) {
        const struct area_cost *c = i < s->areas_cap ? &s->areas[i] : &none;
        x[n++] = (struct sim_area){&labels[i],     c->accesses_slow, c->stlb_hits,    c->walks,
                                   c->walk_cycles, c->faults,        c->fault_cycles, c->l3_misses};
    }
    if (x)
        qsort(x, n, sizeof(*x), area_order);
    *ret_n = n;
    return x;
}
