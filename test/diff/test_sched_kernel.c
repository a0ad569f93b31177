/* links: kern */
/* The scheduler against the running kernel: processes on one CPU write down when they ran, the model is told the
 * same story: who has the core after a fork, who breaks into whom after a sleep, how many turns there are and
 * what shares they bring.
 *
 * The processes are a session of their own with an autogroup before all others, so that they have the CPU nearly
 * for themselves; what is left of other load is why each question is put fifteen times, and the majority, or the
 * median, answers. Skipped, with the reason, where that cannot be had, and on kernels whose rules were others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kern/sched.h"

#define MS     UINT64_C(1000000)
#define TRIALS 15u
#define KIDS   3u

/* What the processes write down, in shared memory, ns. */
struct notes {
    _Atomic uint64_t first_ran[KIDS];        /* when a process ran first */
    _Atomic uint64_t late;                   /* how long after its sleep */
    _Atomic uint64_t turns[KIDS], ran[KIDS]; /* times it lost the CPU, and had it */
};

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void spin_until(uint64_t ns)
{
    while (now() < ns)
        ;
}

/* have_the_cpu: a session of our own, before all others on the CPU (autogroup): 88761 to their 1024. */
static bool have_the_cpu(void)
{
    FILE *f;
    bool done;

    setsid();
    f = fopen("/proc/self/autogroup", "w");
    done = f && fputs("-20", f) >= 0;
    return f && fclose(f) == 0 && done;
}

/* why_not returns why nothing can be compared here, or NULL; then we have CPU 0 nearly for ourselves. */
static const char *why_not(void)
{
    struct utsname u;
    unsigned major = 0, minor = 0, patch = 0;
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(0, &one);
    if (uname(&u) != 0 || sscanf(u.release, "%u.%u.%u", &major, &minor, &patch) < 2 ||
        major * 1000000 + minor * 1000 + patch < 6018035)
        return "the kernel is older than 6.18.35: other rules of preemption";
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        return "CPU 0 is not ours";
    if (!have_the_cpu())
        return "/proc/self/autogroup cannot be written: other load would answer";
    return NULL;
}

