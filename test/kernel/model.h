/* model.h: the modelled machine of a sequence, for model.c and the table of calls. */
#ifndef TEST_KERNEL_MODEL_H
#define TEST_KERNEL_MODEL_H

#include "base/map.h"
#include "kernel/check.h"
#include "mm/mm.h"

/* What a TLB could still hold of an address space. */
struct shadow {
    const struct mm *m; /* NULL: not used */
    uint32_t id;        /* mm_id of it */
    struct map kept;    /* page → frame, rights and level it was last used with */
    bool large;         /* some of them may be of larger entries */
    struct map links;   /* 2 MiB of addresses → page table it was reached through: a walk cache */
};

struct model {
    struct conf conf;
    struct stat_set stats;
    struct arch_outbox out;
    struct phys *phys;
    struct mm_sys *sys;
    struct mm *zygote;    /* what slot 0 is forked from */
    struct mm *mm[SLOTS]; /* NULL: no such process */
    bool many[SLOTS];     /* view.many */
    struct mm_file *file, *memfd, *pipe, *zero;
    struct mm_file *fd[SLOTS][NEW_FDS]; /* what NEW_FD and the next ones are, or NULL */
    struct mm_file *made[CALLS_MAX];    /* all of these there ever were */
    unsigned n_made;
    struct mm_file *control; /* what subjects and observer talk through */
    int shm[SHM_MAX];        /* ids of System V segments */
    unsigned n_shm;
    const struct native *native; /* tells what subjects are made of */
    struct shadow shadow[SLOTS + 1];
};
/* -- shadow.c */
/* shadow_fill: an access of m to addr succeeded. */
void shadow_fill(struct model *w, const struct mm *m, uint64_t addr);
/* shadow_drain delivers the flushes in the outbox, and empties it. */
void shadow_drain(struct model *w);
/* shadow_audit: nothing kept grants more than the tables, of address spaces that live. */
bool shadow_audit(struct model *w);
void shadow_close(struct model *w);

/* -- model.c */
/* model_touch accesses one address as a program does: until it succeeds or a signal comes. false:
 * the signal is in *a. */
bool model_touch(struct model *w, struct mm *m, uint64_t addr, uint32_t code, struct answer *a);
/* model_store stores 8 bytes where model_touch was before with FAULT_W. */
void model_store(struct model *w, struct mm *m, uint64_t addr, uint64_t value);
/* model_fork makes the process of slot `child`, as far as the kernel's child came already. */
int model_fork(struct model *w, unsigned parent, unsigned child);

#endif
