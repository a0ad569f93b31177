/* phys.h: physical memory: frames, their owners, zones and the buddy allocator.
 *
 *   zone DMA [0,16 MiB)   zone DMA32 [16 MiB,4 GiB)   zone Normal [4 GiB,…)
 *   +--------------------+--------------------------+--------------------------+
 *   | reserved, image    | free blocks, used frames | … | virgin range (never   |
 *   | memmap             |                          |   | used, split lazily)   |
 *   +--------------------+--------------------------+--------------------------+
 *
 * Invariants (phys_audit checks them all):
 *  I1  Every frame has exactly one owner; Σ owners = all frames.
 *  I2  A free block of order o starts at a multiple of 2^o inside its zone, and is in exactly one
 *      free list (or inside the virgin range); its buddy is not a free block of the same order
 *      (pageblocks may stay apart: their types did not permit it once).
 *  I3  zone.free_frames = Σ free blocks' frames + virgin frames, isolated pageblocks not counted.
 *  I4  Only frames of owner FRAME_PAGE_TABLE, and those of the kernel image marked FRAME_F_BOOT_TABLE,
 *      have `bytes` of their own; they are all zero when the frame is allocated as a table.
 *  I5  A free block lies on the list of its pageblock's migrate type; the virgin range is movable.
 *  I6  A frame on a per-CPU list is free by owner, marked FRAME_F_PCP, and not in free_frames; the
 *      counts of the lists are right.
 *  I7  The pageblocks of a zone are counted by type; a reserve for atomic requests has pageblocks.
 *  I8  A tail says the order of its block, and its head is the head of such a block.
 *
 * Source: Linux 6.18 mm/page_alloc.c; the .c files name the functions.
 */
#ifndef PHYS_PHYS_H
#define PHYS_PHYS_H

#include "base/check.h"
#include "base/types.h"
#include "conf/conf.h"
#include "stat/stat.h"

#define PHYS_ORDERS 11 /* orders 0..10: 4 KiB to 4 MiB */

enum frame_owner {
    FRAME_FREE,
    FRAME_RESERVED,     /* firmware holes: below 1 MiB */
    FRAME_KERNEL_IMAGE, /* text and data of the kernel, zero page included */
    FRAME_MEMMAP,       /* struct page array, 64 bytes per frame */
    FRAME_PAGE_TABLE,
    FRAME_KERNEL_STACK,
    FRAME_SLAB,
    FRAME_PAGE_CACHE, /* file pages that no process maps */
    FRAME_USER_FILE,  /* file pages that a process maps */
    FRAME_USER_ANON,
    FRAME_SHMEM,
    FRAME_HUGETLB, /* of a hugetlb pool, free or in use */
    FRAME_VMALLOC, /* of the vmalloc area: kernel stacks kept for the next task */
    FRAME_OWNER_NR
};
/* phys_owner_name returns the JSON key: "free", "reserved", "kernel_image", "memmap",
 * "page_table", "kernel_stack", "slab", "page_cache", "user_file", "user_anon", "shmem",
 * "hugetlb", "vmalloc". */
const char *phys_owner_name(enum frame_owner owner);

enum zone_id { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_NR };

/* What the kernel asks memory for; decides the highest zone (GFP_DMA, GFP_DMA32, GFP_KERNEL and
 * GFP_HIGHUSER_MOVABLE all but the first two end in Normal on x86-64). */
enum phys_gfp { GFP_DMA, GFP_DMA32, GFP_KERNEL, GFP_USER };

struct frame {
    uint8_t owner;     /* enum frame_owner */
    uint8_t order;     /* of the block this frame heads, free or allocated */
    uint8_t zone;      /* enum zone_id */
    uint8_t nid;       /* NUMA node it lies in */
    uint32_t flags;    /* FRAME_F_… */
    uint32_t refs;     /* references: mappings + page cache + others; owned by mm. Of a folio of
                          several frames: in its head, for all of them */
    uint32_t mapcount; /* entries of level 0 that map this very frame; owned by mm */
    uint32_t entire;   /* head of a large folio: entries of level 1 or 2 that map all of it */
    uint32_t private;  /* mm: what else the head of a folio must remember (its swap slot) */
    uint32_t link_next, link_prev; /* free list links, frame number + 1, 0 = none; mm may use them
                                      while the frame is allocated (LRU list) */
    uint64_t index; /* mm: page offset in its file, or virtual page number of an anon page; pt: for
                       a table, the physical address of the entry that points to it */
    union {
        void *bytes;           /* 4096 bytes, for tables */
        void *mapping;         /* mm: the file or address space it belongs to */
        uint32_t mapped_by[2]; /* mm: second frame of a large folio, see mm/mm_id.c */
    };
};
/* A folio is an allocated block: its head carries refs, flags, index, mapping and list links for all
 * its frames; each frame has its own mapcount and FRAME_F_EXCLUSIVE. */
