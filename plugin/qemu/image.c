/* image.c: where QEMU put the program, from /proc/self/maps and the headers of its file.
 *
 * The stack is a writable mapping directly above one without access, with the path of the program at its
 * very end (start.c has the picture). The kernel may show it as one with a neighbour above it, so the size
 * the launcher asked for is tried too.
 *
 * I1  Memory is looked at only inside a mapping that can be read.
 */
#include "image.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* path_ends_at says whether the path, its zero and eight bytes more end at `top`. */
static bool path_ends_at(uint64_t top, const char *path)
{
    size_t n = strlen(path) + 1;

    return memcmp((const void *)(top - 8 - n), path, n) == 0;
}

/* is_stack looks at one writable mapping and stores the stack in it. */
static bool is_stack(struct extent map, uint64_t size, const char *path, struct extent *ret)
{
    const uint64_t all = map.end - map.start, sizes[2] = {all, size};

    for (unsigned i = 0; i < 2; i++) {
        if (sizes[i] > all || sizes[i] < 4096 + strlen(path)) /* I1 */
            continue;
        if (path_ends_at(map.start + sizes[i], path)) {
            *ret = (struct extent){map.start, map.start + sizes[i]};
            return true;
        }
    }
    return false;
}

bool image_stack(FILE *maps, uint64_t size, const char *path, struct extent *ret)
{
    uint64_t guard_end = 0;
    char line[512], prot[5];
    struct extent map;
    bool found = false;

    while (!found && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &map.start, &map.end, prot) != 3)
            continue;
        found = prot[0] == 'r' && prot[1] == 'w' && map.start < map.end && map.start == guard_end &&
                is_stack(map, size, path, ret);
        guard_end = prot[0] == '-' ? map.end : 0;
    }
    return found;
}

uint64_t image_code_vaddr(int fd)
{
    Elf64_Ehdr eh;
    uint64_t lowest = UINT64_MAX;

    if (pread(fd, &eh, sizeof eh, 0) != sizeof eh || eh.e_phentsize != sizeof(Elf64_Phdr))
        return UINT64_MAX;
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;

        if (pread(fd, &ph, sizeof ph, (off_t)(eh.e_phoff + i * sizeof ph)) != sizeof ph)
            break;
        if (ph.p_type == PT_LOAD && ph.p_flags & PF_X && ph.p_vaddr < lowest)
            lowest = ph.p_vaddr;
    }
    return lowest;
}
