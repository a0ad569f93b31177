/* test_stack.c: kernel stacks: frames and addresses by Linux's rules, depths by sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kern/stack.h"

#include <string.h>

struct boot {
    struct conf conf;
    struct stat_set stats;
    struct arch_outbox outbox;
    struct phys *phys;
    struct kern_layout l;
    struct kern_stacks s;
};

static void boot(struct boot *b, const char *stack, const char *irq, uint64_t cpus)
{
    char err[256];
    memset(b, 0, sizeof *b);
    conf_init(&b->conf);
    b->conf.phys_size = MIB(128);
    b->conf.cpu_cores = cpus;
    assert_int_equal(conf_set(&b->conf, "kernel.stack", stack, err, sizeof err), 0);
    assert_int_equal(conf_set(&b->conf, "kernel.irq_stack", irq, err, sizeof err), 0);
    assert_int_equal(arch_outbox_open(&b->outbox), 0);
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(layout_open(&b->l, b->phys, &b->conf, KPTI_OFF), 0);
    assert_int_equal(stacks_open(&b->s, &b->l, &b->conf, &b->stats, &b->outbox), 0);
    layout_booted(&b->l);
}

static void power_off(struct boot *b)
{
    assert_int_equal(stacks_audit(&b->s), 0);
    assert_int_equal(layout_audit(&b->l, 46), 0);
    stacks_close(&b->s);
    layout_close(&b->l);
    assert_int_equal(phys_audit(b->phys), 0);
    assert_int_equal(phys_owner_frames(b->phys, FRAME_VMALLOC), 0);
    phys_close(b->phys);
    arch_outbox_close(&b->outbox);
}

static const pte *entry(struct boot *b, uint64_t a)
{
    unsigned level;
    return pt_leaf(&b->l.pt, va(a), &level);
}

/* -- where */

static void a_stack_of_16_kib_lies_above_an_unmapped_page(void **state)
{
    (void)state;
    struct boot b;
    struct kern_stack k[70];
    boot(&b, "vmap16", "own", 2);
    for (unsigned n = 0; n < 70; n++) { /* more than one page table has room for */
        assert_int_equal(stack_alloc(&b.s, 0, &k[n]), 0);
        assert_int_equal(k[n].base.v % KIB(16), 0); /* THREAD_ALIGN */
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(pte_pfn(*entry(&b, k[n].base.v + i * PAGE_SIZE)).v, k[n].frame[i].v);
        assert_null(entry(&b, k[n].base.v - 1));
        assert_int_equal(stack_audit(&b.s, &k[n]), 0);
    }
    assert_int_equal(phys_owner_frames(b.phys, FRAME_KERNEL_STACK), 280);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_TABLE), 1);
    for (unsigned n = 0; n < 70; n++)
        stack_free(&b.s, 0, &k[n]);
    power_off(&b);
}

static void interrupt_stacks_of_16_kib_lie_above_unmapped_pages(void **state)
{
    (void)state;
    struct boot b;
    boot(&b, "vmap16", "own", 3);
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        uint64_t base = b.s.irq[cpu].base.v;
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(pte_pfn(*entry(&b, base + i * PAGE_SIZE)).v, b.l.cpu[cpu].irq[i].v);
        assert_null(entry(&b, base - 1));
        assert_null(entry(&b, base + KIB(16)));
        assert_int_equal(stack_irq_top(&b.s, cpu, NULL).v, base + KIB(16));
    }
    power_off(&b);
}

static void historical_stacks_lie_in_the_direct_map(void **state)
{
    (void)state;
    static const char *const kind[] = {"two_pages", "one_page"};
    for (unsigned i = 0; i < 2; i++) {
        struct boot b;
        struct kern_stack k;
        boot(&b, kind[i], "task", 1);
        assert_int_equal(stack_bytes(&b.s), i == 0 ? 8192 : 4096);
        assert_int_equal(stack_alloc(&b.s, 0, &k), 0);
        assert_int_equal(k.base.v, b.l.page_offset + k.frame[0].v * PAGE_SIZE);
        assert_int_equal(phys_owner_frames(b.phys, FRAME_KERNEL_STACK), 2 - i);
        if (i == 0)
            assert_int_equal(k.frame[1].v, k.frame[0].v + 1);
        assert_non_null(entry(&b, k.base.v - 1)); /* nothing guards it */
        stack_free(&b.s, 0, &k);
        assert_int_equal(phys_owner_frames(b.phys, FRAME_KERNEL_STACK), 0);
        power_off(&b);
    }
}

/* -- caching */

