/* sim.c: a machine is opened, its threads come and go, its counters are read.
 *
 *   conf ─► phys ─► caches ─► cores ─► mm_sys ─► kern ─► the first process, empty
 *
 * Opened in this order, closed in the other. Invariants: every part lives as long as the machine;
 * of an ended
 * thread only what it added to the machine's counters is kept.
 */
#include "sim/sim_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* -- opening --------------------------------------------------------------------------------------*/

static void set_costs(struct sim *s)
{
    const struct conf *c = &s->conf;

    s->step_cost[STEP_FAULT_ENTRY] = c->cost_fault_entry;
    s->step_cost[STEP_VMA_LOOKUP] = c->cost_vma_lookup;
    s->step_cost[STEP_ALLOC] = c->cost_alloc;
    s->step_cost[STEP_CHARGE] = c->cost_charge;
    s->step_cost[STEP_TABLE] = c->cost_table;
    s->step_cost[STEP_PAGECACHE] = c->cost_pagecache;
    s->step_cost[STEP_PTE] = c->cost_pte;
    s->step_cost[STEP_AROUND] = c->cost_around;
    s->step_cost[STEP_MKWRITE] = c->cost_mkwrite;
    s->step_cost[STEP_VMA_CHANGE] = c->cost_vma_change;
    s->step_cost[STEP_ZAP] = c->cost_zap;
    s->step_cost[STEP_IO] = c->cost_io;
    s->step_cost[STEP_SYSCALL] = c->cost_syscall;
    s->step_cost[STEP_SIGNAL] = c->cost_signal;
    s->step_cost[STEP_FIXUP] = c->cost_fixup;
    s->step_cost[STEP_ALLOC_SLOW] = c->cost_alloc_slow;
    s->step_cost[STEP_DIRECT_RECLAIM] = c->cost_direct_reclaim;
    s->step_cost[STEP_RECLAIM] = c->cost_reclaim;
    s->step_cost[STEP_SWAP_OUT] = c->cost_swap_out;
    s->step_cost[STEP_SWAP_IN] = c->cost_swap_in;
    s->step_cost[STEP_WRITEBACK] = c->cost_writeback;
    s->step_cost[STEP_COMPACT] = c->cost_compact;
    s->step_cost[STEP_FORK_VMA] = c->cost_fork_vma;
    s->step_cost[STEP_FORK_PTE] = c->cost_fork_pte;
    s->step_cost[STEP_CONTENTION] = c->cost_contention;
    s->lock_cost[LOCK_PTE] = c->cost_pte;
    s->lock_cost[LOCK_ZONE] = c->cost_lock_zone;
    s->lock_cost[LOCK_LRU] = c->cost_lock_lru;
    s->level_cost[MEM_L2] = c->l2_latency - min_u64(c->l1d_latency, c->l2_latency);
    s->level_cost[MEM_L3] = c->l3_latency - min_u64(c->l1d_latency, c->l3_latency);
    s->level_cost[MEM_DRAM] = c->dram_latency - min_u64(c->l1d_latency, c->dram_latency);
}

static int open_cores(struct sim *s)
{
    unsigned n = (unsigned)s->conf.cpu_cores;

    s->cores = aligned_alloc(64, n * align_up(sizeof(*s->cores), 64));
    if (!s->cores)
        return -ENOMEM;
    memset(s->cores, 0, n * sizeof(*s->cores));
    for (unsigned i = 0; i < n; i++) {
        int err = mmu_core_open(&s->cores[i], &s->conf, s->phys, &s->l3, s->cores, n, &s->stats);
        if (err)
            return err;
    }
    return 0;
}

static int open_kernel(struct sim *s)
{
    int err = mm_sys_open(&s->mm_sys, &s->conf, s->phys, &s->stats, &s->outbox);

    if (!err)
        err = kern_open(&s->kern, &s->conf, s->phys, s->mm_sys, &s->stats, &s->outbox);
    if (!err)
        err = procs_open(s);
    s->outbox.n = 0;
    return err;
}

int sim_open(struct sim **ret, const struct conf *conf)
{
    struct sim *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->conf = *conf;
    set_costs(s);
    sched_open_machine(s);
    s->core_stats = calloc(conf->cpu_cores, sizeof(*s->core_stats));
    int err = s->core_stats ? arch_outbox_open(&s->outbox) : -ENOMEM;
    if (!err)
        err = phys_open(&s->phys, &s->conf, &s->stats);
    if (!err)
        err = cache_open(&s->l3, conf->l3_size, (unsigned)conf->l3_ways,
                         (enum conf_cache_policy)conf->l3_policy, conf->seed);
    if (!err)
        err = open_cores(s);
    if (!err)
        kern_tlb_open(&s->tlb, &s->conf, &s->stats);
    if (!err)
        err = open_kernel(s);
    if (err) {
        sim_close(s);
        return err;
    }
    entry_open(s);
    account(s, NULL); /* boot */
    *ret = s;
    return 0;
}

