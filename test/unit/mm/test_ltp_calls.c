/* test_ltp_calls.c: assertions of the Linux Test Project and of the kernel's selftests about memory
 * calls that no other test here makes, the file they are from at each case (LTP: below
 * testcases/kernel; selftests: tools/testing/selftests/mm). docs/VALIDATION.md lists all of them. */
#include "unit/mm/mm_fixture.h"

#include <unistd.h>

#define BASE UINT64_C(0x10000000)
#define PA   (MAP_PRIVATE | MAP_ANONYMOUS)

static struct box box;

static int setup(void **state)
{
    (void)state;
    box_conf(&box, MIB(64));
    box.conf.phys_contents = true;
    box_start(&box);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    box_close(&box);
    return 0;
}

static uint8_t load(struct mm *m, uint64_t a)
{
    uint8_t byte = 0;
    assert_int_equal(mm_copy_from_user(m, &byte, va(a), 1), 1);
    return byte;
}

static void store(struct mm *m, uint64_t a, uint8_t byte)
{
    assert_int_equal(mm_copy_to_user(m, va(a), &byte, 1), 1);
}

static void segv(uint64_t a, bool write, int code)
{
    struct mm_verdict v = touch(&box, a, write);
    assert_int_equal(v.signal, SIGSEGV);
    assert_int_equal(v.si_code, code);
}

/* A file of the host with n bytes of 'a' behind the model's file. */
static struct mm_file *host_file(uint64_t ino, uint64_t n, int *ret_fd)
{
    char path[] = "/tmp/pw-ltp-XXXXXX";
    struct mm_file *f = mm_file(box.sys, 1, ino, n, "/data");
    *ret_fd = mkstemp(path);
    assert_true(*ret_fd >= 0 && unlink(path) == 0);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(pwrite(*ret_fd, "a", 1, (off_t)i), 1);
    mm_file_backing(f, *ret_fd);
    return f;
}

/* -- mmap ------------------------------------------------------------------------------------ */

/* mmap/mmap01: behind the end of the file its last page is zero; what is stored there is not written. */
static void the_rest_of_a_files_last_page_is_zero_and_not_written(void **state)
{
    (void)state;
    int fd;
    uint8_t back[8];
    struct mm_file *f = host_file(1, 5, &fd);
    assert_int_equal(map_full(&box, BASE, K, RW, MAP_SHARED | MAP_FIXED, f, 0), BASE);
    for (uint64_t i = 0; i < 64; i++)
        assert_int_equal(load(box.mm, BASE + i), i < 5 ? 'a' : 0);
    store(box.mm, BASE + 5, 'X');
    store(box.mm, BASE + 4, 'b');
    assert_int_equal(mm_msync(box.mm, va(BASE), K, MS_SYNC), 0);
    assert_int_equal(pread(fd, back, sizeof(back), 0), 5);
    assert_memory_equal(back, "aaaab", 5);
    mm_file_put(box.sys, f);
    close(fd);
}

/* mmap/mmap05: PROT_NONE maps, and any access is a SIGSEGV. mmap/mmap02, 03: reading is as allowed. */
static void a_file_mapped_without_rights_is_there_but_not_accessible(void **state)
{
    (void)state;
    struct mm_file *f = mm_file(box.sys, 1, 1, K, "/data");
    assert_int_equal(map_full(&box, BASE, K, PROT_NONE, MAP_SHARED | MAP_FIXED, f, 0), BASE);
    segv(BASE, false, SEGV_ACCERR);
    assert_int_equal(map_full(&box, BASE, K, PROT_READ, MAP_SHARED | MAP_FIXED, f, 0), BASE);
    assert_int_equal(touch(&box, BASE, false).signal, 0);
    segv(BASE, true, SEGV_ACCERR);
    mm_file_put(box.sys, f);
}

