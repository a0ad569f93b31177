/* label.c: rows of attribution: what reports call a piece of the address space, and how large it
 * was. A row stays after its last VMA is gone.
 *
 * For each program (processes of one name share rows):
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

static uint64_t text_key(uint64_t key, const char *text)
{
    for (; *text; text++)
        key = mix64(key ^ (uint8_t)*text);
    return key;
}

/* What a row is found by. */
struct row {
    struct mm_sys *sys;
    const char *program, *name;
    uint64_t flags; /* or ANY_RIGHTS */
    vaddr start;
};

static uint64_t row_key(const struct row *r)
{
    return text_key(text_key(mix64(r->flags), r->name), r->program) >> 1; /* never MAP_NONE */
}

static bool is_row(const struct mm_label *l, const struct row *r)
{
    return strcmp(l->name, r->name) == 0 && strcmp(l->program, r->program) == 0 &&
           (r->flags == ANY_RIGHTS || l->flags == r->flags);
}

/* find_named looks for a row; *ret_key is where it is, or belongs. */
static bool find_named(const struct row *r, uint64_t *ret_key, uint32_t *ret)
{
    const uint64_t *row;
    *ret_key = row_key(r);
    while ((row = map_find(&r->sys->named_labels, *ret_key)) != NULL) {
        *ret = (uint32_t)*row;
        if (is_row(&r->sys->labels[*ret], r))
            return true;
        ++*ret_key; /* another row with the same hash */
    }
    return false;
}

static void remember(struct map *rows, uint64_t key, uint32_t row)
{
    int err = map_put(rows, key, row);
    ASSERT(err == 0);
}

static uint32_t label_new(const struct row *r, uint64_t flags)
{
    struct mm_sys *s = r->sys;
    struct mm_label *l = vec_room(s->labels, s->labels_nr, &s->labels_cap, sizeof(*l));
    ASSERT(l);
    s->labels = l;
    l += s->labels_nr;
    *l = (struct mm_label){.flags = flags, .first_start = r->start.v};
    copy_end(l->name, sizeof(l->name), r->name);
    copy_end(l->program, sizeof(l->program), r->program);
    return s->labels_nr++;
}

/* label_named finds or makes the one row of a name. */
static uint32_t label_named(const struct row *r)
{
    struct row any = *r;
    uint64_t key;
    uint32_t row;
    any.flags = ANY_RIGHTS;
    if (find_named(&any, &key, &row))
        return row;
    row = label_new(r, r->flags);
    remember(&r->sys->named_labels, key, row);
    return row;
}

static uint32_t label_rest(const struct row *r, const char *name)
{
    struct row rest = *r;
    rest.name = name;
    rest.start = va(0);
    return label_named(&rest);
}

static uint32_t label_file(const struct row *r)
{
    uint64_t key;
    uint32_t row;
    if (find_named(r, &key, &row))
        return row;
    if (r->sys->file_labels == LABELS_MAX)
        return label_rest(r, "[other files]");
    r->sys->file_labels++;
    row = label_new(r, r->flags);
    remember(&r->sys->named_labels, key, row);
    return row;
}

static uint32_t label_anon(const struct row *r)
{
    struct mm_sys *s = r->sys;
    uint64_t key = text_key(mix64(r->start.v), r->program) >> 1;
    const uint64_t *last = map_find(&s->anon_label_at, key);
    const struct mm_label *l = last ? &s->labels[*last] : NULL;
    if (l && l->cur_bytes == 0 && l->first_start == r->start.v &&
        strcmp(l->program, r->program) == 0)
        return (uint32_t)*last;
    if (s->anon_labels == LABELS_MAX)
        return label_rest(r, "[anon, small]");
    s->anon_labels++;
    uint32_t row = label_new(r, r->flags);
    remember(&s->anon_label_at, key, row);
    return row;
}

uint32_t label_for(const struct mm *m, enum vma_kind kind, const struct mm_file *f, uint64_t flags,
                   vaddr start)
{
    struct row r = {.sys = m->sys,
                    .program = m->task.comm,
                    .name = f ? f->path : kind_name(kind),
                    .flags = flags & (VM_ACCESS_FLAGS | VM_SHARED),
                    .start = start};
    if (f)
        return label_file(&r);
    return kind == VMA_ANON ? label_anon(&r) : label_named(&r);
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
