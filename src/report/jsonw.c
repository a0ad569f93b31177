/* jsonw.c: see jsonw.h. Source: RFC 8259. */
#include "report/jsonw.h"

#include "base/check.h"

#include <inttypes.h>

/* begin writes what stands before a value: comma, line break, indentation, key. */
static void begin(struct jsonw *w, const char *key)
{
    if (w->depth > 0) {
        sink_text(w->out, w->filled[w->depth] ? ",\n" : "\n");
        sink_fill(w->out, ' ', w->depth);
    }
    w->filled[w->depth] = true;
    if (key != NULL) {
        sink_json_string(w->out, key);
        sink_text(w->out, ": ");
    }
}

void jsonw_open(struct jsonw *w, const char *key, char bracket)
{
    begin(w, key);
    sink_char(w->out, bracket);
    w->depth++;
    ASSERT(w->depth < JSONW_DEPTH);
    w->filled[w->depth] = false;
}

void jsonw_close(struct jsonw *w, char bracket)
{
    ASSERT(w->depth > 0);
    bool filled = w->filled[w->depth--];
    if (filled) {
        sink_char(w->out, '\n');
        sink_fill(w->out, ' ', w->depth);
    }
    sink_char(w->out, bracket);
    if (w->depth == 0)
        sink_char(w->out, '\n');
}

void jsonw_u64(struct jsonw *w, const char *key, uint64_t v)
{
    begin(w, key);
    sink_u64(w->out, v);
}

void jsonw_i64(struct jsonw *w, const char *key, int64_t v)
{
    begin(w, key);
    sink_fmt(w->out, "%" PRId64, v);
}

void jsonw_hex(struct jsonw *w, const char *key, uint64_t v)
{
    begin(w, key);
    sink_fmt(w->out, "\"0x%" PRIx64 "\"", v);
}

void jsonw_bool(struct jsonw *w, const char *key, bool v)
{
    begin(w, key);
    sink_text(w->out, v ? "true" : "false");
}

void jsonw_null(struct jsonw *w, const char *key)
{
    begin(w, key);
    sink_text(w->out, "null");
}

void jsonw_text(struct jsonw *w, const char *key, const char *bytes)
{
    if (bytes == NULL) {
        jsonw_null(w, key);
        return;
    }
    begin(w, key);
    sink_json_string(w->out, bytes);
}
