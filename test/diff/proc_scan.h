/* proc_scan.h: reads the running kernel's /proc text into the values src/proc prints. Only tests read
 * it; the scanners take numbers and names wherever they stand, so that widths, order and spaces are
 * what the comparison of the printed text proves. A scanner returns false at a line it does not know
 * and leaves that line in scan_unknown. */
#ifndef TEST_PROC_SCAN_H
#define TEST_PROC_SCAN_H

#include "proc/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scan_unknown[256];

/* read_text reads a whole file; NULL when it cannot be. The caller frees. */
static inline char *read_text(const char *path)
{
    size_t n = 0, cap = 1 << 20;
    char *text = malloc(cap);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    while (fd >= 0 && (got = read(fd, text + n, cap - 1 - n)) > 0) {
        n += (size_t)got;
        if (n + 1 == cap)
            text = realloc(text, cap *= 2);
    }
    if (fd >= 0)
        close(fd);
    if (got != 0) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    return text;
}

static inline bool unknown(const char *line)
{
    snprintf(scan_unknown, sizeof scan_unknown, "%.*s", (int)strcspn(line, "\n"), line);
    return false;
}

static inline const char *next_line(const char *at)
{
    at += strcspn(at, "\n");
    return *at == '\n' ? at + 1 : at;
}