/* mmap/mmap09: a mapped file may shrink, grow and become empty: SIGBUS where it has no page. */
static void a_mapped_file_shrinks_grows_and_becomes_empty(void **state)
{
    (void)state;
    struct mm_file *f = mm_file(box.sys, 1, 1, 8 * K, "/data");
    const uint64_t sizes[] = {4, 12, 0, 8};
    assert_int_equal(map_full(&box, BASE, 12 * K, RW, MAP_SHARED | MAP_FIXED, f, 0), BASE);
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        mm_file_resize(box.sys, f, sizes[i] * K);
        for (uint64_t p = 0; p < 12; p++)
            assert_int_equal(touch(&box, BASE + p * K, true).signal, p < sizes[i] ? 0 : SIGBUS);
    }
    mm_file_put(box.sys, f);
}

/* mmap/mmap12, mm/map_populate.c: MAP_POPULATE of a file brings every page into the page table. */
static void populate_makes_every_page_of_a_file_present(void **state)
{
    (void)state;
    struct mm_file *f = mm_file(box.sys, 1, 1, 50 * K, "/data");
    const uint32_t how[] = {MAP_SHARED, MAP_PRIVATE};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(map_full(&box, BASE, 50 * K, RW, how[i] | MAP_FIXED | MAP_POPULATE, f, 0),
                         BASE);
        assert_int_equal(touch_pages(&box, BASE, 50, false), 0);
    }
    mm_file_put(box.sys, f);
}

/* mmap/mmap19: two files mapped again with places exchanged show their own bytes. */
static void exchanged_files_show_their_own_bytes(void **state)
{
    (void)state;
    struct mm_file *f[2];
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(mm_memfd(box.sys, "x", 0, &f[i]), 0);
        assert_int_equal(mm_ftruncate(box.sys, f[i], K), 0);
        map_full(&box, BASE + i * K, K, RW, MAP_SHARED | MAP_FIXED, f[i], 0);
        store(box.mm, BASE + i * K, (uint8_t)('1' + i));
    }
    assert_int_equal(mm_munmap(box.mm, va(BASE), 2 * K), 0);
    for (uint64_t i = 0; i < 2; i++)
        map_full(&box, BASE + (1 - i) * K, K, RW, MAP_SHARED | MAP_FIXED, f[i], 0);
    assert_int_equal(load(box.mm, BASE), '2');
    assert_int_equal(load(box.mm, BASE + K), '1');
    mm_file_put(box.sys, f[0]);
    mm_file_put(box.sys, f[1]);
}

/* mm/map_populate.c: a private mapping made before a store through a shared one shows it, until it
 * has a copy; the child has the parent's copy. */
