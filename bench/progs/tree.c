/* tree: builds a binary search tree of N random keys, then looks up as many. Nearly every step is
 * a load from a line nobody touched lately: dependent misses in caches and TLB.
 * usage: tree [N]   default 1,000,000 nodes of 32 bytes, about 54 M accesses. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
    uint64_t key;
    struct node *side[2];
    uint64_t hits;
};

static uint64_t next(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return *x >> 16;
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, x = 1, found = 0;
    struct node *pool = calloc(n, sizeof(*pool)), *top = NULL;

    if (!pool)
        return 1;
    for (uint64_t i = 0; i < n; i++) {
        struct node **at = &top;
        pool[i].key = next(&x);
        while (*at)
            at = &(*at)->side[pool[i].key > (*at)->key];
        *at = &pool[i];
    }
    x = 1;
    for (uint64_t i = 0; i < n / 10; i++) {
        uint64_t key = next(&x);
        struct node *at = top;
        while (at && at->key != key)
            at = at->side[key > at->key];
        if (at)
            found += ++at->hits;
    }
    printf("%llu\n", (unsigned long long)found);
    return 0;
}
