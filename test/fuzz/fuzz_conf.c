/* fuzz_conf: option values given as text. Byte 0: is it one assignment, or one in each line?
 *
 * A refused assignment changes nothing and says why in one line; one that is taken lies in its range,
 * and what conf_format prints of it is read as the same. */
#include "fuzz/fuzz.h"

#include "conf/conf.h"

#include <errno.h>

static void check_value(const struct conf *c, const struct conf_option *o)
{
    char text[CONF_TEXT_MAX], err[200];
    uint64_t v;
    struct conf again = *c;
    memcpy(&v, (const char *)c + o->offset, sizeof v);
    if (o->type == CONF_T_TEXT)
        ASSERT(memchr((const char *)c + o->offset, '\0', CONF_TEXT_MAX));
    else
        ASSERT(v >= o->min && v <= o->max);
    ASSERT(conf_set(&again, o->key, conf_format(c, o, text, sizeof text), err, sizeof err) == 0);
    ASSERT(memcmp(&again, c, sizeof again) == 0);
}

static void assign(struct conf *c, const char *text)
{
    struct conf before = *c;
    char err[200] = "", key[128] = "";
    int r = conf_assign(c, text, err, sizeof err);
    if (r != 0) {
        ASSERT(r == -EINVAL && memcmp(c, &before, sizeof before) == 0);
        fuzz_message(err);
        return;
    }
    memcpy(key, text, (size_t)(strchr(text, '=') - text));
    ASSERT(conf_find(key));
    check_value(c, conf_find(key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf c;
    char err[200] = "";
    if (size == 0)
        return 0;
    char *text = fuzz_text(data + 1, size - 1), *rest = text;
    conf_init(&c);
    if (data[0] & 1)
        assign(&c, text);
    for (char *line; !(data[0] & 1) && (line = strsep(&rest, "\n"));)
        assign(&c, line);
    if (conf_check(&c, err, sizeof err) != 0)
        fuzz_message(err);
    free(text);
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\0phys.size=16G\nphys.bits=46\ncpu.cores=4\n"),
    FUZZ_SEED("\1phys.size=0x40000000"),
    FUZZ_SEED("\1phys.size=18446744073709551615T"),
    FUZZ_SEED("\0tlb.l2.entries=1536\ntlb.l2.ways=12\ntlb.l2.policy=mru3\ntlb.l2.sizes=4k+2m"),
    FUZZ_SEED("\0cache.l1d.size=48K\ncache.l1d.ways=12\ncache.l3.kind=victim"),
    FUZZ_SEED("\0numa.nodes=2\nnuma.sizes=8G,8G\nnuma.distance=10 21/21 10\nnuma.weights=3,1"),
    FUZZ_SEED("\1vm.lowmem_reserve_ratio=256 256 32 0 0"),
    FUZZ_SEED("\1machine.name=a\x7f"),
    FUZZ_SEED(
        "\0vm.percpu_pagelist_high_fraction=7\nhugetlb.2m=12\nhugetlb.1g=1\nthp.enabled=always"),
};
FUZZ_SEEDS(seeds)
