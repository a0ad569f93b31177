/* files.c: the table of files, their names, and which value and formatter make each. */
#include "proc/files.h"

#include "proc/proc_int.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_PATH "sys/devices/system/node/node%u/"

_Static_assert(PROC_NODES >= MM_NODES_MAX, "room for every node");

static const struct proc_file files[PROC_FILE_NR] = {
#define ROW(id, name, path, scope, binary, help) [PROC_##id] = {name, path, scope, binary, help}
    ROW(MEMINFO, "meminfo", "proc/meminfo", PROC_OF_MACHINE, false, "Memory by use, in kB."),
    ROW(VMSTAT, "vmstat", "proc/vmstat", PROC_OF_MACHINE, false, "Counters of the memory manager."),
    ROW(BUDDYINFO, "buddyinfo", "proc/buddyinfo", PROC_OF_MACHINE, false,
        "Free blocks of each zone by order."),
    ROW(PAGETYPEINFO, "pagetypeinfo", "proc/pagetypeinfo", PROC_OF_MACHINE, false,
        "Free blocks by migrate type and order."),
    ROW(ZONEINFO, "zoneinfo", "proc/zoneinfo", PROC_OF_MACHINE, false,
        "Watermarks, counters and per-CPU lists of each zone."),
    ROW(SWAPS, "swaps", "proc/swaps", PROC_OF_MACHINE, false, "Swap areas."),
    ROW(UNUSABLE_INDEX, "extfrag/unusable_index", "sys/kernel/debug/extfrag/unusable_index",
        PROC_OF_MACHINE, false, "Share of free memory that is in too small blocks, by order."),
    ROW(EXTFRAG_INDEX, "extfrag/extfrag_index", "sys/kernel/debug/extfrag/extfrag_index",
        PROC_OF_MACHINE, false, "Why an allocation would fail: 0 lack of memory, 1 fragmentation."),
    ROW(KPAGEFLAGS, "kpageflags", "proc/kpageflags", PROC_OF_MACHINE, true,
        "Flags of every frame, 8 bytes each."),
    ROW(KPAGECOUNT, "kpagecount", "proc/kpagecount", PROC_OF_MACHINE, true,
        "How often every frame is mapped, 8 bytes each."),
    ROW(NUMASTAT, "numastat", "numastat", PROC_OF_MACHINE, false,
        "The table of numastat(8): allocations by node."),
    ROW(NUMASTAT_M, "numastat-m", "numastat-m", PROC_OF_MACHINE, false,
        "The table of `numastat -m`: memory of each node in MB."),
    ROW(SYSCTL, "sys/vm/NAME", "proc/sys/vm/", PROC_OF_SYSCTL, false, "A tunable of the kernel."),
    ROW(NODE_MEMINFO, "meminfo", NODE_PATH "meminfo", PROC_OF_NODE, false,
        "Memory of a node by use, in kB."),
    ROW(NODE_NUMASTAT, "numastat", NODE_PATH "numastat", PROC_OF_NODE, false,
        "Allocations on a node."),
    ROW(NODE_VMSTAT, "vmstat", NODE_PATH "vmstat", PROC_OF_NODE, false, "Counters of a node."),
    ROW(PID_MAPS, "maps", "proc/%u/maps", PROC_OF_PROCESS, false, "Mappings of a process."),
    ROW(PID_SMAPS, "smaps", "proc/%u/smaps", PROC_OF_PROCESS, false,
        "What each mapping holds in memory."),
    ROW(PID_SMAPS_ROLLUP, "smaps_rollup", "proc/%u/smaps_rollup", PROC_OF_PROCESS, false,
        "The sums of smaps."),
    ROW(PID_NUMA_MAPS, "numa_maps", "proc/%u/numa_maps", PROC_OF_PROCESS, false,
        "Policy and nodes of each mapping."),
    ROW(PID_STATUS, "status", "proc/%u/status", PROC_OF_PROCESS, false,
        "Memory of a process: the lines from VmPeak, and its name and ids."),
    ROW(PID_STAT, "stat", "proc/%u/stat", PROC_OF_PROCESS, false,
        "52 numbers about a process; those that are not about memory are 0."),
    ROW(PID_STATM, "statm", "proc/%u/statm", PROC_OF_PROCESS, false,
        "Memory of a process in pages."),
    ROW(PID_OOM_SCORE, "oom_score", "proc/%u/oom_score", PROC_OF_PROCESS, false,
        "How likely the OOM killer is to choose it."),
    ROW(PID_OOM_SCORE_ADJ, "oom_score_adj", "proc/%u/oom_score_adj", PROC_OF_PROCESS, false,
        "What was added to that, -1000 to 1000."),
    ROW(PID_PAGEMAP, "pagemap", "proc/%u/pagemap", PROC_OF_PROCESS, true,
        "What every page of a process is, 8 bytes each."),
#undef ROW
};

const struct proc_file *proc_file(enum proc_file_id id)
{
    return &files[id];
}

/* -- names --------------------------------------------------------------------------------------- */

