/* ref_sched.c: see ref_sched.h. Task numbers are their serials. */
#include "ref/ref_sched.h"

#include <string.h>

static bool on(const struct ref_sched *r, int t, int cpu)
{
    const struct ref_task *k = &r->task[t];
    return k->cpu == cpu &&
           (k->state == REF_WAITS || k->state == REF_RUNS || k->state == REF_DELAYED);
}

/* competes: also a sleeper that is still ahead of the others. */
static void sums(const struct ref_sched *r, int cpu, __int128 *sum, __int128 *load)
{
    *sum = *load = 0;
    for (int t = 0; t < REF_TASKS; t++)
        if (on(r, t, cpu)) {
            *sum += r->task[t].v * r->task[t].weight;
            *load += r->task[t].weight;
        }
}

static int count(const struct ref_sched *r, int cpu, bool delayed)
{
    int n = 0;
    for (int t = 0; t < REF_TASKS; t++)
        n += on(r, t, cpu) && (delayed || r->task[t].state != REF_DELAYED);
    return n;
}

static __int128 mean(const struct ref_sched *r, int cpu)
{
    __int128 sum, load;
    sums(r, cpu, &sum, &load);
    if (load == 0)
        return 0;
    __int128 q = sum / load;
    return sum % load < 0 ? q - 1 : q;
}

static bool owed(const struct ref_sched *r, int t)
{
    __int128 sum, load;
    sums(r, r->task[t].cpu, &sum, &load);
    return sum >= r->task[t].v * load;
}

static __int128 virt(__int128 real, const struct ref_task *k)
{
    return real * 1024 / k->weight;
}

int ref_runs(const struct ref_sched *r, int cpu)
{
    for (int t = 0; t < REF_TASKS; t++)
        if (r->task[t].cpu == cpu && r->task[t].state == REF_RUNS)
            return t;
    return -1;
}

static bool idle(const struct ref_sched *r, int cpu)
{
    return count(r, cpu, false) == 0;
}

static void account(struct ref_sched *r, int cpu)
{
    int t = ref_runs(r, cpu);
    struct ref_task *k = &r->task[t < 0 ? 0 : t];
    if (t < 0 || r->core[cpu].clock <= k->from)
        return;
    uint64_t d = r->core[cpu].clock - k->from;
    k->from = r->core[cpu].clock;
    k->ran += d;
    k->v += virt(d, k);
    bool due = k->v >= k->deadline;
    if (due)
        k->deadline = k->v + virt(r->slice, k);
    if (count(r, cpu, true) > 1 && (due || k->v >= k->prot))
        r->core[cpu].resched = true;
}

static void lag(struct ref_sched *r, int t)
{
    struct ref_task *k = &r->task[t];
    __int128 most = virt(2 * r->slice > r->tick ? 2 * r->slice : r->tick, k);
    k->lag = mean(r, k->cpu) - k->v;
    if (k->lag > most)
        k->lag = most;
    if (k->lag < -most)
        k->lag = -most;
}

static void place(struct ref_sched *r, int t, int cpu, bool first)
{
    struct ref_task *k = &r->task[t];
    __int128 sum, load;
    k->state = REF_ASLEEP;
    sums(r, cpu, &sum, &load);
    k->v = mean(r, cpu) - (load ? k->lag * (load + k->weight) / load : 0);
    if (k->relative)
        k->deadline += k->v;
    else
        k->deadline = k->v + virt(r->slice, k) / (first ? 2 : 1);
    k->relative = false;
}

static int pick(const struct ref_sched *r, int cpu)
{
    int run = ref_runs(r, cpu), best = -1;
    if (run >= 0 && owed(r, run) && r->task[run].v < r->task[run].prot)
        return run;
    for (int t = 0; t < REF_TASKS; t++)
        if (on(r, t, cpu) && t != run && owed(r, t) &&
            (best < 0 || r->task[t].deadline < r->task[best].deadline))
            best = t;
    if (run >= 0 && owed(r, run) && (best < 0 || r->task[run].deadline < r->task[best].deadline))
        best = run;
    return best;
}

