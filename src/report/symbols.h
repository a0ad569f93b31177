/* symbols.h: from the address of an instruction to object, symbol and offset, by the ELF symbol
 * tables of the files that were mapped there. */
#ifndef REPORT_SYMBOLS_H
#define REPORT_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

/* One mapping of an address space. */
struct symbol_map {
    uint64_t start, end; /* [start, end) */
    uint64_t offset;     /* of start in the file, bytes */
    uint32_t flags;      /* VM_… */
    bool is_file;        /* path names a file, not a word like [heap] */
    const char *path;    /* not owned */
};

struct symbol {
    const char
        *object;      /* path of the file or word of the mapping; "[unknown]" when there is none */
    const char *name; /* NULL when no symbol covers the address */
    uint64_t offset;  /* from the symbol, else from the start of the file */
};

struct symbols;

/* symbols_open makes an empty cache of files. 0 or -ENOMEM. */
int symbols_open(struct symbols **ret);
void symbols_close(struct symbols *s);
/* symbols_find looks an address up in sorted maps; it always fills ret. A file is read once; one
 * that cannot be read has no symbols. Strings live until symbols_close, or belong to the maps. */
void symbols_find(struct symbols *s, const struct symbol_map *maps, uint32_t n_maps, uint64_t pc,
                  struct symbol *ret);

#endif
