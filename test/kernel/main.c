/* main.c: check-kernel: sequences of memory calls on the running kernel and on the model.
 *
 *   check_kernel SUBJECT [--seed S] [--sequences N] [--cpu C] [--max-bad K] [--seconds T]
 *                [--program SEED] [--results SEED] [--list-tolerances]
 *
 * Seeds S, S + 1 … are independent of each other: a stopped run goes on at the seed it printed last.
 * The last line is "N sequences, C calls, M mismatches"; the status is 1 when M > 0, 2 on misuse.
 */
#include "kernel/cgroup.h"
#include "kernel/check.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define DISTURBED_MAX 20u
#define RUNS          6u /* of a sequence that differs, before it is a mismatch: within some two seconds */

struct options {
    uint64_t seed, sequences, max_bad, seconds, program, results;
    int cpu;
    bool verbose;
    bool reach; /* says what the generator makes, and performs nothing */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(struct native *k, struct sequence *q, struct difference *d)
{
    shrink(k, q, d);
    struct made made;
    struct difference again;
    if (run_both(k, q, &again, &made))
        *d = again;
    printf("mismatch: seed %llu, after %u calls%s, process %d, %s: %s\n",
           (unsigned long long)q->seed, d->at + 1, d->swept ? " and reading each page" : "",
           d->proc, d->what, d->detail);
    for (unsigned i = 0; i < q->n; i++) {
        printf("  ");
        print_call(stdout, &q->call[i]);
        printf("\n");
    }
    unsigned p = d->proc < 0 ? q->call[d->at].proc : (unsigned)d->proc;
    for (int side = 0; side < 2; side++) {
        const struct moment *m = side ? last_model() : last_kernel();
        printf("%s: result %lld signal %d code %d minor faults %llu\n", side ? "model" : "kernel",
               (long long)m->answer.result, m->answer.signal, m->answer.code,
               (unsigned long long)m->answer.minflt);
        print_view(stdout, &m->view[p]);
    }
    printf("---- program that shows the kernel's answer ----\n");
    print_program(stdout, q, d);
    printf("---- end of program ----\n");
}

/* -- what a campaign adds up --------------------------------------------------------------------- */

/* What differed, but not each time: sequences by field and by how often it showed. */
struct rare {
    char what[64];
    unsigned seen[RUNS]; /* [n]: sequences that differed so n times, then not */
    uint64_t seed;       /* of the first of them */
};
struct tally {
    uint64_t calls, no_process, left_out, sweeps, pages; /* struct made, of one run of each */
    uint64_t bad, disturbed; /* sequences that differ; runs made again because of khugepaged */
    unsigned n_rare;
    struct rare rare[32];
};

static void note_rare(struct tally *t, const struct difference *d, unsigned times, uint64_t seed)
{
    unsigned i = 0;
    while (i < t->n_rare && strcmp(t->rare[i].what, d->what) != 0)
        i++;
    ASSERT(i < ARRAY_LEN(t->rare));
    if (i == t->n_rare) {
        t->n_rare++;
        t->rare[i].seed = seed;
        memcpy(t->rare[i].what, d->what, sizeof(d->what));
    }
    t->rare[i].seen[times]++;
}

/* settle gives what disturbed the n-th run time to end. */
static void settle(unsigned n)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000L * n}, NULL);
}

/* khugepaged_collapsed counts what khugepaged made huge of its own accord, MADV_COLLAPSE not counted. */
static uint64_t khugepaged_collapsed(void)
{
    char text[32] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/khugepaged/pages_collapsed", O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return n > 0 ? strtoull(text, NULL, 10) : 0;
}

/* run_alone is run_both, again where it differs and khugepaged was at work meanwhile. */
static bool run_alone(struct native *k, const struct sequence *q, struct difference *d,
                      struct made *made, struct tally *t)
{
    for (unsigned tries = 0;; tries++) {
        uint64_t before = khugepaged_collapsed();
        bool differs = run_both(k, q, d, made);
        if (!differs || khugepaged_collapsed() == before || tries == DISTURBED_MAX)
            return differs;
        t->disturbed++;
        settle(tries + 1);
    }
}

/* differs_for_sure: what differs once may be chance (a writeback, a page reclaimed); the kernel's
 * answer to a sequence is what it says each time. What is chance is noted. */
static bool differs_for_sure(struct native *k, const struct sequence *q, struct difference *d,
                             struct tally *t)
{
    struct difference again;
    struct made made;
    unsigned times = 0;
    bool differs = run_alone(k, q, d, &made, t);
    while (differs && ++times < RUNS) {
        settle(times);
        differs = run_alone(k, q, &again, &made, t);
    }
    if (!differs && times > 0)
        note_rare(t, d, times, q->seed);
    t->calls += made.calls;
    t->no_process += made.no_process;
    t->left_out += made.left_out;
    t->sweeps += made.sweeps;
    t->pages += made.pages;
    t->bad += differs;
    return differs;
}

static void print_tally(const struct tally *t, uint64_t sequences)
{
    printf("%llu present pages and %llu mappings read whole were compared; not made: %llu calls of "
           "processes that do not live, %llu of the table of tolerances\n",
           (unsigned long long)t->pages, (unsigned long long)t->sweeps,
           (unsigned long long)t->no_process, (unsigned long long)t->left_out);
    seen_print(stdout);
    printf("runs made again because khugepaged collapsed pages meanwhile: %llu\n",
           (unsigned long long)t->disturbed);
    printf("seen less than %u of %u times: %s\n", RUNS, RUNS, t->n_rare ? "" : "nothing");
    for (unsigned i = 0; i < t->n_rare; i++)
        printf("  %s: %u sequences once, %u twice, %u more often; the first is seed %llu\n",
               t->rare[i].what, t->rare[i].seen[1], t->rare[i].seen[2],
               t->rare[i].seen[3] + t->rare[i].seen[4] + t->rare[i].seen[5],
               (unsigned long long)t->rare[i].seed);
    printf("%llu sequences, %llu calls, %llu mismatches\n", (unsigned long long)sequences,
           (unsigned long long)t->calls, (unsigned long long)t->bad);
}

