/* test_feed.c: what the event loop makes of words: joining, rep, partial blocks, ordering.
 *
 * Streams are written by hand; the expected numbers come from the instruction set (how many memory
 * accesses an instruction makes, Intel SDM vol. 2) and from the protocol (event.h), not from a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "sim/sim_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CODE 0x400000u
#define DATA 0x600000u

struct stream {
    struct sim *sim;
    struct sim_thread *t;
    uint64_t w[8192];
    size_t n;
    uint32_t blocks;
    uint64_t pc;
};

static void put(struct stream *x, uint64_t w)
{
    assert_true(x->n < sizeof(x->w) / sizeof(x->w[0]));
    x->w[x->n++] = w;
}

static void put_control(struct stream *x, enum event_control type, unsigned n, const uint64_t *p)
{
    put(x, event_control(type, n));
    for (unsigned i = 0; i < n; i++)
        put(x, p[i]);
}

static void map(struct stream *x, uint64_t at, uint64_t len, uint32_t prot)
{
    struct mm_map m = {.addr = va(at),
                       .len = len,
                       .prot = prot,
                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                       .forced = true};
    assert_int_equal(mm_mmap(sim_mm(x->sim), &m), at);
}

static int setup_cores(void **state, unsigned cores)
{
    struct stream *x = calloc(1, sizeof(*x));
    struct conf conf;
    uint64_t start[3] = {7, 7, 0};

    conf_init(&conf);
    conf.phys_size = MIB(256);
    conf.phys_kernel_image = MIB(1);
    conf.cpu_cores = cores;
    assert_int_equal(sim_open(&x->sim, &conf), 0);
    x->t = sim_thread_open(x->sim);
    x->pc = CODE;
    map(x, CODE, 0x10000, PROT_READ | PROT_EXEC);
    map(x, DATA, 0x10000, PROT_READ | PROT_WRITE);
    put_control(x, EV_THREAD_START, 3, start);
    *state = x;
    return 0;
}

static int setup(void **state)
{
    return setup_cores(state, 1);
}

static int teardown(void **state)
{
    struct stream *x = *state;

    sim_close(x->sim);
    free(x);
    return 0;
}

/* Announces a block of the given instructions ("\x48\x8b\x07", 3 …), at pc or right behind the last. */
static uint32_t block_at(struct stream *x, uint64_t pc, unsigned insns, const uint8_t *lens,
                         const char *code)
{
    unsigned bytes = 0;
    for (unsigned i = 0; i < insns; i++)
        bytes += lens[i];
    struct ring_block *b = calloc(1, sizeof(*b) + insns + bytes);
    b->pc = pc;
    b->insns = (uint16_t)insns;
    b->code_bytes = (uint16_t)bytes;
    memcpy(b->data, lens, insns);
    memcpy(b->data + insns, code, bytes);
    assert_int_equal(sim_add_block(x->sim, x->blocks, b), 0);
    free(b);
    x->pc = pc + bytes;
    return x->blocks++;
}

static uint32_t one(struct stream *x, unsigned len, const char *code)
{
    uint8_t l = (uint8_t)len;
    return block_at(x, x->pc, 1, &l, code);
}

static void run(struct stream *x, uint32_t block)
{
    put(x, event_block(block));
}

static void access_word(struct stream *x, uint64_t addr, unsigned insn, unsigned log2_size,
                        bool store)
{
    put(x, event_access(addr, insn, log2_size, store));
}

/* Feeds all words at once. */
static const struct stat_set *feed(struct stream *x)
{
    enum sim_stop stop;

    assert_int_equal(sim_feed(x->sim, x->t, x->w, x->n, true, &stop), x->n);
    assert_int_equal(stop, SIM_ALL);
    return sim_stats(x->sim);
}

static void pieces_of_an_avx_load_are_one_load(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 4, "\xc5\xfe\x6f\x07"); /* vmovdqu ymm0,[rdi] */

    run(x, b);
    for (unsigned i = 0; i < 4; i++)
        access_word(x, DATA + 8 * i, 0, 3, false);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, loads), 1);
    assert_int_equal(STAT(s, raw_loads), 4);
    assert_int_equal(STAT(s, instructions), 1);
}

