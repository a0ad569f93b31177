/* phys.c: the frames of a machine: where firmware, kernel image and memmap lie at boot, and whose
 * each frame is.
 *
 *   0      1 MiB      16 MiB                                          top of memory
 *   +--------+----------+--------------+-- … --+--------------+----------+
 *   |firmware| free     | kernel image | free                 | memmap   |
 *   +--------+----------+--------------+-- … --+--------------+----------+
 *   On a machine too small for that the image starts at 1 MiB. With several nodes each has its own
 *   memmap at its end.
 *
 * The records are one mapping without reserve: 48 bytes of address space per frame, and host
 * memory only where records are written.
 *
 * Source: Linux arch/x86/realmode/init.c (reserve_real_mode: the low 1 MiB is reserved),
 * CONFIG_PHYSICAL_START (16 MiB), mm/sparse-vmemmap.c and include/linux/mm_types.h (struct page:
 * 64 bytes), mm/memblock.c (allocations from the top down).
 */
#include "phys/phys_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define FIRMWARE_END   (MIB(1) >> PAGE_SHIFT)
#define IMAGE_FIRST    (MIB(16) >> PAGE_SHIFT)
#define DMA_END        (MIB(16) >> PAGE_SHIFT)
#define DMA32_END      (GIB(4) >> PAGE_SHIFT)
#define FREE_FRAMES_LO (MIB(1) >> PAGE_SHIFT) /* a machine with less is refused */
#define MEMMAP_BYTES   64                     /* sizeof(struct page) */

const char *phys_owner_name(enum frame_owner owner)
{
    static const char *const names[FRAME_OWNER_NR] = {
        "free",       "reserved",  "kernel_image", "memmap", "page_table", "kernel_stack", "slab",
        "page_cache", "user_file", "user_anon",    "shmem",  "hugetlb",    "vmalloc",
    };
    return names[owner];
}

/* place_boot decides what lies where; -EINVAL if too little would be left of a node. */
static int place_boot(struct phys *p, const struct conf *conf)
{
    uint64_t image = div_up(conf->phys_kernel_image, PAGE_SIZE), first = 0;
    for (unsigned i = 0; i < p->nodes_nr; i++) {
        uint64_t frames = p->numa.size[i] >> PAGE_SHIFT;
        uint64_t memmap = div_up(frames * MEMMAP_BYTES, PAGE_SIZE);
        if (frames < (i == 0 ? FIRMWARE_END + image : 0) + memmap + FREE_FRAMES_LO)
            return -EINVAL;
        first += frames;
        p->boot[p->boot_nr++] = (struct boot_range){first - memmap, first, FRAME_MEMMAP};
    }
    uint64_t at = IMAGE_FIRST + image <= p->boot[0].first ? IMAGE_FIRST : FIRMWARE_END;
    p->boot[p->boot_nr++] = (struct boot_range){0, FIRMWARE_END, FRAME_RESERVED};
    p->boot[p->boot_nr++] = (struct boot_range){at, at + image, FRAME_KERNEL_IMAGE};
    p->head.frames_nr = first;
    p->zero_page = (pfn){at + image - 1};
    return 0;
}

/* Boot ranges stand at the low end of a zone (firmware, image) or at its high end (memmap), so what
 * is left of a zone is one range. boot[nid] is the memmap of a node. */
