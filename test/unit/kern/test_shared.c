/* test_shared.c: how long memory without a name lives: System V segments (shmctl(2), shmop(2)) and
 * memfds (memfd_create(2): "when all references to the file are dropped, it is automatically
 * released"). Frames of shared memory are counted in the modelled machine. */
#include "unit/kern/shared_fixture.h"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

#define PAGES UINT64_C(16)
#define BYTES (PAGES * 4096)

/* touch_all writes every page; the signal that ended it, or 0. */
static int touch_all(struct world *w, uint64_t start, uint64_t pages)
{
    struct mm_verdict v = {0};
    for (uint64_t i = 0; i < pages && v.signal == 0; i++) {
        struct arch_fault f = {.cr2 = va(start + i * 4096), .code = FAULT_U | FAULT_W};
        mm_fault(w->mm, &f, &v);
        w->outbox.n = 0;
    }
    return v.signal;
}

/* -- System V segments */

static void an_attached_segment_is_shared_memory_of_its_size(void **state)
{
    struct world *w = *state;
    told(w, 7, SYS_shmget, IPC_PRIVATE, BYTES - 100, 0600 | IPC_CREAT);
    told(w, (int64_t)AT, SYS_shmat, 7, 0, 0);
    const struct vma *v = mm_vma_at(w->mm, va(AT));
    assert_non_null(v);
    assert_int_equal(v->kind, VMA_SHMEM);
    assert_int_equal(v->end.v, AT + BYTES);
    assert_int_equal(touch_all(w, AT, PAGES), 0);
    assert_int_equal(shmem(w), PAGES);
    told(w, (int64_t)AT + MIB(1), SYS_shmat, 7, 0, 0); /* the same pages again */
    assert_int_equal(touch_all(w, AT + MIB(1), PAGES), 0);
    assert_int_equal(shmem(w), PAGES);
}

static void rights_of_an_attachment_follow_its_flags(void **state)
{
    struct world *w = *state;
    told(w, 7, SYS_shmget, IPC_PRIVATE, BYTES, 0600 | IPC_CREAT);
    told(w, (int64_t)AT, SYS_shmat, 7, 0, SHM_RDONLY);
    told(w, (int64_t)AT + MIB(1), SYS_shmat, 7, 0, SHM_EXEC);
    const uint32_t look = VM_READ | VM_WRITE | VM_EXEC | VM_SHARED | VM_MAYWRITE;
    assert_int_equal(mm_vma_at(w->mm, va(AT))->flags & look, VM_READ);
    assert_int_equal(mm_vma_at(w->mm, va(AT + MIB(1)))->flags & look, look);
}

static void a_segment_stays_until_removed_and_detached_in_either_order(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id < 3; id++) {
        told(w, (int64_t)id, SYS_shmget, IPC_PRIVATE, BYTES, 0600 | IPC_CREAT);
        told(w, (int64_t)AT, SYS_shmat, id, 0, 0);
        touch_all(w, AT, PAGES);
        told(w, 0, id == 1 ? SYS_shmctl : SYS_shmdt, id == 1 ? id : AT, IPC_RMID, 0);
        assert_int_equal(shmem(w), PAGES);
        told(w, 0, id == 1 ? SYS_shmdt : SYS_shmctl, id == 1 ? AT : id, IPC_RMID, 0);
        assert_int_equal(shmem(w), 0);
        assert_null(mm_vma_at(w->mm, va(AT)));
    }
}

static void a_removed_segment_can_be_attached_while_somebody_has_it(void **state)
{
    struct world *w = *state;
    told(w, 7, SYS_shmget, IPC_PRIVATE, BYTES, 0600 | IPC_CREAT);
    told(w, (int64_t)AT, SYS_shmat, 7, 0, 0);
    touch_all(w, AT, PAGES);
    told(w, 0, SYS_shmctl, 7, IPC_RMID, 0);
    told(w, (int64_t)AT + MIB(1), SYS_shmat, 7, 0, 0);
    told(w, 0, SYS_shmdt, AT, 0, 0);
    assert_int_equal(shmem(w), PAGES);
    told(w, 0, SYS_shmdt, AT + MIB(1), 0, 0);
    assert_int_equal(shmem(w), 0);
}

static void detaching_leaves_neighbours_and_takes_what_a_munmap_left(void **state)
{
    struct world *w = *state;
    told(w, 7, SYS_shmget, IPC_PRIVATE, BYTES, 0600 | IPC_CREAT);
    told(w, (int64_t)AT, SYS_shmat, 7, 0, 0);
    told(w, (int64_t)(AT + BYTES), SYS_shmat, 7, 0, 0);
    told(w, 0, SYS_munmap, AT + 4 * 4096, 4096, 0);
    told(w, 0, SYS_shmdt, AT, 0, 0);
    assert_null(mm_vma_at(w->mm, va(AT)));
    assert_null(mm_vma_at(w->mm, va(AT + 5 * 4096)));
    assert_non_null(mm_vma_at(w->mm, va(AT + BYTES)));
}