static void come(struct ref_sched *r, int t, int cpu, bool first, uint64_t now)
{
    struct ref_task *k = &r->task[t];
    k->moved += cpu != k->cpu && !first;
    if (ref_runs(r, cpu) < 0 && r->core[cpu].clock < now)
        r->core[cpu].clock = now;
    account(r, cpu);
    place(r, t, cpu, first);
    k->cpu = cpu;
    k->state = REF_WAITS;
    k->waits_since = ++r->comings;
    if (ref_runs(r, cpu) < 0 || (!r->core[cpu].resched && pick(r, cpu) == t))
        r->core[cpu].resched = true;
}

static int choose(const struct ref_sched *r, int t)
{
    const struct ref_task *k = &r->task[t];
    int best = -1;
    for (int i = 0; i < r->cores; i++) {
        int n = (k->cpu + i) % r->cores;
        if ((k->allowed >> n & 1) && idle(r, n))
            return n;
    }
    if (k->allowed >> k->cpu & 1)
        best = k->cpu;
    for (int n = 0; n < r->cores; n++)
        if ((k->allowed >> n & 1) && (best < 0 || count(r, n, false) < count(r, best, false)))
            best = n;
    return best;
}

void ref_open(struct ref_sched *r, int cores, int hz)
{
    memset(r, 0, sizeof *r);
    r->cores = cores;
    r->tick = 1000000000 / hz;
    r->slice = 700000;
    for (int n = 2; n <= cores && n <= 8; n *= 2)
        r->slice += 700000;
}

void ref_new(struct ref_sched *r, int t, int parent, uint64_t now)
{
    r->task[t] = (struct ref_task){.weight = 1024, .allowed = (1u << r->cores) - 1};
    if (parent >= 0) {
        r->task[t].weight = r->task[parent].weight;
        r->task[t].allowed = r->task[parent].allowed;
        r->task[t].cpu = r->task[parent].cpu;
    }
    come(r, t, choose(r, t), true, now);
}

void ref_wake(struct ref_sched *r, int t, uint64_t now)
{
    struct ref_task *k = &r->task[t];
    if (k->state != REF_DELAYED) {
        come(r, t, choose(r, t), false, now);
        return;
    }
    account(r, k->cpu);
    lag(r, t);
    if (k->lag > 0) {
        k->lag = 0;
        place(r, t, k->cpu, false);
        k->waits_since = ++r->comings;
    }
    k->state = REF_WAITS;
    if (ref_runs(r, k->cpu) < 0 || (!r->core[k->cpu].resched && pick(r, k->cpu) == t))
        r->core[k->cpu].resched = true;
}

/* The task stays REF_RUNS until ref_schedule, which must follow; `resched` with slept marks it. */
void ref_block(struct ref_sched *r, int cpu, uint64_t now)
{
    int t = ref_runs(r, cpu);
    struct ref_task *k = &r->task[t];
    if (r->core[cpu].clock < now)
        r->core[cpu].clock = now;
    account(r, cpu);
    r->core[cpu].resched = true;
    k->slept++;
    if (!owed(r, t)) {
        k->state = REF_DELAYED;
        k->waits_since = ++r->comings;
        return;
    }
    lag(r, t);
    k->state = REF_ASLEEP;
}

void ref_remove(struct ref_sched *r, int t)
{
    account(r, r->task[t].cpu);
    r->core[r->task[t].cpu].resched = true;
    r->task[t].state = REF_NONE;
}

static int longest(const struct ref_sched *r, int from, int to)
{
    int best = -1;
    for (int t = 0; t < REF_TASKS; t++)
        if (r->task[t].cpu == from && r->task[t].state == REF_WAITS &&
            (r->task[t].allowed >> to & 1) &&
            (best < 0 || r->task[t].waits_since < r->task[best].waits_since))
            best = t;
    return best;
}

static void move(struct ref_sched *r, int t, int to, uint64_t now)
{
    struct ref_task *k = &r->task[t];
    account(r, k->cpu);
    lag(r, t);
    k->deadline -= k->v;
    k->relative = true;
    k->state = REF_ASLEEP;
    come(r, t, to, false, now);
}

static int busiest(const struct ref_sched *r, int to)
{
    int best = -1;
    for (int n = 0; n < r->cores; n++)
        if (n != to && longest(r, n, to) >= 0 &&
            (best < 0 || count(r, n, false) > count(r, best, false)))
            best = n;
    return best;
}

