/* fuzz.h: what every fuzz target offers, and what they share.
 *
 *   fuzz_conf.c ─┬─ clang -fsanitize=fuzzer: LLVMFuzzerTestOneInput       make fuzz TARGET=conf
 *                └─ -DLLVMFuzzerTestOneInput=fuzz_conf                    test_fuzz, in make check
 *
 * A target takes any bytes, and aborts (ASSERT, sanitizer) when its parser breaks a promise. Nothing
 * is kept from one input to the next.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/bits.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_MAX 4096u /* bytes of the longest input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* fuzz_seed stores the nth input of the target's corpus, at most FUZZ_MAX bytes, and returns its
 * length; 0 after the last. */
size_t fuzz_seed(unsigned nth, uint8_t *buf);

/* -- input, piece by piece: zeros when there is no more */
struct fuzz_bytes {
    const uint8_t *at;
    size_t left;
};
static inline uint64_t fuzz_take(struct fuzz_bytes *b, size_t n)
{
    uint64_t v = 0;
    n = b->left < n ? b->left : n;
    memcpy(&v, b->at, n);
    b->at += n;
    b->left -= n;
    return v;
}

/* fuzz_text returns a copy of the input with a zero behind it, to be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    ASSERT(text);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* fuzz_message checks what a refusal says: one line, not empty. */
static inline void fuzz_message(const char *err)
{
    ASSERT(err[0] != '\0' && !strchr(err, '\n'));
}

static inline size_t fuzz_copy_seed(uint8_t *buf, const void *bytes, size_t n)
{
    ASSERT(n <= FUZZ_MAX);
    memcpy(buf, bytes, n);
    return n;
}
/* FUZZ_TEXT_SEEDS makes fuzz_seed of a table of strings; a string may hold zeros. */
#define FUZZ_SEED(s)                                                                               \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }
struct fuzz_seed {
    const char *bytes;
    size_t n;
};
#define FUZZ_SEEDS(table)                                                                          \
    size_t fuzz_seed(unsigned nth, uint8_t *buf)                                                   \
    {                                                                                              \
        return nth < ARRAY_LEN(table) ? fuzz_copy_seed(buf, table[nth].bytes, table[nth].n) : 0;   \
    }

/* -- share.c */
/* fuzz_file returns the path of a file that holds just these bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);
/* fuzz_hush begins to catch stderr, fuzz_heard ends it and returns the lines that were written. */
void fuzz_hush(void);
unsigned fuzz_heard(void);

/* -- machine.c: a small machine with a program that has one stretch of code, one of data */
#define FUZZ_CODE   UINT64_C(0x400000)
#define FUZZ_DATA   UINT64_C(0x600000)
#define FUZZ_MAPPED UINT64_C(0x10000) /* bytes of each */
struct sim;
struct conf;
void fuzz_conf_small(struct conf *c);
struct sim *fuzz_sim(void);
/* fuzz_block_record takes a block from the input and stores a sound record at `at`, of at most
 * 256 bytes. */
struct ring_block;
void fuzz_block_record(struct fuzz_bytes *b, struct ring_block *at);

#endif
