/* test_elf.c: exec of files that are not what they seem: errors are values, never crashes, and the
 * address space stays sound. The good file is one of the system's own programs. */
#include "unit/kern/kern_fixture.h"

#include "base/rng.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD "/usr/bin/true"
#define TOP  UINT64_C(0x7ffffffff000)

static char under_test[64]; /* path of the file under test */
static uint8_t *image;      /* of the good file */
static size_t image_bytes;

static int open_world(void **state)
{
    static struct world w;
    struct stat st;
    if (world_start(&w, GIB(16)) != 0)
        return -1;
    int fd = open(GOOD, O_RDONLY | O_CLOEXEC);
    fstat(fd, &st);
    image_bytes = (size_t)st.st_size;
    image = malloc(image_bytes);
    if (read(fd, image, image_bytes) != st.st_size)
        return -1;
    close(fd);
    strcpy(under_test, "/tmp/test_elf.XXXXXX");
    close(mkstemp(under_test));
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    unlink(under_test);
    free(image);
    return world_close(w);
}

static int exec_of(struct world *w, const char *path)
{
    struct kern_exec e = {.path = path,
                          .argc = 1,
                          .arg_bytes = 5,
                          .load_bias = UINT64_C(0x555555554000),
                          .interp_base = UINT64_C(0x7ffff7fc0000),
                          .stack_top = TOP,
                          .stack_limit = TOP - MIB(8)};
    w->copies.n = w->outbox.n = 0;
    return kern_exec(w->kern, w->mm, &e, &w->copies);
}

