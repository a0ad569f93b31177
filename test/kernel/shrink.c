/* shrink.c: the shortest sequence that still differs: calls are dropped, the last first, then ranges
 * become shorter. A sequence counts as different when it is so three times in a row.
 */
#include "kernel/check.h"

#include <string.h>

static bool still_differs(struct native *k, const struct sequence *q, struct difference *d)
{
    struct made made;
    for (int i = 0; i < 3; i++)
        if (!run_both(k, q, d, &made))
            return false;
    return true;
}

/* without drops call i: what referred to its result then lies in the window. */
static struct sequence without(const struct sequence *q, unsigned i)
{
    struct sequence less = *q;
    memmove(&less.call[i], &less.call[i + 1], (q->n - i - 1) * sizeof(q->call[0]));
    less.n--;
    for (unsigned c = i; c < less.n; c++)
        for (unsigned a = 0; a < ARRAY_LEN(less.call[c].ref); a++) {
            uint8_t *ref = &less.call[c].ref[a];
            if (*ref == i + 1)
                less.call[c].arg[a] += q->base, *ref = 0;
            else if (*ref != REF_BRK && *ref != REF_STACK && *ref > i + 1)
                --*ref;
        }
    return less;
}

static void drop_calls(struct native *k, struct sequence *q, struct difference *d)
{
    struct difference now;
    for (unsigned i = q->n; i-- > 0;) {
        if (q->n <= 1 || i >= q->n)
            continue;
        struct sequence less = without(q, i);
        if (still_differs(k, &less, &now)) {
            *q = less;
            *d = now;
        }
    }
}

static void shorten_ranges(struct native *k, struct sequence *q, struct difference *d)
{
    struct difference now;
    for (unsigned i = 0; i < q->n; i++)
        while (q->call[i].arg[1] >= 2 * K && q->call[i].arg[1] < MIB(64)) {
            struct sequence less = *q;
            less.call[i].arg[1] = align_up(q->call[i].arg[1] / 2, K);
            if (!still_differs(k, &less, &now))
                break;
            *q = less;
            *d = now;
        }
}

void shrink(struct native *k, struct sequence *q, struct difference *d)
{
    unsigned before;
    if (d->at + 1 < q->n) {
        struct sequence less = *q;
        struct difference now;
        less.n = d->at + 1;
        if (still_differs(k, &less, &now))
            *q = less, *d = now;
    }
    do {
        before = q->n;
        drop_calls(k, q, d);
    } while (q->n < before);
    shorten_ranges(k, q, d);
}
