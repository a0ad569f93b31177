/* symbols.c: ELF symbol tables, read once per file with libelf.
 *
 *   pc ─► mapping ─► offset in the file ─► address in the file (PT_LOAD) ─► symbol that covers it
 *
 * Invariants:
 *  I1  The symbols of a file are sorted by address; equal addresses keep one, the widest.
 *  I2  A symbol of size 0 (assembly) covers what lies before the next one.
 *
 * .symtab is taken when the file has one, else .dynsym. Only code symbols count.
 * Source: System V ABI, chapters 4 (symbol table) and 5 (program header).
 */
#include "report/symbols.h"

#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    uint64_t addr, size;
    char *name; /* owned */
};
struct segment {
    uint64_t offset, addr,
        bytes; /* of one PT_LOAD: place in the file, address, length in the file */
};
struct object {
    char *path;          /* owned; the key */
    struct entry *entry; /* I1 */
    struct segment *segment;
    size_t n_entries, n_segments;
};
struct symbols {
    struct object *object;
    size_t n, cap;
};

int symbols_open(struct symbols **ret)
{
    struct symbols *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    elf_version(EV_CURRENT);
    *ret = s;
    return 0;
}

static void object_clear(struct object *o)
{
    for (size_t i = 0; i < o->n_entries; i++)
        free(o->entry[i].name);
    free(o->entry);
    free(o->segment);
    free(o->path);
}

void symbols_close(struct symbols *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        object_clear(&s->object[i]);
    free(s->object);
    free(s);
}

static int by_address(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* I1: after sorting, the first of equal addresses is the widest. */
static void drop_equal_addresses(struct object *o)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->n_entries; i++) {
        if (kept > 0 && o->entry[kept - 1].addr == o->entry[i].addr)
            free(o->entry[i].name);
        else
            o->entry[kept++] = o->entry[i];
    }
    o->n_entries = kept;
}

static void read_segments(struct object *o, Elf *elf)
{
    size_t n = 0;
    if (elf_getphdrnum(elf, &n) != 0 || n == 0)
        return;
    o->segment = calloc(n, sizeof(*o->segment));
    for (size_t i = 0; o->segment != NULL && i < n; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, (int)i, &p) == NULL || p.p_type != PT_LOAD)
            continue;
        o->segment[o->n_segments++] = (struct segment){p.p_offset, p.p_vaddr, p.p_filesz};
    }
}

static bool is_code(const GElf_Sym *sym)
{
    unsigned type = GELF_ST_TYPE(sym->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) &&
           sym->st_shndx != SHN_UNDEF && sym->st_value != 0 && sym->st_shndx < SHN_LORESERVE;
}

static void read_table(struct object *o, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t n = data == NULL || header->sh_entsize == 0 ? 0 : data->d_size / header->sh_entsize;
    o->entry = calloc(n + 1, sizeof(*o->entry));
    for (size_t i = 0; o->entry != NULL && i < n; i++) {
        GElf_Sym sym;
        if (gelf_getsym(data, (int)i, &sym) == NULL || !is_code(&sym))
            continue;
        const char *name = elf_strptr(elf, header->sh_link, sym.st_name);
        char *copy = name == NULL || name[0] == '\0' ? NULL : strdup(name);
        if (copy != NULL)
            o->entry[o->n_entries++] = (struct entry){sym.st_value, sym.st_size, copy};
    }
    if (o->n_entries > 0)
        qsort(o->entry, o->n_entries, sizeof(*o->entry), by_address);
    drop_equal_addresses(o);
}

/* read_symbols prefers .symtab, which also has the static functions. */
static void read_symbols(struct object *o, Elf *elf)
{
    Elf_Scn *section = NULL, *best = NULL;
    GElf_Shdr header, best_header = {0};
    while ((section = elf_nextscn(elf, section)) != NULL) {
        if (gelf_getshdr(section, &header) == NULL)
            continue;
        if (header.sh_type != SHT_SYMTAB && (header.sh_type != SHT_DYNSYM || best != NULL))
            continue;
        best = section;
        best_header = header;
    }
    if (best != NULL)
        read_table(o, elf, best, &best_header);
}

static void object_read(struct object *o)
{
    /* O_NONBLOCK: a path may have become a fifo since the program mapped it. */
    int fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    if (elf != NULL && elf_kind(elf) == ELF_K_ELF) {
        read_segments(o, elf);
        read_symbols(o, elf);
    }
    elf_end(elf);
    close(fd);
}

static const struct object *object_get(struct symbols *s, const char *path)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->object[i].path, path) == 0)
            return &s->object[i];
    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 16 : 2 * s->cap;
        struct object *grown = realloc(s->object, cap * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        s->object = grown;
        s->cap = cap;
    }
    struct object *o = &s->object[s->n];
    *o = (struct object){.path = strdup(path)};
    if (o->path == NULL)
        return NULL;
    s->n++;
    object_read(o);
    return o;
}

static bool segment_address(const struct object *o, uint64_t offset, uint64_t *ret_addr)
{
    for (size_t i = 0; i < o->n_segments; i++) {
        const struct segment *g = &o->segment[i];
        if (offset >= g->offset && offset - g->offset < g->bytes) {
            *ret_addr = g->addr + (offset - g->offset);
            return true;
        }
    }
    return false;
}

/* entry_at returns the last symbol that begins at or before addr, if it covers it. */
static const struct entry *entry_at(const struct object *o, uint64_t addr)
{
    size_t low = 0, high = o->n_entries;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (o->entry[mid].addr <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return NULL;
    const struct entry *e = &o->entry[low - 1];
    return e->size == 0 || addr - e->addr < e->size ? e : NULL; /* I2 */
}

static const struct symbol_map *map_at(const struct symbol_map *maps, uint32_t n, uint64_t pc)
{
    for (uint32_t low = 0, high = n; low < high;) {
        uint32_t mid = low + (high - low) / 2;
        if (pc < maps[mid].start)
            high = mid;
        else if (pc >= maps[mid].end)
            low = mid + 1;
        else
            return &maps[mid];
    }
    return NULL;
}

void symbols_find(struct symbols *s, const struct symbol_map *maps, uint32_t n_maps, uint64_t pc,
                  struct symbol *ret)
{
    *ret = (struct symbol){.object = "[unknown]", .offset = pc};
    const struct symbol_map *map = map_at(maps, n_maps, pc);
    if (map == NULL)
        return;
    *ret = (struct symbol){.object = map->path, .offset = pc - map->start + map->offset};
    const struct object *o = map->is_file ? object_get(s, map->path) : NULL;
    uint64_t addr;
    if (o == NULL || !segment_address(o, ret->offset, &addr))
        return;
    const struct entry *e = entry_at(o, addr);
    if (e != NULL) {
        ret->name = e->name;
        ret->offset = addr - e->addr;
    }
}
