/* test_layout.c: the kernel's own address space: where things are by Documentation/arch/x86/x86_64/
 * mm.rst, how they are mapped by the rules of arch/x86/mm, and what isolation leaves of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kern/layout.h"

#include "base/rng.h"

#include <stdio.h>
#include <string.h>

#define PHYS_BITS 46

struct boot {
    struct conf conf;
    struct stat_set stats;
    struct phys *phys;
    struct kern_layout l;
};

/* boot_with opens a machine with options, "key=value" until NULL. */
static void boot_with(struct boot *b, enum kern_kpti kpti, const char *const *options)
{
    char err[256], key[64];
    memset(b, 0, sizeof *b);
    conf_init(&b->conf);
    for (; *options; options++) {
        const char *eq = strchr(*options, '=');
        snprintf(key, sizeof key, "%.*s", (int)(eq - *options), *options);
        assert_int_equal(conf_set(&b->conf, key, eq + 1, err, sizeof err), 0);
    }
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(layout_open(&b->l, b->phys, &b->conf, kpti), 0);
}
#define BOOT(b, ...)    boot_with((b), KPTI_OFF, (const char *const[]){__VA_ARGS__, NULL})
#define ISOLATE(b, ...) boot_with((b), KPTI_ON, (const char *const[]){__VA_ARGS__, NULL})

static void power_off(struct boot *b)
{
    layout_close(&b->l);
    assert_int_equal(phys_audit(b->phys), 0);
    phys_close(b->phys);
}

/* walk is an oracle: bytes of tables by index, nothing of pt.c. Returns the physical address, or ~0;
 * stores level and bits of the leaf. */
static uint64_t walk(struct boot *b, pfn root, uint64_t a, unsigned *ret_level, uint64_t *ret_bits)
{
    uint64_t table = root.v;
    for (int level = (int)b->conf.mmu_levels - 1; level >= 0; level--) {
        unsigned shift = 12 + 9 * (unsigned)level;
        uint64_t e = phys_table(b->phys, (pfn){table})[a >> shift & 511].v;
        if (!(e & 1))
            return UINT64_MAX;
        if (level == 0 || (e & 0x80)) {
            uint64_t in = a & ((UINT64_C(1) << shift) - 1);
            *ret_level = (unsigned)level;
            *ret_bits = e & UINT64_C(0x80000000000001ff);
            return (e & UINT64_C(0x000ffffffffff000)) + in;
        }
        table = (e & UINT64_C(0x000ffffffffff000)) >> 12;
    }
    return UINT64_MAX;
}
static uint64_t where(struct boot *b, uint64_t a)
{
    unsigned level;
    uint64_t bits;
    return walk(b, b->l.pt.root, a, &level, &bits);
}
static unsigned level_at(struct boot *b, uint64_t a)
{
    unsigned level = 9;
    uint64_t bits;
    walk(b, b->l.pt.root, a, &level, &bits);
    return level;
}

/* -- where things are */

static void bases_are_those_of_the_kernels_documentation(void **state)
{
    (void)state;
    struct boot b;
    BOOT(&b, "phys.size=1G", "mmu.levels=4");
    assert_int_equal(b.l.page_offset, 0xffff888000000000);
    assert_int_equal(b.l.vmalloc, 0xffffc90000000000);
    assert_int_equal(b.l.vmemmap, 0xffffea0000000000);
    assert_int_equal(b.l.text, 0xffffffff81000000); /* physical 16 MiB */
    power_off(&b);
    BOOT(&b, "phys.size=1G", "mmu.levels=5");
    assert_int_equal(b.l.page_offset, 0xff11000000000000);
    assert_int_equal(b.l.vmalloc, 0xffa0000000000000);
    assert_int_equal(b.l.vmemmap, 0xffd4000000000000);
    assert_int_equal(b.l.text, 0xffffffff81000000);
    power_off(&b);
}

