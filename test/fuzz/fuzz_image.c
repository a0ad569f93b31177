/* fuzz_image: where the plugin finds the program. Byte 0: odd, the input is a file whose code is looked for;
 * else bytes 1 to 8 are the size of the stack, and the rest is the text of /proc/self/maps.
 *
 * Memory is looked at only inside a mapping of the text that can be read and written, and the stack that
 * is found is such a mapping, or its beginning. No file makes the look at its headers go on for ever. */
#include "fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>

static const char *maps_text;
static bool say_found;

/* within: [at, end) is part of a line of the text with rights to read and write. */
static bool within(uint64_t at, uint64_t end)
{
    uint64_t first, last;
    char prot[5];
    for (const char *l = maps_text; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL)
        for (const char *c = l; *c && *c != '\n'; c++) /* a long line is read in pieces */
            if (sscanf(c, "%" SCNx64 "-%" SCNx64 " %4s", &first, &last, prot) == 3 &&
                strncmp(prot, "rw", 2) == 0 && at >= first && end > at && end <= last)
                return true;
    return false;
}

/* looked_at stands for the memory of the text. */
static int looked_at(const void *at, const void *path, size_t n)
{
    uint64_t start = (uint64_t)(uintptr_t)at;
    ASSERT(path && within(start, start + n + 8));
    return !say_found;
}

#define memcmp looked_at
#include "../../plugin/qemu/image.c"
#undef memcmp

static void maps(struct fuzz_bytes in)
{
    struct extent stack = {1, 1};
    uint64_t size = fuzz_take(&in, 8);
    char *text = fuzz_text(in.at, in.left);
    for (size_t i = 0; i < in.left; i++)
        text[i] = text[i] ? text[i] : ' ';
    say_found = size & 1;
    maps_text = text;
    FILE *f = fopen(fuzz_file((const uint8_t *)text, in.left), "re");
    ASSERT(f);
    if (image_stack(f, size, "/bin/program", &stack))
        ASSERT(say_found && within(stack.start, stack.end));
    else
        ASSERT(stack.start == 1 && stack.end == 1);
    fclose(f);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes in = {data, size};
    if (fuzz_take(&in, 1) % 2 == 0) {
        maps(in);
        return 0;
    }
    FILE *f = fopen(fuzz_file(in.at, in.left), "re");
    ASSERT(f);
    image_code_vaddr(fileno(f));
    fclose(f);
    return 0;
}

static size_t maps_seed(uint64_t size, const char *text, uint8_t *buf)
{
    buf[0] = 0;
    memcpy(buf + 1, &size, 8);
    return 9 + fuzz_copy_seed(buf + 9, text, strlen(text));
}

size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    static const char two[] = "7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
                              "7f0000001000-7f0000801000 rw-p 00000000 00:00 0 \n";
    static const char all[] =
        "400000-401000 r-xp 00000000 fe:00 77 /usr/bin/qemu-x86_64\n"
        "7fff0000-7fff1000 ---p 00000000 00:00 0 \n7fff1000-7fff2000 rw-p 00000000 00:00 0 \n"
        "7ffe00000000-7ffe00001000 ---p 00000000 00:00 0 \n"
        "7ffe00001000-7ffe00902000 rw-p 00000000 00:00 0 [stack]\n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
    static const Elf64_Ehdr eh = {.e_phoff = sizeof eh, .e_phnum = 3, .e_phentsize = 56};
    static const Elf64_Phdr ph[] = {{.p_type = PT_LOAD, .p_flags = PF_R},
                                    {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 4096},
                                    {.p_type = PT_INTERP, .p_flags = PF_X}};
    if (nth < 2)
        return maps_seed(0x800001, nth ? all : two, buf);
    buf[0] = 1;
    return nth > 2 ? 0
                   : 1 + fuzz_copy_seed(buf + 1, &eh, sizeof eh) +
                         fuzz_copy_seed(buf + 1 + sizeof eh, ph, sizeof ph);
}
