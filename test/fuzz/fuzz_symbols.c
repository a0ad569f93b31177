/* fuzz_symbols: symbol tables of the files a program mapped. The input is such a file.
 *
 * Every address gets an answer: its file, a name of the table or none, an offset; the same when it is
 * asked again, and one symbol answers with offsets that grow with the address. */
#include "fuzz/fuzz.h"

#include "report/symbols.h"

#include <elf.h>

#define START UINT64_C(0x400000)
#define BYTES UINT64_C(0x4000)

static void check_address(struct symbols *s, const struct symbol_map *map, uint64_t pc,
                          struct symbol *last)
{
    struct symbol found, again;
    symbols_find(s, map, 1, pc, &found);
    symbols_find(s, map, 1, pc, &again);
    ASSERT(found.object && found.name == again.name && found.offset == again.offset);
    ASSERT(found.name || found.offset == pc - START || pc < START || pc >= START + BYTES);
    ASSERT(!found.name || found.name[0] != '\0');
    if (found.name && last->name == found.name)
        ASSERT(found.offset > last->offset);
    *last = found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct symbol_map map = {.start = START, .end = START + BYTES, .is_file = true};
    struct symbol last = {0};
    struct symbols *s;
    map.path = fuzz_file(data, size);
    ASSERT(symbols_open(&s) == 0);
    for (uint64_t pc = START - 8; pc < START + BYTES + 8; pc += 8)
        check_address(s, &map, pc, &last);
    symbols_close(s);
    return 0;
}

/* A program of one segment with two functions and a table of symbols. */
struct image {
    Elf64_Ehdr head;
    Elf64_Phdr segment;
    Elf64_Shdr section[3];
    Elf64_Sym symbol[3];
    char names[16];
};

size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    const bool dynamic = nth == 1;
    struct image i = {
        .head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                             EV_CURRENT},
                 .e_type = dynamic ? ET_DYN : ET_EXEC,
                 .e_machine = EM_X86_64,
                 .e_version = EV_CURRENT,
                 .e_phoff = offsetof(struct image, segment),
                 .e_shoff = offsetof(struct image, section),
                 .e_ehsize = sizeof(Elf64_Ehdr),
                 .e_phentsize = sizeof(Elf64_Phdr),
                 .e_phnum = 1,
                 .e_shentsize = sizeof(Elf64_Shdr),
                 .e_shnum = 3},
        .segment = {PT_LOAD, PF_R | PF_X, 0, START, START, 0x3000, 0x3000, 4096},
        .section = {{0},
                    {.sh_type = dynamic ? SHT_DYNSYM : SHT_SYMTAB,
                     .sh_offset = offsetof(struct image, symbol),
                     .sh_size = sizeof(i.symbol),
                     .sh_link = 2,
                     .sh_entsize = sizeof(Elf64_Sym)},
                    {.sh_type = SHT_STRTAB,
                     .sh_offset = offsetof(struct image, names),
                     .sh_size = sizeof(i.names)}},
        .symbol = {{0},
                   {1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, START + 0x100, 0x80},
                   {6, ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE), 0, 1, START + 0x200, 0}},
        .names = "\0main\0rest",
    };
    return nth < 2 ? fuzz_copy_seed(buf, &i, sizeof(i)) : 0;
}
