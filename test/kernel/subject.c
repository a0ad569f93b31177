/* subject.c: a process whose memory calls are compared. A program without C library, data segment
 * or heap: what it is made of is its text, the shared control memory (subject.h) and the stack the
 * kernel gave it, which it leaves alone.
 *
 *   zygote ── clone ─► subject of slot 0 ── clone ─► slot 1 …     all are children of the zygote
 *
 * A touch that is refused ends at the instruction after it: the handler moves rip there. Source of
 * the layouts: Linux 6.18 arch/x86/include/uapi/asm/sigcontext.h, kernel/fork.c.
 */
#include "kernel/subject.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define SLOT       ((struct slot *)CONTROL)
#define TRAP_FLAG  0x100
#define NOT_MAPPED UINT64_C(0xffffffffffffe000) /* where no program has memory */

static long call6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    long ret;
    register uint64_t r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
#define CALL(nr, a, b, c, d)                                                                       \
    call6(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)

/* -- touches: the handler finds the place to go on by the address of the label ---------------- */

long touch_load(uint64_t addr);
long touch_store(uint64_t addr, uint64_t value);
long touch_fetch(uint64_t addr, void *scratch);
void touch_missed(void), fetch_done(void), restorer(void);
long clone_on(uint64_t flags, void *stack_top, void (*serve)(struct slot *), struct slot *s);

/* lfence: nothing looks ahead to the next page. Where a hypervisor keeps a huge page in small pieces, so
 * does the TLB: a store that was tried ahead leaves the translation of its piece, without the right to
 * write, and a fault takes only its own away. The next store would fault once more.
 *
 * touch_fetch executes one instruction: the trap flag ends it. rax points to scratch memory, for
 * zeroed memory reads as add %al,(%rax); the stack pointer is kept there. */
__asm__(".text\n"
        "touch_load:  mov (%rdi), %al\n lfence\n xor %eax, %eax\n ret\n"
        "touch_store: mov %rsi, (%rdi)\n lfence\n xor %eax, %eax\n ret\n"
        "touch_missed: mov $1, %eax\n ret\n"
        "touch_fetch: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "  mov %rsi, %rax\n mov %rsp, 4096(%rsi)\n"
        "  pushfq\n orl $0x100, (%rsp)\n popfq\n jmp *%rdi\n"
        "fetch_done: pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        "restorer: mov $15, %eax\n syscall\n"
        /* clone_on(flags rdi, stack rsi, serve rdx, slot rcx) */
        "clone_on: push %r14\n push %r15\n mov %rdx, %r14\n mov %rcx, %r15\n mov $56, %eax\n xor "
        "%edx, %edx\n"
        "  xor %r10d, %r10d\n xor %r8d, %r8d\n syscall\n test %rax, %rax\n jnz 1f\n"
        "  mov %r15, %rdi\n call *%r14\n hlt\n"
        "1: pop %r15\n pop %r14\n ret\n"
        ".globl _start\n_start: mov $0x100000000000, %rbx\n call begin\n hlt\n");

/* The slot whose stack we stand on. */
static struct slot *self(const void *stack)
{
    return &SLOT[((uint64_t)stack - CONTROL) / sizeof(struct slot)];
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *g = u->uc_mcontext.gregs;
    struct slot *s = self(info);
    bool fetched = s->op == OP_EXEC;
    if (fetched && (sig == SIGTRAP || sig == SIGILL)) {
        if (s->nr++ == 0 && sig == SIGTRAP)
            return; /* this was the jump; the next trap comes after the instruction */
    } else {
        s->signal = sig;
        s->code = info->si_code;
        s->where = (uint64_t)info->si_addr;
    }
    g[REG_EFL] &= ~TRAP_FLAG;
    if (fetched) {
        g[REG_RSP] = *(greg_t *)(s->out + 4096);
        g[REG_RIP] = (greg_t)fetch_done;
    } else {
        g[REG_RIP] = (greg_t)touch_missed;
    }
}

