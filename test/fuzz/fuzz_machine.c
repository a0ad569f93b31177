/* fuzz_machine: machine files. A bad file leaves the conf alone and the message says file and line; a good
 * one, written out again with conf_format, is read as the same machine. */
#include "fuzz/fuzz.h"

#include "conf/conf.h"

#include <stdio.h>

/* format_all writes every option into buf as a machine file. */
static size_t format_all(const struct conf *c, char *buf, size_t size)
{
    size_t n, at = 0;
    const struct conf_option *o = conf_options(&n);
    for (size_t i = 0; i < n; i++) {
        char value[CONF_TEXT_MAX];
        at += (size_t)snprintf(buf + at, size - at, "%s = %s\n", o[i].key,
                               conf_format(c, &o[i], value, sizeof value));
        ASSERT(at < size);
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[1 << 16];
    struct conf c, before, again;
    char err[400] = "";
    conf_init(&c);
    conf_init(&again);
    before = c;
    const char *path = fuzz_file(data, size);
    if (conf_load(&c, path, err, sizeof err) != 0) {
        ASSERT(memcmp(&c, &before, sizeof c) == 0);
        fuzz_message(err);
        ASSERT(strncmp(err, path, strlen(path)) == 0 && err[strlen(path)] == ':');
        return 0;
    }
    path = fuzz_file((uint8_t *)text, format_all(&c, text, sizeof text));
    ASSERT(conf_load(&again, path, err, sizeof err) == 0);
    ASSERT(memcmp(&again, &c, sizeof c) == 0);
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("# a machine\n[memory]\nphys.size = 16G ; DDR4\n\nphys.bits = 46\r\n"),
    FUZZ_SEED("tlb.l2.entries = 1536\ntlb.l2.ways= 12\ntlb.l2.sizes =4k+2m\n"),
    FUZZ_SEED("machine.name = \"a;b #c\n"),
    FUZZ_SEED("\xef\xbb\xbfnuma.nodes: 2\nnuma.sizes = 8G,8G\n"),
    FUZZ_SEED("phys.size = 1\n  2\n"),
    FUZZ_SEED("phys.size\0 = 1\n"),
    FUZZ_SEED("[open\nphys.size 1G\n= 7"),
};
FUZZ_SEEDS(seeds)