static void each_cpu_keeps_two_stacks_for_the_next_tasks(void **state)
{
    (void)state;
    struct boot b;
    struct kern_stack k[3], again[3];
    boot(&b, "vmap16", "own", 2);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(stack_alloc(&b.s, 1, &k[i]), 0);
    uint64_t bases[] = {k[0].base.v, k[1].base.v, k[2].base.v};
    for (unsigned i = 0; i < 3; i++)
        stack_free(&b.s, 1, &k[i]);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_VMALLOC), 8);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_KERNEL_STACK), 0);
    assert_int_equal(stacks_audit(&b.s), 0);
    assert_int_equal(stack_alloc(&b.s, 0, &again[0]), 0); /* another CPU has none */
    assert_true(again[0].base.v > bases[2]);
    assert_int_equal(stack_alloc(&b.s, 1, &again[1]), 0);
    assert_int_equal(stack_alloc(&b.s, 1, &again[2]), 0);
    assert_int_equal(again[1].base.v, bases[0]);
    assert_int_equal(again[2].base.v, bases[1]);
    for (unsigned i = 0; i < 3; i++)
        stack_free(&b.s, 0, &again[i]);
    power_off(&b);
}

/* lazy_max_pages: 32 MiB × fls(CPUs); an area counts 5 pages. One CPU: 8192 / 5 areas may wait. */
static void addresses_are_used_again_only_after_all_tlbs_were_flushed(void **state)
{
    (void)state;
    struct boot b;
    struct kern_stack k[3];
    boot(&b, "vmap16", "own", 1);
    uint64_t highest = 0;
    for (unsigned round = 1; round <= 1639; round++) {
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(stack_alloc(&b.s, 0, &k[i]), 0);
        assert_true(k[2].base.v > highest); /* the two kept come first, the third is new */
        highest = k[2].base.v;
        assert_int_equal(b.outbox.n, 0);
        for (unsigned i = 0; i < 3; i++)
            stack_free(&b.s, 0, &k[i]);
    }
    assert_int_equal(b.outbox.n, 1);
    assert_int_equal(b.outbox.msg[0].kind, ARCH_FLUSH_KERNEL);
    assert_true(b.outbox.msg[0].a <= b.s.kept[0].base.v && b.outbox.msg[0].b > highest);
    assert_int_equal(STAT(&b.stats, stack_purges), 1);
    assert_int_equal(stacks_audit(&b.s), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(stack_alloc(&b.s, 0, &k[i]), 0);
    assert_true(k[2].base.v <= highest);
    for (unsigned i = 0; i < 3; i++)
        stack_free(&b.s, 0, &k[i]);
    power_off(&b);
}

static void without_frames_no_stack_and_nothing_lost(void **state)
{
    (void)state;
    struct boot b;
    struct kern_stack k[9000];
    unsigned n = 0;
    boot(&b, "vmap16", "own", 1);
    phys_fail_every(b.phys, 7);
    for (unsigned i = 0; i < 4000; i++)
        n += stack_alloc(&b.s, 0, &k[n]) == 0;
    assert_true(n > 1000 && n < 4000);
    phys_fail_every(b.phys, 0);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_KERNEL_STACK), 4 * n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(stack_audit(&b.s, &k[i]), 0);
    while (n > 0)
        stack_free(&b.s, 0, &k[--n]);
    power_off(&b);
}

/* -- depth */

static uint32_t sum(const enum stack_use *use, unsigned n)
{
    uint32_t bytes = 0;
    while (n > 0)
        bytes += stack_use_bytes(use[--n]);
    return bytes;
}

/* docs/MODEL.md: depths as measured on 6.18, or assumed. The sums below are of these. */
static void uses_are_as_deep_as_measured(void **state)
{
    (void)state;
    static const uint32_t bytes[USE_NR] = {
        [USE_SYSCALL] = 488,  [USE_FAULT] = 1256, [USE_IRQ] = 280,    [USE_IRQ_RUN] = 472,
        [USE_RECLAIM] = 1500, [USE_READ] = 2000,  [USE_WRITE] = 2600, [USE_SWAP] = 1600};
    for (unsigned use = 0; use < USE_NR; use++)
        assert_int_equal(stack_use_bytes((enum stack_use)use), bytes[use]);
}

static void nested_entries_add_up(void **state)
{
    (void)state;
    static const enum stack_use own[] = {USE_SYSCALL, USE_FAULT, USE_IRQ};
    static const enum stack_use task[] = {USE_SYSCALL, USE_FAULT, USE_IRQ, USE_IRQ_RUN};
    static const char *const irq[] = {"own", "one_page", "task"};
    for (unsigned i = 0; i < 3; i++) {
        struct boot b;
        struct kern_stack k;
        boot(&b, "vmap16", irq[i], 1);
        assert_int_equal(stack_alloc(&b.s, 0, &k), 0);
        uint32_t call = stack_push(&b.s, &k, USE_SYSCALL), fault = stack_push(&b.s, &k, USE_FAULT);
        stack_irq(&b.s, 0, &k);
        vaddr top = stack_irq_top(&b.s, 0, &k);
        bool inside = top.v > k.base.v && top.v <= k.base.v + KIB(16);
        assert_int_equal(inside, i == 2);
        stack_pop(&k, fault);
        stack_pop(&k, call);
        assert_int_equal(k.used, 0);
        assert_int_equal(k.deepest, i == 2 ? sum(task, 4) : sum(own, 3));
        assert_int_equal(STAT(&b.stats, stack_deepest), k.deepest);
        stack_free(&b.s, 0, &k);
        power_off(&b);
    }
}