/* skip moves past a prefix, if it is there. */
static bool skip(const char **at, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(*at, prefix, n) != 0)
        return false;
    *at += n;
    return true;
}

/* number reads decimal digits and the '/' after them. */
static bool number(const char **at, unsigned *ret)
{
    uint64_t v = 0;
    const char *p = *at;
    for (; isdigit((unsigned char)*p) && p - *at < 10; p++)
        v = v * 10 + (unsigned)(*p - '0');
    if (p == *at || *p != '/' || v > UINT32_MAX)
        return false;
    *at = p + 1;
    *ret = (unsigned)v;
    return true;
}

static int find(const char *name, enum proc_scope scope)
{
    for (int i = 0; i < PROC_FILE_NR; i++)
        if (files[i].scope == scope && strcmp(files[i].name, name) == 0)
            return i;
    return -1;
}

int proc_resolve(const char *name, struct proc_target *ret)
{
    struct proc_target t = {0};
    enum proc_scope scope = PROC_OF_MACHINE;
    const char *at = name;
    int sysctl = proc_sysctl_find(name);
    if (sysctl >= 0) {
        *ret = (struct proc_target){.file = PROC_SYSCTL, .sysctl = (unsigned)sysctl};
        return 0;
    }
    if (!skip(&at, "/sys/kernel/debug/") && !skip(&at, "/sys/devices/system/node/"))
        skip(&at, "/proc/");
    if (strncmp(at, "node", 4) == 0 && isdigit((unsigned char)at[4])) {
        at += 4;
        scope = PROC_OF_NODE;
        if (!number(&at, &t.nid))
            return -ENOENT;
    } else if (skip(&at, "self/") || number(&at, &t.pid)) {
        scope = PROC_OF_PROCESS;
    }
    int file = find(at, scope);
    if (file < 0 && scope == PROC_OF_MACHINE)
        file = find(at, PROC_OF_PROCESS);
    if (file < 0)
        return -ENOENT;
    t.file = (enum proc_file_id)file;
    *ret = t;
    return 0;
}

char *proc_target_path(const struct proc_target *t, char buf[PROC_PATH_MAX])
{
    const struct proc_file *f = &files[t->file];
    const char *mark = strstr(f->path, "%u");
    if (f->scope == PROC_OF_SYSCTL)
        snprintf(buf, PROC_PATH_MAX, "%s%s", f->path, proc_sysctl_name(t->sysctl));
    else if (mark == NULL)
        snprintf(buf, PROC_PATH_MAX, "%s", f->path);
    else
        snprintf(buf, PROC_PATH_MAX, "%.*s%u%s", (int)(mark - f->path), f->path,
                 f->scope == PROC_OF_NODE ? t->nid : t->pid, mark + 2);
    return buf;
}

/* -- files of a process -------------------------------------------------------------------------- */

static void put_maps(struct sink *out, const struct mm *m)
{
    struct proc_map map;
    for (const struct vma *v = mm_vma_next(m, va(0)); v; v = v->next) {
        proc_map_of(m, v, &map);
        proc_put_map(out, &map);
    }
    proc_put_map(out, &proc_vsyscall);
}

static void put_smaps(struct sink *out, const struct mm *m)
{
    const struct proc_smaps gate = {
        .size = PAGE_SIZE, .kernel_page = PAGE_SIZE, .mmu_page = PAGE_SIZE};
    struct proc_map map;
    struct proc_smaps s;
    for (const struct vma *v = mm_vma_next(m, va(0)); v; v = v->next) {
        proc_map_of(m, v, &map);
        proc_smaps_of(m, v, &s);
        proc_put_smaps(out, &map, &s);
    }
    proc_put_smaps(out, &proc_vsyscall, &gate);
}

static void put_smaps_rollup(struct sink *out, const struct mm *m)
{
    const struct vma *first = mm_vma_next(m, va(0));
    struct proc_smaps sum = {0}, s;
    uint64_t end = 0;
    for (const struct vma *v = first; v; v = v->next) {
        proc_smaps_of(m, v, &s);
        proc_smaps_add(&sum, &s);
        end = v->end.v;
    }
    proc_put_smaps_rollup(out, first ? first->start.v : 0, end, &sum);
}

static void put_numa_maps(struct sink *out, const struct mm *m)
{
    struct proc_numa_map map;
    char policy[MPOL_STR_LEN];
    for (const struct vma *v = mm_vma_next(m, va(0)); v; v = v->next) {
        mm_numa_policy(m, v, policy, sizeof policy);
        proc_numa_map_of(m, v, policy, &map);
        proc_put_numa_map(out, &map);
    }
}

