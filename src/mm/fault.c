/* fault.c: what a page fault does in a VMA that allows the access. How it gets there: addr_fault.c.
 *
 *   handle_mm_fault ─► handle_pmd_fault ─► handle_pte_fault
 *            none ─┬ anonymous ─► do_anonymous_page   zero page (read) or new page (write)
 *                  ├ read ──────► do_read_fault       fault-around, else __do_fault
 *                  ├ private ───► do_cow_fault        new page, copied from the file's
 *                  └ shared ────► do_shared_fault     page_mkwrite, then writable
 *            present, write to a read-only entry ─► do_wp_page
 *                  ├ shared ────► wp_page_shared      page_mkwrite, then reuse
 *                  ├ exclusive ─► wp_page_reuse
 *                  └ otherwise ─► wp_page_copy
 *            present and good ─► spurious
 *            neither ───────────► handle_pte_marker   guard or poison: a signal
 *
 * I1  A fault that ends in a signal counts pgfault only if a VMA handled it (SIGBUS), and never
 *     min_flt or maj_flt.
 * I2  An entry is written only while none, or replaced with a flush of its page; rights may be
 *     added without one.
 *
 * Source: Linux 6.18 mm/memory.c.
 */
#include "mm/mm_int.h"

/* -- entries and frames ---------------------------------------------------------------------- */

static int pte_alloc(struct vm_fault *vmf)
{
    return mm_tables(vmf->m, vmf->address, 0, &vmf->pte) == 0 ? 0 : VM_FAULT_OOM;
}

/* pte_alloc_for is pte_alloc that keeps a page of the cache where it is: allocating may reclaim. */
static int pte_alloc_for(struct vm_fault *vmf, pfn n)
{
    struct frame *f = phys_frame(vmf->m->sys->phys, folio_head(vmf->m->sys, n));
    f->flags |= FRAME_F_LOCKED;
    int err = pte_alloc(vmf);
    f->flags &= ~FRAME_F_LOCKED;
    return err;
}

static uint64_t maybe_mkwrite(uint64_t bits, const struct vma *v)
{
    return v->flags & VM_WRITE ? bits | PTE_RW : bits;
}

static int alloc_anon(struct vm_fault *vmf, pfn *ret)
{
    struct mm_sys *s = vmf->m->sys;
    struct mm_req req = {.gfp = GFP_USER,
                         .owner = FRAME_USER_ANON,
                         .m = vmf->m,
                         .vma = vmf->vma,
                         .addr = vmf->address};
    if (mm_alloc(s, &req, ret) != 0)
        return VM_FAULT_OOM;
    arch_step(s->outbox, STEP_ALLOC, 1);
    arch_step(s->outbox, STEP_CHARGE, 1);
    return 0;
}

/* add_new_anon counts the first entry of a new anonymous page. */
static void add_new_anon(struct vm_fault *vmf, pfn n)
{
    folio_add_new_anon_rmap(vmf->m->sys, n, vmf->vma, vmf->address);
    page_add_rmap(vmf->m, n);
    folio_add_lru_vma(vmf->m->sys, vmf->vma, n);
}

/* add_file_page counts one entry more that maps a page of a file. A folio that is mapped in part is not
 * locked: reclaim may split it. */
static void add_file_page(struct vm_fault *vmf, pfn n)
{
    page_add_rmap(vmf->m, n);
    if (phys_frame(vmf->m->sys->phys, folio_head(vmf->m->sys, n))->order == 0)
        mlock_vma_folio(vmf->m->sys, vmf->vma, n);
}

static void fault_set_pte(struct vm_fault *vmf, pfn n, uint64_t bits)
{
    lock_pte(vmf->m, vmf->address, 1);
    set_pte(vmf->m, vmf->address, vmf->pte, pte_make(n, bits));
    arch_step(vmf->m->sys->outbox, STEP_PTE, 1);
}

struct frame *vm_normal_page(const struct mm *m, pte e)
{
    return e.v & PTE_SPECIAL ? NULL : phys_frame(m->sys->phys, pte_pfn(e));
}

/* -- anonymous memory ------------------------------------------------------------------------ */

