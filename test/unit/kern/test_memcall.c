/* test_memcall.c: memory calls whose answer was not Linux's. What QEMU 7.2 answers otherwise is from
 * its linux-user/mmap.c; what Linux answers, from the manual pages and do_mmap. */
#include "unit/kern/kern_fixture.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

static int open_world(void **state)
{
    static struct world w;
    *state = &w;
    return world_open(&w, 0);
}

static int close_world(void **state)
{
    return world_close(*state);
}

static int told(struct world *w, int64_t result, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2,
                uint64_t a3, uint64_t a4)
{
    struct kern_call c = {.nr = nr, .arg = {a0, a1, a2, a3, a4}, .result = result};
    return kern_syscall(w->kern, w->mm, &c, &w->copies);
}

static int map_at(struct world *w, uint64_t addr, uint64_t len, uint32_t prot)
{
    return told(w, (int64_t)addr, SYS_mmap, addr, len, prot,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, UINT64_MAX);
}

static uint64_t divergences(const struct world *w)
{
    return STAT(&w->stats, div_syscall_answer);
}

static bool mapped(const struct world *w, uint64_t a)
{
    return mm_vma_at(w->mm, va(a)) != NULL;
}

static void a_mapping_lies_where_the_program_got_it(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        told(w, (int64_t)AT, SYS_mmap, 0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX),
        1);
    assert_true(mapped(w, AT) && mapped(w, AT + 8191) && !mapped(w, AT + 8192));
    assert_int_equal(divergences(w), 0);
}

static void a_refused_mapping_changes_nothing(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        told(w, -ENOMEM, SYS_mmap, 0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX), 0);
    assert_null(mm_vma_next(w->mm, va(0)));
    assert_int_equal(divergences(w), 0); /* any system may be short of memory */
}

static void noreplace_over_a_mapping_would_have_been_refused(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 4096, PROT_READ);
    told(w, (int64_t)AT, SYS_mmap, AT, 4096, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, UINT64_MAX);
    assert_int_equal(divergences(w), 1);
    assert_true(mm_vma_at(w->mm, va(AT))->flags & VM_WRITE); /* but the program has it */
}

static void shared_validate_is_valid_on_linux(void **state)
{
    struct world *w = *state;
    told(w, -EINVAL, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED_VALIDATE, 3);
    assert_int_equal(divergences(w), 1);
}

static void memory_linux_would_not_give_exists_all_the_same(void **state)
{
    struct world *w = *state;
    told(w, (int64_t)AT, SYS_mmap, AT, 4096, PROT_READ, MAP_ANONYMOUS, UINT64_MAX); /* no type */
    assert_int_equal(divergences(w), 1);
    assert_true(mapped(w, AT));
}

static void mprotect_of_no_bytes_is_fine_on_linux(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 4096, PROT_READ);
    told(w, -ENOMEM, SYS_mprotect, AT, 0, PROT_READ, 0, 0);
    assert_int_equal(divergences(w), 1);
    told(w, 0, SYS_mprotect, AT, 0, PROT_READ, 0, 0);
    assert_int_equal(divergences(w), 1);
}

static void mprotect_up_to_a_hole_changes_what_lies_before_it(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 4096, PROT_READ);
    told(w, -ENOMEM, SYS_mprotect, AT, 8192, PROT_READ | PROT_WRITE, 0, 0);
    assert_int_equal(divergences(w), 0);
    assert_true(mm_vma_at(w->mm, va(AT))->flags & VM_WRITE);
}

static void advice_follows_linux_whatever_the_program_was_told(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 4096, PROT_READ);
    told(w, 0, SYS_madvise, AT, 4096, MADV_RANDOM, 0, 0);
    assert_int_equal(divergences(w), 0);
    told(w, 0, SYS_madvise, AT, 4096, 12345, 0, 0); /* QEMU says yes to any advice */
    assert_int_equal(divergences(w), 1);
    told(w, 0, SYS_madvise, AT, 8192, MADV_RANDOM, 0, 0); /* and to holes */
    assert_int_equal(divergences(w), 2);
    assert_true(mm_vma_at(w->mm, va(AT))->flags & VM_RAND_READ);
}

static void calls_the_emulator_lacks_are_counted(void **state)
{
    struct world *w = *state;
    const uint64_t calls[] = {SYS_mlock2, SYS_pkey_mprotect, SYS_remap_file_pages, 462};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        assert_int_equal(told(w, -ENOSYS, calls[i], AT, 4096, 0, 0, 0), 0);
    assert_int_equal(divergences(w), ARRAY_LEN(calls));
}

