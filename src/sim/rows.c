/* rows.c: what a report tells of each process, thread and core: the records of proc.c and the sums of
 * account.c as plain values, in order of beginning. */
#include "sim/sim_int.h"

#include <stdlib.h>
#include <string.h>

#define PS_PER_NS 1000u

/* highest: address spaces it gave up count for its peaks. */
static void highest(struct mm_counters *c, const struct mm_counters *before)
{
    c->rss_peak = max_u64(c->rss_peak, before->rss_peak);
    c->total_vm_peak = max_u64(c->total_vm_peak, before->total_vm_peak);
    c->pte_bytes = max_u64(c->pte_bytes, before->pte_bytes);
}

static enum sim_end end_of(const struct sim_proc *p)
{
    if (p->state == PROC_FORKED)
        return p->left ? SIM_END_NONE : SIM_END_UNSEEN;
    if (p->native != 0)
        return SIM_END_NATIVE;
    if (p->exit_known)
        return p->exit_signal ? SIM_END_SIGNAL : SIM_END_EXIT;
    return p->state == PROC_ENDED && !p->left ? SIM_END_UNKNOWN : SIM_END_NONE;
}

static void read_process(const struct sim_proc *p, struct sim_process *ret)
{
    *ret = (struct sim_process){.pid = p->pid,
                                .ppid = p->ppid,
                                .generation = p->generation,
                                .argv = p->argv,
                                .argv_bytes = p->argv_bytes,
                                .end = end_of(p),
                                .exit_code = p->exit_code,
                                .signal = p->exit_signal,
                                .native = p->native,
                                .programs = p->images,
                                .begin_ns = p->begin_ps / PS_PER_NS,
                                .end_ns = p->last_ps / PS_PER_NS,
                                .space = p->mm};
    memcpy(ret->path, p->path, sizeof(ret->path));
    memcpy(ret->native_path, p->native_path, sizeof(ret->native_path));
    memcpy(ret->comm, p->comm, sizeof(ret->comm));
    if (p->native && p->native_path[0])
        control_comm(ret->comm, p->native_path);
    if (p->mm)
        mm_counters(p->mm, &ret->mm);
    highest(&ret->mm, &p->peak);
}

void sim_overflow(const struct sim *s, struct sim_overflow *ret)
{
    struct stack_overflow o;

    *ret = (struct sim_overflow){0};
    if (!kern_overflow(s->kern, &o))
        return;
    *ret = (struct sim_overflow){.times = o.times,
                                 .tid = o.tid,
                                 .outer = stack_use_name(o.outer),
                                 .last = stack_use_name(o.last),
                                 .used = o.used,
                                 .size = o.size,
                                 .guarded = o.guarded};
    for (uint32_t i = 0; i < s->n_sums && ret->pid == 0; i++)
        if (s->sums[i]->tid == o.tid && s->sums[i]->proc) {
            ret->pid = s->sums[i]->proc->pid;
            memcpy(ret->comm, s->sums[i]->proc->comm, sizeof(ret->comm));
        }
}

static void add_thread(struct sim_process *p, const struct thread_sum *x)
{
    p->threads++;
    for (int k = 0; k < STAT_NR; k++)
        p->stats.v[k] += x->stats.v[k];
    p->mm.minflt = STAT(&p->stats, minor_faults); /* of all its address spaces: getrusage(2) */
    p->mm.majflt = STAT(&p->stats, major_faults);
}

/* live_until: who is not over has its end where its threads are now. */
static void live_until(const struct sim *s, struct sim_process *of)
{
    for (const struct sim_thread *t = s->threads; t; t = t->next) {
        struct sim_process *p = &of[t->proc->number];
        p->end_ns = max_u64(p->end_ns, sched_time(t) / PS_PER_NS);
    }
}

struct sim_process *sim_processes(struct sim *s, uint32_t *ret_n)
{
    struct sim_process *x = calloc(s->n_procs, sizeof(*x));

    *ret_n = x ? s->n_procs : 0;
    account(s, s->current);
    for (const struct sim_proc *p = s->procs; x && p; p = p->next)
        read_process(p, &x[p->number]);
    for (uint32_t i = 0; x && i < s->n_sums; i++)
        if (s->sums[i]->proc)
            add_thread(&x[s->sums[i]->proc->number], s->sums[i]);
    if (x)
        live_until(s, x);
    return x;
}

void sim_process(const struct sim *s, struct sim_process *ret)
{
    read_process(s->procs, ret);
}

struct sim_row *sim_thread_rows(struct sim *s, uint32_t *ret_n)
{
    struct sim_row *x = calloc(s->n_sums + 1, sizeof(*x));

    *ret_n = x ? s->n_sums : 0;
    account(s, s->current);
    for (uint32_t i = 0; i < *ret_n; i++) {
        const struct thread_sum *t = s->sums[i];
        x[i] = (struct sim_row){.pid = t->proc ? t->proc->pid : 0,
                                .tid = t->tid,
                                .core = t->core,
                                .begin_ns = t->begin_ps / PS_PER_NS,
                                .end_ns = t->end_ps / PS_PER_NS,
                                .over = t->over,
                                .stats = &t->stats};
    }
    return x;
}

const struct stat_set *sim_core_stats(struct sim *s, unsigned core)
{
    account(s, s->current);
    return &s->core_stats[core];
}

const struct stat_set *sim_nobodys_stats(struct sim *s)
{
    account(s, s->current);
    return &s->others;
}

const struct stat_set *sim_coreless_stats(struct sim *s)
{
    account(s, s->current);
    return &s->coreless;
}
