/* maps.c: PID/maps, smaps, smaps_rollup, numa_maps.
 *
 * Source: Linux 6.18 fs/proc/task_mmu.c (show_map_vma, __show_smap, show_smap_vma_flags,
 * show_numa_map), fs/seq_file.c (mangle_path, seq_pad).
 */
#include "proc/proc_int.h"

#include "base/bits.h"
#include "mm/mm.h"

#include <inttypes.h>
#include <string.h>

#define NAME_COLUMN 73 /* the name of a mapping stands here, counted from 0 */

size_t proc_put_path(struct sink *out, const char *path, const char *escape)
{
    size_t n = 0;
    for (; *path != '\0'; path++) {
        bool plain = strchr(escape, *path) == NULL;
        if (plain)
            sink_char(out, *path);
        else
            sink_fmt(out, "\\%03o", (unsigned char)*path);
        n += plain ? 1 : 4;
    }
    return n;
}

static const char *shown_name(const struct proc_map *m)
{
    return m->path != NULL ? m->path : m->label;
}

void proc_put_map(struct sink *out, const struct proc_map *m)
{
    char line[128];
    int n = snprintf(line, sizeof line,
                     "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " %02x:%02x %" PRIu64 " ",
                     m->start, m->end, m->flags & VM_READ ? 'r' : '-',
                     m->flags & VM_WRITE ? 'w' : '-', m->flags & VM_EXEC ? 'x' : '-',
                     m->flags & VM_MAYSHARE ? 's' : 'p', m->offset, m->major, m->minor, m->inode);
    sink_bytes(out, line, (size_t)n);
    if (shown_name(m) != NULL) {
        sink_fill(out, ' ', n < NAME_COLUMN ? (size_t)(NAME_COLUMN - n) : 1);
        proc_put_path(out, shown_name(m), "\n");
    }
    sink_char(out, '\n');
}

/* -- smaps --------------------------------------------------------------------------------------- */

static void put_kb(struct sink *out, const char *name, uint64_t bytes)
{
    sink_fmt(out, "%-16s%8" PRIu64 " kB\n", name, bytes >> 10);
}

static void put_share(struct sink *out, const char *name, uint64_t share)
{
    put_kb(out, name, share >> PROC_PSS_SHIFT);
}

/* What a mapping and the roll-up have in common. */
static void put_sums(struct sink *out, const struct proc_smaps *s, bool rollup)
{
    put_kb(out, "Rss:", s->rss);
    put_share(out, "Pss:", s->pss);
    put_share(out, "Pss_Dirty:", s->pss_dirty);
    if (rollup) {
        put_share(out, "Pss_Anon:", s->pss_anon);
        put_share(out, "Pss_File:", s->pss_file);
        put_share(out, "Pss_Shmem:", s->pss_shmem);
    }
    put_kb(out, "Shared_Clean:", s->shared_clean);
    put_kb(out, "Shared_Dirty:", s->shared_dirty);
    put_kb(out, "Private_Clean:", s->private_clean);
    put_kb(out, "Private_Dirty:", s->private_dirty);
    put_kb(out, "Referenced:", s->referenced);
    put_kb(out, "Anonymous:", s->anonymous);
    put_kb(out, "KSM:", s->ksm);
    put_kb(out, "LazyFree:", s->lazyfree);
    put_kb(out, "AnonHugePages:", s->anon_huge);
    put_kb(out, "ShmemPmdMapped:", s->shmem_pmd);
    put_kb(out, "FilePmdMapped:", s->file_pmd);
    put_kb(out, "Shared_Hugetlb:", s->shared_hugetlb);
    sink_fmt(out, "Private_Hugetlb: %7" PRIu64 " kB\n", s->private_hugetlb >> 10);
    put_kb(out, "Swap:", s->swap);
    put_share(out, "SwapPss:", s->swap_pss);
    put_share(out, "Locked:", s->pss_locked);
}

