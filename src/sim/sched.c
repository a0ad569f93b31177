/* sched.c: threads on cores in virtual time: kern's scheduler told what the streams say.
 *
 *                      first words                    words
 *   sim_thread_open ─► NEW ──────────► ON_RQ (waits, or is cpu.runs) ──► fed ─► tick, yield, call …
 *                                        ▲                │ its return says that it slept ns,
 *               its moment of virtual    │                ▼ or: others go on, and nothing comes
 *               time is come             └──── WAKING ◄─ IN_CALL
 *
 * A core has a clock: the modelled cycles of what was fed on it (clock.c), and the time it was idle. A thread's
 * time is what it ran (ran_ps), and what it did not: asleep, or waiting for a core (off_ps). Who runs has its
 * core's clock. A call that did not sleep takes the cycles that it is modelled to cost.
 *
 * The streams tell nothing before it has happened, and a thread asleep says when it woke only when it is
 * read again. So the caller, who sees which streams have words, feeds the least sim_thread_time that has:
 * a core's running thread has the core's clock; one that waits comes directly after it while that one is
 * in a call that may sleep, and else out of turn, which means that the caller should rather wait.
 *
 *  I1  Between two feeds every core without a thread has nobody waiting, and no thread is WAKING whose
 *      time is not after that of all who run.
 *  I2  cpu.runs and the scheduler's curr are the same thread; its core_id is that core.
 *  I3  ran_ps and off_ps only grow: virtual time of a thread does not go back.
 *  I4  Ticks come by the time a core ran somebody, so that they fall on the same block in every run. One is
 *      noticed between two blocks, at the latest 16,384 instructions after it is due.
 *
 * Source: Linux 6.18 kernel/sched (kern/sched.c), kernel/time/tick-sched.c (an idle core has no tick).
 */
#include "sim/sim_int.h"

#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PS_PER_NS   1000u
#define PS_PER_S    UINT64_C(1000000000000)
#define SLEEP_NS    5000u /* a call that may sleep did, if it took as long, unless it is known */
#define OUT_OF_TURN (UINT64_C(1) << 63)
#define NOT_NEXT    (UINT64_C(1) << 62)
#define BLOCKED     (UINT64_C(1) << 61)

static struct sim_thread *thread_of(struct sched_task *task)
{
    return task ? (struct sim_thread *)((char *)task - offsetof(struct sim_thread, task)) : NULL;
}

/* -- time ----------------------------------------------------------------------------------------*/

uint64_t sched_time(const struct sim_thread *t)
{
    return t->ran_ps + t->off_ps;
}

/* ran_on: its core while it runs, else its last one. waits_on: where it is queued. They differ from when
 * a thread is moved to when it comes on. */
static struct sim_cpu *ran_on(const struct sim_thread *t)
{
    return t->cpu + t->core_id;
}

static struct sim_cpu *waits_on(const struct sim_thread *t)
{
    return t->cpu + t->task.cpu;
}

/* ns rounds down: the scheduler counts whole ones. */
static uint64_t ns(uint64_t ps)
{
    return ps / PS_PER_NS;
}

static void not_before(struct sim_thread *t, uint64_t ps)
{
    uint64_t now = sched_time(t);

    t->off_ps += ps > now ? ps - now : 0;
}

/* In a call from which nothing more came; it may be asleep. */
static bool may_be_asleep(const struct sim_thread *t)
{
    return t->pending.open && !t->returned && !t->uses.known &&
           kern_call_may_sleep(&t->pending.call);
}

bool sim_thread_blocked(const struct sim_thread *t)
{
    return t->state == THREAD_IN_CALL && t->uses.blocked;
}

