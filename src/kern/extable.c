/* extable.c: what becomes of a fault that the kernel takes itself, in a copy from or to the program.
 *
 *   copy ─► access_ok? ─no──────────────────────────────────────────────► -EFAULT, nothing touched
 *             │ yes
 *             ▼ fault, CR2 ─► mm: a VMA with that right? ─yes─► handled, the instruction is repeated
 *                               │ no: bad area
 *                               ▼
 *             search_exception_tables(RIP) ─► entry ─► RIP = its fixup: the copy ends, -EFAULT
 *                               └─ none ─► oops: the kernel touched what it had no business to
 *
 * Nothing is checked before the copy but the range: whether the pages are there is found out by
 * touching them.
 *
 * Invariants:
 *  I1  The table is sorted by the address of the instruction, no two alike (search_extable needs it).
 *  I2  Every routine that a copy may be made with has an entry: its fault is never an oops.
 *
 * Source: Linux 6.18 arch/x86/mm/extable.c (fixup_exception), arch/x86/mm/fault.c
 * (kernelmode_fixup_or_oops), lib/extable.c, arch/x86/include/asm/uaccess_64.h (__access_ok).
 * Addresses: /proc/kallsyms of a 6.18.44 kernel, offset from _text, of the routine the faulting
 * instruction is in.
 */
#include "kern/kern_int.h"

#include "base/bits.h"
#include "base/check.h"

#include <errno.h>

/* One entry: a routine that may fault on user memory. */
struct extable_entry {
    uint32_t insn;   /* offset in the kernel's text of the routine that holds the instruction */
    uint8_t routine; /* enum kern_routine */
};

static const struct extable_entry table[] = {
    {0x02fd750, KERN_SIGNAL_FRAME}, /* x64_setup_rt_frame: unsafe_put_user */
    {0x043eea0, KERN_FUTEX},        /* futex_lock_pi_atomic and its like: locked operations */
    {0x0c3f9f0, KERN_STRNCPY},      /* strncpy_from_user: unsafe_get_user, word by word */
    {0x11eb730, KERN_COPY},         /* rep_movs_alternative: _copy_from_user, _copy_to_user */
};

static const struct extable_entry *search_extable(uint32_t insn)
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

/* insn_of returns where a routine touches user memory. */
static uint32_t insn_of(enum kern_routine routine)
{
    size_t i = 0;

    while (i < ARRAY_LEN(table) && table[i].routine != routine)
        i++;
    ASSERT(i < ARRAY_LEN(table)); /* I2 */
    return table[i].insn;
}

/* TASK_SIZE_MAX: what mmap may give; with 5 levels to those who ask for it. */
bool kern_access_ok(const struct kern *k, vaddr a, uint64_t bytes)
{
    uint64_t end = BIT(k->conf->mmu_levels == 5 ? 56 : 47) - PAGE_SIZE;

    return a.v < end && bytes <= end - a.v;
}

void kern_fixup(struct kern *k, enum kern_routine routine)
{
    const struct extable_entry *e = search_extable(insn_of(routine));

    ASSERT(e); /* I1, I2: else an oops */
    STAT(k->stats, fault_fixup)++;
    arch_step(k->outbox, STEP_FIXUP, 1);
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
