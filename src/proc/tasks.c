/* tasks.c: what a process shows of its memory as a whole: the name of each mapping, status, stat,
 * statm.
 *
 * Source: Linux 6.18 fs/proc/task_mmu.c (get_vma_name, task_mem, task_statm), fs/proc/array.c
 * (do_task_stat), include/linux/mm.h (vma_is_initial_heap, vma_is_initial_stack).
 */
#include "proc/gather.h"

#include "mm/view.h"

#include <sys/sysmacros.h>

#define VSYSCALL_START UINT64_C(0xffffffffff600000)

const struct proc_map proc_vsyscall = {.start = VSYSCALL_START,
                                       .end = VSYSCALL_START + PAGE_SIZE,
                                       .flags = VM_EXEC,
                                       .label = "[vsyscall]"};

static const char *label_of(const struct mm *m, const struct vma *v)
{
    const struct mm_layout *at = mm_layout(m);
    uint64_t start, end;
    if (v->kind == VMA_VDSO)
        return "[vdso]";
    if (v->kind == VMA_VVAR)
        return at->vvar_vclock != 0 && v->start.v >= at->vvar_vclock ? "[vvar_vclock]" : "[vvar]";
    mm_heap(m, &start, &end);
    if (v->start.v < end && v->end.v > start)
        return "[heap]";
    bool stack = v->start.v <= at->start_stack && v->end.v >= at->start_stack;
    return stack && at->start_stack != 0 ? "[stack]" : NULL;
}

void proc_map_of(const struct mm *m, const struct vma *v, struct proc_map *ret)
{
    *ret = (struct proc_map){.start = v->start.v, .end = v->end.v, .flags = v->flags};
    if (v->file == NULL) {
        ret->label = label_of(m, v);
        return;
    }
    struct mm_file_view f;
    mm_file_view(v->file, &f);
    ret->offset = v->pgoff << PAGE_SHIFT;
    ret->major = major(f.dev);
    ret->minor = minor(f.dev);
    ret->inode = f.ino;
    ret->path = f.path;
}

/* -- sums ---------------------------------------------------------------------------------------- */

#define KB(pages) ((pages) << (PAGE_SHIFT - 10))

/* The pages from the first to the last byte of code: VmExe, statm's text. */
static uint64_t text_pages(const struct mm *m)
{
    const struct mm_layout *at = mm_layout(m);
    return (align_up(at->end_code, PAGE_SIZE) - align_down(at->start_code, PAGE_SIZE)) >>
           PAGE_SHIFT;
}

static uint64_t resident(const struct mm_counters *c)
{
    return c->rss[MM_FILEPAGES] + c->rss[MM_ANONPAGES] + c->rss[MM_SHMEMPAGES];
}

void proc_status_of(const struct mm *m, struct proc_status *ret)
{
    const struct mm_task *t = mm_task(m);
    struct mm_counters c;
    mm_counters(m, &c);
    uint64_t text = min_u64(text_pages(m), c.exec_vm);
    *ret = (struct proc_status){
        .name = t->comm,
        .tgid = t->tgid,
        .pid = t->pid,
        .peak = KB(max_u64(c.total_vm_peak, c.total_vm)),
        .size = KB(c.total_vm),
        .lck = KB(c.locked_vm),
        .hwm = KB(max_u64(c.rss_peak, resident(&c))),
        .rss = KB(resident(&c)),
        .rss_anon = KB(c.rss[MM_ANONPAGES]),
        .rss_file = KB(c.rss[MM_FILEPAGES]),
        .rss_shmem = KB(c.rss[MM_SHMEMPAGES]),
        .data = KB(c.data_vm),
        .stk = KB(c.stack_vm),
        .exe = KB(text),
        .lib = KB(c.exec_vm - text),
        .pte = c.pte_bytes >> 10,
        .swap = KB(c.swapents),
        .hugetlb = KB(c.hugetlb),
        .thp_enabled = mm_thp_enabled(m),
        .untag_mask = UINT64_MAX,
        .threads = 1,
    };
}

void proc_statm_of(const struct mm *m, struct proc_statm *ret)
{
    struct mm_counters c;
    mm_counters(m, &c);
    *ret = (struct proc_statm){
        .size = c.total_vm,
        .resident = resident(&c),
        .shared = c.rss[MM_FILEPAGES] + c.rss[MM_SHMEMPAGES],
        .text = text_pages(m),
        .data = c.data_vm + c.stack_vm,
    };
}

/* Fields that are not about memory stay 0, but for those that every simple process has. */
void proc_stat_of(const struct mm *m, struct proc_stat *ret)
{
    const struct mm_task *t = mm_task(m);
    const struct mm_layout *at = mm_layout(m);
    struct mm_counters c;
    mm_counters(m, &c);
    *ret = (struct proc_stat){.comm = t->comm, .state = 'R'};
    uint64_t *v = ret->v;
    v[1] = t->pid;
    v[10] = c.minflt;
    v[12] = c.majflt;
    v[18] = 20; /* priority of nice 0 */
    v[20] = 1;  /* threads */
    v[23] = c.total_vm << PAGE_SHIFT;
    v[24] = resident(&c);
    v[25] = UINT64_MAX; /* RLIMIT_RSS, which bounds nothing */
    v[26] = at->start_code;
    v[27] = at->end_code;
    v[28] = at->start_stack;
    v[38] = 17; /* SIGCHLD */
    v[39] = t->cpu;
    v[45] = at->start_data;
    v[46] = at->end_data;
    mm_heap(m, &v[47], &(uint64_t){0});
    v[48] = at->arg_start;
    v[49] = at->arg_end;
    v[50] = at->env_start;
    v[51] = at->env_end;
}
