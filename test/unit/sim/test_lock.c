/* test_lock.c: who waits for a lock of the kernel, and exactly how long.
 *
 * Two threads on two cores; streams are written by hand. One instruction is one cycle, caches and TLBs
 * cost nothing, so every expected number is a sum of step costs written beside it. Which lock who takes
 * is Linux 6.18's: mm/mmap_lock.c, mm/memory.c (__vmf_anon_prepare), mm/vma.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/sim_int.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CODE    0x400000u
#define DATA    0x600000u   /* 16 pages that B writes, its anon_vma is there */
#define OTHER   0x700000u   /* the same, another VMA of the same 2 MiB */
#define FRESH   0x10000000u /* VMAs of one page that nobody wrote yet, a page between two */
#define SCRATCH 0x20000000u /* what A maps and unmaps */
#define K4      0x1000u
#define HOLD    10000u /* cost.vma_change: how long a call holds mmap_lock */
#define ENTRY   700u   /* cost.fault.entry */
#define LOOKUP  120u   /* cost.fault.vma */
#define ALLOC   350u
#define CHARGE  150u
#define PTE     60u
#define SLEEP   600u /* cost.fault.contention */
#define SYSCALL 260u

enum { A, B, THREADS };

struct stream {
    uint64_t w[4096];
    size_t n;
};

struct two {
    struct sim *sim;
    struct sim_thread *t[THREADS];
    struct stream s[THREADS];
    uint32_t nop, store; /* blocks of one instruction */
};

static void put(struct two *x, int who, uint64_t w)
{
    assert_true(x->s[who].n < ARRAY_LEN(x->s[who].w));
    x->s[who].w[x->s[who].n++] = w;
}

/* Feeds what was put for one thread. */
static void feed(struct two *x, int who)
{
    enum sim_stop stop;
    struct stream *s = &x->s[who];

    assert_int_equal(sim_feed(x->sim, x->t[who], s->w, s->n, true, &stop), s->n);
    assert_int_equal(stop, SIM_ALL);
    s->n = 0;
}

static void nops(struct two *x, int who, unsigned n)
{
    while (n-- > 0)
        put(x, who, event_block(x->nop));
}

/* A store: one instruction, a fault where the page is missing. */
static void store(struct two *x, int who, uint64_t addr)
{
    put(x, who, event_block(x->store));
    put(x, who, event_access(addr, 0, 3, true));
}

static void epoch(struct two *x, int who, uint64_t e)
{
    put(x, who, event_control(EV_EPOCH, 1));
    put(x, who, e);
}

static void call(struct two *x, int who, uint64_t nr, const uint64_t arg[6], uint64_t result)
{
    put(x, who, event_control(EV_SYSCALL, 8));
    put(x, who, nr);
    for (unsigned i = 0; i < 6; i++)
        put(x, who, arg[i]);
    put(x, who, 0);
    put(x, who, event_control(EV_SYSCALL_RET, 3));
    put(x, who, nr);
    put(x, who, result);
    put(x, who, 0);
}

/* Call k of the program: its caller tells epoch 2k - 1 directly before. */
static void mprotect_call(struct two *x, int who, unsigned k, uint64_t addr, uint64_t prot)
{
    epoch(x, who, 2 * k - 1);
    call(x, who, SYS_mprotect, (uint64_t[6]){addr, 16 * K4, prot}, 0);
}

static void mmap_call(struct two *x, int who, unsigned k)
{
    epoch(x, who, 2 * k - 1);
    call(x, who, SYS_mmap,
         (uint64_t[6]){0, K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0},
         SCRATCH);
}

static void munmap_call(struct two *x, int who, unsigned k)
{
    epoch(x, who, 2 * k - 1);
    call(x, who, SYS_munmap, (uint64_t[6]){SCRATCH, K4}, 0);
}

static uint32_t block(struct two *x, uint64_t pc, unsigned len, const char *code)
{
    static uint32_t ids;
    struct ring_block *b = calloc(1, sizeof(*b) + 1 + len);

    b->pc = pc;
    b->insns = 1;
    b->code_bytes = (uint16_t)len;
    b->data[0] = (uint8_t)len;
    for (unsigned i = 0; i < len; i++)
        b->data[1 + i] = (uint8_t)code[i];
    if (pc == CODE)
        ids = 0;
    assert_int_equal(sim_add_block(x->sim, ids, b), 0);
    free(b);
    return ids++;
}