static int do_anonymous_page(struct vm_fault *vmf)
{
    struct mm *m = vmf->m;
    const struct vma *v = vmf->vma;
    pfn n;
    if (v->flags & VM_SHARED)
        return VM_FAULT_SIGBUS;
    if (pte_alloc(vmf) != 0)
        return VM_FAULT_OOM;
    if (!vmf->write) {
        vmf->kind = FAULT_ZERO_PAGE;
        fault_set_pte(vmf, phys_zero_page(m->sys->phys), vm_page_prot(v) | PTE_SPECIAL);
        return 0;
    }
    vmf->kind = FAULT_ANON;
    anon_vma_prepare(m, vmf->vma);
    if (map_anon_folio(vmf))
        return 0;
    if (alloc_anon(vmf, &n) != 0)
        return VM_FAULT_OOM;
    clear_frames(m->sys, n, 1);
    add_new_anon(vmf, n);
    fault_set_pte(vmf, n, maybe_mkwrite(vm_page_prot(v) | PTE_D, v));
    return 0;
}

/* -- file pages ------------------------------------------------------------------------------ */

static enum fault_kind kind_of_file_fault(const struct vma *v, bool write)
{
    if (v->kind == VMA_SHMEM && ((v->flags & VM_SHARED) || !write))
        return FAULT_SHMEM;
    if (!write)
        return FAULT_FILE_READ;
    return v->flags & VM_SHARED ? FAULT_FILE_SHARED : FAULT_FILE_COW;
}

static struct mm_file *file_of(const struct mm *m, const struct vma *v)
{
    if (v->kind == VMA_VDSO)
        return m->sys->vdso;
    return v->kind == VMA_VVAR ? m->sys->vvar : v->file;
}

/* fault_around_window is the window rule of do_fault_around, in indices of the PTE table: aligned
 * there (not in the file), cut at the VMA and at the table.
 *
 *      table  0 ........ 16 ........ 32 ........ 48 …
 *      VMA         |-------------------------|
 *      fault            ^        window: [16 …31] here, shorter at both ends of the VMA
 */
static void fault_around_window(const struct vm_fault *vmf, uint64_t *from, uint64_t *to)
{
    uint64_t nr = vmf->m->sys->conf.kernel_fault_around;
    uint64_t pte_off = pt_index(vmf->address, 0);
    uint64_t vma_off = vmf->pgoff - vmf->vma->pgoff;
    *from = max_u64(align_down(pte_off, nr), pte_off - min_u64(pte_off, vma_off));
    *to = min_u64(*from + nr, PT_ENTRIES);
    *to = min_u64(*to, pte_off + vma_pages(vmf->vma) - vma_off);
}

/* may_make_table: filemap_map_pages leaves the table to filemap_map_pmd, which it does not call when
 * the first folio it found reaches the end of the file: nothing is mapped then. */
static bool may_make_table(const struct mm_file *f, uint64_t pgoff)
{
    return f->kind == FILE_SHMEM || pgoff + 1 < file_pages(f);
}

/* map_one maps a cached page of the window unless its entry is in use; true if it did. */
static bool map_one(struct vm_fault *vmf, vaddr a, uint64_t pgoff)
{
    struct mm *m = vmf->m;
    pte *e = pt_lookup(&m->pt, a, 0);
    pfn n;
    if ((e && !pte_none(*e)) || filemap_get(m->sys, vmf->vma->file, pgoff, &n) != 0)
        return false;
    if (!e && !may_make_table(vmf->vma->file, pgoff))
        return false;
    if (!e) {
        struct frame *f = phys_frame(m->sys->phys, folio_head(m->sys, n));
        f->flags |= FRAME_F_LOCKED;
        int err = mm_tables(m, a, 0, &e);
        f->flags &= ~FRAME_F_LOCKED;
        if (err != 0)
            return false;
    }
    add_file_page(vmf, n);
    set_pte(m, a, e, pte_make(n, vm_page_prot(vmf->vma)));
    return true;
}

/* map_large maps the large folio that has page i of the window, as a whole where it fits; i is its last
 * page then. */
