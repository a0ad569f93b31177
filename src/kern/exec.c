/* exec.c: Linux's own exec. The emulator loads programs in its own way (text mapped differently,
 * whole stack at once, no vdso); the modelled kernel builds the address space Linux would have
 * built, at the addresses the emulator chose.
 *
 *   stack end ─► +----------------------------+
 *                | 8 zero bytes               |
 *                | path of the program        |  1. copied by copy_strings, from the top down
 *                | environment strings        |
 *                | argument strings           |
 *                | (to a multiple of 16)      |
 *                | "x86_64", 16 random bytes  |  3. create_elf_tables
 *                | auxiliary vector           |
 *                | envp[], 0, argv[], 0, argc |
 *          sp ─► +----------------------------+
 *                | 128 KiB more in the VMA    |
 *                +----------------------------+  2. between: padzero of program and interpreter
 *
 * Invariants:
 *  I1  The copies stand in the order Linux makes them; all lie inside VMAs made here.
 *  I2  Every segment lies below the top of user space, wherever it was loaded.
 *
 * Source: Linux fs/exec.c (copy_strings, setup_arg_pages), fs/binfmt_elf.c (elf_load, padzero,
 * create_elf_tables), arch/x86/entry/vdso/vma.c; 6.12 to 6.18.
 */
#include "kern/kern_int.h"

#include "mm/view.h"

#include "base/bits.h"
#include "base/check.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_EXTRA    KIB(128)
#define STACK_DEFAULT  MIB(8)
#define AUXV_BYTES     (23 * 16) /* pairs on x86-64, AT_NULL included: 6.4 and later */
#define PLATFORM_BYTES 7         /* "x86_64" */
#define RANDOM_BYTES   16
#define VVAR_PAGES     4
#define VCLOCK_PAGES   2
#define VDSO_PAGES     2
#define VVAR_FLAGS     (VM_READ | VM_MAYREAD | VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP)
#define VDSO_FLAGS     (VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_DONTEXPAND)

/* One exec under way. */
struct loader {
    struct kern *k;
    struct mm *m;
    const struct kern_exec *e;
    struct kern_copies *copies;
    uint64_t vvar_vclock; /* where map_vdso put it */
};

static uint32_t seg_prot(const struct elf_seg *s)
{
    return (s->flags & PF_R ? PROT_READ : 0) | (s->flags & PF_W ? PROT_WRITE : 0) |
           (s->flags & PF_X ? PROT_EXEC : 0);
}

/* -- segments */

static int map_file_part(struct loader *l, const struct elf_seg *s, uint64_t at, struct mm_file *f)
{
    uint64_t in_page = at % PAGE_SIZE;
    struct mm_map map = {
        .addr = va(at - in_page),
        .len = align_up(s->filesz + in_page, PAGE_SIZE),
        .prot = seg_prot(s),
        .flags = MAP_PRIVATE | MAP_FIXED,
        .file = f,
        .offset = s->offset - in_page,
        .forced = true,
    };
    int64_t r = mm_mmap(l->m, &map);
    return r < 0 ? (int)r : 0;
}

/* map_zero_part is vm_brk_flags: anonymous, readable and writable whatever the segment says. */
static int map_zero_part(struct loader *l, const struct elf_seg *s, uint64_t start, uint64_t end)
{
    struct mm_map map = {
        .addr = va(start),
        .len = end - start,
        .prot = PROT_READ | PROT_WRITE | (seg_prot(s) & PROT_EXEC),
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
        .forced = true,
    };
    if (start >= end)
        return 0;
    int64_t r = mm_mmap(l->m, &map);
    return r < 0 ? (int)r : 0;
}

/* load_seg is elf_load: file pages, the rest of the last one zeroed, then anonymous pages. */
static int load_seg(struct loader *l, const struct elf_seg *s, uint64_t bias, struct mm_file *f)
{
    uint64_t at = s->vaddr + bias;
    if (at > KERN_TASK_SIZE || s->memsz > KERN_TASK_SIZE - at)
        return -EINVAL; /* I2 */
    uint64_t zero = at + s->filesz, end = at + s->memsz;
    int err = s->filesz ? map_file_part(l, s, at, f) : 0;
    if (err || s->memsz == s->filesz)
        return err;
    if (!s->filesz)
        zero = align_down(at, PAGE_SIZE);
    else if (s->flags & PF_W)
        copies_add(l->copies, zero, align_up(zero, PAGE_SIZE) - zero, true);
    return map_zero_part(l, s, align_up(zero, PAGE_SIZE), align_up(end, PAGE_SIZE));
}

