/* sigframe.c: see sigframe.h.
 *
 *        Linux                          QEMU 7.2                        repaired
 *   | floating point    |          | floating point    |          | floating point    |
 *   | siginfo           |          | siginfo           |          |     8 bytes       |
 *   | ucontext          |          | ucontext          |          | siginfo           |
 *   | return address    |          | return address    |          | ucontext          |
 *   rsp = 16 n + 8                 rsp = 16 n                     | return address    |  rsp = 16 n + 8
 *
 * A function of the x86-64 ABI begins 8 bytes below a multiple of 16, and its aligned stores (MOVAPS) count
 * on it. QEMU 7.2 begins handlers 8 bytes off, so they die of SIGSEGV in the first function that stores so:
 * PostgreSQL does, when its handler of SIGCHLD forks. Repaired is what the handler finds, on its entry: the
 * frame below the floating-point state goes down by 8 bytes, and with it rsp and the two pointers into it.
 * rt_sigreturn and whoever unwinds the stack find the frame where rsp leads them; the floating-point state is
 * found by its address in the frame.
 *
 * Invariants:
 *  I1  Nothing is changed unless rsp, rsi and rdx say together that this is the entry of a handler, with a
 *      frame of the known form in the wrong place: so a handler that the program calls itself is left alone.
 *  I2  Registers are changed at the entry of a block only, where translated code holds none of them in
 *      registers of the host.
 *  I3  A handler whose first block was translated before it became one is not repaired.
 *
 * Source: System V ABI AMD64, 3.2.2; Linux 6.18 arch/x86/kernel/signal.c get_sigframe; QEMU 7.2
 * linux-user/i386/signal.c get_sigframe, setup_rt_frame, target/i386/cpu.h CPUArchState,
 * tcg/i386/tcg-target.h TCG_AREG0.
 */
#include "sigframe.h"
#include "guest.h"

#include <stdatomic.h>

#define HANDLERS_MAX 512 /* addresses of handlers; what comes beyond is not repaired */
#define UC_BYTES     304u
#define INFO_BYTES   128u
#define MOVED        (8 + UC_BYTES + INFO_BYTES)

/* The first field of QEMU's state of a virtual processor. */
enum { RSP = 4, RSI = 6, RDI = 7, RDX = 2 };

static _Atomic uint64_t handlers[HANDLERS_MAX]; /* 0: none; by open addressing */
static bool wanted;

void sigframe_open(int api)
{
#ifdef __x86_64__
    wanted = api == 1;
#else
    (void)api;
#endif
}

/* place_of returns where an address is, or could be put; NULL when there is no room. */
static _Atomic uint64_t *place_of(uint64_t handler)
{
    uint64_t at = handler * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    for (unsigned i = 0; i < HANDLERS_MAX; i++) {
        _Atomic uint64_t *p = &handlers[(at + i) % HANDLERS_MAX];
        uint64_t there = atomic_load(p);

        if (there == 0 || there == handler)
            return p;
    }
    return NULL;
}

void sigframe_noted(const uint64_t args[6])
{
    uint64_t handler = 0, none = 0;
    _Atomic uint64_t *p;

    if (!wanted || !args[1] || guest_read(&handler, args[1], sizeof handler) != sizeof handler ||
        handler <= 1) /* SIG_DFL, SIG_IGN */
        return;
    while ((p = place_of(handler)) && atomic_load(p) != handler)
        if (atomic_compare_exchange_strong(p, &none, handler))
            return;
        else
            none = 0;
}

#ifdef __x86_64__
static bool is_wrong_frame(const uint64_t *regs)
{
    return regs[RSP] % 16 == 0 && regs[RDX] == regs[RSP] + 8 && regs[RSI] == regs[RDX] + UC_BYTES &&
           regs[RDI] - 1 < 64;
}

/* repair_frame puts the frame where Linux would have it. */
static __attribute__((used)) void repair_frame(uint64_t *regs)
{
    char frame[MOVED];

    if (!is_wrong_frame(regs) || guest_read(frame, regs[RSP], MOVED) != MOVED || /* I1 */
        guest_write(regs[RSP] - 8, frame, MOVED) != MOVED)
        return;
    regs[RSP] -= 8; /* I2 */
    regs[RSI] -= 8;
    regs[RDX] -= 8;
}

/* on_handler finds the state of the virtual processor where translated code keeps its address: in rbp. */
static __attribute__((naked)) void on_handler(unsigned vcpu, void *udata)
{
    (void)vcpu, (void)udata;
    __asm__("mov %rbp, %rdi\n\tjmp repair_frame");
}

void sigframe_watch(struct qemu_plugin_tb *tb)
{
    uint64_t pc = qemu_plugin_tb_vaddr(tb);
    _Atomic uint64_t *p = wanted ? place_of(pc) : NULL;

    if (p && atomic_load(p) == pc)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_handler, QEMU_CB_NO_REGS, NULL);
}
#else
void sigframe_watch(struct qemu_plugin_tb *tb)
{
    (void)tb;
}
#endif
