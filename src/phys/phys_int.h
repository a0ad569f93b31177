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
#define BLOCK_MAX    BIT(ORDER_MAX)       /* frames of the largest block */
#define BOOT_RANGES  (2 + CONF_NODES_MAX) /* firmware, kernel image, memmap of each node */
#define TABLES_CHUNK 256u                 /* tables the slab asks the host for at a time */

enum wmark { WMARK_MIN, WMARK_LOW, WMARK_HIGH, WMARK_PROMO, WMARK_NR };

/* Blocks of one order: a list through link_next and link_prev of their heads. */
struct free_list {
    uint32_t head, tail; /* frame number + 1; 0 = empty */
    uint64_t blocks_nr;  /* length */
};

struct zone {
    uint64_t first, end;               /* frames of the machine in this zone: [first, end) */
    uint64_t usable_first, usable_end; /* of those, what boot gave to the allocator */
    uint64_t virgin, virgin_end;       /* never used yet; whole blocks of the largest order */
    uint64_t managed;                  /* usable_end - usable_first */
    uint64_t free_frames;              /* I3 */
    uint64_t wmark[WMARK_NR];          /* frames, without the boost */
    uint64_t boost;                    /* frames added to every watermark for a while */
    uint64_t reserve[PHYS_ZONES_NR];   /* lowmem_reserve, by highest zone of the request */
    uint64_t numa[NUMA_NR];            /* allocation calls */
    uint32_t batch;                    /* of its per-CPU lists: frames moved at a time */
    uint32_t high_min, high_max;       /* between these lies how many frames they keep */
    uint8_t nid, id;                   /* its node, enum zone_id */
    uint32_t orders;                   /* bit o: a block of order o is free (virgin: bit 10) */
    struct free_list lists[PHYS_ORDERS];
};

struct node {
    uint64_t first, end;              /* frames [first, end) */
    uint64_t owned[FRAME_OWNER_NR];   /* frames of each owner; Σ of a node = its frames (I1) */
    uint64_t totalreserve;            /* frames */
    uint64_t cpus;                    /* bit c: CPU c */
    uint8_t fallback[CONF_NODES_MAX]; /* nodes in the order they are tried, itself first */
    struct zone zones[ZONE_NR];       /* by enum zone_id */
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
    struct phys_head head;               /* first: see phys_frame */
    struct node *nodes;                  /* by number */
    unsigned nodes_nr;                   /* how many */
    struct conf_numa numa;               /* sizes and distances as configured */
    unsigned cpus;                       /* of the machine */
    unsigned cpu;                        /* that runs now */
    struct phys_tunables vm;             /* what /proc/sys/vm says */
    int64_t user_min_free;               /* min_free_kbytes as the administrator set it, or -1 */
    bool thp;                            /* THP makes 2 MiB pages */
    uint64_t totalreserve;               /* frames */
    struct stat_set *stats;              /* the machine's counters */
    struct table_slab tables;            /* bytes of FRAME_PAGE_TABLE frames (I4) */
    struct boot_range boot[BOOT_RANGES]; /* see place_boot */
    unsigned boot_nr;                    /* how many */
    size_t map_bytes;                    /* length of the host mapping behind head.frames */
    pfn zero_page;                       /* inside the kernel image */
    uint64_t fail_every;                 /* phys_fail_every; 0 = never */
    uint64_t fail_count;                 /* allocations since then */
    uint64_t changes;                    /* allocations and frees, for audits now and then */
};

/* zone_at returns the zone of a node by number; node_of the node of a frame. */
static inline struct zone *zone_at(const struct phys *p, unsigned nid, enum zone_id id)
{
    return &p->nodes[nid].zones[id];
}
static inline struct node *node_of(const struct phys *p, uint64_t n)
{
    unsigned i = 0;
    while (n >= p->nodes[i].end)
        i++;
    return &p->nodes[i];
}
static inline uint64_t wmark_pages(const struct zone *z, enum wmark w)
{
    return z->wmark[w] + z->boost;
}

/* nodes_open places the nodes and their zones, spreads the CPUs and orders the fallbacks. */
void nodes_open(struct phys *p);
/* wmarks_init computes min_free_kbytes as at boot unless the administrator set it; wmarks_setup
 * works out everything that follows from the tunables. */
void wmarks_init(struct phys *p);
void wmarks_setup(struct phys *p);

/* buddy_add_range gives the frames [usable_first, usable_end) of a zone to its free lists. */
void buddy_add_range(struct phys *p, struct zone *z);

/* table_slab_get returns 4096 zero bytes, aligned; dies when the host has no memory. */
void *table_slab_get(struct table_slab *s);
void table_slab_put(struct table_slab *s, void *piece);
void table_slab_close(struct table_slab *s);

/* phys_audit_at_times audits at every 4096th call and dies when an invariant is broken. */
void phys_audit_at_times(struct phys *p);

#endif
