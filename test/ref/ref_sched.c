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

static __int128 mean(struct ref_sched *r, int cpu)
{
    __int128 sum, load;
    sums(r, cpu, &sum, &load);
    if (load > 0)
        r->core[cpu].zero = sum / load - (sum % load < 0);
    return r->core[cpu].zero;
}

/* The shortest and the longest slice of those who compete. */
static __int128 least(const struct ref_sched *r, int cpu)
{
    __int128 ns = (__int128)1 << 100;
    for (int t = 0; t < REF_TASKS; t++)
        if (on(r, t, cpu) && r->task[t].slice < ns)
            ns = r->task[t].slice;
    return ns;
}

static __int128 most(const struct ref_sched *r, int cpu)
{
    __int128 ns = 0;
    for (int t = 0; t < REF_TASKS; t++)
        if (on(r, t, cpu) && r->task[t].slice > ns)
            ns = r->task[t].slice;
    return ns;
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
        k->deadline = k->v + virt(k->slice, k);
    if (count(r, cpu, true) > 1 && (due || k->v >= k->prot))
        r->core[cpu].resched = true;
}

static void lag(struct ref_sched *r, int t)
{
    struct ref_task *k = &r->task[t];
    __int128 limit = virt(most(r, k->cpu) + r->tick, k);
    k->lag = mean(r, k->cpu) - k->v;
    if (k->lag > limit)
        k->lag = limit;
    if (k->lag < -limit)
        k->lag = -limit;
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
        k->deadline = k->v + virt(k->slice, k) / (first ? 2 : 1);
    k->relative = false;
}

/* sooner: of two eligible ones in the tree; equals stand in it as they came. */
static bool sooner(const struct ref_task *a, const struct ref_task *b)
{
    return a->deadline < b->deadline ||
           (a->deadline == b->deadline && a->waits_since < b->waits_since);
}

static int pick(const struct ref_sched *r, int cpu, bool protect)
{
    int run = ref_runs(r, cpu), best = -1;
    if (run >= 0 && !owed(r, run))
        run = -1;
    if (run >= 0 && protect && r->task[run].v < r->task[run].prot)
        return run;
    for (int t = 0; t < REF_TASKS; t++)
        if (on(r, t, cpu) && r->task[t].state != REF_RUNS && owed(r, t) &&
            (best < 0 || sooner(&r->task[t], &r->task[best])))
            best = t;
    if (best < 0 || (run >= 0 && r->task[run].deadline < r->task[best].deadline))
        best = run;
    return best;
}

static void falls_asleep(struct ref_sched *r, int t)
{
    lag(r, t);
    if (r->task[t].lag > 0)
        r->task[t].lag = 0;
    r->task[t].state = REF_ASLEEP;
}

/* Who is picked and only waits to become eligible, sleeps from now on. */
static int pick_awake(struct ref_sched *r, int cpu, bool protect)
{
    for (;;) {
        int t = pick(r, cpu, protect);
        if (t < 0 || r->task[t].state != REF_DELAYED)
            return t;
        falls_asleep(r, t);
    }
}

/* wakeup_preempt: t is queued on the core; must the one who runs go? */
static void preempts(struct ref_sched *r, int t, int cpu, bool fork)
{
    int run = ref_runs(r, cpu);
    struct ref_task *k = &r->task[t], *p = &r->task[run < 0 ? 0 : run];
    if (run < 0)
        r->core[cpu].resched = true;
    if (r->core[cpu].resched)
        return;
    if (p->policy == 5 && k->policy != 5) {
        r->core[cpu].resched = true;
        if (p->v < p->prot)
            p->prot = p->v;
        return;
    }
    if (k->policy != 0)
        return;
    account(r, cpu);
    bool urgent = k->slice < p->slice;
    if (!urgent && (fork || k->state == REF_DELAYED))
        return;
    if (pick_awake(r, cpu, !urgent) == t) {
        r->core[cpu].resched = true;
        if (urgent && p->v < p->prot)
            p->prot = p->v;
        return;
    }
    __int128 end = p->v + virt(least(r, cpu), p);
    if (end < p->prot)
        p->prot = end;
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
    preempts(r, t, cpu, first);
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
    struct ref_task *k = &r->task[t];
    const struct ref_task *p = parent < 0 ? NULL : &r->task[parent];
    *k = (struct ref_task){.weight = 1024, .allowed = (1u << r->cores) - 1, .slice = r->slice};
    if (p) {
        k->weight = p->weight;
        k->allowed = p->allowed;
        k->cpu = p->cpu;
        k->policy = p->policy;
        k->nice = p->nice;
        k->custom = p->custom && !p->reset;
        k->slice = k->custom ? p->slice : r->slice;
    }
    if (p && p->reset && k->nice < 0) {
        k->nice = 0;
        k->weight = k->policy == 5 ? 3 : 1024;
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
    preempts(r, t, k->cpu, false);
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
    int prev = ref_runs(r, cpu), next = pick_awake(r, cpu, true);
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
        __int128 end = r->task[next].v + virt(least(r, cpu), &r->task[next]);
        if (least(r, cpu) < r->task[next].slice && end < r->task[next].prot)
            r->task[next].prot = end;
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
    r->task[t].deadline += virt(r->task[t].slice, &r->task[t]);
}

/* change: off the queue, other values, and on it again; who runs goes on as protected as before. */
static void change(struct ref_sched *r, int t, int policy, int nice, int weight)
{
    struct ref_task *k = &r->task[t];
    enum ref_state was = k->state;
    int before = k->nice;
    k->policy = policy;
    k->nice = nice;
    if (was != REF_ASLEEP) {
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
    if (nice == before)
        return;
    if (was != REF_RUNS)
        preempts(r, t, k->cpu, false);
    else if (nice > before && count(r, k->cpu, true) > 1)
        r->core[k->cpu].resched = true;
}

static void account_and_lag(struct ref_sched *r, int t)
{
    if (r->task[t].state == REF_ASLEEP)
        return;
    account(r, r->task[t].cpu);
    lag(r, t);
}

void ref_nice(struct ref_sched *r, int t, int nice, int weight)
{
    struct ref_task *k = &r->task[t];
    if (nice == k->nice)
        return;
    account_and_lag(r, t);
    change(r, t, k->policy, nice, k->policy == 5 ? 3 : weight);
}

void ref_params(struct ref_sched *r, int t, int policy, int nice, int weight, uint64_t ns,
                bool reset)
{
    struct ref_task *k = &r->task[t];
    k->reset = reset;
    if (policy == k->policy && (policy == 5 || (nice == k->nice && ns == k->slice)))
        return;
    account_and_lag(r, t);
    if (policy == 5) {
        change(r, t, policy, k->nice, 3);
        return;
    }
    k->custom = ns > 0;
    k->slice = ns == 0 ? r->slice : ns < 100000 ? 100000 : ns > 100000000 ? 100000000 : ns;
    change(r, t, policy, nice, weight);
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
        falls_asleep(r, t);
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
