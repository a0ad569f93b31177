/* fuzz_event: streams of words and their checker. Byte 0: where the stream is cut in two; then words.
 *
 * The checker says the same of a stream in one piece and in two, and takes only whole records. */
#include "fuzz/fuzz.h"

#include "event/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t insns[4] = {1, 3, 0, 511};
    struct event_check whole = {0}, parts = {0};
    uint64_t words[FUZZ_MAX / 8];
    size_t n = size ? min_u64((size - 1) / 8, ARRAY_LEN(words)) : 0, used = 0, first = 0, more = 0;
    if (n == 0)
        return 0;
    memcpy(words, data + 1, n * 8);
    const char *wrong = event_check_feed(&whole, words, n, insns, 4, &used);
    const char *early = event_check_feed(&parts, words, data[0] % n, insns, 4, &first);
    ASSERT(first <= data[0] % n);
    if (!early)
        early = event_check_feed(&parts, words + first, n - first, insns, 4, &more);
    ASSERT((wrong == NULL) == (early == NULL) && (!wrong || strcmp(wrong, early) == 0));
    if (wrong)
        return 0;
    ASSERT(used <= n && used == first + more && whole.words == used);
    ASSERT(memcmp(&whole, &parts, sizeof whole) == 0);
    for (size_t i = 0; i < used;
         i += event_kind(words[i]) == EV_CONTROL ? 1 + event_words(words[i]) : 1)
        ASSERT(event_valid(words[i]));
    return 0;
}

size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    const uint64_t words[] = {
        event_control(EV_THREAD_START, 3),
        7,
        7,
        0,
        event_block(1),
        event_access(0x1000, 0, 3, false),
        event_access(0x2000, 2, 2, true),
        event_block(3),
        event_high(UINT64_C(0x1234) << 48),
        event_access(0x3000, 1, 6, true),
        event_control(EV_EPOCH, 1),
        1,
        event_control(EV_COUNTS, 3),
        4,
        2,
        1,
        event_control(EV_SYSCALL, 8),
        1,
        1,
        0x1000,
        16,
        0,
        0,
        0,
        99,
        event_control(EV_BYTES, 4),
        0x1000,
        16,
        0,
        0,
        event_control(EV_IOVEC, 4),
        1,
        1,
        0x1000,
        16,
        event_control(EV_SYSCALL_RET, 3),
        1,
        16,
        50,
        event_block(0),
        event_control(EV_SYSCALL, 8),
        59,
        1,
        2,
        3,
        0,
        0,
        0,
        99,
        event_control(EV_NATIVE, 3),
        NATIVE_SETID,
        5,
        0x2f62696e2f,
        event_control(EV_EXIT, 1),
        1,
        event_control(EV_THREAD_EXIT, 1),
        7,
    };
    if (nth > 1)
        return 0;
    buf[0] = (uint8_t)(nth * 9);
    return 1 + fuzz_copy_seed(buf + 1, words, nth ? sizeof words : 12 * sizeof words[0]);
}
