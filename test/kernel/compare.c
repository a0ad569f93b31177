/* compare.c: performs a sequence on both sides, call by call, and names the first field that differs.
 *
 * Everything is compared exactly but for what the table of tolerances names.
 */
#include "kernel/check.h"

#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

/* -- tolerances --------------------------------------------------------------------------------- */

static const struct {
    const char *field, *tolerance, *reason;
} tolerances[] = {
    {"any field", "must differ in each of six runs, within some two seconds",
     "writeback and reclaim by the kernel's own threads may come between any two calls"},
    {"any field, of a run during which khugepaged collapsed pages", "the sequence is run again",
     "when it comes by is chance; what it does is compared by global_khugepaged"},
    {"kpageflags", "LRU, ACTIVE, REFERENCED, IDLE, WRITEBACK, PRIVATE are not looked at",
     "lists are filled in batches per CPU, and scanned by kernel threads"},
    {"MLOCKED of pages of files and shared memory", "not looked at",
     "how often a page is locked counts only while it is on a list: batches of 31 per CPU decide"},
    {"MADV_REMOVE and MADV_PAGEOUT of mappings of the test file", "not done",
     "what the device is asked for again comes in folios of any size; shared memory covers the "
     "call"},
    {"pages that were not there, beyond the first 64 MiB of a mapping", "not read at the end",
     "there are mappings of many terabytes"},
    {"smaps of a process with VMAs up to vm.max_map_count",
     "not looked at; place and rights of VMAs, "
     "pages, VmSize and its like are",
     "its smaps has 60 MB"},
    {"smaps Referenced", "not looked at", "the accessed bit is cleared by DAMON"},
    {"VmHWM", "not looked at",
     "the kernel takes it from counters it keeps in batches of 64 pages per CPU"},
};

void tolerances_list(FILE *f)
{
    for (unsigned i = 0; i < ARRAY_LEN(tolerances); i++)
        fprintf(f, "%s\n    tolerance: %s\n    reason:    %s\n", tolerances[i].field,
                tolerances[i].tolerance, tolerances[i].reason);
}

/* -- fields ------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool found(struct difference *d, const char *what,
                                                        const char *format, ...)
{
    va_list args;
    snprintf(d->what, sizeof(d->what), "%s", what);
    va_start(args, format);
    vsnprintf(d->detail, sizeof(d->detail), format, args);
    va_end(args);
    return true;
}

static bool number(struct difference *d, const char *what, uint64_t k, uint64_t m)
{
    return k != m && found(d, what, "kernel %lld (%#llx), model %lld (%#llx)", (long long)k,
                           (unsigned long long)k, (long long)m, (unsigned long long)m);
}

static bool answers(const struct answer *k, const struct answer *m, struct difference *d)
{
    if (number(d, "result", (uint64_t)k->result, (uint64_t)m->result) ||
        number(d, "signal", (uint64_t)k->signal, (uint64_t)m->signal) ||
        number(d, "si_code", (uint64_t)k->code, (uint64_t)m->code) ||
        number(d, "si_addr", k->where, m->where) ||
        number(d, "minor faults", k->minflt, m->minflt) ||
        number(d, "major faults", k->majflt, m->majflt))
        return true;
    for (unsigned i = 0; i < OUT_SEEN; i++)
        if (k->out[i] != m->out[i])
            return found(d, "output", "byte %u: kernel %u, model %u", i, k->out[i], m->out[i]);
    return false;
}

static bool vma(const struct vma_view *k, const struct vma_view *m, struct difference *d)
{
    if (k->start != m->start || k->end != m->end || memcmp(k->perms, m->perms, 4) != 0 ||
        k->offset != m->offset)
        return found(d, "VMA", "kernel %llx-%llx %s %llx, model %llx-%llx %s %llx",
                     (unsigned long long)k->start, (unsigned long long)k->end, k->perms,
                     (unsigned long long)k->offset, (unsigned long long)m->start,
                     (unsigned long long)m->end, m->perms, (unsigned long long)m->offset);
    if (k->flags != m->flags)
        return found(d, "VmFlags", "%llx-%llx: kernel %#llx, model %#llx",
                     (unsigned long long)k->start, (unsigned long long)k->end,
                     (unsigned long long)k->flags, (unsigned long long)m->flags);
    return false;
}

static bool smaps(const struct vma_view *k, const struct vma_view *m, struct difference *d)
{
    for (unsigned i = 0; i < SMAPS_NR; i++)
        if (k->kb[i] != m->kb[i])
            return found(d, smaps_names[i], "%llx-%llx: kernel %u kB, model %u kB",
                         (unsigned long long)k->start, (unsigned long long)k->end, k->kb[i],
                         m->kb[i]);
    return false;
}

/* The last call gives no frame back whose place it fills again: then only chance decides. So which pages
 * have another frame than before is compared: what was copied, and what was not. */
