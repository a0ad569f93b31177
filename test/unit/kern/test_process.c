/* test_process.c: what a child inherits, what exec and exit take away: fork(2), execve(2), fcntl(2)
 * (FD_CLOEXEC), shmop(2) ("after a fork(2), the child inherits the attached shared memory segments; after
 * an execve(2), all attached shared memory segments are detached"). Frames are counted in the modelled
 * machine. */
#include "unit/kern/shared_fixture.h"

#include "kern/kern_int.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

#define PAGES UINT64_C(16)
#define BYTES (PAGES * 4096)

static uint64_t stacks(const struct world *w)
{
    return phys_owner_frames(w->phys, FRAME_KERNEL_STACK);
}

static void touch_all(struct world *w, uint64_t start)
{
    struct mm_verdict v = {0};
    for (uint64_t i = 0; i < PAGES && v.signal == 0; i++) {
        struct arch_fault f = {.cr2 = va(start + i * 4096), .code = FAULT_U | FAULT_W};
        mm_fault(w->mm, &f, &v);
        w->outbox.n = 0;
    }
    assert_int_equal(v.signal, 0);
}

/* memfd makes one of PAGES pages as descriptor `fd`; nothing maps it afterwards, so it lives as long as
 * a descriptor does. */
static void memfd(struct world *w, int fd, uint64_t ino, uint64_t flags)
{
    struct kern_call c = {.nr = SYS_mmap,
                          .arg = {0, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, (uint64_t)fd},
                          .result = (int64_t)AT};
    c.file = (struct kern_file){.present = true,
                                .fd = fd,
                                .dev = 1,
                                .ino = ino,
                                .size = BYTES,
                                .mode = S_IFREG,
                                .open_flags = O_RDWR,
                                .path = "/memfd:x (deleted)"};
    uint64_t before = shmem(w);
    told(w, fd, SYS_memfd_create, 0, flags, 0);
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    touch_all(w, AT);
    told(w, 0, SYS_munmap, AT, BYTES, 0);
    assert_int_equal(shmem(w), before + PAGES);
}

static struct kern_proc *fork_as(struct world *w, uint32_t tid)
{
    struct kern_proc *p = kern_proc_fork(w->kern, tid);
    assert_non_null(p);
    return p;
}

/* -- descriptors */

static void a_file_in_memory_lives_until_the_childs_copy_is_closed_too(void **state)
{
    struct world *w = *state;
    struct kern_proc *parent = kern_current(w->kern);
    memfd(w, 3, 100, 0);
    struct kern_proc *child = fork_as(w, 2);
    told(w, 0, SYS_close, 3, 0, 0);
    assert_int_equal(shmem(w), PAGES);
    kern_switch(w->kern, child);
    told(w, 0, SYS_close, 3, 0, 0);
    assert_int_equal(shmem(w), 0);
    kern_switch(w->kern, parent);
}

static void what_a_child_does_to_its_descriptors_leaves_the_parents_alone(void **state)
{
    struct world *w = *state;
    struct kern_proc *parent = kern_current(w->kern);
    memfd(w, 3, 100, 0);
    struct kern_proc *child = fork_as(w, 2);
    kern_switch(w->kern, child);
    told(w, 0, SYS_close, 3, 0, 0);
    assert_int_equal(shmem(w), PAGES);
    kern_switch(w->kern, parent);
    told(w, 0, SYS_close, 3, 0, 0);
    assert_int_equal(shmem(w), 0);
}

static void a_copied_descriptor_is_the_same_open_file(void **state)
{
    struct world *w = *state;
    told(w, 5, SYS_openat, (uint64_t)AT_FDCWD, AT, O_RDONLY);
    uint64_t id = opened_id(w->kern, 5);
    kern_switch(w->kern, fork_as(w, 2));
    assert_int_equal(opened_id(w->kern, 5), id);
    told(w, 5, SYS_openat, (uint64_t)AT_FDCWD, AT, O_RDONLY);
    assert_int_not_equal(opened_id(w->kern, 5), id);
}

static void exit_closes_what_is_open(void **state)
{
    struct world *w = *state;
    struct kern_proc *parent = kern_current(w->kern);
    struct kern_proc *child = fork_as(w, 2);
    kern_switch(w->kern, child);
    memfd(w, 3, 100, 0);
    kern_proc_exit(w->kern, child);
    assert_int_equal(shmem(w), 0);
    kern_switch(w->kern, parent);
}