static struct notes *notes_open(void)
{
    void *p =
        mmap(NULL, sizeof(struct notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

static void reap(unsigned n)
{
    while (n-- > 0)
        wait(NULL);
}

/* The tick of the host: the coarse clock goes by it. */
static uint64_t tick_ns(void)
{
    struct timespec t;

    clock_getres(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_nsec;
}

/* -- the model's story -----------------------------------------------------------------------------*/

/* As many cores as the host has, for the slice; all tasks are bound to the first. */
struct story {
    struct sched s;
    struct sched_task task[4];
};

static void story_open(struct story *m)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    memset(m, 0, sizeof(*m));
    sched_open(&m->s, (unsigned)(cpus < (long)SCHED_CORES_MAX ? cpus : (long)SCHED_CORES_MAX),
               (unsigned)(1000 * MS / tick_ns()));
}

static void settle(struct story *m, uint64_t at)
{
    if (sched_needs(&m->s, 0))
        sched_schedule(&m->s, 0, at);
}

static struct sched_task *comes(struct story *m, unsigned n, uint64_t at)
{
    struct sched_task *t = &m->task[n];

    sched_task_init(&m->s, t, n, n > 0 ? &m->task[0] : NULL);
    sched_set_allowed(&m->s, t, 1, at);
    sched_set_clock(&m->s, 0, at);
    sched_wake_new(&m->s, t, at);
    settle(m, at);
    return t;
}

/* -- fork ------------------------------------------------------------------------------------------*/

/* What a program that forks three busy children and waits says: whether any ran before the parent waited, and
 * in which order they came on. */
struct forks {
    bool parent_first;
    unsigned order[KIDS];
};

static void order_of(const uint64_t *first, unsigned *ret_order)
{
    for (unsigned i = 0; i < KIDS; i++) {
        ret_order[i] = 0;
        for (unsigned k = 0; k < KIDS; k++)
            ret_order[i] += first[k] < first[i];
    }
}

/* native_forks: the parent sleeps, so that it has a slice of its own, and has had the CPU for `ran` when it
 * forks first. */
static struct forks native_forks(uint64_t ran)
{
    struct notes *x = notes_open();
    struct timespec nap = {.tv_nsec = MS};
    struct forks f;
    uint64_t first[KIDS], waits;

    nanosleep(&nap, NULL);
    spin_until(now() + ran);
    for (unsigned i = 0; i < KIDS; i++)
        if (fork() == 0) {
            x->first_ran[i] = now();
            spin_until(now() + 2 * MS);
            _exit(0);
        }
    waits = now();
    reap(KIDS);
    f.parent_first = true;
    for (unsigned i = 0; i < KIDS; i++) {
        first[i] = x->first_ran[i];
        f.parent_first &= first[i] > waits;
    }
    order_of(first, f.order);
    munmap(x, sizeof(*x));
    return f;
}

/* modelled_forks: a fork takes 60 us. */
static struct forks modelled_forks(uint64_t ran)
{
    struct story m;
    struct forks f = {.parent_first = true, .order = {0}};
    uint64_t first[KIDS] = {0}, at = ran;

    story_open(&m);
    const struct sched_task *parent = comes(&m, 0, 0);
    for (unsigned i = 0; i < KIDS; i++, at += 60000) {
        comes(&m, 1 + i, at);
        f.parent_first &= m.s.core[0].curr == parent;
        if (!f.parent_first)
            return f;
    }
    sched_block(&m.s, 0, at);
    sched_schedule(&m.s, 0, at);
    for (; !first[0] || !first[1] || !first[2]; at += tick_ns()) {
        uint64_t *came = &first[m.s.core[0].curr->serial - 1];
        *came = *came ? *came : at;
        sched_tick(&m.s, 0, at + tick_ns());
        settle(&m, at + tick_ns());
    }
    order_of(first, f.order);
    return f;
}

/* It has the core for its slice, however many it forks; one that has used its slice up alone has no
 * protection, and loses the core to the first child when it forks the second (update_curr of the enqueue). */
static void
a_parent_forks_all_its_children_before_the_first_runs_unless_its_slice_is_used_up(void **state)
{
    (void)state;
    for (uint64_t ran = MS / 10; ran <= 10 * MS; ran += 10 * MS - MS / 10) {
        struct forks model = modelled_forks(ran);
        unsigned kept = 0, ordered = 0;
        for (unsigned i = 0; i < TRIALS; i++) {
            struct forks f = native_forks(ran);
            kept += f.parent_first;
            ordered += memcmp(f.order, model.order, sizeof(f.order)) == 0;
        }
        print_message(
            "after %5lu us: all forked first in %u of %u natively, %s the model; children "
            "in its order %u\n",
            ran / 1000, kept, TRIALS, model.parent_first ? "also in" : "not in", ordered);
        assert_int_equal(kept > TRIALS / 2, model.parent_first);
        assert_true(!model.parent_first || ordered > TRIALS / 2);
    }
}

/* -- wake-ups --------------------------------------------------------------------------------------*/

struct question {
    int sleeper, runner; /* policies */
    uint64_t slice;      /* the sleeper asks for, ns; 0: none */
    const char *what;
};

struct sched_attr_v0 {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static void becomes(int policy, uint64_t slice)
{
    struct sched_attr_v0 a = {.size = sizeof(a), .policy = (uint32_t)policy, .runtime = slice};

    if (syscall(SYS_sched_setattr, 0, &a, 0) != 0)
        _exit(2);
}

/* native_latency returns how long after its moment a sleeper ran while another was busy, ns. */
static uint64_t native_latency(const struct question *q)
{
    struct notes *x = notes_open();
    struct timespec nap = {.tv_nsec = 6 * MS};
    uint64_t begin = now();

    if (fork() == 0) {
        becomes(q->sleeper, q->slice);
        uint64_t from = now();
        nanosleep(&nap, NULL);
        x->late = now() - from - 6 * MS;
        _exit(0);
    }
    if (fork() == 0) {
        becomes(q->runner, 0);
        spin_until(begin + 25 * MS);
        _exit(0);
    }
    reap(2);
    uint64_t late = x->late;
    munmap(x, sizeof(*x));
    return late;
}

/* modelled_latency: it wakes half a tick after a tick, while the other has run for one and a half. */
static uint64_t modelled_latency(const struct question *q)
{
    struct story m;
    struct sched_params p = {.policy = q->sleeper, .slice = q->slice};
    uint64_t tick = tick_ns(), wakes = tick + tick / 2;

    story_open(&m);
    struct sched_task *sleeper = comes(&m, 0, 0);
    sched_block(&m.s, 0, 0);
    sched_schedule(&m.s, 0, 0);
    struct sched_task *runner = comes(&m, 1, 0);
    sched_set_params(&m.s, sleeper, &p);
    sched_set_policy(&m.s, runner, q->runner, 0);
    sched_tick(&m.s, 0, tick);
    sched_set_clock(&m.s, 0, wakes);
    sched_wake(&m.s, sleeper, wakes);
    settle(&m, wakes);
    for (uint64_t at = wakes;; at = at - at % tick + tick) {
        if (at > wakes)
            sched_tick(&m.s, 0, at);
        settle(&m, at);
        if (m.s.core[0].curr == sleeper || at > 100 * tick)
            return at - wakes;
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void who_wakes_breaks_in_or_waits_for_a_tick_by_policy_and_request(void **state)
{
    (void)state;
    static const struct question q[] = {
        {SCHED_OTHER, SCHED_OTHER, 0, "a normal task into a normal one"},
        {SCHED_BATCH, SCHED_OTHER, 0, "a batch task into a normal one"},
        {SCHED_IDLE, SCHED_OTHER, 0, "an idle task into a normal one"},
        {SCHED_OTHER, SCHED_IDLE, 0, "a normal task into an idle one"},
        {SCHED_OTHER, SCHED_OTHER, MS / 10, "a short request into a normal one"},
    };
    for (unsigned i = 0; i < sizeof(q) / sizeof(*q); i++) {
        uint64_t late[TRIALS];
        for (unsigned k = 0; k < TRIALS; k++)
            late[k] = native_latency(&q[i]);
        qsort(late, TRIALS, sizeof(*late), by_size);
        uint64_t model = modelled_latency(&q[i]);
        print_message("%-36s native %5lu us (median of %u), model %5lu us\n", q[i].what,
                      late[TRIALS / 2] / 1000, TRIALS, model / 1000);
        assert_int_equal(late[TRIALS / 2] < tick_ns() / 8, model < tick_ns() / 8);
    }
}

/* -- turns -----------------------------------------------------------------------------------------*/

#define LONG (400 * MS)

/* works: notes how often it lost the CPU to another of us (for more than half a tick), and what it ran. */
static void works(struct notes *x, unsigned i, uint64_t until)
{
    struct timespec ran;
    uint64_t last = now();

    for (uint64_t at; (at = now()) < until; last = at)
        x->turns[i] += at - last > tick_ns() / 2;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ran);
    x->ran[i] = (uint64_t)ran.tv_sec * 1000 * MS + (uint64_t)ran.tv_nsec;
    _exit(0);
}

struct shares {
    uint64_t turns, ran[2];
};

static struct shares native_shares(int nice)
{
    struct notes *x = notes_open();
    uint64_t until = now() + LONG;

    for (unsigned i = 0; i < 2; i++)
        if (fork() == 0) {
            setpriority(PRIO_PROCESS, 0, i == 0 ? 0 : nice);
            works(x, i, until);
        }
    reap(2);
    struct shares s = {x->turns[0] + x->turns[1], {x->ran[0], x->ran[1]}};
    munmap(x, sizeof(*x));
    return s;
}

static struct shares modelled_shares(int nice)
{
    struct story m;

    story_open(&m);
    comes(&m, 0, 0);
    sched_set_nice(&m.s, comes(&m, 1, 0), nice);
    for (uint64_t at = tick_ns(); at <= LONG; at += tick_ns()) {
        sched_tick(&m.s, 0, at);
        settle(&m, at);
    }
    return (struct shares){m.task[0].nivcsw + m.task[1].nivcsw,
                           {m.task[0].sum_exec, m.task[1].sum_exec}};
}

/* near: within 30 %, for what the host's other load takes. */
static bool near(double a, double b)
{
    return a < 1.3 * b && b < 1.3 * a;
}

static void two_busy_ones_have_as_many_turns_and_the_shares_of_their_nice_values(void **state)
{
    (void)state;
    for (int nice = 0; nice <= 5; nice += 5) {
        struct shares n = native_shares(nice), m = modelled_shares(nice);
        double native = (double)n.ran[0] / (double)n.ran[1];
        double model = (double)m.ran[0] / (double)m.ran[1];
        print_message("nice 0 and %d: native %lu turns, shares as %.2f, model %lu, %.2f\n", nice,
                      n.turns, native, m.turns, model);
        assert_true(near(native, model));
        assert_true(near((double)n.turns, (double)m.turns));
    }
}

static int compare_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_parent_forks_all_its_children_before_the_first_runs_unless_its_slice_is_used_up),
        cmocka_unit_test(who_wakes_breaks_in_or_waits_for_a_tick_by_policy_and_request),
        cmocka_unit_test(two_busy_ones_have_as_many_turns_and_the_shares_of_their_nice_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* In a child: a session of its own is not left again. */
int main(void)
{
    pid_t child = fork();
    int status = 1;

    if (child == 0) {
        const char *why = why_not();
        if (why)
            printf("skipped: %s\n", why);
        fflush(stdout);
        _exit(why ? 0 : compare_all());
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
