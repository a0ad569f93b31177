/* qemu_api.h: the few symbols of QEMU's plugin interface that this plugin uses.
 *
 * Debian does not package qemu-plugin.h, and one binary should load into every QEMU from 7.2 on, so
 * what is used is declared here and what changed between versions is decided when the plugin loads:
 *
 *   API  QEMU          what changed for us                              first symbol only it has
 *   1    7.2, 8.x      -                                                -
 *   2    9.0           inline operations per vCPU (we use none)         qemu_plugin_scoreboard_new
 *   3    9.1           qemu_plugin_insn_data copies into a buffer       …_tb_exec_cond_cb
 *   4    9.2, 10.0     -                                                …_read_memory_vaddr
 *   5    10.1 on       -                                                …_write_memory_vaddr
 *
 * QEMU reads `qemu_plugin_version` after it has loaded the object, so a constructor that looks at
 * which symbols QEMU exports may still set it (see qemu_api_version in pagewalk-qemu.c).
 *
 * Source: include/qemu/qemu-plugin.h ("Versioning plugins") and plugins/api.c of QEMU 7.2 to 10.2.
 */
#ifndef PLUGIN_QEMU_API_H
#define PLUGIN_QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* Facts about the QEMU that loads the plugin; the union at its end is of no use to us. */
struct qemu_info {
    const char *target_name; /* "x86_64" */
    struct {
        int min, cur; /* API versions it accepts */
    } version;
    bool system_emulation; /* a whole machine, not one program */
};

enum qemu_cb_flags { QEMU_CB_NO_REGS }; /* the callback reads no guest register */
enum qemu_mem_rw { QEMU_MEM_R = 1, QEMU_MEM_W, QEMU_MEM_RW };

typedef void (*qemu_simple_cb)(uint64_t id, unsigned vcpu);
typedef void (*qemu_udata_cb)(unsigned vcpu, void *udata);
typedef void (*qemu_mem_cb)(unsigned vcpu, uint32_t info, uint64_t addr, void *udata);
typedef void (*qemu_trans_cb)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_syscall_cb)(uint64_t id, unsigned vcpu, int64_t num, uint64_t a1, uint64_t a2,
                                uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
                                uint64_t a8);
typedef void (*qemu_syscall_ret_cb)(uint64_t id, unsigned vcpu, int64_t num, int64_t ret);

/* what QEMU looks for in the plugin */
extern QEMU_EXPORT int qemu_plugin_version;
QEMU_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc,
                                    char **argv);

/* what QEMU exports */
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_trans_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_udata_cb cb,
                                          enum qemu_cb_flags flags, void *udata);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_udata_cb cb,
                                            enum qemu_cb_flags flags, void *udata);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_mem_cb cb,
                                      enum qemu_cb_flags flags, enum qemu_mem_rw rw, void *udata);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, qemu_syscall_cb cb);
void qemu_plugin_register_vcpu_syscall_ret_cb(uint64_t id, qemu_syscall_ret_cb cb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(uint32_t info);
bool qemu_plugin_mem_is_store(uint32_t info);
const char *qemu_plugin_path_to_binary(void);
uint64_t qemu_plugin_start_code(void);
uint64_t qemu_plugin_end_code(void);
uint64_t qemu_plugin_entry_code(void);

/* Cast to qemu_insn_data_1 below API 3, to qemu_insn_data_3 from it on. */
void qemu_plugin_insn_data(void);
typedef const void *(*qemu_insn_data_1)(const struct qemu_plugin_insn *insn);
typedef size_t (*qemu_insn_data_3)(const struct qemu_plugin_insn *insn, void *to, size_t size);

#endif
