/* extcall.c: memory calls that are younger than most emulators, and what else tells of limits and
 * advice: applied to the model when the program was told success, else only compared.
 *
 *   pkey_alloc, pkey_free, pkey_mprotect    keys, if the modelled CPU has them
 *   mseal, remap_file_pages                 mappings
 *   process_madvise                         advice: as Linux, even if an emulator answered ENOSYS
 *   setrlimit, prlimit64                    RLIMIT_AS, DATA, STACK, MEMLOCK of the program itself
 *   prctl(PR_SET_THP_DISABLE, PR_GET_…)     huge pages: as Linux, whatever the answer was
 *   fcntl(F_ADD_SEALS)                      seals of a memfd
 *
 * What a pid descriptor stands for is not known: it is taken for the program itself.
 *
 * Source: Linux 6.18 mm/mprotect.c, mm/mseal.c, mm/mmap.c, mm/madvise.c, kernel/sys.c, mm/memfd.c.
 */
#include "kern/kern_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define THP_DISABLE_EXCEPT_ADVISED 2u /* PR_THP_DISABLE_EXCEPT_ADVISED, 6.18 */
#define IOV_MAX_ADVISED            1024u

/* -- limits ---------------------------------------------------------------------------------- */

static int limit_of(uint64_t resource)
{
    switch (resource) {
    case RLIMIT_AS:
        return MM_RLIM_AS;
    case RLIMIT_DATA:
        return MM_RLIM_DATA;
    case RLIMIT_STACK:
        return MM_RLIM_STACK;
    case RLIMIT_MEMLOCK:
        return MM_RLIM_MEMLOCK;
    default:
        return -1;
    }
}

/* set_limit: the new limits lie at `addr`, if the front end saw them. */
static int set_limit(struct mm *m, const struct kern_call *c, uint64_t resource, uint64_t addr)
{
    struct mm_rlimit limit; /* laid out as struct rlimit64 */
    int which = limit_of(resource);
    if (c->result != 0 || which < 0 || addr == 0 || !c->bytes || c->bytes_addr != addr ||
        c->n_bytes < sizeof limit)
        return 0;
    memcpy(&limit, c->bytes, sizeof limit);
    mm_set_rlimit(m, (enum mm_rlim)which, limit);
    return 1;
}

static bool is_own_pid(const struct kern *k, uint64_t pid)
{
    bool own = pid == 0;
    for (uint32_t i = 0; i < k->n_task; i++)
        own |= k->task[i].tid == pid && k->task[i].proc == k->current;
    return own;
}

/* -- advice ---------------------------------------------------------------------------------- */

static int64_t advise(struct mm *m, const struct kern_call *c)
{
    struct mm_iovec v[IOV_MAX_ADVISED];
    uint32_t n = (uint32_t)min_u64(c->n_iov, IOV_MAX_ADVISED);
    if (c->iov_arg != 1 || n != c->arg[2])
        return c->result; /* not seen */
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct mm_iovec){va(c->iov[i].base), c->iov[i].len};
    return mm_process_madvise(m, m, v, n, (int)c->arg[3], c->arg[4]);
}

/* prctl_set_thp_disable */
static int set_thp_disable(struct mm *m, const struct kern_call *c)
{
    bool disable = c->arg[1], except = c->arg[2] & THP_DISABLE_EXCEPT_ADVISED;
    if (c->arg[3] || c->arg[4] || (!disable && c->arg[2]) ||
        c->arg[2] & ~(uint64_t)THP_DISABLE_EXCEPT_ADVISED)
        return -EINVAL;
    mm_thp_disable(m, disable && !except, except);
    return 0;
}

/* prctl_get_thp_disable */
static int get_thp_disable(const struct mm *m, const struct kern_call *c)
{
    if (c->arg[1] || c->arg[2] || c->arg[3] || c->arg[4])
        return -EINVAL;
    return mm_thp_disabled(m);
}

