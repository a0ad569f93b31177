/* view.c: reading accessors for /proc. Source: Linux 6.18 fs/proc/task_mmu.c for what is asked. */
#include "mm/view.h"

#include "mm/mm_int.h"

#include <sys/sysmacros.h>

void mm_set_layout(struct mm *m, const struct mm_layout *layout)
{
    m->layout = *layout;
}

const struct mm_layout *mm_layout(const struct mm *m)
{
    return &m->layout;
}

void mm_heap(const struct mm *m, uint64_t *ret_start, uint64_t *ret_end)
{
    *ret_start = m->start_brk;
    *ret_end = m->brk;
}

/* The list is newest first, so the one made after m is the one whose next is m. */
struct mm *mm_next(const struct mm_sys *s, const struct mm *m)
{
    struct mm *next = NULL;
    for (struct mm *at = s->mms; at && at != m; at = at->next)
        next = at;
    return next;
}

struct mm_sys *mm_sys_of(const struct mm *m)
{
    return m->sys;
}

/* Files without a name lie on the kernel's own tmpfs, which is device 0:1, and its own hugetlbfs, which
 * got 0:17 on the machine that was looked at. */
void mm_file_view(const struct mm_file *f, struct mm_file_view *ret)
{
    bool kernel = (f->kind == FILE_SHMEM || f->kind == FILE_HUGETLB) &&
                  (!f->named || f->dev > UINT64_MAX / 2);
    *ret = (struct mm_file_view){
        .path = f->path,
        .dev = kernel ? makedev(0, f->kind == FILE_SHMEM ? 1 : 17) : f->dev,
        .ino = f->named ? f->ino : f->serial,
        .shmem = f->kind == FILE_SHMEM,
    };
}

/* THP_ORDERS_ALL: anonymous and file orders alike. */
bool mm_thp_eligible(const struct mm *m, const struct vma *v)
{
    return thp_orders(m, v, TVA_SMAPS, THP_ORDERS_ANON | THP_ORDERS_FILE) != 0;
}

bool mm_thp_enabled(const struct mm *m)
{
    return !m->thp.disabled;
}

/* -- swap and writeback -------------------------------------------------------------------------- */

uint64_t mm_swap_users(struct mm_sys *s, pte e)
{
    return swap_slot_of(s, e)->count;
}

uint64_t mm_shmem_swapped(const struct mm *m, const struct vma *v)
{
    bool holes = !(v->flags & VM_SHARED) && (v->flags & VM_WRITE);
    uint64_t n = 0;
    unsigned level;
    pte e;
    if (!v->file || v->file->kind != FILE_SHMEM || mm_swap_free(m->sys) == mm_swap_total(m->sys))
        return 0;
    for (uint64_t a = v->start.v; a < v->end.v; a += PAGE_SIZE)
        if (filemap_swapped(v->file, vma_pgoff_at(v, va(a)), &e) &&
            (!holes || !pt_leaf(&m->pt, va(a), &level)))
            n++;
    return n;
}

void mm_write_pending(struct mm_sys *s, uint64_t ret[][ZONE_NR])
{
    const uint32_t pending = FRAME_F_DIRTY | FRAME_F_WRITEBACK;
    for (unsigned nid = 0; nid < s->lru.nodes; nid++)
        for (unsigned l = LRU_INACTIVE_FILE; l <= LRU_ACTIVE_FILE; l++)
            for (uint32_t at = s->lru.node[nid].lru.lists[l].head; at != 0;) {
                const struct frame *f = phys_frame(s->phys, (pfn){at - 1});
                ret[nid][f->zone] += f->flags & pending ? BIT(f->order) : 0;
                at = f->link_next;
            }
}

/* -- huge pages and keys ------------------------------------------------------------------------- */

uint64_t mm_vma_page_size(const struct vma *v)
{
    return vma_hpage_size(v);
}

bool mm_has_pkeys(const struct mm *m)
{
    return m->sys->conf.mmu_pku;
}

void mm_hugetlb_node(const struct mm_sys *s, unsigned nid, struct mm_hugetlb_info *ret)
{
    const struct hstate *h = &s->hugetlb.h[MM_HUGETLB_2M];
    *ret = (struct mm_hugetlb_info){.bytes = MIB(2),
                                    .nr = h->nr_node[nid],
                                    .free = h->free_node[nid],
                                    .surplus = h->surplus_node[nid]};
}

uint64_t mm_hugetlb_boot(const struct mm_sys *s, enum mm_hugetlb_size size, unsigned nid)
{
    return s->hugetlb.h[size].boot_node[nid];
}

bool mm_folio_anon(const struct frame *head)
{
    return head->owner == FRAME_USER_ANON ||
           (head->owner == FRAME_HUGETLB && (head->private & HUGETLB_ANON));
}
