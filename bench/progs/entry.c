/* entry.c: entries into the kernel, N of one kind, and what one took in ns.
 *   entry enosys|getppid|read|fault|zero N */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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
    else
        return 2;
    double each = n ? (now() - from) / (double)n : 0;
    printf("%.1f\n", each + (double)(sum & 1));
    return 0;
}
