/* shm.c: System V shared memory: segments with a key and an id, mapped by shmat.
 *
 *   shmget ─► segment ─► mm_file in memory, promised in full unless SHM_NORESERVE
 *   shmat  ─► a mapping with an open file description of its own: two never merge
 *   shmctl(IPC_RMID): the key goes at once, id and memory with the last mapping
 *
 * I1  A removed segment (SHM_DEST) has mappings: the table holds its id, the mappings its file. Every
 *     other one's file is referenced by the table.
 *
 * Source: Linux 6.18 ipc/shm.c (newseg, do_shmat, shm_close, ksys_shmctl), ipc/util.c (ipcget).
 */
#include "mm/mm_int.h"
#include "mm/shm_int.h"

#include <stdio.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define SHM_MAX         (UINT64_MAX - (UINT64_C(1) << 24)) /* kernel.shmmax, and kernel.shmall in pages */
#define SHM_MNI         4096u                              /* kernel.shmmni */
#define SHM_IDX         32768u                             /* ids are sequence * this + index */
#define SHM_LOCK_       11
#define SHM_UNLOCK_     12
#define SHM_HUGE_SHIFT_ 26

/* -- the table ------------------------------------------------------------------------------- */

struct shm_segment *shm_find_id(const struct mm_sys *s, int id)
{
    const uint64_t *slot = map_find(&s->shm.ids, (uint32_t)id);
    return slot ? (void *)(uintptr_t)*slot : NULL;
}

struct shm_segment *shm_find_key(const struct mm_sys *s, int32_t key)
{
    size_t pos = 0;
    for (const struct map_slot *x; key != IPC_PRIVATE && (x = map_next(&s->shm.ids, &pos));) {
        struct shm_segment *g = (void *)(uintptr_t)x->value;
        if (g->key == key)
            return g;
    }
    return NULL;
}

/* new_id is ipc_idr_alloc: the lowest free index; the sequence grows when indexes start over. */
static int new_id(struct mm_sys *s)
{
    uint32_t index = 0;
    while (map_find(&s->shm.index_used, index))
        index++;
    if (index <= s->shm.last_index && s->shm.begun)
        s->shm.seq = (s->shm.seq + 1) % (INT32_MAX / SHM_IDX);
    s->shm.last_index = index;
    s->shm.begun = true;
    return (int)(s->shm.seq * SHM_IDX + index);
}

static void forget(struct mm_sys *s, struct shm_segment *g)
{
    map_del(&s->shm.ids, (uint32_t)g->id);
    map_del(&s->shm.index_used, (uint32_t)g->id % SHM_IDX);
    free(g);
}

static uint32_t attaches(const struct mm_file *f)
{
    uint32_t n = 0;
    struct itree_node *x = itree_first(&f->mapped, 0, UINT64_MAX);
    for (; x; x = itree_next(x, 0, UINT64_MAX))
        n++;
    return n;
}

void shm_file_gone(struct mm_sys *s, const struct mm_file *f)
{
    struct shm_segment *g = shm_find_id(s, f->shm_id);
    if (g && g->file == f)
        forget(s, g);
}

void shm_close_all(struct mm_sys *s)
{
    size_t pos = 0;
    for (const struct map_slot *x; (x = map_next(&s->shm.ids, &pos)) != NULL; pos = 0) {
        struct shm_segment *g = (void *)(uintptr_t)x->value;
        struct mm_file *f = g->file;
        forget(s, g);
        mm_file_put(s, f);
    }
    map_free(&s->shm.ids);
    map_free(&s->shm.index_used);
}

/* -- permissions ----------------------------------------------------------------------------- */

/* is_user: the owner, or who made it. */
static bool is_user(const struct mm *m, const struct shm_segment *g)
{
    return m->task.uid == g->uid || m->task.uid == g->cuid;
}

/* ipcperms: `want` in the bits of others, as S_IROTH. */
static bool permitted(const struct mm *m, const struct shm_segment *g, uint32_t want)
{
    bool group = m->task.gid == g->gid || m->task.gid == g->cgid;
    uint32_t granted = g->mode >> (is_user(m, g) ? 6 : group ? 3 : 0);
    return !(want & ~granted & 7) || task_capable(m, CAP_IPC_OWNER);
}

static bool owns(const struct mm *m, const struct shm_segment *g)
{
    return is_user(m, g) || task_capable(m, CAP_SYS_ADMIN);
}

