/* fake_sim.h: a simulator that models nothing: it checks the streams it is fed and remembers them.
 *
 * The front end calls nine functions of sim/sim.h; with these instead, its tests need no model.
 * Include it in one .c file, which is then linked with front, event and base alone.
 */
#ifndef TEST_FAKE_SIM_H
#define TEST_FAKE_SIM_H

#include "event/event.h"
#include "sim/sim.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_THREADS 4096

struct sim_thread {
    struct event_check check;
    bool open;
    uint32_t epoch;
    bool first_is_start;
    uint32_t tid;
    uint64_t loads, stores;         /* words */
    uint64_t counts_seen;           /* EV_COUNTS words compared */
    uint64_t counts_wrong_accesses; /* of them, with other loads or stores */
    uint64_t counts_wrong_insns;
    uint64_t time;
    uint32_t at;         /* current block */
    uint64_t call_flags; /* first argument of the last call */
    bool asked;          /* by EV_ASK, not answered yet */
};

/* A system call as it came out of the stream; the last return of every number is kept. */
struct fake_call {
    uint64_t entries, returns, args[6], result;
};

struct sim {
    uint16_t *insns;           /* of each block */
    struct ring_block **block; /* copies of the records, NULL: none came */
    uint32_t blocks, blocks_cap;
    uint32_t records; /* that came */
    struct sim_thread thread[FAKE_THREADS];
    unsigned threads;
    uint64_t ends; /* of processes, told; the last one: */
    uint32_t ended_pid;
    int ended_status;
    uint64_t ordered, forced;    /* address-space calls; forced ones */
    bool tree;                   /* sim_follow_tree was called */
    uint64_t order_wrong;        /* epochs that fell or came before their call was applied */
    const char *wrong;           /* first thing that was wrong with a stream */
    uint64_t start[START_WORDS]; /* payload of EV_START */
    char path[4096];
    char argv[EV_ARGV_BYTES];
    struct fake_call call[512];
    uint64_t file[6]; /* last EV_FILE */
    char file_path[4096];
    uint64_t iovec_words, sigactions, bytes_records;
    char last_text[4096]; /* of the last EV_BYTES */
    uint64_t control[EV_CONTROL_NR];
    /* a hook for tests: called with every complete word or record */
    void (*on_word)(struct sim *s, struct sim_thread *t, const uint64_t *w);
    uint64_t delay_every; /* sleep 1 ms in every so many feeds */
    uint64_t feeds;
};

/* fake_space_call: clone (56) only when it forks, which QEMU does unless CLONE_VM comes alone. */
static bool fake_space_call(const struct sim_thread *t, uint64_t nr)
{
    if (nr == 56)
        return (t->call_flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM;

    static const uint16_t calls[] = {9,  10,  11,  12,  25,  28,  30,  57, 58,
                                     67, 149, 150, 151, 152, 216, 325, 329};

    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i] == nr)
            return true;
    return false;
}

int sim_add_block(struct sim *s, uint32_t id, const struct ring_block *b)
{
    while (id >= s->blocks_cap) {
        s->blocks_cap += 4096;
        s->insns = realloc(s->insns, s->blocks_cap * sizeof *s->insns);
        s->block = realloc(s->block, s->blocks_cap * sizeof *s->block);
        memset(s->block + s->blocks_cap - 4096, 0, 4096 * sizeof *s->block);
    }
    if (s->block[id])
        s->wrong = "a block came twice";
    s->block[id] = realloc(s->block[id], b->bytes);
    memcpy(s->block[id], b, b->bytes);
    s->insns[id] = b->insns;
    s->blocks = id < s->blocks ? s->blocks : id + 1;
    s->records++;
    return 0;
}

struct sim_thread *sim_thread_open(struct sim *s)
{
    struct sim_thread *t = &s->thread[s->threads++];

    *t = (struct sim_thread){.open = true};
    return t;
}

void sim_thread_close(struct sim *s, struct sim_thread *t)
{
    (void)s;
    t->open = false;
}

static void fake_counts(struct sim_thread *t, const uint64_t *w)
{
    t->counts_seen++;
    t->counts_wrong_insns += w[1] != t->check.insns;
    t->counts_wrong_accesses += w[2] != t->loads || w[3] != t->stores;
}

static void fake_texts(struct sim *s, const uint64_t *text)
{
    const uint64_t *args = text + 1 + (text[0] + 7) / 8;

    memcpy(s->path, text + 1, text[0]);
    memcpy(s->argv, args + 1, args[0]);
}

