/* test_fuzz.c: every fuzz target of test/fuzz over seeded mutations of its corpus, a bounded form of what
 * libFuzzer does (make fuzz). Targets abort when a parser breaks a promise; nothing is to be seen here but
 * that they come back. PW_FUZZ_SEED=n takes another sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "cli/control.h"
#include "cli/words.h"
#include "fuzz/fuzz.h"

#include <stdio.h>

#define SEEDS_MAX 32

/* Targets, and how many inputs each is given: those that open a machine for each take their time. */
#define TARGETS(X)                                                                                 \
    X(args, 3000)                                                                                  \
    X(binfmt, 50000)                                                                               \
    X(block, 1000)                                                                                 \
    X(conf, 3000)                                                                                  \
    X(control, 1000)                                                                               \
    X(elf, 2000)                                                                                   \
    X(event, 50000)                                                                                \
    X(feed, 1000)                                                                                  \
    X(image, 20000)                                                                                \
    X(insn, 50000)                                                                                 \
    X(machine, 3000)                                                                               \
    X(numa, 20000)                                                                                 \
    X(proc, 100000)                                                                                \
    X(reader, 1000)                                                                                \
    X(symbols, 1000)                                                                               \
    X(syscall, 2000)                                                                               \
    X(view, 500)

#define DECLARE(name, n)                                                                           \
    int fuzz_##name(const uint8_t *data, size_t size);                                             \
    size_t fuzz_##name##_seed(unsigned nth, uint8_t *buf);
TARGETS(DECLARE)

/* A target and its corpus. */
struct target {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
    uint8_t (*seed)[FUZZ_MAX]; /* n_seeds */
    size_t *size;              /* of each */
    unsigned n_seeds;
};

static void read_corpus(struct target *t, size_t (*seed)(unsigned, uint8_t *))
{
    t->seed = calloc(SEEDS_MAX, sizeof *t->seed);
    t->size = calloc(SEEDS_MAX, sizeof *t->size);
    assert_true(t->seed && t->size);
    while (t->n_seeds < SEEDS_MAX &&
           (t->size[t->n_seeds] = seed(t->n_seeds, t->seed[t->n_seeds])) > 0)
        t->n_seeds++;
    assert_true(t->n_seeds > 0 && t->n_seeds < SEEDS_MAX);
}

/* splice puts a piece of another seed over the end, from a random place on. */
static size_t splice(const struct target *t, uint8_t *data, size_t n, struct rng *rng)
{
    uint64_t other = rng_below(rng, t->n_seeds);
    uint64_t from = rng_below(rng, t->size[other]), at = rng_below(rng, n + 1);
    size_t more = min_u64(t->size[other] - from, FUZZ_MAX - at);
    memcpy(data + at, t->seed[other] + from, more);
    return at + more;
}

/* spoil changes some bytes: anything, one bit, or a number at an edge. */
static void spoil(uint8_t *data, size_t n, struct rng *rng)
{
    static const uint64_t edges[] = {0, 1, 0x7fffffff, 0x80000000, UINT64_MAX, UINT64_C(1) << 63};
    uint64_t at = rng_below(rng, n), edge = edges[rng_below(rng, ARRAY_LEN(edges))];
    switch (rng_below(rng, 3)) {
    case 0:
        data[at] = (uint8_t)rng_next(rng);
        break;
    case 1:
        data[at] ^= (uint8_t)(1u << rng_below(rng, 8));
        break;
    default:
        memcpy(data + at, &edge, min_u64(n - at, UINT64_C(1) << rng_below(rng, 4)));
    }
}

static size_t mutate(const struct target *t, uint8_t *data, struct rng *rng)
{
    uint64_t first = rng_below(rng, t->n_seeds);
    size_t n = t->size[first];
    memcpy(data, t->seed[first], n);
    for (uint64_t i = rng_below(rng, 3); i > 0; i--)
        n = splice(t, data, n, rng);
    for (uint64_t i = rng_below(rng, 6); i > 0 && n > 0; i--)
        spoil(data, n, rng);
    return rng_below(rng, 8) ? n : rng_below(rng, n + 1);
}

static void run_target(struct target *t, size_t (*seed)(unsigned, uint8_t *), unsigned inputs)
{
    const char *other = getenv("PW_FUZZ_SEED");
    struct rng rng = {other ? strtoull(other, NULL, 0) : 20261122};
    read_corpus(t, seed);
    assert_int_equal(t->run((const uint8_t *)"", 0), 0);
    for (unsigned i = 0; i < t->n_seeds; i++)
        assert_int_equal(t->run(t->seed[i], t->size[i]), 0);
    for (unsigned i = 0; i < inputs; i++) {
        uint8_t data[FUZZ_MAX];
        size_t n = mutate(t, data, &rng);
        uint8_t *exact = malloc(n ? n : 1); /* the sanitizer sees a byte too many */
        assert_non_null(exact);
        memcpy(exact, data, n);
        assert_int_equal(t->run(exact, n), 0);
        free(exact);
    }
    free(t->seed);
    free(t->size);
}

#define TEST(name, n)                                                                              \
    static void name##_takes_anything(void **state)                                                \
    {                                                                                              \
        struct target t = {#name, fuzz_##name, NULL, NULL, 0};                                     \
        (void)state;                                                                               \
        run_target(&t, fuzz_##name##_seed, n);                                                     \
    }
TARGETS(TEST)

/* The corpus of proc is of use only while its texts are understood. */
static void the_corpus_of_proc_is_read(void **state)
{
    (void)state;
    struct proc_order o;
    struct proc_target t;
    struct control_request q;
    struct word_range r;
    char err[120], *text;
    uint8_t buf[FUZZ_MAX];
    unsigned kinds[6] = {0};
    for (size_t i = 0, n; (n = fuzz_proc_seed((unsigned)i, buf)) > 0; i++) {
        text = fuzz_text(buf + 1, n - 1);
        if (buf[0] == 0)
            assert_int_equal(proc_order_parse(text, &o, err, sizeof err), 0);
        else if (buf[0] == 1)
            assert_int_equal(proc_assignment_parse(text, &o, err, sizeof err), 0);
        else if (buf[0] == 2)
            assert_int_equal(proc_resolve(text, &t), 0);
        else if (buf[0] == 3)
            assert_int_equal(words_parse_range(text, 4096, &r), text[0] == '0');
        else if (buf[0] == 4)
            assert_int_equal(control_parse(text, &q, err, sizeof err), 0);
        kinds[buf[0]]++;
        free(text);
    }
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        assert_true(kinds[i] > 0);
}

int main(void)
{
#define ROW(name, n) cmocka_unit_test(name##_takes_anything),
    const struct CMUnitTest tests[] = {TARGETS(ROW) cmocka_unit_test(the_corpus_of_proc_is_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
