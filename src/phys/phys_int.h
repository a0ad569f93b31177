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

/* Blocks of one order and type: a list through link_next and link_prev of their heads. */
struct free_list {
    uint32_t head, tail; /* frame number + 1; 0 = empty */
    uint64_t blocks_nr;  /* length */
};

/* Free frames that a CPU keeps of a zone; see pcp.c. */
#define PCP_ORDERS 4                                   /* orders 0 to 3 by type */
#define PCP_LISTS  (PCP_ORDERS * MIGRATE_PCPTYPES + 2) /* and order 9: movable or not */
struct pcp {
    uint32_t count;       /* frames on all lists */
    uint32_t high;        /* frames to keep at most; floats between the zone's high_min, high_max */
    uint32_t free_count;  /* frames freed lately without an allocation between */
    uint8_t alloc_factor; /* how often the next refill is doubled */
    bool prev_free_high;  /* the last free was of order 1 to 3 */
    bool touched;         /* its CPU took or freed frames of the zone since the last decay */
    uint8_t expire;       /* zone of another node: decays until its frames go back */
    struct {
        uint32_t head, tail; /* frame number + 1; 0 = empty. Freed and taken at the head */
    } lists[PCP_LISTS];
};

struct zone {
    uint64_t first, end;               /* frames of the machine in this zone: [first, end) */
    uint64_t usable_first, usable_end; /* of those, what boot gave to the allocator */
    uint64_t virgin, virgin_end; /* never used yet; whole movable blocks of the largest order */
    uint32_t virgin_prev; /* block of the largest movable list that the virgin run follows, frame
                             number + 1; 0: the run comes first */
    uint64_t managed;     /* usable_end - usable_first */
    uint64_t free_frames; /* NR_FREE_PAGES (I3) */
    uint64_t free_highatomic;           /* of those, in pageblocks of the atomic reserve */
    uint64_t reserved_highatomic;       /* frames of the pageblocks of that reserve */
    uint64_t wmark[WMARK_NR];           /* frames, without the boost */
    uint64_t boost;                     /* frames added to every watermark for a while */
    uint64_t reserve[PHYS_ZONES_NR];    /* lowmem_reserve, by highest zone of the request */
    uint64_t numa[NUMA_NR];             /* allocation calls */
    uint64_t pageblocks[MIGRATE_TYPES]; /* pageblocks of each type */
    uint32_t batch;                     /* of its per-CPU lists: frames moved at a time */
    uint32_t high_min, high_max;        /* between these lies how many frames they keep */
    struct pcp *pcp;                    /* by CPU */
    bool free_high_batch;           /* PCPF_FREE_HIGH_BATCH: a CPU's cache is large: see pcp.c */
    uint8_t nid, id;                /* its node, enum zone_id */
    bool below_high;                /* ZONE_BELOW_HIGH: was seen below its high watermark */
    bool boosted;                   /* ZONE_BOOSTED_WATERMARK: kswapd is to be woken for it */
    bool reclaim_active;            /* ZONE_RECLAIM_ACTIVE: kswapd works on it */
    uint32_t orders[MIGRATE_TYPES]; /* bit o: a block of order o is free (virgin: bit 10) */
    struct free_list lists[MIGRATE_TYPES][PHYS_ORDERS];
};

