/* calls.h: what the rows of the table (calls.c) are made of, by subject. Each gen_ fills in a call,
 * each model_ performs it on the model.
 */
#ifndef TEST_KERNEL_CALLS_H
#define TEST_KERNEL_CALLS_H

#include "kernel/model.h"

#define CALLER(w, c) ((w)->mm[(c)->proc])
#define KIND(name)                                                                                 \
    void gen_##name(struct gen *g, struct call *c);                                                \
    int64_t model_##name(struct model *w, const struct call *c, struct answer *a);

/* -- calls_numa.c */
KIND(mbind)
KIND(set_mempolicy)
KIND(get_mempolicy)
KIND(home_node)
KIND(migrate_pages)
KIND(move_pages)

/* -- calls_shm.c: System V segments, files in memory */
KIND(shmget)
KIND(shmat)
KIND(shmdt)
KIND(shmctl)
KIND(ftruncate)
KIND(fallocate)
KIND(seals)

/* -- calls_limits.c: what the caller may do */
KIND(setrlimit)
KIND(capset)
KIND(mseal)
KIND(setresuid)
KIND(pkey_mprotect)
KIND(pkey_alloc)
KIND(pkey_free)
KIND(remap_file_pages)
KIND(process_madvise)

/* -- calls_each.c: one call many times over */
KIND(mmap_each)
KIND(munmap_each)
KIND(mprotect_each)
KIND(mmap_many)
/* gen_many makes mappings until no more are allowed, or nearly. */
void gen_many(struct gen *g);

/* -- calls_places.c: where mappings go, and addresses at the edges of the address space */
KIND(mmap_place)
KIND(mmap_fill)
/* gen_elsewhere turns a touch into one of an address where no program has memory. */
void gen_elsewhere(struct gen *g, struct call *c);
/* gen_full makes mappings until no place is left for one of 128 MiB. */
void gen_full(struct gen *g);

/* -- calls_memfd.c: files in memory a process makes itself */
KIND(memfd_create)
/* gen_memfd picks the descriptor of a file in memory, memfd_of returns the file or NULL. */
uint64_t gen_memfd(struct gen *g);
struct mm_file *memfd_of(const struct model *w, const struct call *c, uint64_t fd);

/* -- calls_thp.c: transparent huge pages */
/* gen_thp begins a sequence with a huge page: of the process alone, shared, or of a file in memory. */
void gen_thp(struct gen *g);
/* gen_thp_map maps memory that can have huge pages. */
void gen_thp_map(struct gen *g, struct call *c);
/* gen_huge_range sets arg[i] and arg[i + 1] to some whole huge pages of the window. */
void gen_huge_range(struct gen *g, struct call *c, unsigned i);

/* -- calls.c: what calls_each.c repeats */
int64_t model_mmap(struct model *w, const struct call *c, struct answer *a);
int64_t model_munmap(struct model *w, const struct call *c, struct answer *a);
int64_t model_mprotect(struct model *w, const struct call *c, struct answer *a);

#endif