static void map(struct two *x, uint64_t at, uint64_t pages, uint32_t prot)
{
    struct mm_map m = {.addr = va(at),
                       .len = pages * K4,
                       .prot = prot,
                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                       .forced = true};
    assert_int_equal(mm_mmap(sim_mm(x->sim), &m), at);
}

static void configure(struct conf *c)
{
    conf_init(c);
    c->phys_size = MIB(256);
    c->phys_kernel_image = MIB(1);
    c->cpu_cores = 2;
    c->cpu_cpi = 1000;
    c->cpu_exposed_load = c->cpu_exposed_store = c->cpu_exposed_fetch = 0;
    c->cpu_exposed_stlb = c->cpu_exposed_walk = c->cpu_exposed_kernel = 0;
    c->cost_vma_change = HOLD;
    c->cost_fault_entry = ENTRY;
    c->cost_vma_lookup = LOOKUP;
    c->cost_alloc = ALLOC;
    c->cost_charge = CHARGE;
    c->cost_pte = PTE;
    c->cost_contention = SLEEP;
    c->cost_syscall = SYSCALL;
    c->cost_lock_zone = c->cost_lock_lru = 0;
    c->cost_ipi = c->cost_invlpg = c->cost_flush = 0;
}

static void open_machine(struct two *x, const struct conf *c)
{

    assert_int_equal(sim_open(&x->sim, c), 0);
    for (int i = 0; i < THREADS; i++) {
        x->t[i] = sim_thread_open(x->sim);
        put(x, i, event_control(EV_THREAD_START, 3));
        put(x, i, 7);
        put(x, i, 7 + (uint64_t)i);
        put(x, i, 0);
    }
    map(x, CODE, 1, PROT_READ | PROT_EXEC);
    map(x, DATA, 16, PROT_READ | PROT_WRITE);
    map(x, OTHER, 16, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < 32; i++)
        map(x, FRESH + 2 * i * K4, 1, PROT_READ | PROT_WRITE);
    x->nop = block(x, CODE, 1, "\x90");
    x->store = block(x, CODE + 1, 3, "\x48\x89\x07"); /* mov [rdi],rax */
    store(x, A, DATA);
    store(x, A, OTHER);
    store(x, A, FRESH + 62 * K4); /* the page table of FRESH */
    feed(x, A);
    nops(x, B, 1);
    feed(x, B);
}

static int setup(void **state)
{
    struct two *x = calloc(1, sizeof(*x));
    struct conf c;

    configure(&c);
    open_machine(x, &c);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct two *x = *state;

    sim_close(x->sim);
    free(x);
    return 0;
}

#define COUNT(x, ident) STAT(sim_stats((x)->sim), ident)

/* -- a call that changes the VMA of a fault --------------------------------------------------------*/

/* How long B waits that faults `n` instructions after it saw a call begin that changes `present`
 * entries. */
static uint64_t left_of_hold(unsigned present, unsigned n)
{
    return HOLD + present * PTE - (n + 1 + ENTRY + LOOKUP) + SLEEP; /* 1: the store itself */
}

static void a_fault_waits_until_the_call_that_changes_its_mapping_ends(void **state)
{
    struct two *x = *state;

    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, A);
    uint64_t before = COUNT(x, fault_cycles_anon);
    epoch(x, B, 1);
    nops(x, B, 30);
    store(x, B, DATA + K4);
    feed(x, B);
    assert_int_equal(COUNT(x, lock_waits_vma), 1);
    assert_int_equal(COUNT(x, lock_cycles_vma), left_of_hold(1, 30));
    assert_int_equal(COUNT(x, fault_cycles_anon) - before,
                     ENTRY + LOOKUP + ALLOC + CHARGE + PTE + left_of_hold(1, 30));
    assert_int_equal(COUNT(x, lock_waits_mmap) + COUNT(x, lock_waits_call), 0);
}