static int exec_bytes(struct world *w, const void *bytes, size_t n)
{
    int fd = open(under_test, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    return exec_of(w, under_test);
}

static void the_good_file_is_accepted(void **state)
{
    struct world *w = *state;
    assert_int_equal(exec_of(w, GOOD), 0);
    assert_int_equal(exec_bytes(w, image, image_bytes), 0);
    assert_true(w->copies.n > 0);
}

static void what_cannot_be_opened_gives_its_errno(void **state)
{
    struct world *w = *state;
    assert_int_equal(exec_of(w, "/no/such/file"), -ENOENT);
    assert_int_equal(exec_of(w, "/usr"), -EACCES);
    assert_int_equal(exec_of(w, "/dev/null"), -EACCES);
    assert_int_equal(w->copies.n, 0);
}

static void text_and_emptiness_are_not_programs(void **state)
{
    struct world *w = *state;
    assert_int_equal(exec_bytes(w, "", 0), -ENOEXEC);
    assert_int_equal(exec_bytes(w, "#!/bin/sh\n", 10), -ENOEXEC);
}

static void every_truncation_of_the_headers_is_refused(void **state)
{
    struct world *w = *state;
    const Elf64_Ehdr *h = (const void *)image;
    size_t end = h->e_phoff + h->e_phnum * sizeof(Elf64_Phdr);
    for (size_t n = 0; n < end; n += 7)
        assert_int_equal(exec_bytes(w, image, n), -ENOEXEC);
}

static void a_header_field_out_of_its_range_is_refused(void **state)
{
    struct world *w = *state;
    Elf64_Ehdr *h = (void *)image, good = *h;
#define BAD(field, value)                                                                          \
    h->field = (value);                                                                            \
    assert_int_equal(exec_bytes(w, image, image_bytes), -ENOEXEC);                                 \
    *h = good
    BAD(e_machine, EM_AARCH64);
    BAD(e_machine, EM_386);
    BAD(e_type, ET_REL);
    BAD(e_type, ET_CORE);
    BAD(e_phentsize, 55);
    BAD(e_phnum, 0);
    BAD(e_phnum, 65535);
    BAD(e_phoff, UINT64_MAX);
    BAD(e_phoff, INT64_MAX);
    BAD(e_ident[EI_CLASS], ELFCLASS32);
    BAD(e_ident[EI_MAG0], 0);
#undef BAD
}

static Elf64_Phdr *phdr_of(uint32_t type)
{
    const Elf64_Ehdr *h = (const void *)image;
    Elf64_Phdr *p = (void *)(image + h->e_phoff);
    while (p->p_type != type)
        p++;
    return p;
}

static void a_segment_that_wraps_or_lies_is_refused(void **state)
{
    struct world *w = *state;
    Elf64_Phdr *p = phdr_of(PT_LOAD), good = *p;
#define BAD(field, value)                                                                          \
    p->field = (value);                                                                            \
    assert_int_not_equal(exec_bytes(w, image, image_bytes), 0);                                    \
    *p = good
    BAD(p_filesz, p->p_memsz + 1);
    BAD(p_filesz, UINT64_MAX);
    BAD(p_memsz, UINT64_MAX);
    BAD(p_memsz, UINT64_C(1) << 47);
    BAD(p_vaddr, UINT64_MAX & PAGE_MASK);
    BAD(p_vaddr, UINT64_C(0x7fffffffe000));
    BAD(p_offset, UINT64_MAX & PAGE_MASK);
    BAD(p_offset, 1);
#undef BAD
}

static void an_interpreter_without_end_or_place_is_refused(void **state)
{
    struct world *w = *state;
    Elf64_Phdr *p = phdr_of(PT_INTERP), good = *p;
    p->p_filesz--;
    assert_int_equal(exec_bytes(w, image, image_bytes), -ENOEXEC);
    p->p_filesz = 1;
    assert_int_equal(exec_bytes(w, image, image_bytes), -ENOEXEC);
    p->p_filesz = 5000;
    assert_int_equal(exec_bytes(w, image, image_bytes), -ENOEXEC);
    *p = good;
    p->p_offset = image_bytes;
    assert_int_equal(exec_bytes(w, image, image_bytes), -ENOEXEC);
    *p = good;
    image[p->p_offset] = 'x';
    assert_int_equal(exec_bytes(w, image, image_bytes), -ENOENT);
}

static void arguments_that_do_not_fit_the_stack_are_refused(void **state)
{
    struct world *w = *state;
    struct kern_exec e = {.path = GOOD, .stack_top = TOP, .stack_limit = TOP - MIB(1)};
    e.arg_bytes = MIB(1);
    e.argc = 1;
    assert_int_equal(kern_exec(w->kern, w->mm, &e, &w->copies), -E2BIG);
    e.arg_bytes = UINT64_MAX;
    assert_int_equal(kern_exec(w->kern, w->mm, &e, &w->copies), -E2BIG);
    e.arg_bytes = 8;
    e.argc = UINT64_MAX / 8;
    assert_int_equal(kern_exec(w->kern, w->mm, &e, &w->copies), -E2BIG);
    e.stack_top = 0;
    assert_int_equal(kern_exec(w->kern, w->mm, &e, &w->copies), -E2BIG);
    assert_int_equal(w->copies.n, 0);
}

/* Mutations of headers: whatever they say, exec answers and the space passes its audit. */
static void mutated_headers_never_break_the_address_space(void **state)
{
    struct world *w = *state;
    struct rng r = {99};
    const Elf64_Ehdr *h = (const void *)image;
    size_t end = h->e_phoff + h->e_phnum * sizeof(Elf64_Phdr), accepted = 0;
    uint8_t *copy = malloc(image_bytes);
    for (unsigned i = 0; i < 800; i++) {
        memcpy(copy, image, image_bytes);
        for (unsigned j = 0; j <= rng_below(&r, 3); j++) {
            size_t at = (rng_below(&r, 4) ? 64 : 0) + rng_below(&r, end - 64);
            copy[at] =
                (uint8_t)(rng_below(&r, 2) ? rng_next(&r) : copy[at] ^ 1u << rng_below(&r, 8));
        }
        accepted += exec_bytes(w, copy, image_bytes) == 0;
        assert_int_equal(mm_audit(w->mm), 0);
        kern_interp_base(under_test, rng_next(&r));
    }
    free(copy);
    assert_true(accepted > 50 && accepted < 750);
}

static void the_interpreter_lies_where_its_entry_was_executed(void **state)
{
    (void)state;
    Elf64_Ehdr h;
    int fd = open("/lib64/ld-linux-x86-64.so.2", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &h, sizeof h), sizeof h);
    close(fd);
    uint64_t base = UINT64_C(0x4001800000);
    assert_int_equal(kern_interp_base(GOOD, base + h.e_entry), base);
    assert_int_equal(kern_interp_base(GOOD, base + h.e_entry + 1), 0); /* not a page */
    assert_int_equal(kern_interp_base(GOOD, 16), 0);
    assert_int_equal(kern_interp_base("/lib64/ld-linux-x86-64.so.2", base), 0); /* has none */
    assert_int_equal(kern_interp_base("/no/such/file", base), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_good_file_is_accepted),
        T(what_cannot_be_opened_gives_its_errno),
        T(text_and_emptiness_are_not_programs),
        T(every_truncation_of_the_headers_is_refused),
        T(a_header_field_out_of_its_range_is_refused),
        T(a_segment_that_wraps_or_lies_is_refused),
        T(an_interpreter_without_end_or_place_is_refused),
        T(arguments_that_do_not_fit_the_stack_are_refused),
        T(mutated_headers_never_break_the_address_space),
        T(the_interpreter_lies_where_its_entry_was_executed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