static bool keeps;

static bool keeps_frames(const struct call *c)
{
    static const long calls[] = {
        SYS_mprotect, SYS_mlock,   SYS_mlock2, SYS_munlock,   SYS_mlockall,      SYS_munlockall,
        SYS_msync,    SYS_mincore, SYS_brk,    SYS_prlimit64, SYS_pkey_mprotect, SYS_set_mempolicy};
    const struct call_kind *kind = &call_kinds[c->kind];
    for (size_t i = 0; i < ARRAY_LEN(calls) && kind->op == OP_CALL; i++)
        if (kind->nr == calls[i])
            return true;
    return kind->op == OP_READ || kind->op == OP_WRITE || kind->op == OP_EXEC ||
           kind->op == OP_FORK || kind->op == OP_EXIT;
}

static bool page(const struct page_view *k, const struct page_view *m, struct difference *d)
{
    unsigned long long a = k->addr;
    uint64_t unseen = k->map & PM_FILE ? BIT(KPF_MLOCKED) : 0;
    if (k->map != m->map)
        return found(d, "pagemap", "%llx: kernel %#llx, model %#llx, other %#llx", a,
                     (unsigned long long)k->map, (unsigned long long)m->map,
                     (unsigned long long)(k->map ^ m->map));
    if ((k->flags ^ m->flags) & ~unseen)
        return found(d, "kpageflags", "%llx: kernel %#llx, model %#llx, other %#llx", a,
                     (unsigned long long)k->flags, (unsigned long long)m->flags,
                     (unsigned long long)(k->flags ^ m->flags));
    if (k->mapcount != m->mapcount)
        return found(d, "kpagecount", "%llx: kernel %u, model %u", a, k->mapcount, m->mapcount);
    if (k->frame != m->frame)
        return found(d, "which frame", "%llx: the kernel's number %u, the model's number %u", a,
                     k->frame, m->frame);
    if (keeps && k->kept != m->kept)
        return found(d, "the same frame as before", "%llx: kernel %d, model %d", a, k->kept,
                     m->kept);
    if (k->word != m->word)
        return found(d, "contents", "%llx: kernel %#llx, model %#llx", a,
                     (unsigned long long)k->word, (unsigned long long)m->word);
    if (k->sum != m->sum)
        return found(d, "contents",
                     "%llx: bytes after the first 8: kernel's sum %#llx, model's %#llx", a,
                     (unsigned long long)k->sum, (unsigned long long)m->sum);
    return false;
}

/* The lists leave out what is not there: the lower of two addresses is missing on the other side. */
static bool pages(const struct view *k, const struct view *m, struct difference *d)
{
    for (unsigned i = 0; i < k->n_page || i < m->n_page; i++) {
        struct page_view none = {0};
        const struct page_view *a = i < k->n_page ? &k->page[i] : &none,
                               *b = i < m->n_page ? &m->page[i] : &none;
        none.addr = a == &none ? b->addr : a->addr;
        if (a->addr < b->addr)
            none.addr = a->addr, b = &none;
        else if (b->addr < a->addr)
            none.addr = b->addr, a = &none;
        if (page(a, b, d))
            return true;
    }
    return false;
}

/* is_rss: what is left of it without what the subject itself is made of, which smaps tells. */
static bool is_rss(unsigned field)
{
    return field == STATUS_ANON || field == STATUS_FILE || field == STATUS_SHMEM;
}

static bool views(const struct view *k, const struct view *m, struct difference *d)
{
    if (number(d, "process lives", k->live, m->live) ||
        number(d, "VMAs up to the limit", k->many, m->many))
        return true;
    unsigned n = (unsigned)min_u64(k->n_vma, m->n_vma);
    for (unsigned i = 0; i < n; i++)
        if (vma(&k->vma[i], &m->vma[i], d))
            return true;
    if (number(d, "number of VMAs", k->n_vma, m->n_vma))
        return true;
    if (pages(k, m, d))
        return true;
    for (unsigned i = 0; i < n; i++)
        if (smaps(&k->vma[i], &m->vma[i], d))
            return true;
    for (unsigned i = 0; i < STATUS_NR; i++)
        if (!(k->many && is_rss(i)) && number(d, status_names[i], k->status[i], m->status[i]))
            return true;
    return false;
}

bool differ(const struct moment *k, const struct moment *m, struct difference *ret)
{
    ret->proc = -1;
    if (answers(&k->answer, &m->answer, ret))
        return true;
    for (unsigned i = 0; i < SLOTS; i++) {
        ret->proc = (int)i;
        if (views(&k->view[i], &m->view[i], ret))
            return true;
    }
    return false;
}

