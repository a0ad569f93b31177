/* gather.c: reads a machine at rest into a struct report.
 *
 * Invariants:
 *  I1  areas and sites are sorted by exposed cycles (translation + fault), costliest first; equal
 *      ones by address, so that the same run prints the same report.
 *  I2  Every site belongs to exactly one function: the functions' counts sum to the sites'.
 */
#include "report/report.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void gather_owners(struct report *r, const struct phys *phys)
{
    r->frames = phys_frames(phys);
    for (int i = 0; i < FRAME_OWNER_NR; i++)
        r->owner[i] = phys_owner_frames(phys, (enum frame_owner)i);
}

/* -- order of areas and sites ------------------------------------------------------------------ */

struct ranked {
    uint64_t cycles, address; /* sort keys */
    uint32_t index;           /* in the array to be sorted */
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->cycles != y->cycles)
        return x->cycles > y->cycles ? -1 : 1;
    if (x->address != y->address)
        return x->address > y->address ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index); /* of another program */
}

/* reorder puts element rank[i].index of an array of n elements at place i. -ENOMEM when it cannot. */
static int reorder(void *array, struct ranked *rank, uint32_t n, size_t size)
{
    char *copy = malloc(n * size + 1);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, array, n * size);
    qsort(rank, n, sizeof(*rank), by_rank);
    for (uint32_t i = 0; i < n; i++)
        memcpy((char *)array + i * size, copy + rank[i].index * size, size);
    free(copy);
    return 0;
}

static uint64_t site_cycles(const struct report *r, const struct sim_site *s)
{
    return cpu_translation(r->conf, s->stlb_hits, s->walk_cycles) + s->fault_cycles;
}

static int sort_sites(struct report *r)
{
    struct ranked *rank = calloc(r->n_sites + 1, sizeof(*rank));
    for (uint32_t i = 0; rank != NULL && i < r->n_sites; i++)
        rank[i] = (struct ranked){site_cycles(r, &r->sites[i]), r->sites[i].pc, i};
    int err = rank == NULL ? -ENOMEM : reorder(r->sites, rank, r->n_sites, sizeof(*r->sites));
    free(rank);
    return err;
}

static int sort_areas(struct report *r)
{
    struct ranked *rank = calloc(r->n_areas + 1, sizeof(*rank));
    for (uint32_t i = 0; rank != NULL && i < r->n_areas; i++) {
        const struct sim_area *a = &r->areas[i];
        rank[i] = (struct ranked){report_area_translation(r, a) + a->fault_cycles,
                                  a->label->first_start, i};
    }
    int err = rank == NULL ? -ENOMEM : reorder(r->areas, rank, r->n_areas, sizeof(*r->areas));
    free(rank);
    return err;
}

/* -- the address space ------------------------------------------------------------------------- */

static int by_pointer(const void *a, const void *b)
{
    const struct mm_label *const *x = a, *const *y = b;
    return (*x > *y) - (*x < *y);
}

/* labels_by_number returns the labels in the order of vma.label: sim_areas lists each label of one
 * array once, so their order in memory is their number. */
static const struct mm_label **labels_by_number(const struct report *r)
{
    const struct mm_label **labels = calloc(r->n_areas + 1, sizeof(struct mm_label *));
    for (uint32_t i = 0; labels != NULL && i < r->n_areas; i++)
        labels[i] = r->areas[i].label;
    if (labels != NULL)
        qsort(labels, r->n_areas, sizeof(struct mm_label *), by_pointer);
    return labels;
}

static struct symbol_map map_of(const struct vma *v, const struct mm_label *const *labels,
                                uint32_t n_labels)
{
    ASSERT(v->label < n_labels);
    return (struct symbol_map){
        .start = v->start.v,
        .end = v->end.v,
        .offset = v->file != NULL ? v->pgoff * PAGE_SIZE : 0,
        .flags = (unsigned)(v->flags & (VM_READ | VM_WRITE | VM_EXEC)),
        .is_file = v->file != NULL,
        .path = labels[v->label]->name,
    };
}

static int gather_maps(struct report_space *s, const struct mm *mm,
                       const struct mm_label *const *labels, uint32_t n_labels)
{
    uint32_t n = 0;
    const struct vma *first = mm_vma_next(mm, va(0));
    for (const struct vma *v = first; v != NULL; v = v->next)
        n++;
    s->maps = calloc(n + 1, sizeof(*s->maps));
    for (const struct vma *v = first; s->maps != NULL && v != NULL; v = v->next)
        s->maps[s->n_maps++] = map_of(v, labels, n_labels);
    return s->maps == NULL ? -ENOMEM : 0;
}

/* gather_spaces reads the mappings of the processes that still have some. */
static int gather_spaces(struct report *r)
{
    const struct mm_label **labels = labels_by_number(r);
    r->spaces = calloc(r->n_processes + 1, sizeof(*r->spaces));
    int err = labels == NULL || r->spaces == NULL ? -ENOMEM : 0;
    for (uint32_t i = 0; err == 0 && i < r->n_processes; i++) {
        if (r->processes[i].space == NULL)
            continue;
        struct report_space *s = &r->spaces[r->n_spaces++];
        s->process = i;
        err = gather_maps(s, r->processes[i].space, labels, r->n_areas);
    }
    free(labels);
    return err;
}