static void a_private_copy_stands_and_is_inherited(void **state)
{
    (void)state;
    struct mm_file *f;
    struct mm *child;
    assert_int_equal(mm_memfd(box.sys, "x", 0, &f), 0);
    assert_int_equal(mm_ftruncate(box.sys, f, K), 0);
    map_full(&box, BASE, K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    map_full(&box, BASE + K, K, RW, MAP_PRIVATE | MAP_POPULATE | MAP_FIXED, f, 0);
    store(box.mm, BASE, 7);
    assert_int_equal(load(box.mm, BASE + K), 0); /* populated by writing: a copy */
    assert_int_equal(mm_fork(&child, box.mm), 0);
    store(child, BASE, 8);
    assert_int_equal(load(box.mm, BASE), 8);
    store(child, BASE + K, 9);
    assert_int_equal(load(box.mm, BASE + K), 0);
    mm_close(child);
    mm_file_put(box.sys, f);
}

/* -- munmap, mprotect ------------------------------------------------------------------------- */

/* munmap/munmap01: the unmapped part is gone, also of shared memory and files, the rest works. */
static void what_was_unmapped_is_a_sigsegv(void **state)
{
    (void)state;
    assert_int_equal(
        map_full(&box, BASE, 4 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0), BASE);
    touch_pages(&box, BASE, 4, true);
    assert_int_equal(mm_munmap(box.mm, va(BASE + K), 2 * K), 0);
    segv(BASE + K, false, SEGV_MAPERR);
    segv(BASE + 2 * K, true, SEGV_MAPERR);
    assert_int_equal(touch(&box, BASE, true).signal, 0);
    assert_int_equal(touch(&box, BASE + 3 * K, true).signal, 0);
    assert_int_equal(mm_munmap(box.mm, va(BASE), 4 * K), 0);
    segv(BASE + 3 * K, false, SEGV_MAPERR);
}

/* munmap/munmap03 */
static void munmap_refuses_bad_ranges(void **state)
{
    (void)state;
    assert_int_equal(map_anon(&box, BASE, 2, RW), BASE);
    assert_int_equal(mm_munmap(box.mm, va(UINT64_MAX & ~(K - 1)), 2 * K), -EINVAL);
    assert_int_equal(mm_munmap(box.mm, va(BASE), 0), -EINVAL);
    assert_int_equal(mm_munmap(box.mm, va(BASE + 1), 2 * K), -EINVAL);
    assert_string_equal(draw(&box, BASE, 2), "Ww");
}

/* munmap/munmap04: a hole needs one mapping more, and there is none left. */
static void a_hole_over_the_limit_of_mappings_is_enomem(void **state)
{
    (void)state;
    assert_int_equal(mm_sysctl(box.sys, "vm.max_map_count", 4), 0);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(map_anon(&box, BASE + 8 * i * K, 4, RW), BASE + 8 * i * K);
    assert_int_equal(mm_munmap(box.mm, va(BASE + K), K), -ENOMEM);
    assert_string_equal(draw(&box, BASE, 5), "Wwww.");
    assert_int_equal(mm_munmap(box.mm, va(BASE + 2 * K), 2 * K), 0); /* no hole: fine */
}

/* mprotect/mprotect02, 03, 04: rights that were taken away are a SIGSEGV, given back they work. */
static void rights_taken_and_given_back(void **state)
{
    (void)state;
    const struct {
        uint32_t prot, access;
        bool fine;
    } row[] = {
        {PROT_READ, FAULT_W, false}, {RW, FAULT_W, true},  {PROT_NONE, 0, false},
        {PROT_NONE, FAULT_W, false}, {PROT_READ, 0, true}, {PROT_READ, FAULT_I, false},
        {RX, FAULT_I, true},         {RX, FAULT_W, false},
    };
    unsigned n;
    assert_int_equal(map_anon(&box, BASE, 1, RW), BASE);
    touch(&box, BASE, true);
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(mm_mprotect(box.mm, va(BASE), K, row[i].prot), 0);
        struct mm_verdict v = touch_code(&box, BASE, row[i].access, &n);
        assert_int_equal(v.signal, row[i].fine ? 0 : SIGSEGV);
        if (!row[i].fine)
            assert_int_equal(v.si_code, SEGV_ACCERR);
    }
}

/* mprotect/mprotect05: over pieces with other rights, one after the other merges. */
static void mprotect_over_pieces_merges_them(void **state)
{
    (void)state;
    struct mm_file *f = mm_file(box.sys, 1, 1, 6 * K, "/data");
    map_full(&box, BASE, 6 * K, PROT_READ, MAP_SHARED | MAP_FIXED, f, 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + K), K, PROT_EXEC), 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 3 * K), K, PROT_WRITE), 0);
    assert_string_equal(draw(&box, BASE, 6), "RXRWRr");
    assert_int_equal(mm_mprotect(box.mm, va(BASE + K), 4 * K, PROT_READ), 0);
    assert_string_equal(draw(&box, BASE, 6), "Rrrrrr");
    mm_file_put(box.sys, f);
}

/* -- mremap, brk, mbind ------------------------------------------------------------------------ */

