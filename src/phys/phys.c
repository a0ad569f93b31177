/* phys.c: the frames of a machine: where firmware, kernel image and memmap lie at boot, and whose
 * each frame is.
 *
 *   0      1 MiB      16 MiB                                          top of memory
 *   +--------+----------+--------------+-- … --+--------------+----------+
 *   |firmware| free     | kernel image | free                 | memmap   |
 *   +--------+----------+--------------+-- … --+--------------+----------+
 *   On a machine too small for that the image starts at 1 MiB.
 *
 * The records are one mapping without reserve: 40 bytes of address space per frame, and host
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
        "free", "reserved",   "kernel_image", "memmap",    "page_table", "kernel_stack",
        "slab", "page_cache", "user_file",    "user_anon", "shmem",
    };
    return names[owner];
}

/* place_boot decides what lies where; -EINVAL if too little would be left. */
static int place_boot(struct phys *p, const struct conf *conf)
{
    uint64_t frames = conf->phys_size >> PAGE_SHIFT;
    uint64_t image = div_up(conf->phys_kernel_image, PAGE_SIZE);
    uint64_t memmap = div_up(frames * MEMMAP_BYTES, PAGE_SIZE);
    if (frames < FIRMWARE_END + image + memmap + FREE_FRAMES_LO)
        return -EINVAL;
    uint64_t at = IMAGE_FIRST + image + memmap <= frames ? IMAGE_FIRST : FIRMWARE_END;
    p->head.frames_nr = frames;
    p->boot[0] = (struct boot_range){0, FIRMWARE_END, FRAME_RESERVED};
    p->boot[1] = (struct boot_range){at, at + image, FRAME_KERNEL_IMAGE};
    p->boot[2] = (struct boot_range){frames - memmap, frames, FRAME_MEMMAP};
    p->zero_page = (pfn){at + image - 1};
    return 0;
}

/* Boot ranges stand at the low end of a zone (firmware, image) or at its high end (memmap), so what
 * is left of a zone is one range. */
static void place_zone(struct phys *p, enum zone_id id, uint64_t first, uint64_t end)
{
    struct zone *z = &p->zones[id];
    z->first = min_u64(first, p->head.frames_nr);
    z->end = min_u64(end, p->head.frames_nr);
    z->usable_first = z->first;
    for (unsigned i = 0; i < 2; i++)
        if (p->boot[i].first <= z->usable_first)
            z->usable_first = max_u64(z->usable_first, min_u64(p->boot[i].end, z->end));
    z->usable_end = max_u64(z->usable_first, min_u64(z->end, p->boot[2].first));
    buddy_add_range(p, id);
}

static int map_records(struct phys *p)
{
    /* Whole largest blocks, so that looking at a buddy never leaves the mapping. */
    p->map_bytes = align_up(p->head.frames_nr, BLOCK_MAX) * sizeof(struct frame);
    void *map = mmap(NULL, p->map_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return -ENOMEM;
    p->head.frames = map;
    return 0;
}

static void boot(struct phys *p)
{
    for (unsigned i = 0; i < BOOT_RANGES; i++)
        p->owned[p->boot[i].owner] += p->boot[i].end - p->boot[i].first;
    place_zone(p, ZONE_DMA, 0, DMA_END);
    place_zone(p, ZONE_DMA32, DMA_END, DMA32_END);
    place_zone(p, ZONE_NORMAL, DMA32_END, UINT64_MAX);
    struct frame *zero = phys_frame(p, p->zero_page);
    zero->owner = FRAME_KERNEL_IMAGE;
    zero->flags = FRAME_F_ZERO_PAGE;
}

int phys_open(struct phys **ret, const struct conf *conf, struct stat_set *stats)
{
    struct phys *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->stats = stats;
    int err = place_boot(p, conf);
    if (err == 0)
        err = map_records(p);
    if (err != 0) {
        free(p);
        return err;
    }
    boot(p);
    *ret = p;
    return 0;
}

void phys_close(struct phys *p)
{
    if (p == NULL)
        return;
    table_slab_close(&p->tables);
    munmap(p->head.frames, p->map_bytes);
    free(p);
}

enum frame_owner phys_owner(struct phys *p, pfn n)
{
    for (unsigned i = 0; i < BOOT_RANGES; i++)
        if (n.v >= p->boot[i].first && n.v < p->boot[i].end)
            return p->boot[i].owner;
    return phys_frame(p, n)->owner;
}

void phys_set_owner(struct phys *p, pfn n, enum frame_owner owner)
{
    struct frame *f = phys_frame(p, n);
    CHECK(f->owner != FRAME_FREE && owner != FRAME_FREE);
    CHECK(f->owner != FRAME_PAGE_TABLE && owner != FRAME_PAGE_TABLE); /* I4 */
    p->owned[f->owner]--;
    p->owned[owner]++;
    f->owner = (uint8_t)owner;
}

void phys_fail_every(struct phys *p, uint64_t n)
{
    p->fail_every = n;
    p->fail_count = 0;
}

pfn phys_zero_page(const struct phys *p)
{
    return p->zero_page;
}

uint64_t phys_frames(const struct phys *p)
{
    return p->head.frames_nr;
}

uint64_t phys_owner_frames(const struct phys *p, enum frame_owner owner)
{
    return p->owned[owner];
}

uint64_t phys_zone_free(const struct phys *p, enum zone_id zone)
{
    return p->zones[zone].free_frames;
}

uint64_t phys_free_blocks(const struct phys *p, enum zone_id zone, unsigned order)
{
    const struct zone *z = &p->zones[zone];
    uint64_t virgin = order == ORDER_MAX ? (z->virgin_end - z->virgin) >> ORDER_MAX : 0;
    return z->lists[order].blocks_nr + virgin;
}