/* -- "name value" against a list of names */
static inline int name_index(const char *const *names, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

struct scan_list {
    const char *const *names;
    uint64_t *v;
    unsigned n;
};

static inline bool scan_into(const struct scan_list *lists, unsigned n, const char *name,
                             uint64_t v)
{
    for (unsigned i = 0; i < n; i++) {
        int at = name_index(lists[i].names, lists[i].n, name);
        if (at >= 0) {
            lists[i].v[at] = v;
            return true;
        }
    }
    return false;
}

static const char *const scan_zone_names[] = {
#define PROC_ZONE_ITEM(name) #name,
#include "proc/vmstat.def"
};
static const char *const scan_numa_names[] = {
#define PROC_NUMA_ITEM(name) #name,
#include "proc/vmstat.def"
};
static const char *const scan_node_names[] = {
#define PROC_NODE_ITEM(name) #name,
#include "proc/vmstat.def"
};
static const char *const scan_other_names[] = {
#define PROC_OTHER_ITEM(name) #name,
#include "proc/vmstat.def"
};
static const char *const scan_event_names[] = {
#define PROC_EVENT(name) #name,
#include "proc/vmstat.def"
};

static inline bool scan_vmstat(const char *text, struct proc_vmstat *v)
{
    uint64_t unstable = 0;
    const char *const last[] = {"nr_unstable"};
    const struct scan_list lists[] = {
        {scan_zone_names, v->zone, PROC_ZONE_ITEMS}, {scan_numa_names, v->numa, PROC_NUMA_ITEMS},
        {scan_node_names, v->node, PROC_NODE_ITEMS}, {scan_other_names, v->other, PROC_OTHER_ITEMS},
        {scan_event_names, v->event, PROC_EVENTS},   {last, &unstable, 1},
    };
    char name[64];
    uint64_t number;
    memset(v, 0, sizeof *v);
    for (; *text != '\0'; text = next_line(text))
        if (sscanf(text, "%63s %" SCNu64, name, &number) != 2 || !scan_into(lists, 6, name, number))
            return unknown(text);
    return true;
}

static inline bool scan_node_vmstat(const char *text, struct proc_node *node)
{
    const struct scan_list lists[] = {
        {scan_zone_names, node->zone[0].item, PROC_ZONE_ITEMS},
        {scan_numa_names, node->zone[0].numa, PROC_NUMA_ITEMS},
        {scan_node_names, node->item, PROC_NODE_ITEMS},
    };
    char name[64];
    uint64_t number;
    memset(node, 0, sizeof *node);
    for (; *text != '\0'; text = next_line(text))
        if (sscanf(text, "%63s %" SCNu64, name, &number) != 2 || !scan_into(lists, 3, name, number))
            return unknown(text);
    return true;
}

static inline bool scan_numastat(const char *text, struct proc_node *node)
{
    static const char *const names[] = {"numa_hit",       "numa_miss",  "numa_foreign",
                                        "interleave_hit", "local_node", "other_node"};
    const struct scan_list list = {names, node->zone[0].numa, PROC_NUMA_ITEMS};
    char name[64];
    uint64_t number;
    memset(node, 0, sizeof *node);
    for (; *text != '\0'; text = next_line(text))
        if (sscanf(text, "%63s %" SCNu64, name, &number) != 2 || !scan_into(&list, 1, name, number))
            return unknown(text);
    return true;
}

/* -- meminfo */
static const char *const scan_mem_names[] = {
#define PROC_MEM(ident, name, width) name ":",
#include "proc/meminfo.def"
};
static const char *const scan_node_mem_names[] = {
#define PROC_NODE_MEM(ident, name, width) name ":",
#include "proc/meminfo.def"
};

static inline bool scan_meminfo(const char *text, struct proc_meminfo *m)
{
    const struct scan_list list = {scan_mem_names, m->v, PROC_MEM_NR};
    char name[64];
    uint64_t number;
    memset(m, 0, sizeof *m);
    for (; *text != '\0'; text = next_line(text))
        if (sscanf(text, "%63s %" SCNu64, name, &number) != 2 || !scan_into(&list, 1, name, number))
            return unknown(text);
    return true;
}

static inline bool scan_node_meminfo(const char *text, struct proc_node_meminfo *m)
{
    const struct scan_list list = {scan_node_mem_names, m->v, PROC_NODE_MEM_NR};
    char name[64];
    uint64_t number;
    memset(m, 0, sizeof *m);
    for (; *text != '\0'; text = next_line(text))
        if (sscanf(text, "Node %u %63s %" SCNu64, &m->nid, name, &number) != 3 ||
            !scan_into(&list, 1, name, number))
            return unknown(text);
    return true;
}

/* -- zones */
static const char *const scan_zone_of[PROC_ZONES] = {"DMA", "DMA32", "Normal", "Movable", "Device"};

/* scan_zone_at finds node and zone of a line that begins "Node n, zone name"; *n grows. */
static inline struct proc_zone *scan_zone_at(const char *line, struct proc_node *nodes, unsigned *n)
{
    char name[32];
    unsigned nid;
    if (sscanf(line, "Node %u, zone %31[^, \n]", &nid, name) != 2)
        return NULL;
    if (*n == 0 || nodes[*n - 1].nid != nid) {
        unsigned i = 0;
        while (i < *n && nodes[i].nid != nid)
            i++;
        if (i == *n) {
            memset(&nodes[*n], 0, sizeof *nodes);
            nodes[(*n)++].nid = nid;
        }
    }
    int z = name_index(scan_zone_of, PROC_ZONES, name);
    for (unsigned i = 0; z >= 0 && i < *n; i++)
        if (nodes[i].nid == nid) {
            nodes[i].zone[z].name = scan_zone_of[z];
            return &nodes[i].zone[z];
        }
    return NULL;
}

static inline bool scan_numbers(const char *at, uint64_t *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char *end;
        at += strspn(at, " >");
        v[i] = strtoull(at, &end, 10);
        if (end == at)
            return false;
        at = end;
    }
    return at[strspn(at, " ")] == '\n';
}

static inline bool scan_buddyinfo(const char *text, struct proc_node *nodes, unsigned *n)
{
    for (*n = 0; *text != '\0'; text = next_line(text)) {
        struct proc_zone *z = scan_zone_at(text, nodes, n);
        const char *at = strstr(text, "zone ");
        if (!z || !scan_numbers(at + 5 + strspn(at + 5, " ") + strlen(z->name), z->blocks[0],
                                PROC_ORDERS))
            return unknown(text);
        z->present = 1;
    }
    return true;
}

static inline bool scan_type_row(const char *line, struct proc_zone *z)
{
    static const char *const types[] = {"Unmovable", "Movable", "Reclaimable", "HighAtomic",
                                        "Isolate"};
    const char *at = strstr(line, "type ");
    char name[32];
    if (!at || at > next_line(line) || sscanf(at, "type %31s", name) != 1)
        return false;
    int type = name_index(types, PROC_TYPES, name);
    return type >= 0 &&
           scan_numbers(strstr(at + 5, name) + strlen(name), z->blocks[type], PROC_ORDERS);
}

