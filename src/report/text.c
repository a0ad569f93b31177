/* text.c: formatting without surprises: bounded, locale-free, safe for a terminal. */
#include "report/text.h"

#include "base/bits.h"

#include <stdio.h>
#include <string.h>

#define FORMAT(t, ...) snprintf((t).s, sizeof((t).s), __VA_ARGS__)

static struct text with_separators(uint64_t n)
{
    struct text t;
    if (n < 1000)
        FORMAT(t, "%u", (unsigned)n);
    else if (n < 1000000)
        FORMAT(t, "%u,%03u", (unsigned)(n / 1000), (unsigned)(n % 1000));
    else
        FORMAT(t, "%u,%03u,%03u", (unsigned)(n / 1000000), (unsigned)(n / 1000 % 1000),
               (unsigned)(n % 1000));
    return t;
}

/* scaled prints three significant digits. */
static struct text scaled(double v, const char *unit)
{
    struct text t;
    FORMAT(t, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, unit);
    return t;
}

struct text text_count(uint64_t n)
{
    static const char *const unit[] = {"M", "G", "T", "P", "E"};
    if (n < 10000000)
        return with_separators(n);
    double v = (double)n / 1e6;
    size_t i = 0;
    for (; v >= 999.5 && i + 1 < ARRAY_LEN(unit); i++)
        v /= 1000;
    return scaled(v, unit[i]);
}

struct text text_bytes(uint64_t bytes)
{
    static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct text t;
    if (bytes < 1024) {
        FORMAT(t, "%u B", (unsigned)bytes);
        return t;
    }
    double v = (double)bytes / 1024;
    size_t i = 0;
    for (; v >= 999.5 && i + 1 < ARRAY_LEN(unit); i++)
        v /= 1024;
    FORMAT(t, "%.*f %s", v < 99.95 ? 1 : 0, v, unit[i]);
    return t;
}

struct text text_share(uint64_t part, uint64_t whole)
{
    struct text t;
    double share = whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
    if (part == 0 || whole == 0)
        FORMAT(t, "0 %%");
    else if (share < 0.1)
        FORMAT(t, "<0.1 %%");
    else
        FORMAT(t, "%.1f %%", share);
    return t;
}

struct text text_rate(uint64_t part, uint64_t whole)
{
    struct text t;
    FORMAT(t, "%.2f", whole == 0 ? 0.0 : 1000.0 * (double)part / (double)whole);
    return t;
}

struct text text_mean(uint64_t part, uint64_t whole)
{
    struct text t;
    if (whole == 0)
        FORMAT(t, "-");
    else
        FORMAT(t, "%.1f", (double)part / (double)whole);
    return t;
}

struct text text_time(double seconds)
{
    if (seconds >= 0.9995)
        return scaled(seconds, "s");
    return seconds >= 0.0009995 ? scaled(seconds * 1e3, "ms") : scaled(seconds * 1e6, "us");
}

struct text text_bar(uint64_t part, uint64_t whole, unsigned width)
{
    struct text t = {""};
    if (whole == 0 || width >= sizeof(t.s))
        return t;
    size_t marks = (size_t)((double)part / (double)whole * width + 0.5);
    memset(t.s, '#', marks < width ? marks : width);
    return t;
}

/* Source: Unicode 15, table 3-7 (well-formed UTF-8). */
unsigned text_utf8(const char *s)
{
    const unsigned char *b = (const unsigned char *)s;
    if (b[0] < 0x80)
        return b[0] != 0;
    unsigned n = b[0] >= 0xc2 && b[0] <= 0xdf ? 2 : b[0] >= 0xe0 && b[0] <= 0xef ? 3 : 4;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return 0;
    unsigned char low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (b[1] < low || b[1] > high)
        return 0;
    for (unsigned i = 2; i < n; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

unsigned text_columns(const char *s)
{
    unsigned n = 0;
    for (; *s != '\0'; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

/* shown returns how many bytes of s a terminal may see as one character; 0: show '?' instead. */
static unsigned shown(const char *s)
{
    unsigned n = text_utf8(s);
    const unsigned char *b = (const unsigned char *)s;
    bool control =
        (n == 1 && (b[0] < 0x20 || b[0] == 0x7f)) || (n == 2 && b[0] == 0xc2 && b[1] < 0xa0);
    return control ? 0 : n;
}

char *text_plain(char *buf, size_t size, const char *bytes, unsigned columns)
{
    size_t used = 0, cut = 0; /* cut: where "..." goes if the text turns out too long */
    unsigned n = 0;
    while (*bytes != '\0' && n < columns && used + 5 <= size) {
        unsigned len = shown(bytes);
        if (n + 3 <= columns)
            cut = used;
        n++;
        if (len == 0)
            buf[used++] = '?';
        for (unsigned i = 0; i < len; i++)
            buf[used++] = bytes[i];
        if (len == 0)
            len = text_utf8(bytes) == 0 ? 1 : text_utf8(bytes);
        bytes += len;
    }
    buf[used] = '\0';
    if (*bytes != '\0' && cut + 4 <= size && columns >= 3)
        memcpy(buf + cut, "...", 4);
    return buf;
}

char *text_path(char *buf, size_t size, const char *path, unsigned columns)
{
    unsigned have = text_columns(path);
    if (have <= columns || columns < 8)
        return text_plain(buf, size, path, columns);
    unsigned drop = have - (columns - 3);
    while (drop > 0 && *path != '\0') {
        path++;
        drop -= (*path & 0xc0) != 0x80;
    }
    memcpy(buf, "...", 4);
    text_plain(buf + 3, size - 3, path, columns - 3);
    return buf;
}
