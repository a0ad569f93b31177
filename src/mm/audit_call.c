/* audit_call.c: what the hostile build audits after every call and every fault.
 *
 *   after each       the tree, order and totals of the caller's VMAs (calls only); the sums that need
 *                    no walk; and what was touched: every entry that the outbox says was written,
 *                    its VMA and both neighbours, its folio (references, map counts, list, and the
 *                    walk from the folio that must find as many entries)
 *   when it is due   everything (audit_sys): after each while the machine has at most AUDIT_WHOLE
 *                    pages, VMAs and swap slots; else after each n-th, n = size / AUDIT_SHARE,
 *                    so that a call costs the same on a machine of any size
 *
 * The outbox begins anew when the hardware was told, so messages sent before the last audit may be
 * looked at again. Of very many only the last AUDIT_MESSAGES are, and of those at most AUDIT_ENTRIES
 * entries: what a call costs is bounded, and the whole audit sees the rest.
 */
#include "mm/audit_int.h"

#define AUDIT_WHOLE    512u
#define AUDIT_SHARE    32u
#define AUDIT_MESSAGES 64u
#define AUDIT_ENTRIES  64u

/* -- what was touched ------------------------------------------------------------------------ */

/* A place in the page tables. */
struct place {
    struct mm *m;   /* whose */
    vaddr a;        /* address the entry maps */
    unsigned level; /* of the entry */
    pte e;          /* what stands there */
};

static struct mm *mm_of_root(const struct mm_sys *s, pfn root)
{
    struct mm *m = s->mms;
    while (m && m->pt.root.v != root.v)
        m = m->next;
    return m;
}

/* find_place climbs from the entry at a physical address to a root; false if its table is in no tree:
 * freed, put aside, or not linked yet. */
static bool find_place(struct mm_sys *s, uint64_t at, struct place *ret)
{
    uint64_t index[PT_LEVELS_MAX], above = at;
    for (unsigned depth = 0; depth < PT_LEVELS_MAX; depth++) {
        pfn table = {above >> PAGE_SHIFT};
        if (table.v >= phys_frames(s->phys) || phys_owner(s->phys, table) != FRAME_PAGE_TABLE)
            return false;
        pte e = phys_table(s->phys, table)[above % PAGE_SIZE / sizeof(pte)];
        if (depth == 0)
            ret->e = e;
        index[depth] = above % PAGE_SIZE / sizeof(pte);
        ret->m = mm_of_root(s, table);
        if (ret->m) {
            ret->level = ret->m->pt.levels - 1 - depth;
            ret->a = va(0);
            for (unsigned i = 0; i <= depth; i++)
                ret->a.v += index[i] << pt_level_shift(ret->level + i);
            return true;
        }
        above = phys_frame(s->phys, table)->index;
    }
    return false;
}

/* neighbours_right: a VMA and those beside it stand in order, and its trees know where it lies. */
static bool neighbours_right(const struct vma *v)
{
    if (v->prev && (v->prev->next != v || v->prev->end.v > v->start.v))
        return false;
    if (v->next && (v->next->prev != v || v->next->start.v < v->end.v))
        return false;
    return audit_vma(v);
}

static bool waits(const struct mm_sys *s, pfn head)
{
    struct map waiting = {0};
    lru_count_waiting(s, &waiting);
    bool found = map_find(&waiting, head.v) != NULL;
    map_free(&waiting);
    return found;
}

/* The audit of what was touched, under way. */
struct touched {
    struct mm_sys *s;
    unsigned left; /* entries still to be looked at */
    pfn last;      /* folio looked at last: entries of one come in a row */
};

static int folio_right(struct touched *t, pfn n, unsigned level)
{
    struct mm_sys *s = t->s;
    pfn head = folio_head(s, n);
    const struct frame *f = phys_frame(s->phys, head);
    bool hugetlb = f->flags & FRAME_F_HUGETLB;
    if (level == 0 && !audit_page(phys_frame(s->phys, n), phys_frame(s->phys, n)->mapcount))
        return 5;
    if (head.v == t->last.v)
        return 0;
    t->last = head;
    if (!audit_folio(s, head, hugetlb ? f->entire : folio_mapcount(s, head)))
        return 5;
    bool listed = hugetlb || f->owner == FRAME_KERNEL_IMAGE || f->flags & FRAME_F_LRU;
    return listed || waits(s, head) ? 0 : 8;
}

