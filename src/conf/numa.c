/* numa.c: options that are lists of numbers: the memory and the distances of nodes, and the reserve
 * ratios of zones.
 *
 *   numa.sizes     8G,8G          one per node, together phys.size, whole 4 MiB but for the last
 *   numa.weights   3,1            one per node
 *   numa.bandwidth 200000,50000   one per node
 *   numa.distance  20             or rows of a matrix:  10 21/21 10
 *
 * Source: ACPI 6.5, 5.2.17 (SLIT: 10 is local, others are above it); Linux mm/numa_memblks.c
 * (numa_set_distance: one byte, 10 exactly on the diagonal).
 */
#include "conf/conf_int.h"

#include <errno.h>
#include <string.h>

#define WORD     24
#define STEP     MIB(4) /* a block of the largest order lies in one node */
#define LOCAL    10
#define DIST_MAX 254 /* 255: unreachable */

const char *conf_list_word(const char *list, char *word, size_t size)
{
    list += strspn(list, " ,/");
    size_t len = strcspn(list, " ,/"), n = len < size ? len : size - 1;
    if (len == 0)
        return NULL;
    memcpy(word, list, n);
    word[n] = '\0';
    return list + len;
}

/* too_many refuses a list by its first number that has no place. */
static int too_many(const char *key, const char *word, unsigned max, char *err, size_t n)
{
    bool nodes = strncmp(key, "numa.", 5) == 0;
    return conf_refuse(err, n, "%s: `%s` is one number too many: there %s %u %s%s", key, word,
                       max == 1 ? "is" : "are", max, nodes ? "node" : "zone", max == 1 ? "" : "s");
}

/* read_list reads at most `max` numbers and stores how many there are; what is no number or comes
 * after the last is refused. */
static int read_list(const char *key, const char *list, bool size, uint64_t *v, unsigned max,
                     unsigned *ret_n, char *err, size_t err_size)
{
    char word[WORD];
    unsigned n = 0;
    for (; (list = conf_list_word(list, word, sizeof(word))) != NULL; n++)
        if (n == max)
            return too_many(key, word, max, err, err_size);
        else if (conf_parse_number(word, size, &v[n]) != 0)
            return conf_refuse(err, err_size, "%s: `%s` is no number", key, word);
    *ret_n = n;
    return 0;
}

static int even_sizes(const struct conf *c, struct conf_numa *numa, char *err, size_t n)
{
    uint64_t each = align_down(c->phys_size / numa->nodes, STEP);
    if (each == 0 && numa->nodes > 1)
        return conf_refuse(err, n, "numa.nodes: %u nodes are too many for phys.size = %llu bytes",
                           numa->nodes, (unsigned long long)c->phys_size);
    for (unsigned i = 0; i < numa->nodes; i++)
        numa->size[i] = each;
    numa->size[numa->nodes - 1] = c->phys_size - each * (numa->nodes - 1);
    return 0;
}

static int given_sizes(const struct conf *c, struct conf_numa *numa, char *err, size_t n)
{
    unsigned given = 0;
    int r = read_list("numa.sizes", c->numa_sizes, true, numa->size, numa->nodes, &given, err, n);
    if (r < 0)
        return r;
    if (given != numa->nodes)
        return conf_refuse(err, n, "numa.sizes: `%s` has %u sizes for numa.nodes = %u",
                           c->numa_sizes, given, numa->nodes);
    uint64_t sum = 0;
    for (unsigned i = 0; i < given; i++) {
        if (numa->size[i] == 0)
            return conf_refuse(err, n, "numa.sizes: `%s`: node %u would have no memory",
                               c->numa_sizes, i);
        if (i + 1 < given && numa->size[i] % STEP != 0)
            return conf_refuse(err, n, "numa.sizes: `%s`: node %u is not a whole number of 4 MiB",
                               c->numa_sizes, i);
        if (__builtin_add_overflow(sum, numa->size[i], &sum) || sum > c->phys_size)
            break;
    }
    if (sum != c->phys_size)
        return conf_refuse(err, n,
                           "numa.sizes: `%s`: the nodes do not add up to phys.size = %llu bytes",
                           c->numa_sizes, (unsigned long long)c->phys_size);
    return 0;
}