static void which_of_both_was_fed_first_changes_no_wait(void **state)
{
    struct two *x = *state;
    uint32_t sites, areas;

    epoch(x, B, 1);
    nops(x, B, 30);
    store(x, B, DATA + K4);
    store(x, B, DATA + 2 * K4); /* after the first one waited, the call is over */
    feed(x, B);
    assert_int_equal(COUNT(x, lock_waits_vma), 0);
    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, A);
    assert_int_equal(COUNT(x, lock_waits_vma), 1);
    assert_int_equal(COUNT(x, lock_cycles_vma), left_of_hold(3, 30));
    /* Whoever adds the faults' cycles up by place gets the same sum as by kind. */
    uint64_t by_area = 0, by_kind = 0;
    struct sim_area *a = sim_areas(x->sim, &areas);
    for (uint32_t i = 0; i < areas; i++)
        by_area += a[i].fault_cycles;
    free(a);
    uint64_t by_site = 0;
    struct sim_site *s = sim_sites(x->sim, &sites);
    for (uint32_t i = 0; i < sites; i++)
        by_site += s[i].fault_cycles;
    free(s);
    for (int i = STAT_fault_cycles_anon; i <= STAT_fault_cycles_bad; i++)
        by_kind += sim_stats(x->sim)->v[i];
    assert_int_equal(by_area, by_kind);
    assert_int_equal(by_site, by_kind);
}

static void a_fault_of_another_mapping_does_not_wait(void **state)
{
    struct two *x = *state;

    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, A);
    epoch(x, B, 1);
    store(x, B, OTHER + K4);
    feed(x, B);
    assert_int_equal(COUNT(x, lock_waits_vma) + COUNT(x, lock_waits_mmap), 0);
}

static void a_fault_after_the_hold_does_not_wait(void **state)
{
    struct two *x = *state;

    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, A);
    epoch(x, B, 1);
    for (unsigned i = 0; i <= HOLD / 2000; i++) {
        nops(x, B, 2000);
        feed(x, B);
    }
    store(x, B, DATA + K4);
    feed(x, B);
    assert_int_equal(COUNT(x, lock_waits_vma), 0);
}

static void who_saw_the_call_end_does_not_wait(void **state)
{
    struct two *x = *state;

    for (unsigned order = 0; order < 2;
         order++) { /* the end is only seen when the call was applied */
        uint32_t k = order + 1;
        mprotect_call(x, A, k, DATA, PROT_READ | (order ? 0 : PROT_WRITE) | PROT_EXEC);
        epoch(x, B, 2 * k - 1);
        nops(x, B, 10);
        feed(x, order ? B : A);
        feed(x, order ? A : B);
        epoch(x, B, 2 * k);
        put(x, B, event_block(x->store));
        put(x, B, event_access(DATA + (1 + order) * K4, 0, 3, false));
        feed(x, B);
    }
    assert_int_equal(COUNT(x, lock_waits_vma), 0);
}

/* The host let B run again when A's call had ended: on a core of its own it would have met it. */
static void who_did_not_run_while_another_called_meets_the_call(void **state)
{
    struct two *x = *state;

    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, A);
    epoch(x, B, 2);
    nops(x, B, 30);
    store(x, B, DATA + K4);
    feed(x, B);
    assert_int_equal(COUNT(x, lock_waits_vma), 1);
    assert_int_equal(COUNT(x, lock_cycles_vma), left_of_hold(1, 30));
}

static void who_was_in_a_call_meanwhile_does_not(void **state)
{
    struct two *x = *state;

    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, A);
    call(x, B, SYS_getppid, (uint64_t[6]){0}, 1);
    epoch(x, B, 2);
    store(x, B, DATA + K4);
    feed(x, B);
    assert_int_equal(COUNT(x, lock_waits_vma), 0);
}

static void ones_own_call_lets_nobody_wait_for_oneself(void **state)
{
    struct two *x = *state;

    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    store(x, A, DATA + K4);
    feed(x, A);
    assert_int_equal(COUNT(x, lock_waits_vma) + COUNT(x, lock_waits_mmap), 0);
}

/* -- mmap_lock itself ------------------------------------------------------------------------------*/

/* The first write to a VMA needs its anon_vma, and for that mmap_lock: it waits for any call. A maps and
 * unmaps a page ten times, B writes to a new VMA after 7 instructions of every call. munmap holds the
 * lock for writing only while it changes VMAs, and so as long as mmap. */
static void rounds_of_both(struct two *x, bool call_first)
{
    for (unsigned k = 1; k <= 20; k++) {
        if (k % 2)
            mmap_call(x, A, k);
        else
            munmap_call(x, A, k);
        epoch(x, B, 2 * k - 1);
        nops(x, B, 7);
        store(x, B, FRESH + 2 * (k - 1) * K4);
        feed(x, call_first ? A : B);
        feed(x, call_first ? B : A);
        epoch(x, B, 2 * k);
        feed(x, B);
    }
}

