/* test_extcall.c: keys, seals, limits and advice of the program reach the model; an emulator's ENOSYS
 * changes nothing but advice. Answers: Linux 6.18 without PKU. */
#include "unit/kern/kern_fixture.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define RW       (PROT_READ | PROT_WRITE)
#define NR_MSEAL 462
#define PAGE     UINT64_C(4096)

static struct world w;

static int open_world(void **state)
{
    (void)state;
    return world_open(&w, 4);
}

static int close_world(void **state)
{
    (void)state;
    return world_close(&w);
}

static void call(const struct kern_call *c)
{
    kern_syscall(w.kern, w.mm, c, &w.copies);
    w.outbox.n = 0;
}

static uint64_t divergences(void)
{
    return STAT(&w.stats, div_syscall_answer);
}

static void sealing_reaches_the_model(void **state)
{
    (void)state;
    call(&(struct kern_call){.nr = NR_MSEAL, .arg = {AT, 2 * PAGE, 0}, .result = 0});
    assert_true(mm_vma_at(w.mm, va(AT))->flags & VM_SEALED);
    assert_int_equal(mm_munmap(w.mm, va(AT), PAGE), -EPERM);
    assert_int_equal(divergences(), 0);
}

static void an_emulator_without_mseal_leaves_memory_unsealed(void **state)
{
    (void)state;
    call(&(struct kern_call){.nr = NR_MSEAL, .arg = {AT, 2 * PAGE, 0}, .result = -ENOSYS});
    assert_false(mm_vma_at(w.mm, va(AT))->flags & VM_SEALED);
    assert_int_equal(divergences(), 1);
}

static void keys_are_refused_without_pku(void **state)
{
    (void)state;
    call(&(struct kern_call){.nr = SYS_pkey_alloc, .result = -EINVAL});
    call(&(struct kern_call){.nr = SYS_pkey_free, .arg = {1}, .result = -EINVAL});
    assert_int_equal(divergences(), 0);
    call(&(struct kern_call){.nr = SYS_pkey_alloc, .result = 1}); /* the host has them */
    assert_int_equal(divergences(), 1);
    call(
        &(struct kern_call){.nr = SYS_pkey_mprotect, .arg = {AT, PAGE, PROT_READ, 1}, .result = 0});
    assert_false(mm_vma_at(w.mm, va(AT))->flags & VM_WRITE); /* the rights count nevertheless */
    assert_int_equal(divergences(), 2);
}

static void advice_by_descriptor_is_followed_even_after_enosys(void **state)
{
    (void)state;
    struct mm_counters c;
    struct arch_fault f = {.cr2 = va(AT), .code = FAULT_U | FAULT_W};
    struct mm_verdict v;
    struct kern_iovec iov = {AT, 4 * PAGE};
    mm_fault(w.mm, &f, &v);
    call(&(struct kern_call){.nr = SYS_process_madvise,
                             .arg = {5, AT + 64, 1, MADV_DONTNEED, 0},
                             .result = -ENOSYS,
                             .iov = &iov,
                             .n_iov = 1,
                             .iov_arg = 1});
    mm_counters(w.mm, &c);
    assert_int_equal(c.rss[MM_ANONPAGES], 0);
}

static void limits_of_the_program_are_heard(void **state)
{
    (void)state;
    uint64_t limit[2] = {5 * PAGE, MM_RLIM_INFINITY};
    struct kern_call c = {.nr = SYS_setrlimit,
                          .arg = {RLIMIT_AS, AT},
                          .bytes = (const uint8_t *)limit,
                          .bytes_addr = AT,
                          .n_bytes = sizeof limit};
    call(&c);
    assert_int_equal(mm_task(w.mm)->rlimit[MM_RLIM_AS].cur, 5 * PAGE);
    struct kern_call p = {.nr = SYS_prlimit64,
                          .arg = {0, RLIMIT_STACK, AT},
                          .bytes = (const uint8_t *)limit,
                          .bytes_addr = AT,
                          .n_bytes = sizeof limit};
    call(&p);
    assert_int_equal(mm_task(w.mm)->rlimit[MM_RLIM_STACK].cur, 5 * PAGE);
    limit[0] = PAGE;
    p.arg[0] = 77; /* another process */
    call(&p);
    c.result = -EPERM;
    call(&c);
    assert_int_equal(mm_task(w.mm)->rlimit[MM_RLIM_STACK].cur, 5 * PAGE);
    assert_int_equal(mm_task(w.mm)->rlimit[MM_RLIM_AS].cur, 5 * PAGE);
}

/* What the program has it has: its limits are the host's to enforce. */
static void a_limit_never_takes_away_what_the_program_got(void **state)
{
    (void)state;
    mm_set_rlimit(w.mm, MM_RLIM_AS, (struct mm_rlimit){4 * PAGE, 4 * PAGE});
    call(&(struct kern_call){.nr = SYS_mmap,
                             .arg = {0, 8 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX},
                             .result = (int64_t)(AT + MIB(1))});
    assert_non_null(mm_vma_at(w.mm, va(AT + MIB(1))));
    assert_int_equal(divergences(), 0);
}