uint64_t sim_thread_time(const struct sim_thread *t)
{
    const struct sim_cpu *c = waits_on(t);

    if (sim_thread_blocked(t))
        return OUT_OF_TURN | NOT_NEXT | BLOCKED | min_u64(t->slept_ps, BLOCKED - 1);
    if (t->state != THREAD_ON_RQ || c->runs == t)
        return sched_time(t);
    bool next = c->next == &t->task;
    if (next && c->runs && may_be_asleep(c->runs))
        return c->clock_ps + 1;
    return OUT_OF_TURN | (next ? 0 : NOT_NEXT) | c->clock_ps;
}

bool sim_thread_new(const struct sim_thread *t)
{
    return t->state == THREAD_NEW;
}

const struct sim_thread *sim_thread_ahead(const struct sim_thread *t)
{
    return waits_on(t)->runs;
}

bool sim_thread_waits(const struct sim_thread *t)
{
    return sim_thread_time(t) & OUT_OF_TURN;
}

uint64_t sched_front(const struct sim *s, const struct sim_thread *t)
{
    uint64_t most = 0;

    for (const struct sim_thread *o = s->threads; o; o = o->next)
        if (o != t && o->state != THREAD_NEW)
            most = max_u64(most, o->state == THREAD_WAKING ? o->slept_ps : sched_time(o));
    return most;
}

/* -- switching -----------------------------------------------------------------------------------*/

/* came_on: t is on its core from now on. What it pays for that is charged when it is fed. */
static void came_on(struct sim *s, struct sim_thread *t)
{
    struct sim_cpu *c = waits_on(t);

    STAT(&s->stats, migrations) += t->ran && t->core_id != t->task.cpu;
    t->core_id = t->task.cpu;
    t->core = &s->cores[t->core_id];
    t->ran = t->came_on = true;
    if (t->sum)
        t->sum->core = t->core_id;
    s->current = s->current == t ? NULL : s->current; /* its space is loaded when it is fed */
    not_before(t, c->clock_ps);
    c->clock_ps = sched_time(t);
    c->came_ps = c->clock_ps;
}

static void went_off(struct sim *s, unsigned n, const struct sim_thread *t)
{
    bool slept = !t->task.on_rq || t->task.delayed;

    entry_kernel_mode(s, n); /* by its call, or an interrupt */
    STAT(&s->stats, switches_voluntary) += slept;
    STAT(&s->stats, switches_involuntary) += !slept;
    timeline_ran(s, t, n, s->cpu[n].came_ps, s->cpu[n].clock_ps);
}

/* on_core tells of who is on a core now. Who left it, and who came, is counted for it. */
static void on_core(struct sim *s, unsigned n)
{
    struct sim_cpu *c = &s->cpu[n];
    struct sim_thread *now = thread_of(s->sched.core[n].curr), *before = c->runs;

    if (now == before)
        return;
    account(s, before ? before : now);
    STAT(&s->stats, context_switches)++;
    c->runs = now;
    if (before)
        went_off(s, n, before);
    if (now) {
        account(s, now);
        came_on(s, now);
    } else {
        enter_lazy_tlb(&s->tlb, n); /* the idle task borrows the tables that are loaded */
    }
    account(s, s->current);
}

static void reschedule(struct sim *s)
{
    bool again = true;

    while (again) {
        again = false;
        for (unsigned n = 0; n < s->sched.cores; n++)
            if (sched_needs(&s->sched, n)) {
                sched_schedule(&s->sched, n, ns(s->cpu[n].clock_ps));
                again = true; /* it may have taken a task from a core looked at before */
            }
        for (unsigned n = 0; n < s->sched.cores; n++)
            on_core(s, n);
    }
}

/* -- sleeping and waking -------------------------------------------------------------------------*/

/* advance: t, which runs, is where its core is. */
static void advance(struct sim *s, struct sim_thread *t)
{
    clock_look(s);
    ran_on(t)->clock_ps = sched_time(t);
}

