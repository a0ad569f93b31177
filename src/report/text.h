/* text.h: numbers and foreign names as a reader wants them. Everything returns a small value, so
 * that it can stand in an argument list: printf("%s", text_bytes(n).s). */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char s[32];
};

/* text_count: 9,999,999 and below with separators, above as 12.3 M, 1.23 G, 4.56 T. */
struct text text_count(uint64_t n);
/* text_bytes: 512 B, 12.0 KiB, 3.4 MiB, 1.2 GiB. */
struct text text_bytes(uint64_t bytes);
/* text_share: part of whole as "12.3 %"; "<0.1 %" for a little, "0 %" for nothing. */
struct text text_share(uint64_t part, uint64_t whole);
/* text_rate: part per 1000 of whole, two decimals: "0.52". */
struct text text_rate(uint64_t part, uint64_t whole);
/* text_mean: part / whole with one decimal, "-" when there is nothing to divide by. */
struct text text_mean(uint64_t part, uint64_t whole);
/* text_time: seconds in the unit that fits: "1.23 s", "45.6 ms", "789 us". */
struct text text_time(double seconds);
/* text_bar: share of whole drawn in at most `width` (<= 30) marks. */
struct text text_bar(uint64_t part, uint64_t whole, unsigned width);

/* text_plain copies foreign bytes so that a terminal shows them and does nothing else: control
 * characters and bytes that are not UTF-8 become '?'. At most `columns` characters; a longer one
 * ends in "...". Returns buf. */
char *text_plain(char *buf, size_t size, const char *bytes, unsigned columns);
/* text_path is text_plain that keeps the end of a long path, which tells more: ".../lib/libc.so.6". */
char *text_path(char *buf, size_t size, const char *path, unsigned columns);
/* text_columns counts characters (not bytes) of a UTF-8 string. */
unsigned text_columns(const char *s);
/* text_utf8 returns the length of the valid UTF-8 sequence at s (1 to 4), or 0; it stops at '\0'. */
unsigned text_utf8(const char *s);

#endif
