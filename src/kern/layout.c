/* layout.c: builds the kernel's own page tables at boot. The picture and the invariants are in
 * layout.h.
 *
 * Tables and per-CPU pages come out of the kernel image, as long as half of it is left: Linux has its
 * first ones there (.data, brk) and takes the others from memblock before memory is counted. Tables
 * made later for the vmalloc area are allocated, and counted in PageTables, as since 6.16.
 *
 * With isolation the user's copy of the root shares the tables below the P4D entry of cpu_entry_area with
 * the kernel (pti_clone_p4d), and has tables of its own for text and TSS.
 *
 * Source: Linux 6.18 arch/x86/mm/init.c (init_mem_mapping, split_mem_range), init_64.c
 * (vmemmap_populate_hugepages, mark_rodata_ro), kaslr.c (kernel_randomize_memory), cpu_entry_area.c
 * (setup_cpu_entry_area, cea_set_pte), pti.c (pti_init, pti_clone_pgtable,
 * pti_kernel_image_global_ok). Sizes of structures: BTF of that kernel.
 */
#include "kern/layout.h"

#include "base/check.h"
#include "base/rng.h"

#include <errno.h>
#include <stdlib.h>

#define CEA_BASE      UINT64_C(0xfffffe0000000000)
#define START_KERNEL  UINT64_C(0xffffffff80000000)
#define SECTION_ALIGN MIB(2)
#define P4D_LEVEL     3u /* with 4 levels it is the root's */
#define TIB           (UINT64_C(1) << 40)

/* Bits of leaves: Linux's PAGE_KERNEL and its kin, without G. */
#define KERNEL_RW (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
#define KERNEL_RO (PTE_P | PTE_A | PTE_NX)
#define KERNEL_RX (PTE_P | PTE_A)

/* Words of kernel.kpti. */
enum { AUTO, ON, OFF, SEPARATE };

enum kern_kpti kern_kpti(const struct conf *conf)
{
    switch (conf->kernel_kpti) {
    case ON:
        return KPTI_ON;
    case SEPARATE:
        return KPTI_SEPARATE;
    case AUTO:
        return conf->cpu_meltdown ? KPTI_ON : KPTI_OFF;
    default:
        return KPTI_OFF;
    }
}

/* -- where ------------------------------------------------------------------------------------ */

/* randomize shifts the three regions by whole GiB, their order kept: kernel_randomize_memory. */
static void randomize(struct kern_layout *l, const struct conf *conf)
{
    bool five = conf->mmu_levels == 5;
    uint64_t *const base[] = {&l->page_offset, &l->vmalloc, &l->vmemmap};
    const uint64_t size[] = {five ? UINT64_C(4096) * TIB : 64 * TIB,
                             five ? UINT64_C(12800) * TIB : 32 * TIB, five ? 64 * TIB : TIB};
    uint64_t at = l->page_offset, left = CEA_BASE - at - size[0] - size[1] - size[2];
    struct rng rng = {conf->seed ^ UINT64_C(0x4b41534c52)};
    for (unsigned i = 0; i < ARRAY_LEN(base); i++) {
        uint64_t shift = align_down(rng_below(&rng, left / (ARRAY_LEN(base) - i) + 1), GIB(1));
        at += shift;
        left -= shift;
        *base[i] = at;
        at = align_up(at + size[i] + 1, GIB(1));
        left -= min_u64(left, GIB(1));
    }
    uint64_t room = GIB(1) - MIB(16) - conf->phys_kernel_image;
    l->text += align_down(rng_below(&rng, room + 1), SECTION_ALIGN);
}

/* place_image: text and rodata take 50 and 20 of 100 parts of the image, as in a distribution's. */
static void place_image(struct kern_layout *l)
{
    pfn first, end;
    phys_image(l->phys, &first, &end);
    uint64_t bytes = (end.v - first.v) << PAGE_SHIFT;
    uint64_t align = bytes >= MIB(16) ? SECTION_ALIGN : PAGE_SIZE;
    l->text += pfn_paddr(first).v;
    l->rodata = l->text + align_up(bytes / 2, align);
    l->data = l->rodata + align_up(bytes / 5, align);
    l->image_end = l->text + bytes;
}