#define FRAME_F_HEAD        0x1u /* heads an allocated block */
#define FRAME_F_BUDDY       0x2u /* heads a free block */
#define FRAME_F_EXCLUSIVE   0x4u /* anon page of one process only (PG_anon_exclusive) */
#define FRAME_F_DIRTY       0x8u /* written since last writeback (PG_dirty) */
#define FRAME_F_ZERO_PAGE   0x10u
#define FRAME_F_TAIL        0x20u    /* belongs to the large folio whose head lies before it */
#define FRAME_F_LRU         0x40u    /* PG_lru: on a list of its node */
#define FRAME_F_ACTIVE      0x80u    /* PG_active */
#define FRAME_F_REFERENCED  0x100u   /* PG_referenced */
#define FRAME_F_UNEVICTABLE 0x200u   /* PG_unevictable */
#define FRAME_F_MLOCKED     0x400u   /* PG_mlocked */
#define FRAME_F_SWAPBACKED  0x800u   /* PG_swapbacked: its place on the device is swap */
#define FRAME_F_SWAPCACHE   0x1000u  /* PG_swapcache: private is its swap slot */
#define FRAME_F_WRITEBACK   0x2000u  /* PG_writeback */
#define FRAME_F_WORKINGSET  0x4000u  /* PG_workingset: was active when it was last evicted */
#define FRAME_F_READAHEAD   0x8000u  /* PG_readahead: a hit starts the next window */
#define FRAME_F_HUGETLB     0x10000u /* of a hugetlb pool */
#define FRAME_F_PCP         0x20000u /* free, on a per-CPU list */
#define FRAME_F_RECLAIM     0x40000u /* PG_reclaim: to be freed when its writeback ends */
#define FRAME_F_PARTIAL     0x80000u /* large folio, partially mapped: on the deferred split queue */
#define FRAME_F_ISOLATED    0x100000u /* taken off its list by reclaim, migration or compaction */
#define FRAME_F_LOCKED      0x200000u /* PG_locked: reclaim and migration leave it alone */
#define FRAME_F_NO_DATA     0x400000u /* not PG_uptodate: the host could not read it from swap */
#define FRAME_F_BOOT_TABLE  0x800000u /* of the kernel image: a page table of the kernel itself */

struct phys; /* opaque: see phys_int.h */

/* What moves with what in memory: each block of 2 MiB (a pageblock) has one type, and free blocks
 * are kept by the type of their pageblock. Order and values are Linux's. */
enum migrate_type {
    MIGRATE_UNMOVABLE,
    MIGRATE_MOVABLE,
    MIGRATE_RECLAIMABLE,
    MIGRATE_HIGHATOMIC,
    MIGRATE_ISOLATE,
    MIGRATE_TYPES
};
#define MIGRATE_PCPTYPES 3 /* the first three have per-CPU lists */
#define PAGEBLOCK_ORDER  9
#define PAGEBLOCK_FRAMES BIT(PAGEBLOCK_ORDER)

enum numa_item {
    NUMA_HIT,
    NUMA_MISS,
    NUMA_FOREIGN,
    NUMA_INTERLEAVE,
    NUMA_LOCAL,
    NUMA_OTHER,
    NUMA_NR
};
#define PHYS_ZONES_NR 5 /* protections have one entry per zone of Linux: Movable and Device too */

