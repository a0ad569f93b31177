/* label.c: rows of attribution: what reports call a piece of the address space, and how large it
 * was. A row stays after its last VMA is gone.
 *
 *   file        one row per path and rights: "/usr/bin/python3" r-x
 *   [heap] …    one row each
 *   [anon]      one row per mapping made; a mapping made again at the same place takes its row
 *
 * I1  At most LABELS_MAX rows of anonymous mappings and as many of files, and one row more of each
 *     sort that all later ones share: programs with thousands of tiny mappings stay readable.
 */
#include "mm/mm_int.h"

#include "base/vec.h"

static const char *kind_name(enum vma_kind kind)
{
    switch (kind) {
    case VMA_HEAP:
        return "[heap]";
    case VMA_STACK:
        return "[stack]";
    case VMA_VDSO:
        return "[vdso]";
    case VMA_VVAR:
        return "[vvar]";
    default:
        return "[anon]";
    }
}

static void copy_end(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size)
        from += len - (size - 1); /* the end of a path says more than its beginning */
    memcpy(to, from, min_u64(len, size - 1) + 1);
}

/* -- finding rows ---------------------------------------------------------------------------- */

#define ANY_RIGHTS UINT64_MAX /* a row found by its name alone */

static uint64_t name_key(const char *name, uint64_t flags)
{
    uint64_t key = mix64(flags);
    for (; *name; name++)
        key = mix64(key ^ (uint8_t)*name);
    return key >> 1; /* never MAP_NONE */
}

static bool is_row(const struct mm_label *l, const char *name, uint64_t flags)
{
    return strcmp(l->name, name) == 0 && (flags == ANY_RIGHTS || l->flags == flags);
}

/* find_named looks for a row made with that name and key flags; *ret_key is where it is, or belongs. */
static bool find_named(const struct mm_sys *s, const char *name, uint64_t flags, uint64_t *ret_key,
                       uint32_t *ret)
{
    const uint64_t *row;
    *ret_key = name_key(name, flags);
    while ((row = map_find(&s->named_labels, *ret_key)) != NULL) {
        *ret = (uint32_t)*row;
        if (is_row(&s->labels[*ret], name, flags))
            return true;
        ++*ret_key; /* another name with the same hash */
    }
    return false;
}

static void remember(struct map *rows, uint64_t key, uint32_t row)
{
    int err = map_put(rows, key, row);
    ASSERT(err == 0);
}

static uint32_t label_new(struct mm_sys *s, const char *name, uint64_t flags, vaddr start)
{
    struct mm_label *l = vec_room(s->labels, s->labels_nr, &s->labels_cap, sizeof(*l));
    ASSERT(l);
    s->labels = l;
    l += s->labels_nr;
    *l = (struct mm_label){.flags = flags, .first_start = start.v};
    copy_end(l->name, sizeof(l->name), name);
    return s->labels_nr++;
}

/* label_named finds or makes the one row of a name. */
static uint32_t label_named(struct mm_sys *s, const char *name, uint64_t flags, vaddr start)
{
    uint64_t key;
    uint32_t row;
    if (find_named(s, name, ANY_RIGHTS, &key, &row))
        return row;
    row = label_new(s, name, flags, start);
    remember(&s->named_labels, key, row);
    return row;
}

static uint32_t label_file(struct mm_sys *s, const char *path, uint64_t flags, vaddr start)
{
    uint64_t key;
    uint32_t row;
    if (find_named(s, path, flags, &key, &row))
        return row;
    if (s->file_labels == LABELS_MAX)
        return label_named(s, "[other files]", flags, va(0));
    s->file_labels++;
    row = label_new(s, path, flags, start);
    remember(&s->named_labels, key, row);
    return row;
}

static uint32_t label_anon(struct mm_sys *s, uint64_t flags, vaddr start)
{
    const uint64_t *last = map_find(&s->anon_label_at, start.v);
    if (last && s->labels[*last].cur_bytes == 0)
        return (uint32_t)*last;
    if (s->anon_labels == LABELS_MAX)
        return label_named(s, "[anon, small]", flags, va(0));
    s->anon_labels++;
    uint32_t row = label_new(s, "[anon]", flags, start);
    remember(&s->anon_label_at, start.v, row);
    return row;
}

uint32_t label_for(struct mm_sys *s, enum vma_kind kind, const struct mm_file *f, uint64_t flags,
                   vaddr start)
{
    flags &= VM_ACCESS_FLAGS | VM_SHARED;
    if (f)
        return label_file(s, f->path, flags, start);
    if (kind != VMA_ANON)
        return label_named(s, kind_name(kind), flags, start);
    return label_anon(s, flags, start);
}

void label_close(struct mm_sys *s)
{
    map_free(&s->named_labels);
    map_free(&s->anon_label_at);
    free(s->labels);
}

void label_add(struct mm_sys *s, uint32_t label, int64_t bytes)
{
    struct mm_label *l = &s->labels[label];
    CHECK(label < s->labels_nr && (bytes >= 0 || l->cur_bytes >= (uint64_t)-bytes));
    l->cur_bytes += (uint64_t)bytes;
    l->max_bytes = max_u64(l->max_bytes, l->cur_bytes);
}

const struct mm_label *mm_labels(const struct mm_sys *s, uint32_t *ret_n)
{
    *ret_n = s->labels_nr;
    return s->labels;
}
