/* test_gather.c: reading a machine. The machine is a double: the functions of sim.h, phys.h and mm.h
 * that report_gather calls are defined here and answer from tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/report/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct made made;
static struct vma vmas[2];
static struct sim_site sites[4];
static bool no_memory, no_space;

const struct conf *sim_conf(const struct sim *s)
{
    (void)s;
    return &made.conf;
}
const struct stat_set *sim_stats(const struct sim *s)
{
    (void)s;
    return &made.stats;
}
void sim_cycles(const struct sim *s, struct cpu_cycles *ret)
{
    (void)s;
    cpu_cycles(&made.conf, &made.stats, ret);
}
const struct phys *sim_phys(const struct sim *s)
{
    (void)s;
    return NULL;
}
void sim_process(const struct sim *s, struct sim_process *ret)
{
    (void)s;
    *ret = made.report.process;
}
void sim_oom(const struct sim *s, struct sim_oom *ret)
{
    (void)s;
    *ret = made.report.oom;
}
void sim_overflow(const struct sim *s, struct sim_overflow *ret)
{
    (void)s;
    *ret = made.report.overflow;
}
void sim_pool(const struct sim *s, enum mm_hugetlb_size size, struct sim_pool *ret)
{
    (void)s;
    *ret = made.report.pool[size];
}
struct sim_process *sim_processes(struct sim *s, uint32_t *ret_n)
{
    struct sim_process *p = calloc(2, sizeof(*p));
    *ret_n = no_memory ? 0 : 2;
    p[0].pid = 42;
    p[1].space = no_space ? NULL : (struct mm *)s;
    if (no_memory)
        free(p);
    return no_memory ? NULL : p;
}
struct sim_row *sim_thread_rows(struct sim *s, uint32_t *ret_n)
{
    (void)s;
    *ret_n = 0;
    return malloc(1);
}
const struct stat_set *sim_core_stats(struct sim *s, unsigned core)
{
    (void)s, (void)core;
    return &made.stats;
}
const struct stat_set *sim_nobodys_stats(struct sim *s)
{
    (void)s;
    return &made.stats;
}
const struct stat_set *sim_coreless_stats(struct sim *s)
{
    (void)s;
    return &made.stats;
}
unsigned sim_counts_wrong(const struct sim *s)
{
    (void)s;
    return 7;
}
uint64_t phys_frames(const struct phys *p)
{
    (void)p;
    return 100;
}
uint64_t phys_owner_frames(const struct phys *p, enum frame_owner owner)
{
    (void)p;
    return (uint64_t)owner;
}
const struct vma *mm_vma_next(const struct mm *m, vaddr a)
{
    assert_non_null(m);
    assert_int_equal(a.v, 0);
    return vmas;
}

static void *copy(const void *from, size_t n, size_t size, uint32_t *ret_n)
{
    *ret_n = no_memory ? 0 : (uint32_t)n;
    void *to = no_memory ? NULL : malloc(n * size);
    if (to != NULL)
        memcpy(to, from, n * size);
    return to;
}
struct sim_area *sim_areas(const struct sim *s, uint32_t *ret_n)
{
    (void)s;
    return copy(made.area, MADE_AREAS, sizeof(made.area[0]), ret_n);
}
struct sim_site *sim_sites(const struct sim *s, uint32_t *ret_n)
{
    (void)s;
    return copy(sites, ARRAY_LEN(sites), sizeof(sites[0]), ret_n);
}

static struct sim *const machine = (struct sim *)&made;
static char self[512];

/* Two VMAs: this program's own file under label 1, the stack under label 2. */
static int fresh(void **state)
{
    (void)state;
    no_memory = no_space = false;
    made_open(&made);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0 && n < (ssize_t)sizeof(made.label[1].name));
    self[n] = '\0';
    strcpy(made.label[1].name, self);
    vmas[0] = (struct vma){.start = va(0x400000),
                           .end = va(0x500000),
                           .flags = VM_READ | VM_EXEC,
                           .kind = VMA_FILE,
                           .pgoff = 1,
                           .file = (struct mm_file *)&made,
                           .label = 1};
    vmas[0].next = &vmas[1];
    vmas[1] = (struct vma){.start = va(0x7ff000),
                           .end = va(0x800000),
                           .flags = VM_READ | VM_WRITE,
                           .kind = VMA_STACK,
                           .pgoff = 9,
                           .label = 2};
    sites[0] = (struct sim_site){.pc = 0x10, .walks = 1, .walk_cycles = 10};
    sites[1] = (struct sim_site){.pc = 0x7ff010,
                                 .label = &made.label[2],
                                 .walks = 2,
                                 .walk_cycles = 500,
                                 .faults = 1,
                                 .fault_cycles = 700};
    sites[2] = (struct sim_site){.pc = 0x7ff020, .label = &made.label[2], .stlb_hits = 100};
    sites[3] = (struct sim_site){.pc = 0x20, .walks = 1, .walk_cycles = 10};
    return 0;
}

