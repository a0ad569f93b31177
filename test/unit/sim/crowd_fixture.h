/* crowd_fixture.h: threads on a modelled machine, for tests of who runs where and what that costs. Streams are
 * written by hand and fed as the reader feeds them: the least in time of those that have words. An instruction
 * is a nanosecond; a tick comes each millisecond, longer than the slice of 0.7 ms (one core) and shorter than
 * that of 1.4 ms (two). */
#ifndef TEST_CROWD_FIXTURE_H
#define TEST_CROWD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/sim_int.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CODE    0x400000u
#define DATA    0x600000u
#define MS      1000000u /* instructions, and nanoseconds */
#define INSNS   500u     /* of the block `work` */
#define THREADS 6u
#define K4      0x1000u

struct stream {
    uint64_t *w;
    size_t n, cap, at; /* words put, room, words fed */
};
struct crowd {
    struct sim *sim;
    struct sim_thread *t[THREADS];
    struct stream s[THREADS];
    unsigned threads;
    uint32_t work, load; /* blocks */
};

static inline void put(struct crowd *x, unsigned who, uint64_t w)
{
    struct stream *s = &x->s[who];

    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->w = realloc(s->w, s->cap * sizeof(*s->w));
        assert_non_null(s->w);
    }
    s->w[s->n++] = w;
}

static inline void put_record(struct crowd *x, unsigned who, enum event_control type, unsigned n,
                              const uint64_t *p)
{
    put(x, who, event_control(type, n));
    for (unsigned i = 0; i < n; i++)
        put(x, who, p[i]);
}

/* Works for so many nanoseconds. */
static inline void work(struct crowd *x, unsigned who, uint64_t ns)
{
    for (uint64_t i = 0; i < ns; i += INSNS)
        put(x, who, event_block(x->work));
}

static inline void load(struct crowd *x, unsigned who, uint64_t addr)
{
    put(x, who, event_block(x->load));
    put(x, who, event_access(addr, 0, 3, false));
}

static inline void call_begins(struct crowd *x, unsigned who, uint64_t nr, uint64_t a0, uint64_t a1,
                               uint64_t a2)
{
    put_record(x, who, EV_SYSCALL, 8, (uint64_t[8]){nr, a0, a1, a2});
}

static inline void call_ends(struct crowd *x, unsigned who, uint64_t nr, uint64_t result,
                             uint64_t ns, uint64_t sleeps)
{
    put_record(x, who, EV_SYSCALL_RET, 4, (uint64_t[4]){nr, result, ns, sleeps});
}

/* calls: a call that did not sleep and took no time. */
static inline void calls(struct crowd *x, unsigned who, uint64_t nr, uint64_t a0, uint64_t a1,
                         uint64_t a2, uint64_t result)
{
    call_begins(x, who, nr, a0, a1, a2);
    call_ends(x, who, nr, result, 0, 0);
}

static inline void sleeps_ns(struct crowd *x, unsigned who, uint64_t ns)
{
    call_begins(x, who, SYS_nanosleep, 0, 0, 0);
    call_ends(x, who, SYS_nanosleep, 0, ns, 1);
}

static inline void sets_affinity(struct crowd *x, unsigned who, uint64_t tid, uint64_t mask)
{
    call_begins(x, who, SYS_sched_setaffinity, tid, 8, 0x9000);
    put_record(x, who, EV_BYTES, 3, (uint64_t[3]){0x9000, 8, mask});
    call_ends(x, who, SYS_sched_setaffinity, 0, 0, 0);
}

static inline uint32_t add_block(struct crowd *x, uint32_t id, uint64_t pc, unsigned insns,
                                 const char *code, unsigned bytes)
{
    struct ring_block *b = calloc(1, sizeof(*b) + insns + insns * bytes);

    b->pc = pc;
    b->insns = (uint16_t)insns;
    b->code_bytes = (uint16_t)(insns * bytes);
    for (unsigned i = 0; i < insns; i++) {
        b->data[i] = (uint8_t)bytes;
        memcpy(b->data + insns + i * bytes, code, bytes);
    }
    assert_int_equal(sim_add_block(x->sim, id, b), 0);
    free(b);
    return id;
}

/* next returns who is fed: the least in time, nobody out of turn while there is another. */
static inline int next_of(const struct crowd *x)
{
    int best = -1;

    for (unsigned i = 0; i < x->threads; i++)
        if (x->s[i].at < x->s[i].n &&
            (best < 0 || sim_thread_time(x->t[i]) < sim_thread_time(x->t[best])))
            best = (int)i;
    return best;
}

