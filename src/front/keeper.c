/* keeper.c: a process between pagewalk and the guest that knows every process of the guest's tree.
 *
 *   pagewalk ──orders──► keeper ──► first process ─► its children …      keeper = subreaper of them all
 *            ◄──tells───        ◄── orphans come here, too
 *
 * pagewalk cannot wait for processes that are not its children, and cannot do anything once it is killed.
 * The keeper can: it waits for the first process and for every orphan, tells each end, and lives until
 * nothing is left. When pagewalk dies (the pipe of orders ends) it kills the whole tree.
 *
 * Invariants:
 *  I1  It exits with status 0 exactly when no process of the tree is left, or it was told to leave them.
 *      Any other end of it is somebody's kill -9: pagewalk, a subreaper as well, ends the tree then.
 *  I2  An end is told before the process is reaped, so its number is not used again before we know.
 *  I3  It holds no descriptor but its two pipes and its signals': nobody waits for it to close a file.
 *  I4  It blocks all signals, so that nothing but SIGKILL ends it, and what was sent to the group can be
 *      seen pending (witness.c). It has a name of its own, so that `pkill pagewalk` means pagewalk.
 *  I5  The first process dies with the keeper (PR_SET_PDEATHSIG).
 *
 * Source: prctl(2), waitid(2) WNOWAIT, signalfd(2).
 */
#include "front/front_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What pagewalk orders. Shorter than PIPE_BUF, so orders out of signal handlers never mix. */
struct order {
    enum { ORDER_SIGNAL, ORDER_LEAVE, ORDER_END } kind;
    int sig, code;      /* of a siginfo, for ORDER_SIGNAL */
    union sigval value; /* when it was queued with one */
};

/* -- in the keeper -------------------------------------------------------------------------------- */
enum { ORDERS = 0, TELLS = 1 }; /* its descriptors */

/* tell writes a word; when nobody reads any more, the end of the orders says so as well. */
static void tell(enum keeper_kind kind, pid_t pid, int status)
{
    const struct keeper_word w = {kind, pid, status};

    if (write(TELLS, &w, sizeof w) < 0)
        return;
}

/* reap_ended tells and reaps the children that are over; false when there is no child left (I1). */
static bool reap_ended(pid_t *first)
{
    siginfo_t info = {0};
    int status;

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        if (info.si_pid == 0)
            return true;
        status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0)
                                            : W_EXITCODE(0, info.si_status);
        tell(KEEPER_ENDED, info.si_pid, status); /* I2 */
        if (info.si_pid == *first)
            *first = 0;
        waitpid(info.si_pid, NULL, 0);
        info.si_pid = 0;
    }
    return errno == EINTR;
}

static _Noreturn void end_tree(void)
{
    const struct tree_spared none = {0};

    tree_kill(&none);
    tree_reap(&none);
    _exit(0);
}

static _Noreturn void leave_tree(void)
{
    tell(KEEPER_LEFT, 0, (int)tree_count());
    _exit(0);
}

static void obey(pid_t first)
{
    const struct tree_spared none = {0};
    struct order o;

    if (read(ORDERS, &o, sizeof o) != sizeof o)
        end_tree();
    if (o.kind == ORDER_LEAVE)
        leave_tree();
    if (o.kind == ORDER_END)
        tree_kill(&none); /* they are reaped like any other (I2) */
    if (o.kind == ORDER_SIGNAL && first > 0)
        witness_judge(o.sig, o.code, o.value, first);
}

static _Noreturn void keep(pid_t first)
{
    struct signalfd_siginfo child;
    sigset_t set;
    int signals;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    while (reap_ended(&first)) {
        struct pollfd p[2] = {{ORDERS, POLLIN, 0}, {signals, POLLIN, 0}};

        if (poll(p, 2, signals < 0 ? 10 : -1) < 0)
            continue;
        if (p[0].revents)
            obey(first);
        while (read(signals, &child, sizeof child) > 0)
            ;
    }
    _exit(0);
}

/* own_pipes makes the two pipes its only descriptors (I3). */
static bool own_pipes(int orders, int tells)
{
    int high = fcntl(tells, F_DUPFD, 2);

    return high >= 0 && dup2(orders, ORDERS) == ORDERS && dup2(high, TELLS) == TELLS &&
           close_range(2, ~0u, 0) == 0;
}

