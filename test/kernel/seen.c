/* seen.c: what was compared but was never anything but zero on the running kernel: of such a field the
 * comparison says only that the model does not make it up.
 */
#include "kernel/check.h"

static struct {
    bool smaps[SMAPS_NR], status[STATUS_NR];
    uint64_t map, flags; /* bits of pagemap and kpageflags that were set */
    bool minflt, majflt, signal, out;
} seen;

static const char *const map_names[64] = {[56] = "exclusive", [57] = "uffd-wp", [58] = "guard",
                                          [61] = "file",      [62] = "swap",    [63] = "present"};
static const char *const flag_names[64] = {[KPF_UPTODATE] = "UPTODATE",
                                           [KPF_DIRTY] = "DIRTY",
                                           [KPF_SLAB] = "SLAB",
                                           [KPF_BUDDY] = "BUDDY",
                                           [KPF_MMAP] = "MMAP",
                                           [KPF_ANON] = "ANON",
                                           [KPF_SWAPCACHE] = "SWAPCACHE",
                                           [KPF_SWAPBACKED] = "SWAPBACKED",
                                           [KPF_COMPOUND_HEAD] = "COMPOUND_HEAD",
                                           [KPF_COMPOUND_TAIL] = "COMPOUND_TAIL",
                                           [KPF_HUGE] = "HUGE",
                                           [KPF_HWPOISON] = "HWPOISON",
                                           [KPF_NOPAGE] = "NOPAGE",
                                           [KPF_KSM] = "KSM",
                                           [KPF_THP] = "THP",
                                           [KPF_OFFLINE] = "OFFLINE",
                                           [KPF_ZERO_PAGE] = "ZERO_PAGE",
                                           [KPF_PGTABLE] = "PGTABLE",
                                           [KPF_RESERVED] = "RESERVED",
                                           [KPF_MLOCKED] = "MLOCKED",
                                           [KPF_OWNER_2] = "OWNER_2 (anon exclusive)"};

void seen_note(const struct moment *k)
{
    seen.minflt |= k->answer.minflt > 0;
    seen.majflt |= k->answer.majflt > 0;
    seen.signal |= k->answer.signal > 0;
    for (unsigned i = 0; i < OUT_SEEN; i++)
        seen.out |= k->answer.out[i] > 0;
    for (const struct view *v = k->view; v < k->view + SLOTS; v++) {
        if (!v->live)
            continue;
        for (unsigned i = 0; i < STATUS_NR; i++)
            seen.status[i] |= v->status[i] > 0;
        for (unsigned i = 0; i < v->n_vma; i++)
            for (unsigned j = 0; j < SMAPS_NR; j++)
                seen.smaps[j] |= v->vma[i].kb[j] > 0;
        for (unsigned i = 0; i < v->n_page; i++) {
            seen.map |= v->page[i].map;
            seen.flags |= v->page[i].flags;
        }
    }
}

static void print_bits(FILE *f, const char *of, const char *const names[64], uint64_t compared,
                       uint64_t set)
{
    for (unsigned i = 0; i < 64; i++)
        if (compared & ~set & BIT(i))
            fprintf(f, ", %s %s", of, names[i]);
}

void seen_print(FILE *f)
{
    fprintf(f, "compared, but always zero:");
    fprintf(f, "%s%s%s%s", seen.minflt ? "" : " minor faults", seen.majflt ? "" : " major faults",
            seen.signal ? "" : " signals", seen.out ? "" : " output");
    for (unsigned i = 0; i < SMAPS_NR; i++)
        if (!seen.smaps[i])
            fprintf(f, ", smaps %s", smaps_names[i]);
    for (unsigned i = 0; i < STATUS_NR; i++)
        if (!seen.status[i])
            fprintf(f, ", status %s", status_names[i]);
    print_bits(f, "pagemap", map_names, PM_SEEN, seen.map);
    print_bits(f, "kpageflags", flag_names, KPF_SEEN, seen.flags);
    fprintf(f, "\n");
}