static void physical_memory_is_mapped_where_virt_to_phys_looks_for_it(void **state)
{
    (void)state;
    static const char *const levels[] = {"mmu.levels=4", "mmu.levels=5"};
    struct rng r = {7};
    for (unsigned i = 0; i < 2; i++) {
        struct boot b;
        BOOT(&b, "phys.size=3000M", levels[i]);
        for (unsigned n = 0; n < 5000; n++) {
            uint64_t p = rng_below(&r, MIB(3000));
            assert_int_equal(where(&b, b.l.page_offset + p), p);
        }
        assert_int_equal(where(&b, b.l.page_offset + MIB(3000)), UINT64_MAX);
        power_off(&b);
    }
}

/* split_mem_range: the head up to 2 MiB in small pages, 2 MiB to the first GiB, then the largest. */
static void direct_map_has_the_largest_pages_that_fit(void **state)
{
    (void)state;
    struct boot b;
    BOOT(&b, "phys.size=2563M"); /* 2.5 GiB and 3 MiB */
    uint64_t m = b.l.page_offset;
    assert_int_equal(level_at(&b, m), 0);
    assert_int_equal(level_at(&b, m + MIB(2) - 1), 0);
    assert_int_equal(level_at(&b, m + MIB(2)), 1);
    assert_int_equal(level_at(&b, m + GIB(1) - 1), 1);
    assert_int_equal(level_at(&b, m + GIB(1)), 2);
    assert_int_equal(level_at(&b, m + GIB(2) - 1), 2);
    assert_int_equal(level_at(&b, m + GIB(2)), 1);
    assert_int_equal(level_at(&b, m + MIB(2562) - 1), 1);
    assert_int_equal(level_at(&b, m + MIB(2562)), 0);
    power_off(&b);
    BOOT(&b, "phys.size=4G", "mmu.1g=off");
    assert_int_equal(level_at(&b, b.l.page_offset + GIB(2)), 1);
    power_off(&b);
}

static void struct_pages_are_64_bytes_each_inside_the_memmap_of_their_node(void **state)
{
    (void)state;
    struct boot b;
    BOOT(&b, "phys.size=1G", "numa.nodes=2");
    for (uint64_t n = 0; n < GIB(1) >> PAGE_SHIFT; n += 777) {
        uint64_t p = where(&b, b.l.vmemmap + 64 * n);
        assert_int_not_equal(p, UINT64_MAX);
        assert_int_equal(layout_page(&b.l, (pfn){n}).v, b.l.vmemmap + 64 * n);
        assert_int_equal(phys_owner(b.phys, (pfn){p >> PAGE_SHIFT}), FRAME_MEMMAP);
        assert_int_equal(phys_frame_node(b.phys, (pfn){p >> PAGE_SHIFT}),
                         phys_frame_node(b.phys, (pfn){n}));
    }
    power_off(&b);
}

static void text_may_be_executed_rodata_only_read_and_data_written(void **state)
{
    (void)state;
    struct boot b;
    unsigned level;
    uint64_t bits;
    BOOT(&b, "phys.size=1G");
    assert_int_equal(walk(&b, b.l.pt.root, b.l.text, &level, &bits), MIB(16));
    assert_int_equal(level, 1);
    assert_int_equal(bits, 0x1a1); /* P A PS G */
    walk(&b, b.l.pt.root, b.l.rodata, &level, &bits);
    assert_int_equal(bits, 0x80000000000001a1);
    walk(&b, b.l.pt.root, b.l.data, &level, &bits);
    assert_int_equal(bits, 0x80000000000001e3); /* P RW A D PS G NX */
    power_off(&b);
}

/* Offsets of struct cpu_entry_area and struct cea_exception_stacks, BTF of 6.18. */
static void cpu_entry_areas_have_guard_pages_between_their_stacks(void **state)
{
    (void)state;
    static const char map[] = "GET"
                              "TTTT"
                              "-DD-NN-BB-MM-";
    struct boot b;
    BOOT(&b, "phys.size=1G", "cpu.cores=3");
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        uint64_t base = 0xfffffe0000001000 + cpu * UINT64_C(241664);
        assert_int_equal(layout_cea(&b.l, cpu, CEA_GDT).v, base);
        assert_int_equal(layout_cea(&b.l, cpu, CEA_DF).v, base + 28672 + 4096);
        assert_int_equal(layout_cea(&b.l, cpu, CEA_MCE).v, base + 28672 + 40960);
        for (unsigned i = 0; i < sizeof map - 1; i++)
            assert_int_equal(where(&b, base + i * PAGE_SIZE) == UINT64_MAX, map[i] == '-');
    }
    power_off(&b);
}

