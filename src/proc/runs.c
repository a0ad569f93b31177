/* runs.c: pagemap, kpageflags and kpagecount as runs of words.
 *
 * I1  Runs are sorted, do not overlap and have no word 0 with step 0: those are left out.
 */
#include "proc/proc_int.h"

#include "mm/view.h"
#include "proc/files.h"

/* The run that grows, and where complete ones go. */
struct runs {
    struct sink *out;
    struct proc_run run; /* count 0: none yet */
};

static void flush(struct runs *r)
{
    if (r->run.count > 0)
        sink_bytes(r->out, (const char *)&r->run, sizeof r->run);
    r->run.count = 0;
}

/* add appends n equal words, or one. */
static void add(struct runs *r, uint64_t index, uint64_t word, uint64_t n)
{
    struct proc_run *run = &r->run;
    uint64_t last = run->word + (run->count - 1) * run->step;
    if (run->count > 0 && run->index + run->count == index) {
        if (run->count == 1 && n == 1 && word == last + 1)
            run->step = 1;
        if (word == last + run->step && (n == 1 || run->step == 0)) {
            run->count += n;
            return;
        }
    }
    flush(r);
    if (word != 0)
        *run = (struct proc_run){index, n, word, 0};
}

void proc_put_pagemap(struct sink *out, const struct mm *m)
{
    struct runs r = {.out = out};
    for (const struct vma *v = mm_vma_next(m, va(0)); v; v = v->next)
        for (vaddr a = pt_next(mm_pt(m), v->start, v->end); a.v < v->end.v;
             a = pt_next(mm_pt(m), va(a.v + PAGE_SIZE), v->end))
            add(&r, a.v >> PAGE_SHIFT, proc_pagemap_word(m, a), 1);
    flush(&r);
}

void proc_put_frames(struct sink *out, struct phys *p, bool flags)
{
    struct runs r = {.out = out};
    struct proc_folio_flags last = {.known = false};
    const pfn zero = phys_zero_page(p); /* stands in the kernel image and looks different */
    for (pfn n = {0}; n.v < phys_frames(p);) {
        uint64_t end = n.v == zero.v ? n.v + 1 : phys_same_until(p, n);
        if (n.v < zero.v && zero.v < end)
            end = zero.v;
        uint64_t word = flags ? proc_pageflags_next(p, n, &last) : proc_pagecount_word(p, n);
        add(&r, n.v, word, end - n.v);
        n.v = end;
    }
    flush(&r);
}