static void falls_asleep(struct sim *s, struct sim_thread *t)
{
    advance(s, t);
    t->slept_ps = sched_time(t);
    t->state = THREAD_IN_CALL;
    sched_block(&s->sched, t->core_id, ns(t->slept_ps));
    sched_schedule(&s->sched, t->core_id, ns(t->slept_ps));
    on_core(s, t->core_id);
}

/* idle_until: an idle core goes on when there is something to do. */
static void idle_until(struct sim *s, uint64_t ps)
{
    for (unsigned n = 0; n < s->sched.cores; n++)
        if (!s->cpu[n].runs)
            s->cpu[n].clock_ps = max_u64(s->cpu[n].clock_ps, ps);
}

static void wake(struct sim *s, struct sim_thread *t)
{
    uint64_t at = sched_time(t);

    idle_until(s, at);
    s->n_waking--;
    t->state = THREAD_ON_RQ;
    if (t->ran)
        sched_wake(&s->sched, &t->task, ns(at));
    else
        sched_wake_new(&s->sched, &t->task, ns(at));
    reschedule(s);
}

void sched_sleeps(struct sim *s, struct sim_thread *t)
{
    t->uses.waits = true;
    falls_asleep(s, t);
}

/* settle makes I1 true: whose time is come wakes, earliest first. */
static void settle(struct sim *s)
{
    for (;;) {
        struct sim_thread *first = NULL;
        uint64_t running = UINT64_MAX;

        reschedule(s);
        for (struct sim_thread *t = s->threads; t && s->n_waking > 0; t = t->next)
            if (t->state == THREAD_WAKING && (!first || sched_time(t) < sched_time(first)))
                first = t;
        for (unsigned n = 0; n < s->sched.cores; n++)
            if (s->cpu[n].runs)
                running = min_u64(running, s->cpu[n].clock_ps);
        if (first && (running == UINT64_MAX || sched_time(first) <= running))
            wake(s, first);
        else if (!channel_goes_on(s))
            break;
    }
    for (unsigned n = 0; n < s->sched.cores; n++)
        s->cpu[n].next = sched_peek(&s->sched, n);
}

static void will_wake(struct sim *s, struct sim_thread *t, uint64_t ps)
{
    not_before(t, ps);
    t->state = THREAD_WAKING;
    s->n_waking++;
}

void sched_woken(struct sim *s, struct sim_thread *t, uint64_t ps)
{
    t->uses.waits = t->uses.blocked = false;
    t->slept = s->woke = true;
    will_wake(s, t, ps);
}

/* waits_for_others: calls that end by what another thread or process of the tree does. */
static bool waits_for_others(const struct kern_call *c)
{
    uint64_t op = c->arg[1] & (uint64_t)FUTEX_CMD_MASK;

    if (c->nr == SYS_futex)
        return c->result == 0 && (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET);
    return (c->nr == SYS_wait4 || c->nr == SYS_waitid) && c->result >= 0;
}

/* woken_at: after the real time it took; one that another thread woke, when that one had come so far. */
static uint64_t woken_at(const struct sim *s, const struct sim_thread *t, uint64_t asleep_ps,
                         uint64_t took_ns)
{
    uint64_t others = sched_front(s, t);

    if (waits_for_others(&t->pending.call) && others > asleep_ps)
        return others;
    return asleep_ps + took_ns * PS_PER_NS;
}

/* Words of EV_SYSCALL_RET. */
enum { RET_NR, RET_RESULT, RET_NS, RET_SLEPT };

static bool did_sleep(const uint64_t *p, size_t n)
{
    return n > RET_SLEPT ? p[RET_SLEPT] > 0 : p[RET_NS] >= SLEEP_NS;
}