static void randomised_bases_keep_their_order_and_are_whole_gib(void **state)
{
    (void)state;
    uint64_t seen = 0;
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct boot b;
        char option[32];
        snprintf(option, sizeof option, "seed=%u", seed);
        BOOT(&b, "phys.size=1G", "kernel.kaslr=on", option,
             seed % 2 ? "mmu.levels=4" : "mmu.levels=5");
        uint64_t tib = UINT64_C(1) << 40;
        uint64_t direct = seed % 2 ? 64 * tib : 4096 * tib,
                 area = seed % 2 ? 32 * tib : 12800 * tib;
        assert_true(b.l.page_offset >= (seed % 2 ? 0xffff888000000000 : 0xff11000000000000));
        assert_true(b.l.vmalloc >= b.l.page_offset + direct);
        assert_true(b.l.vmemmap >= b.l.vmalloc + area);
        assert_true(b.l.vmemmap + tib <= 0xfffffe0000000000);
        assert_int_equal((b.l.page_offset | b.l.vmalloc | b.l.vmemmap) & (GIB(1) - 1), 0);
        assert_int_equal(b.l.text & (MIB(2) - 1), 0);
        assert_true(b.l.text >= 0xffffffff81000000 && b.l.image_end <= 0xffffffffc0000000);
        assert_int_equal(layout_audit(&b.l, PHYS_BITS), 0);
        seen += b.l.page_offset != 0xffff888000000000;
        power_off(&b);
    }
    assert_true(seen >= 39);
}

/* -- what it costs */

static void a_machine_of_1_tib_takes_a_handful_of_tables(void **state)
{
    (void)state;
    struct boot b;
    BOOT(&b, "phys.size=1T");
    /* root; direct map: 2 PDPTs, PD and PT of the first GiB; text 2; vmemmap (16 GiB): PDPT, 16 PDs;
     * vmalloc 3; cpu_entry_area 3 */
    assert_int_equal(b.l.pt.boot_tables, 1 + 2 + 2 + 2 + 17 + 3 + 3);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_TABLE), 0);
    power_off(&b);
    BOOT(&b, "phys.size=1T", "mmu.1g=off");
    assert_int_equal(b.l.pt.boot_tables, 1 + 2 + 1024 + 1 + 2 + 17 + 3 + 3);
    power_off(&b);
}

static void boot_takes_nothing_that_linux_would_count(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct boot b;
        struct phys *bare;
        boot_with(&b, i ? KPTI_ON : KPTI_OFF, (const char *const[]){"phys.size=256M", NULL});
        assert_int_equal(phys_open(&bare, &b.conf, &b.stats), 0);
        for (unsigned o = 0; o < FRAME_OWNER_NR; o++)
            assert_int_equal(phys_owner_frames(b.phys, o), phys_owner_frames(bare, o));
        phys_close(bare);
        power_off(&b);
    }
}

static void an_image_too_small_for_the_tables_leaves_them_to_the_allocator(void **state)
{
    (void)state;
    struct boot b;
    BOOT(&b, "phys.size=64G", "phys.kernel_image=1M", "mmu.1g=off", "cpu.cores=2");
    assert_true(phys_owner_frames(b.phys, FRAME_PAGE_TABLE) > 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_TABLE), pt_frames(&b.l.pt));
    assert_int_equal(layout_audit(&b.l, PHYS_BITS), 0);
    layout_close(&b.l);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_TABLE), 0);
    phys_close(b.phys);
}

/* -- sharing and isolation */