int ref_schedule(struct ref_sched *r, int cpu, uint64_t now)
{
    struct ref_core *c = &r->core[cpu];
    if (c->clock < now)
        c->clock = now;
    account(r, cpu);
    int prev = ref_runs(r, cpu), next;
    while ((next = pick(r, cpu)) >= 0 && r->task[next].state == REF_DELAYED) {
        lag(r, next);
        if (r->task[next].lag > 0)
            r->task[next].lag = 0;
        r->task[next].state = REF_ASLEEP;
    }
    if (next < 0 && busiest(r, cpu) >= 0) {
        next = longest(r, busiest(r, cpu), cpu);
        move(r, next, cpu, c->clock);
    }
    c->resched = false;
    if (next == prev)
        return next;
    if (prev >= 0) {
        r->task[prev].state = REF_WAITS;
        r->task[prev].preempted++;
        r->task[prev].waits_since = ++r->comings;
    }
    if (next >= 0) {
        r->task[next].state = REF_RUNS;
        r->task[next].from = c->clock;
        r->task[next].prot = r->task[next].deadline;
    }
    return next;
}

void ref_tick(struct ref_sched *r, int cpu, uint64_t now)
{
    struct ref_core *c = &r->core[cpu];
    if (c->clock < now)
        c->clock = now;
    account(r, cpu);
    for (int n = 0; n < r->cores; n++)
        if (idle(r, n) && longest(r, cpu, n) >= 0)
            move(r, longest(r, cpu, n), n, c->clock);
    if (c->clock < c->balance_at)
        return;
    c->balance_at = c->clock + 16000000u * (unsigned)r->cores;
    int from = busiest(r, cpu);
    int more = from < 0 ? 0 : count(r, from, false) - count(r, cpu, false);
    if (more == 1 && !c->balance_failed) {
        c->balance_failed = true;
        return;
    }
    c->balance_failed = false;
    if (more > 0)
        move(r, longest(r, from, cpu), cpu, c->clock);
}

void ref_yield(struct ref_sched *r, int cpu, uint64_t now)
{
    int t = ref_runs(r, cpu);
    if (r->core[cpu].clock < now)
        r->core[cpu].clock = now;
    account(r, cpu);
    r->core[cpu].resched = true;
    if (count(r, cpu, true) <= 1 || !owed(r, t))
        return;
    r->task[t].v = r->task[t].deadline;
    r->task[t].deadline += virt(r->slice, &r->task[t]);
}

void ref_weight(struct ref_sched *r, int t, int weight)
{
    struct ref_task *k = &r->task[t];
    enum ref_state was = k->state;
    if (was != REF_ASLEEP) {
        account(r, k->cpu);
        lag(r, t);
        k->deadline -= k->v;
        k->relative = true;
    }
    k->lag = k->lag * k->weight / weight;
    if (k->relative)
        k->deadline = k->deadline * k->weight / weight;
    k->weight = weight;
    if (was == REF_ASLEEP)
        return;
    place(r, t, k->cpu, false);
    k->state = was;
    if (was != REF_RUNS)
        k->waits_since = ++r->comings;
}

void ref_allowed(struct ref_sched *r, int t, uint64_t mask, uint64_t now)
{
    struct ref_task *k = &r->task[t];
    k->allowed = mask;
    if (mask >> k->cpu & 1)
        return;
    if (k->state == REF_RUNS) {
        if (r->core[k->cpu].clock < now)
            r->core[k->cpu].clock = now;
        k->preempted++;
        r->core[k->cpu].resched = true;
    }
    if (k->state == REF_DELAYED) {
        lag(r, t);
        if (k->lag > 0)
            k->lag = 0;
        k->state = REF_ASLEEP;
    } else if (k->state != REF_ASLEEP) {
        account(r, k->cpu);
        lag(r, t);
        k->deadline -= k->v;
        k->relative = true;
        k->state = REF_ASLEEP;
        come(r, t, choose(r, t), false, r->core[k->cpu].clock);
    }
}

bool ref_needs(const struct ref_sched *r, int cpu)
{
    return r->core[cpu].resched && count(r, cpu, true) > 0;
}