static void two_executions_of_an_instruction_do_not_join(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 3, "\x48\x8b\x07"); /* mov rax,[rdi] */

    run(x, b);
    access_word(x, DATA, 0, 3, false);
    run(x, b);
    access_word(x, DATA + 8, 0, 3, false);
    assert_int_equal(STAT(feed(x), loads), 2);
}

static void gathered_elements_stay_apart_even_when_contiguous(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 6, "\xc4\xe2\x6d\x90\x04\x8f"); /* vpgatherdd ymm0,[rdi+ymm1*4],ymm2 */

    run(x, b);
    for (unsigned i = 0; i < 8; i++)
        access_word(x, DATA + 4 * i, 0, 2, false);
    assert_int_equal(STAT(feed(x), loads), 8);
}

static void the_two_operands_of_cmps_stay_apart(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 1, "\xa6"); /* cmpsb */

    run(x, b);
    access_word(x, DATA, 0, 0, false);
    access_word(x, DATA + 1, 0, 0, false);
    assert_int_equal(STAT(feed(x), loads), 2);
}

static void an_x87_operand_of_ten_bytes_is_one_load(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 2, "\xdb\x2f"); /* fld tbyte [rdi] */

    run(x, b);
    access_word(x, DATA, 0, 3, false);
    access_word(x, DATA + 8, 0, 1, false);
    assert_int_equal(STAT(feed(x), loads), 1);
}

static void a_locked_add_loads_and_stores_once(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 4, "\xf0\x48\x01\x07"); /* lock add [rdi],rax */

    run(x, b);
    access_word(x, DATA, 0, 3, false);
    access_word(x, DATA, 0, 3, true);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, loads), 1);
    assert_int_equal(STAT(s, stores), 1);
}

static void a_rep_string_is_one_instruction_with_line_sized_accesses(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 2, "\xf3\xa4"); /* rep movsb */

    for (unsigned i = 0; i < 200; i++) {
        run(x, b);
        access_word(x, DATA + i, 0, 0, false);
        access_word(x, DATA + 0x2000 + i, 0, 0, true);
    }
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, instructions), 1);
    assert_int_equal(STAT(s, loads), 4); /* bytes 0..199 lie in four lines */
    assert_int_equal(STAT(s, stores), 4);
    assert_int_equal(STAT(s, raw_loads), 200);
    assert_int_equal(STAT(s, raw_stores), 200);
}

static void a_rep_comparison_reads_two_streams_by_lines(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 2, "\xf3\xa6"); /* repe cmpsb */

    for (unsigned i = 0; i < 100; i++) {
        run(x, b);
        access_word(x, DATA + i, 0, 0, false);
        access_word(x, DATA + 0x2000 + i, 0, 0, false);
    }
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, instructions), 1);
    assert_int_equal(STAT(s, loads), 4); /* two lines of each stream */
}

static void a_load_across_a_line_is_one_load_and_two_lines(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 3, "\x48\x8b\x07");

    run(x, b);
    access_word(x, DATA + 60, 0, 3, false);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, loads), 1);
    assert_int_equal(STAT(s, split_loads), 1);
    assert_int_equal(STAT(s, load_l1_hit) + STAT(s, load_l2_hit) + STAT(s, load_l3_hit) +
                         STAT(s, load_l3_miss),
                     2);
}

/* Two stores and a register instruction; the second store faults, a handler runs. */
static void a_block_left_by_a_fault_is_credited_up_to_it(void **state)
{
    struct stream *x = *state;
    const uint8_t lens[] = {3, 3, 3, 2};
    uint32_t a = block_at(x, CODE, 4, lens, "\x48\x89\x07\x48\x89\x06\x48\xff\xc0\xeb\xf3");
    const uint8_t push = 1;
    uint32_t h = block_at(x, CODE + 0x100, 1, &push, "\x55"); /* push rbp */
    uint64_t sys[8] = {SYS_rt_sigaction, 11, 0, 0, 8, 0, 0, 0};
    uint64_t act[3] = {11, CODE + 0x100, 0}, ret[3] = {SYS_rt_sigaction, 0, 0};

    put_control(x, EV_SYSCALL, 8, sys);
    put_control(x, EV_SIGACTION, 3, act);
    put_control(x, EV_SYSCALL_RET, 3, ret);
    run(x, a);
    access_word(x, DATA, 0, 3, true);
    run(x, h);
    access_word(x, DATA + 0x8000, 0, 3, true);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, instructions), 1 + 1);
    assert_int_equal(STAT(s, signals), 1);
    assert_int_equal(STAT(s, div_partial_block), 1);
}

