/* mm.c: opening (also the empty one that exec begins with) and closing address spaces, what they count,
 * and what they tell the hardware.
 *
 *   every write of an entry ─► set_pte ─► 8 bytes at the entry's physical address ─┐
 *   every new table ─► mm_tables ─► 4096 bytes zeroed, 8 bytes in its parent ──────┤► outbox
 *   every cleared or weakened entry ─► struct gather (zap.c) ─► one flush a call ──┘
 *
 * I1  Neighbouring kernel writes leave as one message: a range of entries is one range of bytes.
 *
 * Source: Linux mm/memory.c (__pte_alloc, add_mm_rss_vec), arch/x86/mm/mmap.c (mmap_base),
 * kernel/fork.c (mm_init, mmf_init_legacy_flags), mm/mmap.c (exit_mmap).
 */
#include "mm/mm_int.h"

/* -- telling the hardware -------------------------------------------------------------------- */

static void kernel_access(struct mm_sys *s, enum arch_kind kind, paddr a, uint64_t bytes)
{
    struct arch_outbox *o = s->outbox;
    struct arch_msg *last = o->n > 0 ? &o->msg[o->n - 1] : NULL;
    if (last && last->kind == kind && last->a + last->b == a.v)
        last->b += bytes;
    else
        arch_send(o, kind, 0, a.v, bytes);
}

void kernel_read(struct mm_sys *s, paddr a, uint64_t bytes)
{
    kernel_access(s, ARCH_KERNEL_READ, a, bytes);
}

void kernel_write(struct mm_sys *s, paddr a, uint64_t bytes)
{
    kernel_access(s, ARCH_KERNEL_WRITE, a, bytes);
}

void set_pte(struct mm *m, vaddr a, pte *e, pte value)
{
    *e = value;
    kernel_write(m->sys, pt_entry_paddr(&m->pt, a, 0), sizeof(pte));
}

int mm_tables(struct mm *m, vaddr a, unsigned level, pte **ret)
{
    unsigned made = 0;
    m->oom.busy++;
    int err = pt_lookup_alloc(&m->pt, a, level, ret, &made);
    while (err == -ENOMEM && alloc_retry(m))
        err = pt_lookup_alloc(&m->pt, a, level, ret, &made);
    m->oom.busy--;
    if (made == 0)
        return err;
    arch_step(m->sys->outbox, STEP_TABLE, made);
    for (unsigned l = level; err == 0 && l < level + made; l++) {
        uint64_t table = align_down(pt_entry_paddr(&m->pt, a, l).v, PAGE_SIZE);
        kernel_write(m->sys, pa(table), PAGE_SIZE);
        kernel_write(m->sys, pt_entry_paddr(&m->pt, a, l + 1), sizeof(pte));
    }
    return err;
}

/* -- counters -------------------------------------------------------------------------------- */

void rss_add(struct mm *m, const struct frame *f, int64_t n)
{
    struct mm_counters *c = &m->cnt;
    enum mm_rss kind = f->owner == FRAME_USER_ANON ? MM_ANONPAGES
                       : f->owner == FRAME_SHMEM   ? MM_SHMEMPAGES
                                                   : MM_FILEPAGES;
    c->rss[kind] += (uint64_t)n;
    c->rss_peak = max_u64(c->rss_peak, c->rss[0] + c->rss[1] + c->rss[2]);
}

void mm_counters(const struct mm *m, struct mm_counters *ret)
{
    *ret = m->cnt;
    ret->pte_bytes = pt_bytes(&m->pt);
    ret->map_count = m->vmas.nr;
}

const struct pt *mm_pt(const struct mm *m)
{
    return &m->pt;
}

uint32_t mm_id(const struct mm *m)
{
    return m->mm_id;
}

/* -- opening --------------------------------------------------------------------------------- */