/* did_not_sleep: it was taken for asleep, but was only not heard of. */
static void did_not_sleep(struct sim *s, struct sim_thread *t)
{
    struct sim_cpu *c = ran_on(t);

    if (!sched_unblock(&s->sched, &t->task, ns(t->slept_ps))) {
        will_wake(s, t, t->slept_ps);
        return;
    }
    t->state = THREAD_ON_RQ;
    c->clock_ps = t->slept_ps; /* nobody ran there since */
    account(s, t); /* whom on_core gave them to when it went, as it will when it comes */
    STAT(&s->stats, context_switches) -= 2;
    STAT(&s->stats, switches_voluntary)--;
    on_core(s, t->core_id);
    t->came_on = false;
}

bool sched_returns(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n)
{
    struct kern_call *c = &t->pending.call;

    if (n <= RET_NS || !t->pending.open || c->nr != p[RET_NR] || t->starting)
        return true;
    if (t->returned || !kern_call_may_sleep(c))
        return true;
    c->result = (int64_t)p[RET_RESULT];
    enum channel_answer answer = t->let_go ? CHANNEL_UNKNOWN : wait_returns(s, t, c->result);
    if (answer == CHANNEL_UNKNOWN)
        answer = channel_returns(s, t, c->result, p[RET_NS]);
    switch (answer) {
    case CHANNEL_DONE:
        t->returned = t->slept || did_sleep(p, n); /* on the host; its time is not the model's */
        return true;
    case CHANNEL_WAITS:
        if (t->state == THREAD_ON_RQ)
            sched_sleeps(s, t);
        t->uses.blocked = true;
        return false;
    case CHANNEL_UNKNOWN:
        break;
    }
    if (!did_sleep(p, n)) {
        if (t->state == THREAD_ON_RQ)
            return true;
        t->returned = true;
        did_not_sleep(s, t);
        return false;
    }
    t->returned = true;
    if (t->state == THREAD_ON_RQ)
        clock_look(s);
    uint64_t asleep = t->state == THREAD_ON_RQ ? sched_time(t) : t->slept_ps;
    uint64_t at = woken_at(s, t, asleep, p[RET_NS]);
    if (t->state == THREAD_ON_RQ)
        falls_asleep(s, t);
    will_wake(s, t, at);
    return false;
}

/* -- feeding -------------------------------------------------------------------------------------*/

/* sleepers: others go on, so a running thread that is behind them has no more words. In a call that may
 * sleep it is asleep. */
static void sleepers(struct sim *s, const struct sim_thread *fed, uint64_t time)
{
    for (unsigned n = 0; n < s->sched.cores; n++) {
        struct sim_thread *t = s->cpu[n].runs;
        if (t && t != fed && may_be_asleep(t) && sched_time(t) < time)
            falls_asleep(s, t);
    }
}

/* about_call: records that only add to what is known of the call. */
static bool about_call(uint64_t w)
{
    switch (event_type(w)) {
    case EV_FILE:
    case EV_IOVEC:
    case EV_SIGACTION:
    case EV_BYTES:
    case EV_COUNTS:
    case EV_NATIVE:
    case EV_EXIT:
        return true;
    default:
        return false;
    }
}

size_t sched_asleep(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n)
{
    size_t i = 0, words;

    while (t->state == THREAD_IN_CALL && i < n && event_kind(w[i]) == EV_CONTROL &&
           about_call(w[i]) && (words = control_complete(w + i, n - i)) > 0) {
        control_word(s, t, w + i, false);
        i += words;
    }
    return i;
}

/* look_for_return: t is asleep in a call. Its words tell of the call's return, or that it goes on without. */
static void look_for_return(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n)
{
    size_t words = event_kind(w[0]) == EV_CONTROL ? control_complete(w, n) : 1;

    if (words == 0)
        return;
    if (t->uses.blocked)
        channel_let_go(s, t);
    if (event_kind(w[0]) != EV_CONTROL || event_type(w[0]) != EV_SYSCALL_RET ||
        sched_returns(s, t, w + 1, words - 1))
        will_wake(s, t, t->slept_ps);
}

static bool clones(const struct sim_thread *t)
{
    return t->pending.open && (t->pending.call.nr == SYS_clone || t->pending.call.nr == SYS_clone3);
}

