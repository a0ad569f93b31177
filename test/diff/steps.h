/* steps.h: a sequence of steps on the running kernel and on the model, for tests that perform each in a
 * forked child.
 *
 *   compare ─► run_model, run_native (the subject, which may fork a child of its own) ─► differs, step by step
 *   shrink  ─► the shortest sequence that differs three times of three
 *
 * Who includes it has struct step, struct seen and STEPS_MAX, and defines what is only declared here.
 */
#ifndef TEST_STEPS_H
#define TEST_STEPS_H

#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* run_native is false when the subject died; run_model returns what the audit says. */
static bool run_native(const struct step *steps, unsigned n, struct seen *out);
static int run_model(const struct step *steps, unsigned n, struct seen *out);
/* differs names what is not the same after a step, or NULL. */
static const char *differs(const struct step *s, const struct seen *k, const struct seen *m);
/* child_step is what the subject's child does of a step: it touches memory. */
static void child_step(const struct step *s);

/* -- the subject and its child ---------------------------------------------------------------- */

static sigjmp_buf jump;
static volatile sig_atomic_t got_signal;

static struct {
    pid_t pid;
    int tell, hear;
} child;

static void child_loop(int in, int out)
{
    struct step s;
    while (read(in, &s, sizeof(s)) == sizeof(s)) {
        got_signal = 0;
        if (sigsetjmp(jump, 1) == 0)
            child_step(&s);
        int sig = got_signal;
        if (write(out, &sig, sizeof(sig)) != sizeof(sig))
            break;
    }
    _exit(0);
}

static void child_fork(void)
{
    int to[2], from[2];
    if (child.pid != 0 || pipe(to) != 0 || pipe(from) != 0)
        return;
    child.pid = fork();
    if (child.pid == 0) {
        close(to[1]); /* so that it ends with its parent */
        child_loop(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    child.tell = to[1];
    child.hear = from[0];
}

/* child_touch returns the signal that a step was to the child, or 0. */
static int child_touch(const struct step *s)
{
    int sig = 0;
    if (child.pid == 0 || write(child.tell, s, sizeof(*s)) != sizeof(*s) ||
        read(child.hear, &sig, sizeof(sig)) != sizeof(sig))
        return 0;
    return sig;
}

static void child_exit(void)
{
    if (child.pid == 0)
        return;
    close(child.tell);
    close(child.hear);
    waitpid(child.pid, NULL, 0);
    child.pid = 0;
}

/* -- comparing -------------------------------------------------------------------------------- */

static struct seen *real; /* STEPS_MAX, shared with the subject */
static struct seen model[STEPS_MAX];

/* compare names what differs first, and at which step; NULL: nothing does. */
static const char *compare(const struct step *steps, unsigned n, unsigned *ret_step)
{
    int broken = run_model(steps, n, model);
    if (!run_native(steps, n, real))
        return "the native child died";
    for (unsigned i = 0; i < n; i++) {
        const char *what = differs(&steps[i], &real[i], &model[i]);
        *ret_step = i;
        if (what)
            return what;
    }
    return broken ? "the audit" : NULL;
}

static bool differs_for_sure(const struct step *steps, unsigned n)
{
    unsigned at;
    for (int i = 0; i < 3; i++)
        if (!compare(steps, n, &at))
            return false;
    return true;
}

static unsigned shrink(struct step *steps, unsigned n)
{
    for (unsigned i = n; i-- > 0;) {
        struct step less[STEPS_MAX];
        memcpy(less, steps, n * sizeof(*steps));
        memmove(&less[i], &less[i + 1], (n - i - 1) * sizeof(*steps));
        if (differs_for_sure(less, n - 1))
            memcpy(steps, less, --n * sizeof(*steps));
    }
    return n;
}

#endif
