/* fuzz_numa: the options that are lists of numbers. Byte 0: nodes; byte 1: memory; then lines: sizes,
 * distances, weights, bandwidths, reserve ratios.
 *
 * What is understood is a machine: nodes add up to the memory, distances are ACPI's. */
#include "fuzz/fuzz.h"

#include "conf/conf.h"

#include <errno.h>

static void check_nodes(const struct conf *c, const struct conf_numa *numa)
{
    uint64_t sum = 0;
    ASSERT(numa->nodes >= 1 && numa->nodes <= CONF_NODES_MAX && numa->nodes == c->numa_nodes);
    for (unsigned i = 0; i < numa->nodes; i++) {
        ASSERT(numa->size[i] > 0);
        ASSERT(i + 1 == numa->nodes || numa->size[i] % MIB(4) == 0);
        sum += numa->size[i];
        for (unsigned k = 0; k < numa->nodes; k++)
            ASSERT(i == k ? numa->distance[i][k] == 10
                          : numa->distance[i][k] > 10 && numa->distance[i][k] < 255);
    }
    ASSERT(sum == c->phys_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"numa.sizes", "numa.distance", "numa.weights",
                                       "numa.bandwidth", "vm.lowmem_reserve_ratio"};
    struct conf c;
    struct conf_numa numa;
    uint64_t ratios[5];
    char err[300] = "", *line;
    if (size < 2)
        return 0;
    conf_init(&c);
    c.numa_nodes = 1 + data[0] % CONF_NODES_MAX;
    c.phys_size = MIB(1) << data[1] % 21;
    char *text = fuzz_text(data + 2, size - 2), *rest = text;
    for (unsigned i = 0; i < ARRAY_LEN(keys) && (line = strsep(&rest, "\n")); i++)
        if (conf_set(&c, keys[i], line, err, sizeof err) != 0)
            fuzz_message(err);
    int r = conf_numa(&c, &numa, err, sizeof err);
    ASSERT(r == 0 || r == -EINVAL);
    if (r != 0)
        fuzz_message(err);
    else
        check_nodes(&c, &numa);
    if (conf_reserve_ratios(&c, ratios, err, sizeof err) != 0)
        fuzz_message(err);
    free(text);
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\1\16"
              "8G,8G\n10 21/21 10\n3,1\n200000,50000\n256 256 32 0 0"),
    FUZZ_SEED("\3\12\n20\n1,2,3,4\n"),
    FUZZ_SEED("\77\24\n254"),
    FUZZ_SEED("\1\4"
              "4M, 12M\n10 11 12 10\n0,256\n4294967296,1"),
    FUZZ_SEED("\2\12"
              "0x10000000/256M/512M\n10,20,30,20,10,20,30,20,10"),
    FUZZ_SEED("\1\12"
              "18446744073709551615,1\n18446744073709551616"),
};
FUZZ_SEEDS(seeds)
