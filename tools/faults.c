/* faults: how many page faults the real kernel counts for a program, from its exec on.
 *
 *   faults [-n RUNS] [-i FILE] [-o FILE] [-r] [-v] [--] PROGRAM ARGUMENTS
 *
 *   parent ── clone(VM|VFORK) ── child: dup2, getrusage ── execve ── … program … ── exit
 *      │                                     │ F0                                     │
 *      └── waitid(WNOWAIT) ◄── zombie: /proc/PID/stat minflt, majflt = F1 ◄───────────┘
 *
 * The child borrows this process's memory until execve, so it has no copy-on-write faults of its
 * own; F0 is what it had all the same, and F1 - F0 is printed. The kernel charges the pages that
 * execve fills with arguments and environment to the same task, so they are part of the count,
 * as is everything the kernel touches on the program's behalf. A waited-for child of the program
 * is not: wait4's rusage adds those in, /proc/PID/stat keeps them apart (fields cminflt, cmajflt).
 * ADDR_NO_RANDOMIZE is set as by `setarch -R` (-r leaves it out); one unmeasured run warms the
 * page cache. Standard input is FILE or /dev/null, output goes to FILE or /dev/null.
 *
 * I1 every RUNS runs had the same exit status, else the count means nothing and faults says so.
 *
 * Source: proc_pid_stat(5); fs/proc/array.c do_task_stat, mm/memory.c mm_account_fault (Linux 6.18).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { RUNS_MAX = 999, STACK_BYTES = 64 * 1024, EXIT_OWN_FAILURE = 125 };

/* What one run of the program is, and what came of it. Shared with the child until execve. */
struct run {
    char **argv;          /* the program's arguments, argv[0] as the user wrote it */
    char path[4096];      /* argv[0] after the search through PATH */
    int in_fd, out_fd;    /* the program's standard input and output */
    const char *in_name;  /* opened anew for each run, so that each reads from the start */
    const char *out_name; /* truncated for each run */
    long minor_before;    /* F0: the child's own minor faults before execve */
    long major_before;    /* F0: the same for major faults */
    int exec_error;       /* errno of a failed execve, 0 when the program ran */
    long minor, major;    /* F1 - F0 */
    int status;           /* 0..255, or 128 + signal */
};

static char child_stack[STACK_BYTES] __attribute__((aligned(16)));

static int fail(const char *what, const char *name)
{
    fprintf(stderr, "faults: %s %s: %s\n", what, name, strerror(errno));
    exit(EXIT_OWN_FAILURE);
}

/* Runs in this process's memory: nothing here may touch a page for the first time. */
static int child_main(void *arg)
{
    struct run *run = arg;
    struct rusage usage;

    if (dup2(run->in_fd, 0) < 0 || dup2(run->out_fd, 1) < 0)
        _exit(EXIT_OWN_FAILURE);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        run->minor_before = usage.ru_minflt;
        run->major_before = usage.ru_majflt;
    }
    execve(run->path, run->argv, environ);
    run->exec_error = errno;
    _exit(EXIT_OWN_FAILURE);
}

/* The counters of the zombie `pid` alone. Fields are counted after the name's closing parenthesis,
 * because a program may be named "a) b". */
static void read_stat(pid_t pid, long *ret_minor, long *ret_major)
{
    char name[64], text[1024];
    long minor, major;
    ssize_t size;
    int fd;

    snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size <= 0)
        fail("cannot read", name);
    close(fd);
    text[size] = '\0';
    char *after = strrchr(text, ')');
    if (!after ||
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %ld %*d %ld", &minor, &major) != 2) {
        errno = EPROTO;
        fail("cannot understand", name);
    }
    *ret_minor = minor;
    *ret_major = major;
}