static bool map_large(struct vm_fault *vmf, uint64_t *i, bool *hit)
{
    uint64_t pte_off = pt_index(vmf->address, 0), pgoff = vmf->pgoff + *i - pte_off;
    vaddr head, a = va(vmf->address.v + ((*i - pte_off) << PAGE_SHIFT));
    pfn n;
    if (!filemap_cached_at(vmf->vma->file, pgoff, &n) ||
        !map_file_folio(vmf->m, vmf->vma, a, n, false, &head))
        return false;
    uint64_t bytes = folio_nr_pages(vmf->m->sys, folio_head(vmf->m->sys, n)) << PAGE_SHIFT;
    *hit |= vmf->address.v - head.v < bytes;
    *i = pt_index(va(head.v + bytes - PAGE_SIZE), 0);
    return true;
}

/* map_pmd: filemap_map_pmd, which is asked about the first folio of the window before the end of the file.
 * A fault behind the end finds one only if its window begins before it. */
static bool map_pmd(struct vm_fault *vmf, uint64_t first)
{
    const struct mm_file *f = vmf->vma->file;
    pfn n;
    return first < file_pages(f) && filemap_cached_at(f, vmf->pgoff, &n) &&
           do_set_pmd(vmf->m, vmf->vma, vmf->address, n, false);
}

/* do_fault_around maps the cached pages around a read fault; true if the faulting one was among
 * them. */
static bool do_fault_around(struct vm_fault *vmf)
{
    struct mm_sys *s = vmf->m->sys;
    struct mm_file *f = vmf->vma->file;
    uint64_t from, to, pte_off = pt_index(vmf->address, 0), mapped = 0;
    bool hit = false;
    if (!f || f->sysv || s->conf.kernel_fault_around <= 1) /* shm_vm_ops has no map_pages */
        return false;
    fault_around_window(vmf, &from, &to);
    if (map_pmd(vmf, vmf->pgoff + from - pte_off))
        return true;
    for (uint64_t i = from; i < to; i++) {
        uint64_t pgoff = vmf->pgoff + i - pte_off;
        if (pgoff >= file_pages(f))
            break;
        if (map_large(vmf, &i, &hit)) {
            mapped++;
            continue;
        }
        if (map_one(vmf, va(vmf->address.v + ((i - pte_off) << PAGE_SHIFT)), pgoff)) {
            mapped++;
            hit |= i == pte_off;
        }
    }
    f->mmap_miss -= (uint32_t)min_u64(f->mmap_miss, mapped);
    if (mapped > 0) {
        lock_pte(vmf->m, vmf->address, mapped);
        arch_step(s->outbox, STEP_PAGECACHE, 1);
        arch_step(s->outbox, STEP_PTE, 1);
        arch_step(s->outbox, STEP_AROUND, mapped - 1);
    }
    return hit;
}

/* __do_fault of Linux: vm_ops->fault brings the page into the cache and returns its frame. */
static int call_fault(struct vm_fault *vmf, pfn *ret)
{
    struct mm_sys *s = vmf->m->sys;
    struct mm_file *f = file_of(vmf->m, vmf->vma);
    int result = 0;
    if (vmf->pgoff >= file_pages(f))
        return VM_FAULT_SIGBUS;
    arch_step(s->outbox, STEP_PAGECACHE, 1);
    int got = filemap_swapin(s, f, vmf->vma, vmf->address, vmf->pgoff);
    if (got < 0)
        return got == -EIO ? VM_FAULT_SIGBUS : VM_FAULT_OOM;
    if (got > 0)
        result = VM_FAULT_MAJOR;
    int err = filemap_get(s, f, vmf->pgoff, ret);
    if (err == -ENOENT && f->kind == FILE_SHMEM) {
        if (shmem_add_folio(vmf->m, vmf->vma, vmf->address, ret))
            return 0;
        err = filemap_add(s, f, vmf->pgoff, ret);
    } else if (err == -ENOENT) {
        err = filemap_read(s, f, vmf->vma, vmf->pgoff);
        result = VM_FAULT_MAJOR;
        if (err == 0)
            err = filemap_get(s, f, vmf->pgoff, ret);
    }
    return err == 0 ? result : VM_FAULT_OOM;
}

/* map_whole maps all of the large folio that was found: by one entry, or if none of its pages is mapped
 * yet by as many as it has. */
