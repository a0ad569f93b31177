/* conf.c: the option table, and text to value and back.
 *
 *   "tlb.l2.entries" ──find──► row {type, offset, range} ──parse──► one field of struct conf
 *
 * The field is written after the whole value was understood and lies in range, so a refused value
 * leaves the conf as it was (I1). Numbers are decimal or 0x; only sizes take a suffix, in powers
 * of 1024 as the kernel's memparse() (lib/cmdline.c) has them.
 */
#include "conf/conf.h"
#include "conf/conf_int.h"

#include "base/line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(ident) .offset = offsetof(struct conf, ident)

static const struct conf_option rows[] = {
#define CONF_NUM(ident, k, d, lo, hi, u, h)                                                        \
    {.key = k,                                                                                     \
     .type = CONF_T_NUM,                                                                           \
     FIELD(ident),                                                                                 \
     .def = d,                                                                                     \
     .min = lo,                                                                                    \
     .max = hi,                                                                                    \
     .unit = u,                                                                                    \
     .choices = "",                                                                                \
     .text = "",                                                                                   \
     .help = h},
#define CONF_SIZE(ident, k, d, lo, hi, h)                                                          \
    {.key = k,                                                                                     \
     .type = CONF_T_SIZE,                                                                          \
     FIELD(ident),                                                                                 \
     .def = d,                                                                                     \
     .min = lo,                                                                                    \
     .max = hi,                                                                                    \
     .unit = "bytes",                                                                              \
     .choices = "",                                                                                \
     .text = "",                                                                                   \
     .help = h},
#define CONF_BOOL(ident, k, d, h)                                                                  \
    {.key = k,                                                                                     \
     .type = CONF_T_BOOL,                                                                          \
     FIELD(ident),                                                                                 \
     .def = d,                                                                                     \
     .min = 0,                                                                                     \
     .max = 1,                                                                                     \
     .unit = "",                                                                                   \
     .choices = "off|on",                                                                          \
     .text = "",                                                                                   \
     .help = h},
#define CONF_ENUM(ident, k, c, d, h)                                                               \
    {.key = k,                                                                                     \
     .type = CONF_T_ENUM,                                                                          \
     FIELD(ident),                                                                                 \
     .def = d,                                                                                     \
     .min = 0,                                                                                     \
     .max = 63,                                                                                    \
     .unit = "",                                                                                   \
     .choices = c,                                                                                 \
     .text = "",                                                                                   \
     .help = h},
#define CONF_TEXT(ident, k, d, h)                                                                  \
    {.key = k,                                                                                     \
     .type = CONF_T_TEXT,                                                                          \
     FIELD(ident),                                                                                 \
     .def = 0,                                                                                     \
     .min = 0,                                                                                     \
     .max = CONF_TEXT_MAX - 1,                                                                     \
     .unit = "characters",                                                                         \
     .choices = "",                                                                                \
     .text = d,                                                                                    \
     .help = h},
#include "conf/conf_rows.h"
};

int conf_refuse(char *err, size_t err_size, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(err, err_size, format, ap);
    va_end(ap);
    if (err_size > 0)
        line_only(err); /* it may quote what was given */
    return -EINVAL;
}

const struct conf_option *conf_options(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(rows);
    return rows;
}

const struct conf_option *conf_find(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

uint64_t conf_value(const struct conf *c, const struct conf_option *o)
{
    uint64_t v;
    memcpy(&v, (const char *)c + o->offset, sizeof(v));
    return v;
}

static void store_number(struct conf *c, const struct conf_option *o, uint64_t v)
{
    memcpy((char *)c + o->offset, &v, sizeof(v));
}

static void store_text(struct conf *c, const struct conf_option *o, const char *text)
{
    char *field = (char *)c + o->offset;
    memset(field, 0, CONF_TEXT_MAX);
    memcpy(field, text, strlen(text));
}

void conf_init(struct conf *c)
{
    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].type == CONF_T_TEXT)
            store_text(c, &rows[i], rows[i].text);
        else
            store_number(c, &rows[i], rows[i].def);
    }
}

/* -- text to value --------------------------------------------------------------------------- */

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Reads the digits at *s and moves *s behind them. -EINVAL: none; -ERANGE: more than 64 bits. */
static int parse_digits(const char **s, uint64_t *ret)
{
    bool hex = (*s)[0] == '0' && ((*s)[1] == 'x' || (*s)[1] == 'X');
    unsigned base = hex ? 16 : 10;
    const char *p = *s + (hex ? 2 : 0);
    const char *start = p;
    uint64_t v = 0;
    for (; digit_value(*p) < (int)base; p++)
        if (__builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit_value(*p), &v))
            return -ERANGE;
    if (p == start)
        return -EINVAL;
    *s = p;
    *ret = v;
    return 0;
}

/* K, M, G or T, with an optional B or iB behind it. Returns the shift, -1 for anything else. */
static int parse_suffix(const char *s)
{
    static const char letters[] = "KMGT";
    if (*s == '\0')
        return 0;
    const char *at = strchr(letters, *s & ~0x20);
    if (!at)
        return -1;
    s++;
    if (*s == '\0' || strcmp(s, "B") == 0 || strcmp(s, "iB") == 0)
        return 10 * (int)(at - letters + 1);
    return -1;
}

