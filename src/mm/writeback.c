/* writeback.c: dirty pages of files, and pages on their way to a device.
 *
 *   folio_mark_dirty ─► nr_dirty ─► the flusher: too many, or older than dirty_expire ─► written
 *                                   msync, fsync ───────────────────────────────────►    │
 *   swap_writeout ─► WRITEBACK ─► writeback_end: clean; RECLAIM: next in line to be freed ◄┘
 *
 * Writing a page of a file cleans it and write-protects its shared entries, so that the next write
 * is noticed. A write takes no time here: it ends when the round that started it ends, and costs
 * STEP_WRITEBACK.
 *
 *   threshold = dirty_ratio % of (free + file pages on the lists − reserves); the same for background
 *
 * I1  nr_dirty of the nodes = Σ nr_dirty of regular files = their pages with FRAME_F_DIRTY.
 * I2  pages in s->wb.list = folios with FRAME_F_WRITEBACK = Σ nr_writeback.
 *
 * Source: Linux 6.18 mm/page-writeback.c (folio_account_dirtied, global_dirtyable_memory,
 * domain_dirty_limits, balance_dirty_pages, folio_end_writeback), fs/fs-writeback.c (wb_check_old_data_flush),
 * mm/filemap.c (folio_end_writeback), mm/swap.c (folio_rotate_reclaimable).
 */
#include "mm/mm_int.h"

#define MS_PER_CS 10u

/* -- dirty ----------------------------------------------------------------------------------------- */

static struct mm_file *regular_file(const struct frame *f)
{
    bool file = f->owner == FRAME_PAGE_CACHE || f->owner == FRAME_USER_FILE;
    return file ? f->mapping : NULL;
}

void folio_mark_dirty(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, folio_head(s, n));
    struct mm_file *file = regular_file(f);
    if (f->flags & FRAME_F_DIRTY)
        return;
    f->flags |= FRAME_F_DIRTY;
    if (!file)
        return;
    if (file->nr_dirty++ == 0)
        file->dirtied_when = s->now_ms;
    node_stat_add(s, f, NODE_nr_dirty, 1);
    node_stat_add(s, f, NODE_nr_dirtied, 1);
}

void folio_account_cleaned(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    struct mm_file *file = regular_file(f);
    if (!(f->flags & FRAME_F_DIRTY))
        return;
    f->flags &= ~FRAME_F_DIRTY;
    if (!file)
        return;
    file->nr_dirty--;
    node_stat_add(s, f, NODE_nr_dirty, -1);
}

void folio_written(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    if (!(f->flags & FRAME_F_DIRTY) || !regular_file(f))
        return;
    file_writepage(s, n);
    folio_account_cleaned(s, n);
    node_stat_add(s, f, NODE_nr_written, 1);
    STAT(s->stats, pgpgout) += PAGE_SIZE / 1024;
    arch_step(s->outbox, STEP_WRITEBACK, 1);
    if (f->flags & FRAME_F_RECLAIM)
        folio_rotate_reclaimable(s, n);
}

/* -- the flusher ------------------------------------------------------------------------------------- */

static uint64_t nr_dirty(const struct mm_sys *s)
{
    uint64_t pages = 0;
    for (unsigned nid = 0; nid < s->lru.nodes; nid++)
        pages += s->lru.node[nid].stat.v[NODE_nr_dirty];
    return pages;
}

/* Ratios are kept in 1/4096, as the kernel keeps them (domain_dirty_limits). */
static uint64_t dirty_part(uint64_t percent, uint64_t pages)
{
    return percent * PAGE_SIZE / 100 * pages / PAGE_SIZE;
}

void mm_dirty_limits(const struct mm_sys *s, uint64_t *ret_thresh, uint64_t *ret_background)
{
    uint64_t avail = 0;
    for (int z = 0; z < ZONE_NR; z++)
        avail += phys_zone_free(s->phys, (enum zone_id)z);
    avail -= min_u64(avail, phys_totalreserve(s->phys));
    for (unsigned nid = 0; nid < s->lru.nodes; nid++)
        avail += s->lru.node[nid].stat.v[NODE_nr_inactive_file] +
                 s->lru.node[nid].stat.v[NODE_nr_active_file];
    *ret_thresh = dirty_part(s->conf.vm_dirty_ratio, avail + 1);
    *ret_background = dirty_part(s->conf.vm_dirty_background_ratio, avail + 1);
    if (*ret_background >= *ret_thresh)
        *ret_background = *ret_thresh / 2;
}

