/* test_symbols.c: addresses to symbols, on this very program: the compiler and the dynamic loader
 * say where its functions are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/symbols.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAPS_MAX 256

struct world {
    struct symbols *symbols;
    struct symbol_map maps[MAPS_MAX];
    char paths[MAPS_MAX][512];
    uint32_t n;
};

/* The kernel's own list of this process's mappings. */
static int open_world(void **state)
{
    static struct world w;
    FILE *f = fopen("/proc/self/maps", "re");
    char line[1024];
    assert_non_null(f);
    w = (struct world){.n = 0};
    while (fgets(line, sizeof(line), f) != NULL && w.n < MAPS_MAX) {
        unsigned long start, end, offset;
        struct symbol_map *m = &w.maps[w.n];
        w.paths[w.n][0] = '\0';
        if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %511s", &start, &end, &offset, w.paths[w.n]) < 3)
            continue;
        *m = (struct symbol_map){.start = start, .end = end, .offset = offset};
        m->path = w.paths[w.n][0] != '\0' ? w.paths[w.n] : "[anon]";
        m->is_file = w.paths[w.n][0] == '/';
        w.n++;
    }
    fclose(f);
    assert_int_equal(symbols_open(&w.symbols), 0);
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    symbols_close(((struct world *)*state)->symbols);
    return 0;
}

static struct symbol find(struct world *w, const void *p)
{
    struct symbol s;
    symbols_find(w->symbols, w->maps, w->n, (uint64_t)(uintptr_t)p, &s);
    return s;
}

static const void *code(void (*f)(void **))
{
    const void *p;
    memcpy(&p, &f, sizeof(p));
    return p;
}

static void a_static_function_is_found_at_its_first_byte_and_inside(void **state)
{
    const char *self = code(a_static_function_is_found_at_its_first_byte_and_inside);
    struct symbol s = find(*state, self);
    char exe[512];
    assert_string_equal(s.name, "a_static_function_is_found_at_its_first_byte_and_inside");
    assert_int_equal(s.offset, 0);
    s = find(*state, self + 5);
    assert_string_equal(s.name, "a_static_function_is_found_at_its_first_byte_and_inside");
    assert_int_equal(s.offset, 5);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    assert_true(n > 0);
    exe[n] = '\0';
    assert_string_equal(s.object, exe);
}

/* dladdr looks at the same tables through the dynamic loader. */
static void a_stripped_library_answers_from_its_dynamic_symbols(void **state)
{
    const void *p = dlsym(RTLD_DEFAULT, "get_nprocs_conf");
    Dl_info info;
    assert_non_null(p);
    struct symbol s = find(*state, p);
    assert_int_not_equal(dladdr(p, &info), 0);
    assert_string_equal(s.name, info.dli_sname);
    assert_int_equal(s.offset, 0);
    assert_non_null(strstr(s.object, "libc.so"));
}

static void an_address_outside_all_mappings_is_unknown(void **state)
{
    struct symbol s = find(*state, (const void *)16);
    assert_string_equal(s.object, "[unknown]");
    assert_null(s.name);
    assert_int_equal(s.offset, 16);
}

static void memory_without_a_file_has_its_word_and_no_symbol(void **state)
{
    int here = 0;
    struct symbol s = find(*state, &here);
    assert_true(s.object[0] == '[' || s.object[0] == '/'); /* asan keeps locals on its own stack */
    assert_null(s.name);
}

static void a_file_that_is_gone_or_no_elf_has_offsets_only(void **state)
{
    struct world *w = *state;
    const struct symbol_map maps[] = {
        {.start = 0x1000,
         .end = 0x3000,
         .offset = 0x5000,
         .is_file = true,
         .path = "/nonexistent/x"},
        {.start = 0x3000, .end = 0x4000, .offset = 0, .is_file = true, .path = "/proc/self/status"},
        {.start = 0x4000, .end = 0x5000, .offset = 0, .is_file = true, .path = "/"},
    };
    struct symbol s;
    symbols_find(w->symbols, maps, 3, 0x2010, &s);
    assert_string_equal(s.object, "/nonexistent/x");
    assert_null(s.name);
    assert_int_equal(s.offset, 0x6010);
    symbols_find(w->symbols, maps, 3, 0x3004, &s);
    assert_null(s.name);
    assert_int_equal(s.offset, 4);
    symbols_find(w->symbols, maps, 3, 0x4fff, &s);
    assert_null(s.name);
    symbols_find(w->symbols, maps, 3, 0x5000, &s);
    assert_string_equal(s.object, "[unknown]");
}

/* Files cut or overwritten anywhere must not hurt: the program may have changed its own file. */
static void a_damaged_elf_file_is_survived(void **state)
{
    static char bytes[1 << 20];
    struct world *w = *state;
    FILE *f = fopen("/proc/self/exe", "re");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    unsigned seed = 11;
    for (int round = 0; round < 40; round++) {
        char path[] = "/tmp/pagewalk-elf-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        char saved[8];
        size_t at = (size_t)rand_r(&seed) % (round < 30 ? 4096 : n - 8);
        size_t len = round % 3 == 0 ? (size_t)rand_r(&seed) % n : n;
        memcpy(saved, bytes + at, sizeof(saved));
        for (size_t i = 0; i < sizeof(saved); i++)
            bytes[at + i] = (char)rand_r(&seed);
        assert_int_equal(write(fd, bytes, len), (ssize_t)len);
        memcpy(bytes + at, saved, sizeof(saved));
        struct symbol_map map = {.start = 0, .end = n, .is_file = true, .path = path};
        for (uint64_t pc = 0; pc < n; pc += n / 16) {
            struct symbol s;
            struct symbols *fresh;
            assert_int_equal(symbols_open(&fresh), 0);
            symbols_find(fresh, &map, 1, pc, &s);
            assert_string_equal(s.object, path);
            symbols_close(fresh);
        }
        close(fd);
        unlink(path);
    }
    assert_non_null(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_static_function_is_found_at_its_first_byte_and_inside),
        cmocka_unit_test(a_stripped_library_answers_from_its_dynamic_symbols),
        cmocka_unit_test(an_address_outside_all_mappings_is_unknown),
        cmocka_unit_test(memory_without_a_file_has_its_word_and_no_symbol),
        cmocka_unit_test(a_file_that_is_gone_or_no_elf_has_offsets_only),
        cmocka_unit_test(a_damaged_elf_file_is_survived),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
