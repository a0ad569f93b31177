/* test_entry.c: entries into the kernel, in closed form: what a system call makes a program's and the
 * kernel's translations lose, with page-table isolation and without, with PCIDs and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/machines.h"
#include "sim/sim_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CODE   0x400000u
#define DATA   0x600000u
#define PAGES  20u /* of data the program loads between two calls */
#define ROUNDS 50u

struct machine {
    struct conf conf;
    struct sim *sim;
    struct sim_thread *t;
    uint64_t w[4096];
    size_t n;
};

static void map(struct machine *m, uint64_t at, uint64_t len, uint32_t prot)
{
    struct mm_map x = {.addr = va(at),
                       .len = len,
                       .prot = prot,
                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                       .forced = true};
    assert_int_equal(mm_mmap(sim_mm(m->sim), &x), at);
}

static void put(struct machine *m, uint64_t w)
{
    assert_true(m->n < ARRAY_LEN(m->w));
    m->w[m->n++] = w;
}

static void put_control(struct machine *m, enum event_control type, unsigned n, const uint64_t *p)
{
    put(m, event_control(type, n));
    for (unsigned i = 0; i < n; i++)
        put(m, p[i]);
}

static void feed(struct machine *m)
{
    enum sim_stop stop;
    assert_int_equal(sim_feed(m->sim, m->t, m->w, m->n, true, &stop), m->n);
    m->n = 0;
}

/* One block: a load, a jump back or a system call; both in the one page of code. */
static void add_blocks(struct machine *m)
{
    static const char code[] = "\x48\x8b\x07\x0f\x05"; /* mov rax,[rdi]; syscall */
    for (unsigned i = 0; i < 2; i++) {
        struct ring_block *b = calloc(1, sizeof(*b) + 4);
        b->pc = CODE + 3 * i;
        b->insns = 1;
        b->code_bytes = i == 0 ? 3 : 2;
        b->data[0] = (uint8_t)b->code_bytes;
        memcpy(b->data + 1, code + 3 * i, b->code_bytes);
        assert_int_equal(sim_add_block(m->sim, i, b), 0);
        free(b);
    }
}

static const char *preset; /* a machine of machines/ */

/* Without a preset a machine whose TLBs hold everything: fully associative, least recently used. */
static struct machine *machine_open(const char *const *options)
{
    static const char *const ideal[] = {
        "phys.size=256M",       "cpu.cores=1",           "tlb.i.entries=256", "tlb.i.ways=256",
        "tlb.i.sizes=4k+2m+1g", "tlb.i2.entries=0",      "tlb.d.entries=256", "tlb.d.ways=256",
        "tlb.d.sizes=4k+2m+1g", "tlb.d2.entries=0",      "tlb.d3.entries=0",  "tlb.l2.entries=4096",
        "tlb.l2.ways=4096",     "tlb.l2.sizes=4k+2m+1g", "tlb.l2b.entries=0", NULL};
    struct machine *m = calloc(1, sizeof(*m));
    uint64_t start[3] = {7, 7, 0};
    char err[256], key[64];
    conf_init(&m->conf);
    if (preset && machines_load(&m->conf, "machines", preset, key, sizeof key, err, sizeof err) < 0)
        fail_msg("%s", err);
    for (unsigned pass = preset ? 1 : 0; pass < 2; pass++)
        for (const char *const *o = pass == 0 ? ideal : options; *o; o++) {
            const char *eq = strchr(*o, '=');
            snprintf(key, sizeof key, "%.*s", (int)(eq - *o), *o);
            assert_int_equal(conf_set(&m->conf, key, eq + 1, err, sizeof err), 0);
        }
    assert_int_equal(sim_open(&m->sim, &m->conf), 0);
    m->t = sim_thread_open(m->sim);
    map(m, CODE, PAGE_SIZE, PROT_READ | PROT_EXEC);
    map(m, DATA, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE);
    add_blocks(m);
    put_control(m, EV_THREAD_START, 3, start);
    return m;
}
#define OPEN(...) machine_open((const char *const[]){__VA_ARGS__, NULL})

static void machine_close(struct machine *m)
{
    assert_int_equal(sim_audit(m->sim), 0);
    sim_close(m->sim);
    free(m);
}

/* The program loads from each of its pages, then calls getppid; `rounds` times. */
static void rounds(struct machine *m, unsigned n)
{
    uint64_t call[8] = {SYS_getppid}, ret[3] = {SYS_getppid, 1, 0};
    for (; n > 0; n--) {
        for (unsigned i = 0; i < PAGES; i++) {
            put(m, event_block(0));
            put(m, event_access(DATA + i * PAGE_SIZE, 0, 3, false));
        }
        put(m, event_block(1));
        put_control(m, EV_SYSCALL, 8, call);
        put_control(m, EV_SYSCALL_RET, 3, ret);
        feed(m);
    }
}

