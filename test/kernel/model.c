/* model.c: sequences on the model.
 *
 * A subject is a program of its own (subject.c): the model's process begins with the same VMAs and
 * the same pages touched, so that chosen addresses, merging, VmSize and VmPTE are the kernel's.
 */
#include "kernel/model.h"
#include "mm/view.h"
#include "phys/phys.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* -- a program's access ---------------------------------------------------------------------- */

/* faults: what the processor makes of an access, looking at the tables as a walker does. */
static bool faults(struct mm *m, uint64_t a, uint32_t code, struct arch_fault *f)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(m), va(a), &level);
    *f = (struct arch_fault){.cr2 = va(a), .code = code | FAULT_U};
    f->noncanonical = (uint64_t)((int64_t)(a << 16) >> 16) != a; /* 4 levels: 48 bits */
    if (f->noncanonical || !e || !pte_present(*e))
        return true;
    f->code |= FAULT_P;
    return (code & FAULT_W && !(e->v & PTE_RW)) || (code & FAULT_I && e->v & PTE_NX);
}

bool model_touch(struct model *w, struct mm *m, uint64_t addr, uint32_t code, struct answer *a)
{
    struct arch_fault f;
    unsigned level;
    while (faults(m, addr, code, &f)) {
        struct mm_verdict v = {0};
        mm_fault(m, &f, &v);
        shadow_drain(w);
        if (v.oom) { /* the OOM killer found nobody else */
            a->signal = SIGKILL;
            return false;
        }
        if (v.signal) {
            a->signal = v.signal;
            a->code = v.si_code;
            a->where = f.noncanonical ? 0 : f.cr2.v; /* a #GP has no address */
            return false;
        }
    }
    pt_leaf(mm_pt(m), va(addr), &level)->v |= PTE_A | (code & FAULT_W ? PTE_D : 0);
    shadow_fill(w, m, addr);
    return true;
}

void model_store(struct model *w, struct mm *m, uint64_t addr, uint64_t value)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(m), va(addr), &level);
    pfn n = pte_leaf_pfn(*e, level);
    n.v += addr % BIT(pt_level_shift(level)) / K;
    memcpy((uint8_t *)phys_bytes(w->phys, n) + addr % K, &value, sizeof(value));
}

/* -- the machine ------------------------------------------------------------------------------- */

/* What a subject may do: it is root, but on the reference machine without CAP_SYS_RESOURCE. */
static void set_task(struct mm *m)
{
    struct mm_task t = *mm_task(m);
    t.caps = UINT64_MAX & ~BIT(CAP_SYS_RESOURCE);
    t.uid = 0;
    t.gid = 0; /* setresuid leaves it */
    mm_set_task(m, &t);
}

static void machine_open(struct model *w, const struct sequence *q)
{
    conf_init(&w->conf);
    w->conf.phys_size = MIB(512);
    w->conf.phys_contents = true;
    native_shape(w->native, q, &w->conf);
    w->conf.kernel_mmap_min_addr = native_min_addr();
    ASSERT(arch_outbox_open(&w->out) == 0);
    ASSERT(phys_open(&w->phys, &w->conf, &w->stats) == 0);
    ASSERT(mm_sys_open(&w->sys, &w->conf, w->phys, &w->stats, &w->out) == 0);
    ASSERT(mm_open(&w->zygote, w->sys) == 0);
    set_task(w->zygote);
    w->file = mm_file(w->sys, 8, 100, FILE_BYTES, "/data");
    mm_file_set_traits(w->file, MM_FILE_ROOTS);
    mm_file_backing(w->file, native_pristine(w->native));
    ASSERT(mm_memfd(w->sys, "pw", 2 /* MFD_ALLOW_SEALING */, &w->memfd) == 0);
    ASSERT(mm_ftruncate(w->sys, w->memfd, MEMFD_PAGES * K) == 0);
    w->pipe = mm_file(w->sys, 1, 202, 0, "/pipe");
    mm_file_set_traits(w->pipe, MM_FILE_NOMMAP | MM_FILE_NOEXEC);
    w->zero = mm_file(w->sys, 1, 5, 0, "/dev/zero");
    w->control = mm_file(w->sys, 1, 201, align_up(sizeof(struct control), K), "/memfd:control");
}

/* import_vma makes one of the VMAs a subject has before its first call. */
static void import_vma(struct model *w, const struct own *o)
{
    struct mm *m = w->zygote;
    uint64_t len = o->end - o->start;
    uint32_t prot = (o->perms[0] == 'r' ? PROT_READ : 0u) | (o->perms[1] == 'w' ? PROT_WRITE : 0u) |
                    (o->perms[2] == 'x' ? PROT_EXEC : 0u);
    if (strcmp(o->name, "[stack]") == 0) {
        ASSERT(mm_map_stack(m, va(o->start), va(o->end), MIB(8)) == 0);
    } else if (strcmp(o->name, "[vdso]") == 0) {
        ASSERT(mm_map_special(m, va(o->start), len, o->flags, VMA_VDSO) == 0);
    } else if (strncmp(o->name, "[v", 2) == 0) {
        ASSERT(mm_map_special(m, va(o->start), len, o->flags, VMA_VVAR) == 0);
    } else {
        bool shared = o->perms[3] == 's';
        struct mm_file *f = shared ? w->control : mm_file(w->sys, 8, 101, MIB(1), "/subject");
        struct mm_map map = {.addr = va(o->start),
                             .len = len,
                             .prot = prot,
                             .flags = MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE),
                             .file = f,
                             .file_writable = true,
                             .offset = o->offset};
        ASSERT(mm_mmap(m, &map) == (int64_t)o->start);
        if (!shared)
            mm_file_put(w->sys, f);
    }
}