/* QEMU 7.2 has none of these; of the second row Linux has none either (syscall_64.tbl), and
 * what the C library tries at the start of every thread is no news. */
static void any_call_the_emulator_lacks_is_counted_unless_linux_lacks_it_too(void **state)
{
    struct world *w = *state;
    const uint64_t has[] = {SYS_process_vm_readv, SYS_io_uring_setup, SYS_userfaultfd};
    const uint64_t gone[] = {
        SYS_create_module, SYS_set_thread_area, SYS_vserver, 100000, SYS_set_robust_list,
        SYS_rseq,          SYS_clone3};
    for (size_t i = 0; i < ARRAY_LEN(has); i++)
        assert_int_equal(told(w, -ENOSYS, has[i], AT, 4096, AT, 4096, 0), 0);
    assert_int_equal(divergences(w), ARRAY_LEN(has));
    assert_int_equal(w->copies.n, 0);
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_int_equal(told(w, -ENOSYS, gone[i], AT, 4096, AT, 4096, 0), 0);
    assert_int_equal(divergences(w), ARRAY_LEN(has));
}

static void the_first_brk_tells_where_the_heap_is(void **state)
{
    struct world *w = *state;
    told(w, (int64_t)AT, SYS_brk, 0, 0, 0, 0, 0);
    assert_int_equal(mm_brk(w->mm, va(0)).v, AT);
    told(w, (int64_t)AT + 10000, SYS_brk, AT + 10000, 0, 0, 0, 0);
    assert_true(mapped(w, AT) && mapped(w, AT + 12287) && !mapped(w, AT + 12288));
    told(w, (int64_t)AT + 4096, SYS_brk, AT + 4096, 0, 0, 0, 0);
    assert_true(mapped(w, AT) && !mapped(w, AT + 4096));
    assert_int_equal(divergences(w), 0);
}

static void a_break_refused_for_no_reason_is_counted(void **state)
{
    struct world *w = *state;
    told(w, (int64_t)AT, SYS_brk, 0, 0, 0, 0, 0);
    told(w, (int64_t)AT, SYS_brk, AT + MIB(16), 0, 0, 0, 0);
    assert_int_equal(divergences(w), 1);
    map_at(w, AT + 4096, 4096, PROT_READ); /* now something is in the way */
    told(w, (int64_t)AT, SYS_brk, AT + MIB(16), 0, 0, 0, 0);
    assert_int_equal(divergences(w), 1);
}

static void a_break_linux_would_refuse_is_followed(void **state)
{
    struct world *w = *state;
    told(w, (int64_t)AT, SYS_brk, 0, 0, 0, 0, 0);
    map_at(w, AT + 4096, 4096, PROT_READ);
    told(w, (int64_t)AT + 8192, SYS_brk, AT + 8192, 0, 0, 0, 0);
    assert_int_equal(divergences(w), 1);
    assert_true(mm_vma_at(w->mm, va(AT + 4096))->flags & VM_WRITE);
    assert_int_equal(mm_brk(w->mm, va(0)).v, AT + 8192);
}

/* Answers of Linux 6.18, asked on 2026-11-22: a shared mapping is duplicated with MREMAP_MAYMOVE, else
 * ENOMEM; a private one EINVAL. */
static void mremap_of_nothing_that_the_emulator_refuses_is_counted(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 8192, PROT_READ);
    told(w, (int64_t)AT + MIB(1), SYS_mmap, AT + MIB(1), 8192, PROT_READ,
         MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, UINT64_MAX);
    told(w, -ENOMEM, SYS_mremap, AT + MIB(1), 0, 8192, 0, 0);
    told(w, -EINVAL, SYS_mremap, AT, 0, 8192, MREMAP_MAYMOVE, 0);
    assert_int_equal(divergences(w), 0);
    told(w, -ENOMEM, SYS_mremap, AT + MIB(1), 0, 8192, MREMAP_MAYMOVE, 0);
    assert_int_equal(divergences(w), 1);
    told(w, -ENOMEM, SYS_mremap, AT, 0, 8192, MREMAP_MAYMOVE, 0);
    assert_int_equal(divergences(w), 2);
}

