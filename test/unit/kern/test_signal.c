/* test_signal.c: the signal frame, compared with one the running kernel makes. */
#include "kern/kern.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>

/* What a real handler saw. */
static struct {
    uint64_t sp;      /* of the interrupted program */
    uint64_t frame;   /* where its frame begins */
    uint64_t info;    /* address of siginfo */
    uint64_t fpstate; /* address of the XSAVE area */
    uint32_t fpbytes; /* its size, magic at the end included */
} real;

static void handler(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *u = context;
    (void)sig;
    real.sp = (uint64_t)u->uc_mcontext.gregs[REG_RSP];
    real.frame = (uintptr_t)context - 8;
    real.info = (uintptr_t)info;
    real.fpstate = (uintptr_t)u->uc_mcontext.fpregs;
    /* struct _fpx_sw_bytes at 464: magic1, extended_size */
    memcpy(&real.fpbytes, (const uint8_t *)u->uc_mcontext.fpregs + 464 + 4, 4);
}

static void take_signal(void)
{
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(SIGUSR1, &a, NULL), 0);
    raise(SIGUSR1);
}

/* place is the rule of get_sigframe for an XSAVE area of n bytes. */
static uint64_t place(uint64_t sp, uint64_t n)
{
    uint64_t fpstate = (sp - 128 - n) & ~UINT64_C(63);
    return ((fpstate - 440) & ~UINT64_C(15)) - 8;
}

static struct kern *make_kern(struct conf *conf, struct stat_set *stats, struct arch_outbox *o)
{
    struct kern *k;
    conf_init(conf);
    assert_int_equal(arch_outbox_open(o), 0);
    assert_int_equal(kern_open(&k, conf, NULL, NULL, stats, o), 0);
    return k;
}

static void the_rule_of_the_place_holds_for_the_running_kernel(void **state)
{
    (void)state;
    take_signal();
    assert_int_equal(real.frame, place(real.sp, real.fpbytes));
}

static void the_model_uses_the_rule_for_a_cpu_with_avx2(void **state)
{
    (void)state;
    for (uint64_t sp = UINT64_C(0x7ffe00000000); sp < UINT64_C(0x7ffe00001000); sp += 8)
        assert_int_equal(kern_signal_place(va(sp)).v, place(sp, 832 + 4));
}

static void parts_of_the_frame_lie_where_the_kernel_puts_them(void **state)
{
    (void)state;
    struct conf conf;
    struct stat_set stats = {{0}};
    struct arch_outbox o;
    struct kern_copies c = {0};
    struct kern *k = make_kern(&conf, &stats, &o);
    take_signal();
    kern_signal(k, va(real.frame), &c);
    assert_int_equal(c.n, 2);
    assert_int_equal(c.copy[0].addr.v, real.fpstate);
    assert_int_equal(c.copy[1].addr.v, real.frame);
    assert_int_equal(c.copy[1].addr.v + c.copy[1].bytes, real.info + 128);
    assert_true(c.copy[0].store && c.copy[1].store);
    assert_int_equal(o.n, 1);
    assert_int_equal(o.msg[0].n, STEP_SIGNAL);
    kern_copies_close(&c);
    kern_close(k);
    arch_outbox_close(&o);
}

static void sigreturn_reads_what_delivery_wrote(void **state)
{
    (void)state;
    struct conf conf;
    struct stat_set stats = {{0}};
    struct arch_outbox o;
    struct kern_copies w = {0}, r = {0};
    struct kern *k = make_kern(&conf, &stats, &o);
    kern_signal(k, kern_signal_place(va(0x7ffe12345678)), &w);
    kern_sigreturn(k, kern_signal_place(va(0x7ffe12345678)), &r);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.copy[0].addr.v, w.copy[1].addr.v);
    assert_true(r.copy[0].bytes < w.copy[1].bytes); /* siginfo is not read back */
    assert_int_equal(r.copy[1].addr.v, w.copy[0].addr.v);
    assert_int_equal(r.copy[1].bytes, w.copy[0].bytes);
    assert_false(r.copy[0].store || r.copy[1].store);
    kern_copies_close(&w);
    kern_copies_close(&r);
    kern_close(k);
    arch_outbox_close(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_of_the_place_holds_for_the_running_kernel),
        cmocka_unit_test(the_model_uses_the_rule_for_a_cpu_with_avx2),
        cmocka_unit_test(parts_of_the_frame_lie_where_the_kernel_puts_them),
        cmocka_unit_test(sigreturn_reads_what_delivery_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
