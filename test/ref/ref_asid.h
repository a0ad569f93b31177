/* ref_asid.h: naive oracle of address-space identifiers: who remembers whom, which requests each core
 * has missed, told without generations, and what a core's TLB holds, told as a list of pages. */
#ifndef REF_ASID_H
#define REF_ASID_H

#include <stdbool.h>
#include <stdint.h>

#define REF_CPUS   4
#define REF_SPACES 10 /* 0 is the kernel's own */
#define REF_SLOTS  6
#define REF_PAGES  64 /* of each space */

enum ref_act { ACT_NONE, ACT_PAGES, ACT_ALL, ACT_LOAD, ACT_LOAD_FLUSH };

struct ref_slot {
    int space;       /* -1: nobody's */
    unsigned missed; /* requests to forget that it has not carried out */
};
struct ref_asid_cpu {
    int loaded, slot; /* space, and where it is remembered */
    bool lazy;
    int next; /* slot given out next */
    struct ref_slot slots[REF_SLOTS];
    int holds[REF_SLOTS][REF_PAGES]; /* entry of a page: its version when it was filled, -1 none */
    int owner[REF_SLOTS][REF_PAGES]; /* the space that filled it */
};
struct ref_asid {
    bool pcid;
    int ceiling;                        /* more pages are everything */
    bool member[REF_SPACES][REF_CPUS];  /* the space may have entries there */
    int version[REF_SPACES][REF_PAGES]; /* of a page's entry in the tables */
    bool batch[REF_CPUS], batched;      /* cores that have to hear of pages put off */
    struct ref_asid_cpu cpu[REF_CPUS];
    enum ref_act act[REF_CPUS]; /* what the last call made each core do */
    bool ipi[REF_CPUS];
};

void ref_asid_open(struct ref_asid *r, bool pcid, int ceiling);
void ref_asid_reborn(struct ref_asid *r, int space); /* a new space under an old number */
void ref_asid_switch(struct ref_asid *r, int cpu, int space);
void ref_asid_lazy(struct ref_asid *r, int cpu);
/* Pages [first, first + n) of the space changed; n REF_PAGES: all. */
void ref_asid_flush(struct ref_asid *r, int cpu, int space, int first, int n, bool tables,
                    bool trim);
void ref_asid_put_off(struct ref_asid *r, int cpu, int space, int page);
void ref_asid_put_off_end(struct ref_asid *r, int cpu);
void ref_asid_use(struct ref_asid *r, int cpu, int page);

#endif