static bool map_whole(struct vm_fault *vmf, pfn n)
{
    struct mm *m = vmf->m;
    pfn head = folio_head(m->sys, n);
    uint64_t nr = folio_nr_pages(m->sys, head), before = (n.v - head.v) << PAGE_SHIFT;
    vaddr at = va(vmf->address.v - before);
    if (nr == 1 || folio_test_anon(m->sys, head))
        return false;
    if (do_set_pmd(m, vmf->vma, vmf->address, n, vmf->write))
        return true;
    if (before > vmf->address.v - vmf->vma->start.v ||
        pt_next(&m->pt, at, va(at.v + (nr << PAGE_SHIFT))).v != at.v + (nr << PAGE_SHIFT))
        return false;
    return map_file_folio(m, vmf->vma, vmf->address, n, vmf->write, &at);
}

/* finish_fault fills the entry with the page that was found or copied. */
static int finish_fault(struct vm_fault *vmf, pfn n)
{
    uint64_t bits = vm_page_prot(vmf->vma);
    if (map_whole(vmf, n)) {
        arch_step(vmf->m->sys->outbox, STEP_PTE, 1);
        return 0;
    }
    if (pte_alloc_for(vmf, n) != 0)
        return VM_FAULT_OOM;
    if (vmf->write)
        bits = maybe_mkwrite(bits | PTE_D, vmf->vma);
    if (vmf->vma->kind == VMA_VVAR)
        bits |= PTE_SPECIAL; /* vmf_insert_pfn: no rss, no reverse map */
    else if (folio_test_anon(vmf->m->sys, n))
        add_new_anon(vmf, n);
    else
        add_file_page(vmf, n);
    fault_set_pte(vmf, n, bits);
    return 0;
}

static int do_read_fault(struct vm_fault *vmf)
{
    pfn n;
    if (do_fault_around(vmf))
        return 0;
    int result = call_fault(vmf, &n);
    if (result & VM_FAULT_ERROR)
        return result;
    /* The I/O dropped the lock and the fault was tried again: it now finds its neighbours. */
    if ((result & VM_FAULT_MAJOR) && do_fault_around(vmf))
        return result;
    return result | finish_fault(vmf, n);
}

static int do_cow_fault(struct vm_fault *vmf)
{
    struct mm_sys *s = vmf->m->sys;
    pfn from, to;
    anon_vma_prepare(vmf->m, vmf->vma);
    if (alloc_anon(vmf, &to) != 0)
        return VM_FAULT_OOM;
    int result = call_fault(vmf, &from);
    if (!(result & VM_FAULT_ERROR)) {
        copy_frames(s, from, to, 1);
        result |= finish_fault(vmf, to);
    }
    if (result & VM_FAULT_ERROR)
        phys_free(s->phys, to, 0);
    return result;
}

static void page_mkwrite(struct vm_fault *vmf, pfn n)
{
    if (vmf->vma->file->kind == FILE_REGULAR)
        arch_step(vmf->m->sys->outbox, STEP_MKWRITE, 1);
    folio_mark_dirty(vmf->m->sys, n);
}

static int do_shared_fault(struct vm_fault *vmf)
{
    pfn n;
    int result = call_fault(vmf, &n);
    if (result & VM_FAULT_ERROR)
        return result;
    page_mkwrite(vmf, n);
    return result | finish_fault(vmf, n);
}

static int do_fault(struct vm_fault *vmf)
{
    vmf->kind = kind_of_file_fault(vmf->vma, vmf->write);
    if (!vmf->write)
        return do_read_fault(vmf);
    return vmf->vma->flags & VM_SHARED ? do_shared_fault(vmf) : do_cow_fault(vmf);
}

/* -- write to a read-only entry -------------------------------------------------------------- */

static void wp_page_reuse(struct vm_fault *vmf)
{
    STAT(vmf->m->sys->stats, pgreuse)++;
    uint64_t bits = maybe_mkwrite(vmf->pte->v | PTE_A | PTE_D, vmf->vma);
    lock_pte(vmf->m, vmf->address, 1);
    set_pte(vmf->m, vmf->address, vmf->pte, (pte){bits});
    arch_step(vmf->m->sys->outbox, STEP_PTE, 1);
}