static void a_segment_of_another_process_is_left_to_its_accesses(void **state)
{
    struct world *w = *state;
    told(w, 9, SYS_shmget, 1234, 0, 0600); /* size 0: it exists, as large as it may be */
    told(w, (int64_t)AT, SYS_shmat, 9, 0, 0);
    assert_null(mm_vma_at(w->mm, va(AT)));
}

/* -- memfds */

static void with_file(struct world *w, int64_t result, uint64_t nr, int fd, uint64_t ino)
{
    struct kern_call c = {.nr = nr, .result = result};
    c.file = (struct kern_file){
        .present = true, .fd = fd, .dev = 1, .ino = ino, .size = BYTES, .mode = S_IFREG | 0600};
    c.file.open_flags = O_RDWR;
    strcpy(c.file.path, "/memfd:x (deleted)");
    if (nr == SYS_mmap) {
        c.arg[1] = BYTES;
        c.arg[2] = PROT_READ | PROT_WRITE;
        c.arg[3] = MAP_SHARED;
        c.arg[4] = (uint64_t)fd;
    }
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    w->outbox.n = 0;
}

/* make_memfd makes one with all its pages touched, mapped at AT. */
static void make_memfd(struct world *w, int fd, uint64_t ino)
{
    told(w, fd, SYS_memfd_create, 0, 0, 0);
    with_file(w, 0, SYS_ftruncate, fd, ino);
    with_file(w, (int64_t)AT, SYS_mmap, fd, ino);
    assert_int_equal(touch_all(w, AT, PAGES), 0);
    assert_int_equal(shmem(w), PAGES);
}

static void a_memfd_goes_with_its_last_descriptor_and_mapping_in_either_order(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < 2; i++) {
        make_memfd(w, 3, 100 + i);
        told(w, 0, i ? SYS_close : SYS_munmap, i ? 3 : AT, BYTES, 0);
        assert_int_equal(shmem(w), PAGES);
        told(w, 0, i ? SYS_munmap : SYS_close, i ? AT : 3, BYTES, 0);
        assert_int_equal(shmem(w), 0);
    }
}

static void rounds_of_memfds_fill_no_memory(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < 3000; i++) { /* 187 MiB in a machine of 64 */
        make_memfd(w, 3, 100 + i);
        told(w, 0, SYS_munmap, AT, BYTES, 0);
        told(w, 0, SYS_close, 3, 0, 0);
    }
    assert_int_equal(shmem(w), 0);
}

static void map_memfd(struct world *w, int fd, uint64_t ino)
{
    with_file(w, (int64_t)AT, SYS_mmap, fd, ino);
    assert_int_equal(touch_all(w, AT, PAGES), 0);
    told(w, 0, SYS_munmap, AT, BYTES, 0);
}

/* Every call that makes a second descriptor, before the file was mapped and after. */
static void a_duplicated_descriptor_keeps_the_memory(void **state)
{
    struct world *w = *state;
    const struct {
        uint64_t nr, second; /* the call and its second argument */
    } dup[] = {{SYS_dup, 0},
               {SYS_dup2, 8},
               {SYS_dup3, 8},
               {SYS_fcntl, F_DUPFD},
               {SYS_fcntl, F_DUPFD_CLOEXEC}};
    for (uint64_t i = 0; i < 2 * ARRAY_LEN(dup); i++) {
        told(w, 3, SYS_memfd_create, 0, 0, 0);
        if (i % 2)
            map_memfd(w, 3, 100 + i);
        told(w, 8, dup[i / 2].nr, 3, dup[i / 2].second, 0);
        if (i % 2 == 0)
            map_memfd(w, 3, 100 + i);
        told(w, 0, SYS_close, 3, 0, 0);
        assert_int_equal(shmem(w), PAGES);
        told(w, 0, SYS_close, 8, 0, 0);
        assert_int_equal(shmem(w), 0);
    }
}

static void a_descriptor_that_is_overwritten_is_closed(void **state)
{
    struct world *w = *state;
    make_memfd(w, 3, 100);
    told(w, 0, SYS_munmap, AT, BYTES, 0);
    told(w, 3, SYS_dup2, 3, 3, 0); /* onto itself: nothing happens */
    assert_int_equal(shmem(w), PAGES);
    told(w, 3, SYS_dup2, 1, 3, 0);
    assert_int_equal(shmem(w), 0);
}