static void thread_free(struct sim *s, struct sim_thread *t)
{
    lock_thread_close(s, t);
    s->current = s->current == t ? NULL : s->current;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    free(t->pending.iov);
    free(t->pending.bytes);
    free(t->pending.earlier);
    free(t);
}

void sim_close(struct sim *s)
{
    if (!s)
        return;
    AUDIT(ASSERT(!s->core_stats || account_audit(s) == 0));
    while (s->threads)
        thread_free(s, s->threads);
    blocks_close(s);
    procs_close(s);
    accounts_close(s);
    channels_close(s);
    spaces_close(s);
    if (s->kern)
        kern_close(s->kern);
    if (s->mm_sys)
        mm_sys_close(s->mm_sys);
    for (unsigned i = 0; s->cores && i < s->conf.cpu_cores; i++)
        mmu_core_close(&s->cores[i]);
    free(s->cores);
    cache_close(&s->l3);
    if (s->phys)
        phys_close(s->phys);
    arch_outbox_close(&s->outbox);
    free(s->copies.copy);
    free(s->orders);
    free(s->moments);
    free(s->areas);
    free(s);
}

/* -- threads --------------------------------------------------------------------------------------*/

struct sim_thread *sim_thread_open(struct sim *s)
{
    struct sim_thread *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->proc = s->procs;
    t->serial = ++s->n_threads;
    sched_thread_open(s, t);
    t->join = NO_JOIN;
    t->starting = true; /* until a record says that it starts otherwise */
    t->next = s->threads;
    t->link = &s->threads;
    if (t->next)
        t->next->link = &t->next;
    s->threads = t;
    lock_thread_open(s, t);
    return t;
}

void sim_thread_close(struct sim *s, struct sim_thread *t)
{
    account(s, t);
    if (t->block && !t->pending.open)
        block_cut(s, t, false);
    uint64_t now = sched_time(t);
    sched_thread_ends(s, t);
    proc_left(s, t);
    s->counts_wrong += t->counts_wrong;
    sched_thread_close(s, t);
    account(s, s->current == t ? NULL : s->current);
    thread_free(s, t);
    channel_ends(s, now);
}

uint32_t sim_thread_epoch(const struct sim_thread *t)
{
    return t->epoch;
}

void sim_order_forced(struct sim *s)
{
    account(s, NULL);
    STAT(&s->stats, div_order_forced)++;
    account(s, s->current);
}

void sim_follow_tree(struct sim *s)
{
    s->tree = true;
}

/* -- reading ----------------------------------------------------------------------------------------*/

const struct conf *sim_conf(const struct sim *s)
{
    return &s->conf;
}

const struct stat_set *sim_stats(const struct sim *s)
{
    return &s->stats;
}

void sim_cycles(const struct sim *s, struct cpu_cycles *ret)
{
    cpu_cycles(&s->conf, &s->stats, ret);
}

void sim_machine(struct sim *s, struct proc_machine *ret)
{
    *ret = (struct proc_machine){&s->conf, s->phys, s->mm_sys, &s->stats};
}

const struct phys *sim_phys(const struct sim *s)
{
    return s->phys;
}

struct mm *sim_mm(struct sim *s)
{
    return s->procs->mm;
}

void sim_oom(const struct sim *s, struct sim_oom *ret)
{
    *ret = (struct sim_oom){.at_event = s->oom_at_event, .panics = mm_oom_panics(s->mm_sys)};
    ret->event = mm_oom_events(s->mm_sys, &ret->kills);
}

void sim_pool(const struct sim *s, enum mm_hugetlb_size size, struct sim_pool *ret)
{
    bool small = size == MM_HUGETLB_2M;
    *ret = (struct sim_pool){.asked = small ? s->conf.hugetlb_2m : s->conf.hugetlb_1g,
                             .nodes = (unsigned)s->conf.numa_nodes};
    mm_hugetlb_info(s->mm_sys, size, &ret->now);
    for (unsigned i = 0; i < ret->nodes; i++)
        ret->boot_node[i] = mm_hugetlb_boot(s->mm_sys, size, i);
}

unsigned sim_counts_wrong(const struct sim *s)
{
    unsigned wrong = s->counts_wrong;

    for (const struct sim_thread *t = s->threads; t; t = t->next)
        wrong += t->counts_wrong;
    return wrong;
}

/* audit_spaces: mm_audit looks at all address spaces, whichever it is given. */
static int audit_spaces(const struct sim *s)
{
    const struct sim_proc *p = s->procs;

    while (p && !p->mm)
        p = p->next;
    return p ? mm_audit(p->mm) : 0;
}

int sim_audit(struct sim *s)
{
    int err = phys_audit(s->phys);

    if (!err)
        err = kern_memory_audit(s->kern);
    if (!err)
        err = audit_spaces(s);
    for (unsigned i = 0; !err && i < s->conf.cpu_cores; i++)
        err = mmu_audit(&s->cores[i]);
    if (!err)
        err = space_audit(s);
    return err;
}
