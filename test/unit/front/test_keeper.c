/* links: front base */
/* The keeper of a tree of processes: what ends is told, what lives on is waited for, and nothing outlives
 * pagewalk. Here plain processes stand for QEMU.
 *
 * Each process of a tree inherits the writing end of a pipe and never writes: end of file there says that
 * the last of them is gone, whatever their numbers were. */
#include "front/front_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define WATCHDOG 30 /* seconds: a test that hangs fails */

static int alive[2]; /* the pipe that lives as long as the tree */
static int ready[2]; /* processes of the tree say that they are there */

static int set_up(void **state)
{
    (void)state;
    alarm(WATCHDOG);
    return pipe2(alive, O_CLOEXEC) != 0 || pipe2(ready, O_CLOEXEC) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        close(alive[i]);
        close(ready[i]);
    }
    alarm(0);
    return 0;
}

/* -- trees ---------------------------------------------------------------------------------------- */
static void say_ready(void)
{
    if (write(ready[1], "x", 1) != 1)
        _exit(99);
}

/* await_ready waits until n processes have said so. */
static void await_ready(unsigned n)
{
    char c;

    while (n--)
        assert_int_equal(read(ready[0], &c, 1), 1);
}

/* sleep_for_ever; a bounded ever, so that a failed test leaves nothing for long. */
static _Noreturn void sleep_for_ever(void)
{
    sigset_t none;

    say_ready();
    alarm(WATCHDOG);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (;;)
        pause();
}

static void nap(long ns)
{
    nanosleep(&(struct timespec){0, ns}, NULL);
}

