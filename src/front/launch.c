/* launch.c: the guest's process and the signals between it, us and whoever started us.
 *
 *   shell ──► pagewalk ──fork──► qemu-x86_64 = guest      one process group, one terminal
 *             forwards what came  has them as we had      Ctrl-C reaches the guest by itself, which
 *             to it alone ──►                             decides; see witness.c
 *
 * Invariants:
 *  I1  The guest starts with the signal dispositions and the mask that we were started with.
 *  I2  It dies with us: PR_SET_PDEATHSIG, and it looks once at its parent after asking for that.
 *  I3  A signal that was ignored when we started (nohup) stays ignored.
 *  I4  Once the guest is gone, signals act on us again as before it came.
 */
#include "front/front_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What ends or tells a program and comes from outside; real-time signals too. */
static const int FORWARDED[] = {SIGINT,    SIGQUIT, SIGTERM,  SIGHUP,  SIGUSR1, SIGUSR2, SIGALRM,
                                SIGVTALRM, SIGPROF, SIGWINCH, SIGCONT, SIGURG,  SIGIO,   SIGPWR};
#define FORWARDED_NR ((int)(sizeof FORWARDED / sizeof *FORWARDED))
#define SIGNALS_MAX  (FORWARDED_NR + 64)

static struct sigaction saved[SIGNALS_MAX], saved_child; /* as we were started */
static struct witness witness = {-1, -1};

/* signals: the last real-time signals cannot be told to QEMU's guest (witness.c, at_guest). */
static int signals(void)
{
    return FORWARDED_NR + SIGRTMAX - SIGRTMIN + 1 - (SIGRTMIN - WITNESS_KERNEL_RTMIN);
}
static int signal_at(int i)
{
    return i < FORWARDED_NR ? FORWARDED[i] : SIGRTMIN + i - FORWARDED_NR;
}

static void forward(int sig, siginfo_t *info, void *context)
{
    int e = errno;

    (void)context;
    if (witness.fd >= 0)
        witness_tell(&witness, sig, info);
    errno = e;
}

static void take_signals(void)
{
    struct sigaction act = {.sa_handler = SIG_DFL};

    sigaction(SIGCHLD, &act, &saved_child); /* with it ignored, nobody could wait for the guest */
    act = (struct sigaction){.sa_sigaction = forward, .sa_flags = SA_RESTART | SA_SIGINFO};
    for (int i = 0; i < signals(); i++) {
        sigaction(signal_at(i), NULL, &saved[i]);
        if (saved[i].sa_handler != SIG_IGN) /* I3 */
            sigaction(signal_at(i), &act, NULL);
    }
}

static void give_signals_back(void)
{
    sigaction(SIGCHLD, &saved_child, NULL);
    for (int i = 0; i < signals(); i++)
        sigaction(signal_at(i), &saved[i], NULL);
}

/* -- the command line of QEMU --------------------------------------------------------------------- */

/* double_commas copies text for QEMU's option parser, where a comma in a value is written twice. */
static void double_commas(char *to, size_t size, const char *text)
{
    size_t n = 0;

    for (; *text && n + 2 < size; text++) {
        to[n++] = *text;
        if (*text == ',')
            to[n++] = ',';
    }
    to[n] = 0;
}

/* stack_bytes: what the kernel would let the stack grow to; without a limit QEMU's own 8 MiB. */
static uint64_t stack_bytes(void)
{
    const uint64_t least = UINT64_C(128) << 10, most = UINT64_C(16) << 30;
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_C(8) << 20;
    if (limit.rlim_cur < least)
        return least;
    return (limit.rlim_cur < most ? limit.rlim_cur : most) & ~UINT64_C(0xfff);
}

/* qemu_argv returns the vector; the strings that belong to it follow in the same memory. */
static char **qemu_argv(const struct front_command *c, const char *qemu, const char *plugin, int fd)
{
    enum { OWN = 9, TEXT = 9000 };
    size_t n = 0;
    char **v, *text, *stack;

    while (c->argv[n])
        n++;
    v = malloc((OWN + n + 2) * sizeof *v + TEXT + 32);
    if (!v)
        return NULL;
    text = (char *)(v + OWN + n + 2);
    stack = text + TEXT;
    double_commas(text, TEXT - 64, plugin);
    snprintf(text + strlen(text), 64, ",fd=%d,stack=%llu", fd, (unsigned long long)stack_bytes());
    snprintf(stack, 32, "%llu", (unsigned long long)stack_bytes());
    memcpy(v,
           (char *[OWN]){(char *)qemu, "-cpu", "max,erms=off,fsrm=off", "-s", stack, "-plugin",
                         text, "-0", c->argv[0]},
           OWN * sizeof *v);
    v[OWN] = (char *)c->path;
    memcpy(v + OWN + 1, c->argv + 1, n * sizeof *v); /* its NULL included */
    return v;
}

/* -- the child ------------------------------------------------------------------------------------ */

/* become_guest never returns; the errno of what failed goes into the pipe. */
static _Noreturn void become_guest(char **argv, int region_fd, int report, pid_t parent,
                                   const sigset_t *mask)
{
    give_signals_back(); /* I1 */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* I2 */
        _exit(125);
    fcntl(region_fd, F_SETFD, 0);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execv(argv[0], argv);
    if (write(report, &errno, sizeof errno) < 0)
        _exit(126);
    _exit(125);
}

/* spawn forks; the exec's errno, 0 when it succeeded, comes back through a pipe. */
static int spawn(struct guest *g, char **argv, int region_fd)
{
    pid_t parent = getpid();
    int report[2], failed = 0;
    sigset_t all, mask;

    if (pipe2(report, O_CLOEXEC) != 0)
        return errno;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    g->pid = fork();
    if (g->pid == 0)
        become_guest(argv, region_fd, report[1], parent, &mask);
    if (g->pid < 0 || witness_open(&witness, g->pid) != 0)
        failed = errno;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(report[1]);
    if (g->pid > 0 && read(report[0], &failed, sizeof failed) > 0)
        waitpid(g->pid, NULL, 0);
    else if (g->pid > 0 && failed) {
        kill(g->pid, SIGKILL);
        waitpid(g->pid, NULL, 0);
    }
    close(report[0]);
    return failed;
}

int guest_start(struct guest *g, const struct front_command *c, const char *qemu,
                const char *plugin, const struct region *region, char *err, size_t err_size)
{
    char **argv = qemu_argv(c, qemu, plugin, region->fd);
    int failed;

    *g = (struct guest){.pid = -1};
    take_signals();
    failed = argv ? spawn(g, argv, region->fd) : ENOMEM;
    free(argv);
    if (!failed)
        return 0;
    give_signals_back();
    witness_close(&witness);
    snprintf(err, err_size, "cannot start %s: %s", qemu, strerror(failed));
    return 125;
}

/* gone: from here on a signal to us means us (I4). */
static void gone(struct guest *g)
{
    give_signals_back();
    witness_close(&witness);
    g->gone = true;
}

bool guest_poll(struct guest *g)
{
    if (!g->gone && waitpid(g->pid, &g->status, WNOHANG) == g->pid)
        gone(g);
    return g->gone;
}

void guest_end(struct guest *g)
{
    while (!g->gone)
        if (waitpid(g->pid, &g->status, 0) == g->pid || errno != EINTR)
            gone(g);
}