static void close_range_closes_what_lies_in_it(void **state)
{
    struct world *w = *state;
    make_memfd(w, 3, 100);
    told(w, 0, SYS_munmap, AT, BYTES, 0);
    told(w, 0, SYS_close_range, 0, 100, 4); /* CLOSE_RANGE_CLOEXEC: not yet */
    told(w, 0, SYS_close_range, 4, 0xffffffff, 0);
    assert_int_equal(shmem(w), PAGES);
    told(w, 0, SYS_close_range, 3, 0xffffffff, 0);
    assert_int_equal(shmem(w), 0);
}

static void a_memfd_mapped_again_lives_on(void **state)
{
    struct world *w = *state;
    make_memfd(w, 3, 100);
    told(w, 0, SYS_close, 3, 0, 0);
    with_file(w, (int64_t)AT + MIB(1), SYS_mmap, 5, 100); /* a descriptor from somewhere else */
    told(w, 0, SYS_munmap, AT, BYTES, 0);
    told(w, 0, SYS_munmap, AT + MIB(1), BYTES, 0);
    assert_int_equal(shmem(w), PAGES);
    told(w, 0, SYS_close, 5, 0, 0);
    assert_int_equal(shmem(w), 0);
}

/* -- huge pages: a program asks before the call (EV_ASK), and gets what was answered. */

#define M2 MIB(2)

/* asked makes one call as the front end does: the question, then its end with `result` if granted. */
static int asked(struct world *w, struct kern_call c, int64_t result)
{
    int verdict = kern_ask(w->kern, w->mm, &c);
    c.asked = true;
    c.result = verdict != 0 ? verdict : result;
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    w->outbox.n = 0;
    return verdict;
}

static uint64_t promised(const struct world *w)
{
    struct mm_hugetlb_info i;
    mm_hugetlb_info(w->sys, MM_HUGETLB_2M, &i);
    return i.resv;
}

static int asked_mmap(struct world *w, uint64_t len, uint64_t flags, int64_t at)
{
    const uint64_t anon = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    return asked(
        w, (struct kern_call){.nr = SYS_mmap, .arg = {0, len, PROT_READ, anon | flags, -1ull}}, at);
}

static void huge_pages_are_granted_from_the_models_pool(void **state)
{
    struct world *w = *state;
    mm_hugetlb_set(w->sys, MM_HUGETLB_2M, 4);
    assert_int_equal(asked_mmap(w, 3 * M2, 0, 0x20000000), 0);
    assert_int_equal(promised(w), 3);
    assert_int_equal(asked_mmap(w, M2 + 1, 0, 0x30000000), -ENOMEM);
    assert_int_equal(asked_mmap(w, M2, 16u << 26, 0x30000000), -EINVAL);
    assert_int_equal(asked_mmap(w, 1, 21u << 26, 0x30000000), 0);
    assert_int_equal(promised(w), 4);
    assert_int_equal(touch_all(w, 0x30000000, 0), 0);
    told(w, 0, SYS_munmap, 0x20000000, 3 * M2, 0);
    assert_int_equal(promised(w), 1);
    assert_int_equal(STAT(&w->stats, div_syscall_answer), 0);
    assert_int_equal(STAT(&w->stats, div_hugetlb), 0);
}

/* What the kernel answered on 6.18 (2026-11-22); the type is given in place of MAP_PRIVATE's. */
static int asked_type(struct world *w, uint64_t at, uint64_t flags)
{
    const uint64_t anon = MAP_ANONYMOUS | MAP_HUGETLB;
    return asked(
        w, (struct kern_call){.nr = SYS_mmap, .arg = {at, M2, PROT_READ, anon | flags, -1ull}},
        0x40000000);
}

static void flags_of_anonymous_huge_pages_are_judged_as_those_of_a_file(void **state)
{
    struct world *w = *state;
    mm_hugetlb_set(w->sys, MM_HUGETLB_2M, 4);
    assert_int_equal(asked_mmap(w, M2, 0, 0x20000000), 0);
    assert_int_equal(asked_type(w, 0, MAP_SHARED_VALIDATE), 0);
    assert_int_equal(asked_type(w, 0, MAP_SHARED_VALIDATE | MAP_SYNC), -EOPNOTSUPP);
    assert_int_equal(asked_type(w, 0, MAP_SHARED_VALIDATE | MAP_GROWSDOWN), -EINVAL);
    assert_int_equal(asked_type(w, 0, MAP_SHARED | MAP_GROWSDOWN), -EINVAL);
    assert_int_equal(asked_type(w, 0, MAP_PRIVATE | MAP_GROWSDOWN), -EINVAL);
    assert_int_equal(asked_type(w, 0, 0), -EINVAL);
    assert_int_equal(asked_type(w, 0, 8), -EINVAL); /* MAP_DROPPABLE */
    assert_int_equal(asked_type(w, 0x20000000, MAP_PRIVATE | MAP_FIXED_NOREPLACE), -EEXIST);
    assert_int_equal(asked_type(w, 0x20001000, MAP_PRIVATE | MAP_FIXED_NOREPLACE), -EINVAL);
    assert_int_equal(promised(w), 2);
    assert_int_equal(STAT(&w->stats, div_syscall_answer), 0);
}

