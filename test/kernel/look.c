/* look.c: what is seen of the model after a call: gathered by `proc`, as `pagewalk view` prints it. So
 * what is compared with the running kernel's /proc is the text a user of the model reads.
 */
#include "kernel/model.h"
#include "phys/phys.h"
#include "proc/gather.h"

#include <stdlib.h>
#include <string.h>

/* is_own, as native.c knows them: one of the VMAs a subject is made of keeps its end. A child that was made
 * without them may map something else there. */
static bool is_own(const struct model *w, const struct vma *v)
{
    unsigned n;
    uint64_t brk;
    const struct own *own = native_own(w->native, &n, &brk);
    for (unsigned i = 0; i < n; i++)
        if (own[i].end == v->end.v)
            return true;
    return false;
}

/* -- pages --------------------------------------------------------------------------------------- */

static void look_bytes(const struct model *w, pfn n, struct page_view *s)
{
    static const uint64_t zero[512];
    const uint64_t *bytes = (const uint64_t *)(const void *)phys_bytes(w->phys, n);
    s->word = bytes ? bytes[0] : 0;
    s->sum = page_sum(bytes ? bytes : zero);
}

static void look_frame(const struct model *w, struct frames *seen, pfn n, struct page_view *s)
{
    bool new;
    struct seen_frame *f = frames_find(seen, n.v, &new);
    if (new) {
        f->view.flags = kpf_seen(proc_pageflags_word(w->phys, n));
        f->view.mapcount = (uint32_t)proc_pagecount_word(w->phys, n);
        look_bytes(w, n, &f->view);
    }
    uint64_t addr = s->addr, map = s->map;
    *s = f->view;
    s->addr = addr;
    s->map = map;
    s->number = n.v;
}

static void look_pages(const struct model *w, struct frames *seen, const struct vma *v,
                       struct view *s)
{
    const struct mm *m = v->m;
    for (vaddr a = pt_next(mm_pt(m), v->start, v->end); a.v < v->end.v;
         a = pt_next(mm_pt(m), va(a.v + K), v->end)) {
        uint64_t word = proc_pagemap_word(m, a);
        if (!(word & PM_SEEN))
            continue;
        struct page_view *p = view_page(s, a.v);
        p->map = word & PM_SEEN;
        if (word & PM_PRESENT)
            look_frame(w, seen, (pfn){word & (BIT(PM_PFRAME_BITS) - 1)}, p);
    }
}

/* -- mappings ------------------------------------------------------------------------------------ */

static void smaps_kb(const struct proc_smaps *p, uint32_t *kb)
{
    const uint64_t bytes[SMAPS_NR] = {
        [SMAPS_PAGE_SIZE] = p->kernel_page,
        [SMAPS_RSS] = p->rss,
        [SMAPS_PSS] = p->pss >> PROC_PSS_SHIFT,
        [SMAPS_PSS_DIRTY] = p->pss_dirty >> PROC_PSS_SHIFT,
        [SMAPS_SHARED_CLEAN] = p->shared_clean,
        [SMAPS_SHARED_DIRTY] = p->shared_dirty,
        [SMAPS_PRIVATE_CLEAN] = p->private_clean,
        [SMAPS_PRIVATE_DIRTY] = p->private_dirty,
        [SMAPS_ANONYMOUS] = p->anonymous,
        [SMAPS_LAZYFREE] = p->lazyfree,
        [SMAPS_ANON_HUGE] = p->anon_huge,
        [SMAPS_SHMEM_HUGE] = p->shmem_pmd,
        [SMAPS_FILE_HUGE] = p->file_pmd,
        [SMAPS_SHARED_HUGETLB] = p->shared_hugetlb,
        [SMAPS_PRIVATE_HUGETLB] = p->private_hugetlb,
        [SMAPS_SWAP] = p->swap,
        [SMAPS_SWAP_PSS] = p->swap_pss >> PROC_PSS_SHIFT,
        [SMAPS_LOCKED] = p->pss_locked >> PROC_PSS_SHIFT,
    };
    for (unsigned i = 0; i < SMAPS_NR; i++)
        kb[i] = (uint32_t)(bytes[i] / 1024);
    kb[SMAPS_THP_ELIGIBLE] = p->thp_eligible; /* no kB */
}

static void look_vma(const struct model *w, struct frames *seen, const struct vma *v,
                     struct view *s)
{
    struct vma_view *o = view_vma(s);
    struct proc_smaps smaps;
    struct proc_map map;
    proc_map_of(v->m, v, &map);
    *o = (struct vma_view){.start = map.start, .end = map.end, .offset = map.offset};
    snprintf(o->perms, sizeof(o->perms), "%c%c%c%c", map.flags & VM_READ ? 'r' : '-',
             map.flags & VM_WRITE ? 'w' : '-', map.flags & VM_EXEC ? 'x' : '-',
             map.flags & VM_MAYSHARE ? 's' : 'p');
    look_pages(w, seen, v, s);
    if (s->many)
        return;
    o->flags = map.flags;
    proc_smaps_of(v->m, v, &smaps);
    smaps_kb(&smaps, o->kb);
}

/* -- a process ----------------------------------------------------------------------------------- */

/* own_sums stores what the subject itself is made of: bytes of anonymous, file and shared memory. */
static void own_sums(const struct model *w, const struct mm *m, uint64_t rss[MM_RSS_NR])
{
    for (const struct vma *v = mm_vma_next(m, va(0)); v; v = v->next) {
        struct proc_smaps p;
        if (!is_own(w, v))
            continue;
        proc_smaps_of(m, v, &p);
        rss[MM_ANONPAGES] += p.anonymous;
        rss[v->file == w->control ? MM_SHMEMPAGES : MM_FILEPAGES] += p.rss - p.anonymous;
    }
}

static void look_status(const struct model *w, const struct mm *m, struct view *s)
{
    struct proc_status c;
    uint64_t own[MM_RSS_NR] = {0};
    own_sums(w, m, own);
    proc_status_of(m, &c);
    const uint64_t kb[STATUS_NR] = {
        [STATUS_PEAK] = c.peak,
        [STATUS_SIZE] = c.size,
        [STATUS_LCK] = c.lck,
        [STATUS_ANON] = c.rss_anon - own[MM_ANONPAGES] / 1024,
        [STATUS_FILE] = c.rss_file - own[MM_FILEPAGES] / 1024,
        [STATUS_SHMEM] = c.rss_shmem - own[MM_SHMEMPAGES] / 1024,
        [STATUS_DATA] = c.data,
        [STATUS_STK] = c.stk,
        [STATUS_EXE] = c.exe + c.lib,
        [STATUS_PTE] = c.pte,
        [STATUS_SWAP] = c.swap,
        [STATUS_HUGETLB] = c.hugetlb,
    };
    memcpy(s->status, kb, sizeof(s->status));
}

void model_look(struct model *w, struct frames *seen, struct view view[SLOTS])
{
    mm_lru_drain(w->sys);
    frames_forget(seen);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct view *s = &view[i];
        s->live = w->mm[i] != NULL;
        s->many = s->live && w->many[i];
        s->n_vma = s->n_page = 0;
        memset(s->status, 0, sizeof(s->status));
        if (!s->live)
            continue;
        for (const struct vma *v = mm_vma_next(w->mm[i], va(0)); v; v = v->next)
            if (v->start.v - MANY_BASE >= MANY_BYTES && !is_own(w, v))
                look_vma(w, seen, v, s);
        look_status(w, w->mm[i], s);
    }
}
