/* sysctl.c: tunables that change while the machine runs: what Linux has in /proc/sys/vm and kernel.
 *
 *   key ─► row ─► range checked ─► the option in conf ─► what else the change does
 *
 * A row names an option of conf; the model reads options where it needs them, so most rows do no
 * more. A new tunable is a row, and a case in `applied` if it acts at once.
 *
 * Source: Linux 6.18 mm/util.c (overcommit_ratio_handler, overcommit_kbytes_handler),
 * Documentation/admin-guide/sysctl/vm.rst.
 */
#include "mm/mm_int.h"

/* What a change does besides being stored. */
enum sysctl_effect {
    SYSCTL_PLAIN,
    SYSCTL_RATIO,  /* overcommit_ratio and overcommit_kbytes end each other */
    SYSCTL_KBYTES, /* likewise */
    SYSCTL_HUGE,   /* the pool of 2 MiB pages grows or shrinks at once */
    SYSCTL_DIRTY,  /* the flusher's next turn is worked out anew */
};

struct sysctl_row {
    const char *key;           /* without "vm." or "kernel." */
    uint64_t min, max;         /* what may be written */
    size_t option;             /* offset in struct conf of a uint64_t */
    enum sysctl_effect effect; /* done after it was stored */
};

#define ROW(key, min, max, option, effect)                                                         \
    {                                                                                              \
        key, min, max, offsetof(struct conf, option), effect                                       \
    }
static const struct sysctl_row rows[] = {
    ROW("overcommit_memory", 0, 2, overcommit_memory, SYSCTL_PLAIN),
    ROW("overcommit_ratio", 0, INT32_MAX, overcommit_ratio, SYSCTL_RATIO),
    ROW("overcommit_kbytes", 0, INT64_MAX, overcommit_kbytes, SYSCTL_KBYTES),
    ROW("admin_reserve_kbytes", 0, INT64_MAX, vm_admin_reserve_kbytes, SYSCTL_PLAIN),
    ROW("user_reserve_kbytes", 0, INT64_MAX, vm_user_reserve_kbytes, SYSCTL_PLAIN),
    ROW("nr_hugepages", 0, INT64_MAX, hugetlb_2m, SYSCTL_HUGE),
    ROW("nr_overcommit_hugepages", 0, INT64_MAX, hugetlb_2m_overcommit, SYSCTL_PLAIN),
    ROW("swappiness", 0, 200, vm_swappiness, SYSCTL_PLAIN),
    ROW("page-cluster", 0, 31, vm_page_cluster, SYSCTL_PLAIN),
    ROW("dirty_ratio", 0, 100, vm_dirty_ratio, SYSCTL_PLAIN),
    ROW("dirty_background_ratio", 0, 100, vm_dirty_background_ratio, SYSCTL_PLAIN),
    ROW("dirty_expire_centisecs", 0, INT32_MAX, vm_dirty_expire, SYSCTL_PLAIN),
    ROW("dirty_writeback_centisecs", 0, INT32_MAX, vm_dirty_writeback, SYSCTL_DIRTY),
    ROW("panic_on_oom", 0, 2, vm_panic_on_oom, SYSCTL_PLAIN),
    ROW("oom_kill_allocating_task", 0, 1, vm_oom_kill_allocating_task, SYSCTL_PLAIN),
    ROW("compaction_proactiveness", 0, 100, vm_compaction_proactiveness, SYSCTL_PLAIN),
    ROW("compact_unevictable_allowed", 0, 1, vm_compact_unevictable_allowed, SYSCTL_PLAIN),
    ROW("max_map_count", 0, INT32_MAX, kernel_max_map_count, SYSCTL_PLAIN),
    ROW("mmap_min_addr", 0, INT64_MAX, kernel_mmap_min_addr, SYSCTL_PLAIN),
    ROW("legacy_va_layout", 0, 1, kernel_legacy_va_layout,
        SYSCTL_PLAIN), /* from the next exec on */
};
#undef ROW

static const struct sysctl_row *find_row(const char *key)
{
    if (strncmp(key, "vm.", 3) == 0)
        key += 3;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

static uint64_t *option_of(struct conf *c, const struct sysctl_row *row)
{
    return (uint64_t *)(void *)((char *)c + row->option);
}

static void applied(struct mm_sys *s, enum sysctl_effect effect)
{
    switch (effect) {
    case SYSCTL_RATIO:
        s->conf.overcommit_kbytes = 0;
        break;
    case SYSCTL_KBYTES:
        s->conf.overcommit_ratio = 0;
        break;
    case SYSCTL_HUGE:
        mm_hugetlb_set(s, MM_HUGETLB_2M, s->conf.hugetlb_2m);
        s->conf.hugetlb_2m = s->hugetlb.h[MM_HUGETLB_2M].nr - s->hugetlb.h[MM_HUGETLB_2M].surplus;
        break;
    case SYSCTL_DIRTY:
        s->wb.next_ms = 0;
        break;
    case SYSCTL_PLAIN:
        break;
    }
}

static bool is_key(const char *key, const char *name)
{
    return strcmp(strncmp(key, "vm.", 3) == 0 ? key + 3 : key, name) == 0;
}

/* compact_memory is no tunable but an order: 1. */
static int compact_memory(struct mm_sys *s, uint64_t value)
{
    if (value != 1)
        return -EINVAL;
    mm_compact_memory(s);
    return 0;
}

/* drop_caches is an order, too: 1 the page cache, 2 slabs, 3 both; 4 says no more of it in the log. */
static int drop_caches(struct mm_sys *s, uint64_t what)
{
    if (what < 1 || what > 4)
        return -EINVAL;
    if (what < 4)
        mm_drop_caches(s, (unsigned)what);
    return 0;
}

int mm_sysctl(struct mm_sys *s, const char *key, uint64_t value)
{
    const struct sysctl_row *row = find_row(key);
    if (is_key(key, "drop_caches"))
        return drop_caches(s, value);
    if (is_key(key, "compact_memory"))
        return compact_memory(s, value);
    if (!row)
        return -ENOENT;
    if (value < row->min || value > row->max)
        return -EINVAL;
    *option_of(&s->conf, row) = value;
    applied(s, row->effect);
    AUDIT(audit_fault(s));
    return 0;
}

int mm_sysctl_get(const struct mm_sys *s, const char *key, uint64_t *ret)
{
    const struct sysctl_row *row = find_row(key);
    if (!row)
        return -ENOENT;
    *ret = *(const uint64_t *)(const void *)((const char *)&s->conf + row->option);
    return 0;
}

int mm_sysctl_range(const char *key, uint64_t *ret_min, uint64_t *ret_max)
{
    const struct sysctl_row *row = find_row(key);
    if (!row)
        return -ENOENT;
    *ret_min = row->min;
    *ret_max = row->max;
    return 0;
}

const char *mm_sysctl_name(unsigned i)
{
    return i < ARRAY_LEN(rows) ? rows[i].key : NULL;
}
