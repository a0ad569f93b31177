/* check.c: the one way pagewalk dies of its own bugs. */
#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(const char *s)
{
    ssize_t n = write(2, s, strlen(s));
    (void)n;
}

_Noreturn void base_bug(const char *file, int line, const char *expr)
{
    char digits[16];
    int i = (int)sizeof(digits) - 1;
    digits[i] = '\0';
    do {
        digits[--i] = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0 && i > 0);
    put("pagewalk: bug at ");
    put(file);
    put(":");
    put(digits + i);
    put(": ");
    put(expr);
    put("\n");
    abort();
}