static void processes_see_what_the_kernel_maps_later(void **state)
{
    (void)state;
    static const char *const levels[] = {"mmu.levels=4", "mmu.levels=5"};
    for (unsigned i = 0; i < 2; i++) {
        struct boot b;
        struct pt one, two;
        unsigned level;
        uint64_t bits, a;
        BOOT(&b, "phys.size=1G", levels[i]);
        assert_int_equal(pt_open_process(&one, &b.l.pt), 0);
        assert_int_equal(pt_open_process(&two, &b.l.pt), 0);
        a = b.l.vmalloc + MIB(300);
        assert_int_equal(layout_map(&b.l, va(a), (pfn){1234}), 0);
        assert_int_equal(walk(&b, one.root, a + 5, &level, &bits), 1234 * PAGE_SIZE + 5);
        assert_int_equal(walk(&b, two.root, a + 5, &level, &bits), 1234 * PAGE_SIZE + 5);
        layout_unmap(&b.l, va(a));
        assert_int_equal(walk(&b, one.root, a, &level, &bits), UINT64_MAX);
        assert_int_equal(pt_audit(&one, PHYS_BITS), 0);
        assert_int_equal(pt_bytes(&one), 0);
        assert_int_equal(pt_frames(&one), 1);
        pt_close(&one);
        pt_close(&two);
        assert_int_equal(where(&b, b.l.page_offset + 77), 77);
        power_off(&b);
    }
}

static void which_cpus_are_isolated(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        bool meltdown;
        enum kern_kpti want;
    } row[] = {{"auto", false, KPTI_OFF},
               {"auto", true, KPTI_ON},
               {"off", true, KPTI_OFF},
               {"on", false, KPTI_ON},
               {"separate", false, KPTI_SEPARATE}};
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct conf c;
        char err[64];
        conf_init(&c);
        c.cpu_meltdown = row[i].meltdown;
        assert_int_equal(conf_set(&c, "kernel.kpti", row[i].option, err, sizeof err), 0);
        assert_int_equal(kern_kpti(&c), row[i].want);
    }
}

static void isolated_user_tables_map_only_what_an_entry_needs(void **state)
{
    (void)state;
    struct boot b;
    struct pt p;
    unsigned level;
    uint64_t bits;
    ISOLATE(&b, "phys.size=1G", "cpu.cores=2", "mmu.pcid=on");
    assert_int_equal(layout_audit(&b.l, PHYS_BITS), 0);
    assert_int_equal(pt_open_process(&p, &b.l.pt), 0);
    assert_int_equal(p.user_root.v, p.root.v + 1); /* PGD of 8 KiB, the user's at +4096 */
    /* entry text, 2 MiB, global */
    assert_int_equal(walk(&b, p.user_root, b.l.text + 64, &level, &bits), MIB(16) + 64);
    assert_int_equal(bits, 0x1a1);
    assert_int_equal(walk(&b, p.user_root, b.l.text + MIB(2), &level, &bits), UINT64_MAX);
    /* cpu_entry_area, with its stacks, global */
    for (unsigned cpu = 0; cpu < 2; cpu++)
        for (unsigned part = 0; part < CEA_NR; part++) {
            uint64_t a = layout_cea(&b.l, cpu, part).v;
            assert_int_equal(walk(&b, p.user_root, a, &level, &bits), where(&b, a));
            assert_true(bits & 0x100);
        }
    /* the word where the entry spills a register; and nothing else */
    uint64_t tss = layout_direct(&b.l, pfn_paddr(b.l.cpu[1].tss)).v;
    assert_int_equal(walk(&b, p.user_root, tss, &level, &bits), pfn_paddr(b.l.cpu[1].tss).v);
    assert_false(bits & 0x100);
    assert_int_equal(walk(&b, p.user_root, b.l.page_offset, &level, &bits), UINT64_MAX);
    assert_int_equal(walk(&b, p.user_root, b.l.vmemmap, &level, &bits), UINT64_MAX);
    assert_int_equal(walk(&b, p.user_root, b.l.data, &level, &bits), UINT64_MAX);
    assert_int_equal(walk(&b, p.root, b.l.data, &level, &bits), where(&b, b.l.data));
    assert_false(bits & 0x100); /* the kernel half is not global */
    pt_close(&p);
    power_off(&b);
}

