/* event.c: is a word, is a stream valid? Invariants I1 to I5 are those of event.h. */
#include "event/event.h"

#include <stddef.h>

/* The fewest payload words of each control type; types with a text or a list may have more. */
static const uint8_t LEAST[EV_CONTROL_NR] = {
    [EV_START] = START_WORDS + 2,
    [EV_THREAD_START] = 3,
    [EV_THREAD_EXIT] = 1,
    [EV_SYSCALL] = 8,
    [EV_SYSCALL_RET] = 3,
    [EV_FILE] = 7,
    [EV_IOVEC] = 4,
    [EV_SIGACTION] = 3,
    [EV_EPOCH] = 1,
    [EV_COUNTS] = 3,
    [EV_BYTES] = 2,
    [EV_ASK] = 0,
    [EV_FORK] = FORK_WORDS,
    [EV_NATIVE] = 2,
    [EV_EXIT] = 1,
    [EV_CHANNEL] = CHANNEL_WORDS,
};

static bool variable(unsigned type)
{
    return type == EV_START || type == EV_FILE || type == EV_IOVEC || type == EV_BYTES ||
           type == EV_NATIVE || type == EV_SYSCALL_RET;
}

static bool control_valid(uint64_t w)
{
    unsigned type = event_type(w), words = event_words(w);

    if (w >> EV_TYPE_SHIFT != ((uint64_t)EV_CONTROL << 5 | type) ||
        (w & ~(UINT64_C(0xff) << EV_TYPE_SHIFT) & ~EV_WORDS_MASK))
        return false;
    if (type == 0 || type >= EV_CONTROL_NR)
        return false;
    return variable(type) ? words >= LEAST[type] : words == LEAST[type];
}

bool event_valid(uint64_t w)
{
    switch (event_kind(w)) {
    case EV_ACCESS:
        return true;
    case EV_BLOCK:
        return (w & UINT64_C(0x1fffffff00000000)) == 0;
    case EV_HIGH:
        return (w & UINT64_C(0x1fffffffffff0000)) == 0;
    case EV_CONTROL:
        return control_valid(w);
    default:
        return false;
    }
}

static const char *check_access(struct event_check *c, uint64_t w)
{
    unsigned insn = event_insn(w);
    bool high = c->high;

    c->high = false;
    if (!c->in_block)
        return "an access without a block";
    if (insn >= c->block_insns)
        return "an access of an instruction that its block has not";
    if (insn < c->insn)
        return "an access of an earlier instruction than the one before";
    if (high && !event_needs_high(c->high_bits << 48 | (w & EV_ADDR_MASK)))
        return "a HIGH word before an access that needs none";
    c->insn = insn;
    c->accesses++;
    return NULL;
}

static const char *check_block(struct event_check *c, uint64_t w, const uint16_t *insns,
                               uint32_t blocks)
{
    uint32_t id = (uint32_t)w;

    if (id >= blocks)
        return "a block that was never announced";
    c->in_block = true;
    c->block_insns = insns[id];
    c->insn = 0;
    c->blocks++;
    c->insns += insns[id];
    return NULL;
}

static bool begins(unsigned type)
{
    return type == EV_START || type == EV_FORK || type == EV_THREAD_START;
}

static const char *check_control(struct event_check *c, uint64_t w)
{
    unsigned type = event_type(w);

    if (begins(type))
        return c->words ? "a second beginning" : NULL;
    if (type == EV_SYSCALL) {
        if (c->in_call)
            return "a call inside a call";
        c->in_call = true;
        c->in_block = false;
    } else if (type == EV_SYSCALL_RET) {
        if (!c->in_call)
            return "a return without a call";
        c->in_call = false;
    } else if (type == EV_ASK && !c->in_call) {
        return "a question outside a call";
    } else if ((type == EV_EXIT || type == EV_NATIVE) && !c->in_call) {
        return "an end outside a call";
    } else if (type == EV_CHANNEL && c->in_call) {
        return "a channel inside a call";
    } else if (type == EV_THREAD_EXIT) {
        c->ended = true;
    }
    return NULL;
}

static const char *check_word(struct event_check *c, uint64_t w, const uint16_t *insns,
                              uint32_t blocks)
{
    unsigned kind = event_kind(w);

    if (!event_valid(w))
        return "a word of no kind";
    if (c->ended)
        return "a word after the end";
    if (c->words == 0 && (kind != EV_CONTROL || !begins(event_type(w))))
        return "a stream that does not begin with its beginning"; /* I4 */
    if (c->high && kind != EV_ACCESS)
        return "a HIGH word without its access"; /* I2 */
    if (kind == EV_CONTROL)
        return check_control(c, w);
    if (c->in_call)
        return "execution inside a call";
    if (kind == EV_ACCESS)
        return check_access(c, w);
    if (kind == EV_BLOCK)
        return check_block(c, w, insns, blocks);
    c->high = true;
    c->high_bits = w & 0xffff;
    return NULL;
}

const char *event_check_feed(struct event_check *c, const uint64_t *words, size_t n,
                             const uint16_t *insns, uint32_t blocks, size_t *ret_used)
{
    size_t i = 0;

    while (i < n) {
        size_t step = event_kind(words[i]) == EV_CONTROL ? 1 + event_words(words[i]) : 1;
        const char *wrong;

        if (i + step > n)
            break;
        wrong = check_word(c, words[i], insns, blocks);
        if (wrong)
            return wrong;
        c->words += step;
        i += step;
    }
    *ret_used = i;
    return NULL;
}
