/* test_exit.c: what a thread that ends leaves in user memory: its id cleared for who waits (kernel/fork.c
 * mm_release, set_tid_address(2)), its robust list read (get_robust_list(2)). */
#include "unit/kern/kern_fixture.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>

#define TID  7u
#define SLOT (AT + 100) /* where the id is */
#define LIST (AT + PAGE_SIZE + 64)

static struct world w;

static int open_world(void **state)
{
    (void)state;
    return world_open(&w, 4) || kern_task_new(w.kern, TID) ? -1 : 0;
}

static int close_world(void **state)
{
    (void)state;
    return world_close(&w);
}

static void call(const struct kern_call *c)
{
    kern_syscall(w.kern, w.mm, c, &w.copies);
    w.copies.n = w.outbox.n = 0;
}

static void clones(uint64_t flags, uint64_t ctid, uint32_t child)
{
    call(&(struct kern_call){
        .nr = SYS_clone, .tid = TID, .arg = {flags, 0, 0, ctid}, .result = child});
}

static void sets_tid_address(uint64_t at)
{
    call(&(struct kern_call){.nr = SYS_set_tid_address, .tid = TID, .arg = {at}, .result = TID});
}

static void sets_robust_list(uint64_t bytes, int64_t result)
{
    call(&(struct kern_call){
        .nr = SYS_set_robust_list, .tid = TID, .arg = {LIST, bytes}, .result = result});
}

static uint32_t release(uint32_t tid, bool shared)
{
    w.copies.n = 0;
    kern_mm_release(w.kern, tid, shared, &w.copies);
    return w.copies.n;
}

static void expect_cleared(uint32_t i, uint64_t at)
{
    assert_int_equal(w.copies.copy[i].addr.v, at);
    assert_int_equal(w.copies.copy[i].bytes, 4);
    assert_true(w.copies.copy[i].store);
    assert_int_equal(w.copies.copy[i].rule, COPY_LAST); /* a bad address is no error */
}

static void the_id_is_cleared_while_others_use_the_memory(void **state)
{
    (void)state;
    sets_tid_address(SLOT);
    assert_int_equal(release(TID, true), 1);
    expect_cleared(0, SLOT);
    assert_int_equal(release(TID, true), 0);
}

static void the_last_thread_clears_nothing(void **state)
{
    (void)state;
    sets_tid_address(SLOT);
    assert_int_equal(release(TID, false), 0);
}

static void the_robust_list_is_read_by_the_last_thread_too(void **state)
{
    (void)state;
    sets_robust_list(sizeof(struct robust_list_head), -ENOSYS); /* as QEMU 7.2 answers */
    assert_int_equal(release(TID, false), 1);
    assert_int_equal(w.copies.copy[0].addr.v, LIST);
    assert_int_equal(w.copies.copy[0].bytes, sizeof(struct robust_list_head));
    assert_false(w.copies.copy[0].store);
}

static void a_list_of_another_size_is_none(void **state)
{
    (void)state;
    sets_robust_list(16, -EINVAL);
    assert_int_equal(release(TID, true), 0);
}

static void a_thread_has_the_address_its_clone_named_whoever_is_read_first(void **state)
{
    (void)state;
    const uint64_t flags = CLONE_VM | CLONE_THREAD | CLONE_CHILD_CLEARTID;
    assert_int_equal(kern_task_new(w.kern, 8), 0); /* it begins, then clone returns */
    clones(flags, SLOT, 8);
    clones(flags, SLOT + 8, 9); /* clone returns, then it begins */
    assert_int_equal(kern_task_new(w.kern, 9), 0);
    assert_int_equal(kern_task_new(w.kern, 10), 0); /* nobody spoke of this one */
    assert_int_equal(release(8, true), 1);
    expect_cleared(0, SLOT);
    assert_int_equal(release(9, true), 1);
    expect_cleared(0, SLOT + 8);
    assert_int_equal(release(10, true), 0);
}

static void a_child_inherits_neither(void **state)
{
    (void)state;
    sets_tid_address(SLOT);
    sets_robust_list(sizeof(struct robust_list_head), 0);
    assert_non_null(kern_proc_fork(w.kern, 20));
    clones(SIGCHLD, SLOT, 20);
    assert_int_equal(release(20, true), 0);
    assert_int_equal(release(TID, true), 2);
}

static void exec_forgets_both(void **state)
{
    (void)state;
    sets_tid_address(SLOT);
    sets_robust_list(sizeof(struct robust_list_head), 0);
    kern_proc_exec(w.kern, TID);
    assert_int_equal(release(TID, true), 0);
}

/* -- vmsplice: pages go into the pipe as they are */

static void splices(unsigned open_flags, int64_t result)
{
    static const struct kern_iovec iov[2] = {{AT, PAGE_SIZE}, {AT + PAGE_SIZE, 2 * PAGE_SIZE}};
    w.copies.n = 0;
    kern_syscall(w.kern, w.mm,
                 &(struct kern_call){.nr = SYS_vmsplice,
                                     .tid = TID,
                                     .arg = {3, AT + 3 * PAGE_SIZE, 2},
                                     .result = result,
                                     .iov = iov,
                                     .n_iov = 2,
                                     .iov_arg = 1,
                                     .file = {.present = true, .fd = 3, .open_flags = open_flags}},
                 &w.copies);
    w.outbox.n = 0;
}

static void vmsplice_makes_the_pages_present_and_copies_nothing(void **state)
{
    (void)state;
    uint64_t before = STAT(&w.stats, pgfault);
    splices(O_WRONLY, PAGE_SIZE + 100); /* all that the pipe took */
    assert_int_equal(STAT(&w.stats, pgfault) - before, 2);
    assert_int_equal(w.copies.n, 1);
    assert_int_equal(w.copies.copy[0].addr.v, AT + 3 * PAGE_SIZE); /* the array */
    splices(O_WRONLY, 3 * PAGE_SIZE);
    assert_int_equal(STAT(&w.stats, pgfault) - before, 3);
}

static void vmsplice_out_of_a_pipe_copies(void **state)
{
    (void)state;
    uint64_t before = STAT(&w.stats, pgfault);
    splices(O_RDONLY, PAGE_SIZE + 100);
    assert_int_equal(STAT(&w.stats, pgfault), before);
    assert_int_equal(w.copies.n, 3);
    assert_true(w.copies.copy[1].store && w.copies.copy[2].store);
    assert_int_equal(w.copies.copy[2].bytes, 100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_id_is_cleared_while_others_use_the_memory),
        TEST(the_last_thread_clears_nothing),
        TEST(the_robust_list_is_read_by_the_last_thread_too),
        TEST(a_list_of_another_size_is_none),
        TEST(a_thread_has_the_address_its_clone_named_whoever_is_read_first),
        TEST(a_child_inherits_neither),
        TEST(exec_forgets_both),
        TEST(vmsplice_makes_the_pages_present_and_copies_nothing),
        TEST(vmsplice_out_of_a_pipe_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