struct import {
    struct model *w;
    struct mm *m;
    bool first; /* the zygote: it wrote its stack; its children only have it */
};

static void import_page(void *arg, uint64_t addr)
{
    struct import *i = arg;
    struct answer a = {0};
    const struct vma *v = mm_vma_at(i->m, va(addr));
    model_touch(i->w, i->m, addr, i->first && v->flags & VM_WRITE ? FAULT_W : 0, &a);
}

static void import_pages(struct model *w, struct mm *m, unsigned proc)
{
    native_present(w->native, proc, import_page, &(struct import){w, m, m == w->zygote});
}

/* fork_from makes the process of slot `child`, as far as the kernel's child came already. */
static int fork_from(struct model *w, struct mm *parent, unsigned child)
{
    int err = mm_fork(&w->mm[child], parent);
    if (err)
        return err;
    mm_set_task(w->mm[child], mm_task(parent));
    import_pages(w, w->mm[child], child);
    return 0;
}

int model_fork(struct model *w, unsigned parent, unsigned child)
{
    memcpy(w->fd[child], w->fd[parent], sizeof(w->fd[child]));
    w->many[child] = w->many[parent];
    return fork_from(w, w->mm[parent], child);
}

struct model *model_begin(const struct native *k, const struct sequence *q)
{
    struct model *w = calloc(1, sizeof(*w));
    struct mm_layout at = {0};
    unsigned n;
    uint64_t brk;
    ASSERT(w);
    w->native = k;
    machine_open(w, q);
    const struct own *own = native_own(k, &n, &brk);
    for (unsigned i = 0; i < n; i++)
        import_vma(w, &own[i]);
    mm_set_brk(w->zygote, va(brk));
    native_data(k, &at.start_data, &at.end_data);
    mm_set_layout(w->zygote, &at);
    import_pages(w, w->zygote, 0);
    mm_thp_disable(w->zygote, true, false);
    ASSERT(fork_from(w, w->zygote, 0) == 0);
    mm_thp_disable(w->mm[0], !q->thp, false);
    return w;
}

void model_end(struct model *w, bool broken)
{
    for (unsigned i = 0; i < SLOTS && !broken; i++)
        if (w->mm[i])
            mm_close(w->mm[i]);
    if (!broken) { /* else what it holds is lost with the process: its tables cannot be trusted */
        mm_close(w->zygote);
        for (unsigned i = 0; i < w->n_made; i++)
            mm_file_put(w->sys, w->made[i]);
        mm_file_put(w->sys, w->file);
        mm_file_put(w->sys, w->memfd);
        mm_file_put(w->sys, w->pipe);
        mm_file_put(w->sys, w->zero);
        mm_file_put(w->sys, w->control);
        mm_sys_close(w->sys);
        phys_close(w->phys);
    }
    shadow_close(w);
    arch_outbox_close(&w->out);
    free(w);
}

int model_audit(struct model *w)
{
    int broken = mm_audit(w->zygote); /* of all address spaces */
    return broken != 0 || shadow_audit(w) ? broken : MODEL_STALE;
}

/* of_test_file: a range of the caller meets the test file. */
static bool of_test_file(const struct model *w, const struct call *c)
{
    uint64_t end = c->arg[0] + align_up(c->arg[1], K);
    const struct vma *v = mm_vma_next(w->mm[c->proc], va(c->arg[0]));
    while (v && v->start.v < end && v->file != w->file)
        v = v->next;
    return v && v->start.v < end;
}

bool model_left_out(const struct model *w, const struct call *c)
{
    if (call_kinds[c->kind].nr != SYS_madvise)
        return false;
    return (c->arg[2] == MADV_REMOVE || c->arg[2] == MADV_PAGEOUT) && of_test_file(w, c);
}

void model_call(struct model *w, const struct call *c, struct answer *ret)
{
    struct mm_counters before, after;
    struct mm *m = w->mm[c->proc];
    memset(ret, 0, sizeof(*ret));
    mm_counters(m, &before);
    ret->result = call_kinds[c->kind].model(w, c, ret);
    shadow_drain(w);
    if (w->mm[c->proc] != m)
        return; /* it ended */
    mm_counters(m, &after);
    ret->minflt = after.minflt - before.minflt;
    ret->majflt = after.majflt - before.majflt;
}