/* mremap/mremap06: pages of a file moved one by one into a row show their own bytes, whether the
 * rows' rights let mappings merge or not. */
static void moved_pages_of_a_file_keep_their_offsets(void **state)
{
    (void)state;
    for (uint64_t odd = 0; odd < 4; odd++) { /* 0: none has other rights */
        struct mm_file *f;
        const uint64_t to = BASE + 16 * K;
        assert_int_equal(mm_memfd(box.sys, "x", 0, &f), 0);
        assert_int_equal(mm_ftruncate(box.sys, f, 4 * K), 0);
        map_full(&box, BASE, 4 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
        for (uint64_t i = 0; i < 4; i++)
            store(box.mm, BASE + i * K, (uint8_t)(0x30 + i));
        if (odd)
            assert_int_equal(mm_mprotect(box.mm, va(BASE + odd * K), K, PROT_READ), 0);
        const uint64_t order[] = {0, 2, 1, 3};
        for (uint64_t k = 0; k < 4; k++) {
            uint64_t i = order[k];
            assert_int_equal(mm_mremap(box.mm, va(BASE + i * K), K, K,
                                       MREMAP_MAYMOVE | MREMAP_FIXED, va(to + i * K), false),
                             to + i * K);
        }
        assert_string_equal(draw(&box, to, 4), odd == 0   ? "Wwww"
                                               : odd == 1 ? "WRWw"
                                               : odd == 2 ? "WwRW"
                                                          : "WwwR");
        for (uint64_t i = 0; i < 4; i++)
            assert_int_equal(load(box.mm, to + i * K), 0x30 + i);
        assert_int_equal(mm_munmap(box.mm, va(to), 4 * K), 0);
        mm_file_put(box.sys, f);
    }
}

/* brk/brk01, sbrk/sbrk01; brk/brk02: a piece of the heap with other rights goes with the break. */
static void the_break_takes_whole_mappings_back(void **state)
{
    (void)state;
    mm_set_brk(box.mm, va(BASE));
    for (uint64_t pages = 1; pages < 4; pages++) {
        assert_int_equal(mm_brk(box.mm, va(BASE + pages * K)).v, BASE + pages * K);
        assert_int_equal(touch(&box, BASE + (pages - 1) * K, true).signal, 0);
    }
    assert_int_equal(mm_mprotect(box.mm, va(BASE + K), 2 * K, PROT_EXEC), 0);
    assert_string_equal(draw(&box, BASE, 4), "WXx.");
    assert_int_equal(mm_brk(box.mm, va(BASE)).v, BASE);
    assert_string_equal(draw(&box, BASE, 4), "....");
    assert_int_equal(mm_brk(box.mm, va(0)).v, BASE); /* sbrk(0) */
}

static void bind(uint64_t page, uint64_t pages, int mode)
{
    uint64_t nodes = mode == MPOL_DEFAULT ? 0 : 1;
    struct nodemask_arg mask = {&nodes, 1, 64};
    assert_int_equal(mm_mbind(box.mm, va(BASE + page * K), pages * K, mode, &mask, 0), 0);
}

/* mem/vma/vma02: a policy of the middle taken back leaves one mapping. mem/vma/vma04: the
 * cases of vma_merge, by mbind of parts of written memory. */
static void mbind_merges_in_every_case_of_vma_merge(void **state)
{
    (void)state;
    const struct {
        struct {
            uint64_t page, pages;
            int mode;
        } step[4];
        const char *expect;
    } row[] = {
        {{{1, 1, MPOL_BIND}, {0, 6, MPOL_DEFAULT}}, "Wwwwww"},                       /* vma02 */
        {{{0, 4, MPOL_BIND}, {2, 2, MPOL_DEFAULT}}, "WwWwww"},                       /* case 4 */
        {{{0, 2, MPOL_BIND}, {2, 2, MPOL_BIND}}, "WwwwWw"},                          /* case 5 */
        {{{0, 2, MPOL_BIND}, {4, 2, MPOL_BIND}, {2, 2, MPOL_BIND}}, "Wwwwww"},       /* case 6 */
        {{{0, 2, MPOL_BIND}, {4, 2, MPOL_INTERLEAVE}, {2, 2, MPOL_BIND}}, "WwwwWw"}, /* case 7 */
        {{{0, 2, MPOL_BIND}, {4, 2, MPOL_INTERLEAVE}, {2, 2, MPOL_INTERLEAVE}}, "WwWwww"}, /* 8 */
    };
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(map_anon(&box, BASE, 6, RW), BASE);
        touch_pages(&box, BASE, 6, true);
        for (unsigned k = 0; k < 4 && row[i].step[k].pages; k++)
            bind(row[i].step[k].page, row[i].step[k].pages, row[i].step[k].mode);
        assert_string_equal(draw(&box, BASE, 6), row[i].expect);
        assert_int_equal(mm_munmap(box.mm, va(BASE), 6 * K), 0);
    }
}