static void place_zone(struct phys *p, unsigned nid, enum zone_id id, uint64_t first, uint64_t end)
{
    struct node *node = &p->nodes[nid];
    struct zone *z = &node->zones[id];
    z->nid = (uint8_t)nid;
    z->id = (uint8_t)id;
    z->first = min_u64(max_u64(first, node->first), node->end);
    z->end = max_u64(z->first, min_u64(end, node->end));
    z->usable_first = z->first;
    for (unsigned i = p->nodes_nr; i < p->boot_nr; i++)
        if (p->boot[i].first <= z->usable_first)
            z->usable_first = max_u64(z->usable_first, min_u64(p->boot[i].end, z->end));
    z->usable_end = max_u64(z->usable_first, min_u64(z->end, p->boot[nid].first));
    z->managed = z->usable_end - z->usable_first;
    z->pageblocks[MIGRATE_MOVABLE] =
        z->end > z->first ? div_up(z->end, PAGEBLOCK_FRAMES) - z->first / PAGEBLOCK_FRAMES : 0;
    if (z->first == 0 && z->end > 0) /* boot types whole pageblocks, and to Linux frame 0 is none */
        block_set_type(p, z, 0, MIGRATE_UNMOVABLE);
    buddy_add_range(p, z);
}

static void *map_lazily(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return map != MAP_FAILED ? map : NULL;
}

static int map_records(struct phys *p)
{
    /* Whole largest blocks, so that looking at a buddy never leaves the mapping. */
    p->map_bytes = align_up(p->head.frames_nr, BLOCK_MAX) * sizeof(struct frame);
    p->blocks_bytes = align_up(p->head.frames_nr, BLOCK_MAX) >> PAGEBLOCK_ORDER;
    p->head.frames = map_lazily(p->map_bytes);
    p->blocks = map_lazily(p->blocks_bytes);
    return p->head.frames != NULL && p->blocks != NULL ? 0 : -ENOMEM;
}

static int make_lists(struct phys *p)
{
    size_t zones = p->nodes_nr * (size_t)ZONE_NR;
    p->pcp = calloc(zones * p->cpus, sizeof(*p->pcp));
    for (size_t i = 0; p->pcp != NULL && i < zones; i++)
        zone_at(p, (unsigned)(i / ZONE_NR), (enum zone_id)(i % ZONE_NR))->pcp =
            p->pcp + i * p->cpus;
    return p->pcp != NULL ? 0 : -ENOMEM;
}

static void boot(struct phys *p)
{
    for (unsigned i = 0; i < p->boot_nr; i++)
        node_of(p, p->boot[i].first)->owned[p->boot[i].owner] += p->boot[i].end - p->boot[i].first;
    for (unsigned n = 0; n < p->nodes_nr; n++) {
        place_zone(p, n, ZONE_DMA, 0, DMA_END);
        place_zone(p, n, ZONE_DMA32, DMA_END, DMA32_END);
        place_zone(p, n, ZONE_NORMAL, DMA32_END, UINT64_MAX);
    }
    struct frame *zero = phys_frame(p, p->zero_page);
    zero->owner = FRAME_KERNEL_IMAGE;
    zero->flags = FRAME_F_ZERO_PAGE;
}

/* Do options let THP make pages of 2 MiB? (mm/khugepaged.c) */
static bool hugepage_pmd_enabled(const struct conf *c)
{
    enum { INHERIT, ALWAYS, MADVISE }; /* of thp.size.2m */
    enum { ENABLED_NEVER = 2 };        /* of thp.enabled */
    enum { SHMEM_NEVER = 3, DENY = 4 };
    bool shmem = c->thp_shmem != SHMEM_NEVER && c->thp_shmem != DENY;
    bool inherits = c->thp_size_2m == INHERIT && c->thp_enabled != ENABLED_NEVER;
    return shmem || inherits || c->thp_size_2m == ALWAYS || c->thp_size_2m == MADVISE;
}

/* read_conf takes the options; -EINVAL when they contradict each other (conf_check says how). */
static int read_conf(struct phys *p, const struct conf *c)
{
    int err = conf_numa(c, &p->numa, NULL, 0);
    if (err == 0)
        err = conf_reserve_ratios(c, p->vm.lowmem_reserve_ratio, NULL, 0);
    p->nodes_nr = p->numa.nodes;
    p->cpus = (unsigned)c->cpu_cores;
    p->pcp_on = c->phys_pcp;
    p->cache_slice = c->l3_size / c->cpu_cores;
    p->vm.watermark_scale_factor = c->vm_watermark_scale_factor;
    p->vm.watermark_boost_factor = c->vm_watermark_boost_factor;
    p->vm.percpu_pagelist_high_fraction = c->vm_percpu_pagelist_high_fraction;
    p->vm.extfrag_threshold = c->vm_extfrag_threshold;
    p->vm.numa_stat = c->vm_numa_stat;
    p->vm.defrag_mode = c->vm_defrag_mode;
    p->user_min_free = c->vm_min_free_kbytes != 0 ? (int64_t)c->vm_min_free_kbytes : -1;
    p->thp = hugepage_pmd_enabled(c);
    return err;
}

