/* test_entry.c: footprints: everything they touch is mapped, and they are as large as documented. */
#include "kern_fixture.h"

#include "kern/entry.h"

#include "kern/kern_int.h"

#include <stdio.h>

static void boot(struct world *w, const char *const *options)
{
    char err[256], key[64];
    memset(w, 0, sizeof *w);
    conf_init(&w->conf);
    w->conf.phys_size = MIB(256);
    for (; *options; options++) {
        const char *eq = strchr(*options, '=');
        snprintf(key, sizeof key, "%.*s", (int)(eq - *options), *options);
        assert_int_equal(conf_set(&w->conf, key, eq + 1, err, sizeof err), 0);
    }
    assert_int_equal(arch_outbox_open(&w->outbox), 0);
    assert_int_equal(phys_open(&w->phys, &w->conf, &w->stats), 0);
    assert_int_equal(mm_sys_open(&w->sys, &w->conf, w->phys, &w->stats, &w->outbox), 0);
    assert_int_equal(kern_open(&w->kern, &w->conf, w->phys, w->sys, &w->stats, &w->outbox), 0);
    assert_int_equal(mm_open(&w->mm, w->sys), 0);
}

static void power_off(struct world *w)
{
    assert_int_equal(kern_memory_audit(w->kern), 0);
    assert_int_equal(mm_audit(w->mm), 0);
    mm_close(w->mm);
    kern_close(w->kern);
    mm_sys_close(w->sys);
    phys_close(w->phys);
    arch_outbox_close(&w->outbox);
}

/* check wants each page to be one that the process's tables map, as that kind of access needs it. Returns
 * the lines touched. */
static unsigned check(struct world *w, const struct kern_touch *t, uint32_t n)
{
    unsigned lines = 0;
    assert_true(n <= KERN_TOUCHES_MAX);
    for (uint32_t i = 0; i < n; i++) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(w->mm), t[i].page, &level);
        assert_true(vaddr_is_kernel(t[i].page));
        assert_int_equal(t[i].page.v % PAGE_SIZE, 0);
        assert_non_null(e);
        assert_true(pte_present(*e));
        if (t[i].kind == TOUCH_STORE)
            assert_true(e->v & PTE_RW);
        if (t[i].kind == TOUCH_FETCH)
            assert_false(e->v & PTE_NX);
        lines += (unsigned)__builtin_popcountll(t[i].lines);
    }
    return lines;
}

/* The table at the head of entry.c. */
static const struct {
    unsigned text, pages, data;
} want[ENTRY_NR] = {
    [ENTRY_SYSCALL] = {25, 9, 4 + 3 + 3},        [ENTRY_CALL] = {26, 11, 4 + 1 + 4},
    [ENTRY_FAULT] = {226, 50, 20 + 3 + 12 + 16}, [ENTRY_TIMER] = {155, 28, 4 + 8 + 3 + 24 + 6},
    [ENTRY_IPI] = {45, 10, 4 + 4 + 3 + 4 + 1},   [ENTRY_SWITCH] = {142, 13, 6 + 12 + 20},
    [ENTRY_NMI] = {49, 12, 1 + 8 + 11 + 1},      [ENTRY_DF] = {17, 6, 8 + 2},
};

static void footprints_are_mapped_and_as_large_as_documented(void **state)
{
    (void)state;
    static const char *const options[][4] = {
        {"mmu.levels=4", NULL},
        {"mmu.levels=5", "kernel.kaslr=on", NULL},
        {"kernel.stack=two_pages", "kernel.irq_stack=one_page", "cpu.cores=3", NULL},
        {"kernel.stack=one_page", "kernel.irq_stack=task", NULL},
        {"phys.kernel_image=1M", "mmu.1g=off", NULL},
    };
    for (unsigned o = 0; o < ARRAY_LEN(options); o++) {
        struct world w;
        struct kern_touch t[KERN_TOUCHES_MAX];
        boot(&w, options[o]);
        for (uint32_t tid = 1; tid <= 7; tid++)
            assert_int_equal(kern_task_new(w.kern, tid), 0);
        for (unsigned e = 0; e < ENTRY_NR; e++)
            for (unsigned cpu = 0; cpu < w.conf.cpu_cores; cpu++)
                for (uint32_t tid = 1; tid <= 7; tid += 3) {
                    uint32_t n = kern_entry_text(w.kern, e, tid * 50, t);
                    assert_int_equal(check(&w, t, n), want[e].text);
                    assert_int_equal(n, want[e].pages);
                    n = kern_entry_data(w.kern, e, cpu, tid, t);
                    assert_int_equal(check(&w, t, n), want[e].data);
                }
        power_off(&w);
    }
}

/* The stacks of the IST in cpu_entry_area (asm/cpu_entry_area.h): each CPU's pages 8 and 9 for double faults,
 * 11 and 12 for NMIs; frames lie below their ends. */
