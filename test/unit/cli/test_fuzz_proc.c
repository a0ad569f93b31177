/* The fuzz target of src/proc over seeded bytes: a corpus of good texts, cut, joined and flipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/bits.h"
#include "base/rng.h"

#include "fuzz/fuzz_proc.c"

#define ROUNDS 300000
#define MAX    200u

static const char *const corpus[] = {
    "5ms: vm.drop_caches=1",
    "18446744073709551615i: sys/vm/lowmem_reserve_ratio = 1 2 3 4 5",
    "0s:/proc/sys/vm/swappiness=0x10",
    "vm.min_free_kbytes=67584",
    "/proc/4294967295/smaps_rollup",
    "/sys/devices/system/node/node12/meminfo",
    "node0/numastat",
    "self/pagemap",
    "vm.page-cluster",
    "0x7ffff7ff7000-0x7ffff7ffb000",
    "18446744073709551615-1",
    "view smaps 4294967295\n",
    "view /sys/devices/system/node/node0/vmstat 0\n",
    "set vm.swappiness=60\n",
    "000000000000000000000000000000000000000000000000",
};

static size_t put(uint8_t *to, size_t n, const char *from)
{
    size_t len = min_u64(strlen(from), MAX - n);
    memcpy(to + n, from, len);
    return n + len;
}

/* make builds an input: pieces of the corpus, some bytes changed. */
static size_t make(uint8_t *data, struct rng *rng)
{
    size_t n = 1;
    data[0] = (uint8_t)rng_next(rng);
    for (uint64_t pieces = 1 + rng_below(rng, 3); pieces > 0; pieces--) {
        const char *text = corpus[rng_below(rng, ARRAY_LEN(corpus))];
        n = put(data, n, text + (rng_below(rng, 2) ? 0 : rng_below(rng, strlen(text))));
    }
    for (uint64_t flips = rng_below(rng, 4); flips > 0; flips--)
        data[rng_below(rng, n)] = (uint8_t)rng_next(rng);
    return n - (rng_below(rng, 2) ? rng_below(rng, n) : 0);
}

static void nothing_that_is_read_breaks_its_reader(void **state)
{
    (void)state;
    uint8_t data[MAX];
    struct rng rng = {20261122};
    for (int i = 0; i < ROUNDS; i++)
        LLVMFuzzerTestOneInput(data, make(data, &rng));
    for (int i = 0; i < ROUNDS / 10; i++) { /* runs of words: any numbers, and small ones */
        size_t n = 1 + 32 * rng_below(&rng, 6);
        uint64_t words[25];
        for (size_t k = 0; k < ARRAY_LEN(words); k++)
            words[k] = rng_next(&rng) >> rng_below(&rng, 64);
        data[0] = 5;
        memcpy(data + 1, words, n - 1);
        LLVMFuzzerTestOneInput(data, n);
    }
}

static void the_corpus_itself_is_read(void **state)
{
    (void)state;
    struct proc_order o;
    struct proc_target t;
    struct word_range r;
    char err[120];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(proc_order_parse(corpus[i], &o, err, sizeof err), 0);
    assert_int_equal(proc_assignment_parse(corpus[3], &o, err, sizeof err), 0);
    for (size_t i = 4; i < 9; i++)
        assert_int_equal(proc_resolve(corpus[i], &t), 0);
    struct control_request q;
    for (size_t i = 11; i < 14; i++)
        assert_int_equal(control_parse(corpus[i], &q, err, sizeof err), 0);
    assert_true(words_parse_range(corpus[9], 4096, &r));
    assert_int_equal(r.end - r.first, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_itself_is_read),
        cmocka_unit_test(nothing_that_is_read_breaks_its_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