static int load_image(struct loader *l, const struct elf *elf, const char *path, uint64_t bias)
{
    char real[PATH_MAX]; /* the kernel shows the file itself, links followed */
    struct mm_file *f =
        mm_file(l->k->sys, elf->dev, elf->ino, elf->size, realpath(path, real) ? real : path);
    int err = f ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < elf->n_seg && !err; i++)
        err = load_seg(l, &elf->seg[i], bias, f);
    if (f)
        mm_file_put(l->k->sys, f);
    return err;
}

static int load_interp(struct loader *l, const struct elf *program)
{
    struct elf interp;
    if (!program->has_interp || !l->e->interp_base)
        return 0;
    int err = elf_read(&interp, program->interp);
    if (err)
        return err == -ENOEXEC ? -ELIBBAD : err;
    err = load_image(l, &interp, program->interp, l->e->interp_base);
    elf_close(&interp);
    return err;
}

/* -- stack */

static uint64_t stack_end(const struct kern_exec *e)
{
    return align_up(e->stack_top, PAGE_SIZE);
}

/* strings_start is where the lowest argument string begins: bprm->p after copy_strings. */
static uint64_t strings_start(const struct kern_exec *e)
{
    return stack_end(e) - 8 - (strlen(e->path) + 1) - e->env_bytes - e->arg_bytes;
}

/* copy_strings lists the pages from the top down, as Linux fills them. */
static void copy_strings(struct loader *l)
{
    uint64_t start = strings_start(l->e), end = stack_end(l->e) - 8;
    while (end > start) {
        uint64_t from = max_u64(align_down(end - 1, PAGE_SIZE), start);
        copies_add(l->copies, from, end - from, true);
        end = from;
    }
}

static int map_stack(struct loader *l, const struct elf *elf)
{
    uint64_t rlimit = l->e->stack_rlimit ? l->e->stack_rlimit : STACK_DEFAULT;
    uint64_t end = stack_end(l->e), used = end - align_down(strings_start(l->e), PAGE_SIZE);
    uint64_t size = max_u64(min_u64(align_down(rlimit, PAGE_SIZE), used + STACK_EXTRA), used);
    int err = mm_map_stack(l->m, va(end - size), va(end), rlimit);
    if (!err && elf->exec_stack)
        err = mm_mprotect(l->m, va(end - size), size, PROT_READ | PROT_WRITE | PROT_EXEC);
    return err;
}

static uint64_t platform_start(const struct kern_exec *e)
{
    return align_down(strings_start(e), 16) - PLATFORM_BYTES;
}

static uint64_t pointers_bytes(const struct kern_exec *e)
{
    return 8 * (1 + e->argc + 1 + e->envc + 1);
}

/* tables_start is the stack pointer the program begins with: argc lies there. */
static uint64_t tables_start(const struct kern_exec *e)
{
    return align_down(platform_start(e) - RANDOM_BYTES - AUXV_BYTES - pointers_bytes(e), 16);
}

/* put_code: where a segment of the program itself lies, as elf_load remembers it. */
static void put_code(struct mm_layout *to, const struct elf_seg *s, uint64_t bias)
{
    uint64_t start = s->vaddr + bias, end = start + s->filesz;
    if (s->flags & PF_X) {
        to->start_code = to->start_code ? min_u64(to->start_code, start) : start;
        to->end_code = max_u64(to->end_code, end);
    }
    to->start_data = max_u64(to->start_data, start);
    to->end_data = max_u64(to->end_data, end);
}

static void put_layout(struct loader *l, const struct elf *elf)
{
    const struct kern_exec *e = l->e;
    struct mm_layout at = {.arg_start = strings_start(e), .vvar_vclock = l->vvar_vclock};
    at.arg_end = at.env_start = at.arg_start + e->arg_bytes;
    at.env_end = at.env_start + e->env_bytes;
    at.start_stack = tables_start(e);
    for (uint32_t i = 0; i < elf->n_seg; i++)
        put_code(&at, &elf->seg[i], e->load_bias);
    mm_set_layout(l->m, &at);
}

