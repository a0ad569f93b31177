/* extable.c: what becomes of a fault that the kernel takes itself, in a copy from or to the program.
 *
 *   does the routine mask? ─ no ─► access_ok? ─ no ───────────────────────► -EFAULT, nothing touched
 *             │ yes: an address beyond the      │ yes
 *             │ user's is the first after it   │
 *             ▼                                 ▼
 *   instruction ─► fault, CR2 ─► mm: a VMA with that right? ─ yes ─► handled, the instruction is repeated
 *       ▲                          │ no: bad area
 *       │                          ▼
 *       └── its fixup ◄── entry ◄─ search_exception_tables(RIP) ─ none ─► oops: the kernel touched what it
 *          or the end: -EFAULT                                            had no business to (counted)
 *
 * Since 6.13 copy_from_user, get_user and strncpy_from_user do not ask access_ok: what is not the user's
 * becomes USER_PTR_MAX, a page that is never mapped, or for put_user the last address of all, and the fault
 * says the rest. copy_to_user asks, and so do calls that read and write files (vfs_read, import_ubuf, iovecs),
 * futexes (get_futex_key) and the frame of a signal (user_access_begin).
 *
 * A string is read in words; the fixup of the word's instruction is the loop of bytes, which faults again.
 *
 * Invariants:
 *  I1  The table is sorted by the address of the instruction, no two alike (search_extable needs it).
 *
 * Source: Linux 6.18 arch/x86/mm/extable.c (fixup_exception), arch/x86/mm/fault.c
 * (kernelmode_fixup_or_oops), lib/extable.c, arch/x86/include/asm/uaccess_64.h (mask_user_address,
 * __access_ok), lib/strncpy_from_user.c, arch/x86/lib/getuser.S, putuser.S.
 * Addresses: the `ip` of exceptions:page_fault_kernel on a 6.18.44 kernel (a CPU with FSRM: a copy is one
 * `rep movsb` in place), less _text. Where a fixup does not touch user memory again its address is not known
 * here, and 0 stands for it.
 */
#include "kern/kern_int.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>

enum { EX_TYPE_UACCESS = 3 };

/* struct exception_table_entry, with offsets in the kernel's text. */
struct exception_table_entry {
    uint32_t insn;  /* may fault on user memory */
    uint32_t fixup; /* where it goes on; 0: code that says how much was not copied */
    uint32_t type;
};

#define INSN_STRNCPY_WORD 0xc3fa73u
#define INSN_STRNCPY_BYTE 0xc3fae2u

static const struct exception_table_entry table[] = {
    {0x030f359, 0, EX_TYPE_UACCESS},                         /* copy_fpstate_to_sigframe */
    {0x0441a13, 0x11ec324, EX_TYPE_UACCESS},                 /* futex_wait_setup, then get_user */
    {0x06dd486, 0, EX_TYPE_UACCESS},                         /* get_sigset_argpack */
    {0x0b6be00, 0, EX_TYPE_UACCESS},                         /* copy_iovec_from_user */
    {0x0b6c5e0, 0, EX_TYPE_UACCESS},                         /* _copy_from_iter */
    {0x0b6ccb0, 0, EX_TYPE_UACCESS},                         /* _copy_to_iter */
    {0x0b75c0e, 0, EX_TYPE_UACCESS},                         /* _copy_from_user */
    {0x0b75d98, 0, EX_TYPE_UACCESS},                         /* _copy_to_user */
    {INSN_STRNCPY_WORD, INSN_STRNCPY_BYTE, EX_TYPE_UACCESS}, /* strncpy_from_user */
    {INSN_STRNCPY_BYTE, 0, EX_TYPE_UACCESS},
    {0x11ec324, 0, EX_TYPE_UACCESS}, /* __get_user_4 */
    {0x11ef0ad, 0, EX_TYPE_UACCESS}, /* __put_user_4 */
};

