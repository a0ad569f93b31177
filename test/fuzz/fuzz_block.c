/* fuzz_block: instructions of translated blocks. The input is blocks, one after the other.
 *
 * Whatever the bytes are, instructions follow each other from pc on, what is decoded of one is in its
 * range, and a step to any other block ends. */
#include "event/ring.h"
#include "fuzz/fuzz.h"
#include "sim/sim_int.h"

#define BLOCKS_MAX 16

static void check_block(struct sim *s, struct block *b)
{
    uint64_t pc = b->pc;
    ASSERT(block_decode(s, b) && b->info && b->end != END_UNKNOWN && b->end <= END_ANY);
    for (unsigned i = 0; i < b->insns; i++) {
        const struct insn_info *info = block_insn(s, b, i);
        ASSERT(block_insn_pc(b, i) == pc);
        ASSERT(!info->call || info->stack || info->memory);
        pc += b->data[i];
    }
    ASSERT(pc == b->pc + b->code_bytes && b->lines >= 1);
    ASSERT(b->lines == ((pc - 1) >> LINE_SHIFT) - (b->pc >> LINE_SHIFT) + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _Alignas(8) uint8_t record[256];
    struct ring_block *r = (struct ring_block *)(void *)record;
    struct fuzz_bytes in = {data, size};
    struct sim *s = fuzz_sim();
    struct sim_thread *t = sim_thread_open(s);
    uint32_t n = 0;
    for (; in.left > 0 && n < BLOCKS_MAX; n++) {
        fuzz_block_record(&in, r);
        ASSERT(sim_add_block(s, n, r) == 0);
    }
    for (uint32_t i = 0; i < n; i++)
        check_block(s, sim_block(s, i));
    for (uint32_t i = 0; i < n * n; i++) {
        t->block = sim_block(s, i / n);
        t->instructions += t->block->insns; /* as if it had run to its end */
        STAT(&s->stats, instructions) += t->block->insns;
        block_edge(s, t, t->block, i % n);
    }
    t->block = NULL;
    sim_thread_close(s, t);
    sim_close(s);
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\0\0\0\1\x74\xfe"), /* je itself */
    FUZZ_SEED("\0\0\0\4\xe8\0\0\0\0"
              "\0\5\0\0\xc3"), /* call, ret */
    FUZZ_SEED("\0\0\0\1\xf3\xa4"
              "\0\2\0\1\x0f\x05"),                                 /* rep movsb, syscall */
    FUZZ_SEED("\1\0\0\2\1\x48\x8b\x07\xff\xe0"),                   /* mov (rdi), jmp rax */
    FUZZ_SEED("\2\0\0\2\2\1\x48\xf7\x37\x0f\x18\x07\x48\x01\x07"), /* div, prefetch, add */
    FUZZ_SEED("\0\1\0\5\xc4\xe2\x69\x90\x04\x08"),                 /* vpgatherdd */
    FUZZ_SEED("\0\3\0\5\x66\x66\x0f\x84\x01\x02"),                 /* prefixes and a cut je */
    FUZZ_SEED("\7\0\0\7\7\7\7\7\7\7\7"),
};
FUZZ_SEEDS(seeds)