/* creator finds the thread that made the one whose first words are at w: the forking one; else, of its
 * process, the one in a clone call, or furthest in time. NULL: it is gone, or there was none. */
static const struct sim_thread *creator(const struct sim *s, const struct sim_thread *t,
                                        const uint64_t *w, size_t n)
{
    const struct sim_thread *best = NULL;
    bool fork = event_type(w[0]) == EV_FORK && n > FORK_WORDS;

    if (event_kind(w[0]) != EV_CONTROL || n < 2 || (!fork && event_type(w[0]) != EV_THREAD_START))
        return NULL;
    for (const struct sim_thread *o = s->threads; o; o = o->next) {
        if (o == t || o->state == THREAD_NEW ||
            (fork ? o->tid != w[1 + FORK_PTID] : o->proc->pid != w[1]))
            continue;
        if (!best || (clones(o) && !clones(best)) ||
            (clones(o) == clones(best) && sched_time(o) > sched_time(best)))
            best = o;
    }
    return best;
}

static void begins(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n)
{
    const struct sim_thread *by = creator(s, t, w, n);
    const struct sched_task *parent = by ? &by->task : proc_left_task(s, w, n);
    bool thread = by && event_type(w[0]) == EV_THREAD_START;

    sched_task_init(&s->sched, &t->task, t->serial, parent);
    will_wake(s, t, thread ? sched_time(by) : proc_begins(s, w, n));
}

/* forced: nobody has words whose turn it is. */
static void forced(struct sim *s, struct sim_thread *t)
{
    struct sim_thread *has = waits_on(t)->runs;

    STAT(&s->stats, sched_forced)++;
    if (has) /* on the host it may well sleep */
        has->uses.known = false;
    sched_force(&s->sched, &t->task, ns(waits_on(t)->clock_ps));
    on_core(s, t->task.cpu);
}

bool sched_may_feed(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n)
{
    bool waits = sim_thread_waits(t);

    sleepers(s, t, sim_thread_time(t));
    if (t->state == THREAD_NEW)
        begins(s, t, w, n);
    else if (t->state == THREAD_IN_CALL)
        look_for_return(s, t, w, n);
    else if (t->state == THREAD_WAKING)
        wake(s, t); /* nobody before it has words */
    if (waits && t->state == THREAD_ON_RQ && waits_on(t)->runs != t)
        forced(s, t);
    settle(s);
    return t->state == THREAD_ON_RQ && waits_on(t)->runs == t;
}

void sched_feed_begin(struct sim *s, struct sim_thread *t)
{
    struct sim_cpu *c = ran_on(t);

    if (likely(!t->came_on))
        return;
    t->came_on = false;
    t->look_at = t->instructions; /* whatever is due on this core */
    lock_not_before(s, t, c->lock_clock);
    if (c->switched) /* the first one of a core comes with the machine */
        entry_switch(s, t);
    c->switched = true;
}

uint64_t sched_until_look(const struct sim_thread *t)
{
    return t->look_at > t->instructions ? t->look_at - t->instructions : 0;
}

/* sim_tick: the timer interrupt of a core. */
static void sim_tick(struct sim *s, struct sim_thread *t)
{
    entry_tick(s, t);
    sched_tick(&s->sched, t->core_id, ns(ran_on(t)->clock_ps));
    if (sched_stays(s, t))
        entry_user_mode(s, t->core_id);
}

uint64_t sched_due_in(struct sim *s, const struct sim_thread *t)
{
    const struct sim_cpu *c = ran_on(t);

    clock_look(s);
    if (c->runs != t || c->busy_ps >= c->tick_ps)
        return UINT64_MAX; /* due before: it comes between two blocks */
    return (c->tick_ps - c->busy_ps) / PS_PER_NS * s->conf.cpu_mhz / 1000;
}