static void put_process(struct sink *out, enum proc_file_id file, const struct mm *m)
{
    struct proc_status status;
    struct proc_stat stat;
    struct proc_statm statm;
    switch (file) {
    case PROC_PID_MAPS:
        put_maps(out, m);
        break;
    case PROC_PID_SMAPS:
        put_smaps(out, m);
        break;
    case PROC_PID_SMAPS_ROLLUP:
        put_smaps_rollup(out, m);
        break;
    case PROC_PID_NUMA_MAPS:
        put_numa_maps(out, m);
        break;
    case PROC_PID_STATUS:
        proc_status_of(m, &status);
        proc_put_status(out, &status);
        break;
    case PROC_PID_STAT:
        proc_stat_of(m, &stat);
        proc_put_stat(out, &stat);
        break;
    case PROC_PID_STATM:
        proc_statm_of(m, &statm);
        proc_put_statm(out, &statm);
        break;
    case PROC_PID_OOM_SCORE:
        sink_fmt(out, "%" PRIu64 "\n", mm_oom_score(m));
        break;
    case PROC_PID_OOM_SCORE_ADJ:
        sink_fmt(out, "%d\n", mm_task(m)->oom_score_adj);
        break;
    default:
        proc_put_pagemap(out, m);
    }
}

/* -- files of the machine and of its nodes ------------------------------------------------------- */

static void put_node(struct sink *out, enum proc_file_id file, const struct proc_machine *machine,
                     const struct proc_node *node)
{
    struct proc_node_meminfo m;
    if (file == PROC_NODE_NUMASTAT) {
        proc_put_node_numastat(out, node);
    } else if (file == PROC_NODE_VMSTAT) {
        proc_put_node_vmstat(out, node);
    } else {
        proc_node_meminfo_of(machine, node, &m);
        proc_put_node_meminfo(out, &m);
    }
}

static void put_numastat_m(struct sink *out, const struct proc_machine *machine,
                           const struct proc_nodes *nodes)
{
    struct proc_node_meminfo m[PROC_NODES];
    for (unsigned i = 0; i < nodes->n; i++)
        proc_node_meminfo_of(machine, &nodes->node[i], &m[i]);
    proc_put_numastat_m(out, m, nodes->n);
}

static void put_meminfo(struct sink *out, const struct proc_machine *m,
                        const struct proc_nodes *nodes)
{
    struct proc_meminfo i;
    proc_meminfo_of(m, nodes, &i);
    proc_put_meminfo(out, &i);
}

static void put_vmstat(struct sink *out, const struct proc_machine *m,
                       const struct proc_nodes *nodes)
{
    struct proc_vmstat v;
    proc_vmstat_of(m, nodes, &v);
    proc_put_vmstat(out, &v);
}

static void put_swaps(struct sink *out, const struct proc_machine *m)
{
    struct mm_swap_info info[MAX_SWAPFILES];
    struct proc_swap swaps[MAX_SWAPFILES];
    unsigned n = mm_swaps(m->sys, info);
    for (unsigned i = 0; i < n; i++)
        swaps[i] = (struct proc_swap){.path = info[i].path,
                                      .size = info[i].pages << (PAGE_SHIFT - 10),
                                      .used = info[i].used << (PAGE_SHIFT - 10),
                                      .priority = info[i].prio};
    proc_put_swaps(out, swaps, n);
}

static void put_machine(struct sink *out, enum proc_file_id file, const struct proc_machine *m,
                        const struct proc_nodes *n)
{
    switch (file) {
    case PROC_MEMINFO:
        put_meminfo(out, m, n);
        break;
    case PROC_VMSTAT:
        put_vmstat(out, m, n);
        break;
    case PROC_BUDDYINFO:
        proc_put_buddyinfo(out, n->node, n->n);
        break;
    case PROC_PAGETYPEINFO:
        proc_put_pagetypeinfo(out, n->node, n->n);
        break;
    case PROC_ZONEINFO:
        proc_put_zoneinfo(out, n->node, n->n);
        break;
    case PROC_SWAPS:
        put_swaps(out, m);
        break;
    case PROC_UNUSABLE_INDEX:
        proc_put_unusable_index(out, n->node, n->n);
        break;
    case PROC_EXTFRAG_INDEX:
        proc_put_extfrag_index(out, n->node, n->n);
        break;
    case PROC_NUMASTAT:
        proc_put_numastat(out, n->node, n->n);
        break;
    case PROC_NUMASTAT_M:
        put_numastat_m(out, m, n);
        break;
    default:
        proc_put_frames(out, m->phys, file == PROC_KPAGEFLAGS);
    }
}

int proc_put(struct sink *out, const struct proc_target *t, const struct proc_machine *m,
             const struct mm *process)
{
    struct proc_nodes nodes;
    enum proc_scope scope = files[t->file].scope;
    if (scope == PROC_OF_PROCESS ? process == NULL
                                 : scope == PROC_OF_NODE && t->nid >= phys_nodes(m->phys))
        return -ESRCH;
    if (scope == PROC_OF_PROCESS) {
        put_process(out, t->file, process);
        return sink_error(out);
    }
    if (scope == PROC_OF_SYSCTL)
        return proc_sysctl_put(out, m, t->sysctl);
    int err = proc_nodes_open(&nodes, m);
    if (err != 0)
        return err;
    if (scope == PROC_OF_NODE)
        put_node(out, t->file, m, &nodes.node[t->nid]);
    else
        put_machine(out, t->file, m, &nodes);
    proc_nodes_close(&nodes);
    return sink_error(out);
}