/* update_perm is IPC_SET. */
static int update_perm(struct shm_segment *g, const struct mm_shmid *to)
{
    if (to->uid == UINT32_MAX || to->gid == UINT32_MAX)
        return -EINVAL;
    g->uid = to->uid;
    g->gid = to->gid;
    g->mode = to->mode & 0777;
    return 0;
}

/* -- shmget ---------------------------------------------------------------------------------- */

/* new_file makes the memory of a segment; of huge pages all is promised at once. */
static int new_file(struct mm *m, const char *name, uint64_t size, int flags, bool forced,
                    struct mm_file **ret)
{
    struct mm_hugetlb_file q = {.bytes = size,
                                .size_log = (unsigned)flags >> SHM_HUGE_SHIFT_ & 0x3f,
                                .path = name,
                                .reserve = !(flags & SHM_NORESERVE)};
    if (!(flags & SHM_HUGETLB)) {
        if (size > INT64_MAX) /* MAX_LFS_FILESIZE */
            return -EINVAL;
        *ret = file_new(m->sys, FILE_SHMEM, name);
        (*ret)->size = size;
        return 0;
    }
    /* can_do_hugetlb_shm; vm.hugetlb_shm_group is 0: the group of root. No limit allows it others. */
    bool may = task_capable(m, CAP_IPC_LOCK) || m->task.gid == 0;
    if (q.size_log != 0 && q.size_log != 21 && q.size_log != 30)
        return -EINVAL;
    return forced || may ? mm_hugetlb_file(m->sys, &q, ret) : -EPERM;
}

int shm_add_segment(struct mm *m, int32_t key, int id, uint64_t size, int flags, bool forced)
{
    struct mm_sys *s = m->sys;
    const struct mm_task *t = &m->task;
    char name[32];
    snprintf(name, sizeof(name), "/SYSV%08x (deleted)", (uint32_t)key);
    struct mm_file *f;
    int made = new_file(m, name, size, flags, forced, &f);
    if (made != 0)
        return made;
    bool promise = !(flags & (SHM_NORESERVE | SHM_HUGETLB));
    struct shm_segment *g = malloc(sizeof(*g));
    ASSERT(g);
    *g = (struct shm_segment){.key = key,
                              .id = id,
                              .file = f,
                              .size = size,
                              .mode = (uint32_t)flags & 0777,
                              .uid = t->uid,
                              .gid = t->gid,
                              .cuid = t->uid,
                              .cgid = t->gid,
                              .cpid = t->pid};
    g->file->shm_id = id;
    if (promise && shmem_acct_size(m, g->file, forced) != 0) {
        mm_file_put(s, g->file);
        free(g);
        return -ENOMEM;
    }
    int err = map_put(&s->shm.ids, (uint32_t)g->id, (uintptr_t)g);
    err |= map_put(&s->shm.index_used, (uint32_t)g->id % SHM_IDX, 1);
    ASSERT(err == 0);
    return g->id;
}

static int newseg(struct mm *m, int32_t key, uint64_t size, int flags)
{
    struct mm_sys *s = m->sys;
    bool strict = s->conf.overcommit_memory == 2;
    if (size == 0 || size > SHM_MAX)
        return -EINVAL;
    if (align_up(size, PAGE_SIZE) < size || s->shm.ids.used >= SHM_MNI)
        return -ENOSPC;
    return shm_add_segment(m, key, new_id(s), size, strict ? flags & ~SHM_NORESERVE : flags, false);
}

int mm_shmget(struct mm *m, int32_t key, uint64_t size, int flags)
{
    const struct shm_segment *g = shm_find_key(m->sys, key);
    if (!g)
        return key == IPC_PRIVATE || (flags & IPC_CREAT) ? newseg(m, key, size, flags) : -ENOENT;
    if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
        return -EEXIST;
    if (size > g->size)
        return -EINVAL;
    uint32_t want = ((uint32_t)flags >> 6 | (uint32_t)flags >> 3 | (uint32_t)flags) & 7;
    return permitted(m, g, want) ? g->id : -EACCES;
}

/* -- shmat ----------------------------------------------------------------------------------- */

/* shm_place checks and rounds the address asked for. */
static int shm_place(uint64_t *addr, int flags)
{
    if (*addr == 0)
        return flags & SHM_REMAP ? -EINVAL : 0;
    if (!(*addr & ~PAGE_MASK))
        return 0;
    if (!(flags & SHM_RND))
        return -EINVAL;
    *addr &= PAGE_MASK; /* SHMLBA is a page */
    return *addr == 0 && (flags & SHM_REMAP) ? -EINVAL : 0;
}