uint64_t sched_tick_inside(struct sim *s, struct sim_thread *t)
{
    struct sim_cpu *c = ran_on(t);
    uint64_t period_ps = PS_PER_S / s->conf.kernel_hz;

    c->tick_ps += period_ps;
    entry_tick(s, t);
    sched_tick(&s->sched, t->core_id, ns(c->clock_ps));
    if (t->until && !sched_stays(s, t))
        *t->until = 0; /* it leaves its core before its next block */
    return period_ps / PS_PER_NS * s->conf.cpu_mhz / 1000;
}

bool sched_ticks(struct sim *s, struct sim_thread *t)
{
    struct sim_cpu *c = ran_on(t);

    advance(s, t);
    for (; c->busy_ps >= c->nmi_ps; c->nmi_ps += PS_PER_S / s->conf.kernel_nmi_hz)
        entry_nmi(s, t);
    for (; c->busy_ps >= c->tick_ps; c->tick_ps += PS_PER_S / s->conf.kernel_hz)
        sim_tick(s, t);
    clock_look_next(s, t);
    return sched_stays(s, t);
}

bool sched_goes_on(struct sim *s, struct sim_thread *t)
{
    if (unlikely(s->woke) && ran_on(t)->runs == t) {
        advance(s, t);
        sched_set_clock(&s->sched, t->core_id, ns(ran_on(t)->clock_ps));
        settle(s);
    }
    bool made = s->made; /* whom it made may come on a core before its next words */

    s->woke = s->made = false;
    return sched_stays(s, t) && !t->came_on && !made;
}

bool sched_stays(const struct sim *s, const struct sim_thread *t)
{
    return s->sched.core[t->core_id].curr == &t->task && !sched_needs(&s->sched, t->core_id);
}

void sched_feed_end(struct sim *s, struct sim_thread *t)
{
    struct sim_cpu *c = ran_on(t);

    if (c->runs == t) {
        advance(s, t);
        sched_set_clock(&s->sched, t->core_id, ns(c->clock_ps));
    }
    c->lock_clock = t->clock;
    settle(s);
}

/* -- threads -------------------------------------------------------------------------------------*/

void sched_open_machine(struct sim *s)
{
    unsigned cores = (unsigned)s->conf.cpu_cores;

    sched_open(&s->sched, cores, (unsigned)s->conf.kernel_hz);
    for (unsigned n = 0; n < cores; n++) {
        s->cpu[n].tick_ps = PS_PER_S / s->conf.kernel_hz;
        s->cpu[n].nmi_ps =
            s->conf.kernel_nmi_hz > 0 ? PS_PER_S / s->conf.kernel_nmi_hz : UINT64_MAX;
        s->sched.core[n].node = n * (unsigned)s->conf.numa_nodes / cores;
    }
}

void sched_thread_open(struct sim *s, struct sim_thread *t)
{
    t->state = THREAD_NEW;
    t->cpu = s->cpu;
    t->core = s->cores;
}

void sched_thread_ends(struct sim *s, const struct sim_thread *t)
{
    if (t->state == THREAD_ON_RQ && ran_on(t)->runs == t)
        entry_kernel_mode(s, t->core_id);
}

void sched_thread_close(struct sim *s, struct sim_thread *t)
{
    s->n_waking -= t->state == THREAD_WAKING;
    channel_forget(s, t);
    if (t->state == THREAD_NEW)
        return;
    if (ran_on(t)->runs == t)
        advance(s, t);
    sched_remove(&s->sched, &t->task);
    on_core(s, t->core_id);
    t->state = THREAD_NEW;
    settle(s);
}

/* -- calls about scheduling ----------------------------------------------------------------------*/

static struct sim_thread *task_named(struct sim *s, struct sim_thread *caller, uint64_t tid)
{
    for (struct sim_thread *t = s->threads; tid != 0 && t; t = t->next)
        if (t->tid == (uint32_t)tid && t->state != THREAD_NEW)
            return t;
    return tid == 0 ? caller : NULL;
}