/* thp_disable takes effect as in Linux, whatever the program was told: QEMU 7.2 refuses both calls. */
static int thp_disable(struct kern *k, struct mm *m, const struct kern_call *c)
{
    bool set = (uint32_t)c->arg[0] == PR_SET_THP_DISABLE;
    if (!set && (uint32_t)c->arg[0] != PR_GET_THP_DISABLE)
        return 0;
    int linux_answer = set ? set_thp_disable(m, c) : get_thp_disable(m, c);
    STAT(k->stats, div_syscall_answer) += linux_answer != c->result;
    return set && linux_answer == 0;
}

static int add_seals(struct kern *k, const struct kern_call *c)
{
    const struct kern_file *f = &c->file;
    if (c->arg[1] != F_ADD_SEALS || c->result != 0 || !f->present)
        return 0;
    struct mm_file *file = mm_file(k->sys, f->dev, f->ino, f->size, f->path);
    mm_file_add_seals(file, (uint32_t)c->arg[2]);
    mm_file_put(k->sys, file);
    return 0;
}

/* -- vmsplice ------------------------------------------------------------------------------- */

bool splices_in(const struct kern_call *c)
{
    bool out_of_pipe = c->file.present && (c->file.open_flags & O_ACCMODE) == O_RDONLY;

    return c->nr == SYS_vmsplice && !out_of_pipe && c->result != -EFAULT;
}

/* vmsplice_to_pipe: pages that the pipe took. */
static int vmsplice_to_pipe(struct mm *m, const struct kern_call *c)
{
    uint64_t left = c->result > 0 ? (uint64_t)c->result : 0;

    if (!splices_in(c))
        return 0;
    for (uint32_t i = 0; c->iov && i < c->n_iov && left > 0; i++) {
        uint64_t n = min_u64(c->iov[i].len, left);
        mm_get_user_pages(m, va(c->iov[i].base), n, false);
        left -= n;
    }
    return 0;
}

/* -- the table ------------------------------------------------------------------------------- */

/* answer performs a call that changes the model only where it succeeds, as it did in the program. */
static int64_t answer(struct mm *m, const struct kern_call *c)
{
    switch (c->nr) {
    case SYS_pkey_alloc:
        return mm_pkey_alloc(m, c->arg[0], c->arg[1]);
    case SYS_pkey_free:
        return mm_pkey_free(m, (int)c->arg[0]);
    case SYS_mseal:
        return mm_mseal(m, va(c->arg[0]), c->arg[1], c->arg[2]);
    case SYS_remap_file_pages:
        return mm_remap_file_pages(m, va(c->arg[0]), c->arg[1], (uint32_t)c->arg[2], c->arg[3],
                                   (uint32_t)c->arg[4]);
    default:
        return advise(m, c);
    }
}

static int answered(struct kern *k, struct mm *m, const struct kern_call *c)
{
    bool missing = c->result == -ENOSYS;
    if (missing && c->nr != SYS_process_madvise)
        return 0; /* counted by the caller; the program goes on without */
    int64_t linux_answer = answer(m, c);
    STAT(k->stats, div_syscall_answer) += !missing && linux_answer != c->result;
    return linux_answer >= 0;
}

int extcall_apply(struct kern *k, struct mm *m, const struct kern_call *c)
{
    if (!m)
        return 0;
    switch (c->nr) {
    case SYS_pkey_alloc:
    case SYS_pkey_free:
    case SYS_mseal:
    case SYS_remap_file_pages:
    case SYS_process_madvise:
        return answered(k, m, c);
    case SYS_setrlimit:
        return set_limit(m, c, c->arg[0], c->arg[1]);
    case SYS_prlimit64:
        return is_own_pid(k, c->arg[0]) ? set_limit(m, c, c->arg[1], c->arg[2]) : 0;
    case SYS_prctl:
        return thp_disable(k, m, c);
    case SYS_vmsplice:
        return vmsplice_to_pipe(m, c);
    case SYS_fcntl:
        return add_seals(k, c);
    default:
        return 0;
    }
}