static void mremap_moves_to_where_the_program_got_it(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 8192, PROT_READ);
    told(w, (int64_t)AT + MIB(4), SYS_mremap, AT, 8192, 16384, MREMAP_MAYMOVE, 0);
    assert_true(!mapped(w, AT) && mapped(w, AT + MIB(4) + 16383));
    assert_int_equal(divergences(w), 0);
    told(w, -ENOMEM, SYS_mremap, AT + MIB(4), 16384, 32768, MREMAP_MAYMOVE, 0);
    assert_int_equal(divergences(w), 0); /* growth may always be short of memory */
    told(w, -ENOMEM, SYS_mremap, AT, 8192, 16384, MREMAP_MAYMOVE, 0); /* Linux: no VMA, EFAULT */
    assert_int_equal(divergences(w), 1);
    told(w, -EFAULT, SYS_mremap, AT + MIB(4), 4096, 4096, 16, 0); /* Linux: bad flags, EINVAL */
    assert_int_equal(divergences(w), 2);
}

static uint64_t minor_faults(const struct world *w)
{
    struct mm_counters c;
    mm_counters(w->mm, &c);
    return c.minflt;
}

static void mlock_touches_every_page_it_may(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 8192, PROT_READ | PROT_WRITE);
    map_at(w, AT + 8192, 4096, PROT_READ);
    told(w, 0, SYS_mlock, AT + 100, 12000, 0, 0, 0);
    assert_int_equal(minor_faults(w), 3);
    assert_int_equal(w->copies.n, 0); /* by get_user_pages, not through the user's address */
    map_at(w, AT + 12288, 4096, PROT_NONE);
    told(w, -ENOMEM, SYS_mlock, AT, 16384, 0, 0, 0); /* locked, but without pages */
    assert_true(mm_vma_at(w->mm, va(AT + 12288))->flags & VM_LOCKED);
    assert_int_equal(divergences(w), 0);
}

static void a_lock_that_limits_forbid_changes_nothing(void **state)
{
    struct world *w = *state;
    map_at(w, AT, 8192, PROT_READ | PROT_WRITE);
    told(w, -ENOMEM, SYS_mlock, AT, 8192, 0, 0, 0);
    told(w, -EPERM, SYS_mlockall, MCL_CURRENT | MCL_FUTURE, 0, 0, 0, 0);
    assert_false(mm_vma_at(w->mm, va(AT))->flags & VM_LOCKED);
    assert_int_equal(minor_faults(w), 0);
    assert_int_equal(divergences(w), 0);
}

static void what_is_mapped_after_mlockall_future_is_touched_at_once(void **state)
{
    struct world *w = *state;
    told(w, 0, SYS_mlockall, MCL_CURRENT | MCL_FUTURE, 0, 0, 0, 0);
    map_at(w, AT, MIB(8), PROT_READ | PROT_WRITE);
    assert_int_equal(minor_faults(w), 2048);
    told(w, (int64_t)AT + MIB(16), SYS_brk, 0, 0, 0, 0, 0);
    told(w, (int64_t)AT + MIB(17), SYS_brk, AT + MIB(17), 0, 0, 0, 0);
    assert_int_equal(minor_faults(w), 2048 + 256);
    told(w, 0, SYS_munlockall, 0, 0, 0, 0, 0);
    map_at(w, AT + MIB(32), MIB(8), PROT_READ | PROT_WRITE);
    assert_int_equal(minor_faults(w), 2048 + 256);
    assert_int_equal(divergences(w), 0);
}

static struct kern_call file_call(uint64_t nr, uint64_t size, const char *path, uint32_t mode)
{
    struct kern_call c = {.nr = nr};
    c.file = (struct kern_file){.present = true, .dev = 5, .ino = 7, .size = size, .mode = mode};
    strcpy(c.file.path, path);
    return c;
}

static void truncation_reaches_the_mapping(void **state)
{
    struct world *w = *state;
    struct mm_verdict v;
    struct arch_fault f = {.cr2 = va(AT + 4096), .code = FAULT_U};
    struct kern_call map = file_call(SYS_mmap, 8192, "/tmp/x", S_IFREG | 0600);
    map.arg[1] = 8192;
    map.arg[2] = PROT_READ;
    map.arg[3] = MAP_PRIVATE;
    map.result = (int64_t)AT;
    kern_syscall(w->kern, w->mm, &map, &w->copies);
    mm_fault(w->mm, &f, &v);
    assert_int_equal(v.signal, 0);
    struct kern_call cut = file_call(SYS_ftruncate, 4096, "/tmp/x", S_IFREG | 0600);
    kern_syscall(w->kern, w->mm, &cut, &w->copies);
    mm_fault(w->mm, &f, &v);
    assert_int_not_equal(v.signal, 0);
}

/* map_disk maps 16 pages of a file on disk, shared and writable, at AT. */
static void map_disk(struct world *w)
{
    struct kern_call map = file_call(SYS_mmap, 16 * 4096, "/tmp/x", S_IFREG | 0600);
    map.file.open_flags = O_RDWR;
    map.arg[1] = 16 * 4096;
    map.arg[2] = PROT_READ | PROT_WRITE;
    map.arg[3] = MAP_SHARED;
    map.result = (int64_t)AT;
    kern_syscall(w->kern, w->mm, &map, &w->copies);
}