struct lost {
    uint64_t data, code, kernel_data, kernel_text, flushes, cr3;
};

/* What is walked for in ROUNDS rounds, once all is warm. */
static struct lost steady(struct machine *m)
{
    rounds(m, 3);
    struct stat_set was = *sim_stats(m->sim), now;
    rounds(m, ROUNDS);
    now = *sim_stats(m->sim);
#define GREW(id) (STAT(&now, id) - STAT(&was, id))
    struct lost l = {.data = GREW(dtlb_load_walk) + GREW(dtlb_store_walk),
                     .code = GREW(itlb_walk),
                     .kernel_data = GREW(k_dtlb_load_walk) + GREW(k_dtlb_store_walk),
                     .kernel_text = GREW(k_itlb_walk),
                     .flushes = GREW(tlb_flush_full),
                     .cr3 = GREW(kpti_switches)};
    assert_int_equal(GREW(syscalls), ROUNDS);
    assert_int_equal(GREW(walk_fault), 0);
#undef GREW
    return l;
}

/* The kernel's pages a call touches that are not global, and those that are; of the size they have. */
static void kernel_pages(struct machine *m, unsigned *ret_local, unsigned *ret_text)
{
    struct kern_touch t[3 * KERN_TOUCHES_MAX];
    uint64_t seen[3 * KERN_TOUCHES_MAX];
    uint32_t n = kern_entry_text(m->sim->kern, ENTRY_SYSCALL, SYS_getppid, t), seen_n = 0;
    n += kern_entry_text(m->sim->kern, ENTRY_CALL, SYS_getppid, t + n);
    n += kern_entry_data(m->sim->kern, ENTRY_SYSCALL, 0, 7, t + n);
    n += kern_entry_data(m->sim->kern, ENTRY_CALL, 0, 7, t + n);
    *ret_local = *ret_text = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(sim_mm(m->sim)), t[i].page, &level);
        uint64_t page = t[i].page.v >> pt_level_shift(level);
        bool known = false;
        for (uint32_t j = 0; j < seen_n; j++)
            known |= seen[j] == page;
        seen[seen_n++] = page;
        *ret_text += !known && t[i].kind == TOUCH_FETCH && !(e->v & PTE_G);
        *ret_local += !known && t[i].kind != TOUCH_FETCH && !(e->v & PTE_G);
    }
}

static void expect(struct lost l, uint64_t data, uint64_t code, uint64_t kernel_data,
                   uint64_t kernel_text, uint64_t flushes)
{
    assert_int_equal(l.data, ROUNDS * data);
    assert_int_equal(l.code, ROUNDS * code);
    assert_int_equal(l.kernel_data, ROUNDS * kernel_data);
    assert_int_equal(l.kernel_text, ROUNDS * kernel_text);
    assert_int_equal(l.flushes, ROUNDS * flushes);
}

/* Without isolation an entry is no switch of anything; the kernel's entries are global anyway. */
static void without_isolation_a_call_loses_nothing(void **state)
{
    (void)state;
    static const char *const pcid[] = {"mmu.pcid=on", "mmu.pcid=off"};
    static const char *const foot[] = {"kernel.footprint=on", "kernel.footprint=off"};
    for (unsigned i = 0; i < 4; i++) {
        struct machine *m = OPEN("kernel.kpti=off", pcid[i % 2], foot[i / 2]);
        expect(steady(m), 0, 0, 0, 0, 0);
        machine_close(m);
    }
}

static void isolation_with_pcids_loses_nothing_where_both_sets_fit(void **state)
{
    (void)state;
    static const char *const foot[] = {"kernel.footprint=on", "kernel.footprint=off"};
    for (unsigned i = 0; i < 2; i++) {
        struct machine *m = OPEN("kernel.kpti=on", "mmu.pcid=on", foot[i]);
        struct lost l = steady(m);
        expect(l, 0, 0, 0, 0, 0);
        assert_int_equal(l.cr3, 2 * ROUNDS);
        machine_close(m);
    }
}

/* Twice per call everything that is not global goes: the program walks for each of its pages again, and the
 * kernel for each of its own: its text, too, but for what isolation by the CPU's need leaves global
 * (pti_kernel_image_global_ok). */