/* -- madvise ------------------------------------------------------------------------------------- */

/* madvise/madvise03 */
static void discarded_private_memory_reads_as_zero(void **state)
{
    (void)state;
    assert_int_equal(map_anon(&box, BASE, 4, RW), BASE);
    for (uint64_t i = 0; i < 4; i++)
        store(box.mm, BASE + i * K + i, 1);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 4 * K, MADV_DONTNEED), 0);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(load(box.mm, BASE + i * K + i), 0);
}

/* madvise/madvise10: wiped in child and grandchild; not when the length was zero or it was undone. */
static void wiped_memory_is_zero_in_child_and_grandchild(void **state)
{
    (void)state;
    const struct {
        uint64_t wipe;
        bool undo;
        uint8_t child, grandchild;
    } row[] = {{2 * K, false, 0, 0}, {0, false, 5, 6}, {2 * K, true, 5, 6}};
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct mm *child, *grandchild;
        assert_int_equal(map_anon(&box, BASE, 2, RW), BASE);
        store(box.mm, BASE + K, 5);
        assert_int_equal(mm_madvise(box.mm, va(BASE), row[i].wipe, MADV_WIPEONFORK), 0);
        if (row[i].undo)
            assert_int_equal(mm_madvise(box.mm, va(BASE), 2 * K, MADV_KEEPONFORK), 0);
        assert_int_equal(mm_fork(&child, box.mm), 0);
        assert_int_equal(load(child, BASE + K), row[i].child);
        store(child, BASE + K, 6);
        assert_int_equal(mm_fork(&grandchild, child), 0);
        assert_int_equal(load(grandchild, BASE + K), row[i].grandchild);
        assert_int_equal(load(box.mm, BASE + K), 5);
        mm_close(grandchild);
        mm_close(child);
    }
}

/* madvise/madvise05: WILLNEED of shared memory that lost its rights returns 0. madvise/madvise08:
 * DONTDUMP and DODUMP set and clear what a core dump leaves out. */
static void advice_on_rightless_and_undumped_memory(void **state)
{
    (void)state;
    assert_int_equal(
        map_full(&box, BASE, 4 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0), BASE);
    touch_pages(&box, BASE, 4, true);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), 4 * K, PROT_NONE), 0);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 4 * K, MADV_WILLNEED), 0);
    assert_int_equal(map_anon(&box, BASE, 4, RW), BASE);
    assert_int_equal(mm_madvise(box.mm, va(BASE + K), K, MADV_DONTDUMP), 0);
    assert_string_equal(draw(&box, BASE, 4), "WWWw");
    assert_true(mm_vma_at(box.mm, va(BASE + K))->flags & VM_DONTDUMP);
    assert_int_equal(mm_madvise(box.mm, va(BASE), 4 * K, MADV_DODUMP), 0);
    assert_string_equal(draw(&box, BASE, 4), "Wwww");
}