/* call *%rax to a function that is also a signal handler: its first push lies right below the return
 * address, where no frame can be. */
static void calling_a_handler_is_no_signal(void **state)
{
    struct stream *x = *state;
    const uint8_t two = 2, one_byte = 1;
    uint32_t a = block_at(x, CODE, 1, &two, "\xff\xd0"); /* call *%rax */
    uint32_t h = block_at(x, CODE + 0x100, 1, &one_byte, "\x55");
    uint64_t sys[8] = {SYS_rt_sigaction, 10, 0, 0, 8, 0, 0, 0};
    uint64_t act[3] = {10, CODE + 0x100, 0}, ret[3] = {SYS_rt_sigaction, 0, 0};

    put_control(x, EV_SYSCALL, 8, sys);
    put_control(x, EV_SIGACTION, 3, act);
    put_control(x, EV_SYSCALL_RET, 3, ret);
    run(x, a);
    access_word(x, DATA + 0x9000, 0, 3, true); /* the return address */
    run(x, h);
    access_word(x, DATA + 0x8ff8, 0, 3, true);
    run(x, a);
    access_word(x, DATA + 0x9000, 0, 3, true);
    run(x, h);
    access_word(x, DATA + 0x8000, 0, 3, true); /* far below: a frame was placed between */
    assert_int_equal(STAT(feed(x), signals), 1);
}

/* The same, but both stores were seen: the signal came between blocks, the block is whole. */
static void a_signal_between_blocks_leaves_the_block_whole(void **state)
{
    struct stream *x = *state;
    const uint8_t lens[] = {3, 3, 3, 2};
    uint32_t a = block_at(x, CODE, 4, lens, "\x48\x89\x07\x48\x89\x06\x48\xff\xc0\xeb\xf3");
    const uint8_t push = 1;
    uint32_t h = block_at(x, CODE + 0x100, 1, &push, "\x55");
    uint64_t sys[8] = {SYS_rt_sigaction, 10, 0, 0, 8, 0, 0, 0};
    uint64_t act[3] = {10, CODE + 0x100, 0}, ret[3] = {SYS_rt_sigaction, 0, 0};

    put_control(x, EV_SYSCALL, 8, sys);
    put_control(x, EV_SIGACTION, 3, act);
    put_control(x, EV_SYSCALL_RET, 3, ret);
    run(x, a);
    access_word(x, DATA, 0, 3, true);
    access_word(x, DATA + 64, 1, 3, true);
    run(x, h);
    access_word(x, DATA + 0x8000, 0, 3, true);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, instructions), 4 + 1);
    assert_int_equal(STAT(s, div_partial_block), 0);
}

/* A store that hits its own page of code: the emulator leaves the block and starts again at it. */
static void self_modifying_code_restarts_at_the_store(void **state)
{
    struct stream *x = *state;
    const uint8_t lens[] = {3, 3, 2}, three = 3;
    uint32_t a = block_at(x, CODE, 3, lens, "\x48\xff\xc0\x48\x89\x07\xeb\x20");
    uint32_t b = block_at(x, CODE + 3, 1, &three, "\x48\x89\x07");

    run(x, a);
    run(x, b);
    access_word(x, DATA, 0, 3, true);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, instructions), 2); /* inc, then the store */
    assert_int_equal(STAT(s, div_partial_block), 1);
}

static void a_loop_into_the_middle_of_a_block_is_no_restart(void **state)
{
    struct stream *x = *state;
    const uint8_t lens[] = {3, 3, 2}, loop[] = {3, 2};
    uint32_t a = block_at(x, CODE, 3, lens, "\x48\xff\xc0\x48\x89\x07\x75\xfb"); /* jne CODE+3 */
    uint32_t b = block_at(x, CODE + 3, 2, loop, "\x48\x89\x07\x75\xfb");

    run(x, a);
    access_word(x, DATA, 1, 3, true);
    run(x, b);
    access_word(x, DATA, 0, 3, true);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, instructions), 5);
    assert_int_equal(STAT(s, div_partial_block), 0);
}