static void isolation_without_pcids_loses_all_that_is_not_global_twice_per_call(void **state)
{
    (void)state;
    struct machine *m = OPEN("kernel.kpti=on", "mmu.pcid=off", "kernel.footprint=off");
    expect(steady(m), PAGES, 1, 0, 0, 2);
    machine_close(m);
    static const char *const kpti[] = {"kernel.kpti=on", "kernel.kpti=auto"};
    for (unsigned i = 0; i < 2; i++) {
        unsigned local, text;
        m = OPEN(kpti[i], "cpu.meltdown=on", "mmu.pcid=off", "kernel.footprint=on");
        struct lost l = steady(m);
        kernel_pages(m, &local, &text);
        assert_true(local >= 3);            /* stack, the CPU's variables, the task */
        assert_int_equal(text > 0, i == 0); /* beyond the 2 MiB of the entry text */
        expect(l, PAGES, 1, local, text, 2);
        machine_close(m);
    }
}

/* The same on the machines of machines/, as they are: the sets are small enough for all of them. */
static void on_every_preset_isolation_loses_nothing_with_pcids_and_all_twice_without(void **state)
{
    static const char *const presets[] = {"golden-cove", "skylake-sp", "zen4"};
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(presets); i++) {
        preset = presets[i];
        struct machine *m = OPEN("phys.size=256M", "cpu.cores=1", "kernel.kpti=on", "mmu.pcid=on");
        expect(steady(m), 0, 0, 0, 0, 0);
        machine_close(m);
        m = OPEN("phys.size=256M", "cpu.cores=1", "kernel.kpti=on", "mmu.pcid=off",
                 "kernel.footprint=off");
        expect(steady(m), PAGES, 1, 0, 0, 2);
        machine_close(m);
    }
    preset = NULL;
}

/* The experiment: another address space, and nothing survives, global or not. */
static void a_separate_kernel_loses_everything_at_every_entry_and_exit(void **state)
{
    (void)state;
    static const char *const pcid[] = {"mmu.pcid=on", "mmu.pcid=off"};
    for (unsigned i = 0; i < 2; i++) {
        unsigned local, text;
        struct machine *m = OPEN("kernel.kpti=separate", pcid[i], "kernel.footprint=on");
        struct lost l = steady(m);
        kernel_pages(m, &local, &text);
        assert_int_equal(l.data, ROUNDS * PAGES);
        assert_int_equal(l.code, ROUNDS);
        assert_true(l.kernel_data >= ROUNDS * local);
        assert_true(l.kernel_text >
                    ROUNDS * text); /* the entry's own page is global, and goes, too */
        machine_close(m);
    }
}

/* What the user's PCID may hold is bounded by what the kernel told it to forget: munmap of a page, then a
 * load from it faults, with every kind of isolation. */
static void a_flush_reaches_the_users_entries_too(void **state)
{
    (void)state;
    static const char *const kpti[] = {"kernel.kpti=on", "kernel.kpti=separate"};
    static const char *const pcid[] = {"mmu.pcid=on", "mmu.pcid=off"};
    static const char *const inv[] = {"mmu.invpcid=on", "mmu.invpcid=off"};
    for (unsigned i = 0; i < 8; i++) {
        uint64_t call[8] = {SYS_munmap, DATA, PAGE_SIZE}, ret[3] = {SYS_munmap, 0, 0};
        struct machine *m = OPEN(kpti[i & 1], pcid[i >> 1 & 1], inv[i >> 2]);
        rounds(m, 3);
        put_control(m, EV_SYSCALL, 8, call);
        put_control(m, EV_SYSCALL_RET, 3, ret);
        feed(m);
        uint64_t before = STAT(sim_stats(m->sim), walk_fault);
        put(m, event_block(0));
        put(m, event_access(DATA, 0, 3, false));
        feed(m);
        assert_true(STAT(sim_stats(m->sim), walk_fault) > before);
        machine_close(m);
    }
}

/* -- the timer */

/* Instructions of blocks that are not worth writing. */
static void works(struct machine *m, uint64_t instructions)
{
    m->t->instructions += instructions;
    STAT(&m->sim->stats, instructions) += instructions;
}

static void the_timer_ticks_hz_times_a_second_of_running(void **state)
{
    (void)state;
    struct machine *m =
        OPEN("kernel.footprint=on", "kernel.hz=1000", "cpu.mhz=1000", "cpu.cpi=1000");
    for (unsigned n = 0; n < 200; n++) { /* an instruction is 1 ns, a tick 1000000 of them */
        works(m, 50000);
        put(m, event_block(0));
        put(m, event_access(DATA + n % PAGES * PAGE_SIZE + n / PAGES * 64, 0, 3, false));
        feed(m);
    }
    assert_int_equal(STAT(sim_stats(m->sim), timer_interrupts), 10);
    assert_true(STAT(sim_stats(m->sim), kernel_cycles_timer) >= 10 * m->conf.cost_timer);
    machine_close(m);
}