static void rounds(struct two *x, bool call_first)
{
    rounds_of_both(x, call_first);
    assert_int_equal(COUNT(x, lock_waits_mmap), 20);
    assert_int_equal(COUNT(x, lock_cycles_mmap), 20 * left_of_hold(0, 7));
    assert_int_equal(COUNT(x, lock_waits_vma), 0);
    assert_int_equal(COUNT(x, fault_anon), 3 + 20);
}

static void first_writes_wait_for_mmap_and_munmap_in_turn(void **state)
{
    rounds(*state, true);
}

static void and_so_they_do_when_fed_before_the_calls(void **state)
{
    rounds(*state, false);
}

static void a_call_waits_for_the_call_before_it(void **state)
{
    struct two *x = *state;

    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, A);
    uint64_t before = COUNT(x, kernel_cycles_memory);
    epoch(x, B, 1);
    nops(x, B, 40);
    mprotect_call(x, B, 2, OTHER, PROT_READ | PROT_WRITE | PROT_EXEC);
    feed(x, B);
    assert_int_equal(COUNT(x, lock_waits_call), 1);
    assert_int_equal(COUNT(x, lock_cycles_call), HOLD + PTE - (40 + SYSCALL) + SLEEP);
    assert_int_equal(COUNT(x, kernel_cycles_memory) - before,
                     SYSCALL + HOLD + PTE + COUNT(x, lock_cycles_call));
}

/* -- locks held shortly ----------------------------------------------------------------------------*/

/* Sets both clocks to the end of call k. */
static void set_clocks(struct two *x, unsigned k, uint64_t prot)
{
    epoch(x, B, 2 * k - 1);
    feed(x, B);
    mprotect_call(x, A, k, SCRATCH, prot);
    feed(x, A);
    epoch(x, B, 2 * k);
    feed(x, B);
    assert_int_equal(x->t[A]->clock, x->t[B]->clock);
}

/* Both write a page of the same 2 MiB, B `later` instructions after A: the entry is written under the
 * table's lock. */
static uint64_t wait_for_table(struct two *x, unsigned k, int later, uint64_t page_a,
                               uint64_t page_b)
{
    uint64_t before = COUNT(x, lock_cycles_pte);

    set_clocks(x, k, k % 2 ? PROT_READ : PROT_READ | PROT_WRITE);
    nops(x, A, 100);
    store(x, A, page_a);
    nops(x, B, (unsigned)(100 + later));
    store(x, B, page_b);
    feed(x, A);
    feed(x, B);
    return COUNT(x, lock_cycles_pte) - before;
}

static void faults_of_one_page_table_wait_for_each_other(void **state)
{
    struct two *x = *state;

    map(x, SCRATCH, 16, PROT_READ | PROT_WRITE);
    assert_int_equal(wait_for_table(x, 1, 0, DATA + K4, OTHER + K4), PTE);
    assert_int_equal(wait_for_table(x, 2, 20, DATA + 2 * K4, OTHER + 2 * K4), PTE - 20);
    assert_int_equal(wait_for_table(x, 3, -20, DATA + 3 * K4, OTHER + 3 * K4), PTE - 20);
    assert_int_equal(wait_for_table(x, 4, PTE, DATA + 4 * K4, OTHER + 4 * K4), 0);
    assert_int_equal(COUNT(x, lock_waits_pte), 3);
}

static void faults_of_two_page_tables_do_not(void **state)
{
    struct two *x = *state;

    map(x, SCRATCH, 16, PROT_READ | PROT_WRITE);
    store(x, A, FRESH + 4 * K4); /* the anon_vma */
    feed(x, A);
    mm_madvise(sim_mm(x->sim), va(FRESH + 4 * K4), K4, MADV_DONTNEED);
    mmu_invpcid(x->t[B]->core, 2, 0, va(0));
    assert_int_equal(wait_for_table(x, 1, 0, DATA + K4, FRESH + 4 * K4), 0);
}