static void handle(int sig)
{
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } act = {on_signal, SA_SIGINFO | SA_NODEFER | 0x04000000 /* SA_RESTORER */, restorer, 0};
    call6(SYS_rt_sigaction, (uint64_t)sig, (uint64_t)&act, 0, 8, 0, 0);
}

/* -- requests --------------------------------------------------------------------------------- */

static void serve(struct slot *s);

static int64_t touch_pages(const struct slot *s)
{
    int64_t n = 0;
    for (uint64_t a = s->arg[0]; a < s->arg[0] + s->arg[1]; a += 4096, n++)
        if (s->op == OP_READ ? touch_load(a) : touch_store(a, s->arg[2] + (uint64_t)n * 256))
            break;
    return n;
}

static int64_t sweep(const struct slot *s)
{
    int64_t n = 0;
    for (uint64_t a = s->arg[0]; a < s->arg[0] + s->arg[1]; a += s->arg[2])
        n += touch_load(a) == 0;
    return n;
}

static int64_t fork_child(uint64_t slot)
{
    struct slot *child = &SLOT[slot];
    return clone_on(SIGCHLD | CLONE_PARENT, child->stack + SUBJECT_STACK - 64, serve, child);
}

static int64_t call_each(const struct slot *s)
{
    int64_t r = 0;
    uint64_t n = 0;
    for (; n < s->in[1] && !(r < 0 && r >= -4095); n++)
        r = call6(s->nr, s->arg[0] + n * s->in[0], s->arg[1], s->arg[2], s->arg[3], s->arg[4],
                  s->arg[5]);
    return r < 0 && r >= -4095 ? r : (int64_t)n;
}

static int64_t new_memfd(const struct slot *s)
{
    int64_t fd = CALL(SYS_memfd_create, s->in, s->arg[1], 0, 0);
    if (fd < 0 || fd == (int64_t)s->arg[2])
        return fd;
    CALL(SYS_dup2, fd, s->arg[2], 0, 0);
    CALL(SYS_close, fd, 0, 0, 0);
    return (int64_t)s->arg[2];
}

static int64_t perform(struct slot *s)
{
    switch (s->op) {
    case OP_MEMFD:
        return new_memfd(s);
    case OP_EACH:
    case OP_MANY:
        return call_each(s);
    case OP_CALL:
        return call6(s->nr, s->arg[0], s->arg[1], s->arg[2], s->arg[3], s->arg[4], s->arg[5]);
    case OP_READ:
    case OP_WRITE:
        return touch_pages(s);
    case OP_SWEEP:
        return sweep(s);
    case OP_EXEC:
        s->nr = 0;
        touch_fetch(s->arg[0], s->out);
        return 0;
    case OP_FORK:
        return fork_child(s->arg[0]);
    case OP_EXIT:
        CALL(SYS_exit_group, 0, 0, 0, 0);
    }
    return 0;
}

