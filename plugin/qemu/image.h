/* image.h: where QEMU put the program: its stack, and what its file says of its code. */
#ifndef PLUGIN_IMAGE_H
#define PLUGIN_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Addresses [start, end). */
struct extent {
    uint64_t start, end;
};

/* image_stack reads the mappings of this process: a writable one directly above one without access whose
 * last bytes are the path of the program. size is what QEMU was told with -s. */
bool image_stack(FILE *maps, uint64_t size, const char *path, struct extent *ret);

/* image_code_vaddr returns the lowest address of the executable segments in the file, as linked;
 * UINT64_MAX: it has none. */
uint64_t image_code_vaddr(int fd);

#endif
