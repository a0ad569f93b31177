/* answer.c: see answer.h.
 *
 *   nanosleep(bad) ─► QEMU's own timespec, never written ─► spoiled: the kernel says EINVAL at once
 *                 ─► the block behind the program's SYSCALL ─► rax: EFAULT
 *
 * QEMU 7.2 does not ask whether it could read the time that nanosleep is called with, and sleeps for what lies
 * on its stack: nothing, what an earlier call slept for, or for ever. clock_nanosleep does ask.
 *
 * Invariants:
 *  I1  Nothing but the answer to such a call is changed, and only from what the spoiled time gives.
 *  I2  As I2 of sigframe.c: rax is changed at the entry of a block.
 *
 * Source: Linux 6.18 kernel/time/hrtimer.c nanosleep; QEMU 7.2 linux-user/syscall.c do_syscall1.
 */
#include "answer.h"
#include "guest.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#define SPOILED 32768 /* bytes of our stack below us, where QEMU's function will have its locals */
#define RAX     0     /* first field of QEMU's state of a virtual processor */
#define SYSCALL 0x050f

static bool repairs;                  /* rax can be reached */
static __thread bool unread, pending; /* the call of the thread; its answer, not in rax yet */

void answer_open(int api)
{
#ifdef __x86_64__
    repairs = api == 1;
#else
    (void)api;
#endif
}

/* spoil leaves a negative time on the stack below, wherever it is read. */
static __attribute__((noinline)) void spoil(void)
{
    char below[SPOILED];

    memset(below, 0xff, sizeof below);
    __asm__ volatile("" ::"r"(below) : "memory");
}

void answer_enter(int64_t num, uint64_t arg)
{
    uint64_t time[2];

    pending = false;
    unread = num == SYS_nanosleep && guest_read(time, arg, sizeof time) != sizeof time;
    if (unread)
        spoil();
}

int64_t answer_return(int64_t num, int64_t result)
{
    if (num != SYS_nanosleep || !unread || result != -EINVAL || !repairs) /* I1 */
        return result;
    unread = false;
    pending = true;
    return -EFAULT;
}

#ifdef __x86_64__
static __attribute__((used)) void put_answer(uint64_t *regs)
{
    if (pending && regs[RAX] == (uint64_t)-EINVAL)
        regs[RAX] = (uint64_t)-EFAULT; /* I2 */
    pending = false;
}

/* on_returned finds the state of the virtual processor as sigframe.c does. */
static __attribute__((naked)) void on_returned(unsigned vcpu, void *udata)
{
    (void)vcpu, (void)udata;
    __asm__("mov %rbp, %rdi\n\tjmp put_answer");
}

void answer_watch(struct qemu_plugin_tb *tb)
{
    uint64_t pc = qemu_plugin_tb_vaddr(tb);
    uint16_t before = 0;

    if (repairs && guest_read(&before, pc - sizeof before, sizeof before) == sizeof before &&
        before == SYSCALL)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_returned, QEMU_CB_NO_REGS, NULL);
}
#else
void answer_watch(struct qemu_plugin_tb *tb)
{
    (void)tb;
}
#endif
