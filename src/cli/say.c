/* say.c: how pagewalk speaks: one line for a failure, stdout checked to the last byte. */
#include "cli/cli.h"

#include "report/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *format, va_list ap)
{
    char raw[CLI_LINE], line[CLI_LINE];
    vsnprintf(raw, sizeof(raw), format, ap);
    fprintf(stderr, "pagewalk: %s\n", text_plain(line, sizeof(line), raw, sizeof(line)));
}

void cli_note(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(format, ap);
    va_end(ap);
}

int cli_fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(format, ap);
    va_end(ap);
    return STATUS_FAILED;
}

int cli_show(struct sink *text, int status)
{
    int error = sink_error(text);
    char *all = sink_take(text);
    if (status != 0 || all == NULL) {
        free(all);
        return status != 0 ? status : cli_fail("%s", strerror(-error));
    }
    errno = 0;
    bool written = fputs(all, stdout) >= 0 && fflush(stdout) == 0;
    error = errno;
    free(all);
    return written ? 0 : cli_fail("cannot write stdout: %s", strerror(error));
}
