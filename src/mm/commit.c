/* commit.c: what was promised: Committed_AS, and whether more may be (overcommit).
 *
 *   promised in full    VM_ACCOUNT mappings (private, writable), shared anonymous memory and System V
 *                       segments when they are made
 *   page by page        memfd, tmpfs and what was made with NORESERVE: when a page first comes
 *   never               files, private memory that cannot be written, private NORESERVE memory
 *
 * I1  committed = pages of VM_ACCOUNT VMAs + pages of files promised in full + pages in the cache of
 *     the other files in memory + what Linux, too, charges and never takes back (commit_lost).
 *
 * Source: Linux 6.18 mm/util.c (__vm_enough_memory), mm/vma.c (accountable_mapping), mm/shmem.c
 * (shmem_acct_size, shmem_acct_blocks).
 */
#include "mm/mm_int.h"

#include "policy/overcommit.h"

static struct overcommit rules(const struct mm_sys *s)
{
    return (struct overcommit){.mode = (enum overcommit_mode)s->conf.overcommit_memory,
                               .ratio = s->conf.overcommit_ratio,
                               .kbytes = s->conf.overcommit_kbytes,
                               .totalram_pages = totalram_pages(s),
                               .hugetlb_pages = hugetlb_total_pages(s),
                               .total_swap_pages = s->total_swap_pages,
                               .admin_reserve_kb = s->conf.vm_admin_reserve_kbytes,
                               .user_reserve_kb = s->conf.vm_user_reserve_kbytes};
}

uint64_t totalram_pages(const struct mm_sys *s)
{
    return phys_managed(s->phys);
}

void commit_init(struct mm_sys *s)
{
    uint64_t free_kb = phys_owner_frames(s->phys, FRAME_FREE) * (PAGE_SIZE / 1024);
    uint64_t *admin = &s->conf.vm_admin_reserve_kbytes, *user = &s->conf.vm_user_reserve_kbytes;
    *admin = min_u64(*admin, overcommit_admin_reserve(free_kb));
    *user = min_u64(*user, overcommit_user_reserve(free_kb));
}

void vm_acct_memory(struct mm_sys *s, int64_t pages)
{
    s->committed += (uint64_t)pages;
    CHECK((int64_t)s->committed >= 0);
}

int vm_enough_memory(struct mm *m, uint64_t pages)
{
    struct overcommit o = rules(m->sys);
    struct overcommit_ask ask = {.pages = pages,
                                 .committed = m->sys->committed + pages,
                                 .admin = task_capable(m, CAP_SYS_ADMIN),
                                 .has_mm = true,
                                 .total_vm = m->cnt.total_vm};
    if (!overcommit_enough(&o, &ask))
        return -ENOMEM;
    vm_acct_memory(m->sys, (int64_t)pages);
    return 0;
}

bool accountable_mapping(const struct mm_file *f, uint64_t flags)
{
    return !(f && (flags & VM_HUGETLB)) &&
           (flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) == VM_WRITE;
}

int shmem_acct_size(struct mm *m, struct mm_file *f, bool forced)
{
    uint64_t pages = file_pages(f);
    if (!forced && vm_enough_memory(m, pages) != 0)
        return -ENOMEM;
    if (forced)
        vm_acct_memory(m->sys, (int64_t)pages);
    f->promised_pages = pages;
    return 0;
}

void shmem_acct_page(struct mm_sys *s, struct mm_file *f, int64_t n)
{
    if (f->kind != FILE_SHMEM || f->promised_pages != 0)
        return;
    f->charged_pages += (uint64_t)n;
    vm_acct_memory(s, n);
}

int shmem_charge(struct mm *m, struct mm_file *f, uint64_t n)
{
    if (f->promised_pages != 0 || n == 0)
        return 0;
    int err = vm_enough_memory(m, n);
    f->charged_pages += err == 0 ? n : 0;
    return err;
}

uint64_t mm_commit_limit(const struct mm_sys *s)
{
    struct overcommit o = rules(s);
    return overcommit_limit(&o);
}

uint64_t mm_committed(const struct mm_sys *s)
{
    return s->committed;
}