/* What a routine does about addresses that are not the user's. */
enum mask { MASK_NONE, MASK_USER_PTR_MAX, MASK_ALL_ONES };

static const struct {
    uint32_t insn; /* with which it begins */
    uint8_t mask;  /* enum mask */
} routines[] = {
    [KERN_COPY_FROM] = {0x0b75c0e, MASK_USER_PTR_MAX},
    [KERN_COPY_TO] = {0x0b75d98, MASK_NONE},
    [KERN_GET_USER] = {0x11ec324, MASK_USER_PTR_MAX},
    [KERN_PUT_USER] = {0x11ef0ad, MASK_ALL_ONES},
    [KERN_FROM_ITER] = {0x0b6c5e0, MASK_NONE},
    [KERN_TO_ITER] = {0x0b6ccb0, MASK_NONE},
    [KERN_IOVEC] = {0x0b6be00, MASK_NONE},
    [KERN_STRNCPY] = {INSN_STRNCPY_WORD, MASK_USER_PTR_MAX},
    [KERN_SIGSET] = {0x06dd486, MASK_USER_PTR_MAX},
    [KERN_FUTEX] = {0x0441a13, MASK_NONE},
    [KERN_SIGNAL_FRAME] = {0x030f359, MASK_NONE},
};

static const struct exception_table_entry *search_extable(uint64_t insn)
{
    size_t low = 0, high = ARRAY_LEN(table);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (table[middle].insn == insn)
            return &table[middle];
        if (table[middle].insn < insn)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* TASK_SIZE_MAX: what mmap may give; with 5 levels to those who ask for it. */
static uint64_t user_ptr_max(const struct kern *k)
{
    return BIT(k->conf->mmu_levels == 5 ? 56 : 47) - PAGE_SIZE;
}

bool kern_access_ok(const struct kern *k, vaddr a, uint64_t bytes)
{
    uint64_t end = user_ptr_max(k);

    return a.v < end && bytes <= end - a.v;
}

bool kern_user_address(const struct kern *k, enum kern_routine routine, uint64_t bytes, vaddr *a)
{
    bool beyond = a->v > user_ptr_max(k);

    switch ((enum mask)routines[routine].mask) {
    case MASK_USER_PTR_MAX:
        a->v = beyond ? user_ptr_max(k) : a->v;
        return true;
    case MASK_ALL_ONES:
        a->v = a->v >> 63 ? UINT64_MAX : a->v;
        return true;
    case MASK_NONE:
        break;
    }
    return kern_access_ok(k, *a, bytes);
}

uint64_t kern_insn(enum kern_routine routine)
{
    return routines[routine].insn;
}

uint64_t fixup_exception(struct kern *k, uint64_t insn)
{
    const struct exception_table_entry *e = search_extable(insn);

    if (!e) {
        STAT(k->stats, fault_oops)++;
        return 0;
    }
    STAT(k->stats, fault_fixup)++;
    arch_step(k->outbox, STEP_FIXUP, 1);
    return e->fixup;
}

bool kern_copy_made(const struct kern_copy_run *run, const struct kern_copy *c)
{
    return !run->over && (!run->ended || c->rule == COPY_LAST);
}

/* When the call succeeded all the same, or failed of another reason, nothing says that it stopped. */
void kern_copy_bad(struct kern_copy_run *run, const struct kern_copy *c, int64_t result)
{
    run->bad |= c->rule != COPY_LAST;
    run->ended |= result == -EFAULT && c->rule == COPY_ENDS;
    run->over |= result == -EFAULT && c->rule == COPY_FIRST;
}

/* A result of EFAULT needs a bad address, and success has room for none. Other failures say nothing:
 * the kernel may have given up before it looked, or after. */
bool kern_outcome_agrees(const struct kern_call *call, bool bad)
{
    if (call->result == -EFAULT)
        return bad;
    return call->result < 0 || !bad;
}
