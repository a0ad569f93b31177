/* words.c: expands runs, see words.h.
 *
 * I1  Every run that words_write sees passed words_check: files are read from disk and may be anything.
 */
#include "cli/words.h"

#include "base/bits.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX BIT(60) /* more than any file has */
#define BUFFER    4096u   /* words written at a time */

static bool parse_number(const char **at, uint64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    errno = 0;
    *ret = strtoull(*at, &end, 0);
    bool ok = errno == 0 && end != *at;
    *at = end;
    return ok;
}

bool words_parse_range(const char *text, uint64_t unit, struct word_range *ret)
{
    uint64_t start, end;
    if (!parse_number(&text, &start) || *text++ != '-' || !parse_number(&text, &end) ||
        *text != '\0' || start >= end)
        return false;
    *ret = (struct word_range){start / unit, div_up(end, unit)};
    return ret->end <= WORDS_MAX;
}

bool words_check(const struct proc_run *runs, size_t n)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const struct proc_run *r = &runs[i];
        if (r->index < at || r->index > WORDS_MAX || r->count == 0 || r->count > WORDS_MAX ||
            r->step > 1)
            return false;
        at = r->index + r->count;
    }
    return true;
}

int words_write_all(int fd, const void *bytes, size_t n)
{
    for (const char *at = bytes; n > 0;) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno != EINTR)
            return -errno;
        at += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* write_run writes n words from `word` on, each `step` more than the one before. */
static int write_run(int fd, uint64_t word, uint64_t step, uint64_t n)
{
    uint64_t buffer[BUFFER];
    int error = 0;
    while (n > 0 && error == 0) {
        size_t part = (size_t)min_u64(n, BUFFER);
        for (size_t i = 0; i < part; i++, word += step)
            buffer[i] = word;
        error = words_write_all(fd, buffer, part * sizeof(*buffer));
        n -= part;
    }
    return error;
}

static int skip(int fd, uint64_t words, bool sparse)
{
    if (!sparse)
        return write_run(fd, 0, 0, words);
    return lseek(fd, (off_t)(words * 8), SEEK_CUR) < 0 ? -errno : 0;
}

/* end_sparse lets the file end where its position is, if it ends before. */
static int end_sparse(int fd)
{
    off_t at = lseek(fd, 0, SEEK_CUR), end = lseek(fd, 0, SEEK_END);
    if (at < 0 || end < 0)
        return -errno;
    return end < at && ftruncate(fd, at) != 0 ? -errno : 0;
}

int words_write(int fd, const struct proc_run *runs, size_t n, struct word_range range, bool sparse)
{
    uint64_t at = range.first;
    int error = 0;
    for (size_t i = 0; i < n && error == 0 && at < range.end; i++) {
        uint64_t first = max_u64(runs[i].index, at);
        uint64_t end = min_u64(runs[i].index + runs[i].count, range.end);
        if (first >= end)
            continue;
        error = skip(fd, first - at, sparse);
        if (error == 0)
            error = write_run(fd, runs[i].word + (first - runs[i].index) * runs[i].step,
                              runs[i].step, end - first);
        at = end;
    }
    if (error == 0 && at < range.end)
        error = skip(fd, range.end - at, sparse);
    return error == 0 && sparse ? end_sparse(fd) : error;
}
