/* global_shmem.c: huge pages of shared memory that faults make.
 *
 * For every word of /sys/kernel/mm/transparent_hugepage/shmem_enabled: sets it, and lets test_thp_kernel
 * compare its sequences of a memfd with a model that has the same thp.shmem_enabled. The setting is
 * restored on any exit. Run by make check-kernel-global, under its lock.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTING "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static char was[64];
static pid_t owner;

static bool put(const char *text)
{
    int fd = open(SETTING, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

static void restore(void)
{
    if (getpid() == owner && was[0])
        put(was);
}

static void on_signal(int sig)
{
    restore();
    _exit(128 + sig);
}

/* take remembers the word in brackets. */
static bool take(void)
{
    char text[128] = "";
    int fd = open(SETTING, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    const char *from = strchr(text, '['), *to = strchr(text, ']');
    if (n <= 0 || !from || !to)
        return false;
    snprintf(was, sizeof(was), "%.*s", (int)(to - from - 1), from + 1);
    return put(was);
}

/* compare runs the comparison, which lies beside this program's directory. */
static bool compare(const char *self, const char *word)
{
    char path[512];
    int status = 1;
    const char *slash = strrchr(self, '/');
    snprintf(path, sizeof(path), "%.*s/../diff/test_thp_kernel", slash ? (int)(slash - self) : 1,
             slash ? self : ".");
    pid_t pid = fork();
    if (pid == 0) {
        setenv("PW_SHMEM_ENABLED", word, 1);
        execl(path, path, (char *)NULL);
        perror(path);
        _exit(1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"always", "within_size", "advise", "force", "deny"};
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGABRT, SIGSEGV, SIGBUS};
    unsigned bad = 0;
    int lock = open("/var/tmp/pagewalk-global.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (argc < 1 || lock < 0 || flock(lock, LOCK_EX) != 0)
        return 1;
    owner = getpid();
    atexit(restore);
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        signal(ends[i], on_signal);
    if (geteuid() != 0 || !take()) {
        printf("skipped: %s cannot be set\n", SETTING);
        return 0;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        bool same = put(words[i]) && compare(argv[0], words[i]);
        printf("shmem_enabled=%s: %s\n", words[i], same ? "the same" : "different");
        bad += !same;
    }
    return bad != 0;
}
