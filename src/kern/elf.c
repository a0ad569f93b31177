/* elf.c: the headers of an ELF file, read with pread and checked before anything is believed.
 *
 *   +--------+   e_phoff    +-----------------+  p_offset   +--------------------+
 *   | Ehdr   | ───────────► | Phdr[e_phnum]   | ──────────► | segments, PT_INTERP |
 *   +--------+              +-----------------+             +--------------------+
 *
 * Invariants after elf_read succeeded:
 *  I1  Every segment has filesz <= memsz, ends below the top of user space and has offset and
 *      address equal modulo the page size, so none of exec's sums wraps.
 *  I2  interp is a path that ends in 0.
 *
 * Source: Linux fs/binfmt_elf.c (load_elf_phdrs, load_elf_binary); System V ABI, chapters 4, 5.
 */
#include "kern/kern_int.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PHDRS_BYTES_MAX 65536 /* load_elf_phdrs() refuses more */

/* read_at fills the buffer from the file: 0, or -ENOEXEC when the file is shorter. */
static int read_at(int fd, void *buf, size_t n, uint64_t offset)
{
    if (offset > INT64_MAX - n)
        return -ENOEXEC;
    ssize_t got = pread(fd, buf, n, (off_t)offset);
    if (got < 0)
        return -errno;
    return (size_t)got == n ? 0 : -ENOEXEC;
}

static bool ehdr_valid(const Elf64_Ehdr *h)
{
    return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
           h->e_ident[EI_DATA] == ELFDATA2LSB && (h->e_type == ET_EXEC || h->e_type == ET_DYN) &&
           h->e_machine == EM_X86_64 && h->e_phentsize == sizeof(Elf64_Phdr) && h->e_phnum > 0 &&
           h->e_phnum * sizeof(Elf64_Phdr) <= PHDRS_BYTES_MAX;
}

/* phdr_valid holds I1; a segment without bytes in memory is no segment. */
static bool phdr_valid(const Elf64_Phdr *p)
{
    return p->p_filesz <= p->p_memsz && p->p_memsz <= KERN_TASK_SIZE &&
           p->p_vaddr <= KERN_TASK_SIZE - p->p_memsz && p->p_offset <= INT64_MAX - p->p_filesz &&
           (p->p_filesz == 0 || ((p->p_offset ^ p->p_vaddr) & (PAGE_SIZE - 1)) == 0);
}

static int take_load(struct elf *e, const Elf64_Phdr *p)
{
    if (!phdr_valid(p))
        return -ENOEXEC;
    if (p->p_memsz == 0)
        return 0;
    e->seg[e->n_seg++] =
        (struct elf_seg){p->p_vaddr, p->p_offset, p->p_filesz, p->p_memsz, p->p_flags};
    return 0;
}

/* take_interp reads the path; as in Linux the first PT_INTERP counts. */
static int take_interp(struct elf *e, int fd, const Elf64_Phdr *p)
{
    if (e->has_interp)
        return 0;
    if (p->p_filesz < 2 || p->p_filesz > sizeof e->interp)
        return -ENOEXEC;
    int err = read_at(fd, e->interp, p->p_filesz, p->p_offset);
    if (err)
        return err;
    if (e->interp[p->p_filesz - 1] != 0)
        return -ENOEXEC;
    e->has_interp = true;
    return 0;
}

static int take_phdr(struct elf *e, int fd, const Elf64_Phdr *p)
{
    switch (p->p_type) {
    case PT_LOAD:
        return take_load(e, p);
    case PT_INTERP:
        return take_interp(e, fd, p);
    case PT_GNU_STACK:
        e->exec_stack = p->p_flags & PF_X;
        return 0;
    default:
        return 0;
    }
}

static int take_phdrs(struct elf *e, int fd, const Elf64_Ehdr *h)
{
    size_t bytes = h->e_phnum * sizeof(Elf64_Phdr);
    Elf64_Phdr *p = malloc(bytes);
    e->seg = calloc(h->e_phnum, sizeof *e->seg);
    int err = p && e->seg ? read_at(fd, p, bytes, h->e_phoff) : -ENOMEM;
    for (unsigned i = 0; i < h->e_phnum && !err; i++)
        err = take_phdr(e, fd, &p[i]);
    free(p);
    return !err && e->n_seg == 0 ? -ENOEXEC : err;
}

static int elf_read_fd(struct elf *e, int fd)
{
    Elf64_Ehdr h;
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    int err = read_at(fd, &h, sizeof h, 0);
    if (err)
        return err;
    if (!ehdr_valid(&h))
        return -ENOEXEC;
    e->type = h.e_type;
    e->entry = h.e_entry;
    e->dev = st.st_dev;
    e->ino = st.st_ino;
    e->size = (uint64_t)st.st_size;
    return take_phdrs(e, fd, &h);
}

int elf_read(struct elf *e, const char *path)
{
    *e = (struct elf){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int err = elf_read_fd(e, fd);
    close(fd);
    if (err)
        elf_close(e);
    return err;
}

void elf_close(struct elf *e)
{
    free(e->seg);
    *e = (struct elf){0};
}

uint64_t elf_span(const struct elf *e, uint64_t *ret_start)
{
    uint64_t start = UINT64_MAX, end = 0;
    for (uint32_t i = 0; i < e->n_seg; i++) {
        const struct elf_seg *s = &e->seg[i];
        if ((s->vaddr & PAGE_MASK) < start)
            start = s->vaddr & PAGE_MASK;
        if (s->vaddr + s->memsz > end)
            end = s->vaddr + s->memsz;
    }
    *ret_start = start;
    return end - start;
}
