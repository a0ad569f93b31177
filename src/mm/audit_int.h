/* audit_int.h: what the files of the audit share. */
#ifndef MM_AUDIT_INT_H
#define MM_AUDIT_INT_H

#include "mm/mm_int.h"

/* What the entries of all address spaces, files and swap say of pages. */
struct audit_seen {
    struct map folios; /* head of a folio → entries of any level that map some of it */
    struct map small;  /* frame → entries of level 0 that map it */
    struct map whole;  /* frame → entries of level 1 and 2 that begin at it */
    struct map named;  /* swap entry without its exclusive bit → how often it is named */
};

/* -- audit.c */
/* audit_count adds n to what is counted under a key. */
void audit_count(struct map *m, uint64_t key, uint64_t n);
/* audit_space checks I1, I2 and I6 of one address space; 0 or the number of the broken one. */
int audit_space(const struct mm *m);
/* audit_sys checks all invariants of all address spaces, files and pages. */
int audit_sys(struct mm_sys *s);
/* audit_vma: walks from the pages of a VMA would meet it. */
bool audit_vma(const struct vma *v);
/* audit_entry_allowed is I3 for one entry. */
bool audit_entry_allowed(const struct vma *v, pte e);

/* -- audit_folio.c */
/* audit_folios checks I5, I8 and I12 of every folio there is; 0 or the number of the broken one. */
int audit_folios(struct mm_sys *s, struct audit_seen *seen);
/* audit_folio checks I5 of one folio that `entries` entries map. */
bool audit_folio(struct mm_sys *s, pfn head, uint64_t entries);
/* audit_page checks I5 of a frame that so many entries of level 0 map. */
bool audit_page(const struct frame *f, uint64_t entries);

#endif
