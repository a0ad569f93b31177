/* ref_bytes.c: see ref_bytes.h. Page by page.
 *
 * Source: mmap(2), fork(2), madvise(2), ftruncate(2); what lies behind the end of a file in its last
 * page: observed on Linux 6.18 (a regular file's
 * is zero once the file grows or is written back, tmpfs keeps it). */
#include "ref/ref_bytes.h"

#include <stdlib.h>
#include <string.h>

void rb_open(struct rb_space *s, uint64_t pages)
{
    s->pages = pages;
    s->page = calloc(pages, sizeof(*s->page));
}

static void forget(struct rb_page *p)
{
    free(p->own);
    p->own = NULL;
}

void rb_close(struct rb_space *s)
{
    for (uint64_t i = 0; i < s->pages; i++)
        forget(&s->page[i]);
    free(s->page);
    s->page = NULL;
}

void rb_map(struct rb_space *s, uint64_t first, uint64_t n, const struct rb_page *p)
{
    for (uint64_t i = 0; i < n; i++) {
        forget(&s->page[first + i]);
        s->page[first + i] = *p;
        s->page[first + i].pgoff += i;
    }
}

void rb_move(struct rb_space *s, uint64_t from, uint64_t to, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        forget(&s->page[to + i]);
        s->page[to + i] = s->page[from + i];
        s->page[from + i] = (struct rb_page){0};
    }
}

void rb_dontneed(struct rb_space *s, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++)
        forget(&s->page[i]);
}

void rb_remove(struct rb_space *s, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        const struct rb_page *p = &s->page[i];
        if (p->pgoff < p->file->room)
            memset(p->file->bytes + p->pgoff * RB_PAGE, 0, RB_PAGE);
    }
}

void rb_fork(struct rb_space *child, const struct rb_space *parent)
{
    rb_open(child, parent->pages);
    for (uint64_t i = 0; i < parent->pages; i++) {
        struct rb_page *p = &child->page[i];
        if (parent->page[i].dontfork)
            continue;
        *p = parent->page[i];
        p->own = NULL;
        if (parent->page[i].own && !p->wipe) {
            p->own = malloc(RB_PAGE);
            memcpy(p->own, parent->page[i].own, RB_PAGE);
        }
    }
}

static uint64_t pages_of(const struct rb_file *f)
{
    return (f->size + RB_PAGE - 1) / RB_PAGE;
}

void rb_resize(struct rb_space *spaces, unsigned n, struct rb_file *f, uint64_t size)
{
    uint64_t old = f->size;
    f->size = size;
    if (size < old)
        memset(f->bytes + size, 0, f->room * RB_PAGE - size);
    else if (!f->memory)
        for (uint64_t i = old; i < size && i % RB_PAGE != 0; i++)
            f->bytes[i] = 0;
    for (unsigned k = 0; k < n; k++)
        for (uint64_t i = 0; spaces[k].page && size < old && i < spaces[k].pages; i++) {
            struct rb_page *p = &spaces[k].page[i];
            if (p->file == f && p->pgoff >= pages_of(f))
                forget(p);
        }
}

void rb_sync(struct rb_space *s, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        const struct rb_page *p = &s->page[i];
        uint64_t end = (p->pgoff + 1) * RB_PAGE;
        if (!p->file->memory && p->file->size / RB_PAGE == p->pgoff)
            memset(p->file->bytes + p->file->size, 0, end - p->file->size);
    }
}

/* reach returns the bytes from an address to the end of its page, NULL where the program may not go. */
static uint8_t *reach(struct rb_space *s, uint64_t at, bool store)
{
    static uint8_t zero[RB_PAGE];
    if (at >= s->pages * RB_PAGE)
        return NULL;
    struct rb_page *p = &s->page[at / RB_PAGE];
    if (p->kind == RB_HOLE || p->prot < (store ? RB_WRITE : RB_READ))
        return NULL;
    if (p->own)
        return &p->own[at % RB_PAGE];
    if (p->kind != RB_ANON && p->pgoff >= pages_of(p->file))
        return NULL;
    uint8_t *file = p->kind == RB_ANON ? NULL : &p->file->bytes[p->pgoff * RB_PAGE];
    if (p->kind == RB_SHARED || (file && !store))
        return &file[at % RB_PAGE];
    if (!store)
        return &zero[at % RB_PAGE];
    p->own = calloc(1, RB_PAGE);
    if (file)
        memcpy(p->own, file, RB_PAGE);
    return &p->own[at % RB_PAGE];
}

static uint64_t in_page(uint64_t at, uint64_t len)
{
    uint64_t room = RB_PAGE - at % RB_PAGE;
    return len < room ? len : room;
}

uint64_t rb_store(struct rb_space *s, uint64_t at, const uint8_t *from, uint64_t len)
{
    uint64_t i = 0, n;
    uint8_t *b;
    for (; i < len && (b = reach(s, at + i, true)) != NULL; i += n) {
        n = in_page(at + i, len - i);
        memcpy(b, from + i, n);
    }
    return i;
}

uint64_t rb_load(const struct rb_space *s, uint64_t at, uint8_t *to, uint64_t len)
{
    struct rb_space same = *s;
    uint64_t i = 0, n;
    const uint8_t *b;
    for (; i < len && (b = reach(&same, at + i, false)) != NULL; i += n) {
        n = in_page(at + i, len - i);
        memcpy(to + i, b, n);
    }
    return i;
}
