/* test_task.c: what threads cost the modelled kernel in frames. */
#include "kern/kern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct bench {
    struct conf conf;
    struct stat_set stats;
    struct arch_outbox outbox;
    struct phys *phys;
    struct kern *kern;
};

static void bench_open(struct bench *b, const char *size)
{
    char err[256];
    memset(b, 0, sizeof *b);
    conf_init(&b->conf);
    assert_int_equal(conf_set(&b->conf, "phys.size", size, err, sizeof err), 0);
    assert_int_equal(arch_outbox_open(&b->outbox), 0);
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(kern_open(&b->kern, &b->conf, b->phys, NULL, &b->stats, &b->outbox), 0);
}

static void bench_close(struct bench *b)
{
    kern_close(b->kern);
    assert_int_equal(phys_audit(b->phys), 0);
    phys_close(b->phys);
    arch_outbox_close(&b->outbox);
}

static uint64_t owned(const struct bench *b, enum frame_owner o)
{
    return phys_owner_frames(b->phys, o);
}

static void a_thread_has_a_kernel_stack_of_16_kib(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "64M");
    for (uint32_t tid = 1; tid <= 10; tid++) {
        assert_int_equal(kern_task_new(b.kern, tid), 0);
        assert_int_equal(owned(&b, FRAME_KERNEL_STACK), 4 * tid);
    }
    bench_close(&b);
}

static void three_task_structures_share_a_slab_of_32_kib(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "64M");
    uint64_t before = owned(&b, FRAME_SLAB);
    for (uint32_t n = 1; n <= 10; n++) {
        assert_int_equal(kern_task_new(b.kern, n), 0);
        assert_int_equal(owned(&b, FRAME_SLAB) - before, 8 * ((n + 2) / 3));
    }
    bench_close(&b);
}

/* But for two stacks that the CPU keeps (NR_CACHED_STACKS), and the second page table of the vmalloc
 * area: 100 areas of 32 KiB are more than 2 MiB. */
static void exits_in_any_order_give_every_frame_back(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "64M");
    uint64_t free_before = owned(&b, FRAME_FREE);
    for (uint32_t tid = 0; tid < 100; tid++)
        assert_int_equal(kern_task_new(b.kern, tid), 0);
    for (uint32_t i = 0; i < 100; i++)
        kern_task_exit(b.kern, i * 37 % 100);
    assert_int_equal(owned(&b, FRAME_FREE), free_before - 2 * 4 - 1);
    assert_int_equal(owned(&b, FRAME_KERNEL_STACK), 0);
    assert_int_equal(owned(&b, FRAME_VMALLOC), 2 * 4);
    assert_int_equal(owned(&b, FRAME_PAGE_TABLE), 1);
    bench_close(&b);
}

static void a_freed_object_is_used_before_a_new_slab(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, "64M");
    for (uint32_t tid = 0; tid < 6; tid++)
        assert_int_equal(kern_task_new(b.kern, tid), 0);
    uint64_t full = owned(&b, FRAME_SLAB);
    kern_task_exit(b.kern, 1);
    assert_int_equal(kern_task_new(b.kern, 6), 0);
    assert_int_equal(owned(&b, FRAME_SLAB), full);
    bench_close(&b);
}

static void without_frames_a_thread_is_refused_and_takes_nothing(void **state)
{
    (void)state;
    struct bench b;
    uint32_t n = 0;
    bench_open(&b, "64M");
    while (kern_task_new(b.kern, n) == 0)
        n++;
    assert_true(n > 100);
    uint64_t free_then = owned(&b, FRAME_FREE), slab_then = owned(&b, FRAME_SLAB);
    assert_int_not_equal(kern_task_new(b.kern, n), 0);
    assert_int_equal(owned(&b, FRAME_FREE), free_then);
    assert_int_equal(owned(&b, FRAME_SLAB), slab_then);
    kern_task_exit(b.kern, n); /* the thread that got nothing ends, too */
    assert_int_equal(owned(&b, FRAME_KERNEL_STACK), 4 * n);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_has_a_kernel_stack_of_16_kib),
        cmocka_unit_test(three_task_structures_share_a_slab_of_32_kib),
        cmocka_unit_test(exits_in_any_order_give_every_frame_back),
        cmocka_unit_test(a_freed_object_is_used_before_a_new_slab),
        cmocka_unit_test(without_frames_a_thread_is_refused_and_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