/* A zone of a node, as /proc/zoneinfo, buddyinfo and pagetypeinfo show it. Frames unless said. */
struct phys_zone_info {
    uint64_t start_pfn;                 /* first frame of its span */
    uint64_t spanned, present, managed; /* of address space, of memory, of the allocator */
    uint64_t free;                      /* nr_free_pages: in the buddy lists, not isolated */
    uint64_t free_blocks;               /* nr_free_pages_blocks: in blocks of order >= 9 */
    uint64_t free_highatomic, reserved_highatomic; /* of the high-order atomic reserve */
    uint64_t boost, min, low, high, promo;         /* watermarks; the boost is in all of them */
    uint64_t protection[PHYS_ZONES_NR];            /* by highest zone a request could use */
    uint64_t blocks[MIGRATE_TYPES][PHYS_ORDERS];   /* free blocks */
    uint64_t pageblocks[MIGRATE_TYPES];            /* pageblocks of each type in the span */
    uint64_t numa[NUMA_NR];                        /* allocation calls */
    unsigned stat_threshold;                       /* vm stats threshold of a CPU */
};

/* The list of free frames that a CPU has of a zone. Frames. */
struct phys_pcp_info {
    uint64_t count, high, batch, high_min, high_max;
};

/* A node as a whole. Frames. */
struct phys_node_info {
    uint64_t start_pfn, spanned, present, managed; /* of all its zones */
    uint64_t free;                                 /* Σ of its zones' free */
    uint64_t totalreserve;                         /* what no user page may count on */
    uint64_t owned[FRAME_OWNER_NR];                /* frames of each owner */
    uint64_t cpus;                                 /* bit c: CPU c belongs to it */
};

/* -- requests -------------------------------------------------------------------------------- */

/* How much must stay free. A first attempt is made at LOW; the slow path goes on at MIN. */
enum phys_mark { PHYS_MARK_LOW, PHYS_MARK_MIN, PHYS_MARK_HIGH, PHYS_NO_WATERMARKS };

#define PHYS_THISNODE   0x1u  /* __GFP_THISNODE: the preferred node or none */
#define PHYS_HIGH       0x2u  /* __GFP_HIGH: may use half of the min reserve (not at LOW) */
#define PHYS_NON_BLOCK  0x4u  /* cannot reclaim; with HIGH, as GFP_ATOMIC, a quarter more of it */
#define PHYS_OOM_VICTIM 0x8u  /* ALLOC_OOM: half of what is left of the mark */
#define PHYS_NOFRAGMENT 0x10u /* do not mix migrate types; Linux's rule adds it at LOW */
#define PHYS_NO_KSWAPD  0x20u /* without __GFP_KSWAPD_RECLAIM */
#define PHYS_FRAGMENT   0x40u /* mix them even with vm.defrag_mode: the slow path's last resort */
#define PHYS_NID_LOCAL  0xffu /* the node of the running CPU */

struct phys_req {
    unsigned order;
    enum phys_gfp gfp;      /* highest zone */
    enum migrate_type type; /* one of the first three */
    enum frame_owner owner;
    unsigned nid;   /* preferred node, or PHYS_NID_LOCAL */
    uint64_t nodes; /* bit n: node n may serve it; 0: all may */
    unsigned flags; /* PHYS_… */
    enum phys_mark mark;
};

/* phys_request returns a first attempt on the local node: GFP_USER memory is movable, other memory
 * not. */
static inline struct phys_req phys_request(unsigned order, enum phys_gfp gfp,
                                           enum frame_owner owner)
{
    return (struct phys_req){
        .order = order,
        .gfp = gfp,
        .type = gfp == GFP_USER ? MIGRATE_MOVABLE : MIGRATE_UNMOVABLE,
        .owner = owner,
        .nid = PHYS_NID_LOCAL,
        .mark = PHYS_MARK_LOW,
    };
}

/* What kswapd of a node is wanted for. */
struct phys_kswapd {
    unsigned order;       /* largest order that could not be had */
    enum zone_id highest; /* highest zone of those requests */
};

enum phys_block_state {
    PHYS_BLOCK_FREE, /* in the buddy allocator */
    PHYS_BLOCK_PCP,  /* free, on a per-CPU list */
    PHYS_BLOCK_USED, /* allocated */
    PHYS_BLOCK_BOOT  /* a frame of firmware, kernel image or memmap; order 0 */
};
struct phys_block {
    pfn first;      /* its head */
    unsigned order; /* it has 2^order frames */
    enum phys_block_state state;
    enum migrate_type type; /* of the pageblock of the frame asked for */
};