static void place(struct kern_layout *l, const struct conf *conf)
{
    bool five = conf->mmu_levels == 5;
    l->page_offset = five ? UINT64_C(0xff11000000000000) : UINT64_C(0xffff888000000000);
    l->vmalloc = five ? UINT64_C(0xffa0000000000000) : UINT64_C(0xffffc90000000000);
    l->vmemmap = five ? UINT64_C(0xffd4000000000000) : UINT64_C(0xffffea0000000000);
    l->text = START_KERNEL;
    if (conf->kernel_kaslr)
        randomize(l, conf);
    place_image(l);
}

/* -- mapping ---------------------------------------------------------------------------------- */

static int map_leaf(struct kern_layout *l, uint64_t a, uint64_t p, unsigned level, uint64_t bits)
{
    unsigned made = 0;
    pte *e;
    int err = pt_lookup_alloc(&l->pt, va(a), level, &e, &made);
    if (err == 0)
        *e = (pte){p | bits | l->global | (level > 0 ? PTE_PS : 0)};
    return err;
}

/* largest returns the largest level up to the one given that fits at both addresses into `bytes`. */
static unsigned largest(unsigned level, uint64_t a, uint64_t p, uint64_t bytes)
{
    while (level > 0 && (bytes < BIT(pt_level_shift(level)) ||
                         ((a | p) & (BIT(pt_level_shift(level)) - 1)) != 0))
        level--;
    return level;
}

static int map_range(struct kern_layout *l, uint64_t a, uint64_t p, uint64_t bytes, unsigned top,
                     uint64_t bits)
{
    int err = 0;
    while (bytes > 0 && err == 0) {
        unsigned level = largest(top, a, p, bytes);
        uint64_t step = min_u64(bytes, BIT(pt_level_shift(level)));
        err = map_leaf(l, a, p, level, bits);
        a += step;
        p += step;
        bytes -= step;
    }
    return err;
}

/* map_direct: the ISA range ends inside the first 2 MiB, so those are small pages. */
static int map_direct(struct kern_layout *l)
{
    uint64_t bytes = phys_frames(l->phys) << PAGE_SHIFT;
    uint64_t isa = min_u64(bytes, MIB(1));
    unsigned top = l->gib_pages ? 2 : 1;
    int err = map_range(l, l->page_offset, 0, isa, top, KERNEL_RW);
    return err ? err : map_range(l, l->page_offset + isa, isa, bytes - isa, top, KERNEL_RW);
}

/* map_pages maps the struct pages of each node; its memmap lies at its end. */
static int map_pages(struct kern_layout *l)
{
    uint64_t n = 0, end = phys_frames(l->phys);
    int err = 0;
    while (n < end && err == 0) {
        uint64_t first = n;
        while (n < end && phys_owner(l->phys, (pfn){n}) != FRAME_MEMMAP)
            n = phys_same_until(l->phys, (pfn){n});
        uint64_t memmap = n;
        if (n < end)
            n = phys_same_until(l->phys, (pfn){n});
        uint64_t a = l->vmemmap + first * 64, bytes = (n - memmap) << PAGE_SHIFT;
        err = map_range(l, align_down(a, PAGE_SIZE), memmap << PAGE_SHIFT, bytes, 1, KERNEL_RW);
    }
    return err;
}

/* map_image: what is left of the last 2 MiB below each boundary is 4 KiB pages, where sections are not
 * aligned. */
static int map_image(struct kern_layout *l)
{
    pfn first, end;
    phys_image(l->phys, &first, &end);
    uint64_t p = pfn_paddr(first).v - l->text;
    int err = map_range(l, l->text, p + l->text, l->rodata - l->text, 1, KERNEL_RX);
    if (!err)
        err = map_range(l, l->rodata, p + l->rodata, l->data - l->rodata, 1, KERNEL_RO);
    if (!err)
        err = map_range(l, l->data, p + l->data, l->image_end - l->data, 1, KERNEL_RW);
    return err;
}

/* -- what each CPU has ------------------------------------------------------------------------- */