/* pti_kernel_image_global_ok: worth it without PCIDs only, where everything else goes at each entry; and only
 * if nobody asked for isolation by name ("Only do global kernel image for pti=auto"). */
static void
kernel_text_stays_global_where_isolation_is_automatic_and_there_are_no_pcids(void **state)
{
    (void)state;
    static const struct {
        const char *kpti, *pcid;
        bool global;
    } row[] = {{"auto", "off", true},
               {"auto", "on", false},
               {"on", "off", false},
               {"on", "on", false},
               {"separate", "off", false}};
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct boot b;
        struct conf c;
        char err[64], kpti[32], pcid[32];
        unsigned level;
        uint64_t bits, text = MIB(36) - 1;
        conf_init(&c);
        assert_int_equal(conf_set(&c, "kernel.kpti", row[i].kpti, err, sizeof err), 0);
        c.cpu_meltdown = true;
        snprintf(kpti, sizeof kpti, "kernel.kpti=%s", row[i].kpti);
        snprintf(pcid, sizeof pcid, "mmu.pcid=%s", row[i].pcid);
        boot_with(&b, kern_kpti(&c), (const char *const[]){"phys.size=1G", kpti, pcid, NULL});
        assert_int_equal(walk(&b, b.l.pt.user_root, b.l.rodata - 1, &level, &bits),
                         row[i].global ? text : UINT64_MAX);
        assert_int_equal(walk(&b, b.l.pt.root, b.l.rodata - 1, &level, &bits), text);
        assert_int_equal((bits & 0x100) != 0, row[i].global);
        assert_int_equal(walk(&b, b.l.pt.user_root, b.l.data, &level, &bits), UINT64_MAX);
        assert_int_equal(layout_audit(&b.l, PHYS_BITS), 0);
        power_off(&b);
    }
}

/* pti_clone_user_shared: the P4D entry is copied (with 4 levels, the root's), and so all tables below are the
 * kernel's own: a walk of either half loads the same lines from there on. */
static void both_halves_walk_cpu_entry_area_through_the_same_tables(void **state)
{
    (void)state;
    static const char *const levels[] = {"mmu.levels=4", "mmu.levels=5"};
    for (unsigned i = 0; i < 2; i++) {
        struct boot b;
        ISOLATE(&b, "phys.size=1G", "cpu.cores=2", levels[i]);
        uint64_t a = layout_cea(&b.l, 0, CEA_GDT).v, root = b.l.pt.root.v,
                 user = b.l.pt.user_root.v;
        for (unsigned top = 3 + i; top > 3; top--) { /* a fifth level has its own */
            root = phys_table(b.phys, (pfn){root})[a >> 48 & 511].v >> 12 & (BIT(40) - 1);
            user = phys_table(b.phys, (pfn){user})[a >> 48 & 511].v >> 12 & (BIT(40) - 1);
            assert_int_not_equal(root, user);
        }
        uint64_t own = phys_table(b.phys, (pfn){root})[a >> 39 & 511].v;
        assert_true(own & 1);
        assert_int_equal(phys_table(b.phys, (pfn){user})[a >> 39 & 511].v, own);
        assert_int_equal(layout_audit(&b.l, PHYS_BITS), 0);
        power_off(&b);
    }
}