/* What can be set while the machine runs, by its name below /proc/sys/vm. */
struct phys_tunables {
    uint64_t min_free_kbytes;
    uint64_t watermark_scale_factor;              /* 1/10000 of a zone */
    uint64_t watermark_boost_factor;              /* 1/10000 of the high watermark */
    uint64_t lowmem_reserve_ratio[PHYS_ZONES_NR]; /* 0: none */
    uint64_t percpu_pagelist_high_fraction;       /* 0: the kernel tunes */
    uint64_t extfrag_threshold;                   /* 1/1000 */
    uint64_t numa_stat, defrag_mode;              /* 0 or 1 */
};

/* What the hot path may look at: the first member of struct phys. */
struct phys_head {
    struct frame *frames; /* record n describes frame n; lazily backed, all zero until used */
    uint64_t frames_nr;   /* frames of the machine */
    bool kswapd_wanted;   /* of some node */
};

/* phys_open builds the physical memory of conf->phys_size bytes: firmware hole, kernel image and
 * the memmap of each node reserved, the rest free. Frame records are lazily backed: unused memory costs nothing.
 * Returns 0 and stores a new object, -ENOMEM, or -EINVAL when the kernel image and the memmap
 * would leave a node less than 1 MiB. */
int phys_open(struct phys **ret, const struct conf *conf, struct stat_set *stats);
void phys_close(struct phys *p);

/* phys_set_cpu says which CPU runs from now on: its lists and its node serve requests. CPU 0 when
 * the machine is opened. */
void phys_set_cpu(struct phys *p, unsigned cpu);

/* phys_alloc_req takes a block of 2^order frames for an owner: zones of the preferred node from the
 * highest allowed down, then those of the next nodes, as far as the watermarks permit. Every frame of
 * it gets the owner, refs 0, mapcount 0; the first is the head, the others are tails. Returns 0 and
 * the first frame, or -ENOMEM; at LOW kswapd is then wanted on the nodes it tried. Counts
 * pgalloc_ZONE (frames) and numa_… (calls). Injected failure is not its matter: whoever makes several
 * attempts for one request asks phys_fails once. */
int phys_alloc_req(struct phys *p, const struct phys_req *r, pfn *ret);
/* phys_alloc is for callers that cannot reclaim: after LOW and MIN it takes what other CPUs keep and
 * then what the watermarks reserve. -ENOMEM: there is no such block. */
int phys_alloc(struct phys *p, unsigned order, enum phys_gfp gfp, enum frame_owner owner, pfn *ret);
/* phys_free gives a block back; order as allocated. Order 0 to 3 and 9 go to the running CPU's list,
 * others merge with free buddies. Counts pgfree. */
void phys_free(struct phys *p, pfn first, unsigned order);
/* phys_count_interleave counts numa_interleave for a frame that interleaving placed. */
void phys_count_interleave(struct phys *p, pfn n);

/* phys_drain_cpu gives the frames on a CPU's lists to the buddy allocator, phys_drain_all those of
 * all CPUs. phys_decay_cpu lowers what its lists may keep; phys_tick does so for all CPUs once a
 * second of virtual time, as the kernel's vmstat_update. */
void phys_drain_cpu(struct phys *p, unsigned cpu);
void phys_drain_all(struct phys *p);
void phys_decay_cpu(struct phys *p, unsigned cpu);
void phys_tick(struct phys *p, uint64_t now_ms);

/* phys_kswapd_wanted: has a request failed at LOW, or page blocks been mixed, since
 * phys_kswapd_clear? Stores what for. */
bool phys_kswapd_wanted(const struct phys *p, unsigned nid, struct phys_kswapd *ret);
void phys_kswapd_clear(struct phys *p, unsigned nid);
/* phys_kswapd_any: of any node? One load. */
static inline bool phys_kswapd_any(const struct phys *p)
{
    return ((const struct phys_head *)p)->kswapd_wanted;
}
/* phys_watermark_ok is Linux's zone_watermark_ok: would more than `mark` frames, and what the zone
 * keeps from requests for `highest`, be left after a block of that order, and is there one? Flags:
 * HIGH, NON_BLOCK, OOM_VICTIM. */
bool phys_watermark_ok(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order,
                       uint64_t mark, enum zone_id highest, unsigned flags);
/* phys_watermark_ok_free asks so as if `free` frames were free: after reclaim, or counting whole
 * pageblocks only. */
bool phys_watermark_ok_free(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order,
                            uint64_t mark, enum zone_id highest, unsigned flags, uint64_t free);
