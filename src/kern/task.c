/* task.c: what a thread costs the kernel: its stack and its task structure.
 *
 *   kernel stack   stack.c: usually 4 frames, each allocated alone and mapped together (VMAP_STACK)
 *   task_struct    about 10 KiB: 3 of them in a slab of 8 frames
 *
 * Invariants:
 *  I1  Every task owns a kernel stack and one object of a slab.
 *  I2  A slab without a used object has been given back.
 *
 * Source: Linux kernel/fork.c (dup_task_struct, alloc_thread_stack_node), mm/slub.c
 * (calculate_order); sizes of /proc/slabinfo on 6.18.
 */
#include "kern/kern_int.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

/* open_memory builds what lies in memory at boot: the address space, and the CPUs' stacks. */
static int open_memory(struct kern *k)
{
    int err = layout_open(&k->layout, k->phys, k->conf, kern_kpti(k->conf));
    if (!err)
        err = stacks_open(&k->stacks, &k->layout, k->conf, k->stats, k->outbox);
    if (err)
        return err;
    layout_booted(&k->layout);
    if (k->sys)
        mm_sys_set_kernel(k->sys, &k->layout.pt);
    return 0;
}

int kern_open(struct kern **ret, const struct conf *conf, struct phys *phys, struct mm_sys *sys,
              struct stat_set *stats, struct arch_outbox *outbox)
{
    struct kern *k = calloc(1, sizeof *k);
    if (!k)
        return -ENOMEM;
    k->conf = conf;
    k->phys = phys;
    k->sys = sys;
    k->stats = stats;
    k->outbox = outbox;
    k->current = kern_proc_new(k);
    int err = !k->current ? -ENOMEM : phys ? open_memory(k) : 0;
    if (err) {
        kern_close(k);
        return err;
    }
    *ret = k;
    return 0;
}

void kern_close(struct kern *k)
{
    if (!k)
        return;
    while (k->n_task)
        kern_task_exit(k, k->task[k->n_task - 1].tid);
    stacks_close(&k->stacks);
    if (k->sys)
        mm_sys_set_kernel(k->sys, NULL);
    layout_close(&k->layout);
    free(k->task);
    free(k->slab);
    kern_procs_close(k);
    free(k);
}

struct kern_task *task_of(struct kern *k, uint32_t tid)
{
    if (k->last_task < k->n_task && k->task[k->last_task].tid == tid)
        return &k->task[k->last_task];
    for (uint32_t i = 0; i < k->n_task; i++)
        if (k->task[i].tid == tid) {
            k->last_task = i;
            return &k->task[i];
        }
    return NULL;
}

/* slab_with_room returns the index of a slab that has a free object, or n_slab. */
static uint32_t slab_with_room(const struct kern *k)
{
    uint32_t i = 0;
    while (i < k->n_slab &&
           (pfn_is_none(k->slab[i].first) || k->slab[i].used == (1u << KERN_TASKS_IN_SLAB) - 1))
        i++;
    return i;
}

/* slab_new allocates the frames of a slab; reuses the record of one given back. */
static int slab_new(struct kern *k, uint32_t *ret)
{
    pfn first;
    if (phys_alloc(k->phys, KERN_SLAB_ORDER, GFP_KERNEL, FRAME_SLAB, &first))
        return -ENOMEM;
    uint32_t i = 0;
    while (i < k->n_slab && !pfn_is_none(k->slab[i].first))
        i++;
    if (i == k->n_slab) {
        k->slab = kern_grow(k->slab, k->n_slab, &k->cap_slab, sizeof *k->slab);
        k->n_slab++;
    }
    k->slab[i] = (struct kern_slab){first, 0};
    *ret = i;
    return 0;
}

static void slab_drop_if_empty(struct kern *k, uint32_t i)
{
    if (k->slab[i].used)
        return;
    phys_free(k->phys, k->slab[i].first, KERN_SLAB_ORDER);
    k->slab[i].first = PFN_NONE; /* I2 */
}

static int object_alloc(struct kern *k, struct kern_task *t)
{
    uint32_t i = slab_with_room(k);
    if (i == k->n_slab && slab_new(k, &i))
        return -ENOMEM;
    t->slab = i;
    t->slot = (uint32_t)__builtin_ctz(~k->slab[i].used);
    k->slab[i].used |= 1u << t->slot;
    return 0;
}

static void object_free(struct kern *k, const struct kern_task *t)
{
    CHECK(k->slab[t->slab].used & (1u << t->slot)); /* I1 */
    k->slab[t->slab].used &= ~(1u << t->slot);
    slab_drop_if_empty(k, t->slab);
}

int kern_task_new(struct kern *k, uint32_t tid)
{
    struct kern_task t = {.tid = tid, .proc = k->current, .clear_child_tid = tid_expected(k, tid)};
    if (object_alloc(k, &t))
        return -ENOMEM;
    if (stack_alloc(&k->stacks, k->cpu, &t.stack)) {
        object_free(k, &t);
        return -ENOMEM;
    }
    t.stack.tid = tid;
    k->task = kern_grow(k->task, k->n_task, &k->cap_task, sizeof *k->task);
    k->task[k->n_task++] = t;
    return 0;
}

void kern_set_cpu(struct kern *k, unsigned cpu)
{
    k->cpu = cpu;
}

static void task_free(struct kern *k, uint32_t i)
{
    stack_free(&k->stacks, k->cpu, &k->task[i].stack);
    object_free(k, &k->task[i]);
    k->task[i] = k->task[--k->n_task];
}

void kern_task_exit(struct kern *k, uint32_t tid)
{
    uint32_t i = 0;
    while (i < k->n_task && k->task[i].tid != tid)
        i++;
    if (i < k->n_task) /* else a thread that found no memory at its start */
        task_free(k, i);
}

void tasks_exit(struct kern *k, const struct kern_proc *p)
{
    for (uint32_t i = k->n_task; i-- > 0;)
        if (k->task[i].proc == p)
            task_free(k, i);
}

void de_thread(struct kern *k, const struct kern_proc *p, uint32_t tid)
{
    bool found = false;
    for (uint32_t i = k->n_task; i-- > 0;) {
        if (k->task[i].proc != p)
            continue;
        if (found)
            task_free(k, i);
        else {
            k->task[i].tid = k->task[i].stack.tid = tid;
            k->task[i].clear_child_tid = k->task[i].robust_list = va(0);
        }
        found = true;
    }
}