static inline bool scan_pagetypeinfo(const char *text, struct proc_node *nodes, unsigned *n)
{
    bool blocks = false; /* past "Number of blocks type" */
    for (*n = 0; *text != '\0'; text = next_line(text)) {
        if (strncmp(text, "Number of blocks", 16) == 0)
            blocks = true;
        if (strncmp(text, "Node", 4) != 0)
            continue;
        struct proc_zone *z = scan_zone_at(text, nodes, n);
        if (!z)
            return unknown(text);
        z->present = 1;
        const char *at = strstr(text, "zone ") + 5;
        at += strspn(at, " ") + strlen(z->name);
        if (blocks ? !scan_numbers(at, z->pageblocks, PROC_TYPES) : !scan_type_row(text, z))
            return unknown(text);
    }
    return true;
}

/* Where the scanner of zoneinfo stands. */
struct scan_zoneinfo {
    struct proc_node *nodes;
    unsigned *n;
    struct proc_zone *z;
    struct proc_pageset *sets; /* room for one CPU more, all zones together */
    bool per_node;
};

static inline bool scan_zone_number(struct scan_zoneinfo *s, const char *name, uint64_t v)
{
    struct proc_zone *z = s->z;
    struct proc_pageset *p = z->n_sets > 0 ? s->sets - 1 : NULL;
    const struct {
        const char *name;
        uint64_t *v;
    } fields[] = {
        {"boost", &z->boost},
        {"min", &z->min},
        {"low", &z->low},
        {"high", &z->high},
        {"promo", &z->promo},
        {"spanned", &z->spanned},
        {"present", &z->present},
        {"managed", &z->managed},
        {"cma", &z->cma},
        {"node_unreclaimable:", &z->unreclaimable},
        {"start_pfn:", &z->start_pfn},
        {"count:", p ? &p->count : NULL},
        {"high:", p ? &p->high : NULL},
        {"batch:", p ? &p->batch : NULL},
        {"high_min:", p ? &p->high_min : NULL},
        {"high_max:", p ? &p->high_max : NULL},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].name, name) == 0 && fields[i].v) {
            *fields[i].v = v;
            return true;
        }
    const struct scan_list zone[] = {{scan_zone_names, z->item, PROC_ZONE_ITEMS},
                                     {scan_numa_names, z->numa, PROC_NUMA_ITEMS}};
    const struct scan_list node = {scan_node_names, s->nodes[*s->n - 1].item, PROC_NODE_ITEMS};
    return s->per_node ? scan_into(&node, 1, name, v) : scan_into(zone, 2, name, v);
}

static inline bool scan_zoneinfo_line(struct scan_zoneinfo *s, const char *line)
{
    char name[64];
    uint64_t v;
    if (strncmp(line, "Node", 4) == 0)
        return (s->z = scan_zone_at(line, s->nodes, s->n)) != NULL;
    if (strncmp(line, "  per-node stats\n", 17) == 0)
        return s->per_node = true;
    if (strncmp(line, "  pagesets\n", 11) == 0)
        return true;
    if (sscanf(line, " pages free %" SCNu64, &s->z->free) == 1)
        return !(s->per_node = false);
    uint64_t *p = s->z->protection;
    if (sscanf(line, " protection: (%" SCNu64 ", %" SCNu64 ", %" SCNu64 ", %" SCNu64 ", %" SCNu64,
               p, p + 1, p + 2, p + 3, p + 4) == PROC_ZONES)
        return true;
    if (sscanf(line, " cpu: %" SCNu64, &v) == 1) {
        if (s->z->n_sets++ == 0)
            s->z->sets = s->sets;
        s->sets++;
        return true;
    }
    if (s->z->n_sets > 0 &&
        sscanf(line, " vm stats threshold: %" SCNu64, &s->sets[-1].threshold) == 1)
        return true;
    return sscanf(line, "%63s %" SCNu64, name, &v) == 2 && scan_zone_number(s, name, v);
}