static void open_streams(struct run *run)
{
    run->in_fd = open(run->in_name, O_RDONLY | O_CLOEXEC);
    if (run->in_fd < 0)
        fail("cannot open", run->in_name);
    run->out_fd = open(run->out_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (run->out_fd < 0)
        fail("cannot write", run->out_name);
}

static void run_once(struct run *run)
{
    siginfo_t info;
    long minor, major;

    open_streams(run);
    run->exec_error = 0;
    memset(child_stack, 0,
           sizeof(child_stack)); /* present before the child's stack grows into it */
    pid_t pid = clone(child_main, child_stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, run);
    if (pid < 0)
        fail("cannot start", run->path);
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
        fail("cannot wait for", run->path);
    read_stat(pid, &minor, &major);
    waitpid(pid, NULL, 0);
    close(run->in_fd);
    close(run->out_fd);
    if (run->exec_error) {
        errno = run->exec_error;
        fail("cannot execute", run->path);
    }
    run->minor = minor - run->minor_before;
    run->major = major - run->major_before;
    run->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return (x > y) - (x < y);
}

static void print_row(const char *name, long *count, int runs)
{
    qsort(count, (size_t)runs, sizeof(*count), by_value);
    printf("%s median %ld min %ld max %ld\n", name, count[runs / 2], count[0], count[runs - 1]);
}

/* PATH is searched here, so that execve gets the same file name the shell would have given it. */
static void find_program(struct run *run)
{
    const char *name = run->argv[0], *dirs = getenv("PATH");

    if (strchr(name, '/') || !dirs) {
        snprintf(run->path, sizeof(run->path), "%s", name);
        return;
    }
    while (*dirs) {
        int length = (int)strcspn(dirs, ":");
        snprintf(run->path, sizeof(run->path), "%.*s/%s", length, dirs, name);
        if (access(run->path, X_OK) == 0)
            return;
        dirs += length + (dirs[length] == ':');
    }
    errno = ENOENT;
    fail("cannot find", name);
}

static int usage(void)
{
    fputs("usage: faults [-n RUNS] [-i FILE] [-o FILE] [-r] [-v] [--] PROGRAM ARGUMENTS\n"
          "  -n RUNS  measured runs, odd, 1..999 (9); one more comes first and is not counted\n"
          "  -i FILE  standard input (/dev/null)    -o FILE  standard output (/dev/null)\n"
          "  -r       leave address randomisation on    -v  print every run\n",
          stderr);
    return EXIT_OWN_FAILURE;
}

static void randomise_off(void)
{
    int persona = personality(0xffffffff);

    if (persona < 0 || personality((unsigned long)persona | ADDR_NO_RANDOMIZE) < 0)
        fail("cannot set", "personality");
}

/* Returns the programs' common exit status. */
static int measure(struct run *run, int runs, bool verbose)
{
    static long minor[RUNS_MAX], major[RUNS_MAX];
    int status;

    run_once(run);
    status = run->status;
    for (int i = 0; i < runs; i++) {
        run_once(run);
        if (run->status != status) { /* I1 */
            fprintf(stderr, "faults: exit status %d, before it was %d\n", run->status, status);
            return EXIT_OWN_FAILURE;
        }
        minor[i] = run->minor;
        major[i] = run->major;
        if (verbose)
            printf("run %d minor %ld major %ld before %ld\n", i + 1, minor[i], major[i],
                   run->minor_before);
    }
    print_row("minor", minor, runs);
    print_row("major", major, runs);
    printf("status %d\n", status);
    return 0;
}

int main(int argc, char **argv)
{
    static struct run run = {.in_name = "/dev/null", .out_name = "/dev/null"};
    bool verbose = false, randomise = false;
    int option, runs = 9;

    while ((option = getopt(argc, argv, "+n:i:o:rv")) != -1) {
        switch (option) {
        case 'n':
            runs = atoi(optarg);
            break;
        case 'i':
            run.in_name = optarg;
            break;
        case 'o':
            run.out_name = optarg;
            break;
        case 'r':
            randomise = true;
            break;
        case 'v':
            verbose = true;
            break;
        default:
            return usage();
        }
    }
    if (optind == argc || runs < 1 || runs > RUNS_MAX || runs % 2 == 0)
        return usage();
    run.argv = argv + optind;
    find_program(&run);
    if (!randomise)
        randomise_off();
    return measure(&run, runs, verbose);
}
