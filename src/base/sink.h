/* sink.h: text on its way out, into memory or into a FILE.
 *
 *   sink_text, sink_fmt, sink_json_string ──► buffer ──sink_flush──► FILE (or stays: sink_take)
 *
 * Errors stick: after the first one nothing more is written, and sink_error says which it was. So
 * a writer of a thousand lines checks once, at the end.
 */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct sink {
    char *data; /* len bytes and a final 0; NULL while empty */
    size_t len; /* bytes not yet in the file */
    size_t cap; /* bytes of the allocation */
    FILE *file; /* where it goes, not owned; NULL: stays in memory */
    int error;  /* 0 or the first -errno */
};

/* sink_memory makes a sink that keeps its text; sink_file one that passes it on to a stream the
 * caller keeps open until sink_close. Neither allocates. */
void sink_memory(struct sink *s);
void sink_file(struct sink *s, FILE *file);
/* sink_close flushes to the file, frees the buffer and returns 0 or the sink's error. */
int sink_close(struct sink *s);
/* sink_flush hands what is buffered to the file and flushes that; returns 0 or the error. */
int sink_flush(struct sink *s);
/* sink_take returns the text of a memory sink, for the caller to free, and empties the sink; NULL
 * after an error. */
char *sink_take(struct sink *s);

void sink_bytes(struct sink *s, const char *bytes, size_t n);
void sink_text(struct sink *s, const char *text);
void sink_char(struct sink *s, char c);
/* sink_fill writes a character n times. */
void sink_fill(struct sink *s, char c, size_t n);
void sink_u64(struct sink *s, uint64_t v);
void sink_fmt(struct sink *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sink_vfmt(struct sink *s, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* sink_json_string writes text as a JSON string with its quotes (RFC 8259, section 7). A byte that
 * is no part of valid UTF-8 becomes U+FFFD, so any path or argument gives valid JSON. */
void sink_json_string(struct sink *s, const char *text);

static inline int sink_error(const struct sink *s)
{
    return s->error;
}

#endif
