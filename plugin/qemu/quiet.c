/* quiet.c: keeps one remark of QEMU out of the program's stderr.
 *
 *   program  ─ write(2, …), a system call ───────────────► descriptor 2
 *   QEMU     ─ fprintf(stderr, …) ─► this stream ─ unless it is the remark ─► descriptor 2
 *
 * When the program dies of a signal QEMU prints "qemu: uncaught target signal …". No kernel does, and
 * a shell tells the death anyway. QEMU's own output goes through its C library's `stderr`, the
 * program's does not, so nothing that the program writes is ever looked at. glibc lets a program
 * assign `stderr` (manual, "Standard Streams").
 *
 * Source: QEMU 7.2 linux-user/signal.c, dump_core_and_abort.
 */
#include "quiet.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static const char remark[] = "qemu: uncaught target signal ";

static ssize_t put(void *cookie, const char *text, size_t n)
{
    (void)cookie;
    if (n >= sizeof remark - 1 && memcmp(text, remark, sizeof remark - 1) == 0)
        return (ssize_t)n;
    return write(STDERR_FILENO, text, n);
}

void quiet_open(void)
{
    FILE *own = fopencookie(NULL, "w", (cookie_io_functions_t){.write = put});

    if (!own)
        return;                    /* the remark is then the worst that happens */
    setvbuf(own, NULL, _IONBF, 0); /* one call for one message */
    stderr = own;
}
