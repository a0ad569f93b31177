/* fuzz_binfmt: the head of a file that is executed: "#!" lines and ELF headers. The input is the head.
 *
 * What is found lies in the head and is what it is said to be. */
#include "event/binfmt.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *head = calloc(1, BINFMT_HEAD); /* of its own, for what is beyond it to be noticed */
    struct binfmt_script s = {0};
    ASSERT(head);
    memcpy(head, data, min_u64(size, BINFMT_HEAD));
    enum binfmt is = binfmt_look(head, &s);
    ASSERT(is <= BINFMT_FOREIGN);
    if (is == BINFMT_SCRIPT) {
        ASSERT(head[0] == '#' && head[1] == '!');
        ASSERT(s.interp >= 2 && s.interp < s.interp_end && s.interp_end <= BINFMT_HEAD);
        ASSERT(!memchr(head + s.interp, '\n', s.interp_end - s.interp));
        ASSERT(!memchr(head + s.interp, ' ', s.interp_end - s.interp));
        ASSERT(s.arg == 0 ||
               (s.arg > s.interp_end && s.arg <= s.arg_end && s.arg_end < BINFMT_HEAD));
    } else {
        ASSERT(s.interp == 0 && s.arg_end == 0);
    }
    free(head);
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("#!/bin/sh\necho"),
    FUZZ_SEED("#! \t/usr/bin/env  -S python3 -u \t\n"),
    FUZZ_SEED("#!/bin/sh\0-x\n"),
    FUZZ_SEED("#!            "),
    FUZZ_SEED(
        "\x7f\x45LF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\x3e\0\1\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\x0d\0"),
};
FUZZ_SEEDS(seeds)