static const struct {
    uint16_t page, pages; /* inside cpu_entry_area */
    bool writable;
} cea[CEA_NR] = {
    [CEA_GDT] = {0, 1, false}, [CEA_ENTRY_STACK] = {1, 1, true}, [CEA_TSS] = {2, 5, false},
    [CEA_DF] = {8, 2, true},   [CEA_NMI] = {11, 2, true},        [CEA_DB] = {14, 2, true},
    [CEA_MCE] = {17, 2, true},
};

vaddr layout_cea(const struct kern_layout *l, unsigned cpu, enum cea_part part)
{
    CHECK(cpu < l->cpus);
    return va(CEA_BASE + PAGE_SIZE + (cpu * (uint64_t)CEA_PAGES + cea[part].page) * PAGE_SIZE);
}

uint64_t layout_cea_bytes(enum cea_part part)
{
    return cea[part].pages * PAGE_SIZE;
}

vaddr layout_percpu(const struct kern_layout *l, unsigned cpu, uint64_t offset)
{
    pfn page = l->cpu[cpu].data[offset / PAGE_SIZE % PERCPU_DATA_PAGE];
    return va(layout_direct(l, pfn_paddr(page)).v + offset % PAGE_SIZE);
}

/* cpu_frame takes a frame for a CPU's variables; on a machine whose image is used up, of the slab. */
static int cpu_frame(struct kern_layout *l, pfn *ret)
{
    *ret = phys_boot_frame(l->phys, false);
    return pfn_is_none(*ret) ? phys_alloc(l->phys, 0, GFP_KERNEL, FRAME_SLAB, ret) : 0;
}

/* map_part maps the pages of a part; cpu_entry_area is global in any case: cea_set_pte. */
static int map_part(struct kern_layout *l, unsigned cpu, enum cea_part part)
{
    int err = 0;
    for (unsigned i = 0; i < cea[part].pages && !err; i++) {
        pfn n;
        err = cpu_frame(l, &n);
        if (!err)
            err = map_leaf(l, layout_cea(l, cpu, part).v + i * PAGE_SIZE, pfn_paddr(n).v, 0,
                           (cea[part].writable ? KERNEL_RW : KERNEL_RO) | PTE_G);
        if (!err && part == CEA_TSS && i == 0)
            l->cpu[cpu].tss = n;
    }
    return err;
}

static int open_cpu(struct kern_layout *l, unsigned cpu)
{
    int err = 0;
    for (unsigned i = 0; i < PERCPU_DATA_PAGE && !err; i++)
        err = cpu_frame(l, &l->cpu[cpu].data[i]);
    for (unsigned i = 0; i < ARRAY_LEN(l->cpu[cpu].irq) && !err; i++)
        err = cpu_frame(l, &l->cpu[cpu].irq[i]);
    for (unsigned part = 0; part < CEA_NR && !err; part++)
        err = map_part(l, cpu, (enum cea_part)part);
    return err;
}

/* -- isolation --------------------------------------------------------------------------------- */

/* image_global_ok is pti_kernel_image_global_ok: worth it where everything else goes at each entry, but not
 * for who asked for isolation by name. */
static bool image_global_ok(const struct kern_layout *l, const struct conf *conf)
{
    return l->kpti == KPTI_ON && conf->kernel_kpti == AUTO && !conf->mmu_pcid;
}

/* user_tables is a view of the user's copy, to add tables above the leaves it has of its own. */
static struct pt user_tables(const struct kern_layout *l)
{
    struct pt u = l->pt;
    u.root = l->pt.user_root;
    u.user_root = PFN_NONE;
    for (unsigned level = 0; level < PT_LEVELS_MAX; level++)
        u.tables[level] = 0;
    u.boot_tables = 0;
    return u;
}

/* clone_cea shares all of cpu_entry_area: pti_clone_p4d. */
static int clone_cea(struct kern_layout *l, struct pt *u)
{
    unsigned made = 0;
    pte *to;
    int err = pt_lookup_alloc(u, va(CEA_BASE), P4D_LEVEL, &to, &made);
    if (err == 0)
        *to = *pt_lookup(&l->pt, va(CEA_BASE), P4D_LEVEL);
    return err;
}