/* phys_set_reclaim_active says that kswapd works on the zones up to `highest`: per-CPU lists are
 * kept short. phys_unboost takes frames off a zone's boost, as kswapd does when it is done. */
void phys_set_reclaim_active(struct phys *p, unsigned nid, enum zone_id highest, bool active);
void phys_unboost(struct phys *p, unsigned nid, enum zone_id zone, uint64_t frames);
/* phys_unreserve_highatomic gives a pageblock of the high-order atomic reserve of a zone that the
 * request may use to its type; the last one only by force. */
bool phys_unreserve_highatomic(struct phys *p, const struct phys_req *r, bool force);

/* -- for compaction, migration and huge pages */
enum migrate_type phys_pageblock_type(const struct phys *p, pfn n);
/* phys_set_pageblock_type changes the type of the pageblock of n and moves its free blocks to the
 * lists of that type. phys_isolate takes them out of use (type MIGRATE_ISOLATE) or gives them back
 * their type. 0, or -EBUSY when the zone ends inside the pageblock or it is (not) isolated already.
 * Frames on per-CPU lists are not moved: drain first. */
int phys_set_pageblock_type(struct phys *p, pfn n, enum migrate_type type);
int phys_isolate(struct phys *p, pfn n, bool isolate);
/* phys_block_at describes the block that frame n is part of. A few loads. */
void phys_block_at(const struct phys *p, pfn n, struct phys_block *ret);
/* phys_take_free allocates the free block that begins at head, whole, and stores its order; counted
 * nowhere. -EBUSY: no such block; -ENOMEM: the min watermark would be broken. */
int phys_take_free(struct phys *p, pfn head, enum frame_owner owner, unsigned *ret_order);
/* phys_alloc_contig allocates 2^order frames that lie together, more than the largest block: 18 for a
 * page of 1 GiB. The lowest aligned range that is free as a whole, from the highest zone of the node
 * down, then of the next nodes of the mask (0: all). phys_free takes it back. Counts nothing. */
#define PHYS_CONTIG_ORDER 18
int phys_alloc_contig(struct phys *p, unsigned order, unsigned nid, uint64_t nodes,
                      enum frame_owner owner, pfn *ret);
/* phys_split_folio makes blocks of new_order of an allocated one. The new heads inherit the page
 * flags, mapping, index and swap slot that Linux copies; refs and list links are the caller's. */
void phys_split_folio(struct phys *p, pfn head, unsigned new_order);

/* Fragmentation, 1/1000: unusable_index, extfrag_index of debugfs (-1000: the request would not
 * fail). phys_extfrag_percent is extfrag_for_order. */
int phys_unusable_index(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order);
int phys_extfrag_index(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order);
unsigned phys_extfrag_percent(const struct phys *p, unsigned nid, enum zone_id zone,
                              unsigned order);
/* phys_compaction_suitable: could compaction make a block of the order, `mark` frames being kept? */
bool phys_compaction_suitable(const struct phys *p, unsigned nid, enum zone_id zone, unsigned order,
                              uint64_t mark, enum zone_id highest);

/* phys_bytes returns the 4096 bytes of a frame, NULL without phys.contents. */
void *phys_bytes(struct phys *p, pfn n);

/* phys_fail_every makes every n-th phys_alloc from now on fail with -ENOMEM; 0 ends it. For tests
 * of what callers do then. phys_fails counts one request and says whether it is to fail. */
void phys_fail_every(struct phys *p, uint64_t n);
bool phys_fails(struct phys *p);

/* phys_take_moved returns how many frames went between a per-CPU list and the free lists, under the
 * lock of a zone, since it was asked last, and the last such zone: node × ZONE_NR + zone. */
uint32_t phys_take_moved(struct phys *p, unsigned *ret_zone);

/* phys_frame returns the record of a frame; n below phys_frames. The pointer stays valid. The
 * records of firmware holes, kernel image and memmap are not filled in (they would cost 1 % of the
 * machine): ask phys_owner where n may be any frame. One multiplication. */
