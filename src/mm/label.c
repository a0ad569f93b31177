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

/* find_named looks for a row by name, and by rights unless `flags` is ~0. */
static bool find_named(const struct mm_sys *s, const char *name, uint64_t flags, uint32_t *ret)
{
    for (uint32_t i = 0; i < s->labels_nr; i++) {
        const struct mm_label *l = &s->labels[i];
        if (strcmp(l->name, name) == 0 && (flags == ~0u || l->flags == flags)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static uint32_t label_shared(struct mm_sys *s, const char *name, uint64_t flags)
{
    uint32_t i;
    return find_named(s, name, ~0u, &i) ? i : label_new(s, name, flags, va(0));
}

static uint32_t label_file(struct mm_sys *s, const char *path, uint64_t flags, vaddr start)
{
    uint32_t i;
    if (find_named(s, path, flags, &i))
        return i;
    if (s->file_labels == LABELS_MAX)
        return label_shared(s, "[other files]", flags);
    s->file_labels++;
    return label_new(s, path, flags, start);
}

static uint32_t label_anon(struct mm_sys *s, uint64_t flags, vaddr start)
{
    for (uint32_t i = 0; i < s->labels_nr; i++) {
        const struct mm_label *l = &s->labels[i];
        if (l->first_start == start.v && l->cur_bytes == 0 && strcmp(l->name, "[anon]") == 0)
            return i;
    }
    if (s->anon_labels == LABELS_MAX)
        return label_shared(s, "[anon, small]", flags);
    s->anon_labels++;
    return label_new(s, "[anon]", flags, start);
}

uint32_t label_for(struct mm_sys *s, enum vma_kind kind, const struct mm_file *f, uint64_t flags,
                   vaddr start)
{
    flags &= VM_ACCESS_FLAGS | VM_SHARED;
    if (f)
        return label_file(s, f->path, flags, start);
    if (kind != VMA_ANON) {
        uint32_t i;
        return find_named(s, kind_name(kind), ~0u, &i)
                   ? i
                   : label_new(s, kind_name(kind), flags, start);
    }
    return label_anon(s, flags, start);
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
