/* words.h: the binary files of /proc out of their runs (struct proc_run): 8 bytes a page or frame. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "proc/files.h"

/* Words [first, end). */
struct word_range {
    uint64_t first, end;
};

/* words_parse_range reads "START-END" into words: addresses of pages of `unit` bytes (or frame numbers
 * with unit 1), hexadecimal with 0x, half open. false when it is none. */
bool words_parse_range(const char *text, uint64_t unit, struct word_range *ret);
/* words_check says whether n runs are sorted, do not overlap, and end below 2^61. */
bool words_check(const struct proc_run *runs, size_t n);
/* words_write_all writes n bytes, however many calls that takes: 0 or -errno. */
int words_write_all(int fd, const void *bytes, size_t n);
/* words_write writes the words of a range to a descriptor, holes as zeros; with `sparse` it seeks over
 * holes and lets the file end at range.end. 0 or -errno. */
int words_write(int fd, const struct proc_run *runs, size_t n, struct word_range range,
                bool sparse);

#endif