static void everything_is_read(void **state)
{
    struct report r;
    (void)state;
    assert_int_equal(report_gather(&r, &made.run, machine), 0);
    assert_int_equal(r.frames, 100);
    assert_int_equal(r.owner[FRAME_SLAB], FRAME_SLAB);
    assert_int_equal(r.counts_wrong, 7);
    assert_int_equal(r.process.pid, 42);
    assert_int_equal(r.cycles.total, 722254400);
    assert_int_equal(r.n_areas, MADE_AREAS);
    report_close(&r);
}

/* 1200, 100 hits x 7 = 700, then two equal ones by address. */
static void sites_are_sorted_by_their_exposed_cycles(void **state)
{
    static const uint64_t order[] = {0x7ff010, 0x7ff020, 0x10, 0x20};
    struct report r;
    (void)state;
    assert_int_equal(report_gather(&r, &made.run, machine), 0);
    assert_int_equal(r.n_sites, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(r.sites[i].pc, order[i]);
    report_close(&r);
}

static void areas_are_sorted_and_vmas_find_their_label_all_the_same(void **state)
{
    struct report r;
    (void)state;
    made.area[3].fault_cycles = UINT64_C(1) << 40;
    assert_int_equal(report_gather(&r, &made.run, machine), 0);
    assert_ptr_equal(r.areas[0].label, &made.label[3]);
    assert_ptr_equal(r.areas[1].label, &made.label[0]);
    assert_int_equal(r.n_spaces, 1);
    assert_int_equal(r.spaces[0].process, 1); /* the other gave its own up */
    assert_int_equal(r.spaces[0].n_maps, 2);
    const struct symbol_map *maps = r.spaces[0].maps;
    assert_string_equal(maps[0].path, self);
    assert_true(maps[0].is_file);
    assert_int_equal(maps[0].offset, 4096);
    assert_string_equal(maps[1].path, "[stack]");
    assert_false(maps[1].is_file);
    report_close(&r);
}

static void functions_sum_to_the_sites(void **state)
{
    struct report r;
    uint64_t walks = 0, walk_cycles = 0, fault_cycles = 0, hits = 0, n = 0;
    (void)state;
    assert_int_equal(report_gather(&r, &made.run, machine), 0);
    for (uint32_t i = 0; i < r.n_functions; i++) {
        walks += r.functions[i].walks;
        walk_cycles += r.functions[i].walk_cycles;
        fault_cycles += r.functions[i].fault_cycles;
        hits += r.functions[i].stlb_hits;
        n += r.functions[i].sites;
    }
    assert_int_equal(walks, 4);
    assert_int_equal(walk_cycles, 520);
    assert_int_equal(fault_cycles, 700);
    assert_int_equal(hits, 100);
    assert_int_equal(n, 4);
    assert_int_equal(r.n_functions, 2); /* nowhere, and unknown code in [stack] */
    assert_string_equal(r.functions[0].object, "[stack]");
    assert_string_equal(r.functions[0].name, "[unknown]");
    assert_int_equal(r.functions[0].cycles, 500 + 700 + 100 * 7);
    report_close(&r);
}

static void a_program_that_never_started_has_no_maps(void **state)
{
    struct report r;
    (void)state;
    no_space = true;
    assert_int_equal(report_gather(&r, &made.run, machine), 0);
    assert_int_equal(r.n_spaces, 0);
    assert_string_equal(r.symbols[2].object, "[unknown]"); /* of code in no known mapping */
    report_close(&r);
}

static void no_memory_is_an_error_and_close_is_safe(void **state)
{
    struct report r;
    (void)state;
    no_memory = true;
    assert_int_equal(report_gather(&r, &made.run, machine), -12);
    report_close(&r);
    assert_null(r.sites);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(everything_is_read, fresh),
        cmocka_unit_test_setup(sites_are_sorted_by_their_exposed_cycles, fresh),
        cmocka_unit_test_setup(areas_are_sorted_and_vmas_find_their_label_all_the_same, fresh),
        cmocka_unit_test_setup(functions_sum_to_the_sites, fresh),
        cmocka_unit_test_setup(a_program_that_never_started_has_no_maps, fresh),
        cmocka_unit_test_setup(no_memory_is_an_error_and_close_is_safe, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