static void an_address_space_call_waits_for_order(void **state)
{
    struct stream *x = *state;
    enum sim_stop stop;
    uint64_t sys[8] = {SYS_munmap, DATA, 0x1000, 0, 0, 0, 0, 0}, ret[3] = {SYS_munmap, 0, 0};

    put_control(x, EV_SYSCALL, 8, sys);
    size_t before = x->n;
    put_control(x, EV_SYSCALL_RET, 3, ret);
    size_t n = sim_feed(x->sim, x->t, x->w, x->n, false, &stop);
    assert_int_equal(stop, SIM_ORDER);
    assert_int_equal(n, before);
    assert_non_null(mm_vma_at(sim_mm(x->sim), va(DATA)));
    assert_int_equal(sim_feed(x->sim, x->t, x->w + n, x->n - n, true, &stop), x->n - n);
    assert_null(mm_vma_at(sim_mm(x->sim), va(DATA)));
}

/* SDM vol. 3A, 4.10.5: what one core takes back another may still hold, until it is interrupted. */
static void unmapping_reaches_the_other_core(void **state)
{
    void *fresh;
    uint64_t start[3] = {7, 8, 0}, sys[8] = {SYS_munmap, DATA, 0x1000, 0, 0, 0, 0, 0},
             ret[3] = {SYS_munmap, 0, 0};
    (void)state;
    setup_cores(&fresh, 2);
    struct stream *x = fresh;
    struct sim_thread *first = x->t, *second = sim_thread_open(x->sim);
    uint32_t load = one(x, 3, "\x48\x8b\x07");
    for (unsigned i = 0; i < 2; i++) { /* both cores use the page */
        run(x, load);
        access_word(x, DATA, 0, 3, false);
        feed(x);
        x->n = 0;
        x->t = second;
        if (i == 0)
            put_control(x, EV_THREAD_START, 3, start);
    }
    assert_int_equal(STAT(sim_stats(x->sim), div_no_vma), 0);
    x->t = first;
    put_control(x, EV_SYSCALL, 8, sys);
    put_control(x, EV_SYSCALL_RET, 3, ret);
    feed(x);
    x->n = 0;
    x->t = second;
    run(x, load);
    access_word(x, DATA, 0, 3, false);
    assert_int_equal(STAT(feed(x), div_no_vma), 1); /* it walked, and found nothing */
    teardown(&fresh);
}

static void an_incomplete_record_stays_in_the_stream(void **state)
{
    struct stream *x = *state;
    enum sim_stop stop;
    uint64_t sys[8] = {SYS_getpid, 0, 0, 0, 0, 0, 0, 0};
    size_t before = x->n;

    put_control(x, EV_SYSCALL, 8, sys);
    assert_int_equal(sim_feed(x->sim, x->t, x->w, x->n - 1, true, &stop), before);
    assert_int_equal(sim_feed(x->sim, x->t, x->w + before, x->n - before, true, &stop),
                     x->n - before);
}

static void plain_counts_are_compared(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 3, "\x48\x8b\x07");
    uint64_t right[3] = {1, 1, 0}, wrong[3] = {1, 2, 0};
    enum sim_stop stop;

    run(x, b);
    access_word(x, DATA, 0, 3, false);
    put_control(x, EV_COUNTS, 3, right);
    feed(x);
    assert_int_equal(sim_counts_wrong(x->sim), 0);
    x->n = 0;
    put_control(x, EV_COUNTS, 3, wrong);
    sim_feed(x->sim, x->t, x->w, x->n, true, &stop);
    assert_int_equal(sim_counts_wrong(x->sim), 1);
}

/* An access beyond 48 bits is not canonical in a 4-level machine: #GP, and the run goes on. */
static void a_high_word_carries_the_upper_address_bits(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 3, "\x48\x8b\x07");

    run(x, b);
    put(x, event_high(UINT64_C(0x00f0000000600000)));
    access_word(x, DATA, 0, 3, false);
    run(x, b);
    access_word(x, DATA, 0, 3, false);
    const struct stat_set *s = feed(x);
    assert_true(STAT(s, sigsegv_kernel) >= 1);
    assert_int_equal(STAT(s, loads), 2);
}

