/* fuzz_proc.h: the entry libFuzzer and the seeded test share. */
#ifndef FUZZ_FUZZ_PROC_H
#define FUZZ_FUZZ_PROC_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