struct node {
    uint64_t first, end;              /* frames [first, end) */
    uint64_t owned[FRAME_OWNER_NR];   /* frames of each owner; Σ of a node = its frames (I1) */
    uint64_t totalreserve;            /* frames */
    uint64_t cpus;                    /* bit c: CPU c */
    uint8_t fallback[CONF_NODES_MAX]; /* nodes in the order they are tried, itself first */
    struct phys_kswapd kswapd;        /* what kswapd is wanted for */
    bool kswapd_wanted;               /* until phys_kswapd_clear */
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
    struct phys_head head;    /* first: see phys_frame */
    struct node *nodes;       /* by number */
    unsigned nodes_nr;        /* how many */
    struct conf_numa numa;    /* sizes and distances as configured */
    unsigned cpus;            /* of the machine */
    unsigned cpu;             /* that runs now */
    unsigned cpu_nid;         /* its node */
    struct phys_tunables vm;  /* what /proc/sys/vm says */
    int64_t user_min_free;    /* min_free_kbytes as the administrator set it, or -1 */
    bool thp;                 /* THP makes 2 MiB pages */
    uint64_t totalreserve;    /* frames */
    uint8_t *blocks;          /* type of each pageblock, see pageblock.c; lazily backed */
    size_t blocks_bytes;      /* length of that mapping */
    char *bytes;              /* bytes of all frames with phys.contents; lazily backed */
    struct pcp *pcp;          /* the per-CPU lists of all zones, one allocation */
    bool pcp_on;              /* phys.pcp */
    struct stat_set *stats;   /* the machine's counters */
    struct table_slab tables; /* bytes of FRAME_PAGE_TABLE frames (I4) */
    struct boot_range boot[BOOT_RANGES]; /* see place_boot */
    unsigned boot_nr;                    /* how many */
    size_t map_bytes;                    /* length of the host mapping behind head.frames */
    pfn zero_page;                       /* inside the kernel image */
    uint64_t boot_used;                  /* frames phys_boot_frame gave, below the zero page */
    uint64_t boot_tables;                /* of them, page tables */
    uint64_t cache_slice;                /* a CPU's part of the last-level cache, bytes */
    uint64_t fail_every;                 /* phys_fail_every; 0 = never */
    uint64_t fail_count;                 /* allocations since then */
    uint64_t decay_due;                  /* virtual ms: when per-CPU lists decay next */
    const struct zone *moved_zone;       /* the last one whose lock a per-CPU list took */
    uint32_t moved;                      /* frames moved under it since phys_take_moved */
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

#define NO_BLOCK UINT64_MAX

/* -- pageblock.c */
/* block_type returns the migrate type of the pageblock of frame n. Two loads. */
static inline enum migrate_type block_type(const struct phys *p, uint64_t n)
{
    uint8_t b = p->blocks[n >> PAGEBLOCK_ORDER];
    return b & 0x80 ? MIGRATE_ISOLATE : (enum migrate_type)(b ^ MIGRATE_MOVABLE);
}
/* block_set_type changes it, and nothing else; an isolated one stays isolated and takes the type
 * when that ends. */
void block_set_type(struct phys *p, struct zone *z, uint64_t n, enum migrate_type type);
/* block_set_range does so for all pageblocks of a block of order 9 or more. */
void block_set_range(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                     enum migrate_type type);
/* block_bounds stores the first frame of the pageblock around n; false if the zone ends inside. */
bool block_bounds(const struct zone *z, uint64_t n, uint64_t *ret_first);
/* block_move puts the free blocks of a pageblock from the lists of one type on those of another and
 * changes its type; returns the frames moved. */
uint64_t block_move(struct phys *p, struct zone *z, uint64_t first, enum migrate_type from,
                    enum migrate_type to);
/* Types that merge with each other: those of the per-CPU lists. */
static inline bool type_mergeable(enum migrate_type t)
{
    return t < MIGRATE_PCPTYPES;
}

/* -- buddy.c */
/* buddy_add_range gives the frames [usable_first, usable_end) of a zone to its free lists. */
void buddy_add_range(struct phys *p, struct zone *z);
void buddy_list_add(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                    enum migrate_type type, bool to_tail);
void buddy_list_remove(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                       enum migrate_type type);
/* buddy_account changes the zone's count of free frames by the frames of one type. */
void buddy_account(struct zone *z, int64_t frames, enum migrate_type type);
/* buddy_first returns the block of a list that is taken next, or NO_BLOCK. */
uint64_t buddy_first(const struct zone *z, enum migrate_type type, unsigned order);
/* buddy_take removes that block, gives it another type if that differs (`to`), and puts back what
 * is more than `order`: its first frame. Counts the frames as no longer free. */
uint64_t buddy_take(struct phys *p, struct zone *z, unsigned have, unsigned order,
                    enum migrate_type from, enum migrate_type to);
/* buddy_smallest takes from the lists of one type; NO_BLOCK if none is large enough. */
uint64_t buddy_smallest(struct phys *p, struct zone *z, unsigned order, enum migrate_type type);
/* buddy_touch lists the virgin blocks of [first, end), and those on the shorter side of them. */
void buddy_touch(struct phys *p, struct zone *z, uint64_t first, uint64_t end);
/* buddy_free_one merges a block into the free ones of its type; buddy_free any block. */
void buddy_free_one(struct phys *p, struct zone *z, uint64_t n, unsigned order,
                    enum migrate_type type);
void buddy_free(struct phys *p, struct zone *z, uint64_t n, unsigned order);
/* buddy_remerge merges a free pageblock with its buddy, now that its type permits it. */
void buddy_remerge(struct phys *p, struct zone *z, uint64_t n);
bool buddy_is_free(const struct phys *p, uint64_t n, unsigned order);

/* -- fallback.c */
enum rmqueue_mode { RMQUEUE_NORMAL, RMQUEUE_CLAIM, RMQUEUE_STEAL };
/* rmqueue takes a block of the type, or falls back to other types. *mode carries what did not work
 * from one call of a batch to the next. */
uint64_t rmqueue(struct phys *p, struct zone *z, unsigned order, enum migrate_type type,
                 unsigned flags, enum rmqueue_mode *mode);
void reserve_highatomic(struct phys *p, struct zone *z, uint64_t n, unsigned order);
/* unreserve_highatomic gives one pageblock of the reserve of a zone to `type`. */
bool unreserve_highatomic(struct phys *p, struct zone *z, enum migrate_type type, bool force);

/* -- pcp.c */
static inline bool pcp_allowed(unsigned order)
{
    return order < PCP_ORDERS || order == PAGEBLOCK_ORDER;
}
/* pcp_alloc takes a block from the running CPU's list, filling it first; NO_BLOCK if it cannot. */
uint64_t pcp_alloc(struct phys *p, struct zone *z, unsigned order, enum migrate_type type,
                   unsigned flags);
void pcp_free(struct phys *p, struct zone *z, uint64_t n, unsigned order, enum migrate_type type);
static inline unsigned pcp_index(unsigned order, enum migrate_type type)
{
    return order < PCP_ORDERS ? MIGRATE_PCPTYPES * order + type
                              : PCP_ORDERS * MIGRATE_PCPTYPES + (type == MIGRATE_MOVABLE);
}

/* -- alloc.c */
#define PHYS_HIGHATOMIC 0x1000u /* a request flag of our own: it may use the atomic reserve */
#define PHYS_RESERVES   (PHYS_HIGH | PHYS_NON_BLOCK | PHYS_OOM_VICTIM | PHYS_HIGHATOMIC)
/* zone_watermark_ok: would `mark` frames be left after a block of this order? The second form asks so
 * as if that many frames were free. */
bool zone_watermark_ok(const struct zone *z, unsigned order, uint64_t mark, unsigned highest,
                       unsigned flags);
bool zone_watermark_ok_free(const struct zone *z, unsigned order, uint64_t mark, unsigned highest,
                            unsigned flags, uint64_t free_frames);
/* frames_own makes the frames of a taken block the owner's; frames_disown frees them again. */
void frames_own(struct phys *p, struct zone *z, uint64_t n, unsigned order, enum frame_owner owner);

/* -- fragment.c */
/* fragment puts single frames of the kernel into a share of the pageblocks (phys.fragmentation). */
void fragment(struct phys *p, const struct conf *conf);

/* -- contents.c */
int contents_open(struct phys *p);
void contents_close(struct phys *p);
/* contents_drop gives the host the bytes of a block back. */
void contents_drop(struct phys *p, uint64_t n, unsigned order);

/* -- table.c, audit.c */
/* table_slab_get returns 4096 zero bytes, aligned; dies when the host has no memory. */
void *table_slab_get(struct table_slab *s);
void table_slab_put(struct table_slab *s, void *piece);
void table_slab_close(struct table_slab *s);

/* phys_audit_at_times audits at every 4096th call and dies when an invariant is broken. */
void phys_audit_at_times(struct phys *p);

#endif