/* argument copies what the call's pointer pointed to. */
static bool argument(const struct kern_call *c, uint64_t addr, void *to, size_t size)
{
    memset(to, 0, size);
    if (!c->bytes || c->bytes_addr != addr)
        return false;
    memcpy(to, c->bytes, min_u64(size, c->n_bytes));
    return true;
}

static void set_affinity(struct sim *s, struct sim_thread *caller, const struct kern_call *c)
{
    struct sim_thread *t = task_named(s, caller, c->arg[0]);
    uint64_t mask;

    if (t && argument(c, c->arg[2], &mask, sizeof(mask)) &&
        !sched_set_allowed(&s->sched, &t->task, mask, ns(waits_on(t)->clock_ps)))
        STAT(&s->stats, div_affinity)++;
}

/* set_policy: sched_setparam keeps the policy and its flag. */
static void set_policy(struct sim *s, struct sim_thread *caller, const struct kern_call *c)
{
    bool param = c->nr == SYS_sched_setparam;
    struct sim_thread *t = task_named(s, caller, c->arg[0]);
    struct sched_params p;
    int priority = 0;

    if (!t || !argument(c, c->arg[param ? 1 : 2], &priority, 4))
        return;
    sched_get_params(&t->task, &p);
    p.rt_priority = priority;
    if (!param) {
        p.policy = (int)c->arg[1] & ~SCHED_RESET_ON_FORK;
        p.reset_on_fork = c->arg[1] & SCHED_RESET_ON_FORK;
    }
    if (p.policy <= POLICY_IDLE)
        sched_set_params(&s->sched, &t->task, &p);
}

/* struct sched_attr, and its flags: the C library has neither. */
struct sched_attr_v0 {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
enum { ATTR_RESET_ON_FORK = 0x01, ATTR_KEEP_POLICY = 0x08, ATTR_KEEP_PARAMS = 0x10 };

static void set_attr(struct sim *s, struct sim_thread *caller, const struct kern_call *c)
{
    struct sched_attr_v0 a;
    struct sim_thread *t = task_named(s, caller, c->arg[0]);
    struct sched_params p;

    if (!t || !argument(c, c->arg[1], &a, sizeof(a)))
        return;
    sched_get_params(&t->task, &p);
    if (!(a.flags & ATTR_KEEP_POLICY)) {
        p.policy = a.flags & ATTR_KEEP_PARAMS ? p.policy : (int)a.policy;
        p.reset_on_fork = a.flags & ATTR_RESET_ON_FORK;
    }
    if (!(a.flags & ATTR_KEEP_PARAMS)) {
        p.nice = a.nice;
        p.rt_priority = (int)a.priority;
        p.slice = a.runtime;
    }
    if (p.policy <= POLICY_IDLE)
        sched_set_params(&s->sched, &t->task, &p);
}

static void set_nice(struct sim *s, struct sim_thread *caller, const struct kern_call *c)
{
    struct sim_thread *t = task_named(s, caller, c->arg[1]);

    if (t && c->arg[0] == PRIO_PROCESS)
        sched_set_nice(&s->sched, &t->task, (int)c->arg[2]);
}

void sched_call(struct sim *s, struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;

    if (c->result < 0 || ran_on(t)->runs != t)
        return;
    advance(s, t);
    switch (c->nr) {
    case SYS_sched_yield:
        sched_yield_task(&s->sched, t->core_id, ns(ran_on(t)->clock_ps));
        return;
    case SYS_sched_setaffinity:
        set_affinity(s, t, c);
        return;
    case SYS_sched_setscheduler:
    case SYS_sched_setparam:
        set_policy(s, t, c);
        return;
    case SYS_sched_setattr:
        set_attr(s, t, c);
        return;
    case SYS_setpriority:
        set_nice(s, t, c);
        return;
    }
}