/* clone_pmd makes the user's entry of 2 MiB the kernel's, which becomes global: pti_clone_pgtable. */
static int clone_pmd(struct kern_layout *l, struct pt *u, uint64_t a)
{
    unsigned made = 0;
    pte *from = pt_lookup(&l->pt, va(a), 1), *to;
    int err = pt_lookup_alloc(u, va(a), 1, &to, &made);
    if (err || !from || pte_none(*from))
        return err;
    if (pte_is_leaf(*from, 1))
        from->v |= PTE_G;
    *to = *from;
    return 0;
}

/* clone_text clones what the entry text, or all text, lies in; small pages of a small image one by one. */
static int clone_text(struct kern_layout *l, struct pt *u, uint64_t end)
{
    int err = 0;
    for (uint64_t a = align_down(l->text, MIB(2)); a < end && !err; a += MIB(2)) {
        const pte *pmd = pt_lookup(&l->pt, va(a), 1);
        if (pmd && !pte_none(*pmd) && pte_is_leaf(*pmd, 1)) {
            err = clone_pmd(l, u, a);
            continue;
        }
        for (uint64_t p = max_u64(a, l->text); p < min_u64(a + MIB(2), end) && !err;
             p += PAGE_SIZE) {
            unsigned made = 0;
            pte *from = pt_lookup(&l->pt, va(p), 0), *to;
            err = pt_lookup_alloc(u, va(p), 0, &to, &made);
            if (err == 0) {
                from->v |= PTE_G;
                *to = *from;
            }
        }
    }
    return err;
}

/* clone_tss: the entry code spills a register into the TSS, at its place in the direct map. */
static int clone_tss(struct kern_layout *l, struct pt *u, unsigned cpu)
{
    unsigned made = 0;
    paddr p = pfn_paddr(l->cpu[cpu].tss);
    pte *to;
    int err = pt_lookup_alloc(u, layout_direct(l, p), 0, &to, &made);
    if (err == 0)
        *to = (pte){p.v | KERNEL_RW};
    return err;
}

static int isolate(struct kern_layout *l, const struct conf *conf)
{
    struct pt u = user_tables(l);
    bool text_too = image_global_ok(l, conf);
    int err = clone_cea(l, &u);
    for (unsigned cpu = 0; cpu < l->cpus && !err; cpu++)
        err = clone_tss(l, &u, cpu);
    if (!err)
        err = clone_text(l, &u, text_too ? l->data : l->text + 2 * PAGE_SIZE);
    return !err && pt_frames(&u) > 0 ? -ENOMEM
                                     : err; /* a table not of the image: nobody counts it */
}

/* -- the whole --------------------------------------------------------------------------------- */

static int build(struct kern_layout *l, const struct conf *conf)
{
    unsigned made = 0;
    pte *e;
    int err = map_image(l);
    for (unsigned cpu = 0; cpu < l->cpus && !err; cpu++)
        err = open_cpu(l, cpu);
    if (!err) /* preallocate_vmalloc_pages: the root's entry must be there before it is copied */
        err = pt_lookup_alloc(&l->pt, va(l->vmalloc), 0, &e, &made);
    if (!err && l->kpti != KPTI_OFF)
        err = isolate(l, conf);
    if (!err)
        err = map_direct(l);
    return err ? err : map_pages(l);
}

int layout_open(struct kern_layout *l, struct phys *phys, const struct conf *conf,
                enum kern_kpti kpti)
{
    *l = (struct kern_layout){.phys = phys,
                              .kpti = kpti,
                              .global = kpti == KPTI_OFF ? PTE_G : 0,
                              .gib_pages = conf->mmu_1g,
                              .cpus = (unsigned)conf->cpu_cores};
    l->cpu = calloc(l->cpus, sizeof(*l->cpu));
    if (!l->cpu)
        return -ENOMEM;
    place(l, conf);
    int err = pt_open_kernel(&l->pt, phys, conf, kpti != KPTI_OFF);
    if (err) {
        free(l->cpu);
        l->cpu = NULL;
        return err;
    }
    err = build(l, conf);
    if (err)
        layout_close(l);
    return err;
}