int conf_parse_number(const char *text, bool size, uint64_t *ret)
{
    uint64_t v;
    int r = parse_digits(&text, &v);
    if (r < 0)
        return r;
    int shift = size ? parse_suffix(text) : (*text == '\0' ? 0 : -1);
    if (shift < 0)
        return -EINVAL;
    if (v > UINT64_MAX >> shift)
        return -ERANGE;
    *ret = v << shift;
    return 0;
}

/* choice_index finds `text` among "a|b|c"; -1 if it is none of them. */
static int choice_index(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (int i = 0;; i++) {
        size_t n = strcspn(choices, "|");
        if (n == len && memcmp(choices, text, n) == 0)
            return i;
        if (choices[n] == '\0')
            return -1;
        choices += n + 1;
    }
}

static int bool_value(const char *text)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "0", "1"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return (int)(i & 1);
    return -1;
}

static int set_number(struct conf *c, const struct conf_option *o, const char *value, char *err,
                      size_t err_size)
{
    char lo[32], hi[32];
    const char *unit = o->type == CONF_T_SIZE ? "" : o->unit;
    uint64_t v = 0;
    int r = conf_parse_number(value, o->type == CONF_T_SIZE, &v);
    if (r == -EINVAL && o->type == CONF_T_SIZE)
        return conf_refuse(err, err_size,
                           "%s: `%s` is not a size; take a number with K, M, G or T behind it",
                           o->key, value);
    if (r == -EINVAL)
        return conf_refuse(err, err_size, "%s: `%s` is not a whole number; take %s to %s%s%s",
                           o->key, value, conf_number(o, o->min, lo, sizeof(lo)),
                           conf_number(o, o->max, hi, sizeof(hi)), *unit ? " " : "", unit);
    if (r < 0 || v < o->min || v > o->max)
        return conf_refuse(err, err_size, "%s: %s is out of range; take %s to %s%s%s", o->key,
                           value, conf_number(o, o->min, lo, sizeof(lo)),
                           conf_number(o, o->max, hi, sizeof(hi)), *unit ? " " : "", unit);
    store_number(c, o, v);
    return 0;
}

static int set_choice(struct conf *c, const struct conf_option *o, const char *value, char *err,
                      size_t err_size)
{
    int i = o->type == CONF_T_BOOL ? bool_value(value) : choice_index(o->choices, value);
    if (i < 0)
        return conf_refuse(err, err_size, "%s: `%s` is unknown; take one of %s", o->key, value,
                           o->choices);
    store_number(c, o, (uint64_t)i);
    return 0;
}

static int set_text(struct conf *c, const struct conf_option *o, const char *value, char *err,
                    size_t err_size)
{
    if (strlen(value) > o->max)
        return conf_refuse(err, err_size, "%s: the text is too long; take at most %d characters",
                           o->key, CONF_TEXT_MAX - 1);
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return conf_refuse(err, err_size, "%s: the text holds a control character", o->key);
    store_text(c, o, value);
    return 0;
}

int conf_set(struct conf *c, const char *key, const char *value, char *err, size_t err_size)
{
    const struct conf_option *o = conf_find(key);
    if (!o)
        return conf_unknown(key, err, err_size);
    if (o->type == CONF_T_TEXT)
        return set_text(c, o, value, err, err_size);
    if (o->type == CONF_T_BOOL || o->type == CONF_T_ENUM)
        return set_choice(c, o, value, err, err_size);
    return set_number(c, o, value, err, err_size);
}

int conf_assign(struct conf *c, const char *assignment, char *err, size_t err_size)
{
    char key[128];
    const char *eq = strchr(assignment, '=');
    if (!eq || eq == assignment)
        return conf_refuse(err, err_size, "`%s` is no assignment; write key=value", assignment);
    size_t n = (size_t)(eq - assignment);
    if (n >= sizeof(key))
        return conf_refuse(err, err_size, "option names have at most %zu characters",
                           sizeof(key) - 1);
    memcpy(key, assignment, n);
    key[n] = '\0';
    return conf_set(c, key, eq + 1, err, err_size);
}

/* -- value to text --------------------------------------------------------------------------- */

char *conf_number(const struct conf_option *o, uint64_t v, char *buf, size_t size)
{
    static const char suffix[][2] = {"", "K", "M", "G", "T"};
    unsigned i = 0;
    while (o->type == CONF_T_SIZE && i < 4 && v != 0 && v % 1024 == 0) {
        v /= 1024;
        i++;
    }
    snprintf(buf, size, "%llu%s", (unsigned long long)v, suffix[i]);
    return buf;
}

static char *format_choice(const char *choices, uint64_t index, char *buf, size_t size)
{
    for (; index > 0; index--) {
        choices += strcspn(choices, "|");
        choices += *choices == '|';
    }
    snprintf(buf, size, "%.*s", (int)strcspn(choices, "|"), choices);
    return buf;
}

char *conf_format(const struct conf *c, const struct conf_option *o, char *buf, size_t size)
{
    if (o->type == CONF_T_NUM || o->type == CONF_T_SIZE)
        return conf_number(o, conf_value(c, o), buf, size);
    if (o->type == CONF_T_BOOL || o->type == CONF_T_ENUM)
        return format_choice(o->choices, conf_value(c, o), buf, size);
    snprintf(buf, size, "%s", (const char *)c + o->offset);
    return buf;
}
