/* arch.c: the outbox, an array of messages that doubles when it is full. */
#include "pt/arch.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define OUTBOX_FIRST 64u /* messages; a fault sends about ten */

int arch_outbox_open(struct arch_outbox *o)
{
    struct arch_msg *msg = malloc(OUTBOX_FIRST * sizeof(*msg));
    if (msg == NULL)
        return -ENOMEM;
    *o = (struct arch_outbox){.msg = msg, .n = 0, .cap = OUTBOX_FIRST};
    return 0;
}

void arch_outbox_close(struct arch_outbox *o)
{
    free(o->msg);
    *o = (struct arch_outbox){0};
}

static void grow(struct arch_outbox *o)
{
    uint32_t cap = o->cap != 0 ? 2 * o->cap : OUTBOX_FIRST;
    ASSERT(cap > o->cap);
    struct arch_msg *msg = realloc(o->msg, cap * sizeof(*msg));
    ASSERT(msg != NULL);
    o->msg = msg;
    o->cap = cap;
}

void arch_put(struct arch_outbox *o, struct arch_msg msg)
{
    if (unlikely(o->n == o->cap))
        grow(o);
    o->msg[o->n++] = msg;
}

void arch_send(struct arch_outbox *o, enum arch_kind kind, unsigned n, uint64_t a, uint64_t b)
{
    arch_put(o, (struct arch_msg){.kind = (uint8_t)kind, .n = (uint8_t)n, .a = a, .b = b});
}