static inline void feed_to_the_end(struct crowd *x, size_t quantum)
{
    enum sim_stop stop;

    for (int i, idle = 0; (i = next_of(x)) >= 0;) {
        struct stream *s = &x->s[i];
        size_t n = s->n - s->at < quantum ? s->n - s->at : quantum;
        size_t done = sim_feed(x->sim, x->t[i], s->w + s->at, n, true, &stop);
        s->at += done;
        idle = done > 0 ? 0 : idle + 1;
        assert_true(idle < 100); /* what was not fed brought something about */
        assert_int_equal(sched_audit(&x->sim->sched), 0);
    }
}

/* crowd_map gives a process the memory that the blocks and loads lie in. */
static inline void crowd_map(struct mm *mm)
{
    for (uint64_t at = CODE; at <= DATA; at += DATA - CODE) {
        struct mm_map m = {.addr = va(at),
                           .len = 512 * K4,
                           .prot = PROT_READ | PROT_WRITE | PROT_EXEC,
                           .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                           .forced = true};
        assert_int_equal(mm_mmap(mm, &m), at);
    }
}

/* only_instructions_take_time: what is hidden by no core and paid by no kernel costs nothing. */
static inline void only_instructions_take_time(struct conf *c)
{
    size_t n;
    const struct conf_option *o = conf_options(&n);
    char err[256];

    for (; n > 0; n--, o++)
        if (strncmp(o->key, "cost.", 5) == 0 || strncmp(o->key, "cpu.exposed.", 12) == 0)
            assert_int_equal(conf_set(c, o->key, "0", err, sizeof(err)), 0);
}

/* open_machine: a machine with `cores` cores and options ("key", "value", …, NULL); nobody is there yet. `even`:
 * only instructions take time. */
static inline void open_machine_of(struct crowd *x, unsigned cores, const char *const *options,
                                   bool even)
{
    struct conf c;
    char err[256];

    memset(x, 0, sizeof(*x));
    conf_init(&c);
    c.phys_size = MIB(256);
    c.cpu_cores = cores;
    c.cpu_cpi = 1000;
    c.cpu_mhz = 1000;
    c.kernel_hz = 1000;
    if (even)
        only_instructions_take_time(&c);
    for (const char *const *o = options; o && *o; o += 2)
        assert_int_equal(conf_set(&c, o[0], o[1], err, sizeof(err)), 0);
    assert_int_equal(sim_open(&x->sim, &c), 0);
    x->work = add_block(x, 0, CODE, INSNS, "\x90", 1);              /* nop */
    x->load = add_block(x, 1, CODE + 0x1000, 1, "\x48\x8b\x07", 3); /* mov (%rdi),%rax */
}

static inline void open_machine(struct crowd *x, unsigned cores, const char *const *options)
{
    open_machine_of(x, cores, options, false);
}

/* joins: one more thread, of process `pid`. It begins when it is fed. */
static inline unsigned joins(struct crowd *x, uint64_t pid)
{
    unsigned i = x->threads++;

    x->t[i] = sim_thread_open(x->sim);
    put_record(x, i, EV_THREAD_START, 3, (uint64_t[3]){pid, 100 + i, 0});
    return i;
}

/* open_crowd: threads of one process, which all begin at time 0; only their instructions take time, and what
 * `options` say. */
static inline void open_crowd_with(struct crowd *x, unsigned cores, unsigned threads,
                                   const char *const *options)
{
    open_machine_of(x, cores, options, true);
    crowd_map(sim_mm(x->sim));
    while (x->threads < threads)
        joins(x, 0);
    feed_to_the_end(x, 1000);
}

static inline void open_crowd(struct crowd *x, unsigned cores, unsigned threads)
{
    open_crowd_with(x, cores, threads, NULL);
}

static inline void close_crowd(struct crowd *x)
{
    for (unsigned i = 0; i < x->threads; i++) {
        sim_thread_close(x->sim, x->t[i]);
        free(x->s[i].w);
    }
    sim_close(x->sim);
}

#define COUNT(x, id) STAT(&(x)->sim->stats, id)

/* crowd_at_work: threads that have worked so long, each. */
static inline void crowd_at_work(struct crowd *x, unsigned cores, unsigned threads, uint64_t ns)
{
    open_crowd(x, cores, threads);
    for (unsigned i = 0; i < threads; i++)
        work(x, i, ns);
    feed_to_the_end(x, 1000);
}

#endif
