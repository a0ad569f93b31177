/* processes.c: processes, threads and cores in JSON and in the summary. */
#include "report/processes.h"

#include "report/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE_NAMED   3 /* programs that ran on unobserved: so many are named in the summary */
#define NATIVE_COLUMNS 40

/* -- words ------------------------------------------------------------------------------------- */

const char *report_end_name(enum sim_end end)
{
    static const char *const name[] = {
        [SIM_END_NONE] = "running",  [SIM_END_EXIT] = "exit",     [SIM_END_SIGNAL] = "signal",
        [SIM_END_NATIVE] = "native", [SIM_END_UNSEEN] = "unseen", [SIM_END_UNKNOWN] = "unknown"};
    return name[end];
}

const char *report_native_name(uint32_t native)
{
    static const char *const name[] = {[NATIVE_ELF] = "architecture",
                                       [NATIVE_SETID] = "privileges",
                                       [NATIVE_CONFINED] = "confined",
                                       [NATIVE_FAILED] = "failed",
                                       [NATIVE_REFUSED] = "unforeseen"};
    return native < ARRAY_LEN(name) && name[native] ? name[native] : "unknown";
}

static const char *native_means(uint32_t native)
{
    static const char *const means[] = {[NATIVE_ELF] = "QEMU does not run it",
                                        [NATIVE_SETID] = "it changes its user or capabilities",
                                        [NATIVE_CONFINED] = "it had confined itself",
                                        [NATIVE_FAILED] = "QEMU could not be started",
                                        [NATIVE_REFUSED] = "it was expected to fail"};
    return native < ARRAY_LEN(means) && means[native] ? means[native] : "for a reason of no name";
}

/* -- JSON -------------------------------------------------------------------------------------- */

void json_rights(struct jsonw *w, uint64_t flags)
{
    char rights[5] = {flags & VM_READ ? 'r' : '-', flags & VM_WRITE ? 'w' : '-',
                      flags & VM_EXEC ? 'x' : '-', flags & VM_SHARED ? 's' : 'p', '\0'};
    jsonw_text(w, "flags", rights);
}

