/* ref_bytes.h: what a program's memory contains, said naively: every process an array of pages, every
 * private page its own bytes, every file one array of bytes. No page tables, no sharing, no cache. */
#ifndef TEST_REF_BYTES_H
#define TEST_REF_BYTES_H

#include <stdbool.h>
#include <stdint.h>

#define RB_PAGE UINT64_C(4096)

enum rb_kind { RB_HOLE, RB_ANON, RB_PRIVATE, RB_SHARED }; /* the last two: of a file */
enum rb_prot { RB_NONE, RB_READ, RB_WRITE };              /* RB_WRITE reads, too */

struct rb_file {
    bool memory;    /* tmpfs; else a file system on a disk */
    uint64_t size;  /* bytes */
    uint64_t room;  /* pages the array has */
    uint8_t *bytes; /* of room pages; behind the end of the file what was stored there */
    bool live;      /* in use */
};

struct rb_page {
    enum rb_kind kind;
    enum rb_prot prot;
    bool wipe, dontfork;  /* MADV_WIPEONFORK, MADV_DONTFORK */
    struct rb_file *file; /* of RB_PRIVATE and RB_SHARED */
    uint64_t pgoff;
    uint8_t *own; /* bytes of this process alone; NULL: zeroes, or the file's */
};

struct rb_space {
    uint64_t pages;
    struct rb_page *page;
};

void rb_open(struct rb_space *s, uint64_t pages);
void rb_close(struct rb_space *s);
/* rb_map makes pages [first, first + n) what `p` says; pgoff counts up from p's. */
void rb_map(struct rb_space *s, uint64_t first, uint64_t n, const struct rb_page *p);
void rb_move(struct rb_space *s, uint64_t from, uint64_t to, uint64_t n);
void rb_dontneed(struct rb_space *s, uint64_t first, uint64_t n);
/* rb_remove makes a hole in the files behind the pages. */
void rb_remove(struct rb_space *s, uint64_t first, uint64_t n);
void rb_fork(struct rb_space *child, const struct rb_space *parent);
/* rb_resize truncates or extends; what lies beyond goes from every space, private copies too. */
void rb_resize(struct rb_space *spaces, unsigned n, struct rb_file *f, uint64_t size);
/* rb_sync writes shared pages of files on disk back: bytes behind the end of the file become zero. */
void rb_sync(struct rb_space *s, uint64_t first, uint64_t n);
/* rb_store and rb_load copy until a byte that may not be; they return the bytes copied. */
uint64_t rb_store(struct rb_space *s, uint64_t at, const uint8_t *from, uint64_t len);
uint64_t rb_load(const struct rb_space *s, uint64_t at, uint8_t *to, uint64_t len);

#endif
