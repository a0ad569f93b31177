/* feed_bench: how fast the event loop alone is, without QEMU beside it.
 *
 *   feed_bench [-n TIMES] [-m MACHINE.ini] PROGRAM ARGS…
 *
 * Runs the program once under the front end and keeps its words in memory (one thread, at most 4 GiB
 * of them), then feeds them TIMES times (3) to a fresh machine and prints the processor time of each:
 * ns per event word, accesses per second. The wrappers below sit between front and sim (--wrap). */
#include "front/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern char **environ;

struct chunk {
    size_t words, blocks; /* blocks known when these words were fed */
};

static uint64_t *words;
static size_t n_words, cap_words;
static struct ring_block **blocks;
static uint32_t *ids; /* of the blocks */
static size_t n_blocks;
static struct chunk *chunks;
static size_t n_chunks;

size_t __real_sim_feed(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n,
                       bool ordered, enum sim_stop *ret_stop);
int __real_sim_add_block(struct sim *s, uint32_t id, const struct ring_block *b);
size_t __wrap_sim_feed(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n,
                       bool ordered, enum sim_stop *ret_stop);
int __wrap_sim_add_block(struct sim *s, uint32_t id, const struct ring_block *b);

size_t __wrap_sim_feed(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n,
                       bool ordered, enum sim_stop *ret_stop)
{
    size_t took = __real_sim_feed(s, t, w, n, ordered, ret_stop);

    if (n_words + took > cap_words) {
        cap_words = (n_words + took) * 2;
        words = realloc(words, cap_words * 8);
    }
    if (took == 0)
        return 0;
    memcpy(words + n_words, w, took * 8);
    n_words += took;
    chunks = realloc(chunks, (n_chunks + 1) * sizeof(*chunks));
    chunks[n_chunks++] = (struct chunk){took, n_blocks};
    return took;
}

int __wrap_sim_add_block(struct sim *s, uint32_t id, const struct ring_block *b)
{
    blocks = realloc(blocks, (n_blocks + 1) * sizeof(*blocks));
    blocks[n_blocks] = malloc(b->bytes);
    memcpy(blocks[n_blocks], b, b->bytes);
    ids = realloc(ids, (n_blocks + 1) * sizeof(*ids));
    ids[n_blocks++] = id;
    return __real_sim_add_block(s, id, b);
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void replay(const struct conf *conf)
{
    struct sim *s;
    size_t at = 0, known = 0;
    enum sim_stop stop;

    if (sim_open(&s, conf) != 0)
        exit(1);
    struct sim_thread *t = sim_thread_open(s);
    double start = cpu_seconds();
    for (size_t i = 0; i < n_chunks; i++) {
        while (known < chunks[i].blocks)
            __real_sim_add_block(s, ids[known], blocks[known]), known++;
        for (size_t end = at + chunks[i].words; at < end;)
            at += __real_sim_feed(s, t, words + at, end - at, true, &stop);
    }
    double took = cpu_seconds() - start;
    const struct stat_set *st = sim_stats(s);
    uint64_t accesses = STAT(st, loads) + STAT(st, stores);
    printf("%.3f s, %.2f ns a word, %.1f M accesses/s, %.1f M instructions/s\n", took,
           took * 1e9 / (double)n_words, (double)accesses / took / 1e6,
           (double)STAT(st, instructions) / took / 1e6);
    sim_close(s);
}

int main(int argc, char **argv)
{
    struct conf conf;
    struct front_options o = {0};
    struct front_result r;
    struct sim *s;
    char err[512];
    int i = 1, times = 3;

    conf_init(&conf);
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (argv[i][1] == 'n')
            times = atoi(argv[i + 1]);
        else if (argv[i][1] == 'm' && conf_load(&conf, argv[i + 1], err, sizeof(err)) != 0)
            return fprintf(stderr, "%s\n", err), 1;
    }
    o.argv = argv + i;
    o.plugin = getenv("PLUGIN");
    if (i >= argc || sim_open(&s, &conf) != 0 || front_run(&o, s, &r, err, sizeof(err)) != 0)
        return fprintf(stderr, "feed_bench: %s\n", i < argc ? err : "give a program"), 1;
    sim_close(s);
    printf("%zu words, %zu blocks\n", n_words, n_blocks);
    for (i = 0; i < times; i++)
        replay(&conf);
    return 0;
}