static void a_grant_that_cannot_be_kept_is_counted(void **state)
{
    struct world *w = *state;
    struct kern_call c = {
        .nr = SYS_mmap,
        .arg = {0, M2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1ull},
        .asked = true,
        .result = 0x20000000};
    kern_syscall(w->kern, w->mm, &c, &w->copies); /* the pool is empty */
    assert_int_equal(STAT(&w->stats, div_hugetlb), 1);
    assert_int_equal(touch_all(w, 0x20000000, 512), 0);
}

static void a_file_of_huge_pages_is_known_by_its_record(void **state)
{
    struct world *w = *state;
    const struct kern_file f = {
        true, 3, 5, 77, 2 * M2, S_IFREG | 0600, O_RDWR, 21, "/memfd:h (deleted)"};
    struct kern_call c = {
        .nr = SYS_mmap, .arg = {0, 2 * M2, PROT_READ | PROT_WRITE, MAP_SHARED, 3}, .file = f};
    mm_hugetlb_set(w->sys, MM_HUGETLB_2M, 2);
    told(w, 3, SYS_memfd_create, 0, 4, 0);
    assert_int_equal(asked(w, c, 0x20000000), 0);
    assert_int_equal(promised(w), 2);
    assert_int_equal(asked(w, c, 0x30000000), 0); /* the same pages */
    assert_int_equal(promised(w), 2);
    c.arg[5] = 4096;
    assert_int_equal(asked(w, c, 0x40000000), -EINVAL);
    told(w, 0, SYS_munmap, 0x20000000, 2 * M2, 0);
    told(w, 0, SYS_munmap, 0x30000000, 2 * M2, 0);
    told(w, 0, SYS_close, 3, 0, 0);
    assert_int_equal(promised(w), 0);
    assert_int_equal(STAT(&w->stats, div_syscall_answer), 0);
}

static void a_segment_of_huge_pages_is_promised_in_full(void **state)
{
    struct world *w = *state;
    struct kern_call c = {.nr = SYS_shmget,
                          .arg = {IPC_PRIVATE, 2 * M2, IPC_CREAT | SHM_HUGETLB | 0600}};
    mm_hugetlb_set(w->sys, MM_HUGETLB_2M, 3);
    assert_int_equal(asked(w, c, 7), 0);
    assert_int_equal(promised(w), 2);
    assert_int_equal(asked(w, c, 8), -ENOMEM);
    told(w, 0x20000000, SYS_shmat, 7, 0, 0);
    told(w, 0, SYS_shmctl, 7, IPC_RMID, 0);
    assert_int_equal(promised(w), 2);
    told(w, 0, SYS_shmdt, 0x20000000, 0, 0);
    assert_int_equal(promised(w), 0);
    c.asked = true;
    c.result = 9;
    mm_hugetlb_set(w->sys, MM_HUGETLB_2M, 0);
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    assert_int_equal(STAT(&w->stats, div_hugetlb), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_attached_segment_is_shared_memory_of_its_size),
        T(rights_of_an_attachment_follow_its_flags),
        T(a_segment_stays_until_removed_and_detached_in_either_order),
        T(a_removed_segment_can_be_attached_while_somebody_has_it),
        T(detaching_leaves_neighbours_and_takes_what_a_munmap_left),
        T(a_segment_of_another_process_is_left_to_its_accesses),
        T(a_memfd_goes_with_its_last_descriptor_and_mapping_in_either_order),
        T(rounds_of_memfds_fill_no_memory),
        T(a_duplicated_descriptor_keeps_the_memory),
        T(a_descriptor_that_is_overwritten_is_closed),
        T(close_range_closes_what_lies_in_it),
        T(a_memfd_mapped_again_lives_on),
        T(huge_pages_are_granted_from_the_models_pool),
        T(flags_of_anonymous_huge_pages_are_judged_as_those_of_a_file),
        T(a_grant_that_cannot_be_kept_is_counted),
        T(a_file_of_huge_pages_is_known_by_its_record),
        T(a_segment_of_huge_pages_is_promised_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
