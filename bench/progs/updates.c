/* updates: read-modify-write of random 8-byte words of a table (HPCC RandomAccess): every update
 * misses the TLB, and its page-table entry misses the small caches.
 * usage: updates [MIB] [MILLIONS]   default 1024 MiB, 20 M updates: 40 M accesses. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    uint64_t words = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1024) << 17;
    uint64_t updates = (argc > 2 ? strtoull(argv[2], NULL, 10) : 20) * 1000000, x = 1;
    uint64_t *table = calloc(words, sizeof(*table));

    if (!table || words & (words - 1))
        return 1;
    for (uint64_t i = 0; i < updates; i++) {
        x = x << 1 ^ ((int64_t)x < 0 ? 7 : 0);
        table[(x * 0x9e3779b97f4a7c15u >> 20) & (words - 1)] ^= x;
    }
    printf("%llx\n", (unsigned long long)table[words / 2]);
    return 0;
}
