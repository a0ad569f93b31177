/* fuzz_elf: ELF files and scripts, as exec of the model reads them, and as the launcher looks at them.
 *
 * What elf_read takes keeps its invariants; exec of it leaves a sound address space or an error, and the
 * copies it lists are whole. The launcher gives a code and one line, or arguments. */
#include "fuzz/fuzz.h"
#include "front/front.h"
#include "kern/kern_int.h"
#include "sim/sim.h"

#include <elf.h>

static void check_headers(const char *path)
{
    struct elf e;
    uint64_t start;
    if (elf_read(&e, path) != 0) {
        ASSERT(e.seg == NULL);
        return;
    }
    ASSERT(e.n_seg > 0 && (e.type == ET_EXEC || e.type == ET_DYN));
    ASSERT(!e.has_interp || memchr(e.interp, '\0', sizeof e.interp));
    for (uint32_t i = 0; i < e.n_seg; i++) {
        const struct elf_seg *g = &e.seg[i];
        ASSERT(g->filesz <= g->memsz && g->memsz > 0 && g->vaddr + g->memsz <= KERN_TASK_SIZE);
        ASSERT(g->filesz == 0 || (g->vaddr - g->offset) % PAGE_SIZE == 0);
    }
    uint64_t span = elf_span(&e, &start);
    ASSERT(start % PAGE_SIZE == 0 && start + span <= KERN_TASK_SIZE && span > 0);
    elf_close(&e);
}

static void execute(const char *path)
{
    struct kern_exec e = {.path = path,
                          .argc = 1,
                          .envc = 1,
                          .arg_bytes = 5,
                          .env_bytes = 9,
                          .load_bias = UINT64_C(0x555555554000),
                          .interp_base = UINT64_C(0x7ffff7fc0000),
                          .stack_top = UINT64_C(0x7ffffffff000),
                          .stack_limit = UINT64_C(0x7fffff7ff000),
                          .stack_rlimit = MIB(8)};
    struct kern_copies copies = {0};
    struct arch_outbox outbox;
    struct stat_set stats = {0};
    struct phys *phys;
    struct mm_sys *sys;
    struct kern *k;
    struct mm *m;
    struct conf c;
    fuzz_conf_small(&c);
    ASSERT(arch_outbox_open(&outbox) == 0 && phys_open(&phys, &c, &stats) == 0 &&
           mm_sys_open(&sys, &c, phys, &stats, &outbox) == 0 && mm_open(&m, sys) == 0 &&
           kern_open(&k, &c, phys, sys, &stats, &outbox) == 0);
    kern_interp_base(path, 0x401000);
    ASSERT(kern_exec(k, m, &e, &copies) <= 0 && mm_audit(m) == 0);
    for (uint32_t i = 0; i < copies.n; i++)
        ASSERT(copies.copy[i].bytes > 0 &&
               copies.copy[i].addr.v + copies.copy[i].bytes <= KERN_TASK_SIZE);
    kern_copies_close(&copies);
    kern_close(k);
    mm_close(m);
    ASSERT(phys_audit(phys) == 0);
    mm_sys_close(sys);
    phys_close(phys);
    arch_outbox_close(&outbox);
}

static void look(const char *path)
{
    char *argv[] = {(char *)path, (char *)"one", NULL}, err[8192] = "";
    struct front_command c;
    int code = front_command_open(&c, argv, err, sizeof err);
    if (code != 0) {
        ASSERT(code == 125 || code == 126 || code == 127);
        fuzz_message(err);
        return;
    }
    ASSERT(c.argv[0] && c.path[0] && memchr(c.path, '\0', sizeof c.path));
    front_command_close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    check_headers(path);
    execute(path);
    look(path);
    return 0;
}

static const Elf64_Ehdr head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                                .e_type = ET_DYN,
                                .e_machine = EM_X86_64,
                                .e_version = 1,
                                .e_entry = 0x1000,
                                .e_phoff = sizeof(Elf64_Ehdr),
                                .e_ehsize = sizeof(Elf64_Ehdr),
                                .e_phentsize = sizeof(Elf64_Phdr),
                                .e_phnum = 4};

static size_t elf_seed(bool fixed, uint8_t *buf)
{
    Elf64_Ehdr h = head;
    uint64_t at = sizeof h + 4 * sizeof(Elf64_Phdr), base = fixed ? 0x400000 : 0;
    const Elf64_Phdr p[4] = {
        {fixed ? PT_NULL : PT_INTERP, PF_R, at, at, at, 16, 16, 1},
        {PT_LOAD, PF_R | PF_X, 0, base, base, at + 16, at + 16, PAGE_SIZE},
        {PT_LOAD, PF_R | PF_W, 0x10, base + 0x3010, base, 0x80, 0x5000, PAGE_SIZE},
        {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16},
    };
    h.e_type = fixed ? ET_EXEC : ET_DYN;
    memcpy(buf, &h, sizeof h);
    memcpy(buf + sizeof h, p, sizeof p);
    memcpy(buf + at, "/lib/ld-linux.so", 16);
    buf[at + 15] = '\0';
    return at + 16;
}

size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    static const struct fuzz_seed texts[] = {
        FUZZ_SEED("#!/bin/sh -e\necho\n"),
        FUZZ_SEED("#! \t /usr/bin/env  python3 -u \t\nx"),
        FUZZ_SEED("#!\n"),
        FUZZ_SEED("echo hello\n"),
    };
    if (nth < 2)
        return elf_seed(nth == 1, buf);
    nth -= 2;
    return nth < ARRAY_LEN(texts) ? fuzz_copy_seed(buf, texts[nth].bytes, texts[nth].n) : 0;
}
