/* answer.c: see answer.h.
 *
 *   execveat       ─► we make the call   │ QEMU: -ENOSYS ─► rax │ the block behind: rax = what the kernel said
 *   nanosleep(bad) ─► its time: spoiled  │ QEMU: -EINVAL ─► rax │ the block behind: rax = -EFAULT
 *
 * QEMU 7.2 has no execveat. Where Linux would refuse it, or run what cannot be followed, the plugin makes the
 * call itself. And QEMU does not ask whether it could read the time that nanosleep is called with, and sleeps
 * for what lies on its stack: nothing, what an earlier call slept for, or for ever. So that is made a time that
 * the kernel refuses at once. (clock_nanosleep does ask.) The program hears the answer in the block that begins
 * behind its instruction SYSCALL.
 *
 * Invariants:
 *  I1  rax is changed only where it holds what QEMU says of such a call, at the entry of a block behind a
 *      SYSCALL, in a thread whose last call has an answer that is not told yet. A handler of a signal that
 *      comes between and makes a call ends that: the program then has QEMU's answer.
 *  I2  Registers are changed as in sigframe.c.
 *
 * Source: Linux 6.18 kernel/time/hrtimer.c nanosleep; QEMU 7.2 linux-user/i386/cpu_loop.c (EXCP_SYSCALL),
 * linux-user/syscall.c do_syscall1.
 */
#include "answer.h"
#include "guest.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#define SPOILED 32768 /* bytes of our stack below us, where QEMU's function will have its locals */
#define RAX     0     /* first field of QEMU's state of a virtual processor */

/* Of the thread's last call. */
static __thread struct {
    int64_t instead; /* of what QEMU says … */
    int64_t result;  /* … this is the answer */
    bool known;      /* there is one */
    bool due;        /* the program has not heard it yet */
} answer;
static bool can_tell; /* rax can be reached */

void answer_open(int api)
{
#ifdef __x86_64__
    can_tell = api == 1;
#else
    (void)api;
#endif
}

void answer_none(void)
{
    answer.known = answer.due = false;
}

/* spoil leaves a negative time on the stack below, wherever it is read. */
static __attribute__((noinline)) void spoil(void)
{
    char below[SPOILED];

    memset(below, 0xff, sizeof below);
    __asm__ volatile("" ::"r"(below) : "memory");
}

static void answer_instead(int64_t instead, int64_t result)
{
    answer.instead = instead;
    answer.result = result;
    answer.known = can_tell;
}

void answer_enter(int64_t num, uint64_t arg)
{
    uint64_t time[2];

    if (num != SYS_nanosleep || guest_read(time, arg, sizeof time) == sizeof time)
        return;
    answer_instead(-EINVAL, -EFAULT);
    spoil();
}

void answer_is(int64_t result)
{
    answer_instead(-ENOSYS, result);
}

int64_t answer_of(int64_t result)
{
    if (!answer.known || result != answer.instead)
        return result;
    answer.known = false;
    answer.due = true;
    return answer.result;
}

#ifdef __x86_64__
static __attribute__((used)) void tell_answer(int64_t *regs)
{
    if (answer.due && regs[RAX] == answer.instead) /* I1 */
        regs[RAX] = answer.result;                 /* I2 */
    answer.due = false;
}

/* behind_call finds the state of the virtual processor as sigframe.c does. */
static __attribute__((naked)) void behind_call(unsigned vcpu, void *udata)
{
    (void)vcpu, (void)udata;
    __asm__("mov %rbp, %rdi\n\tjmp tell_answer");
}

/* is_behind_call: the page of the block is there, for QEMU reads it; the one before it need not be. */
static bool is_behind_call(uint64_t pc)
{
    static const uint8_t call[2] = {0x0f, 0x05}; /* SYSCALL */
    uint8_t before[2];

    if ((pc & 4095) >= 2)
        return memcmp((const void *)(pc - 2), call, 2) == 0;
    return guest_read(before, pc - 2, 2) == 2 && memcmp(before, call, 2) == 0;
}

void answer_watch(struct qemu_plugin_tb *tb)
{
    if (can_tell && is_behind_call(qemu_plugin_tb_vaddr(tb)))
        qemu_plugin_register_vcpu_tb_exec_cb(tb, behind_call, QEMU_CB_NO_REGS, NULL);
}
#else
void answer_watch(struct qemu_plugin_tb *tb)
{
    (void)tb;
}
#endif
