/* jsonw.h: a JSON writer. It keeps commas and indentation right and escapes; the caller keeps the
 * nesting right. */
#ifndef REPORT_JSONW_H
#define REPORT_JSONW_H

#include "base/sink.h"

#include <stdbool.h>

#define JSONW_DEPTH 16

struct jsonw {
    struct sink *out;         /* not owned; keeps the first error */
    unsigned depth;           /* open objects and arrays */
    bool filled[JSONW_DEPTH]; /* by depth: something stands in it already */
};

/* A key is NULL inside an array and at the top. */
void jsonw_open(struct jsonw *w, const char *key, char bracket); /* '{' or '[' */
void jsonw_close(struct jsonw *w, char bracket);                 /* '}' or ']' */
void jsonw_u64(struct jsonw *w, const char *key, uint64_t v);    /* exact, all 64 bits */
void jsonw_i64(struct jsonw *w, const char *key, int64_t v);
void jsonw_hex(struct jsonw *w, const char *key, uint64_t v); /* a string "0x…": addresses */
void jsonw_bool(struct jsonw *w, const char *key, bool v);
void jsonw_null(struct jsonw *w, const char *key);
/* jsonw_text writes any bytes as a string; those that are not UTF-8 become U+FFFD. NULL is null. */
void jsonw_text(struct jsonw *w, const char *key, const char *bytes);

#endif