static void put_maps(struct jsonw *w, const struct report_space *space)
{
    jsonw_open(w, "maps", '[');
    for (uint32_t i = 0; space && i < space->n_maps; i++) {
        const struct symbol_map *m = &space->maps[i];
        jsonw_open(w, NULL, '{');
        jsonw_hex(w, "start", m->start);
        jsonw_hex(w, "end", m->end);
        json_rights(w, m->flags);
        jsonw_u64(w, "offset", m->offset);
        jsonw_text(w, "name", m->path);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

static uint64_t kib(uint64_t pages)
{
    return pages * (PAGE_SIZE / 1024);
}

static void put_memory(struct jsonw *w, const struct mm_counters *c)
{
    uint64_t rss = c->rss[MM_FILEPAGES] + c->rss[MM_ANONPAGES] + c->rss[MM_SHMEMPAGES];
    jsonw_u64(w, "minflt", c->minflt);
    jsonw_u64(w, "majflt", c->majflt);
    jsonw_u64(w, "vm_peak_kb", kib(c->total_vm_peak));
    jsonw_u64(w, "vm_size_kb", kib(c->total_vm));
    jsonw_u64(w, "rss_peak_kb", kib(c->rss_peak));
    jsonw_u64(w, "rss_kb", kib(rss));
    jsonw_u64(w, "rss_anon_kb", kib(c->rss[MM_ANONPAGES]));
    jsonw_u64(w, "rss_file_kb", kib(c->rss[MM_FILEPAGES]));
    jsonw_u64(w, "rss_shmem_kb", kib(c->rss[MM_SHMEMPAGES]));
    jsonw_u64(w, "vm_data_kb", kib(c->data_vm));
    jsonw_u64(w, "vm_stk_kb", kib(c->stack_vm));
    jsonw_u64(w, "vm_exec_kb", kib(c->exec_vm));
    jsonw_u64(w, "vm_pte_kb", c->pte_bytes / 1024);
    jsonw_u64(w, "map_count", c->map_count);
}

/* put_share writes the counters that are not 0. */
static void put_share(struct jsonw *w, const char *key, const struct stat_set *s)
{
    jsonw_open(w, key, '{');
    for (int i = 0; i < STAT_NR; i++)
        if (s->v[i] != 0)
            jsonw_u64(w, stat_info((enum stat_id)i)->name, s->v[i]);
    jsonw_close(w, '}');
}

static void put_cycles(struct jsonw *w, const struct report *r, const struct stat_set *s)
{
    struct cpu_cycles c;
    cpu_cycles(r->conf, s, &c);
    jsonw_u64(w, "cycles", c.total);
}

static void put_argv(struct jsonw *w, const struct report *r, const struct sim_process *p)
{
    jsonw_open(w, "argv", '[');
    if (!p->argv)
        for (char *const *a = r->run->argv; *a != NULL; a++)
            jsonw_text(w, NULL, *a);
    for (uint32_t at = 0; p->argv && at < p->argv_bytes; at += (uint32_t)strlen(p->argv + at) + 1)
        jsonw_text(w, NULL, p->argv + at);
    jsonw_close(w, ']');
}

/* put_exit: null where it does not apply, or nobody saw it. The first process is the launcher's child. */
static void put_exit(struct jsonw *w, const struct report *r, const struct sim_process *p,
                     bool first)
{
    int signal = first ? r->run->signal : p->end == SIM_END_SIGNAL ? p->signal : 0;
    jsonw_open(w, "exit", '{');
    jsonw_text(w, "how", first ? (signal ? "signal" : "exit") : report_end_name(p->end));
    if (signal == 0 && (first || p->end == SIM_END_EXIT))
        jsonw_u64(w, "code", (uint64_t)(first ? r->run->exit_code : p->exit_code));
    else
        jsonw_null(w, "code");
    if (signal != 0)
        jsonw_u64(w, "signal", (uint64_t)signal);
    else
        jsonw_null(w, "signal");
    jsonw_close(w, '}');
}

static const struct report_space *space_of(const struct report *r, uint32_t process)
{
    for (uint32_t i = 0; i < r->n_spaces; i++)
        if (r->spaces[i].process == process)
            return &r->spaces[i];
    return NULL;
}

static void put_process(struct jsonw *w, const struct report *r, uint32_t i)
{
    const struct sim_process *p = &r->processes[i];
    jsonw_open(w, NULL, '{');
    jsonw_u64(w, "pid", p->pid);
    jsonw_u64(w, "ppid", p->ppid);
    jsonw_u64(w, "generation", p->generation);
    jsonw_text(w, "comm", p->comm);
    jsonw_text(w, "path", p->path);
    put_argv(w, r, p);
    put_exit(w, r, p, i == 0);
    jsonw_text(w, "unfollowed", p->native != 0 ? report_native_name(p->native) : NULL);
    jsonw_text(w, "unfollowed_path", p->native != 0 ? p->native_path : NULL);
    jsonw_u64(w, "programs", p->programs);
    jsonw_u64(w, "threads", p->threads);
    jsonw_u64(w, "begin_ns", p->begin_ns);
    jsonw_u64(w, "end_ns", p->end_ns);
    put_memory(w, &p->mm);
    put_cycles(w, r, &p->stats);
    put_share(w, "counters", &p->stats);
    put_maps(w, space_of(r, i));
    jsonw_close(w, '}');
}

static void put_thread(struct jsonw *w, const struct report *r, const struct sim_row *t)
{
    jsonw_open(w, NULL, '{');
    jsonw_u64(w, "pid", t->pid);
    jsonw_u64(w, "tid", t->tid);
    jsonw_u64(w, "core", t->core);
    jsonw_u64(w, "begin_ns", t->begin_ns);
    jsonw_u64(w, "end_ns", t->end_ns);
    put_cycles(w, r, t->stats);
    put_share(w, "counters", t->stats);
    jsonw_close(w, '}');
}

void json_processes(struct jsonw *w, const struct report *r)
{
    jsonw_open(w, "processes", '[');
    for (uint32_t i = 0; i < r->n_processes; i++)
        put_process(w, r, i);
    jsonw_close(w, ']');
    jsonw_open(w, "threads", '[');
    for (uint32_t i = 0; i < r->n_threads; i++)
        put_thread(w, r, &r->threads[i]);
    jsonw_close(w, ']');
    jsonw_open(w, "cores", '[');
    for (uint32_t i = 0; r->cores && i < r->conf->cpu_cores; i++) {
        jsonw_open(w, NULL, '{');
        jsonw_u64(w, "core", i);
        put_cycles(w, r, r->cores[i]);
        put_share(w, "counters", r->cores[i]);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
    put_share(w, "nobody", r->nobodys);
    put_share(w, "no_core", r->coreless);
}

/* -- summary ----------------------------------------------------------------------------------- */

struct cost {
    uint64_t cycles;
    uint32_t process;
};

static int by_cost(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;
    if (x->cycles != y->cycles)
        return x->cycles > y->cycles ? -1 : 1;
    return (x->process > y->process) - (x->process < y->process);
}

unsigned processes_programs(const struct report *r)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < r->n_processes; i++) {
        uint32_t k = 0;
        while (k < i && strcmp(r->processes[k].comm, r->processes[i].comm) != 0)
            k++;
        n += k == i;
    }
    return n;
}

void processes_line(const struct report *r, char *buf, size_t size)
{
    struct cost *cost = calloc(r->n_processes + 1, sizeof(*cost));
    unsigned programs = processes_programs(r);
    int used = snprintf(buf, size, "%s of %u program%s; costliest:", text_count(r->n_processes).s,
                        programs, programs == 1 ? "" : "s");
    for (uint32_t i = 0; cost && i < r->n_processes; i++) {
        struct cpu_cycles c;
        cpu_cycles(r->conf, &r->processes[i].stats, &c);
        cost[i] = (struct cost){c.total, i};
    }
    if (cost)
        qsort(cost, r->n_processes, sizeof(*cost), by_cost);
    for (uint32_t i = 0; cost && i < r->n_processes && cost[i].cycles > 0; i++) {
        const struct sim_process *p = &r->processes[cost[i].process];
        char name[64], one[128];
        text_plain(name, sizeof(name), p->comm, 15);
        int len = snprintf(one, sizeof(one), "%s %s (%u) %s", i == 0 ? "" : ",", name, p->pid,
                           text_share(cost[i].cycles, r->cycles.total).s);
        if ((size_t)(used + len) >= size)
            break;
        memcpy(buf + used, one, (size_t)len + 1);
        used += len;
    }
    free(cost);
}

/* put_native names one of those that ran on unobserved, and returns how many bytes that took. */
static size_t put_native(char *buf, size_t size, const struct sim_process *p, bool first)
{
    char path[64];
    int len;

    text_path(path, sizeof(path), p->native_path[0] ? p->native_path : p->comm, NATIVE_COLUMNS);
    len = snprintf(buf, size, "%s%s, %u: %s", first ? "" : "; ", path, p->pid,
                   native_means(p->native));
    return min_u64(len < 0 ? 0 : (uint64_t)len, size - 1);
}

bool processes_native(const struct report *r, char *buf, size_t size)
{
    char named[NATIVE_NAMED * 128] = "";
    size_t used = 0;
    unsigned n = 0;

    for (uint32_t i = 0; i < r->n_processes; i++)
        if (r->processes[i].native != 0 && n++ < NATIVE_NAMED)
            used += put_native(named + used, sizeof(named) - used, &r->processes[i], n == 1);
    if (n > 0)
        snprintf(buf, size, "ran on unobserved: %u (%s%s)", n, named,
                 n > NATIVE_NAMED ? "; ..." : "");
    return n > 0;
}

const struct sim_process *processes_largest(const struct report *r)
{
    const struct sim_process *most = &r->process;
    for (uint32_t i = 0; i < r->n_processes; i++)
        if (i == 0 || r->processes[i].mm.rss_peak > most->mm.rss_peak)
            most = &r->processes[i];
    return most;
}