static void per_cpu_lists_refilled_at_one_moment_wait_for_the_zone(void **state)
{
    struct two *x = *state;
    struct conf c;

    sim_close(x->sim);
    configure(&c);
    c.cost_lock_zone = 10000; /* a refill is far longer than a fault */
    open_machine(x, &c);
    map(x, SCRATCH, 16, PROT_READ | PROT_WRITE);
    set_clocks(x, 1, PROT_READ);
    for (unsigned i = 1; i < 16; i++) {
        store(x, A, DATA + i * K4);
        store(x, B, OTHER + i * K4);
    }
    phys_drain_all(x->sim->phys);
    feed(x, A);
    phys_drain_all(x->sim->phys);
    feed(x, B);
    assert_true(COUNT(x, lock_waits_zone) > 0);
    assert_true(COUNT(x, lock_cycles_zone) >= 10000);
}

/* -- clocks ----------------------------------------------------------------------------------------*/

static void a_thread_that_slept_goes_on_where_the_furthest_is(void **state)
{
    struct two *x = *state;

    nops(x, A, 1000);
    feed(x, A);
    assert_true(x->t[B]->clock < x->t[A]->clock);
    call(x, B, SYS_futex, (uint64_t[6]){DATA, FUTEX_WAIT | FUTEX_PRIVATE_FLAG}, (uint64_t)-EAGAIN);
    feed(x, B);
    assert_true(x->t[B]->clock < x->t[A]->clock); /* it did not sleep */
    call(x, B, SYS_futex, (uint64_t[6]){DATA, FUTEX_WAIT | FUTEX_PRIVATE_FLAG}, 0);
    feed(x, B);
    assert_in_range(x->t[B]->clock, x->t[A]->clock, x->t[A]->clock + 10000);
}

static void one_thread_alone_hears_of_no_lock(void **state)
{
    struct two *x = *state;

    sim_thread_close(x->sim, x->t[B]);
    assert_false(x->sim->outbox.locks);
    mprotect_call(x, A, 1, DATA, PROT_READ | PROT_WRITE | PROT_EXEC);
    store(x, A, DATA + K4);
    feed(x, A);
    for (int i = STAT_lock_waits_vma; i <= STAT_lock_cycles_call; i++)
        assert_int_equal(sim_stats(x->sim)->v[i], 0);
    struct sim_thread *t = sim_thread_open(x->sim);
    assert_true(x->sim->outbox.locks);
    assert_int_equal(t->clock, x->t[A]->clock);
}

/* Waits change no count of anything else. */
static void locks_change_cycles_and_nothing_else(void **state)
{
    struct two *x = *state;
    struct stat_set s[2];

    for (unsigned i = 0; i < 2; i++) {
        struct conf c;
        sim_close(x->sim);
        configure(&c);
        c.cost_contention = i ? 100000 : 0;
        c.cost_lock_zone = c.cost_lock_lru = i ? 5000 : 0;
        open_machine(x, &c);
        rounds_of_both(x, true);
        s[i] = *sim_stats(x->sim);
    }
    assert_true(STAT(&s[1], lock_cycles_mmap) > STAT(&s[0], lock_cycles_mmap));
    for (int i = 0; i < STAT_NR; i++)
        if (stat_info((enum stat_id)i)->unit != UNIT_CYCLES &&
            (i < STAT_lock_waits_vma || i > STAT_lock_cycles_call))
            assert_int_equal(s[0].v[i], s[1].v[i]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_fault_waits_until_the_call_that_changes_its_mapping_ends),
        T(which_of_both_was_fed_first_changes_no_wait),
        T(a_fault_of_another_mapping_does_not_wait),
        T(a_fault_after_the_hold_does_not_wait),
        T(who_saw_the_call_end_does_not_wait),
        T(who_did_not_run_while_another_called_meets_the_call),
        T(who_was_in_a_call_meanwhile_does_not),
        T(ones_own_call_lets_nobody_wait_for_oneself),
        T(first_writes_wait_for_mmap_and_munmap_in_turn),
        T(and_so_they_do_when_fed_before_the_calls),
        T(a_call_waits_for_the_call_before_it),
        T(faults_of_one_page_table_wait_for_each_other),
        T(faults_of_two_page_tables_do_not),
        T(per_cpu_lists_refilled_at_one_moment_wait_for_the_zone),
        T(a_thread_that_slept_goes_on_where_the_furthest_is),
        T(one_thread_alone_hears_of_no_lock),
        T(locks_change_cycles_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
