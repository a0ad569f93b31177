/* sink.c: the buffer behind sink.h.
 *
 * I1  data[len] is 0 whenever data is not NULL.
 * I2  After an error nothing is added, and len is what it was.
 * A file sink is passed on when SINK_BLOCK bytes have gathered.
 */
#include "base/sink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SINK_BLOCK 65536

void sink_memory(struct sink *s)
{
    *s = (struct sink){0};
}

void sink_file(struct sink *s, FILE *file)
{
    *s = (struct sink){.file = file};
}

static void fail(struct sink *s, int error)
{
    if (s->error == 0)
        s->error = error;
}

static int file_error(void)
{
    return errno > 0 ? -errno : -EIO;
}

static void drain(struct sink *s)
{
    if (s->error == 0 && s->len > 0) {
        errno = 0;
        if (fwrite(s->data, 1, s->len, s->file) != s->len)
            fail(s, file_error());
    }
    s->len = 0;
}

int sink_flush(struct sink *s)
{
    if (!s->file)
        return s->error;
    drain(s);
    errno = 0;
    if (s->error == 0 && fflush(s->file) != 0)
        fail(s, file_error());
    return s->error;
}

int sink_close(struct sink *s)
{
    int r = sink_flush(s);
    free(s->data);
    *s = (struct sink){.file = s->file, .error = r};
    return r;
}

char *sink_take(struct sink *s)
{
    sink_bytes(s, "", 0); /* an empty text is still a text */
    char *text = s->error == 0 ? s->data : NULL;
    if (!text)
        free(s->data);
    *s = (struct sink){.file = s->file, .error = s->error};
    return text;
}

/* Makes room for n more bytes and the final 0. */
static bool room(struct sink *s, size_t n)
{
    if (s->error != 0)
        return false;
    if (n < s->cap - s->len)
        return true;
    size_t cap = s->cap < 256 ? 256 : 2 * s->cap;
    if (cap <= s->len + n)
        cap = s->len + n + 1;
    char *data = n > SIZE_MAX / 4 ? NULL : realloc(s->data, cap);
    if (!data) {
        fail(s, -ENOMEM);
        return false;
    }
    s->data = data;
    s->cap = cap;
    return true;
}

void sink_bytes(struct sink *s, const char *bytes, size_t n)
{
    if (!room(s, n))
        return;
    memcpy(s->data + s->len, bytes, n);
    s->len += n;
    s->data[s->len] = '\0';
    if (s->file && s->len >= SINK_BLOCK)
        drain(s);
}

void sink_text(struct sink *s, const char *text)
{
    sink_bytes(s, text, strlen(text));
}

void sink_char(struct sink *s, char c)
{
    sink_bytes(s, &c, 1);
}

void sink_fill(struct sink *s, char c, size_t n)
{
    while (n-- > 0)
        sink_char(s, c);
}

void sink_u64(struct sink *s, uint64_t v)
{
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    sink_bytes(s, digits + i, sizeof(digits) - i);
}

void sink_vfmt(struct sink *s, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    if (n < 0)
        fail(s, -EINVAL);
    else if (room(s, (size_t)n)) {
        vsnprintf(s->data + s->len, (size_t)n + 1, format, again);
        s->len += (size_t)n;
        sink_bytes(s, "", 0); /* drains a full block */
    }
    va_end(again);
}

void sink_fmt(struct sink *s, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sink_vfmt(s, format, ap);
    va_end(ap);
}

/* -- JSON ------------------------------------------------------------------------------------ */

/* Length of the well-formed UTF-8 sequence at p, 0 if there is none (Unicode 15, table 3-7). */
static size_t utf8_len(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f;
    bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : n;
}

static void json_ascii(struct sink *s, char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = strchr(plain, c);
    if (at) {
        sink_char(s, '\\');
        sink_char(s, letter[at - plain]);
    } else if ((unsigned char)c < 0x20 || c == 0x7f)
        sink_fmt(s, "\\u%04x", (unsigned)c);
    else
        sink_char(s, c);
}

void sink_json_string(struct sink *s, const char *text)
{
    sink_char(s, '"');
    while (*text) {
        size_t n = utf8_len((const unsigned char *)text);
        if (n == 0)
            sink_text(s, "\xef\xbf\xbd");
        else if (n == 1)
            json_ascii(s, *text);
        else
            sink_bytes(s, text, n);
        text += n + (n == 0);
    }
    sink_char(s, '"');
}