/* write_file writes all dirty pages of a file; returns how many. */
static uint64_t write_file(struct mm_sys *s, struct mm_file *f)
{
    uint64_t before = f->nr_dirty;
    folio_mkclean(s, f, 0, UINT64_MAX);
    return before - f->nr_dirty;
}

/* write_oldest writes files, the one that is dirty for the longest time first, until so many pages are
 * written or none is left that was dirtied before `before_ms`. */
static void write_oldest(struct mm_sys *s, uint64_t pages, uint64_t before_ms)
{
    while (pages > 0) {
        struct mm_file *oldest = NULL;
        for (struct mm_file *f = s->all_files; f; f = f->next_all)
            if (f->nr_dirty > 0 && f->dirtied_when <= before_ms &&
                (!oldest || f->dirtied_when < oldest->dirtied_when))
                oldest = f;
        if (!oldest)
            return;
        pages -= min_u64(pages, write_file(s, oldest));
    }
}

void writeback_inodes(struct mm_sys *s, uint64_t pages)
{
    write_oldest(s, pages, UINT64_MAX);
}

void balance_dirty_pages(struct mm_sys *s)
{
    uint64_t thresh, background, dirty = nr_dirty(s);
    if (dirty < 8) /* below any threshold that matters: the limits cost a look at all nodes */
        return;
    mm_dirty_limits(s, &thresh, &background);
    if (dirty > background)
        write_oldest(s, dirty - background, UINT64_MAX);
}

/* -- fsync ------------------------------------------------------------------------------------------- */

int mm_fsync_range(struct mm_sys *s, struct mm_file *f, uint64_t from, uint64_t to)
{
    if (f->kind != FILE_REGULAR)
        return 0;
    folio_mkclean(s, f, from >> PAGE_SHIFT, div_up(to, PAGE_SIZE));
    int err = f->wb_err; /* file_check_and_advance_wb_err */
    f->wb_err = 0;
    return err;
}

void mm_sync(struct mm_sys *s, const uint64_t *dev)
{
    for (struct mm_file *f = s->all_files; f; f = f->next_all)
        if (f->nr_dirty > 0 && (!dev || f->dev == *dev))
            write_file(s, f);
    AUDIT(audit_fault(s));
}

/* -- pages under writeback ------------------------------------------------------------------------------ */

void writeback_started(struct mm_sys *s, pfn n)
{
    struct mm_writeback *w = &s->wb;
    if (w->nr == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        w->list = realloc(w->list, w->cap * sizeof(*w->list));
        ASSERT(w->list);
    }
    w->list[w->nr++] = n;
}

static void folio_end_writeback(struct mm_sys *s, pfn n)
{
    struct frame *f = phys_frame(s->phys, n);
    f->flags &= ~FRAME_F_WRITEBACK;
    node_stat_add(s, f, NODE_nr_writeback, -1);
    node_stat_add(s, f, NODE_nr_written, 1);
    if (f->flags & FRAME_F_RECLAIM)
        folio_rotate_reclaimable(s, n);
}

void writeback_end(struct mm_sys *s)
{
    for (uint32_t i = 0; i < s->wb.nr; i++)
        folio_end_writeback(s, s->wb.list[i]);
    s->wb.nr = 0;
}

/* -- time ------------------------------------------------------------------------------------------------ */

void flusher_tick(struct mm_sys *s, uint64_t now_ms)
{
    const struct conf *c = &s->conf;
    s->now_ms = now_ms;
    writeback_end(s);
    mm_kswapd(s);
    if (now_ms < s->wb.next_ms || c->vm_dirty_writeback == 0)
        return;
    s->wb.next_ms = now_ms + c->vm_dirty_writeback * MS_PER_CS;
    struct arch_worker before = arch_task_begin(s->outbox, TASK_FLUSHER, 0);
    uint64_t age = c->vm_dirty_expire * MS_PER_CS;
    if (now_ms >= age)
        write_oldest(s, UINT64_MAX, now_ms - age);
    balance_dirty_pages(s);
    arch_task_end(s->outbox, before);
}