static void seals_of_a_memfd_reach_its_file(void **state)
{
    (void)state;
    uint64_t size;
    struct kern_call c = {.nr = SYS_fcntl,
                          .arg = {3, F_ADD_SEALS, F_SEAL_WRITE},
                          .file = {.present = true,
                                   .fd = 3,
                                   .dev = 1,
                                   .ino = 7,
                                   .size = PAGE,
                                   .mode = S_IFREG | 0777,
                                   .open_flags = O_RDWR,
                                   .path = "/memfd:x (deleted)"}};
    call(&c);
    struct mm_file *f = mm_file_find(w.sys, 1, 7, &size);
    assert_int_equal(mm_file_seals(f), F_SEAL_WRITE);
    mm_file_put(w.sys, f);
}

static void remapped_file_pages_are_followed(void **state)
{
    (void)state;
    struct mm_file *f = mm_file(w.sys, 1, 1, 8 * PAGE, "/data");
    struct mm_map map = {.addr = va(AT),
                         .len = 4 * PAGE,
                         .prot = RW,
                         .flags = MAP_SHARED | MAP_FIXED,
                         .file = f,
                         .file_writable = true};
    assert_int_equal(mm_mmap(w.mm, &map), AT);
    call(&(struct kern_call){.nr = SYS_remap_file_pages, .arg = {AT, PAGE, 0, 3, 0}, .result = 0});
    assert_int_equal(mm_vma_at(w.mm, va(AT))->pgoff, 3);
    assert_int_equal(divergences(), 0);
    mm_file_put(w.sys, f);
}

static void prctl_switches_huge_pages_off(void **state)
{
    (void)state;
    call(&(struct kern_call){.nr = SYS_mmap,
                             .arg = {0, MIB(4), RW, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX},
                             .result = (int64_t)GIB(1)});
    call(&(struct kern_call){
        .nr = SYS_madvise, .arg = {GIB(1), MIB(4), MADV_HUGEPAGE}, .result = 0});
    call(&(struct kern_call){.nr = SYS_prctl, .arg = {PR_SET_THP_DISABLE, 1}, .result = -EINVAL});
    assert_int_equal(divergences(), 1); /* QEMU refuses: the model does as Linux */
    struct arch_fault f = {.cr2 = va(GIB(1)), .code = FAULT_U | FAULT_W};
    struct mm_verdict v;
    struct mm_counters c;
    mm_fault(w.mm, &f, &v);
    mm_counters(w.mm, &c);
    assert_int_equal(c.rss[MM_ANONPAGES], 1);
}

/* The answers of Linux 6.18, asked on 2026-11-22, in this order. */
static void prctl_answers_of_huge_pages_are_those_of_linux(void **state)
{
    (void)state;
    static const struct {
        uint64_t arg[5];
        int answer;
    } asked[] = {
        {{PR_GET_THP_DISABLE}, 0},
        {{PR_GET_THP_DISABLE, 1}, -EINVAL},
        {{PR_SET_THP_DISABLE, 1, 1}, -EINVAL},
        {{PR_SET_THP_DISABLE, 1, 2}, 0},
        {{PR_GET_THP_DISABLE}, 3},
        {{PR_SET_THP_DISABLE, 1}, 0},
        {{PR_GET_THP_DISABLE}, 1},
        {{PR_SET_THP_DISABLE, 0, 2}, -EINVAL},
        {{PR_SET_THP_DISABLE, 1, 4}, -EINVAL},
        {{PR_SET_THP_DISABLE, 5, 0, 1}, -EINVAL},
        {{PR_SET_THP_DISABLE, UINT64_C(1) << 32}, 0},
        {{PR_GET_THP_DISABLE}, 1},
        {{PR_SET_THP_DISABLE, 5, 0, 0, 1}, -EINVAL},
        {{PR_SET_THP_DISABLE}, 0},
        {{PR_GET_THP_DISABLE}, 0},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct kern_call c = {.nr = SYS_prctl, .result = asked[i].answer};
        memcpy(c.arg, asked[i].arg, sizeof asked[i].arg);
        call(&c);
        assert_int_equal(divergences(), 2 * i);
        c.result = 77; /* no answer of Linux: it must be seen, and changes nothing more */
        call(&c);
        call(&c);
        assert_int_equal(divergences(), 2 * i + 2);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(sealing_reaches_the_model),       T(an_emulator_without_mseal_leaves_memory_unsealed),
        T(keys_are_refused_without_pku),    T(advice_by_descriptor_is_followed_even_after_enosys),
        T(limits_of_the_program_are_heard), T(a_limit_never_takes_away_what_the_program_got),
        T(seals_of_a_memfd_reach_its_file), T(remapped_file_pages_are_followed),
        T(prctl_switches_huge_pages_off),   T(prctl_answers_of_huge_pages_are_those_of_linux),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