/* Bits of vm_flags that have a name in smaps; the bits of the protection key have a line instead. */
static const char flag_names[64][3] = {
    [0] = "rd",  [1] = "wr",  [2] = "ex",  [3] = "sh",  [4] = "mr",  [5] = "mw",
    [6] = "me",  [7] = "ms",  [8] = "gd",  [9] = "um",  [10] = "pf", [11] = "gu",
    [12] = "uw", [13] = "lo", [14] = "io", [15] = "sr", [16] = "rr", [17] = "dc",
    [18] = "de", [19] = "lf", [20] = "ac", [21] = "nr", [22] = "ht", [23] = "sf",
    [24] = "ar", [25] = "wf", [26] = "dd", [27] = "sd", [28] = "mm", [29] = "hg",
    [30] = "nh", [31] = "mg", [37] = "ss", [40] = "dp", [41] = "ui", [42] = "sl"};

const char *proc_vm_flag_name(unsigned bit)
{
    if (VM_PKEY_MASK & BIT(bit))
        return "";
    return flag_names[bit][0] != '\0' ? flag_names[bit] : "??";
}

static void put_flags(struct sink *out, uint64_t flags)
{
    sink_text(out, "VmFlags: ");
    for (unsigned bit = 0; bit < 64; bit++) {
        const char *name = proc_vm_flag_name(bit);
        if ((flags & BIT(bit)) && name[0] != '\0')
            sink_fmt(out, "%s ", name);
    }
    sink_char(out, '\n');
}

void proc_put_smaps(struct sink *out, const struct proc_map *m, const struct proc_smaps *s)
{
    proc_put_map(out, m);
    put_kb(out, "Size:", s->size);
    put_kb(out, "KernelPageSize:", s->kernel_page);
    put_kb(out, "MMUPageSize:", s->mmu_page);
    put_sums(out, s, false);
    sink_fmt(out, "THPeligible:    %8u\n", s->thp_eligible);
    if (s->pkeys)
        sink_fmt(out, "ProtectionKey:  %8u\n", s->pkey);
    put_flags(out, m->flags);
}

void proc_put_smaps_rollup(struct sink *out, uint64_t start, uint64_t end,
                           const struct proc_smaps *s)
{
    struct proc_map m = {.start = start, .end = end, .label = "[rollup]"};
    proc_put_map(out, &m);
    put_sums(out, s, true);
}

/* -- numa_maps ----------------------------------------------------------------------------------- */

static void put_if(struct sink *out, bool shown, const char *name, uint64_t pages)
{
    if (shown)
        sink_fmt(out, " %s=%" PRIu64, name, pages);
}

static void put_numa_pages(struct sink *out, const struct proc_numa_map *m)
{
    put_if(out, m->anon != 0, "anon", m->anon);
    put_if(out, m->dirty != 0, "dirty", m->dirty);
    put_if(out, m->pages != m->anon && m->pages != m->dirty, "mapped", m->pages);
    put_if(out, m->mapcount_max > 1, "mapmax", m->mapcount_max);
    put_if(out, m->swapcache != 0, "swapcache", m->swapcache);
    put_if(out, m->active < m->pages && !m->huge, "active", m->active);
    put_if(out, m->writeback != 0, "writeback", m->writeback);
    for (unsigned nid = 0; nid < PROC_NODES; nid++)
        if (m->node[nid] != 0)
            sink_fmt(out, " N%u=%" PRIu64, nid, m->node[nid]);
    sink_fmt(out, " kernelpagesize_kB=%" PRIu64, m->page_kb);
}

void proc_put_numa_map(struct sink *out, const struct proc_numa_map *m)
{
    sink_fmt(out, "%08" PRIx64 " %s", m->start, m->policy);
    if (m->path != NULL) {
        sink_text(out, " file=");
        proc_put_path(out, m->path, "\n\t= ");
    } else if (m->heap) {
        sink_text(out, " heap");
    } else if (m->stack) {
        sink_text(out, " stack");
    }
    if (m->huge)
        sink_text(out, " huge");
    if (m->pages != 0)
        put_numa_pages(out, m);
    sink_char(out, '\n');
}