/* elf_tables is create_elf_tables. The kernel looks for the end of every string (strnlen_user). */
static void elf_tables(struct loader *l)
{
    const struct kern_exec *e = l->e;
    uint64_t strings = strings_start(e), platform = platform_start(e);
    uint64_t pointers = pointers_bytes(e), sp = tables_start(e);
    copies_add(l->copies, platform, PLATFORM_BYTES, true);
    copies_add(l->copies, platform - RANDOM_BYTES, RANDOM_BYTES, true);
    copies_add(l->copies, sp, pointers, true);
    copies_add(l->copies, strings, e->arg_bytes + e->env_bytes, false);
    copies_add(l->copies, sp + pointers, AUXV_BYTES, true);
}

/* stack_valid: everything written by exec fits between the limits of the emulator's stack. */
static bool stack_valid(const struct kern_exec *e)
{
    uint64_t room = KERN_TASK_SIZE / 4;
    if (e->stack_top > KERN_TASK_SIZE || e->stack_top <= e->stack_limit)
        return false;
    if (e->arg_bytes > room || e->env_bytes > room || e->argc > e->arg_bytes ||
        e->envc > e->env_bytes)
        return false;
    uint64_t need = 8 * (e->argc + e->envc) + e->arg_bytes + e->env_bytes + 2 * PAGE_SIZE;
    return need <= e->stack_top - e->stack_limit;
}

/* -- vdso: above everything the emulator gives out, where Linux puts it without randomization */

static bool range_free(const struct mm *m, uint64_t start, uint64_t end)
{
    const struct vma *v = mm_vma_next(m, va(start));
    return !v || v->start.v >= end;
}

static int map_vdso(struct loader *l)
{
    const uint64_t vclock = VVAR_PAGES * PAGE_SIZE, vdso = vclock + VCLOCK_PAGES * PAGE_SIZE;
    const uint64_t bytes = vdso + VDSO_PAGES * PAGE_SIZE;
    uint64_t at = KERN_TASK_SIZE - MIB(128) - bytes;
    while (at > bytes && !range_free(l->m, at, at + bytes))
        at -= bytes;
    l->vvar_vclock = at + vclock;
    int err = mm_map_special(l->m, va(at), vclock, VVAR_FLAGS, VMA_VVAR);
    if (!err)
        err = mm_map_special(l->m, va(at + vclock), vdso - vclock, VVAR_FLAGS, VMA_VVAR);
    if (!err)
        err = mm_map_special(l->m, va(at + vdso), bytes - vdso, VDSO_FLAGS, VMA_VDSO);
    return err;
}

/* -- all of it */

static uint64_t brk_start(const struct elf *elf, uint64_t bias)
{
    uint64_t start, bytes = elf_span(elf, &start);
    return align_up(bias + start + bytes, PAGE_SIZE);
}

static int load_all(struct loader *l, const struct elf *elf)
{
    int err = mm_munmap(l->m, va(0), KERN_TASK_SIZE);
    if (!err)
        err = map_stack(l, elf);
    if (err)
        return err;
    copy_strings(l);
    err = load_image(l, elf, l->e->path, l->e->load_bias);
    if (!err)
        err = load_interp(l, elf);
    if (!err)
        err = map_vdso(l);
    if (err)
        return err;
    mm_set_brk(l->m, va(brk_start(elf, l->e->load_bias)));
    elf_tables(l);
    put_layout(l, elf);
    return 0;
}

int kern_exec(struct kern *k, struct mm *m, const struct kern_exec *e, struct kern_copies *copies)
{
    struct loader l = {k, m, e, copies, 0};
    struct elf elf;
    uint32_t n = copies->n;
    int err = elf_read(&elf, e->path);
    if (err)
        return err;
    err = stack_valid(e) ? load_all(&l, &elf) : -E2BIG;
    elf_close(&elf);
    if (err)
        copies->n = n;
    return err;
}

uint64_t kern_interp_base(const char *path, uint64_t first_pc)
{
    struct elf elf, interp;
    if (elf_read(&elf, path))
        return 0;
    bool found = elf.has_interp && elf_read(&interp, elf.interp) == 0;
    elf_close(&elf);
    if (!found)
        return 0;
    uint64_t base = first_pc - interp.entry;
    bool fits = interp.entry <= first_pc && base % PAGE_SIZE == 0;
    elf_close(&interp);
    return fits ? base : 0;
}
