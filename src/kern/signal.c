/* signal.c: the frame a signal handler finds on its stack.
 *
 *   sp of the program ─► +----------------------+
 *                        | red zone, 128 bytes  |  not touched
 *                        +----------------------+
 *                        | XSAVE area, 832 + 4  |  at a multiple of 64: x87, SSE, AVX state
 *                        +----------------------+
 *                        | rt_sigframe, 440     |  return address, ucontext, siginfo
 *   frame, handler's sp─►+----------------------+  ≡ 8 modulo 16, as after a call
 *
 * The modelled CPU has AVX2 and no AVX-512: 512 legacy + 64 header + 256 AVX = 832 bytes, then the
 * 4 bytes of FP_XSTATE_MAGIC2. The frame is 440 bytes and frame + 8 the highest multiple of 16 that
 * leaves room, so the XSAVE area always begins 456 bytes above the frame.
 *
 * Source: Linux arch/x86/kernel/signal.c (get_sigframe), signal_64.c (x64_setup_rt_frame,
 * rt_sigreturn), fpu/signal.c (copy_fpstate_to_sigframe); Intel SDM vol. 1, 13.4.
 */
#include "kern/kern_int.h"

#define RED_ZONE       128
#define FRAME_BYTES    440 /* sizeof(struct rt_sigframe): 8 + 304 + 128 */
#define UCONTEXT_END   312 /* return address and ucontext: what sigreturn reads back */
#define FPSTATE_BYTES  (832 + 4)
#define FPSTATE_OFFSET 456

vaddr kern_signal_place(vaddr sp)
{
    uint64_t fpstate = (sp.v - RED_ZONE - FPSTATE_BYTES) & ~UINT64_C(63);
    return va(fpstate - FPSTATE_OFFSET);
}

void kern_signal(struct kern *k, vaddr frame, struct kern_copies *copies)
{
    arch_step(k->outbox, STEP_SIGNAL, 1);
    copies_add_by(copies, KERN_SIGNAL_FRAME, frame.v + FPSTATE_OFFSET, FPSTATE_BYTES, true);
    copies_add_by(copies, KERN_SIGNAL_FRAME, frame.v, FRAME_BYTES, true);
}

void kern_sigreturn(struct kern *k, vaddr frame, struct kern_copies *copies)
{
    (void)k;
    copies_add(copies, frame.v, UCONTEXT_END, false);
    copies_add(copies, frame.v + FPSTATE_OFFSET, FPSTATE_BYTES, false);
}
