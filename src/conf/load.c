/* load.c: a machine file over a conf.
 *
 *   file ─► next_line: count, cut comments ─► libinih: sections, key = value ─► take: conf_set
 *
 * libinih splits a long line silently and keeps a table of options about continuation lines; so
 * each line is trimmed and measured before it sees it. The file is read into a copy that replaces
 * the caller's conf at the end (I1: a bad file changes nothing).
 */
#include "conf/conf_int.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load {
    FILE *file;
    char *line;      /* getline's buffer */
    size_t line_cap; /* its size */
    int line_no;     /* of the line last read, from 1 */
    int bad_line;    /* of the first error, 0: none */
    char what[256];  /* the first error, in words */
    struct conf c;   /* the copy that is written */
};

static void note_error(struct load *l, const char *what)
{
    if (l->bad_line != 0)
        return;
    l->bad_line = l->line_no;
    snprintf(l->what, sizeof(l->what), "%s", what);
}

/* Ends the line before a # or ; that stands at its start or behind a blank. */
static void cut_comment(char *line)
{
    for (char *p = line; *p; p++)
        if ((*p == '#' || *p == ';') && (p == line || p[-1] == ' ' || p[-1] == '\t')) {
            *p = '\0';
            return;
        }
}

/* An ini_reader: fgets for libinih. */
static char *next_line(char *buf, int size, void *arg)
{
    struct load *l = arg;
    ssize_t n = getline(&l->line, &l->line_cap, l->file);
    if (n < 0)
        return NULL;
    l->line_no++;
    if (strlen(l->line) != (size_t)n)
        note_error(l, "the line holds a zero byte; this is no machine file");
    cut_comment(l->line);
    char *text = l->line + strspn(l->line, " \t");
    text[strcspn(text, "\r\n")] = '\0';
    if (strlen(text) + 1 > (size_t)size) {
        note_error(l, "the line is too long");
        text = l->line + strlen(l->line);
    }
    memcpy(buf, text, strlen(text) + 1);
    return buf;
}

/* An ini_handler: one key = value. Sections only group, they mean nothing. */
static int take(void *arg, const char *section, const char *name, const char *value)
{
    struct load *l = arg;
    char what[sizeof(l->what)];
    (void)section;
    if (conf_set(&l->c, name, value, what, sizeof(what)) < 0)
        note_error(l, what);
    return 1;
}

static int read_lines(struct load *l, const char *path, char *err, size_t err_size)
{
    int bad = ini_parse_stream(next_line, l, take, l);
    if (ferror(l->file)) {
        int e = errno;
        conf_refuse(err, err_size, "%s: cannot read it: %s", path, strerror(e));
        return e > 0 ? -e : -EIO;
    }
    if (bad < 0)
        return -ENOMEM;
    if (bad > 0 && (l->bad_line == 0 || bad < l->bad_line)) {
        l->bad_line = bad;
        snprintf(l->what, sizeof(l->what), "not understood; write key = value");
    }
    if (l->bad_line > 0)
        return conf_refuse(err, err_size, "%s:%d: %s", path, l->bad_line, l->what);
    return 0;
}

int conf_load(struct conf *c, const char *path, char *err, size_t err_size)
{
    struct load l = {.file = fopen(path, "re"), .c = *c};
    if (!l.file) {
        int e = errno;
        conf_refuse(err, err_size, "%s: cannot open it: %s", path, strerror(e));
        return -e;
    }
    int r = read_lines(&l, path, err, err_size);
    fclose(l.file);
    free(l.line);
    if (r == 0)
        *c = l.c;
    return r;
}