static inline struct frame *phys_frame(struct phys *p, pfn n)
{
    const struct phys_head *h = (const struct phys_head *)p;
    CHECK(n.v < h->frames_nr);
    return &h->frames[n.v];
}
/* phys_owner returns the owner of any frame below phys_frames. */
enum frame_owner phys_owner(struct phys *p, pfn n);
/* phys_set_owner moves one allocated frame to another owner (page cache page becomes mapped). */
void phys_set_owner(struct phys *p, pfn n, enum frame_owner owner);
/* frame_is_table says whether a frame's record is that of a page table. */
static inline bool frame_is_table(const struct frame *f)
{
    return f->owner == FRAME_PAGE_TABLE || f->flags & FRAME_F_BOOT_TABLE;
}
/* phys_table returns the 512 entries of a page-table frame. One load. */
static inline pte *phys_table(struct phys *p, pfn n)
{
    CHECK(frame_is_table(phys_frame(p, n))); /* I4 */
    return phys_frame(p, n)->bytes;
}
/* phys_boot_frame takes the next frame of the kernel image for what the kernel builds at boot: page
 * tables of its own (`table`: 512 entries, none) or data of a CPU. From the end of the image down, one
 * below the other, at most half of it: PFN_NONE when that is used up. It stays the image's, for ever. */
pfn phys_boot_frame(struct phys *p, bool table);
/* phys_image stores the frames of the kernel image, [*ret_first, *ret_end). */
void phys_image(const struct phys *p, pfn *ret_first, pfn *ret_end);
/* phys_zero_page returns the frame that all anonymous reads share. */
pfn phys_zero_page(const struct phys *p);

uint64_t phys_frames(const struct phys *p);                               /* all frames */
uint64_t phys_owner_frames(const struct phys *p, enum frame_owner owner); /* Σ = phys_frames */
uint64_t phys_zone_free(const struct phys *p, enum zone_id zone);         /* frames, of all nodes */
/* phys_free_blocks returns the number of free blocks of an order in a zone, as buddyinfo shows
 * them (the virgin range counted as the maximal blocks it consists of). */
uint64_t phys_free_blocks(const struct phys *p, enum zone_id zone, unsigned order);

/* phys_nodes returns how many nodes the machine has; numbers 0 to that, all with memory. */
unsigned phys_nodes(const struct phys *p);
unsigned phys_cpus(const struct phys *p);
unsigned phys_distance(const struct phys *p, unsigned from, unsigned to);
/* phys_cpu_node returns the node of a CPU below phys_cpus. */
unsigned phys_cpu_node(const struct phys *p, unsigned cpu);
/* phys_frame_node returns the node of any frame below phys_frames. Linear in the nodes. */
unsigned phys_frame_node(const struct phys *p, pfn n);
/* phys_fallback returns the nodes in the order a request for `nid` tries them, itself first. */
const uint8_t *phys_fallback(const struct phys *p, unsigned nid);
/* phys_zone_info, phys_pcp_info and phys_node_info describe a zone, a CPU's lists of it, a node.
 * A zone that the node has not is all zero but for its protection (spanned says so). */
void phys_zone_info(const struct phys *p, unsigned nid, enum zone_id zone,
                    struct phys_zone_info *ret);
void phys_pcp_info(const struct phys *p, unsigned nid, enum zone_id zone, unsigned cpu,
                   struct phys_pcp_info *ret);
void phys_node_info(const struct phys *p, unsigned nid, struct phys_node_info *ret);
uint64_t phys_totalreserve(const struct phys *p); /* totalreserve_pages, frames */
uint64_t phys_managed(const struct phys *p);      /* totalram_pages: Σ managed, frames */

void phys_tunables(const struct phys *p, struct phys_tunables *ret);
/* phys_set_tunables takes all of them and works out watermarks, protections and list lengths anew,
 * as a write below /proc/sys/vm does. -EINVAL if one is out of Linux's range, nothing changes. */
int phys_set_tunables(struct phys *p, const struct phys_tunables *t);
/* phys_set_thp says whether THP may make 2 MiB pages: khugepaged then raises min_free_kbytes. When
 * the machine is opened the options thp.… say it, and below 512 MiB Linux does not raise it. */
void phys_set_thp(struct phys *p, bool enabled);

/* phys_same_until helps to look at all frames: it returns the end of a range from n on whose frames
 * are all owned as n is, and whose records were never filled in: taken at boot, or never used. It is
 * n + 1 for any other frame. */
uint64_t phys_same_until(const struct phys *p, pfn n);

/* phys_audit checks I1-I8 by looking at every record ever used; returns 0 or the number of the
 * broken invariant. */
int phys_audit(struct phys *p);

#endif
