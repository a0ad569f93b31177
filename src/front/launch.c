/* launch.c: the guest's first process and the signals between it, us and whoever started us.
 *
 *   shell ──► pagewalk ──► keeper ──► qemu-x86_64 = first process   one process group, one terminal:
 *             tells the keeper what   has them as we had            Ctrl-C reaches the first process by
 *             signals reach it                                      itself, which decides; see witness.c
 *
 * Invariants:
 *  I1  The first process starts with the signal dispositions and the mask that we were started with.
 *  I2  The whole tree dies with us (keeper.c), and with the keeper: then we end it, for orphans come
 *      to us as the next subreaper.
 *  I3  A signal that was ignored when we started (nohup) stays ignored.
 *  I4  While the first process lives, its signals are its own. When it is gone and others go on, SIGINT,
 *      SIGQUIT, SIGTERM and SIGHUP mean that we shall not wait for them; other signals do nothing.
 *  I5  Once the tree is gone, signals act on us again as before it came.
 */
#include "event/qemu.h"
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
static const struct keeper *told;                        /* of signals; NULL: nobody */
static volatile sig_atomic_t first_gone, unwanted;       /* I4 */

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
    if (!first_gone && told)
        keeper_signal(told, sig, info);
    else if (sig == SIGINT || sig == SIGQUIT || sig == SIGTERM || sig == SIGHUP)
        unwanted = 1;
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

/* stack_limit: RLIMIT_STACK, or none. */
static uint64_t stack_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_STACK, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

static char **command_line(const struct front_command *c, const char *qemu, const char *plugin,
                           int fd)
{
    uint64_t stack = qemu_stack_bytes(stack_limit());
    char options[64], comm[QEMU_COMM];

    snprintf(options, sizeof options, ",fd=%d,stack=%llu", fd, (unsigned long long)stack);
    qemu_comm(comm, c->found);
    return qemu_argv(&(struct qemu_command){.qemu = qemu,
                                            .cpu = RING_QEMU_CPU,
                                            .plugin = plugin,
                                            .options = options,
                                            .comm = comm,
                                            .stack = stack,
                                            .path = c->path,
                                            .argv = c->argv});
}

/* reversed returns our environment as QEMU must be given it; NULL without memory. */
static char **reversed(char *const *envp)
{
    size_t n = 0;
    char **v;

    while (envp[n])
        n++;
    v = malloc((n + 1) * sizeof *v);
    if (v) {
        memcpy(v, envp, (n + 1) * sizeof *v);
        qemu_reverse(v);
    }
    return v;
}

/* -- the first process ---------------------------------------------------------------------------- */
struct first {
    char **argv, **envp;
    int region_fd;
    sigset_t mask; /* that we were started with */
};

/* become_first returns only to end; the errno of what failed goes into the report. */
static void become_first(void *arg, int report)
{
    const struct first *f = arg;

    give_signals_back(); /* I1 */
    fcntl(f->region_fd, F_SETFD, 0);
    sigprocmask(SIG_SETMASK, &f->mask, NULL);
    execve(f->argv[0], f->argv, f->envp);
    if (write(report, &errno, sizeof errno) < 0)
        _exit(126);
}

/* spawn starts keeper and first process; 0 or errno. */
static int spawn(struct guest *g, char **argv, char **envp, int region_fd)
{
    struct first f = {.argv = argv, .envp = envp, .region_fd = region_fd};
    sigset_t all;
    int failed;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &f.mask);
    failed = keeper_start(&g->keeper, become_first, &f);
    first_gone = unwanted = 0;
    told = failed ? NULL : &g->keeper;
    sigprocmask(SIG_SETMASK, &f.mask, NULL);
    g->pid = g->keeper.first;
    return failed;
}

/* adopt makes us the subreaper behind the keeper (I2), if our own children can be told apart. */
static void adopt(struct guest *g)
{
    int was = 0;

    prctl(PR_GET_CHILD_SUBREAPER, &was);
    g->was_reaper = was != 0;
    g->adopts = tree_children(&g->spared);
    if (g->adopts)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int guest_start(struct guest *g, const struct front_command *c, const char *qemu,
                const char *plugin, const struct region *region, char *err, size_t err_size)
{
    char **argv = command_line(c, qemu, plugin, region->fd), **envp = reversed(environ);
    int failed;

    *g = (struct guest){.pid = -1, .sim = g->sim};
    adopt(g);
    take_signals();
    failed = argv && envp ? spawn(g, argv, envp, region->fd) : ENOMEM;
    free(argv);
    free(envp);
    if (!failed)
        return 0;
    give_signals_back();
    prctl(PR_SET_CHILD_SUBREAPER, g->was_reaper);
    snprintf(err, err_size, "cannot start %s: %s", qemu, strerror(failed));
    return 125;
}

/* -- its end -------------------------------------------------------------------------------------- */

/* end_orphans does what the keeper would have done (I2). The first process died with it. */
static void end_orphans(struct guest *g)
{
    if (g->adopts)
        tree_kill(&g->spared);
    if (!g->gone && waitpid(g->pid, &g->status, 0) != g->pid)
        g->status = SIGKILL;
    if (g->adopts)
        tree_reap(&g->spared);
    g->lost = true;
}

/* over: from here on a signal to us means us (I5). */
static void over(struct guest *g)
{
    if (g->keeper.lost)
        end_orphans(g);
    give_signals_back();
    told = NULL;
    keeper_close(&g->keeper);
    prctl(PR_SET_CHILD_SUBREAPER, g->was_reaper);
    g->gone = g->over = true;
}

static void end_of_process(const struct guest *g, const struct keeper_word *w)
{
    tape_status(g->tape, (uint32_t)w->pid, w->status);
    sim_process_status(g->sim, (uint32_t)w->pid, w->status);
}

static void take_word(struct guest *g, const struct keeper_word *w)
{
    if (w->kind == KEEPER_LEFT)
        g->left = (uint32_t)w->status;
    if (w->kind == KEEPER_ENDED && g->sim)
        end_of_process(g, w);
    if (w->kind != KEEPER_ENDED || w->pid != g->pid || g->gone)
        return;
    g->status = w->status;
    g->gone = true;
    first_gone = 1;
}

bool guest_poll(struct guest *g)
{
    struct keeper_word w;

    if (g->over)
        return true;
    while (keeper_read(&g->keeper, &w))
        take_word(g, &w);
    if (g->keeper.over)
        over(g);
    return g->over;
}

bool guest_unwanted(const struct guest *g)
{
    return g->gone && !g->over && unwanted;
}

void guest_kill(struct guest *g)
{
    if (!g->over)
        keeper_end(&g->keeper);
}

void guest_leave(struct guest *g)
{
    if (!g->over)
        keeper_leave(&g->keeper);
}

void guest_end(struct guest *g)
{
    while (!guest_poll(g))
        keeper_wait(&g->keeper);
}