/* write_all writes to each of the 16 pages, as the hardware would: a writable entry needs no fault.
 * The faults it took. */
static unsigned write_all(struct world *w)
{
    unsigned faults = 0;
    for (uint64_t a = AT; a < AT + 16 * 4096; a += 4096) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(w->mm), va(a), &level);
        struct arch_fault f = {.cr2 = va(a), .code = FAULT_U | FAULT_W};
        struct mm_verdict v;
        if (e && (e->v & PTE_P) && (e->v & PTE_RW))
            continue;
        f.code |= e && (e->v & PTE_P) ? FAULT_P : 0;
        mm_fault(w->mm, &f, &v);
        w->outbox.n = 0;
        assert_int_equal(v.signal, 0);
        faults++;
    }
    return faults;
}

/* on_disk makes a call on that file and returns the faults of writing to all its pages again. */
static unsigned on_disk(struct world *w, uint64_t nr, uint64_t a1, uint64_t a2, uint64_t a3)
{
    struct kern_call c = file_call(nr, 16 * 4096, "/tmp/x", S_IFREG | 0600);
    c.arg[1] = a1;
    c.arg[2] = a2;
    c.arg[3] = a3;
    if (nr == SYS_sync)
        c.file.present = false; /* no descriptor */
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    w->outbox.n = 0;
    return write_all(w);
}

/* Counted on Linux 6.18, ext4, the same calls in a row: 16 faults after each that writes all. */
static void after_writing_a_file_back_each_page_faults_again(void **state)
{
    struct world *w = *state;
    map_disk(w);
    write_all(w);
    assert_int_equal(write_all(w), 0);
    assert_int_equal(on_disk(w, SYS_fsync, 0, 0, 0), 16);
    assert_int_equal(on_disk(w, SYS_fdatasync, 0, 0, 0), 16);
    assert_int_equal(on_disk(w, SYS_syncfs, 0, 0, 0), 16);
    assert_int_equal(on_disk(w, SYS_sync, 0, 0, 0), 16);
    assert_int_equal(on_disk(w, SYS_sync_file_range, 0, 0, SYNC_FILE_RANGE_WRITE), 16);
    assert_int_equal(on_disk(w, SYS_sync_file_range, 4096, 8191, SYNC_FILE_RANGE_WRITE_AND_WAIT),
                     2);
    assert_int_equal(on_disk(w, SYS_sync_file_range, 4096, 4097, SYNC_FILE_RANGE_WRITE_AND_WAIT),
                     2);
    assert_int_equal(on_disk(w, SYS_sync_file_range, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE), 0);
}

/* sync(2): a call that failed, or of a file on another device, cleans nothing of this one. */
static void writing_back_is_of_the_file_or_its_device(void **state)
{
    struct world *w = *state;
    map_disk(w);
    write_all(w);
    for (unsigned i = 0; i < 2; i++) {
        struct kern_call c = file_call(i ? SYS_syncfs : SYS_fsync, 0, "/mnt/y", S_IFREG | 0600);
        c.file.dev = 6;
        kern_syscall(w->kern, w->mm, &c, &w->copies);
    }
    struct kern_call c = file_call(SYS_fsync, 16 * 4096, "/tmp/x", S_IFREG | 0600);
    c.result = -EIO;
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    assert_int_equal(write_all(w), 0);
}

/* Counted on Linux 6.18, ext4. What moves goes to the end of the file, what is punched does not. */
static void what_fallocate_takes_out_of_a_file_is_fetched_again(void **state)
{
    struct world *w = *state;
    map_disk(w);
    write_all(w);
    const uint64_t keep = FALLOC_FL_KEEP_SIZE;
    assert_int_equal(on_disk(w, SYS_fallocate, 0, 0, 16 * 4096), 0);
    assert_int_equal(on_disk(w, SYS_fallocate, FALLOC_FL_PUNCH_HOLE | keep, 8192, 3 * 4096), 3);
    assert_int_equal(on_disk(w, SYS_fallocate, FALLOC_FL_PUNCH_HOLE | keep, 8193, 3 * 4096), 2);
    assert_int_equal(on_disk(w, SYS_fallocate, FALLOC_FL_ZERO_RANGE, 0, 5 * 4096), 5);
    assert_int_equal(on_disk(w, SYS_fallocate, FALLOC_FL_INSERT_RANGE, 4 * 4096, 4096), 12);
    assert_int_equal(on_disk(w, SYS_fallocate, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096), 15);
    assert_int_equal(divergences(w), 0);
}