/* lock add on a page never touched: the processor asks for the right to write first. */
static void a_read_modify_write_faults_once_as_a_write(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 4, "\xf0\x48\x01\x07"); /* lock add [rdi],rax */

    run(x, b);
    access_word(x, DATA + 0x3000, 0, 3, false);
    access_word(x, DATA + 0x3000, 0, 3, true);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, fault_anon), 1);
    assert_int_equal(STAT(s, fault_anon_cow), 0);
}

static void a_test_of_memory_faults_as_a_read(void **state)
{
    struct stream *x = *state;
    uint32_t b = one(x, 3, "\xf6\x07\x01"); /* test byte [rdi],1 */

    run(x, b);
    access_word(x, DATA + 0x3000, 0, 0, false);
    const struct stat_set *s = feed(x);
    assert_int_equal(STAT(s, fault_anon), 0);
    assert_int_equal(STAT(s, fault_zero_page), 2); /* the code page, and this one */
}

/* A random stream cut at random places gives the same counters as in one piece. */
static void how_a_stream_is_cut_changes_nothing(void **state)
{
    struct stream *x = *state;
    struct rng rng = {42};
    struct stat_set whole;
    void *other_state;
    uint32_t b[4] = {one(x, 3, "\x48\x8b\x07"), one(x, 4, "\xc5\xfe\x6f\x07"),
                     one(x, 2, "\xf3\xa4"), one(x, 3, "\x48\x89\x07")};

    for (unsigned i = 0; i < 1500; i++) {
        unsigned k = (unsigned)rng_below(&rng, 4);
        uint64_t a = DATA + rng_below(&rng, 0xf000);
        run(x, b[k]);
        for (unsigned p = 0; p < (k == 1 ? 4u : 1u); p++)
            access_word(x, a + 8 * p, 0, k == 2 ? 0 : 3, k == 3);
    }
    setup(&other_state);
    struct stream *y = other_state;
    for (unsigned k = 0; k < 4; k++)
        one(y,
            k == 0 || k == 3 ? 3
            : k == 1         ? 4
                             : 2,
            k == 0   ? "\x48\x8b\x07"
            : k == 1 ? "\xc5\xfe\x6f\x07"
            : k == 2 ? "\xf3\xa4"
                     : "\x48\x89\x07");
    whole = *feed(x);
    for (size_t at = 0; at < x->n;) {
        enum sim_stop stop;
        size_t n = 1 + rng_below(&rng, 7);
        at += sim_feed(y->sim, y->t, x->w + at, n < x->n - at ? n : x->n - at, true, &stop);
    }
    assert_memory_equal(&whole, sim_stats(y->sim), sizeof(whole));
    teardown(&other_state);
}

/* 400 blocks over 64 KiB of code, in loops and jumps, mapped and unmapped: remembering that a block's
 * lines were most recent must give the same counters as looking every time. */
static void remembered_fetches_count_like_looked_up_ones(void **state)
{
    struct stream *x = *state, *y;
    struct rng rng = {11};
    void *other;

    setup(&other);
    y = other;
    y->t->core->fetch_state = 0; /* look every time */
    for (struct stream *z = x; z; z = z == x ? y : NULL)
        for (unsigned i = 0; i < 400; i++) {
            const uint8_t len = 3;
            block_at(z, CODE + i * 163, 1, &len, "\x48\x8b\x07");
        }
    for (unsigned i = 0, at = 0; i < 2500; i++) {
        at = rng_below(&rng, 4) ? at : (unsigned)rng_below(&rng, 400);
        run(x, at + (unsigned)rng_below(&rng, 2) * (at < 399));
        access_word(x, DATA + rng_below(&rng, 0xf000), 0, 3, false);
    }
    uint64_t sys[8] = {SYS_munmap, DATA + 0xf000, 0x1000, 0, 0, 0, 0, 0},
             ret[3] = {SYS_munmap, 0, 0};
    put_control(x, EV_SYSCALL, 8, sys);
    put_control(x, EV_SYSCALL_RET, 3, ret);
    for (unsigned i = 0; i < 300; i++)
        run(x, i);
    memcpy(y->w, x->w, sizeof(y->w));
    y->n = x->n;
    struct stat_set whole = *feed(x);
    assert_memory_equal(&whole, feed(y), sizeof(whole));
    assert_true(STAT(&whole, itlb_walk) > 10);
    teardown(&other);
}

