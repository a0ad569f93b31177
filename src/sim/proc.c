/* proc.c: processes: what the threads of one share, and which one the machine works for.
 *
 *   sim ─► procs ─► struct sim_proc ─► mm, descriptors, signal handlers, mmap_lock
 *                          ▲
 *   sim_thread.proc ───────┘            sim.current: the thread that is fed
 *
 * Invariants:
 *  I1  Every thread has a process. A stream belongs to the first one until its first record is read.
 *  I2  While words of a thread are fed it is sim.current, its process is the kernel's current one, and
 *      CR3 of its core names its address space (before a program's first instruction: once exec is done).
 */
#include "sim/sim_int.h"

#include <stdlib.h>

struct sim_proc *proc_open(struct sim *s)
{
    struct sim_proc *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->kern = s->procs ? kern_proc_new(s->kern) : kern_current(s->kern);
    if (!p->kern || mm_open(&p->mm, s->mm_sys) != 0) {
        free(p);
        return NULL;
    }
    *s->procs_end = p;
    s->procs_end = &p->next;
    return p;
}

void procs_close(struct sim *s)
{
    for (struct sim_proc *p = s->procs, *next; p; p = next) {
        next = p->next;
        mm_close(p->mm);
        free(p);
    }
    s->procs = NULL;
}

/* load_space: without ASIDs a core keeps the translations of one address space. */
static void load_space(struct sim_thread *t)
{
    pfn root = mm_pt(t->proc->mm)->root;

    if (!t->starting && t->core->root.v != root.v)
        mmu_load_cr3(t->core, root, PCID_PROGRAM, false);
}

void proc_switch(struct sim *s, struct sim_thread *t)
{
    attrib_forget(s);
    s->current = t;
    kern_switch(s->kern, t->proc->kern);
    load_space(t);
}
