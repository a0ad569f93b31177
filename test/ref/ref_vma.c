/* ref_vma.c: see ref_vma.h. Loops over pages, nothing else. */
#include "ref/ref_vma.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

void ref_unmap(struct ref_space *s, uint64_t at, uint64_t n)
{
    for (uint64_t i = at; i < at + n && i < s->n; i++)
        memset(&s->page[i], 0, sizeof(s->page[i]));
}

void ref_map(struct ref_space *s, uint64_t at, uint64_t n, int prot, bool shared, int file,
             uint64_t pgoff)
{
    ref_unmap(s, at, n);
    for (uint64_t i = 0; i < n; i++)
        s->page[at + i] = (struct ref_page){
            .mapped = true, .prot = prot, .shared = shared, .file = file, .pgoff = pgoff + i};
}

/* May this entry be writable without asking anybody? */
static bool freely_writable(const struct ref_space *s, const struct ref_page *p)
{
    if (!(p->prot & PROT_WRITE))
        return false;
    if (p->state == REF_ANON)
        return true;
    return p->state == REF_FILE && p->shared && (s->memory[p->file] || p->dirty);
}

int ref_protect(struct ref_space *s, uint64_t at, uint64_t n, int prot)
{
    for (uint64_t i = at; i < at + n; i++) {
        struct ref_page *p = &s->page[i];
        if (!p->mapped)
            return -ENOMEM;
        if (p->prot == prot)
            continue;
        p->prot = prot;
        p->writable = freely_writable(s, p);
    }
    return 0;
}

void ref_move(struct ref_space *s, uint64_t from, uint64_t to, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        s->page[to + i] = s->page[from + i];
        memset(&s->page[from + i], 0, sizeof(s->page[0]));
    }
}

int ref_dontneed(struct ref_space *s, uint64_t at, uint64_t n)
{
    int err = 0;
    for (uint64_t i = at; i < at + n; i++) {
        struct ref_page *p = &s->page[i];
        if (!p->mapped)
            err = -ENOMEM;
        p->state = REF_NONE;
        p->writable = p->dirty = false;
    }
    return err;
}

static bool is_cached(const struct ref_space *s, const struct ref_page *p)
{
    if (p->pgoff >= s->file_pages[p->file])
        return false;
    return !s->memory[p->file] || s->cached[p->file][p->pgoff];
}

static void map_file_page(struct ref_space *s, struct ref_page *p, bool write)
{
    p->state = REF_FILE;
    p->dirty = write;
    p->writable = write || freely_writable(s, p);
}

/* Maps what is cached in the 16 aligned pages around, inside the VMA and its 512-page table. */
static void around(struct ref_space *s, uint64_t at, uint64_t lo, uint64_t hi)
{
    uint64_t table = at / 512 * 512, first = at / 16 * 16;
    if (first < lo)
        first = lo;
    for (uint64_t i = first; i < first + 16 && i < hi && i < table + 512; i++)
        if (s->page[i].state == REF_NONE && is_cached(s, &s->page[i]))
            map_file_page(s, &s->page[i], false);
}

static int touch_none(struct ref_space *s, struct ref_page *p, uint64_t at, bool write, uint64_t lo,
                      uint64_t hi)
{
    if (p->file == 0) {
        p->state = write ? REF_ANON : REF_ZERO;
        p->writable = p->dirty = write;
        return 1;
    }
    if (!write)
        around(s, at, lo, hi);
    if (p->state != REF_NONE)
        return 1;
    if (p->pgoff >= s->file_pages[p->file])
        return -SIGBUS;
    s->cached[p->file][p->pgoff] = true;
    if (write && !p->shared) {
        p->state = REF_ANON;
        p->writable = p->dirty = true;
    } else {
        map_file_page(s, p, write);
    }
    return 1;
}

int ref_touch(struct ref_space *s, uint64_t at, bool write, uint64_t lo, uint64_t hi)
{
    struct ref_page *p = &s->page[at];
    if (!p->mapped || p->prot == PROT_NONE || (write && !(p->prot & PROT_WRITE)))
        return -SIGSEGV;
    if (p->state == REF_NONE)
        return touch_none(s, p, at, write, lo, hi);
    if (!write)
        return 0;
    if (p->writable) {
        p->dirty = true;
        return 0;
    }
    if (p->state == REF_ZERO || !p->shared)
        p->state = REF_ANON;
    p->writable = p->dirty = true;
    return 1;
}