/* Everything the subject ever touches of its own is mapped by this: each path is taken once. */
static void warm(struct slot *s)
{
    for (uint64_t a = CONTROL; a < CONTROL + sizeof(struct control); a += 4096)
        *(volatile char *)a = *(volatile char *)a;
    s->op = OP_READ;
    s->arg[0] = NOT_MAPPED;
    s->arg[1] = 1;
    perform(s);
    s->op = OP_WRITE;
    perform(s);
    s->op = OP_EXEC;
    perform(s);
    s->arg[0] = (uint64_t)restorer;
    perform(s);
    CALL(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    s->op = OP_WARM;
    CALL(SYS_getrusage, RUSAGE_SELF, &s->before, 0, 0);
}

/* forget_translations empties the TLB of this address space: Linux adds rights to an entry without a
 * flush, so a store could meet the old translation and fault once more, or not. A change of rights
 * that spans more than 33 pages flushes all (arch/x86/mm/tlb.c, tlb_single_page_flush_ceiling). */
static void forget_translations(void)
{
    uint8_t(*pages)[4096] = ((struct control *)CONTROL)->flush;
    *(volatile uint8_t *)pages[0] = 1;
    *(volatile uint8_t *)pages[FLUSH_PAGES - 1] = 1;
    CALL(SYS_mprotect, pages, sizeof(((struct control *)CONTROL)->flush), PROT_READ, 0);
    CALL(SYS_mprotect, pages, sizeof(((struct control *)CONTROL)->flush), PROT_READ | PROT_WRITE,
         0);
}

static void request(struct slot *s)
{
    s->signal = s->code = 0;
    s->where = 0;
    if (s->op == OP_WARM)
        warm(s);
    if (s->op != OP_CALL)
        forget_translations();
    CALL(SYS_getrusage, RUSAGE_SELF, &s->before, 0, 0);
    s->result = perform(s);
    CALL(SYS_getrusage, RUSAGE_SELF, &s->after, 0, 0);
    if (s->op == OP_CALL && s->nr == SYS_setresuid) /* another user: that is forgotten then */
        CALL(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    s->minflt = (uint64_t)(s->after.ru_minflt - s->before.ru_minflt);
    s->majflt = (uint64_t)(s->after.ru_majflt - s->before.ru_majflt);
}

static uint32_t await(struct slot *s, uint32_t seen)
{
    while (__atomic_load_n(&s->go, __ATOMIC_ACQUIRE) == seen)
        CALL(SYS_futex, &s->go, FUTEX_WAIT, seen, 0);
    return seen + 1;
}

static void answer(struct slot *s)
{
    __atomic_add_fetch(&s->done, 1, __ATOMIC_RELEASE);
    CALL(SYS_futex, &s->done, FUTEX_WAKE, 1, 0);
}

/* A subject: answers once when it exists, then each request. */
static void serve(struct slot *s)
{
    uint32_t seen = __atomic_load_n(&s->go, __ATOMIC_ACQUIRE);
    s->pid = (int32_t)CALL(SYS_getpid, 0, 0, 0, 0);
    s->op = OP_WARM;
    request(s);
    answer(s);
    for (;;) {
        seen = await(s, seen);
        request(s);
        answer(s);
    }
}

static void open_memfd(void)
{
    int fd = (int)CALL(SYS_memfd_create, "pw", 2 /* MFD_ALLOW_SEALING */, 0, 0);
    CALL(SYS_ftruncate, fd, MEMFD_PAGES * 4096, 0, 0);
    if (fd != MEMFD_FD) {
        CALL(SYS_dup2, fd, MEMFD_FD, 0, 0);
        CALL(SYS_close, fd, 0, 0, 0);
    }
}

static void first(struct slot *s)
{
    open_memfd();
    serve(s);
}

static void zygote(struct slot *z)
{
    static const uint8_t signals[] = {SIGSEGV, SIGBUS, SIGTRAP, SIGILL};
    uint32_t seen = 0;
    for (unsigned i = 0; i < sizeof(signals); i++)
        handle(signals[i]);
    answer(z);
    for (;;) {
        seen = await(z, seen);
        struct slot *s = &SLOT[0];
        if (z->op == OP_CALL) {
            z->result = perform(z);
            answer(z);
            continue;
        }
        z->result = clone_on(SIGCHLD, s->stack + SUBJECT_STACK - 64, first, s);
        answer(z);
        while (CALL(SYS_wait4, -1, 0, 0, 0) > 0)
            ;
        answer(z);
    }
}

static void leave_stack(struct slot *z)
{
    __asm__ volatile("mov %0, %%rsp\n mov %1, %%rdi\n call *%2\n hlt"
                     :
                     : "r"(z->stack + SUBJECT_STACK - 64), "r"(z), "r"(zygote)
                     : "memory", "rdi");
}

void begin(void);
__attribute__((used)) void begin(void)
{
    call6(SYS_mmap, CONTROL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
          CONTROL_FD, 0);
    CALL(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    leave_stack(&SLOT[ZYGOTE]);
}