static void the_machine_is_sound_after_a_run(void **state)
{
    struct stream *x = *state;
    struct rng rng = {7};
    struct cpu_cycles c;
    uint32_t b = one(x, 3, "\x48\x89\x07");

    for (unsigned i = 0; i < 3000; i++) {
        run(x, b);
        access_word(x, DATA + rng_below(&rng, 0xf000), 0, 3, true);
    }
    feed(x);
    assert_int_equal(sim_audit(x->sim), 0);
    sim_cycles(x->sim, &c);
    assert_int_equal(c.total, c.base + c.memory + c.translation + c.fault + c.kernel);
    assert_true(c.fault > 0);
}

/* -- orders: tunables written at a moment of virtual time ------------------------------------------ */

static uint64_t swappiness(struct stream *x)
{
    struct proc_machine m;
    uint64_t v;
    sim_machine(x->sim, &m);
    assert_int_equal(mm_sysctl_get(m.sys, "swappiness", &v), 0);
    return v;
}

static void order(struct stream *x, const char *text)
{
    struct proc_order o;
    char err[160];
    assert_int_equal(proc_order_parse(text, &o, err, sizeof err), 0);
    assert_int_equal(sim_order(x->sim, &o), 0);
}

static void an_order_waits_for_its_instructions_and_the_next_entry_of_the_kernel(void **state)
{
    struct stream *x = *state;
    uint32_t nop = one(x, 1, "\x90"), load = one(x, 3, "\x48\x8b\x07");

    order(x, "100i: vm.swappiness=7");
    run(x, load);
    access_word(x, DATA, 0, 3, false); /* a fault at instruction 0: too early */
    for (unsigned i = 0; i < 200; i++)
        run(x, nop);
    feed(x);
    assert_int_equal(sim_orders_open(x->sim), 1);
    assert_int_equal(swappiness(x), 60);
    x->n = 0;
    run(x, load);
    access_word(x, DATA + 0x1000, 0, 3, false);
    feed(x);
    assert_int_equal(sim_orders_open(x->sim), 0);
    assert_int_equal(swappiness(x), 7);
}

static void orders_of_one_entry_follow_their_times(void **state)
{
    struct stream *x = *state;
    uint32_t load = one(x, 3, "\x48\x8b\x07");

    order(x, "3i: vm.swappiness=3");
    order(x, "2i: vm.swappiness=2");
    order(x, "2i: vm.page-cluster=9");
    struct proc_order bad = {true, 1, "vm.swappiness", "999"}; /* refused, and told */
    assert_int_equal(sim_order(x->sim, &bad), 0);
    for (unsigned i = 0; i < 8; i++) {
        run(x, load);
        access_word(x, DATA, 0, 3, false);
    }
    run(x, load);
    access_word(x, DATA + 0x1000, 0, 3, false);
    feed(x);
    assert_int_equal(sim_orders_open(x->sim), 0);
    assert_int_equal(swappiness(x), 3);
    assert_non_null(
        strstr(sim_order_error(x->sim), "vm.swappiness: 999 is out of range; take 0 to 200"));
}

/* The moment of an order does not depend on how the words arrive: all at once, or one by one. */
static void an_order_by_instructions_waits_inside_a_feed(void **state)
{
    struct stream *x = *state;
    uint32_t load = one(x, 3, "\x48\x8b\x07");
    uint64_t seen[2];

    order(x, "5i: vm.swappiness=5");
    for (unsigned i = 0; i < 10; i++) {
        run(x, load);
        access_word(x, DATA + i * 0x1000, 0, 3, false); /* each a fault */
        if (i == 3 || i == 4) {
            feed(x);
            seen[i - 3] = swappiness(x);
            x->n = 0;
        }
    }
    assert_int_equal(seen[0], 60); /* the fourth instruction's fault */
    assert_int_equal(seen[1], 5);  /* the fifth's */
    feed(x);
}