/* daemon_of forks twice and takes a session of its own, as daemons do. */
static void daemon_of(void (*body)(void))
{
    pid_t child = fork();

    if (child == 0) {
        setsid();
        if (fork() == 0)
            body();
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void exit_with_5(void *arg, int report)
{
    (void)arg, (void)report;
    _exit(5);
}

static void die_of_a_signal(void *arg, int report)
{
    (void)arg, (void)report;
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void short_daemon(void)
{
    nap(100000000);
    _exit(7);
}

static void leave_a_daemon(void *arg, int report)
{
    (void)arg, (void)report;
    daemon_of(short_daemon);
    _exit(3);
}

static void stopped_child(void)
{
    say_ready();
    raise(SIGSTOP);
    sleep_for_ever();
}

/* many: children, grandchildren, a daemon, a stopped one, one that ignores all it can. */
#define MANY 6
static void many(void *arg, int report)
{
    (void)arg;
    close(report);
    if (fork() == 0)
        sleep_for_ever();
    if (fork() == 0) {
        if (fork() == 0)
            sleep_for_ever();
        sleep_for_ever();
    }
    daemon_of(sleep_for_ever);
    if (fork() == 0)
        stopped_child();
    sleep_for_ever();
}

/* fail_to_start: as when QEMU is not there. */
static void fail_to_start(void *arg, int report)
{
    int e = ENOEXEC;

    (void)arg;
    if (write(report, &e, sizeof e) < 0)
        _exit(1);
}

/* -- the keeper ----------------------------------------------------------------------------------- */
static int start(struct keeper *k, keeper_first *run)
{
    sigset_t all, mask;
    int failed;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    failed = keeper_start(k, run, NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return failed;
}

/* next returns the next word; its kind is KEEPER_STARTED when there is none any more. */
static struct keeper_word next(struct keeper *k)
{
    struct keeper_word w = {KEEPER_STARTED, 0, 0};

    while (!keeper_read(k, &w) && !k->over)
        keeper_wait(k);
    return w;
}

/* assert_nobody_lives: no process holds the pipe but us. */
static void assert_nobody_lives(void)
{
    char c;

    close(alive[1]);
    alive[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_int_equal(read(alive[0], &c, 1), 0);
}

static void the_end_of_the_first_process_is_told(void **state)
{
    struct keeper k;
    struct keeper_word w;

    (void)state;
    assert_int_equal(start(&k, exit_with_5), 0);
    w = next(&k);
    assert_int_equal(w.kind, KEEPER_ENDED);
    assert_int_equal(w.pid, k.first);
    assert_true(WIFEXITED(w.status) && WEXITSTATUS(w.status) == 5);
    assert_int_equal(next(&k).kind, KEEPER_STARTED);
    assert_true(k.over && !k.lost);
    keeper_close(&k);
    assert_nobody_lives();
}

static void the_signal_that_ended_it_is_told(void **state)
{
    struct keeper k;
    struct keeper_word w;

    (void)state;
    assert_int_equal(start(&k, die_of_a_signal), 0);
    w = next(&k);
    assert_int_equal(w.kind, KEEPER_ENDED);
    assert_true(WIFSIGNALED(w.status) && WTERMSIG(w.status) == SIGTERM);
    next(&k);
    assert_true(k.over && !k.lost);
    keeper_close(&k);
}

static void a_daemon_that_outlives_its_parents_is_waited_for(void **state)
{
    struct keeper k;
    struct keeper_word w;

    (void)state;
    assert_int_equal(start(&k, leave_a_daemon), 0);
    w = next(&k);
    assert_true(w.pid == k.first && WEXITSTATUS(w.status) == 3);
    w = next(&k);
    assert_true(w.kind == KEEPER_ENDED && w.pid != k.first && WEXITSTATUS(w.status) == 7);
    next(&k);
    assert_true(k.over && !k.lost);
    keeper_close(&k);
    assert_nobody_lives();
}

static void what_cannot_start_gives_its_errno(void **state)
{
    struct keeper k;

    (void)state;
    assert_int_equal(start(&k, fail_to_start), ENOEXEC);
    assert_nobody_lives();
    assert_int_equal(waitpid(-1, NULL, 0), -1); /* no child of ours is left, not even a zombie */
}

static void an_order_ends_all_of_them(void **state)
{
    struct keeper k;
    unsigned ended = 0;

    (void)state;
    assert_int_equal(start(&k, many), 0);
    await_ready(MANY);
    keeper_end(&k);
    while (next(&k).kind == KEEPER_ENDED)
        ended++;
    assert_int_equal(ended, MANY); /* every one an orphan by now */
    assert_true(k.over && !k.lost);
    keeper_close(&k);
    assert_nobody_lives();
}

static void an_order_leaves_them_alone(void **state)
{
    struct keeper k;
    struct keeper_word w;
    const struct tree_spared none = {0};
    struct pollfd p = {alive[0], 0, 0};

    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* here they come to us */
    assert_int_equal(start(&k, many), 0);
    await_ready(MANY);
    keeper_leave(&k);
    w = next(&k);
    assert_int_equal(w.kind, KEEPER_LEFT);
    assert_int_equal(w.status, MANY);
    next(&k);
    assert_true(k.over && !k.lost);
    keeper_close(&k);
    close(alive[1]);
    alive[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    /* All but the first process live: that one dies with the keeper. */
    assert_true(poll(&p, 1, 50) == 0 && tree_count() >= MANY - 1);
    tree_kill(&none);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    assert_nobody_lives();
}

/* -- somebody is killed --------------------------------------------------------------------------- */

/* play_pagewalk starts a tree and waits to be killed. */
static pid_t play_pagewalk(keeper_first *run)
{
    pid_t pid = fork();
    struct keeper k;

    if (pid != 0)
        return pid;
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL); /* a sanitizer has handlers */
    if (start(&k, run) != 0)
        _exit(1);
    for (;;)
        pause();
}

static void nothing_outlives_pagewalk(void **state)
{
    static const int signals[] = {SIGKILL, SIGTERM, SIGSEGV, SIGINT};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        pid_t pid = play_pagewalk(many);
        int status;

        await_ready(MANY);
        kill(pid, signals[i]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_nobody_lives();
        close(alive[0]);
        close(alive[1]);
        assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
    }
}

static void pagewalk_ends_the_tree_when_the_keeper_is_killed(void **state)
{
    const struct tree_spared none = {0};
    struct keeper k;

    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_int_equal(start(&k, many), 0);
    await_ready(MANY);
    kill(k.pid, SIGKILL);
    assert_int_equal(next(&k).kind, KEEPER_STARTED);
    assert_true(k.over && k.lost);
    tree_kill(&none);
    keeper_close(&k);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    assert_nobody_lives();
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void children_that_were_there_before_are_spared(void **state)
{
    struct tree_spared spared;
    pid_t old = fork();
    pid_t young;

    (void)state;
    if (old == 0)
        sleep_for_ever();
    await_ready(1);
    assert_true(tree_children(&spared));
    assert_int_equal(spared.n, 1);
    assert_int_equal(spared.pid[0], old);
    young = fork();
    if (young == 0)
        sleep_for_ever();
    await_ready(1);
    tree_kill(&spared);
    assert_int_equal(waitpid(young, NULL, 0), young);
    assert_int_equal(kill(old, 0), 0);
    assert_int_equal(waitpid(old, NULL, WNOHANG), 0);
    kill(old, SIGKILL);
    waitpid(old, NULL, 0);
}

static void orders_to_a_dead_keeper_do_nothing(void **state)
{
    const siginfo_t info = {.si_code = SI_USER};
    struct keeper k;

    (void)state;
    assert_int_equal(start(&k, exit_with_5), 0);
    while (next(&k).kind == KEEPER_ENDED)
        ;
    keeper_signal(&k, SIGTERM, &info); /* no SIGPIPE either */
    keeper_end(&k);
    keeper_leave(&k);
    keeper_close(&k);
}

/* -- fork bombs ----------------------------------------------------------------------------------- */
#define BOMB_UID  64987 /* nobody's */
#define BOMB_MOST 60

/* bomb: every process of it forks for ever; the limit on the processes of its user is all that stops it. */
static void bomb(void *arg, int report)
{
    const struct rlimit most = {BOMB_MOST, BOMB_MOST};

    (void)arg;
    close(report);
    if (setrlimit(RLIMIT_NPROC, &most) != 0 || setresuid(BOMB_UID, BOMB_UID, BOMB_UID) != 0)
        _exit(1);
    say_ready();
    for (;;) {
        if (fork() >= 0)
            continue;
        nap(100000);
    }
}

static void a_fork_bomb_ends_with_pagewalk(void **state)
{
    pid_t pid;

    (void)state;
    if (getuid() != 0) {
        print_message("skipped: the bomb takes a user of its own, so root\n");
        skip();
    }
    pid = play_pagewalk(bomb);
    await_ready(1);
    nap(100000000); /* let it grow to its limit */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_nobody_lives();
}

static void a_fork_bomb_ends_by_order(void **state)
{
    unsigned ended = 0;
    struct keeper k;

    (void)state;
    if (getuid() != 0) {
        print_message("skipped: the bomb takes a user of its own, so root\n");
        skip();
    }
    assert_int_equal(start(&k, bomb), 0);
    await_ready(1);
    nap(100000000);
    keeper_end(&k);
    while (next(&k).kind == KEEPER_ENDED)
        ended++;
    assert_in_range(ended, 2, BOMB_MOST);
    assert_true(k.over && !k.lost);
    keeper_close(&k);
    assert_nobody_lives();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_end_of_the_first_process_is_told),
        TEST(the_signal_that_ended_it_is_told),
        TEST(a_daemon_that_outlives_its_parents_is_waited_for),
        TEST(what_cannot_start_gives_its_errno),
        TEST(an_order_ends_all_of_them),
        TEST(an_order_leaves_them_alone),
        TEST(nothing_outlives_pagewalk),
        TEST(pagewalk_ends_the_tree_when_the_keeper_is_killed),
        TEST(children_that_were_there_before_are_spared),
        TEST(orders_to_a_dead_keeper_do_nothing),
        TEST(a_fork_bomb_ends_with_pagewalk),
        TEST(a_fork_bomb_ends_by_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
