/* guest.h: the program's memory, read and written without trust in its pointers. */
#ifndef PLUGIN_GUEST_H
#define PLUGIN_GUEST_H

#include <stddef.h>
#include <stdint.h>

/* guest_read copies up to n bytes of the program's memory and returns how many there were. */
size_t guest_read(void *to, uint64_t from, size_t n);
/* guest_text copies a string with its zero and returns its bytes; 0 when it does not end within `size`. */
size_t guest_text(char *to, size_t size, uint64_t from);
/* guest_write stores n bytes where the program itself could; it returns how many. */
size_t guest_write(uint64_t to, const void *from, size_t n);

#endif
