/* links: base */
/* The length of instructions against capstone, on all code that this process has mapped (libc,
 * capstone, libcrypto of the day …): every instruction, and every way to cut it short. */
#include "../../../plugin/qemu/insn.c"

#include <capstone/capstone.h>
#include <elf.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct sweep {
    csh handle;
    cs_insn *insn;
    unsigned long seen, wrong, cut_wrong;
};

/* evex says whether the instruction is AVX-512, which QEMU does not run. */
static int evex(const uint8_t *code, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (code[i] == 0x62)
            return 1;
        if (code[i] != 0x66 && code[i] != 0xf2 && code[i] != 0xf3)
            return 0;
    }
    return 0;
}

static void look(struct sweep *s, const uint8_t *code, unsigned n)
{
    s->seen++;
    s->wrong += insn_length(code, n) != n || insn_length(code, 15) != n;
    for (unsigned cut = 0; cut < n; cut++)
        s->cut_wrong += insn_length(code, cut) != 0;
}

static void sweep_code(struct sweep *s, const uint8_t *code, size_t size)
{
    uint64_t addr = 0;

    size = size > 15 ? size - 15 : 0;
    while (size > 0 && s->seen < 400000) {
        const uint8_t *at = code;

        if (!cs_disasm_iter(s->handle, &code, &size, &addr, s->insn)) {
            code++; /* data between functions */
            size--;
        } else if (!evex(at, s->insn->size)) {
            look(s, at, s->insn->size);
        }
    }
}

static int sweep_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

        if (ph->p_type == PT_LOAD && ph->p_flags & PF_X)
            sweep_code(arg, (const uint8_t *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz);
    }
    return 0;
}

static void lengths_are_capstones_on_all_mapped_code(void **state)
{
    struct sweep s = {0};

    (void)state;
    assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &s.handle), CS_ERR_OK);
    s.insn = cs_malloc(s.handle);
    dl_iterate_phdr(sweep_object, &s);
    assert_true(s.seen > 50000);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(s.cut_wrong, 0);
    cs_free(s.insn, 1);
    cs_close(&s.handle);
}

/* Lengths by the SDM for forms that compiled code seldom has. */
static void rare_forms_have_the_manuals_length(void **state)
{
    static const struct {
        uint8_t code[15];
        unsigned length;
    } form[] = {
        {{0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}, 10},          /* mov rax, imm64 */
        {{0x66, 0xb8, 1, 2}, 4},                             /* mov ax, imm16 */
        {{0xa1, 1, 2, 3, 4, 5, 6, 7, 8}, 9},                 /* mov eax, [moffs64] */
        {{0x67, 0xa1, 1, 2, 3, 4}, 6},                       /* mov eax, [moffs32] */
        {{0xc8, 0x10, 0, 0}, 4},                             /* enter 16, 0 */
        {{0xf6, 0x04, 0x25, 0, 0, 0, 0, 1}, 8},              /* test byte [disp32], imm8 */
        {{0xf6, 0x14, 0x24}, 3},                             /* not byte [rsp] */
        {{0x48, 0xf7, 0x44, 0x24, 8, 1, 2, 3, 4}, 9},        /* test qword [rsp+8], imm32 */
        {{0xf0, 0x48, 0x0f, 0xc7, 0x0f}, 5},                 /* lock cmpxchg16b [rdi] */
        {{0xc4, 0xe2, 0xed, 0x92, 0x04, 0xcf}, 6},           /* vgatherdpd */
        {{0xc5, 0xf8, 0x77}, 3},                             /* vzeroupper */
        {{0xc4, 0xe3, 0x75, 0x06, 0xc2, 0x31}, 6},           /* vperm2f128 …, imm8 */
        {{0x0f, 0x3a, 0x0f, 0xc1, 4}, 5},                    /* palignr */
        {{0x2e, 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}, 10}, /* long nop */
        {{0xc2, 8, 0}, 3},                                   /* ret 8 */
        {{0x68, 1, 2, 3, 4}, 5},                             /* push imm32 */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof form / sizeof *form; i++) {
        assert_int_equal(insn_length(form[i].code, 15), form[i].length);
        assert_int_equal(insn_length(form[i].code, form[i].length - 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_capstones_on_all_mapped_code),
        cmocka_unit_test(rare_forms_have_the_manuals_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