static void an_order_for_later_stays(void **state)
{
    struct stream *x = *state;
    uint32_t load = one(x, 3, "\x48\x8b\x07");

    order(x, "1s: vm.swappiness=3");
    run(x, load);
    access_word(x, DATA, 0, 3, false);
    feed(x);
    assert_int_equal(sim_orders_open(x->sim), 1);
    assert_int_equal(swappiness(x), 60);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* QEMU may run a file that exec of the model refuses, or that is gone by then. */
static void a_program_that_exec_cannot_read_is_repaired_and_counted(void **state)
{
    struct stream *x = *state;
    uint64_t start[START_WORDS + 3] = {
        [START_VERSION] = EV_VERSION,
        [START_PID] = 7,
        [START_TID] = 7,
        [START_ENTRY] = CODE,
        [START_CODE] = CODE,
        [START_CODE_END] = CODE,
        [START_STACK_TOP] = 0x7ffffffff000,
        [START_STACK_LIMIT] = 0x7fffff7ff000,
        [START_STACK_RLIMIT] = MIB(8),
        [START_WORDS] = 5,
    };
    memcpy(&start[START_WORDS + 1], "/none", 5);
    x->n = 0;
    put_control(x, EV_START, START_WORDS + 3, start);
    run(x, one(x, 3, "\x48\x8b\x07")); /* mov (%rdi), %rax */
    put(x, event_access(DATA, 0, 3, false));
    assert_int_equal(STAT(feed(x), loads), 1);
    assert_int_equal(sim_audit(x->sim), 0);
}

static void a_stream_without_a_beginning_has_no_calls_but_instructions(void **state)
{
    struct stream *x = *state;
    const uint64_t call[8] = {SYS_munmap, DATA, 0x1000}, back[3] = {SYS_munmap, 0, 1};
    x->n = 0;
    put_control(x, EV_SYSCALL, 8, call);
    put_control(x, EV_SYSCALL_RET, 3, back);
    run(x, one(x, 3, "\x48\x8b\x07"));
    put(x, event_access(DATA, 0, 3, false));
    assert_int_equal(STAT(feed(x), loads), 1);
    assert_non_null(mm_vma_at(sim_mm(x->sim), va(DATA)));
}

static void a_piece_of_no_bytes_is_taken(void **state)
{
    struct stream *x = *state;
    const uint64_t call[8] = {SYS_write, 1, DATA}, back[3] = {SYS_write, 0, 1},
                   piece[2] = {DATA, 0};
    put_control(x, EV_SYSCALL, 8, call);
    put_control(x, EV_BYTES, 2, piece); /* the sanitizer looks */
    put_control(x, EV_SYSCALL_RET, 3, back);
    assert_int_equal(STAT(feed(x), syscalls), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pieces_of_an_avx_load_are_one_load),
        TEST(two_executions_of_an_instruction_do_not_join),
        TEST(gathered_elements_stay_apart_even_when_contiguous),
        TEST(the_two_operands_of_cmps_stay_apart),
        TEST(an_x87_operand_of_ten_bytes_is_one_load),
        TEST(a_locked_add_loads_and_stores_once),
        TEST(a_rep_string_is_one_instruction_with_line_sized_accesses),
        TEST(a_rep_comparison_reads_two_streams_by_lines),
        TEST(a_load_across_a_line_is_one_load_and_two_lines),
        TEST(a_block_left_by_a_fault_is_credited_up_to_it),
        TEST(calling_a_handler_is_no_signal),
        TEST(a_signal_between_blocks_leaves_the_block_whole),
        TEST(self_modifying_code_restarts_at_the_store),
        TEST(a_loop_into_the_middle_of_a_block_is_no_restart),
        TEST(an_address_space_call_waits_for_order),
        cmocka_unit_test(unmapping_reaches_the_other_core),
        TEST(an_incomplete_record_stays_in_the_stream),
        TEST(plain_counts_are_compared),
        TEST(a_high_word_carries_the_upper_address_bits),
        TEST(a_read_modify_write_faults_once_as_a_write),
        TEST(a_test_of_memory_faults_as_a_read),
        TEST(how_a_stream_is_cut_changes_nothing),
        TEST(remembered_fetches_count_like_looked_up_ones),
        TEST(the_machine_is_sound_after_a_run),
        TEST(an_order_waits_for_its_instructions_and_the_next_entry_of_the_kernel),
        TEST(orders_of_one_entry_follow_their_times),
        TEST(an_order_by_instructions_waits_inside_a_feed),
        TEST(an_order_for_later_stays),
        TEST(a_program_that_exec_cannot_read_is_repaired_and_counted),
        TEST(a_piece_of_no_bytes_is_taken),
        TEST(a_stream_without_a_beginning_has_no_calls_but_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