static int set_distance(struct conf_numa *numa, unsigned from, unsigned to, uint64_t d, char *err,
                        size_t n)
{
    if (from == to ? d != LOCAL : d <= LOCAL || d > DIST_MAX)
        return conf_refuse(err, n,
                           "numa.distance: %llu from node %u to node %u; a node is 10 from itself "
                           "and 11 to 254 from others",
                           (unsigned long long)d, from, to);
    numa->distance[from][to] = (uint8_t)d;
    return 0;
}

static int read_distances(const struct conf *c, struct conf_numa *numa, char *err, size_t n)
{
    uint64_t v[CONF_TEXT_MAX];
    unsigned given = 0, nodes = numa->nodes;
    int r = read_list("numa.distance", c->numa_distance, false, v, ARRAY_LEN(v), &given, err, n);
    if (r == 0 && given != 1 && given != nodes * nodes)
        return conf_refuse(err, n,
                           "numa.distance: `%s` has %u numbers; take one, or %u for %u nodes",
                           c->numa_distance, given, nodes * nodes, nodes);
    for (unsigned i = 0; i < nodes * nodes && r == 0; i++) {
        unsigned from = i / nodes, to = i % nodes;
        uint64_t one = from == to ? LOCAL : v[0];
        r = set_distance(numa, from, to, given == 1 ? one : v[i], err, n);
    }
    return r;
}

/* per_node reads one number per node from 1 to max, or none at all: v[] is then 0. */
static int per_node(const char *key, const char *list, unsigned nodes, uint64_t max,
                    uint64_t v[CONF_NODES_MAX], char *err, size_t n)
{
    unsigned given = 0;
    memset(v, 0, CONF_NODES_MAX * sizeof(*v));
    int r = read_list(key, list, false, v, nodes, &given, err, n);
    if (r == 0 && given != 0 && given != nodes)
        return conf_refuse(err, n, "%s: %u numbers for numa.nodes = %u", key, given, nodes);
    for (unsigned i = 0; i < given && r == 0; i++)
        if (v[i] == 0 || v[i] > max)
            r = conf_refuse(err, n, "%s: node %u has %llu; take 1 to %llu", key, i,
                            (unsigned long long)v[i], (unsigned long long)max);
    return r;
}

static int read_weights(const struct conf *c, struct conf_numa *numa, char *err, size_t n)
{
    uint64_t w[CONF_NODES_MAX], bw[CONF_NODES_MAX];
    int r = per_node("numa.weights", c->numa_weights, numa->nodes, UINT8_MAX, w, err, n);
    if (r == 0)
        r = per_node("numa.bandwidth", c->numa_bandwidth, numa->nodes, UINT32_MAX, bw, err, n);
    for (unsigned i = 0; i < numa->nodes && r == 0; i++) {
        numa->weight[i] = (uint8_t)w[i];
        numa->bandwidth[i] = (uint32_t)bw[i];
    }
    return r;
}

int conf_numa(const struct conf *c, struct conf_numa *ret, char *err, size_t err_size)
{
    memset(ret, 0, sizeof(*ret));
    ret->nodes = (unsigned)c->numa_nodes;
    int r =
        c->numa_sizes[0] ? given_sizes(c, ret, err, err_size) : even_sizes(c, ret, err, err_size);
    if (r == 0)
        r = read_distances(c, ret, err, err_size);
    return r == 0 ? read_weights(c, ret, err, err_size) : r;
}

int conf_reserve_ratios(const struct conf *c, uint64_t ret[5], char *err, size_t err_size)
{
    unsigned given = 0;
    memset(ret, 0, 5 * sizeof(*ret));
    return read_list("vm.lowmem_reserve_ratio", c->vm_lowmem_reserve_ratio, false, ret, 5, &given,
                     err, err_size);
}