/* -- running both -------------------------------------------------------------------------------- */

static struct moment kernel, model;
static struct frames *model_frames;

const struct moment *last_kernel(void)
{
    return &kernel;
}
const struct moment *last_model(void)
{
    return &model;
}

static bool look(struct native *k, struct model *w, struct difference *d, struct made *made)
{
    native_look(k, kernel.view);
    model_look(w, model_frames, model.view);
    for (unsigned i = 0; i < SLOTS; i++) {
        made->pages += kernel.view[i].n_page;
        view_keep(&kernel.view[i]);
        view_keep(&model.view[i]);
    }
    seen_note(&kernel);
    return differ(&kernel, &model, d);
}

static bool audit(struct model *w, struct difference *d)
{
    int broken = model_audit(w);
    return broken && found(d, "mm_audit", "invariant %d of the model", broken);
}

static bool perform(struct native *k, struct model *w, const struct call *c, struct difference *d)
{
    d->proc = -1;
    keeps = keeps_frames(c);
    if (!native_call(k, c, &kernel.answer))
        return found(d, "the subject died", "signal or timeout");
    model_call(w, c, &model.answer);
    if (!answers(&kernel.answer, &model.answer, d))
        return false;
    native_look(k, kernel.view); /* for whoever reads of it */
    model_look(w, model_frames, model.view);
    return true;
}

/* cannot_be_made: shrinking dropped the fork of its process or the exit before its fork, or a fork
 * failed. */
static bool cannot_be_made(const struct call *c)
{
    bool fork = call_kinds[c->kind].op == OP_FORK;
    return !kernel.view[c->proc].live || (fork && kernel.view[c->arg[0]].live);
}

static bool run_calls(struct native *k, struct model *w, const struct sequence *q,
                      struct difference *d, struct made *made)
{
    int64_t results[CALLS_MAX] = {0};
    unsigned n;
    uint64_t brk;
    native_own(k, &n, &brk);
    for (unsigned i = 0; i < q->n; i++) {
        struct call c = call_resolved(q, i, results, brk, native_stack(k));
        d->at = i;
        if (cannot_be_made(&c) || model_left_out(w, &c)) {
            ++*(cannot_be_made(&c) ? &made->no_process : &made->left_out);
            continue;
        }
        made->calls++;
        if (perform(k, w, &c, d) || look(k, w, d, made) || audit(w, d))
            return true;
        results[i] = kernel.answer.result;
    }
    return false;
}

static uint8_t sweep_kind(void)
{
    unsigned kind = 0;
    while (call_kinds[kind].op != OP_SWEEP)
        kind++;
    return (uint8_t)kind;
}

#define SWEEP_MAX MIB(64)

/* sweep: each process reads each page of its mappings, so that the bytes of all are compared, also of
 * those that were not there. */
static bool sweep(struct native *k, struct model *w, struct difference *d, struct made *made)
{
    struct call c = {.kind = sweep_kind()};
    for (c.proc = 0; c.proc < SLOTS; c.proc++) {
        const struct view *v = &kernel.view[c.proc];
        for (unsigned i = 0; v->live && i < v->n_vma; i++) {
            if (memcmp(v->vma[i].perms, "---", 3) == 0)
                continue;
            c.arg[0] = v->vma[i].start;
            c.arg[1] = min_u64(v->vma[i].end - v->vma[i].start, SWEEP_MAX);
            c.arg[2] = v->many ? K : v->vma[i].kb[SMAPS_PAGE_SIZE] * 1024ull;
            made->sweeps++;
            if (perform(k, w, &c, d)) {
                d->proc = c.proc;
                return true;
            }
        }
    }
    keeps = true;
    return look(k, w, d, made) || audit(w, d);
}

bool run_both(struct native *k, const struct sequence *q, struct difference *ret,
              struct made *ret_made)
{
    memset(ret, 0, sizeof(*ret));
    memset(ret_made, 0, sizeof(*ret_made));
    memset(&kernel.answer, 0, sizeof(kernel.answer));
    memset(&model.answer, 0, sizeof(model.answer));
    keeps = false;
    for (unsigned i = 0; i < SLOTS; i++) {
        view_forget(&kernel.view[i]);
        view_forget(&model.view[i]);
    }
    if (!model_frames)
        frames_open(&model_frames);
    if (!native_begin(k, q)) {
        native_end(k);
        return found(ret, "the subject", "could not be started");
    }
    struct model *w = model_begin(k, q);
    bool bad = look(k, w, ret, ret_made) || run_calls(k, w, q, ret, ret_made) ||
               sweep(k, w, ret, ret_made);
    ret->swept = bad && ret_made->sweeps > 0;
    native_end(k);
    model_end(w, strcmp(ret->what, "mm_audit") == 0);
    return bad;
}