static int entry_right(struct touched *t, const struct place *p)
{
    const struct vma *v = vma_lookup(p->m, p->a.v);
    bool table = p->level > 0 && pte_present(p->e) && !pte_is_leaf(p->e, p->level);
    if (v && !neighbours_right(v))
        return 7;
    if (table || p->level > 2)
        return 0;
    if (!audit_entry_allowed(v, p->e))
        return 3;
    if (pte_is_swap(p->e) || (p->e.v & PTE_SPECIAL))
        return 0;
    return folio_right(t, pte_leaf_pfn(p->e, p->level), p->level);
}

/* written_right audits the entries among [at, at + bytes) of physical memory that are not none. */
static int written_right(struct touched *t, uint64_t at, uint64_t bytes)
{
    struct phys *phys = t->s->phys;
    struct place p = {0};
    int broken = 0;
    uint64_t e = align_down(at, sizeof(pte)), end = at + bytes;
    for (; e < end && broken == 0 && t->left > 0; e += sizeof(pte)) {
        pfn table = {e >> PAGE_SHIFT};
        if (table.v >= phys_frames(phys) || phys_owner(phys, table) != FRAME_PAGE_TABLE)
            return 0;
        if (pte_none(phys_table(phys, table)[e % PAGE_SIZE / sizeof(pte)]))
            continue;
        if (!find_place(t->s, e, &p))
            return 0;
        t->left--;
        broken = entry_right(t, &p);
    }
    return broken;
}

static int touched_right(struct mm_sys *s)
{
    const struct arch_outbox *o = s->outbox;
    struct touched t = {.s = s, .left = AUDIT_ENTRIES, .last = {UINT64_MAX}};
    uint32_t first = o->n > AUDIT_MESSAGES ? o->n - AUDIT_MESSAGES : 0;
    int broken = 0;
    for (uint32_t i = o->n; i > first && broken == 0; i--) /* the latest first */
        if (o->msg[i - 1].kind == ARCH_KERNEL_WRITE)
            broken = written_right(&t, o->msg[i - 1].a, o->msg[i - 1].b);
    return broken;
}

/* -- sums ------------------------------------------------------------------------------------ */

/* sums_right: frames have one owner each, and a page that is mapped has an entry. */
static int sums_right(const struct mm_sys *s)
{
    uint64_t frames = 0, anon = 0, mapped = 0;
    for (int o = 0; o < FRAME_OWNER_NR; o++)
        frames += phys_owner_frames(s->phys, (enum frame_owner)o);
    for (const struct mm *m = s->mms; m; m = m->next) {
        anon += m->cnt.rss[MM_ANONPAGES];
        mapped += m->cnt.rss[MM_FILEPAGES] + m->cnt.rss[MM_SHMEMPAGES];
    }
    for (unsigned nid = 0; nid < s->lru.nodes; nid++) {
        anon -= s->lru.node[nid].stat.v[NODE_nr_anon_pages];
        mapped -= s->lru.node[nid].stat.v[NODE_nr_mapped];
    }
    if ((int64_t)anon < 0 || (int64_t)mapped < 0)
        return 4;
    return frames == phys_frames(s->phys) ? 0 : 12;
}

/* -- when ------------------------------------------------------------------------------------ */

/* audit_size is what audit_sys has to look at. */
static uint64_t audit_size(const struct mm_sys *s)
{
    uint64_t n = 0;
    for (const struct mm *m = s->mms; m; m = m->next) {
        n += m->cnt.rss[MM_FILEPAGES] + m->cnt.rss[MM_ANONPAGES] + m->cnt.rss[MM_SHMEMPAGES];
        n += m->cnt.swapents + m->vmas.nr;
        n += m->pt.tables[0] * 16; /* their entries that are none */
    }
    for (unsigned nid = 0; nid < s->lru.nodes; nid++)
        n += s->lru.node[nid].stat.v[NODE_nr_file_pages];
    for (unsigned t = 0; t < MAX_SWAPFILES; t++)
        n += s->swap.area[t].max / 16; /* slots that are free */
    return n;
}

static void audit_due(struct mm_sys *s)
{
    uint64_t size = audit_size(s);
    if (size > AUDIT_WHOLE && ++s->audits_put_off < size / AUDIT_SHARE)
        return;
    s->audits_put_off = 0;
    int broken = audit_sys(s);
    ASSERT(broken == 0);
}

void audit_fault(struct mm_sys *s)
{
    int broken = sums_right(s);
    if (broken == 0)
        broken = touched_right(s);
    ASSERT(broken == 0);
    audit_due(s);
}

void audit_call(struct mm *m)
{
    int broken = audit_space(m);
    ASSERT(broken == 0);
    audit_fault(m->sys);
}