static inline bool scan_zoneinfo(const char *text, struct proc_node *nodes, unsigned *n,
                                 struct proc_pageset *sets)
{
    struct scan_zoneinfo s = {.nodes = nodes, .n = n, .sets = sets};
    for (*n = 0; *text != '\0'; text = next_line(text))
        if (!scan_zoneinfo_line(&s, text))
            return unknown(text);
    return true;
}

/* -- mappings */

/* unescape turns \ooo back into bytes, up to the end of the line or of the word. */
static inline char *unescape(const char *at, const char *end)
{
    char *path = malloc((size_t)(end - at) + 1), *to = path;
    while (at < end) {
        bool octal = at[0] == '\\' && end - at >= 4 && strspn(at + 1, "01234567") >= 3;
        *to++ = octal ? (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0')) : *at;
        at += octal ? 4 : 1;
    }
    *to = '\0';
    return path;
}

/* scan_map reads one line of maps; path or label are malloc'd. */
static inline bool scan_map(const char *line, struct proc_map *m)
{
    char rights[5];
    int used = 0;
    memset(m, 0, sizeof *m);
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 "%n", &m->start,
               &m->end, rights, &m->offset, &m->major, &m->minor, &m->inode, &used) != 7)
        return unknown(line);
    m->flags = (rights[0] == 'r' ? 1u : 0) | (rights[1] == 'w' ? 2u : 0) |
               (rights[2] == 'x' ? 4u : 0) | (rights[3] == 's' ? 0x80u : 0);
    const char *name = line + used, *end = name + strcspn(name, "\n");
    name += strspn(name, " ");
    if (name < end && *name == '[')
        m->label = unescape(name, end);
    else if (name < end)
        m->path = unescape(name, end);
    return true;
}

static inline void map_close(struct proc_map *m)
{
    free((char *)m->path);
    free((char *)m->label);
}

/* smaps' own names of flags: Documentation/filesystems/proc.rst and the digest of VM_ bits. */
static const char scan_flags[] = "rd0 wr1 ex2 sh3 mr4 mw5 me6 ms7 gd8 um9 pf10 gu11 uw12 lo13 io14 "
                                 "sr15 rr16 dc17 de18 lf19 ac20 nr21 ht22 sf23 ar24 wf25 dd26 sd27 "
                                 "mm28 hg29 nh30 mg31 ss37 dp40 ui41 sl42 ";

static inline bool scan_vm_flags(const char *at, uint64_t *flags)
{
    for (*flags = 0; *at == ' '; at += 3) {
        if (at[1] == '\n')
            return true;
        char name[4] = {at[1], at[2], 0, 0};
        const char *row = strstr(scan_flags, name);
        if (!row)
            return false;
        *flags |= UINT64_C(1) << strtoul(row + 2, NULL, 10);
    }
    return false;
}

static inline uint64_t *scan_smaps_field(struct proc_smaps *s, const char *name, bool *share)
{
    const struct {
        const char *name;
        uint64_t *v;
        bool share;
    } f[] = {
        {"Size:", &s->size, 0},
        {"KernelPageSize:", &s->kernel_page, 0},
        {"MMUPageSize:", &s->mmu_page, 0},
        {"Rss:", &s->rss, 0},
        {"Pss:", &s->pss, 1},
        {"Pss_Dirty:", &s->pss_dirty, 1},
        {"Pss_Anon:", &s->pss_anon, 1},
        {"Pss_File:", &s->pss_file, 1},
        {"Pss_Shmem:", &s->pss_shmem, 1},
        {"Shared_Clean:", &s->shared_clean, 0},
        {"Shared_Dirty:", &s->shared_dirty, 0},
        {"Private_Clean:", &s->private_clean, 0},
        {"Private_Dirty:", &s->private_dirty, 0},
        {"Referenced:", &s->referenced, 0},
        {"Anonymous:", &s->anonymous, 0},
        {"KSM:", &s->ksm, 0},
        {"LazyFree:", &s->lazyfree, 0},
        {"AnonHugePages:", &s->anon_huge, 0},
        {"ShmemPmdMapped:", &s->shmem_pmd, 0},
        {"FilePmdMapped:", &s->file_pmd, 0},
        {"Shared_Hugetlb:", &s->shared_hugetlb, 0},
        {"Private_Hugetlb:", &s->private_hugetlb, 0},
        {"Swap:", &s->swap, 0},
        {"SwapPss:", &s->swap_pss, 1},
        {"Locked:", &s->pss_locked, 1},
    };
    for (size_t i = 0; i < sizeof f / sizeof *f; i++)
        if (strcmp(f[i].name, name) == 0) {
            *share = f[i].share;
            return f[i].v;
        }
    return NULL;
}