static void user_entries_are_in_both_tables_and_executable_in_the_users_only(void **state)
{
    (void)state;
    struct boot b;
    struct pt p;
    unsigned made = 0, level;
    uint64_t bits, a = 0x7f0000001000;
    pte *e;
    ISOLATE(&b, "phys.size=1G");
    assert_int_equal(pt_open_process(&p, &b.l.pt), 0);
    assert_int_equal(pt_lookup_alloc(&p, va(a), 0, &e, &made), 0);
    assert_int_equal(made, 3);
    *e = pte_make((pfn){99}, PTE_P | PTE_US);
    assert_int_equal(walk(&b, p.root, a, &level, &bits), 99 * PAGE_SIZE);
    assert_int_equal(walk(&b, p.user_root, a, &level, &bits), 99 * PAGE_SIZE);
    pte kernel = phys_table(b.phys, p.root)[254], user = phys_table(b.phys, p.user_root)[254];
    assert_int_equal(kernel.v, user.v | PTE_NX);
    assert_int_equal(pt_audit(&p, PHYS_BITS), 0);
    assert_int_equal(pt_bytes(&p), 3 * PAGE_SIZE); /* VmPTE counts neither of the two roots */
    assert_int_equal(pt_frames(&p), 5);
    *e = (pte){0};
    assert_int_equal(pt_free_tables(&p, va(a), va(a + PAGE_SIZE), va(0), va(0), NULL), 3);
    assert_int_equal(phys_table(b.phys, p.user_root)[254].v, 0);
    assert_int_equal(pt_audit(&p, PHYS_BITS), 0);
    phys_table(b.phys, p.user_root)[3] = pte_make((pfn){5}, PT_TABLE_BITS);
    assert_int_equal(pt_audit(&p, PHYS_BITS), 4);
    phys_table(b.phys, p.user_root)[3] = (pte){0};
    pt_close(&p);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_TABLE), 0);
    power_off(&b);
}

/* -- damage is found */

static void set_bits(struct boot *b, uint64_t a, uint64_t set, uint64_t clear, int broken)
{
    unsigned level;
    pte *e = pt_leaf(&b->l.pt, va(a), &level), was = *e;
    e->v = (e->v | set) & ~clear;
    assert_int_equal(layout_audit(&b->l, PHYS_BITS), broken);
    *e = was;
    assert_int_equal(layout_audit(&b->l, PHYS_BITS), 0);
}

static void audit_finds_each_kind_of_damage(void **state)
{
    (void)state;
    struct boot b;
    BOOT(&b, "phys.size=1G");
    set_bits(&b, b.l.page_offset + MIB(500), 0, PTE_A, 1);
    set_bits(&b, b.l.page_offset + MIB(500), 0, PTE_D, 1);
    set_bits(&b, b.l.data, PTE_US, 0, 2);
    set_bits(&b, b.l.data, 0, PTE_NX, 2);
    set_bits(&b, b.l.vmemmap, 0, PTE_G, 3);
    power_off(&b);
    ISOLATE(&b, "phys.size=1G");
    set_bits(&b, b.l.page_offset + MIB(500), PTE_G, 0, 3);
    set_bits(&b, b.l.text, 0, PTE_G, 4); /* now unlike the user's copy */
    pte *top = phys_table(b.phys, b.l.pt.user_root), *own = phys_table(b.phys, b.l.pt.root);
    pte was = top[273]; /* of the direct map */
    top[273] = own[273];
    assert_int_equal(layout_audit(&b.l, PHYS_BITS), 4);
    top[273] = was;
    power_off(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bases_are_those_of_the_kernels_documentation),
        cmocka_unit_test(physical_memory_is_mapped_where_virt_to_phys_looks_for_it),
        cmocka_unit_test(direct_map_has_the_largest_pages_that_fit),
        cmocka_unit_test(struct_pages_are_64_bytes_each_inside_the_memmap_of_their_node),
        cmocka_unit_test(text_may_be_executed_rodata_only_read_and_data_written),
        cmocka_unit_test(cpu_entry_areas_have_guard_pages_between_their_stacks),
        cmocka_unit_test(randomised_bases_keep_their_order_and_are_whole_gib),
        cmocka_unit_test(a_machine_of_1_tib_takes_a_handful_of_tables),
        cmocka_unit_test(boot_takes_nothing_that_linux_would_count),
        cmocka_unit_test(an_image_too_small_for_the_tables_leaves_them_to_the_allocator),
        cmocka_unit_test(processes_see_what_the_kernel_maps_later),
        cmocka_unit_test(which_cpus_are_isolated),
        cmocka_unit_test(isolated_user_tables_map_only_what_an_entry_needs),
        cmocka_unit_test(
            kernel_text_stays_global_where_isolation_is_automatic_and_there_are_no_pcids),
        cmocka_unit_test(both_halves_walk_cpu_entry_area_through_the_same_tables),
        cmocka_unit_test(user_entries_are_in_both_tables_and_executable_in_the_users_only),
        cmocka_unit_test(audit_finds_each_kind_of_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
