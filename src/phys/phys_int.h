/* phys_int.h: what the files of phys share: zones with their free lists, and the slab that holds
 * the bytes of page tables.
 *
 *   zone   first                 virgin           virgin_end    usable_end    end
 *            |  boot  | used, lists |   untouched    |  lists        |  memmap  |
 *            +--------+-------------+----------------+---------------+----------+
 *                     ^ usable_first  (multiples of 4 MiB inside)
 */
#ifndef PHYS_PHYS_INT_H
#define PHYS_PHYS_INT_H

#include "phys/phys.h"

#define ORDER_MAX    (PHYS_ORDERS - 1u)
#define BLOCK_MAX    BIT(ORDER_MAX) /* frames of the largest block */
#define BOOT_RANGES  3              /* firmware, kernel image, memmap */
#define TABLES_CHUNK 256u           /* tables the slab asks the host for at a time */

/* Blocks of one order: a list through link_next and link_prev of their heads. */
struct free_list {
    uint32_t head, tail; /* frame number + 1; 0 = empty */
    uint64_t blocks_nr;  /* length */
};

struct zone {
    uint64_t first, end;               /* frames of the machine in this zone: [first, end) */
    uint64_t usable_first, usable_end; /* of those, what boot gave to the allocator */
    uint64_t virgin, virgin_end;       /* never used yet; whole blocks of the largest order */
    uint64_t free_frames;              /* I3 */
    uint32_t orders;                   /* bit o: a block of order o is free (virgin: bit 10) */
    struct free_list lists[PHYS_ORDERS];
};

/* Frames taken at boot for good. */
struct boot_range {
    uint64_t first, end; /* frames [first, end) */
    enum frame_owner owner;
};

/* Bytes of tables: pieces of 4096 out of chunks that stay until phys_close. */
struct table_slab {
    void *reuse;      /* given back pieces, linked through their first word; not zero */
    char *fresh;      /* next never-used piece of the newest chunk; zero */
    uint32_t left;    /* never-used pieces there */
    uint64_t live;    /* pieces handed out */
    char **chunks;    /* all chunks */
    size_t chunks_nr; /* how many */
};

struct phys {
    struct phys_head head;          /* first: see phys_frame */
    struct zone zones[ZONE_NR];     /* by enum zone_id */
    uint64_t owned[FRAME_OWNER_NR]; /* frames of each owner; Σ = head.frames_nr (I1) */
    struct stat_set *stats;         /* the machine's counters */
    struct table_slab tables;       /* bytes of FRAME_PAGE_TABLE frames (I4) */
    struct boot_range boot[BOOT_RANGES];
    size_t map_bytes;    /* length of the host mapping behind head.frames */
    pfn zero_page;       /* inside the kernel image */
    uint64_t fail_every; /* phys_fail_every; 0 = never */
    uint64_t fail_count; /* allocations since then */
    uint64_t changes;    /* allocations and frees, for audits now and then */
};

/* buddy_add_range gives the frames [usable_first, usable_end) of a zone to its free lists. */
void buddy_add_range(struct phys *p, enum zone_id id);

/* table_slab_get returns 4096 zero bytes, aligned; dies when the host has no memory. */
void *table_slab_get(struct table_slab *s);
void table_slab_put(struct table_slab *s, void *piece);
void table_slab_close(struct table_slab *s);

/* phys_audit_at_times audits at every 4096th call and dies when an invariant is broken. */
void phys_audit_at_times(struct phys *p);

#endif