void layout_booted(struct kern_layout *l)
{
    l->pt.boot = false;
}

void layout_close(struct kern_layout *l)
{
    if (l->cpu)
        pt_close(&l->pt); /* the image's tables and frames stay the image's */
    free(l->cpu);
    l->cpu = NULL;
}

int layout_map(struct kern_layout *l, vaddr a, pfn n)
{
    return map_leaf(l, a.v, pfn_paddr(n).v, 0, KERNEL_RW);
}

void layout_unmap(struct kern_layout *l, vaddr a)
{
    pte *e = pt_lookup(&l->pt, a, 0);
    CHECK(e && pte_present(*e));
    *e = (pte){0};
}

/* -- audit ------------------------------------------------------------------------------------- */

/* half_first returns the first address of the kernel's half. */
static uint64_t half_first(const struct kern_layout *l)
{
    return ~(BIT(PAGE_SHIFT + 9 * l->pt.levels - 1) - 1);
}

/* next_leaf finds the first leaf at or after *a; false at the end. */
static bool next_leaf(const struct pt *t, uint64_t *a, pte *ret, unsigned *ret_level)
{
    vaddr top = va(~(PAGE_SIZE - 1)), at = pt_next(t, va(*a), top);
    if (at.v == top.v)
        return false;
    const pte *e = pt_leaf(t, at, ret_level);
    *a = at.v;
    *ret = *e;
    return true;
}

static uint64_t after_leaf(uint64_t a, unsigned level)
{
    return align_down(a, BIT(pt_level_shift(level))) + BIT(pt_level_shift(level));
}

static bool in_image(const struct kern_layout *l, uint64_t a)
{
    return a >= align_down(l->text, MIB(2)) && a < l->image_end;
}
static bool in_cea(const struct kern_layout *l, uint64_t a)
{
    return a >= CEA_BASE && a < CEA_BASE + (1 + l->cpus * (uint64_t)CEA_PAGES) * PAGE_SIZE;
}

/* leaf_audit is I1 to I3 for one leaf. */
static int leaf_audit(const struct kern_layout *l, uint64_t a, pte e)
{
    if (!(e.v & PTE_A) || ((e.v & PTE_RW) && !(e.v & PTE_D)))
        return 1;
    if ((e.v & PTE_US) || ((e.v & PTE_RW) && !(e.v & PTE_NX)))
        return 2;
    bool want = l->global || in_cea(l, a), may = want || in_image(l, a);
    return (e.v & PTE_G) ? (may ? 0 : 3) : (want ? 3 : 0);
}

/* user_leaf_audit is I4 for one leaf of the user's copy. */
static int user_leaf_audit(const struct kern_layout *l, uint64_t a, pte e, unsigned level)
{
    unsigned at = 0;
    const pte *own = pt_leaf(&l->pt, va(a), &at);
    if (!own || !pte_present(*own))
        return 4;
    if (in_image(l, a) || in_cea(l, a))
        return own->v == e.v && at == level ? 0 : 4;
    for (unsigned cpu = 0; cpu < l->cpus; cpu++)
        if (a == layout_direct(l, pfn_paddr(l->cpu[cpu].tss)).v)
            return pte_pfn(e).v == l->cpu[cpu].tss.v && !(e.v & PTE_G) ? 0 : 4;
    return 4;
}

static int user_audit(const struct kern_layout *l)
{
    struct pt u = l->pt;
    uint64_t a = half_first(l);
    unsigned level;
    int broken = 0;
    pte e;
    u.root = l->pt.user_root;
    for (; !broken && next_leaf(&u, &a, &e, &level); a = after_leaf(a, level))
        broken = user_leaf_audit(l, a, e, level);
    return broken;
}

int layout_audit(const struct kern_layout *l, unsigned phys_bits)
{
    uint64_t a = half_first(l);
    unsigned level;
    int broken = pt_audit(&l->pt, phys_bits) ? 1 : 0;
    pte e;
    for (; !broken && next_leaf(&l->pt, &a, &e, &level); a = after_leaf(a, level))
        broken = leaf_audit(l, a, e);
    return broken || pfn_is_none(l->pt.user_root) ? broken : user_audit(l);
}