/* A fault that reclaims and swaps inside a system call: 4 KiB are too few, 8 KiB enough. */
static void a_page_is_too_small_for_a_fault_that_swaps(void **state)
{
    (void)state;
    static const char *const kind[] = {"one_page", "two_pages", "vmap16"};
    static const enum stack_use way[] = {USE_SYSCALL, USE_FAULT, USE_RECLAIM, USE_SWAP};
    assert_true(sum(way, 4) > 4096 && sum(way, 4) < 8192 - 64);
    for (unsigned i = 0; i < 3; i++) {
        struct boot b;
        struct kern_stack k;
        uint32_t bytes = 0;
        boot(&b, kind[i], "own", 1);
        assert_int_equal(stack_alloc(&b.s, 0, &k), 0);
        for (unsigned n = 0; n < 4; n++)
            bytes += stack_push(&b.s, &k, way[n]);
        stack_touch(&b.s, &k, USE_IRQ); /* one overflow, not two */
        assert_int_equal(STAT(&b.stats, stack_overwrites), i == 0);
        assert_int_equal(STAT(&b.stats, stack_guard_hits), 0);
        assert_int_equal(b.s.overflow.times, i == 0);
        if (i == 0) {
            assert_int_equal(b.s.overflow.outer, USE_SYSCALL);
            assert_int_equal(b.s.overflow.last, USE_SWAP);
            assert_int_equal(b.s.overflow.size, 4096);
            assert_true(b.s.overflow.used + 64 > 4096);
        }
        assert_false(b.s.double_fault); /* nothing guards it */
        stack_pop(&k, bytes);
        stack_free(&b.s, 0, &k);
        power_off(&b);
    }
}

static void a_guard_page_catches_what_is_too_deep(void **state)
{
    (void)state;
    struct boot b;
    struct kern_stack k;
    unsigned n = 0;
    boot(&b, "vmap16", "own", 1);
    assert_int_equal(stack_alloc(&b.s, 0, &k), 0);
    while (STAT(&b.stats, stack_guard_hits) == 0 && n < 100) {
        stack_push(&b.s, &k, USE_WRITE);
        n++;
    }
    assert_int_equal(n, (KIB(16) - 8) / stack_use_bytes(USE_WRITE) + 1);
    assert_int_equal(STAT(&b.stats, stack_overwrites), 0);
    stack_pop(&k, k.used);
    stack_free(&b.s, 0, &k);
    power_off(&b);
}

static void audits_find_damage(void **state)
{
    (void)state;
    struct boot b;
    struct kern_stack k, kept;
    boot(&b, "vmap16", "own", 1);
    assert_int_equal(stack_alloc(&b.s, 0, &k), 0);
    assert_int_equal(stack_alloc(&b.s, 0, &kept), 0);
    layout_unmap(&b.l, k.base);
    assert_int_equal(stack_audit(&b.s, &k), 2);
    assert_int_equal(layout_map(&b.l, k.base, k.frame[0]), 0);
    assert_int_equal(layout_map(&b.l, va(k.base.v - PAGE_SIZE), k.frame[0]), 0);
    assert_int_equal(stack_audit(&b.s, &k), 2); /* no guard */
    layout_unmap(&b.l, va(k.base.v - PAGE_SIZE));
    phys_set_owner(b.phys, k.frame[2], FRAME_SLAB);
    assert_int_equal(stack_audit(&b.s, &k), 1);
    phys_set_owner(b.phys, k.frame[2], FRAME_KERNEL_STACK);
    stack_free(&b.s, 0, &kept);
    phys_set_owner(b.phys, b.s.kept[0].frame[0], FRAME_SLAB);
    assert_int_equal(stacks_audit(&b.s), 1);
    phys_set_owner(b.phys, b.s.kept[0].frame[0], FRAME_VMALLOC);
    stack_free(&b.s, 0, &k);
    power_off(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_of_16_kib_lies_above_an_unmapped_page),
        cmocka_unit_test(interrupt_stacks_of_16_kib_lie_above_unmapped_pages),
        cmocka_unit_test(historical_stacks_lie_in_the_direct_map),
        cmocka_unit_test(each_cpu_keeps_two_stacks_for_the_next_tasks),
        cmocka_unit_test(addresses_are_used_again_only_after_all_tlbs_were_flushed),
        cmocka_unit_test(without_frames_no_stack_and_nothing_lost),
        cmocka_unit_test(uses_are_as_deep_as_measured),
        cmocka_unit_test(nested_entries_add_up),
        cmocka_unit_test(a_page_is_too_small_for_a_fault_that_swaps),
        cmocka_unit_test(a_guard_page_catches_what_is_too_deep),
        cmocka_unit_test(audits_find_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
