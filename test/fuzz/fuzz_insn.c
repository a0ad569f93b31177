/* fuzz_insn: the plugin's length of instructions. The input is code.
 *
 * A length is within what there is (prefixes have no end here: the processor refuses more than 15 bytes);
 * it depends on the bytes of the instruction alone; and one byte less is recognised as cut short. */
#include "../../plugin/qemu/insn.c"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t at = 0, left = size; left > 0;) {
        unsigned n = insn_length(data + at, (unsigned)left);
        if (n == 0)
            break;
        ASSERT(n <= left);
        ASSERT(insn_length(data + at, n) == n && insn_length(data + at, n - 1) == 0);
        ASSERT(insn_is_plain(data + at, (unsigned)left) == insn_is_plain(data + at, n));
        at += n;
        left -= n;
    }
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\x55\x48\x89\xe5\x48\x83\xec\x10\x8b\x45\xfc\xc9\xc3"),
    FUZZ_SEED(
        "\xf3\x48\xa5\x66\x0f\x6f\x05\x01\x02\x03\x04\xf0\x48\x0f\xb1\x0c\x25\x01\x02\x03\x04"),
    FUZZ_SEED("\xc5\xfd\x6f\x06\xc4\xe2\x7d\x18\x07\x62\xf1\xfe\x48\x6f\x06\x48\xb8\x01\x02\x03\x04"
              "\x05\x06\x07"
              "\x08"),
    FUZZ_SEED("\x0f\x05\xe8\x01\x02\x03\x04\xff\x25\x01\x02\x03\x04\xf7\x05\x01\x02\x03\x04\x05\x06"
              "\x07\x08"),
};
FUZZ_SEEDS(seeds)