/* After exec only those without FD_CLOEXEC keep their file alive. Each way to set it, and to clear it. */
static void exec_closes_what_is_marked_close_on_exec(void **state)
{
    struct world *w = *state;
    memfd(w, 3, 103, 1 /* MFD_CLOEXEC */);
    memfd(w, 4, 104, 0);
    memfd(w, 5, 105, 0);
    told(w, 0, SYS_fcntl, 5, F_SETFD, FD_CLOEXEC);
    memfd(w, 6, 106, 1);
    told(w, 0, SYS_fcntl, 6, F_SETFD, 0);
    memfd(w, 7, 107, 0);
    told(w, 0, SYS_ioctl, 7, FIOCLEX, 0);
    memfd(w, 8, 108, 0);
    told(w, 0, SYS_close_range, 8, 8, CLOSE_RANGE_CLOEXEC);
    memfd(w, 9, 109, 1);
    told(w, 10, SYS_dup3, 9, 10, O_CLOEXEC);
    memfd(w, 11, 111, 1);
    told(w, 12, SYS_dup, 11, 0, 0); /* without: dup(2) */
    memfd(w, 13, 113, 1);
    told(w, 14, SYS_fcntl, 13, F_DUPFD_CLOEXEC, 14);
    assert_int_equal(shmem(w), 9 * PAGES);
    kern_proc_exec(w->kern, 1);
    assert_int_equal(shmem(w), 3 * PAGES); /* 4, 6, 12 */
    for (unsigned i = 0; i < 3; i++)
        told(w, 0, SYS_close, (const uint64_t[]){4, 6, 12}[i], 0, 0);
    assert_int_equal(shmem(w), 0);
}

/* -- tasks */

static void a_child_has_a_kernel_stack_until_it_ends(void **state)
{
    struct world *w = *state;
    struct kern_proc *parent = kern_current(w->kern);
    uint64_t slab = phys_owner_frames(w->phys, FRAME_SLAB);
    struct kern_proc *child[20];
    for (uint32_t i = 0; i < 20; i++)
        child[i] = fork_as(w, 2 + i);
    assert_int_equal(stacks(w), 20 * 4);
    for (uint32_t i = 0; i < 20; i++)
        kern_proc_exit(w->kern, child[i]);
    kern_switch(w->kern, parent);
    assert_int_equal(stacks(w), 0);
    assert_int_equal(phys_owner_frames(w->phys, FRAME_SLAB), slab);
}

static void exec_leaves_one_thread_which_has_the_process_id(void **state)
{
    struct world *w = *state;
    for (uint32_t tid = 7; tid < 12; tid++)
        assert_int_equal(kern_task_new(w->kern, tid), 0);
    struct kern_proc *child = fork_as(w, 40);
    assert_int_equal(stacks(w), 6 * 4);
    kern_proc_exec(w->kern, 7);
    assert_int_equal(stacks(w), 2 * 4); /* the child's is not ours to end */
    kern_task_exit(w->kern, 7);
    assert_int_equal(stacks(w), 4);
    kern_proc_exit(w->kern, child);
    assert_int_equal(stacks(w), 0);
}

/* -- address spaces */

static void an_attached_segment_is_the_childs_too_and_goes_with_the_last_of_them(void **state)
{
    struct world *w = *state;
    struct mm *parent = w->mm, *child, *image;
    told(w, 7, SYS_shmget, IPC_PRIVATE, BYTES, 0600 | IPC_CREAT);
    told(w, (int64_t)AT, SYS_shmat, 7, 0, 0);
    touch_all(w, AT);
    told(w, 0, SYS_shmctl, 7, IPC_RMID, 0);
    assert_int_equal(mm_fork(&child, parent), 0);
    told(w, 0, SYS_shmdt, AT, 0, 0);
    assert_int_equal(shmem(w), PAGES);
    w->mm = child;
    touch_all(w, AT);
    assert_int_equal(mm_exec(&image, child), 0);
    mm_put(child);
    assert_int_equal(shmem(w), 0); /* exec detached it */
    mm_put(image);
    w->mm = parent;
}

static void a_shared_address_space_goes_with_its_last_process(void **state)
{
    struct world *w = *state;
    struct mm *m;
    assert_int_equal(mm_open(&m, w->sys), 0);
    uint64_t tables = phys_owner_frames(w->phys, FRAME_PAGE_TABLE);
    mm_get(m);
    mm_put(m);
    assert_int_equal(phys_owner_frames(w->phys, FRAME_PAGE_TABLE), tables);
    mm_put(m);
    assert_true(phys_owner_frames(w->phys, FRAME_PAGE_TABLE) < tables);
}

static void exec_keeps_the_limits_and_the_name_of_the_task(void **state)
{
    struct world *w = *state;
    struct mm *m;
    mm_set_rlimit(w->mm, MM_RLIM_AS, (struct mm_rlimit){MIB(3), MIB(4)});
    mm_thp_disable(w->mm, true, false);
    assert_int_equal(mm_exec(&m, w->mm), 0);
    assert_int_equal(mm_task(m)->rlimit[MM_RLIM_AS].cur, MIB(3));
    assert_int_equal(mm_task(m)->pid, mm_task(w->mm)->pid);
    assert_int_equal(mm_thp_disabled(m), 1);
    mm_put(m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(a_file_in_memory_lives_until_the_childs_copy_is_closed_too),
        TEST(what_a_child_does_to_its_descriptors_leaves_the_parents_alone),
        TEST(a_copied_descriptor_is_the_same_open_file),
        TEST(exit_closes_what_is_open),
        TEST(exec_closes_what_is_marked_close_on_exec),
        TEST(a_child_has_a_kernel_stack_until_it_ends),
        TEST(exec_leaves_one_thread_which_has_the_process_id),
        TEST(an_attached_segment_is_the_childs_too_and_goes_with_the_last_of_them),
        TEST(a_shared_address_space_goes_with_its_last_process),
        TEST(exec_keeps_the_limits_and_the_name_of_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