/* mincore/mincore04: what a child touched of shared memory is in core for the parent, too. */
static void pages_a_child_touched_are_in_core_for_its_parent(void **state)
{
    (void)state;
    struct mm *child;
    uint8_t vec[4];
    map_full(&box, BASE, 4 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    assert_int_equal(mm_fork(&child, box.mm), 0);
    assert_int_equal(mm_mincore(box.mm, va(BASE), 4 * K, vec), 0);
    assert_memory_equal(vec, "\0\0\0\0", 4);
    store(child, BASE + K, 1);
    assert_int_equal(mm_mlock(child, va(BASE + 2 * K), 2 * K, 0), 0);
    assert_int_equal(mm_mincore(box.mm, va(BASE), 4 * K, vec), 0);
    assert_memory_equal(vec, "\0\1\1\1", 4);
    mm_close(child);
}

/* mlock2/mlock203: memory locked twice, with and without MLOCK_ONFAULT, is counted once. */
static void memory_locked_twice_counts_once(void **state)
{
    (void)state;
    for (int second = 0; second < 2; second++) {
        assert_int_equal(map_anon(&box, BASE, 8, RW), BASE);
        assert_int_equal(mm_mlock(box.mm, va(BASE), 4 * K, 1 /* MLOCK_ONFAULT */), 0);
        assert_int_equal(counters(&box).locked_vm, 4);
        assert_int_equal(mm_mlock(box.mm, va(BASE), 8 * K, second), 0);
        assert_int_equal(counters(&box).locked_vm, 8);
        assert_int_equal(mm_munmap(box.mm, va(BASE), 8 * K), 0);
        assert_int_equal(counters(&box).locked_vm, 0);
    }
}

/* -- memfd ------------------------------------------------------------------------------------------ */

/* memfd_create/memfd_create02: names and flags. */
static void memfd_create_refuses_names_and_flags(void **state)
{
    (void)state;
    char name[260];
    const struct {
        size_t len;
        uint32_t flags;
        int result;
    } row[] = {
        {249, 0, 0},
        {250, 0, -EINVAL},
        {0, 0, 0},
        {1, 0x100, -EINVAL},
        {1, UINT32_MAX, -EINVAL},
        {1, UINT32_C(1) << 31, -EINVAL},
        {1, 1, 0},
        {1, 2, 0},
        {1, 1 | 2, 0},
        {1, 8 | 16, -EINVAL}, /* NOEXEC_SEAL and EXEC */
    };
    for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
        struct mm_file *f;
        memset(name, 'a', sizeof(name));
        name[row[i].len] = '\0';
        assert_int_equal(mm_memfd(box.sys, name, row[i].flags, &f), row[i].result);
        if (row[i].result == 0)
            mm_file_put(box.sys, f);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_rest_of_a_files_last_page_is_zero_and_not_written),
        T(a_file_mapped_without_rights_is_there_but_not_accessible),
        T(a_mapped_file_shrinks_grows_and_becomes_empty),
        T(populate_makes_every_page_of_a_file_present),
        T(exchanged_files_show_their_own_bytes),
        T(a_private_copy_stands_and_is_inherited),
        T(what_was_unmapped_is_a_sigsegv),
        T(munmap_refuses_bad_ranges),
        T(a_hole_over_the_limit_of_mappings_is_enomem),
        T(rights_taken_and_given_back),
        T(mprotect_over_pieces_merges_them),
        T(moved_pages_of_a_file_keep_their_offsets),
        T(the_break_takes_whole_mappings_back),
        T(mbind_merges_in_every_case_of_vma_merge),
        T(discarded_private_memory_reads_as_zero),
        T(wiped_memory_is_zero_in_child_and_grandchild),
        T(advice_on_rightless_and_undumped_memory),
        T(pages_a_child_touched_are_in_core_for_its_parent),
        T(memory_locked_twice_counts_once),
        T(memfd_create_refuses_names_and_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