/* scan_smaps reads the lines after a maps line up to the next maps line or the end. */
static inline const char *scan_smaps(const char *at, struct proc_smaps *s, uint64_t *flags)
{
    memset(s, 0, sizeof *s);
    for (; *at >= 'A' && *at <= 'Z'; at = next_line(at)) {
        char name[32];
        uint64_t v = 0;
        bool share = false;
        if (strncmp(at, "VmFlags:", 8) == 0) {
            if (!scan_vm_flags(at + 8, flags))
                return unknown(at), NULL;
            continue;
        }
        if (sscanf(at, "%31s %" SCNu64, name, &v) != 2)
            return unknown(at), NULL;
        uint64_t *to = scan_smaps_field(s, name, &share);
        if (strcmp(name, "THPeligible:") == 0)
            s->thp_eligible = v;
        else if (strcmp(name, "ProtectionKey:") == 0)
            s->pkeys = true, s->pkey = (uint8_t)v;
        else if (to)
            *to = v << (share ? 10 + PROC_PSS_SHIFT : 10);
        else
            return unknown(at), NULL;
    }
    return at;
}

static inline bool scan_numa_word(struct proc_numa_map *m, const char *word, const char *end)
{
    const struct {
        const char *name;
        uint64_t *v;
    } f[] = {{"anon=", &m->anon},           {"dirty=", &m->dirty},
             {"mapped=", &m->pages},        {"mapmax=", &m->mapcount_max},
             {"swapcache=", &m->swapcache}, {"active=", &m->active},
             {"writeback=", &m->writeback}, {"kernelpagesize_kB=", &m->page_kb}};
    unsigned nid;
    for (size_t i = 0; i < sizeof f / sizeof *f; i++)
        if (strncmp(word, f[i].name, strlen(f[i].name)) == 0) {
            *f[i].v = strtoull(strchr(word, '=') + 1, NULL, 10);
            return true;
        }
    if (strncmp(word, "file=", 5) == 0)
        return (m->path = unescape(word + 5, end)) != NULL;
    if (sscanf(word, "N%u=", &nid) == 1 && nid < PROC_NODES) {
        m->node[nid] = strtoull(strchr(word, '=') + 1, NULL, 10);
        return true;
    }
    bool *flag = end - word == 4 && memcmp(word, "heap", 4) == 0    ? &m->heap
                 : end - word == 5 && memcmp(word, "stack", 5) == 0 ? &m->stack
                 : end - word == 4 && memcmp(word, "huge", 4) == 0  ? &m->huge
                                                                    : NULL;
    return flag != NULL && (*flag = true);
}

/* What a line leaves out follows from its rules: the pages are the sum over the nodes; active ones
 * are left out when all are; a mapcount of 1 is not said. */
static inline void complete_numa_map(struct proc_numa_map *m, bool active)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PROC_NODES; i++)
        sum += m->node[i];
    m->pages = sum;
    if (!active)
        m->active = sum;
    if (m->mapcount_max == 0)
        m->mapcount_max = 1;
}

static inline bool scan_numa_map(const char *line, struct proc_numa_map *m)
{
    char *end;
    memset(m, 0, sizeof *m);
    m->start = strtoull(line, &end, 16);
    const char *at = end + 1, *stop = at + strcspn(at, " \n");
    m->policy = unescape(at, stop);
    for (at = stop; *at == ' '; at = stop) {
        at++;
        stop = at + strcspn(at, " \n");
        if (!scan_numa_word(m, at, stop))
            return unknown(at);
    }
    const char *active = strstr(line, " active=");
    complete_numa_map(m, active != NULL && active < stop);
    return true;
}

