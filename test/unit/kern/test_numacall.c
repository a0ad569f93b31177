/* test_numacall.c: NUMA calls of a program, whose emulator answers ENOSYS to them, reach the model
 * with what their arguments point to. */
#include "unit/kern/kern_fixture.h"

#define MASK UINT64_C(0x7000000) /* where the program's mask lies */

static int open_world(void **state)
{
    static struct world w;
    *state = &w;
    return world_open(&w, 16);
}

static int close_world(void **state)
{
    return world_close(*state);
}

static const uint64_t node0[1] = {1}, node1[1] = {2};

/* call sends one call whose mask lies at MASK; NULL: the front end could not read it. */
static int call(struct world *w, int64_t result, uint64_t nr, const uint64_t arg[6],
                const uint64_t *mask)
{
    struct kern_call c = {.nr = nr, .result = result};
    memcpy(c.arg, arg, sizeof(c.arg));
    c.bytes = (const uint8_t *)mask;
    c.bytes_addr = MASK;
    c.n_bytes = mask ? 8 : 0;
    return kern_syscall(w->kern, w->mm, &c, &w->copies);
}

static const char *policy(const struct world *w, uint64_t a)
{
    static char text[MPOL_STR_LEN];
    mm_numa_policy(w->mm, mm_vma_at(w->mm, va(a)), text, sizeof(text));
    return text;
}

static uint64_t divergences(const struct world *w)
{
    return STAT(&w->stats, div_syscall_answer);
}

static void mbind_takes_hold_although_the_emulator_lacks_it(void **state)
{
    struct world *w = *state;
    const uint64_t arg[6] = {AT + 4096, 4096, MPOL_BIND, MASK, 64, 0};
    assert_int_equal(call(w, -ENOSYS, SYS_mbind, arg, node0), 1);
    assert_string_equal(policy(w, AT), "default");
    assert_string_equal(policy(w, AT + 4096), "bind:0");
    assert_int_equal(divergences(w), 1);
    assert_int_equal(w->copies.n, 0);
}

static void where_the_call_exists_only_other_answers_are_divergences(void **state)
{
    struct world *w = *state;
    const uint64_t arg[6] = {AT, 4096, MPOL_BIND, MASK, 64, 0};
    call(w, 0, SYS_mbind, arg, node0);
    assert_int_equal(divergences(w), 0);
    call(w, -EINVAL, SYS_mbind, arg, node1);
    assert_int_equal(divergences(w), 0);
    call(w, 0, SYS_mbind, arg, node1);
    assert_int_equal(divergences(w), 1);
}

static void a_mask_nobody_could_read_is_a_bad_address(void **state)
{
    struct world *w = *state;
    const uint64_t arg[6] = {AT, 4096, MPOL_BIND, MASK, 64, 0};
    call(w, -EFAULT, SYS_mbind, arg, NULL);
    assert_int_equal(divergences(w), 0);
    assert_string_equal(policy(w, AT), "default");
}

static void the_task_policy_comes_from_set_mempolicy(void **state)
{
    struct world *w = *state;
    const uint64_t arg[6] = {MPOL_INTERLEAVE, MASK, 64};
    call(w, -ENOSYS, SYS_set_mempolicy, arg, node0);
    assert_string_equal(policy(w, AT), "interleave:0");
    const uint64_t off[6] = {MPOL_DEFAULT, 0, 0};
    call(w, -ENOSYS, SYS_set_mempolicy, off, NULL);
    assert_string_equal(policy(w, AT), "default");
}

static void home_nodes_reach_the_model(void **state)
{
    struct world *w = *state;
    const uint64_t bind[6] = {AT, 8192, MPOL_BIND, MASK, 64, 0};
    const uint64_t home[6] = {AT, 4096, 0, 0};
    call(w, -ENOSYS, SYS_mbind, bind, node0);
    call(w, -ENOSYS, SYS_set_mempolicy_home_node, home, NULL);
    assert_int_equal(mm_vma_at(w->mm, va(AT))->policy->home_node, 0);
    assert_int_equal(mm_vma_at(w->mm, va(AT + 4096))->policy->home_node, NUMA_NO_NODE);
}

static void both_masks_of_migrate_pages_are_read(void **state)
{
    struct world *w = *state;
    struct kern_call c = {.nr = SYS_migrate_pages,
                          .arg = {0, 64, MASK, MASK + 8},
                          .result = -EINVAL,
                          .bytes = (const uint8_t *)node0,
                          .bytes_addr = MASK + 8,
                          .n_bytes = 8};
    kern_syscall(w->kern, w->mm, &c, &w->copies); /* from: not read */
    assert_int_equal(divergences(w), 1);          /* -EFAULT, not -EINVAL */
    c.earlier = (const uint8_t *)node1;
    c.earlier_addr = MASK;
    c.n_earlier = 8;
    c.result = 0;
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    assert_int_equal(divergences(w), 1);
    c.arg[0] = 4711; /* another process: not modelled */
    c.result = 5;
    assert_int_equal(kern_syscall(w->kern, w->mm, &c, &w->copies), 0);
    assert_int_equal(divergences(w), 1);
}

static void move_pages_reads_addresses_and_nodes(void **state)
{
    struct world *w = *state;
    const uint64_t pages[2] = {AT, 8};
    const int32_t nodes[2] = {0, 5};
    struct kern_call c = {.nr = SYS_move_pages,
                          .arg = {0, 2, MASK, MASK + 64, MASK + 128, MPOL_MF_MOVE},
                          .result = -ENODEV,
                          .earlier = (const uint8_t *)pages,
                          .earlier_addr = MASK,
                          .n_earlier = sizeof(pages),
                          .bytes = (const uint8_t *)nodes,
                          .bytes_addr = MASK + 64,
                          .n_bytes = sizeof(nodes)};
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    assert_int_equal(divergences(w), 0);
    c.arg[3] = 0;
    c.result = 0;
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    assert_int_equal(divergences(w), 0);
}

static void get_mempolicy_is_only_compared(void **state)
{
    struct world *w = *state;
    const uint64_t arg[6] = {MASK, 0, 0, AT, MPOL_F_NODE | MPOL_F_ADDR};
    struct mm_counters before, after;
    mm_counters(w->mm, &before);
    call(w, -ENOSYS, SYS_get_mempolicy, arg, NULL);
    mm_counters(w->mm, &after);
    assert_int_equal(after.minflt, before.minflt);
    call(w, 0, SYS_get_mempolicy, arg, NULL);
    mm_counters(w->mm, &after);
    assert_int_equal(after.minflt, before.minflt + 1); /* get_user_pages touches it */
    assert_int_equal(divergences(w), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        T(mbind_takes_hold_although_the_emulator_lacks_it),
        T(where_the_call_exists_only_other_answers_are_divergences),
        T(a_mask_nobody_could_read_is_a_bad_address),
        T(the_task_policy_comes_from_set_mempolicy),
        T(home_nodes_reach_the_model),
        T(both_masks_of_migrate_pages_are_read),
        T(move_pages_reads_addresses_and_nodes),
        T(get_mempolicy_is_only_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