static int wp_page_shared(struct vm_fault *vmf)
{
    vmf->kind = kind_of_file_fault(vmf->vma, true);
    page_mkwrite(vmf, pte_pfn(*vmf->pte));
    wp_page_reuse(vmf);
    return 0;
}

/* ptep_clear_flush: nobody may use the old translation when the new page appears. */
static void clear_flush(struct vm_fault *vmf)
{
    set_pte(vmf->m, vmf->address, vmf->pte, (pte){0});
    flush_tlb_page(vmf->m, vmf->address);
}

/* alloc_copy is alloc_anon that keeps the old page's folio where it is: allocating may reclaim. */
static int alloc_copy(struct vm_fault *vmf, const struct frame *old, pfn *ret)
{
    struct mm_sys *s = vmf->m->sys;
    struct frame *folio = old ? phys_frame(s->phys, folio_head(s, pte_pfn(*vmf->pte))) : NULL;
    if (folio)
        folio->flags |= FRAME_F_LOCKED;
    int err = alloc_anon(vmf, ret);
    if (folio)
        folio->flags &= ~FRAME_F_LOCKED;
    return err;
}

static int wp_page_copy(struct vm_fault *vmf, struct frame *old)
{
    struct mm *m = vmf->m;
    pte orig = *vmf->pte;
    pfn n;
    vmf->kind = old && old->owner != FRAME_USER_ANON ? FAULT_FILE_COW : FAULT_ANON_COW;
    anon_vma_prepare(m, vmf->vma);
    if (alloc_copy(vmf, old, &n) != 0)
        return VM_FAULT_OOM;
    if (old)
        copy_frames(m->sys, pte_pfn(orig), n, 1);
    else
        clear_frames(m->sys, n, 1);
    clear_flush(vmf);
    if (old) {
        munlock_vma_folio(m, vmf->address, pte_pfn(orig));
        page_remove_rmap(m, pte_pfn(orig));
    }
    add_new_anon(vmf, n);
    fault_set_pte(vmf, n, maybe_mkwrite(vm_page_prot(vmf->vma) | PTE_D, vmf->vma));
    return 0;
}

/* A large folio may be written in place when all references are entries of this address space, and
 * there is more than one (of a single page the copy is cheaper than the rest of the folio). */
static bool wp_can_reuse_large(const struct vm_fault *vmf, pfn head)
{
    struct mm_sys *s = vmf->m->sys;
    uint64_t mapped = folio_mapcount(s, head);
    return mapped > 1 && !folio_maybe_mapped_shared(s, head) &&
           mapped == phys_frame(s->phys, head)->refs;
}

/* wp_can_reuse_anon_folio: nobody else refers to the page (any more), so it may be written. */
static bool wp_can_reuse_anon_folio(const struct vm_fault *vmf, pfn n)
{
    struct mm_sys *s = vmf->m->sys;
    pfn head = folio_head(s, n);
    if (phys_frame(s->phys, head)->order > 0)
        return wp_can_reuse_large(vmf, head);
    struct frame *f = phys_frame(s->phys, n);
    bool cached = f->flags & FRAME_F_SWAPCACHE;
    if (f->refs != 1 + (uint32_t)cached || (cached && !folio_free_swap(s, n)))
        return false;
    folio_move_anon_rmap(s, n, vmf->vma);
    return true;
}

int do_wp_page(struct vm_fault *vmf)
{
    struct frame *f = vm_normal_page(vmf->m, *vmf->pte);
    if (vmf->vma->flags & (VM_SHARED | VM_MAYSHARE))
        return wp_page_shared(vmf);
    bool anon = f && f->owner == FRAME_USER_ANON;
    if (!anon ||
        !((f->flags & FRAME_F_EXCLUSIVE) || wp_can_reuse_anon_folio(vmf, pte_pfn(*vmf->pte))))
        return wp_page_copy(vmf, f);
    f->flags |= FRAME_F_EXCLUSIVE;
    vmf->kind = FAULT_ANON_COW;
    wp_page_reuse(vmf);
    return 0;
}