static bool in_the_way(const struct mm *m, uint64_t addr, uint64_t size)
{
    return addr + size < addr || find_vma_intersection(m, addr, addr + size);
}

int64_t mm_shmat(struct mm *m, int id, vaddr at, int flags, bool forced)
{
    uint64_t addr = at.v;
    int err = id < 0 || forced ? 0 : shm_place(&addr, flags);
    struct shm_segment *g = id < 0 || err != 0 ? NULL : shm_find_id(m->sys, id);
    if (!g)
        return -EINVAL;
    bool read_only = flags & SHM_RDONLY, exec = flags & SHM_EXEC;
    if (!forced && !permitted(m, g, 4u | (read_only ? 0 : 2u) | exec))
        return -EACCES;
    if (!forced && addr != 0 && !(flags & SHM_REMAP) && in_the_way(m, addr, g->file->size))
        return -EINVAL;
    g->lpid = m->task.pid;
    struct mm_map map = {.addr = va(addr),
                         .len = g->file->size,
                         .prot = PROT_READ | (read_only ? 0 : PROT_WRITE) | (exec ? PROT_EXEC : 0),
                         .flags = MAP_SHARED | (addr != 0 ? MAP_FIXED : 0),
                         .file = g->file,
                         .file_id = BIT(63) | ++m->sys->shm.attached,
                         .file_writable = !read_only,
                         .forced = forced};
    return mm_mmap(m, &map);
}

/* -- shmctl ---------------------------------------------------------------------------------- */

/* do_shm_rmid: with the last mapping, or now if there is none. */
static void remove_id(struct mm_sys *s, struct shm_segment *g)
{
    struct mm_file *f = g->file;
    if (g->dest)
        return;
    g->dest = true;
    g->key = IPC_PRIVATE;
    mm_file_put(s, f); /* without mappings that was the last reference: shm_file_gone */
}

/* shmem_unlock_mapping: pages that reclaim set aside stand on its lists again. */
static void shmem_unlock_mapping(struct mm_sys *s, struct mm_file *f)
{
    pfn n;
    for (uint64_t i = 0; i < file_pages(f); i++)
        if (filemap_cached_at(f, i, &n) && folio_head(s, n).v == n.v)
            check_move_unevictable_folio(s, n);
}

static int lock_segment(const struct mm *m, struct shm_segment *g, bool lock)
{
    if (!task_capable(m, CAP_IPC_LOCK)) {
        if (!is_user(m, g) || (lock && task_rlimit(m, MM_RLIM_MEMLOCK) == 0))
            return -EPERM;
        if (g->file->kind != FILE_HUGETLB && lock &&
            g->file->size > task_rlimit(m, MM_RLIM_MEMLOCK))
            return -ENOMEM;
    }
    if (g->file->kind == FILE_HUGETLB) /* is never swapped */
        return 0;
    bool unlock = g->file->shm_locked && !lock;
    g->file->shm_locked = lock;
    if (unlock)
        shmem_unlock_mapping(m->sys, g->file);
    return 0;
}

static int stat_segment(const struct mm *m, const struct shm_segment *g, struct mm_shmid *ret)
{
    if (!permitted(m, g, 4))
        return -EACCES;
    *ret = (struct mm_shmid){.key = g->key,
                             .size = g->size,
                             .nattch = attaches(g->file),
                             .uid = g->uid,
                             .gid = g->gid,
                             .cuid = g->cuid,
                             .cgid = g->cgid,
                             .cpid = g->cpid,
                             .lpid = g->lpid,
                             .mode = g->mode | (g->dest ? SHM_DEST : 0) |
                                     (g->file->shm_locked ? SHM_LOCKED : 0)};
    return 0;
}

int mm_shmctl(struct mm *m, int id, int cmd, struct mm_shmid *buf)
{
    struct shm_segment *g = id < 0 || cmd < 0 ? NULL : shm_find_id(m->sys, id);
    if (!g)
        return -EINVAL;
    switch (cmd) {
    case IPC_STAT:
        return stat_segment(m, g, buf);
    case SHM_LOCK_:
    case SHM_UNLOCK_:
        return lock_segment(m, g, cmd == SHM_LOCK_);
    case IPC_RMID:
    case IPC_SET:
        if (!owns(m, g))
            return -EPERM;
        if (cmd == IPC_SET)
            return update_perm(g, buf);
        remove_id(m->sys, g);
        return 0;
    default:
        return -EINVAL;
    }
}
