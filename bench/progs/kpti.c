/* kpti.c: system calls at a rate, over a working set: what page-table isolation costs.
 *   kpti CALLS LOADS BYTES: CALLS times LOADS loads at random lines of BYTES, then lseek. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    unsigned long calls = strtoul(argv[1], NULL, 0), loads = strtoul(argv[2], NULL, 0);
    size_t bytes = strtoul(argv[3], NULL, 0);
    char *p = mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    int fd = open("/dev/zero", O_RDONLY);
    uint64_t x = 88172645463325252u, sum = 0;
    for (unsigned long c = 0; c < calls; c++) {
        for (unsigned long l = 0; l < loads; l++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            sum += *(volatile uint64_t *)(p + x % (bytes / 64 + 1) * 64);
        }
        syscall(SYS_lseek, fd, 0, SEEK_SET);
    }
    printf("%lu\n", (unsigned long)(sum & 1));
    return 0;
}
