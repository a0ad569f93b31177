/* sysctl.c: reading and writing /proc/sys/vm.
 *
 * I1  A value that is refused changes nothing.
 *
 * Source: Linux 6.18 kernel/sysctl.c (proc_dointvec: numbers separated by tabs), mm/page_alloc.c
 * (page_alloc_sysctl_table), fs/drop_caches.c, mm/compaction.c (sysctl_compaction_handler).
 */
#include "proc/sysctl.h"

#include "base/line.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum row_kind {
    ROW_PHYS,    /* numbers in struct phys_tunables */
    ROW_DROP,    /* drop_caches */
    ROW_COMPACT, /* compact_memory */
    ROW_MM,      /* mm_sysctl knows it */
};
struct row {
    const char *name;
    enum row_kind kind;
    size_t offset;     /* in struct phys_tunables */
    unsigned n;        /* numbers */
    uint64_t min, max; /* of each */
    bool zero;         /* 0 is taken, too */
};
#define PHYS(name, n, min, max, zero)                                                              \
    {                                                                                              \
#name, ROW_PHYS, offsetof(struct phys_tunables, name), n, min, max, zero                   \
    }
static const struct row rows[] = {
    PHYS(min_free_kbytes, 1, 0, INT32_MAX, false),
    PHYS(watermark_scale_factor, 1, 1, 3000, false),
    PHYS(watermark_boost_factor, 1, 0, INT32_MAX, false),
    PHYS(lowmem_reserve_ratio, PHYS_ZONES_NR, 0, INT32_MAX, false),
    PHYS(percpu_pagelist_high_fraction, 1, 8, INT32_MAX, true),
    PHYS(extfrag_threshold, 1, 0, 1000, false),
    PHYS(numa_stat, 1, 0, 1, false),
    PHYS(defrag_mode, 1, 0, 1, false),
    {"drop_caches", ROW_DROP, 0, 1, 1, 4, false},
    {"compact_memory", ROW_COMPACT, 0, 1, 1, 1, false},
};

static struct row row_of(unsigned i)
{
    if (i < ARRAY_LEN(rows))
        return rows[i];
    struct row r = {mm_sysctl_name(i - ARRAY_LEN(rows)), ROW_MM, .n = 1};
    if (r.name)
        mm_sysctl_range(r.name, &r.min, &r.max);
    return r;
}

const char *proc_sysctl_name(unsigned i)
{
    return row_of(i).name;
}

int proc_sysctl_find(const char *key)
{
    static const char *const prefixes[] = {"/proc/sys/vm/", "sys/vm/", "vm.", "vm/"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
            const char *name = key + strlen(prefixes[i]);
            for (unsigned k = 0; proc_sysctl_name(k) != NULL; k++)
                if (strcmp(proc_sysctl_name(k), name) == 0)
                    return (int)k;
            return -1;
        }
    return -1;
}

/* -- writing ------------------------------------------------------------------------------------- */

/* parse_numbers reads up to n numbers between blanks, as proc_dointvec does: fewer leave the rest as it
 * was. Returns how many; 0: the text is none. */
static unsigned parse_numbers(const char *text, uint64_t *v, unsigned n)
{
    unsigned got = 0;
    for (;;) {
        char *end;
        text += strspn(text, " \t\n");
        if (*text == '\0')
            return got;
        if (got == n || !isdigit((unsigned char)*text))
            return 0;
        errno = 0;
        v[got++] = strtoull(text, &end, 0);
        if (errno != 0 || (*end != '\0' && strchr(" \t\n", *end) == NULL))
            return 0;
        text = end;
    }
}

static int set_phys(const struct proc_machine *m, const struct row *row, const char *value)
{
    struct phys_tunables t;
    phys_tunables(m->phys, &t);
    uint64_t *v = (uint64_t *)(void *)((char *)&t + row->offset);
    if (!parse_numbers(value, v, row->n))
        return -EINVAL;
    return phys_set_tunables(m->phys, &t);
}

static int set_row(const struct proc_machine *m, const struct row *row, const char *value)
{
    uint64_t v;
    if (row->kind == ROW_PHYS)
        return set_phys(m, row, value);
    if (!parse_numbers(value, &v, 1))
        return -EINVAL;
    if (row->kind == ROW_MM)
        return mm_sysctl(m->sys, row->name, v);
    if (row->kind == ROW_COMPACT)
        mm_compact_memory(m->sys);
    else if (v < 4) /* 4 only ends the kernel's message about it */
        mm_drop_caches(m->sys, (unsigned)v);
    return 0;
}

/* in_range: all numbers of a text may be written to a row. */
static bool in_range(const struct row *row, const char *value)
{
    uint64_t v[PHYS_ZONES_NR];
    unsigned n = parse_numbers(value, v, row->n);
    for (unsigned i = 0; i < n; i++)
        if ((v[i] < row->min || v[i] > row->max) && !(row->zero && v[i] == 0))
            return false;
    return n > 0;
}

/* no_range says in one line what a row takes instead of a value, in the words of options (conf.c). */
static int no_range(const struct row *row, const char *value, char *err, size_t err_size)
{
    uint64_t v[PHYS_ZONES_NR];
    const char *quote = parse_numbers(value, v, row->n) ? "" : "`";
    const char *why = *quote == '\0' ? "is out of range"
                      : row->n > 1   ? "is no list of whole numbers"
                                     : "is not a whole number";
    snprintf(err, err_size, "vm.%s: %s%s%s %s; take %s%" PRIu64 " to %" PRIu64, row->name, quote,
             value, quote, why, row->zero ? "0 or " : "", row->min, row->max);
    line_only(err);
    return -EINVAL;
}

int proc_sysctl_check(const char *key, const char *value, char *err, size_t err_size)
{
    int i = proc_sysctl_find(key);
    if (i < 0) {
        snprintf(err, err_size, "no tunable `%s`; `pagewalk view` lists them as sys/vm/NAME", key);
        line_only(err);
        return -ENOENT;
    }
    struct row row = row_of((unsigned)i);
    return in_range(&row, value) ? 0 : no_range(&row, value, err, err_size);
}

int proc_sysctl_set(const struct proc_machine *m, const char *key, const char *value, char *err,
                    size_t err_size)
{
    int error = proc_sysctl_check(key, value, err, err_size);
    if (error != 0)
        return error;
    struct row row = row_of((unsigned)proc_sysctl_find(key));
    error = set_row(m, &row, value);
    if (error != 0)
        snprintf(err, err_size, "vm.%s: %s is refused: %s", row.name, value, strerror(-error));
    return error;
}

/* -- reading ------------------------------------------------------------------------------------- */

int proc_sysctl_put(struct sink *out, const struct proc_machine *m, unsigned i)
{
    struct row row = row_of(i);
    struct phys_tunables t;
    uint64_t one;
    const uint64_t *v = &one;
    if (row.kind == ROW_DROP || row.kind == ROW_COMPACT)
        return -EACCES;
    if (row.kind == ROW_PHYS) {
        phys_tunables(m->phys, &t);
        v = (const uint64_t *)(const void *)((const char *)&t + row.offset);
    } else if (mm_sysctl_get(m->sys, row.name, &one) != 0) {
        return -ENOENT;
    }
    for (unsigned k = 0; k < row.n; k++)
        sink_fmt(out, "%s%" PRIu64, k > 0 ? "\t" : "", v[k]);
    sink_char(out, '\n');
    return sink_error(out);
}