/* build does the work of phys_open; what is made when it fails is phys_close's. */
static int build(struct phys *p, const struct conf *conf)
{
    int err = read_conf(p, conf);
    if (err != 0)
        return err;
    p->nodes = calloc(p->nodes_nr, sizeof(*p->nodes));
    if (p->nodes == NULL)
        return -ENOMEM;
    nodes_open(p);
    err = place_boot(p, conf);
    if (err == 0)
        err = map_records(p);
    if (err == 0)
        err = make_lists(p);
    if (err == 0 && conf->phys_contents)
        err = contents_open(p);
    if (err != 0)
        return err;
    boot(p);
    wmarks_init(p);
    return 0;
}

int phys_open(struct phys **ret, const struct conf *conf, struct stat_set *stats)
{
    struct phys *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->stats = stats;
    int err = build(p, conf);
    if (err != 0) {
        phys_close(p);
        return err;
    }
    if (conf->phys_fragmentation > 0)
        fragment(p, conf);
    *ret = p;
    return 0;
}

void phys_close(struct phys *p)
{
    if (p == NULL)
        return;
    table_slab_close(&p->tables);
    if (p->head.frames != NULL)
        munmap(p->head.frames, p->map_bytes);
    if (p->blocks != NULL)
        munmap(p->blocks, p->blocks_bytes);
    contents_close(p);
    free(p->pcp);
    free(p->nodes);
    free(p);
}

enum frame_owner phys_owner(struct phys *p, pfn n)
{
    for (unsigned i = 0; i < p->boot_nr; i++)
        if (n.v >= p->boot[i].first && n.v < p->boot[i].end)
            return p->boot[i].owner;
    return phys_frame(p, n)->owner;
}

void phys_set_owner(struct phys *p, pfn n, enum frame_owner owner)
{
    struct frame *f = phys_frame(p, n);
    CHECK(f->owner != FRAME_FREE && owner != FRAME_FREE);
    CHECK(f->owner != FRAME_PAGE_TABLE && owner != FRAME_PAGE_TABLE); /* I4 */
    p->nodes[f->nid].owned[f->owner]--;
    p->nodes[f->nid].owned[owner]++;
    f->owner = (uint8_t)owner;
}

void phys_fail_every(struct phys *p, uint64_t n)
{
    p->fail_every = n;
    p->fail_count = 0;
}

static const struct boot_range *image_of(const struct phys *p)
{
    return &p->boot[p->boot_nr - 1]; /* place_boot adds it last */
}

void phys_image(const struct phys *p, pfn *ret_first, pfn *ret_end)
{
    *ret_first = (pfn){image_of(p)->first};
    *ret_end = (pfn){image_of(p)->end};
}

pfn phys_boot_frame(struct phys *p, bool table)
{
    const struct boot_range *image = image_of(p);
    if (p->boot_used >= (image->end - image->first) / 2)
        return PFN_NONE;
    pfn n = {p->zero_page.v - ++p->boot_used};
    struct frame *f = phys_frame(p, n);
    *f = (struct frame){.owner = FRAME_KERNEL_IMAGE};
    if (table) {
        f->flags = FRAME_F_BOOT_TABLE;
        f->bytes = table_slab_get(&p->tables);
        p->boot_tables++;
    }
    return n;
}

pfn phys_zero_page(const struct phys *p)
{
    return p->zero_page;
}