/* -- neither none nor a page ------------------------------------------------------------------ */

static int handle_pte_marker(pte e)
{
    if (pte_is_marker(e, PTE_MARKER_GUARD))
        return VM_FAULT_SIGSEGV;
    CHECK(pte_is_marker(e, PTE_MARKER_POISONED));
    return VM_FAULT_HWPOISON;
}

static int fault_swap(struct vm_fault *vmf)
{
    vmf->kind = FAULT_SWAP_IN;
    int got = do_swap_page(vmf->m, vmf->vma, vmf->address, vmf->pte, vmf->write);
    if (got < 0)
        return got == -EIO ? VM_FAULT_SIGBUS : VM_FAULT_OOM;
    int result = got > 0 ? VM_FAULT_MAJOR : 0;
    if (!vmf->write || (vmf->pte->v & PTE_RW))
        return result;
    result |= do_wp_page(vmf); /* still shared */
    return result & VM_FAULT_ERROR ? result & VM_FAULT_ERROR : result;
}

/* -- the way to them ------------------------------------------------------------------------- */

static int handle_pte_fault(struct vm_fault *vmf)
{
    vmf->pte = pt_lookup(&vmf->m->pt, vmf->address, 0);
    if (!vmf->pte || pte_none(*vmf->pte))
        return vma_is_anonymous(vmf->vma) ? do_anonymous_page(vmf) : do_fault(vmf);
    if (pte_is_swap_slot(*vmf->pte))
        return fault_swap(vmf);
    if (pte_is_swap(*vmf->pte))
        return handle_pte_marker(*vmf->pte);
    CHECK(pte_present(*vmf->pte)); /* a PROT_NONE entry lies in a PROT_NONE VMA: access_error */
    if (vmf->write && !(vmf->pte->v & PTE_RW))
        return do_wp_page(vmf);
    vmf->kind = FAULT_SPURIOUS;
    pte good = {vmf->pte->v | PTE_A | (vmf->write ? PTE_D : 0)};
    if (good.v != vmf->pte->v)
        set_pte(vmf->m, vmf->address, vmf->pte, good);
    return 0;
}

/* handle_pmd_fault is __handle_mm_fault: an entry of 2 MiB where there may be one, else 4 KiB. */
static int handle_pmd_fault(struct vm_fault *vmf)
{
    pte *pmd;
    if (mm_tables(vmf->m, vmf->address, 1, &pmd) != 0)
        return VM_FAULT_OOM;
    int r = huge_fault(vmf->m, vmf->vma, vmf->address, vmf->write, pmd, &vmf->kind);
    if (r == HUGE_FALLBACK)
        return handle_pte_fault(vmf);
    return r == 0 ? 0 : VM_FAULT_OOM;
}

static void mm_account_fault(struct mm *m, int result)
{
    STAT(m->sys->stats, pgfault)++;
    if (result & VM_FAULT_ERROR)
        return;
    bool major = result & VM_FAULT_MAJOR;
    m->cnt.majflt += major;
    m->cnt.minflt += !major;
    STAT(m->sys->stats, major_faults) += major;
    STAT(m->sys->stats, minor_faults) += !major;
}

int handle_mm_fault(struct mm *m, struct vma *v, vaddr a, bool write, enum fault_kind *ret_kind)
{
    struct vm_fault vmf = {.m = m,
                           .vma = v,
                           .address = va(align_down(a.v, PAGE_SIZE)),
                           .pgoff = vma_pgoff_at(v, a),
                           .write = write};
    m->sys->current = m;
    m->oom.skip &= m->oom.busy > 0; /* it goes on */
    m->oom.busy++;
    int result = v->flags & VM_HUGETLB ? hugetlb_fault(&vmf) : handle_pmd_fault(&vmf);
    m->oom.busy--;
    if (unlikely(m->oom.victim) && m->oom.busy == 0) {
        oom_reap(m);
        result |= VM_FAULT_OOM;
    }
    mm_account_fault(m, result);
    *ret_kind = result & VM_FAULT_ERROR   ? FAULT_BAD
                : result & VM_FAULT_MAJOR ? FAULT_MAJOR
                                          : vmf.kind;
    return result;
}
