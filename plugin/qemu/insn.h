/* insn.h: is this the whole of an x86-64 instruction?
 *
 *   [prefixes] [REX | VEX] opcode [ModRM [SIB] [displacement]] [immediate]
 *
 * QEMU 7.2 counts one instruction too many in a block that it ends because the next instruction
 * would cross into another page: it read the bytes up to the page's end, then took the instruction
 * back, but not from the plugin's list. Such an instruction is recognised by being cut short.
 * (QEMU since 8.1 corrects the list itself; the check then finds nothing.)
 *
 * Source: Intel SDM volume 2, chapter 2 and appendix A (opcode maps), 64-bit mode.
 */
#ifndef PLUGIN_INSN_H
#define PLUGIN_INSN_H

#include <stdbool.h>
#include <stdint.h>

/* insn_length returns the length of the instruction at code, 0 if it needs more than n bytes. */
unsigned insn_length(const uint8_t *code, unsigned n);

/* insn_is_plain says whether QEMU surely makes the memory accesses of this instruction in translated
 * code, never in a helper: jumps, calls, returns and one-byte opcodes without x87 and atomics. */
bool insn_is_plain(const uint8_t *code, unsigned n);

#endif