static void fake_control(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    unsigned type = event_type(*w);

    s->control[type]++;
    switch (type) {
    case EV_START:
        memcpy(s->start, w + 1, sizeof s->start);
        fake_texts(s, w + 1 + START_WORDS);
        t->tid = (uint32_t)w[1 + START_TID];
        break;
    case EV_THREAD_START:
        t->tid = (uint32_t)w[2];
        break;
    case EV_SYSCALL:
        s->call[w[1] & 511].entries++;
        memcpy(s->call[w[1] & 511].args, w + 2, sizeof s->call[0].args);
        t->call_flags = w[2];
        break;
    case EV_SYSCALL_RET:
        s->call[w[1] & 511].returns++;
        s->call[w[1] & 511].result = w[2];
        break;
    case EV_FILE:
        memcpy(s->file, w + 1, sizeof s->file);
        memset(s->file_path, 0, sizeof s->file_path);
        memcpy(s->file_path, w + 8, w[7]);
        break;
    case EV_IOVEC:
        s->iovec_words += event_words(*w);
        break;
    case EV_BYTES:
        if (w[2] <= sizeof s->last_text)
            memcpy(s->last_text, w + 3, w[2]);
        break;
    case EV_EPOCH:
        s->order_wrong += w[1] < t->epoch;
        t->epoch = (uint32_t)w[1];
        break;
    case EV_ASK:
        t->asked = true;
        break;
    case EV_COUNTS:
        fake_counts(t, w);
        break;
    }
}

static void fake_word(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    if (event_kind(*w) == EV_ACCESS) {
        t->loads += !event_is_store(*w);
        t->stores += event_is_store(*w);
    } else if (event_kind(*w) == EV_BLOCK) {
        t->at = (uint32_t)*w;
    } else if (event_kind(*w) == EV_CONTROL) {
        fake_control(s, t, w);
    }
    t->time++;
    if (s->on_word)
        s->on_word(s, t, w);
}

size_t sim_feed(struct sim *s, struct sim_thread *t, const uint64_t *words, size_t n, bool ordered,
                enum sim_stop *ret_stop)
{
    size_t i = 0;

    *ret_stop = SIM_ALL;
    s->feeds++;
    while (i < n) {
        const uint64_t *w = words + i;
        size_t step = event_kind(*w) == EV_CONTROL ? 1 + event_words(*w) : 1, used;
        const char *wrong;

        if (i + step > n)
            break;
        if (event_kind(*w) == EV_CONTROL && event_type(*w) == EV_SYSCALL_RET &&
            fake_space_call(t, w[1])) {
            if (!ordered) {
                *ret_stop = SIM_ORDER;
                break;
            }
            ordered = false;
            s->ordered++;
        }
        wrong = event_check_feed(&t->check, w, step, s->insns, s->blocks, &used);
        if (wrong && !s->wrong)
            s->wrong = wrong;
        fake_word(s, t, w);
        i += step;
    }
    return i;
}

bool sim_thread_blocked(const struct sim_thread *t)
{
    (void)t;
    return false;
}

bool sim_thread_new(const struct sim_thread *t)
{
    (void)t;
    return false;
}

uint32_t sim_expects(const struct sim *s, uint32_t *ret_pid)
{
    (void)s;
    *ret_pid = 0;
    return 0;
}

bool sim_thread_waits(const struct sim_thread *t)
{
    (void)t;
    return false;
}

const struct sim_thread *sim_thread_ahead(const struct sim_thread *t)
{
    (void)t;
    return NULL;
}

uint64_t sim_thread_time(const struct sim_thread *t)
{
    return t->time;
}

uint32_t sim_thread_epoch(const struct sim_thread *t)
{
    return t->epoch;
}

/* sim_take_verdict: this simulator grants every wish for huge pages. */
bool sim_take_verdict(struct sim_thread *t, int *ret)
{
    bool asked = t->asked;

    t->asked = false;
    *ret = 0;
    return asked;
}

bool sim_next_victim(struct sim *s, uint32_t *ret_pid)
{
    (void)s;
    (void)ret_pid;
    return false; /* this simulator never runs out of memory */
}

void sim_follow_tree(struct sim *s)
{
    s->tree = true;
}

void sim_left(struct sim *s)
{
    (void)s;
}

void sim_process_status(struct sim *s, uint32_t pid, int status)
{
    s->ends++;
    s->ended_pid = pid;
    s->ended_status = status;
}

void sim_order_forced(struct sim *s)
{
    s->forced++;
}

static inline void fake_free(struct sim *s)
{
    free(s->insns);
    for (uint32_t i = 0; i < s->blocks; i++)
        free(s->block[i]);
    free(s->block);
    free(s);
}

/* fake_pc returns the address of the instruction that made an access of thread t. */
static inline uint64_t fake_pc(const struct sim *s, const struct sim_thread *t, uint64_t w)
{
    const struct ring_block *b = s->block[t->at];
    uint64_t pc = b->pc;

    for (unsigned i = 0; i < event_insn(w); i++)
        pc += b->data[i];
    return pc;
}

/* Sums over all threads. */
struct fake_sums {
    uint64_t insns, loads, stores, blocks, words, counts_seen, wrong_accesses, wrong_insns;
};

static inline struct fake_sums fake_sum(const struct sim *s)
{
    struct fake_sums f = {0};

    for (unsigned i = 0; i < s->threads; i++) {
        const struct sim_thread *t = &s->thread[i];

        f.insns += t->check.insns;
        f.blocks += t->check.blocks;
        f.words += t->check.words;
        f.loads += t->loads;
        f.stores += t->stores;
        f.counts_seen += t->counts_seen;
        f.wrong_accesses += t->counts_wrong_accesses;
        f.wrong_insns += t->counts_wrong_insns;
    }
    return f;
}

#endif