static void progress(const struct options *o, uint64_t seed, uint64_t n, uint64_t calls,
                     double start)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rseed %llu, %llu of %llu sequences, %llu calls, %.0f calls/s ",
                (unsigned long long)seed, (unsigned long long)n, (unsigned long long)o->sequences,
                (unsigned long long)calls, (double)calls / (now() - start + 1e-9));
}

/* compare_one does a sequence while nobody changes the host's settings: check-kernel-global takes turns
 * with it. */
static bool compare_one(struct native *k, const struct sequence *q, struct difference *d,
                        struct tally *t, int lock)
{
    flock(lock, LOCK_SH);
    bool differs = differs_for_sure(k, q, d, t);
    flock(lock, LOCK_UN);
    return differs;
}

static void print_cgroups(const struct cgroup *g)
{
    printf("memory cgroups: %llu, one for each run of a sequence%s%s\n", (unsigned long long)g->n,
           g->each ? "" : ", until ", g->why_not);
}

static int campaign(struct native *k, const struct options *o)
{
    static struct sequence q;
    struct tally t = {0};
    uint64_t n = 0;
    double start = now();
    int lock = open("/var/tmp/pagewalk-global.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (; n < o->sequences && t.bad < o->max_bad; n++) {
        struct difference d;
        if (o->seconds && now() - start > (double)o->seconds)
            break;
        gen_sequence(&q, o->seed + n);
        if (compare_one(k, &q, &d, &t, lock))
            report(k, &q, &d);
        if (n % 64 == 0)
            progress(o, o->seed + n, n, t.calls, start);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\n");
    print_cgroups(native_cgroup(k));
    printf("seeds %llu to %llu, %.1f s, %.0f calls/s\n", (unsigned long long)o->seed,
           (unsigned long long)(o->seed + n - 1), now() - start, (double)t.calls / (now() - start));
    print_tally(&t, n);
    return t.bad > 0;
}

/* results prints what the kernel answered to each call of a sequence. */
static int results(struct native *k, uint64_t seed)
{
    static struct sequence q;
    int64_t result[CALLS_MAX] = {0};
    unsigned n;
    uint64_t brk;
    gen_sequence(&q, seed);
    bool ok = native_begin(k, &q);
    native_own(k, &n, &brk);
    for (unsigned i = 0; i < q.n && ok; i++) {
        struct call c = call_resolved(&q, i, result, brk, native_stack(k));
        struct answer a;
        ok = native_call(k, &c, &a);
        result[i] = a.result;
        printf("%u: %s = %lld signal %d code %d minor faults %llu\n", i, call_kinds[c.kind].name,
               (long long)a.result, a.signal, a.code, (unsigned long long)a.minflt);
    }
    native_end(k);
    return !ok;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: check_kernel SUBJECT [--seed S] [--sequences N] [--cpu C] [--max-bad K] "
            "[--seconds T] [--program SEED] [--results SEED] [--list-tolerances] "
            "[--reach]\n");
    return 2;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"seed", 1, 0, 's'},    {"sequences", 1, 0, 'n'},
                                          {"cpu", 1, 0, 'c'},     {"max-bad", 1, 0, 'm'},
                                          {"seconds", 1, 0, 't'}, {"program", 1, 0, 'p'},
                                          {"results", 1, 0, 'r'}, {"list-tolerances", 0, 0, 'l'},
                                          {"reach", 0, 0, 'g'},   {0}};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (c) {
        case 's':
            o->seed = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            o->sequences = strtoull(optarg, NULL, 0);
            break;
        case 'c':
            o->cpu = atoi(optarg);
            break;
        case 'm':
            o->max_bad = strtoull(optarg, NULL, 0);
            break;
        case 't':
            o->seconds = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            o->results = strtoull(optarg, NULL, 0);
            break;
        case 'p':
            o->program = strtoull(optarg, NULL, 0);
            break;
        case 'g':
            o->reach = true;
            break;
        case 'l':
            tolerances_list(stdout);
            exit(0);
        default:
            return usage();
        }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .sequences = 300, .max_bad = 5};
    struct native *k;
    setvbuf(stdout, NULL, _IOLBF, 0); /* a campaign may be stopped */
    int err = parse(argc, argv, &o);
    if (err || optind + 1 != argc)
        return err ? err : usage();
    if (o.program) {
        static struct sequence q;
        gen_sequence(&q, o.program);
        print_program(stdout, &q,
                      &(struct difference){.at = q.n - 1, .what = "the whole sequence"});
        return 0;
    }
    if (o.reach)
        return reach_print(stdout, o.seed, o.sequences);
    const char *why = native_why_not();
    if (why) {
        printf("skipped: %s\n", why);
        return 0;
    }
    native_open(&k, argv[optind], o.cpu);
    if (o.results) {
        err = results(k, o.results);
        native_close(k);
        return err;
    }
    struct utsname u;
    uname(&u);
    printf("Linux %s\n", u.release);
    err = campaign(k, &o);
    native_close(k);
    return err;
}
