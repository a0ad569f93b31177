/* clock.c: virtual time is the modelled cycles of the cores, at cpu.mhz.
 *
 *   what the machine counted ── cpu_cycles ──► cycles since somebody looked last ──► the payee's core:
 *                                                    busy_ps, clock_ps, and the time of who runs on it
 *
 * Nothing is added up on the way: the counters are read when the time is asked for, at ticks, calls, faults
 * and wherever the payee changes (account.c). So the hot path knows no clock. What it has to know is when to
 * ask: after LOOK_INSNS instructions at the latest, when a tick would be due if nothing stalled, and after a
 * fault at which one was due.
 *
 * Invariants:
 *  I1  The busy times of all cores add up to the machine's cycles without those that no thread on a core paid:
 *      boot, the kernel's own threads, what interrupts an idle core.
 *  I2  A clock only goes forward: cycles that are taken back (an instruction was not executed) are caught up.
 *  I3  How often somebody looks changes no time: differences of one sum.
 *  I4  When the hot path asks is a matter of the thread's own words, not of the pieces in which they come.
 */
#include "sim/sim_int.h"

#include "cpu/cpu.h"

#define PS_PER_US  UINT64_C(1000000)
#define LOOK_INSNS 16384u

uint64_t clock_cycles(const struct sim *s, const struct sim_thread *fed)
{
    uint64_t uncounted = fed && fed->uncounted ? *fed->uncounted : 0;
    struct cpu_cycles c;

    cpu_cycles(&s->conf, &s->stats, &c);
    return c.total + uncounted * s->conf.cpu_cpi / 1000;
}

static uint64_t ps_of(const struct conf *c, uint64_t cycles)
{
    return cycles / c->cpu_mhz * PS_PER_US + cycles % c->cpu_mhz * PS_PER_US / c->cpu_mhz;
}

/* payees_core returns the core that the payee is on, NULL when it is on none. A thread of which no record
 * came yet is nobody's payee, but runs. */
static struct sim_cpu *payees_core(struct sim *s)
{
    const struct sim_thread *t = s->current;
    unsigned n = s->payee.core == NO_CORE && t && !t->sum ? t->core_id : s->payee.core;
    struct sim_cpu *c = n == NO_CORE ? NULL : &s->cpu[n];

    return c && c->runs && c->runs->sum == s->payee.sum ? c : NULL;
}

void clock_look(struct sim *s)
{
    uint64_t cycles = clock_cycles(s, s->current), before = s->cycles_seen;
    struct sim_cpu *c = payees_core(s);

    if (cycles <= before)
        return;
    s->cycles_seen = cycles;
    if (!c)
        return;
    uint64_t ps = ps_of(&s->conf, cycles) - ps_of(&s->conf, before);
    c->busy_ps += ps;
    c->clock_ps += ps;
    c->runs->ran_ps += ps;
}

static uint64_t until_due(const struct sim_cpu *c)
{
    uint64_t next = min_u64(c->tick_ps, c->nmi_ps);

    return next > c->busy_ps ? next - c->busy_ps : 0;
}

void clock_look_next(struct sim *s, struct sim_thread *t)
{
    clock_look(s);
    uint64_t left = until_due(&s->cpu[t->core_id]) * s->conf.cpu_mhz;
    t->look_at = t->instructions + min_u64(LOOK_INSNS, div_up(left, s->conf.cpu_cpi * 1000));
}

void clock_enter(struct sim *s, struct sim_thread *t)
{
    clock_look(s);
    if (t->until && until_due(&s->cpu[t->core_id]) == 0)
        *t->until = 0;
}