/* gather_shares reads whose the counters are. */
static int gather_shares(struct report *r, struct sim *sim)
{
    r->processes = sim_processes(sim, &r->n_processes);
    r->threads = sim_thread_rows(sim, &r->n_threads);
    r->cores = calloc(r->conf->cpu_cores, sizeof(struct stat_set *));
    r->nobodys = sim_nobodys_stats(sim);
    r->coreless = sim_coreless_stats(sim);
    for (unsigned i = 0; r->cores != NULL && i < r->conf->cpu_cores; i++)
        r->cores[i] = sim_core_stats(sim, i);
    return r->processes == NULL || r->threads == NULL || r->cores == NULL ? -ENOMEM : 0;
}

/* -- functions --------------------------------------------------------------------------------- */

static int by_symbol(const void *a, const void *b)
{
    const struct report_function *x = a, *y = b;
    int order = strcmp(x->object, y->object);
    return order != 0 ? order : strcmp(x->name, y->name);
}

static int by_cycles(const void *a, const void *b)
{
    const struct report_function *x = a, *y = b;
    if (x->cycles != y->cycles)
        return x->cycles > y->cycles ? -1 : 1;
    return by_symbol(a, b);
}

static struct report_function function_of(const struct report *r, uint32_t i)
{
    const struct sim_site *s = &r->sites[i];
    const struct symbol *symbol = &r->symbols[i];
    return (struct report_function){
        .name = symbol->name != NULL ? symbol->name : "[unknown]",
        .object = symbol->object,
        .sites = 1,
        .stlb_hits = s->stlb_hits,
        .walks = s->walks,
        .walk_cycles = s->walk_cycles,
        .faults = s->faults,
        .fault_cycles = s->fault_cycles,
    };
}

static void function_add(struct report_function *to, const struct report_function *f)
{
    to->sites += f->sites;
    to->stlb_hits += f->stlb_hits;
    to->walks += f->walks;
    to->walk_cycles += f->walk_cycles;
    to->faults += f->faults;
    to->fault_cycles += f->fault_cycles;
}

/* I2. Cycles are computed from the sums: rounding each site down would lose them. */
static void sum_functions(struct report *r)
{
    struct report_function *f = r->functions;
    uint32_t n = 0;
    qsort(f, r->n_sites, sizeof(*f), by_symbol);
    for (uint32_t i = 0; i < r->n_sites; i++) {
        if (n > 0 && by_symbol(&f[n - 1], &f[i]) == 0)
            function_add(&f[n - 1], &f[i]);
        else
            f[n++] = f[i];
    }
    for (uint32_t i = 0; i < n; i++)
        f[i].cycles =
            cpu_translation(r->conf, f[i].stlb_hits, f[i].walk_cycles) + f[i].fault_cycles;
    qsort(f, n, sizeof(*f), by_cycles);
    r->n_functions = n;
}

int report_resolve(struct report *r)
{
    int err = symbols_open(&r->symbol_files);
    if (err != 0)
        return err;
    r->symbols = calloc(r->n_sites + 1, sizeof(*r->symbols));
    r->functions = calloc(r->n_sites + 1, sizeof(*r->functions));
    if (r->symbols == NULL || r->functions == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < r->n_sites; i++) {
        const struct sim_site *x = &r->sites[i];
        struct symbol_map code = {.start = x->pc, .end = x->pc + 1, .offset = x->offset};
        code.path = x->label != NULL ? x->label->name : NULL;
        code.is_file = code.path != NULL && code.path[0] == '/';
        symbols_find(r->symbol_files, &code, code.path != NULL, x->pc, &r->symbols[i]);
        r->functions[i] = function_of(r, i);
    }
    sum_functions(r);
    return 0;
}

int report_gather(struct report *r, const struct report_run *run, struct sim *sim)
{
    *r = (struct report){.run = run, .sim = sim, .conf = sim_conf(sim), .stats = sim_stats(sim)};
    sim_cycles(sim, &r->cycles);
    sim_process(sim, &r->process);
    sim_oom(sim, &r->oom);
    sim_overflow(sim, &r->overflow);
    for (unsigned i = 0; i < MM_HUGETLB_NR; i++)
        sim_pool(sim, (enum mm_hugetlb_size)i, &r->pool[i]);
    r->counts_wrong = sim_counts_wrong(sim);
    gather_owners(r, sim_phys(sim));
    r->areas = sim_areas(sim, &r->n_areas);
    r->sites = sim_sites(sim, &r->n_sites);
    int err = r->areas == NULL || r->sites == NULL ? -ENOMEM : gather_shares(r, sim);
    if (err == 0)
        err = gather_spaces(r);
    if (err == 0)
        err = sort_areas(r);
    if (err == 0)
        err = sort_sites(r);
    return err != 0 ? err : report_resolve(r);
}

void report_close(struct report *r)
{
    for (uint32_t i = 0; i < r->n_spaces; i++)
        free(r->spaces[i].maps);
    free(r->spaces);
    free(r->processes);
    free(r->threads);
    free(r->cores);
    free(r->areas);
    free(r->sites);
    free(r->symbols);
    free(r->functions);
    symbols_close(r->symbol_files);
    *r = (struct report){0};
}
