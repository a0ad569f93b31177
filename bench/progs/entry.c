/* entry.c: entries into the kernel, N of one kind, and what one took in ns.
 *   entry enosys|getppid|read|fault|zero|pipe|turns N
 * pipe: a byte through a pipe and back through another, in one process; turns: the same with a child that
 * sends it back, on the same CPU: two context switches more. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* pass sends a byte and waits for one. */
static void pass(int to, int from)
{
    char b = 0;
    if (write(to, &b, 1) != 1 || read(from, &b, 1) != 1)
        _exit(1);
}

/* turns: n times there and back; alone it does both halves itself. */
static void turns(unsigned long n, int alone)
{
    int there[2], back[2];
    pid_t child;
    if (pipe(there) != 0 || pipe(back) != 0)
        _exit(1);
    child = alone ? 1 : fork();
    for (unsigned long i = 0; i < n; i++)
        if (alone) {
            pass(there[1], there[0]);
            pass(back[1], back[0]);
        } else if (child != 0) {
            pass(there[1], back[0]);
        } else {
            char b;
            if (read(there[0], &b, 1) != 1 || write(back[1], &b, 1) != 1)
                _exit(1);
        }
    if (child == 0)
        _exit(0);
    if (!alone)
        waitpid(child, NULL, 0);
}

static void stay_on_one_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    unsigned long n = strtoul(argv[2], NULL, 0);
    const char *mode = argv[1];
    char b[8];
    int fd = open("/dev/zero", O_RDONLY);
    char *p =
        mmap(NULL, (n + 1) * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || fd < 0)
        return 1;
    madvise(p, (n + 1) * 4096, MADV_NOHUGEPAGE);
    uint64_t sum = 0;
    stay_on_one_cpu();
    double from = now();
    if (!strcmp(mode, "enosys"))
        for (unsigned long i = 0; i < n; i++)
            syscall(1023);
    else if (!strcmp(mode, "getppid"))
        for (unsigned long i = 0; i < n; i++)
            syscall(SYS_getppid);
    else if (!strcmp(mode, "read"))
        for (unsigned long i = 0; i < n; i++)
            syscall(SYS_read, fd, b, 1);
    else if (!strcmp(mode, "fault"))
        for (unsigned long i = 0; i < n; i++)
            p[i * 4096] = 1;
    else if (!strcmp(mode, "zero"))
        for (unsigned long i = 0; i < n; i++)
            sum += (unsigned char)*(volatile char *)(p + i * 4096);
    else if (!strcmp(mode, "pipe") || !strcmp(mode, "turns"))
        turns(n, mode[0] == 'p');
    else
        return 2;
    double each = n ? (now() - from) / (double)n : 0;
    printf("%.1f\n", each + (double)(sum & 1));
    return 0;
}