/* The stack of a task is as deep as its deepest entry, and empty when it is back. */
static void stacks_are_empty_after_every_call(void **state)
{
    (void)state;
    struct machine *m = OPEN("kernel.footprint=on");
    rounds(m, 5);
    assert_int_equal(m->t->entries, 0);
    assert_int_equal(STAT(sim_stats(m->sim), stack_deepest), 1256); /* a fault, from user mode */
    assert_int_equal(STAT(sim_stats(m->sim), stack_guard_hits), 0);
    machine_close(m);
}

/* -- NMIs and double faults */

static void non_maskable_interrupts_come_as_often_as_asked_for(void **state)
{
    (void)state;
    static const char *const kpti[] = {"kernel.kpti=on", "kernel.kpti=off"};
    for (unsigned i = 0; i < 2; i++) {
        struct machine *m = OPEN("kernel.footprint=on", "kernel.nmi_hz=2000", "cpu.mhz=1000",
                                 "cpu.cpi=1000", "kernel.hz=100", kpti[i]);
        rounds(m, 1);
        uint64_t written = STAT(sim_stats(m->sim), kpti_switches);
        for (unsigned n = 0; n < 100; n++) { /* 5 ms */
            works(m, 50000);
            put(m, event_block(0));
            feed(m);
        }
        assert_int_equal(STAT(sim_stats(m->sim), nmi_interrupts), 10);
        assert_int_equal(STAT(sim_stats(m->sim), timer_interrupts), 0);
        assert_true(STAT(sim_stats(m->sim), kernel_cycles_nmi) >= 10 * m->conf.cost_nmi);
        assert_int_equal(STAT(sim_stats(m->sim), kpti_switches) - written, i == 0 ? 20 : 0);
        machine_close(m);
    }
}

/* Entries that do not end: 13 times 1256 bytes fit, the next hits the guard page. The handler's stack, a page
 * nobody has touched, is the only one that has to be walked for, and the report can say whose stack it was. */
static void a_full_kernel_stack_is_a_double_fault_and_is_told(void **state)
{
    (void)state;
    struct machine *m = OPEN("kernel.footprint=on");
    struct sim_overflow o;
    rounds(m, 1);
    for (unsigned n = 0; n < 12; n++)
        kern_enter(m->sim->kern, ENTRY_FAULT, 7);
    for (unsigned n = 0; n < 2; n++) { /* the last page of the stack is known then */
        entry_begin(m->sim, m->t, ENTRY_FAULT, 0);
        entry_end(m->sim, m->t);
    }
    entry_begin(m->sim, m->t, ENTRY_FAULT, 0);
    uint64_t walks = STAT(sim_stats(m->sim), k_dtlb_store_walk);
    sim_overflow(m->sim, &o);
    assert_int_equal(o.times, 0);
    entry_begin(m->sim, m->t, ENTRY_FAULT, 0);
    assert_int_equal(STAT(sim_stats(m->sim), k_dtlb_store_walk), walks + 1);
    entry_begin(m->sim, m->t, ENTRY_FAULT, 0); /* deeper yet: no second one */
    assert_int_equal(STAT(sim_stats(m->sim), stack_guard_hits), 1);
    sim_overflow(m->sim, &o);
    assert_int_equal(o.times, 1);
    assert_int_equal(o.tid, 7);
    assert_string_equal(o.last, "page fault");
    assert_int_equal(o.size, KIB(16));
    assert_int_equal(o.used, 14 * 1256);
    assert_true(o.guarded);
    sim_close(m->sim);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_isolation_a_call_loses_nothing),
        cmocka_unit_test(isolation_with_pcids_loses_nothing_where_both_sets_fit),
        cmocka_unit_test(isolation_without_pcids_loses_all_that_is_not_global_twice_per_call),
        cmocka_unit_test(on_every_preset_isolation_loses_nothing_with_pcids_and_all_twice_without),
        cmocka_unit_test(a_separate_kernel_loses_everything_at_every_entry_and_exit),
        cmocka_unit_test(a_flush_reaches_the_users_entries_too),
        cmocka_unit_test(the_timer_ticks_hz_times_a_second_of_running),
        cmocka_unit_test(stacks_are_empty_after_every_call),
        cmocka_unit_test(non_maskable_interrupts_come_as_often_as_asked_for),
        cmocka_unit_test(a_full_kernel_stack_is_a_double_fault_and_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
