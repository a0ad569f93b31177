/* fake_qemu.h: the plugin without QEMU. The functions that QEMU exports, on hand-made blocks, and the
 * plugin's own source; include it in one .c file. */
#ifndef TEST_FAKE_QEMU_H
#define TEST_FAKE_QEMU_H

#include "../../../plugin/qemu/qemu_api.h"

#include <string.h>

struct qemu_plugin_insn {
    uint64_t pc;
    uint8_t code[16];
    size_t size;
    qemu_mem_cb mem_cb[2];
    void *mem_udata[2];
    unsigned mem_cbs, exec_cbs;
};
struct qemu_plugin_tb {
    struct qemu_plugin_insn insn[8];
    size_t n;
    qemu_udata_cb exec_cb;
    void *exec_udata;
};

static qemu_trans_cb fake_translate;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_trans_cb cb)
{
    (void)id;
    fake_translate = cb;
}
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_udata_cb cb,
                                          enum qemu_cb_flags flags, void *udata)
{
    (void)flags;
    tb->exec_cb = cb;
    tb->exec_udata = udata;
}
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_udata_cb cb,
                                            enum qemu_cb_flags flags, void *udata)
{
    (void)flags, (void)cb, (void)udata;
    insn->exec_cbs++;
}
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_mem_cb cb,
                                      enum qemu_cb_flags flags, enum qemu_mem_rw rw, void *udata)
{
    (void)flags, (void)rw;
    insn->mem_cb[insn->mem_cbs] = cb;
    insn->mem_udata[insn->mem_cbs++] = udata;
}
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, qemu_syscall_cb cb)
{
    (void)id, (void)cb;
}
void qemu_plugin_register_vcpu_syscall_ret_cb(uint64_t id, qemu_syscall_ret_cb cb)
{
    (void)id, (void)cb;
}
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
    return tb->n;
}
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index)
{
    return (struct qemu_plugin_insn *)&tb->insn[index];
}
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb)
{
    return tb->insn[0].pc;
}
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn)
{
    return insn->size;
}
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn)
{
    return insn->pc;
}
unsigned qemu_plugin_mem_size_shift(uint32_t info)
{
    return info >> 4 & 7;
}
bool qemu_plugin_mem_is_store(uint32_t info)
{
    return info >> 16 & 2;
}
const char *qemu_plugin_path_to_binary(void)
{
    return "/fake/program";
}
uint64_t qemu_plugin_start_code(void)
{
    return 0x1000;
}
uint64_t qemu_plugin_end_code(void)
{
    return 0x2000;
}
uint64_t qemu_plugin_entry_code(void)
{
    return 0x1000;
}
/* The API 1 form. On x86-64 a pointer comes back in rax whatever the caller's idea of the type. */
const void *fake_insn_data(const struct qemu_plugin_insn *insn) __asm__("qemu_plugin_insn_data");
const void *fake_insn_data(const struct qemu_plugin_insn *insn)
{
    return insn->code;
}

#include "../../../plugin/qemu/writer.c"
#include "../../../plugin/qemu/answer.c"
#include "../../../plugin/qemu/pools.c"
#include "../../../plugin/qemu/insn.c"
#include "../../../plugin/qemu/blocks.c"
#include "../../../plugin/qemu/guest.c"
#include "../../../plugin/qemu/door.c"
#include "../../../plugin/qemu/exe.c"
#include "../../../plugin/qemu/exec.c"
#include "../../../plugin/qemu/fork.c"
#include "../../../plugin/qemu/sigframe.c"
#include "../../../plugin/qemu/channel.c"
#include "../../../plugin/qemu/calls.c"
#include "../../../plugin/qemu/image.c"
#include "../../../plugin/qemu/start.c"
#include "../../../plugin/qemu/quiet.c"
#include "../../../plugin/qemu/pagewalk-qemu.c"

#endif
