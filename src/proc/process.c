/* process.c: PID/status (its memory lines), stat, statm.
 *
 * Source: Linux 6.18 fs/proc/array.c (proc_pid_status, do_task_stat, proc_pid_statm),
 * fs/proc/task_mmu.c (task_mem).
 */
#include "proc/text.h"

#include <inttypes.h>

static void put_kb(struct sink *out, const char *name, uint64_t kb)
{
    sink_fmt(out, "%s:\t%8" PRIu64 " kB\n", name, kb);
}

void proc_put_status_vm(struct sink *out, const struct proc_status *s)
{
    put_kb(out, "VmPeak", s->peak);
    put_kb(out, "VmSize", s->size);
    put_kb(out, "VmLck", s->lck);
    put_kb(out, "VmPin", s->pin);
    put_kb(out, "VmHWM", s->hwm);
    put_kb(out, "VmRSS", s->rss);
    put_kb(out, "RssAnon", s->rss_anon);
    put_kb(out, "RssFile", s->rss_file);
    put_kb(out, "RssShmem", s->rss_shmem);
    put_kb(out, "VmData", s->data);
    put_kb(out, "VmStk", s->stk);
    put_kb(out, "VmExe", s->exe);
    put_kb(out, "VmLib", s->lib);
    put_kb(out, "VmPTE", s->pte);
    put_kb(out, "VmSwap", s->swap);
    put_kb(out, "HugetlbPages", s->hugetlb);
    sink_fmt(out, "CoreDumping:\t%u\n", s->core_dumping);
    sink_fmt(out, "THP_enabled:\t%u\n", s->thp_enabled);
    sink_fmt(out, "untag_mask:\t%#" PRIx64 "\n", s->untag_mask);
}

/* proc_task_name: status keeps a name on one line; stat does not care. */
static void put_name(struct sink *out, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '\n' || *name == '\\')
            sink_char(out, '\\');
        sink_char(out, *name == '\n' ? 'n' : *name);
    }
}

void proc_put_status(struct sink *out, const struct proc_status *s)
{
    sink_text(out, "Name:\t");
    put_name(out, s->name);
    sink_fmt(out, "\nTgid:\t%u\nPid:\t%u\nPPid:\t%u\n", s->tgid, s->pid, s->ppid);
    proc_put_status_vm(out, s);
    sink_fmt(out, "Threads:\t%u\n", s->threads);
}

/* Fields of stat that may be negative. */
static bool is_signed(unsigned field)
{
    switch (field) {
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 16:
    case 17:
    case 18:
    case 19:
    case 20:
    case 38:
    case 39:
    case 44:
    case 52:
        return true;
    default:
        return false;
    }
}

void proc_put_stat(struct sink *out, const struct proc_stat *s)
{
    sink_fmt(out, "%" PRIu64 " (", s->v[1]);
    sink_text(out, s->comm);
    sink_fmt(out, ") %c", s->state);
    for (unsigned i = 4; i <= PROC_STAT_FIELDS; i++)
        if (is_signed(i))
            sink_fmt(out, " %" PRId64, (int64_t)s->v[i]);
        else
            sink_fmt(out, " %" PRIu64, s->v[i]);
    sink_char(out, '\n');
}

void proc_put_statm(struct sink *out, const struct proc_statm *s)
{
    sink_fmt(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 " 0\n", s->size,
             s->resident, s->shared, s->text, s->data);
}
