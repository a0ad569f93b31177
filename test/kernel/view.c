/* view.c: the lists of pages and frames both sides fill at a look.
 *
 * The number of a frame means nothing to the other side; which pages have the same frame does. So frames
 * are numbered as they are met, and what a frame shows (flags, count, bytes) is read once a look.
 */
#include "kernel/check.h"

#include <stdlib.h>

struct page_view *view_page(struct view *v, uint64_t addr)
{
    if (v->n_page == v->room) {
        v->room = v->room ? 2 * v->room : 256;
        v->page = realloc(v->page, v->room * sizeof(v->page[0]));
        ASSERT(v->page);
    }
    v->page[v->n_page] = (struct page_view){.addr = addr};
    return &v->page[v->n_page++];
}

void view_forget(struct view *v)
{
    v->n_past = 0;
}

static void remember(struct view *v)
{
    v->n_past = 0;
    if (v->room_past < v->n_page) {
        v->room_past = v->room;
        v->past = realloc(v->past, v->room_past * sizeof(v->past[0]));
        ASSERT(v->past);
    }
    for (unsigned i = 0; i < v->n_page; i++)
        if (v->page[i].map & PM_PRESENT)
            v->past[v->n_past++] = (struct frame_at){v->page[i].addr, v->page[i].number};
}

void view_keep(struct view *v)
{
    unsigned at = 0;
    for (unsigned i = 0; i < v->n_page; i++) {
        struct page_view *p = &v->page[i];
        while (at < v->n_past && v->past[at].addr < p->addr)
            at++;
        p->kept = p->map & PM_PRESENT && at < v->n_past && v->past[at].addr == p->addr &&
                  v->past[at].number == p->number;
    }
    remember(v);
}

struct vma_view *view_vma(struct view *v)
{
    if (v->n_vma == VMAS_MAX) {
        fprintf(stderr, "check-kernel: a process has more than %u mappings\n", VMAS_MAX);
        abort();
    }
    return &v->vma[v->n_vma++];
}

/* Open addressing; an entry of another look is free. */
struct frames {
    uint64_t look;
    uint32_t n, size; /* entries of this look; of the table, a power of 2 */
    struct seen_frame *at;
};

static void make_table(struct frames *f, uint32_t size)
{
    f->size = size;
    f->n = 0;
    f->at = calloc(size, sizeof(f->at[0]));
    ASSERT(f->at);
}

void frames_open(struct frames **ret)
{
    struct frames *f = calloc(1, sizeof(*f));
    ASSERT(f);
    f->look = 1;
    make_table(f, 1024);
    *ret = f;
}

void frames_close(struct frames *f)
{
    free(f->at);
    free(f);
}

void frames_forget(struct frames *f)
{
    f->look++;
    f->n = 0;
}

static struct seen_frame *place_of(const struct frames *f, uint64_t number)
{
    uint64_t i = (number * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
    for (;; i++) {
        struct seen_frame *s = &f->at[i & (f->size - 1)];
        if (s->look != f->look || s->number == number)
            return s;
    }
}

static void grow(struct frames *f)
{
    struct frames old = *f;
    make_table(f, 2 * old.size);
    f->n = old.n;
    for (uint32_t i = 0; i < old.size; i++)
        if (old.at[i].look == f->look)
            *place_of(f, old.at[i].number) = old.at[i];
    free(old.at);
}

void frames_room(struct frames *f, uint32_t n)
{
    while (2 * (f->n + n) >= f->size)
        grow(f);
}

struct seen_frame *frames_find(struct frames *f, uint64_t number, bool *ret_new)
{
    frames_room(f, 1);
    struct seen_frame *s = place_of(f, number);
    *ret_new = s->look != f->look;
    if (*ret_new)
        *s = (struct seen_frame){number, f->look, {.frame = ++f->n}};
    return s;
}