static void a_mapping_of_dev_zero_is_anonymous(void **state)
{
    struct world *w = *state;
    struct kern_call map = file_call(SYS_mmap, 0, "/dev/zero", S_IFCHR | 0666);
    map.arg[1] = 4096;
    map.arg[2] = PROT_READ | PROT_WRITE;
    map.arg[3] = MAP_PRIVATE;
    map.result = (int64_t)AT;
    kern_syscall(w->kern, w->mm, &map, &w->copies);
    assert_int_equal(mm_vma_at(w->mm, va(AT))->kind, VMA_ANON);
    assert_non_null(mm_vma_at(w->mm, va(AT))->file); /* maps shows its name */
    assert_int_equal(divergences(w), 0);
}

/* Observed on Linux 6.18: two opens keep two mappings, a dup joins. */
static void mappings_of_two_opens_stay_apart(void **state)
{
    struct world *w = *state;
    told(w, 3, SYS_openat, 0, 0, 0, 0, 0);
    told(w, 4, SYS_openat, 0, 0, 0, 0, 0);
    told(w, 5, SYS_dup, 3, 0, 0, 0, 0);
    const uint64_t fds[] = {3, 4, 3, 5};
    for (uint64_t i = 0; i < 4; i++) {
        struct kern_call map = file_call(SYS_mmap, 16384, "/tmp/x", S_IFREG | 0600);
        map.arg[0] = AT + i * 4096;
        map.arg[1] = 4096;
        map.arg[2] = PROT_READ;
        map.arg[3] = MAP_PRIVATE | MAP_FIXED;
        map.arg[4] = fds[i];
        map.arg[5] = i * 4096;
        map.result = (int64_t)map.arg[0];
        kern_syscall(w->kern, w->mm, &map, &w->copies);
    }
    assert_int_equal(mm_vma_at(w->mm, va(AT))->end.v, AT + 4096);
    assert_int_equal(mm_vma_at(w->mm, va(AT + 4096))->end.v, AT + 8192);
    assert_int_equal(mm_vma_at(w->mm, va(AT + 8192))->end.v, AT + 16384);
}

static void a_descriptor_opened_again_is_another(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < 2; i++) {
        told(w, 3, SYS_openat, 0, 0, 0, 0, 0);
        struct kern_call map = file_call(SYS_mmap, 16384, "/tmp/x", S_IFREG | 0600);
        map.arg[0] = AT + i * 4096;
        map.arg[1] = 4096;
        map.arg[2] = PROT_READ;
        map.arg[3] = MAP_PRIVATE | MAP_FIXED;
        map.arg[4] = 3;
        map.arg[5] = i * 4096;
        map.result = (int64_t)map.arg[0];
        kern_syscall(w->kern, w->mm, &map, &w->copies);
        told(w, 0, SYS_close, 3, 0, 0, 0, 0);
    }
    assert_int_equal(mm_vma_at(w->mm, va(AT))->end.v, AT + 4096);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_mapping_lies_where_the_program_got_it),
        T(a_refused_mapping_changes_nothing),
        T(noreplace_over_a_mapping_would_have_been_refused),
        T(shared_validate_is_valid_on_linux),
        T(memory_linux_would_not_give_exists_all_the_same),
        T(mprotect_of_no_bytes_is_fine_on_linux),
        T(mprotect_up_to_a_hole_changes_what_lies_before_it),
        T(advice_follows_linux_whatever_the_program_was_told),
        T(calls_the_emulator_lacks_are_counted),
        T(any_call_the_emulator_lacks_is_counted_unless_linux_lacks_it_too),
        T(the_first_brk_tells_where_the_heap_is),
        T(a_break_refused_for_no_reason_is_counted),
        T(a_break_linux_would_refuse_is_followed),
        T(mremap_moves_to_where_the_program_got_it),
        T(mremap_of_nothing_that_the_emulator_refuses_is_counted),
        T(mlock_touches_every_page_it_may),
        T(a_lock_that_limits_forbid_changes_nothing),
        T(what_is_mapped_after_mlockall_future_is_touched_at_once),
        T(truncation_reaches_the_mapping),
        T(after_writing_a_file_back_each_page_faults_again),
        T(writing_back_is_of_the_file_or_its_device),
        T(what_fallocate_takes_out_of_a_file_is_fetched_again),
        T(a_mapping_of_dev_zero_is_anonymous),
        T(mappings_of_two_opens_stay_apart),
        T(a_descriptor_opened_again_is_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