static void nmi_and_double_fault_begin_on_stacks_of_their_cpu(void **state)
{
    (void)state;
    struct world w;
    struct kern_touch t[KERN_TOUCHES_MAX];
    const uint64_t area = UINT64_C(0xfffffe0000000000) + PAGE_SIZE;
    boot(&w, (const char *const[]){"cpu.cores=2", NULL});
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        uint64_t first = area + cpu * 59 * PAGE_SIZE;
        assert_true(kern_entry_data(w.kern, ENTRY_NMI, cpu, 0, t) > 0);
        assert_int_equal(t[0].page.v, first + 12 * PAGE_SIZE);
        assert_int_equal(t[0].lines, UINT64_C(1) << 63);
        assert_true(kern_entry_data(w.kern, ENTRY_DF, cpu, 0, t) > 0);
        assert_int_equal(t[0].page.v, first + 9 * PAGE_SIZE);
        assert_int_equal(t[0].lines, UINT64_C(0xff) << 56);
    }
    power_off(&w);
}

static void a_thread_the_kernel_does_not_know_has_no_stack_and_no_task(void **state)
{
    (void)state;
    struct world w;
    struct kern_touch t[KERN_TOUCHES_MAX];
    boot(&w, (const char *const[]){NULL});
    assert_int_equal(check(&w, t, kern_entry_data(w.kern, ENTRY_FAULT, 0, 99, t)), 3 + 12);
    assert_int_equal(kern_enter(w.kern, ENTRY_FAULT, 99), 0);
    kern_deepen(w.kern, 99, STEP_SWAP_OUT);
    kern_interrupt(w.kern, 0, 99);
    power_off(&w);
}

static void two_threads_share_text_and_have_their_own_stacks(void **state)
{
    (void)state;
    struct world w;
    struct kern_touch a[KERN_TOUCHES_MAX], b[KERN_TOUCHES_MAX];
    boot(&w, (const char *const[]){NULL});
    assert_int_equal(kern_task_new(w.kern, 1), 0);
    assert_int_equal(kern_task_new(w.kern, 2), 0);
    uint32_t n = kern_entry_data(w.kern, ENTRY_SYSCALL, 0, 1, a);
    assert_int_equal(kern_entry_data(w.kern, ENTRY_SYSCALL, 0, 2, b), n);
    unsigned same = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            if (a[i].page.v == b[j].page.v && a[i].kind == b[j].kind)
                same += (unsigned)__builtin_popcountll(a[i].lines & b[j].lines);
    assert_int_equal(same, 3); /* the CPU's variables */
    power_off(&w);
}

/* Other calls have other code: two that are not the same share no page of it, but for wrapping. */
static void each_call_has_text_of_its_own(void **state)
{
    (void)state;
    struct world w;
    struct kern_touch a[KERN_TOUCHES_MAX], b[KERN_TOUCHES_MAX];
    boot(&w, (const char *const[]){NULL});
    uint32_t n = kern_entry_text(w.kern, ENTRY_CALL, SYS_getppid, a), same = 0;
    assert_int_equal(kern_entry_text(w.kern, ENTRY_CALL, SYS_read, b), n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            same += a[i].page.v == b[j].page.v;
    assert_int_equal(same, 0);
    n = kern_entry_text(w.kern, ENTRY_SYSCALL, SYS_getppid, a); /* the entry is everybody's */
    kern_entry_text(w.kern, ENTRY_SYSCALL, SYS_read, b);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(a[i].page.v, b[i].page.v);
    power_off(&w);
}

static void entries_within_entries_use_the_stack_below(void **state)
{
    (void)state;
    struct world w;
    struct kern_touch a[KERN_TOUCHES_MAX], b[KERN_TOUCHES_MAX];
    boot(&w, (const char *const[]){NULL});
    assert_int_equal(kern_task_new(w.kern, 1), 0);
    kern_entry_data(w.kern, ENTRY_SYSCALL, 0, 1, a);
    uint32_t bytes = kern_enter(w.kern, ENTRY_SYSCALL, 1);
    kern_entry_data(w.kern, ENTRY_SYSCALL, 0, 1, b);
    unsigned top = 63 - (unsigned)__builtin_clzll(a[0].lines);
    unsigned below = 63 - (unsigned)__builtin_clzll(b[0].lines);
    assert_int_equal(a[0].page.v, b[0].page.v);
    assert_int_equal(top - below, (bytes + LINE_SIZE - 1) / LINE_SIZE);
    uint32_t fault = kern_enter(w.kern, ENTRY_FAULT, 1);
    kern_deepen(w.kern, 1, STEP_SWAP_OUT);
    kern_leave(w.kern, 1, fault);
    kern_leave(w.kern, 1, bytes);
    assert_int_equal(STAT(&w.stats, stack_deepest),
                     bytes + fault + stack_use_bytes(USE_RECLAIM) + stack_use_bytes(USE_SWAP));
    power_off(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(footprints_are_mapped_and_as_large_as_documented),
        cmocka_unit_test(nmi_and_double_fault_begin_on_stacks_of_their_cpu),
        cmocka_unit_test(a_thread_the_kernel_does_not_know_has_no_stack_and_no_task),
        cmocka_unit_test(two_threads_share_text_and_have_their_own_stacks),
        cmocka_unit_test(each_call_has_text_of_its_own),
        cmocka_unit_test(entries_within_entries_use_the_stack_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
