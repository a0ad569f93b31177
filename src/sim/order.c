/* order.c: what happens at a moment of virtual time: the kernel's own threads, and changes of tunables.
 *
 * The kernel's state matters to the program only when it enters the kernel, so that is where the clock
 * is looked at: what is due happens before the fault or call, whose moment is the same in every run.
 *
 * I1  Orders are carried out in the order of their times, equal ones as they were given.
 */
#include "sim/sim_int.h"

#include "base/vec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PS_PER_MS UINT64_C(1000000000)

int sim_order(struct sim *s, const struct proc_order *order)
{
    struct proc_order *o = vec_room(s->orders, s->n_orders, &s->orders_cap, sizeof(*o));

    if (!o)
        return -ENOMEM;
    s->orders = o;
    o[s->n_orders++] = *order;
    return 0;
}

unsigned sim_orders_open(const struct sim *s)
{
    return s->n_orders;
}

const char *sim_order_error(const struct sim *s)
{
    return s->order_err;
}

int sim_sysctl(struct sim *s, const char *key, const char *value, char *err, size_t err_size)
{
    struct proc_machine m;

    sim_machine(s, &m);
    account(s, NULL);
    int error = proc_sysctl_set(&m, key, value, err, err_size);
    if (s->threads)
        sim_drain(s, s->threads);
    s->outbox.n = 0;
    attrib_forget(s);
    account(s, s->current);
    return error;
}

static uint64_t instructions(const struct sim_thread *t)
{
    return t->instructions + (t->uncounted ? *t->uncounted : 0);
}

/* first_due returns the order to carry out next, or n_orders. */
static uint32_t first_due(const struct sim *s, const struct sim_thread *t)
{
    uint32_t best = s->n_orders;

    for (uint32_t i = 0; i < s->n_orders; i++) {
        const struct proc_order *o = &s->orders[i];
        bool due = o->at <= (o->instructions ? instructions(t) : sched_time(t));
        if (due && (best == s->n_orders || (o->instructions == s->orders[best].instructions &&
                                            o->at < s->orders[best].at)))
            best = i;
    }
    return best;
}

static void carry_out(struct sim *s, uint32_t i)
{
    struct proc_order o = s->orders[i];
    char err[sizeof(s->order_err)];

    memmove(&s->orders[i], &s->orders[i + 1], (s->n_orders - i - 1) * sizeof(o));
    s->n_orders--;
    if (sim_sysctl(s, o.key, o.value, err, sizeof(err)) != 0 && s->order_err[0] == '\0')
        memcpy(s->order_err, err, sizeof(err));
}

void sim_clock(struct sim *s, struct sim_thread *t)
{
    clock_enter(s, t);
    uint64_t now_ms = sched_time(t) / PS_PER_MS;

    if (now_ms > s->now_ms) {
        s->now_ms = now_ms;
        account(s, NULL);
        mm_tick(s->mm_sys, now_ms);
        sim_drain(s, t); /* they run on a CPU of their own: no thread of the program pays */
        account(s, t);
    }
    for (uint32_t i; s->n_orders > 0 && (i = first_due(s, t)) < s->n_orders;)
        carry_out(s, i);
}