int mm_sys_open(struct mm_sys **ret, const struct conf *conf, struct phys *phys,
                struct stat_set *stats, struct arch_outbox *outbox)
{
    struct mm_sys *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->conf = *conf;
    s->phys = phys;
    s->stats = stats;
    s->outbox = outbox;
    int err = lru_open(s);
    if (err == 0)
        err = compaction_open(s);
    if (err == 0)
        err = swap_open(s);
    if (err != 0) {
        swap_close(s);
        compaction_close(s);
        lru_close(s);
        free(s);
        return -ENOMEM;
    }
    commit_init(s);
    map_init(&s->files);
    mempolicy_open(s);
    s->vdso = file_new(s, FILE_SPECIAL, "[vdso]");
    s->vvar = file_new(s, FILE_SPECIAL, "[vvar]");
    hugetlb_open(s);
    *ret = s;
    return 0;
}

void mm_sys_close(struct mm_sys *s)
{
    ASSERT(!s->mms);
    huge_sys_close(s);
    shm_close_all(s);
    while (s->all_files) {
        struct mm_file *f = s->all_files;
        f->named = false;
        f->refs = 1;
        mm_file_put(s, f);
    }
    hugetlb_close(s);
    map_free(&s->files);
    label_close(s);
    swap_close(s);
    compaction_close(s);
    lru_close(s);
    free(s->wb.list);
    free(s);
}

void mm_sys_set_kernel(struct mm_sys *s, const struct pt *kernel)
{
    s->kernel = kernel;
}

static int open_tables(struct mm *m, struct mm_sys *s)
{
    return s->kernel ? pt_open_process(&m->pt, s->kernel) : pt_open(&m->pt, s->phys, &s->conf);
}

int mm_open(struct mm **ret, struct mm_sys *s)
{
    struct mm *m = calloc(1, sizeof(*m));
    struct vma_hit *hits = calloc(VMA_HITS, sizeof(*hits));
    int err = m && hits ? open_tables(m, s) : -ENOMEM;
    if (err != 0) {
        free(m);
        free(hits);
        return err;
    }
    m->sys = s;
    m->users = 1;
    m->mm_id = ++s->mm_ids_made;
    m->hits = hits;
    m->next = s->mms;
    s->mms = m;
    m->task_size = BIT(s->conf.mmu_levels == 5 ? 56 : 47) - PAGE_SIZE;
    task_init(&m->task);
    pkey_init(m);
    m->legacy = s->conf.kernel_legacy_va_layout;
    mm_set_stack_limit(m, STACK_RLIMIT_DEFAULT);
    *ret = m;
    return 0;
}

int mm_exec(struct mm **ret, const struct mm *old)
{
    struct mm *m;
    int err = mm_open(&m, old->sys);
    if (err != 0)
        return err;
    m->task = old->task;
    m->legacy = old->legacy;
    m->numa = old->numa;
    mpol_get(m->numa.policy);
    m->thp.disabled = old->thp.disabled;
    m->thp.except_advised = old->thp.except_advised;
    *ret = m;
    return 0;
}

void mm_get(struct mm *m)
{
    m->users++;
}

bool mm_put(struct mm *m)
{
    bool last = --m->users == 0;
    if (last)
        mm_close(m);
    return last;
}

void mm_close(struct mm *m)
{
    if (m->vmas.first)
        unmap_region(m, m->vmas.first->start.v, m->vmas.last->end.v);
    huge_exit(m);
    arch_put(m->sys->outbox, (struct arch_msg){.kind = ARCH_SPACE_END, .mm = m->mm_id});
    pt_close(&m->pt);
    struct mm **link = &m->sys->mms;
    while (*link != m)
        link = &(*link)->next;
    *link = m->next;
    if (m->sys->current == m)
        m->sys->current = NULL;
    mpol_put(m->numa.policy);
    vma_tree_close(&m->vmas);
    free(m->hits);
    AUDIT(audit_fault(m->sys));
    free(m);
}