/* become_keeper never returns. What fails before the first process is there goes into the report, as
 * what fails in it does. */
static _Noreturn void become_keeper(const struct keeper *k, int orders, int tells, int report,
                                    keeper_first *run, void *arg)
{
    pid_t self = getpid(), first;

    close(k->orders);
    close(k->tells);
    prctl(PR_SET_NAME, "pw-keeper"); /* I4 */
    first = prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? fork() : -1;
    if (first == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* I5 */
        close(orders);
        close(tells);
        if (getppid() == self)
            run(arg, report);
        _exit(125);
    }
    if (first < 0 && write(report, &errno, sizeof errno) < 0)
        _exit(126);
    if (first < 0 || !own_pipes(orders, tells))
        _exit(125); /* with I5 */
    tell(KEEPER_STARTED, first, 0);
    keep(first);
}

/* -- in pagewalk ---------------------------------------------------------------------------------- */
static void close_all(const int *fd, int n)
{
    for (int i = 0; i < n; i++)
        close(fd[i]);
}

/* open_pipes makes orders, tells and the report; fd[2 * i] is the reading end. Orders go through a
 * socket, because writing to a pipe without reader sends SIGPIPE. */
static bool open_pipes(int fd[6])
{
    for (int i = 0; i < 3; i++)
        if ((i == 0 ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd)
                    : pipe2(fd + 2 * i, O_CLOEXEC)) != 0) {
            close_all(fd, 2 * i);
            return false;
        }
    return true;
}

/* wait_end waits for the keeper itself, which closes its end of the tells only by ending. */
static void wait_end(struct keeper *k)
{
    int status = 0;

    while (waitpid(k->pid, &status, 0) < 0 && errno == EINTR)
        ;
    k->lost = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    k->over = true;
}

int keeper_start(struct keeper *k, keeper_first *run, void *arg)
{
    int fd[6], failed = 0;
    struct keeper_word w;

    *k = (struct keeper){.pid = -1, .orders = -1, .tells = -1};
    if (!open_pipes(fd))
        return errno;
    k->orders = fd[1];
    k->tells = fd[2];
    k->pid = fork();
    if (k->pid == 0)
        become_keeper(k, fd[0], fd[3], fd[5], run, arg);
    if (k->pid < 0)
        failed = errno;
    close_all((int[]){fd[0], fd[3], fd[5]}, 3);
    if (k->pid > 0 && read(fd[4], &failed, sizeof failed) <= 0)
        failed = 0;
    close(fd[4]);
    if (!failed && read(k->tells, &w, sizeof w) == sizeof w && w.kind == KEEPER_STARTED) {
        k->first = w.pid;
        fcntl(k->tells, F_SETFL, O_NONBLOCK);
        return 0;
    }
    keeper_close(k);
    return failed ? failed : ECHILD;
}

bool keeper_read(struct keeper *k, struct keeper_word *ret)
{
    ssize_t n;

    if (k->over)
        return false;
    do
        n = read(k->tells, ret, sizeof *ret);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        wait_end(k);
    return n == sizeof *ret;
}

static void give_order(const struct keeper *k, struct order o)
{
    if (k->orders >= 0 && send(k->orders, &o, sizeof o, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; /* the keeper is gone; keeper_read sees that */
}

void keeper_signal(const struct keeper *k, int sig, const siginfo_t *info)
{
    give_order(k, (struct order){ORDER_SIGNAL, sig, info->si_code, info->si_value});
}
void keeper_leave(const struct keeper *k)
{
    give_order(k, (struct order){.kind = ORDER_LEAVE});
}
void keeper_end(const struct keeper *k)
{
    give_order(k, (struct order){.kind = ORDER_END});
}

void keeper_wait(const struct keeper *k)
{
    struct pollfd p = {k->tells, POLLIN, 0};

    if (!k->over)
        poll(&p, 1, -1);
}

void keeper_close(struct keeper *k)
{
    const int fd[2] = {k->orders, k->tells};

    k->orders = -1;
    if (fd[0] >= 0)
        close_all(fd, 2);
    if (k->pid > 0 && !k->over)
        wait_end(k);
    k->tells = -1;
}
