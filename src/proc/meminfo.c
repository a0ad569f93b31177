/* meminfo.c: /proc/meminfo, a node's meminfo, swaps.
 *
 * Source: Linux 6.18 fs/proc/meminfo.c (meminfo_proc_show), mm/hugetlb.c (hugetlb_report_meminfo),
 * drivers/base/node.c (node_read_meminfo), mm/swapfile.c (swap_show).
 */
#include "proc/proc_int.h"

#include <inttypes.h>
#include <string.h>

#define NAME_WIDTH      16 /* of meminfo's names with their colon */
#define NODE_NAME_WIDTH 16 /* and of a node's */
#define KB_WIDTH        8

struct row {
    const char *name;
    int width; /* KB_WIDTH: kB */
};
static const struct row rows[] = {
#define PROC_MEM(ident, name, width) {name ":", width},
#include "proc/meminfo.def"
};
static const struct row node_rows[] = {
#define PROC_NODE_MEM(ident, name, width) {name ":", width},
#include "proc/meminfo.def"
};
static const char *const node_names[] = {
#define PROC_NODE_MEM(ident, name, width) name,
#include "proc/meminfo.def"
};

const char *proc_node_mem_name(enum proc_node_mem row)
{
    return node_names[row];
}

void proc_put_meminfo(struct sink *out, const struct proc_meminfo *m)
{
    for (unsigned i = 0; i < PROC_MEM_NR; i++) {
        bool kb = rows[i].width == KB_WIDTH;
        sink_fmt(out, "%-*s%s%*" PRIu64 "%s\n", NAME_WIDTH, rows[i].name, kb ? "" : "   ",
                 rows[i].width, m->v[i], kb ? " kB" : "");
    }
}

void proc_put_node_meminfo(struct sink *out, const struct proc_node_meminfo *m)
{
    for (unsigned i = 0; i < PROC_NODE_MEM_NR; i++) {
        bool kb = node_rows[i].width == KB_WIDTH;
        sink_fmt(out, "Node %u %-*s%s%*" PRIu64 "%s\n", m->nid, NODE_NAME_WIDTH, node_rows[i].name,
                 kb ? "" : " ", node_rows[i].width, m->v[i], kb ? " kB" : "");
    }
}

/* -- swaps --------------------------------------------------------------------------------------- */

#define SWAP_NAME_WIDTH 40
#define TAB_BELOW       10000000 /* a smaller number is followed by one tab more */

void proc_put_swaps(struct sink *out, const struct proc_swap *swaps, unsigned n)
{
    sink_text(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    for (unsigned i = 0; i < n; i++) {
        const struct proc_swap *s = &swaps[i];
        size_t len = proc_put_path(out, s->path, " \t\n\\");
        sink_fill(out, ' ', len < SWAP_NAME_WIDTH ? SWAP_NAME_WIDTH - len : 1);
        sink_fmt(out, "%s\t%" PRIu64 "\t%s%" PRIu64 "\t%s%d\n",
                 s->partition ? "partition" : "file\t", s->size, s->size < TAB_BELOW ? "\t" : "",
                 s->used, s->used < TAB_BELOW ? "\t" : "", s->priority);
    }
}
