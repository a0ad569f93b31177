/* guest.c: see guest.h. A guest address is a host address, but what is there is only the kernel's to say:
 * process_vm_readv of ourselves fails where a load would kill.
 */
#include "guest.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

size_t guest_read(void *to, uint64_t from, size_t n)
{
    struct iovec here = {to, n}, there = {(void *)from, n};
    ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);

    return got < 0 ? 0 : (size_t)got;
}

size_t guest_write(uint64_t to, const void *from, size_t n)
{
    struct iovec here = {(void *)(uintptr_t)from, n}, there = {(void *)to, n};
    ssize_t put = process_vm_writev(getpid(), &here, 1, &there, 1, 0);

    return put < 0 ? 0 : (size_t)put;
}

/* It reads to the end of a page at a time, because the next page need not be there. */
size_t guest_text(char *to, size_t size, uint64_t from)
{
    size_t have = 0;

    while (have < size) {
        size_t step = 4096 - ((from + have) & 4095);
        size_t room = size - have,
               got = guest_read(to + have, from + have, step < room ? step : room);
        const char *zero = memchr(to + have, 0, got);

        if (zero)
            return (size_t)(zero - to) + 1;
        if (!got)
            break;
        have += got;
    }
    return 0;
}
