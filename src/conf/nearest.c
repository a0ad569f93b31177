/* nearest.c: which option did the user mean?
 *
 * The nearest key is the one with the fewest single-letter edits (Levenshtein 1966; one row of the
 * table at a time, and a swap of neighbours counts as one edit: Damerau 1964). A key given without
 * its module ("walkers" for "mmu.walkers") counts as one edit away. Beyond a third of the letters
 * nothing is suggested: a wild guess is worse than none.
 */
#include "conf/conf_int.h"

#include <stdbool.h>
#include <string.h>

#define KEY_MAX 64 /* longer words are not compared */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits that make a of b; both shorter than KEY_MAX. */
static unsigned edits(const char *a, const char *b)
{
    unsigned rows[3][KEY_MAX]; /* of prefixes of a: two before, one before, this one */
    unsigned n = (unsigned)strlen(b);
    for (unsigned j = 0; j <= n; j++)
        rows[0][j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned *row = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            bool same = a[i - 1] == b[j - 1];
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min3(row[j], before[j - 2] + 1, row[j]);
        }
    }
    return rows[strlen(a) % 3][n];
}

static bool is_tail(const char *key, const char *tail)
{
    size_t n = strlen(key), m = strlen(tail);
    return m > 0 && n > m && key[n - m - 1] == '.' && strcmp(key + n - m, tail) == 0;
}

int conf_unknown(const char *key, char *err, size_t err_size)
{
    size_t n;
    const struct conf_option *o = conf_options(&n), *best = NULL;
    size_t len = strlen(key);
    unsigned best_edits = len < 6 ? 2 : (unsigned)len / 3;
    for (size_t i = 0; i < n && len < KEY_MAX - 1; i++) {
        unsigned d = is_tail(o[i].key, key) ? 1 : edits(key, o[i].key);
        if (d < best_edits + !best) {
            best_edits = d;
            best = &o[i];
        }
    }
    if (!best)
        return conf_refuse(err, err_size,
                           "unknown option `%.80s`; docs/OPTIONS.md lists all of them", key);
    return conf_refuse(err, err_size, "unknown option `%s`; did you mean `%s`?", key, best->key);
}