/* -- one process */
static inline uint64_t *scan_status_field(struct proc_status *s, const char *name)
{
    const struct {
        const char *name;
        uint64_t *v;
    } f[] = {
        {"VmPeak:", &s->peak},         {"VmSize:", &s->size},      {"VmLck:", &s->lck},
        {"VmPin:", &s->pin},           {"VmHWM:", &s->hwm},        {"VmRSS:", &s->rss},
        {"RssAnon:", &s->rss_anon},    {"RssFile:", &s->rss_file}, {"RssShmem:", &s->rss_shmem},
        {"VmData:", &s->data},         {"VmStk:", &s->stk},        {"VmExe:", &s->exe},
        {"VmLib:", &s->lib},           {"VmPTE:", &s->pte},        {"VmSwap:", &s->swap},
        {"HugetlbPages:", &s->hugetlb}};
    for (size_t i = 0; i < sizeof f / sizeof *f; i++)
        if (strcmp(f[i].name, name) == 0)
            return f[i].v;
    return NULL;
}

/* The name in status: newline and backslash are escaped as in C. */
static inline char *unescape_name(const char *at, const char *end)
{
    char *name = unescape(at, end), *to = name;
    for (const char *from = name; *from != '\0'; from++) {
        bool escaped = from[0] == '\\' && from[1] != '\0';
        from += escaped;
        *to++ = escaped && *from == 'n' ? '\n' : *from;
    }
    *to = '\0';
    return name;
}

/* scan_status reads the lines src/proc prints; others are passed over. name is malloc'd. */
static inline bool scan_status(const char *text, struct proc_status *s)
{
    memset(s, 0, sizeof *s);
    for (; *text != '\0'; text = next_line(text)) {
        char name[32] = "";
        uint64_t v = 0;
        int n = sscanf(text, "%31s %" SCNi64, name, (int64_t *)&v);
        uint64_t *to = scan_status_field(s, name);
        if (to && n == 2)
            *to = v;
        else if (strcmp(name, "Name:") == 0)
            s->name = unescape_name(text + 6, text + strcspn(text, "\n"));
        else if (strcmp(name, "untag_mask:") == 0)
            s->untag_mask = strtoull(text + 12, NULL, 16);
        else if (strcmp(name, "CoreDumping:") == 0)
            s->core_dumping = v;
        else if (strcmp(name, "THP_enabled:") == 0)
            s->thp_enabled = v;
        else if (strcmp(name, "Tgid:") == 0)
            s->tgid = (uint32_t)v;
        else if (strcmp(name, "Pid:") == 0)
            s->pid = (uint32_t)v;
        else if (strcmp(name, "PPid:") == 0)
            s->ppid = (uint32_t)v;
        else if (strcmp(name, "Threads:") == 0)
            s->threads = (uint32_t)v;
    }
    return s->name != NULL;
}

/* scan_stat: comm is malloc'd; it may hold anything, so the last ')' ends it. */
static inline bool scan_stat(const char *text, struct proc_stat *s)
{
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close)
        return unknown(text);
    s->comm = unescape(open + 1, close);
    s->v[1] = strtoull(text, NULL, 10);
    s->state = close[2];
    const char *at = close + 3;
    for (unsigned i = 4; i <= PROC_STAT_FIELDS; i++) {
        char *end;
        s->v[i] =
            strchr(at, '-') == at + 1 ? (uint64_t)strtoll(at, &end, 10) : strtoull(at, &end, 10);
        if (end == at)
            return unknown(at);
        at = end;
    }
    return *at == '\n';
}

/* -- swaps: paths are malloc'd; returns how many, or -1 */
static inline int scan_swaps(const char *text, struct proc_swap *swaps, int max)
{
    int n = 0;
    for (text = next_line(text); *text != '\0' && n < max; text = next_line(text), n++) {
        struct proc_swap *s = &swaps[n];
        char type[16];
        const char *end = text + strcspn(text, " \n");
        s->path = unescape(text, end);
        if (sscanf(end, " %15s %" SCNu64 " %" SCNu64 " %d", type, &s->size, &s->used,
                   &s->priority) != 4)
            return unknown(text), -1;
        s->partition = strcmp(type, "partition") == 0;
    }
    return n;
}

#endif
